//! The hot operations, each in one thread with both handles: nobody else is there.
//!
//! What the last call read is held against what it should have, outside of what is counted.

use crate::callgrind::{CALLS_IN_ALL, count};
use annulus::{Builder, Consumer, GroupConsumer, Kind, Observer, Open, Producer, ReadError, Start};
use std::array;
use std::hint::black_box;
use std::slice;

/// Frames in most rings: whole pages, whatever the frame, and a divisor of what is counted.
const CAPACITY: u64 = 1024;

/// Frames at a time.
const BATCH: usize = 64;

const RTRB_BATCH: &str = "rtrb: slices of 64; 8 B, each";
const RTRB_CHUNK: &str = "rtrb: chunks of 64, made and summed; 8 B, each";

/// A frame.
type Words<const N: usize> = [u64; N];

pub fn run() {
    count("loop", "", 1, |call| {
        black_box(call);
    });
    rtrb_one::<1>();
    rtrb_one::<8>();
    rtrb_one::<32>();
    rtrb_batch();
    rtrb_chunk();
    spsc_one::<1>();
    spsc_one::<8>();
    spsc_one::<32>();
    spsc_batch();
    spsc_chunk();
    spsc_reserve();
    spsc_empty();
    broadcast_push::<1>();
    broadcast_push::<8>();
    broadcast_push::<32>();
    broadcast_read::<8>();
    broadcast_read::<32>();
    broadcast_batch();
    lossless();
    broadcast_time();
    mpmc_one();
    mpmc_batch();
}

/// A ring whose producer does not look at the clock while it is counted, which depends on the machine: its rate is so
/// high that what is pushed is no hundredth of a second.
fn ring(kind: Kind, capacity: u64) -> (Builder, Open) {
    let name = format!("instructions-{}", std::process::id());
    (annulus::create(&name).kind(kind).capacity(capacity).rate(1e12), annulus::open(&name).start(Start::Now))
}

fn spsc<const N: usize>() -> (Producer<Words<N>>, Consumer<Words<N>>) {
    let (create, open) = ring(Kind::Spsc, CAPACITY);
    (create.producer().expect("a producer"), open.consumer().expect("a consumer"))
}

/// It holds what all calls push: nobody is lapped.
fn broadcast<const N: usize>() -> (Producer<Words<N>>, Observer<Words<N>>) {
    let (create, open) = ring(Kind::Broadcast, CALLS_IN_ALL);
    (create.producer().expect("a producer"), open.observer().expect("an observer"))
}

fn mpmc<const N: usize>(capacity: u64) -> (Producer<Words<N>>, GroupConsumer<Words<N>>) {
    let (create, open) = ring(Kind::Mpmc, capacity);
    (create.producer().expect("a producer"), open.group_consumer().expect("a consumer"))
}

/// Frames to push, and space to read them into.
fn frames<const N: usize, const B: usize>() -> ([Words<N>; B], [Words<N>; B]) {
    let word = |frame, word| (1_000_000 + 100 * frame + word) as u64;
    (array::from_fn(|frame| array::from_fn(|at| word(frame, at))), [[0; N]; B])
}

/// Makes them those of this call.
fn mark<const N: usize>(frames: &mut [Words<N>], call: u64) {
    frames[0][0] = call;
}

/// What was pushed in the last call.
fn last<const N: usize, const B: usize>() -> [Words<N>; B] {
    let (mut last, _) = frames();
    mark(&mut last, CALLS_IN_ALL - 1);
    last
}

fn rtrb_one<const N: usize>() {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Words<N>>::new(CAPACITY as usize);
    let (mut frame, [mut out]) = frames::<N, 1>();
    count(&format!("rtrb: push, pop; {} B", 8 * N), "", 1, |call| {
        mark(&mut frame, call);
        producer.push(*black_box(&frame[0])).expect("space");
        out = consumer.pop().expect("a frame");
        black_box(&out);
    });
    assert_eq!([out], last());
}

fn rtrb_batch() {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<Words<1>>::new(CAPACITY as usize);
    let (mut block, mut out) = frames::<1, BATCH>();
    count(RTRB_BATCH, "", BATCH as u64, |call| {
        mark(&mut block, call);
        producer.push_entire_slice(black_box(&block)).expect("space");
        consumer.pop_entire_slice(&mut out).expect("frames");
        black_box(&out);
    });
    assert_eq!(out, last());
}

/// With what it takes to make the frames, and to look at them.
fn rtrb_chunk() {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY as usize);
    let mut sum = 0u64;
    count(RTRB_CHUNK, "", BATCH as u64, |call| {
        let chunk = producer.write_chunk_uninit(BATCH).expect("space");
        chunk.fill_from_iter((0..).map(|place| call ^ place));
        let chunk = consumer.read_chunk(BATCH).expect("frames");
        let (first, rest) = chunk.as_slices();
        sum = first.iter().chain(rest).fold(0, |sum, frame| sum.wrapping_add(*frame));
        chunk.commit_all();
        black_box(sum);
    });
    assert_eq!(sum, sum_of_last());
}

fn sum_of_last() -> u64 {
    (0..BATCH as u64).map(|place| (CALLS_IN_ALL - 1) ^ place).sum()
}

fn spsc_one<const N: usize>() {
    let (mut producer, mut consumer) = spsc::<N>();
    let (mut frame, mut out) = frames::<N, 1>();
    let bytes = 8 * N;
    count(&format!("spsc: push, try_read; {bytes} B"), &format!("rtrb: push, pop; {bytes} B"), 1, |call| {
        mark(&mut frame, call);
        producer.push(slice::from_ref(black_box(&frame[0]))).expect("space");
        consumer.try_read(&mut out).expect("a frame");
        black_box(&out);
    });
    assert_eq!(out, last());
}

fn spsc_batch() {
    let (mut producer, mut consumer) = spsc::<1>();
    let (mut block, mut out) = frames::<1, BATCH>();
    count("spsc: push, try_read of 64; 8 B, each", RTRB_BATCH, BATCH as u64, |call| {
        mark(&mut block, call);
        producer.push(black_box(&block)).expect("space");
        consumer.try_read(&mut out).expect("frames");
        black_box(&out);
    });
    assert_eq!(out, last());
}

/// With what it takes to make the frames, and to look at them.
fn spsc_chunk() {
    let (mut producer, mut consumer) = spsc::<1>();
    let (mut block, mut sum) = ([[0]; BATCH], 0u64);
    count("spsc: push, chunk of 64, made and summed; 8 B, each", RTRB_CHUNK, BATCH as u64, |call| {
        for (place, frame) in (0..).zip(&mut block) {
            *frame = [call ^ place];
        }
        producer.push(&block).expect("space");
        let chunk = consumer.try_chunk(BATCH).expect("frames");
        let (first, rest) = chunk.slices();
        sum = first.iter().chain(rest).fold(0, |sum, frame| sum.wrapping_add(frame[0]));
        chunk.commit_all();
        black_box(sum);
    });
    assert_eq!(sum, sum_of_last());
}

fn spsc_reserve() {
    let (mut producer, mut consumer) = spsc::<1>();
    let (mut block, mut out) = frames::<1, BATCH>();
    count("spsc: reserve, write, commit, try_read of 64; 8 B, each", RTRB_BATCH, BATCH as u64, |call| {
        mark(&mut block, call);
        let mut reservation = producer.reserve(BATCH).expect("space");
        reservation.write(black_box(&block)).expect("room");
        reservation.commit().expect("still ours");
        consumer.try_read(&mut out).expect("frames");
        black_box(&out);
    });
    assert_eq!(out, last());
}

fn spsc_empty() {
    let (_producer, mut consumer) = spsc::<1>();
    let mut out = [[0]];
    count("spsc: try_read, empty", "", 1, |_| {
        assert_eq!(black_box(consumer.try_read(&mut out)), Err(ReadError::Empty));
    });
}

fn broadcast_push<const N: usize>() {
    let (create, open) = ring(Kind::Broadcast, CAPACITY);
    let mut producer = create.producer::<Words<N>>().expect("a producer");
    let (mut frame, mut out) = frames::<N, 1>();
    count(&format!("broadcast: push; {} B", 8 * N), "", 1, |call| {
        mark(&mut frame, call);
        producer.push(slice::from_ref(black_box(&frame[0]))).expect("never full");
    });
    let mut observer = open.start(Start::Latest(1)).observer().expect("an observer");
    observer.try_read(&mut out).expect("a frame");
    assert_eq!(out, last());
}

fn broadcast_read<const N: usize>() {
    let (mut producer, mut observer) = broadcast::<N>();
    fill(&mut producer);
    let mut out = [[0; N]];
    count(&format!("broadcast: try_read; {} B", 8 * N), "", 1, |_| {
        observer.try_read(&mut out).expect("a frame");
        black_box(&out);
    });
    assert_eq!((out, observer.lost()), (last(), 0));
}

/// Pushes what all calls together read, one frame in each.
fn fill<const N: usize>(producer: &mut Producer<Words<N>>) {
    let (mut frame, _) = frames::<N, 1>();
    for call in 0..CALLS_IN_ALL {
        mark(&mut frame, call);
        producer.push(&frame).expect("space");
    }
}

fn broadcast_batch() {
    let (mut producer, mut observer) = broadcast::<1>();
    let (mut block, mut out) = frames::<1, BATCH>();
    count("broadcast: push, try_read of 64; 8 B, each", RTRB_BATCH, BATCH as u64, |call| {
        mark(&mut block, call);
        producer.push(black_box(&block)).expect("never full");
        observer.try_read(&mut out).expect("frames");
        black_box(&out);
    });
    assert_eq!((out, observer.lost()), (last(), 0));
}

/// The reader stands still meanwhile, and the ring holds all that is pushed: what is counted are the leases.
fn lossless() {
    let (create, open) = ring(Kind::Broadcast, CALLS_IN_ALL);
    let mut producer = create.lossless(1).producer::<Words<8>>().expect("a producer");
    let mut reader = open.lossless().observer::<Words<8>>().expect("a lossless reader");
    let (mut frame, mut out) = frames::<8, 1>();
    count("broadcast: push beside a lossless reader; 64 B", "", 1, |call| {
        mark(&mut frame, call);
        producer.push(slice::from_ref(black_box(&frame[0]))).expect("space");
    });
    count("broadcast: try_read, lossless; 64 B", "", 1, |_| {
        reader.try_read(&mut out).expect("a frame");
        black_box(&out);
    });
    assert_eq!((out, reader.lost()), (last(), 0));
}

fn broadcast_time() {
    let (mut producer, observer) = broadcast::<1>();
    producer.push(&[[1]]).expect("never full");
    let mut time = 0;
    count("broadcast: clock, time_of", "", 1, |call| {
        let clock = observer.clock().expect("a rate");
        time = black_box(clock.time_of(black_box(call)).monotonic_ns);
    });
    assert!(time > 0);
}

fn mpmc_one() {
    let (mut producer, mut consumer) = mpmc::<8>(CALLS_IN_ALL);
    fill(&mut producer);
    let mut out = [[0; 8]];
    count("mpmc: try_read; 64 B", "", 1, |_| {
        consumer.try_read(&mut out).expect("a frame");
        black_box(&out);
    });
    assert_eq!(out, last());
}

fn mpmc_batch() {
    let (mut producer, mut consumer) = mpmc::<1>(CAPACITY);
    let (mut block, mut out) = frames::<1, BATCH>();
    count("mpmc: push, try_read of 64; 8 B, each", RTRB_BATCH, BATCH as u64, |call| {
        mark(&mut block, call);
        producer.push(black_box(&block)).expect("space");
        consumer.try_read(&mut out).expect("frames");
        black_box(&out);
    });
    assert_eq!(out, last());
}
