//! Waiting without blocking, for tasks.

use super::waitset::Handle;
use super::watch::Watch;
use crate::ring::ReadError;
use crate::wait::{Strategy, Wait};
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use std::time::Instant;

/// Waits as `wait` says, and then reads. Nothing is read before, so that nothing is lost with a future that is dropped.
pub(super) async fn read<H: Handle, R>(
    handle: &mut H,
    most: u64,
    wait: Wait,
    mut read: impl FnMut(&mut H, Wait) -> Result<R, ReadError>,
) -> Result<R, ReadError> {
    if wait.frames > most {
        return Err(ReadError::TooLong);
    }
    handle.prepare(wait.frames)?;
    let deadline = wait.deadline();
    loop {
        ready(handle, wait.frames, deadline).await?;
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match read(handle, wait.timeout(Duration::ZERO).strategy(Strategy::Block)) {
            // It was a death, and there is a successor by now; or another consumer was faster.
            Err(ReadError::Timeout) if !late => {}
            found => return found,
        }
    }
}

/// Until a read of `frames` would not wait, or `deadline` has passed. (Or without a reason: the caller looks.) It reads
/// nothing, so that nothing is lost with it; its watch goes with it, and the task's waker with that.
async fn ready(
    handle: &mut dyn Handle,
    frames: u64,
    deadline: Option<Instant>,
) -> Result<(), ReadError> {
    let mut watch: Option<Watch> = None;
    poll_fn(|context| {
        let mut ready = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        handle.show(frames, &mut |waiter| ready |= waiter.look());
        if ready {
            return Poll::Ready(Ok(()));
        }
        let task = context.waker().clone();
        if let Some(watch) = &watch {
            return if watch.set_task(task) { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        let fresh = watch.insert(Watch::task());
        fresh.set_task(task);
        match fresh.arm(handle.detached(frames), deadline) {
            Ok(()) => Poll::Pending,
            Err(_) => Poll::Ready(Err(ReadError::NoThread)),
        }
    })
    .await
}
