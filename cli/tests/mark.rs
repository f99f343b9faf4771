//! Markers: made by one command, kept beside the signal, and written out by another.

mod common;

use common::Place;
use std::io::Write;
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
