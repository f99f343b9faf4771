//! What the figures were measured on.

#![allow(unsafe_code)]

use std::fs;
use std::process::Command;

/// Prints machine, kernel, compiler and commit.
pub(crate) fn print() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    println!("machine:  {model}, {} processors, load {load} at the start", processors());
    println!("kernel:   {}", kernel.trim());
    println!("compiler: {}", said(&std::env::var("RUSTC").unwrap_or("rustc".into()), &["--version"]));
    println!("commit:   {}", said("git", &["describe", "--always", "--dirty", "--abbrev=12"]));
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().into(),
        _ => "unknown".into(),
    }
}

/// Processors of the machine, and not only those that this thread is bound to: a peer inherits its parent's.
pub(crate) fn processors() -> usize {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpuinfo.lines().filter(|line| line.starts_with("processor")).count()
}

/// Binds the calling thread to a processor, if there is a choice.
pub(crate) fn pin(processor: usize) {
    if processors() < 2 {
        return;
    }
    let words = [1u64 << processor];
    // SAFETY: the kernel reads the eight bytes that it is told of, for the calling thread.
    let done = unsafe { libc::sched_setaffinity(0, size_of_val(&words), words.as_ptr().cast()) };
    if done != 0 {
        eprintln!("not bound to processor {processor}: {}", std::io::Error::last_os_error());
    }
}

/// How often the calling thread has gone to sleep by itself.
pub(crate) fn voluntary_switches() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.expect("a count of switches").trim().parse().expect("a number")
}
