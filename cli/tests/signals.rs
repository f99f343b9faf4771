//! What ends a command from outside: Ctrl-C, a closed pipe, a closed terminal.

mod common;

use common::{Place, Running, assert_counts, rows, until};
use rustix::process::Signal;
use std::io::Read;
use std::process::{Command, Stdio};

#[test]
fn a_broken_pipe_is_no_error() {
    let place = Place::new();
    let _producer = place.generate("a", "--rate 20000");
    for format in ["csv", "raw"] {
        let mut command = place.command(&format!("cat a --format {format}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let mut status = None;
        until("cat notices", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((status.unwrap().code(), &*said), (Some(0), ""));
    }
}

#[test]
fn ctrl_c_ends_cat_with_its_account() {
    let place = Place::new();
    let _producer = place.generate("a", "--wave counter --channels 1");
    let cat = place.start("cat a --wait block --chunk 100");
    cat.until_lines(101);
    let done = cat.interrupt();
    assert!(done.status.success() && done.stderr.contains(" 0 lost"), "{done:?}");
    let rows = rows(&done.stdout_text());
    assert_counts(&rows, 1, 24);
    assert!(done.stderr.contains(&format!("{} frames", rows.len())), "{}", done.stderr);
}

#[test]
fn a_second_ctrl_c_ends_even_a_blocked_cat() {
    let place = Place::new();
    let _producer = place.generate("a", "--rate 20000");
    // Nobody reads its output.
    let mut command = place.command("cat a --format raw");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    until("it is blocked in its write", || place.position("a") > 20_000);
    until("it ends", || {
        let _ = rustix::process::kill_process(pid, Signal::INT);
        child.try_wait().unwrap().is_some()
    });
}

#[test]
fn a_hang_up_ends_a_producer_cleanly() {
    let place = Place::new();
    let producer = place.generate("a", "");
    producer.signal(Signal::HUP);
    assert!(producer.done().status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn nohup_keeps_a_producer_going() {
    let place = Place::new();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" gen --name a --rate 1000", env!("CARGO_BIN_EXE_annulus")]);
    command.env("ANNULUS_DIR", place.path());
    let producer = Running::new("gen", &mut command);
    until("it pushes", || place.info("a").is_some_and(|info| info["position"].as_u64() > Some(0)));
    producer.signal(Signal::HUP);
    let before = place.position("a");
    until("it goes on", || place.position("a") > before + 100);
    assert!(producer.interrupt().status.success());
}
