//! Reads what sources hold: each in turn, all bad ones named, the bytes hashed on the way.

use super::config::{Settings, hex};
use super::engine::{self, Census, Profile, ProfileError, ReadError, ReadReport, Sink};
use super::error::Problem;
use super::inputs::Source;
use super::opened::Opened;
use super::progress::{Progress, Watched, WatchedSink};
use crate::ingest::{Context, InputFormat};
use crate::model::{Symbols, Warnings};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// SHA-256 of its bytes as they were stored.
    pub sha256: [u8; 32],
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

    /// Bytes of all sources after decompression, and of those the bytes that could not be used.
    pub fn bytes(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), source: &SourceFound| {
            (sum.0.saturating_add(source.report.bytes), sum.1.saturating_add(source.report.bytes_lost))
        };
        self.sources.iter().fold((0, 0), add)
    }
}

/// Hex SHA-256 over the sorted list of hashes in hex: neither names nor order show.
pub fn hash_of_hashes<'a>(hashes: impl IntoIterator<Item = &'a [u8; 32]>) -> String {
    let mut hashes: Vec<String> = hashes.into_iter().map(|hash| hex(hash)).collect();
    hashes.sort_unstable();
    hex(&Sha256::digest(hashes.join("\n")))
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

/// How sources are read.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Limits, rules and threads.
    pub settings: &'a Settings,
    /// The format that the user says traces have.
    pub said: Option<InputFormat>,
    /// What is told how far reading is.
    pub progress: &'a Progress,
}

impl Reader<'_> {
    /// Reads all sources into a sink; every one must be readable, and all that are not are named. Reading ends early
    /// when `stop` is set.
    pub fn read(
        &self,
        sources: &[&Opened],
        sink: &mut dyn Sink,
        stop: Option<&AtomicBool>,
    ) -> Result<Found, Vec<Problem>> {
        let (found, problems) = self.read_what_can_be(sources, sink, stop);
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    /// Reads all sources into a sink: what was found, and what is wrong with those that could not be read.
    pub fn read_what_can_be(
        &self,
        sources: &[&Opened],
        sink: &mut dyn Sink,
        stop: Option<&AtomicBool>,
    ) -> (Found, Vec<Problem>) {
        let mut found = Found::default();
        let mut problems = Vec::new();
        for source in sources {
            let mut sink = WatchedSink { inner: sink, progress: self.progress };
            let mut context = Context {
                limits: self.settings.limits,
                symbols: &mut found.symbols,
                sink: &mut sink,
                report: ReadReport::default(),
            };
            let read = source.read().map_err(ReadError::Io).and_then(|inner| {
                let inner = Stoppable { inner: Watched { inner, progress: self.progress }, stop };
                let mut input = Hashed { inner, hash: Sha256::new() };
                engine::read(&mut input, self.said, &mut context)?;
                // The hash is that of the whole source, also of what stands behind the last record.
                io::copy(&mut input, &mut io::sink())?;
                Ok(input.hash.finalize().into())
            });
            let report = context.report;
            match read {
                Ok(sha256) => found.sources.push(SourceFound { name: source.name.clone(), report, sha256 }),
                Err(error) => problems.push(problem(&source.name, error)),
            }
        }
        (found, problems)
    }

    /// Counts the spans of every trace.
    pub fn census(&self, sources: &[&Opened]) -> Result<Census, Vec<Problem>> {
        let mut census = Census::new(&self.settings.limits);
        let mut symbols = Symbols::default();
        let mut problems = Vec::new();
        for source in sources {
            let mut context = Context {
                limits: self.settings.limits,
                symbols: &mut symbols,
                sink: &mut census,
                report: ReadReport::default(),
            };
            let read = source.read().map_err(ReadError::Io).and_then(|inner| {
                engine::read(&mut Watched { inner, progress: self.progress }, self.said, &mut context)
            });
            problems.extend(read.err().map(|error| problem(&source.name, error)));
        }
        if problems.is_empty() { Ok(census) } else { Err(problems) }
    }

    /// Reads a profile.
    pub fn profile(&self, source: &Opened) -> Result<Profile, Problem> {
        let read = source.read().map_err(|error| ProfileError::Read(ReadError::Io(error))).and_then(|inner| {
            engine::decode_profile(&mut Watched { inner, progress: self.progress }, &self.settings.limits)
        });
        read.map_err(|error| unreadable(&source.name, error))
    }
}

/// Why a profile cannot be read.
pub fn unreadable(name: &str, error: ProfileError) -> Problem {
    match error {
        ProfileError::Read(error) => problem(name, error),
        ProfileError::NotAProfile => cannot_read(name)
            .cause(error.to_string())
            .hint("spandiff record makes profiles of traces; without --input-format the kind of input is recognised"),
        ProfileError::Version { .. } => cannot_read(name)
            .cause(error.to_string())
            .hint("read it with the version of spandiff that wrote it, or record it again"),
        ProfileError::Damaged { .. } => {
            cannot_read(name).cause(error.to_string()).hint("copy the file again, or record it again")
        }
    }
}

/// Ends with an error when it is told to.
struct Stoppable<'a, R> {
    inner: R,
    stop: Option<&'a AtomicBool>,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(io::Error::other("stopped"));
        }
        self.inner.read(buffer)
    }
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

fn cannot_read(name: &str) -> Problem {
    Problem::new(format!("cannot read {}", if name == "-" { "standard input" } else { name }))
}

fn problem(name: &str, error: ReadError) -> Problem {
    let problem = cannot_read(name);
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
