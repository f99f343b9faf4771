//! The gap ledger: the producer writes down which frames its source never delivered, and readers learn of each gap with
//! the frames behind it. The models in `models/ledger.rs` run this file unchanged, and take away each of its edges in turn.
//!
//! It is a small ring by the same rule as a lane: an entry is announced (`intent`), written, and published (`tail`). A
//! producer that dies in between leaves nothing; its successor writes the same entry anew. Whoever has read a frame
//! finds all that was written down before that was pushed: edge W of `lane.rs` carries it.
//!
//! | edge | one side | other side | what it carries |
//! |---|---|---|---|
//! | K | add: `tail.store` Release | look: `tail.load` Relaxed, then `fence(Acquire)` | the entries before `tail` |
//! | O | add: `intent.store`, then `fence(Release)` | entry: `fence(Acquire)`, then `intent.load` | a reader that saw a word of an overwriting entry also sees its announcement |
//!
//! Readers map it read-only: hence load, then fence. Old entries are overwritten, and what was missing by then is not
//! forgotten: each entry says how many frames were missing before it, in all.

use crate::layout::{GAP_WORDS, GAPS, Ledger};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{Site, fence_at, holds, order};
use core::ops::Range;

/// An entry, word by word.
pub(crate) type Words = [u64; GAP_WORDS];

/// The position of the first frame after it.
pub(crate) const POSITION: usize = 0;
/// Frames that were missing before it, in all.
pub(crate) const BEFORE: usize = 1;
pub(crate) const CAUSE: usize = 2;
/// Frames, of a gap that the device made; else nanoseconds.
pub(crate) const AMOUNT: usize = 3;
/// When it was written down.
pub(crate) const MONOTONIC: usize = 4;
pub(crate) const UTC: usize = 5;

/// `CAUSE`. The device lost frames.
pub(crate) const DEVICE: u64 = 1;
/// One producer followed on another, so long after.
pub(crate) const RESTART: u64 = 2;
/// The device's time began anew.
pub(crate) const DEVICE_RESET: u64 = 3;
/// UTC was set, by so much.
pub(crate) const UTC_STEP: u64 = 4;

/// Frames that are missing there. In the models each entry misses one.
pub(crate) fn missing(entry: &Words) -> u64 {
    match cfg!(all(loom, test)) {
        true => 1,
        false if entry.get(CAUSE) == Some(&DEVICE) => entry.get(AMOUNT).copied().unwrap_or(0),
        false => 0,
    }
}

/// Frames that are missing in all, that entry's too.
pub(crate) fn missing_after(entry: &Words) -> u64 {
    entry[BEFORE].saturating_add(missing(entry))
}

fn place(index: u64) -> usize {
    (index % GAPS) as usize
}

/// The producer's end.
#[derive(Debug)]
pub(crate) struct Keeper {
    count: u64,
}

impl Keeper {
    /// Goes on after whoever kept it last. The caller has the lane from one who is gone.
    pub(crate) fn take_over(ledger: &Ledger) -> Self {
        Self { count: ledger.tail.load(Relaxed) }
    }

    /// The newest entry, to one who is about to add another.
    pub(crate) fn newest(&self, ledger: &Ledger) -> Option<Words> {
        let index = self.count.checked_sub(1)?;
        Some(load(ledger, index))
    }

    pub(crate) fn add(&mut self, ledger: &Ledger, entry: &Words) {
        self.announce(ledger);
        self.write(ledger, entry);
        self.publish(ledger);
    }

    pub(crate) fn announce(&self, ledger: &Ledger) {
        ledger.intent.store(self.count.wrapping_add(1), Relaxed);
        fence_at(Site::EntryRelease, Release); // O
    }

    pub(crate) fn write(&self, ledger: &Ledger, words: &[u64]) {
        for (word, value) in ledger.entries[place(self.count)].words.iter().zip(words) {
            word.store(*value, Relaxed);
        }
    }

    pub(crate) fn publish(&mut self, ledger: &Ledger) {
        self.count = self.count.wrapping_add(1);
        ledger.tail.store(self.count, order(Site::LedgerRelease, Release)); // K
    }
}

fn load(ledger: &Ledger, index: u64) -> Words {
    let words = &ledger.entries[place(index)].words;
    core::array::from_fn(|word| words[word].load(Relaxed))
}

/// How many entries there ever were.
pub(crate) fn entries(ledger: &Ledger) -> u64 {
    let tail = ledger.tail.load(Relaxed);
    fence_at(Site::LedgerAcquire, Acquire); // K
    tail
}

/// The entry of that number; else the number of the oldest one that was not overwritten.
fn entry(ledger: &Ledger, index: u64) -> Result<Words, u64> {
    let entry = load(ledger, index);
    fence_at(Site::EntryAcquire, Acquire); // O
    let oldest = ledger.intent.load(Relaxed).saturating_sub(GAPS);
    if index >= oldest || !holds(Site::EntryCheck) { Ok(entry) } else { Err(oldest) }
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Entry(Words),
    /// So many were overwritten, which lay before `position` and missed so many frames; `in_all` with those before.
    Forgotten {
        entries: u64,
        missing: u64,
        in_all: u64,
        position: u64,
    },
}

/// A reader's end: which entry comes next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader {
    next: u64,
    /// Frames that were missing before that, in all.
    missing: u64,
    /// Entries before it that were overwritten, of which nothing was said yet.
    forgotten: u64,
}

impl Reader {
    /// Goes to the first entry that lies at `position` or behind. Of those that were overwritten nobody knows on which side
    /// of it they lay; from the beginning all are behind.
    pub(crate) fn seek(&mut self, ledger: &Ledger, position: u64) {
        *self = Self::default();
        if position > 0 {
            self.read(ledger, 0..position, |_| {});
            self.forgotten = 0;
        }
    }

    /// Whether it has been through all entries.
    #[inline]
    pub(crate) fn is_at_end(&self, ledger: &Ledger) -> bool {
        ledger.tail.load(Relaxed) == self.next
    }

    /// Finds what lies among the frames `wanted`, in order, and goes on behind that.
    #[inline]
    pub(crate) fn read(&mut self, ledger: &Ledger, wanted: Range<u64>, found: impl FnMut(Found)) {
        if ledger.tail.load(Relaxed) != self.next {
            self.read_on(ledger, wanted, found);
        }
    }

    #[cold]
    fn read_on(&mut self, ledger: &Ledger, wanted: Range<u64>, mut found: impl FnMut(Found)) {
        let tail = entries(ledger);
        // As often as there are entries, and some overwritten meanwhile: whatever the words are, it ends.
        for _ in 0..2 * GAPS {
            if self.next >= tail {
                return;
            }
            let entry = match entry(ledger, self.next) {
                Ok(entry) => entry,
                Err(oldest) => {
                    self.forgotten = self.forgotten.saturating_add(oldest - self.next);
                    self.next = oldest;
                    continue;
                }
            };
            let forgotten = core::mem::take(&mut self.forgotten);
            if forgotten > 0 {
                let missing = entry[BEFORE].saturating_sub(self.missing);
                self.missing = entry[BEFORE];
                let (in_all, position) = (entry[BEFORE], entry[POSITION]);
                found(Found::Forgotten { entries: forgotten, missing, in_all, position });
            }
            if entry[POSITION] >= wanted.end {
                return;
            }
            self.next += 1;
            self.missing = missing_after(&entry);
            if entry[POSITION] >= wanted.start {
                found(Found::Entry(entry));
            }
        }
    }
}
