//! Tables of numbers: a line for each frame.

mod clock;
mod lines;
#[cfg(test)]
mod tests;
mod times;

use self::clock::Clock;
use self::lines::{Lines, delimiter};
use super::choose::{self, Names};
use super::{Cause, Error, Gap, Options, Reader, Recording};
use crate::plain::plain;
use crate::sample::{Number, with_number};
use ::csv::ByteRecord;
use annulus::{Channel, SampleFormat, SampleType};
use std::io::{Read, Seek};
use std::time::Duration;

/// The frames of the columns that were chosen.
#[derive(Debug)]
pub(crate) struct Csv<R> {
    lines: Lines<R>,
    recording: Recording,
    number: SampleType,
    /// Where the channels are in a line.
    columns: Vec<usize>,
    /// What the first column is held against, unless it is a channel, or a time of no interest.
    clock: Option<Clock>,
    first: First,
    /// Frames that were given so far, and those missing between them.
    given: u64,
    gaps: Vec<Gap>,
    /// The line at hand comes after a gap, and was not given yet.
    held: bool,
}

/// What the first column is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum First {
    Channel,
    /// Counts frames, as `annulus cat` writes it.
    Position,
    /// So many of them are a second, if the label says that.
    Time {
        per_second: Option<f64>,
    },
}

impl<R: Read + Seek> Csv<R> {
    pub(crate) fn new(mut file: R, options: &Options) -> Result<Self, Error> {
        let delimiter = delimiter(&mut file)?;
        let mut lines = Lines::new(file, delimiter);
        let Some(head) = lines.next()?.cloned() else {
            return Err(Error::bad("it has no lines"));
        };
        let labels = labels(&head).map_err(|why| lines.located(&why))?;
        let first = labels.as_ref().map_or(First::Channel, |labels| First::named(&labels[0]));
        if labels.is_some() {
            lines.next_is_first();
        }
        let numbered = || (1..=head.len()).map(|column| format!("ch{column}")).collect();
        let labels = labels.unwrap_or_else(numbered);

        let format = options.format.unwrap_or(SampleFormat::Real(SampleType::F64));
        let number =
            format.sample_type().ok_or_else(|| Error::Usage("--type: opaque says nothing".into()))?;
        let from = usize::from(first != First::Channel);
        let channels = Columns { labels: &labels[from..], from, parts: 1 + usize::from(format.is_complex()) };
        let (columns, channels) = channels.choose(&options.channels)?;
        lines.rewind()?;
        let (rate, clock) = match (options.rate, first) {
            (Some(rate), First::Position) => (rate, Some(Clock::counting())),
            (Some(rate), _) => (rate, None),
            (None, First::Time { per_second: Some(per_second) }) => {
                let (rate, clock) = lines.times()?.rate(per_second).map_err(Error::bad)?;
                (rate, Some(clock))
            }
            (None, First::Time { per_second: None }) => {
                let why = "times in s, ms, us or ns tell the rate, but the first column is called";
                return Err(Error::Usage(format!("--rate is needed: {why} '{}'", short(&labels[0]))));
            }
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
        Ok(Self { lines, recording, number, columns, clock, first, given: 0, gaps: Vec::new(), held: false })
    }
}

impl<R> Csv<R> {
    /// Whether the line at hand follows from the one before, or how many are missing between them.
    fn missing(&mut self) -> Result<u64, String> {
        let Some(clock) = &mut self.clock else { return Ok(0) };
        let record = &self.lines.record;
        let said = float(&record[0]).filter(|said| said.is_finite());
        let said = said.ok_or_else(|| no_number(record, 0, None))?;
        clock.follow(said).map(|()| 0).or_else(|why| {
            let hint = if self.first == First::Position { "" } else { "; --rate plays it regardless" };
            clock.leap(said).ok_or_else(|| format!(": {why}: frames are missing or doubled{hint}"))
        })
    }

    /// The frame that the line at hand makes; or what is wrong with that, to be said after the line's number.
    fn frame(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let record = &self.lines.record;
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
        for nth in 0..most {
            if !std::mem::take(&mut self.held) {
                if self.lines.next()?.is_none() {
                    break;
                }
                let missing = self.missing().map_err(|why| self.lines.located(&why))?;
                if missing > 0 {
                    let before: u64 = self.gaps.iter().filter_map(|gap| gap.missing).sum();
                    let seconds = (self.given + before + missing) as f64 / self.recording.rate;
                    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                    let (position, cause) = (self.given, Cause::Unknown);
                    self.gaps.push(Gap { position, missing: Some(missing), cause, time });
                    // What comes before a gap is given alone.
                    if nth > 0 {
                        self.held = true;
                        break;
                    }
                }
            }
            self.frame(out).map_err(|why| self.lines.located(&why))?;
            self.given += 1;
        }
        Ok(())
    }

    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn rewind(&mut self) -> Result<(), Error> {
        if let Some(clock) = &mut self.clock {
            clock.rewind();
        }
        (self.given, self.held) = (0, false);
        self.gaps.clear();
        self.lines.rewind()
    }
}

impl First {
    fn named(label: &str) -> Self {
        let word: String = label.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match times::per_second(label) {
            Some(per_second) => Self::Time { per_second: per_second.ok() },
            None if word.eq_ignore_ascii_case("position") => Self::Position,
            None => Self::Channel,
        }
    }
}

/// The labels in the first line, unless it is a frame. A line that is neither would be lost as either.
fn labels(head: &ByteRecord) -> Result<Option<Vec<String>>, String> {
    let labels: Vec<String> = head.iter().map(|field| plain(text(field)).trim().to_owned()).collect();
    let number = labels.iter().find(|label| label.parse::<f64>().is_ok());
    let other = labels.iter().find(|label| !label.is_empty() && label.parse::<f64>().is_err());
    match (number, other) {
        (_, None) => Ok(None),
        (None, Some(_)) => Ok(Some(labels)),
        // What cat writes where channels are called 1, 2, 3: no frame begins like that.
        (Some(_), Some(_)) if First::named(&labels[0]) != First::Channel => Ok(Some(labels)),
        (Some(number), Some(other)) => Err(format!(
            " has '{}', which is a number, and '{}', which is none: a frame has numbers only, \
             and where it has the labels, none of them may be a number",
            short(number),
            short(other)
        )),
    }
}

/// As much of a text as a message has room for.
fn short(text: &str) -> String {
    plain(text).chars().take(40).collect()
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
    let field = short(&String::from_utf8_lossy(&record[column]));
    let what = wanted.map_or_else(|| "number".to_owned(), |number| format!("{number} (see --type)"));
    format!(", column {}: '{field}' is no {what}", column + 1)
}
