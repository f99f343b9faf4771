//! `annulus bench`: what this machine does with signals between processes.
//!
//! | file | question |
//! |---|---|
//! | `echo.rs` | from push to read, both sides awake, or the reader asleep |
//! | `throughput.rs` | frames and bytes a second, by frame size |
//! | `pushes.rs` | what a push costs, by the number of readers |
//! | `peer.rs` | the other side: this program again |
//! | `rounds.rs`, `times.rs` | rounds, and what they give together |
//! | `machine.rs` | what is measured on |

mod echo;
mod machine;
pub(crate) mod peer;
mod pushes;
mod rounds;
mod throughput;
mod times;

use crate::describe;
use crate::failure::{self, Failure};
use crate::names::Place;
use crate::progress::Line;
use crate::stop::Stop;
use crate::table::Columns;
use crate::values;
use annulus::Strategy;
use clap::ValueEnum;
use echo::{Echo, Trips};
use machine::{Machine, Used};
use peer::{Bench, Names};
use pushes::{Cost, READERS, Stage, Watched};
use rounds::{Case, Rounds, measure, note};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::slice;
use std::time::Duration;
use throughput::{CASES, Rate};
use times::{Bucket, Times, duration};

/// Measure this machine, in 20 seconds: latency, throughput, wake-up, the producer's cost
///
/// All is measured between processes, each on a processor of its own where there are two or more; to choose others:
/// taskset -c 2,3 annulus bench. Every word of every frame that is read is looked at. Figures are medians of five rounds, with the
/// lowest and the highest; a round in which others took a processor is repeated, as far as the time allows.
///
/// Latency is the time from before a push until after the read; there is a new frame only when the last one has come
/// back. For the wake-up the reader sleeps in the meantime, which is counted.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to measure, up to 10m; more gives steadier figures [default: 20s for all parts]
    #[arg(long, value_name = "TIME", value_parser = time)]
    seconds: Option<Duration>,
    /// Measure only these, like latency,throughput
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    #[command(flatten)]
    place: Place,
    /// As JSON: times in ns, all rates per second
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    match values::duration(text)? {
        time if time < Duration::from_millis(100) => {
            Err("is too short to measure anything: 100ms at least".to_owned())
        }
        time if time > Duration::from_secs(600) => Err("must be 10m at most".to_owned()),
        time => Ok(time),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Latency,
    Throughput,
    Wakeup,
    Cost,
}

impl Part {
    const ALL: [Self; 4] = [Self::Latency, Self::Throughput, Self::Wakeup, Self::Cost];

    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Wakeup => "wakeup",
            Self::Cost => "cost",
        }
    }

    /// Its share of the 20 seconds.
    fn seconds(self) -> u32 {
        match self {
            Self::Latency | Self::Wakeup => 3,
            Self::Throughput => 9,
            Self::Cost => 5,
        }
    }

    /// As text and as JSON.
    fn measure(self, bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
        match self {
            Self::Latency => latency(bench, time),
            Self::Throughput => throughput(bench, time),
            Self::Wakeup => wakeup(bench, time),
            Self::Cost => cost(bench, time),
        }
    }
}

const DEBUG: &str = "this is a debug build, many times slower than a release build: its figures say little \
                     (cargo build --release)";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let machine = Machine::new();
    let bench = Bench { stop, names: Names { scope: args.place.scope() }, used: machine.used().clone() };
    if cfg!(debug_assertions) {
        failure::note(DEBUG);
    }
    if let Used::Pinned(own, _) = &bench.used {
        machine::pin(*own)?;
    }
    let parts: Vec<Part> =
        Part::ALL.into_iter().filter(|part| args.only.is_empty() || args.only.contains(part)).collect();
    let seconds: u32 = parts.iter().map(|part| part.seconds()).sum();
    let all = args.seconds.unwrap_or(Duration::from_secs(seconds.into()));

    let mut told = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "debug_build": cfg!(debug_assertions),
        "machine": machine.json(),
    });
    if !args.json {
        io::stdout().write_all(machine.text().as_bytes())?;
    }
    let mut line = Line::on_terminal();
    for (index, part) in parts.iter().enumerate() {
        if let Some(line) = &mut line {
            line.show(|| format!("measuring {} ...", part.name()));
        }
        let measured = part.measure(&bench, all * part.seconds() / seconds);
        if let Some(line) = &mut line {
            line.clear();
        }
        if bench.stop.raised() {
            let left: Vec<&str> = parts[index..].iter().map(|part| part.name()).collect();
            return Err(Failure::Failed(format!("interrupted; not measured: {}", left.join(", "))));
        }
        let (text, value) = measured?;
        if !args.json {
            io::stdout().write_all(format!("\n{text}").as_bytes())?;
        }
        told[part.name()] = value;
    }
    if args.json {
        io::stdout().write_all(describe::json(&told)?.as_bytes())?;
    }
    Ok(())
}

/// One case alone.
fn one<F>(bench: &Bench, case: impl Case<F>, time: Duration) -> Result<Rounds<F>, Failure> {
    let mut all = measure(&mut [Box::new(case)], time, bench)?;
    Ok(all.remove(0))
}

fn latency(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let rounds = one(bench, Echo::new(bench, "latency", bench.awake(), Duration::ZERO)?, time)?;
    let there = Times::merged(rounds.figures().map(|trips| &trips.there));
    let round_trips = Times::merged(rounds.figures().map(|trips| &trips.round_trips));
    let medians = rounds.spread(|trips| trips.there.at(0.5) as f64);
    let text = format!(
        "Latency: {} bytes, from push to read, both sides awake; {} frames\n  {}\n  round trip: {}\n  the rounds' p50: {} .. {}\n{}{}",
        echo::BYTES,
        there.count(),
        there.line(),
        round_trips.line(),
        duration(medians.min as u64),
        duration(medians.max as u64),
        there.picture(),
        note(slice::from_ref(&rounds)),
    );
    let mut value = trips_json(&rounds, &there);
    value["round_trip"] = round_trips.json();
    Ok((text, value))
}

/// Long enough for the other side to get from its answer into the kernel.
const ASLEEP: Duration = Duration::from_micros(200);

fn wakeup(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let rounds = one(bench, Echo::new(bench, "wakeup", Strategy::Block, ASLEEP)?, time)?;
    let there = Times::merged(rounds.figures().map(|trips| &trips.there));
    let medians = rounds.spread(|trips| trips.there.at(0.5) as f64);
    let frames: u64 = rounds.figures().map(|trips| trips.frames).sum();
    let slept: Option<u64> = rounds.figures().map(|trips| trips.slept).sum();
    let told = slept.map_or_else(
        || "this system does not tell how often".to_owned(),
        |slept| format!("{slept} times in {frames} frames"),
    );
    let text = format!(
        "Wake-up: {} bytes, from push to read, the reader asleep ({told})\n  {}\n  the rounds' p50: {} .. {}\n{}{}",
        echo::BYTES,
        there.line(),
        duration(medians.min as u64),
        duration(medians.max as u64),
        there.picture(),
        note(slice::from_ref(&rounds)),
    );
    let mut value = trips_json(&rounds, &there);
    value["frames"] = frames.into();
    value["slept"] = slept.into();
    Ok((text, value))
}

/// What both kinds of trips have in common.
fn trips_json(rounds: &Rounds<Trips>, there: &Times) -> Value {
    let mut value = there.json();
    value["bytes"] = echo::BYTES.into();
    value["p50_of_rounds_ns"] = rounds.spread(|trips| trips.there.at(0.5) as f64).json();
    value["histogram"] = there.buckets().into_iter().map(Bucket::json).collect();
    value["rounds"] = rounds.count().into();
    value["disturbed_rounds"] = rounds.disturbed().into();
    value
}

fn throughput(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
    let mut cases = CASES.iter().map(|case| throughput::case(bench, *case)).collect::<Result<Vec<_>, _>>()?;
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

fn cost(bench: &Bench, time: Duration) -> Result<(String, Value), Failure> {
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
