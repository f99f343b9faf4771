//! Round trips: a counter goes there in one stream and comes back in another.

use super::machine::voluntary_switches;
use super::peer::{Line, Peer, Place, Serve};
use super::{Names, Reader, back, kind_of, there};
use annulus::bytemuck::Zeroable;
use annulus::{Kind, Producer, Strategy, monotonic_ns};
use std::time::{Duration, Instant};

/// 64 bytes: the number of the round, when it was sent, how long it was held back on purpose, and a check.
type Ball = [u64; 8];

/// Frames in each of the two rings.
const CAPACITY: u64 = 1024;

fn ball(round: u64, sent_ns: u64, held_ns: u64) -> Ball {
    [round, sent_ns, held_ns, 0, 0, 0, 0, !(round ^ sent_ns ^ held_ns)]
}

fn opened(ball: &Ball) -> [u64; 3] {
    let [round, sent_ns, held_ns, .., check] = *ball;
    assert_eq!(check, !(round ^ sent_ns ^ held_ns), "a torn frame");
    [round, sent_ns, held_ns]
}

/// Lets a time pass without sleeping, and says how long it was.
pub(crate) fn hold(pause: Duration) -> Duration {
    let start = Instant::now();
    while start.elapsed() < pause {
        std::thread::yield_now();
    }
    start.elapsed()
}

fn pushing(name: &str, kind: Kind) -> Producer<Ball> {
    annulus::create(name).kind(kind).capacity(CAPACITY).producer().expect("a producer")
}

fn caught(reader: &mut Reader<Ball>, strategy: Strategy) -> [u64; 3] {
    let mut frame = [Ball::zeroed()];
    let read = reader.read(&mut frame, strategy).expect("the ball");
    assert_eq!((read.frames, read.lost_before), (1, 0));
    opened(&frame[0])
}

/// The job `echo KIND STRATEGY HOLD NAME`: each ball is held for so many microseconds. Answers each run with
/// rounds, voluntary switches of its own, and the one-way times so far: median, 99 and 99.9 in a hundred,
/// largest, in ns.
pub(crate) fn serve(kind: &str, strategy: &str, pause: &str, name: &str, mut line: Line<'_>) {
    let pause = Duration::from_micros(pause.parse().expect("microseconds"));
    let (kind, strategy) = (kind_of(kind), strategy.parse::<Strategy>().expect("a strategy"));
    let mut balls = Reader::open(&there(name), kind);
    let mut answers = pushing(&back(name), kind);
    let mut times = Times::default();
    let mut round = 0;
    line.say(&[]);
    while let Some(rounds) = line.request() {
        let before = voluntary_switches();
        line.say(&[]);
        for _ in 0..rounds {
            let [number, sent_ns, _] = caught(&mut balls, strategy);
            let now = monotonic_ns();
            assert_eq!(number, round);
            let held_ns = if pause.is_zero() { 0 } else { hold(pause).as_nanos() as u64 };
            answers.push(&[ball(round, now, held_ns)]).expect("space for one");
            times.add(now.saturating_sub(sent_ns));
            round += 1;
        }
        let slept = voluntary_switches() - before;
        line.say(&[rounds, slept, times.at(0.5), times.at(0.99), times.at(0.999), times.at(1.0)]);
    }
}

/// This side of it.
pub(crate) struct Echo {
    balls: Producer<Ball>,
    answers: Reader<Ball>,
    peer: Peer,
    strategy: Strategy,
    pause: Duration,
    round: u64,
    pub(crate) slept: u64,
    pub(crate) peer_slept: u64,
    pub(crate) one_way: [u64; 4],
    _names: Names,
}

impl Echo {
    /// Both sides hold each ball for `pause`, which is not counted: so the other is asleep when it comes.
    pub(crate) fn new(kind: &str, strategy: Strategy, pause: Duration, bench: Serve) -> Self {
        let names = Names::new();
        let balls = pushing(&names.there(), kind_of(kind));
        let peer = Peer::start(
            Place::Process,
            format!("echo {kind} {strategy} {} {names}", pause.as_micros()),
            bench,
        );
        let answers = Reader::open(&names.back(), kind_of(kind));
        let (round, slept, peer_slept, one_way) = (0, 0, 0, [0; 4]);
        Self { balls, answers, peer, strategy, pause, round, slept, peer_slept, one_way, _names: names }
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.round
    }

    pub(crate) fn run(&mut self, rounds: u64) -> Duration {
        self.peer.ask(rounds);
        let before = voluntary_switches();
        let took = if self.pause.is_zero() {
            let start = Instant::now();
            for _ in 0..rounds {
                self.trip();
            }
            start.elapsed()
        } else {
            (0..rounds)
                .map(|_| {
                    hold(self.pause);
                    let start = Instant::now();
                    let held = self.trip();
                    start.elapsed().saturating_sub(held)
                })
                .sum()
        };
        self.slept += voluntary_switches() - before;
        let found = self.peer.answer();
        assert_eq!(found[0], rounds);
        self.peer_slept += found[1];
        self.one_way.copy_from_slice(&found[2..]);
        took
    }

    /// One round trip; how long the other side held it.
    #[inline]
    fn trip(&mut self) -> Duration {
        self.balls.push(&[ball(self.round, monotonic_ns(), 0)]).expect("space for one");
        let [number, _, held_ns] = caught(&mut self.answers, self.strategy);
        assert_eq!(number, self.round);
        self.round += 1;
        Duration::from_nanos(held_ns)
    }
}

/// How often each time was seen, in ns; exact.
struct Times {
    short: Vec<u64>,
    long: Vec<u64>,
    count: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { short: vec![0; 1 << 16], long: Vec::new(), count: 0 }
    }
}

impl Times {
    fn add(&mut self, ns: u64) {
        self.count += 1;
        match self.short.get_mut(ns as usize) {
            Some(seen) => *seen += 1,
            None => self.long.push(ns),
        }
    }

    /// The smallest time that `share` of all do not exceed.
    fn at(&mut self, share: f64) -> u64 {
        let mut left = (self.count as f64 * share).ceil() as u64;
        for (ns, seen) in self.short.iter().enumerate() {
            if *seen >= left {
                return ns as u64;
            }
            left -= seen;
        }
        self.long.sort_unstable();
        self.long[left as usize - 1]
    }
}
