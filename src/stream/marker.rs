//! What happened, and where in a signal.

#![allow(unsafe_code)]

use super::{Info, Moment};
use crate::error::Error;
use crate::index::POSITION_LIMIT;
use crate::layout::NONE;
use crate::time::{monotonic_ns, system_time, utc_ns};
use bytemuck::{Pod, Zeroable};
use core::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Something that happened: a trigger, a stimulus, a receiver that was tuned anew, a remark. The element of a stream of its
/// own, which [belongs to](super::Builder::marks) a signal and has no rate.
///
/// It says where in the signal it belongs: at a [position](Self::at) of it, or, if nobody has looked, at the
/// [time](Self::moment) when it was made, which the signal's [clock](super::Clock::position_at) turns into one.
///
/// ```
/// use annulus::{Marker, Wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let name = format!("doc-marker-{}", std::process::id());
/// let mut ecg = annulus::create(&name).rate(1000.0).producer::<f32>()?;
/// let mut markers = annulus::create(format!("{name}.markers")).marks(&name).producer::<Marker>()?;
/// let mut reader = annulus::open(format!("{name}.markers")).observer::<Marker>()?;
///
/// ecg.push(&[0.0; 500])?;
/// markers.push(&[Marker::new("stimulus")?.with_code(7).at(ecg.info(), 480).lasting(20)])?;
///
/// let mut found = [Marker::default()];
/// reader.read(&mut found, Wait::new())?;
/// assert_eq!((found[0].text(), found[0].code()), ("stimulus", 7));
/// assert_eq!(found[0].position(ecg.info()), Some(480));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Marker {
    instance: [u8; 16],
    position: u64,
    frames: u64,
    code: i64,
    monotonic_ns: u64,
    utc_ns: i64,
    length: u64,
    text: [u8; Marker::TEXT_MAX],
}

// SAFETY: whatever its bytes are it is one: integers, and arrays of them; `repr(C)` with the words first leaves no padding.
unsafe impl Zeroable for Marker {}
// SAFETY: as above.
unsafe impl Pod for Marker {}

const _: () = assert!(size_of::<Marker>() == 512);

impl Marker {
    /// Bytes of text, at most.
    pub const TEXT_MAX: usize = 448;

    /// One that happens now.
    ///
    /// # Errors
    /// [`Error::BadParameter`] if the text is longer than [`TEXT_MAX`](Self::TEXT_MAX) bytes.
    pub fn new(text: &str) -> Result<Self, Error> {
        let mut bytes = [0; Self::TEXT_MAX];
        let Some(place) = bytes.get_mut(..text.len()) else {
            let most = Self::TEXT_MAX;
            return Err(Error::parameter(format!("a marker's text has at most {most} bytes, not {}", text.len())));
        };
        place.copy_from_slice(text.as_bytes());
        let (length, utc_ns) = (text.len() as u64, utc_ns(SystemTime::now()));
        let monotonic_ns = monotonic_ns();
        Ok(Self { length, text: bytes, monotonic_ns, utc_ns, ..Self::default() })
    }

    /// With a number, such as a trigger's.
    pub fn with_code(self, code: i64) -> Self {
        Self { code, ..self }
    }

    /// Right at the frame at `position` of that signal.
    pub fn at(self, signal: &Info, position: u64) -> Self {
        Self { instance: signal.instance, position, ..self }
    }

    /// It lasts for so many frames of the signal.
    pub fn lasting(self, frames: u64) -> Self {
        Self { frames, ..self }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        let bytes = &self.text[..self.length.min(Self::TEXT_MAX as u64) as usize];
        // Whoever wrote something else into the ring: what can be read of it.
        core::str::from_utf8(bytes).or_else(|error| core::str::from_utf8(&bytes[..error.valid_up_to()])).unwrap_or_default()
    }

    /// Its number; 0 if it has none.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The position of that signal that it was [put at](Self::at); `None` if it was put at none, or at one of another object:
    /// positions begin anew with each.
    pub fn position(&self, signal: &Info) -> Option<u64> {
        (self.instance == signal.instance && self.position < POSITION_LIMIT).then_some(self.position)
    }

    /// Frames of the signal that it lasts; 0: a moment.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// When it was made, by the monotonic clock.
    pub fn moment(&self) -> Moment {
        Moment::Monotonic(self.monotonic_ns)
    }

    /// The same in UTC.
    pub fn utc(&self) -> SystemTime {
        system_time(self.utc_ns).unwrap_or(UNIX_EPOCH)
    }
}

impl Default for Marker {
    /// One that says nothing, for readers to be overwritten.
    fn default() -> Self {
        Self { position: NONE, ..Self::zeroed() }
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = (self.position < POSITION_LIMIT).then_some(self.position);
        f.debug_struct("Marker")
            .field("text", &self.text())
            .field("code", &self.code)
            .field("position", &position)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}
