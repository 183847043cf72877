//! The samples about many traces: their profiles are what the commands of their stories make, and the gate says of each
//! what its story says. And what every change of the generator looks like in a population.
//!
//! With `SPANDIFF_UPDATE_SAMPLES=1` the profiles are written instead of compared.

use serde_json::Value;
use spandiff::diff::FindingKind;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What all of them are made with: durations as in production, windows that differ by 2 % and pods by 1 %.
const BELIEVABLE: &str = "--noise lognormal --jitter 0.4 --drift 0.02 --replica-spread 0.01 --format otlp-proto-framed";

struct Sample {
    folder: &'static str,
    /// What is different from run to run of `spandiff generate`, and the profiles that are made of its files.
    made: &'static [(&'static str, &'static [(&'static str, &'static str)])],
    /// Verdict and exit code.
    verdict: (&'static str, i32),
    /// Further arguments of the gate.
    more: &'static [&'static str],
}

const SIDES: &[(&str, &str)] = &[("before.binpb", "before.spanprofile"), ("after.binpb", "after.spanprofile")];

const SAMPLES: [Sample; 9] = [
    Sample {
        folder: "quiet-release",
        made: &[("--system shop --change quiet-release --traces 2000 --seed 21", SIDES)],
        verdict: ("pass", 0),
        more: &[],
    },
    Sample {
        folder: "maintenance",
        made: &[
            ("--system fleet --change maintenance --traces 60000 --window 3600 --seed 22", SIDES),
            (
                "--system fleet --change maintenance-trial --traces 60000 --traces-after 2000 --window 3600 --seed 22",
                &[("after.binpb", "trial.spanprofile")],
            ),
        ],
        verdict: ("fail", 1),
        more: &[],
    },
    Sample {
        folder: "paradox",
        made: &[("--system ride --change paradox --traces 2000 --seed 23", SIDES)],
        verdict: ("fail", 1),
        more: &["--policy", "samples/paradox/spandiff.toml"],
    },
    Sample {
        folder: "noisy-neighbour",
        made: &[("--system shop --change noisy-neighbour --traces 6000 --seed 24", SIDES)],
        verdict: ("warn", 0),
        more: &[],
    },
    Sample {
        folder: "tail-only",
        made: &[("--system shop --change tail-only --traces 4000 --seed 25", SIDES)],
        verdict: ("warn", 0),
        more: &[],
    },
    Sample {
        folder: "broken-propagation",
        made: &[("--system shop --change context-lost --traces 1000 --seed 26", SIDES)],
        verdict: ("warn", 0),
        more: &[],
    },
    Sample {
        folder: "too-little-traffic",
        made: &[("--system shop --change quiet-release --traces 2000 --traces-after 25 --seed 27", SIDES)],
        verdict: ("inconclusive", 3),
        more: &[],
    },
    Sample {
        folder: "smoke-test",
        made: &[("--system ride --change fails-early --traces 500 --traces-after 12 --seed 28", SIDES)],
        verdict: ("fail", 1),
        more: &["--policy", "samples/smoke-test/spandiff.toml"],
    },
    Sample {
        folder: "monolith-split",
        made: &[("--system shop --change monolith-split --traces 2000 --seed 29", SIDES)],
        verdict: ("pass", 0),
        more: &[],
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, without the configuration and environment of the developer.
fn spandiff(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spandiff"));
    command.args(arguments).current_dir(directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SPANDIFF_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("NO_COLOR", "1").env("COLUMNS", "100").output().unwrap()
}

/// Runs a command that has to succeed.
#[track_caller]
fn run(directory: &Path, arguments: &[&str]) {
    let output = spandiff(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn generate(directory: &Path, arguments: &str) -> Value {
    let mut words = vec!["generate", "-o", "."];
    words.extend(arguments.split(' '));
    words.extend(BELIEVABLE.split(' '));
    run(directory, &words);
    serde_json::from_slice(&std::fs::read(directory.join("truth.json")).unwrap()).unwrap()
}

/// The report of a command as JSON, its exit code, and what it wrote, which one thread and two write alike.
#[track_caller]
fn report(directory: &Path, arguments: &[&str]) -> (Value, i32) {
    let with = |threads: &str| {
        let words = [arguments, &["--format", "json", "--threads", threads]].concat();
        spandiff(directory, &words)
    };
    let (one, two) = (with("1"), with("2"));
    assert!(one.stdout == two.stdout, "{arguments:?}: another report with two threads");
    let parsed = serde_json::from_slice(&one.stdout);
    let error = || format!("{arguments:?}: {}", String::from_utf8_lossy(&one.stderr));
    (parsed.unwrap_or_else(|_| panic!("{}", error())), one.status.code().unwrap())
}

fn gate(before: &str, after: &str, more: &[&str]) -> (Value, i32) {
    report(root(), &[&["gate", before, after], more].concat())
}

fn paths(folder: &str) -> [String; 2] {
    ["before", "after"].map(|side| format!("samples/{folder}/{side}.spanprofile"))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn called(finding: &Value) -> String {
    let operation = &finding["operation"];
    format!("{} {}: {}", word(finding, "kind"), word(operation, "service"), word(operation, "name"))
}

fn findings(report: &Value) -> &[Value] {
    report["findings"].as_array().unwrap()
}

fn found(report: &Value) -> Vec<String> {
    findings(report).iter().map(called).collect()
}

/// The required findings of the truth that a report does not name. `drift` and `mix` are about a whole side: there is
/// no place at which they must stand.
fn missed(truth: &Value, report: &Value) -> Vec<String> {
    let anywhere = |kind: &str| kind == "drift" || kind == "mix";
    let named = found(report);
    let required = findings(truth).iter().filter(|finding| finding["required"] == true);
    let is_named = |finding: &&Value| match word(finding, "kind") {
        kind if anywhere(kind) => named.iter().any(|one| one.starts_with(kind)),
        // Context is lost between two: the truth says at the callee, and its caller is where it is seen.
        "context_lost" => finding["path"].as_array().unwrap().iter().rev().take(2).any(|operation| {
            let (service, name) = (word(operation, "service"), word(operation, "name"));
            named.contains(&format!("context_lost {service}: {name}"))
        }),
        // A database that is lost first fails and is then not called any more: either word names it.
        "instance_failing" => findings(report).iter().any(|one| word(one, "kind").starts_with("instance_")),
        _ => named.contains(&called(finding)),
    };
    required.filter(|finding| !is_named(finding)).map(called).collect()
}

/// Makes the profiles of a sample and compares them with those that are there, or writes them.
fn make(sample: &Sample) -> Value {
    let folder = root().join("samples").join(sample.folder);
    let story = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let update = std::env::var_os("SPANDIFF_UPDATE_SAMPLES").is_some();
    let mut truth = Value::Null;
    for (arguments, profiles) in sample.made {
        let made = tempfile::tempdir().unwrap();
        let facts = generate(made.path(), arguments);
        truth = if truth.is_null() { facts } else { truth };
        let command = format!("spandiff generate {arguments} {BELIEVABLE}");
        let told = story.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\ ", "");
        assert!(told.contains(&command), "{}: the story does not say `{command}`", sample.folder);
        for (from, to) in *profiles {
            run(made.path(), &["record", from, "-o", to]);
            let bytes = std::fs::read(made.path().join(to)).unwrap();
            assert!(bytes.len() < 300_000, "{}/{to} has {} bytes", sample.folder, bytes.len());
            if update {
                std::fs::write(folder.join(to), &bytes).unwrap();
            }
            let there = std::fs::read(folder.join(to)).unwrap_or_default();
            let name = format!("{}/{to}", sample.folder);
            assert!(there == bytes, "{name} is not what record writes; SPANDIFF_UPDATE_SAMPLES=1 writes it");
        }
    }
    truth
}

#[test]
fn every_sample_is_what_its_commands_make_and_gets_the_verdict_of_its_story() {
    let mut complaints = Vec::new();
    for sample in &SAMPLES {
        let truth = make(sample);
        let [before, after] = paths(sample.folder);
        let (report, code) = gate(&before, &after, sample.more);
        let verdict = word(&report["verdict"], "result");
        if (verdict, code) != sample.verdict || report["verdict"]["exit_code"] != code {
            complaints.push(format!("{}: {verdict} ({code}): {}", sample.folder, report["verdict"]["reasons"]));
        }
        let missed = missed(&truth, &report);
        // Twelve requests are no population: what the story says about them is checked below.
        if !missed.is_empty() && sample.folder != "smoke-test" {
            complaints.push(format!("{}: {missed:?} not among {:?}", sample.folder, found(&report)));
        }
        check_attribution(sample.folder, &report, &mut complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The rows of an entry point add up to its change, to the nanosecond.
fn check_attribution(what: &str, report: &Value, complaints: &mut Vec<String>) {
    for entry in report["entry_points"].as_array().unwrap() {
        let rows = entry["attribution"].as_array().unwrap();
        let sum: i64 = rows.iter().map(|row| row["contribution_ns"].as_i64().unwrap()).sum();
        let delta = entry["duration_ns"]["delta"]["mean"].as_i64().unwrap_or_default();
        if !rows.is_empty() && sum != delta {
            complaints.push(format!("{what}: {} rows sum to {sum}, not {delta}", entry["operation"]));
        }
    }
}

fn kinds(report: &Value, turn: impl Fn(FindingKind) -> FindingKind) -> Vec<FindingKind> {
    let kind = |finding: &Value| {
        let name = word(finding, "kind");
        FindingKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("kind {name}"))
    };
    let mut kinds: Vec<_> = findings(report).iter().map(|finding| turn(kind(finding))).collect();
    kinds.sort();
    kinds
}

#[test]
fn swapped_sides_mirror_the_findings() {
    for folder in ["quiet-release", "paradox", "noisy-neighbour", "tail-only", "broken-propagation", "monolith-split"] {
        let [before, after] = paths(folder);
        let (forth, _) = gate(&before, &after, &[]);
        let (back, _) = gate(&after, &before, &[]);
        assert_eq!(kinds(&back, FindingKind::mirrored), kinds(&forth, |kind| kind), "{folder}");
    }
}

#[test]
fn the_canary_is_chosen_by_its_version_and_named() {
    let made = tempfile::tempdir().unwrap();
    let arguments = "--system ride --change canary --traces 4000 --seed 20";
    let story = std::fs::read_to_string(root().join("samples/canary/README.md")).unwrap();
    assert!(story.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\ ", "").contains(arguments));
    let truth = generate(made.path(), arguments);
    let version = |version: &str| format!("customer:service.version={version}");
    let (stable, canary) = (version("2.14.0"), version("2.15.0"));
    let (report, code) =
        report(made.path(), &["gate", "--input", "all.binpb", "--before-where", &stable, "--after-where", &canary]);
    assert_eq!((word(&report["verdict"], "result"), code), ("fail", 1), "{}", report["verdict"]["reasons"]);
    assert_eq!(missed(&truth, &report), [""; 0], "{:?}", found(&report));
    assert_eq!(found(&report)[0], "slower mysql: SELECT customer");
    assert_eq!(truth["traces"]["after"], report["inputs"]["after"]["traces"]);
}

/// All instances that findings name, and what the largest group of them shares.
fn instances(report: &Value) -> (BTreeSet<String>, Value) {
    let groups: Vec<&Value> = findings(report)
        .iter()
        .filter(|finding| word(finding, "kind").starts_with("instance_"))
        .flat_map(|finding| finding["instances"].as_array().unwrap())
        .collect();
    let names = groups.iter().flat_map(|group| group["named"].as_array().unwrap());
    let largest = groups.iter().max_by_key(|group| group["named"].as_array().unwrap().len());
    let shared = largest.map_or(Value::Null, |group| group["shared"].clone());
    (names.map(|name| name.as_str().unwrap().to_owned()).collect(), shared)
}

#[test]
fn the_maintenance_names_230_databases_and_what_they_share() {
    // Which databases are lost is a property of the fleet, whatever the traffic.
    let made = tempfile::tempdir().unwrap();
    let truth = generate(made.path(), "--system fleet --change maintenance --traces 1");
    let [before, after] = paths("maintenance");
    let (report, _) = gate(&before, &after, &[]);
    let (named, shared) = instances(&report);
    let doomed: Vec<(&str, &str)> = findings(&truth)
        .iter()
        .filter(|finding| finding["required"] == true)
        .flat_map(|finding| finding["instances"][0]["named"].as_array().unwrap())
        .map(|name| name.as_str().unwrap().split_once('/').unwrap())
        .collect();
    assert_eq!((doomed.len(), named.len()), (230, 230), "{named:?}");
    for (address, namespace) in doomed {
        let is_it = |name: &String| name.contains(address) && name.ends_with(namespace);
        assert!(named.iter().any(is_it), "{address} {namespace}");
    }
    let shared = shared.as_array().unwrap();
    assert!(
        shared.iter().any(|one| one["key"] == "k8s.storageclass.name" && one["value"] == "ceph-rbd-v1"),
        "{shared:?}"
    );
}

#[test]
fn the_trial_of_the_maintenance_covers_25_of_1300_databases() {
    let [before, _] = paths("maintenance");
    let trial = "samples/maintenance/trial.spanprofile";
    let (report, code) = gate(&before, trial, &["--policy", "samples/maintenance/spandiff.toml"]);
    assert_eq!((word(&report["verdict"], "result"), code), ("inconclusive", 3), "{}", report["verdict"]["reasons"]);
    let coverage = report["coverage"]["instances"].as_f64().unwrap();
    assert!((0.015..0.025).contains(&coverage), "{coverage}");
    assert_eq!(instances(&report).0.len(), 0, "what was not exercised is not gone");
    let (free, code) = gate(&before, trial, &[]);
    assert_eq!((word(&free["verdict"], "result"), code), ("pass", 0), "{}", free["verdict"]["reasons"]);
}

#[test]
fn a_noisy_neighbour_is_named_once() {
    let [before, after] = paths("noisy-neighbour");
    let (report, _) = gate(&before, &after, &[]);
    assert_eq!(found(&report).iter().filter(|one| one.starts_with("drift")).count(), 1);
    assert!(findings(&report).len() <= 2, "{:?}", found(&report));
    let ratio = report["drift"]["common_ratio"].as_f64().unwrap();
    assert!((1.01..1.05).contains(&ratio), "{ratio}");
}

#[test]
fn quiet_and_split_have_no_red_and_green() {
    let [before, after] = paths("quiet-release");
    assert_eq!(found(&gate(&before, &after, &[]).0), [""; 0]);
    let [before, after] = paths("monolith-split");
    assert_eq!(found(&gate(&before, &after, &[]).0), ["split stock: GET /api/stock/{}"]);
}

#[test]
fn too_little_traffic_says_how_much_is_needed() {
    let [before, after] = paths("too-little-traffic");
    let (report, _) = gate(&before, &after, &[]);
    let needed = report["verdict"]["needs"]["after_traces"].as_u64().unwrap();
    assert!((26..20_000).contains(&needed), "{}", report["verdict"]);
}

#[test]
fn a_smoke_test_is_judged_on_structure_and_errors() {
    let [before, after] = paths("smoke-test");
    let (report, _) = gate(&before, &after, &["--policy", "samples/smoke-test/spandiff.toml"]);
    assert_eq!(report["inputs"]["after"]["traces"], 12);
    let named = found(&report);
    assert!(named.contains(&"failing pricing: GET /tariff".to_owned()), "{named:?}");
    assert!(!named.iter().any(|one| one.starts_with("slower") || one.starts_with("faster")), "{named:?}");
}

/// System, change and traces a side: 300, or as many as the change needs to stand out from chance.
const CHANGES: [(&str, &str, u32); 17] = [
    ("shop", "n-plus-one", 300),
    ("shop", "ingress-migration", 300),
    ("shop", "retry", 300),
    ("shop", "lost-cache", 300),
    ("messaging", "serialized", 300),
    ("shop", "new-error", 300),
    ("ride", "fails-early", 300),
    ("ride", "instance-gone", 1500),
    ("shop", "context-lost", 300),
    ("ride", "drift", 2000),
    ("ride", "mix", 300),
    ("shop", "sdk-upgrade", 300),
    ("shop", "clock-skew", 300),
    ("ride", "orphans", 300),
    ("messaging", "reorder", 300),
    ("shop", "none", 300),
    ("ride", "slow-leaf", 300),
];

/// The cases of the design's list of rivals, as populations: what changed is named; where nothing did, nothing is.
#[test]
fn every_change_is_named_in_a_population() {
    let mut complaints = Vec::new();
    for (system, change, traces) in CHANGES {
        let made = tempfile::tempdir().unwrap();
        let truth = generate(made.path(), &format!("--system {system} --change {change} --traces {traces} --seed 5"));
        let (report, code) = report(made.path(), &["diff", "before.binpb", "after.binpb"]);
        let missed = missed(&truth, &report);
        if code != 0 || !missed.is_empty() {
            complaints.push(format!("{system} {change}: {missed:?} not among {:?}", found(&report)));
        }
        // A by-product, such as the span that was not exported, may be told.
        let told: Vec<String> = findings(&truth).iter().map(called).collect();
        let extra: Vec<String> = found(&report).into_iter().filter(|one| !told.contains(one)).collect();
        if truth["nothing"] == true && !extra.is_empty() {
            complaints.push(format!("{system} {change}: nothing changed, but {extra:?}"));
        }
        check_attribution(change, &report, &mut complaints);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn stories_of_populations_have_their_files() {
    let folders: BTreeSet<PathBuf> = SAMPLES.iter().map(|one| root().join("samples").join(one.folder)).collect();
    for folder in folders {
        assert!(folder.join("README.md").exists(), "{}", folder.display());
    }
}
