//! What `generate` writes, read back with the types of the `opentelemetry-proto` crate.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, TracesData};
use prost::Message as _;
use serde_json::Value;
use spandiff::generate::{Change, Generated, Noise, Options, OutputFormat, System, generate, generate_into};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

const CONSUMER: i32 = 5;
const ERROR: i32 = 2;

/// A span with its resource and scope.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    version: String,
    scope: String,
    span: Span,
}

impl Seen {
    fn duration_ns(&self) -> u64 {
        self.span.end_time_unix_nano - self.span.start_time_unix_nano
    }

    fn is_error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == ERROR)
    }

    fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    match value {
        any_value::Value::StringValue(text) => Some(text),
        any_value::Value::IntValue(int) => Some(int.to_string()),
        any_value::Value::BoolValue(flag) => Some(flag.to_string()),
        other => panic!("unexpected value {other:?}"),
    }
}

fn flatten(data: &TracesData) -> Vec<Seen> {
    let mut all = Vec::new();
    for of_resource in &data.resource_spans {
        let resource = &of_resource.resource.as_ref().unwrap().attributes;
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.as_ref().unwrap();
            for span in &of_scope.spans {
                all.push(Seen {
                    service: text(resource, "service.name").unwrap(),
                    version: text(resource, "service.version").unwrap(),
                    scope: format!("{} {}", scope.name, scope.version),
                    span: span.clone(),
                });
            }
        }
    }
    all
}

fn options(system: System, change: Change, traces: u32) -> Options {
    Options { traces, format: OutputFormat::OtlpProto, ..Options::new(system, change) }
}

fn spans(bytes: &[u8]) -> Vec<Seen> {
    flatten(&TracesData::decode(bytes).unwrap())
}

fn sides(system: System, change: Change, traces: u32) -> (Vec<Seen>, Vec<Seen>, Value) {
    let made = generate(&options(system, change, traces));
    (spans(&made.before), spans(&made.after), serde_json::from_str(&made.truth).unwrap())
}

fn named<'a>(spans: &'a [Seen], service: &str, name: &str) -> Vec<&'a Seen> {
    spans.iter().filter(|seen| seen.service == service && seen.span.name == name).collect()
}

fn root(spans: &[Seen]) -> &Seen {
    spans.iter().find(|seen| seen.span.parent_span_id.is_empty()).unwrap()
}

/// Ids are unique, parents exist, times nest, links lead to spans.
fn check_structure(spans: &[Seen], change: Change, what: &str) {
    let mut by_id = HashMap::new();
    for seen in spans {
        assert_eq!((seen.span.trace_id.len(), seen.span.span_id.len()), (16, 8), "{what}");
        assert!(!seen.span.name.is_empty() && seen.span.kind > 0, "{what}");
        assert!(seen.span.end_time_unix_nano > seen.span.start_time_unix_nano, "{what}");
        assert!(by_id.insert(seen.span.span_id.clone(), seen).is_none(), "{what}: an id came twice");
    }
    let mut missing = 0;
    for seen in spans {
        let has_remote_parent = seen.span.flags & 0x200 != 0;
        assert_eq!(seen.span.flags & 0x1ff, 0x101, "{what}: sampled, and it is known whether the parent is remote");
        for link in &seen.span.links {
            assert!(by_id.contains_key(&link.span_id), "{what}: link to nowhere");
        }
        if seen.span.parent_span_id.is_empty() {
            assert!(!has_remote_parent, "{what}");
            continue;
        }
        let Some(parent) = by_id.get(&seen.span.parent_span_id) else {
            missing += 1;
            continue;
        };
        assert_eq!(parent.span.trace_id, seen.span.trace_id, "{what}");
        assert_eq!(has_remote_parent, seen.span.kind == 2 || seen.span.kind == CONSUMER, "{what}: {seen:?}");
        if change != Change::ClockSkew {
            let inside = parent.span.start_time_unix_nano <= seen.span.start_time_unix_nano
                && seen.span.end_time_unix_nano <= parent.span.end_time_unix_nano;
            let later = seen.span.start_time_unix_nano >= parent.span.end_time_unix_nano;
            assert!(if seen.span.kind == CONSUMER { later } else { inside }, "{what}: {} in time", seen.span.name);
        }
    }
    assert_eq!(missing > 0, change == Change::Orphans, "{what}: {missing} parents are missing");
}

#[test]
fn every_change_of_every_system_is_a_valid_trace() {
    for system in System::ALL {
        for &change in Change::ALL {
            for traces in [1, 12] {
                let what = format!("{} {} ×{traces}", system.name(), change.name());
                let (before, after, truth) = sides(system, change, traces);
                check_structure(&before, Change::None, &what);
                check_structure(&after, change, &what);
                if change.is_one_population() {
                    let both =
                        |key: &str| truth[key]["before"].as_u64().unwrap() + truth[key]["after"].as_u64().unwrap();
                    assert_eq!((both("spans"), both("traces")), (after.len() as u64, traces.into()), "{what}");
                    assert!(before.is_empty(), "{what}");
                    continue;
                }
                assert_eq!(truth["spans"]["before"], before.len(), "{what}");
                assert_eq!(truth["spans"]["after"], after.len(), "{what}");
                let ids = |spans: &[Seen]| spans.iter().map(|s| s.span.trace_id.clone()).collect::<BTreeSet<_>>();
                assert_eq!(truth["traces"]["before"], ids(&before).len(), "{what}");
                assert_eq!(truth["traces"]["after"], ids(&after).len(), "{what}");
                assert!(ids(&before).is_disjoint(&ids(&after)), "{what}");
            }
        }
    }
}

#[test]
fn the_same_options_give_the_same_bytes_and_another_seed_others() {
    let one = Options { traces: 3, ..Options::new(System::Messaging, Change::NPlusOne) };
    assert_eq!(generate(&one), generate(&one));
    let other = generate(&Options { seed: 2, ..one });
    assert_ne!(generate(&one).before, other.before);
    assert_ne!(generate(&one).after, other.after);
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Seeds are part of bug reports and benchmarks: if this fails, the change log has to say that seeds mean other traces.
#[test]
fn a_seed_means_the_same_bytes_in_every_version() {
    let made = generate(&options(System::Ride, Change::AddedCall, 1));
    assert_eq!(format!("{:016x} {:016x}", fnv(&made.before), fnv(&made.after)), "4b0fc182220b9e7c fcd0d024649d8782");
}

#[test]
fn json_and_both_forms_of_protobuf_hold_the_same() {
    for system in System::ALL {
        let one = options(system, Change::NewError, 4);
        let proto = generate(&one);
        let json = generate(&Options { format: OutputFormat::OtlpJson, ..one });
        let framed = generate(&Options { format: OutputFormat::OtlpProtoFramed, ..one });
        assert_eq!(proto.truth, json.truth);
        let whole = TracesData::decode(&proto.after[..]).unwrap().resource_spans;
        let text = String::from_utf8(json.after).unwrap();
        assert_eq!(text.lines().count(), 4);
        let lines = text.lines().flat_map(|line| serde_json::from_str::<TracesData>(line).unwrap().resource_spans);
        assert!(lines.collect::<Vec<_>>() == whole, "{system:?}");
        let (mut rest, mut frames) = (&framed.after[..], Vec::new());
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (frame, next) = tail.split_at(u32::from_be_bytes(*length) as usize);
            frames.extend(TracesData::decode(frame).unwrap().resource_spans);
            rest = next;
        }
        assert!(frames == whole, "{system:?}");
    }
}

#[test]
fn ride_has_50_spans_and_three_timeouts_on_both_sides() {
    for seed in 1..=20 {
        let made = generate(&Options { seed, ..options(System::Ride, Change::AddedCall, 1) });
        let (before, after) = (spans(&made.before), spans(&made.after));
        assert_eq!((before.len(), after.len()), (50, 51));
        for side in [&before, &after] {
            let root = root(side);
            assert_eq!((root.service.as_str(), root.span.name.as_str()), ("frontend", "HTTP GET /dispatch"));
            assert!((1_100_000_000..1_700_000_000).contains(&root.duration_ns()), "{} ns", root.duration_ns());
            let late: Vec<_> = side.iter().filter(|seen| seen.is_error()).collect();
            assert_eq!(late.len(), 3);
            for seen in late {
                assert_eq!(seen.span.name, "GetDriver");
                assert_eq!(seen.span.events.len(), 1);
                assert_eq!(text(&seen.span.events[0].attributes, "exception.type").as_deref(), Some("TimeoutError"));
            }
            assert_eq!(named(side, "redis", "GetDriver").len(), 13);
            assert_eq!(named(side, "route", "GET /route").len(), 10);
        }
    }
}

fn operations(spans: &[Seen]) -> BTreeMap<(String, String, i32), u32> {
    let mut counts = BTreeMap::new();
    for seen in spans {
        *counts.entry((seen.service.clone(), seen.span.name.clone(), seen.span.kind)).or_default() += 1;
    }
    counts
}

#[test]
fn without_a_change_both_sides_have_the_same_operations() {
    for system in System::ALL {
        for change in [Change::None, Change::Reorder, Change::ClockSkew, Change::Drift] {
            let (before, after, truth) = sides(system, change, 1);
            assert_eq!(operations(&before), operations(&after), "{system:?} {change:?}");
            assert_eq!(truth["nothing"], change != Change::Drift);
        }
        let (before, after, truth) = sides(system, Change::SdkUpgrade, 1);
        assert_eq!(before.len(), after.len());
        assert_eq!(truth["nothing"], true);
        assert!(before.iter().all(|seen| seen.attribute("http.request.method").is_none()));
        assert!(after.iter().all(|seen| seen.attribute("http.method").is_none()));
        assert_ne!(operations(&before), operations(&after), "display names are in another style");
    }
}

/// The first finding of each change, its spans before and after, and all spans of the ride request on both sides.
#[test]
fn the_truth_counts_what_is_there() {
    for (change, kind, name, count, all) in [
        (Change::SlowLeaf, "slower", "SELECT customer", (1, 1), (50, 50)),
        (Change::NPlusOne, "calls_up", "SELECT addresses", (3, 30), (50, 77)),
        (Change::AddedCall, "added", "SELECT vouchers", (0, 1), (50, 51)),
        (Change::LayerAdded, "layer_added", "GET /customer", (0, 1), (50, 52)),
        (Change::LayerRemoved, "layer_removed", "GET /customer", (1, 0), (52, 50)),
        (Change::IngressMigration, "renamed", "GET /dispatch", (1, 1), (52, 54)),
        (Change::Renamed, "renamed", "RankByETA", (1, 1), (50, 50)),
        (Change::Moved, "moved", "GET /tariff", (1, 1), (50, 50)),
        (Change::Retry, "calls_up", "SELECT customer", (1, 2), (50, 51)),
        (Change::LostCache, "added", "SELECT sessions", (0, 1), (50, 51)),
        (Change::Serialized, "serialized", "BestETA", (1, 1), (50, 50)),
        (Change::NewError, "failing", "SELECT surcharges", (1, 1), (50, 50)),
        (Change::FailsEarly, "failing", "GET /tariff", (1, 1), (50, 48)),
        (Change::ContextLost, "context_lost", "GET /tariff", (1, 0), (50, 50)),
        (Change::InstanceGone, "instance_gone", "SELECT customer", (1, 1), (50, 50)),
        (Change::Drift, "drift", "GET /dispatch", (1, 1), (50, 50)),
    ] {
        let (before, after, truth) = sides(System::Ride, change, 1);
        let first = &truth["findings"][0];
        let what = format!("{}: {first}", change.name());
        assert_eq!((truth["schema"].as_str(), truth["nothing"].as_bool()), (Some("spandiff.truth/v1"), Some(false)));
        assert_eq!((first["kind"].as_str(), first["operation"]["name"].as_str()), (Some(kind), Some(name)), "{what}");
        assert_eq!(
            (first["spans"]["before"].as_u64(), first["spans"]["after"].as_u64()),
            (Some(count.0), Some(count.1)),
            "{what}"
        );
        assert_eq!((before.len(), after.len()), all, "{what}");
        let path = first["path"].as_array().unwrap();
        assert_eq!(path.last(), Some(&first["operation"]), "{what}");
    }
}

#[test]
fn the_truth_gives_the_path_on_both_sides() {
    let path = |value: &Value| {
        let steps = value.as_array().unwrap().iter();
        steps
            .map(|step| format!("{} {}", step["service"].as_str().unwrap(), step["name"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let (.., truth) = sides(System::Ride, Change::Moved, 1);
    let moved = &truth["findings"][0];
    assert_eq!(path(&moved["path"]), ["frontend GET /dispatch", "frontend BestETA", "frontend GET /tariff"]);
    assert_eq!(path(&moved["from_path"]), ["frontend GET /dispatch", "frontend GET /tariff"]);
    let (.., truth) = sides(System::Shop, Change::FailsEarly, 1);
    let kinds = truth["findings"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds
        .map(|f| {
            (f["kind"].as_str().unwrap(), f["operation"]["name"].as_str().unwrap(), f["required"].as_bool().unwrap())
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("failing", "shop.CartService/GetCart", true),
            ("faster", "shop.CartService/GetCart", false),
            ("removed", "LoadCart", true),
        ]
    );
}

#[test]
fn an_n_plus_one_is_ten_times_as_many_in_every_system() {
    for system in System::ALL {
        let (.., truth) = sides(system, Change::NPlusOne, 1);
        assert_eq!(truth["findings"][0]["spans"], serde_json::json!({"before": 3, "after": 30}), "{system:?}");
    }
}

fn overlapping(spans: &[&Seen]) -> usize {
    let overlap = |a: &Seen, b: &Seen| {
        a.span.start_time_unix_nano < b.span.end_time_unix_nano
            && b.span.start_time_unix_nano < a.span.end_time_unix_nano
    };
    let pairs = spans.iter().enumerate().flat_map(|(at, a)| spans.iter().skip(at + 1).map(move |b| (a, b)));
    pairs.filter(|(a, b)| overlap(a, b)).count()
}

#[test]
fn parallel_calls_overlap_until_they_are_serialized() {
    let (before, after, _) = sides(System::Ride, Change::Serialized, 1);
    assert!(overlapping(&named(&before, "route", "GET /route")) >= 10);
    assert_eq!(overlapping(&named(&after, "route", "GET /route")), 0);
    assert!(root(&after).duration_ns() > root(&before).duration_ns() + 300_000_000);
}

#[test]
fn a_failing_service_is_fast_and_its_callees_are_gone() {
    let (before, after, _) = sides(System::Ride, Change::FailsEarly, 1);
    let (was, is) = (named(&before, "pricing", "GET /tariff"), named(&after, "pricing", "GET /tariff"));
    assert!(!was[0].is_error() && is[0].is_error());
    assert!(is[0].duration_ns() * 10 < was[0].duration_ns());
    assert!(after.iter().all(|seen| seen.span.parent_span_id != is[0].span.span_id));
    assert!(!root(&after).is_error(), "the frontend can do without");
}

#[test]
fn a_new_error_reaches_the_callers_but_only_the_leaf_has_the_exception() {
    let (before, after, _) = sides(System::Shop, Change::NewError, 1);
    assert_eq!(before.iter().filter(|seen| seen.is_error()).count(), 0);
    let failed: Vec<_> = after.iter().filter(|seen| seen.is_error()).collect();
    let names: BTreeSet<_> = failed.iter().map(|seen| (seen.span.name.as_str(), seen.span.events.len())).collect();
    assert_eq!(names, BTreeSet::from([("INSERT orders", 1), ("shop.CheckoutService/PlaceOrder", 0)]));
    assert_eq!(failed.len(), 3, "the leaf, the server and its client");
}

#[test]
fn without_jitter_drift_is_exact() {
    let one = Options { jitter: 0.0, ..options(System::Shop, Change::Drift, 1) };
    let made = generate(&one);
    let (before, after) = (root(&spans(&made.before)).duration_ns(), root(&spans(&made.after)).duration_ns());
    assert!((after as f64 / before as f64 - 1.04).abs() < 1e-6, "{before} {after}");
    let odd = Options { jitter: f64::NAN, ..one };
    assert_eq!(generate(&odd), made);
}

#[test]
fn a_skewed_clock_moves_one_service_only() {
    let made = |change| spans(&generate(&options(System::Shop, change, 1)).after);
    let (right, wrong) = (made(Change::None), made(Change::ClockSkew));
    assert_eq!(right.len(), wrong.len());
    for (right, wrong) in right.iter().zip(&wrong) {
        assert_eq!(right.span.span_id, wrong.span.span_id, "the same draws");
        let behind = right.span.start_time_unix_nano - wrong.span.start_time_unix_nano;
        assert_eq!(behind, if right.service == "checkout" { 350_000_000 } else { 0 });
        assert_eq!(right.duration_ns(), wrong.duration_ns());
    }
}

#[test]
fn population_changes_show_in_the_population() {
    let share = |spans: &[Seen]| {
        let roots = || spans.iter().filter(|seen| seen.span.parent_span_id.is_empty());
        roots().filter(|seen| seen.span.name == "HTTP GET /dispatch").count() as f64 / roots().count() as f64
    };
    let (before, after, _) = sides(System::Ride, Change::Mix, 400);
    assert!((share(&before) - 0.7).abs() < 0.08 && (share(&after) - 0.3).abs() < 0.08);

    let (before, after, truth) = sides(System::Ride, Change::InstanceGone, 400);
    let shards = |spans: &[Seen]| {
        spans
            .iter()
            .filter_map(|seen| seen.attribute("db.name"))
            .filter(|name| name.starts_with("rides_"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!((shards(&before).len(), shards(&after).len()), (24, 23));
    assert!(!shards(&after).contains("rides_007"));
    assert_eq!(truth["findings"][0]["instances"][0]["named"][0], "rides_007");

    let (before, after, truth) = sides(System::Messaging, Change::ContextLost, 60);
    let roots = |spans: &[Seen]| spans.iter().filter(|seen| seen.span.parent_span_id.is_empty()).count() as u64;
    let lost = truth["findings"][0]["spans"]["before"].as_u64().unwrap();
    assert!(lost > 10 && roots(&before) == 60);
    assert_eq!(roots(&after) - 60, named(&after, "fulfilment", "orders process").len() as u64);
}

#[test]
fn consumers_link_to_what_they_consume() {
    let (before, ..) = sides(System::Messaging, Change::None, 1);
    assert_eq!(named(&before, "billing", "process orders")[0].span.links.len(), 1);
    let batch = named(&before, "notifications", "process shipments")[0];
    assert_eq!(batch.span.links.len(), 3);
    assert_eq!(batch.attribute("messaging.batch.message_count").as_deref(), Some("3"));
}

#[test]
fn a_release_changes_the_version_of_one_service() {
    let (before, after, _) = sides(System::Ride, Change::NPlusOne, 1);
    assert!(before.iter().all(|seen| seen.version == "2.14.0"));
    let released: BTreeSet<_> =
        after.iter().filter(|seen| seen.version == "2.15.0").map(|seen| &seen.service).collect();
    assert_eq!(released, BTreeSet::from([&"customer".to_owned()]));
    let library = |seen: &&Seen| seen.service == "customer" && seen.scope.starts_with("io.opentelemetry.http");
    assert!(after.iter().find(library).is_some_and(|seen| seen.scope.ends_with("-alpha")), "scopes keep their version");
}

#[test]
fn writers_get_the_same_bytes_and_their_errors_come_back() {
    let one = options(System::Shop, Change::Moved, 5);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let truth = generate_into(&one, &mut before, &mut after).unwrap();
    assert_eq!(Generated { before, after, truth }, generate(&one));
    let mut small = [0; 10];
    let error = generate_into(&one, &mut &mut small[..], &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
}

#[test]
fn late_starts_do_not_overflow() {
    for start_unix_ns in [0, u64::MAX] {
        let made = generate(&Options { start_unix_ns, ..options(System::Messaging, Change::None, 3) });
        check_structure(&spans(&made.before), Change::None, "late");
        check_structure(&spans(&made.after), Change::None, "late");
    }
}

/// Believable traffic: what the population samples are made with.
fn believable(system: System, change: Change, traces: u32) -> Options {
    let one = options(system, change, traces);
    Options { noise: Noise::LogNormal, jitter: 0.4, drift: 0.02, replica_spread: 0.01, ..one }
}

fn mean(of: impl IntoIterator<Item = f64>) -> f64 {
    let all: Vec<f64> = of.into_iter().collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// Standard deviation.
fn deviation(of: &[f64]) -> f64 {
    let centre = mean(of.iter().copied());
    mean(of.iter().map(|x| (x - centre) * (x - centre))).sqrt()
}

fn mean_ns<'a>(spans: impl IntoIterator<Item = &'a Seen>) -> f64 {
    mean(spans.into_iter().map(|seen| seen.duration_ns() as f64))
}

#[test]
fn believable_traffic_has_the_same_bytes_in_every_version() {
    let made = generate(&believable(System::Shop, Change::TailOnly, 5));
    assert_eq!(format!("{:016x} {:016x}", fnv(&made.before), fnv(&made.after)), "8fb3ab0f1386acb4 6ca8c136c336bf13");
}

#[test]
fn spans_of_one_request_are_slow_together() {
    let made = generate(&Options { drift: 0.0, ..believable(System::Ride, Change::None, 600) });
    let before = spans(&made.before);
    let logs = |service: &str, name: &str| -> BTreeMap<Vec<u8>, f64> {
        let all = named(&before, service, name).into_iter();
        all.map(|seen| (seen.span.trace_id.clone(), (seen.duration_ns() as f64).ln())).collect()
    };
    let (one, other) = (logs("redis", "FindDriverIDs"), logs("redis", "LockDrivers"));
    let (one, other): (Vec<f64>, Vec<f64>) = one.values().copied().zip(other.values().copied()).unzip();
    assert!((0.40..0.60).contains(&deviation(&one)), "{}", deviation(&one));
    let (a, b) = (mean(one.iter().copied()), mean(other.iter().copied()));
    let together = mean(one.iter().zip(&other).map(|(x, y)| (x - a) * (y - b)));
    let correlation = together / (deviation(&one) * deviation(&other));
    // The request's factor has a quarter of the variance of a piece of work, and slow runs add to the rest.
    assert!((0.10..0.30).contains(&correlation), "{correlation}");
}

#[test]
fn windows_stray_by_the_drift_asked_for() {
    let one = Options { jitter: 0.0, drift: 0.05, ..options(System::Shop, Change::None, 1) };
    let leaves = |bytes: &[u8]| {
        let all = spans(bytes);
        let parents: BTreeSet<_> = all.iter().map(|seen| seen.span.parent_span_id.clone()).collect();
        all.into_iter().filter(|seen| !parents.contains(&seen.span.span_id)).collect::<Vec<_>>()
    };
    let mut shifts = Vec::new();
    for seed in 1..=12 {
        let made = generate(&Options { seed, ..one });
        let (mut before, mut after) = (leaves(&made.before), leaves(&made.after));
        let key = |seen: &Seen| (seen.service.clone(), seen.span.name.clone(), seen.duration_ns());
        before.sort_by_key(key);
        after.sort_by_key(key);
        shifts.extend(before.iter().zip(&after).map(|(b, a)| (a.duration_ns() as f64 / b.duration_ns() as f64).ln()));
    }
    assert!((deviation(&shifts) - 0.05).abs() < 0.01, "{}", deviation(&shifts));
    assert!(mean(shifts).abs() < 0.02);
}

#[test]
fn sampling_keeps_whole_traces_and_says_so() {
    let one = Options { sampling: 0.25, ..options(System::Shop, Change::None, 400) };
    let made = generate(&one);
    let before = spans(&made.before);
    check_structure(&before, Change::None, "sampled");
    let traces: BTreeSet<_> = before.iter().map(|seen| seen.span.trace_id.clone()).collect();
    assert!((70..=130).contains(&traces.len()), "{}", traces.len());
    for seen in &before {
        assert_eq!(seen.span.trace_state, "ot=th:c");
        assert!(seen.span.trace_id[9] >= 0xc0, "the last 56 bits are not below the threshold");
    }
    let json = generate(&Options { format: OutputFormat::OtlpJson, ..one });
    assert!(String::from_utf8(json.before).unwrap().contains("\"traceState\":\"ot=th:c\""));
    let truth: Value = serde_json::from_str(&made.truth).unwrap();
    assert_eq!((&truth["sampling"], &truth["traces"]["before"]), (&0.25.into(), &traces.len().into()));
}

#[test]
fn sides_may_differ_in_size_and_load() {
    let one = Options { traces_after: Some(30), window_s: 600, ..options(System::Shop, Change::None, 120) };
    let made = generate(&one);
    for (bytes, traces) in [(&made.before, 120), (&made.after, 30)] {
        let all = spans(bytes);
        let starts: BTreeSet<_> = all
            .iter()
            .filter(|seen| seen.span.parent_span_id.is_empty())
            .map(|s| s.span.start_time_unix_nano)
            .collect();
        assert_eq!(starts.len(), traces);
        let seconds = (starts.last().unwrap() - starts.first().unwrap()) / 1_000_000_000;
        assert!((550..=600).contains(&seconds), "{seconds}");
    }
}

#[test]
fn a_quiet_release_is_a_version_and_nothing_else() {
    let (before, after, truth) = sides(System::Shop, Change::QuietRelease, 1);
    assert_eq!(operations(&before), operations(&after));
    assert_eq!(truth["nothing"], true);
    let released: BTreeSet<_> = after.iter().filter(|s| s.version == "2.15.0").map(|s| s.service.as_str()).collect();
    assert_eq!(released, BTreeSet::from(["stock"]));
}

#[test]
fn one_of_ten_pods_is_the_canary_and_no_request_meets_both_versions() {
    let made = generate(&believable(System::Ride, Change::Canary, 600));
    let all = spans(&made.after);
    let mut versions: HashMap<Vec<u8>, BTreeSet<&str>> = HashMap::new();
    for seen in all.iter().filter(|seen| seen.service == "customer") {
        versions.entry(seen.span.trace_id.clone()).or_default().insert(&seen.version);
    }
    assert!(versions.values().all(|one| one.len() == 1));
    let of = |version: &str| {
        let slow = named(&all, "mysql", "SQL SELECT").into_iter().filter(|seen| {
            seen.attribute("db.sql.table").as_deref() == Some("customer")
                && versions.get(&seen.span.trace_id).is_some_and(|one| one.contains(version))
        });
        slow.collect::<Vec<_>>()
    };
    let (old, new) = (of("2.14.0"), of("2.15.0"));
    assert!((0.06..0.14).contains(&(new.len() as f64 / (old.len() + new.len()) as f64)), "{}", new.len());
    let ratio = mean_ns(new.iter().copied()) / mean_ns(old.iter().copied());
    assert!((1.3..1.7).contains(&ratio), "{ratio}");
    let truth: Value = serde_json::from_str(&made.truth).unwrap();
    assert_eq!(truth["traces"]["after"], new.len());
}

#[test]
fn a_slow_tail_is_three_in_a_hundred_calls() {
    let (before, after, _) = sides(System::Shop, Change::TailOnly, 900);
    let slow = |spans: &[Seen]| {
        let calls = named(spans, "stock", "SELECT stock");
        calls.iter().filter(|seen| seen.duration_ns() > 60_000_000).count() as f64 / calls.len() as f64
    };
    assert!(slow(&before) == 0.0 && (0.015..0.045).contains(&slow(&after)), "{}", slow(&after));
}

#[test]
fn in_a_paradox_the_mean_improves_and_a_path_gets_slower() {
    let (before, after, truth) = sides(System::Ride, Change::Paradox, 600);
    let roots = |spans: &[Seen]| mean_ns(spans.iter().filter(|seen| seen.span.parent_span_id.is_empty()));
    assert!(roots(&after) < 0.8 * roots(&before));
    let entry = |spans: &[Seen]| mean_ns(named(spans, "frontend", "HTTP GET /dispatch"));
    assert!(entry(&after) > 1.1 * entry(&before));
    let kinds: Vec<_> = truth["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["slower", "mix"]);
}

#[test]
fn a_monolith_does_the_same_work_before_it_is_split() {
    for (system, part, whole) in [
        (System::Ride, "route", "driver"),
        (System::Shop, "stock", "catalogue"),
        (System::Messaging, "warehouse", "order-api"),
        (System::Fleet, "media", "sites"),
    ] {
        let (before, after, truth) = sides(system, Change::MonolithSplit, 1);
        assert!(before.iter().all(|seen| seen.service != part) && before.len() == after.len());
        assert!(after.iter().any(|seen| seen.service == part));
        assert_eq!(truth["findings"][0]["kind"], "split");
        assert_eq!(truth["findings"][0]["operation"]["service"], part);
        assert!(truth["findings"][0]["from_path"].as_array().unwrap().last().unwrap()["service"] == whole);
    }
}

/// Databases by address and namespace, with calls and failed calls.
fn databases(spans: &[Seen]) -> BTreeMap<String, (u32, u32)> {
    let mut all = BTreeMap::new();
    for seen in spans.iter().filter(|seen| seen.attribute("k8s.storageclass.name").is_some()) {
        let name = ["server.address", "db.namespace"].map(|key| seen.attribute(key).unwrap()).join("/");
        let (calls, failed): &mut (u32, u32) = all.entry(name).or_default();
        *calls += 1;
        *failed += u32::from(seen.is_error());
    }
    all
}

#[test]
fn after_the_maintenance_calls_to_230_databases_fail_and_then_stop() {
    let (before, after, truth) = sides(System::Fleet, Change::Maintenance, 2_000);
    let named_in_truth = |number: usize| -> BTreeSet<String> {
        let instances = &truth["findings"][number]["instances"][0];
        assert_eq!(instances["key"], "server.address/db.namespace");
        assert_eq!(instances["shared"]["value"], "ceph-rbd-v1");
        instances["named"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let doomed: BTreeSet<String> = named_in_truth(0).into_iter().chain(named_in_truth(1)).collect();
    assert_eq!(doomed.len(), 230);
    assert!(databases(&before).values().all(|(_, failed)| *failed == 0));
    for (name, (calls, failed)) in databases(&after) {
        assert_eq!(failed, if doomed.contains(&name) { calls } else { 0 }, "{name}");
    }
    let last_failure = after.iter().filter(|s| s.is_error()).map(|s| s.span.end_time_unix_nano).max().unwrap();
    let end = after.iter().map(|seen| seen.span.end_time_unix_nano).max().unwrap();
    let begin = after.iter().map(|seen| seen.span.start_time_unix_nano).min().unwrap();
    assert!(((last_failure - begin) as f64) < 0.31 * (end - begin) as f64);
    let roots = |spans: &[Seen]| spans.iter().filter(|seen| seen.span.parent_span_id.is_empty()).count();
    assert!(roots(&after) < roots(&before), "sites without a database get no requests");
}

#[test]
fn the_trial_of_the_maintenance_sees_25_databases_at_most() {
    let (before, after, truth) = sides(System::Fleet, Change::MaintenanceTrial, 800);
    assert_eq!(truth["nothing"], true);
    assert!(databases(&before).len() > 500);
    let seen = databases(&after);
    assert!((20..=25).contains(&seen.len()), "{}", seen.len());
    assert!(seen.keys().all(|name| name.contains(".lab-1.")) && seen.values().all(|(_, failed)| *failed == 0));
}

/// The samples: folder, system, change, seed. All with one request a side and ±20 % jitter.
const SAMPLES: [(&str, System, Change, u64); 12] = [
    ("spot-the-difference", System::Ride, Change::AddedCall, 985),
    ("ingress-migration", System::Shop, Change::IngressMigration, 2),
    ("n-plus-one", System::Shop, Change::NPlusOne, 3),
    ("retry", System::Shop, Change::Retry, 4),
    ("lost-cache", System::Shop, Change::LostCache, 5),
    ("renamed-span", System::Ride, Change::Renamed, 6),
    ("moved-call", System::Shop, Change::Moved, 7),
    ("serialized-calls", System::Messaging, Change::Serialized, 8),
    ("sdk-upgrade", System::Shop, Change::SdkUpgrade, 9),
    ("same-request", System::Ride, Change::None, 10),
    ("clock-skew", System::Shop, Change::ClockSkew, 11),
    ("orphans", System::Ride, Change::Orphans, 12),
];

/// With `SPANDIFF_UPDATE_SAMPLES=1` the files are written instead.
#[test]
fn samples_are_what_generate_writes() {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples");
    let update = std::env::var_os("SPANDIFF_UPDATE_SAMPLES").is_some();
    for (folder, system, change, seed) in SAMPLES {
        let made = generate(&Options { seed, ..Options::new(system, change) });
        for (name, bytes) in [("before.json", made.before), ("after.json", made.after)] {
            let path = samples.join(folder).join(name);
            assert!(bytes.len() < 150_000, "{folder}/{name} has {} bytes", bytes.len());
            if update {
                std::fs::create_dir_all(samples.join(folder)).unwrap();
                std::fs::write(&path, &bytes).unwrap();
            }
            let there = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(there == bytes, "{folder}/{name} is not what generate writes; SPANDIFF_UPDATE_SAMPLES=1 writes it");
        }
    }
}

#[test]
fn the_first_sample_tells_the_readmes_story() {
    let (_, system, change, seed) = SAMPLES[0];
    let made = generate(&Options { seed, ..options(system, change, 1) });
    let ms = |bytes: &[u8]| (root(&spans(bytes)).duration_ns() + 5_000_000) / 10_000_000;
    assert_eq!((ms(&made.before), ms(&made.after)), (146, 131), "hundredths of a second");
}

/// Service, normalised name and kind of every span, as ingest identifies them.
fn identified(spans: &[Seen]) -> BTreeSet<String> {
    use spandiff::model::{Attributes, Kind, attributes::field, facts::Facts};
    let operation = |seen: &Seen| {
        let bytes = seen.span.encode_to_vec();
        let facts = Facts::of(Attributes::of_message(&bytes, field::SPAN_ATTRIBUTES));
        let kind = Kind::from_otlp(seen.span.kind as u64);
        let mut name = String::new();
        spandiff::ingest::template::template_into(&mut name, &facts, kind, &seen.span.name);
        format!("{} {name} {}", seen.service, kind.name())
    };
    spans.iter().map(operation).collect()
}

/// The generator says how an operation is called, ingest finds out: they must agree, or the truth is useless.
#[test]
fn the_truth_calls_operations_as_ingest_does() {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    for system in System::ALL {
        for &change in Change::ALL {
            let (before, after, truth) = sides(system, change, 1);
            let (before, after) = (identified(&before), identified(&after));
            if change == Change::SdkUpgrade {
                assert_eq!(before, after, "conventions are no change");
            }
            for finding in truth["findings"].as_array().unwrap() {
                for step in finding["path"].as_array().unwrap() {
                    let called = format!("{} {} {}", word(step, "service"), word(step, "name"), word(step, "kind"));
                    assert!(before.contains(&called) || after.contains(&called), "{change:?}: {called}");
                }
            }
        }
    }
}
