//! What reports of populations say in the same words, whatever their form.

use crate::diff::{Diff, Effect, EntryPoint, FindingKind, InstanceGroup, Metric, Strength};
use crate::model::Pair;
use crate::model::units::{count, counted, duration, percent, probability};

/// Instances that are named.
const NAMED: usize = 6;
/// Shared attributes that are told.
const SHARED: usize = 3;

/// `2,000 → 1,980 traces   20,000 → 19,800 spans   errors 3 → 40`.
pub fn totals(diff: &Diff) -> String {
    let both = super::both;
    let traces = Pair::new(diff.inputs.before.traces, diff.inputs.after.traces);
    let matched = counted(diff.summary.matched, "call path matched", "call paths matched");
    format!(
        "{} traces   {} spans ({matched})   errors {}",
        both(traces),
        both(diff.summary.spans),
        both(diff.summary.errors)
    )
}

/// What was compared and found equal, and how sharp that is.
pub fn nothing_found(diff: &Diff) -> String {
    if !diff.comparable.ok {
        return "nothing was compared: the sides share no entry point".into();
    }
    let points = diff.entry_points.iter().filter(|entry| entry.traces.before > 0 && entry.traces.after > 0);
    let number = counted(points.clone().count() as u64, "entry point", "entry points");
    let sharpest: Option<f64> =
        points.clone().map(|entry| entry.detectable).try_fold(1.0f64, |worst, it| Some(worst.max(it?)));
    match sharpest {
        Some(ratio) if ratio > 1.0 => format!(
            "no difference found at {number}; a slowdown of {} would have been found at each of them",
            percent(ratio - 1.0)
        ),
        _ => format!("no difference found at {number}, but at some there are too few traces to find a slowdown"),
    }
}

/// `self time ×1.21 [1.12, 1.31], q 3e-4, n 1,204 + 1,187`.
pub fn effect(effect: &Effect) -> String {
    format!("{} {}", effect.metric.name().replace('_', " "), effect.words())
}

/// The test that says most: the strongest, then the least likely by chance.
pub fn main_effect(effects: &[Effect]) -> Option<&Effect> {
    let by = |a: &&Effect, b: &&Effect| a.strength.cmp(&b.strength).then(b.q.total_cmp(&a.q));
    // Of equals the first counts, so the search goes backwards.
    effects.iter().rev().max_by(by)
}

/// The change of an entry point's duration with its interval, or what keeps it from being told: `×1.21 [1.12, 1.31]`.
pub fn entry_ratio(entry: &EntryPoint) -> String {
    let effect = entry.effects.iter().find(|effect| effect.metric == Metric::Duration && effect.unit == "ratio");
    match effect {
        Some(effect) => effect.size(),
        None if entry.traces.before == 0 => "only after".into(),
        None if entry.traces.after == 0 => "only before".into(),
        None => "not judged".into(),
    }
}

/// How strongly the worst or best change of an entry point is shown, and whether it is for the worse.
pub fn entry_change(entry: &EntryPoint) -> Option<(&Effect, bool)> {
    let shown = entry.effects.iter().filter(|effect| effect.strength > Strength::None);
    let effect = shown.rev().max_by(|a, b| a.strength.cmp(&b.strength).then(b.q.total_cmp(&a.q)))?;
    let nothing = if effect.unit == "ratio" { 1.0 } else { 0.0 };
    Some((effect, effect.estimate > nothing))
}

/// A side's quantile in words, or a dash.
pub fn time(ns: Option<i64>) -> String {
    ns.map_or("—".into(), |ns| duration(ns.max(0).unsigned_abs()))
}

/// A share of the traces that failed, or a dash.
pub fn rate(share: Option<f64>) -> String {
    share.map_or("—".into(), percent)
}

/// `230 of 1,300 db.namespace gone (1.2 expected by chance): db-017, db-018 and 224 more`.
pub fn instances(kind: FindingKind, group: &InstanceGroup) -> String {
    let what = match kind {
        FindingKind::InstanceGone => "gone",
        FindingKind::InstanceNew => "new",
        FindingKind::InstanceFailing => "failing",
        _ => "affected",
    };
    let named: Vec<&str> = group.named.iter().take(NAMED).map(String::as_str).collect();
    let hidden = group.named_total.saturating_sub(named.len() as u64);
    let hidden = if hidden > 0 { format!(" and {} more", count(hidden)) } else { String::new() };
    let names = if named.is_empty() { String::new() } else { format!(": {}{hidden}", named.join(", ")) };
    format!(
        "{} of {} {} {what} ({:.1} expected by chance){names}",
        count(group.observed),
        count(group.of),
        group.key,
        group.expected_by_chance
    )
}

/// What instances share, a line each: `all share k8s.cluster.name = c7 (230 of its 231)`.
pub fn shared(group: &InstanceGroup) -> Vec<String> {
    let mut lines: Vec<String> = group
        .shared
        .iter()
        .take(SHARED)
        .map(|shared| {
            let (inside, all) = (count(shared.inside), count(shared.all));
            let q = probability(shared.q);
            format!("{inside} share {} = {}, which {all} have in all (q {q})", shared.key, shared.value)
        })
        .collect();
    let hidden = group.shared.len().saturating_sub(SHARED) as u64;
    if hidden > 0 {
        lines.push(format!("⋯ {} more in common", count(hidden)));
    }
    lines
}
