//! What the machine itself allows: the barest that can be written for each thing, without names, seats, deaths, history or
//! anything else that a library is for.

use crate::link::{Attach, Link, Rx, Tx};
use crate::payload::Frame;
use crate::side::{Place, STUCK, Shared, Talk, unique};
use std::ffi::CString;
use std::hint::{self, black_box};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};
use std::time::{Duration, Instant};

const LINE: usize = 128;

/// Tail, head, frames: one side stores one of the two, and each looks at the other's only when what it knows is used up.
struct Ring<const N: usize> {
    memory: Arc<Shared>,
    mask: u64,
}

impl<const N: usize> Clone for Ring<N> {
    fn clone(&self) -> Self {
        Self { memory: Arc::clone(&self.memory), mask: self.mask }
    }
}

impl<const N: usize> Ring<N> {
    fn new(capacity: usize) -> Self {
        let frames = capacity.next_power_of_two();
        Self {
            memory: Shared::new(2 * LINE + frames * size_of::<Frame<N>>()).into(),
            mask: frames as u64 - 1,
        }
    }

    fn tail(&self) -> &AtomicU64 {
        &self.memory.words(0, 1)[0]
    }

    fn head(&self) -> &AtomicU64 {
        &self.memory.words(LINE, 1)[0]
    }

    /// Whether there is room for `count` frames from `at` on; looks at the other side's line only if it must.
    #[inline(always)]
    fn has_room(&self, at: u64, count: u64, seen: &mut u64) -> bool {
        if at + count - *seen > self.mask + 1 {
            *seen = self.head().load(Acquire);
        }
        at + count - *seen <= self.mask + 1
    }

    #[inline(always)]
    fn frame(&self, position: u64) -> *mut Frame<N> {
        // SAFETY: inside of the memory, for any position.
        unsafe { self.memory.as_ptr().add(2 * LINE).cast::<Frame<N>>().add((position & self.mask) as usize) }
    }
}

/// The barest single-frame hand-off: copy in, one release store; what came is looked at in place.
pub struct Bare<const N: usize>(Ring<N>);

pub struct BareTx<const N: usize> {
    ring: Ring<N>,
    at: u64,
    seen: u64,
}

pub struct BareRx<const N: usize> {
    ring: Ring<N>,
    at: u64,
    seen: u64,
    given_back: u64,
}

impl<const N: usize> Link<N> for Bare<N> {
    const PLACE: Place = Place::Process;
    type Tx = BareTx<N>;
    type Rx = BareRx<N>;

    fn new(capacity: usize) -> Self {
        Self(Ring::new(capacity))
    }

    fn tx(&self) -> BareTx<N> {
        BareTx { ring: self.0.clone(), at: 0, seen: 0 }
    }

    fn rx(&self) -> BareRx<N> {
        BareRx { ring: self.0.clone(), at: 0, seen: 0, given_back: 0 }
    }
}

impl<const N: usize> Tx<N> for BareTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        if !self.ring.has_room(self.at, 1, &mut self.seen) {
            return false;
        }
        // SAFETY: the other side has given it back.
        unsafe { ptr::copy_nonoverlapping(frame, self.ring.frame(self.at), 1) };
        self.at += 1;
        self.ring.tail().store(self.at, Release);
        true
    }

    #[inline(always)]
    fn send_all(&mut self, frames: &[Frame<N>]) -> bool {
        let count = frames.len() as u64;
        if !self.ring.has_room(self.at, count, &mut self.seen) {
            return false;
        }
        for (frame, position) in frames.iter().zip(self.at..) {
            // SAFETY: the other side has given it back.
            unsafe { ptr::copy_nonoverlapping(frame, self.ring.frame(position), 1) };
        }
        self.at += count;
        self.ring.tail().store(self.at, Release);
        true
    }
}

impl<const N: usize> Rx<N> for BareRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        if self.seen == self.at {
            self.seen = self.ring.tail().load(Acquire);
        }
        let frames = (self.seen - self.at).min(most as u64);
        for position in self.at..self.at + frames {
            // SAFETY: published, and not given back.
            let frame = unsafe { &*self.ring.frame(position) };
            look(frame);
        }
        self.at += frames;
        if self.at - self.given_back > self.ring.mask / 8 {
            self.given_back = self.at;
            self.ring.head().store(self.at, Release);
        }
        frames as usize
    }
}

/// The copy pipeline: copy in, copy out, one block after the other.
pub struct Pipeline<const N: usize>(Ring<N>);

pub struct PipelineRx<const N: usize> {
    bare: BareRx<N>,
    block: Box<Frame<N>>,
}

impl<const N: usize> Link<N> for Pipeline<N> {
    const PLACE: Place = Place::Process;
    type Tx = BareTx<N>;
    type Rx = PipelineRx<N>;

    fn new(capacity: usize) -> Self {
        Self(Ring::new(capacity))
    }

    fn tx(&self) -> BareTx<N> {
        BareTx { ring: self.0.clone(), at: 0, seen: 0 }
    }

    fn rx(&self) -> PipelineRx<N> {
        let bare = BareRx { ring: self.0.clone(), at: 0, seen: 0, given_back: 0 };
        PipelineRx { bare, block: Box::new([0; N]) }
    }
}

impl<const N: usize> Rx<N> for PipelineRx<N> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        let block = &mut self.block;
        self.bare.receive(most, |frame| {
            block.copy_from_slice(frame);
            look(black_box(block));
        })
    }
}

/// Elements one at a time, each with its sequence number beside it: flag and payload come in one line.
pub struct SlotSequence(Ring<2>);

pub struct SlotTx {
    ring: Ring<2>,
    at: u64,
    seen: u64,
}

pub struct SlotRx {
    ring: Ring<2>,
    at: u64,
}

impl Link<1> for SlotSequence {
    const PLACE: Place = Place::Process;
    type Tx = SlotTx;
    type Rx = SlotRx;

    fn new(capacity: usize) -> Self {
        Self(Ring::new(capacity))
    }

    fn tx(&self) -> SlotTx {
        SlotTx { ring: self.0.clone(), at: 0, seen: 0 }
    }

    fn rx(&self) -> SlotRx {
        SlotRx { ring: self.0.clone(), at: 0 }
    }
}

#[inline(always)]
fn slot(ring: &Ring<2>, position: u64) -> &[AtomicU64; 2] {
    // SAFETY: two words inside of the memory, that all use as atomics.
    unsafe { &*ring.frame(position).cast() }
}

impl Tx<1> for SlotTx {
    #[inline(always)]
    fn send(&mut self, &[value]: &Frame<1>) -> bool {
        if !self.ring.has_room(self.at, 1, &mut self.seen) {
            return false;
        }
        let [sequence, element] = slot(&self.ring, self.at);
        element.store(value, Relaxed);
        self.at += 1;
        sequence.store(self.at, Release);
        true
    }
}

impl Rx<1> for SlotRx {
    #[inline(always)]
    fn receive(&mut self, _: usize, mut look: impl FnMut(&Frame<1>)) -> usize {
        let [sequence, element] = slot(&self.ring, self.at);
        if sequence.load(Acquire) != self.at + 1 {
            return 0;
        }
        look(&[element.load(Relaxed)]);
        self.at += 1;
        if self.at.is_multiple_of(64) {
            self.ring.head().store(self.at, Release);
        }
        1
    }
}

/// One line that carries a 64-byte frame and, in its first word, that there is one. For round trips only: nothing waits for
/// it to be read.
pub struct OneLine {
    memory: Arc<Shared>,
    sleeps: bool,
}

pub struct OneLineEnd {
    memory: Arc<Shared>,
    at: u64,
    sleeps: bool,
}

impl OneLine {
    /// One that wakes and sleeps by futex.
    pub fn asleep() -> Self {
        Self { sleeps: true, ..Self::new(1) }
    }
}

impl Link<8> for OneLine {
    const PLACE: Place = Place::Process;
    type Tx = OneLineEnd;
    type Rx = OneLineEnd;

    fn new(_: usize) -> Self {
        Self { memory: Shared::new(4096).into(), sleeps: false }
    }

    fn tx(&self) -> OneLineEnd {
        OneLineEnd { memory: Arc::clone(&self.memory), at: 0, sleeps: self.sleeps }
    }

    fn rx(&self) -> OneLineEnd {
        self.tx()
    }
}

impl OneLineEnd {
    #[inline(always)]
    fn line(&self) -> &[AtomicU64; 8] {
        // SAFETY: eight words of the memory, that all use as atomics.
        unsafe { &*self.memory.as_ptr().cast() }
    }

    fn futex(&self) -> &AtomicU32 {
        // SAFETY: a word of the memory that nothing else lies in.
        unsafe { &*self.memory.as_ptr().add(LINE).cast() }
    }
}

impl Tx<8> for OneLineEnd {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<8>) -> bool {
        let line = self.line();
        for (word, value) in line.iter().zip(frame).skip(1) {
            word.store(*value, Relaxed);
        }
        line[0].store(frame[0] + 1, Release);
        if self.sleeps {
            self.futex().fetch_add(1, SeqCst);
            // SAFETY: an address of ours.
            unsafe { libc::syscall(libc::SYS_futex, self.futex().as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
        true
    }
}

impl Rx<8> for OneLineEnd {
    #[inline(always)]
    fn receive(&mut self, _: usize, mut look: impl FnMut(&Frame<8>)) -> usize {
        let line = self.line();
        let mut frame = [line[0].load(Acquire), 0, 0, 0, 0, 0, 0, 0];
        if frame[0] != self.at + 1 {
            return 0;
        }
        for (word, value) in line.iter().zip(&mut frame).skip(1) {
            *value = word.load(Relaxed);
        }
        frame[0] = self.at;
        look(&frame);
        self.at += 1;
        1
    }

    fn sleep_for(&mut self, mut look: impl FnMut(&Frame<8>)) {
        loop {
            let value = self.futex().load(SeqCst);
            if self.receive(1, &mut look) == 1 {
                return;
            }
            // SAFETY: an address of ours; no timeout.
            unsafe {
                let (futex, none) = (self.futex().as_ptr(), ptr::null::<libc::timespec>());
                libc::syscall(libc::SYS_futex, futex, libc::FUTEX_WAIT, value, none);
            }
        }
    }
}

/// Two words, each on a line: the least that a round trip can cost. The mean of a round, in ns.
pub fn two_atomics(rounds: u64) -> f64 {
    let talk = Talk::new();
    let (there, back) = (talk.word(4), talk.word(5));
    let await_value = |word: &AtomicU64, value: u64| {
        let until = Instant::now() + STUCK;
        let mut looks = 0u32;
        while word.load(Acquire) != value {
            hint::spin_loop();
            looks = looks.wrapping_add(1);
            assert!(!looks.is_multiple_of(1 << 24) || Instant::now() < until, "the other side is stuck");
        }
    };
    let far = || {
        for round in 1..=rounds {
            await_value(there, round);
            back.store(round, Release);
        }
    };
    crate::side::beside(Place::Process, far, || {
        let trip = |round| {
            there.store(round, Release);
            await_value(back, round);
        };
        let warm = rounds / 10;
        (1..=warm).for_each(trip);
        let start = Instant::now();
        (warm + 1..=rounds).for_each(trip);
        start.elapsed().as_nanos() as f64 / (rounds - warm) as f64
    })
}

/// A ring of slots, each behind a sequence lock, and nothing else.
pub struct SeqLocks<const N: usize> {
    memory: Arc<Shared>,
    mask: u64,
}

impl<const N: usize> Clone for SeqLocks<N> {
    fn clone(&self) -> Self {
        Self { memory: Arc::clone(&self.memory), mask: self.mask }
    }
}

impl<const N: usize> SeqLocks<N> {
    const SLOT: usize = 64 + size_of::<Frame<N>>();

    #[inline(always)]
    fn slot(&self, position: u64) -> (&AtomicU64, &[AtomicU64; N]) {
        // SAFETY: inside of the memory for any position; all use it as atomics.
        unsafe {
            let base = self.memory.as_ptr().add((position & self.mask) as usize * Self::SLOT);
            (&*base.cast(), &*base.add(64).cast())
        }
    }

    #[inline(always)]
    pub fn write(&self, position: u64, frame: &Frame<N>) {
        let (sequence, words) = self.slot(position);
        sequence.store(2 * position + 1, Relaxed);
        fence(Release);
        for (word, value) in words.iter().zip(frame) {
            word.store(*value, Relaxed);
        }
        sequence.store(2 * position + 2, Release);
    }

    /// The frame at `position`; or from where on there still are frames; or that it is not there yet.
    #[inline(always)]
    pub fn read(&self, position: u64) -> Result<Frame<N>, Option<u64>> {
        let (sequence, words) = self.slot(position);
        let seen = sequence.load(Acquire);
        if seen < 2 * position + 2 {
            return Err(None);
        }
        let mut frame = [0; N];
        for (word, value) in words.iter().zip(&mut frame) {
            *value = word.load(Relaxed);
        }
        fence(Acquire);
        if seen > 2 * position + 2 || sequence.load(Relaxed) != seen {
            return Err(Some(seen / 2 + 1));
        }
        Ok(frame)
    }
}

/// The writing end, or a reader's.
pub struct SeqLockEnd<const N: usize> {
    ring: SeqLocks<N>,
    at: u64,
}

impl<const N: usize> Link<N> for SeqLocks<N> {
    const PLACE: Place = Place::Process;
    type Tx = SeqLockEnd<N>;
    type Rx = SeqLockEnd<N>;

    fn new(capacity: usize) -> Self {
        let slots = capacity.next_power_of_two();
        Self { memory: Shared::new(slots * Self::SLOT).into(), mask: slots as u64 - 1 }
    }

    fn tx(&self) -> SeqLockEnd<N> {
        SeqLockEnd { ring: self.clone(), at: 0 }
    }

    fn rx(&self) -> SeqLockEnd<N> {
        self.tx()
    }
}

impl<const N: usize> Tx<N> for SeqLockEnd<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        self.ring.write(self.at, frame);
        self.at += 1;
        true
    }
}

impl<const N: usize> Rx<N> for SeqLockEnd<N> {
    #[inline(always)]
    fn receive(&mut self, _: usize, mut look: impl FnMut(&Frame<N>)) -> usize {
        match self.ring.read(self.at) {
            Ok(frame) => {
                look(&frame);
                self.at += 1;
                1
            }
            Err(None) => 0,
            Err(Some(ahead)) => {
                self.at = ahead;
                0
            }
        }
    }
}

/// Words stored into a ring, and one release store: what nobody can do without who sends anything.
pub struct Stores<const N: usize>(Bare<N>);

pub struct StoresTx<const N: usize> {
    ring: Ring<N>,
    at: u64,
}

impl<const N: usize> Link<N> for Stores<N> {
    const PLACE: Place = Place::Process;
    type Tx = StoresTx<N>;
    type Rx = BareRx<N>;

    fn new(capacity: usize) -> Self {
        Self(Bare::new(capacity))
    }

    fn tx(&self) -> StoresTx<N> {
        StoresTx { ring: self.0.0.clone(), at: 0 }
    }

    fn rx(&self) -> BareRx<N> {
        self.0.rx()
    }
}

impl<const N: usize> Tx<N> for StoresTx<N> {
    #[inline(always)]
    fn send(&mut self, frame: &Frame<N>) -> bool {
        // SAFETY: as atomics, of memory that all use so.
        let words: &[AtomicU64; N] = unsafe { &*self.ring.frame(self.at).cast() };
        for (word, value) in words.iter().zip(frame) {
            word.store(*value, Relaxed);
        }
        self.at += 1;
        self.ring.tail().store(self.at, Release);
        true
    }
}

/// What no one who attaches by name can do without: opens it, asks how long it is, maps it, and looks.
pub struct OpenAndMap(CString);

impl Attach for OpenAndMap {
    fn new() -> Self {
        let name = CString::new(format!("/{}", unique("limit"))).expect("no zero in it");
        // SAFETY: a name, and a descriptor that was just opened.
        unsafe {
            let fd = libc::shm_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600);
            assert!(fd >= 0 && libc::ftruncate(fd, 1 << 20) == 0, "{}", std::io::Error::last_os_error());
            libc::close(fd);
        }
        let made = Self(name);
        let (base, bytes) = made.map(libc::O_RDWR, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: mapped so.
        unsafe {
            base.cast::<u64>().write(1);
            libc::munmap(base.cast(), bytes);
        }
        made
    }

    fn once(&self) -> Duration {
        let start = Instant::now();
        let (base, bytes) = self.map(libc::O_RDONLY, libc::PROT_READ);
        // SAFETY: mapped, and long enough.
        let seen = unsafe { base.cast::<AtomicU64>().as_ref() }.expect("mapped").load(Acquire);
        let took = start.elapsed();
        assert_eq!(seen, 1);
        // SAFETY: mapped so.
        unsafe { libc::munmap(base.cast(), bytes) };
        took
    }
}

impl OpenAndMap {
    fn map(&self, flags: i32, protection: i32) -> (*mut u8, usize) {
        // SAFETY: a name; a descriptor that was just opened; room for the answer; a new mapping, over nothing.
        unsafe {
            let fd = libc::shm_open(self.0.as_ptr(), flags, 0);
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            let mut stat: libc::stat = std::mem::zeroed();
            assert_eq!(libc::fstat(fd, &mut stat), 0);
            let bytes = stat.st_size as usize;
            let base = libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd, 0);
            assert!(base != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
            libc::close(fd);
            (base.cast(), bytes)
        }
    }
}

impl Drop for OpenAndMap {
    fn drop(&mut self) {
        // SAFETY: a name.
        unsafe { libc::shm_unlink(self.0.as_ptr()) };
    }
}
