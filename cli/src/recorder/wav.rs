//! WAV, which becomes RF64 when it is longer than 4 GiB: a header whose lengths are written anew, then the samples.
//!
//! The header has room for both forms from the beginning: what RF64 needs is a chunk `JUNK` until then. Gaps and markers
//! become cue points with labels, after the samples, when the recording ends.

use super::bits::{self, Bits};
use super::timeline::Timeline;
use super::{Begin, Growing, Marker, Track, Writer};
use crate::describe::{Civil, civil};
use crate::files::Gap;
use annulus::SampleType;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of the chunk of broadcast files.
const BEXT: usize = 602;

pub(super) fn refuses(track: &Track) -> Option<String> {
    if track.rate < 1.0 || track.rate.fract() != 0.0 || track.rate > f64::from(u32::MAX) {
        return Some(format!("its rate is {} Hz, and that of the file a whole number", track.rate));
    }
    let Some(form) = Form::of(track) else {
        return Some(format!("its samples are {}", track.format));
    };
    (form.channels > u16::MAX.into() || form.frame() > u16::MAX.into())
        .then(|| format!("it has {} channels", form.channels))
}

/// What a sample is in the file.
#[derive(Clone, Copy, Debug)]
struct Form {
    float: bool,
    width: usize,
    channels: usize,
}

impl Form {
    fn of(track: &Track) -> Option<Self> {
        let (float, width) = match track.format.sample_type()? {
            SampleType::U8 => (false, 1),
            // The file's 8 bits have no sign.
            SampleType::I8 | SampleType::I16 => (false, 2),
            SampleType::I32 if bits::enough(track, 24) => (false, 3),
            SampleType::I32 => (false, 4),
            SampleType::F32 => (true, 4),
            SampleType::F64 => (true, 8),
            SampleType::U16 | SampleType::U32 | SampleType::I64 => return None,
        };
        let parts = if track.format.is_complex() { 2 } else { 1 };
        Some(Self { float, width, channels: track.channels.len() * parts })
    }

    fn frame(self) -> usize {
        self.width * self.channels
    }
}

#[derive(Debug)]
pub(super) struct Wav {
    file: Growing,
    form: Form,
    bits: Bits,
    number: SampleType,
    rate: f64,
    origin: Origin,
    /// Bytes of samples that are in the file.
    samples: u64,
    timeline: Timeline,
    cues: Vec<Cue>,
}

/// Who recorded, and when.
#[derive(Debug)]
struct Origin {
    device: String,
    stream: String,
    time: SystemTime,
}

/// A place and what is to be told there.
#[derive(Debug)]
struct Cue {
    frame: u32,
    /// Frames that it lasts.
    frames: u32,
    text: String,
}

impl Wav {
    pub(super) fn new(file: Growing, track: &Track, notes: &mut Vec<String>) -> Self {
        let full = |channel: &annulus::Channel| channel.label.is_empty() && channel.unit.is_empty();
        if !track.channels.iter().all(full) {
            notes.push(format!("{}: WAV keeps no labels, units or scales of channels", track.name));
        }
        Self {
            file,
            form: Form::of(track).unwrap_or(Form { float: false, width: 2, channels: 1 }),
            bits: Bits::new(track, 24),
            number: track.format.sample_type().unwrap_or(SampleType::I16),
            rate: track.rate,
            origin: Origin { device: track.device.clone(), stream: track.name.clone(), time: UNIX_EPOCH },
            samples: 0,
            timeline: Timeline::new(track.rate, 0),
            cues: Vec::new(),
        }
    }

    /// With the lengths of what is in the file.
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        let frames = self.samples / self.form.frame() as u64;
        let padding = self.samples % 2;
        let begin = self.data();
        // What comes after the samples counts, too.
        let file = self.file.length().max(begin + self.samples + padding) - 8;
        let short = u32::try_from(file).ok();
        header.extend_from_slice(if short.is_some() { b"RIFF" } else { b"RF64" });
        header.extend_from_slice(&short.unwrap_or(u32::MAX).to_le_bytes());
        header.extend_from_slice(b"WAVE");
        let mut long = [0; 28];
        if short.is_none() {
            for (at, number) in [file, self.samples, frames].into_iter().enumerate() {
                long[8 * at..][..8].copy_from_slice(&number.to_le_bytes());
            }
        }
        chunk(&mut header, if short.is_some() { b"JUNK" } else { b"ds64" }, &long);
        chunk(&mut header, b"bext", &self.origin.bext(self.rate));
        chunk(&mut header, b"fmt ", &self.fmt());
        if self.form.float {
            let count = u32::try_from(frames).unwrap_or(u32::MAX);
            chunk(&mut header, b"fact", &count.to_le_bytes());
        }
        header.extend_from_slice(b"data");
        let data = if short.is_some() { self.samples as u32 } else { u32::MAX };
        header.extend_from_slice(&data.to_le_bytes());
        header
    }

    fn fmt(&self) -> Vec<u8> {
        const SUBFORMAT: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
        let Form { float, width, channels } = self.form;
        let tag: u16 = if float { 3 } else { 1 };
        let long = channels > 2 || width > 2;
        let rate = self.rate as u32;
        let mut fmt = Vec::new();
        fmt.extend_from_slice(&(if long { 0xFFFE } else { tag }).to_le_bytes());
        fmt.extend_from_slice(&(channels as u16).to_le_bytes());
        fmt.extend_from_slice(&rate.to_le_bytes());
        fmt.extend_from_slice(&rate.saturating_mul(self.form.frame() as u32).to_le_bytes());
        fmt.extend_from_slice(&(self.form.frame() as u16).to_le_bytes());
        fmt.extend_from_slice(&(8 * width as u16).to_le_bytes());
        if long {
            fmt.extend_from_slice(&22_u16.to_le_bytes());
            fmt.extend_from_slice(&(8 * width as u16).to_le_bytes());
            fmt.extend_from_slice(&0_u32.to_le_bytes()); // no loudspeaker has a place
            fmt.extend_from_slice(&tag.to_le_bytes());
            fmt.extend_from_slice(&SUBFORMAT);
        }
        fmt
    }

    /// Where the samples begin.
    fn data(&self) -> u64 {
        let fmt = if self.form.channels > 2 || self.form.width > 2 { 48 } else { 24 };
        12 + 36 + 8 + BEXT as u64 + fmt + if self.form.float { 12 } else { 0 } + 8
    }

    fn cue(&mut self, position: u64, frames: f64, text: String) {
        if let Ok(frame) = u32::try_from(self.timeline.recorded(position)) {
            self.cues.push(Cue { frame, frames: frames as u32, text });
        }
    }

    /// What comes after the samples.
    fn tail(&self) -> Vec<u8> {
        let mut tail = vec![0; (self.samples % 2) as usize];
        if self.cues.is_empty() {
            return tail;
        }
        let mut points = (self.cues.len() as u32).to_le_bytes().to_vec();
        let mut labels = b"adtl".to_vec();
        for (id, cue) in (1_u32..).zip(&self.cues) {
            for number in [id, cue.frame, u32::from_le_bytes(*b"data"), 0, 0, cue.frame] {
                points.extend_from_slice(&number.to_le_bytes());
            }
            chunk(&mut labels, b"labl", &[&id.to_le_bytes(), cue.text.as_bytes(), &[0]].concat());
            if cue.frames > 0 {
                let region = [&id.to_le_bytes(), &cue.frames.to_le_bytes(), &b"rgn "[..], &[0; 8]].concat();
                chunk(&mut labels, b"ltxt", &region);
            }
        }
        chunk(&mut tail, b"cue ", &points);
        chunk(&mut tail, b"LIST", &labels);
        tail
    }
}

impl Origin {
    /// The chunk of broadcast files: the date, the time, and how many samples after midnight that is.
    fn bext(&self, rate: f64) -> Vec<u8> {
        let Civil { year, month, day, hour, minute, second, nanosecond } = civil(self.time);
        let midnight = f64::from(hour * 3600 + minute * 60 + second) + f64::from(nanosecond) / 1e9;
        let mut bext = vec![0; BEXT];
        let mut put = |at: usize, length: usize, text: &str| {
            let bytes: Vec<u8> = text.bytes().filter(u8::is_ascii).take(length).collect();
            bext[at..at + bytes.len()].copy_from_slice(&bytes);
        };
        put(0, 256, &self.stream);
        put(256, 32, if self.device.is_empty() { "annulus" } else { &self.device });
        put(320, 10, &format!("{year:04}-{month:02}-{day:02}"));
        put(330, 8, &format!("{hour:02}:{minute:02}:{second:02}"));
        bext[338..346].copy_from_slice(&((midnight * rate).round() as u64).to_le_bytes());
        bext[346] = 1; // its version
        bext
    }
}

/// Chunks begin at even places.
fn chunk(out: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(2), 0);
}

impl Writer for Wav {
    fn begin(&mut self, _: usize, begin: Begin) -> io::Result<()> {
        self.timeline = Timeline::new(self.rate, begin.position);
        self.origin.time = begin.time;
        self.file.pending = self.header();
        self.file.flush(|_| 0)
    }

    fn frames(&mut self, _: usize, position: u64, frames: &[u8]) -> io::Result<()> {
        let (frames, refused) = match self.form.width {
            3 => self.bits.fitting(position, frames),
            _ => (frames, Ok(())),
        };
        let pending = &mut self.file.pending;
        match (self.number, self.form.width) {
            (SampleType::I8, _) => {
                for &byte in frames {
                    pending.extend_from_slice(&i16::from(byte as i8).to_le_bytes());
                }
            }
            (_, 3) => {
                frames.as_chunks::<4>().0.iter().for_each(|sample| pending.extend_from_slice(&sample[..3]));
            }
            _ => pending.extend_from_slice(frames),
        }
        refused?;
        if self.file.is_full() { self.flush() } else { Ok(()) }
    }

    fn gap(&mut self, _: usize, gap: &Gap) -> io::Result<()> {
        self.timeline.gap(gap);
        self.cue(gap.position, 0.0, gap.to_string());
        Ok(())
    }

    fn marker(&mut self, _: usize, marker: Marker) -> io::Result<()> {
        let frames = (marker.duration.as_secs_f64() * self.rate).round();
        self.cue(marker.position, frames, marker.text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.file.length() == 0 {
            return Ok(());
        }
        let frame = self.form.frame();
        let written = self.file.flush(|written| written.len() - written.len() % frame);
        self.samples = self.file.length() - self.data();
        let header = self.header();
        written.and(self.file.patch(0, &header))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.pending = self.tail();
        let written = self.file.flush(|_| 0);
        let header = self.header();
        written.and(self.file.patch(0, &header))
    }

    fn bytes(&self) -> u64 {
        self.file.length()
    }

    fn discard(&self) {
        self.file.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{self, Options, Reader};
    use std::fs;

    #[test]
    fn what_is_longer_than_4_gib_is_rf64() {
        let path = std::env::temp_dir().join(format!("annulus-{}-long.wav", std::process::id()));
        let track = Track {
            name: "x@v1".to_owned(),
            format: "i16".parse().unwrap(),
            channels: vec![annulus::Channel::new("x")],
            rate: 48_000.0,
            device: String::new(),
            metadata: String::new(),
            instance: [0; 16],
        };
        let mut wav = Wav::new(Growing::create(&path, false).unwrap(), &track, &mut Vec::new());
        wav.begin(0, Begin { position: 0, time: UNIX_EPOCH, clock: 0.0 }).unwrap();
        let frames = |path| {
            let file = fs::File::open(path).unwrap();
            files::Wav::new(file, &Options::default()).unwrap().recording().frames.unwrap()
        };
        for bytes in [1_u64 << 32, (1 << 32) - 4096, 5 << 30] {
            wav.file.skip_to(wav.data() + bytes - 4);
            wav.frames(0, 0, &[1, 0, 2, 0]).unwrap();
            wav.flush().unwrap();
            let mut head = [0; 16];
            wav.file.read(0, &mut head).unwrap();
            let form: &[u8] = if bytes + 4096 > 1 << 32 { b"RF64" } else { b"RIFF" };
            assert_eq!((&head[..4], frames(&path)), (form, bytes / 2));
        }
        fs::remove_file(&path).unwrap();
    }
}
