//! Rows in words, and as JSON.

use super::rows::{Doing, Reader, Row};
use crate::describe;
use crate::plain::plain;
use crate::table::Columns;
use annulus::{ProducerState, Role, Scope, Status};
use serde_json::json;

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// What a line is, for who can show that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Head,
    Stream,
    /// A stream that is broken or whose producer died, or a reader that is losing frames.
    Bad,
    Reader,
}

pub(super) const HEADS: [&str; 14] = [
    "NAME", "STATE", "KIND", "NOMINAL", "FRAMES/S", "MB/S", "FILL", "RETAINED", "READERS", "LAG", "LOST",
    "WAKES/S", "PID", "PROGRAM",
];

/// The table: heads, then each stream with a line for each that reads it.
pub(crate) fn lines(rows: &[Row<'_>]) -> Vec<Line> {
    let cells: Vec<_> = rows.iter().filter_map(|row| row.doing.as_ref()).map(cells).collect();
    let columns = Columns::of(&HEADS, cells.iter().map(<[_; 14]>::as_slice));
    let line = |text: String, tone| Line { text: text.trim_end().to_owned(), tone };
    let mut lines = vec![line(columns.line(&HEADS), Tone::Head)];
    let mut cells = cells.iter();
    for row in rows {
        match (&row.doing, &row.stream.status) {
            (Some(doing), _) => {
                let dead = matches!(doing.status.producer, ProducerState::Dead { .. });
                let text = cells.next().map_or_else(String::new, |cells| columns.line(cells));
                lines.push(line(text, if dead { Tone::Bad } else { Tone::Stream }));
                lines.extend(
                    doing.readers.iter().map(|reader| line(self::reader(reader, doing), tone(reader))),
                );
            }
            (None, Err(error)) => {
                lines.push(line(plain(&format!("{}  broken: {error}", name(row))), Tone::Bad));
            }
            (None, Ok(_)) => {}
        }
    }
    lines
}

/// A name, or where a thing is that has none.
fn name(row: &Row<'_>) -> String {
    let stream = row.stream;
    if stream.name.is_empty() { stream.path.display().to_string() } else { stream.name.clone() }
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A number with as many digits as one can read.
fn number(value: f64) -> String {
    if value != 0.0 && value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

fn cells(doing: &Doing<'_>) -> [String; 14] {
    let (status, info) = (doing.status, &doing.status.info);
    let shared = if info.scope == Scope::System { " (system)" } else { "" };
    let held = status.position.saturating_sub(status.oldest);
    let (lost, lately) = doing.lost();
    let (pids, programs) = producers(status);
    [
        format!("{}{shared}", info.full_name()),
        describe::state(status.producer).to_owned(),
        describe::kind(info),
        or_none((info.rate > 0.0).then(|| info.rate.to_string())),
        or_none(doing.rate().map(number)),
        or_none(doing.bytes().map(|bytes| format!("{:.3}", bytes / 1e6))),
        format!("{:.0}%", doing.fill * 100.0),
        doing.time(held).map_or_else(|| format!("{held} frames"), describe::seconds),
        format!("{}/{}", doing.readers.len(), info.consumers + info.lossless + info.readers),
        or_none(doing.lag().map(|frames| frames.to_string())),
        if lately > 0 { format!("{lost} (+{lately})") } else { lost.to_string() },
        or_none(doing.wakes().map(number)),
        pids,
        programs,
    ]
    .map(|cell| plain(&cell))
}

/// The producers' processes and programs; of one that died, which process it was.
fn producers(status: &Status) -> (String, String) {
    let there = || status.attached.iter().filter(|one| one.role == Role::Producer);
    if there().next().is_none() {
        return (or_none(describe::producer_pid(status.producer).map(|pid| pid.to_string())), "-".to_owned());
    }
    let mut programs: Vec<&str> = there().map(|one| one.program.as_str()).collect();
    programs.dedup();
    (there().map(|one| one.pid.to_string()).collect::<Vec<_>>().join(","), programs.join(","))
}

fn tone(reader: &Reader<'_>) -> Tone {
    if reader.lost > 0 { Tone::Bad } else { Tone::Reader }
}

fn reader(reader: &Reader<'_>, doing: &Doing<'_>) -> String {
    let one = reader.attached;
    let time = |frames| {
        doing.time(frames).map_or_else(String::new, |time| format!(" ({})", describe::seconds(time)))
    };
    let lag = reader.lag.map_or_else(
        || format!("at {}", one.position),
        |frames| format!("{frames} frames behind{}", if frames > 0 { time(frames) } else { String::new() }),
    );
    let lately = if reader.lost > 0 { format!(" (+{})", reader.lost) } else { String::new() };
    plain(&format!("  {} {} {}: {lag}, lost {}{lately}", one.role, one.pid, one.program, one.lost))
}

/// All that is known of a stream, on one line.
pub(crate) fn json(row: &Row<'_>) -> serde_json::Result<String> {
    let mut value = describe::listed(row.stream);
    if let Some(doing) = &row.doing {
        value["activity"] = json!({
            "seconds": doing.change.map(|change| change.time.as_secs_f64()),
            "frames": doing.change.map(|change| change.frames),
            "frames_per_second": doing.rate(),
            "bytes_per_second": doing.bytes(),
            "wakes_per_second": doing.wakes(),
            "fill": doing.fill,
            "readers": doing.readers.iter().map(|reader| json!({
                "role": reader.attached.role.to_string(),
                "pid": reader.attached.pid,
                "program": reader.attached.program,
                "lag": reader.lag,
                "lag_seconds": reader.lag.and_then(|frames| doing.time(frames)).map(|time| time.as_secs_f64()),
                "lost": reader.attached.lost,
                "lost_in_interval": reader.lost,
            })).collect::<Vec<_>>(),
        });
    }
    describe::json_line(&value)
}
