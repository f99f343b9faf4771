//! Which traces are in view.

use super::traces::Trace;

/// The traces that are shown, page by page, and the one that is selected.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    hidden: Vec<bool>,
    /// Those that are not hidden, in order; never empty unless there is none at all.
    shown: Vec<usize>,
    /// Index into `shown`.
    selected: usize,
    /// Where the page begins in `shown`.
    top: usize,
    /// How many the user wants on a page.
    wanted: Option<usize>,
    solo: bool,
}

impl Selection {
    pub(crate) fn new(traces: usize) -> Self {
        let shown = (0..traces).collect();
        Self { hidden: vec![false; traces], shown, selected: 0, top: 0, wanted: None, solo: false }
    }

    /// Only these channels.
    pub(crate) fn only(traces: &[Trace], channels: &[usize]) -> Self {
        let mut selection = Self::new(traces.len());
        selection.hidden = traces.iter().map(|trace| !channels.contains(&trace.channel)).collect();
        selection.renew();
        selection
    }

    fn renew(&mut self) {
        self.shown = (0..self.hidden.len()).filter(|&trace| !self.hidden[trace]).collect();
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
    }

    /// How many traces there are that are not hidden, and how many in all.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.shown.len(), self.hidden.len())
    }

    /// The selected trace.
    pub(crate) fn selected(&self) -> Option<usize> {
        self.shown.get(self.selected).copied()
    }

    /// All that are not hidden.
    pub(crate) fn shown(&self) -> &[usize] {
        &self.shown
    }

    pub(crate) fn solo(&self) -> bool {
        self.solo
    }

    /// The traces on the page, of which so many lines are free; the selected one is among them.
    pub(crate) fn page(&mut self, lines: usize) -> &[usize] {
        let count = self.count(lines);
        if self.solo {
            let at = self.selected.min(self.shown.len());
            return &self.shown[at..(at + count).min(self.shown.len())];
        }
        self.top = self.top.min(self.selected).max((self.selected + 1).saturating_sub(count));
        self.top = self.top.min(self.shown.len().saturating_sub(count));
        &self.shown[self.top..(self.top + count).min(self.shown.len())]
    }

    fn count(&self, lines: usize) -> usize {
        /// Lines in which a signal can be recognised.
        const FEW: usize = 3;
        let wanted = self.wanted.unwrap_or(lines / FEW);
        if self.solo { 1 } else { wanted.min(lines).min(self.shown.len()).max(1) }
    }

    /// Selects the trace so many further down, or up.
    pub(crate) fn step(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
    }

    /// The same by pages.
    pub(crate) fn turn(&mut self, pages: isize, lines: usize) {
        let count = self.count(lines) as isize;
        self.top = self.top.saturating_add_signed(pages * count);
        self.step(pages * count);
    }

    /// More traces on a page, or fewer.
    pub(crate) fn crowd(&mut self, more: bool, lines: usize) {
        let count = self.count(lines);
        let step = (count / 4).max(1);
        let wanted = if more { count + step } else { count.saturating_sub(step) };
        self.wanted = Some(wanted.clamp(1, lines.max(1)));
    }

    /// Shows the selected trace alone, or all of them again.
    pub(crate) fn toggle_solo(&mut self) {
        self.solo = !self.solo;
    }

    /// Hides the selected trace, unless it is the last one.
    pub(crate) fn hide(&mut self) {
        if let Some(selected) = self.selected().filter(|_| self.shown.len() > 1) {
            self.hidden[selected] = true;
            self.renew();
        }
    }

    /// Shows all traces.
    pub(crate) fn show_all(&mut self) {
        let selected = self.selected();
        self.solo = false;
        self.hidden.fill(false);
        self.renew();
        self.selected = selected.unwrap_or(0);
    }
}

/// The channels that the user means by `Fp1,Cz` or `1-8,12`: labels first, then numbers from 1.
pub(crate) fn channels(text: &str, labels: &[String]) -> Result<Vec<usize>, String> {
    let count = labels.len();
    let mut chosen = Vec::new();
    for item in text.split(',').map(str::trim) {
        let labelled = labels.iter().enumerate().filter(|(_, label)| *label == item);
        let before = chosen.len();
        chosen.extend(labelled.map(|(channel, _)| channel));
        if chosen.len() > before {
            continue;
        }
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
            (Ok(first @ 1..), Ok(last)) if first <= last && last <= count => chosen.extend(first - 1..last),
            (Ok(_), Ok(_)) => return Err(format!("'{item}': there are channels 1 to {count}")),
            _ => {
                let some: Vec<&str> = labels.iter().take(8).map(String::as_str).collect();
                let more = if labels.len() > some.len() { ", ..." } else { "" };
                return Err(format!("no channel is called '{item}': there are {}{more}", some.join(", ")));
            }
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_or_numbered() {
        let labels: Vec<String> = ["Fp1", "Cz", "3", "T-4", "Cz"].map(str::to_owned).into();
        let chosen = |text| channels(text, &labels);
        assert_eq!(chosen("Cz, Fp1"), Ok(vec![0, 1, 4]), "both that are called so");
        assert_eq!((chosen("1-3,2"), chosen("T-4")), (Ok(vec![0, 1, 2]), Ok(vec![3])));
        for text in ["", "0", "6", "2-1", "1-6", "Oz", "1-", "-", "1-99999999999999999999"] {
            assert!(chosen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_page_holds_the_selected_trace() {
        let mut selection = Selection::new(100);
        assert_eq!(selection.page(38), (0..12).collect::<Vec<_>>());
        selection.step(12);
        assert_eq!(selection.page(38), (1..13).collect::<Vec<_>>());
        selection.turn(1, 38);
        assert_eq!((selection.page(38)[0], selection.selected()), (13, Some(24)));
        selection.step(1000);
        assert_eq!(selection.page(38), (88..100).collect::<Vec<_>>());
        selection.crowd(true, 38);
        assert_eq!(selection.page(38).len(), 15);
        for lines in [0, 1, 2, 5] {
            assert!(selection.page(lines).contains(&99), "{lines}");
        }
        selection.toggle_solo();
        assert_eq!(selection.page(38), [99]);
    }

    #[test]
    fn hidden_traces_are_skipped_and_one_stays() {
        let mut selection = Selection::new(3);
        selection.step(1);
        selection.hide();
        assert_eq!((selection.selected(), selection.page(9)), (Some(2), &[0, 2][..]));
        selection.hide();
        selection.hide();
        assert_eq!((selection.shown(), selection.counts()), (&[0][..], (1, 3)));
        selection.show_all();
        assert_eq!(selection.page(9), [0, 1, 2]);
    }

    #[test]
    fn nothing_at_all_is_no_page() {
        let mut selection = Selection::new(0);
        selection.step(1);
        selection.hide();
        assert_eq!((selection.selected(), selection.page(5)), (None, &[][..]));
    }
}
