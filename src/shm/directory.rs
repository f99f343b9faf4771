//! The directory that holds streams' objects, and the objects' way into it: one of the user's own, or one that
//! all users share ([`Scope`]).
//!
//! An object is built without a name, allocated in full (a full tmpfs is an error now, not a SIGBUS later),
//! initialised, and only then linked: the name never shows a half-made segment. How is the system's matter
//! ([`system`]); whom to trust, and what to say, is decided here.

#![allow(unsafe_code)]

use super::system::{self, OpenDirectory, Unnamed};
use crate::error::Error;
use crate::name::Name;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
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
pub(super) struct Entry {
    /// The device and inode.
    pub(super) object: (u64, u64),
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: u32,
}

impl Entry {
    pub(super) fn of(found: &fs::Metadata) -> Self {
        let object = (found.dev(), found.ino());
        Self { object, owner: found.uid(), group: found.gid(), mode: found.mode() }
    }
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
    system::private_path(effective_uid())
}

fn is_private(path: &Path, scope: Scope) -> bool {
    scope == Scope::User && path == private_path()
}

/// `path`, or the default, from the root on: a daemon changes its directory.
fn whole(path: Option<&Path>, scope: Scope) -> Result<PathBuf, Error> {
    let path = path.map_or_else(|| default_path(scope), Path::to_path_buf);
    std::path::absolute(&path).map_err(|error| Error::os("find the directory", &path, error))
}

/// This process's effective user.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

impl Directory {
    /// Opens `path`, or the default. The default private directory is made if it is not there; one that was
    /// named by the caller must exist.
    pub(crate) fn open(path: Option<&Path>, scope: Scope, medium: Medium) -> Result<Self, Error> {
        let path = whole(path, scope)?;
        loop {
            if let Some(directory) = Self::enter(&path, scope, medium)? {
                return Ok(directory);
            }
            if !is_private(&path, scope) {
                return Err(Error::os("find the directory", &path, io::ErrorKind::NotFound.into()));
            }
            match fs::DirBuilder::new().mode(0o700).create(&path) {
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

    #[cfg(feature = "portable")]
    pub(super) fn existing_private() -> Result<Option<Self>, Error> {
        Self::existing(Some(&private_path()), Scope::User)
    }

    /// As [`open`](Self::open), but makes nothing: `None` if the private directory is not there, and so no
    /// object in it.
    pub(crate) fn existing(path: Option<&Path>, scope: Scope) -> Result<Option<Self>, Error> {
        let path = whole(path, scope)?;
        match Self::enter(&path, scope, Medium::Any)? {
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

    /// Opens the directory and checks what it opened: nobody else may plant or remove objects in it, and it is memory, if
    /// that matters.
    fn enter(path: &Path, scope: Scope, medium: Medium) -> Result<Option<Self>, Error> {
        let unfit = |why: String| Err(Error::UnfitDirectory { path: path.into(), why });
        let here = match OpenDirectory::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return unfit("it is not a directory: remove what is in its place, or set ANNULUS_DIR".into());
            }
            other => other.map_err(|error| Error::os("open the directory", path, error))?,
        };
        let found = here.metadata().map_err(|error| Error::os("look at the directory", path, error))?;
        let (me, owner, mode) = (effective_uid(), found.uid(), found.mode() & 0o7777);
        let others_write = mode & 0o022 != 0;
        match scope {
            Scope::User if owner != me => {
                return unfit(format!(
                    "it belongs to user {owner}, not to you ({me}): set ANNULUS_DIR to one of your own"
                ));
            }
            Scope::User if others_write => {
                return unfit(format!("others may write to it (mode {mode:o}): run chmod 700 on it"));
            }
            // Who owns the directory may take anybody's name away.
            Scope::System if owner != 0 && owner != me => {
                return unfit(format!("it belongs to user {owner}; one that all users share belongs to root"));
            }
            Scope::System if others_write && mode & 0o1000 == 0 => {
                return unfit(format!("anybody may remove anything there (mode {mode:o}): run chmod 1777 on it"));
            }
            _ => {}
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
        match self.scope {
            Scope::User => name.object(),
            Scope::System => format!("{SYSTEM_PREFIX}{}", name.object()),
        }
    }

    /// The name, and the layout, that an object's file name says.
    pub(crate) fn name_of(&self, object: &str) -> Option<(Name, u32)> {
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
                Error::NotAllowed { path, operation, user: effective_uid(), owner, group, mode }
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
        let length = libc::off_t::try_from(bytes).map_err(|_| self.no_space(bytes))?;
        object.allocate(length).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EFBIG | libc::ENOMEM | libc::EDQUOT) => self.no_space(bytes),
            _ => Error::os("allocate an object in", &self.path, error),
        })?;
        self.grant(&object, self.usual(access))?;
        Ok(object)
    }

    /// Without a word its owner alone, or the group as a reader.
    pub(crate) fn usual(&self, access: Access) -> Access {
        let usual = if self.is_shared() { 0o640 } else { 0o600 };
        Access { mode: access.mode.or(Some(usual)), ..access }
    }

    /// Whether that is the access to `object` already.
    pub(crate) fn grants(&self, object: &File, access: Access) -> bool {
        object.metadata().is_ok_and(|found| {
            access.group.is_none_or(|group| group == found.gid())
                && access.mode.is_none_or(|mode| mode == found.mode() & 0o7777)
        })
    }

    /// Lets those use `object` who may, as far as `access` says.
    pub(crate) fn grant(&self, object: &File, access: Access) -> Result<(), Error> {
        if let Some(group) = access.group {
            std::os::unix::fs::fchown(object, None, Some(group)).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Error::parameter(format!(
                    "you are not in group {group}, so you cannot give it a stream: choose one of your own (run id)"
                )),
                _ => Error::os("set the group of an object in", &self.path, error),
            })?;
        }
        let Some(mode) = access.mode else { return Ok(()) };
        object
            .set_permissions(fs::Permissions::from_mode(mode)) // whatever the umask was
            .map_err(|error| Error::os("set the mode of an object in", &self.path, error))
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
            named => Ok(named?.object == Entry::of(&file.metadata()?).object),
        }
    }

    /// Whether we may take the name of `object` away: in a directory that all users share its owner may.
    pub(crate) fn may_unlink(&self, object: &File) -> bool {
        let me = effective_uid();
        me == 0 || object.metadata().is_ok_and(|found| found.uid() == me)
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
    #[cfg(feature = "portable")]
    pub(super) fn companions(&self) -> Vec<String> {
        let mut names = self.here.names().unwrap_or_default();
        names.retain(|name| name.starts_with(COMPANION));
        names
    }

    /// Why an open file may not be taken for one of our objects; `None` if it may. Nobody may have a second name for
    /// it. A user's own was made by the user; a system's may have been made by anybody, but who may write to it, and
    /// so cut it off under its readers, was chosen by its owner: a group, never all.
    pub(crate) fn distrust(&self, file: &File) -> io::Result<Option<String>> {
        let found = file.metadata()?;
        let me = effective_uid();
        let not_to_write = match self.scope {
            Scope::User => 0o022,
            Scope::System => 0o002,
        };
        Ok(if !found.is_file() {
            Some("it is not a regular file".into())
        } else if self.scope == Scope::User && found.uid() != me && found.uid() != 0 {
            Some(format!("it belongs to user {}, not to you ({me})", found.uid()))
        } else if found.nlink() > 1 {
            Some("it has a second name (hard link); remove the stream by force to be rid of it".into())
        } else if found.mode() & not_to_write != 0 {
            Some(format!("others may write to it (mode {:o})", found.mode() & 0o7777))
        } else {
            None
        })
    }
}
