//! The span graph of a trace and the service graph of both, as petgraph graphs.

use super::types::{ServiceEdge, ServiceGraph, ServiceNode};
use super::work::Work;
use crate::model::{NO_PARENT, Pair, Side, Status, Trace};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeMap;

/// How two spans are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The second is a child of the first.
    Child,
    /// The first carries a link to the second.
    Link,
}

/// The graph of one trace: span indices, child edges and the link edges that stay inside the trace.
pub fn span_graph(trace: &Trace) -> DiGraph<u32, Relation> {
    let mut graph = DiGraph::with_capacity(trace.len(), trace.len());
    let nodes: Vec<NodeIndex> = (0..trace.len() as u32).map(|index| graph.add_node(index)).collect();
    let node = |index: u32| nodes.get(index as usize).copied();
    for (index, span) in trace.spans().iter().enumerate() {
        if let (Some(parent), Some(child)) = (node(span.parent), node(index as u32)) {
            graph.add_edge(parent, child, Relation::Child);
        }
    }
    for link in &trace.links {
        if let (Some(from), Some(to)) = (node(link.from), link.to.and_then(node)) {
            graph.add_edge(from, to, Relation::Link);
        }
    }
    graph
}

/// Services and the calls and links that cross between them, both sides in one graph, sorted by name.
pub(super) fn graph(work: &Work<'_>) -> ServiceGraph {
    let mut nodes: BTreeMap<&str, ServiceNode> = BTreeMap::new();
    let mut edges: BTreeMap<(&str, &str), ServiceEdge> = BTreeMap::new();
    for side in [Side::Before, Side::After] {
        let trace = work.traces.get(side);
        for (index, span) in trace.spans().iter().enumerate() {
            let service = trace.store.service(span);
            let node = nodes.entry(service).or_insert_with(|| ServiceNode {
                service: service.to_owned(),
                spans: Pair::default(),
                errors: Pair::default(),
                self_ns: Pair::default(),
            });
            *node.spans.get_mut(side) += 1;
            *node.errors.get_mut(side) += u64::from(span.status == Status::Error);
            *node.self_ns.get_mut(side) += work.self_ns(side, index as u32 + 1);
            let caller = trace.spans().get(span.parent as usize).filter(|_| span.parent != NO_PARENT);
            if let Some(caller) = caller.map(|caller| trace.store.service(caller)).filter(|&caller| caller != service) {
                let edge = edges.entry((caller, service)).or_insert_with(no_calls);
                *edge.calls.get_mut(side) += 1;
                *edge.errors.get_mut(side) += u64::from(span.status == Status::Error);
            }
        }
        let service_of = |index: u32| trace.spans().get(index as usize).map(|span| trace.store.service(span));
        for link in &trace.links {
            if let (Some(from), Some(to)) = (service_of(link.from), link.to.and_then(service_of))
                && from != to
            {
                *edges.entry((from, to)).or_insert_with(no_calls).links.get_mut(side) += 1;
            }
        }
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

const fn no_calls() -> ServiceEdge {
    ServiceEdge { calls: Pair::new(0, 0), links: Pair::new(0, 0), errors: Pair::new(0, 0) }
}
