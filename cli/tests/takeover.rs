//! Producers and readers that die, are replaced, or are not let in.

mod common;

use common::{Place, assert_counts, assert_positions, rows, until};

#[test]
fn a_second_producer_is_refused_with_the_firsts_pid() {
    let place = Place::new();
    let first = place.generate("a", "--wave counter");
    let refused = place.run("gen --name a --wave counter");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains(&format!("process {}", first.pid())), "{}", refused.stderr);
    // Neither do other parameters get past a live producer.
    let refused = place.run("gen --name a --wave counter --channels 5");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    assert_eq!(place.info("a").unwrap()["pid"], first.pid());
}

#[test]
fn a_killed_producers_successor_carries_on_and_readers_follow() {
    let place = Place::new();
    let options = "--wave counter --channels 2 --type i32 --rate 5000 --retain 60s";
    let first = place.generate("a", options);
    let cat = place.start("cat a --from oldest");
    cat.until_lines(100);
    let pid = first.pid();
    let before = place.info("a").unwrap();
    first.kill();
    cat.until_stderr(&format!("the producer, process {pid}, died"));

    let dead = place.info("a").unwrap();
    assert_eq!((&dead["state"], &dead["pid"]), (&"dead".into(), &pid.into()));
    let listing = place.output("ls");
    assert!(listing.lines().any(|line| line.starts_with("a@v1") && line.contains("dead")), "{listing}");
    let position = dead["position"].as_u64().unwrap();
    // To its last published frame.
    let salvaged = rows(&place.output("cat a --no-follow"));
    assert_counts(&salvaged, 2, 31);
    assert_positions(&salvaged, 0..position);

    let second = place.generate("a", options);
    cat.until_stderr(&format!("a new producer carries on at position {position} (epoch"));
    let after = place.info("a").unwrap();
    assert_eq!(after["epoch"].as_u64().unwrap(), before["epoch"].as_u64().unwrap() + 1);
    assert_eq!(after["instance"], before["instance"]);
    until("it goes on", || place.position("a") > position + 1000);
    assert!(second.interrupt().status.success());
    let done = cat.done();
    assert!(done.status.success() && done.stderr.contains("0 lost, 1 restarts"), "{}", done.stderr);
    let rows = rows(&done.stdout_text());
    assert_counts(&rows, 2, 31);
    assert_positions(&rows, 0..rows.len() as u64);
    assert!(rows.len() as u64 > position + 1000);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_producer_that_leaves_is_told_and_succeeded() {
    let place = Place::new();
    let make = || {
        let create = annulus::create("a").directory(place.path()).channels([annulus::Channel::new("x")]);
        create.producer::<i16>().unwrap()
    };
    let mut first = make();
    let cat = place.start("cat a");
    until("cat is attached", || place.info("a").unwrap()["attached"].as_array().unwrap().len() == 2);
    first.push(&[1, 2, 3]).unwrap();
    drop(first);
    cat.until_stderr("the producer left");
    assert_eq!(place.info("a").unwrap()["state"], "left");
    let mut second = make();
    second.push(&[4]).unwrap();
    second.finish();
    let done = cat.done();
    assert!(done.status.success() && done.stderr.contains("4 frames, 0 lost, 1 restarts"), "{}", done.stderr);
    assert_eq!(done.stdout_text(), "position,x\n0,1\n1,2\n2,3\n3,4\n");
}

#[test]
fn a_killed_reader_changes_nothing_for_anyone() {
    let place = Place::new();
    let producer = place.generate("a", "--wave counter --channels 1 --type i32 --rate 5000 --retain 60s");
    let victim = place.start("cat a --from oldest");
    let witness = place.start("cat a --from oldest --frames 10000");
    victim.until_lines(50);
    witness.until_lines(50);
    victim.kill();
    let rows = rows(&witness.done().stdout_text());
    assert_counts(&rows, 1, 31);
    assert_positions(&rows, 0..10_000);
    let info = place.info("a").unwrap();
    assert_eq!((&info["state"], info["attached"].as_array().unwrap().len()), (&"live".into(), 1), "{info}");
    assert!(producer.interrupt().status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_killed_consumers_successor_misses_nothing() {
    let place = Place::new();
    let options = "--wave counter --channels 1 --type i32 --rate 48000 --lossless --speed max";
    let producer = place.generate("a", options);
    let mut next = 0;
    for _ in 0..10 {
        let consumer = place.start("cat a");
        consumer.until_lines(50);
        let rows = rows(&consumer.kill());
        assert_counts(&rows, 1, 31);
        let first = rows[0].0;
        // What was being written when the last one died comes again; its position says so.
        assert!(first <= next, "{first} after {next}");
        assert_positions(&rows, first..first + rows.len() as u64);
        next = next.max(first + rows.len() as u64);
    }
    let last = place.start("cat a");
    last.until_lines(50);
    assert!(producer.interrupt().status.success());
    let rows = rows(&last.done().stdout_text());
    assert_counts(&rows, 1, 31);
    assert!(rows[0].0 <= next);
    assert_positions(&rows, rows[0].0..rows[0].0 + rows.len() as u64);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn other_parameters_win_over_viewers_which_follow() {
    let place = Place::new();
    let first = place.generate("a", "--wave counter --channels 2 --type i16 --rate 5000");
    let cat = place.start("cat a --from oldest");
    cat.until_lines(100);
    first.kill();
    let second = place.generate("a", "--wave counter --channels 3 --type u16 --rate 6000 --retain 60s");
    cat.until_stderr("the stream was replaced");
    until("it reads the new stream", || cat.stdout().contains("position,ch1,ch2,ch3\n"));
    until("it goes on", || place.position("a") > 3000);
    assert!(second.interrupt().status.success());

    let done = cat.done();
    assert!(done.status.success(), "{}", done.stderr);
    let text = done.stdout_text();
    let (old, new) = text.split_once("position,ch1,ch2,ch3\n").unwrap();
    assert_counts(&rows(old), 2, 15);
    let new = rows(new);
    assert_counts(&new, 3, 16);
    assert_positions(&new, 0..new.len() as u64);
    assert!(new.len() > 3000);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn versions_live_side_by_side() {
    let place = Place::new();
    let first = place.generate("a", "--wave counter --channels 1 --type i16");
    assert_eq!(place.info("a").unwrap()["name"], "a@v1");
    let second = place.generate("a@v2", "--wave counter --channels 2 --type f32");
    assert!(place.output("cat a@v1 --frames 3").starts_with("position,ch1\n"));
    assert!(place.output("cat a@v2 --frames 3").starts_with("position,ch1,ch2\n"));

    let missing = place.run("cat a@v3");
    assert_eq!(missing.status.code(), Some(1));
    for wanted in ["v1 (1 ch x i16 @ 250 Hz)", "v2 (2 ch x f32 @ 250 Hz)", "not v3"] {
        assert!(missing.stderr.contains(wanted), "no '{wanted}' in {}", missing.stderr);
    }
    let unclear = place.run("cat a");
    assert_eq!(unclear.status.code(), Some(1));
    for wanted in ["a@v1 (1 ch x i16 @ 250 Hz, live)", "a@v2 (2 ch x f32 @ 250 Hz, live)"] {
        assert!(unclear.stderr.contains(wanted), "no '{wanted}' in {}", unclear.stderr);
    }
    // The only live one of several is meant.
    first.kill();
    assert!(place.output("cat a --frames 3").starts_with("position,ch1,ch2\n"));
    assert!(second.interrupt().status.success());
    // And the only one, even if it is dead.
    assert_eq!(place.info("a").unwrap()["name"], "a@v1");
    assert_eq!(place.files(), ["a@v1.l1"]);
}
