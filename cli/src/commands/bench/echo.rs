//! From push to read, frame by frame: a frame goes there, is timed, and comes back.
//!
//! A frame carries the time of the push before it, not its own: a copy would have to wait for words that were stored a
//! moment ago.

use super::line::Line;
use super::machine::Counts;
use super::peer::{Bench, Name, Peer, damaged};
use super::rounds::{Case, Round};
use super::times::Times;
use crate::failure::Failure;
use crate::stop::SLICE;
use annulus::{Frames, Observer, Producer, ReadError, Strategy, Wait, monotonic_ns};
use serde::{Deserialize, Serialize};
use std::thread;
use std::time::{Duration, Instant};

/// The number of the round, when the one before it was pushed, whether it is a run's last, and a check.
type Ball = [u64; 8];

pub(super) const BYTES: usize = size_of::<Ball>();

/// Frames in each of the two rings.
const CAPACITY: u64 = 1024;

fn ball(round: u64, before_ns: u64, last: bool) -> Ball {
    let last = u64::from(last);
    [round, before_ns, last, round, round, round, round, !(round ^ before_ns ^ last)]
}

/// When the one before it was pushed, and whether it is the last: if every word is what it must be.
fn opened(frame: &Ball, round: u64) -> Option<(u64, bool)> {
    let [_, before_ns, last, ..] = *frame;
    (*frame == ball(round, before_ns, last == 1)).then_some((before_ns, last == 1))
}

/// What one run finds out.
#[derive(Debug)]
pub(super) struct Trips {
    /// From push to read.
    pub(super) there: Times,
    /// There and back.
    pub(super) round_trips: Times,
    /// Frames that were sent, and how often the reader slept meanwhile.
    pub(super) frames: u64,
    pub(super) slept: Option<u64>,
}

/// What the other side says of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Served {
    there: Times,
    slept: Option<u64>,
    waited: Option<Duration>,
}

/// This side.
pub(super) struct Echo {
    balls: Producer<Ball>,
    answers: Observer<Ball>,
    peer: Peer,
    awake: Strategy,
    /// Each frame is held back for so long, so that the other side is asleep when it comes. That is not counted.
    pause: Duration,
    round: u64,
    _names: [Name; 2],
}

impl Echo {
    pub(super) fn new(
        bench: &Bench,
        part: &str,
        strategy: Strategy,
        pause: Duration,
    ) -> Result<Self, Failure> {
        let (there, back) = (bench.name(&format!("{part}-there")), bench.name(&format!("{part}-back")));
        let names = [&there, &back].map(|name| bench.names.own(name));
        let balls = bench.names.create(&there).capacity(CAPACITY).producer()?;
        let peer = bench.start(0, &["echo", &there, &back, &strategy.to_string()])?;
        let answers = bench.names.open(&back).observer()?;
        Ok(Self { balls, answers, peer, awake: bench.awake(), pause, round: 0, _names: names })
    }

    /// Waits for the answer with that number.
    fn caught(&mut self) -> Result<(), Failure> {
        let wait = Wait::new().strategy(self.awake).timeout(SLICE);
        let mut frame = [Ball::default()];
        loop {
            match self.answers.read(&mut frame, wait) {
                Ok(Frames { frames: 1, lost_before: 0, .. }) if opened(&frame[0], self.round).is_some() => {
                    return Ok(());
                }
                Ok(_) => return Err(damaged(self.round)),
                Err(ReadError::Timeout) => self.peer.look()?,
                Err(_) => return Err(self.peer.failure()),
            }
        }
    }
}

impl Case<Trips> for Echo {
    fn run(&mut self, length: Duration) -> Result<Round<Trips>, Failure> {
        self.peer.ask(0)?;
        let (counts, start, first) = (Counts::now(), Instant::now(), self.round);
        let until = monotonic_ns() + length.as_nanos() as u64;
        let mut round_trips = Times::new();
        let (mut before_ns, mut last) = (0, false);
        loop {
            let next = [ball(self.round, before_ns, last)];
            hold(self.pause);
            let pushed_ns = monotonic_ns();
            self.balls.push(&next).map_err(|error| Failure::Failed(error.to_string()))?;
            self.caught()?;
            let back_ns = monotonic_ns();
            round_trips.add(back_ns - pushed_ns);
            self.round += 1;
            if last {
                break;
            }
            (before_ns, last) = (pushed_ns, back_ns >= until || self.peer.stopped());
        }
        let (took, waited) = (start.elapsed(), counts.waited());
        let Served { there, slept, waited: peer_waited } = self.peer.answer()?;
        let waited =
            waited.zip(peer_waited).map(|(own, its)| own.max(its).as_secs_f64() / took.as_secs_f64());
        Ok(Round { figures: Trips { there, round_trips, frames: self.round - first, slept }, waited })
    }
}

/// Lets a time pass without sleeping.
fn hold(pause: Duration) {
    if pause.is_zero() {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < pause {
        thread::yield_now();
    }
}

/// The other side: reads as `strategy` says, and answers.
pub(super) fn serve(line: &Line, there: &str, back: &str, strategy: Strategy) -> Result<(), Failure> {
    let mut balls: Observer<Ball> = line.names.open(there).observer()?;
    let mut answers: Producer<Ball> = line.names.create(back).capacity(CAPACITY).producer()?;
    let wait = Wait::new().strategy(strategy).timeout(SLICE);
    let mut round = 0;
    line.say(&())?;
    while line.request().is_some() {
        line.say(&())?;
        let counts = Counts::now();
        let (mut there, mut before) = (Times::new(), None);
        let mut last = false;
        while !last {
            let mut frame = [Ball::default()];
            let frames = match balls.read(&mut frame, wait) {
                Ok(frames) => frames,
                Err(ReadError::Timeout) if !line.over() => continue,
                Err(_) => return Ok(()), // nobody is left who would want to know
            };
            let now = monotonic_ns();
            let pushed_ns = match opened(&frame[0], round) {
                Some((pushed_ns, is_last)) if frames.lost_before == 0 => {
                    last = is_last;
                    pushed_ns
                }
                _ => return Err(damaged(frames.first_position)),
            };
            answers.push(&[ball(round, 0, false)]).map_err(|error| Failure::Failed(error.to_string()))?;
            if let Some(read_ns) = before.replace(now) {
                there.add(read_ns - pushed_ns);
            }
            round += 1;
        }
        let (slept, waited) = (counts.slept(), counts.waited());
        line.say(&Served { there, slept, waited })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_frame_is_noticed_whichever_word_it_is() {
        let whole = ball(7, 1234, true);
        assert_eq!(opened(&whole, 7), Some((1234, true)));
        assert_eq!(opened(&whole, 8), None, "another frame");
        for word in 0..whole.len() {
            let mut torn = whole;
            torn[word] ^= 1 << 40;
            assert_eq!(opened(&torn, 7), None, "word {word}");
        }
    }
}
