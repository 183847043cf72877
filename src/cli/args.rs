//! The words of the command line: what clap parses, as the contract names them.
#![expect(clippy::doc_markdown, missing_docs, reason = "the doc comments are the help texts, shown as they stand")]

mod gate;
mod generate;
#[cfg(feature = "receiver")]
mod receive;
mod sides;
#[cfg(feature = "tui")]
mod tui;
pub mod values;

pub use gate::{CalibrateArgs, GateArgs, PolicyArgs};
pub use generate::GenerateArgs;
#[cfg(feature = "receiver")]
pub use generate::LiveArgs;
#[cfg(feature = "receiver")]
pub use receive::ReceiveArgs;
pub use sides::{FilterArgs, SideArgs};
#[cfg(feature = "tui")]
pub use tui::TuiArgs;
pub use values::{min_ratio, parse_size, parse_time, sigmas};

use super::error::{Failure, Problem};
use crate::ingest::InputFormat;
use crate::model::Limits;
use crate::report::Format;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The diff tool for distributed traces: what a change added, removed, moved, slowed or broke
#[derive(Debug, Parser)]
#[command(
    name = "spandiff",
    version,
    disable_help_subcommand = true,
    after_help = "Inputs are files, directories, globs or - for standard input, in any trace format that spandiff \
                  recognises,\nor profiles made by spandiff record; #TRACE_ID behind one takes one trace of it. Exit \
                  codes: 0 done,\n1 findings (with --exit-code) or a failed gate, 2 error, 3 a gate without enough \
                  to judge."
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub diff: DiffArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file [default: spandiff.toml here or above, then the user's]
    #[arg(long, value_name = "FILE", global = true, env = "SPANDIFF_CONFIG")]
    pub config: Option<PathBuf>,
    /// When to colour text
    #[arg(long, value_name = "WHEN", global = true, env = "SPANDIFF_COLOR")]
    pub color: Option<Color>,
    /// No progress, no remarks
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say on standard error what is being read
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Threads to use; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N", global = true, env = "SPANDIFF_THREADS")]
    pub threads: Option<NonZeroUsize>,
    /// Set a limit on what is read, for example trace_spans=1000000 or input_bytes=1GiB
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = limit, global = true)]
    pub limits: Vec<(String, u64)>,
    /// Format of all inputs, instead of recognising it
    #[arg(long, value_name = "FORMAT", value_parser = input_format(), global = true, env = "SPANDIFF_INPUT_FORMAT")]
    pub input_format: Option<String>,
    /// Write to this file (generate, man: directory) instead of standard output
    #[arg(short, long, value_name = "FILE", global = true)]
    pub output: Option<PathBuf>,
}

/// When to colour text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// When standard output is a terminal and NO_COLOR does not forbid it
    Auto,
    Always,
    Never,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare two traces or all traces of two sides (what spandiff does without a command), never in the terminal UI
    Diff(Box<DiffArgs>),
    /// Look at the difference in the terminal (what spandiff does without a command when it runs in one): findings, tree, waterfall, flame graph, services, attributes
    #[cfg(feature = "tui")]
    Tui(Box<TuiArgs>),
    /// Judge a change by all traces before and after it: pass, warn, fail, or inconclusive
    Gate(Box<GateArgs>),
    /// Split one population many times: how often the gate would cry wolf, and what it would catch
    Calibrate(CalibrateArgs),
    /// Fold traces into a profile: a small file that stands for them in every comparison
    Record(RecordArgs),
    /// Add profiles; the same ones give the same file in any order
    Merge(MergeArgs),
    /// Say what inputs hold: formats, traces, spans, services, entry points, time range, sampling, warnings
    Inspect(InspectArgs),
    /// Receive OTLP beside a Collector or a service: keep, compare all the time, answer a rollout controller
    #[cfg(feature = "receiver")]
    Receive(Box<ReceiveArgs>),
    /// Write seeded synthetic traffic with a known change: before, after and the truth
    Generate(Box<GenerateArgs>),
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or with -o DIR write those of all commands
    #[command(hide = true)]
    Man,
}

/// What is compared, what counts, and what comes out.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are on or off, each for itself")]
pub struct DiffArgs {
    #[command(flatten)]
    pub sides: SideArgs,
    /// Form of the report [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = report_format(), env = "SPANDIFF_FORMAT")]
    pub format: Option<String>,
    /// The report for screen readers: one line after another, in words (the same as --format plain)
    #[arg(long, conflicts_with = "format")]
    pub plain: bool,
    /// Write a further report in the same run; may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report)]
    pub reports: Vec<(Format, PathBuf)>,
    /// Show the merged tree: changes in their place, or with =all every span
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "changes")]
    pub tree: Option<Tree>,
    /// Only ASCII in text
    #[arg(long, env = "SPANDIFF_ASCII", value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
    /// Write the report also where the terminal UI would open: one linear text, which screen readers can follow
    #[arg(long, env = "SPANDIFF_PLAIN", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_tui: bool,
    /// Exit with 1 when there are findings
    #[arg(long)]
    pub exit_code: bool,
    /// Most findings in any report; the rest is counted
    #[arg(long, value_name = "N", env = "SPANDIFF_MAX_FINDINGS")]
    pub max_findings: Option<usize>,
    /// Smallest ratio of self time that counts, either way [default: 1.10]
    #[arg(long, value_name = "RATIO", value_parser = min_ratio, env = "SPANDIFF_MIN_RATIO")]
    pub min_ratio: Option<f64>,
    /// Smallest difference of self time that counts [default: 1ms]
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "SPANDIFF_MIN_TIME")]
    pub min_time: Option<u64>,
    /// How many deviations of the pair's own jitter a change must exceed; 0 turns this off [default: 3.5]
    #[arg(long, value_name = "N", value_parser = sigmas, env = "SPANDIFF_JITTER_SIGMAS")]
    pub jitter_sigmas: Option<f64>,
}

impl DiffArgs {
    /// Whether any report of the run is made of the merged tree.
    pub fn needs_tree(&self) -> bool {
        let folded = |format: Format| format == Format::Folded;
        let format = self.format.as_deref().and_then(Format::from_name);
        self.tree.is_some() || format.is_some_and(folded) || self.reports.iter().any(|report| folded(report.0))
    }
}

/// What is folded.
#[derive(Clone, Debug, Args)]
pub struct RecordArgs {
    /// Files, directories, globs or -; profiles are added as they are
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Keep no whole traces as examples: they hold all attribute values, as they came
    #[arg(long)]
    pub no_examples: bool,
}

/// What is added.
#[derive(Clone, Debug, Args)]
pub struct MergeArgs {
    /// Profiles: files, directories, globs or -
    #[arg(value_name = "PROFILE", required = true)]
    pub inputs: Vec<String>,
}

/// How much of the merged tree is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tree {
    /// What changed and the way to it
    Changes,
    /// Every span
    All,
}

/// What is looked at.
#[derive(Clone, Debug, Args)]
pub struct InspectArgs {
    /// Files, directories, globs or -
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<String>,
    /// Form of the report
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    pub format: String,
}

/// The name of profiles among the input formats.
const PROFILE: &str = "profile";
const INPUT_FORMATS: [(&str, InputFormat); 5] = [
    ("otlp-proto", InputFormat::OtlpProto),
    ("otlp-json", InputFormat::OtlpJson),
    ("jaeger", InputFormat::Jaeger),
    ("zipkin", InputFormat::Zipkin),
    ("tempo", InputFormat::Tempo),
];

/// What the user says that inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Traces in this format.
    Traces(InputFormat),
    /// Profiles.
    Profile,
}

impl Common {
    /// The format that the user says all inputs have.
    pub fn said(&self) -> Option<Said> {
        let name = self.input_format.as_deref()?;
        let traces = INPUT_FORMATS.into_iter().find(|(known, _)| *known == name);
        Some(traces.map_or(Said::Profile, |(_, format)| Said::Traces(format)))
    }

    /// The format that the user says traces have.
    pub fn traces_said(&self) -> Option<InputFormat> {
        match self.said() {
            Some(Said::Traces(format)) => Some(format),
            Some(Said::Profile) | None => None,
        }
    }
}

/// Words behind the program's name that belong behind a command.
pub fn check(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((command, _)) = matches.subcommand() else { return Ok(()) };
    // Otherwise `spandiff --tree diff a b` would silently show no tree.
    let misplaced = DiffArgs::augment_args(clap::Command::new("")).get_arguments().find_map(|argument| {
        let given = matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
        given.then(|| match argument.get_long() {
            Some(long) => format!("--{long}"),
            None => "an input".to_owned(),
        })
    });
    match misplaced {
        None => Ok(()),
        Some(what) => Err(Problem::new(format!("{what} stands in front of the command `{command}`"))
            .hint(format!("put it behind the command: spandiff {command} …"))
            .hint(format!("for a file named {command}, write ./{command}"))
            .into()),
    }
}

fn input_format() -> clap::builder::PossibleValuesParser {
    INPUT_FORMATS.map(|(name, _)| name).into_iter().chain([PROFILE]).collect::<Vec<_>>().into()
}

fn report_format() -> clap::builder::PossibleValuesParser {
    Format::ALL.map(Format::name).into()
}

fn report(text: &str) -> Result<(Format, PathBuf), String> {
    report_of(text, &Format::ALL.map(Format::name), Format::from_name)
}

/// `FORMAT=FILE`, the format being one of `names`.
fn report_of<F>(text: &str, names: &[&str], from_name: fn(&str) -> Option<F>) -> Result<(F, PathBuf), String> {
    let names = || names.join(", ");
    let (name, file) =
        text.split_once('=').ok_or_else(|| format!("expected FORMAT=FILE, FORMAT one of {}", names()))?;
    let format = from_name(name).ok_or_else(|| format!("`{name}` is none of {}", names()))?;
    if file.is_empty() { Err("the file name is missing".into()) } else { Ok((format, file.into())) }
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if !Limits::default().set(name, 1) {
        let names: Vec<_> = Limits::TABLE.iter().map(|(name, ..)| *name).collect();
        return Err(format!("there is no limit `{name}`; limits are {}", names.join(", ")));
    }
    let value = parse_size(value).ok_or_else(|| format!("`{value}` is no number (1000000, 64KiB, 2MiB, 1GiB)"))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_in_front_of_a_command_are_not_lost() {
        let check = |words: &[&str]| check(&Cli::command().try_get_matches_from(words).unwrap()).is_ok();
        assert!(check(&["spandiff", "diff", "--tree", "a", "b"]));
        assert!(check(&["spandiff", "--color", "never", "diff", "a", "b"]));
        assert!(check(&["spandiff", "a", "b", "--tree"]));
        assert!(!check(&["spandiff", "--tree", "diff", "a", "b"]));
    }
}
