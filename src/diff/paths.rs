//! Call paths: the chain of operations from the entry point down, as numbers.

use crate::align::Tree;
use crate::model::{Operation, OperationId, Operations};
use std::collections::HashMap;

/// A call path of one [`Paths`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub u32);

impl PathId {
    /// Above the entry points.
    pub const ROOT: PathId = PathId(0);
}

/// Call paths, hash-consed: equal chains have equal numbers, on both sides.
#[derive(Debug)]
pub struct Paths {
    steps: Vec<(PathId, OperationId)>,
    known: HashMap<(PathId, OperationId), PathId, foldhash::fast::RandomState>,
}

impl Default for Paths {
    fn default() -> Self {
        Paths { steps: vec![(PathId::ROOT, OperationId::NONE)], known: HashMap::default() }
    }
}

impl Paths {
    /// The call path of every node of a tree; the virtual root's is [`PathId::ROOT`].
    pub fn of_tree(&mut self, tree: &Tree) -> Vec<PathId> {
        let mut paths: Vec<PathId> = Vec::with_capacity(tree.len());
        paths.push(PathId::ROOT);
        for node in tree.nodes().iter().skip(1) {
            let parent = paths.get(node.parent as usize).copied().unwrap_or(PathId::ROOT);
            paths.push(self.step(parent, node.operation));
        }
        paths
    }

    fn step(&mut self, parent: PathId, operation: OperationId) -> PathId {
        let next = PathId(self.steps.len() as u32);
        let path = *self.known.entry((parent, operation)).or_insert(next);
        if path == next {
            self.steps.push((parent, operation));
        }
        path
    }

    /// The operations of a path, entry point first.
    pub fn operations(&self, path: PathId, operations: &Operations) -> Vec<Operation> {
        let mut chain = Vec::new();
        let mut at = path;
        while at != PathId::ROOT {
            let Some(&(parent, operation)) = self.steps.get(at.0 as usize) else { break };
            chain.extend(operations.get(operation).cloned());
            at = parent;
        }
        chain.reverse();
        chain
    }
}
