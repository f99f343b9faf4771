//! `annulus ls`: what streams there are, and what shared memory of other programs.

use crate::failure::Failure;
use crate::names::Place;
use crate::plain::plain;
use crate::table::Columns;
use crate::{describe, foreign, users};
use annulus::{Listed, Scope, Status};
use serde_json::{Value, json};
use std::io::{self, Write};

/// List the streams, also the dead and the broken ones
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Other programs' shared memory, too: POSIX objects and System V segments, whose they are, and how many have them mapped
    #[arg(long, short)]
    all: bool,
    /// As JSON, with everything that `info` tells: a list of streams; with --all {"streams": [..], "foreign": [..]}
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let streams = annulus::list(args.place.scope())?;
    let foreign = if args.all { Some(foreign::list()?) } else { None };
    let text = if args.json {
        let streams: Value = streams.iter().map(describe::listed).collect();
        describe::json(&match foreign {
            None => streams,
            Some(all) => {
                json!({ "streams": streams, "foreign": all.iter().map(foreign::json).collect::<Value>() })
            }
        })?
    } else {
        // One's own streams have one owner.
        let table = table(&streams, if args.place.scope() == Scope::System { 10 } else { 9 });
        table + &foreign.map_or_else(String::new, |all| format!("\n{}", foreign::table(&all)))
    };
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

const HEADS: [&str; 10] =
    ["NAME", "STATE", "KIND", "SIGNAL", "RETAINS", "POSITION", "BACKLOG", "READERS", "PID", "OWNER"];

/// Streams in aligned columns, the first so many; a broken one has its error instead.
fn table(streams: &[Listed], columns: usize) -> String {
    let rows: Vec<Result<[String; 10], String>> = streams.iter().map(row).collect();
    let columns = Columns::of(&HEADS[..columns], rows.iter().flatten().map(<[_; 10]>::as_slice));
    let mut text = columns.line(&HEADS);
    for (row, stream) in rows.iter().zip(streams) {
        text += &match row {
            Ok(cells) => columns.line(cells),
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
