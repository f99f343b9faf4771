//! A simple live scope: the last seconds of one channel, on the terminal.

mod screen;

use annulus::{Channel, Info};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};
pub(crate) use screen::Screen;
use std::collections::VecDeque;

/// How much of the signal is in view.
const SECONDS: f64 = 6.0;

/// What is drawn: physical values and where they are.
#[derive(Debug)]
pub(crate) struct Scope {
    title: String,
    channel: Channel,
    rate: f64,
    /// The frames before `next`; NaN where one was lost.
    values: VecDeque<f64>,
    next: u64,
    lost: u64,
    message: String,
}

impl Scope {
    pub(crate) fn new(info: &Info, channel: usize) -> Self {
        let channel = info.channels.get(channel).cloned().unwrap_or_else(|| Channel::new("signal"));
        Self {
            title: format!(" {} ", info.full_name()),
            channel,
            rate: info.rate,
            values: VecDeque::new(),
            next: 0,
            lost: 0,
            message: String::new(),
        }
    }

    /// Takes raw values from `position` on.
    pub(crate) fn append(&mut self, position: u64, raw: impl IntoIterator<Item = f64>) {
        let window = (SECONDS * self.rate) as usize + 1;
        if !self.values.is_empty() {
            let missing = position.saturating_sub(self.next).min(window as u64);
            self.values.extend((0..missing).map(|_| f64::NAN));
        }
        self.next = position;
        for raw in raw {
            self.values.push_back(self.channel.to_physical(raw));
            self.next += 1;
        }
        let old = self.values.len().saturating_sub(window);
        self.values.drain(..old);
    }

    /// Counts frames that were overwritten before they could be read.
    pub(crate) fn lose(&mut self, frames: u64) {
        self.lost += frames;
    }

    /// Shows a message from now on.
    pub(crate) fn say(&mut self, message: String) {
        self.message = message;
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let [picture, status] =
            Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());

        let end = self.next as f64 / self.rate;
        let times = [end - SECONDS, end];
        let (low, high) = self.limits();
        let runs = self.runs();
        let color = Style::new().fg(Color::Green);
        let lines = runs.iter().map(|run| {
            Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(color).data(run)
        });
        let label = if self.channel.unit.is_empty() {
            self.channel.label.clone()
        } else {
            format!("{} ({})", self.channel.label, self.channel.unit)
        };
        let middle = f64::midpoint(low, high);
        let chart = Chart::new(lines.collect())
            .block(
                Block::bordered()
                    .title(self.title.as_str())
                    .title(Line::from(" a live signal through shared memory ").right_aligned()),
            )
            .x_axis(
                Axis::default()
                    .title("time")
                    .bounds(times)
                    .labels([end - SECONDS, end - SECONDS / 2.0, end].map(clock)),
            )
            .y_axis(
                Axis::default()
                    .title(label.bold())
                    .bounds([low, high])
                    .labels([low, middle, high].map(|y| format!("{y:.2}"))),
            );
        frame.render_widget(chart, picture);

        let lost = format!("lost {}", self.lost);
        let status_line = Line::from(vec![
            format!(" {} Hz   position {}   ", self.rate, self.next).into(),
            if self.lost > 0 { lost.red() } else { lost.into() },
            "   ".into(),
            self.message.as_str().yellow(),
            "   q quits".dim(),
        ]);
        frame.render_widget(status_line, status);
    }

    /// The range of the values in view, with a margin, and never empty.
    fn limits(&self) -> (f64, f64) {
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let (low, high) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        if low > high {
            return (-1.0, 1.0);
        }
        let margin = ((high - low) * 0.05).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
        (low - margin, high + margin)
    }

    /// The values as points in time, in pieces that touch no lost frame: nothing is drawn where nothing is known.
    fn runs(&self) -> Vec<Vec<(f64, f64)>> {
        let first = self.next - self.values.len() as u64;
        let mut runs = vec![Vec::new()];
        for (&value, position) in self.values.iter().zip(first..) {
            if value.is_finite() {
                runs.last_mut().expect("there is always one").push((position as f64 / self.rate, value));
            } else if runs.last().is_some_and(|run| !run.is_empty()) {
                runs.push(Vec::new());
            }
        }
        runs
    }
}

/// Seconds since the stream began, as minutes and seconds.
fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    format!("{}:{:04.1}", (whole / 60.0) as u64, whole % 60.0)
}

#[cfg(test)]
mod tests;
