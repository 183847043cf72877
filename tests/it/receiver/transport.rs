//! T: transport and endpoints.

use super::http::{JSON, PROTO, answer, ask, chunked, connect, get, head, post_coded, post_json, post_proto, send};
use super::payload::{CODECS, Status, gzip, json, proto, request, snappy_framed, span, zstd};
use super::peer::{EXPORT, Frames, call, call_over, code, export, frame, framed, h2, run};
use super::seen::names;
use super::server::{Server, command, fails, wait};
use prost::Message as _;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use tonic::codec::CompressionEncoding;

/// The default ports may be taken on this machine, by a Collector for example: then the error must name one of them.
#[test]
fn t_01_default_ports() {
    let work = tempfile::tempdir().unwrap();
    let mut child = command(work.path(), &[]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.is_empty() {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(["127.0.0.1:4317", "127.0.0.1:4318", "127.0.0.1:4319"].iter().any(|a| said.contains(a)), "{said}");
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(line, "{\"grpc\":\"127.0.0.1:4317\",\"http\":\"127.0.0.1:4318\",\"admin\":\"127.0.0.1:4319\"}\n");
    }
}

/// Local addresses that this machine listens on at `port`, as the kernel writes them: hexadecimal, bytes reversed.
fn listening(port: u16) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(file).unwrap_or_default().lines().skip(1) {
            let mut words = line.split_whitespace().skip(1);
            let (Some(local), Some(_), Some(state)) = (words.next(), words.next(), words.next()) else { continue };
            let (address, hex) = local.split_once(':').unwrap();
            if state == "0A" && u16::from_str_radix(hex, 16) == Ok(port) {
                found.insert(address.to_owned());
            }
        }
    }
    found
}

#[test]
fn t_02_binds_to_loopback_and_warns_elsewhere() {
    let server = Server::start();
    for address in [server.grpc, server.http, server.admin] {
        assert_eq!(listening(address.port()), BTreeSet::from(["0100007F".to_owned()]), "{address}");
    }
    assert!(!server.stop().said.contains("warning"));
    let open = Server::with(&["--http-listen", "0.0.0.0:0"]);
    assert_eq!(listening(open.http.port()), BTreeSet::from(["00000000".to_owned()]));
    wait("the warning", || (open.said().to_lowercase().matches("warning").count() == 1).then_some(()));
    assert!(open.said().contains("beyond this machine"), "{}", open.said());
}

#[test]
fn t_03_no_compression_and_gzip_on_both_transports() {
    let server = Server::start();
    assert_eq!(post_proto(server.http, &proto("http none")).status, 200);
    assert_eq!(post_coded(server.http, PROTO, "gzip", &gzip(&proto("http gzip"))).status, 200);
    export(server.grpc, request(vec![span("grpc none")]), None).unwrap();
    export(server.grpc, request(vec![span("grpc gzip")]), Some(CompressionEncoding::Gzip)).unwrap();
    assert_eq!(names(&server.spans()), ["grpc gzip", "grpc none", "http gzip", "http none"]);
}

#[test]
fn t_04_more_codecs() {
    let server = Server::start();
    for (index, (name, code)) in CODECS.iter().enumerate() {
        let answer = post_coded(server.http, PROTO, name, &code(&proto(&format!("{index} proto"))));
        assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
        let answer = post_coded(server.http, JSON, name, &code(json(&format!("{index} json")).as_bytes()));
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{name}");
    }
    export(server.grpc, request(vec![span("grpc zstd")]), Some(CompressionEncoding::Zstd)).unwrap();
    let body = framed(1, &snappy_framed(&proto("grpc snappy")));
    assert_eq!(call(server.grpc, EXPORT, &[("grpc-encoding", "snappy")], body).code, code::OK);
    let (coded, spans) = (2 * CODECS.len(), server.spans());
    assert_eq!(spans.len(), coded + 2);
    assert_eq!(names(&spans[coded..]), ["grpc snappy", "grpc zstd"]);
}

#[test]
fn t_05_names_of_encodings() {
    let server = Server::start();
    for none in ["identity", "Identity", ""] {
        assert_eq!(post_coded(server.http, PROTO, none, &proto("plain")).status, 200, "{none}");
    }
    for name in ["GZIP", "Gzip"] {
        assert_eq!(post_coded(server.http, PROTO, name, &gzip(&proto("packed"))).status, 200, "{name}");
    }
    for wrong in ["br", "gzip, gzip", "gzip,identity", "gzipp", "\u{fc}"] {
        let answer = post_coded(server.http, JSON, wrong, &gzip(&gzip(json("never").as_bytes())));
        assert!([400, 415].contains(&answer.status), "{wrong}: {}", answer.status);
        assert!(!answer.json()["message"].as_str().unwrap().is_empty(), "{wrong}");
    }
    let twice = [PROTO, ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")];
    assert!([400, 415].contains(&send(server.http, "POST", "/v1/traces", &twice, &gzip(&proto("never"))).status));
    for (name, accepted) in [("identity", true), ("GZIP", true), ("br", false), ("gzip, gzip", false)] {
        let message = proto("over grpc");
        let body = if name == "GZIP" { framed(1, &gzip(&message)) } else { framed(0, &message) };
        let called = call(server.grpc, EXPORT, &[("grpc-encoding", name)], body);
        assert_eq!(called.code, if accepted { code::OK } else { code::UNIMPLEMENTED }, "{name}");
        // What gRPC asks for when an encoding is not known.
        assert!(accepted || called.headers.iter().any(|(key, _)| key == "grpc-accept-encoding"), "{called:?}");
    }
    assert!(!names(&server.spans()).contains(&"never"));
}

#[test]
fn t_06_protobuf_and_json_on_one_connection() {
    let server = Server::start();
    let mut wire = connect(server.http);
    for round in 0..3 {
        let answer = ask(&mut wire, "POST", "/v1/traces", &[PROTO], &proto(&format!("{round} a")));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-protobuf")));
        let answer = ask(&mut wire, "POST", "/v1/traces", &[JSON], json(&format!("{round} b")).as_bytes());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    }
    assert_eq!(names(&server.spans()), ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b"]);
}

#[test]
fn t_07_content_types_without_case_and_with_parameters() {
    let server = Server::start();
    for kind in ["application/json; charset=utf-8", "APPLICATION/JSON", "Application/Json;x=y", "application/json "] {
        let answer = send(server.http, "POST", "/v1/traces", &[("Content-Type", kind)], json("j").as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{kind}");
    }
    for kind in ["application/x-protobuf; proto=x", "APPLICATION/X-PROTOBUF"] {
        let answer = send(server.http, "POST", "/v1/traces", &[("Content-Type", kind)], &proto("p"));
        assert_eq!(answer.status, 200, "{kind}");
    }
    assert_eq!(server.spans().len(), 6);
}

#[test]
fn t_08_wrong_methods_and_types() {
    let server = Server::start();
    for method in ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
        let mut wire = connect(server.http);
        wire.write_all(head(method, "/v1/traces", &[JSON, ("Content-Length", "0")]).as_bytes()).unwrap();
        if method == "HEAD" {
            continue; // Its answer has a length and no body; that it does no harm is seen below.
        }
        let answer = answer(&mut wire).unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        assert!(answer.json()["message"].is_string(), "{method}");
    }
    let body = json("never");
    for kind in
        [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "application/xml")], &[("Content-Type", "")]]
    {
        assert_eq!(send(server.http, "POST", "/v1/traces", kind, body.as_bytes()).status, 415, "{kind:?}");
    }
    assert_eq!(post_json(server.http, &body).status, 200);
    assert_eq!(names(&server.spans()), ["never"]);
}

#[test]
fn t_09_paths_of_all_signals() {
    let server = Server::start();
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs", "/v1development/profiles"] {
        let answer = send(server.http, "POST", path, &[JSON], b"{}");
        assert_eq!((answer.status, answer.text().as_str()), (200, "{}"), "{path}");
        let answer = send(server.http, "POST", path, &[PROTO], b"");
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
    // Paths are what they are: with a query, yes; in another case, no.
    assert_eq!(send(server.http, "POST", "/v1/traces?a=b", &[JSON], b"{}").status, 200);
    assert_eq!(send(server.http, "POST", "/V1/Traces", &[JSON], b"{}").status, 404);
}

#[test]
fn t_10_a_wrong_path_is_told_the_right_one() {
    let server = Server::start();
    for path in ["/", "/v1/traces/", "/v1/trace", "/api/v2/spans", "/v1"] {
        let answer = send(server.http, "POST", path, &[JSON], json("never").as_bytes());
        assert_eq!(answer.status, 404, "{path}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        let is_told = message.contains("/v1/traces") || message.contains("slash");
        assert!(is_told, "{path}: {message}");
        let answer = send(server.http, "POST", path, &[PROTO], &proto("never"));
        assert_eq!(Status::decode(answer.body.as_slice()).unwrap().message, message);
    }
    assert!(server.spans().is_empty());
}

const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

#[test]
fn t_11_other_signals_are_discarded_or_refused() {
    let server = Server::start();
    let before = server.metric("other_signals_dropped_total");
    assert_eq!(send(server.http, "POST", "/v1/metrics", &[JSON], br#"{"resourceMetrics":[]}"#).status, 200);
    assert_eq!(send(server.http, "POST", "/v1/logs", &[PROTO], b"").status, 200);
    for path in [METRICS, LOGS] {
        let called = call(server.grpc, path, &[], framed(0, b""));
        assert_eq!((called.code, called.body), (code::OK, vec![0; 5]), "{path}");
    }
    assert_eq!(server.metric("other_signals_dropped_total"), before.map(|before| before + 4));
    assert!(before.is_some() && server.stop().spans.is_empty());
    let strict = Server::with(&["--other-signals", "refuse"]);
    for path in ["/v1/metrics", "/v1/logs", "/v1development/profiles"] {
        let answer = send(strict.http, "POST", path, &[JSON], b"{}");
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (404, Some(12)), "{path}");
    }
    assert_eq!(call(strict.grpc, METRICS, &[], framed(0, b"")).code, code::UNIMPLEMENTED);
}

async fn tcp(to: SocketAddr) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(to).await.unwrap()
}

#[test]
fn t_12_keep_alive_and_http_2_without_tls() {
    let server = Server::start();
    let mut wire = connect(server.http);
    for _ in 0..3 {
        assert_eq!(ask(&mut wire, "POST", "/v1/traces", &[PROTO], &proto("kept alive")).status, 200);
    }
    let close = ask(&mut wire, "POST", "/v1/traces", &[PROTO, ("Connection", "close")], &proto("last"));
    assert_eq!(close.status, 200);
    assert!(answer(&mut wire).is_none(), "closed when asked to");
    let (over_h2, _) = run(async {
        let body = json("h2c").into_bytes();
        h2(tcp(server.http).await, "POST", "/v1/traces", &[("content-type", "application/json")], body).await
    });
    assert_eq!((over_h2.status, over_h2.text().as_str()), (200, "{}"));
    assert_eq!(names(&server.spans()), ["h2c", "kept alive", "kept alive", "kept alive", "last"]);
}

#[test]
fn t_13_either_port_takes_either_protocol() {
    let server = Server::start();
    export(server.http, request(vec![span("grpc on http")]), None).unwrap();
    assert_eq!(post_json(server.grpc, &json("http on grpc")).status, 200);
    assert_eq!(names(&server.spans()), ["grpc on http", "http on grpc"]);
}

#[test]
fn t_14_chunked_bodies() {
    let server = Server::with(&["--max-request-bytes", "100000"]);
    let chunks = [PROTO, ("Transfer-Encoding", "chunked")];
    for (size, name) in [(1, "one by one"), (7, "seven"), (4096, "whole")] {
        let answer = send(server.http, "POST", "/v1/traces", &chunks, &chunked(&proto(name), size));
        assert_eq!(answer.status, 200, "{name}");
    }
    // The limit holds without a length, and before the last chunk.
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &chunks).as_bytes()).unwrap();
    let endless = chunked(&vec![0; 60_000], 60_000);
    let _ = wire.write_all(&endless[..endless.len() - 5]);
    let _ = wire.write_all(&endless[..endless.len() - 5]);
    assert_eq!(answer(&mut wire).unwrap().status, 413);
    let broken = send(server.http, "POST", "/v1/traces", &chunks, b"zz\r\nnot a chunk");
    assert_eq!(broken.status, 400);
    assert_eq!(names(&server.spans()), ["one by one", "seven", "whole"]);
}

#[test]
fn t_15_a_port_in_use_is_said_clearly() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (busy, other) = (taken.local_addr().unwrap().to_string(), free.local_addr().unwrap().to_string());
    drop(free);
    let work = tempfile::tempdir().unwrap();
    for (option, rest) in
        [("--grpc-listen", "--http-listen"), ("--http-listen", "--grpc-listen"), ("--admin-listen", "--grpc-listen")]
    {
        let mut args = vec![option, busy.as_str(), rest, other.as_str()];
        for third in ["--grpc-listen", "--http-listen", "--admin-listen"] {
            if third != option && third != rest {
                args.extend([third, "off"]);
            }
        }
        let ended = fails(work.path(), &args);
        assert_eq!(ended.code, Some(2), "{option}");
        assert!(ended.said.starts_with("error:") && ended.said.contains(&busy), "{option}: {}", ended.said);
        assert!(ended.said.contains(option) || ended.said.contains("in use"), "{option}: {}", ended.said);
        // What it had bound is free again.
        drop(TcpListener::bind(&other).unwrap_or_else(|error| panic!("{option}: {error}")));
    }
    let socket = work.path().join("otlp.sock");
    let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let ended = fails(
        work.path(),
        &["--grpc-listen", "off", "--http-listen", "off", "--admin-listen", "off", "--unix-socket", "otlp.sock"],
    );
    assert_eq!(ended.code, Some(2));
    assert!(ended.said.contains("otlp.sock"), "{}", ended.said);
}

#[test]
fn t_17_a_sender_may_ask_for_compressed_answers() {
    let server = Server::start();
    let accept = [JSON, ("Accept-Encoding", "gzip, deflate")];
    let answer = send(server.http, "POST", "/v1/traces", &accept, json("a").as_bytes());
    // Answers are shorter than gzip's header: they come as they are, which is always allowed.
    assert_eq!((answer.status, answer.header("content-encoding"), answer.text().as_str()), (200, None, "{}"));
}

#[test]
fn t_18_no_cross_origin_requests() {
    let server = Server::start();
    let origin = ("Origin", "https://evil.example");
    let preflight =
        [origin, ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")];
    let asked = send(server.http, "OPTIONS", "/v1/traces", &preflight, b"");
    let posted = send(server.http, "POST", "/v1/traces", &[JSON, origin], json("a").as_bytes());
    let admin = send(server.admin, "GET", "/v1/gate", &[origin], b"");
    for answer in [asked.clone(), posted, admin] {
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{answer:?}");
    }
    assert_eq!(asked.status, 405);
}

#[test]
fn t_21_unary_export_alone_and_pings_are_tolerated() {
    let server = Server::start();
    for path in [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v1.TraceService",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/",
    ] {
        let called = call(server.grpc, path, &[], framed(0, b""));
        assert_eq!((called.http, called.code), (200, code::UNIMPLEMENTED), "{path}");
    }
    // Two messages in one call are no unary call.
    let mut twice = framed(0, &proto("first"));
    twice.extend(framed(0, &proto("second")));
    assert_ne!(call(server.grpc, EXPORT, &[], twice).code, code::OK);
    assert_eq!(
        call(server.grpc, EXPORT, &[("content-type", "application/grpc+proto")], framed(0, &proto("a"))).code,
        0
    );
    // SDKs ping every some seconds while they wait: the pings of an hour do no harm.
    let mut frames = Frames::open(server.grpc);
    let mut answered = 0;
    for number in 0..100_u64 {
        frames.send(frame::PING, 0, 0, &number.to_be_bytes()).unwrap();
        while let Some((kind, flags, _, payload)) = frames.next() {
            assert_ne!(kind, frame::GOAWAY, "{number}: {payload:?}");
            if kind == frame::PING && flags == frame::ACK && payload == number.to_be_bytes() {
                answered += 1;
                break;
            }
        }
    }
    assert_eq!(answered, 100);
    assert_eq!(names(&server.spans()), ["a"]);
}

/// What Kubernetes' gRPC probes and load balancers ask.
#[test]
fn t_21_health_over_grpc() {
    let server = Server::start();
    let called = call(server.grpc, "/grpc.health.v1.Health/Check", &[], framed(0, b""));
    assert_eq!((called.code, called.body), (code::OK, framed(0, &[0x08, 1])));
}

#[test]
fn t_16_what_was_acknowledged_before_the_end_is_stored_and_nothing_else_is() {
    let server = Server::start();
    let (grpc, http) = (server.grpc, server.http);
    let over_grpc = std::thread::spawn(move || {
        run(async {
            let mut client = super::peer::client(grpc).await;
            let mut acknowledged = 0;
            loop {
                match client.export(request(vec![span("g"), span("g")])).await {
                    Ok(_) => acknowledged += 2,
                    // Refused, or gone: never a success that is none.
                    Err(status) => break (acknowledged, status),
                }
            }
        })
    });
    let over_http = std::thread::spawn(move || {
        let mut acknowledged = 0;
        let mut wire = connect(http);
        let mut body = gzip(&request(vec![span("h"), span("h"), span("h")]).encode_to_vec());
        loop {
            let length = body.len().to_string();
            let head = head("POST", "/v1/traces", &[PROTO, ("Content-Encoding", "gzip"), ("Content-Length", &length)]);
            let sent = wire.write_all(head.as_bytes()).and_then(|()| wire.write_all(&body));
            match sent.ok().and_then(|()| answer(&mut wire)) {
                Some(answer) if answer.status == 200 => acknowledged += 3,
                Some(answer) => break (acknowledged, Some(answer.status)),
                None => break (acknowledged, None),
            }
            body = gzip(&request(vec![span("h"), span("h"), span("h")]).encode_to_vec());
        }
    });
    wait("some traffic", || (server.spans().len() > 200).then_some(()));
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let (grpc_spans, refused) = over_grpc.join().unwrap();
    let (http_spans, status) = over_http.join().unwrap();
    assert!([None, Some(503)].contains(&status), "{status:?}");
    assert!(
        [tonic::Code::Unavailable, tonic::Code::Unknown, tonic::Code::Cancelled].contains(&refused.code()),
        "{refused:?}"
    );
    let stored = |name: &str| ended.spans.iter().filter(|span| span.name == name).count();
    assert!(grpc_spans > 0 && http_spans > 0);
    // A request whose answer was on its way when the sender gave up may be stored; an acknowledged one must be.
    assert!((grpc_spans..=grpc_spans + 2).contains(&stored("g")), "{grpc_spans} {}", stored("g"));
    assert!((http_spans..=http_spans + 3).contains(&stored("h")), "{http_spans} {}", stored("h"));
    // Nobody listens any more.
    assert!(std::net::TcpStream::connect(http).is_err());
}

#[test]
fn t_16_a_second_signal_ends_at_once() {
    let server = Server::with(&["--drain-timeout", "15s"]);
    // A request that never comes to its end keeps the receiver waiting.
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "100")]).as_bytes()).unwrap();
    wire.write_all(b"abc").unwrap();
    wait("the request", || (server.metric("requests_in_flight")? == 1).then_some(()));
    let begin = std::time::Instant::now();
    server.signal("TERM");
    wait("the draining", || get_refused(server.http).then_some(()));
    server.signal("TERM");
    let ended = server.ended();
    assert!(begin.elapsed() < std::time::Duration::from_secs(8), "{:?}", begin.elapsed());
    assert_ne!(ended.code, None, "a signal that is caught does not kill");
}

/// Whether nobody accepts connections any more.
fn get_refused(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_err()
}

#[test]
fn t_16_draining_has_an_end() {
    let server = Server::with(&["--drain-timeout", "1s"]);
    let mut wire = connect(server.http);
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", "100")]).as_bytes()).unwrap();
    wait("the request", || (server.metric("requests_in_flight")? == 1).then_some(()));
    assert_eq!(post_proto(server.http, &proto("stored")).status, 200);
    let begin = std::time::Instant::now();
    let ended = server.stop();
    assert!(begin.elapsed() < std::time::Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(names(&ended.spans), ["stored"]);
    assert_ne!(ended.code, None);
}

#[test]
fn t_16_a_request_under_way_is_answered() {
    let server = Server::start();
    let body = proto("under way");
    let mut wire = connect(server.http);
    let length = body.len().to_string();
    wire.write_all(head("POST", "/v1/traces", &[PROTO, ("Content-Length", &length)]).as_bytes()).unwrap();
    wire.write_all(&body[..10]).unwrap();
    wait("the request", || (server.metric("requests_in_flight")? == 1).then_some(()));
    server.signal("TERM");
    wait("the draining", || get_refused(server.http).then_some(()));
    wire.write_all(&body[10..]).unwrap();
    assert_eq!(answer(&mut wire).unwrap().status, 200);
    let ended = server.ended();
    assert_eq!((ended.code, names(&ended.spans)), (Some(0), vec!["under way"]));
}

#[test]
fn a_port_that_is_off_is_closed() {
    let server = Server::with(&["--grpc-listen", "off"]);
    assert_eq!(server.grpc.port(), 0);
    assert_eq!(post_proto(server.http, &proto("a")).status, 200);
    assert_eq!(get(server.admin, "/readyz").status, 200);
}

/// Both codecs that gRPC has beside gzip are told to clients that ask with one that it has not.
#[test]
fn t_04_grpc_with_a_message_that_is_not_compressed_though_an_encoding_is_named() {
    let server = Server::start();
    let called = call(server.grpc, EXPORT, &[("grpc-encoding", "zstd")], framed(0, &proto("plain")));
    assert_eq!(called.code, code::OK);
    let called = call(server.grpc, EXPORT, &[("grpc-encoding", "zstd")], framed(1, &zstd(&proto("packed"))));
    assert_eq!(called.code, code::OK);
    // Compressed, and nobody says how.
    assert_ne!(call(server.grpc, EXPORT, &[], framed(1, &zstd(&proto("never")))).code, code::OK);
    assert_eq!(names(&server.spans()), ["packed", "plain"]);
}

/// One connection, many calls at the same time, as exporters with several pipelines do.
#[test]
fn t_12_many_calls_on_one_connection() {
    let server = Server::start();
    run(async {
        let client = super::peer::client(server.grpc).await;
        let mut calls = Vec::new();
        for number in 0..50 {
            let mut client = client.clone();
            calls.push(tokio::spawn(async move { client.export(request(vec![span(&number.to_string())])).await }));
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        // A bare client on a fresh connection, for the answer's own bytes.
        let called = call_over(tcp(server.grpc).await, EXPORT, &[], framed(0, &proto("bare"))).await;
        assert_eq!((called.code, called.body), (code::OK, vec![0; 5]));
    });
    assert_eq!(server.spans().len(), 51);
}
