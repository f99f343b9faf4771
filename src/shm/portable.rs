//! Objects of the crate `shared_memory`: whole mappings that it makes and opens by an os id, a name.
//!
//! The crate shows an object from the first moment on, empty, then as zeroes. So one that is made here is made while a byte of its
//! [`Companion`] is locked, and a note in the companion says which object it is: who has the lock and still finds the
//! note knows that the maker was killed, and removes what it left. Who opens one waits for that lock first.
//!
//! What the crate keeps to itself, the system says: on Unix its os id is the name of a POSIX object. Of that we ask whose
//! it is, and whether the name still leads to it, and by that it is removed: the crate's owner does the same when it is
//! dropped, and does not say how that went.

use super::companion::Companion;
use super::directory::COMPANION;
use super::options::Options;
use super::place::Place;
use super::region::Region;
use super::status::Status;
use super::turn::PATIENCE;
use super::{Error, ErrorKind, posix};
use core::fmt;
use core::fmt::Write;
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The byte of a companion that is locked while its object is made.
const MAKER: u64 = 1;

/// So that its companion has a name, too.
const LONGEST_NAME: usize = 240;

/// The note on an object of which nobody knows yet which one it is.
const UNKNOWN: &str = "?";

/// What the crate has mapped.
pub(super) struct Shared(Box<Shmem>);

impl Shared {
    fn open(name: &str) -> io::Result<Self> {
        not_as_zero(|| ShmemConf::new().os_id(name).open()).map(Box::new).map(Self).map_err(reason)
    }

    /// Made, and ours: dropped, its name is gone, too.
    fn create(name: &str, bytes: usize) -> io::Result<Self> {
        not_as_zero(|| ShmemConf::new().os_id(name).size(bytes).create()).map(Box::new).map(Self).map_err(reason)
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    pub(super) fn set_owner(&mut self, owner: bool) {
        self.0.set_owner(owner);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.0.get_os_id()).finish()
    }
}

/// The crate never closes descriptor 0, nor unlinks what it has by that: where it is free, it is not for the crate.
fn not_as_zero<R>(call: impl FnOnce() -> R) -> R {
    let _taken = File::open("/dev/null");
    call()
}

/// The system's own error, where there is one.
fn reason(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MappingIdExists => io::ErrorKind::AlreadyExists.into(),
        ShmemError::MapCreateFailed(number) | ShmemError::MapOpenFailed(number) | ShmemError::UnknownOsError(number) => {
            io::Error::from_raw_os_error(number.cast_signed())
        }
        other => io::Error::other(other),
    }
}

/// An object that somebody has found or made. It is mapped for as long, so that nothing else is taken for it.
#[derive(Clone, Debug)]
pub(super) struct Portable {
    name: String,
    identity: String,
    whole: Arc<Region>,
}

impl Portable {
    fn new(name: &str, identity: String, whole: Region) -> Self {
        Self { name: name.into(), identity, whole: Arc::new(whole) }
    }

    /// It never changes.
    pub(super) fn bytes(&self) -> u64 {
        self.whole.bytes() as u64
    }

    /// Another mapping of it. `NotFound`: its name does not lead to it any more.
    pub(super) fn attach(&self) -> io::Result<Region> {
        match attach(&self.name)? {
            (region, identity) if identity == self.identity && region.bytes() == self.whole.bytes() => Ok(region),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether its name does not lead to it any more. `None`: the system does not tell objects apart.
    pub(super) fn is_removed(&self) -> io::Result<Option<bool>> {
        match self.look() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(true)),
            found => found.map(|_| (self.identity != UNKNOWN).then_some(false)),
        }
    }

    /// The file that is locked in its stead.
    pub(super) fn companion(&self) -> String {
        companion_of(&self.name)
    }

    /// As the system says it. `NotFound`: its name does not lead to it any more.
    fn look(&self) -> io::Result<Metadata> {
        let found = look(&self.name)?;
        if identity(&found) == self.identity { Ok(found) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    pub(super) fn status(&self, place: &Place) -> io::Result<Status> {
        self.look().map(|found| Status { removed: false, ..Status::of_file(place, &found) })
    }
}

fn look(name: &str) -> io::Result<Metadata> {
    posix::look(OsStr::new(name))
}

/// What tells an object from others, where the system does.
fn identity(found: &Metadata) -> String {
    match found.ino() {
        0 => UNKNOWN.into(),
        inode => format!("{} {inode}", found.dev()),
    }
}

/// Maps the object of that name, and says which one it is.
fn attach(name: &str) -> io::Result<(Region, String)> {
    loop {
        let before = look(name)?;
        let shared = Shared::open(name)?;
        if identity(&look(name)?) == identity(&before) {
            return Ok((Region::of_portable(shared)?, identity(&before)));
        }
    }
}

fn check(name: &str, operation: &'static str) -> Result<(), Error> {
    let why = match name.strip_prefix('/').unwrap_or(name) {
        "" | "." | ".." => "it is empty",
        rest if rest.contains('/') => "a slash may be its first character only",
        rest if rest.contains('\0') => "a zero byte is in it",
        rest if rest.len() > LONGEST_NAME => "it is longer than 240 bytes",
        _ => return Ok(()),
    };
    Err(Error::new(operation, &Place::portable(name), ErrorKind::BadName { why }, None))
}

/// The file that is locked in an object's stead.
fn companion_of(name: &str) -> String {
    format!("{COMPANION}.portable-{}", name.strip_prefix('/').unwrap_or(name))
}

/// When nobody makes an object of that name: nothing of it is half-made then.
fn alone(place: &Place, name: &str) -> Result<Companion, Error> {
    let fail = |error| Error::os("lock the companion file of", place, error);
    let busy = || Error::new("wait for the maker of", place, ErrorKind::Busy, None);
    let deadline = Instant::now() + PATIENCE;
    let companion = Companion::open(companion_of(name), deadline).map_err(fail)?.ok_or_else(busy)?;
    if !companion.lock_until(MAKER, deadline).map_err(fail)? {
        return Err(busy());
    }
    let note = companion.noted().map_err(fail)?;
    if !note.is_empty() {
        let is_it = |found: Metadata| note == UNKNOWN.as_bytes() || note == identity(&found).as_bytes();
        if look(name).is_ok_and(is_it) {
            let _ = unlink(name); // another may be faster
        }
        companion.note(b"").map_err(fail)?;
    }
    Ok(companion)
}

/// Opens the object of that name, if there is one.
pub(super) fn find(options: &Options<'_>, name: &str) -> Result<Option<Portable>, Error> {
    let place = &options.place;
    check(name, "open")?;
    let _alone = alone(place, name)?;
    let refuse = |why| Err(Error::new("open", place, ErrorKind::NotMemory { why }, None));
    match look(name) {
        Ok(found) if !found.is_file() => return refuse("it is not a regular file"),
        Ok(found) if found.len() == 0 => return refuse("it is empty: its maker is not done with it, or was killed"),
        _ => {}
    }
    match attach(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::os("open", place, error)),
        Ok((region, identity)) => Ok(Some(Portable::new(name, identity, region))),
    }
}

/// A note in a companion, taken back when what it is about is settled.
#[derive(Debug)]
pub(super) struct Noted(Companion);

impl Noted {
    fn new(companion: Companion, note: &[u8]) -> io::Result<Self> {
        companion.note(note)?;
        Ok(Self(companion))
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if !self.0.forked() {
            let _ = self.0.note(b""); // else the next one finds nothing of what it says
        }
    }
}

/// Makes it. `None`: something has the name.
pub(super) fn make(options: &mut Options<'_>, name: &str) -> Result<Option<Portable>, Error> {
    let place = options.place.clone();
    check(name, "create")?;
    if options.grant.owner.is_some() || options.grant.group.is_some() || options.grant.mode.is_some_and(|mode| mode != 0o600) {
        return Err(not_to_choose("create", &place));
    }
    let fail = |error| Error::os("create", &place, error);
    let size = options.size.unwrap_or(0);
    let noted = Noted::new(alone(&place, name)?, UNKNOWN.as_bytes()).map_err(fail)?;
    let mut region = match whole(name, size) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(Error::new("create", &place, ErrorKind::TooLarge, Some(error)));
        }
        made => made.map_err(fail)?,
    };
    let identity = identity(&look(name).map_err(fail)?);
    noted.0.note(identity.as_bytes()).map_err(fail)?;
    full(&region).map_err(fail)?;
    let bytes = region.bytes();
    region.with_bytes_of_ours(bytes, |bytes| options.content.store(bytes));
    region.keep_name();
    Ok(Some(Portable::new(name, identity, region)))
}

/// A new object of that name, all of it mapped, which goes with the mapping.
fn whole(name: &str, size: u64) -> io::Result<Region> {
    if size > posix::room() {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC)); // the crate gives out what there is not
    }
    let bytes = usize::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
    Region::of_portable(Shared::create(name, bytes)?)
}

/// Makes all of it present: what is not there when the file system is full is a SIGBUS later.
fn full(region: &Region) -> io::Result<()> {
    region.prefault(true).map_err(|error| match error.raw_os_error() {
        Some(libc::EFAULT) => io::Error::from_raw_os_error(libc::ENOSPC), // there was no page to be had
        _ => error,
    })
}

/// That nobody can choose who may use it.
pub(super) fn not_to_choose(operation: &'static str, place: &Place) -> Error {
    let why = "the crate shared_memory makes objects for their owner alone (mode 600)";
    Error::unsupported(operation, place, "another owner, group or mode", why)
}

/// Takes its name away.
pub(super) fn remove(name: &str, place: &Place) -> Result<(), Error> {
    check(name, "remove")?;
    posix::remove(OsStr::new(name), place)
}

/// The same, of what may be gone.
fn unlink(name: &str) -> io::Result<()> {
    match remove(name, &Place::portable(name)) {
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.raw_os_error().map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error)),
        Ok(()) => Ok(()),
    }
}

// ---- The memory of streams.

/// A stream's memory: found by the file that leads to it, which says how long it is, and whose.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    name: String,
    bytes: u64,
}

const MEMORY: &str = "/annulus.";
const MAKERS: &str = "@shm.stream-";

impl Memory {
    /// A new one, and the proof that nobody has been told of it yet: a note that says where they will be, for who comes when
    /// we were killed. `instance` makes its name, which nobody has.
    pub(super) fn make(bytes: u64, instance: &[u8; 16], leader: &Path) -> io::Result<(Self, Noted)> {
        let mut name = String::from(MEMORY);
        for byte in &instance[..10] {
            let _ = write!(name, "{byte:02x}"); // macOS has 31 characters for it
        }
        let companion = Companion::open(format!("{MAKERS}{}", &name[MEMORY.len()..]), Instant::now() + PATIENCE)?;
        let companion = companion.ok_or(io::ErrorKind::TimedOut)?;
        let noted = Noted::new(companion, leader.as_os_str().as_bytes())?;
        let mut region = whole(&name, bytes)?;
        full(&region)?;
        region.keep_name();
        Ok((Self { name, bytes }, noted))
    }

    /// Removes what those left who were killed before anybody was told of it. `leads` says whether a file leads to the memory
    /// of a name.
    pub(super) fn sweep(leads: impl Fn(&Path, &str) -> bool) {
        for left in Companion::left(MAKERS) {
            let name = left.name().replacen(MAKERS, MEMORY, 1);
            let Ok(leader) = left.noted() else { continue };
            if leads(&PathBuf::from(OsString::from_vec(leader)), &name) || unlink(&name).is_ok() {
                let _ = left.note(b"");
            }
        }
    }

    /// The one of that name, if it is there, of that user, and so long.
    pub(super) fn find(name: &str, bytes: u64, owner: u32) -> io::Result<Option<Self>> {
        match look(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => {
                let found = found?;
                let same = found.is_file() && found.uid() == owner && found.len() == bytes;
                Ok(same.then(|| Self { name: name.into(), bytes }))
            }
        }
    }

    pub(super) fn is_name(text: &str) -> bool {
        check(text, "open").is_ok()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_there(&self) -> io::Result<bool> {
        match look(&self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => found.map(|_| true),
        }
    }

    pub(super) fn attach(&self, read_only: bool) -> io::Result<Region> {
        let (region, _) = attach(&self.name)?;
        if region.bytes() as u64 != self.bytes {
            return Err(io::ErrorKind::NotFound.into()); // another one by now
        }
        if read_only {
            region.protect(0..region.bytes())?;
        }
        Ok(region)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        unlink(&self.name)
    }
}
