//! The steps of a session: written to a log, played again, saved when the connection is lost.

use super::look::variable;
use crate::cli::args::TuiArgs;
use crate::cli::error::{Failure, Problem};
use crate::cli::output;
use crate::tui::steps;
use crate::tui::update::{Msg, Step};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a log that are read.
const LOG_BYTES: u64 = 16 << 20;
/// Steps that are kept for the case that the connection is lost.
const STEPS: usize = 100_000;

/// What is kept of a session.
pub struct Session {
    log: Option<(PathBuf, File)>,
    /// What is compared and from where, as the first line of a saved session.
    subject: String,
    steps: Vec<String>,
}

impl Session {
    /// A session that begins; its log is made anew.
    pub fn new(args: &TuiArgs) -> Result<Session, Failure> {
        let log = args.log.as_deref().map(|path| {
            let file = File::create(path).map_err(|error| output::cannot_write(&path.display().to_string(), &error))?;
            Ok::<_, Failure>((path.to_owned(), file))
        });
        let here = std::env::current_dir().unwrap_or_default();
        let sides = &args.sides;
        let words = [&sides.sides, &sides.before, &sides.after, &sides.input];
        let subject = serde_json::json!({ "directory": here.to_string_lossy(), "inputs": words });
        #[cfg(feature = "receiver")]
        let subject = match &args.attach {
            Some(address) => serde_json::json!({ "attach": address, "cohort": args.cohort }),
            None => subject,
        };
        Ok(Session { log: log.transpose()?, subject: format!("# {subject}"), steps: Vec::new() })
    }

    /// Keeps a step.
    pub fn keep(&mut self, step: &Step) -> Result<(), String> {
        let line = steps::line(step);
        let written = self.log.as_mut().map_or(Ok(()), |(path, file)| {
            // Whole lines: whatever ends the program, none is cut.
            file.write_all(format!("{line}\n").as_bytes())
                .map_err(|error| format!("cannot write {}: {error}", path.display()))
        });
        if self.steps.len() < STEPS {
            self.steps.push(line);
        }
        if written.is_err() {
            self.log = None;
        }
        written
    }

    /// Saves all steps for the next time the same is compared from here. Without a home there is no next time.
    pub fn save(&self) {
        let Some(path) = place() else { return };
        let mut text = self.subject.clone();
        for step in &self.steps {
            text.push('\n');
            text.push_str(step);
        }
        text.push('\n');
        if let Some(directory) = path.parent() {
            // Nobody is there any more who could be told that it failed.
            let _ = std::fs::create_dir_all(directory);
        }
        let _ = output::whole(&path, text.as_bytes());
    }

    /// Where an earlier session with the same inputs was saved.
    pub fn saved(&self) -> Option<PathBuf> {
        let path = place()?;
        let mut head = String::new();
        let file = File::open(&path).ok()?;
        file.take(self.subject.len() as u64 + 1).read_to_string(&mut head).ok()?;
        (head.strip_suffix('\n') == Some(self.subject.as_str())).then_some(path)
    }
}

/// `$XDG_STATE_HOME/spandiff/session.jsonl`.
fn place() -> Option<PathBuf> {
    let directory = |name| variable(name).map(PathBuf::from);
    let state = directory("XDG_STATE_HOME")
        .or_else(|| directory("LOCALAPPDATA"))
        .or_else(|| directory("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("spandiff").join("session.jsonl"))
}

/// The steps of a log.
pub fn read(path: &Path) -> Result<Vec<Msg>, Failure> {
    let name = path.display();
    let cannot = || Problem::new(format!("cannot replay {name}"));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LOG_BYTES).read_to_string(&mut text))
        .map_err(|error| cannot().cause(error.to_string()))?;
    steps::parse(&text).map_err(|(line, wrong)| {
        cannot().cause(format!("line {line}: {wrong}")).hint("--log FILE writes what --replay reads").into()
    })
}
