//! Sources that can be read any number of times: files as they are, streams by way of a temporary file, and the files of
//! a running capture as far as they went when they were opened.

use super::args::Said;
use super::engine::is_profile;
use super::error::Problem;
use super::inputs::{Inputs, Source, is_being_written};
use crate::model::Limits;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A source that was looked at.
#[derive(Debug)]
pub struct Opened {
    /// Its name in reports.
    pub name: String,
    /// Whether it is a profile and not a file of traces.
    pub is_profile: bool,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Spooled(Spool),
    Growing(Growing),
}

impl Opened {
    /// The bytes from the beginning. A stream has one reader at a time.
    pub fn read(&self) -> io::Result<Box<dyn Read>> {
        match &self.place {
            Place::File(path) => Ok(Box::new(File::open(path)?)),
            Place::Growing(growing) => Ok(Box::new(growing.clone())),
            Place::Spooled(spool) => {
                let mut file = spool.file.try_clone()?;
                file.rewind()?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Opens all sources, and names all that cannot be.
pub fn open(inputs: &Inputs, said: Option<Said>, limits: &Limits) -> Result<Vec<Opened>, Vec<Problem>> {
    let (mut opened, mut problems) = (Vec::new(), Vec::new());
    for source in &inputs.sources {
        match open_one(source, said, limits) {
            Ok(source) => opened.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(opened) } else { Err(problems) }
}

/// Opens one source.
pub fn open_one(source: &Source, said: Option<Said>, limits: &Limits) -> Result<Opened, Problem> {
    let cannot = |error: io::Error| {
        let name = if *source == Source::Stdin { "standard input".to_owned() } else { source.name() };
        Problem::new(format!("cannot read {name}")).cause(error.to_string())
    };
    let place = match source {
        Source::Stdin => Place::Spooled(Spool::of(io::stdin().lock(), limits)?),
        Source::File(path) => of_file(path, limits).map_err(cannot)??,
    };
    let mut opened = Opened { name: source.name(), is_profile: false, place };
    opened.is_profile = if let Some(said) = said {
        said == Said::Profile
    } else {
        let mut head = Vec::new();
        opened.read().and_then(|input| input.take(8).read_to_end(&mut head)).map_err(cannot)?;
        is_profile(&head)
    };
    Ok(opened)
}

/// A named pipe and what a shell makes of `<(command)` look like files and can be read only once.
fn of_file(path: &Path, limits: &Limits) -> io::Result<Result<Place, Problem>> {
    if is_being_written(path) {
        return Growing::open(path).map(|growing| Ok(Place::Growing(growing)));
    }
    if std::fs::metadata(path)?.is_file() {
        return Ok(Ok(Place::File(path.to_owned())));
    }
    let file = File::open(path)?;
    Ok(Spool::of(file, limits).map(Place::Spooled))
}

/// A file that a receiver is writing, as long as it was when it was opened: all passes see the same bytes, and it may be
/// finished, which changes its name, between them.
#[derive(Clone, Debug)]
struct Growing {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Growing {
    fn open(path: &Path) -> io::Result<Growing> {
        let file = match File::open(path) {
            // Finished since the directory was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::open(path.with_extension("")).map_err(|_| error)?
            }
            file => file?,
        };
        let end = file.metadata()?.len();
        Ok(Growing { file: Arc::new(file), at: 0, end })
    }
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..most) else { return Ok(0) };
        // At an offset of its own, because several readers share the handle.
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A stream, kept in a file that goes with this value.
#[derive(Debug)]
struct Spool {
    file: File,
    /// Its name where a file that is open cannot be removed.
    path: Option<PathBuf>,
}

impl Spool {
    fn of(stream: impl Read, limits: &Limits) -> Result<Spool, Problem> {
        let keep = |error: io::Error| {
            Problem::new("cannot keep a stream to read it twice")
                .cause(error.to_string())
                .hint("write it to a file first, or set TMPDIR to a directory with room")
        };
        let (mut file, path) = temporary().map_err(keep)?;
        let path = std::fs::remove_file(&path).err().map(|_| path);
        let most = limits.input_bytes;
        let copied = io::copy(&mut stream.take(most.saturating_add(1)), &mut file).and_then(|copied| {
            file.flush()?;
            Ok(copied)
        });
        let spool = Spool { file, path };
        if copied.map_err(keep)? > most {
            return Err(Problem::new("cannot read a stream to its end")
                .cause(format!("it is larger than the limit of {most} bytes (input_bytes)"))
                .hint("if the data is what you expect, raise it: --limit input_bytes=N"));
        }
        Ok(spool)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed is left to the system's cleaning of its temporary files.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A new file that only this user may read.
fn temporary() -> io::Result<(File, PathBuf)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("spandiff-{}-{number}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => return Ok((file, path)),
            // Left behind by an earlier process of the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1_000 => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_and_is_renamed_is_the_same_for_every_pass() {
        let directory = tempfile::tempdir().unwrap();
        let (part, whole) = (directory.path().join("a.zst.part"), directory.path().join("a.zst"));
        std::fs::write(&part, "some bytes").unwrap();
        let source = Source::File(part.clone());
        let opened = open_one(&source, None, &Limits::default()).unwrap();
        std::fs::write(&part, "some bytes and more").unwrap();
        std::fs::rename(&part, &whole).unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            opened.read().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "some bytes");
        }
        // Listed under the old name, opened under the new one.
        assert!(open_one(&source, None, &Limits::default()).is_ok());
        std::fs::remove_file(whole).unwrap();
        assert!(open_one(&source, None, &Limits::default()).is_err());
    }

    #[test]
    fn a_stream_can_be_read_twice() {
        let spool = Spool::of(&b"some bytes"[..], &Limits::default()).unwrap();
        let opened = Opened { name: "-".into(), is_profile: false, place: Place::Spooled(spool) };
        for _ in 0..2 {
            let mut text = String::new();
            opened.read().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "some bytes");
        }
        let few = Limits { input_bytes: 9, ..Limits::default() };
        assert!(format!("{:?}", Spool::of(&b"some bytes"[..], &few).unwrap_err()).contains("input_bytes"));
    }
}
