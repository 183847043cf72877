//! Options of `spandiff gate` and `spandiff calibrate`.
#![expect(missing_docs, reason = "the doc comments are the help texts, shown as they stand")]

use super::{FilterArgs, SideArgs};
use crate::cli::policy;
use crate::diff::Look;
use crate::diff::policy::{FailOn, OnInconclusive};
use crate::report::gate::GateFormat;
use clap::Args;
use std::path::PathBuf;

/// What is judged, by which policy, and what comes out.
#[derive(Clone, Debug, Args)]
pub struct GateArgs {
    #[command(flatten)]
    pub sides: SideArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Form of the report [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = format(), env = "SPANDIFF_GATE_FORMAT")]
    pub format: Option<String>,
    /// Write a further report in the same run; may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", value_parser = report)]
    pub reports: Vec<(GateFormat, PathBuf)>,
    /// Which verdicts end with exit code 1 [default: fail]
    #[arg(long, value_name = "warn|fail|never", value_parser = policy::fail_on, env = "SPANDIFF_FAIL_ON")]
    pub fail_on: Option<FailOn>,
    /// What becomes of an inconclusive verdict, except when nothing was compared [default: exit3]
    #[arg(
        long,
        value_name = "exit3|pass|fail",
        value_parser = policy::on_inconclusive,
        env = "SPANDIFF_ON_INCONCLUSIVE"
    )]
    pub on_inconclusive: Option<OnInconclusive>,
    /// Only ASCII in text
    #[arg(long, env = "SPANDIFF_ASCII", value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
    /// Most findings in any report; the rest is counted
    #[arg(long, value_name = "N", env = "SPANDIFF_MAX_FINDINGS")]
    pub max_findings: Option<usize>,
}

/// The policy, and what of it is said on the command line.
#[derive(Clone, Debug, Default, Args)]
pub struct PolicyArgs {
    /// Policy file [default: the tables gate, rule and accept of the configuration file]
    #[arg(long, value_name = "FILE", env = "SPANDIFF_POLICY")]
    pub policy: Option<PathBuf>,
    /// Which look of how many planned ones this is: the error is spent over all of them
    #[arg(long, value_name = "N/OF", value_parser = policy::look)]
    pub look: Option<Look>,
}

/// What is split, and by which policy it is judged.
#[derive(Clone, Debug, Args)]
pub struct CalibrateArgs {
    /// Files, directories, globs or -: traces or profiles in which nothing changed
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// How many times to split
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub splits: u32,
    /// Form of the report
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    pub format: String,
}

fn format() -> clap::builder::PossibleValuesParser {
    GateFormat::ALL.map(GateFormat::name).into()
}

fn report(text: &str) -> Result<(GateFormat, PathBuf), String> {
    super::report_of(text, &GateFormat::ALL.map(GateFormat::name), GateFormat::from_name)
}
