//! Where the time goes, as an icicle: callers above, what they call below, wide where the time is.

mod draw;
mod frames;
mod table;

pub use draw::draw;

use crate::model::{Side, units};
use crate::tui::action::Action;
use crate::tui::app::{App, List};
use crate::tui::layout;
use crate::tui::model::Model;
use crate::tui::update::Effect;
use frames::{Direction, Icicle, Width, own_time, time};
use ratatui_core::layout::Rect;
use std::sync::{Arc, Weak};
use table::{Entry, Sort};

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor of the table.
    list: List,
    /// Whether the keys move in the table.
    in_table: bool,
    /// The order of the table.
    sort: Sort,
    /// What makes a frame wide.
    width: Width,
    /// Whether only what is gone is shown.
    only_gone: bool,
    /// The frames that were zoomed into, the last one seen.
    zoomed: Vec<u32>,
    /// Operations by self time.
    table: Vec<Entry>,
    /// How wide each node wants to be.
    weights: Vec<f64>,
    /// How many nodes each side lacks, and what they take on the other: absent before, absent after.
    lacking: crate::model::Pair<(u64, f64)>,
    /// Of which comparison all that is; weak, so that an old one is not kept alive.
    model: Weak<Model>,
}

/// Makes it anew.
pub fn rebuild(app: &mut App) {
    let (filter, names) = (&app.filter, &app.names);
    let passes = |node: u32| filter.is_empty() || filter.node(&app.model, names, node);
    let state = &mut app.flame;
    state.table = table::entries(&app.model, state.sort, passes);
    if !std::ptr::eq(state.model.as_ptr(), Arc::as_ptr(&app.model)) {
        state.model = Arc::downgrade(&app.model);
        state.zoomed.clear();
        state.lacking = crate::model::Pair::new(lacking(&app.model, Side::Before), lacking(&app.model, Side::After));
        state.only_gone &= state.lacking.after.0 > 0;
        weigh(app);
    }
}

fn weigh(app: &mut App) {
    app.flame.weights = frames::weights(&app.model, app.flame.width, app.flame.only_gone);
}

/// How many nodes a side lacks, and what they take on the other side, nanoseconds.
fn lacking(model: &Model, side: Side) -> (u64, f64) {
    let tree = &model.diff.tree;
    let gone = tree.iter().filter(|node| node.sides.get(side).is_none());
    let own = |node: &crate::diff::TreeNode| own_time(node.sides.before) + own_time(node.sides.after);
    gone.fold((0, 0.0), |(count, ns), node| (count + 1, ns + own(node)))
}

/// What commands do here.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match action {
        Action::NextPane | Action::PreviousPane => {
            app.flame.in_table = !app.flame.in_table;
            if app.flame.in_table {
                moved(app);
            }
        }
        Action::Sort => {
            app.flame.sort = app.flame.sort.next();
            rebuild(app);
            app.message = Some(format!("table by {}", app.flame.sort.name()));
        }
        Action::Widths => {
            app.flame.width = app.flame.width.next();
            app.flame.only_gone = false;
            weigh(app);
        }
        Action::Elided => toggle_gone(app),
        Action::Close if !app.flame.zoomed.is_empty() => {
            app.flame.zoomed.pop();
        }
        Action::Next if !app.flame.in_table => go(app, Direction::Down),
        Action::Previous if !app.flame.in_table => go(app, Direction::Up),
        Action::Left if !app.flame.in_table => go(app, Direction::Left),
        Action::Right if !app.flame.in_table => go(app, Direction::Right),
        Action::Left | Action::Right => {}
        Action::Parent if app.model.parent(app.node).is_some() => {
            stand_at(app, app.model.parent(app.node).unwrap_or(app.node));
            entered(app);
        }
        Action::Top if !app.flame.in_table => match app.flame.zoomed.last() {
            Some(&root) => stand_at(app, root),
            None => stand_at(app, app.model.entry(app.node)),
        },
        Action::Open if !app.flame.in_table => return zoom(app),
        _ => return None,
    }
    Some(Vec::new())
}

fn toggle_gone(app: &mut App) {
    if app.flame.lacking.after.0 == 0 {
        app.message = Some("nothing is gone: whatever A has, B has too".to_owned());
        return;
    }
    app.flame.only_gone = !app.flame.only_gone;
    weigh(app);
}

/// Moves to the frame beside this one.
fn go(app: &mut App, direction: Direction) {
    let icicle = icicle(app);
    let Some(here) = icicle.find(&app.model, app.node) else {
        if let Some(first) = icicle.frames.first() {
            stand_at(app, first.node);
        }
        return;
    };
    if let Some(frame) = icicle.neighbour(here, direction).and_then(|at| icicle.frames.get(at)) {
        stand_at(app, frame.node);
        return;
    }
    let words = match direction {
        Direction::Up if !app.flame.zoomed.is_empty() => "this is what was zoomed into: q goes out",
        Direction::Up => "this is an entry point",
        Direction::Down => "nothing below that is wide enough to be seen",
        Direction::Left | Direction::Right => "nothing more in this row",
    };
    app.message = Some(words.to_owned());
}

/// Makes the frame of the cursor as wide as the screen; from a frame without children to its details.
fn zoom(app: &mut App) -> Option<Vec<Effect>> {
    let icicle = icicle(app);
    let frame = icicle.find(&app.model, app.node).and_then(|at| icicle.frames.get(at))?;
    // Of several siblings in one frame the one of the cursor.
    let node = if frame.count > 1 { app.node } else { frame.node };
    let leaf = app.model.place(node).end <= node.saturating_add(1);
    if leaf || app.flame.zoomed.last() == Some(&node) {
        return None;
    }
    stand_at(app, node);
    app.flame.zoomed.push(node);
    Some(Vec::new())
}

/// The node of all screens becomes this one.
fn stand_at(app: &mut App, node: u32) {
    app.node = node;
    if let Some(finding) = app.model.node(node).and_then(|node| node.finding) {
        app.finding = finding;
    }
}

/// The cursor of the table was moved.
pub fn moved(app: &mut App) {
    if let Some(entry) = app.flame.table.get(app.flame.list.cursor).copied() {
        stand_at(app, entry.node);
        entered(app);
    }
}

/// The node was changed elsewhere: what was zoomed into must contain it.
pub fn entered(app: &mut App) {
    let holds = |root: u32| (root..app.model.place(root).end).contains(&app.node);
    while app.flame.zoomed.last().is_some_and(|&root| !holds(root)) {
        app.flame.zoomed.pop();
    }
}

/// The table, while the keys move in it.
pub fn list(app: &mut App) -> Option<(&mut List, usize)> {
    let len = app.flame.table.len();
    app.flame.in_table.then_some((&mut app.flame.list, len))
}

/// What the screen shows: heading, icicle, table.
fn split(app: &App) -> (Rect, Rect, Rect) {
    let body = layout::frame(app.size).body;
    let heading = body.height.min(2);
    let below = body.height - heading;
    let table = match (app.full_pane, app.flame.in_table) {
        (true, true) => below,
        (true, false) => 0,
        _ if below < 8 => 0,
        _ => below / 2,
    };
    let part = |y: u16, height: u16| Rect { y: body.y.saturating_add(y), height, ..body };
    (part(0, heading), part(heading, below - table), part(body.height - table, table))
}

/// Rows of the table.
pub fn list_height(app: &App) -> usize {
    usize::from(split(app).2.height).saturating_sub(2)
}

/// The frames, down to some rows below the cursor.
fn icicle(app: &App) -> Icicle {
    let (_, area, _) = split(app);
    let root = app.flame.zoomed.last().copied();
    let depth = |node: u32| app.model.node(node).map_or(0, |node| node.depth);
    let below = depth(app.node).saturating_sub(root.map_or(0, depth));
    let rows = below.saturating_add(u32::from(area.height)).saturating_add(1);
    Icicle::new(&app.model, &app.flame.weights, root, (usize::from(app.size.0), rows))
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    let Some(node) = app.model.node(app.node) else { return String::new() };
    let entry = app.model.node(app.model.entry(app.node));
    let side = |letter: &str, side: Side| {
        let (ns, all) = (time(*node.sides.get(side)), entry.map_or(0.0, |entry| time(*entry.sides.get(side))));
        match node.sides.get(side) {
            None => format!("{letter} —"),
            Some(_) if all > 0.0 => format!("{letter} {} ({})", shown(ns), units::percent(ns / all)),
            Some(_) => format!("{letter} {}", shown(ns)),
        }
    };
    let own = own_time(node.sides.after) - own_time(node.sides.before);
    format!(
        "{} ({})   {}   {}   self {}",
        node.operation.name,
        node.operation.service,
        side("A", Side::Before),
        side("B", Side::After),
        units::signed_duration(own.round() as i64)
    )
}

/// Nanoseconds as people read them.
fn shown(ns: f64) -> String {
    units::duration(ns.max(0.0).round() as u64)
}
