//! Drafts become findings: numbers, rank, the chain of reasons, identity from run to run.

use super::attribution::Attribution;
use super::draft::Draft;
use super::kind::FindingKind;
use super::paths::{PathId, text_hash};
use super::types::{Confidence, Finding, Omitted, Quantiles};
use super::work::Work;
use super::{attributes, because};
use crate::align::hash::mix;
use crate::model::{Pair, Side};

/// Scores below this are shown as uncertain.
pub(super) const UNCERTAIN: f64 = 0.7;

/// The findings that are kept, and what became of all drafts.
pub(super) struct Listed {
    pub findings: Vec<Finding>,
    /// For each draft its place among the findings; `None` for those left out.
    pub rank: Vec<Option<usize>>,
    pub omitted: Omitted,
    /// Drafts of each kind, left out or not; only kinds that occur.
    pub by_kind: Vec<(FindingKind, u64)>,
}

/// Makes findings of the drafts in `order`, at most `max`; what is beyond is counted. `contributions` are by draft.
pub(super) fn list(
    drafts: &[Draft],
    order: Vec<usize>,
    contributions: &[i64],
    max: usize,
    finding: impl Fn(&Draft, i64) -> Finding,
) -> Listed {
    let mut listed = Listed {
        findings: Vec::new(),
        rank: vec![None; drafts.len()],
        omitted: Omitted::default(),
        by_kind: FindingKind::ALL.iter().map(|&kind| (kind, 0)).collect(),
    };
    for number in order {
        let Some(draft) = drafts.get(number) else { continue };
        let contribution = contributions.get(number).copied().unwrap_or(0);
        if let Some(entry) = listed.by_kind.iter_mut().find(|entry| entry.0 == draft.kind) {
            entry.1 += 1;
        }
        if listed.findings.len() >= max {
            listed.omitted.findings += 1;
            listed.omitted.contribution_ns += contribution;
            continue;
        }
        if let Some(slot) = listed.rank.get_mut(number) {
            *slot = Some(listed.findings.len());
        }
        listed.findings.push(finding(draft, contribution));
    }
    listed.by_kind.retain(|entry| entry.1 > 0);
    listed
}

/// Fills in a draft's numbers. `hashes` are the fingerprints of the call paths, `contribution_ns` is its share of the critical path's change.
pub(super) fn finding(work: &Work<'_>, hashes: &[u64], draft: &Draft, contribution_ns: i64) -> Finding {
    let path = work.paths.operations(draft.path, work.operations());
    let from_path = draft.from_path.map(|path| work.paths.operations(path, work.operations()));
    let both = |f: &dyn Fn(Side, &[u32]) -> Option<i64>| {
        Pair::new(f(Side::Before, &draft.nodes.before), f(Side::After, &draft.nodes.after))
    };
    let sum = |of: &dyn Fn(Side, u32) -> Option<u64>, side: Side, nodes: &[u32]| -> Option<i64> {
        let known: Vec<u64> = nodes.iter().filter_map(|&node| of(side, node)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<u64>() as i64)
    };
    let count = draft.nodes.as_ref().map(|nodes| nodes.len() as u64);
    let on_path = |side: Side| draft.nodes.get(side).iter().any(|&node| work.critical_ns(side, node) > 0);
    let mut evidence = draft.evidence.clone();
    let on_critical_path = Pair::new(on_path(Side::Before), on_path(Side::After));
    let about_time =
        matches!(draft.kind, FindingKind::Slower | FindingKind::Faster | FindingKind::Added | FindingKind::CallsUp);
    if about_time && contribution_ns == 0 && !on_critical_path.before && !on_critical_path.after {
        evidence.push("off the critical path on both sides: does not make the request faster or slower".to_owned());
    }
    let delta = work.root_ns(Side::Before).zip(work.root_ns(Side::After)).map(|(b, a)| a as i64 - b as i64);
    let mut attributes = draft.attributes.clone();
    if attributes.is_empty() {
        attributes = attributes::of_draft(work, draft);
    }
    Finding {
        fingerprint: fingerprint(draft, hashes),
        kind: draft.kind,
        because: because::chain(work, draft, contribution_ns),
        path,
        from_path,
        spans: count,
        subtree: draft.subtree,
        calls_per_trace: count.map(|count| count as f64),
        duration_ns: Pair::new(quantiles(work, Side::Before, draft), quantiles(work, Side::After, draft)),
        self_time_ns: both(&|side, nodes| sum(&|side, node| Some(work.self_ns(side, node)), side, nodes)),
        edge_time_ns: both(&|side, nodes| sum(&|side, node| work.edge_ns(side, node), side, nodes)),
        error_rate: Pair::new(error_rate(work, Side::Before, draft), error_rate(work, Side::After, draft)),
        title: draft.title.clone(),
        evidence,
        contribution_ns,
        // A share of a change that is within a millisecond of nothing, or small beside its parts, says nothing.
        share: delta
            .filter(|delta| delta.unsigned_abs() >= work.options.min_time_ns)
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
        attributes,
        events: draft.events.clone(),
        exemplars: Pair::new(example(work, Side::Before, draft), example(work, Side::After, draft))
            .map(|example| example.into_iter().collect()),
        effects: Vec::new(),
        instances: Vec::new(),
        first_seen: None,
        accepted: None,
    }
}

fn example(work: &Work<'_>, side: Side, draft: &Draft) -> Option<(crate::model::TraceId, crate::model::SpanId)> {
    let span = work.span(side, (*draft.example.get(side))?)?;
    Some((span.trace_id, span.id))
}

fn error_rate(work: &Work<'_>, side: Side, draft: &Draft) -> Option<f64> {
    let nodes = draft.nodes.get(side);
    let failed = nodes.iter().filter(|&&node| work.node(side, node).failed).count();
    (!nodes.is_empty()).then(|| failed as f64 / nodes.len() as f64)
}

fn quantiles(work: &Work<'_>, side: Side, draft: &Draft) -> Option<Quantiles> {
    let mut durations: Vec<u64> = draft.nodes.get(side).iter().map(|&node| work.node(side, node).duration_ns).collect();
    durations.sort_unstable();
    of_durations(&durations)
}

/// Mean and quantiles (nearest rank) of sorted durations; p99 only from a hundred on.
pub(super) fn of_durations(sorted: &[u64]) -> Option<Quantiles> {
    let count = sorted.len();
    let at = |percent: usize| sorted.get((count * percent).div_ceil(100).clamp(1, count.max(1)) - 1).copied();
    let sum: u128 = sorted.iter().map(|&ns| u128::from(ns)).sum();
    Some(Quantiles {
        mean: i64::try_from(sum.checked_div(count as u128)?).ok()?,
        p50: at(50)? as i64,
        p95: at(95)? as i64,
        p99: if count >= 100 { at(99).map(|ns| ns as i64) } else { None },
    })
}

/// What an attribution calls a finding.
pub(super) fn label(finding: &Finding) -> String {
    finding.operation().map_or_else(String::new, |operation| format!("{operation}, {}", finding.kind.name()))
}

/// Kind and paths as 64 bits of hex: the same finding has the same fingerprint in every run and version.
pub(super) fn fingerprint(draft: &Draft, hashes: &[u64]) -> String {
    let of = |path: PathId| hashes.get(path.0 as usize).copied().unwrap_or_default();
    let path = mix(of(draft.path) ^ text_hash(0, draft.kind.name()));
    format!("{:016x}", mix(path ^ draft.from_path.map_or(0, of).rotate_left(1)))
}

/// What decides the order: errors and structure are certain and come before jitter-sized time, but nothing comes
/// before a change that makes up most of the request, whose `share` it is.
pub(super) fn weight(kind: FindingKind, share: f64) -> f64 {
    let certain = match kind {
        FindingKind::Failing
        | FindingKind::Recovered
        | FindingKind::InstanceFailing
        | FindingKind::InstanceGone
        | FindingKind::ContextLost => 0.5,
        FindingKind::Added
        | FindingKind::Removed
        | FindingKind::CallsUp
        | FindingKind::CallsDown
        | FindingKind::LayerAdded
        | FindingKind::LayerRemoved
        | FindingKind::Serialized
        | FindingKind::Parallelized => 0.25,
        FindingKind::Moved | FindingKind::Split | FindingKind::Merged => 0.2,
        FindingKind::Renamed => 0.15,
        FindingKind::LinkAdded
        | FindingKind::LinkRemoved
        | FindingKind::InstanceNew
        | FindingKind::ContextJoined
        | FindingKind::Mix
        | FindingKind::Drift => 0.1,
        FindingKind::Slower | FindingKind::Faster => 0.0,
        FindingKind::Attributes => -0.1,
    };
    certain + share
}

/// The drafts' numbers, most important first; equal ones by their texts, so that no table order shows.
pub(super) fn ranked(work: &Work<'_>, drafts: &[Draft], attribution: &Attribution) -> Vec<usize> {
    let longest = work.root_ns(Side::Before).max(work.root_ns(Side::After)).unwrap_or(1).max(1);
    let weights = drafts.iter().enumerate().map(|(number, draft)| {
        let contribution = attribution.by_draft.get(number).copied().unwrap_or(0);
        weight(draft.kind, contribution.unsigned_abs() as f64 / longest as f64)
    });
    in_order(weights, drafts, &work.paths.order(work.operations()))
}

/// The drafts' numbers by weight; equal ones by the places of their call paths in the order of texts.
pub(super) fn in_order(weights: impl Iterator<Item = f64>, drafts: &[Draft], places: &[u32]) -> Vec<usize> {
    let mut order: Vec<(f64, u32, usize)> = drafts
        .iter()
        .zip(weights)
        .enumerate()
        .map(|(number, (draft, weight))| {
            (weight, places.get(draft.path.0 as usize).copied().unwrap_or_default(), number)
        })
        .collect();
    order.sort_by(|x, y| y.0.total_cmp(&x.0).then_with(|| x.1.cmp(&y.1)).then(x.2.cmp(&y.2)));
    order.into_iter().map(|(_, _, number)| number).collect()
}
