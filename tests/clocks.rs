//! Clocks that jump. This program has a `clock_gettime` of its own, which the library and the standard library call in the
//! place of the system's: what they see of time can be moved, while the kernel's goes on.

mod support;

use annulus::{
    Cause, Clock, Kind, Moment, Observer, Producer, ProducerState, PushError, ReadError, Start, Strategy,
    Wait, WaitSet,
};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};
use support::Place;

const HOUR: Duration = Duration::from_secs(3600);
const YEAR: i64 = 365 * 24 * 3600;
const LONG: Duration = Duration::from_secs(30);
/// Longer than two slices.
const A_WHILE: Duration = Duration::from_millis(250);

/// Seconds that a clock is ahead of the kernel's.
static UTC: AtomicI64 = AtomicI64::new(0);
static MONOTONIC: AtomicI64 = AtomicI64::new(0);

/// One at a time: they move the same clocks.
static TURN: Mutex<()> = Mutex::new(());

/// # Safety
/// As the system's: `time` has room for the answer.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: as the caller promises; the kernel fills it in.
    unsafe {
        let done = libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int;
        if done == 0 {
            (*time).tv_sec += match clock {
                libc::CLOCK_REALTIME => UTC.load(SeqCst),
                libc::CLOCK_MONOTONIC => MONOTONIC.load(SeqCst),
                _ => 0,
            };
        }
        done
    }
}

/// Somebody who waits, for whatever.
struct Waiting<R>(JoinHandle<R>);

impl<R: Send + 'static> Waiting<R> {
    fn on(wait: impl FnOnce() -> R + Send + 'static) -> Self {
        Self(std::thread::spawn(wait))
    }

    /// Slices have passed, and it waits on.
    fn still(&self, why: &str) {
        sleep(A_WHILE);
        assert!(!self.0.is_finished(), "{why}");
    }

    fn result(self) -> R {
        self.0.join().unwrap()
    }
}

/// A stream, a queue and a work queue, with all the ways to wait for something at them.
struct Waits {
    place: Place,
    producer: Producer<u64>,
    feeder: Producer<u64>,
    sharer: Producer<u64>,
}

impl Waits {
    fn new() -> Self {
        let place = Place::new();
        let stream = |name| place.create(name).capacity(512);
        let producer = stream("b").producer().unwrap();
        let feeder = stream("q").kind(Kind::Spsc).producer().unwrap();
        let sharer = stream("m").kind(Kind::Mpmc).producers(1).producer().unwrap();
        Self { place, producer, feeder, sharer }
    }

    fn start(&self, timeout: Duration) -> Vec<Waiting<Result<(), ReadError>>> {
        let wait = Wait::new().timeout(timeout);
        let mut all = Vec::new();
        for strategy in [Strategy::Block, Strategy::Adaptive] {
            let mut viewer = self.place.open("b").observer::<u64>().unwrap();
            all.push(Waiting::on(move || viewer.read(&mut [0; 8], wait.strategy(strategy)).map(drop)));
        }
        let mut consumer = self.place.open("q").consumer::<u64>().unwrap();
        all.push(Waiting::on(move || consumer.read(&mut [0; 8], wait).map(drop)));
        let mut member = self.place.open("m").group_consumer::<u64>().unwrap();
        all.push(Waiting::on(move || member.read(&mut [0; 8], wait).map(drop)));
        // Of one: a set of several sleeps until a time of the kernel's clock, which does not jump here.
        let mut one = self.place.open("b").observer::<u64>().unwrap();
        all.push(Waiting::on(move || WaitSet::new().wait(&mut [&mut one], wait).map(drop)));
        all
    }

    fn push(&mut self) {
        for producer in [&mut self.producer, &mut self.feeder, &mut self.sharer] {
            producer.push(&[1]).unwrap();
        }
    }

    /// Nobody takes anybody for dead, or what is used for a leftover.
    fn all_live(&self) {
        for name in ["b", "q", "m"] {
            let status = self.place.open(name).status().unwrap();
            assert!(matches!(status.producer, ProducerState::Live { .. }), "{name}: {:?}", status.producer);
            assert!(
                self.place.create(name).capacity(512).producer::<u64>().is_err(),
                "{name} has two producers"
            );
        }
    }
}

fn turn() -> impl Drop {
    struct Turn(#[allow(dead_code, reason = "held")] std::sync::MutexGuard<'static, ()>);
    impl Drop for Turn {
        fn drop(&mut self) {
            UTC.store(0, SeqCst);
            MONOTONIC.store(0, SeqCst);
        }
    }
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

#[test]
fn these_clocks_are_the_ones_that_are_read() {
    let _turn = turn();
    let (ours, std, utc) = (annulus::monotonic_ns(), Instant::now(), SystemTime::now());
    MONOTONIC.store(1_000_000, SeqCst);
    UTC.store(1_000_000, SeqCst);
    assert!(annulus::monotonic_ns() - ours >= 1_000_000_000_000_000);
    assert!(std.elapsed() >= Duration::from_secs(1_000_000));
    assert!(utc.elapsed().unwrap() >= Duration::from_secs(1_000_000));
}

/// Set forward, set back, before 1970: waits neither end nor last.
#[test]
fn steps_of_utc_change_nothing() {
    let _turn = turn();
    let mut waits = Waits::new();
    for step in [10 * YEAR, -10 * YEAR, -100 * YEAR, 1, 0] {
        let waiting = waits.start(LONG);
        UTC.store(step, SeqCst);
        waiting.iter().for_each(|one| one.still("it was awake for a step of UTC"));
        waits.all_live();
        waits.push();
        for one in waiting {
            assert_eq!(one.result(), Ok(()));
        }
        for one in waits.start(Duration::from_millis(20)) {
            assert_eq!(one.result(), Err(ReadError::Timeout));
        }
        let object = waits.place.create("made").capacity(512).producer::<u64>().unwrap();
        assert!(step < 0 || object.info().created <= SystemTime::now());
    }
    println!("figures | steps of UTC under five waits | 5 | 0 | up to a century");
}

/// Hours at once, as when a virtual machine is resumed: whose time is up is told so, once; nobody is dead for it.
#[test]
fn jumps_of_the_monotonic_clock_end_what_is_due_and_nothing_else() {
    let _turn = turn();
    let mut waits = Waits::new();
    let waiting = waits.start(2 * HOUR);
    MONOTONIC.fetch_add(3600, SeqCst);
    waiting.iter().for_each(|one| one.still("an hour is not two"));
    waits.all_live();
    MONOTONIC.fetch_add(2 * 3600, SeqCst);
    for one in waiting {
        assert_eq!(one.result(), Err(ReadError::Timeout));
    }
    waits.all_live();
    // Said, and over: the next wait lasts as long as it should.
    let again = waits.start(HOUR);
    again.iter().for_each(|one| one.still("the timeout came twice"));
    waits.push();
    for one in again {
        assert_eq!(one.result(), Ok(()));
    }

    // A producer that waits for space.
    waits.feeder.push(&[0; 511]).unwrap();
    let mut feeder = waits.feeder;
    let pushing = Waiting::on(move || (feeder.push_wait(&[1; 10], Some(2 * HOUR)), feeder));
    MONOTONIC.fetch_add(3600, SeqCst);
    pushing.still("an hour is not two");
    MONOTONIC.fetch_add(2 * 3600, SeqCst);
    let (pushed, _feeder) = pushing.result();
    assert_eq!(pushed, Err(PushError::Timeout { pushed: 0 }));
    println!(
        "figures | jumps of the monotonic clock under waits | 4 | 0 | by 1 and 2 hours; each timeout once"
    );
}

/// A signal of a frame a second, whose seconds pass at once, and who looks at it.
struct Signal {
    _place: Place,
    producer: Producer<u64>,
    viewer: Observer<u64>,
}

impl Signal {
    fn new() -> Self {
        let place = Place::new();
        let producer = place.create("s").rate(1.0).capacity(2000).producer().unwrap();
        let viewer = place.open("s").observer().unwrap();
        assert!(viewer.clock().is_none(), "nothing was pushed");
        Self { _place: place, producer, viewer }
    }

    fn seconds(&mut self, count: u64) -> Clock {
        for _ in 0..count {
            MONOTONIC.fetch_add(1, SeqCst);
            UTC.fetch_add(1, SeqCst);
            self.producer.push(&[self.producer.position()]).unwrap();
        }
        self.clock()
    }

    fn clock(&self) -> Clock {
        let clock = self.viewer.clock().unwrap();
        assert_eq!(self.producer.clock(), Some(clock));
        clock
    }

    fn last(&self) -> u64 {
        self.producer.position() - 1
    }
}

/// Whether two times are the same but for what the test itself took.
fn near(ours: i128, theirs: i128) -> bool {
    ours.abs_diff(theirs) < 100_000_000_000
}

fn utc_now() -> i128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i128
}

#[test]
fn a_step_of_utc_moves_utc_only() {
    let _turn = turn();
    let mut signal = Signal::new();
    let before = signal.seconds(500);
    assert!(before.rate_sigma() < 0.01 && (0.9..1.1).contains(&before.rate()), "{before:?}");
    assert_eq!(before.nominal(), Some(1.0));
    for step in [YEAR, -2 * YEAR, 3600] {
        let last = signal.last();
        let (was, at) = (signal.clock(), signal.clock().time_of(last));
        UTC.fetch_add(step, SeqCst);
        let now = signal.seconds(2);
        assert_eq!(now.since(), 0, "it is one signal");
        assert!((now.rate() - was.rate()).abs() < 0.01);
        let stepped = now.time_of(last);
        assert!(stepped.monotonic_ns.abs_diff(at.monotonic_ns) < 1_000_000_000);
        assert!(near(stepped.utc_ns.into(), i128::from(at.utc_ns) + i128::from(step) * 1_000_000_000));
        assert!(near(now.time_of(signal.last()).utc_ns.into(), utc_now()));
        assert_eq!(now.position_at(stepped.utc()), last);
        assert_eq!(now.position_at(Moment::Monotonic(stepped.monotonic_ns)), last);
    }
}

#[test]
fn a_step_of_utc_is_told_with_the_frames_behind() {
    let _turn = turn();
    let mut signal = Signal::new();
    signal.seconds(50);
    for step in [3600, -YEAR] {
        let at = signal.producer.position();
        UTC.fetch_add(step, SeqCst);
        signal.seconds(2);
        signal.viewer.read(&mut [0; 100], Wait::new()).unwrap();
        let [gap] = signal.viewer.gaps() else { panic!("{:?}", signal.viewer.gaps()) };
        assert!((at..at + 2).contains(&gap.position), "{gap:?} at {at}");
        let Cause::UtcStep { ns } = gap.cause else { panic!("{gap:?}") };
        assert!(near(ns.into(), i128::from(step) * 1_000_000_000), "{gap:?}");
        assert_eq!((gap.missing, gap.missing_in_all), (Some(0), 0));
    }
    signal.seconds(50);
    signal.viewer.read(&mut [0; 100], Wait::new()).unwrap();
    assert_eq!(signal.viewer.gaps(), []);
}

/// What a device lost took its time.
#[test]
fn a_gap_takes_time_and_no_positions() {
    let _turn = turn();
    let mut signal = Signal::new();
    let before = signal.seconds(500);
    MONOTONIC.fetch_add(47, SeqCst);
    UTC.fetch_add(47, SeqCst);
    signal.producer.gap(47).unwrap();
    let after = signal.seconds(100);
    assert!((500..510).contains(&after.since()), "{after:?}");
    assert!((after.rate() - before.rate()).abs() < 0.01, "it is the same device: {after:?}");
    let between = after.time_of(500).monotonic_ns - before.time_of(499).monotonic_ns;
    assert!((47_000_000_000..50_000_000_000).contains(&between), "{between}");
    assert!(near(after.time_of(signal.last()).monotonic_ns.into(), annulus::monotonic_ns().into()));
}

/// Hours that the signal did not have: another relation holds from there on, at the same rate.
#[test]
fn a_jump_of_the_monotonic_clock_begins_another_relation() {
    let _turn = turn();
    let mut signal = Signal::new();
    let before = signal.seconds(500);
    let jumped_at = signal.producer.position();
    MONOTONIC.fetch_add(3600, SeqCst);
    let after = signal.seconds(100);
    assert!((jumped_at..jumped_at + 20).contains(&after.since()), "{} after {jumped_at}", after.since());
    assert!((after.rate() - before.rate()).abs() < 0.01);
    assert!(near(after.time_of(signal.last()).monotonic_ns.into(), annulus::monotonic_ns().into()));
}

#[test]
fn one_starts_and_moves_to_a_time() {
    let _turn = turn();
    let mut signal = Signal::new();
    // Before there is a clock, nothing is left out.
    signal.viewer.seek(Start::At(Moment::Monotonic(annulus::monotonic_ns())));
    assert_eq!(signal.viewer.position(), 0);
    let clock = signal.seconds(3000);
    let at = |position| clock.time_of(position);
    signal.viewer.seek(Start::At(at(2500).into()));
    assert_eq!(signal.viewer.position(), 2500);
    signal.viewer.seek(Start::At(at(2600).utc().into()));
    assert_eq!(signal.viewer.position(), 2600);
    // What is overwritten is lost; before the first frame is the first.
    signal.viewer.seek(Start::At(Moment::Monotonic(0)));
    let read = signal.viewer.try_read(&mut [0; 10]).unwrap();
    assert_eq!(read.first_position, read.lost_before);
    assert!(read.lost_before >= 1000);
    signal.viewer.seek(Start::Latest(30));
    let read = signal.viewer.try_read(&mut [0; 100]).unwrap();
    assert_eq!((read.first_position, read.frames, read.lost_before), (2970, 30, 0));
    signal.viewer.seek(Start::Latest(u64::MAX));
    let kept = signal.viewer.available();
    assert!((2000..3000).contains(&kept), "{kept}");
    assert_eq!(signal.viewer.try_read(&mut [0; 10]).unwrap().lost_before, 0);
    signal.viewer.seek(Start::At(at(5000).into()));
    assert_eq!(signal.viewer.try_read(&mut [0; 10]), Err(ReadError::Empty), "that is yet to come");
}
