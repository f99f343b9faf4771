//! The `annulus` command: live signals in shared memory, made, watched and inspected without writing code.

mod commands;
mod describe;
mod failure;
mod names;
mod output;
mod pace;
mod print;
mod record;
mod sample;
mod scope;
mod snapshot;
mod source;
mod stop;
mod values;
mod wave;

use clap::{Parser, Subcommand};
use commands::{cat, demo, generate, info, ls, rm, view};
use std::process::ExitCode;

/// Live signals from one process to many, through a cyclic buffer in shared memory
#[derive(Debug, Parser)]
#[command(name = "annulus", version, arg_required_else_help = true)]
#[command(after_help = "Streams live in /dev/shm/annulus-<uid>, or where ANNULUS_DIR says.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Gen(generate::Args),
    View(view::Args),
    Cat(cat::Args),
    Ls(ls::Args),
    Info(info::Args),
    Rm(rm::Args),
    #[command(hide = true)]
    DemoAcquisition(demo::acquisition::Args),
    #[command(hide = true)]
    DemoViewer(demo::viewer::Args),
}

fn main() -> ExitCode {
    let done = match &Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Gen(args) => generate::run(args),
        Command::View(args) => view::run(args),
        Command::Cat(args) => cat::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Info(args) => info::run(args),
        Command::Rm(args) => rm::run(args),
        Command::DemoAcquisition(args) => demo::acquisition::run(args),
        Command::DemoViewer(args) => demo::viewer::run(args),
    };
    done.map_or_else(failure::Failure::report, |()| ExitCode::SUCCESS)
}
