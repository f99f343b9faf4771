//! Work queues: a wake that one consumer gets and another needs is passed on, over several lanes, to the end.

use super::{Model, Seen};
use crate::lane::Writer;
use crate::ring::mpmc::Consumer;
use crate::ring::{Death, Peers, Producer, ReadError};
use crate::segment::Lane;
use crate::sync::Ordering::Relaxed;
use crate::wait::{Fences, Strategy, Wait};
use loom::thread;

/// Nobody dies.
#[derive(Debug)]
struct Immortal;

impl Peers for Immortal {
    fn death(&self, _: u32) -> Option<Death> {
        None
    }
}

fn producer(lane: &Lane) -> Producer {
    Producer::new(Writer::take_over(lane.again(), true, false).unwrap(), Fences::register())
}

fn consumer(lanes: &[Lane], first: usize) -> Consumer {
    Consumer::new(lanes.iter().map(Lane::again), first, Fences::register())
}

fn push(producer: &mut Producer) {
    let frame = producer.position().to_le_bytes();
    producer.push_wait(&frame, 1, Wait::new().strategy(Strategy::Block), &Immortal).unwrap();
}

/// Waits for a frame and takes it: its lane and position.
fn take(consumer: &mut Consumer, seen: &Seen) -> Result<(u32, u64), ReadError> {
    let mut out = [0; 8];
    let taken = consumer.await_take(&mut out, 1, Wait::new().strategy(Strategy::Block), &Immortal)?;
    assert_eq!((taken.frames, u64::from_le_bytes(out)), (1, taken.first_position), "another frame's bytes");
    seen.saw("taken");
    Ok((taken.lane, taken.first_position))
}

/// Two frames, and two consumers that take one each: none sleeps beside a frame because the other had its wake.
#[test]
fn passed_on() {
    let model = Model::new("queue::passed_on").preemptions(2).explore(|seen| {
        let lanes = Lane::queue::<1>(2);
        let mut pushing = producer(&lanes[0]);
        let takers = [0, 1].map(|first| {
            let (mut taking, seen) = (consumer(&lanes, first), seen.clone());
            thread::spawn(move || take(&mut taking, &seen).unwrap())
        });
        let producer = thread::spawn(move || (0..2).for_each(|_| push(&mut pushing)));
        producer.join().unwrap();
        let mut taken = takers.map(|taker| taker.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [(0, 0), (0, 1)], "not each frame once");
    });
    model.reached(&["taken"]);
}

/// One consumer and two lanes: it is woken by either.
#[test]
fn two_lanes() {
    let model = Model::new("queue::two_lanes").preemptions(2).explore(|seen| {
        let lanes = Lane::queue::<2>(2);
        let producers = [0, 1].map(|lane| {
            let mut pushing = producer(&lanes[lane]);
            thread::spawn(move || push(&mut pushing))
        });
        let (mut taking, outcomes) = (consumer(&lanes, 0), seen.clone());
        let taker = thread::spawn(move || [0, 1].map(|_| take(&mut taking, &outcomes).unwrap()));
        for producer in producers {
            producer.join().unwrap();
        }
        let taken = taker.join().unwrap();
        seen.saw(if taken[0] < taken[1] { "lane 0 first" } else { "lane 1 first" });
        assert!(taken[0].0 != taken[1].0, "a frame was taken twice: {taken:?}");
    });
    model.reached(&["lane 0 first", "lane 1 first", "taken"]);
}

/// A full lane, a producer that waits for space, and two consumers: whoever makes the space says so.
#[test]
fn space() {
    let model = Model::new("queue::space").preemptions(1).explore(|seen| {
        let lanes = Lane::queue::<1>(2);
        let mut pushing = producer(&lanes[0]);
        (0..2).for_each(|_| push(&mut pushing));
        let takers = [0, 1].map(|first| {
            let (mut taking, seen) = (consumer(&lanes, first), seen.clone());
            thread::spawn(move || [0, 1].map(|_| take(&mut taking, &seen).unwrap().1))
        });
        let producer = thread::spawn(move || (0..2).for_each(|_| push(&mut pushing)));
        producer.join().unwrap();
        let mut taken = takers.map(|taker| taker.join().unwrap()).concat();
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3], "not each frame once");
        let woken = lanes[0].space().seq.value(Relaxed) > 0;
        seen.saw(if woken { "the producer waited" } else { "the producer never waited" });
    });
    model.reached(&["taken", "the producer never waited", "the producer waited"]);
}

/// The last frame, then the end: one consumer gets the frame, and all learn of the end.
#[test]
fn finish() {
    let model = Model::new("queue::finish").preemptions(2).explore(|seen| {
        let lanes = Lane::queue::<1>(2);
        let mut pushing = producer(&lanes[0]);
        let takers = [0, 1].map(|first| {
            let (mut taking, seen) = (consumer(&lanes, first), seen.clone());
            thread::spawn(move || {
                let mut taken = 0;
                loop {
                    match take(&mut taking, &seen) {
                        Ok(_) => taken += 1,
                        Err(ReadError::Ended { position: 1 }) => return taken,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        });
        let producer = thread::spawn(move || {
            // Not notified: where the kernel fences, a notification carries nothing to a reader that is awake.
            pushing.writer().write(&0u64.to_le_bytes(), 1).unwrap();
            pushing.finish();
        });
        producer.join().unwrap();
        let taken: u32 = takers.map(|taker| taker.join().unwrap()).iter().sum();
        assert_eq!(taken, 1, "the last frame is lost");
    });
    model.reached(&["taken"]);
}

/// Lane 1 has a producer; another takes lane 0, and only then lane 1 is finished: at no moment the queue has ended.
#[test]
fn ended() {
    let model = Model::new("queue::ended").explore(|seen| {
        let lanes = Lane::queue::<2>(2);
        let mut first = producer(&lanes[1]);
        let mut taking = consumer(&lanes, 0);
        let joined = lanes[0].again();
        let producers = thread::spawn(move || {
            let second = producer(&joined);
            first.finish();
            second
        });
        let seen = seen.clone();
        let taker = thread::spawn(move || {
            assert_eq!(
                taking.take(&mut [0; 8], 1, &Immortal),
                Err(ReadError::Empty),
                "ended beside a producer"
            );
            seen.saw("empty");
        });
        taker.join().unwrap();
        producers.join().unwrap();
    });
    model.reached(&["empty"]);
}

/// Two lanes and two consumers: a wake for one lane that one of them gets does not leave the other beside a frame of the
/// other lane.
#[test]
fn two_by_two() {
    let model = Model::new("queue::two_by_two").preemptions(1).explore(|seen| {
        let lanes = Lane::queue::<2>(2);
        let takers = [0, 1].map(|first| {
            let (mut taking, seen) = (consumer(&lanes, first), seen.clone());
            thread::spawn(move || take(&mut taking, &seen).unwrap())
        });
        let mut pushing = [0, 1].map(|lane| producer(&lanes[lane]));
        let producer = thread::spawn(move || pushing.iter_mut().for_each(push));
        producer.join().unwrap();
        let mut taken = takers.map(|taker| taker.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [(0, 0), (1, 0)], "not each frame once");
    });
    model.reached(&["taken"]);
}
