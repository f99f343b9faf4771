//! From what the user typed to one stream.

use crate::describe;
use crate::failure::Failure;
use annulus::{Listed, ProducerState};

/// The full name, `ecg@v2`, of the stream that `name` means. Without a version that is the only one there is, or the
/// only live one.
pub(crate) fn resolve(name: &str) -> Result<String, Failure> {
    if name.contains('@') {
        return Ok(name.to_owned());
    }
    choose(name, &annulus::list()?)
}

fn choose(name: &str, listed: &[Listed]) -> Result<String, Failure> {
    let versions: Vec<&Listed> = listed
        .iter()
        .filter(|stream| stream.name.rsplit_once("@v").is_some_and(|(stem, _)| stem == name))
        .collect();
    let live: Vec<&Listed> = versions.iter().copied().filter(|stream| is_live(stream)).collect();
    match (&versions[..], &live[..]) {
        // The library says best what is wrong with the name, and what there is instead.
        ([], _) => Ok(name.to_owned()),
        ([only], _) | (_, [only]) => Ok(only.name.clone()),
        _ => {
            let all: Vec<String> = versions.iter().map(|stream| one(stream)).collect();
            Err(Failure::Failed(format!(
                "'{name}' exists in {} versions, say which: {}",
                all.len(),
                all.join("; ")
            )))
        }
    }
}

fn is_live(stream: &Listed) -> bool {
    stream.status.as_ref().is_ok_and(|status| matches!(status.producer, ProducerState::Live { .. }))
}

fn one(stream: &Listed) -> String {
    match &stream.status {
        Ok(status) => {
            format!("{} ({}, {})", stream.name, status.info.summary(), describe::state(status.producer))
        }
        Err(_) => format!("{} (broken)", stream.name),
    }
}
