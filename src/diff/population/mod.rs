//! Many traces against many traces: folded trees, aligned as those of a pair, and judged by tests.
//!
//! [`compare`] runs the steps in order: `unify` brings both profiles into one numbering and `work` aligns them;
//! `judged` finds what tests can show (`structure`, `calls`, `errors`, `latency` against the `drift` of the
//! environment, `entry_points`); then come the finders that look at one thing each; `attribution`, `tail` and `mix`
//! split what changed among all of it exactly, and `finish` ranks it and fills in its numbers.

mod attributes;
mod attribution;
mod calls;
mod canary;
mod comparable;
mod context;
mod counts;
mod drift;
mod entry_points;
mod errors;
mod finish;
mod first_seen;
mod groups;
mod instances;
mod judge;
mod judged;
mod latency;
mod links;
mod mix;
mod numbers;
mod services;
mod shape;
mod stability;
mod structure;
mod tail;
mod tail_shift;
mod times;
mod tree;
mod unexplained;
mod unify;
mod work;

use super::attribution::{Attribution, rows};
use super::draft::Draft;
use super::finish::{Listed, label, list};
use super::kind::FindingKind;
use super::options::DiffOptions;
use super::types::{AttributionRow, Diff, EntryPoint, Finding, InputSide, Mode, Summary};
use super::{merged_tree, suspects};
use crate::model::profile::Profile;
use crate::model::{Operation, Pair, Side};
use attribution::{Owners, Requests, all_requests, attribute, means, whole_part};
use finish::Told;
use judged::Judged;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use work::{Work, whole};

/// Compares two profiles. Nothing depends on how they were put together, on threads, or on the order of traces.
pub fn compare<P: Borrow<Profile>>(profiles: &Pair<P>, inputs: Pair<InputSide>, options: &DiffOptions) -> Diff {
    let q = options.population.q;
    let traces = profiles.as_ref().map(|profile| Borrow::<Profile>::borrow(profile).totals.traces);
    let level = options.population.look.map_or(q, |look| look.level(q, traces));
    let work = Work::new(unify::unify(profiles), options, level);
    let mut judged = Judged::new(&work);
    judged.notes.extend(instances::find(&work, &mut judged.drafts));
    attributes::find(&work, &mut judged.drafts);
    links::find(&work, &mut judged.drafts);
    super::structure::own_relocated(&work.trees, &mut judged.drafts);
    judged.drifts.add(&work, &judged.groups, &mut judged.drafts);
    mix::add(&work, &judged.groups, &judged.tested, &mut judged.drafts);
    let mut contributions = Contributions::new(&work, &judged);
    let groups = contributions.groups.iter().map(|(delta, all, _)| (*delta, all.as_ref()));
    if unexplained::add(&work, &mut judged, groups) {
        contributions = Contributions::new(&work, &judged);
    }
    let overall = mix::overall(&work, &judged.groups);
    let mix = judged.drafts.list.iter().position(|draft| draft.kind == FindingKind::Mix);
    if let (Some(slot), Some(moved)) = (mix.and_then(|mix| contributions.own.get_mut(mix)), overall.first()) {
        *slot = moved.contribution_ns;
    }
    assemble(&work, judged, &contributions, inputs, overall)
}

/// What every draft contributes, in all and to each entry point.
struct Contributions {
    /// By group: the change of the mean, its parts, and those of the slowest requests.
    groups: Vec<(Option<i64>, Option<Attribution>, Option<Attribution>)>,
    /// By draft, in its own group.
    own: Vec<i64>,
    /// Change and the longer of the means, by group.
    changes: Vec<(Option<i64>, i64)>,
}

impl Contributions {
    fn new(work: &Work<'_>, judged: &Judged) -> Contributions {
        let owners = Owners::new(work, &judged.drafts);
        let mut groups = Vec::new();
        let mut changes = Vec::new();
        for (number, group) in judged.groups.list.iter().enumerate() {
            let part = |side: Side, node: u32| whole_part(work, side, node);
            let requests = Requests { weight: all_requests(work, group), part: &part };
            let means = means(work, &judged.groups, number, &requests);
            let delta = means.after.zip(means.before).map(|(after, before)| after - before);
            let all = delta.map(|delta| attribute(work, &owners, &judged.groups, number, &requests, delta));
            let tail = tail::attribute_tail(work, &owners, &judged.groups, number);
            changes.push((delta, means.before.max(means.after).unwrap_or(0)));
            groups.push((delta, all, tail));
        }
        let own = |(number, draft): (usize, &Draft)| {
            let place = Pair::new(draft.nodes.before.first().copied(), draft.nodes.after.first().copied());
            let group: &(_, Option<Attribution>, _) = groups.get(judged.groups.of_place(place)?)?;
            group.1.as_ref()?.by_draft.get(number).copied()
        };
        let own = judged.drafts.list.iter().enumerate().map(|entry| own(entry).unwrap_or(0)).collect();
        Contributions { groups, own, changes }
    }
}

fn assemble(
    work: &Work<'_>,
    mut judged: Judged,
    contributions: &Contributions,
    inputs: Pair<InputSide>,
    mut overall: Vec<AttributionRow>,
) -> Diff {
    let hashes = work.paths.fingerprints(work.operations());
    let told = Told { groups: &judged.groups, changes: &contributions.changes, hashes: &hashes };
    let order = finish::ranked(work, &told, &judged.drafts.list, &contributions.own);
    let max = work.options.max_findings;
    let Listed { findings, rank, omitted, by_kind } =
        list(&judged.drafts.list, order, &contributions.own, max, |draft, contribution| {
            finish::finding(work, &told, draft, contribution)
        });
    let longest = contributions.changes.iter().map(|change| change.1).max().unwrap_or(0);
    let mut notes = comparable::notes(work);
    notes.append(&mut judged.notes);
    if let Some(row) = overall.first_mut() {
        row.finding = findings.iter().position(|finding| finding.kind == FindingKind::Mix);
    }
    Diff {
        mode: Mode::Population,
        comparable: comparable::comparable(work, &judged.groups, &judged.tested, &judged.drifts, &inputs),
        inputs,
        config_sha256: String::new(),
        coverage: comparable::coverage(work),
        drift: judged.drifts.summary(),
        stability: if findings.is_empty() { None } else { stability::stability(work) },
        overall,
        summary: summary(work, &judged, by_kind, &findings),
        entry_points: entry_points(work, &judged, contributions, &rank, &findings),
        suspects: suspects::rank(&findings, longest.unsigned_abs()),
        notes,
        omitted,
        tree: if work.options.tree { merged_tree::build(work, &judged.drafts, &rank) } else { Vec::new() },
        services: services::graph(work),
        findings,
    }
}

fn entry_points(
    work: &Work<'_>,
    judged: &Judged,
    contributions: &Contributions,
    rank: &[Option<usize>],
    findings: &[Finding],
) -> Vec<EntryPoint> {
    let titles: Vec<String> = findings.iter().map(label).collect();
    let rows = |attribution: &Option<Attribution>| -> Vec<AttributionRow> {
        let told = |attribution| rows(work.operations(), attribution, rank, &titles);
        attribution.as_ref().map(told).unwrap_or_default()
    };
    let groups = judged.groups.list.iter().zip(&judged.tested).zip(&contributions.groups);
    groups
        .filter_map(|((group, tested), (delta, all, tail))| {
            entry_points::entry_point(work, group, tested, (*delta, rows(all), rows(tail)))
        })
        .collect()
}

fn summary(work: &Work<'_>, judged: &Judged, by_kind: Vec<(FindingKind, u64)>, findings: &[Finding]) -> Summary {
    let both_ends = |finding: &'_ Finding| {
        [finding.path.last().cloned(), finding.from_path.as_ref().and_then(|path| path.last().cloned())]
    };
    let changed: BTreeSet<Operation> = findings.iter().flat_map(both_ends).flatten().collect();
    let ends = |pair: Pair<u32>| {
        let operation = |side: Side, node: u32| work.operation(work.node(side, node).operation);
        [operation(Side::Before, pair.before), operation(Side::After, pair.after)]
    };
    let unchanged: BTreeSet<[Operation; 2]> =
        work.matched().map(ends).filter(|ends| !ends.iter().any(|end| changed.contains(end))).collect();
    let told: BTreeSet<&[Operation]> = findings.iter().map(|finding| finding.path.as_slice()).collect();
    let bound = judged
        .measured
        .iter()
        .filter(|one| {
            !told.contains(work.paths.operations(work.path(Side::After, one.place.after), work.operations()).as_slice())
        })
        .map(|one| (one.values.after - one.values.before).abs())
        .fold(0.0, f64::max);
    Summary {
        by_kind,
        unchanged_operations: unchanged.len() as u64,
        unchanged_bound_ns: bound.round() as u64,
        spans: Pair::new(work.nodes(Side::Before).len() as u64, work.nodes(Side::After).len() as u64),
        matched: work.matched().count() as u64,
        errors: Pair::new(failed_spans(work, Side::Before), failed_spans(work, Side::After)),
    }
}

fn failed_spans(work: &Work<'_>, side: Side) -> u64 {
    work.nodes(side).map(|node| whole(work.sums(side, node).failed_calls)).sum()
}

#[cfg(test)]
#[path = "tests/finders.rs"]
mod finder_tests;

#[cfg(test)]
#[path = "tests/canary.rs"]
mod canary_tests;
