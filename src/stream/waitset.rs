//! One sleep for many streams.

use super::polled::Polling;
use super::{Consumer, GroupConsumer, Info, Observer};
use crate::ring::ReadError;
use crate::ring::set::{Any, Waiter};
use crate::wait::{self, Wait, Words};
use bytemuck::Pod;
use core::fmt;

/// A reading handle, as one that is waited for beside others.
pub(crate) trait Handle: Send {
    /// Before anybody sleeps for it: gives back what it took. Fails if so many frames can never be there.
    fn prepare(&mut self, frames: u64) -> Result<(), ReadError>;

    /// Shows how it waits for `frames`.
    fn show(&mut self, frames: u64, to: &mut dyn FnMut(&mut dyn Waiter));

    /// How it waits for `frames` as it is now, for the thread that waits in its place.
    fn detached(&self, frames: u64) -> Box<dyn Waiter + Send>;

    /// Whether a producer died, of which nothing was said yet. The next read says it.
    fn notices(&mut self) -> bool;

    /// How far it is: whatever changes when it reads.
    fn place(&self) -> u64;

    /// What its reads keep going, if an event loop waits for it.
    fn polling(&mut self) -> &mut Option<Polling>;

    /// The stream that it reads.
    fn stream(&self) -> &Info;
}

/// A handle that need not wait: its next read says at once what is wrong.
pub(crate) struct Wrong;

impl Waiter for Wrong {
    fn look(&mut self) -> bool {
        true
    }

    fn each_slice(&mut self) -> bool {
        true
    }

    fn has_some(&self) -> bool {
        true
    }

    fn arm(&mut self, _: &mut Words) {}
}

/// What a [`WaitSet`] can wait for: an [`Observer`], a [`Consumer`], a [`GroupConsumer`], with a threshold of its own
/// ([`at_least`](Self::at_least)), or something of yours that has one of them:
///
/// ```
/// use annulus::{Member, Observer, Waitable};
///
/// struct Station {
///     viewer: Observer<i16>,
///     block: u64, // frames
/// }
///
/// impl Waitable for Station {
///     fn member(&mut self) -> Member<'_> {
///         self.viewer.at_least(self.block)
///     }
/// }
/// ```
pub trait Waitable {
    /// The handle to wait for.
    fn member(&mut self) -> Member<'_>;

    /// The handle to wait for, until so many frames are there, whatever the others wait for.
    fn at_least(&mut self, frames: u64) -> Member<'_> {
        Member { frames: Some(frames), ..self.member() }
    }
}

/// A handle that is lent to a [`WaitSet`], perhaps with a threshold of its own. Made by a [`Waitable`].
pub struct Member<'a> {
    handle: &'a mut dyn Handle,
    frames: Option<u64>,
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Waitable for Member<'_> {
    fn member(&mut self) -> Member<'_> {
        Member { handle: &mut *self.handle, frames: self.frames }
    }
}

impl<T: Pod> Waitable for Observer<T> {
    fn member(&mut self) -> Member<'_> {
        Member { handle: self, frames: None }
    }
}

impl<T: Pod> Waitable for Consumer<T> {
    fn member(&mut self) -> Member<'_> {
        Member { handle: self, frames: None }
    }
}

/// For the next frame, whichever consumer takes it: it may be gone when this one comes to read.
impl<T: Pod> Waitable for GroupConsumer<T> {
    fn member(&mut self) -> Member<'_> {
        Member { handle: self, frames: None }
    }
}

impl<W: Waitable + ?Sized> Waitable for &mut W {
    fn member(&mut self) -> Member<'_> {
        (**self).member()
    }
}

impl<W: Waitable + ?Sized> Waitable for Box<W> {
    fn member(&mut self) -> Member<'_> {
        (**self).member()
    }
}

/// Waits for many streams in one sleep, and says which are ready.
///
/// The set owns no handle: [`wait`](Self::wait) borrows them all and gives them back, and the caller then reads those
/// that are ready. It only keeps its memory from one wait to the next. Handles may be of any types, in any mixture.
///
/// On Linux the sleep is one `futex_waitv` for up to 128 streams. For each further 127 a thread helps, for as long as
/// the sleep lasts. Where the kernel does not know that call (before 5.16), or a sandbox forbids it, the set looks
/// again when the next frames are due by the streams' rates: after 0.5 to 50 ms, as an
/// [unseated](super::Open::unseated) observer does.
///
/// ```
/// use annulus::{WaitSet, Wait, Waitable};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let names = ["ecg", "eeg"].map(|name| format!("doc-set-{name}-{}", std::process::id()));
/// # let stream = |name: &str| annulus::create(name).channels([annulus::Channel::new("x")]).rate(500.0);
/// # let (mut heart, _brain) = (stream(&names[0]).producer::<i16>()?, stream(&names[1]).producer::<f32>()?);
/// let mut ecg = annulus::open(&names[0]).observer::<i16>()?;
/// let mut eeg = annulus::open(&names[1]).observer::<f32>()?;
/// heart.push(&[1, 2, 3, 4, 5])?;
///
/// let mut set = WaitSet::new();
/// let wait = Wait::new().timeout(Duration::from_secs(1));
/// let ready = set.wait(&mut [ecg.at_least(5), eeg.at_least(20)], wait)?;
/// assert_eq!(ready, [0]);
/// let mut samples = [0; 64];
/// assert_eq!(ecg.try_read(&mut samples)?.frames, 5);
/// # Ok(()) }
/// ```
///
/// Of many that are alike a slice is enough, and nothing is allocated from wait to wait:
///
/// ```no_run
/// # use annulus::{Observer, Wait, WaitSet};
/// # fn follow(mut streams: Vec<Observer<i16>>) -> Result<(), annulus::ReadError> {
/// let mut set = WaitSet::new();
/// let mut block = [0; 4096];
/// loop {
///     for &index in set.wait(&mut streams, Wait::new().frames(20))? {
///         let read = streams[index].try_read(&mut block)?;
///         println!("stream {index}: {} frames from {}", read.frames, read.first_position);
///     }
/// }
/// # }
/// ```
#[derive(Debug, Default)]
pub struct WaitSet {
    words: Words,
    ready: Vec<usize>,
}

impl WaitSet {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until at least one of `members` is ready, and gives the indices of all that are, in order.
    ///
    /// Ready means what ends a blocking [`read`](Observer::read): as many frames as the member waits for
    /// ([`Wait::frames`], unless it has a [threshold of its own](Waitable::at_least)); fewer, if a producer waits for
    /// space; the end, a replacement, and within 100 ms the death of a producer; a handle that is unusable after
    /// `fork`. The member's next `try_read`, or `read`, gives the frames, or says what it is. When the time is up, those
    /// are ready that have any frame.
    ///
    /// A member that ended or was replaced is ready for ever: wait without it.
    ///
    /// # Errors
    /// [`ReadError::Timeout`] if the time is up and no member has a frame; [`ReadError::Empty`] if there are no members;
    /// [`ReadError::TooLong`] if one waits for more frames than its ring can hold.
    pub fn wait<W: Waitable>(&mut self, members: &mut [W], wait: Wait) -> Result<&[usize], ReadError> {
        if members.is_empty() {
            return Err(ReadError::Empty);
        }
        for member in &mut *members {
            let Member { handle, frames } = member.member();
            handle.prepare(frames.unwrap_or(wait.frames))?;
        }
        let show = |member: &mut W, to: &mut dyn FnMut(&mut dyn Waiter)| {
            let Member { handle, frames } = member.member();
            handle.show(frames.unwrap_or(wait.frames), to);
        };
        let Self { words, ready } = self;
        let mut any = Any { items: members, show, words, ready };
        wait::wait(&mut any, wait.strategy, wait.deadline())
            .or_else(|| any.choose_some())
            .ok_or(ReadError::Timeout)?;
        Ok(&self.ready)
    }
}
