//! Processes in a role: a test program that is its own child.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use super::Place;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

const ROLE: &str = "ANNULUS_TEST_ROLE";
const PLACE: &str = "ANNULUS_TEST_PLACE";

/// What this process is to play, and where, if it is a child.
pub fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, PathBuf::from(std::env::var_os(PLACE).unwrap())))
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
