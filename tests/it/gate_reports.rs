//! Verdicts and populations in every form.

use crate::gate::{TODAY, effect, finding, judged, operation, quiet, slower};
use proptest::prelude::*;
use spandiff::diff::effects::{InstanceGroup, Metric, SharedAttribute, Strength};
use spandiff::diff::gate::{Outcome, Verdict};
use spandiff::diff::pattern::{Matcher, Pattern};
use spandiff::diff::policy::{P95Limit, Policy, Rule, Settings};
use spandiff::diff::{AttributionRow, Confidence, Diff, Finding, FindingKind, Note, Omitted, Quantiles, Suspect};
use spandiff::model::{Pair, TraceId};
use spandiff::report::gate::{GateFormat, write};
use spandiff::report::{Format, Options, TreeView, escape, schema};
use std::path::Path;
use unicode_width::UnicodeWidthStr;

const MS: i64 = 1_000_000;

fn row(finding: Option<usize>, label: &str, ms: i64) -> AttributionRow {
    AttributionRow { finding, label: label.into(), contribution_ns: ms * MS }
}

/// A checkout that got slower, because of its fraud score, and lost 230 databases.
fn sample() -> Diff {
    let mut diff = quiet();
    let checkout = &mut diff.entry_points[0];
    checkout.effects = vec![
        effect(Metric::Duration, 1.21, 1.12, 1.31, Strength::Fail),
        effect(Metric::ErrorRate, 0.022, 0.013, 0.041, Strength::Fail),
    ];
    checkout.error_rate = Pair::new(Some(0.001), Some(0.023));
    checkout.delta_ns = Some(21 * MS);
    checkout.duration_ns.after = Some(Quantiles { mean: 121 * MS, p50: 119 * MS, p95: 266 * MS, p99: None });
    checkout.attribution = vec![row(Some(0), "fraud", 20), row(Some(1), "db", -1), row(None, "unchanged, together", 2)];
    checkout.tail = vec![row(Some(0), "fraud", 44), row(None, "unchanged, together", 3)];
    let gone = Finding {
        contribution_ns: -MS,
        title: "230 of 1,300 databases are not called any more".into(),
        confidence: Confidence::Certain,
        instances: vec![InstanceGroup {
            key: "db.namespace".into(),
            of: 1_300,
            observed: 231,
            expected_by_chance: 1.2,
            named: (17..37).map(|number| format!("db-{number:03}")).collect(),
            named_total: 230,
            shared: vec![SharedAttribute {
                key: "k8s.cluster.name".into(),
                value: "c7".into(),
                inside: 230,
                all: 231,
                q: 1e-30,
            }],
        }],
        first_seen: Some((1_700_000_300_000_000_000, TraceId(0xabc))),
        ..finding(FindingKind::InstanceGone, "POST /checkout", &[("mariadb", "SELECT stock")])
    };
    diff.findings = vec![
        Finding {
            title: "self time 20 ms -> 40 ms".into(),
            because: vec!["POST /checkout is 21 ms slower".into(), "fraud.score takes 20 ms longer".into()],
            ..slower("POST /checkout", &[("fraud", "fraud.score")], Strength::Fail)
        },
        gone,
        Finding {
            contribution_ns: 0,
            title: "GET /search 50 % -> 30 % of the traffic".into(),
            ..finding(FindingKind::Mix, "GET /search", &[])
        },
    ];
    diff.overall =
        vec![row(Some(2), "traffic between entry points", -4), row(None, "the entry points' own changes", 11)];
    diff.comparable.reasons =
        vec![Note { code: "load", message: "the after side is twice as busy: 3.3 to 6.6 traces a second".into() }];
    diff.suspects = vec![Suspect {
        service: "fraud".into(),
        score: 0.93,
        operations: vec![(operation("fraud", "fraud.score"), 0.9)],
        reasons: vec![Note { code: "self_time", message: "+20 ms self time on the critical path".into() }],
    }];
    diff
}

fn policy() -> Policy {
    let limit = |max_ms: u64| Settings {
        p95: Some(P95Limit { max_increase: None, max_ns: Some(max_ms * 1_000_000) }),
        ..Settings::default()
    };
    let rule = |entry: &str, settings| Rule {
        matcher: Matcher { entry: Some(Pattern::name(entry).unwrap()), ..Matcher::default() },
        settings,
    };
    Policy { rules: vec![rule("POST *", limit(250)), rule("GET *", limit(600))], ..Policy::default() }
}

fn said(mut diff: Diff) -> (Diff, Verdict) {
    let verdict = judged(&mut diff, &policy());
    (diff, verdict)
}

fn written_with(format: GateFormat, diff: &Diff, verdict: &Verdict, options: &Options) -> String {
    let mut out = Vec::new();
    write(format, diff, verdict, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn written(format: GateFormat, diff: Diff) -> String {
    let (diff, verdict) = said(diff);
    written_with(format, &diff, &verdict, &Options::default())
}

fn inconclusive() -> Diff {
    let mut diff = quiet();
    diff.entry_points[0].detectable = Some(1.41);
    diff.entry_points[0].needed_traces = Some(2_500);
    diff
}

fn empty() -> Diff {
    let mut diff = quiet();
    diff.inputs.after.traces = 0;
    diff
}

#[test]
fn look() {
    for diff in [sample(), quiet(), inconclusive(), empty()] {
        for format in GateFormat::ALL {
            let (diff, verdict) = said(diff.clone());
            for width in [80, 120] {
                let options = Options { width, tree: Some(TreeView::Folded), ..Options::default() };
                eprintln!("=== {} {width}\n{}", format.name(), written_with(format, &diff, &verdict, &options));
            }
        }
    }
    let _ = (TODAY, Outcome::Pass, Format::Text, Omitted::default(), Path::new(""), schema::SCHEMA, "".width());
    let _ = escape::is_unseen('a');
}
