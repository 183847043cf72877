//! What each sample is about, counted: the exact findings, in the JSON that other programs read.

use serde_json::Value;
use spandiff::diff::FindingKind;
use std::path::Path;
use std::process::Command;

/// Folder, system, change and seed of `spandiff generate`, and all findings, the largest contribution first.
type Story<'a> = (&'a str, &'a str, &'a str, u32, &'a [&'a str]);

const STORIES: [Story<'_>; 12] = [
    ("spot-the-difference", "ride", "added-call", 985, &["added mysql: SELECT vouchers"]),
    (
        "ingress-migration",
        "shop",
        "ingress-migration",
        2,
        &["layer_added envoy-sidecar: POST /checkout", "renamed envoy: POST /checkout"],
    ),
    ("n-plus-one", "shop", "n-plus-one", 3, &["calls_up catalogue: SELECT products"]),
    ("retry", "shop", "retry", 4, &["calls_up payment: POST /v1/charges"]),
    ("lost-cache", "shop", "lost-cache", 5, &["added catalogue: SELECT prices", "attributes catalogue: GET"]),
    ("renamed-span", "ride", "renamed", 6, &["renamed frontend: RankByETA"]),
    ("moved-call", "shop", "moved", 7, &["moved gateway: GET /api/prices"]),
    ("serialized-calls", "messaging", "serialized", 8, &["serialized order-api: ReserveStock"]),
    ("sdk-upgrade", "shop", "sdk-upgrade", 9, &[]),
    ("same-request", "ride", "none", 10, &[]),
    ("clock-skew", "shop", "clock-skew", 11, &[]),
    ("orphans", "ride", "orphans", 12, &[]),
];

/// The program, run from the root of the repository, without the configuration and environment of the developer.
fn spandiff(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("NO_COLOR", "1").env("COLUMNS", "100");
    command
}

/// The JSON report as it was written; the exit code has to agree with it.
fn report(before: &str, after: &str, more: &[&str]) -> (Vec<u8>, Value) {
    let arguments = [&[before, after, "--format", "json", "--exit-code"], more].concat();
    let output = spandiff(&arguments).output().unwrap();
    assert!(output.stderr.is_empty(), "{before}: {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = i32::from(!report["findings"].as_array().unwrap().is_empty());
    assert_eq!(output.status.code(), Some(code), "{before}");
    (output.stdout, report)
}

fn sample(folder: &str) -> [String; 2] {
    ["before", "after"].map(|side| format!("samples/{folder}/{side}.json"))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn called(operation: &Value) -> String {
    format!("{}: {}", word(operation, "service"), word(operation, "name"))
}

fn found(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| format!("{} {}", word(finding, "kind"), called(&finding["operation"]))).collect()
}

/// The rows of "where the time went" are the change, to the nanosecond.
#[track_caller]
fn check_attribution(report: &Value) {
    let entries = report["entry_points"].as_array().unwrap();
    assert!(!entries.is_empty());
    for entry in entries {
        let sum: i64 =
            entry["attribution"].as_array().unwrap().iter().map(|row| row["contribution_ns"].as_i64().unwrap()).sum();
        assert_eq!(Some(sum), entry["duration_ns"]["delta"]["mean"].as_i64(), "{}", entry["operation"]);
    }
}

fn kinds(report: &Value, turn: impl Fn(FindingKind) -> FindingKind) -> Vec<FindingKind> {
    let kind = |finding: &Value| {
        let name = word(finding, "kind");
        FindingKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("kind {name}"))
    };
    let mut kinds: Vec<_> = report["findings"].as_array().unwrap().iter().map(|finding| turn(kind(finding))).collect();
    kinds.sort();
    kinds
}

#[test]
fn every_sample_is_told_by_exactly_its_findings() {
    for (folder, _, _, _, expected) in STORIES {
        let [before, after] = sample(folder);
        let (_, report) = report(&before, &after, &[]);
        assert_eq!(found(&report), expected, "{folder}");
        assert_eq!(report["comparable"]["ok"], true, "{folder}");
        check_attribution(&report);
    }
}

#[test]
fn every_sample_swapped_is_told_by_the_mirrored_findings() {
    for (folder, ..) in STORIES {
        let [before, after] = sample(folder);
        let (_, forth) = report(&before, &after, &[]);
        let (_, back) = report(&after, &before, &[]);
        assert_eq!(kinds(&back, FindingKind::mirrored), kinds(&forth, |kind| kind), "{folder}");
        check_attribution(&back);
        for (one, other) in
            forth["entry_points"].as_array().unwrap().iter().zip(back["entry_points"].as_array().unwrap())
        {
            let delta = |entry: &Value| entry["duration_ns"]["delta"]["mean"].as_i64().unwrap();
            assert_eq!(delta(one), -delta(other), "{folder}");
        }
    }
}

#[test]
fn every_sample_gives_the_same_bytes_with_one_thread_and_with_two() {
    for (folder, ..) in STORIES {
        let [before, after] = sample(folder);
        let (one, _) = report(&before, &after, &["--threads", "1"]);
        let (two, _) = report(&before, &after, &["--threads", "2"]);
        let (again, _) = report(&before, &after, &["--threads", "2"]);
        assert!(one == two && two == again, "{folder}");
    }
}

/// Every story has a line that says how its data were made.
#[test]
fn the_command_of_every_sample_writes_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (folder, system, change, seed, _) in STORIES {
        let command = format!("generate --system {system} --change {change} --seed {seed} -o");
        let story = std::fs::read_to_string(root.join("samples").join(folder).join("README.md")).unwrap();
        assert!(story.contains(&format!("`spandiff {command} ")), "{folder}: {command}");
        let made = tempfile::tempdir().unwrap();
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push(made.path().to_str().unwrap());
        assert!(spandiff(&arguments).output().unwrap().status.success(), "{folder}");
        for name in ["before.json", "after.json"] {
            let there = std::fs::read(root.join("samples").join(folder).join(name)).unwrap();
            assert!(std::fs::read(made.path().join(name)).unwrap() == there, "{folder}/{name}");
        }
    }
}

#[test]
fn spot_the_difference_names_the_span_its_parent_its_attributes_and_its_share() {
    let [before, after] = sample("spot-the-difference");
    let (_, report) = report(&before, &after, &[]);
    let spans = &report["summary"]["spans"];
    assert_eq!((&spans["before"], &spans["after"], &spans["matched"]), (&50.into(), &51.into(), &50.into()));
    let first = &report["findings"][0];
    let path: Vec<_> = first["path"].as_array().unwrap().iter().map(called).collect();
    assert_eq!(
        path,
        ["frontend: GET /dispatch", "frontend: GET /customer", "customer: GET /customer", "mysql: SELECT vouchers"]
    );
    let attribute = |key: &str| {
        let attributes = first["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|attribute| attribute["key"] == key);
        let attribute = found.unwrap_or_else(|| panic!("{key} among {attributes:?}"));
        (word(attribute, "change"), word(attribute, "after"))
    };
    assert_eq!(
        attribute("db.query.text"),
        ("added", "SELECT id, amount FROM vouchers WHERE customer_id = 215508 AND valid_until > NOW()")
    );
    assert_eq!(attribute("db.system.name"), ("added", "mysql"));
    let entry = &report["entry_points"][0];
    let delta = entry["duration_ns"]["delta"]["mean"].as_i64().unwrap();
    let contribution = first["contribution_ns"].as_i64().unwrap();
    assert!((-145_500_000..-144_500_000).contains(&delta), "145 ms faster, not {delta} ns");
    assert!((16_500_000..17_500_000).contains(&contribution), "17 ms more, not {contribution} ns");
    let rows = entry["attribution"].as_array().unwrap();
    let row = rows.iter().find(|row| row["finding"] == first["id"]).unwrap();
    assert_eq!(row["contribution_ns"], first["contribution_ns"], "both say the same");
    assert_eq!(word(&rows[0], "label"), "mysql: SELECT customer", "what carries most of the change is named");
}

/// Two pairs of the OpenTelemetry demo's own traffic, taken out of one file of 141 traces.
#[test]
fn two_traces_of_one_real_file_are_chosen_by_id() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/otel-demo.jsonl");
    if !file.exists() {
        eprintln!("skipped: {} is not there", file.display());
        return;
    }
    let file = file.to_str().unwrap();
    for (before, after, spans, first, entry) in [
        ("112549", "09f5d4", 4, "slower frontend: POST /api/cart", "loadgenerator: POST /api/cart"),
        ("d98d3f", "9e168f", 7, "faster frontend: GET /api/data", "loadgenerator: GET /api/data/"),
    ] {
        let (before, after) = (format!("{file}#{before}"), format!("{file}#{after}"));
        let (_, forth) = report(&before, &after, &[]);
        assert_eq!(found(&forth).first().map(String::as_str), Some(first));
        assert_eq!(called(&forth["entry_points"][0]["operation"]), entry);
        assert_eq!(forth["summary"]["spans"]["matched"], spans);
        check_attribution(&forth);
        let (_, back) = report(&after, &before, &[]);
        assert_eq!(kinds(&back, FindingKind::mirrored), kinds(&forth, |kind| kind));
    }
}

/// A minute of the demo's own traffic, its file cut in two: too little for a verdict, which is said and is no failure.
#[test]
fn two_halves_of_a_real_file_are_not_judged_beyond_what_they_hold() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/otel-demo.jsonl");
    if !file.exists() {
        eprintln!("skipped: {} is not there", file.display());
        return;
    }
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = lines.split_at(lines.len() / 2);
    for (name, half) in [("before.jsonl", before), ("after.jsonl", after)] {
        std::fs::write(folder.path().join(name), half.join("\n")).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_spandiff"))
        .args(["gate", "before.jsonl", "after.jsonl", "--format", "json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"]["result"], "inconclusive");
    assert!(report["verdict"]["needs"]["before_traces"].as_u64().is_some_and(|needed| needed > 141));
    let reasons = report["verdict"]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "too_few_traces"), "{reasons:?}");
    assert!(reasons.iter().all(|reason| reason["result"] != "fail"), "{reasons:?}");
}
