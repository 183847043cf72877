//! Both sides of a node in numbers.

use super::items::{Item, Section};
use crate::diff::{Finding, Mode, NodeSide, TreeNode};
use crate::model::{Side, Status, units};
use crate::report::details;
use crate::report::text::place;
use crate::tui::app::App;
use crate::tui::theme::Token;

/// Heading, both sides in a table, and what must be known to read it.
pub fn summary(app: &App, node: &TreeNode, finding: Option<&Finding>, items: &mut Vec<Item<'_>>) {
    let title = format!("{} {}", app.look.glyphs.mark(node.mark), place(&node.operation));
    let right = finding.map_or_else(String::new, |finding| {
        let number = app.model.diff.findings.iter().position(|other| std::ptr::eq(other, finding));
        format!("finding {}, {}", number.map_or(0, |number| number + 1), finding.confidence.name())
    });
    let kind = node.sides.after.or(node.sides.before).map(|side| side.kind.name()).unwrap_or_default();
    let right = if right.is_empty() { kind.to_owned() } else { format!("{kind}, {right}") };
    items.push(Item::Head(Section::Summary, title, right));
    if app.model.diff.mode == Mode::Pair {
        pair_numbers(app, node, finding, items);
    } else {
        many_numbers(node, items);
    }
    if let Some(finding) = finding {
        items.push(Item::Words("what", crate::tui::screens::findings::what(finding)));
    }
    if let Some(from) = &node.from {
        items.push(Item::Words("was", place(from)));
    }
    if !matches!(node.matched.reason, "operation" | "none" | "structure") {
        items.push(Item::Words("matched", format!("{}, score {:.2}", node.matched.reason, node.matched.score)));
    }
    if let Some((_, detail)) = app.detail.as_ref().filter(|(known, _)| *known == app.node) {
        for (side, message) in [("A says", &detail.status_message.before), ("B says", &detail.status_message.after)] {
            items.extend(message.clone().map(|message| Item::Words(side, message)));
        }
    }
    items.push(Item::Words("path", path(app)));
}

/// The way from the entry point to the node.
pub fn path(app: &App) -> String {
    let mut steps = Vec::new();
    let mut at = Some(app.node);
    while let Some(node) = at {
        steps.extend(app.model.node(node).map(|node| node.operation.clone()));
        at = app.model.parent(node);
    }
    steps.reverse();
    details::path(&steps)
}

fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| "—".to_owned(), units::duration)
}

/// After minus before, a missing side counting as nothing.
fn delta(before: Option<u64>, after: Option<u64>) -> String {
    let of = |side: Option<u64>| i64::try_from(side.unwrap_or(0)).unwrap_or(i64::MAX);
    units::signed_duration(of(after).saturating_sub(of(before)))
}

fn cells(label: &str, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(label.to_owned()).chain(rest).collect()
}

/// Start of a span after that of its parent; of an entry point after that of the trace.
fn start(app: &App, node: &TreeNode, side: Side) -> Option<i64> {
    let own = node.sides.get(side).as_ref()?.start_ns;
    match app.model.parent(app.node) {
        None => Some(own),
        Some(parent) => {
            let above = app.model.node(parent)?.sides.get(side).as_ref()?.start_ns;
            Some(own.saturating_sub(above))
        }
    }
}

fn pair_numbers(app: &App, node: &TreeNode, finding: Option<&Finding>, items: &mut Vec<Item<'_>>) {
    let heading = ["calls", "took", "self", "start", "on path", "status"].map(str::to_owned);
    items.push(Item::Cells(Token::Dim, cells("", heading)));
    let calls = |side: Side| match (finding, node.sides.get(side)) {
        (Some(finding), _) => format!("×{}", units::mean_count(*finding.calls_per_trace.get(side))),
        (None, side) => format!("×{}", u64::from(side.is_some())),
    };
    let status = |side: &NodeSide| match side.status {
        Status::Error => "ERROR",
        Status::Ok | Status::Unset => "ok",
    };
    for (label, side) in [("A", Side::Before), ("B", Side::After)] {
        let of = |get: fn(&NodeSide) -> u64| time(node.sides.get(side).as_ref().map(get));
        items.push(Item::Cells(
            Token::Plain,
            cells(
                label,
                [
                    calls(side),
                    of(|side| side.duration_ns),
                    of(|side| side.self_ns),
                    start(app, node, side).map_or_else(|| "—".to_owned(), units::signed_duration),
                    of(|side| side.critical_ns),
                    node.sides.get(side).as_ref().map_or("—", status).to_owned(),
                ],
            ),
        ));
    }
    let of = |get: fn(NodeSide) -> u64| delta(node.sides.before.map(get), node.sides.after.map(get));
    let starts = (start(app, node, Side::Before), start(app, node, Side::After));
    let shift = match starts {
        (Some(before), Some(after)) => units::signed_duration(after.saturating_sub(before)),
        _ => String::new(),
    };
    let numbers = [
        String::new(),
        of(|side| side.duration_ns),
        of(|side| side.self_ns),
        shift,
        of(|side| side.critical_ns),
        String::new(),
    ];
    items.push(Item::Cells(Token::of(node.mark), cells("Δ", numbers)));
}

fn many_numbers(node: &TreeNode, items: &mut Vec<Item<'_>>) {
    let heading = ["calls", "mean", "p95", "self", "on path", "failed", "traces"].map(str::to_owned);
    items.push(Item::Cells(Token::Dim, cells("", heading)));
    for (label, side) in [("A", node.sides.before), ("B", node.sides.after)] {
        let many = side.and_then(|side| side.many);
        let dash = || "—".to_owned();
        items.push(Item::Cells(
            Token::Plain,
            cells(
                label,
                [
                    many.map_or_else(dash, |many| format!("×{}", units::mean_count(many.calls_per_trace))),
                    time(side.map(|side| side.duration_ns)),
                    time(many.map(|many| many.p95_ns)),
                    time(side.map(|side| side.self_ns)),
                    time(side.map(|side| side.critical_ns)),
                    many.map_or_else(dash, |many| units::percent(many.error_rate)),
                    many.map_or_else(dash, |many| units::count(many.traces)),
                ],
            ),
        ));
    }
    let of = |get: fn(NodeSide) -> u64| delta(node.sides.before.map(get), node.sides.after.map(get));
    let p95 = node.sides.map(|side| side.and_then(|side| side.many).map(|many| many.p95_ns));
    let numbers = [
        String::new(),
        of(|side| side.duration_ns),
        delta(p95.before, p95.after),
        of(|side| side.self_ns),
        of(|side| side.critical_ns),
        String::new(),
        String::new(),
    ];
    items.push(Item::Cells(Token::of(node.mark), cells("Δ", numbers)));
}
