//! Whose something is, and what others may do with it: users, groups and modes.

#![allow(unsafe_code)]

use super::directory::{Access, Entry, Scope};
use super::lock::LockFile;
use crate::error::Error;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

impl Entry {
    pub(super) fn of(found: &Metadata) -> Self {
        let object = (found.dev(), found.ino());
        Self { object, owner: found.uid(), group: found.gid(), mode: found.mode() }
    }
}

/// What is known of an open file.
pub(crate) fn entry(file: &File) -> io::Result<Entry> {
    file.metadata().map(|found| Entry::of(&found))
}

/// This process's effective user.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// Makes a directory that is closed to others.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Why others may plant or remove objects in a directory; `None` if they may not.
pub(super) fn distrust_directory(found: &Metadata, scope: Scope) -> Option<String> {
    let (me, owner, mode) = (effective_uid(), found.uid(), found.mode() & 0o7777);
    let others_write = mode & 0o022 != 0;
    match scope {
        Scope::User if owner != me => {
            Some(format!("it belongs to user {owner}, not to you ({me}): set ANNULUS_DIR to one of your own"))
        }
        Scope::User if others_write => {
            Some(format!("others may write to it (mode {mode:o}): run chmod 700 on it"))
        }
        // Who owns the directory may take anybody's name away.
        Scope::System if owner != 0 && owner != me => {
            Some(format!("it belongs to user {owner}; one that all users share belongs to root"))
        }
        Scope::System if others_write && mode & 0o1000 == 0 => {
            Some(format!("anybody may remove anything there (mode {mode:o}): run chmod 1777 on it"))
        }
        _ => None,
    }
}

/// Why an open file may not be taken for one of our objects; `None` if it may. Nobody may have a second name for
/// it. A user's own was made by the user; a system's may have been made by anybody, but who may write to it, and
/// so cut it off under its readers, was chosen by its owner: a group, never all.
pub(super) fn distrust(file: &LockFile, scope: Scope) -> io::Result<Option<String>> {
    let found = file.found();
    let me = effective_uid();
    let not_to_write = match scope {
        Scope::User => 0o022,
        Scope::System => 0o002,
    };
    Ok(if !found.is_file() {
        Some("it is not a regular file".into())
    } else if scope == Scope::User && found.uid() != me && found.uid() != 0 {
        Some(format!("it belongs to user {}, not to you ({me})", found.uid()))
    } else if found.nlink() > 1 {
        Some("it has a second name (hard link); remove the stream by force to be rid of it".into())
    } else if found.mode() & not_to_write != 0 {
        Some(format!("others may write to it (mode {:o})", found.mode() & 0o7777))
    } else {
        None
    })
}

/// Whether we may take the name of `object` away: in a directory that all users share its owner may.
pub(super) fn may_unlink(object: &File) -> bool {
    let me = effective_uid();
    me == 0 || object.metadata().is_ok_and(|found| found.uid() == me)
}

/// Without a word its owner alone, or the group as a reader.
pub(super) fn usual(access: Access, is_shared: bool) -> Access {
    let usual = if is_shared { 0o640 } else { 0o600 };
    Access { mode: access.mode.or(Some(usual)), ..access }
}

/// Whether that is the access to `object` already.
pub(super) fn grants(object: &File, access: Access) -> bool {
    object.metadata().is_ok_and(|found| {
        access.group.is_none_or(|group| group == found.gid())
            && access.mode.is_none_or(|mode| mode == found.mode() & 0o7777)
    })
}

/// Lets those use `object`, in a directory at `path`, who may, as far as `access` says.
pub(super) fn grant(object: &File, access: Access, path: &Path) -> Result<(), Error> {
    if let Some(group) = access.group {
        std::os::unix::fs::fchown(object, None, Some(group)).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::parameter(format!(
                "you are not in group {group}, so you cannot give it a stream: choose one of your own (run id)"
            )),
            _ => Error::os("set the group of an object in", path, error),
        })?;
    }
    let Some(mode) = access.mode else { return Ok(()) };
    object
        .set_permissions(fs::Permissions::from_mode(mode)) // whatever the umask was
        .map_err(|error| Error::os("set the mode of an object in", path, error))
}
