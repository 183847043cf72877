//! When spans ran, both sides on one scale: what is on the critical path, what is off it, what the other side has.

mod draw;
mod path;
mod scale;
mod strip;
mod times;

pub use draw::draw;

use crate::diff::Mode;
use crate::model::{Side, units};
use crate::tui::action::Action;
use crate::tui::app::App;
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::rows::Row;
use crate::tui::update::Effect;
use path::CriticalPath;
use ratatui_core::layout::Rect;
use scale::Window;
use std::sync::{Arc, Weak};
use times::{Align, Bar, Times};

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Whether A stands above B instead of beside it; by the width if nobody said.
    stacked: Option<bool>,
    /// What moments count from.
    align: Align,
    /// What is zoomed to; everything if nothing.
    window: Option<Window>,
    /// Where a range begins whose end is not marked yet.
    mark: Option<Bar>,
    /// What was worked out of the comparison, and of which.
    laid: Option<Laid>,
}

/// What is worked out once for a comparison.
#[derive(Clone, Debug)]
struct Laid {
    /// Of which comparison; weak, so that an old one is not kept alive.
    model: Weak<Model>,
    align: Align,
    times: Times,
    /// The entry point of the path.
    entry: u32,
    path: CriticalPath,
}

/// Brings what is worked out up to the comparison, the alignment and the entry point that are seen.
pub fn settle(app: &mut App) {
    let entry = app.model.entry(app.node);
    let state = &mut app.waterfall;
    let same = |laid: &Laid| std::ptr::eq(laid.model.as_ptr(), Arc::as_ptr(&app.model));
    match &mut state.laid {
        Some(laid) if same(laid) && laid.align == state.align => {
            if laid.entry != entry {
                laid.path = CriticalPath::new(&app.model, entry);
                laid.entry = entry;
            }
        }
        laid => {
            *laid = Some(Laid {
                model: Arc::downgrade(&app.model),
                align: state.align,
                times: Times::new(&app.model, state.align),
                entry,
                path: CriticalPath::new(&app.model, entry),
            });
            (state.window, state.mark) = (None, None);
        }
    }
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    let whole = whole(app);
    let window = window(app);
    let here = app.row().and_then(|row| hull(app, &row));
    let stacked = is_stacked(app);
    let state = &mut app.waterfall;
    match action {
        Action::Layout => state.stacked = Some(!stacked),
        Action::ZoomIn | Action::ZoomOut => {
            let centre = here.map_or(window.from_ns, |bar| bar.from_ns.midpoint(bar.to_ns));
            let next = window.zoom(whole, centre, action == Action::ZoomIn);
            state.window = Some(next).filter(|next| *next != whole);
        }
        Action::ZoomFit => state.window = None,
        Action::PanLeft | Action::PanRight => {
            if state.window.is_some() {
                state.window = Some(window.pan(whole, action == Action::PanRight));
            } else {
                app.message = Some("all of the time is seen: + zooms in".to_owned());
            }
        }
        Action::FitSpan => state.window = here.map(|bar| Window::fit(whole, bar.from_ns, bar.to_ns)),
        Action::MarkTime => mark(app, here),
        Action::Align => {
            state.align = state.align.next();
            app.message = Some(format!("times: {}", state.align.name()));
        }
        Action::Close if state.mark.is_some() => {
            state.mark = None;
            app.message = Some("no range any more".to_owned());
        }
        _ => return None,
    }
    Some(Vec::new())
}

/// The first press keeps this row; the second zooms to what lies from one to the other.
fn mark(app: &mut App, here: Option<Bar>) {
    let Some(here) = here else { return };
    let whole = whole(app);
    match app.waterfall.mark.take() {
        None => {
            app.waterfall.mark = Some(here);
            app.message = Some("the range begins with this row: m on another one zooms to both".to_owned());
        }
        Some(first) => {
            let both = first.hull(here);
            app.waterfall.window = Some(Window::fit(whole, both.from_ns, both.to_ns));
        }
    }
}

/// Whether A stands above B.
fn is_stacked(app: &App) -> bool {
    app.waterfall.stacked.unwrap_or(!layout::is_wide(app.size))
}

fn times(app: &App) -> Option<&Times> {
    app.waterfall.laid.as_ref().map(|laid| &laid.times)
}

/// All of the time.
fn whole(app: &App) -> Window {
    times(app).map_or(Window { from_ns: 0, span_ns: 1 }, |times| times.whole)
}

/// What of it is seen.
fn window(app: &App) -> Window {
    app.waterfall.window.unwrap_or_else(|| whole(app))
}

/// When what a row shows ran, on both sides.
fn hull(app: &App, row: &Row) -> Option<Bar> {
    times(app)?.hull(drawn(row))
}

/// The nodes that a row draws: its own, or all of a fold.
const fn drawn(row: &Row) -> std::ops::Range<u32> {
    if row.is_node() { row.first..row.first.saturating_add(1) } else { row.first..row.end }
}

/// The list with its heading, and the panel.
fn split(app: &App) -> (Rect, Rect) {
    let body = layout::frame(app.size).body;
    let panel = match body.height {
        _ if app.full_pane => 0,
        0..13 => 0,
        13..26 => 4,
        _ => 7,
    };
    let list = Rect { height: body.height.saturating_sub(panel), ..body };
    (list, Rect { y: body.y.saturating_add(list.height), height: panel, ..body })
}

/// Rows of the terminal above the first row of the list.
fn heading_height(app: &App) -> usize {
    let many = app.model.diff.mode == Mode::Population;
    match (is_stacked(app), layout::is_high(app.size)) {
        (true, true) if !many => 3,
        (true, false) if !many => 1,
        _ => 2,
    }
}

/// Rows of the terminal that each row takes.
fn rows_each(app: &App) -> usize {
    if is_stacked(app) { 2 } else { 1 }
}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    usize::from(split(app).0.height).saturating_sub(heading_height(app)) / rows_each(app)
}

/// The row of the list at a row of the terminal.
pub fn row_at(app: &App, row: u16) -> Option<usize> {
    let first = split(app).0.y as usize + heading_height(app);
    let row = usize::from(row).checked_sub(first)? / rows_each(app);
    (row < list_height(app)).then_some(app.rows.list.top + row)
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let rows = app.rows.rows.len();
    let at = if rows == 0 { 0 } else { app.rows.list.cursor + 1 };
    let mut parts = vec![format!("row {at}/{rows}")];
    if let Some(node) = app.model.node(app.node) {
        parts.push(format!("{} ({})", node.operation.name, node.operation.service));
        let mut side = |letter: &str, side: Option<crate::diff::NodeSide>| {
            let ran = side.map_or_else(
                || "—".to_owned(),
                |side| match side.many {
                    Some(_) => units::duration(side.duration_ns),
                    None => format!(
                        "{} at {}",
                        units::duration(side.duration_ns),
                        units::duration(side.start_ns.max(0).unsigned_abs())
                    ),
                },
            );
            parts.push(format!("{letter} {ran}"));
        };
        side("A", node.sides.before);
        side("B", node.sides.after);
    }
    if app.waterfall.mark.is_some() {
        parts.push("range begun (m)".to_owned());
    }
    if app.rows.critical_only {
        parts.push("critical path only (p)".to_owned());
    }
    parts.push(format!("1 cell {}", per_cell(app)));
    parts.join("   ")
}

/// The time that one column stands for.
fn per_cell(app: &App) -> String {
    let columns = draw::Columns::new(app).bars.max(1) as u64;
    if app.waterfall.align == Align::Ends {
        return units::percent(window(app).share(whole(app)) / columns as f64);
    }
    units::duration(window(app).span_ns / columns)
}

/// The letter of a side.
const fn letter(side: Side) -> &'static str {
    match side {
        Side::Before => "A",
        Side::After => "B",
    }
}
