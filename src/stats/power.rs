//! How many traces would have been enough, and how small a slowdown would have been found.

use super::distribution::normal_quantile_above;
use super::ecdf::{Sample, positive_ends};
use super::histogram::{Histogram, ONE};
use std::f64::consts::FRAC_PI_3;

/// One-sided significance that a single test typically needs within a family.
pub const ALPHA: f64 = 0.001;
/// The power that is asked for.
pub const POWER: f64 = 0.8;

/// What the logarithms of durations spread by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Between traces: their standard deviation.
    pub log_sd: f64,
    /// Variance of the difference of the sides that more traces do not reduce, such as that between instances.
    pub fixed: f64,
}

/// Traces of each side that find a slowdown of `effect` (0.1 is 10 %) beyond a margin of `delta`, at [`ALPHA`] one-sided
/// with [`POWER`]; the largest number where no traces are enough. The rank test needs π/3 of what a mean needs.
pub fn needed_traces(spread: Spread, effect: f64, delta: f64) -> u64 {
    let z = normal_quantile_above(ALPHA) + normal_quantile_above(1.0 - POWER);
    let distance = ((1.0 + effect) / (1.0 + delta)).ln();
    let variance = (distance / z).powi(2) - spread.fixed;
    if !(distance > 0.0 && variance > 0.0) {
        return u64::MAX;
    }
    // The cast stops at the largest number.
    (2.0 * spread.log_sd.powi(2) / variance * FRAC_PI_3).ceil() as u64
}

/// Traces to advise where `needed` would do if the spread were known. It is estimated twice: now, from 64 shards (two
/// standard errors of their scatter are 18 %), and again from the traces that will be there.
pub fn advised_traces(needed: u64) -> u64 {
    let now = 1.0 - 2.0 / f64::from(2 * 63u32).sqrt();
    let then = 1.0 + 2.0 / (2.0 * needed.max(1) as f64).sqrt();
    (needed as f64 * (then / now).powi(2)).ceil() as u64
}

/// The smallest slowdown (0.1 is 10 %) that is shown to exceed `delta` at [`ALPHA`] one-sided with [`POWER`] by so many
/// traces before and after; infinite without traces.
pub fn detectable(spread: Spread, traces: (u64, u64), delta: f64) -> f64 {
    let z = normal_quantile_above(ALPHA) + normal_quantile_above(1.0 - POWER);
    let per_trace = 1.0 / traces.0 as f64 + 1.0 / traces.1 as f64;
    let variance = spread.log_sd.powi(2) * per_trace * FRAC_PI_3 + spread.fixed;
    (1.0 + delta) * (z * variance.sqrt()).exp() - 1.0
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
                let spread = Spread { log_sd: sd, fixed: 0.0 };
                let found = needed_traces(spread, effect, delta);
                assert!(found.abs_diff(expected) <= 1, "{sd} {effect} {delta}: {found}, table {expected}");
                let back = detectable(spread, (found, found), delta);
                assert!(back <= effect && back > 0.95 * effect, "{back}");
            }
        }
        let half = Spread { log_sd: 0.5, fixed: 0.0 };
        assert_eq!(needed_traces(half, 0.05, 0.05), u64::MAX);
        // 100 · (1 + 2/√200)² / (1 - 2/√126)²; far out only the first estimate is a matter of chance.
        assert_eq!((advised_traces(100), advised_traces(1_000_000)), (193, 1_484_800));
        assert_eq!(advised_traces(u64::MAX), u64::MAX);
        assert!(detectable(half, (0, 10), 0.05).is_infinite());
    }

    #[test]
    fn what_traces_do_not_reduce_is_a_limit() {
        // Instances that differ by 10 %: z is 3.090 + 0.842, so e^0.393 = 1.48 is the least, whatever the traces.
        let spread = Spread { log_sd: 0.6, fixed: 0.01 };
        assert!((detectable(spread, (u64::MAX, u64::MAX), 0.0) - 0.481_6).abs() < 1e-3);
        assert_eq!(needed_traces(spread, 0.25, 0.05), u64::MAX);
        let enough = needed_traces(spread, 0.6, 0.0);
        let back = detectable(spread, (enough, enough), 0.0);
        assert!(back <= 0.6 && back > 0.58, "{enough} {back}");
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
