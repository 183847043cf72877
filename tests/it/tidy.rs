//! The house rules of `src/lib.rs`, read from the sources: rooms and floors, sizes, no loose ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use of the others. A room that is not named here does not exist.
const ROOMS: [(&str, &[&str]); 10] = [
    ("stats", &[]),
    ("model", &["stats"]),
    ("ingest", &["model"]),
    ("align", &["model"]),
    ("generate", &["model"]),
    ("diff", &["model", "stats", "align"]),
    ("report", &["model", "diff"]),
    ("tui", &["model", "diff", "report"]),
    ("receiver", &["model", "stats", "ingest", "diff", "report"]),
    ("cli", &["stats", "model", "ingest", "align", "generate", "diff", "report", "tui", "receiver"]),
];
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

struct Source {
    path: PathBuf,
    /// First folder or file below `src`, without its ending.
    room: String,
    text: String,
}

impl Source {
    /// What is not a test: everything before the test module.
    fn code(&self) -> &str {
        if self.path.ends_with("tests.rs") || self.path.components().any(|part| part.as_os_str() == "tests") {
            return "";
        }
        self.text.split("\n#[cfg(test)]\n").next().unwrap_or_default()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut open, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let below = path.strip_prefix(&root).unwrap().with_extension("");
                let room = below.iter().next().unwrap().to_string_lossy().into_owned();
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path, room, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 20, "the sources are somewhere else");
    sources
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) {
    let mut text = String::new();
    for complaint in complaints {
        let _ = writeln!(text, "  {complaint}");
    }
    assert!(text.is_empty(), "\n{text}");
}

/// Names of rooms behind `crate::`, in `use` lines, groups and paths alike.
fn rooms_used(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let mut part = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => used.push(word(std::mem::take(&mut part).trim())),
                        _ => {}
                    }
                    if depth == 0 && c != ',' {
                        part.push(c);
                    }
                }
                used.push(word(part.trim()));
            }
            None => used.push(word(rest)),
        }
    }
    used.retain(|room| !room.is_empty());
    used
}

/// How many `super::` lead from a file out of its room: only `crate::` paths are looked at otherwise.
fn way_out(path: &Path) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let depth = path.strip_prefix(root).unwrap().components().count();
    if path.ends_with("mod.rs") { depth - 1 } else { depth }
}

#[test]
fn imports_go_down_only() {
    let allowed: BTreeMap<_, _> = ROOMS.into_iter().collect();
    let mut complaints = Vec::new();
    for source in sources() {
        if source.room != "lib" && source.code().contains(&"super::".repeat(way_out(&source.path))) {
            complaints.push(format!("{}: leaves its room by `super::`", source.path.display()));
        }
        if ["lib", "main"].contains(&source.room.as_str()) {
            continue;
        }
        let Some(may_use) = allowed.get(source.room.as_str()) else {
            complaints.push(format!("{}: `{}` is no room of the house", source.path.display(), source.room));
            continue;
        };
        for used in rooms_used(source.code()) {
            let is_room = allowed.contains_key(used.as_str());
            if is_room && used != source.room && !may_use.contains(&used.as_str()) {
                complaints.push(format!("{}: `{}` may not use `{used}`", source.path.display(), source.room));
            }
        }
    }
    none(complaints);
}

#[test]
fn import_groups_are_understood() {
    assert_eq!(rooms_used("use crate::model::{A, B}; crate::diff::x()"), ["model", "diff"]);
    assert_eq!(rooms_used("use crate::{model::{A, B}, diff, report::C};"), ["model", "diff", "report"]);
}

#[test]
fn files_and_functions_are_short() {
    let mut complaints = Vec::new();
    for source in sources() {
        let code = source.code();
        let lines = code.lines().count();
        if lines > FILE_LINES {
            complaints.push(format!("{}: {lines} lines, at most {FILE_LINES}", source.path.display()));
        }
        for (line, length) in functions(code) {
            if length > FUNCTION_LINES {
                let path = source.path.display();
                complaints.push(format!("{path}:{line}: a function of {length} lines, at most {FUNCTION_LINES}"));
            }
        }
    }
    none(complaints);
}

/// First line and length of every function, by indentation: rustfmt closes it in the column where it began.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let head = body.split("fn ").next().unwrap_or_default();
        let is_function = body.contains("fn ")
            && head
                .split_whitespace()
                .all(|word| word.starts_with("pub") || ["const", "unsafe", "async", "in"].contains(&word))
            && !body.ends_with(';')
            && !body.ends_with('}');
        if is_function {
            let close = format!("{}}}", " ".repeat(line.len() - body.len()));
            let end =
                lines.iter().skip(start).position(|line| *line == close || line.trim_end() == format!("{close};"));
            found.push((start + 1, end.map_or(0, |length| length + 1)));
        }
    }
    found
}

#[test]
fn function_lengths_are_measured() {
    let code = "pub fn a() {\n    1\n}\nimpl X {\n    const fn b(&self) -> u8 {\n        2\n    }\n}\nfn c() {}\n";
    assert_eq!(functions(code), [(1, 3), (5, 3)]);
}

#[test]
fn no_loose_ends() {
    // Written in two halves, so that this file does not complain about itself.
    let words = [
        concat!("tod", "o!("),
        concat!("unimplem", "ented!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
    ];
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut texts: Vec<(PathBuf, String)> = sources().into_iter().map(|source| (source.path, source.text)).collect();
    for entry in fs::read_dir(tests.join("it")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap();
            texts.push((path, text));
        }
    }
    let mut complaints = Vec::new();
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    none(complaints);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.code().is_empty() && !source.text.starts_with("//! "));
    none(silent.map(|source| format!("{}: begins without //!", source.path.display())).collect());
}

#[test]
fn every_room_states_what_it_may_use_and_its_invariant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut complaints = Vec::new();
    for (room, _) in ROOMS {
        let path = root.join(room).join("mod.rs");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let doc: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for part in ["Floor ", "May use", "Invariant"] {
            if !doc.contains(part) {
                complaints.push(format!("{}: the module doc does not say `{part}`", path.display()));
            }
        }
    }
    none(complaints);
}
