//! Shared memory for its own sake: one suite for every kind of object, and what is particular to each. This program is its
//! own child, too. `ci/shm.sh` runs the long form.

#[path = "shm/conformance.rs"]
mod conformance;
#[path = "shm/errors.rs"]
mod errors;
#[path = "shm/kinds.rs"]
mod kinds;
#[path = "shm/once.rs"]
mod once;
#[cfg(feature = "portable")]
#[path = "shm/portable.rs"]
mod portable;
#[path = "shm/processes.rs"]
mod processes;
mod support;

use kinds::{Anonymous, File, Posix, SystemV};
use std::path::Path;
use std::process::ExitCode;
use support::actor;

fn main() -> ExitCode {
    let mut tests = Vec::new();
    macro_rules! kinds {
        ($suite:ident: $($kind:ty),*) => { $($suite::of::<$kind>(&mut tests);)* };
    }
    kinds!(conformance: Posix, File, Anonymous, SystemV);
    kinds!(once: Posix, File, SystemV);
    kinds!(processes: Posix, File, Anonymous, SystemV);
    processes::others(&mut tests);
    errors::all(&mut tests);
    #[cfg(feature = "portable")]
    {
        kinds!(conformance: kinds::Portable);
        kinds!(once: kinds::Portable);
        kinds!(processes: kinds::Portable);
        portable::all(&mut tests);
    }
    actor::main_of(play, tests)
}

fn play(role: &str, place: &Path) {
    let (verb, rest) = role.split_once(' ').unwrap_or((role, ""));
    let memory = || rest.parse().unwrap();
    match verb {
        "once" => {
            let (rounds, memory) = rest.split_once(' ').unwrap();
            once::once(rounds, place, &memory.parse().unwrap());
        }
        "watch" => once::watch(place, &memory()),
        "hang" => once::hang(&memory()),
        "make" => once::make(&memory()),
        "remake" => once::remake(&memory()),
        "hold" => once::hold(&memory()),
        "send" => processes::send(place),
        "limits" => errors::limits(),
        "full" => errors::full(),
        "denied" | "reader" | "owner" => errors::stranger(verb, rest),
        "slow" => errors::slow(&memory()),
        "waits" => errors::waits(&memory()),
        "named" => errors::named(rest, place),
        #[cfg(feature = "portable")]
        "crate" => portable::crate_alone(rest),
        other => panic!("no role {other}"),
    }
}
