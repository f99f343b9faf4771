//! Who holds which end of a lane, and what they say to each other when there is nothing to do.
//!
//! | kind | producer | consumer | observers |
//! |---|---|---|---|
//! | `spsc` | [`Producer`], gated by `head` | [`spsc::Consumer`], exclusive | [`broadcast::Observer`] |
//! | `mpmc` | a [`Producer`] for each lane, gated by its `head` | [`mpmc::Consumer`], a group | [`broadcast::Observer`] |
//! | `broadcast` | [`Producer`], never full | none | [`broadcast::Observer`] |
//! | the same, with lossless seats | [`Producer`], gated by their cursors, or overtaking them | none | both of [`broadcast::Observer`] |
//!
//! Any of them may be waited for alone, by its `await_*`, or as one of many, as a [`set::Waiter`].
//!
//! No system call is made here: sleeping is `wait`'s, and who is alive is asked of [`Peers`].

pub(crate) mod broadcast;
pub(crate) mod mpmc;
mod outcome;
pub(crate) mod set;
pub(crate) mod spsc;

pub use outcome::{Frames, PushError, ReadError, Restart};

use crate::lane::{self, Breaches, WriteError, Writer, readable};
use crate::layout::{NONE, RETIRED};
use crate::segment::Lane;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sync::{Site, fence_at, holds};
use crate::wait::{self, Event, Fences, Wait};
use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// The producer of a lane is dead: its seat is unlocked, and it never said that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) pid: u32,
    pub(crate) epoch: u64,
}

/// Knows who is alive. Asked once a slice.
pub(crate) trait Peers: fmt::Debug {
    /// Whether the producer of `lane` died.
    fn death(&self, lane: u32) -> Option<Death>;

    /// Whether somebody has the producing end of `lane`, perhaps without having begun.
    fn holds(&self, _lane: u32) -> bool {
        false
    }

    /// Lets nobody wait for lossless readers that died. True if there were any.
    fn bury(&self) -> bool {
        false
    }

    /// Whether the one who asks has lost its own lock, and so learns of no death any more.
    fn is_blind(&self) -> bool {
        false
    }
}

/// What a reader noticed, and has not said yet.
#[derive(Clone, Copy, Debug)]
enum News {
    Death(Death),
    /// Its lock was closed under it.
    Blind,
}

/// Where readers of a lane sleep.
#[inline]
fn data_event(lane: &Lane) -> Event<'_> {
    Event { armed: lane.armed(), seq: lane.data_event() }
}

/// Where a lane's consuming group sleeps.
#[inline]
fn group_event(lane: &Lane) -> Event<'_> {
    Event { armed: lane.armed_group(), seq: lane.group_event() }
}

/// Wakes whoever waits for this lane's frames, because they may wait in vain.
pub(crate) fn kick(lane: &Lane) {
    data_event(lane).kick();
    if lane.is_shared() {
        group_event(lane).kick();
    }
}

/// Where a lane's producer sleeps.
#[inline]
fn space_event(lane: &Lane) -> Event<'_> {
    Event { armed: &lane.space().armed, seq: &lane.space().seq }
}

/// The producing end, of any kind of ring.
#[derive(Debug)]
pub(crate) struct Producer {
    writer: Writer,
    fences: Fences,
    /// A group consumes the lane.
    shared: bool,
    /// Whether it overtakes lossless readers instead of being full.
    overtakes: bool,
}

impl Producer {
    /// A producer that took the lane over. Sleeping readers learn of it.
    pub(crate) fn new(writer: Writer, fences: Fences) -> Self {
        kick(writer.lane());
        Self { shared: writer.lane().is_shared(), writer, fences, overtakes: false }
    }

    /// What it does at the limit of a lossless reader.
    pub(crate) fn overtaking(mut self, overtakes: bool) -> Self {
        self.overtakes = overtakes;
        self
    }

    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    pub(crate) fn position(&self) -> u64 {
        self.writer.position()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.writer.epoch()
    }

    /// The same as [`push`](Self::push) if that is no more than a copy. False: it was not done.
    #[inline(always)]
    pub(crate) fn push_plain(&mut self, frames: &[u8], count: u64) -> bool {
        let done = self.writer.write_plain(frames, count);
        if done {
            self.notify();
        }
        done
    }

    /// Pushes all of `frames`, or nothing. Never waits.
    pub(crate) fn push(&mut self, frames: &[u8], count: u64, peers: &impl Peers) -> Result<(), PushError> {
        if let Err(error) = self.writer.check_space(count) {
            self.make_space(error, count, peers)?;
        }
        self.writer.put(frames, count);
        self.notify();
        Ok(())
    }

    /// Whether `count` frames may be written now.
    pub(crate) fn check_space(&mut self, count: u64, peers: &impl Peers) -> Result<(), PushError> {
        match self.writer.check_space(count) {
            Ok(()) => Ok(()),
            Err(error) => self.make_space(error, count, peers),
        }
    }

    /// Whether the lane is still ours.
    pub(crate) fn check_lane(&self) -> Result<(), PushError> {
        self.writer.check_epoch().map_err(|error| self.refusal(error, 0))
    }

    pub(crate) fn breaches(&self) -> Breaches {
        lane::breaches(self.writer.lane())
    }

    /// Waits for the dead no more, nor makes readers believe so: one of these would have taken the arm back.
    fn bury(&self, peers: &impl Peers) -> bool {
        let buried = peers.bury();
        if buried {
            space_event(self.writer.lane()).armed.store(NONE, SeqCst);
        }
        buried
    }

    /// What can be done about an `error` that `count` frames met.
    #[cold]
    fn make_space(&mut self, error: WriteError, count: u64, peers: &impl Peers) -> Result<(), PushError> {
        if !matches!(error, WriteError::Full { .. }) {
            return Err(self.refused(error, count));
        }
        if self.bury(peers) && self.writer.check_space(count).is_ok() {
            return Ok(());
        }
        if self.overtakes {
            self.writer.overtake(count);
            return Ok(());
        }
        Err(self.refused(error, count))
    }

    /// Why `count` frames were not written. If there was no space for them, readers learn that somebody waits for it,
    /// as in [`push_wait`](Self::push_wait): one that waits for more than fits would sleep for ever beside a producer
    /// that tries again and again.
    #[cold]
    fn refused(&self, error: WriteError, count: u64) -> PushError {
        let lane = self.writer.lane();
        let target = self.writer.target(count);
        if matches!(error, WriteError::Full { .. }) && target <= self.position() && holds(Site::FullArms) {
            space_event(lane).armed.fetch_min(target, SeqCst);
            fence_at(Site::FullFence, SeqCst); // N: pairs with a reader's arming
            data_event(lane).rouse();
        }
        self.refusal(error, count)
    }

    /// Tells readers what was published.
    #[inline(always)]
    pub(crate) fn notify(&self) {
        let (lane, reached) = (self.writer.lane(), self.writer.position());
        if wait::is_due(lane.armed(), reached, self.fences) || self.shared {
            self.wake();
        }
    }

    #[inline(never)]
    fn wake(&self) {
        let (lane, reached) = (self.writer.lane(), self.writer.position());
        data_event(lane).wake_due(reached);
        if self.shared {
            group_event(lane).notify_one(reached);
        }
    }

    #[cold]
    pub(crate) fn refusal(&self, error: WriteError, count: u64) -> PushError {
        match error {
            WriteError::Full { .. } if count > self.writer.lane().geometry().capacity() => PushError::TooLong,
            WriteError::Full { .. } => PushError::Full,
            WriteError::Superseded => PushError::Superseded,
            WriteError::Removed => PushError::Removed,
            WriteError::Exhausted => PushError::Exhausted,
            WriteError::Corrupt => PushError::Corrupt,
        }
    }

    /// Pushes all of `frames`, in parts if it must, as space becomes free.
    pub(crate) fn push_wait(
        &mut self,
        frames: &[u8],
        count: u64,
        wait: Wait,
        peers: &impl Peers,
    ) -> Result<(), PushError> {
        let deadline = wait.deadline();
        let frame = self.writer.lane().geometry().frame();
        let mut pushed = 0;
        while pushed < count {
            // Half a ring at a time: the consumer empties one half while the other fills.
            let part = (count - pushed).min(self.writer.lane().geometry().capacity() / 2);
            let bytes = &frames[(pushed * frame) as usize..][..(part * frame) as usize];
            if !self.await_space(part, wait, deadline, peers)? {
                return Err(PushError::Timeout { pushed: pushed as usize });
            }
            self.writer.write(bytes, part).map_err(|error| self.refusal(error, part))?;
            self.notify();
            pushed += part;
        }
        Ok(())
    }

    /// Waits until `count` frames, at most a whole ring, may be written. False: out of time.
    pub(crate) fn await_space(
        &mut self,
        count: u64,
        wait: Wait,
        deadline: Option<Instant>,
        peers: &impl Peers,
    ) -> Result<bool, PushError> {
        loop {
            match self.writer.check_space(count) {
                Ok(()) => return Ok(true),
                Err(WriteError::Full { .. }) if self.overtakes => {
                    self.bury(peers);
                    if self.writer.check_space(count).is_err() {
                        self.writer.overtake(count);
                    }
                }
                Err(WriteError::Full { .. }) => {
                    let target = self.writer.target(count);
                    if !self.await_given_back(target, wait, deadline, peers)? {
                        return Ok(false);
                    }
                }
                Err(other) => return Err(self.refusal(other, count)),
            }
        }
    }

    /// Waits until readers have given back everything before `target`. False: out of time.
    fn await_given_back(
        &self,
        target: u64,
        wait: Wait,
        deadline: Option<Instant>,
        peers: &impl Peers,
    ) -> Result<bool, PushError> {
        let lane = self.writer.lane();
        let event = space_event(lane);
        // Readers that wait for more than fits would sleep for ever beside a producer that waits for them.
        // So say that this one waits (that alone makes `look` content with less), and wake them.
        event.armed.fetch_min(target, SeqCst);
        let look = || {
            if let Err(error) = self.writer.check_epoch() {
                return Some(Err(self.refusal(error, 0))); // nobody will take anything any more
            }
            if self.writer.given_back() >= target {
                return Some(Ok(()));
            }
            // At each look, and so after each arming: what a former wait left armed may be swept away by a
            // consumer that gave back less than this one needs, and a reader that then saw nobody wait may
            // have gone to sleep.
            if holds(Site::SpaceClause) {
                data_event(lane).rouse();
            }
            None
        };
        let each_slice = || self.bury(peers).then_some(Ok(())); // then the caller looks again
        let found = event.wait(target, None, wait.strategy, deadline, look, each_slice);
        // Nobody else arms here, so this takes back only our own; left, it would make readers content with less.
        if holds(Site::SpaceDisarm) {
            let _ = event.armed.compare_exchange(target, NONE, SeqCst, Relaxed);
        }
        found.map_or(Ok(false), |done| done.map(|()| true))
    }

    /// Waits until the consumer has taken everything.
    pub(crate) fn drain(&self, wait: Wait, peers: &impl Peers) -> Result<(), PushError> {
        if self.await_given_back(self.position(), wait, wait.deadline(), peers)? {
            return Ok(());
        }
        Err(PushError::Timeout { pushed: 0 })
    }

    /// Marks the end. Sleepers learn of it whatever they wait for.
    pub(crate) fn finish(&mut self) {
        if self.writer.finish().is_err() {
            return; // another's by now
        }
        if holds(Site::FinishKick) {
            kick(self.writer.lane());
        } else {
            self.notify();
        }
    }
}

/// What a reader at `position` that wants all before `target` finds now. `None`: keep waiting.
/// `Ok(())`: frames, perhaps fewer than it wants because no more will come for now.
fn look(lane: &Lane, position: u64, target: u64) -> Option<Result<(), ReadError>> {
    let tail = readable(lane);
    if tail >= target {
        return Some(Ok(()));
    }
    if tail > position && holds(Site::SpaceClause) && lane.space().armed.load(Relaxed) != NONE {
        return Some(Ok(()));
    }
    if let Some(position_of_end) = lane::end(lane) {
        return Some(verdict(lane, position, tail, ReadError::Ended { position: position_of_end }));
    }
    if lane.state().load(Relaxed) == RETIRED {
        fence_at(Site::TailAcquire, Acquire); // E
        return Some(verdict(lane, position, tail, ReadError::Replaced));
    }
    None
}

/// After any verdict, `tail` once more: else the last frames, published before it, would be lost.
fn verdict(lane: &Lane, position: u64, seen_tail: u64, stop: ReadError) -> Result<(), ReadError> {
    let tail = if holds(Site::VerdictReload) { readable(lane) } else { seen_tail };
    if tail > position { Ok(()) } else { Err(stop) }
}

/// Frames that are read plainly before all is looked at again, and said where the reader is.
const IN_A_ROW: u64 = 64;

/// What every reader carries along beside its cursor: how far it has been told.
#[derive(Clone, Copy, Debug)]
struct Told {
    epoch: u64,
    /// The epoch whose producer's death was said; epoch 0 is a producer that died before it began.
    death_of: Option<u64>,
    noticed: Option<News>,
    /// Where a row of plain reads ends.
    row_ends: u64,
}

impl Told {
    fn new(lane: &Lane) -> Self {
        Self { epoch: lane::epoch(lane), death_of: None, noticed: None, row_ends: 0 }
    }

    /// Waits until a reader at `position` has something to do. `Ok`: there are frames.
    fn await_frames(
        &mut self,
        lane: &Lane,
        position: u64,
        wait: Wait,
        peers: &impl Peers,
    ) -> Result<(), ReadError> {
        if wait.frames > lane.geometry().capacity() {
            return Err(ReadError::TooLong);
        }
        let target = target(position, wait.frames);
        if readable(lane) >= target {
            return Ok(());
        }
        if let Some(said) = self.say(lane, position) {
            return said;
        }
        let event = data_event(lane);
        let look = || look(lane, position, target);
        let each_slice = || if self.notice(lane, peers) { self.say(lane, position) } else { None };
        let pause = lane.polling_pause(wait.frames);
        match event.wait(target, pause, wait.strategy, wait.deadline(), look, each_slice) {
            Some(found) => found,
            None if readable(lane) > position => Ok(()),
            None => Err(ReadError::Timeout),
        }
    }

    /// Looks whether the producer died, of which nothing was said yet.
    fn notice(&mut self, lane: &Lane, peers: &dyn Peers) -> bool {
        if let Some(death) = peers.death(lane.index()).filter(|death| Some(death.epoch) > self.death_of) {
            self.noticed = Some(News::Death(death));
        } else if peers.is_blind() {
            self.noticed = Some(News::Blind);
        }
        self.noticed.is_some()
    }

    /// Says that the producer died, once, if that was noticed; `Ok`: its last frames first. That nobody can tell is
    /// said at each slice.
    fn say(&mut self, lane: &Lane, position: u64) -> Option<Result<(), ReadError>> {
        let news = self.noticed?;
        let tail = readable(lane);
        if tail > position && holds(Site::VerdictReload) {
            return Some(Ok(()));
        }
        self.noticed = None;
        let News::Death(death) = news else { return Some(Err(ReadError::Superseded)) };
        self.death_of = Some(death.epoch);
        Some(Err(ReadError::ProducerGone { pid: death.pid, position: tail }))
    }

    /// Why there is nothing to read, for one who does not want to wait.
    fn why_empty(&mut self, lane: &Lane, position: u64) -> ReadError {
        if let Some(Err(gone)) = self.say(lane, position) {
            return gone;
        }
        match look(lane, position, position + 1) {
            Some(Err(stop)) => stop,
            _ => ReadError::Empty,
        }
    }

    /// All was said to a reader that is at `position`: a row of plain reads may begin.
    #[inline]
    fn begin_row(&mut self, position: u64) {
        self.row_ends = position + IN_A_ROW;
    }

    /// Frames of that row that are left at `position`.
    #[inline(always)]
    fn left_in_row(&self, position: u64) -> u64 {
        let left = self.row_ends.wrapping_sub(position);
        if left <= IN_A_ROW { left } else { 0 } // it has moved
    }

    /// Whether the producer is the one that it was. After `tail` was loaded.
    #[inline]
    fn is_of_same(&self, lane: &Lane) -> bool {
        lane::epoch(lane) == self.epoch
    }

    /// Whether the producer was succeeded. After `tail` was loaded.
    #[inline]
    fn restarted(&mut self, lane: &Lane) -> Option<Restart> {
        let epoch = lane::epoch(lane);
        if epoch == self.epoch || epoch == NONE {
            return None; // the same, or removed by force: nobody came
        }
        let first = self.epoch == 0; // it had none before: this is its start
        self.epoch = epoch;
        self.noticed = None; // a death before that is no news any more
        (!first).then(|| Restart { epoch, position: lane::epoch_start(lane) })
    }
}

/// What must be published before a reader at `position` has so many frames.
fn target(position: u64, frames: u64) -> u64 {
    position.saturating_add(frames.max(1))
}

/// A timeout as a [`Wait`].
pub(crate) fn within(timeout: Option<Duration>) -> Wait {
    Wait { timeout, ..Wait::new() }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::set::Waiter;
    use super::*;
    use crate::descriptor::{Descriptor, Kind};
    use crate::segment::Segment;
    use crate::wait::{Strategy, Words};
    use std::sync::Arc;

    /// Longer than anything here lasts.
    const LONG: Duration = Duration::from_secs(10);
    const FRAME: usize = 8;

    fn segment(kind: Kind, lossless: u32) -> Arc<Segment> {
        let lanes = if kind == Kind::Mpmc { 2 } else { 1 };
        Segment::heap(Descriptor { kind, lanes, lossless, ..Descriptor::example() })
    }

    fn producer(lane: Lane) -> Producer {
        let gated = lane.gating().is_empty();
        Producer::new(Writer::take_over(lane, gated, false).unwrap(), Fences::register())
    }

    fn frames(count: u64) -> Vec<u8> {
        vec![0; count as usize * FRAME]
    }

    fn push(producer: &mut Producer, count: u64) -> Result<(), PushError> {
        producer.push(&frames(count), count, &Known::default())
    }

    /// What is known of the others: whether the producer of lane 0 died, and whether lossless readers did.
    #[derive(Clone, Copy, Debug, Default)]
    struct Known {
        death: Option<Death>,
        buries: bool,
    }

    const DEAD: Known = Known { death: Some(Death { pid: 1, epoch: 1 }), buries: false };

    impl Peers for Known {
        fn death(&self, lane: u32) -> Option<Death> {
            self.death.filter(|_| lane == 0)
        }

        fn bury(&self) -> bool {
            self.buries
        }
    }

    fn consumer(segment: &Arc<Segment>) -> spsc::Consumer {
        spsc::Consumer::new(lane::Exclusive::attach(segment.lane(0)).unwrap(), Fences::register())
    }

    fn group(segment: &Arc<Segment>) -> mpmc::Consumer {
        mpmc::Consumer::new((0..2).map(|lane| segment.lane(lane)), 0, Fences::register())
    }

    #[test]
    fn only_who_can_have_space_says_that_it_wants_some() {
        let segment = segment(Kind::Spsc, 0);
        let lane = segment.lane(0);
        let armed = || lane.space().armed.load(Relaxed);
        let capacity = lane.geometry().capacity();
        let mut first = producer(segment.lane(0));
        assert_eq!(push(&mut first, capacity), Ok(()));
        assert_eq!((push(&mut first, capacity + 1), armed()), (Err(PushError::TooLong), NONE));
        assert_eq!((push(&mut first, 1), armed()), (Err(PushError::Full), 1));
        assert_eq!(first.check_lane(), Ok(()));
        lane.space().armed.store(NONE, Relaxed);
        let _second = producer(segment.lane(0));
        assert_eq!((push(&mut first, 1), armed()), (Err(PushError::Superseded), NONE));
        assert_eq!(first.check_lane(), Err(PushError::Superseded));
    }

    #[test]
    fn the_living_are_waited_for_or_overtaken_beside_the_dead() {
        let segment = segment(Kind::Broadcast, 2);
        let capacity = segment.lane(0).geometry().capacity();
        let (living, _) = lane::Lossless::attach(segment.lane(0), 0, 0);
        let mut waits = producer(segment.lane(0));
        assert_eq!(push(&mut waits, capacity), Ok(()));
        let buries = Known { buries: true, ..Known::default() };
        assert_eq!(waits.push(&frames(1), 1, &buries), Err(PushError::Full));
        let mut overtakes = producer(segment.lane(0)).overtaking(true);
        let wait = Wait::new().timeout(LONG);
        assert_eq!(overtakes.push_wait(&frames(1), 1, wait, &Known::default()), Ok(()), "it waits");
        assert_eq!((overtakes.position(), living.position()), (capacity + 1, 0));
    }

    #[test]
    fn a_consumer_gives_back_what_somebody_may_wait_for() {
        let segment = segment(Kind::Spsc, 0);
        let mut producer = producer(segment.lane(0));
        let mut consumer = consumer(&segment);
        assert_eq!(push(&mut producer, segment.lane(0).geometry().capacity()), Ok(()));
        assert_eq!((consumer.poll(2), consumer.take(2).frames), (Ok(2), 2));
        assert_eq!(push(&mut producer, 2), Ok(()), "several at once");
        assert_eq!(push(&mut producer, 1), Err(PushError::Full));
        assert_eq!((consumer.poll(1), consumer.take(1).frames), (Ok(1), 1));
        assert_eq!(push(&mut producer, 1), Ok(()), "one that the producer wants");
    }

    #[test]
    fn a_group_goes_from_lane_to_lane() {
        let segment = segment(Kind::Mpmc, 0);
        let mut consumer = group(&segment);
        let mut producers = [0, 1].map(|lane| producer(segment.lane(lane)));
        for producer in &mut producers {
            assert_eq!(push(producer, 6), Ok(()));
        }
        let mut out = [0; FRAME];
        let patient = Wait::new().frames(2).timeout(Duration::ZERO);
        assert_eq!(consumer.await_take(&mut out, 1, patient, &Known::default()), Err(ReadError::TooLong));
        assert_eq!(consumer.available(), 12);
        let lane = segment.lane(1);
        lane.space().armed.store(2, Relaxed);
        let mut take = || consumer.take(&mut out, 1, &Known::default()).map(|taken| taken.lane);
        let woken = || lane.space().seq.value(Relaxed);
        assert_eq!([(); 5].map(|()| take().unwrap()), [0, 0, 0, 0, 1]);
        assert_eq!((woken(), take(), woken()), (0, Ok(1), 1), "who waits for the second frame's space");
        assert_eq!([(); 6].map(|()| take().unwrap()), [1, 1, 0, 0, 1, 1]);
        assert_eq!(take(), Err(ReadError::Empty));
        producers.iter_mut().for_each(Producer::finish);
        assert_eq!(take(), Err(ReadError::Ended { position: 12 }));
    }

    /// What one who waits beside others, for `target` on lane 0, is told: nothing, of a death, of frames.
    fn told(waiter: &mut dyn Waiter, peers: Known, has_frames: bool) {
        assert_eq!((waiter.look(), waiter.has_some()), (has_frames, has_frames));
        assert_eq!(waiter.each_slice(), has_frames || peers.death.is_some());
        assert_eq!(waiter.look(), has_frames || peers.death.is_some(), "until it is said");
    }

    fn arms(waiter: &mut dyn Waiter, lane: &Lane, target: u64) {
        lane.armed().store(NONE, Relaxed);
        let mut words = Words::default();
        words.begin();
        waiter.arm(&mut words);
        assert_eq!(lane.armed().load(Relaxed), target);
    }

    #[test]
    fn who_waits_beside_others_is_told_of_deaths_and_frames() {
        for kind in [Kind::Broadcast, Kind::Spsc] {
            let segment = segment(kind, 0);
            let lane = segment.lane(0);
            let mut first = producer(segment.lane(0));
            let mut observer = broadcast::Observer::new(lane::Observer::attach(segment.lane(0), 0));
            let mut consumer = consumer(&segment);
            for peers in [Known::default(), DEAD] {
                told(&mut observer.detached(segment.lane(0), 1, peers), peers, false);
                told(&mut consumer.detached(segment.lane(0), 1, peers), peers, false);
            }
            arms(&mut observer.awaiting(3, &DEAD), &lane, 3);
            arms(&mut observer.detached(segment.lane(0), 4, DEAD), &lane, 4);
            arms(&mut consumer.awaiting(5, &DEAD), &lane, 5);
            told(&mut observer.awaiting(1, &DEAD), DEAD, false);
            assert!(!consumer.notices(&Known::default()) && consumer.notices(&DEAD));
            let gone = ReadError::ProducerGone { pid: 1, position: 0 };
            assert_eq!(observer.read(&mut frames(1), 1), Err(gone));
            assert_eq!((consumer.poll(1), consumer.poll(1)), (Err(gone), Err(ReadError::Empty)));
            assert_eq!(push(&mut first, 1), Ok(()));
            told(&mut observer.awaiting(1, &DEAD), Known::default(), true);
            told(&mut observer.detached(segment.lane(0), 1, DEAD), Known::default(), true);
            // A successor.
            assert_eq!((observer.epoch(), consumer.epoch()), (1, 1));
            assert_eq!(push(&mut producer(segment.lane(0)), 1), Ok(()));
            assert_eq!(observer.read(&mut frames(2), 2).unwrap().restarted.map(|new| new.epoch), Some(2));
            assert_eq!((consumer.poll(2), consumer.take(2).frames), (Ok(2), 2));
            assert_eq!((observer.epoch(), consumer.epoch()), (2, 2));
            assert!(observer.notices(&Known { death: Some(Death { pid: 1, epoch: 2 }), buries: false }));
        }
    }

    #[test]
    fn a_member_of_a_group_is_told_of_deaths_and_frames() {
        let segment = segment(Kind::Mpmc, 0);
        let (lane, lanes) = (segment.lane(0), || (0..2).map(|lane| segment.lane(lane)));
        let mut producer = producer(segment.lane(0));
        let mut consumer = group(&segment);
        for peers in [Known::default(), DEAD] {
            told(&mut consumer.detached(lanes(), peers), peers, false);
        }
        arms(&mut consumer.awaiting(&DEAD), &lane, 1);
        arms(&mut consumer.detached(lanes(), DEAD), &lane, 1);
        told(&mut consumer.awaiting(&DEAD), DEAD, false);
        let gone = ReadError::ProducerGone { pid: 1, position: 0 };
        assert_eq!(consumer.take(&mut frames(1), 1, &DEAD), Err(gone));
        let mut other = group(&segment);
        assert!(!other.notices(&Known::default()) && other.notices(&DEAD));
        assert_eq!(other.take(&mut frames(1), 1, &DEAD), Err(gone));
        let wait = Wait::new().timeout(LONG).strategy(Strategy::Block);
        assert_eq!(group(&segment).await_take(&mut frames(1), 1, wait, &DEAD), Err(gone));
        assert_eq!(push(&mut producer, 1), Ok(()));
        told(&mut consumer.awaiting(&DEAD), Known::default(), true);
        told(&mut other.detached(lanes(), Known::default()), Known::default(), true);
    }
}
