//! Where reports go: standard output or files; and what the terminal can show.

use super::args::Color;
use super::error::{Failure, Problem};
use crate::report::Options;
use std::env;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Columns when nobody says how many there are.
const WIDTH: usize = 100;

/// Columns of the terminal, else `COLUMNS`, else 100.
pub fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    let variable = || env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    // A width of a few thousand is a broken setting, and every line is filled up to it.
    terminal.filter(|&width| width > 0).or_else(variable).unwrap_or(WIDTH).min(400)
}

/// Whether text for this place is coloured. `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM` count for `auto`.
pub fn is_colored(color: Color, file: Option<&Path>) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => file.is_none() && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
    }
}

/// Whether the terminal's locale says that it cannot show Unicode. Silence means that it can.
pub fn is_ascii(file: Option<&Path>) -> bool {
    if file.is_some() || !io::stdout().is_terminal() {
        return false;
    }
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(|name| env::var(name).ok()).find(|it| !it.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// How a text looks that goes to this place.
pub fn options(color: Color, file: Option<&Path>) -> Options {
    Options {
        width: if file.is_some() { Options::default().width } else { width() },
        color: is_colored(color, file),
        ascii: is_ascii(file),
        ..Options::default()
    }
}

/// Writes to a file or to standard output, buffered.
pub fn to(file: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if let Some(path) = file {
        let written = File::create(path).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(&mut out)?;
            out.flush()
        });
        return written.map_err(|error| cannot_write(&path.display().to_string(), &error));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedPipe),
        Err(error) => Err(cannot_write("standard output", &error)),
    }
}

/// Writes a file as a whole: whoever reads it at the same time sees the old one or the new one, never a part.
pub fn whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let is_special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if is_special {
        return to(Some(path), |out| out.write_all(bytes));
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    written.map_err(|error| {
        // What cannot be removed was not created either.
        let _ = std::fs::remove_file(&temporary);
        cannot_write(&path.display().to_string(), &error)
    })
}

/// What to say when writing fails.
pub fn cannot_write(place: &str, error: &io::Error) -> Failure {
    Problem::new(format!("cannot write {place}")).cause(error.to_string()).into()
}
