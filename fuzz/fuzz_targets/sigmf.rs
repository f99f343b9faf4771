//! The reader of SigMF files, on any bytes: what describes the samples, a zero, and the samples.

#![no_main]
#![allow(dead_code)]

#[path = "../../cli/src/files/mod.rs"]
mod files;
#[path = "../../cli/src/plain.rs"]
mod plain;
mod reading;
#[path = "../../cli/src/sample.rs"]
mod sample;

use files::{Options, Sigmf};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (meta, data) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    reading::check(Sigmf::new(meta, Cursor::new(data), &Options::default()), data.len());
});
