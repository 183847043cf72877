//! A [`Diff`] with what the screens need to find their way in it: parents, subtrees, places of findings.

use crate::diff::{Diff, Finding, Mark, TreeNode};
use crate::model::{Operation, Pair};
use crate::report::rows::{duration_delta, self_delta, subtree_ends};
use indexmap::IndexSet;
use std::collections::HashMap;

/// "No node": the parent of an entry point.
pub const NONE: u32 = u32::MAX;

/// Where a node of the merged tree stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its parent; [`NONE`] for an entry point.
    pub parent: u32,
    /// The index behind the last node of its subtree.
    pub end: u32,
    /// Its operation in [`Model::names`].
    pub name: u32,
}

/// What the screens look at. Made once for each comparison, never changed.
#[derive(Debug)]
pub struct Model {
    /// The comparison.
    pub diff: Diff,
    /// For each node of the tree where it stands.
    pub places: Vec<Place>,
    /// Distinct operations as `service name`, for filters.
    pub names: Vec<String>,
    /// For each finding the node that it stands at, if the tree has it.
    node_of: Vec<Option<u32>>,
}

impl Model {
    /// Finds out where everything stands.
    pub fn new(diff: Diff) -> Model {
        let ends = subtree_ends(&diff.tree);
        let mut names: IndexSet<&Operation, foldhash::fast::RandomState> = IndexSet::default();
        let mut above: Vec<u32> = Vec::new();
        let mut places = Vec::with_capacity(diff.tree.len());
        for (index, (node, end)) in diff.tree.iter().zip(ends).enumerate() {
            above.truncate(node.depth as usize);
            let parent = above.last().copied().unwrap_or(NONE);
            above.push(index as u32);
            let name = names.insert_full(&node.operation).0 as u32;
            places.push(Place { parent, end: end as u32, name });
        }
        let names = names.into_iter().map(|operation| format!("{} {}", operation.service, operation.name)).collect();
        let node_of = node_of(&diff, &places);
        Model { diff, places, names, node_of }
    }

    /// Nodes of the tree.
    pub const fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// Whether there is no tree.
    pub const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A node of the tree.
    pub fn node(&self, node: u32) -> Option<&TreeNode> {
        self.diff.tree.get(node as usize)
    }

    /// Where a node stands.
    pub fn place(&self, node: u32) -> Place {
        self.places.get(node as usize).copied().unwrap_or(Place { parent: NONE, end: node.saturating_add(1), name: 0 })
    }

    /// The parent of a node.
    pub fn parent(&self, node: u32) -> Option<u32> {
        Some(self.place(node).parent).filter(|&parent| parent != NONE)
    }

    /// Whether a node has no sibling behind it.
    pub fn is_last(&self, end: u32, parent: u32) -> bool {
        if parent == NONE { end >= self.len() } else { end >= self.place(parent).end }
    }

    /// A finding by its place in the list.
    pub fn finding(&self, finding: usize) -> Option<&Finding> {
        self.diff.findings.get(finding)
    }

    /// The node that a finding stands at.
    pub fn node_of(&self, finding: usize) -> Option<u32> {
        self.node_of.get(finding).copied().flatten()
    }

    /// The findings that stand at a node, most important first.
    pub fn findings_at(&self, node: u32) -> impl Iterator<Item = usize> {
        self.node_of.iter().enumerate().filter(move |(_, at)| **at == Some(node)).map(|(finding, _)| finding)
    }

    /// Whether a node is worth a stop: something changed here, and not only below.
    pub fn is_change(&self, node: u32) -> bool {
        self.node(node).is_some_and(|node| node.finding.is_some() || (node.mark != Mark::Equal && !node.inherited))
    }

    /// Whether a node fails now and did not before.
    pub fn is_new_error(&self, node: u32) -> bool {
        let own = |node: &TreeNode| node.mark == Mark::Failing;
        self.node(node).is_some_and(own)
    }

    /// The entry point above a node.
    pub fn entry(&self, node: u32) -> u32 {
        let mut at = node;
        while let Some(parent) = self.parent(at) {
            at = parent;
        }
        at
    }

    /// The operations from the entry point down to a node.
    pub fn path(&self, node: u32) -> Vec<Operation> {
        let mut path = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at {
            path.extend(self.node(node).map(|node| node.operation.clone()));
            at = self.parent(node);
        }
        path.reverse();
        path
    }

    /// The first node with this way from its entry point.
    pub fn find(&self, path: &[Operation]) -> Option<u32> {
        self.way(path).filter(|(_, length)| *length == path.len()).map(|(node, _)| node)
    }

    /// The first node whose operations from the entry point on are these, or as many of them as possible.
    pub fn find_way(&self, path: &[Operation]) -> Option<u32> {
        self.way(path).map(|(node, _)| node)
    }

    /// The last node of the way, and how much of the path it is.
    fn way(&self, path: &[Operation]) -> Option<(u32, usize)> {
        let (mut at, mut end, mut found) = (0, self.len(), None);
        for (length, operation) in path.iter().enumerate() {
            let mut child = at;
            while child < end && self.node(child).is_some_and(|node| node.operation != *operation) {
                child = self.place(child).end;
            }
            if child >= end {
                break;
            }
            found = Some((child, length + 1));
            (at, end) = (child + 1, self.place(child).end);
        }
        found
    }

    /// The next node behind (or before) `from` that `is_meant` accepts; goes round once.
    pub fn seek(&self, from: Option<u32>, forward: bool, is_meant: impl Fn(&Model, u32) -> bool) -> Option<u32> {
        let len = self.len();
        let start = match (from, forward) {
            (Some(from), true) => from + 1,
            (Some(from), false) => from,
            (None, true) => 0,
            (None, false) => len,
        };
        if forward {
            (start..len).chain(0..start.min(len)).find(|&node| is_meant(self, node))
        } else {
            (0..start.min(len)).rev().chain((start.min(len)..len).rev()).find(|&node| is_meant(self, node))
        }
    }

    /// After minus before of a node's duration and of its self time, nanoseconds.
    pub fn deltas(&self, node: u32) -> (i64, i64) {
        self.node(node).map_or((0, 0), |node| (duration_delta(node), self_delta(node)))
    }

    /// Calls of a node on each side: those of one trace for many, else whether it is there.
    pub fn calls(&self, node: u32) -> Pair<f64> {
        let side = |side: Option<crate::diff::NodeSide>| {
            side.map_or(0.0, |side| side.many.map_or(side.spans as f64, |many| many.calls_per_trace))
        };
        self.node(node).map_or(Pair::new(0.0, 0.0), |node| node.sides.map(side))
    }
}

/// The rows name the most important finding at each node; the others stand where their path leads.
fn node_of(diff: &Diff, places: &[Place]) -> Vec<Option<u32>> {
    let mut node_of: Vec<Option<u32>> = vec![None; diff.findings.len()];
    for (index, node) in diff.tree.iter().enumerate() {
        if let Some(slot @ None) = node.finding.and_then(|finding| node_of.get_mut(finding)) {
            *slot = Some(index as u32);
        }
    }
    if node_of.iter().all(Option::is_some) {
        return node_of;
    }
    // Paths are looked up by their last operation; parents decide between several.
    let mut ends: HashMap<&Operation, Vec<u32>, foldhash::fast::RandomState> = HashMap::default();
    for (index, node) in diff.tree.iter().enumerate() {
        ends.entry(&node.operation).or_default().push(index as u32);
    }
    for (finding, slot) in diff.findings.iter().zip(&mut node_of) {
        let Some(last) = finding.path.last().filter(|_| slot.is_none()) else { continue };
        let candidates = ends.get(last).map_or(&[][..], Vec::as_slice);
        *slot = candidates.iter().copied().max_by_key(|&node| (shared(diff, places, node, &finding.path), !node));
    }
    node_of
}

/// How many operations of a path, from its end on, lead up from a node.
fn shared(diff: &Diff, places: &[Place], node: u32, path: &[Operation]) -> usize {
    let mut at = Some(node);
    let mut same = 0;
    for operation in path.iter().rev() {
        let Some(index) = at else { break };
        if diff.tree.get(index as usize).is_none_or(|node| node.operation != *operation) {
            break;
        }
        same += 1;
        at = places.get(index as usize).map(|place| place.parent).filter(|&parent| parent != NONE);
    }
    same
}
