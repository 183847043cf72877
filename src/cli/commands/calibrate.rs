//! `spandiff calibrate`: what the gate says where nothing changed, and from which slowdown on it notices.

use super::gate::{apply, policy_of, today};
use super::population::{fold_list, with_reader};
use super::sides::{self, no_filter, open_list};
use crate::cli::args::{CalibrateArgs, Common};
use crate::cli::config::{Settings, settings};
use crate::cli::engine::{self, Profile};
use crate::cli::error::{Failure, Problem};
use crate::cli::halves::{Target, busiest, slow_down, split};
use crate::cli::{exit, output};
use crate::diff::{Day, Diff, FindingKind, InputSide, Outcome, Policy, Role, Sampling, Verdict};
use crate::model::{Pair, Side};
use crate::report::json::pretty;
use crate::report::page::{DIM, Page, STRONG};
use crate::report::units::{count, counted, duration};
use crate::stats::counts::wilson;
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;

/// Call paths for which slowdowns are made up.
const TARGETS: usize = 5;
/// The slowdowns, each in so many splits.
const FACTORS: [f64; 7] = [1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0];
const SPLITS_EACH: u32 = 10;
/// Of which so many must notice.
const NOTICED: u32 = 8;

/// Runs the command.
pub fn run(common: &Common, args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    let mut settings = settings(common, None)?;
    let policy = policy_of(&args.policy, &settings)?;
    apply(&policy, &mut settings);
    let filter = sides::filter(&args.filter)?;
    let opening = open_list(common, &args.inputs, &settings.limits)?;
    if let Some(profile) = opening.those(true).first()
        && !(filter.conditions.is_empty() && filter.entries.is_empty())
    {
        return Err(no_filter(&profile.name).into());
    }
    let folded = with_reader(common, &settings, &[&opening], |reader| fold_list(&opening, &filter, reader))
        .map_err(Failure::Problems)?;
    if folded.profile.totals.traces == 0 {
        return Err(Problem::new("no trace was found: there is nothing to split")
            .cause(format!("in {}", args.inputs.join(", ")))
            .hint("spandiff inspect shows what a file holds")
            .into());
    }
    let gate = Gate { profile: &folded.profile, settings: &settings, policy: &policy, today: today()? };
    let calibration = gate.calibrate(args.splits);
    write(&calibration, common, args, &settings)?;
    Ok(ExitCode::from(exit::DONE))
}

/// What is calibrated.
struct Gate<'a> {
    profile: &'a Profile,
    settings: &'a Settings,
    policy: &'a Policy,
    today: Day,
}

/// What came out, and the JSON `spandiff.calibrate/v1`.
#[derive(Serialize)]
struct Calibration {
    schema: &'static str,
    /// Traces in all; each half has about half of them.
    traces: u64,
    spans: u64,
    call_paths: u64,
    splits: u32,
    verdicts: Verdicts,
    slowdowns: Vec<Slowdown>,
    /// What halves of a profile cannot show.
    not_calibrated: [&'static str; 4],
    config_sha256: String,
}

#[derive(Serialize)]
struct Verdicts {
    pass: Rate,
    warn: Rate,
    inconclusive: Rate,
    fail: Rate,
}

/// How many splits ended so, as a share with a 95 % interval (Wilson).
#[derive(Serialize)]
struct Rate {
    splits: u64,
    share: f64,
    low: f64,
    high: f64,
}

/// The smallest slowdown of a call path's self time that is noticed.
#[derive(Serialize)]
struct Slowdown {
    path: Vec<String>,
    self_time_ns: u64,
    /// Factor from which on the path is named as slower; `None` when none of those tried is enough.
    named_from: Option<f64>,
    /// Factor from which on the gate fails.
    fails_from: Option<f64>,
    largest_tried: f64,
}

impl Gate<'_> {
    fn calibrate(&self, splits: u32) -> Calibration {
        let outcomes = self.in_parallel(splits, |number| self.judge(&split(self.profile, number)).1.result);
        let rate = |outcome: Outcome| {
            let found = outcomes.iter().filter(|&&found| found == outcome).count() as u64;
            let interval = wilson(found, u64::from(splits), 0.95);
            Rate { splits: found, share: interval.estimate, low: interval.low, high: interval.high }
        };
        let totals = &self.profile.totals;
        Calibration {
            schema: "spandiff.calibrate/v1",
            traces: totals.traces,
            spans: totals.spans,
            call_paths: self.profile.paths().len() as u64,
            splits,
            verdicts: Verdicts {
                pass: rate(Outcome::Pass),
                warn: rate(Outcome::Warn),
                inconclusive: rate(Outcome::Inconclusive),
                fail: rate(Outcome::Fail),
            },
            slowdowns: busiest(self.profile, TARGETS).iter().map(|target| self.slowdown(target)).collect(),
            not_calibrated: ["attributes", "instances", "links", "onset"],
            config_sha256: self.settings.sha256.clone(),
        }
    }

    fn slowdown(&self, target: &Target) -> Slowdown {
        let (mut named_from, mut fails_from) = (None, None);
        for factor in FACTORS {
            let noticed = self.in_parallel(SPLITS_EACH, |number| {
                let mut halves = split(self.profile, number);
                slow_down(&mut halves.after, target, factor);
                let (diff, verdict) = self.judge(&halves);
                (names(&diff, &verdict, target), verdict.result == Outcome::Fail)
            });
            let enough = |count: usize| count >= NOTICED as usize;
            if enough(noticed.iter().filter(|(named, _)| *named).count()) {
                named_from = named_from.or(Some(factor));
            }
            if enough(noticed.iter().filter(|(_, fails)| *fails).count()) {
                fails_from = fails_from.or(Some(factor));
            }
            if named_from.is_some() && fails_from.is_some() {
                break;
            }
        }
        Slowdown {
            path: target.operations.iter().map(ToString::to_string).collect(),
            self_time_ns: target.self_ns,
            named_from,
            fails_from,
            largest_tried: FACTORS.into_iter().fold(1.0, f64::max),
        }
    }

    fn judge(&self, halves: &Pair<Profile>) -> (Diff, Verdict) {
        let side = |half: &Profile| InputSide {
            traces: half.totals.traces,
            spans: half.totals.spans,
            window_ns: half.totals.window_ns,
            sampling: Sampling::of(&self.profile.totals),
            ..InputSide::default()
        };
        let inputs = halves.as_ref().map(side);
        let mut diff = engine::compare_populations(halves, inputs, &self.settings.options);
        let verdict = engine::judge(&mut diff, self.policy, self.today);
        (diff, verdict)
    }

    /// Does `work` for all numbers, with two threads where threads allow it; the results in order.
    fn in_parallel<R: Send>(&self, most: u32, work: impl Fn(u32) -> R + Sync) -> Vec<R> {
        let sides = Pair::new(Side::Before, Side::After);
        let Pair { before, after } = engine::both(sides, self.settings.threads, |side| {
            let numbers = if side == Side::Before { 0..most / 2 } else { most / 2..most };
            numbers.map(&work).collect::<Vec<R>>()
        });
        before.into_iter().chain(after).collect()
    }
}

/// Whether the verdict names the target as slower.
fn names(diff: &Diff, verdict: &Verdict, target: &Target) -> bool {
    diff.findings.iter().zip(&verdict.findings).any(|(finding, role)| {
        finding.kind == FindingKind::Slower
            && finding.path == target.operations
            && matches!(role, Role::Fails | Role::Warns | Role::Unproven | Role::Explains)
    })
}

fn write(calibration: &Calibration, common: &Common, args: &CalibrateArgs, settings: &Settings) -> Result<(), Failure> {
    let file = common.output.as_deref();
    let options = output::options(settings.color, file);
    output::to(file, |out| match &*args.format {
        "json" => {
            out.write_all(&pretty(calibration)?)?;
            out.write_all(b"\n")
        }
        _ => text(calibration, &Page::new(&options), out),
    })
}

fn text(calibration: &Calibration, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let traces = counted(calibration.traces, "trace", "traces");
    let splits = counted(u64::from(calibration.splits), "split", "splits");
    let title = format!("{splits} of {traces} into random halves, in which nothing changed");
    writeln!(out, "{}", page.paint(STRONG, &page.show(title)))?;
    let Verdicts { pass, warn, inconclusive, fail } = &calibration.verdicts;
    for (name, rate) in [("pass", pass), ("warn", warn), ("inconclusive", inconclusive), ("fail", fail)] {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let line = format!(
            "{name:<13} {:>6}  {:>7}  (95 %: {} to {})",
            count(rate.splits),
            percent(rate.share),
            percent(rate.low),
            percent(rate.high)
        );
        writeln!(out, "  {}", page.show(line))?;
    }
    let each =
        format!("smallest slowdown that is noticed in {NOTICED} of {SPLITS_EACH} splits, at the busiest call paths");
    writeln!(out, "\n{}", page.paint(STRONG, &page.show(each)))?;
    for slowdown in &calibration.slowdowns {
        slowdown_text(slowdown, page, out)?;
    }
    let left_out =
        "not calibrated: attributes, instances, links and when a change began, which profiles do not keep by halves";
    for line in page.wrap(left_out, page.width) {
        writeln!(out, "{}", page.paint(DIM, &page.show(line)))?;
    }
    Ok(())
}

fn slowdown_text(slowdown: &Slowdown, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let from = |factor: Option<f64>| match factor {
        Some(factor) => format!("×{factor}"),
        None => format!("> ×{}", slowdown.largest_tried),
    };
    let path = slowdown.path.join(" ▸ ");
    let about = format!(
        "named {:>6}  fails {:>6}  self {:>8}",
        from(slowdown.named_from),
        from(slowdown.fails_from),
        duration(slowdown.self_time_ns)
    );
    let about = page.show(about);
    let width = page.width.saturating_sub(about.chars().count() + 4).max(20);
    writeln!(out, "  {}  {about}", page.left(&page.show(path), width))
}
