//! `spandiff.gate/v1`: the document of the diff plus the verdict.

use crate::diff::{Diff, Verdict};
use crate::report::Options;
use crate::report::json::{document, finding_id, finish, operation, pretty};
use crate::report::schema::gate as schema;
use std::io::{self, Write};

/// Writes the document.
pub(super) fn json(diff: &Diff, verdict: &Verdict, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let mut document = document(diff);
    document.schema = schema::SCHEMA;
    let whole = schema::GateDocument { diff: document, verdict: said(diff, verdict) };
    finish(pretty(&whole)?, diff, options, out)
}

fn said<'a>(diff: &'a Diff, verdict: &'a Verdict) -> schema::Verdict<'a> {
    let entry = |index: usize| diff.entry_points.get(index).map(|entry| operation(&entry.operation));
    schema::Verdict {
        result: verdict.result.name(),
        exit_code: verdict.exit_code,
        reasons: verdict
            .reasons
            .iter()
            .map(|reason| schema::Reason {
                code: reason.code,
                message: &reason.message,
                finding: reason.finding.map(finding_id),
                entry_point: reason.entry.and_then(entry),
                result: reason.result.name(),
            })
            .collect(),
        rules: verdict
            .rules
            .iter()
            .map(|rule| schema::Rule {
                matched: &rule.matched,
                metric: rule.metric,
                limit: &rule.limit,
                value: &rule.value,
                result: rule.result.name(),
            })
            .collect(),
        needs: schema::Needs { before_traces: verdict.needs.before, after_traces: verdict.needs.after },
        findings: verdict
            .findings
            .iter()
            .enumerate()
            .map(|(index, role)| schema::Judged { finding: finding_id(index), result: role.name() })
            .collect(),
        entry_points: diff
            .entry_points
            .iter()
            .zip(&verdict.entries)
            .map(|(entry, result)| schema::JudgedEntry {
                operation: operation(&entry.operation),
                result: result.name(),
            })
            .collect(),
    }
}
