//! Spans whose parent was not recorded: where they hang says nothing, so they are matched wherever their operation is
//! left over on the other side. The span that is not there on their side then shows as a layer without a trace.

use super::alignment::MatchReason;
use super::matching::Matcher;
use crate::model::{OperationId, Pair, Side};
use std::collections::BTreeMap;

/// How sure such a match is: only the operation and the likeness speak for it.
const SCORE: f64 = 0.8;

impl Matcher<'_> {
    /// Matches the orphans of either side; true when anything was matched.
    pub(super) fn adopt_orphans(&mut self) -> bool {
        let mut any = false;
        for side in [Side::Before, Side::After] {
            let orphans = self.unmatched(side, |orphan| orphan);
            if orphans.is_empty() {
                continue;
            }
            let others = self.unmatched(side.other(), |_| true);
            for (operation, orphans) in orphans {
                let Some(others) = others.get(&operation) else { continue };
                let lists =
                    if side == Side::Before { Pair::new(&orphans, others) } else { Pair::new(others, &orphans) };
                any |= self.match_members(lists.before, lists.after, MatchReason::Layer, SCORE) > 0;
            }
        }
        any
    }

    /// Unmatched nodes by operation, orphans or all.
    fn unmatched(&self, side: Side, wanted: fn(bool) -> bool) -> BTreeMap<OperationId, Vec<u32>> {
        let mut found: BTreeMap<OperationId, Vec<u32>> = BTreeMap::new();
        for (index, node) in self.trees.get(side).nodes().iter().enumerate().skip(1) {
            if wanted(node.orphan) && !self.result.is_matched(side, index as u32) {
                found.entry(node.operation).or_default().push(index as u32);
            }
        }
        found
    }
}
