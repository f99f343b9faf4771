//! A command on a terminal: a pty of which every byte is interpreted, as a terminal would.

// Neither test file uses everything.
#![allow(dead_code)]

use crate::common::{Place, until};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    /// What is typed. Dropping it types an end of file.
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    /// The terminal's modes, before.
    modes: String,
}

/// A number of lines or columns, as the screen's interpreter wants it.
fn lines(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Terminal {
    /// Runs the command on a terminal of its own.
    pub(crate) fn new(place: &Place, line: &str, columns: u16, rows: u16) -> Self {
        let pty = native_pty_system().openpty(size(columns, rows)).unwrap();
        let modes = format!("{:?}", pty.master.get_termios().unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines(rows), lines(columns), 0)));
        let (mut output, shown) = (pty.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut block) {
                shown.lock().unwrap().process(&block[..length]);
            }
        });
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_annulus"));
        command.args(line.split_whitespace());
        command.env("ANNULUS_DIR", place.path());
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        let keys = pty.master.take_writer().unwrap();
        Self { master: pty.master, keys, child, screen, modes }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.process_id().unwrap() as i32
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    pub(crate) fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// What is in one cell.
    pub(crate) fn cell(&self, column: u16, row: u16) -> String {
        let screen = self.screen.lock().unwrap();
        screen.screen().cell(row, column).map_or_else(String::new, |cell| cell.contents().to_owned())
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(lines(rows), lines(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Waits until all of these are on the screen.
    pub(crate) fn until_shows(&self, wanted: &[&str]) {
        let shows = || wanted.iter().all(|wanted| self.text().contains(wanted));
        if !shows() {
            until(&format!("the screen shows {wanted:?}"), shows);
        }
    }

    /// Waits until the command has taken the terminal over.
    pub(crate) fn until_taken(&self) {
        until("the terminal is taken over", || self.screen.lock().unwrap().screen().alternate_screen());
        until("the cursor is hidden", || self.screen.lock().unwrap().screen().hide_cursor());
        assert_ne!(format!("{:?}", self.master.get_termios().unwrap()), self.modes, "raw mode");
    }

    /// The command ends, with that code.
    pub(crate) fn until_ends(&mut self, code: u32) {
        let mut status = None;
        until("the command ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().exit_code(), code, "{}", self.text());
    }

    /// The command ends with that code, and the terminal is as it was. Gives what is on it.
    pub(crate) fn assert_restored(mut self, code: u32) -> String {
        self.until_ends(code);
        until("the terminal shows its own screen again", || {
            !self.screen.lock().unwrap().screen().alternate_screen()
        });
        until("the cursor is back", || !self.screen.lock().unwrap().screen().hide_cursor());
        assert_eq!(format!("{:?}", self.master.get_termios().unwrap()), self.modes);
        self.text()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
