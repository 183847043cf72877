//! `spandiff BEFORE AFTER`: reads two traces or two populations, compares them, writes the reports.

use super::{load, sides};
use crate::cli::args::{Common, DiffArgs, Tree};
use crate::cli::config::{Settings, settings};
use crate::cli::error::Failure;
use crate::cli::{exit, output};
use crate::diff::Diff;
use crate::report::{self, Format, Options, TreeView};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(common: &Common, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let settings = settings(common, Some(args))?;
    let sides = sides::open(common, &args.sides, &settings.limits)?;
    let mut diff = load::load(common, &settings, &sides)?.compare(&settings.options);
    diff.config_sha256.clone_from(&settings.sha256);
    write(&diff, common, args, &settings)?;
    let found = !diff.findings.is_empty() || diff.omitted.findings > 0;
    Ok(ExitCode::from(if args.exit_code && found { exit::FINDINGS } else { exit::DONE }))
}

fn write(diff: &Diff, common: &Common, args: &DiffArgs, settings: &Settings) -> Result<(), Failure> {
    let said = args.format.as_deref().and_then(Format::from_name);
    let format = said.unwrap_or(if args.plain { Format::Plain } else { Format::Text });
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
