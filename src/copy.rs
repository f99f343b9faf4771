//! The one copy routine: frames in and out of a lane, word by word, with Relaxed atomics.
//!
//! A producer may overwrite what an observer is copying; with atomics of one fixed size per stream that is
//! defined behaviour (the observer throws such words away afterwards), and for data that comes from another
//! core it is as fast as `memcpy`. The run is always split at the wrap, even where the lane is mapped twice:
//! every word has one canonical address, and the models on the heap run the path that ships. Long runs go
//! several words at a time where the processor can ([`wide`]).

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(any(miri, all(loom, test)))))]
pub(crate) mod wide;
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(any(miri, all(loom, test))))))]
pub(crate) mod wide {
    // Words are as wide as it gets here.
    pub(crate) fn expect<W>(_: &[W]) {}

    pub(super) fn put<'a, W>(run: &'a [W], src: &'a [u8]) -> (&'a [W], &'a [u8]) {
        (run, src)
    }

    pub(super) fn get<'a, W>(run: &'a [W], dst: &'a mut [u8]) -> (&'a [W], &'a mut [u8]) {
        (run, dst)
    }
}

use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A lane's data as words of the size that its stream fixed.
#[derive(Clone, Copy)]
#[cfg_attr(all(loom, test), expect(dead_code, reason = "the models use words of 8 bytes"))]
pub(crate) enum Words<'a> {
    One(&'a [AtomicU8]),
    Two(&'a [AtomicU16]),
    Four(&'a [AtomicU32]),
    Eight(&'a [AtomicU64]),
}

/// Copies `src` into the lane from byte `offset` on, over the wrap if it gets there.
///
/// `offset` and `src.len()` are multiples of the word; `src` is no longer than the lane.
#[inline]
pub(crate) fn store(words: Words<'_>, offset: u64, src: &[u8]) {
    match words {
        Words::One(ring) => put(ring, offset, src),
        Words::Two(ring) => put(ring, offset, src),
        Words::Four(ring) => put(ring, offset, src),
        Words::Eight(ring) => put(ring, offset, src),
    }
}

/// Copies from byte `offset` of the lane into `dst`, over the wrap if it gets there. As [`store`].
#[inline]
pub(crate) fn load(words: Words<'_>, offset: u64, dst: &mut [u8]) {
    match words {
        Words::One(ring) => get(ring, offset, dst),
        Words::Two(ring) => get(ring, offset, dst),
        Words::Four(ring) => get(ring, offset, dst),
        Words::Eight(ring) => get(ring, offset, dst),
    }
}

/// The words of a run of so many bytes, if it lies before the wrap.
#[inline(always)]
pub(crate) fn run<W: Word>(ring: &[W], offset: u64, bytes: usize) -> Option<&[W]> {
    let at = offset as usize / W::BYTES;
    ring.get(at..at + bytes / W::BYTES)
}

/// Copies `src` into a run that is as long.
#[inline(always)]
pub(crate) fn put_run<W: Word>(run: &[W], src: &[u8]) {
    let (run, src) = wide::put(run, src);
    for (word, bytes) in run.iter().zip(src.chunks_exact(W::BYTES)) {
        word.put(bytes);
    }
}

/// Copies a run into `dst`, which is as long.
#[inline(always)]
pub(crate) fn get_run<W: Word>(run: &[W], dst: &mut [u8]) {
    let (run, dst) = wide::get(run, dst);
    for (word, bytes) in run.iter().zip(dst.chunks_exact_mut(W::BYTES)) {
        word.get(bytes);
    }
}

#[inline]
fn put<W: Word>(ring: &[W], offset: u64, src: &[u8]) {
    match run(ring, offset, src.len()) {
        Some(run) => put_run(run, src),
        None => put_wrapped(ring, offset, src),
    }
}

#[inline]
fn get<W: Word>(ring: &[W], offset: u64, dst: &mut [u8]) {
    match run(ring, offset, dst.len()) {
        Some(run) => get_run(run, dst),
        None => get_wrapped(ring, offset, dst),
    }
}

#[cold]
#[inline(never)]
fn put_wrapped<W: Word>(ring: &[W], offset: u64, src: &[u8]) {
    let last = &ring[offset as usize / W::BYTES..];
    let (before, rest) = src.split_at(last.len() * W::BYTES);
    put_run(last, before);
    put_run(ring, rest);
}

#[cold]
#[inline(never)]
fn get_wrapped<W: Word>(ring: &[W], offset: u64, dst: &mut [u8]) {
    let last = &ring[offset as usize / W::BYTES..];
    let (before, rest) = dst.split_at_mut(last.len() * W::BYTES);
    get_run(last, before);
    get_run(ring, rest);
}

pub(crate) trait Word {
    const BYTES: usize;
    fn put(&self, bytes: &[u8]);
    fn get(&self, bytes: &mut [u8]);
}

macro_rules! word {
    ($atomic:ty, $plain:ty) => {
        impl Word for $atomic {
            const BYTES: usize = size_of::<$plain>();

            #[inline(always)]
            fn put(&self, bytes: &[u8]) {
                let mut word = [0; size_of::<$plain>()];
                word.copy_from_slice(bytes);
                self.store(<$plain>::from_le_bytes(word), Relaxed);
            }

            #[inline(always)]
            fn get(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.load(Relaxed).to_le_bytes());
            }
        }
    };
}

word!(AtomicU8, u8);
word!(AtomicU16, u16);
word!(AtomicU32, u32);
word!(AtomicU64, u64);
