//! What happened to each stream between two looks.

use super::look::{Counts, Look, Seat, readers};
use annulus::{Attached, Kind, Listed, Role, Status};
use std::time::Duration;

/// A stream, and what it does.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(super) stream: &'a Listed,
    /// `None` of one that is broken.
    pub(super) doing: Option<Doing<'a>>,
}

/// What a stream does. Rates are missing where it was not there before, or is another one since.
#[derive(Debug)]
pub(super) struct Doing<'a> {
    pub(super) status: &'a Status,
    pub(super) change: Option<Change>,
    /// How full the ring is: of what can be observed, or, where frames are taken, of those that wait; 0 to 1.
    pub(super) fill: f64,
    pub(super) readers: Vec<Reader<'a>>,
}

/// What changed in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) time: Duration,
    pub(super) frames: u64,
    pub(super) wakes: u32,
}

/// One who reads.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) attached: &'a Attached,
    /// Frames that it is behind; `None` in a queue, where it reads from one lane or all.
    pub(super) lag: Option<u64>,
    /// Frames that it lost in the interval.
    pub(super) lost: u64,
}

/// All of them, in the order of the look.
pub(crate) fn rows<'a>(before: Option<&Look>, now: &'a Look) -> Vec<Row<'a>> {
    let row = |stream: &'a Listed| {
        let status = stream.status.as_ref().ok();
        let before = |status: &Status| before?.of(&status.info.path, &status.info.instance, now.at);
        Row { stream, doing: status.map(|status| Doing::new(status, before(status))) }
    };
    now.streams.iter().map(row).collect()
}

impl<'a> Doing<'a> {
    fn new(status: &'a Status, before: Option<(Counts, Duration)>) -> Self {
        let counts = Counts::of(status);
        let change = before.as_ref().and_then(|(before, time)| Change::new(&counts, before, *time));
        let lost = |seat: Seat| before.as_ref().map_or(0, |(before, _)| counts.lost(seat, before));
        let readers = readers(status)
            .map(|attached| Reader { attached, lag: lag(attached, status), lost: lost(attached.seat) })
            .collect();
        Self { status, change, fill: fill(status), readers }
    }

    /// Frames per second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.change.map(|change| change.frames as f64 / change.time.as_secs_f64())
    }

    /// Bytes per second.
    pub(super) fn bytes(&self) -> Option<f64> {
        self.rate().map(|rate| rate * self.status.info.frame_bytes as f64)
    }

    /// Wake-ups per second.
    pub(super) fn wakes(&self) -> Option<f64> {
        self.change.map(|change| f64::from(change.wakes) / change.time.as_secs_f64())
    }

    /// That of the slowest.
    pub(super) fn lag(&self) -> Option<u64> {
        self.readers.iter().filter_map(|reader| reader.lag).max()
    }

    /// Of all who read: in all, and in the interval.
    pub(super) fn lost(&self) -> (u64, u64) {
        let sum = |of: fn(&Reader<'_>) -> u64| self.readers.iter().map(of).fold(0, u64::saturating_add);
        (sum(|reader| reader.attached.lost), sum(|reader| reader.lost))
    }

    /// So many frames as time, by the nominal rate, else by the one that is seen.
    pub(super) fn time(&self, frames: u64) -> Option<Duration> {
        let nominal = Some(self.status.info.rate).filter(|rate| *rate > 0.0);
        let rate = nominal.or_else(|| self.rate()).filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(frames as f64 / rate).ok()
    }
}

impl Change {
    fn new(now: &Counts, before: &Counts, time: Duration) -> Option<Self> {
        let frames = now.frames(before)?;
        (!time.is_zero()).then(|| Self { time, frames, wakes: now.wakes(before) })
    }
}

fn lag(attached: &Attached, status: &Status) -> Option<u64> {
    let one_lane = status.info.kind != Kind::Mpmc;
    (one_lane && attached.role != Role::Producer).then(|| status.position.saturating_sub(attached.position))
}

fn fill(status: &Status) -> f64 {
    let room = status.info.capacity.saturating_mul(u64::from(status.info.lanes)).max(1);
    let held = status.position.saturating_sub(status.head.unwrap_or(status.oldest));
    (held as f64 / room as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_needs_time_and_a_position_that_grew() {
        let counts = |position| Counts { position, wakes: 9, ..Counts::default() };
        let second = Duration::from_secs(1);
        let change = Change::new(&counts(40), &counts(10), second);
        assert_eq!(change, Some(Change { time: second, frames: 30, wakes: 0 }));
        assert_eq!(Change::new(&counts(10), &counts(40), second), None);
        assert_eq!(Change::new(&counts(40), &counts(10), Duration::ZERO), None);
    }
}
