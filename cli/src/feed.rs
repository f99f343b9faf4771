//! A command's end of a stream that it produces: the ring it makes, how blocks get in, how it ends.

use crate::failure::{Failure, note};
use crate::progress::Progress;
use crate::sharing::Sharing;
use crate::stop::{SLICE, Stop};
use crate::users;
use crate::values::Span;
use annulus::{Builder, Info, Kind, Producer, PushError, SampleFormat};
use std::time::{Duration, Instant};

/// The options of every command that makes a ring.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RingArgs {
    /// How much history the ring holds: 10s, or frames [default: 10s; 65536 frames without a rate]
    #[arg(long)]
    retain: Option<Span>,
    /// Lose nothing: a full ring waits for its one reader, and so does the end (unless --keep)
    #[arg(long)]
    pub(crate) lossless: bool,
    /// Leave the stream there when all have left
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    sharing: Sharing,
    /// Makes it a work queue of so many producers: for the command that is all of them.
    #[arg(skip)]
    pub(crate) producers: Option<u32>,
}

impl RingArgs {
    /// Whether a full ring waits.
    pub(crate) fn waits(&self) -> bool {
        self.lossless || self.producers.is_some()
    }
}

/// A producer at work.
#[derive(Debug)]
pub(crate) struct Feed {
    producer: Producer<u8>,
    waits: bool,
    keep: bool,
    stop: Stop,
    /// Where this producer began.
    start: u64,
    began: Instant,
    /// Whether the ring takes nothing any more.
    refused: bool,
    /// Whether the user knows that the ring waits for its reader.
    told: bool,
    /// Shown while frames flow, if anybody wants to see it.
    pub(crate) progress: Option<Progress>,
}

impl Feed {
    /// Makes the stream that `builder` describes, or carries on with it.
    pub(crate) fn new(builder: Builder, format: SampleFormat, ring: &RingArgs) -> Result<Self, Failure> {
        let stop = Stop::on_signals()?;
        let mut builder = ring
            .sharing
            .apply(builder)?
            .kind(match ring.producers {
                Some(_) => Kind::Mpmc,
                None if ring.lossless => Kind::Spsc,
                None => Kind::Broadcast,
            })
            .producers(ring.producers.unwrap_or(1))
            .keep(ring.keep);
        builder = match ring.retain {
            Some(Span::Frames(frames)) => builder.capacity(frames),
            Some(Span::Time(time)) => builder.retain(time),
            None => builder,
        };
        let producer = builder.producer_bytes(format)?;
        let info = producer.info();
        if info.owner != uzers::get_effective_uid() {
            note(format!("{}: carrying on the stream of user {}", info.full_name(), users::user(info.owner)));
        }
        Ok(Self {
            waits: ring.waits(),
            keep: ring.keep,
            stop,
            start: producer.position(),
            began: Instant::now(),
            refused: false,
            told: false,
            progress: None,
            producer,
        })
    }

    pub(crate) fn info(&self) -> &Info {
        self.producer.info()
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The next frame's.
    pub(crate) fn position(&self) -> u64 {
        self.producer.position()
    }

    /// With the lane, if there are several.
    fn name(&self) -> String {
        let name = self.info().full_name();
        if self.info().lanes > 1 { format!("{name} lane {}", self.producer.lane()) } else { name }
    }

    /// Frames that this producer has pushed.
    pub(crate) fn pushed(&self) -> u64 {
        self.producer.position() - self.start
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Pushes whole frames. Into a ring that waits for its reader, as many as fit until the user has had enough.
    pub(crate) fn push(&mut self, block: &[u8]) -> Result<(), Failure> {
        let done = if self.waits { self.push_all(block) } else { self.producer.push(block) };
        self.refused = done.is_err();
        done.map_err(|error| Failure::Failed(format!("{}: {error}", self.name())))?;
        if let Some(progress) = &mut self.progress {
            progress.show(self.producer.position(), self.producer.position() - self.start);
        }
        Ok(())
    }

    fn push_all(&mut self, mut block: &[u8]) -> Result<(), PushError> {
        loop {
            match self.producer.push_wait(block, Some(SLICE)) {
                Err(PushError::Timeout { pushed }) => {
                    block = &block[pushed * self.producer.info().frame_bytes..];
                    if self.stop.raised() {
                        return Ok(());
                    }
                    self.tell_once();
                }
                done => return done,
            }
        }
    }

    fn tell_once(&mut self) {
        if !self.told {
            self.told = true;
            let (name, whole) = (self.name(), self.info().full_name());
            if let Some(progress) = &mut self.progress {
                progress.clear();
            }
            let taker = if self.info().kind == Kind::Mpmc { "drain" } else { "cat" };
            note(format!("{name}: the ring is full; waiting for its reader (annulus {taker} {whole})"));
        }
    }

    /// Ends the stream, once its reader has everything where that was promised, and tells what was done.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        let elapsed = self.elapsed().as_secs_f64();
        let drained = if self.waits && !self.keep && !self.refused { self.drain() } else { Ok(()) };
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
        let (name, position) = (self.name(), self.position());
        let (pushed, left) = (self.pushed(), self.producer.pending());
        self.producer.finish();
        let rate = pushed as f64 / elapsed;
        let how = if self.refused || drained.is_err() { "stopped" } else { "ended" };
        let left =
            if left > 0 && !self.keep { format!("; {left} of them nobody has taken") } else { String::new() };
        note(format!(
            "{name}: {pushed} frames in {elapsed:.3} s ({rate:.1} Hz), {how} at position {position}{left}"
        ));
        drained.map_err(|error| Failure::Failed(format!("{name}: {error}")))
    }

    /// Waits until the reader has everything, or the user has had enough.
    fn drain(&mut self) -> Result<(), PushError> {
        loop {
            match self.producer.drain(Some(SLICE)) {
                Err(PushError::Timeout { .. }) if self.stop.raised() => return Ok(()),
                Err(PushError::Timeout { .. }) => {}
                done => return done,
            }
        }
    }
}
