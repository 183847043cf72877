//! Drafts become findings: numbers, rank, the chain of reasons.

use super::first_seen::{Onset, first_seen};
use super::groups::Groups;
use super::work::{Work, plain};
use super::{attributes, numbers};
use crate::diff::because::ladder;
use crate::diff::draft::Draft;
use crate::diff::effects::Metric;
use crate::diff::finish::{UNCERTAIN, fingerprint, in_order, weight};
use crate::diff::kind::FindingKind;
use crate::diff::types::{Confidence, Finding, Quantiles};
use crate::model::profile::Sums;
use crate::model::{Pair, Side, units};

/// A contribution below this share of the request is none: the path is hidden behind others.
const OFF_PATH: f64 = 0.001;

/// What every finding needs to know of its entry point.
pub(super) struct Told<'a> {
    pub groups: &'a Groups,
    /// Change of the mean and the longer of the means, by group.
    pub changes: &'a [(Option<i64>, i64)],
    /// Fingerprints of the call paths.
    pub hashes: &'a [u64],
}

impl Told<'_> {
    fn change(&self, draft: &Draft) -> (Option<i64>, i64) {
        let place = Pair::new(draft.nodes.before.first().copied(), draft.nodes.after.first().copied());
        self.groups.of_place(place).and_then(|group| self.changes.get(group).copied()).unwrap_or((None, 1))
    }
}

/// Fills in a draft's numbers. `contribution_ns` is its part of the change of its entry point's mean.
pub(super) fn finding(work: &Work<'_>, told: &Told<'_>, draft: &Draft, contribution_ns: i64) -> Finding {
    let (delta, longest) = told.change(draft);
    let on_path = |side: Side| draft.nodes.get(side).iter().any(|&node| work.sums(side, node).critical_ns > 0);
    let on_critical_path = Pair::new(on_path(Side::Before), on_path(Side::After));
    let mut evidence = draft.evidence.clone();
    let about_time =
        matches!(draft.kind, FindingKind::Slower | FindingKind::Faster | FindingKind::Added | FindingKind::CallsUp);
    if about_time && !on_critical_path.before && !on_critical_path.after {
        evidence.push("off the critical path on both sides: does not make the request faster or slower".to_owned());
    } else if matches!(draft.kind, FindingKind::Slower | FindingKind::Faster)
        && contribution_ns.unsigned_abs() as f64 <= OFF_PATH * longest as f64
    {
        evidence.push("hidden behind other work: hardly changes how long the request takes".to_owned());
    }
    let per_trace = |sum: fn(&Sums) -> u128| {
        Pair::new(mean_of(work, draft, Side::Before, sum), mean_of(work, draft, Side::After, sum))
    };
    let place = Pair::new(draft.nodes.before.first().copied(), draft.nodes.after.first().copied());
    let seen = onset(draft.kind).and_then(|onset| first_seen(work, place, onset));
    if let Some(seen) = seen.as_ref().filter(|_| draft.first_seen.is_none()) {
        evidence.push(seen.text.clone());
    }
    Finding {
        fingerprint: fingerprint(draft, told.hashes),
        kind: draft.kind,
        because: because(work, draft, contribution_ns),
        path: work.paths.operations(draft.path, work.operations()),
        from_path: draft.from_path.map(|path| work.paths.operations(path, work.operations())),
        spans: Pair::new(spans(work, draft, Side::Before), spans(work, draft, Side::After)),
        subtree: draft.subtree,
        calls_per_trace: Pair::new(calls(work, draft, Side::Before), calls(work, draft, Side::After)),
        duration_ns: Pair::new(durations(work, draft, Side::Before), durations(work, draft, Side::After)),
        self_time_ns: per_trace(|sums| sums.self_ns),
        edge_time_ns: per_trace(|sums| sums.edge_ns).map(|ns| ns.filter(|&ns| ns != 0)),
        error_rate: Pair::new(error_rate(work, draft, Side::Before), error_rate(work, draft, Side::After)),
        title: draft.title.clone(),
        evidence,
        contribution_ns,
        // A share of a change that is within the smallest that matters says nothing.
        share: delta
            .filter(|delta| draft.kind != FindingKind::Mix && delta.unsigned_abs() >= work.options.min_time_ns)
            .map(|delta| contribution_ns as f64 / delta as f64)
            .filter(|share| share.abs() < 10.0),
        on_critical_path,
        // An uncertain match makes what rests on it uncertain.
        confidence: if draft.matched.reason != "none" && draft.matched.score < UNCERTAIN {
            Confidence::Weak
        } else {
            draft.confidence
        },
        matched: draft.matched,
        attributes: if draft.attributes.is_empty() {
            attributes::differing(work, place)
        } else {
            draft.attributes.clone()
        },
        events: draft.events.clone(),
        exemplars: Pair::new(exemplars(work, draft, Side::Before), exemplars(work, draft, Side::After)),
        effects: draft.effects.clone(),
        instances: draft.instances.clone(),
        first_seen: draft.first_seen.or_else(|| seen.and_then(|seen| Some((seen.unix_ns, seen.trace?)))),
        accepted: None,
    }
}

/// What says when a finding of this kind began; `None` where it says so itself or that has no meaning.
const fn onset(kind: FindingKind) -> Option<Onset> {
    match kind {
        FindingKind::Slower | FindingKind::Faster => Some(Onset::Time),
        FindingKind::Failing | FindingKind::Recovered => Some(Onset::Errors),
        FindingKind::Added | FindingKind::LayerAdded => Some(Onset::Presence),
        _ => None,
    }
}

/// The draft's nodes of a side added up.
fn total(work: &Work<'_>, draft: &Draft, side: Side) -> Sums {
    draft.nodes.get(side).iter().fold(Sums::default(), |mut total, &node| {
        total.add(&work.sums(side, node));
        total
    })
}

fn spans(work: &Work<'_>, draft: &Draft, side: Side) -> u64 {
    draft.nodes.get(side).iter().map(|&node| work.spans(side, node)).sum()
}

/// Mean of a sum in a trace with the path.
fn mean_of(work: &Work<'_>, draft: &Draft, side: Side, sum: fn(&Sums) -> u128) -> Option<i64> {
    let weight: u128 = draft.nodes.get(side).iter().map(|&node| work.sums(side, node).weight).max()?;
    numbers::rounded(sum(&total(work, draft, side)), weight)
}

/// Calls in a trace of the entry point.
fn calls(work: &Work<'_>, draft: &Draft, side: Side) -> f64 {
    let Some(&first) = draft.nodes.get(side).first() else { return 0.0 };
    let traces = plain(work.sums(side, work.entry(side, first)).weight);
    if traces > 0.0 { plain(total(work, draft, side).calls) / traces } else { 0.0 }
}

fn durations(work: &Work<'_>, draft: &Draft, side: Side) -> Option<Quantiles> {
    let first = *draft.nodes.get(side).first()?;
    let sums = work.sums(side, first);
    numbers::quantiles(&work.state(side, first)?.duration, numbers::rounded(sums.duration_ns, sums.calls)?)
}

fn error_rate(work: &Work<'_>, draft: &Draft, side: Side) -> Option<f64> {
    let total = total(work, draft, side);
    (total.calls > 0).then(|| plain(total.failed_calls) / plain(total.calls))
}

/// Example spans: the draft's own choice, else those of the node; for what got slower the slowest one as well.
fn exemplars(work: &Work<'_>, draft: &Draft, side: Side) -> Vec<(crate::model::TraceId, crate::model::SpanId)> {
    let own = draft.exemplars.get(side);
    if !own.is_empty() {
        return own.clone();
    }
    let Some(node) = *draft.example.get(side) else { return Vec::new() };
    let mut found = work.exemplars(side, node, false);
    let tail = draft.effects.iter().any(|effect| effect.metric == Metric::P95);
    if tail && let Some(slowest) = work.state(side, node).and_then(|state| state.exemplars.slowest) {
        found.retain(|&id| id != (slowest.trace_id, slowest.span_id));
        found.insert(0, (slowest.trace_id, slowest.span_id));
    }
    found
}

/// From the symptom to the cause, one line a level.
fn because(work: &Work<'_>, draft: &Draft, contribution_ns: i64) -> Vec<String> {
    let example =
        draft.example.after.map(|node| (Side::After, node)).or(draft.example.before.map(|node| (Side::Before, node)));
    let Some((side, node)) = example.filter(|&(_, node)| node != crate::align::ROOT) else { return Vec::new() };
    let above = std::iter::successors(Some(node), |&at| {
        Some(work.parent(side, at)).filter(|&parent| parent != crate::align::ROOT)
    });
    let lines = above.skip(1).map(|at| line(work, side, at, draft.kind, contribution_ns));
    ladder(lines, || format!("{}: {}", work.label(side, node), draft.title))
}

/// What a matched caller says: `frontend: GET /dispatch takes 150 ms more`; nothing when its change is too small.
fn line(work: &Work<'_>, side: Side, node: u32, kind: FindingKind, contribution_ns: i64) -> Option<String> {
    let partner = work.partner(side, node)?;
    let (before, after) = if side == Side::Before { (node, partner) } else { (partner, node) };
    if matches!(kind, FindingKind::Failing | FindingKind::Recovered) {
        let failed = |side: Side, node: u32| work.per_trace(side, node, |sums| sums.errors);
        let (first, second) = (failed(Side::Before, before), failed(Side::After, after));
        let same_way = (second > first) == (kind == FindingKind::Failing);
        return (same_way && (second - first).abs() >= 0.005).then(|| {
            format!(
                "{} fails in {} → {}",
                work.label(Side::After, after),
                units::percent(first),
                units::percent(second)
            )
        });
    }
    let mean = |side: Side, node: u32| {
        let sums = work.sums(side, node);
        numbers::rounded(sums.duration_ns, sums.calls)
    };
    let delta = mean(Side::After, after)? - mean(Side::Before, before)?;
    if delta.unsigned_abs() <= work.options.min_time_ns || delta.signum() != contribution_ns.signum() {
        return None;
    }
    let more = if delta > 0 { "more" } else { "less" };
    Some(format!("{} takes {} {more}", work.label(Side::After, after), units::duration(delta.unsigned_abs())))
}

/// The drafts' numbers, most important first.
pub(super) fn ranked(work: &Work<'_>, told: &Told<'_>, drafts: &[Draft], contributions: &[i64]) -> Vec<usize> {
    let weights = drafts.iter().zip(contributions).map(|(draft, contribution)| {
        let longest = told.change(draft).1.max(1);
        weight(draft.kind, contribution.unsigned_abs() as f64 / longest as f64)
    });
    in_order(weights, drafts, &work.paths.order(work.operations()))
}
