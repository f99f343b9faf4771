//! Markers: made by one command, kept beside the signal, and written out by another.

mod common;
#[path = "common/edf.rs"]
mod edf;

use common::{Place, until};
use edf::{Edf, Signal};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

#[test]
fn what_happens_is_kept_beside_the_signal() {
    let place = Place::new();
    let signal = place.generate("ecg", "--wave counter --rate 1000");
    let done = place.run("mark ecg eyes-closed --at 120 --frames 30 --code -7");
    assert!(
        done.stderr.contains("ecg.markers@v1: \"eyes-closed\" at position 120 of ecg@v1"),
        "{}",
        done.stderr
    );

    // Lines of another program, as they come.
    let mut command = place.command("mark ecg");
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    writeln!(pipe, "stimulus 1, \"left\"\nstimulus 2").unwrap();
    drop(pipe);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));

    let csv = place.output("cat ecg.markers --no-follow");
    let lines: Vec<&str> = csv.lines().collect();
    let [header, first, second, third] = lines[..] else { panic!("{csv}") };
    assert_eq!(header, "position,at,frames,code,utc,text");
    assert!(first.starts_with("0,120,30,-7,") && first.ends_with(",eyes-closed"), "{first}");
    assert!(second.ends_with(",\"stimulus 1, \"\"left\"\"\""), "{second}");
    assert!(third.ends_with(",stimulus 2"), "{third}");
    let at: u64 = third.split(',').nth(1).unwrap().parse().unwrap();
    assert!(at <= place.position("ecg"));
    assert_eq!(place.info("ecg.markers").unwrap()["marks"], "ecg@v1");

    let refused = place.command("mark ecg.markers twice").output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("mark the signal, ecg@v1"), "{why}");
    let long = "x".repeat(500);
    let refused = place.command(&format!("mark ecg {long}")).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("at most 448 bytes, not 500"), "{why}");

    // Of another signal under the same name nothing is said.
    signal.interrupt();
    let _other = place.generate("ecg", "--wave counter --rate 500");
    let csv = place.output("cat ecg.markers --no-follow");
    assert!(csv.lines().nth(1).unwrap().starts_with("0,,30,-7,"), "{csv}");
    place.run("rm ecg.markers");
}

#[test]
fn markers_are_in_the_recording() {
    let place = Place::new();
    let signal = place.generate("ecg", "--wave counter --type i16 --rate 1000 --retain 30s");
    place.run("mark ecg eyes-closed --at 120 --frames 30 --code -7");
    place.run("mark ecg far-away --at 100000000");
    let file = |ending: &str| place.path().join(format!("x.{ending}"));
    let record = |ending: &str, names: &str| {
        let done =
            place.run(&format!("record {names} --from oldest --frames 500 -o {}", file(ending).display()));
        let expected = if ending == "csv" { "not kept" } else { "recorded, too" };
        assert!(
            done.stderr.contains(&format!("ecg.markers@v1: its markers are {expected}")),
            "{}",
            done.stderr
        );
        if ending != "csv" {
            assert!(done.stderr.contains("1 markers lie behind the end"), "{}", done.stderr);
        }
    };
    let holds = |ending: &str, text: &[u8]| {
        let bytes = fs::read(file(ending)).unwrap();
        bytes.windows(text.len()).any(|window| window == text)
    };
    for ending in ["edf", "bdf", "xdf", "wav", "sigmf", "csv"] {
        record(ending, "ecg");
    }
    // In EDF times count from a whole second, which the first record lies behind.
    let after = |ending: &str, text: &str| -> f64 {
        let bytes: String = fs::read(file(ending)).unwrap().into_iter().map(char::from).collect();
        let onset = |up_to: usize| bytes[bytes[..up_to].rfind('+').unwrap()..up_to].parse::<f64>().unwrap();
        onset(bytes.find(text).unwrap()) - onset(bytes.find("\x14\x14").unwrap())
    };
    for ending in ["edf", "bdf"] {
        let seconds = after(ending, "\x150.03\x14eyes-closed (-7)\x14");
        assert!((seconds - 0.12).abs() < 1e-6, "{ending}: {seconds}");
    }
    assert!(holds("xdf", b"eyes-closed (-7)") && holds("wav", b"eyes-closed (-7)"));
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(file("sigmf-meta")).unwrap()).unwrap();
    let found = &meta["annotations"][0];
    assert_eq!(
        (&found["core:sample_start"], &found["core:sample_count"]),
        (&120.into(), &30.into()),
        "{meta}"
    );
    assert_eq!(found["core:comment"], "eyes-closed (-7)");

    // They may be named, but not alone.
    fs::remove_file(file("edf")).unwrap();
    record("edf", "ecg ecg.markers");
    let refused =
        place.command(&format!("record ecg.markers -o {}", file("bdf").display())).output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("are markers of ecg@v1: name that, too"), "{why}");
    signal.interrupt();
    place.run("rm ecg.markers");
}

/// An interrupted file of 500 frames at 100 Hz, in which something happened.
fn eventful(place: &Place) -> PathBuf {
    let mut made = Edf::new(vec![Signal::counting("EEG Cz", 100, 5, 0)])
        .plus("EDF+D", &["+0.5", "+1.5", "+2.5", "+13.5", "+14.5"]);
    made.annotations = [
        "+0.5\x14\x14\0+1.7\x150.3\x14eyes closed (-7)\x14\0",
        "+1.5\x14\x14\0+2.2\x14\u{e4}h, \x14x (0)\x14\0",
        "+2.5\x14\x14\0+9\x14in the gap\x14\0+13.5\x147\x14\0",
        "+13.5\x14\x14\0+14.25\x150.2\x14BAD_ACQ_SKIP 1\x14\0",
        "+14.5\x14\x14\0+15.49\x14last\x14\0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let path = place.path().join("eventful.edf");
    fs::write(&path, made.bytes()).unwrap();
    path
}

/// The markers of a stream: where, how long, number and text.
fn markers(place: &Place, name: &str) -> Vec<String> {
    let csv = place.output(&format!("cat {name}.markers --no-follow"));
    let one = |line: &str| {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        [fields[1], fields[2], fields[3], fields[5]].join(",")
    };
    csv.lines().skip(1).map(one).collect()
}

#[test]
fn markers_of_a_file_come_back() {
    let place = Place::new();
    let file = eventful(&place);
    let done = place.run(&format!("play {} --name a --speed max --keep", file.display()));
    assert!(done.status.success(), "{}", done.stderr);
    let all = [
        "120,30,-7,eyes closed",
        "170,0,0,\"\u{e4}h, \"",
        "170,0,0,x (0)",
        "300,0,0,in the gap",
        "300,0,7,",
        "479,0,0,last",
    ];
    assert_eq!(markers(&place, "a"), all);
    assert_eq!(place.info("a.markers").unwrap()["marks"], "a@v1");

    // One that is added is recorded with the others.
    assert!(place.run("mark a bye --at 200 --frames 7 --code 9").status.success());
    let mut all = all.map(str::to_owned).to_vec();
    all.insert(3, "200,7,9,bye".to_owned());
    for ending in ["edf", "bdf", "xdf", "wav", "sigmf"] {
        let copy = place.path().join(format!("{ending}.{ending}"));
        let done = place.run(&format!("record a --from oldest -o {}", copy.display()));
        assert!(done.status.success(), "{}", done.stderr);
        let done = place.run(&format!("play {} --speed max --keep", copy.display()));
        assert!(done.status.success() && done.stderr.contains("frames missing"), "{}", done.stderr);
        // A text in XDF has no length.
        let wanted = all.iter().map(|one| match ending {
            "xdf" => one.replace(",30,-7", ",0,-7").replace(",7,9,", ",0,9,"),
            _ => one.clone(),
        });
        let mut found = markers(&place, ending);
        found.sort();
        let mut wanted: Vec<String> = wanted.collect();
        wanted.sort();
        assert_eq!(found, wanted, "{ending}: no gap is a marker");
        assert_eq!(place.position(ending), 480);
    }
}

#[test]
fn a_repeated_file_brings_its_markers_again() {
    let place = Place::new();
    let file = eventful(&place);
    let player = place.start(&format!("play {} --name a --speed max --repeat --lossless", file.display()));
    until("the stream is there", || place.info("a").is_some());
    place.output("cat a --frames 1500");
    until("the third round's are there", || markers(&place, "a").len() >= 13);
    let found = markers(&place, "a");
    for (round, expected) in
        [(0, "120,30,-7,eyes closed"), (1, "600,30,-7,eyes closed"), (2, "1080,30,-7,eyes closed")]
    {
        assert_eq!(found[6 * round], expected);
    }
    assert!(player.interrupt().status.success());
}
