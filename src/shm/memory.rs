//! An open object: [`SharedMemory`].

use super::mapping::{MapOptions, Mapping};
use super::options::Options;
#[cfg(windows)]
use super::page_file::PageFile;
use super::place::{Key, Place};
#[cfg(all(unix, feature = "portable"))]
use super::portable::{self, Portable};
use super::status::{Grant, Status};
#[cfg(unix)]
use super::sysv::{self, Segment};
use super::{Access, Error, ErrorKind, native};
#[cfg(unix)]
use super::posix;
use core::ops::RangeBounds;
use std::fs::File;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsHandle, BorrowedHandle};

/// An object that this process has made or opened. Dropped, it is closed; the object stays, as the
/// [lifetimes](super#how-long-an-object-lives) say, and so do its mappings.
///
/// In a child made by `fork` it works as it did in the parent.
///
/// ```
/// use annulus::shm::{self, Place};
/// # fn main() -> Result<(), shm::Error> {
/// # let place = Place::posix(format!("/annulus-doc-memory-{}", std::process::id()));
/// let memory = shm::at(&place).size(64).create_new()?;
/// memory.resize(4096)?;
/// memory.map()?.write(4000, &[1.5f32, 2.5])?;
///
/// let same = shm::at(&place).read_only().open()?;
/// assert_eq!(same.size()?, 4096);
/// assert_eq!(same.map()?.get::<f32>(4004)?, 2.5);
/// memory.remove()?;
/// assert!(same.is_removed()?);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SharedMemory {
    pub(super) place: Place,
    pub(super) object: Object,
    pub(super) access: Access,
    created: bool,
}

/// What the system knows it by.
#[derive(Debug)]
pub(super) enum Object {
    /// A file, with or without a name. Not one that is closed at `fork`: a child goes on with it.
    File(File),
    #[cfg(unix)]
    SystemV(Segment),
    #[cfg(all(unix, feature = "portable"))]
    Portable(Portable),
    #[cfg(windows)]
    Section(PageFile),
}

impl SharedMemory {
    pub(super) fn new(object: Object, options: &Options<'_>, created: bool) -> Self {
        let place = match (&object, &options.place) {
            #[cfg(unix)]
            (Object::SystemV(segment), Place::Key(Key::PRIVATE)) => Place::Id(segment.id),
            (_, place) => place.clone(),
        };
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        Self { place, object, access, created }
    }

    /// Where it is. A System V segment that was made with [`Key::PRIVATE`] is at its id.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether this handle has made it: true for exactly one of all that called `open_or_create`.
    pub fn created(&self) -> bool {
        self.created
    }

    /// What it may be used for by this handle.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The system's id of a System V segment, which can be told to another process: [`Place::id`].
    pub fn id(&self) -> Option<i32> {
        match &self.object {
            #[cfg(unix)]
            Object::SystemV(segment) => Some(segment.id),
            _ => None,
        }
    }

    /// Its file, where it is one: all but System V segments and what the crate `shared_memory` has.
    #[cfg(unix)]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.object {
            Object::File(file) => Some(file.as_fd()),
            _ => None,
        }
    }

    /// Its file, or its section.
    #[cfg(windows)]
    pub fn as_handle(&self) -> BorrowedHandle<'_> {
        match &self.object {
            Object::File(file) => file.as_handle(),
            Object::Section(section) => section.as_handle(),
        }
    }

    /// Its size in bytes, now; of a System V segment, for which it never changes, also when it is no more.
    ///
    /// # Errors
    /// What the system says when it may not be asked.
    pub fn size(&self) -> Result<u64, Error> {
        match &self.object {
            Object::File(file) => Ok(file.metadata().map_err(|error| self.os("look at", error))?.len()),
            #[cfg(unix)]
            Object::SystemV(segment) => Ok(segment.bytes), // it never changes
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(object) => Ok(object.bytes()),
            #[cfg(windows)]
            Object::Section(section) => Ok(section.bytes()),
        }
    }

    /// Its size, owner, group and mode, and who uses it, now.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] for a System V segment that is no more, and a `portable` object whose name is not its own any
    /// more.
    pub fn status(&self) -> Result<Status, Error> {
        match &self.object {
            Object::File(file) => native::status(&self.place, file).map_err(|error| self.os("look at", error)),
            #[cfg(windows)]
            Object::Section(section) => section.status().map_err(|error| self.os("look at", error)),
            #[cfg(unix)]
            Object::SystemV(segment) => {
                sysv::look(segment.id).map(|found| Status::of_segment(&found)).map_err(|error| self.of_segment("look at", error))
            }
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(object) => object.status(&self.place).map_err(|error| self.of_portable("look at", error)),
        }
    }

    /// The key that its System V segment was made with: [`Key::PRIVATE`] if with none, or if it is marked to be removed.
    pub fn key(&self) -> Option<Key> {
        match &self.object {
            #[cfg(unix)]
            Object::SystemV(segment) => sysv::look(segment.id).ok().map(|found| found.key),
            _ => None,
        }
    }

    /// Whether it was removed: it has lost its name, or is marked to go with its last mapping, or is gone.
    ///
    /// # Errors
    /// What the system says when it may not be asked.
    pub fn is_removed(&self) -> Result<bool, Error> {
        let removed = match (&self.object, &self.place) {
            (Object::File(_), Place::Anonymous) => Some(false), // it never had a name
            (Object::File(file), place) => native::is_removed(place, file).map_err(|error| self.os("look at", error))?,
            #[cfg(windows)]
            (Object::Section(_), _) => Some(false), // it is there while we have it
            #[cfg(unix)]
            (Object::SystemV(_), _) => match self.status() {
                Err(error) if *error.kind() == ErrorKind::Removed => Some(true),
                status => Some(status?.removed),
            },
            #[cfg(all(unix, feature = "portable"))]
            (Object::Portable(object), _) => object.is_removed().map_err(|error| self.os("look at", error))?,
        };
        let why = "the system does not tell what has become of the name of an object";
        removed.ok_or_else(|| Error::unsupported("look at", &self.place, "asking whether it was removed", why))
    }

    /// Changes who may do what with it, as [`Options::mode`].
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`]: its owner may, and root.
    pub fn set_mode(&self, mode: u32) -> Result<(), Error> {
        self.grant("set the mode of", Grant { mode: Some(mode), ..Grant::default() })
    }

    /// Changes its group.
    ///
    /// # Errors
    /// As of [`set_mode`](Self::set_mode); of files, only into a group that the owner is in.
    pub fn set_group(&self, group: u32) -> Result<(), Error> {
        self.grant("set the group of", Grant { group: Some(group), ..Grant::default() })
    }

    /// Gives it to another user.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`]: for files root may; for System V segments, their owner and maker too.
    pub fn set_owner(&self, user: u32) -> Result<(), Error> {
        self.grant("set the owner of", Grant { owner: Some(user), ..Grant::default() })
    }

    fn grant(&self, operation: &'static str, grant: Grant) -> Result<(), Error> {
        match &self.object {
            #[cfg(unix)]
            Object::File(file) => native::give(file, grant).map_err(|error| self.os(operation, error)),
            #[cfg(windows)]
            _ => native::check_grant(operation, &self.place, grant),
            #[cfg(unix)]
            Object::SystemV(segment) => {
                sysv::grant(segment.id, grant).map_err(|error| self.of_segment(operation, error))
            }
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(_) => Err(portable::not_to_choose(operation, &self.place)),
        }
    }

    /// Gives it another size, as often as one likes. What is added is zeroes, which are there at once (a full file system
    /// is an error now, and not a signal later).
    ///
    /// Mappings keep their length: to see what was added, map it anew. What was cut off is gone for everybody: a process
    /// that accesses it through a mapping is killed by SIGBUS. So nobody should make an object smaller that others have
    /// mapped; and memory that is sealed, as anonymous memory is without [`Options::resizable`], rules it out.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`], [`ErrorKind::TooLarge`]; [`ErrorKind::Unsupported`] for System V
    /// segments, `portable` objects, sections of the page file and sealed memory; [`ErrorKind::Mapped`] on Windows, where
    /// nobody can make a file smaller that somebody has mapped.
    pub fn resize(&self, bytes: u64) -> Result<(), Error> {
        let Object::File(file) = &self.object else {
            let why = match &self.object {
                #[cfg(unix)]
                Object::SystemV(_) => "a System V segment keeps the size that it was made with",
                #[cfg(windows)]
                Object::Section(_) => "a section of the page file keeps the size that it was made with",
                _ => "the crate shared_memory keeps the size that it made it with",
            };
            return Err(Error::unsupported("resize", &self.place, "another size", why));
        };
        if self.access == Access::ReadOnly {
            return Err(Error::new("resize", &self.place, ErrorKind::ReadOnly, None));
        }
        if native::is_sealed(file) == Some(true) {
            let why = "its size is sealed: make it with resizable()";
            return Err(Error::unsupported("resize", &self.place, "another size", why));
        }
        let now = self.size()?;
        let done = if bytes > now { native::grow(file, now, bytes) } else { file.set_len(bytes) };
        done.map_err(|error| self.os("resize", error))
    }

    /// Maps all of it, to be used as this handle may.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] for a System V segment that was removed, or marked; [`ErrorKind::NoSpace`] of the address
    /// space; [`ErrorKind::OutOfRange`] if there is nothing to be mapped.
    pub fn map(&self) -> Result<Mapping, Error> {
        self.mapping().map()
    }

    /// Maps a part of it: any bytes of it, to its end if the range has none. As [`map`](Self::map).
    ///
    /// ```
    /// # use annulus::shm::{self, Place};
    /// # fn main() -> Result<(), shm::Error> {
    /// # let place = Place::posix(format!("/annulus-doc-range-{}", std::process::id()));
    /// # let memory = shm::at(&place).size(10_000).create_new()?;
    /// let tail = memory.map_range(9_990..)?;
    /// assert_eq!((tail.offset(), tail.len()), (9_990, 10));
    /// # memory.remove()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`map`](Self::map), and [`ErrorKind::OutOfRange`] if it does not have so many bytes.
    pub fn map_range(&self, range: impl RangeBounds<u64>) -> Result<Mapping, Error> {
        self.mapping().range(range).map()
    }

    /// Begins a mapping with more to be said of it: an address, huge pages, copy-on-write.
    pub fn mapping(&self) -> MapOptions<'_> {
        MapOptions::new(self)
    }

    /// Copies its first bytes, as many as there are. A file is not mapped for that: somebody may cut it off meanwhile.
    pub(crate) fn peek(&self, bytes: &mut [u8]) -> Result<usize, Error> {
        if let Object::File(file) = &self.object
            && let Ok(found) = native::read_first(file, bytes)
        {
            return Ok(found);
        }
        let found = self.size()?.min(bytes.len() as u64) as usize;
        if found > 0 {
            self.mapping().read_only().range(..found as u64).map()?.read(0, &mut bytes[..found])?;
        }
        Ok(found)
    }

    /// Another handle of the same object, without looking for its name: that may lead elsewhere by now.
    ///
    /// # Errors
    /// What the system says: too many open files.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let object = match &self.object {
            Object::File(file) => Object::File(file.try_clone().map_err(|error| self.os("open", error))?),
            #[cfg(unix)]
            Object::SystemV(segment) => Object::SystemV(segment.clone()),
            #[cfg(all(unix, feature = "portable"))]
            Object::Portable(object) => Object::Portable(object.clone()),
            #[cfg(windows)]
            Object::Section(section) => Object::Section(section.clone()),
        };
        Ok(Self { place: self.place.clone(), object, access: self.access, created: false })
    }

    /// Takes its name away: [`remove`], and in doubt (the name leads to another object by now) nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if its name is not its own any more, and as of [`remove`].
    pub fn remove(&self) -> Result<(), Error> {
        match (&self.object, &self.place) {
            #[cfg(unix)]
            (Object::SystemV(segment), place) => sysv::remove_id(place, segment.id, ErrorKind::Removed),
            (Object::File(file), place) if *place != Place::Anonymous => {
                let look = |error| self.os("look at", error);
                let removed = native::is_removed(place, file).map_err(look)? == Some(true);
                if removed || !native::is_named(place, file).map_err(look)? {
                    return Err(Error::new("remove", place, ErrorKind::Removed, None));
                }
                remove(place)
            }
            (Object::File(_), place) => remove(place),
            #[cfg(windows)]
            (Object::Section(_), place) => remove(place),
            #[cfg(all(unix, feature = "portable"))]
            (Object::Portable(object), place) => match object.is_removed().map_err(|error| self.os("look at", error))? {
                Some(true) => Err(Error::new("remove", place, ErrorKind::Removed, None)),
                _ => remove(place),
            },
        }
    }

    pub(super) fn os(&self, operation: &'static str, error: io::Error) -> Error {
        Error::os(operation, &self.place, error)
    }

    /// What a call on a segment says that was there once.
    #[cfg(unix)]
    pub(super) fn of_segment(&self, operation: &'static str, error: io::Error) -> Error {
        if sysv::is_gone(&error) {
            return Error::new(operation, &self.place, ErrorKind::Removed, Some(error));
        }
        self.os(operation, error)
    }

    /// What is said of a `portable` object that was there once.
    #[cfg(all(unix, feature = "portable"))]
    pub(super) fn of_portable(&self, operation: &'static str, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => Error::new(operation, &self.place, ErrorKind::Removed, Some(error)),
            _ => self.os(operation, error),
        }
    }
}

/// Removes the object at `place`, without opening it, by the system's own rules: a POSIX (or `portable`) object and a file lose their name,
/// a System V segment is marked to go with its last mapping. Who has it mapped keeps it; the name is free at once. What has
/// a name in Windows' page file loses it with the last who has it, and not before.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`]; [`ErrorKind::Unsupported`] for anonymous memory and sections of
/// the page file, which go with their last user.
pub fn remove(place: impl Into<Place>) -> Result<(), Error> {
    let place = place.into();
    place.check("remove")?;
    match &place {
        #[cfg(unix)]
        Place::Posix(name) => posix::remove(name, &place),
        Place::File(path) => native::remove_file(path).map_err(|error| Error::os("remove", &place, error)),
        #[cfg(unix)]
        Place::Key(_) | Place::Id(_) => sysv::remove(&place),
        #[cfg(all(unix, feature = "portable"))]
        Place::Portable(name) => portable::remove(name, &place),
        Place::Anonymous => {
            let why = "it has no name: it goes with the last who has it open or mapped";
            Err(Error::unsupported("remove", &place, "removing", why))
        }
        #[cfg(windows)]
        Place::PageFile(_) => {
            let why = "Windows takes a section's name away with the last who has it open or mapped, and not before";
            Err(Error::unsupported("remove", &place, "removing", why))
        }
        _ => unreachable!("Place::check refuses what the system does not have"),
    }
}
