//! A round trip of 64 bytes between two processes that both sleep until their next frame is there: two
//! wake-ups. Each side holds the frame back until the other must have fallen asleep; that is not counted. How
//! often they did sleep is printed beside the figure.
//!
//! `cargo bench --bench wakeup`. As a yardstick: eight bytes through a pair of pipes.

mod support;

use annulus::Strategy;
use criterion::Criterion;
use std::time::{Duration, Instant};
use support::echo::{self, Echo, hold};
use support::machine::{self, voluntary_switches};
use support::peer::{self, Line, Peer, Place, Serve};

/// Long enough for the other side to get from its push into the kernel.
const PAUSE: Duration = Duration::from_micros(100);

const SERVE: Serve = |job: &[&str], line: Line<'_>| match job {
    ["echo", kind, strategy, hold, name] => echo::serve(kind, strategy, hold, name, line),
    ["pipe"] => pipe(line),
    _ => panic!("no such job: {job:?}"),
};

fn pipe(mut line: Line<'_>) {
    line.say(&[]);
    while let Some(rounds) = line.request() {
        let before = voluntary_switches();
        line.say(&[]);
        for _ in 0..rounds {
            let ball = line.bytes();
            let held = hold(PAUSE);
            line.send(ball);
            line.send((held.as_nanos() as u64).to_le_bytes());
        }
        line.say(&[voluntary_switches() - before]);
    }
}

fn main() {
    if peer::served(SERVE) {
        return;
    }
    machine::print();
    machine::pin(0);
    let mut criterion = support::criterion(Duration::from_millis(500), Duration::from_secs(3));
    let mut table = Vec::new();
    let mut group = criterion.benchmark_group("wakeup/round-trip");

    let mut pipes = None;
    group.bench_function("two pipes", |bencher| {
        let pipes = pipes.get_or_insert_with(Pipes::new);
        bencher.iter_custom(|rounds| pipes.run(rounds));
    });
    if let Some(pipes) = &pipes {
        table.push(row("two pipes", pipes.rounds, pipes.slept, pipes.peer_slept));
    }
    for kind in ["spsc", "broadcast"] {
        let mut echo = None;
        group.bench_function(format!("{kind}, block"), |bencher| {
            let echo = echo.get_or_insert_with(|| Echo::new(kind, Strategy::Block, PAUSE, SERVE));
            bencher.iter_custom(|rounds| echo.run(rounds));
        });
        if let Some(echo) = echo {
            table.push(row(kind, echo.rounds(), echo.slept, echo.peer_slept));
        }
    }
    group.finish();
    support::print_table(&table);
    Criterion::final_summary(&criterion);
}

fn row(what: &str, rounds: u64, slept: u64, peer_slept: u64) -> String {
    let share = |sleeps: u64| 100.0 * sleeps as f64 / rounds as f64;
    format!(
        "{what:<10} {rounds:>8} round trips; this side slept {slept} times ({:.0}%), the other {peer_slept} ({:.0}%)",
        share(slept),
        share(peer_slept)
    )
}

struct Pipes {
    peer: Peer,
    rounds: u64,
    slept: u64,
    peer_slept: u64,
}

impl Pipes {
    fn new() -> Self {
        Self { peer: Peer::start(Place::Process, "pipe".into(), SERVE), rounds: 0, slept: 0, peer_slept: 0 }
    }

    fn run(&mut self, rounds: u64) -> Duration {
        self.peer.ask(rounds);
        let before = voluntary_switches();
        let mut took = Duration::ZERO;
        for _ in 0..rounds {
            hold(PAUSE);
            let start = Instant::now();
            self.peer.send(&self.rounds.to_le_bytes());
            let ball = self.peer.receive();
            let took_with_pause = start.elapsed();
            assert_eq!(u64::from_le_bytes(ball), self.rounds);
            let held = Duration::from_nanos(u64::from_le_bytes(self.peer.receive()));
            took += took_with_pause.saturating_sub(held);
            self.rounds += 1;
        }
        self.slept += voluntary_switches() - before;
        self.peer_slept += self.peer.answer()[0];
        took
    }
}
