//! The demo's acquisition process: plays the recorded ECG into a stream, at its true rate.

use super::report::Account;
use crate::embedded;
use crate::failure::Failure;
use crate::pace::Pace;
use crate::stop::{BY_TERMINAL, Stop};
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream to make
    name: String,
    /// Stop after so many seconds, and report
    #[arg(long)]
    seconds: Option<u64>,
}

/// Blocks per second, as a device would deliver them.
const BLOCKS: f64 = 60.0;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::of_a_part(BY_TERMINAL)?;
    end_with_parent(stop.clone());
    let record = embedded::ecg();
    let mut producer = annulus::create(&args.name)
        .channels([record.channel.clone()])
        .rate(record.rate)
        .device(record.device)
        .retain(Duration::from_secs(10))
        .producer::<i16>()?;

    let mut left = args.seconds.map_or(u64::MAX, |seconds| (seconds as f64 * record.rate) as u64);
    let mut account = args.seconds.map(|_| Account::new());
    let mut pushed = 0;
    let pace = Pace::new(record.rate);
    for block in record.samples.chunks((record.rate / BLOCKS) as usize).cycle() {
        let block = &block[..left.min(block.len() as u64) as usize];
        if block.is_empty() {
            break;
        }
        pushed += block.len() as u64;
        stop.sleep_until(pace.due(pushed));
        if stop.raised() {
            break;
        }
        let now = annulus::monotonic_ns();
        producer.push(block).map_err(|error| Failure::Failed(format!("{}: {error}", args.name)))?;
        left -= block.len() as u64;
        if let Some(account) = &mut account {
            account.add(block, producer.position(), now);
        }
    }
    producer.finish();
    // The viewer may be on its way to death with the terminal: whoever dies leaves the stream behind.
    let _ = annulus::open(&args.name).remove();
    match account {
        Some(account) => Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&account.close())?)?),
        None => Ok(()),
    }
}

/// Our stdin is a pipe from the parent, and ends with it, however it ends.
fn end_with_parent(stop: Stop) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.raise();
    });
}
