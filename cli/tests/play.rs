//! Files that are played: every sample that is in them comes out of the stream, and bad files are refused.

mod common;
#[path = "common/edf.rs"]
mod edf;

use common::{Place, rows, until};
use edf::{Edf, Signal};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mitdb-208.edf");

/// A file of one test, in its own directory.
fn write(place: &Place, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = place.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The embedded recording's counts, without the reader's help: all that comes after one signal's header.
fn counts() -> Vec<f64> {
    let file = fs::read(RECORD).unwrap();
    let counts: Vec<f64> =
        file[512..].chunks(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))).collect();
    assert_eq!(counts.len(), 108_000);
    counts
}

fn assert_counts(csv: &str, wanted: &[f64]) {
    let rows = rows(csv);
    assert_eq!(rows.len(), wanted.len());
    for (at, (row, count)) in (0..).zip(rows.iter().zip(wanted)) {
        assert_eq!((row.0, &row.1[..]), (at, &[*count][..]));
    }
}

#[test]
fn the_record_comes_out_as_it_is_in_the_file() {
    let place = Place::new();
    let done = place.run(&format!("play {RECORD} --name a --speed max --retain 10m --keep"));
    assert!(done.status.success(), "{}", done.stderr);
    assert!(done.stderr.starts_with("annulus: a@v1: 108000 frames in "), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "the summary only: {}", done.stderr);
    let counts = counts();
    assert_counts(&place.output("cat a --from oldest --no-follow --format csv"), &counts);
    let physical = rows(&place.output("cat a --from oldest --no-follow --physical"));
    assert_eq!(physical.len(), counts.len());
    for ((_, volts), count) in physical.iter().zip(&counts) {
        assert!((volts[0] - (count - 1024.0) / 200.0).abs() < 1e-9, "{count}: {volts:?}");
    }
    let info = place.info("a").unwrap();
    assert_eq!((&info["rate"], &info["format"]), (&360.0.into(), &"i16".into()));
    assert_eq!((&info["device"], &info["state"]), (&"MIT-BIH".into(), &"ended".into()));
    let channel = &info["channels"][0];
    assert_eq!((&channel["label"], &channel["unit"]), (&"MLII".into(), &"mV".into()));
    assert_eq!(channel["transducer"], "Holter");
    assert_eq!(info["start_time"], serde_json::Value::Null, "the file says that nobody shall know");
    assert!(!info.to_string().contains("mitdb208"), "the patient's code stays in the file");
}

#[test]
fn lossless_gives_every_frame_through_a_small_ring() {
    let place = Place::new();
    let player = place.start(&format!("play {RECORD} --name a --speed max --retain 1s --lossless"));
    until("the stream is there", || place.info("a").is_some());
    assert_counts(&place.output("cat a"), &counts());
    assert!(player.done().status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_file_is_played_at_its_pace_and_names_its_stream() {
    let place = Place::new();
    // 5 minutes, in 60 ms if it were not paced.
    let player = place.start(&format!("play {RECORD} --speed 2"));
    until("it plays", || place.info("mitdb-208").is_some_and(|info| info["position"].as_u64() > Some(100)));
    let done = player.interrupt();
    assert!(done.status.success() && done.stderr.contains("ended at position"), "{}", done.stderr);
    let frames: u64 = done.stderr.split(' ').nth(2).unwrap().parse().unwrap();
    assert!((100..108_000).contains(&frames), "{}", done.stderr);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_repeated_file_goes_on_with_its_positions() {
    let place = Place::new();
    let file = write(&place, "a.edf", Edf::new(vec![Signal::counting("x", 10, 10, 0)]).bytes());
    let player = place.start(&format!("play {} --name a --speed max --repeat --lossless", file.display()));
    until("the stream is there", || place.info("a").is_some());
    let rows = rows(&place.output("cat a --frames 1234"));
    assert_eq!(rows.len(), 1234);
    for (position, values) in rows {
        assert_eq!(values, [(position % 100) as f64]);
    }
    assert!(player.interrupt().status.success());
}

#[test]
fn all_that_edf_says_about_a_channel_arrives() {
    let place = Place::new();
    let signals = vec![Signal::counting("EEG Fp1", 50, 3, 0), Signal::counting("EEG Fp2", 50, 3, 500)];
    let made = Edf::new(signals).plus("EDF+C", &["+0", "+1", "+2"]);
    let file = write(&place, "night 1.edf", made.bytes());
    let mut command = place.command("play --speed max --keep");
    command.arg(&file);
    let done = common::Running::new("play", &mut command).done();
    assert!(done.status.success(), "{}", done.stderr);
    assert!(
        done.stderr.contains("night-1.markers@v1: what the file says about night-1@v1\n"),
        "{}",
        done.stderr
    );
    let info = place.info("night-1").unwrap();
    assert_eq!(info["start_time"], "2002-03-02T14:27:00Z");
    assert_eq!(info["device"], "Sony MNC R");
    let channel = &info["channels"][1];
    assert_eq!((&channel["label"], &channel["kind"]), (&"Fp2".into(), &"EEG".into()));
    assert_eq!((&channel["unit"], &channel["prefilter"]), (&"uV".into(), &"HP:0.1Hz LP:75Hz".into()));
    assert!(!info.to_string().contains("Harry") && !info.to_string().contains("1951"));
    let text = place.output("cat night-1 --no-follow");
    assert!(text.starts_with("position,Fp1,Fp2\n0,0,500\n1,1,501\n") && text.ends_with("149,149,649\n"));
}

/// Runs it, expects that code, and gives what it said.
fn refused(place: &Place, file: &Path, options: &str, code: i32) -> String {
    let done = place.run(&format!("play {} --speed max {options}", file.display()));
    assert_eq!(done.status.code(), Some(code), "{}: {}", file.display(), done.stderr);
    assert!(done.stderr.starts_with("annulus: ") && done.stderr.lines().count() <= 2, "{}", done.stderr);
    assert!(done.stderr.len() < 500, "{}", done.stderr);
    let left: Vec<String> = place.files().into_iter().filter(|name| name.ends_with(".l1")).collect();
    assert_eq!(left, [""; 0], "no stream was made");
    done.stderr
}

#[test]
fn files_that_cannot_be_played_are_refused_and_say_why() {
    let place = Place::new();
    let whole = fs::read(RECORD).unwrap();
    let refuse = |name: &str, bytes: &[u8], told: &str| {
        let file = write(&place, name, bytes);
        let said = refused(&place, &file, "", 1);
        assert!(said.contains(told) && said.contains(name), "'{said}' does not tell '{told}'");
    };
    refuse(
        "cut.edf",
        &whole[..100_000],
        "says 300 data records, but 138 are whole; to play those, add --truncated",
    );
    refuse("header.edf", &whole[..400], "it is cut off within its header: 400 of 512 bytes are there");
    refuse("short.edf", &whole[..50], "it has only 50 bytes");
    refuse("empty.edf", b"", "it is empty");
    refuse("text.edf", &b"Dear diary, ".repeat(100), "it does not begin like one");
    refuse("unknown", &b"Dear diary, ".repeat(100), "it is neither EDF, BDF, XDF nor WAV");
    refuse("image.wav", &whole, "it is no WAV file");
    refuse("mixed.csv", b"1,2,NA\n3,4,5\n", "a frame has numbers only");
    refuse("commas.csv", &[b','; 1 << 20], "more than a stream has channels");
    refuse("coarse.csv", b"t,x\n0,1\n0,2\n0,3\n1,4\n1,5\n1,6\n2,7\n", "--rate plays it regardless");
    refuse("hostile.edf", &[&whole[..236], b"\x1b[2J\x9b2J ", &whole[244..]].concat(), "header is '[2J");
    let patched = |at: usize, text: &str| {
        let mut bytes = whole.clone();
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        bytes
    };
    let mut huge = patched(252, "9999");
    huge[184..192].copy_from_slice(b"2560000 ");
    refuse("huge.edf", &huge, "cut off within its header");
    refuse("records.edf", &patched(236, "99999999"), "says 99999999 data records, but 300 are whole");
    refuse("samples.edf", &patched(256 + 216, "99999999"), "but 0 are whole");
    refuse("range.edf", &patched(256 + 128, "0   "), "digital range is 0 to 0");
    refuse("scale.edf", &patched(256 + 112, "-5.12"), "physical minimum and maximum are both -5.12");
    let fifo = place.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    assert!(refused(&place, &fifo, "", 1).contains("annulus push"));
    assert!(refused(&place, place.path(), "", 1).contains("it is no file"));
    assert!(refused(&place, &place.path().join("nowhere.edf"), "", 1).contains("No such file"));
    let file = write(&place, "fine.edf", &whole);
    assert!(refused(&place, &file, "--channels V5", 2).contains("there is no 'V5', but MLII"));
    let table = write(&place, "table.csv", "1,2\n3,4\n");
    assert!(refused(&place, &table, "", 2).contains("--rate is needed"));
    let minutes = write(&place, "minutes.csv", "Time (min),x\n0,1\n1,2\n");
    assert!(refused(&place, &minutes, "", 2).contains("--rate is needed"));
    assert!(refused(&place, &file, "--rate 100", 2).contains("for CSV"));
    assert!(refused(&place, &file, "--chunk 10h", 2).contains("do not fit into the ring"));

    let file = write(&place, "cut.edf", &whole[..100_000]);
    let done = place.run(&format!("play {} --speed max --truncated", file.display()));
    assert!(done.status.success() && done.stderr.contains("cut@v1: 49680 frames in"), "{}", done.stderr);
    let file = write(&place, "open.edf", patched(236, "-1      "));
    let done = place.run(&format!("play {} --speed max", file.display()));
    assert!(done.stderr.contains("never finished: 300 whole data records"), "{}", done.stderr);
    assert!(done.status.success() && done.stderr.contains("open@v1: 108000 frames in"), "{}", done.stderr);
}

#[test]
fn wav_files_are_played() {
    let place = Place::new();
    for (bits, float, kind) in [
        (16, hound::SampleFormat::Int, "i16"),
        (24, hound::SampleFormat::Int, "i32"),
        (32, hound::SampleFormat::Float, "f32"),
    ] {
        let path = place.path().join("tone.wav");
        let spec =
            hound::WavSpec { channels: 2, sample_rate: 8000, bits_per_sample: bits, sample_format: float };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for frame in -100_i32..100 {
            for sample in [frame, -frame * 300] {
                match float {
                    hound::SampleFormat::Int => writer.write_sample(sample).unwrap(),
                    hound::SampleFormat::Float => writer.write_sample(sample as f32).unwrap(),
                }
            }
        }
        writer.finalize().unwrap();
        place.output(&format!("play {} --speed max --keep", path.display()));
        let info = place.info("tone").unwrap();
        assert_eq!((&info["format"], &info["rate"]), (&kind.into(), &8000.0.into()));
        let significant = if bits == 24 { 24 } else { 0 };
        assert_eq!(info["channels"][0]["significant_bits"], significant);
        let text = place.output("cat tone --no-follow");
        assert!(text.starts_with("position,L,R\n"), "{text:.50}");
        let rows = rows(&text);
        assert_eq!(rows.len(), 200);
        for (position, values) in rows {
            let frame = position as f64 - 100.0;
            assert_eq!(values, [frame, -frame * 300.0 + 0.0], "{kind}");
        }
        place.output("rm tone");
    }
}

#[test]
fn what_cat_wrote_is_played_back() {
    let place = Place::new();
    for (options, rate) in
        [("--wave noise --type i16", 500), ("--wave noise --type cf32", 500), ("--wave ecg", 360)]
    {
        place.output(&format!("gen --name a {options} --rate {rate} --frames 2000 --speed max --keep"));
        let kind = place.info("a").unwrap()["format"].as_str().unwrap().to_owned();
        let text = place.output("cat a --no-follow");
        let file = write(&place, "b.csv", &text);
        let play = format!("play {} --rate {rate} --type {kind} --speed max --keep", file.display());
        place.output(&play);
        assert!(place.output("cat b --no-follow") == text, "{options}");
        place.output("rm a");
        place.output("rm b");
    }
}

#[test]
fn what_comes_before_a_bad_line_is_played() {
    let place = Place::new();
    let file = write(&place, "c.csv", "time,x,y\n0.0,1,2\n0.5,3,4\n1.0,5,oops\n1.5,6,7\n");
    for chunk in [1, 2, 100] {
        let line = format!("play {} --speed max --keep --retain 1000 --chunk {chunk}", file.display());
        let done = place.run(&line);
        assert_eq!(done.status.code(), Some(1));
        assert!(done.stderr.contains("c.csv: line 4, column 3: 'oops' is no f64"), "{}", done.stderr);
        assert!(done.stderr.contains("c@v1: 2 frames"), "{chunk}: {}", done.stderr);
        assert_eq!(place.output("cat c --no-follow"), "position,x,y\n0,1.0,2.0\n1,3.0,4.0\n");
        place.output("rm c");
    }
}

#[test]
fn a_terminal_sees_how_far_it_is() {
    let place = Place::new();
    let size = PtySize { rows: 10, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_annulus"));
    command.args(["play", RECORD, "--name", "a", "--speed", "300"]);
    command.env("ANNULUS_DIR", place.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut said = Vec::new();
    // The pty of a process that is gone gives an error instead of an end.
    let _ = pty.master.try_clone_reader().unwrap().read_to_end(&mut said);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(said.clone()).unwrap();
    assert!(shown.contains("a@v1   position ") && shown.contains(" of 5:00   "), "{shown:?}");
    let mut screen = vt100::Parser::new(10.try_into().unwrap(), 100.try_into().unwrap(), 0);
    screen.process(&said);
    let text = screen.screen().contents();
    assert!(text.starts_with("annulus: a@v1: 108000 frames in "), "only the summary stays: {text}");
}
