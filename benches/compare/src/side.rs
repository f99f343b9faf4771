//! Two sides of a measurement: this process, and another (or another thread), each on a processor of its own. They share
//! a page of words, and nothing that is timed passes through it.

use std::hint;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub const STUCK: Duration = Duration::from_secs(30);

/// Where the other side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Process,
    /// What cannot leave its process.
    Thread,
}

/// Memory that a process shares with those that it forks.
pub struct Shared {
    base: *mut u8,
    bytes: usize,
}

// SAFETY: it is memory, used through atomics or by one side at a time as its user sees to.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(bytes: usize) -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE);
        // SAFETY: a new mapping, over nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        assert!(base != libc::MAP_FAILED, "no memory: {}", std::io::Error::last_os_error());
        Self { base: base.cast(), bytes }
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.base
    }

    /// The words from byte `offset` on.
    pub fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        assert!(offset.is_multiple_of(8) && offset + count * 8 <= self.bytes);
        // SAFETY: it lies inside, is aligned, and all who use it use it so.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast(), count) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and nothing borrows it any more.
        unsafe { libc::munmap(self.base.cast(), self.bytes) };
    }
}

/// What the sides tell each other besides what is measured.
pub struct Talk {
    page: Shared,
}

impl Talk {
    pub fn new() -> Self {
        Self { page: Shared::new(4096) }
    }

    /// A word on a line of its own.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        &self.page.words(index * 128, 1)[0]
    }

    pub fn say(&self, index: usize, value: u64) {
        self.word(index).store(value, Release);
    }

    /// Waits, politely, until the other side has said `value` at least.
    pub fn hear(&self, index: usize, value: u64) {
        let until = Instant::now() + STUCK;
        let mut looks = 0u32;
        while self.word(index).load(Acquire) < value {
            hint::spin_loop();
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(256) {
                assert!(Instant::now() < until, "the other side is stuck");
                thread::yield_now();
            }
        }
    }
}

/// Keeps who calls on a processor of its own, where there are enough.
pub fn pin(processor: usize) {
    // SAFETY: the set is ours, and is as long as is said.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor % processors(), &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from).max(machine_processors())
}

fn machine_processors() -> usize {
    // SAFETY: asks for a number.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as usize
}

/// A child process; killed if it does not end by itself.
pub struct Child(libc::pid_t);

impl Child {
    /// Runs `work` in a child of this process, and ends it with that. What this process holds is not dropped there.
    pub fn fork(work: impl FnOnce()) -> Self {
        // SAFETY: this process has one thread; the child goes on with a copy of it.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "no process: {}", std::io::Error::last_os_error());
        if pid > 0 {
            return Self(pid);
        }
        // SAFETY: the parent's death is this child's.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends this process at once, and runs no destructors of what belongs to the parent.
        unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) };
    }

    /// Waits for its end. False: it failed, or did not end within `longest`.
    pub fn ends_within(mut self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        loop {
            let mut status = 0;
            // SAFETY: a child of ours, and room for its status.
            match unsafe { libc::waitpid(self.0, &mut status, libc::WNOHANG) } {
                0 if Instant::now() < until => thread::sleep(Duration::from_micros(500)),
                0 => return false, // and dropped
                _ => {
                    self.0 = 0;
                    return libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
                }
            }
        }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a child of ours that was not waited for.
        unsafe { libc::kill(self.0, signal) };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.0 > 0 {
            self.signal(libc::SIGKILL);
            // SAFETY: a child of ours.
            unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
        }
    }
}

/// Does `near` on processor 0 while `far` is done on processor 1, in a process of its own or on a thread.
pub fn beside<R>(place: Place, far: impl FnOnce() + Send, near: impl FnOnce() -> R) -> R {
    match place {
        Place::Process => {
            let child = Child::fork(|| {
                pin(1);
                far();
            });
            pin(0);
            let result = near();
            assert!(child.ends_within(STUCK), "the other side failed");
            result
        }
        Place::Thread => thread::scope(|scope| {
            let other = scope.spawn(|| {
                pin(1);
                far();
            });
            pin(0);
            let result = near();
            other.join().expect("the other side failed");
            result
        }),
    }
}

/// How often this process was put to sleep, by its own doing and by others'.
pub fn switches() -> (u64, u64) {
    // SAFETY: room for the answer.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    (usage.ru_nvcsw as u64, usage.ru_nivcsw as u64)
}

/// Processor time of all children that ended and were waited for, and how often they slept.
pub fn children() -> (Duration, u64) {
    // SAFETY: room for the answer.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_nvcsw as u64)
}

/// A name of this process's own.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("compare-{}-{}-{what}", process::id(), NEXT.fetch_add(1, Relaxed))
}
