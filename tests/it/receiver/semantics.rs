//! S: what a span says beside its name and times is kept.

use super::http::{post_json, post_proto};
use super::payload::{json_around, json_members, request, span, text};
use super::seen::names;
use super::server::Server;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{EntityRef, InstrumentationScope};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status};
use prost::Message as _;
use spandiff::model::{Kind, SpanMarks};

fn post(server: &Server, request: &ExportTraceServiceRequest) {
    let answer = post_proto(server.http, &request.encode_to_vec());
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

#[test]
fn s_01_flags() {
    let server = Server::start();
    let flagged = |name: &str, flags: u32| {
        let mut one = span(name);
        one.flags = flags;
        one.parent_span_id = vec![1; 8];
        one
    };
    let spans = vec![
        flagged("a unknown", 0x03),
        flagged("b local", 0x101),
        flagged("c remote", 0x301),
        // Bits that are not defined yet must not matter.
        flagged("d remote, later", 0xffff_ff01),
        flagged("e not said", 0x201),
    ];
    post(&server, &request(spans));
    let marks: Vec<_> = server
        .spans()
        .iter()
        .map(|span| (span.marks.has(SpanMarks::REMOTE_PARENT), span.marks.has(SpanMarks::LOCAL_PARENT)))
        .collect();
    assert_eq!(marks, [(false, false), (false, true), (true, false), (true, false), (false, false)]);
}

#[test]
fn s_02_kinds_links_and_their_own_state() {
    let server = Server::start();
    let mut spans: Vec<_> = (0..=6)
        .map(|kind| {
            let mut one = span(&format!("kind {kind}"));
            one.kind = kind;
            one
        })
        .collect();
    spans[3].trace_state = "ot=th:8;rv:ffffffffffffff".to_owned();
    spans[3].links = vec![
        Link {
            trace_id: vec![3; 16],
            span_id: vec![4; 8],
            trace_state: "a=b".to_owned(),
            flags: 0x301,
            ..Link::default()
        },
        Link { trace_id: vec![3; 5], span_id: Vec::new(), ..Link::default() },
    ];
    post(&server, &request(spans));
    let spans = server.spans();
    let kinds: Vec<_> = spans.iter().map(|span| span.kind).collect();
    let expected =
        [Kind::Internal, Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer, Kind::Internal];
    assert_eq!(kinds, expected);
    assert_eq!(spans[3].trace_state, "ot=th:8;rv:ffffffffffffff");
    assert_eq!(
        spans[3].links,
        [(Some(0x0303_0303_0303_0303_0303_0303_0303_0303), Some(0x0404_0404_0404_0404)), (None, None)]
    );
}

#[test]
fn s_03_what_the_sender_dropped_is_unknown() {
    let server = Server::start();
    let mut spans: Vec<_> = ["a", "b", "c", "d"].map(span).into();
    spans[1].dropped_attributes_count = 3;
    spans[2].dropped_events_count = 1;
    spans[3].dropped_links_count = 2;
    post(&server, &request(spans));
    let dropped: Vec<_> = server.spans().iter().map(|span| span.marks.has(SpanMarks::DROPPED)).collect();
    assert_eq!(dropped, [false, true, true, true]);
}

#[test]
fn s_04_s_05_one_resource_in_many_envelopes() {
    let server = Server::start();
    let envelope = |name: &str, scope: &str| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![text("service.name", "cart"), text("host.name", "h1")],
            entity_refs: vec![EntityRef { r#type: "service".to_owned(), ..EntityRef::default() }],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope { name: scope.to_owned(), version: "1".to_owned(), ..Default::default() }),
            spans: vec![span(name)],
            schema_url: "https://opentelemetry.io/schemas/1.44.0".to_owned(),
        }],
        schema_url: "https://opentelemetry.io/schemas/1.20.0".to_owned(),
    };
    let mut all = envelope("a", "one");
    all.scope_spans.push(ScopeSpans { spans: vec![span("b")], ..ScopeSpans::default() });
    post(
        &server,
        &ExportTraceServiceRequest { resource_spans: vec![all, envelope("c", "two"), ResourceSpans::default()] },
    );
    let spans = server.spans();
    assert_eq!(names(&spans), ["a", "b", "c"]);
    for span in &spans {
        assert_eq!((span.service.as_str(), span.resource["host.name"].as_str()), ("cart", "\"h1\""), "{}", span.name);
    }
}

#[test]
fn s_06_fields_of_later_versions_do_no_harm() {
    let server = Server::start();
    let mut one = span("known").encode_to_vec();
    // Field 200 of every wire type, of which groups were never in OTLP.
    one.extend([0xc0, 0x0c, 0x05]);
    one.extend([0xc1, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8]);
    one.extend([0xc2, 0x0c, 3, b'a', b'b', b'c']);
    one.extend([0xc5, 0x0c, 1, 2, 3, 4]);
    let mut body = vec![0x12, one.len() as u8];
    if one.len() >= 0x80 {
        body = vec![0x12, one.len() as u8 | 0x80, (one.len() >> 7) as u8];
    }
    body.extend(one);
    for tag in [0x12, 0x0a] {
        let mut outer = vec![tag, body.len() as u8 | 0x80, (body.len() >> 7) as u8];
        outer.extend(body);
        body = outer;
    }
    assert_eq!(post_proto(server.http, &body).status, 200);
    let refs = json_around(&format!("{{{}\"name\":\"with refs\"}}", json_members("x")));
    let refs = refs.replacen("\"attributes\":[", "\"entityRefs\":[{\"type\":\"service\"}],\"attributes\":[", 1);
    let refs = refs.replace("\"name\":\"x\",", "");
    assert_eq!(post_json(server.http, &refs).text(), "{}");
    assert_eq!(names(&server.spans()), ["known", "with refs"]);
}

#[test]
fn s_07_what_old_sdks_send() {
    let server = Server::start();
    let body = json_around(&format!("{{{}}}", json_members("old").trim_end_matches(',')))
        .replace("\"scopeSpans\"", "\"instrumentationLibrarySpans\"")
        .replace("\"scope\":", "\"instrumentationLibrary\":");
    let answer = post_json(server.http, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Taken, or said not to be: never swallowed.
    let is_taken = names(&server.spans()) == ["old"];
    assert!(is_taken || answer.text() != "{}", "200 and no span");
}

#[test]
fn events_and_statuses_come_through() {
    let server = Server::start();
    let mut one = span("eventful");
    one.status = Some(Status { code: 2, message: "deadlock".to_owned() });
    one.events = vec![
        Event { time_unix_nano: 5, name: "miss".to_owned(), attributes: vec![text("key", "cart")], ..Event::default() },
        Event { time_unix_nano: 6, name: "exception".to_owned(), ..Event::default() },
    ];
    post(&server, &request(vec![one]));
    let spans = server.spans();
    assert_eq!(spans[0].events, [("miss".to_owned(), 5), ("exception".to_owned(), 6)]);
    assert_eq!(spans[0].status, spandiff::model::Status::Error);
}
