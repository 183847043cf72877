//! Which frames an icicle has: how wide, in which row and column, and which stand beside each other.

use crate::diff::{Mark, NodeSide};
use crate::model::Pair;
use crate::tui::model::Model;
use std::collections::HashMap;

/// A frame narrower than this many columns is drawn with its neighbours as one.
const NARROW: f64 = 0.5;
/// Neighbours of one operation that are narrower than this are drawn as one: with children, and without.
const SMALL: f64 = 5.0;
const SMALL_LEAF: f64 = 12.0;

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

/// The marks of several nodes as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    first: Mark,
    mixed: bool,
    failing: bool,
}

impl Marks {
    /// The mark of one node.
    pub fn new(mark: Mark) -> Marks {
        Marks { first: mark, mixed: false, failing: mark == Mark::Failing }
    }

    /// One more node.
    pub fn add(&mut self, mark: Mark) {
        self.mixed |= mark != self.first;
        self.failing |= mark == Mark::Failing;
    }

    /// What stands for all of them, whose times together were `before` and are `after`.
    pub fn together(self, before: f64, after: f64) -> Mark {
        match self {
            Marks { failing: true, .. } => Mark::Failing,
            Marks { mixed: false, first, .. } => first,
            // Less than a hundredth is no direction.
            _ if (after - before).abs() * 100.0 < before.max(after) => Mark::Changed,
            _ if after > before => Mark::Worse,
            _ => Mark::Better,
        }
    }
}

/// One frame on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Its node, or the first of several that are too narrow to stand alone.
    pub node: u32,
    /// How many siblings it stands for.
    pub count: u32,
    /// Whether all of them are one operation.
    pub alike: bool,
    /// Their marks.
    pub marks: Marks,
    /// Their time before and after together, nanoseconds in one call of the entry point.
    pub time_ns: Pair<f64>,
    /// After minus before of what they take themselves, nanoseconds.
    pub own_delta_ns: f64,
    /// Row, 0 at the top.
    pub row: u32,
    /// First column.
    pub from: usize,
    /// Behind the last column.
    pub to: usize,
}

/// All frames of a screen.
#[derive(Clone, Debug, Default, PartialEq)]
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

/// How much room a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// For a name.
    Wide,
    /// For a mark: neighbours of the same operation go with it.
    Small,
    /// For nothing: all such neighbours go together.
    Narrow,
}

impl Fit {
    fn of(width: f64, leaf: bool) -> Fit {
        match width {
            width if width < NARROW => Fit::Narrow,
            width if width < if leaf { SMALL_LEAF } else { SMALL } => Fit::Small,
            _ => Fit::Wide,
        }
    }
}

/// Siblings that become one frame.
struct Run {
    frame: Frame,
    fit: Fit,
    from: f64,
    width: f64,
}

impl Run {
    fn takes(&self, model: &Model, node: u32, fit: Fit) -> bool {
        match (self.fit, fit) {
            (Fit::Wide, _) | (_, Fit::Wide) => false,
            (Fit::Narrow, Fit::Narrow) => true,
            _ => self.frame.alike && model.place(node).name == model.place(self.frame.node).name,
        }
    }

    fn add(&mut self, model: &Model, node: u32, width: f64, fit: Fit) {
        let next = frame(model, node, self.frame.row);
        self.frame.alike &= model.place(node).name == model.place(self.frame.node).name;
        self.frame.count += 1;
        self.frame.marks.add(next.marks.first);
        self.frame.time_ns.before += next.time_ns.before;
        self.frame.time_ns.after += next.time_ns.after;
        self.frame.own_delta_ns += next.own_delta_ns;
        self.width += width;
        if fit == Fit::Small {
            self.fit = fit;
        }
    }
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
        let mut run: Option<Run> = None;
        while node < waiting.end {
            let (width, behind) = (weight(node) * scale, next(node));
            if width > 0.0 {
                let fit = Fit::of(width, behind == node + 1);
                match &mut run {
                    Some(run) if run.takes(model, node, fit) => run.add(model, node, width, fit),
                    _ => {
                        self.close(model, weights, run.as_ref(), waiting, open);
                        run = Some(Run { frame: frame(model, node, waiting.row), fit, from: x, width });
                    }
                }
            }
            x += width;
            node = behind;
        }
        self.close(model, weights, run.as_ref(), waiting, open);
    }

    /// Adds the frame of a run if it has a column; the children of a node that stands alone wait for theirs.
    fn close(&mut self, model: &Model, weights: &[f64], run: Option<&Run>, waiting: &Waiting, open: &mut Vec<Waiting>) {
        let Some(&Run { frame, fit, from, width }) = run else { return };
        let (first, to) = (from.round() as usize, ((from + width).round() as usize).min(waiting.to));
        if to <= first {
            return;
        }
        self.frames.push(Frame { from: first, to, ..frame });
        if frame.count == 1 && fit != Fit::Narrow {
            let weight = weights.get(frame.node as usize).copied().unwrap_or(0.0);
            let (first, end) = (frame.node + 1, model.place(frame.node).end);
            open.push(Waiting { first, end, row: waiting.row + 1, from, width, weight, to });
        }
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
    let there = model.node(node);
    let sides = there.map_or(Pair::new(None, None), |node| node.sides);
    Frame {
        node,
        count: 1,
        alike: true,
        marks: Marks::new(there.map_or(Mark::Equal, |node| node.mark)),
        time_ns: sides.map(time),
        own_delta_ns: own_time(sides.after) - own_time(sides.before),
        row,
        from: 0,
        to: 0,
    }
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

    #[test]
    fn small_calls_of_one_operation_are_one_frame() {
        let mut tree = vec![node(0, "root", Mark::Worse, Some(40), Some(100))];
        tree.push(node(1, "select", Mark::Equal, Some(10), Some(10)));
        tree.extend((0..5).map(|_| node(1, "select", Mark::Added, None, Some(10))));
        tree.push(node(1, "other", Mark::Equal, Some(10), Some(10)));
        tree.extend([node(1, "big", Mark::Equal, Some(10), Some(15)), node(1, "big", Mark::Equal, Some(10), Some(15))]);
        let model = model(tree);
        let icicle = Icicle::new(&model, &weights(&model, Width::After, false), None, (100, 99));
        let expected = ["0:0-100 rootx1", "1:0-60 selectx6", "1:60-70 otherx1", "1:70-85 bigx1", "1:85-100 bigx1"];
        assert_eq!(picture(&model, &icicle), expected);
        let select = icicle.frames.get(1).unwrap();
        assert_eq!(select.time_ns, Pair::new(10e6, 60e6));
        assert_eq!(select.marks.together(10e6, 60e6), Mark::Worse);
        assert!((select.own_delta_ns - 50e6).abs() < 1.0);
        assert_eq!(icicle.find(&model, 4), Some(1));
    }

    #[test]
    fn marks_of_several_come_to_one() {
        let of = |marks: &[Mark], before, after| {
            let mut all = Marks::new(marks[0]);
            marks[1..].iter().for_each(|mark| all.add(*mark));
            all.together(before, after)
        };
        assert_eq!(of(&[Mark::Added, Mark::Added], 0.0, 5.0), Mark::Added);
        assert_eq!(of(&[Mark::Equal, Mark::Failing], 5.0, 9.0), Mark::Failing);
        assert_eq!(of(&[Mark::Equal, Mark::Removed], 9.0, 5.0), Mark::Better);
        assert_eq!(of(&[Mark::Added, Mark::Removed], 5.0, 5.0), Mark::Changed);
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
                let depth = u64::from(tree.last().map_or(0, |last| last.depth));
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
