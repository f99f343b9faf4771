//! Instructions that each hot operation takes, as callgrind counts them: that needs no counters of the processor's, and
//! gives the same count each time. The same of rtrb beside it, as a yardstick.
//!
//! `cargo run --release` in this directory; Valgrind must be there. `-- --tsv`: our own operations only, for programs.
//!
//! Each operation is run N times and 2 N times: the difference is what N of them take, with the loop around them (the
//! first row) and nothing else.

mod callgrind;
mod operations;

use callgrind::{Copies, Count};
use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some(callgrind::COUNTED) => {
            operations::run();
            Ok(())
        }
        None => callgrind::run(Copies::Best).map(|counts| print_table(&counts)),
        Some("--tsv") => callgrind::run(Copies::Plain).map(|counts| print_tsv(&counts)),
        Some(other) => Err(format!("no such argument: {other}; there is --tsv, and none")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("annulus-instructions: {why}");
            ExitCode::FAILURE
        }
    }
}

/// A row for each operation; and how many times as many that is as rtrb takes, where rtrb can do the same.
fn print_table(counts: &[Count]) {
    println!("{:<58} {:>12} {:>7}", "operation", "instructions", "x rtrb");
    for count in counts {
        let yardstick = counts.iter().find(|other| other.operation == count.yardstick);
        let ratio = yardstick.map_or(String::new(), |its| format!("{:.2}", count.each / its.each));
        println!("{:<58} {:>12.2} {ratio:>7}", count.operation, count.each);
    }
}

fn print_tsv(counts: &[Count]) {
    for count in counts.iter().filter(|count| count.is_ours()) {
        println!("{}\t{:.2}", count.operation, count.each);
    }
}
