//! `annulus rm`: removes streams.

use crate::failure::Failure;
use crate::names::Place;

/// Remove streams; refused while a producer or consumer lives
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The streams: ecg@v2, or ecg where that is clear
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Whoever holds them, and also what is damaged or no stream at all
    #[arg(long, short)]
    force: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    for name in &args.names {
        let stream = args.place.resolve(name)?.open();
        if args.force { stream.remove_forcibly() } else { stream.remove() }?;
    }
    Ok(())
}
