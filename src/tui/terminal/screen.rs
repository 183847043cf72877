//! What is written to the terminal: the alternate screen, differences between frames, the clipboard.

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{MoveTo, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{Command, queue};
use ratatui_core::backend::Backend;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::Modifier;
use ratatui_crossterm::CrosstermBackend;
use std::io::{self, Write};

/// A terminal and what it shows.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
    /// What was drawn last; `None` when nothing is known of what the terminal shows.
    shown: Option<(Buffer, Position)>,
    /// Whether the alternate screen is on.
    active: bool,
    mouse: bool,
}

impl<W: Write> Screen<W> {
    /// A terminal that is left as it is for now.
    pub const fn new(out: W) -> Screen<W> {
        Screen { out, shown: None, active: false, mouse: false }
    }

    /// Whether it was entered.
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Goes to the alternate screen.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn enter(&mut self) -> io::Result<()> {
        self.active = true;
        self.shown = None;
        let mut bytes = Vec::new();
        queue!(bytes, EnterAlternateScreen, EnableBracketedPaste)?;
        if self.mouse {
            queue!(bytes, EnableMouseCapture)?;
        }
        self.write(&bytes)
    }

    /// Back to where it was entered from.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn leave(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.active) {
            return Ok(());
        }
        self.shown = None;
        let mut bytes = Vec::new();
        leaving(&mut bytes, self.mouse)?;
        self.write(&bytes)
    }

    /// Shows a frame: only what differs from the one before is written, and nothing when nothing does.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn draw(&mut self, next: Buffer) -> io::Result<()> {
        let cursor = cursor_of(&next);
        let whole = self.shown.as_ref().is_none_or(|(shown, _)| shown.area != next.area);
        let blank = Buffer::empty(next.area);
        let before = self.shown.as_ref().map_or(&blank, |(shown, _)| shown);
        let before = if whole { &blank } else { before };
        let changes = before.diff(&next);
        let moved = self.shown.as_ref().is_none_or(|(_, shown)| *shown != cursor);
        if !whole && changes.is_empty() && !moved {
            return Ok(());
        }
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate)?;
        if whole {
            queue!(bytes, Clear(ClearType::All))?;
        }
        if !changes.is_empty() {
            CrosstermBackend::new(&mut bytes).draw(changes.into_iter())?;
        }
        queue!(bytes, MoveTo(cursor.x, cursor.y), Show, EndSynchronizedUpdate)?;
        self.shown = Some((next, cursor));
        self.write(&bytes)
    }

    /// Switches reports of the mouse.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { self.tell(EnableMouseCapture) } else { self.tell(DisableMouseCapture) }
    }

    /// Hands text to the terminal's clipboard; whether it takes it, it does not say.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        self.tell(CopyToClipboard::to_clipboard_from(text))
    }

    fn tell(&mut self, command: impl Command) -> io::Result<()> {
        let mut bytes = Vec::new();
        queue!(bytes, command)?;
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// The bytes that bring a terminal back, whatever it was doing.
///
/// # Errors
/// `out` cannot be written to.
pub fn leaving(out: &mut impl Write, mouse: bool) -> io::Result<()> {
    if mouse {
        queue!(out, DisableMouseCapture)?;
    }
    queue!(out, EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show)
}

/// Where the terminal's own cursor belongs, which screen readers and magnifiers follow: a line of input, which is the
/// last thing that is reversed on the screen, else the row that is reversed from its first column on.
fn cursor_of(buffer: &Buffer) -> Position {
    let Rect { width, height, .. } = buffer.area;
    let is_reversed =
        |x: u16, y: u16| buffer.cell((x, y)).is_some_and(|cell| cell.modifier.contains(Modifier::REVERSED));
    let last = height.saturating_sub(1);
    let input = (0..width).rev().find(|&x| is_reversed(x, last)).map(|x| Position { x, y: last });
    let row = || (0..height).find(|&y| is_reversed(0, y)).map(|y| Position { x: 0, y });
    let any = || (0..height).find_map(|y| (0..width).find(|&x| is_reversed(x, y)).map(|x| Position { x, y }));
    input.or_else(row).or_else(any).unwrap_or(Position { x: 0, y: last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui_core::style::Style;

    fn frame(rows: [&str; 3]) -> Buffer {
        Buffer::with_lines(rows)
    }

    fn shown(bytes: &[u8]) -> vt100::Parser {
        let size = |number: u16| std::num::NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(3), size(10), 0);
        parser.process(bytes);
        parser
    }

    #[test]
    fn frames_arrive_and_equal_ones_cost_nothing() {
        let mut bytes = Vec::new();
        let mut screen = Screen::new(&mut bytes);
        screen.enter().unwrap();
        screen.draw(frame(["one       ", "two       ", "          "])).unwrap();
        screen.draw(frame(["one       ", "twö       ", "          "])).unwrap();
        screen.draw(frame(["one       ", "twö       ", "          "])).unwrap();
        drop(screen);
        let parser = shown(&bytes);
        assert_eq!(parser.screen().contents().trim_end(), "one\ntwö");
        assert!(parser.screen().alternate_screen() && parser.screen().bracketed_paste());

        let mut none = Vec::new();
        let mut screen = Screen::new(&mut none);
        screen.draw(frame(["one       ", "two       ", "          "])).unwrap();
        let first = screen.out.len();
        screen.draw(frame(["one       ", "two       ", "          "])).unwrap();
        assert_eq!(screen.out.len(), first, "an equal frame writes nothing");
    }

    #[test]
    fn leaving_undoes_what_entering_did() {
        let mut bytes = Vec::new();
        let mut screen = Screen::new(&mut bytes);
        screen.enter().unwrap();
        screen.mouse(true).unwrap();
        screen.draw(frame(["x         ", "          ", "          "])).unwrap();
        screen.leave().unwrap();
        screen.leave().unwrap();
        let parser = shown(&bytes);
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn the_cursor_stands_on_the_row_that_is_chosen() {
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        let mut buffer = frame(["one       ", "two       ", "three     "]);
        buffer.set_style(Rect { x: 0, y: 1, width: 10, height: 1 }, reversed);
        assert_eq!(cursor_of(&buffer), Position { x: 0, y: 1 });
        // A mark within a row above does not draw it away, a line of input does.
        buffer.set_style(Rect { x: 4, y: 0, width: 1, height: 1 }, reversed);
        assert_eq!(cursor_of(&buffer), Position { x: 0, y: 1 });
        buffer.set_style(Rect { x: 6, y: 2, width: 1, height: 1 }, reversed);
        assert_eq!(cursor_of(&buffer), Position { x: 6, y: 2 });
        assert_eq!(cursor_of(&Buffer::empty(Rect::ZERO)), Position { x: 0, y: 0 });
    }
}
