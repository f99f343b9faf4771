//! The picture on the terminal.

mod words;

use super::axis;
use super::columns::Missing;
use super::dots::{ACROSS, Dots, within};
use super::gain::{Extent, Range};
use super::layout::Layout;
use super::traces::significant;
use super::view::View;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::Widget;
use std::ops;
use words::{border, bottom_line, help};

/// What is told beside the signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// Frames per second, as measured here.
    pub(crate) measured: Option<f64>,
    pub(crate) lost: u64,
    /// What the producer does, and whether that is as it should be.
    pub(crate) state: &'static str,
    pub(crate) well: bool,
    pub(crate) notice: String,
    /// Positions where another producer carried on.
    pub(crate) restarts: Vec<u64>,
}

const COLORS: [Color; 6] =
    [Color::Green, Color::Cyan, Color::Yellow, Color::Magenta, Color::LightBlue, Color::LightRed];

/// Columns of dots between two marks of the time axis, at least.
const APART: usize = 28;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &mut View, status: &Status) {
    let layout = Layout::of(frame.area(), view.traces());
    if layout.bordered {
        border(frame, &layout, view, status);
    }
    let buffer = frame.buffer_mut();
    if let Some(foot) = layout.foot {
        bottom_line(status).render(foot, buffer);
    }
    missing(&layout, view, buffer);
    if view.overlay && !view.selection.solo() {
        overlaid(&layout, view, status, buffer);
    } else {
        stacked(&layout, view, status, buffer);
    }
    lines_at(&layout, view, status, buffer);
    time_axis(&layout, view, buffer);
    if view.help {
        help(frame);
    }
}

/// Where frames are missing the background says so.
fn missing(layout: &Layout, view: &View, buffer: &mut Buffer) {
    for x in 0..layout.plot.width {
        if cell_missing(view, x) == Missing::Lost {
            let column = Rect { x: layout.plot.x + x, width: 1, ..layout.plot };
            buffer.set_style(column, Style::new().bg(Color::Indexed(52)));
        }
    }
}

/// Why frames are missing in a cell of the picture.
fn cell_missing(view: &View, cell: u16) -> Missing {
    let first = usize::from(cell) * ACROSS;
    (first..first + ACROSS).map(|x| view.columns().missing(x)).max().unwrap_or_default()
}

/// One row of cells for each trace, as high as there is room.
fn stacked(layout: &Layout, view: &mut View, status: &Status, buffer: &mut Buffer) {
    let page = view.page();
    let mut dots = Dots::new(layout.plot.width.into(), layout.plot.height.into());
    for (index, &number) in page.iter().enumerate() {
        let rows = layout.rows(index, page.len());
        let trace = &view.traces()[number];
        let color = COLORS[number % COLORS.len()];
        let extent = Extent::of(view.columns(), number, trace);
        let range = extent.map(|extent| view.gain().of_row(number, extent, view.centred()));
        if let Some(range) = range {
            dots.trace(rows.clone(), view.columns(), (number, trace), within(range), &status.restarts, color);
        }
        let selected = view.selection.selected() == Some(number) && view.selection.shown().len() > 1;
        let mut style = Style::new().fg(color).add_modifier(Modifier::BOLD);
        if selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let cursor = view.cursor().and_then(|x| view.columns().extent(x, number));
        let cursor = cursor.map(|raw| trace.values(trace.physical(raw)));
        labels(layout, rows, (trace.title(), style), range, cursor, buffer);
    }
    dots.show(layout.plot, buffer);
}

/// What stands left of a trace: its title, its range from top to bottom, its value at the cursor.
fn labels(
    layout: &Layout,
    rows: ops::Range<usize>,
    (title, style): (String, Style),
    range: Option<Range>,
    cursor: Option<String>,
    buffer: &mut Buffer,
) {
    let Some(panel) = layout.panel.filter(|_| !rows.is_empty()) else { return };
    let line = |row: usize| panel.y + row as u16;
    let right = |row: usize, text: &str, style: Style, buffer: &mut Buffer| {
        let text = fitting(text, panel.width);
        let width = text.chars().count() as u16;
        let x = panel.x + panel.width.saturating_sub(width);
        buffer.set_stringn(x, line(row), text, panel.width.into(), style);
        width + 1
    };
    let digits = range.map_or(0, decimals);
    let [low, high] = range.map_or([f64::NAN; 2], |range| [range.low, range.high]);
    let dim = Style::new().fg(Color::DarkGray);
    let mut taken = 0;
    let (top, bottom) = (rows.start, rows.end - 1);
    match (&cursor, rows.len()) {
        (Some(value), 1 | 2) => taken = right(top, value, Style::new(), buffer),
        (_, 1) => {}
        _ if range.is_some() => taken = right(top, &scale(high, digits), dim, buffer),
        _ => {}
    }
    if rows.len() > 1 && range.is_some() {
        right(bottom, &scale(low, digits), dim, buffer);
    }
    if let Some(value) = cursor.filter(|_| rows.len() > 2) {
        right(top + 1, &value, Style::new(), buffer);
    }
    let room = panel.width.saturating_sub(taken);
    buffer.set_stringn(panel.x, line(top), title, room.into(), style);
}

/// The text, or what fits of it and a mark that there is more: half a number would be a wrong one.
fn fitting(text: &str, width: u16) -> String {
    let text = text.trim_end();
    if text.chars().count() <= width.into() {
        return text.to_owned();
    }
    text.chars().take(usize::from(width).saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// A number beside the picture.
fn scale(value: f64, digits: usize) -> String {
    if value.abs() < 1e7 { format!("{value:.digits$}") } else { significant(value, 3) }
}

/// Digits after the point that tell the top from the bottom.
fn decimals(range: Range) -> usize {
    let digits = 2.0 - (range.high - range.low).abs().log10().floor();
    if digits.is_finite() { digits.clamp(0.0, 6.0) as usize } else { 0 }
}

/// All traces in the same place.
fn overlaid(layout: &Layout, view: &mut View, status: &Status, buffer: &mut Buffer) {
    let page = view.page();
    let extents = view.extents(&page);
    let range = view.gain().of_all(&extents, view.centred());
    let mut dots = Dots::new(layout.plot.width.into(), layout.plot.height.into());
    let rows = 0..usize::from(layout.plot.height);
    for (number, extent) in &extents {
        let color = color_of(&page, *number);
        let zero = if view.centred() { extent.baseline } else { 0.0 };
        let trace = (*number, &view.traces()[*number]);
        let height = |value: f64| range.height(value - zero);
        dots.trace(rows.clone(), view.columns(), trace, height, &status.restarts, color);
    }
    dots.show(layout.plot, buffer);

    labels(layout, rows.clone(), (String::new(), Style::new()), Some(range), None, buffer);
    let Some(panel) = layout.panel else { return };
    let room = rows.len().saturating_sub(2);
    for (line, &number) in page.iter().take(room).enumerate() {
        let trace = &view.traces()[number];
        let cursor = view.cursor().and_then(|x| view.columns().extent(x, number));
        let value = cursor.map_or_else(String::new, |raw| trace.values(trace.physical(raw)));
        let text = fitting(&format!("{} {value}", trace.title()), panel.width);
        let color = color_of(&page, number);
        buffer.set_stringn(panel.x, panel.y + 1 + line as u16, text, panel.width.into(), color);
    }
    if page.len() > room && room > 0 {
        let more = format!("and {} more", page.len() - room + 1);
        let blank = format!("{more:<width$}", width = panel.width.into());
        buffer.set_stringn(panel.x, panel.y + room as u16, blank, panel.width.into(), Color::DarkGray);
    }
}

/// Neighbours among those that are shown differ, whatever is hidden between them.
fn color_of(page: &[usize], number: usize) -> Color {
    COLORS[page.partition_point(|&other| other < number) % COLORS.len()]
}

/// Upright lines: the cursor, and where another producer carried on.
fn lines_at(layout: &Layout, view: &View, status: &Status, buffer: &mut Buffer) {
    let grid = view.columns().grid();
    let mut upright = |x: usize, symbol: char, style: Style| {
        let cell = (x / ACROSS) as u16;
        if cell >= layout.plot.width {
            return;
        }
        for y in layout.plot.y..layout.plot.bottom() {
            if let Some(cell) = buffer.cell_mut((layout.plot.x + cell, y)) {
                if cell.symbol() == " " {
                    cell.set_char(symbol).set_style(style);
                } else {
                    cell.set_bg(Color::Indexed(236));
                }
            }
        }
    };
    for &position in &status.restarts {
        if let Some(x) = grid.column(position).checked_sub(view.columns().left()) {
            upright(x.min(usize::MAX as u128 / 2) as usize, '\u{254e}', Style::new().fg(Color::Yellow));
        }
    }
    if let Some(x) = view.cursor() {
        upright(x, '\u{250a}', Style::new().fg(Color::White));
    }
}

fn time_axis(layout: &Layout, view: &View, buffer: &mut Buffer) {
    let Some(axis) = layout.axis else { return };
    let dim = Style::new().fg(Color::DarkGray);
    let cells = 0..layout.plot.width;
    for x in cells.clone().filter(|&x| cell_missing(view, x) == Missing::Overwritten) {
        buffer.set_stringn(axis.x + x, axis.y, "\u{b7}", 1, dim);
    }
    for (x, text) in axis::marks(view.columns().grid(), view.columns().left(), view.rate(), APART) {
        let x = (x / ACROSS) as u16;
        let room = axis.width.saturating_sub(x);
        if usize::from(room) > text.len() {
            buffer.set_stringn(axis.x + x, axis.y, format!("\u{2575}{text}"), room.into(), Style::new());
        }
    }
    for x in cells.filter(|&x| cell_missing(view, x) == Missing::Lost) {
        buffer.set_stringn(axis.x + x, axis.y, "\u{d7}", 1, Style::new().fg(Color::Red));
    }
}
