//! `spandiff record` and `spandiff merge`: traces become a profile, profiles become one.

use super::population::{Folded, fold_list, twice, with_reader};
use super::sides::{self, Opening, no_filter, open_list};
use crate::cli::args::{Common, MergeArgs, RecordArgs};
use crate::cli::config::settings;
use crate::cli::engine::{Filter, encode_profile};
use crate::cli::error::{Failure, Problem, remark, warn};
use crate::cli::{exit, output};
use crate::report::units::{bytes, counted};
use std::path::Path;
use std::process::ExitCode;

/// Runs `spandiff record`.
pub fn record(common: &Common, args: &RecordArgs) -> Result<ExitCode, Failure> {
    let file = output_file(common, "record")?;
    let filter = sides::filter(&args.filter)?;
    let takes_all = filter.conditions.is_empty() && filter.entries.is_empty();
    fold_into(common, &args.inputs, &filter, !args.no_examples, file, |opening| match opening.those(true).first() {
        Some(profile) if !takes_all => Err(no_filter(&profile.name)),
        _ => Ok(()),
    })
}

/// Runs `spandiff merge`.
pub fn merge(common: &Common, args: &MergeArgs) -> Result<ExitCode, Failure> {
    let file = output_file(common, "merge")?;
    fold_into(common, &args.inputs, &Filter::default(), true, file, |opening| match opening.those(false).first() {
        Some(traces) => Err(Problem::new(format!("{} is not a profile", traces.name))
            .hint("spandiff record makes profiles of traces, and takes both together")),
        None => Ok(()),
    })
}

fn output_file<'a>(common: &'a Common, command: &str) -> Result<&'a Path, Problem> {
    common.output.as_deref().ok_or_else(|| {
        Problem::new(format!("{command} writes a file and needs its name")).hint("add -o FILE.spanprofile")
    })
}

fn fold_into(
    common: &Common,
    words: &[String],
    filter: &Filter,
    examples: bool,
    file: &Path,
    check: impl FnOnce(&Opening) -> Result<(), Problem>,
) -> Result<ExitCode, Failure> {
    let settings = settings(common, None)?;
    let opening = open_list(common, words, &settings.limits)?;
    if let Some(prefix) = opening.inputs.wanted {
        return Err(Problem::new(format!("a profile holds all traces of its inputs, not #{prefix} alone"))
            .hint("take traces by their attributes: --where key=value, or by --entry NAME")
            .into());
    }
    check(&opening)?;
    let mut folded = with_reader(common, &settings, &[&opening], |reader| fold_list(&opening, filter, reader))
        .map_err(Failure::Problems)?;
    if !examples {
        folded.profile.drop_examples();
    }
    let totals = &folded.profile.totals;
    if totals.traces == 0 {
        return Err(Problem::new("no trace was found: there is nothing to write")
            .cause(format!("in {}", opening.inputs.words.join(", ")))
            .hint("spandiff inspect shows what a file holds")
            .into());
    }
    tell(common, &folded);
    let written =
        encode_profile(&folded.profile).map_err(|error| output::cannot_write(&file.display().to_string(), &error))?;
    output::whole(file, &written)?;
    let what = counted(folded.profile.paths().len() as u64, "call path", "call paths");
    let traces = counted(totals.traces, "trace", "traces");
    let examples = counted(folded.profile.example_traces().len() as u64, "example trace", "example traces");
    let size = bytes(written.len() as u64);
    remark(common.quiet, &format!("{traces}, {what}, {examples}: {size} in {}", file.display()));
    Ok(ExitCode::from(exit::DONE))
}

/// What the numbers of the profile do not show.
fn tell(common: &Common, folded: &Folded) {
    if let Some(text) = twice(&folded.twice) {
        warn(common.quiet, &text);
    }
    let (partial, traces) = (folded.profile.totals.partial, folded.profile.totals.traces);
    if partial > 0 {
        let partial = counted(partial, "trace", "traces");
        warn(
            common.quiet,
            &format!(
                "{partial} of {traces} without root or with missing parents; one that lies in two profiles cannot be joined again"
            ),
        );
    }
}
