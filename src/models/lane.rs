//! The lane protocol: torn frames, frames lost or taken twice, and races on frames that are used in place.
//!
//! Every frame is two words that follow from its position and its producer's epoch, so that a reader can tell
//! what it copied. Lanes hold two frames, the least that wraps, and begin full where that saves steps.

use super::{Model, Mutant, Seen};
use crate::lane::{Exclusive, Group, Observer, WriteError, Writer, epoch, epoch_start, readable};
use crate::segment::Lane;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

pub(super) const FRAME: usize = 16;

fn word(epoch: u64, position: u64, place: u64) -> u64 {
    let value = epoch << 32 | position;
    if place == 0 { value } else { !value }
}

pub(super) fn frame(epoch: u64, position: u64) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    bytes[..8].copy_from_slice(&word(epoch, position, 0).to_le_bytes());
    bytes[8..].copy_from_slice(&word(epoch, position, 1).to_le_bytes());
    bytes
}

/// A lane of `capacity` frames; those before `tail` were published in epoch 0.
pub(super) fn lane(capacity: u64, tail: u64) -> Lane {
    Lane::begun(capacity, 2, 0, tail, |position, place| word(0, position, place))
}

/// Position and epoch of a frame that was copied out whole.
pub(super) fn whole(bytes: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(word(0), !word(8), "a torn frame");
    (word(0) & 0xFFFF_FFFF, word(0) >> 32)
}

/// Reads once, and holds what was read against what it claims to be. `author` says whose frame is where.
/// Returns the epoch of the last frame.
fn observe(observer: &mut Observer, most: u64, seen: &Seen, author: impl Fn(u64) -> u64) -> Option<u64> {
    let from = observer.position();
    let mut out = [0; 2 * FRAME];
    let observed = observer.read(&mut out, most).expect("positions in order");
    assert_eq!(observed.first, from + observed.lost, "the loss is miscounted");
    assert_eq!(observer.position(), observed.first + observed.frames, "the cursor is misplaced");
    let mut last = None;
    for (position, bytes) in (observed.first..observer.position()).zip(out.chunks(FRAME)) {
        let epoch = author(position);
        assert_eq!(whole(bytes), (position, epoch), "another frame's bytes");
        last = Some(epoch);
    }
    seen.saw(match (observed.lost, observed.frames) {
        (0, 0) => "nothing new",
        (0, 1) => "a frame",
        (0, _) => "two frames",
        (_, 0) => "lapped",
        (_, 1) => "lapped, then a frame",
        (_, _) => "lapped, then two frames",
    });
    last
}

/// A broadcast producer overwrites a full lane while an observer reads it.
#[test]
fn observer() {
    let model = Model::new("lane::observer").preemptions(5).explore(|seen| {
        let lane = lane(2, 2);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let producer = thread::spawn(move || {
            for position in 2..4 {
                let frame = frame(0, position);
                if Mutant::IntentFirst.holds() {
                    writer.write(&frame, 1).unwrap();
                } else {
                    writer.store(writer.cursor(0), &frame);
                    writer.announce(1);
                    writer.publish(1);
                }
            }
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let mut observer = Observer::attach(lane, 0);
            observe(&mut observer, 2, &seen, |_| 0);
            observe(&mut observer, 1, &seen, |_| 0);
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&[
        "a frame",
        "lapped",
        "lapped, then a frame",
        "lapped, then two frames",
        "nothing new",
        "two frames",
    ]);
}

/// As `observer`, frame by frame, with no more looks than must be.
#[test]
fn observed_plainly() {
    let model = Model::new("lane::observed_plainly").preemptions(5).explore(|seen| {
        let lane = lane(2, 2);
        let mut writer = Writer::take_over(lane.again(), false, false).unwrap();
        let producer = thread::spawn(move || {
            for position in 2..4 {
                writer.write(&frame(0, position), 1).unwrap();
            }
        });
        let seen = seen.clone();
        let reader = thread::spawn(move || {
            let mut observer = Observer::attach(lane, 1);
            for _ in 0..3 {
                if observer.wants_to_look() {
                    let found = observer.look();
                    observer.plan(found, 2);
                }
                let mut out = [0; FRAME];
                if let Some(position) = observer.read_plain(&mut out) {
                    assert_eq!(whole(&out), (position, 0), "another frame's bytes");
                    seen.saw("a frame");
                } else {
                    seen.saw("nothing new, or lapped");
                }
            }
        });
        producer.join().unwrap();
        reader.join().unwrap();
    });
    model.reached(&["a frame", "nothing new, or lapped"]);
}

/// A producer is killed at each step of a write of two frames, and another one takes over, while an observer
/// reads on: never a frame that was written half, never one of an epoch that did not publish it.
#[test]
fn successor() {
    const DEATHS: u64 = 6;
    const PUBLISHED: u64 = 5;
    let mut model = Model::new("lane::successor").preemptions(3);
    for death in 0..DEATHS {
        model = model.explore(move |seen| {
            let lane = lane(3, 3);
            let seat = Arc::new(AtomicU64::new(1));
            let mut first = Writer::take_over(lane.again(), false, false).unwrap();
            let left = Arc::clone(&seat);
            let killed = thread::spawn(move || {
                let steps: [&dyn Fn(&mut Writer); PUBLISHED as usize] = [
                    &|writer| writer.announce(2),
                    &|writer| writer.store(writer.cursor(0), &frame(1, 3)[..8]),
                    &|writer| writer.store(writer.cursor(0), &frame(1, 3)),
                    &|writer| writer.store(writer.cursor(1), &frame(1, 4)),
                    &|writer| writer.publish(2),
                ];
                for step in &steps[..death as usize] {
                    step(&mut first);
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
                writer.write(&frame(2, writer.position()), 1).unwrap();
                outcomes.saw("succeeded");
            });
            let seen = seen.clone();
            let reader = thread::spawn(move || {
                let begins = if death == PUBLISHED { 5 } else { 3 };
                let author = |position| match position {
                    0..3 => 0,
                    position if position < begins => 1,
                    _ => 2,
                };
                let told = lane.again();
                let mut observer = Observer::attach(lane, 1);
                for _ in 0..2 {
                    let of = observe(&mut observer, 2, &seen, author);
                    if epoch(&told) == 2 {
                        assert_eq!(epoch_start(&told), begins, "an epoch that began elsewhere");
                        seen.saw("a new epoch");
                    } else {
                        assert_ne!(of, Some(2), "an epoch that nobody was told of");
                    }
                }
            });
            killed.join().unwrap();
            second.join().unwrap();
            reader.join().unwrap();
        });
    }
    model.reached(&[
        "a frame",
        "a new epoch",
        "lapped",
        "lapped, then a frame",
        "lapped, then two frames",
        "nothing new",
        "succeeded",
        "the seat was busy",
        "two frames",
    ]);
}

/// Writes frames one at a time, as often as it is let.
fn produce(writer: &mut Writer, attempts: usize, seen: &Seen) {
    for _ in 0..attempts {
        let position = writer.position();
        match writer.write(&frame(0, position), 1) {
            Ok(()) => seen.saw("pushed"),
            Err(WriteError::Full { free: 0 }) => seen.saw("full"),
            Err(error) => panic!("the producer found {error:?}"),
        }
    }
}

/// One consumer copies frames out of a lane that its producer fills.
#[test]
fn exclusive() {
    let model = Model::new("lane::exclusive").explore(|seen| {
        let lane = lane(2, 1);
        let mut writer = Writer::take_over(lane.again(), true, false).unwrap();
        let mut cursor = Exclusive::attach(lane).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || produce(&mut writer, 3, &outcomes));
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            for _ in 0..3 {
                let frames = cursor.available(2).expect("positions in order");
                let mut out = [0; 2 * FRAME];
                cursor.copy(&mut out[..frames as usize * FRAME]);
                for (position, bytes) in
                    (cursor.position()..cursor.position() + frames).zip(out.chunks(FRAME))
                {
                    assert_eq!(whole(bytes), (position, 0), "another frame's bytes");
                }
                cursor.take(frames);
                cursor.give_back();
                seen.saw(["empty", "took one", "took two"][frames as usize]);
            }
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["empty", "full", "pushed", "took one", "took two"]);
}

/// As `exclusive`, frame by frame, with no more looks than must be.
#[test]
fn taken_plainly() {
    let model = Model::new("lane::taken_plainly").explore(|seen| {
        let lane = lane(2, 1);
        let mut writer = Writer::take_over(lane.again(), true, false).unwrap();
        let mut cursor = Exclusive::attach(lane).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || produce(&mut writer, 3, &outcomes));
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            for _ in 0..3 {
                if cursor.wants_to_look() {
                    cursor.give_back();
                    let found = cursor.look();
                    cursor.plan(found, 2);
                }
                let mut out = [0; FRAME];
                if let Some(position) = cursor.take_plain(&mut out) {
                    assert_eq!(whole(&out), (position, 0), "another frame's bytes");
                    seen.saw("took one");
                } else {
                    seen.saw("empty");
                }
            }
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["empty", "full", "pushed", "took one"]);
}

/// What frames are while they are used in place: plain memory, which loom guards against any race.
#[expect(clippy::arc_with_non_send_sync, reason = "loom's threads take turns on one")]
pub(super) fn cells() -> Arc<[UnsafeCell<()>; 2]> {
    Arc::new([UnsafeCell::new(()), UnsafeCell::new(())])
}

/// Fills frames in place, as often as it is let.
pub(super) fn fill(writer: &mut Writer, cells: &[UnsafeCell<()>; 2], attempts: usize, seen: &Seen) {
    for _ in 0..attempts {
        match writer.check_space(1) {
            Ok(()) => {
                writer.announce(1);
                cells[writer.position() as usize % 2].with_mut(drop);
                writer.publish(1);
                seen.saw("pushed");
            }
            Err(WriteError::Full { free: 0 }) => seen.saw("full"),
            Err(error) => panic!("the producer found {error:?}"),
        }
    }
}

/// As `exclusive`, but both use the frames in place, as they are lent.
#[test]
fn lent() {
    let model = Model::new("lane::lent").explore(|seen| {
        let (lane, filled) = (lane(2, 0), cells());
        let used = Arc::clone(&filled);
        let mut writer = Writer::take_over(lane.again(), true, false).unwrap();
        let mut cursor = Exclusive::attach(lane).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || fill(&mut writer, &filled, 4, &outcomes));
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            for _ in 0..3 {
                let frames = cursor.available(1).expect("positions in order");
                for position in cursor.position()..cursor.position() + frames {
                    used[position as usize % 2].with(drop);
                }
                cursor.take(frames);
                cursor.give_back();
                seen.saw(["empty", "took one", "took two"][frames as usize]);
            }
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["empty", "full", "pushed", "took one", "took two"]);
}

/// A producer takes a full lane over and fills what its consumer gave back before: the edge from there.
#[test]
fn resumed() {
    let model = Model::new("lane::resumed").explore(|seen| {
        let (lane, filled) = (lane(2, 2), cells());
        let used = Arc::clone(&filled);
        let mut cursor = Exclusive::attach(lane.again()).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || {
            let mut writer = Writer::take_over(lane, true, false).expect("positions in order");
            fill(&mut writer, &filled, 1, &outcomes);
        });
        let consumer = thread::spawn(move || {
            used[0].with(drop);
            cursor.take(1);
            cursor.give_back();
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["full", "pushed"]);
}

/// Two consumers share a lane: each frame goes to one of them, whole, and none is passed over.
#[test]
fn group() {
    let model = Model::new("lane::group").preemptions(3).explore(|seen| {
        let lane = lane(2, 2);
        let mut writer = Writer::take_over(lane.again(), true, false).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || produce(&mut writer, 2, &outcomes));
        let members = [2, 1].map(|most| {
            let (mut member, seen) = (Group::attach(lane.again()), seen.clone());
            thread::spawn(move || {
                let mut taken = Vec::new();
                for _ in 0..2 {
                    let mut out = [0; 2 * FRAME];
                    let claimed = member.take(&mut out, most).expect("tail is not before head");
                    let (first, frames) = claimed.unwrap_or_default();
                    for (position, bytes) in (first..first + frames).zip(out.chunks(FRAME)) {
                        assert_eq!(whole(bytes), (position, 0), "another frame's bytes");
                        taken.push(position);
                    }
                    seen.saw(["empty", "took one", "took two"][frames as usize]);
                }
                taken
            })
        });
        producer.join().unwrap();
        let mut taken = members.map(|member| member.join().unwrap()).concat();
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..lane.head().load(Relaxed)), "not each frame once: {taken:?}");
        if taken.len() == 4 {
            seen.saw("all were taken");
        }
    });
    model.reached(&["all were taken", "empty", "full", "pushed", "took one", "took two"]);
}

/// A member of a group reads in place what it then claims: the edge from its CAS to the producer.
#[test]
fn group_lent() {
    let model = Model::new("lane::group_lent").explore(|seen| {
        let (lane, filled) = (lane(2, 0), cells());
        let used = Arc::clone(&filled);
        let mut writer = Writer::take_over(lane.again(), true, false).unwrap();
        let outcomes = seen.clone();
        let producer = thread::spawn(move || fill(&mut writer, &filled, 4, &outcomes));
        let seen = seen.clone();
        let consumer = thread::spawn(move || {
            let mut member = Group::attach(lane.again());
            for position in 0..3 {
                if readable(&lane) == position {
                    seen.saw("empty");
                    return;
                }
                used[position as usize % 2].with(drop);
                let taken = member.take(&mut [0; FRAME], 1).expect("tail is not before head");
                assert_eq!(taken, Some((position, 1)));
                seen.saw("took one");
            }
            seen.saw("took three");
        });
        producer.join().unwrap();
        consumer.join().unwrap();
    });
    model.reached(&["empty", "full", "pushed", "took one", "took three"]);
}
