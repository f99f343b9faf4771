//! What only Unix has, or has in its own way.

use super::{Lock, Place, mirrors};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::process::Child;

/// Where files are memory.
pub const MEMORY: &str = "/dev/shm";

pub fn make_private(path: &Path) {
    fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

/// Removes what does not go with its files.
pub fn remove_memory(place: &Place) {
    if !mirrors() {
        for left in place.objects() {
            let memory = memory_of(&place.path().join(left));
            memory.into_iter().for_each(|memory| drop(annulus::shm::remove(memory)));
        }
    }
}

/// Places a lock on a byte of an object. False: another one is in its way.
#[allow(unsafe_code)]
pub fn lock(object: &fs::File, kind: Lock, byte: i64) -> bool {
    use std::os::fd::AsRawFd;
    let kind = match kind {
        Lock::Shared => libc::F_RDLCK,
        Lock::Exclusive => libc::F_WRLCK,
        Lock::None => libc::F_UNLCK,
    };
    let mut lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and the lock lives through the call.
    let done = unsafe { libc::fcntl(object.as_raw_fd(), libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock)) };
    done == 0
}

/// Which of them are readable, when the first is, or `timeout` has passed.
#[allow(unsafe_code)]
pub fn readable(descriptors: &[&dyn std::os::fd::AsFd], timeout: std::time::Duration) -> Vec<bool> {
    use std::os::fd::AsRawFd;
    let watch = |one: &&dyn std::os::fd::AsFd| libc::pollfd {
        fd: one.as_fd().as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut list: Vec<libc::pollfd> = descriptors.iter().map(watch).collect();
    // SAFETY: the list lives through the call.
    let done = unsafe {
        libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, timeout.as_millis() as libc::c_int)
    };
    assert!(done >= 0, "{}", std::io::Error::last_os_error());
    list.iter().map(|one| one.revents & libc::POLLIN != 0).collect()
}

/// The memory of an object, without annulus' streams.
pub enum Memory {
    File(fs::File),
    Elsewhere(annulus::shm::Mapping),
}

impl Memory {
    pub fn of(object: &Path) -> Self {
        match memory_of(object) {
            Some(memory) => Self::Elsewhere(annulus::shm::at(memory).open().unwrap().map().unwrap()),
            None => Self::File(fs::File::options().read(true).write(true).open(object).unwrap()),
        }
    }

    pub fn read(&self, out: &mut [u8], at: u64) {
        match self {
            Self::File(file) => file.read_exact_at(out, at).unwrap(),
            Self::Elsewhere(mapping) => mapping.read(at, out).unwrap(),
        }
    }

    pub fn write(&self, bytes: &[u8], at: u64) {
        match self {
            Self::File(file) => file.write_all_at(bytes, at).unwrap(),
            Self::Elsewhere(mapping) => mapping.write(at, bytes).unwrap(),
        }
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::File(file) => file.metadata().unwrap().len() as usize,
            Self::Elsewhere(mapping) => mapping.len(),
        };
        let mut all = vec![0; bytes];
        self.read(&mut all, 0);
        all
    }

    pub fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.read(&mut word, at);
        u64::from_le_bytes(word)
    }
}

/// The memory that an object's file leads to, if it does: a System V segment, or a POSIX object.
pub fn memory_of(object: &Path) -> Option<annulus::shm::Place> {
    let bytes = fs::read(object).unwrap();
    let text = bytes.strip_prefix(b"annulus>").map(|_| &bytes[0x40..])?;
    let end = text.iter().position(|byte| *byte == 0).unwrap();
    let text = std::str::from_utf8(&text[..end]).unwrap();
    Some(match bytes[0x10] {
        1 => annulus::shm::Place::id(text.parse().unwrap()),
        3 => annulus::shm::Place::posix(text),
        other => panic!("store {other}"),
    })
}

/// The inode of a POSIX object.
pub fn inode(memory: &annulus::shm::Place) -> u64 {
    let object = annulus::shm::at(memory).open().unwrap();
    rustix::fs::fstat(object.as_fd().unwrap()).unwrap().st_ino
}

/// The System V segment that an object's file leads to.
pub fn segment_of(object: &Path) -> i32 {
    match memory_of(object) {
        Some(annulus::shm::Place::Id(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// How often the calling thread has gone to sleep.
#[allow(unsafe_code)]
pub fn voluntary_switches() -> u64 {
    // SAFETY: a usage of zeros is one, and the call fills it in.
    unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage.ru_nvcsw as u64
    }
}

/// A file that several processes map: zeros, at first. It stays mapped.
///
/// # Safety
/// `T` is made of atomics only, and zeros are one of its values.
#[allow(unsafe_code)]
pub unsafe fn map_shared<T>(path: &Path) -> &'static T {
    use std::os::fd::AsRawFd;
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    let bytes = size_of::<T>();
    if file.metadata().unwrap().len() == 0 {
        file.set_len(bytes as u64).unwrap();
    }
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping of a file that is as long, on a page, never unmapped; the rest the caller says.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), bytes, rights, kind, file.as_raw_fd(), 0);
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast::<T>()
    }
}

/// Zeros, at first, that a child made by `fork` shares with its parent. They stay mapped.
///
/// # Safety
/// `T` is made of atomics only, and zeros are one of its values.
#[allow(unsafe_code)]
pub unsafe fn shared_with_children<T>() -> &'static T {
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, on a page, as long as `T`, never unmapped; the rest the caller says.
    unsafe {
        let at = libc::mmap(std::ptr::null_mut(), size_of::<T>(), rights, kind, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast::<T>()
    }
}

#[allow(unsafe_code)]
pub fn stop(child: &Child) {
    let pid = child.id() as i32;
    let mut status = 0;
    // SAFETY: the first takes numbers only; the status lives through the second.
    unsafe {
        assert_eq!(libc::kill(pid, libc::SIGSTOP), 0);
        assert_eq!(libc::waitpid(pid, &raw mut status, libc::WUNTRACED), pid);
    }
    assert!(libc::WIFSTOPPED(status));
}

#[allow(unsafe_code)]
pub fn go_on(child: &Child) {
    // SAFETY: kill takes numbers only.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGCONT) }, 0);
}
