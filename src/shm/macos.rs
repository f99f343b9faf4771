//! macOS's part: it has neither unnamed files nor a tmpfs nor `/proc`. An object is built under a name that no stream can
//! have, and renamed; everything is done relative to the descriptor of the directory that was checked.
//!
//! Type-checked, never run: `docs/decisions.md` says what it relies on.

#![allow(unsafe_code)]

pub(crate) use super::unix::*;

use super::directory::{Entry, Medium, Scope};
use super::owner::{self, effective_uid};
use super::lock::{LockFile, Mode};
use crate::layout::GATE_BYTE;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::NonNull;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Objects that are being built are told by this: no stream's object begins so.
const BUILDING: &str = "@annulus-building.";

/// Locked while an object is being built: unlocked, its builder died.
const BUILDER_BYTE: u64 = GATE_BYTE + 1;

/// Where the objects of this user are, unless a caller names a directory: in the user's directory for temporary files, which
/// is what `TMPDIR` is to begin with, but the same for all of the user's processes.
pub(super) fn private_path() -> PathBuf {
    let user = effective_uid();
    let name = format!("annulus-{user}");
    let mut bytes = [0; libc::PATH_MAX as usize];
    // SAFETY: the buffer lives through the call, which stores no more than its length.
    let length = unsafe { libc::confstr(libc::_CS_DARWIN_USER_TEMP_DIR, bytes.as_mut_ptr().cast(), bytes.len()) };
    let path = CStr::from_bytes_until_nul(&bytes).ok().filter(|_| length != 0);
    path.map_or(shared_path(), |path| PathBuf::from(OsStr::from_bytes(path.to_bytes()))).join(name)
}

/// Where those are that all users share: `/tmp` is a symlink to it.
pub(super) fn shared_path() -> PathBuf {
    PathBuf::from("/private/tmp")
}

/// A directory, whatever its path leads to since it was opened.
#[derive(Clone, Debug)]
pub(super) struct OpenDirectory(Arc<LockFile>);

impl OpenDirectory {
    /// Opens the directory itself, not what a symlink leads to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        match LockFile::open(|| OpenOptions::new().read(true).custom_flags(flags).open(path)) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                Err(io::Error::from_raw_os_error(libc::ENOTDIR)) // as on Linux
            }
            other => Ok(Self(Arc::new(other?))),
        }
    }

    /// Why it may not be trusted with objects of `scope`.
    pub(super) fn distrust(&self, scope: Scope) -> io::Result<Option<String>> {
        Ok(owner::distrust_directory(self.0.found(), scope))
    }

    /// Why objects cannot be kept in it.
    pub(super) fn unfit(&self, _: Option<Medium>) -> io::Result<Option<&'static str>> {
        let is_local = self.file_system()?.f_flags & libc::MNT_LOCAL as u32 != 0;
        Ok((!is_local).then_some("it is not on a disk of this machine, and a network's keeps neither locks nor mappings right"))
    }

    /// Bytes that an object here could have.
    pub(super) fn free_bytes(&self) -> u64 {
        self.file_system().map_or(u64::MAX, |on| on.f_bavail.saturating_mul(on.f_bsize.into()))
    }

    fn file_system(&self) -> io::Result<libc::statfs> {
        let mut found = MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open, and the result has room for the answer.
        done(unsafe { libc::fstatfs(self.0.as_raw_fd(), found.as_mut_ptr()) })?;
        // SAFETY: the call succeeded, so it filled the result.
        Ok(unsafe { found.assume_init() })
    }

    /// What has this name in it, not following a symlink.
    pub(super) fn entry(&self, name: &str) -> io::Result<Entry> {
        let name = c_string(name)?;
        let mut found = MaybeUninit::<libc::stat>::uninit();
        let (here, flags) = (self.0.as_raw_fd(), libc::AT_SYMLINK_NOFOLLOW);
        // SAFETY: the name is a terminated string, and the result has room for the answer.
        done(unsafe { libc::fstatat(here, name.as_ptr(), found.as_mut_ptr(), flags) })?;
        // SAFETY: the call succeeded, so it filled the result.
        let found = unsafe { found.assume_init() };
        Ok(Entry {
            object: (found.st_dev as u64, found.st_ino),
            owner: found.st_uid,
            group: found.st_gid,
            mode: found.st_mode.into(),
        })
    }

    /// Opens what has this name. Never follows a symlink, never blocks on a FIFO.
    pub(super) fn open_file(&self, name: &str, write: bool) -> io::Result<File> {
        let access = if write { libc::O_RDWR } else { libc::O_RDONLY };
        self.open_at(name, access | libc::O_NOFOLLOW | libc::O_NONBLOCK)
    }

    fn open_at(&self, name: &str, flags: libc::c_int) -> io::Result<File> {
        let name = c_string(name)?;
        let mode: libc::c_uint = 0o600;
        loop {
            // SAFETY: the name is a terminated string that lives through the call.
            let opened = unsafe { libc::openat(self.0.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
            match done(opened) {
                // SAFETY: it was opened here, and is nobody else's.
                Ok(()) => return Ok(unsafe { File::from_raw_fd(opened) }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens what has this name to write to it; makes it if nothing has.
    pub(super) fn open_or_make(&self, name: &str) -> io::Result<File> {
        self.open_at(name, libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK)
    }

    /// Makes an empty object that has no stream's name yet.
    pub(super) fn make(&self) -> io::Result<Unnamed> {
        self.sweep();
        loop {
            let mut name = String::new();
            let lock = LockFile::open(|| {
                name = format!("{BUILDING}{:016x}", getrandom::u64().map_err(io::Error::other)?);
                self.open_at(&name, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)
            })?;
            let made = Unnamed { directory: self.clone(), lock, name };
            // One who sweeps may have come between the two.
            if made.lock.try_lock(BUILDER_BYTE, Mode::Exclusive)? && self.is_named(&made.name, &made.lock) {
                // The directory's group, until somebody asks for another: on Linux it is the builder's.
                // SAFETY: getegid has no preconditions and cannot fail.
                let group = unsafe { libc::getegid() };
                std::os::unix::fs::fchown(&*made.lock, None, Some(group))?;
                return Ok(made);
            }
        }
    }

    /// Removes what those left who died while they built an object.
    fn sweep(&self) {
        for name in self.all_names().unwrap_or_default() {
            if !name.starts_with(BUILDING) {
                continue;
            }
            let Ok(left) = LockFile::open(|| self.open_file(&name, true)) else { continue };
            if left.try_lock(BUILDER_BYTE, Mode::Exclusive).unwrap_or(false) && self.is_named(&name, &left) {
                let _ = self.remove(&name); // it may be another user's
            }
        }
    }

    fn is_named(&self, name: &str, file: &File) -> bool {
        match (self.entry(name), file.metadata()) {
            (Ok(named), Ok(open)) => named.object == Entry::of(&open).object,
            _ => false,
        }
    }

    /// Gives an object its name, if nothing has it.
    pub(super) fn link(&self, object: &Unnamed, name: &str) -> io::Result<()> {
        let (from, to) = (c_string(&object.name)?, c_string(name)?);
        let here = self.0.as_raw_fd();
        // SAFETY: both names are terminated strings that live through the call.
        done(unsafe { libc::renameatx_np(here, from.as_ptr(), here, to.as_ptr(), libc::RENAME_EXCL) })
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        let name = c_string(name)?;
        // SAFETY: the name is a terminated string that lives through the call.
        done(unsafe { libc::unlinkat(self.0.as_raw_fd(), name.as_ptr(), 0) })
    }

    /// The names of all that is in it, but for what is being built.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with(BUILDING));
        Ok(names)
    }

    fn all_names(&self) -> io::Result<Vec<String>> {
        let opened = self.open_at(".", libc::O_RDONLY | libc::O_DIRECTORY)?.into_raw_fd();
        // SAFETY: the descriptor was opened here; from now on it is the list's.
        let list = unsafe { libc::fdopendir(opened) };
        if list.is_null() {
            let error = io::Error::last_os_error();
            // SAFETY: the list did not take it, so it is still ours.
            drop(unsafe { File::from_raw_fd(opened) });
            return Err(error);
        }
        let mut names = Vec::new();
        let error = loop {
            // SAFETY: this thread's error number; the list is open, and this thread alone has it.
            let entry = unsafe {
                *libc::__error() = 0;
                libc::readdir(list)
            };
            if entry.is_null() {
                break io::Error::last_os_error(); // 0 at its end
            }
            // SAFETY: the entry is whole until the next call, and its name is terminated.
            let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
            if let Ok(name) = name.to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.into());
            }
        };
        // SAFETY: it is open, and not used afterwards. The descriptor goes with it.
        unsafe { libc::closedir(list) };
        if error.raw_os_error() == Some(0) { Ok(names) } else { Err(error) }
    }
}

/// An object that has no stream's name yet. Dropped without one, it is gone.
#[derive(Debug)]
pub(crate) struct Unnamed {
    directory: OpenDirectory,
    lock: LockFile,
    name: String,
}

impl Unnamed {
    /// There is no memory that could be sealed.
    pub(crate) fn sealed(_bytes: u64) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no memory without a name that nobody can cut off"))
    }

    /// Another open of it.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        self.directory.open_file(&self.name, true)
    }

    /// Gives it `bytes` zeroes, which are there: a full file system is an error now, not a SIGBUS later.
    pub(super) fn allocate(&self, bytes: u64) -> io::Result<()> {
        let bytes = libc::off_t::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        allocate(&self.lock, 0, bytes)
    }
}

impl Deref for Unnamed {
    type Target = File;

    fn deref(&self) -> &File {
        &self.lock
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.lock.forked() {
            let _ = self.directory.remove(&self.name); // there is nothing of that name once it was linked
        }
    }
}

/// There is no file system in memory.
pub(super) fn is_memory(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Where the object is that `file` is, as far as the system knows.
pub(super) fn path_of(file: &File) -> PathBuf {
    let mut bytes = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the descriptor is open, and the buffer is as long as the call may store.
    let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETPATH, bytes.as_mut_ptr()) };
    let path = CStr::from_bytes_until_nul(&bytes).ok().filter(|_| asked != -1);
    path.map_or_else(PathBuf::new, |path| PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}

/// Another open of the object that `file` is, by the name that it has.
pub(crate) fn reopen(file: &File, write: bool) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let again = OpenOptions::new().read(true).write(write).custom_flags(flags).open(path_of(file))?;
    if Entry::of(&again.metadata()?).object == Entry::of(&file.metadata()?).object {
        Ok(again)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Makes a file `to` bytes long, with zeroes from `from` on which are there.
pub(super) fn allocate(file: &File, from: libc::off_t, to: libc::off_t) -> io::Result<()> {
    let mut wanted = libc::fstore_t {
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: to - from,
        fst_bytesalloc: 0,
    };
    if to > from {
        // SAFETY: the descriptor is open, and `wanted` lives through the call.
        done(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut wanted) })?;
    }
    file.set_len(to as u64)
}

/// Maps the object that `file` is, by `map`. Here a mapping keeps the file, not the open that it was made through, so
/// the one with the locks serves; the file cannot be opened again once it has lost its name.
pub(crate) fn with_open_to_map<R>(
    file: &File,
    _write: bool,
    map: impl FnOnce(&File) -> io::Result<R>,
) -> io::Result<R> {
    map(file)
}

/// There is no way to keep pages out of core dumps, which are off unless somebody asks for them.
pub(super) fn leave_out_of_dumps(_: NonNull<u8>, _: usize) {}

/// There is no way to make pages writable but to store to them.
pub(super) fn populate(_: NonNull<u8>, _: usize) -> io::Result<bool> {
    Ok(false)
}

/// For a message only: whether the process of that number is stopped.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let Ok(pid) = libc::c_int::try_from(pid) else { return false };
    let mut found = MaybeUninit::<libc::proc_bsdinfo>::uninit();
    let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
    // SAFETY: the result has room for `size` bytes.
    let filled = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, found.as_mut_ptr().cast(), size) };
    // SAFETY: the call says that it filled all of it.
    filled == size && unsafe { found.assume_init() }.pbi_status == libc::SSTOP
}

/// Whether a process has its number from another pid namespace: there are none.
pub(crate) fn is_elsewhere(_: u32, _: &File, _: u64, _: &str) -> bool {
    false
}

fn c_string(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// What a call says that returns -1 where it fails.
fn done(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
