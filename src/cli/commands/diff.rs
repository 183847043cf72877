//! `spandiff BEFORE AFTER`: reads two traces or two populations, compares them, writes the reports.

use super::population::{self, Folded};
use super::side::read_both;
use super::sides::{self, Origin, Sides};
use crate::cli::args::{Common, DiffArgs, Tree};
use crate::cli::config::{Settings, settings};
use crate::cli::engine::{self, TracePrefix};
use crate::cli::error::Failure;
use crate::cli::{exit, output};
use crate::diff::{Diff, DiffOptions};
use crate::model::Pair;
use crate::report::{self, Format, Options, TreeView};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(common: &Common, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let settings = settings(common, Some(args))?;
    let sides = sides::open(common, &args.sides, &settings.limits)?;
    let mut diff = compare(common, &settings, &sides)?;
    diff.config_sha256.clone_from(&settings.sha256);
    write(&diff, common, args, &settings)?;
    let found = !diff.findings.is_empty() || diff.omitted.findings > 0;
    Ok(ExitCode::from(if args.exit_code && found { exit::FINDINGS } else { exit::DONE }))
}

/// A pair when each side holds exactly one trace, else populations.
fn compare(common: &Common, settings: &Settings, sides: &Sides) -> Result<Diff, Failure> {
    if let Origin::Own(own) = &sides.origin
        && sides.takes_all()
        && own.before.those(true).is_empty()
        && own.after.those(true).is_empty()
    {
        let own = own.as_ref();
        let wanted = own.map(|opening| opening.inputs.wanted);
        if let Some(pair) = read_both(&own, wanted, settings, common).map_err(Failure::Problems)? {
            return Ok(engine::compare(pair, &settings.rules, &settings.options, settings.threads));
        }
    }
    let folded = population::fold_both(common, settings, sides).map_err(Failure::Problems)?;
    let problems = population::empty(common, settings, sides, &folded);
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    if let (Some(before), Some(after)) = (folded.before.only_trace(), folded.after.only_trace()) {
        let openings = match &sides.origin {
            Origin::Own(own) => own.as_ref(),
            Origin::Divided(opening, _) => Pair::new(opening.as_ref(), opening.as_ref()),
        };
        let wanted = Pair::new(before, after).map(|id| TracePrefix::parse(&id.to_string()));
        if let Some(pair) = read_both(&openings, wanted, settings, common).map_err(Failure::Problems)? {
            return Ok(engine::compare(pair, &settings.rules, &settings.options, settings.threads));
        }
    }
    Ok(compare_folded(folded, &settings.options))
}

/// Compares two populations; what their reading has to say about it stands in the result.
pub fn compare_folded(folded: Pair<Folded>, options: &DiffOptions) -> Diff {
    let inputs = folded.as_ref().map(Folded::side);
    let notes = [folded.before.note(), folded.after.note()];
    let profiles = folded.map(|side| side.profile);
    let mut diff = engine::compare_populations(&profiles, inputs, options);
    diff.comparable.reasons.extend(notes.into_iter().flatten());
    diff
}

fn write(diff: &Diff, common: &Common, args: &DiffArgs, settings: &Settings) -> Result<(), Failure> {
    let format = args.format.as_deref().and_then(Format::from_name).unwrap_or(Format::Text);
    let file = common.output.as_deref();
    for (format, file) in &args.reports {
        let options = options(args, settings, Some(file));
        output::to(Some(file), |out| report::write(*format, diff, &options, out))?;
    }
    // Last, so that a reader who closes the pipe does not cost the files.
    let options = options(args, settings, file);
    output::to(file, |out| report::write(format, diff, &options, out))
}

fn options(args: &DiffArgs, settings: &Settings, file: Option<&Path>) -> Options {
    Options {
        width: if file.is_some() { Options::default().width } else { output::width() },
        color: output::is_colored(settings.color, file),
        ascii: args.ascii || output::is_ascii(file),
        tree: args.tree.map(|tree| match tree {
            Tree::Changes => TreeView::Folded,
            Tree::All => TreeView::All,
        }),
        // Who asks for a number of findings gets them all listed.
        list: args.max_findings.unwrap_or(Options::default().list),
    }
}
