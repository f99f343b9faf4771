//! Holds a device's own count against what comes.

/// Checks the counter that a device sends along with its frames or packets, and so knows how many were lost on the way.
///
/// ```
/// use annulus::{Sequence, SequenceCheck};
///
/// let mut check = SequenceCheck::new(8); // a byte: 0 to 255, and again
/// assert_eq!(check.next(254), Sequence::Next); // whatever it begins with
/// assert_eq!(check.next(255), Sequence::Next);
/// assert_eq!(check.next(0), Sequence::Next);
/// assert_eq!(check.next(48), Sequence::Missing(47));
/// assert_eq!(check.next(48), Sequence::Back(1)); // sent twice
/// assert_eq!(check.next(49), Sequence::Next);
/// ```
///
/// A packet of several frames counts once: a [gap](crate::Producer::gap) is in frames. One that is
/// [back](Sequence::Back) by a few was sent twice, or late; by many, the device began anew
/// ([`clock_reset`](crate::Producer::clock_reset)). Losses of half the counter's range and more cannot be told from
/// that: a counter of 8 bits, at 1000 packets a second, is good for an eighth of a second.
#[derive(Clone, Copy, Debug)]
pub struct SequenceCheck {
    mask: u64,
    expected: Option<u64>,
}

/// What a count says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// Nothing is missing.
    Next,
    /// So many counts are missing right before this one.
    Missing(u64),
    /// So many counts behind the one that was due. It is taken for what the device goes on from.
    Back(u64),
}

impl SequenceCheck {
    /// A counter of `bits` bits, from 1 to 64, which begins again at 0.
    ///
    /// # Panics
    /// If it has none, or more.
    pub fn new(bits: u32) -> Self {
        assert!((1..=64).contains(&bits), "a counter has 1 to 64 bits, not {bits}");
        Self { mask: u64::MAX >> (64 - bits), expected: None }
    }

    /// What it says that `count` comes next. Higher bits than the counter has do not matter.
    pub fn next(&mut self, count: u64) -> Sequence {
        let count = count & self.mask;
        let expected = self.expected.replace(count.wrapping_add(1) & self.mask).unwrap_or(count);
        let ahead = count.wrapping_sub(expected) & self.mask;
        match ahead {
            0 => Sequence::Next,
            _ if ahead <= self.mask / 2 => Sequence::Missing(ahead),
            _ => Sequence::Back(self.mask - ahead + 1),
        }
    }

    /// Forgets what is due: whatever comes next is right.
    pub fn reset(&mut self) {
        self.expected = None;
    }
}
