//! The bench: that it measures what it says, and notices what is wrong. How fast anything is, no test asks.

mod common;

use annulus::{Kind, Producer};
use common::{Done, Place, Running, until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use std::io::Write as _;

/// Its three figures are in order.
fn assert_spread(spread: &Value) {
    let [min, median, max] = ["min", "median", "max"].map(|name| spread[name].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max, "{spread}");
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn assert_times(times: &Value) {
    let names = ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "max_ns"];
    assert!(names.map(|name| number(times, name)).is_sorted() && number(times, "count") > 0, "{times}");
}

/// As [`assert_times`], and the buckets of the histogram hold all of them.
fn assert_trips(trips: &Value) {
    assert_times(trips);
    assert_spread(&trips["p50_of_rounds_ns"]);
    let buckets = trips["histogram"].as_array().unwrap();
    let all: u64 = buckets.iter().map(|bucket| number(bucket, "count")).sum();
    assert_eq!(all, number(trips, "count"), "{trips}");
    let (first, last) = (&buckets[0], &buckets[buckets.len() - 1]);
    let (min, max) = (number(trips, "min_ns"), number(trips, "max_ns"));
    assert!(number(first, "from_ns") <= min && min < number(first, "to_ns"), "{trips}");
    assert!(number(last, "from_ns") <= max && max < number(last, "to_ns"), "{trips}");
}

#[test]
fn every_part_is_measured_and_told() {
    let place = Place::new();
    let told: Value = serde_json::from_str(&place.output("bench --seconds 300ms --json")).unwrap();
    assert_eq!(told["debug_build"], cfg!(debug_assertions));
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert!(number(&told["machine"], "processors") > 0 && told["machine"]["processor"] != "", "{told}");

    assert_trips(&told["latency"]);
    assert_times(&told["latency"]["round_trip"]);
    // Of each run's last frame nobody hears when it was pushed.
    let [came, back] = [&told["latency"], &told["latency"]["round_trip"]].map(|trips| number(trips, "count"));
    assert_eq!(came + number(&told["latency"], "rounds"), back, "{told}");
    assert_trips(&told["wakeup"]);
    assert!(
        number(&told["wakeup"], "slept") > 0 && number(&told["wakeup"], "frames") > 0,
        "{}",
        told["wakeup"]
    );

    let throughput = told["throughput"].as_array().unwrap();
    let cases = throughput.iter().map(|case| (number(case, "bytes"), number(case, "frames_at_a_time")));
    for bytes in [8, 64, 256, 4096, 16384] {
        let blocks: Vec<u64> = cases.clone().filter(|case| case.0 == bytes).map(|case| case.1).collect();
        assert!(blocks.len() == 2 && blocks[0] == 1 && blocks[1] > 1, "{bytes}: {blocks:?}");
    }
    for case in throughput {
        assert_spread(&case["frames_per_s"]);
        assert_spread(&case["bytes_per_s"]);
        assert_eq!(number(case, "rounds"), 5);
        assert!(case["disturbed_rounds"].as_u64().is_none_or(|disturbed| disturbed <= 5), "{case}");
    }

    let cost = told["cost"].as_array().unwrap();
    assert!(cost.iter().map(|case| number(case, "readers")).eq([0, 1, 4, 8]), "{told}");
    for case in cost {
        assert_spread(&case["mean_ns"]);
        assert_spread(&case["p99_9_ns"]);
        let all = number(case, "pushed") * number(case, "readers");
        assert_eq!(number(case, "read") + number(case, "lost"), all, "{case}");
    }
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn one_may_measure_a_part_only_and_among_the_shared_streams() {
    let place = Place::new();
    let done = place.run("bench --only latency,cost --seconds 100ms --system");
    assert!(done.status.success(), "{done:?}");
    let text = done.stdout_text();
    for word in
        ["annulus ", "machine ", "processors ", "clock ", "Latency: 64 bytes", "round trip: p50 ", " %  #"]
    {
        assert!(text.contains(word), "no '{word}' in {text}");
    }
    assert!(
        text.contains("readers  mean ns") && !text.contains("Throughput") && !text.contains("Wake-up"),
        "{text}"
    );
    assert_eq!(done.stderr.contains("debug build"), cfg!(debug_assertions), "{done:?}");
    assert_eq!(text.contains("DEBUG BUILD"), cfg!(debug_assertions), "{text}");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    for (line, why) in [
        ("bench --only speed", "[possible values: latency, throughput, wakeup, cost]"),
        ("bench --seconds 1ms", "too short"),
        ("bench --seconds 11m", "at most"),
        ("bench-peer take some 9 1", "frames of 9 bytes"),
    ] {
        let done = place.run(line);
        assert_eq!(done.status.code(), Some(2), "{line}: {done:?}");
        assert!(done.stderr.contains(why) && done.stdout.is_empty(), "{line}: {done:?}");
    }
}

/// Starts a long bench, throughput first, and waits until it is in the middle of the first round that counts; who reads.
fn started(place: &Place, parts: &str) -> (Running, Pid) {
    let bench = place.start(&format!("bench --seconds 100 --only {parts}"));
    let name = format!("bench-{}-flow-8-1", bench.pid());
    let mut reader = None;
    until("frames come to the reader", || {
        let Some(info) = place.info(&name) else { return false };
        let found = info["attached"].as_array().unwrap().iter().find(|one| one["role"] == "consumer");
        reader = found.and_then(|one| Pid::from_raw(one["pid"].as_i64().unwrap() as i32));
        reader.is_some() && number(&info, "position") > 10_000 // there are fewer to warm up
    });
    (bench, reader.unwrap())
}

fn assert_gone(place: &Place, reader: Pid) {
    until("the reader is gone", || test_kill_process(reader).is_err());
    until("the directory is empty", || place.files().is_empty());
}

#[test]
fn ctrl_c_ends_it_and_says_what_was_not_measured() {
    let place = Place::new();
    let (bench, reader) = started(&place, "throughput,cost");
    let done = bench.interrupt();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.stderr.contains("interrupted; not measured: throughput, cost"), "{done:?}");
    assert!(done.stdout_text().starts_with("annulus "), "{done:?}");
    assert_eq!(place.files(), [""; 0]);
    assert_gone(&place, reader);
}

#[test]
fn killing_it_ends_its_readers_and_leaves_nothing() {
    let place = Place::new();
    let (bench, reader) = started(&place, "throughput");
    bench.kill();
    assert_gone(&place, reader);
}

#[test]
fn a_killed_reader_is_a_failure_and_leaves_nothing() {
    let place = Place::new();
    let (bench, reader) = started(&place, "throughput");
    kill_process(reader, Signal::KILL).unwrap();
    let done = bench.done();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.stderr.contains("the reading process ended too early (signal: 9"), "{done:?}");
    assert_eq!(place.files(), [""; 0]);
}

/// A reader of the bench, without the bench: what it is asked for is `request`, and frames are this test's.
fn reader(place: &Place, job: &str, request: u64, push: impl FnOnce()) -> Done {
    let (hear, mut ask) = std::io::pipe().unwrap();
    let running = Running::new(job, place.command(&format!("bench-peer {job}")).stdin(hear));
    writeln!(ask, "{request}").unwrap();
    running.until_lines(2);
    push();
    running.done()
}

fn producer<const N: usize>(place: &Place, name: &str, kind: Kind) -> Producer<[u64; N]> {
    annulus::create(name).kind(kind).capacity(4096).directory(place.path()).producer().unwrap()
}

/// The second frame has a wrong bit.
fn push_wrong<const N: usize>(producer: &mut Producer<[u64; N]>, first: [u64; N], mut second: [u64; N]) {
    second[N - 2] ^= 1 << 63;
    producer.push(&[first]).unwrap();
    producer.push(&[second]).unwrap();
}

fn assert_noticed(done: &Done) {
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(done.stderr.contains("received at position 1 is not what was pushed"), "{done:?}");
}

#[test]
fn a_wrong_bit_is_noticed_wherever_frames_are_read() {
    let place = Place::new();
    let mut flow = producer::<8>(&place, "flow", Kind::Spsc);
    assert_noticed(&reader(&place, "take flow 64 1", 2, || push_wrong(&mut flow, [0; 8], [1; 8])));

    let mut pushes = producer::<32>(&place, "pushes", Kind::Broadcast);
    let frame = |number: u64| std::array::from_fn(|word| number << 32 | word as u64);
    assert_noticed(&reader(&place, "watch pushes", 2, || push_wrong(&mut pushes, frame(0), frame(1))));

    let mut there = producer::<8>(&place, "there", Kind::Broadcast);
    let ball = |round: u64| [round, 0, 0, round, round, round, round, !round];
    assert_noticed(&reader(&place, "echo there back block", 0, || push_wrong(&mut there, ball(0), ball(1))));
}
