//! `annulus doctor`: what it says of this machine, and of what is left in a directory. Its checks have made-up machines of
//! their own, in `src/checks`.

mod common;

use common::{Place, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

/// What it says, by check, and its exit code.
fn doctor(place: &Place) -> (Vec<Value>, Option<i32>) {
    let done = place.run("doctor --json");
    (serde_json::from_slice(&done.stdout).unwrap(), done.status.code())
}

fn said<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings
        .iter()
        .find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("no {check} in {findings:?}"))
}

#[test]
fn all_is_checked_and_told() {
    let place = Place::new();
    let _live = place.generate("live", "");
    let (findings, code) = doctor(&place);
    for check in [
        "mount",
        "access",
        "space",
        "unnamed memory",
        "RemoveIPC",
        "memory limit",
        "locked memory",
        "real time",
        "descriptors",
        "kernel",
        "clock",
        "processors",
        "huge pages",
        "System V",
        "namespaces",
        "own streams",
        "shared streams",
        "other programs",
    ] {
        let finding = said(&findings, check);
        assert!(!finding["found"].as_str().unwrap().is_empty(), "{finding}");
        let (level, remedy) = (finding["level"].as_str().unwrap(), finding["do"].as_str().unwrap());
        assert!(["ok", "warning", "problem"].contains(&level), "{finding}");
        assert!(
            level == "ok" || !remedy.is_empty() || !finding["means"].as_str().unwrap().is_empty(),
            "{finding}"
        );
    }
    let problems = findings.iter().filter(|finding| finding["level"] == "problem").count();
    assert_eq!(code, Some(i32::from(problems > 0)), "{findings:?}");
    assert_eq!(
        (&said(&findings, "access")["level"], &said(&findings, "mount")["level"]),
        (&"ok".into(), &"ok".into())
    );
    assert_eq!(said(&findings, "own streams")["level"], "ok", "one that lives is no leftover");

    let text = place.run("doctor").stdout_text();
    for finding in &findings {
        assert!(text.contains(finding["check"].as_str().unwrap()), "no {finding} in {text}");
    }
}

#[test]
fn what_a_crash_left_is_told_until_it_is_pruned() {
    let place = Place::new();
    place.generate("dead", "").kill();
    place.output("gen --name kept --rate 1000 --frames 10 --speed max --keep");
    let (findings, _) = doctor(&place);
    let found = said(&findings, "own streams");
    assert_eq!((&found["level"], &found["do"]), (&"warning".into(), &"annulus prune".into()));
    let text = found["found"].as_str().unwrap();
    assert!(text.contains("dead@v1 (dead)") && !text.contains("kept"), "{found}");
    place.output("prune");
    assert_eq!(said(&doctor(&place).0, "own streams")["level"], "ok");
    fs::write(place.object("broken@v1"), [0; 100]).unwrap();
    let (findings, _) = doctor(&place);
    let found = said(&findings, "own streams");
    assert!(
        found["level"] == "warning" && found["found"].as_str().unwrap().contains("broken@v1.l1"),
        "{found}"
    );
}

#[test]
fn a_stream_that_lost_its_name_is_told_with_who_holds_it() {
    let place = Place::new();
    let live = place.generate("a", "");
    let pid = live.pid().to_string();
    assert_eq!(said(&doctor(&place).0, "unnamed memory")["level"], "ok");
    // As RemoveIPC does it.
    fs::remove_file(place.object("a@v1")).unwrap();
    let (findings, _) = doctor(&place);
    let found = said(&findings, "unnamed memory");
    assert!(found["level"] == "warning" && found["found"].as_str().unwrap().ends_with(&pid), "{found}");
    live.signal(Signal::KILL);
    until("it is gone with its holder", || said(&doctor(&place).0, "unnamed memory")["level"] == "ok");
}

#[test]
fn a_directory_that_cannot_be_used_is_a_problem() {
    let place = Place::new();
    place.set_mode(0o777);
    let done = place.run("doctor");
    assert_eq!(done.status.code(), Some(1), "{}", done.stdout_text());
    assert!(done.stdout_text().contains("problem  access") && done.stdout_text().contains("do: chmod "));
    assert!(done.stderr.contains("problems"), "{}", done.stderr);
    let findings: Vec<Value> = serde_json::from_slice(&place.run("doctor --json").stdout).unwrap();
    assert_eq!(said(&findings, "access")["level"], "problem");
    assert_eq!(said(&findings, "directory")["level"], "problem");
}
