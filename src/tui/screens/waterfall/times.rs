//! Where on the time axis the spans of a comparison stand.

use super::scale::Window;
use crate::diff::Mode;
use crate::model::{Pair, Side};
use crate::tui::model::Model;

/// Columns of the overview of a whole side.
const BINS: usize = 240;

/// What moments count from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// The start of each side's trace.
    #[default]
    Trace,
    /// The parent: the before side's spans stand where they would if their parents had started when the after side's did.
    Parent,
    /// Both sides begin and end together: shares of the whole.
    Ends,
}

impl Align {
    /// The next one of the key.
    #[must_use]
    pub const fn next(self) -> Align {
        match self {
            Align::Trace => Align::Parent,
            Align::Parent => Align::Ends,
            Align::Ends => Align::Trace,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Align::Trace => "trace start",
            Align::Parent => "parent start",
            Align::Ends => "equal ends",
        }
    }
}

/// When something ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its start on the axis, nanoseconds.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
}

impl Bar {
    /// From the start of the one that starts first to the end of the one that ends last.
    #[must_use]
    pub fn hull(self, other: Bar) -> Bar {
        Bar { from_ns: self.from_ns.min(other.from_ns), to_ns: self.to_ns.max(other.to_ns) }
    }
}

/// Everything on one axis.
#[derive(Clone, Debug)]
pub struct Times {
    bars: Vec<Pair<Option<Bar>>>,
    /// From the first start to the last end.
    pub whole: Window,
    /// How many spans run at once, for equal parts of the whole.
    pub load: Pair<Vec<u32>>,
}

impl Times {
    /// Puts every span of a comparison on the axis.
    pub fn new(model: &Model, align: Align) -> Times {
        let mut bars = measured(model);
        match align {
            Align::Trace => {}
            // Without start times everything begins with its parent already.
            Align::Parent if model.diff.mode == Mode::Population => {}
            Align::Parent => from_parents(model, &mut bars),
            Align::Ends => stretched(&mut bars),
        }
        let all = bars.iter().flat_map(|pair| [pair.before, pair.after]).flatten().reduce(Bar::hull);
        let whole = all.map_or(Window { from_ns: 0, span_ns: 1 }, |all| Window::between(all.from_ns, all.to_ns));
        let load = Pair::new(load(&bars, Side::Before, whole), load(&bars, Side::After, whole));
        Times { bars, whole, load }
    }

    /// When a node ran on a side.
    pub fn bar(&self, node: u32, side: Side) -> Option<Bar> {
        self.bars.get(node as usize).and_then(|pair| *pair.get(side))
    }

    /// When nodes ran, both sides together.
    pub fn hull(&self, nodes: std::ops::Range<u32>) -> Option<Bar> {
        let part = self.bars.get(nodes.start as usize..nodes.end as usize)?;
        part.iter().flat_map(|pair| [pair.before, pair.after]).flatten().reduce(Bar::hull)
    }
}

fn measured(model: &Model) -> Vec<Pair<Option<Bar>>> {
    let bar = |side: crate::diff::NodeSide| Bar {
        from_ns: side.start_ns,
        to_ns: side.start_ns.saturating_add_unsigned(side.duration_ns),
    };
    model.diff.tree.iter().map(|node| node.sides.map(|side| side.map(bar))).collect()
}

/// Moves what stands below a node by as much as the node's own start was moved.
fn from_parents(model: &Model, bars: &mut [Pair<Option<Bar>>]) {
    // How far children of a node on the before side are moved: to where the after side's parent starts.
    let mut moved: Vec<i64> = Vec::with_capacity(bars.len());
    for (node, pair) in bars.iter_mut().enumerate() {
        let own = model.parent(node as u32).and_then(|parent| moved.get(parent as usize).copied()).unwrap_or(0);
        let below = match (pair.before, pair.after) {
            (Some(before), Some(after)) => after.from_ns.saturating_sub(before.from_ns),
            _ => own,
        };
        moved.push(below);
        if let Some(before) = &mut pair.before {
            before.from_ns = before.from_ns.saturating_add(own);
            before.to_ns = before.to_ns.saturating_add(own);
        }
    }
}

/// Stretches the shorter side until both are equally long.
fn stretched(bars: &mut [Pair<Option<Bar>>]) {
    let hull = |side: Side| bars.iter().filter_map(|pair| *pair.get(side)).reduce(Bar::hull);
    let (Some(before), Some(after)) = (hull(Side::Before), hull(Side::After)) else { return };
    let length = |bar: Bar| bar.to_ns.saturating_sub(bar.from_ns).max(1);
    let longest = length(before).max(length(after));
    for (side, all) in [(Side::Before, before), (Side::After, after)] {
        let factor = longest as f64 / length(all) as f64;
        let stretch = |ns: i64| (ns.saturating_sub(all.from_ns) as f64 * factor).round() as i64;
        for bar in bars.iter_mut().filter_map(|pair| pair.get_mut(side).as_mut()) {
            *bar = Bar { from_ns: stretch(bar.from_ns), to_ns: stretch(bar.to_ns) };
        }
    }
}

/// How many bars of a side cover each part of the whole.
fn load(bars: &[Pair<Option<Bar>>], side: Side, whole: Window) -> Vec<u32> {
    let mut changes = [0i64; BINS + 1];
    for bar in bars.iter().filter_map(|pair| *pair.get(side)) {
        let (first, end) = whole.columns(bar.from_ns, bar.to_ns, BINS);
        for (column, by) in [(first, 1), (end, -1)] {
            if let Some(change) = changes.get_mut(column.clamp(0, BINS as isize) as usize) {
                *change += by;
            }
        }
    }
    let mut running = 0i64;
    let mut load: Vec<u32> = Vec::with_capacity(BINS);
    for change in changes.into_iter().take(BINS) {
        running += change;
        load.push(running.max(0) as u32);
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Diff, Mark, TreeNode};
    use crate::report::rows::tests::node;

    /// A span from one millisecond to another on each side.
    fn span(depth: u32, before: Option<(u64, u64)>, after: Option<(u64, u64)>) -> TreeNode {
        let length = |side: Option<(u64, u64)>| side.map(|(from, to)| to - from);
        let mut node = node(depth, "x", Mark::Equal, length(before), length(after));
        for (side, times) in [(Side::Before, before), (Side::After, after)] {
            if let (Some(side), Some((from, _))) = (node.sides.get_mut(side), times) {
                side.start_ns = from as i64 * 1_000_000;
            }
        }
        node
    }

    fn model(tree: Vec<TreeNode>) -> Model {
        Model::new(Diff { tree, ..Diff::default() })
    }

    fn ms(times: &Times, node: u32, side: Side) -> Option<(i64, i64)> {
        times.bar(node, side).map(|bar| (bar.from_ns / 1_000_000, bar.to_ns / 1_000_000))
    }

    #[test]
    fn spans_stand_where_they_ran() {
        let model = model(vec![
            span(0, Some((0, 10)), Some((0, 20))),
            span(1, Some((2, 5)), Some((12, 25))),
            span(1, Some((6, 8)), None),
        ]);
        let times = Times::new(&model, Align::Trace);
        assert_eq!(times.whole, Window { from_ns: 0, span_ns: 25_000_000 }, "a child that outlasts its parent");
        assert_eq!(ms(&times, 1, Side::After), Some((12, 25)));
        assert_eq!(ms(&times, 2, Side::After), None);
        assert_eq!(times.hull(1..3), Some(Bar { from_ns: 2_000_000, to_ns: 25_000_000 }));
        assert_eq!(times.hull(3..3), None);
        assert_eq!(times.hull(2..9), None);
    }

    #[test]
    fn from_the_parents_start_a_child_moves_with_its_parent() {
        let model = model(vec![
            span(0, Some((0, 10)), Some((0, 20))),
            span(1, Some((2, 8)), Some((12, 20))),
            span(2, Some((3, 4)), Some((15, 16))),
            span(2, Some((5, 6)), None),
            span(3, Some((5, 6)), None),
        ]);
        let times = Times::new(&model, Align::Parent);
        let before: Vec<_> = (0..5).map(|node| ms(&times, node, Side::Before)).collect();
        let expected = [Some((0, 10)), Some((2, 8)), Some((13, 14)), Some((15, 16)), Some((15, 16))];
        assert_eq!(before, expected);
        assert_eq!(ms(&times, 2, Side::After), Some((15, 16)), "the after side stays");
    }

    #[test]
    fn equal_ends_stretch_the_shorter_side() {
        let model = model(vec![span(0, Some((0, 10)), Some((0, 40))), span(1, Some((5, 10)), Some((10, 20)))]);
        let times = Times::new(&model, Align::Ends);
        assert_eq!(ms(&times, 0, Side::Before), Some((0, 40)));
        assert_eq!(ms(&times, 1, Side::Before), Some((20, 40)));
        assert_eq!(ms(&times, 1, Side::After), Some((10, 20)));
    }

    #[test]
    fn the_overview_counts_what_runs_at_once() {
        let model = model(vec![span(0, None, Some((0, 24))), span(1, None, Some((0, 12)))]);
        let times = Times::new(&model, Align::Trace);
        assert!(times.load.before.iter().all(|&load| load == 0));
        assert_eq!((times.load.after.first(), times.load.after.get(119)), (Some(&2), Some(&2)));
        assert_eq!((times.load.after.get(120), times.load.after.last()), (Some(&1), Some(&1)));
        assert_eq!(times.load.after.len(), BINS);
        let none = Times::new(&super::tests::model(Vec::new()), Align::Trace);
        assert_eq!(none.whole.span_ns, 1);
    }
}
