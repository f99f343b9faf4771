//! `annulus cat`: a stream's frames, as text or bytes, on stdout.

use crate::describe;
use crate::failure::{Failure, note};
use crate::names::{Named, Stream};
use crate::output::Output;
use crate::print::{Csv, Form};
use crate::source::{Lane, Reading, Source, Stopped};
use crate::stop::{SLICE, Stop};
use crate::values::{Span, duration};
use annulus::{Cause, Error, Frames, Moment, ProducerState, ReadError, Start, Strategy, Wait, monotonic_ns};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// Write a stream's frames to stdout, following it as it goes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: Named,
    /// Where to start: now, oldest, a position, or how long ago: 10s, 500ms [default: now; oldest with --no-follow]
    #[arg(long)]
    from: Option<From>,
    /// Stop after so many frames
    #[arg(long)]
    frames: Option<u64>,
    /// What to write
    #[arg(long, value_enum, default_value = "csv")]
    format: Form,
    /// Physical values (raw * scale + offset) instead of raw counts
    #[arg(long)]
    physical: bool,
    /// How to wait for frames: spin, adaptive or block
    #[arg(long, default_value = "adaptive")]
    wait: Strategy,
    /// Wait until so many frames, or so much time's worth, are there: 48, 20ms
    #[arg(long, default_value = "1")]
    chunk: Span,
    /// Stop when everything that is there now has been read
    #[arg(long)]
    no_follow: bool,
    /// Read an spsc stream without taking its frames out
    #[arg(long)]
    tap: bool,
    /// Read from one of the seats for recorders (gen --recorders): what is not read yet is kept, or told
    #[arg(long, conflicts_with = "tap")]
    recorder: bool,
    #[command(flatten)]
    lane: Lane,
}

#[derive(Clone, Copy, Debug)]
struct From(Start);

const FROM: &str = "give now, oldest, a position, or how long ago, like 10s";

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "now" => Ok(Self(Start::Now)),
            "oldest" => Ok(Self(Start::Oldest)),
            _ if text.ends_with(|c: char| c.is_ascii_alphabetic()) => {
                let ago = duration(text).map_err(|_| FROM)?;
                let then = monotonic_ns().saturating_sub(ago.as_nanos().try_into().unwrap_or(u64::MAX));
                Ok(Self(Start::At(Moment::Monotonic(then))))
            }
            _ => text.parse().map(|at| Self(Start::Position(at))).map_err(|_| FROM),
        }
    }
}

/// Pass on at most about this much at a time: it stays in the processor's cache.
const BLOCK: usize = 256 << 10;

/// How often to look whether a stream is back.
const POLL: Duration = Duration::from_millis(20);

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.physical && args.format == Form::Raw {
        return Err(Failure::Usage(
            "--format raw writes the bytes as they are: leave out --physical".to_owned(),
        ));
    }
    let stop = Stop::on_signals()?;
    let name = args.stream.resolve()?;
    let start = args.from.map(|from| from.0).or(args.no_follow.then_some(Start::Oldest));
    let reading = Reading { start, tap: args.tap, recorder: args.recorder, lane: args.lane };
    let source = Source::open(&name, reading).map_err(Source::failure)?;
    if matches!(source, Source::Consumer(_)) && !matches!(start, None | Some(Start::Oldest)) {
        let why = "an spsc stream's reader goes on where the last one stopped; to start elsewhere, add --tap";
        return Err(Failure::Usage(format!("{name}: {why}")));
    }
    let mut cat = Cat::new(args, name, source, stop)?;
    let done = cat.copy();
    if !matches!(done, Err(Failure::BrokenPipe)) {
        let Account { frames, lost, restarts, missing, .. } = cat.account;
        let missing = if missing > 0 { format!(", {missing} missing") } else { String::new() };
        note(format!("{}: {frames} frames, {lost} lost, {restarts} restarts{missing}", cat.name));
    }
    done
}

struct Cat<'a> {
    args: &'a Args,
    name: Stream,
    source: Source,
    stop: Stop,
    out: Output,
    /// Frames to wait for.
    chunk: u64,
    /// Most frames to pass on at once.
    block: u64,
    /// Where to stop, if what is there now is enough.
    until: Option<u64>,
    account: Account,
    /// Whether the producer had left when we last looked.
    left: bool,
}

/// What has come.
#[derive(Debug, Default)]
struct Account {
    frames: u64,
    lost: u64,
    restarts: u64,
    /// What the source did not deliver.
    missing: u64,
    /// Where the newest producer began, which was told.
    restarted: Option<u64>,
}

impl<'a> Cat<'a> {
    fn new(args: &'a Args, name: Stream, mut source: Source, stop: Stop) -> Result<Self, Failure> {
        let until = args.no_follow.then(|| source.position().saturating_add(source.available()));
        let (out, account) = (Output::stdout()?, Account::default());
        let mut cat = Self { args, name, source, stop, out, chunk: 1, block: 1, until, account, left: false };
        cat.turn_to_source()?;
        Ok(cat)
    }

    /// Chooses thresholds and header for the stream at hand.
    fn turn_to_source(&mut self) -> Result<(), Failure> {
        let info = self.source.info();
        let usage = |why: String| Failure::Usage(format!("--chunk: {why}"));
        self.chunk = self.args.chunk.frames(info.rate).map_err(usage)?;
        if self.chunk > info.capacity {
            let (chunk, room) = (self.chunk, info.capacity);
            return Err(usage(format!("{chunk} frames never fit into a ring of {room}: wait for less")));
        }
        self.block = self.chunk.max((BLOCK / info.frame_bytes) as u64);
        match self.args.format {
            Form::Csv => self.out.turn_to(Csv::new(info, self.args.physical)),
            Form::Raw => Ok(()),
        }
    }

    fn copy(&mut self) -> Result<(), Failure> {
        while !self.stop.raised() {
            let left = self.args.frames.map_or(u64::MAX, |frames| frames.saturating_sub(self.account.frames));
            let ahead = self.until.map_or(u64::MAX, |until| until.saturating_sub(self.source.position()));
            let most = self.block.min(left).min(ahead);
            if most == 0 {
                break;
            }
            match self.pass_on(most) {
                Ok(frames) => self.count(frames),
                Err(Stopped::Sink(failure)) => return Err(failure),
                Err(Stopped::Read(ReadError::Timeout)) => self.look_for_producer(),
                Err(Stopped::Read(ReadError::Empty | ReadError::Ended { .. })) => break,
                Err(Stopped::Read(ReadError::Lapped { lost })) => {
                    self.account.lost += lost;
                    tell_loss(&self.name, lost, self.source.position());
                }
                Err(Stopped::Read(ReadError::ProducerGone { pid, position })) => self.gone(pid, position),
                Err(Stopped::Read(ReadError::Replaced)) if self.args.no_follow => break,
                Err(Stopped::Read(ReadError::Replaced)) => self.reopen()?,
                Err(Stopped::Read(error)) => return Err(Failure::Failed(format!("{}: {error}", self.name))),
            }
        }
        Ok(())
    }

    /// From the stream to stdout.
    fn pass_on(&mut self, most: u64) -> Result<Frames, Stopped> {
        let wait = Wait::new().strategy(self.args.wait).timeout(SLICE).frames(self.chunk.min(most));
        let wait = (!self.args.no_follow).then_some(wait);
        let Self { source, out, name, .. } = self;
        source.pass_on(most as usize, wait, |block| {
            if block.lost_before > 0 {
                tell_loss(name, block.lost_before, block.position);
            }
            out.frames(0, block.position, block.bytes)
        })
    }

    fn count(&mut self, frames: Frames) {
        self.account.frames += frames.frames as u64;
        self.account.lost += frames.lost_before;
        if let Some(restart) = frames.restarted {
            self.account.restarts += 1;
            self.account.restarted = Some(restart.position);
            let (position, epoch) = (restart.position, restart.epoch);
            note(format!("{}: a new producer carries on at position {position} (epoch {epoch})", self.name));
        }
        for gap in self.source.gaps() {
            self.account.missing += gap.missing.unwrap_or(0);
            let told =
                matches!(gap.cause, Cause::Restart { .. }) && self.account.restarted == Some(gap.position);
            if !told {
                note(format!("{}: before position {}: {}", self.name, gap.position, describe::gap(gap)));
            }
        }
    }

    /// One that leaves without finishing makes no noise; say it once.
    fn look_for_producer(&mut self) {
        let left = self.source.producer() == ProducerState::Left;
        if left && !self.left {
            note(format!("{}: the producer left; waiting for the next one (Ctrl-C ends)", self.name));
        }
        self.left = left;
    }

    fn gone(&self, pid: u32, position: u64) {
        let next = if self.args.no_follow { "" } else { "; waiting for the next one (Ctrl-C ends)" };
        note(format!("{}: the producer, process {pid}, died at position {position}{next}", self.name));
    }

    /// Turns to the stream that has taken this one's name, from its first frame on.
    fn reopen(&mut self) -> Result<(), Failure> {
        note(format!("{}: the stream was replaced or removed; looking for the next one", self.name));
        let Args { tap, recorder, lane, .. } = *self.args;
        let reading = Reading { start: Some(Start::Oldest), tap, recorder, lane };
        while !self.stop.raised() {
            match Source::open(&self.name, reading) {
                Ok(source) => {
                    let info = source.info();
                    note(format!("{}: reading the new one, {}", self.name, info.summary()));
                    self.source = source;
                    self.account.restarted = None;
                    return self.turn_to_source();
                }
                // Its creator is not done yet, or it was removed and may come back.
                Err(Error::NotFound { .. }) => thread::sleep(POLL),
                Err(error) => return Err(Source::failure(error)),
            }
        }
        Ok(())
    }
}

fn tell_loss(name: &Stream, lost: u64, position: u64) {
    note(format!("{name}: lost {lost} frames before position {position}: lapped"));
}
