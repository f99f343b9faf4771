//! Where frames are missing between those that a recording has.

use std::fmt;
use std::time::Duration;

/// Frames that the source never delivered, or that were lost on their way into the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gap {
    /// Of the first frame after it. Missing frames have no positions, unless they were lapped.
    pub(crate) position: u64,
    /// How many frames are missing; `None` where nobody counted them.
    pub(crate) missing: Option<u64>,
    pub(crate) cause: Cause,
    /// When the first frame after it was sampled, since the first one of the recording.
    pub(crate) time: Duration,
}

/// Why frames are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The device did not deliver them.
    Device,
    /// The producer was succeeded by another one.
    Restart,
    /// The device's time began anew.
    Reset,
    /// They were overwritten before they were read.
    Lapped,
    /// Nobody says.
    Unknown,
}

impl Cause {
    const ALL: [(Self, &str); 4] = [
        (Self::Device, "device loss"),
        (Self::Restart, "restart"),
        (Self::Reset, "device reset"),
        (Self::Lapped, "lapped"),
    ];

    /// What a text that [`Gap`]'s display wrote says about it.
    pub(crate) fn named_in(text: &str) -> Self {
        let named = Self::ALL.iter().find(|(_, name)| text.contains(name));
        named.map_or(Self::Unknown, |(cause, _)| *cause)
    }
}

impl Gap {
    /// How many are missing, and why, if that is what a text says: one that [`Gap`]'s display wrote.
    pub(super) fn told_in(text: &str) -> Option<(Option<u64>, Cause)> {
        let (missing, cause) = match text.split_once(" frames missing: ") {
            Some((missing, cause)) => (Some(missing.parse().ok()?), cause),
            None => (None, text.strip_prefix("frames missing, nobody counted them: ")?),
        };
        Some((missing, Cause::named_in(cause)))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(cause, _)| cause == self);
        f.write_str(named.map_or("no cause told", |(_, name)| name))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missing {
            Some(missing) => write!(f, "{missing} frames missing: {}", self.cause),
            None => write!(f, "frames missing, nobody counted them: {}", self.cause),
        }
    }
}
