//! How durations are distributed, in little room: their number, sum and maximum, and how many are in
//! each of the bins, which grow by a fourth root of two. Two of them can be added.

use serde::{Deserialize, Serialize};

/// Bins for each doubling.
const BINS: f64 = 4.0;

/// A distribution of durations in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    count: u64,
    sum_ms: u64,
    max_ms: u64,
    /// The bins that are not empty, in order, each with how many durations are in it.
    bins: Vec<(u16, u64)>,
}

impl Spread {
    /// Adds a duration.
    pub fn add(&mut self, ms: u64) {
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms).min(i64::MAX.unsigned_abs());
        self.max_ms = self.max_ms.max(ms).min(i64::MAX.unsigned_abs());
        self.put(bin(ms), 1);
    }

    /// Adds all durations of another one.
    pub fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ms = self
            .sum_ms
            .saturating_add(other.sum_ms)
            .min(i64::MAX.unsigned_abs());
        self.max_ms = self.max_ms.max(other.max_ms);
        for (bin, count) in &other.bins {
            self.put(*bin, *count);
        }
    }

    fn put(&mut self, bin: u16, more: u64) {
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(place) => self.bins[place].1 += more,
            Err(place) => self.bins.insert(place, (bin, more)),
        }
    }

    /// How many durations there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.count)
    }

    /// The longest one; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max_ms)
    }

    /// The duration that `percent` of them do not exceed, to about 10 percent; `None` without any.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.bins.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(found.0).min(self.max_ms))
    }
}

/// The bin of a duration: 0 for less than a millisecond.
fn bin(ms: u64) -> u16 {
    match ms {
        0 => 0,
        // At most 257.
        ms => (((ms as f64).log2() * BINS).floor() as u16) + 1,
    }
}

/// A duration in the middle of a bin.
fn middle(bin: u16) -> u64 {
    match bin {
        0 => 0,
        bin => ((f64::from(bin) - 0.5) / BINS).exp2().round() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_about_ten_percent() {
        let mut spread = Spread::default();
        let values: Vec<u64> = (1..=1000).map(|n: u64| n * n * 37).collect();
        for value in &values {
            spread.add(*value);
        }
        for percent in [1, 10, 50, 90, 99, 100] {
            let exact = values[(percent as usize) * 10 - 1] as f64;
            let found = spread.percentile(percent).unwrap() as f64;
            assert!(
                (found / exact - 1.0).abs() < 0.1,
                "{percent}: {found} {exact}"
            );
        }
        assert_eq!(spread.max(), values.last().copied());
        assert_eq!(spread.mean(), Some(values.iter().sum::<u64>() / 1000));
    }

    #[test]
    fn joined_spreads_are_the_spread_of_all_durations() {
        let of = |values: &[u64]| {
            let mut spread = Spread::default();
            values.iter().for_each(|value| spread.add(*value));
            spread
        };
        let mut joined = of(&[0, 1, 2_000]);
        joined.join(&of(&[7, 2_100, u64::MAX]));
        joined.join(&Spread::default());
        assert_eq!(joined, of(&[2_100, 7, u64::MAX, 2_000, 1, 0]));
        assert_eq!(joined.count(), 6);
    }

    #[test]
    fn without_durations_there_is_no_figure() {
        let none = Spread::default();
        assert_eq!(
            (none.mean(), none.max(), none.percentile(50)),
            (None, None, None)
        );
        let mut one = Spread::default();
        one.add(3);
        assert_eq!((one.percentile(1), one.percentile(99)), (Some(3), Some(3)));
    }
}
