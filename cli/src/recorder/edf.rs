//! EDF+ and BDF+: data records of one length, each with the time at which it begins.
//!
//! A data record is a tenth of a second or less, a whole number of frames. A gap (more missing frames than the record has
//! room for) makes the file an interrupted one (`EDF+D`): the next record begins where the signal goes on. What is left of
//! the record before a gap, or at the end, cannot stay out of the file, since all records have one length, and must not
//! take frames with it that came: it repeats the last frame, and an annotation `BAD_ACQ_SKIP`, which MNE knows, tells
//! from where and how long. Likewise where fewer frames are missing than the record has room for. `play` leaves all
//! these out again.

mod annotations;
mod header;
mod signals;

use super::bits::{self, Bits};
use super::timeline::Timeline;
use super::{Begin, Growing, Marker, Track, Writer};
use crate::files::Gap;
use crate::sample::{Number, with_number};
use annotations::Annotations;
use annulus::SampleType;
use header::Header;
use std::io;

/// What stands for a part of the signal that is none.
const SKIP: &str = "BAD_ACQ_SKIP";

/// A data record has no more bytes, as EDF recommends.
const LARGEST_RECORD: usize = 61_440;

/// Nor more seconds, unless a frame has.
const LONGEST_RECORD: f64 = 0.1;

/// The number of data records has eight digits.
const MOST_RECORDS: u64 = 99_999_999;

pub(super) fn refuses(width: usize, track: &Track) -> Option<String> {
    let bits = 8 * width as u32;
    if track.rate <= 0.0 {
        return Some("the stream has no rate".to_owned());
    }
    if track.format.is_complex() {
        return Some(format!("its samples are complex ({})", track.format));
    }
    if !bits::enough(track, bits) {
        let whole = !matches!(track.format.sample_type(), Some(SampleType::F32 | SampleType::F64) | None);
        let hint = if whole { ", and it does not say that fewer bits of them are significant" } else { "" };
        return Some(format!(
            "its samples are {}, and those of the file whole numbers of {bits} bits{hint}",
            track.format
        ));
    }
    if track.channels.len() > 9998 {
        return Some(format!("it has {} channels, and the file 9998 at most", track.channels.len()));
    }
    if let Some(channel) = signals::unscalable(track, width) {
        let (label, scale, offset) = (&channel.label, channel.scale, channel.offset);
        return Some(format!(
            "its header has too few digits for the scale of '{label}' ({scale}, offset {offset})"
        ));
    }
    let duration = Duration::of(track, width);
    (duration.text.len() > 8 || duration.seconds <= 0.0)
        .then(|| format!("no data record lasts 1/{} s", track.rate))
}

/// How long a data record is.
#[derive(Clone, Debug)]
struct Duration {
    frames: usize,
    /// In seconds, as the header has it: eight characters.
    text: String,
    seconds: f64,
}

impl Duration {
    /// The longest that is exact; if none is, the one that is best.
    fn of(track: &Track, width: usize) -> Self {
        let frame = (track.channels.len() * width).max(1);
        let most = ((track.rate * LONGEST_RECORD) as usize).min(LARGEST_RECORD / frame).max(1);
        let of = |frames: usize| {
            let text = header::number(frames as f64 / track.rate);
            let seconds: f64 = text.parse().unwrap_or(0.0);
            let error = (frames as f64 / seconds - track.rate).abs() / track.rate;
            (error, Self { frames, text, seconds })
        };
        let mut best = of(most);
        for frames in (1..most).rev() {
            if best.0 == 0.0 {
                break;
            }
            let next = of(frames);
            if next.0 < best.0 {
                best = next;
            }
        }
        best.1
    }
}

/// A file that grows by whole data records.
#[derive(Debug)]
pub(super) struct Edf {
    file: Growing,
    header: Header,
    /// Bytes of one sample.
    width: usize,
    number: SampleType,
    bits: Bits,
    channels: usize,
    duration: Duration,
    timeline: Timeline,
    /// Index of the first frame of the record at hand, and its frames so far, as they came.
    first: u64,
    open: Vec<u8>,
    /// The last frame of the record before.
    last: Vec<u8>,
    /// Index after the last record.
    after: u64,
    /// Bytes of one frame as they come.
    frame: usize,
    annotations: Annotations,
}

impl Edf {
    pub(super) fn new(file: Growing, width: usize, track: &Track, notes: &mut Vec<String>) -> Self {
        let duration = Duration::of(track, width);
        let rate = duration.frames as f64 / duration.seconds;
        if rate != track.rate {
            let why = "the file's records have no duration that says it exactly";
            notes.push(format!("{}: its rate, {} Hz, becomes {rate} Hz: {why}", track.name, track.rate));
        }
        Self {
            header: Header::new(width, track, &duration, notes),
            file,
            width,
            number: track.format.sample_type().unwrap_or(SampleType::I16),
            bits: Bits::new(track, 8 * width as u32),
            channels: track.channels.len(),
            timeline: Timeline::new(rate, 0),
            duration,
            first: 0,
            open: Vec::new(),
            last: Vec::new(),
            after: 0,
            frame: track.frame_bytes(),
            annotations: Annotations::default(),
        }
    }

    fn record_bytes(&self) -> usize {
        self.duration.frames * self.channels * self.width + annotations::BYTES
    }

    /// Whole records, those to be written included.
    fn records(&self) -> u64 {
        (self.file.length() - self.header.bytes()) / self.record_bytes() as u64
    }

    /// The record at hand, if it is full.
    fn close(&mut self) -> io::Result<()> {
        if self.open.len() < self.duration.frames * self.frame {
            return Ok(());
        }
        if self.records() == MOST_RECORDS {
            let why = "the file has as many data records as EDF can count";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        if self.first != self.after && !self.header.interrupted {
            self.header.interrupted = true;
            self.flush()?;
            // Before the first record that does not follow: until then it is a continuous file.
            let (at, byte) = Header::INTERRUPTED;
            self.file.patch(at, byte)?;
        }
        for channel in 0..self.channels {
            self.signal(channel);
        }
        let seconds = self.seconds(self.first);
        self.annotations.put(seconds, &mut self.file.pending);
        self.last.clear();
        self.last.extend_from_slice(&self.open[self.open.len() - self.frame..]);
        self.open.clear();
        self.after = self.first + self.duration.frames as u64;
        self.first = self.after;
        if self.file.is_full() { self.flush() } else { Ok(()) }
    }

    /// Samples of one channel.
    fn signal(&mut self, channel: usize) {
        with_number!(self.number, N => {
            for frame in self.open.chunks_exact(self.frame) {
                let value = N::read(&frame[channel * N::BYTES..][..N::BYTES]).to_f64() as i64;
                self.file.pending.extend_from_slice(&value.to_le_bytes()[..self.width]);
            }
        });
    }

    /// Since the second that the header tells.
    fn seconds(&self, index: u64) -> f64 {
        self.header.fraction + index as f64 / self.duration.frames as f64 * self.duration.seconds
    }

    fn annotate(&mut self, indices: std::ops::Range<u64>, text: &str) {
        let (from, to) = (self.seconds(indices.start), self.seconds(indices.end));
        self.annotations.add(from, Some(to - from), text);
    }

    /// Repeats the last frame so many times, or as often as the record has room.
    fn fill(&mut self, most: u64) -> io::Result<()> {
        let room = (self.duration.frames * self.frame - self.open.len()) / self.frame;
        let last = self.open[self.open.len() - self.frame..].to_vec();
        for _ in 0..most.min(room as u64) {
            self.open.extend_from_slice(&last);
        }
        self.close()
    }

    fn patch_records(&mut self) -> io::Result<()> {
        let text = format!("{:<8}", self.records());
        self.file.patch(Header::RECORDS, text.as_bytes())
    }
}

/// As much of so many bytes as is whole.
fn whole(bytes: usize, unit: usize) -> usize {
    bytes - bytes % unit
}

impl Writer for Edf {
    fn begin(&mut self, _: usize, begin: Begin) -> io::Result<()> {
        self.timeline = Timeline::new(self.duration.frames as f64 / self.duration.seconds, begin.position);
        let bytes = self.header.begin(begin.time);
        self.file.pending.extend_from_slice(&bytes);
        self.file.flush(|_| 0)
    }

    fn frames(&mut self, _: usize, position: u64, frames: &[u8]) -> io::Result<()> {
        let (mut frames, refused) = self.bits.fitting(position, frames);
        if self.open.is_empty() {
            self.first = self.timeline.index(position);
        }
        while !frames.is_empty() {
            let room = self.duration.frames * self.frame - self.open.len();
            let (now, rest) = frames.split_at(room.min(frames.len()));
            self.open.extend_from_slice(now);
            frames = rest;
            self.close()?;
        }
        refused
    }

    fn gap(&mut self, _: usize, gap: &Gap) -> io::Result<()> {
        let missing = self.timeline.gap(gap);
        self.annotate(missing.clone(), &format!("{SKIP} {gap}"));
        if self.open.is_empty() { Ok(()) } else { self.fill(missing.end - missing.start) }
    }

    fn marker(&mut self, _: usize, marker: Marker) -> io::Result<()> {
        let seconds = self.seconds(self.timeline.index(marker.position));
        let duration = marker.duration.as_secs_f64();
        self.annotations.add(seconds, (duration > 0.0).then_some(duration), &marker.text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.file.length() == 0 {
            return Ok(());
        }
        let record = self.record_bytes();
        let written = self.file.flush(|written| whole(written.len(), record));
        written.and(self.patch_records())
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.open.is_empty() {
            let from = self.first + (self.open.len() / self.frame) as u64;
            self.annotate(
                from..self.first + self.duration.frames as u64,
                &format!("{SKIP} the recording ended before"),
            );
            self.fill(u64::MAX)?;
        }
        self.flush()?;
        self.put_rest()?;
        self.add_room()?;
        self.flush()
    }

    fn bytes(&self) -> u64 {
        self.file.length()
    }

    fn discard(&self) {
        self.file.discard();
    }
}

impl Edf {
    /// What could not be told in the records that followed goes where others have room.
    fn put_rest(&mut self) -> io::Result<()> {
        let record = self.record_bytes() as u64;
        for one in 0..self.records() {
            if self.annotations.is_empty() {
                return Ok(());
            }
            let at = self.header.bytes() + (one + 1) * record - annotations::BYTES as u64;
            let mut area = [0; annotations::BYTES];
            self.file.read(at, &mut area)?;
            if self.annotations.put_into(&mut area) {
                self.file.patch(at, &area)?;
            }
        }
        Ok(())
    }

    /// What no record had room for gets records of its own, which have no signal.
    fn add_room(&mut self) -> io::Result<()> {
        if self.annotations.is_empty() {
            return Ok(());
        }
        // One more for the text that says so.
        let records = self.annotations.len() as u64 + 1;
        let (from, frames) = (self.seconds(self.first), self.duration.frames);
        let to = self.seconds(self.first + records * frames as u64);
        self.annotations.add_first(from, Some(to - from), &format!("{SKIP} room for annotations"));
        for _ in 0..records {
            self.open = self.last.repeat(frames);
            self.close()?;
        }
        Ok(())
    }
}
