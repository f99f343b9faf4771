//! What happened, and at which of the frames that a recording has.

/// Something that a file tells about its signal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Marker {
    /// Of the frame that it belongs to; where that is missing, of the first one after it; behind the last frame is the
    /// end. `None`: the recording had not begun yet, or was over.
    pub(crate) position: Option<u64>,
    /// Frames that it lasts.
    pub(crate) frames: u64,
    pub(crate) text: String,
}

/// No more of them are read: those of a longer list mean nothing to anybody.
pub(super) const MOST: usize = 1 << 20;

/// What is said where there are more.
pub(super) fn too_many() -> String {
    format!("it has more than {MOST} markers: only so many are read")
}

impl Marker {
    /// In a file of so many frames.
    pub(super) fn within(frames: u64, position: Option<u64>, lasts: u64, text: &str) -> Self {
        let position = position.filter(|position| *position <= frames);
        Self { position, frames: lasts, text: crate::plain::plain(text) }
    }
}
