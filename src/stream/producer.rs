//! The producing handle.

use super::builder::units;
use super::clock::{Clock, Timekeeper};
use super::gap::Bookkeeper;
use super::{AtLimit, Info, Units};
use crate::clock::Reader;
use crate::descriptor::Kind;
use crate::error::Error;
use crate::index::Cursor;
use crate::lane::{Breaches, Writer};
use crate::ledger;
use crate::layout::RETIRED;
use crate::lifecycle::{self, Attachment};
use crate::ring::{self, PushError, within};
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::fence;
use crate::time::monotonic_ns;
use crate::wait::Fences;
use bytemuck::Pod;
use core::fmt;
use core::time::Duration;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Pushes frames into a stream or ring. There is one per lane, also between processes.
///
/// On a broadcast stream a push never waits, whoever reads (unless it was [created](super::AtLimit::Full) otherwise): it
/// copies in and stores one word. Slices hold whole
/// frames: all channels of the first frame, then all of the second.
///
/// Dropping a producer leaves the stream: readers wait for a successor. [`finish`](Self::finish) ends it. Either way
/// the last one to leave removes the object, with what no consumer took: [`drain`](Self::drain) before, or have it
/// [kept](super::Builder::keep).
/// A handle may move to another thread, but has one user at a time.
pub struct Producer<T> {
    ring: ring::Producer,
    units: Units<T>,
    info: Info,
    lane: u32,
    /// Position at which it looks at the clock, and shows itself, again.
    looks_at: u64,
    time: Timekeeper,
    clock: Reader,
    book: Bookkeeper,
    attachment: Attachment,
}

impl<T: Pod> Producer<T> {
    pub(super) fn new(mut attachment: Attachment) -> Result<Self, Error> {
        let units = units(&attachment)?;
        let info = Info::of(&attachment);
        let segment = Arc::clone(attachment.segment());
        let lane = attachment.producers_lane();
        segment.populate(lane).map_err(|error| Error::os("fill the pages of", &info.path, error))?;
        let writer = Writer::take_over(segment.lane(lane), info.kind != Kind::Broadcast, info.observable);
        fence(SeqCst); // between the epoch and the state: one who removes by force does it the other way round
        if segment.state().state.load(Relaxed) == RETIRED {
            return Err(Error::NotFound { name: info.full_name(), versions: Vec::new() });
        }
        let writer = writer.map_err(|_| Error::Corrupt {
            path: info.path.clone(),
            why: "its positions contradict each other".into(),
        })?;
        segment.lane_block(lane).pid.store(std::process::id().into(), Relaxed);
        attachment.settle(); // after the epoch, before the first push
        let overtakes = info.lossless > 0 && info.at_limit == AtLimit::Overwrite;
        let ring = ring::Producer::new(writer, Fences::register()).overtaking(overtakes);
        let position = ring.position();
        let block = segment.lane_block(lane);
        let time = Timekeeper::take_over(&block.clock, &info, position);
        let mut book = Bookkeeper::take_over(&block.ledger);
        let now_ns = monotonic_ns();
        if ring.epoch() > 1 && position > 0 {
            let seen_ns = lifecycle::seen_ns(&segment, lane..lane + 1);
            book.add(&block.ledger, position, ledger::RESTART, now_ns.saturating_sub(seen_ns));
        }
        let clock = Reader::default();
        let mut producer = Self { ring, units, info, lane, looks_at: 0, time, clock, book, attachment };
        producer.look_at(position + 1);
        producer.show(now_ns);
        Ok(producer)
    }

    /// Pushes all of `samples`, or nothing. Never waits, never allocates, and makes no system call unless a
    /// reader sleeps that this push satisfies. Of more than the ring holds, a broadcast stream keeps the last.
    ///
    /// # Errors
    /// [`PushError::Full`] on a queue whose consumers are behind (that of an spsc ring may keep back up to an eighth of the
    /// ring, 64 frames at most, of what it took frame by frame); a consumer that waits for more learns of it, and takes
    /// what there is. Also on a broadcast stream one of whose lossless readers is behind, if it was
    /// [created](super::AtLimit::Full) so. [`PushError::TooLong`],
    /// [`PushError::NotWholeFrames`]; and if the world has changed, [`PushError::Superseded`],
    /// [`PushError::Removed`], [`PushError::Forked`], [`PushError::Corrupt`].
    #[inline(always)]
    pub fn push(&mut self, samples: &[T]) -> Result<(), PushError> {
        let count = self.whole(samples)?;
        if self.ring.push_plain(bytemuck::cast_slice(samples), count as u64) {
            return Ok(());
        }
        self.push_slowly(samples, count)
    }

    /// With all that there is to be looked at now and then.
    #[inline(never)]
    fn push_slowly(&mut self, samples: &[T], count: usize) -> Result<(), PushError> {
        self.ring.push(bytemuck::cast_slice(samples), count as u64, &self.attachment)?;
        self.tell_when_due();
        Ok(())
    }

    /// As [`push`](Self::push), but waits until a consumer has made space, for `timeout` at most (`None`: for
    /// ever). More than the ring holds is pushed in parts.
    ///
    /// # Errors
    /// [`PushError::Timeout`] says how many frames were pushed before; else as [`push`](Self::push).
    pub fn push_wait(&mut self, samples: &[T], timeout: Option<Duration>) -> Result<(), PushError> {
        let count = self.whole(samples)?;
        let wait = within(timeout);
        let done = self.ring.push_wait(bytemuck::cast_slice(samples), count as u64, wait, &self.attachment);
        if matches!(done, Ok(()) | Err(PushError::Timeout { .. })) {
            self.tell_when_due(); // else the clock may be another's by now
        }
        done
    }

    /// Reserves the next `frames` frames, to be written piece by piece and committed together. Where the
    /// stream may be observed, at most a quarter of the ring.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn reserve(&mut self, frames: usize) -> Result<Reservation<'_, T>, PushError> {
        let count = self.reservable(frames)?;
        self.ring.check_space(count, &self.attachment)?;
        Ok(self.announce(count))
    }

    /// As [`reserve`](Self::reserve), but waits until a consumer has made space, for `timeout` at most (`None`: for
    /// ever).
    ///
    /// # Errors
    /// [`PushError::Timeout`]; else as [`push`](Self::push).
    pub fn reserve_wait(
        &mut self,
        frames: usize,
        timeout: Option<Duration>,
    ) -> Result<Reservation<'_, T>, PushError> {
        let count = self.reservable(frames)?;
        let wait = within(timeout);
        if !self.ring.await_space(count, wait, wait.deadline(), &self.attachment)? {
            return Err(PushError::Timeout { pushed: 0 });
        }
        Ok(self.announce(count))
    }

    fn reservable(&mut self, frames: usize) -> Result<u64, PushError> {
        self.alive()?;
        let count = frames as u64;
        if count > self.ring.writer().limit() { Err(PushError::TooLong) } else { Ok(count) }
    }

    fn announce(&mut self, count: u64) -> Reservation<'_, T> {
        self.ring.writer().announce(count);
        let next = self.ring.writer().cursor(0);
        Reservation { producer: self, next, reserved: count, written: 0 }
    }

    /// Says that the source lost `frames` frames before the next one that is pushed: its buffer ran over, or a packet of
    /// its did not come. Positions go on without them, and readers learn of it with that frame ([`Gap`](super::Gap)); for
    /// the [clock](Self::clock) their time has passed. If there was no time for so many, the clock begins anew. Never waits.
    ///
    /// A device that counts its packets is held against its count by [`SequenceCheck`](super::SequenceCheck).
    ///
    /// # Errors
    /// [`PushError::Superseded`], [`PushError::Removed`], [`PushError::Forked`].
    pub fn gap(&mut self, frames: u64) -> Result<(), PushError> {
        if frames > 0 {
            self.note(ledger::DEVICE, frames)?;
            self.time.lost(self.ring.position(), frames);
            self.look_at(self.ring.position() + 1);
        }
        Ok(())
    }

    /// Says that the source's time began anew before the next frame: it was switched off and on, or set, and nobody knows
    /// how many frames are missing. The [clock](Self::clock) begins anew, too.
    ///
    /// # Errors
    /// As [`gap`](Self::gap).
    pub fn clock_reset(&mut self) -> Result<(), PushError> {
        self.note(ledger::DEVICE_RESET, 0)?;
        self.time.begin(&self.info, self.ring.position());
        self.look_at(self.ring.position() + 1);
        Ok(())
    }

    fn note(&mut self, cause: u64, amount: u64) -> Result<(), PushError> {
        self.alive()?;
        self.ring.check_lane()?;
        let block = self.attachment.segment().lane_block(self.lane);
        self.book.add(&block.ledger, self.ring.position(), cause, amount);
        Ok(())
    }

    /// Position of the next frame: how many were pushed into the lane since the stream began.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// The lane that is this producer's: 0, except on a work queue, which has one for each. Positions and epochs are the
    /// lane's own.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// How positions and times belong together in this lane; see [`Clock`]. `None` before the first push, and without a
    /// [rate](super::Builder::rate) for the first seconds.
    pub fn clock(&self) -> Option<Clock> {
        Clock::of(&self.clock, &self.attachment.segment().lane_block(self.lane).clock, &self.info)
    }

    /// How many producers the lane has had, this one included.
    pub fn epoch(&self) -> u64 {
        self.ring.epoch()
    }

    /// Frames of this lane that no consumer has given back yet; 0 on a broadcast stream, which has none.
    pub fn pending(&mut self) -> u64 {
        self.ring.writer().backlog().unwrap_or(0)
    }

    /// Waits until everything pushed here was taken, for `timeout` at most (`None`: for ever). A broadcast stream has
    /// none: there is nothing to wait for.
    ///
    /// # Errors
    /// [`PushError::Timeout`]; [`PushError::Superseded`], [`PushError::Removed`], [`PushError::Forked`].
    pub fn drain(&mut self, timeout: Option<Duration>) -> Result<(), PushError> {
        self.alive()?;
        if self.info.kind == Kind::Broadcast { Ok(()) } else { self.ring.drain(within(timeout), &self.attachment) }
    }

    /// What was overwritten although a lossless reader had not read it, under this producer and those before it. Only
    /// where the creator chose to [overwrite](super::AtLimit::Overwrite).
    pub fn breaches(&self) -> Breaches {
        self.ring.breaches()
    }

    /// Whether the stream's name still leads to it. A name can be taken away from under those who are attached: by force,
    /// or by one who cleans up and knows nothing of them (systemd's `RemoveIPC=`). They go on, and nobody else finds them:
    /// ask now and then, and create the stream again. Asks the system. Also false if this handle's descriptors were closed
    /// under it: then it cannot tell.
    pub fn is_named(&self) -> bool {
        self.attachment.is_named()
    }

    /// A descriptor of the stream's object, to give to another process: over a Unix socket, or to a child. It opens the
    /// stream with [`open_fd`](crate::open_fd). Where that is the only way, the object lives while anybody has one.
    ///
    /// # Errors
    /// What the system refuses: too many open files, for instance.
    #[cfg(unix)]
    pub fn share(&self) -> Result<OwnedFd, Error> {
        self.attachment.share()
    }

    /// What the stream is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Ends the stream here. Readers read up to the end and get [`ReadError::Ended`](crate::ReadError::Ended);
    /// nobody can push to it any more.
    ///
    /// On a work queue it ends the lane; the queue has ended when all producers that ever came have finished. Who creates
    /// it again then makes a new one.
    pub fn finish(mut self) {
        if !self.attachment.forked() {
            self.ring.finish();
        }
    }

    #[inline]
    fn tell_when_due(&mut self) {
        if self.ring.position() >= self.looks_at {
            self.tell();
        }
    }

    #[inline]
    fn alive(&self) -> Result<(), PushError> {
        if self.attachment.forked() { Err(PushError::Forked) } else { Ok(()) }
    }

    #[inline]
    fn whole(&self, samples: &[T]) -> Result<usize, PushError> {
        self.alive()?;
        self.units.frames(samples.len()).ok_or(PushError::NotWholeFrames)
    }
}

impl<T> Producer<T> {
    /// Looks at the clock, after a push.
    #[cold]
    fn tell(&mut self) {
        let (position, now_ns) = (self.ring.position(), monotonic_ns());
        self.show(now_ns);
        let block = self.attachment.segment().lane_block(self.lane);
        if let Some(step_ns) = self.time.pushed(&block.clock, position, now_ns) {
            self.book.add(&block.ledger, position, ledger::UTC_STEP, step_ns.cast_unsigned());
        }
        self.look_at(position.saturating_add(self.time.spacing()));
    }

    /// Looks at the clock again with the push that reaches `position`.
    fn look_at(&mut self, position: u64) {
        self.looks_at = position;
        self.ring.writer().pause_at(position);
    }

    /// Says when it was last seen, for those who clean up behind the dead.
    fn show(&self, now_ns: u64) {
        self.attachment.segment().lane_block(self.lane).seen_ns.store(now_ns, Relaxed);
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        if !self.attachment.forked() {
            self.show(monotonic_ns());
        }
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, position) = (self.info.full_name(), self.ring.position());
        f.debug_struct("Producer").field("stream", &stream).field("position", &position).finish_non_exhaustive()
    }
}

/// Frames that are being written. [`commit`](Self::commit) publishes what was written; dropped, it publishes
/// nothing.
#[must_use = "a reservation that is dropped publishes nothing"]
pub struct Reservation<'a, T> {
    producer: &'a mut Producer<T>,
    next: Cursor,
    reserved: u64,
    written: u64,
}

impl<T: Pod> Reservation<'_, T> {
    /// Writes the next frames of the reservation.
    ///
    /// # Errors
    /// [`PushError::NotWholeFrames`]; [`PushError::TooLong`] if they do not fit what was reserved;
    /// [`PushError::Forked`]. Nothing is written then.
    #[inline]
    pub fn write(&mut self, samples: &[T]) -> Result<(), PushError> {
        let count = self.producer.whole(samples)? as u64;
        if count > self.reserved - self.written {
            return Err(PushError::TooLong);
        }
        let writer = self.producer.ring.writer();
        writer.store(self.next, bytemuck::cast_slice(samples));
        self.written += count;
        self.next = writer.cursor(self.written);
        Ok(())
    }

    /// Frames that can still be written.
    pub fn remaining(&self) -> usize {
        (self.reserved - self.written) as usize
    }

    /// The whole reservation in place, as two slices (the second is empty where the ring is
    /// [contiguous](Info::contiguous)): fill them, then [`commit_all`](Self::commit_all). `None` unless the
    /// ring was created [without observers](super::Builder::without_observers): a plain store beside an
    /// observer's load would be a data race.
    pub fn slices_mut(&mut self) -> Option<(&mut [T], &mut [T])> {
        if self.producer.info.observable || self.producer.alive().is_err() {
            return None;
        }
        let (first, rest) = self.producer.ring.writer().lend(self.reserved);
        Some((bytemuck::cast_slice_mut(first), bytemuck::cast_slice_mut(rest)))
    }

    /// Publishes the frames that were [written](Self::write).
    ///
    /// # Errors
    /// [`PushError::Superseded`], [`PushError::Removed`], [`PushError::Forked`].
    pub fn commit(self) -> Result<(), PushError> {
        let written = self.written;
        self.publish(written)
    }

    /// Publishes the whole reservation, filled through [`slices_mut`](Self::slices_mut).
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_all(self) -> Result<(), PushError> {
        let reserved = self.reserved;
        self.publish(reserved)
    }

    fn publish(self, count: u64) -> Result<(), PushError> {
        self.producer.alive()?;
        self.producer.ring.check_lane()?;
        self.producer.ring.writer().publish(count);
        self.producer.ring.notify();
        self.producer.tell_when_due();
        Ok(())
    }
}

impl<T> fmt::Debug for Reservation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reserved, written) = (self.reserved, self.written);
        f.debug_struct("Reservation").field("reserved", &reserved).field("written", &written).finish_non_exhaustive()
    }
}
