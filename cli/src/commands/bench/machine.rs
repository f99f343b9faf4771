//! What is measured on, and what its kernel counts.

use crate::checks;
use serde_json::{Value, json};
use std::env;
#[cfg(target_os = "linux")]
use std::fs;
use std::thread;
use std::time::Duration;

/// What the figures hang on.
#[derive(Debug)]
pub(super) struct Machine {
    model: String,
    system: String,
    /// How many processes wanted to run, on average over the last minute.
    load: Option<f64>,
    processors: usize,
    /// What it costs to ask for the time, in ns: part of everything that is timed one by one.
    pub(super) clock_ns: f64,
    used: Used,
}

/// The processors that this process and its parts run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Used {
    /// This process has the first; its peers have one of the others each, in turn.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody is bound there"))]
    Pinned(usize, Vec<usize>),
    /// There is only one.
    Shared,
    /// Wherever the system puts them: outside Linux nobody is bound to any.
    Any,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            model: model(),
            system: system(),
            load: load(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            clock_ns: checks::clock_ns(),
            used: used(),
        }
    }

    pub(super) fn used(&self) -> &Used {
        &self.used
    }

    pub(super) fn text(&self) -> String {
        let debug = if cfg!(debug_assertions) { ", a DEBUG BUILD: the figures say little" } else { "" };
        let load = self.load.map_or(String::new(), |load| format!(", load {load:.2} at the start"));
        let used = match &self.used {
            Used::Pinned(own, peers) => format!("the producer on {own}, readers on {}", list(peers)),
            Used::Shared => {
                "only one may be used: both sides take turns on it, and the figures are mostly the system's \
                             switching between them"
                    .to_owned()
            }
            Used::Any => {
                "the system chooses among them: both sides are bound to theirs on Linux only".to_owned()
            }
        };
        let lines = [
            ("annulus", format!("{}{debug}", env!("CARGO_PKG_VERSION"))),
            ("machine", format!("{}, {}", self.model, self.system)),
            ("processors", format!("{}{load}; {used}", self.processors)),
            (
                "clock",
                format!("{:.0} ns to ask for the time, in every time of a single frame", self.clock_ns),
            ),
        ];
        lines.map(|(name, text)| format!("{name:<12}{text}\n")).concat()
    }

    pub(super) fn json(&self) -> Value {
        let processors = match &self.used {
            Used::Pinned(own, peers) => json!({ "producer": own, "readers": peers }),
            Used::Shared | Used::Any => Value::Null,
        };
        json!({
            "processor": self.model,
            "processors": self.processors,
            "system": self.system,
            "load": self.load,
            "clock_ns": self.clock_ns,
            "pinned": processors,
        })
    }
}

fn list(processors: &[usize]) -> String {
    processors.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// Which ones to use: two that share no core, where there are such.
#[cfg(any(target_os = "linux", test))]
fn choose(allowed: &[usize], core: impl Fn(usize) -> String) -> Used {
    let Some((&own, rest)) = allowed.split_first() else { return Used::Any };
    let mine = core(own);
    let apart: Vec<usize> = rest.iter().copied().filter(|other| core(*other) != mine).collect();
    match (&apart[..], rest) {
        ([], []) => Used::Shared,
        ([], siblings) => Used::Pinned(own, siblings.to_vec()),
        _ => Used::Pinned(own, apart),
    }
}

#[cfg(target_os = "linux")]
fn used() -> Used {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let Ok(set) = sched_getaffinity(None) else { return Used::Any };
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect();
    choose(&allowed, |processor| {
        let siblings = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
        fs::read_to_string(siblings).unwrap_or_else(|_| processor.to_string())
    })
}

#[cfg(not(target_os = "linux"))]
fn used() -> Used {
    if thread::available_parallelism().map_or(1, usize::from) == 1 { Used::Shared } else { Used::Any }
}

/// Binds the calling thread, and those that it starts, to a processor.
#[cfg(target_os = "linux")]
pub(super) fn pin(processor: usize) -> std::io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// Nobody is told a processor here.
#[cfg(not(target_os = "linux"))]
pub(super) fn pin(_: usize) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// What the kernel has counted for the calling thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// How often it went to sleep by itself.
    slept: Option<u64>,
    /// How long it could have run, and had to wait for a processor.
    waited: Option<Duration>,
}

impl Counts {
    #[cfg(target_os = "linux")]
    pub(super) fn now() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let slept = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let waited = times.split_whitespace().nth(1).and_then(|ns| ns.parse().ok());
        Self {
            slept: slept.and_then(|count| count.trim().parse().ok()),
            waited: waited.map(Duration::from_nanos),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Self {
        Self { slept: None, waited: None }
    }

    /// How often it has slept since.
    pub(super) fn slept(self) -> Option<u64> {
        Some(Self::now().slept? - self.slept?)
    }

    /// How long it has waited for a processor since.
    pub(super) fn waited(self) -> Option<Duration> {
        Self::now().waited?.checked_sub(self.waited?)
    }
}

#[cfg(target_os = "linux")]
fn model() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    // An ARM machine's is in its device tree, with a zero at the end.
    let board = || fs::read_to_string("/proc/device-tree/model").ok();
    let name = model.map(|(_, name)| name.to_owned()).or_else(board).unwrap_or_default();
    let name = crate::plain::plain(name.trim_end_matches('\0')).trim().to_owned();
    if name.is_empty() { format!("an unnamed {} processor", env::consts::ARCH) } else { name }
}

#[cfg(not(target_os = "linux"))]
fn model() -> String {
    // Set on Windows.
    env::var("PROCESSOR_IDENTIFIER").unwrap_or_else(|_| format!("an unnamed {} processor", env::consts::ARCH))
}

#[cfg(target_os = "linux")]
fn system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

#[cfg(not(target_os = "linux"))]
fn system() -> String {
    env::consts::OS.to_owned()
}

#[cfg(target_os = "linux")]
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn load() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_sides_share_no_core_where_they_need_not() {
        let pairs = |processor: usize| format!("{}", processor / 2);
        assert_eq!(choose(&[0, 1, 2, 3], pairs), Used::Pinned(0, vec![2, 3]));
        assert_eq!(choose(&[3, 4, 9], pairs), Used::Pinned(3, vec![4, 9]));
        assert_eq!(
            choose(&[0, 1], pairs),
            Used::Pinned(0, vec![1]),
            "two halves of a core are better than one"
        );
        assert_eq!(choose(&[5], pairs), Used::Shared);
        assert_eq!(choose(&[], pairs), Used::Any);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_counts_sleeps() {
        let before = Counts::now();
        (0..5).for_each(|_| thread::sleep(Duration::from_millis(1)));
        assert!(before.slept().is_some_and(|slept| slept >= 5), "{before:?}");
    }
}
