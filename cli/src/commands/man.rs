//! `annulus man`: the manual pages.

use crate::failure::Failure;
use crate::visible;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Write the manual page to stdout, or a page for each command into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write annulus.1, annulus-gen.1, ... there
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        clap_mangen::Man::new(visible()).render(&mut page)?;
        return Ok(io::stdout().lock().write_all(&page)?);
    };
    let written = clap_mangen::generate_to(visible(), directory);
    written.map_err(|error| Failure::Failed(format!("cannot write into {}: {error}", directory.display())))
}
