//! The admin port: every path, who may ask, and that the `OpenAPI` file says what is answered.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use serde_json::Value;
use spandiff::diff::{Day, DiffOptions, InputSide, Look, Outcome, Policy, gate, population};
use spandiff::ingest::profile_codec;
use spandiff::model::profile::Profile;
use spandiff::model::{Limits, Pair};
use spandiff::receiver::admin::{self, AdminState, Answered, GENERATION, Keeper, OPENAPI, PATHS, Phase};
use spandiff::receiver::board::{Board, Judged, WindowInfo};
use spandiff::receiver::counters::Counters;
use spandiff::receiver::mark::Mark;
use spandiff::receiver::moment::Moment;
use spandiff::receiver::token::Token;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The time in all these tests: 100 s after the end of the window that was judged.
const NOW: u64 = 1_800_000_000_000_000_000;
const WINDOW: (u64, u64) = (NOW - 160_000_000_000, NOW - 100_000_000_000);

/// Both sides of a sample.
pub(crate) fn profiles(sample: &str) -> Pair<Profile> {
    let read = |side: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(sample).join(side);
        let bytes = std::fs::read(path).unwrap();
        profile_codec::decode(&mut &bytes[..], &Limits::default()).unwrap()
    };
    Pair::new(read("before.spanprofile"), read("after.spanprofile"))
}

/// A sample as the receiver would judge it.
pub(crate) fn judged(sample: &'static str, cohort: &str) -> Judged {
    static KNOWN: OnceLock<Mutex<BTreeMap<&'static str, Judged>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().unwrap();
    let judged = known.entry(sample).or_insert_with(|| judge(profiles(sample)));
    Judged { cohort: cohort.to_owned(), ..judged.clone() }
}

fn judge(profiles: Pair<Profile>) -> Judged {
    let inputs = profiles.as_ref().map(|profile| InputSide {
        traces: profile.totals.traces,
        spans: profile.totals.spans,
        window_ns: profile.totals.window_ns,
        ..InputSide::default()
    });
    let policy = Policy::default();
    let options = DiffOptions { population: policy.population(), ..DiffOptions::default() };
    let mut diff = population::compare(&profiles, inputs, &options);
    let verdict = gate::judge(&mut diff, &policy, Day(20_000));
    Judged {
        generation: 0,
        cohort: String::new(),
        baseline: "before mark \"deploy\"".to_owned(),
        window_ns: WINDOW,
        mark: Some(Mark::new("deploy", WINDOW.0)),
        windows: 1,
        look: Some(Look::Planned { look: 1, looks: 10 }),
        diff: Arc::new(diff),
        verdict: Arc::new(verdict),
        before: Arc::new(profiles.before),
        after: Arc::new(profiles.after),
    }
}

/// Keeps marks on the board, and judges whatever it is asked for as it did before.
struct Notebook {
    board: Arc<Board>,
}

fn token(text: &str) -> Option<Arc<Token>> {
    Token::of_file(text).map(Arc::new)
}

impl Keeper for Notebook {
    fn mark(&self, mark: Mark) -> Answered<Option<Mark>> {
        if mark.label == "never" {
            return Box::pin(std::future::ready(None));
        }
        let mut marks = self.board.marks().to_vec();
        marks.push(mark.clone());
        self.board.set_marks(marks);
        Box::pin(std::future::ready(Some(mark)))
    }

    fn judge(&self, cohort: Option<&str>, baseline: &str) -> Result<Judged, String> {
        assert_ne!(baseline, "window:13d", "this one breaks");
        let judged = self.board.newest(cohort).ok_or("no window has been judged yet")?;
        Ok(Judged { generation: 0, baseline: baseline.replace(':', " "), ..Judged::clone(&judged) })
    }
}

/// An admin port without a socket.
struct Port {
    state: Arc<AdminState>,
    board: Arc<Board>,
    phase: watch::Sender<Phase>,
    runtime: tokio::runtime::Runtime,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A refusal: its status, and the hint that it gives.
    fn refused(&self, status: u16, hint: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let document = self.json();
        assert!(document["error"].as_str().is_some_and(|error| !error.is_empty()), "{document}");
        assert!(document["hint"].as_str().unwrap().contains(hint), "{document}");
    }
}

impl Port {
    fn new() -> Port {
        Port::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut AdminState)) -> Port {
        let board = Arc::new(Board::new());
        let (phase, seen) = watch::channel(Phase::Listening);
        let now = || Moment { steady_ns: 1, unix_ns: NOW };
        let mut state = AdminState::new(Arc::new(Counters::default()), Arc::clone(&board), seen, now);
        state.keeper = Some(Arc::new(Notebook { board: Arc::clone(&board) }));
        state.settings.window_ns = Some(60_000_000_000);
        state.settings.started_unix_ns = NOW - 3_600_000_000_000;
        change(&mut state);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Port { state: Arc::new(state), board, phase, runtime }
    }

    /// Asks with a method, a path, headers and a body.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:4319");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.runtime.block_on(async {
            let (parts, body) = admin::answer(request, &self.state).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: parts.status, headers: parts.headers, body }
        })
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }
}

#[test]
fn health_is_free_and_readiness_means_listening() {
    let port = Port::with(|state| {
        state.access.is_loopback = false;
        state.access.token = token("s3cret");
    });
    let pod = &[("host", "10.1.2.3:4319")];
    for path in ["/healthz", "/readyz"] {
        let answer = port.ask("GET", path, pod, "");
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
        assert_eq!(port.ask("HEAD", path, pod, "").status, StatusCode::OK);
    }
    for phase in [Phase::Starting, Phase::Draining] {
        port.phase.send_replace(phase);
        let answer = port.ask("GET", "/readyz", pod, "");
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert_eq!(port.ask("GET", "/healthz", pod, "").status, StatusCode::OK);
    }
}

#[test]
fn before_the_first_window_the_gate_is_inconclusive_and_the_rest_says_so() {
    let port = Port::new();
    let answer = port.get("/v1/gate");
    assert_eq!(answer.status, StatusCode::OK);
    let verdict = answer.json();
    assert_eq!(
        (&verdict["verdict"], &verdict["ok"], &verdict["score"]),
        (&"inconclusive".into(), &false.into(), &Value::Null)
    );
    assert_eq!(verdict["reason"], "no window has been judged yet");
    port.get("/v1/gate?format=full").refused(404, "/v1/status");
    port.get("/v1/diff").refused(404, "/v1/status");
    port.get("/v1/profile").refused(404, "/v1/status");
    assert_eq!(port.get("/v1/gate/flagger").status.as_u16(), 425);
    assert_eq!(port.get("/v1/gate/flagger?inconclusive=pass").status, StatusCode::OK);
    // A canary that nothing was received of yet is no error either.
    port.board.publish(judged("maintenance", "stable"));
    let verdict = port.get("/v1/gate?canary=6f9d").json();
    assert_eq!(
        (&verdict["verdict"], &verdict["reason"]),
        (&"inconclusive".into(), &"nothing was judged of cohort 6f9d".into())
    );

    let alone = Port::with(|state| state.keeper = None);
    assert!(alone.get("/v1/gate").json()["reason"].as_str().unwrap().contains("--window off"));
    alone.ask("POST", "/v1/mark", &[], "").refused(409, "--window");
}

#[test]
fn a_pass_that_is_old_lets_nothing_through() {
    let port = Port::new();
    // Windows of 60 s: three of them and a minute are 240 s.
    let aged = |sample, cohort, age_s: u64, look| {
        let end = NOW - age_s * 1_000_000_000;
        let window_ns = (end - 60_000_000_000, end);
        Judged { window_ns, look: Some(Look::Planned { look, looks: 10 }), ..judged(sample, cohort) }
    };
    port.board.publish(aged("quiet-release", "fresh", 240, 1));
    port.board.publish(aged("quiet-release", "old", 241, 1));
    port.board.publish(aged("quiet-release", "done", 9_999, 10));
    port.board.publish(aged("maintenance", "bad", 9_999, 1));
    let verdict = |cohort: &str| port.get(&format!("/v1/gate?cohort={cohort}")).json()["verdict"].clone();
    assert_eq!(["fresh", "old", "done", "bad"].map(verdict), ["pass", "inconclusive", "pass", "fail"]);
    let old = port.get("/v1/gate/flagger?cohort=old");
    assert_eq!(old.status.as_u16(), 425);
    assert!(old.text().contains("nothing was judged for 241 s"), "{}", old.text());
}

#[test]
fn a_verdict_is_told_to_argo_and_to_flagger() {
    let port = Port::new();
    let (worse, calm) = (judged("maintenance", "v2"), judged("quiet-release", "v1"));
    assert_eq!((worse.verdict.result, calm.verdict.result), (Outcome::Fail, Outcome::Pass));
    port.board.publish(calm);
    port.board.publish(worse.clone());

    let answer = port.get("/v1/gate?cohort=v2");
    assert_eq!((answer.status, answer.header(GENERATION.as_str())), (StatusCode::OK, "2"));
    let verdict = answer.json();
    assert_eq!((&verdict["verdict"], &verdict["ok"], &verdict["score"]), (&"fail".into(), &false.into(), &0.0.into()));
    let first = &worse.verdict.reasons[0];
    assert!(verdict["reason"].as_str().unwrap().contains("regression"), "{verdict:#}");
    assert_eq!(verdict["reasons"][0]["message"], first.message.as_str());
    assert_eq!((&verdict["age_seconds"], &verdict["look"]["looks"]), (&100.0.into(), &10.into()));
    assert_eq!(verdict["window"]["end_unix_ns"], WINDOW.1.to_string());
    // The newest of all without a cohort; both words for it.
    assert_eq!(port.get("/v1/gate").json()["cohort"], "v2");
    let calm = port.get("/v1/gate?canary=v1").json();
    assert_eq!((&calm["verdict"], &calm["ok"], &calm["score"]), (&"pass".into(), &true.into(), &1.0.into()));
    // Another baseline is asked for: a word by itself is a cohort.
    assert_eq!(port.get("/v1/gate?canary=v2&baseline=stable").json()["baseline"], "cohort stable");
    assert_eq!(port.get("/v1/gate?baseline=window:7d").json()["baseline"], "window 7d");

    let full = port.get("/v1/gate?cohort=v2&format=full").json();
    assert_eq!((&full["schema"], &full["verdict"]["result"]), (&"spandiff.gate/v1".into(), &"fail".into()));

    let failed = port.get("/v1/gate/flagger?cohort=v2");
    assert_eq!(failed.status.as_u16(), 422);
    assert!(failed.text().starts_with("spandiff: fail: ") && failed.text().lines().count() == 1, "{}", failed.text());
    assert_eq!(port.get("/v1/gate/flagger?cohort=v1").status, StatusCode::OK);
    // What Flagger sends itself.
    let body =
        r#"{"name":"podinfo","namespace":"test","phase":"Progressing","metadata":{"cohort":"v1","other":"x","n":1}}"#;
    let json = &[("content-type", "application/json; charset=utf-8")];
    assert_eq!(port.ask("POST", "/v1/gate/flagger", json, body).status, StatusCode::OK);
    assert_eq!(port.ask("POST", "/v1/gate/flagger?cohort=v2", json, body).status.as_u16(), 422);
    port.ask("POST", "/v1/gate/flagger", json, "{").refused(400, "metadata");
    port.ask("POST", "/v1/gate/flagger", &[("content-type", "text/plain")], body).refused(415, "application/json");
}

#[test]
fn differences_and_profiles_are_downloaded() {
    let port = Port::new();
    let sample = judged("maintenance", "../v2");
    port.board.publish(sample.clone());
    let answer = port.get("/v1/diff");
    assert_eq!(answer.json()["schema"], "spandiff.diff/v1");
    assert_eq!(answer.header("spandiff-generation"), "1");
    let text = port.get("/v1/diff?format=text");
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.text().contains(&sample.diff.findings[0].operation().unwrap().name.to_string()), "{}", text.text());
    assert_eq!(port.get("/v1/diff?format=markdown").header("content-type"), "text/markdown; charset=utf-8");
    port.get("/v1/diff?format=xml").refused(400, "json, text, markdown");

    for (side, profile) in [("before", &sample.before), ("after", &sample.after)] {
        let answer = port.get(&format!("/v1/profile?side={side}&cohort=../v2"));
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("content-disposition"), format!("attachment; filename=\"-v2-{side}.spanprofile\""));
        assert_eq!(answer.body, profile_codec::encode(profile).unwrap());
    }
    assert_eq!(port.get("/v1/profile").body, port.get("/v1/profile?side=after").body);
    // HEAD is the same without the body.
    let head = port.ask("HEAD", "/v1/diff", &[], "");
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), answer.body.len().to_string());
    // What fits together has one tag; what was made for a request fits to nothing else.
    let tag = |path: &str| port.get(path).header("etag").to_owned();
    assert_eq!(tag("/v1/profile?side=before"), format!("\"{}-1\"", NOW - 3_600_000_000_000));
    assert_eq!(tag("/v1/profile?side=before"), tag("/v1/profile?side=after"));
    assert_eq!(tag("/v1/profile?baseline=mark"), "");
    port.get("/v1/profile?baseline=window:soon").refused(400, "window:7d");
    // A bug in there is an answer, and is counted.
    port.get("/v1/diff?baseline=window:13d").refused(500, "report");
    assert_eq!(port.state.counters.panics.get(), 1);
}

#[test]
fn marks_are_set_in_three_ways_and_no_other() {
    let port = Port::new();
    let json = &[("content-type", "application/json")];
    let answer = port.ask("POST", "/v1/mark", json, r#"{"label": "deploy v2\u001b[2J", "looks": 10, "cohort": "v2"}"#);
    assert_eq!(answer.status, StatusCode::CREATED);
    let mark = answer.json();
    assert_eq!(
        (&mark["looks"], &mark["cohort"], &mark["unix_ns"]),
        (&10.into(), &"v2".into(), &NOW.to_string().into())
    );
    assert_eq!(mark["time"], "2027-01-15 08:00:00 UTC");
    assert!(!answer.text().contains('\u{1b}'), "no escape code leaves");
    let form = &[("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(port.ask("POST", "/v1/mark", form, "label=deploy+v3&looks=1").json()["label"], "deploy v3");
    assert_eq!(port.ask("POST", "/v1/mark?label=by%20query", &[], "").json()["label"], "by query");
    assert_eq!(port.ask("POST", "/v1/mark", &[], "").json()["label"], "deployment");
    assert_eq!(port.board.marks().len(), 4);

    port.ask("POST", "/v1/mark", &[("content-type", "text/plain")], "{}").refused(415, "application/json");
    port.ask("POST", "/v1/mark", &[], "{}").refused(415, "application/json");
    for wrong in ["{", "[]", r#"{"lable": "x"}"#, r#"{"looks": "ten"}"#, r#"{"looks": -1}"#] {
        port.ask("POST", "/v1/mark", json, wrong).refused(400, "label");
    }
    for looks in ["0", "101", "18446744073709551616", "x"] {
        assert_eq!(port.ask("POST", &format!("/v1/mark?looks={looks}"), &[], "").status, StatusCode::BAD_REQUEST);
    }
    port.ask("POST", "/v1/mark?nam=x", &[], "").refused(400, "label, looks, cohort");
    let large = vec![b' '; admin::MAX_BODY_BYTES + 1];
    port.ask("POST", "/v1/mark", json, large).refused(413, "few hundred");
    port.ask("POST", "/v1/mark?label=never", &[], "").refused(503, "again");
    assert_eq!(port.board.marks().len(), 4);
}

#[test]
fn loopback_answers_to_its_own_name_only() {
    let port = Port::new();
    for host in ["evil.example", "evil.example:4319", "10.0.0.1:4319", "localhost.evil.example"] {
        port.ask("GET", "/v1/gate", &[("host", host)], "").refused(421, "localhost");
    }
    for host in ["localhost", "localhost:4319", "127.0.0.1", "[::1]:4319"] {
        assert_eq!(port.ask("GET", "/v1/gate", &[("host", host)], "").status, StatusCode::OK);
    }
    // The name of the request's line counts as well.
    port.ask("GET", "http://evil.example/v1/gate", &[], "").refused(421, "localhost");
    let nameless = Request::builder().uri("/v1/gate").body(Full::<Bytes>::default()).unwrap();
    let answer = port.runtime.block_on(admin::answer(nameless, &port.state));
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[test]
fn elsewhere_the_token_is_asked_for() {
    let open = Port::with(|state| state.access.is_loopback = false);
    open.ask("GET", "/v1/gate", &[], "").refused(403, "--token-file");
    let port = Port::with(|state| {
        state.access.is_loopback = false;
        state.access.token = token("s3cret\n");
    });
    for path in ["/metrics", "/v1/gate", "/v1/status", "/openapi.json", "/nowhere"] {
        let answer = port.get(path);
        answer.refused(401, "Bearer");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    for wrong in ["Bearer s3cre", "Bearer s3crett", "Basic s3cret", "s3cret", "Bearer", ""] {
        port.ask("GET", "/v1/gate", &[("authorization", wrong)], "").refused(401, "Bearer");
    }
    for right in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "] {
        let host = ("host", "spandiff.shop.svc");
        assert_eq!(port.ask("GET", "/v1/gate", &[("authorization", right), host], "").status, StatusCode::OK);
    }
    let twice = &[("authorization", "Bearer s3cret"), ("authorization", "Bearer s3cret")];
    port.ask("GET", "/v1/gate", twice, "").refused(401, "Bearer");
}

#[test]
fn pages_ask_from_the_configured_origin_only() {
    let preflight = |port: &Port, origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        port.ask("OPTIONS", "/v1/mark", &headers, "")
    };
    let closed = Port::new();
    let evil = "https://evil.example";
    assert_eq!(preflight(&closed, evil).header("access-control-allow-origin"), "");
    // A form needs no preflight, so it is not the browser that keeps it out.
    let form = [("origin", evil), ("content-type", "application/x-www-form-urlencoded")];
    closed.ask("POST", "/v1/mark", &form, "label=x").refused(403, "--admin-origin");
    closed.ask("GET", "/v1/gate", &[("origin", "null")], "").refused(403, "--admin-origin");
    assert!(closed.board.marks().is_empty());

    let page = "https://grafana.example";
    let open = Port::with(|state| state.access.origin = Some(page.to_owned()));
    let asked = preflight(&open, page);
    assert_eq!(asked.status, StatusCode::NO_CONTENT);
    assert_eq!(asked.header("access-control-allow-origin"), page);
    assert_eq!(asked.header("access-control-allow-methods"), "POST, OPTIONS");
    assert_eq!(asked.header("access-control-allow-headers"), "authorization, content-type");
    assert_eq!((asked.header("access-control-max-age"), asked.header("vary")), ("600", "origin"));
    assert_eq!(asked.header("access-control-allow-credentials"), "");
    let answer = open.ask("GET", "/v1/gate", &[("origin", page)], "");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, page));
    assert_eq!(preflight(&open, evil).header("access-control-allow-origin"), "");
    let refused = open.ask("GET", "/v1/gate", &[("origin", evil)], "");
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (StatusCode::FORBIDDEN, ""));
    // Without an origin nothing is shared, but caches are told that it depends on one.
    assert_eq!(open.get("/v1/gate").header("vary"), "origin");
}

#[test]
fn what_is_not_there_is_named() {
    let port = Port::new();
    let answer = port.get("/v1/gait\u{7f}".replace('\u{7f}', "%7F").as_str());
    answer.refused(404, "/v1/gate, ");
    for (path, methods) in PATHS {
        let answer = port.ask("DELETE", path, &[], "");
        answer.refused(405, methods);
        assert_eq!(answer.header("allow"), methods);
        assert_eq!(port.ask("OPTIONS", path, &[], "").header("allow"), methods);
    }
    port.get("/v1/gate?cohrt=x").refused(400, "format, cohort, canary, baseline");
    port.get("/metrics?x=1").refused(400, "no parameters");
}

#[test]
fn status_waits_for_news_and_not_for_ever() {
    let port = Port::new();
    let empty = port.get("/v1/status").json();
    assert_eq!(
        (&empty["generation"], &empty["phase"], &empty["uptime_seconds"]),
        (&0.into(), &"listening".into(), &3600.0.into())
    );
    let since = Instant::now();
    assert_eq!(port.get("/v1/status?after=0&wait=50ms").json()["generation"], 0);
    assert!(since.elapsed() >= Duration::from_millis(50));
    // Who waits is answered as soon as there is something newer.
    let board = Arc::clone(&port.board);
    let publisher = std::thread::spawn(move || board.publish(judged("maintenance", "")));
    assert_eq!(port.get("/v1/status?after=0&wait=60s").json()["generation"], 1);
    publisher.join().unwrap();
    // A number of another run is none to wait for.
    let since = Instant::now();
    assert_eq!(port.get("/v1/status?after=7&wait=60s").json()["generation"], 1);
    // And nobody waits for a receiver that stops.
    port.phase.send_replace(Phase::Draining);
    assert_eq!(port.get("/v1/status?after=1&wait=60s").json()["phase"], "draining");
    assert!(since.elapsed() < Duration::from_secs(30));
    let window = |end: u64| WindowInfo {
        cohort: "v1".into(),
        start_unix_ns: end - 60,
        end_unix_ns: end,
        traces: 3,
        spans: 9,
        bytes: 100,
    };
    port.board.set_windows((1_000..1_200).map(window).collect());
    let full = port.get("/v1/status").json();
    assert_eq!((full["windows"].as_array().unwrap().len(), &full["windows_total"]), (100, &200.into()));
    assert_eq!(full["windows"][0]["end_unix_ns"], "1199");
    assert_eq!((&full["cohorts"][0]["verdict"], &full["cohorts"][0]["age_seconds"]), (&"fail".into(), &100.0.into()));
}

#[test]
fn metrics_are_openmetrics_and_bounded() {
    let port = Port::new();
    port.state.counters.spans_received.add(12_345);
    port.state.counters.connections.set(7);
    let mut hostile = judged("maintenance", "v2\"} 1\n# EOF\u{1b}\\");
    hostile.verdict = Arc::clone(&hostile.verdict);
    port.board.publish(hostile);
    for cohort in 0..60 {
        port.board.publish(judged("quiet-release", &format!("c{cohort}")));
    }
    let hostile = judged("maintenance", "v2\"} 1\n# EOF\u{1b}\\");
    port.board.publish(hostile);
    let answer = port.get("/metrics");
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let families = families(answer.text());
    assert_eq!(families["spandiff_receiver_spans_received"], ["spandiff_receiver_spans_received_total 12345"]);
    assert_eq!(families["spandiff_receiver_connections"], ["spandiff_receiver_connections 7"]);
    let version = concat!("spandiff_receiver_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1");
    assert_eq!(families["spandiff_receiver_build"], [version]);
    let verdicts = &families["spandiff_receiver_verdict"];
    assert_eq!(verdicts.len(), 20 * 4, "twenty cohorts, one-hot");
    assert_eq!(verdicts.iter().filter(|line| line.ends_with(" 1")).count(), 20);
    let own: Vec<_> = verdicts.iter().filter(|line| line.contains("v2")).collect();
    assert_eq!(own.len(), 4);
    assert!(own.iter().any(|line| line.contains(r#"cohort="v2\"} 1\\n# EOF\\u{1b}\\",verdict="fail"} 1"#)), "{own:?}");
    assert!(families["spandiff_receiver_window_age_seconds"].iter().all(|line| line.ends_with(" 100.000000")));
    let shifts = &families["spandiff_receiver_shift_contribution_seconds"];
    assert!(!shifts.is_empty() && shifts.len() <= 20 * 10);
    assert!(answer.text().lines().count() < 2_000);
}

/// Reads `OpenMetrics` as strictly as its grammar is: families by name, each in one piece, with type and help before its
/// samples, each series once, and the end where the end is.
fn families(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let body = text.strip_suffix("# EOF\n").expect("ends with # EOF");
    assert!(!body.contains("# EOF\n"));
    let (mut families, mut series) = (BTreeMap::<&str, Vec<&str>>::new(), BTreeSet::new());
    let (mut open, mut kind) = ("", "");
    for line in body.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            (open, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(open, Vec::new()).is_none(), "{open} is there twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.starts_with(open) && families[open].is_empty(), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name), "{line} is there twice");
            let suffix = name.strip_prefix(open).unwrap().split('{').next().unwrap();
            assert_eq!(
                suffix,
                match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                }
            );
            families.get_mut(open).unwrap().push(line);
        }
    }
    families
}

fn openapi() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn the_openapi_file_says_what_is_answered() {
    let document = openapi();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    // HEAD and OPTIONS are described in words, for all paths at once.
    let answered = PATHS
        .iter()
        .flat_map(|(path, methods)| methods.split(", ").map(|method| ((*path).to_owned(), method.to_owned())));
    let answered: BTreeSet<_> = answered.filter(|(_, method)| method != "HEAD" && method != "OPTIONS").collect();
    assert_eq!(described, answered);
    // Each of them is really answered, and by nothing that the file does not know; no reference leads nowhere.
    let port = Port::new();
    for (path, method) in &described {
        let status = port.ask(method, path, &[], "").status.as_u16();
        let known = &document["paths"][path][method.to_lowercase()]["responses"];
        assert!(known[status.to_string()].is_object(), "{method} {path} answers {status}");
        assert_ne!(status, 405);
    }
    references(&document, &document);
    assert_eq!(port.get("/openapi.json").json(), document);
}

/// Every `$ref` of a value leads somewhere in the document.
fn references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(place)) = members.get("$ref") {
                assert!(document.pointer(place.strip_prefix('#').unwrap()).is_some(), "{place}");
            }
            members.values().for_each(|value| references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|value| references(document, value)),
        _ => {}
    }
}

#[test]
fn the_openapi_file_describes_parameters_and_answers_as_they_are() {
    let document = openapi();
    let resolve = |value: &Value| match value["$ref"].as_str() {
        Some(place) => document.pointer(place.strip_prefix('#').unwrap()).unwrap().clone(),
        None => value.clone(),
    };
    let port = Port::new();
    port.board.publish(judged("maintenance", "v2"));
    for (path, _) in PATHS {
        for (method, operation) in document["paths"][path].as_object().unwrap() {
            let parameters: Vec<Value> =
                operation["parameters"].as_array().into_iter().flatten().map(resolve).collect();
            let names: Vec<&str> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
            // A refusal of an unknown parameter names those that there are.
            let refused = port.ask(&method.to_uppercase(), &format!("{path}?unknown=1"), &[], "");
            if refused.status == StatusCode::BAD_REQUEST && !names.is_empty() {
                assert!(
                    refused.json()["hint"].as_str().unwrap().ends_with(&format!("are {}", names.join(", "))),
                    "{path}"
                );
            } else {
                assert!(names.is_empty(), "{path}");
            }
        }
    }
    let validates = |schema: &str, value: &Value| {
        let whole = serde_json::json!({ "$ref": format!("#/components/schemas/{schema}"), "components": document["components"] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let wrong: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{schema}: {wrong:?}");
    };
    validates("Verdict", &port.get("/v1/gate").json());
    validates("Verdict", &Port::new().get("/v1/gate").json());
    validates("GateDocument", &port.get("/v1/gate?format=full").json());
    validates("DiffDocument", &port.get("/v1/diff").json());
    validates("Mark", &port.ask("POST", "/v1/mark?looks=3", &[], "").json());
    validates("Status", &port.get("/v1/status").json());
    validates("Error", &port.get("/nowhere").json());
}
