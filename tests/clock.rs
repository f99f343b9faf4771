//! What the sample clock makes of pushes: a simulated device, whose true times are known, before the estimator that ships.
//!
//! `ANNULUS_CLOCK_SEEDS=N`: so many runs of each case (`ci/clock.sh`).

#[path = "../src/rate.rs"]
#[allow(dead_code, unreachable_pub, reason = "this is the library's own file")]
mod rate;

use rate::{Line, Pulse};
use std::f64::consts::TAU;

/// Random numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// Between 0 and 1, never 0.
    fn part(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -self.part().ln()
    }

    fn gauss(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (TAU * self.part()).cos()
    }
}

/// How late a block is pushed, in seconds.
#[derive(Clone, Copy)]
enum Delay {
    None,
    Gauss(f64),
    /// Between minus and plus that much.
    Even(f64),
    Exponential(f64),
    /// As the one before it, but for a part that is new: it comes in spells of so many blocks.
    Spells(f64, f64),
}

/// A device, and the program that pushes what it gives.
#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    rate: f64,
    nominal: f64,
    /// How much faster it gets, ppm a minute.
    drift: f64,
    /// Frames that come at once, and how many of them are pushed at once.
    block: u64,
    push: u64,
    delay: Delay,
    /// Seconds between stalls of 200 ms, on average; 0: none.
    stalls: f64,
    /// How long it takes to push a block, s.
    slow: f64,
    seconds: f64,
}

const DEVICE: Case = Case {
    what: "",
    rate: 1000.012,
    nominal: 1000.0,
    drift: 0.0,
    block: 500,
    push: 500,
    delay: Delay::Gauss(0.005),
    stalls: 0.0,
    slow: 0.0,
    seconds: 600.0,
};

const STALL: f64 = 0.2;
/// When the first frame is sampled.
const START: f64 = 1000.0;

/// A case as it goes on.
struct Run {
    case: Case,
    random: Random,
    pulse: Pulse,
    line: Option<Line>,
    /// Frames pushed, and when the last of them was.
    position: u64,
    now: f64,
    next_reading: u64,
    readings: u64,
    late: f64,
    /// How much later everything is pushed from now on.
    later: f64,
    stall: f64,
    /// Frames that the device lost, and where.
    lost: u64,
    lost_at: u64,
}

impl Run {
    fn new(case: Case, seed: u64) -> Self {
        let mut random = Random(seed);
        let stall =
            if case.stalls > 0.0 { START + case.stalls * random.exponential() } else { f64::INFINITY };
        let pulse = Pulse::new(case.nominal, 1000, 0);
        Self {
            case,
            random,
            pulse,
            line: None,
            position: 0,
            now: 0.0,
            next_reading: 1,
            readings: 0,
            late: 0.0,
            later: 0.0,
            stall,
            lost: 0,
            lost_at: 0,
        }
    }

    /// The device loses frames, and says so or not.
    fn lose(&mut self, frames: u64, declared: bool) {
        (self.lost, self.lost_at) = (frames, self.position);
        if declared {
            self.pulse.skip(self.position, frames);
        }
    }

    /// When a frame is sampled: what the clock should say.
    fn sampled(&self, position: u64) -> f64 {
        let lost = if position >= self.lost_at { self.lost } else { 0 };
        let seconds = (position + lost) as f64 / self.case.rate;
        START + seconds - self.case.drift * 1e-6 / 60.0 * seconds * seconds / 2.0
    }

    fn rate(&self, position: u64) -> f64 {
        let seconds = position as f64 / self.case.rate;
        self.case.rate / (1.0 - self.case.drift * 1e-6 / 60.0 * seconds)
    }

    fn delay(&mut self) -> f64 {
        let random = &mut self.random;
        match self.case.delay {
            Delay::None => 0.0,
            Delay::Gauss(sigma) => sigma * random.gauss(),
            Delay::Even(most) => most * (2.0 * random.part() - 1.0),
            Delay::Exponential(mean) => mean * random.exponential(),
            Delay::Spells(sigma, blocks) => {
                let kept = (-1.0 / blocks).exp();
                self.late = kept * self.late + (1.0 - kept * kept).sqrt() * sigma * random.gauss();
                self.late
            }
        }
    }

    /// Pushes the next block.
    fn block(&mut self) {
        let end = self.position + self.case.block;
        let due = self.sampled(end - 1) + self.delay() + self.later;
        let mut at = due.max(self.now + 1e-7);
        if at >= self.stall {
            at = at.max(self.stall + STALL);
            if at > self.stall + STALL {
                self.stall = at + self.case.stalls * self.random.exponential();
            }
        }
        while self.position < end {
            self.position += self.case.push;
            at += self.case.slow * self.case.push as f64 / self.case.block as f64 + 1e-7;
            if self.position >= self.next_reading {
                self.readings += 1;
                self.line = self.pulse.read(self.position, (at * 1e9) as u64).or(self.line);
                self.next_reading = self.position + self.pulse.spacing();
            }
        }
        self.now = at;
    }

    fn until(&mut self, seconds: f64) -> Line {
        while self.sampled(self.position) < START + seconds {
            // What is between two readings does not matter: not for blocks that nobody looks at.
            if self.case.block < self.pulse.spacing() && self.position + self.case.block < self.next_reading {
                let blocks = (self.next_reading - self.position).div_ceil(self.case.block) - 1;
                self.position += blocks * self.case.block;
            }
            self.block();
        }
        self.line.unwrap()
    }

    fn rate_error(&self, line: &Line) -> f64 {
        line.rate - self.rate(line.position)
    }

    /// How much later a frame was sampled, in s, than the clock says.
    fn time_error(&self, line: &Line, position: u64) -> f64 {
        line.monotonic_ns as f64 * 1e-9 + line.ns_to(position) as f64 * 1e-9 - self.sampled(position)
    }
}

/// What came of all seeds.
struct Outcome {
    case: Case,
    /// Errors in units of the sigma that was reported with them: of the rate, and of times.
    rate: Vec<f64>,
    time: Vec<f64>,
    /// Reported sigmas of the rate, ppm, ascending.
    ppm: Vec<f64>,
    /// Errors of times, ms.
    ms: Vec<f64>,
    /// How many believe in one relation from the first frame on.
    in_one: usize,
}

impl Case {
    fn play(self, seeds: u64) -> Outcome {
        let mut outcome =
            Outcome { case: self, rate: vec![], time: vec![], ppm: vec![], ms: vec![], in_one: 0 };
        for seed in 0..seeds {
            let mut run = Run::new(self, seed);
            let line = run.until(self.seconds);
            outcome.rate.push(run.rate_error(&line) / line.rate_sigma);
            outcome.ppm.push(line.rate_sigma / line.rate * 1e6);
            outcome.in_one += usize::from(line.since == 0);
            for position in [line.position, line.position / 2].map(|position| position.max(line.since)) {
                let error = run.time_error(&line, position);
                outcome.ms.push(error * 1e3);
                outcome.time.push(error * 1e9 / line.time_sigma_of(position));
            }
        }
        outcome.ppm.sort_by(f64::total_cmp);
        outcome
    }
}

impl Outcome {
    /// Per cent of errors within three sigmas.
    fn covered(errors: &[f64]) -> f64 {
        Self::within(errors, 3.0)
    }

    fn within(errors: &[f64], most: f64) -> f64 {
        100.0 * errors.iter().filter(|error| error.abs() <= most).count() as f64 / errors.len() as f64
    }

    fn typical_ppm(&self) -> f64 {
        self.ppm[self.ppm.len() / 2]
    }

    fn report(&self) {
        let most = |errors: &[f64]| errors.iter().fold(0.0, |most: f64, error| most.max(error.abs()));
        println!(
            "figures | {} | {} seeds | rate within 3 sigma {:.1} %, at most {:.1} | sigma {:.3} ppm ({:.3} to {:.3}) \
             | times within 3 sigma {:.1} %, within 1 ms {:.1} %",
            self.case.what,
            self.rate.len(),
            Self::covered(&self.rate),
            most(&self.rate),
            self.typical_ppm(),
            self.ppm[0],
            self.ppm[self.ppm.len() - 1],
            Self::covered(&self.time),
            Self::within(&self.ms, 1.0),
        );
    }
}

/// How many seeds; `few` is for what takes long without optimisation.
fn seeds(few: u64) -> u64 {
    std::env::var("ANNULUS_CLOCK_SEEDS").map_or(few, |seeds| seeds.parse().unwrap())
}

/// A device at 1000.012 Hz, nominally 1000, gives blocks of half a second, 5 ms late or early.
#[test]
fn the_rate_of_a_device_that_gives_blocks() {
    let after = |what, seconds| Case { what, seconds, ..DEVICE }.play(seeds(300));
    let minute = after("blocks of 0.5 s, 5 ms (gauss), after 60 s", 60.0);
    let six = after("the same, after 6 min", 360.0);
    let ten = after("the same, after 10 min", 600.0);
    for outcome in [&minute, &six, &ten] {
        outcome.report();
        assert!(Outcome::covered(&outcome.rate) >= 99.0);
        assert!(Outcome::covered(&outcome.time) >= 99.0);
        assert_eq!(outcome.in_one, outcome.rate.len(), "no relation ended");
    }
    // A straight line through all 120 blocks has 26.4 ppm, if one knows that they scatter by 5 ms; here that is
    // measured, and so uncertain by a fifteenth.
    assert!(minute.typical_ppm() <= 28.0);
    assert!(Outcome::within(&minute.ppm, 30.0) >= 90.0);
    assert!(Outcome::within(&ten.ppm, 2.0) == 100.0);
    assert!(Outcome::within(&six.ms, 1.0) >= 99.0);
    // Right after the first line, of 16 points, whose scatter is not known well either.
    let first = Case { what: "the same, after 8.7 s", seconds: 8.7, ..DEVICE }.play(3000);
    first.report();
    assert!(Outcome::covered(&first.rate) >= 99.4);
    // It is not claimed to be known better, or worse, than it is.
    let rms = (minute.rate.iter().map(|error| error * error).sum::<f64>() / minute.rate.len() as f64).sqrt();
    assert!((0.8..1.2).contains(&rms), "{rms}");

    let even = Case {
        what: "blocks of 0.5 s, up to 5 ms off, after 60 s",
        seconds: 60.0,
        delay: Delay::Even(0.005),
        ..DEVICE
    };
    let even = even.play(seeds(300));
    even.report();
    assert!(Outcome::covered(&even.rate) >= 99.0);
    assert!(Outcome::within(&even.ppm, 30.0) == 100.0);
}

/// Whatever the device and its program do, the rate is as certain as it is said to be.
#[test]
fn the_rate_is_as_certain_as_it_says() {
    let single = Case { block: 1, push: 1, ..DEVICE };
    let hour = 3600.0;
    let cases = [
        Case { what: "after 15 s", seconds: 15.0, ..DEVICE },
        Case { what: "blocks pushed frame by frame", push: 1, ..DEVICE },
        Case { what: "blocks of 512, frame by frame", block: 512, push: 1, ..DEVICE },
        Case { what: "frame by frame, 0.1 ms (gauss)", delay: Delay::Gauss(1e-4), ..single },
        Case { what: "frame by frame, 5 ms (exponential)", delay: Delay::Exponential(0.005), ..single },
        Case { what: "blocks, 5 ms (exponential)", delay: Delay::Exponential(0.005), ..DEVICE },
        Case { what: "blocks, stalls of 200 ms", stalls: 5.0, ..DEVICE },
        Case {
            what: "frames, 1 ms (exponential), stalls",
            stalls: 5.0,
            delay: Delay::Exponential(0.001),
            ..single
        },
        Case { what: "no nominal rate", nominal: 0.0, ..DEVICE },
        Case { what: "no nominal rate, frame by frame", nominal: 0.0, ..single },
        Case { what: "twenty times the nominal rate", nominal: 50.0, ..DEVICE },
        Case { what: "1 Hz, an hour", rate: 1.00001, nominal: 1.0, seconds: hour, ..single },
        Case {
            what: "10 MHz, 1 ms at a time",
            rate: 1.00001e7,
            nominal: 1e7,
            block: 10_000,
            push: 10_000,
            delay: Delay::Exponential(1e-4),
            seconds: 60.0,
            ..DEVICE
        },
        Case {
            what: "10 MHz, frame by frame",
            rate: 1.00001e7,
            nominal: 1e7,
            delay: Delay::Exponential(1e-5),
            seconds: 60.0,
            ..single
        },
        Case { what: "delays in spells of 4 s", delay: Delay::Spells(0.005, 8.0), ..DEVICE },
        Case {
            what: "delays in spells of 1 s",
            block: 10,
            push: 10,
            delay: Delay::Spells(0.002, 100.0),
            seconds: 300.0,
            ..DEVICE
        },
        Case { what: "a crystal that drifts, 0.1 ppm/min", drift: 0.1, seconds: hour, ..DEVICE },
        Case { what: "the other way, frame by frame", drift: -0.1, delay: Delay::Gauss(1e-3), ..single },
        Case { what: "one that warms up, 0.3 ppm/min", drift: 0.3, ..DEVICE },
        Case { what: "no jitter", delay: Delay::None, ..DEVICE },
    ];
    for case in cases {
        let outcome =
            case.play(seeds(if case.seconds * case.rate / case.block as f64 > 50_000.0 { 1 } else { 20 }));
        outcome.report();
        // In 99 % of many seeds; one of a few may be out.
        let out = outcome.rate.iter().filter(|error| error.abs() > 3.0).count();
        assert!(out <= 1 + outcome.rate.len() / 100, "{}: {out} out of {}", case.what, outcome.rate.len());
        assert!(outcome.ppm.iter().all(|ppm| *ppm < 400.0), "{}: nothing is known", case.what);
        assert!(
            case.stalls == 0.0 || outcome.typical_ppm() < 2.0,
            "stalls count for more than that they are"
        );
    }
}

/// Times, too, where pushes are not only late, but by how much they are late on average: that is part of them.
#[test]
fn times_are_as_certain_as_they_say() {
    let cases = [
        Case { what: "blocks, stalls of 200 ms", stalls: 5.0, ..DEVICE },
        Case { what: "no nominal rate", nominal: 0.0, ..DEVICE },
        Case { what: "a crystal that drifts, an hour", drift: 0.1, seconds: 3600.0, ..DEVICE },
        Case { what: "1 Hz", rate: 1.00001, nominal: 1.0, block: 1, push: 1, ..DEVICE },
    ];
    for case in cases {
        let outcome = case.play(seeds(30));
        outcome.report();
        assert!(Outcome::covered(&outcome.time) >= 98.0, "{}", case.what);
    }
    // Of a block that is pushed frame by frame its last frame tells the time, to a thousandth of a second; also where it
    // takes a while to push, and where nobody said the rate.
    for (block, push, slow, nominal) in
        [(500, 1, 0.0, 1000.0), (512, 1, 0.0, 1000.0), (500, 50, 0.1, 1000.0), (500, 1, 0.0, 0.0)]
    {
        let case = Case {
            what: "blocks, in pieces",
            block,
            push,
            slow,
            nominal,
            delay: Delay::Gauss(0.001),
            ..DEVICE
        };
        let outcome = case.play(seeds(10));
        outcome.report();
        let most = outcome.ms.iter().fold(0.0, |most: f64, ms| most.max((ms - slow * 1e3).abs()));
        assert!(most < 1.5, "{block} by {push}: {most} ms");
    }
    // Exponential delays are 5 ms on average, so the clock is late by that.
    let late = Case { what: "blocks, 5 ms (exponential)", delay: Delay::Exponential(0.005), ..DEVICE };
    let outcome = late.play(seeds(30));
    let mean = outcome.ms.iter().sum::<f64>() / outcome.ms.len() as f64;
    assert!((4.0..6.0).contains(&mean), "{mean} ms");
}

/// Frames that the device lost, and said so, do not move times; the rate does not notice.
#[test]
fn declared_gaps_keep_the_relation() {
    for seed in 0..20 {
        let lost = [47, 4700, 1_000_000][seed as usize % 3];
        let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, seed);
        run.until(300.0);
        let at = run.position;
        run.lose(lost, true);
        run.block();
        let first = run.line.unwrap();
        let line = run.until(600.0 + lost as f64 / 1000.0);
        for line in [first, line] {
            assert_eq!(line.since, at, "it holds from behind the gap");
            assert!(run.rate_error(&line).abs() <= 4.0 * line.rate_sigma);
            let error = run.time_error(&line, at) * 1e9;
            assert!(error.abs() <= 4.0 * line.time_sigma_of(at), "{error} ns of {lost} lost");
        }
        assert!(run.time_error(&line, line.position).abs() < 0.001);
    }
    // One before the first frame, and one before there is a rate.
    let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, 1);
    run.lose(5000, true);
    run.block();
    run.pulse.skip(run.position, 0);
    let line = run.until(60.0);
    assert!(run.time_error(&line, line.position).abs() < 0.003, "{}", run.time_error(&line, line.position));
}

/// A count that cannot be: the device was switched off and on, or a packet was damaged. It does not become a rate.
#[test]
fn gaps_for_which_there_was_no_time_begin_anew() {
    for lost in [5000, 1 << 32, 1 << 62, u64::MAX] {
        for before in [0.5, 1.5, 3.0, 300.0] {
            let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, lost);
            run.until(before);
            let at = run.position;
            run.pulse.skip(at, lost / 2);
            run.pulse.skip(at, lost - lost / 2);
            run.block();
            let line = run.line.unwrap();
            assert_eq!((line.since, line.rate_sigma), (at, f64::INFINITY), "{lost} after {before} s");
            let line = run.until(before + 60.0);
            assert!(run.time_error(&line, line.position).abs() < 0.003, "{lost} after {before} s");
            assert!(
                run.rate_error(&line).abs() <= 4.0 * line.rate_sigma,
                "{lost} after {before} s: {line:?}"
            );
        }
    }
}

/// Of those that it did not tell, the clock finds out: another relation holds from there on, at the same rate.
#[test]
fn gaps_that_nobody_declared_end_the_relation() {
    for (seed, lost) in [(1, 470), (2, 4700), (3, 470), (4, 1_000_000)] {
        let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, seed);
        run.until(300.0);
        let at = run.position;
        run.lose(lost, false);
        let line = run.until(400.0 + lost as f64 / 1000.0);
        assert!((at..at + 20_000).contains(&line.since), "{} after {at}", line.since);
        assert!(run.time_error(&line, line.position).abs() < 0.003);
        assert!(run.rate_error(&line).abs() <= 4.0 * line.rate_sigma);
    }
}

/// A program that is a little slower from now on is no other relation, though it is learnt anew.
#[test]
fn another_delay_is_not_another_relation() {
    let mut run = Run::new(
        Case { rate: 10.0, nominal: 10.0, block: 1, push: 1, delay: Delay::Gauss(1e-4), ..DEVICE },
        1,
    );
    run.until(300.0);
    run.later = 0.02;
    let line = run.until(400.0);
    assert_eq!(line.since, 0);
    assert!((run.time_error(&line, line.position) - 0.02).abs() < 0.001);
    run.later = 0.0; // and faster again: that is believed sooner
    let line = run.until(402.0);
    assert_eq!(line.since, 0);
    assert!(run.time_error(&line, line.position).abs() < 0.001);
}

/// The first seconds may be anything: points that are far off are not in the first line.
#[test]
fn the_first_line_leaves_out_what_is_far_off() {
    for at in [3, 8, 14] {
        let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, at);
        for block in 0..17 {
            run.later = if block == at { 0.2 } else { 0.0 };
            run.block();
        }
        let line = run.line.unwrap();
        let ppm = line.rate_sigma / line.rate * 1e6;
        assert!(ppm < 200.0, "{ppm} ppm, with one of 16 that is late");
        assert!(run.rate_error(&line).abs() < 4.0 * line.rate_sigma);
    }
}

/// A rate is not made of less than two seconds, and not of those of one tenth of them.
#[test]
fn the_first_line_is_two_seconds_long() {
    let mut run = Run::new(Case { block: 10, push: 10, delay: Delay::Gauss(0.001), ..DEVICE }, 1);
    let line = run.until(1.9);
    assert!(line.rate_sigma.is_infinite());
    let line = run.until(3.0);
    // Sixteen points over two seconds, 1 ms off: 400 ppm.
    assert!((50.0..1000.0).contains(&(line.rate_sigma / line.rate * 1e6)), "{line:?}");
}

/// How sure a time is depends on how far it is from what was pushed: before and after, and how far crystals wander.
#[test]
fn times_far_away_are_less_certain() {
    let mut run = Run::new(DEVICE, 1);
    let line = run.until(600.0);
    let sigma = |seconds: f64| line.time_sigma_of((line.position as f64 + seconds * 1000.0) as u64);
    assert!((sigma(0.0) - line.time_sigma).abs() < 1e-3);
    assert!(sigma(-120.0) < 0.8 * sigma(0.0), "phase and period are known best in the middle");
    assert!(sigma(120.0) > 1.2 * sigma(0.0));
    let of_rate = line.rate_sigma / line.rate * 1e9 * 36_000.0;
    assert!(sigma(36_000.0) > 4.0 * of_rate, "in ten hours a crystal wanders more than that");
}

/// The first frames were sampled long before their program came to push them.
#[test]
fn a_backlog_at_the_beginning_is_forgotten() {
    for seed in 0..20 {
        let mut run = Run::new(Case { delay: Delay::Gauss(0.001), ..DEVICE }, seed);
        run.now = START + 20.0;
        let line = run.until(400.0);
        assert!(
            run.time_error(&line, line.position).abs() < 0.002,
            "{}",
            run.time_error(&line, line.position)
        );
        assert!(run.rate_error(&line).abs() <= 4.0 * line.rate_sigma);
    }
}

/// One who knows little says so: first nothing but the nominal rate, then a rate with its sigma, once.
#[test]
fn too_few_points_are_not_a_rate() {
    let mut run = Run::new(DEVICE, 1);
    for _ in 0..16 {
        run.block();
        let line = run.line.unwrap();
        assert!(line.rate == 1000.0 && line.rate_sigma.is_infinite() && line.time_sigma.is_infinite());
        assert!(line.time_sigma_of(0).is_infinite());
    }
    run.block();
    let line = run.line.unwrap();
    assert!(line.rate != 1000.0 && line.rate_sigma > 0.0 && line.rate_sigma < 1.0);

    let mut run = Run::new(Case { nominal: 0.0, ..DEVICE }, 1);
    run.block();
    assert_eq!(run.line.unwrap().rate, 0.0, "nobody knows");
}

/// A push reads the clock a hundred times a second of signal, whatever it pushes, and at most ten times that in bursts.
#[test]
fn the_clock_is_read_now_and_then() {
    for (nominal, rate, seconds) in
        [(1000.0, 1000.0, 60.0), (0.0, 1000.0, 60.0), (30e3, 30e3, 10.0), (1e6, 1e6, 5.0)]
    {
        let mut run = Run::new(Case { rate, nominal, block: 1, push: 1, delay: Delay::None, ..DEVICE }, 1);
        run.until(seconds);
        assert!(run.readings as f64 <= 120.0 * seconds + 200.0, "{} readings of {rate} Hz", run.readings);
        assert!(run.readings as f64 >= 80.0 * seconds, "{} readings of {rate} Hz", run.readings);
    }
    // Nobody said how fast: it does not take a second to find out.
    let mut run =
        Run::new(Case { rate: 5e6, nominal: 0.0, block: 1, push: 1, delay: Delay::None, ..DEVICE }, 1);
    run.until(0.5);
    assert!(run.readings < 10_000, "{} readings", run.readings);
    // As fast as it goes: a nominal 1000 Hz at 5 MHz.
    let mut run =
        Run::new(Case { rate: 5e6, nominal: 1000.0, block: 1, push: 1, delay: Delay::None, ..DEVICE }, 1);
    run.until(0.2);
    assert!(run.readings <= 1_000_000 / 100 + 1100, "{} readings", run.readings);
    run.until(2.0);
    run.readings = 0;
    run.until(3.0);
    assert!(run.readings <= 5_000_000 / 100 + 1, "{} readings", run.readings);
}

/// Without jitter there is none: fractions of a nanosecond are not lost either.
#[test]
fn nothing_is_rounded_away() {
    for rate in [1000.00001, 1000.0999] {
        let mut run = Run::new(Case { rate, block: 1, push: 1, delay: Delay::None, ..DEVICE }, 1);
        let line = run.until(600.0);
        let ppm = run.rate_error(&line) / rate * 1e6;
        assert!(ppm.abs() < 0.01, "{ppm} ppm");
    }
}

/// Positions and times lead to each other.
#[test]
fn there_and_back() {
    for rate in [0.01, 1.0, 1000.012, 1e7] {
        let line = Line {
            position: 5_000_000,
            monotonic_ns: 77_000_000_000_000,
            rate,
            rate_sigma: 1e-6,
            time_sigma: 1000.0,
            correlation: 0.0,
            since: 0,
        };
        for position in [0, 1, 4_999_999, 5_000_000, 5_000_001, 50_000_000] {
            assert_eq!(line.position_after(line.ns_to(position).into()), position, "{rate} Hz");
        }
        assert_eq!(line.position_after(i128::MIN), 0);
        assert_eq!(line.position_after(i128::MAX), i64::MAX as u64);
    }
}
