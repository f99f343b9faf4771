//! Streams under any input: what the fuzz targets `operations`, `segment` and `scribble` do with theirs, and
//! `tests/inputs.rs` with their seeds. Each is run in a directory of its own, which is empty before and after.

#![allow(dead_code, unreachable_pub, reason = "each test and each fuzz target uses a part of it")]

mod object;
pub mod operations;
mod oracle;
mod peers;
pub mod scribble;
mod script;
pub mod segment;
mod shape;
mod world;

use std::fs;
use std::path::{Path, PathBuf};

/// The one name that there is.
const NAME: &str = "s";

/// Where streams are, for one input.
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn path(&self) -> &Path {
        self.0
    }

    fn object(&self) -> PathBuf {
        self.0.join(format!("{NAME}@v1.l1"))
    }

    fn create(&self) -> annulus::Builder {
        annulus::create(NAME).directory(self.0)
    }

    fn open(&self) -> annulus::Open {
        annulus::open(NAME).directory(self.0)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.0).expect("it is there until the end").flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }
}
