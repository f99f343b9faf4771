//! One piece of an object in the address space, and what the system does with its pages.

#![allow(unsafe_code)]

use super::{Access, bytes};
use super::map::page_bytes;
#[cfg(feature = "portable")]
use super::portable::Shared;
use super::{native, system};
use core::ops::Range;
use core::ptr::{NonNull, null, null_mut};
use core::slice;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// How it came here, and so how it goes.
#[derive(Debug)]
enum Origin {
    Mapped,
    Attached,
    /// It goes with that.
    #[cfg(feature = "portable")]
    Portable(Shared),
}

/// Mapped bytes, from a page's beginning on. Unmapped, or detached, when dropped.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    origin: Origin,
}

// SAFETY: a region is a range of addresses, tied to no thread; nor is what the crate `shared_memory` has of it, a name, a
// descriptor and these addresses.
unsafe impl Send for Region {}
// SAFETY: through a shared reference only the base address can be had, and system calls that any thread may make.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `bytes` of `file` from `offset`, a page's beginning, on; at an address of the system's choice, or at `address`
    /// if nothing is there (EEXIST).
    pub(super) fn map(file: &File, offset: u64, bytes: usize, access: Access, address: Option<usize>) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        let (protection, kind) = match access {
            Access::ReadOnly => (libc::PROT_READ, libc::MAP_SHARED),
            Access::ReadWrite => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
            Access::CopyOnWrite => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        };
        let flags = kind | if address.is_some() { native::MAP_NOTHING_OVER } else { 0 };
        let wanted = null_mut::<libc::c_void>().with_addr(address.unwrap_or(0));
        // SAFETY: a new mapping, over nothing: at an address of the system's choice, or where the flags make it fail, or
        // go elsewhere, if something is there.
        let base = unsafe { libc::mmap(wanted, bytes, protection, flags, file.as_raw_fd(), offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("the system mapped address zero"))?;
        let region = Self { base, bytes, origin: Origin::Mapped };
        // Where the system takes the address as a hint.
        if address.is_some_and(|address| address != region.address()) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        Ok(region)
    }

    /// Attaches a System V segment of `bytes`, whole; at an address of the system's choice, or at `address` if nothing is
    /// there (EINVAL).
    pub(super) fn attach(id: i32, bytes: usize, read_only: bool, address: Option<usize>) -> io::Result<Self> {
        let flags = if read_only { libc::SHM_RDONLY } else { 0 };
        let wanted = null::<libc::c_void>().with_addr(address.unwrap_or(0));
        // SAFETY: a new mapping, over nothing: without SHM_REMAP it fails if something is there.
        let base = unsafe { libc::shmat(id, wanted, flags) };
        if base.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("the system mapped address zero"))?;
        Ok(Self { base, bytes, origin: Origin::Attached })
    }

    /// What the crate `shared_memory` has mapped.
    #[cfg(feature = "portable")]
    pub(super) fn of_portable(shared: Shared) -> io::Result<Self> {
        let base = NonNull::new(shared.base()).ok_or_else(|| io::Error::other("the system mapped address zero"))?;
        Ok(Self { base, bytes: shared.bytes(), origin: Origin::Portable(shared) })
    }

    /// From now on its name does not go with it.
    #[cfg(feature = "portable")]
    pub(super) fn keep_name(&mut self) {
        if let Origin::Portable(shared) = &mut self.origin {
            shared.set_owner(false);
        }
    }

    #[cfg(feature = "portable")]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn address(&self) -> usize {
        self.base.addr().get()
    }

    /// Lends the first `bytes` of an object that nobody else knows of yet, and that was mapped to be written to.
    pub(super) fn with_bytes_of_ours(&mut self, bytes: usize, store: impl FnOnce(&mut [u8])) {
        assert!(bytes <= self.bytes);
        // SAFETY: so many bytes are mapped there for as long as `self` lives. The callers are those who build an object,
        // before it has a name (`file::prepare`) or while it is marked as theirs (`sysv::make`, `portable::make`).
        store(unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), bytes) });
    }

    /// The address, and the length, of the whole pages that a range of bytes lies on.
    fn pages(&self, range: &Range<usize>) -> (*mut libc::c_void, usize) {
        assert!(range.start <= range.end && range.end <= self.bytes);
        let first = range.start / page_bytes() * page_bytes();
        // SAFETY: it lies inside the region, as just checked.
        (unsafe { self.base.add(first) }.as_ptr().cast(), range.end - first)
    }

    /// Writes a range back to what it was mapped from, and waits until that is done, or only begins it.
    pub(super) fn flush(&self, range: Range<usize>, wait: bool) -> io::Result<()> {
        let (pages, bytes) = self.pages(&range);
        let how = if wait { libc::MS_SYNC } else { libc::MS_ASYNC };
        // SAFETY: the pages are mapped; writing them back changes nothing here.
        done(unsafe { libc::msync(pages, bytes, how) })
    }

    /// Keeps its pages in memory.
    pub(super) fn lock(&self) -> io::Result<()> {
        // SAFETY: the pages are mapped; to be kept in memory changes nothing of them.
        done(unsafe { libc::mlock(self.base.as_ptr().cast(), self.bytes) })
    }

    /// Makes its pages present, to be read or to be written to.
    pub(super) fn prefault(&self, write: bool) -> io::Result<()> {
        if native::prefault(self.base, self.bytes, write)? {
            return Ok(());
        }
        // SAFETY: so many bytes are mapped there, for as long as `self` lives; who says `write` may.
        unsafe { bytes::touch(self.base, self.bytes, write) };
        Ok(())
    }

    /// Leaves of the whole pages that a range lies on only that they can be read.
    pub(crate) fn protect(&self, range: Range<usize>) -> io::Result<()> {
        let (pages, bytes) = self.pages(&range);
        // SAFETY: the pages are mapped, and ours; who stores to them from now on is killed, and nobody lent them to be.
        done(unsafe { libc::mprotect(pages, bytes, libc::PROT_READ) })
    }

    /// Makes the pages of a range present and writable. False if the system knows no way.
    pub(crate) fn populate(&self, range: Range<usize>) -> io::Result<bool> {
        native::prefault(self.at(&range), range.len(), true)
    }

    /// Keeps a range out of core dumps.
    pub(crate) fn leave_out_of_dumps(&self, range: Range<usize>) {
        system::leave_out_of_dumps(self.at(&range), range.len());
    }

    fn at(&self, range: &Range<usize>) -> NonNull<u8> {
        assert!(range.start <= range.end && range.end <= self.bytes);
        // SAFETY: it lies inside the region, as just checked.
        unsafe { self.base.add(range.start) }
    }

    /// Copies bytes out that nobody stores to any more; whoever does so all the same makes them others.
    pub(crate) fn read(&self, out: &mut [u8], at: usize) -> io::Result<()> {
        // SAFETY: so many bytes are mapped there for as long as `self` lives.
        unsafe { bytes::read(self.base, self.bytes, out, at) }
    }

    /// Copies bytes to where nobody else looks yet.
    pub(crate) fn write(&self, bytes: &[u8], at: usize) -> io::Result<()> {
        // SAFETY: as in `read`; the caller attached it to write.
        unsafe { bytes::write(self.base, self.bytes, bytes, at) }
    }

    /// Asks for huge pages. `Err`: why there will be none.
    pub(super) fn ask_for_huge_pages(&self) -> Result<(), &'static str> {
        native::ask_for_huge_pages(self.base, self.bytes)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped, or attached, by the constructor, undone once, here; whoever holds addresses in it holds the
        // region too.
        unsafe {
            match self.origin {
                Origin::Mapped => libc::munmap(self.base.as_ptr().cast(), self.bytes),
                Origin::Attached => libc::shmdt(self.base.as_ptr().cast()),
                #[cfg(feature = "portable")]
                Origin::Portable(_) => 0, // the crate unmaps it, in a moment
            };
        }
    }
}

/// Bytes that this process may lock into memory.
pub(super) fn lock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives through the call.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit.rlim_cur
}

fn done(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
