//! Reports of results written by hand.

use proptest::prelude::*;
use spandiff::diff::{
    AttributeChange, AttributionRow, Change, Comparable, Confidence, Coverage, Diff, Drift, EntryPoint, EventChange,
    Finding, FindingKind, InputSide, Mark, MatchInfo, Mode, NodeSide, Note, Omitted, Quantiles, ServiceEdge,
    ServiceGraph, ServiceNode, Summary, Suspect, TreeNode,
};
use spandiff::model::{Kind, Operation, Pair, SpanId, Status, TraceId, Warning, Warnings};
use spandiff::report::{Format, Options, TreeView, escape, schema, write};
use std::path::Path;
use unicode_width::UnicodeWidthStr;

const MS: i64 = 1_000_000;

fn operation(service: &str, name: &str) -> Operation {
    Operation { service: service.into(), kind: Kind::Server, name: name.into() }
}

fn quantiles(ns: i64) -> Quantiles {
    Quantiles { mean: ns, p50: ns, p95: ns, p99: None }
}

fn input(name: &str, spans: u64) -> InputSide {
    InputSide {
        sources: vec![name.into()],
        traces: 1,
        spans,
        trace_ids: vec![TraceId(0xabc)],
        window_ns: Some((1_700_000_000_000_000_000, 1_700_000_001_460_000_000)),
        sha256: "00".repeat(32),
        ..InputSide::default()
    }
}

fn finding(kind: FindingKind, service: &str, name: &str, contribution_ns: i64, title: &str) -> Finding {
    Finding {
        fingerprint: "9c41".into(),
        kind,
        path: vec![operation("frontend", "GET /dispatch"), operation(service, name)],
        from_path: None,
        spans: Pair::new(1, 12),
        subtree: None,
        calls_per_trace: Pair::new(1.0, 12.0),
        duration_ns: Pair::new(Some(quantiles(9_800_000)), Some(quantiles(9_900_000))),
        self_time_ns: Pair::new(Some(9_800_000), Some(118_800_000)),
        edge_time_ns: Pair::new(None, None),
        error_rate: Pair::new(Some(0.0), Some(0.25)),
        title: title.into(),
        evidence: vec!["sequential, same statement".into()],
        contribution_ns,
        share: Some(contribution_ns as f64 / (-150.0 * MS as f64)),
        on_critical_path: Pair::new(true, true),
        confidence: Confidence::Weak,
        matched: MatchInfo { score: 1.0, reason: "operation" },
        attributes: vec![
            AttributeChange {
                key: "db.query.text".into(),
                change: Change::Changed,
                before: Some("SELECT qty FROM stock WHERE sku = ANY($1)".into()),
                after: Some("SELECT qty FROM stock WHERE sku = $1".into()),
            },
            AttributeChange { key: "db.rows".into(), change: Change::Added, before: None, after: Some("1".into()) },
        ],
        events: vec![EventChange {
            name: "exception".into(),
            change: Change::Added,
            exception_type: Some("TimeoutError".into()),
            count: Pair::new(0, 3),
        }],
        because: vec!["frontend is 150 ms faster".into(), "SELECT stock runs 12 times instead of once".into()],
        exemplars: Pair::new(vec![(TraceId(1), SpanId(2))], Vec::new()),
        effects: Vec::new(),
        instances: Vec::new(),
        first_seen: None,
        accepted: None,
    }
}

fn node(depth: u32, name: &str, mark: Mark, before_ms: Option<i64>, after_ms: Option<i64>) -> TreeNode {
    let side = |ms: i64| NodeSide {
        spans: 1,
        start_ns: 0,
        duration_ns: (ms * MS) as u64,
        self_ns: (ms * MS) as u64,
        critical_ns: 1,
        status: Status::Unset,
        kind: Kind::Server,
        span_id: SpanId(7),
        many: None,
    };
    TreeNode {
        depth,
        operation: operation("shop", name),
        from: None,
        mark,
        sides: Pair::new(before_ms.map(side), after_ms.map(side)),
        inherited: false,
        detail: None,
        finding: None,
        matched: MatchInfo { score: 1.0, reason: "operation" },
    }
}

/// A request that got 150 ms faster although it calls a database more often.
fn sample() -> Diff {
    let mut warnings = Warnings::default();
    warnings.add_with(Warning::MissingParent, || "span 00f067aa0ba902b7".into());
    let mut services = ServiceGraph::new();
    let service = |service: &str, before, after| ServiceNode {
        service: service.into(),
        spans: Pair::new(before, after),
        errors: Pair::new(0, 0),
        self_ns: Pair::new(5, 7),
    };
    let frontend = services.add_node(service("frontend", 1, 1));
    let stock = services.add_node(service("stock", 1, 12));
    let calls = ServiceEdge { calls: Pair::new(1, 12), links: Pair::default(), errors: Pair::new(0, 3) };
    services.add_edge(frontend, stock, calls);
    Diff {
        mode: Mode::Pair,
        inputs: Pair::new(InputSide { warnings, ..input("before.json", 50) }, input("after.json", 51)),
        config_sha256: "11".repeat(32),
        comparable: Comparable {
            ok: true,
            reasons: vec![Note { code: "one_trace_each", message: "one trace each".into() }],
        },
        coverage: Coverage { paths: 0.98, instances: None },
        drift: Drift { common_ratio: 1.0, between_paths: 0.18 },
        stability: None,
        overall: Vec::new(),
        summary: Summary {
            by_kind: vec![(FindingKind::CallsUp, 1), (FindingKind::Faster, 1)],
            unchanged_operations: 41,
            unchanged_bound_ns: 1_000_000,
            spans: Pair::new(50, 51),
            matched: 50,
            errors: Pair::new(3, 3),
        },
        entry_points: vec![EntryPoint {
            operation: operation("frontend", "GET /dispatch"),
            traces: Pair::new(1, 1),
            duration_ns: Pair::new(Some(quantiles(1_460 * MS)), Some(quantiles(1_310 * MS))),
            delta_ns: Some(-150 * MS),
            error_rate: Pair::new(Some(0.0), Some(0.0)),
            attribution: vec![
                AttributionRow { finding: Some(0), label: "mysql".into(), contribution_ns: -300 * MS },
                AttributionRow { finding: Some(1), label: "stock".into(), contribution_ns: 118 * MS },
                AttributionRow { finding: None, label: "unchanged, together".into(), contribution_ns: 32 * MS },
            ],
            tail: Vec::new(),
            effects: Vec::new(),
            detectable: None,
            needed_traces: None,
        }],
        findings: vec![
            finding(FindingKind::Faster, "mysql", "SELECT customer", -300 * MS, "self time 400 ms -> 100 ms"),
            finding(FindingKind::CallsUp, "stock", "SELECT stock", 118 * MS, "calls 1 -> 12: N+1, same statement"),
        ],
        notes: vec![Note { code: "version", message: "service.version 1.3 -> 1.4 in frontend".into() }],
        suspects: vec![Suspect {
            service: "mysql".into(),
            score: 0.93,
            operations: vec![(operation("mysql", "SELECT customer"), 0.9)],
            reasons: vec![Note { code: "self_time", message: "-300 ms self time on the critical path".into() }],
        }],
        omitted: Omitted::default(),
        tree: vec![
            TreeNode { inherited: true, ..node(0, "GET /dispatch", Mark::Better, Some(1_460), Some(1_310)) },
            node(1, "auth", Mark::Equal, Some(3), Some(4)),
            node(1, "flags", Mark::Equal, Some(2), Some(2)),
            TreeNode { finding: Some(0), ..node(1, "SELECT customer", Mark::Better, Some(400), Some(100)) },
            node(2, "fetch", Mark::Removed, Some(9), None),
            node(1, "score", Mark::Added, None, Some(41)),
        ],
        services,
    }
}

fn nothing() -> Diff {
    let mut diff = sample();
    diff.findings.clear();
    diff.suspects.clear();
    diff.summary.by_kind.clear();
    diff.tree.truncate(3);
    diff.tree[0] = node(0, "GET /dispatch", Mark::Equal, Some(1_460), Some(1_460));
    diff.entry_points[0].attribution.drain(..2);
    diff
}

fn written(format: Format, diff: &Diff, options: &Options) -> String {
    let mut out = Vec::new();
    write(format, diff, options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(diff: &Diff, options: &Options) -> String {
    written(Format::Text, diff, options)
}

#[test]
fn text_answers_first_and_adds_up() {
    let options = Options { width: 80, tree: Some(TreeView::Folded), ..Options::default() };
    let expected = "\
frontend ▸ GET /dispatch   1.46 s → 1.31 s   ▼ -150 ms (-10 %)
spans 50 → 51 (50 matched)   errors 3 → 3
one trace each: a difference, not a regression

2 findings, by contribution                                    Δ   share  calls
  1 ▼ mysql ▸ SELECT customer                            -300 ms  +200 %  ×1→×12
      faster: self time 400 ms -> 100 ms
  2 ▲ stock ▸ SELECT stock                               +118 ms   -79 %  ×1→×12
      calls 1 -> 12: N+1, same statement
    = ⋯ 41 operations unchanged, each |self Δ| ≤ 1.0 ms, together +32 ms
";
    let shown = text(&sample(), &options);
    assert!(shown.starts_with(expected), "{shown}");
    let expected = "
where the time went: frontend ▸ GET /dispatch
  1 ▼ mysql ▸ SELECT customer                                  -300.0 ms   200 %
  2 ▲ stock ▸ SELECT stock                                     +118.0 ms   -79 %
    = unchanged, together                                       +32.0 ms   -21 %
total                                                          -150.0 ms   100 %

suspects
  1   mysql (SELECT customer)      93 %  -300 ms self time on the critical path

notes
  service.version 1.3 -> 1.4 in frontend

warnings
  before: missing_parent 1: spans whose parent is not in the data; first: span
    00f067aa0ba902b7

merged tree
  span (service)                   before     after         Δ    self Δ  on path
▼ GET /disp…ch (shop) inherited    1.46 s    1.31 s   -150 ms   -150 ms  ●●
= ├─ ⋯ 2 unchanged, each |self Δ| ≤ 1.0 ms                      +1.0 ms
▼ ├─ SELECT customer (shop) F1     400 ms    100 ms   -300 ms   -300 ms  ●●
- │  └─ fetch (shop) removed       9.0 ms         —   -9.0 ms   -9.0 ms  ●·
+ └─ score (shop) added                 —     41 ms    +41 ms    +41 ms  ·●

more: --tree=all shows every span; --format json has all the evidence
";
    assert!(shown.ends_with(expected), "{shown}");
    assert!(shown.contains("      attributes db.query.text: SELECT qty FROM stock WHERE sku = ANY($1) →\n"), "{shown}");
    assert!(shown.contains("      because    frontend is 150 ms faster\n"), "{shown}");
    assert!(shown.contains("      events     exception TimeoutError 0 → 3\n"), "{shown}");
}

#[test]
fn nothing_found_says_what_was_compared() {
    let shown = text(&nothing(), &Options::default());
    let line = "= no difference beyond the jitter of the pair: 50 spans matched, each self time within 1.0 ms\n";
    assert!(shown.contains(line), "{shown}");
    assert!(!shown.contains("where the time went"), "{shown}");
    let shown = written(Format::Markdown, &nothing(), &Options::default());
    assert!(shown.contains("no difference beyond the jitter"), "{shown}");
}

#[test]
fn no_line_is_wider_than_the_page() {
    let mut diff = sample();
    let long = "a/very/long/name/".repeat(20);
    diff.findings[0].path[1] = operation(&long, &long);
    diff.findings[0].title = "漢字 ".repeat(100);
    diff.findings[1].title.clone_from(&long);
    diff.entry_points[0].operation = operation(&long, &long);
    diff.tree[3].operation = operation(&long, &long);
    diff.tree[3].from = Some(operation("old", &long));
    diff.suspects[0].service.clone_from(&long);
    for width in [0, 60, 61, 72, 80, 100, 133, 250] {
        for tree in [None, Some(TreeView::Folded), Some(TreeView::All)] {
            for ascii in [false, true] {
                let shown = text(&diff, &Options { width, tree, ascii, ..Options::default() });
                for line in shown.lines() {
                    assert!(line.width() <= width.max(60), "{width}: {} {line:?}", line.width());
                    assert!(!ascii || line.is_ascii(), "{line:?}");
                    assert_eq!(line, line.trim_end(), "no blanks at the end");
                }
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let options = Options { tree: Some(TreeView::All), ..Options::default() };
    let plain = text(&sample(), &options);
    let colored = text(&sample(), &Options { color: true, ..options });
    assert!(colored.contains("\x1b[") && !plain.contains('\x1b'));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
}

#[test]
fn what_is_not_listed_is_counted() {
    let mut diff = sample();
    diff.omitted = Omitted { findings: 5, contribution_ns: MS };
    let shown = text(&diff, &Options { list: 1, ..Options::default() });
    assert!(shown.contains("7 findings, by contribution"), "{shown}");
    assert!(shown.contains("⋯ 6 more findings, together +119 ms"), "{shown}");
    let shown = written(Format::Markdown, &diff, &Options { list: 1, ..Options::default() });
    assert!(shown.contains("⋯ 6 more findings, together +119 ms"), "{shown}");
}

#[test]
fn depth_is_shown_as_a_number_where_indentation_ends() {
    let mut diff = sample();
    diff.tree = (0..100_000).map(|depth| node(depth, "level", Mark::Worse, Some(1), Some(2))).collect();
    let shown = text(&diff, &Options { tree: Some(TreeView::All), ..Options::default() });
    assert!(shown.contains("▲ 99,999: level (shop)"));
    assert!(shown.lines().all(|line| line.width() <= 100));
    for format in Format::ALL {
        let bytes = written(format, &diff, &Options { tree: Some(TreeView::Folded), ..Options::default() }).len();
        assert!(bytes < 80_000_000, "{}: {bytes}", format.name());
    }
}

/// The committed schema is the one that the types give. `SPANDIFF_WRITE_SCHEMA=1 cargo test` writes it.
#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/schema/diff.v1.json");
    let current = schema::json_schema();
    if std::env::var_os("SPANDIFF_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    assert!(committed == current, "run SPANDIFF_WRITE_SCHEMA=1 cargo test and look at the difference");
}

#[test]
fn json_is_valid_and_in_the_order_of_the_contract() {
    let schema: serde_json::Value = serde_json::from_str(&schema::json_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for diff in [sample(), nothing()] {
        for tree in [None, Some(TreeView::Folded)] {
            let shown = written(Format::Json, &diff, &Options { tree, ..Options::default() });
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(value.get("tree").is_some(), tree.is_some());
        }
    }
    let shown = written(Format::Json, &sample(), &Options { tree: Some(TreeView::All), ..Options::default() });
    let keys = [
        "schema",
        "tool",
        "mode",
        "inputs",
        "config_sha256",
        "comparable",
        "coverage",
        "drift",
        "stability",
        "summary",
        "entry_points",
        "findings",
        "notes",
        "suspects",
        "omitted",
        "tree",
    ];
    let places: Vec<_> = keys.iter().map(|key| shown.find(&format!("\n  \"{key}\": ")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["schema"], "spandiff.diff/v1");
    assert_eq!(value["inputs"]["before"]["window"]["start_unix_ns"], "1700000000000000000");
    assert_eq!(value["findings"][1]["kind"], "calls_up");
    assert_eq!(value["findings"][1]["contribution_ns"], 118_000_000);
    assert_eq!(value["findings"][1]["exemplars"]["before"][0], "00000000000000000000000000000001");
    assert_eq!(value["entry_points"][0]["attribution"][2]["finding"], serde_json::Value::Null);
    assert_eq!(value["tree"]["children"][2]["finding"], "F1");
    assert_eq!(value["tree"]["children"][2]["children"][0]["after"], serde_json::Value::Null);
}

#[test]
fn markdown_fits_a_comment_whatever_the_findings_are() {
    let mut diff = sample();
    let monster = "| <script> @everyone #1 `x` ".repeat(300);
    diff.findings = (0..1_000)
        .map(|n| {
            let mut finding = finding(FindingKind::Slower, &monster, &format!("{n}"), n, &monster);
            finding.because = vec![monster.clone(); 50];
            finding.evidence = vec![monster.clone(); 50];
            finding
        })
        .collect();
    diff.notes = vec![Note { code: "version", message: monster.clone() }; 100];
    diff.entry_points = vec![diff.entry_points[0].clone(); 50];
    let shown = written(Format::Markdown, &diff, &Options { list: 1_000, ..Options::default() });
    assert!(shown.len() <= 60_000, "{} bytes", shown.len());
    assert_eq!(shown.matches("<details>").count(), shown.matches("</details>").count());
    assert!(shown.contains("more findings, together"), "what is left out is counted");
    let prose = outside_code(&shown);
    assert!(!prose.contains("<script") && !prose.contains("@everyone") && !prose.contains("#1 "), "{prose}");
}

/// The text without its code spans: a run of backticks, what it holds, the same run again.
pub fn outside_code(text: &str) -> String {
    let mut prose = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        prose.push_str(&rest[..at]);
        if rest[..at].ends_with('\\') {
            rest = &rest[at + 1..];
            continue;
        }
        let fence: String = rest[at..].chars().take_while(|&c| c == '`').collect();
        let inner = &rest[at + fence.len()..];
        let mut end = 0;
        while let Some(found) = inner[end..].find('`') {
            let run = inner[end + found..].chars().take_while(|&c| c == '`').count();
            end += found + run;
            if run == fence.len() {
                break;
            }
        }
        rest = &inner[end..];
    }
    prose + rest
}

#[test]
fn markdown_has_a_table_and_evidence() {
    let shown = written(Format::Markdown, &sample(), &Options::default());
    assert!(shown.starts_with("### `frontend ▸ GET /dispatch`: 1.46 s → 1.31 s ▼ -150 ms (-10 %)\n\n"), "{shown}");
    let row = "| 2 | ▲ | `stock ▸ SELECT stock` | +118 ms | -79 % | ×1→×12 | \
               calls 1 -&gt; 12: N+1, same statement |\n";
    assert!(shown.contains(row), "{shown}");
    assert!(shown.contains("- `+ db.rows: 1`\n"), "{shown}");
    assert!(shown.contains("| | **total** | **-150.0 ms** | |\n"), "{shown}");
}

#[test]
fn dot_shows_calls_on_both_sides() {
    let shown = written(Format::Dot, &sample(), &Options::default());
    assert!(shown.starts_with("digraph spandiff {\n") && shown.ends_with("}\n"));
    assert!(shown.contains("s0 -> s1 [label=\"! 1 → 12\\nerrors 0 → 3\""), "{shown}");
    let shown = written(Format::Dot, &sample(), &Options { tree: Some(TreeView::Folded), ..Options::default() });
    assert!(shown.contains("n3 [label=\"- fetch\\nshop\\n9.0 ms → — (-9.0 ms)\", style=dashed"), "{shown}");
    assert!(shown.contains("n2 -> n3"), "{shown}");
}

#[test]
fn folded_stacks_carry_both_sides() {
    let shown = written(Format::Folded, &sample(), &Options::default());
    assert_eq!(
        shown,
        "shop: GET /dispatch 1460000000 1310000000\n\
         shop: GET /dispatch;shop: auth 3000000 4000000\n\
         shop: GET /dispatch;shop: flags 2000000 2000000\n\
         shop: GET /dispatch;shop: SELECT customer 400000000 100000000\n\
         shop: GET /dispatch;shop: SELECT customer;shop: fetch 9000000 0\n\
         shop: GET /dispatch;shop: score 0 41000000\n"
    );
}

proptest! {
    /// Whatever stands in the data, no report lets anything unseen through, and JSON and tables stay whole.
    #[test]
    fn hostile_text_is_harmless(hostile in "\\PC{0,4}[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{202e}`|<>\\\\\"\n;]{1,12}\\PC{0,8}") {
        let mut diff = sample();
        diff.findings[0].path[1] = operation(&hostile, &hostile);
        diff.findings[0].title.clone_from(&hostile);
        diff.findings[0].because.push(hostile.clone());
        diff.findings[0].attributes[0].before = Some(hostile.clone());
        diff.entry_points[0].operation = operation(&hostile, &hostile);
        diff.notes[0].message.clone_from(&hostile);
        diff.suspects[0].service.clone_from(&hostile);
        diff.tree[3].operation = operation(&hostile, &hostile);
        diff.inputs.before.sources[0].clone_from(&hostile);
        for format in Format::ALL {
            for tree in [None, Some(TreeView::Folded)] {
                let shown = written(format, &diff, &Options { tree, ..Options::default() });
                let unseen: Vec<_> = shown.chars().filter(|&c| c != '\n' && escape::is_unseen(c)).collect();
                prop_assert!(unseen.is_empty(), "{}: {unseen:?}", format.name());
                if format == Format::Json {
                    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
                    prop_assert_eq!(value["findings"][0]["title"].as_str(), Some(hostile.as_str()));
                }
                if format == Format::Folded {
                    prop_assert!(shown.lines().all(|line| line.rsplit(' ').take(2).all(|n| n.parse::<u64>().is_ok())));
                }
            }
        }
    }
}
