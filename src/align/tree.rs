//! The shape that alignment works on: a tree in pre-order with what tells nodes apart.

use crate::model::{Kind, OperationId, Operations};
use std::collections::HashMap;

/// The virtual root of both sides.
pub const ROOT: u32 = 0;

/// One node: a span of a trace, or a call path of a folded tree.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Operation, in the table that both sides share.
    pub operation: OperationId,
    /// Index of the parent; 0 for an entry point.
    pub parent: u32,
    /// Index behind the last node of the subtree.
    pub subtree_end: u32,
    /// Whether it failed.
    pub failed: bool,
    /// Whether its parent is missing from the data, so that where it hangs says nothing.
    pub orphan: bool,
    /// Start relative to the trace's start, nanoseconds.
    pub start_ns: u64,
    /// Duration, nanoseconds.
    pub duration_ns: u64,
    /// Hash of the masked attributes that a moved or repeated call keeps; 0 for none.
    pub likeness: u64,
}

/// A tree in pre-order below one virtual root, so that entry points take part in every step.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// A tree of `nodes` in pre-order, without the virtual root; their parents count from 1, 0 means entry point.
    ///
    /// Parents that do not come first are taken as 0, and subtree ends are computed here, so every tree is valid.
    pub fn new(nodes: impl ExactSizeIterator<Item = Node>) -> Tree {
        let mut all = Vec::with_capacity(nodes.len() + 1);
        all.push(NOWHERE);
        for node in nodes {
            let index = all.len() as u32;
            all.push(Node {
                parent: if node.parent < index { node.parent } else { ROOT },
                subtree_end: index + 1,
                ..node
            });
        }
        for index in (0..all.len()).rev() {
            let (end, parent) =
                all.get(index).map_or((0, 0), |node| (node.subtree_end.max(index as u32 + 1), node.parent));
            if let Some(parent) = all.get_mut(parent as usize) {
                parent.subtree_end = parent.subtree_end.max(end);
            }
            if let Some(node) = all.get_mut(index) {
                node.subtree_end = end;
            }
        }
        Tree { nodes: all }
    }

    /// All nodes, the virtual root first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many nodes there are, the virtual root included: never 0.
    #[allow(clippy::len_without_is_empty, reason = "a tree has at least its virtual root")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A node; the virtual root for an index outside the tree.
    #[inline]
    pub fn node(&self, index: u32) -> &Node {
        match self.nodes.get(index as usize) {
            Some(node) => node,
            None => self.nodes.first().unwrap_or(&NOWHERE),
        }
    }

    /// Number of nodes in a subtree, its top included.
    #[inline]
    pub fn size(&self, index: u32) -> u32 {
        self.node(index).subtree_end.saturating_sub(index)
    }

    /// The children of a node, in order.
    pub fn children(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let end = self.node(index).subtree_end;
        let mut next = index + 1;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let child = next;
            next = self.node(child).subtree_end.max(child + 1);
            Some(child)
        })
    }

    /// The nodes below `index`, without itself, at most `most` of them, in pre-order.
    pub fn descendants(&self, index: u32, most: usize) -> &[Node] {
        let start = index as usize + 1;
        let end = (self.node(index).subtree_end as usize).min(start.saturating_add(most));
        self.nodes.get(start..end).unwrap_or_default()
    }
}

const NOWHERE: Node = Node {
    operation: OperationId::NONE,
    parent: u32::MAX,
    subtree_end: 0,
    failed: false,
    orphan: false,
    start_ns: 0,
    duration_ns: 0,
    likeness: 0,
};

/// What rescue needs to know about operations, computed once a table: service, kind, name and its tokens as numbers.
#[derive(Clone, Debug)]
pub struct OperationFacts {
    facts: Vec<Facts>,
}

#[derive(Clone, Debug)]
struct Facts {
    service: u32,
    kind: Kind,
    name: u32,
    /// Distinct tokens of the name, sorted.
    tokens: Vec<u32>,
}

impl OperationFacts {
    /// Reads a table.
    pub fn new(operations: &Operations) -> OperationFacts {
        let mut words: HashMap<String, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut number = |word: String| {
            let next = words.len() as u32;
            *words.entry(word).or_insert(next)
        };
        let facts = operations
            .iter()
            .map(|operation| {
                let mut tokens: Vec<u32> = name_tokens(&operation.name).into_iter().map(&mut number).collect();
                tokens.sort_unstable();
                tokens.dedup();
                Facts {
                    service: number(format!("\0service {}", operation.service)),
                    kind: operation.kind,
                    name: number(format!("\0name {}", operation.name)),
                    tokens,
                }
            })
            .collect();
        OperationFacts { facts }
    }

    fn both(&self, a: OperationId, b: OperationId) -> Option<(&Facts, &Facts)> {
        Some((self.facts.get(a.0 as usize)?, self.facts.get(b.0 as usize)?))
    }

    /// Same service and same kind.
    pub fn same_place(&self, a: OperationId, b: OperationId) -> bool {
        self.both(a, b).is_some_and(|(a, b)| a.service == b.service && a.kind == b.kind)
    }

    /// Same kind.
    pub fn same_kind(&self, a: OperationId, b: OperationId) -> bool {
        self.both(a, b).is_some_and(|(a, b)| a.kind == b.kind)
    }

    /// Same kind and name in another service.
    pub fn same_work(&self, a: OperationId, b: OperationId) -> bool {
        self.both(a, b).is_some_and(|(a, b)| a.kind == b.kind && a.name == b.name && a.service != b.service)
    }

    /// Kinds and names of operations whatever their service, sorted, each once.
    pub fn work(&self, operations: &[OperationId]) -> Vec<(Kind, u32)> {
        let mut work: Vec<(Kind, u32)> = operations
            .iter()
            .filter_map(|id| self.facts.get(id.0 as usize))
            .map(|facts| (facts.kind, facts.name))
            .collect();
        work.sort_unstable();
        work.dedup();
        work
    }

    /// Dice coefficient of the name tokens, 0 to 1.
    pub fn name_similarity(&self, a: OperationId, b: OperationId) -> f64 {
        self.both(a, b).map_or(0.0, |(a, b)| super::similarity::dice_of_sorted(&a.tokens, &b.tokens))
    }
}

/// Words of a name: split at separators, at camelCase humps and between letters and digits; lower case.
fn name_tokens(name: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let mut previous = ' ';
    for c in name.chars().take(512) {
        let hump = c.is_uppercase() && !previous.is_uppercase();
        let digit_edge = c.is_numeric() != previous.is_numeric();
        if (!c.is_alphanumeric() || hump || digit_edge) && !token.is_empty() {
            tokens.push(std::mem::take(&mut token));
        }
        if c.is_alphanumeric() {
            token.extend(c.to_lowercase());
        }
        previous = c;
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_into_words() {
        assert_eq!(name_tokens("GET /users/{}/cartItems"), ["get", "users", "cart", "items"]);
        assert_eq!(name_tokens("findDriverV2"), ["find", "driver", "v", "2"]);
        assert_eq!(name_tokens("HTTPServer render_page"), ["httpserver", "render", "page"]);
    }

    #[test]
    fn a_tree_knows_its_subtrees() {
        let node = |parent| Node { parent, ..NOWHERE };
        let tree = Tree::new([node(0), node(1), node(2), node(1), node(0)].into_iter());
        assert_eq!(tree.children(ROOT).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(tree.children(1).collect::<Vec<_>>(), [2, 4]);
        assert_eq!((tree.size(ROOT), tree.size(1), tree.size(2), tree.size(5)), (6, 4, 2, 1));
        assert_eq!(tree.descendants(1, 2).len(), 2);
    }
}
