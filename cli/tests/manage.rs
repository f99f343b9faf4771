//! Listing, describing and removing streams; and what is said to input that makes no sense.

mod common;

use common::{PATIENCE, Place};
use serde_json::Value;
use std::fs;
use std::time::Instant;

#[test]
fn a_listing_shows_what_there_is() {
    let place = Place::new();
    assert_eq!(place.output("ls").lines().count(), 1, "only the heads");
    assert_eq!(place.output("ls --json").trim(), "[]");

    let live = place.generate("live", "--wave ecg");
    place.output("gen --name kept --channels 3 --type ci16 --rate 1000 --frames 10 --speed max --keep");
    let _reader = place.start("cat live");
    common::until("the reader is listed", || {
        place.info("live").unwrap()["attached"].as_array().unwrap().len() == 2
    });

    let table = place.output("ls");
    let line =
        |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
    for wanted in ["live", "broadcast", "1 ch x i16 @ 360 Hz", "1/32", &live.pid().to_string()] {
        assert!(line("live@v1").contains(wanted), "no '{wanted}' in {table}");
    }
    for wanted in ["ended", "3 ch x ci16 @ 1000 Hz", "0/32"] {
        assert!(line("kept@v1").contains(wanted), "no '{wanted}' in {table}");
    }

    let all: Value = serde_json::from_str(&place.output("ls --json")).unwrap();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|stream| stream["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["kept@v1", "live@v1"]);
    let ecg = &all[1]["channels"][0];
    assert_eq!((&ecg["label"], &ecg["unit"], &ecg["kind"]), (&"MLII".into(), &"mV".into(), &"ECG".into()));
    assert_eq!(all[0]["end"], 10);
    // At least what was asked for: the ring is whole pages.
    assert!((10.0..20.0).contains(&all[1]["retained_seconds"].as_f64().unwrap()));

    let text = place.output("info live");
    for wanted in ["live@v1", "MLII", "mV", "MIT-BIH", "observer"] {
        assert!(text.contains(wanted), "no '{wanted}' in {text}");
    }
}

#[test]
fn a_stream_is_where_one_wants_it() {
    let place = Place::new();
    let generate = |name: &str, backend: &str| {
        format!("gen --name {name} --rate 1000 --frames 10 --speed max --keep --backend {backend}")
    };
    place.output(&generate("s", "system-v"));
    let memory = place.info("s").unwrap()["memory"].as_str().unwrap().to_owned();
    let id = memory.strip_prefix("sysv:id=").unwrap_or_else(|| panic!("{memory}"));
    assert!(place.output("info s").contains(&memory));
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let is_there = |table: &str| table.lines().any(|line| line.split_whitespace().nth(1) == Some(id));
    assert!(is_there(&table), "{id} in {table}");
    assert_eq!(place.output("cat s --no-follow").lines().count(), 11, "a head and ten frames");
    place.output("rm s");
    assert!(!is_there(&fs::read_to_string("/proc/sysvipc/shm").unwrap()));

    place.output(&generate("f", "file"));
    assert!(place.info("f").unwrap()["memory"].as_str().unwrap().starts_with("file:"));
    let homeless = place.command(&generate("g", "file")).env_remove("ANNULUS_DIR").output().unwrap();
    assert_eq!(homeless.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&homeless.stderr).contains("ANNULUS_DIR"));
}

#[test]
fn what_a_stream_says_commands_no_terminal() {
    let place = Place::new();
    let frames = place.path().join("frames");
    fs::write(&frames, [0; 400]).unwrap();
    let hostile = "a\u{1b}[2J\u{7},\u{9b}31mb\u{9d}";
    let mut push = place.command("push a --type i16 --rate 100 --keep --retain 100 --unit \u{1b}]0;x\u{7}");
    push.args(["--label", hostile, "--device", "\u{1b}c"]).stdin(fs::File::open(&frames).unwrap());
    assert!(common::Running::new("push", &mut push).done().status.success());
    // A name that no program of ours would give.
    fs::write(place.object("b\u{1b}[2J@v1"), [0; 10]).unwrap();
    let picture = place.path().join("a.svg");
    let snapshot = format!("view a --snapshot {}", picture.display());
    let table = place.path().join("\u{1b}[2J.csv");
    fs::write(&table, "x\n\u{1b}[2J\n").unwrap();
    let mut shown = String::new();
    for (line, good) in [
        ("info a", true),
        ("info a --json", true),
        ("ls", true),
        ("ls --json", true),
        ("cat a --no-follow", true),
        (&snapshot, true),
        (&format!("play {} --rate 5", table.display()), false),
        ("rm b\u{1b}[2J@v1", false),
    ] {
        let done = place.run(line);
        assert_eq!(done.status.success(), good, "{line}: {}", done.stderr);
        shown += &(done.stdout_text() + &done.stderr);
    }
    shown += &fs::read_to_string(picture).unwrap();
    let commands = shown.lines().find(|line| line.contains(char::is_control));
    assert_eq!(commands, None);
    for wanted in ["a [2J", "b\\u001b[2J@v1", "b [2J@v1", "\\u009b31mb\\u009d", "' [2J' is no f64"] {
        assert!(shown.contains(wanted), "no '{wanted}' in {shown}");
    }
}

#[test]
fn only_what_nobody_produces_or_consumes_is_removed() {
    let place = Place::new();
    let producer = place.generate("a", "");
    let refused = place.run("rm a");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains(&producer.pid().to_string()), "{}", refused.stderr);
    assert!(place.object("a@v1").exists());
    producer.kill();
    let cat = place.start("cat a");
    common::until("the viewer is there", || {
        place.info("a").unwrap()["attached"].as_array().unwrap().len() == 1
    });
    place.output("rm a");
    assert_eq!(place.files(), [""; 0]);
    assert!(cat.interrupt().status.success());
    assert_eq!(place.run("rm a").status.code(), Some(1), "it is gone");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn what_is_no_stream_is_listed_with_the_reason() {
    let place = Place::new();
    place.output("gen --name whole --frames 10 --speed max --keep");
    let object = fs::read(place.object("whole@v1")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(place.object(name), bytes).unwrap();
        fs::set_permissions(place.object(name), fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("empty@v1", &[]);
    write("garbage@v1", &[0xA5; 100_000]);
    write("cut@v1", &object[..object.len() / 2]);
    let mut damaged = object.clone();
    damaged[100] ^= 0xFF;
    write("damaged@v1", &damaged);
    fs::create_dir(place.object("directory@v1")).unwrap();
    std::os::unix::fs::symlink(place.object("whole@v1"), place.object("link@v1")).unwrap();

    let table = place.output("ls");
    for name in ["empty", "garbage", "cut", "damaged", "directory", "link"] {
        let line = table
            .lines()
            .find(|line| line.starts_with(&format!("{name}@v1")))
            .unwrap_or_else(|| panic!("{table}"));
        assert!(line.contains("broken: "), "{line}");
        for command in ["cat", "info", "gen --frames 10 --speed max --name"] {
            let done = place.run(&format!("{command} {name}@v1"));
            assert_eq!(done.status.code(), Some(1), "{command} {name}: {}", done.stderr);
            assert!((1..=2).contains(&done.stderr.lines().count()), "{command} {name}: {}", done.stderr);
        }
        assert!(place.object(&format!("{name}@v1")).symlink_metadata().is_ok(), "{name} was left alone");
    }
    assert_eq!(place.output("cat whole --no-follow").lines().count(), 11, "the others do not suffer");
    let all: Value = serde_json::from_str(&place.output("ls --json")).unwrap();
    let broken = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|stream| stream["state"] == "broken" && stream["error"].is_string());
    assert_eq!(broken.count(), 6);
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    let place = Place::new();
    place.output("gen --name a --frames 10 --speed max --keep --retain 100");
    for line in [
        "",
        "nonsense",
        "gen",
        "gen --name b --channels 0",
        "gen --name b --channels -1",
        "gen --name b --channels 99999999",
        "gen --name b --rate 0",
        "gen --name b --rate nan",
        "gen --name b --rate 1e300",
        "gen --name b --chunk 0",
        "gen --name b --chunk 0ms",
        "gen --name b --chunk 99999999999",
        "gen --name b --chunk 100000 --retain 100 --speed max",
        "gen --name b --type i24",
        "gen --name b --type opaque",
        "gen --name b --speed 0",
        "gen --name b --speed inf",
        "gen --name b --duration 0s",
        "gen --name b --frames 0",
        "gen --name b --retain 0",
        "gen --name b --wave square",
        "cat",
        "cat a --from yesterday",
        "cat a --chunk 0",
        "cat a --chunk 9999999",
        "cat a --wait long",
        "cat a --format xml",
        "cat a --format raw --physical",
    ] {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(2), "annulus {line}: {}", done.stderr);
        assert!(!done.stderr.is_empty() && done.stdout.is_empty(), "annulus {line}");
    }
    assert_eq!(place.files(), ["a@v1.l1"]);
}

#[test]
fn what_cannot_be_done_fails_with_a_reason() {
    let place = Place::new();
    for (line, wanted) in [
        ("cat nobody", "no stream 'nobody@v1'"),
        ("info nobody@v2", "no stream 'nobody@v2'"),
        ("rm nobody", "no stream 'nobody@v1'"),
        ("gen --name a/b", "'a/b'"),
        ("gen --name ../b", "'../b'"),
        ("gen --name a@v0", "'a@v0'"),
        ("cat a/b", "'a/b'"),
        ("gen --name b --retain 9999999h", ""),
        ("gen --name b --rate 1e9 --chunk 1 --retain 10h", ""),
        ("gen --name b --channels 1048576 --type cf32 --retain 100000000", ""),
    ] {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(1), "annulus {line}: {}", done.stderr);
        assert!(
            done.stderr.starts_with("annulus: ") && done.stderr.contains(wanted),
            "annulus {line}: {}",
            done.stderr
        );
        assert!(done.stderr.lines().count() <= 2, "annulus {line}: {}", done.stderr);
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_trusted_is_not_used() {
    let place = Place::new();
    place.set_mode(0o777);
    for line in ["gen --name a --frames 1", "ls", "cat a", "demo"] {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(1), "annulus {line}: {}", done.stderr);
        assert!(done.stderr.contains(place.path().to_str().unwrap()), "annulus {line}: {}", done.stderr);
    }
    place.set_mode(0o700);
    assert_eq!(place.files(), [""; 0]);
    let mut elsewhere = place.command("ls");
    elsewhere.env("ANNULUS_DIR", place.path().join("missing"));
    let done = common::Running::new("ls", &mut elsewhere).done();
    assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("missing"), "{}", done.stderr);
}

#[test]
fn help_is_no_error() {
    let place = Place::new();
    for line in ["--help", "--version", "gen --help", "cat --help", "demo --help"] {
        assert!(!place.output(line).is_empty());
    }
    let help = place.output("--help");
    assert!(!help.contains("demo-viewer") && !help.contains("demo-acquisition"), "{help}");
    assert!(!help.contains("bench-peer"), "{help}");
}

#[test]
fn what_crashes_left_behind_is_pruned_and_nothing_else() {
    let place = Place::new();
    place.output("gen --name kept --frames 10 --speed max --keep");
    fs::write(place.object("garbage@v1"), [0xA5; 100_000]).unwrap();
    let live = place.generate("live", "");
    place.generate("old", "").kill();
    place.generate("watched", "").kill();
    let viewer = place.start("cat watched");
    common::until("the viewer is there", || {
        place.info("watched").unwrap()["attached"].as_array().unwrap().len() == 1
    });
    let seen = place.info("old").unwrap()["seen_seconds"].as_f64().unwrap();
    assert!((0.0..PATIENCE.as_secs_f64()).contains(&seen), "{seen}");
    assert!(place.output("info old").contains("last seen"));

    assert_eq!(place.output("prune --older-than 1h"), "", "it died a moment ago");
    assert_eq!(place.output("prune --json").trim(), "[\n  \"old@v1\"\n]");
    assert_eq!(place.output("prune"), "", "once is enough");
    let mut files = place.files();
    files.sort();
    assert_eq!(files, ["garbage@v1.l1", "kept@v1.l1", "live@v1.l1", "watched@v1.l1"]);

    assert!(viewer.interrupt().status.success());
    assert_eq!(place.output("prune"), "watched@v1\n");
    assert!(live.interrupt().status.success());
}

#[test]
fn an_old_corpse_is_told_by_when_it_was_last_seen() {
    let place = Place::new();
    let before = Instant::now();
    let producer = place.generate("a", "--rate 1000");
    common::until("it has been there for a second", || place.position("a") > 1000);
    producer.kill();
    // Frame 900 was not there before nine tenths of a second were over: it was seen since.
    let seen = place.info("a").unwrap()["seen_seconds"].as_f64().unwrap();
    assert!(seen < before.elapsed().as_secs_f64() - 0.9, "{seen} {:?}", before.elapsed());
    common::until("it is old enough", || place.output("prune --older-than 300ms") == "a@v1\n");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn removal_by_force_spares_nobody() {
    let place = Place::new();
    let producer = place.generate("a", "--rate 1000");
    let viewer = place.start("cat a");
    viewer.until_lines(10);
    place.output("rm --force a");
    assert_eq!(place.files(), [""; 0]);
    let done = producer.done();
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stderr.contains("removed by force"), "{}", done.stderr);
    viewer.until_stderr("replaced or removed");
    // The name is free, and whoever watched it follows.
    let next = place.generate("a", "--wave counter --channels 1 --rate 1000");
    viewer.until_stderr("reading the new one");
    assert!(next.interrupt().status.success());
    assert!(viewer.done().status.success());

    // Also where it waits for a reader that never comes: with a full ring, and at its end.
    for options in ["--speed max --rate 1000 --retain 1s", "--speed max --frames 100 --rate 1000"] {
        let waits = place.generate("q", &format!("--lossless {options}"));
        common::until("it waits", || place.position("q") >= 100);
        place.output("rm -f q");
        let done = waits.done();
        assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
        assert!(
            done.stderr.contains("removed by force") && done.stderr.contains("stopped at"),
            "{}",
            done.stderr
        );
    }

    for (name, bytes) in [("empty", &[][..]), ("garbage", &[0xA5; 100_000][..])] {
        fs::write(place.object(&format!("{name}@v1")), bytes).unwrap();
        assert_eq!(place.run(&format!("rm {name}")).status.code(), Some(1), "{name}");
    }
    let some = place.run("rm -f nothing empty garbage@v1 nothing-either");
    assert_eq!((some.status.code(), some.stderr.lines().count()), (Some(1), 2), "{}", some.stderr);
    assert_eq!(place.files(), [""; 0]);
    assert_eq!(place.run("rm -f a").status.code(), Some(1), "there is none");
}

#[test]
fn shells_and_man_are_told_every_command() {
    let place = Place::new();
    let commands = ["bench", "cat", "demo", "doctor", "gen", "info", "ls", "prune", "rm", "top"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.output(&format!("completions {shell}"));
        for command in commands {
            assert!(text.contains(command), "{shell} knows {command}");
        }
        assert!(text.contains("older-than") && text.contains("foreign"), "{shell} knows options");
        assert!(!text.contains("demo-viewer"), "{shell}: our own processes are not to be typed");
    }
    assert!(place.output("man").contains(".TH annulus 1"));
    place.output(&format!("man --directory {}", place.path().display()));
    for command in commands {
        let page = fs::read_to_string(place.path().join(format!("annulus-{command}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS") || page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(place.run("man --directory /no/such/place").status.code(), Some(1));
}

#[test]
fn sharing_options_need_the_system_scope() {
    let place = Place::new();
    for line in ["gen --name a --mode 644", "gen --name a --group 0"] {
        assert_eq!(place.run(line).status.code(), Some(2), "{line}");
    }
    for line in ["gen --name a --system --mode rw", "gen --name a --system --group no-such-group"] {
        assert_eq!(place.run(line).status.code(), Some(2), "{line}");
    }
}
