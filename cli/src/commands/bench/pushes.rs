//! What a push costs an acquisition, by how many processes watch it. It never waits for them: whoever is too slow loses
//! frames, which is told.

use super::line::Line;
use super::machine::Counts;
use super::peer::{Bench, Name, Peer, damaged};
use super::rounds::{Case, Round};
use super::times::Times;
use crate::failure::Failure;
use crate::stop::SLICE;
use annulus::{Observer, Producer, PushError, ReadError, Wait, monotonic_ns};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How many processes watch.
pub(super) const READERS: [usize; 4] = [0, 1, 4, 8];

type Frame = [u64; 32];

pub(super) const BYTES: usize = size_of::<Frame>();

/// Frames in the ring: a megabyte.
const CAPACITY: u64 = 4096;

/// How many different frames there are. No divisor of a power of two: what was there a lap ago is another frame.
const DIFFERENT: usize = 61;

/// The frames of the first run, from which the others are reckoned.
const FIRST: u64 = 20_000;

/// Of so many pushes one is timed by itself.
const TIMED: u64 = 4;

/// Every word of every frame differs from all others.
fn frames() -> Vec<Frame> {
    let frame = |number: usize| std::array::from_fn(|word| (number << 32 | word) as u64);
    (0..DIFFERENT).map(frame).collect()
}

/// The frame after that.
#[inline]
fn next(number: usize) -> usize {
    if number + 1 == DIFFERENT { 0 } else { number + 1 }
}

/// The frame at that position.
fn number(position: u64) -> usize {
    (position % DIFFERENT as u64) as usize
}

/// One producer, and all who may watch it.
pub(super) struct Stage {
    producer: Producer<Frame>,
    frames: Vec<Frame>,
    peers: Vec<Peer>,
    _name: Name,
}

impl Stage {
    pub(super) fn new(bench: &Bench) -> Result<Self, Failure> {
        let name = bench.name("pushes");
        let own = bench.names.own(&name);
        let producer = bench.names.create(&name).capacity(CAPACITY).producer()?;
        let most = READERS.into_iter().max().unwrap_or(0);
        let peers =
            (0..most).map(|number| bench.start(number, &["watch", &name])).collect::<Result<_, _>>()?;
        Ok(Self { producer, frames: frames(), peers, _name: own })
    }
}

/// What one run finds out.
#[derive(Debug)]
pub(super) struct Cost {
    /// Of a push, over many that were not timed one by one.
    pub(super) mean_ns: f64,
    /// Of each of others.
    pub(super) each: Times,
    /// Frames that were pushed before the eyes of each reader.
    pub(super) pushed: u64,
    pub(super) seen: Seen,
}

/// What readers say of a run, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) read: u64,
    pub(super) lost: u64,
}

/// So many watch.
pub(super) struct Watched<'a> {
    pub(super) stage: &'a RefCell<Stage>,
    pub(super) readers: usize,
    rate: Option<f64>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(stage: &'a RefCell<Stage>, readers: usize) -> Self {
        Self { stage, readers, rate: None }
    }
}

impl Case<Cost> for Watched<'_> {
    fn run(&mut self, length: Duration) -> Result<Round<Cost>, Failure> {
        let Stage { producer, frames, peers, .. } = &mut *self.stage.borrow_mut();
        let all = self.rate.map_or(FIRST, |rate| (rate * length.as_secs_f64()) as u64).max(TIMED);
        let (timed, untimed) = (all / TIMED, all - all / TIMED);
        let start_at = producer.position();
        let peers = &mut peers[..self.readers];
        for peer in peers.iter_mut() {
            peer.look()?;
            peer.ask(start_at + all)?;
        }
        let refused = |error: PushError| Failure::Failed(error.to_string());
        let mut at = number(start_at);
        let (counts, start) = (Counts::now(), Instant::now());
        for _ in 0..untimed {
            producer.push(&frames[at..=at]).map_err(refused)?;
            at = next(at);
        }
        let mean_ns = start.elapsed().as_nanos() as f64 / untimed as f64;
        let mut each = Times::new();
        for _ in 0..timed {
            let before = monotonic_ns();
            producer.push(&frames[at..=at]).map_err(refused)?;
            each.add(monotonic_ns() - before);
            at = next(at);
        }
        let (took, waited) = (start.elapsed().as_secs_f64(), counts.waited());
        self.rate = Some(all as f64 / took);
        let mut seen = Seen::default();
        for peer in peers {
            let Seen { read, lost } = peer.answer()?;
            if read + lost != all {
                return Err(Failure::Failed(format!(
                    "{all} frames were pushed, and a reader says that it read {read} and lost {lost}"
                )));
            }
            seen = Seen { read: seen.read + read, lost: seen.lost + lost };
        }
        let waited = waited.map(|waited| waited.as_secs_f64() / took);
        Ok(Round { figures: Cost { mean_ns, each, pushed: all, seen }, waited })
    }
}

/// The other side: attaches for a run, watches up to the position that it is told, and leaves.
pub(super) fn serve(line: &Line, name: &str) -> Result<(), Failure> {
    line.say(&())?;
    while let Some(end) = line.request() {
        let observer = line.names.open(name).observer()?;
        line.say(&())?;
        let Some(seen) = watch(line, observer, end)? else { break };
        line.say(&seen)?;
    }
    Ok(())
}

fn watch(line: &Line, mut observer: Observer<Frame>, end: u64) -> Result<Option<Seen>, Failure> {
    let wait = Wait::new().timeout(SLICE);
    let wanted = frames();
    let mut block = vec![[0; 32]; 64];
    let mut seen = Seen::default();
    while observer.position() < end {
        let read = match observer.read(&mut block, wait) {
            Ok(read) => read,
            Err(ReadError::Timeout) if !line.over() => continue,
            Err(ReadError::Lapped { lost }) => {
                seen.lost += lost;
                continue;
            }
            Err(_) => return Ok(None), // nobody is left who would want to know
        };
        seen.lost += read.lost_before;
        seen.read += read.frames as u64;
        let mut at = number(read.first_position);
        for (position, frame) in (read.first_position..).zip(&block[..read.frames]) {
            if *frame != wanted[at] {
                return Err(damaged(position));
            }
            at = next(at);
        }
    }
    Ok(Some(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_another_lap_is_another_frame() {
        let frames = frames();
        for position in 0..DIFFERENT as u64 {
            assert_ne!(frames[number(position)], frames[number(position + CAPACITY)]);
            assert_eq!(next(number(position)), number(position + 1));
        }
    }
}
