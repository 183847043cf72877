//! Attribute differences of all findings and nodes, alike ones in one row.

use crate::diff::{AttributeRow, Change, Mark};
use crate::model::Pair;
use crate::tui::model::Model;
use indexmap::IndexMap;

/// In which order rows stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What tells the sides apart best: by the difference of shares, then by how many nodes show it.
    #[default]
    Telling,
    /// By the most important finding that it belongs to.
    Finding,
    /// By key.
    Key,
}

impl Sort {
    /// The next one.
    pub const fn next(self) -> Sort {
        match self {
            Sort::Telling => Sort::Finding,
            Sort::Finding => Sort::Key,
            Sort::Key => Sort::Telling,
        }
    }

    /// The word on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Telling => "share and places",
            Sort::Finding => "finding",
            Sort::Key => "key",
        }
    }
}

/// One difference, wherever it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// How it differs.
    pub change: Change,
    /// Value before.
    pub before: Option<String>,
    /// Value after.
    pub after: Option<String>,
    /// Shares of the spans at the node where they differ most; `None` for a pair.
    pub share: Pair<Option<f64>>,
    /// The nodes that show it, in order, each once.
    pub nodes: Vec<u32>,
    /// The most important finding that it belongs to.
    pub finding: Option<usize>,
    /// All those nodes are on one side only: the attribute came or went with its span.
    pub with_span: bool,
}

impl Difference {
    /// The mark in front of it.
    pub const fn mark(&self) -> Mark {
        match self.change {
            Change::Changed => Mark::Changed,
            Change::Added => Mark::Added,
            Change::Removed => Mark::Removed,
        }
    }

    /// How far apart the shares are, 0 to 1.
    fn apart(&self) -> f64 {
        apart(self.change, &self.share)
    }
}

/// Of a changed value both shares count, since each is that of another value.
fn apart(change: Change, share: &Pair<Option<f64>>) -> f64 {
    let (before, after) = (share.before.unwrap_or(0.0), share.after.unwrap_or(0.0));
    if change == Change::Changed { before.min(after) } else { (after - before).abs() }
}

type Key<'a> = (&'a str, Change, Option<&'a str>, Option<&'a str>);

/// One place that shows a difference.
#[derive(Clone, Copy)]
struct Seen {
    share: Pair<Option<f64>>,
    node: Option<u32>,
    finding: Option<usize>,
    with_span: bool,
}

#[derive(Default)]
struct Table<'a> {
    rows: IndexMap<Key<'a>, Difference, foldhash::fast::RandomState>,
}

impl<'a> Table<'a> {
    fn add(&mut self, key: Key<'a>, seen: Seen) {
        let (name, change, before, after) = key;
        let row = self.rows.entry(key).or_insert_with(|| Difference {
            key: name.to_owned(),
            change,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            share: seen.share,
            nodes: Vec::new(),
            finding: None,
            with_span: true,
        });
        if apart(change, &seen.share) > row.apart() {
            row.share = seen.share;
        }
        row.with_span &= seen.with_span;
        row.finding = match (row.finding, seen.finding) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
        row.nodes.extend(seen.node);
    }
}

/// All differences, not ordered yet.
pub fn all(model: &Model) -> Vec<Difference> {
    let mut table = Table::default();
    for (index, node) in model.diff.tree.iter().enumerate() {
        let Some(detail) = &node.detail else { continue };
        let with_span = node.sides.before.is_none() || node.sides.after.is_none();
        for row in &detail.attributes {
            let Some(change) = row.change else { continue };
            let key = (row.key.as_str(), change, row.before.as_deref(), row.after.as_deref());
            let seen = Seen { share: row.share, node: Some(index as u32), finding: node.finding, with_span };
            table.add(key, seen);
        }
    }
    for (number, finding) in model.diff.findings.iter().enumerate() {
        let node = model.node_of(number);
        let row = node.and_then(|node| model.node(node));
        let known: &[AttributeRow] =
            row.and_then(|row| row.detail.as_ref()).map_or(&[], |detail| detail.attributes.as_slice());
        let with_span = row.is_some_and(|row| row.sides.before.is_none() || row.sides.after.is_none());
        for attribute in &finding.attributes {
            // What the node says has shares, and stands in the table already.
            if known.iter().any(|row| row.key == attribute.key && row.change == Some(attribute.change)) {
                continue;
            }
            let (before, after) = (attribute.before.as_deref(), attribute.after.as_deref());
            let seen = Seen { share: Pair::default(), node, finding: Some(number), with_span };
            table.add((&attribute.key, attribute.change, before, after), seen);
        }
    }
    let mut rows: Vec<Difference> = table.rows.into_values().collect();
    for row in &mut rows {
        row.nodes.sort_unstable();
        row.nodes.dedup();
    }
    rows
}

/// Puts them in order. What came or went with its span stands behind what changed at spans of both sides.
pub fn order(rows: &mut [Difference], sort: Sort) {
    let finding = |row: &Difference| row.finding.unwrap_or(usize::MAX);
    rows.sort_by(|a, b| {
        let telling = || b.apart().total_cmp(&a.apart()).then_with(|| b.nodes.len().cmp(&a.nodes.len()));
        let by = match sort {
            Sort::Telling => a.with_span.cmp(&b.with_span).then_with(telling).then_with(|| finding(a).cmp(&finding(b))),
            Sort::Finding => finding(a).cmp(&finding(b)).then_with(telling),
            Sort::Key => a.key.cmp(&b.key).then_with(telling),
        };
        by.then_with(|| (&a.key, a.change, &a.before, &a.after).cmp(&(&b.key, b.change, &b.before, &b.after)))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{AttributeScope, DiffOptions, NodeDetail};
    use crate::model::fixture;

    fn model(before: &str, after: &str, details: &[(usize, &str, Change, [f64; 2])]) -> Model {
        let traces = fixture::pair(before, after);
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let mut diff = crate::diff::pair::compare(&traces, Pair::default(), &options);
        for &(node, key, change, [before, after]) in details {
            let row = AttributeRow {
                key: key.to_owned(),
                scope: AttributeScope::Span,
                change: Some(change),
                before: Some("x".to_owned()),
                after: Some("y".to_owned()),
                share: Pair::new(Some(before), Some(after)),
            };
            let detail = diff.tree[node].detail.get_or_insert_with(|| Box::new(NodeDetail::default()));
            detail.attributes.push(row);
        }
        Model::new(diff)
    }

    fn shown(model: &Model, sort: Sort) -> Vec<String> {
        let mut rows = all(model);
        order(&mut rows, sort);
        rows.iter().map(|row| format!("{} {} {:?}", row.mark().glyph(), row.key, row.nodes)).collect()
    }

    #[test]
    fn alike_differences_are_one_row() {
        let before = "a GET /x 90ms\n  b call 10ms {zone=eu}\n  c call 10ms";
        let after = "a GET /x 90ms\n  b call 10ms {zone=us}\n  c call 10ms";
        let details = [(1, "db", Change::Changed, [0.5, 0.5]), (2, "db", Change::Changed, [0.9, 0.8])];
        let model = model(before, after, &details);
        assert_eq!(shown(&model, Sort::Telling), ["~ db [1, 2]", "~ zone [1]"]);
        assert_eq!(shown(&model, Sort::Finding), ["~ db [1, 2]", "~ zone [1]"]);
        let share = all(&model).into_iter().find(|row| row.key == "db").map(|row| row.share);
        assert_eq!(share, Some(Pair::new(Some(0.9), Some(0.8))));
    }

    #[test]
    fn shares_rank_before_places_and_new_spans_come_last() {
        let text = "a GET /x 90ms\n  b call 10ms\n  c call 10ms";
        let details = [
            (0, "rare", Change::Added, [0.1, 0.2]),
            (1, "rare", Change::Added, [0.1, 0.2]),
            (2, "telling", Change::Added, [0.12, 0.94]),
            (2, "same share", Change::Changed, [0.5, 0.4]),
        ];
        let model = model(text, &format!("{text}\n  d new 20ms {{k=v}}"), &details);
        let rows = shown(&model, Sort::Telling);
        assert_eq!(rows, ["+ telling [2]", "~ same share [2]", "+ rare [0, 1]", "+ k [3]"]);
    }
}
