//! Events: what processes sleep on, and wake each other by.

#![allow(unsafe_code)]

use super::{handle, wide};
use core::time::Duration;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects,
};

/// On how many one can sleep at once.
pub(crate) const MOST_EVENTS: usize = 64; // MAXIMUM_WAIT_OBJECTS

/// An event that stays set until it is cleared. It is there while anybody has it open.
#[derive(Debug)]
pub(crate) struct NamedEvent(OwnedHandle);

impl NamedEvent {
    /// Opens the event of that name, or makes it, not set; without a name, a new one.
    pub(crate) fn open(name: Option<&str>) -> io::Result<Self> {
        let name = name.map(wide);
        let name = name.as_ref().map_or(core::ptr::null(), |name| name.as_ptr());
        // SAFETY: the name, if there is one, is terminated, and lives through the call.
        let event = unsafe { CreateEventW(core::ptr::null(), 1, 0, name) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened here, and is nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(event) }))
    }

    /// Wakes all who sleep on it.
    pub(crate) fn set(&self) {
        // SAFETY: the handle is ours. It cannot fail: whoever opens an event may set it.
        unsafe { SetEvent(handle(&self.0)) };
    }

    /// Lets those sleep who come from now on.
    pub(crate) fn clear(&self) {
        // SAFETY: as in `set`.
        unsafe { ResetEvent(handle(&self.0)) };
    }
}

impl AsHandle for NamedEvent {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Sleeps until any of them is set, for `longest` at most. Whether one was.
pub(crate) fn wait_for_any(events: &[&NamedEvent], longest: Duration) -> bool {
    let handles: Vec<_> = events.iter().take(MOST_EVENTS).map(|event| event.0.as_raw_handle()).collect();
    // Rounded up: one who comes back too early sleeps again at once.
    let milliseconds = longest.as_micros().div_ceil(1000);
    let milliseconds = u32::try_from(milliseconds).unwrap_or(INFINITE).min(INFINITE - 1);
    // SAFETY: the handles are open, and stay so through the call.
    let woken = unsafe { WaitForMultipleObjects(handles.len() as u32, handles.as_ptr(), 0, milliseconds) };
    if woken == WAIT_FAILED {
        std::thread::sleep(longest.min(Duration::from_millis(1)));
    }
    woken != WAIT_FAILED && woken != WAIT_TIMEOUT
}
