//! rtrb: a ring between two threads of one process. It cannot leave it.

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::Place;
use rtrb::{Consumer, CopyToUninit, Producer, RingBuffer};
use std::sync::Mutex;

/// Both ends, until each side has taken its own.
type Ends<const N: usize> = (Option<Producer<Frame<N>>>, Option<Consumer<Frame<N>>>);

pub struct Rtrb<const N: usize>(Mutex<Ends<N>>);

impl<const N: usize> Link<N> for Rtrb<N> {
    const PLACE: Place = Place::Thread;
    type Tx = Producer<Frame<N>>;
    type Rx = Consumer<Frame<N>>;

    fn new(capacity: usize) -> Self {
        let (producer, consumer) = RingBuffer::new(capacity);
        Self(Mutex::new((Some(producer), Some(consumer))))
    }

    fn tx(&self) -> Producer<Frame<N>> {
        self.0.lock().unwrap().0.take().unwrap()
    }

    fn rx(&self) -> Consumer<Frame<N>> {
        self.0.lock().unwrap().1.take().unwrap()
    }
}

impl<const N: usize> Tx<N> for Producer<Frame<N>> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.push(*frame).is_ok()
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let Ok(mut chunk) = self.write_chunk_uninit(frames.len()) else { return false };
        let (first, rest) = chunk.as_mut_slices();
        let (before, after) = frames.split_at(first.len());
        before.copy_to_uninit(first);
        after.copy_to_uninit(rest);
        // SAFETY: all of them were written.
        unsafe { chunk.commit_all() };
        true
    }
}

impl<const N: usize> Rx<N> for Consumer<Frame<N>> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        if most == 1 {
            return match self.pop() {
                Ok(frame) => {
                    look(&frame);
                    1
                }
                Err(_) => 0,
            };
        }
        let frames = self.slots().min(most);
        let Ok(chunk) = self.read_chunk(frames) else { return 0 };
        let (first, rest) = chunk.as_slices();
        first.iter().for_each(&mut look);
        rest.iter().for_each(&mut look);
        chunk.commit_all();
        frames
    }
}
