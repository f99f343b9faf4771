//! How fast a stream really is, as far as this viewer can tell: positions over its own clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks at positions go by.
#[derive(Debug, Default)]
pub(crate) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// A producer pushes in blocks: over this time they do not matter much.
    const WINDOW: Duration = Duration::from_secs(10);
    const STEP: Duration = Duration::from_millis(100);
    const LEAST: Duration = Duration::from_secs(1);

    /// At this time so many frames had been published.
    pub(crate) fn look(&mut self, now: Instant, position: u64) {
        if self.0.back().is_some_and(|last| now.duration_since(last.0) < Self::STEP) {
            return;
        }
        self.0.push_back((now, position));
        while self.0.len() > 2 && now.duration_since(self.0[1].0) >= Self::WINDOW {
            self.0.pop_front();
        }
    }

    /// Forgets what it saw: the producer is another one, or gone.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Frames per second.
    pub(crate) fn measured(&self) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let time = last.0.duration_since(first.0);
        (time >= Self::LEAST).then(|| last.1.saturating_sub(first.1) as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_over_time_are_a_rate() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for tick in 0..=30_u64 {
            assert_eq!(rate.measured().is_some(), tick > 10, "tick {tick}");
            rate.look(start + Duration::from_millis(100) * tick as u32, 500 + 36 * tick);
        }
        assert!((rate.measured().unwrap() - 360.0).abs() < 1e-6);
        // What was long ago does not count.
        for tick in 31..=200_u64 {
            rate.look(start + Duration::from_millis(100) * tick as u32, 500 + 36 * 30);
        }
        assert_eq!(rate.measured(), Some(0.0));
        rate.forget();
        assert_eq!(rate.measured(), None);
    }
}
