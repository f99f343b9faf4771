//! WAV, also the forms for long files (RF64, BW64): chunks, one of which describes the samples and one holds them.
//!
//! The samples lie in the file as they will in the ring, so that there is next to nothing to decode.

mod cues;
#[cfg(test)]
mod tests;

use super::choose::{self, Names};
use super::{Error, Gap, Marker, Options, Reader, Recording, date};
use crate::plain::plain;
use annulus::{Channel, SampleFormat, SampleType};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Frames are taken from the file in windows of about this many bytes.
const WINDOW: usize = 1 << 18;

/// More chunks than this before the samples are none that a program wrote.
const MOST_CHUNKS: usize = 4096;

/// What stands for a length that is told elsewhere, or that was not known when the header was written.
const UNKNOWN: u32 = u32::MAX;

/// What `sox` writes into a pipe as the length of the samples.
const SOX_UNKNOWN: u32 = 0x7FFF_F000;

/// The frames of the channels that were chosen.
#[derive(Debug)]
pub(crate) struct Wav<R> {
    file: R,
    recording: Recording,
    /// Bytes of one sample, and of one frame, in the file.
    width: usize,
    frame: usize,
    /// Where each channel is in a frame.
    offsets: Vec<usize>,
    data: u64,
    frames: u64,
    gaps: Vec<Gap>,
    markers: Vec<Marker>,
    /// The next frame.
    next: u64,
    window: Vec<u8>,
}

/// Whether the file begins as WAV does.
pub(super) fn begins(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut first = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(12).read_to_end(&mut first)?;
    Ok(is_wav(&first))
}

fn is_wav(first: &[u8]) -> bool {
    matches!(first.get(..4), Some(b"RIFF" | b"RF64" | b"BW64")) && first.get(8..12) == Some(b"WAVE")
}

impl<R: Read + Seek> Wav<R> {
    pub(crate) fn new(mut file: R, options: &Options) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        let chunks = Chunks::find(&mut file, length)?;
        let form = chunks.form.ok_or_else(|| Error::bad("it has no 'fmt ' chunk before its samples"))?;
        let origin = chunks.origin.unwrap_or_default().with_fraction(form.rate);
        let mut notes = Vec::new();
        let frames = chunks.data.frames(form.frame as u64, options.truncated, &mut notes)?;

        let after = chunks.data.start + frames * form.frame as u64;
        let (gaps, markers) = cues::read(&mut file, after, length, frames, form.rate)?;
        let names = |index| {
            let label = label(index, form.channels);
            Names { verbatim: label.clone(), label, group: String::new() }
        };
        let all: Vec<Names> = (0..form.channels).map(names).collect();
        let chosen = choose::choose(&options.channels, &all)?;
        let channel = |&index: &usize| {
            let channel = Channel::new(&*all[index].label).kind("AUDIO").scaled(form.scale, form.offset);
            if form.width == 3 { channel.significant_bits(24) } else { channel }
        };
        Ok(Self {
            recording: Recording {
                format: SampleFormat::Real(form.number),
                channels: chosen.iter().map(channel).collect(),
                rate: form.rate,
                frames: Some(frames),
                device: origin.device,
                start_time: origin.start_time,
                notes,
            },
            file,
            width: form.width,
            frame: form.frame,
            offsets: chosen.iter().map(|index| index * form.width).collect(),
            data: chunks.data.start,
            frames,
            gaps,
            markers,
            next: 0,
            window: Vec::new(),
        })
    }
}

impl<R: Read + Seek + std::fmt::Debug> Reader for Wav<R> {
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
        let mut left = (self.frames - self.next).min(most as u64);
        while left > 0 {
            let count = left.min((WINDOW / self.frame).max(1) as u64) as usize;
            self.window.resize(count * self.frame, 0);
            self.file.seek(SeekFrom::Start(self.data + self.next * self.frame as u64))?;
            self.file.read_exact(&mut self.window)?;
            for frame in self.window.chunks_exact(self.frame) {
                for &at in &self.offsets {
                    match frame[at..at + self.width] {
                        [low, middle, high] => {
                            let sample = i32::from_le_bytes([0, low, middle, high]) >> 8;
                            out.extend_from_slice(&sample.to_le_bytes());
                        }
                        ref sample => out.extend_from_slice(sample),
                    }
                }
            }
            self.next += count as u64;
            left -= count as u64;
        }
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.next = 0;
        Ok(())
    }
}

/// What came before the samples, and where they are.
struct Chunks {
    form: Option<Form>,
    origin: Option<Origin>,
    data: Data,
}

impl Chunks {
    fn find(file: &mut (impl Read + Seek), length: u64) -> Result<Self, Error> {
        let mut first = [0; 12];
        file.seek(SeekFrom::Start(0))?;
        if length < 12 {
            let why = "it is no WAV file, or cut off within its header: it has only";
            return Err(Error::Bad(format!("{why} {length} bytes")));
        }
        file.read_exact(&mut first)?;
        if !is_wav(&first) {
            return Err(Error::bad("it is no WAV file: it does not begin like one"));
        }
        // Whether the header was completed when the recording ended.
        let complete = u64::from(word(&first, 4)) + 8 >= length;
        let (mut form, mut origin, mut long) = (None, None, None);
        let mut at = 12;
        for _ in 0..MOST_CHUNKS {
            let mut head = [0; 8];
            if length - at < 8 {
                return Err(Error::bad("it has no samples, or was cut off before them"));
            }
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut head)?;
            let (bytes, body) = (word(&head, 4), at + 8);
            let there = length - body;
            if &head[..4] == b"data" {
                // Whole frames only, so that it may be less by a part of one.
                let frame = form.as_ref().map_or(1, |form: &Form| form.frame as u32);
                let endless = bytes <= SOX_UNKNOWN
                    && SOX_UNKNOWN - bytes < frame
                    && (u64::from(bytes) > there || !complete);
                let said = match (bytes, long) {
                    (UNKNOWN, Some(Long { file: 0, data: 0 }) | None) => None,
                    (UNKNOWN, Some(long)) => Some(long.data),
                    (0, _) if !complete && there > 0 => None,
                    _ if endless => None,
                    (bytes, _) => Some(u64::from(bytes)),
                };
                return Ok(Self { form, origin, data: Data { start: body, there, said } });
            }
            if u64::from(bytes) > there {
                return Err(Error::bad("it was cut off before its samples"));
            }
            let mut part = [0; 346];
            let part = &mut part[..(bytes as usize).min(346)];
            file.read_exact(part)?;
            match &head[..4] {
                b"fmt " => form = Some(Form::read(part)?),
                b"ds64" if part.len() >= 16 => {
                    let whole = |at| u64::from(word(part, at)) | u64::from(word(part, at + 4)) << 32;
                    long = Some(Long { file: whole(0), data: whole(8) });
                }
                b"bext" if part.len() == 346 => origin = Some(Origin::read(part)),
                _ => {}
            }
            // Chunks begin at even places.
            at = (body + u64::from(bytes)).next_multiple_of(2).min(length);
        }
        Err(Error::bad("it has thousands of chunks, and still no samples"))
    }
}

/// The lengths of the file and of its samples in the form for long files. Zeros were never filled in.
struct Long {
    file: u64,
    data: u64,
}

/// Where the samples are.
struct Data {
    start: u64,
    /// Bytes to the end of the file.
    there: u64,
    /// Bytes of samples, if the header knows.
    said: Option<u64>,
}

impl Data {
    /// How many frames there are to be read. What the header says is held against the file's length.
    fn frames(&self, frame: u64, truncated: bool, notes: &mut Vec<String>) -> Result<u64, Error> {
        let bytes = match self.said {
            Some(said) if said > self.there => {
                let what = format!("its header says {said} bytes of samples, but {} are there", self.there);
                if !truncated {
                    let why = format!("it was cut off: {what}; to play those, add --truncated");
                    return Err(Error::Bad(why));
                }
                notes.push(what);
                self.there
            }
            Some(said) => said,
            None => {
                notes.push("its header does not say how long it is: played to the end of the file".into());
                self.there
            }
        };
        let (frames, rest) = (bytes / frame, bytes % frame);
        if frames == 0 {
            return Err(Error::bad("it has no samples"));
        }
        if rest > 0 {
            notes.push(format!("{rest} bytes of a frame that is not whole skipped"));
        }
        Ok(frames)
    }
}

/// What a frame is.
struct Form {
    channels: usize,
    rate: f64,
    width: usize,
    frame: usize,
    number: SampleType,
    /// To full scale, -1 to 1.
    scale: f64,
    offset: f64,
}

impl Form {
    fn read(chunk: &[u8]) -> Result<Self, Error> {
        const PCM: u16 = 1;
        const FLOAT: u16 = 3;
        const EXTENSIBLE: u16 = 0xFFFE;
        // What follows the two bytes of the format itself in the longer form.
        const SUBFORMAT: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

        if chunk.len() < 16 {
            return Err(Error::bad("its 'fmt ' chunk is too short"));
        }
        let half = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let format = match half(0) {
            EXTENSIBLE if chunk.get(26..40) == Some(&SUBFORMAT) => half(24),
            format => format,
        };
        let (channels, rate, frame, bits) = (half(2), word(chunk, 4), half(12), half(14));
        let (number, scale, offset) = match (format, bits) {
            (PCM, 8) => (SampleType::U8, 1.0 / 128.0, -1.0),
            (PCM, 16) => (SampleType::I16, 1.0 / 32_768.0, 0.0),
            (PCM, 24) => (SampleType::I32, 1.0 / 8_388_608.0, 0.0),
            (PCM, 32) => (SampleType::I32, 1.0 / 2_147_483_648.0, 0.0),
            (FLOAT, 32) => (SampleType::F32, 1.0, 0.0),
            (FLOAT, 64) => (SampleType::F64, 1.0, 0.0),
            (PCM | FLOAT, _) => {
                return Err(Error::Bad(format!("samples of {bits} bits cannot be played")));
            }
            _ => {
                let why = "its samples are compressed, or of a form that cannot be played";
                return Err(Error::Bad(format!("{why} (format {format:#06x})")));
            }
        };
        let width = usize::from(bits / 8);
        if channels == 0 || rate == 0 || usize::from(frame) != width * usize::from(channels) {
            return Err(Error::Bad(format!(
                "its header contradicts itself: {channels} channels of {bits} bits at {rate} Hz, \
                 in frames of {frame} bytes"
            )));
        }
        let (channels, frame) = (usize::from(channels), usize::from(frame));
        Ok(Self { channels, rate: f64::from(rate), width, frame, number, scale, offset })
    }
}

/// What a broadcast file says about its recording.
#[derive(Debug, Default)]
struct Origin {
    device: String,
    start_time: Option<SystemTime>,
    /// Frames since midnight.
    since_midnight: u64,
}

impl Origin {
    fn read(bext: &[u8]) -> Self {
        let device = String::from_utf8_lossy(&bext[256..288]);
        // A recorder that does not know what it records says its own name.
        let device = plain(device.trim_end_matches('\0')).trim().to_owned();
        Self {
            device: if device == "annulus" { String::new() } else { device },
            start_time: originated(&bext[320..338]),
            since_midnight: u64::from(word(bext, 338)) | u64::from(word(bext, 342)) << 32,
        }
    }

    /// The date and the time are whole seconds; the frames since midnight tell the rest, if they mean the same second.
    fn with_fraction(mut self, rate: f64) -> Self {
        let since_midnight = self.since_midnight as f64 / rate;
        self.start_time = self.start_time.map(|time| {
            let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() % 86_400);
            let fraction = since_midnight - seconds as f64;
            if (0.0..1.0).contains(&fraction) { time + Duration::from_secs_f64(fraction) } else { time }
        });
        self
    }
}

/// The date and time of a broadcast file: `2026-11-21`, `06:28:24`, with anything between the numbers.
fn originated(text: &[u8]) -> Option<SystemTime> {
    let number = |from: usize, to: usize| -> Option<u32> {
        std::str::from_utf8(text.get(from..to)?).ok()?.parse().ok()
    };
    let date = (i64::from(number(0, 4)?), number(5, 7)?, number(8, 10)?);
    date::utc(date, (number(10, 12)?, number(13, 15)?, number(16, 18)?))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn label(index: usize, channels: usize) -> String {
    match (channels, index) {
        (2, 0) => "L".to_owned(),
        (2, _) => "R".to_owned(),
        _ => format!("ch{}", index + 1),
    }
}
