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
//!
//! One who waits on many streams does the same on all at once: reads each sequence before it arms there, fences
//! once, looks at all, and sleeps on all sequences ([`Words`]). The loop is one for all ([`wait`]).

#[cfg(not(all(loom, test)))]
pub(crate) mod event;
#[cfg(target_os = "linux")]
mod futex;
#[cfg(not(any(target_os = "linux", windows)))]
mod polling;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use futex as system;
#[cfg(not(any(target_os = "linux", windows)))]
use polling as system;
pub(crate) use system::wake_all;
#[cfg(windows)]
use windows as system;

use crate::layout::NONE;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{Address, EventWord, Site, fence_at, holds};
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
        self.timeout.and_then(|timeout| system::now().checked_add(timeout))
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
        Self { asymmetric: system::register_membarrier() }
    }

    #[inline(always)]
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

/// Whether sleepers are due that said so in `armed`, after `reached` was published.
#[inline(always)]
pub(crate) fn is_due(armed: &AtomicU64, reached: u64, fences: Fences) -> bool {
    fences.after_publishing();
    reached >= armed.load(Relaxed)
}

impl Event<'_> {
    /// After `reached` was published: wakes the sleepers that it satisfies, if there are any.
    #[inline(always)]
    pub(crate) fn notify(&self, reached: u64, fences: Fences) {
        if is_due(self.armed, reached, fences) {
            self.wake(wake_all);
        }
    }

    /// As [`notify`](Self::notify), after it was asked whether any [are due](is_due).
    pub(crate) fn wake_due(&self, reached: u64) {
        if reached >= self.armed.load(Relaxed) {
            self.wake(wake_all);
        }
    }

    /// As [`notify`](Self::notify), of one sleeper only, and without the fence: it comes after another notification of
    /// the same.
    #[inline]
    pub(crate) fn notify_one(&self, reached: u64) {
        if reached >= self.armed.load(Relaxed) {
            self.wake(system::wake_one);
        }
    }

    /// Wakes all sleepers, whatever they wait for.
    pub(crate) fn kick(&self) {
        self.wake(wake_all); // its swap and bump are read-modify-writes: no sleeper falls between them
    }

    /// Wakes all sleepers, whatever they wait for, if there are any: for one who looks before it sleeps itself,
    /// with the fence of N between its own arming and this.
    pub(crate) fn rouse(&self) {
        if self.armed.load(Relaxed) != NONE {
            self.wake(wake_all);
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

    /// Tells notifiers to wake this sleeper when they reach `target`, unless it may not store (`None`). Gives the
    /// sequence from before: sleep only while it is unchanged.
    pub(crate) fn arm(&self, target: Option<u64>) -> u32 {
        let mut expected = if holds(Site::SeqBeforeArm) { self.seq.value(SeqCst) } else { 0 };
        if let Some(target) = target {
            if holds(Site::ArmMin) {
                // Often it stands there already, and the line stays with the notifiers, who look at it often.
                if self.armed.load(Relaxed) > target {
                    self.armed.fetch_min(target, SeqCst);
                }
            } else {
                self.armed.store(target, SeqCst);
            }
        }
        if !holds(Site::SeqBeforeArm) {
            expected = self.seq.value(SeqCst);
        }
        expected
    }

    /// Waits until `look` finds something, `each_slice` does (asked every 100 ms, and before giving up), or
    /// `deadline` has passed (`None`). `target` is what a notifier must reach to wake this sleeper. One who
    /// may not store, and so cannot arm, looks again after each `pause` instead.
    pub(crate) fn wait<R>(
        &self,
        target: u64,
        pause: Option<Duration>,
        strategy: Strategy,
        deadline: Option<Instant>,
        look: impl FnMut() -> Option<R>,
        each_slice: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let arm = || self.arm(pause.is_none().then_some(target));
        let mut one = OnOne { seq: self.seq, arm, pause, expected: None, look, each_slice };
        wait(&mut one, strategy, deadline)
    }
}

/// One who waits, for one event or for many. What they all do is [`wait`].
pub(crate) trait Sleeper {
    type Found;

    /// What there is to do.
    fn look(&mut self) -> Option<Self::Found>;

    /// The same, of what no notifier tells. Asked every 100 ms, and before giving up.
    fn each_slice(&mut self) -> Option<Self::Found>;

    /// Tells the notifiers what they must reach, and keeps each sequence from before (S).
    fn arm(&mut self) -> Armed;

    /// Sleeps, for `longest` at most, unless a sequence has changed since [`arm`](Self::arm).
    fn sleep(&mut self, longest: Duration);
}

/// What arming showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    /// Nobody was notified since it was done before.
    unchanged: bool,
    /// After this it must look again, whoever notifies.
    pause: Option<Duration>,
}

/// Waits until `sleeper` finds something, or `deadline` has passed (`None`).
pub(crate) fn wait<S: Sleeper>(
    sleeper: &mut S,
    strategy: Strategy,
    deadline: Option<Instant>,
) -> Option<S::Found> {
    if let Some(found) = poll(sleeper, strategy, deadline) {
        return found;
    }
    let mut slice_ends = system::now() + SLICE;
    loop {
        let armed = sleeper.arm();
        let fenced = fence_arming();
        if holds(Site::ArmRecheck)
            && let Some(found) = sleeper.look()
        {
            return Some(found);
        }
        let now = system::now();
        let until = deadline.map_or(slice_ends, |deadline| deadline.min(slice_ends));
        // An arm that nobody has swept away since the last slice stands for everybody to see by now.
        let longest = if fenced || armed.unchanged { SLICE } else { SHORT_SLICE };
        let longest = armed.pause.map_or(longest, |pause| pause.min(longest));
        sleeper.sleep(until.saturating_duration_since(now).min(longest));
        if let Some(found) = sleeper.look() {
            return Some(found);
        }
        let now = system::now();
        let late = deadline.is_some_and(|deadline| now >= deadline);
        if now >= slice_ends || late {
            if let Some(found) = sleeper.each_slice() {
                return Some(found);
            }
            slice_ends = now + SLICE;
        }
        if late {
            return None;
        }
    }
}

/// Whether the time is up.
pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| system::now() >= deadline)
}

/// The sleeper's half of edge N, and the notifier's where the kernel does that one, too. Whether it did.
fn fence_arming() -> bool {
    let fenced = system::membarrier();
    fence_at(Site::ArmFence, SeqCst);
    fenced
}

/// One who sleeps on one sequence.
pub(crate) struct OnOne<'a, A, L, E> {
    pub(crate) seq: &'a EventWord,
    /// Tells the notifiers what for; gives the sequence from before.
    pub(crate) arm: A,
    pub(crate) pause: Option<Duration>,
    /// What `arm` gave.
    pub(crate) expected: Option<u32>,
    pub(crate) look: L,
    pub(crate) each_slice: E,
}

impl<R, A, L, E> Sleeper for OnOne<'_, A, L, E>
where
    A: FnMut() -> u32,
    L: FnMut() -> Option<R>,
    E: FnMut() -> Option<R>,
{
    type Found = R;

    fn look(&mut self) -> Option<R> {
        (self.look)()
    }

    fn each_slice(&mut self) -> Option<R> {
        (self.each_slice)()
    }

    fn arm(&mut self) -> Armed {
        let expected = (self.arm)();
        Armed { unchanged: self.expected.replace(expected) == Some(expected), pause: self.pause }
    }

    fn sleep(&mut self, longest: Duration) {
        system::sleep(self.seq, self.expected.unwrap_or_default(), longest);
    }
}

/// One of a group that was woken alone wakes another one, if `look` finds something left. `arm` says that the next is
/// waited for: who wakes one sleeper of several takes the arm away from all.
pub(crate) fn pass_on(seq: &EventWord, arm: impl FnOnce() -> u32, look: impl FnOnce() -> bool) {
    if holds(Site::GroupRearm) {
        arm();
    }
    // Where the kernel does not fence notifiers for us, one may have published what neither we see nor it saw armed. Who is
    // woken looks again soon.
    let fenced = !holds(Site::GroupFence) || fence_arming();
    if holds(Site::GroupPassOn) && (look() || !fenced) {
        system::wake_one(seq);
    }
}

/// The sequences that one sleeps on who waits for many events. Keeps its memory from one wait to the next.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Each with its value from before arming.
    words: Vec<(Address, u32)>,
    /// How many were armed in this turn.
    armed: usize,
    unchanged: bool,
    pause: Option<Duration>,
    /// How soon to look again where the kernel does not let one sleep on many.
    due: Duration,
}

impl Words {
    /// Begins to arm.
    pub(crate) fn begin(&mut self) {
        (self.armed, self.unchanged, self.pause, self.due) = (0, true, None, SLICE);
    }

    /// Has its sleeper woken when notifiers of `event` reach `target`, which is expected in `due`. One who may not
    /// store looks again after a `pause` instead.
    pub(crate) fn arm(&mut self, event: Event<'_>, target: u64, pause: Option<Duration>, due: Duration) {
        let arms = pause.is_none() && (self.armed == 0 || holds(Site::ArmEach));
        let expected = event.arm(arms.then_some(target));
        if let Some(pause) = pause {
            self.look_within(pause);
        }
        self.due = self.due.min(due);
        self.add(event.seq, expected);
    }

    /// Has its sleeper woken whenever `seq` changes.
    #[cfg(not(all(loom, test)))]
    pub(crate) fn watch(&mut self, seq: &EventWord) {
        self.add(seq, seq.value(SeqCst));
    }

    /// Has its sleeper look again after `pause` at the latest.
    pub(crate) fn look_within(&mut self, pause: Duration) {
        self.pause = Some(self.pause.map_or(pause, |other| other.min(pause)));
    }

    fn add(&mut self, seq: &EventWord, expected: u32) {
        let address = seq.address();
        let before = self.armed.checked_sub(1).and_then(|before| self.words.get(before));
        if before.is_some_and(|before| before.0 == address) {
            return; // several lanes of one stream: the older value is the one to sleep on
        }
        let word = (address, expected);
        match self.words.get_mut(self.armed) {
            Some(old) => {
                self.unchanged &= *old == word;
                *old = word;
            }
            None => {
                self.unchanged = false;
                self.words.push(word);
            }
        }
        self.armed += 1;
    }

    /// All are armed.
    pub(crate) fn end(&mut self) -> Armed {
        self.words.truncate(self.armed);
        Armed { unchanged: self.unchanged, pause: self.pause }
    }

    /// Sleeps until one of them changes.
    pub(crate) fn sleep(&self, longest: Duration) {
        let words = if holds(Site::SleepOnEach) { &self.words[..] } else { &self.words[..1] };
        system::sleep_on_any(words, longest, self.due);
    }
}

/// The part of a wait that does not sleep. `Some(None)`: out of time.
#[cfg(not(all(loom, test)))]
fn poll<S: Sleeper>(
    sleeper: &mut S,
    strategy: Strategy,
    deadline: Option<Instant>,
) -> Option<Option<S::Found>> {
    match strategy {
        Strategy::Block => sleeper.look().map(Some),
        Strategy::Adaptive => {
            let backoff = Backoff::new();
            loop {
                if let Some(found) = sleeper.look() {
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
                    if let Some(found) = sleeper.look() {
                        return Some(Some(found));
                    }
                    core::hint::spin_loop();
                }
                let now = system::now();
                let late = deadline.is_some_and(|deadline| now >= deadline);
                if late || now >= *slice_ends.get_or_insert(now + SLICE) {
                    if let Some(found) = sleeper.each_slice() {
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
fn poll<S: Sleeper>(sleeper: &mut S, _: Strategy, _: Option<Instant>) -> Option<Option<S::Found>> {
    sleeper.look().map(Some)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// Longer than anything here lasts.
    const LONG: Duration = Duration::from_secs(10);
    /// Between two and three slices.
    const SOME: Duration = Duration::from_millis(250);

    #[test]
    fn a_strategy_is_read_as_it_is_written() {
        for strategy in [Strategy::Spin, Strategy::Adaptive, Strategy::Block] {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert!("sleep".parse::<Strategy>().is_err());
    }

    #[test]
    fn time_is_up_at_the_deadline() {
        assert!(!is_over(None) && is_over(Some(Instant::now())) && !is_over(Some(Instant::now() + LONG)));
    }

    /// One who finds nothing, unless it asks so often, and counts what it does.
    #[derive(Default)]
    struct Counting {
        spins: bool,
        finds_at: Option<usize>,
        asked: usize,
        looks: usize,
        sleeps: Vec<Duration>,
    }

    impl Sleeper for Counting {
        type Found = ();

        fn look(&mut self) -> Option<()> {
            self.looks += 1;
            None
        }

        fn each_slice(&mut self) -> Option<()> {
            self.asked += 1;
            (self.finds_at == Some(self.asked)).then_some(())
        }

        fn arm(&mut self) -> Armed {
            Armed { unchanged: false, pause: None }
        }

        fn sleep(&mut self, longest: Duration) {
            assert!(!self.spins, "a spinner sleeps");
            self.sleeps.push(longest);
            std::thread::sleep(longest);
        }
    }

    #[test]
    fn who_waits_asks_once_a_slice_and_sleeps_between() {
        for strategy in [Strategy::Block, Strategy::Spin] {
            let begun = Instant::now();
            let counting = || Counting { spins: strategy == Strategy::Spin, ..Counting::default() };
            let mut one = counting();
            assert_eq!(wait(&mut one, strategy, Some(begun + SOME)), None);
            let took = begun.elapsed();
            let slices = took.as_millis() / SLICE.as_millis();
            assert!(took >= SOME, "{strategy} gave up");
            assert!(one.asked > 0 && one.asked as u128 <= slices + 1, "{strategy} asked {} times", one.asked);
            if !one.spins {
                assert!(one.sleeps.len() as u128 <= 2 * (slices + 1), "{:?}", one.sleeps);
                // Where the kernel does not fence for others, one who was woken looks again soon.
                let short = one.sleeps.iter().all(|longest| *longest <= SHORT_SLICE);
                assert!(!short || !system::membarrier(), "{:?}", one.sleeps);
            }
            let mut late = counting();
            assert_eq!(wait(&mut late, strategy, Some(Instant::now())), None);
            assert_eq!(late.asked, 1, "before it gives up");
            let mut told = Counting { finds_at: Some(2), ..counting() };
            let begun = Instant::now();
            assert_eq!(wait(&mut told, strategy, Some(begun + LONG)), Some(()));
            assert!((2 * SLICE..LONG).contains(&begun.elapsed()));
        }
    }

    fn at(armed: &AtomicU64) -> u64 {
        armed.load(Relaxed)
    }

    #[test]
    fn an_event_wakes_who_it_satisfies() {
        let (armed, seq) = (AtomicU64::new(NONE), EventWord::new(5));
        let (event, fences) = (Event { armed: &armed, seq: &seq }, Fences::register());
        let woken = |times| assert_eq!((at(&armed), seq.value(Relaxed)), (NONE, 5 + times));
        event.notify(u64::MAX - 1, fences);
        event.rouse();
        woken(0);
        let ways: [&dyn Fn(); 4] =
            [&|| event.notify(3, fences), &|| event.notify_one(3), &|| event.rouse(), &|| event.kick()];
        for (times, wake) in (1..).zip(ways) {
            assert_eq!([Some(4), Some(3), Some(7), None].map(|target| event.arm(target)), [4 + times; 4]);
            event.notify(2, fences);
            event.notify_one(2);
            assert_eq!((at(&armed), seq.value(Relaxed)), (3, 4 + times), "the smallest target stands");
            wake();
            woken(times);
        }
    }

    #[test]
    fn one_who_waits_alone_sleeps_between_looks() {
        let (armed, seq) = (AtomicU64::new(NONE), EventWord::new(5));
        let event = Event { armed: &armed, seq: &seq };
        let (begun, looks) = (Instant::now(), Cell::new(0));
        let look = || {
            looks.set(looks.get() + 1);
            None::<()>
        };
        assert_eq!(event.wait(9, None, Strategy::Block, Some(begun + SOME), look, || None), None);
        let slices = begun.elapsed().as_millis() / SLICE.as_millis();
        assert!(looks.get() <= 4 * (slices + 2), "{} looks", looks.get());
        // Nobody was notified between the second and the third.
        let mut sequences = [5, 6, 6, 7].into_iter();
        let arm = || sequences.next().unwrap_or_default();
        let mut one =
            OnOne { seq: &seq, arm, pause: None, expected: None, look: || None::<()>, each_slice: || None };
        assert_eq!([(); 4].map(|()| one.arm().unchanged), [false, false, true, false]);
    }

    #[test]
    fn one_who_waits_for_many_arms_each_and_sleeps_on_all() {
        let events = [5, 6].map(|first| (AtomicU64::new(NONE), EventWord::new(first)));
        let [first, second] = events.each_ref().map(|(armed, seq)| Event { armed, seq });
        let lane = AtomicU64::new(NONE);
        let same = Event { armed: &lane, ..second }; // another lane of one stream
        let control = EventWord::new(7);
        let mut words = Words::default();
        let arm = |words: &mut Words, pauses: &[u64]| {
            words.begin();
            words.arm(first, 10, None, SLICE);
            words.arm(second, 20, None, SHORT_SLICE);
            words.arm(same, 30, None, SLICE);
            words.watch(&control);
            pauses.iter().for_each(|&pause| words.look_within(Duration::from_millis(pause)));
            words.end()
        };
        let armed = arm(&mut words, &[30, 20, 40]);
        assert_eq!((armed.unchanged, armed.pause), (false, Some(Duration::from_millis(20))));
        assert_eq!([at(first.armed), at(second.armed), at(&lane)], [10, 20, 30]);
        let all = [first.seq, second.seq, &control].map(|seq| (seq.address(), seq.value(Relaxed)));
        assert_eq!((&words.words[..], words.due), (&all[..], SHORT_SLICE));
        let armed = arm(&mut words, &[]);
        assert_eq!((armed.unchanged, armed.pause, &words.words[..]), (true, None, &all[..]));
        let begun = Instant::now();
        words.sleep(SHORT_SLICE);
        assert!(begun.elapsed() >= SHORT_SLICE, "it does not sleep");
        // Of two that changed, not only the last counts.
        first.seq.bump(SeqCst);
        assert!(!arm(&mut words, &[]).unchanged);
        assert_eq!(words.words[0].1, 6);
        // One who may not store looks again instead.
        first.armed.store(NONE, Relaxed);
        words.begin();
        words.arm(first, 10, Some(SHORT_SLICE), SLICE);
        assert_eq!((at(first.armed), words.end().pause, words.words.len()), (NONE, Some(SHORT_SLICE), 1));
    }
}
