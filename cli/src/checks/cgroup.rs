//! How much memory the container, or the unit, may have: what is in shared memory counts.

use super::{Finding, Machine, bytes};

/// `space`: what the directory of the streams can hold.
pub(super) fn memory(machine: &Machine, space: Option<u64>) -> Finding {
    const CHECK: &str = "memory limit";
    let Some((most, used)) = smallest(machine) else {
        return Finding::ok(CHECK, "the control group of this process sets none");
    };
    let found = format!("{} for the control group of this process, {} used", bytes(most), bytes(used));
    if space.is_none_or(|space| space > most) {
        return Finding::warning(CHECK, found)
            .means("rings count, whoever made the first touch; tmpfs can hold more than that: at the limit the kernel kills a process instead of refusing the stream")
            .remedy("docker run --memory=4g; MemoryMax=4G in a unit; or a smaller tmpfs: --shm-size");
    }
    if used > most - most / 10 {
        return Finding::warning(CHECK, found)
            .means("it is nearly used up: at the limit the kernel kills a process")
            .remedy("docker run --memory=4g; MemoryMax=4G in a unit");
    }
    Finding::ok(CHECK, found)
}

/// The smallest limit from this process' group up to the root, and what is used of it.
fn smallest(machine: &Machine) -> Option<(u64, u64)> {
    let groups = machine.read("/proc/self/cgroup")?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => along(machine, "/sys/fs/cgroup", path, "memory.max", "memory.current"),
            _ if controllers.split(',').any(|one| one == "memory") => along(
                machine,
                "/sys/fs/cgroup/memory",
                path,
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            ),
            _ => None,
        }
    });
    limits.min()
}

fn along(machine: &Machine, root: &str, path: &str, most: &str, used: &str) -> Option<(u64, u64)> {
    // In a container the path can be one of the host's: what is mounted there is the container's own group then.
    let groups = std::path::Path::new(path).ancestors().map(|group| group.to_string_lossy().into_owned());
    let limit = |group: String| {
        let file = |name: &str| machine.number(&format!("{root}/{}/{name}", group.trim_matches('/')));
        Some((file(most)?, file(used).unwrap_or(0)))
    };
    // The older groups say "none" by a number beyond all memory.
    groups.filter_map(limit).filter(|(most, _)| *most < 1 << 60).min()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::made_up::MadeUp;
    use super::*;

    const SPACE: Option<u64> = Some(1 << 30);

    #[test]
    fn a_limit_below_what_a_tmpfs_can_hold_is_told() {
        let of = |files: &[(&str, &str)]| memory(&MadeUp::new(files).0, SPACE);
        assert_eq!(of(&[]).level, Level::Ok);
        let group = ("/proc/self/cgroup", "0::/a.slice/b.service\n");
        let own = "/sys/fs/cgroup/a.slice/b.service/memory.max";
        assert_eq!(of(&[group]).level, Level::Ok);
        assert_eq!(of(&[group, (own, "max\n")]).level, Level::Ok);
        let said = of(&[group, (own, "536870912\n")]);
        assert!(said.level == Level::Warning && said.found.starts_with("512 MiB"), "{said:?}");
        let above = ("/sys/fs/cgroup/a.slice/memory.max", "536870912\n");
        assert_eq!(of(&[group, (own, "max\n"), above]).level, Level::Warning, "its parent's");
        let large = (own, "4294967296\n");
        assert_eq!(of(&[group, large]).level, Level::Ok);
        let current = ("/sys/fs/cgroup/a.slice/b.service/memory.current", "4290000000\n");
        let said = of(&[group, large, current]);
        assert!(said.level == Level::Warning && said.means.contains("nearly"), "{said:?}");
        let container = ("/sys/fs/cgroup/memory.max", "1000\n");
        assert_eq!(of(&[("/proc/self/cgroup", "0::/../host\n"), container]).level, Level::Warning);
    }

    #[test]
    fn older_groups_are_read_as_well() {
        let group = ("/proc/self/cgroup", "5:devices:/\n4:cpu,memory:/docker/abc\n0::/\n");
        let of = |files: &[(&str, &str)]| memory(&MadeUp::new(files).0, SPACE).level;
        let limit = "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes";
        assert_eq!(of(&[group, (limit, "9223372036854771712\n")]), Level::Ok);
        assert_eq!(of(&[group, (limit, "536870912\n")]), Level::Warning);
        assert_eq!(
            of(&[group, ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n")]),
            Level::Warning
        );
    }
}
