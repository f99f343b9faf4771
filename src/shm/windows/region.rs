//! A section in the address space, whole.

#![allow(unsafe_code)]

use super::done;
use super::map::page_bytes;
use super::section::Section;
use crate::shm::bytes;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;
use std::io;
use std::sync::Arc;
use windows_sys::Win32::System::Memory::{
    FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    PAGE_READONLY, UnmapViewOfFile, VirtualProtect, VirtualQuery,
};

/// Mapped bytes. Unmapped when dropped. Keeps the section open, or it would lose its name.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    _section: Arc<Section>,
}

// SAFETY: a region is a range of addresses, tied to no thread.
unsafe impl Send for Region {}
// SAFETY: through a shared reference only the base address can be had, and system calls that any thread may make.
unsafe impl Sync for Region {}

impl Region {
    /// Maps a section.
    pub(crate) fn view(section: Arc<Section>, read_only: bool) -> io::Result<Self> {
        let access = if read_only { FILE_MAP_READ } else { FILE_MAP_READ | FILE_MAP_WRITE };
        // SAFETY: a new mapping, over nothing, at an address of the system's choice.
        let base = unsafe { MapViewOfFile(section.handle(), access, 0, 0, 0) }.Value;
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        let mut region = Self { base, bytes: 0, _section: section };
        region.bytes = region.mapped_bytes()?;
        Ok(region)
    }

    fn mapped_bytes(&self) -> io::Result<usize> {
        let mut found = MaybeUninit::<MEMORY_BASIC_INFORMATION>::uninit();
        // SAFETY: the result has room for the answer.
        let filled =
            unsafe { VirtualQuery(self.base.as_ptr().cast(), found.as_mut_ptr(), size_of_val(&found)) };
        if filled == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it filled the result.
        Ok(unsafe { found.assume_init() }.RegionSize)
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves of the whole pages that a range lies on only that they can be read.
    pub(crate) fn protect(&self, range: Range<usize>) -> io::Result<()> {
        let first = range.start / page_bytes() * page_bytes();
        let mut before = 0;
        // SAFETY: the pages are mapped, and ours; who stores to them from now on is killed, and nobody lent them to be.
        done(unsafe {
            VirtualProtect(
                self.at(&(first..range.end)).as_ptr().cast(),
                range.end - first,
                PAGE_READONLY,
                &raw mut before,
            )
        })
    }

    /// Makes the pages of a range present and writable. The system knows no way but to store to them.
    pub(crate) fn populate(&self, _: Range<usize>) -> io::Result<bool> {
        Ok(false)
    }

    /// Windows leaves mapped views out of its dumps unless somebody asks for them.
    pub(crate) fn leave_out_of_dumps(&self, _: Range<usize>) {}

    /// Copies bytes out that nobody stores to any more; whoever does so all the same makes them others.
    pub(crate) fn read(&self, out: &mut [u8], at: usize) -> io::Result<()> {
        // SAFETY: so many bytes are mapped there for as long as `self` lives.
        unsafe { bytes::read(self.base, self.bytes, out, at) }
    }

    /// Copies bytes to where nobody else looks yet.
    pub(crate) fn write(&self, bytes: &[u8], at: usize) -> io::Result<()> {
        // SAFETY: as in `read`; the caller mapped it to write.
        unsafe { bytes::write(self.base, self.bytes, bytes, at) }
    }

    fn at(&self, range: &Range<usize>) -> NonNull<u8> {
        assert!(range.start <= range.end && range.end <= self.bytes);
        // SAFETY: it lies inside the region, as just checked.
        unsafe { self.base.add(range.start) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `view`, unmapped once, here; whoever holds addresses in it holds the region too.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.base.as_ptr().cast() }) };
    }
}
