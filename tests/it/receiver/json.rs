//! J: the JSON mapping. Each case is posted, and what was stored is looked at.

use super::http::{JSON, PROTO, post_coded, post_json, post_proto, send};
use super::payload::{gzip, json, json_around, json_members, json_with, proto, request, span, value};
use super::seen::{Seen, names};
use super::server::Server;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use prost::Message as _;
use spandiff::model::{Kind, Status};
use std::fmt::Write as _;

fn taken(server: &Server, body: &str) {
    let answer = post_json(server.http, body);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{body}");
}

fn stored(server: &Server, name: &str) -> Seen {
    let mut spans = server.spans();
    spans.retain(|span| span.name == name);
    assert_eq!(spans.len(), 1, "{name}");
    spans.remove(0)
}

/// Posts a span with this value of an attribute `a`; the name is the value itself.
fn attribute(server: &Server, name: &str, any: &str) -> Option<String> {
    taken(server, &json_with(name, &format!(r#""attributes":[{{"key":"a","value":{any}}}]"#)));
    stored(server, name).attributes.get("a").cloned()
}

const TIMES: &str = r#""kind":1,"startTimeUnixNano":"1790000000000000000","endTimeUnixNano":"1790000000005000000""#;

#[test]
fn j_01_ids_in_hexadecimal_of_either_case() {
    let server = Server::start();
    for (name, trace, id, parent) in [
        ("upper", "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174", "EEE19B7EC3C1B173"),
        ("lower", "5b8efff798038103d269b633813fc60d", "eee19b7ec3c1b174", "eee19b7ec3c1b173"),
        ("mixed", "5b8EFFf798038103D269b633813fc60E", "eeE19B7ec3C1B174", "EEE19b7EC3c1b173"),
    ] {
        let links = format!(r#"[{{"traceId":"{trace}","spanId":"{parent}"}}]"#);
        taken(
            &server,
            &json_around(&format!(
                r#"{{"traceId":"{trace}","spanId":"{id}","parentSpanId":"{parent}","name":"{name}","links":{links},{TIMES}}}"#
            )),
        );
        let span = stored(&server, name);
        let trace = u128::from_str_radix(trace, 16).unwrap();
        assert_eq!((span.trace, span.id, span.parent), (trace, 0xeee1_9b7e_c3c1_b174, 0xeee1_9b7e_c3c1_b173));
        assert_eq!(span.links, [(Some(trace), Some(0xeee1_9b7e_c3c1_b173))]);
    }
}

#[test]
fn j_02_invalid_ids_cost_their_span_alone() {
    let server = Server::start();
    let good = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    let bad = [
        ("5b8efff798038103", good.1),                   // 8 bytes
        ("5b8efff798038103d269b633813fc60", good.1),    // 31 digits
        ("0x5b8efff798038103d269b633813fc60c", good.1), // what C++ would print
        ("00000000000000000000000000000000", good.1),
        ("", good.1),
        ("5b8efff798038103d269b633813fc60g", good.1),
        (good.0, "eee19b7ec3c1b17"), // 15 digits
        (good.0, "0000000000000000"),
        (good.0, ""),
        (good.0, "eee19b7ec3c1b174eee19b7ec3c1b174"),
    ];
    for (trace, id) in bad {
        let wrong = format!(r#"{{"traceId":"{trace}","spanId":"{id}","name":"bad","kind":1,{TIMES}}}"#);
        let right = format!("{{{}}}", json_members("good").trim_end_matches(','));
        let answer = post_json(server.http, &json_around(&format!("{wrong},{right}")));
        assert_eq!(answer.status, 200, "{trace} {id}");
        let partial = &answer.json()["partialSuccess"];
        assert_eq!(partial["rejectedSpans"], "1", "{trace} {id}");
        assert!(!partial["errorMessage"].as_str().unwrap().is_empty());
    }
    let spans = server.spans();
    assert_eq!(spans.len(), bad.len());
    assert!(names(&spans).iter().all(|name| *name == "good"));
}

#[test]
fn j_03_kinds_and_statuses_as_numbers_and_leniently_as_names() {
    let server = Server::start();
    let base = |name: &str| json_members(name).replace("\"kind\":2,", "");
    for (name, kind, expected) in [
        ("number", "3", Kind::Client),
        ("name", "\"SPAN_KIND_SERVER\"", Kind::Server),
        ("quoted", "\"4\"", Kind::Producer),
        ("unknown", "42", Kind::Internal),
        ("unspecified", "0", Kind::Internal),
        ("null", "null", Kind::Internal),
    ] {
        taken(&server, &json_around(&format!("{{{}\"kind\":{kind}}}", base(name))));
        assert_eq!(stored(&server, name).kind, expected, "{name}");
    }
    for (name, code, expected) in [
        ("code 2", "2", Status::Error),
        ("code name", "\"STATUS_CODE_ERROR\"", Status::Error),
        ("code 9", "9", Status::Unset),
        ("code 1", "1", Status::Ok),
    ] {
        taken(&server, &json_with(name, &format!(r#""status":{{"code":{code},"message":"m"}}"#)));
        assert_eq!(stored(&server, name).status, expected, "{name}");
    }
}

#[test]
fn j_04_unknown_fields_are_passed_over_at_every_level() {
    let server = Server::start();
    let zz = r#""zz":{"a":[1,{"b":null}]},"#;
    let body = json_with(
        "known",
        r#""attributes":[{"key":"a","value":{"kvlistValue":{"values":[{"key":"b","value":{"intValue":"5"}}]}}}],"events":[{"name":"e"}],"links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}],"status":{"code":2}"#,
    );
    let everywhere =
        body.replace('{', &format!("{{{zz}")).replace(&format!("{zz}}}"), &format!("{}}}", zz.trim_end_matches(',')));
    taken(&server, &everywhere);
    let span = stored(&server, "known");
    assert_eq!(span.attributes["a"], "{b: 5}");
    assert_eq!(
        (span.service.as_str(), span.events.len(), span.links.len(), span.status),
        ("shop", 1, 1, Status::Error)
    );
}

#[test]
fn j_05_snake_case_is_never_swallowed() {
    let server = Server::start();
    let body = r#"{"resource_spans":[{"scope_spans":[{"spans":[{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174","name":"a"}]}]}]}"#;
    let answer = post_json(server.http, body);
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"].as_str().unwrap_or("0"), "0");
    assert!(partial["errorMessage"].as_str().unwrap().contains("snake_case"), "{partial}");
    // It is read all the same, as files with such keys are.
    let spans = server.spans();
    assert_eq!((names(&spans), spans[0].id), (vec!["a"], 0xeee1_9b7e_c3c1_b174));
}

#[test]
fn j_06_64_bit_integers_as_text_and_as_numbers() {
    let server = Server::start();
    for (any, expected) in [
        (r#"{"intValue":"1"}"#, "1"),
        (r#"{"intValue":1}"#, "1"),
        (r#"{"intValue":"-9223372036854775808"}"#, "-9223372036854775808"),
        (r#"{"intValue":9223372036854775807}"#, "9223372036854775807"),
        (r#"{"intValue":9007199254740993}"#, "9007199254740993"),
        (r#"{"intValue":1e3}"#, "1000"),
        (r#"{"intValue":1.0}"#, "1"),
        (r#"{"intValue":"1e3"}"#, "1000"),
    ] {
        let name = any.replace('"', "'");
        assert_eq!(attribute(&server, &name, any).as_deref(), Some(expected), "{any}");
    }
    for (name, start, end) in
        [("times as numbers", "1790000000000000001", "1790000000000000002"), ("as floats", "1.5e18", "\"1.5e18\"")]
    {
        let members =
            json_members(name).replace("\"1790000000000000000\"", start).replace("\"1790000000005000000\"", end);
        taken(&server, &json_around(&format!("{{{}}}", members.trim_end_matches(','))));
    }
    let span = stored(&server, "times as numbers");
    assert_eq!((span.start, span.end), (1_790_000_000_000_000_001, 1_790_000_000_000_000_002));
    assert_eq!(stored(&server, "as floats").start, 1_500_000_000_000_000_000);
}

#[test]
fn j_07_32_bit_integers_may_be_quoted() {
    let server = Server::start();
    taken(&server, &json_with("quoted", r#""flags":"257","droppedAttributesCount":"7""#));
    taken(&server, &json_with("plain", r#""flags":257,"droppedAttributesCount":7"#));
    assert_eq!(stored(&server, "quoted").marks, stored(&server, "plain").marks);
}

#[test]
fn j_08_doubles_in_every_form() {
    let server = Server::start();
    for (any, expected) in [
        (r#"{"doubleValue":5.5}"#, "5.5"),
        (r#"{"doubleValue":"5.5"}"#, "5.5"),
        (r#"{"doubleValue":5}"#, "5.0"),
        (r#"{"doubleValue":"NaN"}"#, "NaN"),
        (r#"{"doubleValue":"Infinity"}"#, "inf"),
        (r#"{"doubleValue":"-Infinity"}"#, "-inf"),
        (r#"{"doubleValue":-0.0}"#, "-0.0"),
        (r#"{"doubleValue":1e300}"#, "1e300"),
    ] {
        assert_eq!(attribute(&server, &any.replace('"', "'"), any).as_deref(), Some(expected), "{any}");
    }
}

#[test]
fn j_09_null_is_the_default_of_every_field() {
    let server = Server::start();
    let all = r#""parentSpanId":null,"traceState":null,"flags":null,"attributes":null,"droppedAttributesCount":null,"events":null,"links":null,"status":null"#;
    taken(&server, &json_with("nulls", all));
    let span = stored(&server, "nulls");
    assert_eq!((span.parent, span.attributes.len(), span.events.len(), span.links.len()), (0, 0, 0, 0));
    // Node writes NaN so.
    let value = attribute(&server, "null double", r#"{"doubleValue":null}"#);
    assert!(value.is_none() || value.as_deref() == Some("empty") || value.as_deref() == Some("0.0"), "{value:?}");
    for body in
        [r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[{"resource":null,"scopeSpans":null,"schemaUrl":null}]}"#]
    {
        taken(&server, body);
    }
    let without_resource = json("no resource").replacen(
        r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#,
        r#""resource":null"#,
        1,
    );
    taken(&server, &without_resource);
    assert_eq!(stored(&server, "no resource").service, "unknown_service");
}

#[test]
fn j_10_what_is_left_out_is_the_default() {
    let server = Server::start();
    assert_eq!(attribute(&server, "empty any", "{}").as_deref(), Some("empty"));
    assert_eq!(attribute(&server, "empty array", r#"{"arrayValue":{}}"#).as_deref(), Some("[]"));
    assert_eq!(attribute(&server, "empty map", r#"{"kvlistValue":{}}"#).as_deref(), Some("{}"));
    taken(&server, &json_with("no key", r#""attributes":[{"value":{"stringValue":"x"}},{"key":"b"},{}]"#));
    let span = stored(&server, "no key");
    assert_eq!(span.attributes.get("b").map(String::as_str), Some("empty"));
    taken(&server, r#"{"resourceSpans":[{}]}"#);
    taken(&server, r#"{"resourceSpans":[{"scopeSpans":[{}]}]}"#);
    let ids_alone = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;
    let answer = post_json(server.http, &json_around(ids_alone));
    assert_eq!(answer.status, 200);
    assert!(server.spans().iter().any(|span| span.name.is_empty() && span.start == 0), "a span without name or times");
}

#[test]
fn j_11_bytes_in_every_base64() {
    let server = Server::start();
    // fb ff bf is +/+/ in one alphabet and -_-_ in the other; fa needs padding.
    for (text, expected) in
        [("+/+/", "0xfbffbf"), ("-_-_", "0xfbffbf"), ("+g==", "0xfa"), ("+g", "0xfa"), ("-g", "0xfa"), ("", "0x")]
    {
        let name = format!("bytes {text}");
        let any = format!(r#"{{"bytesValue":"{text}"}}"#);
        assert_eq!(attribute(&server, &name, &any).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn j_12_every_shape_of_value() {
    let server = Server::start();
    let any = r#"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"},{},{"boolValue":true},{"bytesValue":"/w=="},{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"doubleValue":0.5}]}}}]}}]}}"#;
    assert_eq!(attribute(&server, "all of them", any).as_deref(), Some(r#"["a", 1, empty, true, 0xff, {k: [0.5]}]"#));
}

#[test]
fn j_13_repeated_keys() {
    let server = Server::start();
    // A JSON member twice: protobuf's JSON forbids it; either the request is refused, or one of the two stands.
    let answer = post_json(server.http, &json_with("twice", r#""traceState":"a=1","traceState":"b=2""#));
    assert!([200, 400].contains(&answer.status));
    let spans = server.spans();
    assert_eq!(spans.len(), usize::from(answer.status == 200));
    assert!(spans.iter().all(|span| span.trace_state == "b=2"), "the last one wins: {spans:?}");
    // An attribute twice: the last one wins.
    taken(
        &server,
        &json_with(
            "attribute twice",
            r#""attributes":[{"key":"a","value":{"intValue":"1"}},{"key":"a","value":{"intValue":"2"}}]"#,
        ),
    );
    assert_eq!(stored(&server, "attribute twice").attributes["a"], "2");
}

#[test]
fn j_14_text_that_is_no_json_is_refused() {
    let mut server = Server::start();
    let with = |text: &str| json_with(text, "");
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("NUL byte", json("a\0b").into_bytes()),
        ("escape character", json("a\x1bb").into_bytes()),
        ("invalid UTF-8", json("QQ").bytes().map(|byte| if byte == b'Q' { 0xff } else { byte }).collect()),
        ("cut", json("cut").into_bytes().split_last().unwrap().1.to_vec()),
        ("two documents", [json("one"), json("two")].concat().into_bytes()),
        ("nothing", Vec::new()),
        ("blanks", b"  \n ".to_vec()),
        ("a number", b"5".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a text", b"\"resourceSpans\"".to_vec()),
        ("protobuf", proto("never")),
        ("comment", b"{/* */}".to_vec()),
        ("trailing comma", b"{\"resourceSpans\":[],}".to_vec()),
        ("spans are no list", br#"{"resourceSpans":{"a":1}}"#.to_vec()),
    ];
    for (what, body) in bodies {
        let answer = send(server.http, "POST", "/v1/traces", &[JSON], &body);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert!(answer.json()["message"].is_string(), "{what}");
    }
    // A byte order mark is taken or refused, but nothing else.
    let answer = send(server.http, "POST", "/v1/traces", &[JSON], &[b"\xef\xbb\xbf", json("mark").as_bytes()].concat());
    assert!([200, 400].contains(&answer.status));
    // What breaks within a span costs that span, and is said; the request goes on behind it.
    let broken = format!(
        "{{{}}},{{{}}}",
        json_members(r"\x41").trim_end_matches(','),
        json_members("after").trim_end_matches(',')
    );
    let answer = post_json(server.http, &json_around(&broken));
    assert!(answer.status == 400 || answer.json()["partialSuccess"]["rejectedSpans"] == "1", "{}", answer.text());
    // Half a pair of UTF-16 is grammatical JSON: like bytes that are no UTF-8 in protobuf it costs itself alone (H-18).
    for half in [r"half \ud800", r"half \ud83d\u0041", r"half \udc00"] {
        let answer = post_json(server.http, &with(half));
        assert_eq!(answer.status, 200, "{half}");
        assert!(answer.json()["partialSuccess"]["errorMessage"].as_str().unwrap().contains("UTF-8"), "{half}");
    }
    let spans = server.spans();
    assert!(names(&spans).iter().filter(|name| name.starts_with("half \u{fffd}")).count() == 3, "{:?}", names(&spans));
    // Escaped, all of them are text.
    taken(&server, &json_with(r"a\u0000b\ud83d\ude00\/", ""));
    assert!(names(&server.spans()).contains(&"a\0b😀/"));
    assert!(server.is_alive());
}

/// A span named after its depth, with an array of arrays.
fn nested(name: &str, depth: usize) -> (Vec<u8>, String) {
    let mut any = AnyValue { value: Some(any_value::Value::IntValue(1)) };
    let mut text = String::from(r#"{"intValue":"1"}"#);
    for _ in 0..depth {
        any = AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![any] })) };
        text = format!(r#"{{"arrayValue":{{"values":[{text}]}}}}"#);
    }
    let mut one = span(name);
    one.attributes = vec![KeyValue { key: "a".to_owned(), value: Some(any), ..KeyValue::default() }];
    (request(vec![one]).encode_to_vec(), json_with(name, &format!(r#""attributes":[{{"key":"a","value":{text}}}]"#)))
}

#[test]
fn j_15_one_limit_of_depth_for_both_encodings() {
    let mut server = Server::start();
    for depth in [20, 40, 63] {
        let (binary, text) = nested(&format!("deep {depth}"), depth);
        assert_eq!(post_proto(server.http, &binary).status, 200, "{depth}");
        taken(&server, &text);
    }
    // A little deeper, both keep the span and cut the value, at the same place, and say so.
    let (binary, text) = nested("deep 70", 70);
    let (over_proto, over_json) = (post_proto(server.http, &binary), post_json(server.http, &text));
    assert_eq!((over_proto.status, over_json.status), (200, 200));
    assert_eq!(super::payload::partial(&over_proto.body).unwrap().0, 0);
    assert_eq!(over_json.json()["partialSuccess"]["rejectedSpans"], "0");
    let spans = server.spans();
    for depth in [20, 40, 63, 70] {
        let both: Vec<_> = spans.iter().filter(|span| span.name == format!("deep {depth}")).collect();
        assert_eq!(both.len(), 2, "{depth}");
        assert_eq!(both[0].attributes, both[1].attributes, "{depth}");
    }
    // Far deeper, JSON may cost the span, since its own levels are bounded too; but never silently.
    let (binary, text) = nested("deep 200", 200);
    let (over_proto, over_json) = (post_proto(server.http, &binary), post_json(server.http, &text));
    assert!(!super::payload::partial(&over_proto.body).unwrap().1.is_empty());
    assert!(!over_json.json()["partialSuccess"]["errorMessage"].as_str().unwrap().is_empty());
    assert!(server.is_alive());
}

#[test]
fn j_16_answers_in_the_encoding_of_the_request() {
    let server = Server::start();
    let answer = post_json(server.http, &json("a"));
    assert_eq!((answer.header("content-type"), answer.text().as_str()), (Some("application/json"), "{}"));
    let answer = post_coded(server.http, JSON, "gzip", &gzip(json("b").as_bytes()));
    assert_eq!((answer.header("content-type"), answer.text().as_str()), (Some("application/json"), "{}"));
    let answer = post_coded(server.http, PROTO, "gzip", &gzip(&proto("c")));
    assert_eq!((answer.header("content-type"), answer.body.len()), (Some("application/x-protobuf"), 0));
}

#[test]
fn j_17_rejected_spans_are_text_in_json() {
    let server = Server::start();
    let bad = format!(r#"{{"traceId":"12","spanId":"34","name":"bad",{TIMES}}}"#);
    let answer = post_json(server.http, &json_around(&format!("{bad},{bad},{bad}")));
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "3");
    assert!(answer.text().contains(r#""rejectedSpans":"3""#), "{}", answer.text());
}

/// The same span over both encodings is the same span.
#[test]
fn j_12_both_encodings_store_the_same() {
    let server = Server::start();
    let mut one = span("same");
    one.attributes = vec![
        KeyValue { key: "i".to_owned(), value: Some(value(any_value::Value::IntValue(-5))), ..KeyValue::default() },
        KeyValue {
            key: "d".to_owned(),
            value: Some(value(any_value::Value::DoubleValue(f64::NAN))),
            ..KeyValue::default()
        },
        KeyValue {
            key: "b".to_owned(),
            value: Some(value(any_value::Value::BytesValue(vec![1, 255]))),
            ..KeyValue::default()
        },
    ];
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let text = json_around(&format!(
        r#"{{"traceId":"{}","spanId":"{}","name":"same","kind":2,"startTimeUnixNano":"{}","endTimeUnixNano":"{}","attributes":[{{"key":"i","value":{{"intValue":"-5"}}}},{{"key":"d","value":{{"doubleValue":"NaN"}}}},{{"key":"b","value":{{"bytesValue":"Af8="}}}}]}}"#,
        hex(&one.trace_id),
        hex(&one.span_id),
        one.start_time_unix_nano,
        one.end_time_unix_nano
    ));
    assert_eq!(post_proto(server.http, &request(vec![one]).encode_to_vec()).status, 200);
    taken(&server, &text);
    let spans = server.spans();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0], spans[1]);
}
