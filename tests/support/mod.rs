//! What the integration tests share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod actor;
pub mod isolated;
pub mod ring;
pub mod socket;
pub mod streams;
#[cfg(target_arch = "x86_64")]
pub mod trace;
pub mod workers;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the streams of a test are made of: `ANNULUS_TEST_BACKEND`, as `ci/backends.sh` sets it.
pub fn backend() -> annulus::Backend {
    match std::env::var("ANNULUS_TEST_BACKEND").as_deref() {
        Err(_) | Ok("posix") => annulus::Backend::Posix,
        Ok("file") => annulus::Backend::File,
        Ok("system-v") => annulus::Backend::SystemV,
        #[cfg(feature = "portable")]
        Ok("portable") => annulus::Backend::Portable,
        Ok(other) => {
            panic!("ANNULUS_TEST_BACKEND={other}: use posix, file, system-v, or with its feature portable")
        }
    }
}

/// Whether other users may be let use what they are made of.
pub fn may_be_shared() -> bool {
    !matches!(std::env::var("ANNULUS_TEST_BACKEND").as_deref(), Ok("portable"))
}

/// Whether rings are mapped twice there, so that each run of frames is one slice.
pub fn mirrors() -> bool {
    matches!(backend(), annulus::Backend::Posix | annulus::Backend::File)
}

/// A private directory of its own, removed with everything in it: on tmpfs, or on the disk where streams are files there.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = match backend() {
            annulus::Backend::File => env!("CARGO_TARGET_TMPDIR"),
            _ => "/dev/shm",
        };
        let path = Path::new(base).join(format!("annulus-test-{}-{count}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn create(&self, name: &str) -> annulus::Builder {
        annulus::create(name).directory(&self.0).backend(backend())
    }

    pub fn open(&self, name: &str) -> annulus::Open {
        annulus::open(name).directory(&self.0)
    }

    /// The names of the objects in it.
    pub fn objects(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !mirrors() {
            for left in self.objects() {
                memory_of(&self.0.join(left))
                    .into_iter()
                    .for_each(|memory| drop(annulus::shm::remove(memory)));
            }
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Channels without meaning.
pub fn channels(count: usize) -> Vec<annulus::Channel> {
    (0..count).map(|i| annulus::Channel::new(format!("ch{i}"))).collect()
}

/// Places a lock of a `kind` (`libc::F_RDLCK`, which takes no more than to be allowed to read; or another) on a byte of
/// an object. False: another one is in its way.
#[allow(unsafe_code, dead_code)]
pub fn lock(object: &fs::File, kind: libc::c_int, byte: i64) -> bool {
    use std::os::fd::AsRawFd;
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

/// Writes over a word of an object, `at` bytes into the region whose offset the descriptor has at `field`.
pub fn set_word(object: &Path, field: u64, at: u64, value: u64) {
    let memory = Memory::of(object);
    memory.write(&value.to_le_bytes(), memory.word(field) + at);
}

/// Such a word.
pub fn word(object: &Path, field: u64, at: u64) -> u64 {
    let memory = Memory::of(object);
    memory.word(memory.word(field) + at)
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

/// Numbers that look random, the same each time.
pub fn random(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    }
}

/// A line of the table of proofs: what was done, how often, and what went wrong.
pub fn figures(what: &str, count: impl std::fmt::Display, wrong: u64, detail: &str) {
    println!("figures | {what} | {count} | {wrong} | {detail}");
}
