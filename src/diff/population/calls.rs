//! More or fewer calls for each call of the parent.

use super::judge::Test;
use super::work::{Work, plain};
use crate::align::ROOT;
use crate::diff::draft::Drafts;
use crate::diff::effects::Metric;
use crate::diff::kind::FindingKind;
use crate::model::profile::PathState;
use crate::model::{Kind, Pair, Side, units};
use crate::stats::counts;

/// Ratio of calls below which a change is the environment's.
const LEAST_RATIO: f64 = 1.1;
/// Smallest difference of calls for each call of the parent.
const LEAST_CALLS: f64 = 0.05;
/// Ratio of calls that is a change by any standard, when it is at least one call.
const LARGE_RATIO: f64 = 1.5;
/// Smallest difference of the shares of traces with the path.
const LEAST_SHARE: f64 = 0.05;
/// Difference of the shares that is a change by any standard.
const LARGE_SHARE: f64 = 0.10;
/// Calls under one parent from which repetition is named.
const REPEATED: f64 = 5.0;

/// A place whose number of calls may have changed.
pub(super) struct Candidate {
    pub place: Pair<u32>,
    /// Calls for each call of the parent on each side.
    rate: Pair<f64>,
    /// Share of the traces with the parent that have the path.
    share: Pair<f64>,
    pub calls: Option<Test>,
    pub presence: Option<Test>,
}

impl Candidate {
    /// The tests, to be judged.
    pub fn tests(&mut self) -> impl Iterator<Item = &mut Test> {
        self.calls.iter_mut().chain(&mut self.presence)
    }
}

/// Every place below an entry point.
pub(super) fn candidates(work: &Work<'_>) -> Vec<Candidate> {
    work.matched().filter_map(|place| candidate(work, place)).collect()
}

fn candidate(work: &Work<'_>, place: Pair<u32>) -> Option<Candidate> {
    let parents = Pair::new(work.parent(Side::Before, place.before), work.parent(Side::After, place.after));
    if parents.before == ROOT || parents.after == ROOT {
        return None;
    }
    let rate = |side: Side| {
        let (calls, of) = (work.sums(side, *place.get(side)).calls, work.sums(side, *parents.get(side)).calls);
        plain(calls) / plain(of.max(1))
    };
    let counted = |side: Side| {
        let of = work.traces(side, *parents.get(side));
        (work.traces(side, *place.get(side)).min(of), of)
    };
    let (before, after) = (counted(Side::Before), counted(Side::After));
    let fraction = |(x, n): (u64, u64)| x as f64 / n.max(1) as f64;
    Some(Candidate {
        place,
        rate: Pair::new(rate(Side::Before), rate(Side::After)),
        share: Pair::new(fraction(before), fraction(after)),
        calls: ratio_test(work, place, parents),
        presence: presence_test(before, after),
    })
}

/// Calls and the parent's calls by shard, in the coarser one's division.
fn by_shard(work: &Work<'_>, side: Side, node: u32, parent: u32) -> Vec<(f64, f64)> {
    let (Some(state), Some(above)) = (work.state(side, node), work.state(side, parent)) else { return Vec::new() };
    let count = |state: &PathState| state.shards.count().max(1);
    let shards = count(state).min(count(above));
    let mut sums = vec![(0.0, 0.0); usize::from(shards)];
    for (shard, of) in above.shards.iter() {
        if let Some(slot) = sums.get_mut(usize::from(shard % shards)) {
            slot.1 += plain(of.calls);
        }
    }
    for (shard, own) in state.shards.iter() {
        if let Some(slot) = sums.get_mut(usize::from(shard % shards)) {
            slot.0 += plain(own.calls);
        }
    }
    sums.retain(|sum| sum.1 > 0.0);
    sums
}

fn ratio_test(work: &Work<'_>, place: Pair<u32>, parents: Pair<u32>) -> Option<Test> {
    let traces = Pair::new(work.traces(Side::Before, place.before), work.traces(Side::After, place.after));
    let before = by_shard(work, Side::Before, place.before, parents.before);
    let after = by_shard(work, Side::After, place.after, parents.after);
    let found = counts::ratio_change(&before, &after)?;
    let mut test = Test::new(Metric::Calls, "ratio", traces, "ratio_by_shards");
    let interval = found.log_ratio;
    test.effect.estimate = interval.estimate.exp();
    (test.effect.low, test.effect.high) = (interval.low.exp(), interval.high.exp());
    let difference = found.difference.estimate.abs();
    test.is_large = interval.estimate.abs() > LEAST_RATIO.ln() && difference >= LEAST_CALLS;
    if test.is_large {
        // The other way round it is the same question for fewer.
        let more = if interval.estimate > 0.0 { found } else { counts::ratio_change(&after, &before)? };
        let beyond = |ratio: f64| (2.0 * more.p_above(ratio)).min(1.0);
        test.p_differs = beyond(LEAST_RATIO);
        test.p_exceeds = if difference >= 1.0 { beyond(LARGE_RATIO) } else { 1.0 };
    }
    Some(test)
}

fn presence_test(before: (u64, u64), after: (u64, u64)) -> Option<Test> {
    if before.1 == 0 || after.1 == 0 || (before.0 == before.1 && after.0 == after.1) {
        return None;
    }
    let mut test = Test::new(Metric::Presence, "share", Pair::new(before.1, after.1), "fisher");
    let interval = counts::newcombe(before.0, before.1, after.0, after.1, 0.95);
    (test.effect.estimate, test.effect.low, test.effect.high) = (interval.estimate, interval.low, interval.high);
    test.is_large = interval.estimate.abs() >= LEAST_SHARE;
    if test.is_large {
        test.p_differs = counts::fisher_two_sided(before.0, before.1, after.0, after.1);
        let beyond = interval.low > LARGE_SHARE || interval.high < -LARGE_SHARE;
        test.p_exceeds = if beyond { test.p_differs } else { 1.0 };
    }
    Some(test)
}

/// Turns what was found into drafts.
pub(super) fn add(work: &Work<'_>, drafts: &mut Drafts, candidates: Vec<Candidate>) {
    for candidate in candidates {
        let found: Vec<&Test> =
            candidate.calls.iter().chain(&candidate.presence).filter(|test| test.is_found()).collect();
        let Some(strongest) = found.iter().max_by_key(|test| test.effect.strength) else { continue };
        let more = match candidate.calls.as_ref().filter(|test| test.is_found()) {
            Some(test) => test.effect.estimate > 1.0,
            None => strongest.effect.estimate > 0.0,
        };
        let kind = if more { FindingKind::CallsUp } else { FindingKind::CallsDown };
        let place = Pair::new(Some(candidate.place.before), Some(candidate.place.after));
        let mut draft = work.draft(kind, place);
        draft.title = title(work, &candidate);
        draft.evidence = repetition(work, &candidate, more);
        draft.confidence = strongest.confidence();
        draft.effects.extend(candidate.calls.iter().chain(&candidate.presence).map(|test| test.effect));
        drafts.push(draft);
    }
}

fn title(work: &Work<'_>, candidate: &Candidate) -> String {
    let parent = work.label(Side::After, work.parent(Side::After, candidate.place.after));
    let calls = candidate.calls.as_ref().is_some_and(Test::is_found);
    if calls && (candidate.rate.before.max(candidate.rate.after) >= 1.5 || candidate.presence.is_none()) {
        let rate = candidate.rate;
        return format!(
            "{} → {} calls for each call of `{parent}`",
            units::mean_count(rate.before),
            units::mean_count(rate.after)
        );
    }
    format!(
        "called in {} → {} of the traces with `{parent}`",
        units::percent(candidate.share.before),
        units::percent(candidate.share.after)
    )
}

/// Names what the extra calls are: an N+1 pattern, or retries after failed tries.
fn repetition(work: &Work<'_>, candidate: &Candidate, more: bool) -> Vec<String> {
    let (side, many, few) = if more {
        (Side::After, candidate.rate.after, candidate.rate.before)
    } else {
        (Side::Before, candidate.rate.before, candidate.rate.after)
    };
    let failed = |side: Side| {
        let node = *candidate.place.get(side);
        let (sums, parent) = (work.sums(side, node), work.sums(side, work.parent(side, node)));
        plain(sums.failed_calls) / plain(parent.calls.max(1))
    };
    // Tries that failed and were repeated: as many more calls failed as there are more.
    let failures = failed(side) - failed(side.other());
    if failures > 0.0 && failures >= 0.5 * (many - few) {
        let tries = units::mean_count(failures);
        return vec![format!(
            "retry: {tries} more failed tries for each call of the caller, as many as there are more calls"
        )];
    }
    let node = *candidate.place.get(side);
    let is_query = work.operation_at(side, node).is_some_and(|operation| operation.kind == Kind::Client);
    if many >= REPEATED && many >= 3.0 * few && is_query && one_after_another(work, side, node) {
        return vec![format!(
            "N+1: {} calls of the same operation one after another under one parent",
            units::mean_count(many)
        )];
    }
    Vec::new()
}

/// Whether the children of the parent do not overlap, by the sums of their durations and of the time they cover.
fn one_after_another(work: &Work<'_>, side: Side, node: u32) -> bool {
    let parent = work.sums(side, work.parent(side, node));
    10 * (parent.children_ns - parent.covered_ns.min(parent.children_ns)) <= parent.children_ns
}
