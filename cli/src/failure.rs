//! How a command fails: what is said, and with which exit code.

use crate::plain::plain;
use std::fmt;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::thread::ScopedJoinHandle;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done: exit code 1.
    Failed(String),
    /// The arguments do not fit the stream they were given for: exit code 2, as for those that clap refuses.
    Usage(String),
    /// Whoever read our output has had enough. That is no error.
    BrokenPipe,
}

impl Failure {
    /// Says it on stderr, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Failed(text) => {
                note(text);
                ExitCode::from(1)
            }
            Self::Usage(text) => {
                note(text);
                ExitCode::from(2)
            }
            Self::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) => f.write_str(text),
            Self::BrokenPipe => f.write_str("nobody reads what is written"),
        }
    }
}

impl From<annulus::Error> for Failure {
    fn from(error: annulus::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<annulus::shm::Error> for Failure {
    fn from(error: annulus::shm::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else {
            Self::Failed(error.to_string())
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// Waits for all, and gives the first failure.
pub(crate) fn first<T>(working: Vec<ScopedJoinHandle<'_, Result<T, Failure>>>) -> Result<Vec<T>, Failure> {
    let done: Vec<_> =
        working.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
    done.into_iter().collect()
}

/// Tells the person at the terminal something; stdout belongs to the data. It may quote what streams and files say.
pub(crate) fn note(text: impl fmt::Display) {
    // Nobody is left to be told if this fails, and eprintln would panic.
    let _ = writeln!(io::stderr(), "annulus: {}", plain(&text.to_string()));
}
