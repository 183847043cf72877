//! Durations of both sides over one logarithmic axis.

use crate::diff::Bin;
use crate::model::{Pair, units};
use unicode_width::UnicodeWidthStr;

/// The axis that both sides share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// Natural logarithms of its ends in nanoseconds.
    low: f64,
    high: f64,
}

impl Axis {
    /// From the shortest to the longest duration of both sides; `None` without any.
    pub fn new(durations: &Pair<Vec<Bin>>) -> Option<Axis> {
        let bins = || durations.before.iter().chain(&durations.after).filter(|bin| bin.share > 0.0);
        let low = bins().map(|bin| bin.ns.0.max(1.0)).min_by(f64::total_cmp)?.ln();
        let high = bins().map(|bin| bin.ns.1.max(1.0)).max_by(f64::total_cmp)?.ln();
        // Even what is all of one duration needs an axis of some length.
        let high = high.max(low + 0.1);
        (low.is_finite() && high.is_finite()).then_some(Axis { low, high })
    }

    /// What of a side falls into each of so many columns, as shares of the side.
    pub fn columns(&self, bins: &[Bin], columns: usize) -> Vec<f64> {
        let mut shares = vec![0.0; columns];
        let scale = columns as f64 / (self.high - self.low);
        for bin in bins {
            let from = (bin.ns.0.max(1.0).ln() - self.low) * scale;
            let to = (bin.ns.1.max(1.0).ln() - self.low) * scale;
            let (first, last) = (from.floor().max(0.0) as usize, to.ceil().max(0.0) as usize);
            let width = (to - from).max(f64::EPSILON);
            for (column, share) in shares.iter_mut().enumerate().take(last).skip(first) {
                let inside = to.min(column as f64 + 1.0) - from.max(column as f64);
                *share += bin.share * (inside / width).clamp(0.0, 1.0);
            }
        }
        shares
    }

    /// Durations written under the axis: 1, 2 and 5 of each power of ten where there is room.
    pub fn labels(&self, columns: usize) -> String {
        let mut text = String::new();
        let mut used = 0;
        let scale = columns as f64 / (self.high - self.low);
        let first = (self.low / std::f64::consts::LN_10).floor().max(0.0) as i32;
        for power in first..first.saturating_add(20) {
            for step in [1.0, 2.0, 5.0] {
                let ns: f64 = step * 10f64.powi(power);
                let at = (ns.ln() - self.low) * scale;
                if at < 0.0 || at >= columns as f64 {
                    continue;
                }
                let (at, label) = (at as usize, units::duration(ns as u64));
                if (used == 0 || at > used + 2) && at + label.width() <= columns {
                    text.extend(std::iter::repeat_n(' ', at - used));
                    text.push_str(&label);
                    used = at + label.width();
                }
            }
        }
        text
    }
}

/// The duration below which this share of the side's spans lies, nanoseconds; `None` without any.
pub fn quantile(bins: &[Bin], share: f64) -> Option<u64> {
    let mut below = 0.0;
    for bin in bins.iter().filter(|bin| bin.share > 0.0) {
        if below + bin.share >= share {
            let inside = ((share - below) / bin.share).clamp(0.0, 1.0);
            return Some((bin.ns.0 + (bin.ns.1 - bin.ns.0) * inside) as u64);
        }
        below += bin.share;
    }
    bins.last().map(|bin| bin.ns.1 as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(from: f64, to: f64, share: f64) -> Bin {
        Bin { ns: (from, to), share }
    }

    #[test]
    fn both_sides_stand_over_one_axis() {
        // Three decades from 1 ms to 1 s; the first third is before, the last third after.
        let durations = Pair::new(vec![bin(1e6, 1e7, 1.0)], vec![bin(1e7, 1e8, 0.25), bin(1e8, 1e9, 0.75)]);
        let axis = Axis::new(&durations).unwrap();
        let rounded = |side: &[Bin], columns| -> Vec<i64> {
            axis.columns(side, columns).iter().map(|share| (share * 1000.0).round() as i64).collect()
        };
        assert_eq!(rounded(&durations.before, 3), [1000, 0, 0]);
        assert_eq!(rounded(&durations.after, 3), [0, 250, 750]);
        assert_eq!(rounded(&durations.after, 6), [0, 0, 125, 125, 375, 375]);
    }

    #[test]
    fn the_axis_says_what_it_measures() {
        let axis = Axis::new(&Pair::new(vec![bin(1e6, 1e9, 1.0)], Vec::new())).unwrap();
        // A third of the columns for each power of ten; the last label would not fit.
        assert_eq!(axis.labels(30), "1.0 ms    10 ms     100 ms");
        assert!(axis.labels(0).is_empty());
    }

    #[test]
    fn nothing_has_no_axis_and_one_duration_has_a_short_one() {
        assert_eq!(Axis::new(&Pair::default()), None);
        let axis = Axis::new(&Pair::new(vec![bin(0.0, 1.0, 1.0)], Vec::new())).unwrap();
        assert_eq!(axis.columns(&[bin(0.0, 1.0, 1.0)], 4).len(), 4);
        assert!(axis.columns(&[], 0).is_empty());
    }

    #[test]
    fn quantiles_lie_within_their_bin() {
        let bins = [bin(10.0, 20.0, 0.5), bin(20.0, 40.0, 0.5)];
        assert_eq!([0.25, 0.5, 0.75, 1.0].map(|share| quantile(&bins, share)), [15, 20, 30, 40].map(Some));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
