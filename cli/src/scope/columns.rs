//! The lowest and highest value of every channel in every column of the picture: what a scope keeps of the frames.

use super::grid::Grid;
use crate::sample::{Number, with_number};
use annulus::SampleType;
use std::ops::Range;

/// Why a column does not show all frames that belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Missing {
    #[default]
    Nothing,
    /// Some were no longer retained when we came to read them.
    Overwritten,
    /// Some were overwritten while we followed: we were too slow.
    Lost,
}

/// What is known of one column.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Which column it is; another one's are stale.
    column: u128,
    /// Positions from the first known frame to behind the last one; empty if there is none.
    first: u64,
    end: u64,
    missing: Missing,
}

const STALE: Slot = Slot { column: u128::MAX, first: 0, end: 0, missing: Missing::Nothing };

/// The columns of one picture. Frames come in blocks, from left to right, or in front of those that are there.
#[derive(Debug)]
pub(crate) struct Columns {
    grid: Grid,
    number: SampleType,
    /// Numbers in a frame, and which of them are kept.
    numbers: usize,
    band: Range<usize>,
    /// The leftmost column.
    left: u128,
    /// Positions in view that were read, or are known to be gone.
    known: Range<u64>,
    slots: Vec<Slot>,
    /// For each slot, a value for each number of the band; low > high where nothing is known.
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Columns {
    pub(crate) fn new(grid: Grid, number: SampleType, numbers: usize, band: Range<usize>) -> Self {
        let values = grid.columns() * band.len();
        Self {
            grid,
            number,
            numbers,
            band,
            left: 0,
            known: 0..0,
            slots: vec![STALE; grid.columns()],
            low: vec![0.0; values],
            high: vec![0.0; values],
        }
    }

    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    pub(crate) fn band(&self) -> Range<usize> {
        self.band.clone()
    }

    /// The leftmost column.
    pub(crate) fn left(&self) -> u128 {
        self.left
    }

    /// Moves the picture so that it begins with this column. What stays in view stays known.
    pub(crate) fn move_to(&mut self, left: u128) {
        self.left = left;
        let view = self.view();
        self.known = self.known.start.max(view.start)..self.known.end.min(view.end);
        if self.known.is_empty() {
            self.known = view.start..view.start;
            self.slots.fill(STALE);
        }
    }

    /// Positions that are in view.
    fn view(&self) -> Range<u64> {
        self.grid.start(self.left)..self.grid.start(self.left + self.slots.len() as u128)
    }

    /// Positions in view that were read, or are known to be gone.
    pub(crate) fn known(&self) -> Range<u64> {
        self.known.clone()
    }

    /// The next frames to read for a picture of `wanted`, at most so many; `None`: it is complete.
    pub(crate) fn next(&self, wanted: &Range<u64>, most: u64) -> Option<Range<u64>> {
        let known = &self.known;
        if known.end < wanted.end {
            Some(known.end..wanted.end.min(known.end.saturating_add(most)))
        } else if wanted.start < known.start {
            Some(wanted.start.max(known.start.saturating_sub(most))..known.start)
        } else {
            None
        }
    }

    /// Takes whole frames, which adjoin those that are known already.
    pub(crate) fn add(&mut self, position: u64, frames: &[u8]) {
        let frame = self.numbers * self.number.bytes();
        let count = (frames.len() / frame) as u64;
        self.extend(position..position + count);
        let (mut at, mut rest) = (position, frames);
        while !rest.is_empty() {
            let column = self.grid.column(at);
            let here = (self.grid.start(column + 1) - at).min((rest.len() / frame) as u64);
            let (block, later) = rest.split_at(here as usize * frame);
            if let Some(index) = self.slot(column) {
                let slot = &mut self.slots[index];
                let empty = slot.first == slot.end;
                slot.first = if empty { at } else { slot.first.min(at) };
                slot.end = if empty { at + here } else { slot.end.max(at + here) };
                let values = index * self.band.len()..(index + 1) * self.band.len();
                let (low, high) = (&mut self.low[values.clone()], &mut self.high[values]);
                with_number!(self.number, N => fold::<N>(block, self.numbers, &self.band, low, high));
            }
            (at, rest) = (at + here, later);
        }
    }

    /// Takes note that these frames, which adjoin those that are known already, will never be seen.
    pub(crate) fn miss(&mut self, positions: Range<u64>, why: Missing) {
        if positions.is_empty() {
            return;
        }
        self.extend(positions.clone());
        let right = self.left + self.slots.len() as u128 - 1;
        let (first, last) = (self.grid.column(positions.start), self.grid.column(positions.end - 1));
        for column in first.max(self.left)..=last.min(right) {
            if let Some(index) = self.slot(column) {
                self.slots[index].missing = self.slots[index].missing.max(why);
            }
        }
    }

    fn extend(&mut self, positions: Range<u64>) {
        let view = self.view();
        let (start, end) = (positions.start.max(view.start), positions.end.min(view.end));
        if start < end {
            debug_assert!(start == self.known.end || end == self.known.start);
            self.known = self.known.start.min(start)..self.known.end.max(end);
        }
    }

    /// Where a column in view is kept; it is made empty if another one was there.
    fn slot(&mut self, column: u128) -> Option<usize> {
        if !(self.left..self.left + self.slots.len() as u128).contains(&column) {
            return None;
        }
        let index = (column % self.slots.len() as u128) as usize;
        if self.slots[index].column != column {
            self.slots[index] = Slot { column, ..STALE };
            let values = index * self.band.len()..(index + 1) * self.band.len();
            self.low[values.clone()].fill(f64::INFINITY);
            self.high[values].fill(f64::NEG_INFINITY);
        }
        Some(index)
    }

    /// The slot of the column at `x` from the left, if anything is known of it.
    fn at(&self, x: usize) -> Option<(usize, &Slot)> {
        let column = self.left + x as u128;
        let index = (column % self.slots.len() as u128) as usize;
        let slot = &self.slots[index];
        (x < self.slots.len() && slot.column == column).then_some((index, slot))
    }

    /// The frames that the column at `x` shows, from the first to behind the last; `None` if there is none.
    pub(crate) fn frames(&self, x: usize) -> Option<Range<u64>> {
        let (_, slot) = self.at(x)?;
        (slot.first < slot.end).then_some(slot.first..slot.end)
    }

    /// The lowest and the highest raw value of a number of the frames in the column at `x`.
    pub(crate) fn extent(&self, x: usize, number: usize) -> Option<(f64, f64)> {
        let (index, _) = self.at(x)?;
        let value = index * self.band.len() + number.checked_sub(self.band.start)?;
        let known = number < self.band.end && self.low[value] <= self.high[value];
        known.then(|| (self.low[value], self.high[value]))
    }

    /// Why the column at `x` does not show all of its frames.
    pub(crate) fn missing(&self, x: usize) -> Missing {
        self.at(x).map_or(Missing::Nothing, |(_, slot)| slot.missing)
    }
}

/// Puts each number's lowest and highest value in `frames` into `low` and `high`; what is not a number changes neither.
///
/// A tile of the band at a time, so that its values stay in the fastest cache in the samples' own type, and so that the
/// inner loop is a comparison of neighbours that the compiler turns into vector instructions.
fn fold<N: Number>(frames: &[u8], numbers: usize, band: &Range<usize>, low: &mut [f64], high: &mut [f64]) {
    const TILE: usize = 64;
    for (tile, start) in band.clone().step_by(TILE).enumerate() {
        let width = TILE.min(band.end - start);
        let (mut least, mut most) = ([N::MOST; TILE], [N::LEAST; TILE]);
        let bytes = start * N::BYTES..(start + width) * N::BYTES;
        for frame in frames.chunks_exact(numbers * N::BYTES) {
            let samples = frame[bytes.clone()].chunks_exact(N::BYTES);
            for ((sample, least), most) in samples.zip(&mut least).zip(&mut most) {
                let value = N::read(sample);
                *least = if value < *least { value } else { *least };
                *most = if value > *most { value } else { *most };
            }
        }
        let values = tile * TILE..tile * TILE + width;
        for (low, least) in low[values.clone()].iter_mut().zip(&least) {
            *low = low.min(least.to_f64());
        }
        for (high, most) in high[values].iter_mut().zip(&most) {
            *high = high.max(most.to_f64());
        }
    }
}

#[cfg(test)]
mod tests;
