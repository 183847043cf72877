//! `spandiff gate`: reads two populations, compares them, judges the difference by a policy.

use super::load;
use super::population;
use super::sides;
use crate::cli::args::{Common, GateArgs, PolicyArgs};
use crate::cli::config::{Settings, hex, settings};
use crate::cli::engine;
use crate::cli::error::{Failure, Problem, print_problems};
use crate::cli::{output, policy};
use crate::diff::{Day, Diff, Policy, Verdict};
use crate::report::Options;
use crate::report::gate::{self, GateFormat};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::ExitCode;

/// Findings that are judged; reports may list fewer.
const MAX_JUDGED: usize = 10_000;
/// The day of acceptances for tests.
const TODAY: &str = "SPANDIFF_TODAY";

/// Runs the command.
pub fn run(common: &Common, args: &GateArgs) -> Result<ExitCode, Failure> {
    let mut settings = settings(common, None)?;
    let mut policy = policy_of(&args.policy, &settings)?;
    policy.fail_on = args.fail_on.unwrap_or(policy.fail_on);
    policy.on_inconclusive = args.on_inconclusive.unwrap_or(policy.on_inconclusive);
    apply(&policy, &mut settings);
    let today = today()?;
    let sides = sides::open(common, &args.sides, &settings.limits)?;
    let folded = population::fold_both(common, &settings, &sides).map_err(Failure::Problems)?;
    // An empty side is judged all the same: the verdict says that nothing was compared, and this why.
    print_problems(&population::empty(common, &settings, &sides, &folded));
    let mut diff = load::many(folded).compare(&settings.options);
    diff.config_sha256.clone_from(&settings.sha256);
    let verdict = engine::judge(&mut diff, &policy, today);
    write(&diff, &verdict, common, args, &settings)?;
    Ok(ExitCode::from(verdict.exit_code))
}

/// The policy of the file that is named, else of the configuration, with what the command line says.
pub fn policy_of(args: &PolicyArgs, settings: &Settings) -> Result<Policy, Problem> {
    let mut policy = match &args.policy {
        Some(path) => policy::load(path)?,
        None => settings.policy.clone(),
    };
    policy.look = args.look.or(policy.look);
    Ok(policy)
}

/// Makes the comparison ready for a policy, and the settings' hash speak of it.
pub fn apply(policy: &Policy, settings: &mut Settings) {
    settings.options.population = policy.population();
    // Whatever reports show, every finding is judged.
    settings.options.max_findings = settings.options.max_findings.max(MAX_JUDGED);
    settings.options.tree |= policy.needs_tree();
    settings.sha256 = hex(&Sha256::digest(format!("{}\n{policy:?}", settings.sha256)));
}

/// The day, in UTC.
pub fn today() -> Result<Day, Problem> {
    if let Ok(text) = std::env::var(TODAY) {
        Day::parse(&text).ok_or_else(|| {
            Problem::new(format!("{TODAY} is no date")).cause(format!("it is `{text}`")).hint("example: 2026-12-31")
        })
    } else {
        let seconds = jiff::Timestamp::now().as_second();
        Ok(Day(seconds.div_euclid(86_400)))
    }
}

fn write(diff: &Diff, verdict: &Verdict, common: &Common, args: &GateArgs, settings: &Settings) -> Result<(), Failure> {
    let format = args.format.as_deref().and_then(GateFormat::from_name).unwrap_or(GateFormat::Text);
    let file = common.output.as_deref();
    for (format, file) in &args.reports {
        let options = options(args, settings, Some(file));
        output::to(Some(file), |out| gate::write(*format, diff, verdict, &options, out))?;
    }
    // Last, so that a reader who closes the pipe does not cost the files.
    let options = options(args, settings, file);
    match output::to(file, |out| gate::write(format, diff, verdict, &options, out)) {
        // Who stops reading wants the verdict all the same.
        Err(Failure::ClosedPipe) | Ok(()) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn options(args: &GateArgs, settings: &Settings, file: Option<&Path>) -> Options {
    Options {
        width: if file.is_some() { Options::default().width } else { output::width() },
        color: output::is_colored(settings.color, file),
        ascii: args.ascii || output::is_ascii(file),
        list: args.max_findings.unwrap_or(Options::default().list),
        ..Options::default()
    }
}
