//! Lossless readers: what the producer promised to keep it keeps, also from one that comes while it goes on without
//! looking; what it takes all the same both sides count alike; and one that waits for the other is woken.

use super::lane::{FRAME, cells, fill, frame, lane, whole};
use super::wait::{Immortal, frames, producer, ring};
use super::{Model, Mutant, Seen};
use crate::lane::{Lossless, Moved, WriteError, Writer, breaches, readable};
use crate::ring::ReadError;
use crate::ring::broadcast::{self, Observer};
use crate::segment::Lane;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::wait::{Fences, Strategy, Wait};
use loom::thread;
use std::sync::Arc;

/// Reads once: whole frames, from where it stood plus what it says was lost.
fn read(reader: &mut Lossless, most: u64, author: impl Fn(u64) -> u64) -> (u64, u64) {
    let from = reader.position();
    let mut out = [0; 2 * FRAME];
    let observed = reader.read(&mut out, most).expect("positions in order, and a seat");
    assert_eq!(observed.first, from + observed.lost, "the loss is miscounted");
    assert_eq!(reader.position(), observed.first + observed.frames, "the cursor is misplaced");
    for (position, bytes) in (observed.first..reader.position()).zip(out.chunks(FRAME)) {
        assert_eq!(whole(bytes), (position, author(position)), "another frame's bytes");
    }
    (observed.lost, observed.frames)
}

/// A reader sits down while a producer takes leases and uses them: from where it comes to sit it misses nothing. Frames
/// are one word: their position.
#[test]
fn attach() {
    let model = Model::new("lossless::attach").explore(|seen| {
        let lane = ring(2, 0, 2).with_lossless(1);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || {
            for _ in 0..3 {
                match writer.write(&frames(writer.position()..writer.position() + 1), 1) {
                    Ok(()) => outcomes.saw("pushed"),
                    Err(WriteError::Full { .. }) => outcomes.saw("full"),
                    Err(error) => panic!("the producer found {error:?}"),
                }
            }
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let (mut reader, skipped) = Lossless::attach(lane, 0, 1);
            let first = 1 + skipped;
            assert_eq!(reader.position(), first);
            seen.saw(["sat down", "moved up", "", "moved up to the second lease"][skipped as usize]);
            let mut out = [0; 8];
            let read = reader.read(&mut out, 1).expect("positions in order, and a seat");
            assert_eq!((read.first, read.lost), (first, 0), "what was promised is lost");
            if read.frames > 0 {
                assert_eq!(u64::from_le_bytes(out), first, "another frame's bytes");
            }
            seen.saw(["nothing new", "a frame"][read.frames as usize]);
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&[
        "a frame",
        "full",
        "moved up",
        "moved up to the second lease",
        "nothing new",
        "pushed",
        "sat down",
    ]);
}

/// What a reader is copying is in use, and its producer does not touch it: at the wrap, on memory that loom guards.
#[test]
fn kept() {
    let model = Model::new("lossless::kept").explore(|seen| {
        let (lane, filled) = (lane(2, 0).with_lossless(1), cells());
        let used = Arc::clone(&filled);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let (mut reader, _) = Lossless::attach(lane.again(), 0, 0);
        let outcomes = seen.clone();
        let producer = thread::spawn(move || fill(&mut writer, &filled, 3, &outcomes));
        let seen = seen.clone();
        let recorder = thread::spawn(move || {
            for position in 0..2 {
                if readable(&lane) == position {
                    seen.saw("empty");
                    return;
                }
                used[position as usize % 2].with(drop);
                let observed = reader.read(&mut [0; FRAME], 1).expect("positions in order, and a seat");
                assert_eq!((observed.first, observed.frames, observed.lost), (position, 1, 0));
                seen.saw("read one");
            }
            seen.saw("read two");
        });
        producer.join().unwrap();
        recorder.join().unwrap();
    });
    model.reached(&["empty", "full", "pushed", "read one", "read two"]);
}

/// A producer that may not wait passes a reader that had given everything back: it did not take anything, and what the
/// reader was copying is done.
#[test]
fn passed() {
    let model = Model::new("lossless::passed").explore(|seen| {
        let (lane, filled) = (lane(2, 2).with_lossless(1), cells());
        let used = Arc::clone(&filled);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let (mut reader, _) = Lossless::attach(lane.again(), 0, 0);
        let recorder = thread::spawn(move || {
            used[0].with(drop);
            used[1].with(drop);
            reader.read(&mut [0; 2 * FRAME], 2).expect("positions in order, and a seat");
        });
        let outcomes = seen.clone();
        let producer = thread::spawn(move || {
            writer.overtake(1);
            if breaches(&lane).frames > 0 {
                outcomes.saw("overtook");
                return;
            }
            filled[0].with_mut(drop);
            outcomes.saw("passed");
        });
        producer.join().unwrap();
        recorder.join().unwrap();
    });
    model.reached(&["overtook", "passed"]);
}

/// Writes frames one at a time, whoever is in the way.
fn overwrite(writer: &mut Writer, count: usize, seen: &Seen) {
    for _ in 0..count {
        let frame = frame(0, writer.position());
        if let Err(error) = writer.write(&frame, 1) {
            assert!(matches!(error, WriteError::Full { .. }), "the producer found {error:?}");
            writer.overtake(1);
            writer.write(&frame, 1).unwrap();
            seen.saw("overtook");
        }
    }
}

/// A producer that may not wait takes frames from a reader: never torn, and both count the same.
#[test]
fn overtaken() {
    let model = Model::new("lossless::overtaken").preemptions(3).explore(|seen| {
        let lane = lane(2, 2).with_lossless(1);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let (mut reader, _) = Lossless::attach(lane.again(), 0, 0);
        let outcomes = seen.clone();
        let producer = thread::spawn(move || overwrite(&mut writer, 3, &outcomes));
        let seen = seen.clone();
        let recorder = thread::spawn(move || {
            let mut lost = 0;
            for _ in 0..2 {
                let (missed, frames) = read(&mut reader, 2, |_| 0);
                lost += missed;
                seen.saw(match (missed, frames) {
                    (0, 0) => "nothing new",
                    (0, _) => "frames",
                    (_, 0) => "lost",
                    (_, _) => "lost, then frames",
                });
            }
            (reader, lost)
        });
        producer.join().unwrap();
        let (mut reader, lost) = recorder.join().unwrap();
        // It sits down elsewhere, and learns of what it had not noticed.
        let Moved { lost: unnoticed, .. } = reader.seek(u64::MAX);
        assert_eq!(breaches(&lane).frames, lost + unnoticed, "both sides count alike");
    });
    model.reached(&["frames", "lost", "lost, then frames", "nothing new", "overtook"]);
}

/// As `overtaken`, with a reader that sits down meanwhile.
#[test]
fn late() {
    let model = Model::new("lossless::late").preemptions(3).explore(|seen| {
        let lane = lane(2, 2).with_lossless(1);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || overwrite(&mut writer, 3, &outcomes));
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let (mut reader, skipped) = Lossless::attach(lane, 0, 1);
            seen.saw(if skipped > 0 { "moved up" } else { "sat down" });
            let (lost, frames) = read(&mut reader, 2, |_| 0);
            seen.saw(match (lost, frames) {
                (0, 0) => "nothing new",
                (0, _) => "frames",
                (_, 0) => "lost",
                (_, _) => "lost, then frames",
            });
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&[
        "frames",
        "lost",
        "lost, then frames",
        "moved up",
        "nothing new",
        "overtook",
        "sat down",
    ]);
}

/// A producer dies in a write that it announced, and its successor takes a lease that is shorter: a reader that sits down
/// does not count on frames that the dead one had begun to overwrite.
#[test]
fn heir() {
    let model = Model::new("lossless::heir").preemptions(3).explore(|seen| {
        let lane = lane(4, 4).with_lossless(1);
        let seat = Arc::new(AtomicU64::new(1));
        let mut first = Writer::take_over(lane.again(), false, false).unwrap();
        let left = Arc::clone(&seat);
        let killed = thread::spawn(move || {
            if first.check_space(3).is_ok() {
                first.announce(3);
                first.store(first.cursor(2), &frame(1, 6));
            }
            // The kernel unlocks the seat of the dead.
            left.store(0, if Mutant::SeatOrders.holds() { Release } else { Relaxed });
        });
        let (taken, outcomes) = (lane.again(), seen.clone());
        let second = thread::spawn(move || {
            if seat.load(if Mutant::SeatOrders.holds() { Acquire } else { Relaxed }) != 0 {
                outcomes.saw("the seat was busy");
                return;
            }
            let mut writer = Writer::take_over(taken, false, false).expect("positions in order");
            assert_eq!(writer.write(&frame(2, 4), 1).is_ok(), writer.position() == 5);
            outcomes.saw(if writer.position() == 5 { "succeeded" } else { "full" });
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let (mut reader, skipped) = Lossless::attach(lane, 0, 2);
            seen.saw(if skipped > 0 { "moved up" } else { "sat down" });
            let (lost, frames) = read(&mut reader, 2, |position| if position < 4 { 0 } else { 2 });
            assert_eq!(lost, 0, "what was promised is lost");
            seen.saw(["nothing new", "a frame", "two frames"][frames as usize]);
        });
        killed.join().unwrap();
        second.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&[
        "a frame",
        "full",
        "moved up",
        "sat down",
        "succeeded",
        "the seat was busy",
        "two frames",
    ]);
}

fn sitting(lane: &Lane, seat: u32) -> Observer {
    let (cursor, skipped) = Lossless::attach(lane.again(), seat, 0);
    Observer::lossless(cursor, skipped, Fences::register())
}

/// Waits for `wanted` frames and reads what there is then, at most so many.
fn take(reader: &mut Observer, wanted: u64, most: u64) -> Result<u64, ReadError> {
    let wait = Wait::new().frames(wanted).strategy(Strategy::Block);
    let first = reader.position();
    let mut out = vec![0; most as usize * 8];
    let read = reader.await_read(&mut out, most, wait, &Immortal)?;
    assert_eq!((read.first_position, read.lost_before), (first, 0), "lost");
    assert!(out.starts_with(&frames(first..reader.position())), "other frames' bytes");
    Ok(read.frames as u64)
}

/// A producer waits for space beside a recorder that waits for more than is there: neither waits for ever.
#[test]
fn recorder() {
    let model = Model::new("lossless::recorder").preemptions(3).explore(|seen| {
        let lane = ring(4, 0, 3).with_lossless(1);
        let mut pushing = producer(&lane, false);
        let mut reading = sitting(&lane, 0);
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push_wait(&frames(3..5), 2, wait, &Immortal).unwrap();
        });
        let seen = seen.clone();
        let recorder = thread::spawn(move || {
            while reading.position() < 5 {
                let wanted = (5 - reading.position()).min(4);
                let taken = take(&mut reading, wanted, 4).unwrap();
                seen.saw(if taken < wanted { "less than it waited for" } else { "what it waited for" });
            }
        });
        producer.join().unwrap();
        recorder.join().unwrap();
    });
    model.reached(&["less than it waited for", "what it waited for"]);
}

/// A producer waits for the slower of two: what the faster one gives back does not make it sleep on.
#[test]
fn two_recorders() {
    let model = Model::new("lossless::two_recorders").preemptions(2).explore(|seen| {
        let lane = ring(2, 0, 2).with_lossless(2);
        let mut pushing = producer(&lane, false);
        let readers = [0, 1].map(|seat| sitting(&lane, seat));
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push_wait(&frames(2..3), 1, wait, &Immortal).unwrap();
        });
        let readers = readers.map(|mut reader| {
            thread::spawn(move || {
                while reader.position() < 3 {
                    take(&mut reader, 1, 2).unwrap();
                }
            })
        });
        producer.join().unwrap();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        let woken = lane.space().seq.value(Relaxed) > 0;
        seen.saw(if woken { "the producer waited" } else { "the producer never waited" });
    });
    model.reached(&["the producer never waited", "the producer waited"]);
}

/// A producer waits for a recorder that leaves.
#[test]
fn leaving() {
    let model = Model::new("lossless::leaving").explore(|seen| {
        let lane = ring(2, 0, 2).with_lossless(1);
        let mut pushing = producer(&lane, false);
        let reader = sitting(&lane, 0);
        let producer = thread::spawn(move || {
            let wait = Wait::new().strategy(Strategy::Block);
            pushing.push_wait(&frames(2..3), 1, wait, &Immortal).unwrap();
        });
        let seen = seen.clone();
        let recorder = thread::spawn(move || {
            drop(reader);
            broadcast::leave(&lane, 0);
            seen.saw("left");
        });
        producer.join().unwrap();
        recorder.join().unwrap();
    });
    model.reached(&["left"]);
}
