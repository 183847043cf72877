//! How many traces would have been enough, and how small a slowdown would have been found.

use super::distribution::normal_quantile_above;
use super::ecdf::{Sample, positive_ends};
use super::histogram::{Histogram, ONE};
use std::f64::consts::FRAC_PI_3;

/// One-sided significance that a single test typically needs within a family.
pub const ALPHA: f64 = 0.001;
/// The power that is asked for.
pub const POWER: f64 = 0.8;

/// Traces of each side that find a slowdown of `effect` (0.1 is 10 %) beyond a margin of `delta`, at [`ALPHA`] one-sided
/// with [`POWER`], when the logarithms of durations spread by `log_sd`. The rank test needs π/3 of what a mean needs.
pub fn needed_traces(log_sd: f64, effect: f64, delta: f64) -> u64 {
    let z = normal_quantile_above(ALPHA) + normal_quantile_above(1.0 - POWER);
    let distance = ((1.0 + effect) / (1.0 + delta)).ln();
    if distance <= 0.0 || distance.is_nan() {
        return u64::MAX;
    }
    // The cast stops at the largest number.
    (2.0 * (log_sd * z / distance).powi(2) * FRAC_PI_3).ceil() as u64
}

/// Traces to advise where `needed` would do if the spread were known. It is estimated twice: now, from 64 shards (two
/// standard errors of their scatter are 18 %), and again from the traces that will be there.
pub fn advised_traces(needed: u64) -> u64 {
    let now = 1.0 - 2.0 / f64::from(2 * 63u32).sqrt();
    let then = 1.0 + 2.0 / (2.0 * needed.max(1) as f64).sqrt();
    (needed as f64 * (then / now).powi(2)).ceil() as u64
}

/// The smallest slowdown (0.1 is 10 %) that is shown to exceed `delta` with this power; infinite without traces.
pub fn detectable(log_sd: f64, traces_before: u64, traces_after: u64, delta: f64, alpha: f64, power: f64) -> f64 {
    let z = normal_quantile_above(alpha) + normal_quantile_above(1.0 - power);
    let per_trace = 1.0 / traces_before as f64 + 1.0 / traces_after as f64;
    (1.0 + delta) * (z * log_sd * (per_trace * FRAC_PI_3).sqrt()).exp() - 1.0
}

/// By how much the mean logarithm of a trace's durations spreads between traces; a zero counts as 1/√2 ns.
///
/// Taken from the scatter between shards, so that many calls in a trace count as far as they are independent, and at
/// most the spread of the single durations. `None` with fewer than two shards.
pub fn log_sd(histogram: &Histogram) -> Option<f64> {
    let sample = Sample::new(histogram)?;
    let logs: Vec<f64> = sample
        .bins()
        .iter()
        .map(|bin| {
            let (low, high) = positive_ends(bin.0);
            0.5 * (low.ln() + high.ln())
        })
        .collect();
    let between = sample.scatter(&logs);
    let traces = histogram.mass() as f64 / ONE as f64;
    let single: f64 = sample.bins().iter().zip(&logs).map(|(bin, log)| bin.1 * (log - between.mean).powi(2)).sum();
    Some((between.variance * traces).min(single).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{Cell, bin_of};

    #[test]
    fn the_table_of_the_design() {
        // statistics.md §2.7.
        let table = [(0.3, [321, 1_347, 88, 164, 18, 23]), (0.6, [1_284, 5_387, 351, 654, 71, 92])];
        let last = (1.0, [3_565, 14_962, 975, 1_816, 197, 255]);
        let cases = [(0.1, 0.0), (0.1, 0.05), (0.2, 0.0), (0.2, 0.05), (0.5, 0.0), (0.5, 0.05)];
        for (sd, row) in table.into_iter().chain([last]) {
            for ((effect, delta), expected) in cases.into_iter().zip(row) {
                let found = needed_traces(sd, effect, delta);
                assert!(found.abs_diff(expected) <= 1, "{sd} {effect} {delta}: {found}, table {expected}");
                let back = detectable(sd, found, found, delta, ALPHA, POWER);
                assert!(back <= effect && back > 0.95 * effect, "{back}");
            }
        }
        assert_eq!(needed_traces(0.5, 0.05, 0.05), u64::MAX);
        // 100 · (1 + 2/√200)² / (1 - 2/√126)²; far out only the first estimate is a matter of chance.
        assert_eq!((advised_traces(100), advised_traces(1_000_000)), (193, 1_484_800));
        assert_eq!(advised_traces(u64::MAX), u64::MAX);
        assert!(detectable(0.5, 0, 10, 0.05, ALPHA, POWER).is_infinite());
    }

    #[test]
    fn calls_that_agree_do_not_add() {
        // 64 traces, each with 5 equal calls: their own spread counts.
        let cell = |n: u64| Cell { shard: n as u8, bin: bin_of(1 << (10 + n % 2)), mass: ONE / 5 };
        let found = log_sd(&Histogram::from_cells((0..64).flat_map(|n| vec![cell(n); 5]))).unwrap();
        assert!((found - 0.5 * 2f64.ln()).abs() < 0.01, "{found}");
        assert!(log_sd(&Histogram::default()).is_none());
    }
}
