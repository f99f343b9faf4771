//! `annulus gen`: a producer of test signals.

use crate::embedded;
use crate::failure::{self, Failure};
use crate::player::{PlayArgs, Player, Signal};
use crate::values;
use crate::wave::{self, Shape, Source, Wave};
use annulus::{SampleFormat, SampleType};
use std::thread;
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
    /// Make a work queue of so many producers, each with a lane of its own and all of this signal, and be all of them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64), conflicts_with_all = ["lossless", "recorders"])]
    producers: Option<u32>,
    #[command(flatten)]
    play: PlayArgs,
    /// What the noise depends on
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (format, shape) = shape(args)?;
    let device = if args.wave == Wave::Ecg { embedded::ecg().device } else { "annulus gen" };
    let limit = args.duration.map_or(u64::MAX, |time| (time.as_secs_f64() * shape.rate).round() as u64);
    let total = limit.min(args.frames.unwrap_or(u64::MAX));
    let mut play = args.play.clone();
    play.ring.producers = args.producers;
    let player = || {
        let builder = annulus::create(&args.name).device(device);
        Player::new(builder, format, wave::channels(args.wave, shape), shape.rate, &play)
    };
    // All have their lanes before the first one begins, or none does.
    let players: Vec<Player> =
        (0..args.producers.unwrap_or(1)).map(|_| player()).collect::<Result<_, _>>()?;
    thread::scope(|threads| {
        let playing: Vec<_> = players
            .into_iter()
            .map(|player| {
                let mut source = Source::new(args.wave, shape, args.seed);
                threads.spawn(move || player.play(&mut source, total))
            })
            .collect();
        failure::first(playing)
    })?;
    Ok(())
}

/// What the options, and the wave's defaults, say about the samples.
fn shape(args: &Args) -> Result<(SampleFormat, Shape), Failure> {
    let (number, channels, rate) = if args.wave == Wave::Ecg {
        (SampleType::I16, 1, embedded::ecg().rate)
    } else {
        (SampleType::F32, 8, 250.0)
    };
    let format = args.format.unwrap_or(SampleFormat::Real(number));
    let number =
        format.sample_type().ok_or_else(|| Failure::Usage("--type: opaque says nothing".to_owned()))?;
    let channels = args.channels.unwrap_or(channels) as usize;
    Ok((format, Shape { number, complex: format.is_complex(), channels, rate: args.rate.unwrap_or(rate) }))
}

impl Signal for Source {
    fn block(&mut self, position: u64, most: usize) -> Result<&[u8], Failure> {
        Ok(self.block(position, most))
    }
}
