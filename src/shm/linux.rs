//! Linux's part: objects without a name (`O_TMPFILE`) on a tmpfs. Everything is done relative to the descriptor of the
//! directory that was checked, or, where there is no such call, through `/proc/self/fd`.

#![allow(unsafe_code)]

pub(crate) use super::unix::*;

use super::directory::{Entry, Medium, Scope};
use super::owner::{self, effective_uid};
use super::lock::LockFile;
use super::native;
use core::ops::Deref;
use core::ptr::NonNull;
use std::ffi::CString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the objects of this user are, unless a caller names a directory.
pub(super) fn private_path() -> PathBuf {
    let user = effective_uid();
    PathBuf::from(format!("/dev/shm/annulus-{user}"))
}

/// Where those are that all users share.
pub(super) fn shared_path() -> PathBuf {
    PathBuf::from("/dev/shm")
}

/// A directory, whatever its path leads to since it was opened.
#[derive(Debug)]
pub(super) struct OpenDirectory(LockFile);

impl OpenDirectory {
    /// Opens the directory itself, not what a symlink leads to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        LockFile::open(|| OpenOptions::new().read(true).custom_flags(flags).open(path)).map(Self)
    }

    /// Its descriptor. Not if that was closed under us: its number may be another directory's.
    fn here(&self) -> io::Result<libc::c_int> {
        if self.0.is_intact() { Ok(self.0.as_raw_fd()) } else { Err(closed()) }
    }

    /// What has `name` in it, as a path.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        self.here().map(|_| own_path(&self.0).join(name))
    }

    /// Why it may not be trusted with objects of `scope`.
    pub(super) fn distrust(&self, scope: Scope) -> io::Result<Option<String>> {
        Ok(owner::distrust_directory(self.0.found(), scope))
    }

    /// Why objects cannot be made in it, on that medium; or, without one, found in it.
    pub(super) fn unfit(&self, medium: Option<Medium>) -> io::Result<Option<&'static str>> {
        let Some(medium) = medium else { return Ok(None) };
        if medium == Medium::Memory && !is_memory(&self.0)? {
            return Ok(Some("it is not on a tmpfs: name a directory below /dev/shm, or make the stream in a file"));
        }
        let found = self.0.found();
        let is_here = |there: Metadata| (there.dev(), there.ino()) == (found.dev(), found.ino());
        Ok(if fs::metadata(own_path(&self.0)).is_ok_and(is_here) {
            None
        } else {
            Some("/proc is not mounted, and without it nobody can make an object in one directory for certain")
        })
    }

    /// Bytes that an object here could have. tmpfs promises more than there is: allocating past the memory would bring
    /// the machine down before it fails. So both the file system and the memory must have room.
    pub(super) fn free_bytes(&self) -> u64 {
        let room = file_system(&self.0).map_or(u64::MAX, |on| on.f_bavail.saturating_mul(on.f_bsize as u64));
        match is_memory(&self.0) {
            Ok(true) => room.min(available_memory().unwrap_or(u64::MAX)),
            _ => room,
        }
    }

    /// What has this name in it, not following a symlink.
    pub(super) fn entry(&self, name: &str) -> io::Result<Entry> {
        let (here, name) = (self.here()?, c_string(Path::new(name)));
        let mut found = core::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the name is a terminated string, and the result has room for the answer.
        if unsafe { libc::fstatat(here, name.as_ptr(), found.as_mut_ptr(), libc::AT_SYMLINK_NOFOLLOW) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it filled the result.
        let found = unsafe { found.assume_init() };
        Ok(Entry { object: (found.st_dev, found.st_ino), owner: found.st_uid, group: found.st_gid, mode: found.st_mode })
    }

    /// Opens what has this name. Never follows a symlink, never blocks on a FIFO.
    pub(super) fn open_file(&self, name: &str, write: bool) -> io::Result<File> {
        let access = if write { libc::O_RDWR } else { libc::O_RDONLY };
        self.open_at(name, access | libc::O_NOFOLLOW | libc::O_NONBLOCK)
    }

    fn open_at(&self, name: &str, flags: libc::c_int) -> io::Result<File> {
        let (here, name) = (self.here()?, c_string(Path::new(name)));
        let mode: libc::c_uint = 0o600;
        loop {
            // SAFETY: the name is a terminated string that lives through the call.
            let opened = unsafe { libc::openat(here, name.as_ptr(), flags | libc::O_CLOEXEC, mode) };
            if opened != -1 {
                // SAFETY: it was opened here, and is nobody else's.
                return Ok(unsafe { File::from_raw_fd(opened) });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Makes an empty object that has no name yet.
    pub(super) fn make(&self) -> io::Result<Unnamed> {
        unnamed_in(&self.path(".")?).map(Unnamed)
    }

    /// Gives an object its name, if nothing has it.
    pub(super) fn link(&self, object: &Unnamed, name: &str) -> io::Result<()> {
        link(object, &self.path(name)?)
    }

    /// Opens what has this name to write to it; makes it if nothing has.
    pub(super) fn open_or_make(&self, name: &str) -> io::Result<File> {
        self.open_at(name, libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW | libc::O_NONBLOCK)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name)?)
    }

    /// The names of all that is in it.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.path(".")?)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

/// An object that has no name yet. Dropped without one, it is gone.
#[derive(Debug)]
pub(crate) struct Unnamed(File);

impl Unnamed {
    /// An object that never has a name, of `bytes` zeroes. Nobody can change its size.
    pub(crate) fn sealed(bytes: u64) -> io::Result<Self> {
        let object = Self(native::anonymous(false)?);
        object.allocate(bytes)?;
        native::seal_size(&object.0)?;
        Ok(object)
    }

    /// Another open of it.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        reopen(&self.0, true)
    }

    /// Gives it `bytes` zeroes, which are there.
    pub(super) fn allocate(&self, bytes: u64) -> io::Result<()> {
        let bytes = libc::off_t::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        allocate(&self.0, 0, bytes)
    }
}

impl Deref for Unnamed {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

/// What is known of where the object is that `file` is.
pub(super) fn path_of(file: &File) -> PathBuf {
    fs::read_link(own_path(file)).unwrap_or_else(|_| own_path(file))
}

/// Maps the object that `file` is, by `map`, through another open of it. A mapping keeps the open that it was made
/// through, also in a child that inherits it; were that the open that holds the locks, a dead parent's
/// seat would stay held for as long as its child lives.
pub(crate) fn with_open_to_map<R>(
    file: &File,
    write: bool,
    map: impl FnOnce(&File) -> io::Result<R>,
) -> io::Result<R> {
    map(&reopen(file, write)?)
}

/// Whether it is on a tmpfs.
pub(super) fn is_memory(file: &File) -> io::Result<bool> {
    Ok(file_system(file)?.f_type == libc::TMPFS_MAGIC)
}

/// Another open of the object that `file` is.
pub(crate) fn reopen(file: &File, write: bool) -> io::Result<File> {
    let again = OpenOptions::new().read(true).write(write).custom_flags(libc::O_CLOEXEC).open(own_path(file));
    again.map_err(|error| match error.kind() {
        // What is open is there, with or without a name.
        io::ErrorKind::NotFound => io::Error::other("/proc is not mounted, and without it no open file can be opened again"),
        _ => error,
    })
}

/// An empty file that has no name, on the file system of `directory`.
pub(super) fn unnamed_in(directory: &Path) -> io::Result<File> {
    let flags = libc::O_TMPFILE | libc::O_CLOEXEC;
    OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(directory)
}

/// Gives a file without a name one that nothing has.
pub(super) fn link(file: &File, path: &Path) -> io::Result<()> {
    let (from, to) = (c_string(&own_path(file)), c_string(path));
    let (cwd, follow) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
    // SAFETY: both paths are terminated strings that live through the call.
    let done = unsafe { libc::linkat(cwd, from.as_ptr(), cwd, to.as_ptr(), follow) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a file `to` bytes long, with zeroes from `from` on which are there: a full file system is an error now, not a
/// SIGBUS later. Piece by piece: kernels before 6.10 give up, and give back, all that one call has done when a signal
/// comes, as a timer's does again and again.
pub(super) fn allocate(file: &File, from: libc::off_t, to: libc::off_t) -> io::Result<()> {
    const PIECE: libc::off_t = 16 << 20;
    let mut done = from;
    while done < to {
        let piece = PIECE.min(to - done);
        // SAFETY: a plain system call on a descriptor that is open.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, done, piece) } == 0 {
            done += piece;
            continue;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

pub(super) fn file_system(on: &File) -> io::Result<libc::statfs> {
    let mut found = core::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the result has room for the answer.
    if unsafe { libc::fstatfs(on.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the result.
    Ok(unsafe { found.assume_init() })
}

/// The very file, as a path.
fn own_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn c_string(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

pub(super) fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Keeps pages out of core dumps.
pub(super) fn leave_out_of_dumps(pages: NonNull<u8>, bytes: usize) {
    let _ = advise(pages, bytes, libc::MADV_DONTDUMP); // without it dumps are large, and nothing else
}

/// Makes pages present and writable. False if the kernel knows no way (before 5.14).
pub(super) fn populate(pages: NonNull<u8>, bytes: usize) -> io::Result<bool> {
    match advise(pages, bytes, libc::MADV_POPULATE_WRITE) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        done => done.map(|()| true),
    }
}

pub(super) fn advise(pages: NonNull<u8>, bytes: usize, advice: i32) -> io::Result<()> {
    // SAFETY: none of the advices given changes contents, whatever is there; where nothing is, it is an error.
    let done = unsafe { libc::madvise(pages.as_ptr().cast(), bytes, advice) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// For a message only: whether the process of that number, as seen from here, is stopped.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

/// For a message only: whether no process of that number, as seen from here, has the lock on `byte` of `object`. Then
/// `program`, which wrote the number down, has it in another pid namespace.
pub(crate) fn is_elsewhere(pid: u32, object: &File, byte: u64, program: &str) -> bool {
    let Ok(object) = object.metadata() else { return false };
    let (major, minor) = (libc::major(object.dev()), libc::minor(object.dev()));
    let lock = format!(" {major:02x}:{minor:02x}:{} {byte}", object.ino());
    let has_it = |info: io::Result<fs::DirEntry>| {
        info.and_then(|info| fs::read_to_string(info.path()))
            .is_ok_and(|info| info.lines().any(|line| line.starts_with("lock:") && line.contains(&lock)))
    };
    match fs::read_dir(format!("/proc/{pid}/fdinfo")) {
        Ok(mut infos) => !infos.any(has_it),
        // Of another user's we learn its name only.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let path = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            !name.starts_with(program.as_bytes())
        }
        Err(_) => true,
    }
}
