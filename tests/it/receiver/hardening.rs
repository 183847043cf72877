//! H: limits and abuse. After each attack the receiver lives, its memory was bounded, and a healthy sender is served.

use super::http::{JSON, PROTO, answer, ask, chunked, connect, head, post_coded, post_json, post_proto, send};
use super::payload::{
    Code, gzip, json, json_with, lz4, proto, request, snappy_block, snappy_framed, span, text, zlib, zstd,
};
use super::peer::{EXPORT, Frames, call, code, export, frame, framed};
use super::seen::names;
use super::server::{Server, wait};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use prost::Message as _;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The receiver's own bound on memory in these tests, and what it may have beside it: the program, its threads' stacks,
/// and one request.
const MEMORY: &str = "256MiB";
const BOUND: u64 = (256 + 64) << 20;

fn bounded() -> Server {
    Server::with(&["--max-memory", MEMORY, "--max-request-bytes", "32MiB", "--window", "off"])
}

/// That an attack has done no harm.
fn is_unharmed(server: &mut Server, what: &str) {
    assert_eq!(post_proto(server.http, &proto("healthy")).status, 200, "{what}");
    export(server.grpc, request(vec![span("healthy")]), None).unwrap_or_else(|status| panic!("{what}: {status}"));
    assert!(server.is_alive(), "{what}");
    assert_eq!(server.metric("panics_total"), Some(0), "{what}");
    let most = server.memory("VmHWM");
    assert!(most < BOUND, "{what}: {} MiB", most >> 20);
}

#[test]
fn h_01_bombs_in_every_codec() {
    let mut server = bounded();
    let codecs: [(&str, Code); 6] = [
        ("gzip", gzip),
        ("zstd", zstd),
        ("deflate", zlib),
        ("snappy", snappy_block),
        ("x-snappy-framed", snappy_framed),
        ("lz4", lz4),
    ];
    let zeros = vec![0; 70 << 20];
    for (name, code) in codecs {
        let bomb = code(&zeros);
        let answer = post_coded(server.http, PROTO, name, &bomb);
        assert_eq!(answer.status, 413, "{name}");
    }
    // The same within gRPC, where older servers did not look.
    for (name, code) in [("gzip", gzip as Code), ("zstd", zstd), ("snappy", snappy_framed)] {
        let called = call(server.grpc, EXPORT, &[("grpc-encoding", name)], framed(1, &code(&zeros)));
        assert_eq!((called.code, called.has_retry_info()), (code::RESOURCE_EXHAUSTED, false), "{name}");
    }
    // A bomb of several gzip members, and one inside a gzip that is itself small.
    let members: Vec<u8> = std::iter::repeat_n(gzip(&zeros[..8 << 20]), 8).flatten().collect();
    assert_eq!(post_coded(server.http, PROTO, "gzip", &members).status, 413);
    assert_eq!(post_coded(server.http, PROTO, "gzip", &gzip(&gzip(&zeros))).status, 400);
    is_unharmed(&mut server, "bombs");
}

#[test]
fn h_01_bombs_at_the_same_time() {
    let mut server = bounded();
    // Each fits the limit of one request, all of them together do not fit the memory.
    let bomb = gzip(&vec![0x0a; 30 << 20]);
    let http = server.http;
    let senders: Vec<_> = (0..12)
        .map(|_| {
            let bomb = bomb.clone();
            std::thread::spawn(move || post_coded(http, PROTO, "gzip", &bomb).status)
        })
        .collect();
    for sender in senders {
        let status = sender.join().unwrap();
        assert!([400, 413, 503].contains(&status), "{status}");
    }
    is_unharmed(&mut server, "bombs at the same time");
}

#[test]
fn h_01_a_length_that_lies() {
    let mut server = bounded();
    // gRPC's frame claims 4 GiB, and 20 bytes follow.
    let mut frame = framed(0, &[0; 20]);
    frame[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(call(server.grpc, EXPORT, &[], frame).code, code::RESOURCE_EXHAUSTED);
    // It claims 10 MiB, and nothing more comes.
    let mut frame = framed(0, &[0; 20]);
    frame[1..5].copy_from_slice(&(10_u32 << 20).to_be_bytes());
    assert_ne!(call(server.grpc, EXPORT, &[], frame).code, code::OK);
    let lengths = ["18446744073709551615", "99999999999999999999999", "-1", "1e9", "0x10", "10, 20"];
    for length in lengths {
        let mut wire = connect(server.http);
        let _ = wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", length)]).as_bytes());
        if let Some(answer) = answer(&mut wire) {
            assert!([400, 413, 431].contains(&answer.status), "{length}: {answer:?}");
        }
    }
    is_unharmed(&mut server, "lengths");
}

#[test]
fn h_02_snappy_that_claims_four_gigabytes() {
    let mut server = bounded();
    let before = server.memory("VmHWM");
    for claim in [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x80, 0x80, 0x80, 0x10], &[0xff; 10]] {
        let body = [claim, &[0; 20]].concat();
        assert!([400, 413].contains(&post_coded(server.http, PROTO, "snappy", &body).status), "{claim:?}");
    }
    // Within the limit, and still more than these bytes can hold.
    let body = [&[0x80, 0x80, 0x80, 0x0c][..], &[0; 20]].concat();
    assert_eq!(post_coded(server.http, PROTO, "snappy", &body).status, 400);
    assert!(server.memory("VmHWM") - before < 16 << 20, "nothing is reserved for a claim");
    is_unharmed(&mut server, "snappy");
}

#[test]
fn h_03_zstd_that_wants_a_window_of_two_gigabytes() {
    let mut server = bounded();
    let before = server.memory("VmHWM");
    // Magic, descriptor, window descriptor with exponent 21 (2 GiB), one raw block of a byte, last.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x09, 0x00, 0x00, b'x'];
    assert!([400, 413].contains(&post_coded(server.http, PROTO, "zstd", &frame).status));
    let called = call(server.grpc, EXPORT, &[("grpc-encoding", "zstd")], framed(1, &frame));
    assert!([code::INVALID_ARGUMENT, code::RESOURCE_EXHAUSTED].contains(&called.code), "{called:?}");
    assert!(server.memory("VmHWM") - before < 16 << 20);
    is_unharmed(&mut server, "window");
}

/// So many empty messages as fields `number` of a message.
fn empties(number: u8, count: usize) -> Vec<u8> {
    [number << 3 | 2, 0].repeat(count)
}

/// A span that is valid, and goes on with `more`.
fn span_with(more: Vec<u8>) -> Vec<u8> {
    [span("laden").encode_to_vec(), more].concat()
}

#[test]
fn h_04_millions_of_empty_messages() {
    let mut server = Server::with(&["--max-memory", "512MiB", "--window", "off"]);
    // The whole 64 MiB that the specification recommends as the limit: 32 million empty spans.
    let spans = wrapped(wrapped(empties(2, (32 << 20) - 16), 2), 1);
    assert!(spans.len() <= 64 << 20 && spans.len() > (64 << 20) - 64);
    let packed = gzip(&spans);
    drop(spans);
    // To count them takes a while where nothing is optimised.
    let mut patient = connect(server.http);
    patient.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let answer = ask(&mut patient, "POST", "/v1/traces", &[PROTO, ("Content-Encoding", "gzip")], &packed);
    assert!([200, 400, 413].contains(&answer.status), "{answer:?}");
    let count = 1 << 18;
    let value = |any: Vec<u8>| wrapped([vec![0x0a, 1, b'a'], wrapped(any, 2)].concat(), 9);
    for (what, body) in [
        ("attributes", wrapped(wrapped(wrapped(span_with(empties(9, count)), 2), 2), 1)),
        ("events", wrapped(wrapped(wrapped(span_with(empties(11, count)), 2), 2), 1)),
        ("links", wrapped(wrapped(wrapped(span_with(empties(13, count)), 2), 2), 1)),
        ("list", wrapped(wrapped(wrapped(span_with(value(wrapped(empties(1, count), 5))), 2), 2), 1)),
        ("map", wrapped(wrapped(wrapped(span_with(value(wrapped(empties(1, count), 6))), 2), 2), 1)),
        ("event attributes", wrapped(wrapped(wrapped(span_with(wrapped(empties(3, count), 11)), 2), 2), 1)),
        ("resource attributes", wrapped(wrapped(empties(1, count), 1), 1)),
        ("too many scopes", wrapped(empties(2, count), 1)),
        ("too many resources", empties(1, count)),
    ] {
        let answer = post_coded(server.http, PROTO, "gzip", &gzip(&body));
        // Each of these is looked up, which takes its time: they are counted before.
        assert!(
            if what.contains("too many") { answer.status == 413 } else { answer.status == 200 },
            "{what}: {answer:?}"
        );
        let called = call(server.grpc, EXPORT, &[("grpc-encoding", "gzip")], framed(1, &gzip(&body)));
        assert!([0, 3, 8].contains(&called.code), "{what}: {called:?}");
    }
    let spans = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, vec!["{}"; count].join(","));
    let answer = post_coded(server.http, JSON, "gzip", &gzip(spans.as_bytes()));
    assert!([200, 400, 413].contains(&answer.status), "{answer:?}");
    let most = server.memory("VmHWM");
    assert!(most < (512 + 64) << 20, "{} MiB", most >> 20);
    assert_eq!(post_proto(server.http, &proto("healthy")).status, 200);
    assert!(server.is_alive());
    assert!(server.spans().iter().all(|span| span.attributes.len() <= 1_024 && span.events.len() <= 4_096));
}

/// Protobuf of `depth` lists or maps in one another, written from the inside.
fn deep(depth: usize, is_map: bool) -> AnyValue {
    let mut any = AnyValue { value: Some(any_value::Value::BoolValue(true)) };
    for _ in 0..depth {
        let inner = if is_map {
            let pair = KeyValue { key: "k".to_owned(), value: Some(any), ..KeyValue::default() };
            any_value::Value::KvlistValue(KeyValueList { values: vec![pair] })
        } else {
            any_value::Value::ArrayValue(ArrayValue { values: vec![any] })
        };
        any = AnyValue { value: Some(inner) };
    }
    any
}

/// Wraps a message as field `number` of the next; by hand, because prost's own walk has no bound in debug builds' stacks.
fn wrapped(body: Vec<u8>, number: u8) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = body.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(body);
    out
}

#[test]
fn h_05_ten_thousand_levels() {
    let mut server = bounded();
    let mut any = vec![0x10, 1];
    for _ in 0..10_000 {
        // AnyValue.array_value (5) of ArrayValue.values (1).
        any = wrapped(wrapped(any, 1), 5);
    }
    let mut one = span("deep").encode_to_vec();
    let pair = [vec![0x0a, 1, b'a'], wrapped(any, 2)].concat();
    one.extend(wrapped(pair, 9));
    let body = wrapped(wrapped(wrapped(one, 2), 2), 1);
    let answer = post_proto(server.http, &body);
    assert!([200, 400].contains(&answer.status), "{answer:?}");
    let called = call(server.grpc, EXPORT, &[], framed(0, &body));
    assert!([code::OK, code::INVALID_ARGUMENT].contains(&called.code), "{called:?}");
    for text in [
        format!("{}1{}", r#"{"arrayValue":{"values":["#.repeat(10_000), "]}}".repeat(10_000)),
        format!("{}1{}", r#"{"kvlistValue":{"values":[{"key":"k","value":"#.repeat(10_000), "}]}}".repeat(10_000)),
    ] {
        let answer =
            post_json(server.http, &json_with("deep", &format!(r#""attributes":[{{"key":"a","value":{text}}}]"#)));
        assert!([200, 400].contains(&answer.status), "{answer:?}");
    }
    for unknown in
        ["[".repeat(100_000), "{\"a\":".repeat(100_000), format!("{}{}", "[".repeat(50_000), "]".repeat(50_000))]
    {
        let answer = post_json(server.http, &json_with("unknown", &format!(r#""zz":{unknown}"#)));
        assert!([200, 400].contains(&answer.status));
    }
    // The same depth as a map, within what prost can write, is the same for both shapes.
    for is_map in [false, true] {
        let mut one = span("within");
        one.attributes = vec![KeyValue { key: "a".to_owned(), value: Some(deep(30, is_map)), ..KeyValue::default() }];
        assert_eq!(post_proto(server.http, &request(vec![one]).encode_to_vec()).status, 200);
    }
    is_unharmed(&mut server, "depth");
    assert_eq!(names(&server.spans()).iter().filter(|name| **name == "within").count(), 2);
}

#[test]
fn h_06_a_text_of_ten_megabytes() {
    let mut server = bounded();
    let long = "ü".repeat(5 << 20);
    let mut one = span("long");
    one.attributes = vec![text("a", &long), text("b", "short")];
    assert_eq!(post_proto(server.http, &request(vec![one]).encode_to_vec()).status, 200);
    assert_eq!(post_json(server.http, &json_with("long", &format!(r#""attributes":[{{"key":"a","value":{{"stringValue":"{long}"}}}},{{"key":"b","value":{{"stringValue":"short"}}}}]"#))).status, 200);
    let spans = server.spans();
    for span in spans.iter().filter(|span| span.name == "long") {
        let kept = span.attributes["a"].len();
        assert!((1 << 20..=(1 << 20) + 64).contains(&kept), "cut at a mebibyte, at a character: {kept}");
        assert!(!span.attributes["a"].contains('\u{fffd}'));
        assert_eq!(span.attributes["b"], "\"short\"");
    }
    assert_eq!(spans.len(), 2);
    is_unharmed(&mut server, "long text");
}

#[test]
fn h_07_two_hundred_slow_bodies() {
    let mut server = Server::with(&["--max-memory", MEMORY, "--max-request-bytes", "32MiB", "--request-timeout", "2s"]);
    let head = head("POST", "/v1/traces", &[PROTO, ("Content-Length", "1000000")]);
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut wire = connect(server.http);
            wire.write_all(head.as_bytes()).unwrap();
            wire.write_all(b"abc").unwrap();
            wire
        })
        .collect();
    wait("all of them", || (server.metric("requests_in_flight")? >= 190).then_some(()));
    let begin = Instant::now();
    assert_eq!(post_proto(server.http, &proto("healthy")).status, 200);
    export(server.grpc, request(vec![span("healthy")]), None).unwrap();
    assert!(begin.elapsed() < Duration::from_millis(1_500), "healthy senders do not wait: {:?}", begin.elapsed());
    // Their time runs out, each is told so, and all that they held is free again.
    for wire in &mut slow {
        let status = answer(wire).map(|answer| answer.status);
        assert!(matches!(status, None | Some(408 | 503 | 504)), "{status:?}");
    }
    wait("room", || (server.metric("requests_in_flight")? == 0).then_some(()));
    assert_eq!(server.metric("bytes_in_flight"), Some(0));
    is_unharmed(&mut server, "slow bodies");
}

#[test]
fn h_07_headers_that_do_not_end() {
    let mut server = bounded();
    // 1 MiB of headers: refused, not kept.
    let mut wire = connect(server.http);
    let mut long = String::from("POST /v1/traces HTTP/1.1\r\nHost: x\r\n");
    for number in 0..20_000 {
        let _ = write!(long, "x-{number}: {}\r\n", "y".repeat(40));
    }
    let _ = wire.write_all(long.as_bytes());
    let status = answer(&mut wire).map(|answer| answer.status);
    assert!(matches!(status, None | Some(400 | 431)), "{status:?}");
    // Connections that say nothing at all, and one that says half a line, hold nobody up.
    let silent: Vec<TcpStream> = (0..200).map(|_| connect(server.http)).collect();
    let mut half = connect(server.grpc);
    half.write_all(b"POST /v1/tra").unwrap();
    is_unharmed(&mut server, "headers");
    drop(silent);
}

#[test]
fn h_08_short_of_memory_it_refuses_before_the_body() {
    // Less than the program itself needs: everybody is refused, politely, and at once.
    let mut server = Server::with(&["--max-memory", "8MiB", "--max-request-bytes", "1MiB", "--window", "off"]);
    wait("that it is full", || (post_proto(server.http, b"").status == 503).then_some(()));
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "1000")]).as_bytes()).unwrap();
    // Not a byte of the body was sent.
    let refused = answer(&mut wire).unwrap();
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true));
    let called = call(server.grpc, EXPORT, &[], framed(0, &proto("refused")));
    assert_eq!((called.code, called.has_retry_info()), (code::UNAVAILABLE, true));
    assert!(server.is_alive());
    assert!(server.stop().spans.is_empty());
}

#[test]
fn h_09_streams_that_are_opened_and_reset() {
    let mut server = bounded();
    let headers = Frames::export_headers();
    let mut flood = Frames::open(server.grpc);
    let mut sent = 0;
    // 20,000 times HEADERS and RST_STREAM (CVE-2023-44487), as fast as the other side takes them.
    'flood: for batch in 0..200_u32 {
        let mut bytes = Vec::new();
        for number in 0..100_u32 {
            let stream = (batch * 100 + number) * 2 + 1;
            bytes.extend(Frames::bytes(frame::HEADERS, frame::END_HEADERS, stream, &headers));
            bytes.extend(Frames::bytes(frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        if flood.wire.write_all(&bytes).is_err() {
            break 'flood;
        }
        sent += 100;
    }
    assert!(sent > 0);
    is_unharmed(&mut server, "rapid reset");
    // Streams that are opened and left alone: beyond the number that was agreed they are refused.
    let mut open = Frames::open(server.grpc);
    for number in 0..2_000_u32 {
        if open.send(frame::HEADERS, frame::END_HEADERS, number * 2 + 1, &headers).is_err() {
            break;
        }
    }
    is_unharmed(&mut server, "open streams");
    drop(open);
    drop(flood);
    wait("that nothing is held", || (server.metric("requests_in_flight")? == 0).then_some(()));
}

#[test]
fn h_09_continuations_without_end_and_other_floods() {
    let mut server = bounded();
    // CVE-2024-27316: headers that never end.
    let mut flood = Frames::open(server.grpc);
    flood.send(frame::HEADERS, 0, 1, &Frames::export_headers()).unwrap();
    let mut field = vec![0x00, 1, b'x', 100];
    field.extend([b'y'; 100]);
    let block = field.repeat(100);
    let mut sent = 0_u64;
    for _ in 0..10_000 {
        if flood.send(frame::CONTINUATION, 0, 1, &block).is_err() {
            break;
        }
        sent += block.len() as u64;
    }
    assert!(sent < 64 << 20, "the connection is ended long before {sent} bytes");
    // Pings and settings that are never read, and frames of a type that nobody knows.
    for kind in [frame::PING, frame::SETTINGS, 0xfa] {
        let mut flood = Frames::open(server.grpc);
        flood.wire.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let payload: &[u8] = if kind == frame::SETTINGS { &[] } else { &[7; 8] };
        let bytes = Frames::bytes(kind, 0, 0, payload).repeat(1_000);
        for _ in 0..100 {
            if flood.wire.write_all(&bytes).is_err() {
                break;
            }
        }
    }
    // Data for a stream that was never opened, and a preface that is none.
    let mut odd = Frames::open(server.grpc);
    odd.send(frame::DATA, frame::END_STREAM, 5, b"x").unwrap();
    let mut wire = connect(server.grpc);
    wire.write_all(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").unwrap();
    is_unharmed(&mut server, "floods");
}

#[test]
fn h_11_the_token_is_never_said() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("token"), "s3cret-and-long\n").unwrap();
    let server = Server::within(work, &["--token-file", "token"]);
    let wrong = send(server.http, "POST", "/v1/traces", &[JSON, ("Authorization", "Bearer s3cret-and-lon")], b"{}");
    assert_eq!(wrong.status, 401);
    assert!(!wrong.text().contains("s3cret"));
    assert!(!server.stop().said.contains("s3cret"));
}

#[test]
fn h_12_a_page_cannot_post_without_asking() {
    let server = Server::start();
    // What a browser sends to another origin without a preflight: three content types, none of them OTLP's.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let headers = [("Content-Type", kind), ("Origin", "https://evil.example")];
        assert_eq!(send(server.http, "POST", "/v1/traces", &headers, json("never").as_bytes()).status, 415, "{kind}");
    }
    assert!(server.spans().is_empty());
}

#[test]
fn h_14_names_are_kept_as_they_came_and_said_harmlessly() {
    let server = Server::start();
    for (number, name) in
        ["\u{1b}[2J\u{7}", "<script>alert(1)</script>", "=cmd|'/c calc'!A1", "\u{202e}gnp"].iter().enumerate()
    {
        let mut one = span(name);
        one.start_time_unix_nano += number as u64;
        assert_eq!(post_proto(server.http, &request(vec![one]).encode_to_vec()).status, 200);
    }
    // A message about a body quotes it, if at all, without what moves a terminal.
    let _ = post_json(server.http, "{\"\u{1b}[2J\":");
    let ended = server.stop();
    assert!(!ended.said.contains('\u{1b}'), "{:?}", ended.said);
    assert_eq!(
        names(&ended.spans),
        ["\u{1b}[2J\u{7}", "<script>alert(1)</script>", "=cmd|'/c calc'!A1", "\u{202e}gnp"]
    );
}

#[test]
fn h_15_impossible_times() {
    let mut server = Server::with(&["--window", "1s", "--trace-idle", "100ms", "--root-grace", "100ms"]);
    let times = [
        (0, 0),
        (2, 1),
        (u64::MAX, u64::MAX),
        (0, u64::MAX),
        (u64::MAX, 0),
        (1_790_000_000_000_000_000, 1_789_999_999_999_999_999),
        (4_000_000_000_000_000_000, 4_000_000_000_000_000_001),
        (i64::MAX as u64, i64::MAX as u64 + 1),
    ];
    for (start, end) in times {
        let mut one = span("timeless");
        (one.start_time_unix_nano, one.end_time_unix_nano) = (start, end);
        assert_eq!(post_proto(server.http, &request(vec![one]).encode_to_vec()).status, 200, "{start} {end}");
    }
    wait("the folding", || (server.metric("traces_folded_total")? >= 8).then_some(()));
    assert!(server.is_alive());
    assert_eq!(server.metric("panics_total"), Some(0));
    assert_eq!(server.stop().spans.len(), times.len());
}

#[test]
fn h_16_impossible_trees() {
    let mut server = Server::with(&["--window", "1s", "--trace-idle", "200ms", "--root-grace", "200ms"]);
    let id = |number: u64| number.to_be_bytes().to_vec();
    let link = |number: u64, parent: u64| {
        let mut one = span("n");
        one.trace_id = vec![7; 16];
        (one.span_id, one.parent_span_id) = (id(number), id(parent));
        one
    };
    // Its own parent; a circle of three; a chain of 100,000; two roots; a parent that never comes; one id twice.
    let mut spans =
        vec![link(1, 1), link(2, 3), link(3, 4), link(4, 2), link(9, 77), link(10, 0), link(11, 0), link(11, 0)];
    spans.extend((1_000..101_000).map(|number| link(number, number - 1)));
    let count = spans.len();
    for part in spans.chunks(20_000) {
        let answer = post_coded(server.http, PROTO, "gzip", &gzip(&request(part.to_vec()).encode_to_vec()));
        assert_eq!(answer.status, 200);
    }
    // A chain has as many call paths as spans: it is folded, or dropped and counted when that is over a bound.
    wait("the end of the trace", || {
        let ended = server.metric("traces_folded_total")? + server.metric("spans_dropped_total")?;
        (ended > 0 && server.metric("traces_open")? == 0).then_some(())
    });
    assert!(server.is_alive());
    assert_eq!(server.metric("panics_total"), Some(0));
    assert_eq!(server.stop().spans.len(), count);
}

#[test]
fn h_17_what_cannot_be_read_is_not_acknowledged() {
    let server = Server::start();
    // Sound frames around a span that is none: its bytes, its attributes, an attribute's value.
    for inner in [
        wrapped(vec![0xff; 20], 2),
        wrapped([span("x").encode_to_vec(), wrapped(vec![0xff; 5], 9)].concat(), 2),
        wrapped(
            [span("x").encode_to_vec(), wrapped([vec![0x0a, 1, b'a'], wrapped(vec![0xff; 5], 2)].concat(), 9)].concat(),
            2,
        ),
        wrapped([span("x").encode_to_vec(), wrapped(vec![0x09, 1], 11)].concat(), 2),
        wrapped([span("x").encode_to_vec(), wrapped(vec![0x0a, 99], 13)].concat(), 2),
        wrapped([span("x").encode_to_vec(), wrapped(vec![0x12, 99], 15)].concat(), 2),
    ] {
        let body = wrapped(wrapped(inner.clone(), 2), 1);
        let answer = post_proto(server.http, &body);
        let rejected = (answer.status == 200).then(|| super::payload::partial(&answer.body)).flatten();
        let is_said = answer.status == 400 || rejected.as_ref().is_some_and(|(count, _)| *count == 1);
        assert!(is_said, "{inner:?}: {} {rejected:?}", answer.status);
    }
    assert!(server.stop().spans.is_empty());
}

#[test]
fn h_18_text_that_is_no_utf_8_costs_nothing_else() {
    let server = Server::start();
    let mut one = span("kept");
    one.attributes = vec![text("bad", "QQ"), text("good", "fine")];
    let mut body = request(vec![one, span("other")]).encode_to_vec();
    let at = body.windows(2).position(|two| two == b"QQ").unwrap();
    body[at..at + 2].copy_from_slice(&[0xff, 0xfe]);
    let answer = post_proto(server.http, &body);
    assert_eq!(answer.status, 200);
    let spans = server.spans();
    assert_eq!(names(&spans), ["kept", "other"]);
    assert_eq!(spans[0].attributes["good"], "\"fine\"");
    assert!(spans[0].attributes["bad"].contains('\u{fffd}'), "{:?}", spans[0].attributes);
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Any content type, any encoding, any body: an answer each time, and a receiver that lives.
#[test]
fn h_10_whatever_is_sent() {
    let mut server = bounded();
    let mut dice = Dice(0x5eed);
    let types =
        ["application/x-protobuf", "application/json", "application/grpc", "text/plain", "", "application/grpc+json"];
    let encodings = ["", "gzip", "zstd", "deflate", "snappy", "x-snappy-framed", "lz4", "br", "identity"];
    let paths = ["/v1/traces", "/v1/metrics", "/", EXPORT];
    let good = request((0..20).map(|_| span("x")).collect()).encode_to_vec();
    let text = json("x");
    let codes: [Code; 6] = [gzip, zstd, zlib, snappy_block, snappy_framed, lz4];
    let mut wire = connect(server.http);
    for _ in 0..3_000 {
        let mut body = match dice.roll(4) {
            0 => good.clone(),
            1 => text.clone().into_bytes(),
            2 => framed(dice.roll(3) as u8, &good),
            _ => (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect(),
        };
        if dice.roll(2) == 0 {
            body = codes[dice.roll(codes.len())](&body);
        }
        for _ in 0..dice.roll(6) {
            if !body.is_empty() {
                let at = dice.roll(body.len());
                body[at] = dice.roll(256) as u8;
            }
        }
        body.truncate(body.len() - dice.roll(body.len() / 4 + 1));
        let headers = [
            ("Content-Type", types[dice.roll(types.len())]),
            ("Content-Encoding", encodings[dice.roll(encodings.len())]),
        ];
        let path = paths[dice.roll(paths.len())];
        let length = body.len().to_string();
        let is_chunked = dice.roll(3) == 0;
        let framing = if is_chunked { ("Transfer-Encoding", "chunked") } else { ("Content-Length", length.as_str()) };
        let head = head("POST", path, &[headers[0], headers[1], framing]);
        let bytes = if is_chunked { chunked(&body, 1 + dice.roll(200)) } else { body };
        let _ = wire.write_all(head.as_bytes());
        let _ = wire.write_all(&bytes);
        match answer(&mut wire) {
            Some(answer) => {
                assert!([200, 400, 404, 413, 415].contains(&answer.status), "{headers:?} {path}: {answer:?}");
                if answer.header("connection") == Some("close") {
                    wire = connect(server.http);
                }
            }
            None => wire = connect(server.http),
        }
    }
    is_unharmed(&mut server, "whatever");
}
