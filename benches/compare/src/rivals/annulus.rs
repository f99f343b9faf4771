//! annulus itself, by its public handles.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::{Check, Frame, Source};
use crate::side::{self, Child, Place, STUCK, Talk, unique};
use crate::workload::Sample;
use annulus::{
    Consumer, GroupConsumer, Kind, Observer, Producer, PushError, ReadError, Start, Strategy, Wait,
};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

fn asleep() -> Wait {
    Wait::new().strategy(Strategy::Block).timeout(STUCK)
}

/// An spsc ring: nothing is lost.
pub struct Spsc<const N: usize> {
    name: String,
    capacity: usize,
}

impl<const N: usize> Link<N> for Spsc<N> {
    const PLACE: Place = Place::Process;
    type Tx = Producer<Frame<N>>;
    type Rx = Taking<N>;

    fn new(capacity: usize) -> Self {
        Self { name: unique("spsc"), capacity }
    }

    fn tx(&self) -> Producer<Frame<N>> {
        let create = annulus::create(&self.name).kind(Kind::Spsc).capacity(self.capacity as u64);
        create.producer().expect("a producer")
    }

    fn rx(&self) -> Taking<N> {
        let open = annulus::open(&self.name).appear_within(STUCK);
        Taking(open.consumer().expect("the consumer's end"), Box::new([0; N]))
    }
}

impl<const N: usize> Tx<N> for Producer<Frame<N>> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        sent(self.push(std::slice::from_ref(frame)))
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        sent(self.push(frames))
    }
}

#[inline(always)]
fn sent(outcome: Result<(), PushError>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(PushError::Full) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A consumer: single frames are copied out, several are lent in place.
pub struct Taking<const N: usize>(Consumer<Frame<N>>, Box<Frame<N>>);

impl<const N: usize> Rx<N> for Taking<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        if most == 1 {
            return match self.0.try_read(std::slice::from_mut(&mut *self.1)) {
                Ok(_) => {
                    look(&self.1);
                    1
                }
                Err(ReadError::Empty) => 0,
                Err(error) => panic!("{error}"),
            };
        }
        match self.0.try_chunk(most) {
            Ok(chunk) => {
                let (first, rest) = chunk.slices();
                first.iter().for_each(&mut look);
                rest.iter().for_each(&mut look);
                chunk.commit_all().frames
            }
            Err(ReadError::Empty) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        self.0.read(std::slice::from_mut(&mut *self.1), asleep()).expect("a frame");
        look(&self.1);
    }
}

/// A broadcast stream with one viewer.
pub struct Broadcast<const N: usize> {
    name: String,
    capacity: usize,
}

impl<const N: usize> Link<N> for Broadcast<N> {
    const PLACE: Place = Place::Process;
    type Tx = Producer<Frame<N>>;
    type Rx = Viewing<N>;

    fn new(capacity: usize) -> Self {
        Self { name: unique("broadcast"), capacity }
    }

    fn tx(&self) -> Producer<Frame<N>> {
        annulus::create(&self.name).capacity(self.capacity as u64).producer().expect("a producer")
    }

    fn rx(&self) -> Viewing<N> {
        let open = annulus::open(&self.name).appear_within(STUCK).start(Start::Oldest);
        Viewing(open.observer().expect("an observer"), Box::new([0; N]))
    }
}

pub struct Viewing<const N: usize>(pub Observer<Frame<N>>, Box<Frame<N>>);

impl<const N: usize> Rx<N> for Viewing<N> {
    #[inline(always)]
    fn receive(&mut self, _: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        match self.0.try_read(std::slice::from_mut(&mut *self.1)) {
            Ok(_) => {
                look(&self.1);
                1
            }
            // Lapped while it copied: the next read says by how much.
            Err(ReadError::Empty | ReadError::Lapped { .. }) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        self.0.read(std::slice::from_mut(&mut *self.1), asleep()).expect("a frame");
        look(&self.1);
    }
}

/// A work queue: each frame to one consumer, a lane for each of two producers.
pub struct Queue<const N: usize> {
    name: String,
    capacity: usize,
}

impl<const N: usize> Link<N> for Queue<N> {
    const PLACE: Place = Place::Process;
    type Tx = Producer<Frame<N>>;
    type Rx = Member<N>;

    fn new(capacity: usize) -> Self {
        Self { name: unique("queue"), capacity }
    }

    fn tx(&self) -> Producer<Frame<N>> {
        let create = annulus::create(&self.name).kind(Kind::Mpmc).producers(2).capacity(self.capacity as u64);
        create.producer().expect("a producer")
    }

    fn rx(&self) -> Member<N> {
        let open = annulus::open(&self.name).appear_within(STUCK);
        Member(open.group_consumer().expect("a consumer"), vec![[0; N]; 64])
    }
}

pub struct Member<const N: usize>(GroupConsumer<Frame<N>>, Vec<Frame<N>>);

impl<const N: usize> Rx<N> for Member<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, look: impl FnMut(&Frame<N>)) -> usize {
        match self.0.try_read(&mut self.1[..most]) {
            Ok(taken) => {
                self.1[..taken.frames].iter().for_each(look);
                taken.frames
            }
            Err(ReadError::Empty | ReadError::Ended { .. }) => 0,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A stream that is attached to.
pub struct Stream(String, Producer<Frame<1>>);

impl Attach for Stream {
    fn new() -> Self {
        let name = unique("attach");
        let mut producer = annulus::create(&name).capacity(1 << 17).producer().expect("a producer");
        producer.push(&[[1]]).expect("never full");
        Self(name, producer)
    }

    fn once(&self) -> Duration {
        let mut seen = [[0]];
        let start = Instant::now();
        let open = annulus::open(&self.0).start(Start::Oldest);
        let mut observer = open.observer::<Frame<1>>().expect("an observer");
        observer.try_read(&mut seen).expect("a frame");
        let took = start.elapsed();
        assert_eq!((seen, self.1.position()), ([[1]], 1));
        took
    }
}

/// A frame of 256 channels of 16 bits.
const WIDE: usize = 64;

/// 256 channels of 16 bits at 30 kHz, pushed once a millisecond; eight viewers that look 30 times a second, and a recorder that
/// gets every frame: processor time of all of them, in % of one processor, and how often a second one of them slept. Nothing
/// is lost to anybody, and every word is looked at by the recorder.
pub fn load(lasts: Duration) -> Sample {
    const EVERY: Duration = Duration::from_millis(1);
    const FRAMES: u64 = 30;
    let name = unique("load");
    let ticks = (lasts.as_nanos() / EVERY.as_nanos()) as u64;
    let talk = Talk::new();
    let acquisition = || {
        let create = annulus::create(&name).rate(30_000.0).capacity(60_000).lossless(1).readers(16);
        let mut producer = create.producer::<Frame<WIDE>>().expect("a producer");
        talk.say(0, 1);
        talk.hear(1, 9);
        let (mut source, mut block) = (Source::<WIDE>::new(), Vec::new());
        let start = Instant::now();
        for tick in 1..=ticks {
            block.clear();
            for _ in 0..FRAMES {
                block.push(*source.frame());
                source.sent();
            }
            producer.push(&block).expect("a broadcast is never full");
            thread::sleep((start + EVERY * tick as u32).saturating_duration_since(Instant::now()));
        }
        producer.finish();
    };
    let viewer = |frames: u64, lossless: bool| {
        talk.hear(0, 1);
        let open = annulus::open(&name).appear_within(STUCK).start(Start::Oldest);
        let open = if lossless { open.lossless() } else { open };
        let mut observer = open.observer::<Frame<WIDE>>().expect("an observer");
        talk.word(1).fetch_add(1, Ordering::AcqRel);
        let (mut check, mut block) = (Check::<WIDE>::new(), vec![[0; WIDE]; frames as usize]);
        loop {
            match observer.read(&mut block, asleep().frames(frames)) {
                Ok(read) => {
                    assert_eq!((read.first_position, read.lost_before), (check.position(), 0));
                    let few = if lossless { read.frames } else { 1 };
                    block[..few].iter().for_each(|frame| check.frame(frame));
                    check.skip_to(read.first_position + read.frames as u64);
                }
                Err(ReadError::Ended { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        check.done(ticks * FRAMES);
    };
    let before = side::children();
    let start = Instant::now();
    let mut children = vec![Child::fork(acquisition), Child::fork(|| viewer(3000, true))];
    children.extend((0..8).map(|_| Child::fork(|| viewer(1000, false))));
    for child in children {
        assert!(child.ends_within(lasts + STUCK), "one of ten failed");
    }
    let (took, after) = (start.elapsed().as_secs_f64(), side::children());
    let busy = (after.0 - before.0).as_secs_f64();
    Sample { value: busy / took * 100.0, extra: (after.1 - before.1) as f64 / took, disturbed: 0 }
}
