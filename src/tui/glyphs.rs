//! The characters that the screens draw with: Unicode, or ASCII where that cannot be shown.

use crate::diff::Mark;

/// A set of characters. Every one is one column wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Whether this is the ASCII set.
    pub ascii: bool,
    /// Heights from nothing to full.
    pub spark: [char; 8],
    /// Eighths of a bar: one to eight.
    pub eighths: [char; 8],
    /// Between rows of panes.
    pub rule: char,
    /// Between columns of panes.
    pub bar: char,
    /// A child with siblings below.
    pub branch: char,
    /// The last child.
    pub last: char,
    /// A level that goes on below.
    pub pipe: char,
    /// Behind a branch.
    pub twig: char,
    /// An open node.
    pub open: char,
    /// A closed node, and between steps of a path.
    pub closed: char,
    /// On the critical path.
    pub critical: char,
    /// Off the critical path.
    pub off: char,
    /// Where the other side has a span.
    pub absent: char,
    /// In front of the row of the cursor.
    pub cursor: char,
    /// In front of a bookmarked row.
    pub bookmark: char,
    /// On the critical path, as a dot.
    pub dot: char,
    /// Begins a fold.
    pub fold: char,
    /// Where text was left out.
    pub more: char,
}

/// What a terminal with UTF-8 gets.
pub const UNICODE: Glyphs = Glyphs {
    ascii: false,
    spark: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    eighths: ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
    rule: '─',
    bar: '│',
    branch: '├',
    last: '└',
    pipe: '│',
    twig: '─',
    open: '▾',
    closed: '▸',
    critical: '━',
    off: '─',
    absent: '┄',
    cursor: '▌',
    bookmark: '◆',
    dot: '●',
    fold: '⋯',
    more: '…',
};

/// What every terminal can show.
pub const ASCII: Glyphs = Glyphs {
    ascii: true,
    spark: [' ', '.', ':', '-', '=', '+', '*', '#'],
    eighths: ['.', '.', '.', '.', '#', '#', '#', '#'],
    rule: '-',
    bar: '|',
    branch: '|',
    last: '`',
    pipe: '|',
    twig: '-',
    open: 'v',
    closed: '>',
    critical: '=',
    off: '-',
    absent: '.',
    cursor: '>',
    bookmark: '*',
    dot: '*',
    fold: '.',
    more: '.',
};

impl Glyphs {
    /// The glyph of a mark.
    pub const fn mark(&self, mark: Mark) -> &'static str {
        if self.ascii { mark.ascii() } else { mark.glyph() }
    }

    /// A bar of `share` (0 to 1) of so many columns, in eighths.
    pub fn meter(&self, share: f64, columns: usize) -> String {
        let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
        let full = self.eighths.last().copied().unwrap_or('#');
        let mut bar: String = std::iter::repeat_n(full, eighths / 8).collect();
        if let Some(part) = (eighths % 8).checked_sub(1).and_then(|part| self.eighths.get(part)) {
            bar.push(*part);
        }
        bar
    }

    /// Heights from 0 to 1 as one column each; what is above nothing is seen.
    pub fn sparkline(&self, heights: &[f64]) -> String {
        let top = self.spark.len() - 1;
        let step = |height: &f64| {
            let step = (height.clamp(0.0, 1.0) * top as f64).ceil() as usize;
            self.spark.get(step.min(top)).copied().unwrap_or(' ')
        };
        heights.iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthChar;

    #[test]
    fn bars_end_in_eighths() {
        assert_eq!(UNICODE.meter(0.5, 4), "██");
        assert_eq!(UNICODE.meter(0.28125, 4), "█▏");
        assert_eq!(UNICODE.meter(2.0, 2), "██");
        assert_eq!(UNICODE.meter(-1.0, 2), "");
        assert_eq!(UNICODE.sparkline(&[0.0, 0.01, 0.5, 1.0]), "▁▂▅█");
    }

    #[test]
    fn every_glyph_takes_one_column() {
        for set in [UNICODE, ASCII] {
            let single = [
                set.rule,
                set.bar,
                set.branch,
                set.last,
                set.pipe,
                set.twig,
                set.open,
                set.closed,
                set.critical,
                set.off,
                set.absent,
                set.cursor,
                set.bookmark,
                set.dot,
                set.fold,
                set.more,
            ];
            for glyph in single.into_iter().chain(set.spark).chain(set.eighths) {
                assert_eq!(glyph.width(), Some(1), "{glyph}");
                assert!(!set.ascii || glyph.is_ascii());
            }
        }
    }
}
