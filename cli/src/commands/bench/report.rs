//! The parts: each is measured, and told as text and as JSON.

use super::echo::{self, Echo, Trips};
use super::peer::Bench;
use super::pushes::{self, Cost, READERS, Stage, Watched};
use super::rounds::{Case, Rounds, measure, note};
use super::throughput::{CASES, Rate, case};
use super::times::{Bucket, Times, duration};
use crate::failure::Failure;
use crate::table::Columns;
use annulus::Strategy;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::slice;
use std::time::Duration;

pub(super) fn latency(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let echo = Echo::new(bench, "latency", bench.awake(), Duration::ZERO)?;
    trips(bench, echo, time, |rounds| {
        let frames = sum(rounds, |trips| Some(trips.frames)).unwrap_or(0);
        format!("Latency: {} bytes, from push to read, both sides awake; {frames} frames", echo::BYTES)
    })
}

/// Long enough for the other side to get from its answer into the kernel.
const ASLEEP: Duration = Duration::from_micros(200);

pub(super) fn wakeup(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let echo = Echo::new(bench, "wakeup", Strategy::Block, ASLEEP)?;
    trips(bench, echo, time, |rounds| {
        let frames = sum(rounds, |trips| Some(trips.frames)).unwrap_or(0);
        let slept = sum(rounds, |trips| trips.slept).map_or("nobody counts how often".to_owned(), |slept| {
            format!("{slept} times in {frames} frames")
        });
        format!("Wake-up: {} bytes, from push to read, the reader asleep ({slept})", echo::BYTES)
    })
}

fn sum(rounds: &Rounds<Trips>, figure: impl Fn(&Trips) -> Option<u64>) -> Option<u64> {
    rounds.figures().map(figure).sum()
}

/// From push to read; what is special about it is in the title.
fn trips(
    bench: &Bench,
    echo: Echo,
    time: Duration,
    title: impl FnOnce(&Rounds<Trips>) -> String,
) -> Result<(String, Value), Failure> {
    let mut all = measure(&mut [Box::new(echo)], time, bench)?;
    let rounds = all.remove(0);
    let there = Times::merged(rounds.figures().map(|trips| &trips.there));
    let back = Times::merged(rounds.figures().map(|trips| &trips.round_trips));
    let medians = rounds.spread(|trips| trips.there.at(0.5) as f64);
    let text = format!(
        "{}\n  {}\n  round trip: {}\n  the rounds' p50: {} .. {}\n{}{}",
        title(&rounds),
        there.line(),
        back.line(),
        duration(medians.min as u64),
        duration(medians.max as u64),
        there.picture(),
        note(slice::from_ref(&rounds)),
    );
    let mut value = there.json();
    value["bytes"] = echo::BYTES.into();
    value["p50_of_rounds_ns"] = medians.json();
    value["histogram"] = there.buckets().into_iter().map(Bucket::json).collect();
    value["round_trip"] = back.json();
    value["frames"] = sum(&rounds, |trips| Some(trips.frames)).into();
    value["slept"] = sum(&rounds, |trips| trips.slept).into();
    value["rounds"] = rounds.count().into();
    value["disturbed_rounds"] = rounds.disturbed().into();
    Ok((text, value))
}

pub(super) fn throughput(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let mut cases = CASES.iter().map(|one| case(bench, *one)).collect::<Result<Vec<_>, _>>()?;
    let all = measure(&mut cases, time, bench)?;
    let heads = ["bytes", "at a time", "M frames/s", "min .. max", "GB/s", "min .. max"];
    let rows = CASES.iter().zip(&all).map(|((bytes, block), rounds)| {
        let [frames, gigabytes] =
            [1e-6, *bytes as f64 * 1e-9].map(|unit| rounds.spread(|Rate(rate)| rate * unit));
        vec![
            bytes.to_string(),
            block.to_string(),
            format!("{:.3}", frames.median),
            format!("{:.3} .. {:.3}", frames.min, frames.max),
            format!("{:.2}", gigabytes.median),
            format!("{:.2} .. {:.2}", gigabytes.min, gigabytes.max),
        ]
    });
    let text = format!(
        "Throughput: one producer, one reader, nothing lost, every word made and looked at\n{}{}",
        table(&heads, &rows.collect::<Vec<_>>()),
        note(&all),
    );
    let value = CASES.iter().zip(&all).map(|((bytes, block), rounds)| {
        json!({
            "bytes": bytes,
            "frames_at_a_time": block,
            "frames_per_s": rounds.spread(|Rate(rate)| *rate).json(),
            "bytes_per_s": rounds.spread(|Rate(rate)| rate * *bytes as f64).json(),
            "rounds": rounds.count(),
            "disturbed_rounds": rounds.disturbed(),
        })
    });
    Ok((text, value.collect()))
}

pub(super) fn cost(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let stage = RefCell::new(Stage::new(bench)?);
    let mut cases: Vec<Box<dyn Case<Cost> + '_>> =
        READERS.iter().map(|readers| Box::new(Watched::new(&stage, *readers)) as Box<_>).collect();
    let all = measure(&mut cases, time, bench)?;
    let heads = ["readers", "mean ns", "min .. max", "p99.9 ns", "frames that a reader lost"];
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (readers, rounds) in READERS.iter().zip(&all) {
        let mean = rounds.spread(|cost| cost.mean_ns);
        let p999 = rounds.spread(|cost| cost.each.at(0.999) as f64);
        let sum = |figure: fn(&Cost) -> u64| rounds.figures().map(figure).sum::<u64>();
        let (pushed, read, lost) =
            (sum(|cost| cost.pushed), sum(|cost| cost.seen.read), sum(|cost| cost.seen.lost));
        rows.push(vec![
            readers.to_string(),
            format!("{:.1}", mean.median),
            format!("{:.1} .. {:.1}", mean.min, mean.max),
            format!("{:.0}", p999.median),
            match read + lost {
                0 => "-".to_owned(),
                all => format!("{:.1} %", 100.0 * lost as f64 / all as f64),
            },
        ]);
        values.push(json!({
            "readers": readers,
            "bytes": pushes::BYTES,
            "mean_ns": mean.json(),
            "p99_9_ns": p999.json(),
            "pushed": pushed,
            "read": read,
            "lost": lost,
            "rounds": rounds.count(),
            "disturbed_rounds": rounds.disturbed(),
        }));
    }
    let text = format!(
        "Producer's cost: one push of {} bytes, as fast as it goes, by the number of processes that watch\n{}{}",
        pushes::BYTES,
        table(&heads, &rows),
        note(&all),
    );
    Ok((text, values.into()))
}

fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let columns = Columns::of(heads, rows.iter().map(Vec::as_slice));
    let lines = rows.iter().map(|row| columns.line(row));
    std::iter::once(columns.line(heads)).chain(lines).map(|line| format!("  {line}")).collect()
}
