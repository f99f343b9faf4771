//! Everything that is measured beside the limits, each behind the same few traits.

pub mod annulus;
pub mod cpp;
pub mod crossbeam;
pub mod iceoryx2;
pub mod ipc_channel;
pub mod lsl;
pub mod naive;
pub mod ringfire;
pub mod rtrb;
pub mod shmem_ipc;
pub mod system;

use std::fs;
use std::path::Path;

/// Removes what rivals of runs that were killed have left in /dev/shm and /tmp (see [`unique`](crate::side::unique)).
pub fn sweep() {
    for entry in ["/dev/shm", "/tmp"].into_iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let made_by = name.to_str().and_then(|name| name.strip_prefix("compare-")?.split('-').next());
        if let Some(process) = made_by
            && process.parse::<u32>().is_ok()
            && !Path::new("/proc").join(process).exists()
        {
            let path = entry.path();
            // Another sweep may have been there first.
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Which versions of those are here that are not pinned by Cargo.lock.
pub fn installed() -> String {
    let mut versions = Vec::new();
    #[cfg(boost)]
    versions.push(format!("Boost {}", cpp::version()));
    versions.extend(lsl::version().map(|version| format!("liblsl {version}")));
    versions.join(", ")
}
