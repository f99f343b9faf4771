//! What the account may have.

use super::{Finding, Machine, bytes};

/// Bits of a process' effective capabilities.
const IPC_LOCK: u32 = 14;
const SYS_NICE: u32 = 23;

/// Below these one soon gets to the limit.
const LOCKED: u64 = 64 << 20;
const DESCRIPTORS: u64 = 1024;

/// A soft limit of this process; `None`: there is none.
fn limit(machine: &Machine, name: &str) -> Option<u64> {
    let limits = machine.read("/proc/self/limits")?;
    let values = limits.lines().find_map(|line| line.strip_prefix(name))?;
    values.split_whitespace().next()?.parse().ok()
}

fn may(machine: &Machine, capability: u32) -> bool {
    let status = machine.read("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) >> capability & 1 == 1
}

pub(super) fn locked(machine: &Machine) -> Finding {
    const CHECK: &str = "locked memory";
    if may(machine, IPC_LOCK) {
        return Finding::ok(CHECK, "no limit (CAP_IPC_LOCK)");
    }
    let Some(most) = limit(machine, "Max locked memory") else { return Finding::ok(CHECK, "no limit") };
    let found = format!("up to {} may be locked (RLIMIT_MEMLOCK)", bytes(most));
    if most >= LOCKED {
        return Finding::ok(CHECK, found);
    }
    Finding::warning(CHECK, found)
        .means("mlock of a larger mapping fails; what is not locked may be swapped out")
        .remedy("a line '* - memlock unlimited' in /etc/security/limits.d/annulus.conf, and log in again; LimitMEMLOCK=infinity in a unit; docker run --ulimit memlock=-1")
}

pub(super) fn real_time(machine: &Machine) -> Finding {
    const CHECK: &str = "real time";
    if may(machine, SYS_NICE) {
        return Finding::ok(CHECK, "all priorities (CAP_SYS_NICE)");
    }
    let (priority, nice) = (limit(machine, "Max realtime priority"), limit(machine, "Max nice priority"));
    let nice = nice.map_or_else(
        || "any nice value".to_owned(),
        |nice| format!("nice down to {}", 20 - nice.min(40) as i64),
    );
    match priority {
        Some(0) => Finding::warning(CHECK, format!("none (RLIMIT_RTPRIO 0); {nice}"))
            .means("an acquisition cannot be scheduled before all else (SCHED_FIFO): under load it may come too late for its device")
            .remedy("a line '@audio - rtprio 90' in /etc/security/limits.d/annulus.conf, with a group of yours, and log in again; LimitRTPRIO=90 in a unit; docker run --ulimit rtprio=90 --cap-add SYS_NICE"),
        priority => {
            let most = priority.map_or_else(|| "all".to_owned(), |most| format!("up to {most}"));
            Finding::ok(CHECK, format!("priorities: {most} (RLIMIT_RTPRIO); {nice}"))
        }
    }
}

pub(super) fn descriptors(machine: &Machine) -> Finding {
    const CHECK: &str = "descriptors";
    let Some(most) = limit(machine, "Max open files") else { return Finding::ok(CHECK, "no limit") };
    let found = format!("{most} in a process (RLIMIT_NOFILE)");
    if most >= DESCRIPTORS {
        return Finding::ok(CHECK, found);
    }
    Finding::warning(CHECK, found)
        .means("each handle of a stream takes two or three")
        .remedy("ulimit -n 4096; LimitNOFILE=4096 in a unit")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::made_up::MadeUp;
    use super::*;

    fn made(limits: &str, capabilities: u64) -> MadeUp {
        let head = "Limit                     Soft Limit           Hard Limit           Units     \n";
        let status = format!("Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t{capabilities:016x}\n");
        MadeUp::new(&[("/proc/self/limits", &format!("{head}{limits}\n")), ("/proc/self/status", &status)])
    }

    #[test]
    fn what_may_be_locked() {
        let of = |soft: &str, capabilities| {
            locked(
                &made(
                    &format!("Max locked memory         {soft}  unlimited            bytes     "),
                    capabilities,
                )
                .0,
            )
        };
        let said = of("8388608", 0);
        assert!(said.level == Level::Warning && said.found.contains("8 MiB"), "{said:?}");
        assert_eq!(of("8388608", 1 << IPC_LOCK).level, Level::Ok);
        assert_eq!(of("8388608", 1 << SYS_NICE).level, Level::Warning);
        assert_eq!(of("67108864", 0).level, Level::Ok);
        assert_eq!(of("unlimited", 0).level, Level::Ok);
    }

    #[test]
    fn which_priorities_there_are() {
        let of = |priority: &str, nice: &str, capabilities| {
            let nice = format!("Max nice priority         {nice}  0                    ");
            real_time(&made(&format!("{nice}\nMax realtime priority     {priority}  0  "), capabilities).0)
        };
        let said = of("0", "0", 0);
        assert!(said.level == Level::Warning && said.found.ends_with("nice down to 20"), "{said:?}");
        assert_eq!(of("0", "0", 1 << SYS_NICE).level, Level::Ok);
        let said = of("90", "30", 0);
        assert!(
            said.level == Level::Ok && said.found.contains("up to 90") && said.found.ends_with("-10"),
            "{said:?}"
        );
        assert_eq!(of("unlimited", "unlimited", 0).level, Level::Ok);
    }

    #[test]
    fn how_many_descriptors() {
        let of = |soft: &str| {
            descriptors(&made(&format!("Max open files            {soft}  20000  files"), 0).0).level
        };
        assert_eq!(of("256"), Level::Warning);
        assert_eq!((of("1024"), of("unlimited")), (Level::Ok, Level::Ok));
    }
}
