//! crossbeam-queue 0.3, `ArrayQueue`: a bounded queue of slots behind sequence numbers, for any number of producers and
//! consumers on threads of one process.
//!
//! What it does not do that annulus does: leave its process, take several at a time, read in place, keep history, sleep.

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::Place;
use crossbeam_queue::ArrayQueue;
use std::sync::Arc;

pub struct Crossbeam<const N: usize>(Arc<ArrayQueue<Frame<N>>>);

/// Either end.
pub struct End<const N: usize>(Arc<ArrayQueue<Frame<N>>>);

impl<const N: usize> Link<N> for Crossbeam<N> {
    const PLACE: Place = Place::Thread;
    type Tx = End<N>;
    type Rx = End<N>;

    fn new(capacity: usize) -> Self {
        Self(Arc::new(ArrayQueue::new(capacity)))
    }

    fn tx(&self) -> End<N> {
        End(Arc::clone(&self.0))
    }

    fn rx(&self) -> End<N> {
        self.tx()
    }
}

impl<const N: usize> Tx<N> for End<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.0.push(*frame).is_ok()
    }
}

impl<const N: usize> Rx<N> for End<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(frame) = self.0.pop()
        {
            look(&frame);
            taken += 1;
        }
        taken
    }
}
