//! Bytes that come through a pipe, in whatever portions: whole frames, all of them, in order.

mod common;

use common::{Done, Place, rows, until};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

/// `annulus push` with a pipe in front of it.
fn start(place: &Place, line: &str) -> Child {
    let mut command = place.command(&format!("push {line}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end; what it says fits into a pipe.
fn done(mut child: Child) -> Done {
    until("the end of annulus push", || child.try_wait().unwrap().is_some());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    Done { status: output.status, stdout: output.stdout, stderr }
}

/// Pushes all of these bytes, and waits for the end.
fn push(place: &Place, line: &str, bytes: &[u8]) -> Done {
    let mut child = start(place, line);
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    done(child)
}

#[test]
fn frames_that_come_in_pieces_are_put_together() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..3000_i32).flat_map(i32::to_le_bytes).collect();
    let mut child = start(
        &place,
        "a --channels 3 --rate 100 --type i32 --label a,b,c --unit uV --scale -0.5 --offset 3 --keep",
    );
    let mut pipe = child.stdin.take().unwrap();
    let mut rest = &bytes[..];
    // 12 bytes are a frame: 1 byte, 2, 3, ... 37, 1, ...
    for length in (1..38).cycle() {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pipe.write_all(piece).unwrap();
        rest = behind;
        if rest.is_empty() {
            break;
        }
        if length == 5 {
            // What was written has been taken up to its last whole frame, so that pieces do not join in the pipe.
            let written = bytes.len() - rest.len();
            until("whole frames are there", || {
                place.info("a").is_some_and(|info| info["position"].as_u64() == Some(written as u64 / 12))
            });
        }
    }
    drop(pipe);
    let done = done(child);
    assert!(done.status.success(), "{}", done.stderr);
    assert!(done.stderr.starts_with("annulus: a@v1: 1000 frames in "), "{}", done.stderr);
    let text = place.output("cat a --no-follow");
    assert!(text.starts_with("position,a,b,c\n"), "{text:.50}");
    for (position, values) in rows(&text) {
        let first = position as f64 * 3.0;
        assert_eq!(values, [first, first + 1.0, first + 2.0]);
    }
    let info = place.info("a").unwrap();
    assert_eq!((&info["position"], &info["state"]), (&1000.into(), &"ended".into()));
    let channel = &info["channels"][2];
    assert_eq!(
        (&channel["unit"], &channel["scale"], &channel["offset"]),
        (&"uV".into(), &(-0.5).into(), &3.0.into())
    );
}

#[test]
fn what_is_left_of_a_frame_is_told() {
    let place = Place::new();
    let done = push(&place, "sdr --rate 2.4e6 --type cu8 --keep", b"abcde");
    assert_eq!(done.status.code(), Some(1));
    let told = "sdr@v1: stdin ended within a frame: 1 of its 2 bytes were left over, and not pushed";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    assert_eq!(place.output("cat sdr --no-follow --format raw"), "abcd");
    assert_eq!(place.info("sdr").unwrap()["state"], "ended");
    let none = push(&place, "none --type i16", b"");
    assert!(none.status.success() && none.stderr.contains("none@v1: 0 frames"), "{}", none.stderr);
}

#[test]
fn the_spellings_of_sdr_programs_are_known() {
    let place = Place::new();
    for (spelling, format) in [
        ("cs8", "ci8"),
        ("cu8", "cu8"),
        ("cs16", "ci16"),
        ("ci16", "ci16"),
        ("cf32", "cf32"),
        ("cf64", "cf64"),
        ("s16", "i16"),
    ] {
        push(&place, &format!("a --type {spelling} --keep"), &[0; 32]);
        assert_eq!(place.info("a").unwrap()["format"], format);
        place.output("rm a");
    }
}

#[test]
fn no_rate_is_a_rate_too() {
    let place = Place::new();
    push(&place, "a --type u8 --retain 5000 --keep", b"abc");
    let info = place.info("a").unwrap();
    assert_eq!((&info["rate"], &info["requested"]), (&serde_json::Value::Null, &5000.into()));
    let refused = push(&place, "b --type u8 --retain 5s", b"");
    assert!(
        refused.status.code() == Some(1) && refused.stderr.contains("needs a rate"),
        "{}",
        refused.stderr
    );
}

#[test]
fn lossless_waits_for_its_reader() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut child = start(&place, "a --rate 1000 --retain 1s --type u32 --lossless");
    let mut pipe = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || pipe.write_all(&sent));
    until("the stream is there", || place.info("a").is_some());
    let cat = place.run("cat a --format raw");
    assert!(cat.stdout == bytes, "{}", cat.stderr);
    writer.join().unwrap().unwrap();
    assert!(done(child).status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn an_idle_pipe_does_not_keep_it_from_ending() {
    let place = Place::new();
    let mut child = start(&place, "a --type u8");
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"abc").unwrap();
    until("it pushed", || place.info("a").is_some_and(|info| info["position"] == 3));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let done = done(child);
    drop(pipe);
    assert!(done.status.success() && done.stderr.contains("a@v1: 3 frames"), "{}", done.stderr);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn bad_options_are_refused() {
    let place = Place::new();
    for (line, told) in [
        ("a --type opaque", "opaque"),
        ("a --type i12", "unknown sample format 'i12'"),
        ("a --type u8 --channels 3 --label x,y", "2 labels for 3 channels"),
        ("a --type u8 --channels 0", "--channels"),
        ("a --type u8 --rate 0", "--rate"),
        ("a --type u8 --scale 0", "scale"),
        ("a b --type u8", "unexpected"),
        ("a!b --type u8", "not allowed"),
    ] {
        let done = push(&place, line, b"");
        assert!(
            matches!(done.status.code(), Some(1 | 2)) && done.stderr.contains(told),
            "{line}: {}",
            done.stderr
        );
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_terminal_has_no_samples() {
    let place = Place::new();
    let size = PtySize { rows: 10, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_annulus"));
    command.args(["push", "sdr", "--type", "cu8"]);
    command.env("ANNULUS_DIR", place.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut said = Vec::new();
    let _ = pty.master.try_clone_reader().unwrap().read_to_end(&mut said);
    assert_eq!(child.wait().unwrap().exit_code(), 2);
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("PROGRAM | annulus push sdr --type cu8"), "{said}");
    assert_eq!(place.files(), [""; 0]);
}
