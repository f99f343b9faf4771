//! What is done with a transport, and how long it takes. Each run is a process of its own, so that nothing of one stays for the
//! next; what it found comes back through a shared page.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::{Check, Frame, Source};
use crate::side::{self, Child, Place, STUCK, Talk, beside, switches};
use std::hint;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What one run gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub value: f64,
    /// Besides: what belongs to the workload (switches a round trip, frames lost, the 99.99th percentile).
    pub extra: f64,
    /// How often others took a processor away meanwhile.
    pub disturbed: u64,
}

/// Words in which the sides talk.
const READY: usize = 0;
const GO: usize = 1;
const END: usize = 2;
const DONE: usize = 3;
const FAR_SWITCHES: usize = 6;
const FAR_DISTURBED: usize = 7;
const VALUE: usize = 8;
const TAKEN: usize = 11;
const COUNTS: usize = 13;
const SUMS: usize = 15;
const READERS: usize = 17;

/// Runs `measure` in a process of its own.
pub fn alone(measure: impl FnOnce() -> Sample) -> Option<Sample> {
    let talk = Talk::new();
    let child = Child::fork(|| {
        let sample = measure();
        talk.say(VALUE, sample.value.to_bits());
        talk.say(VALUE + 1, sample.extra.to_bits());
        talk.say(VALUE + 2, sample.disturbed);
    });
    let get = |index| talk.word(index).load(Acquire);
    child.ends_within(STUCK).then(|| Sample {
        value: f64::from_bits(get(VALUE)),
        extra: f64::from_bits(get(VALUE + 1)),
        disturbed: get(VALUE + 2),
    })
}

/// Tries `step` until it does something. Makes room now and then: the other side may be waiting for this processor.
#[inline(always)]
fn until_done(mut step: impl FnMut() -> bool) {
    let mut until = None;
    loop {
        for _ in 0..4096 {
            if step() {
                return;
            }
            hint::spin_loop();
        }
        let now = Instant::now();
        assert!(now < *until.get_or_insert(now + STUCK), "the other side is stuck");
        thread::yield_now();
    }
}

/// Bytes a second (as GB/s) from one side to the other, nothing lost, every word looked at: `batch` frames at a time, of
/// which `most` are looked at at a time.
pub fn stream<const N: usize, L: Link<N>>(
    capacity: usize,
    batch: usize,
    most: usize,
    lasts: Duration,
) -> Sample {
    let talk = Talk::new();
    let link = L::new(capacity);
    let far = || {
        talk.hear(READY, 1); // there is something to be opened
        let mut rx = link.rx();
        let mut check = Check::<N>::new();
        talk.say(GO, 1);
        let before = switches();
        let mut end = u64::MAX;
        loop {
            let mut found = 0;
            for _ in 0..4096 {
                found = rx.receive(most, |frame| check.frame(frame));
                if found > 0 {
                    break;
                }
                hint::spin_loop();
            }
            if found == 0 {
                thread::yield_now();
            }
            if end == u64::MAX || found == 0 {
                // Asked rarely: a line that nobody stores to meanwhile.
                let said = talk.word(END).load(Relaxed);
                if said > 0 {
                    end = said;
                }
            }
            if check.position() >= end {
                break;
            }
        }
        check.done(end);
        talk.say(FAR_DISTURBED, switches().1 - before.1);
        talk.say(DONE, 1);
        drop(rx);
    };
    beside(L::PLACE, far, || {
        let mut tx = link.tx();
        talk.say(READY, 1);
        talk.hear(GO, 1);
        let mut source = Source::<N>::new();
        let mut block = vec![[0; N]; batch];
        let mut run = |frames: u64| {
            let to = source.position() + frames;
            while source.position() < to {
                if batch == 1 {
                    let frame = source.frame();
                    until_done(|| tx.send(frame));
                    source.sent();
                } else {
                    for frame in &mut block {
                        *frame = *source.frame();
                        source.sent();
                    }
                    until_done(|| tx.send_all(&block));
                }
            }
        };
        // As many as take about a hundredth of the time, then in steps of so many.
        let before = switches();
        let (mut step, mut took) = (batch as u64, Duration::ZERO);
        while took < lasts / 100 {
            step *= 2;
            let start = Instant::now();
            run(step);
            took = start.elapsed();
        }
        let (start, mut frames) = (Instant::now(), 0);
        while start.elapsed() < lasts {
            run(step);
            frames += step;
        }
        let took = start.elapsed();
        talk.say(END, source.position());
        talk.hear(DONE, 1);
        let disturbed = switches().1 - before.1 + talk.word(FAR_DISTURBED).load(Acquire);
        let bytes = (frames as usize * size_of::<Frame<N>>()) as f64;
        Sample { value: bytes / took.as_nanos() as f64, extra: 0.0, disturbed }
    })
}

/// Round trips in one block: a look at the clock costs a tenth of one.
const TRIPS: usize = 16;

/// Frames in a ring for round trips: enough that what is done once in a while, is.
pub const TRIP: usize = 1024;

/// How long each side waits with its reply, so that the other has really gone to sleep. It does not count.
const HOLD: Duration = Duration::from_micros(60);

#[inline(always)]
fn hold<const ASLEEP: bool>() {
    if ASLEEP {
        let start = Instant::now();
        while start.elapsed() < HOLD {
            hint::spin_loop();
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median round trip of one frame, in ns: both sides poll.
pub fn round_trip<const N: usize, L: Link<N>>(lasts: Duration) -> Sample {
    trip::<N, L, false>([L::new(TRIP), L::new(TRIP)], lasts)
}

/// The median round trip of one frame, in ns: each side sleeps until its frame comes. The other value is how often a side was
/// put to sleep for each round trip.
pub fn round_trip_asleep<const N: usize, L: Link<N>>(links: [L; 2], lasts: Duration) -> Sample {
    trip::<N, L, true>(links, lasts)
}

#[inline(always)]
fn receive_one<const N: usize, const ASLEEP: bool>(rx: &mut impl Rx<N>, check: &mut Check<N>) {
    if ASLEEP {
        rx.sleep_for(|frame| check.frame(frame));
    } else {
        until_done(|| rx.receive(1, |frame| check.frame(frame)) == 1);
    }
}

fn trip<const N: usize, L: Link<N>, const ASLEEP: bool>([there, back]: [L; 2], lasts: Duration) -> Sample {
    let block = if ASLEEP { 1 } else { TRIPS };
    let talk = Talk::new();
    let end = talk.word(END);
    let far = || {
        talk.hear(READY, 1);
        let mut rx = there.rx();
        let mut tx = back.tx();
        talk.say(GO, 1);
        let (mut check, mut source) = (Check::<N>::new(), Source::<N>::new());
        let before = switches();
        while check.position() < end.load(Relaxed) {
            receive_one::<N, ASLEEP>(&mut rx, &mut check);
            hold::<ASLEEP>();
            until_done(|| tx.send(source.frame()));
            source.sent();
        }
        check.right();
        let after = switches();
        talk.say(FAR_SWITCHES, after.0 - before.0);
        talk.say(FAR_DISTURBED, after.1 - before.1);
        talk.say(DONE, 1);
        talk.hear(DONE, 2); // what was sent last was received
    };
    talk.say(END, u64::MAX);
    beside(L::PLACE, far, || {
        let mut tx = there.tx();
        talk.say(READY, 1);
        talk.hear(GO, 1);
        let mut rx = back.rx();
        let (mut check, mut source) = (Check::<N>::new(), Source::<N>::new());
        let mut once = |last: bool| {
            if last {
                talk.say(END, source.position() + 1);
            }
            until_done(|| tx.send(source.frame()));
            source.sent();
            receive_one::<N, ASLEEP>(&mut rx, &mut check);
            hold::<ASLEEP>();
        };
        let warm = Instant::now();
        while warm.elapsed() < lasts / 10 {
            (0..block).for_each(|_| once(false));
        }
        let before = switches();
        let (start, mut took) = (Instant::now(), Vec::with_capacity(1 << 20));
        let mut began = start;
        while began - start < lasts {
            (0..block).for_each(|_| once(false));
            let now = Instant::now();
            let held = if ASLEEP { 2.0 * HOLD.as_nanos() as f64 } else { 0.0 };
            took.push((now - began).as_nanos() as f64 / block as f64 - held);
            began = now;
        }
        let after = switches();
        once(true);
        check.right();
        talk.hear(DONE, 1);
        talk.say(DONE, 2);
        let get = |index| talk.word(index).load(Acquire);
        let trips = (took.len() * block) as f64;
        Sample {
            value: median(took),
            extra: (after.0 - before.0) as f64 / trips,
            disturbed: if block == 1 { 0 } else { after.1 - before.1 + get(FAR_DISTURBED) },
        }
    })
}

/// What a producer that waits for nobody pays for each frame, in ns: beside so many readers, each a process of its own that
/// polls on the other processor, or is stopped. The other value is the 99.99th percentile of single sends, if they are
/// `stamped`.
pub fn fan<const N: usize, L: Link<N>>(
    capacity: usize,
    readers: usize,
    stopped: bool,
    stamped: bool,
    lasts: Duration,
) -> Sample {
    let talk = Talk::new();
    let link = L::new(capacity);
    let read = |number: usize| {
        side::pin(1);
        talk.hear(READY, 1);
        let mut rx = link.rx();
        let mut check = Check::<N>::new();
        talk.word(GO).fetch_add(1, AcqRel);
        // They share a processor: each reads for a while, or until there is nothing.
        for turn in 1u64.. {
            if talk.word(END).load(Relaxed) > 0 {
                break;
            }
            let found = rx.receive(1, |frame| {
                let position = frame[0];
                assert!(position >= check.position(), "a frame that was read before");
                check.skip_to(position);
                check.frame(frame);
            });
            if found == 0 {
                hint::spin_loop();
            }
            if turn.is_multiple_of(4096) {
                thread::yield_now();
            }
        }
        check.right();
        talk.say(READERS + number, check.position());
    };
    let children: Vec<Child> = (0..readers).map(|number| Child::fork(|| read(number))).collect();
    side::pin(0);
    let mut tx = link.tx();
    talk.say(READY, 1);
    talk.hear(GO, readers as u64);
    if stopped {
        for child in &children {
            child.signal(libc::SIGSTOP);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut source = Source::<N>::new();
    let mut run = |frames: u64| {
        for _ in 0..frames {
            assert!(tx.send(source.frame()), "who waits for nobody is never full");
            source.sent();
        }
    };
    run(4 * capacity as u64); // every page was written to
    let before = switches();
    let (start, mut frames) = (Instant::now(), 0);
    while start.elapsed() < lasts {
        run(1024);
        frames += 1024;
    }
    let mean = start.elapsed().as_nanos() as f64 / frames as f64;
    let disturbed = switches().1 - before.1;
    let extra = if stamped { percentile(&mut tx, &mut source, lasts) } else { 0.0 };
    for child in &children {
        child.signal(libc::SIGCONT);
    }
    talk.say(END, 1);
    for child in children {
        assert!(child.ends_within(STUCK), "a reader failed");
    }
    if !stopped {
        let saw = |number| talk.word(READERS + number).load(Acquire) > 0;
        assert!((0..readers).all(saw), "a reader saw nothing");
    }
    Sample { value: mean, extra, disturbed }
}

/// The 99.99th percentile of what one send takes, in ns.
fn percentile<const N: usize>(tx: &mut impl Tx<N>, source: &mut Source<N>, lasts: Duration) -> f64 {
    let mut took = Vec::with_capacity(1 << 22);
    let start = Instant::now();
    let mut began = start;
    while began - start < lasts && took.len() < 1 << 22 {
        tx.send(source.frame());
        source.sent();
        let now = Instant::now();
        took.push((now - began).as_nanos() as f64);
        began = now;
    }
    let at = took.len() - 1 - took.len() / 10_000;
    *took.select_nth_unstable_by(at, f64::total_cmp).1
}

/// Millions of 64-byte items a second through a queue, by two producers and two consumers: each one taken once, in its
/// producer's order, with every word right.
pub fn queue<L: Link<8>>(capacity: usize, most: usize, lasts: Duration) -> Sample {
    let talk = Talk::new();
    let link = L::new(capacity);
    let push = |number: u64| {
        side::pin(number as usize);
        let mut tx = link.tx();
        talk.word(GO).fetch_add(1, AcqRel);
        talk.hear(GO, 4);
        let start = Instant::now();
        let mut item = 0;
        while !item_is_last(item, start, lasts) {
            let frame: [u64; 8] = std::array::from_fn(|word| (number << 56 | item) + word as u64);
            until_taken(|| tx.send(&frame));
            item += 1;
        }
        talk.say(READERS + number as usize, item);
        talk.word(DONE).fetch_add(1, AcqRel);
        talk.hear(END, 2); // all was taken: only now may it leave
    };
    let take = |number: u64| {
        side::pin(number as usize);
        let mut rx = link.rx();
        talk.word(GO).fetch_add(1, AcqRel);
        talk.hear(GO, 4);
        let (mut next, mut counts, mut wrong) = ([0; 2], [0u64; 2], 0);
        let (mut all, mut idle) = ([0u64; 2], 0u32);
        loop {
            let found = rx.receive(most, |frame| {
                let (producer, item) = ((frame[0] >> 56) as usize & 1, frame[0] & ((1 << 56) - 1));
                wrong |= u64::from(item < next[producer]);
                next[producer] = item + 1;
                counts[producer] += 1;
                all[producer] = all[producer].wrapping_add(item);
                for (word, place) in frame.iter().zip(0..) {
                    wrong |= word ^ (frame[0] + place);
                }
            });
            if found > 0 {
                idle = 0;
                continue;
            }
            hint::spin_loop();
            idle += 1;
            if idle.is_multiple_of(64) {
                talk.say(TAKEN + number as usize, counts[0] + counts[1]);
                if talk.word(DONE).load(Acquire) == 2 {
                    let pushed = (0..2).map(|of| talk.word(READERS + of).load(Acquire)).sum::<u64>();
                    let taken = (0..2).map(|of| talk.word(TAKEN + of).load(Acquire)).sum::<u64>();
                    if taken >= pushed {
                        break;
                    }
                }
                thread::yield_now();
            }
        }
        assert_eq!(wrong, 0, "what came is not what was sent");
        for producer in 0..2 {
            talk.word(SUMS + producer).fetch_add(all[producer], AcqRel);
            talk.word(COUNTS + producer).fetch_add(counts[producer], AcqRel);
        }
        talk.word(END).fetch_add(1, AcqRel);
    };
    let start = Instant::now();
    match L::PLACE {
        Place::Process => {
            let mut children: Vec<Child> = (0..2).map(|number| Child::fork(|| push(number))).collect();
            children.extend((0..2).map(|number| Child::fork(|| take(number))));
            for child in children {
                assert!(child.ends_within(STUCK), "one of four failed");
            }
        }
        Place::Thread => thread::scope(|scope| {
            let (push, take) = (&push, &take);
            for number in 0..2 {
                scope.spawn(move || push(number));
                scope.spawn(move || take(number));
            }
        }),
    }
    let took = start.elapsed();
    let mut items = 0;
    for producer in 0..2 {
        let pushed = talk.word(READERS + producer).load(Acquire);
        assert_eq!(talk.word(COUNTS + producer).load(Acquire), pushed, "each item is taken once");
        let sum = (0..pushed).fold(0u64, u64::wrapping_add);
        assert_eq!(talk.word(SUMS + producer).load(Acquire), sum, "each item is taken once");
        items += pushed;
    }
    Sample { value: items as f64 / took.as_nanos() as f64 * 1e3, ..Sample::default() }
}

fn item_is_last(item: u64, start: Instant, lasts: Duration) -> bool {
    item.is_multiple_of(256) && start.elapsed() >= lasts
}

/// As [`until_done`], of four on two processors: who cannot go on lets another.
#[inline(always)]
fn until_taken(mut step: impl FnMut() -> bool) {
    for tries in 1.. {
        if step() {
            return;
        }
        hint::spin_loop();
        if tries % 64 == 0 {
            thread::yield_now();
        }
    }
}

/// What it takes to attach, in ns: the median.
pub fn attach<A: Attach>(times: usize) -> Sample {
    let made = A::new();
    side::pin(0);
    for _ in 0..times / 10 {
        made.once();
    }
    Sample { value: median((0..times).map(|_| made.once().as_nanos() as f64).collect()), ..Sample::default() }
}

/// What it takes to send where nobody is, in ns.
pub fn uncontended<const N: usize, L: Link<N>>(capacity: usize, lasts: Duration) -> Sample {
    fan::<N, L>(capacity, 0, false, false, lasts)
}
