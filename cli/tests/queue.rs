//! Work queues from the command line: `gen --producers`, `drain`, and who only watches.

mod common;

use common::{Place, until};
use rustix::process::Signal;
use std::collections::BTreeMap;

const SHAPE: &str = "--wave counter --channels 2 --type i32 --speed max --rate 1000 --retain 1s --chunk 8";

/// Lanes of `lane,position,...` lines, with their positions in the order in which they came.
fn lanes(csv: &str) -> BTreeMap<u32, Vec<u64>> {
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("lane,position,ch1,ch2"));
    let mut lanes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let cells: Vec<u64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        assert_eq!(cells[2..], [cells[1], cells[1] + 1], "{line}");
        lanes.entry(cells[0] as u32).or_default().push(cells[1]);
    }
    lanes
}

#[test]
fn each_frame_is_drained_once() {
    let place = Place::new();
    let producing = place.generate("q", &format!("{SHAPE} --producers 3 --frames 20000"));
    let drained = place.run("drain q --consumers 3 --format csv --batch 50");
    assert!(drained.status.success(), "{}", drained.stderr);
    assert!(drained.stderr.contains("took 60000 frames"), "{}", drained.stderr);
    let mut lanes = lanes(&drained.stdout_text());
    assert_eq!(lanes.len(), 3);
    for positions in lanes.values_mut() {
        positions.sort_unstable();
        assert!(positions.iter().copied().eq(0..20_000));
    }
    let produced = producing.done();
    assert!(produced.status.success(), "{}", produced.stderr);
    for lane in 0..3 {
        let said = format!("q@v1 lane {lane}: 20000 frames in ");
        assert!(produced.stderr.contains(&said), "{}", produced.stderr);
    }
    assert!(!produced.stderr.contains("nobody has taken"), "{}", produced.stderr);
    assert!(place.files().is_empty());
}

#[test]
fn who_watches_a_queue_takes_nothing() {
    let place = Place::new();
    let producing = place.generate("q", &format!("{SHAPE} --producers 2"));
    let full = || place.info("q").is_some_and(|info| info["backlog"].as_u64() == Some(2 * 1024));
    until("both lanes are full", full);
    let info = place.info("q").unwrap();
    assert_eq!((info["kind"].as_str(), info["lanes"].as_u64()), (Some("mpmc"), Some(2)));
    assert_eq!(info["each_lane"][1]["backlog"].as_u64(), Some(1024));
    assert_eq!(info["each_lane"][1]["state"], "live");
    let seen = place.run("cat q --from oldest --frames 3");
    assert_eq!(seen.stdout_text(), "position,ch1,ch2\n0,0,1\n1,1,2\n2,2,3\n");
    assert!(seen.stderr.contains("lane 0 of 2"), "{}", seen.stderr);
    let seen = place.run("cat q --lane 1 --no-follow");
    assert_eq!(seen.stdout_text().lines().count(), 1 + 1024);
    assert!(!seen.stderr.contains("--lane"), "{}", seen.stderr);
    let picture = place.path().join("q.svg");
    place.output(&format!("view q --lane 1 --snapshot {}", picture.display()));
    assert!(std::fs::read_to_string(picture).unwrap().contains("ch2"));
    assert!(full(), "somebody took frames");
    let listed = place.output("ls");
    assert!(listed.contains("mpmc x 2") && listed.contains("  2048  "), "{listed}");
    let told = place.output("info q");
    assert!(told.contains("lane 1") && told.contains("1024 left"), "{told}");
    producing.signal(Signal::INT);
    let produced = producing.done();
    assert!(produced.status.success(), "{}", produced.stderr);
    assert!(produced.stderr.contains("1024 of them nobody has taken"), "{}", produced.stderr);
}

#[test]
fn what_there_is_can_be_drained_without_waiting_for_more() {
    let place = Place::new();
    let producing = place.generate("q", &format!("{SHAPE} --producers 1"));
    until("the lane is full", || place.position("q") >= 1024);
    // Its producer fills up what is taken, and still there is an end; a batch may be larger than any lane.
    let drained = place.run("drain q --no-follow --consumers 2 --batch 1000000 --format csv");
    assert!(drained.status.success(), "{}", drained.stderr);
    assert_eq!(lanes(&drained.stdout_text())[&0].len(), 1024);
    producing.signal(Signal::KILL);
    drop(producing);
    // It died with frames in its lane. They are there for others, and so is the lane.
    until("its death is seen", || place.info("q").is_some_and(|info| info["state"] == "dead"));
    let next = place.generate("q", &format!("{SHAPE} --producers 1 --frames 5"));
    let drained = place.run("drain q --format csv");
    assert!(drained.status.success(), "{}", drained.stderr);
    let positions = &lanes(&drained.stdout_text())[&0];
    assert!(positions.windows(2).all(|two| two[1] == two[0] + 1) && positions.len() >= 5);
    assert!(next.done().stderr.contains("5 frames in"));
}

#[test]
fn what_does_not_fit_a_queue_is_refused() {
    let place = Place::new();
    let _stream = place.generate("s", "--wave counter");
    let refused = place.run("drain s");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("no work queue: annulus cat s@v1"), "{}", refused.stderr);
    let refused = place.run("gen --name q --producers 2 --lossless");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    let refused = place.run("gen --name q --producers 65");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    let _queue = place.generate("spsc", "--wave counter --lossless");
    let refused = place.run("cat spsc --lane 0 --frames 1");
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("no work queue"), "{}", refused.stderr);
    assert_eq!(place.info("spsc").unwrap()["head"], 0, "it took frames");
    let _queue = place.generate("q", &format!("{SHAPE} --producers 2"));
    let refused = place.run("cat q --lane 2");
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("lanes 0 to 1"), "{}", refused.stderr);
    let refused = place.run(&format!("gen --name q {SHAPE} --producers 2"));
    assert!(refused.stderr.contains("all 2 lanes"), "{}", refused.stderr);
    let refused = place.run("drain q --consumers 33");
    assert!(refused.stderr.contains("32 seats"), "{}", refused.stderr);
}
