//! Writes JSON text: the few shapes that are needed, in an order that no feature of another crate can change.

use std::fmt::Write as _;

/// Appends formatted text. Writing into a string cannot fail.
pub fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Appends a JSON string.
pub fn string(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => put(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Appends `items` between `open` and `close`, with commas.
pub fn list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, element) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item(out, element);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        string(&mut out, "a\"b\\c\nd\u{1}é");
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\u0001é\"");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"b\\c\nd\u{1}é");
    }

    #[test]
    fn lists_have_commas_between_items() {
        let mut out = String::new();
        list(&mut out, ('[', ']'), [1, 2, 3], |out, item| put(out, format_args!("{item}")));
        list(&mut out, ('{', '}'), [0; 0], |_, _| {});
        assert_eq!(out, "[1,2,3]{}");
    }
}
