//! The lock of an object: [`SharedMemory::lock`] and its [`Guard`].
//!
//! It is a lock on a byte far behind the data, of an open of its own for each guard: threads exclude each other as
//! processes do, and the kernel frees it when its holder dies, however it dies. Where the object has no file, a byte of a
//! companion is locked in its stead.

use super::companion::Companion;
use super::owner::effective_uid;
use super::lock::{LockFile, Mode};
use super::mapping::Mapping;
use super::memory::{Object, SharedMemory};
use super::Access;
use super::{Error, ErrorKind, native};
use bytemuck::Pod;
use core::cell::OnceCell;
use core::time::Duration;
use std::fs::File;
use std::io;
use std::time::Instant;

/// The byte of an object that is locked; streams have theirs from 2^40 on, their gate at 2^41.
const LOCK_BYTE: u64 = 1 << 42;

/// The object's lock. Dropped, it is free; also if the process dies. In a child made by `fork` it is not held.
///
/// Its methods are one step each: what they need of the object they map.
#[derive(Debug)]
#[must_use = "dropped, the lock is free again"]
pub struct Guard<'a> {
    memory: &'a SharedMemory,
    held: Held,
    mapping: OnceCell<Mapping>,
}

#[derive(Debug)]
enum Held {
    Own(LockFile),
    Companion(Companion),
}

impl SharedMemory {
    /// Takes its lock, which one has at a time of all processes and threads that ask for it; waits for it up to `timeout`.
    /// A process that dies does not keep it.
    ///
    /// It keeps nobody from reading or writing who does not ask. Of a System V segment, a `portable` object or a section of the
    /// page file, which have no file, it is a lock among the processes of the user whose it is.
    ///
    /// ```
    /// use annulus::shm::{self, Place};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), shm::Error> {
    /// # let place = Place::posix(format!("/annulus-doc-lock-{}", std::process::id()));
    /// let memory = shm::at(&place).size(8).open_or_create()?;
    /// let before = memory.lock(Duration::from_secs(1))?.update(0, |count: &mut u64| {
    ///     *count += 1;
    ///     *count - 1
    /// })?;
    /// assert_eq!(before, 0);
    /// # memory.remove()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when the time is over; [`ErrorKind::Unsupported`] if this user may not write to the object, as
    /// only who may write can lock, or of one that has no file and is another user's; or of
    /// anonymous memory on Windows.
    pub fn lock(&self, timeout: Duration) -> Result<Guard<'_>, Error> {
        let deadline = Instant::now() + timeout.min(Duration::from_secs(365 * 24 * 3600));
        match self.held(deadline)? {
            Some(held) => Ok(Guard { memory: self, held, mapping: OnceCell::new() }),
            None => Err(Error::new("lock", &self.place, ErrorKind::Busy, None)),
        }
    }

    fn held(&self, deadline: Instant) -> Result<Option<Held>, Error> {
        let (companion, byte) = match &self.object {
            Object::File(file) => match native::companion_of(&self.place) {
                None => return self.held_itself(file, deadline),
                Some(companion) => (companion, LOCK_BYTE),
            },
            #[cfg(windows)]
            Object::Section(section) => match section.companion() {
                Some(companion) => (companion, LOCK_BYTE),
                None => {
                    let why = "it has no name that a file beside it could be found by: lock something that has one";
                    return Err(Error::unsupported("lock", &self.place, "locking", why));
                }
            },
            #[cfg(unix)]
            Object::SystemV(segment) => {
                (native::companion_of_segments(), LOCK_BYTE + u64::from(segment.id.cast_unsigned()))
            }
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(object) => (object.companion(), LOCK_BYTE),
        };
        if !self.is_ours()? {
            let why = "it is another user's, and its lock is a file in that user's private directory";
            return Err(Error::unsupported("lock", &self.place, "locking", why));
        }
        let fail = |error| self.os("lock the companion file of", error);
        let Some(companion) = Companion::open(companion, deadline).map_err(fail)? else { return Ok(None) };
        let locked = companion.lock_until(byte, deadline).map_err(fail)?;
        Ok(locked.then_some(Held::Companion(companion)))
    }

    /// Whether it is this user's.
    fn is_ours(&self) -> Result<bool, Error> {
        match &self.object {
            #[cfg(windows)]
            Object::Section(section) => section.is_ours().map_err(|error| self.os("look at", error)),
            _ => Ok(self.status()?.owner == effective_uid()),
        }
    }

    fn held_itself(&self, file: &File, deadline: Instant) -> Result<Option<Held>, Error> {
        let path = native::path_of(&self.place);
        let lock = LockFile::open(|| native::reopen(file, path.as_deref(), Access::ReadWrite));
        let lock = lock.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                let why = "a lock that excludes others needs the permission to write to the object";
                Error::unsupported("lock", &self.place, "locking", why)
            }
            _ => self.os("lock", error),
        })?;
        let locked = lock.lock_until(LOCK_BYTE, Mode::Exclusive, deadline);
        let locked = locked.map_err(|error| self.os("lock", error))?;
        Ok(locked.then_some(Held::Own(lock)))
    }
}

impl Guard<'_> {
    /// Reads the value at `offset`, lets `change` change it, and stores it.
    ///
    /// # Errors
    /// As of [`Mapping::set`]; [`ErrorKind::Forked`] in a child of the process that took the lock.
    pub fn update<T: Pod, R>(&self, offset: u64, change: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        let mapping = self.mapping()?;
        let mut value = mapping.get(offset)?;
        let result = change(&mut value);
        mapping.set(offset, value)?;
        Ok(result)
    }

    /// As [`Mapping::get`].
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub fn get<T: Pod>(&self, offset: u64) -> Result<T, Error> {
        self.mapping()?.get(offset)
    }

    /// As [`Mapping::set`].
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub fn set<T: Pod>(&self, offset: u64, value: T) -> Result<(), Error> {
        self.mapping()?.set(offset, value)
    }

    /// As [`Mapping::read`].
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub fn read<T: Pod>(&self, offset: u64, values: &mut [T]) -> Result<(), Error> {
        self.mapping()?.read(offset, values)
    }

    /// As [`Mapping::write`].
    ///
    /// # Errors
    /// As of [`update`](Self::update).
    pub fn write<T: Pod>(&self, offset: u64, values: &[T]) -> Result<(), Error> {
        self.mapping()?.write(offset, values)
    }

    /// All of the object, as the handle may use it, mapped when it is first asked for.
    ///
    /// # Errors
    /// As of [`SharedMemory::map`]; [`ErrorKind::Forked`] in a child of the process that took the lock.
    pub fn mapping(&self) -> Result<&Mapping, Error> {
        if self.held.forked() {
            return Err(Error::new("use the lock of", &self.memory.place, ErrorKind::Forked, None));
        }
        if let Some(mapping) = self.mapping.get() {
            return Ok(mapping);
        }
        let mapping = self.memory.map()?;
        Ok(self.mapping.get_or_init(|| mapping))
    }
}

impl Held {
    fn forked(&self) -> bool {
        match self {
            Self::Own(lock) => lock.forked(),
            Self::Companion(companion) => companion.forked(),
        }
    }
}
