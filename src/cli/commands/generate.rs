//! `spandiff generate`: both sides of a known change and the truth about it, as files.

use crate::cli::args::{Common, GenerateArgs};
use crate::cli::engine::generate::{Change, Options, OutputFormat, System, generate_into};
use crate::cli::error::{Failure, Problem, remark};
use crate::cli::exit;
use crate::cli::output::{cannot_write, to};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(common: &Common, args: &GenerateArgs) -> Result<ExitCode, Failure> {
    if args.list {
        to(common.output.as_deref(), list)?;
        return Ok(ExitCode::from(exit::DONE));
    }
    let format = OutputFormat::from_name(&args.format)
        .ok_or_else(|| unknown("format", &args.format, &OutputFormat::ALL.map(OutputFormat::name)))?;
    let system = System::from_name(&args.system)
        .ok_or_else(|| unknown("system", &args.system, &names(&System::ALL, System::name)))?;
    let change = Change::from_name(&args.change)
        .ok_or_else(|| unknown("change", &args.change, &names(Change::ALL, Change::name)))?;
    let Some(directory) = &common.output else {
        return Err(Problem::new("generate writes several files and needs a directory")
            .hint("add -o DIR; it gets before, after and truth.json")
            .into());
    };
    let options = Options { seed: args.seed, traces: args.traces, format, ..Options::new(system, change) };
    let end = if format == OutputFormat::OtlpJson { "json" } else { "binpb" };
    let names = [format!("before.{end}"), format!("after.{end}"), "truth.json".to_owned()];
    write(directory, &options, &names).map_err(|error| cannot_write(&directory.display().to_string(), &error))?;
    let [before, after, _] = names.map(|name| directory.join(name).display().to_string());
    remark(common.quiet, &format!("next: spandiff {before} {after}"));
    Ok(ExitCode::from(exit::DONE))
}

fn list(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "systems")?;
    for system in System::ALL {
        writeln!(out, "  {:<16} {}", system.name(), system.description())?;
    }
    writeln!(out, "\nchanges")?;
    for change in Change::ALL {
        writeln!(out, "  {:<16} {}", change.name(), change.description())?;
    }
    Ok(())
}

fn names<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().copied().map(name).collect()
}

fn unknown(what: &str, name: &str, known: &[&str]) -> Problem {
    Problem::new(format!("there is no {what} `{name}`")).hint(format!("{what}s are {}", known.join(", ")))
}

fn write(directory: &Path, options: &Options, [before, after, truth]: &[String; 3]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut before = BufWriter::new(File::create(directory.join(before))?);
    let mut after = BufWriter::new(File::create(directory.join(after))?);
    let facts = generate_into(options, &mut before, &mut after)?;
    before.flush()?;
    after.flush()?;
    fs::write(directory.join(truth), facts)
}
