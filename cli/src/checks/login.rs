//! Whether systemd takes everything away when the user logs out.

use super::{Finding, Machine};
use std::path::Path;

/// Where its settings are; a file of a later directory gives way to one of the same name in an earlier one.
const SETTINGS: [&str; 4] = [
    "/etc/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d",
    "/usr/local/lib/systemd/logind.conf.d",
    "/usr/lib/systemd/logind.conf.d",
];
const MAIN: [&str; 4] = [
    "/etc/systemd/logind.conf",
    "/run/systemd/logind.conf",
    "/usr/local/lib/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf",
];

/// Of a user with streams in `directory`.
pub(super) fn remove_ipc(machine: &Machine, directory: &Path, uid: u32, user: &str) -> Finding {
    const CHECK: &str = "RemoveIPC";
    if !directory.starts_with("/dev/shm") {
        return Finding::ok(
            CHECK,
            format!("{} is not below /dev/shm, where it removes", directory.display()),
        );
    }
    if !machine.path("/run/systemd/system").exists() {
        return Finding::ok(CHECK, "systemd does not run here");
    }
    let last = last_system_user(machine);
    if uid <= last {
        return Finding::ok(
            CHECK,
            format!("{user} is a system user (up to {last}): nothing of it is removed"),
        );
    }
    if !removes(machine) {
        return Finding::ok(CHECK, "no: what users have stays when they log out");
    }
    if machine.path(&format!("/var/lib/systemd/linger/{user}")).exists() {
        return Finding::ok(CHECK, format!("yes, but {user} lingers"));
    }
    Finding::warning(CHECK, format!("yes, and {user} does not linger"))
        .means("when the last session of this user ends, all its streams lose their names: nobody finds them any more")
        .remedy(format!(
            "loginctl enable-linger {user}; or run the acquisition as a system user; or RemoveIPC=no in /etc/systemd/logind.conf"
        ))
}

/// What is said last counts; yes if nothing is.
fn removes(machine: &Machine) -> bool {
    let main = MAIN.iter().find_map(|path| machine.read(path));
    let mut names: Vec<(String, &str)> = Vec::new();
    for directory in SETTINGS {
        for name in machine.names(directory).into_iter().filter(|name| name.ends_with(".conf")) {
            if !names.iter().any(|(known, _)| *known == name) {
                names.push((name, directory));
            }
        }
    }
    names.sort();
    let more = names.iter().filter_map(|(name, directory)| machine.read(&format!("{directory}/{name}")));
    main.into_iter().chain(more).filter_map(|text| setting(&text)).next_back().unwrap_or(true)
}

fn setting(text: &str) -> Option<bool> {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "RemoveIPC").then(|| value.trim().to_ascii_lowercase())
    };
    let last = text.lines().filter_map(value).next_back()?;
    match &*last {
        "no" | "n" | "false" | "f" | "off" | "0" => Some(false),
        // Emptied: the default again.
        _ => Some(true),
    }
}

fn last_system_user(machine: &Machine) -> u32 {
    let text = machine.read("/etc/login.defs").unwrap_or_default();
    let value = |line: &str| line.trim().strip_prefix("SYS_UID_MAX")?.trim().parse().ok();
    text.lines().find_map(value).unwrap_or(999)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::made_up::MadeUp;
    use super::*;

    const RUNS: (&str, &str) = ("/run/systemd/system/x", "");
    const ETC: &str = "/etc/systemd/logind.conf";

    fn level(files: &[(&str, &str)], uid: u32) -> Level {
        remove_ipc(&MadeUp::new(files).0, Path::new("/dev/shm"), uid, "ana").level
    }

    #[test]
    fn only_regular_users_who_do_not_linger_lose_their_streams() {
        assert_eq!(level(&[], 1000), Level::Ok, "no systemd");
        assert_eq!(level(&[RUNS], 1000), Level::Warning, "its default");
        assert_eq!(level(&[RUNS], 0), Level::Ok);
        assert_eq!(level(&[RUNS], 999), Level::Ok);
        assert_eq!(level(&[RUNS, ("/etc/login.defs", "# x\nSYS_UID_MAX\t\t499\n")], 999), Level::Warning);
        assert_eq!(level(&[RUNS, ("/var/lib/systemd/linger/ana", "")], 1000), Level::Ok);
        assert_eq!(level(&[RUNS, ("/var/lib/systemd/linger/bob", "")], 1000), Level::Warning);
        let said = remove_ipc(&MadeUp::new(&[RUNS]).0, Path::new("/dev/shm/x"), 1000, "ana");
        assert!(said.remedy.starts_with("loginctl enable-linger ana"), "{said:?}");
        let elsewhere = remove_ipc(&MadeUp::new(&[RUNS]).0, Path::new("/run/annulus"), 1000, "ana");
        assert_eq!(elsewhere.level, Level::Ok);
    }

    #[test]
    fn the_last_setting_counts() {
        let no = "[Login]\nRemoveIPC=no\n";
        assert_eq!(level(&[RUNS, (ETC, no)], 1000), Level::Ok);
        assert_eq!(level(&[RUNS, (ETC, "[Login]\n#RemoveIPC=no\n")], 1000), Level::Warning);
        assert_eq!(level(&[RUNS, (ETC, "RemoveIPC = off\n")], 1000), Level::Ok);
        let yes = ("/usr/lib/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=yes\n");
        assert_eq!(level(&[RUNS, (ETC, no), yes], 1000), Level::Warning);
        assert_eq!(level(&[RUNS, yes, ("/etc/systemd/logind.conf.d/60-b.conf", no)], 1000), Level::Ok);
        assert_eq!(level(&[RUNS, yes, ("/etc/systemd/logind.conf.d/40-b.conf", no)], 1000), Level::Warning);
        assert_eq!(
            level(&[RUNS, yes, ("/etc/systemd/logind.conf.d/50-a.conf", no)], 1000),
            Level::Ok,
            "it hides the other"
        );
        assert_eq!(level(&[RUNS, ("/usr/lib/systemd/logind.conf", no)], 1000), Level::Ok);
        assert_eq!(level(&[RUNS, ("/usr/lib/systemd/logind.conf", no), (ETC, "")], 1000), Level::Warning);
    }
}
