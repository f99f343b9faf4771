//! The kernel's part of sleeping: futex and membarrier. The models have their own.

#![cfg_attr(not(all(loom, test)), allow(unsafe_code))]

use crate::sync::{Address, EventWord};
use core::time::Duration;
use std::time::Instant;

#[cfg(not(all(loom, test)))]
mod kernel {
    use super::{Address, Duration, EventWord, Instant};
    use crate::sync::AtomicU32;
    use crate::sync::Ordering::{Relaxed, SeqCst};
    use crate::time::monotonic_ns;

    /// Most words that one `futex_waitv` takes.
    const MOST: usize = 128;

    /// `struct futex_waitv` of the kernel.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Waiter {
        expected: u64,
        address: u64,
        flags: u32,
        reserved: u32,
    }

    const SIZE_U32: u32 = 2; // FUTEX2_SIZE_U32, and not private

    const MEMBARRIER_GLOBAL_EXPEDITED: i32 = 1 << 1;
    const MEMBARRIER_REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    /// Sleeps while the sequence is `expected`, for `longest` at most. Comes back for any reason or none:
    /// the caller looks again. Works on pages mapped read-only. Never a private futex: sleepers and wakers
    /// are different processes.
    pub(crate) fn sleep(word: &EventWord, expected: u32, longest: Duration) {
        sleep_at(word.address(), expected, longest);
    }

    fn sleep_at(address: Address, expected: u32, longest: Duration) {
        if longest.is_zero() {
            return;
        }
        let time = libc::timespec {
            tv_sec: longest.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(longest.subsec_nanos() as i32),
        };
        // SAFETY: the time lives through the call. The kernel reads the word itself at its own risk: an address that
        // leads nowhere is an error.
        unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, expected, &raw const time) };
    }

    /// As [`sleep`], on any of several words. They may be gone when it is called: then it does not sleep. Where the
    /// kernel does not let it sleep on many (before 5.16, or in a sandbox that knows no `futex_waitv`), it sleeps
    /// on one of them, for `if_refused` at most.
    pub(crate) fn sleep_on_any(words: &[(Address, u32)], longest: Duration, if_refused: Duration) {
        if longest.is_zero() {
            return;
        }
        let refused = match words {
            [] => return std::thread::sleep(longest),
            [(address, expected)] => return sleep_at(*address, *expected, longest),
            few if few.len() <= MOST => !wait_on(few, None, longest),
            many => !sleep_in_parts(many, longest),
        };
        if refused {
            let (address, expected) = words[0];
            sleep_at(address, expected, longest.min(if_refused));
        }
    }

    /// Many words, by more threads: this one and one more for each further 127 words, for as long as it sleeps.
    /// Each part sleeps on one more word, which the first to wake changes. False: refused.
    fn sleep_in_parts(words: &[(Address, u32)], longest: Duration) -> bool {
        let over = EventWord::new(0);
        let refused = AtomicU32::new(0);
        let part = |words| {
            if !wait_on(words, Some(&over), longest) {
                refused.store(1, Relaxed);
            }
            over.bump(SeqCst);
            wake_all(&over);
        };
        std::thread::scope(|scope| {
            let (first, rest) = words.split_at(MOST - 1);
            for some in rest.chunks(MOST - 1) {
                let helper = std::thread::Builder::new().name("annulus-sleeper".into()).stack_size(64 << 10);
                if helper.spawn_scoped(scope, move || part(some)).is_err() {
                    refused.store(1, Relaxed);
                    over.bump(SeqCst); // and the others do not sleep either
                    return wake_all(&over);
                }
            }
            part(first);
        });
        refused.load(Relaxed) == 0
    }

    /// Sleeps on all of `words` (and on `over` while it is 0), at most [`MOST`] together. False: refused.
    fn wait_on(words: &[(Address, u32)], over: Option<&EventWord>, longest: Duration) -> bool {
        let mut list = [Waiter { expected: 0, address: 0, flags: SIZE_U32, reserved: 0 }; MOST];
        let over = over.map(|word| (word.address(), 0));
        let all = words.iter().copied().chain(over);
        let mut count = 0;
        for (to, (address, expected)) in list.iter_mut().zip(all) {
            *to = Waiter { expected: expected.into(), address: address as u64, ..*to };
            count += 1;
        }
        let until = monotonic_ns().saturating_add(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX));
        let time = libc::timespec {
            tv_sec: (until / 1_000_000_000) as libc::time_t,
            tv_nsec: (until % 1_000_000_000) as libc::c_long,
        };
        // SAFETY: the list and the time live through the call. The kernel reads the words themselves at its own
        // risk: an address that leads nowhere is an error.
        let woken = unsafe {
            libc::syscall(
                libc::SYS_futex_waitv,
                list.as_ptr(),
                count,
                0,
                &raw const time,
                libc::CLOCK_MONOTONIC,
            )
        };
        woken >= 0
            || matches!(
                std::io::Error::last_os_error().raw_os_error(),
                Some(libc::EAGAIN | libc::ETIMEDOUT | libc::EINTR)
            )
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
    use super::{Address, Duration, EventWord, Instant};
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

    pub(crate) fn sleep_on_any(words: &[(Address, u32)], longest: Duration, _: Duration) {
        if !longest.is_zero() {
            crate::sync::sleep_on_any(words);
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

pub(crate) use kernel::{membarrier, now, register_membarrier, sleep, sleep_on_any, wake_all, wake_one};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::Ordering::SeqCst;
    use std::thread;

    /// Longer than anything here lasts.
    const LONG: Duration = Duration::from_secs(10);
    /// In which somebody who has nothing to wait for would be back.
    const SHORT: Duration = Duration::from_millis(15);

    /// Whether the kernel lets one sleep on many words.
    fn knows_waitv() -> bool {
        // SAFETY: of no words there is nothing to read.
        unsafe {
            libc::syscall(libc::SYS_futex_waitv, core::ptr::null::<u8>(), 0, 0, core::ptr::null::<u8>(), 0)
        };
        std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL)
    }

    /// Words with their values, none of them 0.
    fn words(count: u32) -> (Vec<EventWord>, Vec<(Address, u32)>) {
        let words: Vec<EventWord> = (1..=count).map(EventWord::new).collect();
        let list = words.iter().map(|word| (word.address(), word.value(SeqCst))).collect();
        (words, list)
    }

    /// Of so many words those at an edge of a part.
    fn edges(count: u32) -> impl Iterator<Item = usize> {
        [0, 1, 126, 127, 128, 253, 254, 255, 299].into_iter().filter(move |&at| at < count as usize)
    }

    fn counts() -> impl Iterator<Item = u32> {
        let known = knows_waitv();
        [1, 2, 127, 128, 129, 300].into_iter().filter(move |&count| count == 1 || known)
    }

    /// It sleeps until `wake`, and no longer.
    fn sleeps_until(sleep: impl FnOnce() + Send, wake: impl FnOnce()) {
        let begun = Instant::now();
        thread::scope(|scope| {
            let sleeper = scope.spawn(sleep);
            thread::sleep(SHORT);
            assert!(!sleeper.is_finished(), "it does not sleep");
            wake();
        });
        assert!(begun.elapsed() < LONG, "it is not woken");
    }

    #[test]
    fn who_sleeps_is_woken_by_each_of_its_words() {
        for count in counts() {
            for at in edges(count) {
                let (words, list) = words(count);
                let wake = || {
                    words[at].bump(SeqCst);
                    wake_all(&words[at]);
                };
                sleeps_until(|| sleep_on_any(&list, LONG, LONG), wake);
            }
        }
        let word = EventWord::new(7);
        let wake = || {
            word.bump(SeqCst);
            wake_one(&word);
        };
        sleeps_until(|| sleep(&word, 7, LONG), wake);
    }

    #[test]
    fn nobody_sleeps_on_what_has_changed() {
        let begun = Instant::now();
        for count in counts() {
            for at in edges(count) {
                let (words, list) = words(count);
                words[at].bump(SeqCst);
                sleep_on_any(&list, LONG, LONG);
            }
        }
        assert!(begun.elapsed() < LONG);
    }

    #[test]
    fn a_sleep_lasts_as_long_as_was_said() {
        for count in counts() {
            for _ in 0..3 {
                let begun = Instant::now();
                sleep_on_any(&words(count).1, SHORT, SHORT);
                assert!(begun.elapsed() >= SHORT, "{count} words");
            }
        }
    }

    /// Refused as a kernel does that knows no sleep on many; here because one of the words is nowhere.
    #[test]
    fn where_it_is_refused_it_sleeps_on_the_first_and_not_for_long() {
        for count in [2, 128, 129, 300] {
            let (words, mut list) = words(count);
            list[count as usize - 1].0 = 1;
            let begun = Instant::now();
            sleep_on_any(&list, LONG, SHORT);
            assert!(begun.elapsed() < LONG);
            let wake = || {
                words[0].bump(SeqCst);
                wake_all(&words[0]);
            };
            sleeps_until(|| sleep_on_any(&list, LONG, LONG), wake);
        }
    }

    #[test]
    fn the_kernel_fences_for_whom_it_says_it_does() {
        let ask = |command: libc::c_int| {
            // SAFETY: membarrier takes numbers only.
            unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
        };
        let known = ask(libc::MEMBARRIER_CMD_QUERY).max(0) as libc::c_int;
        let register = libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
        assert_eq!(register_membarrier(), known & register != 0);
        assert_eq!(membarrier(), known & libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED != 0);
        let registered = ask(1 << 9); // which it has, since Linux 6.3
        assert!(registered < 0 || registered as libc::c_int & register == known & register);
    }
}
