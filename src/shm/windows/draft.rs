//! A file that nobody looks for until it has its name.

use super::{OpenDirectory, Unnamed};
use core::ops::Deref;
use std::fs::File;
use std::io;
use std::path::Path;

/// Dropped without its name, it is gone.
#[derive(Debug)]
pub(crate) struct Draft {
    directory: OpenDirectory,
    unnamed: Unnamed,
}

impl Draft {
    /// An empty file, in the directory where `path` is to be.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let directory = OpenDirectory::of(path)?;
        let unnamed = directory.make()?;
        Ok(Self { directory, unnamed })
    }

    /// Gives it its name, if nothing has that.
    pub(crate) fn link(self, path: &Path) -> io::Result<File> {
        let file = self.unnamed.reopen()?;
        self.directory.link(&self.unnamed, path.file_name().unwrap_or_default())?;
        Ok(file)
    }
}

impl Deref for Draft {
    type Target = File;

    fn deref(&self) -> &File {
        &self.unnamed
    }
}
