//! What crashes and other programs left behind.

use super::{Finding, bytes};
use crate::describe;
use annulus::{Listed, ProducerState, Scope};
#[cfg(target_os = "linux")]
use std::{fs, os::unix::fs::MetadataExt};

/// What takes memory and belongs to nobody that lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Left {
    /// Names and bytes of streams that nobody holds.
    unheld: Vec<(String, u64)>,
    /// Names of what is no stream that we understand.
    broken: Vec<String>,
}

/// What is left in both scopes; where one's directory cannot be used, why.
pub(super) fn all() -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut streams: Vec<Listed> = Vec::new();
    for (scope, prune) in [(Scope::User, "annulus prune"), (Scope::System, "annulus prune --system")] {
        let listed = match annulus::list(scope) {
            Ok(listed) => listed,
            Err(error) => {
                findings.push(Finding::problem("directory", error.to_string()).means(format!(
                    "there can be no streams {}",
                    if scope == Scope::User { "of your own" } else { "that users share" }
                )));
                continue;
            }
        };
        // ANNULUS_DIR can be the place of both.
        let seen = |one: &Listed| streams.iter().any(|other| other.path == one.path);
        let left = Left::of(listed.iter().filter(|one| !seen(one)));
        findings.push(leftovers(
            if scope == Scope::User { "own streams" } else { "shared streams" },
            &left,
            prune,
        ));
        streams.extend(listed);
    }
    #[cfg(target_os = "linux")]
    findings.push(foreign());
    findings
}

impl Left {
    fn of<'a>(streams: impl Iterator<Item = &'a Listed>) -> Self {
        let mut left = Self::default();
        for one in streams {
            match &one.status {
                // One that nobody has begun yet is about to be; one to be kept is kept.
                Ok(status)
                    if status.attached.is_empty()
                        && !status.info.keep
                        && status.producer != ProducerState::Never =>
                {
                    let name = format!("{} ({})", status.info.full_name(), describe::state(status.producer));
                    left.unheld.push((name, status.info.bytes));
                }
                Ok(_) => {}
                Err(_) => left.broken.push(one.path.display().to_string()),
            }
        }
        left
    }
}

fn leftovers(check: &'static str, left: &Left, prune: &str) -> Finding {
    let size: u64 = left.unheld.iter().map(|(_, bytes)| bytes).sum();
    let names = |names: Vec<&str>| names.join(", ");
    match (&left.unheld[..], &left.broken[..]) {
        ([], []) => Finding::ok(check, "nothing was left behind"),
        ([], broken) => {
            let list = names(broken.iter().map(String::as_str).collect());
            Finding::warning(check, format!("no streams, or damaged, or of another version: {list}"))
                .means("they take memory and keep their names")
                .remedy("annulus ls tells why; rm FILE, or annulus rm --force NAME, takes them away")
        }
        (unheld, broken) => {
            let list = names(unheld.iter().map(|(name, _)| name.as_str()).collect());
            let more =
                if broken.is_empty() { String::new() } else { format!("; and {} broken", broken.len()) };
            Finding::warning(check, format!("nobody holds {list}: {}{more}", bytes(size)))
                .means(
                    "a crash left them behind; what they retain can still be read, until they are taken away",
                )
                .remedy(prune)
        }
    }
}

/// Above this, memory of other programs is worth a word.
#[cfg(target_os = "linux")]
const BIG: u64 = 16 << 20;

/// What other programs have, as far as the checks care.
#[cfg(target_os = "linux")]
#[derive(Clone, Debug)]
struct Object {
    place: String,
    bytes: u64,
    /// How many have it mapped, where the system counts.
    attached: Option<u64>,
    unfinished: bool,
}

#[cfg(target_os = "linux")]
fn foreign() -> Finding {
    match crate::foreign::list() {
        Err(_) => Finding::warning("other programs", "the system does not tell what shared memory there is"),
        Ok(all) => {
            let object = |one: &annulus::shm::Listed| Object {
                place: one.place.to_string(),
                bytes: one.status.size,
                attached: one.status.attached,
                unfinished: one.status.unfinished,
            };
            others(&all.iter().map(object).collect::<Vec<_>>())
        }
    }
}

#[cfg(target_os = "linux")]
fn others(all: &[Object]) -> Finding {
    const CHECK: &str = "other programs";
    let size = all.iter().map(|one| one.bytes).sum();
    let found = format!("{} objects that are no streams, {}", all.len(), bytes(size));
    let left = |one: &&Object| one.unfinished || (one.bytes >= BIG && one.attached.unwrap_or(0) == 0);
    let left: Vec<&Object> = all.iter().filter(left).collect();
    if left.is_empty() {
        return Finding::ok(CHECK, found);
    }
    let list: Vec<String> = left
        .iter()
        .map(|one| {
            let state = if one.unfinished { ", never finished" } else { "" };
            format!("{} ({}{state})", one.place, bytes(one.bytes))
        })
        .collect();
    Finding::warning(CHECK, format!("{found}; perhaps left behind: {}", list.join(", ")))
        .means("they take memory, and the system does not say whether anybody has them open; annulus ls --all tells whose they are")
        .remedy(format!("if nobody needs it: annulus rm --foreign {}", left[0].place))
}

/// Memory in the directory that has lost its name, and that processes still hold. Other users' are not seen.
#[cfg(target_os = "linux")]
pub(super) fn unnamed(machine: &super::Machine, directory: &std::path::Path) -> Finding {
    const CHECK: &str = "unnamed memory";
    let mut pids = Vec::new();
    for pid in machine.names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok()) {
        // An object that was built without a name is shown as deleted for ever: whether it has one by now, its links tell.
        let held = |descriptor: &String| {
            let path = machine.path(&format!("/proc/{pid}/fd/{descriptor}"));
            fs::read_link(&path).is_ok_and(|leads| leads.starts_with(directory))
                && fs::metadata(&path).is_ok_and(|found| found.is_file() && found.nlink() == 0)
        };
        if machine.names(&format!("/proc/{pid}/fd")).iter().any(held) {
            pids.push(pid);
        }
    }
    if pids.is_empty() {
        return Finding::ok(
            CHECK,
            format!("no process holds objects of {} that lost their names", directory.display()),
        );
    }
    Finding::warning(CHECK, format!("objects that lost their names are held by processes {}", pids.join(", ")))
        .means("they were removed or replaced (or RemoveIPC did that): nobody else finds them, and their memory is free only when these processes end")
        .remedy(format!("lsof +L1 {}; start again what goes on with the old stream", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_nobody_holds_is_to_be_pruned() {
        let mut left = Left::default();
        assert_eq!(leftovers("own streams", &left, "annulus prune").level, Level::Ok);
        left.broken = vec!["/x/y".to_owned()];
        let said = leftovers("own streams", &left, "annulus prune");
        assert!(said.level == Level::Warning && said.found.contains("/x/y"), "{said:?}");
        left.unheld = vec![("a@v1 (dead)".to_owned(), 1 << 20), ("b@v1 (left)".to_owned(), 1 << 20)];
        let said = leftovers("own streams", &left, "annulus prune");
        assert_eq!((said.level, &*said.remedy), (Level::Warning, "annulus prune"));
        assert_eq!(said.found, "nobody holds a@v1 (dead), b@v1 (left): 2 MiB; and 1 broken");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn big_or_unfinished_objects_of_others_are_told() {
        let object = |place: &str, bytes, attached, unfinished| Object {
            place: place.to_owned(),
            bytes,
            attached,
            unfinished,
        };
        assert_eq!(others(&[]).level, Level::Ok);
        let fine = [object("posix:/a", 1 << 20, None, false), object("sysv:id=1", BIG, Some(2), false)];
        assert_eq!(others(&fine).level, Level::Ok);
        for (bad, remedy) in [
            (object("posix:/b", BIG, None, false), "annulus rm --foreign posix:/b"),
            (object("sysv:id=2", BIG, Some(0), false), "annulus rm --foreign sysv:id=2"),
            (object("sysv:id=3", 4096, Some(0), true), "annulus rm --foreign sysv:id=3"),
        ] {
            let said = others(&[fine[0].clone(), bad]);
            assert!(said.level == Level::Warning && said.remedy.ends_with(remedy), "{said:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn objects_without_a_name_are_told_with_who_holds_them() {
        use super::super::{Machine, made_up::MadeUp};
        let made = MadeUp::new(&[("/shm/a", "x"), ("/b", "x")]);
        let look = || unnamed(&Machine::new("/"), &made.0.path("/shm"));
        let _held = ["/shm/a", "/b"].map(|path| fs::File::open(made.0.path(path)).unwrap());
        fs::remove_file(made.0.path("/b")).unwrap();
        assert_eq!(look().level, Level::Ok, "the one that has no name is elsewhere");
        fs::remove_file(made.0.path("/shm/a")).unwrap();
        let said = look();
        let me = format!("processes {}", std::process::id());
        assert!(said.level == Level::Warning && said.found.ends_with(&me), "{said:?}");
    }
}
