//! `annulus bench`: what this machine does with signals between processes.
//!
//! | file | question |
//! |---|---|
//! | `echo.rs` | from push to read, both sides awake, or the reader asleep |
//! | `throughput.rs` | frames and bytes a second, by frame size |
//! | `pushes.rs` | what a push costs, by the number of readers |
//! | `peer.rs`, `line.rs` | the other side, this program again: as this one holds it, and as it sees itself |
//! | `rounds.rs`, `times.rs` | rounds, and what they give together |
//! | `report.rs` | what is told of each part |
//! | `machine.rs` | what is measured on |

mod echo;
pub(crate) mod line;
mod machine;
mod peer;
mod pushes;
mod report;
mod rounds;
mod throughput;
mod times;

use crate::describe;
use crate::failure::{self, Failure};
use crate::names::Place;
use crate::progress::Line;
use crate::stop::Stop;
use crate::values;
use clap::ValueEnum;
use machine::{Machine, Used};
use peer::{Bench, Names};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::time::Duration;

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
            Self::Latency => report::latency(bench, time),
            Self::Throughput => report::throughput(bench, time),
            Self::Wakeup => report::wakeup(bench, time),
            Self::Cost => report::cost(bench, time),
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
