//! A file that grows at its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// So much is gathered at most before it is written.
const MOST: usize = 4 << 20;

/// The file, and what is to be written next.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    /// Where the file ends.
    end: u64,
    /// What comes after that.
    pub(super) pending: Vec<u8>,
}

impl Growing {
    /// Makes the file; one that is there already is overwritten only by force.
    pub(super) fn create(path: &Path, force: bool) -> io::Result<Self> {
        if force && path.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there, and no file"));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(force).create_new(!force).truncate(force);
        Ok(Self { file: options.open(path)?, path: path.to_owned(), end: 0, pending: Vec::new() })
    }

    /// Where the next byte will be.
    pub(super) fn length(&self) -> u64 {
        self.end + self.pending.len() as u64
    }

    /// Whether so much is gathered that it should be written before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= MOST
    }

    /// Writes what was gathered. If not all of it fits, as much stays in the file as `whole` says of what was written,
    /// and the rest is forgotten.
    pub(super) fn flush(&mut self, whole: impl FnOnce(&[u8]) -> usize) -> io::Result<()> {
        let (mut written, mut done) = (0, self.file.seek(SeekFrom::Start(self.end)).map(drop));
        while done.is_ok() && written < self.pending.len() {
            match self.file.write(&self.pending[written..]) {
                Ok(0) => done = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => done = Err(error),
            }
        }
        if done.is_err() {
            written = whole(&self.pending[..written]);
            self.file.set_len(self.end + written as u64)?;
        }
        self.end += written as u64;
        self.pending.clear();
        done
    }

    /// Writes over what is in the file, in one go.
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }

    /// What is in the file.
    pub(super) fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        io::Read::read_exact(&mut self.file, bytes)
    }

    /// As if so much had been written.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, end: u64) {
        self.file.set_len(end).unwrap();
        self.end = end;
    }

    /// Puts a file of these bytes in its place, at once. On an error the one before stays.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let done = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &self.path));
        if done.is_err() {
            let _ = fs::remove_file(&new);
        }
        if done.is_ok() {
            self.end = bytes.len() as u64;
        }
        done
    }

    /// Removes the file: nothing came of it.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
