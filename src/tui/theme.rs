//! What text means, and how each meaning looks: colour repeats what a mark already says.
//!
//! The colours were chosen by their smallest CIEDE2000 distance under three kinds of colour blindness and by contrast
//! on common backgrounds (`../shared/design/tui.md`, section c). 256 colours have a row of their own: rounding the
//! others merges two of them for some eyes.

use crate::diff::Mark;
use ratatui_core::style::{Color, Modifier, Style};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    /// Nothing in particular.
    Plain,
    /// What may be overlooked.
    Dim,
    /// Headings and the answer.
    Strong,
    /// Keys to press.
    Key,
    /// Takes more time.
    Worse,
    /// Takes less time.
    Better,
    /// Only after.
    Added,
    /// Only before.
    Removed,
    /// Newly failing.
    Failing,
    /// No longer failing.
    Recovered,
    /// Other attributes, name or shape.
    Changed,
    /// Not enough data.
    Weak,
    /// The row of the cursor.
    Cursor,
    /// What a filter matched.
    Match,
}

impl Token {
    /// All of them, for tests and tables.
    pub const ALL: [Token; 14] = [
        Token::Plain,
        Token::Dim,
        Token::Strong,
        Token::Key,
        Token::Worse,
        Token::Better,
        Token::Added,
        Token::Removed,
        Token::Failing,
        Token::Recovered,
        Token::Changed,
        Token::Weak,
        Token::Cursor,
        Token::Match,
    ];

    /// The meaning of a mark.
    pub const fn of(mark: Mark) -> Token {
        match mark {
            Mark::Worse => Token::Worse,
            Mark::Better => Token::Better,
            Mark::Added => Token::Added,
            Mark::Removed => Token::Removed,
            Mark::Failing => Token::Failing,
            Mark::Recovered => Token::Recovered,
            Mark::Changed | Mark::Similar => Token::Changed,
            Mark::Equal => Token::Dim,
        }
    }
}

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: weight and reversal only.
    Mono,
    /// The terminal's sixteen.
    Ansi,
    /// The 256 of most terminals over SSH.
    Indexed,
    /// Any.
    True,
}

/// What the terminal's background is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Dark.
    Dark,
    /// Light.
    Light,
}

/// How meanings look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub depth: Depth,
    /// What they stand on.
    pub tone: Tone,
}

/// One hue: 24 bits on dark and light, 256 on dark and light, of sixteen.
struct Hue {
    dark: (u8, u8, u8),
    light: (u8, u8, u8),
    indexed: (u8, u8),
    ansi: Color,
}

const WORSE: Hue = Hue { dark: (0xff, 0xb0, 0x00), light: (0x94, 0x68, 0x00), indexed: (214, 94), ansi: Color::Yellow };
const BETTER: Hue = Hue { dark: (0x42, 0xe2, 0xfa), light: (0x0b, 0x62, 0xe0), indexed: (51, 27), ansi: Color::Cyan };
const ADDED: Hue = Hue { dark: (0xe3, 0xf5, 0xda), light: (0x00, 0x73, 0x5c), indexed: (230, 23), ansi: Color::Green };
const REMOVED: Hue =
    Hue { dark: (0xce, 0x62, 0xf5), light: (0x43, 0x12, 0x7f), indexed: (171, 54), ansi: Color::Magenta };
const FAILING: Hue = Hue { dark: (0xff, 0x4a, 0x77), light: (0x7d, 0x0a, 0x0a), indexed: (204, 52), ansi: Color::Red };

impl Theme {
    /// Weight only.
    pub const MONO: Theme = Theme { depth: Depth::Mono, tone: Tone::Dark };

    /// How a meaning looks.
    pub const fn style(&self, token: Token) -> Style {
        let style = Style::new();
        match token {
            Token::Plain => style,
            Token::Dim => style.add_modifier(Modifier::DIM),
            Token::Strong | Token::Key => style.add_modifier(Modifier::BOLD),
            Token::Worse => self.hue(&WORSE),
            Token::Better => self.hue(&BETTER),
            Token::Added => self.hue(&ADDED),
            Token::Removed => self.hue(&REMOVED),
            Token::Failing => self.hue(&FAILING).add_modifier(Modifier::BOLD.union(Modifier::REVERSED)),
            Token::Recovered => self.hue(&BETTER).add_modifier(Modifier::BOLD),
            Token::Changed | Token::Match => style.add_modifier(Modifier::UNDERLINED),
            Token::Weak => style.add_modifier(Modifier::DIM.union(Modifier::ITALIC)),
            Token::Cursor => style.add_modifier(Modifier::REVERSED),
        }
    }

    const fn hue(self, hue: &Hue) -> Style {
        let style = Style::new();
        let (rgb, indexed) = match self.tone {
            Tone::Dark => (hue.dark, hue.indexed.0),
            Tone::Light => (hue.light, hue.indexed.1),
        };
        match self.depth {
            Depth::Mono => style,
            Depth::Ansi => style.fg(hue.ansi),
            Depth::Indexed => style.fg(Color::Indexed(indexed)),
            Depth::True => style.fg(Color::Rgb(rgb.0, rgb.1, rgb.2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(color: (u8, u8, u8)) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2)
    }

    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn every_hue_can_be_read_on_common_backgrounds() {
        let dark = [(0, 0, 0), (0x14, 0x17, 0x1c), (0x1e, 0x1e, 0x2e), (0, 0x2b, 0x36), (0x28, 0x2c, 0x34)];
        let light = [(255, 255, 255), (0xfd, 0xf6, 0xe3), (0xfa, 0xfa, 0xfa), (0xef, 0xf1, 0xf5)];
        for hue in [WORSE, BETTER, ADDED, REMOVED, FAILING] {
            // 4.3 to 1 is the lowest of the measured palette; its mark is reversed and bold there.
            assert!(dark.iter().all(|&ground| contrast(hue.dark, ground) >= 4.29));
            assert!(light.iter().all(|&ground| contrast(hue.light, ground) >= 4.29));
        }
    }

    #[test]
    fn without_colours_no_colour_is_set() {
        for token in Token::ALL {
            assert_eq!(Theme::MONO.style(token).fg, None);
        }
    }
}
