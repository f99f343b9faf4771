//! The clocks, and which boot this is.

#![allow(unsafe_code)]

#[cfg(not(all(loom, test)))]
use crate::sync::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(all(loom, test)))]
use crate::sync::{AtomicBool, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
/// What the C++ library there calls steady, and so LSL; the other one is adjusted.
#[cfg(target_os = "macos")]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC_RAW;

/// Nanoseconds of the monotonic clock: the same in every process of this machine since it booted, never set
/// back. It is what LSL's `local_clock` counts.
pub fn monotonic_ns() -> u64 {
    now()
}

#[cfg(unix)]
fn now() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result lives through the call. The clock always exists, so it cannot fail.
    unsafe { libc::clock_gettime(CLOCK, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The performance counter, of which 2^64 nanoseconds last 584 years.
#[cfg(windows)]
fn now() -> u64 {
    use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
    let (mut ticks, mut a_second) = (0, 1);
    // SAFETY: the results live through the calls, which cannot fail.
    unsafe {
        QueryPerformanceCounter(&raw mut ticks);
        QueryPerformanceFrequency(&raw mut a_second);
    }
    (ticks as u128 * 1_000_000_000 / (a_second as u128).max(1)) as u64
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

/// The kernel's random name for this boot; zeroes where it has none. Asked for once: a process lives in one boot. (Without a
/// lock, which a thread could hold that a child made by `fork` does not have.)
#[cfg(not(all(loom, test)))]
pub(crate) fn boot_id() -> [u8; 16] {
    static KNOWN: AtomicBool = AtomicBool::new(false);
    static HALVES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let mut id = [0; 16];
    if KNOWN.load(Acquire) {
        for (bytes, half) in id.chunks_exact_mut(8).zip(&HALVES) {
            bytes.copy_from_slice(&half.load(Relaxed).to_le_bytes());
        }
        return id;
    }
    id = ask_boot_id();
    if id == [0; 16] {
        return id; // another thread may have had more luck
    }
    for (bytes, half) in id.chunks_exact(8).zip(&HALVES) {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        half.store(u64::from_le_bytes(eight), Relaxed);
    }
    KNOWN.store(true, Release);
    id
}

#[cfg(all(loom, test))]
pub(crate) fn boot_id() -> [u8; 16] {
    ask_boot_id()
}

fn ask_boot_id() -> [u8; 16] {
    let text = boot_name();
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    id
}

#[cfg(target_os = "linux")]
fn boot_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

#[cfg(target_os = "macos")]
fn boot_name() -> String {
    let (mut text, mut length) = ([0; 64], 64);
    let name = c"kern.bootsessionuuid";
    // SAFETY: the name is terminated; the result has room for `length` bytes and lives through the call.
    let done = unsafe {
        libc::sysctlbyname(name.as_ptr(), text.as_mut_ptr().cast(), &raw mut length, core::ptr::null_mut(), 0)
    };
    let text = core::ffi::CStr::from_bytes_until_nul(&text).unwrap_or_default();
    if done == 0 { text.to_string_lossy().into_owned() } else { String::new() }
}

/// It has none that one could ask for.
#[cfg(windows)]
fn boot_name() -> String {
    String::new()
}
