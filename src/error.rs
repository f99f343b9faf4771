//! What can go wrong when streams are made, found and removed. The data path has small errors of its own.

use crate::descriptor::Kind;
use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a stream could not be created, opened, listed or removed. Its display says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Names are 1 to 128 of `A-Z a-z 0-9 . _ -`, then perhaps `@v` and a number from 1 on.
    BadName {
        /// As given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A parameter is out of bounds.
    BadParameter {
        /// Which one, and what it may be.
        what: String,
    },
    /// No such stream, or not in this version.
    NotFound {
        /// As asked for.
        name: String,
        /// What there is under that name: "v1 (2 ch x i16 @ 360 Hz)".
        versions: Vec<String>,
    },
    /// The stream exists, and was to be made anew.
    AlreadyExists {
        /// Its name.
        name: String,
    },
    /// Another producer lives. There is one per lane.
    WriterBusy {
        /// The stream.
        name: String,
        /// The producer's process, as it wrote it down.
        pid: u32,
        /// It is stopped (SIGSTOP, a debugger): alive, but pushing nothing.
        stopped: bool,
        /// No process of that number has the stream, as seen from here: it is one of another pid namespace (a container),
        /// or hidden.
        elsewhere: bool,
    },
    /// Another consumer lives. An spsc ring has one.
    ConsumerBusy {
        /// The stream.
        name: String,
        /// The consumer's process, as it wrote it down.
        pid: u32,
    },
    /// Each lane of a work queue has a producer, or was finished by one.
    NoFreeLane {
        /// The queue.
        name: String,
        /// How many lanes there are.
        capacity: u32,
        /// Who holds them, or held them last, as they wrote it down.
        holders: Vec<u32>,
    },
    /// A stream of that name lives with other parameters.
    Incompatible {
        /// The stream.
        name: String,
        /// What is there.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// All seats for readers are taken.
    NoSeat {
        /// The stream.
        name: String,
        /// How many there are.
        capacity: u32,
        /// Who holds them, as they wrote it down.
        holders: Vec<u32>,
    },
    /// A lossless reader lives, and so the stream is not to be removed or replaced.
    LosslessBusy {
        /// The stream.
        name: String,
        /// The reader's process, as it wrote it down.
        pid: u32,
    },
    /// Nobody holds the seat, and still it cannot be had: a process that may only read the stream has put a lock of its
    /// own there.
    Barred {
        /// The stream.
        name: String,
        /// What the seat is for.
        seat: String,
    },
    /// Somebody inside the attach gate does not move on (stopped there, perhaps).
    GateBusy {
        /// The stream.
        name: String,
    },
    /// The ring's kind has no such end.
    WrongKind {
        /// The stream.
        name: String,
        /// What it is.
        kind: Kind,
        /// What was asked of it.
        why: &'static str,
    },
    /// The stream was finished: nothing can be added to it.
    Finished {
        /// The stream.
        name: String,
    },
    /// What has the stream's name is none of ours, or not safe to use. It is left alone.
    NotAStream {
        /// Where it is.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// A stream of another layout version, or with features that this build does not know.
    Layout {
        /// Where it is.
        path: PathBuf,
        /// Which.
        found: String,
    },
    /// A segment whose words contradict each other.
    Corrupt {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The machine was started anew since the stream's file was made: what it holds may be torn or old, so nobody carries on
    /// with it. It can be observed, and created anew.
    EarlierBoot {
        /// Where it is.
        path: PathBuf,
    },
    /// The stream is another user's, who does not let this one do that.
    NotAllowed {
        /// Where it is.
        path: PathBuf,
        /// What was tried: read, write to, remove.
        operation: &'static str,
        /// The user who tried.
        user: u32,
        /// The user whose it is.
        owner: u32,
        /// The group that it is shared with.
        group: u32,
        /// What owner, group and others may do, as for a file.
        mode: u32,
    },
    /// The directory for streams cannot be trusted or used.
    UnfitDirectory {
        /// Where it is.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// No room for the ring.
    NoSpace {
        /// Bytes that it needs.
        need: u64,
        /// Bytes that there are.
        free: u64,
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    Os {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn os(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Os { operation, path: path.into(), source }
    }

    pub(crate) fn parameter(what: impl Into<String>) -> Self {
        Self::BadParameter { what: what.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name, why } => {
                write!(f, "'{name}' is no stream name: {why}; use 1 to 128 of A-Z a-z 0-9 . _ - and, if you like, @v and a version number")
            }
            Self::BadParameter { what } => f.write_str(what),
            Self::NotFound { name, versions } if versions.is_empty() => {
                write!(f, "there is no stream '{name}': is its producer running, as the same user?")
            }
            Self::NotFound { name, versions } => {
                let (base, version) = name.rsplit_once('@').unwrap_or((name, "v1"));
                write!(f, "stream '{base}' exists as {}, not {version}", versions.join(" and as "))
            }
            Self::AlreadyExists { name } => {
                write!(f, "stream '{name}' exists already: open it, choose another name, or remove it first")
            }
            Self::WriterBusy { name, pid, elsewhere: true, .. } => {
                write!(f, "stream '{name}' has a producer already, which is not to be seen from here: in its container, perhaps, it is process {pid}; stop it there, or choose another name")
            }
            Self::WriterBusy { name, pid, stopped: false, .. } => {
                write!(f, "stream '{name}' has a producer already, process {pid}: stop it first, or choose another name")
            }
            Self::WriterBusy { name, pid, stopped: true, .. } => {
                write!(f, "stream '{name}' has a producer already, process {pid}, which is stopped: continue it (kill -CONT {pid}) or end it")
            }
            Self::ConsumerBusy { name, pid } => {
                write!(f, "stream '{name}' has a consumer already, process {pid}: observe it instead, or stop that one first")
            }
            Self::NoFreeLane { name, capacity, holders } => {
                write!(f, "all {capacity} lanes of queue '{name}' have a producer, processes {holders:?}, or were finished by one: end one, or create it with more")
            }
            Self::Incompatible { name, found, wanted } => {
                write!(f, "stream '{name}' is in use as {found}, not {wanted}: use its parameters, another version (name@v2), or end its holders")
            }
            Self::NoSeat { name, capacity, holders } => {
                write!(f, "all {capacity} seats of stream '{name}' are taken, by processes {holders:?}: end one, create it with more, or observe unseated")
            }
            Self::LosslessBusy { name, pid } => {
                write!(f, "stream '{name}' has a lossless reader, process {pid}: stop that one first, or remove the stream by force")
            }
            Self::Barred { name, seat } => {
                write!(f, "nobody is {seat} of stream '{name}', but a process that may read it bars the way with a lock: try again, end that process, or remove the stream by force")
            }
            Self::GateBusy { name } => {
                write!(f, "somebody is attaching to stream '{name}' and does not get on, perhaps a stopped process: try again, or remove the stream by force")
            }
            Self::WrongKind { name, kind, why } => write!(f, "stream '{name}' is of kind {kind}: {why}"),
            Self::Finished { name } => write!(f, "stream '{name}' was finished: create it anew to push again"),
            Self::NotAStream { path, why } => {
                write!(f, "{} is in a stream's place but is none to use: {why}; it was left alone, remove it yourself if it is not needed", path.display())
            }
            Self::Layout { path, found } => {
                write!(f, "{} was made by another annulus ({found}): use that one, or remove it", path.display())
            }
            Self::Corrupt { path, why } => {
                write!(f, "{} is damaged: {why}; remove it", path.display())
            }
            Self::EarlierBoot { path } => {
                write!(f, "{} is from before the machine was started anew, and what it holds may be incomplete: observe it, or create the stream anew", path.display())
            }
            Self::NotAllowed { path, operation, user, owner, group, mode } => {
                write!(f, "you (user {user}) may not {operation} {}: it belongs to user {owner} and group {group}, mode {mode:o}; its owner can share it with --group and --mode", path.display())
            }
            Self::UnfitDirectory { path, why } => {
                write!(f, "the directory for streams, {}, cannot be used: {why}", path.display())
            }
            Self::NoSpace { need, free, path } => {
                write!(f, "a ring of {need} bytes does not fit into {} ({free} bytes are free): retain less, or remove what is not needed", path.display())
            }
            Self::Os { operation, path, source } => {
                write!(f, "cannot {operation} {}: {source}", path.display())?;
                if source.kind() == io::ErrorKind::PermissionDenied {
                    write!(f, "; it belongs to another user, or its directory does")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}
