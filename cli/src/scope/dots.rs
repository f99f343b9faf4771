//! Lines on a terminal: each cell is a pattern of two by four dots.

use super::columns::Columns;
use super::gain::Range;
use super::traces::Trace;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use std::ops;

/// Dots in a cell, sideways and downward.
pub(crate) const ACROSS: usize = 2;
const DOWN: usize = 4;

/// The bits of Unicode's braille patterns, by column and row.
const BITS: [[u8; DOWN]; ACROSS] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// All bits of a column of a cell from one to another.
const BARS: [[[u8; DOWN]; DOWN]; ACROSS] = bars();

const fn bars() -> [[[u8; DOWN]; DOWN]; ACROSS] {
    let mut bars = [[[0; DOWN]; DOWN]; ACROSS];
    let mut index = 0;
    while index < ACROSS * DOWN * DOWN * DOWN {
        let (x, first, last, y) =
            (index / (DOWN * DOWN * DOWN), index / (DOWN * DOWN) % DOWN, index / DOWN % DOWN, index % DOWN);
        if first <= y && y <= last {
            bars[x][first][last] |= BITS[x][y];
        }
        index += 1;
    }
    bars
}

/// A picture made of dots.
#[derive(Debug)]
pub(crate) struct Dots {
    cells: (usize, usize),
    patterns: Vec<(u8, Color)>,
}

impl Dots {
    /// Dark; so many cells wide and high.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { cells: (width, height), patterns: vec![(0, Color::Reset); width * height] }
    }

    fn set(&mut self, x: usize, y: usize, color: Color) {
        let (width, height) = self.cells;
        if x / ACROSS < width && y / DOWN < height {
            let (bits, last) = &mut self.patterns[y / DOWN * width + x / ACROSS];
            *bits |= BITS[x % ACROSS][y % DOWN];
            *last = color;
        }
    }

    /// All dots of a column from one to another; a cell at a time, since this is most of the work.
    fn bar(&mut self, x: usize, top: usize, bottom: usize, color: Color) {
        let (width, height) = self.cells;
        if x / ACROSS >= width {
            return;
        }
        for row in top / DOWN..(bottom / DOWN + 1).min(height) {
            let (first, last) = (top.saturating_sub(row * DOWN), (bottom - row * DOWN).min(DOWN - 1));
            let (bits, last_color) = &mut self.patterns[row * width + x / ACROSS];
            *bits |= BARS[x % ACROSS][first][last];
            *last_color = color;
        }
    }

    /// From one dot to another.
    fn line(&mut self, from: (usize, usize), to: (usize, usize), color: Color) {
        if to.0 == from.0 + 1 {
            // Half of the way in each column.
            let middle = usize::midpoint(from.1, to.1);
            self.bar(from.0, from.1.min(middle), from.1.max(middle), color);
            return self.bar(to.0, to.1.min(middle), to.1.max(middle), color);
        }
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
        let at = |from: usize, to: usize, step: usize| {
            let share = step as f64 / steps.max(1) as f64;
            (from as f64 + (to as f64 - from as f64) * share).round() as usize
        };
        for step in 0..=steps {
            self.set(at(from.0, to.0, step), at(from.1, to.1, step), color);
        }
    }

    /// Draws one trace into these rows of cells. Lines end where frames are missing and where one producer's frames are
    /// followed by another's (`breaks`): nothing is known of what was between.
    pub(crate) fn trace(
        &mut self,
        rows: ops::Range<usize>,
        columns: &Columns,
        (number, trace): (usize, &Trace),
        range: impl Fn(f64) -> Option<f64>,
        breaks: &[u64],
        color: Color,
    ) {
        let (top, last) = (rows.start * DOWN, (rows.len() * DOWN).saturating_sub(1));
        let down = |height: f64| top + ((1.0 - height) * last as f64).round() as usize;
        // The column before: where it is, its highest and lowest dot, and the position after its last frame.
        let mut before: Option<(usize, usize, usize, u64)> = None;
        for x in 0..columns.grid().columns() {
            let Some(frames) = columns.frames(x) else { continue };
            let values = columns.extent(x, number).map(|raw| trace.physical(raw));
            let dots = values.and_then(|(low, high)| Some((down(range(high)?), down(range(low)?))));
            let Some((high, low)) = dots else {
                before = None;
                continue;
            };
            self.bar(x, high, low, color);
            if let Some((at, above, below, end)) = before
                && end == frames.start
                && !breaks.contains(&end)
            {
                if high > below {
                    self.line((at, below), (x, high), color);
                } else if low < above {
                    self.line((at, above), (x, low), color);
                } else if x > at + 1 {
                    self.line((at, above), (x, high), color);
                }
            }
            before = Some((x, high, low, frames.end));
        }
    }

    /// Puts the dots on the screen, where there are any.
    pub(crate) fn show(&self, area: Rect, buffer: &mut Buffer) {
        let (width, height) = self.cells;
        for y in 0..height.min(area.height.into()) {
            for x in 0..width.min(area.width.into()) {
                let (bits, color) = self.patterns[y * width + x];
                if bits != 0
                    && let Some(pattern) = char::from_u32(0x2800 + u32::from(bits))
                    && let Some(cell) = buffer.cell_mut((area.x + x as u16, area.y + y as u16))
                {
                    cell.set_char(pattern).set_fg(color);
                }
            }
        }
    }
}

/// Heights in a range.
pub(crate) fn within(range: Range) -> impl Fn(f64) -> Option<f64> {
    move |value| range.height(value)
}

#[cfg(test)]
mod tests {
    use super::super::columns::Missing;
    use super::super::grid::Grid;
    use super::*;
    use annulus::SampleType;

    /// Draws floats over so many columns and 8 dots, as text: # for a dot.
    fn picture(columns: &Columns, breaks: &[u64]) -> Vec<String> {
        let width = columns.grid().columns();
        let mut dots = Dots::new(width.div_ceil(ACROSS), 2);
        let range = within(Range { low: 0.0, high: 7.0 });
        dots.trace(0..2, columns, (0, &Trace::plain("x")), range, breaks, Color::Green);
        let lit = |x: usize, y: usize| {
            let (bits, _) = dots.patterns[y / DOWN * dots.cells.0 + x / ACROSS];
            bits & BITS[x % ACROSS][y % DOWN] != 0
        };
        (0..8).map(|y| (0..width).map(|x| if lit(x, y) { '#' } else { ' ' }).collect()).collect()
    }

    fn columns(span: u64, width: usize) -> Columns {
        Columns::new(Grid::new(span, width), SampleType::F32, 1, 0..1)
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn each_column_is_as_high_as_its_values() {
        let mut columns = columns(8, 4);
        columns.add(0, &floats(&[7.0, 0.0, 2.0, 1.0, 1.0, 2.0, 3.0, 2.0]));
        assert_eq!(picture(&columns, &[]), ["#   ", "#   ", "#   ", "#   ", "#  #", "####", "### ", "#   "]);
    }

    #[test]
    fn few_frames_are_joined_and_gaps_are_not() {
        let mut columns = columns(5, 10);
        columns.add(0, &floats(&[1.0, 1.0]));
        columns.miss(2..3, Missing::Lost);
        columns.add(3, &floats(&[1.0, 1.0]));
        assert_eq!(picture(&columns, &[])[6], "###   ### ");
        assert_eq!(picture(&columns, &[4])[6], "###   # # ", "another producer's frame");
    }

    #[test]
    fn what_is_no_number_is_not_drawn_and_infinity_is_at_the_edge() {
        let mut columns = columns(4, 4);
        columns.add(0, &floats(&[3.0, f32::NAN, 3.0, f32::INFINITY]));
        let picture = picture(&columns, &[]);
        assert_eq!((&*picture[4], &*picture[0]), ("# # ", "   #"));
        assert!(picture.iter().all(|line| line.as_bytes()[1] == b' '), "{picture:?}");
    }

    #[test]
    fn no_room_is_no_harm() {
        let mut columns = columns(8, 4);
        columns.add(0, &floats(&[7.0; 8]));
        for (width, height) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let mut dots = Dots::new(width, height);
            let range = within(Range { low: 0.0, high: 7.0 });
            dots.trace(0..height, &columns, (0, &Trace::plain("x")), range, &[], Color::Green);
            dots.show(Rect::new(0, 0, 3, 3), &mut Buffer::empty(Rect::new(0, 0, 2, 2)));
        }
    }
}
