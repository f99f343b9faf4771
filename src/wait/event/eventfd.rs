//! The kernel's part of telling an event loop: an eventfd.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};

/// A descriptor that is readable while it is raised. Never blocks.
#[derive(Debug)]
pub(crate) struct Flag(File);

impl Flag {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes numbers only.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was made here, and is nobody else's.
        Ok(Self(unsafe { File::from_raw_fd(descriptor) }))
    }

    pub(crate) fn raise(&self) {
        // It fails only if it was raised 2^64 times: then it is raised.
        let _ = (&self.0).write(&1u64.to_le_bytes());
    }

    pub(crate) fn lower(&self) {
        // It fails only if it was not raised.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl AsFd for Flag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
