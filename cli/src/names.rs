//! From what the user typed to one stream.

use crate::describe;
use crate::failure::Failure;
use annulus::{Builder, Info, Listed, Open, ProducerState, Scope};
use std::fmt;

/// A stream that exists, as the user names it.
#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The stream: ecg@v2, or ecg where that is clear
    name: String,
    #[command(flatten)]
    place: Place,
}

/// Whose streams are meant.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Place {
    /// Among the streams that all users share, instead of one's own
    #[arg(long)]
    system: bool,
}

/// One stream, by its full name.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    name: String,
    scope: Scope,
}

impl Named {
    /// As the user typed it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The stream that is meant. Without a version that is the only one there is, or the only live one.
    pub(crate) fn resolve(&self) -> Result<Stream, Failure> {
        self.place.resolve(&self.name)
    }
}

impl Place {
    pub(crate) fn scope(self) -> Scope {
        if self.system { Scope::System } else { Scope::User }
    }

    /// As [`Named::resolve`].
    pub(crate) fn resolve(self, name: &str) -> Result<Stream, Failure> {
        let scope = self.scope();
        let name = if name.contains('@') { name.to_owned() } else { choose(name, &annulus::list(scope)?)? };
        Ok(Stream { name, scope })
    }
}

impl Stream {
    /// The one that this is, or whichever has its name by now.
    pub(crate) fn named_as(info: &Info) -> Self {
        Self { name: info.full_name(), scope: info.scope }
    }

    pub(crate) fn open(&self) -> Open {
        annulus::open(&self.name).scope(self.scope)
    }

    /// Another one, for the same users.
    pub(crate) fn beside(&self, name: &str) -> Builder {
        annulus::create(name).scope(self.scope)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
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
