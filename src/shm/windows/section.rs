//! Sections: memory of the page file under a name, or a file's, that processes map. One is there, and found by its name,
//! while anybody has it open.

#![allow(unsafe_code)]

use super::owner::{self, User};
use super::{Error as _, done, handle, wide};
use core::fmt::Write as _;
use core::ptr::{null, null_mut};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, GetLastError, HANDLE, INVALID_HANDLE_VALUE, LocalFree,
    SetLastError,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem::READ_CONTROL;
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, GetLargePageMinimum, OpenFileMappingW,
    PAGE_PROTECTION_FLAGS, PAGE_READONLY, PAGE_READWRITE, SEC_COMMIT, SEC_LARGE_PAGES,
};

/// Memory that can be mapped.
#[derive(Debug)]
pub(crate) struct Section(OwnedHandle);

impl Section {
    /// The name of the section of the stream of that instance: for this session's processes, or for all.
    pub(crate) fn name(instance: &[u8; 16], global: bool) -> String {
        let mut name = String::from(if global { r"Global\annulus-" } else { r"Local\annulus-" });
        for byte in instance {
            let _ = write!(name, "{byte:02x}"); // to a text it cannot fail
        }
        name
    }

    /// Makes a section of `bytes` zeroes of the page file, if nothing has that name.
    pub(crate) fn create(
        name: Option<&OsStr>,
        bytes: u64,
        rights: Option<&Rights>,
        large: bool,
    ) -> io::Result<Self> {
        let rights = rights.map_or(null(), |rights| &raw const rights.0);
        let protection = PAGE_READWRITE | if large { SEC_COMMIT | SEC_LARGE_PAGES } else { 0 };
        let name = name.map(wide);
        let name = name.as_ref().map_or(null(), |name| name.as_ptr());
        // SAFETY: the last error is this thread's own. A call that succeeds need not store it.
        unsafe { SetLastError(0) };
        let section = Self::make(INVALID_HANDLE_VALUE, rights, protection, bytes, name);
        // SAFETY: as above.
        let taken = unsafe { GetLastError() } == ERROR_ALREADY_EXISTS;
        match section {
            Ok(_) if taken => Err(io::ErrorKind::AlreadyExists.into()),
            other => other.map(Self),
        }
    }

    /// As [`create`](Self::create), of a stream. One that is to be `shared`, and so belongs to that user, all users may read.
    pub(crate) fn of_stream(name: &str, bytes: u64, shared: Option<&User>) -> io::Result<Self> {
        let rights = shared.map(Rights::readable).transpose()?;
        match Self::create(Some(name.as_ref()), bytes, rights.as_ref(), false) {
            Err(error) if error.is(ERROR_ACCESS_DENIED) && shared.is_some() => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "Windows lets only services and administrators make memory that all sessions find",
            )),
            made => made,
        }
    }

    /// Opens the section of that name, to write to it if that is allowed.
    pub(crate) fn open(name: &str) -> io::Result<Self> {
        match Self::open_to(name.as_ref(), false) {
            Err(error) if error.is(ERROR_ACCESS_DENIED) => Self::open_to(name.as_ref(), true),
            opened => opened,
        }
    }

    /// Opens the section of that name, to look only or to write to it.
    pub(crate) fn open_to(name: &OsStr, read_only: bool) -> io::Result<Self> {
        let access = if read_only { FILE_MAP_READ } else { FILE_MAP_READ | FILE_MAP_WRITE };
        let open = |access| {
            // SAFETY: the name is terminated, and lives through the call.
            let opened = unsafe { OpenFileMappingW(access, 0, wide(name).as_ptr()) };
            if opened.is_null() { Err(io::Error::last_os_error()) } else { Ok(opened) }
        };
        // Whose it is, is asked later; not everybody may.
        let opened = match open(access | READ_CONTROL) {
            Err(error) if error.is(ERROR_ACCESS_DENIED) => open(access)?,
            other => other?,
        };
        // SAFETY: it was opened here, and is nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(opened) }))
    }

    /// What somebody passed.
    pub(crate) fn of_handle(handle: OwnedHandle) -> Self {
        Self(handle)
    }

    /// The whole of a file.
    pub(crate) fn of_file(file: &File, read_only: bool) -> io::Result<Self> {
        let protection = if read_only { PAGE_READONLY } else { PAGE_READWRITE };
        Self::make(file.as_raw_handle(), null(), protection, 0, null()).map(Self)
    }

    fn make(
        file: HANDLE,
        rights: *const SECURITY_ATTRIBUTES,
        protection: PAGE_PROTECTION_FLAGS,
        bytes: u64,
        name: *const u16,
    ) -> io::Result<OwnedHandle> {
        // SAFETY: the file, if there is one, is open; the rights and the name, if there are any, live through the call.
        let made =
            unsafe { CreateFileMappingW(file, rights, protection, (bytes >> 32) as u32, bytes as u32, name) };
        if made.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was made here, and is nobody else's.
        Ok(unsafe { OwnedHandle::from_raw_handle(made) })
    }

    pub(super) fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }

    pub(super) fn handle(&self) -> HANDLE {
        handle(&self.0)
    }

    /// Whose it is; `None` where the system does not say (Wine).
    pub(crate) fn owner(&self) -> io::Result<Option<User>> {
        owner::of_section(&self.0)
    }
}

/// The size of large pages; `None` if the processor has none.
pub(super) fn large_page_bytes() -> Option<u64> {
    // SAFETY: the call takes nothing.
    match unsafe { GetLargePageMinimum() } {
        0 => None,
        bytes => Some(bytes as u64),
    }
}

/// That its maker has all rights, and that all users may read.
pub(crate) struct Rights(SECURITY_ATTRIBUTES);

impl Rights {
    fn readable(owner: &User) -> io::Result<Self> {
        let (owner, me) = (owner.identity()?, User::me()?.identity()?);
        let text = wide(format!("O:{owner}D:(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{me})(A;;GR;;;AU)"));
        let mut descriptor = null_mut();
        // SAFETY: the text is terminated, and the result lives through the call.
        done(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        }))
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // SAFETY: the system allocated it for us; it is freed once, here.
        unsafe { LocalFree(self.0.lpSecurityDescriptor) };
    }
}
