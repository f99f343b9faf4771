//! The demo on a demo.

mod common;
mod terminal;

use common::{Place, until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use terminal::Terminal;

/// The demo on a terminal of its own.
struct Demo {
    place: Place,
    terminal: Terminal,
}

impl Demo {
    fn new() -> Self {
        let place = Place::new();
        let terminal = Terminal::new(&place, "demo", 100, 30);
        Self { place, terminal }
    }

    /// Waits until the picture is complete.
    fn until_drawn(&self) {
        let braille = |cell: char| ('\u{2801}'..='\u{28FF}').contains(&cell);
        until("the scope shows the signal", || {
            let text = self.terminal.text();
            ["MLII (mV)", "360 Hz", "position", "lost 0"].iter().all(|wanted| text.contains(wanted))
                && text.chars().filter(|&cell| braille(cell)).count() > 20
        });
        self.terminal.until_taken();
    }

    fn assert_restored(self, code: u32) {
        self.terminal.assert_restored(code);
        assert_eq!(self.place.files(), [""; 0]);
    }
}

fn ends_with(keys: &[u8]) {
    let mut demo = Demo::new();
    demo.until_drawn();
    demo.terminal.press(keys);
    demo.assert_restored(0);
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
    let demo = Demo::new();
    demo.until_drawn();
    demo.terminal.signal(Signal::TERM);
    demo.assert_restored(0);
}

#[test]
fn a_killed_acquisition_is_told_and_the_terminal_is_restored() {
    let mut demo = Demo::new();
    demo.until_drawn();
    let name = format!("demo-{}", demo.terminal.pid());
    let acquisition = demo.place.info(&name).unwrap()["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(acquisition as i32).unwrap(), Signal::KILL).unwrap();
    until("the scope says so", || {
        demo.terminal.text().contains(&format!("the acquisition (process {acquisition}) died"))
    });
    demo.terminal.press(b"q");
    demo.assert_restored(1);
}

#[test]
fn a_killed_parent_takes_everything_with_it() {
    let demo = Demo::new();
    demo.until_drawn();
    let parent = demo.terminal.pid();
    let info = demo.place.info(&format!("demo-{parent}")).unwrap();
    let others: Vec<_> = info["attached"].as_array().unwrap().iter().map(|one| one["pid"].clone()).collect();
    assert_eq!(others.len(), 2);
    // This also hangs up its terminal, as closing a window does.
    kill_process(Pid::from_raw(parent).unwrap(), Signal::KILL).unwrap();
    for pid in others {
        until("its processes end", || {
            // One that nobody waits for stays as a zombie.
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.is_empty() || status.contains("(zombie)")
        });
    }
    assert_eq!(demo.place.files(), [""; 0]);
}

#[test]
fn the_picture_follows_the_terminals_size() {
    let mut demo = Demo::new();
    demo.until_drawn();
    demo.terminal.resize(60, 12);
    until("the frame ends at the new corner", || demo.terminal.cell(59, 10) == "┘");
    demo.terminal.press(b"q");
    demo.assert_restored(0);
}
