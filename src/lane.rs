//! The lane protocol: one writer, three ways to read. This file is the algorithm; the models in
//! `models/lane.rs` run it unchanged and take away each of the edges below in turn.
//!
//! | edge | one side | other side | what it carries |
//! |---|---|---|---|
//! | W | publish: `tail.store` Release | readable: `tail.load` Relaxed, then `fence(Acquire)` | the frames before `tail` are written |
//! | I | announce: `intent.store` Relaxed, then `fence(Release)` | validate: `fence(Acquire)`, then `intent.load` | a reader that saw any word of an overwriting copy also sees its announcement |
//! | A | give back: `head.store` Release, or the group's CAS AcqRel, or a lossless reader's Release | space: `head.load` Acquire; `cursor.load`, then the fence of L | the frames before `head` were copied out, and may be overwritten |
//! | G | the group's CAS | the next member's `head.load` Acquire | `tail` is at least `head` |
//! | L | lease: `limit.store`, `fence(SeqCst)`, cursors once more | sit down: `cursor` swap, `fence(SeqCst)`, `limit.load` | one of the two sees the other |
//! | B | overtake: `cursor.fetch_max` AcqRel, before the copy | take: `cursor` CAS Release, after the copy | what a reader took nobody had overwritten; what it lost both count alike |
//! | E | take over: `epoch_start`, then `epoch`, before the first `tail.store` | `epoch` loaded after `tail` | frames of a new epoch are never taken for the old one's |
//!
//! Readers map the producer's line read-only, and there only Relaxed loads are guaranteed: hence always load,
//! then fence.
//!
//! A *lossless* reader of a broadcast lane has a cursor that its producer respects. It does not look at them for each
//! push: it takes a *lease*, an eighth of the ring, and publishes how far that goes (`limit`), so that a reader that
//! comes meanwhile knows which frames it can still count on. At the limit of the slowest the lane is full, or its
//! producer [overtakes](Writer::overtake) it, as who holds the producing end decides.
//!
//! Every handle keeps its own position and what it last saw of the other side, and looks at the
//! other side's line only when that is used up.
//!
//! Most calls find nothing else to do than to copy: *plain* ones. A handle keeps a position up to which there surely is space,
//! or there surely are frames; whoever has it says up to where there is nothing else to be said or looked at. A plain call looks at
//! that position, copies and publishes; any other ends by planning how far plain ones may go.
//!
//! Nothing here waits, allocates or calls the system. Frames travel as bytes, in whole frames.

use crate::copy;
use crate::index::{Corrupt, Cursor, POSITION_LAST, POSITION_LIMIT};
use crate::layout::{GatingLine, NONE};
use crate::segment::Lane;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, Site, fence_at, holds, order};

/// Why a producer could not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// No space: that many frames fit now.
    Full {
        free: u64,
    },
    /// Another producer has taken the lane over: this handle's lock was lost.
    Superseded,
    /// The lane was [closed](close) under its producer.
    Removed,
    /// The lane would get past the last position.
    Exhausted,
    Corrupt,
}

impl From<Corrupt> for WriteError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

/// What a producer may not overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Nothing,
    /// What the consumers have not taken.
    Head,
    /// What a lossless reader has not read.
    Cursors,
}

/// Frames that were overwritten although a lossless reader had not read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breaches {
    /// How often a lossless reader was overtaken. One that stands still is overtaken once.
    pub times: u64,
    /// Frames that lossless readers lost by it, in all: their [`lost_before`](crate::Frames::lost_before) together.
    pub frames: u64,
}

/// What was taken from lossless readers of `lane` so far, by all producers.
pub(crate) fn breaches(lane: &Lane) -> Breaches {
    let words = lane.breaches();
    Breaches { times: words.times.load(Relaxed), frames: words.frames.load(Relaxed) }
}

/// The producer's end.
#[derive(Debug)]
pub(crate) struct Writer {
    lane: Lane,
    at: Cursor,
    intent: u64,
    epoch: u64,
    /// Position that may be reached without looking at what readers say.
    reach: u64,
    gate: Gate,
    limit: u64,
    /// Where a lossless reader was last put by overtaking it: found there again, it has not moved.
    overtaken: Vec<u64>,
    /// Position that may be reached by [plain](Self::write_plain) writes.
    plain: u64,
    /// Position before which they must end, because whoever has this wants to look around.
    pause: u64,
}

impl Writer {
    /// Takes the lane over from whoever wrote it last, and carries on where that one stopped. The caller
    /// holds the lane's seat, and has it from a predecessor that is gone.
    ///
    /// `gated`: frames that were not consumed may not be overwritten. `observable`: observers may read, so
    /// that a write in progress must leave them most of the ring.
    pub(crate) fn take_over(lane: Lane, gated: bool, observable: bool) -> Result<Self, Corrupt> {
        let line = lane.producer();
        let tail = line.tail.load(Relaxed);
        let intent = if holds(Site::IntentKept) { line.intent.load(Relaxed) } else { tail };
        let geometry = lane.geometry();
        if intent >= POSITION_LIMIT || geometry.backlog(intent, tail).is_err() {
            return Err(Corrupt);
        }
        let (gate, reach) = match (gated, lane.gating().is_empty()) {
            (true, _) => {
                let head = lane.head().load(order(Site::ResumeAcquire, Acquire));
                geometry.backlog(tail, head)?;
                (Gate::Head, (head + geometry.capacity()).min(POSITION_LAST))
            }
            (false, true) => (Gate::Nothing, POSITION_LAST),
            (false, false) => (Gate::Cursors, 0), // a predecessor's lease is not ours
        };
        let epoch = line.epoch.load(Relaxed).checked_add(1).ok_or(Corrupt)?;
        lane.owner().store(epoch, Relaxed);
        line.epoch_start.store(tail, Relaxed);
        line.epoch.store(epoch, order(Site::EpochRelease, Release)); // E: before this epoch's first tail
        let limit = geometry.write_limit(observable);
        let overtaken = vec![NONE; if gate == Gate::Cursors { lane.gating().len() } else { 0 }];
        let (at, plain, pause) = (geometry.cursor(tail), 0, POSITION_LAST);
        let mut writer = Self { at, lane, intent, epoch, reach, gate, limit, overtaken, plain, pause };
        writer.plan();
        Ok(writer)
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Most frames that one reservation may hold.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Frames that were pushed and not yet consumed, as far as the consumer has said.
    pub(crate) fn backlog(&mut self) -> Result<u64, Corrupt> {
        if self.gate != Gate::Head {
            return Ok(0);
        }
        let head = self.lane.head().load(order(Site::HeadAcquire, Acquire)); // A
        let backlog = self.lane.geometry().backlog(self.at.position, head)?;
        self.reach = (head + self.lane.geometry().capacity()).min(POSITION_LAST);
        Ok(backlog)
    }

    /// Whether the lane is still this writer's.
    #[inline]
    pub(crate) fn check_epoch(&self) -> Result<(), WriteError> {
        let owner = self.lane.owner().load(Relaxed);
        if owner == self.epoch {
            return Ok(());
        }
        Err(if owner == NONE { WriteError::Removed } else { WriteError::Superseded })
    }

    /// Whoever has this wants to look around with the write that reaches `position`, at the latest.
    #[inline]
    pub(crate) fn pause_at(&mut self, position: u64) {
        self.pause = position - 1;
        self.plan();
    }

    /// How far plain writes may go from here: as far as there surely is space, in one write, with nothing announced beyond.
    fn plan(&mut self) {
        let announced = self.intent > self.at.position;
        let far = self.reach.min(self.pause).min(self.at.position + self.limit);
        self.plain = if announced || self.lane.eights().is_empty() { 0 } else { far };
    }

    /// The same as [`write`](Self::write) when nothing else is to be done than to copy, and that in one piece: all that has
    /// to be looked at is one private position, and whether the lane still is this writer's. False: it was not done.
    #[inline(always)]
    pub(crate) fn write_plain(&mut self, frames: &[u8], count: u64) -> bool {
        let to = self.at.position + count;
        // A write of no frames is plain only where others are: first of all, it would take back what was announced.
        if to.wrapping_sub(1) >= self.plain || self.lane.owner().load(Relaxed) != self.epoch {
            return false;
        }
        let Some(run) = copy::run(self.lane.eights(), self.at.offset, frames.len()) else { return false };
        let line = self.lane.producer();
        line.intent.store(to, Relaxed);
        fence_at(Site::IntentRelease, Release); // I: pairs with Observer::read
        copy::put_run(run, frames);
        self.at = self.lane.geometry().behind(self.at, count, frames.len() as u64);
        line.tail.store(to, order(Site::TailRelease, Release)); // W
        true
    }

    /// Whether `frames` may be written now without overwriting what nobody has consumed.
    #[inline]
    pub(crate) fn check_space(&mut self, frames: u64) -> Result<(), WriteError> {
        self.check_epoch()?;
        if self.at.position + frames <= self.reach || !holds(Site::SpaceCheck) {
            return Ok(());
        }
        self.look_for_space(frames)
    }

    #[inline(never)]
    fn look_for_space(&mut self, frames: u64) -> Result<(), WriteError> {
        if self.at.position + frames > POSITION_LAST {
            return Err(WriteError::Exhausted);
        }
        match self.gate {
            Gate::Nothing => Ok(()),
            Gate::Head => {
                let free = self.lane.geometry().capacity() - self.backlog()?;
                if frames <= free { Ok(()) } else { Err(WriteError::Full { free }) }
            }
            Gate::Cursors => self.lease(frames),
        }
    }

    /// The position of the slowest lossless reader; [`NONE`] if there is none.
    fn slowest(&self) -> u64 {
        let cursor = |line: &GatingLine| line.cursor.load(Relaxed);
        self.lane.gating().iter().map(cursor).min().unwrap_or(NONE)
    }

    /// The position that `frames` more lead to. What was announced counts: it may be overwritten already, so a lease
    /// goes at least that far.
    fn needs(&self, frames: u64) -> u64 {
        let announced = if holds(Site::LeaseAnnounced) { self.intent } else { 0 };
        announced.max(self.at.position + frames)
    }

    /// A lease for `frames`, and for as much beyond as the slowest lossless reader leaves.
    #[cold]
    fn lease(&mut self, frames: u64) -> Result<(), WriteError> {
        let geometry = *self.lane.geometry();
        let (position, needs) = (self.at.position, self.needs(frames));
        let allowed = self.slowest().saturating_add(geometry.capacity());
        if needs <= allowed {
            let limit = needs.max(position + geometry.lease()).min(allowed).min(POSITION_LAST);
            self.lane.producer().limit.store(limit, Relaxed);
            // L: pairs with Lossless::sit. A: what was seen before, the lease stands on.
            fence_at(Site::LeaseFence, SeqCst);
            let allowed = match holds(Site::LeaseRescan) {
                true => self.slowest().saturating_add(geometry.capacity()),
                false => allowed,
            };
            self.reach = limit.min(allowed);
            if needs <= self.reach {
                return Ok(());
            }
        }
        Err(WriteError::Full { free: allowed.saturating_sub(position) })
    }

    /// A lease for `frames` whoever is in the way: those who would be overwritten are moved on, and it is counted what
    /// they lose. Only where lossless readers hold the producer up.
    #[cold]
    pub(crate) fn overtake(&mut self, frames: u64) {
        debug_assert!(self.gate == Gate::Cursors);
        let geometry = *self.lane.geometry();
        let limit = self.needs(frames).max(self.at.position + geometry.lease()).min(POSITION_LAST);
        self.lane.producer().limit.store(limit, Relaxed);
        fence_at(Site::LeaseFence, SeqCst); // L: pairs with Lossless::sit
        let oldest = geometry.oldest(limit);
        let mut breaches = breaches(&self.lane);
        for (line, overtaken) in self.lane.gating().iter().zip(&mut self.overtaken) {
            if !holds(Site::BreachMoves) {
                continue;
            }
            let was = line.cursor.fetch_max(oldest, order(Site::HeadAcquire, AcqRel)); // A, B: pairs with Lossless::take
            if was < oldest {
                breaches.times = breaches.times.saturating_add((was != *overtaken).into());
                breaches.frames = breaches.frames.saturating_add(oldest - was);
                *overtaken = oldest;
            }
        }
        self.lane.breaches().times.store(breaches.times, Relaxed);
        self.lane.breaches().frames.store(breaches.frames, Relaxed);
        self.reach = limit;
    }

    /// What must be given back before `frames` fit.
    pub(crate) fn target(&self, frames: u64) -> u64 {
        let needs = if self.gate == Gate::Cursors { self.needs(frames) } else { self.at.position + frames };
        needs.saturating_sub(self.lane.geometry().capacity())
    }

    /// Position up to which everything was given back.
    pub(crate) fn given_back(&self) -> u64 {
        match self.gate {
            Gate::Nothing => NONE,
            Gate::Head => self.lane.head().load(Relaxed),
            Gate::Cursors => self.slowest(),
        }
    }

    /// Copies `count` frames in and publishes them: all or nothing. On a lane that observers read they become
    /// visible a quarter of the ring at a time.
    #[inline]
    pub(crate) fn write(&mut self, frames: &[u8], count: u64) -> Result<(), WriteError> {
        if !self.write_plain(frames, count) {
            self.check_space(count)?;
            self.put(frames, count);
        }
        Ok(())
    }

    /// As [`write`](Self::write), for which there [is space](Self::check_space).
    pub(crate) fn put(&mut self, frames: &[u8], count: u64) {
        if count <= self.limit {
            self.write_run(frames, count);
        } else {
            for run in frames.chunks((self.limit * self.lane.geometry().frame()) as usize) {
                self.write_run(run, run.len() as u64 / self.lane.geometry().frame());
            }
        }
        self.plan();
    }

    #[inline]
    fn write_run(&mut self, frames: &[u8], count: u64) {
        self.announce(count);
        self.store(self.at, frames);
        self.publish(count);
    }

    /// Says that the next `count` frames are about to be overwritten.
    #[inline]
    pub(crate) fn announce(&mut self, count: u64) {
        self.plain = 0;
        self.intent = self.intent.max(self.at.position + count);
        self.lane.producer().intent.store(self.intent, Relaxed);
        fence_at(Site::IntentRelease, Release); // I: pairs with Observer::read
    }

    /// Copies announced frames in, at `to`; nobody sees them yet.
    #[inline]
    pub(crate) fn store(&self, to: Cursor, frames: &[u8]) {
        copy::store(self.lane.words(), to.offset, frames);
    }

    /// `count` announced frames in place, to be filled. Only on a lane that nobody may observe.
    #[cfg(not(all(loom, test)))]
    #[allow(unsafe_code)]
    pub(crate) fn lend(&mut self, count: u64) -> (&mut [u8], &mut [u8]) {
        let consumed = self.gate == Gate::Head;
        assert!(consumed && self.limit == self.lane.geometry().capacity(), "observers may be reading");
        assert!(self.at.position + count <= self.intent.min(self.reach));
        let bytes = count * self.lane.geometry().frame();
        // SAFETY: the frames lie between `tail` and `head` + capacity: the consumer is not lent them before
        // `tail` passes them (edge W), which needs `&mut self`; and there are no observers.
        unsafe { self.lane.lend_mut(self.at.offset, bytes) }
    }

    /// Where the next frame goes, `ahead` frames from here.
    #[inline]
    pub(crate) fn cursor(&self, ahead: u64) -> Cursor {
        self.lane.geometry().advance(self.at, ahead)
    }

    /// Makes the next `count` frames visible.
    #[inline]
    pub(crate) fn publish(&mut self, count: u64) {
        self.at = self.lane.geometry().advance(self.at, count);
        self.lane.producer().tail.store(self.at.position, order(Site::TailRelease, Release)); // W
    }

    /// Marks the end of the stream here, unless it has become another's. Readers drain to it.
    pub(crate) fn finish(&mut self) -> Result<(), WriteError> {
        self.check_epoch()?;
        self.lane.producer().end.store(self.at.position, order(Site::EndRelease, Release)); // after the last tail: E
        Ok(())
    }
}

/// `tail`, if it lies ahead of who reads plainly at `at`, and the line of the next frame on its way.
#[inline(always)]
fn tail_ahead(lane: &Lane, at: Cursor) -> Option<u64> {
    let Some(next @ [_, ..]) = lane.eights().get(at.offset as usize / 8..) else {
        return None; // of smaller words: there is nothing plain, and whoever reads otherwise looks by itself
    };
    copy::wide::expect(next);
    let tail = readable(lane);
    let known = tail.wrapping_sub(at.position); // of a tail that cannot be, an impossible number
    (known.wrapping_sub(1) < lane.geometry().capacity()).then_some(tail)
}

/// `tail`, with the frames before it.
#[inline]
pub(crate) fn readable(lane: &Lane) -> u64 {
    let tail = lane.producer().tail.load(Relaxed);
    fence_at(Site::TailAcquire, Acquire); // W: pairs with Writer::publish
    tail
}

/// The consumer's end of a lane that has only one: what it was lent it may use in place, and it moves `head`
/// with a plain store.
#[derive(Debug)]
pub(crate) struct Exclusive {
    lane: Lane,
    at: Cursor,
    /// `head` as the producer knows it; at most `lazy_limit` behind `at`.
    given_back: u64,
    seen_tail: u64,
    /// Position at which what was taken must be given back.
    keeps_to: u64,
    /// Position that may be reached by [plain](Self::take_plain) takes.
    plain: u64,
}

impl Exclusive {
    /// Carries on at `head`. The caller holds the consumer's seat.
    pub(crate) fn attach(lane: Lane) -> Result<Self, Corrupt> {
        let head = lane.head().load(Relaxed);
        let tail = readable(&lane);
        lane.geometry().backlog(tail, head)?;
        let at = lane.geometry().cursor(head);
        let mut cursor = Self { at, lane, given_back: 0, seen_tail: tail, keeps_to: 0, plain: 0 };
        cursor.keep_from(head);
        Ok(cursor)
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    /// Frames that can be taken now; looks at the producer's line only if fewer than `wanted` are known of.
    #[inline]
    pub(crate) fn available(&mut self, wanted: u64) -> Result<u64, Corrupt> {
        let known = self.seen_tail - self.at.position;
        if known >= wanted {
            return Ok(known);
        }
        let tail = readable(&self.lane);
        self.lane.geometry().backlog(tail, self.given_back)?;
        self.seen_tail = tail.max(self.at.position);
        Ok(self.seen_tail - self.at.position)
    }

    /// Lets frames be taken [plainly](Self::take_plain), as far as they are known of and need not be given back, `most` of
    /// them; or, while there is more to say with them, not.
    #[inline]
    pub(crate) fn plan(&mut self, plain: bool, most: u64) {
        let plain = plain && !self.lane.eights().is_empty();
        self.plain = if plain { self.seen_tail.min(self.keeps_to).min(self.at.position + most) } else { 0 };
    }

    /// Whether [plain](Self::take_plain) takes have come to their end.
    #[inline(always)]
    pub(crate) fn wants_to_look(&self) -> bool {
        self.at.position >= self.plain
    }

    /// Looks at the producer's line. Whether there is something to be taken.
    #[inline(always)]
    pub(crate) fn look(&mut self) -> bool {
        let found = tail_ahead(&self.lane, self.at);
        self.seen_tail = found.unwrap_or(self.seen_tail);
        found.is_some()
    }

    /// Takes one frame out if nothing else is to be done than to copy it: `out` is as long. Its position.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, out: &mut [u8]) -> Option<u64> {
        let position = self.at.position;
        if position >= self.plain {
            return None;
        }
        copy::get_run(copy::run(self.lane.eights(), self.at.offset, out.len())?, out);
        self.at = self.lane.geometry().behind(self.at, 1, out.len() as u64);
        Some(position)
    }

    /// Copies out the next frames without taking them. The caller asked [`available`](Self::available).
    #[inline]
    pub(crate) fn copy(&self, out: &mut [u8]) {
        copy::load(self.lane.words(), self.at.offset, out);
    }

    /// The next `frames` frames in place, in two parts where they wrap and the lane is mapped only once.
    #[cfg(not(all(loom, test)))]
    #[allow(unsafe_code)]
    pub(crate) fn lend(&self, frames: u64) -> (&[u8], &[u8]) {
        assert!(frames <= self.seen_tail - self.at.position);
        // SAFETY: the frames lie between `head` and `tail`. The producer stores to them only after `head` has
        // passed them (edge A, SpaceCheck), and only `give_back`, which needs `&mut self`, moves `head`.
        unsafe { self.lane.lend(self.at.offset, frames * self.lane.geometry().frame()) }
    }

    /// Takes frames; they are given back at the next [`give_back`](Self::give_back).
    #[inline]
    pub(crate) fn take(&mut self, frames: u64) {
        self.at = self.lane.geometry().advance(self.at, frames);
    }

    /// Whether so many frames are kept back that they should be given back now.
    #[inline]
    pub(crate) fn keeps_too_many(&self) -> bool {
        self.at.position >= self.keeps_to
    }

    fn keep_from(&mut self, position: u64) {
        self.given_back = position;
        self.keeps_to = position + self.lane.geometry().lazy_limit();
    }

    /// Lets the producer overwrite what was taken. True if there was any: then space must be notified.
    #[inline]
    pub(crate) fn give_back(&mut self) -> bool {
        if self.given_back == self.at.position {
            return false;
        }
        self.keep_from(self.at.position);
        self.lane.head().store(self.given_back, order(Site::HeadRelease, Release)); // A: pairs with Writer::backlog
        true
    }
}

/// A consumer that shares a lane with others: copy, then CAS. A CAS that succeeds proves that nobody moved
/// `head` since the copy, so the producer cannot have reused those frames.
#[derive(Debug)]
pub(crate) struct Group {
    lane: Lane,
    at: Cursor,
    seen_tail: u64,
}

impl Group {
    pub(crate) fn attach(lane: Lane) -> Self {
        Self { at: lane.geometry().cursor(0), lane, seen_tail: 0 }
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Copies up to `most` frames out and claims them: first position and count, `None` if there are none.
    ///
    /// One who takes more copies longer, and so loses to those who take less: it tries with less, then. (It would win in
    /// the end anyhow, when they have taken all that it knew of: this is about time only.)
    pub(crate) fn take(&mut self, out: &mut [u8], mut most: u64) -> Result<Option<(u64, u64)>, Corrupt> {
        let geometry = *self.lane.geometry();
        loop {
            let head = self.lane.head().load(order(Site::GroupHead, Acquire)); // G
            if head >= self.seen_tail {
                self.seen_tail = readable(&self.lane);
            }
            let backlog = match geometry.backlog(self.seen_tail, head) {
                // The others and the producer went on between the two loads. Then `head` was moved before
                // `tail` was (A), and whoever sees this `tail` (W) sees another `head` than before.
                Err(Corrupt) if self.lane.head().load(Relaxed) != head => continue,
                backlog => backlog?,
            };
            let frames = backlog.min(most);
            if frames == 0 {
                return Ok(None);
            }
            self.at = geometry.seek(self.at, head);
            let bytes = (frames * geometry.frame()) as usize;
            if holds(Site::GroupCopyFirst) {
                copy::load(self.lane.words(), self.at.offset, &mut out[..bytes]);
            }
            if self.claim(head, head + frames) {
                if !holds(Site::GroupCopyFirst) {
                    copy::load(self.lane.words(), self.at.offset, &mut out[..bytes]);
                }
                return Ok(Some((head, frames)));
            }
            most = (most / 2).max(1);
        }
    }

    fn claim(&self, from: u64, to: u64) -> bool {
        if !holds(Site::GroupCas) {
            self.lane.head().store(to, Release);
            return true;
        }
        let success = order(Site::HeadRelease, AcqRel); // A, G
        self.lane.head().compare_exchange(from, to, success, Relaxed).is_ok()
    }
}

/// What an observer's read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Position of the first frame in the buffer.
    pub(crate) first: u64,
    pub(crate) frames: u64,
    /// Frames overwritten before this observer came to them, right before `first`.
    pub(crate) lost: u64,
}

/// Reads without taking, and disturbs nobody: copies, then asks whether the producer was there meanwhile.
#[derive(Debug)]
pub(crate) struct Observer {
    lane: Lane,
    at: Cursor,
    seen_tail: u64,
    /// Position that may be reached by [plain](Self::read_plain) reads.
    plain: u64,
}

impl Observer {
    pub(crate) fn attach(lane: Lane, position: u64) -> Self {
        Self { at: lane.geometry().cursor(position.min(POSITION_LIMIT)), lane, seen_tail: 0, plain: 0 }
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    pub(crate) fn seek(&mut self, position: u64) {
        self.at = self.lane.geometry().seek(self.at, position.min(POSITION_LIMIT));
        self.plain = 0;
    }

    /// Whether [plain](Self::read_plain) reads have come to their end.
    #[inline(always)]
    pub(crate) fn wants_to_look(&self) -> bool {
        self.at.position >= self.plain
    }

    /// Looks at the producer's line. Whether there is something to be read.
    #[inline(always)]
    pub(crate) fn look(&mut self) -> bool {
        let found = tail_ahead(&self.lane, self.at).filter(|tail| *tail >= self.seen_tail);
        self.seen_tail = found.unwrap_or(self.seen_tail);
        found.is_some()
    }

    /// Lets what is known of be read [plainly](Self::read_plain), for `most` frames; or, while there is more to say with it,
    /// not.
    #[inline]
    pub(crate) fn plan(&mut self, plain: bool, most: u64) {
        let plain = plain && !self.lane.eights().is_empty();
        self.plain = if plain { self.seen_tail.min(self.at.position + most) } else { 0 };
    }

    /// As [`read`](Self::read), of one frame, which `out` is as long as: if nothing else is to be done than to copy it, and
    /// nobody overwrote it. Its position.
    #[inline(always)]
    pub(crate) fn read_plain(&mut self, out: &mut [u8]) -> Option<u64> {
        let position = self.at.position;
        if position >= self.plain {
            return None;
        }
        copy::get_run(copy::run(self.lane.eights(), self.at.offset, out.len())?, out);
        fence_at(Site::IntentAcquire, Acquire); // I: pairs with Writer::announce
        let line = self.lane.producer();
        let announced = if holds(Site::IntentNotTail) { &line.intent } else { &line.tail };
        let beyond = announced.load(Relaxed).wrapping_sub(position);
        if beyond > self.lane.geometry().capacity() && holds(Site::IntentCheck) {
            return None;
        }
        self.at = self.lane.geometry().behind(self.at, 1, out.len() as u64);
        Some(position)
    }

    /// Copies up to `most` frames into `out`. Lapped frames are counted, the valid rest of a lapped copy is
    /// kept. If nothing was left of it the observer has moved ahead and tries once more; then it says so, with
    /// `frames` 0 and the loss. `frames` and `lost` both 0: nothing new.
    pub(crate) fn read(&mut self, out: &mut [u8], most: u64) -> Result<Observed, Corrupt> {
        self.plain = 0; // there may be more to say of these than of what was known
        let from = self.at.position;
        let mut observed = self.read_once(out, most)?;
        if observed.frames == 0 && observed.lost > 0 {
            observed = self.read_once(out, most)?;
        }
        Ok(Observed { lost: observed.first - from, ..observed })
    }

    fn read_once(&mut self, out: &mut [u8], most: u64) -> Result<Observed, Corrupt> {
        let geometry = *self.lane.geometry();
        let line = self.lane.producer();
        let from = self.at.position;
        let tail = readable(&self.lane);
        let intent = line.intent.load(Relaxed);
        if tail < self.seen_tail || intent < tail || intent >= POSITION_LIMIT {
            return Err(Corrupt);
        }
        self.seen_tail = tail;
        if from < geometry.oldest(intent) {
            self.at = geometry.seek(self.at, geometry.resume(intent, tail).max(from));
        }
        let first = self.at.position;
        let frames = tail.saturating_sub(first).min(most);
        if frames == 0 {
            return Ok(Observed { first, frames, lost: first - from });
        }
        let bytes = (frames * geometry.frame()) as usize;
        copy::load(self.lane.words(), self.at.offset, &mut out[..bytes]);
        fence_at(Site::IntentAcquire, Acquire); // I: pairs with Writer::announce
        let announced = if holds(Site::IntentNotTail) { &line.intent } else { &line.tail };
        let intent = announced.load(Relaxed);
        let valid = if holds(Site::IntentCheck) { geometry.valid_from(first, frames, intent) } else { first };
        if valid == first {
            self.at = geometry.advance(self.at, frames);
            return Ok(Observed { first, frames, lost: first - from });
        }
        let torn = valid - first;
        if torn < frames {
            out.copy_within((torn * geometry.frame()) as usize..bytes, 0);
            self.at = geometry.advance(self.at, frames);
        } else {
            let ahead = geometry.resume(intent, readable(&self.lane)).max(valid);
            self.at = geometry.seek(self.at, ahead);
        }
        let first = self.at.position - (frames - torn);
        Ok(Observed { first, frames: frames - torn, lost: first - from })
    }
}

/// Why a lossless reader could not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFault {
    Corrupt,
    /// Its seat is another's by now: this handle's lock was lost.
    Superseded,
}

impl From<Corrupt> for ReadFault {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

/// How a lossless reader came to another place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Frames that its producer had taken from it where it stood before.
    pub(crate) lost: u64,
    /// Frames between where it wanted to go and where it is: they could not be kept any more.
    pub(crate) skipped: u64,
}

/// Reads without taking, and is waited for: its cursor says from where on frames must be kept. A CAS that moves it
/// after the copy proves that its producer had not overtaken it, and so had not reused the frames.
#[derive(Debug)]
pub(crate) struct Lossless {
    lane: Lane,
    seat: usize,
    at: Cursor,
    seen_tail: u64,
}

impl Lossless {
    /// Sits down at `position`, or where it then is, and how many frames are between. The caller holds the seat.
    pub(crate) fn attach(lane: Lane, seat: u32, position: u64) -> (Self, u64) {
        let at = lane.geometry().cursor(0);
        let mut sitting = Self { at, lane, seat: seat as usize, seen_tail: 0 };
        let (_, skipped) = sitting.sit(position); // a cursor that was there is a dead one's
        (sitting, skipped)
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.lane
    }

    pub(crate) fn position(&self) -> u64 {
        self.at.position
    }

    pub(crate) fn seek(&mut self, position: u64) -> Moved {
        let stood = self.at.position;
        let (held, skipped) = self.sit(position);
        let lost = if held < POSITION_LIMIT { held.saturating_sub(stood) } else { 0 };
        Moved { lost, skipped }
    }

    /// Takes the cursor to `position`, or as near as the producer's lease allows. Where it was, and how far it is off.
    fn sit(&mut self, position: u64) -> (u64, u64) {
        let position = position.min(POSITION_LIMIT);
        let held = self.cursor().swap(position, AcqRel); // A: what was read is given back
        fence_at(Site::GateFence, SeqCst); // L: pairs with Writer::lease
        // Once is enough: who has not seen the cursor by now will see it before its next lease.
        let oldest = oldest_kept(&self.lane);
        if position < oldest && holds(Site::GateCheck) {
            self.cursor().fetch_max(oldest, AcqRel);
        }
        let at = if holds(Site::GateCheck) { position.max(oldest) } else { position };
        self.at = self.lane.geometry().seek(self.at, at);
        (held, at - position)
    }

    fn cursor(&self) -> &AtomicU64 {
        &self.lane.gating()[self.seat].cursor
    }

    /// As [`Observer::read`]; what was overtaken is lost, and all that was read is given back.
    pub(crate) fn read(&mut self, out: &mut [u8], most: u64) -> Result<Observed, ReadFault> {
        let from = self.at.position;
        let mut observed = self.read_once(out, most)?;
        if observed.frames == 0 && observed.lost > 0 {
            observed = self.read_once(out, most)?;
        }
        Ok(Observed { lost: observed.first - from, ..observed })
    }

    fn read_once(&mut self, out: &mut [u8], most: u64) -> Result<Observed, ReadFault> {
        let geometry = *self.lane.geometry();
        let first = self.at.position;
        let tail = readable(&self.lane);
        let line = self.lane.producer();
        if tail < self.seen_tail || tail >= POSITION_LIMIT {
            return Err(ReadFault::Corrupt);
        }
        self.seen_tail = tail;
        // One that was overtaken may be further behind than the lane is long.
        let frames = tail.saturating_sub(first).min(most).min(geometry.capacity());
        if frames == 0 {
            return Ok(Observed { first, frames, lost: 0 });
        }
        let (end, bytes) = (first + frames, (frames * geometry.frame()) as usize);
        copy::load(self.lane.words(), self.at.offset, &mut out[..bytes]);
        fence_at(Site::IntentAcquire, Acquire); // I: pairs with Writer::announce
        let intent = line.intent.load(Relaxed);
        let mut kept = first;
        // Each failure moves it on, so this ends.
        while kept < end {
            match self.take(kept, end) {
                Ok(()) => break,
                Err(held) => kept = overtaken(kept, held)?,
            }
        }
        if kept < end && geometry.oldest(intent) > kept {
            return Err(ReadFault::Corrupt); // by one who does not know of cursors, or respects none
        }
        let gone = kept.min(end) - first;
        if gone > 0 {
            out.copy_within((gone * geometry.frame()) as usize..bytes, 0);
        }
        self.at = geometry.seek(self.at, kept.max(end));
        Ok(Observed { first: kept, frames: frames - gone, lost: kept - first })
    }

    /// Gives everything before `to` back, unless the cursor is not at `from` any more: where it is then.
    fn take(&self, from: u64, to: u64) -> Result<(), u64> {
        if !holds(Site::CursorCas) {
            self.cursor().store(to, Release);
            return Ok(());
        }
        let success = order(Site::HeadRelease, Release); // A, B
        self.cursor().compare_exchange(from, to, success, Relaxed).map(drop)
    }
}

/// Where its producer put a lossless reader that stood at `from`: ahead, never back, and nobody else moves its cursor.
fn overtaken(from: u64, held: u64) -> Result<u64, ReadFault> {
    if held > from && held < POSITION_LIMIT { Ok(held) } else { Err(ReadFault::Superseded) }
}

/// The oldest position that a lossless reader can count on, as its producer last said.
pub(crate) fn oldest_kept(lane: &Lane) -> u64 {
    lane.geometry().oldest(lane.producer().limit.load(Relaxed)).min(POSITION_LIMIT)
}

/// Says that nobody reads from a lossless seat any more. The caller holds the seat, or the lock of one who died in it.
pub(crate) fn free(line: &GatingLine) {
    line.cursor.store(NONE, Release); // A
}

/// Lets nobody push any more: not the producer that lives, nor a successor. The segment was retired; whoever took
/// the lane over meanwhile looks at that afterwards, with a full fence between, as here.
#[cfg(not(all(loom, test)))]
pub(crate) fn close(lane: &Lane) {
    crate::sync::fence(SeqCst);
    if epoch(lane) == 0 {
        return; // nobody has begun there, and who does now will see that: the lane stays unused, and ends nothing
    }
    lane.owner().store(NONE, Relaxed);
    lane.producer().epoch.store(NONE, Relaxed);
}

/// Where the stream was finished, if it was.
#[inline]
pub(crate) fn end(lane: &Lane) -> Option<u64> {
    let end = lane.producer().end.load(Relaxed);
    if end == NONE {
        return None;
    }
    fence_at(Site::TailAcquire, Acquire); // E: whoever sees the end sees the last tail
    Some(end)
}

/// Frames that were pushed in all, if the stream has ended: all producers that ever came have finished, and nobody is
/// about to be one (`held`: he has a lane's seat, perhaps without having begun).
pub(crate) fn ended<'a>(
    lanes: impl Iterator<Item = &'a Lane> + Clone,
    held: impl Fn(u32) -> bool,
) -> Option<u64> {
    let those = |is: &dyn Fn(&Lane) -> bool| {
        lanes.clone().filter(|lane| is(lane)).fold(0_u64, |set, lane| set | 1 << lane.index())
    };
    let used = || those(&|lane| epoch(lane) != 0 || held(lane.index()));
    // All ends first. A lane that seems unused, and is taken before the last producer of another one finishes, would make
    // an end of which there never was a moment.
    let too_early = if holds(Site::EndsFirst) { 0 } else { used() };
    let finished = those(&|lane| end(lane).is_some());
    if finished == 0 {
        return None;
    }
    let used = if holds(Site::EndsFirst) { used() } else { too_early };
    (used & !finished == 0).then(|| lanes.filter_map(end).fold(0, u64::saturating_add))
}

/// The epoch, and where it began. Load after `tail`.
#[inline]
pub(crate) fn epoch(lane: &Lane) -> u64 {
    lane.producer().epoch.load(Relaxed)
}

/// Where the current epoch began.
pub(crate) fn epoch_start(lane: &Lane) -> u64 {
    fence_at(Site::TailAcquire, Acquire); // E
    lane.producer().epoch_start.load(Relaxed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::descriptor::{Descriptor, Kind};
    use crate::format::SampleFormat;
    use crate::segment::Segment;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::Arc;

    const FRAME: usize = 6; // words of two bytes

    fn segment(kind: Kind, capacity: u64) -> Arc<Segment> {
        Segment::heap(Descriptor { kind, capacity, frame_bytes: FRAME as u32, ..Descriptor::example() })
    }

    fn frame(position: u64) -> [u8; FRAME] {
        let mut bytes = [0; FRAME];
        bytes.copy_from_slice(&(position * 0x9E37_79B9).to_le_bytes()[..FRAME]);
        bytes
    }

    fn frames(from: u64, count: u64) -> Vec<u8> {
        (from..from + count).flat_map(frame).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64),
        Reserve { announced: u64, published: u64 },
        TakeOver,
        Take(u64),
        GiveBack,
        Reattach,
        Group(usize, u64),
        Observe(usize, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u64..12).prop_map(Step::Write),
            1 => (0u64..12, 0u64..12).prop_map(|(a, b)| Step::Reserve { announced: a.max(b), published: a.min(b) }),
            1 => Just(Step::TakeOver),
            3 => (1u64..12).prop_map(Step::Take),
            1 => Just(Step::GiveBack),
            1 => Just(Step::Reattach),
            3 => (0usize..2, 1u64..12).prop_map(|(who, most)| Step::Group(who, most)),
            3 => (0usize..2, 1u64..12).prop_map(|(who, most)| Step::Observe(who, most)),
        ]
    }

    /// What an observer may be told, from the outside: everything from `intent - capacity` to `tail`.
    fn check_observer(observer: &mut Observer, tail: u64, intent: u64, capacity: u64, most: u64) {
        let from = observer.position();
        let mut out = vec![0; (most as usize) * FRAME];
        let got = observer.read(&mut out, most).unwrap();
        assert_eq!(got.first, from + got.lost);
        let oldest = intent.saturating_sub(capacity);
        let resumed = if from < oldest { tail.min(oldest + capacity / 8).max(from) } else { from };
        assert_eq!(got.first, resumed, "it lost what was still there, or did not go ahead");
        let left = tail.saturating_sub(got.first);
        assert_eq!(got.frames, left.min(most));
        assert_eq!(out[..got.frames as usize * FRAME], frames(got.first, got.frames));
        assert_eq!(observer.position(), got.first + got.frames);
    }

    proptest! {
        #[test]
        fn spsc_and_its_observers_against_a_queue(steps in prop::collection::vec(step(), 1..200), capacity in 8u64..40) {
            let shared = segment(Kind::Spsc, capacity);
            let mut writer = Writer::take_over(shared.lane(0), true, true).unwrap();
            let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
            let mut observers = [Observer::attach(shared.lane(0), 0), Observer::attach(shared.lane(0), 3)];
            let mut queue = VecDeque::new();
            let (mut tail, mut given, mut intent, mut epoch) = (0u64, 0u64, 0u64, 1);
            for step in steps {
                match step {
                    Step::Write(count) if count <= capacity => {
                        let fits = tail + count - given <= capacity;
                        let done = writer.write(&frames(tail, count), count);
                        prop_assert_eq!(done.is_ok(), fits, "{:?}", done);
                        if fits {
                            queue.extend(tail..tail + count);
                            tail += count;
                            intent = intent.max(tail);
                        } else {
                            prop_assert_eq!(done, Err(WriteError::Full { free: capacity - (tail - given) }));
                        }
                    }
                    Step::Reserve { announced, published }
                        if announced <= writer.limit() && writer.check_space(announced).is_ok() =>
                    {
                        writer.announce(announced);
                        intent = intent.max(tail + announced);
                        writer.store(writer.cursor(0), &frames(tail, published));
                        writer.publish(published);
                        queue.extend(tail..tail + published);
                        tail += published;
                    }
                    Step::TakeOver => {
                        writer = Writer::take_over(shared.lane(0), true, true).unwrap();
                        epoch += 1;
                        prop_assert_eq!((writer.position(), writer.epoch()), (tail, epoch));
                        prop_assert_eq!(epoch_start(&shared.lane(0)), tail);
                    }
                    Step::Take(most) => {
                        let count = reader.available(most).unwrap().min(most);
                        let mut out = vec![0; count as usize * FRAME];
                        reader.copy(&mut out);
                        let (first, rest) = reader.lend(count);
                        prop_assert_eq!([first, rest].concat(), out.clone());
                        reader.take(count);
                        let expected: Vec<u8> = queue.drain(..count as usize).flat_map(frame).collect();
                        prop_assert_eq!(out, expected);
                    }
                    Step::GiveBack => {
                        reader.give_back();
                        given = reader.position();
                    }
                    Step::Reattach => {
                        // A successor of a killed reader sees again what was not given back.
                        for position in (given..reader.position()).rev() {
                            queue.push_front(position);
                        }
                        reader = Exclusive::attach(shared.lane(0)).unwrap();
                        prop_assert_eq!(reader.position(), given);
                    }
                    Step::Observe(who, most) => check_observer(&mut observers[who], tail, intent, capacity, most),
                    _ => {}
                }
            }
        }

        #[test]
        fn a_group_takes_each_frame_once(steps in prop::collection::vec(step(), 1..200), capacity in 8u64..40) {
            let shared = segment(Kind::Spsc, capacity);
            let mut writer = Writer::take_over(shared.lane(0), true, true).unwrap();
            let mut group = [Group::attach(shared.lane(0)), Group::attach(shared.lane(0))];
            let (mut tail, mut head) = (0u64, 0u64);
            for step in steps {
                match step {
                    Step::Write(count) if count <= capacity => {
                        let done = writer.write(&frames(tail, count), count);
                        prop_assert_eq!(done.is_ok(), tail + count - head <= capacity);
                        if done.is_ok() {
                            tail += count;
                        }
                    }
                    Step::Group(who, most) => {
                        let mut out = vec![0; most as usize * FRAME];
                        match group[who].take(&mut out, most).unwrap() {
                            None => prop_assert_eq!(tail, head),
                            Some((first, count)) => {
                                // It may not have looked at the newest tail, but never stands before it empty-handed.
                                prop_assert!(first == head && count > 0 && count <= most.min(tail - head));
                                prop_assert_eq!(&out[..count as usize * FRAME], frames(first, count));
                                head += count;
                            }
                        }
                    }
                    _ => {}
                }
            }
        }

        #[test]
        fn broadcast_never_is_full_and_counts_what_it_laps(steps in prop::collection::vec(step(), 1..200), capacity in 8u64..40) {
            let shared = segment(Kind::Broadcast, capacity);
            let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
            let mut observers = [Observer::attach(shared.lane(0), 0), Observer::attach(shared.lane(0), 3)];
            let (mut tail, mut intent) = (0u64, 0u64);
            for step in steps {
                match step {
                    Step::Write(count) => {
                        writer.write(&frames(tail, count * 7), count * 7).unwrap();
                        tail += count * 7;
                        intent = intent.max(tail);
                    }
                    Step::Reserve { announced, .. } => {
                        writer.announce(announced.min(writer.limit()));
                        intent = intent.max(tail + announced.min(writer.limit()));
                    }
                    Step::TakeOver => writer = Writer::take_over(shared.lane(0), false, true).unwrap(),
                    Step::Observe(who, most) => check_observer(&mut observers[who], tail, intent, capacity, most),
                    _ => {}
                }
            }
        }
    }

    /// What there is to copy plainly: words of eight bytes, in runs that are long enough to go wide, and not.
    #[derive(Clone, Debug)]
    enum Plain {
        Push(u64),
        Reserve { announced: u64, published: u64 },
        PauseAt(u64),
        TakeOver,
        Take(u64),
        Lend(u64),
        GiveBack,
        Reattach,
        Read(usize, u64),
        ReadMany(usize, u64),
        Seek(usize, u64),
    }

    fn plain() -> impl Strategy<Value = Plain> {
        prop_oneof![
            8 => (0u64..6).prop_map(Plain::Push),
            1 => (0u64..6, 0u64..6).prop_map(|(a, b)| Plain::Reserve { announced: a.max(b), published: a.min(b) }),
            1 => (1u64..10).prop_map(Plain::PauseAt),
            1 => Just(Plain::TakeOver),
            6 => (1u64..12).prop_map(Plain::Take),
            1 => (1u64..12).prop_map(Plain::Lend),
            1 => Just(Plain::GiveBack),
            1 => Just(Plain::Reattach),
            6 => (0usize..2, 1u64..12).prop_map(|(who, times)| Plain::Read(who, times)),
            2 => (0usize..2, 1u64..12).prop_map(|(who, most)| Plain::ReadMany(who, most)),
            1 => (0usize..2, 0u64..40).prop_map(|(who, back)| Plain::Seek(who, back)),
        ]
    }

    /// The frames from `from` on.
    fn long(from: u64, count: u64, bytes: usize) -> Vec<u8> {
        let words = |position: u64| (0..bytes as u64 / 8).map(move |word| position << 8 | word);
        (from..from + count).flat_map(words).flat_map(u64::to_le_bytes).collect()
    }

    proptest! {
        /// Handles that do plainly what they can, and slowly what they cannot, beside what they should see.
        #[test]
        fn the_plain_and_the_slow_against_a_queue(
            steps in prop::collection::vec(plain(), 1..120),
            capacity in prop_oneof![8u64..12, 8u64..90],
            words in prop_oneof![1usize..4, 30usize..70],
            gated: bool,
        ) {
            let bytes = words * 8;
            let kind = if gated { Kind::Spsc } else { Kind::Broadcast };
            let shared = Segment::heap(Descriptor {
                kind, capacity, frame_bytes: bytes as u32, format: SampleFormat::Opaque, ..Descriptor::example()
            });
            let mut writer = Writer::take_over(shared.lane(0), gated, true).unwrap();
            let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
            let mut observers = [Observer::attach(shared.lane(0), 0), Observer::attach(shared.lane(0), 3)];
            let (mut tail, mut given, mut intent, mut pause) = (0u64, 0u64, 0u64, None);
            for step in steps {
                match step {
                    Plain::Push(count) => {
                        let fits = !gated || tail + count - given <= capacity;
                        let frames = long(tail, count, bytes);
                        let done = writer.write_plain(&frames, count);
                        prop_assert!(!done || fits && intent <= tail && count <= writer.limit());
                        prop_assert!(!done || pause.is_none_or(|pause| tail + count < pause), "{pause:?}");
                        let done = done || writer.write(&frames, count).is_ok();
                        prop_assert_eq!(done, fits);
                        tail += if fits { count } else { 0 };
                        intent = intent.max(tail);
                    }
                    Plain::Reserve { announced, published }
                        if announced <= writer.limit() && writer.check_space(announced).is_ok() =>
                    {
                        writer.announce(announced);
                        writer.store(writer.cursor(0), &long(tail, published, bytes));
                        writer.publish(published);
                        intent = intent.max(tail + announced);
                        tail += published;
                    }
                    Plain::PauseAt(ahead) => {
                        writer.pause_at(tail + ahead);
                        pause = Some(tail + ahead);
                    }
                    Plain::TakeOver => {
                        let mut gone = writer;
                        writer = Writer::take_over(shared.lane(0), gated, true).unwrap();
                        prop_assert!(!gone.write_plain(&long(tail, 1, bytes), 1), "it is another's");
                        pause = None;
                    }
                    Plain::Take(times) if gated => for _ in 0..times {
                        if reader.wants_to_look() && reader.look() {
                            reader.plan(true, 5);
                        }
                        let (at, mut out) = (reader.position(), vec![0; bytes]);
                        let Some(position) = reader.take_plain(&mut out) else {
                            // Nothing there, or it must give back.
                            prop_assert!(at == tail || reader.keeps_too_many());
                            reader.give_back();
                            given = at;
                            continue;
                        };
                        prop_assert!(position == at && at < tail && reader.position() == at + 1);
                        prop_assert!(reader.position() - given <= shared.lane(0).geometry().lazy_limit());
                        prop_assert_eq!(out, long(at, 1, bytes));
                    },
                    Plain::Lend(most) if gated => {
                        let count = reader.available(most).unwrap().min(most);
                        prop_assert_eq!(count, most.min(tail - reader.position()));
                        let (first, rest) = reader.lend(count);
                        prop_assert_eq!([first, rest].concat(), long(reader.position(), count, bytes));
                        reader.take(count);
                        reader.give_back();
                        given = reader.position();
                    }
                    Plain::GiveBack if gated => {
                        reader.give_back();
                        given = reader.position();
                    }
                    Plain::Reattach if gated => reader = Exclusive::attach(shared.lane(0)).unwrap(),
                    Plain::Read(who, times) => for _ in 0..times {
                        let observer = &mut observers[who];
                        if observer.wants_to_look() && observer.look() {
                            observer.plan(true, 5);
                        }
                        let (at, mut out) = (observer.position(), vec![0; bytes]);
                        match observer.read_plain(&mut out) {
                            Some(position) => {
                                prop_assert!(position == at && at < tail && at + capacity >= intent);
                                prop_assert_eq!(out, long(at, 1, bytes));
                            }
                            None => {
                                prop_assert!(at >= tail || at + capacity < intent, "{at} {tail} {intent}");
                                break;
                            }
                        }
                    },
                    Plain::ReadMany(who, most) => {
                        let mut out = vec![0; most as usize * bytes];
                        let got = observers[who].read(&mut out, most).unwrap();
                        prop_assert_eq!(&out[..got.frames as usize * bytes], long(got.first, got.frames, bytes));
                        prop_assert_eq!(got.frames, most.min(tail.saturating_sub(got.first)));
                    }
                    Plain::Seek(who, back) => observers[who].seek(tail.saturating_sub(back)),
                    _ => {}
                }
            }
        }
    }

    /// Where a frame is of smaller words, a consumer does not ask its producer's line for each.
    #[test]
    fn words_that_are_small_are_not_looked_for_plainly() {
        let shared = segment(Kind::Spsc, 16);
        let mut writer = Writer::take_over(shared.lane(0), true, true).unwrap();
        let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
        let mut observer = Observer::attach(shared.lane(0), 0);
        writer.write(&frames(0, 2), 2).unwrap();
        assert!(!writer.write_plain(&frames(2, 1), 1));
        assert!(!reader.look() && reader.seen_tail == 0 && reader.take_plain(&mut [0; FRAME]).is_none());
        assert!(!observer.look() && observer.read_plain(&mut [0; FRAME]).is_none());
    }

    #[derive(Clone, Debug)]
    enum Seated {
        Write(u64),
        Reserve { announced: u64, published: u64 },
        TakeOver,
        Sit { seat: usize, back: u64 },
        Seek { seat: usize, back: u64 },
        Read { seat: usize, most: u64 },
        Leave(usize),
    }

    fn seated() -> impl Strategy<Value = Seated> {
        prop_oneof![
            6 => (1u64..12).prop_map(Seated::Write),
            1 => (0u64..12, 0u64..12).prop_map(|(a, b)| Seated::Reserve { announced: a.max(b), published: a.min(b) }),
            1 => Just(Seated::TakeOver),
            2 => (0usize..3, 0u64..50).prop_map(|(seat, back)| Seated::Sit { seat, back }),
            1 => (0usize..3, 0u64..50).prop_map(|(seat, back)| Seated::Seek { seat, back }),
            6 => (0usize..3, 1u64..16).prop_map(|(seat, most)| Seated::Read { seat, most }),
            1 => (0usize..3).prop_map(Seated::Leave),
        ]
    }

    proptest! {
        /// Three lossless seats against what they promise: `Full` loses nothing and is full only if it must be;
        /// overtaking never is full, and both sides count what it takes.
        #[test]
        fn lossless_readers_against_their_promise(
            steps in prop::collection::vec(seated(), 1..200),
            capacity in 8u64..40,
            overtakes: bool,
        ) {
            let shared = Segment::heap(Descriptor {
                lossless: 3, capacity, frame_bytes: FRAME as u32, kind: Kind::Broadcast, ..Descriptor::example()
            });
            let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
            let mut readers: [Option<Lossless>; 3] = [None, None, None];
            let (mut tail, mut intent, mut lost) = (0u64, 0u64, 0u64);
            for step in steps {
                let slowest = readers.iter().flatten().map(Lossless::position).min().unwrap_or(NONE);
                let fits = |count: u64| intent.max(tail + count) <= slowest.saturating_add(capacity);
                match step {
                    Seated::Write(count) => {
                        let mut done = writer.write(&frames(tail, count), count);
                        if overtakes && done.is_err() {
                            writer.overtake(count);
                            done = writer.write(&frames(tail, count), count);
                            prop_assert_eq!(done, Ok(()));
                        } else if !overtakes {
                            prop_assert_eq!(done.is_ok(), fits(count), "{:?}", done);
                        }
                        if done.is_ok() {
                            tail += count;
                            intent = intent.max(tail);
                        }
                    }
                    Seated::Reserve { announced, published } if announced <= writer.limit() => {
                        match writer.check_space(announced) {
                            Ok(()) => {}
                            Err(_) if overtakes => writer.overtake(announced),
                            Err(_) => continue,
                        }
                        writer.announce(announced);
                        intent = intent.max(tail + announced);
                        writer.store(writer.cursor(0), &frames(tail, published));
                        writer.publish(published);
                        tail += published;
                    }
                    Seated::Reserve { .. } => {}
                    Seated::TakeOver => writer = Writer::take_over(shared.lane(0), false, true).unwrap(),
                    Seated::Sit { seat, back } | Seated::Seek { seat, back } => {
                        let wanted = tail.saturating_sub(back);
                        let skipped = match &mut readers[seat] {
                            None => {
                                let (reader, skipped) = Lossless::attach(shared.lane(0), seat as u32, wanted);
                                readers[seat] = Some(reader);
                                skipped
                            }
                            Some(reader) => {
                                let moved = reader.seek(wanted);
                                lost += moved.lost;
                                moved.skipped
                            }
                        };
                        let at = readers[seat].as_ref().unwrap().position();
                        prop_assert_eq!(at, wanted + skipped);
                        // Never more than a lease off what is there.
                        let leased = tail + (capacity / 8).max(12);
                        prop_assert!(at == wanted || at + capacity <= leased.max(intent));
                        prop_assert!(at + capacity >= intent);
                    }
                    Seated::Read { seat, most } => {
                        let Some(reader) = &mut readers[seat] else { continue };
                        let from = reader.position();
                        let mut out = vec![0; most as usize * FRAME];
                        let read = reader.read(&mut out, most).unwrap();
                        prop_assert_eq!(read.first, from + read.lost);
                        prop_assert!(overtakes || read.lost == 0);
                        // Of a copy that was overtaken in the middle there is only the rest.
                        let most = tail.saturating_sub(read.first).min(most).min(capacity);
                        prop_assert!(read.frames == most || read.lost > 0 && read.frames < most);
                        prop_assert_eq!(&out[..read.frames as usize * FRAME], frames(read.first, read.frames));
                        lost += read.lost;
                    }
                    Seated::Leave(seat) => {
                        if let Some(mut reader) = readers[seat].take() {
                            lost += reader.seek(0).lost;
                            free(&shared.lane(0).gating()[seat]);
                        }
                    }
                }
            }
            for reader in readers.iter_mut().flatten() {
                lost += reader.seek(0).lost;
            }
            prop_assert_eq!(breaches(&shared.lane(0)).frames, lost);
        }
    }

    #[test]
    fn what_is_lent_lies_in_place() {
        let shared = segment(Kind::Spsc, 16);
        let mut writer = Writer::take_over(shared.lane(0), true, false).unwrap();
        let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
        assert_eq!(writer.limit(), 16, "nobody observes it");
        for from in (0..60).step_by(3) {
            writer.check_space(3).unwrap();
            writer.announce(3);
            let (first, rest) = writer.lend(3);
            let filled = frames(from, 3);
            let (before, after) = filled.split_at(first.len());
            first.copy_from_slice(before);
            rest.copy_from_slice(after);
            writer.publish(3);
            assert_eq!(reader.available(1), Ok(3));
            let (first, rest) = reader.lend(3);
            assert_eq!([first, rest].concat(), frames(from, 3));
            reader.take(3);
            reader.give_back();
        }
        let shared = segment(Kind::Spsc, 16);
        assert_eq!(Writer::take_over(shared.lane(0), true, true).unwrap().limit(), 4);
    }

    #[test]
    fn a_consumer_looks_at_its_producer_and_gives_back_when_it_must() {
        let shared = segment(Kind::Spsc, 80);
        let mut writer = Writer::take_over(shared.lane(0), true, true).unwrap();
        let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
        for from in [0, 30, 60] {
            writer.write(&frames(from, 10), 10).unwrap();
            assert_eq!(reader.available(1), Ok(10));
            writer.write(&frames(from + 10, 20), 20).unwrap();
            assert_eq!(reader.available(10), Ok(10), "as many as are wanted are known of");
            assert_eq!(reader.available(11), Ok(30));
            reader.take(9);
            assert!(!reader.keeps_too_many());
            reader.take(1);
            assert!(reader.keeps_too_many(), "an eighth of the ring");
            reader.take(20);
            assert!(reader.give_back() && !reader.give_back() && !reader.keeps_too_many());
        }
    }

    #[test]
    fn what_a_waiting_producer_waits_for() {
        let shared = segment(Kind::Spsc, 8);
        let mut writer = Writer::take_over(shared.lane(0), true, true).unwrap();
        writer.write(&frames(0, 8), 8).unwrap();
        let mut reader = Exclusive::attach(shared.lane(0)).unwrap();
        reader.take(8);
        reader.give_back();
        // It announces more than it publishes; its consumer need not care.
        writer.announce(8);
        writer.publish(2);
        assert_eq!((writer.target(1), writer.target(3), writer.given_back()), (3, 5, 8));
        // Observers of a lane do not hold its producer up.
        let shared = segment(Kind::Broadcast, 8);
        let writer = Writer::take_over(shared.lane(0), false, true).unwrap();
        assert_eq!((writer.target(9), writer.given_back()), (1, NONE));
        // Lossless readers do, and what was announced is theirs no more.
        let shared = Segment::heap(Descriptor { lossless: 2, capacity: 8, ..Descriptor::example() });
        let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
        let (mut reader, _) = Lossless::attach(shared.lane(0), 0, 0);
        writer.write(&[0; 64], 8).unwrap();
        reader.read(&mut [0; 40], 5).unwrap();
        writer.check_space(4).unwrap();
        writer.announce(4);
        writer.publish(2);
        assert_eq!((writer.target(1), writer.target(3), writer.given_back()), (4, 5, 5));
    }

    #[test]
    fn an_end_is_that_of_all_who_came() {
        let shared =
            Segment::heap(Descriptor { kind: Kind::Mpmc, lanes: 3, capacity: 8, ..Descriptor::example() });
        let lanes = [0, 1, 2].map(|lane| shared.lane(lane));
        let nobody = |_| false;
        assert_eq!(ended(lanes.iter(), nobody), None, "nobody came");
        let mut producers = [1, 2].map(|lane| Writer::take_over(shared.lane(lane), true, true).unwrap());
        producers[0].write(&[0; 16], 2).unwrap();
        producers[0].finish().unwrap();
        assert_eq!(ended(lanes.iter(), nobody), None);
        producers[1].write(&[0; 24], 3).unwrap();
        producers[1].finish().unwrap();
        assert_eq!(ended(lanes.iter(), nobody), Some(5));
        assert_eq!(ended(lanes.iter(), |lane| lane == 0), None, "one is about to begin");
        lanes.iter().for_each(close);
        assert_eq!(ended(lanes.iter(), nobody), Some(5), "removed by force, it has ended all the same");
    }

    #[test]
    fn nothing_is_pushed_past_the_last_position() {
        for (kind, lossless) in [(Kind::Spsc, 0), (Kind::Broadcast, 0), (Kind::Broadcast, 1)] {
            let shared = Segment::heap(Descriptor { kind, lossless, capacity: 8, ..Descriptor::example() });
            let from = POSITION_LAST - 3;
            for word in
                [&shared.lane(0).producer().tail, &shared.lane(0).producer().intent, shared.lane(0).head()]
            {
                word.store(from, Relaxed);
            }
            let mut writer = Writer::take_over(shared.lane(0), kind == Kind::Spsc, true).unwrap();
            let _reader = (lossless > 0).then(|| Lossless::attach(shared.lane(0), 0, from));
            assert_eq!(writer.check_space(4), Err(WriteError::Exhausted), "{kind:?}");
            assert_eq!(writer.write(&[0; 24], 3), Ok(()), "{kind:?}");
            assert_eq!(writer.check_space(1), Err(WriteError::Exhausted), "{kind:?}");
        }
    }

    #[test]
    fn an_observer_goes_where_it_is_told() {
        let shared = segment(Kind::Broadcast, 8);
        let mut observer = Observer::attach(shared.lane(0), 5);
        observer.seek(3);
        assert_eq!(observer.position(), 3);
        observer.seek(u64::MAX);
        assert_eq!(observer.position(), POSITION_LIMIT);
    }

    /// One who stands where the producer must reach anyhow loses nothing, and so is not overtaken.
    #[test]
    fn one_who_is_just_not_in_the_way_is_not_overtaken() {
        let shared = Segment::heap(Descriptor { lossless: 2, capacity: 16, ..Descriptor::example() });
        let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
        let (_slow, _) = Lossless::attach(shared.lane(0), 0, 0);
        let (_fast, _) = Lossless::attach(shared.lane(0), 1, 2);
        writer.write(&[0; 128], 16).unwrap();
        assert_eq!(writer.check_space(1), Err(WriteError::Full { free: 0 }));
        writer.overtake(1); // and goes on for a lease of two
        assert_eq!(breaches(&shared.lane(0)), Breaches { times: 1, frames: 2 });
    }

    #[test]
    fn one_who_stands_still_is_overtaken_once() {
        let shared = Segment::heap(Descriptor { lossless: 2, capacity: 16, ..Descriptor::example() });
        let lane = shared.lane(0);
        let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
        let (mut reader, _) = Lossless::attach(shared.lane(0), 1, 0);
        let mut push = |count: u64| {
            for _ in 0..count {
                if writer.check_space(1).is_err() {
                    writer.overtake(1);
                }
                writer.write(&[0; 8], 1).unwrap();
            }
        };
        push(16);
        assert_eq!(breaches(&lane), Breaches { times: 0, frames: 0 }, "a whole ring is kept");
        push(100);
        assert_eq!(breaches(&lane).times, 1);
        let read = reader.read(&mut [0; 8], 1).unwrap();
        assert_eq!((read.lost, read.frames), (breaches(&lane).frames, 1));
        push(100);
        assert_eq!(breaches(&lane).times, 2, "it had moved");
        free(&lane.gating()[1]);
        assert_eq!(reader.read(&mut [0; 8], 1), Err(ReadFault::Superseded));
        let before = breaches(&lane);
        push(100);
        assert_eq!(breaches(&lane), before, "nobody sits there");
    }

    #[test]
    fn a_superseded_writer_notices() {
        let shared = segment(Kind::Broadcast, 8);
        let mut first = Writer::take_over(shared.lane(0), false, true).unwrap();
        let mut second = Writer::take_over(shared.lane(0), false, true).unwrap();
        assert_eq!(first.write(&frames(0, 1), 1), Err(WriteError::Superseded));
        assert_eq!(second.write(&frames(0, 1), 1), Ok(()));
    }

    #[test]
    fn impossible_positions_are_refused_not_followed() {
        let set = |kind, tail: u64, intent: u64, head: u64| {
            let shared = segment(kind, 8);
            shared.lane(0).producer().tail.store(tail, Relaxed);
            shared.lane(0).producer().intent.store(intent, Relaxed);
            shared.lane(0).head().store(head, Relaxed);
            shared
        };
        for (tail, intent, head) in [(9, 9, 0), (5, 4, 5), (u64::MAX, u64::MAX, 0), (3, 3, 4), (0, 100, 0)] {
            let shared = set(Kind::Spsc, tail, intent, head);
            assert!(Writer::take_over(shared.lane(0), true, true).is_err(), "{tail} {intent} {head}");
        }
        let shared = set(Kind::Spsc, 9, 9, 0);
        assert!(Exclusive::attach(shared.lane(0)).is_err());
        let mut out = [0; FRAME];
        assert_eq!(Group::attach(shared.lane(0)).take(&mut out, 1), Err(Corrupt));
        for (tail, intent) in [(5, 4), (u64::MAX - 1, u64::MAX)] {
            let shared = set(Kind::Broadcast, tail, intent, 0);
            assert_eq!(Observer::attach(shared.lane(0), 0).read(&mut out, 1), Err(Corrupt));
        }
        let shared = set(Kind::Broadcast, 5, 5, 0);
        let mut observer = Observer::attach(shared.lane(0), 0);
        observer.read(&mut out, 1).unwrap();
        shared.lane(0).producer().tail.store(2, Relaxed);
        assert_eq!(observer.read(&mut out, 1), Err(Corrupt), "tail went back");

        let lossless = || Segment::heap(Descriptor { lossless: 1, capacity: 8, ..Descriptor::example() });
        for (tail, intent) in [(2, 5), (POSITION_LIMIT, POSITION_LIMIT), (7, 100)] {
            let shared = lossless();
            let mut writer = Writer::take_over(shared.lane(0), false, true).unwrap();
            let (mut reader, _) = Lossless::attach(shared.lane(0), 0, 0);
            writer.write(&[0; 40], 5).unwrap();
            reader.read(&mut [0; 16], 2).unwrap();
            shared.lane(0).producer().tail.store(tail, Relaxed);
            shared.lane(0).producer().intent.store(intent, Relaxed);
            assert_eq!(reader.read(&mut [0; 64], 8), Err(ReadFault::Corrupt), "{tail} {intent}");
        }
    }

    /// Threads on the heap segment: what an observer accepts was never torn, and with the check removed it
    /// would have been (the models prove that; here the harness shows that it can see tearing at all).
    #[test]
    fn concurrent_observers_never_accept_a_torn_frame() {
        const WORDS: usize = 128;
        let shared = Segment::heap(Descriptor {
            kind: Kind::Broadcast,
            capacity: 8,
            frame_bytes: (WORDS * 8) as u32,
            format: SampleFormat::Opaque,
            ..Descriptor::example()
        });
        let stop = Arc::new(crate::sync::AtomicU32::new(0));
        let producer = std::thread::spawn({
            let (lane, stop) = (shared.lane(0), Arc::clone(&stop));
            move || {
                let mut writer = Writer::take_over(lane, false, true).unwrap();
                while stop.load(Relaxed) == 0 {
                    let bytes: Vec<u8> =
                        [writer.position(); WORDS].iter().flat_map(|word| word.to_le_bytes()).collect();
                    writer.write(&bytes, 1).unwrap();
                }
            }
        });
        let mut observer = Observer::attach(shared.lane(0), 0);
        let mut out = vec![0; 4 * WORDS * 8];
        let (mut accepted, mut lost, mut raw_torn) = (0u64, 0u64, 0u64);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while (accepted < 5_000 || lost == 0 || raw_torn == 0) && std::time::Instant::now() < until {
            let got = observer.read(&mut out, 4).unwrap();
            lost += got.lost;
            accepted += got.frames;
            for (i, frame) in out.chunks_exact(WORDS * 8).take(got.frames as usize).enumerate() {
                let expected = (got.first + i as u64).to_le_bytes();
                assert!(
                    frame.chunks_exact(8).all(|word| word == expected),
                    "torn at {}",
                    got.first + i as u64
                );
            }
            // The same copy without the protocol.
            copy::load(shared.lane(0).words(), 0, &mut out[..WORDS * 8]);
            if out[..8] != out[(WORDS - 1) * 8..WORDS * 8] {
                raw_torn += 1;
            }
        }
        stop.store(1, Relaxed);
        producer.join().unwrap();
        assert!(
            accepted > 0 && lost > 0 && raw_torn > 0,
            "{accepted} accepted, {lost} lost, {raw_torn} torn"
        );
    }
}
