//! A batch as one OTLP message, for traces that came in another format and go on to somebody who takes protobuf alone.

use super::{RESOURCE, RESOURCE_SPANS, SCHEMA_URL, SCOPE, SCOPE_SPANS, SPANS};
use crate::ingest::Batch;
use crate::model::wire::Writer;
use crate::model::{Body, Symbols};

/// The batch as an `ExportTraceServiceRequest`: spans in their order, those next to each other that share resource and
/// scope together. What a batch does not keep (the schema URL of a resource, spans without valid ids) is not in it.
/// `symbols` is the table that the batch was read with.
pub fn encode(batch: &Batch, symbols: &Symbols) -> Vec<u8> {
    let bytes = |body: Body| {
        let start = body.start as usize;
        start.checked_add(body.len as usize).and_then(|end| batch.bytes.get(start..end)).unwrap_or_default()
    };
    let mut writer = Writer::new();
    for of_resource in batch.spans.chunk_by(|a, b| a.resource == b.resource) {
        let Some(first) = of_resource.first() else { continue };
        let resource = batch.resources.get(first.resource as usize);
        let outer = writer.begin(RESOURCE_SPANS);
        writer.bytes_field(RESOURCE, resource.map_or(&[], |resource| bytes(resource.body)));
        for of_scope in of_resource.chunk_by(|a, b| a.scope == b.scope) {
            let inner = writer.begin(SCOPE_SPANS);
            if let Some(scope) = of_scope.first().and_then(|first| batch.scopes.get(first.scope as usize)) {
                writer.bytes_field(SCOPE, bytes(scope.body));
                let schema_url = symbols.get(scope.schema_url);
                if !schema_url.is_empty() {
                    writer.bytes_field(SCHEMA_URL, schema_url.as_bytes());
                }
            }
            for span in of_scope {
                writer.bytes_field(SPANS, bytes(span.body));
            }
            writer.end(inner);
        }
        writer.end(outer);
    }
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;
    use crate::ingest::{Context, ReadReport, Sink, json};
    use crate::model::{Limits, SpanStore};
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::TracesData;
    use prost::Message as _;

    struct Keep(Batch);

    impl Sink for Keep {
        fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
            self.0 = batch;
        }
    }

    const JSON: &str = r#"{"resourceSpans":[
      {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[
        {"scope":{"name":"lib","version":"1"},"schemaUrl":"https://schema","spans":[
          {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"one","kind":2,"flags":257,
           "startTimeUnixNano":"1","endTimeUnixNano":"2","traceState":"ot=th:8","droppedLinksCount":3,
           "attributes":[{"key":"n","value":{"arrayValue":{"values":[{"intValue":"-5"},{"doubleValue":"NaN"}]}}}],
           "events":[{"timeUnixNano":"1","name":"e"}],
           "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175"}],
           "status":{"code":2,"message":"boom"}},
          {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b176","parentSpanId":"eee19b7ec3c1b174",
           "name":"two","startTimeUnixNano":"1","endTimeUnixNano":"2"}]},
        {"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b177","name":"three"}]}]},
      {"scopeSpans":[{"spans":[
        {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b178","name":"four"}]}]}]}"#;

    fn read() -> (Batch, Symbols) {
        let (mut keep, mut symbols) = (Keep(Batch::default()), Symbols::default());
        let report = ReadReport::default();
        let mut context = Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut keep, report };
        json::decode_request(JSON.as_bytes(), &mut context).unwrap();
        (keep.0, symbols)
    }

    #[test]
    fn json_becomes_protobuf_that_other_libraries_read() {
        let (batch, symbols) = read();
        let data = TracesData::decode(encode(&batch, &symbols).as_slice()).unwrap();
        let shape: Vec<Vec<usize>> = data
            .resource_spans
            .iter()
            .map(|resource| resource.scope_spans.iter().map(|scope| scope.spans.len()).collect())
            .collect();
        assert_eq!(shape, [vec![2, 1], vec![1]]);
        let first = &data.resource_spans[0];
        let service = first.resource.as_ref().unwrap().attributes[0].value.clone().unwrap().value;
        assert_eq!(service, Some(Value::StringValue("a".into())));
        let scope = &first.scope_spans[0];
        assert_eq!((scope.schema_url.as_str(), scope.scope.as_ref().unwrap().name.as_str()), ("https://schema", "lib"));
        let span = &scope.spans[0];
        assert_eq!((span.name.as_str(), span.kind, span.flags, span.dropped_links_count), ("one", 2, 257, 3));
        assert_eq!((span.trace_state.as_str(), span.events.len(), span.links.len()), ("ot=th:8", 1, 1));
        assert_eq!(span.status.as_ref().unwrap().message, "boom");
        assert_eq!(scope.spans[1].parent_span_id, span.span_id);
        assert_eq!(data.resource_spans[1].resource.as_ref().unwrap().attributes.len(), 0);
    }

    #[test]
    fn encoding_and_decoding_changes_nothing() {
        let (batch, symbols) = read();
        let bytes = encode(&batch, &symbols);
        let mut again = Symbols::default();
        let decoded = decode(bytes.clone(), &Limits::default(), &mut again, &mut ReadReport::default());
        assert_eq!(encode(&decoded, &again), bytes);
        let spans = |batch: Batch, symbols: &Symbols| {
            let mut store = SpanStore::default();
            store.batch(batch, symbols);
            store.spans.iter().map(|span| (span.id, symbols.get(span.name).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(spans(decoded, &again), spans(batch, &symbols));
        assert!(encode(&Batch::default(), &symbols).is_empty());
    }
}
