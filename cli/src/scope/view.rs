//! What is in view: which frames, which traces, how high. It knows neither stream nor terminal.

mod change;

use super::columns::{Columns, Missing};
use super::gain::{Extent, Gain};
use super::grid::Grid;
use super::selection::{self, Selection};
use super::traces::{Signal, Trace};
use annulus::SampleType;
pub(crate) use change::Action;
use std::ops::Range;

/// How a view begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Seconds in view, if the user said so.
    pub(crate) seconds: Option<f64>,
    /// Labels or numbers of channels.
    pub(crate) channels: Option<String>,
    pub(crate) overlay: bool,
    /// Units from the bottom to the top of a row.
    pub(crate) gain: Option<f64>,
}

/// More traces than these are not kept all at once, but those around the page: a frame may have a million numbers.
const BAND: usize = 1024;

/// Seconds in view, unless the ring holds less.
const SECONDS: f64 = 6.0;
/// The same of a stream without a rate, in frames.
const FRAMES: u64 = 1000;

/// What is in view.
#[derive(Debug)]
pub(crate) struct View {
    name: String,
    traces: Vec<Trace>,
    number: SampleType,
    rate: f64,
    columns: Columns,
    /// Positions that the picture is of, as far as they exist.
    wanted: Range<u64>,
    /// Positions from the oldest that is retained to behind the newest.
    retained: Range<u64>,
    /// The position behind the right edge; `None` follows the newest.
    end: Option<u64>,
    /// Lines that the picture has for traces.
    lines: usize,
    pub(crate) selection: Selection,
    gain: Gain,
    /// Whether each trace's baseline is in the middle of its row.
    centred: bool,
    pub(crate) overlay: bool,
    /// Dots from the left edge.
    cursor: Option<usize>,
    pub(crate) help: bool,
}

impl View {
    /// Says why, if the options do not fit the stream.
    pub(crate) fn new(signal: Signal, options: &Options) -> Result<Self, String> {
        let Signal { name, traces, labels, number, rate, capacity } = signal;
        let span = match options.seconds {
            Some(_) if rate <= 0.0 => {
                return Err(format!("{name} has no rate, so --seconds says nothing about it"));
            }
            Some(seconds) => frames(seconds, rate),
            None if rate > 0.0 => frames(SECONDS, rate).min(capacity.max(4)),
            None => FRAMES.min(capacity.max(4)),
        };
        let selection = match &options.channels {
            Some(text) => Selection::only(&traces, &selection::channels(text, &labels)?),
            None => Selection::new(traces.len()),
        };
        let gain = options.gain.map_or(Gain::Auto, |height| Gain::Fixed(vec![height; traces.len()]));
        let band = 0..traces.len().min(BAND);
        Ok(Self {
            name,
            columns: Columns::new(Grid::new(span, 1), number, traces.len(), band),
            number,
            rate,
            wanted: 0..0,
            retained: 0..0,
            end: None,
            lines: 1,
            selection,
            gain,
            centred: true,
            overlay: options.overlay,
            cursor: None,
            help: false,
            traces,
        })
    }

    /// Goes on with another stream, in the same way as far as it is alike.
    pub(crate) fn turn_to(&mut self, signal: Signal, options: &Options) -> Result<(), String> {
        // Channels that the user has asked for may be missing in the new one; all of them are better than nothing.
        let new = Self::new(signal.clone(), options)
            .or_else(|_| Self::new(signal, &Options { channels: None, seconds: None, ..options.clone() }))?;
        let old = std::mem::replace(self, new);
        if old.traces == self.traces {
            (self.selection, self.gain) = (old.selection, old.gain);
        }
        let grid = old.columns.grid();
        let span = if old.rate == self.rate { grid.span() } else { self.columns.grid().span() };
        (self.lines, self.overlay, self.centred, self.help) = (old.lines, old.overlay, old.centred, old.help);
        self.cursor = old.cursor;
        self.rebuild(Grid::new(span, grid.columns()), self.columns.band());
        Ok(())
    }

    /// The stream's full name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn traces(&self) -> &[Trace] {
        &self.traces
    }

    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// For whoever reads the stream: what to fill, and with which positions.
    pub(crate) fn filling(&mut self) -> (&mut Columns, Range<u64>) {
        (&mut self.columns, self.wanted.clone())
    }

    pub(crate) fn gain(&self) -> &Gain {
        &self.gain
    }

    pub(crate) fn centred(&self) -> bool {
        self.centred
    }

    pub(crate) fn paused(&self) -> bool {
        self.end.is_some()
    }

    /// The cursor's dot, from the left.
    pub(crate) fn cursor(&self) -> Option<usize> {
        self.cursor
    }

    /// The position that the cursor is at, or the first of several.
    pub(crate) fn cursor_position(&self) -> Option<u64> {
        let x = self.cursor?;
        let column = self.columns.left() + x as u128;
        Some(self.columns.frames(x).map_or_else(|| self.columns.grid().start(column), |frames| frames.start))
    }

    /// How many frames are newer than what the picture shows.
    pub(crate) fn behind(&self) -> u64 {
        self.retained.end.saturating_sub(self.columns.known().end)
    }

    /// Whether something in view was overwritten before it could be read.
    pub(crate) fn overwritten(&self) -> bool {
        (0..self.columns.grid().columns()).any(|x| self.columns.missing(x) == Missing::Overwritten)
    }

    /// The traces on the page, as far as they are kept.
    pub(crate) fn page(&mut self) -> Vec<usize> {
        if self.overlay && !self.selection.solo() {
            return self.rows();
        }
        let band = self.columns.band();
        self.selection.page(self.lines).iter().copied().filter(|trace| band.contains(trace)).collect()
    }

    /// All traces that are shown, as far as they are kept.
    pub(crate) fn rows(&self) -> Vec<usize> {
        let band = self.columns.band();
        self.selection.shown().iter().copied().filter(|trace| band.contains(trace)).collect()
    }

    /// Shows no more frames than these.
    pub(crate) fn shorten(&mut self, frames: u64) {
        let grid = self.columns.grid();
        self.rebuild(Grid::new(grid.span().min(frames), grid.columns()), self.columns.band());
    }

    /// What these traces do in the picture.
    pub(crate) fn extents(&self, traces: &[usize]) -> Vec<(usize, Extent)> {
        let extent = |&trace: &usize| Some((trace, Extent::of(&self.columns, trace, &self.traces[trace])?));
        traces.iter().filter_map(extent).collect()
    }

    /// Adapts to a picture of so many dots across, with so many lines for traces.
    pub(crate) fn fit(&mut self, columns: usize, lines: usize) {
        self.lines = lines.max(1);
        let grid = Grid::new(self.columns.grid().span(), columns);
        let band = self.band();
        if grid != self.columns.grid() || band != self.columns.band() {
            self.rebuild(grid, band);
        }
        self.cursor = self.cursor.map(|cursor| cursor.min(grid.columns() - 1));
    }

    /// What is kept: the traces around the page.
    fn band(&mut self) -> Range<usize> {
        let band = self.columns.band();
        let page = self.selection.page(self.lines);
        let (Some(&first), Some(&last)) = (page.first(), page.last()) else { return band };
        if band.contains(&first) && (band.contains(&last) || last - first >= BAND) {
            return band;
        }
        let start =
            if last - first >= BAND { first } else { last.saturating_sub(BAND - BAND / 4).min(first) };
        let end = (start + BAND).min(self.traces.len());
        end.saturating_sub(BAND)..end
    }

    fn rebuild(&mut self, grid: Grid, band: Range<usize>) {
        self.columns = Columns::new(grid, self.number, self.traces.len(), band);
        self.place();
    }

    /// Says what is there. The picture moves on, unless it is paused.
    pub(crate) fn see(&mut self, retained: Range<u64>) {
        self.retained = retained;
        self.place();
    }

    fn place(&mut self) {
        let grid = self.columns.grid();
        let end = self.end.unwrap_or(self.retained.end);
        let behind = grid.column(end.saturating_sub(1)) + 1;
        let left = behind.saturating_sub(grid.columns() as u128);
        self.columns.move_to(left);
        self.wanted = grid.start(left)..end.min(self.retained.end);
    }
}

fn frames(seconds: f64, rate: f64) -> u64 {
    ((seconds * rate).round() as u64).clamp(4, 1 << 45)
}

#[cfg(test)]
mod tests;
