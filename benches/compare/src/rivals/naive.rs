//! The ring that one writes first, by the crates `shared_memory` 0.12 and `raw_sync` 0.1: two counters side by side in a named
//! object, looked at with every frame, sequentially consistent, frames by division; for sleeping, raw_sync's `Event` (a mutex
//! and a condition), signalled with every frame.
//!
//! What it does not do that annulus does: all the rest. Nobody knows who is there, or dead: its mutex dies with its holder.

use crate::link::{Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, STUCK, unique};
use raw_sync::Timeout;
use raw_sync::events::{Event, EventImpl, EventInit, EventState};
use shared_memory::{Shmem, ShmemConf};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Room for the event before the counters, and for the counters before the frames.
const EVENT: usize = 256;
const COUNTERS: usize = 64;

pub struct Naive<const N: usize> {
    memory: Shmem,
    capacity: usize,
    sleeps: bool,
}

// SAFETY: only its name is asked for.
unsafe impl<const N: usize> Sync for Naive<N> {}

impl<const N: usize> Naive<N> {
    /// One that wakes by an event.
    pub fn asleep(capacity: usize) -> Self {
        Self { sleeps: true, ..Self::new(capacity) }
    }

    fn end(&self) -> End<N> {
        let memory = ShmemConf::new().os_id(self.memory.get_os_id()).open().expect("the memory");
        // SAFETY: made there in `new`.
        let event = unsafe { Event::from_existing(memory.as_ptr()) }.expect("an event").0;
        End { memory, event: self.sleeps.then_some(event), capacity: self.capacity }
    }
}

impl<const N: usize> Link<N> for Naive<N> {
    const PLACE: Place = Place::Process;
    type Tx = End<N>;
    type Rx = End<N>;

    fn new(capacity: usize) -> Self {
        let size = EVENT + COUNTERS + capacity * size_of::<Frame<N>>();
        let memory = ShmemConf::new().os_id(unique("naive")).size(size).create().expect("memory");
        assert!(Event::size_of(Some(memory.as_ptr())) <= EVENT);
        // SAFETY: there is room for it.
        unsafe { Event::new(memory.as_ptr(), true) }.expect("an event");
        Self { memory, capacity, sleeps: false }
    }

    fn tx(&self) -> End<N> {
        self.end()
    }

    fn rx(&self) -> End<N> {
        self.end()
    }
}

/// Either end.
pub struct End<const N: usize> {
    memory: Shmem,
    event: Option<Box<dyn EventImpl>>,
    capacity: usize,
}

impl<const N: usize> End<N> {
    /// Frames sent, frames received.
    #[inline(always)]
    fn counters(&self) -> &[AtomicUsize; 2] {
        // SAFETY: inside of the memory, aligned, and used as atomics by all.
        unsafe { &*self.memory.as_ptr().add(EVENT).cast() }
    }

    #[inline(always)]
    fn frame(&self, position: usize) -> *mut Frame<N> {
        // SAFETY: inside of the memory.
        unsafe { self.memory.as_ptr().add(EVENT + COUNTERS).cast::<Frame<N>>().add(position % self.capacity) }
    }
}

impl<const N: usize> Tx<N> for End<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        let [sent, received] = self.counters();
        let at = sent.load(SeqCst);
        if at - received.load(SeqCst) == self.capacity {
            return false;
        }
        // SAFETY: the other side has given it back.
        unsafe { ptr::copy_nonoverlapping(frame, self.frame(at), 1) };
        sent.store(at + 1, SeqCst);
        if let Some(event) = &self.event {
            event.set(EventState::Signaled).expect("signalled");
        }
        true
    }
}

impl<const N: usize> Rx<N> for End<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        let [sent, received] = self.counters();
        let mut taken = 0;
        while taken < most {
            let at = received.load(SeqCst);
            if at == sent.load(SeqCst) {
                break;
            }
            // SAFETY: sent, and not given back.
            let frame = unsafe { *self.frame(at) };
            received.store(at + 1, SeqCst);
            look(&frame);
            taken += 1;
        }
        taken
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        while self.receive(1, &mut look) == 0 {
            let event = self.event.as_ref().expect("made by `asleep`");
            event.wait(Timeout::Val(STUCK)).expect("a signal");
        }
    }
}
