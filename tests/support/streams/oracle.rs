//! What a stream should be, in private memory: one object with its lanes, and the rules of who may move what.
//! Frames are not kept: each follows from its position.

use super::shape::{CONSUMERS, LOSSLESS, OBSERVERS, Shape};
use annulus::{AtLimit, Frames, Kind, ProducerState, PushError, ReadError, Restart};

/// No position.
pub const NONE: u64 = u64::MAX;

#[derive(Debug, Default)]
pub struct Lane {
    pub tail: u64,
    pub intent: u64,
    pub epoch: u64,
    epoch_start: u64,
    pub end: Option<u64>,
    pub head: u64,
    /// The head that a producer said it needs.
    needed: Option<u64>,
    /// It has a producer.
    pub held: bool,
}

/// What one producer knows by itself of its lossless readers.
#[derive(Debug, Default)]
pub struct Lease {
    reach: u64,
    overtaken: Vec<u64>,
}

#[derive(Debug)]
pub struct Object {
    pub shape: Shape,
    /// Which of the streams that had the name.
    pub number: u64,
    pub capacity: u64,
    pub lanes: Vec<Lane>,
    pub consumers: Vec<bool>,
    pub observers: Vec<bool>,
    pub recorders: Vec<bool>,
    /// Where lossless readers are.
    pub cursors: Vec<u64>,
    limit: u64,
    /// How often and by how many frames lossless readers were overtaken.
    pub breaches: (u64, u64),
    /// Its name was taken away, and by force.
    pub retired: bool,
    pub closed: bool,
}

impl Object {
    pub fn new(shape: &Shape, number: u64, capacity: u64) -> Self {
        let seats = |count: u32| vec![false; count as usize];
        let consumers = match shape.kind {
            Kind::Spsc => 1,
            Kind::Mpmc => CONSUMERS,
            _ => 0,
        };
        let lossless = if shape.lossless.is_some() { LOSSLESS } else { 0 };
        Self {
            shape: shape.clone(),
            number,
            capacity,
            lanes: (0..shape.lanes).map(|_| Lane::default()).collect(),
            consumers: seats(consumers),
            observers: seats(if shape.observable { OBSERVERS } else { 0 }),
            recorders: seats(lossless),
            cursors: vec![NONE; lossless as usize],
            limit: 0,
            breaches: (0, 0),
            retired: false,
            closed: false,
        }
    }

    fn gated(&self) -> bool {
        self.shape.kind != Kind::Broadcast
    }

    pub fn oldest(&self, lane: usize) -> u64 {
        self.lanes[lane].intent.saturating_sub(self.capacity)
    }

    /// The oldest position that a lossless reader can count on.
    pub fn oldest_kept(&self) -> u64 {
        self.limit.saturating_sub(self.capacity)
    }

    // Who comes and goes.

    pub fn take_over(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        assert!(!lane.held && lane.end.is_none());
        (lane.held, lane.epoch, lane.epoch_start) = (true, lane.epoch + 1, lane.tail);
    }

    /// Whether all producers that ever came have finished.
    pub fn has_ended(&self) -> bool {
        let mut came = self.lanes.iter().filter(|lane| lane.epoch > 0);
        self.lanes.iter().any(|lane| lane.end.is_some()) && came.all(|lane| lane.end.is_some())
    }

    pub fn is_taken(&self) -> bool {
        !self.gated() || self.lanes.iter().all(|lane| lane.head >= lane.tail)
    }

    /// What keeps the name, as the error that says so.
    pub fn holder(&self) -> Option<&'static str> {
        let producer = if self.lanes.len() > 1 { "NoFreeLane" } else { "WriterBusy" };
        let consumer = if self.shape.kind == Kind::Spsc { "ConsumerBusy" } else { "NoSeat" };
        let held = |seats: &[bool]| seats.contains(&true);
        match self {
            _ if self.has_ended() => None,
            _ if self.lanes.iter().any(|lane| lane.held) => Some(producer),
            _ if held(&self.consumers) => Some(consumer),
            _ if held(&self.recorders) => Some("LosslessBusy"),
            _ => None,
        }
    }

    pub fn is_deserted(&self) -> bool {
        let seats = [&self.consumers, &self.observers, &self.recorders];
        !self.lanes.iter().any(|lane| lane.held) && seats.iter().all(|seats| !seats.contains(&true))
    }

    /// The lane that the next producer gets, or why it gets none.
    pub fn free_lane(&self) -> Result<usize, &'static str> {
        let free = self.lanes.iter().position(|lane| !lane.held && lane.end.is_none());
        match free {
            _ if self.has_ended() => Err("Finished"),
            Some(lane) => Ok(lane),
            None if self.lanes.len() > 1 => Err("NoFreeLane"),
            None => Err("WriterBusy"),
        }
    }

    /// The name goes to another object, or to nobody.
    pub fn retire(&mut self, by_force: bool) {
        (self.retired, self.closed) = (true, by_force);
        self.lanes.iter_mut().for_each(|lane| lane.needed = None);
    }

    pub fn producer(&self, lane: usize) -> ProducerState {
        match &self.lanes[lane] {
            Lane { end: Some(position), .. } => ProducerState::Ended { position: *position },
            Lane { held: true, .. } => ProducerState::Live { pid: std::process::id() },
            Lane { epoch: 0, .. } => ProducerState::Never,
            _ => ProducerState::Left,
        }
    }

    // Pushing.

    fn slowest(&self) -> u64 {
        self.cursors.iter().copied().min().unwrap_or(NONE)
    }

    fn needs(&self, lane: usize, count: u64) -> u64 {
        let lane = &self.lanes[lane];
        let announced = if self.shape.lossless.is_some() { lane.intent } else { 0 };
        announced.max(lane.tail + count)
    }

    /// Whether `count` frames fit; makes room where that is how the stream was created.
    fn fits(&mut self, lane: usize, lease: &mut Lease, count: u64) -> bool {
        let (tail, needs) = (self.lanes[lane].tail, self.needs(lane, count));
        let Some(at_limit) = self.shape.lossless else {
            return !self.gated() || tail + count <= self.lanes[lane].head + self.capacity;
        };
        if tail + count <= lease.reach {
            return true;
        }
        let allowed = self.slowest().saturating_add(self.capacity);
        let ahead = tail + self.capacity / 8;
        if needs <= allowed {
            self.limit = needs.max(ahead).min(allowed);
            lease.reach = self.limit;
            return true;
        }
        if at_limit == AtLimit::Overwrite {
            self.overtake(needs.max(ahead), lease);
            return true;
        }
        false
    }

    fn overtake(&mut self, limit: u64, lease: &mut Lease) {
        (self.limit, lease.reach) = (limit, limit);
        lease.overtaken.resize(self.cursors.len(), NONE);
        let oldest = limit.saturating_sub(self.capacity);
        for (cursor, overtaken) in self.cursors.iter_mut().zip(&mut lease.overtaken) {
            if *cursor < oldest {
                self.breaches.0 += u64::from(cursor != overtaken);
                self.breaches.1 += oldest - *cursor;
                (*cursor, *overtaken) = (oldest, oldest);
            }
        }
    }

    /// What is said to one who wants to write `count` frames.
    pub fn space(&mut self, lane: usize, lease: &mut Lease, count: u64) -> Result<(), PushError> {
        if self.closed {
            return Err(PushError::Removed);
        }
        if self.fits(lane, lease, count) {
            return Ok(());
        }
        let needed = self.needs(lane, count).saturating_sub(self.capacity);
        if needed <= self.lanes[lane].tail {
            self.say_needed(lane, needed);
        }
        Err(if count > self.capacity { PushError::TooLong } else { PushError::Full })
    }

    fn say_needed(&mut self, lane: usize, head: u64) {
        let needed = &mut self.lanes[lane].needed;
        *needed = Some(needed.map_or(head, |other| other.min(head)));
    }

    fn stop_needing(&mut self, lane: usize, head: u64) {
        let needed = &mut self.lanes[lane].needed;
        *needed = needed.filter(|needed| *needed != head);
    }

    pub fn announce(&mut self, lane: usize, count: u64) {
        let lane = &mut self.lanes[lane];
        lane.intent = lane.intent.max(lane.tail + count);
    }

    pub fn publish(&mut self, lane: usize, count: u64) {
        self.announce(lane, count);
        self.lanes[lane].tail += count;
    }

    /// How many frames a push gets in that waits no time at all, and what it then says.
    pub fn push_wait(&mut self, lane: usize, lease: &mut Lease, count: u64) -> (u64, Result<(), PushError>) {
        let mut pushed = 0;
        while pushed < count {
            if self.closed {
                return (pushed, Err(PushError::Removed));
            }
            let part = (count - pushed).min(self.capacity / 2);
            if !self.fits(lane, lease, part) {
                let needed = self.needs(lane, part).saturating_sub(self.capacity);
                self.say_needed(lane, needed);
                self.stop_needing(lane, needed);
                return (pushed, Err(PushError::Timeout { pushed: pushed as usize }));
            }
            self.publish(lane, part);
            pushed += part;
        }
        (pushed, Ok(()))
    }

    pub fn drain(&mut self, lane: usize) -> Result<(), PushError> {
        if !self.gated() {
            return Ok(());
        }
        let tail = self.lanes[lane].tail;
        self.say_needed(lane, tail);
        self.stop_needing(lane, tail);
        match self.lanes[lane].head >= tail {
            _ if self.closed => Err(PushError::Removed),
            true => Ok(()),
            false => Err(PushError::Timeout { pushed: 0 }),
        }
    }

    pub fn finish(&mut self, lane: usize) {
        if !self.closed {
            self.lanes[lane].end = Some(self.lanes[lane].tail);
        }
    }

    // Reading.

    /// Why there is nothing to read at `position`.
    pub fn why_empty(&self, lane: usize, nothing: ReadError) -> ReadError {
        match self.lanes[lane].end {
            Some(position) => ReadError::Ended { position },
            None if self.retired => ReadError::Replaced,
            None => nothing,
        }
    }

    /// The same of a group, which looks at all lanes.
    pub fn why_none(&self, nothing: ReadError) -> ReadError {
        match self.retired {
            _ if self.has_ended() => {
                ReadError::Ended { position: self.lanes.iter().filter_map(|lane| lane.end).sum() }
            }
            true => ReadError::Replaced,
            false => nothing,
        }
    }

    /// What a reader is told of the producers that came since it was `told`.
    pub fn restart(&self, lane: usize, told: &mut u64) -> Option<Restart> {
        let lane = &self.lanes[lane];
        if self.closed || lane.epoch == *told {
            return None;
        }
        let first = *told == 0;
        *told = lane.epoch;
        (!first).then_some(Restart { epoch: lane.epoch, position: lane.epoch_start })
    }

    /// Holds a restart that was told with `read` against what is to be told. With a single frame that was there before the
    /// restart it need not be told yet.
    pub fn compare_restart(&self, lane: usize, told: &mut u64, read: Frames) {
        let plain = read.frames == 1 && *told > 0 && self.shape.frame.is_multiple_of(8);
        if plain && read.restarted.is_none() && read.first_position < self.lanes[lane].epoch_start {
            return;
        }
        assert_eq!(read.restarted, self.restart(lane, told));
    }

    /// Most frames that an exclusive reader keeps back.
    fn lazy_limit(&self) -> u64 {
        (self.capacity / 8).min(64)
    }

    /// An exclusive reader has taken `frames` up to `to`.
    pub fn take(&mut self, to: u64, frames: u64) {
        let lane = &self.lanes[0];
        if frames > 1 || to - lane.head >= self.lazy_limit() || lane.needed.is_some() {
            self.give_back(to);
        }
    }

    pub fn give_back(&mut self, to: u64) {
        let lane = &mut self.lanes[0];
        if lane.head != to {
            lane.head = to;
            lane.needed = lane.needed.filter(|needed| to < *needed);
        }
    }

    /// An observer at `at` reads: the first frame, how many, what was lost before.
    pub fn observe(&self, lane: usize, at: &mut u64, most: u64) -> (u64, u64, u64) {
        let from = *at;
        let (oldest, tail) = (self.oldest(lane), self.lanes[lane].tail);
        if from < oldest {
            *at = (oldest + self.capacity / 8).min(tail).max(from);
        }
        let first = *at;
        let frames = tail.saturating_sub(first).min(most);
        *at += frames;
        (first, frames, first - from)
    }

    /// A lossless reader does.
    pub fn record(&mut self, seat: usize, at: &mut u64, most: u64) -> (u64, u64, u64) {
        let from = *at;
        for _ in 0..2 {
            let first = *at;
            let frames = self.lanes[0].tail.saturating_sub(first).min(most).min(self.capacity);
            if frames == 0 {
                return (first, 0, first - from);
            }
            let (end, kept) = (first + frames, self.cursors[seat]);
            assert!(kept >= first, "a cursor went back");
            self.cursors[seat] = kept.max(end);
            *at = kept.max(end);
            if kept < end {
                return (kept, end - kept, kept - from);
            }
        }
        (*at, 0, *at - from)
    }

    /// It goes to a position: what it had lost where it stood, and how far it is off.
    pub fn sit(&mut self, seat: usize, at: &mut u64, position: u64) -> (u64, u64) {
        let held = self.cursors[seat];
        let lost = if held == NONE { 0 } else { held - *at };
        *at = position.max(self.oldest_kept());
        self.cursors[seat] = *at;
        (lost, *at - position)
    }
}
