//! Windows' part: a stream's file says where its memory is (`leader`), a section of the page file, and carries its locks. A
//! file is built under a name that no stream can have, and renamed; a directory that is open here cannot be renamed or
//! removed, so its path stays what it was.

#![allow(unsafe_code)]

pub(super) mod draft;
pub(crate) mod event;
pub(crate) mod lock;
pub(crate) mod map;
pub(super) mod native;
pub(crate) mod owner;
pub(super) mod page_file;
pub(crate) mod region;
pub(crate) mod section;
pub(crate) mod sequence;

pub(crate) use event::{MOST_EVENTS, NamedEvent, wait_for_any};

use super::directory::{Entry, Medium, Scope};
use super::lock::{LockFile, Mode};
use crate::layout::GATE_BYTE;
use core::mem::MaybeUninit;
use core::ops::Deref;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_FILE_EXISTS, ERROR_NO_SYSTEM_RESOURCES,
    ERROR_NOT_ENOUGH_MEMORY, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_FLAG_OPEN_REPARSE_POINT, FILE_REMOTE_PROTOCOL_INFO, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FileRemoteProtocolInfo, GetDiskFreeSpaceExW, GetFileInformationByHandle,
    GetFileInformationByHandleEx, MoveFileExW, ReOpenFile,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

/// Objects that are being built, or were removed while somebody had them open, are told by this: no stream's object begins
/// so.
const BUILDING: &str = "@annulus-building.";
const REMOVED: &str = "@annulus-removed.";

/// Locked while an object is being built: unlocked, its builder died.
const BUILDER_BYTE: u64 = GATE_BYTE + 1;

/// Whether an error is one of Windows' own.
pub(super) trait Error {
    fn is(&self, code: u32) -> bool;
}

impl Error for io::Error {
    fn is(&self, code: u32) -> bool {
        self.raw_os_error() == Some(code as i32)
    }
}

pub(super) fn handle(of: &impl AsRawHandle) -> HANDLE {
    of.as_raw_handle()
}

/// At `offset` in a file.
pub(super) fn overlapped(offset: u64) -> OVERLAPPED {
    OVERLAPPED {
        Internal: 0,
        InternalHigh: 0,
        Anonymous: OVERLAPPED_0 {
            Anonymous: OVERLAPPED_0_0 { Offset: offset as u32, OffsetHigh: (offset >> 32) as u32 },
        },
        hEvent: core::ptr::null_mut(),
    }
}

/// As Windows has texts: in 16 bits each, and terminated.
pub(super) fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt;
    text.as_ref().encode_wide().chain([0]).collect()
}

/// What a call says that returns 0 where it fails.
pub(super) fn done(returned: i32) -> io::Result<()> {
    if returned == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Where the objects of this user are, unless a caller names a directory.
pub(super) fn private_path() -> PathBuf {
    known_path("LOCALAPPDATA", "annulus").unwrap_or_else(|| std::env::temp_dir().join("annulus"))
}

/// Where those are that all users share. An administrator makes it.
pub(super) fn shared_path() -> PathBuf {
    known_path("ProgramData", "annulus").unwrap_or_else(|| PathBuf::from(r"C:\ProgramData\annulus"))
}

fn known_path(variable: &str, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    path.is_absolute().then(|| path.join(name))
}

/// A file name for an object's: Windows takes capitals for small letters, so they are marked, and so are the names of
/// devices, which it finds everywhere.
pub(super) fn to_file_name(object: String) -> String {
    let mut name = String::new();
    let stem = object.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |device: &str| stem.strip_prefix(device).is_some_and(|rest| rest.len() == 1);
    if matches!(&*stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt") {
        name.push('=');
    }
    for letter in object.chars() {
        if letter.is_ascii_uppercase() {
            name.push('+');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The inverse.
pub(super) fn of_file_name(name: &str) -> String {
    let mut object = String::new();
    let mut letters = name.strip_prefix('=').unwrap_or(name).chars();
    while let Some(letter) = letters.next() {
        match letter {
            '+' => object.extend(letters.next().map(|letter| letter.to_ascii_uppercase())),
            _ => object.push(letter),
        }
    }
    object
}

/// A directory that nobody can rename or remove while it is open.
#[derive(Clone, Debug)]
pub(super) struct OpenDirectory {
    opened: Arc<File>,
    path: PathBuf,
}

impl OpenDirectory {
    /// Opens the directory itself, not what a link leads to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
            .open(path)?;
        let found = opened.metadata()?;
        if !found.is_dir() || found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { opened: Arc::new(opened), path: path.into() })
    }

    /// The one that a path's last part lies in.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::open(&directory.canonicalize()?)
    }

    /// Why objects cannot be kept in it, whoever wants to.
    pub(super) fn unfit(&self, _: Option<Medium>) -> io::Result<Option<&'static str>> {
        let mut found = MaybeUninit::<FILE_REMOTE_PROTOCOL_INFO>::zeroed();
        let bytes = size_of::<FILE_REMOTE_PROTOCOL_INFO>() as u32;
        // SAFETY: the handle is open, and the result has room for `bytes`.
        let is_remote = unsafe {
            GetFileInformationByHandleEx(
                handle(&*self.opened),
                FileRemoteProtocolInfo,
                found.as_mut_ptr().cast(),
                bytes,
            )
        };
        Ok((is_remote != 0).then_some(
            "it is not on a disk of this machine, and others' locks are no proof of anything here",
        ))
    }

    /// Why it may not be trusted with objects of `scope`.
    pub(super) fn distrust(&self, scope: Scope) -> io::Result<Option<String>> {
        owner::distrust_directory(&self.opened, scope)
    }

    /// Bytes that a file here could have.
    pub(super) fn free_bytes(&self) -> u64 {
        let mut free = 0;
        // SAFETY: the path is terminated, and the result lives through the call.
        let asked = unsafe {
            GetDiskFreeSpaceExW(
                wide(&self.path).as_ptr(),
                &raw mut free,
                core::ptr::null_mut(),
                core::ptr::null_mut(),
            )
        };
        if asked == 0 { u64::MAX } else { free }
    }

    /// What has this name in it, not following a link.
    pub(super) fn entry(&self, name: &str) -> io::Result<Entry> {
        let opened = OpenOptions::new()
            .access_mode(0)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
            .open(self.path.join(name))?;
        owner::entry(&opened)
    }

    /// Opens what has this name. Never follows a link.
    pub(super) fn open_file(&self, name: &str, write: bool) -> io::Result<File> {
        let path = self.path.join(name);
        let opened =
            OpenOptions::new().read(true).write(write).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(&path);
        match opened {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.is_dir() => {
                Err(io::ErrorKind::IsADirectory.into())
            }
            other => other,
        }
    }

    /// Opens what has this name to write to it; makes it if nothing has.
    pub(super) fn open_or_make(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        options.open(self.path.join(name))
    }

    /// Makes an empty object that has no stream's name yet.
    pub(super) fn make(&self) -> io::Result<Unnamed> {
        self.sweep();
        loop {
            let name = unique(BUILDING)?;
            let lock = LockFile::open(|| {
                OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(&name))
            })?;
            let made = Unnamed { directory: self.clone(), lock, name };
            // One who sweeps may have come between the two.
            if made.lock.try_lock(BUILDER_BYTE, Mode::Exclusive)? && self.is_named(&made.name, &made.lock) {
                return Ok(made);
            }
        }
    }

    /// Removes what those left who died while they built an object, or had it open when it was removed.
    fn sweep(&self) {
        for name in self.all_names().unwrap_or_default() {
            if !name.starts_with(BUILDING) && !name.starts_with(REMOVED) {
                continue;
            }
            let Ok(left) = LockFile::open(|| self.open_file(&name, true)) else { continue };
            if left.try_lock(BUILDER_BYTE, Mode::Exclusive).unwrap_or(false) && self.is_named(&name, &left) {
                let _ = fs::remove_file(self.path.join(&name)); // it may be another user's, or in use
            }
        }
    }

    fn is_named(&self, name: &str, file: &File) -> bool {
        match (self.entry(name), owner::entry(file)) {
            (Ok(named), Ok(open)) => named.object == open.object,
            _ => false,
        }
    }

    /// Gives an object its name, if nothing has it.
    pub(super) fn link(&self, object: &Unnamed, name: impl AsRef<Path>) -> io::Result<()> {
        match self.rename(object.name.as_ref(), name.as_ref()) {
            Err(error) if error.is(ERROR_FILE_EXISTS) => Err(io::ErrorKind::AlreadyExists.into()),
            done => done,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (wide(self.path.join(from)), wide(self.path.join(to)));
        // SAFETY: both paths are terminated, and live through the call.
        done(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) })
    }

    /// The name is free at once; the file goes when nobody has it open any more.
    pub(super) fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let gone = unique(REMOVED)?;
        self.rename(name.as_ref(), gone.as_ref())?;
        let _ = fs::remove_file(self.path.join(gone)); // who makes an object here removes what is left
        Ok(())
    }

    /// The names of all that is in it, but for what is being built, or is about to go.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.all_names()?;
        names.retain(|name| !name.starts_with(BUILDING) && !name.starts_with(REMOVED));
        Ok(names)
    }

    fn all_names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}

fn unique(prefix: &str) -> io::Result<String> {
    Ok(format!("{prefix}{:016x}", getrandom::u64().map_err(io::Error::other)?))
}

fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: the handle is open, and the result has room for the answer.
    done(unsafe { GetFileInformationByHandle(handle(file), found.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled the result.
    Ok(unsafe { found.assume_init() })
}

/// An object that has no stream's name yet. Dropped without one, it is gone.
#[derive(Debug)]
pub(crate) struct Unnamed {
    directory: OpenDirectory,
    lock: LockFile,
    name: String,
}

impl Unnamed {
    /// There is no memory without a name that a stream could be found in.
    pub(crate) fn sealed(_bytes: u64) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no memory without a name that nobody can cut off",
        ))
    }

    /// Another open of it.
    pub(crate) fn reopen(&self) -> io::Result<File> {
        self.directory.open_file(&self.name, true)
    }

    /// Gives it `bytes` zeroes.
    pub(super) fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.lock.set_len(bytes)
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
        let _ = fs::remove_file(self.directory.path.join(&self.name)); // there is nothing of that name once it was renamed
    }
}

/// Whether there is no room: on the disk, or in the page file.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    [ERROR_DISK_FULL, ERROR_COMMITMENT_LIMIT, ERROR_NOT_ENOUGH_MEMORY, ERROR_NO_SYSTEM_RESOURCES]
        .into_iter()
        .any(|code| error.is(code))
}

/// Whether it says that there is a link.
pub(crate) fn is_link(_: &io::Error) -> bool {
    false
}

/// Whether it says that there is something that is no file.
pub(crate) fn is_no_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::IsADirectory
}

/// That it is none.
pub(super) fn no_file() -> io::Error {
    io::ErrorKind::IsADirectory.into()
}

/// Whether anybody who has it could cut it off: nobody can cut a file off that is mapped.
pub(super) fn can_be_cut_off(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// What is known of where the file is.
pub(super) fn path_of(_: &File) -> PathBuf {
    PathBuf::new()
}

/// Reads all of `bytes` from `offset` on.
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut read = 0;
    while read < bytes.len() {
        match file.seek_read(&mut bytes[read..], offset + read as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            some => read += some,
        }
    }
    Ok(())
}

/// Writes all of `bytes` from `offset` on.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        written += file.seek_write(&bytes[written..], offset + written as u64)?;
    }
    Ok(())
}

/// Another open of the object that `file` is.
pub(crate) fn reopen(file: &File, write: bool) -> io::Result<File> {
    let access = if write { GENERIC_READ | GENERIC_WRITE } else { GENERIC_READ };
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the handle is open.
    let opened = unsafe { ReOpenFile(handle(file), access, share, 0) };
    if opened == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened here, and is nobody else's.
    Ok(unsafe { File::from_raw_handle(opened) })
}

/// Maps the object that `file` is, by `map`. A view keeps the section, not the open that it was made through, so that the one
/// with the locks serves.
pub(crate) fn with_open_to_map<R>(
    file: &File,
    _write: bool,
    map: impl FnOnce(&File) -> io::Result<R>,
) -> io::Result<R> {
    map(file)
}

/// Bytes that the page file, and the memory, still promise.
pub(crate) fn free_memory() -> u64 {
    memory().map_or(0, |memory| memory.ullAvailPageFile)
}

/// Bytes that they can promise at all. (Wine gives out more, and takes what the system uses to cache files for taken; where
/// it cannot find out it says that there are none.)
pub(crate) fn all_memory() -> u64 {
    memory().map(|memory| memory.ullTotalPageFile).filter(|all| *all > 0).unwrap_or(u64::MAX)
}

fn memory() -> Option<MEMORYSTATUSEX> {
    let mut status = MEMORYSTATUSEX { dwLength: size_of::<MEMORYSTATUSEX>() as u32, ..Default::default() };
    // SAFETY: the result lives through the call, and says how long it is.
    (unsafe { GlobalMemoryStatusEx(&raw mut status) } != 0).then_some(status)
}

/// Nobody can ask whether a process is stopped.
pub(crate) fn is_stopped(_: u32) -> bool {
    false
}

/// Whether a process has its number from elsewhere: there is nowhere else.
pub(crate) fn is_elsewhere(_: u32, _: &File, _: u64, _: &str) -> bool {
    false
}
