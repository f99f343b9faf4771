//! The other side of what is measured, as this one holds it: this program again, which is asked by its stdin and answers
//! on its stdout. Neither is ever timed.

use super::machine::Used;
use crate::failure::Failure;
use crate::stop::{SLICE, Stop};
use annulus::{Builder, Open, Scope, Strategy};
use serde::de::DeserializeOwned;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, hint};

/// Nothing takes nearly as long: the other side was stopped, or is stuck.
const STUCK: Duration = Duration::from_secs(10);

/// One who is told to leave has so long.
const LEAVE: Duration = Duration::from_secs(2);

/// Where the streams of a run are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) scope: Scope,
}

impl Names {
    pub(super) fn create(self, name: &str) -> Builder {
        annulus::create(name).scope(self.scope)
    }

    /// It may be about to appear.
    pub(super) fn open(self, name: &str) -> Open {
        annulus::open(name).scope(self.scope).appear_within(STUCK)
    }

    /// What may be left under that name when this is dropped goes: whoever was killed leaves its stream to the others.
    pub(super) fn own(self, name: &str) -> Name {
        Name(annulus::open(name).scope(self.scope))
    }
}

#[derive(Debug)]
pub(super) struct Name(Open);

impl Drop for Name {
    fn drop(&mut self) {
        // Nothing to remove is the normal case.
        let _ = self.0.clone().remove();
    }
}

/// What all that is measured has in common.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) stop: Stop,
    pub(super) names: Names,
    pub(super) used: Used,
}

impl Bench {
    /// A name of this process's own.
    pub(super) fn name(&self, part: &str) -> String {
        format!("bench-{}-{part}", std::process::id())
    }

    /// How to wait without sleeping: on a processor that is shared, by making room for the other side.
    pub(super) fn awake(&self) -> Strategy {
        if self.used == Used::Shared { Strategy::Adaptive } else { Strategy::Spin }
    }

    /// The peer with that number, which says where it runs.
    pub(super) fn start(&self, number: usize, job: &[&str]) -> Result<Peer, Failure> {
        let program = env::current_exe().unwrap_or_else(|_| "annulus".into());
        let mut command = Command::new(program);
        command.arg("bench-peer");
        if let Used::Pinned(_, peers) = &self.used {
            command.args(["--processor", &peers[number % peers.len()].to_string()]);
        }
        if self.names.scope == Scope::System {
            command.arg("--system");
        }
        command.args(job).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Failure::Failed(format!("cannot start the reading process: {error}")))?;
        let (hear, answers) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = hear.send(line);
                }
            });
        }
        let mut peer = Peer { child, answers, stop: self.stop.clone() };
        peer.answer::<()>()?;
        Ok(peer)
    }
}

/// A process that reads what this one pushes.
pub(super) struct Peer {
    child: Child,
    answers: Receiver<String>,
    stop: Stop,
}

impl Peer {
    /// Asks for a run, and waits until the other side is about to begin with it.
    pub(super) fn ask(&mut self, request: u64) -> Result<(), Failure> {
        let stdin = self.child.stdin.as_mut().map(|stdin| writeln!(stdin, "{request}"));
        if !matches!(stdin, Some(Ok(()))) {
            return Err(self.failure());
        }
        self.answer()
    }

    /// What it says next.
    pub(super) fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let until = Instant::now() + STUCK;
        loop {
            match self.answers.recv_timeout(SLICE) {
                Ok(line) => {
                    let bad = |error| Failure::Failed(format!("the reading process said '{line}': {error}"));
                    return serde_json::from_str(&line).map_err(bad);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.failure()),
                Err(RecvTimeoutError::Timeout) if Instant::now() > until => return Err(self.stuck()),
                Err(RecvTimeoutError::Timeout) => self.look()?,
            }
        }
    }

    /// Whether the user has had enough.
    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.stop.raised()
    }

    /// Whether there is still somebody to wait for.
    pub(super) fn look(&mut self) -> Result<(), Failure> {
        if self.stop.raised() {
            return Err(interrupted());
        }
        match self.child.try_wait()? {
            Some(_) => Err(self.failure()),
            None => Ok(()),
        }
    }

    /// It is gone, or about to go. Where it failed by itself, it has said why on stderr.
    pub(super) fn failure(&mut self) -> Failure {
        match self.left() {
            Some(status) => Failure::Failed(format!(
                "the reading process ended too early ({status}); nothing was left behind, run annulus bench again"
            )),
            None => self.stuck(),
        }
    }

    fn stuck(&self) -> Failure {
        Failure::Failed(format!(
            "the reading process, {}, does not answer: if it was stopped, run annulus bench again",
            self.child.id()
        ))
    }

    /// Waits for its end, within reason.
    fn left(&mut self) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + LEAVE;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Tries `step` until it gives something. Makes room for others now and then: on a busy machine the other side may
    /// wait for this processor.
    #[inline]
    pub(super) fn poll<T>(
        &mut self,
        mut step: impl FnMut() -> Option<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut until = None;
        poll(&mut step, || {
            let now = Instant::now();
            if now > *until.get_or_insert(now + STUCK) {
                return Err(self.stuck());
            }
            self.look()
        })
    }
}

impl Drop for Peer {
    /// It must be gone before the streams' names are.
    fn drop(&mut self) {
        self.child.stdin = None; // it hears that there are no more runs
        if self.left().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// As [`Peer::poll`]; `between` is asked now and then whether to go on.
#[inline]
pub(super) fn poll<T>(
    step: &mut impl FnMut() -> Option<Result<T, Failure>>,
    mut between: impl FnMut() -> Result<(), Failure>,
) -> Result<T, Failure> {
    loop {
        for _ in 0..1024 {
            if let Some(done) = step() {
                return done;
            }
            hint::spin_loop();
        }
        between()?;
        thread::yield_now();
    }
}

/// Whoever sees it sees the flag, too, and says what was not measured.
pub(super) fn interrupted() -> Failure {
    Failure::Failed("interrupted".to_owned())
}

/// What was read is not what was pushed.
#[cold]
pub(super) fn damaged(position: u64) -> Failure {
    Failure::Failed(format!("what was received at position {position} is not what was pushed"))
}
