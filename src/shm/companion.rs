//! A file beside objects that have none of their own, or none yet: its bytes are locked in their stead.
//!
//! It lies in the user's private directory, and is there while anybody uses it: a user holds a shared lock on the byte
//! `IN_USE`. Who leaves gives that back, tries to have it exclusively, and if that succeeds, nobody else uses the file, and
//! it goes. Who comes compares the name with what was opened, once the byte is locked: nobody stays with a file that
//! lost its name.

use super::directory::Directory;
use super::lock::{LockFile, Mode};
use crate::error::Error;
use core::time::Duration;
use std::io;
use std::time::Instant;

const IN_USE: u64 = 0;
const MOMENT: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Companion {
    directory: Directory,
    name: String,
    file: LockFile,
}

impl Companion {
    /// `None`: one who is about to remove it does not get on, up to `deadline`; who has no time to wait gives that one a
    /// moment all the same.
    pub(super) fn open(name: String, deadline: Instant) -> io::Result<Option<Self>> {
        let deadline = deadline.max(Instant::now() + MOMENT);
        loop {
            let directory = Directory::private().map_err(reason)?;
            match LockFile::open(|| directory.open_or_make(&name)) {
                // The directory went, with the last one who used something in it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    let file = opened?;
                    if file.try_lock(IN_USE, Mode::Shared)? && directory.is_named(&name, &file)? {
                        return Ok(Some(Self { directory, name, file }));
                    }
                }
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Locks a byte of it, in small steps up to `deadline`. False: somebody else has it.
    pub(super) fn lock_until(&self, byte: u64, deadline: Instant) -> io::Result<bool> {
        self.file.lock_until(byte, Mode::Exclusive, deadline)
    }

    /// Leaves a mark in it, or takes it away: for who has it after us, if we are killed.
    #[cfg(target_os = "macos")]
    pub(super) fn mark(&self, marked: bool) -> io::Result<()> {
        self.file.set_len(marked.into())
    }

    #[cfg(target_os = "macos")]
    pub(super) fn is_marked(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() != 0)
    }

    /// Whether a `fork` lies between: what is locked is the parent's.
    pub(super) fn forked(&self) -> bool {
        self.file.forked()
    }
}

/// The system's own error, where there is one.
fn reason(error: Error) -> io::Error {
    match error {
        Error::Os { source, .. } => source,
        other => io::Error::other(other),
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        if self.file.forked() {
            return;
        }
        let _ = self.file.unlock(IN_USE);
        if self.file.try_lock(IN_USE, Mode::Exclusive).unwrap_or(false) {
            let _ = self.directory.unlink(&self.name);
        }
    }
}
