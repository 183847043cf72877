//! OTLP/JSON into our model against `serde_json` into the types of `opentelemetry-proto`, on the same bytes.
//!
//! Both sides then add up every field, key and value of what they read, so that laziness wins nothing; the sums must
//! be equal.

use crate::ratio;
use criterion::Criterion;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use spandiff::ingest::json::read;
use spandiff::ingest::{Context, ReadReport};
use spandiff::model::{Attributes, Limits, SpanStore, Symbols, Value};
use std::fmt::Write as _;

const SPANS: usize = 8_000;
const ROUNDS: usize = 21;

/// About 1 KB a span: ten attributes, an event in every fourth, statuses, three services.
fn document() -> String {
    let mut spans = String::new();
    for index in 0..SPANS {
        let comma = if index == 0 { "" } else { "," };
        let start = 1_700_000_000_000_000_000u64 + index as u64 * 1_000_003;
        let event = if index % 4 == 0 {
            format!(
                r#"{{"timeUnixNano":"{}","name":"message","attributes":[{{"key":"message.id","value":{{"intValue":"{index}"}}}}]}}"#,
                start + 5
            )
        } else {
            String::new()
        };
        _ = write!(
            spans,
            r#"{comma}{{"traceId":"{:032x}","spanId":"{:016x}","parentSpanId":"{:016x}","name":"GET /api/v1/products/{}","kind":{},"startTimeUnixNano":"{start}","endTimeUnixNano":"{}","attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"http.response.status_code","value":{{"intValue":"200"}}}},{{"key":"url.full","value":{{"stringValue":"http://frontend-proxy.shop.svc.cluster.local:8080/api/v1/products/{index}?currency=USD"}}}},{{"key":"server.address","value":{{"stringValue":"frontend-proxy"}}}},{{"key":"server.port","value":{{"intValue":"8080"}}}},{{"key":"user_agent.original","value":{{"stringValue":"Mozilla/5.0 (X11; Linux x86_64)"}}}},{{"key":"network.protocol.version","value":{{"stringValue":"1.1"}}}},{{"key":"app.cached","value":{{"boolValue":{}}}}},{{"key":"app.ratio","value":{{"doubleValue":{}.5}}}},{{"key":"thread.name","value":{{"stringValue":"worker-{}"}}}}],"events":[{event}],"status":{{"code":{}}},"flags":257}}"#,
            index / 50 + 1,
            index + 1,
            index / 2,
            index % 40,
            index % 5 + 1,
            start + 70_000 + index as u64,
            index % 2 == 0,
            index % 100,
            index % 16,
            if index % 50 == 0 { 2 } else { 0 },
        );
    }
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"frontend"}}}}]}},"scopeSpans":[{{"scope":{{"name":"http","version":"1.2.3"}},"spans":[{spans}]}}]}}]}}"#
    )
}

fn add(sum: &mut u64, value: u64) {
    *sum = sum.rotate_left(7) ^ value;
}

fn add_bytes(sum: &mut u64, bytes: &[u8]) {
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        add(sum, u64::from_le_bytes(chunk.try_into().unwrap()));
    }
    for byte in chunks.remainder() {
        add(sum, u64::from(*byte));
    }
    add(sum, bytes.len() as u64);
}

fn add_ours(sum: &mut u64, attributes: Attributes<'_>) {
    for (key, value) in attributes {
        add_bytes(sum, key.as_bytes());
        match value {
            Value::Str(text) => add_bytes(sum, text.as_bytes()),
            Value::Int(int) => add(sum, int as u64),
            Value::Bool(flag) => add(sum, u64::from(flag)),
            Value::Double(double) => add(sum, double.to_bits()),
            other => panic!("{other}"),
        }
    }
}

fn add_theirs(sum: &mut u64, attributes: &[KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        add_bytes(sum, key.as_bytes());
        match value {
            Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }) => add_bytes(sum, text.as_bytes()),
            Some(AnyValue { value: Some(any_value::Value::IntValue(int)) }) => add(sum, *int as u64),
            Some(AnyValue { value: Some(any_value::Value::BoolValue(flag)) }) => add(sum, u64::from(*flag)),
            Some(AnyValue { value: Some(any_value::Value::DoubleValue(double)) }) => add(sum, double.to_bits()),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads with this crate and adds everything up.
fn ours(document: &str) -> u64 {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    read(&mut document.as_bytes(), None, &mut context).unwrap();
    store.symbols = symbols;
    let mut sum = 0;
    for span in &store.spans {
        add(&mut sum, (span.trace_id.0 >> 64) as u64 ^ span.trace_id.0 as u64);
        add(&mut sum, span.id.0);
        add(&mut sum, span.parent_id.0);
        add_bytes(&mut sum, store.name(span).as_bytes());
        add(&mut sum, span.kind as u64);
        add(&mut sum, span.start_ns);
        add(&mut sum, span.end_ns);
        add(&mut sum, span.status as u64);
        add_ours(&mut sum, store.attributes(span));
        for event in store.events(span) {
            add(&mut sum, event.time_ns);
            add_bytes(&mut sum, event.name.as_bytes());
            add_ours(&mut sum, event.attributes);
        }
        add_ours(&mut sum, store.resource_attributes(span));
    }
    sum
}

/// Reads with `serde_json` and adds everything up.
fn theirs(document: &str) -> u64 {
    let data: TracesData = serde_json::from_slice(document.as_bytes()).unwrap();
    let mut sum = 0;
    for resource_spans in &data.resource_spans {
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let trace_id = u128::from_be_bytes(span.trace_id.as_slice().try_into().unwrap());
            add(&mut sum, (trace_id >> 64) as u64 ^ trace_id as u64);
            add(&mut sum, u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap()));
            add(&mut sum, u64::from_be_bytes(span.parent_span_id.as_slice().try_into().unwrap()));
            add_bytes(&mut sum, span.name.as_bytes());
            add(&mut sum, span.kind as u64);
            add(&mut sum, span.start_time_unix_nano);
            add(&mut sum, span.end_time_unix_nano);
            add(&mut sum, span.status.as_ref().map_or(0, |status| status.code as u64));
            add_theirs(&mut sum, &span.attributes);
            for event in &span.events {
                add(&mut sum, event.time_unix_nano);
                add_bytes(&mut sum, event.name.as_bytes());
                add_theirs(&mut sum, &event.attributes);
            }
            add_theirs(&mut sum, &resource_spans.resource.as_ref().unwrap().attributes);
        }
    }
    sum
}

/// The bench: throughputs by criterion, and `json_decode_ratio` from interleaved rounds.
pub fn bench(criterion: &mut Criterion) {
    let document = document();
    if std::env::args().any(|argument| argument == "--profile-time") {
        criterion.bench_function("json/spandiff", |bencher| bencher.iter(|| ours(&document)));
        return;
    }
    ratio::print("json_decode_ratio", ROUNDS, document.len(), || theirs(&document), || ours(&document));
    let mut group = criterion.benchmark_group("json");
    group.throughput(criterion::Throughput::Bytes(document.len() as u64)).sample_size(10);
    group.bench_function("spandiff", |bencher| bencher.iter(|| ours(&document)));
    group.bench_function("serde_json", |bencher| bencher.iter(|| theirs(&document)));
    group.finish();
}
