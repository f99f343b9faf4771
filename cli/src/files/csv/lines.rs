//! The lines of a table, and where each is.

use super::times::Times;
use super::{no_number, text};
use crate::files::Error;
use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// A line with more bytes than this is no line of numbers.
pub(super) const LONGEST: u64 = 4 << 20;

/// As many fields as two for each channel of a stream, and one for a time.
const MOST_FIELDS: usize = 2 * 65_536 + 1;

/// So many lines tell the rate, where times must; fewer if they are long.
const LOOKED_AT: usize = 100_000;
const LOOKED_AT_BYTES: u64 = 64 << 20;

/// The records of a file, one after the other.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: ::csv::Reader<Bounded<R>>,
    /// The line at hand.
    pub(super) record: ByteRecord,
    /// Where the first line of numbers is.
    first: ::csv::Position,
    /// How many fields each line has.
    fields: Option<usize>,
}

impl<R: Read + Seek> Lines<R> {
    pub(super) fn new(file: R, delimiter: u8) -> Self {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(Bounded::new(file));
        Self { reader, record: ByteRecord::new(), first: ::csv::Position::new(), fields: None }
    }

    pub(super) fn next(&mut self) -> Result<Option<&ByteRecord>, Error> {
        self.reader.get_mut().left = LONGEST;
        let more =
            self.reader.read_byte_record(&mut self.record).map_err(|error| match error.into_kind() {
                ErrorKind::Io(error) => error.into(),
                other => Error::Bad(format!("{other:?}")),
            })?;
        if !more {
            return Ok(None);
        }
        let count = self.record.len();
        let fields = *self.fields.get_or_insert(count);
        if count > MOST_FIELDS {
            return Err(self.located(&format!(" has {count} fields, more than a stream has channels")));
        }
        if count != fields {
            return Err(self.located(&format!(" has {count} fields, but the first line has {fields}")));
        }
        // In a table of several columns it is no frame; here it is one without a value.
        let resumed = self.reader.get_ref().resumed;
        if fields == 1 && resumed.is_some_and(|at| at < self.reader.position().byte()) {
            return Err(self.located(" comes after an empty one: no number says what the frame there was"));
        }
        Ok(Some(&self.record))
    }

    /// The numbers begin where the reader is now.
    pub(super) fn next_is_first(&mut self) {
        self.first = self.reader.position().clone();
    }

    pub(super) fn rewind(&mut self) -> Result<(), Error> {
        self.reader.get_mut().left = LONGEST;
        self.reader.seek(self.first.clone()).map_err(|error| Error::Bad(error.to_string()))
    }

    /// An error in the line at hand. Which one that is, the crate does not know after empty lines; it is counted here,
    /// from the file's beginning, and nothing can be read after that.
    pub(super) fn located(&mut self, why: &str) -> Error {
        let byte = self.record.position().map_or(0, ::csv::Position::byte);
        let file = &mut self.reader.get_mut().file;
        let mut line = 1;
        let counted = file.seek(SeekFrom::Start(0)).and_then(|_| {
            for (at, one) in (0..).zip(BufReader::new(file).bytes()) {
                match one? {
                    b'\n' => line += 1,
                    b'\r' => {}
                    _ if at >= byte => break,
                    _ => {}
                }
            }
            Ok(())
        });
        match counted {
            Ok(()) => Error::Bad(format!("line {line}{why}")),
            Err(error) => error.into(),
        }
    }

    /// The times of the first lines. A bad line further down comes after frames that can be played.
    pub(super) fn times(&mut self) -> Result<Times, Error> {
        let mut times = Times::default();
        while times.len() < LOOKED_AT && self.reader.position().byte() < LOOKED_AT_BYTES {
            match self.next() {
                Ok(None) => break,
                Err(_) if times.len() >= 2 => break,
                Ok(Some(_)) => {}
                Err(error) => return Err(error),
            }
            if !times.add(text(&self.record[0]).trim()) {
                if times.len() >= 2 {
                    break;
                }
                let why = no_number(&self.record, 0, None);
                return Err(self.located(&why));
            }
        }
        Ok(times)
    }
}

/// Gives so many bytes between two lines and no more: a line could be as long as the file. It knows where lines are
/// empty, which the crate passes over.
#[derive(Debug)]
struct Bounded<R> {
    file: R,
    left: u64,
    /// Where the next byte is, and how far it has been looked for empty lines.
    at: u64,
    looked: u64,
    /// The last byte that was looked at. The file's first line has an end before it, too.
    last: u8,
    /// Whether a line was empty.
    empty: bool,
    /// Where something comes after an empty line, for the first time.
    resumed: Option<u64>,
}

impl<R> Bounded<R> {
    fn new(file: R) -> Self {
        Self { file, left: LONGEST, at: 0, looked: 0, last: b'\n', empty: false, resumed: None }
    }

    fn look(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.at == self.looked && self.resumed.is_none() {
                let ends = |byte| matches!(byte, b'\r' | b'\n');
                if !ends(byte) {
                    self.resumed = self.empty.then_some(self.at);
                } else if ends(self.last) && (self.last, byte) != (b'\r', b'\n') {
                    self.empty = true;
                }
                self.last = byte;
                self.looked += 1;
            }
            self.at += 1;
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let why = format!("a line has more than {} MiB: that is no table", LONGEST >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let most = (into.len() as u64).min(self.left) as usize;
        let count = self.file.read(&mut into[..most])?;
        self.left -= count as u64;
        self.look(&into[..count]);
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

/// What separates the columns: the most frequent of these in the first line, outside of quotes.
pub(super) fn delimiter(file: &mut (impl Read + Seek)) -> io::Result<u8> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(1 << 16).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    let (mut quoted, mut counts) = (false, [(b',', 0), (b';', 0), (b'\t', 0)]);
    for &byte in start.iter().take_while(|byte| **byte != b'\n') {
        quoted ^= byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(byte == *delimiter && !quoted);
        }
    }
    let [comma, rest @ ..] = counts;
    // A comma where they are as frequent.
    Ok(rest.into_iter().fold(comma, |best, one| if one.1 > best.1 { one } else { best }).0)
}
