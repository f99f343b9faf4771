//! A ring in a `Vec`, moved by the index alone, beside a `VecDeque` that holds what it should hold. The
//! order of steps is the lane protocol's; a copy can be interrupted by the producer at any frame.

use crate::Input;
use crate::index::{Cursor, Geometry, POSITION_LIMIT};
use arbitrary::Arbitrary;
use std::collections::VecDeque;

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// The producer pushes.
    Push { frames: u16 },
    /// The producer dies in the middle of a push; a successor carries on at `tail`.
    Die { announced: u16, written: u16 },
    /// The observer reads, while the producer pushes after so many copied frames.
    Observe { most: u16, after: u16, pushed: u16 },
    /// The observer goes to a position, counted from the oldest that the ring may hold.
    Seek { from_oldest: u16 },
    /// The consumer takes, keeping space back as the protocol allows.
    Take { most: u16 },
}

/// Enough to wrap the smallest lanes hundreds of times.
const OPERATIONS_MAX: usize = 256;

pub fn run(input: &Input) {
    let capacity = 8 + input.requested % 250;
    let frame = 1 + input.frame % 40;
    let geometry = Geometry::new(capacity, frame).expect("a small lane");
    // Room above for everything that the operations can push.
    let start = input.position.min(POSITION_LIMIT - (1 << 32));
    let gated = input.divisor & 1 == 1;
    let mut ring = Ring::new(geometry, start, gated);
    for operation in input.operations.iter().take(OPERATIONS_MAX) {
        match *operation {
            Operation::Push { frames } => ring.push(frames.into()),
            Operation::Die { announced, written } => ring.die(announced.into(), written.into()),
            Operation::Observe { most, after, pushed } => {
                ring.observe(most.into(), after.into(), pushed.into())
            }
            Operation::Seek { from_oldest } => ring.seek(from_oldest.into()),
            Operation::Take { most } => ring.take(most.into()),
        }
    }
}

struct Ring {
    geometry: Geometry,
    bytes: Vec<u8>,
    /// The last `capacity` frames that were pushed, the newest at the back.
    pushed: VecDeque<Vec<u8>>,
    start: u64,
    tail: Cursor,
    intent: u64,
    gated: bool,
    head: u64,
    taken: Cursor,
    observer: Cursor,
}

/// What the frame at a position holds: no two neighbours, nor laps, alike.
fn content(position: u64, frame: u64) -> Vec<u8> {
    let seed = position.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..frame).map(|byte| seed.rotate_left((byte * 11 % 64) as u32) as u8 ^ byte as u8).collect()
}

impl Ring {
    fn new(geometry: Geometry, start: u64, gated: bool) -> Self {
        let at = geometry.cursor(start);
        Self {
            bytes: vec![0; geometry.bytes() as usize],
            pushed: VecDeque::new(),
            start,
            tail: at,
            intent: start,
            gated,
            head: start,
            taken: at,
            observer: at,
            geometry,
        }
    }

    fn store(&mut self, to: Cursor, run: &[u8]) {
        let (before, after) = self.geometry.split(to.offset, run.len() as u64);
        let at = to.offset as usize;
        self.bytes[at..at + before as usize].copy_from_slice(&run[..before as usize]);
        self.bytes[..after as usize].copy_from_slice(&run[before as usize..]);
    }

    fn load(&self, from: Cursor, frames: u64) -> Vec<u8> {
        let run = frames * self.geometry.frame();
        let (before, after) = self.geometry.split(from.offset, run);
        let at = from.offset as usize;
        [&self.bytes[at..at + before as usize], &self.bytes[..after as usize]].concat()
    }

    fn free(&self) -> u64 {
        let capacity = self.geometry.capacity();
        if self.gated {
            capacity
                - self.geometry.backlog(self.tail.position, self.head).expect("the consumer is in the ring")
        } else {
            u64::MAX
        }
    }

    fn push(&mut self, mut frames: u64) {
        frames = frames.min(self.geometry.capacity() * 3);
        if frames > self.free() {
            return;
        }
        while frames > 0 {
            let count = frames.min(self.geometry.write_limit(true));
            let position = self.tail.position;
            self.intent = self.intent.max(position + count);
            let contents: Vec<_> =
                (position..position + count).map(|at| content(at, self.geometry.frame())).collect();
            self.store(self.tail, &contents.concat());
            self.tail = self.geometry.advance(self.tail, count);
            self.pushed.extend(contents);
            while self.pushed.len() as u64 > self.geometry.capacity() {
                self.pushed.pop_front();
            }
            frames -= count;
        }
    }

    fn die(&mut self, announced: u64, written: u64) {
        let announced = announced.min(self.geometry.write_limit(true)).min(self.free());
        let written = written.min(announced);
        self.intent = self.intent.max(self.tail.position + announced);
        self.store(self.tail, &vec![0xAA; (written * self.geometry.frame()) as usize]);
    }

    /// The frame at a position that the ring must still hold.
    fn expected(&self, position: u64) -> &[u8] {
        let back = self.tail.position - position;
        &self.pushed[self.pushed.len() - back as usize]
    }

    /// Whether a published frame is out of reach of everything that was announced.
    fn intact(&self, position: u64) -> bool {
        u128::from(position) + u128::from(self.geometry.capacity()) >= u128::from(self.intent)
    }

    fn observe(&mut self, most: u64, after: u64, pushed: u64) {
        let from = self.observer.position;
        let (geometry, tail) = (self.geometry, self.tail.position);
        if from < geometry.oldest(self.intent) {
            self.observer = geometry.seek(self.observer, geometry.resume(self.intent, tail).max(from));
        }
        let first = self.observer.position;
        assert!(first >= from);
        let frames = tail.saturating_sub(first).min(most);
        let after = after.min(frames);

        let mut copied = self.load(self.observer, after);
        self.push(pushed);
        copied.extend(self.load(geometry.advance(self.observer, after), frames - after));

        let valid = geometry.valid_from(first, frames, self.intent);
        let torn = (valid - first) as usize;
        for (ahead, frame) in copied.chunks_exact(geometry.frame() as usize).enumerate() {
            let position = first + ahead as u64;
            if ahead < torn {
                assert!(!self.intact(position), "a good frame was thrown away");
            } else {
                assert!(self.intact(position) && position >= self.start);
                assert_eq!(frame, self.expected(position), "a torn frame passed at {position}");
            }
        }
        if (torn as u64) < frames || frames == 0 {
            self.observer = geometry.advance(self.observer, frames);
        } else {
            let ahead = geometry.resume(self.intent, self.tail.position).max(valid);
            self.observer = geometry.seek(self.observer, ahead);
        }
        assert!(self.observer.position <= self.tail.position || self.observer.position == first);
        assert_eq!(self.observer, geometry.cursor(self.observer.position));
    }

    fn seek(&mut self, from_oldest: u64) {
        let oldest = self.geometry.oldest(self.intent).max(self.start);
        let position = (oldest + from_oldest % (self.geometry.capacity() + 1)).min(self.tail.position);
        self.observer = self.geometry.seek(self.observer, position);
        assert_eq!(self.observer, self.geometry.cursor(position));
    }

    fn take(&mut self, most: u64) {
        if !self.gated {
            return;
        }
        let frames =
            self.geometry.backlog(self.tail.position, self.taken.position).expect("no more than it holds");
        let frames = frames.min(most);
        let taken = self.load(self.taken, frames);
        for (ahead, frame) in taken.chunks_exact(self.geometry.frame() as usize).enumerate() {
            assert_eq!(frame, self.expected(self.taken.position + ahead as u64), "another frame was taken");
        }
        self.taken = self.geometry.advance(self.taken, frames);
        if frames != 1 || self.taken.position - self.head >= self.geometry.lazy_limit() {
            self.head = self.taken.position;
        }
    }
}
