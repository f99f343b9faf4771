//! When each frame of a played signal is due.

use std::time::{Duration, Instant};

/// An absolute schedule: a late block does not delay the later ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    rate: f64,
}

impl Pace {
    /// Starts now, at so many frames per second.
    pub(crate) fn new(rate: f64) -> Self {
        Self { start: Instant::now(), rate }
    }

    /// When `frames` frames have been acquired.
    pub(crate) fn due(self, frames: u64) -> Instant {
        let after = Duration::try_from_secs_f64(frames as f64 / self.rate).unwrap_or(Duration::MAX);
        // Beyond what the clock can count, "much later" is as good.
        self.start.checked_add(after).unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}
