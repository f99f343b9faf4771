//! `annulus ls`: what streams there are.

use crate::failure::Failure;
use crate::names::Place;
use crate::plain::plain;
use crate::{describe, users};
use annulus::{Listed, Scope, Status};
use std::io::{self, Write};

/// List the streams, also the dead and the broken ones
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// As JSON, with everything that `info` tells
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let streams = annulus::list(args.place.scope())?;
    let text = if args.json {
        let all: Vec<_> = streams.iter().map(describe::listed).collect();
        describe::json(&all.into())?
    } else {
        // One's own streams have one owner.
        table(&streams, if args.place.scope() == Scope::System { 10 } else { 9 })
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

const HEADS: [&str; 10] =
    ["NAME", "STATE", "KIND", "SIGNAL", "RETAINS", "POSITION", "BACKLOG", "READERS", "PID", "OWNER"];

/// Streams in aligned columns, the first so many; a broken one has its error instead.
fn table(streams: &[Listed], columns: usize) -> String {
    let rows: Vec<Result<[String; 10], String>> = streams.iter().map(row).collect();
    let mut widths = HEADS.map(str::len);
    for cells in rows.iter().flatten() {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = aligned(&HEADS, &widths[..columns]);
    for (row, stream) in rows.iter().zip(streams) {
        text += &match row {
            Ok(cells) => aligned(cells, &widths[..columns]),
            Err(line) => format!("{line}\n"),
        };
        if let Ok(status) = &stream.status {
            text += &recorders(status);
        }
    }
    text
}

/// Who records the stream and how far behind it is, a line for each, and what all of them lost.
fn recorders(status: &Status) -> String {
    let seated = describe::recorders(status).map(|one| format!("recorder {}", describe::place(one, status)));
    let lines = seated.chain(Some(describe::breaches(status)).filter(|line| !line.is_empty()));
    lines.map(|line| format!("  {line}\n")).collect()
}

fn row(stream: &Listed) -> Result<[String; 10], String> {
    let status = stream.status.as_ref().map_err(|error| {
        let name =
            if stream.name.is_empty() { stream.path.display().to_string() } else { stream.name.clone() };
        plain(&format!("{name}  broken: {error}"))
    })?;
    Ok(cells(status).map(|cell| plain(&cell)))
}

fn cells(status: &Status) -> [String; 10] {
    let info = &status.info;
    [
        info.full_name(),
        describe::state(status.producer).to_owned(),
        describe::kind(info),
        info.summary(),
        describe::retained(info),
        status.position.to_string(),
        describe::backlog(status.position, status.head)
            .map_or_else(|| "-".to_owned(), |frames| frames.to_string()),
        format!("{}/{}", describe::readers(status), info.readers),
        describe::producer_pid(status.producer).map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        users::user(info.owner),
    ]
}

fn aligned(cells: &[impl AsRef<str>], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        line += &format!("{:width$}  ", cell.as_ref());
    }
    format!("{}\n", line.trim_end())
}
