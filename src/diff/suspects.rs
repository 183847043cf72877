//! Services and operations ranked by how much of the change they explain.

use super::kind::FindingKind;
use super::types::{Finding, Note, Suspect};
use crate::model::{Operation, units};
use std::collections::BTreeMap;

/// Suspects shown at most.
const MOST: usize = 10;

/// What speaks against one service.
#[derive(Default)]
struct Evidence<'a> {
    score: f64,
    operations: BTreeMap<&'a Operation, f64>,
    reasons: Vec<Note>,
}

/// Ranks over all evidence: time in both directions (a service that fails early gets faster), own errors, lost and
/// new children. Changes that blame nobody (drift, attributes, renames) do not count.
pub(super) fn rank(findings: &[Finding], root_ns: u64) -> Vec<Suspect> {
    let mut by_service: BTreeMap<&str, Evidence<'_>> = BTreeMap::new();
    for finding in findings {
        let (Some(operation), Some(weight)) = (finding.operation(), structure_weight(finding.kind)) else { continue };
        let time = finding.contribution_ns.unsigned_abs() as f64 / root_ns.max(1) as f64;
        let score = weight + time;
        let entry = by_service.entry(&operation.service).or_default();
        entry.score += score;
        *entry.operations.entry(operation).or_default() += score;
        let contribution = if finding.contribution_ns == 0 {
            String::new()
        } else {
            format!(", {} of the request", units::signed_duration(finding.contribution_ns))
        };
        entry.reasons.push(Note {
            code: finding.kind.name(),
            message: format!("{}: {}{contribution}", operation.name, finding.title),
        });
    }
    let total: f64 = by_service.values().map(|entry| entry.score).sum();
    let mut suspects: Vec<Suspect> = by_service
        .into_iter()
        .filter(|(_, entry)| entry.score > 0.0)
        .map(|(service, Evidence { score, operations, reasons })| {
            let mut operations: Vec<(Operation, f64)> =
                operations.into_iter().map(|(operation, score)| (operation.clone(), score / total)).collect();
            operations.sort_by(|x, y| y.1.total_cmp(&x.1).then_with(|| x.0.cmp(&y.0)));
            Suspect { service: service.to_owned(), score: score / total, operations, reasons }
        })
        .collect();
    suspects.sort_by(|x, y| y.score.total_cmp(&x.score).then_with(|| x.service.cmp(&y.service)));
    suspects.truncate(MOST);
    suspects
}

/// What a kind of finding weighs by itself, as a share of the request; `None` for kinds that blame nobody.
const fn structure_weight(kind: FindingKind) -> Option<f64> {
    match kind {
        FindingKind::Failing
        | FindingKind::Recovered
        | FindingKind::InstanceFailing
        | FindingKind::InstanceGone
        | FindingKind::ContextLost => Some(0.5),
        FindingKind::Added
        | FindingKind::Removed
        | FindingKind::CallsUp
        | FindingKind::CallsDown
        | FindingKind::LayerAdded
        | FindingKind::LayerRemoved
        | FindingKind::Moved
        | FindingKind::Split
        | FindingKind::Merged
        | FindingKind::Serialized
        | FindingKind::Parallelized => Some(0.1),
        FindingKind::Slower | FindingKind::Faster => Some(0.0),
        FindingKind::Renamed
        | FindingKind::LinkAdded
        | FindingKind::LinkRemoved
        | FindingKind::Attributes
        | FindingKind::InstanceNew
        | FindingKind::ContextJoined
        | FindingKind::Mix
        | FindingKind::Drift => None,
    }
}
