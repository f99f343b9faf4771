//! The observing handle.

use super::builder::units;
use super::{Info, ProducerState, Start, Units};
use crate::error::Error;
use crate::lane;
use crate::lifecycle::Attachment;
use crate::ring::broadcast;
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
    attachment: Attachment,
}

impl<T: Pod> Observer<T> {
    pub(super) fn new(mut attachment: Attachment, start: Start) -> Result<Self, Error> {
        let units = units(&attachment)?;
        let info = Info::of(&attachment);
        attachment.settle();
        let lane = attachment.segment().lane(0);
        let lossless = attachment.lossless();
        let position = place(&lane, start, lossless.is_some());
        let ring = match lossless {
            None => broadcast::Observer::new(lane::Observer::attach(lane, position)),
            Some(seat) => {
                let (cursor, skipped) = lane::Lossless::attach(lane, seat, position);
                broadcast::Observer::lossless(cursor, counted(start, skipped), Fences::register())
            }
        };
        let observer = Self { ring, lossless: lossless.is_some(), units, info, attachment };
        observer.post();
        Ok(observer)
    }

    /// Reads what is new, up to the length of `out`, which is a whole number of frames.
    ///
    /// # Errors
    /// [`ReadError::Empty`] if there is nothing; [`ReadError::Ended`], [`ReadError::Replaced`] if there will
    /// not be; [`ReadError::Lapped`] if the producer was twice faster than the copy. That the producer died is
    /// said by [`read`](Self::read) only; one who polls asks [`producer`](Self::producer).
    /// Else [`ReadError::NotWholeFrames`], [`ReadError::Forked`], [`ReadError::Superseded`], [`ReadError::Corrupt`].
    #[inline]
    pub fn try_read(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let frames = self.ring.read(bytemuck::cast_slice_mut(out), most);
        self.post();
        frames
    }

    /// As [`try_read`](Self::try_read), after waiting for as much as `wait` says.
    ///
    /// # Errors
    /// [`ReadError::Timeout`]; [`ReadError::ProducerGone`] within a wait slice (100 ms) of its death, once;
    /// [`ReadError::TooLong`] if more is waited for than fits; else as [`try_read`](Self::try_read).
    pub fn read(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let frames = self.ring.await_read(bytemuck::cast_slice_mut(out), most, wait, &self.attachment);
        self.post();
        frames
    }

    /// Moves: to what comes next, to the oldest that is retained, or to a position. What lies between is not
    /// counted as lost. A lossless reader gives back what lies before, and gets what lies behind only as far as that is
    /// kept.
    pub fn seek(&mut self, start: Start) {
        if self.attachment.forked() || (self.lossless && !self.attachment.is_seated()) {
            return; // the next read says so
        }
        let position = place(&self.attachment.segment().lane(0), start, self.lossless);
        let skipped = self.ring.seek(position);
        self.ring.missed(counted(start, skipped));
        self.post();
    }

    /// Position of the next frame.
    pub fn position(&self) -> u64 {
        self.ring.position()
    }

    /// Frames that are published and not yet read; some may be lapped already.
    pub fn available(&self) -> u64 {
        lane::readable(&self.attachment.segment().lane(0)).saturating_sub(self.ring.position())
    }

    /// Frames that this observer was lapped by, in all.
    pub fn lost(&self) -> u64 {
        self.ring.lost()
    }

    /// How many producers the stream had when this observer last read.
    pub fn epoch(&self) -> u64 {
        self.ring.epoch()
    }

    /// What has become of the producer.
    pub fn producer(&self) -> ProducerState {
        ProducerState::of(self.attachment.lock(), self.attachment.segment())
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

/// The position that `start` means now.
fn place(lane: &Lane, start: Start, lossless: bool) -> u64 {
    let tail = lane::readable(lane);
    match start {
        Start::Now => tail,
        // Not what is older: its cursor would be in its producer's way, if only for a moment.
        Start::Oldest if lossless => lane::oldest_kept(lane).min(tail),
        Start::Oldest => lane.geometry().oldest(lane.producer().intent.load(Relaxed)).min(tail),
        Start::Position(position) => position,
    }
}

/// Which of the frames that were gone when a lossless reader came to where it starts it wanted to have.
fn counted(start: Start, skipped: u64) -> u64 {
    if start == Start::Oldest { 0 } else { skipped }
}

impl<T> fmt::Debug for Observer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, position) = (self.info.full_name(), self.ring.position());
        f.debug_struct("Observer").field("stream", &stream).field("position", &position).finish_non_exhaustive()
    }
}
