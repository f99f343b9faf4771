//! Telling an event loop where there is no eventfd: a pipe with at most one byte in it.

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

/// A descriptor that is readable while it is raised. Never blocks, as long as nobody else reads it.
#[derive(Debug)]
pub(crate) struct Flag {
    reader: PipeReader,
    writer: PipeWriter,
    /// Whether the byte is in the pipe.
    raised: Mutex<bool>,
}

impl Flag {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Self { reader, writer, raised: Mutex::new(false) })
    }

    pub(crate) fn raise(&self) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if !*raised {
            *raised = (&self.writer).write_all(&[1]).is_ok(); // it has room, and this is its reader
        }
    }

    pub(crate) fn lower(&self) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if *raised {
            *raised = (&self.reader).read_exact(&mut [0]).is_err();
        }
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
