//! Which frame is drawn in which column.

/// So many frames over so many columns. Columns are numbered from the beginning of the stream, so that a frame stays in
/// its column while the picture moves over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    span: u64,
    columns: u64,
}

impl Grid {
    /// Neither may be zero; what is becomes one.
    pub(crate) fn new(span: u64, columns: usize) -> Self {
        Self { span: span.max(1), columns: columns.max(1) as u64 }
    }

    /// How many frames are as wide as the picture.
    pub(crate) fn span(self) -> u64 {
        self.span
    }

    /// How many columns are as wide as the picture.
    pub(crate) fn columns(self) -> usize {
        self.columns as usize
    }

    /// The column of the frame at `position`. Wide enough for 2^64 frames of 2^64 columns each.
    pub(crate) fn column(self, position: u64) -> u128 {
        u128::from(position) * u128::from(self.columns) / u128::from(self.span)
    }

    /// Position of the first frame that is in `column` or right of it.
    pub(crate) fn start(self, column: u128) -> u64 {
        let frames = column.saturating_mul(self.span.into());
        frames.div_ceil(self.columns.into()).try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_frame_is_between_the_edges_of_its_column(
            position in 0..u64::MAX, span in 0..u64::MAX, columns in 0_usize..70_000,
        ) {
            let grid = Grid::new(span, columns);
            let column = grid.column(position);
            prop_assert!(grid.start(column) <= position);
            let next = grid.start(column + 1);
            prop_assert!(position < next || next == u64::MAX);
        }

        #[test]
        fn a_picture_is_one_span_wide(position in 0..1_u64 << 62, span in 1..1_u64 << 40, columns in 1_usize..5000) {
            let grid = Grid::new(span, columns);
            prop_assert_eq!(grid.column(position + span), grid.column(position) + columns as u128);
        }
    }

    #[test]
    fn few_frames_leave_columns_empty() {
        let grid = Grid::new(4, 10);
        assert_eq!([0, 1, 2, 3, 4].map(|position| grid.column(position)), [0, 2, 5, 7, 10]);
        assert_eq!((grid.start(1), grid.start(2)), (1, 1), "nothing is in column 1");
    }
}
