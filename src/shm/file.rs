//! Objects that are files, POSIX ones on Linux among them: found by a path, made without a name.
//!
//! A new one is built where nobody sees it ([`Draft`]), allocated in full (a full file system is an error now, not a SIGBUS
//! later), given its content, owner and mode, and only then its name. Whoever finds the name finds it whole; whoever is
//! killed before leaves nothing, and who comes second opens the first one's.

use super::draft::Draft;
use super::options::Options;
use super::Access;
use super::region::Region;
use super::{Error, ErrorKind, native};
use std::fs::File;
use std::io;
use std::path::Path;

/// The path of an object, and how it is gone along.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) path: &'a Path,
    /// Whether a symbolic link at its end leads to the object.
    pub(super) follow: bool,
}

impl<'a> Naming<'a> {
    /// A path that the caller chose.
    pub(super) fn path(path: &'a Path) -> Self {
        Self { path, follow: true }
    }
}

/// Opens what has that name, if anything has.
pub(super) fn find(options: &Options<'_>, naming: Naming<'_>) -> Result<Option<File>, Error> {
    let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
    let fail = |error| Error::os("open", &options.place, error);
    match native::open_file(naming.path, access, naming.follow) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened.map_err(fail)?;
            if file.metadata().map_err(fail)?.is_file() {
                return Ok(Some(file));
            }
            let kind = ErrorKind::NotMemory { why: "it is not a regular file" };
            Err(Error::new("open", &options.place, kind, None))
        }
    }
}

/// Makes it. `None`: something has the name.
pub(super) fn make(options: &mut Options<'_>, naming: Naming<'_>) -> Result<Option<File>, Error> {
    let place = options.place.clone();
    let fail = |error| Error::os("create", &place, error);
    let draft = Draft::beside(naming.path).map_err(fail)?;
    prepare(&draft, options)?;
    match draft.link(naming.path) {
        Ok(file) if options.read_only => {
            native::reopen(&file, Some(naming.path), Access::ReadOnly).map(Some).map_err(fail)
        }
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// Gives an empty file, that nobody else has, its size, its content, its owner and its mode.
pub(super) fn prepare(file: &File, options: &mut Options<'_>) -> Result<(), Error> {
    let place = options.place.clone();
    let size = options.size.unwrap_or(0);
    native::grow(file, 0, size).map_err(|error| Error::os("allocate", &place, error))?;
    if size != 0 && !options.content.is_none() {
        let bytes = usize::try_from(size).map_err(|_| Error::new("map", &place, ErrorKind::TooLarge, None))?;
        let region = Region::map(file, 0, bytes, Access::ReadWrite, None);
        let mut region = region.map_err(|error| Error::os("map", &place, error))?;
        region.with_bytes_of_ours(bytes, |bytes| options.content.store(bytes));
    }
    native::give_new(file, &place, options.grant)
}
