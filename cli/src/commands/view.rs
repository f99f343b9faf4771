//! `annulus view`: a live scope on the terminal, or a picture of what is retained.

use crate::failure::{Failure, note};
use crate::names::Named;
use crate::scope::{Options, Session};
use crate::snapshot::{self, Size, Target};
use crate::source::{self, Lane, Source};
use crate::stop::Stop;
use crate::values;
use annulus::{Observer, Start};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Watch a stream's signals on the terminal (? shows the keys)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: Named,
    #[command(flatten)]
    lane: Lane,
    /// How much is in view: 10s, 250ms [default: 6s, or what the ring holds if that is less]
    #[arg(long, value_parser = values::duration)]
    seconds: Option<Duration>,
    /// Show these channels only: labels, or numbers from 1, like Fp1,Cz or 1-8,12
    #[arg(long)]
    channels: Option<String>,
    /// Draw the channels over each other
    #[arg(long)]
    overlay: bool,
    /// Fix the gain: so many units from the bottom to the top of a channel's row
    #[arg(long, value_name = "UNITS", value_parser = height)]
    gain: Option<f64>,
    /// Draw the newest that is retained into a file instead, .svg or .png
    #[arg(long, value_name = "FILE", value_parser = Target::parse)]
    snapshot: Option<Target>,
    /// Pixels of the snapshot, like 1200x400 [default: as many as the channels need]
    #[arg(long, value_name = "WxH", requires = "snapshot")]
    size: Option<Size>,
}

/// Units from bottom to top.
fn height(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(height) if height.is_finite() && height > 0.0 => Ok(height),
        _ => Err("give a number of units above 0".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let options = Options {
        seconds: args.seconds.map(|seconds| seconds.as_secs_f64()),
        channels: args.channels.clone(),
        overlay: args.overlay,
        gain: args.gain,
    };
    if let Some(target) = &args.snapshot {
        let stop = Stop::on_signals()?;
        return snapshot::write(open(args)?, &options, target, args.size, &stop);
    }
    if !io::stdout().is_terminal() {
        return Err(Failure::Usage(format!(
            "view draws on a terminal, and stdout is none: use annulus cat {0}, or annulus view {0} --snapshot FILE",
            args.stream.name()
        )));
    }
    let stop = Stop::on_a_terminal()?;
    let observer = open(args)?;
    Session { options, producer: "producer", ends_with_stream: false }.run(observer, || stop.raised())
}

fn open(args: &Args) -> Result<Observer<u8>, Failure> {
    let stream = args.stream.resolve()?;
    let (observer, texts) = source::observe(&stream, Start::Now, args.lane).map_err(Source::failure)?;
    texts.into_iter().for_each(note);
    Ok(observer)
}
