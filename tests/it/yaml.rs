//! A reader of the plain part of YAML, for the samples: strict, so that a careless edit is found.

use serde_json::{Map, Value};

/// A reader of the plain part of YAML that the templates keep to: block mappings and sequences, one-line scalars, flow
/// sequences of words, literal blocks. Everything else is an error, and so is what a careless edit makes of it.
struct Yaml<'a> {
    /// Number, indentation and content.
    lines: Vec<(usize, usize, &'a str)>,
    at: usize,
    text: &'a str,
}

/// Reads one document; an error names the line.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.contains('\t') || line.ends_with(' ') {
            return Err(format!("line {}: a tab, or a blank at its end", number + 1));
        }
        lines.push((number, line.len() - line.trim_start().len(), line.trim_start()));
    }
    let mut yaml = Yaml { lines, at: 0, text };
    let value = yaml.node(0)?;
    match yaml.next() {
        None => Ok(value),
        Some((_, content)) => Err(yaml.error(&format!("`{content}` is at the wrong depth"))),
    }
}

/// Reads all documents of a file, which lines of three dashes part.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    text.split("\n---\n").map(read).collect()
}

impl<'a> Yaml<'a> {
    fn error(&self, what: &str) -> String {
        format!("line {}: {what}", self.lines.get(self.at).map_or(0, |line| line.0) + 1)
    }

    /// The next line with content: indentation and content.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        while let Some(&(_, depth, content)) = self.lines.get(self.at) {
            if !content.is_empty() && !content.starts_with('#') {
                return Some((depth, content));
            }
            self.at += 1;
        }
        None
    }

    fn node(&mut self, depth: usize) -> Result<Value, String> {
        match self.next() {
            Some((here, content)) if here == depth && content.starts_with("- ") => self.sequence(depth),
            Some((here, _)) if here == depth => self.mapping(depth),
            _ => Err(self.error("nothing where something should stand")),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some((here, content)) = self.next() {
            let Some(item) = content.strip_prefix("- ").filter(|_| here == depth) else { break };
            if item == "|" {
                self.at += 1;
                items.push(self.literal(depth));
            } else if split_key(item).is_some() {
                // The mapping begins behind the dash: as if its first key stood there alone.
                self.lines[self.at].1 = depth + 2;
                self.lines[self.at].2 = item;
                items.push(self.mapping(depth + 2)?);
            } else {
                items.push(self.scalar(item)?);
                self.at += 1;
            }
        }
        Ok(Value::Array(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        while let Some((here, content)) = self.next() {
            if here != depth || content.starts_with("- ") {
                break;
            }
            let (key, rest) = split_key(content).ok_or_else(|| self.error(&format!("`{content}` has no key")))?;
            let value = if rest == "|" {
                self.at += 1;
                self.literal(depth)
            } else if rest.is_empty() {
                self.at += 1;
                let inner = self.next().map_or(0, |(inner, _)| inner);
                if inner <= depth {
                    return Err(self.error(&format!("`{key}` is empty")));
                }
                self.node(inner)?
            } else {
                let value = self.scalar(rest)?;
                self.at += 1;
                value
            };
            if map.insert(key.to_owned(), value).is_some() {
                return Err(self.error(&format!("`{key}` stands there twice")));
            }
        }
        Ok(Value::Object(map))
    }

    fn scalar(&self, text: &str) -> Result<Value, String> {
        if let Some(list) = text.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            return Ok(list.split(", ").map(|one| Value::from(one.trim())).collect());
        }
        if let Some(quoted) = text.strip_prefix('"') {
            let inner = quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\']));
            return inner.map(Value::from).ok_or_else(|| self.error(&format!("`{text}`: quotes do not match")));
        }
        let plain = !text.starts_with(['{', '&', '*', '!', '%', '@', '`', '\'', '|', '>'])
            && !text.contains(": ")
            && !text.contains(" #");
        if plain { Ok(Value::from(text)) } else { Err(self.error(&format!("`{text}` needs quotes"))) }
    }

    /// The lines that are deeper than `depth`, as they stand.
    fn literal(&mut self, depth: usize) -> Value {
        let mut block = String::new();
        let first = self.lines.get(self.at).map_or(0, |line| line.1);
        while let Some(&(number, here, content)) = self.lines.get(self.at) {
            if !content.is_empty() && here <= depth {
                break;
            }
            let line = self.text.lines().nth(number).unwrap_or_default();
            block.push_str(line.get(first..).unwrap_or_default());
            block.push('\n');
            self.at += 1;
        }
        Value::from(block)
    }
}

/// `key: rest` or `key:`.
fn split_key(content: &str) -> Option<(&str, &str)> {
    let (key, rest) = content.split_once(": ").or_else(|| Some((content.strip_suffix(':')?, "")))?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-./".contains(c));
    is_key.then_some((key, rest))
}

#[test]
fn the_reader_reads_what_it_should_and_nothing_else() {
    let text = "a: 1\nb:\n  - x: \"y\"\n    z: [p, q]\n  - word\n  - |\n    one\n      two\n\n    three\nc:\n  d: e\n";
    let value = read(text).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "a": "1",
            "b": [{"x": "y", "z": ["p", "q"]}, "word", "one\n  two\n\nthree\n"],
            "c": {"d": "e"},
        })
    );
    for wrong in ["a: b: c\n", "a:\nb: 1\n", "a: 1\n   b: 2\n", "a: \"x\n", "a: 1\na: 2\n", "- x\nb: 1\n", "a:\t1\n"] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}
