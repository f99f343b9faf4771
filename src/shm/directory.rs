//! The directory that holds streams' objects, and the objects' way into it: one of the user's own, or one that
//! all users share ([`Scope`]).
//!
//! An object is built without a name (`O_TMPFILE`), allocated in full (a full tmpfs is an error now, not a
//! SIGBUS later), initialised, and only then linked: the name never shows a half-made segment.

#![allow(unsafe_code)]

use crate::error::Error;
use crate::name::Name;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Objects of scope `System` lie among other programs' files: they are told by this.
const SYSTEM_PREFIX: &str = "annulus.";

/// Who can find a stream by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The user whose processes made it: it lies in `$ANNULUS_DIR`, or in `/dev/shm/annulus-<uid>`, which is closed
    /// to others.
    #[default]
    User,
    /// Every user, as far as the stream's [group](crate::Builder::group) and [mode](crate::Builder::mode) let them: it
    /// lies in `$ANNULUS_DIR`, or in `/dev/shm` itself. A name belongs to whoever took it first;
    /// [`Info::owner`](crate::Info::owner) says who.
    System,
}

/// A checked directory. Everything is done in the very directory that was checked, whatever its path leads to since.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// For messages.
    path: PathBuf,
    scope: Scope,
    opened: Arc<File>,
    /// The open directory, as a path.
    here: PathBuf,
}

/// Who may use an object, as far as its creator says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) group: Option<u32>,
    pub(crate) mode: Option<u32>,
}

/// `$ANNULUS_DIR`, or `/dev/shm/annulus-<uid>`; for all users, `/dev/shm`.
pub(crate) fn default_path(scope: Scope) -> PathBuf {
    match (std::env::var_os("ANNULUS_DIR"), scope) {
        (Some(path), _) if !path.is_empty() => PathBuf::from(path),
        (_, Scope::User) => private_path(),
        (_, Scope::System) => PathBuf::from("/dev/shm"),
    }
}

fn private_path() -> PathBuf {
    PathBuf::from(format!("/dev/shm/annulus-{}", effective_uid()))
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
    pub(crate) fn open(path: Option<&Path>, scope: Scope) -> Result<Self, Error> {
        let path = whole(path, scope)?;
        loop {
            if let Some(directory) = Self::enter(&path, scope)? {
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

    /// As [`open`](Self::open), but makes nothing: `None` if the private directory is not there, and so no
    /// object in it.
    pub(crate) fn existing(path: Option<&Path>, scope: Scope) -> Result<Option<Self>, Error> {
        let path = whole(path, scope)?;
        match Self::enter(&path, scope)? {
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
        Self::open(Some(&self.path), self.scope).map(Some)
    }

    /// Opens the directory and checks what it opened: nobody else may plant or remove objects in it, and it is memory.
    fn enter(path: &Path, scope: Scope) -> Result<Option<Self>, Error> {
        let unfit = |why: String| Err(Error::UnfitDirectory { path: path.into(), why });
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let opened = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return unfit("it is not a directory: remove what is in its place, or set ANNULUS_DIR".into());
            }
            other => other.map_err(|error| Error::os("open the directory", path, error))?,
        };
        let found = opened.metadata().map_err(|error| Error::os("look at the directory", path, error))?;
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
        let on = file_system(&opened).map_err(|error| Error::os("ask for the file system of", path, error))?;
        if on.f_type as i64 != TMPFS_MAGIC {
            return unfit("it is not on a tmpfs: name a directory below /dev/shm".into());
        }
        let here = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        if !fs::metadata(&here).is_ok_and(|there| (there.dev(), there.ino()) == (found.dev(), found.ino())) {
            return unfit("/proc is not mounted, and without it nobody can work in one directory for certain".into());
        }
        Ok(Some(Self { path: path.into(), here, opened: Arc::new(opened), scope }))
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
        match fs::symlink_metadata(self.here.join(object)) {
            Ok(found) => {
                let (owner, group, mode) = (found.uid(), found.gid(), found.mode() & 0o7777);
                Error::NotAllowed { path, operation, user: effective_uid(), owner, group, mode }
            }
            Err(error) => Error::os(operation, &path, error),
        }
    }

    /// Makes an object of `bytes` zeroes without a name.
    pub(crate) fn create_unnamed(&self, bytes: u64, access: Access) -> Result<File, Error> {
        self.check_room(bytes)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .open(&self.here)
            .map_err(|error| Error::os("make an object in", &self.path, error))?;
        let length = libc::off_t::try_from(bytes).map_err(|_| self.no_space(bytes))?;
        loop {
            // SAFETY: a plain system call on a descriptor that `file` owns.
            let done = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) };
            if done == 0 {
                break;
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ENOSPC | libc::EFBIG | libc::ENOMEM | libc::EDQUOT) => return Err(self.no_space(bytes)),
                _ => return Err(Error::os("allocate an object in", &self.path, error)),
            }
        }
        // Without a word its owner alone, or the group as a reader.
        let usual = if self.is_shared() { 0o640 } else { 0o600 };
        self.grant(&file, Access { mode: access.mode.or(Some(usual)), ..access })?;
        Ok(file)
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

    /// tmpfs promises more than there is: allocating past the memory would bring the machine down before
    /// it fails. So both the file system and the memory must have room.
    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.free_bytes() { Err(self.no_space(bytes)) } else { Ok(()) }
    }

    fn free_bytes(&self) -> u64 {
        let file_system = file_system(&self.opened).map_or(u64::MAX, |on| on.f_bavail.saturating_mul(on.f_bsize as u64));
        file_system.min(available_memory().unwrap_or(u64::MAX))
    }

    fn no_space(&self, bytes: u64) -> Error {
        Error::NoSpace { need: bytes, free: self.free_bytes(), path: self.path.clone() }
    }

    /// Gives an unnamed object its name. False if the name is taken.
    pub(crate) fn link(&self, file: &File, name: &str) -> Result<bool, Error> {
        let path = self.path.join(name);
        let from = c_string(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
        let to = c_string(&self.here.join(name));
        let (cwd, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
        // SAFETY: both paths are terminated strings that live through the call.
        let done = unsafe { libc::linkat(cwd, from.as_ptr(), cwd, to.as_ptr(), follow) };
        if done == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(false),
            _ => Err(Error::os("name the object", &path, error)),
        }
    }

    /// Opens an object. Never follows a symlink, never blocks on a FIFO.
    pub(crate) fn open_object(&self, name: &str, write: bool) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(self.here.join(name))
    }

    /// Another open of the object that `file` is, for its mapping. A mapping keeps the open that it was made
    /// through, also in a child that inherits it; were that the open that holds the locks, a dead parent's
    /// seat would stay held for as long as its child lives.
    pub(crate) fn reopen(file: &File, write: bool) -> io::Result<File> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        OpenOptions::new().read(true).write(write).custom_flags(libc::O_CLOEXEC).open(path)
    }

    /// Whether `name` still leads to the object that `file` is.
    pub(crate) fn is_named(&self, name: &str, file: &File) -> io::Result<bool> {
        let named = match fs::symlink_metadata(self.here.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let open = file.metadata()?;
        Ok(named.ino() == open.ino() && named.dev() == open.dev())
    }

    /// Whether we may take the name of `object` away: in a directory that all users share its owner may.
    pub(crate) fn may_unlink(&self, object: &File) -> bool {
        let me = effective_uid();
        me == 0 || object.metadata().is_ok_and(|found| found.uid() == me)
    }

    /// Removes the name, and the private directory with the last of them. Those who have the object open
    /// keep it.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), Error> {
        match fs::remove_file(self.here.join(name)) {
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
        let entries = fs::read_dir(&self.here).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = match entries {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| Error::os("list", &self.path, error))?,
        };
        let mut names: Vec<String> =
            entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        if self.scope == Scope::System {
            names.retain(|name| self.name_of(name).is_some());
        }
        names.sort();
        Ok(names)
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

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn file_system(directory: &File) -> io::Result<libc::statfs> {
    let mut found = core::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the result has room for the answer.
    if unsafe { libc::fstatfs(directory.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the result.
    Ok(unsafe { found.assume_init() })
}

fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
