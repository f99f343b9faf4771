//! EDF and BDF, with and without a plus: a header, then data records, in each of which one signal's samples follow the
//! other's.

mod header;
mod runs;
mod signals;
#[cfg(test)]
mod tests;

use self::header::Header;
use self::runs::Runs;
use self::signals::{channel, names, one_rate};
use super::{Error, Gap, Marker, Options, Reader, Recording};
use super::{choose, marker};
use annulus::{SampleFormat, SampleType};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// Frames are taken from the file in windows of about this many bytes.
const WINDOW: usize = 1 << 18;

/// The frames of the signals that were chosen.
#[derive(Debug)]
pub(crate) struct Edf<R> {
    file: R,
    recording: Recording,
    /// Bytes of one sample in the file.
    width: usize,
    /// Where the data begin.
    data: u64,
    record_bytes: u64,
    /// Frames in a record.
    per_record: u64,
    /// Frames of the file that are signal, and what is missing between them.
    runs: Vec<Range<u64>>,
    gaps: Vec<Gap>,
    markers: Vec<Marker>,
    /// Where each channel's samples begin in a record.
    offsets: Vec<u64>,
    /// The next frame to be taken from the file, and the run that it is in.
    next: u64,
    run: usize,
    /// Frames that were taken, of which the first so many bytes were given on.
    window: Vec<u8>,
    given: usize,
    samples: Vec<u8>,
}

/// Whether the file begins as EDF or BDF does.
pub(super) fn begins(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut first = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(8).read_to_end(&mut first)?;
    Ok(width(&first).is_some())
}

/// How many bytes a sample has in a file that begins so; `None` for other files.
fn width(first: &[u8]) -> Option<usize> {
    match first.get(..8)? {
        b"0       " => Some(2),
        b"\xffBIOSEMI" => Some(3),
        _ => None,
    }
}

impl<R: Read + Seek> Edf<R> {
    pub(crate) fn new(mut file: R, options: &Options) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        let header = Header::read(&mut file, length)?;
        let layout = Layout::of(&header)?;
        let mut notes = Vec::new();
        let records = layout.records(&header, length, options.truncated, &mut notes)?;

        let signals: Vec<usize> =
            (0..header.signals.len()).filter(|&index| !header.signals[index].is_annotations()).collect();
        if signals.is_empty() {
            return Err(Error::bad("it has no signals, only annotations"));
        }
        let all = |index: &usize| names(&header, &header.signals[*index]);
        let chosen = choose::choose(&options.channels, &signals.iter().map(all).collect::<Vec<_>>())?;
        let chosen: Vec<usize> = chosen.into_iter().map(|index| signals[index]).collect();
        let per_record = one_rate(&header, &chosen)?;
        records.checked_mul(per_record).ok_or_else(too_much)?;
        let rate = per_record as f64 / header.duration;
        if !rate.is_finite() || rate <= 0.0 {
            return Err(Error::Bad(format!("{per_record} samples in {} s are no rate", header.duration)));
        }
        let runs = Runs::read(&mut file, &header, &layout, records, per_record)?;
        let frames = runs.frames;
        if frames == 0 {
            return Err(Error::bad("its annotations say that none of its samples are signal"));
        }
        if runs.too_many {
            notes.push(marker::too_many());
        }

        let mut channels = Vec::with_capacity(chosen.len());
        for &index in &chosen {
            channels.push(channel(&header.signals[index], header.width).map_err(|why| {
                let label = &header.signals[index].label;
                Error::Bad(format!("signal {} ('{label}'): {why}", index + 1))
            })?);
        }
        let start_time = header.start_time.and_then(|at| at.checked_add(runs.first));
        let number = if header.width == 2 { SampleType::I16 } else { SampleType::I32 };
        Ok(Self {
            file,
            recording: Recording {
                format: SampleFormat::Real(number),
                channels,
                rate,
                frames: Some(frames),
                device: header.device,
                start_time,
                notes,
            },
            width: header.width,
            data: header.bytes,
            record_bytes: layout.record_bytes,
            per_record,
            next: runs.runs[0].start,
            runs: runs.runs,
            gaps: runs.gaps,
            markers: runs.markers,
            run: 0,
            offsets: chosen.iter().map(|&index| layout.offsets[index]).collect(),
            window: Vec::new(),
            given: 0,
            samples: Vec::new(),
        })
    }

    /// Takes the next window of frames from the file, from one record; none at the end.
    fn fill(&mut self) -> io::Result<()> {
        let frame_bytes = self.recording.frame_bytes();
        if self.next == self.runs[self.run].end && self.run + 1 < self.runs.len() {
            self.run += 1;
            self.next = self.runs[self.run].start;
        }
        let (record, at) = (self.next / self.per_record, self.next % self.per_record);
        let most = ((WINDOW / frame_bytes).max(1) as u64).min(self.per_record - at);
        let left = self.runs[self.run].end - self.next;
        let count = most.min(left) as usize;
        self.window.resize(count * frame_bytes, 0);
        self.given = 0;
        if count == 0 {
            return Ok(());
        }
        let record = self.data + record * self.record_bytes;
        for (channel, offset) in self.offsets.iter().enumerate() {
            self.file.seek(SeekFrom::Start(record + offset + at * self.width as u64))?;
            self.samples.resize(count * self.width, 0);
            self.file.read_exact(&mut self.samples)?;
            let frames = self.window.chunks_exact_mut(frame_bytes);
            if self.width == 2 {
                for (frame, sample) in frames.zip(self.samples.as_chunks::<2>().0) {
                    frame[2 * channel..][..2].copy_from_slice(sample);
                }
            } else {
                for (frame, &[low, middle, high]) in frames.zip(self.samples.as_chunks::<3>().0) {
                    let sample = i32::from_le_bytes([0, low, middle, high]) >> 8;
                    frame[4 * channel..][..4].copy_from_slice(&sample.to_le_bytes());
                }
            }
        }
        self.next += count as u64;
        Ok(())
    }
}

impl<R: Read + Seek + std::fmt::Debug> Reader for Edf<R> {
    fn recording(&self) -> &Recording {
        &self.recording
    }

    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn markers(&self) -> &[Marker] {
        &self.markers
    }

    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut left = most.saturating_mul(self.recording.frame_bytes());
        while left > 0 {
            if self.given == self.window.len() {
                self.fill()?;
                if self.window.is_empty() {
                    break;
                }
            }
            let bytes = &self.window[self.given..];
            let bytes = &bytes[..bytes.len().min(left)];
            out.extend_from_slice(bytes);
            self.given += bytes.len();
            left -= bytes.len();
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), Error> {
        (self.next, self.run) = (self.runs[0].start, 0);
        self.window.clear();
        self.given = 0;
        Ok(())
    }
}

/// Where things are in a data record.
#[derive(Debug)]
struct Layout {
    record_bytes: u64,
    /// Of each signal.
    offsets: Vec<u64>,
}

impl Layout {
    fn of(header: &Header) -> Result<Self, Error> {
        let (mut record_bytes, mut offsets) = (0_u64, Vec::with_capacity(header.signals.len()));
        for signal in &header.signals {
            offsets.push(record_bytes);
            let bytes = signal.per_record.checked_mul(header.width as u64);
            record_bytes = bytes.and_then(|bytes| record_bytes.checked_add(bytes)).ok_or_else(too_much)?;
        }
        Ok(Self { record_bytes, offsets })
    }

    /// How many whole records there are to be read. What the header says is held against the file's length.
    fn records(
        &self,
        header: &Header,
        length: u64,
        truncated: bool,
        notes: &mut Vec<String>,
    ) -> Result<u64, Error> {
        let there = length - header.bytes;
        let (whole, rest) = (there / self.record_bytes, there % self.record_bytes);
        let played = match header.records {
            Some(said) if said > whole => {
                let what = format!("its header says {said} data records, but {whole} are whole");
                if !truncated {
                    let why = format!("it was cut off: {what}; to play those, add --truncated");
                    return Err(Error::Bad(why));
                }
                notes.push(format!("{what}, and {rest} bytes of the next"));
                whole
            }
            Some(said) => {
                let behind = there - said * self.record_bytes;
                if behind > 0 {
                    notes.push(format!("{behind} bytes after the last data record skipped"));
                }
                said
            }
            None => {
                notes.push(format!(
                    "the recording was never finished: {whole} whole data records, and {rest} bytes of the next"
                ));
                whole
            }
        };
        if played == 0 {
            return Err(Error::bad("it has no whole data record"));
        }
        Ok(played)
    }
}

fn too_much() -> Error {
    Error::bad("its header describes more samples than a file can hold")
}
