//! Which traces stand on which side: from the words of the command line to opened sources and a division.

use crate::cli::args::{Common, FilterArgs, SideArgs};
use crate::cli::engine::{Condition, Division, Filter};
use crate::cli::error::{Failure, Problem, remark};
use crate::cli::inputs::{Inputs, Source, resolve};
use crate::cli::opened::{self, Opened};
use crate::model::{Limits, Pair};
use std::path::Path;

/// Words of one side with the sources that they mean.
pub struct Opening {
    /// The words.
    pub inputs: Inputs,
    /// The sources.
    pub opened: Vec<Opened>,
}

impl Opening {
    /// The sources that are profiles, or those that are not.
    pub fn those(&self, profiles: bool) -> Vec<&Opened> {
        self.opened.iter().filter(|source| source.is_profile == profiles).collect()
    }

    /// Names for reports, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.opened.iter().map(|source| source.name.clone()).collect();
        names.sort_unstable();
        names
    }
}

/// Where the traces of both sides come from.
pub enum Origin {
    /// Each side has inputs of its own.
    Own(Pair<Opening>),
    /// One list of inputs holds both sides.
    Divided(Box<Opening>, Division),
}

/// Both sides and what of them is looked at.
pub struct Sides {
    /// Where they come from.
    pub origin: Origin,
    /// What is looked at.
    pub filter: Filter,
    /// The conditions of the command line with the flags before them, for hints.
    pub flags: Vec<(&'static str, Condition)>,
}

impl Sides {
    /// Whether every trace of the inputs is looked at.
    pub fn takes_all(&self) -> bool {
        self.filter.conditions.is_empty() && self.filter.entries.is_empty()
    }
}

/// Finds and opens what is compared.
pub fn open(common: &Common, args: &SideArgs, limits: &Limits) -> Result<Sides, Failure> {
    let filter = filter(&args.filter)?;
    let mut flags: Vec<_> = filter.conditions.iter().map(|condition| ("--where", condition.clone())).collect();
    let origin = if args.input.is_empty() {
        let inputs = own(args, limits)?;
        Origin::Own(Pair::new(opening(common, inputs.before, limits)?, opening(common, inputs.after, limits)?))
    } else {
        let division = division(args, &mut flags)?;
        let inputs = resolve(&args.input, limits).map_err(Failure::Problems)?;
        if let Some(prefix) = inputs.wanted {
            return Err(
                Problem::new(format!("#{prefix} takes one trace, which cannot be divided into two sides")).into()
            );
        }
        Origin::Divided(Box::new(opening(common, inputs, limits)?), division)
    };
    let sides = Sides { origin, filter, flags };
    check_profiles(&sides)?;
    if common.verbose {
        tell(&sides);
    }
    Ok(sides)
}

/// Resolves and opens the inputs of a command that has one list of them.
pub fn open_list(common: &Common, words: &[String], limits: &Limits) -> Result<Opening, Failure> {
    let inputs = resolve(words, limits).map_err(Failure::Problems)?;
    opening(common, inputs, limits)
}

/// The conditions and entry points of the command line.
pub fn filter(args: &FilterArgs) -> Result<Filter, Problem> {
    Ok(Filter { conditions: conditions("--where", &args.wheres)?, entries: args.entries.clone() })
}

fn conditions(flag: &str, texts: &[String]) -> Result<Vec<Condition>, Problem> {
    let parse = |text: &String| {
        Condition::parse(text)
            .map_err(|error| Problem::new(format!("{flag} cannot be understood")).cause(error.to_string()))
    };
    texts.iter().map(parse).collect()
}

fn division(args: &SideArgs, flags: &mut Vec<(&'static str, Condition)>) -> Result<Division, Problem> {
    if let Some(ns) = args.split_at {
        return Ok(Division::At { ns, skip_ns: args.skip_after_split.unwrap_or(0) });
    }
    if args.before_where.is_empty() {
        return Err(Problem::new("--input holds both sides, and nothing says which trace is on which")
            .hint("add --split-at TIME, or --before-where CONDITION and --after-where CONDITION"));
    }
    let side = |flag: &'static str, texts: &[String]| {
        conditions(flag, texts).map(|conditions| Filter { conditions, ..Filter::default() })
    };
    let sides = Pair::new(side("--before-where", &args.before_where)?, side("--after-where", &args.after_where)?);
    flags.extend(sides.before.conditions.iter().map(|condition| ("--before-where", condition.clone())));
    flags.extend(sides.after.conditions.iter().map(|condition| ("--after-where", condition.clone())));
    Ok(Division::Where(sides))
}

fn opening(common: &Common, inputs: Inputs, limits: &Limits) -> Result<Opening, Failure> {
    let opened = opened::open(&inputs, common.said(), limits).map_err(Failure::Problems)?;
    if let Some(prefix) = inputs.wanted
        && let Some(profile) = opened.iter().find(|source| source.is_profile)
    {
        return Err(Problem::new(format!("#{prefix} cannot be taken out of {}", profile.name))
            .cause("a profile holds what traces come to together, not the traces")
            .into());
    }
    Ok(Opening { inputs, opened })
}

/// Conditions look at traces, which profiles do not hold any more.
fn check_profiles(sides: &Sides) -> Result<(), Problem> {
    let (all, divided): (Vec<&Opening>, bool) = match &sides.origin {
        Origin::Own(pair) => (vec![&pair.before, &pair.after], false),
        Origin::Divided(opening, _) => (vec![opening.as_ref()], true),
    };
    let profile = all.iter().flat_map(|opening| opening.those(true)).next();
    match profile {
        Some(profile) if divided => Err(Problem::new(format!("{} cannot be divided into two sides", profile.name))
            .cause("it is a profile: what traces come to together, not the traces")
            .hint("divide the traces that it was made of, or record two profiles")),
        Some(profile) if !sides.takes_all() => Err(no_filter(&profile.name)),
        _ => Ok(()),
    }
}

/// What to say when a profile is to be filtered.
pub fn no_filter(name: &str) -> Problem {
    Problem::new(format!("--where and --entry cannot be applied to {name}"))
        .cause("it is a profile: what traces come to together, not the traces")
        .hint("filter when recording: spandiff record --where … INPUT -o FILE")
}

fn tell(sides: &Sides) {
    let say = |name: &str, opening: &Opening| remark(false, &format!("{name}: {}", opening.names().join(", ")));
    match &sides.origin {
        Origin::Own(pair) => {
            say("before", &pair.before);
            say("after", &pair.after);
        }
        Origin::Divided(opening, _) => say("both sides", opening),
    }
}

/// The inputs of both sides when each has its own.
fn own(args: &SideArgs, limits: &Limits) -> Result<Pair<Inputs>, Failure> {
    let words = words(args)?;
    match (resolve(&words.before, limits), resolve(&words.after, limits)) {
        (Ok(before), Ok(after)) => {
            let stdin = |inputs: &Inputs| inputs.sources.contains(&Source::Stdin);
            if stdin(&before) && stdin(&after) {
                return Err(Problem::new("both sides are standard input, which can be read only once")
                    .hint("write one side to a file first")
                    .into());
            }
            Ok(Pair::new(before, after))
        }
        (before, after) => {
            Err(Failure::Problems([before.err(), after.err()].into_iter().flatten().flatten().collect()))
        }
    }
}

/// The input words of both sides.
fn words(args: &SideArgs) -> Result<Pair<Vec<String>>, Failure> {
    if !args.before.is_empty() {
        return Ok(Pair::new(args.before.clone(), args.after.clone()));
    }
    let usage = |problem: Problem| problem.hint("usage: spandiff BEFORE AFTER; --help shows everything");
    match &*args.sides {
        [before, after] => Ok(Pair::new(vec![before.clone()], vec![after.clone()])),
        [] => Err(usage(Problem::new("two inputs are needed: before the change and after it")).into()),
        [only] => {
            let problem = like_a_command(only, Problem::new(format!("only one input was given: {only}")));
            let problem = if Path::new(only).exists() {
                problem.hint(format!("if it holds both sides: spandiff --input {only} --split-at TIME"))
            } else {
                problem
            };
            Err(usage(problem).into())
        }
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

const COMMANDS: [&str; 11] =
    ["diff", "tui", "gate", "calibrate", "record", "merge", "inspect", "receive", "generate", "completions", "man"];

/// Says so when the first word looks like a command.
fn like_a_command(word: &str, problem: Problem) -> Problem {
    if Path::new(word).exists() {
        return problem;
    }
    // Two letters off, but never most of a short word.
    let close = |name: &&str| distance(name, word) <= 2.min(name.len().saturating_sub(2));
    match COMMANDS.into_iter().find(close) {
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
