//! `annulus gen`: a producer of test signals.

use crate::failure::{Failure, note};
use crate::pace::Pace;
use crate::record;
use crate::sharing::Sharing;
use crate::stop::{SLICE, Stop};
use crate::values::{self, Span, Speed};
use crate::wave::{self, Shape, Source, Wave};
use annulus::{Kind, Producer, PushError, SampleFormat, SampleType};
use std::time::Duration;

/// Generate a signal: make a stream and push into it, or carry on one whose producer is gone
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream's name: ecg, or ecg@v2
    #[arg(long)]
    name: String,
    /// The signal
    #[arg(long, value_enum, default_value = "sine")]
    wave: Wave,
    /// How many channels [default: 8; 1 for the ECG]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    channels: Option<u32>,
    /// Frames per second [default: 250; 360 for the ECG]
    #[arg(long, value_parser = values::rate)]
    rate: Option<f64>,
    /// Sample type: i8 u8 i16 u16 i32 u32 i64 f32 f64, or complex: ci16, cf32, ... [default: f32; i16 for the ECG]
    #[arg(long = "type", value_name = "TYPE")]
    format: Option<SampleFormat>,
    /// Stop after so much signal: 20s, 5m [default: never]
    #[arg(long, value_parser = values::duration)]
    duration: Option<Duration>,
    /// Stop after so many frames
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Times real time, or max
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// Push so many frames at a time, or so much time's worth
    #[arg(long, default_value = "10ms")]
    chunk: Span,
    /// How much history the ring holds: 10s, or frames
    #[arg(long, default_value = "10s")]
    retain: Span,
    /// Lose nothing: a full ring waits for its one reader, and so does the end (unless --keep)
    #[arg(long)]
    lossless: bool,
    /// Leave the stream there when all have left
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    sharing: Sharing,
    /// What the noise depends on
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A block that is pushed at once may not be larger than this many bytes.
const LARGEST_BLOCK: u64 = 1 << 30;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (format, shape) = shape(args)?;
    let usage = |option: &str, why: String| Failure::Usage(format!("--{option}: {why}"));
    let chunk = args.chunk.frames(shape.rate).map_err(|why| usage("chunk", why))?;
    let frame_bytes = (shape.channels * format.bytes().unwrap_or(0)) as u64;
    if chunk.saturating_mul(frame_bytes) > LARGEST_BLOCK {
        return Err(usage(
            "chunk",
            format!("{chunk} frames of {frame_bytes} bytes are too much for one push"),
        ));
    }

    let stop = Stop::on_signals()?;
    let mut builder = args
        .sharing
        .create(&args.name)?
        .kind(if args.lossless { Kind::Spsc } else { Kind::Broadcast })
        .channels(wave::channels(args.wave, shape))
        .rate(shape.rate)
        .device(if args.wave == Wave::Ecg { record::ecg().device } else { "annulus gen" })
        .keep(args.keep);
    builder = match args.retain {
        Span::Frames(frames) => builder.capacity(frames),
        Span::Time(time) => builder.retain(time),
    };
    let producer = builder.producer_bytes(format)?;
    let room = producer.info().capacity;
    if chunk > room && !args.lossless {
        // Nobody could ever read a whole one: its end overwrites its beginning.
        let why = format!(
            "{chunk} frames do not fit into the ring, which holds {room}: use less, or --retain more"
        );
        return Err(usage("chunk", why));
    }

    let limit = args.duration.map_or(u64::MAX, |time| (time.as_secs_f64() * shape.rate).round() as u64);
    let pace = Pace::new(shape.rate * if let Speed::Times(times) = args.speed { times } else { 1.0 });
    let source = Source::new(args.wave, shape, args.seed);
    let total = limit.min(args.frames.unwrap_or(u64::MAX));
    Generator { args, producer, source, stop, pace, total, chunk, told: false }.run()
}

/// What the options, and the wave's defaults, say about the samples.
fn shape(args: &Args) -> Result<(SampleFormat, Shape), Failure> {
    let (number, channels, rate) = if args.wave == Wave::Ecg {
        (SampleType::I16, 1, record::ecg().rate)
    } else {
        (SampleType::F32, 8, 250.0)
    };
    let format = args.format.unwrap_or(SampleFormat::Real(number));
    let number =
        format.sample_type().ok_or_else(|| Failure::Usage("--type: opaque says nothing".to_owned()))?;
    let channels = args.channels.unwrap_or(channels) as usize;
    Ok((format, Shape { number, complex: format.is_complex(), channels, rate: args.rate.unwrap_or(rate) }))
}

struct Generator<'a> {
    args: &'a Args,
    producer: Producer<u8>,
    source: Source,
    stop: Stop,
    pace: Pace,
    total: u64,
    chunk: u64,
    /// Whether the user knows that the ring waits for its reader.
    told: bool,
}

impl Generator<'_> {
    fn run(mut self) -> Result<(), Failure> {
        let start = self.producer.position();
        while !self.stop.raised() {
            let pushed = self.producer.position() - start;
            let frames = self.chunk.min(self.total - pushed);
            if frames == 0 {
                break;
            }
            if self.args.speed != Speed::Max {
                self.stop.sleep_until(self.pace.due(pushed + frames));
                if self.stop.raised() {
                    break;
                }
            }
            let block = self.source.block(self.producer.position(), frames as usize);
            if self.args.lossless {
                let waited = push_all(&mut self.producer, block, &self.stop, &mut self.told);
                waited.map_err(|error| self.failure(error))?;
            } else {
                self.producer.push(block).map_err(|error| self.failure(error))?;
            }
        }
        let elapsed = self.pace.elapsed().as_secs_f64();
        if self.args.lossless && !self.args.keep {
            while !self.stop.raised() && !self.producer.drain(Some(SLICE)) {}
        }
        let (name, position) = (self.producer.info().full_name(), self.producer.position());
        self.producer.finish();
        let pushed = position - start;
        let rate = pushed as f64 / elapsed;
        note(format!(
            "{name}: {pushed} frames in {elapsed:.3} s ({rate:.1} Hz), ended at position {position}"
        ));
        Ok(())
    }

    fn failure(&self, error: PushError) -> Failure {
        Failure::Failed(format!("{}: {error}", self.producer.info().full_name()))
    }
}

/// Pushes a block into a ring that may be full, until that is done or the user has had enough.
fn push_all(
    producer: &mut Producer<u8>,
    mut block: &[u8],
    stop: &Stop,
    told: &mut bool,
) -> Result<(), PushError> {
    loop {
        match producer.push_wait(block, Some(SLICE)) {
            Err(PushError::Timeout { pushed }) => {
                block = &block[pushed * producer.info().frame_bytes..];
                if stop.raised() {
                    return Ok(());
                }
                if !*told {
                    *told = true;
                    let name = producer.info().full_name();
                    note(format!("{name}: the ring is full; waiting for its reader (annulus cat {name})"));
                }
            }
            done => return done,
        }
    }
}
