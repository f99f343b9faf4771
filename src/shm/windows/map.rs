//! What a page is.

#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

/// The system's page size: what it protects at once. Views begin at multiples of more than that.
pub(crate) fn page_bytes() -> usize {
    let mut info = MaybeUninit::<SYSTEM_INFO>::uninit();
    // SAFETY: the result has room for the answer, and the call cannot fail.
    let info = unsafe {
        GetSystemInfo(info.as_mut_ptr());
        info.assume_init()
    };
    info.dwPageSize as usize
}
