//! The handle of one consumer of a group.

use super::builder::units;
use super::clock::Clock;
use super::gap::{Gap, Gaps};
use super::polled::{Polled, Polling};
use super::waitset::{Handle, Wrong};
use super::{Info, Units};
use crate::clock::Reader;
use crate::descriptor::Kind;
use crate::error::Error;
use crate::lifecycle::{Attachment, wrong_consumer};
use crate::ring::mpmc;
use crate::ring::set::Waiter;
use crate::ring::{Frames, ReadError};
use crate::seat::Role;
use crate::sync::Ordering::Relaxed;
use crate::wait::{Fences, Wait};
use bytemuck::Pod;
use core::fmt;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Takes frames out of a work queue, together with others: each frame goes to exactly one of them.
///
/// A read gives frames of one [lane](Frames::lane), in the order in which its producer pushed them; there is no order
/// between lanes. Consumers come and go at any time. What one had taken when it was killed is gone with it: at most the
/// frames of one read.
///
/// ```
/// use annulus::{Kind, ReadError, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-group-{}", std::process::id());
/// let queue = || annulus::create(&name).kind(Kind::Mpmc).producers(4).capacity(1024);
/// // In each of up to 4 producing processes:
/// let mut producer = queue().producer::<[f32; 16]>()?;
/// producer.push(&[[0.5; 16]; 3])?;
/// // In each of the consuming ones:
/// let mut consumer = queue().group_consumer::<[f32; 16]>()?;
/// let mut batch = [[0.0; 16]; 2];
/// let taken = consumer.read(&mut batch, Wait::new())?;
/// assert_eq!((taken.lane, taken.first_position, taken.frames), (0, 0, 2));
/// # assert_eq!(consumer.try_read(&mut batch)?.frames, 1);
/// # producer.finish();
/// # assert_eq!(consumer.try_read(&mut batch), Err(ReadError::Ended { position: 3 }));
/// # Ok(()) }
/// ```
pub struct GroupConsumer<T> {
    ring: mpmc::Consumer,
    units: Units<T>,
    info: Info,
    /// Frames that it took, in all.
    taken: u64,
    /// Of each lane, and which one was taken from last.
    gaps: Vec<Gaps>,
    last: u32,
    polling: Option<Polling>,
    attachment: Attachment, // last: the watch of an event loop goes before it
}

impl<T: Pod> GroupConsumer<T> {
    pub(super) fn new(mut attachment: Attachment) -> Result<Self, Error> {
        let units = units(&attachment)?;
        let info = Info::of(&attachment);
        if info.kind != Kind::Mpmc {
            return Err(wrong_consumer(info.kind, &info.full_name()));
        }
        let segment = Arc::clone(attachment.segment());
        let lanes = (0..info.lanes).map(|lane| segment.lane(lane));
        let ring = mpmc::Consumer::new(lanes, attachment.place(Role::Consumer) as usize, Fences::register());
        attachment.settle();
        let gaps = (0..info.lanes)
            .map(|lane| {
                let head = segment.lane(lane).head().load(Relaxed);
                Gaps::at(&segment.lane_block(lane).ledger, head)
            })
            .collect();
        Ok(Self { ring, units, info, taken: 0, gaps, last: 0, polling: None, attachment })
    }

    /// Takes what is there in one lane, up to the length of `out`, which is a whole number of frames.
    ///
    /// # Errors
    /// [`ReadError::Empty`] if there is nothing; [`ReadError::Ended`] once all producers that ever came have finished and
    /// everything was taken (its position is the sum of theirs; another producer may still come, and take a lane that
    /// nobody had); [`ReadError::Replaced`], [`ReadError::NotWholeFrames`], [`ReadError::Forked`],
    /// [`ReadError::Corrupt`].
    #[inline]
    pub fn try_read(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        match self.read_now(out, most) {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.read_now(out, most)),
            taken => taken,
        }
    }

    /// As [`try_read`](Self::try_read), after waiting for at least one frame.
    ///
    /// # Errors
    /// [`ReadError::Timeout`]; [`ReadError::ProducerGone`] within a wait slice (100 ms) of a producer's death, once for
    /// each, if there is nothing else to do; [`ReadError::TooLong`] if `wait` is for more than one frame: others may take
    /// them. Else as [`try_read`](Self::try_read).
    pub fn read(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let taken = self.ring.await_take(bytemuck::cast_slice_mut(out), most, wait, &self.attachment);
        match self.post(taken) {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.read_now(out, most)),
            taken => taken,
        }
    }

    /// As [`read`](Self::read), without blocking: for tasks, under any runtime. A thread of the library's waits in their
    /// place, the one of [`Polled`]. How the time is spent ([`Wait::strategy`]) does not matter here.
    ///
    /// Cancel-safe: a future that is dropped before it is ready has taken nothing, and is forgotten.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ReadError::NoThread`].
    #[cfg(feature = "async")]
    pub async fn read_async(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        super::task::read(self, most, wait, |handle, wait| handle.read(out, wait)).await
    }

    /// Has an event loop told when there is a frame, whichever consumer takes it, or anything else that ends a
    /// [`read`](Self::read). The descriptor is [`Polled`]'s.
    ///
    /// # Errors
    /// [`Error::Os`] if there is no descriptor to be had, or no thread.
    pub fn polled(self) -> Result<Polled<Self>, Error> {
        Polling::start(self, 1)
    }

    /// How positions and times belong together in a lane, as its producer last said; see [`Clock`]. `None` before its first
    /// push, of a queue without a rate for some seconds, and if there is no such lane. Never waits for it.
    pub fn clock(&self, lane: u32) -> Option<Clock> {
        let there = lane < self.info.lanes;
        there.then(|| Clock::of(&Reader::default(), &self.attachment.segment().lane_block(lane).clock, &self.info))?
    }

    /// What the source of the lane did not deliver before and among the frames that were taken last, in order; see [`Gap`].
    /// A call that comes back with an error leaves them as they are.
    pub fn gaps(&self) -> &[Gap] {
        self.gaps[self.last as usize].found()
    }

    /// Frames that nobody has taken, in all lanes.
    pub fn available(&self) -> u64 {
        self.ring.available()
    }

    /// Frames that this consumer took, in all.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the stream's name still leads to it. A name can be taken away from under those who are attached: by force,
    /// or by one who cleans up and knows nothing of them (systemd's `RemoveIPC=`). They go on, and nobody else finds them:
    /// ask now and then, and open the name again. Asks the system.
    pub fn is_named(&self) -> bool {
        self.attachment.is_named()
    }

    /// A descriptor of the queue's object, to give to another process: over a Unix socket, or to a child. It opens the
    /// queue with [`open_fd`](crate::open_fd). Where that is the only way, the object lives while anybody has one.
    ///
    /// # Errors
    /// What the system refuses: too many open files, for instance.
    #[cfg(unix)]
    pub fn share(&self) -> Result<OwnedFd, Error> {
        self.attachment.share()
    }

    /// What the queue is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    #[inline]
    fn read_now(&mut self, out: &mut [T], most: u64) -> Result<Frames, ReadError> {
        let taken = self.ring.take(bytemuck::cast_slice_mut(out), most, &self.attachment);
        self.post(taken)
    }

    #[inline]
    fn post(&mut self, taken: Result<Frames, ReadError>) -> Result<Frames, ReadError> {
        let frames = taken?;
        self.taken += frames.frames as u64;
        self.attachment.post(self.taken, 0);
        let ledger = &self.attachment.segment().lane_block(frames.lane).ledger;
        self.last = frames.lane;
        Ok(self.gaps[frames.lane as usize].from(ledger, frames.first_position, frames))
    }

    #[inline]
    fn whole(&self, out: &[T]) -> Result<u64, ReadError> {
        if self.attachment.forked() {
            return Err(ReadError::Forked);
        }
        match self.units.frames(out.len()) {
            None | Some(0) => Err(ReadError::NotWholeFrames),
            Some(frames) => Ok(frames as u64),
        }
    }
}

impl<T: Pod> Handle for GroupConsumer<T> {
    fn prepare(&mut self, frames: u64) -> Result<(), ReadError> {
        if frames > 1 { Err(ReadError::TooLong) } else { Ok(()) }
    }

    fn show(&mut self, _: u64, to: &mut dyn FnMut(&mut dyn Waiter)) {
        match self.attachment.forked() {
            true => to(&mut Wrong),
            false => to(&mut self.ring.awaiting(&self.attachment)),
        }
    }

    fn detached(&self, _: u64) -> Box<dyn Waiter + Send> {
        let segment = self.attachment.segment();
        let lanes = (0..self.info.lanes).map(|lane| segment.lane(lane));
        Box::new(self.ring.detached(lanes, self.attachment.witness()))
    }

    fn notices(&mut self) -> bool {
        self.ring.notices(&self.attachment)
    }

    fn place(&self) -> u64 {
        self.taken
    }

    fn polling(&mut self) -> &mut Option<Polling> {
        &mut self.polling
    }

    fn stream(&self) -> &Info {
        &self.info
    }
}

impl<T> fmt::Debug for GroupConsumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, taken) = (self.info.full_name(), self.taken);
        f.debug_struct("GroupConsumer").field("stream", &stream).field("taken", &taken).finish_non_exhaustive()
    }
}
