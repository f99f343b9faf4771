//! Each system call fails, in turn, in each way that it can.
//!
//! A victim does one thing, and one of the system calls that this takes fails: once, or from then on each time. It must
//! come to an end, with what it wanted or an error; leave nothing behind, neither in its process nor in the directory;
//! and be in nobody's way. What it got must work, and when nothing fails any more it must get it.
//!
//! `ANNULUS_FAULTS=N` plays every N-th failure (default: every 150th), `1` all. `ANNULUS_FAULTS_ONLY=text`: of the scenes whose
//! name has that text. `ANNULUS_FAULTS_VERBOSE`: says of each what came of it.

#[cfg(target_arch = "x86_64")]
#[path = "faults/errors.rs"]
mod errors;
#[cfg(target_arch = "x86_64")]
#[path = "faults/harness.rs"]
mod harness;
#[cfg(target_arch = "x86_64")]
#[path = "faults/scenes.rs"]
mod scenes;
#[cfg(target_arch = "x86_64")]
mod support;

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    harness::main()
}

/// Elsewhere nobody has written the few lines about registers.
#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("not run: it needs x86-64");
}
