//! Times of one kind, in ns: how often each was seen.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Three digits of each, up to a minute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(super) struct Times(Histogram<u64>);

/// So many times from one limit up to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) count: u64,
}

/// What is told of the distribution.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Characters of the longest bar.
const BAR: u64 = 48;

impl Times {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that a histogram can have"))
    }

    #[inline]
    pub(super) fn add(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(super) fn merged<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::new();
        for one in all {
            sum.0 += &one.0;
        }
        sum
    }

    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest time that `share` of all do not exceed.
    pub(super) fn at(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }

    /// Between 1, 2, 5, 10, 20 ... ns, from the first that is not empty to the last.
    pub(super) fn buckets(&self) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut limits = limits();
        for seen in self.0.iter_recorded() {
            let ns = seen.value_iterated_to();
            while buckets.last().is_none_or(|last| ns >= last.to_ns) {
                let (from_ns, to_ns) = limits.next().expect("limits beyond a minute");
                if ns < to_ns || !buckets.is_empty() {
                    buckets.push(Bucket { from_ns, to_ns, count: 0 });
                }
            }
            if let Some(last) = buckets.last_mut() {
                last.count += seen.count_since_last_iteration();
            }
        }
        buckets
    }

    /// `p50 150 ns   p90 ...   max ...`
    pub(super) fn line(&self) -> String {
        let quantiles = QUANTILES.map(|(name, share)| format!("{name} {}", duration(self.at(share))));
        format!("{}   max {}", quantiles.join("   "), duration(self.0.max()))
    }

    /// A line for each bucket, with a bar.
    pub(super) fn picture(&self) -> String {
        let buckets = self.buckets();
        let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(1);
        let line = |bucket: &Bucket| {
            let bar = match (bucket.count * BAR / most) as usize {
                0 if bucket.count > 0 => ".".to_owned(),
                length => "#".repeat(length),
            };
            let share = 100.0 * bucket.count as f64 / self.count() as f64;
            let line = format!(
                "{:>8} .. {:<7} {:>10}  {share:>7.3} %  {bar}",
                duration(bucket.from_ns),
                duration(bucket.to_ns),
                bucket.count
            );
            format!("{}\n", line.trim_end())
        };
        buckets.iter().map(line).collect()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "count": self.count(),
            "min_ns": self.0.min(),
            "p50_ns": self.at(0.5),
            "p90_ns": self.at(0.9),
            "p99_ns": self.at(0.99),
            "p99_9_ns": self.at(0.999),
            "max_ns": self.0.max(),
        })
    }
}

impl Bucket {
    pub(super) fn json(self) -> Value {
        json!({ "from_ns": self.from_ns, "to_ns": self.to_ns, "count": self.count })
    }
}

impl From<Vec<(u64, u64)>> for Times {
    fn from(seen: Vec<(u64, u64)>) -> Self {
        let mut times = Self::new();
        for (ns, count) in seen {
            times.0.saturating_record_n(ns, count);
        }
        times
    }
}

impl From<Times> for Vec<(u64, u64)> {
    fn from(times: Times) -> Self {
        let seen = times.0.iter_recorded();
        seen.map(|one| (one.value_iterated_to(), one.count_since_last_iteration())).collect()
    }
}

/// 0 to 1, 1 to 2, 2 to 5, 5 to 10, 10 to 20 ...
fn limits() -> impl Iterator<Item = (u64, u64)> {
    // Times end at a minute.
    let decades = (0..12).map(|power| 10_u64.pow(power));
    let decades = decades.flat_map(|ten| [(ten, 2 * ten), (2 * ten, 5 * ten), (5 * ten, 10 * ten)]);
    std::iter::once((0, 1)).chain(decades)
}

/// As one would say it: `150 ns`, `2.35 us`, `12.1 ms`.
pub(super) fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    // Limits are whole.
    let digits = if value.fract() == 0.0 || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: &[u64]) -> Times {
        let mut times = Times::new();
        all.iter().for_each(|ns| times.add(*ns));
        times
    }

    #[test]
    fn every_time_is_in_one_bucket() {
        let all = [49, 50, 99, 100, 101, 199, 200, 1900, 70_000_000_000];
        let buckets = times(&all).buckets();
        let filled: Vec<(u64, u64, u64)> = buckets
            .iter()
            .filter(|bucket| bucket.count > 0)
            .map(|bucket| (bucket.from_ns, bucket.to_ns, bucket.count))
            .collect();
        assert_eq!(
            filled,
            [
                (20, 50, 1),
                (50, 100, 2),
                (100, 200, 3),
                (200, 500, 1),
                (1000, 2000, 1),
                (50_000_000_000, 100_000_000_000, 1)
            ]
        );
        assert!(buckets.windows(2).all(|two| two[0].to_ns == two[1].from_ns), "{buckets:?}");
        assert_eq!(times(&[]).buckets(), []);
        assert_eq!(times(&[0]).buckets().len(), 1);
    }

    #[test]
    fn the_picture_shows_even_what_is_rare() {
        let mut all = vec![150; 1000];
        all.push(30_000);
        let picture = times(&all).picture();
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines[0].contains("100 ns .. 200 ns") && lines[0].ends_with(&"#".repeat(48)), "{picture}");
        assert!(lines[1].contains("200 ns .. 500 ns") && lines[1].ends_with('%'), "{picture}");
        assert!(
            lines.last().is_some_and(|line| line.contains("20 us") && line.ends_with("%  .")),
            "{picture}"
        );
    }

    #[test]
    fn the_way_to_the_parent_changes_nothing() {
        let sent = times(&[1, 150, 150, 2345, 1_234_567]);
        let came: Times = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        assert_eq!(came.0, sent.0);
        let both = Times::merged([&sent, &came].into_iter());
        assert_eq!((both.count(), both.at(0.5)), (10, 150));
    }

    #[test]
    fn times_are_told_in_three_digits() {
        let told =
            [(0, "0 ns"), (999, "999 ns"), (2_345, "2.35 us"), (50_000, "50 us"), (12_345_678, "12.3 ms")];
        for (ns, text) in told {
            assert_eq!(duration(ns), text);
        }
    }
}
