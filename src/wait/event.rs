//! The system's part of telling an event loop, and of a thread that is nobody's business.

#[cfg(target_os = "linux")]
mod eventfd;
#[cfg(not(target_os = "linux"))]
mod pipe;

#[cfg(target_os = "linux")]
pub(crate) use eventfd::Flag;
#[cfg(not(target_os = "linux"))]
pub(crate) use pipe::Flag;

use std::ptr;

/// Keeps signals away from the calling thread: they are for the program's own.
#[allow(unsafe_code)]
pub(crate) fn take_no_signals() {
    // SAFETY: the set lives through the calls, which only store to it and read it.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}
