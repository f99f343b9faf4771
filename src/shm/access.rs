//! Typed access to a mapping, and its raw form.
//!
//! Other processes may store to the same bytes at any moment, so nothing here forms a reference to them but to atomics. A
//! value is copied word by word; the word is the largest power of two, up to 8 bytes, that divides the value's size and its
//! place, so that all who access it as the same type do so in the same words.

#![allow(unsafe_code)]

use super::mapping::Mapping;
use super::Access;
use super::{Error, ErrorKind};
use crate::copy::{self, Words};
use crate::sync::{AtomicI32, AtomicU8, AtomicU16, AtomicU32, AtomicU64};
use bytemuck::{Pod, Zeroable, bytes_of, bytes_of_mut, cast_slice, cast_slice_mut};
use core::slice;

macro_rules! atomics {
    ($($name:ident => $atomic:ident),*) => { $(
        /// The atomic at `offset`, counted in bytes from the mapping's first one.
        ///
        /// # Errors
        /// [`ErrorKind::OutOfRange`]; [`ErrorKind::Misaligned`] if its address is not a multiple of its size;
        /// [`ErrorKind::ReadOnly`], as one could store through it (read with [`get`](Self::get) and a `fence`).
        pub fn $name(&self, offset: u64) -> Result<&$atomic, Error> {
            self.atomic(offset)
        }
    )* };
}

impl Mapping {
    /// Copies values from `offset` on, counted in bytes from the mapping's first one, to `values`. They may lie at any
    /// offset, aligned or not.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    #[inline]
    pub fn read<T: Pod>(&self, offset: u64, values: &mut [T]) -> Result<(), Error> {
        let at = self.check("read", offset, size_of_val(values))?;
        copy::load(self.words::<T>(at, size_of_val(values)), 0, cast_slice_mut(values));
        Ok(())
    }

    /// Copies values to the bytes from `offset` on.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], [`ErrorKind::ReadOnly`].
    #[inline]
    pub fn write<T: Pod>(&self, offset: u64, values: &[T]) -> Result<(), Error> {
        self.check_writable()?;
        let at = self.check("write", offset, size_of_val(values))?;
        copy::store(self.words::<T>(at, size_of_val(values)), 0, cast_slice(values));
        Ok(())
    }

    /// The value at `offset`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    #[inline]
    pub fn get<T: Pod>(&self, offset: u64) -> Result<T, Error> {
        let at = self.check("read", offset, size_of::<T>())?;
        let mut value = T::zeroed();
        copy::load(self.words::<T>(at, size_of::<T>()), 0, bytes_of_mut(&mut value));
        Ok(value)
    }

    /// Stores a value at `offset`.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`], [`ErrorKind::ReadOnly`].
    #[inline]
    pub fn set<T: Pod>(&self, offset: u64, value: T) -> Result<(), Error> {
        self.check_writable()?;
        let at = self.check("write", offset, size_of::<T>())?;
        copy::store(self.words::<T>(at, size_of::<T>()), 0, bytes_of(&value));
        Ok(())
    }

    atomics!(atomic_u8 => AtomicU8, atomic_u16 => AtomicU16, atomic_u32 => AtomicU32, atomic_i32 => AtomicI32,
        atomic_u64 => AtomicU64);

    /// Its first byte. Nothing is said about who stores to it meanwhile.
    pub fn as_ptr(&self) -> *const u8 {
        self.as_mut_ptr()
    }

    /// Its first byte, to be stored to unless the mapping is only to look: then a store is a SIGSEGV.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        // SAFETY: `first` lies in the region, by `MapOptions::map`.
        unsafe { self.region.base().add(self.first) }.as_ptr()
    }

    /// All of it as a slice.
    ///
    /// # Safety
    /// While the slice lives, nobody stores to these bytes, in whatever process and through whatever mapping; and nobody
    /// makes the object smaller.
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes are mapped there; the rest says the caller.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    /// All of it as a slice to store to.
    ///
    /// # Safety
    /// While the slice lives, nobody else reads or stores to these bytes, in whatever process and through whatever mapping;
    /// nobody makes the object smaller; and the mapping is not [`Access::ReadOnly`].
    pub unsafe fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are mapped there; the rest says the caller.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }

    fn check_writable(&self) -> Result<(), Error> {
        match self.access {
            Access::ReadOnly => Err(Error::new("write to", &self.place, ErrorKind::ReadOnly, None)),
            Access::ReadWrite | Access::CopyOnWrite => Ok(()),
        }
    }

    fn atomic<A: Atomic>(&self, offset: u64) -> Result<&A, Error> {
        self.check_writable()?;
        let at = self.check("find an atomic in", offset, size_of::<A>())?;
        let address = self.as_ptr().addr() + at;
        if !address.is_multiple_of(align_of::<A>()) {
            let kind = ErrorKind::Misaligned { at: address as u64, to: align_of::<A>() as u64, remainder: 0 };
            return Err(Error::new("find an atomic in", &self.place, kind, None));
        }
        // SAFETY: it lies in the mapping and is aligned, as just checked, is mapped to be stored to, and any bytes are a
        // value of it. It lives as long as `self`.
        Ok(unsafe { &*self.as_ptr().add(at).cast::<A>() })
    }

    /// `bytes` bytes from `at` on, checked, as the words of values of type `T`.
    #[inline]
    fn words<T: Zeroable>(&self, at: usize, bytes: usize) -> Words<'_> {
        // SAFETY: so many bytes lie there in the mapping, as the callers checked; they are aligned to the word, which
        // divides them: it divides the value's size, and so any number of values. `self` is borrowed meanwhile.
        unsafe {
            let first = self.as_ptr().add(at);
            match word(first.addr() | size_of::<T>()) {
                8 => Words::Eight(slice::from_raw_parts(first.cast::<AtomicU64>(), bytes / 8)),
                4 => Words::Four(slice::from_raw_parts(first.cast::<AtomicU32>(), bytes / 4)),
                2 => Words::Two(slice::from_raw_parts(first.cast::<AtomicU16>(), bytes / 2)),
                _ => Words::One(slice::from_raw_parts(first.cast::<AtomicU8>(), bytes)),
            }
        }
    }
}

/// The largest power of two, up to 8, that divides all of what was joined by `|`.
#[inline]
fn word(joined: usize) -> usize {
    1 << (joined | 8).trailing_zeros()
}

/// Atomics: any bytes are a value of theirs.
trait Atomic {}
impl Atomic for AtomicU8 {}
impl Atomic for AtomicU16 {}
impl Atomic for AtomicU32 {}
impl Atomic for AtomicI32 {}
impl Atomic for AtomicU64 {}
