//! This program's tests again, as a child on a terminal of its own, where it panics.

use super::*;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::env;
use std::io::Read;
use std::sync::mpsc;

/// Set for the child: which thread shall panic.
const ROLE: &str = "ANNULUS_TEST_PANICS";

/// Does nothing, unless it is the child.
#[test]
fn the_child() {
    let Ok(role) = env::var(ROLE) else { return };
    let mut screen = Screen::open().unwrap();
    screen.draw(|frame| frame.render_widget("oscillogram", frame.area())).unwrap();
    match role.as_str() {
        "drawing" => screen.draw(|_| panic!("panic while drawing")).unwrap(),
        _ => {
            thread::spawn(|| panic!("panic in another thread"));
            loop {
                screen.draw(|frame| frame.render_widget("oscillogram", frame.area())).unwrap();
            }
        }
    }
}

/// Gives the screen's text in the end.
fn panics(role: &str) -> String {
    let size = PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let modes = || format!("{:?}", pty.master.get_termios().unwrap());
    let before = modes();
    let mut command = CommandBuilder::new(env::current_exe().unwrap());
    command.args(["--exact", "scope::screen::tests::the_child", "--nocapture"]);
    for (name, value) in [(ROLE, role), ("TERM", "xterm-256color"), ("RUST_BACKTRACE", "0")] {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    let (mut output, (sender, said)) = (pty.master.try_clone_reader().unwrap(), mpsc::channel());
    thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut block) {
            let _ = sender.send(block[..length].to_vec());
        }
    });
    let mut screen = vt100::Parser::default();
    let mut bytes = Vec::new();
    let mut end = None;
    let start = Instant::now();
    // All that it said comes before the end of its terminal, which we hold: so a moment longer.
    while end.is_none_or(|end: Instant| end.elapsed() < Duration::from_millis(300)) {
        assert!(start.elapsed() < Duration::from_secs(40), "it does not end");
        if let Ok(block) = said.recv_timeout(Duration::from_millis(10)) {
            screen.process(&block);
            bytes.extend(block);
        }
        if end.is_none()
            && let Some(status) = child.try_wait().unwrap()
        {
            assert_eq!(status.exit_code(), 101);
            end = Some(Instant::now());
        }
    }
    let began = bytes.windows(8).any(|window| window == b"\x1b[?1049h");
    assert!(began && bytes.windows(11).any(|window| window == b"oscillogram"), "it never drew");
    assert!(!screen.screen().alternate_screen(), "the picture is still there");
    assert!(!screen.screen().hide_cursor(), "the cursor is gone");
    assert_eq!(modes(), before);
    screen.screen().contents()
}

#[test]
fn a_panic_restores_the_terminal_and_is_told() {
    let text = panics("drawing");
    assert!(text.contains("panic while drawing"), "{text}");
}

#[test]
fn a_panic_in_another_thread_ends_the_pictures() {
    let text = panics("other");
    assert!(text.contains("panic in another thread"), "{text}");
    assert!(!text.contains("oscillogram"), "{text}");
}
