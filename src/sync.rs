//! The atomics and fences that everything else uses: the standard library's, or loom's when the models run.
//!
//! Nothing else in this crate names `core::sync::atomic` (a test sees to it). Besides, this file names every
//! place in the protocol that a proof depends on, as a [`Site`]. In an ordinary build a site is nothing: the
//! calls below compile to the bare fence or ordering. When the models run, one site at a time is *broken*
//! (`ANNULUS_BREAK=Name`), and the model that claims to need it must then fail: the test of the test.

#[cfg(not(all(loom, test)))]
pub(crate) use core::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
};
#[cfg(all(loom, test))]
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// A place where the protocol depends on an ordering, a fence or a check. `docs` of the edges: the table at
/// the top of the file that uses the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// W, producer's side: `tail.store` is Release.
    TailRelease,
    /// W, reader's side: the fence after `tail.load`.
    TailAcquire,
    /// I, producer's side: the fence between `intent.store` and the copy.
    IntentRelease,
    /// I, reader's side: the fence between the copy and the second `intent.load`.
    IntentAcquire,
    /// I: an observer throws away what `intent` says was overwritten during its copy.
    IntentCheck,
    /// I: it is `intent` that says so, not `tail`.
    IntentNotTail,
    /// A successor's `intent` never goes below its predecessor's.
    IntentKept,
    /// A, reader's side: `head.store` (or the group's CAS) is Release.
    HeadRelease,
    /// A, producer's side: `head.load` is Acquire.
    HeadAcquire,
    /// A, a successor's side: the `head.load` that it begins with is Acquire.
    ResumeAcquire,
    /// A producer that may not overwrite looks at `head` before it writes.
    SpaceCheck,
    /// G: a group member's `head.load` is Acquire, or `tail` may seem smaller than `head`.
    GroupHead,
    /// G: a group member moves `head` by CAS, so that only one of them takes a frame.
    GroupCas,
    /// G: a group member copies before it claims.
    GroupCopyFirst,
    /// E: `end.store` is Release.
    EndRelease,
    /// E: `epoch.store` is Release.
    EpochRelease,
    /// E: a reader looks at `tail` once more after a verdict.
    VerdictReload,
    /// N, notifier's side: the fence between publishing and looking at `armed`.
    NotifyFence,
    /// N, sleeper's side: the fence between arming and looking again.
    ArmFence,
    /// N: the sleeper looks again after arming.
    ArmRecheck,
    /// N: `seq` is bumped, so that a sleeper on its way into the kernel does not sleep.
    SeqBump,
    /// N: `armed` is emptied before `seq` is bumped.
    SwapBeforeBump,
    /// N: `seq` is read before arming.
    SeqBeforeArm,
    /// N: `armed` takes the smallest target of all sleepers.
    ArmMin,
    /// Every publication of `head` is followed by a notification of space.
    SpaceNotify,
    /// A producer that starts to wait for space wakes sleeping readers, and they take less than they asked for.
    SpaceClause,
    /// A producer that finds no space says that it wants some, also if it does not wait.
    FullArms,
    /// It does so before it looks whether readers sleep.
    FullFence,
    /// A producer whose wait for space is over takes its arm back.
    SpaceDisarm,
    /// `finish` wakes sleepers whatever their target.
    FinishKick,
    /// L, producer's side: the fence between publishing `limit` and looking at the cursors again.
    LeaseFence,
    /// L: the producer looks at the cursors again before it uses the lease.
    LeaseRescan,
    /// L: `limit` never is below what was announced, by a predecessor that died perhaps.
    LeaseAnnounced,
    /// L, reader's side: the fence between its cursor and looking at `limit`.
    GateFence,
    /// L: a reader that comes too late moves up to what the producer promised to keep.
    GateCheck,
    /// B: a producer that may not wait moves the cursors of those it overtakes before it overwrites their frames.
    BreachMoves,
    /// B: a lossless reader moves its cursor by CAS, so that it notices.
    CursorCas,
}

#[cfg(not(all(loom, test)))]
mod site {
    use super::{Ordering, Site};

    #[inline(always)]
    pub(crate) const fn holds(_: Site) -> bool {
        true
    }

    #[inline(always)]
    pub(crate) const fn order(_: Site, intact: Ordering) -> Ordering {
        intact
    }
}

#[cfg(all(loom, test))]
mod site {
    use super::{Ordering, Site};
    use std::sync::OnceLock;

    fn broken() -> &'static str {
        static BROKEN: OnceLock<String> = OnceLock::new();
        BROKEN.get_or_init(|| std::env::var("ANNULUS_BREAK").unwrap_or_default())
    }

    pub(crate) fn holds(site: Site) -> bool {
        let broken = broken();
        broken.is_empty() || format!("{site:?}") != broken
    }

    pub(crate) fn order(site: Site, intact: Ordering) -> Ordering {
        if holds(site) { intact } else { Ordering::Relaxed }
    }
}

pub(crate) use site::{holds, order};

/// The fence at `site`.
#[inline(always)]
pub(crate) fn fence_at(site: Site, ordering: Ordering) {
    if holds(site) {
        fence(ordering);
    }
}

/// A 32-bit sequence that processes sleep on. `wait` knows how.
#[cfg(not(all(loom, test)))]
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct EventWord(AtomicU32);

#[cfg(not(all(loom, test)))]
impl EventWord {
    pub(crate) fn value(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    pub(crate) fn bump(&self, order: Ordering) {
        self.0.fetch_add(1, order);
    }

    /// For the kernel.
    pub(crate) fn address(&self) -> *const u32 {
        self.0.as_ptr()
    }
}

/// The models' futex: a condition variable keyed on the sequence.
#[cfg(all(loom, test))]
#[derive(Debug)]
pub(crate) struct EventWord {
    word: AtomicU32,
    kernel: loom::sync::Mutex<()>,
    sleepers: loom::sync::Condvar,
}

#[cfg(all(loom, test))]
impl EventWord {
    pub(crate) fn new(value: u32) -> Self {
        Self {
            word: AtomicU32::new(value),
            kernel: loom::sync::Mutex::new(()),
            sleepers: loom::sync::Condvar::new(),
        }
    }

    pub(crate) fn value(&self, order: Ordering) -> u32 {
        self.word.load(order)
    }

    pub(crate) fn bump(&self, order: Ordering) {
        self.word.fetch_add(1, order);
    }

    /// Sleeps until woken, unless the sequence has moved on: the kernel compares under its own lock.
    pub(crate) fn sleep(&self, expected: u32) {
        let guard = self.kernel.lock().unwrap();
        if self.word.load(Ordering::SeqCst) == expected {
            drop(self.sleepers.wait(guard).unwrap());
        }
    }

    pub(crate) fn wake_all(&self) {
        drop(self.kernel.lock().unwrap());
        self.sleepers.notify_all();
    }
}
