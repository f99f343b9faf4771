//! Handles with a descriptor, for event loops.

use super::watch::Watch;
use super::{Info, Member, Waitable};
use crate::error::Error;
use crate::ring::ReadError;
use crate::ring::set::Waiter;
use crate::wait::eventfd::EventFd;
use core::fmt;
use core::ops::{Deref, DerefMut};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// A reading handle with a descriptor that `poll`, `epoll`, mio or tokio's `AsyncFd` can wait for. Made by
/// [`Observer::polled`](super::Observer::polled) or [`Consumer::polled`](super::Consumer::polled).
///
/// The descriptor is readable when the stream is ready: when there are as many frames as were asked for, or anything
/// else that ends a blocking read. It stays so until a read comes back with nothing
/// ([`ReadError::Empty`], or [`ReadError::Timeout`]): read until then, as from any descriptor that does not block.
/// Whoever waits for edges (tokio) and whoever asks again and again (`poll`) both are right. It is only to be waited
/// for: its bytes are this library's.
///
/// Everything else is as for the handle inside: this dereferences to it.
///
/// A futex cannot be polled, so one thread of the process sleeps for all of these handles, as a
/// [`WaitSet`](super::WaitSet) would. It is there while it is needed; it wakes once in 100 ms, and whenever one of its
/// streams is due. After `fork` the child's handles are dead, as all are.
///
/// ```
/// use annulus::ReadError;
/// use std::os::fd::AsRawFd;
///
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
    descriptor: Arc<EventFd>,
}

impl<H> Polled<H> {
    pub(super) fn new(handle: H, descriptor: Arc<EventFd>) -> Self {
        Self { handle, descriptor }
    }
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

impl<H> AsFd for Polled<H> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl<H> AsRawFd for Polled<H> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<H: Waitable> Waitable for Polled<H> {
    fn member(&mut self) -> Member<'_> {
        self.handle.member()
    }
}

impl<H: fmt::Debug> fmt::Debug for Polled<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled").field("handle", &self.handle).field("descriptor", &self.as_raw_fd()).finish()
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
    /// Not armed yet.
    pub(super) fn start(info: &Info, frames: u64) -> Result<(Self, Arc<EventFd>), Error> {
        if frames > info.capacity {
            let (name, room) = (info.full_name(), info.capacity);
            let what = format!("{frames} frames never fit into stream '{name}', which holds {room}: wait for fewer");
            return Err(Error::parameter(what));
        }
        let descriptor = EventFd::new().map_err(|error| Error::os("make a descriptor for", &info.path, error))?;
        let descriptor = Arc::new(descriptor);
        let watch = Watch::descriptor(Arc::clone(&descriptor));
        Ok((Self { watch, frames, position: 0 }, descriptor))
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether a read that failed so leaves the watch to be armed anew: not if more than nothing was the matter, nor if
    /// it still waits for what comes after `position`.
    pub(super) fn is_due(polling: Option<&Self>, position: u64, why: ReadError) -> bool {
        let nothing = matches!(why, ReadError::Empty | ReadError::Timeout);
        nothing && polling.is_some_and(|it| it.position != position || !it.watch.lower_if_armed())
    }

    /// Lowers the descriptor until `waiter`, whose handle is at `position`, is ready.
    pub(super) fn arm(&mut self, position: u64, waiter: Box<dyn Waiter + Send>) -> io::Result<()> {
        self.position = position;
        self.watch.arm(waiter, None)
    }
}
