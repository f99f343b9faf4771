//! Observers: any number of them, on any kind of ring. They take nothing and hold nobody up; who is too slow
//! is lapped, and told by how much. One in a lossless seat is waited for, or told what it was not waited for; each read
//! gives back what it read, and is followed by a notification of space.

use super::set::{Awaiting, Detached};
use super::{Frames, Peers, ReadError, Told, space_event};
use crate::lane::{self, Observed};
use crate::segment::Lane;
use crate::sync::{Site, holds};
use crate::wait::{Fences, Wait};

/// The reader in a lossless seat leaves it: nobody waits for it any more. It still holds the seat.
pub(crate) fn leave(lane: &Lane, seat: u32) {
    if let Some(line) = lane.gating().get(seat as usize) {
        lane::free(line);
        if holds(Site::SpaceNotify) {
            space_event(lane).kick();
        }
    }
}

/// Where an observing end is.
#[derive(Debug)]
enum Cursor {
    Own(lane::Observer),
    Seated(lane::Lossless, Fences),
}

impl Cursor {
    fn lane(&self) -> &Lane {
        match self {
            Self::Own(cursor) => cursor.lane(),
            Self::Seated(cursor, _) => cursor.lane(),
        }
    }

    fn position(&self) -> u64 {
        match self {
            Self::Own(cursor) => cursor.position(),
            Self::Seated(cursor, _) => cursor.position(),
        }
    }

    /// Wakes a producer that waits for what this reader has given back.
    #[inline]
    fn notify(&self) {
        if let Self::Seated(cursor, fences) = self
            && holds(Site::SpaceNotify)
        {
            space_event(cursor.lane()).notify(cursor.position(), *fences);
        }
    }
}

/// An observing end.
#[derive(Debug)]
pub(crate) struct Observer {
    cursor: Cursor,
    told: Told,
    lost: u64,
    /// Frames right before the cursor that were gone when it came there: the next read says so.
    skipped: u64,
}

impl Observer {
    pub(crate) fn new(cursor: lane::Observer) -> Self {
        Self { told: Told::new(cursor.lane()), cursor: Cursor::Own(cursor), lost: 0, skipped: 0 }
    }

    /// One that holds a lossless seat, and missed `skipped` frames when it sat down.
    pub(crate) fn lossless(cursor: lane::Lossless, skipped: u64, fences: Fences) -> Self {
        let told = Told::new(cursor.lane());
        let seated = Self { told, cursor: Cursor::Seated(cursor, fences), lost: 0, skipped };
        seated.cursor.notify(); // the one who died there before may have been waited for
        seated
    }

    /// Moves. How many frames right before it were gone already.
    pub(crate) fn seek(&mut self, position: u64) -> u64 {
        self.skipped = 0;
        match &mut self.cursor {
            Cursor::Own(cursor) => {
                cursor.seek(position);
                0 // the next read finds out
            }
            Cursor::Seated(cursor, _) => {
                let moved = cursor.seek(position);
                self.lost = self.lost.saturating_add(moved.lost);
                self.cursor.notify();
                moved.skipped
            }
        }
    }

    /// Frames right before the cursor that the next read is to count as lost.
    pub(crate) fn missed(&mut self, frames: u64) {
        self.skipped = frames;
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// Where the next read counts from: what it missed lies there, too.
    pub(crate) fn counts_from(&self) -> u64 {
        self.position() - self.skipped
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.told.epoch
    }

    /// Frames that this observer was lapped by, in all.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether frames can be read plainly, after a look at the producer's line if it must be: there are some, their producer
    /// is the same, and `told` that there is nothing else to be said.
    #[inline(always)]
    pub(crate) fn looks_plain(&mut self, told: impl FnOnce(&Lane) -> bool) -> bool {
        let Cursor::Own(cursor) = &mut self.cursor else { return false };
        if cursor.wants_to_look() {
            let left = self.told.left_in_row(cursor.position());
            if !(left > 0 && cursor.look() && self.told.is_of_same(cursor.lane()) && told(cursor.lane())) {
                return false;
            }
            cursor.plan(true, left);
        }
        true
    }

    /// Reads one frame if that is no more than a copy: what `out` is as long as. Its position.
    #[inline(always)]
    pub(crate) fn read_plain(&mut self, out: &mut [u8]) -> Option<u64> {
        let Cursor::Own(cursor) = &mut self.cursor else { return None };
        cursor.read_plain(out)
    }

    /// Copies up to `most` frames out, if there are any.
    #[inline]
    pub(crate) fn read(&mut self, out: &mut [u8], most: u64) -> Result<Frames, ReadError> {
        let observed = match &mut self.cursor {
            Cursor::Own(cursor) => cursor.read(out, most)?,
            Cursor::Seated(cursor, _) => {
                let from = cursor.position();
                let read = cursor.read(out, most);
                // Also of what it was overtaken by; but who gave nothing back sweeps no arm away, which others look for.
                if cursor.position() != from {
                    self.cursor.notify();
                }
                let read = read?;
                Observed { lost: read.lost.saturating_add(core::mem::take(&mut self.skipped)), ..read }
            }
        };
        self.lost = self.lost.saturating_add(observed.lost);
        self.told.begin_row(self.cursor.position());
        if observed.frames == 0 {
            return Err(match observed.lost {
                0 => self.told.why_empty(self.cursor.lane(), self.cursor.position()),
                lost => ReadError::Lapped { lost },
            });
        }
        Ok(Frames {
            lane: self.cursor.lane().index(),
            first_position: observed.first,
            frames: observed.frames as usize,
            lost_before: observed.lost,
            restarted: self.told.restarted(self.cursor.lane()),
            gaps: 0,
        })
    }

    /// As [`read`](Self::read), after waiting.
    pub(crate) fn await_read(
        &mut self,
        out: &mut [u8],
        most: u64,
        wait: Wait,
        peers: &impl Peers,
    ) -> Result<Frames, ReadError> {
        if wait.frames > most {
            return Err(ReadError::TooLong);
        }
        self.told.await_frames(self.cursor.lane(), self.cursor.position(), wait, peers)?;
        self.read(out, most)
    }

    /// Waits for `frames`, as one of many.
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
}
