//! Copies of bytes that others may store to.

#![allow(unsafe_code)]

use super::map::page_bytes;
use crate::sync::AtomicU8;
use crate::sync::Ordering::Relaxed;
use core::ptr::NonNull;
use std::io;

/// Copies bytes out of the `mapped` ones from `base` on that nobody stores to any more; whoever does so all the same makes
/// them others.
///
/// # Safety
/// So many bytes are mapped there.
pub(super) unsafe fn read(base: NonNull<u8>, mapped: usize, out: &mut [u8], at: usize) -> io::Result<()> {
    let end = at.checked_add(out.len()).filter(|end| *end <= mapped).ok_or(io::ErrorKind::UnexpectedEof)?;
    for (byte, from) in out.iter_mut().zip(at..end) {
        // SAFETY: the byte is mapped, as just checked; others may store to it, which is why it is an atomic.
        *byte = unsafe { base.add(from).cast::<AtomicU8>().as_ref() }.load(Relaxed);
    }
    Ok(())
}

/// Copies bytes to where nobody else looks yet.
///
/// # Safety
/// As [`read`], and to be written to.
pub(super) unsafe fn write(base: NonNull<u8>, mapped: usize, bytes: &[u8], at: usize) -> io::Result<()> {
    let end = at.checked_add(bytes.len()).filter(|end| *end <= mapped).ok_or(io::ErrorKind::UnexpectedEof)?;
    for (byte, to) in bytes.iter().zip(at..end) {
        // SAFETY: as in `read`.
        unsafe { base.add(to).cast::<AtomicU8>().as_ref() }.store(*byte, Relaxed);
    }
    Ok(())
}

/// Makes the pages of the `mapped` bytes from `base` on present: each is looked at, or stored to by a store that changes
/// nothing.
///
/// # Safety
/// So many bytes are mapped there, and for `write` to be written to.
pub(super) unsafe fn touch(base: NonNull<u8>, mapped: usize, write: bool) {
    for page in (0..mapped).step_by(page_bytes()) {
        // SAFETY: the byte is mapped; others may store to it, which is why it is an atomic.
        let byte = unsafe { base.add(page).cast::<AtomicU8>().as_ref() };
        if write {
            byte.fetch_or(0, Relaxed);
        } else {
            core::hint::black_box(byte.load(Relaxed));
        }
    }
}
