//! The directory that holds streams' objects, and the objects' way into it: one of the user's own, or one that
//! all users share ([`Scope`]).
//!
//! An object is built without a name, allocated in full (a full tmpfs is an error now, not a SIGBUS later),
//! initialised, and only then linked: the name never shows a half-made segment. How is the system's matter
//! ([`system`]); whom to trust, and what to say, is decided here.

use super::lock::LockFile;
use super::owner;
use super::system::{self, OpenDirectory, Unnamed};
use crate::error::Error;
use crate::name::Name;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Objects of scope `System` lie among other programs' files: they are told by this.
const SYSTEM_PREFIX: &str = "annulus.";

/// Files that are locked for what is no file, or none yet (`companion.rs`): no stream's object begins so.
pub(super) const COMPANION: &str = "@shm";

/// Who can find a stream by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The user whose processes made it: it lies in `$ANNULUS_DIR`, or in `/dev/shm/annulus-<uid>`, which is closed
    /// to others (on macOS, in the user's own directory for temporary files).
    #[default]
    User,
    /// Every user, as far as the stream's [group](crate::Builder::group) and [mode](crate::Builder::mode) let them: it
    /// lies in `$ANNULUS_DIR`, or in `/dev/shm` itself (on macOS, in `/tmp`). A name belongs to whoever took it first;
    /// [`Info::owner`](crate::Info::owner) says who.
    System,
}

/// What a directory must be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Memory: nothing is ever written to a disk.
    Memory,
    /// Whatever it is on.
    Any,
}

/// A checked directory. Everything is done in the very directory that was checked, whatever its path leads to since.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// For messages.
    path: PathBuf,
    scope: Scope,
    here: Arc<OpenDirectory>,
}

/// What has a name in a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The device and inode.
    pub(crate) object: (u64, u64),
    pub(crate) owner: u32,
    pub(crate) group: u32,
    pub(crate) mode: u32,
}

/// Who may use an object, as far as its creator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) group: Option<u32>,
    pub(crate) mode: Option<u32>,
}

/// `$ANNULUS_DIR`, or what the system has for this: for one user, or for all.
pub(crate) fn default_path(scope: Scope) -> PathBuf {
    match (std::env::var_os("ANNULUS_DIR"), scope) {
        (Some(path), _) if !path.is_empty() => PathBuf::from(path),
        (_, Scope::User) => private_path(),
        (_, Scope::System) => system::shared_path(),
    }
}

fn private_path() -> PathBuf {
    system::private_path()
}

fn is_private(path: &Path, scope: Scope) -> bool {
    scope == Scope::User && path == private_path()
}

/// `path`, or the default, from the root on: a daemon changes its directory.
fn whole(path: Option<&Path>, scope: Scope) -> Result<PathBuf, Error> {
    let path = path.map_or_else(|| default_path(scope), Path::to_path_buf);
    std::path::absolute(&path).map_err(|error| Error::os("find the directory", &path, error))
}

impl Directory {
    /// Opens `path`, or the default. The default private directory is made if it is not there; one that was
    /// named by the caller must exist.
    pub(crate) fn open(path: Option<&Path>, scope: Scope, medium: Medium) -> Result<Self, Error> {
        let path = whole(path, scope)?;
        loop {
            if let Some(directory) = Self::enter(&path, scope, Some(medium))? {
                return Ok(directory);
            }
            if !is_private(&path, scope) {
                return Err(Error::os("find the directory", &path, io::ErrorKind::NotFound.into()));
            }
            match owner::make_private(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::os("make the private directory", &path, error));
                }
                _ => {} // and if the last one to leave is faster, once more
            }
        }
    }

    /// The private directory, whatever `$ANNULUS_DIR` says: the same for all of the user's processes.
    pub(super) fn private() -> Result<Self, Error> {
        Self::open(Some(&private_path()), Scope::User, Medium::Memory)
    }

    #[cfg(all(unix, feature = "portable"))]
    pub(super) fn existing_private() -> Result<Option<Self>, Error> {
        Self::existing(Some(&private_path()), Scope::User)
    }

    /// As [`open`](Self::open), but makes nothing: `None` if the private directory is not there, and so no
    /// object in it.
    pub(crate) fn existing(path: Option<&Path>, scope: Scope) -> Result<Option<Self>, Error> {
        let path = whole(path, scope)?;
        match Self::enter(&path, scope, None)? {
            None if !is_private(&path, scope) => {
                Err(Error::os("find the directory", &path, io::ErrorKind::NotFound.into()))
            }
            found => Ok(found),
        }
    }

    /// The private directory once more, after the last one to leave took it along. `None`: this is another.
    pub(crate) fn made_again(&self) -> Result<Option<Self>, Error> {
        if !is_private(&self.path, self.scope) {
            return Ok(None);
        }
        Self::open(Some(&self.path), self.scope, Medium::Memory).map(Some)
    }

    /// Opens the directory and checks what it opened: nobody else may plant or remove objects in it, and they can be made on
    /// that medium, or, without one, found.
    fn enter(path: &Path, scope: Scope, medium: Option<Medium>) -> Result<Option<Self>, Error> {
        let unfit = |why: String| Err(Error::UnfitDirectory { path: path.into(), why });
        let here = match OpenDirectory::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return unfit("it is not a directory: remove what is in its place, or set ANNULUS_DIR".into());
            }
            other => other.map_err(|error| Error::os("open the directory", path, error))?,
        };
        let distrust = here.distrust(scope).map_err(|error| Error::os("look at the directory", path, error))?;
        if let Some(why) = distrust {
            return unfit(why);
        }
        if let Some(why) = here.unfit(medium).map_err(|error| Error::os("ask for the file system of", path, error))? {
            return unfit(why.into());
        }
        Ok(Some(Self { path: path.into(), here: Arc::new(here), scope }))
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether others than the owner of an object may find it here.
    pub(crate) fn is_shared(&self) -> bool {
        self.scope == Scope::System
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file name of the object for `name`.
    pub(crate) fn object(&self, name: &Name) -> String {
        system::to_file_name(match self.scope {
            Scope::User => name.object(),
            Scope::System => format!("{SYSTEM_PREFIX}{}", name.object()),
        })
    }

    /// The name, and the layout, that an object's file name says.
    pub(crate) fn name_of(&self, object: &str) -> Option<(Name, u32)> {
        let object = &*system::of_file_name(object);
        match self.scope {
            Scope::User => Name::from_object(object),
            Scope::System => Name::from_object(object.strip_prefix(SYSTEM_PREFIX)?),
        }
    }

    /// That we may not do `operation` to `object`.
    pub(crate) fn not_allowed(&self, operation: &'static str, object: &str) -> Error {
        let path = self.path.join(object);
        match self.here.entry(object) {
            Ok(Entry { owner, group, mode, .. }) => {
                let mode = mode & 0o7777;
                Error::NotAllowed { path, operation, user: owner::effective_uid(), owner, group, mode }
            }
            Err(error) => Error::os(operation, &path, error),
        }
    }

    /// Makes an object of `bytes` zeroes without a name.
    pub(crate) fn create_unnamed(&self, bytes: u64, access: Access) -> Result<Unnamed, Error> {
        if bytes > self.here.free_bytes() {
            return Err(self.no_space(bytes));
        }
        let object = self.here.make().map_err(|error| Error::os("make an object in", &self.path, error))?;
        object.allocate(bytes).map_err(|error| match system::is_no_space(&error) {
            true => self.no_space(bytes),
            false => Error::os("allocate an object in", &self.path, error),
        })?;
        self.grant(&object, self.usual(access))?;
        Ok(object)
    }

    /// Without a word its owner alone, or the group as a reader.
    pub(crate) fn usual(&self, access: Access) -> Access {
        owner::usual(access, self.is_shared())
    }

    /// Whether that is the access to `object` already.
    pub(crate) fn grants(&self, object: &File, access: Access) -> bool {
        owner::grants(object, access)
    }

    /// Lets those use `object` who may, as far as `access` says.
    pub(crate) fn grant(&self, object: &File, access: Access) -> Result<(), Error> {
        owner::grant(object, access, &self.path)
    }

    pub(crate) fn no_space(&self, bytes: u64) -> Error {
        Error::NoSpace { need: bytes, free: self.here.free_bytes(), path: self.path.clone() }
    }

    /// Gives an unnamed object its name. False if the name is taken.
    pub(crate) fn link(&self, object: &Unnamed, name: &str) -> Result<bool, Error> {
        match self.here.link(object, name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::os("name the object", &self.path.join(name), error)),
        }
    }

    /// Opens an object. Never follows a symlink, never blocks on a FIFO.
    pub(crate) fn open_object(&self, name: &str, write: bool) -> io::Result<File> {
        self.here.open_file(name, write)
    }

    /// Opens what has this name to write to it; makes it if nothing has.
    pub(super) fn open_or_make(&self, name: &str) -> io::Result<File> {
        self.here.open_or_make(name)
    }

    /// Whether `name` still leads to the object that `file` is.
    pub(crate) fn is_named(&self, name: &str, file: &File) -> io::Result<bool> {
        match self.here.entry(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            named => Ok(named?.object == owner::entry(file)?.object),
        }
    }

    /// Whether we may take the name of `object` away: in a directory that all users share its owner may.
    pub(crate) fn may_unlink(&self, object: &File) -> bool {
        owner::may_unlink(object)
    }

    /// Removes the name, and the private directory with the last of them. Those who have the object open
    /// keep it.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), Error> {
        match self.here.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::os("remove", &self.path.join(name), error));
            }
            _ => {}
        }
        if is_private(&self.path, self.scope) {
            let _ = fs::remove_dir(&self.path); // only if it is empty; who is about to use it makes it again
        }
        Ok(())
    }

    /// The objects' file names, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = match self.here.names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| Error::os("list", &self.path, error))?,
        };
        match self.scope {
            Scope::System => names.retain(|name| self.name_of(name).is_some()),
            Scope::User => names.retain(|name| !name.starts_with(COMPANION)),
        }
        names.sort();
        Ok(names)
    }

    /// The names of the files that are locked for what is no file.
    #[cfg(all(unix, feature = "portable"))]
    pub(super) fn companions(&self) -> Vec<String> {
        let mut names = self.here.names().unwrap_or_default();
        names.retain(|name| name.starts_with(COMPANION));
        names
    }

    /// Why an open file may not be taken for one of our objects; `None` if it may.
    pub(crate) fn distrust(&self, file: &LockFile) -> io::Result<Option<String>> {
        owner::distrust(file, self.scope)
    }
}
