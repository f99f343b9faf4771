//! Who is attached, and who is alive.
//!
//! A seat is *held* by a lock on one byte of the object; the kernel frees it when the holder dies. The entry in
//! the attach table is what the holder says of itself: a pid for messages, a position for listings, and
//! whether it is in use. In use, but not held: its holder died. Not in use: it left, or nobody came yet.

use crate::descriptor::Descriptor;
use crate::lane;
use crate::layout::{self, FREE, IN_USE, NONE};
use crate::ring::Death;
use crate::segment::{Lane, SeatPlace, Segment};
use crate::shm::lock::{LockFile, Mode};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::time::monotonic_ns;
use core::fmt;
use core::ops::Range;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// What a seat is for. Lane i's producer has seat i; the others follow in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// Pushes into a lane.
    Producer,
    /// Takes frames out.
    Consumer,
    /// Reads without taking, and is waited for.
    Lossless,
    /// Reads without taking.
    Observer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Lossless => "lossless",
            Self::Observer => "observer",
        })
    }
}

/// The seats for `role`.
pub(crate) fn range(of: &Descriptor, role: Role) -> Range<u32> {
    let consumers = of.lanes + of.consumers;
    match role {
        Role::Producer => 0..of.lanes,
        Role::Consumer => of.lanes..consumers,
        Role::Lossless => consumers..consumers + of.lossless,
        Role::Observer => consumers + of.lossless..of.seats(),
    }
}

/// Which of the lossless readers has `seat`, if it is one of theirs.
pub(crate) fn lossless(of: &Descriptor, seat: u32) -> Option<u32> {
    let seats = range(of, Role::Lossless);
    seats.contains(&seat).then(|| seat - seats.start)
}

/// Lets nobody wait for lossless readers that died. True if there were any that somebody waited for.
///
/// Whoever takes a seat locks its byte exclusively; one that nobody holds we lock shared, so that nobody comes meanwhile.
/// Like this the lock of one who may only read is not in our way.
pub(crate) fn bury(lock: &LockFile, segment: &Segment) -> io::Result<bool> {
    let mut buried = false;
    for seat in range(segment.descriptor(), Role::Lossless) {
        let Some(number) = lossless(segment.descriptor(), seat) else { continue };
        let byte = layout::SEAT_BYTES + u64::from(seat);
        let waits = || segment.gating(number).cursor.load(Relaxed) != NONE;
        if waits() && lock.try_lock(byte, Mode::Shared)? {
            buried |= waits();
            lane::free(segment.gating(number));
            lock.unlock(byte)?;
        }
    }
    Ok(buried)
}

/// What `seat` is for.
pub(crate) fn role(of: &Descriptor, seat: u32) -> Role {
    let all = [Role::Producer, Role::Consumer, Role::Lossless, Role::Observer];
    all.into_iter().find(|role| range(of, *role).contains(&seat)).unwrap_or(Role::Observer)
}

/// A seat that a handle holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) index: u32,
    /// The one who died in it before us, until we [`settle`]: if no handle comes of it, that one is still the
    /// last who sat there, and what it left behind stays.
    died: Option<u64>,
    settled: bool,
    generation: u64,
}

impl Seat {
    /// Where its holder says what there is to say of it.
    pub(crate) fn place(&self, segment: &Arc<Segment>) -> SeatPlace {
        segment.seat_place(self.index, self.generation)
    }
}

/// Why there is no seat to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// All are held.
    Held,
    /// None is held, but a lock of a mere reader is in the way.
    Barred,
    /// Of a producer: the stream was finished.
    Finished,
}

/// How long a seat may be barred before we believe it: a producer holds the lock of a dead reader's for a moment.
const BURIAL: Duration = Duration::from_secs(1);

/// Takes a free seat for `role`, and says who we are.
///
/// Whether a lane, or the stream, is finished is asked by who has its producer's seat, not before: else the one who
/// finished it may leave in between, and a finished stream does not keep the next one from taking the name while we
/// push.
pub(crate) fn take(
    lock: &LockFile,
    segment: &Arc<Segment>,
    role: Role,
) -> io::Result<Result<Seat, Refused>> {
    let seats = range(segment.descriptor(), role);
    let mut waiting = None;
    loop {
        let (mut finished, mut buried) = (0, false);
        for index in seats.clone() {
            let byte = layout::SEAT_BYTES + u64::from(index);
            if role == Role::Producer && is_finished(segment, index) {
                finished += 1;
            } else if lock.try_lock(byte, Mode::Exclusive)? {
                if role == Role::Producer && (is_finished(segment, index) || has_ended(lock, segment)) {
                    lock.unlock(byte)?;
                    finished += 1;
                    continue;
                }
                let entry = segment.seat(index);
                let died = (entry.state.load(Acquire) == IN_USE).then(|| entry.pid.load(Relaxed));
                let generation = describe(segment, index, role);
                return Ok(Ok(Seat { index, died, settled: false, generation }));
            } else if role == Role::Lossless {
                buried |= !lock.is_held(byte, 1)?;
            }
        }
        // Also beside others that are held.
        if buried && waiting.get_or_insert_with(Instant::now).elapsed() < BURIAL {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        if seats.is_empty() || any_held(lock, seats.clone())? {
            return Ok(Err(Refused::Held));
        }
        if finished == seats.len() || role == Role::Producer && has_ended(lock, segment) {
            return Ok(Err(Refused::Finished));
        }
        if lock.is_barred(layout::SEAT_BYTES + u64::from(seats.start), u64::from(seats.end - seats.start))? {
            return Ok(Err(Refused::Barred));
        }
        // Neither: a holder died between our looks. Its seat is free.
    }
}

/// Whether `lane` was finished.
fn is_finished(segment: &Segment, lane: u32) -> bool {
    segment.lane_block(lane).line.end.load(Acquire) != NONE
}

/// Whether the stream was finished: by all producers that ever came, and nobody but the caller is about to be one.
pub(crate) fn has_ended(lock: &LockFile, segment: &Arc<Segment>) -> bool {
    let lanes: Vec<Lane> = (0..segment.descriptor().lanes).map(|lane| segment.lane(lane)).collect();
    lane::ended(lanes.iter(), |lane| any_held(lock, lane..lane + 1).unwrap_or(true)).is_some()
}

/// Says that the seat is in use: from now on its holder dies in it, or leaves it.
pub(crate) fn settle(segment: &Segment, seat: &mut Seat) {
    segment.seat(seat.index).state.store(IN_USE, Release);
    seat.settled = true;
}

/// Never makes a seat free that its last holder died in, not even for a moment: we might die in that.
fn describe(segment: &Segment, seat: u32, role: Role) -> u64 {
    let entry = segment.seat(seat);
    let generation = entry.generation.load(Relaxed).wrapping_add(1);
    entry.generation.store(generation, Relaxed);
    entry.role.store(role as u32, Relaxed);
    entry.pid.store(std::process::id().into(), Relaxed);
    entry.since_monotonic_ns.store(monotonic_ns(), Relaxed);
    entry.position.store(0, Relaxed);
    entry.lost.store(0, Relaxed);
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(program().into_bytes()) {
        *to = from;
    }
    for (word, bytes) in entry.program.iter().zip(name.chunks_exact(8)) {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        word.store(u64::from_le_bytes(eight), Relaxed);
    }
    generation
}

/// Says that the holder leaves of its own will. The lock byte is its to free, afterwards.
pub(crate) fn leave(segment: &Segment, seat: &Seat) {
    let entry = segment.seat(seat.index);
    match seat.died {
        _ if seat.settled => entry.state.store(FREE, Release),
        Some(pid) => entry.pid.store(pid, Relaxed),
        None => {}
    }
}

/// Whether anybody but the caller holds a seat among `seats`.
pub(crate) fn any_held(lock: &LockFile, seats: Range<u32>) -> io::Result<bool> {
    lock.is_held(layout::SEAT_BYTES + u64::from(seats.start), u64::from(seats.end - seats.start))
}

/// Whether the last holder of `seat` died in it. Inside the gate: nobody comes, and one who leaves says so first.
pub(crate) fn died(lock: &LockFile, segment: &Segment, seat: u32) -> io::Result<bool> {
    let in_use = || segment.seat(seat).state.load(Acquire) == IN_USE;
    Ok(in_use() && !any_held(lock, seat..seat + 1)? && in_use())
}

/// What the entry of `seat` says of its holder.
pub(crate) fn pid(segment: &Segment, seat: u32) -> u32 {
    segment.seat(seat).pid.load(Relaxed) as u32
}

/// The program's name in the entry of `seat`.
pub(crate) fn program_of(segment: &Segment, seat: u32) -> String {
    let bytes: Vec<u8> =
        segment.seat(seat).program.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Whether the producer of `lane` is dead.
///
/// The four looks interleave with a producer that leaves, and with a successor that comes. Unlocked and in use
/// at once is a death; the second pair, with the same epoch, proves that it was at once: a successor raises the epoch
/// before its entry is in use, and one that leaves frees its entry first.
pub(crate) fn death(lock: &LockFile, segment: &Arc<Segment>, lane: u32) -> Option<Death> {
    let producer = segment.lane(lane);
    let look = || {
        let unlocked = !any_held(lock, lane..lane + 1).ok()?;
        (unlocked && segment.seat(lane).state.load(Acquire) == IN_USE).then(|| lane::epoch(&producer))
    };
    let first = look()?;
    (look()? == first).then(|| Death { pid: pid(segment, lane), epoch: first })
}

/// This program's name.
pub(crate) fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
