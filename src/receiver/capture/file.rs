//! One file that is being written: frames are appended, and taken back when they did not all arrive.

use super::name::Name;
use super::{CaptureOptions, Moment};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the writer and the keeper share of a file.
#[derive(Debug)]
pub(super) struct Shared {
    pub file: File,
    /// Something was written since the last sync.
    pub dirty: AtomicBool,
    /// A sync failed: what the file holds beyond memory is not known any more, and nothing goes into it from then on.
    pub failed: AtomicBool,
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct PartFile {
    shared: Arc<Shared>,
    directory: PathBuf,
    name: Name,
    /// Bytes of whole frames that count as written.
    good: u64,
    /// Bytes behind them.
    tail: u64,
    /// Bytes before compression.
    content: u64,
    began_steady_ns: u64,
}

impl PartFile {
    /// Begins a file.
    pub fn create(directory: &Path, name: Name, steady_ns: u64) -> io::Result<PartFile> {
        let file = OpenOptions::new().append(true).create_new(true).open(directory.join(name.part()))?;
        let shared = Shared { file, dirty: AtomicBool::new(false), failed: AtomicBool::new(false) };
        Ok(PartFile {
            shared: Arc::new(shared),
            directory: directory.to_owned(),
            name,
            good: 0,
            tail: 0,
            content: 0,
            began_steady_ns: steady_ns,
        })
    }

    /// What the keeper shares of it.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether it is time for another file.
    pub fn is_due(&self, options: &CaptureOptions, now: Moment, most_content: u64) -> bool {
        self.good >= options.file_bytes
            || self.content >= most_content
            || now.steady_ns.saturating_sub(self.began_steady_ns) >= options.file_age_ns
            || self.shared.failed.load(Ordering::Acquire)
    }

    /// Whether it has no name any more, so that nobody could ever read it.
    pub fn is_gone(&self) -> bool {
        #[cfg(unix)]
        return std::os::unix::fs::MetadataExt::nlink(&match self.shared.file.metadata() {
            Ok(metadata) => metadata,
            Err(_) => return true,
        }) == 0;
        #[cfg(not(unix))]
        return !self.directory.join(self.name.part()).exists();
    }

    /// Appends bytes that [`PartFile::accept`] or [`PartFile::roll_back`] decide about.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Also when it fails: a part of them may have arrived.
        self.tail += bytes.len() as u64;
        (&self.shared.file).write_all(bytes)
    }

    /// Forces what was appended onto the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.tail == 0 {
            return Ok(());
        }
        self.shared.file.sync_data().inspect_err(|_| self.shared.failed.store(true, Ordering::Release))
    }

    /// What was appended, `content` bytes before compression, belongs to the file.
    pub fn accept(&mut self, content: u64) {
        if self.tail > 0 {
            self.good += self.tail;
            self.tail = 0;
            self.content += content;
            self.shared.dirty.store(true, Ordering::Release);
        }
    }

    /// Takes back what was appended; false when that fails.
    pub fn roll_back(&mut self) -> bool {
        if self.tail > 0 && self.shared.file.set_len(self.good).is_err() {
            return false;
        }
        self.tail = 0;
        true
    }

    /// Gives the file its name for good; one without a frame is removed. False for the latter.
    pub fn finish(&self, sync: bool) -> io::Result<bool> {
        let part = self.directory.join(self.name.part());
        if self.good == 0 {
            std::fs::remove_file(part)?;
            return Ok(false);
        }
        // What could not be synced is in the file for all that anybody knows, and goes under its name as well.
        let synced = if sync { self.shared.file.sync_all() } else { Ok(()) };
        settle(&self.directory, &self.name, sync)?;
        synced.map(|()| true)
    }
}

/// Gives a `.part` file its name for good. A file that has that name already, from wherever it came, is not written over.
pub(super) fn settle(directory: &Path, name: &Name, sync: bool) -> io::Result<()> {
    let path = directory.join(name.to_string());
    if path.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", path.display())));
    }
    std::fs::rename(directory.join(name.part()), path)?;
    if sync { sync_directory(directory) } else { Ok(()) }
}

/// Forces the names in a directory onto the disk.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return File::open(directory)?.sync_all();
    #[cfg(not(unix))]
    return Ok(());
}
