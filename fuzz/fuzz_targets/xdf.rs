//! The reader of XDF files, on any bytes.

#![no_main]
#![allow(dead_code)]

#[path = "../../cli/src/files/mod.rs"]
mod files;
#[path = "../../cli/src/plain.rs"]
mod plain;
mod reading;
#[path = "../../cli/src/sample.rs"]
mod sample;

use files::{Options, Xdf};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    for options in
        [Options::default(), Options { truncated: true, channels: vec!["1".into()], ..Options::default() }]
    {
        reading::check(Xdf::new(Cursor::new(bytes), &options), bytes.len());
    }
});
