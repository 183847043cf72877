//! The pair cases of `rivals.md`, last section: what every rival fails. Each counts findings.

use spandiff::diff::{Diff, DiffOptions, FindingKind, InputSide, pair};
use spandiff::model::{Pair, fixture};
use std::fmt::Write as _;

pub(crate) fn diff(before: &str, after: &str) -> Diff {
    let traces = fixture::pair(before, after);
    pair::compare(&traces, Pair::new(InputSide::default(), InputSide::default()), &DiffOptions::default())
}

/// Findings as `kind service: name`, sorted.
pub(crate) fn found(diff: &Diff) -> Vec<String> {
    let mut found: Vec<String> = diff
        .findings
        .iter()
        .map(|finding| {
            format!("{} {}", finding.kind.name(), finding.operation().map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    found.sort();
    found
}

/// Compares both ways round: the swapped comparison must find the mirror image.
#[track_caller]
pub(crate) fn check(before: &str, after: &str, expected: &[&str]) -> Diff {
    let diff = diff(before, after);
    assert_eq!(
        found(&diff),
        expected,
        "{:#?}",
        diff.findings.iter().map(|f| (&f.title, &f.evidence)).collect::<Vec<_>>()
    );
    for entry in &diff.entry_points {
        let sum: i64 = entry.attribution.iter().map(|row| row.contribution_ns).sum();
        assert_eq!(Some(sum), entry.delta_ns, "the attribution adds up");
    }
    let swapped = self::diff(after, before);
    let kinds = |diff: &Diff, mirror: bool| {
        let mut kinds: Vec<FindingKind> =
            diff.findings.iter().map(|finding| if mirror { finding.kind.mirrored() } else { finding.kind }).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&swapped, true), kinds(&diff, false), "swapping the sides mirrors the findings");
    diff
}

const SUBTREE: &str = "
  shop Load 80ms
    shop Price 20ms
    shop Stock 20ms
      db SELECT stock 10ms
  shop Render 10ms
";

fn deeper(text: &str) -> String {
    let mut deeper = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(deeper, "  {line}");
    }
    deeper
}

#[test]
fn case_1_a_wrapper_above_a_subtree_is_one_layer() {
    let before = format!("web GET / 100ms [server]{SUBTREE}");
    let after = format!("web GET / 102ms [server]\n  web middleware 101ms\n{}", deeper(SUBTREE));
    let diff = check(&before, &after, &["layer_added web: middleware"]);
    assert_eq!(diff.findings[0].subtree, Some(1));
}

#[test]
fn case_1_four_layers_are_one_stack() {
    let before = format!("web GET / 100ms [server]{SUBTREE}");
    let mut inner = SUBTREE.to_owned();
    for layer in [
        "proxy-b GET / 101ms [server]",
        "proxy-b GET / 102ms [client]",
        "proxy-a GET / 103ms [server]",
        "web GET / 104ms [client]",
    ] {
        inner = format!("  {layer}\n{}", deeper(&inner));
    }
    let diff = check(&before, &format!("web GET / 105ms [server]\n{inner}"), &["layer_added web: GET /"]);
    assert_eq!(diff.findings[0].subtree, Some(4));
}

#[test]
fn case_2_a_leaf_that_gains_a_child_is_one_added() {
    check(
        "web GET / 50ms\n  web Load 40ms",
        "web GET / 50ms\n  web Load 40ms\n    db SELECT 0.5ms",
        &["added db: SELECT"],
    );
}

#[test]
fn case_3_a_new_call_does_not_steal_the_old_one() {
    let diff = check(
        "web GET / 50ms\n  web B 20ms\n    db q 5ms",
        "web GET / 58ms\n  web X 8ms\n    db q 5ms\n  web B 20ms\n    db q 5ms",
        &["added web: X"],
    );
    assert_eq!(diff.findings[0].subtree, Some(2));
}

#[test]
fn case_4_repeats_in_another_order_are_no_change() {
    check(
        "web GET / 120ms\n  db q 5ms\n  db q 5ms\n  db q 100ms",
        "web GET / 120ms\n  db q 100ms\n  db q 5ms\n  db q 5ms",
        &[],
    );
}

#[test]
fn case_5_concurrent_children_may_swap() {
    check("web GET / 50ms\n  a x 30ms @1ms\n  b y 30ms @2ms", "web GET / 50ms\n  a x 30ms @2ms\n  b y 30ms @1ms", &[]);
}

#[test]
fn case_6_n_plus_one_is_one_finding() {
    let diff = check(
        "web GET / 50ms\n  db SELECT item ×3 2ms",
        "web GET / 104ms\n  db SELECT item ×30 2ms",
        &["calls_up db: SELECT item"],
    );
    let finding = &diff.findings[0];
    assert_eq!((finding.spans.before, finding.spans.after, finding.contribution_ns), (3, 30, 54_000_000));
    assert!(finding.evidence.iter().any(|line| line.starts_with("N+1")), "{:?}", finding.evidence);
}

#[test]
fn case_7_a_moved_subtree_is_one_move() {
    check(
        "web GET / 100ms\n  cart Load 40ms\n    price Quote 20ms\n      db SELECT price 10ms\n  page Render 30ms",
        "web GET / 100ms\n  cart Load 20ms\n  page Render 50ms\n    price Quote 20ms\n      db SELECT price 10ms",
        &["moved price: Quote"],
    );
}

#[test]
fn case_10_everything_a_little_slower_is_one_drift() {
    let tree = |factor: f64| {
        let ms = |ms: f64| format!("{}us", (ms * factor * 1000.0).round());
        format!(
            "web GET / {}\n  web auth {}\n  cart Load {}\n    db SELECT cart {}\n    db SELECT items {}\n  page Render {}\n    cdn fetch {}\n",
            ms(400.0),
            ms(50.0),
            ms(150.0),
            ms(40.0),
            ms(60.0),
            ms(120.0),
            ms(70.0)
        )
    };
    check(&tree(1.0), &tree(1.04), &["drift web: GET /"]);
}

#[test]
fn case_11_the_leaf_is_blamed_and_not_its_ancestors() {
    let tree = |leaf: u64| {
        format!(
            "web GET / {}ms\n  cart Load {}ms\n    db SELECT cart {}ms\n  page Render 30ms",
            80 + leaf,
            10 + leaf,
            leaf
        )
    };
    let diff = check(&tree(20), &tree(220), &["slower db: SELECT cart"]);
    assert_eq!(diff.findings[0].contribution_ns, 200_000_000);
    assert_eq!(diff.findings[0].because.len(), 3, "{:?}", diff.findings[0].because);
}

#[test]
fn case_15_debug_level_spans_are_one_finding() {
    let before = "web GET / 200ms\n  web Load ×5 20ms\n    db SELECT 10ms";
    let after = "web GET / 200ms\n  web Load ×5 20ms\n    web debug.parse 1ms\n    web debug.check ×19 0.1ms\n    db SELECT 10ms @5ms";
    let diff = diff(before, after);
    assert!(diff.findings.len() <= 2, "{:?}", found(&diff));
    assert_eq!(diff.findings.iter().map(|finding| finding.spans.after).sum::<u64>(), 100);
}

#[test]
fn identical_traces_have_no_finding() {
    let text = format!("web GET / 100ms [server]{SUBTREE}");
    check(&text, &text, &[]);
}

#[test]
fn a_renamed_span_is_one_rename() {
    check(
        "web GET / 100ms\n  cart LoadCart 40ms\n    db SELECT cart 10ms\n    db SELECT items 10ms",
        "web GET / 100ms\n  cart FetchCart 40ms\n    db SELECT cart 10ms\n    db SELECT items 10ms",
        &["renamed cart: FetchCart"],
    );
}

#[test]
fn overlapping_calls_that_now_wait_are_serialized() {
    check(
        "web GET / 40ms\n  a x 30ms @5ms\n  b y 30ms @5ms\n  c z 30ms @5ms",
        "web GET / 100ms\n  a x 30ms @5ms\n  b y 30ms @35ms\n  c z 30ms @65ms",
        &["serialized web: GET /"],
    );
}

#[test]
fn a_new_error_is_told_where_it_starts() {
    check(
        "web GET / 50ms\n  cart Load 30ms\n    db SELECT 10ms",
        "web GET / 50ms !error\n  cart Load 30ms !error\n    db SELECT 10ms !error",
        &["failing db: SELECT"],
    );
}

#[test]
fn a_replaced_ingress_does_not_turn_the_tree_red_and_green() {
    let before = format!(
        "traefik GET / 120ms [server]\n  traefik GET / 110ms [client]\n    web GET / 100ms [server]\n{}",
        deeper(&deeper(SUBTREE))
    );
    let after = format!(
        "envoy ingress 130ms [server]\n  envoy router 120ms [client]\n    sidecar inbound 110ms [server]\n      web GET / 100ms [server]\n{}",
        deeper(&deeper(&deeper(SUBTREE)))
    );
    let diff = check(&before, &after, &["layer_added sidecar: inbound", "renamed envoy: ingress"]);
    assert_eq!(diff.summary.matched, 8);
}
