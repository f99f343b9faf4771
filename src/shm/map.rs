//! Pieces of an object, mapped over address space that was reserved first: never hope for adjacency.

#![allow(unsafe_code)]

use super::system;
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

/// A reservation of address space. Nothing is in it until [`Reservation::place`].
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
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let base = unsafe { libc::mmap(core::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
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
        // SAFETY: the range is this reservation's, mapped by `new` and `place`, unmapped once, here; whoever
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
