//! How each system call can fail.

use super::support::trace::Traced;
use libc::{
    EACCES, EAGAIN, EBUSY, EEXIST, EFBIG, EINTR, EINVAL, EIO, ELOOP, EMFILE, ENFILE, ENODEV, ENOENT, ENOLCK,
    ENOMEM, ENOSPC, ENOSYS, ENOTEMPTY, EOPNOTSUPP, EPERM, EROFS, ETIMEDOUT,
};
use std::fmt;

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails.
    Once(i32),
    /// It fails, and so does each one of its number after it that can fail so: for ever, or, where a kernel would not,
    /// many times.
    Ever(i32),
    /// It reads or writes one byte only.
    Short,
}

/// A system call, as far as it matters how it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: i64,
    arguments: [u64; 4],
    /// Of a lock: its kind, and the byte.
    lock: Option<(i32, u64)>,
}

/// The gate's byte (docs/layout.md).
pub(crate) const GATE: u64 = 1 << 41;
/// That of the first seat.
pub(crate) const SEATS: u64 = 1 << 40;

impl Call {
    /// The one at whose beginning `victim` is.
    pub(crate) fn of(victim: &Traced) -> Self {
        let arguments = [0, 1, 2, 3].map(|which| victim.argument(which));
        let lock = (victim.call() == libc::SYS_fcntl && Self::locks(arguments[1])).then(|| {
            let kind = victim.word(arguments[2]) as i16;
            (kind.into(), victim.word(arguments[2] + 8))
        });
        Self { number: victim.call(), arguments, lock }
    }

    fn locks(command: u64) -> bool {
        [libc::F_OFD_SETLK, libc::F_OFD_GETLK].contains(&(command as i32))
    }

    /// How it can fail.
    pub(crate) fn errors(&self) -> &'static [i32] {
        let [first, second, third, fourth] = self.arguments;
        let empty_path = libc::AT_EMPTY_PATH as u64;
        match self.number {
            libc::SYS_openat if third & libc::O_TMPFILE as u64 == libc::O_TMPFILE as u64 => {
                &[EMFILE, ENFILE, ENOMEM, EACCES, EINTR, ENOSPC, EOPNOTSUPP, ENOENT, EROFS]
            }
            // Nobody waits there for a device.
            libc::SYS_openat if third & libc::O_DIRECTORY as u64 != 0 => {
                &[EMFILE, ENFILE, ENOMEM, EACCES, ENOENT]
            }
            libc::SYS_openat => &[EMFILE, ENFILE, ENOMEM, EACCES, EINTR, ELOOP, ENOENT],
            libc::SYS_fallocate => &[ENOSPC, EINTR, ENOMEM, EOPNOTSUPP, EFBIG],
            libc::SYS_linkat => &[EEXIST, ENOSPC, EACCES, EPERM, ENOENT, EROFS],
            libc::SYS_mmap => &[ENOMEM, EAGAIN],
            libc::SYS_mprotect => &[ENOMEM],
            libc::SYS_madvise => &[EINVAL, ENOMEM, EAGAIN],
            libc::SYS_fcntl => match (second as i32, self.lock) {
                (libc::F_OFD_SETLK, Some((libc::F_UNLCK, _))) => &[ENOLCK, EINTR],
                (libc::F_OFD_SETLK, _) => &[ENOLCK, EINTR, EAGAIN, EINVAL],
                (libc::F_OFD_GETLK, _) => &[ENOMEM, EINTR, EINVAL],
                _ => &[],
            },
            // Of what is open: only memory can be missing.
            libc::SYS_statx if third & empty_path != 0 => &[ENOMEM],
            libc::SYS_newfstatat if fourth & empty_path != 0 => &[ENOMEM],
            libc::SYS_statx | libc::SYS_newfstatat => &[ENOMEM, EACCES, ENOENT, ELOOP],
            libc::SYS_fstatfs => &[ENOMEM, EIO, ENOSYS],
            libc::SYS_read | libc::SYS_pread64 => &[EIO, EINTR],
            libc::SYS_pwrite64 => &[EIO, EINTR, ENOSPC],
            libc::SYS_getdents64 => &[ENOMEM, EIO, ENOENT],
            // The standard library's own: without it nothing works.
            libc::SYS_futex if second & libc::FUTEX_PRIVATE_FLAG as u64 != 0 => &[],
            libc::SYS_futex if second & 0x7F == libc::FUTEX_WAKE as u64 => &[ENOSYS, EINVAL],
            libc::SYS_futex => &[EINTR, EAGAIN, ETIMEDOUT, ENOSYS, EINVAL],
            libc::SYS_futex_waitv => &[EINTR, EAGAIN, ETIMEDOUT, ENOSYS, EINVAL, ENOMEM],
            libc::SYS_membarrier => &[ENOSYS, EPERM, EINVAL],
            libc::SYS_fchmod | libc::SYS_fchown => &[EPERM, EROFS, EIO],
            libc::SYS_unlink | libc::SYS_unlinkat => &[EACCES, EBUSY, ENOENT, EPERM, EROFS],
            libc::SYS_mkdir => &[EACCES, ENOSPC, EEXIST, EROFS, ENOMEM],
            libc::SYS_rmdir => &[EACCES, EBUSY, ENOTEMPTY, EPERM],
            libc::SYS_getrandom => &[ENOSYS, EINTR],
            libc::SYS_clone3 | libc::SYS_clone => &[EAGAIN, ENOMEM, EPERM],
            libc::SYS_eventfd2 => &[EMFILE, ENFILE, ENOMEM, ENODEV],
            libc::SYS_clock_nanosleep if first == libc::CLOCK_MONOTONIC as u64 || first == 0 => &[EINTR],
            _ => &[],
        }
    }

    /// All that can happen to it.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let errors = self.errors().iter().copied();
        let mut all: Vec<Fault> = errors.clone().map(Fault::Once).collect();
        all.extend(errors.filter(|error| self.lasts(*error)).map(Fault::Ever));
        if matches!(self.number, libc::SYS_read | libc::SYS_pread64 | libc::SYS_pwrite64) {
            all.push(Fault::Short);
        }
        all
    }

    /// Whether a kernel may say so again and again.
    fn lasts(&self, error: i32) -> bool {
        match error {
            // Somebody stands in the gate. (One who holds a seat would be found when asked for.)
            EAGAIN if self.number == libc::SYS_fcntl => self.is_at_gate(),
            // Then there is something, or nothing, and others would find that, too.
            EEXIST | ENOENT | ELOOP | ETIMEDOUT => false,
            EAGAIN => !matches!(self.number, libc::SYS_futex | libc::SYS_futex_waitv),
            _ => true,
        }
    }

    fn is_at_gate(&self) -> bool {
        self.lock.is_some_and(|(_, byte)| byte == GATE)
    }

    /// Whether it is the same system call, and as likely to fail: how often the standard library's own locks are waited for
    /// differs from run to run.
    pub(crate) fn is_such(&self, other: &Self) -> bool {
        self.number == other.number && self.errors().is_empty() == other.errors().is_empty()
    }

    /// Whether `error`, which lasts since it happened to `first`, happens to this one, too.
    pub(crate) fn shares(&self, first: &Self, error: i32) -> bool {
        self.number == first.number && self.errors().contains(&error) && self.lasts(error)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.number {
            libc::SYS_openat => "openat",
            libc::SYS_fallocate => "fallocate",
            libc::SYS_linkat => "linkat",
            libc::SYS_mmap => "mmap",
            libc::SYS_mprotect => "mprotect",
            libc::SYS_madvise => "madvise",
            libc::SYS_fcntl => "fcntl",
            libc::SYS_statx => "statx",
            libc::SYS_newfstatat => "newfstatat",
            libc::SYS_fstatfs => "fstatfs",
            libc::SYS_read => "read",
            libc::SYS_pread64 => "pread64",
            libc::SYS_pwrite64 => "pwrite64",
            libc::SYS_getdents64 => "getdents64",
            libc::SYS_futex => "futex",
            libc::SYS_futex_waitv => "futex_waitv",
            libc::SYS_membarrier => "membarrier",
            libc::SYS_fchmod => "fchmod",
            libc::SYS_fchown => "fchown",
            libc::SYS_unlink => "unlink",
            libc::SYS_unlinkat => "unlinkat",
            libc::SYS_mkdir => "mkdir",
            libc::SYS_rmdir => "rmdir",
            libc::SYS_getrandom => "getrandom",
            libc::SYS_clone3 => "clone3",
            libc::SYS_eventfd2 => "eventfd2",
            libc::SYS_clock_nanosleep => "clock_nanosleep",
            other => return write!(f, "system call {other}"),
        };
        f.write_str(name)?;
        match self.lock {
            Some((kind, byte)) => write!(f, "(lock {kind} of byte {byte:#x})"),
            None => Ok(()),
        }
    }
}
