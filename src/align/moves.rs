//! Moves: an unmatched subtree on one side, and an equal or similar one elsewhere on the other.

use super::alignment::MatchReason;
use super::matching::Matcher;
use super::similarity;
use crate::model::{OperationId, Pair, Side};
use std::collections::{BTreeSet, HashSet};

/// Similarity of two subtrees that may be a move.
const SIMILAR: f64 = 0.8;
/// Candidates compared in detail for one subtree.
const CANDIDATES: usize = 64;

/// A parent and an operation under it.
type Groups = HashSet<(u32, OperationId), foldhash::fast::RandomState>;

/// Unmatched nodes of the after side that may be the target of a move, in the orders in which they are looked up.
#[derive(Default)]
struct Targets {
    /// Operation, structure hash, likeness, index: exact counterparts.
    exact: BTreeSet<(OperationId, u64, u64, u32)>,
    /// Operation, size, index: similar ones.
    by_size: BTreeSet<(OperationId, u32, u32)>,
}

impl Matcher<'_> {
    /// Matches moved subtrees, the largest first; true when anything was matched.
    pub(super) fn find_moves(&mut self) -> bool {
        let before = self.movable(Side::Before);
        let after = self.movable(Side::After);
        if before.is_empty() || after.is_empty() {
            return false;
        }
        let twins = Pair::new(self.matched_groups(Side::Before), self.matched_groups(Side::After));
        let mut targets = Targets::default();
        for &index in &after {
            let node = self.trees.after.node(index);
            targets.exact.insert((node.operation, self.hash(Side::After, index), node.likeness, index));
            targets.by_size.insert((node.operation, self.trees.after.size(index), index));
        }
        let mut moved = vec![false; self.trees.before.len()];
        let mut any = false;
        for &index in &before {
            if self.below_a_move(index, &moved) {
                continue;
            }
            let best = self
                .candidates(index, &targets)
                .into_iter()
                .filter_map(|candidate| Some((self.move_score(index, candidate, &twins)?, candidate)))
                .max_by(|p, q| p.0.total_cmp(&q.0).then(q.1.cmp(&p.1)));
            let Some((score, candidate)) = best else { continue };
            if self.join(index, candidate, MatchReason::Moved, score.min(1.0)) {
                any = true;
                if let Some(slot) = moved.get_mut(index as usize) {
                    *slot = true;
                }
                let node = self.trees.after.node(candidate);
                targets.exact.remove(&(node.operation, self.hash(Side::After, candidate), node.likeness, candidate));
                targets.by_size.remove(&(node.operation, self.trees.after.size(candidate), candidate));
            }
        }
        any
    }

    /// Unmatched nodes with no matched child (those are layers), largest subtree first.
    fn movable(&self, side: Side) -> Vec<u32> {
        let tree = *self.trees.get(side);
        let mut layer = vec![false; tree.len()];
        for (index, node) in tree.nodes().iter().enumerate() {
            if self.result.is_matched(side, index as u32)
                && let Some(parent) = layer.get_mut(node.parent as usize)
            {
                *parent = true;
            }
        }
        let mut list: Vec<u32> = (1..tree.len() as u32)
            .filter(|&index| {
                !self.result.is_matched(side, index)
                    && !layer.get(index as usize).copied().unwrap_or(true)
                    && (tree.size(index) > 1 || tree.node(index).likeness != 0)
            })
            .collect();
        list.sort_by_key(|&index| (std::cmp::Reverse(tree.size(index)), index));
        list
    }

    /// Parent and operation of all matched nodes: the groups that still have calls at their place.
    fn matched_groups(&self, side: Side) -> Groups {
        let tree = *self.trees.get(side);
        let matched = |&index: &u32| self.result.is_matched(side, index);
        (1..tree.len() as u32)
            .filter(matched)
            .map(|index| (tree.node(index).parent, tree.node(index).operation))
            .collect()
    }

    /// Whether an ancestor was matched as moved in this round: its children are matched top-down first.
    fn below_a_move(&self, index: u32, moved: &[bool]) -> bool {
        let mut node = self.trees.before.node(index);
        for _ in 0..CANDIDATES {
            if node.parent == 0 {
                return false;
            }
            if moved.get(node.parent as usize).copied().unwrap_or(false) {
                return true;
            }
            node = self.trees.before.node(node.parent);
        }
        false
    }

    /// The best-looking targets for one subtree: exact ones, then those of the nearest sizes.
    fn candidates(&self, index: u32, targets: &Targets) -> Vec<u32> {
        let node = self.trees.before.node(index);
        let (operation, hash, size) = (node.operation, self.hash(Side::Before, index), self.trees.before.size(index));
        let exact =
            targets.exact.range((operation, hash, node.likeness, 0)..=(operation, hash, node.likeness, u32::MAX));
        let mut found: Vec<u32> = exact.take(CANDIDATES).map(|target| target.3).collect();
        if found.is_empty() && size > 1 {
            let same = targets.exact.range((operation, hash, 0, 0)..=(operation, hash, u64::MAX, u32::MAX));
            found.extend(same.take(CANDIDATES).map(|target| target.3));
        }
        if found.is_empty() && size > 1 {
            let larger = targets.by_size.range((operation, size, 0)..=(operation, u32::MAX, u32::MAX));
            let smaller = targets.by_size.range((operation, 2, 0)..(operation, size, 0)).rev();
            found.extend(larger.take(CANDIDATES / 8).chain(smaller.take(CANDIDATES / 8)).map(|target| target.2));
        }
        found
    }

    /// How well `candidate` is `index` moved; `None` when it is not.
    fn move_score(&self, index: u32, candidate: u32, twins: &Pair<Groups>) -> Option<f64> {
        let (before, after) = (self.trees.before, self.trees.after);
        let (x, y) = (before.node(index), after.node(candidate));
        if self.result.partner(Side::Before, x.parent) == y.parent {
            return None;
        }
        if twins.before.contains(&(x.parent, x.operation)) && twins.after.contains(&(y.parent, y.operation)) {
            // Both places still have calls like it: those are fluctuating counts, not a move.
            return None;
        }
        let same_likeness = x.likeness == y.likeness && x.likeness != 0;
        let alike = if self.hash(Side::Before, index) == self.hash(Side::After, candidate) {
            1.0
        } else {
            similarity::below(before, index, after, candidate)
        };
        let leaf = before.size(index) == 1 || after.size(candidate) == 1;
        if alike < SIMILAR || (leaf && !same_likeness) {
            return None;
        }
        let same_caller = before.node(x.parent).operation == after.node(y.parent).operation;
        let bonus = |yes: bool| f64::from(u8::from(yes));
        Some(0.6 * alike + 0.2 * bonus(same_likeness) + 0.1 * bonus(same_caller) + 0.1 * bonus(x.failed == y.failed))
    }
}
