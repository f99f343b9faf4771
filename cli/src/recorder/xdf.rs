//! XDF: streams of several rates in one file, as chunks of samples with time stamps. Frames are missing where the stamps
//! leap.
//!
//! Time stamps are seconds of the monotonic clock, LSL's. Once a second there is a boundary, by which readers find the
//! next whole chunk after one that is damaged.

mod header;

use super::timeline::Timeline;
use super::{Begin, Growing, Marker, Track, Writer};
use crate::files::Gap;
use crate::sample::{Number, with_number};
use annulus::{SampleFormat, SampleType, monotonic_ns};
use std::io;
use std::time::{Duration, Instant};

const FILE_HEADER: u16 = 1;
const STREAM_HEADER: u16 = 2;
const SAMPLES: u16 = 3;
const CLOCK_OFFSET: u16 = 4;
const BOUNDARY: u16 = 5;
const STREAM_FOOTER: u16 = 6;

/// What a boundary is: no other bytes are likely to be the same.
const BOUNDARY_IS: [u8; 16] =
    [0x43, 0xA5, 0x46, 0xDC, 0xCB, 0xF5, 0x41, 0x0F, 0xB3, 0x0E, 0xD5, 0x46, 0x73, 0x83, 0xCB, 0xE4];

/// Samples are gathered up to so many bytes.
const LARGEST_CHUNK: usize = 64 << 10;

/// How often there is a boundary, and how often clocks are compared.
const BOUNDARIES: Duration = Duration::from_secs(1);
const CLOCKS: Duration = Duration::from_secs(5);

pub(super) fn refuses(track: &Track) -> Option<String> {
    if track.rate <= 0.0 {
        return Some("the stream has no rate".to_owned());
    }
    (track.format == SampleFormat::Opaque).then(|| "its elements are known by their size only".to_owned())
}

/// What a number becomes: there are none without a sign.
fn held_as(number: SampleType) -> SampleType {
    match number {
        SampleType::U8 => SampleType::I16,
        SampleType::U16 => SampleType::I32,
        SampleType::U32 => SampleType::I64,
        number => number,
    }
}

#[derive(Debug)]
pub(super) struct Xdf {
    file: Growing,
    /// Where the chunks end that are to be written.
    ends: Vec<usize>,
    streams: Vec<Stream>,
    bounded: Instant,
    compared: Instant,
}

#[derive(Debug)]
struct Stream {
    track: Track,
    begin: Option<Begin>,
    timeline: Timeline,
    /// The chunk of samples that is gathered.
    samples: Vec<u8>,
    count: u64,
    /// Whether the next sample needs a stamp.
    stamp: bool,
    /// Of the first sample and of the last one.
    stamps: Option<(f64, f64)>,
    total: u64,
    offsets: Vec<f64>,
    /// The stream of texts beside it begins with the first text.
    texts: u64,
    text_stamps: Option<(f64, f64)>,
}

impl Xdf {
    pub(super) fn new(file: Growing, tracks: &[Track]) -> Self {
        let stream = |track: &Track| Stream {
            track: track.clone(),
            begin: None,
            timeline: Timeline::new(track.rate, 0),
            samples: Vec::new(),
            count: 0,
            stamp: true,
            stamps: None,
            total: 0,
            offsets: Vec::new(),
            texts: 0,
            text_stamps: None,
        };
        let streams = tracks.iter().map(stream).collect();
        Self { file, ends: Vec::new(), streams, bounded: Instant::now(), compared: Instant::now() }
    }

    fn chunk(&mut self, tag: u16, content: &[&[u8]]) {
        let length = 2 + content.iter().map(|part| part.len()).sum::<usize>() as u64;
        varlen(length, &mut self.file.pending);
        self.file.pending.extend_from_slice(&tag.to_le_bytes());
        content.iter().for_each(|part| self.file.pending.extend_from_slice(part));
        self.ends.push(self.file.pending.len());
    }

    /// Names a stream in the file: those of texts come after the others.
    fn id(&self, stream: usize, text: bool) -> [u8; 4] {
        let others = if text { self.streams.len() } else { 0 };
        ((stream + others + 1) as u32).to_le_bytes()
    }

    /// What is gathered becomes a chunk.
    fn close(&mut self, stream: usize) {
        let id = self.id(stream, false);
        let one = &mut self.streams[stream];
        one.stamp = true;
        if one.count == 0 {
            return;
        }
        let mut head = id.to_vec();
        varlen(one.count, &mut head);
        one.total += one.count;
        one.count = 0;
        let samples = std::mem::take(&mut one.samples);
        self.chunk(SAMPLES, &[&head, &samples]);
        self.streams[stream].samples = samples;
        self.streams[stream].samples.clear();
    }

    /// A sample of the texts beside a stream.
    fn text(&mut self, stream: usize, index: u64, text: &str) {
        let id = self.id(stream, true);
        let one = &mut self.streams[stream];
        let Some(stamp) = one.time(index) else { return };
        if one.texts == 0 {
            let header = header::of_texts(&one.track, stamp);
            self.chunk(STREAM_HEADER, &[&id, header.as_bytes()]);
        }
        let one = &mut self.streams[stream];
        one.texts += 1;
        one.text_stamps = Some((one.text_stamps.map_or(stamp, |(first, _)| first), stamp));
        let mut sample = id.to_vec();
        varlen(1, &mut sample);
        sample.push(8);
        sample.extend_from_slice(&stamp.to_le_bytes());
        varlen(text.len() as u64, &mut sample);
        self.chunk(SAMPLES, &[&sample, text.as_bytes()]);
    }

    /// The clock of a stream is that of the recorder: there is nothing between them.
    fn compare_clocks(&mut self, stream: usize) {
        let now = monotonic_ns() as f64 / 1e9;
        let one = &mut self.streams[stream];
        if one.begin.is_none() {
            return;
        }
        one.offsets.push(now);
        let texts = one.texts > 0;
        for text in [false, true].into_iter().filter(|text| !text || texts) {
            let id = self.id(stream, text);
            self.chunk(CLOCK_OFFSET, &[&id, &now.to_le_bytes(), &0_f64.to_le_bytes()]);
        }
    }
}

impl Stream {
    /// The stamp of a sample.
    fn time(&self, index: u64) -> Option<f64> {
        Some(self.begin?.clock + self.timeline.seconds(index))
    }

    fn add(&mut self, position: u64, frames: &[u8]) {
        let frame = self.track.frame_bytes();
        let Some(number) = self.track.format.sample_type() else { return };
        let (first, count) = (self.timeline.index(position), (frames.len() / frame) as u64);
        let (Some(stamp), Some(last)) = (self.time(first), self.time(first + count.saturating_sub(1))) else {
            return;
        };
        for frame in frames.chunks_exact(frame) {
            if self.stamp {
                self.stamp = false;
                self.samples.push(8);
                self.samples.extend_from_slice(&stamp.to_le_bytes());
            } else {
                self.samples.push(0);
            }
            if held_as(number) == number {
                self.samples.extend_from_slice(frame);
            } else {
                let width = held_as(number).bytes();
                with_number!(number, N => for sample in frame.chunks_exact(N::BYTES) {
                    let value = N::read(sample).to_f64() as i64;
                    self.samples.extend_from_slice(&value.to_le_bytes()[..width]);
                });
            }
        }
        self.count += count;
        self.stamps = Some((self.stamps.map_or(stamp, |(first, _)| first), last));
    }
}

/// A number as the file has it: how many bytes, then these.
fn varlen(number: u64, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(number) {
        out.extend_from_slice(&[1, byte]);
    } else if let Ok(word) = u32::try_from(number) {
        out.push(4);
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        out.push(8);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

impl Writer for Xdf {
    fn begin(&mut self, stream: usize, begin: Begin) -> io::Result<()> {
        if self.file.length() == 0 {
            self.file.pending.extend_from_slice(b"XDF:");
            self.chunk(FILE_HEADER, &[header::of_file(begin.time).as_bytes()]);
        }
        let one = &mut self.streams[stream];
        one.begin = Some(begin);
        one.timeline = Timeline::new(one.track.rate, begin.position);
        let header = header::of_stream(&one.track, begin, &held_as);
        let id = self.id(stream, false);
        self.chunk(STREAM_HEADER, &[&id, header.as_bytes()]);
        self.compare_clocks(stream);
        Ok(())
    }

    fn frames(&mut self, stream: usize, position: u64, frames: &[u8]) -> io::Result<()> {
        let frame = self.streams[stream].track.frame_bytes();
        let part = (LARGEST_CHUNK / frame).max(1);
        for (nth, frames) in (0..).zip(frames.chunks(part * frame)) {
            self.streams[stream].add(position + nth * part as u64, frames);
            if self.streams[stream].samples.len() >= LARGEST_CHUNK {
                self.close(stream);
            }
        }
        if self.file.is_full() { self.flush() } else { Ok(()) }
    }

    fn gap(&mut self, stream: usize, gap: &Gap) -> io::Result<()> {
        let missing = self.streams[stream].timeline.gap(gap);
        self.streams[stream].stamp = true;
        self.text(stream, missing.start, &gap.to_string());
        Ok(())
    }

    fn marker(&mut self, stream: usize, marker: Marker) -> io::Result<()> {
        let index = self.streams[stream].timeline.index(marker.position);
        self.text(stream, index, &marker.text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.file.length() == 0 {
            return Ok(());
        }
        (0..self.streams.len()).for_each(|stream| self.close(stream));
        if self.compared.elapsed() >= CLOCKS {
            self.compared = Instant::now();
            (0..self.streams.len()).for_each(|stream| self.compare_clocks(stream));
        }
        if self.bounded.elapsed() >= BOUNDARIES {
            self.bounded = Instant::now();
            self.chunk(BOUNDARY, &[&BOUNDARY_IS]);
        }
        let ends = std::mem::take(&mut self.ends);
        self.file.flush(|written| ends.into_iter().rfind(|end| *end <= written.len()).unwrap_or(0))
    }

    fn finish(&mut self) -> io::Result<()> {
        (0..self.streams.len()).for_each(|stream| self.close(stream));
        for stream in 0..self.streams.len() {
            self.compare_clocks(stream);
            let one = &self.streams[stream];
            let footers = [
                (false, one.stamps, one.total, one.offsets.clone()),
                (true, one.text_stamps, one.texts, Vec::new()),
            ];
            for (text, stamps, total, offsets) in footers {
                let Some(stamps) = stamps else { continue };
                let (id, footer) = (self.id(stream, text), header::footer(stamps, total, &offsets));
                self.chunk(STREAM_FOOTER, &[&id, footer.as_bytes()]);
            }
        }
        self.flush()
    }

    fn bytes(&self) -> u64 {
        self.file.length() + self.streams.iter().map(|stream| stream.samples.len() as u64).sum::<u64>()
    }

    fn discard(&self) {
        self.file.discard();
    }
}
