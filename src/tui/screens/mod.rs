//! The screens, one file each: its own state, what its commands do, how it is drawn, what of it is copied.

pub mod attributes;
pub mod detail;
pub mod findings;
pub mod flame;
pub mod notes;
pub mod services;
pub mod tree;
pub mod waterfall;

use super::action::{Action, Screen};
use super::app::{App, List};
use super::canvas::Canvas;
use super::layout;
use super::update::Effect;

/// What a command does on this screen alone; `None` where it does what it does everywhere.
pub fn act(app: &mut App, action: Action) -> Option<Vec<Effect>> {
    match app.screen {
        Screen::Findings => findings::act(app, action),
        Screen::Tree => None,
        Screen::Waterfall => waterfall::act(app, action),
        Screen::Flame => flame::act(app, action),
        Screen::Services => services::act(app, action),
        Screen::Attributes => attributes::act(app, action),
        Screen::Notes => notes::act(app, action),
        Screen::Detail => detail::act(app, action),
    }
}

/// The cursor of the screen's list and how long the list is; `None` where there is no list.
pub fn list(app: &mut App) -> Option<(&mut List, usize)> {
    match app.screen {
        Screen::Findings => Some((&mut app.findings.list, app.findings.order.len())),
        Screen::Tree | Screen::Waterfall => Some((&mut app.rows.list, app.rows.rows.len())),
        Screen::Flame => flame::list(app),
        Screen::Services => Some((&mut app.services.list, app.services.edges.len())),
        Screen::Attributes => Some((&mut app.attributes.list, app.attributes.rows.len())),
        Screen::Notes => {
            let len = notes::len(app);
            Some((&mut app.notes_screen.list, len))
        }
        Screen::Detail => {
            let len = detail::len(app);
            Some((&mut app.details.list, len))
        }
    }
}

/// The cursor of the list was moved: node and finding of all screens follow.
pub fn moved(app: &mut App) {
    match app.screen {
        Screen::Findings => findings::moved(app),
        Screen::Tree | Screen::Waterfall => app.follow_rows(),
        Screen::Services => services::moved(app),
        Screen::Attributes => attributes::moved(app),
        Screen::Notes => notes::moved(app),
        Screen::Flame => flame::moved(app),
        Screen::Detail => {}
    }
}

/// The screen was opened, or the node changed elsewhere: its cursor follows.
pub fn entered(app: &mut App) {
    match app.screen {
        Screen::Findings => findings::entered(app),
        Screen::Tree | Screen::Waterfall => app.reveal(app.node),
        Screen::Flame => flame::entered(app),
        Screen::Services => services::entered(app),
        Screen::Attributes => attributes::entered(app),
        Screen::Notes => {}
        Screen::Detail => detail::entered(app),
    }
}

/// Rows of the screen's list.
pub fn list_height(app: &App) -> usize {
    let list = usize::from(layout::split(app).0.height);
    match app.screen {
        Screen::Findings => findings::list_height(app),
        Screen::Tree | Screen::Attributes => list.saturating_sub(1),
        Screen::Waterfall => waterfall::list_height(app),
        Screen::Flame => flame::list_height(app),
        Screen::Services => services::list_height(app),
        Screen::Notes => notes::list_height(app),
        Screen::Detail => detail::list_height(app),
    }
}

/// Brings the lists of all screens but the shared rows into their bounds.
pub fn settle(app: &mut App) {
    match app.screen {
        Screen::Tree => return,
        Screen::Waterfall => return waterfall::settle(app),
        _ => {}
    }
    let height = list_height(app).max(1);
    if let Some((list, len)) = list(app) {
        list.settle(len, height);
    }
}

/// A row of the terminal was pressed.
pub fn click(app: &mut App, row: u16) -> Vec<Effect> {
    let first = match app.screen {
        Screen::Waterfall => {
            if let Some(row) = waterfall::row_at(app, row).filter(|&row| row < app.rows.rows.len()) {
                app.rows.list.cursor = row;
                app.follow_rows();
            }
            return Vec::new();
        }
        Screen::Findings => findings::first_row(app),
        Screen::Tree => layout::frame(app.size).body.y + 1,
        _ => return Vec::new(),
    };
    if let (Some(row), Some((list, len))) = (row.checked_sub(first), list(app)) {
        let target = list.top + usize::from(row);
        if target < len {
            list.cursor = target;
            moved(app);
        }
    }
    Vec::new()
}

/// Draws the body.
pub fn draw(app: &App, canvas: &mut Canvas<'_>) {
    match app.screen {
        Screen::Findings => findings::draw(app, canvas),
        Screen::Tree => tree::draw(app, canvas),
        Screen::Waterfall => waterfall::draw(app, canvas),
        Screen::Flame => flame::draw(app, canvas),
        Screen::Services => services::draw(app, canvas),
        Screen::Attributes => attributes::draw(app, canvas),
        Screen::Notes => notes::draw(app, canvas),
        Screen::Detail => detail::draw(app, canvas),
    }
}

/// Where the cursor is, in words: the last line.
pub fn status(app: &App) -> String {
    match app.screen {
        Screen::Findings => findings::status(app),
        Screen::Tree => tree::status(app),
        Screen::Waterfall => waterfall::status(app),
        Screen::Flame => flame::status(app),
        Screen::Services => services::status(app),
        Screen::Attributes => attributes::status(app),
        Screen::Notes => notes::status(app),
        Screen::Detail => detail::status(app),
    }
}

/// What the cursor is on, as text to paste; as Markdown for a chat or a ticket.
pub fn copy(app: &App, markdown: bool) -> String {
    match app.screen {
        Screen::Findings => findings::copy(app, markdown),
        Screen::Services => services::copy(app, markdown),
        Screen::Attributes => attributes::copy(app, markdown),
        Screen::Notes => notes::copy(app, markdown),
        Screen::Detail => detail::copy(app, markdown),
        Screen::Tree | Screen::Waterfall | Screen::Flame => tree::copy(app, markdown),
    }
}
