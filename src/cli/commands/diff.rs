//! `spandiff BEFORE AFTER`: reads two traces, compares them, writes the reports.

use super::side::read_both;
use crate::cli::args::{Common, DiffArgs, Tree};
use crate::cli::config::{Settings, settings};
use crate::cli::engine;
use crate::cli::error::{Failure, Problem, remark};
use crate::cli::inputs::{Inputs, Source, resolve};
use crate::cli::{exit, output};
use crate::diff::Diff;
use crate::model::{Limits, Pair};
use crate::report::{self, Format, Options, TreeView};
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub fn run(common: &Common, args: &DiffArgs) -> Result<ExitCode, Failure> {
    let words = words(args)?;
    let settings = settings(common, Some(args))?;
    let inputs = both(&words, &settings.limits).map_err(Failure::Problems)?;
    if common.verbose {
        for (name, side) in [("before", &inputs.before), ("after", &inputs.after)] {
            let sources: Vec<_> = side.sources.iter().map(Source::name).collect();
            remark(false, &format!("{name}: {}", sources.join(", ")));
        }
    }
    let sides = read_both(&inputs, &settings, common.said(), common.quiet).map_err(Failure::Problems)?;
    let mut diff = engine::compare(sides, &settings.rules, &settings.options, settings.threads);
    diff.config_sha256.clone_from(&settings.sha256);
    write(&diff, common, args, &settings)?;
    let found = !diff.findings.is_empty() || diff.omitted.findings > 0;
    Ok(ExitCode::from(if args.exit_code && found { exit::FINDINGS } else { exit::DONE }))
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

/// The input words of both sides.
fn words(args: &DiffArgs) -> Result<Pair<Vec<String>>, Failure> {
    if !args.before.is_empty() {
        return Ok(Pair::new(args.before.clone(), args.after.clone()));
    }
    let usage = |problem: Problem| problem.hint("usage: spandiff BEFORE AFTER; --help shows everything");
    match &*args.sides {
        [before, after] => Ok(Pair::new(vec![before.clone()], vec![after.clone()])),
        [] => Err(usage(Problem::new("two inputs are needed: before the change and after it")).into()),
        [only] => Err(usage(like_a_command(only, Problem::new(format!("only one input was given: {only}")))).into()),
        [first, .., last] => {
            let problem = Problem::new(format!("{} inputs were given, not two", args.sides.len()));
            let problem = like_a_command(first, problem);
            Err(usage(problem.hint(format!(
                "for several inputs a side: spandiff --before {first} --before … --after … --after {last}"
            )))
            .into())
        }
    }
}

/// Commands of the contract that this version does not have yet.
const PLANNED: [&str; 6] = ["gate", "calibrate", "tui", "record", "merge", "receive"];

/// Says so when the first word looks like a command.
fn like_a_command(word: &str, problem: Problem) -> Problem {
    if Path::new(word).exists() {
        return problem;
    }
    if PLANNED.contains(&word) {
        return problem.cause(format!("the command `{word}` is not part of this version"));
    }
    // Two letters off, but never most of a short word.
    let close = |name: &&str| distance(name, word) <= 2.min(name.len().saturating_sub(2));
    let near = ["diff", "inspect", "generate", "completions", "man"].into_iter().find(close);
    match near {
        Some(name) => problem.cause(format!("there is no command `{word}`")).hint(format!("did you mean `{name}`?")),
        None => problem,
    }
}

/// Letters to change, add or take away to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(32).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, left) in a.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (right, slot) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = *slot;
            previous = replaced.min(previous + 1).min(*slot + 1);
            *slot = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn both(words: &Pair<Vec<String>>, limits: &Limits) -> Result<Pair<Inputs>, Vec<Problem>> {
    match (resolve(&words.before, limits), resolve(&words.after, limits)) {
        (Ok(before), Ok(after)) => {
            let stdin = |inputs: &Inputs| inputs.sources.contains(&Source::Stdin);
            if stdin(&before) && stdin(&after) {
                return Err(vec![
                    Problem::new("both sides are standard input, which can be read only once")
                        .hint("write one side to a file first"),
                ]);
            }
            Ok(Pair::new(before, after))
        }
        (before, after) => Err([before.err(), after.err()].into_iter().flatten().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_almost_commands_are_near() {
        assert_eq!(distance("diff", "diff"), 0);
        assert_eq!(distance("diff", "dif"), 1);
        assert_eq!(distance("inspect", "inpsect"), 2);
        assert_eq!(distance("diff", ""), 4);
        assert!(distance("diff", "before.json") > 2);
    }
}
