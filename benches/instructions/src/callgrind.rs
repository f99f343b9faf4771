//! Runs this program under callgrind, and reads what it counted.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// What this program is called with to be counted.
pub const COUNTED: &str = "counted";

/// Calls of an operation, in its three runs: to warm up, N and 2 N.
const RUNS: [u64; 3] = [CALLS, CALLS, 2 * CALLS];
const CALLS: u64 = 8192;
pub const CALLS_IN_ALL: u64 = RUNS[0] + RUNS[1] + RUNS[2];

/// What callgrind counts for a run, and before it for what lies between two.
const PARTS: usize = 2 * RUNS.len();

/// What an operation takes.
pub struct Count {
    pub operation: String,
    /// Instructions of one, or for each of its frames.
    pub each: f64,
    /// The operation that is the same elsewhere; empty: none is.
    pub yardstick: String,
}

impl Count {
    pub fn is_ours(&self) -> bool {
        !self.operation.starts_with("rtrb:") && self.operation != "loop"
    }
}

/// In the program that is counted: callgrind writes down what it counted up to here, and begins anew.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn annulus_counted_to_here() {
    black_box(());
}

/// In the program that is counted: runs `operation`, which handles `frames` frames in each call, and is told which call
/// it is.
pub fn count(operation: &str, yardstick: &str, frames: u64, mut run: impl FnMut(u64)) {
    let mut call = 0;
    for calls in RUNS {
        let end = call + calls;
        annulus_counted_to_here();
        while call < end {
            run(call);
            call += 1;
        }
        annulus_counted_to_here();
    }
    println!("{operation}\t{yardstick}\t{frames}");
}

/// Which of its ways to copy the C library takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// The one for this machine's processor.
    Best,
    /// One that each processor has: counts that do not depend on the machine.
    Plain,
}

/// Counts everything.
pub fn run(copies: Copies) -> Result<Vec<Count>, String> {
    let out = env::temp_dir().join(format!("annulus-instructions.{}", std::process::id()));
    let listed = run_counted(&out, copies);
    let counted = fs::read_to_string(&out);
    let _ = fs::remove_file(&out); // there is none if valgrind is not
    let listed = listed?;
    let counted = counted.map_err(|error| format!("{}: {error}", out.display()))?;
    evaluate(&listed, &counted)
}

/// Lists the operations. What was counted goes to `out`.
fn run_counted(out: &Path, copies: Copies) -> Result<String, String> {
    let program = env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes", "--dump-before=annulus_counted_to_here"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(COUNTED)
        .stderr(Stdio::inherit())
        .env_clear()
        .envs(env::var_os("ANNULUS_DIR").map(|directory| ("ANNULUS_DIR", directory)));
    if copies == Copies::Plain {
        valgrind.env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512VL,-ERMS");
    }
    let output =
        valgrind.output().map_err(|error| format!("valgrind: {error} (Debian's package: valgrind)"))?;
    if !output.status.success() {
        return Err(format!("valgrind: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn evaluate(listed: &str, counted: &str) -> Result<Vec<Count>, String> {
    let parts = counted.lines().filter_map(|line| line.strip_prefix("summary: "));
    let parts: Vec<u64> = parts
        .map(|count| count.parse().map_err(|_| format!("callgrind's count of a part: {count}")))
        .collect::<Result<_, _>>()?;
    let operations = listed.lines().count();
    // One more: what comes after all of them.
    if operations == 0 || parts.len() != operations * PARTS + 1 {
        return Err(format!("callgrind counted {} parts of {operations} operations", parts.len()));
    }
    listed.lines().zip(parts.chunks(PARTS)).map(|(line, parts)| evaluate_one(line, parts)).collect()
}

fn evaluate_one(line: &str, parts: &[u64]) -> Result<Count, String> {
    let unreadable = || format!("the counted program said: {line}");
    let [operation, yardstick, frames] = line.split('\t').collect::<Vec<_>>()[..] else {
        return Err(unreadable());
    };
    let frames: u64 = frames.parse().map_err(|_| unreadable())?;
    let (once, twice) = (parts[3], parts[5]);
    let each = twice.checked_sub(once).ok_or_else(unreadable)? as f64 / (CALLS * frames) as f64;
    Ok(Count { operation: operation.into(), each, yardstick: yardstick.into() })
}
