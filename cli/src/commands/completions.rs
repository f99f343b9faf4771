//! `annulus completions`: what a shell needs to complete our command lines.

use crate::failure::Failure;
use crate::visible;
use std::io::{self, Write as _};

/// Write a shell's completions to stdout
///
/// For bash: annulus completions bash > ~/.local/share/bash-completion/completions/annulus
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "annulus", &mut text);
    Ok(io::stdout().lock().write_all(&text)?)
}
