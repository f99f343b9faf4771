//! Live signals from one process to many, on one machine, through a cyclic buffer in named shared memory.
//!
//! An *acquisition* process pushes frames (one sample of every channel) and never waits. *Viewers* read the
//! newest, or all that is retained, without anybody noticing them. A *consumer* takes each frame once, and
//! nothing is lost. When frames are lost to a reader, it is told how many, and where. Any process may be killed
//! at any instruction: nothing wedges, and a successor carries on.
//!
//! It is not a network protocol, not a message queue for objects, not a database: one machine, plain data,
//! as much history as the ring holds. It resamples, pads and smooths nothing.
//!
//! | to | call | get |
//! |---|---|---|
//! | push | [`create`]`(name)...`[`producer`](Builder::producer) | [`Producer`]: `push`, `push_wait`, `reserve`, `drain`, `finish` |
//! | read | [`open`]`(name)...`[`observer`](Open::observer) | [`Observer`]: `read`, `try_read`, `seek` |
//! | miss nothing | [`open`]`(name).`[`lossless`](Open::lossless)`()...`[`observer`](Open::observer) | an [`Observer`] that its producer respects |
//! | take | [`open`]`(name)...`[`consumer`](Open::consumer) | [`Consumer`]: `read`, `chunk`, of a [`Kind::Spsc`] ring |
//! | share | [`open`]`(name)...`[`group_consumer`](Open::group_consumer) | [`GroupConsumer`]: `read`, of a [`Kind::Mpmc`] work queue |
//! | wait for many | [`WaitSet`]`::new()` | [`wait`](WaitSet::wait): which of them are ready |
//! | be told by an event loop | [`Observer::polled`] | [`Polled`]: a descriptor, readable when the stream is ready |
//! | share memory of your own | [`shm::at`]`(place)` | [`shm::SharedMemory`]: POSIX, file, anonymous, System V, Windows' page file, the crate `shared_memory` |
//! | look | [`open`]`(name).`[`status`](Open::status), [`list`] | [`Status`]: what it is, who is attached, who died |
//!
//! A stream of signals has [`channels`](Builder::channels), a [`rate`](Builder::rate) and one of the
//! [sample formats](SampleFormat); a plain ring holds elements of any [`Pod`](bytemuck::Pod) type. How long a
//! read waits, and for how much, is a [`Wait`]. What can go wrong while frames flow is a small `Copy` value,
//! [`PushError`] or [`ReadError`]; what can go wrong before is an [`Error`] that says what to do.
//!
//! ```
//! use annulus::{Channel, Start, Wait};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name = format!("doc-{}", std::process::id());
//! // In the acquisition process:
//! let mut producer = annulus::create(&name)
//!     .channels([Channel::new("MLII").unit("mV").scaled(0.005, -5.12)])
//!     .rate(360.0)
//!     .producer::<i16>()?;
//! producer.push(&[1024, 1030, 1041])?;
//!
//! // In any other process:
//! let mut viewer = annulus::open(&name).start(Start::Oldest).observer::<i16>()?;
//! let mut samples = [0; 360];
//! let read = viewer.read(&mut samples, Wait::new())?;
//! assert_eq!(samples[..read.frames], [1024, 1030, 1041]);
//! # Ok(()) }
//! ```
//!
//! # Reading the code
//! `layout.rs` has the bytes, `index.rs` the arithmetic, `lane.rs` the algorithm with its edges named, and
//! `models/` its proof. Above them `ring/` says who holds which end, `lifecycle.rs` how handles come and go.
//!
//! Linux on 64-bit little-endian machines. It type-checks for macOS, where it was never run; other systems are to follow.
#![warn(missing_docs)]
#![cfg_attr(all(loom, test), allow(dead_code, reason = "the models use a part of each file"))]

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
compile_error!(
    "annulus runs on Linux and Windows so far: on this system it has no shared memory backend yet"
);

#[cfg(doctest)]
mod compile_fail;
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
// Its programs use anonymous memory, and lists of objects.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../docs/from.md")]
mod from {}

mod clock;
mod copy;
mod index;
mod lane;
mod layout;
mod ledger;
mod ring;
mod sync;
mod wait;

// The models run the files above unchanged, on a heap of loom's atomics in the place of a segment.
#[cfg(all(loom, test))]
mod models;
#[cfg(all(loom, test))]
#[path = "models/segment.rs"]
mod segment;

#[cfg(not(all(loom, test)))]
mod segment;

macro_rules! outside_of_models {
    ($($item:item)*) => { $(#[cfg(not(all(loom, test)))] $item)* };
}

outside_of_models! {
    mod channel;
    mod descriptor;
    mod error;
    mod format;
    mod lifecycle;
    mod name;
    mod rate;
    mod seat;
    pub mod shm;
    mod stream;
    mod time;

    pub use bytemuck;
    pub use channel::Channel;
    pub use descriptor::Kind;
    pub use error::Error;
    pub use format::{SampleFormat, SampleType, UnknownFormat};
    pub use lifecycle::{Existing, Pruned};
    pub use num_complex::Complex;
    pub use seat::Role;
    pub use stream::{
        AtLimit, Attached, Builder, Cause, Chunk, Clock, Consumer, Gap, GroupConsumer, Info, LaneStatus, Listed, Marker,
        Member, Moment, Observer, Open, Polled, Producer, ProducerState, Reservation, Sequence, SequenceCheck, Start, Status,
        Time, WaitSet, Waitable, create, list, list_in, open, prune,
    };
    pub use stream::is_stream;
    #[cfg(unix)]
    pub use stream::open_fd;
    pub use time::monotonic_ns;

    pub use shm::directory::Scope;
    pub use shm::home::Backend;

    /// Where the streams of a scope are, unless a caller names a directory.
    pub fn default_directory(scope: Scope) -> std::path::PathBuf {
        shm::directory::default_path(scope)
    }
}

pub use lane::Breaches;
pub use ring::{Frames, PushError, ReadError, Restart};
pub use wait::{Strategy, Wait};
