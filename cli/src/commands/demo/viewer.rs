//! The demo's viewer process: reads the stream as it comes, and shows it or reports on it.

use super::report::{Account, Report};
use crate::failure::Failure;
use crate::scope::{Options, Session};
use crate::stop::{SIGINT, SLICE, Stop};
use annulus::{Observer, Open, ReadError, Start, Wait};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::process::parent_id;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream to view
    name: String,
    /// Draw it on the terminal
    #[arg(long)]
    scope: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // When the terminal is gone, SIGHUP may kill: nothing has to be restored, and crossterm would spin.
    let stop = Stop::of_a_part(&[SIGINT])?;
    if args.scope {
        return draw(&args.name, &stop);
    }
    let report = receive(open(&args.name).observer()?, &stop)?;
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?)
}

/// Reads to the end of the stream.
fn receive(mut observer: Observer<i16>, stop: &Stop) -> Result<Report, Failure> {
    let mut account = Account::new();
    let mut samples = [0; 1024];
    while !stop.raised() {
        match observer.read(&mut samples, Wait::new().timeout(SLICE)) {
            Ok(frames) => {
                let now = annulus::monotonic_ns();
                account.lose(frames.lost_before);
                account.add(&samples[..frames.frames], frames.first_position + frames.frames as u64, now);
            }
            Err(ReadError::Timeout) => {}
            Err(ReadError::Lapped { lost }) => account.lose(lost),
            Err(ReadError::Ended { .. } | ReadError::ProducerGone { .. }) => break,
            Err(error) => return Err(failure(&observer, error)),
        }
    }
    Ok(account.close())
}

/// Windows does not tell.
#[cfg(windows)]
fn parent_id() -> u32 {
    0
}

/// Draws until the user, or the stream, has come to the end.
fn draw(name: &str, stop: &Stop) -> Result<(), Failure> {
    let observer = open(name).observer_bytes()?;
    let parent = parent_id();
    let session = Session { options: Options::default(), producer: "acquisition", ends_with_stream: true };
    session.run(observer, || stop.raised() || parent_id() != parent)
}

fn open(name: &str) -> Open {
    annulus::open(name).start(Start::Oldest).appear_within(Duration::from_secs(10))
}

fn failure(observer: &Observer<i16>, error: ReadError) -> Failure {
    Failure::Failed(format!("{}: {error}", observer.info().full_name()))
}
