//! `annulus salvage`: what a dead producer left in the ring, into a file.

use super::record::Into;
use crate::failure::Failure;
use crate::names::Named;
use crate::recorder::{Limit, Take};
use crate::source::{Lane, Reading, Source};
use crate::stop::Stop;
use annulus::{ProducerState, Start};

/// Save what a dead producer left in the ring, from the oldest frame to the last that it published, into a file
///
/// The file is as record makes it: .edf, .bdf, .xdf, .wav, .sigmf or .csv. The stream stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stream: Named,
    #[command(flatten)]
    into: Into,
    #[command(flatten)]
    lane: Lane,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let stop = Stop::of_a_writer()?;
    let name = args.stream.resolve()?;
    let status = name.open().status()?;
    if let ProducerState::Live { pid } = status.producer {
        let instead = format!("annulus record {name} --from oldest");
        return Err(Failure::Failed(format!("{name}: its producer, process {pid}, lives: {instead}")));
    }
    let reading = Reading { start: Some(Start::Oldest), tap: true, recorder: false, lane: args.lane };
    let source = Source::open(&name, reading).map_err(Source::failure)?;
    let signals = [(name.clone(), status.clone())];
    let marks = super::record::marks(&signals, Vec::new())?;
    let as_recorded = args.into.as_recorded();
    let limit = Limit::default();
    let take = Take { name, source, limit, follow: false, as_recorded, age: status.seen };
    args.into.record(vec![take], marks, &stop)
}
