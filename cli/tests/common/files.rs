//! Files that are recorded, and played again.

use super::{Done, Place};
use std::fs;
use std::path::PathBuf;

/// A directory for recordings, not among the streams.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(place: &Place) -> Self {
        let path = place.path().with_extension("files");
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn fine(done: &Done) {
    assert!(done.status.success(), "{}", done.stderr);
}

/// The file's frames as a stream's lines, without their header; and what play said about it. The stream `back` stays.
pub(crate) fn replayed(place: &Place, file: &str, options: &str) -> (String, String) {
    let done = place.run(&format!("play {file} --name back --speed max --retain 200000 --keep {options}"));
    fine(&done);
    let text = place.output("cat back --no-follow");
    (text.split_once('\n').unwrap().1.to_owned(), done.stderr)
}

/// As [`replayed`], and the stream goes.
pub(crate) fn played(place: &Place, file: &str, options: &str) -> (String, String) {
    let told = replayed(place, file, options);
    place.output("rm back");
    told
}

/// `play` takes one of the names of the pair.
pub(crate) fn playable(file: &str) -> String {
    file.strip_suffix(".sigmf").map_or_else(|| file.to_owned(), |stem| format!("{stem}.sigmf-data"))
}
