//! `annulus demo`: a real ECG travels from an acquisition process to a viewer process.
//!
//! This process only starts the two, and compares what they say in the end. They share nothing but a stream's name.
//! When this one is gone, however that came, the acquisition reads the end of its stdin and finishes the stream, which
//! ends the viewer.

pub(crate) mod acquisition;
mod report;
pub(crate) mod viewer;

use crate::failure::Failure;
use crate::stop::Stop;
use report::Report;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::{self, Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Watch a real ECG go from one process to another (on a terminal; elsewhere 5 seconds of it, and a summary)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// How long the demo is where nobody can end it with a key.
const SECONDS: u64 = 5;

/// How often the processes are looked at.
const POLL: Duration = Duration::from_millis(5);

pub(crate) fn run(_: &Args) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let name = format!("demo-{}", process::id());
    let scope = io::stdout().is_terminal();
    let done = play(&name, scope, &stop);
    // Nothing to remove is the normal case: only a killed acquisition leaves its stream behind.
    let _ = annulus::open(&name).remove();
    let Some((sent, received)) = done? else { return Ok(()) };
    io::stdout().lock().write_all(report::summary(&sent, &received).as_bytes())?;
    report::verdict(&sent, &received).map_err(Failure::Failed)
}

/// Runs both processes to their end; without a scope they report.
fn play(name: &str, scope: bool, stop: &Stop) -> Result<Option<(Report, Report)>, Failure> {
    let mut command = part("demo-acquisition", name);
    if !scope {
        command.args(["--seconds", &SECONDS.to_string()]);
    }
    let mut acquisition = Part::start("acquisition", command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    while annulus::open(name).status().is_err() {
        if acquisition.child.try_wait()?.is_some() {
            return Err(acquisition.failure()?);
        }
        thread::sleep(POLL);
    }

    let mut command = part("demo-viewer", name);
    if scope {
        command.arg("--scope");
    } else {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
    }
    let mut viewer = Part::start("viewer", &mut command)?;
    while viewer.child.try_wait()?.is_none() {
        if stop.raised() {
            acquisition.end();
        }
        thread::sleep(POLL);
    }
    acquisition.end();
    for part in [&mut viewer, &mut acquisition] {
        if !part.child.wait()?.success() {
            return Err(part.failure()?);
        }
    }
    Ok(if scope { None } else { Some((acquisition.report()?, viewer.report()?)) })
}

/// This program again, in another role.
fn part(role: &str, name: &str) -> Command {
    let program = env::current_exe().unwrap_or_else(|_| "annulus".into());
    let mut command = Command::new(program);
    command.args([role, name]);
    command
}

/// One of the two processes.
struct Part {
    what: &'static str,
    child: Child,
    /// What it says; read by a thread of its own, so that it never waits for us.
    said: Option<JoinHandle<io::Result<String>>>,
}

impl Part {
    fn start(what: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let mut child = command
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot start the {what} process: {error}")))?;
        let said = child.stdout.take().map(|stdout| thread::spawn(|| io::read_to_string(stdout)));
        Ok(Self { what, child, said })
    }

    /// Closes its stdin, by which it knows that it is over.
    fn end(&mut self) {
        self.child.stdin = None;
    }

    /// It has said itself what went wrong, on stderr.
    fn failure(&mut self) -> Result<Failure, Failure> {
        Ok(Failure::Failed(format!("the {} process failed ({})", self.what, self.child.wait()?)))
    }

    fn report(&mut self) -> Result<Report, Failure> {
        let said = self.said.take().and_then(|thread| thread.join().ok());
        let text = said.unwrap_or_else(|| Ok(String::new()))?;
        let bad = |error| Failure::Failed(format!("the {} process said '{text}': {error}", self.what));
        serde_json::from_str(&text).map_err(bad)
    }
}
