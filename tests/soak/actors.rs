//! The actors of the soak: each attaches, works at its part until it is killed or asked to leave, and checks all that
//! it sees.

use crate::board::{Account, BATCH, Board, LANES, Part, ROLES, Stream, add};
use crate::support;
use annulus::{Frames, GroupConsumer, Observer, Producer, PushError, ReadError, Start, Strategy, Wait};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Which lane's it is, its position, its producer's epoch, and words that follow from these: a torn one contradicts
/// itself, and of two producers each has its own.
pub(crate) type Frame = [u64; 16];

fn frame(stream: Stream, lane: u32, position: u64, epoch: u64) -> Frame {
    let lane = (stream as u64) << 32 | u64::from(lane);
    let mut frame = [lane, position, epoch, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let seed = position ^ lane << 28 ^ epoch.rotate_right(20);
    for (place, word) in (3..).zip(&mut frame[3..]) {
        *word = (seed ^ place << 52).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    frame
}

/// Looks at frames of one lane, in their order, as one reader sees them.
pub(crate) struct Checker {
    stream: Stream,
    epochs: [u64; LANES],
}

impl Checker {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, epochs: [0; LANES] }
    }

    /// The epoch of the last one.
    pub(crate) fn check(&mut self, found: &[Frame], of: Frames) -> u64 {
        let epoch = &mut self.epochs[of.lane as usize];
        for (found, position) in found[..of.frames].iter().zip(of.first_position..) {
            let whole = frame(self.stream, of.lane, position, found[2]);
            assert!(
                *found == whole,
                "torn, or another's, at {position} of {}: {found:?}",
                self.stream.name()
            );
            assert!(found[2] >= *epoch, "a dead producer's frame at {position} of {}", self.stream.name());
            *epoch = found[2];
        }
        *epoch
    }
}

/// The reading ends, by the methods that they share.
trait Reader {
    fn now(&mut self, out: &mut [Frame]) -> Result<Frames, ReadError>;
    fn wait(&mut self, out: &mut [Frame], wait: Wait) -> Result<Frames, ReadError>;
}

macro_rules! readers {
    ($($end:ident),*) => {
        $(impl Reader for annulus::$end<Frame> {
            fn now(&mut self, out: &mut [Frame]) -> Result<Frames, ReadError> {
                self.try_read(out)
            }

            fn wait(&mut self, out: &mut [Frame], wait: Wait) -> Result<Frames, ReadError> {
                self.read(out, wait)
            }
        })*
    };
}

readers!(Consumer, GroupConsumer, Observer);

/// How one incarnation spends its time.
#[derive(Clone, Copy)]
enum Habit {
    Polls,
    Sleeps,
    Adapts,
}

struct Me {
    stream: Stream,
    place: std::path::PathBuf,
    board: &'static Board,
    account: &'static Account,
    random: Box<dyn FnMut() -> u64>,
    habit: Habit,
    pause: Duration,
}

pub(crate) fn play(slot: usize, place: &Path) {
    let board = Board::map(place);
    let (stream, part) = ROLES[slot];
    let mut random = support::random(u64::from(std::process::id()) << 20 ^ 0x2545_F491_4F6C_DD1D);
    let habit = [Habit::Polls, Habit::Sleeps, Habit::Adapts][(random() >> 20) as usize % 3];
    // Producers outrun their readers, keep up with them, or leave them time to sleep.
    let pause = Duration::from_micros([0, 0, 50, 400, 2000][(random() >> 20) as usize % 5]);
    let account = &board.accounts[slot];
    let me = Me { stream, place: place.into(), board, account, random: Box::new(random), habit, pause };
    match part {
        Part::Producer => me.produce(),
        Part::Consumer => me.consume(),
        Part::Member => me.share(),
        Part::Recorder => me.record(),
        Part::Observer => me.observe(),
    }
}

impl Me {
    fn below(&mut self, limit: u64) -> u64 {
        ((self.random)() >> 16) % limit
    }

    fn begin(&self) {
        self.account.live.store(1, Relaxed);
    }

    fn turn(&self) -> bool {
        add(&self.account.turns, 1);
        self.account.leave.load(Relaxed) == 0
    }

    fn produce(mut self) {
        let mut producer: Producer<Frame> = match self.below(2) {
            0 => self.stream.create(&self.place).producer().unwrap(),
            _ => self.stream.open(&self.place).producer().unwrap(),
        };
        let lane = &self.board.lanes[self.stream as usize][producer.lane() as usize];
        let (position, tail) = (producer.position(), lane.tail.load(Relaxed));
        assert_eq!(
            position,
            tail,
            "a successor does not carry on where the last one of {} stopped",
            self.stream.name()
        );
        self.account.lane.store(producer.lane().into(), Relaxed);
        self.begin();
        while self.turn() {
            let from = producer.position();
            let count = 1 + self.below(BATCH);
            let block: Vec<Frame> = (from..from + count)
                .map(|position| frame(self.stream, producer.lane(), position, producer.epoch()))
                .collect();
            lane.ceiling.store(from + count, Relaxed);
            match self.push(&mut producer, &block) {
                Ok(()) | Err(PushError::Timeout { .. }) => {}
                Err(PushError::Full) => std::thread::sleep(Duration::from_micros(100)),
                Err(other) => panic!("{other}"),
            }
            lane.floor.store(producer.position(), Relaxed);
            add(&self.account.items, producer.position() - from);
            if !self.pause.is_zero() {
                std::thread::sleep(self.pause);
            }
        }
    }

    fn push(&mut self, producer: &mut Producer<Frame>, block: &[Frame]) -> Result<(), PushError> {
        let timeout = Some(Duration::from_millis(20));
        match self.below(4) {
            0 => producer.push(block),
            1 => producer.push_wait(block, timeout),
            how => {
                let mut reserved = producer.reserve_wait(block.len(), timeout)?;
                let (first, rest) = block.split_at(block.len() / 2);
                reserved.write(first)?;
                // At times less than was announced.
                if how == 2 {
                    reserved.write(rest)?;
                }
                reserved.commit()
            }
        }
    }

    /// Reads as it is this one's habit. `None`: nothing, for now.
    fn read(
        &mut self,
        reader: &mut impl Reader,
        out: &mut [Frame],
        least: u64,
    ) -> Option<Result<Frames, ReadError>> {
        let read = match self.habit {
            Habit::Polls => reader.now(out),
            habit => {
                let strategy = if let Habit::Sleeps = habit { Strategy::Block } else { Strategy::Adaptive };
                let wait = Wait::new().frames(least).strategy(strategy).timeout(Duration::from_millis(50));
                reader.wait(out, wait)
            }
        };
        match read {
            Err(ReadError::Empty) => std::thread::sleep(Duration::from_micros(100)),
            Err(ReadError::Timeout | ReadError::ProducerGone { .. }) => {}
            other => return Some(other),
        }
        None
    }

    fn consume(mut self) {
        let mut consumer: annulus::Consumer<Frame> = match self.below(2) {
            0 => self.stream.create(&self.place).consumer().unwrap(),
            _ => self.stream.open(&self.place).consumer().unwrap(),
        };
        let account = self.account;
        let (from, noted, most) =
            (consumer.position(), account.next.load(Relaxed), account.most.load(Relaxed));
        assert!(from + 64 >= noted, "{} frames are seen again, 64 may", noted - from);
        assert!(from <= noted + most, "{} frames are lost, {most} may", from - noted);
        add(&account.again, noted.saturating_sub(from));
        add(&account.lost, from.saturating_sub(noted));
        add(&account.allowed, most);
        account.next.store(from, Relaxed);
        account.most.store(0, Relaxed);
        self.begin();
        // Who takes single frames gives them back lazily.
        let singles = self.below(2) == 0;
        let (mut checker, mut out) = (Checker::new(self.stream), vec![[0; 16]; BATCH as usize]);
        while self.turn() {
            let from = consumer.position();
            let taken = if !singles && self.below(3) == 0 {
                let Some(taken) = self.take_a_chunk(&mut consumer, &mut checker) else { continue };
                taken
            } else {
                let most = if singles { 1 } else { 1 + self.below(BATCH) };
                account.most.store(most, Relaxed);
                let least = 1 + self.below(most);
                let Some(read) = self.read(&mut consumer, &mut out[..most as usize], least) else { continue };
                let taken = read.unwrap();
                let epoch = checker.check(&out, taken);
                assert!(consumer.epoch() >= epoch, "a successor's frame before it was told of");
                taken
            };
            assert_eq!((taken.first_position, taken.lost_before), (from, 0), "out of order");
            account.next.store(from + taken.frames as u64, Relaxed);
            account.most.store(0, Relaxed);
            add(&account.items, taken.frames as u64);
        }
    }

    /// Looks at frames in place, notes them, and takes them: none may be lost, nor come again but these.
    fn take_a_chunk(
        &mut self,
        consumer: &mut annulus::Consumer<Frame>,
        checker: &mut Checker,
    ) -> Option<Frames> {
        consumer.release();
        let most = 1 + self.below(BATCH);
        let from = consumer.position();
        let Ok(chunk) = consumer.try_chunk(most as usize) else {
            std::thread::sleep(Duration::from_micros(100));
            return None;
        };
        assert_eq!(chunk.first_position(), from, "out of order");
        let (first, rest) = chunk.slices();
        let found: Vec<Frame> = [first, rest].concat();
        let frames = found.len();
        self.account.next.store(from + frames as u64, Relaxed);
        let taken = chunk.commit_all();
        checker.check(&found, taken);
        Some(taken)
    }

    fn share(mut self) {
        let mut consumer: GroupConsumer<Frame> = match self.below(2) {
            0 => self.stream.create(&self.place).group_consumer().unwrap(),
            _ => self.stream.open(&self.place).group_consumer().unwrap(),
        };
        let (account, log) = (self.account, &self.account.log);
        self.begin();
        let (mut checker, mut out) = (Checker::new(self.stream), vec![[0; 16]; BATCH as usize]);
        let mut next = [0; LANES];
        while self.turn() {
            while !log.has_room() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let most = 1 + self.below(BATCH);
            account.entry.store(log.written.load(Relaxed) + 1, Relaxed);
            account.most.store(most, Relaxed);
            if let Some(read) = self.read(&mut consumer, &mut out[..most as usize], 1) {
                let taken = read.unwrap();
                checker.check(&out, taken);
                let next = &mut next[taken.lane as usize];
                assert!(taken.first_position >= *next, "a producer's order is lost");
                *next = taken.first_position + taken.frames as u64;
                log.write([taken.lane.into(), taken.first_position, taken.frames as u64]);
                add(&account.items, taken.frames as u64);
            }
            account.most.store(0, Relaxed);
        }
    }

    /// From where the last one stopped: what is gone since is told.
    fn record(mut self) {
        let from = self.account.next.load(Relaxed);
        let open = self.stream.open(&self.place).lossless().start(Start::Position(from));
        let recorder = open.observer::<Frame>().unwrap();
        self.follow(recorder, from, true);
    }

    fn observe(mut self) {
        let lane = self.below(self.stream.lanes() as u64) as u32;
        let start = [Start::Now, Start::Oldest][self.below(2) as usize];
        let open = self.stream.open(&self.place).lane(lane).start(start);
        let open = if self.below(3) == 0 { open.unseated() } else { open };
        let observer = open.observer::<Frame>().unwrap();
        let from = observer.position();
        self.follow(observer, from, false);
    }

    /// Reads on from `next`: every position is either read or told to be lost.
    fn follow(&mut self, mut observer: Observer<Frame>, mut next: u64, lossless: bool) {
        self.begin();
        let (mut checker, mut out) = (Checker::new(self.stream), vec![[0; 16]; 4 * BATCH as usize]);
        // What was gone before a recorder came nobody had promised.
        let mut promised = false;
        while self.turn() {
            let most = [1, 1 + self.below(BATCH), 1 + self.below(4 * BATCH)][self.below(3) as usize];
            let least = 1 + self.below(most);
            let lost = match self.read(&mut observer, &mut out[..most as usize], least) {
                None => continue,
                Some(Ok(read)) => {
                    assert_eq!(
                        read.first_position,
                        next + read.lost_before,
                        "positions that were neither read nor told to be lost"
                    );
                    let epoch = checker.check(&out, read);
                    assert!(observer.epoch() >= epoch, "a successor's frame before it was told of");
                    next = read.first_position + read.frames as u64;
                    add(&self.account.items, read.frames as u64);
                    read.lost_before
                }
                Some(Err(ReadError::Lapped { lost })) => {
                    next += lost;
                    lost
                }
                Some(Err(other)) => panic!("{other}"),
            };
            assert_eq!(observer.position(), next);
            assert!(
                !(lossless && self.stream == Stream::Full && promised && lost > 0),
                "a recorder that lives was overtaken by {lost}"
            );
            promised = true;
            add(&self.account.told, lost);
            if lossless {
                self.account.next.store(next, Relaxed);
            } else if self.below(1000) == 0 {
                observer.seek([Start::Now, Start::Oldest][self.below(2) as usize]);
                next = observer.position();
                checker = Checker::new(self.stream);
            }
        }
    }
}
