//! An object that was found under a name: opened, checked, and not yet attached to.

use super::{Attachment, gate, no_seat};
use crate::descriptor::{Descriptor, Kind, Unfit};
use crate::error::Error;
use crate::lane;
use crate::ring;
use crate::layout::{self, GATE_BYTE, LIVE, NAME_BYTE, RETIRED};
use crate::seat::{self, Role, Seat};
use crate::segment::{Lane, Rights, Segment};
use crate::shm::home::Home;
use crate::shm::lock::{LockFile, Mode};
use crate::shm::store::{Led, Store};
use crate::shm::system;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::time::boot_id;
use crate::wait::Event;
use core::ops::Range;
use core::time::Duration;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Whose hold on an object keeps its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keepers {
    /// Producers, consumers and lossless readers: a viewer left open must not stop a new acquisition.
    Holders,
    /// Whoever has a seat, and whoever had one within this time.
    Everybody { since_ns: u64 },
    /// Nobody: the producer is told when it pushes.
    Nobody,
}

/// An object that was found under a name and looks like one of ours.
pub(crate) struct Opened {
    lock: LockFile,
    store: Store,
    descriptor: Descriptor,
    pub(super) writable: bool,
    home: Home,
}

impl Opened {
    /// Opens and checks. `None`: there is no such name.
    pub(crate) fn find(home: &Home, write: bool) -> Result<Option<Self>, Error> {
        for _ in 0..100 {
            let Some(found) = Self::open(home, write)? else { return Ok(None) };
            // What was planted for a moment may look well once its other name is gone.
            if found.is_named()? {
                return Ok(Some(found));
            }
        }
        let why = "the name means another object each time".into();
        Err(Error::NotAStream { path: home.path(), why })
    }

    /// As [`find`](Self::find), for one who passes the gate, and looks then whether it has the name, or before it believes anything
    /// else.
    pub(super) fn open(home: &Home, write: bool) -> Result<Option<Self>, Error> {
        let path = || home.path();
        let failed = |operation| move |error| Error::os(operation, &path(), error);
        let not_ours = |why: String| Err(Error::NotAStream { path: path(), why });
        let corrupt = |why: &str| Err(Error::Corrupt { path: path(), why: why.into() });
        let another_layout = |found| Err(Error::Layout { path: path(), found });
        let mut writable = write;
        let lock = match home.open(write) {
            Err(error) if write && error.kind() == io::ErrorKind::PermissionDenied => {
                writable = false;
                home.open(false)
            }
            other => other,
        };
        let lock = match lock {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if system::is_link(&error) => {
                return not_ours("it is a symbolic link".into());
            }
            Err(error) if system::is_no_file(&error) => {
                return not_ours("it is not a regular file".into());
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(home.not_allowed("read"));
            }
            Err(error) => return Err(failed("open")(error)),
        };
        if let Some(why) = home.distrust(&lock).map_err(failed("look at"))? {
            return not_ours(why);
        }
        let (store, descriptor) = match read(&lock).map_err(failed("read"))? {
            Ok(Some((store, descriptor))) if store.is_of(&descriptor.instance) => (store, descriptor),
            Ok(_) if writable => return sweep(home, lock).map(|()| None),
            Ok(_) => return Ok(None),
            Err(Unfit::NotOurs) => return not_ours("it does not begin as a stream does".into()),
            Err(Unfit::Layout(found)) => {
                return another_layout(format!("layout {found}, this is layout {}", layout::LAYOUT));
            }
            Err(Unfit::Features(bits)) => {
                return another_layout(format!("it uses features {bits:#x}, unknown to this build"));
            }
            Err(Unfit::Damaged(why)) => return corrupt(why),
        };
        if store.has_holes(&lock) {
            return corrupt("parts of it are holes: it was copied here, not made here");
        }
        if !(descriptor.page_bytes as usize).is_multiple_of(crate::shm::map::page_bytes()) {
            return another_layout(format!("pages of {} bytes", descriptor.page_bytes));
        }
        Ok(Some(Self { lock, store, descriptor, writable, home: home.clone() }))
    }

    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    pub(crate) fn lock(&self) -> &LockFile {
        &self.lock
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn path(&self) -> std::path::PathBuf {
        self.home.path()
    }

    /// The stream's, with the version.
    pub(super) fn name(&self) -> String {
        self.descriptor.full_name()
    }

    /// Whether somebody removed its memory, who knows nothing of streams: then its name is to go, too.
    pub(super) fn is_disowned(&self) -> bool {
        self.store.is_marked()
    }

    /// Whether the machine was started anew since it was made. Only a file can be so old; what it held when the machine
    /// stopped, nobody knows.
    pub(crate) fn is_of_earlier_boot(&self) -> bool {
        is_of_earlier_boot(&self.descriptor)
    }

    pub(crate) fn map(&self, rights: Rights) -> Result<Arc<Segment>, Error> {
        self.mapped(system::with_open_to_map(&self.lock, self.writable, |file| self.map_through(file, rights)))
    }

    fn map_through(&self, file: &File, rights: Rights) -> io::Result<Arc<Segment>> {
        Segment::map(&self.store, file, self.descriptor.clone(), rights)
    }

    fn mapped(&self, mapped: io::Result<Arc<Segment>>) -> Result<Arc<Segment>, Error> {
        mapped.map_err(|error| match self.store.is_gone(&error) {
            true => super::missing(&self.home),
            false => Error::os("map", &self.path(), error),
        })
    }

    /// Inside the gate: maps it, if the name still means this object.
    fn map_named(&self, rights: Rights) -> Result<Option<Arc<Segment>>, Error> {
        // Here a mapping needs an open of its own: through the name, and compared, that is the look at the name, too.
        #[cfg(target_os = "linux")]
        if let Some(file) = self.home.open_again(&self.lock, self.writable) {
            return self.mapped(self.map_through(&file, rights)).map(Some);
        }
        if self.is_named()? { self.map(rights).map(Some) } else { Ok(None) }
    }

    /// That we may not do `operation` to it.
    pub(super) fn not_allowed(&self, operation: &'static str) -> Error {
        self.home.not_allowed(operation)
    }

    /// Whether its name was taken away, or is about to be.
    pub(super) fn is_retired(&self) -> Result<bool, Error> {
        match self.map(Rights::Look) {
            Err(Error::NotFound { .. }) => Ok(true), // with its memory
            segment => Ok(segment?.state().state.load(SeqCst) != LIVE),
        }
    }

    /// Whether it is ours to take the name away.
    pub(super) fn may_retire(&self) -> bool {
        self.writable && self.home.may_unlink(&self.lock)
    }

    pub(super) fn is_named(&self) -> Result<bool, Error> {
        let named = self.home.is_named(&self.lock);
        named.map_err(|error| Error::os("look at", &self.path(), error))
    }

    /// Takes the gate; false if the name has come to mean another object meanwhile.
    pub(super) fn pass(&self, mode: Mode, until: Instant, name: &str) -> Result<bool, Error> {
        self.take_gate(mode, until, name)?;
        if self.is_named()? {
            return Ok(true);
        }
        self.release();
        Ok(false)
    }

    /// Takes the gate, to attach, and maps it; `None` if the name has come to mean another object meanwhile.
    pub(super) fn enter(&self, rights: Rights, until: Instant, name: &str) -> Result<Option<Arc<Segment>>, Error> {
        self.take_gate(Mode::Shared, until, name)?;
        let segment = self.map_named(rights)?;
        if segment.is_none() {
            self.release();
        }
        Ok(segment)
    }

    fn take_gate(&self, mode: Mode, until: Instant, name: &str) -> Result<(), Error> {
        match gate(&self.lock, mode, until).map_err(|error| Error::os("lock the gate of", &self.path(), error))? {
            true => Ok(()),
            false => Err(Error::GateBusy { name: name.into() }),
        }
    }

    /// For one who does not stay.
    pub(super) fn release(&self) {
        let _ = self.lock.unlock(GATE_BYTE); // and at the latest when the file is closed, in a moment
    }

    /// Inside the gate, shared: takes a seat.
    pub(super) fn sit(self, segment: Arc<Segment>, role: Role, name: &str) -> Result<Attachment, Error> {
        let failed = |error| Error::os("take a seat of", &self.path(), error);
        let seat = match seat::take(&self.lock, &segment, role).map_err(failed)? {
            Ok(seat) => seat,
            Err(seat::Refused::Held) => return Err(no_seat(&self.lock, &segment, role, name)),
            Err(seat::Refused::Finished) => return Err(Error::Finished { name: name.into() }),
            Err(seat::Refused::Barred) => {
                return Err(Error::Barred { name: name.into(), seat: role.to_string() });
            }
        };
        self.attach(segment, Some(seat))
    }

    /// Leaves the gate, and stays. Who cannot leave it does not stay: it would bar all others.
    pub(super) fn attach(self, segment: Arc<Segment>, seat: Option<Seat>) -> Result<Attachment, Error> {
        let left = self.lock.unlock(GATE_BYTE);
        let left = left.map_err(|error| Error::os("leave the gate of", &self.path(), error));
        let Self { lock, store, home, .. } = self;
        left.map(|()| Attachment::new(segment, lock, store, seat, home))
    }

    /// Takes the name away from an object that nobody holds, and tells those who still look at it.
    /// `Err` of a seat: somebody does hold it. Gone otherwise, by us or by another.
    pub(super) fn retire(&self, until: Instant, name: &str) -> Result<Result<(), u32>, Error> {
        self.retire_unless(Keepers::Holders, until, name)
    }

    /// Tells those who have it that it was removed, and takes the name away.
    pub(super) fn disown(&self, until: Instant, name: &str) -> Result<(), Error> {
        self.retire_unless(Keepers::Nobody, until, name).map(drop)
    }

    /// As [`retire`](Self::retire), unless one of `keepers` holds it.
    pub(super) fn retire_unless(
        &self,
        keepers: Keepers,
        until: Instant,
        name: &str,
    ) -> Result<Result<(), u32>, Error> {
        if !self.may_retire() {
            return Err(self.not_allowed("remove"));
        }
        match self.pass(Mode::Exclusive, until, name) {
            // Whoever is inside and does not get on, or bars the gate with a lock, is not asked either: one who
            // attaches now looks at the state, and a producer at the epoch.
            Err(Error::GateBusy { .. }) if keepers == Keepers::Nobody && self.is_named()? => {}
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Err(error),
        }
        let segment = self.map(Rights::Produce)?;
        let kept = self.kept(&segment, keepers);
        if let Some(seat) = kept.map_err(|error| Error::os("ask for the seats of", &self.path(), error))? {
            return Ok(Err(seat));
        }
        segment.state().state.store(RETIRED, SeqCst);
        let lanes = || (0..self.descriptor.lanes).map(|lane| segment.lane(lane));
        if keepers == Keepers::Nobody {
            lanes().for_each(|lane| lane::close(&lane)); // before the name is free for another
        }
        take_name(&self.home, &self.lock, &self.store)?;
        for lane in lanes() {
            ring::kick(&lane);
            Event { armed: &lane.space().armed, seq: &lane.space().seq }.kick();
        }
        Ok(Ok(()))
    }

    /// The seat of one of `keepers` who holds it.
    fn kept(&self, segment: &Arc<Segment>, keepers: Keepers) -> io::Result<Option<u32>> {
        let seats = match keepers {
            Keepers::Holders if seat::has_ended(&self.lock, segment) => 0..0,
            Keepers::Holders => 0..seat::range(&self.descriptor, Role::Lossless).end,
            Keepers::Everybody { since_ns } if seen_ns(segment, 0..self.descriptor.lanes) > since_ns => return Ok(Some(0)),
            Keepers::Everybody { .. } => 0..self.descriptor.seats(),
            Keepers::Nobody => 0..0,
        };
        for seat in seats {
            if seat::any_held(&self.lock, seat..seat + 1)? {
                return Ok(Some(seat));
            }
        }
        Ok(None)
    }
}

/// When a producer of `lanes` was last seen, by the monotonic clock; if none was, when the object was made.
pub(crate) fn seen_ns(segment: &Segment, lanes: Range<u32>) -> u64 {
    let seen = lanes.map(|lane| segment.lane_block(lane).seen_ns.load(Relaxed)).max();
    seen.unwrap_or(0).max(segment.descriptor().created_monotonic_ns)
}

pub(crate) fn is_of_earlier_boot(descriptor: &Descriptor) -> bool {
    let now = boot_id();
    let unknown = [0; 16];
    descriptor.boot != now && descriptor.boot != unknown && now != unknown
}

/// Whether no consumer has anything left to take.
pub(super) fn is_taken(segment: &Arc<Segment>) -> bool {
    let of = segment.descriptor();
    let taken = |lane: Lane| lane.head().load(Relaxed) >= lane::readable(&lane);
    of.kind == Kind::Broadcast || (0..of.lanes).map(|lane| segment.lane(lane)).all(taken)
}

/// How long those who take the same name away wait for each other. Whoever is stopped meanwhile holds up nobody for longer.
const TURN: Duration = Duration::from_millis(100);

/// Takes the name away, and the memory that goes with it, if the name still means this object. Who removes by force may not
/// be in the gate. So all take turns here, or the second one would take the name away from what came after the first.
pub(super) fn take_name(home: &Home, lock: &LockFile, store: &Store) -> Result<(), Error> {
    let failed = |operation| move |error| Error::os(operation, &home.path(), error);
    let turn = lock.lock_until(NAME_BYTE, Mode::Exclusive, Instant::now() + TURN);
    let turn = turn.map_err(failed("lock the name of"))?;
    let named = home.is_named(lock).map_err(failed("look at"));
    let done = named.and_then(|named| match named {
        true => store.remove().map_err(failed("remove the memory of")).and_then(|()| home.unlink()),
        false => Ok(()),
    });
    if turn {
        let _ = lock.unlock(NAME_BYTE); // and at the latest when the file is closed
    }
    done
}

/// Takes the name away from what leads nowhere: its memory went with the last one who had it, or was removed. Whoever is in
/// the gate sees to it, too.
fn sweep(home: &Home, lock: LockFile) -> Result<(), Error> {
    let failed = |error| Error::os("lock the gate of", &home.path(), error);
    if home.may_unlink(&lock) && lock.try_lock(GATE_BYTE, Mode::Exclusive).map_err(failed)? {
        return take_name(home, &lock, &Store::File);
    }
    Ok(())
}

/// Where the bytes of the object are, and what its descriptor says. `None`: they are not there any more.
fn read(file: &LockFile) -> io::Result<Result<Option<(Store, Descriptor)>, Unfit>> {
    let first = Store::first(file)?;
    let store = match Store::led(file, &first)? {
        Ok(Led::To(store)) => store,
        Ok(Led::Nowhere) => return Ok(Ok(None)),
        Err(unfit) => return Ok(Err(unfit)),
    };
    let first = if matches!(store, Store::File) { first } else { Vec::new() };
    match read_descriptor(&store, file, first) {
        Err(error) if store.is_gone(&error) => Ok(Ok(None)), // between the two
        found => found.map(|found| found.map(|found| Some((store, found)))),
    }
}

/// The descriptor, whose first `bytes` may be known.
fn read_descriptor(store: &Store, file: &LockFile, mut bytes: Vec<u8>) -> io::Result<Result<Descriptor, Unfit>> {
    let object_bytes = store.bytes(file)?;
    if object_bytes < Descriptor::PROBE as u64 {
        return Ok(Err(Unfit::NotOurs));
    }
    if bytes.is_empty() {
        bytes.resize(Descriptor::PROBE, 0);
        store.read_exact_at(file, &mut bytes, 0)?;
    }
    let length = match Descriptor::probe(&bytes) {
        Ok(length) if length as u64 <= object_bytes => length,
        Ok(_) => return Ok(Err(Unfit::Damaged("its descriptor is cut off"))),
        Err(unfit) => return Ok(Err(unfit)),
    };
    let known = bytes.len();
    bytes.resize(length, 0);
    if known < length {
        store.read_exact_at(file, &mut bytes, 0)?;
    }
    Ok(Descriptor::decode(&bytes, object_bytes))
}

#[cfg(all(test, unix, not(loom)))] // what it keeps has a name on a tmpfs
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn nobody_becomes_the_producer_of_a_stream_that_was_finished_meanwhile() {
        let place = Place::new("finished");
        let stream = || place.create("s").keep(true);
        let producer = stream().producer::<u64>().unwrap();
        // While somebody stands in the gate, one who leaves waits for the gate for a while, and then goes without.
        let (found, segment) = place.enter("s");
        assert!(!seat::has_ended(found.lock(), &segment));
        producer.finish();
        let refused = found.sit(segment, Role::Producer, "s").unwrap_err();
        assert!(matches!(refused, Error::Finished { .. }), "{refused}");
        // So the seat is free, and he who creates the stream anew is alone.
        let _fresh = stream().producer::<u64>().unwrap();
        let (found, segment) = place.enter("s");
        let refused = found.sit(segment, Role::Producer, "s").unwrap_err();
        assert!(matches!(refused, Error::WriterBusy { .. }), "{refused}");
    }

    #[test]
    fn the_gate_is_passed_only_under_the_name_and_left_when_asked() {
        let place = Place::new("gate");
        let stream = || place.create("s").keep(true);
        drop(stream().producer::<u64>().unwrap());
        let late = place.find("s");
        let (first, _) = place.enter("s");
        let (second, _) = place.enter("s");
        assert!(matches!(first.retire(Instant::now(), "s"), Err(Error::GateBusy { .. })), "two are inside");
        first.release();
        second.release();
        assert!(first.retire(Instant::now(), "s").unwrap().is_ok());
        drop(stream().producer::<u64>().unwrap());
        drop(first);
        assert!(!late.pass(Mode::Shared, Instant::now(), "s").unwrap(), "the name means another object");
    }
}
