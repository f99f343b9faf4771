//! Locks on single bytes of an object, as proof of life.
//!
//! An open-file-description lock belongs to the descriptor's *open*, not to the process: two handles in one
//! process exclude each other, an unrelated `close` does not drop it, and the kernel frees it when the holder
//! dies, however it dies, in whatever pid namespace, with no pid to be reused and no clock to be wrong.
//!
//! A child made by `fork` shares its parent's opens, and would keep the parent's locks after its death. So
//! every [`LockFile`] is entered in a table, and a handler in the child closes them all (it never unlocks:
//! that would free the parent's). What the child inherited is dead: [`fork_generation`] has moved on.

#![allow(unsafe_code)]

pub(crate) use super::Mode;
use crate::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, fence};
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Once;

/// As `flock` has it; the constants' type differs between systems.
type Kind = libc::c_short;
const NONE: Kind = libc::F_UNLCK as Kind;
const SHARED: Kind = libc::F_RDLCK as Kind;
const EXCLUSIVE: Kind = libc::F_WRLCK as Kind;

/// An object's file, opened by one handle for itself: its locks live and die with it. Or any other file that is kept open
/// for long: it is closed in a child, and never when its number has become another file's.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: ManuallyDrop<File>,
    found: Metadata,
    given_up: AtomicBool,
    entry: &'static AtomicI32,
    generation: u32,
}

impl LockFile {
    /// Opens a file for its locks, by `open`.
    ///
    /// A child that is forked while we open it may have a copy, and not find it in the table. Then we open it anew.
    pub(crate) fn open(mut open: impl FnMut() -> io::Result<File>) -> io::Result<Self> {
        watch_forks();
        loop {
            let forks = forks_ended();
            let file = open()?;
            let found = file.metadata()?;
            let entry = enter(file.as_raw_fd());
            fence(SeqCst); // either the child sees the entry, or we see the fork: pairs with before_fork
            if FORKS_BEGUN.load(SeqCst) == forks {
                return Ok(Self { file: ManuallyDrop::new(file), found, given_up: AtomicBool::new(false), entry, generation: fork_generation() });
            }
            entry.store(VACANT, Release);
        }
    }

    /// What was found when it was opened: one look serves all that is to be checked before it is used.
    pub(crate) fn found(&self) -> &Metadata {
        &self.found
    }

    /// The device and inode.
    pub(super) fn object(&self) -> (u64, u64) {
        (self.found.dev(), self.found.ino())
    }

    /// Bytes that it had then.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        Ok(self.found.len())
    }

    /// Whether the descriptor is still ours: a program that closes all descriptors closes this one, too, and its number
    /// may be another file's by now.
    pub(crate) fn is_intact(&self) -> bool {
        let same = match self.file.metadata() {
            Ok(found) => (found.dev(), found.ino()) == self.object(),
            Err(error) => error.raw_os_error() == Some(libc::ENOMEM), // of the look, not of what there is
        };
        same && !self.given_up.load(Relaxed) && self.entry.load(Relaxed) == self.file.as_raw_fd()
    }

    /// How often this process's ancestors had forked when it was opened.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether a `fork` lies between: this process is not the one that opened the file.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.generation != fork_generation()
    }

    /// The descriptor is not ours any more: it is not to be closed.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// Takes the lock on `byte` if nobody else's open holds it.
    pub(crate) fn try_lock(&self, byte: u64, mode: Mode) -> io::Result<bool> {
        let kind = match mode {
            Mode::Shared => SHARED,
            Mode::Exclusive => EXCLUSIVE,
        };
        match self.control(libc::F_OFD_SETLK, kind, byte, 1) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The same: here nobody is in the way for a moment only.
    pub(crate) fn try_lock_once(&self, byte: u64, mode: Mode) -> io::Result<bool> {
        self.try_lock(byte, mode)
    }

    pub(crate) fn unlock(&self, byte: u64) -> io::Result<()> {
        self.control(libc::F_OFD_SETLK, NONE, byte, 1).map(drop)
    }

    /// Whether any other open holds an exclusive lock on any of `count` bytes from `byte` on. A shared lock
    /// there is nobody's seat: a reader without permission to write could place one, and fake a holder.
    pub(crate) fn is_held(&self, byte: u64, count: u64) -> io::Result<bool> {
        if count == 0 {
            return Ok(false);
        }
        // Asking with a shared lock finds only the exclusive ones in its way.
        Ok(self.control(libc::F_OFD_GETLK, SHARED, byte, count)? != NONE)
    }

    /// Whether a shared lock of any other open is in the way of an exclusive one on `count` bytes from `byte` on.
    pub(crate) fn is_barred(&self, byte: u64, count: u64) -> io::Result<bool> {
        Ok(count != 0 && self.control(libc::F_OFD_GETLK, EXCLUSIVE, byte, count)? == SHARED)
    }

    fn control(&self, command: i32, kind: Kind, byte: u64, count: u64) -> io::Result<Kind> {
        if !self.is_intact() {
            return Err(io::Error::from_raw_os_error(libc::EBADF)); // what another file says is no proof of anything
        }
        let mut lock = libc::flock {
            l_type: kind,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: byte as libc::off_t,
            l_len: count as libc::off_t,
            l_pid: 0,
        };
        loop {
            // SAFETY: the descriptor is ours, and `lock` lives through the call.
            let done = unsafe { libc::fcntl(self.file.as_raw_fd(), command, ptr::from_mut(&mut lock)) };
            if done != -1 {
                return Ok(lock.l_type);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl Deref for LockFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.forked() {
            return; // closed by the handler; the number may be another file's by now
        }
        let intact = self.is_intact();
        // Before it is closed: else the handler in a child could close another file that has got its number.
        self.entry.store(VACANT, Release);
        if intact {
            // SAFETY: dropped once, here; nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// How often this process's ancestors forked since the first lock file was opened.
#[inline]
pub(crate) fn fork_generation() -> u32 {
    GENERATION.load(Relaxed)
}

/// One `T` for each process: a child made by `fork` has another than its parent, in whatever state that one's was.
/// Needs no lock, which a thread that the child does not have could hold.
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<Own<T>>);

#[derive(Debug)]
struct Own<T> {
    generation: u32,
    value: T,
}

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// This process's.
    pub(crate) fn get(&self) -> &'static T {
        loop {
            let generation = fork_generation();
            let newest = self.0.load(Acquire);
            // SAFETY: it comes from Box::into_raw, is published whole below, and is never freed.
            if let Some(own) = unsafe { newest.as_ref() }
                && own.generation == generation
            {
                return &own.value;
            }
            let own = Box::into_raw(Box::new(Own { generation, value: T::default() }));
            if self.0.compare_exchange(newest, own, Release, Relaxed).is_err() {
                // SAFETY: it was not published; this thread alone has it.
                drop(unsafe { Box::from_raw(own) });
            }
        }
    }
}

static GENERATION: AtomicU32 = AtomicU32::new(0);
static FORKS_BEGUN: AtomicU32 = AtomicU32::new(0);
static FORKS_ENDED: AtomicU32 = AtomicU32::new(0);
static TABLE: AtomicPtr<Block> = AtomicPtr::new(ptr::null_mut());

const VACANT: i32 = -1;
/// An entry that a thread is about to fill: nobody else's, and not yet a descriptor.
const TAKEN: i32 = -2;
/// The descriptor was closed under the owner of the entry: a later one of ours got its number.
const LOST: i32 = -3;

/// A part of the table. Blocks are added and never freed, so that the handler can walk them at any moment,
/// also when `fork` came in the middle of [`enter`].
struct Block {
    descriptors: [AtomicI32; 64],
    next: *mut Block,
}

fn watch_forks() {
    static HANDLERS: Once = Once::new();
    // SAFETY: the handlers are async-signal-safe: they load, close and add, without locks or allocation.
    HANDLERS.call_once(|| unsafe {
        libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(close_in_child));
    });
}

/// How many forks there were, when none is going on.
fn forks_ended() -> u32 {
    loop {
        let begun = FORKS_BEGUN.load(SeqCst);
        if FORKS_ENDED.load(SeqCst) == begun {
            return begun;
        }
        std::thread::yield_now();
    }
}

fn enter(descriptor: i32) -> &'static AtomicI32 {
    loop {
        for block in blocks() {
            for entry in &block.descriptors {
                if entry.load(Relaxed) == VACANT
                    && entry.compare_exchange(VACANT, TAKEN, Acquire, Relaxed).is_ok()
                {
                    // The system gave the number to us: whoever had it before has it no more.
                    for other in blocks().flat_map(|block| &block.descriptors) {
                        if other.load(Relaxed) == descriptor {
                            let _ = other.compare_exchange(descriptor, LOST, Relaxed, Relaxed);
                        }
                    }
                    entry.store(descriptor, Release);
                    return entry;
                }
            }
        }
        let next = TABLE.load(Acquire);
        let block = Box::into_raw(Box::new(Block { descriptors: [const { AtomicI32::new(VACANT) }; 64], next }));
        if TABLE.compare_exchange(next, block, Release, Relaxed).is_err() {
            // SAFETY: the block was not published; this thread alone has it.
            drop(unsafe { Box::from_raw(block) });
        }
    }
}

fn blocks() -> impl Iterator<Item = &'static Block> {
    let mut next = TABLE.load(Acquire);
    core::iter::from_fn(move || {
        // SAFETY: blocks come from Box::into_raw, are published whole by `enter`, and are never freed.
        let block = unsafe { next.as_ref() }?;
        next = block.next;
        Some(block)
    })
}

extern "C" fn before_fork() {
    FORKS_BEGUN.fetch_add(1, SeqCst);
    fence(SeqCst);
}

extern "C" fn after_fork() {
    FORKS_ENDED.fetch_add(1, SeqCst);
}

extern "C" fn close_in_child() {
    FORKS_ENDED.store(FORKS_BEGUN.load(SeqCst), SeqCst); // forks by threads that the child does not have, too
    GENERATION.fetch_add(1, Relaxed);
    for block in blocks() {
        for entry in &block.descriptors {
            let descriptor = entry.swap(VACANT, Relaxed);
            if descriptor >= 0 {
                // SAFETY: the child's copy of a descriptor that a LockFile owned; that one will not close it.
                unsafe { libc::close(descriptor) };
            }
        }
    }
}
