//! What is recorded is what was pushed, in each kind of file, whatever ends the recording.

mod common;

use annulus::Channel;
use common::files::{Files, fine, playable, played};
use common::{Place, Running, assert_counts, rows, until};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/mitdb-208.edf");

/// The sample types that each kind of file holds.
const FORMS: [(&str, &[&str]); 6] = [
    ("edf", &["i8", "u8", "i16"]),
    ("bdf", &["i8", "u8", "i16", "u16"]),
    ("xdf", &["i8", "u8", "i16", "u16", "i32", "u32", "i64", "f32", "f64", "ci16", "cu8", "cf32"]),
    ("wav", &["u8", "i8", "i16", "i32", "f32", "f64", "ci16", "cu8", "cf32"]),
    ("sigmf", &["i8", "u8", "i16", "u16", "i32", "u32", "f32", "f64", "ci16", "cu8", "cf32"]),
    ("csv", &["i8", "u8", "i16", "u16", "i32", "u32", "i64", "f32", "f64", "ci16", "cu8", "cf32"]),
];

#[test]
fn every_sample_type_comes_back_as_it_was() {
    let place = Place::new();
    let files = Files::new(&place);
    // All of them take long.
    let all = env::var_os("ANNULUS_ALL_RECORDINGS").is_some();
    let types = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "f32", "f64", "ci16", "cu8", "cf32"];
    for (nth, kind) in types.into_iter().enumerate() {
        let options = format!("--wave noise --channels 3 --rate 1000 --frames 2345 --type {kind}");
        place.output(&format!("gen --name a {options} --speed max --keep --retain 3000"));
        let pushed = place.output("cat a --no-follow");
        let pushed = pushed.split_once('\n').unwrap().1;
        for (at, (form, holds)) in FORMS.into_iter().enumerate() {
            if !all && (nth + at) % 6 != 0 {
                continue;
            }
            let file = files.path(&format!("{kind}.{form}"));
            let done = place.run(&format!("record a -o {file}"));
            if !holds.contains(&kind) {
                assert_eq!(done.status.code(), Some(2), "{kind} in {form}: {}", done.stderr);
                assert!(done.stderr.contains(&format!(".{form} cannot hold it")), "{}", done.stderr);
                let told =
                    FORMS.iter().find(|(form, holds)| *form != "csv" && holds.contains(&kind)).unwrap().0;
                assert!(done.stderr.contains(&format!(".{told}")), "{}", done.stderr);
                continue;
            }
            fine(&done);
            assert!(done.stderr.contains("a@v1: 2345 frames, 0 lost, 0 restarts\n"), "{}", done.stderr);
            let options = if form == "csv" { format!("--type {kind}") } else { String::new() };
            let (back, said) = played(&place, &playable(&file), &options);
            assert!(back == pushed, "{kind} in {form}: {said}");
            assert!(!said.contains("missing"), "{said}");
        }
        place.output("rm a");
    }
}

#[test]
fn what_is_known_about_the_signal_is_kept() {
    let place = Place::new();
    let files = Files::new(&place);
    let dated = fs::read(RECORD).unwrap();
    // Of a record whose date is known.
    let mut bytes = dated;
    bytes[88..88 + 40].copy_from_slice(format!("{:<40}", "Startdate 02-MAR-2002 X X MIT-BIH").as_bytes());
    bytes[168..184].copy_from_slice(b"02.03.0214.27.05");
    let source = files.path("source.edf");
    fs::write(&source, bytes).unwrap();
    place.output(&format!("play {source} --name a --speed max --retain 10m --keep"));
    let info = place.info("a").unwrap();
    assert_eq!(info["start_time"], "2002-03-02T14:27:05Z");
    let pushed = place.output("cat a --no-follow");
    for (form, labels, start) in [
        ("edf", true, true),
        ("bdf", true, true),
        ("xdf", true, true),
        ("sigmf", true, true),
        ("wav", false, true),
        ("csv", false, false),
    ] {
        let file = files.path(&format!("b.{form}"));
        fine(&place.run(&format!("record a -o {file} --as-recorded")));
        let options = if form == "csv" { "--type i16" } else { "" };
        let play = format!("play {} --name b --speed max --retain 10m --keep {options}", playable(&file));
        place.output(&play);
        let back = place.info("b").unwrap();
        assert_eq!(back["rate"], 360.0, "{form}");
        assert_eq!(
            back["start_time"],
            if start { info["start_time"].clone() } else { None::<()>.into() },
            "{form}"
        );
        if labels {
            for field in
                ["label", "kind", "unit", "scale", "offset", "transducer", "physical_range", "digital_range"]
            {
                assert_eq!(back["channels"][0][field], info["channels"][0][field], "{form} {field}");
            }
        }
        if form != "csv" {
            assert_eq!(back["device"], "MIT-BIH", "{form}");
        }
        let text = place.output("cat b --no-follow");
        assert!(text.split_once('\n').unwrap().1 == pushed.split_once('\n').unwrap().1, "{form}");
        place.output("rm b");
    }
}

#[test]
fn a_record_of_a_tenth_of_a_second_is_not_filled_up_in_what_comes_back() {
    let place = Place::new();
    let files = Files::new(&place);
    place.output(
        "gen --name a --wave counter --type i16 --channels 2 --rate 1000 --frames 1234 --speed max --keep",
    );
    let file = files.path("a.edf");
    fine(&place.run(&format!("record a -o {file}")));
    let bytes = fs::read(&file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text[192..].starts_with("EDF+C") && text[236..].starts_with("13      0.1     "),
        "{}",
        &text[..256]
    );
    assert!(
        text.contains("BAD_ACQ_SKIP the recording ended before"),
        "66 frames of the last record are none"
    );
    let (back, _) = played(&place, &file, "");
    let rows = rows(&back);
    assert_eq!(rows.len(), 1234);
    assert_counts(&rows, 2, 15);
}

/// Starts a recorder, and waits until it has begun.
fn start(place: &Place, line: &str, file: &str) -> Running {
    let recorder = place.start(&format!("record {line} -o {file}"));
    let length = || Path::new(file).metadata().map_or(0, |found| found.len());
    until("the recording has begun", || length() > 512);
    recorder
}

#[test]
fn gaps_are_where_they_were() {
    let place = Place::new();
    let files = Files::new(&place);
    let small = "--wave counter --type i16 --channels 2 --rate 2000 --retain 500 --keep";
    let producer = place.generate("a", small);
    let all =
        ["edf", "bdf", "xdf", "wav", "sigmf", "csv"].map(|form| (form, files.path(&format!("a.{form}"))));
    let recorders = all.each_ref().map(|(_, file)| {
        let data = playable(file);
        let recorder = place.start(&format!("record a -o {file}"));
        until("the recording has begun", || {
            Path::new(&data).metadata().is_ok_and(|found| found.len() > 1000)
        });
        recorder
    });
    recorders.iter().for_each(|recorder| recorder.signal(Signal::STOP));
    let position = place.position("a");
    until("they are lapped", || place.position("a") > position + 2000);
    recorders.iter().for_each(|recorder| recorder.signal(Signal::CONT));
    recorders.iter().for_each(|recorder| recorder.until_stderr("lapped"));
    let position = place.position("a");
    until("they go on", || place.position("a") > position + 500);
    producer.kill();
    recorders.iter().for_each(|recorder| recorder.until_stderr("died at position"));
    let position = place.position("a");
    let producer = place.generate("a", small);
    until("the next one is there", || place.position("a") > position + 500);
    producer.interrupt();
    for ((form, file), recorder) in all.iter().zip(recorders) {
        let done = recorder.done();
        fine(&done);
        let (back, said) = played(&place, &playable(file), if *form == "csv" { "--type i16" } else { "" });
        let number = |text: &str, before: &str| -> u64 {
            let at = text.find(before).unwrap_or_else(|| panic!("no '{before}' in {text}"));
            text[at + before.len()..].split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        let (lost, position) =
            (number(&done.stderr, "a@v1: lost "), number(&done.stderr, "frames before position "));
        let restart = number(&done.stderr, "a new producer carries on at position ");
        // The counter tells which frames these are.
        let rows = rows(&back);
        let first = rows[0].1[0] as u64;
        let counts: Vec<u64> = rows.iter().map(|(_, values)| values[0] as u64 % (1 << 15)).collect();
        let at = counts.windows(2).position(|pair| pair[1] != (pair[0] + 1) % (1 << 15)).unwrap() + 1;
        assert_eq!(counts[at] - counts[at - 1] - 1, lost, "{form}");
        assert_eq!(counts[at], position % (1 << 15), "{form}");
        assert!(
            done.stderr.contains(&format!("a@v1: {} frames, {lost} lost, 1 restarts", rows.len())),
            "{}",
            done.stderr
        );
        let cause = if matches!(*form, "xdf" | "csv") { "no cause told" } else { "lapped" };
        let told =
            format!("before its frame {}: {lost} frames missing: {cause}", position - lost - first + 1);
        assert!(said.contains(&told), "{form}: '{told}' is not in {said}");
        let told = format!("before its frame {}: ", restart - lost - first + 1);
        assert!(said.contains(&told), "{form}: '{told}' is not in {said}");
        if matches!(*form, "edf" | "bdf") {
            let bytes = fs::read(file).unwrap();
            assert_eq!(&bytes[192..197], format!("{}+D", form.to_uppercase()).as_bytes());
        }
    }
}

#[test]
fn a_killed_recorder_leaves_a_file() {
    let place = Place::new();
    let files = Files::new(&place);
    let _producer = place.generate("a", "--wave counter --type i16 --channels 8 --rate 5000 --recorders 12");
    let forms = ["edf", "bdf", "xdf", "wav", "sigmf", "csv"];
    let recorders: Vec<_> = (0..12)
        .map(|nth| {
            let form = forms[nth % 6];
            let file = files.path(&format!("{nth}.{form}"));
            let recorder = place.start(&format!("record a -o {file}"));
            (form, playable(&file), recorder)
        })
        .collect();
    for (form, data, recorder) in recorders {
        until("the recording has begun", || {
            Path::new(&data).metadata().is_ok_and(|found| found.len() > 4000)
        });
        std::thread::sleep(Duration::from_millis(83));
        let position = place.position("a");
        recorder.kill();
        let options = if form == "csv" { "--type i16" } else { "" };
        let (back, said) = played(&place, &data, options);
        let rows = rows(&back);
        let first = rows[0].1[0] as u64;
        let counted: Vec<_> = rows.iter().map(|(at, values)| (at + first, values.clone())).collect();
        assert_counts(&counted, 8, 15);
        let missed = position.saturating_sub(first + rows.len() as u64);
        assert!(missed < 5000, "{form}: the last {missed} frames are not there: {said}");
    }
}

#[test]
fn the_end_is_at_a_limit_or_when_the_user_says_so() {
    let place = Place::new();
    let files = Files::new(&place);
    let producer = place.generate("a", "--wave counter --type i16 --channels 1 --rate 1000 --recorders 2");
    let file = files.path("frames.csv");
    let done = place.run(&format!("record a -o {file} --frames 123"));
    assert!(done.stderr.contains("a@v1: 123 frames, 0 lost"), "{}", done.stderr);
    let file = files.path("time.csv");
    let done = place.run(&format!("record a -o {file} --duration 250ms --from oldest"));
    assert!(done.stderr.contains("a@v1: 250 frames, 0 lost"), "{}", done.stderr);
    assert!(fs::read_to_string(&file).unwrap().starts_with("time,ch1\n0.000000,0\n0.001000,1\n"));
    let (back, file) = (place.position("a"), files.path("back.csv"));
    let done = place.run(&format!("record a -o {file} --from 200ms --frames 1"));
    fine(&done);
    let first: u64 =
        fs::read_to_string(&file).unwrap().trim_end().rsplit(',').next().unwrap().parse().unwrap();
    assert!(first + 200 >= back, "{first} {back}");
    let file = files.path("at.csv");
    fine(&place.run(&format!("record a -o {file} --from 77 --frames 1")));
    assert_eq!(fs::read_to_string(&file).unwrap(), "time,ch1\n0.000000,77\n");
    let recorder = start(&place, "a", &files.path("stopped.edf"));
    let done = recorder.interrupt();
    fine(&done);
    assert!(done.stderr.contains("stopped.edf: ") && !done.stderr.contains("no seats"), "{}", done.stderr);
    played(&place, &files.path("stopped.edf"), "");
    producer.interrupt();
}

#[test]
fn a_stream_with_one_reader_is_recorded_as_that_one() {
    let place = Place::new();
    let files = Files::new(&place);
    let shape =
        "--wave counter --type i16 --channels 2 --rate 100000 --frames 30000 --retain 1000 --lossless";
    let producer = place.start(&format!("gen --name a {shape} --speed max"));
    until("the stream is there", || place.info("a").is_some());
    let file = files.path("a.wav");
    let done = place.run(&format!("record a -o {file}"));
    assert!(done.stderr.contains("a@v1: 30000 frames, 0 lost, 0 restarts"), "{}", done.stderr);
    fine(&producer.done());
    let (back, _) = played(&place, &file, "");
    let rows = rows(&back);
    assert_eq!(rows.len(), 30_000);
    assert_counts(&rows, 2, 15);
}

#[test]
fn a_terminal_sees_how_it_goes() {
    let place = Place::new();
    let files = Files::new(&place);
    let _producer = place.generate("a", "--wave counter --type i16 --channels 2 --rate 5000 --recorders 1");
    let size = PtySize { rows: 10, cols: 100, pixel_width: 0, pixel_height: 0 };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_annulus"));
    command.args(["record", "a", "-o", &files.path("a.edf"), "--duration", "600ms"]);
    command.env("ANNULUS_DIR", place.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut said = Vec::new();
    // The pty of a process that is gone gives an error instead of an end.
    let _ = pty.master.try_clone_reader().unwrap().read_to_end(&mut said);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(said.clone()).unwrap();
    assert!(shown.contains("a@v1   0:00   5000 Hz   0 lost   "), "{shown:?}");
    let mut screen = vt100::Parser::new(10.try_into().unwrap(), 100.try_into().unwrap(), 0);
    screen.process(&said);
    let text = screen.screen().contents();
    assert!(text.starts_with("annulus: a@v1: 3000 frames, 0 lost"), "only the summary stays: {text}");
}

#[test]
fn files_are_not_overwritten_by_mistake() {
    let place = Place::new();
    let files = Files::new(&place);
    place.output("gen --name a --wave counter --type i16 --frames 100 --speed max --keep");
    for form in ["edf", "xdf", "sigmf"] {
        let file = files.path(&format!("a.{form}"));
        fine(&place.run(&format!("record a -o {file}")));
        let before = fs::read(playable(&file)).unwrap();
        let refused = place.run(&format!("record a -o {file}"));
        assert_eq!(refused.status.code(), Some(1));
        assert!(refused.stderr.contains("exists already; --force overwrites it"), "{}", refused.stderr);
        assert_eq!(fs::read(playable(&file)).unwrap(), before);
        fine(&place.run(&format!("record a -o {file} --force --frames 50")));
    }
    let before = files.names();
    for (line, code, told) in [
        ("record a -o /nowhere/a.edf", 1, "No such file"),
        ("record a -o a.mp3", 2, ".edf, .bdf, .xdf, .wav, .sigmf, .csv"),
        ("record a a -o a.edf", 2, ".xdf holds several"),
        ("record a -o a.edf --from yesterday", 2, "give now, oldest"),
        ("record nobody -o a.edf", 1, "nobody"),
    ] {
        let done = place.run(line);
        assert!(done.status.code() == Some(code) && done.stderr.contains(told), "{line}: {}", done.stderr);
    }
    let nothing = files.path("nothing.edf");
    let done = place.run(&format!("record a -o {nothing} --from now"));
    assert!(!done.status.success() && done.stderr.contains("no frames came"), "{}", done.stderr);
    assert_eq!(files.names(), before);
}

#[test]
fn several_streams_share_a_file() {
    let place = Place::new();
    let files = Files::new(&place);
    let slow = "--wave counter --type f32 --channels 2 --rate 100 --frames 60 --keep";
    place.output(&format!("gen --name slow {slow} --speed max"));
    place.output(
        "gen --name fast --wave counter --type i16 --channels 1 --rate 1000 --frames 600 --speed max --keep",
    );
    let file = files.path("both.xdf");
    let done = place.run(&format!("record slow fast -o {file}"));
    assert!(
        done.stderr.contains("slow@v1: 60 frames") && done.stderr.contains("fast@v1: 600 frames"),
        "{}",
        done.stderr
    );
    let refused = place.run(&format!("play {file}"));
    let told = "1: slow@v1 (2 ch x f32 @ 100 Hz); 2: fast@v1 (1 ch x i16 @ 1000 Hz)";
    let other = "1: fast@v1 (1 ch x i16 @ 1000 Hz); 2: slow@v1 (2 ch x f32 @ 100 Hz)";
    assert!(refused.stderr.contains(told) || refused.stderr.contains(other), "{}", refused.stderr);
    for (name, channels, frames, bits) in [("slow@v1", 2, 60, 24), ("fast@v1", 1, 600, 15)] {
        let (back, _) = played(&place, &file, &format!("--stream {name}"));
        let rows = rows(&back);
        assert_eq!(rows.len(), frames);
        assert_counts(&rows, channels, bits);
    }
}

#[test]
fn a_file_that_takes_no_more_is_valid() {
    let place = Place::new();
    let files = Files::new(&place);
    let frames = 60_000;
    let shape = "--wave counter --type i16 --channels 2 --rate 10000 --retain 60000";
    place.output(&format!("gen --name a {shape} --frames {frames} --speed max --keep"));
    for form in ["edf", "bdf", "xdf", "wav", "sigmf", "csv"] {
        let file = files.path(&format!("a.{form}"));
        // In blocks of 512 bytes.
        let limited = "ulimit -f 200 && exec \"$@\"";
        let record = place.command(&format!("record a -o {file}"));
        let mut command = Command::new("sh");
        command.args(["-c", limited, "sh"]).arg(record.get_program()).args(record.get_args());
        command.env("ANNULUS_DIR", place.path()).stdin(Stdio::null());
        let done = Running::new("record", &mut command).done();
        assert_eq!(done.status.code(), Some(1), "{form}: {}", done.stderr);
        assert!(
            done.stderr.contains("File too large") && done.stderr.contains("ends here"),
            "{}",
            done.stderr
        );
        let options = if form == "csv" { "--type i16" } else { "" };
        let (back, _) = played(&place, &playable(&file), options);
        let rows = rows(&back);
        assert!(rows.len() > 3000 && rows.len() < frames, "{form}: {}", rows.len());
        assert_counts(&rows, 2, 15);
    }
}

#[test]
fn a_sample_that_is_not_what_was_promised_ends_it() {
    let place = Place::new();
    let files = Files::new(&place);
    let amplifier =
        Channel::new("Fp1").unit("V").kind("EEG").scaled(0.1875 / 8_388_608.0, 0.0).significant_bits(24);
    let stream = annulus::create("a").directory(place.path()).channels([amplifier]).rate(1000.0).keep(true);
    let mut producer = stream.producer::<i32>().unwrap();
    let fine: Vec<i32> = (0..250).map(|at| (at - 125) * 67_108).collect();
    producer.push(&fine).unwrap();
    producer.push(&[8_388_608, 1, 2, 3]).unwrap();
    producer.finish();
    for form in ["bdf", "wav"] {
        let file = files.path(&format!("a.{form}"));
        let done = place.run(&format!("record a -o {file}"));
        assert_eq!(done.status.code(), Some(1), "{}", done.stderr);
        assert!(
            done.stderr.contains("24 bits are enough, but 'Fp1' is 8388608 at position 250"),
            "{}",
            done.stderr
        );
        let (back, _) = played(&place, &file, "");
        let values: Vec<i32> = rows(&back).iter().map(|(_, values)| values[0] as i32).collect();
        assert_eq!(values, fine, "{form}");
    }
    let file = files.path("a.edf");
    let refused = place.run(&format!("record a -o {file}"));
    assert!(refused.stderr.contains("; .bdf, .xdf, .wav, .sigmf, .csv can"), "{}", refused.stderr);
    // Volts that small have no digits in a header.
    place.output(&format!("play {} --name b --speed max --keep", files.path("a.bdf")));
    let channel = &place.info("b").unwrap()["channels"][0];
    assert_eq!((&channel["unit"], &channel["kind"]), (&"uV".into(), &"EEG".into()));
    assert!((channel["scale"].as_f64().unwrap() * 8_388_608.0 / 187_500.0 - 1.0).abs() < 1e-6);
}

#[test]
fn what_a_dead_producer_left_is_salvaged() {
    let place = Place::new();
    let files = Files::new(&place);
    let shape = "--wave counter --type i16 --channels 64 --rate 1000 --retain 1000 --keep";
    let producer = place.generate("a", shape);
    let refused = place.run(&format!("salvage a -o {}", files.path("a.edf")));
    assert!(refused.stderr.contains("lives: annulus record a@v1 --from oldest"), "{}", refused.stderr);
    until("the ring is full", || place.position("a") > 2500);
    producer.kill();
    let info = place.info("a").unwrap();
    let (oldest, position) = (info["oldest"].as_u64().unwrap(), info["position"].as_u64().unwrap());
    assert!(position - oldest >= 990, "{oldest} {position}");
    for form in ["edf", "xdf", "sigmf", "wav"] {
        let file = files.path(&format!("a.{form}"));
        fine(&place.run(&format!("salvage a -o {file}")));
        let (back, _) = played(&place, &playable(&file), "");
        let counted: Vec<_> = rows(&back).into_iter().map(|(at, values)| (at + oldest, values)).collect();
        assert_eq!(counted.len() as u64, position - oldest, "{form}");
        assert_counts(&counted, 64, 15);
    }
}
