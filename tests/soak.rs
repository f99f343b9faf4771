//! Processes that are killed and stopped at random: a soak over all kinds and roles, and races of creators, openers and
//! removers of one name. What each did is on a board that outlives it, so that nothing which was lost, doubled or torn
//! goes unseen. This program is its own child.
//!
//! Each for 3 s, or as many as `ANNULUS_SOAK` says; `ci/soak.sh` runs them for longer.

mod support;

#[path = "soak/actors.rs"]
mod actors;
#[path = "soak/board.rs"]
mod board;
#[path = "soak/races.rs"]
mod races;
#[path = "soak/supervisor.rs"]
mod supervisor;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::Place;
use support::actor;

const LONG: Duration = Duration::from_secs(60);
/// Who makes no progress for so long, though nothing is in its way, never will.
const WEDGE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    actor::main(play, tests![soak_of_all_kinds_and_roles, races_of_one_name_that_is_killed_again_and_again])
}

fn play(role: &str, place: &Path) {
    complain_in(place);
    match role.split_once(' ') {
        Some(("soak", slot)) => actors::play(slot.parse().unwrap(), place),
        Some(("races", number)) => races::play(number.parse().unwrap(), place),
        _ => panic!("no role {role}"),
    }
}

fn soak_of_all_kinds_and_roles() {
    supervisor::run(seconds());
}

fn races_of_one_name_that_is_killed_again_and_again() {
    races::run(seconds());
}

fn seconds() -> Duration {
    Duration::from_secs_f64(std::env::var("ANNULUS_SOAK").map_or(3.0, |text| text.parse().unwrap()))
}

/// What an actor finds wrong it writes down at once: it may be killed before it has ended by itself.
fn complain_in(place: &Path) {
    let path = place.join("complaints");
    std::panic::set_hook(Box::new(move |panic| {
        let mut complaints = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        complaints.write_all(format!("{panic}\n").as_bytes()).unwrap();
    }));
}

/// Fails if anybody found anything wrong.
fn heed_complaints(place: &Place) {
    let complaints = std::fs::read_to_string(place.path().join("complaints")).unwrap_or_default();
    assert!(complaints.is_empty(), "{complaints}");
}

/// Prints how it goes from time to time, so that a long run which is cut off was not for nothing.
struct Reports {
    begun: Instant,
    next: Duration,
}

impl Reports {
    const EVERY: Duration = Duration::from_secs(120);

    fn new() -> Self {
        Self { begun: Instant::now(), next: Self::EVERY }
    }

    fn when_due(&mut self, figures: impl FnOnce() -> Vec<String>) {
        if self.begun.elapsed() < self.next {
            return;
        }
        self.next += Self::EVERY;
        println!("after {} s:", self.begun.elapsed().as_secs());
        figures().iter().for_each(|line| println!("  {line}"));
        std::io::stdout().flush().unwrap();
    }
}

/// A line for the table of figures.
fn figure(what: &str, how_often: u64, detail: &str) -> String {
    format!("figures | {what} | {how_often} | 0 | {detail}")
}
