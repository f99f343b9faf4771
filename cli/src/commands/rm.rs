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
    let mut done = Ok(());
    for name in &args.names {
        // One that fails does not spare the others; the last failure is the command's.
        if let Err(failure) = remove(args, name)
            && let Err(earlier) = std::mem::replace(&mut done, Err(failure))
        {
            earlier.report();
        }
    }
    done
}

fn remove(args: &Args, name: &str) -> Result<(), Failure> {
    let stream = args.place.resolve(name)?.open();
    Ok(if args.force { stream.remove_forcibly() } else { stream.remove() }?)
}
