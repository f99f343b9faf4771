//! `annulus prune`: removes what crashes left behind.

use crate::failure::Failure;
use crate::names::Place;
use crate::plain::plain;
use crate::{describe, values};
use std::io::{self, Write as _};
use std::time::Duration;

/// Remove the streams that nobody holds: what crashes left behind, unless it was made with --keep
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only if no producer was seen for so long: 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    older_than: Option<Duration>,
    #[command(flatten)]
    place: Place,
    /// As JSON: a list of the names
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut removed = Vec::new();
    let mut done = Ok(());
    for pruned in annulus::prune(args.place.scope(), args.older_than.unwrap_or_default())? {
        match pruned.removed {
            Ok(()) => removed.push(pruned.name),
            Err(error) => done = Err(Failure::Failed(format!("{}: {error}", pruned.name))),
        }
    }
    let text = if args.json {
        describe::json(&removed.into())?
    } else {
        removed.iter().map(|name| format!("{}\n", plain(name))).collect()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    done
}
