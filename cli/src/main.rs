//! The `annulus` command: live signals in shared memory, made, watched and inspected without writing code.

// The objects of `describe` have many fields.
#![recursion_limit = "256"]

mod activity;
mod checks;
mod commands;
mod describe;
mod embedded;
mod failure;
mod feed;
mod files;
mod foreign;
mod marks;
mod names;
mod output;
mod pace;
mod plain;
mod player;
mod print;
mod progress;
mod recorder;
mod sample;
mod scope;
mod sharing;
mod snapshot;
mod source;
mod stop;
mod table;

mod users;
mod values;
mod wave;

use clap::{CommandFactory as _, Parser, Subcommand};
use commands::{
    bench, cat, completions, demo, doctor, drain, generate, info, ls, man, mark, play, prune, push, record,
    rm, salvage, top, view,
};
use std::process::ExitCode;

/// Live signals from one process to many, through a cyclic buffer in shared memory
#[derive(Debug, Parser)]
#[command(name = "annulus", version, arg_required_else_help = true)]
#[command(
    after_help = if cfg!(windows) {
        "Streams live in %LOCALAPPDATA%\\annulus, with --system in %ProgramData%\\annulus, or where ANNULUS_DIR says."
    } else {
        "Streams live in /dev/shm/annulus-<uid>, with --system in /dev/shm, or where ANNULUS_DIR says."
    }
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Gen(generate::Args),
    Play(play::Args),
    Push(push::Args),
    Mark(mark::Args),
    View(view::Args),
    Cat(cat::Args),
    Drain(drain::Args),
    Record(record::Args),
    Salvage(salvage::Args),
    Ls(ls::Args),
    Info(info::Args),
    Top(top::Args),
    Rm(rm::Args),
    Prune(prune::Args),
    Doctor(doctor::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    DemoAcquisition(demo::acquisition::Args),
    #[command(hide = true)]
    DemoViewer(demo::viewer::Args),
    #[command(hide = true)]
    BenchPeer(bench::line::Args),
}

/// What the user may type: without the processes that we start ourselves.
fn visible() -> clap::Command {
    let all = Cli::command();
    let shown: Vec<_> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let about = all.get_about().cloned().unwrap_or_default();
    let after = all.get_after_help().cloned().unwrap_or_default();
    clap::Command::new("annulus")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(after)
        .subcommands(shown)
}

fn main() -> ExitCode {
    let done = match &Cli::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Gen(args) => generate::run(args),
        Command::Play(args) => play::run(args),
        Command::Push(args) => push::run(args),
        Command::Mark(args) => mark::run(args),
        Command::View(args) => view::run(args),
        Command::Cat(args) => cat::run(args),
        Command::Drain(args) => drain::run(args),
        Command::Record(args) => record::run(args),
        Command::Salvage(args) => salvage::run(args),
        Command::Ls(args) => ls::run(args),
        Command::Info(args) => info::run(args),
        Command::Top(args) => top::run(args),
        Command::Rm(args) => rm::run(args),
        Command::Prune(args) => prune::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::DemoAcquisition(args) => demo::acquisition::run(args),
        Command::DemoViewer(args) => demo::viewer::run(args),
        Command::BenchPeer(args) => bench::line::run(args),
    };
    done.map_or_else(failure::Failure::report, |()| ExitCode::SUCCESS)
}
