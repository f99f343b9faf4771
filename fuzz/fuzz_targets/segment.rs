//! Whatever is in a stream's place, opened in every way.

#![no_main]

mod place;
#[path = "../../tests/support/streams/mod.rs"]
mod streams;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streams::segment::run(bytes, place::path()));
