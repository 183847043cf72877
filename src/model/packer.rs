//! Writes what [`super::attributes`] reads: spans, resources and scopes in their packed form.

use super::attributes::{Value, field};
use super::wire::{Open, Writer};
use super::{Kind, SpanId, Status, TraceId};

/// The head of a span as it is packed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanHead<'a> {
    /// Trace id.
    pub trace_id: TraceId,
    /// Span id.
    pub id: SpanId,
    /// Parent span id, [`SpanId::NONE`] for a root.
    pub parent_id: SpanId,
    /// W3C trace state, empty for none.
    pub trace_state: &'a str,
    /// Name.
    pub name: &'a str,
    /// Kind.
    pub kind: Kind,
    /// Start, nanoseconds since 1970.
    pub start_ns: u64,
    /// End, nanoseconds since 1970.
    pub end_ns: u64,
    /// Status.
    pub status: Status,
    /// Status message, empty for none.
    pub status_message: &'a str,
    /// OTLP span flags.
    pub flags: u32,
}

/// Writes packed spans, resources and scopes: for readers of formats that are not protobuf, and for generate.
#[derive(Debug, Default)]
pub struct Packer {
    writer: Writer,
}

impl Packer {
    /// An empty packer.
    pub const fn new() -> Self {
        Packer { writer: Writer::new() }
    }

    /// Bytes written so far: the offset at which the next message begins.
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.writer.into_bytes()
    }

    /// The wire writer below, for what has no method here.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// The fields of a span but its attributes, events and links, which follow.
    pub fn span_head(&mut self, head: &SpanHead<'_>) {
        let w = &mut self.writer;
        w.bytes_field(field::SPAN_TRACE_ID, &head.trace_id.0.to_be_bytes());
        w.bytes_field(field::SPAN_ID, &head.id.0.to_be_bytes());
        if !head.trace_state.is_empty() {
            w.bytes_field(field::SPAN_TRACE_STATE, head.trace_state.as_bytes());
        }
        if !head.parent_id.is_none() {
            w.bytes_field(field::SPAN_PARENT_ID, &head.parent_id.0.to_be_bytes());
        }
        w.bytes_field(field::SPAN_NAME, head.name.as_bytes());
        w.varint(field::SPAN_KIND, head.kind as u64);
        w.fixed64(field::SPAN_START, head.start_ns);
        w.fixed64(field::SPAN_END, head.end_ns);
        if head.status != Status::Unset || !head.status_message.is_empty() {
            let open = w.begin(field::SPAN_STATUS);
            if !head.status_message.is_empty() {
                w.bytes_field(2, head.status_message.as_bytes());
            }
            if head.status != Status::Unset {
                w.varint(3, head.status as u64);
            }
            w.end(open);
        }
        if head.flags != 0 {
            w.fixed32(field::SPAN_FLAGS, head.flags);
        }
    }

    /// One attribute as field `number` of the message being written.
    pub fn attribute(&mut self, number: u32, key: &str, value: &Value<'_>) {
        let open = self.begin_attribute(number, key);
        self.value(value);
        self.end_attribute(open);
    }

    /// Begins an attribute whose value is written by [`Packer::value`] or by hand.
    pub fn begin_attribute(&mut self, number: u32, key: &str) -> (Open, Open) {
        let outer = self.writer.begin(number);
        self.writer.bytes_field(1, key.as_bytes());
        (outer, self.writer.begin(2))
    }

    /// Ends an attribute.
    pub fn end_attribute(&mut self, open: (Open, Open)) {
        self.writer.end(open.1);
        self.writer.end(open.0);
    }

    /// The inside of an `AnyValue` message. Recurses as deep as the value is nested, which its reader bounded.
    pub fn value(&mut self, value: &Value<'_>) {
        let w = &mut self.writer;
        match value {
            Value::Empty => {}
            Value::Str(text) => w.bytes_field(1, text.as_bytes()),
            Value::Bool(flag) => w.varint(2, u64::from(*flag)),
            Value::Int(int) => w.varint(3, *int as u64),
            Value::Double(double) => w.fixed64(4, double.to_bits()),
            Value::Bytes(bytes) => w.bytes_field(7, bytes),
            Value::Array(values) => {
                let open = w.begin(5);
                for element in *values {
                    let inner = self.writer.begin(1);
                    self.value(&element);
                    self.writer.end(inner);
                }
                self.writer.end(open);
            }
            Value::Map(attributes) => {
                let open = w.begin(6);
                for (key, element) in *attributes {
                    self.attribute(1, key, &element);
                }
                self.writer.end(open);
            }
        }
    }

    /// Begins an event of the span being written; its attributes follow as field [`field::EVENT_ATTRIBUTES`].
    pub fn begin_event(&mut self, time_ns: u64, name: &str) -> Open {
        let open = self.writer.begin(field::SPAN_EVENTS);
        self.writer.fixed64(1, time_ns);
        self.writer.bytes_field(2, name.as_bytes());
        open
    }

    /// Begins a link of the span being written; its attributes follow as field [`field::LINK_ATTRIBUTES`].
    pub fn begin_link(&mut self, trace_id: TraceId, span_id: SpanId) -> Open {
        let open = self.writer.begin(field::SPAN_LINKS);
        self.writer.bytes_field(1, &trace_id.0.to_be_bytes());
        self.writer.bytes_field(2, &span_id.0.to_be_bytes());
        open
    }

    /// Ends an event or a link.
    pub fn end(&mut self, open: Open) {
        self.writer.end(open);
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::{Attributes, Part, Parts, events, links, status_message, trace_state};
    use super::*;

    #[test]
    fn a_packed_span_reads_back_what_was_packed() {
        let mut packer = Packer::new();
        packer.span_head(&SpanHead {
            trace_id: TraceId(1),
            id: SpanId(2),
            name: "n",
            status: Status::Error,
            status_message: "boom",
            trace_state: "ot=th:8",
            ..SpanHead::default()
        });
        packer.attribute(field::SPAN_ATTRIBUTES, "a", &Value::Int(-1));
        packer.attribute(field::SPAN_ATTRIBUTES, "b", &Value::Double(0.5));
        let event = packer.begin_event(7, "exception");
        packer.attribute(field::EVENT_ATTRIBUTES, "exception.type", &Value::Str("Timeout"));
        packer.end(event);
        let link = packer.begin_link(TraceId(1), SpanId(9));
        packer.end(link);
        let body = packer.into_bytes();

        let attributes = Attributes::of_message(&body, field::SPAN_ATTRIBUTES);
        let all: Vec<_> = attributes.collect();
        assert_eq!(all, [("a", Value::Int(-1)), ("b", Value::Double(0.5))]);
        let event =
            events(&body).next().map(|event| (event.time_ns, event.name, event.attributes.find("exception.type")));
        assert_eq!(event, Some((7, "exception", Some(Value::Str("Timeout")))));
        let link = links(&body).next().map(|link| (link.trace_id, link.span_id));
        assert_eq!(link, Some((Some(TraceId(1)), Some(SpanId(9)))));
        assert_eq!((status_message(&body), trace_state(&body)), ("boom", "ot=th:8"));

        let parts = Parts::of_span(&body).map(|part| match part {
            Part::Attribute(key, value) => format!("{key}={value}"),
            Part::Event(event) => format!("event {} {}", event.name, event.attributes.count()),
            Part::Link(link) => format!("link {:?}", link.span_id),
            Part::StatusMessage(text) => format!("message {text}"),
            Part::TraceState(text) => format!("state {text}"),
        });
        let expected = ["state ot=th:8", "message boom", "a=-1", "b=0.5", "event exception 1", "link Some(SpanId(9))"];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn parts_of_any_length_are_read() {
        let long = "x".repeat(300);
        let mut packer = Packer::new();
        packer.attribute(field::SPAN_ATTRIBUTES, "long", &Value::Str(&long));
        packer.attribute(field::SPAN_ATTRIBUTES, "short", &Value::Str("é"));
        packer.attribute(field::SPAN_ATTRIBUTES, &long, &Value::Int(300));
        let body = packer.into_bytes();
        let all: Vec<_> = Attributes::of_message(&body, field::SPAN_ATTRIBUTES).collect();
        assert_eq!(all, [("long", Value::Str(&long)), ("short", Value::Str("é")), (long.as_str(), Value::Int(300))]);
        let parts: Vec<_> = Parts::of_span(&body)
            .filter_map(|part| if let Part::Attribute(key, value) = part { Some((key, value)) } else { None })
            .collect();
        assert_eq!(parts, all);
    }
}
