//! What a push or a read comes back with: small values, copied, never allocated.

use crate::index::Corrupt;
use crate::lane::ReadFault;
use core::fmt;

/// Why frames could not be pushed. Nothing was, except where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError {
    /// The ring is full: the consumer, or a [lossless](crate::Open::lossless) reader, has not taken enough yet.
    Full,
    /// The time was up before there was space for all of it.
    Timeout {
        /// Frames that were pushed before.
        pushed: usize,
    },
    /// The slice is no whole number of frames.
    NotWholeFrames,
    /// More than the ring, or one reservation, can ever hold.
    TooLong,
    /// Another producer has taken over: this handle's lock on the stream was closed under it.
    Superseded,
    /// The stream was removed by force: create it anew.
    Removed,
    /// The handle was inherited through `fork`: make a new one.
    Forked,
    /// Positions stay below 2^63 (at a frame a nanosecond that is 292 years), and these would not.
    Exhausted,
    /// The segment contradicts itself: somebody has written over it.
    Corrupt,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the ring is full: its reader has not taken enough yet",
            Self::Timeout { pushed } => {
                return write!(f, "no space in time: {pushed} frames were pushed, the rest was not");
            }
            Self::NotWholeFrames => "the samples are no whole number of frames",
            Self::TooLong => "more frames than the ring can take at once: push fewer, or retain more",
            Self::Superseded => {
                "another producer has taken the stream over, since this handle's lock was closed"
            }
            Self::Removed => "the stream was removed by force: create it anew to push again",
            Self::Forked => "the handle was inherited through fork: make a new one in this process",
            Self::Exhausted => "the stream has come to its last position: create it anew",
            Self::Corrupt => "the segment contradicts itself: remove the stream and create it anew",
        })
    }
}

impl std::error::Error for PushError {}

/// Why no frames were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing new, and the caller did not want to wait.
    Empty,
    /// Nothing new in time.
    Timeout,
    /// The producer died without finishing. Said once for each death; read on to wait for a successor.
    ProducerGone {
        /// Its process, as it wrote it down.
        pid: u32,
        /// Frames that it had published.
        position: u64,
    },
    /// The stream was finished, and everything up to there was read.
    Ended {
        /// Where.
        position: u64,
    },
    /// The object was retired, because a new one with other parameters took its name or because it was
    /// removed: open the name again.
    Replaced,
    /// Overwritten twice within one call: read again, more at a time or sooner.
    Lapped {
        /// Frames that were lost.
        lost: u64,
    },
    /// The slice is no whole number of frames, or empty.
    NotWholeFrames,
    /// More frames were waited for than the ring or the slice can hold.
    TooLong,
    /// The handle was inherited through `fork`: make a new one.
    Forked,
    /// The thread that waits for event loops and tasks could not be started.
    NoThread,
    /// The segment contradicts itself: somebody has written over it.
    Corrupt,
    /// This handle's lock on its seat was closed under it: open the stream again. A lossless reader is waited for no
    /// more, a consumer may have a successor; one who only observes is still given frames, but does not
    /// learn when the producer dies.
    Superseded,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing new yet"),
            Self::Timeout => f.write_str("nothing new in time"),
            Self::ProducerGone { pid, position } => {
                write!(
                    f,
                    "the producer, process {pid}, died after {position} frames; a successor may carry on"
                )
            }
            Self::Ended { position } => write!(f, "the stream was finished after {position} frames"),
            Self::Replaced => f.write_str("the stream was replaced or removed: open its name again"),
            Self::Lapped { lost } => {
                write!(f, "{lost} frames were overwritten while they were read: read again")
            }
            Self::NotWholeFrames => f.write_str("the slice is empty or no whole number of frames"),
            Self::TooLong => f.write_str("more frames were waited for than the ring or the slice can hold"),
            Self::Forked => {
                f.write_str("the handle was inherited through fork: make a new one in this process")
            }
            Self::NoThread => f.write_str(
                "the thread that waits for event loops could not be started: this user has too many",
            ),
            Self::Corrupt => f.write_str("the segment contradicts itself: somebody has written over it"),
            Self::Superseded => {
                f.write_str("this reader's lock on its seat was closed under it: open the stream again")
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl From<Corrupt> for ReadError {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<ReadFault> for ReadError {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Corrupt => Self::Corrupt,
            ReadFault::Superseded => Self::Superseded,
        }
    }
}

/// A new producer carries on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How many producers the stream has had.
    pub epoch: u64,
    /// Position of the first frame that is the new one's.
    pub position: u64,
}

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frames {
    /// The lane that they came from; a work queue has one for each producer, others have lane 0.
    pub lane: u32,
    /// Position of the first frame.
    pub first_position: u64,
    /// How many frames there are.
    pub frames: usize,
    /// Frames right before `first_position` that this reader was lapped by: overwritten, or given up by a producer that
    /// overtook a [lossless](crate::Open::lossless) reader, before it read them.
    pub lost_before: u64,
    /// The producer was succeeded since the last read.
    pub restarted: Option<Restart>,
    /// How many [gaps](crate::Observer::gaps) of the source lie before or among these frames: it, or who carries them here,
    /// did not deliver what should be there.
    pub gaps: usize,
}

impl Frames {
    /// One frame, of which there is nothing more to say.
    #[inline]
    pub(crate) fn one(lane: u32, first_position: u64) -> Self {
        Self { lane, first_position, frames: 1, lost_before: 0, restarted: None, gaps: 0 }
    }
}
