//! Sleeping where processes have no futex in common: short naps, after each of which the sleeper looks again. Nobody is
//! woken, and nobody is fenced but by himself.

use crate::sync::Ordering::SeqCst;
use crate::sync::{Address, EventWord};
use core::time::Duration;
use std::time::Instant;

/// How late a sleeper notices.
const NAP: Duration = Duration::from_millis(1);

pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps while the sequence is `expected`, for `longest` at most.
pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
    let until = Instant::now() + longest;
    while word.value(SeqCst) == expected {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}

/// One nap: the words may be gone meanwhile, so they cannot be looked at, and the caller looks at what they stand for.
pub(crate) fn sleep_on_any(_: &[(Address, u32)], longest: Duration, _: Duration) {
    std::thread::sleep(longest.min(NAP));
}

pub(crate) fn wake_all(_: &EventWord) {}

pub(crate) fn wake_one(_: &EventWord) {}

/// Notifiers fence themselves.
pub(crate) fn register_membarrier() -> bool {
    false
}

/// All of them do: there is nothing left to do for them.
pub(crate) fn membarrier() -> bool {
    true
}
