//! Siblings that overlapped and now run one after another, or the reverse.

use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::structure::overlapping;
use super::work::Work;
use crate::model::times::is_waited_for;
use crate::model::{Pair, Side};

/// Judges the children that both sides of a class have in common.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let mut waited: Pair<Vec<(u32, u32)>> = Pair::default();
    for class in &work.classes {
        let mut overlaps: Pair<usize> = Pair::default();
        let mut unions: Pair<u64> = Pair::default();
        let mut children = 0;
        let mut involved = Vec::new();
        for &(a, b) in &class.members {
            let common = common_children(work, a, b);
            if common.before.len() < 2 {
                continue;
            }
            children += common.before.len();
            for side in [Side::Before, Side::After] {
                *overlaps.get_mut(side) += overlapping(work, side, common.get(side));
                *unions.get_mut(side) += union_ns(work, side, common.get(side));
            }
            involved.push((a, b, common));
        }
        let longer = |from: Side| *unions.get(from.other()) > *unions.get(from) + work.options.min_time_ns;
        let kind = if overlaps.before > 3 * overlaps.after && longer(Side::Before) {
            FindingKind::Serialized
        } else if overlaps.after > 3 * overlaps.before && longer(Side::After) {
            FindingKind::Parallelized
        } else {
            continue;
        };
        let nodes = Pair::new(involved.iter().map(|i| i.0).collect(), involved.iter().map(|i| i.1).collect());
        let mut draft = Draft::of_class(kind, class, nodes);
        draft.title = if kind == FindingKind::Serialized {
            "calls that overlapped now run one after another".to_owned()
        } else {
            "calls that ran one after another now overlap".to_owned()
        };
        draft
            .evidence
            .push(format!("of {children} calls {} began while another ran, now {}", overlaps.before, overlaps.after));
        let number = drafts.push(draft);
        // What became critical, or stopped being so, because of the order: the children's subtrees, where nothing
        // else explains their time.
        for (_, _, common) in &involved {
            for side in [Side::Before, Side::After] {
                waited.get_mut(side).extend(common.get(side).iter().map(|&child| (child, number)));
            }
        }
    }
    drafts.own_subtrees(&work.trees, &waited);
}

/// Children of `a` whose partners are children of `b`, and those partners; messages are left out.
fn common_children(work: &Work<'_>, a: u32, b: u32) -> Pair<Vec<u32>> {
    let mut common: Pair<Vec<u32>> = Pair::default();
    let (Some(parent_before), Some(parent_after)) = (work.span(Side::Before, a), work.span(Side::After, b)) else {
        return common;
    };
    for child in work.trees.before.children(a) {
        let partner = work.alignment.partner(Side::Before, child);
        if !work.is_matched(Side::Before, child) || work.node(Side::After, partner).parent != b {
            continue;
        }
        let waited = |side: Side, parent, node| work.span(side, node).is_some_and(|span| is_waited_for(parent, span));
        if waited(Side::Before, parent_before, child) && waited(Side::After, parent_after, partner) {
            common.before.push(child);
            common.after.push(partner);
        }
    }
    common
}

/// Length of the union of the nodes' intervals, nanoseconds.
fn union_ns(work: &Work<'_>, side: Side, nodes: &[u32]) -> u64 {
    let mut intervals: Vec<(u64, u64)> =
        nodes.iter().map(|&node| work.node(side, node)).map(|n| (n.start_ns, n.start_ns + n.duration_ns)).collect();
    intervals.sort_unstable();
    let (mut total, mut until) = (0, 0);
    for (start, end) in intervals {
        total += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    total
}
