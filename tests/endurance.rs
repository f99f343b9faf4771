//! What years bring: positions at the ends of their words, handles that come and go a million times, programs that
//! fork, become daemons, and close descriptors that are not theirs. This program is its own child: most of these need a
//! process to themselves.

mod support;

use annulus::{AtLimit, Error, Kind, ProducerState, PushError, ReadError, Start, Strategy, Wait};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::Place;
use support::actor::{self, Actor, say};

const LONG: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    actor::main(
        play,
        tests![
            positions_pass_two_to_the_32,
            positions_end_before_two_to_the_63,
            who_comes_at_the_last_position_is_told,
            the_words_that_are_slept_on_wrap,
            handles_that_come_and_go_leak_nothing,
            a_daemon_starts_anew,
            programs_that_are_started_hold_nothing,
            descriptors_closed_under_their_handles,
            everybody_is_stopped_for_long,
        ],
    )
}

fn play(role: &str, place: &Path) {
    match role {
        "cycles" => cycles(place),
        "daemon" => daemon(place),
        "spawner" => spawner(place),
        "closer" => closer(place),
        "pacer" => pacer(place),
        "taker" => taker(place),
        other => panic!("no role {other}"),
    }
}

/// A process in this role, alone with itself, checks everything and comes to its end.
fn alone(role: &str) {
    let place = Place::new();
    let mut actor = Actor::start(&place, role);
    let said: Vec<String> = actor.rest().collect();
    assert!(actor.child.wait().unwrap().success(), "{role}: {said:?}");
    assert_eq!(said.last().map(String::as_str), Some("done"), "{role}: {said:?}");
    said.iter().filter(|line| line.starts_with("figures")).for_each(|line| println!("{line}"));
}

// ---- Positions.

/// The last position of a lane.
const LAST: u64 = (1 << 63) - 1;
/// In frames of eight bytes: three pages, so that it does not divide the powers of two.
const RING: u64 = 1536;

/// All kinds of streams, each with its ends.
const KINDS: [&str; 5] = ["spsc", "mpmc", "broadcast", "lossless, full", "lossless, overtaken"];

fn ring(place: &Place, kind: &str) -> annulus::Builder {
    let ring = place.create("r").capacity(RING).keep(true);
    match kind {
        "spsc" => ring.kind(Kind::Spsc),
        "mpmc" => ring.kind(Kind::Mpmc).producers(2),
        "broadcast" => ring,
        "lossless, full" => ring.lossless(1).at_limit(AtLimit::Full),
        "lossless, overtaken" => ring.lossless(1).at_limit(AtLimit::Overwrite),
        other => panic!("no kind {other}"),
    }
}

/// A leftover whose lanes stand at `position`, as if so many frames had gone through it.
fn stand_at(place: &Place, kind: &str, position: u64) {
    drop(ring(place, kind).producer::<u64>().unwrap());
    let object = place.path().join("r@v1.l1");
    for lane in 0..if kind == "mpmc" { 2 } else { 1 } {
        for word in [0x00, 0x08, 0x20, 0x28] {
            support::set_word(&object, 0x58, 0x1000 + lane * 0x1000 + word, position); // tail, intent, limit, epoch_start
        }
        support::set_word(&object, 0x60, 0x200 + lane * 0x200, position); // head
    }
}

/// A reader of any role, and what it has seen.
enum Reader {
    Observer(annulus::Observer<u64>),
    Consumer(annulus::Consumer<u64>),
    Group(annulus::GroupConsumer<u64>),
}

impl Reader {
    fn try_read(&mut self, out: &mut [u64]) -> Result<annulus::Frames, ReadError> {
        match self {
            Self::Observer(one) => one.try_read(out),
            Self::Consumer(one) => one.try_read(out),
            Self::Group(one) => one.try_read(out),
        }
    }

    /// Reads all that is there: how many frames, how many were lost, and why there are no more.
    fn read_all(&mut self) -> (u64, u64, ReadError) {
        let (mut frames, mut lost, mut out) = (0, 0, [0; 100]);
        loop {
            match self.try_read(&mut out) {
                Ok(read) => {
                    let expected = read.first_position..read.first_position + read.frames as u64;
                    assert!(out[..read.frames].iter().copied().eq(expected), "at {}", read.first_position);
                    frames += read.frames as u64;
                    lost += read.lost_before;
                }
                Err(why) => return (frames, lost, why),
            }
        }
    }
}

/// Those that take or are waited for first; then those that only look.
fn readers(place: &Place, kind: &str) -> Vec<Reader> {
    let mut all = match kind {
        "spsc" => vec![Reader::Consumer(place.open("r").consumer().unwrap())],
        "mpmc" => (0..2).map(|_| Reader::Group(place.open("r").group_consumer().unwrap())).collect(),
        "broadcast" => vec![],
        _ => vec![Reader::Observer(place.open("r").lossless().observer().unwrap())],
    };
    all.push(Reader::Observer(place.open("r").observer().unwrap()));
    all
}

fn counted(producer: &annulus::Producer<u64>, count: u64) -> Vec<u64> {
    (producer.position()..producer.position() + count).collect()
}

fn positions_pass_two_to_the_32() {
    const FROM: u64 = (1 << 32) - RING - 100;
    const TO: u64 = (1 << 32) + RING + 100;
    let place = Place::new();
    for kind in KINDS {
        stand_at(&place, kind, FROM);
        let mut producers: Vec<_> = (0..if kind == "mpmc" { 2 } else { 1 })
            .map(|_| ring(&place, kind).producer::<u64>().unwrap())
            .collect();
        let mut readers = readers(&place, kind);
        let mut random = support::random(0x9E37_79B9_7F4A_7C15);
        let mut seen = vec![(0, 0); readers.len()];
        let mut look = |readers: &mut [Reader]| {
            for (reader, seen) in readers.iter_mut().zip(&mut seen) {
                let (frames, lost, why) = reader.read_all();
                assert_eq!(why, ReadError::Empty, "{kind}");
                (seen.0, seen.1) = (seen.0 + frames, seen.1 + lost);
            }
        };
        while producers.iter().any(|one| one.position() < TO) {
            for producer in &mut producers {
                let frames = counted(producer, (random() % 100).min(TO - producer.position().min(TO)));
                producer.push(&frames).unwrap();
            }
            look(&mut readers);
        }
        // Across the boundary in one piece, where nobody gets in its way: the observers are lapped, and told by how much.
        let all = (TO - FROM) * producers.len() as u64;
        let taken: u64 = seen[..seen.len() - 1].iter().map(|one| one.0).sum();
        assert!(taken == all || kind == "broadcast", "{kind}: {taken} of {all}");
        assert_eq!(seen.last(), Some(&(TO - FROM, 0)), "{kind}");
        let status = place.open("r").status().unwrap();
        assert_eq!(status.position, TO * producers.len() as u64, "{kind}");
        let mut late = place.open("r").start(Start::Position((1 << 32) + 150)).observer::<u64>().unwrap();
        let mut out = [0; 10];
        let first = late.try_read(&mut out).unwrap().first_position;
        assert_eq!((first, out[0]), ((1 << 32) + 150, first), "{kind}");
        late.seek(Start::Oldest);
        assert_eq!(late.position(), TO - RING, "{kind}");
        producers.into_iter().for_each(annulus::Producer::finish);
        for reader in &mut readers {
            assert!(matches!(reader.read_all().2, ReadError::Ended { .. }), "{kind}");
        }
        drop((readers, late));
        place.open("r").remove().unwrap();
    }

    // One piece across it, and readers that were asleep, lapped or overtaken when it came.
    stand_at(&place, "lossless, overtaken", (1 << 32) - 50);
    let mut producer = ring(&place, "lossless, overtaken").producer::<u64>().unwrap();
    let mut recorder = place.open("r").lossless().observer::<u64>().unwrap();
    let mut viewer = place.open("r").observer::<u64>().unwrap();
    let mut sleeper = place.open("r").observer::<u64>().unwrap();
    let sleeping = std::thread::spawn(move || {
        let wait = Wait::new().frames(60).timeout(LONG).strategy(Strategy::Block);
        sleeper.read(&mut [0; 100], wait).unwrap()
    });
    for _ in 0..40 {
        let frames = counted(&producer, 100);
        producer.push(&frames).unwrap();
    }
    sleeping.join().unwrap();
    let mut out = [0; 10];
    let read = viewer.try_read(&mut out).unwrap();
    assert_eq!((read.first_position - read.lost_before, out[0]), ((1 << 32) - 50, read.first_position));
    let read = recorder.try_read(&mut out).unwrap();
    assert_eq!((read.lost_before, out[0]), (producer.breaches().frames, read.first_position));
    assert!(read.lost_before > RING, "{read:?}");
    println!(
        "figures | positions through 2^32 | {} | 0 | kinds of streams, {} frames each",
        KINDS.len(),
        TO - FROM
    );
}

/// A lane has 2^63 - 1 frames. Whoever pushes more is told, whatever the kind; what was pushed is read to the last.
fn positions_end_before_two_to_the_63() {
    let place = Place::new();
    for kind in KINDS {
        let from = LAST - RING - 333;
        stand_at(&place, kind, from);
        let mut producer = ring(&place, kind).producer::<u64>().unwrap();
        let mut readers = readers(&place, kind);
        let mut seen = vec![0; readers.len()];
        let mut look = |readers: &mut [Reader]| {
            for (reader, seen) in readers.iter_mut().zip(&mut seen) {
                let (frames, lost, why) = reader.read_all();
                assert_eq!((lost, why), (0, ReadError::Empty), "{kind}");
                *seen += frames;
            }
        };
        while producer.position() + 100 <= LAST {
            let frames = counted(&producer, 100);
            producer.push(&frames).unwrap();
            look(&mut readers);
        }
        let left = LAST - producer.position();
        for more in [left + 1, left + 100, 10 * RING] {
            let frames = vec![0; more as usize];
            let (push, wait) = (producer.push(&frames[..more.min(RING) as usize]), producer.push(&frames));
            assert_eq!(push, Err(PushError::Exhausted), "{kind}: {more}");
            assert!(
                matches!(wait, Err(PushError::Exhausted | PushError::TooLong)),
                "{kind}: {more}: {wait:?}"
            );
        }
        let wait = producer.push_wait(&vec![0; left as usize + 1], Some(LONG));
        assert_eq!(wait, Err(PushError::Exhausted), "{kind}");
        assert_eq!(producer.reserve(left as usize + 1).unwrap_err(), PushError::Exhausted, "{kind}");
        assert_eq!(producer.position(), LAST - left, "{kind}: nothing of it was pushed");
        let frames = counted(&producer, left);
        producer.push(&frames[1..][..0]).unwrap();
        let mut reserved = producer.reserve(1).unwrap();
        reserved.write(&frames[..1]).unwrap();
        reserved.commit().unwrap();
        producer.push(&frames[1..]).unwrap();
        assert_eq!(producer.position(), LAST, "{kind}");
        look(&mut readers);
        for _ in 0..3 {
            assert_eq!(producer.push(&[0]), Err(PushError::Exhausted), "{kind}");
        }
        producer.push(&[]).unwrap();
        assert_eq!(readers.last_mut().unwrap().read_all().2, ReadError::Empty, "{kind}");
        let taken: u64 = seen[..seen.len() - 1].iter().sum();
        assert!(taken == LAST - from || kind == "broadcast", "{kind}: {taken}");
        assert_eq!(seen.last(), Some(&(LAST - from)), "{kind}");
        producer.finish();
        for reader in &mut readers {
            assert!(matches!(reader.read_all().2, ReadError::Ended { position: LAST }), "{kind}");
        }
        drop(readers);
        place.open("r").remove().unwrap();
    }
    println!(
        "figures | positions up to 2^63 - 1 | {} | 0 | kinds of streams; a push beyond is refused",
        KINDS.len()
    );
}

fn who_comes_at_the_last_position_is_told() {
    let place = Place::new();
    for kind in KINDS {
        stand_at(&place, kind, LAST);
        let mut producer = ring(&place, kind).producer::<u64>().unwrap();
        let mut readers = readers(&place, kind);
        assert_eq!(producer.push(&[0]), Err(PushError::Exhausted), "{kind}");
        assert_eq!(producer.push_wait(&[0], Some(LONG)), Err(PushError::Exhausted), "{kind}");
        for reader in &mut readers {
            assert_eq!(reader.read_all(), (0, 0, ReadError::Empty), "{kind}");
        }
        let Reader::Observer(viewer) = readers.last_mut().unwrap() else { panic!() };
        let brief = Wait::new().timeout(Duration::from_millis(1));
        assert_eq!(viewer.read(&mut [0], brief), Err(ReadError::Timeout), "{kind}");
        drop((producer, readers));
        // What no lane can say is damage, not a position.
        for beyond in [LAST + 1, u64::MAX - 1, u64::MAX] {
            let object = place.path().join("r@v1.l1");
            support::set_word(&object, 0x58, 0x1000, beyond);
            support::set_word(&object, 0x58, 0x1008, beyond);
            support::set_word(&object, 0x60, 0x200, beyond);
            let refused = ring(&place, kind).producer::<u64>().unwrap_err();
            assert!(matches!(refused, Error::Corrupt { .. }), "{kind}: {refused}");
        }
        place.open("r").remove().unwrap();
    }
}

/// The sequences that sleepers sleep on are 32 bits, and wrap. Each wake is a sleep that ends before its time.
fn the_words_that_are_slept_on_wrap() {
    let place = Place::new();
    let wait = Wait::new().timeout(LONG).strategy(Strategy::Block);
    let object = place.path().join("r@v1.l1");
    let wraps = |field: u64, at: u64| support::word(&object, field, at) as u32 as i32;
    // The data futex, the group's, and the producer's own.
    for (kind, field, at) in
        [("broadcast", 0x58, 0x000), ("mpmc", 0x60, 0x080), ("spsc", 0x60, 0x200 + 0x188)]
    {
        stand_at(&place, kind, 0);
        support::set_word(&object, field, at, u64::from(u32::MAX - 20));
        let mut producer = ring(&place, kind).producer::<u64>().unwrap();
        let (go, gone) = std::sync::mpsc::channel();
        let mut reader = match kind {
            "broadcast" => Reader::Observer(place.open("r").observer().unwrap()),
            "mpmc" => Reader::Group(place.open("r").group_consumer().unwrap()),
            _ => Reader::Consumer(place.open("r").consumer().unwrap()),
        };
        let rounds = if kind == "spsc" { 60 * RING } else { 60 };
        let reading = std::thread::spawn(move || {
            let (mut next, mut out) = (0, [0; RING as usize]);
            while next < rounds {
                let read = match &mut reader {
                    Reader::Observer(one) => one.read(&mut out, wait),
                    Reader::Group(one) => one.read(&mut out, wait),
                    Reader::Consumer(one) => {
                        std::thread::sleep(Duration::from_millis(1)); // so that its producer sleeps
                        one.read(&mut out, wait)
                    }
                };
                let read = read.unwrap();
                assert_eq!((read.first_position, out[0]), (next, next));
                next += read.frames as u64;
                go.send(next).unwrap();
            }
        });
        if kind == "spsc" {
            for _ in 0..60 {
                let frames = counted(&producer, RING);
                producer.push_wait(&frames, Some(LONG)).unwrap();
            }
        } else {
            for round in 1..=60 {
                // Once somebody sleeps there.
                let armed = if kind == "mpmc" { 0x200 + 0x100 } else { 0x200 + 0x080 };
                while support::word(&object, 0x60, armed) == u64::MAX {
                    std::thread::yield_now();
                }
                let frames = counted(&producer, 1);
                producer.push(&frames).unwrap();
                while gone.recv().unwrap() < round {}
            }
        }
        reading.join().unwrap();
        assert!(wraps(field, at) >= 0, "{kind}: it has not wrapped: {}", wraps(field, at));
        drop(producer);
        place.open("r").remove().unwrap();
    }
}

// ---- Handles that come and go.

/// Counts what is allocated.
struct Counting;

static BLOCKS: AtomicI64 = AtomicI64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: everything is the system's allocator's; only numbers are added.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Relaxed);
        BYTES.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a process has that it could leak.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    mappings: usize,
    locks: usize,
    blocks: i64,
    bytes: i64,
    seats: usize,
}

impl Held {
    fn now(place: &Path) -> Self {
        let seats =
            ["b", "q", "m"].map(|name| annulus::open(name).directory(place).status().unwrap().attached.len());
        let of_one =
            |info: fs::DirEntry| fs::read_to_string(info.path()).unwrap_or_default().matches("lock:").count();
        let locks = fs::read_dir("/proc/self/fdinfo").unwrap().map(|info| of_one(info.unwrap())).sum();
        let shared =
            |line: &&str| line.split_ascii_whitespace().nth(1).is_some_and(|mode| mode.ends_with('s'));
        let mappings = fs::read_to_string("/proc/self/maps").unwrap().lines().filter(shared).count();
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
        Self {
            descriptors,
            mappings,
            locks,
            blocks: BLOCKS.load(Relaxed),
            bytes: BYTES.load(Relaxed),
            seats: seats.iter().sum(),
        }
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// 20,000 times, or as often as ANNULUS_CYCLES says.
fn handles_that_come_and_go_leak_nothing() {
    alone("cycles");
}

fn cycles(place: &Path) {
    let cycles: u64 = std::env::var("ANNULUS_CYCLES").map_or(20_000, |text| text.parse().unwrap());
    // A seat for each role, and no more: one that is not given back is missed at once.
    let stream = || annulus::create("b").directory(place).capacity(RING).readers(1).lossless(1);
    let spsc = || annulus::create("q").directory(place).capacity(RING).readers(1).kind(Kind::Spsc);
    let queue =
        || annulus::create("m").directory(place).capacity(RING).consumers(1).kind(Kind::Mpmc).producers(2);
    let open = |name| annulus::open(name).directory(place);
    let mut kept = (
        stream().keep(true).producer::<u64>().unwrap(),
        spsc().keep(true).producer::<u64>().unwrap(),
        queue().keep(true).producer::<u64>().unwrap(),
    );
    let mut out = [0; 4];
    let mut cycle = |number: u64| match number % 8 {
        0 => {
            kept.0.push(&[number]).unwrap();
            let _ = open("b").start(Start::Oldest).observer::<u64>().unwrap().try_read(&mut out);
        }
        1 => drop(open("b").lossless().observer::<u64>().unwrap()),
        2 => {
            kept.1.push(&[number]).unwrap();
            assert_eq!(open("q").consumer::<u64>().unwrap().try_read(&mut out).unwrap().frames, 1);
        }
        3 => {
            kept.2.push(&[number]).unwrap();
            assert_eq!(open("m").group_consumer::<u64>().unwrap().try_read(&mut out).unwrap().frames, 1);
        }
        4 => drop(queue().keep(true).producer::<u64>().unwrap()),
        5 => drop(open("b").unseated().observer::<u64>().unwrap()),
        // Refused, at various depths.
        6 => {
            assert!(open("none").observer::<u64>().is_err() && open("b").consumer::<u64>().is_err());
            assert!(stream().keep(true).producer::<u64>().is_err(), "there is one");
            assert!(open("b").observer::<[u8; 3]>().is_err());
        }
        // Now and then with a thread that watches, or made and removed.
        _ if number % 20_000 == 7 => {
            let watched = open("b").observer::<u64>().unwrap().polled(1).unwrap();
            drop(watched);
            while fs::read_dir("/proc/self/task").unwrap().count() > 1 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        _ if number % 16 == 15 => {
            drop(annulus::create("brief").directory(place).capacity(RING).producer::<u64>().unwrap());
        }
        _ => drop(queue().keep(true).group_consumer::<u64>().unwrap()),
    };
    (0..cycles / 10).for_each(&mut cycle);
    let (before, resident) = (Held::now(place), resident_kib());
    (cycles / 10..cycles).for_each(&mut cycle);
    let (after, grown) = (Held::now(place), resident_kib().saturating_sub(resident));
    assert_eq!(before, after, "leaked in {cycles}");
    assert!(grown < 1024, "{grown} KiB more are resident after {cycles}");
    drop(kept);
    let Held { descriptors, mappings, locks, seats, blocks, .. } = after;
    say(format!(
        "figures | attach and detach | {cycles} | 0 | {descriptors} descriptors, {mappings} shared mappings, {locks} locks, \
         {seats} seats, {blocks} heap blocks at a tenth and at the end; {grown} KiB more resident"
    ));
    say("done");
}

// ---- Programs that fork.

#[allow(unsafe_code)]
fn fork() -> i32 {
    // SAFETY: the callers have one thread, or their children call exec at once.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    child
}

#[allow(unsafe_code)]
fn leave_at_once() -> ! {
    // SAFETY: nothing of this process is needed any more.
    unsafe { libc::_exit(0) }
}

/// One handle of each role, on streams of their own.
struct Handles {
    producer: annulus::Producer<u64>,
    viewer: annulus::Observer<u64>,
    recorder: annulus::Observer<u64>,
    feeder: annulus::Producer<u64>,
    consumer: annulus::Consumer<u64>,
    sharer: annulus::Producer<u64>,
    member: annulus::GroupConsumer<u64>,
}

impl Handles {
    fn new(place: &Path) -> Result<Self, Error> {
        let create = |name| annulus::create(name).directory(place).capacity(RING);
        let open = |name| annulus::open(name).directory(place);
        Ok(Self {
            producer: create("b").lossless(1).producer()?,
            viewer: open("b").observer()?,
            recorder: open("b").lossless().observer()?,
            feeder: create("q").kind(Kind::Spsc).producer()?,
            consumer: open("q").consumer()?,
            sharer: create("m").kind(Kind::Mpmc).producers(1).producer()?,
            member: open("m").group_consumer()?,
        })
    }

    /// Pushes and reads through all of them.
    fn work(&mut self) {
        for producer in [&mut self.producer, &mut self.feeder, &mut self.sharer] {
            let frames = counted(producer, 10);
            producer.push(&frames).unwrap();
        }
        let mut out = [0; RING as usize];
        for frames in [
            self.viewer.try_read(&mut out),
            self.recorder.try_read(&mut out),
            self.consumer.try_read(&mut out),
            self.member.try_read(&mut out),
        ] {
            assert!(frames.unwrap().frames >= 10);
        }
    }
}

/// As daemons are made: fork, a session of its own, fork again, another directory, no descriptors. The handles are dead
/// in it, and dropping them touches nothing; new ones are made, and carry on where the dead parent stopped.
fn a_daemon_starts_anew() {
    let place = Place::new();
    let mut parent = Actor::start(&place, "daemon");
    assert_eq!(parent.line(), "at work");
    let mut viewer = place.open("b").start(Start::Oldest).observer::<u64>().unwrap();
    let pid = parent.pid();
    assert_eq!(parent.line(), "the handles are dead");
    assert!(parent.child.wait().unwrap().success());
    let said: Vec<String> = parent.rest().collect();
    assert_eq!(said, [format!("{:?}", ProducerState::Dead { pid }), "anew".into(), "done".into()]);
    let mut out = [0; RING as usize];
    let wait = Wait::new().timeout(LONG).frames(30);
    let read = viewer.read(&mut out, wait).unwrap();
    assert_eq!((read.first_position, read.frames, read.restarted.map(|new| new.epoch)), (0, 30, Some(2)));
    assert!(out[..30].iter().copied().eq(0..30));
}

fn daemon(place: &Path) {
    let mut handles = Handles::new(place).unwrap();
    handles.work();
    say("at work");
    if fork() > 0 {
        // Until the grandchild has looked: its parent is alive, and has its seats.
        let dropped = place.join("dropped");
        let until = Instant::now() + LONG;
        while !dropped.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        handles.work();
        leave_at_once(); // as daemons' parents do, without a word to anybody
    }
    // SAFETY: setsid takes nothing.
    #[allow(unsafe_code)]
    unsafe {
        libc::setsid()
    };
    if fork() > 0 {
        leave_at_once();
    }
    std::env::set_current_dir("/").unwrap();
    close_from(3);
    let sentinels = Sentinels::on(3..40);
    let mut out = [0; 10];
    let Handles { producer, viewer, recorder, feeder, consumer, sharer, member } = &mut handles;
    for producer in [producer, feeder, sharer] {
        assert_eq!(producer.push(&[1]), Err(PushError::Forked));
        assert_eq!(producer.push_wait(&[1], None), Err(PushError::Forked));
        assert!(!producer.is_named());
    }
    let wait = Wait::new();
    assert_eq!(viewer.read(&mut out, wait), Err(ReadError::Forked));
    assert_eq!(recorder.read(&mut out, wait), Err(ReadError::Forked));
    assert_eq!(consumer.read(&mut out, wait), Err(ReadError::Forked));
    assert_eq!(member.read(&mut out, wait), Err(ReadError::Forked));
    recorder.seek(Start::Now);
    consumer.release();
    drop(handles);
    sentinels.check();
    drop(sentinels);
    let refused = Handles::new(place).map(drop).unwrap_err();
    assert!(matches!(refused, Error::WriterBusy { .. }), "the parent lives, with its seats: {refused}");
    say("the handles are dead");
    fs::write(place.join("dropped"), "").unwrap();
    let until = Instant::now() + LONG;
    let mut handles = loop {
        let state = annulus::open("b").directory(place).status().unwrap().producer;
        assert!(Instant::now() < until, "{state:?}");
        if matches!(state, ProducerState::Dead { .. }) {
            say(format!("{state:?}"));
            break Handles::new(place).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!((handles.producer.epoch(), handles.producer.position()), (2, 20));
    handles.work();
    say("anew");
    drop(handles);
    say("done");
}

#[allow(unsafe_code)]
fn close_from(first: u32) {
    // SAFETY: what daemons do; everything that is used afterwards is opened afterwards.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            for one in first as i32..1024 {
                libc::close(one); // a kernel before 5.9
            }
        }
    }
}

/// Descriptors of somebody else's, under numbers that were others' before, each with a lock of its own on the bytes that
/// a handle would have.
struct Sentinels(Vec<File>);

impl Sentinels {
    #[allow(unsafe_code)]
    fn on(numbers: impl IntoIterator<Item = i32>) -> Self {
        let one = |number| {
            // SAFETY: the name is a terminated string; the numbers are nobody's any more.
            let file = unsafe {
                let made = libc::memfd_create(c"sentinel".as_ptr(), libc::MFD_CLOEXEC);
                assert!(made >= 0);
                if made != number {
                    assert_eq!(libc::dup3(made, number, libc::O_CLOEXEC), number);
                    libc::close(made);
                }
                File::from_raw_fd(number)
            };
            for byte in Self::bytes() {
                assert!(support::lock(&file, support::Lock::Exclusive, byte));
            }
            file
        };
        Self(numbers.into_iter().map(one).collect())
    }

    /// The first seats' and the gate's.
    fn bytes() -> impl Iterator<Item = i64> {
        (0..8).map(|seat| (1 << 40) + seat).chain([1 << 41])
    }

    /// All of them are open, and have their locks and no other.
    fn check(&self) {
        for file in &self.0 {
            let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
            assert!(
                link.is_ok_and(|link| link.to_string_lossy().contains("sentinel")),
                "{file:?} was closed"
            );
            let other =
                File::options().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()));
            let other = other.unwrap();
            for byte in Self::bytes() {
                assert!(
                    !support::lock(&other, support::Lock::Exclusive, byte),
                    "byte {byte:#x} of {file:?} was unlocked"
                );
            }
            assert!(
                support::lock(&other, support::Lock::Exclusive, (1 << 40) + 8),
                "another byte of {file:?} was locked"
            );
        }
    }
}

/// A program started by one that sleeps in its handles gets none of them, and does not keep their seats; nor is the sleep
/// disturbed.
fn programs_that_are_started_hold_nothing() {
    let place = Place::new();
    let mut spawner = Actor::start(&place, "spawner");
    let children: Vec<i32> = spawner.line().split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(children.len(), 2);
    let objects: Vec<(u64, u64)> = place
        .objects()
        .iter()
        .map(|name| fs::metadata(place.path().join(name)).unwrap())
        .map(|found| (found.dev(), found.ino()))
        .collect();
    for child in &children {
        let open = fs::read_dir(format!("/proc/{child}/fd")).unwrap();
        let open: Vec<_> = open.filter_map(|one| fs::metadata(one.ok()?.path()).ok()).collect();
        let inherited = open.iter().filter(|one| objects.contains(&(one.dev(), one.ino()))).count();
        assert_eq!(inherited, 0, "of {} descriptors", open.len());
    }
    // The sleepers were not disturbed.
    for name in ["b", "q", "m"] {
        let feed = place.open(name).producer::<u64>();
        feed.unwrap().push(&[0; 10]).unwrap();
    }
    for _ in 0..4 {
        assert_eq!(spawner.line(), "10 frames");
    }
    spawner.signal(libc::SIGKILL);
    let until = Instant::now() + LONG;
    while ["b", "q", "m"].iter().any(|name| !place.open(name).status().unwrap().attached.is_empty()) {
        assert!(Instant::now() < until, "a child keeps its dead parent's seat");
        std::thread::sleep(Duration::from_millis(1));
    }
    for child in children {
        // SAFETY: kill takes numbers only.
        #[allow(unsafe_code)]
        let was_alive = unsafe { libc::kill(child, libc::SIGKILL) };
        assert_eq!(was_alive, 0, "the child was to live on");
    }
}

fn spawner(place: &Path) {
    let Handles { producer, mut viewer, mut recorder, feeder, mut consumer, sharer, mut member } =
        Handles::new(place).unwrap();
    drop((producer, feeder, sharer));
    let wait = || Wait::new().frames(10).timeout(LONG).strategy(Strategy::Block);
    let tell = |read: Result<annulus::Frames, ReadError>| say(format!("{} frames", read.unwrap().frames));
    std::thread::scope(|scope| {
        scope.spawn(|| tell(viewer.read(&mut [0; 10], wait())));
        scope.spawn(|| tell(recorder.read(&mut [0; 10], wait())));
        scope.spawn(|| tell(consumer.read(&mut [0; 10], wait())));
        scope.spawn(|| tell(member.read(&mut [0; 10], wait().frames(1))));
        let object = place.join("b@v1.l1");
        while support::word(&object, 0x60, 0x200 + 0x080) == u64::MAX {
            std::thread::yield_now();
        }
        // Once as the standard library does it (no handlers run), once as a shell does.
        let spawned = Command::new("sleep").arg("300").stdout(Stdio::null()).spawn().unwrap().id();
        let child = fork();
        if child == 0 {
            let path = c"/bin/sleep";
            // SAFETY: the strings are terminated, and so is the list; exec is all that this child does.
            #[allow(unsafe_code)]
            unsafe {
                libc::close(1);
                libc::execl(path.as_ptr(), path.as_ptr(), c"300".as_ptr(), std::ptr::null::<libc::c_char>());
                libc::_exit(1)
            }
        }
        // Until it is another program.
        while fs::read_to_string(format!("/proc/{child}/comm")).unwrap().trim() != "sleep" {
            std::thread::yield_now();
        }
        say(format!("{spawned} {child}"));
    });
    std::thread::sleep(LONG);
}

// ---- Descriptors that are closed under their handles.

/// A program that closes descriptors which are not its own, while the handles sleep; their numbers become another
/// file's.
fn descriptors_closed_under_their_handles() {
    alone("closer");
    println!(
        "figures | descriptors closed under handles | 6 | 0 | roles, asleep; the numbers stayed those of other files"
    );
}

/// The numbers of all descriptors, but for the first three.
fn descriptors() -> Vec<i32> {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let all: Vec<i32> = all.map(|one| one.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    // The one by which they were listed is among them, and closed by now.
    all.into_iter().filter(|one| *one > 2 && fs::read_link(format!("/proc/self/fd/{one}")).is_ok()).collect()
}

/// Makes a handle, and says which descriptors it has.
fn with_its_descriptors<H>(make: impl FnOnce() -> H) -> (H, Vec<i32>) {
    let before = descriptors();
    let handle = make();
    let its: Vec<i32> = descriptors().into_iter().filter(|one| !before.contains(one)).collect();
    assert_eq!(its.len(), 2, "one of the object, one of its directory");
    (handle, its)
}

#[allow(unsafe_code)]
fn replace(numbers: &[i32]) -> Sentinels {
    for number in numbers {
        // SAFETY: what a careless program does; the library is to survive it.
        unsafe { libc::close(*number) };
    }
    Sentinels::on(numbers.iter().copied())
}

/// Runs `sleep` in a thread, and `then` when somebody is asleep at the word of the readers' control.
fn asleep<R: Send>(object: &Path, at: u64, sleep: impl FnOnce() -> R + Send, then: impl FnOnce()) -> R {
    std::thread::scope(|scope| {
        let sleeping = scope.spawn(sleep);
        while support::word(object, 0x60, at) == u64::MAX {
            std::thread::yield_now();
        }
        then();
        sleeping.join().unwrap()
    })
}

const ARMED: u64 = 0x200 + 0x080;
const ARMED_GROUP: u64 = 0x200 + 0x100;
const ARMED_SPACE: u64 = 0x200 + 0x180;

fn closer(place: &Path) {
    let create = |name| annulus::create(name).directory(place).capacity(RING);
    let open = |name| annulus::open(name).directory(place);
    let block = Wait::new().timeout(LONG).strategy(Strategy::Block);
    let mut out = [0; RING as usize];

    // Whoever observes: is given frames, is told that it does not know who lives, and hears of no death that there is not.
    for lossless in [false, true] {
        let mut producer = create("b").lossless(1).producer::<u64>().unwrap();
        let opening = if lossless { open("b").lossless() } else { open("b") };
        let (mut viewer, its) = with_its_descriptors(|| opening.observer::<u64>().unwrap());
        let mut sentinels = None;
        let object = place.join("b@v1.l1");
        let read = asleep(
            &object,
            ARMED,
            || viewer.read(&mut out, block),
            || {
                sentinels = Some(replace(&its));
                producer.push(&[1, 2, 3]).unwrap();
            },
        );
        // Awake before its slice was over or after: the frames come first.
        assert_eq!(read.unwrap().frames, 3, "lossless: {lossless}");
        assert_eq!(viewer.read(&mut out, block), Err(ReadError::Superseded), "lossless: {lossless}");
        assert!(matches!(viewer.producer(), ProducerState::Live { .. }), "{:?}", viewer.producer());
        assert!(!viewer.is_named() && producer.is_named());
        producer.push(&[4]).unwrap();
        assert_eq!(viewer.read(&mut out, block).map(|read| read.frames), Ok(1), "lossless: {lossless}");
        drop(viewer);
        sentinels.unwrap().check();
        assert_eq!(open("b").status().unwrap().attached.len(), 1, "the producer");
    }

    // A consumer: another takes its place, and is not disturbed by it.
    let mut producer = create("q").kind(Kind::Spsc).producer::<u64>().unwrap();
    let (mut consumer, its) = with_its_descriptors(|| open("q").consumer::<u64>().unwrap());
    let mut sentinels = None;
    let object = place.join("q@v1.l1");
    let read = asleep(
        &object,
        ARMED,
        || consumer.read(&mut out, block),
        || {
            sentinels = Some(replace(&its));
            producer.push(&[0, 1, 2]).unwrap();
        },
    );
    assert_eq!(read.unwrap().frames, 3);
    assert_eq!(consumer.read(&mut out, block), Err(ReadError::Superseded));
    producer.push(&[3, 4, 5, 6]).unwrap();
    consumer.try_read(&mut out[..1]).unwrap(); // single: not given back yet
    let lent = consumer.try_chunk(1).unwrap();
    let mut second = open("q").consumer::<u64>().unwrap();
    assert_eq!(lent.commit_all().frames, 0);
    assert_eq!(second.try_read(&mut out).unwrap().frames, 4, "from what was given back last");
    assert_eq!(consumer.try_read(&mut out), Err(ReadError::Superseded));
    assert_eq!(consumer.try_chunk(1).map(drop), Err(ReadError::Superseded));
    consumer.release();
    drop(consumer);
    sentinels.unwrap().check();
    assert_eq!(open("q").status().unwrap().head, Some(7), "the second one's");
    drop((second, producer));

    // A member of a group.
    let mut producer = create("m").kind(Kind::Mpmc).producers(1).producer::<u64>().unwrap();
    let (mut member, its) = with_its_descriptors(|| open("m").group_consumer::<u64>().unwrap());
    let mut sentinels = None;
    let object = place.join("m@v1.l1");
    let read = asleep(
        &object,
        ARMED_GROUP,
        || member.read(&mut out, block),
        || {
            sentinels = Some(replace(&its));
            producer.push(&[0]).unwrap();
        },
    );
    assert_eq!(read.unwrap().frames, 1);
    assert_eq!(member.read(&mut out, block), Err(ReadError::Superseded));
    drop(member);
    sentinels.unwrap().check();
    drop(producer);

    // A producer that waits for space: goes on until another has taken over.
    let mut consumer = create("q").kind(Kind::Spsc).consumer::<u64>().unwrap();
    let (mut producer, its) = with_its_descriptors(|| open("q").producer::<u64>().unwrap());
    producer.push(&[0; RING as usize]).unwrap();
    let mut sentinels = None;
    let object = place.join("q@v1.l1");
    let pushed = asleep(
        &object,
        ARMED_SPACE,
        || producer.push_wait(&[1; 10], Some(LONG)),
        || {
            sentinels = Some(replace(&its));
            consumer.try_read(&mut out).unwrap();
        },
    );
    assert_eq!(pushed, Ok(()));
    assert!(!producer.is_named());
    let second = open("q").producer::<u64>().unwrap();
    assert_eq!(producer.push(&[2]), Err(PushError::Superseded));
    assert_eq!(producer.push_wait(&[2], None), Err(PushError::Superseded));
    drop(producer);
    sentinels.unwrap().check();
    assert!(matches!(consumer.producer(), ProducerState::Live { .. }));
    drop((second, consumer));

    // The numbers of a handle become those of another handle on the same object: it is that one's to close.
    let producer = create("b").producer::<u64>().unwrap();
    let (first, its) = with_its_descriptors(|| open("b").observer::<u64>().unwrap());
    drop(replace(&its));
    let (mut second, numbers) = with_its_descriptors(|| open("b").observer::<u64>().unwrap());
    assert_eq!(numbers, its, "the lowest free ones");
    drop(first);
    assert!(second.is_named());
    assert_eq!(
        second.read(&mut out, Wait::new().timeout(Duration::from_millis(250))),
        Err(ReadError::Timeout)
    );
    drop((second, producer));
    let left: Vec<String> =
        fs::read_dir(place).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, [""; 0], "nothing is left");
    say("done");
}

// ---- A machine that stands still.

const PACED: u64 = 1500;

/// All processes of a stream are stopped for many slices, as when a machine is suspended, and go on: nobody is taken for
/// dead, nothing is lost.
fn everybody_is_stopped_for_long() {
    let place = Place::new();
    let mut pacer = Actor::start(&place, "pacer");
    pacer.line();
    let mut takers = [Actor::start(&place, "taker"), Actor::start(&place, "taker")];
    assert!(takers.iter_mut().all(|one| one.line() == "ready"));
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(150));
        for one in takers.iter().chain([&pacer]) {
            one.signal(libc::SIGSTOP);
        }
        std::thread::sleep(Duration::from_millis(700));
        for one in takers.iter().chain([&pacer]) {
            one.signal(libc::SIGCONT);
        }
    }
    for taker in &mut takers {
        assert_eq!(taker.line(), format!("{PACED} frames"));
        assert!(taker.child.wait().unwrap().success());
    }
    assert!(pacer.child.wait().unwrap().success());
    assert_eq!(place.objects(), [""; 0]);
    println!(
        "figures | all processes stopped for 0.7 s | 3 | 0 | nobody taken for dead, {PACED} frames arrived at both"
    );
}

fn pacer(place: &Path) {
    let mut producer = annulus::create("b")
        .directory(place)
        .capacity(4096)
        .lossless(2)
        .at_limit(AtLimit::Full)
        .producer::<u64>()
        .unwrap();
    say("ready");
    while annulus::open("b").directory(place).status().unwrap().attached.len() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..PACED {
        let frame = producer.position();
        producer.push_wait(&[frame], Some(LONG)).unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
    producer.finish();
}

fn taker(place: &Path) {
    let mut reader = annulus::open("b").directory(place).lossless().observer::<u64>().unwrap();
    say("ready");
    let mut out = [0; 64];
    loop {
        match reader.read(&mut out, Wait::new().frames(7).timeout(LONG)) {
            Ok(read) => {
                let first = read.first_position;
                assert!(out[..read.frames].iter().copied().eq(first..first + read.frames as u64));
                assert_eq!(read.lost_before, 0);
            }
            Err(ReadError::Ended { position }) => return say(format!("{position} frames")),
            Err(other) => panic!("{other}"),
        }
    }
}
