//! Where `cat` writes to.

use crate::failure::Failure;
use crate::print::Csv;
use std::fs::File;
use std::io::{self, Write};

/// Stdout, without std's line buffer in between.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// The form of text; `None` writes the bytes as they are.
    csv: Option<Csv>,
    text: Vec<u8>,
}

impl Output {
    pub(crate) fn stdout() -> io::Result<Self> {
        Ok(Self { file: unbuffered(io::stdout())?, csv: None, text: Vec::new() })
    }

    /// Writes lines of that form from now on. Its header comes first, unless it would be the last one again.
    pub(crate) fn turn_to(&mut self, csv: Csv) -> Result<(), Failure> {
        if self.csv.as_ref().is_none_or(|last| last.header() != csv.header()) {
            self.file.write_all(csv.header().as_bytes())?;
        }
        self.csv = Some(csv);
        Ok(())
    }

    /// Writes whole frames of `lane`, the first of which is at `position`.
    pub(crate) fn frames(&mut self, lane: u32, position: u64, frames: &[u8]) -> Result<(), Failure> {
        let Some(csv) = &self.csv else { return Ok(self.file.write_all(frames)?) };
        self.text.clear();
        csv.lines(lane, position, frames, &mut self.text);
        Ok(self.file.write_all(&self.text)?)
    }
}

/// What a standard stream reads from or writes to, without std's buffer in between.
#[cfg(unix)]
pub(crate) fn unbuffered(stream: impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// What a standard stream reads from or writes to, without std's buffer in between.
#[cfg(windows)]
pub(crate) fn unbuffered(stream: impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
}
