//! What unmatched nodes are part of: layers above matched ones, and subtrees that only one side has.

use super::draft::Drafts;
use crate::align::{Alignment, MatchReason, Tree};
use crate::model::Side;

/// What an unmatched node is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Matched,
    /// Matched spans go on below: something was put in between, or taken out.
    Layer,
    /// Nothing below it is matched in its place.
    Plain,
}

/// The unmatched nodes of one side: for each the top of the unit it belongs to.
pub(super) struct Units {
    role: Vec<Role>,
    /// Top of the unit, by node; the node itself for a top and for matched nodes.
    top: Vec<u32>,
    /// Spans of the unit, by its top.
    size: Vec<u64>,
}

impl Units {
    /// A stack of consecutive layers is one unit with all that came along with it; an unmatched subtree is one unit.
    /// `spans` says how many spans a node stands for.
    pub fn new(tree: &Tree, alignment: &Alignment, side: Side, spans: impl Fn(u32) -> u64) -> Units {
        let mut role = vec![Role::Plain; tree.len()];
        for node in (1..tree.len() as u32).rev() {
            let matched = alignment.is_matched(side, node);
            let own = role.get(node as usize).copied().unwrap_or(Role::Plain);
            let passes = if matched {
                !matches!(alignment.reason(side, node), Some((MatchReason::Moved, _)))
            } else {
                own == Role::Layer
            };
            if let Some(slot) = role.get_mut(node as usize)
                && matched
            {
                *slot = Role::Matched;
            }
            if let Some(parent) = role.get_mut(tree.node(node).parent as usize)
                && passes
            {
                *parent = Role::Layer;
            }
        }
        if let Some(root) = role.first_mut() {
            *root = Role::Matched;
        }
        let mut top: Vec<u32> = (0..tree.len() as u32).collect();
        for node in 1..tree.len() {
            let parent = tree.node(node as u32).parent as usize;
            let inside =
                role.get(node) != Some(&Role::Matched) && role.get(parent).is_some_and(|role| *role != Role::Matched);
            if let (true, Some(&parent_top)) = (inside, top.get(parent))
                && let Some(slot) = top.get_mut(node)
            {
                *slot = parent_top;
            }
        }
        let mut size = vec![0; tree.len()];
        for (node, &top) in top.iter().enumerate() {
            if let Some(slot) = size.get_mut(top as usize) {
                *slot += spans(node as u32);
            }
        }
        Units { role, top, size }
    }

    pub fn role(&self, node: u32) -> Role {
        self.role.get(node as usize).copied().unwrap_or(Role::Matched)
    }

    pub fn top(&self, node: u32) -> u32 {
        self.top.get(node as usize).copied().unwrap_or(node)
    }

    /// Spans of the units with these tops.
    pub fn size(&self, tops: &[u32]) -> u64 {
        tops.iter().filter_map(|&top| self.size.get(top as usize)).sum()
    }

    pub fn tops(&self, role: Role) -> impl Iterator<Item = u32> + '_ {
        (1..self.top.len() as u32).filter(move |&node| self.role(node) == role && self.top(node) == node)
    }

    /// Charges all nodes of a unit to what its top is charged to.
    pub fn own_below(&self, drafts: &mut Drafts, side: Side) {
        for node in 1..self.top.len() as u32 {
            if self.role(node) != Role::Matched {
                let owner = drafts.owner(side, self.top(node));
                drafts.own(side, node, owner);
            }
        }
    }
}
