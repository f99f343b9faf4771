//! Shared memory for its own sake: one suite for every kind of object, and what is particular to each. This program is its
//! own child, too. `ci/shm.sh` runs the long form.

#[path = "shm/conformance.rs"]
mod conformance;
#[cfg(unix)]
#[path = "shm/errors.rs"]
mod errors;
#[path = "shm/kinds.rs"]
mod kinds;
#[path = "shm/once.rs"]
mod once;
#[cfg(all(unix, feature = "portable"))]
#[path = "shm/portable.rs"]
mod portable;
#[cfg(unix)]
#[path = "shm/processes.rs"]
mod processes;
mod support;
#[cfg(windows)]
#[path = "shm/windows.rs"]
mod windows;

#[cfg(windows)]
use kinds::PageFile;
use kinds::{Anonymous, File};
#[cfg(unix)]
use kinds::{Posix, SystemV};
use std::path::Path;
use std::process::ExitCode;
use support::actor;

fn main() -> ExitCode {
    let mut tests = Vec::new();
    macro_rules! kinds {
        ($suite:ident: $($kind:ty),*) => { $($suite::of::<$kind>(&mut tests);)* };
    }
    kinds!(conformance: File, Anonymous);
    kinds!(once: File);
    #[cfg(windows)]
    {
        kinds!(conformance: PageFile);
        kinds!(once: PageFile);
        windows::all(&mut tests);
    }
    #[cfg(unix)]
    {
        kinds!(conformance: Posix, SystemV);
        kinds!(once: Posix, SystemV);
        kinds!(processes: Posix, File, Anonymous, SystemV);
        processes::others(&mut tests);
        errors::all(&mut tests);
    }
    #[cfg(all(unix, feature = "portable"))]
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
        #[cfg(unix)]
        "send" => processes::send(place),
        #[cfg(unix)]
        "limits" => errors::limits(),
        #[cfg(unix)]
        "full" => errors::full(),
        #[cfg(unix)]
        "denied" | "reader" | "owner" => errors::stranger(verb, rest),
        #[cfg(unix)]
        "slow" => errors::slow(&memory()),
        #[cfg(unix)]
        "waits" => errors::waits(&memory()),
        #[cfg(unix)]
        "named" => errors::named(rest, place),
        #[cfg(windows)]
        "take" => windows::take(),
        #[cfg(all(unix, feature = "portable"))]
        "crate" => portable::crate_alone(rest),
        other => panic!("no role {other}"),
    }
}
