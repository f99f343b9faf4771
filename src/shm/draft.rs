//! A file that nobody sees until it has its name: without any (`O_TMPFILE`), or, where the file system cannot do that,
//! under one that nobody looks for.
//!
//! Under such a name a draft is locked while it is built. Whoever builds the next one in that directory removes what nobody
//! has locked: its builder was killed.

use super::lock::{LockFile, Mode};
use super::native;
use core::ops::Deref;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const BUILDING: &str = ".annulus-building.";
const BUILDER_BYTE: u64 = 1 << 43;

#[derive(Debug)]
pub(super) enum Draft {
    Unnamed(File),
    Named(Box<Named>),
}

/// One with a name that nobody looks for. Dropped, that name is gone.
#[derive(Debug)]
pub(super) struct Named {
    file: LockFile,
    path: PathBuf,
}

impl Draft {
    /// An empty file, on the file system where `path` is to be.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match native::unnamed_in(directory)? {
            Some(file) => Ok(Self::Unnamed(file)),
            None => Named::new(directory).map(|named| Self::Named(named.into())),
        }
    }

    /// Gives it its name, if nothing has that.
    pub(super) fn link(self, path: &Path) -> io::Result<File> {
        match self {
            Self::Unnamed(file) => native::link(&file, path).map(|()| file),
            Self::Named(named) => named.rename(path),
        }
    }
}

impl Deref for Draft {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Self::Unnamed(file) => file,
            Self::Named(named) => &named.file,
        }
    }
}

impl Named {
    fn new(directory: &Path) -> io::Result<Self> {
        sweep(directory);
        loop {
            let mut path = PathBuf::new();
            let file = LockFile::open(|| {
                path = directory.join(format!("{BUILDING}{:016x}", getrandom::u64().map_err(io::Error::other)?));
                OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)
            })?;
            // One who sweeps may have come between the two.
            if file.try_lock(BUILDER_BYTE, Mode::Exclusive)? && leads_to(&path, &file) {
                return Ok(Self { file, path });
            }
        }
    }

    fn rename(self, path: &Path) -> io::Result<File> {
        match native::rename_new(&self.path, path) {
            // A file system that cannot look and rename in one: two names for a moment, the second without meaning.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::ENOTSUP)) => {
                fs::hard_link(&self.path, path)?;
            }
            done => done?,
        }
        let file = self.file.try_clone()?;
        self.file.unlock(BUILDER_BYTE)?;
        Ok(file)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if !self.file.forked() && leads_to(&self.path, &self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what those left who died while they built.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(BUILDING) {
            continue;
        }
        let path = entry.path();
        let open = || OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
        let Ok(left) = LockFile::open(open) else { continue };
        if left.try_lock(BUILDER_BYTE, Mode::Exclusive).unwrap_or(false) && leads_to(&path, &left) {
            let _ = fs::remove_file(&path); // it may be another user's
        }
    }
}

fn leads_to(path: &Path, file: &File) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}
