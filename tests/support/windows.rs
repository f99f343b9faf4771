//! What Windows has in its own way.

#![allow(unsafe_code, reason = "Windows' calls have no safe form")]

use super::{Lock, Place};
use std::fs;
use std::os::windows::fs::FileExt;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::path::Path;
use std::process::Child;
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_BASIC_INFORMATION, MapViewOfFile,
    OpenFileMappingW, PAGE_READWRITE, VirtualQuery,
};
use windows_sys::Win32::System::Threading::WaitForSingleObject;

/// The directory for temporary files will do.
pub const MEMORY: &str = "";

pub fn make_private(path: &Path) {
    fs::create_dir(path).unwrap();
}

/// It goes with those who have it open.
pub fn remove_memory(_: &Place) {}

/// Places a lock on a byte of an object. False: another one is in its way.
pub fn lock(object: &fs::File, kind: Lock, byte: i64) -> bool {
    let flags = match kind {
        Lock::Shared | Lock::None => LOCKFILE_FAIL_IMMEDIATELY,
        Lock::Exclusive => LOCKFILE_FAIL_IMMEDIATELY | LOCKFILE_EXCLUSIVE_LOCK,
    };
    let at = OVERLAPPED_0_0 { Offset: byte as u32, OffsetHigh: (byte >> 32) as u32 };
    let mut at = OVERLAPPED {
        Internal: 0,
        InternalHigh: 0,
        Anonymous: OVERLAPPED_0 { Anonymous: at },
        hEvent: null_mut(),
    };
    // SAFETY: the handle is open, and the place lives through the call.
    let done = unsafe {
        match kind {
            Lock::None => UnlockFileEx(object.as_raw_handle(), 0, 1, 0, &raw mut at),
            _ => LockFileEx(object.as_raw_handle(), flags, 0, 1, 0, &raw mut at),
        }
    };
    done != 0
}

/// Which of them are signalled, when the first is, or `timeout` has passed.
pub fn readable(events: &[&dyn AsHandle], timeout: Duration) -> Vec<bool> {
    let until = Instant::now() + timeout;
    loop {
        // SAFETY: the handle is open. One after the other: there may be more than one can wait for at once.
        let is_set = |event: &&dyn AsHandle| unsafe { WaitForSingleObject(event.as_handle().as_raw_handle(), 0) } == WAIT_OBJECT_0;
        let set: Vec<bool> = events.iter().map(is_set).collect();
        if set.contains(&true) || Instant::now() >= until {
            return set;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The memory of an object, without annulus' streams.
pub enum Memory {
    File(fs::File),
    /// Mapped, and never unmapped.
    Section(*mut u8, usize),
}

impl Memory {
    pub fn of(object: &Path) -> Self {
        let bytes = fs::read(object).unwrap();
        let Some(text) = bytes.strip_prefix(b"annulus>").map(|_| &bytes[0x40..]) else {
            return Self::File(fs::File::options().read(true).write(true).open(object).unwrap());
        };
        let name: Vec<u16> =
            text.iter().take_while(|byte| **byte != 0).map(|byte| u16::from(*byte)).chain([0]).collect();
        let access = FILE_MAP_READ | FILE_MAP_WRITE;
        // SAFETY: the name is terminated; a new mapping touches nothing that exists, and says itself how long it is.
        unsafe {
            let section = OpenFileMappingW(access, 0, name.as_ptr());
            assert!(!section.is_null(), "{}", std::io::Error::last_os_error());
            let at = MapViewOfFile(section, access, 0, 0, 0).Value;
            assert!(!at.is_null(), "{}", std::io::Error::last_os_error());
            let mut found = MEMORY_BASIC_INFORMATION::default();
            assert_ne!(VirtualQuery(at, &raw mut found, size_of_val(&found)), 0);
            windows_sys::Win32::Foundation::CloseHandle(section);
            Self::Section(at.cast(), found.RegionSize)
        }
    }

    pub fn read(&self, out: &mut [u8], at: u64) {
        match self {
            Self::File(file) => assert_eq!(file.seek_read(out, at).unwrap(), out.len()),
            Self::Section(base, bytes) => {
                assert!(at as usize + out.len() <= *bytes);
                // SAFETY: so many bytes are mapped there; the tests store to them at other times.
                unsafe { base.add(at as usize).copy_to(out.as_mut_ptr(), out.len()) };
            }
        }
    }

    pub fn write(&self, bytes: &[u8], at: u64) {
        match self {
            Self::File(file) => assert_eq!(file.seek_write(bytes, at).unwrap(), bytes.len()),
            Self::Section(base, mapped) => {
                assert!(at as usize + bytes.len() <= *mapped);
                // SAFETY: as in `read`.
                unsafe { base.add(at as usize).copy_from(bytes.as_ptr(), bytes.len()) };
            }
        }
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::File(file) => file.metadata().unwrap().len() as usize,
            Self::Section(_, bytes) => *bytes,
        };
        let mut all = vec![0; bytes];
        self.read(&mut all, 0);
        all
    }

    pub fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        self.read(&mut word, at);
        u64::from_le_bytes(word)
    }
}

/// A file that several processes map: zeros, at first. It stays mapped.
///
/// # Safety
/// `T` is made of atomics only, and zeros are one of its values.
pub unsafe fn map_shared<T>(path: &Path) -> &'static T {
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
    // SAFETY: a new mapping of a file that is made as long, never unmapped; the rest the caller says.
    unsafe {
        let section = CreateFileMappingW(
            file.as_raw_handle(),
            null(),
            PAGE_READWRITE,
            0,
            size_of::<T>() as u32,
            null(),
        );
        assert!(!section.is_null(), "{}", std::io::Error::last_os_error());
        let at = MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0).Value;
        assert!(!at.is_null(), "{}", std::io::Error::last_os_error());
        &*at.cast::<T>()
    }
}

// As debuggers stop a process.
#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> i32;
    fn NtResumeProcess(process: HANDLE) -> i32;
}

pub fn stop(child: &Child) {
    // SAFETY: the handle is open.
    assert_eq!(unsafe { NtSuspendProcess(child.as_raw_handle()) }, 0);
}

pub fn go_on(child: &Child) {
    // SAFETY: the handle is open.
    assert_eq!(unsafe { NtResumeProcess(child.as_raw_handle()) }, 0);
}
