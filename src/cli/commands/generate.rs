//! `spandiff generate`: both sides of a known change and the truth about it, as files; or one side as live traffic.

#[cfg(feature = "receiver")]
mod live;

use crate::cli::args::{Common, GenerateArgs};
use crate::cli::engine::generate::{Change, Noise, Options, OutputFormat, System, generate_into};
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
    let options = options(args)?;
    #[cfg(feature = "receiver")]
    if let Some(endpoint) = &args.live.otlp {
        return live::run(common, args, options, endpoint);
    }
    let format = args.format.as_deref().unwrap_or_else(|| options.format.name());
    let format = OutputFormat::from_name(format)
        .ok_or_else(|| unknown("format", format, &OutputFormat::ALL.map(OutputFormat::name)))?;
    let Some(directory) = &common.output else {
        return Err(Problem::new("generate writes several files and needs a directory")
            .hint("add -o DIR; it gets before, after and truth.json")
            .into());
    };
    let options = Options { format, ..options };
    let next = write(directory, &options).map_err(|error| cannot_write(&directory.display().to_string(), &error))?;
    remark(common.quiet, &format!("next: spandiff {next}"));
    Ok(ExitCode::from(exit::DONE))
}

/// What the arguments mean, but for the format.
fn options(args: &GenerateArgs) -> Result<Options, Failure> {
    let system = System::from_name(&args.system)
        .ok_or_else(|| unknown("system", &args.system, &names(&System::ALL, System::name)))?;
    let change = Change::from_name(&args.change)
        .ok_or_else(|| unknown("change", &args.change, &names(Change::ALL, Change::name)))?;
    let noise =
        Noise::from_name(&args.noise).ok_or_else(|| unknown("noise", &args.noise, &names(&Noise::ALL, Noise::name)))?;
    let usual = Options::new(system, change);
    Ok(Options {
        seed: args.seed.unwrap_or(usual.seed),
        traces: args.traces.unwrap_or(usual.traces),
        traces_after: args.traces_after,
        window_s: args.window,
        jitter: args.jitter,
        noise,
        drift: args.drift,
        replica_spread: args.replica_spread,
        sampling: args.sampling,
        ..usual
    })
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

/// Writes the files and says with which arguments to compare them.
fn write(directory: &Path, options: &Options) -> io::Result<String> {
    let end = if options.format == OutputFormat::OtlpJson { "json" } else { "binpb" };
    fs::create_dir_all(directory)?;
    let create = |name: &str| {
        let path = directory.join(format!("{name}.{end}"));
        Ok::<_, io::Error>((BufWriter::new(File::create(&path)?), path.display().to_string()))
    };
    let (facts, next) = if options.change.is_one_population() {
        let (mut all, path) = create("all")?;
        let facts = generate_into(options, &mut io::sink(), &mut all)?;
        all.flush()?;
        (facts, format!("inspect {path}"))
    } else {
        let ((mut before, first), (mut after, second)) = (create("before")?, create("after")?);
        let facts = generate_into(options, &mut before, &mut after)?;
        before.flush()?;
        after.flush()?;
        (facts, format!("{first} {second}"))
    };
    fs::write(directory.join("truth.json"), facts)?;
    Ok(next)
}
