//! Span links that came or went: matched by the operation they point to.

use super::counts::{fisher, newcombe};
use super::work::{Family, SIDES, Work};
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::Confidence;
use crate::model::{OperationId, Pair, Side, units};
use crate::stats::multiple::benjamini_hochberg;
use std::collections::{BTreeMap, HashMap};

/// A side has lost its links when it has at most this part of the other's.
const GONE: f64 = 0.1;

/// One path and the operation that its links point to.
struct Change {
    nodes: Pair<u32>,
    target: OperationId,
    /// Traces with such a link, and all with the path.
    with: Pair<u64>,
    of: Pair<u64>,
    p: f64,
}

/// Compares the links of every aligned path.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let names = after_names(work);
    let changes: Vec<Change> = work.matched().flat_map(|nodes| changes(work, nodes, &names)).collect();
    let corrected = benjamini_hochberg(&changes.iter().map(|change| change.p).collect::<Vec<f64>>());
    for (change, q) in changes.iter().zip(corrected) {
        if q <= work.level(Family::Links) && is_clear(change) {
            drafts.push(draft(work, change, q));
        }
    }
}

/// Operations of the before side under the names that their partners have.
type Names = HashMap<OperationId, OperationId, foldhash::fast::RandomState>;

fn after_names(work: &Work<'_>) -> Names {
    let mut names = Names::default();
    for nodes in work.matched() {
        let (before, after) =
            (work.node(Side::Before, nodes.before).operation, work.node(Side::After, nodes.after).operation);
        // An operation that kept its name anywhere keeps it.
        if before == after {
            names.insert(before, after);
        } else {
            names.entry(before).or_insert(after);
        }
    }
    names
}

fn changes(work: &Work<'_>, nodes: Pair<u32>, names: &Names) -> Vec<Change> {
    let (Some(before), Some(after)) = (work.state(Side::Before, nodes.before), work.state(Side::After, nodes.after))
    else {
        return Vec::new();
    };
    let links = Pair::new(&before.links, &after.links);
    if links.before.is_empty() && links.after.is_empty() {
        return Vec::new();
    }
    let mut weights: BTreeMap<OperationId, Pair<u128>> = BTreeMap::new();
    for side in SIDES {
        for (&target, &weight) in *links.get(side) {
            let target = if side == Side::Before { names.get(&target).copied().unwrap_or(target) } else { target };
            *weights.entry(target).or_default().get_mut(side) += weight;
        }
    }
    let unknown = weights.get(&OperationId::NONE).copied().unwrap_or_default();
    let only_unknown = weights.len() == 1;
    let count = |side: Side, weight: u128| {
        let sums = work.sums(side, *nodes.get(side));
        let each = weight as f64 / sums.weight.max(1) as f64;
        // A batch consumer has as many links as there were messages: a trace counts once.
        (each.min(1.0) * sums.traces as f64).round() as u64
    };
    let of = Pair::new(work.traces(Side::Before, nodes.before), work.traces(Side::After, nodes.after));
    weights
        .into_iter()
        // Whose other end was not recorded may be any: where there are such links, nothing can be missed.
        .filter(|(target, weight)| {
            let fewer = if weight.before < weight.after { Side::Before } else { Side::After };
            let known_enough = *target != OperationId::NONE && *unknown.get(fewer) == 0;
            known_enough || (only_unknown && links.get(fewer).is_empty())
        })
        .map(|(target, weight)| {
            let with = Pair::new(count(Side::Before, weight.before), count(Side::After, weight.after));
            Change { nodes, target, with, of, p: fisher(with, of) }
        })
        .collect()
}

fn share(change: &Change, side: Side) -> f64 {
    *change.with.get(side) as f64 / (*change.of.get(side)).max(1) as f64
}

/// Whether one side has next to none of the other's links.
fn is_clear(change: &Change) -> bool {
    let (before, after) = (share(change, Side::Before), share(change, Side::After));
    before.min(after) <= GONE * before.max(after)
}

fn draft(work: &Work<'_>, change: &Change, q: f64) -> Draft {
    let (before, after) = (share(change, Side::Before), share(change, Side::After));
    let kind = if after > before { FindingKind::LinkAdded } else { FindingKind::LinkRemoved };
    let name = work
        .operations()
        .get(change.target)
        .map_or_else(|| "spans that were not recorded".to_owned(), |operation| format!("`{operation}`"));
    let (estimate, low, high) = newcombe(change.with, change.of);
    let path = Pair::new(work.path(Side::Before, change.nodes.before), work.path(Side::After, change.nodes.after));
    Draft {
        title: format!("links to {name}: in {} → {} of the traces", units::percent(before), units::percent(after)),
        from_path: (path.before != path.after).then_some(path.before),
        confidence: if q < 0.001 { Confidence::Certain } else { Confidence::Likely },
        matched: work.match_info(Side::Before, change.nodes.before),
        effects: vec![Effect {
            metric: Metric::Presence,
            estimate,
            low,
            high,
            unit: "share",
            p: change.p,
            q,
            n: change.of,
            method: "fisher",
            strength: Strength::Warn,
        }],
        ..Draft::new(kind, path.after, change.nodes.map(|node| vec![node]))
    }
}
