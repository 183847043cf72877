//! The Collector's own receiver cases (`otlp.md` §2.6) that the checklist does not have already, with ours as the answer
//! where OTLP 1.11 asks for another one than the Collector gives.
//!
//! | Collector | here |
//! |---|---|
//! | TestJSONHTTP (9), TestProtoHTTP (7) | J-01 … J-16, T-03, T-07, R-01 |
//! | TestHandleInvalidRequests (15) | below, and T-08 |
//! | TestOTLPReceiverInvalidContentEncoding (3) | R-07, T-05 |
//! | TestOTLPReceiverNoContentType | T-08 |
//! | TestOTLPReceiver{GRPC,HTTP}TracesIngestTest | below |
//! | TestGRPCMaxRecvSize, TestHTTPMaxRequestBodySize | below, and R-08 (413, where the Collector says 400) |
//! | TestShutdown | T-16 |
//! | Test{GRPC,HTTP}NewPortAlreadyUsed | T-15 |
//! | TestGRPCInvalidTLSCredentials, TestHTTPInvalidTLSCredentials | T-19 |
//! | TestHTTPRetryAfter (5) | R-09, R-11; a receiver of its own has no hint of a consumer to hand on |
//! | FuzzReceiverHandlers | H-10 |
//! | TestHTTPContentDecompressionHandler (16), TestCompressionAlgorithmsEdgeCases (15) | T-03 … T-05, R-07 |
//! | TestDecompressorAvoidDecompressionBomb (6), snappy (3) | H-01, H-02 |
//! | confighttp TLS (7), configgrpc TLS (6), auth (4 + 8), UDS | T-19, T-20 |
//! | confighttp CORS (5) | T-18 |
//! | TestServerKeepAlives (2) | T-12 |

use super::http::{JSON, PROTO, post_json, post_proto, send};
use super::payload::{json, proto, request, span};
use super::peer::{EXPORT, call, client, code, export, framed, run};
use super::seen::{files, names};
use super::server::{Server, wait};
use prost::Message as _;

/// Five wrong requests for each of three signals.
#[test]
fn handle_invalid_requests() {
    let server = Server::start();
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        assert_eq!(send(server.http, "POST", path, &[], b"").status, 415, "{path}: no content type");
        assert_eq!(send(server.http, "POST", path, &[("Content-Type", "invalid")], b"").status, 415, "{path}");
        for kind in [&[][..], &[("Content-Type", "invalid")], &[JSON]] {
            let answer = send(server.http, "PATCH", path, kind, b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{path} {kind:?}");
        }
    }
}

/// Accept, refuse for now, refuse for good, accept: counts are exact over both protocols.
#[test]
fn ingest_counts_are_exact() {
    let server = Server::with(&["--max-request-bytes", "2000"]);
    let two = |name: &str| request(vec![span(name), span(name)]).encode_to_vec();
    assert_eq!(post_proto(server.http, &two("accepted")).status, 200);
    assert_eq!(post_proto(server.http, b"permanent").status, 400);
    assert_eq!(
        post_proto(server.http, &request((0..100).map(|_| span("large")).collect()).encode_to_vec()).status,
        413
    );
    assert_eq!(post_proto(server.http, &two("accepted")).status, 200);
    assert_eq!(call(server.grpc, EXPORT, &[], framed(0, &two("accepted"))).code, code::OK);
    assert_eq!(call(server.grpc, EXPORT, &[], framed(0, b"permanent")).code, code::INVALID_ARGUMENT);
    assert_eq!(call(server.grpc, EXPORT, &[], framed(0, &two("accepted"))).code, code::OK);
    assert_eq!(server.metric("spans_received_total"), Some(8));
    assert_eq!(server.metric("requests_invalid_total"), Some(3));
    assert_eq!(server.metric("http_requests_total"), Some(4));
    assert_eq!(server.metric("grpc_requests_total"), Some(3));
    assert_eq!(names(&server.stop().spans), ["accepted"; 8]);
}

/// 50,000 spans in one message, where 4 MiB are allowed and where 100 MiB are.
#[test]
fn grpc_max_recv_size() {
    let many = request((0..50_000).map(|number| span(&format!("GET /products/{number:020}"))).collect());
    assert!(many.encoded_len() > 4 << 20);
    let small = Server::with(&["--max-request-bytes", "4MiB"]);
    let refused = call(small.grpc, EXPORT, &[], framed(0, &many.encode_to_vec()));
    assert_eq!(refused.code, code::RESOURCE_EXHAUSTED);
    drop(small);
    let large = Server::with(&["--max-request-bytes", "100MiB", "--max-memory", "1GiB"]);
    export(large.grpc, many, None).unwrap();
    assert_eq!(large.metric("spans_received_total"), Some(50_000));
    assert_eq!(large.stop().spans.len(), 50_000);
}

/// Connections that are cut in the middle of a request leave nothing behind.
#[test]
fn a_sender_that_hangs_up_leaves_nothing() {
    use std::io::Write as _;
    let server = Server::start();
    for _ in 0..50 {
        let mut wire = super::http::connect(server.http);
        let head = super::http::head("POST", "/v1/traces", &[PROTO, ("Content-Length", "5000")]);
        wire.write_all(head.as_bytes()).unwrap();
        wire.write_all(&proto("never")[..20]).unwrap();
    }
    wait("all of them gone", || {
        (server.metric("requests_in_flight")? == 0 && server.metric("connections")? <= 1).then_some(())
    });
    assert_eq!(server.metric("bytes_in_flight"), Some(0));
    assert!(server.stop().spans.is_empty());
}

/// A call that its sender gives up while it is under way harms no other call of the connection.
#[test]
fn cancelled_calls() {
    let server = Server::start();
    run(async {
        let mut client = client(server.grpc).await;
        for number in 0..20_u64 {
            let mut other = client.clone();
            let given_up = tokio::spawn(async move { other.export(request(vec![span("maybe")])).await });
            if number % 2 == 0 {
                tokio::task::yield_now().await;
            }
            given_up.abort();
            client.export(request(vec![span("sure")])).await.unwrap();
        }
    });
    let spans = server.stop().spans;
    assert_eq!(spans.iter().filter(|span| span.name == "sure").count(), 20);
}

/// Every acknowledged request is in the capture, in the file of its encoding, before the answer.
#[test]
fn what_is_acknowledged_is_on_disk() {
    let server = Server::with(&["--fsync", "always"]);
    for number in 0..20 {
        let name = format!("{number:02}");
        let answer =
            if number % 2 == 0 { post_proto(server.http, &proto(&name)) } else { post_json(server.http, &json(&name)) };
        assert_eq!(answer.status, 200);
        assert_eq!(server.spans().len(), number + 1);
    }
    // `kill -9` takes nothing back.
    server.signal("KILL");
    let ended = server.ended();
    assert_eq!((ended.code, ended.spans.len()), (None, 20));
}

#[test]
fn a_capture_is_an_input_of_every_command() {
    let server = Server::start();
    for name in ["a", "b"] {
        assert_eq!(post_proto(server.http, &proto(name)).status, 200);
        assert_eq!(post_json(server.http, &json(name)).status, 200);
    }
    let capture = server.path("capture");
    let inspect = |what: &std::path::Path| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_spandiff"))
            .args(["inspect", "--format", "json"])
            .arg(what)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    // While it is written, and after.
    assert!(inspect(&capture).to_string().contains("\"spans\":4"), "{}", inspect(&capture));
    server.signal("TERM");
    wait("the end", || files(&capture).iter().all(|path| !path.to_string_lossy().ends_with(".part")).then_some(()));
    assert!(inspect(&capture).to_string().contains("\"spans\":4"));
    assert_eq!(server.ended().code, Some(0));
}
