//! The sample clock, as those who use it see it, and as its producer keeps it.

use super::Info;
use crate::clock::{Reader, Teller, Words};
use crate::index::POSITION_LIMIT;
use crate::layout::ClockLatch;
use crate::rate::{Line, Pulse};
use crate::time::{monotonic_ns, system_time, utc_ns};
use std::time::{SystemTime, UNIX_EPOCH};

/// When frames were sampled: maps positions to times and times to positions, and says how well it knows.
///
/// A snapshot, from [`Observer::clock`](super::Observer::clock), [`Consumer::clock`](super::Consumer::clock),
/// [`Producer::clock`](super::Producer::clock) or a [`LaneStatus`](super::LaneStatus). Nobody has to stamp anything: the
/// producer looks at the clock at some of its pushes, about a hundred times a second, and follows phase and rate of the
/// device through blocks, late pushes and the drift of its crystal. No sample is changed, moved or invented for it.
///
/// Times are those at which a push is due, as late as pushes usually are: what the device and its driver take before
/// that, always the same, nobody can see from here. A frame's true time is earlier by that much.
///
/// Each lane has a clock of its own, and each producer begins anew, with the nominal rate; it reports a rate of its own
/// after 16 blocks or pushes, 2 seconds at least. Before a successor's first push it is its predecessor's.
///
/// ```
/// use annulus::{Start, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-clock-{}", std::process::id());
/// let mut producer = annulus::create(&name).rate(1000.0).producer::<f32>()?;
/// producer.push(&[0.0; 500])?;
///
/// let mut viewer = annulus::open(&name).start(Start::Oldest).observer::<f32>()?;
/// let mut block = [0.0; 500];
/// let read = viewer.read(&mut block, Wait::new())?;
/// let clock = viewer.clock().expect("something was pushed");
/// let first = clock.time_of(read.first_position);
/// println!("sampled at {} ns, {:?}", first.monotonic_ns, first.utc());
/// println!("{} Hz +- {} (nominal {:?})", clock.rate(), clock.rate_sigma(), clock.nominal());
///
/// // And back: what was there a tenth of a second later?
/// let later = annulus::Moment::Monotonic(first.monotonic_ns + 100_000_000);
/// assert_eq!(clock.position_at(later), 100);
/// viewer.seek(Start::At(later));
/// assert_eq!(viewer.position(), 100);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    line: Line,
    /// UTC of the line's position.
    utc_ns: i64,
    nominal: f64,
}

/// When a frame was sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Time {
    /// Of the monotonic clock, as [`monotonic_ns`].
    pub monotonic_ns: u64,
    /// UTC since 1970, by what the machine takes for it now: if that is set, all times move with it.
    pub utc_ns: i64,
    /// 1 sigma of both, ns; infinite before the rate was measured.
    pub sigma_ns: f64,
}

impl Time {
    /// UTC, as the standard library has it.
    pub fn utc(&self) -> SystemTime {
        system_time(self.utc_ns).unwrap_or(UNIX_EPOCH)
    }
}

/// A time to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds of the monotonic clock, as [`monotonic_ns`]: the one that is never set.
    Monotonic(u64),
    /// UTC, as the machine takes it for now.
    Utc(SystemTime),
}

impl From<SystemTime> for Moment {
    fn from(utc: SystemTime) -> Self {
        Self::Utc(utc)
    }
}

impl From<Time> for Moment {
    fn from(time: Time) -> Self {
        Self::Monotonic(time.monotonic_ns)
    }
}

impl Clock {
    /// What `latch` says. Times of an earlier boot are of another monotonic clock.
    pub(super) fn of(reader: &Reader, latch: &ClockLatch, info: &Info) -> Option<Self> {
        if info.earlier_boot { None } else { Self::decode(&reader.look(latch)?, info.rate) }
    }

    /// When the frame at `position` was sampled, or will be. Of frames before [`since`](Self::since), which another
    /// producer pushed, or that a gap lies after, it is when they would have been.
    pub fn time_of(&self, position: u64) -> Time {
        let ns = self.line.ns_to(position);
        Time {
            monotonic_ns: self.line.monotonic_ns.saturating_add_signed(ns),
            utc_ns: self.utc_ns.saturating_add(ns),
            sigma_ns: self.line.time_sigma_of(position),
        }
    }

    /// The position of the frame that was sampled nearest to that time, or will be; 0 before all of them. Of times before
    /// that of [`since`](Self::since) it is where that frame would be, had nothing been missing in between.
    pub fn position_at(&self, moment: impl Into<Moment>) -> u64 {
        self.line.position_after(match moment.into() {
            Moment::Monotonic(ns) => i128::from(ns) - i128::from(self.line.monotonic_ns),
            Moment::Utc(utc) => i128::from(utc_ns(utc)) - i128::from(self.utc_ns),
        })
    }

    /// The effective rate, in frames a second of the monotonic clock; the nominal one before it was measured.
    pub fn rate(&self) -> f64 {
        self.line.rate
    }

    /// 1 sigma of the effective [rate](Self::rate), in frames a second; infinite before it was measured. It counts late
    /// pushes that come in spells, and that crystals wander.
    pub fn rate_sigma(&self) -> f64 {
        self.line.rate_sigma
    }

    /// What the creator said: frames a second; `None` if nothing.
    pub fn nominal(&self) -> Option<f64> {
        (self.nominal > 0.0).then_some(self.nominal)
    }

    /// The position from which on this holds: where the producer began, or frames of the device were lost, or its time
    /// jumped.
    pub fn since(&self) -> u64 {
        self.line.since
    }

    /// Whatever the bytes are, it is a clock, or there is none.
    fn decode(words: &Words, nominal: f64) -> Option<Self> {
        let [position, monotonic_ns, utc_ns, rate, rate_sigma, time_sigma, correlation, since] = *words;
        let rate = f64::from_bits(rate);
        let sigma = |word| Some(f64::from_bits(word)).filter(|sigma| *sigma >= 0.0).unwrap_or(f64::INFINITY);
        let correlation = Some(f64::from_bits(correlation)).filter(|of| of.abs() <= 1.0).unwrap_or(1.0);
        let usable = rate.is_finite() && rate > 0.0 && position < POSITION_LIMIT && since < POSITION_LIMIT;
        usable.then_some(Self {
            line: Line {
                position,
                monotonic_ns,
                rate,
                rate_sigma: sigma(rate_sigma),
                time_sigma: sigma(time_sigma),
                correlation,
                since,
            },
            utc_ns: utc_ns.cast_signed(),
            nominal,
        })
    }
}

/// As in `docs/layout.md`.
fn encode(line: &Line, utc_ns: i64) -> Words {
    [
        line.position,
        line.monotonic_ns,
        utc_ns.cast_unsigned(),
        line.rate.to_bits(),
        line.rate_sigma.to_bits(),
        line.time_sigma.to_bits(),
        line.correlation.to_bits(),
        line.since,
    ]
}

/// Keeps the clock of a lane for its producer.
#[derive(Debug)]
pub(super) struct Timekeeper {
    pulse: Pulse,
    teller: Teller,
    utc: Utc,
}

/// UTC that goes so fast or slow is set by a service that keeps it right; what jumps by more, and by more than a
/// millisecond, was set.
const SLEWED: f64 = 0.001;
const STEP_NS: f64 = 1e6;

impl Timekeeper {
    /// Begins anew at `position`, whatever the producers before it knew: it may be another device.
    pub(super) fn take_over(latch: &ClockLatch, info: &Info, position: u64) -> Self {
        Self { pulse: pulse(info, position), teller: Teller::take_over(latch), utc: Utc::default() }
    }

    /// Frames that may be pushed before the clock is to be looked at again.
    pub(super) fn spacing(&self) -> u64 {
        self.pulse.spacing()
    }

    /// All before `position` was pushed by now. By how much UTC was set meanwhile, if it was.
    pub(super) fn pushed(&mut self, latch: &ClockLatch, position: u64, now_ns: u64) -> Option<i64> {
        let line = self.pulse.read(position, now_ns)?;
        let (offset, step) = self.look_at_utc();
        let utc_ns = line.monotonic_ns.cast_signed().wrapping_add(offset);
        self.teller.tell(latch, &encode(&line, utc_ns));
        step
    }

    /// The device's time begins anew at `position`.
    pub(super) fn begin(&mut self, info: &Info, position: u64) {
        self.pulse = pulse(info, position);
    }

    /// The device lost `missing` frames before the one at `position`, the next to be pushed: for it time went on.
    pub(super) fn lost(&mut self, position: u64, missing: u64) {
        self.pulse.skip(position, missing);
    }

    /// What UTC is ahead of the monotonic clock, and by how much it was set since.
    fn look_at_utc(&mut self) -> (i64, Option<i64>) {
        let before = monotonic_ns();
        let utc_ns = utc_ns(SystemTime::now());
        let doubt = monotonic_ns().saturating_sub(before) / 2;
        self.utc.saw(before.saturating_add(doubt), utc_ns, doubt)
    }
}

fn pulse(info: &Info, position: u64) -> Pulse {
    Pulse::new(info.rate, info.capacity / 8, position)
}

/// Follows UTC.
#[derive(Debug, Default)]
struct Utc {
    /// What it is ahead of the monotonic clock, ns, and when it was, by that clock.
    offset: Option<(i64, u64)>,
}

impl Utc {
    /// It was `utc_ns` at `now_ns`, give or take `doubt`: one who is interrupted between two clocks sees them apart, and that
    /// is no step. What it is ahead, and by how much it was set since.
    fn saw(&mut self, now_ns: u64, utc_ns: i64, doubt: u64) -> (i64, Option<i64>) {
        let seen = utc_ns.wrapping_sub(now_ns.cast_signed());
        let (known, then) = self.offset.unwrap_or((seen, now_ns));
        let moved = seen.wrapping_sub(known);
        let offset = if moved.unsigned_abs() <= doubt { known } else { seen };
        self.offset = Some((offset, now_ns));
        let usual = STEP_NS + SLEWED * now_ns.saturating_sub(then) as f64 + doubt as f64;
        (offset, (moved.unsigned_abs() as f64 > usual).then_some(moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: Line = Line {
        position: 1000,
        monotonic_ns: 5_000_000_000,
        rate: 250.0,
        rate_sigma: 0.01,
        time_sigma: 1e5,
        correlation: 0.5,
        since: 10,
    };

    #[test]
    fn a_record_is_what_was_told() {
        let clock = Clock::decode(&encode(&LINE, -7), 256.0).unwrap();
        assert_eq!(clock, Clock { line: LINE, utc_ns: -7, nominal: 256.0 });
        let time = clock.time_of(1250);
        assert_eq!((time.monotonic_ns, time.utc_ns), (6_000_000_000, 999_999_993));
        assert_eq!(clock.position_at(time), 1250);
        assert_eq!(Clock::decode(&encode(&Line { rate: 0.0, ..LINE }, 0), 0.0), None, "no rate is known");
    }

    #[test]
    fn a_step_of_utc_is_told_from_doubt_and_from_slewing() {
        const SECOND: u64 = 1_000_000_000;
        let mut utc = Utc::default();
        let ahead = |now: u64, by: i64| now.cast_signed() + by;
        assert_eq!(utc.saw(5, ahead(5, 1000), 2), (1000, None));
        assert_eq!(utc.saw(9, ahead(9, 1002), 2), (1000, None), "in doubt it is what it was");
        assert_eq!(utc.saw(12, ahead(12, 1003), 2), (1003, None), "it goes a little faster");
        let much = 2_000_000;
        assert_eq!(utc.saw(SECOND, ahead(SECOND, much), 50), (much, None), "0.5 ms/s are slewed, and 1 ms may be");
        assert_eq!(utc.saw(SECOND + 1, ahead(SECOND + 1, -SECOND.cast_signed()), 50).1, Some(-(SECOND.cast_signed() + much)));
        assert_eq!(utc.saw(SECOND + 9, ahead(SECOND + 9, -SECOND.cast_signed()), 50).1, None, "once");
        // One who was held up between the clocks.
        let late = 40_000_000;
        assert_eq!(utc.saw(2 * SECOND, ahead(2 * SECOND, late as i64 - SECOND.cast_signed()), late).1, None);
    }

    proptest! {
        /// Whatever stands in the segment, it is a time or none, and a position.
        #[test]
        fn any_words_are_a_clock_or_none(
            words in any::<Words>(),
            rate in prop_oneof![any::<f64>(), 1e-300..1e300, 0.1..1e9],
            position in any::<u64>(),
            at in any::<u64>(),
        ) {
            for rate in [words[3], rate.to_bits()] {
                let mut words = words;
                words[3] = rate;
                for shift in [0, 1, 40] {
                    (words[0], words[7]) = (words[0] >> shift, words[7] >> shift);
                    let Some(clock) = Clock::decode(&words, 1.0) else { continue };
                    let time = clock.time_of(position);
                    prop_assert!(time.sigma_ns >= 0.0 && clock.rate_sigma() >= 0.0);
                    prop_assert!(clock.position_at(Moment::Monotonic(at)) < POSITION_LIMIT);
                    prop_assert!(clock.position_at(time.utc()) < POSITION_LIMIT);
                }
            }
        }
    }
}
