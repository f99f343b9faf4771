//! A handle's hold on a segment, and how it leaves.

use super::found::{is_taken, take_name};
use super::gate;
use crate::descriptor::Kind;
use crate::error::Error;
use crate::layout::{GATE_BYTE, RETIRED, SEAT_BYTES};
use crate::ring::{Death, Peers, broadcast};
use crate::seat::{self, Role, Seat, has_ended};
use crate::segment::{SeatPlace, Segment};
use crate::shm::directory::Access;
use crate::shm::home::Home;
#[cfg(unix)]
use crate::shm::system;
use crate::shm::lock::{LockFile, Mode, fork_generation};
use crate::shm::store::Store;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::wait::SLICE;
use core::cell::Cell;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// How long the last one tries to clean up.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(200);

/// A handle's hold on a segment: its mapping, its open of the object, its seat. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Attachment {
    segment: Arc<Segment>,
    lock: Arc<LockFile>,
    store: Store,
    seat: Option<Seat>,
    /// What the seat's holder says of itself.
    entry: Option<SeatPlace>,
    home: Home,
    /// The process that it was made in.
    generation: u32,
    /// When we last looked for readers that died.
    buried: Cell<Option<Instant>>,
}

impl Attachment {
    pub(super) fn new(
        segment: Arc<Segment>,
        lock: LockFile,
        store: Store,
        seat: Option<Seat>,
        home: Home,
    ) -> Self {
        let entry = seat.map(|seat| seat.place(&segment));
        let generation = lock.generation();
        Self { segment, lock: Arc::new(lock), store, seat, entry, home, generation, buried: Cell::default() }
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn lock(&self) -> &LockFile {
        &self.lock
    }

    /// The lane whose producer's seat this is: they are numbered alike.
    pub(crate) fn producers_lane(&self) -> u32 {
        self.seat.map_or(0, |seat| seat.index)
    }

    /// Which of the seats for its role this is.
    pub(crate) fn place(&self, role: Role) -> u32 {
        self.seat.map_or(0, |seat| seat.index - seat::range(self.segment.descriptor(), role).start)
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Lets those use the memory who may use the object's file.
    pub(super) fn grant(&self, access: Access) -> Result<(), Error> {
        let failed = |error| Error::os("set the group or mode of", &self.home.path(), error);
        self.store.grant(access).map_err(failed)
    }

    /// A descriptor of the object for somebody else: not ours, whose locks would live on with it.
    #[cfg(unix)]
    pub(crate) fn share(&self) -> Result<system::Given, Error> {
        let shared = if self.lock.is_intact() {
            system::reopen(&self.lock, true)
        } else {
            Err(system::closed())
        };
        shared.map(system::Given::from).map_err(|error| Error::os("open again", &self.home.path(), error))
    }

    /// Which of the lossless readers this one is, if it is one.
    pub(crate) fn lossless(&self) -> Option<u32> {
        self.seat.and_then(|seat| seat::lossless(self.segment.descriptor(), seat.index))
    }

    /// Whether the seat is still ours, as far as its entry says.
    #[inline]
    pub(crate) fn is_seated(&self) -> bool {
        self.seat_of_ours().is_some()
    }

    /// Whether the stream's name still leads to it.
    pub(crate) fn is_named(&self) -> bool {
        let named = || Ok::<_, io::Error>(self.home.is_named(&self.lock)? && !self.store.is_marked_by_now()?);
        !self.forked() && self.lock.is_intact() && named().unwrap_or(true) // what cannot be looked at is not gone
    }

    /// Whether this handle came here through `fork`.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.generation != fork_generation()
    }

    /// What the holder of our seat says of itself, unless that is another by now.
    #[inline]
    fn seat_of_ours(&self) -> Option<&SeatPlace> {
        self.entry.as_ref().filter(|entry| entry.is_ours())
    }

    /// For one who waits in the place of this handle.
    pub(crate) fn witness(&self) -> Witness {
        Witness { segment: Arc::clone(&self.segment), lock: Arc::clone(&self.lock) }
    }

    /// Says in the attach table where this handle is, for listings.
    #[inline]
    pub(crate) fn post(&self, position: u64, lost: u64) {
        if let Some(entry) = self.seat_of_ours()
            && !self.forked()
        {
            entry.position.store(position, Relaxed);
            entry.lost.store(lost, Relaxed);
        }
    }

    /// A handle has come of it: from now on it dies in its seat, or leaves it.
    pub(crate) fn settle(&mut self) {
        if let Some(seat) = &mut self.seat {
            seat::settle(&self.segment, seat);
        }
    }

    fn leave(&self) -> io::Result<()> {
        let Some(seat) = self.seat else { return Ok(()) };
        if let Some(number) = self.lossless() {
            broadcast::leave(&self.segment.lane(0), number); // while the seat is ours
        }
        seat::leave(&self.segment, &seat);
        let done = self.clean_up();
        // Unlocked, not just closed: a child that was forked at an unlucky moment may have a copy of the descriptor.
        // The seat before the gate: the next one inside must not find us here, or nobody removes.
        let left = self.lock.unlock(SEAT_BYTES + u64::from(seat.index));
        self.lock.unlock(GATE_BYTE)?;
        done.and(left)
    }

    /// Removes the object if nobody else needs it.
    fn clean_up(&self) -> io::Result<()> {
        if !gate(&self.lock, Mode::Exclusive, Instant::now() + LEAVE_TIMEOUT)? {
            return Ok(()); // whoever is inside may be attaching: then it is not ours to remove
        }
        if !self.stays()? {
            let named = self.home.is_named(&self.lock)?;
            self.segment.state().state.store(RETIRED, SeqCst);
            if named {
                take_name(&self.home, &self.lock, &self.store).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Whether the object is to outlive this handle.
    fn stays(&self) -> io::Result<bool> {
        let of = self.segment.descriptor();
        // Readers of another user could not remove it when they leave last. So the owner of a finished stream does
        // not leave that to them: not to a consumer that has everything, nor to viewers, which read on to its end.
        let waited_for = match self.home.is_shared() && has_ended(&self.lock, &self.segment) {
            false => of.seats(),
            true if is_taken(&self.segment) => of.lanes,
            true => seat::range(of, Role::Lossless).end,
        };
        Ok(of.keep
            || !self.home.may_unlink(&self.lock)
            || seat::any_held(&self.lock, 0..waited_for)?
            || self.left_behind()?)
    }

    /// Whether a producer, consumer or lossless reader died here: then the ring stays, to be resumed or salvaged. Of a
    /// group it does not matter who died: nobody takes its place, and it left nothing but what the others take.
    fn left_behind(&self) -> io::Result<bool> {
        let of = self.segment.descriptor();
        let seats = if of.kind == Kind::Mpmc { Role::Producer } else { Role::Lossless };
        for seat in 0..seat::range(of, seats).end {
            if seat::died(&self.lock, &self.segment, seat)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Peers for Attachment {
    fn death(&self, lane: u32) -> Option<Death> {
        seat::death(&self.lock, &self.segment, lane)
    }

    fn holds(&self, lane: u32) -> bool {
        seat::any_held(&self.lock, lane..lane + 1).unwrap_or(true)
    }

    /// Asks once a slice at most: a reader that stands still is at the limit of each push.
    fn bury(&self) -> bool {
        if self.segment.descriptor().lossless == 0 {
            return false;
        }
        let now = Instant::now();
        if self.buried.get().is_some_and(|last| now.duration_since(last) < SLICE) {
            return false;
        }
        self.buried.set(Some(now));
        seat::bury(&self.lock, &self.segment).unwrap_or(false)
    }

    fn is_blind(&self) -> bool {
        !self.lock.is_intact()
    }
}

/// What tells whether the producer died, for one who is not the handle. Not to outlive the attachment: whoever has one
/// gives it up before that is dropped.
#[derive(Debug)]
pub(crate) struct Witness {
    segment: Arc<Segment>,
    lock: Arc<LockFile>,
}

impl Peers for Witness {
    fn death(&self, lane: u32) -> Option<Death> {
        seat::death(&self.lock, &self.segment, lane)
    }

    fn holds(&self, lane: u32) -> bool {
        seat::any_held(&self.lock, lane..lane + 1).unwrap_or(true)
    }

    fn is_blind(&self) -> bool {
        !self.lock.is_intact()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.forked() {
            return;
        }
        if self.seat.is_some() && !self.is_seated() {
            self.lock.give_up(); // closed under us; its number may be that of the one who has our seat
        } else if self.lock.is_intact() {
            // A system that refuses here leaves the object to the next one who comes by its name.
            let _ = self.leave();
        }
    }
}
