//! What is done with a transport, and how long it takes. Each run is a process of its own, so that nothing of one stays for the
//! next; what it found comes back through a shared page.

use crate::link::{Link, Rx, Tx};
use crate::payload::{Check, Frame, Source};
use crate::side::{self, Child, STUCK, Talk, beside, switches};
use std::hint;
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

/// Runs `measure` in a process of its own.
pub fn alone(measure: impl FnOnce() -> Sample) -> Option<Sample> {
    let talk = Talk::new();
    let child = Child::fork(|| {
        let sample = measure();
        talk.say(VALUE, sample.value.to_bits());
        talk.say(VALUE + 1, sample.extra.to_bits());
        talk.say(VALUE + 2, sample.disturbed);
    });
    let get = |index| talk.word(index).load(std::sync::atomic::Ordering::Acquire);
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
pub fn stream<const N: usize, L: Link<N>>(capacity: usize, batch: usize, most: usize, lasts: Duration) -> Sample {
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
                let said = talk.word(END).load(std::sync::atomic::Ordering::Relaxed);
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
        let disturbed = switches().1 - before.1 + talk.word(FAR_DISTURBED).load(std::sync::atomic::Ordering::Acquire);
        let bytes = (frames as usize * size_of::<Frame<N>>()) as f64;
        Sample { value: bytes / took.as_nanos() as f64, extra: 0.0, disturbed }
    })
}

/// Round trips in one block: a look at the clock costs a tenth of one.
const TRIPS: usize = 16;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median round trip of one frame, in ns: both sides poll.
pub fn round_trip<const N: usize, L: Link<N>>(lasts: Duration) -> Sample {
    trip::<N, L, false>([L::new(64), L::new(64)], lasts)
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
        while check.position() < end.load(std::sync::atomic::Ordering::Relaxed) {
            receive_one::<N, ASLEEP>(&mut rx, &mut check);
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
            took.push((now - began).as_nanos() as f64 / block as f64);
            began = now;
        }
        let after = switches();
        once(true);
        check.right();
        talk.hear(DONE, 1);
        talk.say(DONE, 2);
        let get = |index| talk.word(index).load(std::sync::atomic::Ordering::Acquire);
        let trips = (took.len() * block) as f64;
        Sample {
            value: median(took),
            extra: (after.0 - before.0) as f64 / trips,
            disturbed: if block == 1 { 0 } else { after.1 - before.1 + get(FAR_DISTURBED) },
        }
    })
}

/// Which processor readers run on: not the producer's, where there is another.
pub fn readers_processor() {
    side::pin(1);
}
