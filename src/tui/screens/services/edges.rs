//! Calls between services with the time they take: the service graph and the merged tree in one table.

use crate::diff::{Mark, Mode, TreeNode};
use crate::model::{Pair, Side, units};
use crate::report::page::by_sign;
use crate::tui::model::Model;
use petgraph::visit::EdgeRef;
use std::collections::HashMap;

/// Share of failed calls that is an edge's new state rather than a rare accident.
const NEW_ERRORS: f64 = 0.01;

/// In which order edges stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By how much the time changed.
    #[default]
    Change,
    /// By how much the number of calls changed, then by calls.
    Calls,
    /// By name of caller and callee.
    Name,
}

impl Sort {
    /// The next one.
    pub const fn next(self) -> Sort {
        match self {
            Sort::Change => Sort::Calls,
            Sort::Calls => Sort::Name,
            Sort::Name => Sort::Change,
        }
    }

    /// The word on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Change => "|Δ|",
            Sort::Calls => "change of calls",
            Sort::Name => "name",
        }
    }
}

/// Calls and links from one service to another; everything for one trace of its side (the mean over many).
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// Calls in one trace.
    pub calls: Pair<f64>,
    /// Span links in one trace.
    pub links: Pair<f64>,
    /// Share of the calls that failed; `None` without calls.
    pub errors: Pair<Option<f64>>,
    /// Time of the called spans in one trace, nanoseconds.
    pub time_ns: Pair<f64>,
    /// What happened.
    pub mark: Mark,
    /// The change is only that of what stands below.
    pub inherited: bool,
    /// The node of this edge that changed most.
    pub node: Option<u32>,
}

impl Edge {
    /// After minus before of the time in one trace, nanoseconds.
    pub fn delta_ns(&self) -> i64 {
        (self.time_ns.after - self.time_ns.before).round() as i64
    }

    /// Whether there is anything to see.
    pub fn is_change(&self) -> bool {
        self.mark != Mark::Equal
    }

    /// Calls, or links where there are no calls: `×2→×13`.
    pub fn calls_words(&self) -> String {
        if self.calls == Pair::new(0.0, 0.0) {
            return format!("link {}", units::calls(self.links.before, self.links.after));
        }
        units::calls(self.calls.before, self.calls.after)
    }
}

/// What the nodes of one edge come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    time_ns: Pair<f64>,
    /// The largest change so far, whether it is one of the node itself, and the node.
    most: Option<(bool, u64, u32)>,
    /// Whether any of them is not equal, be it for what stands below.
    differs: bool,
    failing: bool,
    recovered: bool,
}

/// Requests on each side, by which sums are divided.
fn requests(model: &Model) -> Pair<f64> {
    if model.diff.mode == Mode::Pair {
        return Pair::new(1.0, 1.0);
    }
    let side = |side: Side| {
        let roots = model.diff.tree.iter().filter(|node| node.depth == 0);
        let spans: u64 = roots.filter_map(|node| *node.sides.get(side)).map(|side| side.spans).sum();
        spans.max(1) as f64
    };
    Pair::new(side(Side::Before), side(Side::After))
}

/// All edges, sorted by name.
pub fn all(model: &Model) -> Vec<Edge> {
    let graph = &model.diff.services;
    let mut numbers: HashMap<(&str, &str), usize, foldhash::fast::RandomState> = HashMap::default();
    for (number, edge) in graph.edge_references().enumerate() {
        if let (Some(caller), Some(callee)) = (graph.node_weight(edge.source()), graph.node_weight(edge.target())) {
            numbers.insert((caller.service.as_str(), callee.service.as_str()), number);
        }
    }
    let mut sums = vec![Sums::default(); graph.edge_count()];
    for (index, node) in model.diff.tree.iter().enumerate() {
        let Some(parent) = model.parent(index as u32).and_then(|parent| model.node(parent)) else { continue };
        if node.operation.service == parent.operation.service && node.from.is_none() {
            continue;
        }
        let number = numbers.get(&(&*parent.operation.service, &*node.operation.service));
        if let Some(sums) = number.and_then(|&number| sums.get_mut(number)) {
            sums.add(index as u32, node);
        }
    }
    let requests = requests(model);
    let edges = graph.edge_references().zip(sums);
    edges
        .filter_map(|(edge, sums)| {
            let caller = graph.node_weight(edge.source())?.service.clone();
            let callee = graph.node_weight(edge.target())?.service.clone();
            let weight = edge.weight();
            let each =
                |pair: Pair<u64>| Pair::new(pair.before as f64 / requests.before, pair.after as f64 / requests.after);
            let rate = |side: Side| {
                let (calls, errors) = (*weight.calls.get(side), *weight.errors.get(side));
                (calls > 0).then(|| errors as f64 / calls as f64)
            };
            let time_ns = Pair::new(sums.time_ns.before / requests.before, sums.time_ns.after / requests.after);
            let mut edge = Edge {
                caller,
                callee,
                calls: each(weight.calls),
                links: each(weight.links),
                errors: Pair::new(rate(Side::Before), rate(Side::After)),
                time_ns,
                mark: Mark::Equal,
                inherited: false,
                node: sums.most.map(|most| most.2),
            };
            (edge.mark, edge.inherited) = sums.mark(&edge);
            Some(edge)
        })
        .collect()
}

impl Sums {
    fn add(&mut self, index: u32, node: &TreeNode) {
        let total =
            |side: Side| node.sides.get(side).as_ref().map_or(0.0, |side| side.duration_ns as f64 * side.spans as f64);
        let (before, after) = (total(Side::Before), total(Side::After));
        self.time_ns.before += before;
        self.time_ns.after += after;
        self.differs |= node.mark != Mark::Equal;
        self.failing |= node.mark == Mark::Failing;
        self.recovered |= node.mark == Mark::Recovered;
        let own = node.mark != Mark::Equal && !node.inherited;
        let candidate = (own, (after - before).abs() as u64, index);
        // Of equals the first one stays.
        if self.most.is_none_or(|most| (most.0, most.1) < (candidate.0, candidate.1)) {
            self.most = Some(candidate);
        }
    }

    /// What happened to the edge, and whether that happened below it.
    fn mark(&self, edge: &Edge) -> (Mark, bool) {
        let uses = |side: Side| edge.calls.get(side) + edge.links.get(side);
        let (before, after) = (edge.errors.before.unwrap_or(0.0), edge.errors.after.unwrap_or(0.0));
        let is_new_error = after >= NEW_ERRORS && after >= 10.0 * before;
        if uses(Side::Before) <= 0.0 {
            return (Mark::Added, false);
        }
        if uses(Side::After) <= 0.0 {
            return (Mark::Removed, false);
        }
        if self.failing || is_new_error {
            return (Mark::Failing, false);
        }
        let moved = units::mean_count(edge.calls.before) != units::mean_count(edge.calls.after)
            || units::mean_count(edge.links.before) != units::mean_count(edge.links.after);
        let own = moved || self.most.is_some_and(|most| most.0);
        match by_sign(edge.delta_ns()) {
            _ if !own && !self.differs => (Mark::Equal, false),
            _ if own && self.recovered => (Mark::Recovered, false),
            Mark::Equal => (Mark::Changed, !own),
            mark => (mark, !own),
        }
    }
}

/// Puts edges in order: those that changed first, then by what was asked for.
pub fn order(edges: &mut [Edge], sort: Sort) {
    let name = |a: &Edge, b: &Edge| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee));
    let calls = |edge: &Edge| (edge.calls.after - edge.calls.before).abs();
    edges.sort_by(|a, b| {
        let by = match sort {
            Sort::Change => b.delta_ns().unsigned_abs().cmp(&a.delta_ns().unsigned_abs()),
            Sort::Calls => calls(b).total_cmp(&calls(a)).then_with(|| b.calls.after.total_cmp(&a.calls.after)),
            Sort::Name => std::cmp::Ordering::Equal,
        };
        b.is_change().cmp(&a.is_change()).then(by).then_with(|| name(a, b))
    });
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::diff::DiffOptions;
    use crate::model::fixture;

    /// Two traces compared, as screens see them.
    pub fn model(before: &str, after: &str) -> Model {
        let traces = fixture::pair(before, after);
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        Model::new(crate::diff::pair::compare(&traces, Pair::default(), &options))
    }

    const BEFORE: &str = "gate GET /a 100ms [server]\n  cart Load 40ms\n    db SELECT 30ms\n  mail Send 10ms";
    const AFTER: &str =
        "gate GET /a 200ms [server]\n  cart Load 140ms\n    db SELECT ×5 26ms\n  mail Send 10ms\n  risk Check 30ms";

    #[test]
    fn times_are_summed_over_the_called_spans() {
        let edges = all(&model(BEFORE, AFTER));
        let shown: Vec<_> = edges
            .iter()
            .map(|edge| {
                let ms = |ns: f64| (ns / 1e6) as u64;
                let times = (ms(edge.time_ns.before), ms(edge.time_ns.after));
                (edge.caller.as_str(), edge.callee.as_str(), edge.calls_words(), times, edge.mark.glyph())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("cart", "db", "×1→×5".to_owned(), (30, 130), "▲"),
                ("gate", "cart", "×1".to_owned(), (40, 140), "▲"),
                ("gate", "mail", "×1".to_owned(), (10, 10), "="),
                ("gate", "risk", "×0→×1".to_owned(), (0, 30), "+"),
            ]
        );
        assert!(edges.iter().all(|edge| edge.node.is_some()));
    }

    #[test]
    fn a_change_of_those_below_is_told_from_an_own_one() {
        let edges = all(&model(BEFORE, AFTER));
        let below: Vec<_> = edges.iter().map(|edge| (edge.callee.as_str(), edge.inherited)).collect();
        assert_eq!(below, [("db", false), ("cart", true), ("mail", false), ("risk", false)]);
    }

    #[test]
    fn new_errors_go_before_times() {
        let edges = all(&model("a GET 9ms\n  b call 5ms", "a GET 9ms\n  b call 5ms !error"));
        assert!(edges.iter().all(|edge| edge.mark == Mark::Failing && edge.errors == Pair::new(Some(0.0), Some(1.0))));
    }

    #[test]
    fn orders_put_changes_first() {
        let mut edges = all(&model(BEFORE, AFTER));
        let mut names = |sort: Sort| -> Vec<String> {
            order(&mut edges, sort);
            edges.iter().map(|edge| format!("{}>{}", edge.caller, edge.callee)).collect()
        };
        // Both db and cart take 100 ms more: names decide.
        assert_eq!(names(Sort::Change), ["cart>db", "gate>cart", "gate>risk", "gate>mail"]);
        assert_eq!(names(Sort::Calls), ["cart>db", "gate>risk", "gate>cart", "gate>mail"]);
        assert_eq!(names(Sort::Name), ["cart>db", "gate>cart", "gate>risk", "gate>mail"]);
    }
}
