//! The clocks, and which boot this is.

#![allow(unsafe_code)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of the monotonic clock: the same in every process of this machine since it booted, never set
/// back. It is what LSL's `local_clock` counts.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result lives through the call. CLOCK_MONOTONIC always exists, so it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of UTC since 1970.
pub(crate) fn utc_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN + 1, |ns| -ns),
    }
}

/// The inverse of [`utc_ns`].
pub(crate) fn system_time(utc_ns: i64) -> Option<SystemTime> {
    let distance = core::time::Duration::from_nanos(utc_ns.unsigned_abs());
    if utc_ns >= 0 { UNIX_EPOCH.checked_add(distance) } else { UNIX_EPOCH.checked_sub(distance) }
}

/// The kernel's random name for this boot; zeroes where it has none.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    id
}
