//! Spans as plain values, made from prost's types and from ours, to be compared.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span as ProstSpan;
use spandiff::ingest::{Context, InputFormat, ReadError, ReadReport, read};
use spandiff::model::{Attributes, Limits, SpanMarks, SpanStore, Symbols, Value};

#[derive(Clone, Debug, PartialEq)]
pub enum Any {
    Empty,
    Str(String),
    Bool(bool),
    Int(i64),
    Double(u64),
    Bytes(Vec<u8>),
    Array(Vec<Any>),
    Map(Pairs),
}

pub type Pairs = Vec<(String, Any)>;

#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub ids: (u128, u64, u64),
    pub name: String,
    pub kind: i32,
    pub times: (u64, u64),
    pub status: (i32, String),
    pub trace_state: String,
    pub remote_parent: bool,
    pub dropped: bool,
    pub attributes: Pairs,
    pub events: Vec<(u64, String, Pairs)>,
    pub links: Vec<(Vec<u8>, Vec<u8>, Pairs)>,
    pub service: String,
    pub resource: Pairs,
    pub scope: (String, String, String, Pairs),
}

fn any_of_prost(value: Option<&AnyValue>) -> Any {
    use any_value::Value as V;
    match value.and_then(|value| value.value.as_ref()) {
        Some(V::StringValue(text)) => Any::Str(text.clone()),
        Some(V::BoolValue(flag)) => Any::Bool(*flag),
        Some(V::IntValue(int)) => Any::Int(*int),
        Some(V::DoubleValue(double)) => Any::Double(double.to_bits()),
        Some(V::BytesValue(bytes)) => Any::Bytes(bytes.clone()),
        Some(V::ArrayValue(list)) => Any::Array(list.values.iter().map(|value| any_of_prost(Some(value))).collect()),
        Some(V::KvlistValue(list)) => Any::Map(pairs_of_prost(&list.values)),
        _ => Any::Empty,
    }
}

fn pairs_of_prost(pairs: &[KeyValue]) -> Pairs {
    pairs.iter().map(|pair| (pair.key.clone(), any_of_prost(pair.value.as_ref()))).collect()
}

fn any_of_ours(value: Value<'_>) -> Any {
    match value {
        Value::Empty => Any::Empty,
        Value::Str(text) => Any::Str(text.to_owned()),
        Value::Bool(flag) => Any::Bool(flag),
        Value::Int(int) => Any::Int(int),
        Value::Double(double) => Any::Double(double.to_bits()),
        Value::Bytes(bytes) => Any::Bytes(bytes.to_vec()),
        Value::Array(values) => Any::Array(values.map(any_of_ours).collect()),
        Value::Map(pairs) => Any::Map(pairs_of_ours(pairs)),
    }
}

fn pairs_of_ours(pairs: Attributes<'_>) -> Pairs {
    pairs.map(|(key, value)| (key.to_owned(), any_of_ours(value))).collect()
}

fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

/// What prost's types say, span by span.
pub fn of_prost(request: &ExportTraceServiceRequest) -> Vec<Seen> {
    let mut all = Vec::new();
    for resource_spans in &request.resource_spans {
        let resource =
            resource_spans.resource.as_ref().map(|resource| pairs_of_prost(&resource.attributes)).unwrap_or_default();
        let text = |key: &str| match resource.iter().rfind(|(name, _)| name == key) {
            Some((_, Any::Str(text))) => text.clone(),
            _ => String::new(),
        };
        let service = match (text("service.namespace"), text("service.name")) {
            (_, name) if name.is_empty() => "unknown_service".to_owned(),
            (namespace, name) if namespace.is_empty() => name,
            (namespace, name) => format!("{namespace}/{name}"),
        };
        for scope_spans in &resource_spans.scope_spans {
            let scope = scope_spans.scope.clone().unwrap_or_default();
            let scope = (scope.name, scope.version, scope_spans.schema_url.clone(), pairs_of_prost(&scope.attributes));
            all.extend(scope_spans.spans.iter().map(|span| span_of_prost(span, &service, &resource, &scope)));
        }
    }
    all
}

fn span_of_prost(span: &ProstSpan, service: &str, resource: &Pairs, scope: &(String, String, String, Pairs)) -> Seen {
    let status = span.status.clone().unwrap_or_default();
    Seen {
        ids: (
            u128::from_be_bytes(id(&span.trace_id)),
            u64::from_be_bytes(id(&span.span_id)),
            u64::from_be_bytes(id(&span.parent_span_id)),
        ),
        name: span.name.clone(),
        kind: span.kind.max(1),
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        status: (status.code, status.message),
        trace_state: span.trace_state.clone(),
        remote_parent: span.flags & 0x300 == 0x300,
        dropped: span.dropped_attributes_count + span.dropped_events_count + span.dropped_links_count > 0,
        attributes: pairs_of_prost(&span.attributes),
        events: span
            .events
            .iter()
            .map(|event| (event.time_unix_nano, event.name.clone(), pairs_of_prost(&event.attributes)))
            .collect(),
        links: span
            .links
            .iter()
            .map(|link| (link.trace_id.clone(), link.span_id.clone(), pairs_of_prost(&link.attributes)))
            .collect(),
        service: service.to_owned(),
        resource: resource.clone(),
        scope: scope.clone(),
    }
}

/// What our model says, span by span.
pub fn of_store(store: &SpanStore) -> Vec<Seen> {
    let one = |span| -> Seen {
        let span: &spandiff::model::Span = span;
        let scope = store.scope(span).unwrap();
        Seen {
            ids: (span.trace_id.0, span.id.0, span.parent_id.0),
            name: store.name(span).to_owned(),
            kind: span.kind as i32,
            times: (span.start_ns, span.end_ns),
            status: (span.status as i32, store.status_message(span).to_owned()),
            trace_state: store.trace_state(span).to_owned(),
            remote_parent: span.marks.has(SpanMarks::REMOTE_PARENT),
            dropped: span.marks.has(SpanMarks::DROPPED),
            attributes: pairs_of_ours(store.attributes(span)),
            events: store
                .events(span)
                .map(|event| (event.time_ns, event.name.to_owned(), pairs_of_ours(event.attributes)))
                .collect(),
            links: store
                .links(span)
                .map(|link| {
                    let trace_id = link.trace_id.unwrap_or_default().0.to_be_bytes().to_vec();
                    (
                        trace_id,
                        link.span_id.unwrap_or_default().0.to_be_bytes().to_vec(),
                        pairs_of_ours(link.attributes),
                    )
                })
                .collect(),
            service: store.service(span).to_owned(),
            resource: pairs_of_ours(store.resource_attributes(span)),
            scope: (
                store.symbols.get(scope.name).to_owned(),
                store.symbols.get(scope.version).to_owned(),
                store.symbols.get(scope.schema_url).to_owned(),
                pairs_of_ours(Attributes::of_message(store.bytes(scope.body), 3)),
            ),
        }
    };
    store.spans.iter().map(one).collect()
}

/// Reads bytes through the whole pipeline and keeps everything.
pub fn read_all(
    mut bytes: &[u8],
    said: Option<InputFormat>,
    limits: Limits,
) -> (Result<(), ReadError>, SpanStore, ReadReport) {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context = Context { limits, symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    let result = read::read(&mut bytes, said, &mut context);
    let report = context.report;
    store.symbols = symbols;
    (result, store, report)
}
