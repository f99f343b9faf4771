//! The directory that holds a user's objects, and the objects' way into it.
//!
//! An object is built without a name (`O_TMPFILE`), allocated in full (a full tmpfs is an error now, not a
//! SIGBUS later), initialised, and only then linked: the name never shows a half-made segment.

#![allow(unsafe_code)]

use crate::error::Error;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const TMPFS_MAGIC: i64 = 0x0102_1994;

/// A checked directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// `$ANNULUS_DIR`, or `/dev/shm/annulus-<uid>`.
pub(crate) fn default_path() -> PathBuf {
    match std::env::var_os("ANNULUS_DIR") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => private_path(),
    }
}

fn private_path() -> PathBuf {
    PathBuf::from(format!("/dev/shm/annulus-{}", effective_uid()))
}

/// This process's effective user.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

impl Directory {
    /// Opens `path`, or the default. The default private directory is made if it is not there; one that was
    /// named by the caller must exist.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let directory = Self { path: path.map_or_else(default_path, Path::to_path_buf) };
        if !directory.make_private()? && !directory.is_there()? {
            return Err(Error::os("find the directory", &directory.path, io::ErrorKind::NotFound.into()));
        }
        Ok(directory)
    }

    /// As [`open`](Self::open), but makes nothing: `None` if the private directory is not there, and so no
    /// object in it.
    pub(crate) fn existing(path: Option<&Path>) -> Result<Option<Self>, Error> {
        let directory = Self { path: path.map_or_else(default_path, Path::to_path_buf) };
        if directory.is_there()? {
            return Ok(Some(directory));
        }
        if directory.path == private_path() {
            return Ok(None);
        }
        Err(Error::os("find the directory", &directory.path, io::ErrorKind::NotFound.into()))
    }

    /// Makes the private directory if this is it and it is not there. False: this is another.
    pub(crate) fn make_private(&self) -> Result<bool, Error> {
        if self.path != private_path() {
            return Ok(false);
        }
        loop {
            match fs::DirBuilder::new().mode(0o700).create(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::os("make the private directory", &self.path, error));
                }
                _ if self.is_there()? => return Ok(true),
                _ => {} // the last one to leave was faster
            }
        }
    }

    /// Whether it is there, and fit: nobody else may plant or remove objects in it, and it is memory.
    fn is_there(&self) -> Result<bool, Error> {
        let path = &self.path;
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| Error::os("look at the directory", path, error))?,
        };
        let unfit = |why: String| Err(Error::UnfitDirectory { path: path.clone(), why });
        if !found.is_dir() {
            return unfit("it is not a directory: remove what is in its place, or set ANNULUS_DIR".into());
        }
        let me = effective_uid();
        if found.uid() != me {
            let owner = found.uid();
            return unfit(format!("it belongs to user {owner}, not to you ({me}): set ANNULUS_DIR to one of your own"));
        }
        if found.mode() & 0o022 != 0 {
            let mode = found.mode() & 0o7777;
            return unfit(format!("others may write to it (mode {mode:o}): run chmod 700 on it"));
        }
        let on = match file_system(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|error| Error::os("ask for the file system of", path, error))?,
        };
        if on.f_type as i64 != TMPFS_MAGIC {
            return unfit("it is not on a tmpfs: name a directory below /dev/shm".into());
        }
        Ok(true)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an object of `bytes` zeroes without a name, readable and writable by its owner.
    pub(crate) fn create_unnamed(&self, bytes: u64) -> Result<File, Error> {
        self.check_room(bytes)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .open(&self.path)
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
        file.set_permissions(fs::Permissions::from_mode(0o600)) // whatever the umask was
            .map_err(|error| Error::os("set the mode of an object in", &self.path, error))?;
        Ok(file)
    }

    /// tmpfs promises more than there is: allocating past the memory would bring the machine down before
    /// it fails. So both the file system and the memory must have room.
    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        if bytes > self.free_bytes() { Err(self.no_space(bytes)) } else { Ok(()) }
    }

    fn free_bytes(&self) -> u64 {
        let file_system = file_system(&self.path).map_or(u64::MAX, |on| on.f_bavail.saturating_mul(on.f_bsize as u64));
        file_system.min(available_memory().unwrap_or(u64::MAX))
    }

    fn no_space(&self, bytes: u64) -> Error {
        Error::NoSpace { need: bytes, free: self.free_bytes(), path: self.path.clone() }
    }

    /// Gives an unnamed object its name. False if the name is taken.
    pub(crate) fn link(&self, file: &File, name: &str) -> Result<bool, Error> {
        let path = self.path.join(name);
        let from = c_string(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
        let to = c_string(&path);
        let (cwd, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
        // SAFETY: both paths are terminated strings that live through the call.
        let done = unsafe { libc::linkat(cwd, from.as_ptr(), cwd, to.as_ptr(), follow) };
        if done == 0 {
            return Ok(true);
        }
        let mut error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::NotFound {
            // No /proc here: by descriptor then.
            // SAFETY: as above; the empty path stands for the descriptor itself.
            let done = unsafe {
                libc::linkat(file.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_EMPTY_PATH)
            };
            if done == 0 {
                return Ok(true);
            }
            error = io::Error::last_os_error();
        }
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
            .open(self.path.join(name))
    }

    /// Another open of the object that `file` is, for its mapping. A mapping keeps the open that it was made
    /// through, also in a child that inherits it; were that the open that holds the locks, a dead parent's
    /// seat would stay held for as long as its child lives.
    pub(crate) fn reopen(file: &File, write: bool) -> io::Result<File> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        OpenOptions::new().read(true).write(write).custom_flags(libc::O_CLOEXEC).open(path)
    }

    /// Whether `name` still leads to the object that `file` is.
    pub(crate) fn is_named(&self, name: &str, file: &File) -> bool {
        let named = fs::symlink_metadata(self.path.join(name));
        match (named, file.metadata()) {
            (Ok(named), Ok(open)) => named.ino() == open.ino() && named.dev() == open.dev(),
            _ => false,
        }
    }

    /// Removes the name, and the private directory with the last of them. Those who have the object open
    /// keep it.
    pub(crate) fn unlink(&self, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::os("remove", &path, error)),
            _ => {}
        }
        if self.path == private_path() {
            let _ = fs::remove_dir(&self.path); // only if it is empty; who is about to use it makes it again
        }
        Ok(())
    }

    /// The file names in it, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| Error::os("list", &self.path, error))?,
        };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }
}

/// Why an open file may not be taken for one of our objects; `None` if it may. Only its owner may have made
/// it, and nobody may have a second name for it.
pub(crate) fn distrust(file: &File) -> io::Result<Option<String>> {
    let found = file.metadata()?;
    let me = effective_uid();
    Ok(if !found.is_file() {
        Some("it is not a regular file".into())
    } else if found.uid() != me && found.uid() != 0 {
        Some(format!("it belongs to user {}, not to you ({me})", found.uid()))
    } else if found.nlink() > 1 {
        Some("it has a second name (hard link)".into())
    } else if found.mode() & 0o022 != 0 {
        Some(format!("others may write to it (mode {:o})", found.mode() & 0o7777))
    } else {
        None
    })
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

fn file_system(path: &Path) -> io::Result<libc::statfs> {
    let path = c_string(path);
    let mut found = core::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is terminated, and the result has room for the answer.
    if unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
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
