//! Findings while they are being put together, and which finding each span's time belongs to.

use super::effects::{Effect, InstanceGroup};
use super::kind::FindingKind;
use super::paths::PathId;
use super::types::{AttributeChange, Confidence, EventChange, MatchInfo};
use super::work::Class;
use crate::align::Tree;
use crate::model::{Pair, Side, SpanId, TraceId};
use std::collections::BTreeSet;

/// No finding.
pub(super) const NOBODY: u32 = u32::MAX;

/// A finding before its numbers are filled in.
#[derive(Clone)]
pub(super) struct Draft {
    pub kind: FindingKind,
    pub path: PathId,
    pub from_path: Option<PathId>,
    /// All nodes at this place: spans of a pair, call paths of a population. The first one is where it stands.
    pub nodes: Pair<Vec<u32>>,
    /// Spans that make up the finding with those below, for what only one side has.
    pub subtree: Option<u64>,
    pub title: String,
    pub evidence: Vec<String>,
    pub confidence: Confidence,
    pub matched: MatchInfo,
    pub attributes: Vec<AttributeChange>,
    pub events: Vec<EventChange>,
    /// The nodes whose spans are shown as examples.
    pub example: Pair<Option<u32>>,
    /// The example spans themselves, best first, where they are others than the nodes' own; populations only.
    pub exemplars: Pair<Vec<(TraceId, SpanId)>>,
    /// The tests behind it; populations only.
    pub effects: Vec<Effect>,
    /// The instances it speaks of; populations only.
    pub instances: Vec<InstanceGroup>,
    /// When it began within the after side, and in which trace; populations only.
    pub first_seen: Option<(u64, TraceId)>,
}

impl Draft {
    /// A draft at a class of matched spans: `nodes` are all of them or some.
    pub fn of_class(kind: FindingKind, class: &Class, nodes: Pair<Vec<u32>>) -> Draft {
        Draft {
            from_path: (class.path.before != class.path.after).then_some(class.path.before),
            matched: MatchInfo { score: class.score, reason: class.reason.name() },
            ..Draft::new(kind, class.path.after, nodes)
        }
    }

    pub fn new(kind: FindingKind, path: PathId, nodes: Pair<Vec<u32>>) -> Draft {
        let example = Pair::new(nodes.before.first().copied(), nodes.after.first().copied());
        Draft {
            kind,
            path,
            from_path: None,
            nodes,
            subtree: None,
            title: String::new(),
            evidence: Vec::new(),
            confidence: Confidence::Certain,
            matched: MatchInfo { score: 1.0, reason: "operation" },
            attributes: Vec::new(),
            events: Vec::new(),
            example,
            exemplars: Pair::default(),
            effects: Vec::new(),
            instances: Vec::new(),
            first_seen: None,
        }
    }
}

/// All drafts of a diff with the owner of every node's time.
pub(super) struct Drafts {
    pub list: Vec<Draft>,
    /// Spans that were not recorded on a side, though their children were.
    pub unrecorded: Pair<u64>,
    /// Nodes whose time cannot be compared because of those.
    lost: Pair<BTreeSet<u32>>,
    /// Index of the draft that a node's critical-path time is charged to, by node.
    owner: Pair<Vec<u32>>,
}

impl Drafts {
    pub fn new(nodes: Pair<usize>) -> Drafts {
        Drafts {
            list: Vec::new(),
            unrecorded: Pair::default(),
            lost: Pair::default(),
            owner: nodes.map(|count| vec![NOBODY; count]),
        }
    }

    /// Adds a draft; returns its number.
    pub fn push(&mut self, draft: Draft) -> u32 {
        self.list.push(draft);
        self.list.len() as u32 - 1
    }

    /// Marks a node's time as not comparable.
    pub fn lose(&mut self, side: Side, node: u32) {
        self.lost.get_mut(side).insert(node);
    }

    /// Whether a node's time cannot be compared.
    pub fn is_lost(&self, side: Side, node: u32) -> bool {
        self.lost.get(side).contains(&node)
    }

    pub fn owner(&self, side: Side, node: u32) -> u32 {
        self.owner.get(side).get(node as usize).copied().unwrap_or(NOBODY)
    }

    /// Charges a node's time to a draft, unless somebody owns it already.
    pub fn own(&mut self, side: Side, node: u32, draft: u32) {
        if let Some(slot) = self.owner.get_mut(side).get_mut(node as usize)
            && *slot == NOBODY
        {
            *slot = draft;
        }
    }

    /// Charges whole subtrees, given as top and draft: of nested ones the innermost counts. One pass over the tree,
    /// whatever the depth.
    pub fn own_subtrees(&mut self, trees: &Pair<Tree>, tops: &Pair<Vec<(u32, u32)>>) {
        for side in [Side::Before, Side::After] {
            if tops.get(side).is_empty() {
                continue;
            }
            let tree = trees.get(side);
            let mut inherited = vec![NOBODY; tree.len()];
            for &(top, draft) in tops.get(side) {
                if let Some(slot) = inherited.get_mut(top as usize) {
                    *slot = draft;
                }
            }
            for node in 1..tree.len() as u32 {
                let above = inherited.get(tree.node(node).parent as usize).copied().unwrap_or(NOBODY);
                let Some(slot) = inherited.get_mut(node as usize) else { continue };
                if *slot == NOBODY {
                    *slot = above;
                }
                let draft = *slot;
                self.own(side, node, draft);
            }
        }
    }
}
