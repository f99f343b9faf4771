//! What users touch: a builder, an opener, typed handles, and what a stream says about itself.

mod builder;
mod clock;
mod consumer;
mod gap;
mod group;
mod info;
mod marker;
mod observer;
mod open;
mod polled;
mod producer;
mod sequence;
#[cfg(feature = "async")]
mod task;
mod waitset;
mod watch;

pub use builder::{AtLimit, Builder, create};
pub use clock::{Clock, Moment, Time};
pub use consumer::{Chunk, Consumer};
pub use gap::{Cause, Gap};
pub use group::GroupConsumer;
pub use info::{Attached, Info, LaneStatus, Listed, ProducerState, Status, list, list_in, prune};
pub use marker::Marker;
pub use observer::Observer;
pub use info::is_stream;
#[cfg(unix)]
pub use open::open_fd;
pub use open::{Open, Start, open};
pub use polled::Polled;
pub use sequence::{Sequence, SequenceCheck};
pub use producer::{Producer, Reservation};
pub use waitset::{Member, WaitSet, Waitable};

use crate::index::Divisor;
use core::marker::PhantomData;

/// How a handle's slices become frames.
#[derive(Clone, Copy, Debug)]
struct Units<T> {
    per_frame: Divisor,
    of: PhantomData<fn(T) -> T>,
}

impl<T> Units<T> {
    /// `None` if a frame is no whole number of `T`.
    fn new(frame_bytes: usize) -> Option<Self> {
        let size = size_of::<T>();
        if size == 0 || !frame_bytes.is_multiple_of(size) {
            return None;
        }
        let per_frame = Divisor::new(u32::try_from(frame_bytes / size).ok()?)?;
        Some(Self { per_frame, of: PhantomData })
    }

    /// Whether a slice of `length` is one frame.
    #[inline]
    fn are_one_frame(&self, length: usize) -> bool {
        length == self.per_frame.get() as usize
    }

    /// Frames in a slice of `length`, if it is whole.
    #[inline]
    fn frames(&self, length: usize) -> Option<usize> {
        self.per_frame.exact(length)
    }

    #[inline]
    fn length(&self, frames: usize) -> usize {
        frames * self.per_frame.get() as usize
    }
}
