//! What the user may change about a view.

use super::super::axis::round_step;
use super::super::gain::Gain;
use super::super::grid::Grid;
use super::View;

/// What the user wants changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Quit,
    Pause,
    /// By so many tenths of the window, or dots of the cursor.
    Sideways(i8),
    Oldest,
    Newest,
    Select(i8),
    Turn(i8),
    Higher,
    Lower,
    Auto,
    Baseline,
    Shorter,
    Longer,
    Overlay,
    Cursor,
    Solo,
    Hide,
    ShowAll,
    Crowd(bool),
    Help,
}

impl View {
    /// Does what the user wants, except for quitting.
    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Quit => {}
            Action::Pause => self.end = if self.paused() { None } else { Some(self.retained.end) },
            Action::Sideways(by) => match &mut self.cursor {
                Some(cursor) => {
                    let moved = cursor.saturating_add_signed(by.into());
                    let last = self.columns.grid().columns() - 1;
                    if moved > last || (by < 0 && *cursor == 0) {
                        self.scroll(by);
                    } else {
                        *cursor = moved;
                    }
                }
                None => self.scroll(by),
            },
            Action::Oldest => {
                let span = self.columns.grid().span();
                self.end = Some(self.retained.start.saturating_add(span).min(self.retained.end));
            }
            Action::Newest => self.end = None,
            Action::Select(by) => self.selection.step(by.into()),
            Action::Turn(by) => self.selection.turn(by.into(), self.lines),
            Action::Higher => self.scale(1.0 / 1.25),
            Action::Lower => self.scale(1.25),
            Action::Auto if self.gain == Gain::Auto => self.freeze(),
            Action::Auto => self.gain = Gain::Auto,
            Action::Baseline => self.centred = !self.centred,
            Action::Shorter => self.zoom(false),
            Action::Longer => self.zoom(true),
            Action::Overlay => self.overlay = !self.overlay,
            Action::Cursor => {
                let middle = self.columns.grid().columns() / 2;
                self.cursor = if self.cursor.is_some() { None } else { Some(middle) };
            }
            Action::Solo => self.selection.toggle_solo(),
            Action::Hide => self.selection.hide(),
            Action::ShowAll => self.selection.show_all(),
            Action::Crowd(more) => self.selection.crowd(more, self.lines),
            Action::Help => self.help = !self.help,
        }
        self.place();
    }

    /// By tenths of the window, as far as there is something; this pauses.
    fn scroll(&mut self, tenths: i8) {
        let span = self.columns.grid().span();
        let end = self.end.unwrap_or(self.retained.end);
        let by = (span / 10).max(1).saturating_mul(tenths.unsigned_abs().into());
        let end = if tenths < 0 { end.saturating_sub(by) } else { end.saturating_add(by) };
        let first = self.retained.start.saturating_add(span).min(self.retained.end);
        self.end = Some(end.clamp(first, self.retained.end));
    }

    /// More or less time in view. When paused, what is at the cursor or in the middle stays there.
    fn zoom(&mut self, longer: bool) {
        let unit = if self.rate > 0.0 { self.rate } else { 1.0 };
        let grid = self.columns.grid();
        let step = round_step(grid.span() as f64 / unit, longer) * unit;
        let span = (step.round() as u64).clamp(4, 1 << 45);
        if let Some(end) = self.end {
            let place = self.cursor.unwrap_or(grid.columns() / 2) as f64 / grid.columns() as f64;
            let begin = end.saturating_sub(grid.span()) as f64;
            let fixed = begin + grid.span() as f64 * place;
            let end = (fixed + span as f64 * (1.0 - place)).round() as u64;
            self.end = Some(end.clamp(1, self.retained.end.max(1)));
        }
        self.rebuild(Grid::new(span, grid.columns()), self.columns.band());
    }

    /// From autoscale to the heights that it has just now.
    fn freeze(&mut self) {
        let mut heights = vec![f64::NAN; self.traces.len()];
        let kept: Vec<usize> = self.columns.band().collect();
        for (trace, extent) in self.extents(&kept) {
            let range = Gain::Auto.of_row(trace, extent, true);
            heights[trace] = range.high - range.low;
        }
        self.gain = Gain::Fixed(heights);
    }

    fn scale(&mut self, factor: f64) {
        if self.gain == Gain::Auto {
            self.freeze();
        }
        self.gain.scale(factor);
    }
}
