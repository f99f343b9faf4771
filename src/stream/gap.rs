//! What a stream says of the frames that it does not have.

use crate::layout::{Ledger, NONE};
use crate::ledger::{self, AMOUNT, CAUSE, Found, Keeper, MONOTONIC, POSITION, Reader, UTC, Words};
use crate::ring::Frames;
use crate::time::{monotonic_ns, system_time, utc_ns};
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// A place where frames that a source had, or should have had, are not in the stream; or where its time has a break.
///
/// Positions count the frames that were pushed, and a gap takes none: what comes behind it has the next position. Which
/// sample of the device a frame is, is its position and what was [missing](Self::missing_in_all) before it together.
///
/// Readers learn of a gap with the frames behind it, as [`gaps`](super::Observer::gaps); of one that no frame follows,
/// from the [status](super::LaneStatus::gaps). The newest 64 of a lane are kept; of older ones how many they were, and how
/// many frames they missed, is told to those who were reading then, or start with the stream's first frame. What a reader
/// was too slow for is no gap of the stream: each [read](Frames::lost_before) says that to the one whom it befell.
///
/// ```
/// use annulus::{Cause, Sequence, SequenceCheck, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-gap-{}", std::process::id());
/// let mut producer = annulus::create(&name).rate(1000.0).producer::<i32>()?;
/// let mut viewer = annulus::open(&name).observer::<i32>()?;
///
/// let mut check = SequenceCheck::new(8);
/// for (count, packet) in [(254, [1, 2]), (255, [3, 4]), (3, [5, 6])] {
///     match check.next(count) {
///         Sequence::Next => {}
///         Sequence::Missing(packets) => producer.gap(packets * 2)?, // of two frames each
///         Sequence::Back(_) => producer.clock_reset()?,
///     }
///     producer.push(&packet)?;
/// }
///
/// let mut block = [0; 100];
/// let read = viewer.read(&mut block, Wait::new())?;
/// assert_eq!((read.frames, read.gaps), (6, 1));
/// for gap in viewer.gaps() {
///     let before = (gap.position - read.first_position) as usize; // of those that were read
///     println!("after {:?}: {:?} frames, {:?}", &block[..before], gap.missing, gap.cause);
///     assert_eq!((before, gap.missing, gap.cause), (4, Some(6), Cause::Device));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Position of the first frame behind it.
    pub position: u64,
    /// Why.
    pub cause: Cause,
    /// Frames that are missing here; `None` if nobody knows.
    pub missing: Option<u64>,
    /// Frames that are missing in the lane from its beginning up to here, as far as they were counted.
    pub missing_in_all: u64,
    /// When it was noticed, in nanoseconds of the monotonic clock, as [`monotonic_ns`]. 0 of what was
    /// [forgotten](Cause::Forgotten).
    pub monotonic_ns: u64,
    /// The same in nanoseconds of UTC since 1970.
    pub utc_ns: i64,
}

/// Why there is a [`Gap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The source lost frames, and its producer [said so](super::Producer::gap).
    Device,
    /// Another producer carries on, and nobody knows what came in between.
    Restart {
        /// From when the one before was last seen until then.
        after: Duration,
    },
    /// The source's time began anew, as its producer [said](super::Producer::clock_reset).
    DeviceReset,
    /// UTC was set while the stream ran: nothing is missing, and the monotonic clock went on. Or the machine slept, where the
    /// monotonic clock stands still meanwhile (Linux): what the device did then is for its producer to say.
    UtcStep {
        /// By how much it was set on, in nanoseconds; less than 0: back.
        ns: i64,
    },
    /// Older gaps, before [`position`](Gap::position), which the ledger has no place for any more.
    Forgotten {
        /// How many.
        gaps: u64,
    },
}

impl Gap {
    /// When it was noticed, as the standard library has it.
    pub fn utc(&self) -> SystemTime {
        system_time(self.utc_ns).unwrap_or(UNIX_EPOCH)
    }

    /// Whatever the words are, it is a gap.
    fn decode(entry: &Words) -> Self {
        let amount = entry[AMOUNT];
        let (cause, missing) = match entry[CAUSE] {
            ledger::DEVICE => (Cause::Device, Some(amount)),
            ledger::RESTART => (Cause::Restart { after: Duration::from_nanos(amount) }, None),
            ledger::UTC_STEP => (Cause::UtcStep { ns: amount.cast_signed() }, Some(0)),
            _ => (Cause::DeviceReset, None),
        };
        Self {
            position: entry[POSITION],
            cause,
            missing,
            missing_in_all: ledger::missing_after(entry),
            monotonic_ns: entry[MONOTONIC],
            utc_ns: entry[UTC].cast_signed(),
        }
    }

    fn of(found: Found) -> Self {
        match found {
            Found::Entry(entry) => Self::decode(&entry),
            Found::Forgotten { entries, missing, in_all, position } => Self {
                position,
                cause: Cause::Forgotten { gaps: entries },
                missing: Some(missing),
                missing_in_all: in_all,
                monotonic_ns: 0,
                utc_ns: 0,
            },
        }
    }
}

/// What a reader was told with its last frames.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    reader: Reader,
    /// Up to where gaps were told.
    position: u64,
    found: Vec<Gap>,
}

impl Gaps {
    /// Of one who starts to read at `position`.
    pub(super) fn at(ledger: &Ledger, position: u64) -> Self {
        let mut gaps = Self::default();
        gaps.seek(ledger, position);
        gaps
    }

    pub(super) fn seek(&mut self, ledger: &Ledger, position: u64) {
        self.reader.seek(ledger, position);
        self.position = position;
        self.found.clear();
    }

    /// Finds those that lie among `frames`, or among what was lost before them.
    #[inline]
    pub(super) fn with(&mut self, ledger: &Ledger, frames: Frames) -> Frames {
        let from = self.position;
        self.from(ledger, from, frames)
    }

    /// Finds those that lie behind `from`, up to the end of `frames`.
    #[inline]
    pub(super) fn from(&mut self, ledger: &Ledger, from: u64, frames: Frames) -> Frames {
        self.found.clear();
        let to = frames.first_position + frames.frames as u64;
        self.reader.read(ledger, from..to, |one| self.found.push(Gap::of(one)));
        self.position = to;
        Frames { gaps: self.found.len(), ..frames }
    }

    /// Whether there is nothing to be said with the next frames, as far as anybody has said so far; nor is there of the last.
    #[inline]
    pub(super) fn all_told(&self, ledger: &Ledger) -> bool {
        self.found.is_empty() && self.reader.is_at_end(ledger)
    }

    pub(super) fn found(&self) -> &[Gap] {
        &self.found
    }
}

/// All that a ledger has, and how many frames are missing in all.
pub(super) fn all(ledger: &Ledger) -> (Vec<Gap>, u64) {
    let mut gaps = Gaps::default();
    gaps.reader.read(ledger, 0..NONE, |one| gaps.found.push(Gap::of(one)));
    let missing = gaps.found.last().map_or(0, |last| last.missing_in_all);
    (gaps.found, missing)
}

/// Keeps the ledger of a lane for its producer.
#[derive(Debug)]
pub(super) struct Bookkeeper {
    keeper: Keeper,
    missing: u64,
}

impl Bookkeeper {
    pub(super) fn take_over(ledger: &Ledger) -> Self {
        let keeper = Keeper::take_over(ledger);
        let missing = keeper.newest(ledger).map_or(0, |newest| ledger::missing_after(&newest));
        Self { keeper, missing }
    }

    /// Writes down what lies before the frame at `position`, the next one to be pushed.
    pub(super) fn add(&mut self, ledger: &Ledger, position: u64, cause: u64, amount: u64) {
        let utc = utc_ns(SystemTime::now()).cast_unsigned();
        let entry = [position, self.missing, cause, amount, monotonic_ns(), utc];
        self.keeper.add(ledger, &entry);
        self.missing = ledger::missing_after(&entry);
    }
}
