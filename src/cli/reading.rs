//! Reads what the inputs of a side hold: every source in turn, all bad ones named, the bytes hashed on the way.

use super::config::{Settings, hex};
use super::engine::{self, ReadError, ReadReport, Sink};
use super::error::Problem;
use super::inputs::{Inputs, Source};
use super::progress::{Progress, Watched, WatchedSink};
use crate::ingest::{Context, InputFormat};
use crate::model::{Symbols, Warnings};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};

/// What was found in the sources of one side.
#[derive(Debug, Default)]
pub struct Found {
    /// Name, report and hash of every source, in order.
    pub sources: Vec<SourceFound>,
    /// The strings of all sources.
    pub symbols: Symbols,
}

/// What was found in one source.
#[derive(Debug)]
pub struct SourceFound {
    /// Its name.
    pub name: String,
    /// What the reader says.
    pub report: ReadReport,
    /// SHA-256 of its bytes as they were stored, hex.
    pub sha256: String,
}

impl Found {
    /// The warnings of all sources.
    pub fn warnings(&self) -> Warnings {
        let mut warnings = Warnings::default();
        for source in &self.sources {
            warnings.merge(&source.report.warnings);
        }
        warnings
    }

    /// Hex SHA-256 over the sorted list of the sources' hashes: neither names nor order show.
    pub fn sha256(&self) -> String {
        let mut hashes: Vec<_> = self.sources.iter().map(|source| source.sha256.as_str()).collect();
        hashes.sort_unstable();
        hex(&Sha256::digest(hashes.join("\n")))
    }
}

/// Bytes of all sources together, when every one is a plain file.
pub fn total_bytes<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Option<u64> {
    sources.into_iter().try_fold(0u64, |sum, source| match source {
        Source::Stdin => None,
        Source::File(path) => {
            let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
            Some(sum.saturating_add(metadata.len()))
        }
    })
}

/// Reads all sources into a sink; every one must be readable, and all that are not are named.
pub fn read(
    inputs: &Inputs,
    settings: &Settings,
    said: Option<InputFormat>,
    sink: &mut dyn Sink,
    progress: &Progress,
) -> Result<Found, Vec<Problem>> {
    let (found, problems) = read_what_can_be(inputs, settings, said, sink, progress);
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Reads all sources into a sink: what was found, and what is wrong with those that could not be read.
pub fn read_what_can_be(
    inputs: &Inputs,
    settings: &Settings,
    said: Option<InputFormat>,
    sink: &mut dyn Sink,
    progress: &Progress,
) -> (Found, Vec<Problem>) {
    let mut found = Found::default();
    let mut problems = Vec::new();
    for source in &inputs.sources {
        let name = source.name();
        let mut sink = WatchedSink { inner: sink, progress };
        let mut context = Context {
            limits: settings.limits,
            symbols: &mut found.symbols,
            sink: &mut sink,
            report: ReadReport::default(),
        };
        match read_source(source, said, &mut context, progress) {
            Ok(sha256) => {
                let report = context.report;
                found.sources.push(SourceFound { name, report, sha256 });
            }
            Err(error) => problems.push(problem(&name, error)),
        }
    }
    (found, problems)
}

fn read_source(
    source: &Source,
    said: Option<InputFormat>,
    context: &mut Context<'_>,
    progress: &Progress,
) -> Result<String, ReadError> {
    let inner: Box<dyn Read> = match source {
        Source::Stdin => Box::new(io::stdin().lock()),
        Source::File(path) => Box::new(File::open(path)?),
    };
    let mut input = Hashed { inner: Watched { inner, progress }, hash: Sha256::new() };
    engine::read(&mut input, said, context)?;
    // The hash is that of the whole source, also of what stands behind the last record.
    io::copy(&mut input, &mut io::sink())?;
    Ok(hex(&input.hash.finalize()))
}

struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn problem(name: &str, error: ReadError) -> Problem {
    let problem = Problem::new(format!("cannot read {}", if name == "-" { "standard input" } else { name }));
    match error {
        ReadError::Io(error) => problem.cause(error.to_string()),
        ReadError::NotATrace { ref hint, .. } | ReadError::Unsupported { ref hint, .. } => {
            problem.cause(error.to_string()).hint(hint)
        }
        ReadError::Limit { name, .. } => {
            problem.cause(error.to_string()).hint(format!("if the data is what you expect, raise it: --limit {name}=N"))
        }
        ReadError::Compression { .. } => {
            problem.cause(error.to_string()).hint("the file seems to be cut off or damaged; copy or download it again")
        }
    }
}
