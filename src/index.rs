//! Pure arithmetic of positions and offsets: no memory, no atomics, no system. The fuzzer and the property
//! tests call exactly these functions.
//!
//! A *position* is a `u64` count of frames since the stream began; it never wraps. An *offset* is where that
//! frame starts in the lane's data, in bytes. Handles carry both along (a [`Cursor`]), so that moving needs an
//! addition and a comparison, and no division.

/// Positions stay below this; a segment that says otherwise is damaged.
pub(crate) const POSITION_LIMIT: u64 = 1 << 63;

/// The last one: a lane is never pushed further.
pub(crate) const POSITION_LAST: u64 = POSITION_LIMIT - 1;

/// Fewest frames that a lane holds: below this the cap/8 and cap/4 rules of the protocol would be empty.
pub(crate) const CAPACITY_MIN: u64 = 8;

/// Most bytes in one lane (16 TiB): far above any machine here, far below any overflow.
pub(crate) const LANE_BYTES_MAX: u64 = 1 << 44;

/// Most bytes in one frame.
pub(crate) const FRAME_BYTES_MAX: u64 = 1 << 26;

/// What a segment said cannot be: positions out of order, or further apart than the lane is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// A position and where its frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Frames since the stream began.
    pub(crate) position: u64,
    /// Bytes from the start of the lane's data; always below [`Geometry::bytes`].
    pub(crate) offset: u64,
}

/// The shape of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    capacity: u64,
    frame: u64,
    bytes: u64,
}

impl Geometry {
    /// A lane of `capacity` frames of `frame` bytes; `None` outside the limits above.
    pub(crate) const fn new(capacity: u64, frame: u64) -> Option<Self> {
        if capacity < CAPACITY_MIN || frame == 0 || frame > FRAME_BYTES_MAX {
            return None;
        }
        match capacity.checked_mul(frame) {
            Some(bytes) if bytes <= LANE_BYTES_MAX => Some(Self { capacity, frame, bytes }),
            _ => None,
        }
    }

    /// The models' lanes are shorter than any real one: a wrap must not cost them millions of executions.
    #[cfg(all(loom, test))]
    pub(crate) const fn model(capacity: u64, frame: u64) -> Self {
        Self { capacity, frame, bytes: capacity * frame }
    }

    /// Frames in the lane.
    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes in a frame.
    pub(crate) const fn frame(&self) -> u64 {
        self.frame
    }

    /// Bytes in the lane.
    #[inline]
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the frame at `position` lies. Divides: not for the hot path.
    pub(crate) const fn cursor(&self, position: u64) -> Cursor {
        Cursor { position, offset: position % self.capacity * self.frame }
    }

    /// `frames` on from `cursor`, at most a whole lane.
    #[inline]
    pub(crate) const fn advance(&self, cursor: Cursor, frames: u64) -> Cursor {
        debug_assert!(frames <= self.capacity);
        let mut offset = cursor.offset + frames * self.frame;
        if offset >= self.bytes() {
            offset -= self.bytes();
        }
        Cursor { position: cursor.position + frames, offset }
    }

    /// Behind a run of `frames` frames, which are so many bytes and do not go over the wrap.
    #[inline]
    pub(crate) const fn behind(&self, cursor: Cursor, frames: u64, bytes: u64) -> Cursor {
        debug_assert!(bytes == frames * self.frame);
        let offset = cursor.offset + bytes;
        Cursor { position: cursor.position + frames, offset: if offset == self.bytes { 0 } else { offset } }
    }

    /// The cursor at `position`, wherever `from` stood; cheap when it is less than a lane ahead.
    #[inline]
    pub(crate) const fn seek(&self, from: Cursor, position: u64) -> Cursor {
        match position.checked_sub(from.position) {
            Some(ahead) if ahead <= self.capacity => self.advance(from, ahead),
            _ => self.cursor(position),
        }
    }

    /// How a run of `bytes` that starts at `offset` splits at the wrap: bytes before it, bytes after it.
    #[inline]
    pub(crate) const fn split(&self, offset: u64, bytes: u64) -> (u64, u64) {
        let room = self.bytes() - offset;
        if bytes <= room { (bytes, 0) } else { (room, bytes - room) }
    }

    /// Oldest position that can still be read when a producer has announced `intent`.
    #[inline]
    pub(crate) const fn oldest(&self, intent: u64) -> u64 {
        intent.saturating_sub(self.capacity)
    }

    /// Where a lapped observer goes on: an eighth of the ring ahead of the oldest, so that it is not lapped
    /// again at once, but never past `tail`.
    pub(crate) const fn resume(&self, intent: u64, tail: u64) -> u64 {
        let ahead = self.oldest(intent).saturating_add(self.capacity / 8);
        if ahead < tail { ahead } else { tail }
    }

    /// Most frames in one write to a lane that observers may read: a quarter of it, so that a write in
    /// progress leaves them three.
    pub(crate) const fn write_limit(&self, observable: bool) -> u64 {
        if observable { self.capacity / 4 } else { self.capacity }
    }

    /// How far a producer goes on before it looks at the lossless readers' cursors again: an eighth.
    pub(crate) const fn lease(&self) -> u64 {
        // An eighth of a model's lane is none; two frames let it go on once without looking.
        if cfg!(all(loom, test)) { 2 } else { self.capacity / 8 }
    }

    /// Most frames that an exclusive reader takes before it gives the space back: an eighth, at most 64.
    pub(crate) const fn lazy_limit(&self) -> u64 {
        // An eighth of a model's lane is none; there, all of it may be kept back.
        let eighth = if cfg!(all(loom, test)) { self.capacity } else { self.capacity / 8 };
        if eighth < 64 { eighth } else { 64 }
    }

    /// Frames published and not yet consumed.
    #[inline]
    pub(crate) const fn backlog(&self, tail: u64, head: u64) -> Result<u64, Corrupt> {
        match tail.checked_sub(head) {
            Some(frames) if frames <= self.capacity && tail < POSITION_LIMIT => Ok(frames),
            _ => Err(Corrupt),
        }
    }

    /// What of a copy of `frames` from `first` survived a producer that had announced `intent` when the copy
    /// was done: the first valid position (at most `first + frames`).
    #[inline]
    pub(crate) const fn valid_from(&self, first: u64, frames: u64, intent: u64) -> u64 {
        let oldest = self.oldest(intent);
        let end = first + frames;
        if oldest <= first {
            first
        } else if oldest < end {
            oldest
        } else {
            end
        }
    }
}

/// The word that a stream's copies are made of: the largest power of two up to 8 bytes that divides a frame.
pub(crate) const fn word_bytes(frame: u64) -> u64 {
    let low = frame & frame.wrapping_neg();
    if low > 8 || low == 0 { 8 } else { low }
}

/// How a wish for history becomes a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Frames that the lane holds.
    pub(crate) capacity: u64,
    /// Whether the data is mapped twice, back to back, so that every run is contiguous.
    pub(crate) mirrored: bool,
    /// Bytes from one lane's data to the next's: whole pages.
    pub(crate) stride: u64,
}

/// Plans a lane for `requested` frames of `frame` bytes on pages of `page` bytes.
///
/// A mirrored lane must be whole frames *and* whole pages. Where that would more than double the request, the
/// lane is mapped once, and runs across the wrap are two slices. `None` if the request is out of bounds.
pub(crate) const fn plan(requested: u64, frame: u64, page: u64) -> Option<Plan> {
    if requested == 0 || frame == 0 || frame > FRAME_BYTES_MAX || page == 0 {
        return None;
    }
    let wanted = if requested < CAPACITY_MIN { CAPACITY_MIN } else { requested };
    if wanted > LANE_BYTES_MAX / frame {
        return None;
    }
    let step = page / gcd(page, frame);
    let Some(rounded) = wanted.checked_next_multiple_of(step) else { return None };
    let Some(pages) = (wanted * frame).checked_next_multiple_of(page) else { return None };
    // A single page cannot be halved: rounding up to one is never "more than double" what any plan needs.
    let mirrored = rounded <= LANE_BYTES_MAX / frame && rounded * frame <= pages.saturating_mul(2);
    if mirrored {
        Some(Plan { capacity: rounded, mirrored, stride: rounded * frame })
    } else {
        Some(Plan { capacity: wanted, mirrored, stride: pages })
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Exact division by a length that is fixed at run time, as one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divisor {
    divisor: u32,
    reciprocal: u64,
}

impl Divisor {
    /// `divisor` must not be zero.
    pub(crate) const fn new(divisor: u32) -> Option<Self> {
        if divisor == 0 {
            return None;
        }
        // ceil(2^64 / d); 2^64 itself (d = 1) does not fit and is handled in `exact`.
        Some(Self { divisor, reciprocal: (u64::MAX / divisor as u64).wrapping_add(1) })
    }

    /// The divisor.
    pub(crate) const fn get(self) -> u32 {
        self.divisor
    }

    /// `value / divisor` if it goes in exactly.
    #[inline]
    pub(crate) const fn exact(self, value: usize) -> Option<usize> {
        if self.divisor == 1 {
            return Some(value);
        }
        // reciprocal * d is 2^64 + e, with e < d: of a multiple q * d this is q + q * e / 2^64, and q * e < 2^64.
        let quotient = ((value as u128 * self.reciprocal as u128) >> 64) as usize;
        if quotient.wrapping_mul(self.divisor as usize) == value { Some(quotient) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn geometry() -> impl Strategy<Value = Geometry> {
        (CAPACITY_MIN..5000, 1u64..300).prop_map(|(capacity, frame)| Geometry::new(capacity, frame).unwrap())
    }

    proptest! {
        #[test]
        fn moving_is_modular_arithmetic(g in geometry(), from in 0..POSITION_LIMIT / 2, steps in prop::collection::vec(0u64..10_000, 1..50)) {
            let mut at = g.cursor(from);
            for step in steps {
                let to = at.position + step;
                at = g.seek(at, to);
                prop_assert_eq!(at, g.cursor(to));
                prop_assert!(at.offset < g.bytes());
            }
        }

        #[test]
        fn a_split_covers_the_run_and_stays_inside(g in geometry(), at in 0u64..5000, frames in 0u64..5000) {
            let offset = at % g.capacity() * g.frame();
            let bytes = frames.min(g.capacity()) * g.frame();
            let (first, rest) = g.split(offset, bytes);
            prop_assert_eq!(first + rest, bytes);
            prop_assert!(offset + first <= g.bytes() && rest <= offset);
        }

        #[test]
        fn what_is_valid_after_a_copy(g in geometry(), first in 0u64..1 << 40, frames in 0u64..5000, ahead in 0u64..20_000) {
            let intent = first + frames + ahead;
            let valid = g.valid_from(first, frames, intent);
            prop_assert!((first..=first + frames).contains(&valid));
            for position in first..first + frames {
                prop_assert_eq!(position >= valid, position + g.capacity() >= intent);
            }
        }

        #[test]
        fn a_lapped_reader_resumes_inside(g in geometry(), tail in 0u64..1 << 40, pending in 0u64..5000) {
            let intent = tail + pending.min(g.capacity());
            let resumed = g.resume(intent, tail);
            prop_assert_eq!(resumed, tail.min(g.oldest(intent) + g.capacity() / 8));
        }

        #[test]
        fn a_plan_holds_what_was_asked_for(requested in 1u64..1 << 30, frame in 1u64..70_000, shift in 12u32..17) {
            let page = 1u64 << shift;
            let Some(plan) = plan(requested, frame, page) else {
                prop_assert!(requested * frame > LANE_BYTES_MAX);
                return Ok(());
            };
            prop_assert!(plan.capacity >= requested && plan.stride.is_multiple_of(page));
            prop_assert!(plan.stride >= plan.capacity * frame && plan.stride - plan.capacity * frame < page);
            if plan.mirrored {
                prop_assert_eq!(plan.stride, plan.capacity * frame);
                let pages = (requested.max(CAPACITY_MIN) * frame).next_multiple_of(page);
                prop_assert!(plan.stride <= 2 * pages);
            } else {
                prop_assert_eq!(plan.capacity, requested.max(CAPACITY_MIN));
            }
        }

        #[test]
        fn dividing_by_multiplication(
            divisor in prop_oneof![1u32..100, 1u32..],
            value in prop_oneof![0usize..1000, 0usize..1 << 33, 0usize..],
        ) {
            let d = Divisor::new(divisor).unwrap();
            prop_assert_eq!(d.get(), divisor);
            let exact = value.is_multiple_of(divisor as usize).then(|| value / divisor as usize);
            prop_assert_eq!(d.exact(value), exact);
            let multiple = value / divisor as usize * divisor as usize;
            prop_assert_eq!(d.exact(multiple), Some(multiple / divisor as usize));
        }
    }

    #[test]
    fn backlogs() {
        let g = Geometry::new(8, 2).unwrap();
        assert_eq!(g.backlog(10, 10), Ok(0));
        assert_eq!(g.backlog(10, 2), Ok(8));
        assert_eq!(g.backlog(10, 1), Err(Corrupt));
        assert_eq!(g.backlog(10, 11), Err(Corrupt));
        assert_eq!(g.backlog(POSITION_LIMIT, POSITION_LIMIT), Err(Corrupt));
    }

    #[test]
    fn words_divide_their_frames() {
        for (frame, word) in [(1, 1), (2, 2), (6, 2), (12, 4), (24, 8), (30, 2), (64, 8), (7, 1)] {
            assert_eq!(word_bytes(frame), word, "{frame}");
        }
    }

    #[test]
    fn the_worked_example_of_30_bytes() {
        assert_eq!(plan(1000, 30, 4096), Some(Plan { capacity: 2048, mirrored: true, stride: 61_440 }));
        assert_eq!(plan(1000, 30, 65_536), Some(Plan { capacity: 1000, mirrored: false, stride: 65_536 }));
        assert_eq!(plan(0, 30, 4096), None);
        assert_eq!(plan(u64::MAX, 8, 4096), None);
    }

    #[test]
    fn parts_of_a_lane() {
        let (small, large) = (Geometry::new(80, 2).unwrap(), Geometry::new(800, 2).unwrap());
        assert_eq!((small.write_limit(true), small.write_limit(false)), (20, 80));
        assert_eq!((small.lease(), large.lease()), (10, 100));
        assert_eq!((small.lazy_limit(), large.lazy_limit()), (10, 64));
    }

    #[test]
    fn plans_at_their_bounds() {
        let page = 4096;
        assert!(plan(LANE_BYTES_MAX / 8, 8, page).is_some_and(|plan| plan.stride == LANE_BYTES_MAX));
        assert_eq!(plan(LANE_BYTES_MAX / 8 + 1, 8, page), None);
        assert!(
            plan(LANE_BYTES_MAX / 3, 3, page).is_some_and(|plan| !plan.mirrored),
            "its mirror would be longer"
        );
        assert!(plan(8, FRAME_BYTES_MAX, page).is_some_and(|plan| plan.capacity == 8));
        assert_eq!(plan(8, FRAME_BYTES_MAX + 1, page), None);
        assert!(plan(1, 70_001, page).is_some_and(|plan| plan.capacity == CAPACITY_MIN));
        assert_eq!((plan(8, 0, page), plan(8, 8, 0)), (None, None));
    }

    #[test]
    fn impossible_shapes() {
        assert_eq!(Geometry::new(CAPACITY_MIN - 1, 8), None);
        assert_eq!(Geometry::new(1 << 40, 0), None);
        assert_eq!(Geometry::new(u64::MAX, FRAME_BYTES_MAX), None);
        assert_eq!(Divisor::new(0), None);
    }
}
