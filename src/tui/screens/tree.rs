//! The merged tree: both sides in one, what is gone as ghosts, what is equal folded with its count and bound.

use crate::diff::{Mark, NodeSide, TreeNode};
use crate::model::{Status, units};
use crate::report::rows::{duration_delta, self_delta};
use crate::report::text::place;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::layout;
use crate::tui::rows::{Row, RowKind};
use crate::tui::theme::Token;
use std::fmt::Write as _;

/// Columns of a duration and of a difference.
const TIME: usize = 9;
const DELTA: usize = 10;
/// Columns of calls.
const CALLS: usize = 9;
/// Levels of indentation that are drawn; deeper rows say their depth instead.
const LEVELS: u32 = 16;

/// Columns by width: what a narrow terminal leaves out goes in the order of least use.
struct Columns {
    name: usize,
    own: bool,
    calls: bool,
    path: bool,
}

impl Columns {
    fn new(width: usize) -> Columns {
        let (own, calls, path) = (width >= 100, width >= 72, width >= 90);
        let numbers =
            2 * TIME + DELTA + if own { DELTA } else { 0 } + if calls { CALLS } else { 0 } + if path { 16 } else { 0 };
        Columns { name: width.saturating_sub(numbers + 1), own, calls, path }
    }
}

/// Draws the rows and the panel of the row under the cursor.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (list, panel) = layout::split(app);
    let mut rows = canvas.part(list);
    let columns = Columns::new(rows.width());
    heading(&columns, &mut rows);
    let height = rows.height().saturating_sub(1);
    for (row, shown) in app.rows.rows.iter().enumerate().skip(app.rows.list.top).take(height) {
        let y = 1 + row - app.rows.list.top;
        let line = row_line(app, shown, &columns, &rows);
        rows.line(y, &line);
        if row == app.rows.list.cursor {
            rows.highlight(y);
        }
    }
    if app.rows.rows.is_empty() {
        let mut line = rows.new_line();
        let words = if app.filter.is_empty() {
            " no spans on either side"
        } else {
            " nothing passes the filter: Esc removes it"
        };
        line.add(Token::Plain, words);
        rows.line(1, &line);
    }
    if panel.height > 0 {
        draw_panel(app, &mut canvas.part(panel));
    }
}

fn heading(columns: &Columns, canvas: &mut Canvas<'_>) {
    let mut line = canvas.new_line();
    line.left(Token::Dim, "    span (service)", columns.name);
    line.right(Token::Dim, "A", TIME).right(Token::Dim, "B", TIME).right(Token::Dim, "Δ", DELTA);
    if columns.own {
        line.right(Token::Dim, "self Δ", DELTA);
    }
    if columns.calls {
        line.right(Token::Dim, "calls", CALLS);
    }
    if columns.path {
        line.add(Token::Dim, "  path status");
    }
    canvas.line(0, &line);
}

fn row_line(app: &App, row: &Row, columns: &Columns, canvas: &Canvas<'_>) -> Line {
    let mut line = canvas.new_line();
    let Some(node) = app.model.node(row.first) else { return line };
    let glyphs = &app.look.glyphs;
    let noted = app.notes.iter().any(|note| note.node == Some(row.first));
    line.glyphs(Token::Strong, (if noted { glyphs.bookmark } else { ' ' }).to_string());
    let mark = if row.kind == RowKind::Same { Mark::Equal } else { node.mark };
    line.glyphs(Token::of(mark), glyphs.mark(mark)).spaces(1).glyphs(Token::Dim, guides(app, row, node.depth));
    match row.kind {
        RowKind::Same => same(app, row, columns, &mut line),
        RowKind::Repeated => repeated(app, row, node, columns, &mut line),
        _ => node_row(app, row, node, columns, &mut line),
    }
    line
}

/// The lines that show whose child a row is.
pub(super) fn guides(app: &App, row: &Row, depth: u32) -> String {
    let glyphs = &app.look.glyphs;
    if depth == 0 {
        return String::new();
    }
    if depth > LEVELS {
        // A staircase of a thousand steps helps nobody: the number says where we are.
        return format!("{depth}: ");
    }
    let place = app.model.place(row.first);
    let mut levels = Vec::with_capacity(depth as usize);
    let end = if row.is_node() { place.end } else { row.end };
    levels.push(if app.model.is_last(end, place.parent) { glyphs.last } else { glyphs.branch });
    let mut at = app.model.parent(row.first);
    while let Some(ancestor) = at {
        let place = app.model.place(ancestor);
        at = app.model.parent(ancestor);
        if at.is_some() {
            levels.push(if app.model.is_last(place.end, place.parent) { ' ' } else { glyphs.pipe });
        }
    }
    let mut text = String::new();
    for (index, glyph) in levels.iter().rev().enumerate() {
        text.push(*glyph);
        text.push(if index + 1 == levels.len() { glyphs.twig } else { ' ' });
    }
    text
}

fn node_row(app: &App, row: &Row, node: &TreeNode, columns: &Columns, line: &mut Line) {
    let glyphs = &app.look.glyphs;
    let sign = match row.kind {
        RowKind::Open => glyphs.open,
        RowKind::Closed => glyphs.closed,
        _ => ' ',
    };
    let finding = node.finding.and_then(|finding| app.model.finding(finding));
    let token = match (node.inherited || node.mark == Mark::Equal, finding.is_some()) {
        (_, true) => Token::Strong,
        (true, false) => Token::Dim,
        _ => Token::Plain,
    };
    line.glyphs(Token::Dim, format!("{sign} "));
    let mut name = format!("{} ({})", node.operation.name, node.operation.service);
    if let Some(from) = &node.from {
        let _ = write!(name, " was {}", if from.name == node.operation.name { &from.service } else { &from.name });
    }
    let tag = tag(app, row, node);
    let room = columns.name.saturating_sub(line.width() + 1);
    let tag_room = if tag.is_empty() || room < tag.chars().count() + 12 { 0 } else { tag.chars().count() + 1 };
    line.left(token, &name, room - tag_room);
    if tag_room > 0 {
        line.right(Token::of(node.mark), &tag, tag_room);
    }
    line.until(columns.name);
    numbers(app, node, columns, line);
}

/// What the mark alone does not say, in a word or two.
fn tag(app: &App, row: &Row, node: &TreeNode) -> String {
    use crate::diff::FindingKind as Kind;
    let inside = if row.kind == RowKind::Closed { format!(" {}", row.end - row.first) } else { String::new() };
    let finding = node.finding.and_then(|finding| app.model.finding(finding));
    let word = match (finding.map(|finding| finding.kind), node.mark) {
        (_, Mark::Added) => "NEW",
        (_, Mark::Removed) => "GONE",
        (Some(Kind::Renamed), _) => "RENAMED",
        (Some(Kind::Moved), _) => "MOVED",
        (Some(Kind::CallsUp), _) => "CALLS UP",
        (Some(Kind::CallsDown), _) => "CALLS DOWN",
        (Some(Kind::Serialized), _) => "SERIALIZED",
        (Some(Kind::Attributes), _) => "ATTR",
        _ => "",
    };
    format!("{word}{inside}").trim().to_owned()
}

fn numbers(app: &App, node: &TreeNode, columns: &Columns, line: &mut Line) {
    let time =
        |side: Option<NodeSide>| side.map_or_else(|| "—".to_owned(), |side| units::duration(shown_ns(app, &side)));
    line.right(Token::Plain, &time(node.sides.before), TIME).right(Token::Plain, &time(node.sides.after), TIME);
    let delta = basis_delta(app, node);
    line.right(Token::of(node.mark), &units::signed_duration(delta), DELTA);
    if columns.own {
        line.right(Token::Plain, &units::signed_duration(self_delta(node)), DELTA);
    }
    if columns.calls {
        let calls = |side: Option<NodeSide>| {
            side.map_or(0.0, |side| side.many.map_or(side.spans as f64, |many| many.calls_per_trace))
        };
        let (before, after) = (calls(node.sides.before), calls(node.sides.after));
        line.right(Token::Plain, &units::calls(before, after), CALLS);
    }
    if columns.path {
        line.spaces(2);
        for side in [node.sides.before, node.sides.after] {
            let on = side.is_some_and(|side| side.critical_ns > 0);
            line.glyphs(Token::Plain, (if on { app.look.glyphs.dot } else { ' ' }).to_string());
        }
        line.spaces(3).add(Token::Plain, &status_words(node));
    }
}

/// Which of a side's durations is shown: over many traces also the 95th percentile.
fn shown_ns(app: &App, side: &NodeSide) -> u64 {
    match (app.basis, side.many) {
        (crate::tui::app::Basis::P95 | crate::tui::app::Basis::P99, Some(many)) => many.p95_ns,
        _ => side.duration_ns,
    }
}

fn basis_delta(app: &App, node: &TreeNode) -> i64 {
    match (node.sides.before, node.sides.after) {
        (Some(before), Some(after)) => shown_ns(app, &after) as i64 - shown_ns(app, &before) as i64,
        _ => duration_delta(node),
    }
}

fn status_words(node: &TreeNode) -> String {
    let failed = |side: Option<NodeSide>| side.is_some_and(|side| side.status == Status::Error);
    let rate = |side: Option<NodeSide>| side.and_then(|side| side.many).map(|many| many.error_rate);
    match (rate(node.sides.before), rate(node.sides.after)) {
        (None, None) => match (failed(node.sides.before), failed(node.sides.after)) {
            (false, false) => "ok".to_owned(),
            (true, true) => "ERROR".to_owned(),
            (false, true) => "ok→ERROR".to_owned(),
            (true, false) => "ERROR→ok".to_owned(),
        },
        (before, after) if before.unwrap_or(0.0) <= 0.0 && after.unwrap_or(0.0) <= 0.0 => "ok".to_owned(),
        (before, after) => {
            let short = |rate: Option<f64>| rate.map_or_else(|| "—".to_owned(), units::percent);
            format!("{}→{}", short(before), short(after)).replace(' ', "")
        }
    }
}

/// Neighbours in which nothing changed: how many, how little each moved, what they come to together.
fn same(app: &App, row: &Row, columns: &Columns, line: &mut Line) {
    let (mut bound, mut sum) = (0u64, 0i64);
    for node in row.first..row.end {
        let delta = app.model.deltas(node).1;
        bound = bound.max(delta.unsigned_abs());
        sum = sum.saturating_add(delta);
    }
    let nodes = u64::from(row.end - row.first);
    let text = format!("⋯ {} unchanged, each |self Δ| ≤ {}", units::count(nodes), units::duration(bound));
    let width = columns.name + 2 * TIME;
    line.left(Token::Dim, &text, width.saturating_sub(line.width()));
    line.right(Token::Dim, &units::signed_duration(sum), DELTA);
}

/// Neighbouring calls of one operation: how many, and what they take together and each.
fn repeated(app: &App, row: &Row, node: &TreeNode, columns: &Columns, line: &mut Line) {
    let count = u64::from(row.end - row.first);
    let mut totals = (0u64, 0u64);
    for node in (row.first..row.end).filter_map(|node| app.model.node(node)) {
        totals.0 = totals.0.saturating_add(node.sides.before.map_or(0, |side| side.duration_ns));
        totals.1 = totals.1.saturating_add(node.sides.after.map_or(0, |side| side.duration_ns));
    }
    let each = units::duration(totals.0.max(totals.1) / count.max(1));
    let text = format!(
        "{} {} ({}), each {each}",
        units::calls(count as f64, count as f64),
        node.operation.name,
        node.operation.service
    );
    line.left(Token::Plain, &text, columns.name.saturating_sub(line.width() + 1)).until(columns.name);
    let side = |there: bool, ns: u64| if there { units::duration(ns) } else { "—".to_owned() };
    line.right(Token::Plain, &side(node.sides.before.is_some(), totals.0), TIME);
    line.right(Token::Plain, &side(node.sides.after.is_some(), totals.1), TIME);
    line.right(Token::of(node.mark), &units::signed_duration(totals.1 as i64 - totals.0 as i64), DELTA);
}

/// What is known of the row under the cursor, in a few lines.
fn draw_panel(app: &App, canvas: &mut Canvas<'_>) {
    let Some(node) = app.model.node(app.node) else { return };
    let title = format!("{} {}", app.look.glyphs.mark(node.mark), place(&node.operation));
    canvas.rule(0, &title, "Enter detail  w waterfall  u parent");
    let mut row = 1;
    for text in panel(app, node) {
        for part in app.look.wrap(&text, canvas.width().saturating_sub(2)) {
            let mut line = canvas.new_line();
            line.spaces(1).glyphs(Token::Plain, part);
            canvas.line(row, &line);
            row += 1;
        }
    }
}

fn panel(app: &App, node: &TreeNode) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(note) = super::notes::note_here(app).filter(|note| !note.text.is_empty()) {
        lines.push(format!("note: {}", note.text));
    }
    let Some(finding) = node.finding.and_then(|finding| app.model.finding(finding)) else {
        let words = match (node.inherited, node.mark) {
            (true, _) => "its change is what those below it did: ]c goes to the next cause",
            (false, Mark::Equal) => "equal within the bounds",
            _ => "beyond the bounds, and no finding of its own",
        };
        lines.push(words.to_owned());
        return lines;
    };
    lines.push(super::findings::what(finding));
    lines.extend(finding.because.iter().map(|because| format!("because: {because}")));
    lines.extend(finding.attributes.iter().take(3).map(crate::report::details::attribute));
    lines.extend(finding.evidence.iter().take(4).cloned());
    lines
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let rows = app.rows.rows.len();
    let at = if rows == 0 { 0 } else { app.rows.list.cursor + 1 };
    let bound = if app.rows.folds.bound_ns > 0 {
        format!("   |self Δ| ≥ {}", units::duration(app.rows.folds.bound_ns))
    } else {
        String::new()
    };
    let path = if app.rows.critical_only { "   critical path only" } else { "" };
    let finding = app.model.node(app.node).and_then(|node| node.finding);
    let finding = finding
        .map_or_else(String::new, |finding| format!("   finding {} of {}", finding + 1, app.model.diff.findings.len()));
    format!("row {at} of {rows} ({} nodes){finding}{bound}{path}", units::count(u64::from(app.model.len())))
}

/// The row under the cursor and the way to it.
pub fn copy(app: &App, markdown: bool) -> String {
    let Some(node) = app.model.node(app.node) else { return String::new() };
    let mut steps = Vec::new();
    let mut at = Some(app.node);
    while let Some(node) = at {
        steps.extend(app.model.node(node).map(|node| place(&node.operation)));
        at = app.model.parent(node);
    }
    steps.reverse();
    let time = |side: Option<NodeSide>| side.map_or_else(|| "—".to_owned(), |side| units::duration(side.duration_ns));
    let times = format!(
        "{} → {} ({})",
        time(node.sides.before),
        time(node.sides.after),
        units::signed_duration(duration_delta(node))
    );
    let way = steps.join(" ▸ ");
    if markdown {
        format!("{} {}: {times}", node.mark.glyph(), crate::report::escape::markdown_code(&way, false))
    } else {
        format!("{} {}: {times}", node.mark.glyph(), crate::report::escape::visible(&way))
    }
}
