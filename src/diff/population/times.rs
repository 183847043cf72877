//! Shifts that were found become drafts: slower and faster, at the deepest path that explains them.

use super::judge::Test;
use super::latency::Timed;
use super::tail_shift;
use super::work::Work;
use crate::diff::draft::{Drafts, NOBODY};
use crate::diff::effects::Metric;
use crate::diff::kind::FindingKind;
use crate::model::{Pair, Side, units};

/// Turns what was found into drafts.
pub(super) fn add(work: &Work<'_>, drafts: &mut Drafts, measured: &[Timed]) {
    for one in measured.iter().filter(|one| one.test.is_found()) {
        let (a, b) = (one.place.before, one.place.after);
        let change = change(one);
        if let Some(number) = failing(drafts, b) {
            if let Some(draft) = drafts.list.get_mut(number) {
                draft.evidence.push(format!("self time {change}: part of the same change"));
                draft.effects.push(one.test.effect);
            }
            continue;
        }
        if let Some(draft) = told(drafts, one).and_then(|number| drafts.list.get_mut(number)) {
            draft.evidence.push(format!("{} {change}", what(one)));
            draft.effects.push(one.test.effect);
            continue;
        }
        if one.metric == Metric::SelfTime
            && let Some(number) = absorbed(work, drafts, one)
        {
            drafts.own(Side::Before, a, number);
            drafts.own(Side::After, b, number);
            continue;
        }
        let kind = if one.ratio() > 1.0 { FindingKind::Slower } else { FindingKind::Faster };
        let mut draft = work.draft(kind, Pair::new(Some(a), Some(b)));
        draft.title = format!("{} {change}", what(one));
        draft.confidence = one.test.confidence();
        draft.effects.push(one.test.effect);
        draft.evidence.extend(became_critical(work, one));
        let number = drafts.push(draft);
        for (side, node) in [(Side::Before, a), (Side::After, b)] {
            let charged = if one.metric == Metric::EdgeTime { work.parent(side, node) } else { node };
            drafts.own(side, charged, number);
        }
    }
}

/// What got slower or faster, in words.
fn what(one: &Timed) -> String {
    let time = if one.metric == Metric::EdgeTime { "edge time (network and queue to it)" } else { "self time" };
    match one.test.effect.method {
        tail_shift::P95 => format!("95th percentile of the {time}"),
        tail_shift::MEAN => format!("mean {time}"),
        _ => time.to_owned(),
    }
}

/// The draft that tells already that the middle of the same times moved the same way.
fn told(drafts: &Drafts, one: &Timed) -> Option<usize> {
    if !one.is_tail {
        return None;
    }
    drafts.list.iter().position(|draft| {
        let same = draft.nodes.after.first() == Some(&one.place.after)
            && draft.kind == if one.ratio() > 1.0 { FindingKind::Slower } else { FindingKind::Faster };
        same && draft.effects.first().is_some_and(|effect| effect.metric == one.metric)
    })
}

/// Value and ratio with its interval: `100 ms → 150 ms (×1.50, ×1.42 to ×1.58)`.
pub(super) fn change(one: &Timed) -> String {
    let ns = |ns: f64| units::duration(ns.max(0.0).round() as u64);
    let Test { effect, .. } = &one.test;
    format!(
        "{} → {} ({}, {} to {})",
        ns(one.values.before),
        ns(one.values.after),
        units::ratio(effect.estimate),
        units::ratio(effect.low),
        units::ratio(effect.high)
    )
}

/// The draft of failing or recovered spans at a node: what fails early is faster, and what waits until it fails slower.
fn failing(drafts: &Drafts, node: u32) -> Option<usize> {
    let owner = drafts.owner(Side::After, node) as usize;
    let kind = drafts.list.get(owner)?.kind;
    matches!(kind, FindingKind::Failing | FindingKind::Recovered).then_some(owner)
}

/// A path's self time shrinks when a child is recorded that was not before, and grows when one is not any more: then
/// nothing runs longer. The finding that the child belongs to, when such children took over at least half of what the
/// self time lost, or gave it back.
fn absorbed(work: &Work<'_>, drafts: &Drafts, one: &Timed) -> Option<u32> {
    let mut covered: Pair<f64> = Pair::default();
    let mut largest = (0.0, NOBODY);
    for (side, node) in [(Side::Before, one.place.before), (Side::After, one.place.after)] {
        let calls = work.sums(side, node).calls.max(1) as f64;
        for child in work.children(side, node).filter(|&child| !work.is_matched(side, child)) {
            let (time, owner) = (covered_ns(work, side, child) / calls, drafts.owner(side, child));
            *covered.get_mut(side) += time;
            if time > largest.0 && owner != NOBODY {
                largest = (time, owner);
            }
        }
    }
    let own = |side: Side, node: u32| {
        let sums = work.sums(side, node);
        sums.self_ns as f64 / sums.calls.max(1) as f64
    };
    let lost = own(Side::Before, one.place.before) - own(Side::After, one.place.after);
    let taken_over = covered.after - covered.before;
    (largest.1 != NOBODY && lost * taken_over > 0.0 && 2.0 * taken_over.abs() >= lost.abs()).then_some(largest.1)
}

/// Time that an unmatched child covers: what goes on below a layer is not the layer's own.
fn covered_ns(work: &Work<'_>, side: Side, top: u32) -> f64 {
    let end = work.node(side, top).subtree_end;
    let (mut own, mut passes, mut node) = (0u128, false, top);
    while node < end {
        if work.is_matched(side, node) {
            passes = true;
            node = work.node(side, node).subtree_end.max(node + 1);
        } else {
            own += work.sums(side, node).self_ns;
            node += 1;
        }
    }
    if passes { own as f64 } else { work.sums(side, top).duration_ns as f64 }
}

/// Calls that were hidden behind a parallel sibling and are not any more, or the reverse.
fn became_critical(work: &Work<'_>, one: &Timed) -> Option<String> {
    let share = |side: Side| {
        let sums = work.sums(side, *one.place.get(side));
        sums.critical_calls as f64 / sums.calls.max(1) as f64
    };
    let (before, after) = (share(Side::Before), share(Side::After));
    ((before - after).abs() >= 0.25)
        .then(|| format!("on the critical path in {} → {} of its calls", units::percent(before), units::percent(after)))
}
