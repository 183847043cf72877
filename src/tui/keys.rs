//! Keys as the program names them, and how they are written in tables, files and on the command line.

use std::fmt;

/// One key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character, shift included.
    Char(char),
    /// A letter with the control key.
    Ctrl(char),
    /// The key of this name.
    Enter,
    /// The key of this name.
    Esc,
    /// The key of this name.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// The key of this name.
    PageUp,
    /// The key of this name.
    PageDown,
    /// The key of this name.
    Home,
    /// The key of this name.
    End,
    /// The key of this name.
    Backspace,
    /// The key of this name.
    Delete,
    /// A function key.
    F(u8),
}

const NAMES: [(&str, Key); 15] = [
    ("Enter", Key::Enter),
    ("Esc", Key::Esc),
    ("Tab", Key::Tab),
    ("S-Tab", Key::BackTab),
    ("Up", Key::Up),
    ("Down", Key::Down),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("PgUp", Key::PageUp),
    ("PgDn", Key::PageDown),
    ("Home", Key::Home),
    ("End", Key::End),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
    ("Space", Key::Char(' ')),
];

impl Key {
    /// The key of a name: `Enter`, `^d`, `F1`, `x`.
    pub fn parse(word: &str) -> Option<Key> {
        if let Some((_, key)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            return Some(*key);
        }
        if let Some(number) = word.strip_prefix('F').and_then(|number| number.parse().ok()) {
            return Some(Key::F(number));
        }
        let mut chars = word.chars();
        match (chars.next(), chars.next(), chars.next()) {
            (Some(c), None, None) => Some(Key::Char(c)),
            (Some('^'), Some(c), None) => Some(Key::Ctrl(c.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// The keys of a word of the command table: one named key, or characters one after another (`]c`, `gg`).
    pub fn sequence(word: &str) -> Vec<Key> {
        match Key::parse(word) {
            Some(key) => vec![key],
            None => word.chars().map(Key::Char).collect(),
        }
    }

    /// The keys of a text as `--keys` takes it: characters as they are, others in angle brackets (`j]c<Enter><^d>`).
    ///
    /// # Errors
    /// The name that is no key.
    pub fn stream(text: &str) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let named =
                rest.strip_prefix('<').and_then(|inner| inner.split_once('>')).filter(|(name, _)| !name.is_empty());
            if let Some((name, after)) = named {
                keys.push(Key::parse(name).ok_or_else(|| name.to_owned())?);
                rest = after;
            } else {
                keys.push(Key::Char(c));
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
        Ok(keys)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) => write!(f, "{c}"),
            Key::Ctrl(c) => write!(f, "^{c}"),
            Key::F(number) => write!(f, "F{number}"),
            other => {
                let name = NAMES.iter().find(|(_, key)| key == other).map_or("?", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_read() {
        assert_eq!(Key::parse("^d"), Some(Key::Ctrl('d')));
        assert_eq!(Key::parse("enter"), Some(Key::Enter));
        assert_eq!(Key::parse("F1"), Some(Key::F(1)));
        assert_eq!(Key::parse("^"), Some(Key::Char('^')));
        assert_eq!(Key::parse("nonsense"), None);
        assert_eq!(Key::sequence("]c"), [Key::Char(']'), Key::Char('c')]);
        assert_eq!(Key::sequence("S-Tab"), [Key::BackTab]);
        for key in [Key::Char('x'), Key::Ctrl('u'), Key::PageDown, Key::F(5), Key::Char(' ')] {
            assert_eq!(Key::parse(&key.to_string()), Some(key));
        }
    }

    #[test]
    fn a_stream_names_what_is_no_character_in_brackets() {
        let keys = Key::stream("j]c<Enter><^d><").unwrap();
        let expected = [Key::Char('j'), Key::Char(']'), Key::Char('c'), Key::Enter, Key::Ctrl('d'), Key::Char('<')];
        assert_eq!(keys, expected);
        assert_eq!(Key::stream("<Entr>"), Err("Entr".into()));
    }
}
