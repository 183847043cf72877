//! Rows that sum to the entry point's change, to the nanosecond.
//!
//! The critical path tiles the root on each side; every span's part belongs to at most one finding. A finding's
//! contribution is its part after minus its part before, the rest is told by call path where it is large, and
//! together where it is not.

use super::draft::{Drafts, NOBODY};
use super::types::AttributionRow;
use super::work::Work;
use crate::model::{OperationId, Operations, Side};
use std::collections::BTreeMap;

/// Rows without a finding that are told one by one.
const NAMED_ROWS: usize = 6;
/// Smallest share of the change that such a row must have.
const NAMED_SHARE: f64 = 0.05;

/// What each draft contributes, and the rest by operation.
pub(super) struct Attribution {
    /// Nanoseconds by draft.
    pub by_draft: Vec<i64>,
    /// What no finding covers, by operation of the after side (or before side if it is only there).
    pub rest: BTreeMap<OperationId, i64>,
    /// What cannot be told apart because spans were not recorded.
    pub lost: i64,
}

/// Adds up the critical path.
pub(super) fn attribute(work: &Work<'_>, drafts: &Drafts) -> Attribution {
    let mut by_draft = vec![0i64; drafts.list.len()];
    let mut rest: BTreeMap<OperationId, i64> = BTreeMap::new();
    let mut lost = 0;
    for (side, sign) in [(Side::Before, -1), (Side::After, 1)] {
        for node in 1..work.trees.get(side).len() as u32 {
            let ns = work.critical_ns(side, node) as i64 * sign;
            if ns == 0 {
                continue;
            }
            let owner = drafts.owner(side, node);
            if let Some(slot) = by_draft.get_mut(owner as usize).filter(|_| owner != NOBODY) {
                *slot += ns;
                continue;
            }
            if drafts.is_lost(side, node) {
                lost += ns;
                continue;
            }
            let (other, partner) = (side.other(), work.alignment.partner(side, node));
            let operation = if side == Side::Before && work.is_matched(side, node) {
                work.node(other, partner).operation
            } else {
                work.node(side, node).operation
            };
            *rest.entry(operation).or_default() += ns;
        }
    }
    Attribution { by_draft, rest, lost }
}

/// The rows of the report: findings in the order of their ranks, then the largest of the rest, then all that is left.
/// `rank` gives for each draft its place among the findings, `None` for those left out.
pub(super) fn rows(
    operations: &Operations,
    attribution: &Attribution,
    rank: &[Option<usize>],
    titles: &[String],
) -> Vec<AttributionRow> {
    let mut rows: Vec<AttributionRow> = Vec::new();
    let mut together = attribution.lost;
    for (draft, &contribution_ns) in attribution.by_draft.iter().enumerate() {
        match rank.get(draft).copied().flatten() {
            Some(finding) if contribution_ns != 0 => {
                let label = titles.get(finding).cloned().unwrap_or_default();
                rows.push(AttributionRow { finding: Some(finding), label, contribution_ns });
            }
            _ => together += contribution_ns,
        }
    }
    let change: u64 = attribution.rest.values().chain(&attribution.by_draft).map(|ns| ns.unsigned_abs()).sum();
    let mut rest: Vec<(OperationId, i64)> = attribution.rest.iter().map(|(&operation, &ns)| (operation, ns)).collect();
    rest.sort_by_key(|&(operation, ns)| (std::cmp::Reverse(ns.unsigned_abs()), operations.get(operation)));
    for (index, (operation, contribution_ns)) in rest.into_iter().enumerate() {
        let is_large = contribution_ns.unsigned_abs() as f64 >= NAMED_SHARE * change as f64;
        match operations.get(operation) {
            Some(operation) if index < NAMED_ROWS && is_large => {
                rows.push(AttributionRow { finding: None, label: operation.to_string(), contribution_ns });
            }
            _ => together += contribution_ns,
        }
    }
    rows.sort_by_key(|row| (std::cmp::Reverse(row.contribution_ns.unsigned_abs()), row.finding, row.label.clone()));
    rows.push(AttributionRow { finding: None, label: "unchanged, together".to_owned(), contribution_ns: together });
    rows
}
