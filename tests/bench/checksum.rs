//! A checksum over every field, key and value of spans: both sides of a bench have to touch everything, and have to
//! come to the same number.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span as ProstSpan;
use spandiff::model::{Attributes, Part, Span, SpanStore, Value};

/// Sums up numbers and texts; the order of spans does not matter, that of one kind of
/// things within a span does.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    #[inline]
    fn number(&mut self, number: u64) {
        self.0 = self.0.rotate_left(5).wrapping_add(number);
    }

    /// Touches every byte, as cheaply as that can be done: what is measured is the reading, not this.
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let tail = match bytes.last_chunk::<8>() {
            Some(tail) => u64::from_le_bytes(*tail),
            None => bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        let (words, _) = bytes.as_chunks::<8>();
        let words = words.iter().fold(tail, |all, word| all.wrapping_add(u64::from_le_bytes(*word)));
        self.number(words ^ bytes.len() as u64);
    }
}

/// Of a text that may stand at any place of a span; 0 for an empty one.
fn of_text(text: &str) -> u64 {
    let mut sum = Sum::default();
    if !text.is_empty() {
        sum.bytes(text.as_bytes());
    }
    sum.0
}

/// Of prost's types.
pub fn of_prost(request: &ExportTraceServiceRequest) -> u64 {
    let mut all = 0_u64;
    for resource_spans in &request.resource_spans {
        let mut sum = Sum::default();
        resource_spans.resource.iter().for_each(|resource| prost_pairs(&mut sum, &resource.attributes));
        all = all.wrapping_add(sum.0);
        for scope_spans in &resource_spans.scope_spans {
            let mut sum = Sum::default();
            scope_spans.scope.iter().for_each(|scope| sum.bytes(scope.name.as_bytes()));
            all = all.wrapping_add(sum.0);
            for span in &scope_spans.spans {
                all = all.wrapping_add(prost_span(span));
            }
        }
    }
    all
}

fn prost_span(span: &ProstSpan) -> u64 {
    let mut sum = Sum::default();
    let trace_id = u128::from_be_bytes(span.trace_id.as_slice().try_into().unwrap_or_default());
    sum.number(trace_id as u64 ^ (trace_id >> 64) as u64);
    sum.number(u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap_or_default()));
    sum.number(u64::from_be_bytes(span.parent_span_id.as_slice().try_into().unwrap_or_default()));
    sum.number(span.start_time_unix_nano);
    sum.number(span.end_time_unix_nano);
    sum.bytes(span.name.as_bytes());
    sum.number(span.kind as u64);
    sum.number(span.status.as_ref().map_or(0, |status| status.code as u64));
    prost_pairs(&mut sum, &span.attributes);
    let [mut events, mut links, mut texts] = [Sum::default(), Sum::default(), Sum::default()];
    for event in &span.events {
        events.number(event.time_unix_nano);
        events.bytes(event.name.as_bytes());
        prost_pairs(&mut events, &event.attributes);
    }
    for link in &span.links {
        links.number(u64::from_be_bytes(link.span_id.as_slice().try_into().unwrap_or_default()));
        prost_pairs(&mut links, &link.attributes);
    }
    for text in [span.status.as_ref().map_or("", |status| &status.message), &span.trace_state] {
        texts.0 = texts.0.wrapping_add(of_text(text));
    }
    sum.0 ^ events.0.rotate_left(1) ^ links.0.rotate_left(2) ^ texts.0.rotate_left(3)
}

fn prost_pairs(sum: &mut Sum, pairs: &[KeyValue]) {
    for pair in pairs {
        sum.bytes(pair.key.as_bytes());
        prost_value(sum, pair.value.as_ref());
    }
}

fn prost_value(sum: &mut Sum, value: Option<&AnyValue>) {
    use any_value::Value as V;
    match value.and_then(|value| value.value.as_ref()) {
        Some(V::StringValue(text)) => sum.bytes(text.as_bytes()),
        Some(V::BoolValue(flag)) => sum.number(u64::from(*flag)),
        Some(V::IntValue(int)) => sum.number(*int as u64),
        Some(V::DoubleValue(double)) => sum.number(double.to_bits()),
        Some(V::BytesValue(bytes)) => sum.bytes(bytes),
        Some(V::ArrayValue(list)) => list.values.iter().for_each(|value| prost_value(sum, Some(value))),
        Some(V::KvlistValue(list)) => prost_pairs(sum, &list.values),
        _ => sum.number(7),
    }
}

/// Of our model.
pub fn of_store(store: &SpanStore) -> u64 {
    let mut all = 0_u64;
    for resource in &store.resources {
        let mut sum = Sum::default();
        our_pairs(&mut sum, Attributes::of_message(store.bytes(resource.body), 1));
        all = all.wrapping_add(sum.0);
    }
    for scope in &store.scopes {
        let mut sum = Sum::default();
        sum.bytes(store.symbols.get(scope.name).as_bytes());
        all = all.wrapping_add(sum.0);
    }
    store.spans.iter().fold(all, |all, span| all.wrapping_add(our_span(store, span)))
}

fn our_span(store: &SpanStore, span: &Span) -> u64 {
    let mut sum = Sum::default();
    sum.number(span.trace_id.0 as u64 ^ (span.trace_id.0 >> 64) as u64);
    sum.number(span.id.0);
    sum.number(span.parent_id.0);
    sum.number(span.start_ns);
    sum.number(span.end_ns);
    sum.bytes(store.name(span).as_bytes());
    sum.number(span.kind as u64);
    sum.number(span.status as u64);
    let [mut events, mut links, mut texts] = [Sum::default(), Sum::default(), Sum::default()];
    for part in store.parts(span) {
        match part {
            Part::Attribute(key, value) => {
                sum.bytes(key.as_bytes());
                our_value(&mut sum, value);
            }
            Part::Event(event) => {
                events.number(event.time_ns);
                events.bytes(event.name.as_bytes());
                our_pairs(&mut events, event.attributes);
            }
            Part::Link(link) => {
                links.number(link.span_id.unwrap_or_default().0);
                our_pairs(&mut links, link.attributes);
            }
            Part::StatusMessage(text) | Part::TraceState(text) => texts.0 = texts.0.wrapping_add(of_text(text)),
        }
    }
    sum.0 ^ events.0.rotate_left(1) ^ links.0.rotate_left(2) ^ texts.0.rotate_left(3)
}

fn our_pairs(sum: &mut Sum, pairs: Attributes<'_>) {
    for (key, value) in pairs {
        sum.bytes(key.as_bytes());
        our_value(sum, value);
    }
}

fn our_value(sum: &mut Sum, value: Value<'_>) {
    match value {
        Value::Empty => sum.number(7),
        Value::Str(text) => sum.bytes(text.as_bytes()),
        Value::Bool(flag) => sum.number(u64::from(flag)),
        Value::Int(int) => sum.number(int as u64),
        Value::Double(double) => sum.number(double.to_bits()),
        Value::Bytes(bytes) => sum.bytes(bytes),
        Value::Array(values) => values.for_each(|value| our_value(sum, value)),
        Value::Map(pairs) => our_pairs(sum, pairs),
    }
}
