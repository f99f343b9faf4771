//! Locks on single bytes of a file by `LockFileEx`, as proof of life: each belongs to the open that it was taken through,
//! and goes with it, however its process ends.
//!
//! Windows cannot be asked whether a byte is locked: one tries, and gives back at once what one got. So for a moment a byte
//! may seem to be barred that somebody only asks for; who wants it then tries again ([`LockFile::try_lock`]). The bytes lie
//! far beyond the end of the file, where a lock is in nobody's way.
//!
//! There is no `fork`.

#![allow(unsafe_code)]

use super::{Error as _, handle, overlapped};
pub(crate) use crate::shm::Mode;
use crate::sync::AtomicBool;
use crate::sync::Ordering::Relaxed;
use core::ops::Deref;
use core::time::Duration;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use windows_sys::Win32::Foundation::ERROR_LOCK_VIOLATION;
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};

/// How often one tries who finds a byte barred, but not held: whoever asks has it for some microseconds.
const TRIES: u32 = 40;

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Got,
    /// Somebody had it exclusively, once at least.
    Held,
    /// Somebody had it all the time, and never exclusively.
    Barred,
}

/// An object's file, opened by one handle for itself: its locks live and die with it.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
    /// What this one has locked: to Windows its own locks are in its way as others' are.
    own: Mutex<Vec<(u64, Mode)>>,
    given_up: AtomicBool,
}

impl LockFile {
    /// Opens a file for its locks, by `open`.
    pub(crate) fn open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<Self> {
        Ok(Self { file: open()?, own: Mutex::default(), given_up: AtomicBool::new(false) })
    }

    /// Bytes that it has.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        self.file.metadata().map(|found| found.len())
    }

    /// Whether the handle is still ours: here nobody closes what is another's.
    pub(crate) fn is_intact(&self) -> bool {
        !self.given_up.load(Relaxed)
    }

    /// There is no `fork`.
    pub(crate) fn generation(&self) -> u32 {
        fork_generation()
    }

    /// There is no `fork`.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        false
    }

    /// The seat is not ours any more.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// Takes the lock on `byte` if nobody else's open holds it.
    pub(crate) fn try_lock(&self, byte: u64, mode: Mode) -> io::Result<bool> {
        let mut own = self.own();
        if let Some(at) = own.iter().position(|lock| lock.0 == byte) {
            if own[at].1 == mode {
                return Ok(true);
            }
            self.unlock_range(byte, 1)?;
            own.swap_remove(at);
        }
        let got = self.try_range(byte, 1, mode)? == Tried::Got;
        if got {
            own.push((byte, mode));
        }
        Ok(got)
    }

    /// As [`try_lock`](Self::try_lock), of a byte that nobody asks for: whoever is in the way stays there.
    pub(crate) fn try_lock_once(&self, byte: u64, mode: Mode) -> io::Result<bool> {
        let mut own = self.own();
        let got = !own.iter().any(|lock| lock.0 == byte) && self.take(byte, 1, mode)?;
        if got {
            own.push((byte, mode));
        }
        Ok(got)
    }

    pub(crate) fn unlock(&self, byte: u64) -> io::Result<()> {
        let mut own = self.own();
        if let Some(at) = own.iter().position(|lock| lock.0 == byte) {
            self.unlock_range(byte, 1)?;
            own.swap_remove(at);
        }
        Ok(())
    }

    /// Whether any other open holds an exclusive lock on any of `count` bytes from `byte` on.
    pub(crate) fn is_held(&self, byte: u64, count: u64) -> io::Result<bool> {
        // A shared lock is refused where an exclusive one is.
        self.any_of_others(byte, count, |from, bytes| {
            let free = self.take(from, bytes, Mode::Shared)?;
            if free {
                self.unlock_range(from, bytes)?;
            }
            Ok(!free)
        })
    }

    /// Whether a shared lock of any other open is in the way of an exclusive one on `count` bytes from `byte` on.
    pub(crate) fn is_barred(&self, byte: u64, count: u64) -> io::Result<bool> {
        self.any_of_others(byte, count, |from, bytes| {
            let tried = self.try_range(from, bytes, Mode::Exclusive)?;
            if tried == Tried::Got {
                self.unlock_range(from, bytes)?;
            }
            Ok(tried == Tried::Barred)
        })
    }

    fn own(&self) -> MutexGuard<'_, Vec<(u64, Mode)>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `of` is true of any part of the `count` bytes from `byte` on that we have not locked ourselves.
    fn any_of_others(
        &self,
        byte: u64,
        count: u64,
        of: impl Fn(u64, u64) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let end = byte + count;
        let mut own: Vec<u64> =
            self.own().iter().map(|lock| lock.0).filter(|own| (byte..end).contains(own)).collect();
        own.sort_unstable();
        let mut from = byte;
        for until in own.into_iter().chain([end]) {
            if from < until && of(from, until - from)? {
                return Ok(true);
            }
            from = until + 1;
        }
        Ok(false)
    }

    /// Whether somebody has an exclusive lock there.
    fn is_locked(&self, byte: u64, count: u64) -> io::Result<bool> {
        let free = self.take(byte, count, Mode::Shared)?;
        if free {
            self.unlock_range(byte, count)?;
        }
        Ok(!free)
    }

    /// Takes a lock; again and again for a while if only somebody is in the way who asks.
    fn try_range(&self, byte: u64, count: u64, mode: Mode) -> io::Result<Tried> {
        for tries in 0..TRIES {
            if self.take(byte, count, mode)? {
                return Ok(Tried::Got);
            }
            if mode == Mode::Shared || self.is_locked(byte, count)? {
                return Ok(Tried::Held);
            }
            if tries < TRIES / 2 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(Tried::Barred)
    }

    fn take(&self, byte: u64, count: u64, mode: Mode) -> io::Result<bool> {
        let flags = match mode {
            Mode::Shared => LOCKFILE_FAIL_IMMEDIATELY,
            Mode::Exclusive => LOCKFILE_FAIL_IMMEDIATELY | LOCKFILE_EXCLUSIVE_LOCK,
        };
        let mut at = overlapped(byte);
        // SAFETY: the handle is ours, and was not opened for overlapped use, so that the call is over when it returns.
        let done = unsafe {
            LockFileEx(handle(&self.file), flags, 0, count as u32, (count >> 32) as u32, &raw mut at)
        };
        if done != 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        if error.is(ERROR_LOCK_VIOLATION) { Ok(false) } else { Err(error) }
    }

    fn unlock_range(&self, byte: u64, count: u64) -> io::Result<()> {
        let mut at = overlapped(byte);
        // SAFETY: as in `take`.
        let done =
            unsafe { UnlockFileEx(handle(&self.file), 0, count as u32, (count >> 32) as u32, &raw mut at) };
        if done != 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// How often this process's ancestors forked.
#[inline]
pub(crate) fn fork_generation() -> u32 {
    0
}

/// One `T` for each process.
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static>(OnceLock<T>);

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// This process's.
    pub(crate) fn get(&'static self) -> &'static T {
        self.0.get_or_init(T::default)
    }
}
