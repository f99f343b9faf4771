//! A table: a line for each frame, with its time or, of a stream without a rate, its position.

use super::timeline::Timeline;
use super::{Begin, Growing, Marker, Track, Writer};
use crate::files::Gap;
use crate::print;
use annulus::SampleFormat;
use std::io;

pub(super) fn refuses(track: &Track) -> Option<String> {
    (track.format == SampleFormat::Opaque).then(|| "its elements are known by their size only".to_owned())
}

#[derive(Debug)]
pub(super) struct Csv {
    file: Growing,
    lines: print::Csv,
    rate: f64,
    timeline: Timeline,
}

impl Csv {
    pub(super) fn new(file: Growing, track: &Track) -> Self {
        let lines = print::Csv::of_times(track.format, &track.channels, track.rate);
        Self { file, lines, rate: track.rate, timeline: Timeline::new(track.rate, 0) }
    }
}

impl Writer for Csv {
    fn begin(&mut self, _: usize, begin: Begin) -> io::Result<()> {
        self.timeline = Timeline::new(self.rate, begin.position);
        self.file.pending.extend_from_slice(self.lines.header().as_bytes());
        Ok(())
    }

    fn frames(&mut self, _: usize, position: u64, frames: &[u8]) -> io::Result<()> {
        let first = if self.rate > 0.0 { self.timeline.index(position) } else { position };
        self.lines.lines(0, first, frames, &mut self.file.pending);
        if self.file.is_full() { self.flush() } else { Ok(()) }
    }

    /// The times tell.
    fn gap(&mut self, _: usize, gap: &Gap) -> io::Result<()> {
        self.timeline.gap(gap);
        Ok(())
    }

    /// There is no place for one.
    fn marker(&mut self, _: usize, _: Marker) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush(|written| written.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn bytes(&self) -> u64 {
        self.file.length()
    }

    fn discard(&self) {
        self.file.discard();
    }
}
