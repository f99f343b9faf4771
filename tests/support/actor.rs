//! Processes in a role: a test program that is its own child.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use super::Place;
use libtest_mimic::{Arguments, Completion, Trial};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

const ROLE: &str = "ANNULUS_TEST_ROLE";
const PLACE: &str = "ANNULUS_TEST_PLACE";

/// The whole program: plays the role that it has, if it is a child, or runs the tests.
pub fn main<T: Into<Done> + 'static>(play: fn(&str, &Path), tests: &[Test<T>]) -> ExitCode {
    main_of(play, tests.iter().map(|(name, run)| (name.to_string(), *run)).collect())
}

/// The same, of tests whose names are made.
pub fn main_of<T: Into<Done> + 'static>(play: fn(&str, &Path), tests: Vec<Named<T>>) -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role, &PathBuf::from(std::env::var_os(PLACE).unwrap()));
        return ExitCode::SUCCESS;
    }
    let trial = |(name, run): Named<T>| Trial::ignorable_test(name, move || Ok(run().into().0));
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

/// A function with its name.
pub type Test<T> = (&'static str, fn() -> T);

/// The same, where the name is made.
pub type Named<T> = (String, fn() -> T);

/// What a test comes to: it passes, or says why it was not run.
pub struct Done(Completion);

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self(Completion::Completed)
    }
}

impl From<Completion> for Done {
    fn from(completion: Completion) -> Self {
        Self(completion)
    }
}

/// Functions with their names.
#[macro_export]
macro_rules! tests {
    ($($(#[$when:meta])* $test:path),* $(,)?) => { &[$($(#[$when])* (stringify!($test), $test as fn() -> _)),*] };
}

/// What plays a role, if `program` is this one or comes to run it.
pub fn command(program: &Path, place: &Path, role: &str) -> Command {
    let mut command = Command::new(program);
    command.env(ROLE, role).env(PLACE, place);
    command
}

/// A child in a role. It says a line when it is ready, and is killed when it goes out of scope.
pub struct Actor {
    pub child: Child,
    pub lines: BufReader<ChildStdout>,
}

impl Actor {
    pub fn start(place: &Place, role: &str) -> Self {
        Self::start_by(&[], place, role)
    }

    /// Started by a command line that runs another one.
    pub fn start_by(line: &[String], place: &Place, role: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut whole = line.iter().map(Into::into).chain([program.into_os_string()]);
        let mut child = command(Path::new(&whole.next().unwrap()), place.path(), role)
            .args(whole)
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

    #[cfg(unix)]
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes numbers only.
        #[allow(unsafe_code)]
        let done = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(done, 0);
    }

    /// Stops it, and waits until it is stopped.
    pub fn stop(&self) {
        super::stop(&self.child);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        super::go_on(&self.child);
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
