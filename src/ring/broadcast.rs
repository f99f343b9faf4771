//! Observers: any number of them, on any kind of ring. They take nothing and hold nobody up; who is too slow
//! is lapped, and told by how much.

use super::set::{Awaiting, Detached};
use super::{Frames, Peers, ReadError, Told};
use crate::lane;
use crate::segment::Lane;
use crate::wait::Wait;

/// An observing end.
#[derive(Debug)]
pub(crate) struct Observer {
    cursor: lane::Observer,
    told: Told,
    lost: u64,
}

impl Observer {
    pub(crate) fn new(cursor: lane::Observer) -> Self {
        Self { told: Told::new(cursor.lane()), cursor, lost: 0 }
    }

    pub(crate) fn cursor(&mut self) -> &mut lane::Observer {
        &mut self.cursor
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.told.epoch
    }

    /// Frames that this observer was lapped by, in all.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Copies up to `most` frames out, if there are any.
    #[inline]
    pub(crate) fn read(&mut self, out: &mut [u8], most: u64) -> Result<Frames, ReadError> {
        let observed = self.cursor.read(out, most)?;
        self.lost += observed.lost;
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
