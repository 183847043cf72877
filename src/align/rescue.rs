//! What is left under matched parents: layers that entered or left, services that were split, operations renamed.
//!
//! Both sides are looked at through their unmatched nodes, up to six deep: two mesh proxies with client and server
//! spans are four layers. A layer is believed when what lies below it is what was there without it.

use super::alignment::MatchReason;
use super::matching::Matcher;
use super::similarity;
use crate::model::{OperationId, Pair, Side};
use std::collections::BTreeMap;

/// Layers that are looked through.
const LAYERS: usize = 6;
/// Unmatched nodes considered under one pair of parents and side; the largest subtrees come first.
const FRONTIER: usize = 128;
/// Score from which two groups are taken for the same work.
const LEAST_SCORE: f64 = 0.3;
/// Score of a rename with the same below and at least half of the name in common.
const PLAIN_RENAME: f64 = 0.2 + 0.5 + 0.25 * 0.5;
/// Similarity of what lies below, from which two nodes may be the same.
const SIMILAR: f64 = 0.5;

/// An unmatched node that can be reached from a matched parent through unmatched nodes only.
#[derive(Clone, Copy)]
struct Seen {
    index: u32,
    depth: usize,
    /// The unmatched child of the matched parent that it lies below.
    top: u32,
}

/// A group of unmatched nodes of one operation that may be the counterpart of a group on the other side.
struct Candidate {
    score: f64,
    depth: usize,
    reason: MatchReason,
    /// Indices into the groups of the before and of the after side.
    groups: (usize, usize),
}

/// Unmatched nodes of one operation, judged by the largest of them.
struct Group {
    operation: OperationId,
    depth: usize,
    members: Vec<u32>,
    size: u32,
    hash: u64,
    /// Operations below the largest member, sorted.
    below: Vec<OperationId>,
}

impl Matcher<'_> {
    /// Tries every pair of parents with something left on both sides; true when anything was matched.
    pub(super) fn rescue(&mut self) -> bool {
        let mut any = false;
        let mut pending = std::mem::take(&mut self.leftover);
        pending.sort_unstable();
        pending.dedup();
        for (a, b) in pending {
            if self.rescue_below(a, b) {
                any = true;
                // What lies here has changed: look again once the new matches have been followed down.
                self.leftover.push((a, b));
            }
        }
        any
    }

    fn rescue_below(&mut self, a: u32, b: u32) -> bool {
        let tops = Pair::new(self.unmatched_children(Side::Before, a), self.unmatched_children(Side::After, b));
        if tops.before.is_empty() || tops.after.is_empty() || self.budget == 0 {
            return false;
        }
        let before = self.frontier(Side::Before, &tops.before);
        let after = self.frontier(Side::After, &tops.after);
        // A plain rename comes first: below a span that calls its own operation it would look like a layer.
        self.counterparts(&before, &after, PLAIN_RENAME)
            || self.layers(&tops, &before, &after)
            || self.counterparts(&before, &after, LEAST_SCORE)
    }

    /// The unmatched nodes `tops` and what is unmatched below them, breadth first.
    fn frontier(&self, side: Side, tops: &[u32]) -> Vec<Seen> {
        let tree = self.trees.get(side);
        let mut found: Vec<Seen> = Vec::new();
        let mut level: Vec<Seen> = tops.iter().map(|&index| Seen { index, depth: 0, top: index }).collect();
        for depth in 1..=LAYERS + 1 {
            let room = FRONTIER - found.len();
            if level.len() > room {
                level.sort_by_key(|seen| (std::cmp::Reverse(tree.size(seen.index)), seen.index));
                level.truncate(room);
                level.sort_unstable_by_key(|seen| seen.index);
            }
            found.extend(&level);
            if found.len() >= FRONTIER {
                break;
            }
            let below = |seen: &Seen| {
                let top = seen.top;
                self.unmatched_children(side, seen.index).into_iter().map(move |index| Seen { index, depth, top })
            };
            level = level.iter().flat_map(below).collect();
        }
        found
    }

    /// Finds nodes whose children are what the other side has in their place, best evidence first.
    fn layers(&mut self, tops: &Pair<Vec<u32>>, before: &[Seen], after: &[Seen]) -> bool {
        let mut candidates: Vec<(u64, Side, Seen)> = Vec::new();
        for (side, through) in [(Side::After, after), (Side::Before, before)] {
            let across = self.by_operation(side.other(), tops.get(side.other()));
            for layer in through.iter().filter(|seen| seen.depth < LAYERS) {
                let found = self.layer_evidence(side, *layer, &across);
                if found > 0 {
                    candidates.push((found, side, *layer));
                }
            }
        }
        candidates.sort_by_key(|&(found, side, layer)| (std::cmp::Reverse(found), layer.depth, side, layer.index));
        let mut any = false;
        for (_, side, layer) in candidates {
            let across: Vec<u32> = tops
                .get(side.other())
                .iter()
                .copied()
                .filter(|&top| !self.result.is_matched(side.other(), top))
                .collect();
            let groups = self.by_operation(side.other(), &across);
            if self.result.is_matched(side, layer.index) || self.layer_evidence(side, layer, &groups) == 0 {
                continue;
            }
            let below = self.unmatched_children(side, layer.index);
            let lists = if side == Side::After { Pair::new(across, below) } else { Pair::new(below, across) };
            let left = self.match_groups(&lists.before, &lists.after, MatchReason::Layer);
            any |= left.before < lists.before.len();
        }
        any
    }

    /// Nodes with their structure hashes, by operation; hashes sorted.
    fn by_operation(&self, side: Side, list: &[u32]) -> BTreeMap<OperationId, Vec<(u64, u32)>> {
        let mut groups: BTreeMap<OperationId, Vec<(u64, u32)>> = BTreeMap::new();
        for &index in list {
            let operation = self.trees.get(side).node(index).operation;
            groups.entry(operation).or_default().push((self.hash(side, index), index));
        }
        for group in groups.values_mut() {
            group.sort_unstable();
        }
        groups
    }

    /// How many spans below `layer` find a counterpart among the other side's nodes; 0 when that is less than half
    /// of what lies below the whole stack of layers.
    fn layer_evidence(&mut self, side: Side, layer: Seen, across: &BTreeMap<OperationId, Vec<(u64, u32)>>) -> u64 {
        let below = self.unmatched_children(side, layer.index);
        let tree = *self.trees.get(side);
        self.spend(below.len() as u64 + 1);
        let total = u64::from(tree.size(layer.top)).saturating_sub(layer.depth as u64 + 1);
        let mut found = 0;
        for (operation, children) in self.by_operation(side, &below) {
            if let Some(partners) = across.get(&operation) {
                found += self.group_evidence(side, &children, partners);
            }
        }
        if 2 * found >= total { found } else { 0 }
    }

    /// Spans of `children` (hash, node) that have a partner of equal or similar structure.
    fn group_evidence(&mut self, side: Side, children: &[(u64, u32)], partners: &[(u64, u32)]) -> u64 {
        let tree = *self.trees.get(side);
        let other = *self.trees.get(side.other());
        let mut found = 0;
        let (mut rest, mut odd, mut unused) = (partners, Vec::new(), Vec::new());
        for &(hash, child) in children {
            let skip = rest.partition_point(|&(other_hash, _)| other_hash < hash);
            unused.extend_from_slice(rest.get(..skip).unwrap_or_default());
            rest = rest.get(skip..).unwrap_or_default();
            match rest.split_first() {
                Some((&(other_hash, _), behind)) if other_hash == hash => {
                    found += u64::from(tree.size(child));
                    rest = behind;
                }
                _ => odd.push(child),
            }
        }
        unused.extend_from_slice(rest);
        // Unequal structure: compare a few, the largest first.
        odd.sort_by_key(|&child| std::cmp::Reverse(tree.size(child)));
        unused.sort_by_key(|&(_, top)| std::cmp::Reverse(other.size(top)));
        for (&child, &(_, top)) in odd.iter().zip(&unused).take(LAYERS) {
            self.spend(u64::from(tree.size(child)).min(1024));
            if similarity::below(tree, child, other, top) >= SIMILAR {
                found += u64::from(tree.size(child));
            }
        }
        found
    }

    /// Uses up a part of the work that rescue may do in all.
    fn spend(&mut self, work: u64) {
        self.budget = self.budget.saturating_sub(work);
    }

    /// Matches groups that are the same work under another name, in another service, or deeper; best score first.
    fn counterparts(&mut self, before: &[Seen], after: &[Seen], least: f64) -> bool {
        let groups = Pair::new(self.groups(Side::Before, before), self.groups(Side::After, after));
        let mut candidates = Vec::new();
        self.spend((groups.before.len() * groups.after.len()) as u64);
        for (at_x, x) in groups.before.iter().enumerate() {
            for (at_y, y) in groups.after.iter().enumerate() {
                candidates.extend(self.candidate(x, y).map(|(score, depth, reason)| Candidate {
                    score,
                    depth,
                    reason,
                    groups: (at_x, at_y),
                }));
            }
        }
        self.add_sole_leaves(&groups, &mut candidates);
        candidates.retain(|candidate| candidate.score >= least);
        if least > LEAST_SCORE {
            candidates.retain(|candidate| candidate.reason == MatchReason::Renamed && candidate.depth == 0);
        }
        candidates.sort_by(|p: &Candidate, q: &Candidate| {
            q.score.total_cmp(&p.score).then(p.depth.cmp(&q.depth)).then(p.groups.cmp(&q.groups))
        });
        let mut any = false;
        let mut used = (Vec::new(), Vec::new());
        for candidate in candidates {
            let (x, y) = candidate.groups;
            let (Some(a), Some(b)) = (groups.before.get(x), groups.after.get(y)) else { continue };
            if used.0.contains(&x) || used.1.contains(&y) {
                continue;
            }
            if self.match_members(&a.members, &b.members, candidate.reason, candidate.score) > 0 {
                any = true;
                used.0.push(x);
                used.1.push(y);
                if candidate.depth > 0 {
                    // A match through layers changes what lies between: look again before going on.
                    break;
                }
            }
        }
        any
    }

    /// Groups unmatched nodes by operation; of each operation only those nearest to the top take part.
    fn groups(&self, side: Side, seen: &[Seen]) -> Vec<Group> {
        let tree = *self.trees.get(side);
        let mut by_operation: BTreeMap<OperationId, Vec<Seen>> = BTreeMap::new();
        for &one in seen {
            by_operation.entry(tree.node(one.index).operation).or_default().push(one);
        }
        by_operation
            .into_iter()
            .filter_map(|(operation, seen)| {
                let depth = seen.iter().map(|one| one.depth).min()?;
                let members: Vec<u32> = seen.iter().filter(|one| one.depth == depth).map(|one| one.index).collect();
                let largest = *members.iter().max_by_key(|&&index| (tree.size(index), std::cmp::Reverse(index)))?;
                let below = similarity::operations_below(tree, largest);
                Some(Group {
                    operation,
                    depth,
                    members,
                    size: tree.size(largest),
                    hash: self.hash(side, largest),
                    below,
                })
            })
            .collect()
    }

    /// Judges whether two groups are the same work, by their largest members.
    fn candidate(&self, x: &Group, y: &Group) -> Option<(f64, usize, MatchReason)> {
        let depth = x.depth + y.depth;
        let leaves = x.size == 1 || y.size == 1;
        let below = || {
            if leaves { f64::from(u8::from(x.size == y.size)) } else { similarity::dice_of_sorted(&x.below, &y.below) }
        };
        let (reason, score) = if x.operation == y.operation {
            // Deeper on one side than on the other, or behind layers on both: the work itself must be convincing.
            let through_both = x.depth > 0 && y.depth > 0;
            if leaves || (through_both && x.hash != y.hash && x.size < 4) {
                return None;
            }
            let below = below();
            (MatchReason::Layer, if below < SIMILAR { 0.0 } else { 0.6 + 0.4 * below })
        } else if self.facts.same_work(x.operation, y.operation) {
            // What moved to another service took its own spans along: below, too, the service says nothing.
            let alike = if leaves {
                f64::from(u8::from(depth == 0))
            } else {
                similarity::dice_of_sorted(&self.facts.work(&x.below), &self.facts.work(&y.below))
            };
            (MatchReason::Split, if alike < SIMILAR { 0.0 } else { 0.5 + 0.4 * alike })
        } else if leaves || depth > 1 {
            return None;
        } else {
            let (below, name) = (below(), self.facts.name_similarity(x.operation, y.operation));
            let sole = x.members.len() == 1 && y.members.len() == 1 && depth == 0;
            if below < SIMILAR {
                return None;
            } else if self.facts.same_place(x.operation, y.operation) && (name > 0.0 || below >= 0.75) {
                (MatchReason::Renamed, 0.2 + 0.5 * below + 0.25 * name)
            } else if sole && self.facts.same_kind(x.operation, y.operation) {
                // A service replaced by another in the same place: one ingress for another.
                (MatchReason::Split, 0.1 + 0.5 * below + 0.25 * name)
            } else {
                return None;
            }
        };
        let score = score - 0.02 * depth as f64;
        (score >= LEAST_SCORE).then_some((score, depth, reason))
    }

    /// Leaves have nothing below that could speak for them: one operation left on each side in the same service and
    /// of the same kind, with at least half of the name in common, is a rename.
    fn add_sole_leaves(&self, groups: &Pair<Vec<Group>>, candidates: &mut Vec<Candidate>) {
        let leaves = |groups: &[Group]| -> Vec<usize> {
            let leaf = |group: &Group| group.depth == 0 && group.size == 1;
            groups.iter().enumerate().filter(|(_, group)| leaf(group)).map(|(index, _)| index).collect()
        };
        let (before, after) = (leaves(&groups.before), leaves(&groups.after));
        let operation =
            |groups: &[Group], index: usize| groups.get(index).map_or(OperationId::NONE, |group| group.operation);
        for &x in &before {
            let from = operation(&groups.before, x);
            let mut partners = after.iter().filter(|&&y| self.facts.same_place(from, operation(&groups.after, y)));
            let (Some(&y), None) = (partners.next(), partners.next()) else { continue };
            let to = operation(&groups.after, y);
            let rivals = before.iter().filter(|&&x| self.facts.same_place(operation(&groups.before, x), to)).count();
            let name = self.facts.name_similarity(from, to);
            if rivals == 1 && from != to && name >= 0.5 {
                candidates.push(Candidate {
                    score: 0.3 + 0.5 * name,
                    depth: 0,
                    reason: MatchReason::Renamed,
                    groups: (x, y),
                });
            }
        }
    }
}
