//! A live stream whose words are written over while all ends of it are at work.

#![no_main]

mod place;
#[path = "../../tests/support/streams/mod.rs"]
mod streams;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| streams::scribble::run(bytes, place::path()));
