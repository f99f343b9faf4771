//! Processes in a role: a test program that is its own child.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use super::Place;
use libtest_mimic::{Arguments, Trial};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

const ROLE: &str = "ANNULUS_TEST_ROLE";
const PLACE: &str = "ANNULUS_TEST_PLACE";

/// The whole program: plays the role that it has, if it is a child, or runs the tests.
pub fn main(play: fn(&str, &Path), tests: &[(&'static str, fn())]) -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role, &PathBuf::from(std::env::var_os(PLACE).unwrap()));
        return ExitCode::SUCCESS;
    }
    let trial = |&(name, run): &(&str, fn())| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.iter().map(trial).collect()).exit_code()
}

/// Functions with their names.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => { &[$((stringify!($test), $test as fn())),*] };
}

/// A child in a role. It says a line when it is ready, and is killed when it goes out of scope.
pub struct Actor {
    pub child: Child,
    pub lines: BufReader<ChildStdout>,
}

impl Actor {
    pub fn start(place: &Place, role: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(ROLE, role)
            .env(PLACE, place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_string()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes numbers only.
        #[allow(unsafe_code)]
        let done = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(done, 0);
    }

    /// What else it says, until it ends.
    pub fn rest(&mut self) -> impl Iterator<Item = String> {
        self.lines.by_ref().lines().map_while(Result::ok)
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}
