//! What the kernel can do, and how fast.

use super::{Finding, Machine, bytes};
use std::collections::BTreeSet;
use std::fs;

/// From which version on, and what goes without: without the first nothing does.
const FEATURES: [((u32, u32), &str); 5] = [
    ((3, 15), "locks of open files (3.15): nobody can tell who is alive"),
    ((3, 17), "memfd (3.17): no sealed memory that is handed on"),
    ((4, 16), "membarrier between processes (4.16): each push pays a fence"),
    ((5, 14), "populating pages in one go (5.14): the first lap of a ring takes page faults"),
    ((5, 16), "futex_waitv (5.16): who waits for several streams looks again every few milliseconds"),
];

pub(super) fn version(machine: &Machine) -> Finding {
    const CHECK: &str = "kernel";
    let release = machine.read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Finding::warning(CHECK, format!("its version cannot be told from '{release}'"));
    };
    let lacking = FEATURES.iter().filter(|(since, _)| (major, minor) < *since);
    let lacking: Vec<&str> = lacking.map(|(_, what)| *what).collect();
    let found = format!("Linux {release}");
    match &lacking[..] {
        [] => Finding::ok(CHECK, found),
        all if all[0] == FEATURES[0].1 => {
            Finding::problem(CHECK, found).means(format!("it has no {}", all[0])).remedy("a newer kernel")
        }
        all => Finding::warning(CHECK, found)
            .means(format!("it has no {}", all.join("; no ")))
            .remedy("a newer kernel"),
    }
}

/// Those that a process reads without a system call.
const FAST: [&str; 7] = [
    "tsc",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
    "arch_sys_counter",
    "riscv_clocksource",
    "timebase",
    "tod",
];

/// A call into the kernel costs more than this.
const SLOW_NS: f64 = 300.0;

/// `cost` is what was measured, in ns.
pub(super) fn clock(machine: &Machine, cost: f64) -> Finding {
    const CHECK: &str = "clock";
    const AT: &str = "/sys/devices/system/clocksource/clocksource0";
    let Some(current) = machine.read(&format!("{AT}/current_clocksource")) else {
        return Finding::warning(CHECK, format!("its source is not told; {cost:.0} ns to ask for the time"));
    };
    let found = format!("{current}, {cost:.0} ns to ask for the time");
    if FAST.contains(&&*current) && cost < SLOW_NS {
        return Finding::ok(CHECK, found);
    }
    let available = machine.read(&format!("{AT}/available_clocksource")).unwrap_or_default();
    let better = available.split_whitespace().find(|one| FAST.contains(one) && *one != current);
    Finding::warning(CHECK, found)
        .means("producers and readers who wait ask for it often: a good source costs some 20 to 50 ns, without a system call")
        .remedy(match better {
            Some(better) => format!("echo {better} > {AT}/current_clocksource"),
            None => "dmesg | grep -i -e tsc -e clocksource tells why there is no better one".to_owned(),
        })
}

pub(super) fn governor(machine: &Machine) -> Finding {
    const CHECK: &str = "processors";
    const AT: &str = "/sys/devices/system/cpu";
    let of = |name: &String| machine.read(&format!("{AT}/{name}/cpufreq/scaling_governor"));
    let numbered =
        |name: &String| name.strip_prefix("cpu").is_some_and(|number| number.parse::<u32>().is_ok());
    let names: Vec<String> = machine.names(AT).into_iter().filter(numbered).collect();
    let governors: BTreeSet<String> = names.iter().filter_map(of).collect();
    if governors.is_empty() {
        return Finding::ok(CHECK, format!("{}, at a speed that is not ours to set", names.len()));
    }
    let list: Vec<&str> = governors.iter().map(String::as_str).collect();
    let found = format!("{}, governed by {}", names.len(), list.join(", "));
    // These drivers' "powersave" follows the load.
    let driver = machine.read(&format!("{AT}/cpu0/cpufreq/scaling_driver")).unwrap_or_default();
    let follows = driver == "intel_pstate" || driver.starts_with("amd-pstate");
    if governors.contains("powersave") && !follows {
        return Finding::warning(CHECK, found)
            .means("they run at their lowest speed: wake-ups and copies take longer")
            .remedy("cpupower frequency-set -g performance");
    }
    Finding::ok(CHECK, found)
}

pub(super) fn huge_pages(machine: &Machine) -> Finding {
    const CHECK: &str = "huge pages";
    let memory = machine.read("/proc/meminfo").unwrap_or_default();
    let value = |name: &str| -> Option<u64> {
        memory.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    let text = machine.read("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    let chosen =
        text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("not there", |(word, _)| word);
    let size = value("Hugepagesize:").map_or_else(String::new, |kib| format!(" of {}", bytes(kib << 10)));
    let (total, free) = (value("HugePages_Total:").unwrap_or(0), value("HugePages_Free:").unwrap_or(0));
    let found = format!("{total}{size} reserved, {free} free; transparent ones for shared memory: {chosen}");
    if total > 0 && free == 0 {
        return Finding::warning(CHECK, found)
            .means("memory that asks for them cannot be made")
            .remedy(format!("sysctl vm.nr_hugepages={}", total * 2));
    }
    let said = Finding::ok(CHECK, found);
    if total > 0 {
        said
    } else {
        said.means("streams need none; who asks for them: sysctl vm.nr_hugepages=64")
    }
}

pub(super) fn system_v(machine: &Machine) -> Finding {
    const CHECK: &str = "System V";
    let setting = |name: &str| machine.number(&format!("/proc/sys/kernel/{name}"));
    let (Some(largest), Some(pages), Some(most)) = (setting("shmmax"), setting("shmall"), setting("shmmni"))
    else {
        return Finding::ok(CHECK, "the kernel has none: --backend system-v does not work");
    };
    let used = machine.read("/proc/sysvipc/shm").map_or(0, |table| table.lines().skip(1).count() as u64);
    let shown = |size: u64| if size >= 1 << 50 { "any size".to_owned() } else { bytes(size) };
    let all = shown(pages.saturating_mul(annulus::shm::page_bytes() as u64));
    let found = format!("{used} of {most} segments; one of {}, all of {all}", shown(largest));
    let said = if used >= most { Finding::problem(CHECK, &*found) } else { Finding::warning(CHECK, &*found) };
    if used >= most - most / 10 {
        return said
            .means("there can be few more, or none")
            .remedy("ipcs -m; annulus ls --all; sysctl kernel.shmmni=8192");
    }
    if largest < 64 << 20 || pages < (64 << 20) / 4096 {
        return said
            .means("streams with --backend system-v must be smaller than that")
            .remedy("sysctl kernel.shmmax=18446744073692774399 kernel.shmall=18446744073692774399");
    }
    Finding::ok(CHECK, found)
}

/// The machine's own, by the numbers that the kernel gives them.
const OWN: [(&str, &str, &str); 3] = [
    (
        "pid",
        "4026531836",
        "process numbers that are told are this container's, and others cannot be looked up",
    ),
    (
        "ipc",
        "4026531839",
        "System V segments are this container's alone, and /dev/shm is, too, unless it is shared: docker run --ipc=container:OTHER, or -v /dev/shm:/dev/shm",
    ),
    (
        "user",
        "4026531837",
        "users have other numbers outside: what belongs to one who is not known here belongs to nobody",
    ),
];

pub(super) fn namespaces(machine: &Machine) -> Finding {
    const CHECK: &str = "namespaces";
    let is_other = |(kind, number, _): &&(&str, &str, &str)| {
        let link = fs::read_link(machine.path(&format!("/proc/self/ns/{kind}"))).unwrap_or_default();
        let link = link.to_string_lossy();
        !link.is_empty() && *link != format!("{kind}:[{number}]")
    };
    let others: Vec<_> = OWN.iter().filter(is_other).collect();
    if others.is_empty() {
        return Finding::ok(CHECK, "the machine's own");
    }
    let join = |words: Vec<&str>, between: &str| words.join(between);
    Finding::ok(
        CHECK,
        format!("others than the machine's: {}", join(others.iter().map(|one| one.0).collect(), ", ")),
    )
    .means(join(others.iter().map(|one| one.2).collect(), "; "))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::made_up::MadeUp;
    use super::*;

    #[test]
    fn an_old_kernel_lacks_something() {
        let of = |release: &str| {
            version(&MadeUp::new(&[("/proc/sys/kernel/osrelease", &format!("{release}\n"))]).0)
        };
        assert_eq!(of("6.18.44-x").level, Level::Ok);
        assert_eq!(of("5.16.0").level, Level::Ok);
        let said = of("5.15.0-91-generic");
        assert!(
            said.level == Level::Warning && said.means == format!("it has no {}", FEATURES[4].1),
            "{said:?}"
        );
        assert_eq!(of("3.15.1").means.matches("; no ").count(), 3);
        assert_eq!((of("3.14.0").level, of("2.6.32").level), (Level::Problem, Level::Problem));
        assert_eq!(of("new").level, Level::Warning);
    }

    #[test]
    fn a_slow_clock_is_told_with_a_better_one() {
        const AT: &str = "/sys/devices/system/clocksource/clocksource0";
        let of = |current: &str, available: &str, cost| {
            let files = [
                (format!("{AT}/current_clocksource"), current),
                (format!("{AT}/available_clocksource"), available),
            ];
            clock(&MadeUp::new(&files.each_ref().map(|(path, text)| (&**path, *text))).0, cost)
        };
        assert_eq!(of("tsc\n", "tsc hpet acpi_pm \n", 25.0).level, Level::Ok);
        let said = of("hpet\n", "tsc hpet acpi_pm \n", 1500.0);
        assert!(said.level == Level::Warning && said.remedy.starts_with("echo tsc > /sys"), "{said:?}");
        assert!(said.found.contains("1500 ns"), "{said:?}");
        let said = of("acpi_pm\n", "hpet acpi_pm\n", 1500.0);
        assert!(said.level == Level::Warning && said.remedy.contains("dmesg"), "{said:?}");
        assert_eq!(of("tsc\n", "tsc\n", 900.0).level, Level::Warning, "it is slow whatever it is called");
        assert_eq!(clock(&MadeUp::new(&[]).0, 25.0).level, Level::Warning);
    }

    #[test]
    fn processors_that_save_power_are_told() {
        const FIRST: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        const SECOND: &str = "/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor";
        const DRIVER: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver";
        let of = |files: &[(&str, &str)]| governor(&MadeUp::new(files).0);
        assert_eq!(of(&[("/sys/devices/system/cpu/cpu0/x", "")]).level, Level::Ok, "a virtual machine");
        let said = of(&[
            (FIRST, "performance\n"),
            (SECOND, "schedutil\n"),
            ("/sys/devices/system/cpu/cpufreq/x", ""),
        ]);
        assert!(said.level == Level::Ok && said.found == "2, governed by performance, schedutil", "{said:?}");
        assert_eq!(of(&[(FIRST, "performance\n"), (SECOND, "powersave\n")]).level, Level::Warning);
        assert_eq!(of(&[(FIRST, "powersave\n"), (DRIVER, "intel_pstate\n")]).level, Level::Ok);
    }

    #[test]
    fn huge_pages_that_are_used_up_are_told() {
        let of = |total, free| {
            let memory = format!(
                "MemTotal: 1 kB\nHugePages_Total:  {total}\nHugePages_Free:  {free}\nHugepagesize:  2048 kB\n"
            );
            let shmem = "always within_size advise [never] deny force\n";
            let at = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
            huge_pages(&MadeUp::new(&[("/proc/meminfo", &memory), (at, shmem)]).0)
        };
        let said = of(0, 0);
        assert!(
            said.level == Level::Ok && said.found.ends_with(": never") && said.found.contains("2 MiB"),
            "{said:?}"
        );
        assert_eq!(of(4, 1).level, Level::Ok);
        let said = of(4, 0);
        assert_eq!((said.level, &*said.remedy), (Level::Warning, "sysctl vm.nr_hugepages=8"));
    }

    #[test]
    fn segments_run_out() {
        let of = |largest: &str, pages: &str, used: usize| {
            system_v(
                &MadeUp::new(&[
                    ("/proc/sys/kernel/shmmax", largest),
                    ("/proc/sys/kernel/shmall", pages),
                    ("/proc/sys/kernel/shmmni", "20"),
                    ("/proc/sysvipc/shm", &"a line\n".repeat(used + 1)),
                ])
                .0,
            )
        };
        const ANY: &str = "18446744073692774399\n";
        assert_eq!(of(ANY, ANY, 0).level, Level::Ok);
        assert_eq!(of(ANY, ANY, 17).level, Level::Ok);
        assert_eq!(of(ANY, ANY, 18).level, Level::Warning);
        assert_eq!(of(ANY, ANY, 20).level, Level::Problem);
        let said = of("33554432", "2097152", 0);
        assert!(
            said.level == Level::Warning && said.found.contains("one of 32 MiB, all of 8 GiB"),
            "{said:?}"
        );
        assert_eq!(of(ANY, "100", 0).level, Level::Warning);
        assert_eq!(system_v(&MadeUp::new(&[]).0).level, Level::Ok);
    }

    #[test]
    fn a_container_is_told() {
        let of = |pid: &str, ipc: &str, user: &str| {
            let made = MadeUp::new(&[]);
            for (kind, number) in [("pid", pid), ("ipc", ipc), ("user", user)] {
                made.link(&format!("/proc/self/ns/{kind}"), &format!("{kind}:[{number}]"));
            }
            namespaces(&made.0)
        };
        assert_eq!(of("4026531836", "4026531839", "4026531837").found, "the machine's own");
        let said = of("4026532555", "4026532556", "4026531837");
        assert!(
            said.level == Level::Ok && said.found.ends_with(": pid, ipc") && said.means.contains("--ipc="),
            "{said:?}"
        );
        assert!(of("4026531836", "4026531839", "1").found.ends_with(": user"));
    }
}
