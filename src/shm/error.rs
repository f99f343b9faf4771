//! What can go wrong with shared memory: what failed, on what, why, and what to do.

use super::native;
use super::place::Place;
use core::fmt;
use std::io;

/// Why something could not be done with shared memory.
///
/// Its [`kind`](Self::kind) is for programs, its display for people; the system's own error is kept
/// ([`source`](std::error::Error::source), [`raw_os_error`](Self::raw_os_error)).
///
/// ```
/// use annulus::shm::{self, ErrorKind, Place};
/// let error = shm::at(Place::posix("/nobody-made-this")).open().unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::NotFound));
/// assert!(error.to_string().starts_with("cannot open posix:/nobody-made-this: there is no such object"));
/// ```
#[derive(Debug)]
pub struct Error(Box<Details>); // it is to be small where nothing goes wrong

#[derive(Debug)]
struct Details {
    operation: &'static str,
    on: Option<String>,
    kind: ErrorKind,
    source: Option<io::Error>,
}

/// What it is that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// It was to be made anew, and exists.
    AlreadyExists,
    /// Its owner, or the system, does not let this user do that.
    PermissionDenied,
    /// It would be larger than the system lets any be.
    TooLarge,
    /// The memory, the file system, or the system's table of objects is full.
    NoSpace,
    /// It was removed, or is marked for it.
    Removed,
    /// Its size is another than the one that was asked for.
    SizeMismatch {
        /// Bytes that it has.
        found: u64,
        /// Bytes that were asked for.
        wanted: u64,
    },
    /// This kind of object, or this system, cannot do that.
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Why it cannot be.
        why: &'static str,
    },
    /// Somebody else had it for all of the time that was given.
    Busy,
    /// It was opened, or mapped, to be read only.
    ReadOnly,
    /// An address or an offset is not a multiple of what it must be one of.
    Misaligned {
        /// What it is.
        at: u64,
        /// What it must be a multiple of.
        to: u64,
        /// And what must remain when it is divided by that.
        remainder: u64,
    },
    /// Something is mapped at that address already.
    AddressTaken {
        /// The address.
        address: usize,
    },
    /// It does not lie inside.
    OutOfRange {
        /// Where it begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
        /// How long that is which it should lie in.
        size: u64,
    },
    /// That is no name that the system takes.
    BadName {
        /// Why not.
        why: &'static str,
    },
    /// A parameter is missing, or makes no sense.
    BadParameter {
        /// Which one, and what it may be.
        what: &'static str,
    },
    /// What is there is not to be used as shared memory.
    NotMemory {
        /// Why not.
        why: &'static str,
    },
    /// More pages than this process may lock into memory.
    LockLimit {
        /// Bytes that it may lock (`ulimit -l`, `RLIMIT_MEMLOCK`; on Windows the least that its working set has).
        limit: u64,
    },
    /// The guard was taken by the process that this one was forked from.
    Forked,
    /// It cannot become smaller while anybody has it mapped: so Windows keeps files.
    Mapped,
    /// Something else; the system's error says what.
    Os,
}

impl Error {
    pub(super) fn new(operation: &'static str, place: &Place, kind: ErrorKind, source: Option<io::Error>) -> Self {
        Self::without_place(operation, kind, source).on_text(place)
    }

    pub(super) fn without_place(operation: &'static str, kind: ErrorKind, source: Option<io::Error>) -> Self {
        Self(Box::new(Details { operation, on: None, kind, source }))
    }

    pub(super) fn on_text(mut self, on: impl fmt::Display) -> Self {
        self.0.on = Some(on.to_string());
        self
    }

    /// What the system says, by its number.
    pub(super) fn os(operation: &'static str, place: &Place, source: io::Error) -> Self {
        Self::new(operation, place, native::error_kind(&source), Some(source))
    }

    pub(super) fn unsupported(operation: &'static str, place: &Place, what: &'static str, why: &'static str) -> Self {
        Self::new(operation, place, ErrorKind::Unsupported { what, why }, None)
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The system's number for it, where a call of the system failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.as_ref()?.raw_os_error()
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound if cfg!(windows) => f.write_str("there is no such object: create it"),
            Self::NotFound => f.write_str("there is no such object: create it, or look with shm::list() what there is"),
            Self::AlreadyExists => write!(f, "it exists already: open it, or remove it first"),
            Self::PermissionDenied => write!(f, "permission denied: its owner can change who may use it"),
            Self::TooLarge => write!(f, "it would be larger than the system allows"),
            Self::NoSpace => write!(f, "there is no room for it: make it smaller, or remove objects that are not needed"),
            Self::Removed => write!(f, "it was removed: create it anew, or open what has its name now"),
            Self::SizeMismatch { found, wanted } => {
                write!(f, "it has {found} bytes, and {wanted} were asked for: agree on one, or do not ask")
            }
            Self::Unsupported { what, why } => write!(f, "{what} is not supported here: {why}"),
            Self::Busy => write!(f, "somebody else has it: try again, or give it more time"),
            Self::ReadOnly => write!(f, "it was opened or mapped to be read only"),
            Self::Misaligned { at, to, remainder: 0 } => write!(f, "{at:#x} is not a multiple of {to}"),
            Self::Misaligned { at, to, remainder } => write!(f, "{at:#x} is not a multiple of {to} plus {remainder}"),
            Self::AddressTaken { address } => {
                write!(f, "something else is mapped at {address:#x}: choose another address, or none")
            }
            Self::OutOfRange { offset, bytes, size } => {
                write!(f, "{bytes} bytes from {offset} on do not lie inside its {size}")
            }
            Self::BadName { why } => write!(f, "that is not a name to use: {why}"),
            Self::BadParameter { what } => f.write_str(what),
            Self::NotMemory { why } => write!(f, "it cannot be used as shared memory: {why}"),
            Self::LockLimit { limit } => write!(
                f,
                "this process may lock {limit} bytes into memory: raise that with {}",
                native::LOCK_LIMIT_IS_RAISED_WITH
            ),
            Self::Forked => write!(f, "the lock is the parent's, from before the fork: take it anew"),
            Self::Mapped => write!(f, "somebody has it mapped, and it cannot become smaller meanwhile: unmap it everywhere first"),
            Self::Os => f.write_str("the system refused"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { operation, on, kind, source } = &*self.0;
        write!(f, "cannot {operation}")?;
        if let Some(on) = on {
            write!(f, " {on}")?;
        }
        write!(f, ": {kind}")?;
        match source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}
