//! What the critical path of a request goes through on each side, and what is off it.

use crate::model::{Pair, Side, units};
use crate::report::text::place;
use crate::tui::model::Model;
use std::collections::HashMap;

/// Operations that are named of each kind; the others are counted.
const NAMED: usize = 4;

/// One operation on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// A node of this operation: the one that takes most of the path.
    pub node: u32,
    /// Nanoseconds of the path.
    pub ns: u64,
}

/// The critical path below one entry point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// Operations on each side's path, most time first.
    pub way: Pair<Vec<Stretch>>,
    /// Nanoseconds of each side's whole path.
    pub total_ns: Pair<u64>,
    /// Operations on the after side's path alone.
    pub entered: Vec<Stretch>,
    /// Operations on the before side's path alone.
    pub left: Vec<Stretch>,
    /// Operations on both paths, and by how much their part changed; largest first.
    pub grown: Vec<(u32, i64)>,
    /// Changed nodes that are off the path on both sides, and by how much their durations changed; largest first.
    pub off: Vec<(u32, i64)>,
}

impl CriticalPath {
    /// The path of the entry point `entry`.
    pub fn new(model: &Model, entry: u32) -> CriticalPath {
        let mut sums: HashMap<u32, (Pair<u64>, Stretch), foldhash::fast::RandomState> = HashMap::default();
        let mut path = CriticalPath::default();
        for node in entry..model.place(entry).end {
            let Some(row) = model.node(node) else { break };
            let ns = row.sides.map(|side| side.map_or(0, |side| side.critical_ns));
            if ns.before == 0 && ns.after == 0 {
                if model.is_change(node) {
                    path.off.push((node, model.deltas(node).0));
                }
                continue;
            }
            path.total_ns.before = path.total_ns.before.saturating_add(ns.before);
            path.total_ns.after = path.total_ns.after.saturating_add(ns.after);
            let most = ns.before.max(ns.after);
            let (sum, first) =
                sums.entry(model.place(node).name).or_insert((Pair::new(0, 0), Stretch { node, ns: most }));
            sum.before = sum.before.saturating_add(ns.before);
            sum.after = sum.after.saturating_add(ns.after);
            if most > first.ns {
                *first = Stretch { node, ns: most };
            }
        }
        let mut sums: Vec<(Pair<u64>, Stretch)> = sums.into_values().collect();
        sums.sort_by_key(|(_, first)| first.node);
        for (ns, Stretch { node, .. }) in sums {
            let mut on = |side: Side, ns: u64| {
                if ns > 0 {
                    path.way.get_mut(side).push(Stretch { node, ns });
                }
            };
            on(Side::Before, ns.before);
            on(Side::After, ns.after);
            match (ns.before, ns.after) {
                (0, ns) => path.entered.push(Stretch { node, ns }),
                (ns, 0) => path.left.push(Stretch { node, ns }),
                (before, after) => path.grown.push((node, (after as i64).saturating_sub(before as i64))),
            }
        }
        let by_time = |list: &mut Vec<Stretch>| list.sort_by_key(|stretch| std::cmp::Reverse(stretch.ns));
        let by_change = |list: &mut Vec<(u32, i64)>| {
            list.retain(|(_, delta)| *delta != 0);
            list.sort_by_key(|(_, delta)| std::cmp::Reverse(delta.unsigned_abs()));
        };
        let CriticalPath { way, entered, left, grown, off, .. } = &mut path;
        [&mut way.before, &mut way.after, entered, left].into_iter().for_each(by_time);
        [grown, off].into_iter().for_each(by_change);
        path
    }

    /// A side's way in so many columns: the operations that take most of it, and what it comes to.
    pub fn way_words(&self, model: &Model, side: Side, columns: usize) -> String {
        let end = format!(" = {}", units::duration(*self.total_ns.get(side)));
        let way = self.way.get(side);
        if way.is_empty() {
            return "nothing".to_owned();
        }
        let mut text = String::new();
        for (index, stretch) in way.iter().enumerate() {
            let gap = if index > 0 { " · " } else { "" };
            let next = format!("{gap}{} {}", name(model, stretch.node), units::duration(stretch.ns));
            let rest = format!(" · {} more", way.len() - index);
            if index > 0 && text.chars().count() + next.chars().count() + rest.len() + end.len() > columns {
                text.push_str(&rest);
                break;
            }
            text.push_str(&next);
        }
        text + &end
    }

    /// What came onto the path and what went from it, in a sentence; `None` if both go through the same operations.
    pub fn changes(&self, model: &Model) -> Option<String> {
        let list = |words: &str, stretches: &[Stretch]| {
            let named = stretches.iter().take(NAMED);
            let mut names: Vec<String> =
                named.map(|stretch| format!("{} {}", name(model, stretch.node), units::duration(stretch.ns))).collect();
            if stretches.len() > NAMED {
                names.push(format!("{} more", stretches.len() - NAMED));
            }
            if names.is_empty() { None } else { Some(format!("{words}: {}.", names.join(", "))) }
        };
        let parts: Vec<String> =
            [list("Entered", &self.entered), list("Left", &self.left)].into_iter().flatten().collect();
        if parts.is_empty() { None } else { Some(parts.join("  ")) }
    }

    /// What takes another part of the path than before, in a sentence: changes of a hundredth of it or more.
    pub fn grown_words(&self, model: &Model) -> Option<String> {
        let least = self.total_ns.before.max(self.total_ns.after) / 100;
        let large = self.grown.iter().filter(|(_, delta)| delta.unsigned_abs() >= least);
        let parts: Vec<String> = large
            .take(NAMED)
            .map(|(node, delta)| format!("{} {}", name(model, *node), units::signed_duration(*delta)))
            .collect();
        if parts.is_empty() {
            let same = self.entered.is_empty() && self.left.is_empty() && !self.grown.is_empty();
            return same.then(|| "Both go through the same operations, each as long as before within 1 %.".to_owned());
        }
        Some(format!("On both: {}.", parts.join(", ")))
    }

    /// What changed without being on either path, in a sentence.
    pub fn off_words(&self, model: &Model) -> Option<String> {
        let (node, delta) = self.off.first()?;
        let others = match self.off.len() - 1 {
            0 => String::new(),
            1 => " (and 1 other)".to_owned(),
            more => format!(" (and {} others)", units::count(more as u64)),
        };
        let effect = if *delta < 0 { "faster" } else { "slower" };
        Some(format!(
            "Off the path on both sides: {}{others}: its {} does not make the request {effect}.",
            name(model, *node),
            units::signed_duration(*delta)
        ))
    }
}

/// What an operation is called where service and operation have little room.
fn name(model: &Model, node: u32) -> String {
    model.node(node).map_or_else(String::new, |node| place(&node.operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{Diff, Mark, TreeNode};
    use crate::report::rows::tests::node;

    fn on(mut node: TreeNode, before: u64, after: u64) -> TreeNode {
        for (side, ns) in [(Side::Before, before), (Side::After, after)] {
            if let Some(side) = node.sides.get_mut(side) {
                side.critical_ns = ns * 1_000_000;
            }
        }
        node
    }

    fn model() -> Model {
        let tree = vec![
            on(node(0, "root", Mark::Worse, Some(10), Some(20)), 4, 5),
            on(node(1, "stock", Mark::Worse, Some(6), Some(7)), 6, 7),
            on(node(1, "stock", Mark::Added, None, Some(6)), 0, 6),
            on(node(1, "cache", Mark::Removed, Some(2), None), 2, 0),
            on(node(1, "score", Mark::Added, None, Some(2)), 0, 2),
            on(node(1, "quote", Mark::Better, Some(9), Some(5)), 0, 0),
            on(node(1, "mail", Mark::Equal, Some(9), Some(9)), 0, 0),
            on(node(0, "other", Mark::Worse, Some(1), Some(2)), 1, 2),
        ];
        Model::new(Diff { tree, ..Diff::default() })
    }

    #[test]
    fn operations_are_added_up_and_compared() {
        let path = CriticalPath::new(&model(), 0);
        let way = |side| path.way.get(side).iter().map(|part| (part.node, part.ns / 1_000_000)).collect::<Vec<_>>();
        assert_eq!(way(Side::Before), [(1, 6), (0, 4), (3, 2)]);
        assert_eq!(way(Side::After), [(1, 13), (0, 5), (4, 2)]);
        assert_eq!(path.total_ns, Pair::new(12_000_000, 20_000_000));
        assert_eq!(path.off, [(5, -4_000_000)]);
        assert_eq!(path.grown, [(1, 7_000_000), (0, 1_000_000)]);
        assert_eq!(CriticalPath::new(&model(), 7).total_ns, Pair::new(1_000_000, 2_000_000));
    }

    #[test]
    fn sentences_say_what_entered_left_and_does_not_matter() {
        let model = model();
        let path = CriticalPath::new(&model, 0);
        assert_eq!(path.changes(&model).unwrap(), "Entered: shop ▸ score 2.0 ms.  Left: shop ▸ cache 2.0 ms.");
        assert_eq!(
            path.off_words(&model).unwrap(),
            "Off the path on both sides: shop ▸ quote: its -4.0 ms does not make the request faster."
        );
        assert_eq!(path.grown_words(&model).unwrap(), "On both: shop ▸ stock +7.0 ms, shop ▸ root +1.0 ms.");
        assert_eq!(
            path.way_words(&model, Side::After, 80),
            "shop ▸ stock 13 ms · shop ▸ root 5.0 ms · shop ▸ score 2.0 ms = 20 ms"
        );
        assert_eq!(path.way_words(&model, Side::After, 40), "shop ▸ stock 13 ms · 2 more = 20 ms");
        assert_eq!(CriticalPath::default().way_words(&model, Side::After, 40), "nothing");
        assert_eq!((CriticalPath::default().changes(&model), CriticalPath::default().off_words(&model)), (None, None));
    }
}
