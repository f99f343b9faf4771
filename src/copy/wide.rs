//! Copies of several words at a time. A compiler makes one load and one store of each atomic; the processor has wider
//! ones, and a producer that waits for a line can hold back so many stores only, however wide they are.
//!
//! In assembly that is no data race, whatever others do meanwhile: what a load gives is what some stores left there, which is all
//! that those need who validate, and nobody else loads what is being stored. The fences before and after hold for it, too: to the
//! compiler it may touch any memory, and the processor keeps loads in order, and stores; those of a string among themselves it
//! need not, but all of them come before what is stored after it.

#![allow(unsafe_code)]

use super::Word;
use core::arch::asm;

/// Bytes in a block.
const BLOCK: usize = 64;

/// Fewest blocks that are worth it. Short frames are often copied right after they were filled, and a wide load of what
/// was just stored piece by piece waits for those stores.
const FEWEST: usize = 4;

/// From so many on the processor copies a string by itself: it knows best how to have lines brought from another one.
const STRING: usize = 64;

/// Copies what it can of `src` into a run that is as long. What is left of the two.
#[inline(always)]
pub(super) fn put<'a, W: Word>(run: &'a [W], src: &'a [u8]) -> (&'a [W], &'a [u8]) {
    let blocks = blocks(run, src.len());
    if blocks > 0 {
        // SAFETY: so many bytes lie in both; those of the run are atomics, which may be stored to through a shared reference.
        unsafe { copy(src.as_ptr(), run.as_ptr().cast_mut().cast(), blocks) };
    }
    (&run[blocks * BLOCK / W::BYTES..], &src[blocks * BLOCK..])
}

/// Copies what it can of a run into `dst`, which is as long. What is left of the two.
#[inline(always)]
pub(super) fn get<'a, W: Word>(run: &'a [W], dst: &'a mut [u8]) -> (&'a [W], &'a mut [u8]) {
    let blocks = blocks(run, dst.len());
    if blocks > 0 {
        // SAFETY: so many bytes lie in both.
        unsafe { copy(run.as_ptr().cast(), dst.as_mut_ptr(), blocks) };
    }
    (&run[blocks * BLOCK / W::BYTES..], &mut dst[blocks * BLOCK..])
}

/// How many blocks are to be copied. Where words are smaller than 8 bytes it is not worth it: such frames are short.
#[inline(always)]
fn blocks<W: Word>(run: &[W], bytes: usize) -> usize {
    let blocks = bytes.min(size_of_val(run)) / BLOCK;
    if W::BYTES == 8 && blocks >= FEWEST { blocks } else { 0 }
}

/// Has the line brought here that a run begins in, which will be loaded soon.
#[inline(always)]
pub(crate) fn expect<W: Word>(run: &[W]) {
    // SAFETY: it changes nothing, and fails at no address.
    unsafe { asm!("prefetcht0 [{0}]", in(reg) run.as_ptr(), options(nostack, preserves_flags, readonly)) };
}

/// Copies so many blocks.
///
/// # Safety
/// They may be loaded there, and stored.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, blocks: usize) {
    debug_assert!(blocks > 0);
    if blocks >= STRING {
        // SAFETY: the caller answers for the bytes; nothing else is touched but the registers that are named. The direction flag is
        // clear, as it is for all code.
        unsafe {
            asm!(
                "rep movsb",
                inout("rcx") blocks * BLOCK => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    // SAFETY: the caller answers for the bytes; nothing else is touched but the registers that are named, and the flags.
    unsafe {
        asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "dec {blocks}",
            "jnz 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            blocks = inout(reg) blocks => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}
