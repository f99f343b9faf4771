//! Operations on real streams of all kinds, in any order, against an oracle.

#![no_main]

mod place;
#[path = "../../tests/support/streams/mod.rs"]
mod streams;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streams::operations::run(bytes, place::path()));
