//! Small streams of all kinds, as an input asks for them.

use super::script::Script;
use annulus::{AtLimit, Builder, Channel, Kind};

/// Bytes in a frame: all sizes of words, rings that are mapped twice and that are not.
const FRAMES: [usize; 16] = [8, 1, 2, 3, 5, 6, 7, 12, 16, 24, 30, 36, 48, 64, 72, 100];
/// Bytes that a lane is asked to hold: few, so that it wraps often.
const LANE_BYTES: u64 = 1 << 13;
pub const CONSUMERS: u32 = 2;
pub const OBSERVERS: u32 = 3;
pub const LOSSLESS: u32 = 2;

#[derive(Clone, Debug)]
pub struct Shape {
    pub kind: Kind,
    pub lanes: u32,
    pub observable: bool,
    pub lossless: Option<AtLimit>,
    pub frame: usize,
    pub requested: u64,
    pub keep: bool,
}

impl Shape {
    pub fn read(script: &mut Script<'_>) -> Self {
        let plain = Self {
            kind: Kind::Broadcast,
            lanes: 1,
            observable: true,
            lossless: None,
            frame: FRAMES[script.byte() % FRAMES.len()],
            requested: 0,
            keep: script.byte() % 4 == 1,
        };
        let requested = 8 + script.short() % 250.min(LANE_BYTES / plain.frame as u64);
        let plain = Self { requested, ..plain };
        match script.byte() % 10 {
            0 => Self { kind: Kind::Spsc, ..plain },
            1 => Self { kind: Kind::Spsc, observable: false, ..plain },
            lanes @ 2..=5 => Self { kind: Kind::Mpmc, lanes: lanes as u32 - 1, ..plain },
            6 => Self { kind: Kind::Mpmc, lanes: 2, observable: false, ..plain },
            7 => plain,
            8 => Self { lossless: Some(AtLimit::Overwrite), ..plain },
            _ => Self { lossless: Some(AtLimit::Full), ..plain },
        }
    }

    /// Of a frame's bytes each is a channel.
    pub fn apply(&self, to: Builder) -> Builder {
        let to = to
            .kind(self.kind)
            .channels((0..self.frame).map(|_| Channel::new("")))
            .capacity(self.requested)
            .readers(OBSERVERS)
            .keep(self.keep);
        let to = if self.kind == Kind::Mpmc { to.producers(self.lanes).consumers(CONSUMERS) } else { to };
        let to = if self.observable { to } else { to.without_observers() };
        match self.lossless {
            Some(at_limit) => to.lossless(LOSSLESS).at_limit(at_limit),
            None => to,
        }
    }
}

/// The frames from `first` on: no two neighbours, nor laps, nor lanes, alike.
pub fn frames(stream: u64, lane: usize, first: u64, count: u64, frame: usize) -> Vec<u8> {
    let mut bytes = vec![0; count as usize * frame];
    for (position, bytes) in (first..).zip(bytes.chunks_exact_mut(frame)) {
        let seed = (position ^ ((lane as u64) << 48) ^ (stream << 56)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let seed = seed ^ (seed >> 29);
        for (place, bytes) in (0..).zip(bytes.chunks_mut(8)) {
            bytes.copy_from_slice(&seed.rotate_left(place * 11 % 64).to_le_bytes()[..bytes.len()]);
        }
    }
    bytes
}
