//! Writes spans as OTLP JSON: one document, keys in the order of the protobuf files, ids as hex, 64-bit integers as
//! strings.

use super::json::{list, put, string};
use super::record::{Attributes, Event, Group, Process, Scope, Span, Value, group};
use crate::model::{SpanId, Status, TraceId};

/// The spans as one JSON document, all with the same trace state, with a line end.
pub fn write(spans: &[Span], processes: &[Process], trace_state: &str) -> String {
    let mut out = String::with_capacity(spans.len() * 2_048);
    out.push_str("{\"resourceSpans\":");
    list(&mut out, ('[', ']'), group(spans, processes), |out, group| resource_spans(out, &group, trace_state));
    out.push_str("}\n");
    out
}

fn resource_spans(out: &mut String, group: &Group<'_>, trace_state: &str) {
    out.push_str("{\"resource\":{\"attributes\":");
    attributes(out, &group.process.resource);
    out.push_str("},\"scopeSpans\":");
    list(out, ('[', ']'), &group.scopes, |out, (scope, spans)| {
        scope_spans(out, *scope, spans, (group.process.schema_url, trace_state));
    });
    out.push_str(",\"schemaUrl\":");
    string(out, group.process.schema_url);
    out.push('}');
}

fn scope_spans(out: &mut String, scope: Scope, spans: &[&Span], (schema_url, trace_state): (&str, &str)) {
    out.push_str("{\"scope\":{\"name\":");
    string(out, scope.name);
    out.push_str(",\"version\":");
    string(out, scope.version);
    out.push_str("},\"spans\":");
    list(out, ('[', ']'), spans, |out, one| span(out, one, trace_state));
    out.push_str(",\"schemaUrl\":");
    string(out, schema_url);
    out.push('}');
}

fn span(out: &mut String, span: &Span, trace_state: &str) {
    ids(out, span.trace_id, span.id);
    if !trace_state.is_empty() {
        out.push_str(",\"traceState\":");
        string(out, trace_state);
    }
    if !span.parent_id.is_none() {
        put(out, format_args!(",\"parentSpanId\":\"{}\"", span.parent_id));
    }
    put(out, format_args!(",\"flags\":{},\"name\":", span.flags));
    string(out, &span.name);
    put(out, format_args!(",\"kind\":{}", span.kind as u8));
    put(out, format_args!(",\"startTimeUnixNano\":\"{}\"", span.start_ns));
    put(out, format_args!(",\"endTimeUnixNano\":\"{}\"", span.end_ns));
    out.push_str(",\"attributes\":");
    attributes(out, &span.attributes);
    if !span.events.is_empty() {
        out.push_str(",\"events\":");
        list(out, ('[', ']'), &span.events, event);
    }
    if !span.links.is_empty() {
        out.push_str(",\"links\":");
        list(out, ('[', ']'), &span.links, |out, &(trace_id, id)| {
            ids(out, trace_id, id);
            out.push('}');
        });
    }
    if span.status != Status::Unset {
        put(out, format_args!(",\"status\":{{\"message\":"));
        string(out, span.status_message);
        put(out, format_args!(",\"code\":{}}}", span.status as u8));
    }
    out.push('}');
}

/// The beginning of an object that has ids.
fn ids(out: &mut String, trace_id: TraceId, id: SpanId) {
    put(out, format_args!("{{\"traceId\":\"{trace_id}\",\"spanId\":\"{id}\""));
}

fn event(out: &mut String, event: &Event) {
    put(out, format_args!("{{\"timeUnixNano\":\"{}\",\"name\":", event.time_ns));
    string(out, event.name);
    out.push_str(",\"attributes\":");
    attributes(out, &event.attributes);
    out.push('}');
}

fn attributes(out: &mut String, attributes: &Attributes) {
    list(out, ('[', ']'), attributes, |out, (key, value)| {
        out.push_str("{\"key\":");
        string(out, key);
        out.push_str(",\"value\":{");
        match value {
            Value::Text(text) => {
                out.push_str("\"stringValue\":");
                string(out, text);
            }
            Value::Int(int) => put(out, format_args!("\"intValue\":\"{int}\"")),
            Value::Flag(flag) => put(out, format_args!("\"boolValue\":{flag}")),
        }
        out.push_str("}}");
    });
}
