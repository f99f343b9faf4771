//! What a stream is, who is attached to it, and which streams there are.

use super::AtLimit;
use super::clock::Clock;
use super::gap::{self, Gap};
use crate::channel::Channel;
use crate::clock::Reader;
use crate::descriptor::{Descriptor, Kind};
use crate::error::Error;
use crate::format::SampleFormat;
use crate::lane::{self, Breaches};
use crate::layout::{self, LIVE, NONE};
use crate::lifecycle::{self, Attachment, Opened, Pruned};
use crate::seat::{self, Role};
use crate::segment::{Lane, Rights, Segment};
use crate::shm::directory::{Directory, Scope};
use crate::shm::home::{Backend, Home};
use crate::shm::lock::LockFile;
use crate::shm::{self, Place, SharedMemory};
use crate::shm::owner;
use crate::shm::store::Store;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};
use crate::time::{monotonic_ns, system_time};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a stream says about itself. It does not change while the stream exists.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// Without the version: `ecg`.
    pub name: String,
    /// The application's format version.
    pub version: u32,
    /// Who may move what.
    pub kind: Kind,
    /// How many producers there may be.
    pub lanes: u32,
    /// What one sample is; [`SampleFormat::Opaque`] for a plain ring.
    pub format: SampleFormat,
    /// What the samples of a frame mean, in their order; empty for a plain ring.
    pub channels: Vec<Channel>,
    /// Nominal frames per second; 0 = none.
    pub rate: f64,
    /// Bytes of one frame.
    pub frame_bytes: usize,
    /// Frames that the ring holds.
    pub capacity: u64,
    /// Frames that were asked for: the capacity is these, rounded up to whole pages.
    pub requested: u64,
    /// Whether the ring is mapped twice, so that every run of frames is one slice.
    pub contiguous: bool,
    /// Seats for observers.
    pub readers: u32,
    /// Seats for consumers.
    pub consumers: u32,
    /// Seats for [lossless](crate::Open::lossless) readers.
    pub lossless: u32,
    /// What the producer does at the limit of one of these.
    pub at_limit: AtLimit,
    /// Whether anybody may observe.
    pub observable: bool,
    /// Whether the object stays when all have left.
    pub keep: bool,
    /// What the samples come from.
    pub device: String,
    /// Anything else, as JSON text.
    pub metadata_json: String,
    /// The stream that it [marks](crate::Builder::marks), with the version.
    pub marks: Option<String>,
    /// The program that created the stream.
    pub program: String,
    /// When the signal began, if the producer said so.
    pub start_time: Option<SystemTime>,
    /// When the object was created.
    pub created: SystemTime,
    /// Random name of this object: another one under the same stream name has another.
    pub instance: [u8; 16],
    /// Where the object is.
    pub path: PathBuf,
    /// What its memory is.
    pub backend: Backend,
    /// Where its memory is: what [`shm`] opens.
    pub memory: Place,
    /// It is from before the machine was started anew: what it holds may be torn or old. Only of a [`Backend::File`].
    pub earlier_boot: bool,
    /// Bytes of the object.
    pub bytes: u64,
    /// Who can find it.
    pub scope: Scope,
    /// The user who made it.
    pub owner: u32,
    /// The group that it is shared with.
    pub group: u32,
    /// What owner, group and others may do with it, as for a file.
    pub mode: u32,
}

impl Info {
    /// Of the object that `file` is.
    pub(crate) fn new(of: &Descriptor, home: &Home, store: &Store, file: &LockFile) -> Self {
        let backend = store.backend(file);
        let access = owner::entry(file).map_or((0, 0, 0), |found| (found.owner, found.group, found.mode & 0o7777));
        Self {
            name: of.name.clone(),
            version: of.format_version,
            kind: of.kind,
            lanes: of.lanes,
            format: of.format,
            channels: of.channels.clone(),
            rate: of.rate,
            frame_bytes: of.frame_bytes as usize,
            capacity: of.capacity,
            requested: of.requested,
            contiguous: of.mirrored,
            readers: of.observers,
            consumers: of.consumers,
            lossless: of.lossless,
            at_limit: if of.lossless_full { AtLimit::Full } else { AtLimit::Overwrite },
            observable: !of.unobserved,
            keep: of.keep,
            device: of.device.clone(),
            metadata_json: of.metadata.clone(),
            marks: Some(of.marks.clone()).filter(|marks| !marks.is_empty()),
            program: of.program.clone(),
            start_time: of.start_time_ns.and_then(system_time),
            created: system_time(of.created_utc_ns).unwrap_or(UNIX_EPOCH),
            instance: of.instance,
            path: home.path(),
            backend,
            memory: home.memory(store, backend),
            earlier_boot: lifecycle::is_of_earlier_boot(of),
            bytes: of.regions().map_or(0, |regions| regions.total),
            scope: home.scope(),
            owner: access.0,
            group: access.1,
            mode: access.2,
        }
    }

    pub(crate) fn of(attachment: &Attachment) -> Self {
        Self::new(attachment.segment().descriptor(), attachment.home(), attachment.store(), attachment.lock())
    }

    /// With the version: `ecg@v2`.
    pub fn full_name(&self) -> String {
        format!("{}@v{}", self.name, self.version)
    }

    /// How much history the ring holds; `None` without a rate.
    pub fn retained(&self) -> Option<Duration> {
        (self.rate > 0.0).then(|| Duration::try_from_secs_f64(self.capacity as f64 / self.rate).ok()).flatten()
    }

    /// In a few words: `2 ch x i16 @ 360 Hz`.
    pub fn summary(&self) -> String {
        let rate = if self.rate > 0.0 { format!(" @ {} Hz", self.rate) } else { String::new() };
        match self.format {
            SampleFormat::Opaque => format!("{}-byte elements{rate}", self.frame_bytes),
            format => format!("{} ch x {format}{rate}", self.channels.len()),
        }
    }
}

/// What has become of a stream's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProducerState {
    /// There was none yet.
    Never,
    /// It holds its seat.
    Live {
        /// Its process, as it wrote it down.
        pid: u32,
    },
    /// It left without finishing; a successor may come.
    Left,
    /// It died without finishing; a successor may come.
    Dead {
        /// Its process, as it wrote it down.
        pid: u32,
    },
    /// It finished the stream.
    Ended {
        /// Where.
        position: u64,
    },
}

impl ProducerState {
    pub(crate) fn of(lock: &LockFile, segment: &Arc<Segment>, index: u32) -> Self {
        let lane = segment.lane(index);
        let pid = seat::pid(segment, index);
        if let Some(position) = lane::end(&lane) {
            return Self::Ended { position };
        }
        if seat::any_held(lock, index..index + 1).unwrap_or(false) {
            return Self::Live { pid };
        }
        if let Some(death) = seat::death(lock, segment, index) {
            return Self::Dead { pid: death.pid };
        }
        match segment.seat(index).state.load(Acquire) {
            layout::IN_USE => Self::Live { pid: seat::pid(segment, index) }, // came while we looked
            _ if lane::epoch(&lane) == 0 => Self::Never,
            _ => Self::Left,
        }
    }

    /// Of all producers of a queue together: what matters most to somebody who waits for its frames.
    fn of_all(lanes: &[LaneStatus]) -> Self {
        let rank = |state: &Self| match state {
            Self::Live { .. } => 4,
            Self::Dead { .. } => 3,
            Self::Left => 2,
            Self::Ended { .. } => 1,
            Self::Never => 0,
        };
        // The first one of those that matter most.
        let most = lanes.iter().map(|lane| lane.producer).rev().max_by_key(rank);
        match most {
            Some(Self::Ended { .. }) => {
                Self::Ended { position: lanes.iter().fold(0, |sum, lane| sum.saturating_add(lane.position)) }
            }
            Some(state) => state,
            None => Self::Never,
        }
    }
}

/// One lane of a stream. A work queue has one for each producer, others have one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LaneStatus {
    /// What has become of its producer.
    pub producer: ProducerState,
    /// Frames published.
    pub position: u64,
    /// Oldest position that can still be observed.
    pub oldest: u64,
    /// Position up to which consumers took frames; `None` where nobody takes any.
    pub head: Option<u64>,
    /// How many producers it had.
    pub epoch: u64,
    /// How long ago one was last seen, or the stream was created.
    pub seen: Duration,
    /// How positions and times belong together, as its producer last said; `None` if it did not.
    pub clock: Option<Clock>,
    /// What its source did not deliver: the newest 64, and of older ones [how many](crate::Cause::Forgotten) there were.
    pub gaps: Vec<Gap>,
    /// Frames that its source did not deliver, in all, as far as they were counted.
    pub missing: u64,
}

impl LaneStatus {
    fn look(found: &Opened, segment: &Arc<Segment>, index: u32, info: &Info) -> Self {
        let lane = segment.lane(index);
        let position = lane::readable(&lane);
        let (gaps, missing) = gap::all(&segment.lane_block(index).ledger);
        let intent = lane.producer().intent.load(Relaxed);
        let taken = segment.descriptor().kind != Kind::Broadcast;
        Self {
            producer: ProducerState::of(found.lock(), segment, index),
            position,
            oldest: lane.geometry().oldest(if intent == NONE { 0 } else { intent }).min(position),
            head: taken.then(|| lane.head().load(Relaxed)),
            epoch: lane::epoch(&lane),
            seen: since(lifecycle::seen_ns(segment, index..index + 1)),
            clock: Clock::of(&Reader::default(), &segment.lane_block(index).clock, info),
            gaps,
            missing,
        }
    }
}

/// How often one of the stream's two sequences moved: its observers' and its consumers', and of a queue its group's.
fn wakes(lane: &Lane) -> u32 {
    lane.data_event().value(Relaxed).wrapping_add(lane.group_event().value(Relaxed))
}

fn since(seen_ns: u64) -> Duration {
    Duration::from_nanos(monotonic_ns().saturating_sub(seen_ns))
}

/// Somebody who holds a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attached {
    /// What for.
    pub role: Role,
    /// Process, as it wrote it down.
    pub pid: u32,
    /// Program, up to 16 bytes of its name.
    pub program: String,
    /// Where it was when it last said so; a producer's: the published position; of a group, how many frames it took.
    pub position: u64,
    /// Frames that it was lapped by, in all.
    pub lost: u64,
    /// Which seat it holds, and how often that was taken: together they tell one who is attached from all others of the
    /// stream, also from who sits there next.
    pub seat: (u32, u64),
}

/// How a stream is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// What it is.
    pub info: Info,
    /// What has become of its producer; of several, what matters most: that one lives, or that one died.
    pub producer: ProducerState,
    /// Frames published, in all lanes.
    pub position: u64,
    /// Oldest position that can still be read: the sum of those of all lanes.
    pub oldest: u64,
    /// Frames that were taken, in all lanes; `None` where nobody takes any.
    pub head: Option<u64>,
    /// How many producers there were.
    pub epoch: u64,
    /// Each lane by itself.
    pub lanes: Vec<LaneStatus>,
    /// How long ago a producer was last seen: while one pushes it shows itself every tenth of a second of signal, at least.
    pub seen: Duration,
    /// What was overwritten although a lossless reader had not read it.
    pub breaches: Breaches,
    /// How often readers were woken, in all: when a due sleeper was there, and when a producer came or went. Each is a
    /// system call. It wraps at 2^32: take differences with `wrapping_sub`.
    ///
    /// ```
    /// # let name = format!("doc-wakes-{}", std::process::id());
    /// let mut producer = annulus::create(&name).producer::<i16>()?;
    /// let before = annulus::open(&name).status()?.wakes;
    /// producer.push(&[1, 2, 3])?; // nobody sleeps
    /// assert_eq!(annulus::open(&name).status()?.wakes.wrapping_sub(before), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub wakes: u32,
    /// Who holds a seat. Readers that may only read the object have none.
    pub attached: Vec<Attached>,
    /// Its name was taken away.
    pub retired: bool,
}

impl Status {
    pub(crate) fn look(found: &Opened) -> Result<Self, Error> {
        let segment = found.map(Rights::Look)?;
        let info = Info::new(found.descriptor(), found.home(), found.store(), found.lock());
        let lanes: Vec<LaneStatus> =
            (0..info.lanes).map(|lane| LaneStatus::look(found, &segment, lane, &info)).collect();
        let sum = |of: fn(&LaneStatus) -> u64| lanes.iter().map(of).fold(0, u64::wrapping_add);
        let mut attached = Vec::new();
        for seat in 0..segment.descriptor().seats() {
            let held = seat::any_held(found.lock(), seat..seat + 1);
            if !held.map_err(|error| Error::os("ask for the seats of", &info.path, error))? {
                continue;
            }
            let role = seat::role(segment.descriptor(), seat);
            attached.push(Attached {
                role,
                pid: seat::pid(&segment, seat),
                program: seat::program_of(&segment, seat),
                position: match lanes.get(seat as usize) {
                    Some(lane) => lane.position,
                    None => segment.seat(seat).position.load(Relaxed),
                },
                lost: segment.seat(seat).lost.load(Relaxed),
                seat: (seat, segment.seat(seat).generation.load(Relaxed)),
            });
        }
        Ok(Self {
            producer: ProducerState::of_all(&lanes),
            position: sum(|lane| lane.position),
            oldest: sum(|lane| lane.oldest),
            head: (info.kind != Kind::Broadcast).then(|| sum(|lane| lane.head.unwrap_or(0))),
            epoch: sum(|lane| lane.epoch),
            lanes,
            seen: since(lifecycle::seen_ns(&segment, 0..segment.descriptor().lanes)),
            breaches: lane::breaches(&segment.lane(0)),
            wakes: wakes(&segment.lane(0)),
            attached,
            retired: segment.state().state.load(SeqCst) != LIVE,
            info,
        })
    }
}

/// A stream in a listing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed {
    /// With the version: `ecg@v2`. What else lies in the directory is listed under its file name.
    pub name: String,
    /// Where the object is.
    pub path: PathBuf,
    /// How it is, or why it cannot be used.
    pub status: Result<Status, Error>,
}

/// Lists the streams of a scope, in its default directory.
///
/// Attaches to none of them.
///
/// # Errors
/// The directory cannot be trusted or read. One that was never made has no streams.
pub fn list(scope: Scope) -> Result<Vec<Listed>, Error> {
    list_directory(Directory::existing(None, scope)?)
}

/// As [`list`], of a user's streams in another directory.
///
/// # Errors
/// As [`list`].
pub fn list_in(directory: impl AsRef<Path>) -> Result<Vec<Listed>, Error> {
    list_directory(Directory::existing(Some(directory.as_ref()), Scope::User)?)
}

/// Whether an object of [shared memory](crate::shm) is a stream, whole or damaged, of whatever layout: by how it begins.
/// What is none is another program's, or your own.
///
/// ```
/// use annulus::shm::{self, Place};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("annulus-doc-is-stream-{}", std::process::id());
/// let memory = shm::at(Place::posix(&name)).size(1000).create_new()?;
/// assert!(!annulus::is_stream(&memory)?);
///
/// let producer = annulus::create(&name).producer::<u8>()?;
/// let object = shm::at(Place::file(&producer.info().path)).read_only().open()?;
/// assert!(annulus::is_stream(&object)?);
/// # memory.remove()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// It cannot be looked at any more: [`Removed`](shm::ErrorKind::Removed).
pub fn is_stream(memory: &SharedMemory) -> Result<bool, shm::Error> {
    let mut found = [0; layout::OURS.len()];
    Ok(memory.peek(&mut found)? == found.len() && found == *layout::OURS)
}

/// Removes what was left behind in a scope's default directory, and says what it was: streams that nobody holds, whose
/// last producer was [seen](Status::seen) at least `older_than` ago, and that were not made to be
/// [kept](crate::Builder::keep). What is somebody else's, or damaged, stays.
///
/// # Errors
/// The directory cannot be trusted or read.
pub fn prune(scope: Scope, older_than: Duration) -> Result<Vec<Pruned>, Error> {
    match Directory::existing(None, scope)? {
        Some(directory) => lifecycle::prune(&directory, older_than, lifecycle::GATE_TIMEOUT),
        None => Ok(Vec::new()),
    }
}

fn list_directory(directory: Option<Directory>) -> Result<Vec<Listed>, Error> {
    let Some(directory) = directory else { return Ok(Vec::new()) };
    let mut listed = Vec::new();
    for object in directory.names()? {
        let path = directory.path().join(&object);
        let name = directory.name_of(&object).map_or_else(|| object.clone(), |(name, _)| name.to_string());
        let home = Home::Named { directory: directory.clone(), object };
        let status = match Opened::find(&home, false) {
            Ok(None) => continue, // it left while we looked
            Ok(Some(found)) => Status::look(&found),
            Err(error) => Err(error),
        };
        listed.push(Listed { name, path, status });
    }
    Ok(listed)
}
