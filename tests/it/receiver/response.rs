//! R: what a sender is told.

use super::http::{Answer, JSON, PROTO, head, post_coded, post_json, post_proto, send};
use super::http::{answer, connect};
use super::payload::{CODECS, Status, gzip, json, json_around, partial, proto, request, span, zstd};
use super::peer::{EXPORT, call, code, export, framed};
use super::seen::names;
use super::server::{Server, wait};
use prost::Message as _;
use std::io::Write as _;

/// The `Status` of an error in the encoding that its content type names: code and message.
pub(crate) fn status(answer: &Answer) -> (i64, String) {
    match answer.header("content-type") {
        Some("application/x-protobuf") => {
            let status = Status::decode(answer.body.as_slice()).unwrap();
            (i64::from(status.code), status.message)
        }
        Some("application/json") => {
            let value = answer.json();
            (value["code"].as_i64().unwrap(), value["message"].as_str().unwrap().to_owned())
        }
        other => panic!("{other:?}: {answer:?}"),
    }
}

#[test]
fn r_01_full_success_says_nothing() {
    let server = Server::start();
    let answer = post_proto(server.http, &proto("a"));
    assert_eq!((answer.status, answer.body.len(), partial(&answer.body)), (200, 0, None));
    let answer = post_json(server.http, &json("b"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    let response = export(server.grpc, request(vec![span("c")]), None).unwrap();
    assert_eq!(response.partial_success, None);
}

#[test]
fn r_02_nothing_is_a_success() {
    let server = Server::start();
    for body in [&[][..], &[0x0a, 0x00], &[0x0a, 0x02, 0x12, 0x00]] {
        let answer = post_proto(server.http, body);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{body:?}");
        assert_eq!(call(server.grpc, EXPORT, &[], framed(0, body)).code, code::OK, "{body:?}");
    }
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}"#] {
        assert_eq!(post_json(server.http, body).text(), "{}", "{body}");
    }
    for (name, code) in CODECS {
        assert_eq!(post_coded(server.http, JSON, name, &code(b"{}")).status, 200, "{name}");
    }
    assert!(server.stop().spans.is_empty());
}

#[test]
fn r_03_one_wrong_span_among_good_ones() {
    let server = Server::start();
    let batch = || {
        let mut spans: Vec<_> = (0..10).map(|_| span("good")).collect();
        spans[4].trace_id.truncate(15);
        spans[4].name = "bad".to_owned();
        request(spans)
    };
    let answer = post_proto(server.http, &batch().encode_to_vec());
    assert_eq!(answer.status, 200);
    let (rejected, message) = partial(&answer.body).unwrap();
    assert_eq!(rejected, 1);
    assert!(message.is_ascii() && message.len() > 10, "{message}");
    let over_grpc = export(server.grpc, batch(), None).unwrap().partial_success.unwrap();
    assert_eq!((over_grpc.rejected_spans, over_grpc.error_message), (1, message));
    let spans = server.spans();
    assert!(names(&spans).iter().all(|name| *name == "good"));
    assert_eq!(spans.len(), 18);
    assert_eq!(server.metric("spans_rejected_total"), Some(2));
}

#[test]
fn r_05_every_error_is_a_status_in_the_encoding_of_the_request() {
    let server = Server::with(&["--max-request-bytes", "50000"]);
    let large = vec![0; 50_001];
    let errors = [
        ("POST", "/nothing", "", &b""[..], 404, 12),
        ("GET", "/v1/traces", "", b"", 405, 12),
        ("POST", "/v1/traces", "br", b"x", 415, 12),
        ("POST", "/v1/traces", "", &[0xff; 100], 400, 3),
        ("POST", "/v1/traces", "gzip", b"no gzip", 400, 3),
        ("POST", "/v1/traces", "", &large, 413, 8),
    ];
    for (method, path, encoding, body, expected, code) in errors {
        for kind in [PROTO, JSON] {
            let answer = send(server.http, method, path, &[kind, ("Content-Encoding", encoding)], body);
            assert_eq!((answer.status, answer.header("content-type")), (expected, Some(kind.1)), "{method} {path}");
            let (said, message) = status(&answer);
            assert_eq!(said, code, "{method} {path} {encoding}");
            assert!(!message.is_empty() && message.len() < 1_200);
        }
    }
    // Where the sender's encoding is not known, JSON.
    let answer = send(server.http, "POST", "/v1/traces", &[("Content-Type", "text/plain")], b"x");
    assert_eq!((answer.status, answer.header("content-type")), (415, Some("application/json")));
    assert!(!status(&answer).1.is_empty());
}

#[test]
fn r_06_what_cannot_be_decoded_is_a_bad_request_with_details() {
    let server = Server::start();
    let good = proto("good");
    let mut wrong_type = good.clone();
    wrong_type[0] = 0x08;
    for (what, body) in [
        ("garbage", b"garbage".to_vec()),
        ("cut", good[..good.len() - 3].to_vec()),
        ("a length beyond the end", vec![0x0a, 0x7f, 0x01]),
        ("a varint without end", vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("a field of the wrong type", wrong_type),
        ("JSON", json("never").into_bytes()),
    ] {
        let answer = post_proto(server.http, &body);
        assert_eq!(answer.status, 400, "{what}");
        let status = Status::decode(answer.body.as_slice()).unwrap();
        assert_eq!(status.code, code::INVALID_ARGUMENT);
        assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
        let called = call(server.grpc, EXPORT, &[], framed(0, &body));
        assert_eq!((called.http, called.code), (200, code::INVALID_ARGUMENT), "{what}");
        assert!(!called.has_retry_info() && !called.message.is_empty());
    }
    let answer = post_json(server.http, "{\"resourceSpans\":");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
    assert!(server.stop().spans.is_empty());
}

#[test]
fn r_07_corrupt_compression_is_a_bad_request_in_every_codec() {
    let mut server = Server::start();
    // Large enough that a codec finds out late.
    let text = request((0..3_000).map(|number| span(&format!("{number}"))).collect()).encode_to_vec();
    for (name, code) in CODECS {
        let good = code(&text);
        let mut flipped = good.clone();
        for at in (good.len() / 3..good.len()).step_by(97) {
            flipped[at] ^= 0x55;
        }
        for (what, body) in [
            ("garbage", b"this was never compressed at all".to_vec()),
            ("nothing", Vec::new()),
            ("cut in the middle", good[..good.len() / 2].to_vec()),
            ("cut at the end", good[..good.len() - 1].to_vec()),
            ("flipped", flipped),
            ("zeros", vec![0; 64]),
        ] {
            // A body without a byte, of which nobody says that it is compressed, is an empty request.
            let answer = post_coded(server.http, PROTO, name, &body);
            assert_eq!(answer.status, 400, "{name}, {what}: {answer:?}");
            assert_eq!(status(&answer).0, 3, "{name}, {what}");
        }
    }
    for name in ["gzip", "zstd"] {
        for body in [&b"this was never compressed at all"[..], &[]] {
            let called = call(server.grpc, EXPORT, &[("grpc-encoding", name)], framed(1, body));
            assert_eq!(called.code, code::INVALID_ARGUMENT, "{name} {body:?}");
        }
    }
    assert!(server.is_alive());
    assert!(server.stop().spans.is_empty());
}

/// A request of exactly so many bytes.
fn sized(len: usize) -> Vec<u8> {
    let mut one = span("");
    let empty = request(vec![one.clone()]).encode_to_vec().len();
    for guess in (0..=len - empty).rev() {
        one.name = "x".repeat(guess);
        let body = request(vec![one.clone()]).encode_to_vec();
        if body.len() == len {
            return body;
        }
    }
    panic!("no request has {len} bytes");
}

#[test]
fn r_08_the_limit_holds_to_the_byte() {
    let limit = 20_000;
    let server = Server::with(&["--max-request-bytes", "20000"]);
    let (fits, over) = (sized(limit), sized(limit + 1));
    assert_eq!(post_proto(server.http, &fits).status, 200);
    assert_eq!(status(&post_proto(server.http, &over)).0, 8);
    assert_eq!(call(server.grpc, EXPORT, &[], framed(0, &fits)).code, code::OK);
    for (name, code) in CODECS {
        assert_eq!(post_coded(server.http, PROTO, name, &code(&fits)).status, 200, "{name}");
        assert_eq!(post_coded(server.http, PROTO, name, &code(&over)).status, 413, "{name}");
    }
    for (headers, body) in [
        (&[][..], framed(0, &over)),
        (&[("grpc-encoding", "gzip")], framed(1, &gzip(&over))),
        (&[("grpc-encoding", "zstd")], framed(1, &zstd(&over))),
    ] {
        let called = call(server.grpc, EXPORT, headers, body);
        assert_eq!((called.code, called.has_retry_info()), (code::RESOURCE_EXHAUSTED, false), "{called:?}");
    }
    // Content-Length alone is enough to refuse, before a byte of the body has come.
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "20001")]).as_bytes()).unwrap();
    let early = answer(&mut wire).unwrap();
    assert_eq!((early.status, early.header("retry-after")), (413, None));
    assert_eq!(server.spans().len(), 2 + CODECS.len());
}

#[test]
fn r_09_overload_says_when_to_try_again() {
    let server = Server::with(&["--max-requests", "1"]);
    // One request that does not come to its end takes the only place.
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "100")]).as_bytes()).unwrap();
    wait("the first request", || (server.metric("requests_in_flight")? == 1).then_some(()));
    let (http, grpc) = (server.http, server.grpc);
    let over_grpc = std::thread::spawn(move || call(grpc, EXPORT, &[], framed(0, &proto("refused"))));
    for kind in [PROTO, JSON] {
        let refused = send(http, "POST", "/v1/traces", &[kind], b"");
        assert!([429, 503].contains(&refused.status), "{refused:?}");
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds));
        assert_eq!(status(&refused).0, 14);
    }
    let called = over_grpc.join().unwrap();
    assert_eq!((called.code, called.has_retry_info()), (code::UNAVAILABLE, true), "{called:?}");
    // It goes on as soon as there is room.
    drop(wire);
    wait("room", || (post_proto(server.http, &proto("later")).status == 200).then_some(()));
    assert_eq!(names(&server.spans()), ["later"]);
    assert_eq!(server.metric("requests_refused_total"), Some(3));
}

#[test]
fn r_11_a_body_that_does_not_come_in_time_may_be_sent_again() {
    let server = Server::with(&["--request-timeout", "300ms"]);
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "100")]).as_bytes()).unwrap();
    let late = answer(&mut wire).unwrap();
    assert!([408, 503, 504].contains(&late.status), "{late:?}");
    assert_eq!(post_proto(server.http, &proto("in time")).status, 200);
}

#[test]
fn r_12_answers_stay_short_whatever_was_sent() {
    let server = Server::start();
    let one = format!(r#"{{"traceId":"{0}","spanId":"{0}","name":"{0}","kind":1}}"#, "not hexadecimal ".repeat(4));
    let body = json_around(&vec![one; 100_000].join(","));
    let answer = post_json(server.http, &body);
    assert_eq!((answer.status, answer.json()["partialSuccess"]["rejectedSpans"].as_str()), (200, Some("100000")));
    assert!(answer.body.len() < 4_096, "{}", answer.body.len());
    let long = "x".repeat(1 << 20);
    let answers = [
        send(server.http, "POST", &format!("/{}", "y".repeat(4_000)), &[JSON], b"{}"),
        post_json(server.http, &format!("{{\"{long}\":")),
        send(server.http, "POST", "/v1/traces", &[JSON, ("Content-Encoding", &"z".repeat(4_000))], b"{}"),
    ];
    for answer in answers {
        assert!(answer.status >= 400 && answer.body.len() < 4_096, "{} {}", answer.status, answer.body.len());
        let text = answer.text();
        assert!(!text.contains("yyyyy") && !text.contains("zzzzz"), "{text}");
    }
}

/// A sender that got no answer sends again: both copies are kept as they came, and whoever reads the capture counts one.
#[test]
fn r_13_what_comes_twice_counts_once() {
    let server = Server::with(&["--trace-idle", "100ms", "--root-grace", "100ms", "--window", "1s"]);
    let batch = request(vec![span("once"), span("once")]).encode_to_vec();
    for _ in 0..2 {
        assert_eq!(post_proto(server.http, &batch).status, 200);
    }
    wait("the duplicates", || (server.metric("spans_duplicate_total")? == 2).then_some(()));
    assert_eq!(server.metric("spans_received_total"), Some(4));
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.spans.len(), 4);
}

#[test]
fn r_04_a_warning_goes_with_a_success() {
    let server = Server::start();
    let mut body = proto("bad text");
    let name_at = body.windows(8).position(|bytes| bytes == b"bad text").unwrap();
    body[name_at] = 0xff;
    let answer = post_proto(server.http, &body);
    assert_eq!(answer.status, 200);
    let (rejected, message) = partial(&answer.body).unwrap();
    assert_eq!(rejected, 0);
    assert!(message.contains("UTF-8"), "{message}");
    assert_eq!(server.spans().len(), 1);
    // And no warning when there is none.
    assert_eq!(post_json(server.http, &json("right")).text(), "{}");
}
