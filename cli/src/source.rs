//! The end of a stream that a command reads: frames as bytes, taken out or only observed.

use crate::failure::{Failure, note};
use crate::names::Stream;
use annulus::{
    Clock, Consumer, Error, Frames, Gap, Info, Kind, Observer, ProducerState, ReadError, Start, Wait,
};

/// How to read a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Where to start; `None` is the newest, or a consumer's only place.
    pub(crate) start: Option<Start>,
    /// Observe a stream whose frames are there to be taken out.
    pub(crate) tap: bool,
    /// From a seat for recorders.
    pub(crate) recorder: bool,
    /// Of a work queue, the lane.
    pub(crate) lane: Lane,
}

/// Which lane of a work queue to watch: positions are a lane's own.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Lane {
    /// Of a work queue, the lane to watch; nothing is taken from it [default: 0]
    #[arg(long, value_name = "LANE")]
    lane: Option<u32>,
}

impl Lane {
    /// The one that is observed already.
    pub(crate) fn of(observer: &Observer<u8>) -> Self {
        Self { lane: (observer.info().kind == Kind::Mpmc).then(|| observer.lane()) }
    }

    /// The user may want to know that there are others.
    fn hint(self, info: &Info) -> Option<String> {
        let others = self.lane.is_none() && info.lanes > 1;
        others.then(|| format!("{}: lane 0 of {}; --lane watches another", info.full_name(), info.lanes))
    }
}

/// One of the two handles that read.
#[derive(Debug)]
pub(crate) enum Source {
    /// With room for what it copies.
    Observer(Observer<u8>, Vec<u8>),
    Consumer(Consumer<u8>),
}

/// Frames on their way from a stream to wherever they go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// The first frame's.
    pub(crate) position: u64,
    /// Frames right before that were overwritten before we read them.
    pub(crate) lost_before: u64,
    pub(crate) bytes: &'a [u8],
}

/// Why frames did not get where they were to go.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The stream gave none.
    Read(ReadError),
    /// Their receiver failed.
    Sink(Failure),
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Observes a stream of any kind. What the user should know is in the texts: that it has more lanes, or had no seat left, so
/// that it is done without one.
pub(crate) fn observe(
    stream: &Stream,
    start: Start,
    lane: Lane,
) -> Result<(Observer<u8>, Vec<String>), Error> {
    let open = || stream.open().start(start).lane(lane.lane.unwrap_or(0));
    let (observer, unseated) = match open().observer_bytes() {
        Err(Error::NoSeat { capacity, .. }) => {
            let why = format!("all {capacity} seats of {stream} are taken: reading without one, unlisted");
            (open().unseated().observer_bytes()?, Some(why))
        }
        opened => (opened?, None),
    };
    if lane.lane.is_some() && observer.info().kind != Kind::Mpmc {
        return Err(Error::BadParameter {
            what: format!("{stream} is no work queue: it has no lanes to choose from"),
        });
    }
    let texts = lane.hint(observer.info()).into_iter().chain(unseated).collect();
    Ok((observer, texts))
}

impl Source {
    /// Attaches to a stream. An spsc stream's reader takes its frames out, unless it taps.
    pub(crate) fn open(stream: &Stream, reading: Reading) -> Result<Self, Error> {
        if reading.recorder {
            let open = stream.open().start(reading.start.unwrap_or(Start::Now)).lossless();
            return Ok(Self::Observer(open.observer_bytes()?, Vec::new()));
        }
        if !reading.tap && reading.lane.lane.is_none() && stream.open().status()?.info.kind == Kind::Spsc {
            return stream.open().consumer_bytes().map(Self::Consumer);
        }
        let (observer, texts) = observe(stream, reading.start.unwrap_or(Start::Now), reading.lane)?;
        texts.into_iter().for_each(note);
        Ok(Self::Observer(observer, Vec::new()))
    }

    /// Why a stream that was asked for cannot be read, and what to do.
    pub(crate) fn failure(error: Error) -> Failure {
        if let Error::BadParameter { what } = error {
            return Failure::Usage(what);
        }
        let hint = match error {
            Error::ConsumerBusy { .. } => "; --tap reads without taking",
            Error::WrongKind { kind: Kind::Broadcast, .. } => " (--recorders)",
            _ => "",
        };
        Failure::Failed(format!("{error}{hint}"))
    }

    pub(crate) fn info(&self) -> &Info {
        match self {
            Self::Observer(observer, _) => observer.info(),
            Self::Consumer(consumer) => consumer.info(),
        }
    }

    /// The next frame's.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Observer(observer, _) => observer.position(),
            Self::Consumer(consumer) => consumer.position(),
        }
    }

    /// How many frames are there to be read.
    pub(crate) fn available(&mut self) -> u64 {
        match self {
            Self::Observer(observer, _) => observer.available(),
            Self::Consumer(consumer) => consumer.available(),
        }
    }

    /// What the source did not deliver before and among the frames that were read last.
    pub(crate) fn gaps(&self) -> &[Gap] {
        match self {
            Self::Observer(observer, _) => observer.gaps(),
            Self::Consumer(consumer) => consumer.gaps(),
        }
    }

    pub(crate) fn clock(&self) -> Option<Clock> {
        match self {
            Self::Observer(observer, _) => observer.clock(),
            Self::Consumer(consumer) => consumer.clock(),
        }
    }

    pub(crate) fn producer(&self) -> ProducerState {
        match self {
            Self::Observer(observer, _) => observer.producer(),
            Self::Consumer(consumer) => consumer.producer(),
        }
    }

    /// Reads up to `most` frames into `room`, after waiting for them if `wait` says so. A consumer's are taken out.
    pub(crate) fn read(
        &mut self,
        most: usize,
        wait: Option<Wait>,
        room: &mut Vec<u8>,
    ) -> Result<Frames, ReadError> {
        room.resize(most * self.info().frame_bytes, 0);
        match (self, wait) {
            (Self::Observer(observer, _), Some(wait)) => observer.read(room, wait),
            (Self::Observer(observer, _), None) => observer.try_read(room),
            (Self::Consumer(consumer), Some(wait)) => consumer.read(room, wait),
            (Self::Consumer(consumer), None) => consumer.try_read(room),
        }
    }

    /// Passes up to `most` frames on to `sink`, after waiting for them if `wait` says so.
    ///
    /// A consumer's frames are taken out only when the sink is done with them: if it fails, or we are killed meanwhile,
    /// the next consumer gets them once more, but misses none.
    pub(crate) fn pass_on(
        &mut self,
        most: usize,
        wait: Option<Wait>,
        mut sink: impl FnMut(Block<'_>) -> Result<(), Failure>,
    ) -> Result<Frames, Stopped> {
        let frame_bytes = self.info().frame_bytes;
        match self {
            Self::Observer(observer, room) => {
                room.resize(most * frame_bytes, 0);
                let frames = match wait {
                    Some(wait) => observer.read(room, wait)?,
                    None => observer.try_read(room)?,
                };
                let (position, lost_before) = (frames.first_position, frames.lost_before);
                let bytes = &room[..frames.frames * frame_bytes];
                sink(Block { position, lost_before, bytes }).map_err(Stopped::Sink)?;
                Ok(frames)
            }
            Self::Consumer(consumer) => {
                let chunk = match wait {
                    Some(wait) => consumer.chunk(most, wait)?,
                    None => consumer.try_chunk(most)?,
                };
                let (first, rest) = chunk.slices();
                let mut position = chunk.first_position();
                for bytes in [first, rest] {
                    sink(Block { position, lost_before: 0, bytes }).map_err(Stopped::Sink)?;
                    position += (bytes.len() / frame_bytes) as u64;
                }
                Ok(chunk.commit_all())
            }
        }
    }
}
