//! Linux's part in objects of any name: `/dev/shm`, `O_TMPFILE`, sealed memory, `/proc/sysvipc`.

#![allow(unsafe_code)]

use super::Error;
use super::directory::COMPANION;
use super::listing::Listed;
use super::place::{Key, Place, c_string};
use super::Access;
use super::status::Status;
use super::system::{self, advise};
pub(super) use super::system::{allocate, link};
use super::sysv::Found;
pub(super) use super::unix::{
    LOCK_LIMIT_IS_RAISED_WITH, error_kind, give, give_new, grow, is_address_taken, is_lock_limit, is_named, is_removed, list, no_such_place,
    read_first, remove_file, status,
};
use core::ptr::NonNull;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An address is taken only if nothing is mapped there.
pub(super) const MAP_NOTHING_OVER: i32 = libc::MAP_FIXED_NOREPLACE;

/// Where POSIX objects are, as files.
pub(super) const POSIX: &str = "/dev/shm";

const LONGEST_NAME: usize = 255;

/// The file that is the POSIX object of that name. `Err`: why there can be none.
pub(super) fn posix_path(name: &OsStr) -> Result<PathBuf, &'static str> {
    let bytes = name.as_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    match bytes {
        b"" | b"." | b".." => Err("it is empty"),
        _ if bytes.contains(&b'/') => Err("a slash may be its first character only"),
        _ if bytes.contains(&0) => Err("a zero byte is in it"),
        _ if bytes.len() > LONGEST_NAME => Err("it is longer than 255 bytes"),
        _ => Ok(Path::new(POSIX).join(OsStr::from_bytes(bytes))),
    }
}

/// A file without a name, on the file system of `directory`. `None`: that one cannot.
pub(super) fn unnamed_in(directory: &Path) -> io::Result<Option<File>> {
    match system::unnamed_in(directory) {
        Ok(file) => Ok(Some(file)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves a file to a name that nothing has.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_string(from.as_os_str())?, c_string(to.as_os_str())?);
    let cwd = libc::AT_FDCWD;
    // SAFETY: both paths are terminated strings that live through the call.
    match unsafe { libc::renameat2(cwd, from.as_ptr(), cwd, to.as_ptr(), libc::RENAME_NOREPLACE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes that an object there could have, as far as one can know. File systems in memory promise more than there is.
pub(super) fn room(file: &File) -> u64 {
    let Ok(on) = system::file_system(file) else { return u64::MAX };
    let free = if on.f_blocks == 0 { u64::MAX } else { on.f_bfree.saturating_mul(on.f_bsize as u64) };
    if on.f_type == libc::TMPFS_MAGIC { free.min(free_memory()) } else { free }
}

/// Bytes of memory that are to be had.
pub(super) fn free_memory() -> u64 {
    system::available_memory().unwrap_or(u64::MAX)
}

/// Why there is no anonymous memory: there is.
pub(super) fn no_anonymous() -> Option<&'static str> {
    None
}

/// Memory without a name. `Err`: why not in huge pages, where those were asked for.
pub(super) fn anonymous(huge: bool) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | if huge { libc::MFD_HUGETLB } else { 0 };
    // SAFETY: the name is a terminated string that lives through the call.
    let opened = unsafe { libc::memfd_create(c"annulus".as_ptr(), flags) };
    if opened == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened here, and is nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(opened) }))
}

/// From now on its size never changes, and that neither.
pub(super) fn seal_size(file: &File) -> io::Result<()> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a plain system call on a descriptor that is open.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whether its size can never change. `None`: it is nothing that could be sealed.
pub(super) fn is_sealed(file: &File) -> Option<bool> {
    // SAFETY: a plain system call on a descriptor that is open.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    let both = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    (seals != -1).then_some(seals & both == both)
}

/// The size of its pages, where they are huge.
pub(super) fn huge_page_bytes(file: &File) -> Option<u64> {
    let on = system::file_system(file).ok()?;
    (on.f_type == libc::HUGETLBFS_MAGIC).then_some(on.f_bsize as u64)
}

/// The size of the pages at an address, where they are huge: a segment says it nowhere else. The table is long, so it is only
/// read where there can be any.
pub(super) fn huge_page_bytes_at(address: usize) -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let reserved = memory.lines().find_map(|line| line.strip_prefix("HugePages_Total:"))?;
    if reserved.trim() == "0" {
        return None;
    }
    let all = fs::read_to_string("/proc/self/smaps").ok()?;
    let begins = format!("{address:08x}-");
    let mut lines = all.lines().skip_while(|line| !line.starts_with(&begins));
    let kib = lines.find_map(|line| line.strip_prefix("KernelPageSize:"))?;
    let bytes = kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024;
    (bytes > super::page_bytes() as u64).then_some(bytes)
}

/// Makes pages present. False if the kernel knows no way (before 5.14).
pub(super) fn prefault(pages: NonNull<u8>, bytes: usize, write: bool) -> io::Result<bool> {
    let advice = if write { libc::MADV_POPULATE_WRITE } else { libc::MADV_POPULATE_READ };
    match advise(pages, bytes, advice) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        done => done.map(|()| true),
    }
}

/// Asks for huge pages. `Err`: why there will be none.
pub(super) fn ask_for_huge_pages(pages: NonNull<u8>, bytes: usize) -> Result<(), &'static str> {
    if advise(pages, bytes, libc::MADV_HUGEPAGE).is_err() {
        return Err("the kernel was built without them");
    }
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    if setting.contains("[never]") || setting.contains("[deny]") || setting.is_empty() {
        return Err("/sys/kernel/mm/transparent_hugepage/shmem_enabled does not let shared memory have them: write 'advise' to it");
    }
    Ok(())
}

/// The object's file once more, as an open of its own.
pub(super) fn reopen(file: &File, _path: Option<&Path>, access: Access) -> io::Result<File> {
    system::reopen(file, access == Access::ReadWrite)
}

/// The file of that path, or of that POSIX name.
pub(super) fn open_file(path: &Path, access: Access, follow: bool) -> io::Result<File> {
    let no_link = if follow { 0 } else { libc::O_NOFOLLOW };
    OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(no_link | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// The path of an object that has one.
pub(super) fn path_of(place: &Place) -> Option<PathBuf> {
    match place {
        Place::Posix(name) => posix_path(name).ok(),
        Place::File(path) => Some(path.clone()),
        _ => None,
    }
}

/// Whether the name of a place leads to that file.
pub(super) fn leads_to(place: &Place, file: &Metadata) -> bool {
    let named = path_of(place).and_then(|path| fs::metadata(path).ok());
    named.is_some_and(|named| (named.dev(), named.ino()) == (file.dev(), file.ino()))
}

/// Whether it has lost its name. `None`: nobody can say.
pub(super) fn has_no_name(_: &Place, file: &Metadata) -> Option<bool> {
    Some(file.nlink() == 0)
}

/// The file that is locked in an object's stead, if the object itself cannot be.
pub(super) fn companion_of(_: &Place) -> Option<String> {
    None
}

/// Added to what a segment is made with.
pub(super) const SEGMENT_IN_HUGE_PAGES: Option<i32> = Some(libc::SHM_HUGETLB);

pub(super) fn key_of(perm: &libc::ipc_perm) -> Key {
    Key::new(perm.__key)
}

pub(super) fn attached(data: &libc::shmid_ds) -> u64 {
    data.shm_nattch
}

/// The file beside the segments of this namespace: ids and keys mean others elsewhere.
pub(super) fn companion_of_segments() -> String {
    let namespace = fs::metadata("/proc/self/ns/ipc").map_or(0, |namespace| namespace.ino());
    format!("{COMPANION}.segments-{namespace}")
}

/// What everybody may know of a segment.
pub(super) fn segment(id: i32) -> Option<Found> {
    segments().ok()?.into_iter().find(|found| found.id == id)
}

/// All segments, by `/proc/sysvipc/shm`.
pub(super) fn segments() -> Result<Vec<Found>, Error> {
    let table = Path::new("/proc/sysvipc/shm");
    let text = match fs::read_to_string(table) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()), // a kernel without them
        text => text.map_err(|error| Error::os("list the System V segments of", &Place::file(table), error))?,
    };
    Ok(text.lines().skip(1).filter_map(line).collect())
}

/// `key shmid perms size cpid lpid nattch uid gid cuid`...
fn line(line: &str) -> Option<Found> {
    let mut words = line.split_whitespace();
    let mut word = || words.next();
    let (key, id, mode) = (word()?.parse().ok()?, word()?.parse().ok()?, u32::from_str_radix(word()?, 8).ok()?);
    let (size, creator, _, attached) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?, word()?.parse().ok()?);
    let (owner, group, maker) = (word()?.parse().ok()?, word()?.parse().ok()?, word()?.parse().ok()?);
    Some(Found { id, key: Key::new(key), size, owner, group, maker, mode, creator, attached })
}

/// All POSIX objects. Named semaphores (`sem.`), which lie there too, are none.
pub(super) fn posix_objects() -> Result<Vec<Listed>, Error> {
    let fail = |error| Error::os("list", &Place::file(POSIX), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(POSIX).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        // One that is gone since is none.
        let Some(status) = entry.metadata().ok().filter(Metadata::is_file) else { continue };
        if !name.as_bytes().starts_with(b"sem.") {
            let name = OsStr::from_bytes(&[b"/", name.as_bytes()].concat()).to_os_string();
            let place = Place::Posix(name);
            found.push(Listed { status: Status::of_file(&place, &status), place, key: None });
        }
    }
    found.sort_by_key(|one| one.place.to_string());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_systems_table() {
        let text = "         0          3  1600                   100 12345     1          2  1000  1001  1002  1003 1 0 1 4096 0";
        let found = line(text).unwrap();
        assert_eq!((found.id, found.key, found.size, found.mode), (3, Key::PRIVATE, 100, 0o1600));
        assert_eq!((found.creator, found.attached), (12345, 2));
        assert_eq!((found.owner, found.group, found.maker), (1000, 1001, 1002));
        assert!(found.is_marked());
        assert!(line("key shmid").is_none());
    }
}
