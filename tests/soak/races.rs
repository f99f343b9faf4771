//! Processes that create one stream with this shape or that, open, read, leave, finish and remove it, all at once, and
//! are killed and stopped meanwhile. Nobody may see a half-made segment, or one whose shape is a mixture; nobody may
//! attach to one that has lost its name; there may be no two producers, and nothing that stays for ever.

use crate::support::actor::Actor;
use crate::support::{self, Place, map_shared};
use crate::{LONG, Reports, WEDGE, figure, heed_complaints};
use annulus::{AtLimit, Error, Existing, Frames, Info, Kind, Producer, PushError, ReadError, Start};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const ACTORS: usize = 6;
/// Kills, then a while without any, at whose end all leave.
const WILD: Duration = Duration::from_millis(800);
const CALM: Duration = Duration::from_millis(150);

const SPSC: usize = 4;
const QUEUE: usize = 5;

/// What a creator may want. All are different, and each says in its metadata which it is.
struct Shape {
    kind: Kind,
    capacity: u64,
    rate: f64,
    lossless: u32,
    at_limit: AtLimit,
}

const BROADCAST: Shape =
    Shape { kind: Kind::Broadcast, capacity: 512, rate: 1000.0, lossless: 0, at_limit: AtLimit::Overwrite };
const SHAPES: [Shape; 6] = [
    BROADCAST,
    Shape { rate: 2000.0, ..BROADCAST },
    Shape { capacity: 3000, ..BROADCAST },
    Shape { lossless: 2, at_limit: AtLimit::Full, ..BROADCAST },
    Shape { kind: Kind::Spsc, ..BROADCAST },
    Shape { kind: Kind::Mpmc, ..BROADCAST },
];

fn create(place: &Path, shape: usize) -> annulus::Builder {
    let Shape { kind, capacity, rate, lossless, at_limit } = SHAPES[shape];
    let builder = annulus::create("s").directory(place).gate_timeout(LONG);
    let builder = builder.kind(kind).capacity(capacity).rate(rate).lossless(lossless).at_limit(at_limit);
    builder.device(format!("device {shape}")).metadata_json(shape.to_string())
}

fn open(place: &Path) -> annulus::Open {
    annulus::open("s").directory(place).gate_timeout(LONG)
}

/// Position, shape, the object's own random name, and the producer's epoch: frames of another object are known by it.
type Frame = [u64; 6];

fn frame(position: u64, info: &Info, epoch: u64) -> Frame {
    let instance = u128::from_le_bytes(info.instance);
    let shape = info.metadata_json.parse().unwrap();
    [
        position,
        shape,
        instance as u64,
        (instance >> 64) as u64,
        epoch,
        position ^ epoch.rotate_right(8) ^ instance as u64,
    ]
}

#[derive(Clone, Copy)]
enum Count {
    Attached,
    Made,
    Replaced,
    Refused,
    Looked,
    Frames,
}

/// How often what happened, by all.
struct Counts([AtomicU64; 6]);

impl Counts {
    fn map(place: &Path) -> &'static Self {
        // SAFETY: made of atomics only.
        #[allow(unsafe_code)]
        unsafe {
            map_shared(&place.join("counts"))
        }
    }

    fn add(&self, what: Count, count: u64) {
        self.0[what as usize].fetch_add(count, Relaxed);
    }

    fn get(&self, what: Count) -> u64 {
        self.0[what as usize].load(Relaxed)
    }
}

struct Racer {
    place: PathBuf,
    counts: &'static Counts,
    witness: File,
    random: Box<dyn FnMut() -> u64>,
}

pub(crate) fn play(number: u64, place: &Path) {
    // When we are killed it is to be unlocked before our seat is: the kernel lets go of the highest descriptor first.
    let witness = highest(&File::options().create(true).append(true).open(place.join("witness")).unwrap());
    let random = Box::new(support::random(u64::from(std::process::id()) << 32 | 0x2545_F491 ^ number << 20));
    let mut racer = Racer { place: place.into(), counts: Counts::map(place), witness, random };
    let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = files();
    while !place.join("leave").exists() {
        racer.act();
        assert_eq!(files(), before, "who has left has kept a descriptor");
    }
}

impl Racer {
    fn below(&mut self, limit: u64) -> u64 {
        ((self.random)() >> 16) % limit
    }

    fn pause(&mut self) {
        if self.below(2) == 0 {
            let time = self.below(600);
            std::thread::sleep(Duration::from_micros(time));
        }
    }

    fn act(&mut self) {
        match self.below(13) {
            0..5 => self.produce(),
            5..8 => self.observe(),
            8 => self.record(),
            9 => self.consume(),
            10 => self.share(),
            11 => self.remove(),
            _ => self.look(),
        }
    }

    /// The random name of the object that the name leads to now.
    fn named(&self) -> Option<[u8; 16]> {
        self.allowed(open(&self.place).status()).map(|status| status.info.instance)
    }

    /// What came of it; `None`: it was refused, for a reason that there can be.
    fn allowed<T>(&self, done: Result<T, Error>) -> Option<T> {
        match done {
            Ok(done) => return Some(done),
            Err(Error::Corrupt { .. } | Error::NotAStream { .. } | Error::Layout { .. }) => {
                panic!("a half-made segment: {}", done.err().unwrap())
            }
            Err(
                Error::NotFound { .. }
                | Error::AlreadyExists { .. }
                | Error::Incompatible { .. }
                | Error::WriterBusy { .. }
                | Error::ConsumerBusy { .. }
                | Error::LosslessBusy { .. }
                | Error::NoSeat { .. }
                | Error::WrongKind { .. }
                | Error::Finished { .. },
            ) => self.counts.add(Count::Refused, 1),
            Err(other) => panic!("{other}"),
        }
        None
    }

    /// Takes an end by `verb`, and looks whether it is that of what the name led to.
    fn attach<T>(
        &mut self,
        verb: impl FnOnce(&mut Self) -> Result<T, Error>,
        info: fn(&T) -> &Info,
    ) -> Option<T> {
        let before = self.named();
        let done = verb(self);
        let end = self.allowed(done)?;
        let after = self.named();
        let info = info(&end);
        assert!(
            before.is_none() || before != after || before == Some(info.instance),
            "attached to a retired one: the name led to {before:?} all the time, not to {:?}",
            info.instance
        );
        check_shape(info);
        self.counts.add(Count::Attached, 1);
        Some(end)
    }

    /// One who holds the name: it leads to what is held.
    fn holds(&self, info: &Info) {
        assert_eq!(self.named(), Some(info.instance), "attached to a retired one: the name is another's");
    }

    /// Reads what there is. One who does not hold the name, and from whom it was taken, is told so after that.
    fn read_out(&self, info: &Info, mut read: impl FnMut(&mut [Frame]) -> Result<Frames, ReadError>) {
        let taken = self.named() != Some(info.instance);
        let mut out = [[0; 6]; 100];
        let told = loop {
            match read(&mut out) {
                Ok(read) => self.check(&out[..read.frames], read.first_position, info),
                Err(ReadError::ProducerGone { .. } | ReadError::Lapped { .. }) => {}
                Err(other) => break other,
            }
        };
        match told {
            ReadError::Ended { .. } | ReadError::Replaced => {}
            ReadError::Empty => assert!(!taken, "attached to a retired one, and not told"),
            other => panic!("{other}"),
        }
    }

    fn produce(&mut self) {
        let before = self.named();
        let taken = self.attach(
            |me| match me.below(5) {
                0 => open(&me.place).producer::<Frame>(),
                how => {
                    let existing = [Existing::Replace, Existing::Refuse, Existing::Resume, Existing::Resume];
                    let shape = me.below(SHAPES.len() as u64) as usize;
                    let wanted = create(&me.place, shape).existing(existing[how as usize - 1]);
                    let producer = wanted.producer::<Frame>();
                    if let Ok(producer) = &producer {
                        assert_eq!(
                            producer.info().metadata_json,
                            shape.to_string(),
                            "mixed parameters: not what was asked for"
                        );
                    }
                    producer
                }
            },
            Producer::info,
        );
        let Some(mut producer) = taken else { return };
        assert!(flock(&self.witness, libc::LOCK_EX | libc::LOCK_NB), "there are two producers");
        self.holds(producer.info());
        if producer.epoch() == 1 {
            assert_eq!(producer.position(), 0, "a new one begins anew");
            self.counts.add(Count::Made, 1);
            if before.is_some_and(|before| before != producer.info().instance) {
                self.counts.add(Count::Replaced, 1);
            }
        }
        for _ in 0..self.below(64) {
            let next = frame(producer.position(), producer.info(), producer.epoch());
            match producer.push(&[next]) {
                Ok(()) => {}
                Err(PushError::Full) => break,
                Err(other) => panic!("{other}"),
            }
        }
        self.pause();
        self.holds(producer.info());
        flock(&self.witness, libc::LOCK_UN);
        if self.below(2) == 0 {
            producer.finish();
        }
    }

    fn observe(&mut self) {
        let open = |me: &mut Self| {
            let open = open(&me.place).start(Start::Oldest);
            if me.below(3) == 0 { open.unseated().observer::<Frame>() } else { open.observer::<Frame>() }
        };
        let Some(viewer) = self.attach(open, annulus::Observer::info) else { return };
        self.read_on(viewer);
    }

    fn record(&mut self) {
        let open = |me: &mut Self| open(&me.place).start(Start::Oldest).lossless().observer::<Frame>();
        let Some(recorder) = self.attach(open, annulus::Observer::info) else { return };
        self.read_on(recorder);
    }

    fn read_on(&mut self, mut viewer: annulus::Observer<Frame>) {
        let info = viewer.info().clone();
        for _ in 0..2 {
            self.pause();
            self.read_out(&info, |out| viewer.try_read(out));
        }
    }

    fn check(&self, frames: &[Frame], first: u64, info: &Info) {
        for (found, position) in frames.iter().zip(first..) {
            assert_eq!(*found, frame(position, info, found[4]), "a frame of another segment, at {position}");
        }
        self.counts.add(Count::Frames, frames.len() as u64);
    }

    fn consume(&mut self) {
        let taken = self.attach(
            |me| match me.below(2) {
                0 => create(&me.place, SPSC).consumer::<Frame>(),
                _ => open(&me.place).consumer::<Frame>(),
            },
            annulus::Consumer::info,
        );
        let Some(mut consumer) = taken else { return };
        let info = consumer.info().clone();
        self.pause();
        self.read_out(&info, |out| consumer.try_read(out));
    }

    fn share(&mut self) {
        let taken = self.attach(
            |me| match me.below(2) {
                0 => create(&me.place, QUEUE).group_consumer::<Frame>(),
                _ => open(&me.place).group_consumer::<Frame>(),
            },
            annulus::GroupConsumer::info,
        );
        let Some(mut consumer) = taken else { return };
        let info = consumer.info().clone();
        self.pause();
        self.read_out(&info, |out| consumer.try_read(out));
    }

    fn remove(&mut self) {
        let _ = self.allowed(open(&self.place).remove());
    }

    fn look(&mut self) {
        for listed in annulus::list_in(&self.place).unwrap() {
            if listed.name == "s@v1"
                && let Some(status) = self.allowed(listed.status)
            {
                check_shape(&status.info);
                self.counts.add(Count::Looked, 1);
            }
        }
    }
}

/// All parameters are those of one creator.
fn check_shape(info: &Info) {
    let number: usize = info.metadata_json.parse().unwrap_or_else(|_| panic!("mixed parameters: {info:?}"));
    let shape = &SHAPES[number];
    let found = (info.kind, info.requested, info.rate, info.lossless, info.at_limit, info.device.clone());
    let asked =
        (shape.kind, shape.capacity, shape.rate, shape.lossless, shape.at_limit, format!("device {number}"));
    assert_eq!(found, asked, "mixed parameters");
    assert!(
        info.capacity >= info.requested && info.frame_bytes == size_of::<Frame>(),
        "mixed parameters: {info:?}"
    );
}

pub(crate) fn run(time: Duration) {
    let mut races = Races::new();
    let (begun, mut reports) = (Instant::now(), Reports::new());
    while begun.elapsed() < time {
        races.wild();
        races.calm();
        reports.when_due(|| races.figures());
    }
    races.figures().iter().for_each(|line| println!("{line}"));
}

struct Races {
    place: Place,
    counts: &'static Counts,
    random: Box<dyn FnMut() -> u64>,
    kills: u64,
    stops: u64,
    healed: u64,
    /// Times in a row that something stayed, though all had left by themselves.
    left_over: u32,
}

impl Races {
    fn new() -> Self {
        let place = Place::new();
        let counts = Counts::map(place.path());
        let random = Box::new(support::random(0x9E37_79B9_7F4A_7C15 ^ u64::from(std::process::id())));
        Self { place, counts, random, kills: 0, stops: 0, healed: 0, left_over: 0 }
    }

    fn start(&mut self) -> Actor {
        Actor::start(&self.place, &format!("races {}", (self.random)() % 1000))
    }

    /// What is there under the name.
    fn streams(&self) -> Vec<String> {
        self.place.objects().into_iter().filter(|object| object.starts_with("s@")).collect()
    }

    /// Kills them all, again and again; whatever is left in the end heals.
    fn wild(&mut self) {
        let mut actors: Vec<Actor> = (0..ACTORS).map(|_| self.start()).collect();
        let end = Instant::now() + WILD;
        while Instant::now() < end {
            let random = (self.random)();
            std::thread::sleep(Duration::from_micros(random % 1000));
            let who = (random >> 32) as usize % ACTORS;
            if random >> 48 & 1 == 0 {
                // In the middle of something, while the others go on.
                actors[who].signal(libc::SIGSTOP);
                std::thread::sleep(Duration::from_micros((random >> 16) % 3000));
                actors[who].signal(libc::SIGCONT);
                self.stops += 1;
            } else {
                let next = self.start();
                std::mem::replace(&mut actors[who], next).kill();
                self.kills += 1;
            }
            heed_complaints(&self.place);
        }
        self.kills += ACTORS as u64;
        actors.into_iter().for_each(Actor::kill);
        heed_complaints(&self.place);
        assert!(self.streams().len() <= 1, "{:?}", self.streams());
        let shape = (self.random)() as usize % SHAPES.len();
        create(self.place.path(), shape).producer::<Frame>().unwrap().finish();
        // Of a queue or an spsc ring there may be frames that nobody took, and whose dead producers they were.
        if !self.streams().is_empty() {
            open(self.place.path()).remove().unwrap();
        }
        assert!(self.streams().is_empty(), "a leftover that nobody removes");
        self.healed += 1;
    }

    /// Nobody is killed; when all have left nothing is there.
    fn calm(&mut self) {
        let mut actors: Vec<Actor> = (0..ACTORS).map(|_| self.start()).collect();
        std::thread::sleep(CALM);
        std::fs::write(self.place.path().join("leave"), "").unwrap();
        let until = Instant::now() + WEDGE;
        for actor in &mut actors {
            while actor.child.try_wait().unwrap().is_none() {
                heed_complaints(&self.place);
                assert!(Instant::now() < until, "wedged: somebody does not get on");
                std::thread::sleep(Duration::from_millis(1));
            }
            heed_complaints(&self.place);
            assert!(actor.child.wait().unwrap().success());
        }
        std::fs::remove_file(self.place.path().join("leave")).unwrap();
        // One who waits in vain for the gate leaves without removing; then the next one who comes does. Seldom.
        self.left_over = if self.streams().is_empty() { 0 } else { self.left_over + 1 };
        assert!(self.left_over < 3, "a leftover that nobody removes: {:?}", self.streams());
    }

    fn figures(&self) -> Vec<String> {
        let get = |what| self.counts.get(what);
        let detail = format!(
            "{} attached, {} segments made, {} in another's place, {} refusals, {} looks, {} frames read: none half-made, \
             none mixed, none retired, never two producers; {} stops, all gone after {} rounds",
            get(Count::Attached),
            get(Count::Made),
            get(Count::Replaced),
            get(Count::Refused),
            get(Count::Looked),
            get(Count::Frames),
            self.stops,
            self.healed
        );
        vec![figure("races: kills", self.kills, &detail)]
    }
}

/// The same open, with a high number.
fn highest(file: &File) -> File {
    // SAFETY: the descriptor is new, and nobody else's.
    #[allow(unsafe_code)]
    unsafe {
        File::from_raw_fd(libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900))
    }
}

fn flock(file: &File, operation: i32) -> bool {
    // SAFETY: flock takes numbers only.
    #[allow(unsafe_code)]
    let done = unsafe { libc::flock(file.as_raw_fd(), operation) };
    done == 0
}
