//! The observing handle.

use super::builder::units;
use super::clock::Clock;
use super::gap::{Gap, Gaps};
use super::polled::{Polled, Polling};
use super::waitset::{Handle, Wrong};
use super::{Info, ProducerState, Start, Units};
use crate::clock::Reader;
use crate::error::Error;
use crate::lane;
use crate::lifecycle::Attachment;
use crate::ring::broadcast;
use crate::ring::set::Waiter;
use crate::ring::{Frames, ReadError};
use crate::segment::Lane;
use crate::sync::Ordering::Relaxed;
use crate::wait::{Fences, Wait};
use bytemuck::Pod;
use core::fmt;

/// Reads a stream or ring without taking anything from it, and without anybody noticing.
///
/// An observer that is too slow is lapped: frames are overwritten before it reads them. Each read says how many
/// were lost before its first frame, and where that frame is. One in a [lossless seat](super::Open::lossless) is waited
/// for: each read gives back what it read.
pub struct Observer<T> {
    ring: broadcast::Observer,
    lossless: bool,
    units: Units<T>,
    info: Info,
    lane: u32,
    clock: Reader,
    gaps: Gaps,
    polling: Option<Polling>,
    attachment: Attachment, // last: the watch of an event loop goes before it
}

impl<T: Pod> Observer<T> {
    pub(super) fn new(mut attachment: Attachment, start: Start, lane: u32) -> Result<Self, Error> {
        let units = units(&attachment)?;
        let info = Info::of(&attachment);
        if lane >= info.lanes {
            let what = format!("{} has lanes 0 to {}, not {lane}", info.full_name(), info.lanes - 1);
            return Err(Error::BadParameter { what });
        }
        attachment.settle();
        let on = attachment.segment().lane(lane);
        let lossless = attachment.lossless();
        let clock = Reader::default();
        let block = attachment.segment().lane_block(lane);
        let position = place(&on, start, lossless.is_some(), || Clock::of(&clock, &block.clock, &info));
        let ring = match lossless {
            None => broadcast::Observer::new(lane::Observer::attach(on, position)),
            Some(seat) => {
                let (cursor, skipped) = lane::Lossless::attach(on, seat, position);
                broadcast::Observer::lossless(cursor, counted(start, skipped), Fences::register())
            }
        };
        let gaps = Gaps::at(&block.ledger, ring.counts_from());
        let lossless = lossless.is_some();
        let observer = Self { ring, lossless, units, info, lane, clock, gaps, polling: None, attachment };
        observer.post();
        Ok(observer)
    }

    /// Reads what is new, up to the length of `out`, which is a whole number of frames.
    ///
    /// # Errors
    /// [`ReadError::Empty`] if there is nothing; [`ReadError::Ended`], [`ReadError::Replaced`] if there will
    /// not be; [`ReadError::Lapped`] if the producer was twice faster than the copy. That the producer died
    /// ([`ReadError::ProducerGone`]) is said only after a [`WaitSet`](super::WaitSet) or the thread behind [`Polled`] noticed it; one who polls asks
    /// [`producer`](Self::producer). Else [`ReadError::NotWholeFrames`], [`ReadError::Forked`], [`ReadError::Superseded`],
    /// [`ReadError::Corrupt`].
    #[inline(always)]
    pub fn try_read(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        if self.units.are_one_frame(out.len())
            && !self.attachment.forked()
            && self.ring.looks_plain(|lane| self.gaps.all_told(lane.ledger()))
            && let Some(first_position) = self.ring.read_plain(bytemuck::cast_slice_mut(out))
        {
            return Ok(Frames::one(self.lane, first_position));
        }
        self.read_slowly(out)
    }

    /// With all that there is to be looked at now and then, and said.
    #[inline(never)]
    fn read_slowly(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        match self.read_now(out, most) {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.read_now(out, most)),
            frames => frames,
        }
    }

    /// As [`try_read`](Self::try_read), after waiting for as much as `wait` says.
    ///
    /// # Errors
    /// [`ReadError::Timeout`]; [`ReadError::ProducerGone`] within a wait slice (100 ms) of its death, once;
    /// [`ReadError::TooLong`] if more is waited for than fits; else as [`try_read`](Self::try_read).
    pub fn read(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let frames = self.ring.await_read(bytemuck::cast_slice_mut(out), most, wait, &self.attachment);
        let frames = self.told(frames);
        match frames {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.read_now(out, most)),
            frames => frames,
        }
    }

    /// As [`read`](Self::read), without blocking: for tasks, under any runtime. A thread of the library's waits in their
    /// place, the one of [`Polled`]. How the time is spent ([`Wait::strategy`]) does not matter here.
    ///
    /// Cancel-safe: a future that is dropped before it is ready has read nothing, and is forgotten.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ReadError::NoThread`].
    #[cfg(feature = "async")]
    pub async fn read_async(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        super::task::read(self, most, wait, |handle, wait| handle.read(out, wait)).await
    }

    /// Has an event loop told when there are `frames` frames, or anything else that ends a [`read`](Self::read).
    /// The descriptor is [`Polled`]'s.
    ///
    /// # Errors
    /// [`Error::BadParameter`] if the ring can never hold so many; [`Error::Os`] if there is no descriptor to be had, or
    /// no thread.
    pub fn polled(self, frames: u64) -> Result<Polled<Self>, Error> {
        Polling::start(self, frames)
    }

    #[inline]
    fn read_now(&mut self, out: &mut [T], most: u64) -> Result<Frames, ReadError> {
        let frames = self.ring.read(bytemuck::cast_slice_mut(out), most);
        self.told(frames)
    }

    /// What else there is to say of what was read.
    #[inline]
    fn told(&mut self, frames: Result<Frames, ReadError>) -> Result<Frames, ReadError> {
        self.post();
        Ok(self.gaps.with(&self.attachment.segment().lane_block(self.lane).ledger, frames?))
    }

    /// Moves: to what comes next, to the newest few, to the oldest that is retained, to a position or a time. What lies
    /// between is not counted as lost. A lossless reader gives back what lies before, and gets what lies behind only as far
    /// as that is kept.
    pub fn seek(&mut self, start: Start) {
        if self.attachment.forked() || (self.lossless && !self.attachment.is_seated()) {
            return; // the next read says so
        }
        let position = place(&self.attachment.segment().lane(self.lane), start, self.lossless, || self.clock());
        let skipped = self.ring.seek(position);
        self.ring.missed(counted(start, skipped));
        self.gaps.seek(&self.attachment.segment().lane_block(self.lane).ledger, self.ring.counts_from());
        self.post();
        if !self.attachment.forked() {
            // Without a thread the descriptor is readable, and the next read says why.
            let _ = Polling::go_on(self);
        }
    }

    /// Position of the next frame.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// Frames that are published and not yet read; some may be lapped already.
    pub fn available(&self) -> u64 {
        lane::readable(&self.attachment.segment().lane(self.lane)).saturating_sub(self.ring.position())
    }

    /// Frames that this observer was lapped by, in all.
    pub fn lost(&self) -> u64 {
        self.ring.lost()
    }

    /// How positions and times belong together, as the producer last said; see [`Clock`]. `None` before its first push, and
    /// of a stream without a rate for some seconds. Never waits for it.
    pub fn clock(&self) -> Option<Clock> {
        Clock::of(&self.clock, &self.attachment.segment().lane_block(self.lane).clock, &self.info)
    }

    /// What the source did not deliver before and among the frames that were read last, in order; see [`Gap`]. A call
    /// that comes back with an error leaves them as they are.
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.found()
    }

    /// How many producers the stream had when this observer last read.
    pub fn epoch(&self) -> u64 {
        self.ring.epoch()
    }

    /// What has become of the producer.
    pub fn producer(&self) -> ProducerState {
        ProducerState::of(self.attachment.lock(), self.attachment.segment(), self.lane)
    }

    /// The lane that is observed: 0, except on a work queue.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// Whether the stream's name still leads to it. A name can be taken away from under those who are attached: by force,
    /// or by one who cleans up and knows nothing of them (systemd's `RemoveIPC=`). They go on, and nobody else finds them:
    /// ask now and then, and open the name again. Asks the system.
    pub fn is_named(&self) -> bool {
        self.attachment.is_named()
    }

    /// What the stream is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    fn post(&self) {
        self.attachment.post(self.ring.position(), self.ring.lost());
    }

    #[inline]
    fn whole(&self, out: &[T]) -> Result<u64, ReadError> {
        if self.attachment.forked() {
            return Err(ReadError::Forked);
        }
        if self.lossless && !self.attachment.is_seated() {
            return Err(ReadError::Superseded);
        }
        match self.units.frames(out.len()) {
            None | Some(0) => Err(ReadError::NotWholeFrames),
            Some(frames) => Ok(frames as u64),
        }
    }
}

impl<T: Pod> Handle for Observer<T> {
    fn prepare(&mut self, frames: u64) -> Result<(), ReadError> {
        if frames > self.info.capacity { Err(ReadError::TooLong) } else { Ok(()) }
    }

    fn show(&mut self, frames: u64, to: &mut dyn FnMut(&mut dyn Waiter)) {
        match self.attachment.forked() || (self.lossless && !self.attachment.is_seated()) {
            true => to(&mut Wrong),
            false => to(&mut self.ring.awaiting(frames, &self.attachment)),
        }
    }

    fn detached(&self, frames: u64) -> Box<dyn Waiter + Send> {
        let lane = self.attachment.segment().lane(self.lane);
        Box::new(self.ring.detached(lane, frames, self.attachment.witness()))
    }

    fn notices(&mut self) -> bool {
        self.ring.notices(&self.attachment)
    }

    fn place(&self) -> u64 {
        self.ring.position()
    }

    fn polling(&mut self) -> &mut Option<Polling> {
        &mut self.polling
    }

    fn stream(&self) -> &Info {
        &self.info
    }
}

/// The position that `start` means now.
fn place(lane: &Lane, start: Start, lossless: bool, clock: impl FnOnce() -> Option<Clock>) -> u64 {
    let tail = lane::readable(lane);
    let oldest = || match lossless {
        // Not what is older: its cursor would be in its producer's way, if only for a moment.
        true => lane::oldest_kept(lane).min(tail),
        false => lane.geometry().oldest(lane.producer().intent.load(Relaxed)).min(tail),
    };
    match start {
        Start::Now => tail,
        Start::Oldest => oldest(),
        Start::Latest(frames) => tail.saturating_sub(frames).max(oldest()),
        Start::Position(position) => position,
        Start::At(moment) => clock().map_or_else(oldest, |clock| clock.position_at(moment)),
    }
}

/// Which of the frames that were gone when a lossless reader came to where it starts it wanted to have.
fn counted(start: Start, skipped: u64) -> u64 {
    if matches!(start, Start::Oldest | Start::Latest(_)) { 0 } else { skipped }
}

impl<T> fmt::Debug for Observer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, position) = (self.info.full_name(), self.ring.position());
        f.debug_struct("Observer").field("stream", &stream).field("position", &position).finish_non_exhaustive()
    }
}
