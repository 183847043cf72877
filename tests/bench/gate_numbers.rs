//! How often a comparison cries wolf, and what it finds: many deployments whose truth is known.
//!
//! `cargo bench --bench bench -- numbers` runs all of them; the tests run a few of each.

use crate::synthetic::{Climate, Plan, Random, plans, profile};
use spandiff::diff::population::compare;
use spandiff::diff::{Diff, DiffOptions, FindingKind, Strength};
use spandiff::model::Pair;

/// Call paths and entry points of every deployment.
pub const ENTRIES: usize = 10;
const PATHS: usize = 20;

/// What came of many deployments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// With a finding at a call path: drift is none.
    pub flagged: u64,
    /// With something that would fail a gate.
    pub failed: u64,
    /// With the changed path among the findings, and first of them.
    pub named: u64,
    pub first: u64,
}

fn options() -> DiffOptions {
    DiffOptions::default()
}

fn with_traces(plans: Vec<Plan>, traces: u64) -> Vec<(Plan, u64)> {
    plans.into_iter().map(|plan| (plan, traces)).collect()
}

fn is_flagged(diff: &Diff) -> bool {
    diff.findings.iter().any(|finding| finding.kind != FindingKind::Drift)
}

fn fails(diff: &Diff) -> bool {
    let entry = diff.entry_points.iter().flat_map(|point| &point.effects);
    let paths = diff.findings.iter().flat_map(|finding| &finding.effects);
    entry
        .chain(paths)
        .any(|effect| effect.strength == Strength::Fail && effect.estimate > 1.0 && effect.unit == "ratio")
}

/// Deployments in which nothing changed but the weather.
pub fn nothing_changed(runs: u64, traces: u64, climate: Climate, seed: u64) -> Counts {
    let mut counts = Counts::default();
    for run in 0..runs {
        let mut random = Random(seed.wrapping_add(run.wrapping_mul(0x5851_f42d_4c95_7f2d)));
        let plans = with_traces(plans(ENTRIES, PATHS, &mut random), traces);
        let before = profile(&plans, Climate::default(), &mut random);
        let after = profile(&plans, climate, &mut random);
        let diff = compare(&Pair::new(before, after), Pair::default(), &options());
        counts.flagged += u64::from(is_flagged(&diff));
        counts.failed += u64::from(fails(&diff));
    }
    counts
}

/// Deployments in which one path of all became `ratio` times as slow.
pub fn one_slower(runs: u64, traces: u64, ratio: f64, climate: Climate, seed: u64) -> Counts {
    let mut counts = Counts::default();
    for run in 0..runs {
        let mut random = Random(seed.wrapping_add(run.wrapping_mul(0x5851_f42d_4c95_7f2d)));
        let mut plans = with_traces(plans(ENTRIES, PATHS, &mut random), traces);
        let path = 1 + (random.bits() % (PATHS as u64 - 1)) as usize;
        let victim = &mut plans[0].0[path];
        (victim.median_ns, victim.log_sd) = (25e6, 0.6);
        let name = victim.name.clone();
        let before = profile(&plans, Climate::default(), &mut random);
        plans[0].0[path].median_ns *= ratio;
        let after = profile(&plans, climate, &mut random);
        let diff = compare(&Pair::new(before, after), Pair::default(), &options());
        let place = diff.findings.iter().position(|finding| {
            finding.kind == FindingKind::Slower && finding.operation().is_some_and(|operation| *operation.name == name)
        });
        counts.named += u64::from(place.is_some());
        counts.first += u64::from(place == Some(0));
        counts.flagged += u64::from(diff.findings.len() > 1);
        counts.failed += u64::from(fails(&diff));
    }
    counts
}

/// What the environment does between two windows: 2 % of scatter from path to path, and with it 3 % on all.
pub const SCATTER: Climate = Climate { common_log: 0.0, scatter: 0.02 };
pub const SHIFTED: Climate = Climate { common_log: 0.029_558_802_241_544_4, scatter: 0.02 };

/// Share and its 95 % interval by Wilson's score.
pub fn share(some: u64, all: u64) -> String {
    let interval = spandiff::stats::counts::wilson(some, all, 0.95);
    format!("{:.1} % ({:.1} to {:.1})", 100.0 * interval.estimate, 100.0 * interval.low, 100.0 * interval.high)
}

/// All rows.
#[allow(dead_code, reason = "the tests run single rows")]
pub fn run() {
    let wolf = |name: &str, runs: u64, traces: u64, climate: Climate| {
        let counts = nothing_changed(runs, traces, climate, 1);
        println!(
            "numbers: nothing changed, {name}, {traces} traces an entry point: flagged {}, failed {} of {runs}",
            share(counts.flagged, runs),
            share(counts.failed, runs)
        );
    };
    wolf("no drift", 1_000, 200, Climate::default());
    wolf("2 % drift", 1_000, 200, SCATTER);
    wolf("2 % drift and all 3 % slower", 1_000, 200, SHIFTED);
    wolf("2 % drift", 200, 2_000, SCATTER);
    let finds = |runs: u64, traces: u64, ratio: f64| {
        let counts = one_slower(runs, traces, ratio, SCATTER, 2);
        println!(
            "numbers: one of {} paths {ratio} times as slow, 2 % drift, {traces} traces an entry point: named {}, first \
             {}, others flagged {} of {runs}",
            ENTRIES * PATHS,
            share(counts.named, runs),
            share(counts.first, runs),
            share(counts.flagged, runs)
        );
    };
    finds(200, 2_000, 1.2);
    finds(500, 200, 1.5);
}
