//! Killed, or stopped, at every instruction.
//!
//! A victim runs one instruction at a time up to a point, and is killed there; then those who live on, and those who
//! come in its place, find out what is left. Each scene is played once for each point.
//!
//! `ANNULUS_KILL_POINTS=N` plays all points of a scene that has at most N; of another those that others can tell apart
//! (after each store into the segment, and each system call), and N/16 of the rest, evenly spread; `all` plays all;
//! without it a few are played. `ANNULUS_STOP_POINTS`: likewise with SIGSTOP. `ANNULUS_KILL_ONLY=text`: the scenes whose name has
//! that text.

#[cfg(target_arch = "x86_64")]
#[path = "kill/harness.rs"]
mod harness;
#[cfg(target_arch = "x86_64")]
#[path = "kill/scenes.rs"]
mod scenes;
#[cfg(target_arch = "x86_64")]
mod support;
#[cfg(target_arch = "x86_64")]
#[path = "kill/world.rs"]
mod world;

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    harness::main()
}

/// Elsewhere nobody has written the few lines about registers.
#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("not run: it needs x86-64");
}
