//! Work queues: each frame goes to one of a group of consumers. A producer has a lane of its own, so that no process
//! ever holds what another needs; a consumer looks at all lanes, copies a batch out of one, and claims it by CAS.
//!
//! A consumer that finds nothing arms every lane and sleeps on the group's futex, where a producer wakes *one*: the
//! next frame is one consumer's work. So a wake is handed on: whoever was woken, and has taken what it takes, arms for the
//! next frame, and wakes another if frames are left. Nothing sleeps beside a frame, unless the one that was woken is
//! killed or stopped with the wake in its hands: then the others find the frame at the end of their slice.

use super::set::Waiter;
use super::{Frames, Peers, ReadError, Told, data_event, group_event, space_event, target};
use crate::lane::{self, Group, readable};
use crate::layout::RETIRED;
use crate::segment::Lane;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::{Site, fence_at, holds, order};
use crate::wait::{self, Fences, OnOne, Wait, Words};
use core::cell::Cell;

/// Batches that a consumer takes from one lane before it looks at the next.
const IN_A_ROW: u32 = 4;

/// A member of the consuming group.
#[derive(Debug)]
pub(crate) struct Consumer {
    lanes: Vec<Group>,
    told: Vec<Told>,
    /// The lane to look at first, and the batches taken from it in a row.
    at: usize,
    in_a_row: u32,
    fences: Fences,
}

impl Consumer {
    /// Looks at lane `first` first: so that not all begin with the same one.
    pub(crate) fn new(lanes: impl IntoIterator<Item = Lane>, first: usize, fences: Fences) -> Self {
        let lanes: Vec<Group> = lanes.into_iter().map(Group::attach).collect();
        let told = lanes.iter().map(|one| Told::new(one.lane())).collect();
        Self { at: first % lanes.len(), told, lanes, in_a_row: 0, fences }
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().map(Group::lane)
    }

    /// Frames that nobody has taken, in all lanes.
    pub(crate) fn available(&self) -> u64 {
        self.lanes().map(unclaimed).fold(0, u64::saturating_add)
    }

    /// Takes up to `most` frames of one lane, if there are any.
    pub(crate) fn take(
        &mut self,
        out: &mut [u8],
        most: u64,
        peers: &impl Peers,
    ) -> Result<Frames, ReadError> {
        if let Some(taken) = self.take_any(out, most)? {
            return Ok(taken);
        }
        let stop = say(&self.lanes, &mut self.told).or_else(|| look(&self.lanes, peers));
        Err(stop.and_then(Result::err).unwrap_or(ReadError::Empty))
    }

    fn take_any(&mut self, out: &mut [u8], most: u64) -> Result<Option<Frames>, ReadError> {
        if self.in_a_row == IN_A_ROW {
            self.next_lane();
        }
        for _ in 0..self.lanes.len() {
            let from = &mut self.lanes[self.at];
            let taken = from.take(out, most);
            if let Ok(Some((first_position, frames))) = taken {
                self.in_a_row += 1;
                if holds(Site::SpaceNotify) {
                    space_event(from.lane()).notify(first_position + frames, self.fences);
                }
                let restarted = self.told[self.at].restarted(from.lane());
                let (lane, frames) = (from.lane().index(), frames as usize);
                return Ok(Some(Frames { lane, first_position, frames, lost_before: 0, restarted, gaps: 0 }));
            }
            self.next_lane(); // also from one that somebody has written over: the others are none the worse
            taken?;
        }
        Ok(None)
    }

    fn next_lane(&mut self) {
        self.at = (self.at + 1) % self.lanes.len();
        self.in_a_row = 0;
    }

    /// Whether a producer died, of which nothing was said yet. The next read says it.
    pub(crate) fn notices(&mut self, peers: &dyn Peers) -> bool {
        notice(&self.lanes, &mut self.told, peers)
    }

    /// Waits for a frame, on `lanes`, for one who waits in its place.
    pub(crate) fn detached<P: Peers>(&self, lanes: impl IntoIterator<Item = Lane>, peers: P) -> Detached<P> {
        Detached { lanes: lanes.into_iter().map(Group::attach).collect(), told: self.told.clone(), peers }
    }

    /// Waits for a frame, as one of many.
    pub(crate) fn awaiting<'a>(&'a mut self, peers: &'a dyn Peers) -> Awaiting<'a> {
        Awaiting { lanes: &self.lanes, told: &mut self.told, peers }
    }

    /// As [`take`](Self::take), after waiting for one frame.
    pub(crate) fn await_take(
        &mut self,
        out: &mut [u8],
        most: u64,
        wait: Wait,
        peers: &impl Peers,
    ) -> Result<Frames, ReadError> {
        if wait.frames > 1 {
            return Err(ReadError::TooLong);
        }
        let deadline = wait.deadline();
        let armed = Cell::new(false);
        let mut waited = false;
        let taken = loop {
            match self.take_any(out, most) {
                Ok(Some(frames)) => break Ok(frames),
                Ok(None) if waited && wait::is_over(deadline) => break Err(ReadError::Timeout),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            let Self { lanes, told, .. } = self;
            let mut waiting = OnOne {
                seq: lanes[0].lane().group_event(),
                arm: || {
                    armed.set(true);
                    arm(lanes)
                },
                pause: None,
                expected: None,
                look: || look(lanes, peers),
                each_slice: || {
                    let noticed = notice(lanes, told, peers);
                    if noticed { say(lanes, told) } else { None }
                },
            };
            // Others may be faster than we: then there is nothing, and we wait again.
            match wait::wait(&mut waiting, wait.strategy, deadline) {
                Some(Ok(())) => waited = true,
                Some(Err(stop)) => break Err(stop),
                None => break self.take_any(out, most).and_then(|taken| taken.ok_or(ReadError::Timeout)),
            }
        };
        // With a wake or without, with a frame or without: what was armed for us may have been somebody else's wake.
        if armed.get() {
            wait::pass_on(self.lanes[0].lane().group_event(), || arm(&self.lanes), || any(&self.lanes));
        }
        taken
    }
}

/// Frames of a lane that nobody has taken.
fn unclaimed(lane: &Lane) -> u64 {
    let head = lane.head().load(order(Site::GroupHead, Acquire)); // G: else `tail` may seem smaller
    readable(lane).saturating_sub(head)
}

/// Says that a member waits for the next frame, of whatever lane.
///
/// Gives the group's sequence from before: the oldest, since that of each further lane may hide what came at one before.
fn arm(lanes: &[Group]) -> u32 {
    let all = if holds(Site::GroupArmsAll) { lanes.len() } else { 1 };
    let arm = |one: &Group| group_event(one.lane()).arm(Some(target(readable(one.lane()), 1)));
    lanes[..all].iter().map(arm).fold(None, |oldest, next| oldest.or(Some(next))).unwrap_or_default()
}

/// Whether there are frames that nobody has taken.
fn any(lanes: &[Group]) -> bool {
    lanes.iter().any(|one| unclaimed(one.lane()) > 0)
}

/// What a member finds now. `None`: keep waiting. `Ok(())`: frames, unless somebody else takes them.
fn look(lanes: &[Group], peers: &dyn Peers) -> Option<Result<(), ReadError>> {
    if any(lanes) {
        return Some(Ok(()));
    }
    let stop = verdict(lanes, peers)?;
    // After any verdict, once more: else the last frames, published before it, would be lost.
    Some(if holds(Site::VerdictReload) && any(lanes) { Ok(()) } else { Err(stop) })
}

/// Why no frames will come: some producers came, and all that came have finished; or the queue lost its name.
fn verdict(lanes: &[Group], peers: &dyn Peers) -> Option<ReadError> {
    let lanes = lanes.iter().map(Group::lane);
    if let Some(position) = lane::ended(lanes.clone(), |lane| peers.holds(lane)) {
        return Some(ReadError::Ended { position });
    }
    if lanes.into_iter().any(|lane| lane.state().load(Relaxed) == RETIRED) {
        fence_at(Site::TailAcquire, Acquire); // E
        return Some(ReadError::Replaced);
    }
    None
}

/// Looks whether producers died, of which nothing was said yet.
fn notice(lanes: &[Group], told: &mut [Told], peers: &dyn Peers) -> bool {
    let mut news = false;
    // Who finished left nothing behind, however it ended.
    for (one, told) in lanes.iter().zip(told).filter(|(one, _)| lane::end(one.lane()).is_none()) {
        news |= told.notice(one.lane(), peers);
    }
    news
}

/// Says that a producer died, once, if that was noticed; `Ok`: last frames first, of whatever lane.
fn say(lanes: &[Group], told: &mut [Told]) -> Option<Result<(), ReadError>> {
    let (one, told) = lanes.iter().zip(told).find(|(_, told)| told.noticed.is_some())?;
    if any(lanes) {
        return Some(Ok(()));
    }
    told.say(one.lane(), readable(one.lane()))
}

/// A member's wait for the next frame, as one of many things. It is woken with all who wait so, not one at a time.
#[derive(Debug)]
pub(crate) struct Awaiting<'a> {
    lanes: &'a [Group],
    told: &'a mut [Told],
    peers: &'a dyn Peers,
}

impl Waiter for Awaiting<'_> {
    fn look(&mut self) -> bool {
        self.told.iter().any(|told| told.noticed.is_some()) || look(self.lanes, self.peers).is_some()
    }

    fn each_slice(&mut self) -> bool {
        notice(self.lanes, self.told, self.peers) || self.look()
    }

    fn has_some(&self) -> bool {
        any(self.lanes)
    }

    fn arm(&mut self, words: &mut Words) {
        for lane in self.lanes.iter().map(Group::lane) {
            words.arm(data_event(lane), target(readable(lane), 1), None, lane.due(1));
        }
    }
}

/// A member's wait as it is now, apart from the member.
#[derive(Debug)]
pub(crate) struct Detached<P> {
    lanes: Vec<Group>,
    told: Vec<Told>,
    peers: P,
}

impl<P: Peers> Detached<P> {
    fn awaiting(&mut self) -> Awaiting<'_> {
        Awaiting { lanes: &self.lanes, told: &mut self.told, peers: &self.peers }
    }
}

impl<P: Peers> Waiter for Detached<P> {
    fn look(&mut self) -> bool {
        self.awaiting().look()
    }

    fn each_slice(&mut self) -> bool {
        self.awaiting().each_slice()
    }

    fn has_some(&self) -> bool {
        any(&self.lanes)
    }

    fn arm(&mut self, words: &mut Words) {
        self.awaiting().arm(words);
    }
}
