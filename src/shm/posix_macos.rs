//! POSIX objects on macOS. They have their name from the first moment on, and get their size once. So one that is made is
//! made while a byte of its companion is locked, and the companion holds a note meanwhile: who has the lock, and still
//! finds that note, knows that the maker was killed, and removes what it left.
//!
//! Type-checked, never run.

#![allow(unsafe_code)]

use super::companion::Companion;
use super::options::Options;
use super::place::{Place, c_string};
use super::Access;
use super::region::Region;
use super::turn::PATIENCE;
use super::{Error, ErrorKind, native};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// The byte of a companion that is locked while its object is made.
const MAKER: u64 = 1;

/// With the slash before it.
const LONGEST_NAME: usize = 31;

fn name_of(name: &OsStr, operation: &'static str) -> Result<CString, Error> {
    let bytes = name.as_bytes();
    let why = match bytes.strip_prefix(b"/").unwrap_or(bytes) {
        b"" => "it is empty",
        rest if rest.contains(&b'/') => "a slash may be its first character only",
        _ if bytes.len() > LONGEST_NAME => "it is longer than 31 bytes",
        _ => return c_string(name).map_err(|error| Error::os(operation, &Place::posix(name), error)),
    };
    Err(Error::new(operation, &Place::posix(name), ErrorKind::BadName { why }, None))
}

fn open(name: &CString, flags: i32, mode: u32) -> io::Result<File> {
    // SAFETY: the name is a terminated string that lives through the call.
    match unsafe { libc::shm_open(name.as_ptr(), flags, mode) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: it was opened here, and is nobody else's.
        opened => Ok(unsafe { File::from_raw_fd(opened) }),
    }
}

fn unlink(name: &CString) -> io::Result<()> {
    // SAFETY: the name is a terminated string that lives through the call.
    match unsafe { libc::shm_unlink(name.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// When nobody makes an object of that name: nothing of it is half-made then.
fn alone(place: &Place, name: &CString) -> Result<Companion, Error> {
    let fail = |error| Error::os("lock the companion file of", place, error);
    let deadline = Instant::now() + PATIENCE;
    let companion = Companion::open(native::companion_of(place).unwrap_or_default(), deadline).map_err(fail)?;
    let busy = || Error::new("wait for the maker of", place, ErrorKind::Busy, None);
    let companion = companion.ok_or_else(busy)?;
    if !companion.lock_until(MAKER, deadline).map_err(fail)? {
        return Err(busy());
    }
    if !companion.noted().map_err(fail)?.is_empty() {
        let _ = unlink(name); // it may not have come so far
        companion.note(b"").map_err(fail)?;
    }
    Ok(companion)
}

/// Opens the object of that name, if there is one.
pub(super) fn find(options: &Options<'_>, name: &OsStr) -> Result<Option<File>, Error> {
    let name = name_of(name, "open")?;
    let _alone = alone(&options.place, &name)?;
    match open(&name, if options.read_only { libc::O_RDONLY } else { libc::O_RDWR }, 0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| Error::os("open", &options.place, error)),
    }
}

/// Makes it. `None`: something has the name.
pub(super) fn make(options: &mut Options<'_>, name: &OsStr) -> Result<Option<File>, Error> {
    let place = options.place.clone();
    let name = name_of(name, "create")?;
    let fail = |error| Error::os("create", &place, error);
    if options.grant.owner.is_some() || options.grant.group.is_some() {
        let why = "macOS gives POSIX objects to who makes them, and to nobody else";
        return Err(Error::unsupported("create", &place, "an owner or a group", why));
    }
    let mode = options.grant.or_usual().mode.unwrap_or(0o600);
    let alone = alone(&place, &name)?;
    alone.note(b"being made").map_err(fail)?;
    let file = match open(&name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            alone.note(b"").map_err(fail)?;
            return Ok(None);
        }
        opened => opened.map_err(fail)?,
    };
    let unfinished = Unfinished(&name);
    let size = options.size.unwrap_or(0);
    file.set_len(size).map_err(fail)?;
    if file.metadata().map_err(fail)?.mode() & 0o777 != mode {
        let why = "macOS takes the umask from it, and it cannot be changed: set another umask";
        return Err(Error::unsupported("create", &place, "that mode", why));
    }
    if size != 0 && !options.content.is_none() {
        let bytes = usize::try_from(size).map_err(|_| Error::new("map", &place, ErrorKind::TooLarge, None))?;
        let mut region = Region::map(&file, 0, bytes, Access::ReadWrite, None).map_err(fail)?;
        region.with_bytes_of_ours(bytes, |bytes| options.content.store(bytes));
    }
    core::mem::forget(unfinished);
    alone.note(b"").map_err(fail)?;
    if options.read_only { open(&name, libc::O_RDONLY, 0).map(Some).map_err(fail) } else { Ok(Some(file)) }
}

struct Unfinished<'a>(&'a CString);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let _ = unlink(self.0);
    }
}

/// What has that name, as the system says it.
#[cfg(feature = "portable")]
pub(super) fn look(name: &OsStr) -> io::Result<std::fs::Metadata> {
    open(&c_string(name)?, libc::O_RDONLY, 0)?.metadata()
}

/// Bytes that an object could have: the system does not say.
#[cfg(feature = "portable")]
pub(super) fn room() -> u64 {
    u64::MAX
}

/// Takes its name away.
pub(super) fn remove(name: &OsStr, place: &Place) -> Result<(), Error> {
    unlink(&name_of(name, "remove")?).map_err(|error| Error::os("remove", place, error))
}
