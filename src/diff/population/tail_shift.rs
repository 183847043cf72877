//! Changes that a test of the middle cannot see: a few calls that take much longer, a wider spread.
//!
//! Mean and 95th percentile, each freed of the common drift and judged against the scatter between paths; the smaller
//! p value counts, doubled for having looked at both.

use super::judge::Test;
use super::latency::Bounds;
use crate::diff::effects::Metric;
use crate::model::Pair;
use crate::stats::Interval;
use crate::stats::counts::ratio_change;
use crate::stats::distribution::t_above;
use crate::stats::histogram::{Histogram, bin_ends};
use crate::stats::quantile::{quantile, quantile_ratio};

/// The quantile that stands for the tail.
const TAIL: f64 = 0.95;
/// Names of the methods.
pub(super) const P95: &str = "woodruff_p95";
pub(super) const MEAN: &str = "mean_by_shards";
/// Statistics that are looked at.
const LOOKS: f64 = 2.0;

/// One statistic's change: ln(after / before), its standard error and degrees of freedom.
struct Moved {
    method: &'static str,
    log_ratio: f64,
    interval: Interval,
    se: f64,
    df: f64,
    /// The statistic on each side, nanoseconds.
    values: Pair<f64>,
}

impl Moved {
    /// One-sided p value for being further from the drift than `margin`, in the direction of the estimate.
    fn p(&self, bounds: &Bounds, margin: f64) -> f64 {
        let se = self.se.hypot(bounds.environment.tau);
        if se <= 0.0 || !se.is_finite() {
            return 1.0;
        }
        let within = t_above(((self.log_ratio - bounds.environment.mu).abs() - margin) / se, self.df);
        within.max(bounds.p_between(self.log_ratio, self.se, margin))
    }
}

/// The test of a tail, and the values of the statistic that decided.
pub(super) struct Tail {
    pub test: Test,
    pub values: Pair<f64>,
}

/// Tests the tail of two samples; `None` with too few traces.
pub(super) fn test(samples: Pair<&Histogram>, traces: Pair<u64>, bounds: &Bounds) -> Option<Tail> {
    let moved: Vec<Moved> = [p95(samples, traces), mean(samples)].into_iter().flatten().collect();
    let first = moved.iter().min_by(|x, y| x.p(bounds, 0.0).total_cmp(&y.p(bounds, 0.0)))?;
    let mut test = Test::new(Metric::P95, "ratio", traces, first.method);
    test.effect.estimate = first.log_ratio.exp();
    let interval = bounds.between.widen(first.interval, first.se);
    (test.effect.low, test.effect.high) = (interval.low.exp(), interval.high.exp());
    let looks = LOOKS * 2.0;
    test.p_differs = (looks * first.p(bounds, 0.0)).min(1.0);
    let away = (first.log_ratio - bounds.environment.mu).abs();
    test.is_large = first.log_ratio.abs() > bounds.log
        && away > bounds.log
        && (first.values.after - first.values.before).abs() >= bounds.floor_ns;
    if test.is_large {
        test.p_exceeds = (looks * first.p(bounds, bounds.log)).min(1.0);
    }
    Some(Tail { test, values: first.values })
}

fn p95(samples: Pair<&Histogram>, traces: Pair<u64>) -> Option<Moved> {
    let found = quantile_ratio(samples.before, samples.after, TAIL, 0.95, (traces.before, traces.after))?;
    let interval = found.log_ratio;
    let se = if interval.estimate >= 0.0 { found.se_low } else { found.se_high };
    Some(Moved {
        method: P95,
        log_ratio: interval.estimate,
        interval,
        se,
        df: found.df,
        values: Pair::new(quantile(samples.before, TAIL)?, quantile(samples.after, TAIL)?),
    })
}

fn mean(samples: Pair<&Histogram>) -> Option<Moved> {
    let found = ratio_change(&by_shard(samples.before), &by_shard(samples.after))?;
    let interval = found.log_ratio;
    Some(Moved {
        method: MEAN,
        log_ratio: interval.estimate,
        interval,
        se: found.log_se,
        df: found.df,
        values: Pair::new(found.ratios.0, found.ratios.1),
    })
}

/// Time and mass of each shard; bins count with their middles.
fn by_shard(sample: &Histogram) -> Vec<(f64, f64)> {
    let mut sums: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for cell in sample.cells() {
        if last != Some(cell.shard) {
            sums.push((0.0, 0.0));
            last = Some(cell.shard);
        }
        let (low, high) = bin_ends(cell.bin);
        if let Some(sum) = sums.last_mut() {
            sum.0 += f64::midpoint(low, high) * cell.mass as f64;
            sum.1 += cell.mass as f64;
        }
    }
    sums
}
