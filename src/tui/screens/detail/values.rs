//! Attributes in lines: both values beside each other, or below each other with the words that differ.

use crate::diff::words::{PieceKind, word_diff};
use crate::diff::{AttributeRow, AttributeScope, Change, Mark};
use crate::model::units;
use crate::tui::canvas::{Line, Look};
use crate::tui::theme::Token;
use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Rows that a value of one side alone gets.
const ROWS: usize = 3;
/// Columns that the value of one line needs at least.
const LEAST: usize = 12;

/// The mark of an attribute.
pub const fn mark(row: &AttributeRow) -> Mark {
    match row.change {
        Some(Change::Changed) => Mark::Changed,
        Some(Change::Added) => Mark::Added,
        Some(Change::Removed) => Mark::Removed,
        None => Mark::Equal,
    }
}

/// The beginning of a text: what is never seen is not looked at.
fn clip(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map_or(text.len(), |(byte, _)| byte);
    text.get(..end).unwrap_or(text)
}

/// Columns of a text, or a number beyond `limit` where it has more.
fn columns(look: &Look, text: &str, limit: usize) -> usize {
    look.show(clip(text, limit + 1)).width()
}

/// Whether one value is the most common on both sides, and only its share moved.
fn is_shifted(row: &AttributeRow) -> bool {
    row.change == Some(Change::Changed) && row.before == row.after
}

fn value(side: Option<&String>) -> &str {
    side.map_or("—", String::as_str)
}

/// How the lines of attributes are divided.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    width: usize,
    key: usize,
    tail: usize,
}

impl Layout {
    /// For lines of so many columns; `has_shares` where attributes of many spans are shown.
    pub fn new(width: usize, has_shares: bool) -> Layout {
        let tail = if has_shares { 18 } else { 9 };
        Layout { width, key: (width * 3 / 10).clamp(8, 40), tail: if width < 70 && !has_shares { 0 } else { tail } }
    }

    const fn room(&self) -> usize {
        self.width.saturating_sub(self.key + self.tail + 4)
    }

    /// Lines that an attribute takes.
    pub fn rows(&self, look: &Look, row: &AttributeRow) -> usize {
        if row.change == Some(Change::Changed) && !is_shifted(row) {
            if self.fits(look, row) { 1 } else { 3 }
        } else {
            self.single(look, row).len().max(1)
        }
    }

    fn fits(&self, look: &Look, row: &AttributeRow) -> bool {
        let (before, after) = (value(row.before.as_ref()), value(row.after.as_ref()));
        let room = self.room();
        room > LEAST && columns(look, before, room) + columns(look, after, room) + 4 <= room
    }

    /// The rows of a value that stands alone.
    fn single(&self, look: &Look, row: &AttributeRow) -> Vec<String> {
        let value = value(row.after.as_ref().or(row.before.as_ref()));
        let room = self.room();
        let rows = if row.change.is_some() { ROWS } else { 1 };
        if columns(look, value, room) <= room {
            return vec![look.show(value).into_owned()];
        }
        // One column more than there is room for tells whether something is missing.
        let mut lines = broken(&look.show(clip(value, room * rows + 1)), room);
        let is_cut = lines.len() > rows || clip(value, room * rows + 1).len() < value.len();
        lines.truncate(rows);
        if let Some(last) = lines.last_mut().filter(|_| is_cut) {
            let dots = look.show("…");
            *last = format!("{}{dots}", take(last, room.saturating_sub(dots.width())));
        }
        lines
    }

    /// One of the lines of an attribute.
    pub fn line(&self, look: &Look, row: &AttributeRow, part: usize) -> Line {
        let mut line = Line::new(look);
        let mark = mark(row);
        let token = if row.change.is_some() { Token::of(mark) } else { Token::Dim };
        let is_change = row.change == Some(Change::Changed) && !is_shifted(row);
        if is_change && !self.fits(look, row) {
            match part {
                0 => {
                    self.head(&mut line, look, row);
                    line.until(self.width.saturating_sub(self.tail));
                    self.tail(&mut line, row);
                }
                1 => self.side(&mut line, look, row, PieceKind::Before),
                _ => self.side(&mut line, look, row, PieceKind::After),
            }
            return line;
        }
        if part == 0 {
            self.head(&mut line, look, row);
        }
        line.until(3 + self.key);
        if is_change {
            line.add(Token::Plain, value(row.before.as_ref())).add(Token::Dim, " → ");
            line.add(Token::Strong, value(row.after.as_ref()));
        } else if let Some(text) = self.single(look, row).get(part) {
            line.glyphs(if row.change.is_some() { Token::Plain } else { token }, text.as_str());
        }
        if part == 0 {
            line.until(self.width.saturating_sub(self.tail));
            self.tail(&mut line, row);
        }
        line
    }

    fn head(&self, line: &mut Line, look: &Look, row: &AttributeRow) {
        let mark = mark(row);
        let token = if row.change.is_some() { Token::Strong } else { Token::Dim };
        line.spaces(1).glyphs(Token::of(mark), look.glyphs.mark(mark)).spaces(1);
        line.left(token, &row.key, self.key.saturating_sub(1)).spaces(1);
    }

    fn tail(&self, line: &mut Line, row: &AttributeRow) {
        if self.tail == 0 {
            return;
        }
        let words = shares(row).unwrap_or_else(|| scope(row.scope).to_owned());
        line.right(Token::Dim, &words, self.tail);
    }

    /// One side of a long change, its words that differ underlined, from shortly before the first of them on.
    fn side(&self, line: &mut Line, look: &Look, row: &AttributeRow, kind: PieceKind) {
        let (sign, token) = if kind == PieceKind::Before { ("-", Token::Removed) } else { ("+", Token::Added) };
        line.spaces(3).add(token, sign).spaces(1);
        let room = self.width.saturating_sub(6);
        let (before, after) = (value(row.before.as_ref()), value(row.after.as_ref()));
        let skipped = skipped(before, after, room);
        let rest = |text: &str| -> String { text.chars().skip(skipped).take(room + 1).collect() };
        let pieces = word_diff(&rest(before), &rest(after));
        let mut left = room;
        if skipped > 0 {
            line.add(Token::Dim, "…");
            left = left.saturating_sub(if look.glyphs.ascii { 3 } else { 1 });
        }
        for piece in pieces.iter().filter(|piece| piece.kind == PieceKind::Same || piece.kind == kind) {
            let token = if piece.kind == PieceKind::Same { Token::Plain } else { Token::Changed };
            let text = look.show(&piece.text);
            if text.width() > left {
                let kept = take(&text, left.saturating_sub(if look.glyphs.ascii { 3 } else { 1 }));
                line.glyphs(token, kept).add(Token::Dim, "…");
                return;
            }
            left -= text.width();
            line.glyphs(token, text.into_owned());
        }
    }
}

/// Both sides of a change in one piece of text of at most so many columns, from shortly before the difference on.
pub fn short_change(look: &Look, before: &str, after: &str, room: usize) -> String {
    if before == after {
        return look.cut(after, room);
    }
    if columns(look, before, room) + columns(look, after, room) + 4 <= room {
        return look.show(&format!("{before} → {after}")).into_owned();
    }
    let half = room.saturating_sub(4) / 2;
    let skipped = skipped(before, after, half);
    let side = |text: &str| {
        let rest: String = text.chars().skip(skipped).take(half + 1).collect();
        let rest = if skipped > 0 { format!("…{rest}") } else { rest };
        look.cut(&rest, half)
    };
    format!("{}{}{}", side(before), look.show(" → "), side(after))
}

/// Characters that both texts begin with and that are left out so that the first difference is seen.
fn skipped(before: &str, after: &str, room: usize) -> usize {
    let longest = before.chars().take(room + 1).count().max(after.chars().take(room + 1).count());
    if longest <= room {
        return 0;
    }
    let common = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    common.saturating_sub(room / 3)
}

/// Lines of at most so many columns, broken at blanks where there are some.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns > width && !line.is_empty() {
            // At a blank, if that does not leave half a line empty.
            let blank = line.rfind(' ').map(|at| at + 1).filter(|&at| at > line.len() / 2);
            let rest = blank.filter(|_| c != ' ').map_or_else(String::new, |at| line.split_off(at));
            lines.push(std::mem::replace(&mut line, rest));
            used = line.width();
        }
        used += columns;
        line.push(c);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The beginning of a text in at most so many columns.
fn take(text: &str, width: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).collect()
}

/// The word for whose attribute it is; nothing for the span's own.
pub const fn scope(scope: AttributeScope) -> &'static str {
    match scope {
        AttributeScope::Span => "",
        AttributeScope::Scope => "scope",
        AttributeScope::Resource => "resource",
    }
}

/// `A 12 % B 94 %` of many spans.
pub fn shares(row: &AttributeRow) -> Option<String> {
    if row.share.before.is_none() && row.share.after.is_none() {
        return None;
    }
    let side = |share: Option<f64>| share.map_or_else(|| "—".to_owned(), units::percent);
    Some(format!("A {} B {}", side(row.share.before), side(row.share.after)))
}

/// An attribute in one line of text: `key: before → after`.
pub fn text(row: &AttributeRow) -> String {
    let shares = shares(row).map_or_else(String::new, |shares| format!("  ({shares})"));
    let (before, after) = (value(row.before.as_ref()), value(row.after.as_ref()));
    let values: Cow<'_, str> = match row.change {
        Some(Change::Changed) if !is_shifted(row) => format!("{before} → {after}").into(),
        Some(Change::Removed) => before.into(),
        _ => after.into(),
    };
    format!("{} {}: {values}{shares}", mark(row).glyph(), row.key)
}

/// An attribute as Markdown.
pub fn markdown(row: &AttributeRow) -> String {
    use crate::report::escape::{markdown, markdown_code};
    let code = |side: &Option<String>| {
        side.as_ref().map_or_else(|| "—".to_owned(), |text| markdown_code(clip(text, 2_000), false))
    };
    let values = match row.change {
        Some(Change::Changed) if !is_shifted(row) => format!("{} → {}", code(&row.before), code(&row.after)),
        Some(Change::Removed) => code(&row.before),
        _ => code(&row.after),
    };
    let shares = shares(row).map_or_else(String::new, |shares| format!(" ({})", markdown(&shares)));
    format!("{} {}: {values}{shares}", mark(row).glyph(), markdown_code(&row.key, false))
}

/// Both values in full, and what differs between them word by word.
pub fn full(row: &AttributeRow) -> String {
    let mut text = format!("A (before)\n{}\n\nB (after)\n{}\n", value(row.before.as_ref()), value(row.after.as_ref()));
    if let (Some(Change::Changed), Some(before), Some(after)) = (row.change, &row.before, &row.after) {
        text.push_str("\nword by word: [-only before-] {+only after+}\n");
        for piece in word_diff(before, after) {
            match piece.kind {
                PieceKind::Same => text.push_str(&piece.text),
                PieceKind::Before => text.extend(["[-", &piece.text, "-]"]),
                PieceKind::After => text.extend(["{+", &piece.text, "+}"]),
            }
        }
        text.push('\n');
    }
    if let Some(shares) = shares(row) {
        let _ = write!(text, "\n{shares} of the spans\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Pair;
    use crate::tui::glyphs;
    use crate::tui::theme::Theme;

    const LOOK: Look = Look { theme: Theme::MONO, glyphs: glyphs::UNICODE };

    fn row(change: Option<Change>, before: &str, after: &str) -> AttributeRow {
        let side = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        AttributeRow {
            key: "db.statement".to_owned(),
            scope: AttributeScope::Span,
            change,
            before: side(before),
            after: side(after),
            share: Pair::default(),
        }
    }

    fn lines(width: usize, row: &AttributeRow) -> Vec<String> {
        let layout = Layout::new(width, false);
        (0..layout.rows(&LOOK, row)).map(|part| layout.line(&LOOK, row, part).text().trim_end().to_owned()).collect()
    }

    #[test]
    fn short_values_stand_in_one_line() {
        assert_eq!(lines(80, &row(Some(Change::Changed), "12", "1")), [" ~ db.statement            12 → 1"]);
        assert_eq!(lines(80, &row(Some(Change::Added), "", "false")), [" + db.statement            false"]);
        assert_eq!(lines(80, &row(None, "x", "x")), [" = db.statement            x"]);
    }

    #[test]
    fn long_values_stand_below_each_other_from_the_difference_on() {
        let before = format!("SELECT {} FROM stock WHERE sku = ANY($1)", "column, ".repeat(20));
        let after = before.replace("ANY($1)", "$1");
        // 54 columns: a third of them, `stock WHERE sku = `, is kept of what both begin with.
        assert_eq!(
            lines(60, &row(Some(Change::Changed), &before, &after)),
            [" ~ db.statement", "   - …stock WHERE sku = ANY($1)", "   + …stock WHERE sku = $1"]
        );
    }

    #[test]
    fn a_long_value_of_one_side_takes_three_rows_at_most() {
        let row = row(Some(Change::Added), "", &"0123456789".repeat(100));
        let lines = lines(80, &row);
        assert_eq!(lines.len(), 3);
        assert!(lines.last().is_some_and(|line| line.ends_with('…')), "{lines:?}");
        assert!(lines.iter().all(|line| line.width() <= 80));
    }

    #[test]
    fn every_width_is_safe() {
        let values = ["", "漢字\u{1b}[31m\n", &"é".repeat(5_000)];
        for width in 0..100 {
            for before in values {
                for after in values {
                    for change in [Some(Change::Changed), Some(Change::Added), Some(Change::Removed), None] {
                        lines(width, &row(change, before, after));
                    }
                }
            }
        }
    }

    #[test]
    fn a_change_in_one_line_shows_its_difference() {
        assert_eq!(short_change(&LOOK, "12", "1", 20), "12 → 1");
        let before = format!("{}first", "same ".repeat(20));
        let after = format!("{}second", "same ".repeat(20));
        // Ten columns a side, a third of them before the difference.
        assert_eq!(short_change(&LOOK, &before, &after, 24), "…me first → …me second");
    }

    #[test]
    fn the_pager_shows_both_and_the_words_between() {
        let text = full(&row(Some(Change::Changed), "a b c", "a x c"));
        assert!(text.contains("A (before)\na b c\n\nB (after)\na x c\n"), "{text}");
        assert!(text.contains("a [-b-]{+x+} c"), "{text}");
    }

    #[test]
    fn what_is_copied_cannot_leave_its_place() {
        let text = markdown(&row(Some(Change::Changed), "`a`", "@all <b>\n"));
        assert_eq!(text, "~ `db.statement`: `` `a` `` → `@all <b>\\n`");
    }
}
