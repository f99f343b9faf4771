//! Waiting without blocking, for tasks.

use super::waitset::Handle;
use super::watch::Watch;
use crate::ring::ReadError;
use core::future::poll_fn;
use core::task::Poll;
use std::time::Instant;

/// Until a read of `frames` would not wait, or `deadline` has passed. (Or without a reason: the caller looks.) It reads
/// nothing, so that nothing is lost with it; its watch goes with it, and the task's waker with that.
pub(super) async fn ready(
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
