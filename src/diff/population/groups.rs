//! Entry points that correspond to each other: one on each side as a rule, more where a gateway was put before several.

use super::work::{SIDES, Work};
use crate::align::{MatchReason, ROOT};
use crate::model::{Operation, Pair, Side};

/// Entry points of both sides whose requests are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Their nodes on each side, those with the most traces first.
    pub entries: Pair<Vec<u32>>,
}

impl Group {
    /// Whether both sides have requests.
    pub const fn is_matched(&self) -> bool {
        !self.entries.before.is_empty() && !self.entries.after.is_empty()
    }

    /// Where it stands: its largest entry point on each side.
    pub fn place(&self) -> Pair<Option<u32>> {
        self.entries.as_ref().map(|entries| entries.first().copied())
    }

    /// Traces on each side.
    pub fn traces(&self, work: &Work<'_>) -> Pair<u64> {
        let sum = |side: Side| self.entries.get(side).iter().map(|&entry| work.traces(side, entry)).sum();
        Pair::new(sum(Side::Before), sum(Side::After))
    }

    /// Its requests on a side by their weights, in units of 2⁻³².
    pub fn requests(&self, work: &Work<'_>, side: Side) -> u128 {
        self.entries.get(side).iter().map(|&entry| work.sums(side, entry).calls).sum()
    }

    /// The operation of its largest entry point, of the after side if it is there.
    pub fn operation<'a>(&self, work: &'a Work<'_>) -> Option<&'a Operation> {
        let of = |side: Side| self.entries.get(side).first().and_then(|&entry| work.operation_at(side, entry));
        of(Side::After).or_else(|| of(Side::Before))
    }
}

/// All groups, those on both sides first, then by traces.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    pub list: Vec<Group>,
    /// The group of every node, by node.
    of: Pair<Vec<u32>>,
}

impl Groups {
    pub fn new(work: &Work<'_>) -> Groups {
        let mut sets = Sets::default();
        let entries = Pair::new(
            work.children(Side::Before, ROOT).collect::<Vec<u32>>(),
            work.children(Side::After, ROOT).collect::<Vec<u32>>(),
        );
        let numbers: Vec<(Side, u32)> =
            SIDES.iter().flat_map(|&side| entries.get(side).iter().map(move |&entry| (side, entry))).collect();
        sets.grow(numbers.len());
        let number = |side: Side, entry: u32| {
            let offset = if side == Side::Before { 0 } else { entries.before.len() };
            entries.get(side).binary_search(&entry).ok().map(|at| at + offset)
        };
        for pair in work.matched() {
            let (a, b) = (work.entry(Side::Before, pair.before), work.entry(Side::After, pair.after));
            let at_top = a == pair.before || b == pair.after;
            if at_top
                && !work.is_match(Side::Before, pair.before, MatchReason::Moved)
                && let (Some(a), Some(b)) = (number(Side::Before, a), number(Side::After, b))
            {
                sets.join(a, b);
            }
        }
        let mut list: Vec<Group> = vec![Group::default(); numbers.len()];
        for (index, &(side, entry)) in numbers.iter().enumerate() {
            if let Some(group) = list.get_mut(sets.find(index)) {
                group.entries.get_mut(side).push(entry);
            }
        }
        list.retain(|group| !group.entries.before.is_empty() || !group.entries.after.is_empty());
        for group in &mut list {
            for side in SIDES {
                group.entries.get_mut(side).sort_by_key(|&entry| (std::cmp::Reverse(work.traces(side, entry)), entry));
            }
        }
        list.sort_by_cached_key(|group| {
            let traces = group.traces(work);
            let most = traces.before.max(traces.after);
            (!group.is_matched(), std::cmp::Reverse(most), group.operation(work).cloned())
        });
        let of = work.trees.as_ref().map(|tree| vec![u32::MAX; tree.len()]);
        let mut groups = Groups { list, of };
        groups.fill(work);
        groups
    }

    fn fill(&mut self, work: &Work<'_>) {
        for side in SIDES {
            let slots = self.of.get_mut(side);
            for (number, group) in self.list.iter().enumerate() {
                for &entry in group.entries.get(side) {
                    let end = work.node(side, entry).subtree_end;
                    for slot in slots.get_mut(entry as usize..end as usize).unwrap_or_default() {
                        *slot = number as u32;
                    }
                }
            }
        }
    }

    /// The group of a node; `None` for the virtual root.
    pub fn of(&self, side: Side, node: u32) -> Option<usize> {
        self.of.get(side).get(node as usize).filter(|&&group| group != u32::MAX).map(|&group| group as usize)
    }

    /// The group of a place: that of its after node, or of its before node if it is only there.
    pub fn of_place(&self, place: Pair<Option<u32>>) -> Option<usize> {
        let after = place.after.and_then(|node| self.of(Side::After, node));
        after.or_else(|| place.before.and_then(|node| self.of(Side::Before, node)))
    }
}

/// Disjoint sets of numbers.
#[derive(Default)]
struct Sets {
    above: Vec<usize>,
}

impl Sets {
    fn grow(&mut self, count: usize) {
        self.above = (0..count).collect();
    }

    fn find(&mut self, mut number: usize) -> usize {
        while let Some(&above) = self.above.get(number).filter(|&&above| above != number) {
            let next = self.above.get(above).copied().unwrap_or(above);
            if let Some(slot) = self.above.get_mut(number) {
                *slot = next;
            }
            number = next;
        }
        number
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(slot) = self.above.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
