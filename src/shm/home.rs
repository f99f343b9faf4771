//! Where an object is found again: under a name in a directory, or nowhere.

use super::directory::{Directory, Scope};
use super::lock::LockFile;
#[cfg(target_os = "linux")]
use super::owner;
use super::place::Place;
#[cfg(windows)]
use super::section::Section;
use super::store::Store;
use super::system;
use crate::error::Error;
use crate::name::Name;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// What a stream's memory is: what outlives whom, and who can find it.
///
/// | backend | found by | stays | mapped twice |
/// |---|---|---|---|
/// | `Posix` | name | until the last one leaves, or it is removed; after a crash; not after a reboot | yes |
/// | `File` | name, in its directory | as `Posix`; also after a reboot, but then it vouches for nothing | yes |
/// | `SystemV` | name | as `Posix`; `ipcs -m` shows it, `ipcrm` removes it | no: chunks are two slices |
/// | `Portable` (a feature) | name | as `Posix`; the last one to leave removes it. Who removes it otherwise tells nobody | no: chunks are two slices |
/// | `Anonymous` | whom a [descriptor](crate::Producer::share) is given | while anybody has one | yes |
/// | `PageFile` | name | until the last one leaves, or dies: Windows keeps no memory that nobody has open | no |
///
/// Windows has `PageFile` and `File`, whose chunks are two slices there, too; other systems have all but `PageFile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// A POSIX shared memory object: a file on a tmpfs, in the [directory](crate::Builder::directory) for streams.
    #[cfg_attr(not(windows), default)]
    Posix,
    /// A file on any disk of this machine, in a [directory](crate::Builder::directory) that must be named. The system writes it
    /// back now and then, and a push may have to wait for that.
    File,
    /// A System V segment, beside a small file in the [directory](crate::Builder::directory) for streams that has the name
    /// and the locks.
    SystemV,
    /// An object of the crate [`shared_memory`](https://docs.rs/shared_memory), beside a small file in the
    /// [directory](crate::Builder::directory) for streams that has the name and the locks. For its owner alone. With the
    /// feature `portable`.
    #[cfg(all(unix, feature = "portable"))]
    Portable,
    /// Memory without a name, sealed: nobody can cut it off, whoever has it. Linux only.
    Anonymous,
    /// A section of Windows' page file, beside a small file in the [directory](crate::Builder::directory) for streams that has
    /// the name and the locks. Windows only.
    #[cfg_attr(windows, default)]
    PageFile,
}

impl Backend {
    /// Whether this system has it.
    pub(crate) fn is_there(self) -> bool {
        self == Self::File || (self == Self::PageFile) == cfg!(windows)
    }

    /// Whether its memory is not the file that is found, but what that leads to.
    pub(crate) fn is_elsewhere(self) -> bool {
        match self {
            Self::SystemV | Self::PageFile => true,
            #[cfg(all(unix, feature = "portable"))]
            Self::Portable => true,
            Self::Posix | Self::File | Self::Anonymous => false,
        }
    }

    /// Whether its memory can be mapped in pieces, and so twice, back to back.
    pub(crate) fn maps_twice(self) -> bool {
        !self.is_elsewhere() && !cfg!(windows)
    }
}

/// Where the lifecycle finds an object, and takes its name away.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    /// Under a file name in a directory.
    Named { directory: Directory, object: String },
    #[cfg_attr(windows, allow(dead_code, reason = "there no stream is given"))]
    /// It has no name, or it does not matter here: who was given a descriptor has it. Not the descriptor of a
    /// [`LockFile`], which would keep the locks of its opener.
    Given(Arc<File>),
}

impl Home {
    pub(crate) fn named(directory: &Directory, name: &Name) -> Self {
        Self::Named { directory: directory.clone(), object: directory.object(name) }
    }

    /// The stream's name there, if it has one.
    pub(crate) fn name(&self) -> Option<(&Directory, Name)> {
        match self {
            Self::Named { directory, object } => directory.name_of(object).map(|(name, _)| (directory, name)),
            Self::Given(_) => None,
        }
    }

    /// For messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Named { directory, object } => directory.path().join(object),
            Self::Given(file) => system::path_of(file),
        }
    }

    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Named { directory, .. } => directory.scope(),
            Self::Given(_) => Scope::User,
        }
    }

    /// Whether others than its owner may find it here.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Named { directory, .. } if directory.is_shared())
    }

    /// Where the memory of the object is, for who opens it by itself.
    pub(crate) fn memory(&self, store: &Store, backend: Backend) -> Place {
        match (store, backend) {
            #[cfg(windows)]
            (Store::Section { instance, .. }, _) => Place::page_file(Section::name(instance, self.is_shared())),
            #[cfg(unix)]
            (Store::SystemV { id, .. }, _) => Place::id(*id),
            #[cfg(all(unix, feature = "portable"))]
            (Store::Portable { memory, .. }, _) => Place::portable(memory.name()),
            (_, Backend::Anonymous) => Place::Anonymous,
            _ => Place::file(self.path()),
        }
    }

    /// Opens the object for oneself. Never follows a symlink, never blocks on a FIFO.
    pub(crate) fn open(&self, write: bool) -> io::Result<LockFile> {
        LockFile::open(|| match self {
            Self::Named { directory, object } => directory.open_object(object, write),
            Self::Given(file) if file.metadata()?.is_file() => system::reopen(file, write),
            Self::Given(_) => Err(system::no_file()), // to open a device again may do anything
        })
    }

    /// Why what was opened may not be taken for one of our objects; `None` if it may.
    pub(crate) fn distrust(&self, file: &LockFile) -> io::Result<Option<String>> {
        match self {
            Self::Named { directory, .. } => directory.distrust(file),
            // It was given, not found: whose it is is the giver's matter. But nobody may cut it off under us.
            Self::Given(_) if system::can_be_cut_off(file)? => {
                Ok(Some("it has no name and is not sealed: anybody who has it could cut it off".into()))
            }
            Self::Given(_) => Ok(None),
        }
    }

    /// Whether the name still leads to the object that `file` is.
    pub(crate) fn is_named(&self, file: &File) -> io::Result<bool> {
        match self {
            Self::Named { directory, object } => directory.is_named(object, file),
            Self::Given(_) => Ok(true),
        }
    }

    /// Another open of the object that `lock` is, if its name leads there now: who goes by it has looked at the name, too.
    /// Else (or where there is no name) one must look, and open it otherwise.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_again(&self, lock: &LockFile, write: bool) -> Option<File> {
        let Self::Named { directory, object } = self else { return None };
        let named = directory.open_object(object, write).ok()?;
        owner::entry(&named).is_ok_and(|named| named.object == lock.object()).then_some(named)
    }

    /// Whether we may take the name away.
    pub(crate) fn may_unlink(&self, file: &File) -> bool {
        matches!(self, Self::Named { directory, .. } if directory.may_unlink(file))
    }

    pub(crate) fn unlink(&self) -> Result<(), Error> {
        match self {
            Self::Named { directory, object } => directory.unlink(object),
            Self::Given(_) => Ok(()),
        }
    }

    /// That we may not do `operation` to it.
    pub(crate) fn not_allowed(&self, operation: &'static str) -> Error {
        match self {
            Self::Named { directory, object } => directory.not_allowed(operation, object),
            Self::Given(_) => Error::os(operation, &self.path(), io::ErrorKind::PermissionDenied.into()),
        }
    }
}
