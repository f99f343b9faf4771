//! System V segments: found by a key or an id, there until they are removed.
//!
//! # Made whole before anybody sees them
//! A segment has its key from the first moment on, empty, and there is no way to give it one later. So one that is being
//! made has a mode that says so, [`BUILDING`], which nobody would choose: its owner may read and write, all others may
//! *execute*, which for segments means nothing. Its maker gives it the mode that was asked for (`IPC_SET`) when it holds
//! what it should, and not before. All of that happens in the maker's [`Turn`], a lock that the kernel frees if it is killed.
//!
//! | who comes meanwhile | finds `BUILDING` and |
//! |---|---|
//! | of the same user | waits for the turn; has it and still finds `BUILDING`: the maker was killed, the segment is removed, and is not there |
//! | of another user | has no permission, whoever it is but root; looks again until the mode has changed, [`PATIENCE`] at most |
//! | another program | of another user: has no permission. Of the same user: sees it as it is, as with any maker of segments |
//!
//! A segment in any other mode is whole: it is found without any lock, whoever made it.

#![allow(unsafe_code)]

use super::owner::effective_uid;
use super::options::Options;
use super::place::{Key, Place};
use super::region::Region;
use super::status::Grant;
use super::turn::{PATIENCE, Turn};
use super::{Error, ErrorKind, native};
use core::mem::MaybeUninit;
use core::time::Duration;
use std::io;
use std::time::Instant;

/// The mode of a segment that is being made.
const BUILDING: u32 = 0o611;

/// It goes with its last mapping (`SHM_DEST`).
const MARKED: u32 = 0o1000;

/// A segment that somebody has found or made.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) id: i32,
    pub(super) bytes: u64,
}

/// What the system says of a segment.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: i32,
    pub(super) key: Key,
    pub(super) size: u64,
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) maker: u32,
    /// With the mark.
    pub(super) mode: u32,
    pub(super) creator: u32,
    pub(super) attached: u64,
}

impl Found {
    pub(super) fn is_marked(&self) -> bool {
        self.mode & MARKED != 0
    }

    pub(super) fn is_building(&self) -> bool {
        self.mode & 0o777 == BUILDING
    }
}

/// What the system says of the segment of that id, to one who may read it.
pub(super) fn look(id: i32) -> io::Result<Found> {
    let data = stat(id)?;
    let perm = &data.shm_perm;
    Ok(Found {
        id,
        key: native::key_of(perm),
        size: data.shm_segsz as u64,
        owner: perm.uid,
        group: perm.gid,
        maker: perm.cuid,
        mode: u32::from(perm.mode),
        creator: data.shm_cpid.cast_unsigned(),
        attached: native::attached(&data),
    })
}

fn stat(id: i32) -> io::Result<libc::shmid_ds> {
    let mut found = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: the result has room for the answer.
    if unsafe { libc::shmctl(id, libc::IPC_STAT, found.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the result.
    Ok(unsafe { found.assume_init() })
}

fn get(key: Key, bytes: usize, flags: i32) -> io::Result<i32> {
    // SAFETY: the call takes numbers only.
    match unsafe { libc::shmget(key.get(), bytes, flags) } {
        -1 => Err(io::Error::last_os_error()),
        id => Ok(id),
    }
}

/// Removes it: at once if nobody has it mapped, or else with its last mapping; its key is free at once.
pub(super) fn mark(id: i32) -> io::Result<()> {
    // SAFETY: the command takes no data.
    match unsafe { libc::shmctl(id, libc::IPC_RMID, core::ptr::null_mut()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Whom it is for, from now on.
pub(super) fn grant(id: i32, grant: Grant) -> io::Result<()> {
    let mut data = stat(id)?;
    let perm = &mut data.shm_perm;
    perm.uid = grant.owner.unwrap_or(perm.uid);
    perm.gid = grant.group.unwrap_or(perm.gid);
    if let Some(mode) = grant.mode {
        perm.mode = (mode & 0o777) as _;
    }
    // SAFETY: the data live through the call.
    match unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut data) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// That the system knows no such id (any more).
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIDRM))
}

fn wanted(options: &Options<'_>) -> i32 {
    if options.read_only { 0o400 } else { 0o600 }
}

/// The segment of that key or id, if there is one, whole.
pub(super) fn find(options: &Options<'_>, turn: Option<&Turn>) -> Result<Option<Segment>, Error> {
    let deadline = Instant::now() + PATIENCE;
    let fail = |error| Error::os("open", &options.place, error);
    loop {
        let id = match options.place {
            Place::Id(id) => id,
            Place::Key(Key::PRIVATE) => {
                let what = "Key::PRIVATE finds nothing: open the segment by its id";
                return Err(Error::new("open", &options.place, ErrorKind::BadParameter { what }, None));
            }
            Place::Key(key) => match get(key, 0, 0) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
                id => id.map_err(fail)?,
            },
            _ => unreachable!("options.rs asks here for segments only"),
        };
        let found = match look(id) {
            Err(error) if is_gone(&error) => {
                if matches!(options.place, Place::Id(_)) {
                    return Ok(None);
                }
                continue; // between the two
            }
            // One who may not look may learn the mode all the same. If that is another by now, it may be one who may.
            Err(error) => match native::segment(id).filter(Found::is_building) {
                Some(found) => found,
                None => look(id).map_err(|_| fail(error))?,
            },
            Ok(found) => found,
        };
        if !found.is_building() {
            return opened(options, &found).map(Some);
        }
        // One of ours is waited for within its turn; if it is there then still, something else keeps it.
        let ours = found.maker == effective_uid();
        let again = Instant::now() < deadline && (!ours || end_of_turn(turn, &found)?);
        if !again {
            return Err(Error::new("wait for the maker of", &options.place, ErrorKind::Busy, None));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn opened(options: &Options<'_>, found: &Found) -> Result<Segment, Error> {
    if found.is_marked() {
        return Err(Error::new("open", &options.place, ErrorKind::Removed, None));
    }
    // To map it and to unmap it is the only question about permissions that the system answers for an id.
    let allowed = match options.place {
        Place::Key(key) => get(key, 0, wanted(options)).map(drop),
        _ => Region::attach(found.id, found.size as usize, options.read_only, None).map(drop),
    };
    allowed.map_err(|error| Error::os("open", &options.place, error))?;
    Ok(Segment { id: found.id, bytes: found.size })
}

/// Waits until nobody makes a segment of that key, and removes one that was left half-made. False: that takes too long.
fn end_of_turn(turn: Option<&Turn>, found: &Found) -> Result<bool, Error> {
    let _taken = match turn {
        Some(_) => None,
        None => match Turn::take(&Place::Key(found.key))? {
            None => return Ok(false),
            taken => taken,
        },
    };
    if look(found.id).is_ok_and(|found| found.is_building() && found.attached == 0) {
        let _ = mark(found.id); // gone already is as good
    }
    Ok(true)
}

/// Makes a segment of that key. `None`: there is one.
pub(super) fn make(options: &mut Options<'_>, key: Key, turn: Option<&Turn>) -> Result<Option<Segment>, Error> {
    let place = options.place.clone();
    let fail = |operation, error| Error::os(operation, &place, error);
    if options.grant.mode == Some(BUILDING) {
        let what = "mode 611 is that of a segment that is being made: choose another";
        return Err(Error::new("create", &place, ErrorKind::BadParameter { what }, None));
    }
    if key != Key::PRIVATE && turn.is_none() {
        return Err(Error::new("wait for the maker of", &place, ErrorKind::Busy, None));
    }
    let size = options.size.unwrap_or(0);
    let bytes = usize::try_from(size).map_err(|_| Error::new("create", &place, ErrorKind::TooLarge, None))?;
    let id = match new(key, bytes, options.huge_pages) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => return Ok(None),
        // Out of the bounds of SHMMIN, which is 1, and SHMMAX.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(Error::new("create", &place, ErrorKind::TooLarge, Some(error)));
        }
        id => id.map_err(|error| fail("create", error))?,
    };
    let unfinished = Unfinished(id);
    if size > native::free_memory() {
        let full = io::Error::from_raw_os_error(libc::ENOMEM); // the system gives out what it does not have
        return Err(fail("create", full));
    }
    if !options.content.is_none() {
        let mut region = Region::attach(id, bytes, false, None).map_err(|error| fail("map", error))?;
        region.with_bytes_of_ours(bytes, |bytes| options.content.store(bytes));
    }
    grant(id, options.grant.or_usual()).map_err(|error| fail("set the owner, group or mode of", error))?;
    core::mem::forget(unfinished);
    Ok(Some(Segment { id, bytes: size }))
}

fn new(key: Key, bytes: usize, huge_pages: bool) -> io::Result<i32> {
    let mode = if key == Key::PRIVATE { 0o600 } else { BUILDING }; // that one nobody finds
    let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode.cast_signed();
    if huge_pages && let Some(huge) = native::SEGMENT_IN_HUGE_PAGES {
        match get(key, bytes, flags | huge) {
            Err(error) if error.raw_os_error() != Some(libc::EEXIST) => {} // none are left, or we may not have them
            made => return made,
        }
    }
    get(key, bytes, flags)
}

/// Makes a segment that nobody finds, and that says that it is being made until its mode is [granted](grant).
pub(super) fn make_unfinished(bytes: u64) -> io::Result<i32> {
    let bytes = usize::try_from(bytes).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    if bytes as u64 > native::free_memory() {
        return Err(io::Error::from_raw_os_error(libc::ENOMEM)); // the system gives out what it does not have
    }
    get(Key::PRIVATE, bytes, libc::IPC_CREAT | libc::IPC_EXCL | BUILDING.cast_signed())
}

/// Removes what those left who were killed before they had said where their segment is.
pub(super) fn sweep() {
    let is_left = |found: &Found| {
        found.key == Key::PRIVATE
            && found.is_building()
            && found.owner == effective_uid()
            && found.attached == 0
            && is_dead(found.creator)
    };
    for left in native::segments().unwrap_or_default().into_iter().filter(is_left) {
        let _ = mark(left.id); // another one may be faster
    }
}

/// Whether there is no process of that number, as seen from here. Of those in other pid namespaces the system says 0.
fn is_dead(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 asks, and does nothing.
    pid > 0 && unsafe { libc::kill(pid, 0) } == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// Removes a segment that did not become one.
struct Unfinished(i32);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = mark(self.0);
    }
}

/// Removes the segment of that key or id.
pub(super) fn remove(place: &Place) -> Result<(), Error> {
    let fail = |error| Error::os("remove", place, error);
    let id = match place {
        Place::Key(key) => get(*key, 0, 0).map_err(fail)?,
        Place::Id(id) => *id,
        _ => unreachable!("memory.rs asks here for segments only"),
    };
    remove_id(place, id, ErrorKind::NotFound)
}

/// Removes it; `gone` if the system knows it no more.
pub(super) fn remove_id(place: &Place, id: i32, gone: ErrorKind) -> Result<(), Error> {
    mark(id).map_err(|error| match is_gone(&error) {
        true => Error::new("remove", place, gone, Some(error)),
        false => Error::os("remove", place, error),
    })
}

