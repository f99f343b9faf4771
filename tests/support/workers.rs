//! A process with one thread for each processor, as ptrace wants it, to share the scenes of a test.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use super::Place;
use super::actor::Actor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Longest that anything may take before it counts as a wedge, in seconds.
const WEDGED: u32 = 20;

/// Starts the workers in `role`, followed by the number of each and how many there are. What they say; and a line
/// that begins with "wrong" for one that has not come to its end.
pub fn run(role: &str) -> Vec<String> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| {
                let role = format!("{role} {worker} {workers}");
                scope.spawn(move || {
                    let place = Place::new();
                    let mut worker = Actor::start(&place, &role);
                    let mut lines: Vec<String> = worker.rest().collect();
                    if !worker.child.wait().unwrap().success() {
                        let at = std::fs::read_to_string(place.path().join("at")).unwrap_or_default();
                        lines.push(format!("wrong {at}: a wedge, or the harness fell"));
                        sweep(worker.pid());
                    }
                    lines
                })
            })
            .collect();
        started.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Removes the places of a worker that could not do so itself.
fn sweep(pid: u32) {
    let its = format!("annulus-test-{pid}-");
    for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&its) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// In a worker: notes what is being played, and ends this process should it take too long.
#[allow(unsafe_code)]
pub fn watch(place: &Path, what: &str) {
    std::fs::write(place.join("at"), what).unwrap();
    // SAFETY: alarm takes a number only.
    unsafe { libc::alarm(WEDGED) };
}

/// In a worker: what comes of a scene, or what its panic says.
pub fn attempt<R>(scene: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(scene)).map_err(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?").to_string()
    })
}
