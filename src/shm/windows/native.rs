//! Windows' part in objects of any name: files, which have access lists in the place of modes.

use super::{Error as _, OpenDirectory, owner};
use crate::shm::listing::Listed;
use crate::shm::place::Place;
use crate::shm::status::{Grant, Status};
use crate::shm::{Access, Error, ErrorKind};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_BAD_PATHNAME, ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL,
    ERROR_FILE_EXISTS, ERROR_FILE_NOT_FOUND, ERROR_FILE_TOO_LARGE, ERROR_FILENAME_EXCED_RANGE,
    ERROR_HANDLE_DISK_FULL, ERROR_INVALID_ADDRESS, ERROR_INVALID_NAME, ERROR_NO_SYSTEM_RESOURCES,
    ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_PATH_NOT_FOUND, ERROR_PRIVILEGE_NOT_HELD,
    ERROR_SHARING_VIOLATION, ERROR_USER_MAPPED_FILE, ERROR_WORKING_SET_QUOTA, ERROR_WRITE_PROTECT,
};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS;

/// What a system call's error means for an object, unless the call has a meaning of its own for it.
pub(crate) fn error_kind(error: &io::Error) -> ErrorKind {
    let Some(code) = error.raw_os_error() else {
        return match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::IsADirectory => ErrorKind::NotMemory { why: "it is a directory" },
            io::ErrorKind::InvalidInput => ErrorKind::BadName { why: "a zero character is in it" },
            _ => ErrorKind::Os,
        };
    };
    match code.cast_unsigned() {
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => ErrorKind::NotFound,
        ERROR_FILE_EXISTS | ERROR_ALREADY_EXISTS => ErrorKind::AlreadyExists,
        ERROR_ACCESS_DENIED | ERROR_WRITE_PROTECT | ERROR_PRIVILEGE_NOT_HELD => ErrorKind::PermissionDenied,
        ERROR_FILE_TOO_LARGE => ErrorKind::TooLarge,
        ERROR_DISK_FULL
        | ERROR_HANDLE_DISK_FULL
        | ERROR_COMMITMENT_LIMIT
        | ERROR_NOT_ENOUGH_MEMORY
        | ERROR_OUTOFMEMORY
        | ERROR_NO_SYSTEM_RESOURCES => ErrorKind::NoSpace,
        ERROR_SHARING_VIOLATION => ErrorKind::Busy,
        ERROR_USER_MAPPED_FILE => ErrorKind::Mapped,
        ERROR_FILENAME_EXCED_RANGE => ErrorKind::BadName { why: "it is too long" },
        ERROR_INVALID_NAME | ERROR_BAD_PATHNAME => ErrorKind::BadName { why: "Windows takes no such path" },
        _ => ErrorKind::Os,
    }
}

/// Whether it says that something is mapped at an address already.
pub(crate) fn is_address_taken(error: &io::Error) -> bool {
    error.is(ERROR_INVALID_ADDRESS)
}

/// Whether it says that no more pages may be locked into memory.
pub(crate) fn is_lock_limit(error: &io::Error) -> bool {
    error.is(ERROR_WORKING_SET_QUOTA)
}

pub(crate) const LOCK_LIMIT_IS_RAISED_WITH: &str = "SetProcessWorkingSetSize";

/// Why nobody can mean that place here.
pub(crate) fn no_such_place(place: &Place) -> Option<&'static str> {
    match place {
        Place::Posix(_) => {
            Some("Windows has no POSIX objects: use a section of the page file (page-file:NAME), or a file")
        }
        Place::Key(_) | Place::Id(_) => Some(
            "Windows has no System V segments: use a section of the page file (page-file:NAME), or a file",
        ),
        #[cfg(feature = "portable")]
        Place::Portable(_) => Some(
            "on Windows the crate shared_memory makes its objects over files for temporary use: use a section of the page file \
             (page-file:NAME)",
        ),
        Place::File(_) | Place::PageFile(_) | Place::Anonymous => None,
    }
}

/// That nobody is chosen whom an object is for.
pub(crate) fn check_grant(operation: &'static str, place: &Place, grant: Grant) -> Result<(), Error> {
    let Grant { owner: None, group: None, mode: None } = grant else {
        let why = "Windows has access lists in the place of modes: a file inherits its directory's, and a section has that \
                   of its maker's token";
        return Err(Error::unsupported(operation, place, "an owner, a group or a mode", why));
    };
    Ok(())
}

pub(crate) fn give_new(_: &File, place: &Place, grant: Grant) -> Result<(), Error> {
    check_grant("create", place, grant)
}

pub(crate) fn status(place: &Place, file: &File) -> io::Result<Status> {
    let removed = is_removed(place, file)?.unwrap_or(false);
    let owner = owner::of_file(file).map_or(0, |owner| owner.number());
    Ok(Status { size: file.metadata()?.len(), owner, removed, ..Status::of_nobody() })
}

pub(crate) fn list() -> Result<Vec<Listed>, Error> {
    let (what, why) = ("listing objects", "Windows does not tell which sections there are");
    Err(Error::without_place("list shared memory", ErrorKind::Unsupported { what, why }, None))
}

/// Reads what there is at the beginning of a file.
pub(crate) fn read_first(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    file.seek_read(bytes, 0)
}

/// Makes a file larger, by zeroes that are there; or leaves it as it was.
pub(crate) fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    if i64::try_from(to).is_err() {
        return Err(io::Error::from_raw_os_error(ERROR_FILE_TOO_LARGE.cast_signed()));
    }
    file.set_len(to).inspect_err(|_| drop(file.set_len(from)))
}

/// Nothing needs to be.
pub(crate) fn is_sealed(_: &File) -> Option<bool> {
    None
}

/// Files are not mapped in them.
pub(crate) fn huge_page_bytes(_: &File) -> Option<u64> {
    None
}

/// The object's file once more, as an open of its own.
pub(crate) fn reopen(file: &File, path: Option<&Path>, access: Access) -> io::Result<File> {
    match (super::reopen(file, access == Access::ReadWrite), path) {
        // Wine looks for it under the name that it had when it was opened.
        (Err(error), Some(path)) if error.kind() == io::ErrorKind::NotFound => {
            let named = open_file(path, access, true)?;
            let same = owner::entry(&named)?.object == owner::entry(file)?.object;
            if same { Ok(named) } else { Err(error) }
        }
        (reopened, _) => reopened,
    }
}

/// The file of that path. Links are followed, as the caller chose it.
pub(crate) fn open_file(path: &Path, access: Access, _: bool) -> io::Result<File> {
    match OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => {
            Err(io::ErrorKind::IsADirectory.into())
        }
        opened => opened,
    }
}

/// The path of an object that has one.
pub(crate) fn path_of(place: &Place) -> Option<PathBuf> {
    match place {
        Place::File(path) => Some(path.clone()),
        _ => None,
    }
}

/// Whether the file of a place has lost its name: that leads elsewhere, or nowhere.
pub(crate) fn is_removed(place: &Place, file: &File) -> io::Result<Option<bool>> {
    is_named(place, file).map(|named| Some(!named))
}

/// Whether the name of a place leads to that file.
pub(crate) fn is_named(place: &Place, file: &File) -> io::Result<bool> {
    let Some(path) = path_of(place) else { return Ok(true) };
    match OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        named => Ok(owner::entry(&named?)?.object == owner::entry(file)?.object),
    }
}

/// Takes a file's name away. That is free at once; the file goes when nobody has it open any more.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    OpenDirectory::of(path)?.remove(path.file_name().unwrap_or_default())
}

/// The file itself can be locked.
pub(crate) fn companion_of(_: &Place) -> Option<String> {
    None
}
