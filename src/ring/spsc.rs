//! One consumer: takes frames out in order, each once. It gives space back lazily where it takes single
//! frames, and at once when it takes more, finds the ring empty, sees its producer wait, or is dropped; every
//! giving back is followed by a notification of space.

use super::set::{Awaiting, Detached};
use super::{Frames, IN_A_ROW, Peers, ReadError, Told, space_event};
use crate::lane::Exclusive;
use crate::layout::NONE;
use crate::segment::Lane;
use crate::sync::Ordering::Relaxed;
use crate::sync::{Site, holds};
use crate::wait::{Fences, Wait};

/// The consuming end.
#[derive(Debug)]
pub(crate) struct Consumer {
    cursor: Exclusive,
    told: Told,
    fences: Fences,
}

impl Consumer {
    pub(crate) fn new(cursor: Exclusive, fences: Fences) -> Self {
        Self { told: Told::new(cursor.lane()), cursor, fences }
    }

    pub(crate) fn cursor(&self) -> &Exclusive {
        &self.cursor
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.told.epoch
    }

    /// Frames that can be taken now.
    pub(crate) fn available(&mut self) -> Result<u64, ReadError> {
        Ok(self.cursor.available(u64::MAX)?)
    }

    /// Frames that can be taken now, at most `most`, at least one.
    #[inline]
    pub(crate) fn poll(&mut self, most: u64) -> Result<u64, ReadError> {
        let frames = self.cursor.available(most)?.min(most);
        if frames > 0 {
            return Ok(frames);
        }
        self.give_back();
        match self.told.why_empty(self.cursor.lane(), self.cursor.position()) {
            // Published between the two looks.
            ReadError::Empty if self.cursor.available(1)? > 0 => self.poll(most),
            why => Err(why),
        }
    }

    /// Lets single frames be taken plainly from now on; or, while there is more to say with them, not.
    #[inline]
    pub(crate) fn plan(&mut self, plain: bool) {
        self.cursor.plan(plain, IN_A_ROW);
    }

    /// Whether frames can be taken plainly, after a look at the producer's line if it must be: there are some, and their
    /// producer is the same.
    #[inline(always)]
    pub(crate) fn looks_plain(&mut self, told: impl FnOnce(&Lane) -> bool) -> bool {
        if self.cursor.wants_to_look() {
            let left = self.told.left_in_row(self.cursor.position());
            let found = left > 0
                && self.cursor.look()
                && self.told.is_of_same(self.cursor.lane())
                && told(self.cursor.lane());
            if !found {
                return false;
            }
            self.cursor.plan(true, left);
        }
        true
    }

    /// Takes one frame if that is no more than a copy: what `out` is as long as. Its position.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, out: &mut [u8]) -> Option<u64> {
        if self.producer_waits() {
            return None;
        }
        let position = self.cursor.take_plain(out)?;
        if self.cursor.keeps_too_many() {
            self.give_back();
        }
        Some(position)
    }

    /// As [`poll`](Self::poll), after waiting.
    pub(crate) fn await_frames(
        &mut self,
        most: u64,
        wait: Wait,
        peers: &impl Peers,
    ) -> Result<u64, ReadError> {
        if wait.frames > most {
            return Err(ReadError::TooLong);
        }
        if self.cursor.available(wait.frames)? < wait.frames.max(1) {
            self.give_back(); // before any way of sleeping
            self.told.await_frames(self.cursor.lane(), self.cursor.position(), wait, peers)?;
        }
        self.poll(most)
    }

    /// Waits for `frames`, as one of many. Before any sleep it must [give back](Self::give_back).
    pub(crate) fn awaiting<'a>(&'a mut self, frames: u64, peers: &'a dyn Peers) -> Awaiting<'a> {
        let (lane, position) = (self.cursor.lane(), self.cursor.position());
        Awaiting { lane, told: &mut self.told, position, frames, peers }
    }

    /// The same, for one who waits in its place.
    pub(crate) fn detached<P: Peers>(&self, lane: Lane, frames: u64, peers: P) -> Detached<P> {
        Detached { lane, told: self.told, position: self.cursor.position(), frames, peers }
    }

    /// Whether the producer died, of which nothing was said yet. The next read says it.
    pub(crate) fn notices(&mut self, peers: &dyn Peers) -> bool {
        self.told.notice(self.cursor.lane(), peers)
    }

    /// Copies out and takes as many frames as `out` holds; [`poll`](Self::poll) said that they are there.
    #[inline]
    pub(crate) fn take_into(&mut self, out: &mut [u8], frames: u64) -> Frames {
        self.cursor.copy(out);
        self.take(frames)
    }

    /// Takes frames that were polled.
    #[inline]
    pub(crate) fn take(&mut self, frames: u64) -> Frames {
        let first_position = self.cursor.position();
        self.cursor.take(frames);
        self.told.begin_row(self.cursor.position());
        if frames > 1 || self.cursor.keeps_too_many() || self.producer_waits() {
            self.give_back();
        }
        let restarted = self.told.restarted(self.cursor.lane());
        Frames { lane: 0, first_position, frames: frames as usize, lost_before: 0, restarted, gaps: 0 }
    }

    #[inline]
    fn producer_waits(&self) -> bool {
        self.cursor.lane().space().armed.load(Relaxed) != NONE
    }

    /// Gives back what was taken, and wakes a producer that this satisfies.
    #[inline(never)]
    pub(crate) fn give_back(&mut self) {
        if self.cursor.give_back() && holds(Site::SpaceNotify) {
            space_event(self.cursor.lane()).notify(self.cursor.position(), self.fences);
        }
    }
}
