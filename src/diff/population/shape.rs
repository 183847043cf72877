//! Siblings that overlapped and now run one after another, or the reverse.
//!
//! What overlapping saves is the children's durations less the time that they cover together. It is compared shard by
//! shard, both as it is and as a share of the durations: a child that only got slower keeps what its siblings save.

use super::work::{Family, Work};
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::Confidence;
use crate::model::profile::Sums;
use crate::model::{Pair, Side, units};
use crate::stats::counts::welch;
use crate::stats::distribution::t_quantile_above;
use crate::stats::multiple::benjamini_hochberg;

/// What overlapping saves must differ by this factor.
const FACTOR: f64 = 3.0;
/// Overlapping that saves less than this share of the children's durations is none.
const OVERLAP: f64 = 0.05;
/// The children that both sides have must make up this share of the durations.
const COMMON: f64 = 0.8;
/// They must be called as often as before, within this factor.
const AS_OFTEN: f64 = 1.25;
/// Shards in which the parent must occur on each side.
const SHARDS_FROM: usize = 5;

/// One parent whose children changed their order.
struct Change {
    nodes: Pair<u32>,
    /// Mean nanoseconds saved by overlapping in one trace.
    saved: Pair<f64>,
    /// After minus before of what is saved, with its 95 % interval, nanoseconds.
    difference: (f64, f64, f64),
    p: f64,
}

/// Judges every aligned parent with children that are waited for.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let changes: Vec<Change> = work.matched().filter_map(|nodes| change(work, nodes)).collect();
    let corrected = benjamini_hochberg(&changes.iter().map(|change| change.p).collect::<Vec<f64>>());
    let mut tops: Pair<Vec<(u32, u32)>> = Pair::default();
    for (change, q) in changes.iter().zip(corrected) {
        if q > work.level(Family::Shape) {
            continue;
        }
        let number = drafts.push(draft(work, change, q));
        // What became critical, or stopped being so, because of the order.
        for child in common(work, change.nodes) {
            tops.before.push((child.before, number));
            tops.after.push((child.after, number));
        }
    }
    drafts.own_subtrees(&work.trees, &tops);
}

/// Children of an aligned parent that are aligned with each other.
fn common(work: &Work<'_>, nodes: Pair<u32>) -> Vec<Pair<u32>> {
    work.children(Side::Before, nodes.before)
        .filter_map(|before| Some(Pair::new(before, work.partner(Side::Before, before)?)))
        .filter(|child| work.parent(Side::After, child.after) == nodes.after)
        .collect()
}

fn change(work: &Work<'_>, nodes: Pair<u32>) -> Option<Change> {
    let sums = Pair::new(work.sums(Side::Before, nodes.before), work.sums(Side::After, nodes.after));
    let children = sums.as_ref().map(|sums| sums.children_ns as f64 / sums.weight.max(1) as f64);
    let saved = Pair::new(Saved::of(work, Side::Before, nodes.before)?, Saved::of(work, Side::After, nodes.after)?);
    let share = Pair::new(saved.before.mean / children.before, saved.after.mean / children.after);
    let (more, less) =
        if saved.before.mean > saved.after.mean { (Side::Before, Side::After) } else { (Side::After, Side::Before) };
    let is_clear = *share.get(more) >= OVERLAP
        && *share.get(more) >= FACTOR * *share.get(less)
        && saved.get(more).mean >= FACTOR * saved.get(less).mean
        && saved.get(more).mean - saved.get(less).mean >= work.options.population.min_effect_ns as f64;
    // Judged or not is a matter of the shape, and that the children are the same ones; the test is one of many then.
    if !is_clear || !same_children(work, nodes, children) {
        return None;
    }
    // What is saved no longer must show in the time that the children cover together, the other way round too.
    let covered = sums.as_ref().map(|sums| sums.covered_ns as f64 / sums.weight.max(1) as f64);
    if *covered.get(less) <= *covered.get(more) {
        return None;
    }
    let (p, difference) = saved.after.against(&saved.before);
    Some(Change { nodes, saved: saved.map(|saved| saved.mean), difference, p })
}

/// Whether the parent waits for the same children on both sides, about as often.
fn same_children(work: &Work<'_>, nodes: Pair<u32>, children_ns: Pair<f64>) -> bool {
    let common = common(work, nodes);
    let per_parent = |side: Side, value: fn(&Sums) -> u128| -> f64 {
        let weight = work.sums(side, *nodes.get(side)).weight.max(1) as f64;
        let all = common.iter().map(|child| value(&work.sums(side, *child.get(side))));
        all.sum::<u128>() as f64 / weight
    };
    let calls = Pair::new(per_parent(Side::Before, |sums| sums.calls), per_parent(Side::After, |sums| sums.calls));
    let as_often = calls.before.max(calls.after) <= AS_OFTEN * calls.before.min(calls.after);
    let all_there = [Side::Before, Side::After]
        .into_iter()
        .all(|side| per_parent(side, |sums| sums.duration_ns) >= COMMON * *children_ns.get(side));
    as_often && all_there
}

/// What overlapping saves in one trace, nanoseconds, with its scatter between shards.
struct Saved {
    mean: f64,
    /// Variance of the mean.
    variance: f64,
    shards: usize,
}

impl Saved {
    /// `None` with too few shards to know the scatter.
    fn of(work: &Work<'_>, side: Side, node: u32) -> Option<Saved> {
        let state = work.state(side, node)?;
        let shards: Vec<(f64, f64)> = state
            .shards
            .iter()
            .filter(|(_, sums)| sums.weight > 0)
            .map(|(_, sums)| (sums.weight as f64, sums.children_ns.saturating_sub(sums.covered_ns) as f64))
            .collect();
        if shards.len() < SHARDS_FROM {
            return None;
        }
        let weight: f64 = shards.iter().map(|shard| shard.0).sum();
        let mean = shards.iter().map(|shard| shard.1).sum::<f64>() / weight;
        let squares: f64 = shards.iter().map(|(weight, saved)| (saved - weight * mean).powi(2)).sum();
        let count = shards.len() as f64;
        let variance = squares * count / (count - 1.0) / (weight * weight);
        Some(Saved { mean, variance, shards: shards.len() })
    }

    /// p value of the difference to another, and the difference with its 95 % interval.
    fn against(&self, other: &Saved) -> (f64, (f64, f64, f64)) {
        // A nanosecond: without any scatter the difference is certain.
        let part = |saved: &Saved| (saved.mean, saved.variance.max(1.0), (saved.shards - 1) as f64);
        let (before, after) = (part(other), part(self));
        let (_, df, p) = welch(before, after);
        let difference = after.0 - before.0;
        let half = t_quantile_above(0.025, df) * (before.1 + after.1).sqrt();
        (p, (difference, difference - half, difference + half))
    }
}

fn draft(work: &Work<'_>, change: &Change, q: f64) -> Draft {
    let kind =
        if change.saved.after < change.saved.before { FindingKind::Serialized } else { FindingKind::Parallelized };
    let saved = change.saved.map(|ns| units::duration(ns.max(0.0) as u64));
    let path = Pair::new(work.path(Side::Before, change.nodes.before), work.path(Side::After, change.nodes.after));
    let (estimate, low, high) = change.difference;
    Draft {
        title: if kind == FindingKind::Serialized {
            "calls that overlapped now run one after another".to_owned()
        } else {
            "calls that ran one after another now overlap".to_owned()
        },
        evidence: vec![format!("overlapping saved {} a trace, now {}", saved.before, saved.after)],
        from_path: (path.before != path.after).then_some(path.before),
        confidence: if q < 0.001 { Confidence::Certain } else { Confidence::Likely },
        matched: work.match_info(Side::Before, change.nodes.before),
        effects: vec![Effect {
            metric: Metric::Duration,
            // Less saved is time added.
            estimate: -estimate,
            low: -high,
            high: -low,
            unit: "ns",
            p: change.p,
            q,
            n: Pair::new(work.traces(Side::Before, change.nodes.before), work.traces(Side::After, change.nodes.after)),
            method: "overlap_by_shard",
            strength: Strength::Warn,
        }],
        ..Draft::new(kind, path.after, change.nodes.map(|node| vec![node]))
    }
}
