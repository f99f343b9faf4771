//! What Linux and macOS do alike.

use super::place::Place;
use super::status::{Grant, Status};
use super::{Error, ErrorKind, native};
use super::listing::Listed;
use std::borrow::Cow;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, fchown};

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

/// What a system call's error means for an object, unless the call has a meaning of its own for it.
pub(super) fn error_kind(error: &io::Error) -> ErrorKind {
    match error.raw_os_error() {
        Some(libc::ENOENT) => ErrorKind::NotFound,
        Some(libc::EEXIST) => ErrorKind::AlreadyExists,
        Some(libc::EACCES | libc::EPERM | libc::EROFS) => ErrorKind::PermissionDenied,
        Some(libc::EFBIG | libc::EOVERFLOW) => ErrorKind::TooLarge,
        Some(libc::ENOSPC | libc::EDQUOT | libc::ENOMEM) => ErrorKind::NoSpace,
        Some(libc::EIDRM) => ErrorKind::Removed,
        Some(libc::ENAMETOOLONG) => ErrorKind::BadName { why: "it is too long" },
        Some(libc::EISDIR) => ErrorKind::NotMemory { why: "it is a directory" },
        Some(libc::ELOOP) => ErrorKind::NotMemory { why: "it is a symbolic link" },
        _ => ErrorKind::Os,
    }
}

/// Whether it says that something is mapped at an address already.
pub(super) fn is_address_taken(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EEXIST)
}

/// Whether it says that no more pages may be locked into memory.
pub(super) fn is_lock_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN))
}

pub(super) const LOCK_LIMIT_IS_RAISED_WITH: &str = "ulimit -l, or LimitMEMLOCK= of its service";

/// Why nobody can mean that place here.
pub(super) fn no_such_place(place: &Place) -> Option<&'static str> {
    matches!(place, Place::PageFile(_)).then_some("only Windows has sections of a page file: use a POSIX object")
}

/// Lets those have a file whom it is for, as far as somebody said so.
pub(super) fn give(file: &File, grant: Grant) -> io::Result<()> {
    if grant.owner.is_some() || grant.group.is_some() {
        fchown(file, grant.owner, grant.group)?;
    }
    grant.mode.map_or(Ok(()), |mode| file.set_permissions(Permissions::from_mode(mode)))
}

/// The same of a new one: without a word it is for its owner alone.
pub(super) fn give_new(file: &File, place: &Place, grant: Grant) -> Result<(), Error> {
    give(file, grant.or_usual()).map_err(|error| Error::os("set the owner, group or mode of", place, error))
}

pub(super) fn status(place: &Place, file: &File) -> io::Result<Status> {
    file.metadata().map(|found| Status::of_file(place, &found))
}

/// Whether the file of a place has lost its name. `None`: nobody can say.
pub(super) fn is_removed(place: &Place, file: &File) -> io::Result<Option<bool>> {
    file.metadata().map(|found| native::has_no_name(place, &found))
}

/// Whether the name of a place leads to that file.
pub(super) fn is_named(place: &Place, file: &File) -> io::Result<bool> {
    file.metadata().map(|found| native::leads_to(place, &found))
}

/// All POSIX objects and System V segments.
pub(super) fn list() -> Result<Vec<Listed>, Error> {
    let mut all = native::posix_objects()?;
    all.extend(native::segments()?.iter().map(|found| Listed {
        place: Place::Id(found.id),
        status: Status::of_segment(found),
        key: Some(found.key),
    }));
    Ok(all)
}

/// Takes a file's name away.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Reads what there is at the beginning of a file.
pub(super) fn read_first(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    file.read_at(bytes, 0)
}

/// Makes a file larger, by zeroes that are there; or leaves it as it was.
pub(super) fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    let length = |bytes| libc::off_t::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG));
    let (start, end) = (length(from)?, length(to)?);
    if to - from > native::room(file) {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    let allocated = match native::allocate(file, start, end) {
        // A file system that cannot: then by storing them.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => store_zeroes(file, from, to),
        allocated => allocated,
    };
    allocated.inspect_err(|_| drop(file.set_len(from)))
}

fn store_zeroes(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeroes = [0; 1 << 16];
    let mut at = from;
    while at < to {
        let piece = (to - at).min(zeroes.len() as u64);
        file.write_all_at(&zeroes[..piece as usize], at)?;
        at += piece;
    }
    Ok(())
}
