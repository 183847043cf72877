//! Verdicts and populations in every form.

use crate::gate::{effect, finding, judged, operation, quiet, slower};
use proptest::prelude::*;
use spandiff::diff::effects::{InstanceGroup, Metric, SharedAttribute, Strength};
use spandiff::diff::gate::Verdict;
use spandiff::diff::pattern::{Matcher, Pattern};
use spandiff::diff::policy::{P95Limit, Policy, Rule, Settings};
use spandiff::diff::{AttributionRow, Confidence, Diff, Finding, FindingKind, Note, Quantiles, Suspect};
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
            title: "traffic moved between entry points: GET /search 50 % -> 30 % of the traffic".into(),
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

/// The committed schema is the one that the types give. `SPANDIFF_WRITE_SCHEMA=1 cargo test` writes it.
#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/schema/gate.v1.json");
    let current = schema::gate::json_schema();
    if std::env::var_os("SPANDIFF_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    assert!(committed == current, "run SPANDIFF_WRITE_SCHEMA=1 cargo test and look at the difference");
}

#[test]
fn json_is_the_diff_and_the_verdict() {
    let schema: serde_json::Value = serde_json::from_str(&schema::gate::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for diff in [sample(), quiet(), inconclusive(), empty()] {
        let (diff, verdict) = said(diff);
        for tree in [None, Some(TreeView::All)] {
            let options = Options { tree, ..Options::default() };
            let shown = written_with(GateFormat::Json, &diff, &verdict, &options);
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
            assert!(shown.starts_with("{\n  \"schema\": \"spandiff.gate/v1\",\n"), "{shown}");
            assert_eq!(value.get("tree").is_some(), tree.is_some());
        }
    }
    let value: serde_json::Value = serde_json::from_str(&written(GateFormat::Json, sample())).unwrap();
    let verdict = &value["verdict"];
    assert_eq!((&verdict["result"], &verdict["exit_code"]), (&"fail".into(), &1.into()));
    assert_eq!(verdict["reasons"][0]["code"], "entry_slower");
    assert_eq!(verdict["reasons"][0]["finding"], "F1");
    assert_eq!(verdict["reasons"][0]["entry_point"]["name"], "POST /checkout");
    assert_eq!(verdict["rules"][0]["match"], "entry POST *");
    assert_eq!(verdict["rules"][0]["result"], "fail");
    assert_eq!(verdict["findings"][0]["result"], "explains");
    assert_eq!(verdict["entry_points"][1]["result"], "pass");
    let value: serde_json::Value = serde_json::from_str(&written(GateFormat::Json, inconclusive())).unwrap();
    assert_eq!(value["verdict"]["needs"]["after_traces"], 5_000);
}

#[test]
fn text_answers_first() {
    let shown = written(GateFormat::Text, sample());
    let expected = "\
FAIL  4 regressions   (exit code 1)

why it fails
  shop ▸ POST /checkout is slower: ×1.21 [1.12, 1.31], q 3e-4, n 1,204 + 1,187; shown to be more than 5 % → finding 1
";
    let options = Options { width: 120, ..Options::default() };
    let (diff, verdict) = said(sample());
    assert!(written_with(GateFormat::Text, &diff, &verdict, &options).starts_with(expected), "{shown}");
    for line in [
        "\nwhat to do next\n  stop here: do not roll on\n  look at finding 1 first: fraud ▸ fraud.score\n",
        "\n  fail: p95 at most 250 ms: 266 ms (n 1,000) at shop ▸ POST /checkout, entry POST *\n",
        "\ngood to know\n  no side says how it was sampled; taken as sampled alike\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let shown = written(GateFormat::Text, inconclusive());
    assert!(
        shown.starts_with("INCONCLUSIVE  not enough, or not the right data for a verdict   (exit code 3)\n"),
        "{shown}"
    );
    assert!(shown.contains("\n  collect about 5,000 traces before (now 2,000)\n"), "{shown}");
    let mut far = inconclusive();
    far.entry_points[0].needed_traces = Some(213_668);
    let shown = written(GateFormat::Text, far.clone()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("(a larger `must_detect`, no `prove`)") && !shown.contains("collect about"), "{shown}");
    let value: serde_json::Value = serde_json::from_str(&written(GateFormat::Json, far)).unwrap();
    assert_eq!(value["verdict"]["needs"]["after_traces"], 427_336);
    let shown = written(GateFormat::Text, quiet());
    assert!(shown.starts_with("PASS  nothing that matters was found   (exit code 0)\n"), "{shown}");
    let shown = written(GateFormat::Text, empty());
    assert!(shown.starts_with("INCONCLUSIVE  nothing was compared   (exit code 3)\n"), "{shown}");
    assert!(shown.contains("\n= nothing was compared\n"), "{shown}");
}

fn population(diff: &Diff, width: usize) -> String {
    let mut out = Vec::new();
    spandiff::report::write(Format::Text, diff, &Options { width, ..Options::default() }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn populations_are_told_in_columns_or_in_lines() {
    let wide = population(&sample(), 120);
    let expected = "\
2,000 → 2,000 traces   20,000 → 20,000 spans   6 call paths matched   errors 0 → 0
before: before   2023-11-14 22:13:20 UTC, 10 min 0 s   3.3 traces/s
after: after   2023-11-14 22:13:20 UTC, 10 min 0 s   3.3 traces/s
mind: the after side is twice as busy: 3.3 to 6.6 traces a second
traffic moved between entry points: GET /search 50 % -> 30 % of the traffic
environment: unchanged call paths scatter by ±2 %
coverage: the after side exercised 98 % of the before side's call paths, 25 % of its instances
";
    assert!(wide.starts_with(expected), "{wide}");
    let row = "  ▲ shop ▸ POST /checkout            1,000 → 1,000  98 ms → 119 ms  220 ms → 266 ms  ×1.21 [1.12, 1.31]  \
               0.10 % → 2.30 %\n";
    assert!(wide.contains(row), "{wide}");
    let narrow = population(&sample(), 80);
    let lines = "
2 entry points
  ▲ shop ▸ POST /checkout
    ×1.21 [1.12, 1.31]   p50 98 ms → 119 ms   p95 220 ms → 266 ms
    errors 0.10 % → 2.30 %   1,000 → 1,000 traces
";
    assert!(narrow.contains(lines), "{narrow}");
    let rest = "
instances
  2   231 of 1,300 db.namespace gone (1.2 expected by chance): db-017, db-018,
      db-019, db-020, db-021, db-022 and 224 more
      230 share k8s.cluster.name = c7, which 231 have in all (q 1e-30)

where the time went: all requests                                   mean   share
  3 ~ shop ▸ GET /search                                         -4.0 ms   -57 %
    = the entry points' own changes                             +11.0 ms   157 %
total                                                            +7.0 ms   100 %

where the time went: shop ▸ POST /checkout             mean   share  slowest 5 %
  1 ▲ fraud ▸ fraud.score                          +20.0 ms    95 %     +44.0 ms
  2 - mariadb ▸ SELECT stock                        -1.0 ms    -5 %       0.0 ms
    = unchanged, together                           +2.0 ms    10 %      +3.0 ms
total                                              +21.0 ms   100 %     +47.0 ms
    not explained by any finding: +2.0 ms of +21 ms (10 %)
";
    assert!(narrow.contains(rest), "{narrow}");
    for line in [
        "      first seen 2023-11-14 22:18:20 UTC, trace 00000000000000000000000000000abc\n",
        "      tests      self time ×1.50 [1.30, 1.70], q 3e-4, n 1,204 + 1,187\n",
    ] {
        assert!(narrow.contains(line), "{narrow}");
    }
    let shown = population(&quiet(), 120);
    let nothing = "= no difference found at 2 entry points; a slowdown of 12 % would have been found at each of them\n";
    assert!(shown.contains(nothing), "{shown}");
}

/// A comparison full of long and strange names.
fn monster(text: &str, findings: usize) -> Diff {
    let mut diff = sample();
    diff.entry_points[0].operation = operation(text, text);
    let path = [(text, text)];
    let many: Vec<Finding> = (0..findings)
        .map(|number| Finding {
            title: text.into(),
            evidence: vec![text.into(); 20],
            because: vec![text.into(); 20],
            contribution_ns: number as i64,
            effects: vec![effect(Metric::ErrorRate, 0.5, 0.2, 0.7, Strength::Fail)],
            instances: vec![InstanceGroup {
                key: text.into(),
                of: 9,
                observed: 9,
                expected_by_chance: 0.1,
                named: vec![text.into(); 9],
                named_total: 9,
                shared: vec![SharedAttribute { key: text.into(), value: text.into(), inside: 1, all: 2, q: 0.01 }; 9],
            }],
            ..finding(FindingKind::Failing, "GET /search", &path)
        })
        .collect();
    diff.findings.extend(many);
    diff.comparable.reasons.push(Note { code: "load", message: text.into() });
    diff.inputs.before.sources = vec![text.into()];
    diff
}

#[test]
fn everything_has_its_bound() {
    let long = "| <script> @everyone #1 `x` ".repeat(300);
    let diff = monster(&long, 1_000);
    let markdown = written(GateFormat::Markdown, diff.clone());
    assert!(markdown.len() <= 60_000, "{}", markdown.len());
    assert!(markdown.starts_with("<!-- spandiff-gate -->\n## ❌ spandiff gate: FAIL\n"));
    assert!(markdown.contains("more findings, together"), "what is left out is counted");
    assert_eq!(markdown.matches("<details>").count(), markdown.matches("</details>").count());
    let prose = crate::report::outside_code(&markdown);
    assert!(!prose.contains("<script") && !prose.contains("@everyone"), "outside of code nothing is obeyed");
    let chat = written(GateFormat::Chat, diff.clone());
    assert!(chat.lines().count() <= 5 && chat.chars().count() <= 3_000, "{}", chat.chars().count());
    assert!(!chat.contains(['<', '>', '@']), "{chat}");
    let github = written(GateFormat::Github, diff.clone());
    for kind in ["error", "warning", "notice"] {
        let lines = github.lines().filter(|line| line.starts_with(&format!("::{kind} "))).count();
        assert!(lines <= 10, "{kind}: {lines}");
    }
    assert!(github.contains("::error title=spandiff gate::994 more\n"), "{github}");
    let metrics = written(GateFormat::Openmetrics, diff.clone());
    assert!(metrics.lines().count() < 600);
    for width in [60, 80, 120] {
        for ascii in [false, true] {
            let (diff, verdict) = said(monster(&long, 30));
            let options = Options { width, ascii, ..Options::default() };
            for line in written_with(GateFormat::Text, &diff, &verdict, &options).lines() {
                assert!(line.width() <= width, "{width}: {line}");
                assert!(!ascii || line.is_ascii(), "{line:?}");
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn junit_says_fail_in_the_body_and_skips_what_is_inconclusive() {
    let shown = written(GateFormat::Junit, sample());
    let message =
        "shop ▸ POST /checkout is slower: ×1.21 [1.12, 1.31], q 3e-4, n 1,204 + 1,187; shown to be more than 5 %";
    assert!(shown.contains(&format!("<failure message=\"{message}\">{message}\n")), "{shown}");
    assert!(
        shown.contains(
            "<testsuite name=\"shop ▸ POST /checkout\" tests=\"3\" skipped=\"0\" errors=\"0\" failures=\"2\">"
        ),
        "{shown}"
    );
    let case = "<testcase name=\"slower POST /checkout (shop) ▸ fraud.score (fraud)\" classname=\"shop ▸ POST /checkout\">\n            <system-out>explains";
    assert!(shown.contains(case), "{shown}");
    let shown = written(GateFormat::Junit, inconclusive());
    assert!(
        shown.contains("<skipped message=\"shop ▸ POST /checkout: a slowdown of 25 % might have gone unnoticed"),
        "{shown}"
    );
    assert!(shown.contains("failures=\"0\" errors=\"0\">"), "{shown}");
    let shown = written(GateFormat::Junit, empty());
    assert!(shown.contains("<error message=\"INCONCLUSIVE: nothing was compared\">"), "{shown}");
}

/// How each test case of a report ended, by its name.
fn cases(junit: &str) -> Vec<(String, &'static str)> {
    let case = |text: &str| {
        let name = text.split('"').next().unwrap_or_default().to_owned();
        let own = text.split("</testcase>").next().unwrap_or_default();
        let ends = [("<failure", "failure"), ("<error", "error"), ("<skipped", "skipped"), ("<system-out", "told")];
        let end = ends.into_iter().find(|(tag, _)| own.contains(tag) && !own.starts_with("/>"));
        (name, end.map_or("success", |(_, end)| end))
    };
    junit.split("<testcase name=\"").skip(1).map(case).collect()
}

#[test]
fn junit_follows_what_was_taken_back() {
    let slow = || {
        let mut diff = quiet();
        diff.entry_points[0].effects = vec![effect(Metric::Duration, 1.21, 1.12, 1.31, Strength::Fail)];
        diff.findings = vec![slower("POST /checkout", &[("fraud", "fraud.score")], Strength::Fail)];
        diff
    };
    let critical = Rule {
        matcher: Matcher { path: Some(Pattern::new("**/fraud.score").unwrap()), ..Matcher::default() },
        settings: Settings { critical: Some(true), ..Settings::default() },
    };
    let policy = Policy { rules: vec![critical], ..Policy::default() };
    let ends = |mut diff: Diff| {
        let verdict = judged(&mut diff, &policy);
        let shown = written_with(GateFormat::Junit, &diff, &verdict, &Options::default());
        let wanted = |name: &str| name == "verdict" || name == "entry point" || name.starts_with("slower ");
        cases(&shown).into_iter().filter(|(name, _)| wanted(name)).map(|(_, end)| end).collect::<Vec<_>>()
    };
    // The verdict, the entry point and its path, then the other entry point.
    assert_eq!(ends(slow()), ["failure", "failure", "failure", "success"]);
    // Two halves of the after side do not agree.
    assert_eq!(ends(Diff { stability: Some(0.1), ..slow() }), ["told", "told", "told", "success"]);
    // The environment is too noisy.
    let mut noisy = slow();
    noisy.drift.between_paths = 0.4;
    assert_eq!(ends(noisy), ["skipped", "skipped", "skipped", "success"]);
}

#[test]
fn annotations_are_escaped() {
    let shown = written(GateFormat::Github, sample());
    let first = "::error title=spandiff gate%2C fail%3A entry slower::shop ▸ POST /checkout is slower: ×1.21 [1.12, 1.31], \
                 q 3e-4, n 1,204 + 1,187; shown to be more than 5 %25\n";
    assert!(shown.starts_with(first), "{shown}");
    assert!(shown.contains("::notice title=spandiff gate::FAIL: 4 regressions\n"), "{shown}");
    let shown = written(GateFormat::Github, inconclusive());
    assert!(shown.contains("::warning title=spandiff gate%2C inconclusive%3A too few traces::"), "{shown}");
}

#[test]
fn metrics_are_metrics() {
    let shown = written(GateFormat::Openmetrics, sample());
    for line in [
        "spandiff_gate_verdict{verdict=\"fail\"} 1\n",
        "spandiff_gate_verdict{verdict=\"pass\"} 0\n",
        "spandiff_gate_exit_code 1\n",
        "spandiff_path_shift_ratio{service=\"fraud\",operation=\"fraud.score\",kind=\"server\",\
         path=\"POST /checkout > fraud.score\",finding=\"slower\",metric=\"self_time\",bound=\"low\"} 1.300000\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(shown.ends_with("# EOF\n"));
    let mut series: Vec<&str> = shown
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|it| it.0)
        .collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all, "each series once");
}

#[test]
fn chat_is_short() {
    assert_eq!(
        written(GateFormat::Chat, quiet()),
        "spandiff gate: PASS: nothing that matters was found (2,000 → 2,000 traces, 20,000 → 20,000 spans)\n"
    );
    let shown = written(GateFormat::Chat, sample());
    assert_eq!(shown.lines().count(), 5, "{shown}");
    assert!(
        shown
            .ends_with("… and 2 more\nnext: stop here: do not roll on; look at finding 1 first: fraud ▸ fraud.score\n")
    );
}

/// Whether text is well-formed XML as far as this program writes it: tags nest, and no character is forbidden.
fn is_well_formed(xml: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { return false };
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.starts_with('?') && !tag.ends_with('/') {
            open.push(tag.split([' ', '\n']).next().unwrap());
        }
    }
    open.is_empty() && xml.chars().all(|c| c == '\n' || !escape::is_unseen(c))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever stands in the data, no form of a verdict lets anything unseen through or loses its shape.
    #[test]
    fn hostile_text_is_harmless(hostile in "\\PC{0,4}[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{202e}`|<>\\\\\"%,:\n;&{}]{1,12}(::error |\\]\\]>|@here|\\PC{0,8})") {
        let (diff, verdict) = said(monster(&hostile, 3));
        for format in GateFormat::ALL {
            let options = Options { tree: Some(TreeView::Folded), ..Options::default() };
            let shown = written_with(format, &diff, &verdict, &options);
            let unseen: Vec<_> = shown.chars().filter(|&c| c != '\n' && escape::is_unseen(c)).collect();
            prop_assert!(unseen.is_empty(), "{}: {:?}", format.name(), unseen);
            match format {
                GateFormat::Json => {
                    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
                    prop_assert_eq!(value["findings"][3]["title"].as_str(), Some(hostile.as_str()));
                }
                GateFormat::Junit => prop_assert!(is_well_formed(&shown), "{shown}"),
                GateFormat::Github => {
                    let commands = ["::error title=", "::warning title=", "::notice title="];
                    prop_assert!(shown.lines().all(|line| commands.iter().any(|command| line.starts_with(command))), "{shown}");
                }
                GateFormat::Openmetrics => {
                    let is_sample = |line: &str| line.starts_with("# ") || (line.starts_with("spandiff_")
                        && line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok()));
                    prop_assert!(shown.lines().all(is_sample), "{shown}");
                }
                GateFormat::Chat => prop_assert!(shown.lines().count() <= 5 && !shown.contains(['<', '>', '@']), "{shown}"),
                GateFormat::Text | GateFormat::Markdown => {}
            }
        }
        for format in Format::ALL {
            let mut out = Vec::new();
            spandiff::report::write(format, &diff, &Options::default(), &mut out).unwrap();
            let shown = String::from_utf8(out).unwrap();
            prop_assert!(!shown.chars().any(|c| c != '\n' && escape::is_unseen(c)), "{}", format.name());
        }
    }
}
