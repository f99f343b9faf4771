//! Whether lines follow each other, by what their first column says.
//!
//! Times are rounded. Where the last digit is worth much less than a frame, each line is held against the one before.
//! Where it is not, two lines tell nothing: at 1024 Hz in milliseconds two frames may have the same time, and a frame
//! that is missing moves all times after it by less than a digit. But rounding moves them within a fixed band only, and
//! the missing frame moves the whole band. So what is kept is the range that the exact time must be in, by all lines so
//! far; a gap empties it, once the lines on both sides of it have shown where their bands end.

/// More lines than this do not go into one judgement.
const MOST: usize = 4096;

/// How far from a whole number of steps a gap may be, in steps.
const LEAP: f64 = 0.25;

/// The first column, line by line.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// From line to line.
    step: f64,
    /// How far a value may be from what was rounded to it.
    rounding: f64,
    /// How far a step may be off.
    drift: f64,
    /// So many lines on either side show that one is missing between them.
    lines: usize,
    last: Option<Last>,
}

/// What the last line said, and what the exact value may have been. That is told from the first line on: a step is too
/// little beside the seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Last {
    first: f64,
    said: f64,
    low: f64,
    high: f64,
}

impl Clock {
    /// Of positions.
    pub(super) fn counting() -> Self {
        Self { step: 1.0, rounding: 0.0, drift: 0.5, lines: 1, last: None }
    }

    /// Of times that are rounded to multiples of `unit`, by the first of them and their mean step. `None` where they
    /// cannot tell whether a frame is missing.
    pub(super) fn timing(times: &[f64], unit: f64, mean: f64) -> Option<Self> {
        let ratio = mean / unit;
        // Rounding changes a step by one unit at most, and half a step tells a missing frame.
        if ratio >= 2.5 {
            return Some(Self { step: mean, drift: mean / 2.0, ..Self::counting() });
        }
        // The fractions of `unit` that are rounded away: always the same few, where a few steps are whole units, or
        // else all of them in turn. Then the mean must be as good as it is believed to be, which takes many times.
        let mut phases = Phases::default();
        for lines in 1..=MOST.min(times.len()) {
            let count = lines as f64;
            phases.add((ratio * count).fract());
            let all = phases.widest() <= ratio.min(1.0) / 8.0;
            if all && times.len() as f64 * ratio.min(1.0) >= 4.0 * count {
                return Some(Self {
                    step: mean,
                    rounding: unit / 2.0,
                    drift: mean / (4.0 * count),
                    lines,
                    last: None,
                });
            }
            if let Some(units) = whole(times, unit, lines, ratio * count) {
                let (step, rounding) = (units * unit / count, unit / 2.0 * (1.0 - 1.0 / count));
                return Some(Self {
                    step,
                    rounding,
                    drift: step.min(unit) / (2.0 * count),
                    lines,
                    last: None,
                });
            }
        }
        None
    }

    pub(super) fn step(&self) -> f64 {
        self.step
    }

    pub(super) fn rewind(&mut self) {
        self.last = None;
    }

    /// Takes the finite number that the next line says; or tells what was to come instead, if frames are missing or
    /// doubled.
    pub(super) fn follow(&mut self, said: f64) -> Result<(), String> {
        let first = self.last.map_or(said, |last| last.first);
        // Numbers are rounded once more, to binary ones.
        let rounding = self.rounding + 4.0 * f64::EPSILON * said.abs();
        let (mut low, mut high) = (said - first - rounding, said - first + rounding);
        if let Some(last) = self.last {
            low = low.max(last.low + self.step - self.drift);
            high = high.min(last.high + self.step + self.drift);
            if low > high {
                return Err(self.broken(last.said, said));
            }
        }
        self.last = Some(Last { first, said, low, high });
        Ok(())
    }

    /// How many lines are missing before the next one, which says that and does not [follow](Self::follow); goes on after
    /// it. `None` where that cannot be told.
    pub(super) fn leap(&mut self, said: f64) -> Option<u64> {
        let last = self.last.filter(|_| self.lines == 1)?;
        let steps = (said - last.said) / self.step;
        let whole = steps.round();
        let missing =
            ((2.0..1e15).contains(&whole) && (steps - whole).abs() <= LEAP).then(|| whole as u64 - 1);
        if missing.is_some() {
            self.last = None;
            let _ = self.follow(said);
        }
        missing
    }

    fn broken(&self, last: f64, said: f64) -> String {
        let instead = match self.lines {
            1 => format!(" instead of {}", last + self.step),
            lines => {
                let above = 2 * lines;
                format!(", which does not follow from those before (the gap may be {above} lines further up)")
            }
        };
        format!("the first column goes from {last} to {said}{instead}")
    }
}

/// So many steps in units, which are nearly that many, if they are always the same whole number. Steps from line to line
/// may be others here and there: those are gaps.
fn whole(times: &[f64], unit: f64, steps: usize, nearly: f64) -> Option<f64> {
    let units = nearly.round();
    let spans = times.len() - steps;
    if units == 0.0 || (nearly - units).abs() > 0.1 || (steps > 1 && spans < 8 * steps) {
        return None;
    }
    let most = if steps == 1 { (spans / 100).max((spans / 8).min(3)) } else { 0 };
    let others = (0..spans).filter(|&at| ((times[at + steps] - times[at]) / unit).round() != units);
    (others.take(most + 1).count() <= most).then_some(units)
}

/// Places on a circle of circumference 1.
#[derive(Debug, Default)]
struct Phases(Vec<f64>);

impl Phases {
    fn add(&mut self, phase: f64) {
        let at = self.0.partition_point(|&one| one < phase);
        self.0.insert(at, phase);
    }

    /// The widest arc without a place on it.
    fn widest(&self) -> f64 {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else { return 1.0 };
        self.0.windows(2).map(|pair| pair[1] - pair[0]).fold(first + 1.0 - last, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many times that are rounded to multiples of `unit`; without one of the frames, if that is said.
    fn times(count: u32, (rate, unit): (f64, f64), begin: f64, round: f64, without: Option<u32>) -> Vec<f64> {
        let frame = |line: u32| line + u32::from(without.is_some_and(|missing| line >= missing));
        (0..count)
            .map(|line| ((begin + f64::from(frame(line)) / rate) / unit + round).floor() * unit)
            .collect()
    }

    fn clock(times: &[f64], rate: f64, unit: f64) -> Option<Clock> {
        Clock::timing(times, unit, 1.0 / rate)
    }

    /// The line, from 0, that is refused.
    fn refused(clock: &Clock, times: &[f64]) -> Option<usize> {
        let mut clock = clock.clone();
        times.iter().position(|&time| clock.follow(time).is_err())
    }

    #[test]
    fn a_missing_frame_is_told_from_rounding() {
        let rates = [
            (1024.0, 1e-3),
            (1000.0, 1e-3),
            (1023.47, 1e-3),
            (512.0, 1e-3),
            (600.0, 1e-3),
            (256.0, 1e-3),
            (360.0, 1e-3),
            (2000.0, 1e-3),
            (2048.0, 1e-3),
            (5000.0, 1e-3),
            (44_100.0, 1e-3),
            (250.0, 1.0),
            (30_000.0, 1e-4),
            (7.0, 1.0),
        ];
        for (rate, unit) in rates {
            for begin in [0.0, 0.000_317, 1_234.567_89, 1_700_000_000.123] {
                for round in [0.001, 0.437] {
                    let whole = times(100_000, (rate, unit), begin, round, None);
                    let clock = clock(&whole, rate, unit).unwrap();
                    assert_eq!(refused(&clock, &whole), None, "{rate} {begin}");
                    for missing in [9000, 9001, 9037] {
                        let at = refused(&clock, &times(20_000, (rate, unit), begin, round, Some(missing)));
                        let first = missing as usize;
                        assert!(
                            at.is_some_and(|at| (first..first + 2 * clock.lines).contains(&at)),
                            "{rate} {unit} {begin} {missing}: {at:?} of {}",
                            clock.lines
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_step_that_is_a_little_off_is_followed() {
        let times = times(1_000_000, (1024.3, 1e-3), 0.0, 0.0, None);
        let clock = clock(&times[..10_000], 1024.0, 1e-3).unwrap();
        assert_eq!(refused(&clock, &times), None);
    }

    #[test]
    fn times_that_tell_nothing_are_not_believed() {
        for (count, rate, unit) in [(10_000, 30_000.0, 1.0), (200, 2048.0, 1e-3), (2000, 44_100.0, 1e-3)] {
            assert!(clock(&times(count, (rate, unit), 0.0, 0.0, None), rate, unit).is_none(), "{rate}");
        }
        // A millisecond and a ten-thousandth: nearly always 1 ms apart, and 2 ms once in a while. That is a gap.
        let times = times(10_000, (1.0 / 1.0001e-3, 1e-3), 0.0, 0.5, None);
        let clock = clock(&times, 1.0 / 1.0001e-3, 1e-3).unwrap();
        assert!((refused(&clock, &times).is_some() && clock.step == 1e-3));
    }
}
