//! What each actor of the soak did, in memory that outlives it: written before and after each operation, read by its
//! successor, and by the supervisor when it is dead.

use crate::LONG;
use crate::support::map_shared;
use annulus::{AtLimit, Kind};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Of the work queue; the other streams have one.
pub(crate) const LANES: usize = 3;
/// Most frames that an actor moves at a time.
pub(crate) const BATCH: u64 = 64;
/// Frames that a ring holds: a batch of a producer that was not stopped laps no slow observer yet, a few do.
const CAPACITY: u64 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Spsc,
    Queue,
    /// Its recorders are waited for.
    Full,
    /// Its recorders are overtaken, and told.
    Over,
}

impl Stream {
    pub(crate) const ALL: [Self; 4] = [Self::Spsc, Self::Queue, Self::Full, Self::Over];

    pub(crate) fn name(self) -> &'static str {
        ["spsc", "queue", "full", "over"][self as usize]
    }

    pub(crate) fn lanes(self) -> usize {
        if self == Self::Queue { LANES } else { 1 }
    }

    pub(crate) fn create(self, place: &Path) -> annulus::Builder {
        let builder =
            annulus::create(self.name()).directory(place).capacity(CAPACITY).keep(true).gate_timeout(LONG);
        match self {
            Self::Spsc => builder.kind(Kind::Spsc),
            Self::Queue => builder.kind(Kind::Mpmc).producers(LANES as u32),
            Self::Full => builder.lossless(2).at_limit(AtLimit::Full),
            Self::Over => builder.lossless(2).at_limit(AtLimit::Overwrite),
        }
    }

    pub(crate) fn open(self, place: &Path) -> annulus::Open {
        annulus::open(self.name()).directory(place).gate_timeout(LONG)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Producer,
    Consumer,
    Member,
    Recorder,
    Observer,
}

pub(crate) const ROLES: [(Stream, Part); 19] = [
    (Stream::Spsc, Part::Producer),
    (Stream::Spsc, Part::Consumer),
    (Stream::Spsc, Part::Observer),
    (Stream::Queue, Part::Producer),
    (Stream::Queue, Part::Producer),
    (Stream::Queue, Part::Producer),
    (Stream::Queue, Part::Member),
    (Stream::Queue, Part::Member),
    (Stream::Queue, Part::Member),
    (Stream::Queue, Part::Observer),
    (Stream::Full, Part::Producer),
    (Stream::Full, Part::Recorder),
    (Stream::Full, Part::Recorder),
    (Stream::Full, Part::Observer),
    (Stream::Over, Part::Producer),
    (Stream::Over, Part::Recorder),
    (Stream::Over, Part::Recorder),
    (Stream::Over, Part::Observer),
    (Stream::Over, Part::Observer),
];

#[repr(C)]
pub(crate) struct Board {
    pub(crate) accounts: [Account; ROLES.len()],
    pub(crate) lanes: [[LaneAccount; LANES]; Stream::ALL.len()],
}

impl Board {
    pub(crate) fn map(place: &Path) -> &'static Self {
        // SAFETY: made of atomics only, which may be zero.
        #[allow(unsafe_code)]
        unsafe {
            map_shared(&place.join("board"))
        }
    }
}

/// What a lane's producers know of it; one at a time writes here.
#[repr(C)]
pub(crate) struct LaneAccount {
    /// Up to here pushes have returned.
    pub(crate) floor: AtomicU64,
    /// Up to here a push was begun.
    pub(crate) ceiling: AtomicU64,
    /// Its position when its last producer was dead, or had left.
    pub(crate) tail: AtomicU64,
}

/// What one actor did, and those before it in its part.
#[repr(C, align(128))]
pub(crate) struct Account {
    /// It is attached, and at work.
    pub(crate) live: AtomicU64,
    /// It is asked to leave.
    pub(crate) leave: AtomicU64,
    /// Operations that were begun and ended.
    pub(crate) turns: AtomicU64,
    /// Frames that were moved.
    pub(crate) items: AtomicU64,
    /// Frames that the operation in progress may take.
    pub(crate) most: AtomicU64,
    /// The entry of the log that it would make.
    pub(crate) entry: AtomicU64,
    /// Position up to which it has accounted for everything.
    pub(crate) next: AtomicU64,
    /// Frames that somebody who was killed had taken and not accounted for.
    pub(crate) lost: AtomicU64,
    /// Frames that somebody may have lost so, by the guarantee.
    pub(crate) allowed: AtomicU64,
    /// Frames that a successor saw again.
    pub(crate) again: AtomicU64,
    /// Frames that it was told that it had lost.
    pub(crate) told: AtomicU64,
    /// The lane of a producer.
    pub(crate) lane: AtomicU64,
    pub(crate) log: Log,
}

/// Adds to a word that one process at a time writes.
pub(crate) fn add(word: &AtomicU64, count: u64) {
    word.store(word.load(Relaxed) + count, Relaxed);
}

/// What a member of the group took, for the supervisor to draw up against the others'.
#[repr(C)]
pub(crate) struct Log {
    pub(crate) written: AtomicU64,
    read: AtomicU64,
    runs: [[AtomicU64; 3]; Log::ROOM as usize],
}

impl Log {
    const ROOM: u64 = 8192;

    pub(crate) fn has_room(&self) -> bool {
        self.written.load(Relaxed) - self.read.load(Acquire) < Self::ROOM
    }

    pub(crate) fn write(&self, run: [u64; 3]) {
        let written = self.written.load(Relaxed);
        for (word, value) in self.runs[(written % Self::ROOM) as usize].iter().zip(run) {
            word.store(value, Relaxed);
        }
        self.written.store(written + 1, Release);
    }

    pub(crate) fn drain(&self, mut each: impl FnMut([u64; 3])) {
        for entry in self.read.load(Relaxed)..self.written.load(Acquire) {
            each(self.runs[(entry % Self::ROOM) as usize].each_ref().map(|word| word.load(Relaxed)));
            self.read.store(entry + 1, Release);
        }
    }
}
