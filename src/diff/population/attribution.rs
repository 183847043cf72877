//! Rows that sum to the change of an entry point's mean, to the nanosecond.
//!
//! The critical path tiles every request, so the mean is the sum over call paths of the mean time on it. A path's
//! change is split into "more calls" (owned by the finding that more calls are made, at it or above it) and "each call
//! takes longer" by midpoints. Everything is computed in 2⁻²⁰ ns; the few that are lost by that go to the rows with
//! the largest remainders, ties by the order of the rows.

use super::groups::{Group, Groups};
use super::numbers::rounded;
use super::work::{SIDES, Work};
use crate::diff::attribution::Attribution;
use crate::diff::draft::{Drafts, NOBODY};
use crate::diff::kind::FindingKind;
use crate::model::{OperationId, Pair, Side};
use std::collections::BTreeMap;

/// Binary places of a nanosecond while adding up.
const PLACES: u32 = 20;

/// What of the critical path of some requests belongs to one node. Weighted sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub ns: u128,
    pub calls: u128,
}

/// Requests whose mean is attributed.
pub(super) struct Requests<'a> {
    /// Their weight on each side.
    pub weight: Pair<u128>,
    /// Each node's part of them.
    pub part: &'a dyn Fn(Side, u32) -> Part,
}

/// Who owns which change.
pub(super) struct Owners<'a> {
    drafts: &'a Drafts,
    /// The finding about the number of calls at a node or above it, by node.
    calls: Pair<Vec<u32>>,
}

impl<'a> Owners<'a> {
    pub fn new(work: &Work<'_>, drafts: &'a Drafts) -> Owners<'a> {
        let mut calls = work.trees.as_ref().map(|tree| vec![NOBODY; tree.len()]);
        for (number, draft) in drafts.list.iter().enumerate() {
            if !matches!(draft.kind, FindingKind::CallsUp | FindingKind::CallsDown) {
                continue;
            }
            for side in SIDES {
                for &node in draft.nodes.get(side) {
                    if let Some(slot) = calls.get_mut(side).get_mut(node as usize) {
                        *slot = number as u32;
                    }
                }
            }
        }
        for side in SIDES {
            let owners = calls.get_mut(side);
            for node in 1..owners.len() {
                let above = owners.get(work.parent(side, node as u32) as usize).copied().unwrap_or(NOBODY);
                if let Some(slot) = owners.get_mut(node)
                    && *slot == NOBODY
                {
                    *slot = above;
                }
            }
        }
        Owners { drafts, calls }
    }

    fn time(&self, side: Side, node: u32) -> Option<u32> {
        Some(self.drafts.owner(side, node)).filter(|&owner| owner != NOBODY)
    }

    fn calls(&self, side: Side, node: u32) -> Option<u32> {
        self.calls.get(side).get(node as usize).copied().filter(|&owner| owner != NOBODY)
    }
}

/// A row before rounding: a finding, or an operation that none covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Draft(u32),
    Rest(OperationId),
}

/// The requests of a group, by their weights.
pub(super) fn all_requests(work: &Work<'_>, group: &Group) -> Pair<u128> {
    Pair::new(group.requests(work, Side::Before), group.requests(work, Side::After))
}

/// The part of a node in all requests.
pub(super) fn whole_part(work: &Work<'_>, side: Side, node: u32) -> Part {
    let sums = work.sums(side, node);
    Part { ns: sums.critical_ns, calls: sums.critical_calls }
}

/// Means of the requests on both sides, whole nanoseconds; `None` on a side without them.
pub(super) fn means(work: &Work<'_>, groups: &Groups, number: usize, requests: &Requests<'_>) -> Pair<Option<i64>> {
    let mean = |side: Side| {
        let total: u128 = nodes(work, groups, number, side).map(|node| (requests.part)(side, node).ns).sum();
        rounded(total, *requests.weight.get(side))
    };
    Pair::new(mean(Side::Before), mean(Side::After))
}

fn nodes<'a>(work: &'a Work<'_>, groups: &'a Groups, number: usize, side: Side) -> impl Iterator<Item = u32> + 'a {
    let entries = groups.list.get(number).map(|group| group.entries.get(side).as_slice()).unwrap_or_default();
    entries.iter().flat_map(move |&entry| entry..work.node(side, entry).subtree_end)
}

/// Splits `delta`, the difference of the means, among the findings and the operations that none covers.
pub(super) fn attribute(
    work: &Work<'_>,
    owners: &Owners<'_>,
    groups: &Groups,
    number: usize,
    requests: &Requests<'_>,
    delta: i64,
) -> Attribution {
    let mut rows: BTreeMap<Row, i128> = BTreeMap::new();
    let fixed = |side: Side, part: Part| -> i128 {
        let weight = *requests.weight.get(side);
        i128::try_from(part.ns.checked_shl(PLACES).unwrap_or(0).checked_div(weight).unwrap_or(0)).unwrap_or(0)
    };
    for side in SIDES {
        let sign = if side == Side::Before { -1 } else { 1 };
        for node in nodes(work, groups, number, side) {
            let part = (requests.part)(side, node);
            let partner = work.partner(side, node).filter(|&other| groups.of(side.other(), other) == Some(number));
            let Some(partner) = partner else {
                let row = row(work, owners, side, node);
                *rows.entry(row).or_default() += sign * fixed(side, part);
                continue;
            };
            if side == Side::Before {
                continue;
            }
            let parts = Pair::new((requests.part)(Side::Before, partner), part);
            let total = fixed(Side::After, parts.after) - fixed(Side::Before, parts.before);
            if total == 0 {
                continue;
            }
            let own = owners.time(Side::After, node).or_else(|| owners.time(Side::Before, partner));
            let own = own.map_or(Row::Rest(work.node(Side::After, node).operation), Row::Draft);
            let more = owners.calls(Side::After, node).or_else(|| owners.calls(Side::Before, partner));
            let by_calls = more.map_or(0, |_| calls_term(parts, requests.weight, total));
            if let Some(more) = more {
                *rows.entry(Row::Draft(more)).or_default() += by_calls;
            }
            *rows.entry(own).or_default() += total - by_calls;
        }
    }
    whole(rows, delta, owners.drafts.list.len())
}

fn row(work: &Work<'_>, owners: &Owners<'_>, side: Side, node: u32) -> Row {
    owners.time(side, node).map_or(Row::Rest(work.node(side, node).operation), Row::Draft)
}

/// How much of a node's change its number of calls explains: (c₂ − c₁)·(u₁ + u₂)/2. The rest is what each call takes.
fn calls_term(parts: Pair<Part>, weight: Pair<u128>, total: i128) -> i128 {
    if parts.before.calls == 0 || parts.after.calls == 0 {
        return total;
    }
    let calls = |part: Part, weight: u128| part.calls as f64 / weight.max(1) as f64;
    let each = |part: Part| part.ns as f64 / part.calls as f64;
    let more = calls(parts.after, weight.after) - calls(parts.before, weight.before);
    (more * f64::midpoint(each(parts.before), each(parts.after)) * f64::from(1u32 << PLACES)) as i128
}

/// Rounds rows to nanoseconds so that they sum to `delta`.
fn whole(rows: BTreeMap<Row, i128>, delta: i64, drafts: usize) -> Attribution {
    let one = 1i128 << PLACES;
    let mut floors: Vec<(Row, i128, i128)> =
        rows.into_iter().map(|(row, value)| (row, value.div_euclid(one), value.rem_euclid(one))).collect();
    let mut missing = i128::from(delta) - floors.iter().map(|row| row.1).sum::<i128>();
    let mut order: Vec<usize> = (0..floors.len()).collect();
    order.sort_by_key(|&index| (floors.get(index).map(|row| std::cmp::Reverse(row.2)), index));
    for index in order {
        if let Some(row) = floors.get_mut(index).filter(|_| missing > 0) {
            row.1 += 1;
            missing -= 1;
        }
    }
    let narrow = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    // Nothing is missing where the critical path tiles every request; what a strange profile says otherwise is shown.
    let mut result = Attribution { by_draft: vec![0; drafts], rest: BTreeMap::new(), lost: narrow(missing) };
    for (row, value, _) in floors {
        match row {
            Row::Draft(draft) => {
                if let Some(slot) = result.by_draft.get_mut(draft as usize) {
                    *slot = narrow(value);
                }
            }
            Row::Rest(operation) => {
                result.rest.insert(operation, narrow(value));
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_keeps_the_sum(values in proptest::collection::vec(-1i64 << 40..1i64 << 40, 1..40)) {
            let total: i128 = values.iter().map(|&value| i128::from(value)).sum();
            // The means are rounded one by one, so their difference may be one off either way.
            let delta = (total >> PLACES) as i64;
            for delta in [delta, delta + 1] {
                let rows = values.iter().enumerate().map(|(at, &value)| (Row::Draft(at as u32), i128::from(value)));
                let found = whole(rows.collect(), delta, values.len());
                prop_assert_eq!(found.by_draft.iter().sum::<i64>() + found.lost, delta);
                for (row, value) in found.by_draft.iter().zip(&values) {
                    prop_assert!((row - (value >> PLACES)).abs() <= 1);
                }
            }
        }
    }

    #[test]
    fn more_calls_and_longer_calls_are_told_apart() {
        let part = |ns: u128, calls: u128| Part { ns, calls };
        // 2 calls of 10 ns become 4 of 10 ns: all by calls. 2 calls of 10 ns become 2 of 15: none.
        let one = Pair::new(1u128, 1u128);
        assert_eq!(calls_term(Pair::new(part(20, 2), part(40, 4)), one, 20 << PLACES), 20 << PLACES);
        assert_eq!(calls_term(Pair::new(part(20, 2), part(30, 2)), one, 10 << PLACES), 0);
        // 2 of 10 become 4 of 15: two more at 12.5, and 5 longer for 3.
        assert_eq!(calls_term(Pair::new(part(20, 2), part(60, 4)), one, 40 << PLACES), 25 << PLACES);
    }
}
