//! The demo's viewer process: reads the stream as it comes, and shows it or reports on it.

use super::report::{Account, Report};
use crate::failure::Failure;
use crate::scope::{Scope, Screen};
use crate::stop::{SIGINT, SLICE, Stop};
use annulus::{Observer, ProducerState, ReadError, Start, Wait};
use std::io::{self, Write};
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

/// Pictures per second.
const PICTURES: u32 = 30;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // When the terminal is gone, SIGHUP may kill: nothing has to be restored, and crossterm would spin.
    let stop = Stop::of_a_part(&[SIGINT])?;
    let observer = annulus::open(&args.name)
        .start(Start::Oldest)
        .appear_within(Duration::from_secs(10))
        .observer::<i16>()?;
    if args.scope {
        return draw(observer, &stop);
    }
    let report = receive(observer, &stop)?;
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

/// Draws until the user, or the stream, has come to the end.
fn draw(mut observer: Observer<i16>, stop: &Stop) -> Result<(), Failure> {
    let mut scope = Scope::new(observer.info(), 0);
    let mut screen = Screen::open()?;
    let mut samples = [0; 1024];
    let parent = parent_id();
    while !stop.raised() && parent_id() == parent {
        loop {
            match observer.try_read(&mut samples) {
                Ok(frames) => {
                    scope.lose(frames.lost_before);
                    let raw = samples[..frames.frames].iter().map(|&sample| f64::from(sample));
                    scope.append(frames.first_position, raw);
                }
                Err(ReadError::Empty) => break,
                Err(ReadError::Lapped { lost }) => scope.lose(lost),
                Err(ReadError::Ended { .. }) => return Ok(()),
                Err(error) => return Err(failure(&observer, error)),
            }
        }
        if let ProducerState::Dead { pid } = observer.producer() {
            scope.say(format!("the acquisition (process {pid}) died"));
        }
        screen.draw(|frame| scope.draw(frame))?;
        if screen.quits_within(Duration::from_secs(1) / PICTURES)? {
            break;
        }
    }
    Ok(())
}

fn failure(observer: &Observer<i16>, error: ReadError) -> Failure {
    Failure::Failed(format!("{}: {error}", observer.info().full_name()))
}
