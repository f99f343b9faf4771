//! Handles with a descriptor, for event loops.

use super::watch::Watch;
use super::waitset::Handle;
use super::{Member, Waitable};
use crate::error::Error;
use crate::ring::ReadError;
use crate::wait::event::Flag;
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, RawHandle};
use std::sync::Arc;

/// A reading handle with a descriptor that `poll`, `epoll`, mio or tokio's `AsyncFd` can wait for. Made by
/// [`Observer::polled`](super::Observer::polled), [`Consumer::polled`](super::Consumer::polled) or
/// [`GroupConsumer::polled`](super::GroupConsumer::polled).
///
/// The descriptor is readable when the stream is ready: when there are as many frames as were asked for, or anything
/// else that ends a blocking read. It stays so until a read comes back with nothing
/// ([`ReadError::Empty`], or [`ReadError::Timeout`]): read until then, as from any descriptor that does not block.
/// Whoever waits for edges (tokio) and whoever asks again and again (`poll`) both are right. It is only to be waited
/// for: its bytes are this library's.
///
/// Everything else is as for the handle inside: this dereferences to it.
///
/// On Windows it is the handle of an event (`AsHandle`), signalled in the place of
/// readable, for `WaitForMultipleObjects` and its like.
///
/// A futex cannot be polled, so one thread of the process sleeps for all of these handles, as a
/// [`WaitSet`](super::WaitSet) would. It is there while it is needed; it wakes once in 100 ms, and whenever one of its
/// streams is due. After `fork` the child's handles are dead, as all are.
///
/// ```
/// use annulus::ReadError;
/// # #[cfg(unix)]
/// use std::os::fd::AsRawFd;
///
/// # #[cfg(windows)]
/// # fn main() {}
/// # #[cfg(unix)]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-polled-{}", std::process::id());
/// # let mut producer = annulus::create(&name).channels([annulus::Channel::new("x")]).producer::<i16>()?;
/// let mut viewer = annulus::open(&name).observer::<i16>()?.polled(20)?;
/// # producer.push(&[7; 25])?;
/// # #[allow(unsafe_code)]
/// # fn poll(fd: i32) { let mut fds = libc::pollfd { fd, events: libc::POLLIN, revents: 0 }; unsafe { libc::poll(&mut fds, 1, -1) }; }
/// poll(viewer.as_raw_fd()); // with whatever else the loop waits for
/// let mut samples = [0; 64];
/// let mut frames = 0;
/// loop {
///     match viewer.try_read(&mut samples) {
///         Ok(read) => frames += read.frames,
///         Err(ReadError::Empty) => break, // now the descriptor tells of the next 20
///         Err(other) => return Err(other.into()),
///     }
/// }
/// assert_eq!(frames, 25);
/// # Ok(()) }
/// ```
pub struct Polled<H> {
    handle: H,
    descriptor: Arc<Flag>,
}

impl<H> Deref for Polled<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.handle
    }
}

impl<H> DerefMut for Polled<H> {
    fn deref_mut(&mut self) -> &mut H {
        &mut self.handle
    }
}

#[cfg(unix)]
impl<H> AsFd for Polled<H> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(unix)]
impl<H> AsRawFd for Polled<H> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(windows)]
impl<H> AsHandle for Polled<H> {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.descriptor.as_handle()
    }
}

#[cfg(windows)]
impl<H> AsRawHandle for Polled<H> {
    fn as_raw_handle(&self) -> RawHandle {
        self.as_handle().as_raw_handle()
    }
}

impl<H: Waitable> Waitable for Polled<H> {
    fn member(&mut self) -> Member<'_> {
        self.handle.member()
    }
}

impl<H: fmt::Debug> fmt::Debug for Polled<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").field("handle", &self.handle).field("descriptor", &self.descriptor).finish()
    }
}

/// The part of it that is in the handle, whose reads keep it going.
#[derive(Debug)]
pub(super) struct Polling {
    watch: Watch,
    frames: u64,
    /// Where the handle was when the watch was armed.
    position: u64,
}

impl Polling {
    /// Gives the handle a descriptor, and has that raised when `frames` frames are there.
    pub(super) fn start<H: Handle>(mut handle: H, frames: u64) -> Result<Polled<H>, Error> {
        let info = handle.stream();
        let failed = |error| Error::os("make a descriptor for", &info.path, error);
        let descriptor = Arc::new(Flag::new().map_err(failed)?);
        if handle.prepare(frames).is_err() {
            let info = handle.stream();
            let what = format!("{frames} frames never fit into a read of '{}': wait for fewer", info.full_name());
            return Err(Error::parameter(what));
        }
        let watch = Watch::descriptor(Arc::clone(&descriptor));
        *handle.polling() = Some(Self { watch, frames, position: 0 });
        Self::go_on(&mut handle).map_err(|error| Error::os("wait for", &handle.stream().path, error))?;
        Ok(Polled { handle, descriptor })
    }

    /// A read came back with `why`. If it found nothing the event loop is to be told of what comes next; unless it was
    /// told of a death, which only those learn who `read` after they asked.
    #[cold]
    pub(super) fn again<H: Handle, R>(
        handle: &mut H,
        why: ReadError,
        read: impl FnOnce(&mut H) -> Result<R, ReadError>,
    ) -> Result<R, ReadError> {
        let place = handle.place();
        let nothing = matches!(why, ReadError::Empty | ReadError::Timeout);
        let is_due = |it: &Self| it.position != place || !it.watch.lower_if_armed();
        if !nothing || !handle.polling().as_ref().is_some_and(is_due) {
            return Err(why);
        }
        if handle.notices() {
            let found = read(handle);
            if !matches!(found, Err(ReadError::Empty)) {
                return found;
            }
        }
        Self::go_on(handle).map_err(|_| ReadError::NoThread)?;
        Err(why)
    }

    /// Lowers the descriptor until there is more than what the handle has read.
    pub(super) fn go_on<H: Handle>(handle: &mut H) -> io::Result<()> {
        let Some(mut polling) = handle.polling().take() else { return Ok(()) };
        polling.position = handle.place();
        let armed = polling.watch.arm(handle.detached(polling.frames), None);
        *handle.polling() = Some(polling);
        armed
    }
}
