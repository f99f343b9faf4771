//! Recorders beside viewers: `gen --recorders` and `cat --recorder`.

mod common;

use common::{Done, Place, assert_counts, assert_positions, rows, until};
use rustix::process::Signal;

const SMALL: &str = "--wave counter --type i32 --channels 2 --rate 20000 --retain 2000";

/// What a recorder says at its end: frames, and how many it lost.
fn account(done: &Done) -> (u64, u64) {
    let line =
        done.stderr.lines().find(|line| line.contains(" restarts")).unwrap_or_else(|| panic!("{done:?}"));
    let mut numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    (numbers.nth(1).unwrap(), numbers.next().unwrap()) // after the version
}

fn lost(place: &Place) -> u64 {
    place.info("a").unwrap()["lossless"]["lost"].as_u64().unwrap()
}

#[test]
fn a_stopped_recorder_is_overtaken_and_both_sides_say_so() {
    let place = Place::new();
    let producer = place.generate("a", &format!("{SMALL} --recorders 2"));
    let recorder = place.start("cat a --recorder");
    recorder.until_lines(10);
    let info = &place.info("a").unwrap()["lossless"];
    assert_eq!((info["seats"].as_u64(), info["at_limit"].as_str()), (Some(2), Some("overwrite")));
    recorder.signal(Signal::STOP);
    until("it is overtaken", || lost(&place) > 5000);
    let listed = place.output("ls");
    let line = format!("  recorder {} annulus at ", recorder.pid());
    assert!(listed.contains(&line) && listed.contains(" behind"), "{listed}");
    let info = place.output("info a");
    assert!(info.contains("recorders   1 of 2 seats taken; at their limit: overwrite"), "{info}");
    assert!(info.contains("breaches    recorders lost "), "{info}");
    recorder.signal(Signal::CONT);
    let before = recorder.stdout().lines().count();
    recorder.until_lines(before + 1000);
    let refused = place.run("rm a");
    assert!(!refused.status.success());
    let producer = producer.interrupt();
    let recorder = recorder.done();
    assert!(producer.stderr.contains("a recorder is a ring behind at position "), "{}", producer.stderr);
    let (frames, lost) = account(&recorder);
    assert!(
        producer.stderr.contains(&format!("recorders lost {lost} frames (overtaken ")),
        "{lost}: {}",
        producer.stderr
    );
    let rows = rows(&recorder.stdout_text());
    assert_eq!(rows.len() as u64, frames);
    assert_eq!(rows.last().unwrap().0 + 1 - rows[0].0, frames + lost, "none is missing that was not told");
    assert_counts(&rows, 2, 31);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_stopped_recorder_is_waited_for() {
    let place = Place::new();
    let producer = place.generate("a", &format!("{SMALL} --recorders 1 --at-limit full"));
    let viewer = place.start("cat a --format raw");
    let recorder = place.start("cat a --recorder");
    recorder.until_lines(10);
    recorder.signal(Signal::STOP);
    producer.until_stderr("a@v1: the ring is full; waiting for its recorder");
    let refused = place.run("cat a --recorder");
    assert!(refused.stderr.contains(&format!("[{}]", recorder.pid())), "{}", refused.stderr);
    recorder.signal(Signal::CONT);
    let before = recorder.stdout().lines().count();
    recorder.until_lines(before + 5000);
    let producer = producer.interrupt();
    assert!(producer.status.success() && !producer.stderr.contains("lost"), "{}", producer.stderr);
    let recorder = recorder.done();
    let rows = rows(&recorder.stdout_text());
    assert_eq!(account(&recorder), (rows.len() as u64, 0));
    assert_positions(&rows, rows[0].0..rows[0].0 + rows.len() as u64);
    assert_counts(&rows, 2, 31);
    viewer.done();
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_killed_recorder_holds_nobody_up() {
    let place = Place::new();
    let producer = place.generate("a", &format!("{SMALL} --recorders 1 --at-limit full"));
    let recorder = place.start("cat a --recorder");
    recorder.until_lines(10);
    recorder.signal(Signal::STOP);
    producer.until_stderr("waiting for its recorder");
    recorder.kill();
    let position = place.position("a");
    until("it goes on", || place.position("a") > position + 10_000);
    assert!(producer.interrupt().status.success());
    // What the dead one had not recorded is there for its successor.
    assert!(place.run("cat a --recorder --no-follow").status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn play_and_push_have_recorders_too() {
    let place = Place::new();
    let mut push = place.command("push a --type u8 --retain 4096 --recorders 1 --at-limit full");
    let pushing = common::Running::new("push", push.stdin(std::process::Stdio::piped()));
    until("the stream is there", || place.info("a").is_some());
    assert_eq!(place.info("a").unwrap()["lossless"]["at_limit"], "full");
    pushing.interrupt();
}

#[test]
fn what_does_not_go_together_is_refused() {
    let place = Place::new();
    let _plain = place.generate("plain", "--channels 1");
    let refused = place.run("cat plain --recorder");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("without seats for lossless readers")
            && refused.stderr.contains("--recorders")
    );
    for line in [
        "gen --name x --recorders 1 --lossless",
        "gen --name x --recorders 0",
        "gen --name x --recorders 5000",
        "gen --name x --at-limit full",
        "cat plain --recorder --tap",
    ] {
        assert_eq!(place.run(line).status.code(), Some(2), "{line}");
    }
    let _queue = place.generate("queue", "--channels 1 --lossless");
    let refused = place.run("cat queue --recorder");
    assert!(refused.stderr.contains("be its consumer"), "{}", refused.stderr);
}
