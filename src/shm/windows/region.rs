//! One piece of a section in the address space, and what the system does with its pages.

#![allow(unsafe_code)]

use super::map::page_bytes;
use super::section::Section;
use super::{done, handle};
use crate::shm::{Access, bytes};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::{NonNull, null};
use core::slice;
use std::fs::File;
use std::io;
use std::sync::Arc;
use windows_sys::Win32::Storage::FileSystem::FlushFileBuffers;
use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, FlushViewOfFile,
    MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFileEx, PAGE_READONLY, UnmapViewOfFile,
    VirtualLock, VirtualProtect, VirtualQuery,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessWorkingSetSize};

/// Mapped bytes. Unmapped when dropped. Keeps the section open, or it would lose its name.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    _section: Arc<Section>,
    /// What is to be on the disk when it is flushed.
    file: Option<File>,
}

// SAFETY: a region is a range of addresses, tied to no thread.
unsafe impl Send for Region {}
// SAFETY: through a shared reference only the base address can be had, and system calls that any thread may make.
unsafe impl Sync for Region {}

impl Region {
    /// Maps a section, whole.
    pub(crate) fn view(section: Arc<Section>, read_only: bool) -> io::Result<Self> {
        let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
        let mut region = Self::of_section(section, 0, 0, access, None, false)?;
        region.bytes = region.mapped_bytes()?;
        Ok(region)
    }

    /// Maps `bytes` of `file` from `offset` on, as [`of_section`](Self::of_section).
    pub(crate) fn map(
        file: &File,
        offset: u64,
        bytes: usize,
        access: Access,
        address: Option<usize>,
    ) -> io::Result<Self> {
        let section = Section::of_file(file, access != Access::ReadWrite)?;
        let mut region = Self::of_section(section.into(), offset, bytes, access, address, false)?;
        if access == Access::ReadWrite {
            region.file = Some(file.try_clone()?);
        }
        Ok(region)
    }

    /// Maps `bytes` of a section from `offset`, a granule's beginning, on; at an address of the system's choice, or at
    /// `address` if nothing is there (`ERROR_INVALID_ADDRESS`).
    pub(super) fn of_section(
        section: Arc<Section>,
        offset: u64,
        bytes: usize,
        access: Access,
        address: Option<usize>,
        large: bool,
    ) -> io::Result<Self> {
        let access = match access {
            Access::ReadOnly => FILE_MAP_READ,
            Access::ReadWrite => FILE_MAP_READ | FILE_MAP_WRITE,
            Access::CopyOnWrite => FILE_MAP_COPY,
        };
        let access = access | if large { FILE_MAP_LARGE_PAGES } else { 0 };
        let wanted = null::<core::ffi::c_void>().with_addr(address.unwrap_or(0));
        let (high, low) = ((offset >> 32) as u32, offset as u32);
        // SAFETY: a new mapping, over nothing: it fails if something is at the address.
        let base = unsafe { MapViewOfFileEx(section.handle(), access, high, low, bytes, wanted) }.Value;
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, bytes, _section: section, file: None })
    }

    /// How much is mapped: whole pages. What another program has committed only a part of comes in pieces.
    fn mapped_bytes(&self) -> io::Result<usize> {
        let mut bytes = 0;
        loop {
            let mut found = MaybeUninit::<MEMORY_BASIC_INFORMATION>::uninit();
            let at = self.base.as_ptr().wrapping_add(bytes).cast();
            // SAFETY: the result has room for the answer.
            let filled = unsafe { VirtualQuery(at, found.as_mut_ptr(), size_of_val(&found)) };
            if filled == 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the call succeeded, so it filled the result.
            let found = unsafe { found.assume_init() };
            if found.AllocationBase.addr() != self.address() {
                return Ok(bytes);
            }
            bytes += found.RegionSize;
        }
    }

    pub(crate) fn address(&self) -> usize {
        self.base.addr().get()
    }

    /// Lends the first `bytes` of an object that nobody else knows of yet, and that was mapped to be written to.
    pub(crate) fn with_bytes_of_ours(&mut self, bytes: usize, store: impl FnOnce(&mut [u8])) {
        assert!(bytes <= self.bytes);
        // SAFETY: so many bytes are mapped there for as long as `self` lives. The callers are those who build an object,
        // before it has a name (`file::prepare`), or while those of us who look for it wait (`page_file::make`).
        store(unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), bytes) });
    }

    /// Writes a range back to what it was mapped from, and waits until that is done, or only begins it.
    pub(crate) fn flush(&self, range: Range<usize>, wait: bool) -> io::Result<()> {
        if range.is_empty() {
            return Ok(()); // to Windows no bytes are all
        }
        // SAFETY: the pages are mapped; writing them back changes nothing here.
        done(unsafe { FlushViewOfFile(self.at(&range).as_ptr().cast(), range.len()) })?;
        match &self.file {
            // SAFETY: the handle is open.
            Some(file) if wait => done(unsafe { FlushFileBuffers(handle(file)) }),
            _ => Ok(()),
        }
    }

    /// Keeps its pages in memory.
    pub(crate) fn lock(&self) -> io::Result<()> {
        // SAFETY: the pages are mapped; to be kept in memory changes nothing of them.
        done(unsafe { VirtualLock(self.base.as_ptr().cast(), self.bytes) })
    }

    /// Makes its pages present, to be read or to be written to: by touching them. The system's own way does not wait.
    pub(crate) fn prefault(&self, write: bool) -> io::Result<()> {
        // SAFETY: so many bytes are mapped there, for as long as `self` lives; who says `write` may.
        unsafe { bytes::touch(self.base, self.bytes, write) };
        Ok(())
    }

    /// Asks for huge pages. `Err`: why there will be none.
    pub(crate) fn ask_for_huge_pages(&self) -> Result<(), &'static str> {
        Err(
            "Windows gives them to a section from the first: make it with Options::huge_pages, in a size of whole huge \
             pages, as a user who has the privilege to lock pages in memory (SeLockMemoryPrivilege)",
        )
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

/// Bytes that this process may lock into memory: about the least that its working set has.
pub(crate) fn lock_limit() -> u64 {
    let (mut least, mut most) = (0, 0);
    // SAFETY: the results live through the call.
    unsafe { GetProcessWorkingSetSize(GetCurrentProcess(), &raw mut least, &raw mut most) };
    least as u64
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by the constructor, unmapped once, here; whoever holds addresses in it holds the region too.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.base.as_ptr().cast() }) };
    }
}
