//! The cases of `rivals.md`, last section, that begin with what a span is called and where it ran: through the whole
//! chain from OTLP text to findings.

use super::rivals::found;
use super::shared::trace_of_text;
use spandiff::diff::{Diff, DiffOptions, InputSide, pair};
use spandiff::ingest;
use spandiff::model::{Operation, Pair, Trace};
use std::fmt::Write as _;

/// Keys and values: a number where the text is one, else a text.
type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A span: parent's number (counting from 1, 0 for the root), service, kind as in OTLP, name, attributes.
type Made<'a> = (u64, &'a str, u8, &'a str, Attributes<'a>);

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

fn attributes_json(attributes: Attributes<'_>) -> String {
    let pairs = attributes.iter().map(|(key, value)| {
        let value = match value.parse::<i64>() {
            Ok(int) => serde_json::json!({ "intValue": int.to_string() }),
            Err(_) => serde_json::json!({ "stringValue": value }),
        };
        serde_json::json!({ "key": key, "value": value })
    });
    serde_json::Value::Array(pairs.collect()).to_string()
}

/// One OTLP document: each span with its service's resource; each depth of children starts 1 ms later and ends
/// 1 ms earlier.
fn otlp(trace_id: u128, resource: Attributes<'_>, spans: &[Made<'_>]) -> String {
    let mut depths: Vec<u64> = Vec::new();
    let mut text = String::from(r#"{"resourceSpans":["#);
    for (number, (parent, service, kind, name, attributes)) in (1u64..).zip(spans) {
        let above = (*parent as usize).checked_sub(1).and_then(|parent| depths.get(parent));
        let depth = above.map_or(0, |depth| depth + 1);
        depths.push(depth);
        let (start, end) = (1_700_000_000_000 + depth, 1_700_000_000_100 - depth);
        let of_resource: Vec<_> = [("service.name", *service)].iter().chain(resource).copied().collect();
        let parent = if *parent == 0 { String::new() } else { format!("{:016x}", trace_id as u64 + parent) };
        let comma = if number == 1 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"resource":{{"attributes":{}}},"scopeSpans":[{{"scope":{{"name":"lib"}},"spans":[{{
                "traceId":"{trace_id:032x}","spanId":"{:016x}","parentSpanId":"{parent}","kind":{kind},"name":{name:?},
                "startTimeUnixNano":"{start}000000","endTimeUnixNano":"{end}000000","attributes":{}}}]}}]}}"#,
            attributes_json(&of_resource),
            trace_id as u64 + number,
            attributes_json(attributes),
        );
    }
    text + "]}"
}

/// Compares two texts both ways round; there must be nothing to tell. Returns the comparison and the traces.
#[track_caller]
fn silent(before: &str, after: &str) -> (Diff, Pair<Trace>) {
    let compare = |before: &str, after: &str| {
        let mut traces = Pair::new(trace_of_text(before), trace_of_text(after));
        ingest::unify(&mut traces, &mut Pair::default());
        let sides = Pair::new(InputSide::default(), InputSide::default());
        (pair::compare(&traces, sides, &DiffOptions::default()), traces)
    };
    let (diff, traces) = compare(before, after);
    let (swapped, _) = compare(after, before);
    for diff in [&diff, &swapped] {
        assert_eq!(found(diff), Vec::<String>::new(), "{:#?}", diff.findings);
        assert_eq!(diff.summary.matched, diff.summary.spans.before);
        assert_eq!(diff.summary.spans.before, diff.summary.spans.after);
    }
    assert_eq!(operations(&traces.before), operations(&traces.after));
    (diff, traces)
}

fn operations(trace: &Trace) -> Vec<&Operation> {
    trace.spans().iter().filter_map(|span| trace.operations.get(span.operation)).collect()
}

fn names(trace: &Trace) -> Vec<&str> {
    operations(trace).into_iter().map(|operation| &*operation.name).collect()
}

fn notes<'a>(diff: &'a Diff, code: &str) -> Vec<&'a str> {
    diff.notes.iter().filter(|note| note.code == code).map(|note| note.message.as_str()).collect()
}

#[test]
fn case_8_identifiers_in_names_do_not_break_matching() {
    let tree = |id: &str, uuid: &str| {
        let root = format!("GET /users/{id}");
        let url = format!("http://users.internal:8080/users/{id}/orders?page={}", id.len());
        let statement = format!("SELECT * FROM orders WHERE user_id = {id} AND cart = '{uuid}'");
        let lock = format!("lock cart:{uuid}");
        otlp(
            id.parse().unwrap(),
            &[],
            &[
                (0, "web", SERVER, &root, &[]),
                (1, "web", CLIENT, "GET", &[("http.request.method", "GET"), ("url.full", &url)]),
                (2, "users", 1, &lock, &[]),
                (2, "users", CLIENT, &statement, &[("db.system.name", "postgresql"), ("db.query.text", &statement)]),
            ],
        )
    };
    let (_, traces) = silent(
        &tree("123456", "0b0c9a51-5d0f-4f0e-9c55-1f0f64d3b1f0"),
        &tree("987654", "c7f1d9c2-3a55-4a7e-8b34-9a8f0c6de7aa"),
    );
    assert_eq!(names(&traces.before)[0], "GET /users/{}");
}

#[test]
fn case_8_versions_and_words_with_digits_are_no_identifiers() {
    let trace = trace_of_text(&otlp(1, &[], &[(0, "web", SERVER, "GET /v2/oauth2/users/123456", &[])]));
    assert_eq!(names(&trace), ["GET /v2/oauth2/users/{}"]);
}

/// A page that calls a service that reads a table, in the conventions before 1.23 and in the current ones.
fn conventions(old: bool) -> String {
    let (server, client, query): (Attributes<'_>, Attributes<'_>, Attributes<'_>) = if old {
        (
            &[
                ("http.method", "GET"),
                ("http.target", "/cart?user=7"),
                ("http.route", "/cart"),
                ("http.scheme", "https"),
                ("http.status_code", "200"),
                ("http.flavor", "1.1"),
                ("http.user_agent", "curl/8"),
                ("net.host.name", "shop.example"),
                ("net.host.port", "443"),
            ],
            &[
                ("http.method", "GET"),
                ("http.url", "http://cart:8080/items"),
                ("http.status_code", "200"),
                ("net.peer.name", "cart"),
                ("net.peer.port", "8080"),
            ],
            &[
                ("db.system", "postgresql"),
                ("db.name", "shop"),
                ("db.statement", "SELECT * FROM items WHERE cart = 1"),
                ("db.operation", "SELECT"),
                ("db.sql.table", "items"),
                ("net.peer.name", "db-1"),
            ],
        )
    } else {
        (
            &[
                ("http.request.method", "GET"),
                ("url.path", "/cart"),
                ("url.query", "user=7"),
                ("http.route", "/cart"),
                ("url.scheme", "https"),
                ("http.response.status_code", "200"),
                ("network.protocol.version", "1.1"),
                ("user_agent.original", "curl/8"),
                ("server.address", "shop.example"),
                ("server.port", "443"),
            ],
            &[
                ("http.request.method", "GET"),
                ("url.full", "http://cart:8080/items"),
                ("http.response.status_code", "200"),
                ("server.address", "cart"),
                ("server.port", "8080"),
            ],
            &[
                ("db.system.name", "postgresql"),
                ("db.namespace", "shop"),
                ("db.query.text", "SELECT * FROM items WHERE cart = 1"),
                ("db.operation.name", "SELECT"),
                ("db.collection.name", "items"),
                ("server.address", "db-1"),
            ],
        )
    };
    otlp(
        if old { 100 } else { 200 },
        &[("deployment.environment", "test")][..usize::from(old)],
        &[
            (0, "web", SERVER, if old { "/cart" } else { "GET /cart" }, server),
            (1, "web", CLIENT, if old { "HTTP GET" } else { "GET" }, client),
            (2, "cart", SERVER, "GET /items", &[]),
            (3, "cart", CLIENT, if old { "SELECT shop.items" } else { "SELECT items" }, query),
        ],
    )
}

#[test]
fn case_9_the_migration_of_the_conventions_makes_no_noise() {
    let (diff, traces) = silent(&conventions(true), &conventions(false));
    assert_eq!(names(&traces.before), names(&traces.after));
    assert_eq!(notes(&diff, "semconv").len(), 1, "one line tells of it: {:?}", diff.notes);
}

#[test]
fn case_14_other_hosts_and_versions_are_the_same_service() {
    let side = |id: u128, host: &str, version: &str, sdk: &str| {
        otlp(
            id,
            &[
                ("host.name", host),
                ("host.id", host),
                ("service.version", version),
                ("service.instance.id", host),
                ("k8s.pod.name", host),
                ("telemetry.sdk.version", sdk),
            ],
            &[
                (0, "shop", SERVER, "GET /cart", &[("http.request.method", "GET"), ("http.route", "/cart")]),
                (1, "shop", 1, "render", &[]),
                (1, "shop", CLIENT, "GET", &[("http.request.method", "GET"), ("server.address", "stock")]),
                (3, "stock", SERVER, "GET /stock", &[("http.request.method", "GET"), ("http.route", "/stock")]),
            ],
        )
    };
    let (diff, _) = silent(&side(1, "node-a", "1.4.0", "1.30.0"), &side(2, "node-b", "1.5.0", "1.31.0"));
    assert_eq!(
        notes(&diff, "version"),
        ["service.version of shop, stock: 1.4.0 → 1.5.0", "telemetry.sdk.version of shop, stock: 1.30.0 → 1.31.0"]
    );
}
