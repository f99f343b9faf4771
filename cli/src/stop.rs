//! Ctrl-C: a flag that the commands look at between two steps.

#[cfg(unix)]
pub(crate) use signal_hook::consts::SIGHUP;
pub(crate) use signal_hook::consts::SIGINT;
use signal_hook::consts::SIGTERM;
use signal_hook::flag;
#[cfg(unix)]
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may sleep or wait before it looks at the flag again.
pub(crate) const SLICE: Duration = Duration::from_millis(250);

/// What a terminal sends to all that run in it.
pub(crate) const BY_TERMINAL: &[i32] = &[
    SIGINT,
    #[cfg(unix)]
    SIGHUP,
];

/// A request to end cleanly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Raised by Ctrl-C, SIGTERM, and SIGHUP unless that is ignored.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        stop.watch(SIGINT)?;
        stop.watch(SIGTERM)?;
        #[cfg(unix)]
        if !hangup_is_ignored() {
            stop.watch(SIGHUP)?;
        }
        Ok(stop)
    }

    /// As [`on_signals`](Self::on_signals), for a process that writes files: one that has become as large as the user's
    /// limit allows is an error of that write, and does not kill.
    pub(crate) fn of_a_writer() -> io::Result<Self> {
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        Self::on_signals()
    }

    /// For a process that draws on a terminal: raised by SIGINT and SIGTERM. When the terminal is gone, SIGHUP may
    /// kill: nothing has to be restored, and crossterm would spin.
    pub(crate) fn on_a_terminal() -> io::Result<Self> {
        let stop = Self::default();
        stop.watch(SIGINT)?;
        stop.watch(SIGTERM)?;
        Ok(stop)
    }

    /// For a process whose parent decides when it is over, and leaves `others` to it: signals that the
    /// [terminal](BY_TERMINAL) sends to both.
    pub(crate) fn of_a_part(others: &[i32]) -> io::Result<Self> {
        let stop = Self::default();
        stop.watch(SIGTERM)?;
        for &signal in others {
            flag::register(signal, Arc::default())?;
        }
        Ok(stop)
    }

    /// A second signal ends the process at once, in case the first found it blocked in a write that nobody will
    /// ever read.
    fn watch(&self, signal: i32) -> io::Result<()> {
        flag::register_conditional_default(signal, Arc::clone(&self.0))?;
        flag::register(signal, Arc::clone(&self.0))?;
        Ok(())
    }

    /// Raises the flag.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised. One load: cheap enough for every push.
    pub(crate) fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sleeps until `deadline`, or until the flag is raised.
    pub(crate) fn sleep_until(&self, deadline: Instant) {
        while !self.raised() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(SLICE));
        }
    }
}

/// Whether we run under nohup, which wants us to outlive the terminal: a handler of ours would undo that.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (SIGHUP - 1) & 1 == 1
}
