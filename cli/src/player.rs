//! Playing a signal into a stream as if it were acquired now.

use crate::failure::Failure;
use crate::feed::{Feed, RingArgs};
use crate::files::Gap;
use crate::pace::Pace;
use crate::values::{Span, Speed};
use annulus::{Builder, Channel, SampleFormat};

/// The options of every command that plays.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlayArgs {
    /// Times real time, or max
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// Push so many frames at a time, or so much time's worth
    #[arg(long, default_value = "10ms")]
    chunk: Span,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

/// Where the frames come from.
pub(crate) trait Signal {
    /// The next frames, `most` at most, the first of which gets that position. None: there is a gap now, or it is over.
    fn block(&mut self, position: u64, most: usize) -> Result<&[u8], Failure>;

    /// What is missing right before the next frames; asked until there is nothing more.
    fn gap(&mut self) -> Option<Gap> {
        None
    }

    /// The stream has the frames before that position by now.
    fn pushed(&mut self, _position: u64) -> Result<(), Failure> {
        Ok(())
    }
}

/// A block that is pushed at once may not be larger than this many bytes.
const LARGEST_BLOCK: u64 = 1 << 30;

/// A stream that is ready to be played into.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) feed: Feed,
    chunk: u64,
    speed: Speed,
}

impl Player {
    /// Makes the stream, unless the options do not fit it.
    pub(crate) fn new(
        builder: Builder,
        format: SampleFormat,
        channels: Vec<Channel>,
        rate: f64,
        args: &PlayArgs,
    ) -> Result<Self, Failure> {
        let usage = |why: String| Failure::Usage(format!("--chunk: {why}"));
        let chunk = args.chunk.frames(rate).map_err(usage)?;
        let frame_bytes = (channels.len() * format.bytes().unwrap_or(0)) as u64;
        if chunk.saturating_mul(frame_bytes) > LARGEST_BLOCK {
            let why = format!("{chunk} frames of {frame_bytes} bytes are too much for one push");
            return Err(usage(why));
        }
        let feed = Feed::new(builder.channels(channels).rate(rate), format, &args.ring)?;
        let room = feed.info().capacity;
        if chunk > room && !args.ring.waits() {
            // Nobody could ever read a whole one: its end overwrites its beginning.
            let why = format!(
                "{chunk} frames do not fit into the ring, which holds {room}: use less, or --retain more"
            );
            return Err(usage(why));
        }
        Ok(Self { feed, chunk, speed: args.speed })
    }

    /// Plays `total` frames at most, and ends the stream, also where the signal fails.
    pub(crate) fn play(mut self, signal: &mut impl Signal, total: u64) -> Result<(), Failure> {
        let done = self.push_all(signal, total);
        let ended = self.feed.end();
        done.and(ended)
    }

    fn push_all(&mut self, signal: &mut impl Signal, total: u64) -> Result<(), Failure> {
        let Self { feed, chunk, speed } = self;
        let times = if let Speed::Times(times) = *speed { times } else { 1.0 };
        let info = feed.info();
        let (pace, frame_bytes) = (Pace::new(info.rate * times), info.frame_bytes);
        while !feed.stop().raised() {
            let most = (*chunk).min(total - feed.pushed());
            if most == 0 {
                break;
            }
            while let Some(gap) = signal.gap() {
                feed.gap(&gap)?;
            }
            let block = signal.block(feed.position(), most as usize)?;
            if block.is_empty() {
                let Some(gap) = signal.gap() else { break };
                feed.gap(&gap)?;
                continue;
            }
            if *speed != Speed::Max {
                feed.stop().sleep_until(pace.due(feed.pushed() + (block.len() / frame_bytes) as u64));
                if feed.stop().raised() {
                    break;
                }
            }
            feed.push(block)?;
            signal.pushed(feed.position())?;
        }
        Ok(())
    }
}
