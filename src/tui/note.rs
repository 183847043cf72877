//! The incident note: what leaves the session as Markdown.

use super::app::App;

/// The note.
pub fn incident(_app: &App) -> String {
    String::new()
}
