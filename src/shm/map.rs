//! An object, mapped with address space behind it over which pieces of it are mapped once more: never hope for adjacency.

#![allow(unsafe_code)]

use super::system;
use crate::sync::AtomicU8;
use crate::sync::Ordering::Relaxed;
use core::ptr::NonNull;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// What the addresses of mappings are multiples of.
pub(super) fn granule() -> usize {
    page_bytes()
}

/// How much is mapped of so many bytes: whole pages.
pub(super) fn whole(bytes: u64, page: u64) -> u64 {
    bytes.next_multiple_of(page)
}

/// What a piece may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

impl Access {
    fn protection(self) -> i32 {
        match self {
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        }
    }
}

/// A reservation of address space: a file from its beginning on, and behind its end nothing until [`Reservation::place`].
#[derive(Debug)]
pub(crate) struct Reservation {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the reservation is a range of addresses, owned by whoever owns this; it is tied to no thread.
unsafe impl Send for Reservation {}
// SAFETY: through a shared reference only the base address can be had.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Maps a file into the first of `bytes`. One call for all that is to lie there as it lies in the file: each more costs as
    /// much as the whole look at a descriptor.
    pub(crate) fn of(file: &File, bytes: usize, access: Access) -> io::Result<Self> {
        let (protection, descriptor) = (access.protection(), file.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let base = unsafe { libc::mmap(core::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, descriptor, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::other("the system mapped address zero"))?;
        Ok(Self { base, bytes })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Maps `bytes` of `file` from `offset` on at `at` bytes into the reservation. All three are whole pages.
    pub(crate) fn place(
        &mut self,
        at: usize,
        file: &File,
        offset: u64,
        bytes: usize,
        access: Access,
    ) -> io::Result<()> {
        let inside = at.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        let Some(offset) = libc::off_t::try_from(offset).ok().filter(|_| inside) else {
            return Err(io::Error::other("a mapping would lie outside its reservation"));
        };
        // SAFETY: `at` lies inside the reservation, as just checked.
        let address = unsafe { self.base.as_ptr().add(at) };
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: the range lies inside the reservation, which this owns and lends to nobody while `&mut`.
        let placed = unsafe {
            libc::mmap(address.cast(), bytes, access.protection(), flags, file.as_raw_fd(), offset)
        };
        if placed == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Says anew what `bytes` from `at` on may be used for. Both are whole pages.
    pub(crate) fn protect(&mut self, at: usize, bytes: usize, access: Access) -> io::Result<()> {
        let pages = self.pages(at, bytes)?;
        // SAFETY: the range lies inside the reservation, which this owns and lends to nobody while `&mut`.
        let done = unsafe { libc::mprotect(pages.as_ptr().cast(), bytes, access.protection()) };
        if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Looks at the page at `at`, which is the file's: the system maps what is in memory around it with it, as far as it was mapped
    /// as one.
    pub(crate) fn look(&self, at: usize) -> io::Result<()> {
        let page = self.pages(at, 1)?;
        // SAFETY: the byte is mapped; others may store to it, which is why it is an atomic.
        core::hint::black_box(unsafe { page.cast::<AtomicU8>().as_ref() }.load(Relaxed));
        Ok(())
    }

    /// Keeps `bytes` from `at` on out of core dumps: a ring of gigabytes would delay the death of its holder.
    pub(crate) fn leave_out_of_dumps(&self, at: usize, bytes: usize) {
        if let Ok(pages) = self.pages(at, bytes) {
            system::leave_out_of_dumps(pages, bytes);
        }
    }

    /// Makes the pages present and writable, so that a push takes no fault. False if the system knows no way.
    pub(crate) fn populate(&self, at: usize, bytes: usize) -> io::Result<bool> {
        system::populate(self.pages(at, bytes)?, bytes)
    }

    fn pages(&self, at: usize, bytes: usize) -> io::Result<NonNull<u8>> {
        if at.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(io::Error::other("pages outside a reservation"));
        }
        // SAFETY: the range lies inside the reservation, as just checked.
        Ok(unsafe { self.base.add(at) })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range is this reservation's, mapped by `of` and `place`, unmapped once, here; whoever
        // holds addresses in it holds the reservation too.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// The system's page size.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf has no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}
