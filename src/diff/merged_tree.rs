//! The merged tree: the after side with what only the before side had put in as ghosts.

use super::detail::NodeDetail;
use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::merged::{Mark, NodeSide, TreeNode};
use super::options::DiffOptions;
use super::types::MatchInfo;
use super::work::Work;
use crate::align::{Alignment, Node, ROOT, Tree, UNMATCHED};
use crate::model::{Operation, OperationId, Pair, Side};

/// What a merged tree is made of: two trees, their alignment and each node's numbers.
pub(super) trait Sides {
    fn trees(&self) -> &Pair<Tree>;
    fn alignment(&self) -> &Alignment;
    fn options(&self) -> &DiffOptions;
    fn operation(&self, id: OperationId) -> Operation;
    /// What a row shows of a node on its side.
    fn numbers(&self, side: Side, node: u32) -> NodeSide;

    /// What is known of a place beyond its row; `None` where that is read when it is looked at.
    fn detail(&self, _place: Pair<Option<u32>>) -> Option<Box<NodeDetail>> {
        None
    }

    fn node(&self, side: Side, node: u32) -> &Node {
        self.trees().get(side).node(node)
    }

    fn is_matched(&self, side: Side, node: u32) -> bool {
        self.alignment().is_matched(side, node)
    }
}

impl Sides for Work<'_> {
    fn trees(&self) -> &Pair<Tree> {
        &self.trees
    }

    fn alignment(&self) -> &Alignment {
        &self.alignment
    }

    fn options(&self) -> &DiffOptions {
        self.options
    }

    fn operation(&self, id: OperationId) -> Operation {
        Work::operation(self, id)
    }

    fn numbers(&self, side: Side, node: u32) -> NodeSide {
        let span = self.span(side, node);
        let tree_node = self.node(side, node);
        NodeSide {
            spans: 1,
            start_ns: tree_node.start_ns as i64,
            duration_ns: tree_node.duration_ns,
            self_ns: self.self_ns(side, node),
            critical_ns: self.critical_ns(side, node),
            status: span.map(|span| span.status).unwrap_or_default(),
            kind: span.map(|span| span.kind).unwrap_or_default(),
            span_id: span.map(|span| span.id).unwrap_or_default(),
            many: None,
        }
    }
}

/// What the rows of a tree say besides numbers.
struct Told<'a> {
    drafts: &'a Drafts,
    /// For each draft its place among the findings.
    rank: &'a [Option<usize>],
    /// The most important draft that stands at each node.
    at: Pair<Vec<u32>>,
    /// Whether a finding stands at a node or below it.
    changed_below: Pair<Vec<bool>>,
}

/// Every node of both sides once, in pre-order. `rank` gives for each draft its place among the findings.
pub(super) fn build(work: &dyn Sides, drafts: &Drafts, rank: &[Option<usize>]) -> Vec<TreeNode> {
    let findings = Pair::new(
        most_important(work, &drafts.list, rank, Side::Before),
        most_important(work, &drafts.list, rank, Side::After),
    );
    let changed_below =
        Pair::new(changed_below(work, &findings, Side::Before), changed_below(work, &findings, Side::After));
    let told = Told { drafts, rank, at: findings, changed_below };
    let ghosts = ghosts(work);
    let mut rows = Vec::with_capacity(work.trees().after.len() + ghosts.iter().map(Vec::len).sum::<usize>());
    let mut stack: Vec<(Side, u32, u32)> = Vec::new();
    push_children(work, &ghosts, Side::After, ROOT, 0, &mut stack);
    while let Some((side, node, depth)) = stack.pop() {
        rows.push(row(work, &told, side, node, depth));
        push_children(work, &ghosts, side, node, depth + 1, &mut stack);
    }
    rows
}

/// For each node of a side whether a finding stands at it or below, on either side.
fn changed_below(work: &dyn Sides, findings: &Pair<Vec<u32>>, side: Side) -> Vec<bool> {
    let tree = work.trees().get(side);
    let stands = |side: Side, node: u32| findings.get(side).get(node as usize).is_some_and(|&draft| draft != u32::MAX);
    let mut changed: Vec<bool> = (0..tree.len() as u32).map(|node| stands(side, node)).collect();
    // What came or went on the other side shows at the partner of its parent.
    let other = work.trees().get(side.other());
    for node in 1..other.len() as u32 {
        let parent = other.node(node).parent;
        let at = if work.is_matched(side.other(), node) { node } else { parent };
        let partner = work.alignment().partner(side.other(), at);
        if stands(side.other(), node)
            && let Some(slot) = changed.get_mut(partner as usize)
        {
            *slot = true;
        }
    }
    for node in (1..tree.len()).rev() {
        let parent = tree.node(node as u32).parent as usize;
        if changed.get(node) == Some(&true)
            && let Some(slot) = changed.get_mut(parent)
        {
            *slot = true;
        }
    }
    changed
}

/// Unmatched before nodes by the merged node they hang under: an after node, or another ghost.
fn ghosts(work: &dyn Sides) -> Vec<Vec<u32>> {
    let after = work.trees().after.len();
    let mut ghosts = vec![Vec::new(); after + work.trees().before.len()];
    for node in 1..work.trees().before.len() as u32 {
        if work.is_matched(Side::Before, node) {
            continue;
        }
        let parent = work.node(Side::Before, node).parent;
        let partner = work.alignment().partner(Side::Before, parent);
        let slot = if partner == UNMATCHED { after + parent as usize } else { partner as usize };
        if let Some(list) = ghosts.get_mut(slot) {
            list.push(node);
        }
    }
    ghosts
}

/// Pushes a merged node's children so that the first of them is popped first, ordered by start.
fn push_children(
    work: &dyn Sides,
    ghosts: &[Vec<u32>],
    side: Side,
    node: u32,
    depth: u32,
    stack: &mut Vec<(Side, u32, u32)>,
) {
    let slot = if side == Side::After { node as usize } else { work.trees().after.len() + node as usize };
    let mut children: Vec<(Side, u32)> =
        ghosts.get(slot).into_iter().flatten().map(|&ghost| (Side::Before, ghost)).collect();
    if side == Side::After {
        children.extend(work.trees().after.children(node).map(|child| (Side::After, child)));
    }
    children.sort_by_key(|&(side, child)| (work.node(side, child).start_ns, side, child));
    stack.extend(children.into_iter().rev().map(|(side, child)| (side, child, depth)));
}

/// The most important draft that stands at each node, by node.
fn most_important(work: &dyn Sides, drafts: &[Draft], rank: &[Option<usize>], side: Side) -> Vec<u32> {
    let mut best: Vec<u32> = vec![u32::MAX; work.trees().get(side).len()];
    for (number, draft) in drafts.iter().enumerate() {
        let Some(place) = rank.get(number).copied().flatten() else { continue };
        // Of a repeated call only the surplus carries the finding's mark; call paths have none, they are folded.
        let surplus = [Side::Before, Side::After]
            .into_iter()
            .any(|side| draft.nodes.get(side).iter().any(|&node| !work.is_matched(side, node)));
        let one_sided = surplus && matches!(draft.kind, FindingKind::CallsUp | FindingKind::CallsDown);
        for &node in draft.nodes.get(side) {
            if one_sided && work.is_matched(side, node) {
                continue;
            }
            if let Some(slot) = best.get_mut(node as usize) {
                let known = drafts.get(*slot as usize).and_then(|_| rank.get(*slot as usize).copied().flatten());
                if known.is_none_or(|known| place < known) {
                    *slot = number as u32;
                }
            }
        }
    }
    best
}

fn row(work: &dyn Sides, told: &Told<'_>, side: Side, node: u32, depth: u32) -> TreeNode {
    let partner = work.alignment().partner(side, node);
    let told_at = |side: Side, node: u32| told.at.get(side).get(node as usize).copied().unwrap_or(u32::MAX);
    let mut draft = told_at(side, node);
    if draft == u32::MAX && partner != UNMATCHED {
        draft = told_at(side.other(), partner);
    }
    let found = told.drafts.list.get(draft as usize);
    let place = match side {
        Side::After => Pair::new((partner != UNMATCHED).then_some(partner), Some(node)),
        Side::Before => Pair::new(Some(node), None),
    };
    let numbers = |side: Side| place.get(side).map(|node| work.numbers(side, node));
    let sides = Pair::new(numbers(Side::Before), numbers(Side::After));
    let operation = work.node(side, node).operation;
    let before = if partner == UNMATCHED { operation } else { work.node(side.other(), partner).operation };
    let (mark, inherited) = if found.is_none() && told.drafts.is_lost(side, node) {
        // Not recorded, or beside what was not: nothing is known to have changed.
        (Mark::Equal, false)
    } else {
        mark(
            work,
            found.map(|draft| draft.kind),
            &sides,
            told.changed_below.get(side).get(node as usize) == Some(&true),
        )
    };
    let matched = work.alignment().reason(side, node);
    TreeNode {
        depth,
        operation: work.operation(operation),
        from: (before != operation).then(|| work.operation(before)),
        mark,
        sides,
        inherited,
        finding: told.rank.get(draft as usize).copied().flatten(),
        matched: matched.map_or(MatchInfo { score: 0.0, reason: "none" }, |(reason, score)| MatchInfo {
            score,
            reason: reason.name(),
        }),
        detail: work.detail(place),
    }
}

/// The mark of a row, and whether its change is only what its descendants did.
fn mark(
    work: &dyn Sides,
    finding: Option<FindingKind>,
    sides: &Pair<Option<NodeSide>>,
    changed_below: bool,
) -> (Mark, bool) {
    let (Some(before), Some(after)) = (sides.before, sides.after) else {
        return (if sides.after.is_some() { Mark::Added } else { Mark::Removed }, false);
    };
    let delta = after.duration_ns as i64 - before.duration_ns as i64;
    let moved = delta.unsigned_abs() > work.options().min_time_ns
        && (after.duration_ns.max(1) as f64 / before.duration_ns.max(1) as f64).ln().abs()
            > work.options().min_ratio.ln();
    let by_time = match (moved, delta > 0) {
        (false, _) => Mark::Equal,
        (true, true) => Mark::Worse,
        (true, false) => Mark::Better,
    };
    match finding {
        Some(FindingKind::Failing) => (Mark::Failing, false),
        Some(FindingKind::Recovered) => (Mark::Recovered, false),
        Some(FindingKind::Slower) => (Mark::Worse, false),
        Some(FindingKind::Faster) => (Mark::Better, false),
        Some(FindingKind::Renamed | FindingKind::Moved | FindingKind::Split | FindingKind::Merged) => {
            (Mark::Similar, false)
        }
        Some(
            FindingKind::Serialized
            | FindingKind::Parallelized
            | FindingKind::LinkAdded
            | FindingKind::LinkRemoved
            | FindingKind::Attributes,
        ) => (Mark::Changed, false),
        // Without a finding below there is nothing to inherit: it is jitter.
        _ if changed_below => (by_time, moved),
        _ => (Mark::Equal, false),
    }
}
