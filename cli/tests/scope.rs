//! The demo on a terminal: a pty of which every byte is interpreted, as a terminal would.

mod common;

use common::{Place, until};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread;

const SIZE: PtySize = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };

/// A number of lines or columns, as the screen's interpreter wants it.
fn lines(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// The demo on a terminal of its own.
struct Terminal {
    place: Place,
    master: Box<dyn MasterPty + Send>,
    /// What is typed. Dropping it types an end of file.
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// The terminal's modes, before.
    modes: String,
}

impl Terminal {
    fn new() -> Self {
        let place = Place::new();
        let pty = native_pty_system().openpty(SIZE).unwrap();
        let modes = format!("{:?}", pty.master.get_termios().unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines(SIZE.rows), lines(SIZE.cols), 0)));
        let (mut output, shown) = (pty.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut block) {
                shown.lock().unwrap().process(&block[..length]);
            }
        });
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_annulus"));
        command.arg("demo");
        command.env("ANNULUS_DIR", place.path());
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        let keys = pty.master.take_writer().unwrap();
        Self { place, master: pty.master, keys, child, screen, modes }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the picture is complete.
    fn until_drawn(&self) {
        let braille = |cell: char| ('\u{2801}'..='\u{28FF}').contains(&cell);
        until("the scope shows the signal", || {
            let text = self.text();
            ["MLII (mV)", "360 Hz", "position", "lost 0"].iter().all(|wanted| text.contains(wanted))
                && text.chars().filter(|&cell| braille(cell)).count() > 20
        });
        let screen = self.screen.lock().unwrap();
        assert!(screen.screen().alternate_screen() && screen.screen().hide_cursor());
        assert_ne!(format!("{:?}", self.master.get_termios().unwrap()), self.modes, "raw mode");
    }

    /// It ends with that code, and the terminal is as it was.
    fn assert_restored(mut self, code: u32) {
        let mut status = None;
        until("the demo ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().exit_code(), code, "{}", self.text());
        until("the terminal shows its own screen again", || {
            !self.screen.lock().unwrap().screen().alternate_screen()
        });
        assert!(!self.screen.lock().unwrap().screen().hide_cursor());
        assert_eq!(format!("{:?}", self.master.get_termios().unwrap()), self.modes);
        assert_eq!(self.place.files(), [""; 0]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn ends_with(keys: &[u8]) {
    let mut terminal = Terminal::new();
    terminal.until_drawn();
    terminal.keys.write_all(keys).unwrap();
    terminal.assert_restored(0);
}

#[test]
fn q_ends_the_scope() {
    ends_with(b"q");
}

#[test]
fn escape_ends_the_scope() {
    ends_with(b"\x1b");
}

#[test]
fn ctrl_c_ends_the_scope() {
    ends_with(b"\x03");
}

#[test]
fn a_signal_ends_the_scope() {
    let terminal = Terminal::new();
    terminal.until_drawn();
    let pid = terminal.child.process_id().unwrap() as i32;
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    terminal.assert_restored(0);
}

#[test]
fn a_killed_acquisition_is_told_and_the_terminal_is_restored() {
    let mut terminal = Terminal::new();
    terminal.until_drawn();
    let name = format!("demo-{}", terminal.child.process_id().unwrap());
    let acquisition = terminal.place.info(&name).unwrap()["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(acquisition as i32).unwrap(), Signal::KILL).unwrap();
    until("the scope says so", || {
        terminal.text().contains(&format!("the acquisition (process {acquisition}) died"))
    });
    terminal.keys.write_all(b"q").unwrap();
    terminal.assert_restored(1);
}

#[test]
fn a_killed_parent_takes_everything_with_it() {
    let terminal = Terminal::new();
    terminal.until_drawn();
    let parent = terminal.child.process_id().unwrap();
    let info = terminal.place.info(&format!("demo-{parent}")).unwrap();
    let others: Vec<_> = info["attached"].as_array().unwrap().iter().map(|one| one["pid"].clone()).collect();
    assert_eq!(others.len(), 2);
    // This also hangs up its terminal, as closing a window does.
    kill_process(Pid::from_raw(parent as i32).unwrap(), Signal::KILL).unwrap();
    for pid in others {
        until("its processes end", || {
            // One that nobody waits for stays as a zombie.
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.is_empty() || status.contains("(zombie)")
        });
    }
    assert_eq!(terminal.place.files(), [""; 0]);
}

#[test]
fn the_picture_follows_the_terminals_size() {
    let mut terminal = Terminal::new();
    terminal.until_drawn();
    terminal.screen.lock().unwrap().screen_mut().set_size(lines(12), lines(60));
    terminal.master.resize(PtySize { rows: 12, cols: 60, ..SIZE }).unwrap();
    until("the frame ends at the new corner", || {
        let screen = terminal.screen.lock().unwrap();
        screen.screen().cell(10, 59).is_some_and(|cell| cell.contents() == "┘")
    });
    terminal.keys.write_all(b"q").unwrap();
    terminal.assert_restored(0);
}
