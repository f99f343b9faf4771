//! POSIX objects on Linux: the files in `/dev/shm`, as every C library there has them.

use super::file::{self, Naming};
use super::options::Options;
use super::place::Place;
use super::{Error, ErrorKind, native};
use std::ffi::OsStr;
use std::fs::File;
#[cfg(feature = "portable")]
use std::io;
use std::path::PathBuf;

pub(super) fn path(name: &OsStr, operation: &'static str) -> Result<PathBuf, Error> {
    native::posix_path(name)
        .map_err(|why| Error::new(operation, &Place::posix(name), ErrorKind::BadName { why }, None))
}

/// Opens the object of that name, if there is one.
pub(super) fn find(options: &Options<'_>, name: &OsStr) -> Result<Option<File>, Error> {
    file::find(options, Naming { path: &path(name, "open")?, follow: false })
}

/// Makes it. `None`: something has the name.
pub(super) fn make(options: &mut Options<'_>, name: &OsStr) -> Result<Option<File>, Error> {
    file::make(options, Naming { path: &path(name, "create")?, follow: false })
}

/// What has that name, as the system says it.
#[cfg(feature = "portable")]
pub(super) fn look(name: &OsStr) -> io::Result<std::fs::Metadata> {
    std::fs::symlink_metadata(native::posix_path(name).map_err(io::Error::other)?)
}

/// Bytes that an object could have, as far as one can know.
#[cfg(feature = "portable")]
pub(super) fn room() -> u64 {
    File::open(native::POSIX).map_or(u64::MAX, |directory| native::room(&directory))
}

/// Takes its name away.
pub(super) fn remove(name: &OsStr, place: &Place) -> Result<(), Error> {
    std::fs::remove_file(path(name, "remove")?).map_err(|error| Error::os("remove", place, error))
}
