//! One-way transports of frames, as the workloads use them.

use crate::payload::Frame;
use crate::side::Place;
use std::time::Duration;

/// A transport from this side to the other.
pub trait Link<const N: usize>: Sync + Sized {
    const PLACE: Place;
    type Tx: Tx<N>;
    type Rx: Rx<N>;

    /// What both sides need, for about `capacity` frames. Made before there is another side.
    fn new(capacity: usize) -> Self;

    /// The sending end, on the side that has it.
    fn tx(&self) -> Self::Tx;

    /// The receiving end, on the side that has it.
    fn rx(&self) -> Self::Rx;
}

pub trait Tx<const N: usize> {
    /// Sends one frame, if there is room.
    fn send(&mut self, frame: &Frame<N>) -> bool;

    /// Sends all frames, or none.
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let _ = frames;
        unimplemented!("nothing measures it so")
    }
}

pub trait Rx<const N: usize> {
    /// Shows up to `most` frames, in the way that suits the transport best, and takes them. How many there were.
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize;

    /// Waits asleep until there is one, and shows it.
    fn sleep_for(&mut self, look: impl FnMut(&Frame<N>)) {
        let _ = look;
        unimplemented!("nothing measures it so")
    }
}

/// What is there, attached to by a new handle.
pub trait Attach {
    /// Makes what will be attached to, with one frame in it.
    fn new() -> Self;

    /// Attaches, looks at the frame, and detaches. What the first two took.
    fn once(&self) -> Duration;
}
