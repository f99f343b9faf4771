//! Each function of the index on its own.

use crate::Input;
use crate::index::{
    self, CAPACITY_MIN, Cursor, Divisor, FRAME_BYTES_MAX, Geometry, LANE_BYTES_MAX, POSITION_LIMIT, Plan,
};

/// Largest pages that any of the targets has: 16 GiB.
const PAGE_SHIFT_MAX: u64 = 34;

pub fn check(input: &Input) {
    let page = 1 << (input.page % (PAGE_SHIFT_MAX + 1));
    let frame = 1 + input.frame % FRAME_BYTES_MAX;
    plan(input.requested, input.frame, input.page);
    plan(input.requested, input.frame, page);
    let planned = plan(input.requested, frame, page);
    if let Some(geometry) = Geometry::new(input.requested, input.frame) {
        lane(geometry, input);
    }
    if let Some(planned) = planned {
        lane(Geometry::new(planned.capacity, frame).expect("what was planned can be built"), input);
    }
    limits(input.requested, input.frame);
    words(input.frame);
    divisor(input.divisor, input.value);
    divisor(input.divisor, input.value % (1 << 33));
    // Next to a multiple: where a rounded reciprocal would go wrong.
    let multiple = u64::from(input.divisor).wrapping_mul(input.value % (1 << 32));
    divisor(input.divisor, multiple);
    divisor(input.divisor, multiple.wrapping_sub(1));
}

fn limits(capacity: u64, frame: u64) {
    let fits = capacity >= CAPACITY_MIN
        && (1..=FRAME_BYTES_MAX).contains(&frame)
        && u128::from(capacity) * u128::from(frame) <= u128::from(LANE_BYTES_MAX);
    assert_eq!(Geometry::new(capacity, frame).is_some(), fits);
}

fn plan(requested: u64, frame: u64, page: u64) -> Option<Plan> {
    let wanted = u128::from(requested.max(CAPACITY_MIN));
    let bytes = wanted * u128::from(frame);
    let possible = requested > 0
        && (1..=FRAME_BYTES_MAX).contains(&frame)
        && page > 0
        && bytes <= u128::from(LANE_BYTES_MAX);
    let planned = index::plan(requested, frame, page);
    let Some(Plan { capacity, mirrored, stride }) = planned else {
        assert!(!possible || !page.is_power_of_two(), "a possible lane was refused");
        return None;
    };
    assert!(possible, "an impossible lane was planned");
    let held = u128::from(capacity) * u128::from(frame);
    assert!(u128::from(capacity) >= wanted);
    assert!(held <= u128::from(LANE_BYTES_MAX));
    assert_eq!(stride % page, 0);
    assert!(u128::from(stride) >= held);
    let pages = bytes.next_multiple_of(u128::from(page));
    if mirrored {
        assert_eq!(held, u128::from(stride), "a mirrored lane is whole pages");
        assert!(held <= 2 * pages, "mirroring more than doubled the lane");
    } else {
        assert_eq!(u128::from(capacity), wanted);
        assert_eq!(u128::from(stride), pages);
    }
    planned
}

fn cursor(geometry: Geometry, position: u64) -> Cursor {
    let offset = u128::from(position) % u128::from(geometry.capacity()) * u128::from(geometry.frame());
    Cursor { position, offset: u64::try_from(offset).expect("an offset lies inside the lane") }
}

fn lane(geometry: Geometry, input: &Input) {
    let capacity = geometry.capacity();
    let bytes = u128::from(capacity) * u128::from(geometry.frame());
    assert_eq!(u128::from(geometry.bytes()), bytes);

    // Moving.
    let position = input.position % (POSITION_LIMIT - capacity);
    let at = geometry.cursor(position);
    assert_eq!(at, cursor(geometry, position));
    assert!(at.offset < geometry.bytes());
    let frames = input.ahead % (capacity + 1);
    let moved = geometry.advance(at, frames);
    assert_eq!(moved, cursor(geometry, position + frames));
    assert_eq!(geometry.advance(at, capacity).offset, at.offset);
    for to in
        [input.position, input.ahead, position + frames, position + capacity, position.saturating_sub(1)]
    {
        assert_eq!(geometry.seek(at, to), cursor(geometry, to));
    }

    // Splitting a run at the wrap.
    let run = frames * geometry.frame();
    let (before, after) = geometry.split(at.offset, run);
    assert_eq!(before + after, run);
    assert!(at.offset + before <= geometry.bytes() && after < geometry.bytes());
    assert!(after == 0 || at.offset + before == geometry.bytes(), "a gap before the wrap");
    assert!(after == 0 || moved.offset == after, "a split run ends elsewhere than the cursor");

    // Shares of the ring.
    assert!(
        geometry.lazy_limit() >= 1 && geometry.lazy_limit() <= 64 && geometry.lazy_limit() <= capacity / 8
    );
    assert!(geometry.write_limit(true) >= 1 && geometry.write_limit(true) * 4 <= capacity);
    assert_eq!(geometry.write_limit(false), capacity);

    // What a producer has announced, and what is left of the past.
    let (tail, intent) = (position, position + frames);
    let oldest = geometry.oldest(intent);
    assert!(oldest <= tail && intent - oldest <= capacity);
    assert!(oldest == 0 || intent - oldest == capacity);
    let resume = geometry.resume(intent, tail);
    assert!(oldest <= resume && resume <= tail);
    assert!(resume == tail || resume == oldest + capacity / 8);

    let first = (oldest + input.count % (capacity + 1)).saturating_sub(capacity / 2).min(tail);
    let count = (tail - first).min(input.count % (capacity + 1));
    let valid = geometry.valid_from(first, count, intent);
    assert_eq!(valid, oldest.clamp(first, first + count));
    assert_eq!(geometry.valid_from(first, count, tail), geometry.oldest(tail).clamp(first, first + count));
    assert!(
        geometry.valid_from(first, count, intent + 1) >= valid,
        "more was valid after more was announced"
    );

    // Whatever a damaged segment says: a value, no panic.
    let _ = (geometry.oldest(input.count), geometry.resume(input.count, input.ahead));
    let any = geometry.valid_from(position, frames, input.count);
    assert!((position..=position + frames).contains(&any));

    for (tail, head) in [
        (tail, tail - frames.min(tail)),
        (intent, tail),
        (position + capacity, position),
        (position + capacity, position.wrapping_sub(1)),
        (input.position, input.ahead),
        (input.count, input.position),
        (POSITION_LIMIT, POSITION_LIMIT - 1),
        (POSITION_LIMIT - 1, POSITION_LIMIT - 1),
    ] {
        let apart = i128::from(tail) - i128::from(head);
        let right = (0..=i128::from(capacity)).contains(&apart) && tail < POSITION_LIMIT;
        assert_eq!(geometry.backlog(tail, head).ok().map(i128::from), right.then_some(apart));
    }
}

fn words(frame: u64) {
    if frame == 0 {
        return;
    }
    let word = index::word_bytes(frame);
    assert!(matches!(word, 1 | 2 | 4 | 8) && frame % word == 0);
    assert!(word == 8 || frame % (word * 2) != 0, "a larger word would do");
}

fn divisor(divisor: u32, value: u64) {
    let exact = Divisor::new(divisor).map(|by| {
        assert_eq!(by.get(), divisor);
        by.exact(value as usize).map(|quotient| quotient as u64)
    });
    let expected =
        (divisor != 0).then(|| (value % u64::from(divisor) == 0).then(|| value / u64::from(divisor)));
    assert_eq!(exact, expected);
}
