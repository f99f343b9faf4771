//! annulus, others, and what the machine allows, in the same rounds.
//!
//! `cargo run --release` in this directory: some two minutes. `-- --full`: longer runs and more rounds. `-- --only 1,3`: those
//! rows. `-- --out DIR`: there compare.md, compare.json and compare.svg are written.

mod limits;
mod link;
mod machine;
mod payload;
mod report;
mod rivals;
mod rows;
mod side;
mod workload;

use rows::{Entry, Row, rows};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use workload::{Sample, alone};

/// What was asked for.
struct Options {
    rounds: usize,
    lasts: Duration,
    only: Vec<String>,
    out: Option<PathBuf>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { rounds: 5, lasts: Duration::from_millis(80), only: Vec::new(), out: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--full" => (options.rounds, options.lasts) = (15, Duration::from_millis(300)),
                "--rounds" => {
                    options.rounds = value()?.parse().map_err(|_| "--rounds wants a number, from 1 on")?
                }
                "--only" => options.only = value()?.split(',').map(String::from).collect(),
                "--out" => options.out = Some(value()?.into()),
                _ => {
                    return Err(format!(
                        "no such option: {word}; there are --full, --rounds N, --only ROWS, --out DIR"
                    ));
                }
            }
        }
        if options.rounds == 0 {
            return Err("--rounds wants a number, from 1 on".into());
        }
        Ok(options)
    }

    fn wants(&self, row: &Row) -> bool {
        let of = |one: &String| row.id == one || row.id.split('.').next() == Some(one);
        self.only.is_empty() || self.only.iter().any(of)
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("annulus-compare: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    if !cfg!(boost) {
        return Err("Boost is not there, and without it this compares less than it says: install libboost-dev and g++".into());
    }
    rivals::sweep();
    let rows: Vec<Row> = rows().into_iter().filter(|row| options.wants(row)).collect();
    if rows.is_empty() {
        return Err(format!("there is no row {}", options.only.join(", ")));
    }
    let mut results = Vec::new();
    for row in rows {
        eprintln!("{} {}", row.id, row.title);
        let rounds = (0..options.rounds).map(|_| round(&row, options.lasts)).collect::<Result<_, _>>()?;
        let result = report::Result { row, rounds };
        eprint!("{}", report::text(&result));
        results.push(result);
    }
    let machine = machine::describe();
    let markdown = report::markdown(&machine, &results);
    println!("{markdown}");
    if let Some(out) = options.out {
        let files = [
            ("compare.md", markdown),
            ("compare.json", report::json(&machine, &results)),
            ("compare.svg", report::svg(&machine, &results)),
        ];
        for (name, text) in files {
            let path = out.join(name);
            std::fs::write(&path, text)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Without these it compares less than it says.
const NEEDED: [&str; 7] = ["annulus", "limit", "ringfire", "rtrb", "iceoryx2", "Boost", "crossbeam"];

/// How often what others disturbed is done again.
const AGAIN: usize = 3;

/// All entries of a row, one after the other.
fn round(row: &Row, lasts: Duration) -> Result<Vec<Sample>, String> {
    row.entries.iter().map(|entry| sample(row, entry, lasts)).collect()
}

/// One entry, done again where it was disturbed; of those the least disturbed.
fn sample(row: &Row, entry: &Entry, lasts: Duration) -> Result<Sample, String> {
    let mut best: Option<Sample> = None;
    for _ in 0..AGAIN {
        let Some(sample) = alone(|| (entry.run)(lasts)) else {
            eprintln!("{} failed at: {}", entry.name, row.title);
            continue;
        };
        if best.is_none_or(|best| sample.disturbed < best.disturbed) {
            best = Some(sample);
        }
        // The clock's tick takes some of a processor, too.
        if sample.disturbed <= 2 + lasts.as_millis() as u64 / 20 {
            break;
        }
    }
    let nothing = Sample { value: f64::NAN, extra: f64::NAN, disturbed: 0 };
    match best {
        Some(best) => Ok(best),
        None if NEEDED.iter().any(|name| entry.name.starts_with(name)) => {
            Err(format!("{} failed at: {} (see above)", entry.name, row.title))
        }
        None => Ok(nothing), // and the report says so
    }
}
