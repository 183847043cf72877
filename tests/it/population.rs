//! Many traces against many traces.

use crate::synthetic::{Climate, PathPlan, Plan, Random, plans, profile};
use proptest::prelude::*;
use spandiff::diff::population::compare;
use spandiff::diff::{Diff, DiffOptions, Finding, FindingKind, InputSide, PopulationOptions, Strength};
use spandiff::ingest::fold::Folder;
use spandiff::model::profile::Profile;
use spandiff::model::{Limits, Pair, TraceId, Warnings, fixture};

const MS: i64 = 1_000_000;

/// A side of texts in the fixtures' notation, each so many times under ids of their own.
fn folded(texts: &[(&str, u64)], seed: u64) -> Profile {
    let mut folder = Folder::new(&Limits::default());
    let mut random = Random(seed);
    for (text, times) in texts {
        let mut trace = fixture::trace(text);
        for _ in 0..*times {
            trace.id = TraceId(u128::from(random.bits()) << 64 | u128::from(random.bits()));
            folder.add(&trace, &Warnings::default());
        }
    }
    folder.finish()
}

fn diff_with(before: &Profile, after: &Profile, options: &DiffOptions) -> Diff {
    compare(&Pair::new(before.clone(), after.clone()), Pair::<InputSide>::default(), options)
}

fn diff(before: &Profile, after: &Profile) -> Diff {
    diff_with(before, after, &DiffOptions::default())
}

fn diff_of(before: &[(&str, u64)], after: &[(&str, u64)]) -> Diff {
    diff(&folded(before, 1), &folded(after, 2))
}

fn last(finding: &Finding) -> String {
    finding.operation().unwrap().to_string()
}

/// Kind and place of every finding.
fn told(diff: &Diff) -> Vec<(FindingKind, String)> {
    diff.findings.iter().map(|finding| (finding.kind, last(finding))).collect()
}

/// Rows sum to what they split, whatever was found.
fn check_sums(diff: &Diff) {
    for point in &diff.entry_points {
        if let Some(delta) = point.delta_ns {
            assert_eq!(point.attribution.iter().map(|row| row.contribution_ns).sum::<i64>(), delta);
            let means = point.duration_ns.map(|quantiles| quantiles.unwrap().mean);
            assert_eq!(means.after - means.before, delta);
            let together = point.attribution.iter().rfind(|row| row.finding.is_none()).unwrap();
            assert_eq!(together.label, "unchanged, together");
        }
    }
}

const CHECKOUT: &str = "shop GET /checkout 120ms [server]
  shop load cart 40ms
    db SELECT items 12ms
  shop price 30ms
    pricing quote 20ms";

#[test]
fn a_wrapper_is_one_layer() {
    // Case 1 of `rivals.md`.
    let wrapped = "shop GET /checkout 122ms [server]
  shop middleware 120ms
    shop load cart 40ms
      db SELECT items 12ms
    shop price 30ms
      pricing quote 20ms";
    let diff = diff_of(&[(CHECKOUT, 60)], &[(wrapped, 60)]);
    assert_eq!(told(&diff), [(FindingKind::LayerAdded, "shop: middleware".to_owned())]);
    check_sums(&diff);
}

#[test]
fn a_leaf_that_gains_a_child_is_one_addition() {
    let more = "shop GET /checkout 120ms [server]
  shop load cart 40ms
    db SELECT items 12ms
      disk read 8ms
  shop price 30ms
    pricing quote 20ms";
    let diff = diff_of(&[(CHECKOUT, 60)], &[(more, 60)]);
    assert_eq!(told(&diff), [(FindingKind::Added, "disk: read".to_owned())]);
    assert!(diff.findings[0].effects[0].q < 0.001);
    check_sums(&diff);
}

#[test]
fn many_more_calls_are_one_finding() {
    // Case 6.
    let one = "shop GET /checkout 120ms [server]\n  shop load cart 60ms\n    db SELECT items 5ms ×3 [client]";
    let many = "shop GET /checkout 255ms [server]\n  shop load cart 195ms\n    db SELECT items 5ms ×30 [client]";
    let diff = diff_of(&[(one, 80)], &[(many, 80)]);
    assert_eq!(told(&diff), [(FindingKind::CallsUp, "db: SELECT items".to_owned())]);
    let finding = &diff.findings[0];
    assert!(finding.evidence.iter().any(|line| line.starts_with("N+1: 30 calls")), "{:?}", finding.evidence);
    assert!((finding.calls_per_trace.before - 3.0).abs() < 1e-9 && (finding.calls_per_trace.after - 30.0).abs() < 1e-9);
    assert_eq!(finding.contribution_ns, 135 * MS);
    check_sums(&diff);
}

#[test]
fn everything_a_little_slower_is_drift_alone() {
    // Case 10: +4 % everywhere.
    let mut random = Random(3);
    let plans: Vec<(Plan, u64)> = plans(3, 12, &mut random).into_iter().map(|plan| (plan, 400)).collect();
    let before = profile(&plans, Climate::default(), &mut random);
    let after = profile(&plans, Climate { common_log: 0.04, scatter: 0.0 }, &mut random);
    let diff = diff(&before, &after);
    assert_eq!(diff.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Drift]);
    assert!((diff.drift.common_ratio - 1.04).abs() < 0.01, "{:?}", diff.drift);
    check_sums(&diff);
}

#[test]
fn the_leaf_is_blamed_and_not_its_callers() {
    // Case 11: root +200 ms because one leaf +200 ms.
    let slow = "shop GET /checkout 320ms [server]
  shop load cart 240ms
    db SELECT items 212ms
  shop price 30ms
    pricing quote 20ms";
    let diff = diff_of(&[(CHECKOUT, 100)], &[(slow, 100)]);
    assert_eq!(told(&diff), [(FindingKind::Slower, "db: SELECT items".to_owned())]);
    let finding = &diff.findings[0];
    assert_eq!(finding.contribution_ns, 200 * MS);
    assert_eq!(finding.effects[0].strength, Strength::Fail);
    assert_eq!(finding.because.first().map(String::as_str), Some("shop: GET /checkout takes 200 ms more"));
    assert_eq!(diff.suspects[0].service, "db");
    check_sums(&diff);
}

#[test]
fn a_side_against_itself_has_no_finding() {
    // Case 12.
    let mut random = Random(5);
    let plans: Vec<(Plan, u64)> = plans(4, 15, &mut random).into_iter().map(|plan| (plan, 150)).collect();
    let side = profile(&plans, Climate::default(), &mut random);
    let diff = diff(&side, &side);
    assert!(told(&diff).is_empty(), "{:?}", told(&diff));
    assert!((diff.drift.common_ratio - 1.0).abs() < 1e-12);
    assert_eq!(diff.summary.unchanged_bound_ns, 0);
    assert!(diff.entry_points.iter().all(|point| point.delta_ns == Some(0) && point.attribution.len() == 1));
    assert_eq!(diff.stability, None);
}

#[test]
fn two_traces_say_little_but_structure() {
    // Case 13: too few for latency; what is in all and in none is told, as weak.
    let other = "shop GET /checkout 320ms [server]\n  shop load cart 240ms\n    db SELECT items 212ms";
    let diff = diff_of(&[(CHECKOUT, 2)], &[(other, 2)]);
    assert_eq!(told(&diff), [(FindingKind::Removed, "shop: price".to_owned())]);
    assert_eq!(diff.findings[0].confidence, spandiff::diff::Confidence::Weak);
    assert!(diff.comparable.reasons.iter().any(|reason| reason.code == "few_traces"));
    assert!(diff.entry_points[0].needed_traces.is_some());
    assert_eq!(diff.entry_points[0].detectable, None);
}

#[test]
fn three_traces_settle_structure_when_latency_is_ignored() {
    let options = DiffOptions {
        population: PopulationOptions { latency: false, ..PopulationOptions::default() },
        ..DiffOptions::default()
    };
    let other = "shop GET /checkout 120ms [server]\n  shop load cart 40ms\n    db SELECT items 12ms !error";
    let diff = diff_with(&folded(&[(CHECKOUT, 3)], 1), &folded(&[(other, 3)], 2), &options);
    let mut kinds = told(&diff);
    kinds.sort_by_key(|told| told.1.clone());
    assert_eq!(
        kinds,
        [(FindingKind::Failing, "db: SELECT items".to_owned()), (FindingKind::Removed, "shop: price".to_owned())]
    );
    assert!(diff.findings.iter().all(|finding| finding.effects.iter().any(|e| e.strength == Strength::Fail)));
    assert!(diff.notes.iter().any(|note| note.code == "latency_ignored"));
}

#[test]
fn a_rare_path_that_is_not_seen_is_a_note() {
    let rare = "shop GET /checkout 120ms [server]\n  shop load cart 40ms\n  mail send 9ms";
    let usual = "shop GET /checkout 120ms [server]\n  shop load cart 40ms";
    let diff = diff_of(&[(usual, 392), (rare, 8)], &[(usual, 50)]);
    assert!(told(&diff).is_empty(), "{:?}", told(&diff));
    assert!(diff.notes.iter().any(|note| note.code == "not_seen"), "{:?}", diff.notes);
}

#[test]
fn errors_that_are_new_are_found_where_they_begin() {
    let failing = "shop GET /checkout 120ms [server] !error
  shop load cart 40ms !error
    db SELECT items 12ms !error
  shop price 30ms
    pricing quote 20ms";
    let diff = diff_of(&[(CHECKOUT, 300)], &[(CHECKOUT, 270), (failing, 30)]);
    assert_eq!(told(&diff), [(FindingKind::Failing, "db: SELECT items".to_owned())]);
    let finding = &diff.findings[0];
    assert!(finding.title.contains("0 % (0 of 300) → 10 % (30 of 300)"), "{}", finding.title);
    assert!(finding.because.iter().any(|line| line.contains("GET /checkout fails in 0 % → 10 %")));
}

#[test]
fn traffic_that_moves_is_mix_and_does_not_hide_a_slowdown() {
    // Simpson: the mean over all falls although the expensive endpoint got slower.
    let mut random = Random(11);
    let cheap = vec![PathPlan::new(None, "shop", "GET /cheap", 10e6, 0.3)];
    let dear = |sql: f64| {
        vec![PathPlan::new(None, "shop", "GET /dear", 20e6, 0.3), PathPlan::new(Some(0), "db", "sql", sql, 0.3)]
    };
    let before = profile(&[(cheap.clone(), 300), (dear(200e6), 700)], Climate::default(), &mut random);
    let after = profile(&[(cheap, 700), (dear(300e6), 300)], Climate::default(), &mut random);
    let diff = diff(&before, &after);
    let mut kinds = told(&diff);
    kinds.sort_by_key(|told| told.1.clone());
    assert_eq!(kinds[0], (FindingKind::Slower, "db: sql".to_owned()));
    assert_eq!(kinds[1].0, FindingKind::Mix);
    assert_eq!(kinds.len(), 2);
    assert!(diff.overall[0].contribution_ns < 0, "{:?}", diff.overall);
    assert!(diff.overall[1].contribution_ns > 0);
    check_sums(&diff);
}

#[test]
fn slow_outliers_are_found_in_the_tail() {
    let mut random = Random(17);
    let plan = |slow: (f64, f64)| {
        let mut plan = vec![PathPlan::new(None, "shop", "GET /", 10e6, 0.3)];
        for number in 0..12 {
            plan.push(PathPlan::new(Some(0), "db", &format!("query {number}"), 8e6, 0.3));
        }
        plan[3].slow = slow;
        plan
    };
    let before = profile(&[(plan((0.0, 1.0)), 3_000)], Climate::default(), &mut random);
    let after = profile(&[(plan((0.06, 8.0)), 3_000)], Climate::default(), &mut random);
    let diff = diff(&before, &after);
    assert_eq!(told(&diff), [(FindingKind::Slower, "db: query 2".to_owned())]);
    let point = &diff.entry_points[0];
    assert!(!point.tail.is_empty());
    assert_eq!(point.tail[0].finding, Some(0), "the tail is made of it: {:?}", point.tail);
}

#[test]
fn an_ingress_is_replaced_without_turning_all_below_red_and_green() {
    let behind = |ingress: &str| {
        format!(
            "{ingress} GET /checkout 130ms [server]
  {ingress}/client GET 125ms
    shop GET /checkout 120ms [server]
      shop load cart 40ms
        db SELECT items 12ms
      shop price 30ms"
        )
    };
    let (old, new) = (behind("nginx"), behind("envoy"));
    let diff = diff_of(&[(&old, 80)], &[(&new, 80)]);
    let kinds = told(&diff);
    assert!(kinds.iter().all(|told| told.0 == FindingKind::Renamed), "{kinds:?}");
    assert_eq!(diff.entry_points.len(), 1);
    check_sums(&diff);
}

#[test]
fn sides_without_a_common_entry_point_cannot_be_compared() {
    let diff = diff_of(&[(CHECKOUT, 30)], &[("mail poll 3ms [consumer]\n  mail send 2ms", 30)]);
    assert!(!diff.comparable.ok);
    let mut kinds = told(&diff);
    kinds.sort_by_key(|told| told.1.clone());
    assert_eq!(
        kinds,
        [(FindingKind::Added, "mail: poll".to_owned()), (FindingKind::Removed, "shop: GET /checkout".to_owned())]
    );
}

#[test]
fn an_empty_side_is_no_trouble() {
    let side = folded(&[(CHECKOUT, 30)], 1);
    for (before, after) in
        [(&side, &Profile::default()), (&Profile::default(), &side), (&Profile::default(), &Profile::default())]
    {
        assert!(!diff(before, after).comparable.ok);
    }
}

/// A population with a few changes between its sides.
fn changed(seed: u64, traces: u64) -> Pair<Profile> {
    let mut random = Random(seed);
    let before: Vec<(Plan, u64)> = plans(2, 9, &mut random).into_iter().map(|plan| (plan, traces)).collect();
    let mut after = before.clone();
    for (plan, traces) in &mut after {
        let last = plan.len() - 1;
        plan[last].median_ns *= 1.8;
        plan[2].calls = 3;
        plan[4].presence = 0.4;
        plan[3].error = 0.2;
        plan[5].name = format!("new {}", plan[5].name);
        *traces = *traces * 3 / 2;
    }
    Pair::new(
        profile(&before, Climate::default(), &mut random),
        profile(&after, Climate { common_log: 0.01, scatter: 0.01 }, &mut random),
    )
}

fn fingerprint(diff: &Diff) -> String {
    format!("{diff:?}")
}

#[test]
fn runs_are_equal_to_the_byte() {
    let sides = changed(23, 120);
    let first = diff(&sides.before, &sides.after);
    assert!(first.findings.len() > 4, "{:?}", told(&first));
    assert_eq!(fingerprint(&first), fingerprint(&diff(&sides.before, &sides.after)));
    // Nor does it matter in which order tables were filled.
    let canonical = Pair::new(sides.before.canonical(), sides.after.canonical());
    assert_eq!(fingerprint(&first), fingerprint(&diff(&canonical.before, &canonical.after)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn rows_sum_and_sides_mirror(seed in any::<u64>(), traces in 30u64..150) {
        let sides = changed(seed, traces);
        let there = diff(&sides.before, &sides.after);
        let back = diff(&sides.after, &sides.before);
        check_sums(&there);
        check_sums(&back);
        let mut mirrored: Vec<FindingKind> = back.findings.iter().map(|finding| finding.kind.mirrored()).collect();
        let mut kinds: Vec<FindingKind> = there.findings.iter().map(|finding| finding.kind).collect();
        mirrored.sort();
        kinds.sort();
        prop_assert_eq!(kinds, mirrored);
        for point in &there.entry_points {
            let partner = back.entry_points.iter().find(|other| other.operation == point.operation).unwrap();
            prop_assert_eq!(point.delta_ns.map(|delta| -delta), partner.delta_ns);
        }
    }
}
