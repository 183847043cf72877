//! Slower and faster: self time and edge time of every place, beyond what the environment does to all of them.
//!
//! A change counts as a warning when it differs from the common drift by more than the scatter between paths explains
//! and its estimate matters; it fails when the minimum effect itself is exceeded beyond doubt. Both are symmetric in
//! the sides.

use super::drift::Environment;
use super::judge::Test;
use super::tail_shift;
use super::work::Work;
use crate::diff::effects::{Effect, Metric, Strength};
use crate::model::profile::PathState;
use crate::model::{Pair, Side};
use crate::stats::distribution::{t_above, t_two_sided};
use crate::stats::histogram::Histogram;
use crate::stats::prediction::OneMore;
use crate::stats::rank::rank_test_shifted;
use crate::stats::shift::{Shift, hodges_lehmann};
use crate::stats::{Interval, quantile};

/// Level of the intervals that are shown.
const LEVEL: f64 = 0.95;
/// Difference of the shares of zero times from which instrumentation changed and not time: a client span's self time
/// is zero where its server was recorded, because then it is the edge's.
const ZEROS: f64 = 0.2;
/// Places whose tails are looked at.
const MOST_TAILS: usize = 100;

/// One metric of one place.
#[derive(Clone)]
pub(super) struct Timed {
    pub place: Pair<u32>,
    /// Self time or edge time.
    pub metric: Metric,
    /// Whether it is about the slowest calls, and not about the middle.
    pub is_tail: bool,
    /// ln(after / before).
    pub shift: Shift,
    /// Medians, nanoseconds; for the tail what was compared there.
    pub values: Pair<f64>,
    pub test: Test,
}

impl Timed {
    /// Ratio after/before by estimate.
    pub fn ratio(&self) -> f64 {
        self.shift.log_ratio.estimate.exp()
    }

    /// Fills in the tests, now that the environment is known.
    pub fn test(&mut self, work: &Work<'_>, bounds: &Bounds) {
        let (Some(before), Some(after)) =
            (work.state(Side::Before, self.place.before), work.state(Side::After, self.place.after))
        else {
            return;
        };
        let samples = Pair::new(histogram(before, self.metric), histogram(after, self.metric));
        if !self.is_tail {
            test(samples, &self.shift, self.values, bounds, &mut self.test);
            self.shift.log_ratio = bounds.between.widen(self.shift.log_ratio, self.shift.se);
            self.test.effect = with_ratio(self.test.effect, &self.shift);
            return;
        }
        if let Some(found) = tail_shift::test(samples, self.test.effect.n, bounds) {
            self.values = found.values;
            let log = |ratio: f64| ratio.ln();
            let effect = found.test.effect;
            self.shift.log_ratio =
                Interval { estimate: log(effect.estimate), low: log(effect.low), high: log(effect.high) };
            self.test = Test { most: self.test.most, ..found.test };
        }
    }
}

/// The histogram of a metric.
pub(super) const fn histogram(state: &PathState, metric: Metric) -> &Histogram {
    match metric {
        Metric::EdgeTime => &state.edge_time,
        Metric::Duration => &state.duration,
        _ => &state.self_time,
    }
}

/// Measures every place with enough traces on both sides. Its tests are still to be filled in by [`Timed::test`].
pub(super) fn measure(work: &Work<'_>) -> Vec<Timed> {
    let mut measured = Vec::new();
    for place in work.matched() {
        let traces = Pair::new(work.traces(Side::Before, place.before), work.traces(Side::After, place.after));
        if traces.before.min(traces.after) < work.options.population.min_traces.max(2) {
            continue;
        }
        let (Some(before), Some(after)) =
            (work.state(Side::Before, place.before), work.state(Side::After, place.after))
        else {
            continue;
        };
        for metric in [Metric::SelfTime, Metric::EdgeTime] {
            let samples = Pair::new(histogram(before, metric), histogram(after, metric));
            // What came between caller and callee took the edge, or gave it back.
            if metric == Metric::EdgeTime && !has_same_caller(work, place) {
                continue;
            }
            if is_comparable(samples) {
                measured.extend(timed(place, metric, samples, traces));
            }
        }
    }
    let tails = tails(work, &measured);
    measured.extend(tails);
    measured
}

/// The places whose tails are looked at: those with the most time.
fn tails(work: &Work<'_>, measured: &[Timed]) -> Vec<Timed> {
    let time = |one: &Timed| {
        let of = |side: Side| {
            let sums = work.sums(side, *one.place.get(side));
            if one.metric == Metric::EdgeTime { sums.edge_ns } else { sums.self_ns }
        };
        of(Side::Before).max(of(Side::After))
    };
    let mut order: Vec<(u128, usize)> = measured.iter().map(time).zip(0..).collect();
    order.sort_by_key(|&(time, index)| (std::cmp::Reverse(time), index));
    order.truncate(MOST_TAILS);
    order.sort_by_key(|&(_, index)| index);
    let tail = |&(_, index): &(u128, usize)| Some(Timed { is_tail: true, ..measured.get(index)?.clone() });
    order.iter().filter_map(tail).collect()
}

/// Whether the callers of a place correspond to each other.
fn has_same_caller(work: &Work<'_>, place: Pair<u32>) -> bool {
    let caller = work.parent(Side::After, place.after);
    work.partner(Side::Before, work.parent(Side::Before, place.before)) == Some(caller)
}

/// Whether both sides have times, and not because one recorded what the other did not.
fn is_comparable(samples: Pair<&Histogram>) -> bool {
    let zeros = samples.map(|sample| {
        let zero: u128 = sample.cells().iter().filter(|cell| cell.bin == 0).map(|cell| u128::from(cell.mass)).sum();
        zero as f64 / sample.mass().max(1) as f64
    });
    let empty = samples.before.is_empty() || samples.after.is_empty();
    !empty && zeros.before.min(zeros.after) < 1.0 && (zeros.before - zeros.after).abs() <= ZEROS
}

fn timed(place: Pair<u32>, metric: Metric, samples: Pair<&Histogram>, traces: Pair<u64>) -> Option<Timed> {
    let shift = hodges_lehmann(samples.before, samples.after, LEVEL)?;
    let mut test = Test::new(metric, "ratio", traces, "clustered_brunner_munzel");
    test.effect = with_ratio(test.effect, &shift);
    let medians = Pair::new(quantile::quantile(samples.before, 0.5)?, quantile::quantile(samples.after, 0.5)?);
    Some(Timed { place, metric, is_tail: false, shift, values: medians, test })
}

/// An effect with the shift as its ratio.
pub(super) fn with_ratio(effect: Effect, shift: &Shift) -> Effect {
    let interval = shift.log_ratio;
    Effect { estimate: interval.estimate.exp(), low: interval.low.exp(), high: interval.high.exp(), ..effect }
}

/// What must be exceeded, and what the environment does by itself.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Smallest ratio that matters, as a logarithm.
    pub log: f64,
    /// Smallest difference that matters, nanoseconds.
    pub floor_ns: f64,
    pub environment: Environment,
    /// What one more instance would differ by.
    pub between: OneMore,
}

impl Bounds {
    /// One-sided p value for a log ratio that is further from the drift than `margin` and than instances are from each
    /// other; 0 when they play no part.
    pub fn p_between(&self, log_ratio: f64, se: f64, margin: f64) -> f64 {
        let Environment { mu, tau } = self.environment;
        self.between.p_above((log_ratio - mu).abs() - margin, se.hypot(tau))
    }
}

/// Fills in the p values of a shift of the middle.
pub(super) fn test(samples: Pair<&Histogram>, shift: &Shift, medians: Pair<f64>, bounds: &Bounds, test: &mut Test) {
    let (mu, tau) = (bounds.environment.mu, bounds.environment.tau);
    let d = shift.log_ratio.estimate;
    let shrink = if shift.se > 0.0 { shift.se / shift.se.hypot(tau) } else { 1.0 };
    let centre = (-mu).exp();
    if let Some(found) = rank_test_shifted(samples.before, samples.after, &|ns| ns * centre) {
        test.p_differs = if tau > 0.0 || mu != 0.0 {
            t_two_sided(found.statistic() * shrink, found.df)
        } else {
            found.p_two_sided()
        };
    }
    test.p_differs = test.p_differs.max((2.0 * bounds.p_between(d, shift.se, 0.0)).min(1.0));
    let moved = (medians.after - medians.before).abs();
    test.is_large = d.abs() > bounds.log && (d - mu).abs() > bounds.log && moved >= bounds.floor_ns;
    if !test.is_large || test.most < Strength::Fail {
        return;
    }
    // The least that after must be away for the minimum effect to be exceeded; the floor is centred half way, so that
    // swapping the sides mirrors it.
    let (factor, floor) = (bounds.log.exp(), bounds.floor_ns * (-mu / 2.0).exp());
    let slower = |ns: f64| (ns * centre / factor).min(ns * centre - floor);
    let faster = |ns: f64| (ns * centre * factor).max(ns * centre + floor);
    let found = if d > mu {
        rank_test_shifted(samples.before, samples.after, &slower)
    } else {
        rank_test_shifted(samples.before, samples.after, &faster)
    };
    if let Some(found) = found {
        let t = found.statistic() * if d > mu { shrink } else { -shrink };
        // Both directions are looked at.
        let p = t_above(t, found.df).max(bounds.p_between(d, shift.se, bounds.log));
        test.p_exceeds = (2.0 * p).min(1.0);
    }
}

/// What a place must exceed: the absolute floor is that of a request, so a path called ten times a trace needs a tenth
/// for each call.
pub(super) fn bounds(work: &Work<'_>, place: Pair<u32>, environment: Environment, between: OneMore) -> Bounds {
    let calls = |side: Side, node: u32| work.per_trace(side, node, |sums| sums.calls);
    let calls = f64::midpoint(calls(Side::Before, place.before), calls(Side::After, place.after)).max(1.0);
    Bounds {
        log: least_log(work, place.after),
        floor_ns: work.options.population.min_effect_ns as f64 / calls,
        environment,
        between,
    }
}

/// Smallest ratio that matters at a node of the after side, as a logarithm.
pub(super) fn least_log(work: &Work<'_>, node: u32) -> f64 {
    least_share(work, node).ln_1p()
}

/// Smallest change that matters at a node of the after side, as a share.
pub(super) fn least_share(work: &Work<'_>, node: u32) -> f64 {
    let options = &work.options.population;
    if options.min_effects.is_empty() {
        return options.min_effect.max(0.0);
    }
    options.min_effect_at(&work.paths.operations(work.path(Side::After, node), work.operations())).max(0.0)
}
