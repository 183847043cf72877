//! A sender: as many connections as wanted, one request at a time on each, the time of every answer.

use super::payload::{Payload, SPANS};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProto,
    HttpJson,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "protobuf over gRPC",
            Protocol::HttpProto => "protobuf over HTTP/1.1",
            Protocol::HttpJson => "JSON over HTTP/1.1",
        }
    }

    fn request(self, body: Vec<u8>) -> Request<Full<Bytes>> {
        let (path, media_type) = match self {
            Protocol::Grpc => {
                ("http://a/opentelemetry.proto.collector.trace.v1.TraceService/Export", "application/grpc")
            }
            Protocol::HttpProto => ("/v1/traces", "application/x-protobuf"),
            Protocol::HttpJson => ("/v1/traces", "application/json"),
        };
        let builder = Request::post(path).header("content-type", media_type).header("host", "a");
        let builder = if self == Protocol::Grpc { builder.header("te", "trailers") } else { builder };
        builder.body(Full::new(body.into())).unwrap()
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub protocol: Protocol,
    pub connections: usize,
    pub time: Duration,
    /// Requests a second over all connections; `None` for as many as it goes.
    pub rate: Option<f64>,
}

impl Load {
    /// As fast as it goes.
    pub fn full(protocol: Protocol, connections: usize, time: Duration) -> Load {
        Load { protocol, connections, time, rate: None }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Spans that were acknowledged.
    pub spans: u64,
    /// Requests that were not.
    pub refused: u64,
    /// Time until each answer.
    pub answers: Vec<Duration>,
}

impl Sent {
    pub fn percentile(&mut self, share: f64) -> Duration {
        self.answers.sort_unstable();
        self.answers[((self.answers.len() - 1) as f64 * share) as usize]
    }
}

enum Connection {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(address: &str, protocol: Protocol) -> Connection {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        if protocol == Protocol::Grpc {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Connection::H2(sender)
        } else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Connection::H1(sender)
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        match self {
            Connection::H1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Connection::H2(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
        }
    }
}

/// Whether a request was acknowledged as a whole.
async fn acknowledged(protocol: Protocol, response: Response<Incoming>) -> bool {
    let ok = response.status().as_u16() == 200;
    let mut status = response.headers().get("grpc-status").cloned();
    let body = response.into_body().collect().await.unwrap();
    if let Some(trailers) = body.trailers() {
        status = trailers.get("grpc-status").cloned().or(status);
    }
    ok && (protocol != Protocol::Grpc || status.is_some_and(|status| status == "0"))
}

/// Sends for a time.
pub fn run(address: &str, load: Load) -> Sent {
    let payload = Arc::new(Payload::new(load.protocol));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let senders: Vec<_> =
            (0..load.connections).map(|_| tokio::spawn(one(address.to_owned(), load, Arc::clone(&payload)))).collect();
        let mut all = Sent::default();
        for sender in senders {
            let sent = sender.await.unwrap();
            all.spans += sent.spans;
            all.refused += sent.refused;
            all.answers.extend(sent.answers);
        }
        all
    })
}

async fn one(address: String, load: Load, payload: Arc<Payload>) -> Sent {
    let mut connection = Connection::open(&address, load.protocol).await;
    let mut sent = Sent::default();
    let began = Instant::now();
    let between = load.rate.map(|rate| Duration::from_secs_f64(load.connections as f64 / rate));
    let mut due = began;
    while began.elapsed() < load.time {
        if let Some(between) = between {
            tokio::time::sleep_until(due.into()).await;
            due += between;
        }
        let request = load.protocol.request(payload.next());
        let at = Instant::now();
        let response = connection.send(request).await;
        if acknowledged(load.protocol, response).await {
            sent.spans += SPANS as u64;
        } else {
            sent.refused += 1;
        }
        sent.answers.push(at.elapsed());
    }
    sent
}
