//! Notes and bookmarks, and what was compared.

use crate::tui::action::Action;
use crate::tui::app::{App, List, Note};
use crate::tui::canvas::Canvas;
use crate::tui::theme::Token;
use crate::tui::update::Effect;

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
}

/// The note at the place of the cursor.
pub fn note_here(app: &App) -> Option<&Note> {
    app.notes.iter().find(|note| note.node == Some(app.node))
}

/// Sets or removes the bookmark of the node of the cursor.
pub fn toggle_bookmark(app: &mut App) {
    let node = Some(app.node).filter(|_| !app.model.is_empty());
    let finding = app.model.node(app.node).and_then(|node| node.finding);
    if let Some(note) = app.notes.iter_mut().find(|note| note.node == node) {
        note.bookmark = !note.bookmark;
        app.notes.retain(|note| note.bookmark || !note.text.is_empty());
    } else {
        app.notes.push(Note { node, finding, text: String::new(), bookmark: true });
    }
}

/// Writes a note at the node of the cursor; an empty one removes it.
pub fn write(app: &mut App, text: &str) {
    let node = Some(app.node).filter(|_| !app.model.is_empty());
    let finding = app.model.node(app.node).and_then(|node| node.finding);
    let text = text.trim().to_owned();
    if let Some(note) = app.notes.iter_mut().find(|note| note.node == node) {
        note.text = text;
        app.notes.retain(|note| note.bookmark || !note.text.is_empty());
    } else if !text.is_empty() {
        app.notes.push(Note { node, finding, text, bookmark: false });
    }
}

/// What commands do here.
pub fn act(_app: &mut App, _action: Action) -> Option<Vec<Effect>> {
    None
}

/// The cursor was moved.
pub fn moved(_app: &mut App) {}

/// Draws it.
pub fn draw(_app: &App, canvas: &mut Canvas<'_>) {
    let mut line = canvas.new_line();
    line.add(Token::Plain, "");
    canvas.line(0, &line);
}

/// Where the cursor is.
pub fn status(app: &App) -> String {
    format!("{} notes", app.notes.len())
}

/// What is copied.
pub fn copy(_app: &App, _markdown: bool) -> String {
    String::new()
}
