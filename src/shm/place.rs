//! Where an object is: the system's kinds of names.

#![allow(unsafe_code)]

use super::error::{Error, ErrorKind};
use super::native;
use core::fmt;
use core::str::FromStr;
use std::ffi::OsString;
#[cfg(unix)]
use std::ffi::{CString, OsStr};
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a shared memory object is, in the system's own terms, whoever made it.
///
/// Its text forms are `posix:/name`, `file:/path`, `page-file:name`, `sysv:key=0x1234`, `sysv:id=7` and `anonymous`; with the
/// feature `portable` also `portable:name`. Each of them can be named on every system; what the system does not have is
/// [`Unsupported`](ErrorKind::Unsupported) when it is used.
///
/// ```
/// use annulus::shm::Place;
/// let place: Place = "posix:/MySharedMemory".parse().unwrap();
/// assert_eq!(place, Place::posix("/MySharedMemory"));
/// assert_eq!(Place::key(0x1234).to_string(), "sysv:key=0x1234");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// The name of a POSIX object, just as `shm_open` takes it.
    Posix(OsString),
    /// The path of a file.
    File(PathBuf),
    /// The name of a section of Windows' page file, just as `CreateFileMapping` takes it.
    PageFile(OsString),
    /// The key of a System V segment; with [`Key::PRIVATE`] a new one that has no name but its id.
    Key(Key),
    /// The id that the system has given to a System V segment.
    Id(i32),
    /// The os id of an object of the crate [`shared_memory`](https://docs.rs/shared_memory). With the feature `portable`.
    #[cfg(feature = "portable")]
    Portable(String),
    /// Without a name: for children made by `fork`, and for those that its descriptor is passed to.
    Anonymous,
}

impl Place {
    /// The POSIX object of that name: one slash before it or none, none in it, at most 255 bytes (31 on macOS). On Linux it
    /// is the file of that name in `/dev/shm`.
    pub fn posix(name: impl Into<OsString>) -> Self {
        Self::Posix(name.into())
    }

    /// The file of that path.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// The section of Windows' page file of that name: plain or after `Local\`, which is the same, one of this session;
    /// after `Global\`, one that all sessions find, and that only services and administrators make.
    pub fn page_file(name: impl Into<OsString>) -> Self {
        Self::PageFile(name.into())
    }

    /// The System V segment of that key.
    pub fn key(key: impl Into<Key>) -> Self {
        Self::Key(key.into())
    }

    /// The System V segment of that id, as [`SharedMemory::id`](super::SharedMemory::id) or `ipcs -m` say it.
    pub fn id(id: i32) -> Self {
        Self::Id(id)
    }

    /// The object of that os id, just as the crate [`shared_memory`](https://docs.rs/shared_memory) takes it: one slash before
    /// it or none, none in it, at most 240 bytes (31 on macOS). On Unix it is the POSIX object of that name. With the
    /// feature `portable`.
    #[cfg(feature = "portable")]
    pub fn portable(os_id: impl Into<String>) -> Self {
        Self::Portable(os_id.into())
    }

    /// Memory without a name.
    pub fn anonymous() -> Self {
        Self::Anonymous
    }

    /// That the system has no such objects, if it has none.
    pub(super) fn check(&self, operation: &'static str) -> Result<(), Error> {
        match native::no_such_place(self) {
            Some(why) => Err(Error::unsupported(operation, self, "that kind of object", why)),
            None => Ok(()),
        }
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl From<Key> for Place {
    fn from(key: Key) -> Self {
        Self::Key(key)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posix(name) => write!(f, "posix:{}", name.display()),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::PageFile(name) => write!(f, "page-file:{}", name.display()),
            Self::Key(key) => write!(f, "sysv:key={key}"),
            Self::Id(id) => write!(f, "sysv:id={id}"),
            #[cfg(feature = "portable")]
            Self::Portable(name) => write!(f, "portable:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            let why = match cfg!(feature = "portable") {
                true => "it is none of posix:/NAME, file:PATH, page-file:NAME, sysv:key=KEY, sysv:id=ID, portable:NAME, anonymous",
                false => "it is none of posix:/NAME, file:PATH, page-file:NAME, sysv:key=KEY, sysv:id=ID, anonymous",
            };
            Error::without_place("understand the place", ErrorKind::BadName { why }, None).on_text(text)
        };
        match text.split_once(':') {
            Some(("posix", name)) if !name.is_empty() => Ok(Self::posix(name)),
            Some(("file", path)) if !path.is_empty() => Ok(Self::file(path)),
            Some(("page-file", name)) if !name.is_empty() => Ok(Self::page_file(name)),
            Some(("sysv", which)) => match which.split_once('=') {
                Some(("key", key)) => Ok(Self::Key(key.parse().map_err(|_| unknown())?)),
                Some(("id", id)) => Ok(Self::Id(id.parse().map_err(|_| unknown())?)),
                _ => Err(unknown()),
            },
            #[cfg(feature = "portable")]
            Some(("portable", name)) if !name.is_empty() => Ok(Self::portable(name)),
            None if text == "anonymous" => Ok(Self::Anonymous),
            _ => Err(unknown()),
        }
    }
}

/// The key of a System V segment: a number that processes agree on. Shown as `ipcs` shows it, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(i32);

impl Key {
    /// `IPC_PRIVATE`, which is 0: each segment that is made with it is a new one, to be found by its id only.
    pub const PRIVATE: Self = Self(0);

    /// The key of that number.
    pub const fn new(key: i32) -> Self {
        Self(key)
    }

    /// `ftok`: the key that belongs to a file that exists, and to one of 255 projects (not 0).
    ///
    /// It is made of 16 bits of the file's inode, 8 of its device and the project: two files may have the same one, and a
    /// file that was made anew has another.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and the like, of the file; [`ErrorKind::Unsupported`] on Windows.
    pub fn ftok(path: impl AsRef<Path>, project: u8) -> Result<Self, Error> {
        let path = path.as_ref();
        let place = || Place::file(path);
        if project == 0 {
            let what = "the project of a key is 1 to 255";
            return Err(Error::new("make a key of", &place(), ErrorKind::BadParameter { what }, None));
        }
        #[cfg(windows)]
        return Err(Error::unsupported("make a key of", &place(), "a key", "Windows has no System V segments"));
        #[cfg(unix)]
        ftok(path, project).map(Self).map_err(|error| Error::os("make a key of", &place(), error))
    }

    /// Its number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl From<i32> for Key {
    fn from(key: i32) -> Self {
        Self(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// In hexadecimal (`0x1234`, all 32 bits), or in decimal, negative ones too.
impl FromStr for Key {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).map(|key| Self(key.cast_signed())),
            None => text.parse().map(Self),
        }
    }
}

#[cfg(unix)]
fn ftok(path: &Path, project: u8) -> io::Result<i32> {
    let name = c_string(path.as_os_str())?;
    // SAFETY: the path is a terminated string that lives through the call.
    match unsafe { libc::ftok(name.as_ptr(), project.into()) } {
        -1 => Err(io::Error::last_os_error()),
        key => Ok(key),
    }
}

#[cfg(unix)]
pub(super) fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_text() {
        let all = ["posix:/x", "posix:x", "file:/tmp/a:b", "file:rel", r"file:C:\a", "page-file:x", r"page-file:Global\x"];
        let others = ["sysv:key=0x1234", "sysv:id=7", "anonymous"];
        for text in all.into_iter().chain(others) {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
        }
        #[cfg(feature = "portable")]
        assert_eq!("portable:/x".parse::<Place>().unwrap(), Place::portable("/x"));
        assert_eq!("portable:/x".parse::<Place>().is_ok(), cfg!(feature = "portable"));
        let negative = Place::key(-2);
        assert_eq!(negative.to_string(), "sysv:key=0xfffffffe");
        for text in ["sysv:key=0xfffffffe", "sysv:key=-2"] {
            assert_eq!(text.parse::<Place>().unwrap(), negative);
        }
        for text in ["", "x", "posix:", "file:", "page-file:", "sysv:7", "sysv:key=", "sysv:id=x", "sysv:key=0x123456789", "anonymous:"] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::BadName { .. }), "{text}");
            assert!(error.to_string().contains("sysv:key=KEY"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn ftok_is_the_systems() {
        let here = std::env::temp_dir();
        let key = Key::ftok(&here, b'A').unwrap();
        assert_eq!(key.get() >> 24, i32::from(b'A'));
        assert_eq!(Key::ftok(&here, b'A').unwrap(), key);
        assert_ne!(Key::ftok(&here, b'B').unwrap(), key);
        assert!(matches!(Key::ftok("/nowhere at all", 1).unwrap_err().kind(), ErrorKind::NotFound));
        assert!(matches!(Key::ftok(&here, 0).unwrap_err().kind(), ErrorKind::BadParameter { .. }));
    }
}
