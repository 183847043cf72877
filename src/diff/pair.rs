//! One trace against one trace: every span matched individually, everything found told once.

use super::draft::Drafts;
use super::kind::FindingKind;
use super::options::DiffOptions;
use super::types::{Comparable, Coverage, Diff, EntryPoint, Finding, InputSide, Mode, Note, Quantiles, Summary};
use super::work::{Class, Work};
use super::{
    attributes, attribution, errors, finish, links, merged_tree, notes, services, shape, structure, suspects, timing,
};
use crate::model::{Operation, Pair, Side, Status, Trace};
use std::collections::BTreeSet;

/// Compares two traces whose operations count in one table. Their order of spans, the symbol numbers and anything
/// else that depends on how they were read does not show in the result.
pub fn compare(traces: &Pair<Trace>, inputs: Pair<InputSide>, options: &DiffOptions) -> Diff {
    let work = Work::new(traces, options);
    let mut drafts = Drafts::new(Pair::new(work.trees.before.len(), work.trees.after.len()));
    // The order decides who explains a span's time: structure, then errors, then time itself, then what only moved it.
    structure::find(&work, &mut drafts);
    errors::find(&work, &mut drafts);
    let scatter = timing::find(&work, &mut drafts);
    shape::find(&work, &mut drafts);
    structure::own_relocated(&work.trees, &mut drafts);
    timing::drift(&work, &mut drafts, &scatter);
    links::find(&work, &mut drafts);
    attributes::find(&work, &mut drafts);
    assemble(&work, &drafts, inputs, &scatter)
}

fn assemble(work: &Work<'_>, drafts: &Drafts, inputs: Pair<InputSide>, scatter: &timing::Scatter) -> Diff {
    let attribution = attribution::attribute(work, drafts);
    let hashes = work.paths.fingerprints(work.operations());
    let order = finish::ranked(work, &drafts.list, &attribution);
    let max = work.options.max_findings;
    let finish::Listed { findings, rank, omitted, by_kind } =
        finish::list(&drafts.list, order, &attribution.by_draft, max, |draft, contribution| {
            finish::finding(work, &hashes, draft, contribution)
        });
    let titles: Vec<String> = findings.iter().map(finish::label).collect();
    let rows = attribution::rows(work.operations(), &attribution, &rank, &titles);
    let root_ns = work.root_ns(Side::Before).max(work.root_ns(Side::After)).unwrap_or(0);
    let comparable = comparable(work);
    Diff {
        mode: Mode::Pair,
        inputs,
        config_sha256: String::new(),
        comparable,
        coverage: coverage(work),
        drift: scatter.summary(),
        stability: None,
        overall: Vec::new(),
        summary: summary(work, drafts, by_kind, &findings),
        entry_points: entry_points(work, rows),
        suspects: suspects::rank(&findings, root_ns),
        notes: notes::notes(work, drafts),
        omitted,
        tree: if work.options.tree { merged_tree::build(work, drafts, &rank) } else { Vec::new() },
        services: services::graph(work),
        findings,
    }
}

fn comparable(work: &Work<'_>) -> Comparable {
    let matched = work.alignment.pairs().next().is_some();
    let mut reasons = Vec::new();
    if !matched {
        let message = "the two traces have no operation in common: everything is added or removed".to_owned();
        reasons.push(Note { code: "entry_points", message });
    } else if root_operation(work, Side::Before) != root_operation(work, Side::After)
        && !work.is_matched(Side::After, 1)
    {
        let message = "the two traces enter at different operations".to_owned();
        reasons.push(Note { code: "entry_points", message });
    }
    Comparable { ok: matched, reasons }
}

fn root_operation(work: &Work<'_>, side: Side) -> Option<Operation> {
    let span = work.span(side, 1)?;
    work.operations().get(span.operation).cloned()
}

fn coverage(work: &Work<'_>) -> Coverage {
    let paths: BTreeSet<_> = work.path_of.before.iter().skip(1).collect();
    let matched: BTreeSet<_> = work.classes.iter().map(|class| &class.path.before).collect();
    Coverage { paths: if paths.is_empty() { 0.0 } else { matched.len() as f64 / paths.len() as f64 }, instances: None }
}

fn summary(work: &Work<'_>, drafts: &Drafts, by_kind: Vec<(FindingKind, u64)>, findings: &[Finding]) -> Summary {
    let errors =
        |side: Side| work.traces.get(side).spans().iter().filter(|span| span.status == Status::Error).count() as u64;
    let both_ends = |finding: &'_ Finding| {
        [finding.path.last().cloned(), finding.from_path.as_ref().and_then(|path| path.last().cloned())]
    };
    let changed: BTreeSet<Operation> = findings.iter().flat_map(both_ends).flatten().collect();
    let operation = |side: Side, node: u32| work.operation(work.node(side, node).operation);
    let matched = work.classes.iter().filter_map(|class| class.members.first());
    let unchanged: BTreeSet<[Operation; 2]> = matched
        .map(|pair| [operation(Side::Before, pair.0), operation(Side::After, pair.1)])
        .filter(|ends| !ends.iter().any(|end| changed.contains(end)))
        .collect();
    Summary {
        by_kind,
        unchanged_operations: unchanged.len() as u64,
        unchanged_bound_ns: unchanged_bound(work, drafts, findings),
        spans: Pair::new(work.traces.before.len() as u64, work.traces.after.len() as u64),
        matched: work.alignment.pairs().count() as u64,
        errors: Pair::new(errors(Side::Before), errors(Side::After)),
    }
}

/// The largest change of self time over the call paths that no finding stands at.
fn unchanged_bound(work: &Work<'_>, drafts: &Drafts, findings: &[Finding]) -> u64 {
    let told: BTreeSet<&[Operation]> = findings.iter().map(|finding| finding.path.as_slice()).collect();
    let change = |class: &Class| {
        let sum = |side: Side, node: fn(&(u32, u32)) -> u32| -> u64 {
            class.members.iter().map(|pair| work.self_ns(side, node(pair))).sum()
        };
        sum(Side::Before, |pair| pair.0).abs_diff(sum(Side::After, |pair| pair.1))
    };
    let mut changes: Vec<(u64, &Class)> = work.classes.iter().map(|class| (change(class), class)).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.0));
    let lost = |class: &Class| class.members.iter().any(|pair| drafts.is_lost(Side::Before, pair.0));
    let untold = |class: &Class| {
        !lost(class) && !told.contains(work.paths.operations(class.path.after, work.operations()).as_slice())
    };
    changes.into_iter().find(|(_, class)| untold(class)).map_or(0, |(change, _)| change)
}

/// One entry point when the traces have anything in common (an ingress may have been replaced), else one a side.
fn entry_points(work: &Work<'_>, rows: Vec<super::types::AttributionRow>) -> Vec<EntryPoint> {
    let single = |ns: u64| Quantiles { mean: ns as i64, p50: ns as i64, p95: ns as i64, p99: None };
    let point = |sides: &[Side], attribution| {
        let has = |side: Side| sides.contains(&side) && work.root_ns(side).is_some();
        let duration = |side: Side| work.root_ns(side).filter(|_| has(side)).map(single);
        let failed = |side: Side| {
            work.span(side, 1).filter(|_| has(side)).map(|span| f64::from(u8::from(span.status == Status::Error)))
        };
        let durations = Pair::new(duration(Side::Before), duration(Side::After));
        Some(EntryPoint {
            operation: sides.last().and_then(|&side| root_operation(work, side))?,
            traces: Pair::new(u64::from(has(Side::Before)), u64::from(has(Side::After))),
            duration_ns: durations,
            delta_ns: durations.before.zip(durations.after).map(|(before, after)| after.mean - before.mean),
            error_rate: Pair::new(failed(Side::Before), failed(Side::After)),
            attribution,
            tail: Vec::new(),
            effects: Vec::new(),
            detectable: None,
            needed_traces: None,
        })
    };
    if work.alignment.pairs().next().is_some() {
        return point(&[Side::Before, Side::After], rows).into_iter().collect();
    }
    [point(&[Side::Before], Vec::new()), point(&[Side::After], Vec::new())].into_iter().flatten().collect()
}
