//! Create, open, replace, remove: how handles come to a segment, and how the last one cleans up.
//!
//! Everybody passes the *attach gate*, a lock byte of the object: attaching takes it shared, replacing and
//! removing take it exclusively. Inside, the name is compared with the object once more, so that nobody
//! attaches to what is being removed. A name is held only by a live producer, consumer or lossless reader;
//! viewers do not hold it. The order of the checks is that of the proofs; change it only with them.

mod attachment;
mod found;

pub(crate) use attachment::Attachment;
pub(crate) use found::{Opened, is_of_earlier_boot, seen_ns};
use found::Keepers;

use crate::descriptor::{Descriptor, Kind};
use crate::error::Error;
use crate::layout::{self, GATE_BYTE, LIVE, SEAT_BYTES};
use crate::name::Name;
use crate::seat::{self, Role, Seat};
use crate::segment::{Rights, Segment};
use crate::shm::directory::{Access, Directory};
use crate::shm::home::{Backend, Home};
use crate::shm::leader;
use crate::shm::lock::{LockFile, Mode};
use crate::shm::store::{Led, Made, Store, is_no_space};
use crate::shm::system::{self, Unnamed};
use crate::sync::Ordering::SeqCst;
use crate::time::monotonic_ns;
use core::time::Duration;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// What to do with a stream of the same name that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// Carry on with it if its parameters are the same; replace it if they differ and nobody holds it.
    #[default]
    Resume,
    /// Fail.
    Refuse,
    /// Replace it, whatever its parameters, if nobody holds it.
    Replace,
}

/// How long to wait for the attach gate, unless the caller says.
pub(crate) const GATE_TIMEOUT: Duration = Duration::from_secs(1);

/// When `timeout` is over; a year from now for those who mean "never".
fn until_over(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(Duration::from_secs(365 * 24 * 3600))
}

/// Takes the gate, in small steps up to `deadline`. False: somebody inside does not get on.
fn gate(lock: &LockFile, mode: Mode, deadline: Instant) -> io::Result<bool> {
    lock.lock_until(GATE_BYTE, mode, deadline)
}

fn no_seat(lock: &LockFile, segment: &Segment, role: Role, name: &str) -> Error {
    let seats = seat::range(segment.descriptor(), role);
    let name = name.into();
    let capacity = seats.end - seats.start;
    let holders = |seats: core::ops::Range<u32>| seats.map(|seat| seat::pid(segment, seat)).collect();
    match role {
        Role::Producer if capacity > 1 => Error::NoFreeLane { name, capacity, holders: holders(seats) },
        Role::Producer => {
            let pid = seat::pid(segment, seats.start);
            let byte = SEAT_BYTES + u64::from(seats.start);
            let elsewhere = system::is_elsewhere(pid, lock, byte, &seat::program_of(segment, seats.start));
            Error::WriterBusy { name, pid, stopped: !elsewhere && system::is_stopped(pid), elsewhere }
        }
        Role::Consumer if segment.descriptor().kind == Kind::Spsc => Error::ConsumerBusy { name, pid: seat::pid(segment, seats.start) },
        Role::Consumer | Role::Lossless | Role::Observer => Error::NoSeat { name, capacity, holders: holders(seats) },
    }
}

/// That `holder` of a seat keeps the name.
fn held_by(lock: &LockFile, segment: &Segment, holder: u32, name: &str) -> Error {
    match seat::role(segment.descriptor(), holder) {
        Role::Lossless => Error::LosslessBusy { name: name.into(), pid: seat::pid(segment, holder) },
        role => no_seat(lock, segment, role, name),
    }
}

fn check_role(descriptor: &Descriptor, role: Role, name: &str) -> Result<(), Error> {
    let wrong = |why| Err(Error::WrongKind { name: name.into(), kind: descriptor.kind, why });
    match role {
        Role::Consumer if descriptor.kind == Kind::Broadcast => Err(wrong_consumer(Kind::Broadcast, name)),
        Role::Lossless if descriptor.kind != Kind::Broadcast => wrong("nothing is overwritten there; be its consumer"),
        Role::Lossless if descriptor.lossless == 0 => {
            wrong("it was created without seats for lossless readers; observe it, or create it with some")
        }
        Role::Observer if descriptor.unobserved => wrong("it was created without observers"),
        _ => Ok(()),
    }
}

/// That a stream of this kind is consumed otherwise, if at all.
pub(crate) fn wrong_consumer(kind: Kind, name: &str) -> Error {
    let why = match kind {
        Kind::Spsc => "it has one consumer; take it with consumer()",
        Kind::Mpmc => "it has a group of consumers; join it with group_consumer()",
        Kind::Broadcast => "it has no consumer; observe it",
    };
    Error::WrongKind { name: name.into(), kind, why }
}

/// Opens what is there, and sits down for `role`; `seated` false: only an observer, without a seat.
pub(crate) fn open(
    home: &Home,
    role: Role,
    seated: bool,
    gate_timeout: Duration,
) -> Result<Attachment, Error> {
    let until = until_over(gate_timeout);
    loop {
        let Some(found) = Opened::open(home, seated)? else {
            return Err(missing(home));
        };
        let text = found.name();
        let allowed = may_attach(&found, role, &text);
        if (found.is_disowned() || allowed.is_err()) && !found.is_named()? {
            continue; // of what was planted for a moment, nothing is to be said
        }
        if found.is_disowned() {
            found.disown(until, &text)?;
            return Err(missing(home));
        }
        allowed?;
        let rights = match (role, found.writable) {
            (Role::Producer, true) => Rights::Produce,
            (Role::Consumer, true) => Rights::Read,
            (Role::Observer | Role::Lossless, true) => Rights::Observe,
            (_, false) => Rights::Look,
        };
        let Some(segment) = found.enter(rights, until, &text)? else { continue };
        if segment.state().state.load(SeqCst) != LIVE {
            found.release();
            // Finishes for a replacer that died half-way.
            if found.may_retire() && found.retire(until, &text)?.is_ok() {
                continue;
            }
            return Err(missing(home));
        }
        if !seated || !found.writable {
            return found.attach(segment, None);
        }
        return found.sit(segment, role, &text);
    }
}

/// Whether what it says of itself, and who may use it, lets one attach for `role`.
fn may_attach(found: &Opened, role: Role, name: &str) -> Result<(), Error> {
    if !found.writable && role != Role::Observer {
        return Err(found.not_allowed("write to"));
    }
    check_role(found.descriptor(), role, name)?;
    if role != Role::Observer && found.is_of_earlier_boot() {
        return Err(Error::EarlierBoot { path: found.home().path() });
    }
    Ok(())
}

/// Creates the stream that `wanted` describes in an object that has no name and nobody can cut off, and sits down for
/// `role`.
pub(crate) fn create_anonymous(wanted: &Descriptor, role: Role) -> Result<Attachment, Error> {
    let name = wanted.full_name();
    let place = Path::new("anonymous memory");
    check_role(wanted, role, &name)?;
    let failed = |error| Error::os("make", place, error);
    let make = |bytes| Unnamed::sealed(bytes).map(Made::of_file).map_err(failed);
    let built = build(wanted, role, place, make)?;
    let given = built.made.file.reopen().map_err(failed)?;
    built.attachment(Home::Given(Arc::new(given)), Access::default()).map_err(failed)
}

/// An object to create.
pub(crate) struct Wanted<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) backend: Backend,
    pub(crate) access: Access,
}

/// Creates the stream that `wanted` describes, or carries on with it, and sits down for `role`.
pub(crate) fn create(
    directory: &Directory,
    name: &Name,
    object: &Wanted<'_>,
    role: Role,
    existing: Existing,
    gate_timeout: Duration,
) -> Result<Attachment, Error> {
    let Wanted { descriptor: wanted, access, .. } = *object;
    let until = until_over(gate_timeout);
    let text = name.to_string();
    let mut directory = directory.clone();
    check_role(wanted, role, &text)?;
    loop {
        let home = Home::named(&directory, name);
        let Some(found) = Opened::find(&home, true)? else {
            let made = |bytes| make(&directory, object, bytes, &home);
            let built = build(wanted, role, directory.path(), made);
            match built.and_then(|built| Ok((directory.link(&built.made.file, &directory.object(name))?, built))) {
                Ok((true, built)) => {
                    let access = directory.usual(access);
                    let done = built.attachment(home.clone(), access);
                    return done.map_err(|error| Error::os("set the group or mode of", &home.path(), error));
                }
                Ok((false, _)) => continue, // somebody was faster: take theirs
                Err(Error::Os { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && Instant::now() < until =>
                {
                    // The last one to leave took the directory along.
                    match directory.made_again()? {
                        Some(again) => directory = again,
                        None => return Err(Error::os("find the directory", directory.path(), source)),
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        if found.is_disowned() {
            found.disown(until, &text)?;
            continue;
        }
        if existing == Existing::Refuse && !found.is_retired()? {
            return Err(Error::AlreadyExists { name: text });
        }
        if !found.writable {
            return Err(found.not_allowed("write to"));
        }
        let same = found.descriptor().parameters() == wanted.parameters() && !found.is_of_earlier_boot();
        if same && existing == Existing::Resume {
            let rights = if role == Role::Producer { Rights::Produce } else { Rights::Read };
            let Some(segment) = found.enter(rights, until, &text)? else { continue };
            // A consumer may still have all that is left; then the next one makes it anew.
            let goes_on = !seat::has_ended(found.lock(), &segment)
                || role == Role::Consumer && !found::is_taken(&segment);
            if segment.state().state.load(SeqCst) == LIVE && goes_on {
                // Only who has the seat changes the access, and only of an object that is its own.
                let grants = role != Role::Producer || directory.grants(found.lock(), access);
                if !grants && !found.may_retire() {
                    return Err(found.not_allowed("change the group or mode of"));
                }
                let attachment = match found.sit(segment, role, &text) {
                    Err(Error::Finished { .. }) => continue, // just now: replace it
                    other => other?,
                };
                if !grants {
                    attachment.grant(access)?; // which may be refused
                    directory.grant(attachment.lock(), access)?;
                }
                return Ok(attachment);
            }
            found.release();
        }
        if let Err(holder) = found.retire(until, &text)? {
            let segment = found.map(Rights::Look)?;
            return Err(if same {
                held_by(found.lock(), &segment, holder, &text)
            } else {
                Error::Incompatible {
                    name: text,
                    found: format!("{} by process {}", describe(found.descriptor()), seat::pid(&segment, holder)),
                    wanted: describe(wanted),
                }
            });
        }
    }
}

/// An object of `bytes` in `directory`, without a name. It is to be found at `home`.
fn make(directory: &Directory, wanted: &Wanted<'_>, bytes: u64, home: &Home) -> Result<Made, Error> {
    if !wanted.backend.is_elsewhere() {
        return directory.create_unnamed(bytes, wanted.access).map(Made::of_file);
    }
    #[cfg(windows)]
    let no_space = || Error::NoSpace { need: bytes, free: system::free_memory(), path: "the page file".into() };
    #[cfg(unix)]
    let no_space = || directory.no_space(bytes);
    #[cfg(windows)]
    if bytes > system::all_memory() {
        return Err(no_space());
    }
    let file = directory.create_unnamed(leader::BYTES as u64, wanted.access)?;
    let made = Made::elsewhere(file, wanted.backend, bytes, wanted.descriptor.instance, home);
    made.map_err(|error| match is_no_space(&error) {
        true => no_space(),
        false => Error::os("make memory for a stream in", directory.path(), error),
    })
}

/// What tells two sets of parameters apart.
fn describe(descriptor: &Descriptor) -> String {
    format!("{} {}, {} frames retained", descriptor.kind, descriptor.summary(), descriptor.capacity)
}

/// An object that is whole, with its creator in its seat, and has no name yet.
struct Built {
    made: Made,
    segment: Arc<Segment>,
    lock: LockFile,
    seat: Option<Seat>,
}

impl Built {
    /// Once it has its name, if it is to have one.
    fn attachment(self, home: Home, access: Access) -> io::Result<Attachment> {
        let Self { made, segment, lock, seat } = self;
        made.settle(access).map(|store| Attachment::new(segment, lock, store, seat, home))
    }
}

/// Builds the whole object in what `make` makes of its size, and sits down in it.
fn build(
    wanted: &Descriptor,
    role: Role,
    place: &Path,
    make: impl FnOnce(u64) -> Result<Made, Error>,
) -> Result<Built, Error> {
    let too_large = || Error::parameter("the ring would be too large to exist: retain less");
    let bytes = wanted.encode().ok_or_else(too_large)?;
    let regions = wanted.regions().ok_or_else(too_large)?;
    let made = make(regions.total)?;
    let failed = |operation| move |error| Error::os(operation, place, error);
    let map = |rights| {
        Segment::map(&made.store, &made.file, wanted.clone(), rights).map_err(failed("map an object in"))
    };
    made.store.write_all_at(&made.file, &bytes, 0).map_err(failed("write an object in"))?;
    let whole = map(Rights::Produce)?;
    whole.initialise();
    let segment = match role {
        Role::Producer => whole,
        _ => map(Rights::Read)?,
    };
    let lock = LockFile::open(|| made.file.reopen()).map_err(failed("open an object again in"))?;
    let mut seat = seat::take(&lock, &segment, role).map_err(failed("take a seat in an object in"))?.ok();
    if let Some(seat) = &mut seat {
        seat::settle(&segment, seat);
    }
    Ok(Built { made, segment, lock, seat })
}

/// Removes a stream, unless a producer, consumer or lossless reader holds it; with `force`, even then. Those who
/// have it open are told.
pub(crate) fn remove(home: &Home, force: bool, gate_timeout: Duration) -> Result<(), Error> {
    let found = match Opened::find(home, true) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(missing(home)),
        Err(Error::Corrupt { .. } | Error::Layout { .. } | Error::NotAStream { .. }) if force => {
            return unlink_unreadable(home);
        }
        Err(error @ (Error::Corrupt { .. } | Error::Layout { .. })) => {
            return remove_unreadable(home, error);
        }
        Err(error) => return Err(error),
    };
    let text = found.name();
    let keepers = if force { Keepers::Nobody } else { Keepers::Holders };
    match found.retire_unless(keepers, until_over(gate_timeout), &text)? {
        Ok(()) => Ok(()),
        Err(holder) => {
            let segment = found.map(Rights::Look)?;
            Err(held_by(found.lock(), &segment, holder, &text))
        }
    }
}

/// Removes an object of ours that this build cannot read, unless somebody holds any seat of it.
fn remove_unreadable(home: &Home, why: Error) -> Result<(), Error> {
    let path = home.path();
    let failed = |error| Error::os("look at", &path, error);
    let lock = home.open(true).map_err(failed)?;
    if lock.is_held(SEAT_BYTES, GATE_BYTE - SEAT_BYTES).map_err(failed)? {
        return Err(why);
    }
    unlink_unreadable(home)
}

/// Takes the name away, and the memory, as far as one can know where it is.
fn unlink_unreadable(home: &Home) -> Result<(), Error> {
    if let Ok(file) = home.open(false)
        && home.may_unlink(&file)
        && let Ok(Ok(Led::To(store))) = Store::of(&file)
    {
        store.remove().map_err(|error| Error::os("remove the memory of", &home.path(), error))?;
    }
    home.unlink()
}

/// A stream that was left behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// With the version: `ecg@v2`.
    pub name: String,
    /// Whether it could be removed.
    pub removed: Result<(), Error>,
}

/// Removes what was left behind: streams that nobody holds, nor has held within `older_than`, and that were not made
/// to be kept. Their names, and how that went. What is not ours to remove, or to judge, stays.
pub(crate) fn prune(
    directory: &Directory,
    older_than: Duration,
    gate_timeout: Duration,
) -> Result<Vec<Pruned>, Error> {
    let age = u64::try_from(older_than.as_nanos()).unwrap_or(u64::MAX);
    let keepers = Keepers::Everybody { since_ns: monotonic_ns().saturating_sub(age) };
    let mut removed = Vec::new();
    for object in directory.names()? {
        let Some((name, _)) = directory.name_of(&object) else { continue };
        let text = name.to_string();
        let found = match Opened::find(&Home::named(directory, &name), true) {
            Ok(Some(found)) => found,
            Err(error @ Error::Os { .. }) => {
                removed.push(Pruned { name: text, removed: Err(error) });
                continue;
            }
            Ok(None) | Err(_) => continue,
        };
        if found.descriptor().keep || !found.may_retire() {
            continue;
        }
        match found.retire_unless(keepers, until_over(gate_timeout), &text) {
            Ok(Ok(())) => removed.push(Pruned { name: text, removed: Ok(()) }),
            Ok(Err(_)) => {}
            Err(error) => removed.push(Pruned { name: text, removed: Err(error) }),
        }
    }
    Ok(removed)
}

/// What to say when a name is not there: which versions or layouts of it are.
pub(crate) fn missing(home: &Home) -> Error {
    let Some((directory, name)) = home.name() else {
        return Error::NotAStream { path: home.path(), why: "it was replaced or removed".into() };
    };
    let mut versions = Vec::new();
    for object in directory.names().unwrap_or_default() {
        let Some((found, layout)) = directory.name_of(&object) else { continue };
        if found.base() != name.base() {
            continue;
        }
        if layout != layout::LAYOUT {
            let path = directory.path().join(&object);
            return Error::Layout { path, found: format!("layout {layout}, this is layout {}", layout::LAYOUT) };
        }
        if found == name {
            continue; // retired, and about to go
        }
        if let Ok(Some(opened)) = Opened::find(&Home::named(directory, &found), false) {
            versions.push((found.version(), opened.descriptor().summary()));
        }
    }
    versions.sort();
    let versions = versions.into_iter().map(|(version, what)| format!("v{version} ({what})")).collect();
    Error::NotFound { name: name.to_string(), versions }
}

#[cfg(all(test, not(loom), unix))]
mod tests {
    use super::*;
    use crate::layout::IN_USE;
    use crate::ring::Peers;
    use crate::shm::directory::{Medium, Scope};
    use crate::sync::Ordering::Relaxed;
    use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
    use std::path::PathBuf;

    /// A directory of its own, removed with everything in it.
    pub(super) struct Place {
        pub(super) path: PathBuf,
        pub(super) directory: Directory,
    }

    impl Place {
        pub(super) fn new(name: &str) -> Self {
            let path = PathBuf::from(format!("/dev/shm/annulus-test-{name}-{}", std::process::id()));
            std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
            let directory = Directory::open(Some(&path), Scope::User, Medium::Memory).unwrap();
            Self { path, directory }
        }

        pub(super) fn create(&self, name: &str) -> crate::Builder {
            crate::create(name).directory(&self.path)
        }

        pub(super) fn find(&self, name: &str) -> Opened {
            let home = Home::named(&self.directory, &Name::parse(name).unwrap());
            Opened::find(&home, true).unwrap().unwrap()
        }

        /// Inside the gate.
        pub(super) fn enter(&self, name: &str) -> (Opened, Arc<Segment>) {
            let found = self.find(name);
            assert!(found.pass(Mode::Shared, Instant::now(), name).unwrap());
            let segment = found.map(Rights::Produce).unwrap();
            (found, segment)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }

    #[test]
    fn never_is_a_year() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        assert!(until_over(Duration::MAX) > Instant::now() + days(364));
        assert!(until_over(Duration::MAX) < Instant::now() + days(366));
        assert!(until_over(days(1)) < Instant::now() + days(2));
    }

    #[test]
    fn what_was_left_behind_is_pruned_when_it_is_old_enough() {
        let place = Place::new("prune");
        let live = place.create("live").producer::<u64>().unwrap();
        drop(place.create("kept").keep(true).producer::<u64>().unwrap());
        // Copies of an object whose producer lives: theirs does not.
        let copy = |name: &str| {
            let mut file = std::fs::File::options();
            let file = file.write(true).create_new(true).mode(0o600).open(place.path.join(name)).unwrap();
            file.write_all_at(&std::fs::read(&live.info().path).unwrap(), 0).unwrap();
        };
        copy("dead@v1.l1");
        copy("watched@v1.l1");
        let viewer = crate::open("watched").directory(&place.path).observer::<u64>().unwrap();
        let prune = |older_than| {
            let pruned = prune(&place.directory, older_than, GATE_TIMEOUT).unwrap();
            assert!(pruned.iter().all(|one| one.removed.is_ok()), "{pruned:?}");
            pruned.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(prune(Duration::from_secs(600)), [""; 0], "seen a moment ago");
        assert_eq!(prune(Duration::ZERO), ["dead@v1"]);
        assert_eq!(place.directory.names().unwrap(), ["kept@v1.l1", "live@v1.l1", "watched@v1.l1"]);
        drop((live, viewer));
    }

    /// Handles, and those who wait in their place.
    #[test]
    fn it_is_known_who_holds_a_seat_and_who_died_in_it() {
        let place = Place::new("peers");
        let queue = || place.create("q").kind(Kind::Mpmc).producers(4);
        let producer = queue().producer::<u64>().unwrap();
        let coming = {
            let (found, segment) = place.enter("q");
            found.sit(segment, Role::Producer, "q").unwrap()
        };
        let attachment = {
            let (found, segment) = place.enter("q");
            found.sit(segment, Role::Consumer, "q").unwrap()
        };
        attachment.segment().seat(2).state.store(IN_USE, Relaxed);
        attachment.segment().seat(2).pid.store(77, Relaxed);
        let witness = attachment.witness();
        for peers in [&attachment as &dyn Peers, &witness] {
            assert_eq!([0, 1, 2, 3].map(|lane| peers.holds(lane)), [true, true, false, false]);
            let deaths = [0, 1, 2, 3].map(|lane| peers.death(lane).map(|death| death.pid));
            assert_eq!(deaths, [None, None, Some(77), None]);
            assert!(!peers.is_blind());
        }
        // The end of all who came is not the end while one is about to begin.
        producer.finish();
        assert!(!seat::has_ended(attachment.lock(), attachment.segment()));
        drop(coming);
        assert!(seat::has_ended(attachment.lock(), attachment.segment()));
        attachment.lock().give_up();
        for peers in [&attachment as &dyn Peers, &witness] {
            assert!(peers.is_blind());
        }
    }
}
