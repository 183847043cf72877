//! The merged tree as text: both sides in one tree, what changed and the way to it.

use super::escape::visible;
use super::page::{DIM, Page, STRONG, style_of};
use super::rows::{Content, Row, duration_delta, rows, self_delta};
use super::units::{count, duration, mean_count, signed_duration};
use super::{Options, TreeView};
use crate::diff::{Diff, Mark, TreeNode};
use crate::model::Status;
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Levels of indentation that are drawn. Deeper rows say their depth instead.
const LEVELS: u32 = 12;
/// Columns of each of the numbers.
const NUMBER: usize = 10;

/// Writes the merged tree with its heading.
pub fn tree(diff: &Diff, view: TreeView, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let layout = Layout::new(page);
    let heading = page.show("span (service)");
    let numbers: String = ["before", "after", "Δ", "self Δ"]
        .map(|title| format!(" {}", page.right(&page.show(title), NUMBER - 1)))
        .concat();
    let path = if layout.path { page.show("  on path") } else { String::new() };
    let line = format!("  {}{numbers}{path}", page.left(&heading, layout.tree));
    writeln!(out, "{}", page.paint(DIM, line.trim_end()))?;
    let mut guides = Guides::default();
    for row in rows(&diff.tree, view) {
        let guide = guides.next(&row);
        layout.row(diff, &row, &guide, out)?;
    }
    Ok(())
}

/// Writes the merged tree alone: `--tree` without the rest.
pub fn heading(page: &Page, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", page.paint(STRONG, "merged tree"))
}

/// The lines that show whose child a row is.
#[derive(Default)]
struct Guides {
    /// For each drawn level whether its last row is still to come.
    open: Vec<bool>,
}

impl Guides {
    fn next(&mut self, row: &Row) -> String {
        let depth = row.depth.min(LEVELS) as usize;
        self.open.truncate(depth);
        let mut guide = String::new();
        if row.depth > LEVELS {
            // A staircase of a thousand steps helps nobody: the number says where we are.
            guide = format!("{}: ", count(u64::from(row.depth)));
        } else {
            for &open in self.open.iter().skip(1) {
                guide.push_str(if open { "│  " } else { "   " });
            }
            if row.depth > 0 {
                guide.push_str(if row.last { "└─ " } else { "├─ " });
            }
        }
        self.open.resize(depth, false);
        self.open.push(!row.last);
        guide
    }
}

struct Layout<'a> {
    page: &'a Page,
    /// Columns of the tree itself.
    tree: usize,
    /// Whether there is room to mark the critical path.
    path: bool,
}

impl Layout<'_> {
    fn new(page: &Page) -> Layout<'_> {
        let path = page.width >= 80;
        let numbers = 4 * NUMBER + if path { 9 } else { 0 };
        Layout { page, tree: page.width.saturating_sub(2 + numbers), path }
    }

    fn row(&self, diff: &Diff, row: &Row, guide: &str, out: &mut dyn Write) -> io::Result<()> {
        match row.content {
            Content::Node(index) => match diff.tree.get(index) {
                Some(node) => self.node(node, guide, out),
                None => Ok(()),
            },
            Content::Unchanged { count: nodes, bound_ns, self_delta_ns } => {
                let name = format!("⋯ {} unchanged, each |self Δ| ≤ {}", count(nodes), duration(bound_ns));
                self.fold(guide, &name, self_delta_ns, out)
            }
            Content::Repeated { first, count: nodes, duration_ns } => match diff.tree.get(first) {
                Some(node) => self.repeated(node, nodes, duration_ns, guide, out),
                None => Ok(()),
            },
        }
    }

    /// Unchanged rows have no times of their own, so their name may stand where the times would.
    fn fold(&self, guide: &str, name: &str, self_delta_ns: i64, out: &mut dyn Write) -> io::Result<()> {
        let page = self.page;
        let name = page.left(&page.show(format!("{guide}{name}")), self.tree + 3 * NUMBER);
        let rest = format!("{name}{}", page.right(&page.show(signed_duration(self_delta_ns)), NUMBER));
        writeln!(out, "{} {}", page.paint(style_of(Mark::Equal), page.mark(Mark::Equal)), page.paint(DIM, &rest))
    }

    fn node(&self, node: &TreeNode, guide: &str, out: &mut dyn Write) -> io::Result<()> {
        let number = |side: Option<crate::diff::NodeSide>| side.map_or("—".into(), |side| duration(side.duration_ns));
        let (before, after) = (number(node.sides.before), number(node.sides.after));
        let (delta, own) = (signed_duration(duration_delta(node)), signed_duration(self_delta(node)));
        let path = self.critical_path(node);
        let name = format!("{} ({})", visible(&node.operation.name), visible(&node.operation.service));
        // Inherited rows only lead to the cause: they step back.
        let style = if node.inherited || node.mark == Mark::Equal { DIM } else { anstyle::Style::new() };
        self.line(node.mark, guide, &name, &tags(node), &[&before, &after, &delta, &own], path, style, out)
    }

    fn repeated(&self, node: &TreeNode, nodes: u64, total_ns: u64, guide: &str, out: &mut dyn Write) -> io::Result<()> {
        let name = format!("{} ({})", visible(&node.operation.name), visible(&node.operation.service));
        let tag = format!("×{}{}", count(nodes), tags(node));
        let (total, none) = (duration(total_ns), "—".to_owned());
        let delta = i64::try_from(total_ns).unwrap_or(i64::MAX);
        let (before, after, delta) = match node.mark {
            Mark::Removed => (&total, &none, signed_duration(-delta)),
            _ => (&none, &total, signed_duration(delta)),
        };
        self.line(node.mark, guide, &name, &tag, &[before, after, &delta, ""], "", anstyle::Style::new(), out)
    }

    /// `●` for each side on whose critical path the node lies.
    fn critical_path(&self, node: &TreeNode) -> &'static str {
        let on = |side: Option<crate::diff::NodeSide>| side.is_some_and(|side| side.critical_ns > 0);
        match (on(node.sides.before), on(node.sides.after)) {
            _ if !self.path => "",
            (true, true) => "●●",
            (true, false) => "●·",
            (false, true) => "·●",
            (false, false) => "",
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the columns of one line")]
    fn line(
        &self,
        mark: Mark,
        guide: &str,
        name: &str,
        tag: &str,
        numbers: &[&str],
        path: &str,
        style: anstyle::Style,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let page = self.page;
        let guide = page.show(guide);
        let room = self.tree.saturating_sub(guide.width());
        let tag = if tag.is_empty() { String::new() } else { format!(" {}", page.show(tag.trim())) };
        // The tag says what happened, so the name gives way, but never below a third.
        let tag = page.shorten(&tag, room * 2 / 3);
        let name = page.shorten(&page.show(name), room.saturating_sub(tag.width()));
        let tree = page.left(&format!("{guide}{name}{tag}"), self.tree);
        let numbers: String =
            numbers.iter().map(|number| page.right(&page.show(*number), NUMBER)).collect::<Vec<_>>().concat();
        let path = if path.is_empty() { String::new() } else { format!("  {}", page.show(path)) };
        let rest = format!("{tree}{numbers}{path}");
        let mark = page.paint(style_of(mark), page.mark(mark));
        writeln!(out, "{mark} {}", page.paint(style, rest.trim_end()))
    }
}

/// What happened to a node besides its time: finding, inherited change, other name, uncertain match, errors.
fn tags(node: &TreeNode) -> String {
    let mut tags = String::new();
    if let Some(finding) = node.finding {
        let _ = write!(tags, " F{}", finding + 1);
    }
    if node.inherited {
        tags.push_str(" inherited");
    }
    match node.mark {
        Mark::Added => tags.push_str(" added"),
        Mark::Removed => tags.push_str(" removed"),
        _ => {}
    }
    if let Some(from) = &node.from {
        let name = if from.name == node.operation.name { &from.service } else { &from.name };
        let _ = write!(tags, " was {}", visible(name));
    }
    if node.sides.before.is_some() && node.sides.after.is_some() && node.matched.score < 0.7 {
        let _ = write!(tags, " match {:.2}", node.matched.score);
    }
    let calls = node.sides.map(|side| side.and_then(|side| side.many).map(|many| many.calls_per_trace));
    if let (Some(before), Some(after)) = (calls.before, calls.after)
        && mean_count(before) != mean_count(after)
    {
        let _ = write!(tags, " {}", super::units::calls(before, after));
    }
    let failed = |side: Option<crate::diff::NodeSide>| side.map(|side| side.status == Status::Error);
    tags.push_str(match (failed(node.sides.before), failed(node.sides.after)) {
        (Some(true) | None, Some(true)) | (Some(true), None) => " ERROR",
        (Some(false), Some(true)) => " ok→ERROR",
        (Some(true), Some(false)) => " ERROR→ok",
        _ => "",
    });
    tags
}

/// The tree with the options of a report, for `--tree`.
pub fn section(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    match options.tree {
        Some(view) => {
            heading(page, out)?;
            tree(diff, view, page, out)
        }
        None => Ok(()),
    }
}
