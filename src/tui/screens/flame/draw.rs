//! How the icicle and its table look.

use super::frames::{Frame, Icicle, Width, time};
use super::{icicle, list_height, shown, split};
use crate::diff::{Mark, Mode, TreeNode};
use crate::model::{Pair, units};
use crate::tui::action::Action;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Line};
use crate::tui::theme::Token;
use crate::tui::view::key_of;

/// Columns of a time and of a difference.
const TIME: usize = 10;
const DELTA: usize = 11;
/// From this share of the duration before on a mark is doubled.
const LARGE: f64 = 0.2;
/// A frame with this share of the whole change, and with this one, is drawn stronger.
const STRONG: f64 = 0.1;
const SEEN: f64 = 0.01;

/// Draws heading, icicle and table.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (heading, area, table) = split(app);
    let icicle = icicle(app);
    draw_heading(app, &icicle, &mut canvas.part(heading));
    draw_icicle(app, &icicle, &mut canvas.part(area));
    if table.height > 0 {
        draw_table(app, &mut canvas.part(table));
    }
}

/// The legend, what widths mean, and what they leave out.
fn draw_heading(app: &App, icicle: &Icicle, canvas: &mut Canvas<'_>) {
    let glyphs = &app.look.glyphs;
    let mut legend = canvas.new_line();
    let twice = |mark: Mark| glyphs.mark(mark).repeat(2);
    let once = |mark: Mark| glyphs.mark(mark).to_owned();
    for (mark, glyph, words) in [
        (Mark::Worse, twice(Mark::Worse), "+20 %"),
        (Mark::Worse, once(Mark::Worse), "more"),
        (Mark::Equal, once(Mark::Equal), "same"),
        (Mark::Better, once(Mark::Better), "less"),
        (Mark::Better, twice(Mark::Better), "-20 %"),
        (Mark::Added, once(Mark::Added), "new"),
        (Mark::Removed, once(Mark::Removed), "gone"),
        (Mark::Failing, once(Mark::Failing), "failing"),
    ] {
        legend.spaces(1).glyphs(Token::of(mark), glyph).add(Token::Dim, &format!(" {words}"));
    }
    legend.spaces(1);
    legend.add(Token::Strong, " bold").add(Token::Dim, ": 10 % of Δ");
    canvas.line(0, &legend);
    let state = &app.flame;
    let mut line = canvas.new_line();
    let widths =
        if state.only_gone { "only what is gone".to_owned() } else { format!("widths: {}", state.width.name()) };
    line.add(Token::Plain, &format!(" {widths}")).add(Token::Dim, &format!(" ({})", key_of(app, Action::Widths)));
    if app.model.diff.mode == Mode::Population {
        line.add(Token::Dim, ", mean × calls");
    }
    let (unseen, words) = match state.width {
        Width::After => (state.lacking.after, "gone"),
        Width::Before => (state.lacking.before, "new"),
        Width::Union | Width::Change => ((0, 0.0), ""),
    };
    if state.only_gone {
        line.add(
            Token::Plain,
            &format!("   {} gone, {}", units::count(state.lacking.after.0), shown(state.lacking.after.1)),
        );
        line.add(Token::Dim, &format!(" ({} back)", key_of(app, Action::Elided)));
    } else if unseen.0 > 0 {
        line.add(Token::Plain, &format!("   not seen: {} {words}, {}", units::count(unseen.0), shown(unseen.1)));
        let key = if state.width == Width::After { key_of(app, Action::Elided) } else { key_of(app, Action::Widths) };
        line.add(Token::Dim, &format!(" ({key})"));
    }
    if icicle.scaled > 0 {
        line.add(Token::Dim, "   children longer than their parent: narrowed");
    }
    canvas.line(1, &line);
}

fn draw_icicle(app: &App, icicle: &Icicle, canvas: &mut Canvas<'_>) {
    let here = icicle.find(&app.model, app.node);
    let row = here.and_then(|at| icicle.frames.get(at)).map_or(0, |frame| frame.row as usize);
    // The cursor and the row below it stay in sight.
    let top = (row + 2).saturating_sub(canvas.height());
    let largest = change(app);
    for (index, frame) in icicle.frames.iter().enumerate() {
        let Some(y) = (frame.row as usize).checked_sub(top).filter(|&y| y < canvas.height()) else { continue };
        let line = frame_line(app, frame, Some(index) == here, largest, canvas);
        canvas.put(y, frame.from, &line);
    }
    let mut line = canvas.new_line();
    if icicle.frames.is_empty() {
        line.add(
            Token::Plain,
            if app.model.is_empty() { " no spans on either side" } else { " nothing takes time here" },
        );
        canvas.line(0, &line);
    } else if top > 0 {
        line.add(Token::Dim, &format!("⋯ {} above ", units::counted(top as u64, "row", "rows")));
        let column = canvas.width().saturating_sub(line.width());
        canvas.put(0, column, &line);
    }
}

/// What shares are of: the change of the entry points, or the largest change of a self time, whichever is more.
fn change(app: &App) -> f64 {
    let own = app.flame.table.iter().map(|entry| entry.delta_ns().abs()).fold(0.0, f64::max);
    let entry = app.model.node(app.model.entry(app.node)).map_or(0.0, |entry| delta(entry).abs());
    own.max(entry).max(1.0)
}

fn delta(node: &TreeNode) -> f64 {
    time(node.sides.after) - time(node.sides.before)
}

/// One frame: mark, name, numbers as far as there is room, and the line at its right end.
fn frame_line(app: &App, frame: &Frame, here: bool, largest: f64, canvas: &Canvas<'_>) -> Line {
    let mut line = canvas.new_line();
    let Some(node) = app.model.node(frame.node) else { return line };
    let width = frame.to.saturating_sub(frame.from);
    let own = frame.own_delta_ns.abs() / largest;
    let passes = !app.filter.is_empty() && app.filter.node(&app.model, &app.names, frame.node);
    let token = match own {
        _ if here => Token::Cursor,
        _ if passes => Token::Match,
        share if share >= STRONG => Token::Strong,
        share if share >= SEEN => Token::Plain,
        _ => Token::Dim,
    };
    let mark = frame.marks.together(frame.time_ns.before, frame.time_ns.after);
    let mark_token = if here { Token::Cursor } else { Token::of(mark) };
    let mark = marks(app, frame, mark);
    let room = width.saturating_sub(1);
    if room < 5 {
        // Too narrow for a name: the mark, and where the frame ends.
        line.glyphs(mark_token, mark.chars().take(width.saturating_sub(1).max(1)).collect::<String>());
    } else {
        line.glyphs(mark_token, mark);
        line.glyphs(token, " ");
        let name = match (frame.count, frame.alike) {
            (1, _) => node.operation.name.to_string(),
            (count, true) => format!("{} ×{}", node.operation.name, units::count(u64::from(count))),
            (count, false) => format!("⋯ {}", units::count(u64::from(count))),
        };
        let numbers = numbers(frame, &node.operation.service, width);
        let name_room = room.saturating_sub(line.width());
        let numbers = app.look.show(&numbers).into_owned();
        let taken = numbers.chars().count();
        if taken > 0 && name_room >= taken + name.chars().count().min(16) {
            let short = app.look.shorten(&app.look.show(&name), name_room - taken);
            line.glyphs(token, short).glyphs(token, numbers);
        } else {
            line.glyphs(token, app.look.shorten(&app.look.show(&name), name_room));
        }
    }
    let fill = width.saturating_sub(line.width() + 1);
    line.glyphs(if here { Token::Cursor } else { Token::Plain }, " ".repeat(fill));
    if line.width() < width {
        line.glyphs(Token::Dim, app.look.glyphs.bar.to_string());
    }
    line
}

/// The mark of a frame; twice where the time changed by a fifth or more.
fn marks(app: &App, frame: &Frame, mark: Mark) -> String {
    let glyph = app.look.glyphs.mark(mark);
    let before = frame.time_ns.before;
    let large = before > 0.0 && (frame.time_ns.after - before).abs() / before >= LARGE;
    if large && matches!(mark, Mark::Worse | Mark::Better) { glyph.repeat(2) } else { glyph.to_owned() }
}

/// Service, time and difference, as many of them as a frame of this width can have.
fn numbers(frame: &Frame, service: &str, width: usize) -> String {
    let Pair { before, after } = frame.time_ns;
    let ns = if after > 0.0 { after } else { before };
    let delta = (after - before).round() as i64;
    let difference = format!("  {}", units::signed_duration(delta));
    let share = units::relative(delta, before.round() as i64).filter(|_| after > 0.0);
    let share = share.map_or_else(String::new, |share| format!(" ({share})"));
    match width {
        60.. if frame.alike => format!(" ({service})  {}{difference}{share}", shown(ns)),
        40.. => format!("  {}{difference}{share}", shown(ns)),
        26.. => format!("  {}{difference}", shown(ns)),
        _ => format!(" {}", units::signed_duration(delta)),
    }
}

fn draw_table(app: &App, canvas: &mut Canvas<'_>) {
    let state = &app.flame;
    let keys = format!(
        "{} {}  {} sorts",
        key_of(app, Action::NextPane),
        if state.in_table { "icicle" } else { "here" },
        key_of(app, Action::Sort)
    );
    canvas.rule(0, &format!("self time, by {}", state.sort.name()), &keys);
    let name = canvas.width().saturating_sub(3 + 2 * TIME + 2 * DELTA + 1);
    let mut line = canvas.new_line();
    line.spaces(3).left(Token::Dim, "operation (service)", name).right(Token::Dim, "self A", TIME);
    line.right(Token::Dim, "self B", TIME).right(Token::Dim, "Δ self", DELTA).right(Token::Dim, "calls", DELTA);
    canvas.line(1, &line);
    let height = list_height(app);
    // While the icicle has the keys, the operation of its frame is shown.
    let here = app.model.place(app.node).name;
    for (index, entry) in state.table.iter().enumerate().skip(state.list.top).take(height) {
        let Some(node) = app.model.node(entry.node) else { continue };
        let y = 2 + index - state.list.top;
        let mut line = canvas.new_line();
        let mark = entry.mark();
        line.spaces(1).glyphs(Token::of(mark), app.look.glyphs.mark(mark)).spaces(1);
        let token = if app.model.place(entry.node).name == here { Token::Strong } else { Token::Plain };
        line.left(token, &format!("{} ({})", node.operation.name, node.operation.service), name);
        let time = |ns: Option<f64>| ns.map_or_else(|| "—".to_owned(), shown);
        line.right(Token::Plain, &time(entry.own_ns.before), TIME).right(Token::Plain, &time(entry.own_ns.after), TIME);
        line.right(Token::of(mark), &units::signed_duration(entry.delta_ns().round() as i64), DELTA);
        line.right(Token::Plain, &units::calls(entry.calls.before, entry.calls.after), DELTA);
        canvas.line(y, &line);
        if state.in_table && index == state.list.cursor {
            canvas.highlight(y);
        }
    }
    if state.table.is_empty() {
        let mut line = canvas.new_line();
        line.add(Token::Plain, " nothing passes the filter");
        canvas.line(2, &line);
    }
}
