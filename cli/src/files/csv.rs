//! Tables of numbers: a line for each frame.

mod lines;
#[cfg(test)]
mod tests;

use self::lines::{Lines, delimiter};
use super::choose::{self, Names};
use super::{Error, Options, Reader, Recording};
use crate::sample::{Number, with_number};
use ::csv::ByteRecord;
use annulus::{Channel, SampleFormat, SampleType};
use std::io::{Read, Seek};

/// The frames of the columns that were chosen.
#[derive(Debug)]
pub(crate) struct Csv<R> {
    lines: Lines<R>,
    recording: Recording,
    number: SampleType,
    /// Where the channels are in a line.
    columns: Vec<usize>,
    first: First,
    /// What the first column said last.
    last: Option<f64>,
}

/// What the first column is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    Channel,
    /// Counts frames, as `annulus cat` writes it.
    Position,
    /// In seconds; tells whether frames are missing, unless the user gave the rate.
    Time {
        checked: bool,
    },
}

impl<R: Read + Seek> Csv<R> {
    pub(crate) fn new(mut file: R, options: &Options) -> Result<Self, Error> {
        let delimiter = delimiter(&mut file)?;
        let mut lines = Lines::new(file, delimiter);
        let Some(head) = lines.next()?.cloned() else {
            return Err(Error::bad("it has no lines"));
        };
        let is_head = head.iter().any(|field| !field.is_empty() && float(field).is_none());
        let labels: Vec<String> = if is_head {
            lines.next_is_first();
            head.iter().map(|field| text(field).trim().to_owned()).collect()
        } else {
            (1..=head.len()).map(|column| format!("ch{column}")).collect()
        };
        let mut first = if is_head { First::named(&labels[0]) } else { First::Channel };
        if let (First::Time { checked }, Some(_)) = (&mut first, options.rate) {
            *checked = false;
        }

        let format = options.format.unwrap_or(SampleFormat::Real(SampleType::F64));
        let number =
            format.sample_type().ok_or_else(|| Error::Usage("--type: opaque says nothing".into()))?;
        let from = usize::from(first != First::Channel);
        let channels = Columns { labels: &labels[from..], from, parts: 1 + usize::from(format.is_complex()) };
        let (columns, channels) = channels.choose(&options.channels)?;
        lines.rewind()?;
        let rate = match (options.rate, first) {
            (Some(rate), _) => rate,
            (None, First::Time { .. }) => lines.rate()?,
            (None, _) => {
                let why = "--rate is needed: no column of times tells how many frames there are in a second";
                return Err(Error::Usage(why.to_owned()));
            }
        };
        lines.rewind()?;
        if lines.next()?.is_none() {
            return Err(Error::bad("it has no line of numbers"));
        }
        lines.rewind()?;
        let recording = Recording {
            format,
            channels,
            rate,
            frames: None,
            device: String::new(),
            start_time: None,
            notes: Vec::new(),
        };
        Ok(Self { lines, recording, number, columns, first, last: None })
    }
}

impl<R> Csv<R> {
    /// The frame that the line at hand makes; or what is wrong with that, to be said after the line's number.
    fn frame(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let record = &self.lines.record;
        self.last = self.first.follows(record, self.last, self.recording.rate)?;
        for &column in &self.columns {
            with_number!(self.number, N => {
                let number: Option<N> = text(&record[column]).trim().parse().ok();
                let number = number.ok_or_else(|| no_number(record, column, Some(self.number)))?;
                let start = out.len();
                out.resize(start + N::BYTES, 0);
                number.write(&mut out[start..]);
            });
        }
        Ok(())
    }
}

impl<R: Read + Seek + std::fmt::Debug> Reader for Csv<R> {
    fn recording(&self) -> &Recording {
        &self.recording
    }

    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        for _ in 0..most {
            if self.lines.next()?.is_none() {
                break;
            }
            self.frame(out).map_err(|why| self.lines.located(&why))?;
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.last = None;
        self.lines.rewind()
    }
}

impl First {
    fn named(label: &str) -> Self {
        let word: String =
            label.to_lowercase().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match &*word {
            "position" => Self::Position,
            "time" | "times" | "t" | "timestamp" | "timestamps" | "seconds" | "time_s" => {
                Self::Time { checked: true }
            }
            _ => Self::Channel,
        }
    }

    /// Whether a line comes right after the one before. Frames that are missing between them are not passed over.
    fn follows(self, record: &ByteRecord, last: Option<f64>, rate: f64) -> Result<Option<f64>, String> {
        let step = match self {
            Self::Channel | Self::Time { checked: false } => return Ok(None),
            Self::Position => 1.0,
            Self::Time { checked: true } => 1.0 / rate,
        };
        let at = float(&record[0]).ok_or_else(|| no_number(record, 0, None))?;
        match last {
            None => Ok(Some(at)),
            Some(last) if (at - last - step).abs() <= step / 2.0 => Ok(Some(at)),
            // Also where it is no time at all: NaN is not near anything.
            Some(last) => Err(format!(
                ": the first column goes from {last} to {at} instead of {}: \
                 frames are missing or doubled, and gaps cannot be played yet",
                last + step
            )),
        }
    }
}

/// The columns that may be channels: one or, of complex numbers, two for each.
struct Columns<'a> {
    labels: &'a [String],
    from: usize,
    parts: usize,
}

impl Columns<'_> {
    /// The places of the wanted columns, and the channels that they make.
    fn choose(&self, wanted: &[String]) -> Result<(Vec<usize>, Vec<Channel>), Error> {
        if self.labels.is_empty() || !self.labels.len().is_multiple_of(self.parts) {
            let (count, parts) = (self.labels.len(), self.parts);
            return Err(Error::Usage(format!("{count} columns of numbers are no channels of {parts} each")));
        }
        let label = |pair: &[String]| {
            let first = &pair[0];
            let label = if self.parts == 2 { first.strip_suffix(".re").unwrap_or(first) } else { first };
            Names { label: label.to_owned(), verbatim: first.clone(), group: String::new() }
        };
        let all: Vec<Names> = self.labels.chunks(self.parts).map(label).collect();
        let chosen = choose::choose(wanted, &all)?;
        let columns = chosen.iter().flat_map(|index| {
            let first = self.from + index * self.parts;
            first..first + self.parts
        });
        Ok((columns.collect(), chosen.iter().map(|&index| Channel::new(&*all[index].label)).collect()))
    }
}

fn text(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or("\u{fffd}")
}

fn float(field: &[u8]) -> Option<f64> {
    text(field).trim().parse().ok()
}

fn no_number(record: &ByteRecord, column: usize, wanted: Option<SampleType>) -> String {
    let field: String = String::from_utf8_lossy(&record[column]).chars().take(40).collect();
    let field = field.replace(|c: char| c.is_control(), " ");
    let what = wanted.map_or_else(|| "number".to_owned(), |number| format!("{number} (see --type)"));
    format!(", column {}: '{field}' is no {what}", column + 1)
}
