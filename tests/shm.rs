//! Shared memory for its own sake: one suite for every kind of object, and what is particular to each. This program is its
//! own child, too. `ci/shm.sh` runs the long form.

#[path = "shm/conformance.rs"]
mod conformance;
#[path = "shm/kinds.rs"]
mod kinds;
mod support;

use kinds::{Anonymous, File, Posix, SystemV};
use std::path::Path;
use std::process::ExitCode;
use support::actor;

fn main() -> ExitCode {
    let mut tests = Vec::new();
    conformance::of::<Posix>(&mut tests);
    conformance::of::<File>(&mut tests);
    conformance::of::<Anonymous>(&mut tests);
    conformance::of::<SystemV>(&mut tests);
    actor::main_of(play, tests)
}

fn play(role: &str, _: &Path) {
    panic!("no role {role}");
}
