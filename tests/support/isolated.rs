//! Processes in namespaces of their own, by util-linux's `unshare`: as root, or in a user namespace where the system lets
//! anybody make one.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use super::Place;
use super::actor::Actor;
use libtest_mimic::Completion;
use std::process::{Command, Stdio};

/// `ci/security.sh` sets it: there a test that cannot run has failed.
const ALL: &str = "ANNULUS_ALL_TESTS";

#[allow(unsafe_code)]
pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// Not run, and why. Where all are to be run, a failure.
pub fn not_run(why: impl Into<String>) -> Completion {
    let why = why.into();
    assert!(std::env::var_os(ALL).is_none(), "not run: {why}");
    Completion::ignored_with(format!("NOT RUN: {why}; as root ci/security.sh runs it"))
}

/// A command line that runs another one in namespaces of its own.
pub struct Isolation(Vec<String>);

impl Isolation {
    /// By these options of `unshare`. `Err`: this system does not let us.
    pub fn new(options: &[&str]) -> Result<Self, Completion> {
        let mut line = vec!["unshare".to_string()];
        if !is_root() {
            line.push("--map-root-user".into());
        }
        line.extend(options.iter().map(|&option| option.into()));
        let tried = Command::new(&line[0]).args(&line[1..]).arg("true").stderr(Stdio::piped()).output();
        match tried {
            Ok(done) if done.status.success() => Ok(Self(line)),
            Ok(done) => Err(not_run(format!("{line:?}: {}", String::from_utf8_lossy(&done.stderr).trim()))),
            Err(error) => Err(not_run(format!("unshare: {error}"))),
        }
    }

    /// As a container has them: other processes, mounts and System V objects, and the same tmpfs.
    pub fn container() -> Result<Self, Completion> {
        Self::new(&["--pid", "--fork", "--kill-child", "--mount", "--ipc", "--mount-proc"])
    }

    /// With a `/dev/shm` of its own, empty.
    pub fn empty_shm() -> Result<Self, Completion> {
        let Self(mut line) = Self::new(&["--mount"])?;
        let mount = "mount -t tmpfs -o mode=1777 tmpfs /dev/shm && exec \"$@\"";
        line.extend(["sh", "-c", mount, "sh"].map(String::from));
        Ok(Self(line))
    }

    /// A process in a role, inside.
    pub fn start(&self, place: &Place, role: &str) -> Actor {
        Actor::start_by(&self.0, place, role)
    }
}

/// The process that runs inside: the only child of the one that made the namespaces.
pub fn inner(actor: &Actor) -> i32 {
    let parent = format!("PPid:\t{}", actor.pid());
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut numbers = processes.filter_map(|one| one.unwrap().file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    };
    numbers.find(is_child).expect("unshare has no child")
}
