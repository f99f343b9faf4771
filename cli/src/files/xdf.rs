//! XDF: chunks, some of which describe streams, and some of which hold samples of one.

mod stream;
#[cfg(test)]
mod tests;
mod texts;

use self::stream::Header;
use self::texts::{Offsets, Text};
use super::choose::{self, Names};
use super::{Cause, Error, Gap, Marker, Options, Reader, Recording, marker};
use annulus::{SampleFormat, SampleType};
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// No description is longer.
const LONGEST_HEADER: u64 = 64 << 20;

/// Where time leaps by more than these, frames are missing, as pyxdf has it; unless the stream says that samples can be
/// dropped, and so that its stamps are exact.
const LEAP_SECONDS: f64 = 1.0;
const LEAP_SAMPLES: f64 = 500.0;

/// The frames of the channels that were chosen, of one of the streams.
#[derive(Debug)]
pub(crate) struct Xdf<R> {
    file: R,
    recording: Recording,
    header: Header,
    /// Bytes of one number in the file.
    width: usize,
    /// Where each chosen channel is among a frame's samples.
    chosen: Vec<usize>,
    chunks: Vec<Chunk>,
    /// The chunk at hand, what of it was not given yet, and how many frames that is.
    chunk: usize,
    bytes: Vec<u8>,
    at: usize,
    left: u64,
    /// When the next frame is due.
    due: Option<f64>,
    first: Option<f64>,
    given: u64,
    gaps: Vec<Gap>,
    /// What is told beside the stream, in order, and those of them whose frames are known.
    texts: Vec<Text>,
    markers: Vec<Marker>,
    offsets: Offsets,
    /// The next frame comes after a gap that was told.
    told: bool,
}

/// Samples of the stream, in the file.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: u64,
    bytes: u64,
    frames: u64,
}

/// Whether the file begins as XDF does.
pub(super) fn begins(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut first = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(4).read_to_end(&mut first)?;
    Ok(first == b"XDF:")
}

/// What is in the file: the streams, by their numbers, and the chunks of each.
#[derive(Debug, Default)]
struct Contents {
    headers: Vec<(u32, Header)>,
    samples: Vec<(u32, Chunk)>,
    offsets: HashMap<u32, Offsets>,
    notes: Vec<String>,
}

impl Contents {
    fn read(file: &mut (impl Read + Seek), truncated: bool) -> Result<Self, Error> {
        if !begins(file)? {
            return Err(Error::bad("it is no XDF file: it does not begin like one"));
        }
        let length = file.seek(SeekFrom::End(0))?;
        let (mut at, mut all) = (4, Self::default());
        while at < length {
            let Some((bytes, begin)) = varlen(file, at, length)? else {
                all.cut(length - at, truncated)?;
                break;
            };
            if bytes > length - begin {
                all.cut(length - at, truncated)?;
                break;
            }
            if bytes < 2 {
                return Err(Error::Bad(format!("the chunk at byte {at} has {bytes} bytes: that is none")));
            }
            let mut tag = [0; 2];
            file.seek(SeekFrom::Start(begin))?;
            file.read_exact(&mut tag)?;
            all.chunk(file, u16::from_le_bytes(tag), begin + 2, bytes - 2)?;
            at = begin + bytes;
        }
        Ok(all)
    }

    /// The last chunk is not whole.
    fn cut(&mut self, bytes: u64, truncated: bool) -> Result<(), Error> {
        if !truncated {
            let why = "to play what is before that, add --truncated";
            return Err(Error::Bad(format!(
                "it was cut off: its last {bytes} bytes are no whole chunk; {why}"
            )));
        }
        self.notes.push(format!("the last {bytes} bytes are no whole chunk"));
        Ok(())
    }

    fn chunk(
        &mut self,
        file: &mut (impl Read + Seek),
        tag: u16,
        start: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        const STREAM_HEADER: u16 = 2;
        const SAMPLES: u16 = 3;
        const CLOCK_OFFSET: u16 = 4;
        if !matches!(tag, STREAM_HEADER | SAMPLES | CLOCK_OFFSET) {
            return Ok(());
        }
        let damaged = || Error::Bad(format!("the chunk at byte {start} contradicts itself"));
        let mut id = [0; 4];
        if bytes < 4 {
            return Err(damaged());
        }
        file.read_exact(&mut id)?;
        let (id, start, bytes) = (u32::from_le_bytes(id), start + 4, bytes - 4);
        if tag == STREAM_HEADER {
            if bytes > LONGEST_HEADER {
                return Err(damaged());
            }
            let mut text = vec![0; bytes as usize];
            file.read_exact(&mut text)?;
            self.headers.push((id, Header::read(&text)?));
            return Ok(());
        }
        if tag == CLOCK_OFFSET {
            let mut pair = [0; 16];
            if bytes == 16 {
                file.read_exact(&mut pair)?;
                self.offsets.entry(id).or_default().add(pair);
            }
            return Ok(());
        }
        let (frames, begin) = varlen(file, start, start + bytes)?.ok_or_else(damaged)?;
        let bytes = bytes - (begin - start);
        // Each has a byte for its stamp, at least.
        if frames > bytes {
            return Err(damaged());
        }
        self.samples.push((id, Chunk { start: begin, bytes, frames }));
        Ok(())
    }

    /// The stream that is wanted, or the only one that can be played.
    fn choose(&self, wanted: Option<&str>) -> Result<usize, Error> {
        let playable = |header: &Header| header.number.is_some() && header.rate > 0.0;
        let mine: Vec<usize> = match wanted {
            Some(wanted) => {
                let called = |at: &usize| self.headers[*at].1.name == wanted;
                let named: Vec<usize> = (0..self.headers.len()).filter(called).collect();
                let number =
                    wanted.parse::<usize>().ok().filter(|number| (1..=self.headers.len()).contains(number));
                if named.is_empty() { number.map(|number| number - 1).into_iter().collect() } else { named }
            }
            None => (0..self.headers.len()).filter(|&at| playable(&self.headers[at].1)).collect(),
        };
        let all = || {
            let all: Vec<String> =
                (1..).zip(&self.headers).map(|(at, (_, one))| format!("{at}: {one}")).collect();
            all.join("; ")
        };
        match (&mine[..], wanted) {
            ([one], _) if playable(&self.headers[*one].1) => Ok(*one),
            ([_], _) => Err(Error::Bad(format!(
                "what has no rate, or no numbers, cannot be played; it has {}",
                all()
            ))),
            ([], _) if self.headers.is_empty() => Err(Error::bad("it has no streams")),
            ([], Some(wanted)) => {
                Err(Error::Usage(format!("--stream: there is no '{wanted}', but {}", all())))
            }
            ([], None) => Err(Error::Bad(format!("it has no stream of numbers with a rate, but {}", all()))),
            (_, _) => {
                Err(Error::Usage(format!("it has several streams, say which, as in --stream 1: {}", all())))
            }
        }
    }
}

/// A number as the file has it, and where the next byte is. `None` where it is cut off.
fn varlen(file: &mut (impl Read + Seek), at: u64, end: u64) -> Result<Option<(u64, u64)>, Error> {
    let mut size = [0];
    file.seek(SeekFrom::Start(at))?;
    if at >= end {
        return Ok(None);
    }
    file.read_exact(&mut size)?;
    let size = usize::from(size[0]);
    if !matches!(size, 1 | 4 | 8) {
        return Err(Error::Bad(format!("at byte {at} there is no chunk where one should be")));
    }
    if end - at - 1 < size as u64 {
        return Ok(None);
    }
    let mut number = [0; 8];
    file.read_exact(&mut number[..size])?;
    Ok(Some((u64::from_le_bytes(number), at + 1 + size as u64)))
}

impl<R: Read + Seek> Xdf<R> {
    pub(crate) fn new(mut file: R, options: &Options) -> Result<Self, Error> {
        let mut contents = Contents::read(&mut file, options.truncated)?;
        let one = contents.choose(options.stream.as_deref())?;
        let (id, header) = (contents.headers[one].0, contents.headers[one].1.clone());
        let number = header.number.ok_or_else(|| Error::bad("its samples are no numbers"))?;
        let of_stream = contents.samples.iter().filter(|(of, _)| *of == id);
        let chunks: Vec<Chunk> = of_stream.map(|(_, chunk)| *chunk).collect();
        let frames: u64 = chunks.iter().map(|chunk| chunk.frames).sum();
        if frames == 0 {
            return Err(Error::bad("it has no samples"));
        }
        let width = number.bytes();
        let least = 1 + header.samples as u64 * width as u64;
        if chunks.iter().any(|chunk| chunk.frames.checked_mul(least).is_none_or(|bytes| bytes > chunk.bytes))
        {
            return Err(Error::bad("its samples are more than their chunks have room for"));
        }
        let beside = texts::beside(&contents.headers, &header);
        let texts = texts::read(&mut file, &contents, &beside)?;
        let offsets = contents.offsets.remove(&id).unwrap_or_default();
        let mut notes = contents.notes;
        let others = contents.headers.len() - 1 - beside.len();
        if others > 0 {
            notes.push(format!("{others} other streams skipped"));
        }
        if texts.len() == marker::MOST {
            notes.push(marker::too_many());
        }
        let names = |channel: &annulus::Channel| Names {
            label: channel.label.clone(),
            verbatim: channel.label.clone(),
            group: String::new(),
        };
        let channels = header.channels();
        let all: Vec<Names> = channels.iter().map(names).collect();
        let chosen = choose::choose(&options.channels, &all)?;
        Ok(Self {
            file,
            recording: Recording {
                format: header.format,
                channels: chosen.iter().map(|&index| channels[index].clone()).collect(),
                rate: header.rate,
                frames: Some(frames),
                device: header.device.clone(),
                start_time: header.start_time,
                notes,
            },
            width,
            chosen,
            header,
            chunks,
            chunk: 0,
            bytes: Vec::new(),
            at: 0,
            left: 0,
            due: None,
            first: None,
            given: 0,
            gaps: Vec::new(),
            texts,
            markers: Vec::new(),
            offsets,
            told: false,
        })
    }

    /// The next frame; false at the end, or before a gap.
    fn frame(&mut self, alone: bool, out: &mut Vec<u8>) -> Result<bool, Error> {
        while self.left == 0 {
            let Some(chunk) = self.chunks.get(self.chunk) else {
                self.mark(self.due, true);
                return Ok(false);
            };
            self.bytes.resize(chunk.bytes as usize, 0);
            self.file.seek(SeekFrom::Start(chunk.start))?;
            self.file.read_exact(&mut self.bytes)?;
            (self.at, self.left) = (0, chunk.frames);
            self.chunk += 1;
        }
        let damaged = || Error::bad("a chunk of samples contradicts itself");
        let frame = self.header.samples * self.width;
        let (stamp, begin) = match self.bytes.get(self.at) {
            Some(0) => (None, self.at + 1),
            Some(8) => {
                let stamp = self.bytes.get(self.at + 1..self.at + 9).and_then(|stamp| stamp.try_into().ok());
                (Some(f64::from_le_bytes(stamp.ok_or_else(damaged)?)), self.at + 9)
            }
            _ => return Err(damaged()),
        };
        let step = 1.0 / self.header.rate;
        if let (Some(stamp), Some(due), false) = (stamp, self.due, self.told) {
            let missing = ((stamp - due) * self.header.rate).round();
            let least =
                if self.header.exact { 1.0 } else { LEAP_SAMPLES.max(LEAP_SECONDS * self.header.rate) };
            if missing >= least && missing < 1e15 {
                let time =
                    Duration::try_from_secs_f64(stamp - self.first.unwrap_or(stamp)).unwrap_or_default();
                let missing = Some(missing as u64);
                self.gaps.push(Gap { position: self.given, missing, cause: Cause::Unknown, time });
                self.told = true;
                if !alone {
                    return Ok(false);
                }
            }
        }
        let samples = self.bytes.get(begin..begin + frame).ok_or_else(damaged)?;
        let parts = self.header.parts;
        for &index in &self.chosen {
            for number in samples[index * parts * self.width..][..parts * self.width].chunks_exact(self.width)
            {
                // What was widened becomes what it was.
                let own = self.header.format.sample_type().map_or(self.width, SampleType::bytes);
                out.extend_from_slice(&number[..own]);
            }
        }
        self.told = false;
        self.mark(stamp.or(self.due), false);
        self.due = stamp.or(self.due).map(|now| now + step);
        self.first = self.first.or(stamp);
        (self.at, self.left, self.given) = (begin + frame, self.left - 1, self.given + 1);
        Ok(true)
    }

    /// The next frame, or the end, is sampled then: what is told of it, and of what is missing before it.
    fn mark(&mut self, now: Option<f64>, end: bool) {
        let half = 0.5 / self.header.rate;
        while let Some(text) = self.texts.get(self.markers.len()) {
            let late = now.map(|now| text.time - now - self.offsets.at(now));
            let position = match late {
                Some(late) if late < half => (self.given > 0 || late >= -half).then_some(self.given),
                _ if end => None,
                _ => return,
            };
            self.markers.push(Marker::within(u64::MAX, position, 0, &text.text));
        }
    }
}

impl<R: Read + Seek + std::fmt::Debug> Reader for Xdf<R> {
    fn recording(&self) -> &Recording {
        &self.recording
    }

    fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    fn markers(&self) -> &[Marker] {
        &self.markers
    }

    fn is_marked(&self) -> bool {
        !self.texts.is_empty()
    }

    fn read(&mut self, most: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        for nth in 0..most {
            if !self.frame(nth == 0, out)? {
                break;
            }
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), Error> {
        (self.chunk, self.left, self.given, self.told) = (0, 0, 0, false);
        (self.due, self.first) = (None, None);
        self.gaps.clear();
        self.markers.clear();
        Ok(())
    }
}

/// What the numbers of a stream were before they were written: there are none without a sign, and none that are complex.
fn restored(number: SampleType, was: Option<SampleFormat>) -> SampleFormat {
    let same = |was: &SampleFormat| {
        let held = match was.sample_type() {
            Some(SampleType::U8) => Some(SampleType::I16),
            Some(SampleType::U16) => Some(SampleType::I32),
            Some(SampleType::U32) => Some(SampleType::I64),
            other => other,
        };
        held == Some(number)
    };
    was.filter(same).unwrap_or(SampleFormat::Real(number))
}
