//! Verdicts on comparisons written by hand.

use spandiff::diff::effects::{Effect, InstanceGroup, Metric, Strength};
use spandiff::diff::gate::{self, Outcome, Role, Verdict};
use spandiff::diff::merged::NodeStats;
use spandiff::diff::pattern::{Matcher, Pattern};
use spandiff::diff::policy::{
    Acceptance, CallsLimit, Day, ErrorLimit, FailOn, OnInconclusive, P95Limit, Policy, Rule, Settings,
};
use spandiff::diff::{
    AttributionRow, Comparable, Confidence, Coverage, Diff, Drift, EntryPoint, Finding, FindingKind, InputSide, Look,
    Mark, MatchInfo, Mode, NodeSide, Omitted, Quantiles, Sampling, ServiceGraph, Summary, TreeNode,
};
use spandiff::model::{Kind, Operation, Pair, SpanId, Status, Warning, Warnings};

const MS: i64 = 1_000_000;
pub const TODAY: Day = Day(20_779); // 2026-11-22

pub fn operation(service: &str, name: &str) -> Operation {
    Operation { service: service.into(), kind: Kind::Server, name: name.into() }
}

pub fn effect(metric: Metric, estimate: f64, low: f64, high: f64, strength: Strength) -> Effect {
    let unit = match metric {
        Metric::ErrorRate | Metric::Presence | Metric::Traffic => "share",
        _ => "ratio",
    };
    let (p, q) = if strength == Strength::None { (0.4, 0.6) } else { (0.000_1, 0.000_3) };
    Effect { metric, estimate, low, high, unit, p, q, n: Pair::new(1_204, 1_187), method: "by hand", strength }
}

fn quantiles(mean: i64, p95: i64) -> Quantiles {
    Quantiles { mean: mean * MS, p50: (mean - 2) * MS, p95: p95 * MS, p99: None }
}

/// A checkout and a search, each with two paths below.
pub fn entry(name: &str, traces: u64) -> EntryPoint {
    EntryPoint {
        operation: operation("shop", name),
        traces: Pair::new(traces, traces),
        duration_ns: Pair::new(Some(quantiles(100, 220)), Some(quantiles(101, 221))),
        delta_ns: Some(MS),
        error_rate: Pair::new(Some(0.001), Some(0.001)),
        attribution: vec![AttributionRow { finding: None, label: "unchanged, together".into(), contribution_ns: MS }],
        tail: vec![AttributionRow { finding: None, label: "unchanged, together".into(), contribution_ns: MS }],
        effects: vec![
            effect(Metric::Duration, 1.01, 0.98, 1.04, Strength::None),
            effect(Metric::ErrorRate, 0.0, -0.002, 0.002, Strength::None),
        ],
        detectable: Some(1.12),
        needed_traces: Some(400),
    }
}

pub fn finding(kind: FindingKind, entry: &str, path: &[(&str, &str)]) -> Finding {
    let root = operation("shop", entry);
    Finding {
        fingerprint: format!("{:x}", kind.name().len() * 1_000 + path.len()),
        kind,
        path: std::iter::once(root).chain(path.iter().map(|(service, name)| operation(service, name))).collect(),
        from_path: None,
        spans: Pair::new(1_204, 1_187),
        subtree: None,
        calls_per_trace: Pair::new(1.0, 1.0),
        duration_ns: Pair::new(Some(quantiles(20, 40)), Some(quantiles(40, 80))),
        self_time_ns: Pair::new(Some(20 * MS), Some(40 * MS)),
        edge_time_ns: Pair::new(None, None),
        error_rate: Pair::new(Some(0.0), Some(0.0)),
        title: String::new(),
        evidence: Vec::new(),
        contribution_ns: 20 * MS,
        share: Some(0.9),
        on_critical_path: Pair::new(true, true),
        confidence: Confidence::Likely,
        matched: MatchInfo { score: 1.0, reason: "operation" },
        attributes: Vec::new(),
        events: Vec::new(),
        because: Vec::new(),
        exemplars: Pair::new(Vec::new(), Vec::new()),
        effects: Vec::new(),
        instances: Vec::new(),
        first_seen: None,
        accepted: None,
    }
}

pub fn slower(entry: &str, path: &[(&str, &str)], strength: Strength) -> Finding {
    Finding {
        effects: vec![effect(Metric::SelfTime, 1.5, 1.3, 1.7, strength)],
        ..finding(FindingKind::Slower, entry, path)
    }
}

fn node(depth: u32, service: &str, name: &str, before: Option<NodeStats>, after: Option<NodeStats>) -> TreeNode {
    let side = |stats: NodeStats| NodeSide {
        spans: stats.traces,
        start_ns: 0,
        duration_ns: 1_000_000,
        self_ns: 1_000_000,
        critical_ns: 1_000_000,
        status: Status::Unset,
        kind: Kind::Server,
        span_id: SpanId::default(),
        many: Some(stats),
    };
    TreeNode {
        depth,
        operation: operation(service, name),
        from: None,
        mark: Mark::Equal,
        sides: Pair::new(before.map(side), after.map(side)),
        inherited: false,
        detail: None,
        finding: None,
        matched: MatchInfo { score: 1.0, reason: "operation" },
    }
}

/// 2,000 traces a side in which nothing changed.
pub fn quiet() -> Diff {
    let input = |name: &str| InputSide {
        sources: vec![name.into()],
        traces: 2_000,
        spans: 20_000,
        window_ns: Some((1_700_000_000_000_000_000, 1_700_000_600_000_000_000)),
        sha256: "00".repeat(32),
        bytes: (10_000_000, 0),
        ..InputSide::default()
    };
    let stats = |calls_per_trace, p95_ms: u64| {
        Some(NodeStats { calls_per_trace, error_rate: 0.0, traces: 1_000, p95_ns: p95_ms * 1_000_000 })
    };
    Diff {
        mode: Mode::Population,
        inputs: Pair::new(input("before"), input("after")),
        config_sha256: "11".repeat(32),
        comparable: Comparable { ok: true, reasons: Vec::new() },
        coverage: Coverage { paths: 0.98, instances: Some(0.25) },
        drift: Drift { common_ratio: 1.0, between_paths: 0.02 },
        stability: None,
        overall: Vec::new(),
        summary: Summary {
            spans: Pair::new(20_000, 20_000),
            matched: 6,
            unchanged_operations: 6,
            ..Summary::default()
        },
        entry_points: vec![entry("POST /checkout", 1_000), entry("GET /search", 1_000)],
        findings: Vec::new(),
        notes: Vec::new(),
        suspects: Vec::new(),
        omitted: Omitted::default(),
        tree: vec![
            node(0, "shop", "POST /checkout", stats(1.0, 220), stats(1.0, 221)),
            node(1, "cart", "cart.get", stats(1.0, 20), stats(1.0, 20)),
            node(2, "cache", "cache.get", stats(2.0, 5), stats(4.0, 6)),
            node(0, "shop", "GET /search", stats(1.0, 220), stats(1.0, 221)),
            node(1, "index", "query", stats(1.0, 90), stats(1.0, 91)),
        ],
        services: ServiceGraph::new(),
    }
}

pub fn judged(diff: &mut Diff, policy: &Policy) -> Verdict {
    gate::judge(diff, policy, TODAY)
}

fn verdict(mut diff: Diff) -> Verdict {
    judged(&mut diff, &Policy::default())
}

/// The codes of the reasons that decide something.
fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.reasons.iter().filter(|reason| reason.result > Outcome::Pass).map(|reason| reason.code).collect()
}

fn with(change: impl FnOnce(&mut Diff)) -> Diff {
    let mut diff = quiet();
    change(&mut diff);
    diff
}

fn rules(rules: Vec<(Matcher, Settings)>) -> Policy {
    let rules = rules.into_iter().map(|(matcher, settings)| Rule { matcher, settings }).collect();
    Policy { rules, ..Policy::default() }
}

fn at_entry(name: &str) -> Matcher {
    Matcher { entry: Some(Pattern::name(name).unwrap()), ..Matcher::default() }
}

fn at_path(path: &str) -> Matcher {
    Matcher { path: Some(Pattern::new(path).unwrap()), ..Matcher::default() }
}

fn fail_checkout(diff: &mut Diff) {
    diff.entry_points[0].effects = vec![effect(Metric::Duration, 1.21, 1.12, 1.31, Strength::Fail)];
    diff.entry_points[0].attribution =
        vec![AttributionRow { finding: Some(0), label: "fraud".into(), contribution_ns: 20 * MS }];
    diff.findings.insert(0, slower("POST /checkout", &[("fraud", "fraud.score")], Strength::Fail));
}

#[test]
fn silence_passes_when_it_means_something() {
    let verdict = verdict(quiet());
    assert_eq!((verdict.result, verdict.exit_code), (Outcome::Pass, 0));
    let says = verdict.reasons.iter().find(|reason| reason.code == "nothing_found").unwrap();
    assert!(says.message.contains("a slowdown of 12 % would have been found"), "{}", says.message);
    assert!(verdict.reasons.iter().any(|reason| reason.code == "sampling_unknown"), "plain SDK data is not blocked");
    assert_eq!(verdict.needs, Pair::default());
    assert_eq!(verdict.entries, [Outcome::Pass, Outcome::Pass]);
}

#[test]
fn a_slower_entry_point_fails_and_its_path_explains_it() {
    let verdict = verdict(with(|diff| {
        fail_checkout(diff);
        diff.findings.push(slower("GET /search", &[("index", "query")], Strength::Fail));
    }));
    assert_eq!((verdict.result, verdict.exit_code), (Outcome::Fail, 1));
    assert_eq!(verdict.findings, [Role::Explains, Role::Warns]);
    assert_eq!(verdict.entries, [Outcome::Fail, Outcome::Pass]);
    let first = &verdict.reasons[0];
    assert_eq!((first.code, first.finding, first.entry), ("entry_slower", Some(0), Some(0)));
    assert_eq!(
        first.message,
        "shop ▸ POST /checkout is slower: ×1.21 [1.12, 1.31], q 3e-4, n 1,204 + 1,187; shown to be more than 5 %"
    );
}

#[test]
fn a_slowdown_that_may_be_harmless_warns_and_an_improvement_does_nothing() {
    let slow = verdict(with(|diff| {
        diff.entry_points[0].effects = vec![effect(Metric::Duration, 1.07, 1.02, 1.11, Strength::Warn)];
    }));
    assert_eq!((slow.result, slow.exit_code, codes(&slow)), (Outcome::Warn, 0, vec!["entry_slower"]));
    let fast = verdict(with(|diff| {
        diff.entry_points[0].effects = vec![effect(Metric::Duration, 0.7, 0.6, 0.8, Strength::Fail)];
        let faster = Finding {
            effects: vec![effect(Metric::SelfTime, 0.5, 0.4, 0.6, Strength::Fail)],
            ..finding(FindingKind::Faster, "POST /checkout", &[("fraud", "fraud.score")])
        };
        diff.findings.push(faster);
    }));
    assert_eq!((fast.result, fast.findings), (Outcome::Pass, vec![Role::Told]));
}

#[test]
fn what_fails_by_default_and_what_only_warns() {
    use FindingKind as Kind;
    let shown = |strength| vec![effect(Metric::Presence, -0.5, -0.6, -0.4, strength)];
    for (kind, strength, expected) in [
        (Kind::Failing, Strength::Fail, Outcome::Fail),
        (Kind::Failing, Strength::Warn, Outcome::Warn),
        (Kind::Failing, Strength::None, Outcome::Pass),
        (Kind::InstanceFailing, Strength::Fail, Outcome::Fail),
        (Kind::InstanceGone, Strength::Fail, Outcome::Fail),
        (Kind::Removed, Strength::Fail, Outcome::Warn),
        (Kind::Added, Strength::Fail, Outcome::Warn),
        (Kind::CallsDown, Strength::Fail, Outcome::Warn),
        (Kind::ContextLost, Strength::Fail, Outcome::Warn),
        (Kind::LinkRemoved, Strength::Warn, Outcome::Warn),
        (Kind::Serialized, Strength::Warn, Outcome::Warn),
        (Kind::Renamed, Strength::Fail, Outcome::Pass),
        (Kind::Moved, Strength::Fail, Outcome::Pass),
        (Kind::LayerAdded, Strength::Fail, Outcome::Pass),
        (Kind::Attributes, Strength::Fail, Outcome::Pass),
        (Kind::InstanceNew, Strength::Fail, Outcome::Pass),
        (Kind::Mix, Strength::Fail, Outcome::Pass),
        (Kind::Recovered, Strength::Fail, Outcome::Pass),
    ] {
        let verdict = verdict(with(|diff| {
            let path = [("fraud", "fraud.score")];
            diff.findings.push(Finding { effects: shown(strength), ..finding(kind, "POST /checkout", &path) });
        }));
        assert_eq!(verdict.result, expected, "{} {}", kind.name(), strength.name());
    }
}

#[test]
fn calls_fail_from_one_more_and_half_as_many_again() {
    for (before, after, low, expected) in [
        (1.0, 12.0, 11.0, Outcome::Fail),
        (1.0, 2.0, 1.9, Outcome::Fail),
        (1.0, 1.9, 1.8, Outcome::Warn),
        (10.0, 14.0, 1.39, Outcome::Warn),
        (10.0, 17.0, 1.45, Outcome::Warn),
        (10.0, 17.0, 1.6, Outcome::Fail),
        (0.0, 3.0, 9.0, Outcome::Fail),
    ] {
        let verdict = verdict(with(|diff| {
            diff.findings.push(Finding {
                calls_per_trace: Pair::new(before, after),
                effects: vec![effect(Metric::Calls, low + 0.1, low, low + 0.2, Strength::Fail)],
                ..finding(FindingKind::CallsUp, "POST /checkout", &[("stock", "SELECT stock")])
            });
        }));
        assert_eq!(verdict.result, expected, "{before} to {after}");
    }
}

/// kayenta#799: the baseline has no errors, so a ratio of error rates is infinite or nothing, and the canary passed.
#[test]
fn errors_where_there_were_none_fail() {
    let verdict = verdict(with(|diff| {
        diff.entry_points[0].error_rate = Pair::new(Some(0.0), Some(0.024));
        diff.entry_points[0].effects.push(effect(Metric::ErrorRate, 0.024, 0.013, 0.041, Strength::Fail));
        diff.findings.push(Finding {
            error_rate: Pair::new(Some(0.0), Some(0.024)),
            effects: vec![effect(Metric::ErrorRate, 0.024, 0.013, 0.041, Strength::Fail)],
            ..finding(FindingKind::Failing, "POST /checkout", &[("fraud", "fraud.score")])
        });
    }));
    assert_eq!((verdict.result, verdict.findings.clone()), (Outcome::Fail, vec![Role::Fails]));
    assert_eq!(codes(&verdict), ["entry_failing", "failing"]);
    let message = &verdict.reasons[0].message;
    assert!(message.contains("0.00 % → 2.40 % (+2.40 [+1.30, +4.10] points"), "{message}");
}

/// spinnaker#6278: seven of ten points a hundred times slower passed, because the interval was ragged.
#[test]
fn a_huge_slowdown_with_a_ragged_interval_fails() {
    let verdict = verdict(with(|diff| {
        diff.entry_points[0].effects = vec![effect(Metric::Duration, 98.0, 1.08, 104.0, Strength::Fail)];
    }));
    assert_eq!(verdict.result, Outcome::Fail);
}

#[test]
fn instances_beyond_chance_fail_whatever_their_share() {
    let group = |named_total| InstanceGroup {
        key: "db.namespace".into(),
        of: 1_300,
        observed: 231,
        expected_by_chance: 1.2,
        named: vec!["db-017".into()],
        named_total,
        shared: Vec::new(),
    };
    let diff = |named_total| {
        with(|diff| {
            diff.findings.push(Finding {
                instances: vec![group(named_total)],
                confidence: Confidence::Weak,
                ..finding(FindingKind::InstanceGone, "POST /checkout", &[("db", "SELECT")])
            });
        })
    };
    let verdict_of = verdict(diff(230));
    assert_eq!(verdict_of.result, Outcome::Fail);
    let message = &verdict_of.reasons[0].message;
    assert!(message.contains("instance gone: 231 of 1,300 db.namespace (1.2 expected by chance)"), "{message}");
    assert_eq!(verdict(diff(0)).result, Outcome::Pass);
}

#[test]
fn too_little_data_is_inconclusive_and_says_what_it_takes() {
    let blunt = with(|diff| {
        diff.entry_points[0].detectable = Some(1.41);
        diff.entry_points[0].needed_traces = Some(2_500);
    });
    let verdict_of = verdict(blunt);
    assert_eq!((verdict_of.result, verdict_of.exit_code), (Outcome::Inconclusive, 3));
    // 2,500 checkouts a side, which are half of the traffic.
    assert_eq!(verdict_of.needs, Pair::new(5_000, 5_000));
    assert!(verdict_of.reasons[0].message.contains("41 %"), "{}", verdict_of.reasons[0].message);
    assert_eq!(verdict_of.entries, [Outcome::Inconclusive, Outcome::Pass]);
    // Too few to say anything.
    let few = verdict(with(|diff| {
        diff.entry_points = vec![EntryPoint { detectable: None, needed_traces: None, ..entry("POST /checkout", 12) }];
        diff.inputs.before.traces = 12;
        diff.inputs.after.traces = 12;
    }));
    assert_eq!((few.result, few.needs), (Outcome::Inconclusive, Pair::new(20, 20)));
    // An entry point with less than 5 % of the traffic does not hold anything up, unless it is critical.
    let rare = || with(|diff| diff.entry_points.push(EntryPoint { detectable: None, ..entry("GET /rare", 50) }));
    assert_eq!(verdict(rare()).result, Outcome::Pass);
    let critical = rules(vec![(at_entry("GET /rare"), Settings { critical: Some(true), ..Settings::default() })]);
    assert_eq!(judged(&mut rare(), &critical).result, Outcome::Inconclusive);
}

#[test]
fn more_than_any_traffic_is_said_in_words() {
    let needing = |needed: u64| {
        verdict(with(|diff| {
            diff.entry_points[0].detectable = Some(2.1);
            diff.entry_points[0].needed_traces = Some(needed);
        }))
    };
    let far = needing(213_668);
    assert_eq!((far.result, far.needs), (Outcome::Inconclusive, Pair::new(427_336, 427_336)));
    let message = &far.reasons[0].message;
    assert!(message.ends_with("n 1,000 + 1,000); latency here cannot be judged with realistic traffic"), "{message}");
    let near = needing(100_000);
    assert!(near.reasons[0].message.ends_with("; needs about 100,000 a side"), "{}", near.reasons[0].message);
    // Who has 90,000 traces can have twice as many.
    assert!(!gate::is_out_of_reach(180_000, 90_000) && gate::is_out_of_reach(180_000, 9_000));
    // No number at all is enough.
    assert!(needing(1_000_000_000_000_000).needs.after <= 1_000_000_000_000_000);
}

#[test]
fn a_warning_does_not_open_a_gate_that_lacks_data() {
    let verdict = verdict(with(|diff| {
        diff.entry_points[1].detectable = Some(1.6);
        diff.findings.push(slower("GET /search", &[("index", "query")], Strength::Warn));
    }));
    assert_eq!((verdict.result, verdict.exit_code), (Outcome::Inconclusive, 3));
    assert_eq!(codes(&verdict), ["too_few_traces", "slower"]);
}

#[test]
fn nothing_compared_never_passes() {
    let lenient = Policy { on_inconclusive: OnInconclusive::Pass, fail_on: FailOn::Never, ..Policy::default() };
    for diff in [
        with(|diff| diff.inputs.after.traces = 0),
        with(|diff| diff.comparable.ok = false),
        with(|diff| diff.entry_points.clear()),
        with(|diff| diff.entry_points.iter_mut().for_each(|entry| entry.traces.after = 0)),
    ] {
        let mut diff = diff;
        fail_checkout(&mut with(|_| {}));
        let verdict = judged(&mut diff, &lenient);
        assert_eq!((verdict.result, verdict.exit_code, verdict.compared), (Outcome::Inconclusive, 3, false));
        assert_eq!(codes(&verdict), ["nothing_compared"]);
    }
    let mut blunt = with(|diff| diff.entry_points[0].detectable = None);
    assert_eq!(judged(&mut blunt, &lenient).exit_code, 0, "something was compared: the policy may let it through");
}

#[test]
fn exit_codes_follow_the_policy() {
    let policy = |fail_on, on_inconclusive| Policy { fail_on, on_inconclusive, ..Policy::default() };
    let fails = || with(fail_checkout);
    let warns = || with(|diff| diff.findings.push(slower("GET /search", &[("index", "query")], Strength::Warn)));
    let blunt = || with(|diff| diff.entry_points[0].detectable = None);
    for (mut diff, fail_on, on_inconclusive, expected) in [
        (fails(), FailOn::Fail, OnInconclusive::Exit3, 1),
        (fails(), FailOn::Never, OnInconclusive::Exit3, 0),
        (warns(), FailOn::Fail, OnInconclusive::Exit3, 0),
        (warns(), FailOn::Warn, OnInconclusive::Exit3, 1),
        (blunt(), FailOn::Fail, OnInconclusive::Exit3, 3),
        (blunt(), FailOn::Never, OnInconclusive::Exit3, 3),
        (blunt(), FailOn::Fail, OnInconclusive::Fail, 1),
        (blunt(), FailOn::Fail, OnInconclusive::Pass, 0),
    ] {
        let verdict = judged(&mut diff, &policy(fail_on, on_inconclusive));
        assert_eq!(verdict.exit_code, expected, "{fail_on:?} {on_inconclusive:?}");
    }
}

#[test]
fn data_that_cannot_carry_a_verdict_caps_it() {
    // Different sampling: neither a pass nor a failure by time or errors, but calls are calls.
    let sampled = |before, after| {
        with(|diff| {
            diff.inputs.before.sampling = before;
            diff.inputs.after.sampling = after;
        })
    };
    for (before, after, expected) in [
        (Sampling::None, Sampling::None, Outcome::Pass),
        (Sampling::Consistent, Sampling::Consistent, Outcome::Pass),
        (Sampling::Unknown, Sampling::Unknown, Outcome::Pass),
        (Sampling::Unknown, Sampling::Consistent, Outcome::Inconclusive),
        (Sampling::None, Sampling::Consistent, Outcome::Inconclusive),
        (Sampling::Mixed, Sampling::Mixed, Outcome::Inconclusive),
    ] {
        assert_eq!(verdict(sampled(before, after)).result, expected, "{before:?} {after:?}");
    }
    let mut slow = sampled(Sampling::None, Sampling::Unknown);
    fail_checkout(&mut slow);
    assert_eq!(judged(&mut slow, &Policy::default()).result, Outcome::Inconclusive);
    slow.findings.push(Finding {
        calls_per_trace: Pair::new(1.0, 12.0),
        effects: vec![effect(Metric::Calls, 12.0, 11.0, 13.0, Strength::Fail)],
        ..finding(FindingKind::CallsUp, "GET /search", &[("index", "query")])
    });
    assert_eq!(judged(&mut slow, &Policy::default()).result, Outcome::Fail);
    // A noisy environment takes latency its force.
    let mut noisy = with(|diff| diff.drift.between_paths = 0.2);
    assert_eq!(judged(&mut noisy, &Policy::default()).result, Outcome::Inconclusive);
    fail_checkout(&mut noisy);
    assert_eq!(judged(&mut noisy, &Policy::default()).result, Outcome::Inconclusive);
    let blind = Policy { latency: false, ..Policy::default() };
    assert_eq!(judged(&mut noisy, &blind).result, Outcome::Pass, "latency is not judged");
}

#[test]
fn lost_data_does_not_pass_but_may_fail() {
    let lost = || with(|diff| diff.inputs.after.bytes = (1_000_000, 10_001));
    let verdict_of = verdict(lost());
    assert_eq!(codes(&verdict_of), ["data_lost"]);
    assert_eq!(verdict(with(|diff| diff.inputs.after.bytes = (1_000_000, 10_000))).result, Outcome::Pass);
    let mut slow = lost();
    fail_checkout(&mut slow);
    assert_eq!(judged(&mut slow, &Policy::default()).result, Outcome::Fail);
    let mut warnings = Warnings::default();
    warnings.add(Warning::InvalidSpan, 300);
    assert_eq!(codes(&verdict(with(|diff| diff.inputs.before.warnings = warnings))), ["data_lost"]);
    // A span that came twice is not lost.
    let mut twice = Warnings::default();
    twice.add(Warning::DuplicateSpan, 5_000);
    assert_eq!(verdict(with(|diff| diff.inputs.before.warnings = twice)).result, Outcome::Pass);
}

#[test]
fn coverage_is_asked_for_when_the_policy_says_so() {
    let policy = Policy { min_coverage: Some(0.8), ..Policy::default() };
    let verdict = judged(&mut quiet(), &policy);
    assert_eq!((verdict.result, codes(&verdict)), (Outcome::Inconclusive, vec!["coverage"]));
    assert!(verdict.reasons[0].message.contains("25 % of the before side's instances"), "{:?}", verdict.reasons[0]);
}

#[test]
fn an_entry_point_that_was_not_exercised_is_not_passed() {
    let gone = || {
        with(|diff| {
            diff.entry_points[1].traces.after = 0;
            diff.findings
                .push(Finding { confidence: Confidence::Certain, ..finding(FindingKind::Removed, "GET /search", &[]) });
        })
    };
    assert_eq!(codes(&verdict(gone())), ["entry_not_exercised", "removed"]);
    let accepted = accept(Some("GET /search"), None, None);
    assert_eq!(judged(&mut gone(), &accepted).result, Outcome::Pass);
}

fn accept(path: Option<&str>, kind: Option<FindingKind>, until: Option<&str>) -> Policy {
    let acceptance = Acceptance {
        path: path.map(|path| Pattern::new(path).unwrap()),
        kind,
        fingerprint: None,
        reason: "ADR-41".into(),
        until: until.map(|day| (Day::parse(day).unwrap(), day.into())),
    };
    Policy { accepted: vec![acceptance], ..Policy::default() }
}

#[test]
fn accepted_findings_are_listed_and_do_not_count() {
    let mut diff = with(fail_checkout);
    let path = Some("POST /checkout/**/fraud.score");
    let verdict = judged(&mut diff, &accept(path, None, Some("2026-11-22")));
    assert_eq!((verdict.result, verdict.findings.clone()), (Outcome::Pass, vec![Role::Accepted]), "{verdict:#?}");
    assert_eq!(diff.findings[0].accepted.as_ref().unwrap().until.as_deref(), Some("2026-11-22"));
    let accepted = verdict.reasons.iter().find(|reason| reason.code == "accepted").unwrap();
    assert!(accepted.message.ends_with("accepted until 2026-11-22: ADR-41"), "{}", accepted.message);
    assert!(verdict.reasons.iter().any(|it| it.code == "acceptance_ends" && it.message.contains("ends today")));
    // What the accepted change does not explain still fails.
    diff.entry_points[0].attribution.push(AttributionRow {
        finding: None,
        label: "rest".into(),
        contribution_ns: 30 * MS,
    });
    assert_eq!(judged(&mut diff, &accept(path, None, None)).result, Outcome::Fail);
}

#[test]
fn expired_acceptances_are_named_and_do_not_apply() {
    let mut diff = with(fail_checkout);
    let verdict = judged(&mut diff, &accept(Some("**"), None, Some("2026-11-21")));
    assert_eq!((verdict.result, diff.findings[0].accepted.clone()), (Outcome::Fail, None));
    let expired = verdict.reasons.iter().find(|reason| reason.code == "acceptance_expired").unwrap();
    assert_eq!(expired.message, "the acceptance of ** (ADR-41) ended on 2026-11-21: it does not count any more");
    let far = judged(&mut diff, &accept(Some("**"), Some(FindingKind::Slower), Some("2026-12-07")));
    assert!(!far.reasons.iter().any(|reason| reason.code == "acceptance_ends"), "fifteen days are far");
    assert_eq!(judged(&mut diff, &accept(Some("**"), Some(FindingKind::Added), None)).result, Outcome::Fail);
}

#[test]
fn rules_make_things_critical_or_harmless() {
    let set = |matcher, settings| rules(vec![(matcher, settings)]);
    let critical = || Settings { critical: Some(true), ..Settings::default() };
    let uncritical = || Settings { critical: Some(false), ..Settings::default() };
    let on_trial = || Settings { warn_only: Some(true), ..Settings::default() };
    let removed = || {
        with(|diff| {
            diff.findings.push(Finding {
                confidence: Confidence::Certain,
                ..finding(FindingKind::Removed, "POST /checkout", &[("fraud", "fraud.score")])
            });
        })
    };
    for (mut diff, policy, expected) in [
        (removed(), Policy::default(), Outcome::Warn),
        (removed(), set(at_entry("POST /checkout"), critical()), Outcome::Fail),
        (removed(), set(at_path("**/fraud.*"), critical()), Outcome::Fail),
        (removed(), set(at_entry("GET /search"), critical()), Outcome::Warn),
        (with(fail_checkout), set(at_entry("POST *"), uncritical()), Outcome::Warn),
        (with(fail_checkout), set(at_entry("POST *"), on_trial()), Outcome::Warn),
        (
            with(|diff| diff.findings.push(slower("GET /search", &[("index", "query")], Strength::Fail))),
            set(at_path("**/query"), critical()),
            Outcome::Fail,
        ),
        (
            with(|diff| diff.findings.push(slower("GET /search", &[("index", "query")], Strength::Warn))),
            set(at_path("**/query"), critical()),
            Outcome::Warn,
        ),
    ] {
        let verdict = judged(&mut diff, &policy);
        assert_eq!(verdict.result, expected, "{policy:?} {:?}", verdict.reasons);
    }
}

#[test]
fn proof_is_more_than_power() {
    let prove = |min_effect| {
        let settings = Settings { prove: Some(true), min_effect, ..Settings::default() };
        rules(vec![(at_entry("POST /checkout"), settings)])
    };
    // ×1.01 up to ×1.04 is below 5 %, but not below 3 %.
    assert_eq!(judged(&mut quiet(), &prove(None)).result, Outcome::Pass);
    let verdict = judged(&mut quiet(), &prove(Some(0.03)));
    assert_eq!((verdict.result, codes(&verdict)), (Outcome::Inconclusive, vec!["too_few_traces"]));
    // ln(1.04/1.01)/ln(1.03/1.01) squared is 2.227: 2,227 checkouts, twice that in all.
    assert!((4_400..4_500).contains(&verdict.needs.after), "{:?}", verdict.needs);
}

#[test]
fn latency_can_be_left_out() {
    let policy = Policy { latency: false, ..Policy::default() };
    let smoke = |traces: u64| {
        with(|diff| {
            diff.entry_points =
                vec![EntryPoint { detectable: None, needed_traces: None, ..entry("POST /checkout", traces) }];
            diff.inputs.after.traces = traces;
        })
    };
    let verdict_of = judged(&mut smoke(12), &policy);
    assert_eq!((verdict_of.result, verdict_of.needs), (Outcome::Pass, Pair::default()));
    assert!(verdict_of.reasons.iter().any(|reason| reason.code == "latency_ignored"));
    assert_eq!(judged(&mut smoke(2), &policy).result, Outcome::Inconclusive);
    let mut slow = smoke(12);
    fail_checkout(&mut slow);
    assert_eq!(judged(&mut slow, &policy).findings, [Role::Told]);
    slow.findings.push(Finding {
        effects: vec![effect(Metric::ErrorRate, 0.5, 0.2, 0.7, Strength::Fail)],
        ..finding(FindingKind::Failing, "POST /checkout", &[("fraud", "fraud.score")])
    });
    assert_eq!(judged(&mut slow, &policy).result, Outcome::Fail);
}

#[test]
fn noise_is_called_noise() {
    let unstable = |diff: &mut Diff| {
        fail_checkout(diff);
        diff.stability = Some(0.1);
    };
    let verdict_of = verdict(with(unstable));
    assert_eq!((verdict_of.result, verdict_of.exit_code), (Outcome::Warn, 0));
    assert!(codes(&verdict_of).contains(&"not_reproducible"));
    assert_eq!(verdict_of.entries, [Outcome::Warn, Outcome::Pass]);
    // A critical path's own failure is taken back with the reason for it.
    let critical = Settings { critical: Some(true), ..Settings::default() };
    let critical = judged(&mut with(unstable), &rules(vec![(at_path("**/fraud.score"), critical)]));
    assert_eq!((critical.result, critical.findings), (Outcome::Warn, vec![Role::Warns]));
    // Errors are not a matter of the window.
    let errors = verdict(with(|diff| {
        unstable(diff);
        diff.entry_points[1].effects.push(effect(Metric::ErrorRate, 0.02, 0.01, 0.03, Strength::Fail));
    }));
    assert_eq!(errors.result, Outcome::Fail);
}

#[test]
fn limits_are_kept_broken_or_in_doubt() {
    let limit = |matcher, settings| rules(vec![(matcher, settings)]);
    let p95 = |max_increase, max_ms: Option<u64>| Settings {
        p95: Some(P95Limit { max_increase, max_ns: max_ms.map(|ms| ms * 1_000_000) }),
        ..Settings::default()
    };
    let calls =
        |max_ratio, max| Settings { calls_per_trace: Some(CallsLimit { max_ratio, max }), ..Settings::default() };
    let errors =
        |max_increase, max| Settings { error_rate: Some(ErrorLimit { max_increase, max }), ..Settings::default() };
    let checkout = || at_entry("POST /checkout");
    for (policy, expected, value) in [
        (limit(checkout(), p95(None, Some(600))), Outcome::Pass, "221 ms (n 1,000) at shop ▸ POST /checkout"),
        (limit(checkout(), p95(None, Some(200))), Outcome::Fail, "221 ms (n 1,000) at shop ▸ POST /checkout"),
        (limit(checkout(), p95(Some(0.1), None)), Outcome::Pass, "220 ms → 221 ms (+0.5 %) at shop ▸ POST /checkout"),
        // No test of the percentile says so: only the estimate is beyond.
        (limit(checkout(), p95(Some(0.001), None)), Outcome::Warn, "220 ms → 221 ms (+0.5 %) at shop ▸ POST /checkout"),
        (limit(checkout(), calls(Some(1.5), None)), Outcome::Warn, "2 → 4 at cache ▸ cache.get"),
        (limit(at_path("**/cache.get"), calls(None, Some(3.0))), Outcome::Fail, "2 → 4 at cache ▸ cache.get"),
        (limit(checkout(), calls(Some(2.0), None)), Outcome::Pass, "1 → 1 at cart ▸ cart.get"),
        (limit(at_path("**/query"), p95(None, Some(50))), Outcome::Fail, "91 ms (n 1,000) at index ▸ query"),
        (limit(checkout(), errors(Some(0.005), None)), Outcome::Pass, "0.10 % → 0.10 % at shop ▸ POST /checkout"),
        (limit(checkout(), errors(None, Some(0.0005))), Outcome::Warn, "0.10 % at shop ▸ POST /checkout"),
    ] {
        let verdict = judged(&mut quiet(), &policy);
        assert_eq!(verdict.result, expected, "{policy:?}");
        assert_eq!(verdict.rules.len(), 1, "{:?}", verdict.rules);
        assert_eq!((verdict.rules[0].result, &*verdict.rules[0].value), (expected, value));
    }
    // The later rule for the same place counts.
    let policy = rules(vec![(at_entry("*"), p95(None, Some(200))), (at_entry("*"), p95(None, Some(500)))]);
    assert_eq!(judged(&mut quiet(), &policy).result, Outcome::Pass);
    // A few traces do not break a percentile.
    let mut few = with(|diff| diff.entry_points[0].traces = Pair::new(150, 150));
    assert_eq!(judged(&mut few, &limit(checkout(), p95(None, Some(200)))).result, Outcome::Warn);
}

#[test]
fn a_rule_that_speaks_of_nothing_is_named() {
    let limit = Settings { p95: Some(P95Limit { max_increase: Some(0.1), max_ns: None }), ..Settings::default() };
    let critical = Settings { critical: Some(true), ..Settings::default() };
    let typo = judged(&mut quiet(), &rules(vec![(at_entry("POST /chekout"), limit)]));
    assert_eq!((typo.result, codes(&typo)), (Outcome::Warn, vec!["rule_matches_nothing"]));
    let typo = judged(&mut quiet(), &rules(vec![(at_entry("POST /chekout"), critical)]));
    assert_eq!(typo.result, Outcome::Inconclusive);
}

#[test]
fn looks_are_mentioned() {
    let verdict =
        judged(&mut quiet(), &Policy { look: Some(Look::Planned { look: 3, looks: 10 }), ..Policy::default() });
    assert!(verdict.reasons.iter().any(|reason| reason.message.starts_with("look 3 of 10")));
}
