//! The gap ledger: no entry that is half one and half another, none out of order, what was overwritten counted, what a
//! dead producer left half-written never seen; and whoever has a frame knows of the gap before it.

use super::lane::{FRAME, frame, lane, whole};
use super::{Model, Mutant, Seen};
use crate::lane::{Observer, Writer};
use crate::layout::{GAP_WORDS, GAPS, GapEntry, Ledger};
use crate::ledger::{BEFORE, Found, Keeper, POSITION, Reader, Words, entries, missing_after};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use loom::thread;
use std::sync::Arc;

fn ledger() -> Arc<Ledger> {
    let entry = || GapEntry { words: core::array::from_fn(|_| AtomicU64::new(0)) };
    let entries = core::array::from_fn(|_| entry());
    Arc::new(Ledger { tail: AtomicU64::new(0), intent: AtomicU64::new(0), entries })
}

/// The entry of that number: it lies there, and each before it misses one frame.
fn entry(number: u64) -> Words {
    let mut entry = [0; GAP_WORDS];
    (entry[POSITION], entry[BEFORE]) = (100 + number, number);
    entry
}

/// Reads on, and holds what was found against what came before. Returns how many entries there were up to here.
fn look(reader: &mut Reader, ledger: &Ledger, mut before: u64, seen: &Seen) -> u64 {
    let least = entries(ledger);
    reader.read(ledger, 0..1000, |found| {
        before += match found {
            Found::Entry(found) => {
                assert_eq!(found, entry(before), "another entry, or a torn one");
                assert_eq!(missing_after(&found), before + 1);
                seen.saw("an entry");
                1
            }
            Found::Forgotten { entries, missing, in_all, position } => {
                assert_eq!(
                    (entries, in_all, position),
                    (missing, before + entries, 100 + before + entries),
                    "what was overwritten is miscounted"
                );
                seen.saw("some that were overwritten");
                entries
            }
        };
    });
    assert!(before + GAPS >= least, "an entry was not found");
    before
}

/// Entries are added, more than there is place for, while somebody looks twice.
#[test]
fn told() {
    let model = Model::new("ledger::told").preemptions(4).explore(|seen| {
        let ledger = ledger();
        let mut keeper = Keeper::take_over(&ledger);
        for number in 0..GAPS {
            keeper.add(&ledger, &entry(number));
        }
        let added = Arc::clone(&ledger);
        let producer = thread::spawn(move || {
            for number in GAPS..GAPS + 2 {
                keeper.add(&added, &entry(number));
            }
        });
        let seen = seen.clone();
        let looking = thread::spawn(move || {
            let mut reader = Reader::default();
            let found = look(&mut reader, &ledger, 0, &seen);
            look(&mut reader, &ledger, found, &seen);
        });
        producer.join().unwrap();
        looking.join().unwrap();
    });
    model.reached(&["an entry", "some that were overwritten"]);
}

/// A producer is killed at each step of an entry that overwrites another, and another one goes on, while somebody looks.
#[test]
fn cut_short() {
    const DEATHS: usize = GAP_WORDS + 3;
    let mut model = Model::new("ledger::cut_short").preemptions(3);
    for death in 0..DEATHS {
        model = model.explore(move |seen| {
            let ledger = ledger();
            let seat = Arc::new(AtomicU64::new(1));
            let mut first = Keeper::take_over(&ledger);
            for number in 0..GAPS {
                first.add(&ledger, &entry(number));
            }
            let (left, added) = (Arc::clone(&seat), Arc::clone(&ledger));
            let killed = thread::spawn(move || {
                if death > 0 {
                    first.announce(&added);
                    first.write(&added, &entry(GAPS)[..(death - 1).min(GAP_WORDS)]);
                }
                if death > GAP_WORDS + 1 {
                    first.publish(&added);
                }
                // The kernel unlocks the seat of the dead.
                left.store(0, if Mutant::SeatOrders.holds() { Release } else { Relaxed });
            });
            let (taken, outcomes) = (Arc::clone(&ledger), seen.clone());
            let second = thread::spawn(move || {
                if seat.load(if Mutant::SeatOrders.holds() { Acquire } else { Relaxed }) != 0 {
                    outcomes.saw("the seat was busy");
                    return;
                }
                let mut keeper = Keeper::take_over(&taken);
                let next = entries(&taken);
                keeper.add(&taken, &entry(next));
            });
            let seen = seen.clone();
            let looking = thread::spawn(move || {
                look(&mut Reader::default(), &ledger, 0, &seen);
            });
            killed.join().unwrap();
            second.join().unwrap();
            looking.join().unwrap();
        });
    }
    model.reached(&["an entry", "some that were overwritten", "the seat was busy"]);
}

/// A gap is written down, then the frame behind it pushed, while somebody reads: who has the frame knows of the gap.
#[test]
fn behind() {
    let model = Model::new("ledger::behind").explore(|seen| {
        let (ledger, lane) = (ledger(), lane(2, 0));
        let mut keeper = Keeper::take_over(&ledger);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let added = Arc::clone(&ledger);
        let producer = thread::spawn(move || {
            if Mutant::GapFirst.holds() {
                keeper.add(&added, &entry(0));
            }
            writer.write(&frame(0, 0), 1).unwrap();
            if !Mutant::GapFirst.holds() {
                keeper.add(&added, &entry(0));
            }
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let mut out = [0; FRAME];
            let read = Observer::attach(lane, 0).read(&mut out, 1).expect("positions in order");
            if read.frames == 0 {
                seen.saw("nothing yet");
                return;
            }
            whole(&out);
            let mut found = 0;
            Reader::default().read(&ledger, 0..1000, |_| found += 1);
            assert_eq!(found, 1, "a frame without the gap before it");
            seen.saw("a gap and a frame");
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&["a gap and a frame", "nothing yet"]);
}
