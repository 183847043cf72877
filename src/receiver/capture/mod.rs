//! The capture: everything that is received, kept on disk as it came.
//!
//! **Layout.** Protobuf bodies stand as the Collector's file exporter writes them (a 4-byte big-endian length, then the
//! message), JSON bodies one a line, each stream in files of its own. Every group of requests that is acknowledged
//! together is one zstd frame, and the frames of a file follow one another: the file is one ordinary `.zst`, and it can
//! be cut behind any frame without harm to those before. Names are `traces-20261123T010203.123Z-000001.binpb.zst` (or
//! `.jsonl.zst`); the number grows with every file whatever the clock does. While a file is written its name ends in
//! `.part`. Every other command reads both.
//!
//! **What is promised.** [`Capture::commit`] writes a group with one `write` a stream. Once it returned `Ok`,
//! - everything in the group outlives this process, however it ends, `kill -9` included: the bytes are the operating
//!   system's;
//! - with [`Fsync::Always`] it also outlives the machine's crash, as far as the disk does what it says;
//! - with [`Fsync::Interval`] a crash of the machine (not of the process) may cost what came within the last interval,
//!   and however long the last sync was under way; with [`Fsync::Never`] it may cost whatever the operating system had
//!   not written yet, commonly half a minute.
//!
//! Once it returned an error, nothing of the group is in the files: they are cut back to where they ended before, and
//! the senders are to try again. The next commit tries everything anew, so a full disk that gets room again needs
//! nobody. Only when cutting back fails as well may a group be there that was refused; a sender that tries again then
//! leaves a duplicate, which OTLP allows and which is recognised by its ids.
//!
//! **After a crash** `.part` files are found at the next start, cut behind their last whole frame if the tail is
//! damaged (see [`recover`](self) for what is checked), renamed, and a new file is begun: no file is ever appended to by two
//! processes. A lock on the directory keeps two receivers apart.
//!
//! Traces hold whatever applications put into them. Who may read the files is what the process's umask and the
//! directory's rights say.
#![expect(clippy::disallowed_methods, reason = "the capture is files")]

mod file;
mod frame;
mod keeper;
mod lock;
mod name;
mod recover;

pub use recover::Recovered;

use super::counters::Counters;
use super::moment::Moment;
use file::PartFile;
use frame::Packer;
use keeper::Keeper;
use lock::Lock;
use name::{Name, Stream};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A file is finished once so much has gone into it before compression, whatever it takes on disk: half of what readers
/// accept from one input (`input_bytes`).
const MOST_FILE_CONTENT: u64 = 32 << 30;
/// Buffers that a large group has blown up beyond this are given back.
const KEPT_BUFFER_BYTES: usize = 8 << 20;

/// When bytes are forced onto the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before a group counts as written.
    Always,
    /// Every so many nanoseconds, on a thread of its own.
    Interval(u64),
    /// When the operating system sees fit.
    Never,
}

/// How the capture is kept.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Where; made if it is missing.
    pub directory: PathBuf,
    /// When bytes are forced onto the disk.
    pub fsync: Fsync,
    /// A new file is begun after so many bytes on disk.
    pub file_bytes: u64,
    /// A new file is begun after so many nanoseconds.
    pub file_age_ns: u64,
    /// The oldest finished files are removed beyond so many bytes on disk, those being written not counted.
    pub keep_bytes: Option<u64>,
    /// Where bytes, files and failures are counted.
    pub counters: Arc<Counters>,
}

/// One request body, whole and uncompressed, as it was received.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// An `ExportTraceServiceRequest`.
    Proto(&'a [u8]),
    /// The same as JSON.
    Json(&'a [u8]),
}

/// Why a group could not be written. All of these may pass: senders are to try again.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The disk, the quota or the largest file size is used up.
    #[error("no room for the capture: {0}")]
    Full(io::Error),
    /// Anything else that the operating system has to say.
    #[error("cannot write the capture: {0}")]
    Io(io::Error),
    /// A body of 4 GiB or more, which the layout has no length for.
    #[error("a request is too large for the capture")]
    TooLarge,
}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => CaptureError::Full(error),
            _ => CaptureError::Io(error),
        }
    }
}

/// One of the two kinds of files, and what waits to go into it.
#[derive(Debug)]
struct Lane {
    stream: Stream,
    /// The group as it will be before compression.
    group: Vec<u8>,
    /// The group as a frame.
    packed: Vec<u8>,
    file: Option<PartFile>,
}

impl Lane {
    fn new(stream: Stream) -> Lane {
        Lane { stream, group: Vec::new(), packed: Vec::new(), file: None }
    }

    fn forget_group(&mut self) {
        for buffer in [&mut self.group, &mut self.packed] {
            buffer.clear();
            buffer.shrink_to(KEPT_BUFFER_BYTES);
        }
    }
}

/// Writes the capture. Belongs to one thread; many requests are made one group by adding them before one commit.
#[derive(Debug)]
pub struct Capture {
    options: CaptureOptions,
    lanes: [Lane; 2],
    packer: Packer,
    keeper: Keeper,
    /// Number of the next file.
    next: u64,
    oversized: bool,
    recovered: Recovered,
    _lock: Lock,
}

impl Capture {
    /// Takes the directory, mends what a crash has left there, and is ready to write. Files are begun when there is
    /// something to write.
    ///
    /// # Errors
    /// When the directory cannot be made or listed, or another receiver has it.
    pub fn open(options: CaptureOptions) -> io::Result<Capture> {
        std::fs::create_dir_all(&options.directory)?;
        let lock = Lock::take(&options.directory)?;
        let (recovered, last) = recover::directory(&options)?;
        Ok(Capture {
            keeper: Keeper::start(&options)?,
            lanes: [Lane::new(Stream::Proto), Lane::new(Stream::Json)],
            packer: Packer::new()?,
            next: last.saturating_add(1),
            oversized: false,
            recovered,
            options,
            _lock: lock,
        })
    }

    /// What a former run had left behind.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Adds a body to the group that the next commit writes. A body without a byte has nothing to keep.
    pub fn add(&mut self, body: Body<'_>) {
        let [proto, json] = &mut self.lanes;
        match body {
            Body::Proto([]) => {}
            Body::Proto(message) => match u32::try_from(message.len()) {
                Ok(len) => {
                    proto.group.extend_from_slice(&len.to_be_bytes());
                    proto.group.extend_from_slice(message);
                }
                Err(_) => self.oversized = true,
            },
            Body::Json(document) => add_line(document, &mut json.group),
        }
    }

    /// Writes the group. After an error nothing of it is in the files, and it is forgotten: its senders send it again.
    /// To be called now and then also when nothing was added, so that files are finished when their time is over.
    ///
    /// # Errors
    /// When the group could not be written, or not be forced onto the disk if that was asked for.
    pub fn commit(&mut self, now: Moment) -> Result<(), CaptureError> {
        let result = if self.oversized { Err(CaptureError::TooLarge) } else { self.write_group(now) };
        self.oversized = false;
        self.lanes.iter_mut().for_each(Lane::forget_group);
        if result.is_err() {
            self.options.counters.capture_failures.add(1);
        }
        result
    }

    /// Finishes all files and waits until that is done, syncing included. A group that was not committed is forgotten.
    ///
    /// # Errors
    /// When a file could not be finished; it is then found at the next start.
    pub fn close(mut self) -> io::Result<()> {
        for lane in &mut self.lanes {
            if let Some(file) = lane.file.take() {
                self.keeper.finish(file);
            }
        }
        self.keeper.close()
    }

    fn write_group(&mut self, now: Moment) -> Result<(), CaptureError> {
        for at in 0..self.lanes.len() {
            self.prepare(at, now)?;
        }
        let mut written = self.lanes.iter_mut().try_for_each(|lane| match &mut lane.file {
            Some(file) if !lane.packed.is_empty() => file.append(&lane.packed),
            _ => Ok(()),
        });
        if written.is_ok() && self.options.fsync == Fsync::Always {
            written = self.lanes.iter_mut().filter_map(|lane| lane.file.as_mut()).try_for_each(PartFile::sync);
        }
        for lane in &mut self.lanes {
            let Some(file) = &mut lane.file else { continue };
            if written.is_ok() {
                self.options.counters.capture_bytes.add(lane.packed.len() as u64);
                file.accept(lane.group.len() as u64);
            } else if !file.roll_back() {
                // It cannot be trusted to end with a whole frame: left as it is for the next start to look at.
                lane.file = None;
            }
        }
        Ok(written?)
    }

    /// Finishes the file of a lane if it is due, packs the group, and begins a file if there is something to write.
    fn prepare(&mut self, at: usize, now: Moment) -> io::Result<()> {
        let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
        let due = |file: &mut PartFile| file.is_due(&self.options, now, MOST_FILE_CONTENT);
        if let Some(file) = lane.file.take_if(due) {
            self.keeper.finish(file);
        }
        if lane.group.is_empty() {
            return Ok(());
        }
        self.packer.pack(&lane.group, &mut lane.packed)?;
        // Somebody removed the file under our hands: what went on into it would be lost.
        if lane.file.take_if(|file| file.is_gone()).is_some() {
            self.options.counters.capture_failures.add(1);
        }
        if lane.file.is_none() {
            std::fs::create_dir_all(&self.options.directory)?;
            let name = Name::new(lane.stream, now.unix_ns, self.next);
            let file = PartFile::create(&self.options.directory, name, now.steady_ns)?;
            self.next = self.next.saturating_add(1);
            if self.options.fsync == Fsync::Always {
                file::sync_directory(&self.options.directory)?;
            }
            self.keeper.watch(&file);
            lane.file = Some(file);
        }
        Ok(())
    }
}

/// Appends a JSON document as one line. Line breaks are white space in JSON (inside strings they are not allowed), so
/// spaces stand in for them; a byte order mark, which may only stand at the beginning of a file, is left out.
fn add_line(document: &[u8], out: &mut Vec<u8>) {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document).trim_ascii();
    if document.is_empty() {
        return;
    }
    let start = out.len();
    out.extend_from_slice(document);
    let line = out.get_mut(start..).unwrap_or_default();
    if memchr::memchr2(b'\n', b'\r', line).is_some() {
        line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
    out.push(b'\n');
}
