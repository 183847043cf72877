//! What the fuzzers and the replay of their corpus run: whatever the bytes, no panic, limits kept, spans accounted
//! for, and every body that was kept can be walked to its end.

use spandiff::ingest::{Context, InputFormat, ReadReport, otlp_proto, read as reading};
use spandiff::model::{Limits, SpanStore, Symbols, Value};

/// Tight, so that small inputs reach them.
fn limits() -> Limits {
    Limits {
        input_bytes: 1 << 20,
        record_bytes: 1 << 16,
        zstd_window_bytes: 1 << 20,
        symbols: 64,
        attributes: 4,
        events: 3,
        links: 3,
        value_depth: 4,
        json_depth: 16,
        text_bytes: 16,
        ..Limits::default()
    }
}

/// One protobuf message.
pub fn otlp_proto(bytes: &[u8]) {
    let (mut symbols, mut report) = (Symbols::default(), ReadReport::default());
    let batch = otlp_proto::decode(bytes.to_vec(), &limits(), &mut symbols, &mut report);
    assert_eq!(batch.spans.len() as u64, report.spans);
    assert!(report.bytes_lost <= bytes.len() as u64);
    let mut store = SpanStore { symbols, ..SpanStore::default() };
    spandiff::ingest::Sink::batch(&mut store, batch, &Symbols::default());
    walk(&store);
}

/// Any bytes, through the whole pipeline.
pub fn read(bytes: &[u8]) {
    pipeline(bytes, None);
}

/// Any bytes, as the JSON formats.
pub fn json(bytes: &[u8]) {
    for said in [InputFormat::OtlpJson, InputFormat::Jaeger, InputFormat::Zipkin, InputFormat::Tempo] {
        pipeline(bytes, Some(said));
    }
}

fn pipeline(mut bytes: &[u8], said: Option<InputFormat>) {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: limits(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    let result = reading::read(&mut bytes, said, &mut context);
    let report = context.report;
    store.symbols = symbols;
    assert_eq!(store.spans.len() as u64, report.spans);
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
    walk(&store);
}

/// Reads everything of every span, and checks what the model promises.
fn walk(store: &SpanStore) {
    let limits = limits();
    assert!(store.symbols.len() as u64 <= limits.symbols);
    for span in &store.spans {
        assert!(span.trace_id.0 != 0 && !span.id.is_none());
        assert!(span.start_ns <= span.end_ns && i64::try_from(span.end_ns).is_ok());
        assert!(store.resources.len() > span.resource as usize && store.scopes.len() > span.scope as usize);
        assert!(store.attributes(span).count() as u64 <= limits.attributes);
        assert!(store.events(span).count() as u64 <= limits.events);
        assert!(store.links(span).count() as u64 <= limits.links);
        let events = store.events(span).flat_map(|event| event.attributes);
        let links = store.links(span).flat_map(|link| link.attributes);
        for (key, value) in store.attributes(span).chain(store.resource_attributes(span)).chain(events).chain(links) {
            assert!(key.len() as u64 <= limits.text_bytes);
            assert!(depth(value) as u64 <= limits.value_depth);
        }
        let _ = (store.name(span), store.service(span), store.status_message(span), store.trace_state(span));
    }
}

fn depth(value: Value<'_>) -> usize {
    match value {
        Value::Array(values) => 1 + values.map(depth).max().unwrap_or_default(),
        Value::Map(pairs) => 1 + pairs.map(|(_, value)| depth(value)).max().unwrap_or_default(),
        _ => 0,
    }
}
