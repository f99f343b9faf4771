//! A command's end of a stream that it produces: the ring it makes, how blocks get in, how it ends.

use crate::failure::{Failure, note};
use crate::files::Gap;
use crate::progress::Progress;
use crate::sharing::Sharing;
use crate::stop::{SLICE, Stop};
use crate::users;
use crate::values::Span;
use annulus::{AtLimit, Breaches, Builder, Info, Kind, Producer, PushError, SampleFormat};
use std::time::{Duration, Instant};

/// The options of every command that makes a ring.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RingArgs {
    /// How much history the ring holds: 10s, or frames [default: 10s; 65536 frames without a rate]
    #[arg(long)]
    retain: Option<Span>,
    /// A queue for one reader, who takes every frame: a full ring waits for it, and so does the end (unless --keep)
    #[arg(long)]
    pub(crate) lossless: bool,
    /// Beside any number of viewers, seats for so many recorders (annulus cat --recorder): what they have not read is kept
    #[arg(long, value_name = "SEATS", conflicts_with = "lossless", value_parser = clap::value_parser!(u32).range(1..=4096))]
    recorders: Option<u32>,
    /// When a recorder is a whole ring behind: overwrite what it has not read, and tell, or wait for it
    #[arg(long, value_enum, default_value = "overwrite", requires = "recorders")]
    at_limit: Limit,
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
    /// The stream, shared as this one is.
    pub(crate) fn share(&self, builder: Builder) -> Result<Builder, Failure> {
        self.sharing.apply(builder)
    }

    /// Whether a full ring waits.
    pub(crate) fn waits(&self) -> bool {
        self.lossless || self.producers.is_some()
    }
}

/// What to do at the limit of a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Limit {
    /// Never wait; the recorder is told what it lost, and so is whoever runs this
    Overwrite,
    /// Wait until it has read on, has left, or died
    Full,
}

/// A producer at work.
#[derive(Debug)]
pub(crate) struct Feed {
    producer: Producer<u8>,
    /// Whether a full ring is waited for.
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
    /// What recorders lost, as far as the user knows, and before we came.
    breaches: Breaches,
    breaches_before: Breaches,
    /// Shown while frames flow, if anybody wants to see it.
    pub(crate) progress: Option<Progress>,
}

impl Feed {
    /// Makes the stream that `builder` describes, or carries on with it.
    pub(crate) fn new(builder: Builder, format: SampleFormat, ring: &RingArgs) -> Result<Self, Failure> {
        let stop = Stop::on_signals()?;
        let mut builder = ring
            .share(builder)?
            .kind(match ring.producers {
                Some(_) => Kind::Mpmc,
                None if ring.lossless => Kind::Spsc,
                None => Kind::Broadcast,
            })
            .producers(ring.producers.unwrap_or(1))
            .keep(ring.keep);
        let full = ring.recorders.is_some() && ring.at_limit == Limit::Full;
        if let Some(seats) = ring.recorders {
            builder = builder.lossless(seats).at_limit(if full { AtLimit::Full } else { AtLimit::Overwrite });
        }
        builder = match ring.retain {
            Some(Span::Frames(frames)) => builder.capacity(frames),
            Some(Span::Time(time)) => builder.retain(time),
            None => builder,
        };
        let producer = builder.producer_bytes(format)?;
        let info = producer.info();
        if !users::me(info.owner) {
            note(format!("{}: carrying on the stream of user {}", info.full_name(), users::user(info.owner)));
        }
        Ok(Self {
            waits: ring.waits() || full,
            keep: ring.keep,
            stop,
            start: producer.position(),
            began: Instant::now(),
            refused: false,
            told: false,
            breaches: producer.breaches(),
            breaches_before: producer.breaches(),
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
        if self.producer.breaches().times != self.breaches.times {
            self.tell_breach();
        }
        Ok(())
    }

    /// Tells readers what is missing before the next frame.
    pub(crate) fn gap(&mut self, gap: &Gap) -> Result<(), Failure> {
        let told = match gap.missing {
            Some(frames) => self.producer.gap(frames),
            None => self.producer.clock_reset(),
        };
        told.map_err(|error| Failure::Failed(format!("{}: {error}", self.name())))
    }

    /// A recorder that stands still is told of once, and what it lost in all at the end.
    #[cold]
    fn tell_breach(&mut self) {
        self.breaches = self.producer.breaches();
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
        let (name, position) = (self.info().full_name(), self.position());
        note(format!("{name}: a recorder is a ring behind at position {position}: it loses frames"));
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
            let whom = match self.info().kind {
                Kind::Spsc => format!("its reader (annulus cat {whole})"),
                Kind::Mpmc => format!("its consumers (annulus drain {whole})"),
                _ => "its recorder".to_owned(),
            };
            note(format!("{name}: the ring is full; waiting for {whom}"));
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
        let (pushed, left, breaches) = (self.pushed(), self.producer.pending(), self.producer.breaches());
        self.producer.finish();
        let rate = pushed as f64 / elapsed;
        let how = if self.refused || drained.is_err() { "stopped" } else { "ended" };
        let left =
            if left > 0 && !self.keep { format!("; {left} of them nobody has taken") } else { String::new() };
        note(format!(
            "{name}: {pushed} frames in {elapsed:.3} s ({rate:.1} Hz), {how} at position {position}{left}"
        ));
        let lost = breaches.frames.saturating_sub(self.breaches_before.frames);
        if lost > 0 {
            let times = breaches.times.saturating_sub(self.breaches_before.times);
            note(format!("{name}: recorders lost {lost} frames (overtaken {times}x)"));
        }
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
