//! Peers over HTTP/2 that are not ours: tonic's generated client for what is right, hyper's bare client for what is odd,
//! and frames by hand for what no client would send.

use super::http::{Answer, connect};
use super::payload::Status;
use super::server::PATIENCE;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Runs a future to its end, within patience.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("no end within patience") })
}

pub(crate) async fn client(to: SocketAddr) -> TraceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{to}")).unwrap().connect_timeout(Duration::from_secs(5));
    TraceServiceClient::new(endpoint.connect().await.unwrap())
}

/// Exports with tonic's client.
pub(crate) fn export(
    to: SocketAddr,
    request: ExportTraceServiceRequest,
    compression: Option<CompressionEncoding>,
) -> Result<ExportTraceServiceResponse, tonic::Status> {
    run(async {
        let mut client = client(to).await.accept_compressed(CompressionEncoding::Gzip);
        if let Some(compression) = compression {
            client = client.send_compressed(compression);
        }
        client.export(request).await.map(tonic::Response::into_inner)
    })
}

/// How a gRPC call ended.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// HTTP's status, 200 whatever gRPC says.
    pub(crate) http: u16,
    /// gRPC's status.
    pub(crate) code: i32,
    pub(crate) message: String,
    /// What stands in `grpc-status-details-bin`.
    pub(crate) details: Option<Status>,
    /// The messages behind their five bytes of frame, as they came.
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Called {
    /// Whether a hint when to try again came along.
    pub(crate) fn has_retry_info(&self) -> bool {
        let details = self.details.iter().flat_map(|status| &status.details);
        details.map(|any| any.type_url.as_str()).any(|url| url == "type.googleapis.com/google.rpc.RetryInfo")
    }
}

/// A message in gRPC's frame; `flag` 1 says that it is compressed.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// One request over HTTP/2 on a stream of any kind.
pub(crate) async fn h2(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (Answer, Vec<(String, String)>) {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let mut request = hyper::Request::builder().method(method).uri(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    let pairs = |map: &hyper::HeaderMap| -> Vec<(String, String)> {
        map.iter().map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
    };
    let (status, headers) = (response.status().as_u16(), pairs(response.headers()));
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    (Answer { status, headers, body: collected.to_bytes().to_vec() }, trailers)
}

/// Undoes gRPC's percent encoding of messages.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = (*first == b'%').then(|| std::str::from_utf8(more.get(..2)?).ok()).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8(bytes).unwrap()
}

/// A gRPC call with whatever body over an open stream.
pub(crate) async fn call_over(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    more: &[(&str, &str)],
    body: Vec<u8>,
) -> Called {
    let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
    headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    headers.extend(more);
    let (answer, trailers) = h2(io, "POST", path, &headers, body).await;
    // An answer without a message has its status among the headers.
    let find = |name: &str| {
        let all = trailers.iter().chain(&answer.headers);
        all.filter(|(key, _)| key == name).map(|(_, value)| value.clone()).next()
    };
    let details = find("grpc-status-details-bin").map(|text| {
        let bytes = STANDARD_NO_PAD.decode(&text).or_else(|_| STANDARD.decode(&text)).unwrap();
        Status::decode(bytes.as_slice()).unwrap()
    });
    let code = find("grpc-status").unwrap_or_else(|| panic!("no grpc-status in {answer:?} {trailers:?}"));
    Called {
        http: answer.status,
        code: code.parse().unwrap(),
        message: decoded(&find("grpc-message").unwrap_or_default()),
        details,
        body: answer.body,
        headers: answer.headers,
    }
}

/// A gRPC call on a connection of its own.
pub(crate) fn call(to: SocketAddr, path: &str, more: &[(&str, &str)], body: Vec<u8>) -> Called {
    run(async { call_over(tokio::net::TcpStream::connect(to).await.unwrap(), path, more, body).await })
}

/// The numbers of gRPC's statuses.
pub(crate) mod code {
    pub(crate) const OK: i32 = 0;
    pub(crate) const INVALID_ARGUMENT: i32 = 3;
    pub(crate) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(crate) const UNIMPLEMENTED: i32 = 12;
    pub(crate) const UNAVAILABLE: i32 = 14;
    pub(crate) const UNAUTHENTICATED: i32 = 16;
}

/// HTTP/2 frames by hand.
pub(crate) struct Frames {
    pub(crate) wire: TcpStream,
}

pub(crate) mod frame {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
}

impl Frames {
    /// Connects and says hello.
    pub(crate) fn open(to: SocketAddr) -> Frames {
        let mut wire = connect(to);
        wire.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut frames = Frames { wire };
        frames.send(frame::SETTINGS, 0, 0, &[]).unwrap();
        frames
    }

    pub(crate) fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        self.wire.write_all(&Frames::bytes(kind, flags, stream, payload))
    }

    /// Type, flags, stream and payload of the next frame; none when the connection ended.
    pub(crate) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.wire.read_exact(&mut head).ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; len as usize];
        self.wire.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], stream, payload))
    }

    /// The headers of a gRPC export, in HPACK without tables and without Huffman codes.
    pub(crate) fn export_headers() -> Vec<u8> {
        // Out of the static table: `:method: POST` (3), `:scheme: http` (6); `:path` (4) and `:authority` (1) literally.
        let mut block = vec![0x83, 0x86, 0x04, EXPORT.len() as u8];
        block.extend(EXPORT.bytes());
        block.extend([0x01, 9]);
        block.extend(b"localhost");
        for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
            block.extend([0x00, name.len() as u8]);
            block.extend(name.bytes());
            block.push(value.len() as u8);
            block.extend(value.bytes());
        }
        block
    }
}
