//! Findings of structure: added, removed, more or fewer calls, layers, moved, renamed, split and merged.

use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::paths::PathId;
use super::types::MatchInfo;
use super::units::{Role, Units};
use super::work::Work;
use crate::align::{Alignment, MatchReason, ROOT, Tree};
use crate::model::{Operations, Pair, Side, SpanMarks};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SIDES: [Side; 2] = [Side::Before, Side::After];

/// Finds what only one side has, and what is the same work elsewhere or under another name.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let units = Pair::new(units_of(work, Side::Before), units_of(work, Side::After));
    layers(work, drafts, &units);
    calls(work, drafts, &units);
    relocated(work, drafts);
    services(work, drafts);
    for side in SIDES {
        units.get(side).own_below(drafts, side);
    }
}

fn units_of(work: &Work<'_>, side: Side) -> Units {
    Units::new(work.trees.get(side), &work.alignment, side, |_| 1)
}

fn layers(work: &Work<'_>, drafts: &mut Drafts, units: &Pair<Units>) {
    for side in SIDES {
        let units = units.get(side);
        let mut by_path: BTreeMap<PathId, Vec<u32>> = BTreeMap::new();
        for top in units.tops(Role::Layer) {
            if is_unrecorded(work, side, top) {
                *drafts.unrecorded.get_mut(side.other()) += units.size(&[top]);
                lose(work, drafts, side, top);
                continue;
            }
            by_path.entry(work.path(side, top)).or_default().push(top);
        }
        let (kind, verb) = match side {
            Side::Before => (FindingKind::LayerRemoved, "left"),
            Side::After => (FindingKind::LayerAdded, "entered"),
        };
        for (path, tops) in by_path {
            let Some(&first) = tops.first() else { continue };
            let subtree: u64 = units.size(&tops);
            let mut draft = Draft::new(kind, path, one_sided(side, tops.clone()));
            let tree = work.trees.get(side);
            let below = (first..tree.node(first).subtree_end).find(|&node| work.is_matched(side, node));
            let below = below.map_or_else(String::new, |node| format!(" above `{}`", work.label(side, node)));
            let layer_spans = if subtree == 1 { "1 span".to_owned() } else { format!("{subtree} spans") };
            draft.title = format!("a layer of {layer_spans} {verb} the path{below}; what lies below it is the same");
            draft.subtree = Some(subtree);
            draft.matched = MatchInfo { score: 1.0, reason: "layer" };
            let number = drafts.push(draft);
            for top in tops {
                drafts.own(side, top, number);
            }
        }
    }
}

/// Whether all that goes on below a layer lost its parent on the other side: then the layer was not recorded there,
/// which says nothing about whether it ran.
fn is_unrecorded(work: &Work<'_>, side: Side, top: u32) -> bool {
    let end = work.node(side, top).subtree_end;
    let mut node = top + 1;
    while node < end {
        if work.is_matched(side, node) {
            if !work.node(side.other(), work.alignment.partner(side, node)).orphan {
                return false;
            }
            node = work.node(side, node).subtree_end.max(node + 1);
        } else {
            node += 1;
        }
    }
    true
}

/// Marks all spans whose time cannot be compared because a span between them was not recorded: its caller, itself and
/// what it called, with their partners.
fn lose(work: &Work<'_>, drafts: &mut Drafts, side: Side, top: u32) {
    let caller = work.node(side, top).parent;
    for node in std::iter::once(caller).chain(top..work.node(side, top).subtree_end) {
        drafts.lose(side, node);
        if work.is_matched(side, node) {
            drafts.lose(side.other(), work.alignment.partner(side, node));
        }
    }
}

fn one_sided(side: Side, nodes: Vec<u32>) -> Pair<Vec<u32>> {
    match side {
        Side::Before => Pair::new(nodes, Vec::new()),
        Side::After => Pair::new(Vec::new(), nodes),
    }
}

/// Unmatched subtrees: where the same call path has partners, the number of calls changed; else they came or went.
fn calls(work: &Work<'_>, drafts: &mut Drafts, units: &Pair<Units>) {
    let homes = Pair::new(homes(work, Side::Before), homes(work, Side::After));
    let mut surplus: BTreeMap<usize, Pair<Vec<u32>>> = BTreeMap::new();
    let mut alone: BTreeMap<(Side, PathId), Vec<u32>> = BTreeMap::new();
    for side in SIDES {
        for top in units.get(side).tops(Role::Plain) {
            let orphan = work.span(side, top).is_some_and(|span| span.marks.has(SpanMarks::ORPHAN));
            match homes.get(side).get(&work.path(side, top)) {
                Some(&class) => surplus.entry(class).or_default().get_mut(side).push(top),
                // Where an orphan belongs is not known, so that it is not there says nothing.
                None if orphan => {}
                None => alone.entry((side, work.path(side, top))).or_default().push(top),
            }
        }
    }
    for (class, tops) in surplus {
        more_or_fewer(work, drafts, units, class, &tops);
    }
    for ((side, path), tops) in alone {
        let kind = if side == Side::After { FindingKind::Added } else { FindingKind::Removed };
        let subtree: u64 = units.get(side).size(&tops);
        let mut draft = Draft::new(kind, path, one_sided(side, tops.clone()));
        draft.subtree = Some(subtree);
        draft.matched = MatchInfo { score: 0.0, reason: "none" };
        let parent = tops.first().map_or(ROOT, |&top| work.node(side, top).parent);
        let with_below =
            if subtree == tops.len() as u64 { String::new() } else { format!(", {subtree} spans with those below") };
        draft.title = format!("{} under `{}`{with_below}", spans(tops.len()), work.label(side, parent));
        if parent == ROOT {
            draft.title = format!("{}{with_below}: an entry point of its own", spans(tops.len()));
        }
        let failed = tops.iter().filter(|&&top| work.node(side, top).failed).count();
        if failed > 0 {
            draft.evidence.push(format!("{failed} of {} failed", spans(tops.len())));
        }
        let number = drafts.push(draft);
        for top in tops {
            drafts.own(side, top, number);
        }
    }
}

fn spans(count: usize) -> String {
    if count == 1 { "1 span".to_owned() } else { format!("{count} spans") }
}

/// For each call path of a side the class with the most matched members there.
fn homes(work: &Work<'_>, side: Side) -> BTreeMap<PathId, usize> {
    let mut homes: BTreeMap<PathId, usize> = BTreeMap::new();
    for (number, class) in work.classes.iter().enumerate() {
        let size = |number: usize| work.classes.get(number).map_or(0, |class| class.members.len());
        homes
            .entry(*class.path.get(side))
            .and_modify(|home| {
                if size(number) > size(*home) {
                    *home = number;
                }
            })
            .or_insert(number);
    }
    homes
}

fn more_or_fewer(work: &Work<'_>, drafts: &mut Drafts, units: &Pair<Units>, class: usize, tops: &Pair<Vec<u32>>) {
    let Some(group) = work.classes.get(class) else { return };
    let count = tops.as_ref().map(|tops| group.members.len() + tops.len());
    if count.before == count.after {
        // As many came as went: the calls were dealt out differently among equal parents.
        return;
    }
    let mut nodes = Pair::new(
        group.members.iter().map(|pair| pair.0).collect::<Vec<u32>>(),
        group.members.iter().map(|pair| pair.1).collect::<Vec<u32>>(),
    );
    nodes.before.extend(&tops.before);
    nodes.after.extend(&tops.after);
    let (kind, more) = if count.after > count.before {
        (FindingKind::CallsUp, Side::After)
    } else {
        (FindingKind::CallsDown, Side::Before)
    };
    let mut draft = Draft::new(kind, group.path.after, nodes);
    draft.from_path = (group.path.before != group.path.after).then_some(group.path.before);
    draft.subtree = Some(units.get(more).size(tops.get(more)));
    draft.title = format!("{} → {} calls", count.before, count.after);
    *draft.example.get_mut(more) = tops.get(more).first().copied();
    draft.evidence = repetition(work, more, &draft.nodes, tops);
    let number = drafts.push(draft);
    for side in SIDES {
        for &top in tops.get(side) {
            drafts.own(side, top, number);
        }
    }
}

/// Names what the extra calls are: an N+1 pattern, or retries after failed tries.
fn repetition(work: &Work<'_>, more: Side, nodes: &Pair<Vec<u32>>, tops: &Pair<Vec<u32>>) -> Vec<String> {
    let (many, few) = (nodes.get(more), nodes.get(more.other()));
    let mut evidence = Vec::new();
    let mut siblings: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &node in many {
        siblings.entry(work.node(more, node).parent).or_default().push(node);
    }
    let retried = tops.get(more).iter().filter(|&&top| {
        let group = siblings.get(&work.node(more, top).parent).map(Vec::as_slice).unwrap_or_default();
        let start = work.node(more, top).start_ns;
        let failed = work.node(more, top).failed;
        group.iter().any(|&other| {
            let node = work.node(more, other);
            other != top && if failed { node.start_ns > start } else { node.failed && node.start_ns < start }
        })
    });
    let retried = retried.count();
    let failed = |side: Side| nodes.get(side).iter().filter(|&&node| work.node(side, node).failed).count();
    let tries = failed(more).saturating_sub(failed(more.other()));
    if retried > 0 && tries > 0 {
        let what =
            if tries == 1 { "1 try failed and was".to_owned() } else { format!("{tries} tries failed and were") };
        evidence.push(format!("retry: {what} repeated"));
        return evidence;
    }
    let Some((_, group)) = siblings.iter().max_by_key(|(parent, group)| (group.len(), std::cmp::Reverse(**parent)))
    else {
        return evidence;
    };
    let likenesses: BTreeSet<u64> = group.iter().map(|&node| work.node(more, node).likeness).collect();
    if group.len() >= 5 && many.len() >= 3 * few.len() && likenesses.len() == 1 && overlapping(work, more, group) == 0 {
        evidence.push(format!("N+1: {} calls of the same statement one after another under one parent", group.len()));
    }
    evidence
}

/// How many of the nodes, in order of their starts, begin before an earlier one has ended (by more than a tenth of
/// the shorter one).
pub(super) fn overlapping(work: &Work<'_>, side: Side, nodes: &[u32]) -> usize {
    let mut intervals: Vec<(u64, u64)> = nodes
        .iter()
        .map(|&node| work.node(side, node))
        .map(|node| (node.start_ns, node.start_ns + node.duration_ns))
        .collect();
    intervals.sort_unstable();
    let (mut count, mut until, mut previous) = (0, 0u64, 0u64);
    for (start, end) in intervals {
        let shorter = (end - start).min(previous);
        if start < until && 10 * (until.min(end) - start) > shorter {
            count += 1;
        }
        if end > until {
            until = end;
            previous = end - start;
        }
    }
    count
}

/// Renamed and moved classes.
fn relocated(work: &Work<'_>, drafts: &mut Drafts) {
    for class in &work.classes {
        let reason = |wanted: MatchReason| {
            class
                .members
                .iter()
                .filter(
                    |pair| matches!(work.alignment.reason(Side::Before, pair.0), Some((reason, _)) if reason == wanted),
                )
                .copied()
                .collect::<Vec<_>>()
        };
        for (wanted, kind) in [(MatchReason::Renamed, FindingKind::Renamed), (MatchReason::Moved, FindingKind::Moved)] {
            let pairs = reason(wanted);
            let Some(&(a, b)) = pairs.first() else { continue };
            if wanted == MatchReason::Moved && class.path.before == class.path.after {
                continue;
            }
            let nodes = Pair::new(pairs.iter().map(|p| p.0).collect(), pairs.iter().map(|p| p.1).collect());
            let mut draft = Draft::new(kind, class.path.after, nodes);
            draft.from_path = Some(class.path.before);
            draft.matched = MatchInfo { score: class.score, reason: wanted.name() };
            let parents = Pair::new(work.node(Side::Before, a).parent, work.node(Side::After, b).parent);
            draft.title = if kind == FindingKind::Renamed {
                format!("was `{}`, same place, same work below", work.label(Side::Before, a))
            } else {
                format!(
                    "moved from `{}` to `{}`",
                    work.label(Side::Before, parents.before),
                    work.label(Side::After, parents.after)
                )
            };
            drafts.push(draft);
        }
    }
}

/// Work that another service does now: one finding for each pair of services.
fn services(work: &Work<'_>, drafts: &mut Drafts) {
    for moved in taken_over(&work.trees, &work.alignment, work.operations()) {
        let Some(&(a, b)) = moved.pairs.first() else { continue };
        let nodes = Pair::new(moved.pairs.iter().map(|p| p.0).collect(), moved.pairs.iter().map(|p| p.1).collect());
        let mut draft = Draft::new(moved.kind, work.path(Side::After, b), nodes);
        draft.from_path = Some(work.path(Side::Before, a));
        let score = work.alignment.reason(Side::Before, a).map_or(0.0, |(_, score)| score);
        draft.matched = MatchInfo { score, reason: MatchReason::Split.name() };
        draft.title = format!("{} ({})", moved.title, spans(moved.pairs.len()));
        drafts.push(draft);
    }
}

/// The service before and the service after.
type ServicePair = (Arc<str>, Arc<str>);

/// Work that went from one service to another.
pub(super) struct TakenOver {
    pub kind: FindingKind,
    pub title: String,
    /// The nodes, in order of the before side.
    pub pairs: Vec<(u32, u32)>,
}

/// What was matched in another service, by pair of services.
pub(super) fn taken_over(trees: &Pair<Tree>, alignment: &Alignment, operations: &Operations) -> Vec<TakenOver> {
    let service = |side: Side, node: u32| {
        operations.get(trees.get(side).node(node).operation).map(|operation| operation.service.clone())
    };
    let all = trees.as_ref().map(|tree| {
        let used: BTreeSet<_> = tree.nodes().iter().skip(1).map(|node| node.operation).collect();
        let services = used.into_iter().filter_map(|id| operations.get(id)).map(|operation| operation.service.clone());
        services.collect::<BTreeSet<Arc<str>>>()
    });
    let mut by_services: BTreeMap<ServicePair, Vec<(u32, u32)>> = BTreeMap::new();
    for (a, b) in alignment.pairs() {
        if matches!(alignment.reason(Side::Before, a), Some((MatchReason::Split, _)))
            && let (Some(from), Some(to)) = (service(Side::Before, a), service(Side::After, b))
        {
            by_services.entry((from, to)).or_default().push((a, b));
        }
    }
    let told = |((from, to), pairs): (ServicePair, Vec<(u32, u32)>)| {
        let (from_stays, to_is_new) = (all.after.contains(&from), !all.before.contains(&to));
        let (kind, title) = match (from_stays, to_is_new) {
            (true, true) => (FindingKind::Split, format!("`{to}` was split from `{from}`")),
            (false, false) => (FindingKind::Merged, format!("`{from}` was merged into `{to}`")),
            (false, true) => (FindingKind::Renamed, format!("service `{from}` was replaced by `{to}`")),
            (true, false) => (FindingKind::Moved, format!("moved from service `{from}` to `{to}`")),
        };
        TakenOver { kind, title, pairs }
    };
    by_services.into_iter().map(told).collect()
}

/// Charges the time of renamed, moved, split and merged spans to their findings, where no finding about time has it:
/// for moved ones also what lies below, which left one place of the critical path and entered another.
pub(super) fn own_relocated(trees: &Pair<Tree>, drafts: &mut Drafts) {
    let mut below: Pair<Vec<(u32, u32)>> = Pair::default();
    for number in 0..drafts.list.len() {
        let Some(draft) = drafts.list.get(number) else { continue };
        let kind = draft.kind;
        if !matches!(kind, FindingKind::Renamed | FindingKind::Moved | FindingKind::Split | FindingKind::Merged) {
            continue;
        }
        let nodes = draft.nodes.clone();
        for side in SIDES {
            for &top in nodes.get(side) {
                if kind == FindingKind::Moved {
                    below.get_mut(side).push((top, number as u32));
                } else {
                    drafts.own(side, top, number as u32);
                }
            }
        }
    }
    drafts.own_subtrees(trees, &below);
}
