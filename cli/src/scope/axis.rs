//! Where the marks of the time axis are, and what they say.

use super::grid::Grid;

/// The next smaller or larger of 1, 2, 5, 10, 20, 50, ...
pub(crate) fn round_step(value: f64, larger: bool) -> f64 {
    let mut power = 10_f64.powf(value.log10().floor());
    // The logarithm may be off by a hair.
    if power * 9.999 < value {
        power *= 10.0;
    }
    let steps = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0].map(|step| step * power);
    let found = match larger {
        true => steps.into_iter().find(|&step| step > value * 1.001),
        false => steps.into_iter().rev().find(|&step| step < value * 0.999),
    };
    found.unwrap_or(value)
}

/// A mark: its column from the left of the picture, and its text.
pub(crate) type Mark = (usize, String);

/// The marks under the columns from `left` on, at least so many columns apart.
pub(crate) fn marks(grid: Grid, left: u128, rate: f64, apart: usize) -> Vec<Mark> {
    let unit = if rate > 0.0 { rate } else { 1.0 };
    let least = grid.span() as f64 / grid.columns() as f64 * apart as f64 / unit;
    let mut step = round_step(least, true);
    if rate <= 0.0 {
        step = step.max(1.0);
    }
    let start = grid.start(left) as f64 / unit;
    let mut marks = Vec::new();
    let first = (start / step).ceil();
    for count in 0..=grid.columns() / apart.max(1) + 1 {
        let count = first + count as f64;
        let at = (count * step * unit).round();
        if at >= u64::MAX as f64 {
            break;
        }
        let column = grid.column(at as u64);
        if column >= left + grid.columns() as u128 {
            break;
        }
        if let Some(x) = column.checked_sub(left) {
            let text = if rate > 0.0 { clock(count * step, step) } else { format!("{at}") };
            marks.push((x as usize, text));
        }
    }
    marks
}

/// Seconds since the stream began, as minutes and seconds, with digits that tell one step from the next.
pub(crate) fn clock(seconds: f64, step: f64) -> String {
    let digits = (-step.log10()).ceil().clamp(0.0, 9.0) as usize;
    // Rounded first: 59.96 s must not become 0:60.0.
    let scale = 10_f64.powi(digits as i32);
    let seconds = (seconds.max(0.0) * scale).round() / scale;
    let (minutes, second) = ((seconds / 60.0).floor(), seconds.rem_euclid(60.0));
    let width = if digits > 0 { digits + 3 } else { 2 };
    if minutes >= 60.0 {
        let (hours, minutes) = ((minutes / 60.0).floor(), minutes.rem_euclid(60.0));
        return format!("{hours}:{minutes:02}:{second:0width$.digits$}");
    }
    format!("{minutes}:{second:0width$.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_one_two_five() {
        let up: Vec<f64> =
            std::iter::successors(Some(0.01), |&step| Some(round_step(step, true))).take(8).collect();
        for (step, wanted) in up.iter().zip([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]) {
            assert!((step / wanted - 1.0).abs() < 1e-9, "{up:?}");
        }
        assert_eq!(
            (round_step(6.0, true), round_step(6.0, false), round_step(10.0, false)),
            (10.0, 5.0, 5.0)
        );
        assert_eq!((round_step(1000.0, true), round_step(1000.0, false)), (2000.0, 500.0));
    }

    #[test]
    fn clocks_are_short_and_whole() {
        assert_eq!(clock(59.96, 0.1), "1:00.0");
        assert_eq!(clock(2.5, 0.5), "0:02.5");
        assert_eq!(clock(3605.0, 5.0), "1:00:05");
        assert_eq!(clock(0.0125, 0.0005), "0:00.0125");
        assert_eq!(clock(62.0, 2.0), "1:02");
    }

    #[test]
    fn marks_are_at_their_times() {
        // 6 s of 360 Hz over 120 columns: 20 columns are a second.
        let grid = Grid::new(2160, 120);
        let marks = marks(grid, 40, 360.0, 24);
        assert_eq!(marks, [(0, "0:02".to_owned()), (40, "0:04".to_owned()), (80, "0:06".to_owned())]);
        let marks = super::marks(Grid::new(50, 100), 0, 0.0, 30);
        assert_eq!(marks, [(0, "0".to_owned()), (40, "20".to_owned()), (80, "40".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_picture_has_marks_in_view(
            span in 1_u64..1 << 50, columns in 1_usize..500, end in 0_u64..1 << 62, rate in 0_f64..1e11, apart in 1_usize..50,
        ) {
            let grid = Grid::new(span, columns);
            let left = grid.column(end).saturating_sub(columns as u128);
            let marks = marks(grid, left, rate, apart);
            prop_assert!(marks.iter().all(|mark| mark.0 < columns));
            prop_assert!(marks.len() <= columns / apart + 2);
        }
    }
}
