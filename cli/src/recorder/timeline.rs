//! Which sample of the signal a frame is, when some are missing.

use crate::files::{Cause, Gap};
use std::ops::Range;

/// Counts the frames of a recording together with those that are missing between them.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    rate: f64,
    /// The first frame's position.
    first: u64,
    /// What is missing up to a position and from there on.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    position: u64,
    /// Frames that are missing so far and have no position.
    missing: u64,
    /// Those that have one.
    lapped: u64,
}

impl Timeline {
    pub(super) fn new(rate: f64, first: u64) -> Self {
        Self { rate, first, steps: Vec::new() }
    }

    /// Counted from the first frame of the recording, missing ones included.
    pub(super) fn index(&self, position: u64) -> u64 {
        position - self.first + self.before(position).missing
    }

    /// How many frames the recording has before that one.
    pub(super) fn recorded(&self, position: u64) -> u64 {
        position - self.first - self.before(position).lapped
    }

    fn before(&self, position: u64) -> Step {
        let behind = self.steps.partition_point(|step| step.position <= position);
        behind.checked_sub(1).map_or_else(Step::default, |last| self.steps[last])
    }

    /// From the first frame; nothing of a stream without a rate.
    pub(super) fn seconds(&self, index: u64) -> f64 {
        if self.rate > 0.0 { index as f64 / self.rate } else { 0.0 }
    }

    /// Takes note of a gap, and gives the indices of the missing frames. Where nobody counted them, these are as many as
    /// fit into the time.
    pub(super) fn gap(&mut self, gap: &Gap) -> Range<u64> {
        let (before, step) = (self.index(gap.position), self.before(gap.position));
        let (step, indices) = if gap.cause == Cause::Lapped {
            let missing = gap.missing.unwrap_or(0);
            (Step { lapped: step.lapped + missing, ..step }, before - missing..before)
        } else {
            let fit = || ((gap.time.as_secs_f64() * self.rate).round() as u64).saturating_sub(before);
            let missing = gap.missing.unwrap_or_else(fit);
            (Step { missing: step.missing + missing, ..step }, before..before + missing)
        };
        self.steps.push(Step { position: gap.position, ..step });
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn missing_frames_move_what_comes_after_them() {
        let mut timeline = Timeline::new(100.0, 1000);
        let gap = |position, missing, cause, milliseconds| Gap {
            position,
            missing,
            cause,
            time: Duration::from_millis(milliseconds),
        };
        assert_eq!((timeline.index(1010), timeline.recorded(1010)), (10, 10));
        assert_eq!(timeline.gap(&gap(1010, Some(47), Cause::Unknown, 0)), 10..57);
        assert_eq!((timeline.index(1010), timeline.recorded(1010)), (57, 10));
        assert_eq!((timeline.index(1009), timeline.recorded(1009)), (9, 9), "what lies before stays");
        // Lapped frames had positions.
        assert_eq!(timeline.gap(&gap(1030, Some(15), Cause::Lapped, 0)), 62..77);
        assert_eq!((timeline.index(1030), timeline.recorded(1030)), (77, 15));
        assert_eq!(timeline.gap(&gap(1030, None, Cause::Restart, 1000)), 77..100);
        assert_eq!(timeline.gap(&gap(1030, None, Cause::Restart, 10)), 100..100, "time does not go back");
        assert_eq!(timeline.seconds(timeline.index(1040)), 1.1);
    }
}
