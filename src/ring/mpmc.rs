//! Work queues: each frame goes to one of a group of consumers. A producer has a lane of its own, so that no process
//! ever holds what another needs; a consumer looks at all lanes, copies a batch out of one, and claims it by CAS.
//!
//! A consumer that finds nothing arms every lane and sleeps on the group's futex, where a producer wakes *one*: the
//! next frame is one consumer's work. So a wake is handed on: whoever was woken, and has taken what it takes, arms for the
//! next frame, and wakes another if frames are left. Nothing sleeps beside a frame, unless the one that was woken is
//! killed or stopped with the wake in its hands: then the others find the frame at the end of their slice.

use super::{Frames, Peers, ReadError, Told, group_event, space_event};
use crate::lane::{self, Group, readable};
use crate::layout::RETIRED;
use crate::segment::Lane;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::{Site, fence_at, holds, order};
use crate::wait::{self, Fences, Wait};
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
        self.lanes().map(unclaimed).sum()
    }

    /// Takes up to `most` frames of one lane, if there are any.
    pub(crate) fn take(&mut self, out: &mut [u8], most: u64) -> Result<Frames, ReadError> {
        self.take_any(out, most)?.ok_or_else(|| match look(&self.lanes) {
            Some(Err(stop)) => stop,
            _ => ReadError::Empty,
        })
    }

    fn take_any(&mut self, out: &mut [u8], most: u64) -> Result<Option<Frames>, ReadError> {
        if self.in_a_row == IN_A_ROW {
            self.next_lane();
        }
        for _ in 0..self.lanes.len() {
            let from = &mut self.lanes[self.at];
            if let Some((first_position, frames)) = from.take(out, most)? {
                self.in_a_row += 1;
                if holds(Site::SpaceNotify) {
                    space_event(from.lane()).notify(first_position + frames, self.fences);
                }
                let restarted = self.told[self.at].restarted(from.lane());
                let (lane, frames) = (from.lane().index(), frames as usize);
                return Ok(Some(Frames { lane, first_position, frames, lost_before: 0, restarted }));
            }
            self.next_lane();
        }
        Ok(None)
    }

    fn next_lane(&mut self) {
        self.at = (self.at + 1) % self.lanes.len();
        self.in_a_row = 0;
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
        let taken = loop {
            match self.take_any(out, most) {
                Ok(Some(frames)) => break Ok(frames),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            let Self { lanes, told, .. } = self;
            let arm = || {
                armed.set(true);
                arm(lanes);
            };
            let look = || look(lanes);
            let each_slice = || deaths(lanes, told, peers);
            // Others may be faster than we: then there is nothing, and we wait again.
            match wait::wait(
                lanes[0].lane().group_event(),
                arm,
                None,
                wait.strategy,
                deadline,
                look,
                each_slice,
            ) {
                Some(Ok(())) => {}
                Some(Err(stop)) => break Err(stop),
                None => break self.take_any(out, most).and_then(|taken| taken.ok_or(ReadError::Timeout)),
            }
        };
        // With a wake or without, with a frame or without: what was armed for us may have been somebody else's wake.
        if armed.get() {
            wait::pass_on(self.lanes[0].lane().group_event(), || arm(&self.lanes), || self.available() > 0);
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
fn arm(lanes: &[Group]) {
    let all = if holds(Site::GroupArmsAll) { lanes.len() } else { 1 };
    for lane in lanes[..all].iter().map(Group::lane) {
        group_event(lane).arm(readable(lane) + 1);
    }
}

/// What a member finds now. `None`: keep waiting. `Ok(())`: frames, unless somebody else takes them.
fn look(lanes: &[Group]) -> Option<Result<(), ReadError>> {
    let any = || lanes.iter().any(|one| unclaimed(one.lane()) > 0);
    if any() {
        return Some(Ok(()));
    }
    let stop = verdict(lanes)?;
    // After any verdict, once more: else the last frames, published before it, would be lost.
    Some(if holds(Site::VerdictReload) && any() { Ok(()) } else { Err(stop) })
}

/// Why no frames will come: the queue lost its name, or some producers came, and all that came have finished.
fn verdict(lanes: &[Group]) -> Option<ReadError> {
    let lanes = || lanes.iter().map(Group::lane);
    let mut ended = None;
    for lane in lanes() {
        match lane::end(lane) {
            Some(end) => ended = Some(ended.unwrap_or(0) + end),
            None if lane::epoch(lane) == 0 => {}
            None => {
                ended = None;
                break;
            }
        }
    }
    if let Some(position) = ended {
        return Some(ReadError::Ended { position });
    }
    if lanes().any(|lane| lane.state().load(Relaxed) == RETIRED) {
        fence_at(Site::TailAcquire, Acquire); // E
        return Some(ReadError::Replaced);
    }
    None
}

/// Whether a producer died that nobody was told of: its last frames first.
fn deaths(lanes: &[Group], told: &mut [Told], peers: &impl Peers) -> Option<Result<(), ReadError>> {
    let mut news = lanes
        .iter()
        .zip(told)
        .filter_map(|(one, told)| Some((one.lane(), told.news_of_death(one.lane(), peers)?, told)));
    let (lane, death, told) = news.next()?;
    if lanes.iter().any(|one| unclaimed(one.lane()) > 0) {
        return Some(Ok(()));
    }
    told.death_of = Some(death.epoch);
    Some(Err(ReadError::ProducerGone { pid: death.pid, position: readable(lane) }))
}
