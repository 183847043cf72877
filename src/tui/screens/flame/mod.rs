//! Where the time goes, as an icicle.

use crate::tui::action::Action;
use crate::tui::app::{App, List};
use crate::tui::canvas::Canvas;
use crate::tui::update::Effect;

/// What this screen remembers.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The cursor.
    pub list: List,
}

/// Makes it anew.
pub fn rebuild(_app: &mut App) {}

/// What commands do here.
pub fn act(_app: &mut App, _action: Action) -> Option<Vec<Effect>> {
    None
}

/// The cursor was moved.
pub fn moved(_app: &mut App) {}

/// The node was changed elsewhere.
pub fn entered(_app: &mut App) {}

/// Rows of the list.
pub fn list_height(app: &App) -> usize {
    usize::from(crate::tui::layout::split(app).0.height)
}

/// Draws it.
pub fn draw(_app: &App, _canvas: &mut Canvas<'_>) {}

/// Where the cursor is.
pub fn status(_app: &App) -> String {
    String::new()
}

/// What is copied.
pub fn copy(_app: &App, _markdown: bool) -> String {
    String::new()
}
