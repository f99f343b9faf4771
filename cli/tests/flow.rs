//! Frames on their way from `gen` to `cat`: every one, in order, with the right values.

mod common;

use common::{Place, assert_counts, assert_positions, rows, until};
use rustix::process::Signal;

const TYPES: [(&str, u32); 9] = [
    ("i8", 7),
    ("u8", 8),
    ("i16", 15),
    ("u16", 16),
    ("i32", 31),
    ("u32", 32),
    ("i64", 53),
    ("f32", 24),
    ("f64", 53),
];

#[test]
fn several_readers_get_every_frame() {
    let place = Place::new();
    let producer = place.generate("a", "--wave counter --channels 3 --type i16 --rate 20000 --retain 30s");
    let cats = ["--wait block --chunk 20ms", "--wait spin", "--wait adaptive --chunk 100", "--format raw"]
        .map(|options| place.start(&format!("cat a --from oldest --frames 20000 {options}")));
    for (index, cat) in cats.into_iter().enumerate() {
        let done = cat.done();
        assert!(
            done.status.success() && done.stderr.contains("20000 frames, 0 lost, 0 restarts"),
            "{}",
            done.stderr
        );
        if index < 3 {
            let rows = rows(&done.stdout_text());
            assert_positions(&rows, 0..20_000);
            assert_counts(&rows, 3, 15);
        } else {
            let wanted = (0..20_000_u64).flat_map(|at| {
                (0..3).flat_map(move |channel| (((at + channel) % (1 << 15)) as i16).to_le_bytes())
            });
            assert!(done.stdout.into_iter().eq(wanted));
        }
    }
    let done = producer.interrupt();
    assert!(done.status.success() && done.stderr.contains("frames in"), "{}", done.stderr);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn every_sample_format_counts() {
    let place = Place::new();
    for (number, bits) in TYPES {
        let options = "--wave counter --channels 3 --frames 700 --speed max --keep";
        place.output(&format!("gen --name real --type {number} {options}"));
        let text = place.output("cat real --no-follow");
        assert!(text.starts_with("position,ch1,ch2,ch3\n"), "{number}: {text:.100}");
        let real = rows(&text);
        assert_positions(&real, 0..700);
        assert_counts(&real, 3, bits);

        place.output(&format!("gen --name complex --type c{number} {options}"));
        let text = place.output("cat complex --no-follow");
        assert!(
            text.starts_with("position,ch1.re,ch1.im,ch2.re,ch2.im,ch3.re,ch3.im\n"),
            "{number}: {text:.100}"
        );
        for ((at, real), (position, complex)) in real.into_iter().zip(rows(&text)) {
            let wanted = [real[0], 0.0, real[1], 1.0, real[2], 2.0];
            assert_eq!((position, &complex[..]), (at, &wanted[..]), "{number}");
        }
        place.output("rm real");
        place.output("rm complex");
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn lossless_at_full_speed_delivers_every_frame() {
    const FRAMES: u64 = 1_000_000;
    let place = Place::new();
    let options = format!(
        "--wave counter --channels 4 --rate 48000 --retain 1s --lossless --speed max --frames {FRAMES}"
    );
    let producer = place.generate("a", &options);
    producer.until_stderr("waiting for its reader (annulus cat a@v1)");
    let done = place.run("cat a --format raw");
    assert!(done.status.success() && done.stderr.contains("1000000 frames, 0 lost"), "{}", done.stderr);
    assert_eq!(done.stdout.len() as u64, FRAMES * 16);
    let (values, _) = done.stdout.as_chunks::<4>();
    for (index, value) in (0_u64..).zip(values) {
        assert_eq!(f32::from_le_bytes(*value), (index / 4 + index % 4) as f32, "number {index}");
    }
    assert!(producer.done().status.success());
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_second_consumer_is_refused_and_may_tap() {
    let place = Place::new();
    let producer = place.generate("a", "--wave counter --type u16 --channels 1 --rate 5000 --lossless");
    let consumer = place.start("cat a");
    consumer.until_lines(10);

    let refused = place.run("cat a");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("--tap") && refused.stderr.contains(&consumer.pid().to_string()),
        "{}",
        refused.stderr
    );
    let tapped = rows(&place.output("cat a --tap --frames 100"));
    assert_counts(&tapped, 1, 16);
    assert_positions(&tapped, tapped[0].0..tapped[0].0 + 100);

    assert!(producer.interrupt().status.success());
    let taken = rows(&consumer.done().stdout_text());
    assert_counts(&taken, 1, 16);
    assert_positions(&taken, 0..taken.len() as u64);
    assert!(taken.len() as u64 >= tapped[0].0 + 100, "the tap took nothing out");
}

#[test]
fn a_consumer_goes_on_where_the_last_one_stopped() {
    let place = Place::new();
    let producer = place.generate(
        "a",
        "--wave counter --type i32 --channels 1 --speed max --lossless --frames 5000 --rate 1000",
    );
    let first = rows(&place.output("cat a --frames 1234"));
    let second = rows(&place.output("cat a"));
    assert_positions(&first, 0..1234);
    assert_positions(&second, 1234..5000);
    assert!(producer.done().status.success());
    let refused = place.run("gen --name b --lossless --frames 1 --keep");
    assert!(refused.status.success());
    assert_eq!(place.run("cat b --from 1").status.code(), Some(2), "a consumer cannot choose its place");
}

#[test]
fn a_reader_starts_where_it_is_told() {
    let place = Place::new();
    place.output(
        "gen --name a --wave counter --channels 2 --type u32 --frames 3000 --retain 3000 --speed max --keep",
    );
    assert_positions(&rows(&place.output("cat a --from oldest --frames 5")), 0..5);
    assert_positions(&rows(&place.output("cat a --from 1000 --frames 5")), 1000..1005);
    assert_positions(&rows(&place.output("cat a --from 2998 --no-follow")), 2998..3000);
    assert_eq!(place.output("cat a --from now --no-follow"), "position,ch1,ch2\n");
    assert_positions(&rows(&place.output("cat a --from oldest")), 0..3000);
}

/// Times are the stream's own, so nothing here depends on how fast this machine is.
#[test]
fn a_signal_has_a_clock() {
    let place = Place::new();
    let producer =
        place.generate("a", "--wave counter --channels 1 --type u32 --rate 1000 --chunk 10 --retain 60s");
    let rate = || place.info("a").unwrap()["each_lane"][0]["clock"].clone();
    until("a measured rate", || rate()["rate"].is_number());
    let (told, text) = (rate(), place.output("info a"));
    assert!((told["nominal_rate"] == 1000.0) && told["rate_sigma"].as_f64().unwrap() > 0.0, "{told}");
    assert!(text.contains("1000 Hz nominal, measured ") && text.contains(" ppm)"), "{text}");
    // More than two seconds have passed since the first frame, or there would be no rate.
    let late = rows(&place.output("cat a --from 1s --frames 5"));
    let early = rows(&place.output("cat a --from 1h --frames 5"));
    assert!(late[0].0 > early[0].0 && early[0].0 == 0, "{late:?} {early:?}");
    drop(producer);
    let without = place.generate("b", "--wave counter --channels 1 --type u32 --rate 1 --chunk 1");
    until("a clock", || place.info("b").unwrap()["each_lane"][0]["clock"].is_object());
    assert!(place.info("b").unwrap()["each_lane"][0]["clock"]["rate"].is_null());
    assert!(place.output("info b").contains("1 Hz nominal\n"));
    drop(without);
}

#[test]
fn physical_values_are_in_the_channels_unit() {
    let place = Place::new();
    place.output("gen --name e --wave ecg --frames 1000 --speed max --keep");
    let (raw, physical) =
        (rows(&place.output("cat e --no-follow")), rows(&place.output("cat e --no-follow --physical")));
    assert_eq!((raw.len(), physical.len()), (1000, 1000));
    for ((_, raw), (_, physical)) in raw.iter().zip(&physical) {
        assert!((physical[0] - (raw[0] - 1024.0) / 200.0).abs() < 1e-9, "{raw:?} {physical:?}");
    }
    let header = place.output("cat e --from now --no-follow");
    assert_eq!(header, "position,MLII\n");
}

#[test]
fn a_sleeping_observer_learns_exactly_what_it_lost() {
    let place = Place::new();
    let producer = place.generate("a", "--wave counter --type i32 --channels 1 --rate 200000 --retain 4096");
    let capacity = place.info("a").unwrap()["capacity"].as_u64().unwrap();
    let cat = place.start("cat a --from now");
    cat.until_lines(2);
    cat.signal(Signal::STOP);
    let asleep = place.position("a");
    until("ten laps", || place.position("a") > asleep + 11 * capacity);
    cat.signal(Signal::CONT);
    let awake = place.position("a");
    until("it has gone on for a while", || place.position("a") > awake + 20_000);
    assert!(producer.interrupt().status.success());

    let done = cat.done();
    assert!(done.status.success());
    let rows = rows(&done.stdout_text());
    assert_counts(&rows, 1, 31);
    // Each report has the size and the place of one gap.
    let told: Vec<(u64, u64)> = done
        .stderr
        .lines()
        .filter(|line| line.contains("lapped"))
        .map(|line| {
            let numbers: Vec<u64> = line.split([' ', ':']).filter_map(|word| word.parse().ok()).collect();
            (numbers[1], numbers[0])
        })
        .collect();
    let gaps: Vec<(u64, u64)> = rows
        .windows(2)
        .filter(|pair| pair[1].0 != pair[0].0 + 1)
        .map(|pair| (pair[1].0, pair[1].0 - pair[0].0 - 1))
        .collect();
    // On a busy machine it may have been lapped before its first frame already.
    let between = &told[usize::from(told.first().is_some_and(|gap| gap.0 == rows[0].0))..];
    assert_eq!(between, gaps, "{}", done.stderr);
    assert!(gaps.iter().any(|gap| gap.1 > 9 * capacity), "{gaps:?}");
    let lost: u64 = told.iter().map(|gap| gap.1).sum();
    assert!(
        done.stderr.contains(&format!("{} frames, {lost} lost, 0 restarts", rows.len())),
        "{}",
        done.stderr
    );
}
