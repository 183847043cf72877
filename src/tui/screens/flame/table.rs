//! Operations by what they take themselves, over all their places in the tree.

use super::frames::{Marks, calls, own_time};
use crate::diff::{Mark, NodeSide};
use crate::model::Pair;
use crate::tui::model::Model;

/// In which order operations stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By how much their self time changed.
    #[default]
    Change,
    /// By self time after.
    After,
    /// By self time before.
    Before,
    /// By how much their calls changed.
    Calls,
    /// By name.
    Name,
}

impl Sort {
    /// The next one of the key.
    #[must_use]
    pub const fn next(self) -> Sort {
        match self {
            Sort::Change => Sort::After,
            Sort::After => Sort::Before,
            Sort::Before => Sort::Calls,
            Sort::Calls => Sort::Name,
            Sort::Name => Sort::Change,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Change => "|Δ|",
            Sort::After => "B",
            Sort::Before => "A",
            Sort::Calls => "change of calls",
            Sort::Name => "name",
        }
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The node of it that changed most.
    pub node: u32,
    /// Nanoseconds by itself in one call of the entry point; `None` where it is absent.
    pub own_ns: Pair<Option<f64>>,
    /// Calls in one call of the entry point.
    pub calls: Pair<f64>,
    /// By how much that node's self time changed.
    most: f64,
    marks: Marks,
}

impl Entry {
    /// What to show in front of it.
    pub fn mark(&self) -> Mark {
        match self.own_ns {
            Pair { before: None, .. } => Mark::Added,
            Pair { after: None, .. } => Mark::Removed,
            Pair { before: Some(before), after: Some(after) } => self.marks.together(before, after),
        }
    }

    /// After minus before of its self time, nanoseconds.
    pub fn delta_ns(&self) -> f64 {
        self.own_ns.after.unwrap_or(0.0) - self.own_ns.before.unwrap_or(0.0)
    }
}

/// All operations with a node that `passes`.
pub fn entries(model: &Model, sort: Sort, passes: impl Fn(u32) -> bool) -> Vec<Entry> {
    let mut by_name: Vec<Option<Entry>> = vec![None; model.names.len()];
    for index in (0..model.len()).filter(|&node| passes(node)) {
        let Some(node) = model.node(index) else { continue };
        let Some(slot) = by_name.get_mut(model.place(index).name as usize) else { continue };
        let change = (own_time(node.sides.after) - own_time(node.sides.before)).abs();
        let none = Entry {
            node: index,
            own_ns: Pair::new(None, None),
            calls: Pair::new(0.0, 0.0),
            most: change,
            marks: Marks::new(node.mark),
        };
        let entry = slot.get_or_insert(none);
        entry.marks.add(node.mark);
        if change > entry.most {
            (entry.node, entry.most) = (index, change);
        }
        add(&mut entry.own_ns.before, &mut entry.calls.before, node.sides.before);
        add(&mut entry.own_ns.after, &mut entry.calls.after, node.sides.after);
    }
    let mut entries: Vec<Entry> = by_name.into_iter().flatten().collect();
    let largest = |of: fn(&Entry) -> f64| move |a: &Entry, b: &Entry| of(b).total_cmp(&of(a));
    match sort {
        Sort::Change => entries.sort_by(largest(|entry| entry.delta_ns().abs())),
        Sort::After => entries.sort_by(largest(|entry| entry.own_ns.after.unwrap_or(-1.0))),
        Sort::Before => entries.sort_by(largest(|entry| entry.own_ns.before.unwrap_or(-1.0))),
        Sort::Calls => entries.sort_by(largest(|entry| (entry.calls.after - entry.calls.before).abs())),
        Sort::Name => entries.sort_by_cached_key(|entry| {
            model.node(entry.node).map(|node| (node.operation.name.to_string(), node.operation.service.to_string()))
        }),
    }
    entries
}

fn add(own_ns: &mut Option<f64>, sum: &mut f64, side: Option<NodeSide>) {
    if let Some(there) = side {
        *own_ns = Some(own_ns.unwrap_or(0.0) + own_time(side));
        *sum += calls(&there);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Diff, Mark, NodeStats};
    use crate::report::rows::tests::node;

    fn model() -> Model {
        let tree = vec![
            node(0, "root", Mark::Worse, Some(3), Some(4)),
            node(1, "stock", Mark::Worse, Some(5), Some(6)),
            node(1, "stock", Mark::Added, None, Some(9)),
            node(1, "cache", Mark::Removed, Some(8), None),
            node(1, "mail", Mark::Equal, Some(20), Some(20)),
        ];
        Model::new(Diff { tree, ..Diff::default() })
    }

    fn shown(model: &Model, sort: Sort) -> Vec<String> {
        let name = |entry: &Entry| model.node(entry.node).unwrap().operation.name.to_string();
        entries(model, sort, |_| true).iter().map(name).collect()
    }

    #[test]
    fn an_operation_is_added_up_over_its_places() {
        let all = entries(&model(), Sort::Change, |_| true);
        let stock = all.first().unwrap();
        assert_eq!((stock.node, stock.own_ns, stock.calls), (2, Pair::new(Some(5e6), Some(15e6)), Pair::new(1.0, 2.0)));
        assert!((stock.delta_ns() - 10e6).abs() < 1.0);
        assert_eq!(
            all.iter().map(Entry::mark).collect::<Vec<_>>(),
            [Mark::Worse, Mark::Removed, Mark::Worse, Mark::Equal]
        );
        let cache = all.get(1).unwrap();
        assert_eq!((cache.own_ns, cache.calls), (Pair::new(Some(8e6), None), Pair::new(1.0, 0.0)));
        assert_eq!(entries(&model(), Sort::Change, |node| node == 4).len(), 1);
    }

    #[test]
    fn over_many_traces_calls_count() {
        let mut row = node(0, "root", Mark::Equal, Some(3), Some(4));
        for (side, calls_per_trace) in [(&mut row.sides.before, 2.0), (&mut row.sides.after, 0.5)] {
            side.as_mut().unwrap().many = Some(NodeStats { calls_per_trace, error_rate: 0.0, traces: 9, p95_ns: 1 });
        }
        let all = entries(&Model::new(Diff { tree: vec![row], ..Diff::default() }), Sort::Change, |_| true);
        assert_eq!(all.first().unwrap().own_ns, Pair::new(Some(6e6), Some(2e6)));
        assert_eq!(all.first().unwrap().calls, Pair::new(2.0, 0.5));
    }

    #[test]
    fn every_order_is_total() {
        let model = model();
        assert_eq!(shown(&model, Sort::Change), ["stock", "cache", "root", "mail"]);
        assert_eq!(shown(&model, Sort::After), ["mail", "stock", "root", "cache"]);
        assert_eq!(shown(&model, Sort::Before), ["mail", "cache", "stock", "root"]);
        assert_eq!(shown(&model, Sort::Calls), ["stock", "cache", "root", "mail"]);
        assert_eq!(shown(&model, Sort::Name), ["cache", "mail", "root", "stock"]);
        assert_eq!(Sort::Name.next(), Sort::Change);
    }
}
