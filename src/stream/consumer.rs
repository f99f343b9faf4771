//! The consuming handle.

use super::builder::units;
use super::clock::Clock;
use super::gap::{Gap, Gaps};
use super::polled::{Polled, Polling};
use super::waitset::{Handle, Wrong};
use super::{Info, ProducerState, Units};
use crate::clock::Reader;
use crate::descriptor::Kind;
use crate::error::Error;
use crate::lane::Exclusive;
use crate::lifecycle::{Attachment, wrong_consumer};
use crate::ring::spsc;
use crate::ring::set::Waiter;
use crate::ring::{Frames, ReadError};
use crate::wait::{Fences, Wait};
use bytemuck::Pod;
use core::fmt;
#[cfg(unix)]
use std::os::fd::OwnedFd;

/// Takes frames out of an spsc ring, in order, each once. There is one, also between processes.
///
/// A successor of a consumer that died starts where that one's last giving back was: it may see up to 64
/// frames again; their positions say so.
pub struct Consumer<T> {
    ring: spsc::Consumer,
    units: Units<T>,
    info: Info,
    clock: Reader,
    gaps: Gaps,
    polling: Option<Polling>,
    attachment: Attachment, // last: the watch of an event loop goes before it
}

impl<T: Pod> Consumer<T> {
    pub(super) fn new(mut attachment: Attachment) -> Result<Self, Error> {
        let units = units(&attachment)?;
        let info = Info::of(&attachment);
        if info.kind != Kind::Spsc {
            return Err(wrong_consumer(info.kind, &info.full_name()));
        }
        let cursor = Exclusive::attach(attachment.segment().lane(0)).map_err(|_| Error::Corrupt {
            path: info.path.clone(),
            why: "its positions contradict each other".into(),
        })?;
        attachment.settle();
        let ring = spsc::Consumer::new(cursor, Fences::register());
        let gaps = Gaps::at(&attachment.segment().lane_block(0).ledger, ring.cursor().position());
        let consumer = Self { ring, units, info, clock: Reader::default(), gaps, polling: None, attachment };
        consumer.post();
        Ok(consumer)
    }

    /// Takes what is there, up to the length of `out`, which is a whole number of frames.
    ///
    /// # Errors
    /// [`ReadError::Empty`] if there is nothing; [`ReadError::Ended`], [`ReadError::Replaced`] if there will
    /// not be; [`ReadError::ProducerGone`] if a [`WaitSet`](super::WaitSet) or the thread
    /// behind [`Polled`] noticed that;
    /// [`ReadError::NotWholeFrames`], [`ReadError::Forked`], [`ReadError::Superseded`], [`ReadError::Corrupt`].
    #[inline(always)]
    pub fn try_read(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        if self.units.are_one_frame(out.len())
            && self.seated().is_ok()
            && self.ring.looks_plain(|lane| self.gaps.all_told(lane.ledger()))
            && let Some(first_position) = self.ring.take_plain(bytemuck::cast_slice_mut(out))
        {
            return Ok(Frames::one(0, first_position));
        }
        self.read_slowly(out)
    }

    /// With all that there is to be looked at now and then, and said.
    #[inline(never)]
    fn read_slowly(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let found = self.poll(most);
        if found.is_err() {
            self.post();
        }
        Ok(self.take_into(out, found?))
    }

    /// As [`try_read`](Self::try_read), after waiting for as much as `wait` says.
    ///
    /// # Errors
    /// [`ReadError::Timeout`]; [`ReadError::ProducerGone`] within a wait slice (100 ms) of its death, once;
    /// [`ReadError::TooLong`] if more is waited for than fits; else as [`try_read`](Self::try_read).
    pub fn read(&mut self, out: &mut [T], wait: Wait) -> Result<Frames, ReadError> {
        let most = self.whole(out)?;
        let frames = self.await_frames(most, wait)?;
        Ok(self.take_into(out, frames))
    }

    /// Lends what is there in place, up to `max_frames`, without a copy.
    ///
    /// # Errors
    /// As [`try_read`](Self::try_read).
    pub fn try_chunk(&mut self, max_frames: usize) -> Result<Chunk<'_, T>, ReadError> {
        let most = self.limit(max_frames)?;
        let frames = self.poll(most)?;
        Ok(Chunk { consumer: self, frames })
    }

    /// As [`try_chunk`](Self::try_chunk), after waiting for as much as `wait` says.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn chunk(&mut self, max_frames: usize, wait: Wait) -> Result<Chunk<'_, T>, ReadError> {
        let most = self.limit(max_frames)?;
        let frames = self.await_frames(most, wait)?;
        Ok(Chunk { consumer: self, frames })
    }

    /// Gives back to the producer, now, what was taken frame by frame. Reads of several frames do it at once,
    /// single ones every few.
    pub fn release(&mut self) {
        if self.seated().is_ok() {
            self.ring.give_back();
        }
    }

    /// Position of the next frame.
    pub fn position(&self) -> u64 {
        self.ring.cursor().position()
    }

    /// Frames that can be taken now.
    pub fn available(&mut self) -> u64 {
        self.ring.available().unwrap_or(0)
    }

    /// How positions and times belong together, as the producer last said; see [`Clock`]. `None` before its first push, and
    /// of a ring without a rate for some seconds. Never waits for it.
    pub fn clock(&self) -> Option<Clock> {
        Clock::of(&self.clock, &self.attachment.segment().lane_block(0).clock, &self.info)
    }

    /// What the source did not deliver before and among the frames that were read last, in order; see [`Gap`]. A call
    /// that comes back with an error leaves them as they are.
    pub fn gaps(&self) -> &[Gap] {
        self.gaps.found()
    }

    /// How many producers the stream had when this consumer last read.
    pub fn epoch(&self) -> u64 {
        self.ring.epoch()
    }

    /// What has become of the producer.
    pub fn producer(&self) -> ProducerState {
        ProducerState::of(self.attachment.lock(), self.attachment.segment(), 0)
    }

    /// Whether the stream's name still leads to it. A name can be taken away from under those who are attached: by force,
    /// or by one who cleans up and knows nothing of them (systemd's `RemoveIPC=`). They go on, and nobody else finds them:
    /// ask now and then, and open the name again. Asks the system.
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

    /// How many frames there are, at most `most`, at least one.
    #[inline]
    fn poll(&mut self, most: u64) -> Result<u64, ReadError> {
        match self.ring.poll(most) {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.ring.poll(most)),
            found => found,
        }
    }

    fn await_frames(&mut self, most: u64, wait: Wait) -> Result<u64, ReadError> {
        match self.ring.await_frames(most, wait, &self.attachment) {
            Err(why) if self.polling.is_some() => Polling::again(self, why, |it| it.ring.poll(most)),
            found => found,
        }
    }

    #[inline]
    fn take_into(&mut self, out: &mut [T], frames: u64) -> Frames {
        let length = self.units.length(frames as usize);
        let taken = self.ring.take_into(bytemuck::cast_slice_mut(&mut out[..length]), frames);
        self.told(taken)
    }

    /// What else there is to say of what was taken. Whatever lies among the frames that are known of by now is known of, too
    /// (`ledger.rs`, E): if that is nothing, they can be taken plainly.
    #[inline]
    fn told(&mut self, taken: Frames) -> Frames {
        self.post();
        let ledger = self.ring.cursor().lane().ledger();
        let taken = self.gaps.with(ledger, taken);
        let plain = self.gaps.all_told(ledger);
        self.ring.plan(plain);
        taken
    }

    #[inline]
    fn post(&self) {
        self.attachment.post(self.ring.cursor().position(), 0);
    }

    #[inline]
    fn whole(&self, out: &[T]) -> Result<u64, ReadError> {
        let frames = self.units.frames(out.len()).ok_or(ReadError::NotWholeFrames)?;
        self.limit(frames)
    }

    #[inline]
    fn limit(&self, frames: usize) -> Result<u64, ReadError> {
        self.seated()?;
        if frames == 0 { Err(ReadError::NotWholeFrames) } else { Ok(frames as u64) }
    }
}

impl<T: Pod> Handle for Consumer<T> {
    fn prepare(&mut self, frames: u64) -> Result<(), ReadError> {
        self.release();
        if frames > self.info.capacity { Err(ReadError::TooLong) } else { Ok(()) }
    }

    fn show(&mut self, frames: u64, to: &mut dyn FnMut(&mut dyn Waiter)) {
        if self.seated().is_err() || self.ring.available().is_err() {
            return to(&mut Wrong);
        }
        to(&mut self.ring.awaiting(frames, &self.attachment));
    }

    fn detached(&self, frames: u64) -> Box<dyn Waiter + Send> {
        let lane = self.attachment.segment().lane(0);
        Box::new(self.ring.detached(lane, frames, self.attachment.witness()))
    }

    fn notices(&mut self) -> bool {
        self.ring.notices(&self.attachment)
    }

    fn place(&self) -> u64 {
        self.ring.cursor().position()
    }

    fn polling(&mut self) -> &mut Option<Polling> {
        &mut self.polling
    }

    fn stream(&self) -> &Info {
        &self.info
    }
}

impl<T> Consumer<T> {
    /// Whether the consuming end is still this handle's: else another one's `head` would be moved.
    #[inline]
    fn seated(&self) -> Result<(), ReadError> {
        if self.attachment.forked() {
            return Err(ReadError::Forked);
        }
        if self.attachment.is_seated() { Ok(()) } else { Err(ReadError::Superseded) }
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        if self.seated().is_ok() {
            self.ring.give_back();
        }
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stream, position) = (self.info.full_name(), self.ring.cursor().position());
        f.debug_struct("Consumer").field("stream", &stream).field("position", &position).finish_non_exhaustive()
    }
}

/// Frames lent in place. [`commit`](Self::commit) takes them; dropped, it takes nothing, and they come again.
#[must_use = "a chunk that is dropped takes nothing"]
pub struct Chunk<'a, T> {
    consumer: &'a mut Consumer<T>,
    frames: u64,
}

impl<T: Pod> Chunk<'_, T> {
    /// The frames. The second slice is empty where the ring is [contiguous](Info::contiguous), or where the
    /// chunk does not wrap.
    pub fn slices(&self) -> (&[T], &[T]) {
        let (first, rest) = self.consumer.ring.cursor().lend(self.frames);
        (bytemuck::cast_slice(first), bytemuck::cast_slice(rest))
    }

    /// How many frames.
    pub fn frames(&self) -> usize {
        self.frames as usize
    }

    /// Position of the first one.
    pub fn first_position(&self) -> u64 {
        self.consumer.position()
    }

    /// Takes the first `frames` of them, all if there are fewer, and gives their space back. Which
    /// [gaps](Consumer::gaps) lie before and among these is told then.
    ///
    /// In a child made by `fork`, or when another has become the consumer, nothing can be taken: 0 frames.
    pub fn commit(self, frames: usize) -> Frames {
        if self.consumer.seated().is_err() {
            let first_position = self.consumer.position();
            return Frames { lane: 0, first_position, frames: 0, lost_before: 0, restarted: None, gaps: 0 };
        }
        let frames = self.frames.min(frames as u64);
        let taken = self.consumer.ring.take(frames);
        self.consumer.release();
        self.consumer.told(taken)
    }

    /// Takes all of them.
    pub fn commit_all(self) -> Frames {
        let frames = self.frames();
        self.commit(frames)
    }
}

impl<T> fmt::Debug for Chunk<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("frames", &self.frames).finish_non_exhaustive()
    }
}
