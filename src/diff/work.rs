//! What all steps of a pair diff share: trees, alignment, times, call paths and classes.
//!
//! A *class* is a place in both trees: all matched spans with the same call path before and the same call path after.
//! Ten calls of one query under ten requests are one class, so that they are judged together and named once.

use super::options::DiffOptions;
use super::paths::{PathId, Paths};
use crate::align::{self, Alignment, MatchReason, Node, ROOT, Tree, UNMATCHED};
use crate::model::times::Times;
use crate::model::{
    Kind, NO_PARENT, Operation, OperationId, Operations, Pair, Side, Span, SpanMarks, Status, Trace, facts,
};
use std::collections::HashMap;

/// The shared state. Node numbers are those of the trees: span index plus one, 0 is the virtual root.
pub(super) struct Work<'a> {
    pub traces: &'a Pair<Trace>,
    pub options: &'a DiffOptions,
    pub trees: Pair<Tree>,
    pub alignment: Alignment,
    pub times: Pair<Times>,
    pub paths: Paths,
    pub path_of: Pair<Vec<PathId>>,
    pub classes: Vec<Class>,
    /// Class of each matched pair, by before node.
    class_of: Vec<u32>,
}

/// Matched spans with equal call paths on each side.
pub(super) struct Class {
    /// Call path on each side.
    pub path: Pair<PathId>,
    /// The matched nodes, in order of the before side.
    pub members: Vec<(u32, u32)>,
    /// Why they were matched; of several the first.
    pub reason: MatchReason,
    /// Lowest score among them.
    pub score: f64,
}

impl<'a> Work<'a> {
    pub fn new(traces: &'a Pair<Trace>, options: &'a DiffOptions) -> Work<'a> {
        // The sides know nothing of each other until they are aligned: one thread each.
        let measure = |trace| (tree_of(trace), Times::new(trace));
        let (before, after) = std::thread::scope(|scope| {
            let before = scope.spawn(|| measure(&traces.before));
            let after = measure(&traces.after);
            (before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), after)
        });
        let (trees, times) = (Pair::new(before.0, after.0), Pair::new(before.1, after.1));
        let alignment = align::align(&trees.before, &trees.after, &traces.before.operations);
        let mut paths = Paths::default();
        let path_of = trees.as_ref().map(|tree| paths.of_tree(tree));
        let mut work = Work {
            traces,
            options,
            trees,
            alignment,
            times,
            paths,
            path_of,
            classes: Vec::new(),
            class_of: Vec::new(),
        };
        work.find_classes();
        work
    }

    fn find_classes(&mut self) {
        let mut known: HashMap<(PathId, PathId), u32, foldhash::fast::RandomState> = HashMap::default();
        self.class_of = vec![UNMATCHED; self.trees.before.len()];
        for (a, b) in self.alignment.pairs() {
            let path = Pair::new(self.path(Side::Before, a), self.path(Side::After, b));
            let (reason, score) = self.alignment.reason(Side::Before, a).unwrap_or((MatchReason::Operation, 0.0));
            let next = self.classes.len() as u32;
            let number = *known.entry((path.before, path.after)).or_insert(next);
            if number == next {
                self.classes.push(Class { path, members: Vec::new(), reason, score });
            }
            if let Some(class) = self.classes.get_mut(number as usize) {
                class.members.push((a, b));
                class.score = class.score.min(score);
            }
            if let Some(slot) = self.class_of.get_mut(a as usize) {
                *slot = number;
            }
        }
    }

    pub fn operations(&self) -> &Operations {
        &self.traces.after.operations
    }

    /// An operation by its number; that of an empty name for one that is not in the table.
    pub fn operation(&self, id: OperationId) -> Operation {
        let nameless = || Operation { service: "".into(), kind: Kind::Internal, name: "".into() };
        self.operations().get(id).cloned().unwrap_or_else(nameless)
    }

    pub fn node(&self, side: Side, node: u32) -> &Node {
        self.trees.get(side).node(node)
    }

    pub fn path(&self, side: Side, node: u32) -> PathId {
        self.path_of.get(side).get(node as usize).copied().unwrap_or(PathId::ROOT)
    }

    pub fn span(&self, side: Side, node: u32) -> Option<&Span> {
        self.traces.get(side).spans().get((node as usize).checked_sub(1)?)
    }

    pub fn is_matched(&self, side: Side, node: u32) -> bool {
        self.alignment.is_matched(side, node)
    }

    /// The class of a matched node.
    pub fn class(&self, side: Side, node: u32) -> Option<usize> {
        let before = if side == Side::Before { node } else { self.alignment.partner(side, node) };
        self.class_of.get(before as usize).filter(|&&class| class != UNMATCHED).map(|&class| class as usize)
    }

    /// Whether a span failed by itself: an error whose child failed too is inherited.
    pub fn own_error(&self, side: Side, node: u32) -> bool {
        let tree = self.trees.get(side);
        tree.node(node).failed && !tree.children(node).any(|child| tree.node(child).failed)
    }

    /// Self time of a node that is not an edge, 0 for an edge.
    pub fn own_ns(&self, side: Side, node: u32) -> u64 {
        node.checked_sub(1).map_or(0, |index| self.times.get(side).own_ns(index))
    }

    /// Self time, also of an edge.
    pub fn self_ns(&self, side: Side, node: u32) -> u64 {
        node.checked_sub(1).map_or(0, |index| crate::model::times::at(&self.times.get(side).self_ns, index))
    }

    /// Nanoseconds of the critical path.
    pub fn critical_ns(&self, side: Side, node: u32) -> u64 {
        node.checked_sub(1).map_or(0, |index| crate::model::times::at(&self.times.get(side).critical_ns, index))
    }

    /// Time of the edge that leads to a node.
    pub fn edge_ns(&self, side: Side, node: u32) -> Option<u64> {
        self.times.get(side).edge_to_ns(self.traces.get(side), node.checked_sub(1)?)
    }

    /// The operation of a node as text, `service: name`.
    pub fn label(&self, side: Side, node: u32) -> String {
        self.operations()
            .get(self.node(side, node).operation)
            .map_or_else(|| "the entry point".to_owned(), ToString::to_string)
    }

    /// Duration of the entry span on each side; `None` for an empty side.
    pub fn root_ns(&self, side: Side) -> Option<u64> {
        self.traces.get(side).spans().first().map(Span::duration_ns)
    }
}

fn tree_of(trace: &Trace) -> Tree {
    let origin = trace.spans().iter().map(|span| span.start_ns).min().unwrap_or(0);
    Tree::new(trace.spans().iter().map(|span| Node {
        operation: span.operation,
        parent: if span.parent == NO_PARENT { ROOT } else { span.parent + 1 },
        subtree_end: 0,
        failed: span.status == Status::Error,
        orphan: span.marks.has(SpanMarks::ORPHAN),
        start_ns: span.start_ns - origin,
        duration_ns: span.duration_ns(),
        likeness: facts::likeness(trace.store.attributes(span)),
    }))
}
