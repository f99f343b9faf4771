//! macOS's part in objects of any name: no files without one, no anonymous memory, no list of what there is.
//!
//! Type-checked, never run.

#![allow(unsafe_code)]

use super::Error;
use super::directory::COMPANION;
use super::listing::Listed;
use super::place::{Key, Place, c_string};
use super::Access;
use super::sysv::Found;
pub(super) use super::unix::{
    LOCK_LIMIT_IS_RAISED_WITH, error_kind, give, give_new, grow, is_address_taken, is_lock_limit, is_named, is_removed, list, no_such_place,
    read_first, remove_file, status,
};
use core::ptr::NonNull;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(super) use super::system::allocate;

/// The system takes an address for a hint, and maps over nothing.
pub(super) const MAP_NOTHING_OVER: i32 = 0;

/// Every file has a name.
pub(super) fn unnamed_in(_: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

pub(super) fn link(_: &File, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Moves a file to a name that nothing has.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_string(from.as_os_str())?, c_string(to.as_os_str())?);
    // SAFETY: both paths are terminated strings that live through the call.
    match unsafe { libc::renamex_np(from.as_ptr(), to.as_ptr(), libc::RENAME_EXCL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes that an object there could have: allocating tells.
pub(super) fn room(_: &File) -> u64 {
    u64::MAX
}

/// Bytes of memory that are to be had: the system does not say.
pub(super) fn free_memory() -> u64 {
    u64::MAX
}

/// Why there is no anonymous memory.
pub(super) fn no_anonymous() -> Option<&'static str> {
    Some("macOS has no memfd_create, and a POSIX object that lost its name cannot be sealed: use a file")
}

pub(super) fn anonymous(_: bool) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn seal_size(_: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing can be sealed.
pub(super) fn is_sealed(_: &File) -> Option<bool> {
    None
}

pub(super) fn huge_page_bytes(_: &File) -> Option<u64> {
    None
}

pub(super) fn huge_page_bytes_at(_: usize) -> Option<u64> {
    None
}

/// The system has no way but to touch them.
pub(super) fn prefault(_: NonNull<u8>, _: usize, _: bool) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn ask_for_huge_pages(_: NonNull<u8>, _: usize) -> Result<(), &'static str> {
    Err("macOS has none for shared memory")
}

/// The object's file once more, as an open of its own: only while its path leads to it.
pub(super) fn reopen(file: &File, path: Option<&Path>, access: Access) -> io::Result<File> {
    let path = path.ok_or(io::ErrorKind::Unsupported)?;
    let opened = open_file(path, access, true)?;
    let (found, ours) = (opened.metadata()?, file.metadata()?);
    match (found.dev(), found.ino()) == (ours.dev(), ours.ino()) {
        true => Ok(opened),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// The file of that path.
pub(super) fn open_file(path: &Path, access: Access, follow: bool) -> io::Result<File> {
    let no_link = if follow { 0 } else { libc::O_NOFOLLOW };
    OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(no_link | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// The path of an object that has one.
pub(super) fn path_of(place: &Place) -> Option<PathBuf> {
    match place {
        Place::File(path) => Some(path.clone()),
        _ => None,
    }
}

/// Whether the name of a place leads to that file; of POSIX objects nobody can say.
pub(super) fn leads_to(place: &Place, file: &Metadata) -> bool {
    let Some(path) = path_of(place) else { return true };
    fs::metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (file.dev(), file.ino()))
}

/// Whether it has lost its name. `None`: nobody can say.
pub(super) fn has_no_name(place: &Place, file: &Metadata) -> Option<bool> {
    (!matches!(place, Place::Posix(_))).then(|| file.nlink() == 0)
}

/// The file that is locked in an object's stead, if the object itself cannot be.
pub(super) fn companion_of(place: &Place) -> Option<String> {
    use core::fmt::Write;
    let Place::Posix(name) = place else { return None };
    let mut companion = format!("{COMPANION}.posix-");
    for byte in name.as_bytes() {
        let _ = write!(companion, "{byte:02x}");
    }
    Some(companion)
}

pub(super) const SEGMENT_IN_HUGE_PAGES: Option<i32> = None;

pub(super) fn key_of(perm: &libc::ipc_perm) -> Key {
    Key::new(perm._key)
}

pub(super) fn attached(data: &libc::shmid_ds) -> u64 {
    data.shm_nattch.into()
}

pub(super) fn companion_of_segments() -> String {
    format!("{COMPANION}.segments")
}

/// What everybody may know of a segment: nothing.
pub(super) fn segment(_: i32) -> Option<Found> {
    None
}

pub(super) fn segments() -> Result<Vec<Found>, Error> {
    Err(no_list())
}

pub(super) fn posix_objects() -> Result<Vec<Listed>, Error> {
    Err(no_list())
}

fn no_list() -> Error {
    let (what, why) = ("listing objects", "macOS does not tell which POSIX objects there are");
    Error::without_place("list shared memory", super::ErrorKind::Unsupported { what, why }, None)
}
