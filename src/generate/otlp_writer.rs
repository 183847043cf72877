//! Writes spans as OTLP protobuf: the fields of a `TracesData` message. Such messages concatenate, so traces can be
//! written one after another into one message.

use super::record::{Attributes, Group, Process, Scope, Span, Value, group};
use crate::model::attributes::{Packer, SpanHead, field};

/// `TracesData.resource_spans`.
const RESOURCE_SPANS: u32 = 1;
/// `ResourceSpans.resource`, `ScopeSpans.scope`.
const ORIGIN: u32 = 1;
/// `ResourceSpans.scope_spans`, `ScopeSpans.spans`.
const MEMBERS: u32 = 2;
/// `ResourceSpans.schema_url`, `ScopeSpans.schema_url`.
const SCHEMA_URL: u32 = 3;

/// The spans as protobuf bytes, all with the same trace state.
pub fn write(spans: &[Span], processes: &[Process], trace_state: &str) -> Vec<u8> {
    let mut packer = Packer::new();
    for group in group(spans, processes) {
        resource_spans(&mut packer, &group, trace_state);
    }
    packer.into_bytes()
}

fn resource_spans(packer: &mut Packer, group: &Group<'_>, trace_state: &str) {
    let all = packer.writer().begin(RESOURCE_SPANS);
    let resource = packer.writer().begin(ORIGIN);
    attributes(packer, field::RESOURCE_ATTRIBUTES, &group.process.resource);
    packer.writer().end(resource);
    for (scope, spans) in &group.scopes {
        scope_spans(packer, *scope, spans, (group.process.schema_url, trace_state));
    }
    packer.writer().bytes_field(SCHEMA_URL, group.process.schema_url.as_bytes());
    packer.writer().end(all);
}

fn scope_spans(packer: &mut Packer, scope: Scope, spans: &[&Span], (schema_url, trace_state): (&str, &str)) {
    let all = packer.writer().begin(MEMBERS);
    let origin = packer.writer().begin(ORIGIN);
    packer.writer().bytes_field(1, scope.name.as_bytes());
    packer.writer().bytes_field(2, scope.version.as_bytes());
    packer.writer().end(origin);
    for one in spans {
        span(packer, one, trace_state);
    }
    packer.writer().bytes_field(SCHEMA_URL, schema_url.as_bytes());
    packer.writer().end(all);
}

fn span(packer: &mut Packer, span: &Span, trace_state: &str) {
    let all = packer.writer().begin(MEMBERS);
    packer.span_head(&SpanHead {
        trace_id: span.trace_id,
        id: span.id,
        parent_id: span.parent_id,
        trace_state,
        name: &span.name,
        kind: span.kind,
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        status: span.status,
        status_message: span.status_message,
        flags: span.flags,
    });
    attributes(packer, field::SPAN_ATTRIBUTES, &span.attributes);
    for event in &span.events {
        let open = packer.begin_event(event.time_ns, event.name);
        attributes(packer, field::EVENT_ATTRIBUTES, &event.attributes);
        packer.end(open);
    }
    for &(trace_id, id) in &span.links {
        let open = packer.begin_link(trace_id, id);
        packer.end(open);
    }
    packer.writer().end(all);
}

fn attributes(packer: &mut Packer, number: u32, attributes: &Attributes) {
    for (key, value) in attributes {
        let value = match value {
            Value::Text(text) => crate::model::Value::Str(text),
            Value::Int(int) => crate::model::Value::Int(*int),
            Value::Flag(flag) => crate::model::Value::Bool(*flag),
        };
        packer.attribute(number, key, &value);
    }
}
