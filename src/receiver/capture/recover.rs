//! What is done with files that are there: mending those that a crash has left behind, removing the oldest.
//!
//! A process that was killed leaves at most one torn write at the end. A machine that went down may leave more: files
//! that are longer than what arrived in them, blocks of zeros, blocks of something else. So the structure of every
//! frame of a `.part` file is walked, and the last megabytes, which are all that a crash can have harmed when files are
//! synced in intervals, are decompressed against their checksums. From the first frame on that is not sound the file
//! is cut. Finished files are never touched but to be removed.

use super::frame::Checker;
use super::name::Name;
use super::{CaptureOptions, Fsync, file, frame};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// How many stored bytes at the end are decompressed: what a fast disk takes in a second, several times.
const CHECKED_BYTES: u64 = 64 << 20;
/// More than a group can be: frames beyond it are not ours.
const MOST_GROUP_BYTES: u64 = 8 << 30;

/// What a former run had left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files that were still being written.
    pub files: u64,
    /// Bytes on disk that were cut off their ends.
    pub bytes_cut: u64,
    /// Files that could not be mended, with the reason; they are left as they are.
    pub failed: Vec<String>,
}

/// The files of the directory by their numbers, with true for those that were being written.
fn files(directory: &Path) -> io::Result<Vec<(Name, bool)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(found) = entry.file_name().to_str().and_then(Name::parse) {
            // Whatever has our name and is no plain file is somebody's trap.
            if entry.file_type()?.is_file() {
                files.push(found);
            }
        }
    }
    files.sort_by_key(|(name, _)| name.number);
    Ok(files)
}

/// Mends the directory; also the highest number in it, 0 if there is none.
pub(super) fn directory(options: &CaptureOptions) -> io::Result<(Recovered, u64)> {
    let files = files(&options.directory)?;
    let last = files.last().map_or(0, |(name, _)| name.number);
    let mut recovered = Recovered::default();
    for (name, _) in files.iter().filter(|(_, part)| *part) {
        match mend(&options.directory, name, options.fsync != Fsync::Never) {
            Ok(cut) => {
                recovered.files += 1;
                recovered.bytes_cut += cut;
            }
            Err(error) => recovered.failed.push(format!("{}: {error}", name.part())),
        }
    }
    prune(options);
    Ok((recovered, last))
}

/// Cuts a file behind its last sound frame and names it, or removes it when it has none. The bytes that were cut.
fn mend(directory: &Path, name: &Name, sync: bool) -> io::Result<u64> {
    let path = directory.join(name.part());
    let file = OpenOptions::new().read(true).write(true).open(&path)?;
    let len = file.metadata()?.len();
    let good = sound(&file, len)?;
    if good == 0 {
        std::fs::remove_file(&path)?;
        return Ok(len);
    }
    if good < len {
        file.set_len(good)?;
    }
    if sync {
        file.sync_all()?;
    }
    file::settle(directory, name, sync)?;
    Ok(len - good)
}

/// How many bytes at the beginning of `file` are sound frames.
fn sound(file: &File, len: u64) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let ends = frame::ends(&mut reader, len)?;
    let last = ends.last().copied().unwrap_or(0);
    let from = ends.partition_point(|end| *end < last.saturating_sub(CHECKED_BYTES));
    let mut start = from.checked_sub(1).and_then(|before| ends.get(before).copied()).unwrap_or(0);
    reader.seek(SeekFrom::Start(start))?;
    let mut checker = Checker::new();
    for &end in ends.get(from..).unwrap_or_default() {
        // A sound frame was read to its end, where the next one begins.
        if !checker.is_sound((&mut reader).take(end - start), MOST_GROUP_BYTES) {
            return Ok(start);
        }
        start = end;
    }
    Ok(last)
}

/// Removes the oldest finished files beyond what is to be kept. A file that cannot be removed stays, and counts.
pub(super) fn prune(options: &CaptureOptions) {
    let Some(most) = options.keep_bytes else { return };
    let Ok(files) = files(&options.directory) else { return };
    let mut kept = 0u64;
    for (name, _) in files.iter().rev().filter(|(_, part)| !part) {
        let path = options.directory.join(name.to_string());
        kept = kept.saturating_add(std::fs::metadata(&path).map_or(0, |metadata| metadata.len()));
        if kept > most && std::fs::remove_file(&path).is_err() {
            options.counters.capture_failures.add(1);
        }
    }
}
