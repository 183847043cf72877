//! The service graph of both sides, and services whose version changed.

use super::work::{SIDES, Work, plain};
use crate::align::ROOT;
use crate::diff::types::{Note, ServiceEdge, ServiceGraph, ServiceNode};
use crate::model::{Pair, Side, units};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

/// Versions listed for one service.
const LISTED: usize = 3;
/// Change of a version's share of a service's spans that is told.
const SHIFTED: f64 = 0.05;

const NO_CALLS: ServiceEdge = ServiceEdge { calls: Pair::new(0, 0), links: Pair::new(0, 0), errors: Pair::new(0, 0) };

/// Services and the calls and links that cross between them, both sides in one graph, sorted by name. Counts are
/// weighted: estimates of what happened, not of what was kept.
pub(super) fn graph(work: &Work<'_>) -> ServiceGraph {
    let mut nodes: BTreeMap<&str, ServiceNode> = BTreeMap::new();
    let mut edges: BTreeMap<(&str, &str), ServiceEdge> = BTreeMap::new();
    for side in SIDES {
        for node in work.nodes(side) {
            let Some(service) = work.operation_at(side, node).map(|operation| &*operation.service) else { continue };
            let sums = work.sums(side, node);
            let entry = nodes.entry(service).or_insert_with(|| nobody(service));
            *entry.spans.get_mut(side) += whole(sums.calls);
            *entry.errors.get_mut(side) += whole(sums.failed_calls);
            *entry.self_ns.get_mut(side) += whole(sums.self_ns);
            let parent = work.parent(side, node);
            if let Some(caller) = work.operation_at(side, parent).filter(|_| parent != ROOT) {
                let caller = &*caller.service;
                // The time of an edge is the self time of its client.
                *nodes.entry(caller).or_insert_with(|| nobody(caller)).self_ns.get_mut(side) += whole(sums.edge_ns);
                if caller != service {
                    let edge = edges.entry((caller, service)).or_insert(NO_CALLS);
                    *edge.calls.get_mut(side) += whole(sums.calls);
                    *edge.errors.get_mut(side) += whole(sums.failed_calls);
                }
            }
            for (&target, &weight) in work.state(side, node).into_iter().flat_map(|state| &state.links) {
                let target = work.operations().get(target).map(|operation| &*operation.service);
                if let Some(target) = target.filter(|&target| target != service) {
                    *edges.entry((service, target)).or_insert(NO_CALLS).links.get_mut(side) += whole(weight);
                }
            }
        }
    }
    assemble(nodes, edges)
}

fn assemble<'a>(
    mut nodes: BTreeMap<&'a str, ServiceNode>,
    edges: BTreeMap<(&'a str, &'a str), ServiceEdge>,
) -> ServiceGraph {
    // A link may lead to a service whose spans another window has.
    for &(from, to) in edges.keys() {
        nodes.entry(from).or_insert_with(|| nobody(from));
        nodes.entry(to).or_insert_with(|| nobody(to));
    }
    let mut graph = ServiceGraph::with_capacity(nodes.len(), edges.len());
    let numbers: BTreeMap<&str, NodeIndex> =
        nodes.into_iter().map(|(name, node)| (name, graph.add_node(node))).collect();
    for ((from, to), edge) in edges {
        if let (Some(&from), Some(&to)) = (numbers.get(from), numbers.get(to)) {
            graph.add_edge(from, to, edge);
        }
    }
    graph
}

fn nobody(service: &str) -> ServiceNode {
    ServiceNode {
        service: service.to_owned(),
        spans: Pair::default(),
        errors: Pair::default(),
        self_ns: Pair::default(),
    }
}

fn whole(sum: u128) -> u64 {
    plain(sum).round() as u64
}

/// One note for each change of versions, with the services it concerns.
pub(super) fn versions(work: &Work<'_>) -> Vec<Note> {
    let mut spans: BTreeMap<&str, BTreeMap<&str, Pair<u64>>> = BTreeMap::new();
    for side in SIDES {
        for (&(service, version), &count) in &work.profiles.get(side).totals.versions {
            let versions = spans.entry(work.text(side, service)).or_default();
            *versions.entry(work.text(side, version)).or_default().get_mut(side) += count;
        }
    }
    let mut by_change: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (service, versions) in spans {
        if let Some(change) = version_change(&versions) {
            by_change.entry(change).or_default().push(service);
        }
    }
    by_change
        .into_iter()
        .map(|((before, after), services)| Note {
            code: "version",
            message: format!("service.version of {}: {before} → {after}", services.join(", ")),
        })
        .collect()
}

/// The versions on each side in words, when they differ; a service without versions or on one side only has none.
fn version_change(versions: &BTreeMap<&str, Pair<u64>>) -> Option<(String, String)> {
    let total = |side: Side| versions.values().map(|count| *count.get(side)).sum::<u64>();
    let totals = Pair::new(total(Side::Before), total(Side::After));
    if totals.before == 0 || totals.after == 0 {
        return None;
    }
    let share = |side: Side, count: &Pair<u64>| *count.get(side) as f64 / *totals.get(side) as f64;
    let differs = versions.iter().any(|(version, count)| {
        !version.is_empty() && (share(Side::Before, count) - share(Side::After, count)).abs() >= SHIFTED
    });
    let words = |side: Side| {
        let mut known: Vec<(&str, f64)> = versions
            .iter()
            .filter(|(_, count)| *count.get(side) > 0)
            .map(|(version, count)| (if version.is_empty() { "(none)" } else { version }, share(side, count)))
            .collect();
        known.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let several = known.len() > 1;
        let mut words: Vec<String> = known
            .iter()
            .take(LISTED)
            .map(
                |(version, share)| {
                    if several { format!("{version} ({})", units::percent(*share)) } else { (*version).to_owned() }
                },
            )
            .collect();
        if known.len() > LISTED {
            words.push("…".to_owned());
        }
        words.join(", ")
    };
    differs.then(|| (words(Side::Before), words(Side::After)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_words() {
        let versions = |list: &[(&'static str, u64, u64)]| {
            version_change(&list.iter().map(|&(name, before, after)| (name, Pair::new(before, after))).collect())
        };
        assert_eq!(versions(&[("1.4", 100, 0), ("1.5", 0, 90)]), Some(("1.4".to_owned(), "1.5".to_owned())));
        assert_eq!(
            versions(&[("1.4", 100, 90), ("1.5", 0, 10)]),
            Some(("1.4".to_owned(), "1.4 (90 %), 1.5 (10 %)".to_owned()))
        );
        assert_eq!(versions(&[("1.4", 100, 90)]), None);
        assert_eq!(versions(&[("", 100, 90)]), None);
        assert_eq!(versions(&[("1.4", 100, 0)]), None);
    }
}
