//! From values to heights in the picture. This is for the eyes alone: values that are told are never changed by it.

use super::columns::Columns;
use super::traces::Trace;

/// The values from the bottom to the top of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    /// How far up a value is: 0 at the bottom, 1 at the top; what is beyond is at the edge. `None` for no number.
    pub(crate) fn height(self, value: f64) -> Option<f64> {
        // Halves, lest the difference of the largest numbers be infinite.
        let (low, high, value) = (self.low / 2.0, self.high / 2.0, value / 2.0);
        let height = ((value - low) / (high - low)).clamp(0.0, 1.0);
        (!height.is_nan()).then_some(height)
    }

    /// Around these values, with a margin, and never empty.
    fn around(low: f64, high: f64) -> Self {
        let size = high.abs().max(low.abs());
        let margin = ((high / 2.0 - low / 2.0) * 0.1).max(size * 1e-6).max(1e-9);
        Self { low: (low - margin).max(f64::MIN), high: (high + margin).min(f64::MAX) }
    }

    fn centred(middle: f64, height: f64) -> Self {
        Self { low: middle - height / 2.0, high: middle + height / 2.0 }
    }
}

/// What a trace does in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The median of the columns' middles: where the line mostly is, whatever spikes there are.
    pub(crate) baseline: f64,
}

impl Extent {
    /// Of all finite values in view.
    pub(crate) fn of(columns: &Columns, number: usize, trace: &Trace) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut middles = Vec::with_capacity(columns.grid().columns());
        for x in 0..columns.grid().columns() {
            let Some((least, most)) = columns.extent(x, number).map(|raw| trace.physical(raw)) else {
                continue;
            };
            for value in [least, most].into_iter().filter(|value| value.is_finite()) {
                (low, high) = (low.min(value), high.max(value));
            }
            let middle = f64::midpoint(least, most);
            if middle.is_finite() {
                middles.push(middle);
            }
        }
        if low > high {
            return None;
        }
        let half = middles.len() / 2;
        let baseline = match middles.is_empty() {
            true => f64::midpoint(low, high),
            false => *middles.select_nth_unstable_by(half, f64::total_cmp).1,
        };
        Some(Self { low, high, baseline })
    }
}

/// How values become heights.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Gain {
    /// What is in view fills the height.
    Auto,
    /// So many units from the bottom to the top, for each trace; one of which nothing was known yet is NaN.
    Fixed(Vec<f64>),
}

impl Gain {
    /// Changes every height by this factor.
    pub(crate) fn scale(&mut self, factor: f64) {
        if let Self::Fixed(heights) = self {
            for height in heights.iter_mut() {
                *height = (*height * factor).clamp(1e-300, 1e300);
            }
        }
    }

    /// The range of one trace's row. Without its baseline a row is centred on it; else zero has its place.
    pub(crate) fn of_row(&self, trace: usize, extent: Extent, centred: bool) -> Range {
        match self.height(trace) {
            Some(height) => Range::centred(if centred { extent.baseline } else { 0.0 }, height),
            None if centred => Range::around(extent.low, extent.high),
            None => Range::around(extent.low.min(0.0), extent.high.max(0.0)),
        }
    }

    /// The range that all these traces share when they are overlaid. If they are centred it counts from their baselines.
    pub(crate) fn of_all(&self, extents: &[(usize, Extent)], centred: bool) -> Range {
        let shared = extents.iter().filter_map(|&(trace, _)| self.height(trace)).reduce(f64::max);
        let zero = |extent: &Extent| if centred { extent.baseline } else { 0.0 };
        let low = extents.iter().map(|(_, extent)| extent.low - zero(extent)).reduce(f64::min);
        let high = extents.iter().map(|(_, extent)| extent.high - zero(extent)).reduce(f64::max);
        match (shared, low, high) {
            (Some(height), ..) => Range::centred(0.0, height),
            (None, Some(low), Some(high)) => Range::around(low, high),
            _ => Range::around(-1.0, 1.0),
        }
    }

    fn height(&self, trace: usize) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::Fixed(heights) => heights.get(trace).copied().filter(|height| height.is_finite()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::*;
    use annulus::SampleType;
    use proptest::prelude::*;

    fn any_number() -> impl Strategy<Value = f64> {
        prop_oneof![
            prop::num::f64::ANY,
            Just(0.0),
            Just(f64::MAX),
            Just(f64::MIN),
            Just(i64::MIN as f64),
            Just(i64::MAX as f64),
            Just(f64::MIN_POSITIVE)
        ]
    }

    proptest! {
        #[test]
        fn all_that_is_in_view_is_between_bottom_and_top(a in any_number(), b in any_number(), c in any_number()) {
            let mut values = [a, b, c];
            prop_assume!(values.iter().all(|value| value.is_finite()));
            values.sort_by(f64::total_cmp);
            let extent = Extent { low: values[0], high: values[2], baseline: values[1] };
            for centred in [true, false] {
                let range = Gain::Auto.of_row(0, extent, centred);
                prop_assert!(range.low < range.high, "{:?}", range);
                let heights = values.map(|value| range.height(value));
                prop_assert!(heights.iter().all(Option::is_some), "{:?} in {:?}", heights, range);
                prop_assert!(heights.is_sorted(), "{:?}", heights);
            }
        }

        #[test]
        fn a_height_is_in_the_row_or_nowhere(low in any_number(), high in any_number(), value in any_number()) {
            if let Some(height) = (Range { low, high }).height(value) {
                prop_assert!((0.0..=1.0).contains(&height));
            }
            prop_assert_eq!(Range { low, high }.height(f64::NAN), None);
        }
    }

    #[test]
    fn a_fixed_gain_keeps_its_height_around_the_baseline() {
        let extent = Extent { low: -3.0, high: 40.0, baseline: 1.0 };
        let mut gain = Gain::Fixed(vec![2.0, f64::NAN]);
        assert_eq!(gain.of_row(0, extent, true), Range { low: 0.0, high: 2.0 });
        assert_eq!(gain.of_row(0, extent, false), Range { low: -1.0, high: 1.0 });
        assert_eq!(gain.of_row(1, extent, true), Gain::Auto.of_row(1, extent, true));
        gain.scale(4.0);
        assert_eq!(gain.of_all(&[(0, extent)], true), Range { low: -4.0, high: 4.0 });
    }

    #[test]
    fn overlaid_traces_share_a_range() {
        let one = Extent { low: 9.0, high: 12.0, baseline: 10.0 };
        let other = Extent { low: -105.0, high: -99.0, baseline: -100.0 };
        let range = Gain::Auto.of_all(&[(0, one), (1, other)], true);
        assert!(range.low < -5.0 && range.low > -6.0 && range.high > 2.0 && range.high < 3.0, "{range:?}");
        let range = Gain::Auto.of_all(&[(0, one), (1, other)], false);
        assert!(range.low < -105.0 && range.high > 12.0);
        assert_eq!(Gain::Auto.of_all(&[], true), Range::around(-1.0, 1.0));
    }

    #[test]
    fn a_spike_does_not_move_the_baseline() {
        let mut columns = Columns::new(Grid::new(100, 10), SampleType::I8, 1, 0..1);
        let mut samples = [7; 100];
        samples[33] = 100;
        columns.add(0, &samples);
        let trace = Trace::plain("x");
        assert_eq!(Extent::of(&columns, 0, &trace), Some(Extent { low: 7.0, high: 100.0, baseline: 7.0 }));
        columns.move_to(50);
        assert_eq!(Extent::of(&columns, 0, &trace), None);
    }
}
