//! What a user notices: duration, p95, errors and traffic of the entry points.

use super::canary::Canaries;
use super::drift::Environment;
use super::groups::{Group, Groups};
use super::judge::Test;
use super::latency::{Bounds, least_log, least_share, test, with_ratio};
use super::tail_shift;
use super::work::{Work, plain};
use super::{errors, numbers};
use crate::align::ROOT;
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::types::{AttributionRow, EntryPoint, Quantiles};
use crate::model::{Pair, Side};
use crate::stats::histogram::Histogram;
use crate::stats::prediction::OneMore;
use crate::stats::shift::{Shift, hodges_lehmann};
use crate::stats::{counts, power, quantile};

/// Smallest difference of the shares of the traffic.
const LEAST_SHARE: f64 = 0.05;

/// Where no number of traces is enough, so many are said to be needed: a number that every reader of JSON can hold.
const MOST_NEEDED: u64 = 1_000_000_000_000_000;

/// The tests of one group.
pub(super) struct Tested {
    pub duration: Option<Test>,
    pub p95: Option<Test>,
    pub errors: Option<Test>,
    pub traffic: Option<Test>,
    /// What one more instance would differ by.
    between: OneMore,
}

impl Tested {
    /// All tests, to be judged.
    pub fn tests(&mut self) -> impl Iterator<Item = &mut Test> {
        [&mut self.duration, &mut self.p95, &mut self.errors, &mut self.traffic].into_iter().flatten()
    }

    /// Whether the requests take another time.
    pub fn is_shifted(&self) -> bool {
        self.duration.iter().chain(&self.p95).any(Test::is_found)
    }

    fn effects(&self) -> Vec<Effect> {
        [&self.duration, &self.p95, &self.errors, &self.traffic].into_iter().flatten().map(|test| test.effect).collect()
    }
}

/// Durations of a group's requests.
pub(super) fn durations(work: &Work<'_>, group: &Group, side: Side) -> Histogram {
    let mut all = Histogram::default();
    for &entry in group.entries.get(side) {
        if let Some(state) = work.state(side, entry) {
            all.merge(&state.duration);
        }
    }
    all
}

/// Tests every group. Entry points are not freed of what the environment does to all paths: a user notices that, too.
pub(super) fn tested(work: &Work<'_>, groups: &Groups, environment: Environment, canaries: &Canaries) -> Vec<Tested> {
    // What came or went is told as such: shares are of what both sides have.
    let matched = groups.list.iter().filter(|group| group.is_matched()).map(|group| group.traces(work));
    let all =
        matched.fold(Pair::new(0, 0), |all, traces| Pair::new(all.before + traces.before, all.after + traces.after));
    groups
        .list
        .iter()
        .enumerate()
        .map(|(number, group)| {
            let tau = environment.tau * concentration(work, groups, number);
            let between = canaries.entry_point(work, groups, number);
            tested_group(work, group, (Environment { mu: 0.0, tau }, between), all)
        })
        .collect()
}

/// How far an entry point scatters when each of its paths scatters by one: it is a sum of them, so what is harmless in
/// each evens out. The root of the sum of the squares of their shares of the critical path; 1 for a single path.
fn concentration(work: &Work<'_>, groups: &Groups, group: usize) -> f64 {
    let of_group = work.nodes(Side::After).filter(|&node| groups.of(Side::After, node) == Some(group));
    let parts: Vec<f64> = of_group.map(|node| plain(work.sums(Side::After, node).critical_ns)).collect();
    let whole: f64 = parts.iter().sum();
    if whole > 0.0 { parts.iter().map(|part| (part / whole).powi(2)).sum::<f64>().sqrt() } else { 1.0 }
}

fn tested_group(
    work: &Work<'_>,
    group: &Group,
    (environment, between): (Environment, OneMore),
    all: Pair<u64>,
) -> Tested {
    let traces = group.traces(work);
    let mut tested = Tested { duration: None, p95: None, errors: None, traffic: None, between };
    if !group.is_matched() {
        return tested;
    }
    tested.traffic = Some(traffic(traces, all));
    let failed = |side: Side| {
        let of = |&entry: &u32| errors::failed(work, side, entry, |sums| sums.errors);
        group.entries.get(side).iter().map(of).fold((0, 0), |total, count| (total.0 + count.0, total.1 + count.1))
    };
    let failed = Pair::new(failed(Side::Before), failed(Side::After));
    tested.errors = (failed.before.0 + failed.after.0 > 0).then(|| errors::test(failed));
    let options = &work.options.population;
    if !options.latency || traces.before.min(traces.after) < options.min_traces.max(2) {
        return tested;
    }
    let samples = Pair::new(durations(work, group, Side::Before), durations(work, group, Side::After));
    let node = group.place().after.unwrap_or(ROOT);
    let bounds = Bounds { log: least_log(work, node), floor_ns: options.min_effect_ns as f64, environment, between };
    tested.duration = duration(samples.as_ref(), traces, &bounds);
    tested.p95 = tail_shift::test(samples.as_ref(), traces, &bounds).map(|tail| tail.test);
    tested
}

fn duration(samples: Pair<&Histogram>, traces: Pair<u64>, bounds: &Bounds) -> Option<Test> {
    let shift = hodges_lehmann(samples.before, samples.after, 0.95)?;
    let mut found = Test::new(Metric::Duration, "ratio", traces, "clustered_brunner_munzel");
    let shown = Shift { log_ratio: bounds.between.widen(shift.log_ratio, shift.se), ..shift };
    found.effect = with_ratio(found.effect, &shown);
    let medians = Pair::new(quantile::quantile(samples.before, 0.5)?, quantile::quantile(samples.after, 0.5)?);
    test(samples, &shift, medians, bounds, &mut found);
    Some(found)
}

fn traffic(traces: Pair<u64>, all: Pair<u64>) -> Test {
    let mut test = Test::new(Metric::Traffic, "share", all, "fisher");
    let (before, after) = ((traces.before, all.before), (traces.after, all.after));
    let interval = counts::newcombe(before.0, before.1, after.0, after.1, 0.95);
    (test.effect.estimate, test.effect.low, test.effect.high) = (interval.estimate, interval.low, interval.high);
    test.p_differs = counts::fisher_two_sided(before.0, before.1, after.0, after.1);
    test.is_large = interval.estimate.abs() >= LEAST_SHARE;
    // Traffic is nobody's regression.
    test.most = Strength::Warn;
    test
}

/// The entry point as it is reported.
pub(super) fn entry_point(
    work: &Work<'_>,
    group: &Group,
    tested: &Tested,
    rows: (Option<i64>, Vec<AttributionRow>, Vec<AttributionRow>),
) -> Option<EntryPoint> {
    let samples = Pair::new(durations(work, group, Side::Before), durations(work, group, Side::After));
    let quantiles = |side: Side| -> Option<Quantiles> {
        numbers::quantiles(samples.get(side), numbers::mean_of_group(work, group, side)?)
    };
    let error_rate = |side: Side| {
        let requests = group.requests(work, side);
        let failed: u128 = group.entries.get(side).iter().map(|&entry| work.sums(side, entry).failed_calls).sum();
        (requests > 0).then(|| plain(failed) / plain(requests))
    };
    let traces = group.traces(work);
    let options = &work.options.population;
    let spread = |sample: &Histogram| power::log_sd(sample);
    let log_sd = match (spread(&samples.before), spread(&samples.after)) {
        (Some(before), Some(after)) => Some(before.max(after)),
        (before, after) => before.or(after),
    };
    let spread = log_sd.map(|log_sd| power::Spread { log_sd, fixed: tested.between.variance });
    let margin = least_share(work, group.place().after.unwrap_or(ROOT));
    let fewest = traces.before.min(traces.after);
    let judged = options.latency && fewest >= options.min_traces;
    Some(EntryPoint {
        operation: group.operation(work)?.clone(),
        traces,
        duration_ns: Pair::new(quantiles(Side::Before), quantiles(Side::After)),
        delta_ns: rows.0,
        error_rate: Pair::new(error_rate(Side::Before), error_rate(Side::After)),
        attribution: rows.1,
        tail: rows.2,
        effects: tested.effects(),
        detectable: spread
            .filter(|_| judged)
            .map(|spread| 1.0 + power::detectable(spread, (traces.before, traces.after), margin)),
        needed_traces: spread
            .filter(|_| options.latency)
            .map(|spread| power::needed_traces(spread, options.must_detect, margin))
            .map(|needed| power::advised_traces(needed).max(options.min_traces).min(MOST_NEEDED)),
    })
}
