//! Creating streams.

use super::{Consumer, GroupConsumer, Info, Marker, Producer, Units};
use crate::channel::Channel;
use crate::descriptor::{self, Descriptor, Kind};
use crate::error::Error;
use crate::format::SampleFormat;
use crate::index::{self, FRAME_BYTES_MAX};
use crate::lifecycle::{self, Attachment, Existing, Wanted};
use crate::name::Name;
use crate::seat::{Role, program};
use crate::shm::directory::{Access, Directory, Medium, Scope};
use crate::shm::home::Backend;
use crate::shm::map::page_bytes;
use crate::time::{boot_id, monotonic_ns, utc_ns};
use bytemuck::Pod;
use core::time::Duration;
use std::path::PathBuf;
use std::time::SystemTime;

/// Frames that a ring without a rate holds, unless its creator says.
const DEFAULT_CAPACITY: u64 = 65_536;
const DEFAULT_MARKERS: u64 = 1024;
/// History that a stream with a rate holds, unless its creator says.
const DEFAULT_RETAIN: Duration = Duration::from_secs(10);
/// Fastest rate that anybody samples at, in Hz, by a wide margin.
const RATE_MAX: f64 = 1e12;

/// How much history.
#[derive(Clone, Copy, Debug)]
enum Retain {
    Default,
    Time(Duration),
    Frames(u64),
}

/// What a producer does when it has come to the limit of a lossless reader: the ring holds nothing but frames that this
/// one has not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtLimit {
    /// Overwrites the oldest, and marks the breach: the push never waits; the reader's next read says how many frames it
    /// lost and where, and [`Producer::breaches`] and [`Status::breaches`](super::Status::breaches) count them.
    #[default]
    Overwrite,
    /// Is told [`PushError::Full`](crate::PushError::Full), or [waits](Producer::push_wait), until the reader has read on,
    /// has left, or died.
    Full,
}

/// Describes a stream or ring to create. Made by [`create`]; ends in [`producer`](Self::producer) or
/// [`consumer`](Self::consumer).
#[derive(Clone, Debug)]
#[must_use = "nothing is created before a verb: producer() or consumer()"]
pub struct Builder {
    name: String,
    backend: Backend,
    directory: Option<PathBuf>,
    scope: Scope,
    group: Option<u32>,
    mode: Option<u32>,
    kind: Kind,
    channels: Option<Vec<Channel>>,
    rate: f64,
    retain: Retain,
    device: String,
    metadata: String,
    marks: Option<String>,
    start_time: Option<SystemTime>,
    readers: u32,
    producers: u32,
    consumers: u32,
    lossless: u32,
    at_limit: AtLimit,
    unobserved: bool,
    keep: bool,
    existing: Existing,
    gate_timeout: Duration,
}

/// Starts to describe a stream, or a plain ring, to create or to carry on with.
///
/// The name is `ecg`, or `ecg@v2` for version 2 of the application's own format. If the stream is there already
/// with the same parameters, and has no producer, the new one carries on with it; with other parameters, and
/// only viewers attached, it is replaced; [`Builder::existing`] says otherwise.
///
/// ```
/// use annulus::Channel;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-create-{}", std::process::id());
/// let mut producer = annulus::create(&name)
///     .channels([Channel::new("I").unit("mV"), Channel::new("II").unit("mV")])
///     .rate(500.0)
///     .retain(Duration::from_secs(10))
///     .producer::<i16>()?;
/// producer.push(&[1, 2, 3, 4])?; // two frames of two channels
/// assert_eq!(producer.position(), 2);
/// # Ok(()) }
/// ```
pub fn create(name: impl AsRef<str>) -> Builder {
    Builder {
        name: name.as_ref().into(),
        backend: Backend::default(),
        directory: None,
        scope: Scope::User,
        group: None,
        mode: None,
        kind: Kind::Broadcast,
        channels: None,
        rate: 0.0,
        retain: Retain::Default,
        device: String::new(),
        metadata: String::new(),
        marks: None,
        start_time: None,
        readers: 32,
        producers: 1,
        consumers: 32,
        lossless: 0,
        at_limit: AtLimit::Overwrite,
        unobserved: false,
        keep: false,
        existing: Existing::Resume,
        gate_timeout: lifecycle::GATE_TIMEOUT,
    }
}

impl Builder {
    /// Who may move what: [`Kind::Broadcast`] (default), [`Kind::Spsc`] or [`Kind::Mpmc`].
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Makes it a stream of signals: a frame is one sample of each of these. Without it, a plain ring: a frame
    /// is one element.
    pub fn channels(mut self, channels: impl IntoIterator<Item = Channel>) -> Self {
        self.channels = Some(channels.into_iter().collect());
        self
    }

    /// Nominal frames per second, in Hz.
    pub fn rate(mut self, hz: f64) -> Self {
        self.rate = hz;
        self
    }

    /// How much history the ring holds, as time (default: 10 s). Needs a rate.
    pub fn retain(mut self, time: Duration) -> Self {
        self.retain = Retain::Time(time);
        self
    }

    /// How much history the ring holds, in frames (default without a rate: 65,536). It is rounded up to whole
    /// pages; [`Info::capacity`] tells.
    pub fn capacity(mut self, frames: u64) -> Self {
        self.retain = Retain::Frames(frames);
        self
    }

    /// What the samples come from: maker, model, serial number. No patient data.
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = device.into();
        self
    }

    /// Anything else that belongs to the stream, as JSON text. No patient data.
    pub fn metadata_json(mut self, json: impl Into<String>) -> Self {
        self.metadata = json.into();
        self
    }

    /// That this stream's elements are [`Marker`]s, and that they belong to the stream of that name. By
    /// custom it is called as that one, with `.markers` behind. It retains 1024 of them, unless you say otherwise.
    pub fn marks(mut self, stream: impl Into<String>) -> Self {
        self.marks = Some(stream.into());
        self
    }

    /// When the first frame was, or will be, sampled.
    pub fn start_time(mut self, time: SystemTime) -> Self {
        self.start_time = Some(time);
        self
    }

    /// Seats for observers (default 32).
    pub fn readers(mut self, seats: u32) -> Self {
        self.readers = seats;
        self
    }

    /// How many producers a work queue may have at the same time (default 1, at most 64): each has a lane of its own, of
    /// [`capacity`](Self::capacity) frames. One that leaves makes its lane free for the next; one that
    /// [finishes](Producer::finish) uses it up. [`Kind::Mpmc`] only.
    pub fn producers(mut self, lanes: u32) -> Self {
        self.producers = lanes;
        self
    }

    /// How many consumers a work queue may have at the same time (default 32). [`Kind::Mpmc`] only.
    pub fn consumers(mut self, seats: u32) -> Self {
        self.consumers = seats;
        self
    }

    /// Seats for lossless readers of a broadcast stream (default 0): recorders beside viewers, from whom the producer keeps
    /// what they have not read yet. While nobody [sits](super::Open::lossless) there the stream is as without.
    ///
    /// ```
    /// use annulus::{AtLimit, PushError, Start};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let name = format!("doc-lossless-{}", std::process::id());
    /// let stream = annulus::create(&name).capacity(1000).lossless(1).at_limit(AtLimit::Full);
    /// let mut producer = stream.producer::<u64>()?;
    /// let mut recorder = annulus::open(&name).lossless().observer::<u64>()?;
    /// let capacity = producer.info().capacity as usize;
    /// producer.push(&vec![1; capacity])?;
    /// assert_eq!(producer.push(&[2]), Err(PushError::Full)); // the recorder has read nothing yet
    /// recorder.try_read(&mut [0; 10])?;
    /// producer.push(&[2; 10])?;
    /// drop(recorder);
    /// producer.push(&vec![3; capacity])?; // nobody is waited for
    /// # Ok(()) }
    /// ```
    pub fn lossless(mut self, seats: u32) -> Self {
        self.lossless = seats;
        self
    }

    /// What the producer does at the limit of a lossless reader (default: overwrite, and mark the breach).
    pub fn at_limit(mut self, at_limit: AtLimit) -> Self {
        self.at_limit = at_limit;
        self
    }

    /// Nobody may observe, so that the producer of an spsc ring may fill frames
    /// [in place](super::Reservation::slices_mut).
    pub fn without_observers(mut self) -> Self {
        self.unobserved = true;
        self
    }

    /// Whether the object stays when all have left (default: no).
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// What to do with a stream of this name that is there already.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// What the stream's memory is (default: [`Backend::Posix`], on Windows [`Backend::PageFile`]). Who opens it need not know.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Another directory than the default. It must exist, on a tmpfs unless it is for a [file](Backend::File), and nobody
    /// else may remove files in it.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Who can find the stream (default: its own user). What others may do with it then is for
    /// [`group`](Self::group) and [`mode`](Self::mode) to say.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Shares a stream of scope [`Scope::System`] with this group (default: the user's own primary one, or the one that
    /// the stream has, where this producer carries on).
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// What others may do with a stream of scope [`Scope::System`], as for a file: 0o640 (default) lets the group
    /// read, 0o644 everybody, 0o660 lets the group produce and consume, too. Who may write may also cut the object off
    /// under its readers; so never everybody.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How long to wait for somebody who attaches at the same moment (default 1 s).
    pub fn gate_timeout(mut self, timeout: Duration) -> Self {
        self.gate_timeout = timeout;
        self
    }

    /// Creates the stream, or carries on with it, as its producer. `T` is one sample of one channel
    /// (`i16`, `f32`, `Complex<i16>`, ...), or the element of a plain ring (any [`Pod`]).
    ///
    /// # Errors
    /// [`Error::WriterBusy`] if another producer lives, [`Error::Incompatible`] if the stream is in use with
    /// other parameters, [`Error::NoSpace`] if there is no room, [`Error::BadParameter`], [`Error::BadName`],
    /// and what the system refuses.
    pub fn producer<T: Pod>(self) -> Result<Producer<T>, Error> {
        let (format, size) = self.element::<T>()?;
        Producer::new(self.attach(format, size, Role::Producer)?)
    }

    /// As [`producer`](Self::producer), with the format chosen at run time: frames are pushed as bytes,
    /// little-endian.
    ///
    /// # Errors
    /// As [`producer`](Self::producer).
    pub fn producer_bytes(self, format: SampleFormat) -> Result<Producer<u8>, Error> {
        let size = format.bytes().ok_or_else(|| {
            Error::parameter("an opaque element has no size of its own: use producer() with its type")
        })?;
        if self.channels.is_none() {
            return Err(Error::parameter("a stream of samples needs channels"));
        }
        Producer::new(self.attach(format, size, Role::Producer)?)
    }

    /// Creates the work queue, or joins it, as one of its consumers. Whoever comes first makes it: all give the same
    /// parameters.
    ///
    /// # Errors
    /// [`Error::NoSeat`] if as many consumers live as were allowed; else as [`producer`](Self::producer).
    pub fn group_consumer<T: Pod>(self) -> Result<GroupConsumer<T>, Error> {
        let (format, size) = self.element::<T>()?;
        self.check_kind(Kind::Mpmc)?;
        GroupConsumer::new(self.attach(format, size, Role::Consumer)?)
    }

    /// Creates the spsc ring, or joins it, as its consumer. Whoever comes first makes it: both sides give the
    /// same parameters.
    ///
    /// # Errors
    /// [`Error::ConsumerBusy`] if another consumer lives; else as [`producer`](Self::producer).
    pub fn consumer<T: Pod>(self) -> Result<Consumer<T>, Error> {
        let (format, size) = self.element::<T>()?;
        self.check_kind(Kind::Spsc)?;
        Consumer::new(self.attach(format, size, Role::Consumer)?)
    }

    fn check_kind(&self, kind: Kind) -> Result<(), Error> {
        if self.kind == kind { Ok(()) } else { Err(lifecycle::wrong_consumer(self.kind, &self.name)) }
    }

    fn element<T: Pod>(&self) -> Result<(SampleFormat, usize), Error> {
        let format = match (&self.channels, SampleFormat::of::<T>()) {
            (None, _) => SampleFormat::Opaque,
            (Some(_), Some(format)) => format,
            (Some(_), None) => {
                let name = core::any::type_name::<T>();
                let what = format!("{name} is no sample type: channels hold i8 to i64, u8 to u32, f32, f64, or Complex of one");
                return Err(Error::BadParameter { what });
            }
        };
        Ok((format, size_of::<T>()))
    }

    fn attach(self, format: SampleFormat, size: usize, role: Role) -> Result<Attachment, Error> {
        let name = Name::parse(&self.name)?;
        let wanted = self.describe(&name, format, size)?;
        if !self.backend.is_there() {
            return Err(Error::parameter(format!("this system has no streams of {:?}: see Backend", self.backend)));
        }
        let medium = match self.backend {
            Backend::Anonymous => return lifecycle::create_anonymous(&wanted, role),
            Backend::File if self.directory.is_none() => {
                return Err(Error::parameter("a stream in a file is made in a directory of your choice: say which"));
            }
            Backend::File => Medium::Any,
            #[cfg(all(unix, feature = "portable"))]
            Backend::Portable if self.scope == Scope::System => {
                let what = "the crate shared_memory makes memory for its owner alone: choose another backend for scope System";
                return Err(Error::parameter(what));
            }
            #[cfg(all(unix, feature = "portable"))]
            Backend::Portable => Medium::Memory,
            Backend::Posix | Backend::SystemV | Backend::PageFile => Medium::Memory,
        };
        let directory = Directory::open(self.directory.as_deref(), self.scope, medium)?;
        let access = Access { group: self.group, mode: self.mode };
        let wanted = Wanted { descriptor: &wanted, backend: self.backend, access };
        lifecycle::create(&directory, &name, &wanted, role, self.existing, self.gate_timeout)
    }

    fn describe(&self, name: &Name, format: SampleFormat, size: usize) -> Result<Descriptor, Error> {
        self.check()?;
        let samples = self.channels.as_ref().map_or(1, Vec::len) as u64;
        let frame = samples.checked_mul(size as u64).filter(|frame| (1..=FRAME_BYTES_MAX).contains(frame));
        let frame = frame.ok_or_else(|| {
            Error::parameter(format!("a frame has 1 to {FRAME_BYTES_MAX} bytes; this one has {samples} x {size}"))
        })?;
        let markers = self.channels.is_none() && self.rate == 0.0 && size == size_of::<Marker>();
        if self.marks.is_some() && !markers {
            return Err(Error::parameter("what marks another stream has markers as elements, no channels and no rate"));
        }
        let requested = self.frames()?;
        let plan = index::plan(requested, frame, page_bytes() as u64).ok_or_else(|| {
            Error::parameter(format!("a ring of {requested} frames of {frame} bytes is too large: retain less"))
        })?;
        let mut instance = [0; 16];
        getrandom::fill(&mut instance)
            .map_err(|error| Error::os("draw random bytes for", self.name.as_ref(), error.into()))?;
        let described = Descriptor {
            kind: self.kind,
            lanes: self.producers,
            frame_bytes: frame as u32,
            capacity: plan.capacity,
            requested,
            page_bytes: page_bytes() as u32,
            lane_stride: plan.stride,
            mirrored: plan.mirrored && self.backend.maps_twice(),
            keep: self.keep,
            unobserved: self.unobserved,
            consumers: match self.kind {
                Kind::Spsc => 1,
                Kind::Mpmc => self.consumers,
                Kind::Broadcast => 0,
            },
            lossless: self.lossless,
            lossless_full: self.lossless > 0 && self.at_limit == AtLimit::Full,
            observers: if self.unobserved { 0 } else { self.readers },
            format_version: name.version(),
            format,
            channels: self.channels.clone().unwrap_or_default(),
            rate: self.rate,
            start_time_ns: self.start_time.map(utc_ns),
            instance,
            boot: boot_id(),
            created_monotonic_ns: monotonic_ns(),
            created_utc_ns: utc_ns(SystemTime::now()),
            name: name.base().into(),
            device: self.device.clone(),
            metadata: self.metadata.clone(),
            program: program(),
            marks: self.marks.as_deref().map(Name::parse).transpose()?.map_or_else(String::new, |name| name.to_string()),
        };
        let encoded = described.encode().map(|bytes| bytes.len() as u64);
        if encoded.is_none_or(|bytes| bytes > descriptor::BYTES_MAX) {
            return Err(Error::parameter("the texts of all channels together are too long"));
        }
        Ok(described)
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |what: &str| Err(Error::parameter(what));
        if self.scope == Scope::User && (self.group.is_some() || self.mode.is_some()) {
            return bad("a stream of scope User is for its user alone: group and mode need scope System");
        }
        if let Some(mode) = self.mode
            && (mode & 0o600 != 0o600 || mode & !0o664 != 0)
        {
            let what = format!("mode {mode:o} will not do: the owner reads and writes, the group may, others read at most (640, 644, 660, 664)");
            return Err(Error::parameter(what));
        }
        if self.keep && self.backend == Backend::PageFile {
            return bad("a stream in Windows' page file goes with the last process that has it open: to keep one, make it in a file");
        }
        if self.kind != Kind::Mpmc && self.producers != 1 {
            return bad("only a work queue (mpmc) has several producers");
        }
        if !(1..=descriptor::LANES_MAX).contains(&self.producers) {
            return bad("a work queue has 1 to 64 producers");
        }
        if !(1..=descriptor::SEATS_MAX).contains(&self.consumers) {
            return bad("a work queue has 1 to 4,096 seats for consumers");
        }
        if let Some(channels) = &self.channels {
            if channels.is_empty() {
                return bad("a stream needs at least one channel; for a plain ring leave channels out");
            }
            if channels.len() > descriptor::CHANNELS_MAX as usize {
                return bad("a stream has at most 65,536 channels");
            }
            if channels.iter().any(|one| !one.scale.is_finite() || one.scale == 0.0 || !one.offset.is_finite()) {
                return bad("a channel's scale and offset are finite numbers, and its scale is not 0");
            }
        }
        if !self.rate.is_finite() || self.rate < 0.0 || self.rate > RATE_MAX {
            return Err(Error::parameter(format!("a rate is a number from 0 to {RATE_MAX:e} Hz, not {}", self.rate)));
        }
        if self.lossless > 0 && self.kind != Kind::Broadcast {
            return bad("lossless seats are a broadcast stream's: the consumer of an spsc ring loses nothing as it is");
        }
        if self.lossless > descriptor::SEATS_MAX {
            return bad("a stream has at most 4,096 seats for lossless readers");
        }
        if self.readers > descriptor::SEATS_MAX {
            return bad("a stream has at most 4,096 seats for readers");
        }
        if self.unobserved && self.kind == Kind::Broadcast {
            return bad("a broadcast stream without observers would have no readers");
        }
        if [&self.device, &self.metadata].iter().any(|text| text.len() > descriptor::TEXT_MAX) {
            return bad("device and metadata have at most 1 MiB of text each");
        }
        Ok(())
    }

    fn frames(&self) -> Result<u64, Error> {
        let over = |time: Duration| {
            let frames = (time.as_secs_f64() * self.rate).ceil();
            if frames < 1e18 { Some((frames as u64).max(1)) } else { None }
        };
        match self.retain {
            Retain::Frames(0) => Err(Error::parameter("a ring holds at least one frame")),
            Retain::Frames(frames) => Ok(frames),
            Retain::Time(time) if time.is_zero() => Err(Error::parameter("a ring retains more than no time at all")),
            Retain::Time(_) if self.rate == 0.0 => {
                Err(Error::parameter("to retain a time the stream needs a rate: give one, or a capacity in frames"))
            }
            Retain::Default if self.marks.is_some() => Ok(DEFAULT_MARKERS),
            Retain::Default if self.rate == 0.0 => Ok(DEFAULT_CAPACITY),
            Retain::Default => over(DEFAULT_RETAIN).ok_or_else(|| Error::parameter("that many frames do not exist")),
            Retain::Time(time) => over(time).ok_or_else(|| Error::parameter("that many frames do not exist: retain less")),
        }
    }
}

/// The units of an attachment's frames, if `T` fits them.
pub(super) fn units<T>(attachment: &Attachment) -> Result<Units<T>, Error> {
    let of = attachment.segment().descriptor();
    Units::new(of.frame_bytes as usize).ok_or_else(|| {
        let info = Info::of(attachment);
        Error::parameter(format!("{} is {}: its frames are no whole number of {}", info.full_name(), info.summary(), core::any::type_name::<T>()))
    })
}
