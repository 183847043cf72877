//! Which files an input argument means: file, directory, glob, `-`, each with `#TRACE_ID` behind it if wanted.

use super::engine::TracePrefix;
use super::error::Problem;
use crate::model::Limits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Ends of names that are looked at in directories.
const EXTENSIONS: [&str; 13] =
    ["spanprofile", "json", "jsonl", "ndjson", "pb", "binpb", "proto", "protobuf", "otlp", "bin", "gz", "zst", "zstd"];

/// One stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The name in reports: the path as it was given, with `/` on every system.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".into(),
            Source::File(path) => path.to_string_lossy().replace('\\', "/"),
        }
    }
}

/// What one side reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The words of the command line, for hints.
    pub words: Vec<String>,
    /// The streams, sorted, each once.
    pub sources: Vec<Source>,
    /// The trace that is wanted.
    pub wanted: Option<TracePrefix>,
}

/// Finds the streams that the words mean.
pub fn resolve(words: &[String], limits: &Limits) -> Result<Inputs, Vec<Problem>> {
    let mut sources = BTreeSet::new();
    let mut wanted: Option<TracePrefix> = None;
    let mut problems = Vec::new();
    for word in words {
        let (place, prefix) = split(word);
        match (wanted, prefix) {
            (Some(first), Some(second)) if first != second => problems.push(
                Problem::new(format!("one side names two traces, #{first} and #{second}"))
                    .hint("a side is one trace: give one #TRACE_ID"),
            ),
            _ => wanted = wanted.or(prefix),
        }
        match find(place, limits) {
            Ok(found) => sources.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Inputs { words: words.to_vec(), sources: sources.into_iter().collect(), wanted })
    } else {
        Err(problems)
    }
}

/// Splits `#TRACE_ID` off, unless a file of the whole name exists.
fn split(word: &str) -> (&str, Option<TracePrefix>) {
    match word.rsplit_once('#') {
        Some((place, id)) if !place.is_empty() && !Path::new(word).exists() => {
            TracePrefix::parse(id).map_or((word, None), |prefix| (place, Some(prefix)))
        }
        _ => (word, None),
    }
}

fn find(place: &str, limits: &Limits) -> Result<Vec<Source>, Problem> {
    if place == "-" {
        return Ok(vec![Source::Stdin]);
    }
    let path = Path::new(place);
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => directory(path, limits),
        Ok(_) => Ok(vec![Source::File(path.to_owned())]),
        Err(error) if place.contains(['*', '?', '[']) => match glob::glob(place) {
            Ok(paths) => matching(place, paths, limits),
            Err(pattern) => Err(missing(place, &error).cause(format!("it is no pattern either: {pattern}"))),
        },
        Err(error) => Err(missing(place, &error)),
    }
}

fn missing(place: &str, error: &std::io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read {place}")).cause(error.to_string());
    match place.rsplit_once('#') {
        Some((_, id)) => {
            problem.hint(format!("`{id}` is no trace id (1 to 32 hex digits), so # was taken as part of the name"))
        }
        None if error.kind() == std::io::ErrorKind::NotFound => {
            problem.hint("check the name; inputs are files, directories, patterns such as 'traces/*.json', or -")
        }
        None => problem,
    }
}

fn directory(root: &Path, limits: &Limits) -> Result<Vec<Source>, Problem> {
    let cannot = |path: &Path, error: &std::io::Error| {
        Problem::new(format!("cannot read directory {}", path.display())).cause(error.to_string())
    };
    let (mut files, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).map_err(|error| cannot(&directory, &error))? {
            let entry = entry.map_err(|error| cannot(&directory, &error))?;
            let kind = entry.file_type().map_err(|error| cannot(&entry.path(), &error))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            // A link to a directory is not followed: it could lead back here.
            if kind.is_dir() {
                open.push(entry.path());
            } else if is_known(&entry.path()) && entry.path().is_file() {
                files.push(Source::File(entry.path()));
            }
            bounded((files.len() + open.len()) as u64, &root.display().to_string(), limits)?;
        }
    }
    if files.is_empty() {
        return Err(Problem::new(format!("no trace file in directory {}", root.display()))
            .cause(format!("looked for names that end in .{}", EXTENSIONS.join(", .")))
            .hint("give a file of another name by itself, or a pattern: its name then does not matter"));
    }
    Ok(files)
}

/// Whether `path` is a file of a capture that a receiver is writing: `….zst.part`.
pub fn is_being_written(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "part")
        && path.file_stem().is_some_and(|stem| Path::new(stem).extension().is_some_and(|end| end == "zst"))
}

fn is_known(path: &Path) -> bool {
    if is_being_written(path) {
        return true;
    }
    path.extension()
        .and_then(|end| end.to_str())
        .is_some_and(|end| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

fn matching(pattern: &str, paths: glob::Paths, limits: &Limits) -> Result<Vec<Source>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Problem::new(format!("cannot search {pattern}")).cause(error.to_string()))?;
        if path.is_file() {
            files.push(Source::File(path));
        }
        bounded(files.len() as u64, pattern, limits)?;
    }
    if files.is_empty() {
        return Err(Problem::new(format!("no file matches {pattern}"))
            .hint("patterns are matched from the working directory; ** stands for any folders"));
    }
    Ok(files)
}

fn bounded(files: u64, place: &str, limits: &Limits) -> Result<(), Problem> {
    if files <= limits.files {
        return Ok(());
    }
    Err(Problem::new(format!("{place} holds more than {} files", limits.files))
        .hint("raise the limit with --limit files=N"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_split_off() {
        assert_eq!(split("a.json#4bf9"), ("a.json", TracePrefix::parse("4bf9")));
        assert_eq!(split("a.json#xyz"), ("a.json#xyz", None));
        assert_eq!(split("a.json"), ("a.json", None));
        assert_eq!(split("-#ab"), ("-", TracePrefix::parse("ab")));
    }

    #[test]
    fn directories_give_known_files_sorted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.json", "a.binpb", ".hidden.json", "notes.md", "sub/c.jsonl.gz", "d.zst.part", "e.json.part"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let word = dir.path().to_string_lossy().into_owned();
        let found = resolve(&[word.clone(), word], &Limits::default()).unwrap();
        let names: Vec<_> =
            found.sources.iter().map(|source| source.name().rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.binpb", "b.json", "d.zst.part", "c.jsonl.gz"]);
        let few = Limits { files: 2, ..Limits::default() };
        assert!(resolve(&[dir.path().to_string_lossy().into_owned()], &few).is_err());
    }
}
