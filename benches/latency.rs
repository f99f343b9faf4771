//! A round trip of 64 bytes between two processes that both stay awake, each on a processor of its own; and,
//! from the stamps in the frames, the time from push to read in one direction.
//!
//! `cargo bench --bench latency`. As a yardstick: the same between two threads over a pair of bare atomics.

mod support;

use annulus::Strategy;
use criterion::Criterion;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::echo::{self, Echo};
use support::peer::{self, Line};
use support::{machine, peer::Serve};

const CASES: [(&str, Strategy); 3] =
    [("spsc", Strategy::Spin), ("broadcast", Strategy::Spin), ("broadcast", Strategy::Adaptive)];

const SERVE: Serve = |job: &[&str], line: Line<'_>| match job {
    ["echo", kind, strategy, hold, name] => echo::serve(kind, strategy, hold, name, line),
    _ => panic!("no such job: {job:?}"),
};

fn main() {
    if peer::served(SERVE) {
        return;
    }
    machine::print();
    machine::pin(0);
    let mut criterion = support::criterion(Duration::from_millis(500), Duration::from_secs(3));
    let mut table = Vec::new();
    let mut group = criterion.benchmark_group("latency/round-trip");
    let mut bare = Mean::default();
    group.bench_function("two atomics, threads", |bencher| {
        bencher.iter_custom(|rounds| bare.add(rounds, two_atomics(rounds)));
    });
    for (kind, strategy) in CASES {
        let mut echo = None;
        let mut mean = Mean::default();
        group.bench_function(format!("{kind}, {strategy}, processes"), |bencher| {
            let echo = echo.get_or_insert_with(|| Echo::new(kind, strategy, Duration::ZERO, SERVE));
            bencher.iter_custom(|rounds| mean.add(rounds, echo.run(rounds)));
        });
        if let Some(echo) = echo {
            let [median, p99, p999, largest] = echo.one_way;
            table.push(format!(
                "{:<24} {:>9} round trips, mean {:>7.0} ns ({:.2} x two atomics); one way: median {median} ns, p99 {p99}, p99.9 {p999}, max {largest}",
                format!("{kind}, {strategy}"),
                echo.rounds(),
                mean.ns(),
                mean.ns() / bare.ns(),
            ));
        }
    }
    group.finish();
    support::print_table(&table);
    Criterion::final_summary(&criterion);
}

/// Over all runs, those to warm up included.
#[derive(Default)]
struct Mean {
    rounds: u64,
    took: Duration,
}

impl Mean {
    fn add(&mut self, rounds: u64, took: Duration) -> Duration {
        self.rounds += rounds;
        self.took += took;
        took
    }

    fn ns(&self) -> f64 {
        self.took.as_nanos() as f64 / self.rounds as f64
    }
}

#[derive(Default)]
#[repr(align(128))]
struct Line128(AtomicU64);

/// The least that a round trip can cost: each side waits for the other's line to change.
fn two_atomics(rounds: u64) -> Duration {
    let (there, back) = (Line128::default(), Line128::default());
    let await_value = |line: &Line128, value: u64| {
        let mut looks = 0u64;
        while line.0.load(Ordering::Acquire) != value {
            hint::spin_loop();
            looks += 1;
            if looks.is_multiple_of(1 << 16) {
                thread::yield_now(); // in case both were put on one processor
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            machine::pin(1);
            back.0.store(u64::MAX, Ordering::Release);
            for round in 1..=rounds {
                await_value(&there, round);
                back.0.store(round, Ordering::Release);
            }
        });
        await_value(&back, u64::MAX);
        let start = Instant::now();
        for round in 1..=rounds {
            there.0.store(round, Ordering::Release);
            await_value(&back, round);
        }
        start.elapsed()
    })
}
