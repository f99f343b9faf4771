//! A child that runs one instruction, or one system call, at a time (ptrace; x86-64 Linux).

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(unsafe_code, reason = "fork, ptrace and wait have no safe form")]

use std::collections::HashMap;
use std::ops::Range;
use std::ptr;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// A system call that has not returned after so long sleeps.
const ASLEEP: Duration = Duration::from_millis(4);

/// How a stop at a system call differs from one at an instruction.
const SYSTEM_CALL: i32 = libc::SIGTRAP | 0x80;

/// No system call has this number.
const MARK: u64 = 0x6D61_726B;

/// In the child: what is to be traced begins, or ends, here.
pub fn mark() {
    mark_with(0);
}

/// The same, and what is to be known of it: [`Traced::argument`] 0.
pub fn mark_with(value: u64) {
    // SAFETY: refused by the kernel; whoever traces us sees it.
    unsafe { libc::syscall(MARK as libc::c_long, value) };
}

/// Where the child has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After an instruction, or at either end of a system call.
    Here,
    /// It has not: it sleeps in a system call.
    Asleep,
    /// At [`mark`].
    Mark,
    /// It ended by itself, with this status.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
}

/// Keeps this thread, and its children, on one processor: then a step is a mere switch between the two.
pub fn stay_on(processor: usize) {
    // SAFETY: a set of zeros is an empty one, and lives through the calls.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set); // refused: slower
    }
}

/// A traced child of this thread, which alone may handle it. Killed with whoever drops it.
pub struct Traced {
    pid: i32,
    ended: bool,
    asleep: bool,
    registers: libc::user_regs_struct,
    /// Which instructions were looked at, and whether they are system calls.
    calls: &'static Mutex<HashMap<u64, bool>>,
}

impl Traced {
    /// Forks. The child plays `scene`, and has run to its first [`mark`] on return. It ends with status 0, or, when it
    /// panics, with 101.
    pub fn start(scene: impl FnOnce()) -> Self {
        // SAFETY: glibc makes malloc usable in the child of a process with threads, and the scene needs no other lock.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            // SAFETY: prctl takes numbers here. Also one that was left stopped is not to outlive us.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            request(libc::PTRACE_TRACEME, 0, 0);
            // SAFETY: stops this process, until its parent has looked.
            unsafe { libc::raise(libc::SIGSTOP) };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scene));
            // SAFETY: ends the child, and nothing of its parent's.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) };
        }
        // SAFETY: registers of zeros are some.
        let registers = unsafe { std::mem::zeroed() };
        // All children are copies of this process, and have their code where it has.
        static CALLS: LazyLock<Mutex<HashMap<u64, bool>>> = LazyLock::new(Mutex::default);
        let mut child = Self { pid, ended: false, asleep: false, registers, calls: &CALLS };
        assert_eq!(child.wait(None), Stop::Here);
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        child.ask(libc::PTRACE_SETOPTIONS, options as usize);
        assert_eq!(child.go(), Stop::Mark, "before what is to be traced");
        child.run_to_call(); // its return
        child
    }

    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Runs one instruction. Reading a clock is one: the kernel's own code for it begins anew whenever time has gone on
    /// meanwhile, which under a tracer is again and again.
    pub fn step(&mut self) -> Stop {
        let may_sleep = self.is_before_call();
        if may_sleep && self.registers.rax == MARK {
            return Stop::Mark;
        }
        loop {
            self.ask(libc::PTRACE_SINGLESTEP, 0);
            let stop = self.wait(may_sleep.then_some(ASLEEP));
            if stop != Stop::Here || !clocks().contains(&self.registers.rip) || self.is_before_call() {
                return stop;
            }
        }
    }

    /// Runs to the beginning of the next system call.
    pub fn run_to_call(&mut self) -> Stop {
        self.ask(libc::PTRACE_SYSCALL, 0);
        match self.wait(None) {
            Stop::Here if self.registers.orig_rax == MARK => Stop::Mark,
            other => other,
        }
    }

    /// From there, to its return.
    pub fn run_through_call(&mut self) -> Stop {
        self.ask(libc::PTRACE_SYSCALL, 0);
        self.wait(Some(ASLEEP))
    }

    /// After [`Stop::Asleep`]: until it has woken.
    pub fn awake(&mut self) -> Stop {
        self.wait(None)
    }

    /// Runs to the next [`mark`], or its end.
    pub fn go(&mut self) -> Stop {
        loop {
            let stop = match self.run_to_call() {
                Stop::Here => self.pass_call(),
                other => return other,
            };
            if stop != Stop::Here {
                return stop;
            }
        }
    }

    fn pass_call(&mut self) -> Stop {
        match self.run_through_call() {
            Stop::Asleep => self.awake(),
            other => other,
        }
    }

    /// Whether the next instruction is a system call.
    pub fn is_before_call(&self) -> bool {
        const SYSCALL: i64 = 0x050F;
        let next = self.registers.rip;
        *self.calls.lock().unwrap().entry(next).or_insert_with(|| {
            // SAFETY: reads the child's memory.
            let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, self.pid, next, 0) };
            word & 0xFFFF == SYSCALL
        })
    }

    /// The number of the system call that it is at.
    pub fn call(&self) -> i64 {
        self.registers.orig_rax as i64
    }

    /// One of its first four arguments.
    pub fn argument(&self, which: usize) -> u64 {
        [self.registers.rdi, self.registers.rsi, self.registers.rdx, self.registers.r10][which]
    }

    /// The word of its memory at `address`.
    pub fn word(&self, address: u64) -> u64 {
        // SAFETY: reads the child's memory.
        unsafe { libc::ptrace(libc::PTRACE_PEEKDATA, self.pid, address, 0) as u64 }
    }

    /// At the beginning of a system call that reads or writes: it is asked for fewer bytes.
    pub fn shorten_to(&mut self, bytes: u64) {
        self.registers.rdx = bytes;
        self.set_registers();
    }

    /// What the system call returned, if it has.
    pub fn returned(&self) -> i64 {
        self.registers.rax as i64
    }

    /// At the beginning of a system call: it is not made, but fails with `error`. It is at its return afterwards.
    pub fn fail_with(&mut self, error: i32) -> Stop {
        self.registers.orig_rax = u64::MAX;
        self.set_registers();
        let stop = self.run_through_call();
        if stop == Stop::Here {
            self.registers.rax = i64::from(-error) as u64;
            self.set_registers();
        }
        stop
    }

    /// Lets go of it, stopped as by SIGSTOP.
    pub fn leave_stopped(&mut self) {
        if self.asleep {
            self.signal(libc::SIGSTOP);
            self.wait(None);
        }
        self.ask(libc::PTRACE_DETACH, libc::SIGSTOP as usize);
        let mut status = 0;
        // SAFETY: the status lives through the call.
        let done = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WUNTRACED) };
        assert!(done == self.pid && libc::WIFSTOPPED(status), "{status:#x}");
    }

    /// Lets it run to its end, untraced.
    pub fn let_go(&mut self, longest: Duration) -> Stop {
        self.ask(libc::PTRACE_DETACH, 0);
        self.end(longest)
    }

    /// Continues one that was left, and waits for its end.
    pub fn resume(&mut self, longest: Duration) -> Stop {
        self.signal(libc::SIGCONT);
        self.end(longest)
    }

    /// Waits for the end of one that runs untraced.
    fn end(&mut self, longest: Duration) -> Stop {
        let until = Instant::now() + longest;
        loop {
            let mut status = 0;
            // SAFETY: the status lives through the call.
            let done = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            if done == self.pid {
                return self.stop(status);
            }
            if Instant::now() > until {
                return Stop::Asleep;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    /// SIGKILL; returns when it is dead.
    pub fn kill(mut self) {
        self.bury();
    }

    fn bury(&mut self) {
        if !self.ended {
            self.signal(libc::SIGKILL);
            while !matches!(self.wait(None), Stop::Killed(_) | Stop::Exited(_)) {}
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill takes numbers only.
        unsafe { libc::kill(self.pid, signal) };
    }

    fn get_registers(&mut self) {
        // SAFETY: the registers live through the call.
        let done = unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.pid, 0, &raw mut self.registers) };
        assert_eq!(done, 0);
    }

    fn set_registers(&self) {
        // SAFETY: the registers live through the call.
        let done = unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.pid, 0, &raw const self.registers) };
        assert_eq!(done, 0);
    }

    /// Requires that the child is stopped, or is dead by now.
    fn ask(&self, what: libc::c_uint, data: usize) {
        request(what, self.pid, data);
    }

    fn wait(&mut self, longest: Option<Duration>) -> Stop {
        let until = longest.map(|longest| Instant::now() + longest);
        let mut status = 0;
        loop {
            let how = libc::__WALL | if until.is_some() { libc::WNOHANG } else { 0 };
            // SAFETY: the status lives through the call.
            let done = unsafe { libc::waitpid(self.pid, &raw mut status, how) };
            if done == self.pid {
                return self.stop(status);
            }
            assert!(done == 0 || interrupted(), "{}", std::io::Error::last_os_error());
            if until.is_some_and(|until| Instant::now() > until) {
                self.asleep = true;
                return Stop::Asleep;
            }
            std::thread::yield_now();
        }
    }

    fn stop(&mut self, status: i32) -> Stop {
        self.asleep = false;
        if libc::WIFEXITED(status) {
            self.ended = true;
            return Stop::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            self.ended = true;
            return Stop::Killed(libc::WTERMSIG(status));
        }
        match libc::WSTOPSIG(status) {
            libc::SIGTRAP | libc::SIGSTOP | SYSTEM_CALL => self.get_registers(),
            signal => panic!("what is traced got signal {signal}"),
        }
        Stop::Here
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.bury();
    }
}

/// Where the kernel's code that reads clocks is mapped, in this process and so in its children.
fn clocks() -> &'static Range<u64> {
    static CLOCKS: LazyLock<Range<u64>> = LazyLock::new(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[vdso]"));
        let ends = line.and_then(|line| line.split(' ').next()?.split_once('-'));
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        ends.map_or(0..0, |(from, to)| address(from)..address(to))
    });
    &CLOCKS
}

fn interrupted() -> bool {
    std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
}

fn request(what: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: none of these requests takes an address in this process.
    let done = unsafe { libc::ptrace(what, pid, ptr::null_mut::<u8>(), data) };
    assert_eq!(done, 0, "ptrace {what}: {}", std::io::Error::last_os_error());
}
