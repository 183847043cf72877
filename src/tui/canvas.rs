//! Lines of text with meanings, put on a buffer: the only place where text from an input reaches a cell.

use super::glyphs::Glyphs;
use super::theme::{Theme, Token};
use crate::report::escape::{ascii, visible};
use crate::report::page::Page;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How everything looks: colours and characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// Characters.
    pub glyphs: Glyphs,
}

impl Look {
    /// Text in the glyph set, with everything unseen as visible escapes.
    pub fn show<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match visible(text) {
            Cow::Borrowed(text) if self.glyphs.ascii => ascii(text),
            Cow::Owned(text) if self.glyphs.ascii => Cow::Owned(ascii(&text).into_owned()),
            text => text,
        }
    }

    /// At most so many columns: what is too much goes out of the middle.
    pub fn shorten(&self, text: &str, width: usize) -> String {
        self.page().shorten(text, width)
    }

    /// The beginning of a text in at most so many columns, made harmless, with an ellipsis where something is missing.
    pub fn cut(&self, text: &str, width: usize) -> String {
        let shown = self.show(text);
        if shown.width() <= width {
            return shown.into_owned();
        }
        let dots = if self.glyphs.ascii { "..." } else { "…" };
        let room = width.saturating_sub(dots.width());
        let mut used = 0;
        let fits = |c: &char| {
            used += c.width().unwrap_or(0);
            used <= room
        };
        let mut out: String = shown.chars().take_while(fits).collect();
        if width >= dots.width() {
            out.push_str(dots);
        }
        out
    }

    /// Lines of at most so many columns, broken at spaces.
    pub fn wrap(&self, text: &str, width: usize) -> Vec<String> {
        self.page().wrap(&self.show(text), width)
    }

    fn page(&self) -> Page {
        Page::new(&crate::report::Options { ascii: self.glyphs.ascii, ..crate::report::Options::default() })
    }
}

/// A line under construction: pieces of text, each with its meaning.
#[derive(Clone, Debug)]
pub struct Line {
    look: Look,
    pieces: Vec<(String, Token)>,
    width: usize,
}

impl Line {
    /// An empty line.
    pub const fn new(look: &Look) -> Line {
        Line { look: *look, pieces: Vec::new(), width: 0 }
    }

    /// Columns so far.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Adds text as it is, made harmless.
    pub fn add(&mut self, token: Token, text: &str) -> &mut Line {
        let text = self.look.show(text).into_owned();
        self.raw(token, text)
    }

    /// Adds glyphs of the set in force, which need no translation.
    pub fn glyphs(&mut self, token: Token, text: impl Into<String>) -> &mut Line {
        self.raw(token, text.into())
    }

    /// Adds text in exactly so many columns, to the left; shortened in the middle.
    pub fn left(&mut self, token: Token, text: &str, width: usize) -> &mut Line {
        let text = self.look.shorten(&self.look.show(text), width);
        let fill = width.saturating_sub(text.width());
        self.raw(token, text).spaces(fill)
    }

    /// Adds text in exactly so many columns, to the right; shortened in the middle.
    pub fn right(&mut self, token: Token, text: &str, width: usize) -> &mut Line {
        let text = self.look.shorten(&self.look.show(text), width);
        let fill = width.saturating_sub(text.width());
        self.spaces(fill).raw(token, text)
    }

    /// Adds text in at most so many columns; what is too much goes at the end.
    pub fn cut(&mut self, token: Token, text: &str, width: usize) -> &mut Line {
        let text = self.look.cut(text, width);
        self.raw(token, text)
    }

    /// Adds another line.
    pub fn append(&mut self, other: &Line) -> &mut Line {
        self.width += other.width;
        self.pieces.extend(other.pieces.iter().cloned());
        self
    }

    /// Fills up to a column.
    pub fn until(&mut self, column: usize) -> &mut Line {
        self.spaces(column.saturating_sub(self.width))
    }

    /// Adds blanks.
    pub fn spaces(&mut self, count: usize) -> &mut Line {
        if count > 0 { self.raw(Token::Plain, " ".repeat(count)) } else { self }
    }

    /// The text alone.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.0.as_str()).collect()
    }

    fn raw(&mut self, token: Token, text: String) -> &mut Line {
        self.width += text.width();
        self.pieces.push((text, token));
        self
    }
}

/// A rectangle of the screen to draw on. Nothing is drawn outside.
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    /// Where.
    pub area: Rect,
    /// How.
    pub look: &'a Look,
}

impl<'a> Canvas<'a> {
    /// All of a buffer.
    pub fn new(buffer: &'a mut Buffer, look: &'a Look) -> Canvas<'a> {
        let area = buffer.area;
        Canvas { buffer, area, look }
    }

    /// A part of it: `area` counts from the corner of the whole buffer.
    pub fn part(&mut self, area: Rect) -> Canvas<'_> {
        let area = area.intersection(self.area);
        Canvas { buffer: self.buffer, area, look: self.look }
    }

    /// Rows.
    pub const fn height(&self) -> usize {
        self.area.height as usize
    }

    /// Columns.
    pub const fn width(&self) -> usize {
        self.area.width as usize
    }

    /// An empty line in the look of this canvas.
    pub const fn new_line(&self) -> Line {
        Line::new(self.look)
    }

    /// Writes a line into a row; what does not fit is cut.
    pub fn line(&mut self, row: usize, line: &Line) {
        self.put(row, 0, line);
    }

    /// Writes a line into a row from a column on.
    pub fn put(&mut self, row: usize, column: usize, line: &Line) {
        if row >= self.height() || column >= self.width() {
            return;
        }
        let y = self.area.y + row as u16;
        let (mut x, end) = (self.area.x + column as u16, self.area.right());
        for (text, token) in &line.pieces {
            if x >= end {
                break;
            }
            let style = self.look.theme.style(*token);
            (x, _) = self.buffer.set_stringn(x, y, text, usize::from(end - x), style);
        }
    }

    /// Gives all of a row the style of the cursor.
    pub fn highlight(&mut self, row: usize) {
        if row < self.height() {
            let area = Rect { y: self.area.y + row as u16, height: 1, ..self.area };
            self.buffer.set_style(area, self.look.theme.style(Token::Cursor));
        }
    }

    /// Makes the area empty, for what is laid over something else.
    pub fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// A rule over the whole row with a title near its left and another near its right end.
    pub fn rule(&mut self, row: usize, left: &str, right: &str) {
        let (rule, width) = (self.look.glyphs.rule, self.width());
        let mut line = self.new_line();
        let dashes = |count: usize| -> String { std::iter::repeat_n(rule, count).collect() };
        let right = self.look.shorten(&self.look.show(right), width / 2);
        let end = if right.is_empty() { 0 } else { right.width() + 3 };
        if !left.is_empty() {
            let left = self.look.shorten(&self.look.show(left), width.saturating_sub(end + 5));
            line.glyphs(Token::Dim, dashes(2))
                .glyphs(Token::Plain, " ")
                .glyphs(Token::Strong, left)
                .glyphs(Token::Plain, " ");
        }
        let room = width.saturating_sub(line.width() + end);
        line.glyphs(Token::Dim, dashes(room));
        if !right.is_empty() {
            line.glyphs(Token::Plain, " ")
                .glyphs(Token::Dim, right)
                .glyphs(Token::Plain, " ")
                .glyphs(Token::Dim, dashes(1));
        }
        self.line(row, &line);
    }

    /// The style of a meaning, for cells that are painted one by one.
    pub const fn style(&self, token: Token) -> Style {
        self.look.theme.style(token)
    }
}
