//! `view --snapshot`: pictures in files.

mod common;

use annulus::Channel;
use common::Place;
use std::fs;
use std::io::Cursor;

/// The recording's raw counts, from its file.
fn recording() -> Vec<i16> {
    let file = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/mitdb-208.edf")).unwrap();
    file[512..].chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

/// Draws into a file of the place, and gives it and what was said.
fn snapshot(place: &Place, file: &str, options: &str) -> (Vec<u8>, String) {
    let path = place.path().join(file);
    let done = place.run(&format!("view a --snapshot {} {options}", path.display()));
    assert!(done.status.success() && done.stdout.is_empty(), "{done:?}");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    (bytes, done.stderr)
}

fn finished_ecg(place: &Place, frames: usize) {
    let done =
        place.run(&format!("gen --name a --wave ecg --frames {frames} --speed max --retain 20s --keep"));
    assert!(done.status.success(), "{done:?}");
}

/// The points of the longest line of an SVG.
fn longest_line(svg: &str) -> Vec<(f64, f64)> {
    let lines = svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let points = |line: &str| -> Vec<(f64, f64)> {
        let pairs = line.split_whitespace().map(|pair| pair.split_once(',').unwrap());
        pairs.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect()
    };
    lines.map(points).max_by_key(Vec::len).expect("there are lines")
}

#[test]
fn every_extreme_of_the_ecg_is_in_the_svg() {
    let place = Place::new();
    finished_ecg(&place, 7200);
    let (svg, said) = snapshot(&place, "a.svg", "--seconds 10s --size 1000x400");
    assert!(said.contains("10.00 s of a@v1 (3600 frames from position 3600)"), "{said}");
    assert!(!said.contains("there are no"), "{said}");
    let svg = String::from_utf8(svg).unwrap();
    for wanted in [
        "width=\"1000\"",
        "height=\"400\"",
        "MLII",
        "(mV)",
        "a@v1",
        "1 ch x i16 @ 360 Hz",
        "record 208",
        "0:19",
    ] {
        assert!(svg.contains(wanted), "no {wanted}");
    }
    let points = longest_line(&svg);
    let extremes = |values: &mut dyn Iterator<Item = f64>| {
        values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (left, right) = extremes(&mut points.iter().map(|point| point.0));
    let (top, bottom) = extremes(&mut points.iter().map(|point| point.1));
    let counts: Vec<f64> = recording()[3600..7200].iter().map(|&count| count.into()).collect();
    let (least, most) = extremes(&mut counts.iter().copied());
    // Every highest and lowest count of half a second is where it belongs, as near as pixels tell.
    for (half, stretch) in counts.chunks(180).enumerate() {
        for extreme in [f64::max, f64::min] {
            let value = stretch.iter().copied().reduce(extreme).unwrap();
            let at = half * 180 + stretch.iter().position(|&count| count == value).unwrap();
            let x = left + at as f64 / 3600.0 * (right - left + 1.0);
            let y = bottom - (value - least) / (most - least) * (bottom - top);
            let mut near = points.iter().filter(|point| (point.0 - x).abs() <= 1.5).map(|point| point.1);
            let (upper, lower) = extremes(&mut near);
            let near = upper - 1.5 <= y && y <= lower + 1.5;
            assert!(near, "the count {value} at {at} is not at {x}, {y}");
        }
    }
}

#[test]
fn a_png_has_its_size_and_the_line() {
    let place = Place::new();
    finished_ecg(&place, 3600);
    let (png, _) = snapshot(&place, "a.PNG", "--size 640x300");
    let mut reader = png::Decoder::new(Cursor::new(&png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((frame.width, frame.height, pixels.len()), (640, 300, 640 * 300 * 3));
    // The trace's green is in every column of the picture.
    let green =
        |pixel: &[u8]| pixel[1] > pixel[0].saturating_add(30) && pixel[1] > pixel[2].saturating_add(10);
    for x in 160..620 {
        let seen = (0..300).any(|y| green(&pixels[(y * 640 + x) * 3..][..3]));
        assert!(seen, "nothing in column {x}");
    }
}

#[test]
fn it_takes_what_there_is_and_says_how_much() {
    let place = Place::new();
    finished_ecg(&place, 90);
    let (_, said) = snapshot(&place, "a.svg", "--seconds 10s");
    assert!(said.contains("0.2500 s of a@v1 (90 frames from position 0); there are no 10.00 s"), "{said}");
    finished_ecg(&place, 1);
    let (svg, said) = snapshot(&place, "a.svg", "");
    assert!(
        said.contains("(1 frames from position 0)")
            && !longest_line(&String::from_utf8(svg).unwrap()).is_empty()
    );
}

#[test]
fn it_waits_for_the_first_frame_of_a_live_producer() {
    let place = Place::new();
    let create =
        annulus::create("a").directory(place.path()).channels([Channel::new("x"), Channel::new("y")]);
    let mut producer = create.rate(100.0).keep(true).producer::<f32>().unwrap();
    let path = place.path().join("a.svg");
    let waiting = place.start(&format!("view a --overlay --snapshot {}", path.display()));
    waiting.until_stderr("waiting for the first frame");
    producer.push(&[1.0, f32::NAN]).unwrap();
    assert!(waiting.done().status.success());
    assert!(fs::read_to_string(path).unwrap().contains("<svg"));

    // One without a producer never gets any.
    let empty = annulus::create("b").directory(place.path()).channels([Channel::new("x")]);
    drop(empty.keep(true).producer::<f32>().unwrap());
    let refused = place.run("view b --snapshot /dev/null/b.svg");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("holds no frame"), "{}", refused.stderr);
}

#[test]
fn nothing_is_drawn_where_nothing_is_known() {
    let place = Place::new();
    let create = annulus::create("a").directory(place.path()).channels([Channel::new("x")]);
    let mut producer = create.rate(100.0).keep(true).producer::<f32>().unwrap();
    for value in [1.0, f32::NAN, 2.0] {
        producer.push(&[value; 100]).unwrap();
    }
    let (svg, _) = snapshot(&place, "a.svg", "--seconds 3s --size 962x300");
    // 800 columns from 150 on: the middle third is empty.
    let svg = String::from_utf8(svg).unwrap();
    for line in svg.split("points=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let x: Vec<f64> =
            line.split_whitespace().map(|pair| pair.split_once(',').unwrap().0.parse().unwrap()).collect();
        let (left, right) =
            (x.iter().copied().fold(f64::MAX, f64::min), x.iter().copied().fold(0.0, f64::max));
        // The time axis itself goes from side to side.
        let across = left < 410.0 && right > 690.0;
        assert!(!across || x.len() == 2 && line.matches(",266").count() == 2, "{line}");
    }
    assert!(longest_line(&svg).len() >= 99);
}

#[test]
fn a_stream_that_runs_and_one_whose_producer_died_are_drawn() {
    let place = Place::new();
    let producer = place.generate("a", "--channels 300 --rate 20000 --retain 200ms");
    common::until("the ring is full", || place.position("a") > 5000);
    let (_, said) = snapshot(&place, "a.svg", "--seconds 1s");
    assert!(said.contains("there are no 1.000 s"), "{said}");
    producer.kill();
    let (svg, _) = snapshot(&place, "a.svg", "--channels 1-3");
    assert!(longest_line(&String::from_utf8(svg).unwrap()).len() > 100);
}

#[test]
fn bad_targets_are_refused() {
    let place = Place::new();
    finished_ecg(&place, 10);
    for (options, code) in [
        ("--snapshot a.jpg", 2),
        ("--snapshot a", 2),
        ("--snapshot a.svg --size 10x10", 2),
        ("--snapshot a.svg --size 99999x99999", 2),
        ("--size 400x400", 2),
        ("--snapshot a.svg --seconds 0", 2),
        ("--snapshot a.svg --channels 7", 2),
        ("--snapshot /nowhere/a.svg", 1),
    ] {
        let done = place.run(&format!("view a {options}"));
        assert_eq!(done.status.code(), Some(code), "{options}: {done:?}");
        assert!(!done.stderr.is_empty());
    }
}
