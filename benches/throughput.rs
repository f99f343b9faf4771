//! Frames and bytes a second from one producer to one reader: on another thread, and in another process. The
//! reader looks at every word of every frame; making the frames and looking at them is part of the time.
//!
//! A broadcast producer never waits, so here it is told how far the reader is (through a stream of its own),
//! and waits by itself: what is measured is what arrives, with nothing lost.
//!
//! `cargo bench --bench throughput`. As a yardstick: `std::sync::mpsc::sync_channel`, frame by frame.

mod support;

use annulus::{Kind, Observer, Producer, PushError, ReadError, Start};
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use std::hint;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use support::peer::{self, Line, Peer, Place, Serve};
use support::{Names, Reader, STUCK, back, check, fill, kind_of, machine, there};

/// Frames at a time.
const BATCHES: [usize; 2] = [1, 64];

const SERVE: Serve = |job: &[&str], line: Line<'_>| match job {
    ["take", kind, "8", batch, name] => take::<1>(kind, batch, name, line),
    ["take", kind, "64", batch, name] => take::<8>(kind, batch, name, line),
    ["take", kind, "256", batch, name] => take::<32>(kind, batch, name, line),
    ["take", kind, "4096", batch, name] => take::<512>(kind, batch, name, line),
    _ => panic!("no such job: {job:?}"),
};

/// Frames in a ring: about a megabyte, so that it stays in the processor's cache.
const fn capacity(frame_bytes: usize) -> u64 {
    let frames = (1 << 20) / frame_bytes as u64;
    if frames > 16_384 { 16_384 } else { frames }
}

fn main() {
    if peer::served(SERVE) {
        return;
    }
    machine::print();
    machine::pin(0);
    let mut criterion = support::criterion(Duration::from_millis(200), Duration::from_millis(700));
    let mut table = Table::default();
    frame_size::<1>(&mut criterion, &mut table);
    frame_size::<8>(&mut criterion, &mut table);
    frame_size::<32>(&mut criterion, &mut table);
    frame_size::<512>(&mut criterion, &mut table);
    table.print();
    Criterion::final_summary(&criterion);
}

fn frame_size<const N: usize>(criterion: &mut Criterion, table: &mut Table) {
    let bytes = size_of::<[u64; N]>();
    let mut group = criterion.benchmark_group(format!("throughput/{bytes} B"));
    let mut one = |group: &mut BenchmarkGroup<'_, WallTime>,
                   what: String,
                   batch: usize,
                   run: &mut dyn FnMut(u64) -> Duration| {
        let (elements, of_bytes) = (batch as u64, (batch * bytes) as u64);
        group.throughput(Throughput::ElementsAndBytes { elements, bytes: of_bytes });
        let mut total = (0, Duration::ZERO);
        group.bench_function(&what, |bencher| {
            bencher.iter_custom(|pushes| {
                let frames = pushes * batch as u64;
                let took = run(frames);
                total = (total.0 + frames, total.1 + took);
                took
            });
        });
        table.add(bytes, what, total);
    };

    let mut channel = None;
    one(&mut group, "std mpsc, threads".into(), 1, &mut |frames| {
        channel.get_or_insert_with(Channel::<N>::new).run(frames)
    });
    drop(channel);
    for place in [Place::Thread, Place::Process] {
        for kind in ["spsc", "broadcast"] {
            for batch in BATCHES {
                let mut pair = None;
                let (between, by) = match place {
                    Place::Thread => ("threads", batch),
                    Place::Process => ("processes", batch),
                };
                one(&mut group, format!("{kind}, {between}, {by} at a time"), batch, &mut |frames| {
                    pair.get_or_insert_with(|| Pair::<N>::new(place, kind, batch)).run(frames)
                });
            }
        }
    }
    group.finish();
}

/// Spins until `step` is done, or the other side must be taken for dead. Makes room for others now and then:
/// on a busy machine the other side may be waiting for this processor.
#[inline]
fn spin_until(mut step: impl FnMut() -> bool) {
    let mut until = None;
    loop {
        for _ in 0..1024 {
            if step() {
                return;
            }
            hint::spin_loop();
        }
        let now = Instant::now();
        assert!(now < *until.get_or_insert(now + STUCK), "the other side is stuck");
        thread::yield_now();
    }
}

/// The pushing side.
struct Pair<const N: usize> {
    producer: Producer<[u64; N]>,
    /// How far a reader of a broadcast is.
    progress: Option<Observer<u64>>,
    read: u64,
    peer: Peer,
    block: Vec<[u64; N]>,
    _names: Names,
}

impl<const N: usize> Pair<N> {
    fn new(place: Place, kind: &str, batch: usize) -> Self {
        let names = Names::new();
        let bytes = size_of::<[u64; N]>();
        let builder = annulus::create(names.there()).kind(kind_of(kind)).capacity(capacity(bytes));
        let producer = builder.producer().expect("a producer");
        let peer = Peer::start(place, format!("take {kind} {bytes} {batch} {names}"), SERVE);
        let progress = (kind_of(kind) == Kind::Broadcast)
            .then(|| annulus::open(names.back()).start(Start::Oldest).observer().expect("an observer"));
        Self { producer, progress, read: 0, peer, block: vec![[0; N]; batch], _names: names }
    }

    /// From the first push until the last frame was looked at.
    fn run(&mut self, frames: u64) -> Duration {
        let end = self.producer.position() + frames;
        self.peer.ask(frames);
        let start = Instant::now();
        while self.producer.position() < end {
            self.push();
        }
        self.await_reader(end);
        let took = start.elapsed();
        assert_eq!(self.peer.answer(), [frames], "every frame arrived");
        took
    }

    #[inline]
    fn push(&mut self) {
        let position = self.producer.position();
        fill(&mut self.block, position);
        if self.progress.is_some() {
            // Half of the ring at most is on its way: nothing is ever overwritten.
            let room = self.producer.info().capacity / 2 - self.block.len() as u64;
            if position - self.read > room {
                self.await_reader(position - room);
            }
            self.producer.push(&self.block).expect("a broadcast is never full");
            return;
        }
        spin_until(|| match self.producer.push(&self.block) {
            Ok(()) => true,
            Err(PushError::Full) => false,
            Err(error) => panic!("{error}"),
        });
    }

    fn await_reader(&mut self, position: u64) {
        let Some(progress) = &mut self.progress else {
            return spin_until(|| self.producer.pending() == 0);
        };
        let mut told = [0; 64];
        spin_until(|| {
            match progress.try_read(&mut told) {
                Ok(found) => self.read = told[found.frames - 1],
                Err(ReadError::Empty) => {}
                Err(error) => panic!("{error}"),
            }
            self.read >= position
        });
    }
}

/// The job `take KIND FRAME-BYTES BATCH NAME`.
fn take<const N: usize>(kind: &str, batch: &str, name: &str, mut line: Line<'_>) {
    let kind = kind_of(kind);
    let mut block = vec![[0; N]; batch.parse().expect("a number")];
    let mut reader = Reader::<[u64; N]>::open(&there(name), kind);
    let mut progress = (kind == Kind::Broadcast)
        .then(|| annulus::create(back(name)).capacity(4096).producer::<u64>().expect("a producer"));
    let every = capacity(size_of::<[u64; N]>()) / 16;
    let (mut position, mut told) = (0, 0);
    line.say(&[]);
    while let Some(frames) = line.request() {
        let end = position + frames;
        line.say(&[]);
        while position < end {
            let mut frames = 0;
            spin_until(|| match reader.try_read(&mut block) {
                Ok(read) => {
                    assert_eq!((read.first_position, read.lost_before), (position, 0));
                    frames = read.frames;
                    true
                }
                Err(ReadError::Empty) => false,
                Err(error) => panic!("{error}"),
            });
            check(&block[..frames], position);
            position += frames as u64;
            if let Some(progress) = &mut progress
                && (position - told >= every || position == end)
            {
                progress.push(&[position]).expect("a broadcast is never full");
                told = position;
            }
        }
        reader.release();
        line.say(&[frames]);
    }
}

/// The yardstick: the standard library's bounded channel.
struct Channel<const N: usize> {
    frames: mpsc::SyncSender<[u64; N]>,
    runs: mpsc::Sender<u64>,
    done: mpsc::Receiver<u64>,
    position: u64,
}

impl<const N: usize> Channel<N> {
    fn new() -> Self {
        let (frames, taken) = mpsc::sync_channel(capacity(size_of::<[u64; N]>()) as usize);
        let (runs, asked) = mpsc::channel();
        let (say, done) = mpsc::channel();
        thread::spawn(move || {
            machine::pin(1);
            let mut position = 0;
            while let Ok(count) = asked.recv() {
                say.send(0).expect("the bench is there");
                for _ in 0..count {
                    let Ok(frame) = taken.recv() else { return };
                    check(&[frame], position);
                    position += 1;
                }
                say.send(count).expect("the bench is there");
            }
        });
        Self { frames, runs, done, position: 0 }
    }

    fn run(&mut self, count: u64) -> Duration {
        self.runs.send(count).expect("the thread is there");
        assert_eq!(self.done.recv(), Ok(0));
        let start = Instant::now();
        for _ in 0..count {
            let mut frame = [[0; N]];
            fill(&mut frame, self.position);
            self.frames.send(frame[0]).expect("the thread is there");
            self.position += 1;
        }
        assert_eq!(self.done.recv(), Ok(count), "every frame arrived");
        start.elapsed()
    }
}

/// All figures of one run side by side.
#[derive(Default)]
struct Table(Vec<(usize, String, f64)>);

impl Table {
    fn add(&mut self, bytes: usize, what: String, (frames, took): (u64, Duration)) {
        if frames > 0 {
            self.0.push((bytes, what, frames as f64 / took.as_secs_f64()));
        }
    }

    fn print(&self) {
        let row = |(bytes, what, rate): &(usize, String, f64)| {
            let yardstick = self.0.iter().find(|(of, name, _)| of == bytes && name.starts_with("std"));
            let ratio = yardstick.map_or(String::new(), |(_, _, its)| format!("{:.1}", rate / its));
            let megabytes = rate * *bytes as f64 / 1e6;
            format!("{bytes:>6}   {what:<36} {:>18.2} {megabytes:>8.0} {ratio:>12}", rate / 1e6)
        };
        let head = "bytes    what                                 million frames/s     MB/s   x std mpsc";
        support::print_table(&[vec![head.into()], self.0.iter().map(row).collect()].concat());
    }
}
