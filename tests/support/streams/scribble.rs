//! Writes over the words of a live stream while all ends of it are at work: between their operations, and, if the input
//! says so, also at the same time. Whatever the words are, there is a value or an error; and when they are put right
//! again, the stream works for whoever comes.

use super::peers::{Peers, close_given_up};
use super::script::Script;
use super::shape::{Shape, frames};
use super::{Place, object};
use annulus::{Kind, Observer, Producer, Start};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

const STEPS_MAX: usize = 200;

pub fn run(bytes: &[u8], directory: &Path) {
    let mut script = Script::new(bytes);
    let place = Place(directory);
    let stream = Stream::new(&place, Shape::read(&mut script));
    let mode = script.byte();
    let mut peers = stream.attach();
    let snapshot = stream.snapshot();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        if mode & 3 == 3 {
            let seed = script.word(1) | 1;
            let (snapshot, stop) = (&snapshot, &stop);
            threads.spawn(move || snapshot.scribble_until(stop, seed));
        }
        for _ in 0..STEPS_MAX {
            if script.is_over() {
                break;
            }
            match script.byte() % 16 {
                0..=6 => snapshot.scribble(&mut script),
                7..=13 => peers.act(&mut script),
                14 => peers.attach(&place, &mut script),
                _ => peers.leave(&mut script),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    if mode & 4 == 0 {
        snapshot.restore(); // so that they leave as they came
    }
    drop(peers);
    close_given_up(&place);
    let snapshot = snapshot.reopen();
    snapshot.restore();
    stream.works();
}

/// A stream of which it is known what is in it.
struct Stream<'a> {
    place: &'a Place<'a>,
    shape: Shape,
    capacity: u64,
}

/// An object as it was.
struct Snapshot {
    path: PathBuf,
    file: Option<File>,
    bytes: Vec<u8>,
}

impl<'a> Stream<'a> {
    fn new(place: &'a Place<'a>, shape: Shape) -> Self {
        let shape = Shape { keep: true, ..shape };
        let producer = shape.apply(place.create()).producer::<u8>().expect("a new stream");
        let capacity = producer.info().capacity;
        Self { place, shape, capacity }
    }

    /// Both ends, and who looks on, in the middle of their work.
    fn attach(&self) -> Peers {
        let open = || self.place.open();
        let mut peers = Peers::default();
        let lanes = self.shape.lanes as usize;
        peers.producers.extend((0..lanes).map(|_| open().producer::<u8>().expect("a free lane")));
        if self.shape.observable {
            peers.observers.push(open().observer::<u8>().expect("a seat"));
        }
        match self.shape.kind {
            Kind::Spsc => peers.consumers.push(open().consumer::<u8>().expect("a seat")),
            Kind::Mpmc => peers.group.extend((0..2).map(|_| open().group_consumer::<u8>().expect("a seat"))),
            _ if self.shape.lossless.is_some() => {
                peers.observers.push(open().lossless().observer::<u8>().expect("a seat"));
            }
            _ => {}
        }
        for producer in &mut peers.producers {
            self.push(producer, self.capacity * 3 / 4);
        }
        let mut out = vec![0; self.shape.frame * (self.capacity / 2) as usize];
        peers.consumers.iter_mut().for_each(|one| assert!(one.try_read(&mut out).is_ok()));
        peers.group.iter_mut().for_each(|one| assert!(one.try_read(&mut out).is_ok()));
        peers.observers.iter_mut().for_each(|one| assert!(one.try_read(&mut out).is_ok()));
        peers.producers.iter_mut().take(1).for_each(|one| self.push(one, self.capacity / 4));
        peers
    }

    fn push(&self, producer: &mut Producer<u8>, count: u64) {
        let (lane, position) = (producer.lane() as usize, producer.position());
        producer.push(&frames(1, lane, position, count, self.shape.frame)).expect("room");
    }

    fn snapshot(&self) -> Snapshot {
        let path = self.place.object();
        let bytes = fs::read(&path).expect("its object");
        Snapshot { file: hostile(&path).ok(), path, bytes }
    }

    /// Everything that was there is there, and goes on.
    fn works(&self) {
        let open = || self.place.open();
        let status = open().status().expect("a stream");
        let mut producers: Vec<_> =
            (0..self.shape.lanes).map(|_| open().producer::<u8>().expect("its lane")).collect();
        let positions: Vec<u64> = producers.iter().map(Producer::position).collect();
        assert!(status.lanes.iter().map(|lane| lane.position).eq(positions.iter().copied()));
        assert!(positions.iter().all(|position| *position >= self.capacity * 3 / 4));
        if self.shape.observable {
            for lane in 0..self.shape.lanes {
                let oldest = open().lane(lane).start(Start::Oldest).observer::<u8>().expect("a seat");
                self.reads_all(oldest, positions[lane as usize]);
            }
        }
        if self.shape.lossless.is_some() {
            let oldest = open().lossless().start(Start::Oldest).observer::<u8>().expect("a seat");
            self.reads_all(oldest, positions[0]);
        }
        let (taken, left): (u64, u64) =
            (status.head.unwrap_or(0), status.position - status.head.unwrap_or(0));
        let mut out = vec![0; self.shape.frame * self.capacity as usize];
        match self.shape.kind {
            Kind::Spsc => {
                let mut consumer = open().consumer::<u8>().expect("a seat");
                assert_eq!((consumer.position(), consumer.available()), (taken, left));
                let read = consumer.try_read(&mut out).expect("frames");
                assert_eq!((read.first_position, read.frames as u64), (taken, left));
                self.compare(0, taken, &out[..read.frames * self.shape.frame]);
            }
            Kind::Mpmc => {
                let mut member = open().group_consumer::<u8>().expect("a seat");
                assert_eq!(member.available(), left);
                while member.taken() < left {
                    let read = member.try_read(&mut out).expect("frames");
                    self.compare(
                        read.lane as usize,
                        read.first_position,
                        &out[..read.frames * self.shape.frame],
                    );
                }
            }
            _ => {}
        }
        // Of those who seem to have died there nobody is waited for.
        producers.iter_mut().for_each(|producer| self.push(producer, self.capacity));
    }

    fn reads_all(&self, mut observer: Observer<u8>, tail: u64) {
        let mut out = vec![0; self.shape.frame * self.capacity as usize];
        let mut next = observer.position();
        assert!(next <= tail && tail - next <= self.capacity && tail - next >= self.capacity / 2);
        while next < tail {
            let read = observer.try_read(&mut out).expect("frames");
            assert_eq!((read.first_position, read.lost_before), (next, 0));
            self.compare(observer.lane() as usize, next, &out[..read.frames * self.shape.frame]);
            next += read.frames as u64;
        }
    }

    fn compare(&self, lane: usize, first: u64, bytes: &[u8]) {
        let count = (bytes.len() / self.shape.frame) as u64;
        assert!(
            bytes == frames(1, lane, first, count, self.shape.frame),
            "other frames at {first} of lane {lane}"
        );
    }
}

impl Snapshot {
    fn file(&self) -> &File {
        self.file.as_ref().expect("the object is open")
    }

    fn write(&self, at: usize, word: u64) {
        let length = self.bytes.len().saturating_sub(at).min(8);
        let _ = self.file().write_all_at(&word.to_le_bytes()[..length], at as u64);
    }

    fn scribble(&self, script: &mut Script<'_>) {
        let at = match script.byte() % 8 {
            0 => script.word(0) as usize % self.bytes.len(), // descriptor and data, too
            _ => object::word(&self.bytes, script),
        };
        let mut now = [0; 8];
        let _ = self.file().read_at(&mut now, at as u64);
        self.write(at, script.word(u64::from_le_bytes(now)));
    }

    /// Random words, mostly where they matter.
    fn scribble_until(&self, stop: &AtomicBool, mut seed: u64) {
        while !stop.load(Ordering::Relaxed) {
            let mut bytes = [0; 24];
            for eight in bytes.chunks_exact_mut(8) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                eight.copy_from_slice(&seed.to_le_bytes());
            }
            self.scribble(&mut Script::new(&bytes));
        }
    }

    /// The name's own object, with all its words as they were; a copy of it, if the name was lost.
    fn restore(&self) {
        let same =
            |name: fs::Metadata, open: fs::Metadata| (name.dev(), name.ino()) == (open.dev(), open.ino());
        let named = fs::metadata(&self.path).and_then(|name| Ok(same(name, self.file().metadata()?)));
        if named.unwrap_or(false) {
            self.file().write_all_at(&self.bytes, 0).expect("its own words");
            return;
        }
        let _ = fs::remove_file(&self.path);
        plant(&self.path, &self.bytes);
    }

    /// The same, after all descriptors were closed.
    fn reopen(mut self) -> Self {
        std::mem::forget(self.file.take()); // closed with those of the others
        if !self.path.exists() {
            plant(&self.path, &self.bytes);
        }
        self.file = hostile(&self.path).ok();
        self
    }
}

fn plant(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("it is ours");
}

/// The object's file, as a peer that may write to it has it.
fn hostile(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}
