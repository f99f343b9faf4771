//! Sleeping and waking: an eventcount with thresholds.
//!
//! | edge | one side | other side | what it carries |
//! |---|---|---|---|
//! | N | notifier: publish, `fence(SeqCst)`, `armed.load` | sleeper: `armed.fetch_min`, `fence(SeqCst)`, look again | one of the two sees the other |
//! | S | notifier: `armed.swap`, then `seq` + 1, then wake | sleeper: `seq.load` before arming, sleep only if it is unchanged | a sleeper on its way into the kernel is not missed |
//!
//! `armed` is the smallest position that any sleeper waits for: a reader that wants 20 ms of data is woken 50
//! times a second, whatever the rate, and a producer pays one comparison a push. Nobody disarms another's arm.
//! Every sleep is cut into slices, so that a wake-up that was lost with a killed producer costs one slice, and
//! a reader learns of a death within one.
//!
//! Where a notifier is registered for `membarrier`, its half of the fence in N is only a compiler fence, and
//! the sleeper pays for both (it always does both, since it cannot know).

mod futex;

use crate::layout::NONE;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{EventWord, Site, fence_at, holds};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;
#[cfg(not(all(loom, test)))]
use crossbeam_utils::Backoff;
use std::time::Instant;

use crate::sync::AtomicU64;

/// Longest uninterrupted sleep.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// First sleep where `membarrier` is refused: it outlives any store buffer.
const SHORT_SLICE: Duration = Duration::from_micros(200);

/// How a waiting handle spends its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// Polls without a pause: least latency, one core.
    Spin,
    /// Polls for some microseconds, then sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once: least work.
    Block,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Spin => "spin",
            Self::Adaptive => "adaptive",
            Self::Block => "block",
        })
    }
}

impl FromStr for Strategy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "spin" => Ok(Self::Spin),
            "adaptive" => Ok(Self::Adaptive),
            "block" => Ok(Self::Block),
            _ => Err("a wait strategy is spin, adaptive or block"),
        }
    }
}

/// How long a read waits, and for how much.
///
/// A producer knows the smallest target of all who sleep on its stream, and wakes them all when it is reached:
/// one who waits for more than its neighbours looks, and sleeps on.
///
/// ```
/// use annulus::{Strategy, Wait};
/// use std::time::Duration;
/// // Wake when 20 frames are there, or after 50 ms with what there is.
/// let wait = Wait::new().frames(20).timeout(Duration::from_millis(50)).strategy(Strategy::Block);
/// # let _ = wait;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    pub(crate) frames: u64,
    pub(crate) timeout: Option<Duration>,
    pub(crate) strategy: Strategy,
}

impl Default for Wait {
    fn default() -> Self {
        Self::new()
    }
}

impl Wait {
    /// For one frame, for ever, adaptively.
    pub const fn new() -> Self {
        Self { frames: 1, timeout: None, strategy: Strategy::Adaptive }
    }

    /// Waits for at least so many frames. When the time is up, the stream ends, or a producer waits for space,
    /// what there is will do.
    #[must_use]
    pub const fn frames(mut self, frames: u64) -> Self {
        self.frames = frames;
        self
    }

    /// Waits no longer than this.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how the time is spent.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|timeout| futex::now().checked_add(timeout))
    }
}

/// The notifier's half of edge N: a full fence, or almost nothing where the kernel fences on demand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fences {
    asymmetric: bool,
}

impl Fences {
    /// Registers this process for `membarrier`, if the kernel lets it.
    pub(crate) fn register() -> Self {
        Self { asymmetric: futex::register_membarrier() }
    }

    #[inline]
    fn after_publishing(self) {
        #[cfg(not(all(loom, test)))]
        if self.asymmetric {
            crate::sync::compiler_fence(SeqCst);
            return;
        }
        fence_at(Site::NotifyFence, SeqCst);
    }
}

/// Something that is waited for: where sleepers say what they need, and the sequence they sleep on.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) armed: &'a AtomicU64,
    pub(crate) seq: &'a EventWord,
}

impl Event<'_> {
    /// After `reached` was published: wakes the sleepers that it satisfies, if there are any.
    #[inline]
    pub(crate) fn notify(&self, reached: u64, fences: Fences) {
        fences.after_publishing();
        if reached >= self.armed.load(Relaxed) {
            self.wake(futex::wake_all);
        }
    }

    /// As [`notify`](Self::notify), without the fence: it comes after another notification of the same.
    #[inline]
    pub(crate) fn notify_one(&self, reached: u64) {
        if reached >= self.armed.load(Relaxed) {
            self.wake(futex::wake_one);
        }
    }

    /// Wakes all sleepers, whatever they wait for.
    pub(crate) fn kick(&self) {
        self.wake(futex::wake_all); // its swap and bump are read-modify-writes: no sleeper falls between them
    }

    /// Wakes all sleepers, whatever they wait for, if there are any: for one who looks before it sleeps itself,
    /// with the fence of N between its own arming and this.
    pub(crate) fn rouse(&self) {
        if self.armed.load(Relaxed) != NONE {
            self.wake(futex::wake_all);
        }
    }

    #[cold]
    fn wake(&self, wake: fn(&EventWord)) {
        if holds(Site::SwapBeforeBump) {
            self.armed.swap(NONE, SeqCst);
        }
        if holds(Site::SeqBump) {
            self.seq.bump(SeqCst);
        }
        if !holds(Site::SwapBeforeBump) {
            self.armed.swap(NONE, SeqCst);
        }
        wake(self.seq);
    }

    /// Says that a sleeper waits for `target`.
    #[inline]
    pub(crate) fn arm(&self, target: u64) {
        if holds(Site::ArmMin) {
            self.armed.fetch_min(target, SeqCst);
        } else {
            self.armed.store(target, SeqCst);
        }
    }

    /// [Waits](wait) for `target`: what a notifier must reach to wake this sleeper. One who may not store, and so cannot
    /// arm, looks again after each `pause` instead.
    pub(crate) fn wait<R>(
        &self,
        target: u64,
        pause: Option<Duration>,
        strategy: Strategy,
        deadline: Option<Instant>,
        look: impl FnMut() -> Option<R>,
        each_slice: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let arm = || {
            if pause.is_none() {
                self.arm(target);
            }
        };
        wait(self.seq, arm, pause, strategy, deadline, look, each_slice)
    }
}

/// Waits until `look` finds something, `each_slice` does (asked every 100 ms, and before giving up), or `deadline` has
/// passed (`None`). `arm` says what for to whoever bumps `seq`.
pub(crate) fn wait<R>(
    seq: &EventWord,
    arm: impl Fn(),
    pause: Option<Duration>,
    strategy: Strategy,
    deadline: Option<Instant>,
    mut look: impl FnMut() -> Option<R>,
    mut each_slice: impl FnMut() -> Option<R>,
) -> Option<R> {
    if let Some(found) = poll(strategy, deadline, &mut look, &mut each_slice) {
        return found;
    }
    let mut slice_ends = futex::now() + SLICE;
    let mut armed_at = None;
    loop {
        let mut expected = if holds(Site::SeqBeforeArm) { seq.value(SeqCst) } else { 0 };
        arm();
        if !holds(Site::SeqBeforeArm) {
            expected = seq.value(SeqCst);
        }
        let fenced = fence_arming();
        if holds(Site::ArmRecheck)
            && let Some(found) = look()
        {
            return Some(found);
        }
        let now = futex::now();
        let until = deadline.map_or(slice_ends, |deadline| deadline.min(slice_ends));
        // An arm that nobody has swept away since the last slice stands for everybody to see by now.
        let settled = fenced || armed_at.replace(expected) == Some(expected);
        let longest = pause.unwrap_or(if settled { SLICE } else { SHORT_SLICE });
        futex::sleep(seq, expected, until.saturating_duration_since(now).min(longest));
        if let Some(found) = look() {
            return Some(found);
        }
        let now = futex::now();
        let late = deadline.is_some_and(|deadline| now >= deadline);
        if now >= slice_ends || late {
            if let Some(found) = each_slice() {
                return Some(found);
            }
            slice_ends = now + SLICE;
        }
        if late {
            return None;
        }
    }
}

/// The sleeper's half of edge N, and the notifier's where the kernel does that one, too. Whether it did.
fn fence_arming() -> bool {
    let fenced = futex::membarrier();
    fence_at(Site::ArmFence, SeqCst);
    fenced
}

/// A consumer that was woken alone wakes another one, if `look` finds something left. `arm` says that the next is
/// waited for: who wakes one sleeper of several takes the arm away from all.
pub(crate) fn pass_on(seq: &EventWord, arm: impl Fn(), look: impl Fn() -> bool) {
    if holds(Site::GroupRearm) {
        arm();
    }
    if holds(Site::GroupFence) {
        fence_arming();
    }
    if holds(Site::GroupPassOn) && look() {
        futex::wake_one(seq);
    }
}

/// The part of a wait that does not sleep. `Some(None)`: out of time.
#[cfg(not(all(loom, test)))]
fn poll<R>(
    strategy: Strategy,
    deadline: Option<Instant>,
    look: &mut impl FnMut() -> Option<R>,
    each_slice: &mut impl FnMut() -> Option<R>,
) -> Option<Option<R>> {
    match strategy {
        Strategy::Block => look().map(Some),
        Strategy::Adaptive => {
            let backoff = Backoff::new();
            loop {
                if let Some(found) = look() {
                    return Some(Some(found));
                }
                if backoff.is_completed() {
                    return None;
                }
                backoff.snooze();
            }
        }
        Strategy::Spin => {
            let mut slice_ends = None;
            loop {
                for _ in 0..256 {
                    if let Some(found) = look() {
                        return Some(Some(found));
                    }
                    core::hint::spin_loop();
                }
                let now = futex::now();
                let late = deadline.is_some_and(|deadline| now >= deadline);
                if late || now >= *slice_ends.get_or_insert(now + SLICE) {
                    if let Some(found) = each_slice() {
                        return Some(Some(found));
                    }
                    slice_ends = Some(now + SLICE);
                }
                if late {
                    return Some(None);
                }
            }
        }
    }
}

/// In the models every wait goes straight to sleep.
#[cfg(all(loom, test))]
fn poll<R>(
    _: Strategy,
    _: Option<Instant>,
    look: &mut impl FnMut() -> Option<R>,
    _: &mut impl FnMut() -> Option<R>,
) -> Option<Option<R>> {
    look().map(Some)
}
