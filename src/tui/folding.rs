//! What commands do to the rows that tree and waterfall share: open, close, show what is equal, look for matches.

use super::action::Action;
use super::app::App;
use super::model::Model;
use super::rows;
use super::update::{Effect, go, seek};

/// What commands do to the rows that tree and waterfall share.
pub fn act(app: &mut App, action: Action) -> Vec<Effect> {
    let folds = &mut app.rows.folds;
    match action {
        Action::OpenAll => folds.mode = rows::ALL,
        Action::CloseAll => folds.mode = rows::Mode::Level(0),
        Action::ChangesOnly => {
            folds.mode = rows::Mode::Changes;
            folds.shown.clear();
        }
        Action::FoldLess | Action::FoldMore => {
            let depth = app.model.node(app.node).map_or(0, |node| node.depth);
            let level = match folds.mode {
                rows::Mode::Level(level) if level != u32::MAX => level,
                _ => depth + 1,
            };
            let next = if action == Action::FoldLess { level.saturating_add(1) } else { level.saturating_sub(1) };
            folds.mode = rows::Mode::Level(next);
        }
        Action::LowerBound => folds.bound_ns = if folds.bound_ns <= 100_000 { 0 } else { folds.bound_ns / 2 },
        Action::RaiseBound => folds.bound_ns = (folds.bound_ns * 2).clamp(100_000, 1 << 50),
        Action::ShowEqual => return show_equal(app),
        Action::ToggleFold => return toggle(app),
        Action::Left => return left(app),
        Action::Right => return right(app),
        Action::CriticalOnly => app.rows.critical_only = !app.rows.critical_only,
        Action::SameName => {
            let name = app.model.place(app.node).name;
            seek(app, true, "row of this name", |model, node| model.place(node).name == name);
            return Vec::new();
        }
        Action::NextMatch | Action::PreviousMatch => {
            let (filter, names) = (app.filter.clone(), app.names.clone());
            if filter.is_empty() {
                app.message = Some("nothing is filtered: / begins a filter".to_owned());
            } else {
                let passes = |model: &Model, node: u32| filter.node(model, &names, node);
                seek(app, action == Action::NextMatch, "match", passes);
            }
            return Vec::new();
        }
        _ => return Vec::new(),
    }
    if matches!(action, Action::OpenAll | Action::CloseAll | Action::ChangesOnly | Action::FoldLess | Action::FoldMore)
    {
        app.rows.folds.flipped.clear();
    }
    app.rebuild_rows();
    app.follow_rows();
    Vec::new()
}

/// Shows the fold under the cursor, or folds what is equal around it again.
fn show_equal(app: &mut App) -> Vec<Effect> {
    let Some(row) = app.row() else { return Vec::new() };
    if row.is_node() {
        // The fold that this node was in, if there was one: the nearest shown one before it.
        let node = app.node;
        let Some(first) = app.rows.folds.shown.iter().copied().filter(|&first| first <= node).max() else {
            app.message = Some("no fold here; zR opens everything".to_owned());
            return Vec::new();
        };
        app.rows.folds.shown.remove(&first);
    } else {
        app.rows.folds.shown.insert(row.first);
    }
    app.rebuild_rows();
    app.follow_rows();
    Vec::new()
}

fn toggle(app: &mut App) -> Vec<Effect> {
    match app.row().map(|row| row.kind) {
        Some(rows::RowKind::Open | rows::RowKind::Closed) => {
            rows::toggle(&mut app.rows.folds, app.node);
            app.rebuild_rows();
            app.follow_rows();
            Vec::new()
        }
        Some(rows::RowKind::Same | rows::RowKind::Repeated) => show_equal(app),
        _ => Vec::new(),
    }
}

/// Closes an open row; from any other goes to the parent.
fn left(app: &mut App) -> Vec<Effect> {
    if app.row().is_some_and(|row| row.kind == rows::RowKind::Open) {
        return toggle(app);
    }
    if let Some(parent) = app.model.parent(app.node) {
        app.reveal(parent);
    }
    Vec::new()
}

/// Opens a closed row; from an open one goes to its first child.
fn right(app: &mut App) -> Vec<Effect> {
    match app.row().map(|row| row.kind) {
        Some(rows::RowKind::Open) => go(app, 1),
        Some(rows::RowKind::Leaf) | None => Vec::new(),
        Some(_) => toggle(app),
    }
}
