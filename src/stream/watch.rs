//! The thread that waits for those who do not block: event loops and tasks.
//!
//! A futex cannot be polled. So one thread of the process sleeps in the place of all [`Watch`]es, in the same loop as
//! everybody else, and tells each one once when it is due: it raises a descriptor, or wakes a
//! task. It runs while anybody waits, and ends within a slice when nobody does any more.
//!
//! A watch is *armed* (it has a [`Waiter`], in the thread's care) or not. Whoever was told is not armed any more, until
//! he arms again. For a descriptor: it is raised, or its watch is armed, or both; never neither.
//!
//! Everything is under one lock, but for what is not ours: wakers are called, cloned and dropped outside of it. `control`
//! is one more word that the thread sleeps on: it changes after each change under the lock.

use crate::ring::set::Waiter;
use crate::shm::lock::{PerProcess, fork_generation};
use crate::sync::EventWord;
use crate::sync::Ordering::SeqCst;
use crate::wait::event::{Flag, take_no_signals};
use crate::wait::{self, Armed, Sleeper, Strategy, Words};
use core::fmt;
use core::mem;
use core::task::Waker;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// The process's thread, and what it waits for. A child made by `fork` has its own.
static WATCHMAN: PerProcess<Watchman> = PerProcess::new();

struct Watchman {
    control: EventWord,
    post: Mutex<Post>,
}

impl Default for Watchman {
    fn default() -> Self {
        Self { control: EventWord::new(0), post: Mutex::default() }
    }
}

#[derive(Default)]
struct Post {
    running: bool,
    entries: Vec<Option<Entry>>,
}

struct Entry {
    /// What is waited for; `None`: not armed.
    waiter: Option<Box<dyn Waiter + Send>>,
    deadline: Option<Instant>,
    tell: Tell,
}

enum Tell {
    Descriptor(Arc<Flag>),
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "only asynchronous reads are tasks"))]
    Task(Option<Waker>),
}

impl Tell {
    /// Tells; a task's waker is put among `wakers`, to be called outside of the lock.
    fn raise(&mut self, wakers: &mut Vec<Waker>) {
        match self {
            Self::Descriptor(descriptor) => descriptor.raise(),
            Self::Task(waker) => wakers.extend(waker.take()),
        }
    }

    fn lower(&self) {
        if let Self::Descriptor(descriptor) = self {
            descriptor.lower();
        }
    }
}

impl Watchman {
    fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the post was changed.
    fn call(&self) {
        self.control.bump(SeqCst);
        wait::wake_all(&self.control);
    }

    fn keep_watch(&self) {
        take_no_signals();
        let mut turn = Turn { of: self, words: Words::default(), wakers: Vec::new() };
        wait::wait(&mut turn, Strategy::Block, None);
    }
}

/// The thread at work.
struct Turn<'a> {
    of: &'a Watchman,
    words: Words,
    wakers: Vec<Waker>,
}

impl Turn<'_> {
    /// Tells those that are `due`, and disarms them.
    fn tell(&mut self, mut due: impl FnMut(&mut dyn Waiter) -> bool) {
        let mut post = self.of.post();
        let mut now = None;
        for entry in post.entries.iter_mut().flatten() {
            let Some(waiter) = &mut entry.waiter else { continue };
            let late = entry.deadline.is_some_and(|deadline| *now.get_or_insert_with(Instant::now) >= deadline);
            if !late && !due(&mut **waiter) {
                continue;
            }
            entry.waiter = None;
            entry.tell.raise(&mut self.wakers);
        }
        drop(post);
        for waker in self.wakers.drain(..) {
            // A waker that panics is its runtime's fault: the others are told all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

impl Sleeper for Turn<'_> {
    type Found = ();

    fn look(&mut self) -> Option<()> {
        self.tell(|waiter| waiter.look());
        None
    }

    fn each_slice(&mut self) -> Option<()> {
        self.tell(|waiter| waiter.each_slice());
        let mut post = self.of.post();
        post.running = post.entries.iter().flatten().any(|entry| entry.waiter.is_some());
        (!post.running).then_some(())
    }

    fn arm(&mut self) -> Armed {
        self.words.begin();
        self.words.watch(&self.of.control); // before the lock: what changes after this look ends the sleep
        for entry in self.of.post().entries.iter_mut().flatten() {
            let Some(waiter) = &mut entry.waiter else { continue };
            waiter.arm(&mut self.words);
            if let Some(deadline) = entry.deadline {
                self.words.look_within(deadline.saturating_duration_since(Instant::now()));
            }
        }
        self.words.end()
    }

    fn sleep(&mut self, longest: Duration) {
        self.words.sleep(longest);
    }
}

/// One who is told when a stream is ready, without blocking. Dropped, it is forgotten.
pub(crate) struct Watch {
    watchman: &'static Watchman,
    index: usize,
    generation: u32,
}

impl Watch {
    fn new(tell: Tell) -> Self {
        let watchman = WATCHMAN.get();
        let entry = Some(Entry { waiter: None, deadline: None, tell });
        let mut post = watchman.post();
        let index = match post.entries.iter().position(Option::is_none) {
            Some(vacant) => vacant,
            None => {
                post.entries.push(None);
                post.entries.len() - 1
            }
        };
        post.entries[index] = entry;
        Self { watchman, index, generation: fork_generation() }
    }

    /// One who raises `descriptor`.
    pub(crate) fn descriptor(descriptor: Arc<Flag>) -> Self {
        Self::new(Tell::Descriptor(descriptor))
    }

    /// One who wakes a task.
    #[cfg(feature = "async")]
    pub(crate) fn task() -> Self {
        Self::new(Tell::Task(None))
    }

    /// Tells when `waiter` is ready, or at `deadline`; a descriptor that was raised is lowered until then. If the thread
    /// cannot be started the descriptor is raised, so that an event loop does not wait in vain.
    pub(crate) fn arm(&mut self, waiter: Box<dyn Waiter + Send>, deadline: Option<Instant>) -> io::Result<()> {
        let mut wakers = Vec::new();
        let mut post = self.watchman.post();
        let started = if post.running { Ok(()) } else { self.start() };
        if started.is_ok() {
            post.running = true;
            if let Some(entry) = &mut post.entries[self.index] {
                entry.tell.lower();
                (entry.waiter, entry.deadline) = (Some(waiter), deadline);
            }
        } else if let Some(entry) = &mut post.entries[self.index] {
            entry.tell.raise(&mut wakers);
        }
        drop(post);
        self.watchman.call();
        started
    }

    /// Lowers the descriptor, if it is armed besides. False: it is not.
    pub(crate) fn lower_if_armed(&self) -> bool {
        self.with(|entry| {
            if entry.waiter.is_some() {
                entry.tell.lower();
            }
            entry.waiter.is_some()
        })
    }

    fn start(&self) -> io::Result<()> {
        let watchman = self.watchman;
        let thread = thread::Builder::new().name("annulus-watch".into());
        thread.spawn(move || watchman.keep_watch()).map(drop)
    }

    /// The task to wake from now on. False: it was told already.
    #[cfg(feature = "async")]
    pub(crate) fn set_task(&self, waker: Waker) -> bool {
        let mut waker = Some(waker);
        let armed = self.with(|entry| {
            if let Tell::Task(task) = &mut entry.tell {
                mem::swap(task, &mut waker);
            }
            entry.waiter.is_some()
        });
        drop(waker); // the one before, outside of the lock
        armed
    }

    fn with<R: Default>(&self, see: impl FnOnce(&mut Entry) -> R) -> R {
        self.watchman.post().entries[self.index].as_mut().map(see).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.generation != fork_generation() {
            return; // the parent's; its lock may have been held when this process came to be
        }
        let entry = mem::take(&mut self.watchman.post().entries[self.index]);
        if entry.as_ref().is_some_and(|entry| entry.waiter.is_some()) {
            self.watchman.call();
        }
        drop(entry); // outside of the lock
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("index", &self.index).finish_non_exhaustive()
    }
}
