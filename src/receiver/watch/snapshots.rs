//! A directory that follows the windows that are kept, so that a restart loses none of them.
//!
//! Every file is written beside its name and then renamed, so that it is there as a whole or not at all. Files with
//! other names are left alone.
#![expect(clippy::disallowed_methods, reason = "snapshots are files; where they lie is said by cli")]

use crate::receiver::mark::{MAX_MARKS, Mark};
use crate::receiver::windows::{Change, Windows};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// The file of marks.
const MARKS: &str = "marks.json";
/// What a file that is being written is called.
const UNFINISHED: &str = ".unfinished";
/// Bytes of the file of marks, at most.
const MAX_MARKS_BYTES: u64 = 1 << 20;

/// A directory of snapshots.
#[derive(Clone, Debug)]
pub struct Snapshots {
    directory: PathBuf,
}

impl Snapshots {
    /// Opens a directory, which is created if it is not there, and clears what a crash left half written.
    ///
    /// # Errors
    /// When it cannot be created or read.
    pub fn open(directory: PathBuf) -> io::Result<Snapshots> {
        fs::create_dir_all(&directory)?;
        let snapshots = Snapshots { directory };
        for name in snapshots.names()? {
            if name.strip_suffix(UNFINISHED).is_some_and(is_ours) {
                fs::remove_file(snapshots.directory.join(name))?;
            }
        }
        Ok(snapshots)
    }

    /// What is there, for [`super::Watch::restore`]: the marks, and so many bytes of windows, newest first. Files that
    /// cannot be read are left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn load(&self, most_bytes: u64) -> io::Result<Vec<(String, Vec<u8>)>> {
        let names = self.names()?;
        let mut windows: Vec<(u64, String)> =
            names.into_iter().filter_map(|name| Some((Windows::number_of(&name)?, name))).collect();
        windows.sort_unstable_by(|a, b| b.cmp(a));
        let mut files = Vec::new();
        files.extend(self.read(MARKS, MAX_MARKS_BYTES).map(|bytes| (MARKS.to_owned(), bytes)));
        let mut left = most_bytes;
        for (_, name) in windows {
            if let Some(bytes) = self.read(&name, left) {
                left -= bytes.len() as u64;
                files.push((name, bytes));
            }
        }
        Ok(files)
    }

    /// Follows changes; what could not be done, by name. The rest is done all the same.
    pub fn follow(&self, changes: &[Change]) -> Vec<(String, io::Error)> {
        let follow = |change: &Change| match change {
            Change::Write { name, bytes } => (name.clone(), self.write(name, bytes)),
            Change::Remove { name } => (name.clone(), fs::remove_file(self.directory.join(name))),
        };
        changes.iter().map(follow).filter_map(|(name, done)| done.err().map(|error| (name, error))).collect()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read(&self, name: &str, most_bytes: u64) -> Option<Vec<u8>> {
        let file = File::open(self.directory.join(name)).ok()?;
        let mut bytes = Vec::new();
        file.take(most_bytes.saturating_add(1)).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= most_bytes).then_some(bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.directory.join(format!("{name}{UNFINISHED}"));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(unfinished, self.directory.join(name))
    }
}

fn is_ours(name: &str) -> bool {
    is_marks(name) || Windows::number_of(name).is_some()
}

/// The file of marks, each with the number of the first window behind it; `None` when JSON cannot say them.
pub(super) fn marks_file<'m>(marks: impl Iterator<Item = (&'m Mark, u64)>) -> Option<Change> {
    let one = |(mark, behind): (&Mark, u64)| {
        let mut fields = Map::new();
        fields.insert("label".to_owned(), mark.label.clone().into());
        fields.insert("unix_ns".to_owned(), mark.unix_ns.into());
        fields.insert("looks".to_owned(), mark.looks.into());
        fields.insert("cohort".to_owned(), mark.cohort.clone().into());
        fields.insert("first_window".to_owned(), behind.into());
        Value::Object(fields)
    };
    let list = Value::Array(marks.map(one).collect());
    Some(Change::Write { name: MARKS.to_owned(), bytes: serde_json::to_vec_pretty(&list).ok()?.into() })
}

/// Whether this is the file of marks.
pub(super) fn is_marks(name: &str) -> bool {
    name == MARKS
}

/// The marks in the file of marks, each with the number of the first window behind it; `None` for a damaged one.
pub(super) fn read_marks(bytes: &[u8]) -> Option<Vec<(Mark, u64)>> {
    let one = |value: &Value| {
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let mut mark = Mark::new(value.get("label")?.as_str()?, number("unix_ns")?);
        mark.looks = number("looks").and_then(|looks| u32::try_from(looks).ok());
        mark.cohort = value.get("cohort").and_then(Value::as_str).map(str::to_owned);
        Some((mark, number("first_window")?))
    };
    let list = serde_json::from_slice::<Value>(bytes).ok()?;
    list.as_array()?.iter().take(MAX_MARKS).map(one).collect()
}
