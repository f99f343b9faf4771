//! Mapped bytes of an object: [`Mapping`], and how one is made ([`MapOptions`]).

use super::map;
use super::memory::{Object, SharedMemory};
use super::place::Place;
use super::region::{Region, lock_limit};
#[cfg(unix)]
use super::sysv;
use super::{Access, Error, ErrorKind, native};
use core::ops::{Bound, Range, RangeBounds};
use std::io;

/// How a mapping is to be made; ended by [`map`](Self::map).
///
/// ```
/// use annulus::shm::{self, HugePages, Place};
/// # fn main() -> Result<(), shm::Error> {
/// # let place = Place::posix(format!("/annulus-doc-mapping-{}", std::process::id()));
/// # let memory = shm::at(&place).size(1 << 16).create_new()?;
/// let mapping = memory.mapping().range(100..200).copy_on_write().prefault().huge_pages().map()?;
/// mapping.set(0, 7u8)?; // nobody else sees it
/// assert_eq!(memory.map()?.get::<u8>(100)?, 0);
/// if let HugePages::None(why) = mapping.huge_pages() {
///     println!("no huge pages: {why}");
/// }
/// # memory.remove()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is ended by map"]
pub struct MapOptions<'a> {
    memory: &'a SharedMemory,
    range: (u64, Option<u64>),
    access: Access,
    address: Option<usize>,
    prefault: bool,
    locked: bool,
    huge_pages: bool,
}

/// Bytes of an object in this process's memory. Dropped, they are unmapped; the object stays.
///
/// It does not need the handle that it was made by, and stays valid in a child made by `fork`. What its methods read and
/// write are copies of [plain data](bytemuck::Pod), word by word, so that nothing breaks if another process stores to the
/// same bytes at the same time; what of it was read then may be old and new mixed. Agree on who writes, use
/// [`lock`](SharedMemory::lock), or atomics.
#[derive(Debug)]
pub struct Mapping {
    pub(super) region: Region,
    /// Where the first byte that was asked for lies in the region, which begins on a page.
    pub(super) first: usize,
    pub(super) len: usize,
    pub(super) offset: u64,
    pub(super) access: Access,
    pub(super) place: Place,
    huge_pages: HugePages,
}

/// Whether a mapping has huge pages: fewer entries in the processor's tables, and so fewer misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HugePages {
    /// The object is made of them, of so many bytes each.
    Explicit(u64),
    /// The kernel puts them in where it has some, and where the mapping is aligned and large enough.
    Transparent,
    /// It has none, and why.
    None(&'static str),
}

impl<'a> MapOptions<'a> {
    pub(super) fn new(memory: &'a SharedMemory) -> Self {
        let access = memory.access;
        Self { memory, range: (0, None), access, address: None, prefault: false, locked: false, huge_pages: false }
    }

    /// Only these bytes of the object; to its end if the range has none. They may begin and end anywhere.
    pub fn range(mut self, range: impl RangeBounds<u64>) -> Self {
        let first = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => Some(last.saturating_add(1)),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        self.range = (first, end);
        self
    }

    /// To look only.
    pub fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// What is stored stays in this process. Works on a handle that is only to look, too; not for System V segments and
    /// `portable` objects.
    pub fn copy_on_write(mut self) -> Self {
        self.access = Access::CopyOnWrite;
        self
    }

    /// The first byte is to come to lie at this address; never over something that is mapped already. It must be as far
    /// into a [page](super::page_bytes), on Windows into [64 KiB](super::address_granularity), as the range begins: for a
    /// whole object, a multiple of that.
    pub fn at_address(mut self, address: usize) -> Self {
        self.address = Some(address);
        self
    }

    /// Its pages are made present now, so that no access has to wait for that later.
    pub fn prefault(mut self) -> Self {
        self.prefault = true;
        self
    }

    /// Its pages stay in memory (`mlock`, `VirtualLock`).
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// Huge pages, if they can be had: [`Mapping::huge_pages`] says.
    pub fn huge_pages(mut self) -> Self {
        self.huge_pages = true;
        self
    }

    /// Maps it.
    ///
    /// # Errors
    /// As of [`SharedMemory::map`]; besides [`ErrorKind::ReadOnly`] if the handle is only to look,
    /// [`ErrorKind::Misaligned`] and [`ErrorKind::AddressTaken`] for an address, [`ErrorKind::LockLimit`].
    pub fn map(self) -> Result<Mapping, Error> {
        let memory = self.memory;
        if self.access == Access::ReadWrite && memory.access == Access::ReadOnly {
            return Err(self.fails(ErrorKind::ReadOnly));
        }
        let size = memory.size()?;
        let (offset, bytes) = self.bounds(size)?;
        let len = usize::try_from(bytes).map_err(|_| self.fails(ErrorKind::TooLarge))?;
        let (region, first) = match &memory.object {
            Object::File(file) => {
                let page = native::huge_page_bytes(file).unwrap_or(map::granule() as u64);
                let before = offset % page;
                let base = self.base(before, page)?;
                let whole = usize::try_from(map::whole(before + bytes, page)).unwrap_or(usize::MAX);
                let region = Region::map(file, offset - before, whole, self.access, base);
                (region.map_err(|error| self.refused(error))?, before as usize)
            }
            #[cfg(windows)]
            Object::Section(section) => {
                let page = section.granule();
                let before = offset % page;
                let base = self.base(before, page)?;
                let whole = usize::try_from(before + bytes).unwrap_or(usize::MAX);
                let region = section.map(offset - before, whole, self.access, base);
                (region.map_err(|error| self.refused(error))?, before as usize)
            }
            #[cfg(unix)]
            Object::SystemV(segment) => {
                if self.access == Access::CopyOnWrite {
                    let why = "the system attaches segments shared only";
                    return Err(Error::unsupported("map", &memory.place, "copy-on-write", why));
                }
                let fail = |error| memory.of_segment("map", error);
                if sysv::look(segment.id).map_err(fail)?.is_marked() {
                    return Err(self.fails(ErrorKind::Removed));
                }
                let base = self.base(offset, map::granule() as u64)?;
                let read_only = self.access == Access::ReadOnly;
                let region = Region::attach(segment.id, segment.bytes as usize, read_only, base);
                // An address that is taken is EINVAL, as an id that is none.
                let taken = |error| match base {
                    Some(_) if sysv::look(segment.id).is_ok() => self.refused_at_address(error),
                    _ => fail(error),
                };
                (region.map_err(taken)?, offset as usize)
            }
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(object) => {
                let why = "the crate shared_memory maps objects shared only, where the system chooses";
                let unsupported = |what| Err(Error::unsupported("map", &memory.place, what, why));
                if self.access == Access::CopyOnWrite {
                    return unsupported("copy-on-write");
                }
                if self.address.is_some() {
                    return unsupported("an address");
                }
                let region = object.attach().map_err(|error| memory.of_portable("map", error))?;
                if self.access == Access::ReadOnly {
                    region.protect(0..region.bytes()).map_err(|error| memory.os("map", error))?;
                }
                (region, offset as usize)
            }
        };
        let huge_pages = self.ask_for_huge_pages(&region);
        let place = memory.place.clone();
        let mapping = Mapping { region, first, len, offset, access: self.access, place, huge_pages };
        if self.prefault {
            mapping.prefault()?;
        }
        if self.locked {
            mapping.lock_in_memory()?;
        }
        Ok(mapping)
    }

    fn bounds(&self, size: u64) -> Result<(u64, u64), Error> {
        let (offset, end) = (self.range.0, self.range.1.unwrap_or(size));
        let bytes = end.saturating_sub(offset);
        if end > size || bytes == 0 {
            return Err(self.fails(ErrorKind::OutOfRange { offset, bytes, size }));
        }
        Ok((offset, bytes))
    }

    /// Where the page has to begin that holds the first byte, if that is to lie at an address.
    fn base(&self, before: u64, page: u64) -> Result<Option<usize>, Error> {
        let Some(address) = self.address else { return Ok(None) };
        let (at, remainder) = (address as u64, before % page);
        if at % page != remainder || at <= before {
            return Err(self.fails(ErrorKind::Misaligned { at, to: page, remainder }));
        }
        Ok(Some((at - before) as usize))
    }

    fn ask_for_huge_pages(&self, region: &Region) -> HugePages {
        if let Object::File(file) = &self.memory.object
            && let Some(bytes) = native::huge_page_bytes(file)
        {
            return HugePages::Explicit(bytes);
        }
        #[cfg(windows)]
        if let Object::Section(section) = &self.memory.object
            && let Some(bytes) = section.huge_page_bytes()
        {
            return HugePages::Explicit(bytes);
        }
        #[cfg(unix)]
        if let Some(bytes) = self.memory.id().and_then(|_| native::huge_page_bytes_at(region.address())) {
            return HugePages::Explicit(bytes);
        }
        match self.huge_pages.then(|| region.ask_for_huge_pages()) {
            None => HugePages::None("they were not asked for"),
            Some(Ok(())) => HugePages::Transparent,
            Some(Err(why)) => HugePages::None(why),
        }
    }

    fn refused(&self, error: io::Error) -> Error {
        match native::error_kind(&error) {
            _ if native::is_address_taken(&error) => self.refused_at_address(error),
            // A descriptor that was opened to look maps nothing to be stored to.
            ErrorKind::PermissionDenied if self.memory.access == Access::ReadOnly => self.fails(ErrorKind::ReadOnly),
            _ => self.memory.os("map", error),
        }
    }

    fn refused_at_address(&self, error: io::Error) -> Error {
        let kind = ErrorKind::AddressTaken { address: self.address.unwrap_or(0) };
        Error::new("map", &self.memory.place, kind, Some(error))
    }

    fn fails(&self, kind: ErrorKind) -> Error {
        Error::new("map", &self.memory.place, kind, None)
    }
}

impl Mapping {
    /// How many bytes it has.
    #[allow(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Which byte of the object its first one is.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What it may be used for.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The address of its first byte.
    pub fn address(&self) -> usize {
        self.region.address() + self.first
    }

    /// Whether it has huge pages.
    pub fn huge_pages(&self) -> HugePages {
        self.huge_pages
    }

    /// Makes its pages present, so that no access has to wait for that later.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`] if there is no memory.
    pub fn prefault(&self) -> Result<(), Error> {
        self.region.prefault(self.access != Access::ReadOnly).map_err(|error| Error::os("prefault", &self.place, error))
    }

    /// Keeps its pages in memory (`mlock`, `VirtualLock`) until it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::LockLimit`] says how many bytes this process may.
    pub fn lock_in_memory(&self) -> Result<(), Error> {
        self.region.lock().map_err(|error| match native::is_lock_limit(&error) {
            true => {
                let kind = ErrorKind::LockLimit { limit: lock_limit() };
                Error::new("lock into memory", &self.place, kind, Some(error))
            }
            false => Error::os("lock into memory", &self.place, error),
        })
    }

    /// Writes what was stored back to the file, and waits for that. Of memory that is no file's, it does nothing.
    ///
    /// # Errors
    /// What the system says of the file; [`ErrorKind::Unsupported`] where what is stored stays in this process.
    pub fn flush(&self) -> Result<(), Error> {
        self.flush_pages(0..self.len, true)
    }

    /// The same from `offset` to the end.
    ///
    /// # Errors
    /// As of [`flush_range`](Self::flush_range).
    pub fn flush_from(&self, offset: usize) -> Result<(), Error> {
        self.flush_range(offset..self.len)
    }

    /// The same of these bytes of the mapping.
    ///
    /// # Errors
    /// As of [`flush`](Self::flush), and [`ErrorKind::OutOfRange`].
    pub fn flush_range(&self, range: Range<usize>) -> Result<(), Error> {
        self.flush_pages(range, true)
    }

    /// The same, without waiting for it.
    ///
    /// # Errors
    /// As of [`flush_range`](Self::flush_range).
    pub fn flush_async(&self, range: Range<usize>) -> Result<(), Error> {
        self.flush_pages(range, false)
    }

    fn flush_pages(&self, range: Range<usize>, wait: bool) -> Result<(), Error> {
        if self.access == Access::CopyOnWrite {
            let why = "what is stored to a copy-on-write mapping stays in this process";
            return Err(Error::unsupported("flush", &self.place, "flushing", why));
        }
        self.check("flush", range.start as u64, range.end.saturating_sub(range.start))?;
        let pages = self.first + range.start..self.first + range.end.max(range.start);
        self.region.flush(pages, wait).map_err(|error| Error::os("flush", &self.place, error))
    }

    /// That so many bytes from `offset` on lie in it.
    pub(super) fn check(&self, operation: &'static str, offset: u64, bytes: usize) -> Result<usize, Error> {
        let inside = offset.checked_add(bytes as u64).is_some_and(|end| end <= self.len as u64);
        if inside {
            return Ok(offset as usize);
        }
        let kind = ErrorKind::OutOfRange { offset, bytes: bytes as u64, size: self.len as u64 };
        Err(Error::new(operation, &self.place, kind, None))
    }
}
