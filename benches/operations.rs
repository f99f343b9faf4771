//! Each hot operation on its own: one thread with both handles, nobody else there. What was pushed in a round is read
//! and looked at after it, what is read was pushed before it, and only one of the two is timed.
//!
//! `cargo bench --bench operations`. For the same in instructions: `benches/instructions`.

mod support;

use annulus::{Kind, Observer, Producer, ReadError, Start};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{Names, Reader, check, fill, machine};

/// Frames at a time.
const BATCH: usize = 64;

/// Who reads.
#[derive(Clone, Copy)]
enum By {
    Consumer,
    Group,
    Observer,
    Lossless,
}

impl By {
    const ALL: [Self; 4] = [Self::Consumer, Self::Observer, Self::Lossless, Self::Group];

    fn kind(self) -> Kind {
        match self {
            Self::Consumer => Kind::Spsc,
            Self::Group => Kind::Mpmc,
            Self::Observer | Self::Lossless => Kind::Broadcast,
        }
    }

    fn producers(self) -> &'static str {
        match self {
            Self::Consumer => "spsc",
            Self::Group => "mpmc",
            Self::Observer => "broadcast",
            Self::Lossless => "broadcast beside a lossless reader",
        }
    }

    fn readers(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Group => "group consumer",
            Self::Observer => "observer",
            Self::Lossless => "lossless observer",
        }
    }
}

fn main() {
    machine::print();
    machine::pin(0);
    let mut criterion = support::criterion(Duration::from_millis(100), Duration::from_millis(300));
    pushes(&mut criterion);
    reads(&mut criterion);
    looks(&mut criterion);
    attaching(&mut criterion);
    Criterion::final_summary(&criterion);
}

fn pushes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operations/push");
    for by in By::ALL {
        push::<1>(&mut group, by, 1);
        push::<8>(&mut group, by, 1);
        push::<32>(&mut group, by, 1);
        push::<2048>(&mut group, by, 1);
        push::<1>(&mut group, by, BATCH);
    }
    for by in [By::Consumer, By::Observer] {
        let what = format!("{}, {BATCH} x 8 B, reserve, write, commit", by.producers());
        one(&mut group, what, by, BATCH, Timed::Push, reserve::<1>, read);
    }
    group.finish();
}

fn push<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>, by: By, batch: usize) {
    let what = format!("{}, {batch} x {} B", by.producers(), 8 * N);
    one(
        group,
        what,
        by,
        batch,
        Timed::Push,
        |producer, frames| producer.push(frames).expect("space"),
        read::<N>,
    );
}

fn reserve<const N: usize>(producer: &mut Producer<[u64; N]>, frames: &[[u64; N]]) {
    let mut reservation = producer.reserve(frames.len()).expect("space");
    reservation.write(frames).expect("no more than was reserved");
    reservation.commit().expect("the lane is ours");
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operations/try_read");
    for by in By::ALL {
        try_read::<1>(&mut group, by, 1);
        try_read::<8>(&mut group, by, 1);
        try_read::<32>(&mut group, by, 1);
        try_read::<1>(&mut group, by, BATCH);
    }
    let what = format!("consumer, {BATCH} x 8 B, try_chunk, copied out, commit");
    one(&mut group, what, By::Consumer, BATCH, Timed::Read, reserve::<1>, chunk);
    group.finish();
}

fn try_read<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>, by: By, batch: usize) {
    let what = format!("{}, {batch} x {} B", by.readers(), 8 * N);
    one(group, what, by, batch, Timed::Read, reserve::<N>, read::<N>);
}

fn read<const N: usize>(reader: &mut Reader<[u64; N]>, out: &mut [[u64; N]]) {
    let frames = reader.try_read(out).expect("frames").frames;
    assert_eq!(frames, out.len());
}

fn chunk<const N: usize>(reader: &mut Reader<[u64; N]>, out: &mut [[u64; N]]) {
    let Reader::Consumer(consumer) = reader else { panic!("chunks are a consumer's") };
    let chunk = consumer.try_chunk(out.len()).expect("frames");
    let (first, rest) = chunk.slices();
    let (to_first, to_rest) = out.split_at_mut(first.len());
    to_first.copy_from_slice(first);
    to_rest.copy_from_slice(rest);
    assert_eq!(chunk.commit_all().frames, out.len());
}

#[derive(Clone, Copy)]
enum Timed {
    Push,
    Read,
}

/// Adds a bench of `push` or `read`, which handle `batch` frames in a call.
fn one<const N: usize>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    what: String,
    by: By,
    batch: usize,
    timed: Timed,
    push: impl Fn(&mut Producer<[u64; N]>, &[[u64; N]]),
    read: impl Fn(&mut Reader<[u64; N]>, &mut [[u64; N]]),
) {
    group.throughput(Throughput::Elements(batch as u64));
    let mut pair = None;
    group.bench_function(what, |bencher| {
        let pair = pair.get_or_insert_with(|| Pair::<N>::new(by));
        bencher.iter_custom(|calls| pair.run(calls, batch, timed, &push, &read));
    });
}

/// Both ends of a ring.
struct Pair<const N: usize> {
    producer: Producer<[u64; N]>,
    reader: Reader<[u64; N]>,
    /// What is pushed in a round, at most half of the ring.
    pushed: Vec<[u64; N]>,
    read: Vec<[u64; N]>,
    _names: Names,
}

impl<const N: usize> Pair<N> {
    fn new(by: By) -> Self {
        let names = Names::new();
        // At most a megabyte, so that it stays in the processor's cache.
        let capacity = ((1 << 20) / size_of::<[u64; N]>()).min(4096);
        let builder = annulus::create(names.there()).kind(by.kind()).capacity(capacity as u64);
        let (producer, reader) = match by {
            By::Lossless => {
                let producer = builder.lossless(1).producer().expect("a producer");
                let reader = annulus::open(names.there()).lossless().observer().expect("a lossless reader");
                (producer, Reader::Observer(reader))
            }
            _ => {
                let producer = builder.producer().expect("a producer");
                (producer, Reader::open(&names.there(), by.kind()))
            }
        };
        let frames = vec![[0; N]; capacity / 2];
        Self { producer, reader, pushed: frames.clone(), read: frames, _names: names }
    }

    /// Pushes and reads `batch` frames, `calls` times; how long one of the two took.
    fn run(
        &mut self,
        mut calls: u64,
        batch: usize,
        timed: Timed,
        push: impl Fn(&mut Producer<[u64; N]>, &[[u64; N]]),
        read: impl Fn(&mut Reader<[u64; N]>, &mut [[u64; N]]),
    ) -> Duration {
        let mut took = Duration::ZERO;
        while calls > 0 {
            let round = calls.min((self.pushed.len() / batch) as u64);
            calls -= round;
            let frames = round as usize * batch;
            let position = self.producer.position();
            fill(&mut self.pushed[..frames], position);
            let start = Instant::now();
            for frames in self.pushed[..frames].chunks_exact(batch) {
                push(&mut self.producer, frames);
            }
            let between = Instant::now();
            for out in self.read[..frames].chunks_exact_mut(batch) {
                read(&mut self.reader, out);
            }
            took += match timed {
                Timed::Push => between - start,
                Timed::Read => between.elapsed(),
            };
            check(&self.read[..frames], position);
        }
        took
    }
}

/// What does not move frames: looking for some in vain, and for times.
fn looks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operations/look");
    for by in By::ALL {
        let mut pair = Pair::<1>::new(by);
        group.bench_function(format!("{}, try_read of an empty ring", by.readers()), |bencher| {
            bencher.iter(|| {
                let found = pair.reader.try_read(black_box(&mut pair.read[..1]));
                assert_eq!(found, Err(ReadError::Empty));
            });
        });
    }
    let names = Names::new();
    let builder = annulus::create(names.there()).rate(1000.0);
    let mut producer = builder.producer::<u64>().expect("a producer");
    producer.push(&[0]).expect("a broadcast is never full");
    let observer = annulus::open(names.there()).observer::<u64>().expect("an observer");
    let first = observer.clock().expect("a rate").time_of(0).monotonic_ns;
    group.bench_function("observer, clock, time_of", |bencher| {
        bencher.iter(|| {
            let clock = observer.clock().expect("a rate");
            assert_eq!(clock.time_of(black_box(1000)).monotonic_ns, first + 1_000_000_000);
        });
    });
    let clock = observer.clock().expect("a rate");
    group.bench_function("time_of", |bencher| {
        bencher.iter(|| assert_eq!(clock.time_of(black_box(1000)).monotonic_ns, first + 1_000_000_000));
    });
    group.bench_function("position_at", |bencher| {
        let moment = clock.time_of(1000);
        bencher.iter(|| assert_eq!(clock.position_at(black_box(moment)), 1000));
    });
    group.finish();
}

/// An observer that opens a stream by its name, reads one frame of it, and goes.
fn attaching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operations/attach");
    let names = Names::new();
    let mut producer = annulus::create(names.there()).producer::<u64>().expect("a producer");
    producer.push(&[7]).expect("a broadcast is never full");
    for (what, unseated) in [("observer, attach, try_read, drop", false), ("the same, unseated", true)] {
        group.bench_function(what, |bencher| {
            bencher.iter(|| {
                let open = annulus::open(names.there()).start(Start::Oldest);
                let open = if unseated { open.unseated() } else { open };
                let mut observer: Observer<u64> = open.observer().expect("an observer");
                let mut out = [0];
                assert_eq!(observer.try_read(&mut out).map(|read| (read.frames, out)), Ok((1, [7])));
            });
        });
    }
    group.finish();
}
