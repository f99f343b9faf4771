//! A file beside objects that have none of their own, or none yet: its bytes are locked in their stead.
//!
//! It lies in the user's private directory, and is there while anybody uses it: a user holds a shared lock on the byte
//! `IN_USE`. Who leaves gives that back, tries to have it exclusively, and if that succeeds, nobody else uses the file, and
//! it goes. Who comes compares the name with what was opened, once the byte is locked: nobody stays with a file that
//! lost its name. One with a note in it was left by somebody who was killed, and stays until the note was heeded.

use super::directory::Directory;
use super::lock::{LockFile, Mode};
use crate::error::Error;
use core::time::Duration;
use std::io;
#[cfg(any(target_os = "macos", all(unix, feature = "portable")))]
use std::os::unix::fs::FileExt;
use std::time::Instant;

const IN_USE: u64 = 0;
const MOMENT: Duration = Duration::from_millis(100);

/// A path, at most.
#[cfg(any(target_os = "macos", all(unix, feature = "portable")))]
const NOTE_MAX: u64 = 4096;

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

    /// Leaves a note in it for who has it after us, if we are killed; an empty one is none. With a note in it, it stays.
    #[cfg(any(target_os = "macos", all(unix, feature = "portable")))]
    pub(super) fn note(&self, note: &[u8]) -> io::Result<()> {
        self.file.write_all_at(note, 0)?;
        self.file.set_len(note.len() as u64)
    }

    #[cfg(any(target_os = "macos", all(unix, feature = "portable")))]
    pub(super) fn noted(&self) -> io::Result<Vec<u8>> {
        let mut note = vec![0; self.file.metadata()?.len().min(NOTE_MAX) as usize];
        self.file.read_exact_at(&mut note, 0)?;
        Ok(note)
    }

    /// Those whose names begin so and that nobody uses, and so left by who was killed. Nobody else has them meanwhile.
    #[cfg(all(unix, feature = "portable"))]
    pub(super) fn left(prefix: &str) -> Vec<Self> {
        let open = |directory: &Directory, name: String| {
            let file = LockFile::open(|| directory.open_object(&name, true)).ok()?;
            let ours = file.try_lock(IN_USE, Mode::Exclusive).ok()? && directory.is_named(&name, &file).ok()?;
            ours.then(|| Self { directory: directory.clone(), name, file })
        };
        let Ok(Some(directory)) = Directory::existing_private() else { return Vec::new() };
        let mut names = directory.companions();
        names.retain(|name| name.starts_with(prefix));
        names.into_iter().filter_map(|name| open(&directory, name)).collect()
    }

    #[cfg(all(unix, feature = "portable"))]
    pub(super) fn name(&self) -> &str {
        &self.name
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
        let is_noted = || self.file.metadata().is_ok_and(|found| found.len() != 0);
        if self.file.try_lock_once(IN_USE, Mode::Exclusive).unwrap_or(false) && !is_noted() {
            let _ = self.directory.unlink(&self.name);
        }
    }
}
