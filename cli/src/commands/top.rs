//! `annulus top`: what all streams do at the moment.

use crate::activity::{Look, Session, Sort, json, lines, rows};
use crate::failure::{Failure, note};
use crate::stop::Stop;
use crate::values;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// Watch all streams, one's own and those that users share: rates, readers with their lag and loss, wake-ups
///
/// It looks from outside: it takes no seat, and nobody notices it. Rates are those of the last interval. How far behind a
/// reader is, and what it lost, is what it said last.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Time between two looks: 2s, 500ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    interval: Duration,
    /// What is at the top
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t = Sort::Name)]
    sort: Sort,
    /// Print one table, after one interval; that is so, too, where stdout is no terminal
    #[arg(long)]
    once: bool,
    /// As --once, in JSON: a line for each stream, with everything that `info` tells
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if !args.once && !args.json && io::stdout().is_terminal() {
        let stop = Stop::on_a_terminal()?;
        return Session::new(args.interval, args.sort)?.run(|| stop.raised());
    }
    let stop = Stop::on_signals()?;
    let before = Look::now()?;
    stop.sleep_until(Instant::now() + args.interval);
    let look = Look::now()?;
    let mut rows = rows(Some(&before), &look);
    args.sort.sort(&mut rows, false);
    let text: String = if args.json {
        rows.iter().map(|row| json(row)).collect::<Result<_, _>>()?
    } else {
        lines(&rows).into_iter().map(|line| line.text + "\n").collect()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    look.troubles().iter().for_each(note);
    Ok(())
}
