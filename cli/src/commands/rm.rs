//! `annulus rm`: removes a stream that nobody produces or consumes.

use crate::failure::Failure;
use crate::names;

/// Remove a stream; refused while a producer or consumer lives
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The stream: ecg@v2, or ecg where that is clear
    name: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    Ok(annulus::open(names::resolve(&args.name)?).remove()?)
}
