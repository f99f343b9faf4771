//! Opening streams that exist.

use super::{Consumer, GroupConsumer, Info, Moment, Observer, Producer, Status};
use crate::error::Error;
use crate::format::SampleFormat;
use crate::lifecycle::{self, Attachment, Opened};
use crate::name::Name;
use crate::seat::Role;
use crate::shm::directory::{Directory, Scope};
use crate::shm::home::Home;
use bytemuck::Pod;
use core::time::Duration;
#[cfg(unix)]
use std::fs::File;
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::PathBuf;
#[cfg(unix)]
use std::sync::Arc;
use std::time::Instant;

/// Where an observer starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With the next frame that is pushed.
    #[default]
    Now,
    /// With the oldest that is retained.
    Oldest,
    /// With the last so many frames; with the oldest, if fewer are retained.
    Latest(u64),
    /// At a position. What was overwritten already counts as lost.
    Position(u64),
    /// With the frame that was sampled then, as the stream's [clock](crate::Clock::position_at) says now; so it may be one
    /// that was overwritten, or is yet to come. While there is no clock, with the oldest that is retained.
    At(Moment),
}

/// Says how to open a stream. Made by [`open`]; ends in [`observer`](Self::observer),
/// [`consumer`](Self::consumer), [`producer`](Self::producer), [`status`](Self::status) or
/// [`remove`](Self::remove).
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before a verb, such as observer()"]
pub struct Open {
    source: Source,
    directory: Option<PathBuf>,
    scope: Scope,
    start: Start,
    lane: u32,
    seated: bool,
    lossless: bool,
    appear_within: Duration,
    gate_timeout: Duration,
}

/// Starts to open a stream that exists: `ecg`, or `ecg@v2` for version 2 of the application's own format.
///
/// ```
/// use annulus::{Start, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-open-{}", std::process::id());
/// # let mut producer = annulus::create(&name).channels([annulus::Channel::new("x")]).producer::<f32>()?;
/// # producer.push(&[0.5; 3])?;
/// let mut viewer = annulus::open(&name).start(Start::Oldest).observer::<f32>()?;
/// let mut block = [0.0; 256];
/// let read = viewer.read(&mut block, Wait::new())?;
/// println!("{} frames from position {}, {} lost", read.frames, read.first_position, read.lost_before);
/// # assert_eq!((read.frames, read.first_position, read.lost_before), (3, 0, 0));
/// # Ok(()) }
/// ```
pub fn open(name: impl AsRef<str>) -> Open {
    Open::of(Source::Name(name.as_ref().into()))
}

/// Starts to open a stream that somebody gave us a [descriptor](Producer::share) of: over a Unix socket, or inherited by a
/// child. It needs no name, and nothing of the file system. The descriptor can be closed, or given on, afterwards: each
/// handle has an open of its own.
///
/// ```
/// use annulus::{Backend, Start, Wait};
///
/// # #[cfg(target_os = "linux")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut producer = annulus::create("private").backend(Backend::Anonymous).producer::<u32>()?;
/// producer.push(&[1, 2, 3])?;
/// let given = producer.share()?; // to a process that got it over a socket
///
/// let mut reader = annulus::open_fd(given).start(Start::Oldest).observer::<u32>()?;
/// let mut block = [0; 8];
/// assert_eq!(reader.read(&mut block, Wait::new())?.frames, 3);
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[cfg(unix)]
pub fn open_fd(descriptor: impl Into<OwnedFd>) -> Open {
    Open::of(Source::Given(Arc::new(File::from(descriptor.into()))))
}

/// Which stream to open.
#[derive(Clone, Debug)]
enum Source {
    Name(String),
    #[cfg(unix)]
    Given(Arc<File>),
}

impl Open {
    fn of(source: Source) -> Self {
      Open {
        source,
        directory: None,
        scope: Scope::User,
        start: Start::Now,
        lane: 0,
        seated: true,
        lossless: false,
        appear_within: Duration::ZERO,
        gate_timeout: lifecycle::GATE_TIMEOUT,
      }
    }

    /// Where an observer starts (default: with the next frame).
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Which lane of a work queue to observe (default 0). Each has positions of its own.
    pub fn lane(mut self, lane: u32) -> Self {
        self.lane = lane;
        self
    }

    /// Observe without a seat: nobody sees it in listings, and it needs none to be free. Everything is mapped
    /// read-only, so it cannot arm a wake-up: it looks again when the frames that it waits for are due.
    pub fn unseated(mut self) -> Self {
        self.seated = false;
        self
    }

    /// Observe from one of the stream's [lossless seats](super::Builder::lossless): what is pushed from now on, or from
    /// where one starts, is kept until it was read, or it is said what was not. [`Start::Oldest`] then is the oldest frame
    /// that can be counted on, up to an eighth of the ring (a quarter, while a large push is going on) after the oldest
    /// that is retained.
    ///
    /// A reader that stops reading is at the limit a ring later, also one that is merely stopped (SIGSTOP): what happens
    /// then the stream's creator has [chosen](super::Builder::at_limit). One that leaves or dies holds nobody up.
    pub fn lossless(mut self) -> Self {
        self.lossless = true;
        self
    }

    /// If the stream is not there yet, wait so long for it (default: not at all).
    pub fn appear_within(mut self, time: Duration) -> Self {
        self.appear_within = time;
        self
    }

    /// Looks among the streams of all users (default: among one's own). A reader who may not write to the object
    /// is [unseated](Self::unseated).
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Another directory than the default.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// How long to wait for somebody who attaches at the same moment (default 1 s).
    pub fn gate_timeout(mut self, timeout: Duration) -> Self {
        self.gate_timeout = timeout;
        self
    }

    /// Observes: reads without taking. `T` must be the stream's sample type, or the ring's element.
    ///
    /// # Errors
    /// [`Error::NotFound`] says what there is; [`Error::BadParameter`] if `T` is not what the stream holds;
    /// [`Error::NoSeat`]; [`Error::WrongKind`] if there are no lossless seats; and what the system refuses.
    pub fn observer<T: Pod>(self) -> Result<Observer<T>, Error> {
        let (start, lane) = (self.start, self.lane);
        let attachment = self.attach_to_observe()?;
        check_type::<T>(&attachment)?;
        Observer::new(attachment, start, lane)
    }

    /// As [`observer`](Self::observer), with the format known at run time only: frames come as bytes,
    /// [`Info::frame_bytes`] each, little-endian.
    ///
    /// # Errors
    /// As [`observer`](Self::observer).
    pub fn observer_bytes(self) -> Result<Observer<u8>, Error> {
        let (start, lane) = (self.start, self.lane);
        Observer::new(self.attach_to_observe()?, start, lane)
    }

    /// Takes frames out of an spsc ring. Starts at the first frame that nobody took.
    ///
    /// # Errors
    /// [`Error::ConsumerBusy`], [`Error::WrongKind`]; else as [`observer`](Self::observer).
    pub fn consumer<T: Pod>(self) -> Result<Consumer<T>, Error> {
        let attachment = self.attach(Role::Consumer)?;
        check_type::<T>(&attachment)?;
        Consumer::new(attachment)
    }

    /// Takes frames out of a work queue, as one of a group. Starts at the first frames that nobody took.
    ///
    /// # Errors
    /// [`Error::NoSeat`] if as many consumers live as were allowed; [`Error::WrongKind`]; else as
    /// [`observer`](Self::observer).
    pub fn group_consumer<T: Pod>(self) -> Result<GroupConsumer<T>, Error> {
        let attachment = self.attach(Role::Consumer)?;
        check_type::<T>(&attachment)?;
        GroupConsumer::new(attachment)
    }

    /// As [`group_consumer`](Self::group_consumer), with frames as bytes.
    ///
    /// # Errors
    /// As [`group_consumer`](Self::group_consumer).
    pub fn group_consumer_bytes(self) -> Result<GroupConsumer<u8>, Error> {
        GroupConsumer::new(self.attach(Role::Consumer)?)
    }

    /// As [`consumer`](Self::consumer), with frames as bytes.
    ///
    /// # Errors
    /// As [`consumer`](Self::consumer).
    pub fn consumer_bytes(self) -> Result<Consumer<u8>, Error> {
        Consumer::new(self.attach(Role::Consumer)?)
    }

    /// Takes over as the producer of a stream that has none at the moment, at the position where the last
    /// one stopped. Never creates.
    ///
    /// # Errors
    /// [`Error::WriterBusy`], [`Error::Finished`]; else as [`observer`](Self::observer).
    pub fn producer<T: Pod>(self) -> Result<Producer<T>, Error> {
        let attachment = self.attach(Role::Producer)?;
        check_type::<T>(&attachment)?;
        Producer::new(attachment)
    }

    /// As [`producer`](Self::producer), with frames as bytes.
    ///
    /// # Errors
    /// As [`producer`](Self::producer).
    pub fn producer_bytes(self) -> Result<Producer<u8>, Error> {
        Producer::new(self.attach(Role::Producer)?)
    }

    /// How the stream is. Attaches to nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], and whatever makes it unusable.
    pub fn status(self) -> Result<Status, Error> {
        self.when_there(|home| match Opened::find(home, false)? {
            Some(found) => Status::look(&found),
            None => Err(lifecycle::missing(home)),
        })
    }

    /// Removes the stream, if no producer or consumer holds it. Those who observe it get
    /// [`ReadError::Replaced`](crate::ReadError::Replaced).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WriterBusy`], [`Error::ConsumerBusy`], and what the system refuses.
    pub fn remove(self) -> Result<(), Error> {
        self.take_away(false)
    }

    /// Removes the stream, whoever holds it, and also what is in its place but damaged, of another layout, or no
    /// stream at all. Its producer gets [`PushError::Removed`](crate::PushError::Removed) at the next push; those
    /// who read it get [`ReadError::Replaced`](crate::ReadError::Replaced).
    ///
    /// # Errors
    /// [`Error::NotFound`], and what the system refuses.
    pub fn remove_forcibly(self) -> Result<(), Error> {
        self.take_away(true)
    }

    fn take_away(&self, force: bool) -> Result<(), Error> {
        #[cfg(unix)]
        if let Source::Given(_) = self.source {
            return Err(Error::parameter("a stream that was given as a descriptor is not removed: it is gone when all have closed it"));
        }
        lifecycle::remove(&self.home()?, force, self.gate_timeout)
    }

    fn home(&self) -> Result<Home, Error> {
        let name = match &self.source {
            #[cfg(unix)]
            Source::Given(file) => return Ok(Home::Given(Arc::clone(file))),
            Source::Name(name) => Name::parse(name)?,
        };
        let missing = || Error::NotFound { name: name.to_string(), versions: Vec::new() };
        let directory = Directory::existing(self.directory.as_deref(), self.scope)?.ok_or_else(missing)?;
        Ok(Home::named(&directory, &name))
    }

    fn attach_to_observe(self) -> Result<Attachment, Error> {
        if self.lossless && !self.seated {
            return Err(Error::parameter("a lossless reader has a seat: leave out unseated()"));
        }
        let role = if self.lossless { Role::Lossless } else { Role::Observer };
        self.attach(role)
    }

    fn attach(self, role: Role) -> Result<Attachment, Error> {
        if self.lane != 0 && matches!(role, Role::Producer | Role::Consumer) {
            return Err(Error::parameter("a lane is chosen by who observes: producers and consumers have theirs"));
        }
        self.when_there(|home| lifecycle::open(home, role, self.seated, self.gate_timeout))
    }

    /// Tries until the stream is there, for as long as the caller wants to wait for that.
    fn when_there<R>(&self, attempt: impl Fn(&Home) -> Result<R, Error>) -> Result<R, Error> {
        let until = Instant::now().checked_add(self.appear_within);
        loop {
            match self.home().and_then(|home| attempt(&home)) {
                Err(Error::NotFound { .. }) if until.is_none_or(|until| Instant::now() < until) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }
}

/// Whether the stream holds `T`.
fn check_type<T: Pod>(attachment: &Attachment) -> Result<(), Error> {
    let of = attachment.segment().descriptor();
    let fits = match of.format {
        SampleFormat::Opaque => of.frame_bytes as usize == size_of::<T>(),
        format => SampleFormat::of::<T>() == Some(format),
    };
    if fits {
        return Ok(());
    }
    let info = Info::of(attachment);
    let wanted = core::any::type_name::<T>();
    Err(Error::parameter(format!("stream '{}' holds {}, not {wanted}", info.full_name(), info.summary())))
}
