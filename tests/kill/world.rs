//! Those who live on beside a victim, what they know, and what they find out after it.

use super::scenes::{Before, Scene, State, Victim};
use super::support::shared_with_children;
pub(crate) use crate::support::ring::{
    BATCH, CAPACITY, Form, Frame, LONG, OBSERVERS, Reader, check, crash, frames, open,
};
use annulus::{
    Cause, Error, Frames, Observer, Producer, ProducerState, PushError, ReadError, Strategy, Wait,
};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// A short sleep.
pub(crate) const NAP: Duration = Duration::from_millis(30);
/// Frames that the successor of a killed consumer may see again.
const AGAIN: u64 = 64;
/// Where one begins that was lapped: an eighth of the ring ahead of the oldest, so as not to be lapped at once.
fn oldest(announced: u64) -> u64 {
    if announced > CAPACITY { announced - CAPACITY + CAPACITY / 8 } else { 0 }
}

/// What a victim that lived on says it took, in memory that it shares with its parent: lane, first, count.
#[allow(unsafe_code)]
pub(crate) fn report() -> &'static [AtomicU64; 3] {
    static PAGE: OnceLock<&'static [AtomicU64; 3]> = OnceLock::new();
    // SAFETY: atomics.
    PAGE.get_or_init(|| unsafe { shared_with_children() })
}

type Slept<H, R> = JoinHandle<(H, R)>;
type SleepingReader = Slept<Reader, Result<(Frames, Vec<Frame>), ReadError>>;

pub(crate) struct World {
    place: PathBuf,
    form: Form,
    /// What they have may be removed.
    renews: bool,
    producer: Option<Producer<Frame>>,
    /// Of a work queue's second lane.
    other: Option<Producer<Frame>>,
    reader: Option<Reader>,
    watcher: Option<Observer<Frame>>,
    /// One who watched what may have been replaced.
    left_behind: Option<Observer<Frame>>,
    sleeping_reader: Option<SleepingReader>,
    sleeping_producer: Option<Slept<Producer<Frame>, Result<(), PushError>>>,
    /// What was certainly pushed, lane by lane.
    published: [u64; 2],
    /// What the victim may have pushed besides, into the first lane.
    in_flight: u64,
    /// Up to where the reader, or its predecessor, has it.
    taken: [u64; 2],
    /// What the victim may have taken besides.
    taking: u64,
    watched: u64,
    /// There was a clock.
    timed: bool,
    /// What the victim says is missing, where, and how often that was told.
    gap: u64,
    gap_at: u64,
    gaps: usize,
}

impl World {
    /// What there is before the victim comes.
    pub(crate) fn before(scene: &Scene, place: &Path) -> Self {
        report().iter().for_each(|word| word.store(0, Relaxed));
        let mut world = Self {
            place: place.into(),
            form: scene.form,
            renews: scene.renews,
            producer: None,
            other: None,
            reader: None,
            watcher: None,
            left_behind: None,
            sleeping_reader: None,
            sleeping_producer: None,
            published: [0; 2],
            in_flight: scene.in_flight,
            taken: [0; 2],
            taking: scene.taking,
            watched: 0,
            timed: false,
            gap: scene.gap,
            gap_at: 0,
            gaps: 0,
        };
        match scene.before {
            Before::Nothing => {}
            Before::Live => world.live(scene),
            Before::Crashed { same } => {
                world.crash(same);
                world.watcher = Some(open(place).observer().unwrap());
                if same {
                    world.reader = Some(scene.form.reader(place).unwrap());
                }
            }
        }
        world.gap_at = world.published[0];
        world
    }

    fn live(&mut self, scene: &Scene) {
        self.producer = Some(self.form.create(&self.place).producer().unwrap());
        if self.form == Form::Mpmc {
            self.other = Some(self.form.create(&self.place).producer().unwrap());
        }
        self.reader = Some(self.form.reader(&self.place).unwrap());
        self.watcher = Some(open(&self.place).observer().unwrap());
        let (push, take) = match scene.state {
            State::Empty => (0, 0),
            State::Part => (50, 20),
            State::Full => (CAPACITY, 0),
            State::Wrapped => (CAPACITY - BATCH / 2, 100),
            State::Sleeper => (20, 20),
            State::Waiting => (CAPACITY, 0),
        };
        self.push(push);
        let mut left = take;
        while left > 0 {
            let mut out = vec![[0; 4]; left as usize];
            let read = self.reader.as_mut().unwrap().try_read(&mut out).unwrap();
            self.account(read, &out);
            left -= read.frames as u64;
        }
        match scene.victim {
            Victim::Producer => drop(self.producer.take()),
            Victim::Reader => drop(self.reader.take()),
            Victim::Beside => {}
        }
    }

    /// Those who sleep when the victim comes go to sleep, for `nap` at most.
    pub(crate) fn sleep(&mut self, scene: &Scene, nap: Duration) {
        match scene.state {
            State::Sleeper => self.sleep_for_frames(nap),
            State::Waiting => self.sleep_for_space(nap),
            _ => {}
        }
    }

    /// Gives the victim, which sleeps, what it waits for.
    pub(crate) fn feed(&mut self) {
        if self.producer.is_some() {
            self.push(BATCH);
        }
        self.read_all();
    }

    /// A producer that pushes a little, and dies.
    fn crash(&mut self, same: bool) {
        let ring = self.form.create(&self.place);
        crash(if same { ring } else { ring.rate(500.0) }, 50);
        self.published[0] = 50;
    }

    fn push(&mut self, count: u64) {
        let producer = self.producer.as_mut().unwrap();
        let first = producer.position();
        producer.push(&frames(0, first, count)).unwrap();
        self.published[0] += count;
        self.look_at_the_clock(self.published[0]);
    }

    fn sleep_for_frames(&mut self, nap: Duration) {
        let mut reader = self.reader.take().unwrap();
        self.sleeping_reader = Some(std::thread::spawn(move || {
            let mut out = vec![[0; 4]; 64];
            let wait = Wait::new().strategy(Strategy::Block).timeout(nap);
            let read = reader.read(&mut out, wait);
            (reader, read.map(|read| (read, out)))
        }));
        self.await_armed(if self.form == Form::Mpmc { 0x300 } else { 0x280 });
    }

    fn sleep_for_space(&mut self, nap: Duration) {
        let mut producer = self.producer.take().unwrap();
        self.sleeping_producer = Some(std::thread::spawn(move || {
            let first = producer.position();
            let done = producer.push_wait(&frames(0, first, BATCH), Some(nap));
            (producer, done)
        }));
        self.await_armed(0x380);
    }

    /// Until a sleeper has said what it waits for, in the word at `at` of the readers' control.
    fn await_armed(&self, at: u64) {
        let (object, until) = (self.place.join("s@v1.l1"), Instant::now() + LONG);
        while crate::support::word(&object, 0x60, at) == u64::MAX {
            assert!(Instant::now() < until, "nobody sleeps");
            std::thread::yield_now();
        }
    }

    fn join_sleepers(&mut self) {
        if let Some(thread) = self.sleeping_reader.take() {
            let start = Instant::now();
            let (reader, read) = thread.join().unwrap();
            assert!(start.elapsed() < LONG, "a sleeper was not woken");
            self.reader = Some(reader);
            match read {
                Ok((read, out)) => self.account(read, &out),
                Err(ReadError::Timeout | ReadError::ProducerGone { .. }) => {}
                Err(other) => panic!("the sleeper: {other}"),
            }
        }
        if let Some(thread) = self.sleeping_producer.take() {
            let start = Instant::now();
            let (producer, done) = thread.join().unwrap();
            assert!(start.elapsed() < LONG, "a sleeping producer was not woken");
            self.producer = Some(producer);
            match done {
                Ok(()) => self.published[0] += BATCH,
                Err(PushError::Timeout { pushed }) => self.published[0] += pushed as u64,
                Err(other) => panic!("the sleeping producer: {other}"),
            }
        }
    }

    /// What the reader has read.
    fn account(&mut self, read: Frames, out: &[Frame]) {
        let (lane, first) = (read.lane as usize, read.first_position);
        check(&out[..read.frames], read.lane, first);
        let expected = self.taken[lane];
        assert!(first >= expected, "again: {first} after {expected}");
        let missing = first - expected;
        match self.form {
            Form::Spsc => assert_eq!(missing, 0, "lost to a consumer at {expected}"),
            Form::Mpmc if missing > 0 => {
                assert!(
                    lane == 0 && missing <= self.taking,
                    "{missing} lost at {expected}: more than a batch"
                );
                self.taking = 0;
                let [of, from, count] = report().each_ref().map(|word| word.load(Relaxed));
                assert!(count == 0 || (of, from, count) == (0, expected, missing), "taken by nobody");
            }
            Form::Mpmc => {}
            _ => {
                let oldest = oldest(self.published[0] + self.in_flight);
                assert_eq!(missing, read.lost_before, "silent loss at {expected}");
                assert!(
                    first <= oldest.max(expected),
                    "{missing} lost at {expected}, the oldest is {oldest}"
                );
                assert!(
                    missing == 0 || self.form != Form::Kept,
                    "{missing} lost to a recorder at {expected}"
                );
            }
        }
        self.taken[lane] = first + read.frames as u64;
        assert!(
            self.taken[lane] <= self.published[lane] + if lane == 0 { self.in_flight } else { 0 },
            "more than was pushed"
        );
    }

    /// All that there is: nothing that was pushed is missing.
    fn read_all(&mut self) {
        let mut out = vec![[0; 4]; 64];
        while let Some(reader) = &mut self.reader {
            match reader.try_read(&mut out) {
                Ok(read) => self.account(read, &out),
                Err(ReadError::ProducerGone { .. }) => {}
                Err(ReadError::Empty | ReadError::Ended { .. } | ReadError::Replaced) => break,
                Err(other) => panic!("the reader: {other}"),
            }
        }
        if self.reader.is_some() {
            for lane in 0..2 {
                let (taken, published) = (self.taken[lane], self.published[lane]);
                let by_victim = if lane == 0 { self.taking } else { 0 };
                assert!(taken + by_victim >= published, "lane {lane}: {published} published, {taken} came");
            }
        }
        self.watch();
    }

    fn watch(&mut self) {
        let mut out = vec![[0; 4]; 64];
        let most = self.published[0] + self.in_flight;
        self.look_at_the_clock(most);
        let Some(watcher) = &mut self.watcher else { return };
        loop {
            match watcher.try_read(&mut out) {
                Ok(read) => {
                    check(&out[..read.frames], 0, read.first_position);
                    assert_eq!(read.first_position, self.watched + read.lost_before, "silent loss");
                    let oldest = oldest(most).max(self.watched);
                    assert!(read.first_position <= oldest, "{} lost at {}", read.lost_before, self.watched);
                    self.watched = read.first_position + read.frames as u64;
                    for gap in watcher.gaps().iter().filter(|gap| gap.cause == Cause::Device) {
                        let said = (gap.position, gap.missing, gap.missing_in_all);
                        assert_eq!(
                            said,
                            (self.gap_at, Some(self.gap), self.gap),
                            "a torn entry of the ledger"
                        );
                        self.gaps += 1;
                    }
                }
                Err(ReadError::ProducerGone { .. } | ReadError::Lapped { .. }) => {}
                Err(ReadError::Empty | ReadError::Ended { .. } | ReadError::Replaced) => break,
                Err(other) => panic!("the watcher: {other}"),
            }
        }
        assert!(self.watched >= self.published[0], "{} published, {} seen", self.published[0], self.watched);
        assert!(self.watched <= most, "more than was pushed was seen");
        assert!(self.gaps <= 1, "a gap was told twice");
        let behind = self.gap > 0 && self.watched > self.published[0];
        assert!(!behind || self.gaps == 1, "the frames behind a gap without the gap");
    }

    /// Once there was a record of it, there always is one, and it is whole.
    fn look_at_the_clock(&mut self, most: u64) {
        const HOUR: u64 = 3_600_000_000_000;
        let clock = self.watcher.as_ref().and_then(Observer::clock);
        assert!(clock.is_some() || !self.timed || self.watcher.is_none(), "the clock is gone");
        let Some(clock) = clock else { return };
        self.timed = true;
        let (told, now) = (clock.time_of(clock.since()), annulus::monotonic_ns());
        let utc = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let sound = clock.since() <= most
            && told.monotonic_ns.abs_diff(now) < HOUR
            && told.utc_ns.abs_diff(utc as i64) < HOUR
            && (clock.nominal() == Some(clock.rate()) || clock.rate_sigma().is_finite());
        assert!(sound, "a torn record of the clock: {clock:?}");
    }

    /// The victim was killed.
    pub(crate) fn after_death(&mut self, scene: &Scene, pid: u32) {
        self.join_sleepers();
        self.read_all();
        if scene.seated
            && scene.victim == Victim::Producer
            && let Some(watcher) = &self.watcher
        {
            assert_eq!(watcher.producer(), ProducerState::Dead { pid }, "its death is not noticed");
        }
        if scene.victim == Victim::Reader && self.form == Form::Kept {
            self.lap(); // nobody waits for a dead recorder
        }
    }

    /// Three laps, read by whoever is there.
    fn lap(&mut self) {
        for _ in 0..3 * CAPACITY / BATCH {
            let producer = self.producer.as_mut().unwrap();
            let first = producer.position();
            if let Err(error) = producer.push_wait(&frames(0, first, BATCH), Some(LONG)) {
                panic!("a wedge: {error}");
            }
            self.published[0] += BATCH;
            self.read_all();
            self.push_other();
        }
    }

    /// The victim is stopped: the others go on, and nobody takes it for dead.
    pub(crate) fn meanwhile(&mut self, scene: &Scene, pid: u32) {
        match scene.victim {
            // It may find frames, or space, when it goes on that were not there.
            Victim::Producer => self.in_flight = self.in_flight.max(scene.asks),
            Victim::Reader => self.taking = self.taking.max(scene.asks),
            Victim::Beside => {}
        }
        self.join_sleepers();
        self.read_all();
        if scene.seated && scene.victim == Victim::Producer {
            let refused = self.form.create(&self.place).gate_timeout(NAP).producer::<Frame>();
            match refused {
                Err(Error::WriterBusy { pid: of, .. }) => assert_eq!(of, pid),
                Err(Error::NoFreeLane { holders, .. }) => assert!(holders.contains(&pid)),
                other => panic!("a stopped producer does not keep its seat: {other:?}"),
            }
            let watcher = self.watcher.as_ref().unwrap();
            assert_eq!(watcher.producer(), ProducerState::Live { pid }, "stopped is not dead");
        }
        // Somebody else of the same group takes what the victim has not.
        let beside = scene.victim == Victim::Reader && self.form == Form::Mpmc;
        if beside {
            match open(&self.place).gate_timeout(NAP).group_consumer() {
                Ok(member) => self.reader = Some(Reader::Member(member)),
                Err(Error::GateBusy { .. }) => {}
                Err(other) => panic!("{other}"),
            }
            self.read_all();
        }
        for _ in 0..2 * CAPACITY / BATCH {
            let Some(producer) = &mut self.producer else { break };
            let first = producer.position();
            match producer.push(&frames(0, first, BATCH)) {
                Ok(()) => self.published[0] += BATCH,
                Err(PushError::Full) if self.form.fills() && self.reader.is_none() => break,
                Err(PushError::Removed) if scene.renews => break,
                Err(other) => panic!("a push beside a stopped one: {other}"),
            }
            self.read_all();
        }
        self.push_other();
        if scene.before == Before::Live {
            match open(&self.place).gate_timeout(NAP).observer::<Frame>() {
                Ok(_) | Err(Error::GateBusy { .. }) => {}
                Err(Error::NotFound { .. }) if scene.renews => {}
                Err(other) => panic!("a viewer beside a stopped one: {other}"),
            }
        }
    }

    fn push_other(&mut self) {
        let Some(other) = &mut self.other else { return };
        let first = other.position();
        match other.push(&frames(1, first, BATCH)) {
            Ok(()) => self.published[1] += BATCH,
            Err(PushError::Full) if self.reader.is_none() => {}
            Err(PushError::Removed) if self.renews => {}
            Err(other) => panic!("the other lane: {other}"),
        }
        self.read_all();
    }

    /// The victim has gone on to its end.
    pub(crate) fn after_life(&mut self, scene: &Scene) {
        if scene.pushes {
            self.published[0] += self.in_flight;
            self.in_flight = 0;
        }
        self.read_all();
    }

    /// Whoever is missing comes again, and all of it works.
    pub(crate) fn go_on(&mut self, scene: &Scene) {
        if scene.renews {
            self.anew(scene);
        }
        if self.producer.is_none() {
            self.succeed(scene);
        }
        if self.form == Form::Mpmc && self.other.is_none() {
            match self.form.create(&self.place).producer() {
                Ok(other) => {
                    self.published[1] = other.position();
                    self.taken[1] = self.published[1];
                    self.other = Some(other);
                }
                // The other lane was finished, and the victim's, which died before that, was not.
                Err(Error::NoFreeLane { .. }) if scene.renews && scene.victim == Victim::Producer => {}
                Err(other) => panic!("the other lane: {other}"),
            }
        }
        if self.reader.is_none() {
            self.inherit();
        }
        if self.watcher.is_none() {
            let watcher = open(&self.place).observer().unwrap();
            self.watched = watcher.position();
            self.watcher = Some(watcher);
        }
        self.fill_seats();
        self.lap();
        assert_eq!(self.taken, self.published);
        assert_eq!(self.watched, self.published[0]);
        assert!(self.timed, "there is no clock");
    }

    /// What those who had the old object learn; then they let go of it.
    fn anew(&mut self, scene: &Scene) {
        self.read_all();
        match self.other.take() {
            Some(other) if scene.victim == Victim::Producer => other.finish(), // as the victim did
            other => drop(other),
        }
        self.left_behind = self.watcher.take();
        self.timed = false;
        (self.producer, self.reader) = (None, None);
        self.taking = 0;
    }

    /// A new producer begins where the last one stopped.
    fn succeed(&mut self, scene: &Scene) {
        let mut producer: Producer<Frame> = self.form.create(&self.place).producer().unwrap();
        let (position, published) = (producer.position(), self.published[0]);
        let carries_on = (published..=published + self.in_flight).contains(&position);
        let begins = scene.renews && position == 0;
        assert!(carries_on || begins, "the successor begins at {position}, {published} were published");
        if begins {
            if let Some(mut old) = self.left_behind.take() {
                let told =
                    std::iter::repeat_with(|| old.try_read(&mut [[0; 4]; 64])).find_map(Result::err).unwrap();
                let told_why = matches!(told, ReadError::Replaced | ReadError::Ended { .. });
                assert!(told_why, "who watched the old object is told: {told}");
            }
            (self.published, self.taken, self.watched) = ([0; 2], [0; 2], 0);
        }
        self.published[0] = position;
        self.in_flight = 0;
        // One frame: less than its predecessor may have overwritten already.
        match producer.push(&frames(0, position, 1)) {
            Ok(()) => self.published[0] += 1,
            Err(PushError::Full) if self.form.fills() => {}
            Err(other) => panic!("the successor's first push: {other}"),
        }
        self.producer = Some(producer);
        self.left_behind = None;
        self.salvage();
    }

    /// What is retained is whole, to one who comes now.
    fn salvage(&self) {
        let mut observer: Observer<Frame> = open(&self.place).observer().unwrap();
        let mut out = vec![[0; 4]; 64];
        let mut next = observer.position();
        let oldest = (self.published[0] + BATCH).saturating_sub(CAPACITY);
        assert!(next <= oldest, "it begins at {next}, {} were published", self.published[0]);
        while let Ok(read) = observer.try_read(&mut out) {
            assert_eq!(read.first_position, next + read.lost_before);
            check(&out[..read.frames], 0, read.first_position);
            next = read.first_position + read.frames as u64;
        }
        assert_eq!(next, self.published[0], "what is retained ends early");
    }

    fn inherit(&mut self) {
        let reader = self.form.reader(&self.place).unwrap();
        match &reader {
            Reader::Consumer(consumer) => {
                let (position, taken) = (consumer.position(), self.taken[0]);
                let most = if self.taking == 0 { taken } else { taken + self.taking };
                assert!(
                    position + AGAIN >= taken && position <= most,
                    "a successor begins at {position}, {taken} were taken, {} at once",
                    self.taking
                );
                self.taken[0] = position;
                self.taking = 0;
            }
            Reader::Member(_) => {}
            Reader::Observer(observer) => {
                let oldest = self.published[0].saturating_sub(CAPACITY) + self.in_flight + BATCH;
                assert!(observer.position() <= oldest, "a reader finds less than there is");
                self.taken[0] = observer.position();
            }
        }
        self.reader = Some(reader);
        self.read_all();
        self.taking = 0;
    }

    /// The dead hold no seat.
    fn fill_seats(&self) {
        let taken = 1 + u32::from(self.form == Form::Broadcast);
        let rest: Vec<Result<Observer<Frame>, Error>> =
            (taken..OBSERVERS).map(|_| open(&self.place).observer()).collect();
        for observer in rest {
            observer.unwrap();
        }
        if self.form == Form::Mpmc {
            open(&self.place).group_consumer::<Frame>().unwrap();
        }
    }

    /// All leave: then nothing is there any more.
    pub(crate) fn end(mut self) {
        for producer in [self.producer.take(), self.other.take()].into_iter().flatten() {
            producer.finish();
        }
        let mut out = [[0; 4]];
        let ended = self.reader.as_mut().unwrap().try_read(&mut out);
        assert!(matches!(ended, Err(ReadError::Ended { .. })), "{ended:?}");
    }
}
