//! The directory of the streams: how it is mounted, how full it is, and who may do what in it.

use super::{Finding, Machine, bytes};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) total: u64,
    free: u64,
    /// More files that there can be; `None` where that is not limited.
    files: Option<u64>,
}

impl Space {
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(directory).ok()?;
        let size = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let files = (found.f_files > 0).then_some(found.f_favail);
        Some(Self { total: size(found.f_blocks), free: size(found.f_bavail), files })
    }
}

/// What a docker container gets without a word.
const CONTAINERS: u64 = 64 << 20;
/// With less, hardly a stream can be made.
const LEAST: u64 = 1 << 20;

pub(super) fn all(machine: &Machine, directory: &Path, space: Option<Space>, uid: u32) -> Vec<Finding> {
    let mut findings = vec![mount(machine, directory), mode(directory, uid)];
    findings.extend(space.map(|space| self::space(directory, space)));
    findings
}

fn space(directory: &Path, space: Space) -> Finding {
    const CHECK: &str = "space";
    let at = directory.display();
    let found = format!("{at}: {}, {} free", bytes(space.total), bytes(space.free));
    let larger = format!("mount -o remount,size=1G {at}; in a container: docker run --shm-size=1g");
    if space.files == Some(0) {
        return Finding::problem(CHECK, format!("{at} can hold no more files"))
            .means("no stream can be made: the mount's nr_inodes is used up")
            .remedy(format!("find {at}; mount -o remount,nr_inodes=1M {at}"));
    }
    if space.free < LEAST {
        return Finding::problem(CHECK, found)
            .means("no stream can be made: it says so when it is created (no space)")
            .remedy(format!("annulus prune; annulus ls --all; {larger}"));
    }
    if space.total <= CONTAINERS {
        return Finding::warning(CHECK, found)
            .means("a ring of 64 channels of i32 at 10 kHz takes 2.5 MB a second: it is soon full")
            .remedy(larger);
    }
    if space.free < space.total / 10 {
        return Finding::warning(CHECK, found)
            .means("it is nearly full")
            .remedy(format!("annulus prune; annulus ls --all; {larger}"));
    }
    Finding::ok(CHECK, found)
}

/// A line of mountinfo: where, which file system, with which options.
fn mounted(line: &str) -> Option<(PathBuf, &str, String)> {
    let (mount, system) = line.split_once(" - ")?;
    let mount: Vec<&str> = mount.split(' ').collect();
    let system: Vec<&str> = system.split(' ').collect();
    let at = mount.get(4)?.replace("\\040", " ");
    Some((at.into(), system.first()?, format!("{},{}", mount.get(5)?, system.get(2).unwrap_or(&""))))
}

fn mount(machine: &Machine, directory: &Path) -> Finding {
    const CHECK: &str = "mount";
    let at = directory.display();
    let mounts = machine.read("/proc/self/mountinfo").unwrap_or_default();
    // Of two at one place the later one is seen.
    let holds = mounts.lines().filter_map(mounted).filter(|(point, ..)| directory.starts_with(point));
    let Some((_, system, options)) = holds.max_by_key(|(point, ..)| point.components().count()) else {
        return Finding::problem(CHECK, "/proc/self/mountinfo cannot be read")
            .means("without /proc nobody can work in one directory for certain: streams are refused")
            .remedy("mount -t proc proc /proc");
    };
    let found = format!("{at}: {system} ({options})");
    if options.split(',').any(|option| option == "ro") {
        return Finding::problem(CHECK, found)
            .means("no stream can be made: it is read-only")
            .remedy(format!("mount -o remount,rw {at}"));
    }
    match system {
        "tmpfs" | "ramfs" => Finding::ok(CHECK, found),
        _ if directory == Path::new("/dev/shm") => Finding::problem(CHECK, found)
            .means("it is not memory: streams are refused there")
            .remedy("mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm"),
        _ => Finding::warning(CHECK, found)
            .means("it is on a disk: only streams with --backend file are made there, and the system writes them out")
            .remedy("unset ANNULUS_DIR, or set it to a directory below /dev/shm"),
    }
}

fn mode(directory: &Path, uid: u32) -> Finding {
    const CHECK: &str = "access";
    let at = directory.display();
    let found = match fs::metadata(directory) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => {
            return Finding::problem(CHECK, format!("{at} is not a directory"))
                .remedy(format!("rm {at}; mkdir {at}"));
        }
        Err(error) => {
            return Finding::problem(CHECK, format!("{at}: {error}"))
                .means("there can be no streams")
                .remedy(format!("mkdir -m 700 {at}"));
        }
    };
    access(directory, found.mode() & 0o7777, found.uid(), uid)
}

/// Of a directory that belongs to `owner`, as `me` sees it.
fn access(directory: &Path, mode: u32, owner: u32, me: u32) -> Finding {
    const CHECK: &str = "access";
    let at = directory.display();
    let found = format!("{at}: mode {mode:o}, of user {owner}");
    let (others_write, sticky) = (mode & 0o022 != 0, mode & 0o1000 != 0);
    if others_write && !sticky {
        return Finding::problem(CHECK, found)
            .means("anybody may remove anybody's streams, and plant others in their place: it is refused")
            .remedy(format!("chmod {} {at}", if owner == me && me != 0 { "700" } else { "1777" }));
    }
    if owner != me && owner != 0 {
        return Finding::problem(CHECK, found)
            .means(format!("it is user {owner}'s, who may take anything away: it is refused"))
            .remedy("set ANNULUS_DIR to a directory of your own, or unset it");
    }
    if owner != me && mode & 0o003 != 0o003 {
        return Finding::problem(CHECK, found).means("you may make nothing there").remedy(format!(
            "chmod 1777 {at} (as root), or set ANNULUS_DIR to a directory of your own on a tmpfs"
        ));
    }
    Finding::ok(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::made_up::MadeUp;
    use super::*;

    #[test]
    fn space_runs_out_in_steps() {
        let of = |total, free, files| space(Path::new("/dev/shm"), Space { total, free, files });
        assert_eq!(of(24 << 30, 20 << 30, Some(1000)).level, Level::Ok);
        assert_eq!(of(24 << 30, 20 << 30, None).level, Level::Ok);
        let said = of(24 << 30, 2 << 30, None);
        assert!(said.level == Level::Warning && said.means.contains("nearly full"), "{said:?}");
        let said = of(64 << 20, 60 << 20, None);
        assert!(said.level == Level::Warning && said.remedy.contains("--shm-size"), "{said:?}");
        assert_eq!(of(64 << 20, 0, None).level, Level::Problem);
        let said = of(24 << 30, 20 << 30, Some(0));
        assert!(said.level == Level::Problem && said.remedy.contains("nr_inodes"), "{said:?}");
    }

    #[test]
    fn a_directory_must_be_on_memory_that_can_be_written() {
        let of = |line: &str, directory: &str| {
            let root = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";
            let made = MadeUp::new(&[("/proc/self/mountinfo", &format!("{root}{line}\n"))]);
            mount(&made.0, Path::new(directory))
        };
        let tmpfs = "25 22 0:23 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,size=24684096k";
        let said = of(tmpfs, "/dev/shm/x");
        assert!(said.level == Level::Ok && said.found.contains("size=24684096k"), "{said:?}");
        assert_eq!(of("", "/dev/shm").level, Level::Problem, "it is not mounted");
        let said = of(tmpfs, "/dev/shmem");
        assert!(said.level == Level::Warning && said.found.contains("ext4"), "{said:?}");
        assert_eq!(of(&tmpfs.replace("rw,nosuid", "ro"), "/dev/shm").level, Level::Problem);
        assert_eq!(mount(&MadeUp::new(&[]).0, Path::new("/dev/shm")).level, Level::Problem);
        let blank = tmpfs.replace("/dev/shm", "/my\\040place");
        assert_eq!(of(&blank, "/my place/x").level, Level::Ok);
    }

    #[test]
    fn nobody_else_may_take_streams_away() {
        let of = |mode, owner, me| access(Path::new("/dev/shm"), mode, owner, me).level;
        assert_eq!(of(0o1777, 0, 1000), Level::Ok);
        assert_eq!(of(0o700, 1000, 1000), Level::Ok);
        assert_eq!(of(0o777, 0, 1000), Level::Problem);
        assert_eq!(of(0o777, 1000, 1000), Level::Problem);
        assert_eq!(of(0o755, 0, 1000), Level::Problem);
        assert_eq!(of(0o755, 0, 0), Level::Ok);
        assert_eq!(of(0o1777, 1001, 1000), Level::Problem);
        let made = MadeUp::new(&[("/shm/file", "")]);
        let directory = made.0.path("/shm");
        let me = fs::metadata(&directory).unwrap().uid();
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(mode(&directory, me).level, Level::Ok);
        fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(mode(&directory, me).level, Level::Problem);
        assert_eq!(mode(&made.0.path("/shm/file"), me).level, Level::Problem);
        assert_eq!(mode(&made.0.path("/none"), me).level, Level::Problem);
    }
}
