//! Whose a file or a section is. What others may do with it is as its directory says: no stream has a group or a mode here.

#![allow(unsafe_code)]

use super::{done, handle, information};
use crate::error::Error;
use crate::shm::directory::{Access, Entry, Scope};
use core::fmt;
use core::ptr::null_mut;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, GetSecurityInfo, SE_FILE_OBJECT, SE_KERNEL_OBJECT, SE_OBJECT_TYPE,
};
use windows_sys::Win32::Security::{
    CopySid, EqualSid, GetLengthSid, GetSidSubAuthority, GetSidSubAuthorityCount, GetTokenInformation,
    IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
    WinBuiltinAdministratorsSid, WinLocalSystemSid,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A user, or a group that owns things as users do.
#[derive(Clone)]
pub(crate) struct User(Vec<u32>);

impl User {
    /// Whose this process is.
    pub(crate) fn me() -> io::Result<Self> {
        let mut token = null_mut();
        // SAFETY: the result lives through the call.
        done(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
        // SAFETY: it was opened here, and is nobody else's.
        let token = unsafe { OwnedHandle::from_raw_handle(token) };
        // More than any user's identity takes; words, so that what is stored there is aligned.
        let (mut found, mut length) = ([0_u64; 32], 0);
        // SAFETY: the result has room for so many bytes.
        done(unsafe {
            GetTokenInformation(
                handle(&token),
                TokenUser,
                found.as_mut_ptr().cast(),
                size_of_val(&found) as u32,
                &raw mut length,
            )
        })?;
        // SAFETY: the call stored a TOKEN_USER, which is plain data, and what its identity points to.
        let sid = unsafe { found.as_ptr().cast::<TOKEN_USER>().read() }.User.Sid;
        // SAFETY: it points into `found`.
        unsafe { Self::copied(sid) }
    }

    /// # Safety
    /// `sid` is a valid identity.
    unsafe fn copied(sid: PSID) -> io::Result<Self> {
        // SAFETY: as the caller says.
        let bytes = unsafe { GetLengthSid(sid) };
        let mut copy = vec![0_u32; (bytes as usize).div_ceil(4)];
        // SAFETY: as the caller says, and there is room for it.
        done(unsafe { CopySid(bytes, copy.as_mut_ptr().cast(), sid) })?;
        Ok(Self(copy))
    }

    fn sid(&self) -> PSID {
        self.0.as_ptr().cast_mut().cast()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        // SAFETY: both are valid identities.
        unsafe { EqualSid(self.sid(), other.sid()) != 0 }
    }

    /// Whether it is this process's user, or an administrator, or the system: what an administrator makes belongs to all
    /// administrators.
    pub(crate) fn is_trusted(&self) -> io::Result<bool> {
        let well_known = [WinBuiltinAdministratorsSid, WinLocalSystemSid];
        // SAFETY: it is a valid identity.
        let is_known = well_known.into_iter().any(|kind| unsafe { IsWellKnownSid(self.sid(), kind) != 0 });
        Ok(is_known || self.is(&Self::me()?))
    }

    /// The last part of the identity: unique on one machine, for messages and listings.
    pub(crate) fn number(&self) -> u32 {
        // SAFETY: it is a valid identity, and has as many parts as it says.
        unsafe {
            let count = u32::from(*GetSidSubAuthorityCount(self.sid()));
            if count == 0 { 0 } else { *GetSidSubAuthority(self.sid(), count - 1) }
        }
    }
}

impl User {
    /// As Windows writes it: `S-1-5-21-...`.
    pub(super) fn identity(&self) -> io::Result<String> {
        let mut text = null_mut();
        // SAFETY: it is a valid identity, and the result lives through the call.
        done(unsafe { ConvertSidToStringSidW(self.sid(), &raw mut text) })?;
        let mut letters = Vec::new();
        // SAFETY: the text is terminated, and is freed once, here.
        unsafe {
            while *text.add(letters.len()) != 0 {
                letters.push(*text.add(letters.len()));
            }
            LocalFree(text.cast());
        }
        Ok(String::from_utf16_lossy(&letters))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity() {
            Ok(identity) => write!(f, "user {identity}"),
            Err(_) => write!(f, "user {}", self.number()),
        }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose a file is.
pub(crate) fn of_file(file: &File) -> io::Result<User> {
    owner(file.as_raw_handle(), SE_FILE_OBJECT)?.ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Whose a section is; `None` where the system does not say (Wine).
pub(super) fn of_section(section: &OwnedHandle) -> io::Result<Option<User>> {
    owner(section.as_raw_handle(), SE_KERNEL_OBJECT)
}

fn owner(of: HANDLE, kind: SE_OBJECT_TYPE) -> io::Result<Option<User>> {
    let (mut owner, mut descriptor) = (null_mut(), null_mut());
    // SAFETY: the handle is open, and the results live through the call.
    let failed = unsafe {
        GetSecurityInfo(
            of,
            kind,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed as i32));
    }
    // SAFETY: the call succeeded, so that the owner lies in the descriptor, which lives until it is freed, once, here.
    unsafe {
        let copied = if owner.is_null() { None } else { Some(User::copied(owner)) };
        LocalFree(descriptor);
        copied.transpose()
    }
}

/// What is known of an open file.
pub(crate) fn entry(file: &File) -> io::Result<Entry> {
    let found = information(file)?;
    let index = u64::from(found.nFileIndexHigh) << 32 | u64::from(found.nFileIndexLow);
    Ok(Entry {
        // What is compared lies in one directory. The volume's number Wine asks for by the name that a file was opened by,
        // which it may have no more.
        object: (0, index),
        owner: of_file(file).map_or(0, |owner| owner.number()),
        group: 0,
        mode: 0,
    })
}

/// This process's user, for messages.
pub(crate) fn effective_uid() -> u32 {
    User::me().map_or(0, |me| me.number())
}

/// Makes a directory that is closed to others, as the user's own is that it lies in.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// Why others may plant or remove objects in a directory; `None` if they may not, as far as its owner tells.
pub(super) fn distrust_directory(directory: &File, scope: Scope) -> io::Result<Option<String>> {
    let owner = of_file(directory)?;
    Ok(match scope {
        _ if owner.is_trusted()? => None,
        Scope::User => Some(format!("it belongs to {owner}, not to you: set ANNULUS_DIR to one of your own")),
        Scope::System => {
            Some(format!("it belongs to {owner}; one that all users share belongs to an administrator"))
        }
    })
}

/// Why an open file may not be taken for one of our objects; `None` if it may.
pub(crate) fn distrust(file: &File, scope: Scope) -> io::Result<Option<String>> {
    let owner = of_file(file)?;
    Ok(if !file.metadata()?.is_file() {
        Some("it is not a regular file".into())
    } else if scope == Scope::User && !owner.is_trusted()? {
        Some(format!("it belongs to {owner}, not to you"))
    } else if information(file)?.nNumberOfLinks > 1 {
        Some("it has a second name (hard link); remove the stream by force to be rid of it".into())
    } else {
        None
    })
}

/// Whether this user may take the name of `object` away.
pub(crate) fn may_unlink(object: &File) -> bool {
    of_file(object).and_then(|owner| owner.is_trusted()).unwrap_or(false)
}

/// What it is to be where nobody said anything.
pub(crate) fn usual(access: Access, _: bool) -> Access {
    access
}

/// Whether that is the access to `object` already.
pub(crate) fn grants(_: &File, access: Access) -> bool {
    access == Access::default()
}

/// There is nothing to be granted.
pub(crate) fn grant(_: &File, access: Access, _: &Path) -> Result<(), Error> {
    match access {
        Access { group: None, mode: None } => Ok(()),
        _ => Err(Error::parameter(
            "a stream has no group and no mode on Windows: one of scope System can be read by all",
        )),
    }
}
