//! A directory on tmpfs for this fuzzing process alone. It is gone at the end; what an earlier process left that
//! was killed, or stopped at a find, the next one removes.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const TMPFS: &str = "/dev/shm";
const PREFIX: &str = "annulus-fuzz-";

pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(make)
}

fn path_of(process: u32) -> PathBuf {
    Path::new(TMPFS).join(format!("{PREFIX}{process}"))
}

fn make() -> PathBuf {
    for entry in fs::read_dir(TMPFS).expect("a tmpfs").flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.strip_prefix(PREFIX).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let path = path_of(std::process::id());
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {} // one of the same number was killed here
        done => done.expect("a directory of its own"),
    }
    // SAFETY: the function takes nothing and unwinds never; libFuzzer ends with exit().
    unsafe { libc::atexit(remove) };
    path
}

extern "C" fn remove() {
    let _ = fs::remove_dir_all(path_of(std::process::id()));
}
