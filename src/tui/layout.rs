//! Where the parts of a screen are, by its size.

use super::app::App;
use ratatui_core::layout::Rect;

/// Below this the screens make no sense any more: a list of findings is all there is.
pub const SMALLEST: (u16, u16) = (60, 16);

/// The parts of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where am I, and what is compared.
    pub title: Rect,
    /// The screens by number; empty where the title has room for them.
    pub tabs: Rect,
    /// What the screen shows.
    pub body: Rect,
    /// Keys.
    pub keys: Rect,
    /// Where the cursor is.
    pub state: Rect,
    /// Whether rules stand above and below the body.
    pub rules: bool,
}

/// Whether there is room for columns that explain more.
pub const fn is_wide(size: (u16, u16)) -> bool {
    size.0 >= 110
}

/// Whether there is room for rows that explain more.
pub const fn is_high(size: (u16, u16)) -> bool {
    size.1 >= 30
}

/// Divides the terminal.
pub fn frame(size: (u16, u16)) -> Frame {
    let (width, height) = size;
    let row = |y: u16, rows: u16| Rect { x: 0, y, width, height: rows };
    let (tabs, rules) = (is_wide(size) && is_high(size), height >= 20);
    let top = 1 + u16::from(tabs) + u16::from(rules);
    let bottom = 2 + u16::from(rules);
    Frame {
        title: row(0, u16::from(height > 0)),
        tabs: row(1, u16::from(tabs)),
        body: row(top, height.saturating_sub(top + bottom)),
        keys: row(height.saturating_sub(2), u16::from(height > 4)),
        state: row(height.saturating_sub(1), u16::from(height > 3)),
        rules,
    }
}

/// Rows of the panel below the list, its rule included; none where the list has the screen for itself.
pub fn panel_height(app: &App) -> u16 {
    let body = frame(app.size).body.height;
    if app.full_pane || body < 13 {
        0
    } else if body >= 26 {
        11
    } else {
        body / 3
    }
}

/// The body above its panel, and the panel.
pub fn split(app: &App) -> (Rect, Rect) {
    let body = frame(app.size).body;
    let panel = panel_height(app);
    let list = Rect { height: body.height - panel, ..body };
    (list, Rect { y: body.y + list.height, height: panel, ..body })
}

/// Rows of the list of the screen that is seen.
pub fn list_height(app: &App) -> usize {
    super::screens::list_height(app).max(1)
}
