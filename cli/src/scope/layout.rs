//! Where everything is on a screen of any size.

use super::dots::ACROSS;
use super::traces::Trace;
use ratatui::layout::Rect;
use std::ops;

/// The parts of the screen; those for which there is no room are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// All but the bottom line.
    pub(crate) outer: Rect,
    pub(crate) bordered: bool,
    /// Labels, left of the picture.
    pub(crate) panel: Option<Rect>,
    pub(crate) plot: Rect,
    /// Times, below the picture.
    pub(crate) axis: Option<Rect>,
    pub(crate) foot: Option<Rect>,
}

/// Room for a number beside a title.
const NUMBER: usize = 9;

impl Layout {
    pub(crate) fn of(area: Rect, traces: &[Trace]) -> Self {
        let foot = (area.height > 1).then(|| Rect { y: area.bottom() - 1, height: 1, ..area });
        let outer = Rect { height: area.height - u16::from(foot.is_some()), ..area };
        let bordered = outer.height >= 5 && outer.width >= 24;
        let edge = u16::from(bordered);
        let mut plot = Rect {
            x: outer.x + edge,
            y: outer.y + edge,
            width: outer.width - 2 * edge,
            height: outer.height - 2 * edge,
        };
        let axis = bordered.then(|| Rect { y: plot.bottom() - 1, height: 1, ..plot });
        plot.height -= u16::from(axis.is_some());
        let title = traces.iter().map(|trace| trace.title().chars().count()).max().unwrap_or(0);
        let wanted = (title + NUMBER).clamp(16, 28).min(usize::from(plot.width) / 3) as u16;
        let panel = (bordered && wanted >= 8).then_some(Rect { width: wanted, ..plot });
        // A blank column is between labels and picture.
        let taken = panel.map_or(0, |panel| panel.width + 1);
        plot = Rect { x: plot.x + taken, width: plot.width - taken, ..plot };
        let axis = axis.map(|axis| Rect { x: plot.x, width: plot.width, ..axis });
        Self { outer, bordered, panel, plot, axis, foot }
    }

    /// Columns of dots in the picture.
    pub(crate) fn columns(&self) -> usize {
        usize::from(self.plot.width) * ACROSS
    }

    /// The lines of the picture that belong to one of so many traces.
    pub(crate) fn rows(&self, index: usize, of: usize) -> ops::Range<usize> {
        let height = usize::from(self.plot.height);
        let start = |index: usize| index * height / of.max(1);
        start(index).min(height)..start(index + 1).min(height)
    }
}
