//! What Linux and macOS do alike.

use super::native;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

/// What an object is given to another process as.
pub(crate) type Given = OwnedFd;

/// A file's name for an object's.
pub(super) fn to_file_name(object: String) -> String {
    object
}

/// The inverse.
pub(super) fn of_file_name(name: &str) -> Cow<'_, str> {
    name.into()
}

pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Whether there is no room for a file.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG | libc::ENOMEM | libc::EDQUOT))
}

/// Whether a file was not opened since it is a symbolic link.
pub(crate) fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// Whether it was not since it is none.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EISDIR | libc::ENXIO))
}

/// That it is none.
pub(super) fn no_file() -> io::Error {
    io::Error::from_raw_os_error(libc::EISDIR)
}

/// That a descriptor is not ours any more.
pub(crate) fn closed() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

/// Whether anybody who has it could cut it off: it has no name, and is not sealed.
pub(super) fn can_be_cut_off(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() == 0 && native::is_sealed(file) != Some(true))
}
