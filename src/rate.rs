//! When a frame was sampled, from when its producer pushed it: pure arithmetic, no clock, no memory but its own.
//!
//! Now and then, about a hundred times a second, the producer says how far it is and what time it is (a *reading*).
//! What can be learnt from a reading is limited: a push may be late, never early; of a block of frames only the last
//! one may be fresh; and the device's crystal is not exactly what its data sheet says, nor quite the same from minute
//! to minute. So
//!
//! - of readings that come faster than the signal could, the last one counts: the end of a *burst*;
//! - the first of these, sixteen over at least two seconds, are fitted by a line, without those that are far off;
//! - from then on a Kalman filter follows phase and period. The period may wander ([`WANDER`]), so it forgets slowly,
//!   and never claims to know the rate better than a crystal keeps it;
//! - what is far too late is left out: the process did not get the processor. If that goes on, or if something comes too early
//!   again and again, another relation holds from there: the phase is learnt anew, the period is kept;
//! - the scatter is measured, not assumed, and at several scales: delays that come in spells count for less than
//!   independent ones, and the uncertainty says so.
//!
//! Frames that the device lost are part of its count, not of ours: [`Pulse::skip`] takes them in.

/// Seconds² a second: how a crystal's period wanders, relative to itself. Half a ppm within a minute.
const WANDER: f64 = 0.5e-6 * 0.5e-6 / 60.0;

/// Readings closer together than this are one, ns.
const CLOSE: u64 = 5_000_000;
/// A burst ends here, though the next frames come too fast as well: then they are not too fast. ns.
const LONGEST_BURST: u64 = 1_000_000_000;

/// So many readings may be this close together, ns, before it is no burst that one wants the end of.
const PATIENCE: u32 = 1000;
const HASTE: u64 = 100_000;

/// Points of the first fit, and how far they are apart, ns.
const POINTS: usize = 16;
const FIRST_SPAN: u64 = 2_000_000_000;

/// How far off, in sigmas, is too far.
const GATE: f64 = 4.0;
/// Another relation holds after so many too late in a row, for so long in ns, or so many too early.
const LATE: u32 = 8;
const LATE_FOR: u64 = 5_000_000_000;
const EARLY: u32 = 4;

/// So long, in seconds, frames may lie in a queue before they are pushed. If frames and gap together take longer than the time
/// that there was, its count is wrong (the device began anew, or a packet was damaged), and all is learnt anew.
const AHEAD: f64 = 1.0;

/// Nobody pushes more exactly than this, s².
const LEAST_NOISE: f64 = 1e-6 * 1e-6;
/// So many points the scatter is remembered for.
const MEMORY: f64 = 1000.0;
/// Scales at which it is measured, each twice as long as the one before.
const SCALES: usize = 8;

/// How positions and times belong together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// A position, and when that frame was sampled.
    pub(crate) position: u64,
    pub(crate) monotonic_ns: u64,
    /// Frames a second; 0: not known.
    pub(crate) rate: f64,
    /// 1 sigma of that; infinite: not measured.
    pub(crate) rate_sigma: f64,
    /// 1 sigma of the time of `position`, ns; infinite: not known.
    pub(crate) time_sigma: f64,
    /// Of the errors of that time and of the time between frames.
    pub(crate) correlation: f64,
    /// From this position on.
    pub(crate) since: u64,
}

impl Line {
    /// Seconds from the line's position to another.
    fn seconds_to(&self, position: u64) -> f64 {
        (i128::from(position) - i128::from(self.position)) as f64 / self.rate
    }

    /// Nanoseconds from the line's position to another.
    pub(crate) fn ns_to(&self, position: u64) -> i64 {
        (self.seconds_to(position) * 1e9).round() as i64
    }

    /// 1 sigma of the time of `position`, ns.
    pub(crate) fn time_sigma_of(&self, position: u64) -> f64 {
        let (away, time) = (self.seconds_to(position), self.time_sigma * 1e-9);
        let drift = away * self.rate_sigma / self.rate;
        if !(drift.is_finite() && time.is_finite()) {
            return f64::INFINITY;
        }
        let wander = WANDER * away.abs().powi(3) / 3.0;
        let variance = time * time + 2.0 * self.correlation * time * drift + drift * drift + wander;
        variance.max(0.0).sqrt() * 1e9
    }

    /// The frame nearest to a time that is so many ns after that of the line's position.
    pub(crate) fn position_after(&self, ns: i128) -> u64 {
        let frames = (ns as f64 * 1e-9 * self.rate).round();
        (i128::from(self.position).saturating_add(frames as i128)).clamp(0, i64::MAX as i128) as u64
    }
}

/// A reading: frames of the device up to this one (not included), at that time in ns.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    index: u64,
    ns: u64,
}

impl Reading {
    fn frames_since(&self, before: &Self) -> f64 {
        self.index.saturating_sub(before.index) as f64
    }

    fn seconds_since(&self, before: &Self) -> f64 {
        (i128::from(self.ns) - i128::from(before.ns)) as f64 * 1e-9
    }
}

/// Follows one producer.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Frames a second as the device's maker says; 0: nobody does.
    nominal: f64,
    throttle: Throttle,
    /// Frames that the device counted and nobody pushed.
    missing: u64,
    since: u64,
    /// When the burst that goes on began, and its last reading.
    burst: Option<(u64, Reading)>,
    /// The last reading; and the one before the gap that the next reading lies behind.
    last: Option<Reading>,
    before_gap: Option<Reading>,
    /// It is one: of several readings.
    bursts: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting(Points),
    Following(Filter),
}

impl Pulse {
    /// Of a producer that begins at `position`. `longest`: frames between readings where there is no rate.
    pub(crate) fn new(nominal: f64, longest: u64, position: u64) -> Self {
        let throttle = Throttle::new(nominal, longest);
        let state = State::Collecting(Points::default());
        let (last, before_gap) = (None, None);
        Self {
            nominal,
            throttle,
            missing: 0,
            since: position,
            burst: None,
            last,
            before_gap,
            bursts: false,
            state,
        }
    }

    /// Frames that may be pushed before the next reading.
    pub(crate) fn spacing(&self) -> u64 {
        self.throttle.spacing(self.bursts)
    }

    /// A reading: all before `position` was pushed by now. What is known then, if it is more than before.
    pub(crate) fn read(&mut self, position: u64, now_ns: u64) -> Option<Line> {
        let mut now = Reading { index: position.saturating_add(self.missing), ns: now_ns };
        if self.before_gap.take().is_some_and(|last| self.is_too_far(&last, &now)) {
            (self.missing, self.burst, self.state) = (0, None, State::Collecting(Points::default()));
            now.index = position;
        }
        self.last = Some(now);
        self.throttle.read(position, now_ns);
        let Some((begun, last)) = self.burst else {
            self.burst = Some((now_ns, now));
            return Some(self.roughly(now));
        };
        self.bursts = self.is_one_burst(begun, &last, &now);
        self.burst = Some((if self.bursts { begun } else { now_ns }, now));
        (!self.bursts).then(|| self.take(last))
    }

    /// The device lost `missing` frames before `position`, which is the next to be pushed.
    pub(crate) fn skip(&mut self, position: u64, missing: u64) {
        if let Some((_, last)) = self.burst.take() {
            self.take(last);
        }
        self.since = position;
        let Some(last) = self.last else { return };
        self.before_gap.get_or_insert(last);
        self.missing = self.missing.saturating_add(missing);
        if let State::Following(filter) = &mut self.state {
            filter.advance(position.saturating_add(self.missing)); // no line lies before the gap
        }
    }

    /// Whether there was no time for the frames since `last`, those that are said to be lost included.
    fn is_too_far(&self, last: &Reading, now: &Reading) -> bool {
        let rate = self.rate();
        rate > 0.0 && now.frames_since(last) > (now.seconds_since(last) + AHEAD) * rate
    }

    /// Whether the frames since `last` came faster than they were sampled.
    fn is_one_burst(&self, begun: u64, last: &Reading, now: &Reading) -> bool {
        let lasted = now.ns.saturating_sub(begun);
        let apart = now.ns.saturating_sub(last.ns);
        let (due, came) = (now.seconds_since(last) * self.rate(), now.frames_since(last));
        lasted < LONGEST_BURST && (apart < CLOSE || 0.0 < due && due < came / 2.0)
    }

    fn rate(&self) -> f64 {
        match &self.state {
            State::Collecting(_) => self.nominal,
            State::Following(filter) => filter.rate(),
        }
    }

    /// What a single reading tells.
    fn roughly(&self, at: Reading) -> Line {
        match &self.state {
            State::Following(filter) => self.line(filter),
            State::Collecting(_) => Line {
                position: self.last_frame(at.index),
                monotonic_ns: at.ns,
                rate: self.nominal,
                rate_sigma: f64::INFINITY,
                time_sigma: f64::INFINITY,
                correlation: 0.0,
                since: self.since,
            },
        }
    }

    /// The position of the last frame before `index`.
    fn last_frame(&self, index: u64) -> u64 {
        index.saturating_sub(self.missing).saturating_sub(1)
    }

    fn line(&self, filter: &Filter) -> Line {
        filter.line(self.last_frame(filter.at.index), self.since)
    }

    /// The end of a burst.
    fn take(&mut self, end: Reading) -> Line {
        match &mut self.state {
            State::Collecting(points) => {
                points.add(end);
                if let Some(filter) = points.fit() {
                    self.state = State::Following(filter);
                }
            }
            State::Following(filter) => {
                if filter.follow(end) {
                    self.since = self.last_frame(end.index);
                }
            }
        }
        self.roughly(end)
    }
}

/// How often the clock is read: a hundred times a second of signal; in a burst more often, to find its end; if frames come
/// far too fast, ten times. Without a rate it is what frames come at.
#[derive(Debug)]
struct Throttle {
    every: u64,
    least: u64,
    most: u64,
    /// There is no rate, and none was measured.
    blind: bool,
    /// Where the second began in which it is counted how fast frames come.
    mark: Option<(u64, u64)>,
    last_ns: u64,
    /// Readings in haste, in a row.
    hasty: u32,
}

impl Throttle {
    fn new(nominal: f64, longest: u64) -> Self {
        let of = |part: f64| ((nominal / part) as u64).max(1);
        let (least, most) = if nominal > 0.0 { (of(100.0), of(10.0)) } else { (1, longest.max(1)) };
        Self { every: least, least, most, blind: nominal <= 0.0, mark: None, last_ns: 0, hasty: 0 }
    }

    fn spacing(&self, in_burst: bool) -> u64 {
        let spacing = if in_burst && self.every < self.most { (self.every / 8).max(1) } else { self.every };
        (spacing << self.hasty.saturating_sub(PATIENCE).min(16)).min(self.most)
    }

    fn read(&mut self, position: u64, now_ns: u64) {
        let (from, began) = *self.mark.get_or_insert((position, now_ns));
        let elapsed = now_ns.saturating_sub(began);
        let apart = now_ns.saturating_sub(self.last_ns);
        self.hasty = if apart < HASTE { self.hasty.saturating_add(1) } else { 0 };
        if elapsed >= 1_000_000_000 {
            let hundredth = position.saturating_sub(from) as f64 / (elapsed as f64 * 1e-9) / 100.0;
            // Bursts make for uneven seconds: only what is far from the nominal rate counts.
            let fits = self.least > 1 && hundredth < 4.0 * self.least as f64;
            self.every = if fits { self.least } else { (hundredth as u64).clamp(self.least, self.most) };
            self.mark = Some((position, now_ns));
            self.blind = false;
        } else if self.blind && apart < 1_000_000 {
            self.every = (self.every * 2).min(self.most);
        }
        self.last_ns = now_ns;
    }
}

/// What is collected for the first fit.
#[derive(Debug, Default)]
struct Points {
    points: [Reading; POINTS],
    count: usize,
    /// One of so many readings is kept; how many came since.
    of: u32,
    since: u32,
}

impl Points {
    fn add(&mut self, reading: Reading) {
        self.since += 1;
        if self.since < self.of {
            return;
        }
        self.since = 0;
        if self.count == POINTS {
            // They lie too close: every other one has to do.
            for kept in 1..POINTS / 2 {
                self.points[kept] = self.points[2 * kept];
            }
            self.count = POINTS / 2;
            self.of = self.of.max(1) * 2;
        }
        self.points[self.count] = reading;
        self.count += 1;
    }

    /// The line through them, without those that are far off: judged by the median, which these do not move.
    fn fit(&mut self) -> Option<Filter> {
        let (first, last) = (self.points[0], self.points[POINTS - 1]);
        if self.count < POINTS || last.ns.saturating_sub(first.ns) < FIRST_SPAN {
            return None;
        }
        let mut kept = [true; POINTS];
        let mut sums = Sums::of(&self.points, &kept, &last)?;
        for _ in 0..3 {
            let off = self.points.map(|point| sums.off(&point, &last));
            let mut distances = off.map(f64::abs);
            distances.sort_unstable_by(f64::total_cmp);
            let far = GATE * 1.5 * distances[POINTS / 2].max(LEAST_NOISE.sqrt());
            kept = off.map(|off| off.abs() <= far);
            sums = Sums::of(&self.points, &kept, &last)?;
        }
        let squares =
            |(point, kept): (&Reading, &bool)| if *kept { sums.off(point, &last).powi(2) } else { 0.0 };
        let squared: f64 = self.points.iter().zip(&kept).map(squares).sum();
        Some(Filter::new(last, &sums, squared))
    }
}

/// A line by least squares: seconds, over frames; both counted from a last reading.
struct Sums {
    count: f64,
    frames: f64,
    frames_squared: f64,
    determinant: f64,
    phase: f64,
    period: f64,
}

impl Sums {
    fn of(points: &[Reading; POINTS], kept: &[bool; POINTS], last: &Reading) -> Option<Self> {
        let (mut count, mut x, mut xx, mut y, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (point, _) in points.iter().zip(kept).filter(|(_, kept)| **kept) {
            let (frames, seconds) = (-last.frames_since(point), -last.seconds_since(point));
            count += 1.0;
            x += frames;
            xx += frames * frames;
            y += seconds;
            xy += frames * seconds;
        }
        let determinant = count * xx - x * x;
        let period = (count * xy - x * y) / determinant;
        let phase = (xx * y - x * xy) / determinant;
        let usable = count >= 4.0 && period.is_finite() && period > 0.0 && phase.is_finite();
        usable.then_some(Self { count, frames: x, frames_squared: xx, determinant, phase, period })
    }

    /// How late a reading is.
    fn off(&self, point: &Reading, last: &Reading) -> f64 {
        -last.seconds_since(point) - self.phase + last.frames_since(point) * self.period
    }
}

/// Follows phase and period. All variances but `noise` are in units of it, so that what was believed of it at first
/// does not matter later.
#[derive(Debug)]
struct Filter {
    /// Where it is: the last reading that it took, but at a time `at.ns` + `rest` ns that follows from `period` alone.
    at: Reading,
    rest: f64,
    /// Seconds between frames, as first fitted. It stays: what is learnt later is in `pull`.
    period: f64,
    /// Seconds that frames are later than `at`.
    phase: f64,
    /// How much longer, relative to it, the period is.
    pull: f64,
    phase_variance: f64,
    covariance: f64,
    pull_variance: f64,
    /// Seconds², of the readings.
    noise: f64,
    /// Readings that it was measured from.
    weight: f64,
    spells: Spells,
    off: Off,
}

/// Readings in a row that were left out.
#[derive(Debug, Default)]
struct Off {
    late: u32,
    early: u32,
    since_ns: u64,
}

impl Filter {
    fn new(last: Reading, line: &Sums, squared: f64) -> Self {
        let weight = line.count - 2.0;
        Self {
            at: last,
            rest: 0.0,
            period: line.period,
            phase: line.phase,
            pull: 0.0,
            phase_variance: line.frames_squared / line.determinant,
            covariance: -line.frames / line.determinant / line.period,
            pull_variance: line.count / line.determinant / (line.period * line.period),
            noise: (squared / weight).max(LEAST_NOISE),
            weight,
            spells: Spells::default(),
            off: Off::default(),
        }
    }

    fn rate(&self) -> f64 {
        1.0 / (self.period * (1.0 + self.pull))
    }

    /// Takes a reading. True if another relation holds from it on: by a frame or more, not just another delay.
    fn follow(&mut self, reading: Reading) -> bool {
        self.advance(reading.index);
        let late = reading.seconds_since(&self.at) - self.rest * 1e-9 - self.phase;
        let anew = self.judge(late, reading.ns);
        if anew {
            // The phase is whatever this reading says.
            self.phase += late;
            (self.phase_variance, self.covariance) = (1.0, 0.0);
            self.off = Off::default();
        } else {
            if self.off.late + self.off.early == 0 {
                self.learn(late);
            }
            self.weigh(late);
        }
        anew && late.abs() >= self.period / 2.0
    }

    /// Goes on to a frame.
    fn advance(&mut self, index: u64) {
        let seconds = (index.saturating_sub(self.at.index)) as f64 * self.period;
        let ns = self.rest + seconds * 1e9;
        self.at = Reading { index, ns: self.at.ns.saturating_add(ns as u64) };
        self.rest = ns.fract();
        let wander = WANDER / self.noise * seconds;
        self.phase += self.pull * seconds;
        self.phase_variance +=
            seconds * (2.0 * self.covariance + seconds * (self.pull_variance + wander / 3.0));
        self.covariance += seconds * (self.pull_variance + wander / 2.0);
        self.pull_variance += wander;
    }

    /// 1 sigma of how late a reading is, seconds.
    fn scatter(&self) -> f64 {
        (self.noise * (1.0 + self.phase_variance)).sqrt()
    }

    /// Counts what is too far off. True: it has been for too long.
    fn judge(&mut self, late: f64, ns: u64) -> bool {
        let far = GATE * self.scatter();
        if late.abs() <= far {
            self.off = Off::default();
            return false;
        }
        if self.off.late + self.off.early == 0 {
            self.off.since_ns = ns;
        }
        if late > 0.0 {
            (self.off.late, self.off.early) = (self.off.late + 1, 0);
        } else {
            (self.off.late, self.off.early) = (0, self.off.early + 1);
        }
        self.off.early >= EARLY || (self.off.late >= LATE && ns.saturating_sub(self.off.since_ns) >= LATE_FOR)
    }

    fn learn(&mut self, late: f64) {
        self.spells.add(late / self.scatter());
        let total = 1.0 + self.phase_variance;
        let (phase_gain, pull_gain) = (self.phase_variance / total, self.covariance / total);
        self.phase += phase_gain * late;
        self.pull += pull_gain * late;
        self.pull_variance -= pull_gain * self.covariance;
        self.covariance -= phase_gain * self.covariance;
        self.phase_variance -= phase_gain * self.phase_variance;
    }

    /// The scatter, of which one that is far off tells no more than that it is.
    fn weigh(&mut self, late: f64) {
        self.weight = (self.weight + 1.0).min(MEMORY);
        let total = 1.0 + self.phase_variance;
        let squared = (late * late / total).min(GATE * GATE * self.noise);
        self.noise = (self.noise + (squared - self.noise) / self.weight).max(LEAST_NOISE);
    }

    fn line(&self, position: u64, since: u64) -> Line {
        // With few readings the scatter itself is uncertain: so that three sigmas still are what they promise.
        let noise = self.noise * (1.0 + 6.0 / self.weight) * self.spells.inflation();
        let ns = self.rest + self.phase * 1e9;
        let rate = self.rate();
        Line {
            position,
            monotonic_ns: self.at.ns.saturating_add_signed(ns.round() as i64),
            rate,
            rate_sigma: rate * (noise * self.pull_variance).sqrt(),
            time_sigma: (noise * self.phase_variance).sqrt() * 1e9,
            correlation: self.covariance / (self.phase_variance * self.pull_variance).sqrt(),
            since,
        }
    }
}

/// Whether delays come in spells: by how much sums of 2, 4, 8... of them scatter more than independent ones would.
#[derive(Debug)]
struct Spells {
    /// Half of a pair that waits for its other half; NaN: none.
    halves: [f64; SCALES],
    /// Mean squares: of single ones, of pairs, of pairs of pairs...
    squares: [f64; SCALES + 1],
    count: u64,
}

impl Default for Spells {
    fn default() -> Self {
        Self { halves: [f64::NAN; SCALES], squares: [0.0; SCALES + 1], count: 0 }
    }
}

impl Spells {
    /// So many of them at that scale, as far as it remembers.
    fn known(&self, scale: usize) -> f64 {
        ((self.count >> scale) as f64).min(MEMORY)
    }

    fn add(&mut self, late: f64) {
        self.count += 1;
        let mut sum = late;
        for scale in 0..=SCALES {
            let known = self.known(scale);
            let square = &mut self.squares[scale];
            *square += (sum * sum - *square) / known;
            let Some(half) = self.halves.get_mut(scale) else { return };
            if half.is_nan() {
                *half = sum;
                return;
            }
            sum = (core::mem::replace(half, f64::NAN) + sum) * core::f64::consts::FRAC_1_SQRT_2;
        }
    }

    /// By how much the variance of a mean is larger than if they were independent. Only what is significant counts.
    fn inflation(&self) -> f64 {
        (1..=SCALES).fold(1.0, |most: f64, scale| {
            let known = self.known(scale);
            let chance = 1.0 + 2.0 * (2.0 / known).sqrt();
            if known < 8.0 { most } else { most.max(self.squares[scale] / self.squares[0].max(1.0) / chance) }
        })
    }
}
