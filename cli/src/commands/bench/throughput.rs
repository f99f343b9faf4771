//! Frames and bytes a second through an spsc ring, in which nothing may be lost. The producer makes every word of every
//! frame, and the reader looks at every one; both is part of the time.

use super::line::Line;
use super::machine::Counts;
use super::peer::{self, Bench, Name, Peer, damaged};
use super::rounds::{Case, Round};
use crate::failure::Failure;
use annulus::bytemuck::Pod;
use annulus::{Consumer, Kind, Producer, PushError, ReadError};
use std::time::{Duration, Instant};

/// Bytes of a frame, and how many are pushed and read at once.
pub(super) const CASES: [(usize, usize); 10] =
    [(8, 1), (8, 64), (64, 1), (64, 64), (256, 1), (256, 64), (4096, 1), (4096, 16), (16384, 1), (16384, 4)];

/// Bytes of a ring, so that it stays in the processor's cache.
const RING: usize = 1 << 20;

/// Frames of the first run, from which the others are reckoned, if they are no more than so many bytes.
const FIRST: (usize, usize) = (4096, 4 << 20);

pub(super) fn case<'a>(
    bench: &Bench,
    (bytes, block): (usize, usize),
) -> Result<Box<dyn Case<Rate> + 'a>, Failure> {
    Ok(match bytes {
        8 => Box::new(Flow::<1>::new(bench, block)?),
        64 => Box::new(Flow::<8>::new(bench, block)?),
        256 => Box::new(Flow::<32>::new(bench, block)?),
        4096 => Box::new(Flow::<512>::new(bench, block)?),
        16384 => Box::new(Flow::<2048>::new(bench, block)?),
        _ => return Err(unknown(bytes)),
    })
}

/// The other side: takes as many frames as it is told, and looks at them.
pub(super) fn serve(line: &Line, name: &str, bytes: usize, block: usize) -> Result<(), Failure> {
    match bytes {
        8 => take::<1>(line, name, block),
        64 => take::<8>(line, name, block),
        256 => take::<32>(line, name, block),
        4096 => take::<512>(line, name, block),
        16384 => take::<2048>(line, name, block),
        _ => Err(unknown(bytes)),
    }
}

fn unknown(bytes: usize) -> Failure {
    Failure::Usage(format!("frames of {bytes} bytes are not measured"))
}

/// Frames a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate(pub(super) f64);

struct Flow<const N: usize> {
    producer: Producer<[u64; N]>,
    peer: Peer,
    block: Vec<[u64; N]>,
    /// Frames a second, as far as it is known.
    rate: Option<f64>,
    _name: Name,
}

impl<const N: usize> Flow<N>
where
    [u64; N]: Pod,
{
    const BYTES: usize = size_of::<[u64; N]>();

    fn new(bench: &Bench, block: usize) -> Result<Self, Failure> {
        let name = bench.name(&format!("flow-{}-{block}", Self::BYTES));
        let own = bench.names.own(&name);
        let ring = bench.names.create(&name).kind(Kind::Spsc).capacity((RING / Self::BYTES) as u64);
        let producer = ring.producer()?;
        let peer = bench.start(0, &["take", &name, &Self::BYTES.to_string(), &block.to_string()])?;
        Ok(Self { producer, peer, block: vec![[0; N]; block], rate: None, _name: own })
    }

    #[inline]
    fn push(&mut self) -> Result<(), Failure> {
        if self.peer.stopped() {
            return Err(peer::interrupted());
        }
        fill(&mut self.block, self.producer.position());
        self.peer.poll(|| match self.producer.push(&self.block) {
            Ok(()) => Some(Ok(())),
            Err(PushError::Full) => None,
            Err(error) => Some(Err(Failure::Failed(error.to_string()))),
        })
    }
}

impl<const N: usize> Case<Rate> for Flow<N>
where
    [u64; N]: Pod,
{
    fn run(&mut self, length: Duration) -> Result<Round<Rate>, Failure> {
        let first = FIRST.0.min(FIRST.1 / Self::BYTES);
        let frames = self.rate.map_or(first, |rate| (rate * length.as_secs_f64()) as usize);
        let blocks = frames.div_ceil(self.block.len()).max(1);
        self.peer.ask((blocks * self.block.len()) as u64)?;
        let (counts, start) = (Counts::now(), Instant::now());
        for _ in 0..blocks {
            self.push()?;
        }
        self.peer.poll(|| (self.producer.pending() == 0).then_some(Ok(())))?;
        let (took, waited) = (start.elapsed().as_secs_f64(), counts.waited());
        let peer_waited: Option<Duration> = self.peer.answer()?;
        let rate = (blocks * self.block.len()) as f64 / took;
        self.rate = Some(rate);
        let waited = waited.zip(peer_waited).map(|(own, its)| own.max(its).as_secs_f64() / took);
        Ok(Round { figures: Rate(rate), waited })
    }
}

fn take<const N: usize>(line: &Line, name: &str, block: usize) -> Result<(), Failure>
where
    [u64; N]: Pod,
{
    let mut consumer: Consumer<[u64; N]> = line.names.open(name).consumer()?;
    let mut block = vec![[0; N]; block];
    let mut position = 0;
    line.say(&())?;
    while let Some(frames) = line.request() {
        line.say(&())?;
        let (counts, end) = (Counts::now(), position + frames);
        while position < end {
            let mut step = || match consumer.try_read(&mut block) {
                Ok(read) if read.first_position == position && read.lost_before == 0 => {
                    Some(Ok(Some(read.frames)))
                }
                Ok(read) => Some(Err(damaged(read.first_position))),
                Err(ReadError::Empty) if line.over() => Some(Ok(None)),
                Err(ReadError::Empty) => None,
                Err(_) => Some(Ok(None)), // nobody is left who would want to know
            };
            let Some(read) = peer::poll(&mut step, || Ok(()))? else { return Ok(()) };
            if !is_right(&block[..read], position) {
                return Err(damaged(position));
            }
            position += read as u64;
        }
        consumer.release();
        line.say(&counts.waited())?;
    }
    Ok(())
}

/// Frames that hold their position in every word.
#[inline]
fn fill<const N: usize>(frames: &mut [[u64; N]], first: u64) {
    for (position, frame) in (first..).zip(frames) {
        *frame = [position; N];
    }
}

/// Looks at every word.
#[inline]
fn is_right<const N: usize>(frames: &[[u64; N]], first: u64) -> bool {
    let mut wrong = 0;
    for (position, frame) in (first..).zip(frames) {
        for word in frame {
            wrong |= word ^ position;
        }
    }
    wrong == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_wrong_word_is_noticed() {
        let mut frames = [[0_u64; 32]; 3];
        fill(&mut frames, 1000);
        assert!(is_right(&frames, 1000) && !is_right(&frames, 1001));
        for frame in 0..3 {
            for word in 0..32 {
                let mut torn = frames;
                torn[frame][word] ^= 1;
                assert!(!is_right(&torn, 1000), "frame {frame}, word {word}");
            }
        }
    }
}
