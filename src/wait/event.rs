//! The system's part of telling an event loop, and of a thread that is nobody's business.

#[cfg(target_os = "linux")]
mod eventfd;
#[cfg(windows)]
mod handle;
#[cfg(not(any(target_os = "linux", windows)))]
mod pipe;

#[cfg(target_os = "linux")]
pub(crate) use eventfd::Flag;
#[cfg(windows)]
pub(crate) use handle::Flag;
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) use pipe::Flag;

/// Keeps signals away from the calling thread: they are for the program's own.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(crate) fn take_no_signals() {
    // SAFETY: the set lives through the calls, which only store to it and read it.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// There are none.
#[cfg(windows)]
pub(crate) fn take_no_signals() {}
