//! Sections of the page file under names of any program's.
//!
//! Windows shows a section from the first moment on, as zeroes. So one of ours is made while a byte of its [`Companion`] is
//! locked, and who opens one waits for that lock first: none of ours sees it half-made. Those of other programs may. One whose
//! maker is killed goes with it, as a section does with the last handle of it.
//!
//! Locks are bytes of companions, too: a mutex would be its thread's, and one that has it already would get it again.

use super::owner::User;
use super::section::{Section, large_page_bytes};
use super::{Error as _, region::Region};
use crate::shm::companion::Companion;
use crate::shm::directory::COMPANION;
use crate::shm::options::Options;
use crate::shm::place::Place;
use crate::shm::status::Status;
use crate::shm::turn::PATIENCE;
use crate::shm::{Access, Error, ErrorKind, map, native};
use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Instant;
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, ERROR_PATH_NOT_FOUND};

/// The byte of a companion that is locked while its section is made.
const MAKER: u64 = 1;

/// A section that somebody has made or found.
#[derive(Clone, Debug)]
pub(crate) struct PageFile {
    section: Arc<Section>,
    bytes: u64,
    /// The file that is locked in its stead, if it has a name.
    companion: Option<String>,
    huge_pages: Option<u64>,
}

impl PageFile {
    /// One that is there already: all that Windows says of its size is how many pages it has.
    fn found(section: Section, name: Option<&OsStr>) -> io::Result<Self> {
        let section = Arc::new(section);
        let bytes = Region::view(Arc::clone(&section), true)?.bytes() as u64;
        Ok(Self { section, bytes, companion: name.map(companion_of), huge_pages: None })
    }

    /// Who opens it says how large it is, if that comes to as many pages.
    pub(crate) fn agree_on(&mut self, bytes: u64) {
        let page = map::page_bytes() as u64;
        if bytes.checked_next_multiple_of(page) == Some(self.bytes) {
            self.bytes = bytes;
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.section.as_handle()
    }

    pub(crate) fn companion(&self) -> Option<String> {
        self.companion.clone()
    }

    pub(crate) fn huge_page_bytes(&self) -> Option<u64> {
        self.huge_pages
    }

    /// What offsets and addresses of its mappings are multiples of.
    pub(crate) fn granule(&self) -> u64 {
        self.huge_pages.unwrap_or(map::granule() as u64)
    }

    /// Maps `bytes` of it, from a granule's beginning on.
    pub(crate) fn map(
        &self,
        offset: u64,
        bytes: usize,
        access: Access,
        address: Option<usize>,
    ) -> io::Result<Region> {
        let large = self.huge_pages.is_some();
        Region::of_section(Arc::clone(&self.section), offset, bytes, access, address, large)
    }

    pub(crate) fn status(&self) -> io::Result<Status> {
        let owner = self.section.owner()?.map_or(0, |owner| owner.number());
        Ok(Status { size: self.bytes, owner, ..Status::of_nobody() })
    }

    /// Whether it is this user's, as far as the system says.
    pub(crate) fn is_ours(&self) -> io::Result<bool> {
        self.section.owner()?.map_or(Ok(true), |owner: User| owner.is_trusted())
    }
}

/// The file that is locked in the stead of the section of that name: plain, it is `Local\`, too.
fn companion_of(name: &OsStr) -> String {
    let units: Vec<u16> = name.encode_wide().collect();
    let local: Vec<u16> = r"Local\".encode_utf16().collect();
    let units = units.strip_prefix(&*local).unwrap_or(&units);
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    format!("{COMPANION}.section-{:016x}", crc::Crc::<u64>::new(&crc::CRC_64_XZ).checksum(&bytes))
}

/// When nobody of ours makes a section of that name: none is half-made then.
fn alone(place: &Place, name: &OsStr) -> Result<Companion, Error> {
    let fail = |error| Error::os("lock the companion file of", place, error);
    let busy = || Error::new("wait for the maker of", place, ErrorKind::Busy, None);
    let deadline = Instant::now() + PATIENCE;
    let companion = Companion::open(companion_of(name), deadline).map_err(fail)?.ok_or_else(busy)?;
    match companion.lock_until(MAKER, deadline).map_err(fail)? {
        true => Ok(companion),
        false => Err(busy()),
    }
}

fn check(place: &Place, name: &OsStr, operation: &'static str) -> Result<(), Error> {
    let is_backslash = |unit: u16| unit == u16::from(b'\\');
    let why = match name.encode_wide().last() {
        last if last.is_none_or(is_backslash) => "it is empty",
        _ if name.encode_wide().any(|unit| unit == 0) => "a zero character is in it",
        _ => return Ok(()),
    };
    Err(Error::new(operation, place, ErrorKind::BadName { why }, None))
}

/// What Windows says about a name.
fn refused(operation: &'static str, place: &Place, error: io::Error) -> Error {
    let kind = if error.is(ERROR_PATH_NOT_FOUND) {
        let why = r"there is no such place for names: before a backslash stands Local or Global, and there is one only";
        ErrorKind::BadName { why }
    } else if error.is(ERROR_INVALID_HANDLE) {
        ErrorKind::NotMemory { why: "something else has that name: an event, a mutex, a semaphore" }
    } else {
        native::error_kind(&error)
    };
    Error::new(operation, place, kind, Some(error))
}

/// Opens the section of that name, if there is one.
pub(crate) fn find(options: &Options<'_>, name: &OsStr) -> Result<Option<PageFile>, Error> {
    let place = &options.place;
    check(place, name, "open")?;
    let _alone = alone(place, name)?;
    match Section::open_to(name, options.read_only) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !error.is(ERROR_PATH_NOT_FOUND) => Ok(None),
        opened => {
            let section = opened.map_err(|error| refused("open", place, error))?;
            PageFile::found(section, Some(name)).map(Some).map_err(|error| Error::os("map", place, error))
        }
    }
}

/// Makes it, with a name or without. `None`: something has the name.
pub(crate) fn make(options: &mut Options<'_>, name: Option<&OsStr>) -> Result<Option<PageFile>, Error> {
    let place = options.place.clone();
    native::check_grant("create", &place, options.grant)?;
    let _alone = match name {
        Some(name) => {
            check(&place, name, "create")?;
            Some(alone(&place, name)?)
        }
        None => None,
    };
    let bytes = options.size.unwrap_or(0);
    if i64::try_from(bytes).is_err() {
        return Err(Error::new("create", &place, ErrorKind::TooLarge, None));
    }
    let large = large_page_bytes().filter(|page| options.huge_pages && bytes.is_multiple_of(*page));
    let in_large_pages = || Section::create(name, bytes, None, true);
    let (made, huge_pages) = match large.map(|_| in_large_pages()) {
        Some(Ok(section)) => (Ok(section), large),
        _ => (Section::create(name, bytes, None, false), None),
    };
    let section = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        made => Arc::new(made.map_err(|error| refused("create", &place, error))?),
    };
    let made = PageFile { section, bytes, companion: name.map(companion_of), huge_pages };
    if !options.content.is_none() {
        let whole =
            usize::try_from(bytes).map_err(|_| Error::new("map", &place, ErrorKind::TooLarge, None))?;
        let region = made.map(0, whole, Access::ReadWrite, None);
        let mut region = region.map_err(|error| Error::os("map", &place, error))?;
        region.with_bytes_of_ours(whole, |bytes| options.content.store(bytes));
    }
    Ok(Some(made))
}

/// What a handle is of that somebody passed.
pub(crate) fn take_over(options: &Options<'_>, handle: OwnedHandle) -> Result<PageFile, Error> {
    PageFile::found(Section::of_handle(handle), None).map_err(|error| {
        let kind = match error.is(ERROR_INVALID_HANDLE) {
            true => ErrorKind::NotMemory { why: "the handle is none of a section" },
            false => native::error_kind(&error),
        };
        Error::new("take over", &options.place, kind, Some(error))
    })
}
