//! The atomics and fences that everything else uses: the standard library's, or loom's when the models run.
//!
//! Nothing else in this crate names `core::sync::atomic` (a test sees to it). Besides, this file names every
//! place in the protocol that a proof depends on, as a [`Site`]. In an ordinary build a site is nothing: the
//! calls below compile to the bare fence or ordering. When the models run, one site at a time is *broken*
//! (`ANNULUS_BREAK=Name`), and the model that claims to need it must then fail: the test of the test.

#[cfg(not(all(loom, test)))]
pub(crate) use core::sync::atomic::AtomicI32;
#[cfg(all(unix, not(all(loom, test))))]
pub(crate) use core::sync::atomic::AtomicPtr;
#[cfg(not(all(loom, test)))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, compiler_fence, fence,
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
    /// A member of a group arms every lane before it sleeps.
    GroupArmsAll,
    /// A member that was woken arms for the next frame, since its wake may have been the only one of several.
    GroupRearm,
    /// It does so before it looks whether frames remain.
    GroupFence,
    /// If some do, it wakes another.
    GroupPassOn,
    /// E: whoever says that a queue has ended looks at all ends before it looks which lanes nobody had.
    EndsFirst,
    /// One who waits on many streams arms them all.
    ArmEach,
    /// It sleeps on the sequences of all of them.
    SleepOnEach,
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
    /// C, producer's side: the store that flips the clock is Release.
    FlipRelease,
    /// C, reader's side: the fence after it has seen which slot is complete.
    FlipAcquire,
    /// R: the slot that is filled is the one that readers are not sent to.
    FillsIdle,
    /// R, producer's side: the fence between a flip and the next filling.
    RefillRelease,
    /// R, reader's side: the fence between the copy and looking at the index again.
    RefillAcquire,
    /// R: a reader looks at the index again.
    RefillCheck,
    /// R: one whose slot was filled anew under it tries again.
    ClockRetry,
    /// K, producer's side: the store that publishes an entry of the ledger is Release.
    LedgerRelease,
    /// K, reader's side: the fence after it has seen how many there are.
    LedgerAcquire,
    /// O, producer's side: the fence between announcing an entry and writing it.
    EntryRelease,
    /// O, reader's side: the fence between the copy and looking at what was announced.
    EntryAcquire,
    /// O: a reader throws away what was announced to be overwritten.
    EntryCheck,
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

/// Where a sequence is: what the kernel knows it by. Nothing is read or written through it here.
#[cfg(not(all(loom, test)))]
pub(crate) type Address = usize;

#[cfg(not(all(loom, test)))]
impl EventWord {
    pub(crate) const fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    pub(crate) fn value(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    pub(crate) fn bump(&self, order: Ordering) {
        self.0.fetch_add(1, order);
    }

    pub(crate) fn address(&self) -> Address {
        self.0.as_ptr() as Address
    }
}

#[cfg(all(loom, test))]
pub(crate) use model::{Address, EventWord};

/// The models' futex: a condition variable keyed on the sequence. One who sleeps on several sequences has a
/// condition variable of its own, and stands in the queue of each.
#[cfg(all(loom, test))]
mod model {
    use super::{AtomicU32, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct EventWord(Address);

    #[derive(Clone, Debug)]
    pub(crate) struct Address(Arc<Futex>);

    impl PartialEq for Address {
        fn eq(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }
    }

    #[derive(Debug)]
    struct Futex {
        word: AtomicU32,
        kernel: Mutex<Vec<Arc<Parked>>>,
        sleepers: Condvar,
    }

    #[derive(Debug)]
    struct Parked {
        woken: Mutex<bool>,
        waker: Condvar,
    }

    impl EventWord {
        pub(crate) fn new(value: u32) -> Self {
            Self(Address(Arc::new(Futex {
                word: AtomicU32::new(value),
                kernel: Mutex::new(Vec::new()),
                sleepers: Condvar::new(),
            })))
        }

        pub(crate) fn value(&self, order: Ordering) -> u32 {
            self.0.0.word.load(order)
        }

        pub(crate) fn bump(&self, order: Ordering) {
            self.0.0.word.fetch_add(1, order);
        }

        pub(crate) fn address(&self) -> Address {
            self.0.clone()
        }

        /// Sleeps until woken, unless the sequence has moved on: the kernel compares under its own lock.
        pub(crate) fn sleep(&self, expected: u32) {
            let futex = &self.0.0;
            let guard = futex.kernel.lock().unwrap();
            if futex.word.load(Ordering::SeqCst) == expected {
                drop(futex.sleepers.wait(guard).unwrap());
            }
        }

        /// One who sleeps on this alone: those of several are woken all at once.
        pub(crate) fn wake_one(&self) {
            drop(self.0.0.kernel.lock().unwrap());
            self.0.0.sleepers.notify_one();
        }

        pub(crate) fn wake_all(&self) {
            let parked = core::mem::take(&mut *self.0.0.kernel.lock().unwrap());
            self.0.0.sleepers.notify_all();
            for one in parked {
                *one.woken.lock().unwrap() = true;
                one.waker.notify_all();
            }
        }
    }

    /// As `EventWord::sleep`, on any of several: the kernel enters the sleeper word by word, and takes it out
    /// again if one has moved on.
    pub(crate) fn sleep_on_any(words: &[(Address, u32)]) {
        let me = Arc::new(Parked { woken: Mutex::new(false), waker: Condvar::new() });
        let unchanged = words.iter().all(|(Address(futex), expected)| {
            let mut queue = futex.kernel.lock().unwrap();
            let unchanged = futex.word.load(Ordering::SeqCst) == *expected;
            if unchanged {
                queue.push(Arc::clone(&me));
            }
            unchanged
        });
        if unchanged {
            let mut woken = me.woken.lock().unwrap();
            while !*woken {
                woken = me.waker.wait(woken).unwrap();
            }
        }
        for (Address(futex), _) in words {
            futex.kernel.lock().unwrap().retain(|one| !Arc::ptr_eq(one, &me));
        }
    }
}
#[cfg(all(loom, test))]
pub(crate) use model::sleep_on_any;
