//! By how much is one side slower? The shift of Hodges and Lehmann on logarithms, with the interval of the rank test.

use super::distribution::t_for_level;
use super::ecdf::{Sample, positive_ends};
use super::histogram::Histogram;
use super::rank::{RankTest, compare};
use super::root::root;

/// An estimate and the interval that holds the truth with the level asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// By what factor the durations moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// ln(after / before): the d at which `after`·e⁻ᵈ is as often above `before` as below it.
    pub log_ratio: Interval,
    /// Its standard error: half of the interval's width in units of t.
    pub se: f64,
}

/// A difference of θ from ½ that is not rounding.
const LEVEL_GROUND: f64 = 1e-9;

/// The shift between two samples. `None` when a side has fewer than two shards.
///
/// Zeros count as half to one nanosecond. An end of the interval that the test never reaches (hardly any shards) is
/// the most extreme ratio of two values that occur.
pub fn hodges_lehmann(before: &Histogram, after: &Histogram, level: f64) -> Option<Shift> {
    let (before, after) = (Sample::new(before)?, Sample::new(after)?);
    let (lowest, highest) = bracket(&before, &after);
    let estimate = centre(&before, &after, lowest, highest);
    let test = |d: f64| shifted(&before, &after, d);
    let t = t_for_level(level, test(estimate).df);
    let low = root(lowest, estimate, |d| test(d).statistic() - t);
    let high = root(estimate, highest, |d| test(d).statistic() + t);
    let log_ratio = Interval { estimate, low: low.min(estimate), high: high.max(estimate) };
    let se = if t > 0.0 { (log_ratio.high - log_ratio.low) / (2.0 * t) } else { 0.0 };
    Some(Shift { log_ratio, se })
}

/// Between which shifts all pairs of values lie.
fn bracket(before: &Sample, after: &Sample) -> (f64, f64) {
    let (before, after) = (before.range(), after.range());
    ((after.0 / before.1).ln(), (after.1 / before.0).ln())
}

/// The rank test after shifting. Half of the shift is given to each side, so that swapping them mirrors it exactly.
fn shifted(before: &Sample, after: &Sample, d: f64) -> RankTest {
    let (up, down) = ((0.5 * d).exp(), (-0.5 * d).exp());
    let scaled = |bin: u16, factor: f64| {
        let (low, high) = positive_ends(bin);
        (low * factor, high * factor)
    };
    compare(before, after, |bin| scaled(bin, up), |bin| scaled(bin, down))
}

/// Where θ crosses ½; the middle where it stays at ½ for a while, as it does for a median of an even number.
fn centre(before: &Sample, after: &Sample, lowest: f64, highest: f64) -> f64 {
    let ecdf = before.ecdf(positive_ends);
    let away = |d: f64| {
        let factor = (-d).exp();
        let above = |&(bin, share): &(u16, f64)| {
            let (low, high) = positive_ends(bin);
            share * ecdf.mean(low * factor, high * factor)
        };
        after.bins().iter().map(above).sum::<f64>() - 0.5
    };
    let first = root(lowest, highest, |d| away(d) - LEVEL_GROUND);
    let last = root(first, highest, |d| away(d) + LEVEL_GROUND);
    first.midpoint(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{Cell, ONE, bin_of};

    fn one_each(values: &[u64]) -> Histogram {
        let cell = |(shard, &ns): (usize, &u64)| Cell { shard: (shard % 64) as u8, bin: bin_of(ns), mass: ONE };
        Histogram::from_cells(values.iter().enumerate().map(cell))
    }

    fn spread(factor: f64, count: u64) -> Vec<u64> {
        (0..count).map(|n| (factor * 1e6 * (1.0 + 0.013 * (n * 37 % count) as f64)) as u64).collect()
    }

    #[test]
    fn a_factor_is_found() {
        for factor in [0.5, 0.93, 1.0, 1.07, 1.5, 4.0] {
            let shift = hodges_lehmann(&one_each(&spread(1.0, 200)), &one_each(&spread(factor, 200)), 0.95).unwrap();
            let found = shift.log_ratio;
            assert!((found.estimate - f64::ln(factor)).abs() < 0.004, "{factor}: {found:?}");
            assert!(found.low < f64::ln(factor) && f64::ln(factor) < found.high, "{factor}: {found:?}");
            assert!(shift.se > 0.01 && shift.se < 0.1, "{}", shift.se);
        }
    }

    #[test]
    fn swapping_the_sides_mirrors() {
        let (left, right) = (one_each(&spread(1.0, 77)), one_each(&spread(1.31, 130)));
        let there = hodges_lehmann(&left, &right, 0.95).unwrap().log_ratio;
        let back = hodges_lehmann(&right, &left, 0.95).unwrap().log_ratio;
        for (a, b) in [(there.estimate, back.estimate), (there.low, back.high), (there.high, back.low)] {
            assert!((a + b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn the_interval_and_the_test_agree() {
        let (left, right) = (one_each(&spread(1.0, 90)), one_each(&spread(1.09, 90)));
        for level in [0.5, 0.8, 0.9, 0.95, 0.99, 0.999] {
            let low = hodges_lehmann(&left, &right, level).unwrap().log_ratio.low;
            let p = crate::stats::rank::rank_test(&left, &right).unwrap().p_two_sided();
            assert!((low > 0.0) == (p < 1.0 - level), "{level}: {low} {p}");
        }
    }

    #[test]
    fn zeros_do_not_break_it() {
        let zeros = one_each(&[0; 40]);
        let found = hodges_lehmann(&zeros, &zeros, 0.95).unwrap().log_ratio;
        assert!(found.estimate.abs() < 1e-9, "{found:?}");
        let mostly: Vec<u64> = (0..40).map(|n| if n < 25 { 0 } else { 1_000 * n }).collect();
        let found = hodges_lehmann(&one_each(&mostly), &one_each(&mostly), 0.95).unwrap().log_ratio;
        assert!(found.estimate.abs() < 1e-6 && found.low.is_finite() && found.high.is_finite(), "{found:?}");
        let found = hodges_lehmann(&zeros, &one_each(&spread(1.0, 40)), 0.95).unwrap().log_ratio;
        assert!(found.estimate > 10.0 && found.high.is_finite(), "{found:?}");
        let far = hodges_lehmann(&one_each(&[0, 0]), &one_each(&[u64::MAX, u64::MAX]), 0.95).unwrap().log_ratio;
        assert!(far.estimate.is_finite() && far.low.is_finite() && far.high.is_finite(), "{far:?}");
    }

    #[test]
    fn a_gap_is_halved() {
        // Pairwise ratios 2, 8, 1, 4: the median of their logs is ln 2·1.5.
        let shift = hodges_lehmann(&one_each(&[1_024, 2_048]), &one_each(&[2_048, 8_192]), 0.95).unwrap();
        assert!((shift.log_ratio.estimate - 1.5 * f64::ln(2.0)).abs() < 0.02, "{shift:?}");
    }
}
