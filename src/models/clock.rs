//! The latch of the clock: no record that is half one and half another, the newest one for whoever looks again, and
//! the last whole one after a death at any store.

use super::{Model, Mutant, Seen};
use crate::clock::{Reader, Teller, Words};
use crate::layout::{CLOCK_WORDS, ClockLatch, ClockSlot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use loom::thread;
use std::sync::Arc;

fn latch() -> Arc<ClockLatch> {
    let slot = || ClockSlot { words: core::array::from_fn(|_| AtomicU64::new(0)) };
    Arc::new(ClockLatch { index: AtomicU64::new(0), slots: [slot(), slot()] })
}

/// The record of that number: the words follow from it.
fn record(number: u64) -> Words {
    core::array::from_fn(|word| if word == 0 { number } else { !number })
}

/// The number of a record that is whole.
fn number(record: Words) -> u64 {
    assert_eq!(record[0], !record[CLOCK_WORDS - 1], "a torn record");
    record[0]
}

/// Looks, and never sees an older record than before.
fn look(reader: &Reader, latch: &ClockLatch, before: u64, seen: &Seen) -> u64 {
    let found = reader.look(latch).map_or(0, number);
    assert!(found >= before, "the clock went back");
    seen.saw(["nothing told", "the first", "the second", "the third"][found as usize]);
    found
}

/// Two records are told while somebody looks twice. One who finds its slot filled anew finds the next one whole.
#[test]
fn told() {
    let model = Model::new("clock::told").preemptions(4).explore(|seen| {
        let latch = latch();
        let mut teller = Teller::take_over(&latch);
        teller.tell(&latch, &record(1));
        let told = Arc::clone(&latch);
        let producer = thread::spawn(move || {
            for next in 2..4 {
                teller.tell(&told, &record(next));
            }
        });
        let seen = seen.clone();
        let looking = thread::spawn(move || {
            let found = look(&Reader::default(), &latch, 0, &seen);
            assert_ne!(found, 0, "given up, although it would have had one");
            look(&Reader::default(), &latch, found, &seen);
        });
        producer.join().unwrap();
        looking.join().unwrap();
    });
    model.reached(&["the first", "the second", "the third"]);
}

/// A producer is killed at each store of an update, and another one goes on, while somebody looks.
#[test]
fn cut_short() {
    const DEATHS: usize = CLOCK_WORDS + 2;
    let mut model = Model::new("clock::cut_short").preemptions(3);
    for death in 0..DEATHS {
        model = model.explore(move |seen| {
            let latch = latch();
            let seat = Arc::new(AtomicU64::new(1));
            let mut first = Teller::take_over(&latch);
            first.tell(&latch, &record(1));
            let (left, told) = (Arc::clone(&seat), Arc::clone(&latch));
            let killed = thread::spawn(move || {
                first.fill(&told, &record(2)[..death.min(CLOCK_WORDS)]);
                if death > CLOCK_WORDS {
                    first.flip(&told);
                }
                // The kernel unlocks the seat of the dead.
                left.store(0, if Mutant::SeatOrders.holds() { Release } else { Relaxed });
            });
            let (taken, outcomes) = (Arc::clone(&latch), seen.clone());
            let second = thread::spawn(move || {
                if seat.load(if Mutant::SeatOrders.holds() { Acquire } else { Relaxed }) != 0 {
                    outcomes.saw("the seat was busy");
                    return;
                }
                Teller::take_over(&taken).tell(&taken, &record(3));
            });
            let seen = seen.clone();
            let looking = thread::spawn(move || {
                let found = look(&Reader::default(), &latch, 0, &seen);
                assert!(found != 2 || death > CLOCK_WORDS, "a record that was never told");
                assert!(found > 0, "nothing, although one was told before");
            });
            killed.join().unwrap();
            second.join().unwrap();
            looking.join().unwrap();
        });
    }
    model.reached(&["the first", "the second", "the seat was busy", "the third"]);
}
