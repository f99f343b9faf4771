//! `annulus doctor`: whether this machine is fit for live signals, and what to do.

use crate::checks::{self, Finding, Level};
use crate::describe;
use crate::failure::Failure;
use crate::plain::plain;
use serde_json::{Value, json};
use std::io::{self, Write as _};

/// Look at this machine and account: memory, leftovers, limits, clock, kernel; and say what to do
///
/// Exit code 1 if there is a problem: something that annulus cannot work with. A warning is what it can live with, or what
/// may become a problem later.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As JSON: a list of what was checked
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let findings = checks::all();
    let text = if args.json {
        describe::json(&findings.iter().map(json).collect())?
    } else {
        findings.iter().map(text).collect()
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    match findings.iter().filter(|finding| finding.level == Level::Problem).count() {
        0 => Ok(()),
        1 => Err(Failure::Failed("there is a problem".to_owned())),
        problems => Err(Failure::Failed(format!("there are {problems} problems"))),
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Problem => "problem",
    }
}

/// What was found; below it, what that means and what to do.
fn text(finding: &Finding) -> String {
    let mut text = format!("{:<9}{:<16}{}\n", word(finding.level), finding.check, plain(&finding.found));
    for (mark, line) in [("", &finding.means), ("do: ", &finding.remedy)] {
        if !line.is_empty() {
            text += &format!("{:25}{mark}{}\n", "", plain(line));
        }
    }
    text
}

fn json(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "level": word(finding.level),
        "found": finding.found,
        "means": finding.means,
        "do": finding.remedy,
    })
}
