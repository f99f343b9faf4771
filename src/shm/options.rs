//! How an object is made or found: [`at`].

use super::file::{self, Naming};
use super::memory::{Object, SharedMemory};
#[cfg(windows)]
use super::page_file;
use super::place::{Key, Place};
#[cfg(all(unix, feature = "portable"))]
use super::portable;
use super::status::Grant;
use super::turn::Turn;
use super::{Error, ErrorKind};
#[cfg(unix)]
use super::{anonymous, posix, sysv};
use core::fmt;
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(windows)]
use std::os::windows::io::OwnedHandle;

type Init<'a> = Box<dyn FnOnce(&mut [u8]) + 'a>;

/// Begins to make or to open the object at `place`.
///
/// ```
/// use annulus::shm::{self, Place};
/// # fn main() -> Result<(), shm::Error> {
/// # let place = Place::posix(format!("/annulus-doc-at-{}", std::process::id()));
/// let memory = shm::at(&place).size(1000).fill(1).open_or_create()?;
/// assert!(memory.created());
/// let mapping = memory.map()?;
/// assert_eq!(mapping.get::<u8>(999)?, 1);
/// memory.remove()?;
/// # Ok(()) }
/// ```
pub fn at<'a>(place: impl Into<Place>) -> Options<'a> {
    Options {
        place: place.into(),
        size: None,
        read_only: false,
        grant: Grant::default(),
        content: Content { fill: None, init: None },
        resizable: false,
        huge_pages: false,
    }
}

/// How an object is to be made or opened; ended by [`create_new`](Self::create_new), [`open`](Self::open) or
/// [`open_or_create`](Self::open_or_create).
#[must_use = "it does nothing until it is ended by create_new, open or open_or_create"]
pub struct Options<'a> {
    pub(super) place: Place,
    pub(super) size: Option<u64>,
    pub(super) read_only: bool,
    pub(super) grant: Grant,
    pub(super) content: Content<'a>,
    pub(super) resizable: bool,
    pub(super) huge_pages: bool,
}

/// What a new object holds before anybody else sees it.
pub(super) struct Content<'a> {
    fill: Option<u8>,
    init: Option<Init<'a>>,
}

impl Content<'_> {
    pub(super) fn is_none(&self) -> bool {
        self.fill.is_none_or(|byte| byte == 0) && self.init.is_none()
    }

    /// Stores it. The bytes are zeroes, and nobody else's yet.
    pub(super) fn store(&mut self, bytes: &mut [u8]) {
        if let Some(byte) = self.fill.filter(|byte| *byte != 0) {
            bytes.fill(byte);
        }
        if let Some(init) = self.init.take() {
            init(bytes);
        }
    }
}

impl<'a> Options<'a> {
    /// How many bytes it has. Needed to make one; one that is opened must have exactly as many.
    ///
    /// That is the size as the object says it, to the byte. Memory is given out in [pages](super::page_bytes): behind the
    /// last byte, up to the end of its page, lie zeroes that belong to nobody. Of a section of the page file Windows says
    /// how many pages it has, and no more: opened with a size, it has that size if that comes to as many pages; without
    /// one, it has whole pages.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// This handle is only to look.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Who may do what with a new object, as with files: `0o640` lets its owner read and write, its group read. Exactly
    /// that, whatever the umask; 0o600 without a word. On Windows [`Unsupported`](ErrorKind::Unsupported), as owner and group
    /// are: a file has the access list that it inherits from its directory, and a section that of its maker's token.
    pub fn mode(mut self, mode: u32) -> Self {
        self.grant.mode = Some(mode);
        self
    }

    /// The group of a new object, by its number.
    pub fn group(mut self, group: u32) -> Self {
        self.grant.group = Some(group);
        self
    }

    /// The owner of a new object, by its number. But for System V, only root may choose another than itself.
    pub fn owner(mut self, user: u32) -> Self {
        self.grant.owner = Some(user);
        self
    }

    /// Fills a new object with a byte; it holds zeroes otherwise. See [`init`](Self::init).
    pub fn fill(mut self, byte: u8) -> Self {
        self.content.fill = Some(byte);
        self
    }

    /// Gives a new object its content, after [`fill`](Self::fill): once, in the process that [created](SharedMemory::created)
    /// it, before anybody else sees it.
    ///
    /// Of several processes of one user that come at the same time, one runs it, and the others wait. If that one is killed
    /// meanwhile, the next begins anew. One that takes longer than 10 seconds is not waited for: a POSIX object or a file
    /// is then made a second time, and the first who is ready gives it the name; with System V, `portable` and the page file it
    /// is [`ErrorKind::Busy`].
    /// Processes of different users are not kept from running it at the same time, and again one of them gives the name.
    pub fn init(mut self, init: impl FnOnce(&mut [u8]) + 'a) -> Self {
        self.content.init = Some(Box::new(init));
        self
    }

    /// Anonymous memory is made so that its size can be changed. Otherwise it is sealed: nobody who has it can cut it off
    /// under the others. The other kinds are not sealed, ever. On Windows it keeps its size in any case.
    pub fn resizable(mut self) -> Self {
        self.resizable = true;
        self
    }

    /// Makes anonymous memory, a System V segment, or a section of the page file, of huge pages, if the system has enough
    /// of them left (Linux: of those that were reserved), lets us have them (Windows: `SeLockMemoryPrivilege`) and the size is
    /// a multiple of theirs; of ordinary ones otherwise. What came of it, [`Mapping::huge_pages`](super::Mapping::huge_pages) says.
    pub fn huge_pages(mut self) -> Self {
        self.huge_pages = true;
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if something has that name; [`ErrorKind::NoSpace`], [`ErrorKind::TooLarge`],
    /// [`ErrorKind::PermissionDenied`], [`ErrorKind::BadName`], and what the system says.
    pub fn create_new(mut self) -> Result<SharedMemory, Error> {
        self.needs_size()?;
        let exists = |place| Err(Error::new("create", place, ErrorKind::AlreadyExists, None));
        if self.is_nameless() {
            return self.created();
        }
        if self.is_there()? {
            return exists(&self.place);
        }
        let turn = self.turn()?;
        if self.is_there()? {
            return exists(&self.place);
        }
        match self.make(turn.as_ref())? {
            Some(object) => Ok(SharedMemory::new(object, &self, true)),
            None => exists(&self.place),
        }
    }

    /// Opens what is there, whoever made it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::SizeMismatch`] if a [`size`](Self::size) was
    /// asked for and it has another; [`ErrorKind::NotMemory`] for a directory or a device; and what the system says.
    pub fn open(self) -> Result<SharedMemory, Error> {
        self.place.check("open")?;
        match self.find(None)? {
            Some(object) => self.opened(object),
            None => Err(Error::new("open", &self.place, ErrorKind::NotFound, None)),
        }
    }

    /// Opens it, or makes it if it is not there: [`SharedMemory::created`] says which.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) and of [`create_new`](Self::create_new), but for `NotFound` and `AlreadyExists`.
    pub fn open_or_create(mut self) -> Result<SharedMemory, Error> {
        self.needs_size()?;
        if self.is_nameless() {
            return self.created();
        }
        if let Some(object) = self.find(None)? {
            return self.opened(object);
        }
        let turn = self.turn()?;
        loop {
            if let Some(object) = self.find(turn.as_ref())? {
                return self.opened(object);
            }
            if let Some(object) = self.make(turn.as_ref())? {
                return Ok(SharedMemory::new(object, &self, true));
            }
        }
    }

    /// The anonymous memory that a descriptor is of: inherited, or passed over a Unix socket.
    ///
    /// # Errors
    /// [`ErrorKind::NotMemory`] unless its size is sealed (then nobody can cut it off under us, and kill us by SIGBUS), or
    /// [`resizable`](Self::resizable) says that this is accepted; [`ErrorKind::SizeMismatch`].
    ///
    /// # Example
    /// ```
    /// use annulus::shm::{self, Place};
    /// # #[cfg(target_os = "linux")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = shm::at(Place::anonymous()).size(4096).create_new()?;
    /// let descriptor = memory.as_fd().unwrap().try_clone_to_owned()?; // and passed to another process
    ///
    /// let passed = shm::at(Place::anonymous()).from_fd(descriptor)?;
    /// passed.map()?.set(0, 7u32)?;
    /// assert_eq!(memory.map()?.get::<u32>(0)?, 7);
    /// # Ok(()) }
    /// # #[cfg(not(target_os = "linux"))]
    /// # fn main() {}
    /// ```
    #[cfg(unix)]
    pub fn from_fd(self, descriptor: OwnedFd) -> Result<SharedMemory, Error> {
        if self.place != Place::Anonymous {
            let what = "a descriptor is taken over as Place::Anonymous; what has a name is opened by it";
            return Err(Error::new("take over a descriptor as", &self.place, ErrorKind::BadParameter { what }, None));
        }
        let object = anonymous::take_over(&self, descriptor)?;
        self.opened(object)
    }

    /// The anonymous memory that a handle of a section is of: inherited, or duplicated for this process.
    ///
    /// # Errors
    /// [`ErrorKind::NotMemory`] if it is none of a section; [`ErrorKind::SizeMismatch`].
    ///
    /// # Example
    /// ```
    /// use annulus::shm::{self, Place};
    /// # #[cfg(windows)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = shm::at(Place::anonymous()).size(4096).create_new()?;
    /// let handle = memory.as_handle().try_clone_to_owned()?; // and DuplicateHandle for another process
    ///
    /// let passed = shm::at(Place::anonymous()).from_handle(handle)?;
    /// passed.map()?.set(0, 7u32)?;
    /// assert_eq!(memory.map()?.get::<u32>(0)?, 7);
    /// # Ok(()) }
    /// # #[cfg(not(windows))]
    /// # fn main() {}
    /// ```
    #[cfg(windows)]
    pub fn from_handle(self, handle: OwnedHandle) -> Result<SharedMemory, Error> {
        if self.place != Place::Anonymous {
            let what = "a handle is taken over as Place::Anonymous; what has a name is opened by it";
            return Err(Error::new("take over a handle as", &self.place, ErrorKind::BadParameter { what }, None));
        }
        let object = page_file::take_over(&self, handle)?;
        self.opened(Object::Section(object))
    }

    /// Whether each one that is made is a new one.
    fn is_nameless(&self) -> bool {
        matches!(self.place, Place::Anonymous | Place::Key(Key::PRIVATE))
    }

    fn created(mut self) -> Result<SharedMemory, Error> {
        match self.make(None)? {
            Some(object) => Ok(SharedMemory::new(object, &self, true)),
            None => Err(Error::new("create", &self.place, ErrorKind::AlreadyExists, None)),
        }
    }

    fn opened(self, object: Object) -> Result<SharedMemory, Error> {
        #[cfg_attr(unix, expect(unused_mut, reason = "what Windows does not know, who opens it says"))]
        let mut memory = SharedMemory::new(object, &self, false);
        #[cfg(windows)]
        if let (Object::Section(section), Some(wanted)) = (&mut memory.object, self.size) {
            section.agree_on(wanted);
        }
        let found = memory.size()?;
        match self.size {
            Some(wanted) if wanted != found => {
                Err(Error::new("open", &self.place, ErrorKind::SizeMismatch { found, wanted }, None))
            }
            _ => Ok(memory),
        }
    }

    fn needs_size(&self) -> Result<(), Error> {
        self.place.check("create")?;
        let what = match (self.size, &self.place) {
            (None, _) => "to make an object, say how large with size()",
            (Some(0), Place::Anonymous | Place::PageFile(_) | Place::Key(_)) => "it cannot be empty",
            #[cfg(feature = "portable")]
            (Some(0), Place::Portable(_)) => "it cannot be empty",
            (_, Place::Id(_)) => "the system chooses ids: create it with a key, Key::PRIVATE perhaps",
            _ => return Ok(()),
        };
        Err(Error::new("create", &self.place, ErrorKind::BadParameter { what }, None))
    }

    fn turn(&self) -> Result<Option<Turn>, Error> {
        match &self.place {
            #[cfg(feature = "portable")]
            Place::Portable(_) => Ok(None), // each step of it has its own
            Place::PageFile(_) => Ok(None), // as well
            place => Turn::take(place),
        }
    }

    fn is_there(&self) -> Result<bool, Error> {
        match self.find(None) {
            Ok(found) => Ok(found.is_some()),
            // It is there, whatever we may do with it.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotMemory { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn find(&self, turn: Option<&Turn>) -> Result<Option<Object>, Error> {
        let _ = turn; // not all of them need it
        match &self.place {
            #[cfg(unix)]
            Place::Posix(name) => posix::find(self, name).map(|file| file.map(Object::File)),
            Place::File(path) => file::find(self, Naming::path(path)).map(|file| file.map(Object::File)),
            #[cfg(windows)]
            Place::PageFile(name) => page_file::find(self, name).map(|found| found.map(Object::Section)),
            #[cfg(unix)]
            Place::Key(_) | Place::Id(_) => sysv::find(self, turn).map(|segment| segment.map(Object::SystemV)),
            #[cfg(all(unix, feature = "portable"))]
            Place::Portable(name) => portable::find(self, name).map(|found| found.map(Object::Portable)),
            Place::Anonymous => {
                let why = "it has no name to be found by: use create_new, or from_fd with its descriptor (from_handle on Windows)";
                Err(Error::unsupported("open", &self.place, "opening", why))
            }
            _ => unreachable!("Place::check refuses what the system does not have"),
        }
    }

    /// `None`: something has the name.
    fn make(&mut self, turn: Option<&Turn>) -> Result<Option<Object>, Error> {
        let _ = turn;
        match self.place.clone() {
            #[cfg(unix)]
            Place::Posix(name) => posix::make(self, &name).map(|file| file.map(Object::File)),
            Place::File(path) => file::make(self, Naming::path(&path)).map(|file| file.map(Object::File)),
            #[cfg(windows)]
            Place::PageFile(name) => page_file::make(self, Some(&name)).map(|made| made.map(Object::Section)),
            #[cfg(unix)]
            Place::Key(key) => sysv::make(self, key, turn).map(|segment| segment.map(Object::SystemV)),
            #[cfg(all(unix, feature = "portable"))]
            Place::Portable(name) => portable::make(self, &name).map(|made| made.map(Object::Portable)),
            #[cfg(unix)]
            Place::Anonymous => anonymous::make(self).map(|file| Some(Object::File(file))),
            #[cfg(windows)]
            Place::Anonymous => page_file::make(self, None).map(|made| made.map(Object::Section)),
            _ => unreachable!("needs_size refuses an id, and what the system does not have"),
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("place", &self.place).field("size", &self.size).finish_non_exhaustive()
    }
}
