//! What a page is.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

/// What offsets and addresses of mappings are multiples of.
pub(crate) fn granule() -> usize {
    system_info().dwAllocationGranularity as usize
}

/// How much is mapped of so many bytes: nothing behind the end of an object.
pub(crate) fn whole(bytes: u64, _: u64) -> u64 {
    bytes
}

/// The system's page size: what it protects at once. Views begin at multiples of more than that.
pub(crate) fn page_bytes() -> usize {
    system_info().dwPageSize as usize
}

fn system_info() -> SYSTEM_INFO {
    let mut info = MaybeUninit::<SYSTEM_INFO>::uninit();
    // SAFETY: the result has room for the answer, and the call cannot fail.
    unsafe {
        GetSystemInfo(info.as_mut_ptr());
        info.assume_init()
    }
}
