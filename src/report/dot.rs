//! Graphviz: the service graph with its calls on both sides, or with a tree the merged spans.
//!
//! Marks stand in the labels, so that a black-and-white print says the same as the colours.

use super::escape::{dot as quoted, visible};
use super::page::by_sign;
use super::rows::{Content, duration_delta, rows};
use super::units::{count, duration, signed_duration};
use super::{Options, TreeView};
use crate::diff::{Diff, Mark, ServiceEdge, ServiceNode, TreeNode};
use crate::model::Pair;
use petgraph::visit::{EdgeRef, IntoNodeReferences};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Writes the service graph, or the merged tree when the options ask for one.
pub fn dot(diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "digraph spandiff {{")?;
    writeln!(out, "  rankdir=LR;")?;
    writeln!(out, "  node [shape=box, fontname=\"sans-serif\"];")?;
    writeln!(out, "  edge [fontname=\"sans-serif\"];")?;
    match options.tree {
        None => services(diff, out)?,
        Some(view) => tree(diff, view, out)?,
    }
    writeln!(out, "}}")
}

/// Line and font colours of the light palette; never the only carrier of meaning.
const fn color(mark: Mark) -> &'static str {
    match mark {
        Mark::Worse => "#946800",
        Mark::Better | Mark::Recovered => "#0b62e0",
        Mark::Added => "#00735c",
        Mark::Removed => "#43127f",
        Mark::Failing => "#7d0a0a",
        Mark::Changed | Mark::Similar | Mark::Equal => "#333333",
    }
}

fn style(mark: Mark) -> &'static str {
    match mark {
        Mark::Removed => "dashed",
        Mark::Equal => "solid",
        _ => "bold",
    }
}

fn services(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    for (index, node) in diff.services.node_references() {
        let mark = service_mark(node);
        let lines = [
            format!("{} {}", mark.glyph(), visible(&node.service)),
            format!("spans {}", change(node.spans)),
            format!("errors {}", change(node.errors)),
            format!("self {} → {}", duration(node.self_ns.before), duration(node.self_ns.after)),
        ];
        node_line(&format!("s{}", index.index()), &lines, mark, out)?;
    }
    for edge in diff.services.edge_references() {
        let (weight, mark) = (edge.weight(), edge_mark(edge.weight()));
        let mut label = format!("{} {}", mark.glyph(), change(weight.calls));
        if weight.links != Pair::default() {
            let _ = write!(label, "\nlinks {}", change(weight.links));
        }
        if weight.errors != Pair::default() {
            let _ = write!(label, "\nerrors {}", change(weight.errors));
        }
        let (from, to) = (edge.source().index(), edge.target().index());
        let style = if weight.calls == Pair::default() { "dotted" } else { style(mark) };
        let color = color(mark);
        let label = quoted(&label);
        writeln!(out, "  s{from} -> s{to} [label={label}, style={style}, color=\"{color}\", fontcolor=\"{color}\"];")?;
    }
    Ok(())
}

fn change(counts: Pair<u64>) -> String {
    if counts.before == counts.after {
        count(counts.after)
    } else {
        format!("{} → {}", count(counts.before), count(counts.after))
    }
}

/// Only structure and errors are marked here: which service takes more time is for findings to say.
fn service_mark(node: &ServiceNode) -> Mark {
    structure(node.spans, node.errors)
}

fn edge_mark(edge: &ServiceEdge) -> Mark {
    let all = Pair::new(
        edge.calls.before.saturating_add(edge.links.before),
        edge.calls.after.saturating_add(edge.links.after),
    );
    match structure(all, edge.errors) {
        Mark::Equal => by_sign(all.after as i64 - all.before as i64),
        mark => mark,
    }
}

const fn structure(present: Pair<u64>, errors: Pair<u64>) -> Mark {
    match (present.before, present.after) {
        (0, 1..) => Mark::Added,
        (1.., 0) => Mark::Removed,
        _ if errors.before == 0 && errors.after > 0 => Mark::Failing,
        _ if errors.before > 0 && errors.after == 0 => Mark::Recovered,
        _ => Mark::Equal,
    }
}

fn node_line(id: &str, lines: &[String], mark: Mark, out: &mut dyn Write) -> io::Result<()> {
    let (label, color, style) = (quoted(&lines.join("\n")), color(mark), style(mark));
    writeln!(out, "  {id} [label={label}, style={style}, color=\"{color}\", fontcolor=\"{color}\"];")
}

fn tree(diff: &Diff, view: TreeView, out: &mut dyn Write) -> io::Result<()> {
    let mut open: Vec<usize> = Vec::new();
    for (id, row) in rows(&diff.tree, view).iter().enumerate() {
        let (lines, mark) = match row.content {
            Content::Node(index) => {
                let Some(node) = diff.tree.get(index) else { continue };
                (node_label(node), node.mark)
            }
            Content::Unchanged { count: nodes, bound_ns, .. } => (
                vec![format!("⋯ {} unchanged", count(nodes)), format!("each |self Δ| ≤ {}", duration(bound_ns))],
                Mark::Equal,
            ),
            Content::Repeated { first, count: nodes, .. } => {
                let Some(node) = diff.tree.get(first) else { continue };
                let mut lines = node_label(node);
                lines.push(format!("×{}", count(nodes)));
                (lines, node.mark)
            }
        };
        node_line(&format!("n{id}"), &lines, mark, out)?;
        open.truncate(row.depth as usize);
        if let Some(parent) = open.last() {
            writeln!(out, "  n{parent} -> n{id} [style={}, color=\"{}\"];", style(mark), color(mark))?;
        }
        open.push(id);
    }
    Ok(())
}

fn node_label(node: &TreeNode) -> Vec<String> {
    let show = |side: Option<crate::diff::NodeSide>| side.map_or("—".into(), |side| duration(side.duration_ns));
    vec![
        format!("{} {}", node.mark.glyph(), visible(&node.operation.name)),
        visible(&node.operation.service).into_owned(),
        format!("{} → {} ({})", show(node.sides.before), show(node.sides.after), signed_duration(duration_delta(node))),
    ]
}
