//! Draws a view with a plotting library, as vectors or as pixels.

use super::Size;
use crate::scope::axis;
use crate::scope::columns::Missing;
use crate::scope::gain::{Extent, Range};
use crate::scope::traces::significant;
use crate::scope::view::View;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::sync::Once;

/// Where everything is, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    size: Size,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

const TEXT: i32 = 13;
const INK: RGBColor = RGBColor(60, 60, 60);
const RULE: RGBColor = RGBColor(225, 225, 225);
const GAP: RGBColor = RGBColor(250, 215, 215);
const GONE: RGBColor = RGBColor(238, 238, 238);
const COLORS: [RGBColor; 6] = [
    RGBColor(20, 110, 60),
    RGBColor(30, 90, 170),
    RGBColor(170, 80, 20),
    RGBColor(120, 50, 140),
    RGBColor(15, 120, 130),
    RGBColor(165, 35, 60),
];

/// A font that needs no system, under the name that the text has in a file that others draw.
const FONT: &str = "monospace";

impl Frame {
    pub(super) fn new(size: Size) -> Self {
        let (width, height) = (size.width as i32, size.height as i32);
        Self { size, left: (width / 4).min(150), right: width - 12, top: 34, bottom: height - 34 }
    }

    /// One for each pixel across.
    pub(super) fn columns(&self) -> usize {
        (self.right - self.left).max(1) as usize
    }
}

pub(super) fn svg(frame: &Frame, view: &mut View, title: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = String::new();
    let size = (frame.size.width, frame.size.height);
    draw(SVGBackend::with_string(&mut text, size).into_drawing_area(), frame, view, title)?;
    Ok(text.into_bytes())
}

pub(super) fn png(frame: &Frame, view: &mut View, title: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let Size { width, height } = frame.size;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    draw(BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area(), frame, view, title)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// What is drawn on: the library's errors depend on the backend, ours do not.
struct Paper<'a, DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    frame: &'a Frame,
}

type Done = Result<(), Box<dyn Error>>;

fn draw<DB: DrawingBackend>(area: DrawingArea<DB, Shift>, frame: &Frame, view: &mut View, title: &str) -> Done
where
    DB::ErrorType: 'static,
{
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        // If it cannot be read, drawing text says so.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR);
    });
    area.fill(&WHITE)?;
    let paper = Paper { area, frame };
    paper.text(title, (frame.left, frame.top / 2), HPos::Left, &INK)?;
    paper.missing(view)?;
    paper.time_axis(view)?;
    let rows = view.rows();
    if view.overlay {
        paper.overlaid(view, &rows)?;
    } else {
        paper.stacked(view, &rows)?;
    }
    paper.area.present()?;
    Ok(())
}

impl<DB: DrawingBackend> Paper<'_, DB>
where
    DB::ErrorType: 'static,
{
    fn text(&self, text: &str, at: (i32, i32), side: HPos, color: &RGBColor) -> Done {
        let style = (FONT, TEXT).into_text_style(&self.area).color(color).pos(Pos::new(side, VPos::Center));
        Ok(self.area.draw(&Text::new(text, at, style))?)
    }

    fn line(&self, points: Vec<(i32, i32)>, color: &RGBColor) -> Done {
        Ok(self.area.draw(&PathElement::new(points, color))?)
    }

    /// Grey where frames were overwritten, red where they were lost.
    fn missing(&self, view: &View) -> Done {
        let Frame { left, top, bottom, .. } = *self.frame;
        for x in 0..self.frame.columns() {
            let color = match view.columns().missing(x) {
                Missing::Nothing => continue,
                Missing::Overwritten => GONE,
                Missing::Lost => GAP,
            };
            let x = left + x as i32;
            self.line(vec![(x, top), (x, bottom)], &color)?;
        }
        Ok(())
    }

    fn time_axis(&self, view: &View) -> Done {
        let Frame { left, right, top, bottom, .. } = *self.frame;
        let columns = view.columns();
        for (x, text) in axis::marks(columns.grid(), columns.left(), view.rate(), 80) {
            let x = left + x as i32;
            self.line(vec![(x, top), (x, bottom)], &RULE)?;
            self.line(vec![(x, bottom), (x, bottom + 4)], &INK)?;
            if x + 40 < right {
                self.text(&text, (x, bottom + 14), HPos::Center, &INK)?;
            }
        }
        self.line(vec![(left, bottom), (right, bottom)], &INK)?;
        let unit = if view.rate() > 0.0 { "min:s" } else { "position" };
        self.text(unit, (8, bottom + 14), HPos::Left, &INK)
    }

    fn stacked(&self, view: &View, rows: &[usize]) -> Done {
        let Frame { left, right, top, bottom, .. } = *self.frame;
        let edge = |row: usize| top + ((bottom - top) as i64 * row as i64 / rows.len().max(1) as i64) as i32;
        // Labels of narrow rows must not cover each other.
        let every = (TEXT as usize * rows.len()).div_ceil((bottom - top).max(1) as usize).max(1);
        for (row, &number) in rows.iter().enumerate() {
            let (high, low) = (edge(row), edge(row + 1));
            let (trace, color) = (&view.traces()[number], &COLORS[number % COLORS.len()]);
            if row > 0 && low - high > 8 {
                self.line(vec![(left, high), (right, high)], &RULE)?;
            }
            if row % every == 0 {
                let title = if low - high >= 4 * TEXT { trace.label.clone() } else { trace.title() };
                self.text(&title, (8, i32::midpoint(high, low)), HPos::Left, color)?;
            }
            let Some(extent) = Extent::of(view.columns(), number, trace) else { continue };
            let range = view.gain().of_row(number, extent, view.centred());
            if low - high >= 4 * TEXT {
                if !trace.unit.is_empty() {
                    self.text(
                        &format!("({})", trace.unit),
                        (8, i32::midpoint(high, low) + TEXT + 3),
                        HPos::Left,
                        color,
                    )?;
                }
                self.scale(range, high, low)?;
            }
            self.trace(view, number, 0.0, range, (high + 2, low - 3), color)?;
        }
        Ok(())
    }

    fn overlaid(&self, view: &View, rows: &[usize]) -> Done {
        let Frame { top, bottom, .. } = *self.frame;
        let extents = view.extents(rows);
        let range = view.gain().of_all(&extents, view.centred());
        self.scale(range, top, bottom)?;
        let room = ((bottom - top) / (TEXT + 4) - 3).max(0) as usize;
        for (line, (number, extent)) in extents.iter().enumerate() {
            let color = &COLORS[line % COLORS.len()];
            let zero = if view.centred() { extent.baseline } else { 0.0 };
            self.trace(view, *number, zero, range, (top + 2, bottom - 3), color)?;
            if line < room {
                let y = top + (TEXT + 4) * (line as i32 + 2);
                self.text(&view.traces()[*number].title(), (8, y), HPos::Left, color)?;
            }
        }
        Ok(())
    }

    /// The values at the top and the bottom of a row.
    fn scale(&self, range: Range, high: i32, low: i32) -> Done {
        for (value, y) in [(range.high, high + TEXT / 2 + 3), (range.low, low - TEXT / 2 - 3)] {
            self.text(&significant(value, 3), (self.frame.left - 8, y), HPos::Right, &INK)?;
        }
        Ok(())
    }

    /// One trace, between two heights. Lines end where frames are missing.
    fn trace(
        &self,
        view: &View,
        number: usize,
        zero: f64,
        range: Range,
        (high, low): (i32, i32),
        color: &RGBColor,
    ) -> Done {
        let (columns, trace) = (view.columns(), &view.traces()[number]);
        let down = |value: f64| {
            let height = range.height(value - zero)?;
            Some(high + ((1.0 - height) * f64::from((low - high).max(0))).round() as i32)
        };
        let mut points: Vec<(i32, i32)> = Vec::new();
        let mut end = 0;
        for at in 0..self.frame.columns() {
            let Some(frames) = columns.frames(at) else { continue };
            let ends = columns.extent(at, number).map(|raw| trace.physical(raw));
            let ends = ends.and_then(|(least, most)| Some((down(most)?, down(least)?)));
            if (frames.start != end || ends.is_none()) && !points.is_empty() {
                self.run(std::mem::take(&mut points), color)?;
            }
            end = frames.end;
            let Some((upper, lower)) = ends else { continue };
            let x = self.frame.left + at as i32;
            // From the nearer end of the column to the other one.
            let from_below = points.last().is_some_and(|&(_, y)| y.abs_diff(lower) < y.abs_diff(upper));
            let (first, second) = if from_below { (lower, upper) } else { (upper, lower) };
            points.push((x, first));
            if second != first {
                points.push((x, second));
            }
        }
        self.run(points, color)
    }

    fn run(&self, points: Vec<(i32, i32)>, color: &RGBColor) -> Done {
        match points[..] {
            [] => Ok(()),
            // A line of one point would not be seen.
            [(x, y)] => self.line(vec![(x, y), (x + 1, y)], color),
            _ => self.line(points, color),
        }
    }
}
