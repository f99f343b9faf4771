//! What it ran on: figures mean nothing without.

use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// What a command prints, on one line; nothing if it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.trim().replace('\n', " ")
}

fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().into()
}

/// Machine, kernel, compilers, commit.
pub fn describe() -> Value {
    let changed = if said("git", &["status", "--porcelain"]).is_empty() { "" } else { ", changed" };
    json!({
        "processor": field("/proc/cpuinfo", "model name"),
        "processors": crate::side::processors(),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": said("uname", &["-sr"]),
        "compiler": said("rustc", &["--version"]),
        "c++": said("g++", &["--version"]).split(" Copyright").next().unwrap_or_default(),
        "installed": crate::rivals::installed(),
        "commit": format!("{}{changed}", said("git", &["rev-parse", "--short", "HEAD"])),
        "date": said("date", &["-u", "+%Y-%m-%d"]),
    })
}
