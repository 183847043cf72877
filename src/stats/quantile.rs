//! Quantiles from bins, with intervals by Woodruff's inversion: no resampling, so the same numbers every time.

use super::distribution::{clamp_p, t_above, t_for_level, welch_df};
use super::ecdf::{Ecdf, Sample, positive_ends};
use super::histogram::{Histogram, bin_ends};
use super::shift::Interval;

/// Traces beyond a quantile that are needed to speak of it: p95 takes 200 traces, p99 1,000.
const FEWEST_BEYOND: f64 = 10.0;

/// Whether so many traces are enough to speak of this quantile (both tails are looked at).
pub fn is_enough(q: f64, traces: u64) -> bool {
    traces as f64 * q.min(1.0 - q) >= FEWEST_BEYOND - 1e-9
}

/// The value below which the share `q` lies, in nanoseconds; bins are lines. `None` when nothing was added.
pub fn quantile(histogram: &Histogram, q: f64) -> Option<f64> {
    let mut bins: Vec<(u16, f64)> = histogram.cells().iter().map(|cell| (cell.bin, cell.mass as f64)).collect();
    bins.sort_unstable_by_key(|bin| bin.0);
    let target = q.clamp(0.0, 1.0) * histogram.mass() as f64;
    let mut below = 0.0;
    for group in bins.chunk_by(|a, b| a.0 == b.0) {
        let mass: f64 = group.iter().map(|bin| bin.1).sum();
        if below + mass >= target {
            let bin = group.first()?.0;
            let (low, high) = bin_ends(bin);
            return Some(if bin == 0 { 0.0 } else { low + (high - low) * ((target - below) / mass).clamp(0.0, 1.0) });
        }
        below += mass;
    }
    bins.last().map(|bin| if bin.0 == 0 { 0.0 } else { bin_ends(bin.0).1 })
}

/// A quantile and how well it is known, on the scale of logarithms.
struct Located {
    log: Interval,
    df: f64,
    t: f64,
}

impl Located {
    /// Standard error of the logarithm towards the side of the interval that `higher` names.
    fn se(&self, higher: bool) -> f64 {
        let width = if higher { self.log.high - self.log.estimate } else { self.log.estimate - self.log.low };
        if self.t > 0.0 { width / self.t } else { 0.0 }
    }
}

/// Woodruff: the interval of the share below the quantile, taken back through the distribution function.
fn locate(histogram: &Histogram, q: f64, level: f64) -> Option<Located> {
    if !(0.0..=1.0).contains(&q) {
        return None;
    }
    let sample = Sample::new(histogram)?;
    let ecdf: Ecdf = sample.ecdf(positive_ends);
    let at = ecdf.inverse(q);
    let below: Vec<f64> = sample
        .bins()
        .iter()
        .map(|bin| {
            let (low, high) = positive_ends(bin.0);
            ((at - low) / (high - low)).clamp(0.0, 1.0)
        })
        .collect();
    let t = t_for_level(level, sample.df());
    let half = t * sample.scatter(&below).variance.sqrt();
    let value = |share: f64| ecdf.inverse(share.clamp(0.0, 1.0)).ln();
    let log = Interval { estimate: at.ln(), low: value(q - half), high: value(q + half) };
    Some(Located { log, df: sample.df(), t })
}

/// A quantile in nanoseconds with its interval. `None` with fewer than two shards. Zeros count as half to one
/// nanosecond.
pub fn quantile_interval(histogram: &Histogram, q: f64, level: f64) -> Option<Interval> {
    let log = locate(histogram, q, level)?.log;
    Some(Interval { estimate: log.estimate.exp(), low: log.low.exp(), high: log.high.exp() })
}

/// By what factor a quantile moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileRatio {
    /// ln(after / before).
    pub log_ratio: Interval,
    /// Degrees of freedom (Welch–Satterthwaite).
    pub df: f64,
    /// Standard error of the ratio towards lower values, which speaks for "slower".
    pub se_low: f64,
    /// Standard error of the ratio towards higher values, which speaks for "faster".
    pub se_high: f64,
}

impl QuantileRatio {
    /// One-sided p value for "after is more than `margin` times before" (1 for any slowdown). Never 0.
    pub fn p_greater(&self, margin: f64) -> f64 {
        p(self.log_ratio.estimate - margin.ln(), self.se_low, self.df)
    }

    /// One-sided p value for "after is less than `margin` times before". Never 0.
    pub fn p_less(&self, margin: f64) -> f64 {
        p(margin.ln() - self.log_ratio.estimate, self.se_high, self.df)
    }

    /// Two-sided p value for any change. Never 0.
    pub fn p_two_sided(&self) -> f64 {
        clamp_p(2.0 * self.p_greater(1.0).min(self.p_less(1.0)))
    }
}

/// Without any error (all values in one bin) there is nothing to divide by, and no claim is made.
fn p(away: f64, se: f64, df: f64) -> f64 {
    if se > 0.0 { t_above(away / se, df) } else { 1.0 }
}

/// The ratio of two quantiles by MOVER (Zou and Donner): each end takes the matching ends of both sides. `None` with
/// fewer than two shards, or when either number of traces is not enough for `q` ([`is_enough`]).
pub fn quantile_ratio(
    before: &Histogram,
    after: &Histogram,
    q: f64,
    level: f64,
    traces: (u64, u64),
) -> Option<QuantileRatio> {
    if !is_enough(q, traces.0.min(traces.1)) {
        return None;
    }
    let (before, after) = (locate(before, q, level)?, locate(after, q, level)?);
    let estimate = after.log.estimate - before.log.estimate;
    let low = (after.log.estimate - after.log.low).hypot(before.log.high - before.log.estimate);
    let high = (after.log.high - after.log.estimate).hypot(before.log.estimate - before.log.low);
    let square = |se: f64| se * se;
    let (a, b) = (square(after.se(false) + after.se(true)), square(before.se(false) + before.se(true)));
    Some(QuantileRatio {
        log_ratio: Interval { estimate, low: estimate - low, high: estimate + high },
        df: welch_df(a, after.df, b, before.df),
        se_low: after.se(false).hypot(before.se(true)),
        se_high: after.se(true).hypot(before.se(false)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{Cell, ONE, bin_of};

    fn spread(scale: u64, count: u64) -> Histogram {
        Histogram::from_cells((0..count).map(|n| Cell {
            shard: (n * 7 % 32) as u8,
            bin: bin_of(scale * (1_000 + n)),
            mass: ONE,
        }))
    }

    #[test]
    fn even_values() {
        let histogram = spread(1, 1_000);
        for (q, expected) in [(0.5, 1_500.0), (0.95, 1_950.0), (0.0, 1_000.0), (1.0, 2_000.0)] {
            let found = quantile(&histogram, q).unwrap();
            assert!((found / expected - 1.0).abs() < 0.012, "{q}: {found}");
        }
        assert!(quantile(&Histogram::default(), 0.5).is_none());
        let zeros = Histogram::from_cells([Cell { shard: 0, bin: 0, mass: ONE }]);
        assert_eq!(quantile(&zeros, 0.9), Some(0.0));
    }

    #[test]
    fn intervals_hold_the_value() {
        let found = quantile_interval(&spread(1_000, 1_000), 0.5, 0.95).unwrap();
        // The standard error of the share is near ½/√1000; a share of 0.001 is a thousand nanoseconds.
        assert!(found.low < 1.5e6 && found.high > 1.5e6 && found.high - found.low < 1.2e5, "{found:?}");
    }

    #[test]
    fn ratios_mirror() {
        let (left, right) = (spread(1_000, 700), spread(1_300, 900));
        let there = quantile_ratio(&left, &right, 0.95, 0.95, (700, 900)).unwrap();
        let back = quantile_ratio(&right, &left, 0.95, 0.95, (900, 700)).unwrap();
        assert!((there.log_ratio.low + back.log_ratio.high).abs() < 1e-12);
        assert!((there.p_greater(1.0) / back.p_less(1.0) - 1.0).abs() < 1e-9);
        assert!(there.p_greater(1.0) < 1e-3 && there.p_greater(2.0) > 0.99);
    }

    #[test]
    fn far_quantiles_take_many_traces() {
        assert!(is_enough(0.95, 200) && !is_enough(0.95, 199) && is_enough(0.99, 1_000) && !is_enough(0.99, 999));
        let histogram = spread(1, 500);
        assert!(quantile_ratio(&histogram, &histogram, 0.99, 0.95, (500, 5_000)).is_none());
    }
}
