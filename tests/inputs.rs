//! The short form of fuzzing: what the fuzz targets do with their inputs, with their seeds, and with a few made up here.
//!
//! `ANNULUS_INPUTS` is how many of these (default 60), `ANNULUS_INPUTS_FROM` the number of the first. `ci/fuzz.sh` tries
//! many more, and with coverage.

mod support;

use std::fs;
use std::path::Path;
use support::{Place, random, streams};

/// Says which input it was, if the test fails.
struct During(String);

impl Drop for During {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with the input {}", self.0);
        }
    }
}

fn number(variable: &str, unless_set: u64) -> u64 {
    std::env::var(variable).map_or(unless_set, |number| number.parse().unwrap())
}

fn made_up(number: u64) -> Vec<u8> {
    let mut random = random(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let length = 8 + random() % 120;
    (0..length).flat_map(|_| random().to_le_bytes()).collect()
}

fn all(target: &str, run: fn(&[u8], &Path)) {
    let place = Place::new();
    let each = |name: String, input: &[u8]| {
        let _during = During(name);
        run(input, place.path());
        assert!(place.objects().is_empty());
    };
    // A package that was fetched without its seeds has none.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|seed| seed.unwrap().path()).collect();
    for seed in &seeds {
        each(seed.display().to_string(), &fs::read(seed).unwrap());
    }
    let (first, count) = (number("ANNULUS_INPUTS_FROM", 1), number("ANNULUS_INPUTS", 60));
    for number in first..first + count {
        each(format!("of number {number}"), &made_up(number));
    }
    println!(
        "figures | inputs: {target} | {} | 0 | {} seeds, {count} made up",
        seeds.len() as u64 + count,
        seeds.len()
    );
}

#[test]
fn operations_against_an_oracle() {
    all("operations", streams::operations::run);
}

#[test]
fn segments_of_any_bytes() {
    all("segment", streams::segment::run);
}

#[test]
fn words_written_over_while_all_ends_work() {
    all("scribble", streams::scribble::run);
}
