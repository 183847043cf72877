//! Passing on: unchanged, without ever holding up who hands in, whatever the target does.

use axum::body::Bytes as AxumBytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use spandiff::receiver::client::{Client, ClientOptions, Compression, Endpoint, Signal, fetch};
use spandiff::receiver::counters::Counters;
use spandiff::receiver::forward::{ForwardOptions, Forwarder};
use spandiff::receiver::log::Log;
use spandiff::receiver::respond::Encoding;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

const JSON: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c",
  "spanId":"eee19b7ec3c1b174","name":"one","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}"#;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    path: String,
    content_type: String,
    body: Vec<u8>,
}

/// A target that does as it is told: answers by a script, then with 200; waits while it is held.
#[derive(Clone)]
struct Target {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    held: watch::Receiver<bool>,
}

impl Target {
    fn new(script: &[(u16, &'static str)]) -> (Target, watch::Sender<bool>) {
        let (hold, held) = watch::channel(false);
        let script = Arc::new(Mutex::new(script.iter().copied().collect()));
        (Target { seen: Arc::default(), script, held }, hold)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn take(mut self, path: &str, content_type: &str, body: &[u8]) -> (u16, &'static str) {
        self.held.wait_for(|held| !held).await.unwrap();
        let seen = Seen { path: path.to_owned(), content_type: content_type.to_owned(), body: body.to_vec() };
        self.seen.lock().unwrap().push(seen);
        self.script.lock().unwrap().pop_front().unwrap_or((200, ""))
    }

    /// Serves HTTP on `listener`.
    async fn http(self, listener: TcpListener) {
        let handler = move |uri: Uri, headers: HeaderMap, body: AxumBytes| {
            let target = self.clone();
            async move {
                let content_type = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
                let (code, retry_after) = target.take(uri.path(), content_type, &body).await;
                let mut answer = HeaderMap::new();
                if !retry_after.is_empty() {
                    answer.insert("retry-after", retry_after.parse().unwrap());
                }
                (StatusCode::from_u16(code).unwrap(), answer)
            }
        };
        axum::serve(listener, axum::Router::new().fallback(handler)).await.unwrap();
    }
}

#[tonic::async_trait]
impl TraceService for Target {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let body = request.into_inner().encode_to_vec();
        match self.clone().take("grpc", "", &body).await {
            (200, _) => Ok(tonic::Response::new(ExportTraceServiceResponse::default())),
            (503, _) => Err(tonic::Status::unavailable("busy")),
            _ => Err(tonic::Status::invalid_argument("no")),
        }
    }
}

fn listener(runtime: &Runtime) -> (TcpListener, SocketAddr) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn options(endpoint: &str) -> ForwardOptions {
    ForwardOptions {
        endpoint: Endpoint::parse(endpoint).unwrap(),
        client: ClientOptions::default(),
        queue_bytes: 1 << 20,
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(20),
        counters: Arc::new(Counters::default()),
        log: Log::new(Arc::new(|_| {})),
    }
}

/// A request of one span whose name is `name`, as protobuf.
fn proto(name: &str) -> Vec<u8> {
    let json = JSON.replace("\"one\"", &format!("\"{name}\""));
    let request: ExportTraceServiceRequest = serde_json::from_str(&json).unwrap();
    request.encode_to_vec()
}

fn names(seen: &[Seen]) -> Vec<String> {
    seen.iter()
        .flat_map(|seen| ExportTraceServiceRequest::decode(seen.body.as_slice()).unwrap().resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .map(|span| span.name)
        .collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 30 s");
        std::thread::yield_now();
    }
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn http_targets_get_what_came() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, _hold) = Target::new(&[]);
    runtime.spawn(target.clone().http(listener));
    let options = options(&format!("http://{address}/base"));
    let forwarder = Forwarder::start(&options).unwrap();
    let inbox = forwarder.inbox();
    inbox.put(Signal::Traces, Encoding::Json, Bytes::from_static(JSON.as_bytes()));
    inbox.put(Signal::Traces, Encoding::Proto, proto("p").into());
    inbox.put(Signal::Metrics, Encoding::Json, Bytes::from_static(b"{\"resourceMetrics\":[]}"));
    inbox.put(Signal::Logs, Encoding::Proto, Bytes::from_static(b"logs"));
    assert_eq!(forwarder.close(LONG), 0);
    let mut seen: Vec<_> = target.seen().into_iter().map(|s| (s.path, s.content_type, s.body)).collect();
    seen.sort();
    let (json, protobuf) = ("application/json".to_owned(), "application/x-protobuf".to_owned());
    assert_eq!(
        seen,
        [
            ("/base/v1/logs".into(), protobuf.clone(), b"logs".to_vec()),
            ("/base/v1/metrics".into(), json.clone(), b"{\"resourceMetrics\":[]}".to_vec()),
            ("/base/v1/traces".into(), json, JSON.as_bytes().to_vec()),
            ("/base/v1/traces".into(), protobuf, proto("p")),
        ]
    );
    assert_eq!((options.counters.forward_sent.get(), options.counters.forward_dropped.get()), (4, 0));
    assert_eq!((options.counters.forward_queue.get(), options.counters.forward_queue_bytes.get()), (0, 0));
    inbox.put(Signal::Logs, Encoding::Proto, Bytes::from_static(b"late"));
    assert_eq!(options.counters.forward_dropped.get(), 1, "what comes after the end is counted");
}

#[test]
fn grpc_targets_get_protobuf() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, _hold) = Target::new(&[(503, ""), (503, "")]);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = TraceServiceServer::new(target.clone());
    runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let options = options(&format!("grpc://{address}"));
    let forwarder = Forwarder::start(&options).unwrap();
    let inbox = forwarder.inbox();
    inbox.put(Signal::Traces, Encoding::Json, Bytes::from_static(JSON.as_bytes()));
    wait_until("two attempts and a third", || options.counters.forward_sent.get() == 1);
    assert_eq!(options.counters.forward_retries.get(), 2);
    inbox.put(Signal::Metrics, Encoding::Json, Bytes::from_static(b"{\"resourceMetrics\":[]}"));
    // The target has no service for it: refused for good.
    inbox.put(Signal::Metrics, Encoding::Proto, Bytes::new());
    inbox.put(Signal::Traces, Encoding::Proto, proto("p").into());
    assert_eq!(forwarder.close(LONG), 0);
    assert_eq!(names(&target.seen()), ["one", "one", "one", "p"]);
    assert_eq!((options.counters.forward_sent.get(), options.counters.forward_dropped.get()), (2, 2));
}

#[test]
fn only_what_may_be_tried_again_is() {
    let runtime = Runtime::new().unwrap();
    for (code, retries) in [(400, 0), (413, 0), (500, 0), (429, 1), (502, 1), (503, 1), (504, 1)] {
        let (listener, address) = listener(&runtime);
        let (target, _hold) = Target::new(&[(code, "0")]);
        runtime.spawn(target.clone().http(listener));
        let options = options(&format!("http://{address}"));
        let forwarder = Forwarder::start(&options).unwrap();
        forwarder.inbox().put(Signal::Traces, Encoding::Proto, proto("p").into());
        assert_eq!(forwarder.close(LONG), 0);
        assert_eq!(target.seen().len() as u64, 1 + retries, "{code}");
        let counters = &options.counters;
        let counted = (counters.forward_sent.get(), counters.forward_dropped.get(), counters.forward_retries.get());
        assert_eq!(counted, (retries, 1 - retries, retries), "{code}");
    }
}

#[test]
fn retry_after_is_waited_for() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, _hold) = Target::new(&[(503, "1")]);
    runtime.spawn(target.clone().http(listener));
    let options = options(&format!("http://{address}"));
    let forwarder = Forwarder::start(&options).unwrap();
    let began = Instant::now();
    forwarder.inbox().put(Signal::Traces, Encoding::Proto, proto("p").into());
    wait_until("the second attempt", || target.seen().len() == 2);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(forwarder.close(LONG), 0);
}

#[test]
fn a_dead_target_costs_nobody_anything_but_the_oldest() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    drop(listener);
    let body = Bytes::from(proto(&"x".repeat(10_000)));
    let options = ForwardOptions { queue_bytes: 20 * body.len() as u64, ..options(&format!("http://{address}")) };
    let forwarder = Forwarder::start(&options).unwrap();
    let inbox = forwarder.inbox();
    let counters = Arc::clone(&options.counters);
    let began = Instant::now();
    for _ in 0..1_000 {
        inbox.put(Signal::Traces, Encoding::Proto, body.clone());
        assert!(counters.forward_queue_bytes.get() <= options.queue_bytes);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "handing in does not wait: {:?}", began.elapsed());
    wait_until("attempts", || counters.forward_retries.get() > 10);
    assert!(counters.forward_dropped.get() >= 980);
    // It comes to life at the same place.
    let (target, _hold) = Target::new(&[]);
    let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
    runtime.spawn(target.clone().http(listener));
    inbox.put(Signal::Traces, Encoding::Proto, proto("alive").into());
    wait_until("the queue being empty", || counters.forward_queue.get() == 0);
    assert!(names(&target.seen()).contains(&"alive".to_owned()));
    assert_eq!(counters.forward_sent.get() + counters.forward_dropped.get(), 1_001, "each went or was counted");
    assert_eq!(forwarder.close(LONG), 0);
}

#[test]
fn a_slow_target_holds_up_nobody_and_stopping_has_its_time() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, hold) = Target::new(&[]);
    hold.send(true).unwrap();
    runtime.spawn(target.clone().http(listener));
    let options = options(&format!("http://{address}"));
    let forwarder = Forwarder::start(&options).unwrap();
    let inbox = forwarder.inbox();
    let began = Instant::now();
    for _ in 0..50 {
        inbox.put(Signal::Traces, Encoding::Proto, proto("p").into());
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    let began = Instant::now();
    assert_eq!(forwarder.close(Duration::from_millis(300)), 50);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!((options.counters.forward_sent.get(), options.counters.forward_dropped.get()), (0, 50));
    drop(hold);
}

#[test]
fn a_target_that_closes_connections_gets_everything() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, _hold) = Target::new(&[]);
    // Every connection is closed after one answer.
    let served = target.clone();
    let router = axum::Router::new().fallback(move |headers: HeaderMap, body: AxumBytes| {
        let target = served.clone();
        async move {
            let content_type = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
            target.take("", content_type, &body).await;
            [("connection", "close")]
        }
    });
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let options = options(&format!("http://{address}"));
    let forwarder = Forwarder::start(&options).unwrap();
    for number in 0..40 {
        forwarder.inbox().put(Signal::Traces, Encoding::Proto, proto(&number.to_string()).into());
    }
    assert_eq!(forwarder.close(LONG), 0);
    let mut seen: Vec<u32> = names(&target.seen()).iter().map(|name| name.parse().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    assert_eq!(options.counters.forward_dropped.get(), 0);
}

#[test]
fn bodies_are_compressed_when_asked() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let (target, _hold) = Target::new(&[]);
    runtime.spawn(target.clone().http(listener));
    for compression in Compression::ALL {
        let options = ClientOptions { compression, ..ClientOptions::default() };
        let mut client = Client::new(Endpoint::parse(&format!("http://{address}")).unwrap(), &options).unwrap();
        let parcel = client.pack(Signal::Traces, Encoding::Proto, proto("packed").into());
        runtime.block_on(client.send(&parcel));
    }
    let bodies: Vec<Vec<u8>> = target.seen().into_iter().map(|seen| seen.body).collect();
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bodies[1].as_slice()), &mut unpacked).unwrap();
    assert_eq!((&bodies[0], &unpacked), (&proto("packed"), &proto("packed")));
    assert_eq!(zstd::decode_all(bodies[2].as_slice()).unwrap(), proto("packed"));
}

#[test]
fn pages_are_fetched_within_their_bound() {
    let runtime = Runtime::new().unwrap();
    let (listener, address) = listener(&runtime);
    let router =
        axum::Router::new().fallback(|method: axum::http::Method, headers: HeaderMap, body: String| async move {
            let token = headers.get("authorization").map_or("none", |value| value.to_str().unwrap());
            let text = format!("{method} {token} {body}");
            ([("content-type", "Application/JSON; charset=utf-8"), ("etag", "\"1\"")], text)
        });
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let options = ClientOptions { token: Some("secret".into()), ..ClientOptions::default() };
    let url = format!("http://{address}/v1/diff?x=1");
    let page = runtime.block_on(fetch(&url, None, 100, &options)).unwrap();
    assert_eq!((page.status, page.content_type.as_str(), page.etag.as_str()), (200, "application/json", "\"1\""));
    assert_eq!(page.body, "GET Bearer secret ");
    let page = runtime.block_on(fetch(&url, Some(Bytes::from_static(b"{}")), 100, &options)).unwrap();
    assert_eq!(page.body, "POST Bearer secret {}");
    let error = runtime.block_on(fetch(&url, None, 5, &options)).unwrap_err();
    assert!(error.contains("longer than 5 bytes"), "{error}");
    let error = runtime.block_on(fetch("http://127.0.0.1:1/", None, 5, &options)).unwrap_err();
    assert!(error.contains("cannot connect to 127.0.0.1 port 1"), "{error}");
}

#[test]
fn who_never_answers_is_left() {
    let runtime = Runtime::new().unwrap();
    let (_listener, address) = listener(&runtime);
    let options = ClientOptions { timeout: Duration::from_millis(200), ..ClientOptions::default() };
    let error = runtime.block_on(fetch(&format!("http://{address}/"), None, 5, &options)).unwrap_err();
    assert_eq!(error, "no answer within 0.2 s");
}
