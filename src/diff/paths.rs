//! Call paths: the chain of operations from the entry point down, as numbers.

use crate::align::Tree;
use crate::align::hash::mix;
use crate::model::{Kind, Operation, OperationId, Operations};
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

    /// The operations of a path, entry point first. Of a path longer than 512 steps the middle is told as one step.
    pub fn operations(&self, path: PathId, operations: &Operations) -> Vec<Operation> {
        let mut chain: Vec<OperationId> = Vec::new();
        let mut at = path;
        while let Some(&(parent, operation)) = self.steps.get(at.0 as usize).filter(|_| at != PathId::ROOT) {
            chain.push(operation);
            at = parent;
        }
        let skipped = chain.len().saturating_sub(SHOWN);
        if skipped > 0 {
            chain.drain(SHOWN / 2..SHOWN / 2 + skipped);
        }
        let mut path: Vec<Operation> = chain.into_iter().rev().filter_map(|id| operations.get(id).cloned()).collect();
        if skipped > 0 {
            let levels =
                Operation { service: "…".into(), kind: Kind::Internal, name: format!("{skipped} levels").into() };
            path.insert(path.len() / 2, levels);
        }
        path
    }

    /// A hash of the texts of each path, by number: equal in every run and version.
    pub fn fingerprints(&self, operations: &Operations) -> Vec<u64> {
        let mut hashes: Vec<u64> = Vec::with_capacity(self.steps.len());
        for &(parent, operation) in &self.steps {
            let above = hashes.get(parent.0 as usize).copied().unwrap_or_default();
            let own = operations.get(operation).map_or(0, |operation| {
                let texts = [&*operation.service, operation.kind.name(), &operation.name];
                texts.iter().fold(above, |state, text| text_hash(state, text))
            });
            hashes.push(own);
        }
        hashes
    }

    /// The place of each path, by number, when all are sorted by their texts, entry point first.
    pub fn order(&self, operations: &Operations) -> Vec<u32> {
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); self.steps.len()];
        for (number, &(parent, _)) in self.steps.iter().enumerate().skip(1) {
            if let Some(list) = children.get_mut(parent.0 as usize) {
                list.push(number as u32);
            }
        }
        let text = |number: u32| self.steps.get(number as usize).and_then(|step| operations.get(step.1));
        let mut order = vec![0; self.steps.len()];
        let mut stack = vec![0];
        let mut next = 0;
        while let Some(number) = stack.pop() {
            if let Some(slot) = order.get_mut(number as usize) {
                *slot = next;
            }
            next += 1;
            let Some(list) = children.get_mut(number as usize) else { continue };
            list.sort_by(|&x, &y| text(y).cmp(&text(x)));
            stack.append(list);
        }
        order
    }
}

/// Steps of a path that are told one by one.
const SHOWN: usize = 512;

/// Mixes a text and its end into a hash.
pub fn text_hash(state: u64, text: &str) -> u64 {
    text.bytes().chain([0]).fold(state, |state, byte| mix(state.wrapping_mul(257) ^ u64::from(byte)))
}
