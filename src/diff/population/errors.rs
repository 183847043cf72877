//! Own errors that came or went, one bit a trace. An error whose child failed too is inherited and is no finding.

use super::attributes;
use super::judge::Test;
use super::work::{Work, plain};
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::{Confidence, EventChange};
use crate::model::profile::Sums;
use crate::model::{Pair, Side, units};
use crate::stats::counts;

/// Failed traces from which errors that were not there before are new.
const NEW_ERRORS: u64 = 3;
/// Smallest difference of the shares of failed traces.
const LEAST_SHARE: f64 = 0.005;
/// How many times as many there must be.
const LEAST_RATIO: f64 = 2.0;

/// A place whose own errors may have changed.
pub(super) struct Candidate {
    pub place: Pair<u32>,
    counts: Pair<(u64, u64)>,
    pub test: Test,
}

/// Every place with an error on a side.
pub(super) fn candidates(work: &Work<'_>) -> Vec<Candidate> {
    work.matched()
        .filter_map(|place| {
            let counts = Pair::new(
                failed(work, Side::Before, place.before, |sums| sums.own_errors),
                failed(work, Side::After, place.after, |sums| sums.own_errors),
            );
            (counts.before.0 + counts.after.0 > 0).then(|| Candidate { place, counts, test: test(counts) })
        })
        .collect()
}

/// Traces in which a node failed, of all with the node. Where traces have weights their share counts.
pub(super) fn failed(work: &Work<'_>, side: Side, node: u32, errors: fn(&Sums) -> u128) -> (u64, u64) {
    let (sums, traces) = (work.sums(side, node), work.traces(side, node));
    if sums.weight == 0 {
        return (0, traces);
    }
    let share = errors(&sums) as f64 / sums.weight as f64;
    (((share * traces as f64).round() as u64).min(traces), traces)
}

/// Failed traces of all, before and after.
pub(super) fn test(counts: Pair<(u64, u64)>) -> Test {
    let n = counts.map(|count| count.1);
    let mut test = Test::new(Metric::ErrorRate, "share", n, "fisher");
    let (before, after) = (counts.before, counts.after);
    let interval = counts::newcombe(before.0, before.1, after.0, after.1, 0.95);
    (test.effect.estimate, test.effect.low, test.effect.high) = (interval.estimate, interval.low, interval.high);
    let rates = counts.map(|(failed, of)| failed as f64 / of.max(1) as f64);
    let (few, many) =
        if rates.after > rates.before { (counts.before, counts.after) } else { (counts.after, counts.before) };
    let new = few.0 == 0 && many.0 >= NEW_ERRORS;
    let ratio = rates.before.max(rates.after) >= LEAST_RATIO * rates.before.min(rates.after);
    test.is_large = new || (ratio && interval.estimate.abs() >= LEAST_SHARE);
    test.p_differs = counts::fisher_two_sided(before.0, before.1, after.0, after.1);
    let beyond = interval.low > LEAST_SHARE || interval.high < -LEAST_SHARE;
    test.p_exceeds = if beyond { test.p_differs } else { 1.0 };
    test
}

/// Turns what was found into drafts.
pub(super) fn add(work: &Work<'_>, drafts: &mut Drafts, candidates: Vec<Candidate>) {
    for mut candidate in candidates {
        let Some(confidence) = verdict(work, &mut candidate) else { continue };
        if let Some(draft) = retried(drafts, candidate.place) {
            draft.evidence.push(title(work, &candidate, &[], Side::After));
            draft.effects.push(candidate.test.effect);
            continue;
        }
        let estimate = candidate.test.effect.estimate;
        let (kind, worse) =
            if estimate > 0.0 { (FindingKind::Failing, Side::After) } else { (FindingKind::Recovered, Side::Before) };
        let place = candidate.place;
        let mut draft = work.draft(kind, Pair::new(Some(place.before), Some(place.after)));
        draft.events = attributes::errors(work, Pair::new(Some(place.before), Some(place.after)));
        draft.title = title(work, &candidate, &draft.events, worse);
        draft.confidence = confidence;
        draft.effects.push(candidate.test.effect);
        *draft.exemplars.get_mut(worse) = work.exemplars(worse, *place.get(worse), true);
        own(drafts, place, draft);
    }
}

/// The draft of calls that are made again because tries fail: one cause, told once.
fn retried(drafts: &mut Drafts, place: Pair<u32>) -> Option<&mut Draft> {
    drafts.list.iter_mut().find(|draft| {
        let is_here = draft.nodes.after.first() == Some(&place.after);
        let calls = matches!(draft.kind, FindingKind::CallsUp | FindingKind::CallsDown);
        is_here && calls && draft.evidence.iter().any(|line| line.starts_with("retry"))
    })
}

fn own(drafts: &mut Drafts, place: Pair<u32>, draft: Draft) {
    let number = drafts.push(draft);
    drafts.own(Side::Before, place.before, number);
    drafts.own(Side::After, place.after, number);
}

/// How sure a candidate is; `None` when it may be chance.
fn verdict(work: &Work<'_>, candidate: &mut Candidate) -> Option<Confidence> {
    if candidate.test.is_found() {
        return Some(candidate.test.confidence());
    }
    let all = |count: (u64, u64)| count.0 == count.1 && count.0 > 0;
    let none = |count: (u64, u64)| count.0 == 0 && count.1 > 0;
    let (before, after) = (candidate.counts.before, candidate.counts.after);
    let total = (all(before) && none(after)) || (none(before) && all(after));
    let few = before.1.min(after.1);
    // No test can say anything about a handful of traces: see `structure`.
    if !total || few >= 5 {
        return None;
    }
    if !work.options.population.latency && few >= NEW_ERRORS {
        candidate.test.effect.strength = Strength::Fail;
        return Some(Confidence::Certain);
    }
    Some(Confidence::Weak)
}

fn title(work: &Work<'_>, candidate: &Candidate, events: &[EventChange], worse: Side) -> String {
    let text = |(failed, of): (u64, u64)| {
        format!(
            "{} ({} of {})",
            units::percent(failed as f64 / of.max(1) as f64),
            units::count(failed),
            units::count(of)
        )
    };
    let (before, after) = (text(candidate.counts.before), text(candidate.counts.after));
    let kind = most_changed(work, events, candidate.place, worse);
    let kind = kind.map_or_else(String::new, |kind| format!(": {kind}"));
    format!("own errors {before} → {after} of the traces{kind}")
}

/// The error type that grew most on the worse side.
fn most_changed(work: &Work<'_>, events: &[EventChange], place: Pair<u32>, worse: Side) -> Option<String> {
    let grown = events.iter().filter_map(|event| {
        let weight = |side: Side| plain(work.sums(side, *place.get(side)).weight).max(1.0);
        let share = |side: Side| *event.count.get(side) as f64 / weight(side);
        Some((share(worse) - share(worse.other()), event.exception_type.clone()?))
    });
    let most = grown.max_by(|x, y| x.0.total_cmp(&y.0).then_with(|| y.1.cmp(&x.1)));
    most.filter(|(share, _)| *share > 0.0).map(|(_, kind)| kind)
}
