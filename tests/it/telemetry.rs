//! The receiver's own telemetry: its bytes as others read them, and that it is never about itself.

use http_body_util::BodyExt;
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use prost::Message;
use spandiff::receiver::client::{ClientOptions, Endpoint};
use spandiff::receiver::counters::Counters;
use spandiff::receiver::log::Log;
use spandiff::receiver::moment::Clock;
use spandiff::receiver::respond::Reply;
use spandiff::receiver::serve::{Listener, Server};
use spandiff::receiver::telemetry::{self, TelemetryOptions};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

fn metrics(bytes: &[u8]) -> (Vec<(String, String)>, Vec<Metric>) {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    // Nothing was there that the types do not know: written again, it is as long.
    assert_eq!(request.encoded_len(), bytes.len());
    let [resource] = &request.resource_metrics[..] else { panic!("one resource") };
    let text = |value: &opentelemetry_proto::tonic::common::v1::AnyValue| match value.value.as_ref().unwrap() {
        opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    let attributes = attributes.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref().unwrap()))).collect();
    let [scope] = &resource.scope_metrics[..] else { panic!("one scope") };
    assert_eq!(scope.scope.as_ref().unwrap().name, "spandiff.receiver");
    (attributes, scope.metrics.clone())
}

#[test]
fn others_read_what_is_sent() {
    let counters = Counters::default();
    counters.spans_received.add(1 << 40);
    counters.connections.set(7);
    counters.capture_bytes.add(u64::MAX);
    let resource = telemetry::resource(Some("side"), Some("k=v"));
    let bytes = telemetry::export(&counters, &resource, 1_700_000_000_000_000_000, 1_700_000_060_000_000_000);
    let (attributes, metrics) = metrics(&bytes);
    assert_eq!(attributes, resource);
    assert_eq!(metrics.len(), counters.all().len());
    for (metric, (name, kind, help, value)) in metrics.iter().zip(counters.all()) {
        assert_eq!(metric.name, format!("spandiff.receiver.{name}"));
        assert_eq!(metric.description, help.trim());
        let points = match metric.data.as_ref().unwrap() {
            metric::Data::Sum(sum) => {
                assert!(kind == "counter" && sum.is_monotonic && sum.aggregation_temporality == 2);
                assert_eq!(sum.data_points[0].start_time_unix_nano, 1_700_000_000_000_000_000);
                &sum.data_points
            }
            metric::Data::Gauge(gauge) => {
                assert_eq!((kind, gauge.data_points[0].start_time_unix_nano), ("gauge", 0));
                &gauge.data_points
            }
            other => panic!("{other:?}"),
        };
        let [point] = &points[..] else { panic!("one point") };
        assert_eq!(point.time_unix_nano, 1_700_000_060_000_000_000);
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        assert_eq!(point.value, Some(number_data_point::Value::AsInt(value)), "{name}");
    }
    let unit = |name: &str| &metrics.iter().find(|metric| metric.name.ends_with(name)).unwrap().unit;
    assert_eq!([unit("capture_bytes"), unit("spans_received"), unit("connections")], ["By", "{span}", "1"]);
}

/// An endpoint that keeps what it gets, and what it answers.
struct Sink {
    address: SocketAddr,
    got: Got,
}

/// Paths and bodies.
type Got = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

fn sink(runtime: &tokio::runtime::Runtime, status: StatusCode) -> Sink {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let got = Got::default();
    let kept = Arc::clone(&got);
    let server = Server::new(4, None, Arc::new(Counters::default()));
    let handler: spandiff::receiver::serve::Handler = Arc::new(move |request| {
        let kept = Arc::clone(&kept);
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            kept.lock().unwrap().push((path, body.to_vec()));
            let mut response = Response::new(Reply::default());
            *response.status_mut() = status;
            response
        })
    });
    runtime.spawn(server.accept(listener, handler));
    Sink { address, got }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn options(endpoint: &str, listeners: Vec<SocketAddr>, said: &Arc<Mutex<Vec<String>>>) -> TelemetryOptions {
    let said = Arc::clone(said);
    TelemetryOptions {
        endpoint: Endpoint::parse(endpoint).unwrap(),
        client: ClientOptions::default(),
        resource: telemetry::resource(None, None),
        every: Duration::from_millis(5),
        listeners,
        log: Log::new(Arc::new(move |text: &str| said.lock().unwrap().push(text.to_owned()))),
    }
}

#[test]
fn numbers_are_sent_again_and_again_and_once_more_at_the_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sink, counters, said) = (sink(&runtime, StatusCode::OK), Arc::new(Counters::default()), Arc::default());
    let options = options(&format!("http://{}", sink.address), vec!["127.0.0.1:1".parse().unwrap()], &said);
    let (stop, stopped) = watch::channel(false);
    let running = runtime.spawn(telemetry::run(options, Arc::clone(&counters), Clock::start(), stopped));
    until("some exports", || sink.got.lock().unwrap().len() > 2);
    counters.spans_received.add(42);
    stop.send_replace(true);
    assert_eq!(runtime.block_on(running).unwrap(), Ok(()));
    let got = sink.got.lock().unwrap();
    assert!(got.iter().all(|(path, _)| path == "/v1/metrics"));
    let (_, last) = metrics(&got.last().unwrap().1);
    let received = last.iter().find(|metric| metric.name == "spandiff.receiver.spans_received").unwrap();
    let Some(metric::Data::Sum(sum)) = &received.data else { panic!("{received:?}") };
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(42)));
    assert_eq!((counters.telemetry_failures.get(), said.lock().unwrap().len()), (0, 0));
}

#[test]
fn failures_are_counted_and_harmless() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sink, counters, said) =
        (sink(&runtime, StatusCode::BAD_REQUEST), Arc::new(Counters::default()), Arc::default());
    let options = options(&format!("http://{}", sink.address), vec![], &said);
    let (stop, stopped) = watch::channel(false);
    let running = runtime.spawn(telemetry::run(options, Arc::clone(&counters), Clock::start(), stopped));
    until("failures", || counters.telemetry_failures.get() > 2);
    drop(stop);
    // Who told it to go on is gone: that is an end as well.
    assert_eq!(runtime.block_on(running).unwrap(), Ok(()));
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 1, "told once in a while: {said:?}");
    assert!(said[0].contains("HTTP 400"), "{said:?}");
}

#[test]
fn the_receiver_does_not_send_to_itself() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sink, counters, said) = (sink(&runtime, StatusCode::OK), Arc::new(Counters::default()), Arc::default());
    for (host, own) in
        [("127.0.0.1", sink.address), ("localhost", SocketAddr::from(([0, 0, 0, 0], sink.address.port())))]
    {
        let endpoint = Endpoint::parse(&format!("http://{host}:{}", sink.address.port())).unwrap();
        let refused = runtime.block_on(telemetry::check(&endpoint, &[own])).unwrap_err();
        assert!(refused.contains("this receiver itself"), "{refused}");
        assert_eq!(runtime.block_on(telemetry::check(&endpoint, &[])), Ok(()));
    }
    let options = options(&format!("http://{}", sink.address), vec![sink.address], &said);
    let (stop, stopped) = watch::channel(false);
    let running = runtime.spawn(telemetry::run(options, Arc::clone(&counters), Clock::start(), stopped));
    until("refusals", || counters.telemetry_failures.get() > 2);
    stop.send_replace(true);
    assert_eq!(runtime.block_on(running).unwrap(), Ok(()));
    assert!(sink.got.lock().unwrap().is_empty());
}
