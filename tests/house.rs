//! The house rules that a compiler does not check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    walk(&root.join("cli/src"), &mut found);
    for (path, _) in &mut found {
        *path = path.strip_prefix(root).unwrap().to_path_buf();
    }
    found.sort();
    assert!(found.len() > 20, "the sources are not where this test looks");
    found
}

/// The code of a file, without its comments and its tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn unsafe_code_is_where_it_is_expected() {
    let expected = [
        "src/copy/wide.rs",
        "src/lane.rs",
        "src/segment.rs",
        "src/shm/access.rs",
        "src/shm/bytes.rs",
        "src/shm/heap.rs",
        "src/shm/linux.rs",
        "src/shm/lock.rs",
        "src/shm/macos.rs",
        "src/shm/map.rs",
        "src/shm/native_linux.rs",
        "src/shm/native_macos.rs",
        "src/shm/offset.rs",
        "src/shm/owner.rs",
        "src/shm/place.rs",
        "src/shm/posix_macos.rs",
        "src/shm/region.rs",
        "src/shm/sysv.rs",
        "src/shm/windows/event.rs",
        "src/shm/windows/lock.rs",
        "src/shm/windows/map.rs",
        "src/shm/windows/mod.rs",
        "src/shm/windows/owner.rs",
        "src/shm/windows/region.rs",
        "src/shm/windows/section.rs",
        "src/shm/windows/sequence.rs",
        "src/stream/marker.rs",
        "src/time.rs",
        "src/wait/event/eventfd.rs",
        "src/wait/event.rs",
        "src/wait/futex.rs",
    ];
    let opted_out: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| code(text).any(|line| line.contains("allow(unsafe_code)")))
        .map(|(path, _)| path.display().to_string().replace('\\', "/"))
        .collect();
    assert_eq!(opted_out, expected);
}

#[test]
fn atomics_come_from_one_place() {
    for (path, text) in sources() {
        if path == Path::new("src/sync.rs") || path.starts_with("cli") || path.starts_with("src/models") {
            continue;
        }
        for line in code(&text) {
            let raw = line.contains("sync::atomic") && !line.contains("crate::sync");
            assert!(!raw, "{}: take atomics from crate::sync: {line}", path.display());
        }
    }
}

/// The protocol runs under the models as it is: no file of it may come to need the system.
#[test]
fn the_protocol_makes_no_system_call() {
    for (path, text) in sources() {
        let protocol = path.starts_with("src/ring")
            || [
                "src/copy/wide.rs",
                "src/lane.rs",
                "src/clock.rs",
                "src/ledger.rs",
                "src/index.rs",
                "src/copy.rs",
                "src/layout.rs",
            ]
            .iter()
            .any(|one| path == Path::new(one));
        if protocol {
            for line in code(&text) {
                for word in ["libc::", "std::fs", "std::io", "std::os", "std::thread", "std::process"] {
                    assert!(!line.contains(word), "{}: {line}", path.display());
                }
            }
        }
    }
}

/// Imports run one way only: each file may name those of a lower floor.
#[test]
fn imports_run_downward() {
    let floors: &[&[&str]] = &[
        &["stream"],
        &["lifecycle"],
        &["seat"],
        &["ring"],
        &["lane", "clock", "ledger", "wait"],
        &["segment"],
        &["shm"],
        &["name"],
        &["error"],
        &["descriptor"],
        &["channel", "format", "rate", "time", "copy", "index", "layout"],
        &["sync"],
    ];
    let floor = |room: &str| floors.iter().position(|rooms| rooms.contains(&room));
    let mut seen = 0;
    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("src") else { continue };
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if ["lib", "models", "compile_fail"].contains(&room) {
            continue;
        }
        let here = floor(room).unwrap_or_else(|| panic!("{room} is on no floor: say where it belongs"));
        for line in code(&text) {
            for (at, _) in line.match_indices("crate::") {
                let name: String = line[at + 7..].chars().take_while(|c| c.is_ascii_lowercase()).collect();
                if let Some(there) = floor(&name) {
                    seen += 1;
                    assert!(there > here || name == room, "{} imports upward: {line}", path.display());
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were seen");
}

/// docs/from.md: each numbered row of its tables is shown by a line of a program there, which names it in a comment.
#[test]
fn each_row_for_newcomers_has_its_line() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/from.md")).unwrap();
    let is_number = |word: &&str| {
        let digits = word.strip_prefix(|letter: char| letter.is_ascii_uppercase()).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let (mut rows, mut shown, mut code) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) => code = language,
            None if code.starts_with("rust") => {
                let comment = line.split_once("// ").map_or("", |(_, comment)| comment);
                shown.extend(comment.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_number));
            }
            None => rows.extend(line.split(' ').nth(1).filter(|_| line.starts_with("| ")).filter(is_number)),
        }
    }
    assert!(rows.len() > 100, "only {} rows were seen", rows.len());
    assert_eq!(rows.symmetric_difference(&shown).collect::<Vec<_>>(), [&""; 0]);
}

/// What is compiled and run on Windows only is there, word for word.
#[test]
fn the_program_for_windows_is_the_one_that_runs_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/from.md")).unwrap();
    let code = fs::read_to_string(root.join("tests/win32/from.rs")).unwrap();
    assert!(
        page.contains(&format!("```rust,no_run\n{code}```")),
        "docs/from.md has another program than:\n{code}"
    );
}
