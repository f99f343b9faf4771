//! The reader of CSV files, on any bytes.

#![no_main]
#![allow(dead_code)]

#[path = "../../cli/src/files/mod.rs"]
mod files;
#[path = "../../cli/src/plain.rs"]
mod plain;
mod reading;
#[path = "../../cli/src/sample.rs"]
mod sample;

use files::{Csv, Options};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    for options in [
        Options::default(),
        Options { rate: Some(250.0), ..Options::default() },
        Options { rate: Some(1.0), format: "i16".parse().ok(), ..Options::default() },
        Options {
            rate: Some(1.0),
            format: "cf32".parse().ok(),
            channels: vec!["1".into()],
            ..Options::default()
        },
    ] {
        reading::check(Csv::new(Cursor::new(bytes), &options), bytes.len());
    }
});
