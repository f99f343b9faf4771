//! The lines of a table, and where each is.

use super::{float, no_number, text};
use crate::files::Error;
use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// A line with more bytes than this is no line of numbers.
pub(super) const LONGEST: u64 = 4 << 20;

/// So many lines tell the rate, where times must.
const LOOKED_AT: usize = 1000;

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
        let bounded = Bounded { file, left: LONGEST };
        let reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(bounded);
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
        let fields = *self.fields.get_or_insert(self.record.len());
        if self.record.len() != fields {
            let why = format!(" has {} fields, but the first line has {fields}", self.record.len());
            return Err(self.located(&why));
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

    /// Frames per second, by the times of the first lines.
    pub(super) fn rate(&mut self) -> Result<f64, Error> {
        let (mut begin, mut end, mut steps, mut digits) = (0.0, 0.0, 0_usize, 0);
        while steps < LOOKED_AT {
            if self.next()?.is_none() {
                break;
            }
            let Some(time) = float(&self.record[0]) else {
                let why = no_number(&self.record, 0, None);
                return Err(self.located(&why));
            };
            end = time;
            digits = digits.max(text(&self.record[0]).trim().split('.').nth(1).map_or(0, str::len));
            if steps == 0 {
                begin = end;
            }
            steps += 1;
        }
        let (span, steps) = (end - begin, steps.saturating_sub(1) as f64);
        let rate = steps / span;
        if !(rate.is_finite() && rate > 0.0) {
            let why =
                "its times do not tell the rate: at least two are needed, in seconds, going up; or --rate";
            return Err(Error::bad(why));
        }
        // Times are rounded to so many digits, and so is what follows from them. 255.98 was meant to be 256.
        let doubt = rate * 10_f64.powi(-(digits.min(300) as i32)) / span;
        Ok(if (rate.round() - rate).abs() <= doubt && rate >= 1.0 { rate.round() } else { rate })
    }
}

/// Gives so many bytes between two lines and no more: a line could be as long as the file.
#[derive(Debug)]
struct Bounded<R> {
    file: R,
    left: u64,
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
        Ok(count)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
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
