//! How often a comparison cries wolf, and what it finds: many deployments whose truth is known.
//!
//! `cargo bench --bench bench -- numbers` runs all of them; the tests run a few of each.

use crate::synthetic::{Climate, Plan, Random, plans, profile};
use spandiff::diff::gate::judge;
use spandiff::diff::population::compare;
use spandiff::diff::{Day, Diff, DiffOptions, FindingKind, InputSide, Outcome, Policy, Role, Sampling, Verdict};
use spandiff::model::Pair;
use spandiff::model::profile::Profile;

/// Call paths and entry points of every deployment.
pub const ENTRIES: usize = 10;
const PATHS: usize = 20;

/// What came of many deployments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Deployments.
    pub runs: u64,
    /// With a finding at a call path (drift is none); for a path that did change: with another finding.
    pub flagged: u64,
    /// By verdict of the gate with its default policy.
    pub warned: u64,
    pub inconclusive: u64,
    pub failed: u64,
    /// With the changed path among the findings that warn or fail, and first of all findings.
    pub named: u64,
    pub first: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.runs += other.runs;
        self.flagged += other.flagged;
        self.warned += other.warned;
        self.inconclusive += other.inconclusive;
        self.failed += other.failed;
        self.named += other.named;
        self.first += other.first;
    }

    fn of(verdict: &Verdict) -> Counts {
        Counts {
            runs: 1,
            warned: u64::from(verdict.result == Outcome::Warn),
            inconclusive: u64::from(verdict.result == Outcome::Inconclusive),
            failed: u64::from(verdict.result == Outcome::Fail),
            ..Counts::default()
        }
    }
}

/// Compares two sides and judges them as `spandiff gate` does without a policy file.
fn gate(before: Profile, after: Profile) -> (Diff, Verdict) {
    let policy = Policy::default();
    let profiles = Pair::new(before, after);
    let inputs = profiles.as_ref().map(|profile| InputSide {
        traces: profile.totals.traces,
        spans: profile.totals.spans,
        window_ns: profile.totals.window_ns,
        sampling: Sampling::None,
        ..InputSide::default()
    });
    let options = DiffOptions { population: policy.population(), ..DiffOptions::default() };
    let mut diff = compare(&profiles, inputs, &options);
    let verdict = judge(&mut diff, &policy, Day::parse("2026-11-22").unwrap());
    (diff, verdict)
}

/// Deployments on two threads; the same numbers as on one, since each has a seed of its own.
fn deployments(runs: u64, seed: u64, one: impl Fn(&mut Random) -> Counts + Sync) -> Counts {
    let half = |first: u64| {
        let mut counts = Counts::default();
        for run in (first..runs).step_by(2) {
            counts.add(&one(&mut Random(seed.wrapping_add(run.wrapping_mul(0x5851_f42d_4c95_7f2d)))));
        }
        counts
    };
    let half = &half;
    std::thread::scope(|scope| {
        let other = scope.spawn(move || half(1));
        let mut counts = half(0);
        counts.add(&other.join().unwrap());
        counts
    })
}

fn with_traces(plans: Vec<Plan>, traces: u64) -> Vec<(Plan, u64)> {
    plans.into_iter().map(|plan| (plan, traces)).collect()
}

/// Deployments in which nothing changed but the weather. `traces` at each entry point.
pub fn nothing_changed(runs: u64, traces: u64, climate: Climate, seed: u64) -> Counts {
    deployments(runs, seed, |random| {
        let plans = with_traces(plans(ENTRIES, PATHS, random), traces);
        let before = profile(&plans, Climate::default(), random);
        let after = profile(&plans, climate, random);
        let (diff, verdict) = gate(before, after);
        let flagged = diff.findings.iter().any(|finding| finding.kind != FindingKind::Drift);
        Counts { flagged: u64::from(flagged), ..Counts::of(&verdict) }
    })
}

/// The traces an entry point that the comparison of a small sample advises, the largest of all entry points'.
fn advised(seed: u64) -> u64 {
    let random = &mut Random(seed);
    let plans = with_traces(plans(ENTRIES, PATHS, random), 100);
    let before = profile(&plans, Climate::default(), random);
    let (diff, _) = gate(before, profile(&plans, SCATTER, random));
    diff.entry_points.iter().filter_map(|point| point.needed_traces).max().unwrap()
}

/// Deployments in which one path of all became `ratio` times as slow.
pub fn one_slower(runs: u64, traces: u64, ratio: f64, climate: Climate, seed: u64) -> Counts {
    deployments(runs, seed, |random| {
        let mut plans = with_traces(plans(ENTRIES, PATHS, random), traces);
        let path = 1 + (random.bits() % (PATHS as u64 - 1)) as usize;
        let victim = &mut plans[0].0[path];
        // A mean of 50 ms: the median of this log-normal is its mean / exp(0.6² / 2).
        (victim.median_ns, victim.log_sd) = (50e6 / (0.18f64).exp(), 0.6);
        let name = victim.name.clone();
        let before = profile(&plans, Climate::default(), random);
        plans[0].0[path].median_ns *= ratio;
        let after = profile(&plans, climate, random);
        let (diff, verdict) = gate(before, after);
        let place = diff.findings.iter().position(|finding| {
            finding.kind == FindingKind::Slower && finding.operation().is_some_and(|operation| *operation.name == name)
        });
        let counts = |place: usize| verdict.findings.get(place).is_some_and(|role| *role != Role::Told);
        Counts {
            named: u64::from(place.is_some_and(counts)),
            first: u64::from(place == Some(0)),
            flagged: u64::from(diff.findings.len() > 1),
            ..Counts::of(&verdict)
        }
    })
}

/// What the environment does between two windows: 2 % of scatter from path to path, and with it 3 % on all.
pub const SCATTER: Climate = Climate { common_log: 0.0, scatter: 0.02 };
pub const SHIFTED: Climate = Climate { common_log: 0.029_558_802_241_544_4, scatter: 0.02 };

/// Share and its 95 % interval by Wilson's score.
pub fn share(some: u64, all: u64) -> String {
    let interval = spandiff::stats::counts::wilson(some, all, 0.95);
    format!("{:.1} % ({:.1} to {:.1})", 100.0 * interval.estimate, 100.0 * interval.low, 100.0 * interval.high)
}

/// All rows, or one: `numbers-advised`.
#[allow(dead_code, reason = "the tests run single rows")]
pub fn run(filter: &str) {
    let verdicts = |counts: &Counts| {
        format!(
            "flagged {}; verdicts: fail {}, inconclusive {}, warn {} of {}",
            share(counts.flagged, counts.runs),
            share(counts.failed, counts.runs),
            share(counts.inconclusive, counts.runs),
            share(counts.warned, counts.runs),
            counts.runs
        )
    };
    let rows = [
        ("numbers-still", 1_000, 200, Climate::default(), "nothing changed, no drift"),
        ("numbers-drift", 1_000, 200, SCATTER, "nothing changed, 2 % drift"),
        ("numbers-common", 1_000, 200, SHIFTED, "nothing changed, 2 % drift and all 3 % slower"),
        ("numbers-advised", 1_000, advised(7), SCATTER, "nothing changed, 2 % drift, as many traces as advised"),
        ("numbers-many", 200, 2_000, SCATTER, "nothing changed, 2 % drift"),
    ];
    for (name, runs, traces, climate, words) in rows {
        if name.starts_with(filter) {
            let counts = nothing_changed(runs, traces, climate, 1);
            println!("numbers: {words}, {traces} traces an entry point: {}", verdicts(&counts));
        }
    }
    for (name, runs, traces, ratio) in [("numbers-fifth", 200, 2_000, 1.2), ("numbers-half", 500, 200, 1.5)] {
        if name.starts_with(filter) {
            let counts = one_slower(runs, traces, ratio, SCATTER, 2);
            println!(
                "numbers: one of {} paths {ratio} times as slow, 2 % drift, {traces} traces an entry point: named {}, \
                 first {}; with others {}",
                ENTRIES * PATHS,
                share(counts.named, runs),
                share(counts.first, runs),
                verdicts(&counts)
            );
        }
    }
}
