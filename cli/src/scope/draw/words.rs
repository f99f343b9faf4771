//! What is told around the picture.

use super::super::axis;
use super::super::keys::{HELP, HINTS};
use super::super::layout::Layout;
use super::super::traces::significant;
use super::super::view::View;
use super::Status;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

/// The frame, with what is told about the stream in it.
pub(super) fn border(frame: &mut Frame<'_>, layout: &Layout, view: &View, status: &Status) {
    let nominal = if view.rate() > 0.0 { format!(" {} Hz ", view.rate()) } else { " no rate ".to_owned() };
    let measured =
        status.measured.map_or_else(String::new, |rate| format!("measured {} Hz ", significant(rate, 4)));
    let lost = format!(" lost {} ", status.lost);
    let lost = if status.lost > 0 { lost.red().bold() } else { lost.into() };
    let state = if status.well { status.state.green() } else { status.state.yellow() };
    let mut right = vec![" ".into(), state, " ".into()];
    let behind = view.behind();
    if view.paused() {
        right = vec![" paused ".yellow().bold()];
        right.push(format!("{} behind ", time(view, behind)).into());
    } else if behind > view.columns().grid().span() / 10 {
        right.push(format!("{} behind ", time(view, behind)).red());
    }
    let (shown, all) = view.selection.counts();
    let channels = if shown < all { format!(" {shown} of {all} shown ") } else { String::new() };
    let block = Block::bordered()
        .border_style(Style::new().fg(Color::DarkGray))
        .title_top(Line::from(format!(" {} ", view.name()).bold()))
        .title_top(Line::from(vec![nominal.into(), measured.dim(), lost]).right_aligned())
        .title_bottom(Line::from(vec![format!(" {} ", place(view)).into(), channels.dim()]))
        .title_bottom(Line::from(right).right_aligned());
    frame.render_widget(block, layout.outer);
}

/// What the picture's end is, or what is at the cursor.
fn place(view: &View) -> String {
    let at = |position: u64| match view.rate() {
        rate if rate > 0.0 => format!("position {position} = {}", axis::clock(position as f64 / rate, 0.001)),
        _ => format!("position {position}"),
    };
    let Some((x, position)) = view.cursor().zip(view.cursor_position()) else {
        return at(view.columns().known().end);
    };
    let last = view.columns().frames(x).map_or(position, |frames| frames.end - 1);
    let to = if last > position { format!("..{last}") } else { String::new() };
    let value = view.selection.selected().and_then(|number| {
        let trace = &view.traces()[number];
        let values = trace.values(trace.physical(view.columns().extent(x, number)?));
        Some(format!("   {} {values} {}", trace.label, trace.unit))
    });
    format!("cursor {}{to}{}", at(position), value.unwrap_or_default().trim_end())
}

fn time(view: &View, frames: u64) -> String {
    if view.rate() > 0.0 {
        format!("{} s", significant(frames as f64 / view.rate(), 3))
    } else {
        format!("{frames} frames")
    }
}

pub(super) fn bottom_line(status: &Status) -> Line<'_> {
    let mut line = Line::default();
    if !status.notice.is_empty() {
        line.push_span(Span::from(format!(" {} ", status.notice)).yellow());
    }
    for (key, what) in HINTS {
        line.push_span(Span::from(format!(" {key} ")).bold());
        line.push_span(Span::from(format!("{what} ")).dim());
    }
    line
}

/// The help, over the picture.
pub(super) fn help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|(keys, what)| Line::from(vec![format!(" {keys:<15}").bold(), format!("{what} ").into()]))
        .chain([
            Line::default(),
            Line::from(" \u{d7} frames were lost: overwritten before they were read").dim(),
            Line::from(" \u{b7} frames are no longer retained     \u{254e} another producer carried on")
                .dim(),
            Line::from(" The measured rate is this viewer's: positions over its own clock.").dim(),
        ])
        .collect();
    let area = frame.area();
    let width = (lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 2).min(area.width);
    let height = (lines.len() as u16 + 2).min(area.height);
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys ".bold())), place);
}
