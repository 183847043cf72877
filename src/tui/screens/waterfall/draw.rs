//! How the waterfall looks: heading with axis and overview, rows, and the panel of the critical path.

use super::scale::{Window, moment};
use super::strip::{Level, Strip, beside};
use super::times::{Align, Bar, Times};
use super::{drawn, heading_height, is_stacked, letter, rows_each, split, times, whole, window};
use crate::diff::{Mark, Mode, NodeSide, TreeNode};
use crate::model::{Side, Status, units};
use crate::report::rows::{duration_delta, self_delta};
use crate::tui::action::Action;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::rows::{Row, RowKind};
use crate::tui::theme::Token;
use crate::tui::view::key_of;

/// Columns of a difference.
const DELTA: usize = 10;
const SIDES: [Side; 2] = [Side::Before, Side::After];

/// How wide the parts of a row are.
pub struct Columns {
    /// Mark, lines of the tree, name; beside each other also the difference.
    label: usize,
    /// Bars of one side.
    pub bars: usize,
}

impl Columns {
    /// For the size and layout of a screen.
    pub fn new(app: &App) -> Columns {
        let width = usize::from(app.size.0);
        if is_stacked(app) {
            let label = (width * 35 / 100).clamp(20, 50);
            return Columns { label, bars: width.saturating_sub(label + 2 + 2 + DELTA + 1) };
        }
        let bars = width.saturating_sub((width / 3).clamp(24, 60) + 2) / 2;
        Columns { label: width.saturating_sub(2 * bars + 2), bars }
    }
}

/// Draws heading, rows and panel.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (list, panel) = split(app);
    let mut upper = canvas.part(list);
    let columns = Columns::new(app);
    heading(app, &columns, &mut upper);
    let (first, each) = (heading_height(app), rows_each(app));
    let height = upper.height().saturating_sub(first) / each;
    for (index, row) in app.rows.rows.iter().enumerate().skip(app.rows.list.top).take(height) {
        let y = first + (index - app.rows.list.top) * each;
        for (offset, line) in row_lines(app, row, &columns, &upper).iter().enumerate() {
            upper.line(y + offset, line);
            if index == app.rows.list.cursor {
                upper.highlight(y + offset);
            }
        }
    }
    if app.rows.rows.is_empty() {
        let mut line = upper.new_line();
        line.add(
            Token::Plain,
            match (app.rows.critical_only, app.filter.is_empty()) {
                (_, false) => " nothing passes the filter: q removes it",
                (true, true) => " nothing is on the critical path",
                (false, true) => " no spans on either side",
            },
        );
        upper.line(first, &line);
    }
    if panel.height > 0 {
        draw_panel(app, &mut canvas.part(panel));
    }
}

/// What is seen of the time, an overview of all of it, and the axis.
fn heading(app: &App, columns: &Columns, canvas: &mut Canvas<'_>) {
    let stacked = is_stacked(app);
    let axis_row = heading_height(app) - 1;
    if app.model.diff.mode == Mode::Population {
        let mut line = canvas.new_line();
        let key = key_of(app, Action::OpenPair);
        let long = format!(" mean durations; no start times over many traces: {key} opens an example pair");
        let short = format!(" mean durations, no start times: {key} opens a pair");
        let text = if long.chars().count() <= canvas.width() { long } else { short };
        line.add(Token::Strong, &text);
        canvas.line(0, &line);
    } else if axis_row > 0 {
        let bar = app.look.glyphs.bar;
        let mut lines = vec![canvas.new_line()];
        for (index, side) in SIDES.into_iter().enumerate() {
            if stacked && index > 0 {
                lines.push(canvas.new_line());
            }
            let Some(line) = lines.last_mut() else { continue };
            if line.width() == 0 {
                let words = if index == 0 { zoom_words(app) } else { String::new() };
                line.left(Token::Plain, &words, columns.label);
            }
            if stacked {
                line.add(Token::Dim, letter(side)).spaces(1);
            } else {
                line.glyphs(Token::Dim, bar.to_string());
            }
            overview(app, side, columns.bars, line);
        }
        for (row, line) in lines.iter().enumerate() {
            canvas.line(row, line);
        }
    }
    let mut line = canvas.new_line();
    let words = if axis_row == 0 { zoom_words(app) } else { " span".to_owned() };
    if stacked {
        line.left(if axis_row == 0 { Token::Plain } else { Token::Dim }, &words, columns.label).spaces(2);
        axis(app, columns.bars, "", &mut line);
        line.right(Token::Dim, "Δ", DELTA + 2);
    } else {
        line.left(Token::Dim, &words, columns.label.saturating_sub(DELTA)).right(Token::Dim, "Δ", DELTA);
        for side in SIDES {
            line.glyphs(Token::Dim, app.look.glyphs.bar.to_string());
            axis(app, columns.bars, letter(side), &mut line);
        }
    }
    canvas.line(axis_row, &line);
}

fn zoom_words(app: &App) -> String {
    let (whole, window) = (whole(app), window(app));
    let share = if window == whole { "all".to_owned() } else { units::percent(window.share(whole)) };
    if app.waterfall.align == Align::Ends {
        let part = |ns: i64| units::percent(ns as f64 / whole.span_ns as f64);
        return format!(" {} – {} of each", part(window.from_ns), part(window.end_ns()));
    }
    let from = window.from_ns.saturating_sub(whole.from_ns.min(0)).max(0).unsigned_abs();
    if window == whole {
        format!(" {} ({share})", units::duration(window.span_ns))
    } else {
        format!(" {} from {} ({share})", units::duration(window.span_ns), units::duration(from))
    }
}

/// How much runs over all of the time; brackets around what is seen of it.
fn overview(app: &App, side: Side, columns: usize, line: &mut Line) {
    let Some(times) = times(app) else {
        line.spaces(columns);
        return;
    };
    let most = times.load.before.iter().chain(&times.load.after).copied().max().unwrap_or(0).max(1);
    let load = times.load.get(side);
    let heights: Vec<f64> = (0..columns)
        .map(|column| {
            let (from, to) = (column * load.len() / columns, ((column + 1) * load.len()).div_ceil(columns));
            let here = load.get(from..to.max(from + 1)).and_then(|part| part.iter().max()).copied().unwrap_or(0);
            f64::from(here) / f64::from(most)
        })
        .collect();
    let blank = |(glyph, height): (char, &f64)| if *height > 0.0 { glyph } else { ' ' };
    let mut glyphs: Vec<char> = app.look.glyphs.sparkline(&heights).chars().zip(&heights).map(blank).collect();
    let window = window(app);
    let (mut first, mut end) = (0, columns);
    if window != times.whole {
        let (from, to) = times.whole.columns(window.from_ns, window.end_ns(), columns);
        let inside = |column: isize| column.clamp(0, columns as isize) as usize;
        (first, end) = (inside(from), inside(to));
        for (at, bracket) in [(first, '['), (end.saturating_sub(1), ']')] {
            if let Some(glyph) = glyphs.get_mut(at) {
                *glyph = bracket;
            }
        }
    }
    for (index, glyph) in glyphs.into_iter().enumerate() {
        let token = if (first..end).contains(&index) { Token::Plain } else { Token::Dim };
        line.glyphs(token, glyph.to_string());
    }
}

/// Labels of moments; the name of the side in front of them where it has room.
fn axis(app: &App, columns: usize, name: &str, line: &mut Line) {
    let (start, window) = (line.width(), window(app));
    let all = whole(app).span_ns;
    let ticks = match app.waterfall.align {
        Align::Ends => window.ticks(columns, |ns, _| units::percent(ns as f64 / all as f64)),
        _ => window.ticks(columns, moment),
    };
    for (column, text) in ticks {
        if column == 0 && !name.is_empty() {
            line.add(Token::Strong, name).spaces(1);
        }
        if line.width() <= start + column || column == 0 {
            line.until(start + column).add(Token::Dim, &text);
        }
    }
    line.until(start + columns);
}

/// One row: a line, or one for each side.
fn row_lines(app: &App, row: &Row, columns: &Columns, canvas: &Canvas<'_>) -> Vec<Line> {
    let Some(node) = app.model.node(row.first) else { return Vec::new() };
    let mark = if row.kind == RowKind::Same { Mark::Equal } else { node.mark };
    let delta = units::signed_duration(delta(app, row, node));
    let mut first = canvas.new_line();
    if is_stacked(app) {
        let mut second = canvas.new_line();
        label(app, row, node, columns.label, &mut first);
        first.glyphs(Token::Dim, "A ");
        strip(app, row, Side::Before, columns.bars, &mut first);
        second.spaces(4).left(Token::Dim, &more(app, row, node), columns.label.saturating_sub(5)).until(columns.label);
        second.glyphs(Token::Dim, "B ");
        strip(app, row, Side::After, columns.bars, &mut second);
        // The mark once more: a line by itself must not speak in colour alone.
        second.glyphs(Token::of(mark), format!(" {}", app.look.glyphs.mark(mark))).right(
            Token::of(mark),
            &delta,
            DELTA,
        );
        return vec![first, second];
    }
    label(app, row, node, columns.label.saturating_sub(DELTA), &mut first);
    first.right(Token::of(mark), &delta, DELTA);
    for side in SIDES {
        first.glyphs(Token::Dim, app.look.glyphs.bar.to_string());
        strip(app, row, side, columns.bars, &mut first);
    }
    vec![first]
}

/// After minus before of what a row stands for, nanoseconds: durations of one node, self times of what is equal.
fn delta(app: &App, row: &Row, node: &TreeNode) -> i64 {
    let nodes = || (row.first..row.end).filter_map(|node| app.model.node(node));
    match row.kind {
        RowKind::Same => nodes().map(self_delta).fold(0, i64::saturating_add),
        RowKind::Repeated => nodes().map(duration_delta).fold(0, i64::saturating_add),
        _ => duration_delta(node),
    }
}

/// Mark, lines of the tree and name in so many columns.
fn label(app: &App, row: &Row, node: &TreeNode, width: usize, line: &mut Line) {
    let mark = if row.kind == RowKind::Same { Mark::Equal } else { node.mark };
    let noted = app.notes.iter().any(|note| note.node == Some(row.first));
    line.glyphs(Token::Strong, (if noted { app.look.glyphs.bookmark } else { ' ' }).to_string());
    line.glyphs(Token::of(mark), app.look.glyphs.mark(mark)).spaces(1);
    line.glyphs(Token::Dim, super::super::tree::guides(app, row, node.depth));
    let name = match row.kind {
        RowKind::Same => format!("⋯ {} unchanged", units::count(u64::from(row.end - row.first))),
        RowKind::Closed => {
            line.glyphs(Token::Dim, format!("{} ", app.look.glyphs.closed));
            node.operation.name.to_string()
        }
        _ => node.operation.name.to_string(),
    };
    let quiet = row.kind == RowKind::Same || node.inherited || node.mark == Mark::Equal;
    let token = match (quiet, node.finding) {
        (false, Some(_)) => Token::Strong,
        (true, _) => Token::Dim,
        _ => Token::Plain,
    };
    let room = width.saturating_sub(line.width());
    line.left(token, &name, room.saturating_sub(1)).until(width);
}

/// What stands below the name where sides stand above each other: what the bars do not say.
fn more(app: &App, row: &Row, node: &TreeNode) -> String {
    let calls = app.model.calls(row.first);
    let failed = |side: Option<NodeSide>| side.is_some_and(|side| side.status == Status::Error);
    match row.kind {
        RowKind::Same => String::new(),
        RowKind::Repeated => format!("×{}, {}", units::count(u64::from(row.end - row.first)), node.operation.service),
        _ if failed(node.sides.before) != failed(node.sides.after) && node.sides.before.is_some() => {
            if failed(node.sides.after) { "ok→ERROR" } else { "ERROR→ok" }.to_owned()
        }
        _ if (calls.before - calls.after).abs() > 0.05 && calls.before > 0.0 && calls.after > 0.0 => {
            format!("{}, {}", units::calls(calls.before, calls.after), node.operation.service)
        }
        _ => match &node.from {
            Some(from) if from.name != node.operation.name => format!("was {}", from.name),
            Some(from) => format!("{}, was {}", node.operation.service, from.service),
            None => node.operation.service.to_string(),
        },
    }
}

/// One side of a row: bars, and beside them what they come to.
fn strip(app: &App, row: &Row, side: Side, columns: usize, line: &mut Line) {
    let (Some(times), Some(first)) = (times(app), app.model.node(row.first)) else {
        line.spaces(columns);
        return;
    };
    let mut strip = Strip::new(window(app), columns);
    for index in drawn(row) {
        let Some(node) = app.model.node(index) else { break };
        let level = match node.sides.get(side) {
            Some(side) if side.critical_ns > 0 => Level::Critical,
            Some(_) => Level::Off,
            None => Level::Absent,
        };
        let bar = times.bar(index, side).or_else(|| times.bar(index, other(side)));
        if let Some(bar) = bar {
            strip.add(level, bar);
        }
    }
    let cells = strip.cells();
    let mut chars: Vec<(char, Token)> = cells.iter().map(|cell| shown(app, *cell, side, row, first)).collect();
    for (cut, at, glyph) in [(strip.cut().0, 0, '<'), (strip.cut().1, columns.saturating_sub(1), '>')] {
        if let Some(slot) = chars.get_mut(at).filter(|_| cut) {
            *slot = (glyph, Token::Dim);
        }
    }
    words(app, row, side, times, &cells, &mut chars);
    let mut chars = chars.into_iter().peekable();
    while let Some((glyph, token)) = chars.next() {
        let mut run = String::from(glyph);
        while let Some((glyph, _)) = chars.next_if(|(_, next)| *next == token) {
            run.push(glyph);
        }
        line.glyphs(token, run);
    }
}

fn shown(app: &App, cell: Option<Level>, side: Side, row: &Row, node: &TreeNode) -> (char, Token) {
    let glyphs = &app.look.glyphs;
    // Colour says which side a change is on: the before side keeps to what is gone.
    let token = match (side, node.mark) {
        _ if row.kind == RowKind::Same => Token::Plain,
        (Side::Before, Mark::Removed) | (Side::After, Mark::Worse | Mark::Better | Mark::Added) => Token::of(node.mark),
        _ => Token::Plain,
    };
    match cell {
        None => (' ', Token::Plain),
        Some(Level::Absent) => (glyphs.absent, Token::Dim),
        Some(Level::Off) => (glyphs.off, token),
        Some(Level::Critical) => (glyphs.critical, token),
    }
}

/// What stands beside the bars: a failure, how many, how long, whether it outlasts its parent.
fn words(app: &App, row: &Row, side: Side, times: &Times, cells: &[Option<Level>], chars: &mut [(char, Token)]) {
    let there = || drawn(row).filter_map(|node| app.model.node(node)).filter_map(|node| *node.sides.get(side));
    if there().next().is_none() || row.kind == RowKind::Same {
        return;
    }
    let mut parts: Vec<(String, Token)> = Vec::new();
    if there().any(|side| side.status == Status::Error) {
        parts.push(("!".to_owned(), Token::Failing));
    }
    let calls = there().next().and_then(|side| side.many).map_or(there().count() as f64, |many| many.calls_per_trace);
    if (calls - 1.0).abs() > 0.05 {
        parts.push((format!("×{}", units::mean_count(calls)), Token::Plain));
    }
    let ns = there().fold(0u64, |sum, side| sum.saturating_add(side.duration_ns));
    parts.push((units::duration(ns), Token::Dim));
    if let Some(word) = outside(app, row, side, times, cells.len()) {
        parts.push((word.to_owned(), Token::Dim));
    }
    let mut text: Vec<(char, Token)> = Vec::new();
    let mut at = None;
    // What has no room goes from the end on.
    while at.is_none() && !parts.is_empty() {
        text.clear();
        for (part, token) in &parts {
            if !text.is_empty() {
                text.push((' ', Token::Plain));
            }
            text.extend(app.look.show(part).chars().map(|c| (c, *token)));
        }
        at = beside(cells, text.len());
        if at.is_none() {
            parts.pop();
        }
    }
    if let Some(at) = at {
        chars.iter_mut().skip(at).zip(text).for_each(|(slot, glyph)| *slot = glyph);
    } else if there().any(|side| side.status == Status::Error)
        && let Some(slot) = chars.iter_mut().rev().find(|slot| slot.0 != ' ')
    {
        *slot = ('!', Token::Failing);
    }
}

/// Whether a span begins before its parent or ends after it, as far as that is seen.
fn outside(app: &App, row: &Row, side: Side, times: &Times, columns: usize) -> Option<&'static str> {
    if !row.is_node() || app.model.diff.mode == Mode::Population {
        return None;
    }
    let parent = times.bar(app.model.parent(row.first)?, side)?;
    let own = times.bar(row.first, side)?;
    let window: Window = window(app);
    let of = |bar: Bar| window.columns(bar.from_ns, bar.to_ns, columns);
    let ((from, to), (parent_from, parent_to)) = (of(own), of(parent));
    if to > parent_to {
        Some("late")
    } else if from < parent_from {
        Some("early")
    } else {
        None
    }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Before => Side::After,
        Side::After => Side::Before,
    }
}

/// The critical path of each side, and how they differ.
fn draw_panel(app: &App, canvas: &mut Canvas<'_>) {
    let glyphs = &app.look.glyphs;
    let mut legend = format!("{} path {} off {} absent", glyphs.critical, glyphs.off, glyphs.absent);
    if canvas.width() >= 76 {
        legend = format!("{legend}  {} {}", key_of(app, Action::Align), app.waterfall.align.name());
    }
    canvas.rule(0, "critical path", &legend);
    let Some(laid) = &app.waterfall.laid else { return };
    let width = canvas.width().saturating_sub(2);
    let way = |side: Side| (letter(side), laid.path.way_words(&app.model, side, width.saturating_sub(3)));
    let mut notes = Vec::new();
    notes.extend(laid.path.changes(&app.model).map(|words| ("", words)));
    notes.extend(laid.path.grown_words(&app.model).map(|words| ("", words)));
    notes.extend(laid.path.off_words(&app.model).map(|words| ("", words)));
    let ways = [way(Side::Before), way(Side::After)];
    // Where there is little room, what changed goes first.
    let lines: Vec<(&str, String)> = if canvas.height() > 5 {
        ways.into_iter().chain(notes).collect()
    } else {
        notes.into_iter().chain(ways).collect()
    };
    let mut row = 1;
    for (letter, text) in lines {
        let indent = if letter.is_empty() { 0 } else { 3 };
        for (index, part) in app.look.wrap(&text, width.saturating_sub(indent)).into_iter().enumerate() {
            let mut line = canvas.new_line();
            line.spaces(1).left(Token::Strong, if index == 0 { letter } else { "" }, indent).glyphs(Token::Plain, part);
            canvas.line(row, &line);
            row += 1;
        }
    }
}
