//! The kernel's part of sleeping: futex and membarrier. The models have their own.

#![cfg_attr(not(all(loom, test)), allow(unsafe_code))]

use crate::sync::EventWord;
use core::time::Duration;
use std::time::Instant;

#[cfg(not(all(loom, test)))]
mod kernel {
    use super::{Duration, EventWord, Instant};

    const MEMBARRIER_GLOBAL_EXPEDITED: i32 = 1 << 1;
    const MEMBARRIER_REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Sleeps while the sequence is `expected`, for `longest` at most. Comes back for any reason or none:
    /// the caller looks again. Works on pages mapped read-only. Never a private futex: sleepers and wakers
    /// are different processes.
    pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
        if longest.is_zero() {
            return;
        }
        let time = libc::timespec {
            tv_sec: longest.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(longest.subsec_nanos() as i32),
        };
        // SAFETY: the word and the time live through the call; the kernel only reads them.
        unsafe {
            libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAIT, expected, &raw const time)
        };
    }

    pub(crate) fn wake_all(word: &EventWord) {
        wake(word, i32::MAX);
    }

    pub(crate) fn wake_one(word: &EventWord) {
        wake(word, 1);
    }

    fn wake(word: &EventWord, most: i32) {
        // SAFETY: the address is only a key to the kernel.
        unsafe { libc::syscall(libc::SYS_futex, word.address(), libc::FUTEX_WAKE, most) };
    }

    /// Whether the kernel will fence this process's threads when a sleeper asks for it.
    pub(crate) fn register_membarrier() -> bool {
        membarrier_command(MEMBARRIER_REGISTER_GLOBAL_EXPEDITED)
    }

    /// Fences all registered processes' running threads.
    pub(crate) fn membarrier() -> bool {
        membarrier_command(MEMBARRIER_GLOBAL_EXPEDITED)
    }

    fn membarrier_command(command: i32) -> bool {
        // SAFETY: membarrier takes numbers only.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(all(loom, test))]
mod kernel {
    use super::{Duration, EventWord, Instant};
    use std::sync::LazyLock;

    /// Time stands still: no slice ever ends, so that a lost wake-up is a deadlock, and no execution depends
    /// on how busy the machine is.
    pub(crate) fn now() -> Instant {
        static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
        *NOW
    }

    pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
        if !longest.is_zero() {
            word.sleep(expected);
        }
    }

    pub(crate) fn wake_all(word: &EventWord) {
        word.wake_all();
    }

    pub(crate) fn wake_one(word: &EventWord) {
        word.wake_one();
    }

    pub(crate) fn register_membarrier() -> bool {
        false
    }

    pub(crate) fn membarrier() -> bool {
        true
    }
}

pub(crate) use kernel::{membarrier, now, register_membarrier, sleep, wake_all, wake_one};
