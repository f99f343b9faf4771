//! A hundred streams of two kinds, and one thread that reads them all: it sleeps until some are due, and is told which.
//!
//! `cargo run --release --example waitset [STREAMS [SECONDS [DUE]]]`: every 50 ms a block comes on so many as DUE says
//! (default 3) of all STREAMS (default 100). With DUE 0 nothing ever comes, and this costs nothing.

use annulus::{Channel, Error, Member, Observer, ReadError, Strategy, Wait, WaitSet, Waitable};
use std::time::{Duration, Instant};

/// Both kinds in one slice.
enum Stream {
    Counts(Observer<i16>),
    Volts(Observer<f32>),
}

/// Counts come in blocks of 20 frames, volts in blocks of 5.
impl Waitable for Stream {
    fn member(&mut self) -> Member<'_> {
        match self {
            Self::Counts(viewer) => viewer.at_least(20),
            Self::Volts(viewer) => viewer.at_least(5),
        }
    }
}

impl Stream {
    fn open(index: usize) -> Result<Self, Error> {
        let open = annulus::open(name(index)).appear_within(Duration::from_secs(5));
        Ok(if index.is_multiple_of(2) {
            Self::Counts(open.observer()?)
        } else {
            Self::Volts(open.observer()?)
        })
    }

    fn read(&mut self) -> Result<usize, ReadError> {
        match self {
            Self::Counts(viewer) => Ok(viewer.try_read(&mut [0; 64])?.frames),
            Self::Volts(viewer) => Ok(viewer.try_read(&mut [0.0; 64])?.frames),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |nth, default| std::env::args().nth(nth).map_or(Ok(default), |text| text.parse::<usize>());
    let (count, seconds, due) = (argument(1, 100)?, argument(2, 3)?, argument(3, 3)?);
    let mut producers: Vec<Box<dyn FnMut() + Send>> = Vec::new();
    for index in 0..count {
        producers.push(producer(index)?);
    }
    let mut streams = (0..count).map(Stream::open).collect::<Result<Vec<_>, _>>()?;

    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let acquiring = std::thread::spawn(move || {
        let mut blocks = 0;
        while due > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
            for _ in 0..due {
                producers[blocks * 7 % count]();
                blocks += 1;
            }
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()) + Duration::from_millis(200));
        (blocks, producers)
    });

    let mut set = WaitSet::new();
    let (mut waits, mut told, mut frames) = (0, 0, 0);
    let wait = Wait::new().timeout(Duration::from_millis(500)).strategy(Strategy::Block);
    while !acquiring.is_finished() {
        match set.wait(&mut streams, wait) {
            Ok(ready) => {
                waits += 1;
                told += ready.len();
                for &index in ready {
                    frames += streams[index].read()?;
                }
            }
            Err(ReadError::Timeout) => {}
            Err(other) => return Err(other.into()),
        }
    }
    let (blocks, _producers) = acquiring.join().expect("the acquiring thread does not panic");
    println!(
        "{count} streams: {blocks} blocks came; woken {waits} times, told of {told} streams, {frames} frames"
    );
    Ok(())
}

fn name(index: usize) -> String {
    format!("waitset-{index}")
}

/// What pushes one block into a stream.
fn producer(index: usize) -> Result<Box<dyn FnMut() + Send>, Error> {
    let stream = annulus::create(name(index)).channels([Channel::new("x")]).rate(400.0);
    Ok(if index.is_multiple_of(2) {
        let mut producer = stream.producer::<i16>()?;
        Box::new(move || producer.push(&[512; 20]).expect("a broadcast stream is never full"))
    } else {
        let mut producer = stream.producer::<f32>()?;
        Box::new(move || producer.push(&[0.5; 5]).expect("a broadcast stream is never full"))
    })
}
