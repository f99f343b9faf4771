//! Shared memory of other programs: what there is, and its removal.

use crate::failure::Failure;
use crate::plain::plain;
use crate::table::Columns;
use crate::users;
use annulus::shm::{self, ErrorKind, Key, Listed, Place};
use serde_json::{Value, json};
use std::fs;

/// All POSIX objects and System V segments that are no streams.
pub(crate) fn list() -> Result<Vec<Listed>, Failure> {
    Ok(shm::list()?.into_iter().filter(is_foreign).collect())
}

/// What we may not look at is foreign; what is gone by now is not there.
fn is_foreign(one: &Listed) -> bool {
    let status = &one.status;
    if status.removed || status.unfinished {
        return true; // to open it would fail, or wait
    }
    // A segment must be mapped to be looked at, which others see. Streams are whole pages: the rest is left in peace.
    if !status.size.is_multiple_of(shm::page_bytes() as u64) {
        return true;
    }
    match shm::at(&one.place).read_only().open() {
        Ok(memory) => !annulus::is_stream(&memory).unwrap_or(false),
        Err(error) => *error.kind() != ErrorKind::NotFound,
    }
}

const HEADS: [&str; 8] = ["PLACE", "KEY", "BYTES", "OWNER", "MODE", "CREATOR", "ATTACHED", "STATE"];

/// In aligned columns.
pub(crate) fn table(all: &[Listed]) -> String {
    let rows: Vec<[String; 8]> = all.iter().map(row).collect();
    let columns = Columns::of(&HEADS, rows.iter().map(<[_; 8]>::as_slice));
    columns.line(&HEADS) + &rows.iter().map(|row| columns.line(row)).collect::<String>()
}

fn row(one: &Listed) -> [String; 8] {
    let status = &one.status;
    let or_none = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    [
        plain(&one.place.to_string()),
        key(one).map_or_else(|| "-".to_owned(), |key| key.to_string()),
        status.size.to_string(),
        users::user(status.owner),
        format!("{:o}", status.mode),
        or_none(status.creator.map(u64::from)),
        or_none(status.attached),
        state(one).to_owned(),
    ]
}

/// The key of a segment that can be found by it.
fn key(one: &Listed) -> Option<Key> {
    one.key.filter(|key| *key != Key::PRIVATE)
}

fn state(one: &Listed) -> &'static str {
    match &one.status {
        status if status.removed => "removed",
        status if status.unfinished => "unfinished",
        _ => "",
    }
}

pub(crate) fn json(one: &Listed) -> Value {
    let status = &one.status;
    json!({
        "place": one.place.to_string(),
        "key": key(one).map(|key| key.to_string()),
        "bytes": status.size,
        "owner": status.owner,
        "group": status.group,
        "mode": format!("{:o}", status.mode),
        "creator": status.creator,
        "attached": status.attached,
        "removed": status.removed,
        "unfinished": status.unfinished,
    })
}

/// Removes what is no stream. What was looked at is what is removed, whatever has its name by then.
pub(crate) fn remove(place: &Place) -> Result<(), Failure> {
    if let Place::File(path) = place {
        let refuse = |why: &str| Err(Failure::Failed(format!("cannot remove {place}: {why}")));
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => {
                return refuse("it is no regular file, and only those are removed here");
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return refuse(&error.to_string()),
            _ => {}
        }
    }
    let memory = shm::at(place).read_only().open()?;
    if annulus::is_stream(&memory)? {
        let instead =
            "it is a stream: remove it with annulus rm NAME; annulus ls, or ls --system, has the name";
        return Err(Failure::Failed(format!("cannot remove {place}: {instead}")));
    }
    Ok(memory.remove()?)
}
