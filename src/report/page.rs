//! A page of text: columns by display width, shortening, wrapping, colour and glyph set.

use super::Options;
use super::escape::{ascii, visible};
use crate::diff::{Finding, Mark};
use anstyle::{AnsiColor, Effects, Style};
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Below this many columns lines are not made narrower, only longer than the screen.
pub const MIN_WIDTH: usize = 60;

/// Headings and the answer.
pub const STRONG: Style = Style::new().effects(Effects::BOLD);
/// What may be overlooked.
pub const DIM: Style = Style::new().effects(Effects::DIMMED);

/// How text is put on the page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Columns.
    pub width: usize,
    color: bool,
    ascii: bool,
}

impl Page {
    /// The page that the options ask for.
    pub fn new(options: &Options) -> Page {
        Page { width: options.width.max(MIN_WIDTH), color: options.color, ascii: options.ascii }
    }

    /// Text in the page's glyph set, with everything unseen as visible escapes. All text on the page goes through this.
    pub fn show<'a>(&self, text: impl Into<Cow<'a, str>>) -> String {
        let text = text.into();
        let seen = visible(&text);
        if self.ascii { ascii(&seen).into_owned() } else { seen.into_owned() }
    }

    /// The glyph of a mark.
    pub const fn mark(&self, mark: Mark) -> &'static str {
        if self.ascii { mark.ascii() } else { mark.glyph() }
    }

    /// Text in a style, when the page is coloured.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() && style != Style::new() {
            format!("{}{text}{}", style.render(), style.render_reset())
        } else {
            text.to_owned()
        }
    }

    /// Exactly `width` columns: shortened in the middle or filled up on the right.
    pub fn left(&self, text: &str, width: usize) -> String {
        let mut text = self.shorten(text, width);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
        text
    }

    /// Exactly `width` columns: shortened in the middle or filled up on the left.
    pub fn right(&self, text: &str, width: usize) -> String {
        let text = self.shorten(text, width);
        format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
    }

    /// At most `width` columns; what is too much goes out of the middle, where names differ least.
    pub fn shorten(&self, text: &str, width: usize) -> String {
        if text.width() <= width {
            return text.to_owned();
        }
        // A blank at the end of a long name is not seen, but would stand at the end of a line.
        let text = text.trim_end();
        let ellipsis = if self.ascii { "..." } else { "…" };
        let room = width.saturating_sub(ellipsis.width());
        // The end gets the odd column: it tells names of one family apart.
        let tail = take(text.chars().rev(), room.div_ceil(2));
        let head = take(text.chars(), room - width_of(&tail));
        let mut out: String = head.into_iter().collect();
        if width >= ellipsis.width() {
            out.push_str(ellipsis);
        }
        out.extend(tail.into_iter().rev());
        out
    }

    /// Lines of at most `width` columns, broken at spaces; a word that is longer is shortened.
    pub fn wrap(&self, text: &str, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let word = self.shorten(word, width);
            if !line.is_empty() && line.width() + 1 + word.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}

fn take(chars: impl Iterator<Item = char>, room: usize) -> Vec<char> {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

fn width_of(chars: &[char]) -> usize {
    chars.iter().map(|c| c.width().unwrap_or(0)).sum()
}

/// The style of a mark in 16 colours: told apart by colour-blind eyes, and never the only carrier of meaning.
pub fn style_of(mark: Mark) -> Style {
    let color = |color: AnsiColor| Style::new().fg_color(Some(anstyle::Color::Ansi(color)));
    match mark {
        Mark::Worse => color(AnsiColor::Yellow),
        Mark::Better => color(AnsiColor::Cyan),
        Mark::Added => color(AnsiColor::Green),
        Mark::Removed => color(AnsiColor::Magenta),
        Mark::Failing => color(AnsiColor::Red).effects(Effects::BOLD.insert(Effects::INVERT)),
        Mark::Recovered => color(AnsiColor::Cyan).effects(Effects::BOLD),
        Mark::Changed | Mark::Similar => Style::new(),
        Mark::Equal => DIM,
    }
}

/// The mark of a finding.
pub const fn mark_of(finding: &Finding) -> Mark {
    use crate::diff::FindingKind as Kind;
    match finding.kind {
        Kind::Added | Kind::LayerAdded | Kind::InstanceNew => Mark::Added,
        Kind::Removed | Kind::LayerRemoved | Kind::InstanceGone => Mark::Removed,
        Kind::Slower | Kind::CallsUp => Mark::Worse,
        Kind::Faster | Kind::CallsDown => Mark::Better,
        Kind::Failing | Kind::InstanceFailing => Mark::Failing,
        Kind::Recovered => Mark::Recovered,
        Kind::Renamed | Kind::Moved | Kind::Split | Kind::Merged => Mark::Similar,
        Kind::Drift => by_sign(finding.contribution_ns),
        Kind::Serialized
        | Kind::Parallelized
        | Kind::LinkAdded
        | Kind::LinkRemoved
        | Kind::ContextLost
        | Kind::ContextJoined
        | Kind::Mix
        | Kind::Attributes => Mark::Changed,
    }
}

/// The mark of a difference in time.
pub const fn by_sign(delta_ns: i64) -> Mark {
    match delta_ns {
        0 => Mark::Equal,
        1.. => Mark::Worse,
        _ => Mark::Better,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ascii: bool, color: bool) -> Page {
        Page::new(&Options { color, ascii, ..Options::default() })
    }

    #[test]
    fn names_are_shortened_in_the_middle_by_display_width() {
        let page = page(false, false);
        assert_eq!(page.shorten("abcdefgh", 8), "abcdefgh");
        assert_eq!(page.shorten("abcdefgh", 6), "ab…fgh");
        // Six columns of room: three for the end hold one wide character, four remain for the start.
        assert_eq!(page.shorten("一二三四五六", 7), "一二…六");
        assert_eq!(page.shorten("abc", 1), "…");
        assert_eq!(page.shorten("abc", 0), "");
        assert_eq!(page.left("漢", 4), "漢  ");
        assert_eq!(page.right("abc", 5), "  abc");
    }

    #[test]
    fn words_are_wrapped() {
        let page = page(false, false);
        assert_eq!(page.wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(page.wrap("a  incomprehensible b", 5), ["a", "in…le", "b"]);
        assert!(page.wrap("", 5).is_empty());
    }

    #[test]
    fn colour_is_only_there_when_asked_for() {
        assert_eq!(page(false, false).paint(STRONG, "x"), "x");
        assert_eq!(page(false, true).paint(STRONG, "x"), "\x1b[1mx\x1b[0m");
        assert_eq!(page(false, true).paint(Style::new(), "x"), "x");
        assert_eq!(page(true, false).show("×1→×2 \x1b"), "x1->x2 \\u{1b}");
    }
}
