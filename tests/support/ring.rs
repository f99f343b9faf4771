//! The rings that victims and those beside them use.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use annulus::{
    AtLimit, Builder, Consumer, Error, Frames, GroupConsumer, Kind, Observer, Open, ReadError, Start, Wait,
};
use std::path::Path;
use std::time::Duration;

/// Longest that anybody may have to wait: a wedge otherwise.
pub const LONG: Duration = Duration::from_secs(10);
pub const CAPACITY: u64 = 128;
pub const BATCH: u64 = 10;
/// Seats for observers.
pub const OBSERVERS: u32 = 4;

pub type Frame = [u64; 4];

/// A frame says what it is: a torn one, or another's, contradicts itself.
pub fn frame(lane: u32, position: u64) -> Frame {
    let mix = (position ^ u64::from(lane) << 56).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    [lane.into(), position, mix, !mix]
}

pub fn frames(lane: u32, first: u64, count: u64) -> Vec<Frame> {
    (first..first + count).map(|position| frame(lane, position)).collect()
}

pub fn check(found: &[Frame], lane: u32, first: u64) {
    for (one, position) in found.iter().zip(first..) {
        assert_eq!(*one, frame(lane, position), "torn, or another's, at {position}");
    }
}

/// The ring, and who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Spsc,
    Mpmc,
    Broadcast,
    /// With a recorder that the producer waits for.
    Kept,
    /// With one that it overtakes.
    Breached,
}

impl Form {
    pub const ALL: [Self; 5] = [Self::Spsc, Self::Mpmc, Self::Broadcast, Self::Kept, Self::Breached];

    pub fn create(self, place: &Path) -> Builder {
        let ring = annulus::create("s")
            .directory(place)
            .backend(super::backend())
            .capacity(CAPACITY)
            .rate(1000.0)
            .readers(OBSERVERS)
            .gate_timeout(LONG);
        match self {
            Self::Spsc => ring.kind(Kind::Spsc),
            Self::Mpmc => ring.kind(Kind::Mpmc).producers(2).consumers(2),
            Self::Broadcast => ring,
            Self::Kept => ring.lossless(1).at_limit(AtLimit::Full),
            Self::Breached => ring.lossless(1),
        }
    }

    /// Whether a producer is told `Full` by a reader that stands still.
    pub fn fills(self) -> bool {
        matches!(self, Self::Spsc | Self::Mpmc | Self::Kept)
    }

    /// The reader that the form is made for.
    pub fn reader(self, place: &Path) -> Result<Reader, Error> {
        Ok(match self {
            Self::Spsc => Reader::Consumer(open(place).consumer()?),
            Self::Mpmc => Reader::Member(open(place).group_consumer()?),
            Self::Broadcast => Reader::Observer(open(place).observer()?),
            Self::Kept | Self::Breached => Reader::Observer(open(place).lossless().observer()?),
        })
    }
}

pub fn open(place: &Path) -> Open {
    annulus::open("s").directory(place).start(Start::Oldest).gate_timeout(LONG)
}

pub enum Reader {
    Consumer(Consumer<Frame>),
    Member(GroupConsumer<Frame>),
    Observer(Observer<Frame>),
}

impl Reader {
    pub fn read(&mut self, out: &mut [Frame], wait: Wait) -> Result<Frames, ReadError> {
        match self {
            Self::Consumer(one) => one.read(out, wait),
            Self::Member(one) => one.read(out, wait),
            Self::Observer(one) => one.read(out, wait),
        }
    }

    pub fn try_read(&mut self, out: &mut [Frame]) -> Result<Frames, ReadError> {
        match self {
            Self::Consumer(one) => one.try_read(out),
            Self::Member(one) => one.try_read(out),
            Self::Observer(one) => one.try_read(out),
        }
    }
}

/// A producer that pushes so many frames, and dies.
#[allow(unsafe_code)]
pub fn crash(ring: Builder, count: u64) {
    // SAFETY: the child makes handles of its own, and ends without any code of its parent's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let pushed = ring.producer().map(|mut producer| {
            let done = producer.push(&frames(0, 0, count));
            std::mem::forget(producer);
            done
        });
        // SAFETY: ends the child.
        unsafe { libc::_exit(if matches!(pushed, Ok(Ok(()))) { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(status, 0);
}
