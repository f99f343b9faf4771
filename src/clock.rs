//! The latch of the sample clock: the producer tells, any number of readers look, nobody waits. The models in
//! `models/clock.rs` run this file unchanged, and take away each of its edges in turn.
//!
//! There are two slots and an index. The slot that the index names is complete; the producer fills the other one,
//! then flips the index. So a producer that is killed or stopped at whichever store leaves its last record whole,
//! and a flip is at the same time the announcement that the slot it leaves may be filled anew.
//!
//! | edge | one side | other side | what it carries |
//! |---|---|---|---|
//! | C | flip: `index.store` Release | look: `index.load` Relaxed, then `fence(Acquire)` | the record in the slot that it names |
//! | R | refill: `fence(Release)`, then the words | look again: `fence(Acquire)`, then `index.load` | a reader that saw a word of the next record in its slot also sees the flip before it |
//!
//! Readers map it read-only: hence load, then fence, as in `lane.rs`. What a record means is `stream/clock.rs`'s.

use crate::layout::{CLOCK_WORDS, ClockLatch, ClockSlot};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Site, fence_at, holds, order};
use core::cell::Cell;

/// A record, word by word.
pub(crate) type Words = [u64; CLOCK_WORDS];

/// How often a reader looks. It must be held up between two updates, a hundredth of a second, each time to fail.
const TRIES: u32 = if cfg!(all(loom, test)) { 3 } else { 8 };

fn slot(latch: &ClockLatch, index: u64) -> &ClockSlot {
    &latch.slots[(index & 1) as usize]
}

/// The producer's end.
#[derive(Debug)]
pub(crate) struct Teller {
    index: u64,
}

impl Teller {
    /// Goes on after whoever told it last. The caller has the lane from one who is gone.
    pub(crate) fn take_over(latch: &ClockLatch) -> Self {
        Self { index: latch.index.load(Relaxed) }
    }

    pub(crate) fn tell(&mut self, latch: &ClockLatch, record: &Words) {
        self.fill(latch, record);
        self.flip(latch);
    }

    /// Fills the slot that nobody is sent to; one who was may still be reading there.
    pub(crate) fn fill(&self, latch: &ClockLatch, record: &[u64]) {
        fence_at(Site::RefillRelease, Release); // R: after the flip away from this slot
        let idle = if holds(Site::FillsIdle) { self.index.wrapping_add(1) } else { self.index };
        for (word, value) in slot(latch, idle).words.iter().zip(record) {
            word.store(*value, Relaxed);
        }
    }

    pub(crate) fn flip(&mut self, latch: &ClockLatch) {
        self.index = self.index.wrapping_add(1);
        latch.index.store(self.index, order(Site::FlipRelease, Release)); // C
    }
}

/// A reader's end: it remembers what it saw last.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    last: Cell<Option<Words>>,
}

impl Reader {
    /// The newest record. Never waits: if the producer is faster than the copy again and again, which none is that tells
    /// the time, the last one that was read. `None`: nothing was told yet.
    pub(crate) fn look(&self, latch: &ClockLatch) -> Option<Words> {
        for _ in 0..if holds(Site::ClockRetry) { TRIES } else { 1 } {
            let index = latch.index.load(Relaxed);
            if index == 0 {
                break;
            }
            fence_at(Site::FlipAcquire, Acquire); // C
            let words = &slot(latch, index).words;
            let record = core::array::from_fn(|word| words[word].load(Relaxed));
            fence_at(Site::RefillAcquire, Acquire); // R
            if latch.index.load(Relaxed) == index || !holds(Site::RefillCheck) {
                self.last.set(Some(record));
                break;
            }
        }
        self.last.get()
    }
}
