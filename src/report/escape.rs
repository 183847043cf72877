//! Text from strangers made harmless for the place it is shown in.
//!
//! Span names and attribute values come from whoever sends telemetry. A terminal must not obey them, a pull-request
//! comment must not mention people for them, and nothing may look like something else.

use std::borrow::Cow;

/// Whether a character does something other than being seen: control characters (C0, DEL, C1), bidirectional
/// overrides, zero-width characters, line separators and tag characters.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with everything unseen as a visible escape: `\n`, `\t`, `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_visible(&mut out, c);
    }
    Cow::Owned(out)
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if is_unseen(c) => out.extend(c.escape_unicode()),
        _ => out.push(c),
    }
}

/// The text in ASCII: our own marks by their stand-ins, everything else as a visible escape.
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '→' => out.push_str("->"),
            '▸' => out.push('>'),
            '×' => out.push('x'),
            '…' | '⋯' => out.push_str("..."),
            'Δ' => out.push('d'),
            'µ' => out.push('u'),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '±' => out.push_str("+-"),
            '●' => out.push('*'),
            '·' => out.push('.'),
            '—' | '–' | '─' => out.push('-'),
            '│' | '├' => out.push('|'),
            '└' => out.push('`'),
            '▲' => out.push('^'),
            '▼' => out.push('v'),
            '≈' => out.push('r'),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// A Markdown code span, in which nothing is a link, a mention or HTML. With `cell`, pipes are escaped for tables.
pub fn markdown_code(text: &str, cell: bool) -> String {
    let text = visible(text);
    let mut inner = String::with_capacity(text.len() + 4);
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            // A table takes `\\|` apart at the pipe, even in code.
            '|' if cell && previous == '\\' => inner.push_str("u{7c}"),
            '|' if cell => inner.push_str("\\|"),
            c => inner.push(c),
        }
        previous = c;
    }
    // A backslash in front of the fence of a table cell could take the fence's meaning away.
    let longest = inner.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad =
        if inner.is_empty() || inner.starts_with(['`', ' ']) || inner.ends_with(['`', ' ', '\\']) { " " } else { "" };
    format!("{fence}{pad}{inner}{pad}{fence}")
}

/// A sentence in Markdown: punctuation that means something is escaped, HTML is not HTML, and addresses, mentions
/// and issue numbers are cut by an empty comment so that nobody is called and nothing is linked.
pub fn markdown(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' => out.push_str("&#124;"),
            '@' | '#' | ':' => {
                out.push(c);
                out.push_str("<!-- -->");
            }
            '.' if out.to_ascii_lowercase().ends_with("www") => out.push_str("<!-- -->."),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // A colon in the middle of a sentence is just a colon.
    out.replace(":<!-- --> ", ": ")
}

/// A quoted DOT string.
pub fn dot(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => push_visible(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// A frame of a folded stack: no semicolon, which separates frames; the counts follow the last space of the line.
pub fn frame(text: &str) -> String {
    visible(text).replace(';', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_obey() {
        for (text, shown) in [
            ("GET /ü/漢", "GET /ü/漢"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn ascii_is_ascii() {
        assert_eq!(ascii("×1→×12 ▸ µs"), "x1->x12 > us");
        assert_eq!(ascii("é"), "\\u{e9}");
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        for (text, cell, shown) in [
            ("GET /a", true, "`GET /a`"),
            ("a`b``c", true, "```a`b``c```"),
            ("`", true, "`` ` ``"),
            ("a|b", true, "`a\\|b`"),
            ("a|b", false, "`a|b`"),
            ("a\\|b", true, "`a\\u{7c}b`"),
            ("@everyone #1 <b>", true, "`@everyone #1 <b>`"),
            ("a\n\nb", true, "`a\\n\\nb`"),
            ("", true, "`  `"),
        ] {
            assert_eq!(markdown_code(text, cell), shown, "{text:?}");
        }
    }

    #[test]
    fn a_sentence_stays_a_sentence() {
        assert_eq!(markdown("calls 3 → 30: N+1"), "calls 3 → 30: N+1");
        assert_eq!(markdown("<img src=x>"), "&lt;img src=x&gt;");
        assert_eq!(markdown("@ops [a](b) *b*"), "@<!-- -->ops \\[a\\]\\(b\\) \\*b\\*");
        assert_eq!(markdown("https://x"), "https:<!-- -->//x");
        assert_eq!(markdown("www.x.org"), "www<!-- -->.x.org");
    }

    #[test]
    fn dot_and_folded_keep_their_syntax() {
        assert_eq!(dot("a\"b\\c\nd\u{1b}"), "\"a\\\"b\\\\c\\nd\\u{1b}\"");
        assert_eq!(frame("SELECT 1; DROP\n"), "SELECT 1, DROP\\n");
    }
}
