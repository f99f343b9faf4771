//! What a device lost, a producer that was succeeded, and a reader that was too slow are told, by every command and in
//! every kind of file: where, how much, and why.

mod common;

use annulus::{Cause, Observer, Producer, Start};
use common::files::{Files, fine, playable, replayed};
use common::{Place, Running, rows, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

const FORMS: [&str; 6] = ["edf", "bdf", "xdf", "wav", "sigmf", "csv"];

const RATE: f64 = 20_000.0;

/// Frames that the ring holds.
const RING: u64 = 4096;

/// Where the device lost frames, and how many.
const LOSS: u64 = 300;
const LOST: u64 = 47;

/// Where the readers stand still.
const STOP: u64 = 500;

fn producer(place: &Place) -> Producer<i16> {
    let stream = annulus::create("a").directory(place.path()).rate(RATE).capacity(RING).keep(true);
    stream.channels([annulus::Channel::new("Fp1")]).producer().unwrap()
}

/// Pushes frames up to that position; each is its own position.
fn push(producer: &mut Producer<i16>, to: u64) {
    let frames: Vec<i16> = (producer.position()..to).map(|at| at as i16).collect();
    producer.push(&frames).unwrap();
}

/// Waits until all that read are there.
fn all_at(place: &Place, readers: usize, position: u64) {
    until(&format!("all readers are at {position}"), || {
        let info = place.info("a").unwrap();
        let reads = |one: &&Value| one["role"] == "observer" && one["position"] == position;
        info["attached"].as_array().unwrap().iter().filter(reads).count() == readers
    });
}

/// SIGSTOP, and it stands still for certain.
fn halt(running: &Running) {
    running.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", running.pid());
    until("it stands still", || fs::read_to_string(&stat).unwrap().contains(") T "));
}

/// Lets more time pass than the frames so far last, so that a gap that nobody counted has frames.
fn pass(began: Instant, position: u64) {
    let past = Duration::from_secs_f64(2.0 * position as f64 / RATE);
    until("time has passed", || began.elapsed() > past);
}

/// Position, cause and count of each gap, and how many frames are missing in all.
fn gaps(place: &Place, name: &str) -> (Vec<(u64, String, Option<u64>)>, u64) {
    let lane = &place.info(name).unwrap()["each_lane"][0];
    let told = lane["gaps"].as_array().unwrap().iter().map(|gap| {
        assert!(gap["utc"].is_string() && gap["monotonic_ns"].is_u64(), "{gap}");
        (gap["position"].as_u64().unwrap(), gap["cause"].as_str().unwrap().into(), gap["missing"].as_u64())
    });
    (told.collect(), lane["missing"].as_u64().unwrap())
}

fn gap(position: u64, cause: &str, missing: Option<u64>) -> (u64, String, Option<u64>) {
    (position, cause.to_owned(), missing)
}

/// What a read tells: the first frame's position, how many there are and were lost, where another producer began, and
/// the gaps.
type Told = (u64, u64, u64, Option<u64>, Vec<(u64, Cause, Option<u64>)>);

fn read(viewer: &mut Observer<i16>) -> Told {
    let read = viewer.try_read(&mut [0; RING as usize]).unwrap();
    let gaps = viewer.gaps().iter().map(|gap| (gap.position, gap.cause, gap.missing)).collect();
    let restarted = read.restarted.map(|restart| restart.position);
    (read.first_position, read.frames as u64, read.lost_before, restarted, gaps)
}

#[test]
fn every_gap_is_told_by_all_who_read() {
    let place = Place::new();
    let files = Files::new(&place);
    let mut first = producer(&place);
    push(&mut first, 100);
    let all = FORMS.map(|form| (form, files.path(&format!("a.{form}"))));
    let mut running: Vec<Running> =
        all.iter().map(|(_, file)| place.start(&format!("record a -o {file} --from oldest"))).collect();
    running.push(place.start("cat a --from oldest"));
    let mut viewer: Observer<i16> =
        annulus::open("a").directory(place.path()).start(Start::Oldest).unseated().observer().unwrap();
    let readers = running.len();
    all_at(&place, readers, 100);
    // A recorder's time begins when it does, at the latest.
    let began = Instant::now();

    // A device loss.
    push(&mut first, LOSS);
    first.gap(LOST).unwrap();
    push(&mut first, STOP);
    all_at(&place, readers, STOP);
    assert_eq!(read(&mut viewer), (0, STOP, 0, None, vec![(LOSS, Cause::Device, Some(LOST))]));

    // Readers that are lapped.
    running.iter().for_each(halt);
    push(&mut first, STOP + RING);
    push(&mut first, STOP + RING + 1500);
    let position = first.position();
    let (oldest, frames, lapped, restarted, told) = read(&mut viewer);
    assert_eq!((oldest, frames, restarted, told), (STOP + lapped, position - oldest, None, vec![]));
    assert!(lapped >= 1500, "{lapped}");
    running.iter().for_each(|one| one.signal(Signal::CONT));
    all_at(&place, readers, position);

    // Another producer, whose device begins anew in the end.
    drop(first);
    pass(began, position);
    let mut second = producer(&place);
    let restart = second.position();
    assert_eq!(restart, position);
    push(&mut second, restart + 200);
    all_at(&place, readers, restart + 200);
    let (at, frames, lost, restarted, told) = read(&mut viewer);
    assert_eq!((at, frames, lost, restarted), (restart, 200, 0, Some(restart)));
    assert!(matches!(told[..], [(at, Cause::Restart { .. }, None)] if at == restart), "{told:?}");
    std::thread::sleep(Duration::from_millis(100));
    second.clock_reset().unwrap();
    let reset = second.position();
    push(&mut second, reset + 200);
    assert_eq!(read(&mut viewer), (reset, 200, 0, None, vec![(reset, Cause::DeviceReset, None)]));
    let end = second.position();
    second.finish();

    let known =
        [gap(LOSS, "device", Some(LOST)), gap(restart, "restart", None), gap(reset, "device_reset", None)];
    assert_eq!(gaps(&place, "a"), (known.to_vec(), LOST));
    let text = place.output("info a");
    for told in [
        format!("gaps        3, {LOST} frames missing\n"),
        format!("  gap       before {LOSS}: {LOST} frames missing: device loss, 20"),
        format!("  gap       before {restart}: restart, "),
        format!("  gap       before {reset}: frames missing, nobody counted them: device reset, 20"),
    ] {
        assert!(text.contains(&told), "'{told}' is not in {text}");
    }

    let kept: Vec<f64> = (0..STOP).chain(oldest..end).map(|at| at as f64).collect();
    for (nth, one) in running.into_iter().enumerate() {
        let done = one.done();
        fine(&done);
        let summary = format!("a@v1: {} frames, {lapped} lost, 1 restarts, {LOST} missing\n", kept.len());
        for told in [
            format!("a@v1: before position {LOSS}: {LOST} frames missing: device loss\n"),
            format!("a@v1: lost {lapped} frames before position {oldest}: lapped\n"),
            format!("a@v1: a new producer carries on at position {restart}"),
            format!("a@v1: before position {reset}: frames missing, nobody counted them: device reset\n"),
            summary,
        ] {
            assert_eq!(done.stderr.matches(&told).count(), 1, "{nth}: '{told}': {}", done.stderr);
        }
    }
    // Gaps that the file tells come back as what a producer can declare, so many frames or an unknown number.
    for (form, file) in all {
        let gone = |position| position - lapped;
        let options = if form == "csv" { "--type i16" } else { "" };
        let (back, said) = replayed(&place, &playable(&file), options);
        let values: Vec<f64> = rows(&back).iter().map(|(_, values)| values[0]).collect();
        assert!(values == kept, "{form}: {said}");
        let (told, missing) = gaps(&place, "back");
        place.output("rm back");
        let counted = [gap(LOSS, "device", Some(LOST)), gap(STOP, "device", Some(lapped))];
        assert_eq!(told[..2], counted, "{form}");
        let wanted = if form == "wav" {
            // Its labels are told, and have no time.
            assert_eq!(missing, LOST + lapped);
            [gap(gone(restart), "device_reset", None), gap(gone(reset), "device_reset", None)]
        } else {
            // As many as the time that passed.
            let frames: Vec<u64> = told[2..].iter().map(|gap| gap.2.expect("frames")).collect();
            assert!(frames.iter().all(|&frames| frames > 0), "{form}: {frames:?}");
            assert_eq!(missing, LOST + lapped + frames.iter().sum::<u64>(), "{form}");
            [gap(gone(restart), "device", Some(frames[0])), gap(gone(reset), "device", Some(frames[1]))]
        };
        assert_eq!(told[2..], wanted, "{form}");
        let causes = match form {
            "xdf" | "csv" => ["no cause told"; 4],
            _ => ["device loss", "lapped", "restart", "device reset"],
        };
        for ((position, _, missing), cause) in told.into_iter().zip(causes) {
            let missing = missing.map_or_else(
                || "frames missing, nobody counted them".into(),
                |n| format!("{n} frames missing"),
            );
            let line = format!("before its frame {}: {missing}: {cause}\n", position + 1);
            assert!(said.contains(&line), "{form}: '{line}' is not in {said}");
        }
        if form == "xdf" {
            let bytes = fs::read(&file).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let causes =
                ["47 frames missing: device loss", "frames missing: lapped", ": restart", ": device reset"];
            assert!(causes.iter().all(|cause| text.contains(cause)), "its markers have the causes");
        }
    }
}

/// Whoever comes later learns of it as well: `cat` with the frames, `info` of the newest, and of how many there were.
#[test]
fn gaps_of_the_past_are_told() {
    let place = Place::new();
    let mut first = producer(&place);
    push(&mut first, 10);
    drop(first);
    let mut second = producer(&place);
    for at in 11..=90 {
        push(&mut second, at);
        second.gap(at).unwrap();
    }
    push(&mut second, 100);
    second.finish();
    let missing: u64 = (11..=90).sum();
    let done = place.run("cat a --no-follow");
    fine(&done);
    assert_eq!(done.stderr.matches(" frames missing: device loss\n").count(), 64, "{}", done.stderr);
    assert!(done.stderr.contains("before position 90: 90 frames missing: device loss\n"), "{}", done.stderr);
    assert!(done.stderr.ends_with(&format!("a@v1: 100 frames, 0 lost, 0 restarts, {missing} missing\n")));
    let text = place.output("info a");
    assert!(text.contains(&format!("gaps        81, {missing} frames missing\n  gap       before 86: 86 ")));
    assert_eq!(text.matches("\n  gap  ").count(), 5, "{text}");
    let lane = &place.info("a").unwrap()["each_lane"][0];
    assert_eq!((&lane["missing"], lane["gaps"].as_array().unwrap().len()), (&missing.into(), 65));
    assert_eq!(lane["gaps"][0]["forgotten"], 17);
    assert_eq!(lane["gaps"][0]["utc"], Value::Null);
}

#[test]
fn a_restart_is_told_to_one_who_comes_later() {
    let place = Place::new();
    for to in [10, 20] {
        push(&mut producer(&place), to);
    }
    let done = place.run("cat a --no-follow");
    fine(&done);
    assert!(done.stderr.contains("a@v1: before position 10: restart, "), "{}", done.stderr);
    assert!(done.stderr.ends_with("a@v1: 20 frames, 0 lost, 0 restarts\n"), "{}", done.stderr);
}

/// Where there are more gaps than data records, EDF+ has too little room for their annotations.
#[test]
fn many_gaps_in_a_short_recording_are_all_there() {
    let place = Place::new();
    let files = Files::new(&place);
    let mut producer = producer(&place);
    let wanted: Vec<_> = (1..=40).map(|at| gap(10 * at, "device", Some(at))).collect();
    for at in 1..=40 {
        push(&mut producer, 10 * at);
        producer.gap(at).unwrap();
    }
    push(&mut producer, 410);
    producer.finish();
    for form in FORMS {
        let file = files.path(&format!("a.{form}"));
        fine(&place.run(&format!("record a -o {file}")));
        let options = if form == "csv" { "--type i16" } else { "" };
        let (back, said) = replayed(&place, &playable(&file), options);
        let values: Vec<f64> = rows(&back).iter().map(|(_, values)| values[0]).collect();
        assert!(values.iter().copied().eq((0..410).map(f64::from)), "{form}: {values:?} {said}");
        assert_eq!(gaps(&place, "back"), (wanted.clone(), (1..=40).sum()), "{form}: {said}");
        place.output("rm back");
    }
}
