//! Matching top-down: the children of matched parents, grouped by operation.
//!
//! One against one is a match. In a group of several, spans of equal structure, status and likeness are paired by
//! duration rank (so that `[5, 5, 100]` against `[100, 5, 5]` ms is no change), the rest by minimum-cost assignment.

use super::alignment::{Alignment, MatchReason};
use super::tree::{OperationFacts, ROOT, Tree};
use super::{assignment, hash, similarity};
use crate::model::{Operations, Pair, Side};

/// Groups up to this size on both sides are assigned exactly; larger ones are paired in sorted order.
const EXACT_GROUP: usize = 64;

/// Aligns two trees whose operations count in one table.
pub fn align(before: &Tree, after: &Tree, operations: &Operations) -> Alignment {
    let mut matcher = Matcher {
        trees: Pair::new(before, after),
        hashes: Pair::new(hash::structure(before), hash::structure(after)),
        facts: OperationFacts::new(operations),
        result: Alignment::new(before, after),
        open: Vec::new(),
        leftover: Vec::new(),
        budget: 10_000_000 + (before.len() + after.len()) as u64 * (EXACT_GROUP * EXACT_GROUP) as u64,
    };
    matcher.join(ROOT, ROOT, MatchReason::Operation, 1.0);
    loop {
        matcher.top_down();
        if !matcher.rescue() && !matcher.adopt_orphans() && !matcher.find_moves() {
            return matcher.result;
        }
    }
}

/// The state of one alignment.
pub(super) struct Matcher<'a> {
    pub(super) trees: Pair<&'a Tree>,
    pub(super) hashes: Pair<Vec<u64>>,
    pub(super) facts: OperationFacts,
    pub(super) result: Alignment,
    /// Matched pairs whose children have not been matched yet.
    open: Vec<(u32, u32)>,
    /// Matched pairs with unmatched children on both sides, in the order in which they were found.
    pub(super) leftover: Vec<(u32, u32)>,
    /// Comparisons that rescue may still make: hostile trees get a worse alignment, not a longer one.
    pub(super) budget: u64,
}

/// What tells the members of a group apart, in the order in which they are sorted.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Member {
    hash: u64,
    failed: bool,
    likeness: u64,
    log_duration: f64,
    start_ns: u64,
    index: u32,
}

impl Matcher<'_> {
    /// Matches two nodes and puts them in line for their children.
    pub(super) fn join(&mut self, before: u32, after: u32, reason: MatchReason, score: f64) -> bool {
        let joined = self.result.join(before, after, reason, score);
        if joined {
            self.open.push((before, after));
        }
        joined
    }

    pub(super) fn hash(&self, side: Side, index: u32) -> u64 {
        self.hashes.get(side).get(index as usize).copied().unwrap_or_default()
    }

    /// The children of a node that have no partner.
    pub(super) fn unmatched_children(&self, side: Side, index: u32) -> Vec<u32> {
        self.trees.get(side).children(index).filter(|&child| !self.result.is_matched(side, child)).collect()
    }

    /// Works through all open pairs.
    fn top_down(&mut self) {
        while let Some((a, b)) = self.open.pop() {
            let before = self.unmatched_children(Side::Before, a);
            let after = self.unmatched_children(Side::After, b);
            let left = self.match_groups(&before, &after, MatchReason::Operation);
            if left.before > 0 && left.after > 0 {
                self.leftover.push((a, b));
            }
        }
    }

    /// Matches nodes of equal operation; returns how many of each list are left.
    pub(super) fn match_groups(&mut self, before: &[u32], after: &[u32], reason: MatchReason) -> Pair<usize> {
        let mut left = Pair::new(before.len(), after.len());
        if before.is_empty() || after.is_empty() {
            return left;
        }
        let sorted = |tree: &Tree, list: &[u32]| {
            let mut list: Vec<(u32, u32)> = list.iter().map(|&index| (tree.node(index).operation.0, index)).collect();
            list.sort_unstable();
            list
        };
        let before = sorted(self.trees.before, before);
        let after = sorted(self.trees.after, after);
        let mut rest = after.as_slice();
        for group in before.chunk_by(|x, y| x.0 == y.0) {
            let operation = group.first().map_or(0, |first| first.0);
            rest = rest.get(rest.partition_point(|&(other, _)| other < operation)..).unwrap_or_default();
            let partners = rest.get(..rest.partition_point(|&(other, _)| other == operation)).unwrap_or_default();
            let matched = self.match_group(group, partners, reason);
            left.before -= matched;
            left.after -= matched;
        }
        left
    }

    /// Matches the members of one operation's group; returns how many pairs there are.
    fn match_group(&mut self, before: &[(u32, u32)], after: &[(u32, u32)], reason: MatchReason) -> usize {
        if let ([(_, a)], [(_, b)]) = (before, after) {
            return usize::from(self.join(*a, *b, reason, 1.0));
        }
        let before: Vec<u32> = before.iter().map(|&(_, index)| index).collect();
        let after: Vec<u32> = after.iter().map(|&(_, index)| index).collect();
        self.match_members(&before, &after, reason, 1.0)
    }

    /// Pairs two lists of nodes that are worth pairing, as many as the shorter has; returns how many.
    pub(super) fn match_members(&mut self, before: &[u32], after: &[u32], reason: MatchReason, score: f64) -> usize {
        let a = self.members(Side::Before, before);
        let b = self.members(Side::After, after);
        let same = self.pair_equals(&a, &b, reason, score);
        let left = |side: Side, members: Vec<Member>| -> Vec<Member> {
            members.into_iter().filter(|member| !self.result.is_matched(side, member.index)).collect()
        };
        let (a, b) = (left(Side::Before, a), left(Side::After, b));
        same + self.pair_rest(&a, &b, reason, score)
    }

    fn members(&self, side: Side, list: &[u32]) -> Vec<Member> {
        let tree = self.trees.get(side);
        let mut members: Vec<Member> = list
            .iter()
            .map(|&index| {
                let node = tree.node(index);
                Member {
                    hash: self.hash(side, index),
                    failed: node.failed,
                    likeness: node.likeness,
                    log_duration: (node.duration_ns.max(1) as f64).ln(),
                    start_ns: node.start_ns,
                    index,
                }
            })
            .collect();
        members.sort_unstable_by(|x, y| x.partial_cmp(y).unwrap_or(std::cmp::Ordering::Equal));
        members
    }

    /// Pairs members with equal structure, status and likeness by their durations.
    fn pair_equals(&mut self, before: &[Member], after: &[Member], reason: MatchReason, score: f64) -> usize {
        let key = |member: &Member| (member.hash, member.failed, member.likeness);
        let mut rest = after;
        let mut count = 0;
        for class in before.chunk_by(|x, y| key(x) == key(y)) {
            let Some(wanted) = class.first().map(key) else { continue };
            rest = rest.get(rest.partition_point(|member| key(member) < wanted)..).unwrap_or_default();
            let partners = rest.get(..rest.partition_point(|member| key(member) == wanted)).unwrap_or_default();
            let durations = |list: &[Member]| -> Vec<f64> { list.iter().map(|member| member.log_duration).collect() };
            for (x, y) in assignment::pair_sorted(&durations(class), &durations(partners)) {
                if let (Some(x), Some(y)) = (class.get(x), partners.get(y)) {
                    count += usize::from(self.join(x.index, y.index, reason, score));
                }
            }
        }
        count
    }

    /// Pairs what differs in structure, status or likeness.
    fn pair_rest(&mut self, before: &[Member], after: &[Member], reason: MatchReason, score: f64) -> usize {
        let pairs: Vec<(usize, usize)> = if before.len() == 1 && after.len() == 1 {
            vec![(0, 0)]
        } else if before.len().max(after.len()) <= EXACT_GROUP {
            let costs = self.costs(before, after);
            assignment::assign(before.len(), after.len(), &|x, y| {
                costs.get(x * after.len() + y).copied().unwrap_or_default()
            })
            .into_iter()
            .enumerate()
            .filter_map(|(x, y)| Some((x, y?)))
            .collect()
        } else {
            in_order(before, after)
        };
        let mut count = 0;
        for (x, y) in pairs {
            if let (Some(x), Some(y)) = (before.get(x), after.get(y)) {
                let sure = if x.hash == y.hash || before.len() + after.len() == 2 { score } else { score * 0.75 };
                count += usize::from(self.join(x.index, y.index, reason, sure));
            }
        }
        count
    }

    /// The cost of every pairing, in thousandths: structure weighs most, then status, likeness, duration rank, start rank.
    fn costs(&self, before: &[Member], after: &[Member]) -> Vec<i64> {
        let below = |side: Side, list: &[Member]| -> Vec<_> {
            list.iter().map(|member| similarity::operations_below(self.trees.get(side), member.index)).collect()
        };
        let (below_before, below_after) = (below(Side::Before, before), below(Side::After, after));
        let (ranks_before, ranks_after) = (ranks(before), ranks(after));
        let mut costs = Vec::with_capacity(before.len() * after.len());
        for ((x, x_below), x_rank) in before.iter().zip(&below_before).zip(&ranks_before) {
            for ((y, y_below), y_rank) in after.iter().zip(&below_after).zip(&ranks_after) {
                let structure = if x.hash == y.hash {
                    0.0
                } else {
                    0.25 + 0.75 * (1.0 - similarity::dice_of_sorted(x_below, y_below))
                };
                let cost = 8.0 * structure
                    + 4.0 * f64::from(u8::from(x.failed != y.failed))
                    + 2.0 * f64::from(u8::from(x.likeness != y.likeness))
                    + (x_rank.0 - y_rank.0).abs()
                    + 0.1 * (x_rank.1 - y_rank.1).abs();
                costs.push((cost * 1000.0) as i64);
            }
        }
        costs
    }
}

/// Rank by duration and by start for each member, 0 to 1.
fn ranks(members: &[Member]) -> Vec<(f64, f64)> {
    let scale = (members.len().max(2) - 1) as f64;
    let mut ranks = vec![(0.0, 0.0); members.len()];
    let mut order: Vec<usize> = (0..members.len()).collect();
    let member = |index: usize| members.get(index);
    order.sort_by(|&x, &y| {
        member(x)
            .map(|m| (m.log_duration, m.index))
            .partial_cmp(&member(y).map(|m| (m.log_duration, m.index)))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    for (rank, &index) in order.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(index) {
            slot.0 = rank as f64 / scale;
        }
    }
    order.sort_by_key(|&index| member(index).map(|m| (m.start_ns, m.index)));
    for (rank, &index) in order.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(index) {
            slot.1 = rank as f64 / scale;
        }
    }
    ranks
}

/// Pairs large groups in the order of status, likeness and duration.
fn in_order(before: &[Member], after: &[Member]) -> Vec<(usize, usize)> {
    let order = |members: &[Member]| {
        let mut order: Vec<usize> = (0..members.len()).collect();
        let key = |index: usize| members.get(index).map(|m| (m.failed, m.likeness, m.log_duration, m.index));
        order.sort_by(|&x, &y| key(x).partial_cmp(&key(y)).unwrap_or(std::cmp::Ordering::Equal));
        order
    };
    order(before).into_iter().zip(order(after)).collect()
}
