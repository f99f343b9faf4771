//! ringfire 0.5: a ring of slots in /dev/shm, each behind its sequence number; one process writes, many read.
//!
//! [`Lossless`] is its back-pressure mode (its readers post how far they are), [`Fan`] its native one: the writer overwrites the
//! oldest. [`Queue`] is its `mpmc`, which overwrites too: here each consumer posts what it may still hold, and the
//! producers keep a ring's length from it. Without that it loses items. Sleeping is its futex wait without a spin before it.
//!
//! What it does not do that annulus does: read in place or in slices, wait for room without losing (`mpmc`), know a dead peer
//! in another pid namespace, sleep until several frames are there, go on where a killed writer stopped, carry a signal's metadata.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, STUCK, Shared, unique};
use ringfire::{
    FlowControl, FutexWait, MpmcProducer, MpmcQueueConsumer, RingConsumer, RingHeader, RingProducer,
    RingProducerBuilder, SLOT_WRITING, Slot,
};
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

/// A file in /dev/shm that goes with this.
struct Path(PathBuf);

impl Path {
    fn new(what: &str) -> Self {
        Self(PathBuf::from("/dev/shm").join(unique(what)))
    }

    /// Opens what the other side makes.
    fn open<T>(&self, attach: impl Fn(&PathBuf) -> ringfire::Result<T>) -> T {
        let until = Instant::now() + STUCK;
        loop {
            match attach(&self.0) {
                Ok(open) => return open,
                Err(error) => assert!(Instant::now() < until, "{}: {error}", self.0.display()),
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // its producer may have removed it
    }
}

fn ring_capacity(capacity: usize) -> u64 {
    capacity.next_power_of_two() as u64
}

fn oldest<const N: usize>(path: &PathBuf) -> ringfire::Result<RingConsumer<Frame<N>>> {
    RingConsumer::builder().start_from_oldest().attach(path)
}

/// Nothing is lost: the producer waits for its one registered reader.
pub struct Lossless<const N: usize> {
    path: Path,
    capacity: u64,
}

impl<const N: usize> Link<N> for Lossless<N> {
    const PLACE: Place = Place::Process;
    type Tx = LosslessTx<N>;
    type Rx = FrameRx<N>;

    fn new(capacity: usize) -> Self {
        Self { path: Path::new("ringfire"), capacity: ring_capacity(capacity) }
    }

    fn tx(&self) -> LosslessTx<N> {
        let builder = RingProducerBuilder::new(self.capacity).flow_control(FlowControl::LosslessBackpressure);
        LosslessTx { producer: builder.max_readers(1).build(&self.path.0).expect("a producer"), limit: 0 }
    }

    fn rx(&self) -> FrameRx<N> {
        FrameRx::new(self.path.open(oldest))
    }
}

pub struct LosslessTx<const N: usize> {
    producer: RingProducer<Frame<N>>,
    /// Up to which sequence number there is room, as far as was looked.
    limit: u64,
}

impl<const N: usize> Tx<N> for LosslessTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.producer.try_push(frame).is_ok()
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        // `push_batch` would wait, and `headroom` asks the system whether the readers live.
        let end = self.producer.next_sequence() + frames.len() as u64;
        if end > self.limit {
            let slowest = self.producer.registry().and_then(|readers| readers.min_cursor());
            self.limit = slowest.expect("a reader") + self.producer.capacity();
            if end > self.limit {
                return false;
            }
        }
        self.producer.push_batch(frames);
        true
    }
}

/// A reader: frames are copied out, several at a time where several are asked for.
pub struct FrameRx<const N: usize> {
    consumer: RingConsumer<Frame<N>>,
    block: Vec<Frame<N>>,
    wait: FutexWait,
}

impl<const N: usize> FrameRx<N> {
    fn new(consumer: RingConsumer<Frame<N>>) -> Self {
        Self { consumer, block: Vec::new(), wait: FutexWait::new(0, None) }
    }
}

impl<const N: usize> Rx<N> for FrameRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        if most == 1 {
            return self.consumer.try_recv().inspect(|frame| look(frame)).is_some().into();
        }
        if self.block.len() < most {
            self.block.resize(most, [0; N]);
        }
        let frames = self.consumer.recv_batch(&mut self.block[..most]);
        self.block[..frames].iter().for_each(look);
        frames
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<N>)) {
        look(&self.consumer.recv_blocking(&mut self.wait));
    }
}

/// Its native mode: any number of readers, and a producer that waits for none.
pub struct Fan<const N: usize> {
    path: Path,
    capacity: u64,
}

impl<const N: usize> Link<N> for Fan<N> {
    const PLACE: Place = Place::Process;
    type Tx = FanTx<N>;
    type Rx = FrameRx<N>;

    fn new(capacity: usize) -> Self {
        Self { path: Path::new("ringfire-fan"), capacity: ring_capacity(capacity) }
    }

    fn tx(&self) -> FanTx<N> {
        FanTx(RingProducer::create(&self.path.0, self.capacity).expect("a producer"))
    }

    fn rx(&self) -> FrameRx<N> {
        FrameRx::new(self.path.open(oldest))
    }
}

pub struct FanTx<const N: usize>(RingProducer<Frame<N>>);

impl<const N: usize> Tx<N> for FanTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.0.push(frame);
        true
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        self.0.push_batch(frames);
        true
    }
}

/// Consumers that a [`Queue`] may have.
const CONSUMERS: usize = 16;
/// Producers that a [`Queue`] may have: each may be one item past the limit.
const PRODUCERS: u64 = 16;
const LINE: usize = 128;

/// For each consumer, on a line of its own, the lowest ticket that it may still hold; `MAX`: it holds none. The first line
/// counts consumers.
struct Floors(Shared);

impl Floors {
    fn new() -> Self {
        let floors = Self(Shared::new((1 + CONSUMERS) * LINE));
        (0..CONSUMERS).for_each(|at| floors.of(at).store(u64::MAX, Relaxed));
        floors
    }

    #[inline(always)]
    fn of(&self, consumer: usize) -> &AtomicU64 {
        &self.0.words((1 + consumer) * LINE, 1)[0]
    }

    fn count(&self) -> &AtomicU64 {
        &self.0.words(0, 1)[0]
    }
}

/// The ring, mapped once more: its handles keep to themselves how far it was read.
struct Look<const N: usize> {
    base: *const u8,
    bytes: usize,
}

impl<const N: usize> Look<N> {
    fn map(path: &PathBuf) -> Self {
        let file = OpenOptions::new().read(true).open(path).expect("the ring");
        let bytes = file.metadata().expect("the ring's size").len() as usize;
        // SAFETY: a new mapping, over nothing.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert!(base != libc::MAP_FAILED, "no memory: {}", std::io::Error::last_os_error());
        Self { base: base.cast_const().cast(), bytes }
    }

    #[inline(always)]
    fn header(&self) -> &RingHeader {
        // SAFETY: a ring starts with it, and what changes in it is atomic.
        unsafe { &*self.base.cast() }
    }

    /// No ticket below this will be taken by anyone.
    #[inline(always)]
    fn read_sequence(&self) -> u64 {
        self.header().read_seq.load(Acquire)
    }

    /// Whether all items from `first` up to `end` are there to be taken.
    #[cold]
    fn published(&self, first: u64, end: u64) -> bool {
        // SAFETY: inside of the ring, as its header says.
        let slots = unsafe { self.base.add(self.header().slots_offset as usize).cast::<Slot<Frame<N>>>() };
        (first..end).all(|ticket| {
            // SAFETY: as above; only its sequence number is read, as an atomic.
            let found = unsafe { (*slots.add((ticket & self.header().mask) as usize)).seq.load(Acquire) };
            found >= ticket && found != SLOT_WRITING
        })
    }
}

impl<const N: usize> Drop for Look<N> {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, and nothing borrows it any more.
        unsafe { libc::munmap(self.base.cast_mut().cast(), self.bytes) };
    }
}

/// Its work queue, several producers and several consumers, with nothing lost.
pub struct Queue<const N: usize> {
    path: Path,
    floors: Arc<Floors>,
    capacity: u64,
    /// Here so that any side may come first.
    _first: MpmcProducer<Frame<N>>,
}

impl<const N: usize> Link<N> for Queue<N> {
    const PLACE: Place = Place::Process;
    type Tx = QueueTx<N>;
    type Rx = QueueRx<N>;

    fn new(capacity: usize) -> Self {
        let (path, capacity) =
            (Path::new("ringfire-queue"), ring_capacity(capacity.max(4 * PRODUCERS as usize)));
        let _first = MpmcProducer::create(&path.0, capacity).expect("a queue");
        Self { path, floors: Arc::new(Floors::new()), capacity, _first }
    }

    fn tx(&self) -> QueueTx<N> {
        let producer = self.path.open(|path| MpmcProducer::attach(path));
        let room = self.capacity - PRODUCERS;
        QueueTx {
            producer,
            ring: Look::map(&self.path.0),
            floors: Arc::clone(&self.floors),
            room,
            next: 1,
            limit: 0,
        }
    }

    fn rx(&self) -> QueueRx<N> {
        let consumer = self.path.open(|path| MpmcQueueConsumer::attach(path));
        let at = self.floors.count().fetch_add(1, AcqRel) as usize;
        assert!(at < CONSUMERS, "more consumers than there is room for");
        let (ring, floors) = (Look::map(&self.path.0), Arc::clone(&self.floors));
        QueueRx { consumer, ring, floors, at, floor: u64::MAX, unsure: false }
    }
}

pub struct QueueTx<const N: usize> {
    producer: MpmcProducer<Frame<N>>,
    ring: Look<N>,
    floors: Arc<Floors>,
    /// How far ahead of what may still be held producers may be.
    room: u64,
    next: u64,
    limit: u64,
}

impl<const N: usize> QueueTx<N> {
    #[cold]
    fn look(&mut self) {
        // First how far they were: a consumer says what it may hold before it takes the ticket that moves this on.
        let read = self.ring.read_sequence();
        let held = (0..CONSUMERS).map(|at| self.floors.of(at).load(Acquire)).fold(read, u64::min);
        self.limit = held + self.room;
    }
}

impl<const N: usize> Tx<N> for QueueTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        if self.next >= self.limit {
            self.look();
            if self.next >= self.limit {
                return false;
            }
        }
        self.next = self.producer.push(frame) + 1;
        true
    }
}

pub struct QueueRx<const N: usize> {
    consumer: MpmcQueueConsumer<Frame<N>>,
    ring: Look<N>,
    floors: Arc<Floors>,
    at: usize,
    floor: u64,
    /// It may hold a ticket for an item that was not there yet: it does not tell.
    unsure: bool,
}

impl<const N: usize> QueueRx<N> {
    #[inline(always)]
    fn post(&mut self, floor: u64) {
        self.floor = floor;
        self.floors.of(self.at).store(floor, Release);
    }

    #[inline(always)]
    fn take(&mut self) -> Option<Frame<N>> {
        let read = self.ring.read_sequence();
        if self.floor == u64::MAX {
            self.post(read);
        }
        let sure = !self.unsure || self.ring.published(self.floor, read);
        let taken = self.consumer.try_recv();
        self.unsure = taken.is_none() && !(sure && self.ring.read_sequence() == read);
        if !self.unsure {
            self.post(u64::MAX);
        } else if sure && self.floor != read {
            self.post(read); // what it may have taken since is above
        }
        taken
    }
}

impl<const N: usize> Rx<N> for QueueRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(frame) = self.take()
        {
            look(&frame);
            taken += 1;
        }
        assert_eq!(self.consumer.dropped_count(), 0, "items that were overwritten");
        taken
    }
}

impl<const N: usize> Drop for QueueRx<N> {
    fn drop(&mut self) {
        self.post(u64::MAX);
    }
}

/// Attaching a consumer to a ring that is there.
pub struct AttachRing {
    path: Path,
    _producer: RingProducer<Frame<8>>,
}

impl Attach for AttachRing {
    fn new() -> Self {
        let path = Path::new("ringfire-attach");
        let mut producer = RingProducer::create(&path.0, 4096).expect("a producer");
        producer.push(&[1; 8]);
        Self { path, _producer: producer }
    }

    fn once(&self) -> Duration {
        let start = Instant::now();
        let mut consumer = oldest::<8>(&self.path.0).expect("a consumer");
        let seen = consumer.try_recv();
        let took = start.elapsed();
        assert_eq!(seen, Some([1; 8]));
        took
    }
}
