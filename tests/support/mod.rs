//! What the integration tests share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod actor;
#[cfg(unix)]
pub mod isolated;
#[cfg(unix)]
pub mod ring;
#[cfg(unix)]
pub mod socket;
#[cfg(unix)]
pub mod streams;
#[cfg(all(unix, target_arch = "x86_64"))]
pub mod trace;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(unix)]
pub mod workers;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What the streams of a test are made of: `ANNULUS_TEST_BACKEND`, as `ci/backends.sh` sets it.
pub fn backend() -> annulus::Backend {
    match std::env::var("ANNULUS_TEST_BACKEND").as_deref() {
        Err(_) => annulus::Backend::default(),
        Ok("posix") => annulus::Backend::Posix,
        Ok("file") => annulus::Backend::File,
        Ok("system-v") => annulus::Backend::SystemV,
        #[cfg(all(unix, feature = "portable"))]
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
    matches!(backend(), annulus::Backend::Posix | annulus::Backend::File) && !cfg!(windows)
}

/// Whether a stream can stay when nobody has it open.
pub fn keeps() -> bool {
    backend() != annulus::Backend::PageFile
}

/// A private directory of its own, removed with everything in it: on tmpfs, or on the disk where streams are files there.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = match backend() {
            annulus::Backend::File => env!("CARGO_TARGET_TMPDIR"),
            _ => MEMORY,
        };
        let base = if base.is_empty() { std::env::temp_dir() } else { base.into() };
        // Wine begins to count its processes anew.
        let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
        let run = if cfg!(windows) { format!("-{now:x}") } else { String::new() };
        let path = base.join(format!("annulus-test-{}-{count}{run}", std::process::id()));
        make_private(&path);
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

    /// Has a stream open where its memory would go with the last one who has: for a test of what is left.
    pub fn hold(&self, name: &str) -> Option<annulus::Observer<u8>> {
        (!keeps()).then(|| self.open(name).unseated().observer_bytes().unwrap())
    }

    /// The names of the objects in it.
    pub fn objects(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with("@annulus-removed.")) // on Windows, while somebody has it open
            .collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove_memory(self);
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Channels without meaning.
pub fn channels(count: usize) -> Vec<annulus::Channel> {
    (0..count).map(|i| annulus::Channel::new(format!("ch{i}"))).collect()
}

/// A lock on a byte; a shared one takes no more than to be allowed to read.
#[derive(Clone, Copy)]
pub enum Lock {
    Shared,
    Exclusive,
    None,
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
