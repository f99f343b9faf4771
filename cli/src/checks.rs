//! Whether a machine, and an account on it, are fit for live signals.
//!
//! | file | question |
//! |---|---|
//! | `left.rs` | what crashes and other programs left behind |
//! | `place.rs` | how the directory of the streams is mounted, how full, and who may do what in it |
//! | `login.rs` | whether it all goes when the user logs out |
//! | `limits.rs`, `cgroup.rs` | what the account and the container may have |
//! | `kernel.rs` | what the kernel can do, and how fast |

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod kernel;
mod left;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod login;
#[cfg(target_os = "linux")]
mod place;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Ok,
    /// One can live with it.
    Warning,
    /// One cannot.
    Problem,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    /// What it found, in words.
    pub(crate) found: String,
    /// What follows from it, and what to do: a command, mostly. Nothing where all is well.
    pub(crate) means: String,
    pub(crate) remedy: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), means: String::new(), remedy: String::new() }
    }

    fn warning(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::ok(check, found) }
    }

    fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::ok(check, found) }
    }

    fn means(self, means: impl Into<String>) -> Self {
        Self { means: means.into(), ..self }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

/// All checks, on this machine.
pub(crate) fn all() -> Vec<Finding> {
    let mut findings = Vec::new();
    #[cfg(target_os = "linux")]
    findings.extend(on_linux());
    #[cfg(not(target_os = "linux"))]
    findings.push(clock_cost(clock_ns()));
    findings.extend(left::all());
    findings
}

#[cfg(target_os = "linux")]
fn on_linux() -> Vec<Finding> {
    let machine = Machine::new("/");
    let directory = annulus::default_directory(annulus::Scope::System);
    let directory = directory.canonicalize().unwrap_or(directory);
    let (space, uid) = (place::Space::of(&directory), crate::users::my_id());
    let mut findings = place::all(&machine, &directory, space, uid);
    findings.push(left::unnamed(&machine, &directory));
    findings.push(login::remove_ipc(&machine, &directory, uid, &crate::users::user(uid)));
    findings.push(cgroup::memory(&machine, space.map(|space| space.total)));
    findings.extend([limits::locked(&machine), limits::real_time(&machine), limits::descriptors(&machine)]);
    findings.extend([
        kernel::version(&machine),
        kernel::clock(&machine, clock_ns()),
        kernel::governor(&machine),
        kernel::huge_pages(&machine),
        kernel::system_v(&machine),
        kernel::namespaces(&machine),
    ]);
    findings
}

/// What it costs to ask for the time, the best of some tries, in ns.
pub(crate) fn clock_ns() -> f64 {
    const CALLS: u32 = 1000;
    let time = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(Instant::now());
        }
        start.elapsed()
    };
    (0..10).map(time).min().unwrap_or(Duration::ZERO).as_secs_f64() * 1e9 / f64::from(CALLS)
}

#[cfg(not(target_os = "linux"))]
fn clock_cost(ns: f64) -> Finding {
    Finding::ok("clock", format!("{ns:.0} ns to ask for the time"))
}

/// `64 MiB`, with as many digits as one needs.
fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            let text = format!("{:.1}", bytes as f64 / unit as f64);
            format!("{} {name}", text.trim_end_matches(".0"))
        }
        None => format!("{bytes} bytes"),
    }
}

/// The files that say what a machine is.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug)]
struct Machine {
    root: std::path::PathBuf,
}

#[cfg(target_os = "linux")]
impl Machine {
    fn new(root: impl Into<std::path::PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a file of it is, that is known by an absolute path.
    fn path(&self, path: &str) -> std::path::PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// What a file says, without the line's end; `None` where there is none, or it is not ours to read.
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok().map(|text| text.trim_end().to_owned())
    }

    /// A file's number.
    fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.split_whitespace().next()?.parse().ok()
    }

    /// Names in a directory, sorted; none where there is none.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// A machine that is made up, in a directory of its own.
#[cfg(all(test, target_os = "linux"))]
mod made_up {
    use super::Machine;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::{env, fs, process};

    pub(super) struct MadeUp(pub(super) Machine);

    impl MadeUp {
        pub(super) fn new(files: &[(&str, &str)]) -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let root = env::temp_dir().join(format!("annulus-doctor-{}-{number}", process::id()));
            fs::create_dir(&root).unwrap();
            let made = Self(Machine::new(root));
            files.iter().for_each(|(path, text)| made.write(path, text));
            made
        }

        pub(super) fn write(&self, path: &str, text: &str) {
            let path = self.0.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        pub(super) fn link(&self, path: &str, to: &str) {
            let path = self.0.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(to, path).unwrap();
        }
    }

    impl Drop for MadeUp {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (size, text) in [(0, "0 bytes"), (1 << 26, "64 MiB"), (3 << 29, "1.5 GiB"), (8192, "8 KiB")] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn the_clock_costs_something() {
        let ns = clock_ns();
        assert!(ns > 0.0 && ns < 1e6, "{ns}");
    }
}
