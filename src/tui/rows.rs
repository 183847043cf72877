//! Which rows of the merged tree are seen: folds, filters, and what a folded row stands for.
//!
//! One walk over the pre-order list, whatever its depth; only the rows on the screen are ever drawn.

use super::model::Model;
use crate::diff::Mark;
use crate::report::rows::self_delta;
use std::collections::HashSet;

/// One row. It stands for the nodes `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The node, or the first one of a fold.
    pub first: u32,
    /// Behind the last node that the row stands for, closed descendants included.
    pub end: u32,
    /// What it shows.
    pub kind: RowKind,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A node without children.
    Leaf,
    /// A node whose children follow.
    Open,
    /// A node whose children are hidden.
    Closed,
    /// Neighbouring subtrees in which nothing changed.
    Same,
    /// Neighbouring leaves of one operation.
    Repeated,
}

impl Row {
    /// Whether it is a node of its own.
    pub const fn is_node(&self) -> bool {
        matches!(self.kind, RowKind::Leaf | RowKind::Open | RowKind::Closed)
    }
}

/// How much is folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What changed and the way to it.
    #[default]
    Changes,
    /// Everything down to this depth.
    Level(u32),
}

/// Everything open.
pub const ALL: Mode = Mode::Level(u32::MAX);

/// Leaves of one operation are folded from this many on.
const REPEATED: usize = 5;

/// What the user folded and unfolded.
#[derive(Clone, Debug, Default)]
pub struct Folds {
    /// What is open if nothing else is said.
    pub mode: Mode,
    /// Nodes that are the other way round.
    pub flipped: HashSet<u32, foldhash::fast::RandomState>,
    /// Folds of several nodes that are shown, by their first node.
    pub shown: HashSet<u32, foldhash::fast::RandomState>,
    /// Changes of self time below this count as none, nanoseconds.
    pub bound_ns: u64,
}

/// For each index how many nodes before it count as changed.
struct Counted(Vec<u32>);

impl Counted {
    fn new(len: u32, counts: impl Fn(u32) -> bool) -> Counted {
        let mut sums = Vec::with_capacity(len as usize + 1);
        let mut sum = 0;
        sums.push(0);
        for node in 0..len {
            sum += u32::from(counts(node));
            sums.push(sum);
        }
        Counted(sums)
    }

    fn any(&self, first: u32, end: u32) -> bool {
        self.0.get(first as usize) != self.0.get(end as usize)
    }
}

/// Rows for a model. With a filter only nodes that match and the way to them are seen.
pub fn visible(model: &Model, folds: &Folds, matches: Option<&dyn Fn(u32) -> bool>) -> Vec<Row> {
    let changed = Counted::new(model.len(), |node| counts(model, folds, node));
    let matched = matches.map(|matches| Counted::new(model.len(), matches));
    let mut walk = Walk { model, folds, changed, matched, rows: Vec::new(), unfold_until: 0 };
    walk.run();
    walk.rows
}

/// Whether a node keeps its surroundings from being folded.
fn counts(model: &Model, folds: &Folds, node: u32) -> bool {
    model.node(node).is_some_and(|row| {
        let timed = matches!(row.mark, Mark::Worse | Mark::Better);
        let small = timed && self_delta(row).unsigned_abs() < folds.bound_ns;
        (row.mark != Mark::Equal || row.finding.is_some()) && !small
    })
}

struct Walk<'a> {
    model: &'a Model,
    folds: &'a Folds,
    changed: Counted,
    matched: Option<Counted>,
    rows: Vec<Row>,
    /// Nodes before this one stand in a fold that is shown.
    unfold_until: u32,
}

impl Walk<'_> {
    fn run(&mut self) {
        let mut node = 0;
        while node < self.model.len() {
            let end = self.model.place(node).end;
            node = if self.matched.as_ref().is_some_and(|matched| !matched.any(node, end)) {
                end
            } else if let Some(end) = self.fold(node) {
                end
            } else {
                self.node(node, end)
            };
        }
    }

    /// A fold that begins at this node; the index behind it.
    fn fold(&mut self, node: u32) -> Option<u32> {
        if self.matched.is_some() || node < self.unfold_until {
            return None;
        }
        let depth = self.model.node(node)?.depth;
        let quiet = |at: u32| depth > 0 && !self.changed.any(at, self.model.place(at).end);
        let (kind, end, enough) = if self.folds.mode == Mode::Changes && quiet(node) {
            (RowKind::Same, self.siblings(node, quiet).0, node + 1)
        } else if self.folds.mode == ALL {
            return None;
        } else {
            let (end, count) = self.siblings(node, |at| self.repeats(node, at));
            (RowKind::Repeated, end, if count >= REPEATED { node } else { u32::MAX })
        };
        if end <= enough || enough == u32::MAX {
            return None;
        }
        if self.folds.shown.contains(&node) {
            self.unfold_until = end;
            return None;
        }
        self.rows.push(Row { first: node, end, kind });
        Some(end)
    }

    fn node(&mut self, node: u32, end: u32) -> u32 {
        let kind = if end == node + 1 {
            RowKind::Leaf
        } else if self.is_open(node, end) {
            RowKind::Open
        } else {
            RowKind::Closed
        };
        let next = if kind == RowKind::Open { node + 1 } else { end };
        self.rows.push(Row { first: node, end: next, kind });
        next
    }

    fn is_open(&self, node: u32, end: u32) -> bool {
        if self.matched.is_some() {
            // A filter shows the way to its matches.
            return self.matched.as_ref().is_some_and(|matched| matched.any(node + 1, end)) != self.is_flipped(node);
        }
        let depth = self.model.node(node).map_or(0, |node| node.depth);
        let open = match self.folds.mode {
            Mode::Changes => depth == 0 || self.changed.any(node + 1, end),
            Mode::Level(level) => depth < level,
        };
        open != self.is_flipped(node)
    }

    fn is_flipped(&self, node: u32) -> bool {
        self.folds.flipped.contains(&node)
    }

    /// Behind the run of neighbouring subtrees from `start` on that belong, and how many they are.
    fn siblings(&self, start: u32, belongs: impl Fn(u32) -> bool) -> (u32, usize) {
        let depth = self.model.node(start).map(|node| node.depth);
        let (mut at, mut count) = (start, 0);
        while at < self.model.len() && self.model.node(at).map(|node| node.depth) == depth && belongs(at) {
            at = self.model.place(at).end;
            count += 1;
        }
        (at, count)
    }

    fn repeats(&self, first: u32, other: u32) -> bool {
        let leaf = |node: u32| self.model.place(node).end == node + 1;
        let (Some(a), Some(b)) = (self.model.node(first), self.model.node(other)) else { return false };
        a.depth > 0
            && leaf(first)
            && leaf(other)
            && self.model.place(first).name == self.model.place(other).name
            && a.mark == b.mark
            && a.finding == b.finding
    }
}

/// The row that shows a node, or the fold or closed ancestor that hides it.
pub fn row_of(rows: &[Row], node: u32) -> Option<usize> {
    rows.partition_point(|row| row.first <= node).checked_sub(1)
}

/// Opens every closed ancestor of a node.
pub fn open_way(model: &Model, folds: &mut Folds, node: u32) {
    let changed = Counted::new(model.len(), |node| counts(model, folds, node));
    let mut at = model.parent(node);
    while let Some(ancestor) = at {
        let depth = model.node(ancestor).map_or(0, |node| node.depth);
        let open = match folds.mode {
            Mode::Changes => depth == 0 || changed.any(ancestor + 1, model.place(ancestor).end),
            Mode::Level(level) => depth < level,
        };
        if open == folds.flipped.contains(&ancestor) {
            toggle(folds, ancestor);
        }
        at = model.parent(ancestor);
    }
}

/// Turns a node round.
pub fn toggle(folds: &mut Folds, node: u32) {
    if !folds.flipped.remove(&node) {
        folds.flipped.insert(node);
    }
}
