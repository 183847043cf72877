//! The rows in which a merged tree is shown: equal things folded, with a count and a bound.
//!
//! Works on the pre-order list without recursion, so depth costs nothing.

use super::TreeView;
use crate::diff::{Mark, TreeNode};

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Depth of the row.
    pub depth: u32,
    /// Whether no row of this depth follows under the same parent.
    pub last: bool,
    /// What stands there.
    pub content: Content,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The node with this index.
    Node(usize),
    /// Neighbouring subtrees in which nothing changed.
    Unchanged {
        /// Nodes in all.
        count: u64,
        /// No node's self time changed by more than this many nanoseconds.
        bound_ns: u64,
        /// What self times changed by together, nanoseconds.
        self_delta_ns: i64,
    },
    /// Neighbouring leaves of one operation that came or went together.
    Repeated {
        /// Index of the first.
        first: usize,
        /// How many.
        count: u64,
        /// Their durations together, nanoseconds.
        duration_ns: u64,
    },
}

/// Leaves of one operation that came or went are folded from this many on.
const REPEATED: usize = 3;

/// The rows of a tree in the order in which they are shown.
pub fn rows(tree: &[TreeNode], view: TreeView) -> Vec<Row> {
    let mut rows = match view {
        TreeView::All => tree.iter().enumerate().map(|(index, node)| row(node.depth, Content::Node(index))).collect(),
        TreeView::Folded => folded(tree),
    };
    mark_last(&mut rows);
    rows
}

/// After minus before of a node's self time, nanoseconds; a missing side counts as zero.
pub fn self_delta(node: &TreeNode) -> i64 {
    let of = |side: Option<crate::diff::NodeSide>| side.map_or(0, |side| side.self_ns as i64);
    of(node.sides.after).saturating_sub(of(node.sides.before))
}

/// After minus before of a node's duration, nanoseconds; a missing side counts as zero.
pub fn duration_delta(node: &TreeNode) -> i64 {
    let of = |side: Option<crate::diff::NodeSide>| side.map_or(0, |side| side.duration_ns as i64);
    of(node.sides.after).saturating_sub(of(node.sides.before))
}

/// For each node the index behind the last node of its subtree.
pub fn subtree_ends(tree: &[TreeNode]) -> Vec<usize> {
    let mut ends = vec![tree.len(); tree.len()];
    let mut open: Vec<(u32, usize)> = Vec::new();
    for (index, node) in tree.iter().enumerate() {
        while let Some(&(depth, opened)) = open.last()
            && depth >= node.depth
        {
            if let Some(end) = ends.get_mut(opened) {
                *end = index;
            }
            open.pop();
        }
        open.push((node.depth, index));
    }
    ends
}

const fn row(depth: u32, content: Content) -> Row {
    Row { depth, last: false, content }
}

/// For each node whether nothing changed in its whole subtree.
fn quiet_subtrees(tree: &[TreeNode], ends: &[usize]) -> Vec<bool> {
    // A subtree is quiet when no changed node lies in its range: count the changed ones before each index.
    let mut changed_before = Vec::with_capacity(tree.len() + 1);
    let mut changed = 0usize;
    changed_before.push(0);
    for node in tree {
        changed += usize::from(node.mark != Mark::Equal || node.finding.is_some());
        changed_before.push(changed);
    }
    let before = |index: usize| changed_before.get(index).copied().unwrap_or(changed);
    ends.iter().enumerate().map(|(start, &end)| before(start) == before(end)).collect()
}

fn folded(tree: &[TreeNode]) -> Vec<Row> {
    let ends = subtree_ends(tree);
    let quiet = quiet_subtrees(tree, &ends);
    let end_of = |index: usize| ends.get(index).copied().unwrap_or(tree.len());
    let mut rows = Vec::new();
    let mut index = 0;
    while let Some(node) = tree.get(index) {
        // Roots stay visible: they name what is compared.
        let is_quiet = |at: usize| node.depth > 0 && quiet.get(at).copied().unwrap_or(false);
        let end = siblings(tree, index, end_of, is_quiet);
        if end > index + 1 {
            rows.push(row(node.depth, unchanged(tree.get(index..end).unwrap_or_default())));
            index = end;
            continue;
        }
        let alike = |at: usize| end_of(at) == at + 1 && tree.get(at).is_some_and(|other| repeats(node, other));
        let end = siblings(tree, index, end_of, alike);
        if end >= index + REPEATED {
            rows.push(row(node.depth, repeated(tree, index, end)));
            index = end;
        } else {
            rows.push(row(node.depth, Content::Node(index)));
            index += 1;
        }
    }
    rows
}

/// The index behind the run of neighbouring subtrees from `start` on that all `belong`; `start` if it does not itself.
fn siblings(
    tree: &[TreeNode],
    start: usize,
    end_of: impl Fn(usize) -> usize,
    belongs: impl Fn(usize) -> bool,
) -> usize {
    let depth = tree.get(start).map(|node| node.depth);
    let mut index = start;
    while tree.get(index).map(|node| node.depth) == depth && index < tree.len() && belongs(index) {
        index = end_of(index);
    }
    index
}

fn repeats(node: &TreeNode, other: &TreeNode) -> bool {
    matches!(node.mark, Mark::Added | Mark::Removed)
        && other.mark == node.mark
        && other.finding == node.finding
        && other.operation == node.operation
}

fn unchanged(nodes: &[TreeNode]) -> Content {
    let deltas = || nodes.iter().map(self_delta);
    Content::Unchanged {
        count: nodes.len() as u64,
        bound_ns: deltas().map(i64::unsigned_abs).max().unwrap_or_default(),
        self_delta_ns: deltas().fold(0, i64::saturating_add),
    }
}

fn repeated(tree: &[TreeNode], start: usize, end: usize) -> Content {
    let nodes = tree.get(start..end).unwrap_or_default();
    let side = |node: &TreeNode| node.sides.after.or(node.sides.before).map_or(0, |side| side.duration_ns);
    Content::Repeated {
        first: start,
        count: nodes.len() as u64,
        duration_ns: nodes.iter().map(side).fold(0, u64::saturating_add),
    }
}

/// Walks backwards: a row is the last of its siblings when no row of its depth came since a shallower one.
fn mark_last(rows: &mut [Row]) {
    let mut followed: Vec<u32> = Vec::new();
    for row in rows.iter_mut().rev() {
        while followed.last().is_some_and(|&depth| depth > row.depth) {
            followed.pop();
        }
        row.last = followed.last() != Some(&row.depth);
        if row.last {
            followed.push(row.depth);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::diff::{MatchInfo, NodeSide};
    use crate::model::{Kind, Operation, Pair, SpanId, Status};

    pub(crate) fn node(depth: u32, name: &str, mark: Mark, before_ms: Option<u64>, after_ms: Option<u64>) -> TreeNode {
        let side = |ms: u64| NodeSide {
            spans: 1,
            start_ns: 0,
            duration_ns: ms * 1_000_000,
            self_ns: ms * 1_000_000,
            critical_ns: 0,
            status: Status::Unset,
            kind: Kind::Internal,
            span_id: SpanId(1),
            many: None,
        };
        TreeNode {
            depth,
            operation: Operation { service: "shop".into(), kind: Kind::Internal, name: name.into() },
            from: None,
            mark,
            sides: Pair::new(before_ms.map(side), after_ms.map(side)),
            inherited: false,
            finding: None,
            matched: MatchInfo { score: 1.0, reason: "operation" },
            detail: None,
        }
    }

    #[test]
    fn equal_siblings_are_folded_with_count_and_bound() {
        let tree = [
            node(0, "root", Mark::Worse, Some(10), Some(20)),
            node(1, "a", Mark::Equal, Some(3), Some(2)),
            node(2, "a1", Mark::Equal, Some(1), Some(1)),
            node(1, "b", Mark::Equal, Some(4), Some(6)),
            node(1, "c", Mark::Worse, Some(1), Some(9)),
            node(2, "alone", Mark::Equal, Some(1), Some(1)),
            node(1, "n", Mark::Added, None, Some(2)),
            node(1, "n", Mark::Added, None, Some(3)),
            node(1, "n", Mark::Added, None, Some(4)),
        ];
        let ms = 1_000_000;
        assert_eq!(
            rows(&tree, TreeView::Folded),
            [
                Row { depth: 0, last: true, content: Content::Node(0) },
                Row {
                    depth: 1,
                    last: false,
                    content: Content::Unchanged { count: 3, bound_ns: 2 * ms as u64, self_delta_ns: ms }
                },
                Row { depth: 1, last: false, content: Content::Node(4) },
                Row { depth: 2, last: true, content: Content::Node(5) },
                Row {
                    depth: 1,
                    last: true,
                    content: Content::Repeated { first: 6, count: 3, duration_ns: 9 * ms as u64 }
                },
            ]
        );
        assert_eq!(rows(&tree, TreeView::All).len(), tree.len());
    }

    #[test]
    fn a_tree_without_change_still_shows_its_root() {
        let tree = [
            node(0, "root", Mark::Equal, Some(9), Some(9)),
            node(1, "a", Mark::Equal, Some(1), Some(1)),
            node(1, "b", Mark::Equal, Some(1), Some(1)),
        ];
        let shown = rows(&tree, TreeView::Folded);
        assert_eq!(shown.len(), 2);
        assert!(matches!(shown.get(1).map(|row| row.content), Some(Content::Unchanged { count: 2, .. })));
        assert!(rows(&[], TreeView::Folded).is_empty());
    }

    #[test]
    fn depth_and_width_cost_linear_time() {
        let deep: Vec<_> = (0..100_000).map(|depth| node(depth, "x", Mark::Worse, Some(1), Some(2))).collect();
        assert_eq!(rows(&deep, TreeView::Folded).len(), 100_000);
        let wide: Vec<_> = (0..100_000).map(|n| node(u32::from(n > 0), "x", Mark::Equal, Some(1), Some(1))).collect();
        assert_eq!(rows(&wide, TreeView::Folded).len(), 2);
    }
}
