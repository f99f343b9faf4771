//! What an object is, and who may do what with it.

#[cfg(unix)]
use super::{native, place::Place, sysv::Found};
#[cfg(unix)]
use std::fs::Metadata;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;

/// What an object is, by [`SharedMemory::status`](super::SharedMemory::status) and [`list`](super::list).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its size in bytes, as it says itself.
    pub size: u64,
    /// The user whose it is. On Windows the last part of that one's security identifier; 0 where the system does not say.
    pub owner: u32,
    /// Its group; 0 on Windows, where it has none.
    pub group: u32,
    /// What owner, group and others may do: 0o640, as for a file. 0 on Windows, which has access lists instead.
    pub mode: u32,
    /// The process that made it, where the system keeps that: System V does.
    pub creator: Option<u32>,
    /// How many mappings of it there are, where the system counts them: System V does.
    pub attached: Option<u64>,
    /// It has lost its name, or is marked to go with its last mapping.
    pub removed: bool,
    /// It is a System V segment that is being made by annulus, or whose maker was killed meanwhile.
    pub unfinished: bool,
}

#[cfg(windows)]
impl Status {
    /// Of an object that the system says nothing of.
    pub(super) fn of_nobody() -> Self {
        Self { size: 0, owner: 0, group: 0, mode: 0, creator: None, attached: None, removed: false, unfinished: false }
    }
}

#[cfg(unix)]
impl Status {
    pub(super) fn of_file(place: &Place, found: &Metadata) -> Self {
        Self {
            size: found.len(),
            owner: found.uid(),
            group: found.gid(),
            mode: found.mode() & 0o7777,
            creator: None,
            attached: None,
            removed: native::has_no_name(place, found).unwrap_or(false),
            unfinished: false,
        }
    }

    pub(super) fn of_segment(found: &Found) -> Self {
        Self {
            size: found.size,
            owner: found.owner,
            group: found.group,
            mode: found.mode & 0o777,
            creator: Some(found.creator),
            attached: Some(found.attached),
            removed: found.is_marked(),
            unfinished: found.is_building(),
        }
    }
}

/// Whom an object is for, as far as somebody said so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grant {
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) mode: Option<u32>,
}

#[cfg(unix)]
impl Grant {
    /// Without a word, its owner alone.
    pub(super) fn or_usual(self) -> Self {
        Self { mode: self.mode.or(Some(0o600)), ..self }
    }
}
