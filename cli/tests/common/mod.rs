//! What the tests of the command share: a directory for each, processes that end with the test, the counter's values.

// Each test file is a program of its own, and none uses everything.
#![allow(dead_code)]

pub(crate) mod files;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// No test waits longer: far above what anything here takes, so only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Looks until `done`, and fails where it never is.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

/// A directory for streams, for one test alone.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/annulus-test-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        let place = Self(path);
        place.set_mode(0o700);
        place
    }

    pub(crate) fn set_mode(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the object of a stream, `ecg@v1`, is.
    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.l1"))
    }

    /// Names of the files in it.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_annulus"));
        command.args(line.split_whitespace()).env("ANNULUS_DIR", &self.0).stdin(Stdio::null());
        command
    }

    /// Starts the command with these arguments.
    pub(crate) fn start(&self, line: &str) -> Running {
        Running::new(line, &mut self.command(line))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, line: &str) -> Done {
        self.start(line).done()
    }

    /// Runs it to its end, which must be a good one, and gives its stdout.
    pub(crate) fn output(&self, line: &str) -> String {
        let done = self.run(line);
        assert!(done.status.success(), "annulus {line}: {}\n{}", done.status, done.stderr);
        done.stdout_text()
    }

    /// Starts `gen` and waits until its stream is there.
    pub(crate) fn generate(&self, name: &str, options: &str) -> Running {
        let running = self.start(&format!("gen --name {name} {options}"));
        until("the stream is there", || self.info(name).is_some_and(|info| info["state"] == "live"));
        running
    }

    /// What `info --json` says, if there is such a stream.
    pub(crate) fn info(&self, name: &str) -> Option<Value> {
        let done = self.run(&format!("info --json {name}"));
        done.status.success().then(|| serde_json::from_slice(&done.stdout).unwrap())
    }

    pub(crate) fn position(&self, name: &str) -> u64 {
        self.info(name).expect("the stream is there")["position"].as_u64().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is killed with the test, and whose output is read all the time, unless told otherwise.
pub(crate) struct Running {
    line: String,
    child: Child,
    stdout: Collector,
    stderr: Collector,
}

/// How a process ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Nothing in the command may panic, whatever it is given.
    fn checked(self) -> Self {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

impl Running {
    pub(crate) fn new(line: &str, command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = Collector::new(child.stdout.take().unwrap());
        let stderr = Collector::new(child.stderr.take().unwrap());
        Self { line: line.to_owned(), child, stdout, stderr }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// SIGKILL, and it is gone for certain. Gives the whole lines that it had written.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut text = String::from_utf8(self.stdout.all()).unwrap();
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }

    /// Asks it to end as Ctrl-C does, and waits for that.
    pub(crate) fn interrupt(self) -> Done {
        self.signal(Signal::INT);
        self.done()
    }

    /// Waits for its end.
    pub(crate) fn done(mut self) -> Done {
        let mut status = None;
        let line = self.line.clone();
        until(&format!("the end of annulus {line}"), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let stderr = String::from_utf8(self.stderr.all()).unwrap();
        Done { status: status.unwrap(), stdout: self.stdout.all(), stderr }.checked()
    }

    /// What it has written to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.0.lock().unwrap()).into_owned()
    }

    pub(crate) fn until_stderr(&self, wanted: &str) {
        let said = || String::from_utf8_lossy(&self.stderr.0.lock().unwrap()).into_owned();
        until(&format!("annulus {} says '{wanted}'; it said '{}'", self.line, said()), || {
            said().contains(wanted)
        });
    }

    pub(crate) fn until_lines(&self, lines: usize) {
        until(&format!("annulus {} has written {lines} lines", self.line), || {
            self.stdout().lines().count() >= lines
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe into memory, from a thread.
struct Collector(Arc<Mutex<Vec<u8>>>, Option<JoinHandle<()>>);

impl Collector {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let all = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&all);
        let thread = thread::spawn(move || {
            let mut block = vec![0; 1 << 16];
            while let Ok(length @ 1..) = pipe.read(&mut block) {
                kept.lock().unwrap().extend_from_slice(&block[..length]);
            }
        });
        Self(all, Some(thread))
    }

    fn all(&mut self) -> Vec<u8> {
        if let Some(thread) = self.1.take() {
            thread.join().unwrap();
        }
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The frames of a CSV output: position and values. Header lines are skipped.
pub(crate) fn rows(csv: &str) -> Vec<(u64, Vec<f64>)> {
    let lines = csv.lines().filter(|line| !line.starts_with("position"));
    lines
        .map(|line| {
            let (position, values) = line.split_once(',').unwrap();
            (position.parse().unwrap(), values.split(',').map(|value| value.parse().unwrap()).collect())
        })
        .collect()
}

/// Every value of every row is the counter's (`bits` wide) at its position.
pub(crate) fn assert_counts(rows: &[(u64, Vec<f64>)], channels: usize, bits: u32) {
    for (position, values) in rows {
        let wanted: Vec<f64> =
            (0..channels as u64).map(|channel| ((position + channel) % (1 << bits)) as f64).collect();
        assert_eq!(*values, wanted, "at position {position}");
    }
}

/// The rows are at these positions, each once and in order.
pub(crate) fn assert_positions(rows: &[(u64, Vec<f64>)], positions: std::ops::Range<u64>) {
    assert!(
        rows.iter().map(|row| row.0).eq(positions.clone()),
        "not {positions:?}, but {:?}..",
        rows.first()
    );
}
