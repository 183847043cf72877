//! Which frames an icicle has: how wide, in which row and column, and which stand beside each other.

use crate::diff::{Mark, NodeSide};
use crate::tui::model::Model;
use std::collections::HashMap;

/// A frame narrower than this many columns is drawn with its neighbours as one.
const NARROW: f64 = 0.5;

/// What makes a frame wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// Its time after.
    #[default]
    After,
    /// Its time before.
    Before,
    /// The longer of both, so that everything is seen.
    Union,
    /// How much it changed.
    Change,
}

impl Width {
    /// The next one of the key.
    #[must_use]
    pub const fn next(self) -> Width {
        match self {
            Width::After => Width::Before,
            Width::Before => Width::Union,
            Width::Union => Width::Change,
            Width::Change => Width::After,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Width::After => "after (B)",
            Width::Before => "before (A)",
            Width::Union => "the longer of A and B",
            Width::Change => "|Δ|",
        }
    }
}

/// Nanoseconds in one call of the entry point: duration times calls.
pub fn time(side: Option<NodeSide>) -> f64 {
    side.map_or(0.0, |side| side.duration_ns as f64 * calls(&side))
}

/// Nanoseconds by itself in one call of the entry point.
pub fn own_time(side: Option<NodeSide>) -> f64 {
    side.map_or(0.0, |side| side.self_ns as f64 * calls(&side))
}

/// Calls in one call of the entry point.
pub fn calls(side: &NodeSide) -> f64 {
    side.many.map_or(side.spans as f64, |many| many.calls_per_trace).clamp(0.0, 1e12)
}

/// For each node how wide it wants to be. `only_gone`: only what the after side lacks, and the way to it.
pub fn weights(model: &Model, width: Width, only_gone: bool) -> Vec<f64> {
    let tree = &model.diff.tree;
    if only_gone {
        let mut weights = vec![0.0; tree.len()];
        for (index, node) in tree.iter().enumerate().rev() {
            let below = weights.get(index).copied().unwrap_or(0.0);
            let own = if node.sides.after.is_none() { time(node.sides.before) } else { below };
            if let Some(weight) = weights.get_mut(index) {
                *weight = own;
            }
            if let Some(weight) = model.parent(index as u32).and_then(|parent| weights.get_mut(parent as usize)) {
                *weight += own;
            }
        }
        return weights;
    }
    let weight = |before: f64, after: f64| match width {
        Width::After => after,
        Width::Before => before,
        Width::Union => before.max(after),
        Width::Change => (after - before).abs(),
    };
    tree.iter().map(|node| weight(time(node.sides.before), time(node.sides.after))).collect()
}

/// One frame on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its node, or the first of several that are too narrow to stand alone.
    pub node: u32,
    /// How many siblings it stands for.
    pub count: u32,
    /// Whether all of them are one operation.
    pub alike: bool,
    /// What to show in front.
    pub mark: Mark,
    /// Row, 0 at the top.
    pub row: u32,
    /// First column.
    pub from: usize,
    /// Behind the last column.
    pub to: usize,
}

/// All frames of a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Icicle {
    /// By row and column.
    pub frames: Vec<Frame>,
    /// Frames whose children take more time than they do: parallel or later ones, drawn narrower to fit.
    pub scaled: u64,
}

/// Children that wait for their places: siblings `first..end` under a parent.
struct Waiting {
    first: u32,
    end: u32,
    row: u32,
    from: f64,
    width: f64,
    /// What the parent weighs.
    weight: f64,
    to: usize,
}

impl Icicle {
    /// Lays out a node and what is below it, or all entry points, in so many columns and rows.
    pub fn new(model: &Model, weights: &[f64], root: Option<u32>, (columns, rows): (usize, u32)) -> Icicle {
        let (first, end) = root.map_or((0, model.len()), |root| (root, model.place(root).end));
        let mut icicle = Icicle::default();
        let all = Waiting { first, end, row: 0, from: 0.0, width: columns as f64, weight: 0.0, to: columns };
        let mut open = vec![all];
        while let Some(waiting) = open.pop() {
            if waiting.row < rows {
                icicle.siblings(model, weights, &waiting, &mut open);
            }
        }
        icicle.frames.sort_by_key(|frame| (frame.row, frame.from));
        icicle
    }

    fn siblings(&mut self, model: &Model, weights: &[f64], waiting: &Waiting, open: &mut Vec<Waiting>) {
        let weight = |node: u32| weights.get(node as usize).copied().unwrap_or(0.0);
        let next = |node: u32| model.place(node).end.max(node + 1);
        let (mut sum, mut node) = (0.0, waiting.first);
        while node < waiting.end {
            sum += weight(node);
            node = next(node);
        }
        let room = waiting.weight.max(sum);
        if room <= 0.0 || !room.is_finite() {
            return;
        }
        // Rounding alone is no reason to speak of frames that do not fit.
        self.scaled += u64::from(waiting.weight > 0.0 && sum > waiting.weight * 1.01);
        let scale = waiting.width / room;
        let (mut x, mut node) = (waiting.from, waiting.first);
        let mut run: Option<(Frame, f64)> = None;
        while node < waiting.end {
            let width = weight(node) * scale;
            if width >= NARROW {
                self.close(run.take(), x, waiting.to);
                let frame = self.close(Some((frame(model, node, waiting.row), x)), x + width, waiting.to);
                if let Some(to) = frame {
                    let (first, end) = (node + 1, model.place(node).end);
                    let row = waiting.row + 1;
                    open.push(Waiting { first, end, row, from: x, width, weight: weight(node), to });
                }
            } else if width > 0.0 {
                let (run, _) = run.get_or_insert_with(|| (Frame { count: 0, ..frame(model, node, waiting.row) }, x));
                run.count += 1;
                run.alike &= model.place(node).name == model.place(run.node).name;
                if run.mark == Mark::Equal {
                    run.mark = model.node(node).map_or(Mark::Equal, |node| node.mark);
                }
            }
            x += width;
            node = next(node);
        }
        self.close(run, x, waiting.to);
    }

    /// Adds a frame that began at a place, if it has a column; the column behind it.
    fn close(&mut self, begun: Option<(Frame, f64)>, end: f64, most: usize) -> Option<usize> {
        let (frame, start) = begun?;
        let (from, to) = (start.round() as usize, (end.round() as usize).min(most));
        if to <= from {
            return None;
        }
        self.frames.push(Frame { from, to, ..frame });
        Some(to)
    }

    /// The frame that shows a node, or the nearest one above it.
    pub fn find(&self, model: &Model, node: u32) -> Option<usize> {
        let mut alone: HashMap<u32, usize, foldhash::fast::RandomState> = HashMap::default();
        let mut shared: HashMap<Option<u32>, Vec<usize>, foldhash::fast::RandomState> = HashMap::default();
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.count == 1 {
                alone.insert(frame.node, index);
            } else {
                shared.entry(model.parent(frame.node)).or_default().push(index);
            }
        }
        let mut at = Some(node);
        while let Some(node) = at {
            let parent = model.parent(node);
            let shows = |index: &&usize| self.frames.get(**index).is_some_and(|frame| stands_for(model, frame, node));
            let found = alone.get(&node).or_else(|| shared.get(&parent)?.iter().find(shows));
            if found.is_some() {
                return found.copied();
            }
            at = parent;
        }
        None
    }

    /// The frame beside another one: parent, first child, or the next one in its row.
    pub fn neighbour(&self, from: usize, direction: Direction) -> Option<usize> {
        let here = self.frames.get(from)?;
        let found = match direction {
            Direction::Up => self
                .frames
                .iter()
                .position(|frame| frame.row + 1 == here.row && frame.from <= here.from && frame.to >= here.to)?,
            Direction::Down => self
                .frames
                .iter()
                .position(|frame| frame.row == here.row + 1 && frame.from >= here.from && frame.to <= here.to)?,
            Direction::Left => from.checked_sub(1)?,
            Direction::Right => from + 1,
        };
        let sideways = matches!(direction, Direction::Left | Direction::Right);
        self.frames.get(found).filter(|frame| !sideways || frame.row == here.row).map(|_| found)
    }
}

/// Where a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The caller.
    Up,
    /// The first one that it calls.
    Down,
    /// The one before it in the row.
    Left,
    /// The one behind it in the row.
    Right,
}

/// Whether a frame of several siblings stands for this one.
fn stands_for(model: &Model, frame: &Frame, node: u32) -> bool {
    let (mut at, mut count) = (frame.node, frame.count);
    while at < node && count > 0 {
        at = model.place(at).end.max(at + 1);
        count -= 1;
    }
    at == node && count > 0
}

fn frame(model: &Model, node: u32, row: u32) -> Frame {
    let mark = model.node(node).map_or(Mark::Equal, |node| node.mark);
    Frame { node, count: 1, alike: true, mark, row, from: 0, to: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Diff, TreeNode};
    use crate::report::rows::tests::node;

    fn model(tree: Vec<TreeNode>) -> Model {
        Model::new(Diff { tree, ..Diff::default() })
    }

    fn shop() -> Model {
        model(vec![
            node(0, "root", Mark::Worse, Some(80), Some(100)),
            node(1, "a", Mark::Equal, Some(20), Some(20)),
            node(2, "a1", Mark::Equal, Some(10), Some(10)),
            node(1, "gone", Mark::Removed, Some(30), None),
            node(2, "gone1", Mark::Removed, Some(10), None),
            node(1, "b", Mark::Worse, Some(30), Some(50)),
            node(2, "b1", Mark::Added, None, Some(20)),
            node(2, "b2", Mark::Equal, Some(10), Some(10)),
        ])
    }

    fn picture(model: &Model, icicle: &Icicle) -> Vec<String> {
        let name = |frame: &Frame| model.node(frame.node).map(|node| node.operation.name.to_string()).unwrap();
        let shown =
            |frame: &Frame| format!("{}:{}-{} {}x{}", frame.row, frame.from, frame.to, name(frame), frame.count);
        icicle.frames.iter().map(shown).collect()
    }

    #[test]
    fn widths_are_shares_of_the_parent_in_the_order_of_the_tree() {
        let model = shop();
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (50, 99));
        let expected = ["0:0-50 rootx1", "1:0-10 ax1", "1:10-35 bx1", "2:0-5 a1x1", "2:10-20 b1x1", "2:20-25 b2x1"];
        assert_eq!(picture(&model, &icicle), expected);
        assert_eq!(icicle.scaled, 0);
        let before = Icicle::new(&model, &weights(&model, Width::Before, false), None, (80, 99));
        let expected = [
            "0:0-80 rootx1",
            "1:0-20 ax1",
            "1:20-50 gonex1",
            "1:50-80 bx1",
            "2:0-10 a1x1",
            "2:20-30 gone1x1",
            "2:50-60 b2x1",
        ];
        assert_eq!(picture(&model, &before), expected);
    }

    #[test]
    fn only_what_is_gone_fills_the_width() {
        let model = shop();
        let icicle = Icicle::new(&model, &weights(&model, Width::After, true), None, (60, 99));
        assert_eq!(picture(&model, &icicle), ["0:0-60 rootx1", "1:0-60 gonex1", "2:0-20 gone1x1"]);
        let change = weights(&model, Width::Change, false);
        assert_eq!(change.iter().map(|ns| ns / 1e6).collect::<Vec<_>>(), [20.0, 0.0, 0.0, 30.0, 10.0, 20.0, 20.0, 0.0]);
        assert_eq!(weights(&model, Width::Union, false).get(3), Some(&30e6));
    }

    #[test]
    fn rows_that_nobody_sees_are_not_laid_out() {
        let model = shop();
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (50, 2));
        assert!(icicle.frames.iter().all(|frame| frame.row < 2));
        assert_eq!(icicle.find(&model, 6), icicle.find(&model, 5));
    }

    #[test]
    fn zoomed_the_frame_takes_all_columns() {
        let model = shop();
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), Some(5), (50, 99));
        assert_eq!(picture(&model, &icicle), ["0:0-50 bx1", "1:0-20 b1x1", "1:20-30 b2x1"]);
        assert_eq!(Icicle::new(&model, &[], None, (50, 99)), Icicle::default());
        assert_eq!(Icicle::new(&model, &weights(&model, Width::After, false), None, (0, 99)), Icicle::default());
    }

    #[test]
    fn children_that_take_longer_than_their_parent_are_made_to_fit() {
        let model = model(vec![
            node(0, "root", Mark::Equal, None, Some(10)),
            node(1, "a", Mark::Equal, None, Some(10)),
            node(1, "b", Mark::Equal, None, Some(30)),
        ]);
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (40, 99));
        assert_eq!(picture(&model, &icicle), ["0:0-40 rootx1", "1:0-10 ax1", "1:10-40 bx1"]);
        assert_eq!(icicle.scaled, 1);
    }

    #[test]
    fn narrow_siblings_share_a_frame() {
        let mut tree = vec![node(0, "root", Mark::Equal, None, Some(1_000))];
        tree.extend((0..300).map(|_| node(1, "call", Mark::Equal, None, Some(2))));
        tree.push(node(1, "wide", Mark::Equal, None, Some(400)));
        let model = model(tree);
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (100, 99));
        assert_eq!(picture(&model, &icicle), ["0:0-100 rootx1", "1:0-60 callx300", "1:60-100 widex1"]);
        assert!(icicle.frames.iter().all(|frame| frame.alike));
        assert_eq!(icicle.find(&model, 200), Some(1));
        assert_eq!(icicle.find(&model, 301), Some(2));
    }

    /// Frames of random trees, against what must hold for every one of them.
    #[test]
    fn children_never_leave_their_parents_columns() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for round in 0..60 {
            let mut tree = vec![node(0, "r", Mark::Equal, None, Some(50 + random(50)))];
            for _ in 0..round * 3 {
                let depth = tree.last().map_or(0, |last| last.depth) as u64;
                tree.push(node(1 + random(depth + 1) as u32, "n", Mark::Equal, None, Some(random(60))));
            }
            let model = model(tree);
            let columns = 1 + random(150) as usize;
            let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (columns, 999));
            for (index, frame) in icicle.frames.iter().enumerate() {
                assert!(frame.from < frame.to && frame.to <= columns);
                let next = icicle.frames.get(index + 1).filter(|next| next.row == frame.row);
                assert!(next.is_none_or(|next| next.from >= frame.to && next.node > frame.node), "order is kept");
                let Some(up) = icicle.neighbour(index, Direction::Up) else {
                    assert_eq!(frame.row, 0, "every other frame stands under one");
                    continue;
                };
                assert_eq!(model.parent(frame.node), icicle.frames.get(up).map(|up| up.node));
            }
        }
    }

    #[test]
    fn neighbours_are_parent_first_child_and_the_next_in_the_row() {
        let model = shop();
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (50, 99));
        let go = |from: u32, direction| {
            let from = icicle.find(&model, from).unwrap();
            icicle.neighbour(from, direction).and_then(|to| icicle.frames.get(to)).map(|frame| frame.node)
        };
        assert_eq!(go(0, Direction::Down), Some(1));
        assert_eq!(go(0, Direction::Up), None);
        assert_eq!(go(5, Direction::Down), Some(6));
        assert_eq!(go(5, Direction::Up), Some(0));
        assert_eq!((go(1, Direction::Right), go(5, Direction::Left)), (Some(5), Some(1)));
        assert_eq!((go(1, Direction::Left), go(5, Direction::Right)), (None, None));
        assert_eq!(go(2, Direction::Right), Some(6), "also to the child of another parent");
        assert_eq!(go(7, Direction::Down), None);
        assert_eq!(icicle.find(&model, 4), Some(0), "what is not drawn is shown by what is above it");
    }
}
