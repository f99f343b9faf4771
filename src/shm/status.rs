//! What an object is, and who may do what with it.

use super::native;
use super::place::Place;
use super::sysv::Found;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

/// What an object is, by [`SharedMemory::status`](super::SharedMemory::status) and [`list`](super::list).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its size in bytes, as it says itself.
    pub size: u64,
    /// The user whose it is.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// What owner, group and others may do: 0o640, as for a file.
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

impl Grant {
    /// Without a word, its owner alone.
    pub(super) fn or_usual(self) -> Self {
        Self { mode: self.mode.or(Some(0o600)), ..self }
    }

    pub(super) fn give(self, file: &File) -> io::Result<()> {
        if self.owner.is_some() || self.group.is_some() {
            fchown(file, self.owner, self.group)?;
        }
        self.mode.map_or(Ok(()), |mode| file.set_permissions(Permissions::from_mode(mode)))
    }
}
