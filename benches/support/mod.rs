//! What the benches share: the other side, the machine, and the payload.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod echo;
pub(crate) mod machine;
pub(crate) mod peer;

use annulus::bytemuck::Pod;
use annulus::{Consumer, Frames, GroupConsumer, Kind, Observer, ReadError, Strategy, Wait};
use criterion::Criterion;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Nothing in a bench takes nearly as long: the other side is dead, or stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(10);

/// Criterion with short runs: ten benches of a kind are worth more here than one exact figure.
pub(crate) fn criterion(warm_up: Duration, measurement: Duration) -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .configure_from_args()
}

/// Prints a table of figures, unless this is a test run, which has none.
pub(crate) fn print_table(rows: &[String]) {
    if !std::env::args().any(|argument| argument == "--test") {
        println!("{}", rows.join("\n"));
    }
}

/// Names of this process's own; what may be left under them is removed in the end, after a panic too.
pub(crate) struct Names(String);

impl Names {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(format!("bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn there(&self) -> String {
        there(&self.0)
    }

    pub(crate) fn back(&self) -> String {
        back(&self.0)
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in [self.there(), self.back()] {
            // In the ordinary case the last one who left has removed it.
            let _ = annulus::open(name).remove();
        }
    }
}

/// The stream from this process to the peer.
pub(crate) fn there(name: &str) -> String {
    format!("{name}-there")
}

/// The stream from the peer to this process.
pub(crate) fn back(name: &str) -> String {
    format!("{name}-back")
}

pub(crate) fn kind_of(text: &str) -> Kind {
    match text {
        "spsc" => Kind::Spsc,
        "broadcast" => Kind::Broadcast,
        other => panic!("no bench of {other}"),
    }
}

/// The reading end of any kind.
pub(crate) enum Reader<T> {
    Consumer(Consumer<T>),
    Group(GroupConsumer<T>),
    Observer(Observer<T>),
}

impl<T: Pod> Reader<T> {
    pub(crate) fn open(name: &str, kind: Kind) -> Self {
        let open = annulus::open(name).appear_within(STUCK);
        match kind {
            Kind::Spsc => Self::Consumer(open.consumer().expect("the consumer's end")),
            Kind::Mpmc => Self::Group(open.group_consumer().expect("a consumer's place")),
            _ => Self::Observer(open.observer().expect("an observer")),
        }
    }

    #[inline]
    pub(crate) fn read(&mut self, out: &mut [T], strategy: Strategy) -> Result<Frames, ReadError> {
        let wait = Wait::new().strategy(strategy).timeout(STUCK);
        match self {
            Self::Consumer(consumer) => consumer.read(out, wait),
            Self::Group(consumer) => consumer.read(out, wait),
            Self::Observer(observer) => observer.read(out, wait),
        }
    }

    #[inline]
    pub(crate) fn try_read(&mut self, out: &mut [T]) -> Result<Frames, ReadError> {
        match self {
            Self::Consumer(consumer) => consumer.try_read(out),
            Self::Group(consumer) => consumer.try_read(out),
            Self::Observer(observer) => observer.try_read(out),
        }
    }

    /// Gives back what was taken, if that is how it works.
    pub(crate) fn release(&mut self) {
        if let Self::Consumer(consumer) = self {
            consumer.release();
        }
    }
}

/// A frame that holds its position in every word.
#[inline]
pub(crate) fn fill<const N: usize>(frames: &mut [[u64; N]], first: u64) {
    for (position, frame) in (first..).zip(frames) {
        *frame = [position; N];
    }
}

/// Looks at every word.
#[inline]
pub(crate) fn check<const N: usize>(frames: &[[u64; N]], first: u64) {
    let mut wrong = 0;
    for (position, frame) in (first..).zip(frames) {
        for word in frame {
            wrong |= word ^ position;
        }
    }
    assert_eq!(wrong, 0, "what was received at {first} is not what was pushed");
}
