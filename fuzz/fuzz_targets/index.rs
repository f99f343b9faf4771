//! The index arithmetic, as shipped: every function against plain arithmetic in `u128`, and a ring that is
//! moved by nothing else against a `VecDeque`.

#![no_main]

#[path = "../../src/index.rs"]
#[allow(dead_code)]
mod index;
mod model;
mod properties;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

/// What one run tries. Numbers are taken as they are where anything must be survived, and brought into
/// bounds where a caller would have checked them. `seeds/make.py` writes this format.
#[derive(Arbitrary, Debug)]
struct Input {
    requested: u64,
    frame: u64,
    page: u64,
    position: u64,
    ahead: u64,
    count: u64,
    divisor: u32,
    value: u64,
    operations: Vec<model::Operation>,
}

fuzz_target!(|input: Input| {
    properties::check(&input);
    model::run(&input);
});
