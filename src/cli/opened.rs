//! Sources that can be read any number of times: files as they are, streams by way of a temporary file.

use super::args::Said;
use super::engine::is_profile;
use super::error::Problem;
use super::inputs::{Inputs, Source};
use crate::model::Limits;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
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
}

impl Opened {
    /// The bytes from the beginning. A stream has one reader at a time.
    pub fn read(&self) -> io::Result<Box<dyn Read>> {
        match &self.place {
            Place::File(path) => Ok(Box::new(File::open(path)?)),
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
    if std::fs::metadata(path)?.is_file() {
        return Ok(Ok(Place::File(path.to_owned())));
    }
    let file = File::open(path)?;
    Ok(Spool::of(file, limits).map(Place::Spooled))
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
