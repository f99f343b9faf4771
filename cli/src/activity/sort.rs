//! The order of the rows.

use super::rows::{Doing, Row};
use crate::describe;
use std::cmp::Ordering;

/// By what the rows are ordered. Of a number the largest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    Name,
    State,
    Rate,
    Bytes,
    Fill,
    Readers,
    Lag,
    Lost,
    Wakes,
}

const ALL: [Sort; 9] = [
    Sort::Name,
    Sort::State,
    Sort::Rate,
    Sort::Bytes,
    Sort::Fill,
    Sort::Readers,
    Sort::Lag,
    Sort::Lost,
    Sort::Wakes,
];

impl Sort {
    /// The next one; the one before, if it is backward.
    pub(super) fn next(self, backward: bool) -> Self {
        let here = ALL.iter().position(|one| *one == self).unwrap_or(0);
        ALL[(here + if backward { ALL.len() - 1 } else { 1 }) % ALL.len()]
    }

    /// Its column.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::State => "STATE",
            Self::Rate => "FRAMES/S",
            Self::Bytes => "MB/S",
            Self::Fill => "FILL",
            Self::Readers => "READERS",
            Self::Lag => "LAG",
            Self::Lost => "LOST",
            Self::Wakes => "WAKES/S",
        }
    }

    /// Those that are broken come last; equals by their names.
    pub(crate) fn sort(self, rows: &mut [Row<'_>], reversed: bool) {
        rows.sort_by(|one, other| {
            let order = match (&one.doing, &other.doing) {
                (Some(one), Some(other)) => self.compare(one, other),
                (one, other) => return other.is_some().cmp(&one.is_some()),
            };
            let order = if reversed { order.reverse() } else { order };
            order.then_with(|| one.stream.name.cmp(&other.stream.name))
        });
    }

    fn compare(self, one: &Doing<'_>, other: &Doing<'_>) -> Ordering {
        let number = |doing: &Doing<'_>| match self {
            Self::Name | Self::State => 0.0,
            Self::Rate => doing.rate().unwrap_or(-1.0),
            Self::Bytes => doing.bytes().unwrap_or(-1.0),
            Self::Fill => doing.fill,
            Self::Readers => doing.readers.len() as f64,
            Self::Lag => doing.lag().map_or(-1.0, |frames| frames as f64),
            Self::Lost => doing.lost().0 as f64,
            Self::Wakes => doing.wakes().unwrap_or(-1.0),
        };
        let state = |doing: &Doing<'_>| describe::state(doing.status.producer);
        match self {
            Self::Name => one.status.info.full_name().cmp(&other.status.info.full_name()),
            Self::State => state(one).cmp(state(other)),
            _ => number(other).total_cmp(&number(one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::HEADS;
    use super::*;

    #[test]
    fn every_order_has_a_column_and_a_turn() {
        for (index, sort) in ALL.into_iter().enumerate() {
            assert!(HEADS.contains(&sort.head()), "{}", sort.head());
            assert_eq!(sort.next(false), ALL[(index + 1) % ALL.len()]);
            assert_eq!(sort.next(false).next(true), sort);
        }
    }
}
