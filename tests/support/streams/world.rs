//! The handles on both sides: real ones, and where the oracle says that they are.

use super::Place;
use super::oracle::{Lease, NONE, Object};
use super::shape::{Shape, frames};
use annulus::{
    Consumer, Error, Existing, Frames, GroupConsumer, Kind, Observer, Producer, ProducerState, PushError,
    ReadError, Role, Start, Wait,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

type Shared = Rc<RefCell<Object>>;

/// Handles of one role: more than there are seats.
const HANDLES_MAX: usize = 5;
/// Most frames that are read one by one.
const IN_A_ROW: u64 = 100;
/// Positions end before it.
const POSITION_LIMIT: u64 = 1 << 63;

struct Producing {
    handle: Producer<u8>,
    of: Shared,
    lane: usize,
    lease: Lease,
}

struct Consuming {
    handle: Consumer<u8>,
    of: Shared,
    at: u64,
    told: u64,
}

struct Sharing {
    handle: GroupConsumer<u8>,
    of: Shared,
    seat: usize,
    told: Vec<u64>,
    taken: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Seat {
    None,
    Plain(usize),
    Lossless(usize),
}

struct Observing {
    handle: Observer<u8>,
    of: Shared,
    lane: usize,
    seat: Seat,
    at: u64,
    told: u64,
    lost: u64,
    skipped: u64,
}

pub struct World<'a> {
    place: &'a Place<'a>,
    shape: Shape,
    /// What has the name now.
    current: Option<Shared>,
    streams: u64,
    /// Of the parameters, what differs between one stream and another.
    variant: u64,
    producers: Vec<Producing>,
    consumers: Vec<Consuming>,
    group: Vec<Sharing>,
    observers: Vec<Observing>,
}

fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "NotFound",
        Error::AlreadyExists { .. } => "AlreadyExists",
        Error::WriterBusy { .. } => "WriterBusy",
        Error::ConsumerBusy { .. } => "ConsumerBusy",
        Error::NoFreeLane { .. } => "NoFreeLane",
        Error::Incompatible { .. } => "Incompatible",
        Error::NoSeat { .. } => "NoSeat",
        Error::LosslessBusy { .. } => "LosslessBusy",
        Error::WrongKind { .. } => "WrongKind",
        Error::Finished { .. } => "Finished",
        Error::BadParameter { .. } => "BadParameter",
        _ => panic!("{error}"),
    }
}

/// What is there now, if that was predicted.
fn agreed<T>(done: Result<T, Error>, expected: Result<(), &'static str>, what: &str) -> Option<T> {
    let found = done.as_ref().map(drop).map_err(kind_of);
    assert_eq!(found, expected, "{what}: {:?}", done.as_ref().err());
    done.ok()
}

fn a_wait(frames: u64) -> Wait {
    Wait::new().frames(frames).timeout(Duration::ZERO)
}

/// A free one of the seats.
fn sit(seats: &mut [bool]) -> Option<usize> {
    let free = seats.iter().position(|held| !held)?;
    seats[free] = true;
    Some(free)
}

/// The stream's frames in `bytes`.
fn assert_frames(of: &Object, lane: usize, first: u64, bytes: &[u8], what: &str) {
    let count = (bytes.len() / of.shape.frame) as u64;
    let expected = frames(of.number, lane, first, count, of.shape.frame);
    assert!(bytes == expected, "{what}: other frames at {first} of lane {lane}, {count} of them");
}

impl<'a> World<'a> {
    pub fn new(place: &'a Place<'a>, shape: Shape) -> Self {
        Self {
            place,
            shape,
            current: None,
            streams: 0,
            variant: 0,
            producers: Vec::new(),
            consumers: Vec::new(),
            group: Vec::new(),
            observers: Vec::new(),
        }
    }

    pub fn operate(&mut self, operation: usize, who: usize, amount: u64) {
        match operation % 24 {
            0 => self.create_producer(who, amount),
            1 => self.open_producer(),
            2 => self.consume(who, amount),
            3 | 4 => self.look_on(who, amount),
            5..=7 => self.push(who, amount),
            8 => self.push_wait(who, amount),
            9 | 10 => self.reserve(who, amount),
            11 => self.drain(who),
            12 | 13 => self.take(who, amount),
            14 => self.chunk(who, amount),
            15 | 16 => self.take_shared(who, amount),
            17..=19 => self.observe(who, amount),
            20 => self.seek(who, amount),
            21 => self.leave(who, amount),
            22 if amount.is_multiple_of(3) => self.finish(who),
            22 => self.leave(who, amount),
            _ => self.remove(who),
        }
    }

    fn builder(&self) -> annulus::Builder {
        self.shape.apply(self.place.create()).metadata_json(self.variant.to_string())
    }

    // Coming.

    /// Whether the name goes to a new object, if somebody creates `existing`; else what is said.
    fn becomes_new(&self, existing: Existing, variant: u64, consumes: bool) -> Result<bool, &'static str> {
        let Some(of) = &self.current else { return Ok(true) };
        let of = of.borrow();
        let same = variant == self.variant;
        match existing {
            Existing::Refuse => return Err("AlreadyExists"),
            Existing::Resume if same => {
                let goes_on = !of.has_ended() || consumes && !of.is_taken();
                return Ok(!goes_on);
            }
            _ => {}
        }
        match of.holder() {
            Some(holder) => Err(if same { holder } else { "Incompatible" }),
            None => Ok(true),
        }
    }

    /// The object that an operation met, a new one if it made one.
    fn arrive(&mut self, new: bool, capacity: u64) -> Shared {
        if new {
            self.leave_name(false);
            self.streams += 1;
            self.current = Some(Rc::new(RefCell::new(Object::new(&self.shape, self.streams, capacity))));
        }
        let of = self.current.as_ref().expect("there is one");
        assert_eq!(of.borrow().capacity, capacity);
        Rc::clone(of)
    }

    fn leave_name(&mut self, by_force: bool) {
        if let Some(old) = self.current.take() {
            old.borrow_mut().retire(by_force);
        }
    }

    fn create_producer(&mut self, who: usize, amount: u64) {
        if self.producers.len() == HANDLES_MAX {
            return;
        }
        let existing = match who % 8 {
            0 => Existing::Refuse,
            1 => Existing::Replace,
            _ => Existing::Resume,
        };
        let variant = self.variant;
        if amount % 16 == 1 {
            self.variant += 1;
        }
        let new = self.becomes_new(existing, variant, false);
        let expected = match (&new, &self.current) {
            (Ok(false), Some(of)) => of.borrow().free_lane().map(drop),
            (new, _) => new.map(drop),
        };
        let made = self.builder().existing(existing).producer::<u8>();
        let Some(handle) = agreed(made, expected, "create") else {
            self.variant = variant;
            return;
        };
        let of = self.arrive(new == Ok(true), handle.info().capacity);
        self.produce(handle, of);
    }

    fn open_producer(&mut self) {
        if self.producers.len() == HANDLES_MAX {
            return;
        }
        let expected = match &self.current {
            Some(of) => of.borrow().free_lane().map(drop),
            None => Err("NotFound"),
        };
        let opened = self.place.open().producer::<u8>();
        if let Some(handle) = agreed(opened, expected, "open as a producer") {
            let of = self.arrive(false, handle.info().capacity);
            self.produce(handle, of);
        }
    }

    fn produce(&mut self, handle: Producer<u8>, of: Shared) {
        let lane = of.borrow().free_lane().expect("it has got one");
        of.borrow_mut().take_over(lane);
        assert_eq!(handle.lane() as usize, lane);
        let producing = Producing { handle, of, lane, lease: Lease::default() };
        producing.check();
        self.producers.push(producing);
    }

    fn consume(&mut self, who: usize, amount: u64) {
        if self.consumers.len() + self.group.len() >= HANDLES_MAX {
            return;
        }
        let creates = who.is_multiple_of(2) && self.shape.kind != Kind::Broadcast;
        let new = if creates { self.becomes_new(Existing::Resume, self.variant, true) } else { Ok(false) };
        let busy = if self.shape.kind == Kind::Spsc { "ConsumerBusy" } else { "NoSeat" };
        let expected = match (new, &self.current) {
            (Ok(true), _) => Ok(()),
            (_, None) => Err("NotFound"),
            (Err(why), _) => Err(why),
            (_, Some(_)) if self.shape.kind == Kind::Broadcast => Err("WrongKind"),
            (Ok(false), Some(of)) if of.borrow().consumers.contains(&false) => Ok(()),
            (Ok(false), Some(_)) => Err(busy),
        };
        if self.shape.kind == Kind::Mpmc {
            let made = match creates {
                true => self.builder().group_consumer::<u8>(),
                false if amount.is_multiple_of(2) => self.place.open().group_consumer::<u8>(),
                false => self.place.open().group_consumer_bytes(),
            };
            let Some(handle) = agreed(made, expected, "join") else { return };
            let of = self.arrive(new == Ok(true), handle.info().capacity);
            let seat = sit(&mut of.borrow_mut().consumers).expect("it has got one");
            let told = of.borrow().lanes.iter().map(|lane| lane.epoch).collect();
            self.group.push(Sharing { handle, of, seat, told, taken: 0 });
            return;
        }
        let made = match creates {
            true => self.builder().consumer::<u8>(),
            false if amount.is_multiple_of(2) => self.place.open().consumer::<u8>(),
            false => self.place.open().consumer_bytes(),
        };
        let Some(handle) = agreed(made, expected, "consume") else { return };
        let of = self.arrive(new == Ok(true), handle.info().capacity);
        sit(&mut of.borrow_mut().consumers).expect("it has got one");
        let (at, told) = (of.borrow().lanes[0].head, of.borrow().lanes[0].epoch);
        let consuming = Consuming { handle, of, at, told };
        consuming.check();
        self.consumers.push(consuming);
    }

    fn start(&self, of: &Object, lane: usize, who: usize, amount: u64, lossless: bool) -> (Start, u64) {
        let (tail, oldest) = (of.lanes[lane].tail, of.oldest(lane));
        match (who >> 4) & 3 {
            0 => (Start::Now, tail),
            1 if lossless => (Start::Oldest, of.oldest_kept().min(tail)),
            1 => (Start::Oldest, oldest.min(tail)),
            2 => {
                // What is gone, what is there, and what is still to come.
                let position = (oldest + amount % (of.capacity * 2)).saturating_sub(of.capacity / 2);
                (Start::Position(position), position)
            }
            _ => {
                let position = [0, tail + amount, u64::MAX, POSITION_LIMIT - 1][amount as usize % 4];
                (Start::Position(position), position.min(POSITION_LIMIT))
            }
        }
    }

    fn look_on(&mut self, who: usize, amount: u64) {
        if self.observers.len() == HANDLES_MAX {
            return;
        }
        let lossless = who.is_multiple_of(3);
        let seated = lossless || amount % 5 != 1;
        let lane = if self.shape.kind == Kind::Mpmc { (who >> 6) % self.shape.lanes as usize } else { 0 };
        let open = self.place.open().lane(lane as u32);
        let open = if lossless { open.lossless() } else { open };
        let open = if seated { open } else { open.unseated() };
        let Some(of) = self.current.clone() else {
            agreed(open.observer::<u8>(), Err("NotFound"), "observe");
            return;
        };
        let (start, position) = self.start(&of.borrow(), lane, who, amount, lossless);
        let seats = |seats: &[bool]| if seats.contains(&false) { Ok(()) } else { Err("NoSeat") };
        let expected = match lossless {
            true if self.shape.lossless.is_none() => Err("WrongKind"),
            true => seats(&of.borrow().recorders),
            false if !self.shape.observable => Err("WrongKind"),
            false if seated => seats(&of.borrow().observers),
            false => Ok(()),
        };
        let Some(handle) = agreed(open.start(start).observer::<u8>(), expected, "observe") else { return };
        let mut observing =
            Observing { handle, lane, seat: Seat::None, at: position, told: 0, lost: 0, skipped: 0, of };
        let mut of = observing.of.borrow_mut();
        observing.told = of.lanes[lane].epoch;
        if lossless {
            let seat = sit(&mut of.recorders).expect("it has got one");
            observing.seat = Seat::Lossless(seat);
            assert_eq!(of.cursors[seat], NONE);
            let (_, skipped) = of.sit(seat, &mut observing.at, position);
            observing.skipped = if start == Start::Oldest { 0 } else { skipped };
        } else if seated {
            observing.seat = Seat::Plain(sit(&mut of.observers).expect("it has got one"));
        }
        drop(of);
        observing.check();
        self.observers.push(observing);
    }

    // Going.

    /// Whoever leaves last removes the object, unless it is kept.
    fn left(&mut self, of: &Shared) {
        let is_last = of.borrow().is_deserted() && !of.borrow().shape.keep;
        if is_last && self.current.as_ref().is_some_and(|current| Rc::ptr_eq(current, of)) {
            self.leave_name(false);
        }
    }

    fn leave(&mut self, who: usize, amount: u64) {
        let pick = |count: usize| if count == 0 { None } else { Some(who % count) };
        match amount % 4 {
            0 => {
                let Some(one) = pick(self.producers.len()) else { return };
                let Producing { handle, of, lane, .. } = self.producers.swap_remove(one);
                drop(handle);
                of.borrow_mut().lanes[lane].held = false;
                self.left(&of);
            }
            1 if self.shape.kind == Kind::Mpmc => {
                let Some(one) = pick(self.group.len()) else { return };
                let Sharing { handle, of, seat, .. } = self.group.swap_remove(one);
                drop(handle);
                of.borrow_mut().consumers[seat] = false;
                self.left(&of);
            }
            1 => {
                let Some(one) = pick(self.consumers.len()) else { return };
                let Consuming { handle, of, at, .. } = self.consumers.swap_remove(one);
                drop(handle);
                of.borrow_mut().give_back(at);
                of.borrow_mut().consumers[0] = false;
                self.left(&of);
            }
            _ => {
                let Some(one) = pick(self.observers.len()) else { return };
                let Observing { handle, of, seat, .. } = self.observers.swap_remove(one);
                drop(handle);
                match seat {
                    Seat::None => return, // it was never counted
                    Seat::Plain(seat) => of.borrow_mut().observers[seat] = false,
                    Seat::Lossless(seat) => {
                        of.borrow_mut().recorders[seat] = false;
                        of.borrow_mut().cursors[seat] = NONE;
                    }
                }
                self.left(&of);
            }
        }
    }

    fn finish(&mut self, who: usize) {
        if self.producers.is_empty() {
            return;
        }
        let Producing { handle, of, lane, .. } = self.producers.swap_remove(who % self.producers.len());
        handle.finish();
        of.borrow_mut().finish(lane);
        of.borrow_mut().lanes[lane].held = false;
        self.left(&of);
    }

    fn remove(&mut self, who: usize) {
        let by_force = who % 16 == 1;
        if who % 16 > 2 {
            return; // rarely: it ends most of what there is
        }
        let expected = match &self.current {
            None => Err("NotFound"),
            Some(_) if by_force => Ok(()),
            Some(of) => of.borrow().holder().map_or(Ok(()), Err),
        };
        let open = self.place.open();
        let removed = if by_force { open.remove_forcibly() } else { open.remove() };
        if agreed(removed, expected, "remove").is_some() {
            self.leave_name(by_force);
        }
    }

    // Pushing.

    fn push(&mut self, who: usize, amount: u64) {
        if let Some(one) = pick(&mut self.producers, who) {
            let (count, next) = (one.amount(amount), one.handle.position());
            let bytes = one.frames(next, count);
            if who & 0x80 != 0 && one.of.borrow().shape.frame > 1 {
                assert_eq!(one.handle.push(&vec![1; bytes.len() + 1]), Err(PushError::NotWholeFrames));
            }
            let expected = one.of.borrow_mut().space(one.lane, &mut one.lease, count);
            assert_eq!(one.handle.push(&bytes), expected, "push of {count}");
            if expected.is_ok() {
                one.of.borrow_mut().publish(one.lane, count);
            }
            one.check();
        }
    }

    fn push_wait(&mut self, who: usize, amount: u64) {
        if let Some(one) = pick(&mut self.producers, who) {
            let (count, next) = (one.amount(amount), one.handle.position());
            let bytes = one.frames(next, count);
            let (_, expected) = one.of.borrow_mut().push_wait(one.lane, &mut one.lease, count);
            let done = one.handle.push_wait(&bytes, Some(Duration::ZERO));
            assert_eq!(done, expected, "push_wait of {count}");
            one.check();
        }
    }

    fn reserve(&mut self, who: usize, amount: u64) {
        let Some(one) = pick(&mut self.producers, who) else { return };
        let of = Rc::clone(&one.of);
        let (capacity, frame, observable) = {
            let of = of.borrow();
            (of.capacity, of.shape.frame, of.shape.observable)
        };
        let count = one.amount(amount) / if observable { 3 } else { 1 };
        let limit = if observable { capacity / 4 } else { capacity };
        let expected = match count > limit {
            true => Err(PushError::TooLong),
            false => of.borrow_mut().space(one.lane, &mut one.lease, count),
        };
        let next = one.handle.position();
        let written = if who & 0x10 != 0 { count } else { (amount >> 8) & count };
        let commits = who & 0x20 != 0;
        let mut bytes = one.frames(next, written);
        if !commits {
            bytes.iter_mut().for_each(|byte| *byte = !*byte); // whoever sees them sees what never was
        }
        match one.handle.reserve(count as usize) {
            Err(why) => assert_eq!(Err(why), expected, "reserve {count}"),
            Ok(mut reserved) => {
                assert_eq!(expected, Ok(()), "reserve {count}");
                of.borrow_mut().announce(one.lane, count);
                if written == count && who & 0x40 != 0 {
                    let Some((first, rest)) = reserved.slices_mut() else {
                        assert!(observable);
                        return;
                    };
                    assert!(!observable && first.len() + rest.len() == bytes.len());
                    let (before, after) = bytes.split_at(first.len());
                    first.copy_from_slice(before);
                    rest.copy_from_slice(after);
                    if commits {
                        assert_eq!(reserved.commit_all(), Ok(()));
                    }
                } else {
                    let (before, after) = bytes.split_at(written as usize / 2 * frame);
                    assert_eq!((reserved.write(before), reserved.write(after)), (Ok(()), Ok(())));
                    assert_eq!(reserved.remaining() as u64, count - written);
                    let more = vec![0; (count - written + 1) as usize * frame];
                    assert_eq!(reserved.write(&more), Err(PushError::TooLong));
                    if commits {
                        assert_eq!(reserved.commit(), Ok(()));
                    }
                }
                if commits {
                    of.borrow_mut().publish(one.lane, written);
                }
            }
        }
        one.check();
    }

    fn drain(&mut self, who: usize) {
        if let Some(one) = pick(&mut self.producers, who) {
            let expected = one.of.borrow_mut().drain(one.lane);
            assert_eq!(one.handle.drain(Some(Duration::ZERO)), expected, "drain");
        }
    }

    // Reading.

    fn take(&mut self, who: usize, amount: u64) {
        let Some(one) = pick(&mut self.consumers, who) else { return };
        if who & 0x10 != 0 {
            one.handle.release();
            one.of.borrow_mut().give_back(one.at);
        }
        let (most, wanted) = one.amounts(who, amount);
        let times = if most == 1 && wanted.is_none() { 1 + (amount >> 8) % IN_A_ROW } else { 1 };
        for _ in 0..times {
            one.take(most, wanted);
        }
    }

    fn chunk(&mut self, who: usize, amount: u64) {
        let Some(one) = pick(&mut self.consumers, who) else { return };
        let (most, wanted) = one.amounts(who, amount);
        let expected = one.poll(most, wanted);
        let (first, frame) = (one.at, one.of.borrow().shape.frame);
        let chunk = match wanted {
            None => one.handle.try_chunk(most as usize),
            Some(frames) => one.handle.chunk(most as usize, a_wait(frames)),
        };
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(why) => {
                assert_eq!(Err(why), expected, "chunk");
                return;
            }
        };
        let frames = chunk.frames() as u64;
        assert_eq!((Ok(frames), chunk.first_position()), (expected, first), "chunk");
        let (before, after) = chunk.slices();
        let bytes = [before, after].concat();
        assert_eq!(bytes.len() as u64, frames * frame as u64);
        assert_frames(&one.of.borrow(), 0, first, &bytes, "chunk");
        if who & 0x20 == 0 {
            return; // and takes nothing
        }
        let taken = if who & 0x40 == 0 { frames } else { amount >> 8 };
        let taken = chunk.commit(taken as usize);
        assert_eq!(taken.frames as u64, frames.min(if who & 0x40 == 0 { frames } else { amount >> 8 }));
        one.account(taken);
        one.of.borrow_mut().give_back(one.at);
        one.check();
    }

    fn take_shared(&mut self, who: usize, amount: u64) {
        let Some(one) = pick(&mut self.group, who) else { return };
        let of = Rc::clone(&one.of);
        let frame = of.borrow().shape.frame;
        let most = 1 + amount % (of.borrow().capacity + 3);
        let mut out = vec![0xA5; most as usize * frame];
        let (read, nothing) = match who & 0x30 {
            0x10 => (one.handle.read(&mut out, a_wait(1)), ReadError::Timeout),
            _ => (one.handle.try_read(&mut out), ReadError::Empty),
        };
        let there: u64 = of.borrow().lanes.iter().map(|lane| lane.tail - lane.head).sum();
        let Ok(taken) = read else {
            assert_eq!(read.err(), Some(of.borrow().why_none(nothing)), "{there} frames are there");
            assert_eq!(there, 0, "a group's read found none");
            return;
        };
        let lane = taken.lane as usize;
        let mut of = of.borrow_mut();
        let (first, left) = (of.lanes[lane].head, of.lanes[lane].tail - of.lanes[lane].head);
        // Of a lane that it knew of it may not have looked for more.
        assert!((1..=left.min(most)).contains(&(taken.frames as u64)), "{taken:?}, {left} of {most}");
        assert_eq!((taken.first_position, taken.lost_before), (first, 0));
        assert_eq!(taken.restarted, of.restart(lane, &mut one.told[lane]));
        assert_frames(&of, lane, first, &out[..taken.frames * frame], "a group's read");
        of.lanes[lane].head += taken.frames as u64;
        one.taken += taken.frames as u64;
        assert_eq!((one.handle.taken(), one.handle.available()), (one.taken, there - taken.frames as u64));
    }

    fn observe(&mut self, who: usize, amount: u64) {
        if let Some(one) = pick(&mut self.observers, who) {
            let one_by_one = who & 0x60 == 0x40;
            for _ in 0..if one_by_one { 1 + amount % IN_A_ROW } else { 1 } {
                one.read(who, if one_by_one { 0 } else { amount });
                one.check();
            }
        }
    }

    fn seek(&mut self, who: usize, amount: u64) {
        if self.observers.is_empty() {
            return;
        }
        let index = who % self.observers.len();
        let one = &self.observers[index];
        let lossless = matches!(one.seat, Seat::Lossless(_));
        let (start, position) = self.start(&one.of.borrow(), one.lane, who, amount, lossless);
        let one = &mut self.observers[index];
        one.handle.seek(start);
        one.at = match one.seat {
            Seat::Lossless(seat) => {
                let mut at = one.at;
                let (lost, skipped) = one.of.borrow_mut().sit(seat, &mut at, position);
                one.lost += lost;
                one.skipped = if start == Start::Oldest { 0 } else { skipped };
                at
            }
            _ => position,
        };
        one.check();
    }

    // Looking.

    pub fn check_status(&self) {
        let status = self.place.open().status();
        let expected = if self.current.is_some() { Ok(()) } else { Err("NotFound") };
        let Some(status) = agreed(status, expected, "status") else { return };
        let shared = self.current.as_ref().expect("as predicted");
        let of = shared.borrow();
        let sum = |what: &dyn Fn(usize) -> u64| (0..of.lanes.len()).map(what).sum::<u64>();
        assert_eq!(status.position, sum(&|lane| of.lanes[lane].tail));
        assert_eq!(status.oldest, sum(&|lane| of.oldest(lane).min(of.lanes[lane].tail)));
        assert_eq!(status.epoch, sum(&|lane| of.lanes[lane].epoch));
        let taken = of.shape.kind != Kind::Broadcast;
        assert_eq!(status.head, taken.then(|| sum(&|lane| of.lanes[lane].head)));
        assert_eq!(
            (status.breaches.times, status.breaches.frames, status.retired),
            (of.breaches.0, of.breaches.1, false)
        );
        let states: Vec<ProducerState> = (0..of.lanes.len()).map(|lane| of.producer(lane)).collect();
        assert!(status.lanes.iter().map(|lane| lane.producer).eq(states));
        let info = &status.info;
        assert_eq!(
            (info.kind, info.frame_bytes, info.capacity),
            (of.shape.kind, of.shape.frame, of.capacity)
        );
        assert_eq!(
            (info.lanes, info.keep, info.observable),
            (of.shape.lanes, of.shape.keep, of.shape.observable)
        );

        let mut expected: Vec<(Role, u64, u64)> = Vec::new();
        let here = |other: &Shared| Rc::ptr_eq(shared, other);
        expected.extend(of.lanes.iter().filter(|lane| lane.held).map(|lane| (Role::Producer, lane.tail, 0)));
        expected
            .extend(self.consumers.iter().filter(|one| here(&one.of)).map(|one| (Role::Consumer, one.at, 0)));
        expected
            .extend(self.group.iter().filter(|one| here(&one.of)).map(|one| (Role::Consumer, one.taken, 0)));
        for one in self.observers.iter().filter(|one| here(&one.of)) {
            match one.seat {
                Seat::None => {}
                Seat::Plain(_) => expected.push((Role::Observer, one.at, one.lost)),
                Seat::Lossless(_) => expected.push((Role::Lossless, one.at, one.lost)),
            }
        }
        let found = status.attached.iter().map(|one| (one.role, one.position, one.lost));
        let mut found: Vec<_> = found.collect();
        // One who reads one by one does not say each time where it is, but what it lost.
        let lag = if of.shape.frame.is_multiple_of(8) { 64 } else { 0 };
        for seats in [&mut expected, &mut found] {
            seats.sort_by_key(|one| (one.0 as u32, one.2));
        }
        let lost = |seats: &[(Role, u64, u64)]| seats.iter().map(|one| (one.0, one.2)).collect::<Vec<_>>();
        assert_eq!(lost(&found), lost(&expected));
        for seats in [&mut expected, &mut found] {
            seats.sort_by_key(|one| (one.0 as u32, one.1));
        }
        let near = |found: &(Role, u64, u64), is: &(Role, u64, u64)| {
            let lag = if matches!(is.0, Role::Producer | Role::Lossless) { 0 } else { lag };
            found.1 <= is.1 && found.1 + lag >= is.1
        };
        assert!(
            found.iter().zip(&expected).all(|(found, is)| near(found, is)),
            "{found:?}, not {expected:?}"
        );
        assert!(status.attached.iter().all(|one| one.pid == std::process::id()));
    }
}

fn pick<T>(handles: &mut [T], who: usize) -> Option<&mut T> {
    let count = handles.len();
    if count == 0 { None } else { handles.get_mut(who % count) }
}

impl Producing {
    /// From nothing to a little more than the ring.
    fn amount(&self, amount: u64) -> u64 {
        let capacity = self.of.borrow().capacity;
        match amount % 4 {
            0 => amount / 4 % 4,
            1 => amount / 4 % (capacity / 8 + 2),
            _ => amount / 4 % (capacity + capacity / 4 + 2),
        }
    }

    fn frames(&self, first: u64, count: u64) -> Vec<u8> {
        let of = self.of.borrow();
        frames(of.number, self.lane, first, count, of.shape.frame)
    }

    fn check(&self) {
        let of = self.of.borrow();
        let lane = &of.lanes[self.lane];
        assert_eq!((self.handle.position(), self.handle.epoch()), (lane.tail, lane.epoch));
        assert_eq!((self.handle.breaches().times, self.handle.breaches().frames), of.breaches);
    }
}

impl Consuming {
    fn take(&mut self, most: u64, wanted: Option<u64>) {
        let mut out = vec![0xA5; most as usize * self.of.borrow().shape.frame];
        let expected = self.poll(most, wanted);
        let read = match wanted {
            None => self.handle.try_read(&mut out),
            Some(frames) => self.handle.read(&mut out, a_wait(frames)),
        };
        let first = self.at;
        let got = self.compare(read, expected);
        let of = self.of.borrow();
        assert_frames(&of, 0, first, &out[..got as usize * of.shape.frame], "read");
    }

    /// Most frames to read, and how many to wait for.
    fn amounts(&self, who: usize, amount: u64) -> (u64, Option<u64>) {
        let capacity = self.of.borrow().capacity;
        let most = if amount.is_multiple_of(2) { 1 } else { 1 + amount / 2 % (capacity + 3) };
        let wanted = 1 + (amount >> 8) % (most + 1).min(capacity + 1);
        (most, (who & 0x20 == 0).then_some(wanted))
    }

    /// How many frames a read gives, and what it does on the way.
    fn poll(&self, most: u64, wanted: Option<u64>) -> Result<u64, ReadError> {
        let mut of = self.of.borrow_mut();
        let there = of.lanes[0].tail - self.at;
        let nothing = if wanted.is_some() { ReadError::Timeout } else { ReadError::Empty };
        if let Some(wanted) = wanted {
            if wanted > most {
                return Err(ReadError::TooLong);
            }
            if there < wanted {
                of.give_back(self.at);
                if wanted > of.capacity {
                    return Err(ReadError::TooLong);
                }
            }
        }
        if there > 0 {
            return Ok(there.min(most));
        }
        of.give_back(self.at);
        Err(of.why_empty(0, nothing))
    }

    fn compare(&mut self, read: Result<Frames, ReadError>, expected: Result<u64, ReadError>) -> u64 {
        assert_eq!(read.map(|read| read.frames as u64), expected, "read");
        let Ok(taken) = read else { return 0 };
        self.account(taken);
        self.of.borrow_mut().take(self.at, taken.frames as u64);
        self.check();
        taken.frames as u64
    }

    fn account(&mut self, taken: Frames) {
        assert_eq!((taken.lane, taken.first_position, taken.lost_before), (0, self.at, 0));
        self.of.borrow().compare_restart(0, &mut self.told, taken);
        self.at += taken.frames as u64;
    }

    fn check(&self) {
        assert_eq!((self.handle.position(), self.handle.epoch()), (self.at, self.told));
        assert_eq!(self.handle.producer(), self.of.borrow().producer(0));
    }
}

impl Observing {
    fn read(&mut self, who: usize, amount: u64) {
        let mut of = self.of.borrow_mut();
        let most = 1 + amount % (of.capacity + 3);
        let wanted = 1 + (amount >> 8) % (most + 1);
        let waits = who & 0x20 != 0;
        let mut out = vec![0xA5; most as usize * of.shape.frame];
        let read = match waits {
            true => self.handle.read(&mut out, a_wait(wanted)),
            false => self.handle.try_read(&mut out),
        };
        if waits && (wanted > most || wanted > of.capacity) {
            assert_eq!(read, Err(ReadError::TooLong));
            return;
        }
        if waits && of.lanes[self.lane].tail <= self.at {
            assert_eq!(read, Err(of.why_empty(self.lane, ReadError::Timeout)));
            return;
        }
        let (first, frames, lost) = match self.seat {
            Seat::Lossless(seat) => {
                let (first, frames, lost) = of.record(seat, &mut self.at, most);
                (first, frames, lost + std::mem::take(&mut self.skipped))
            }
            _ => of.observe(self.lane, &mut self.at, most),
        };
        self.lost += lost;
        match read {
            Ok(read) => {
                assert_eq!(
                    (read.first_position, read.frames as u64, read.lost_before),
                    (first, frames, lost)
                );
                assert_eq!(read.lane as usize, self.lane);
                of.compare_restart(self.lane, &mut self.told, read);
                assert_frames(&of, self.lane, first, &out[..read.frames * of.shape.frame], "observed");
            }
            Err(why) if lost > 0 => assert_eq!((why, frames), (ReadError::Lapped { lost }, 0)),
            Err(why) => {
                assert_eq!((why, frames), (of.why_empty(self.lane, ReadError::Empty), 0));
            }
        }
    }

    fn check(&self) {
        let of = self.of.borrow();
        let handle = &self.handle;
        assert_eq!((handle.position(), handle.lost(), handle.epoch()), (self.at, self.lost, self.told));
        assert_eq!(handle.available(), of.lanes[self.lane].tail.saturating_sub(self.at));
        assert_eq!(handle.producer(), of.producer(self.lane));
    }
}
