//! The other side: this program in another role, which hears numbers on its stdin and answers on its stdout.
//!
//! When the one who started it is gone, however that came, its stdin ends, and it leaves.

use super::peer::Names;
use super::{echo, machine, pushes, throughput};
use crate::failure::Failure;
use crate::stop::{BY_TERMINAL, SLICE, Stop};
use annulus::{Scope, Strategy};
use serde::Serialize;
use std::io::{self, Write as _};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The processor to run on
    #[arg(long)]
    processor: Option<usize>,
    /// Among the streams that all users share
    #[arg(long)]
    system: bool,
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, clap::Subcommand)]
enum Job {
    /// Send each frame back
    Echo { there: String, back: String, strategy: Strategy },
    /// Take frames out of a ring
    Take { name: String, bytes: usize, block: usize },
    /// Watch a broadcast
    Watch { name: String },
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::of_a_part(BY_TERMINAL)?;
    if let Some(processor) = args.processor {
        machine::pin(processor)?;
    }
    let line = Line::new(stop, if args.system { Scope::System } else { Scope::User });
    match &args.job {
        Job::Echo { there, back, strategy } => {
            let _names = [line.names.own(there), line.names.own(back)];
            echo::serve(&line, there, back, *strategy)
        }
        Job::Take { name, bytes, block } => {
            let _name = line.names.own(name);
            throughput::serve(&line, name, *bytes, *block)
        }
        Job::Watch { name } => {
            let _name = line.names.own(name);
            pushes::serve(&line, name)
        }
    }
}

/// What the peer hears and says.
pub(super) struct Line {
    pub(super) names: Names,
    stop: Stop,
    requests: Receiver<u64>,
}

impl Line {
    fn new(stop: Stop, scope: Scope) -> Self {
        let (hear, requests) = mpsc::channel();
        let over = stop.clone();
        thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                let Ok(request) = line.parse() else { break };
                let _ = hear.send(request);
            }
            over.raise();
        });
        Self { names: Names { scope }, stop, requests }
    }

    /// The next run's number; `None`: no more runs.
    pub(super) fn request(&self) -> Option<u64> {
        while !self.over() {
            match self.requests.recv_timeout(SLICE) {
                Ok(number) => return Some(number),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }

    pub(super) fn say(&self, answer: &impl Serialize) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(answer)?)?;
        Ok(out.flush()?)
    }

    /// Whether it is time to leave, in the middle of a run too.
    pub(super) fn over(&self) -> bool {
        self.stop.raised()
    }
}
