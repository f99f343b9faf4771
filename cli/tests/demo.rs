//! The demo where stdout is no terminal: five seconds, a summary, nothing left behind.

mod common;

use common::{Place, Running, until};
use rustix::process::{Pid, Signal, kill_process};

/// The number in the summary's line of that name.
fn number(summary: &str, name: &str) -> u64 {
    let line = summary
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no '{name}' in {summary}"));
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// Waits until the demo's stream has both its ends, and gives its name.
fn started(place: &Place, demo: &Running) -> String {
    let name = format!("demo-{}", demo.pid());
    until("both processes are attached", || {
        place
            .info(&name)
            .is_some_and(|info| info["attached"].as_array().unwrap().len() >= 2 && info["position"] != 0)
    });
    name
}

#[test]
fn every_frame_arrives_and_the_summary_says_so() {
    let place = Place::new();
    let summary = place.output("demo");
    assert_eq!(number(&summary, "frames sent"), 1800, "{summary}");
    assert_eq!(number(&summary, "frames received"), 1800, "{summary}");
    assert_eq!(number(&summary, "frames lost"), 0, "{summary}");
    assert!(summary.contains("checksum equal   yes"), "{summary}");
    assert!(summary.contains("latency p50") && summary.contains("latency p99"), "{summary}");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    let place = Place::new();
    let demo = place.start("demo");
    started(&place, &demo);
    let done = demo.interrupt();
    assert!(done.status.success(), "{done:?}");
    let summary = done.stdout_text();
    assert_eq!(number(&summary, "frames sent"), number(&summary, "frames received"), "{summary}");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn killing_the_parent_ends_its_processes() {
    let place = Place::new();
    let demo = place.start("demo");
    started(&place, &demo);
    demo.kill();
    until("the directory is empty", || place.files().is_empty());
}

#[test]
fn a_viewer_that_dies_with_the_parent_leaves_nothing_either() {
    let place = Place::new();
    let demo = place.start("demo");
    let info = place.info(&started(&place, &demo)).unwrap();
    let attached = info["attached"].as_array().unwrap();
    let viewer = attached.iter().find(|one| one["role"] == "observer").unwrap();
    let viewer = Pid::from_raw(viewer["pid"].as_i64().unwrap() as i32).unwrap();
    kill_process(viewer, Signal::STOP).unwrap();
    demo.kill();
    until("the directory is empty", || place.files().is_empty());
    kill_process(viewer, Signal::KILL).unwrap();
}

#[test]
fn a_killed_acquisition_is_a_failure_and_leaves_nothing() {
    let place = Place::new();
    let demo = place.start("demo");
    let name = started(&place, &demo);
    let pid = place.info(&name).unwrap()["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
    let done = demo.done();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.stderr.contains("the acquisition process failed"), "{done:?}");
    assert_eq!(place.files(), [""; 0]);
}
