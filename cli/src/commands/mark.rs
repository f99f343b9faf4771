//! `annulus mark`: says of a running stream what happens.

use crate::failure::{Failure, note};
use crate::marks;
use crate::names::Named;
use annulus::{Marker, Producer, Status};
use std::io::{self, BufRead, IsTerminal};

/// Mark what happens in a stream: annulus mark ecg "eyes closed"; or each line that a program writes, when it comes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: Named,
    /// What happens [default: each line of stdin, as it comes]
    text: Option<String>,
    /// A number that goes with it, such as a trigger's
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    code: i64,
    /// The frame that it belongs to [default: the newest]
    #[arg(long, requires = "text")]
    at: Option<u64>,
    /// Frames that it lasts
    #[arg(long, default_value_t = 0)]
    frames: u64,
    /// The stream of markers [default: the stream's name, with .markers behind]
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.text.is_none() && io::stdin().is_terminal() {
        let name = args.stream.resolve()?;
        return Err(Failure::Usage(format!(
            "say what happens: annulus mark {name} \"eyes closed\"; or PROGRAM | annulus mark {name}"
        )));
    }
    let name = args.stream.resolve()?;
    let signal = name.open().status()?;
    if let Some(of) = &signal.info.marks {
        return Err(Failure::Usage(format!("{name} has markers itself: mark the signal, {of}")));
    }
    let into = args.into.clone().unwrap_or_else(|| marks::name(&signal.info));
    let mut markers = marks::producer(name.beside(&into), &signal.info)?;
    match &args.text {
        Some(text) => mark(&mut markers, &signal, args, text, args.at),
        None => {
            for line in io::stdin().lock().lines() {
                let line = line.map_err(|error| Failure::Failed(format!("cannot read stdin: {error}")))?;
                mark(&mut markers, &name.open().status()?, args, &line, None)?;
            }
            Ok(())
        }
    }
}

fn mark(
    markers: &mut Producer<Marker>,
    signal: &Status,
    args: &Args,
    text: &str,
    at: Option<u64>,
) -> Result<(), Failure> {
    let position = at.unwrap_or_else(|| signal.position.saturating_sub(1));
    let marker = Marker::new(text)?.with_code(args.code).at(&signal.info, position).lasting(args.frames);
    markers
        .push(&[marker])
        .map_err(|error| Failure::Failed(format!("{}: {error}", markers.info().full_name())))?;
    note(format!(
        "{}: \"{text}\" at position {position} of {}",
        markers.info().full_name(),
        signal.info.full_name()
    ));
    Ok(())
}
