//! shmem-ipc 0.3: a ring of one producer and one consumer in a sealed memfd, with an eventfd to wake each side by; descriptors
//! are handed over by other means (here they are inherited). Frames are written and looked at in place.
//!
//! What it does not do that annulus does: names, several readers, history, a restart (each side's place is its own memory's).

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::Place;
use shmem_ipc::sharedring::{Receiver, Sender};
use std::fs::File;
use std::{ptr, slice};

pub struct ShmemIpc<const N: usize> {
    made: Sender<Frame<N>>,
    capacity: usize,
    sleeps: bool,
}

impl<const N: usize> ShmemIpc<N> {
    /// One that wakes by its eventfd.
    pub fn asleep(capacity: usize) -> Self {
        Self { sleeps: true, ..Self::new(capacity) }
    }

    fn files(&self) -> [File; 3] {
        [self.made.memfd().as_file(), self.made.empty_signal(), self.made.full_signal()]
            .map(|file| file.try_clone().expect("a descriptor"))
    }
}

impl<const N: usize> Link<N> for ShmemIpc<N> {
    const PLACE: Place = Place::Process;
    type Tx = SenderEnd<N>;
    type Rx = Receiver<Frame<N>>;

    fn new(capacity: usize) -> Self {
        Self { made: Sender::new(capacity).expect("a ring"), capacity, sleeps: false }
    }

    fn tx(&self) -> SenderEnd<N> {
        let [memory, empty, full] = self.files();
        let sender = Sender::open(self.capacity, memory, empty, full).expect("the sender's end");
        SenderEnd { sender, sleeps: self.sleeps }
    }

    fn rx(&self) -> Receiver<Frame<N>> {
        let [memory, empty, full] = self.files();
        Receiver::open(self.capacity, memory, empty, full).expect("the receiver's end")
    }
}

pub struct SenderEnd<const N: usize> {
    sender: Sender<Frame<N>>,
    sleeps: bool,
}

impl<const N: usize> Tx<N> for SenderEnd<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        let mut sent = false;
        let write = |to: *mut Frame<N>, _| {
            // SAFETY: the ring lends room for one at least.
            unsafe { ptr::copy_nonoverlapping(frame, to, 1) };
            sent = true;
            1
        };
        if self.sleeps {
            self.sender.send_raw(write).expect("a sound ring");
        } else {
            self.sender.sender_mut().send(write).expect("a sound ring");
        }
        sent
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let ring = self.sender.sender_mut();
        if ring.write_count().expect("a sound ring") < frames.len() {
            return false;
        }
        let mut rest = frames;
        while !rest.is_empty() {
            let write = |to: *mut Frame<N>, room: usize| {
                let (now, later) = rest.split_at(room.min(rest.len()));
                // SAFETY: the ring lends room for so many.
                unsafe { ptr::copy_nonoverlapping(now.as_ptr(), to, now.len()) };
                rest = later;
                now.len()
            };
            ring.send(write).expect("a sound ring");
        }
        true
    }
}

impl<const N: usize> Rx<N> for Receiver<Frame<N>> {
    #[inline(always)]
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        let mut taken = 0;
        let read = |from: *const Frame<N>, there: usize| {
            taken = there.min(most);
            // SAFETY: the ring lends so many, and the other side is trusted.
            unsafe { slice::from_raw_parts(from, taken) }.iter().for_each(look);
            taken
        };
        self.receiver_mut().recv(read).expect("a sound ring");
        taken
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        while self.receive(1, &mut look) == 0 {
            self.block_until_readable().expect("a signal");
        }
    }
}
