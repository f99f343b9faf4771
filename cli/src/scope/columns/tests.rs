//! Against a brute-force oracle: nothing is forgotten, nothing is invented.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn bytes<N: Number>(values: impl IntoIterator<Item = N>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        let start = bytes.len();
        bytes.resize(start + N::BYTES, 0);
        value.write(&mut bytes[start..]);
    }
    bytes
}

/// A value for each position and number, with some that are none.
fn sample(position: u64, number: usize) -> f32 {
    let mixed = (position.wrapping_mul(31) ^ number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    match mixed % 23 {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        _ => mixed as f32 - 8e6,
    }
}

fn frames(positions: Range<u64>, numbers: usize) -> Vec<u8> {
    bytes(positions.flat_map(|position| (0..numbers).map(move |number| sample(position, number))))
}

/// What the columns must say, from every single frame that was taken.
fn check(columns: &Columns, taken: &[Range<u64>], numbers: usize) -> Result<(), TestCaseError> {
    let grid = columns.grid();
    let mut of_column = BTreeMap::<u128, Vec<u64>>::new();
    for position in taken.iter().cloned().flatten() {
        of_column.entry(grid.column(position)).or_default().push(position);
    }
    for x in 0..grid.columns() {
        let mut positions = of_column.get(&(columns.left() + x as u128)).cloned().unwrap_or_default();
        positions.sort_unstable();
        let wanted = positions.first().map(|&first| first..positions[positions.len() - 1] + 1);
        prop_assert_eq!(columns.frames(x), wanted, "at {}", x);
        for number in 0..numbers {
            let values = || positions.iter().map(|&at| f64::from(sample(at, number))).filter(|v| !v.is_nan());
            let wanted = values().reduce(f64::min).zip(values().reduce(f64::max));
            let wanted = wanted.filter(|_| columns.band().contains(&number));
            prop_assert_eq!(columns.extent(x, number), wanted, "at {}, number {}", x, number);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_frame_lands_in_its_column(
        span in 1_u64..3000, width in 1_usize..80, numbers in 1_usize..150, start in 0_u64..5000,
        blocks in prop::collection::vec(1_u64..200, 1..12), cut in 0_usize..3,
    ) {
        let band = cut.min(numbers - 1)..numbers;
        let grid = Grid::new(span, width);
        let mut columns = Columns::new(grid, SampleType::F32, numbers, band);
        columns.move_to(grid.column(start));
        let mut at = columns.known().start;
        let view = at..grid.start(columns.left() + width as u128);
        for block in blocks {
            columns.add(at, &frames(at..at + block, numbers));
            at += block;
        }
        check(&columns, std::slice::from_ref(&(view.start..at.min(view.end))), numbers)?;
    }

    #[test]
    fn following_reading_back_and_losing_are_told_apart(
        span in 20_u64..2000, width in 2_usize..60,
        steps in prop::collection::vec((0_u8..4, 1_u64..120), 1..40),
    ) {
        let grid = Grid::new(span, width);
        let mut columns = Columns::new(grid, SampleType::F32, 3, 0..3);
        let mut taken: Vec<Range<u64>> = Vec::new();
        let mut lost = Vec::new();
        for (what, count) in steps {
            match what {
                // The picture moves on; what leaves it is forgotten.
                0 => {
                    let left = columns.left() + u128::from(count) % 7;
                    columns.move_to(left);
                    let view = grid.start(left)..grid.start(left + width as u128);
                    let cut = |range: &Range<u64>| range.start.max(view.start)..range.end.min(view.end);
                    taken = taken.iter().map(cut).filter(|range| !range.is_empty()).collect();
                    lost = lost.iter().map(cut).filter(|range: &Range<u64>| !range.is_empty()).collect();
                }
                1 => {
                    let at = columns.known().end;
                    columns.miss(at..at + count, Missing::Lost);
                    // What is not in view yet will be looked for when it is.
                    lost.push(at..columns.known().end);
                    prop_assert!(columns.known().end >= (at + count).min(grid.start(columns.left() + width as u128)));
                }
                2 => {
                    let at = columns.known().start;
                    let first = at.saturating_sub(count).max(grid.start(columns.left()));
                    columns.add(first, &frames(first..at, 3));
                    taken.push(first..at);
                }
                _ => {
                    let at = columns.known().end;
                    let end = (at + count).min(grid.start(columns.left() + width as u128));
                    if at < end {
                        columns.add(at, &frames(at..end, 3));
                        taken.push(at..end);
                    }
                }
            }
            check(&columns, &taken, 3)?;
            for x in 0..width {
                let here = |range: &Range<u64>| {
                    range.clone().any(|position| grid.column(position) == columns.left() + x as u128)
                };
                let column = columns.left() + x as u128;
                // A column between two frames belongs to neither.
                let none = grid.start(column) == grid.start(column + 1);
                let marked = columns.missing(x) == Missing::Lost;
                prop_assert!(marked == lost.iter().any(here) || none, "at {}", x);
            }
        }
    }

    #[test]
    fn reading_ends_with_all_that_is_wanted(
        span in 1_u64..5000, width in 1_usize..100, tail in 1_u64..100_000, most in 1_u64..500, jump in 0_u128..200,
    ) {
        let grid = Grid::new(span, width);
        let mut columns = Columns::new(grid, SampleType::F32, 1, 0..1);
        // First somewhere left of the end, then at the end: both directions occur.
        let end = grid.column(tail - 1) + 1;
        for left in [end.saturating_sub(width as u128), end.saturating_sub(width as u128 + jump), 0] {
            columns.move_to(left);
            let wanted = grid.start(left)..grid.start(left + width as u128).min(tail);
            while let Some(next) = columns.next(&wanted, most) {
                prop_assert!(!next.is_empty() && next.end - next.start <= most);
                columns.add(next.start, &frames(next, 1));
            }
            check(&columns, std::slice::from_ref(&wanted), 1)?;
        }
    }
}

#[test]
fn extremes_of_every_type_are_kept() {
    fn extent<N: Number>(number: SampleType, values: &[N]) -> Option<(f64, f64)> {
        let mut columns = Columns::new(Grid::new(100, 1), number, 1, 0..1);
        columns.add(0, &bytes(values.iter().copied()));
        columns.extent(0, 0)
    }
    assert_eq!(extent(SampleType::I64, &[i64::MIN, 0, i64::MAX]), Some((i64::MIN as f64, i64::MAX as f64)));
    assert_eq!(extent(SampleType::I64, &[i64::MAX]), Some((i64::MAX as f64, i64::MAX as f64)));
    assert_eq!(extent(SampleType::U8, &[255_u8, 0]), Some((0.0, 255.0)));
    assert_eq!(extent(SampleType::I8, &[-128_i8]), Some((-128.0, -128.0)));
    assert_eq!(extent(SampleType::F64, &[f64::NAN, f64::NAN]), None);
    assert_eq!(extent(SampleType::F64, &[f64::NAN, -1.0, f64::NAN]), Some((-1.0, -1.0)));
    let infinite = (f64::NEG_INFINITY, f64::INFINITY);
    assert_eq!(extent(SampleType::F32, &[f32::INFINITY, 0.0, f32::NEG_INFINITY]), Some(infinite));
}

#[test]
fn frames_outside_the_picture_change_nothing() {
    let mut columns = Columns::new(Grid::new(10, 5), SampleType::I8, 1, 0..1);
    columns.move_to(5);
    columns.add(10, &[1; 10]);
    columns.add(20, &[99; 30]);
    assert!((0..5).all(|x| columns.extent(x, 0) == Some((1.0, 1.0))));
    assert_eq!((columns.extent(5, 0), columns.extent(0, 1), columns.frames(7)), (None, None, None));
    columns.miss(50..u64::MAX, Missing::Lost);
    assert!((0..5).all(|x| columns.missing(x) == Missing::Nothing));
}
