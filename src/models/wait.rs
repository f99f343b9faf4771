//! Sleeping and waking: no sleeper is left behind. A futex is a condition variable keyed on the sequence, time
//! stands still, and slices never end: a wake-up that is lost is a deadlock, which loom reports.

use super::{Model, Mutant, Seen};
use crate::lane::{self, Exclusive, Writer};
use crate::layout::{NONE, RETIRED};
use crate::ring::broadcast::Observer;
use crate::ring::set::{Any, Waiter};
use crate::ring::spsc::Consumer;
use crate::ring::{Death, Peers, Producer, PushError, ReadError};
use crate::segment::Lane;
use crate::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, EventWord};
use crate::wait::{self, Event, Fences, Strategy, Wait, Words};
use core::time::Duration;
use loom::thread;
use std::sync::Arc;

/// Something that is pushed to and waited for, without frames.
struct Counter {
    reached: AtomicU64,
    armed: Arc<AtomicU64>,
    seq: EventWord,
}

impl Counter {
    fn new() -> Arc<Self> {
        Self::armed_at(Arc::new(AtomicU64::new(NONE)))
    }

    fn armed_at(armed: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { reached: AtomicU64::new(0), armed, seq: EventWord::new(0) })
    }

    fn event(&self) -> Event<'_> {
        Event { armed: &self.armed, seq: &self.seq }
    }

    fn push(&self, reached: u64) {
        self.reached.store(reached, Release);
        self.event().notify(reached, Fences::register());
    }

    fn await_reached(&self, target: u64, seen: &Seen) {
        let mut looks = 0;
        let look = || {
            looks += 1;
            (self.reached.load(Relaxed) >= target).then_some(())
        };
        self.event().wait(target, None, Strategy::Block, None, look, || None);
        seen.saw(match looks {
            1 => "there at once",
            2 => "there after arming",
            3 => "woken",
            _ => "woken, and armed again",
        });
    }
}

/// Three pushes, and one who waits for each.
#[test]
fn one_sleeper() {
    let model = Model::new("wait::one_sleeper").preemptions(4).explore(|seen| {
        let counter = Counter::new();
        let pushing = Arc::clone(&counter);
        let producer = thread::spawn(move || (1..=3).for_each(|reached| pushing.push(reached)));
        let seen = seen.clone();
        let sleeper = thread::spawn(move || (1..=3).for_each(|target| counter.await_reached(target, &seen)));
        producer.join().unwrap();
        sleeper.join().unwrap();
    });
    model.reached(&["there after arming", "there at once", "woken", "woken, and armed again"]);
}

/// Two who wait for different targets: neither disarms the other. In the second exploration the producer goes on
/// only when the first has what it waited for, so that a later push cannot wake it instead.
#[test]
fn two_sleepers() {
    let mut model = Model::new("wait::two_sleepers").preemptions(3);
    for patient in [false, true] {
        model = model.explore(move |seen| {
            let counter = Counter::new();
            let [first, second] = [1, 2].map(|target| {
                let (counter, seen) = (Arc::clone(&counter), seen.clone());
                thread::spawn(move || counter.await_reached(target, &seen))
            });
            let producer = thread::spawn(move || {
                counter.push(1);
                if patient {
                    first.join().unwrap();
                    counter.push(2);
                } else {
                    counter.push(2);
                    first.join().unwrap();
                }
            });
            producer.join().unwrap();
            second.join().unwrap();
        });
    }
    model.reached(&["there after arming", "there at once", "woken", "woken, and armed again"]);
}

/// One of two streams, as one who waits for both sees it.
struct Stream {
    counter: Arc<Counter>,
    target: u64,
}

impl Waiter for Stream {
    fn look(&mut self) -> bool {
        self.counter.reached.load(Relaxed) >= self.target
    }

    fn each_slice(&mut self) -> bool {
        false
    }

    fn has_some(&self) -> bool {
        false
    }

    fn arm(&mut self, words: &mut Words) {
        words.arm(self.counter.event(), self.target, None, Duration::ZERO);
    }
}

/// Two streams, each with a sequence and an armed word of its own, and one who sleeps on both: neither push is
/// missed, and a stream is ready when it is due, not when the other is.
#[test]
fn two_streams() {
    let model = Model::new("wait::two_streams").preemptions(3).explore(|seen| {
        let first = Counter::new();
        let shared = Arc::clone(&first.armed);
        let second = if Mutant::OwnArmed.holds() { Counter::new() } else { Counter::armed_at(shared) };
        let counters = [first, second];
        let producers = counters.clone().map(|counter| thread::spawn(move || counter.push(1)));
        let seen = seen.clone();
        let sleeper = thread::spawn(move || {
            let mut streams = counters.map(|counter| Stream { counter, target: 1 });
            let (mut words, mut ready) = (Words::default(), Vec::new());
            let mut left = 2;
            while left > 0 {
                let show = |stream: &mut Stream, to: &mut dyn FnMut(&mut dyn Waiter)| to(stream);
                let mut any = Any { items: &mut streams, show, words: &mut words, ready: &mut ready };
                wait::wait(&mut any, Strategy::Block, None).unwrap();
                seen.saw(match ready[..] {
                    [0] => "the first",
                    [1] => "the second",
                    [0, 1] => "both at once",
                    _ => unreachable!("neither"),
                });
                for &index in &ready {
                    assert_eq!(streams[index].counter.reached.load(Relaxed), streams[index].target);
                    streams[index].target = 2; // which never comes
                    left -= 1;
                }
            }
        });
        for producer in producers {
            producer.join().unwrap();
        }
        sleeper.join().unwrap();
    });
    model.reached(&["both at once", "the first", "the second"]);
}

/// A lane whose frames are one word: their position.
pub(super) fn ring(capacity: u64, head: u64, tail: u64) -> Lane {
    Lane::begun(capacity, 1, head, tail, |position, _| position)
}

pub(super) fn frames(positions: core::ops::Range<u64>) -> Vec<u8> {
    positions.flat_map(u64::to_le_bytes).collect()
}

pub(super) fn producer(lane: &Lane, gated: bool) -> Producer {
    Producer::new(Writer::take_over(lane.again(), gated, false).unwrap(), Fences::register())
}

fn consumer(lane: &Lane) -> Consumer {
    Consumer::new(Exclusive::attach(lane.again()).unwrap(), Fences::register())
}

/// Nobody dies.
#[derive(Debug)]
pub(super) struct Immortal;

impl Peers for Immortal {
    fn death(&self, _: u32) -> Option<Death> {
        None
    }
}

/// Waits for `wanted` frames and takes what there is then.
fn take(consumer: &mut Consumer, wanted: u64, most: u64) -> Result<u64, ReadError> {
    let wait = Wait::new().frames(wanted).strategy(Strategy::Block);
    let first = consumer.cursor().position();
    let frames = consumer.await_frames(most, wait, &Immortal)?;
    let mut out = vec![0; frames as usize * 8];
    let taken = consumer.take_into(&mut out, frames);
    assert_eq!(taken.first_position, first);
    assert_eq!(out, self::frames(first..first + frames), "other frames' bytes");
    Ok(frames)
}

/// A consumer that gives space back lazily, and a producer that waits for it: neither waits for ever.
#[test]
fn space() {
    let model = Model::new("wait::space").preemptions(2).explore(|seen| {
        let lane = ring(2, 0, 1);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let waits = lane.again();
        let producer = thread::spawn(move || {
            for position in 1..4 {
                let wait = Wait::new().strategy(Strategy::Block);
                pushing.push_wait(&frames(position..position + 1), 1, wait, &Immortal).unwrap();
            }
            assert_eq!(waits.space().armed.load(Relaxed), NONE, "a wait that is over leaves its arm");
        });
        let consumer = thread::spawn(move || {
            while taking.cursor().position() < 4 {
                take(&mut taking, 1, 1).unwrap();
            }
        });
        producer.join().unwrap();
        consumer.join().unwrap();
        let woken = lane.space().seq.value(Relaxed) > 0;
        seen.saw(if woken { "the producer waited" } else { "the producer never waited" });
    });
    model.reached(&["the producer never waited", "the producer waited"]);
}

/// A producer pushes batches that do not fit, a consumer waits for more than is there: it gets less.
#[test]
fn batches() {
    let model = Model::new("wait::batches").preemptions(3).explore(|seen| {
        let lane = ring(4, 0, 3);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push_wait(&frames(3..5), 2, wait, &Immortal).unwrap();
        });
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            while taking.cursor().position() < 5 {
                let wanted = (5 - taking.cursor().position()).min(4);
                let taken = take(&mut taking, wanted, 4).unwrap();
                seen.saw(if taken < wanted { "less than it waited for" } else { "all that it waited for" });
            }
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["all that it waited for", "less than it waited for"]);
}

/// As `batches`, where a former wait of the producer's left its arm (`space` shows that it may): a consumer that
/// takes a little sweeps it away, and must not then go to sleep beside a producer that waits for more.
#[test]
fn again() {
    let model = Model::new("wait::again").preemptions(3).explore(|seen| {
        let lane = ring(4, 1, 5);
        lane.space().armed.store(1, Relaxed);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push_wait(&frames(5..7), 2, wait, &Immortal).unwrap();
        });
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            take(&mut taking, 1, 1).unwrap();
            let taken = take(&mut taking, 4, 4).unwrap();
            assert_eq!(taken, 3, "the others do not fit before these are given back");
            seen.saw("less than it waited for");
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["less than it waited for"]);
}

/// As `batches`, with a producer that does not wait but tries again: it says that it wants space, too.
#[test]
fn polled() {
    let model = Model::new("wait::polled").explore(|seen| {
        let lane = ring(4, 0, 3);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let consumer = thread::spawn(move || {
            assert_eq!(take(&mut taking, 4, 4), Ok(3), "nobody else pushes");
            taking
        });
        let seen = seen.clone();
        let producer = thread::spawn(move || {
            assert_eq!(pushing.push(&frames(3..5), 2, &Immortal), Err(PushError::Full));
            // It would try again for ever; here it does when something has changed.
            let mut taking = consumer.join().unwrap();
            pushing.push(&frames(3..5), 2, &Immortal).unwrap();
            assert_eq!(take(&mut taking, 2, 2), Ok(2));
            seen.saw("space");
        });
        producer.join().unwrap();
    });
    model.reached(&["space"]);
}

/// A producer waits until all is taken, beside a consumer that waits for more than there is.
#[test]
fn drained() {
    let model = Model::new("wait::drained").preemptions(3).explore(|seen| {
        let lane = ring(4, 0, 0);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push(&frames(0..1), 1, &Immortal).unwrap();
            assert_eq!(pushing.drain(wait, &Immortal), Ok(()));
            pushing.finish();
        });
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            assert_eq!(take(&mut taking, 2, 2), Ok(1));
            assert_eq!(take(&mut taking, 2, 2), Err(ReadError::Ended { position: 1 }));
            seen.saw("drained");
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["drained"]);
}

/// The last frame, then the end: one who waits for more than that learns of it, and loses nothing.
#[test]
fn finish() {
    let model = Model::new("wait::finish").explore(|seen| {
        let lane = ring(2, 0, 0);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let producer = thread::spawn(move || {
            // Not notified: where the kernel fences, a notification carries nothing to a reader that is awake.
            pushing.writer().write(&frames(0..1), 1).unwrap();
            pushing.finish();
        });
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            assert_eq!(take(&mut taking, 2, 2), Ok(1), "the last frame is lost");
            assert_eq!(take(&mut taking, 2, 2), Err(ReadError::Ended { position: 1 }));
            seen.saw("ended");
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["ended"]);
}

/// As `finish`, with a name that is taken away from a stream whose producer left.
#[test]
fn retired() {
    let model = Model::new("wait::retired").explore(|seen| {
        let lane = ring(2, 0, 0);
        let mut pushing = producer(&lane, true);
        let mut taking = consumer(&lane);
        let producer = thread::spawn(move || {
            pushing.push(&frames(0..1), 1, &Immortal).unwrap();
            lane.state().store(RETIRED, SeqCst);
            Event { armed: lane.armed(), seq: lane.data_event() }.kick();
        });
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            assert_eq!(take(&mut taking, 2, 2), Ok(1), "the last frame is lost");
            assert_eq!(take(&mut taking, 2, 2), Err(ReadError::Replaced));
            seen.saw("replaced");
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["replaced"]);
}

/// A producer that dies, and whose seat shows it.
#[derive(Debug)]
struct Seat(Arc<AtomicU64>);

impl Peers for Seat {
    fn death(&self, _: u32) -> Option<Death> {
        (self.0.load(Acquire) == 0).then_some(Death { pid: 1, epoch: 1 })
    }
}

/// A producer publishes a frame and dies: the frame first, then the verdict.
#[test]
fn gone() {
    let model = Model::new("wait::gone").explore(|seen| {
        let lane = ring(2, 0, 0);
        let mut pushing = producer(&lane, false);
        let mut observer = Observer::new(lane::Observer::attach(lane, 0));
        let seat = Arc::new(AtomicU64::new(1));
        let left = Arc::clone(&seat);
        let producer = thread::spawn(move || {
            pushing.push(&frames(0..1), 1, &Immortal).unwrap();
            left.store(0, Release); // the kernel unlocks it
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let wait = Wait::new().timeout(Duration::ZERO).strategy(Strategy::Block);
            let (mut out, mut read) = ([0; 8], 0);
            for _ in 0..2 {
                match observer.await_read(&mut out, 1, wait, &Seat(Arc::clone(&seat))) {
                    Ok(frames) => read += frames.frames,
                    Err(ReadError::Timeout) => seen.saw("timeout"),
                    Err(ReadError::ProducerGone { pid: 1, position: 1 }) => {
                        assert_eq!(read, 1, "the last frame is lost");
                        seen.saw("gone");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&["gone", "timeout"]);
}
