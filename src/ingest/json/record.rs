//! The batch that one document becomes: packed bodies, spans, and resources and scopes that are kept once.
//!
//! Spans are written field by field as the document gives them, attributes first if they come first: the order of
//! protobuf fields does not matter. A span that turns out unusable is taken back.

use crate::ingest::Batch;
use crate::model::attributes::{Packer, SpanHead, field};
use crate::model::wire::Open;
use crate::model::{
    Attributes, Body, Kind, Limits, NO_PARENT, OperationId, Resource, Scope, Span, SpanId, SpanMarks, Status, Symbol,
    Symbols, TraceId, Value, Warning, Warnings,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// The name of a service whose resource does not name it.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Levels of lists and maps that are kept at most, whatever the limit says: values are walked recursively.
const MOST_VALUE_DEPTH: u64 = 512;

/// What is known of a span before it is whole. Attributes, events and links are written at once.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    /// Where its body begins.
    pub(super) start: usize,
    pub(super) trace_id: Option<TraceId>,
    pub(super) id: Option<SpanId>,
    pub(super) parent_id: SpanId,
    pub(super) name: Cow<'a, str>,
    pub(super) trace_state: Cow<'a, str>,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970, not yet in range.
    pub(super) start_ns: i128,
    /// Nanoseconds since 1970, not yet in range.
    pub(super) end_ns: i128,
    pub(super) status: Status,
    pub(super) status_message: Cow<'a, str>,
    pub(super) flags: u32,
    pub(super) marks: SpanMarks,
    /// Attributes, events and links that the sender dropped.
    pub(super) dropped: [u32; 3],
}

/// A scope that was written but is not in the list yet.
#[derive(Debug)]
pub(super) struct ScopeDraft {
    pub(super) name: Symbol,
    pub(super) version: Symbol,
    pub(super) schema_url: Symbol,
    pub(super) body: Range<usize>,
}

impl Default for ScopeDraft {
    fn default() -> Self {
        ScopeDraft { name: Symbol::EMPTY, version: Symbol::EMPTY, schema_url: Symbol::EMPTY, body: 0..0 }
    }
}

type Known = HashMap<Box<[u8]>, u32, foldhash::fast::RandomState>;

/// The batch in the making.
pub(super) struct Record<'c> {
    pub(super) packer: Packer,
    pub(super) spans: Vec<Span>,
    resources: Vec<Resource>,
    scopes: Vec<Scope>,
    known_resources: Known,
    known_scopes: HashMap<(Box<[u8]>, Symbol), u32, foldhash::fast::RandomState>,
    pub(super) limits: Limits,
    symbols: &'c mut Symbols,
    pub(super) warnings: Warnings,
    /// Set when a limit cut something off the span at hand.
    pub(super) left_out: bool,
    /// Ids were base64: Tempo or Grafana wrote this.
    pub(super) base64_ids: bool,
    /// Keys were `snake_case`.
    pub(super) snake_case: bool,
}

impl<'c> Record<'c> {
    pub(super) fn new(limits: Limits, symbols: &'c mut Symbols) -> Self {
        Record {
            packer: Packer::new(),
            spans: Vec::new(),
            resources: Vec::new(),
            scopes: Vec::new(),
            known_resources: Known::default(),
            known_scopes: HashMap::default(),
            limits: Limits { value_depth: limits.value_depth.min(MOST_VALUE_DEPTH), ..limits },
            symbols,
            warnings: Warnings::default(),
            left_out: false,
            base64_ids: false,
            snake_case: false,
        }
    }

    /// The batch and what was noticed.
    pub(super) fn into_batch(mut self) -> (Batch, Warnings) {
        if self.snake_case {
            self.warnings.add(Warning::SnakeCaseBody, 1);
        }
        let batch = Batch {
            spans: self.spans,
            resources: self.resources,
            scopes: self.scopes,
            bytes: self.packer.into_bytes(),
        };
        (batch, self.warnings)
    }

    /// The symbol of a text; the empty one for a new text when the table is full, which is counted.
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        if (self.symbols.len() as u64) < self.limits.symbols {
            return self.symbols.intern(text);
        }
        self.symbols.find(text).unwrap_or_else(|| {
            self.warnings.add_with(Warning::LimitReached, || format!("symbols: {text:.60?} is one too many"));
            Symbol::EMPTY
        })
    }

    /// Counts something left out because of a limit.
    #[cold]
    pub(super) fn over_limit(&mut self) {
        self.left_out = true;
        self.warnings.add(Warning::LimitReached, 1);
    }

    /// The text within its limit, cut between characters.
    #[inline]
    pub(super) fn bounded<'t>(&mut self, text: Cow<'t, str>) -> Cow<'t, str> {
        if text.len() as u64 <= self.limits.text_bytes { text } else { self.cut(&text) }
    }

    #[cold]
    fn cut<'t>(&mut self, text: &str) -> Cow<'t, str> {
        self.warnings.add(Warning::LimitReached, 1);
        let mut end = (self.limits.text_bytes as usize).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Cow::Owned(text.get(..end).unwrap_or_default().to_owned())
    }

    /// An attribute with a value that is no list or map, as field `number` of the message being written.
    #[inline]
    pub(super) fn leaf(&mut self, number: u32, key: &str, value: &Value<'_>) {
        let value_len = match value {
            Value::Str(text) => 1 + varint_len(text.len()) + text.len(),
            Value::Bytes(bytes) => 1 + varint_len(bytes.len()) + bytes.len(),
            Value::Double(_) => 9,
            Value::Bool(_) => 2,
            Value::Int(int) if (0..0x80).contains(int) => 2,
            Value::Empty => 0,
            Value::Int(_) | Value::Array(_) | Value::Map(_) => return self.packer.attribute(number, key, value),
        };
        let length = 1 + varint_len(key.len()) + key.len() + 1 + varint_len(value_len) + value_len;
        let writer = self.packer.writer();
        if length >= 0x80 || number >= 16 {
            writer.raw_varint(u64::from(number) << 3 | 2);
            writer.raw_varint(length as u64);
            writer.bytes_field(1, key.as_bytes());
            writer.raw_varint(2 << 3 | 2);
            writer.raw_varint(value_len as u64);
            return self.packer.value(value);
        }
        // All lengths fit in one byte: headers are appended in one piece each.
        writer.raw(&[(number << 3 | 2) as u8, length as u8, 1 << 3 | 2, key.len() as u8]);
        writer.raw(key.as_bytes());
        if let Value::Str(text) = value {
            writer.raw(&[2 << 3 | 2, value_len as u8, 1 << 3 | 2, text.len() as u8]);
            writer.raw(text.as_bytes());
        } else {
            writer.raw(&[2 << 3 | 2, value_len as u8]);
            self.packer.value(value);
        }
    }

    /// Ends an event whose attributes were written.
    pub(super) fn end_event(&mut self, open: Open, time: i128, name: &str, dropped: u32) {
        let time = self.in_range(time);
        let writer = self.packer.writer();
        writer.fixed64(1, time);
        writer.bytes_field(2, name.as_bytes());
        if dropped > 0 {
            writer.varint(4, u64::from(dropped));
        }
        writer.end(open);
    }

    /// Ends a link whose attributes were written. Invalid ids are left out: the model then says `None`.
    pub(super) fn end_link(&mut self, open: Open, trace_id: Option<TraceId>, span_id: Option<SpanId>) {
        let writer = self.packer.writer();
        if let Some(id) = trace_id {
            writer.bytes_field(1, &id.0.to_be_bytes());
        }
        if let Some(id) = span_id {
            writer.bytes_field(2, &id.0.to_be_bytes());
        }
        writer.end(open);
    }

    /// Ends a span: writes its head and lists it, with resource and scope 0. False when it has no valid ids, which
    /// is counted; then nothing of it is left.
    pub(super) fn finish(&mut self, draft: Draft<'_>, at: usize) -> bool {
        let (Some(trace_id), Some(id)) = (draft.trace_id, draft.id) else {
            let missing = if draft.trace_id.is_none() { "trace id" } else { "span id" };
            self.refuse(draft.start, || format!("span at byte {at} of its document: no valid {missing}"));
            return false;
        };
        let (start_ns, end_ns) = self.times(draft.start_ns, draft.end_ns);
        let name = self.bounded(draft.name);
        let head = SpanHead {
            trace_id,
            id,
            parent_id: draft.parent_id,
            trace_state: &draft.trace_state,
            name: &name,
            kind: draft.kind,
            start_ns,
            end_ns,
            status: draft.status,
            status_message: &draft.status_message,
            flags: draft.flags,
        };
        self.packer.span_head(&head);
        let mut marks = draft.marks;
        if draft.dropped != [0; 3] {
            self.write_dropped(draft.dropped);
            marks = marks.with(SpanMarks::DROPPED);
        }
        if self.left_out {
            marks = marks.with(SpanMarks::DROPPED);
        }
        let Some(body) = body_of(draft.start, self.packer.len()) else {
            self.refuse(draft.start, || "a document's spans take more than 4 GiB".to_owned());
            return false;
        };
        let name = self.intern(&name);
        self.spans.push(Span {
            trace_id,
            id,
            parent_id: draft.parent_id,
            start_ns,
            end_ns,
            name,
            resource: 0,
            scope: 0,
            body,
            operation: OperationId::NONE,
            parent: NO_PARENT,
            kind: draft.kind,
            status: draft.status,
            marks,
        });
        true
    }

    fn write_dropped(&mut self, dropped: [u32; 3]) {
        self.warnings.add(Warning::DroppedBySender, 1);
        let numbers = [field::SPAN_DROPPED_ATTRIBUTES, field::SPAN_DROPPED_EVENTS, field::SPAN_DROPPED_LINKS];
        for (number, count) in numbers.into_iter().zip(dropped) {
            if count > 0 {
                self.packer.writer().varint(number, u64::from(count));
            }
        }
    }

    /// Takes back what was written of a span and counts it as unusable.
    #[cold]
    pub(super) fn refuse(&mut self, start: usize, why: impl FnOnce() -> String) {
        self.packer.writer().truncate(start);
        self.warnings.add_with(Warning::InvalidSpan, why);
    }

    #[inline]
    fn times(&mut self, start: i128, end: i128) -> (u64, u64) {
        if start == 0 && end > 0 {
            // Without a start all that is known is the moment of its end.
            self.warnings.add(Warning::TimeOverflow, 1);
            let end = end.min(i128::from(i64::MAX)) as u64;
            return (end, end);
        }
        let (start, end) = (self.in_range(start), self.in_range(end));
        if end < start {
            self.warnings.add(Warning::NegativeDuration, 1);
        }
        (start, end.max(start))
    }

    #[inline]
    fn in_range(&mut self, time: i128) -> u64 {
        let clamped = time.clamp(0, i128::from(i64::MAX));
        if clamped != time {
            self.warnings.add(Warning::TimeOverflow, 1);
        }
        clamped as u64
    }

    /// Sets resource and scope of the last span.
    pub(super) fn assign(&mut self, resource: u32, scope: u32) {
        if let Some(span) = self.spans.last_mut() {
            (span.resource, span.scope) = (resource, scope);
        }
    }

    /// Sets the resource of all spans from index `from` on.
    pub(super) fn assign_resource(&mut self, from: usize, resource: u32) {
        self.spans.iter_mut().skip(from).for_each(|span| span.resource = resource);
    }

    /// Sets the scope of all spans from index `from` on.
    pub(super) fn assign_scope(&mut self, from: usize, scope: u32) {
        self.spans.iter_mut().skip(from).for_each(|span| span.scope = scope);
    }

    /// The index of the resource whose packed message is what was written from `start` on. A known one is kept once.
    pub(super) fn resource(&mut self, start: usize) -> u32 {
        let message = self.packer.writer().bytes().get(start..).unwrap_or_default();
        if let Some(&known) = self.known_resources.get(message) {
            self.packer.writer().truncate(start);
            return known;
        }
        let service = service_name(message);
        let key = Box::from(message);
        let index = self.resources.len() as u32;
        let body = body_of(start, self.packer.len()).unwrap_or_default();
        let service = self.intern(&service);
        self.resources.push(Resource { service, body });
        self.known_resources.insert(key, index);
        index
    }

    /// The index of a scope; a known one is kept once.
    pub(super) fn scope(&mut self, draft: &ScopeDraft) -> u32 {
        let writer = self.packer.writer();
        let key = (Box::from(writer.bytes().get(draft.body.clone()).unwrap_or_default()), draft.schema_url);
        if let Some(&known) = self.known_scopes.get(&key) {
            if draft.body.end == writer.len() {
                writer.truncate(draft.body.start);
            }
            return known;
        }
        let index = self.scopes.len() as u32;
        self.scopes.push(Scope {
            name: draft.name,
            version: draft.version,
            schema_url: draft.schema_url,
            body: body_of(draft.body.start, draft.body.end).unwrap_or_default(),
        });
        self.known_scopes.insert(key, index);
        index
    }

    /// The index of the scope with this name and version and nothing else.
    pub(super) fn named_scope(&mut self, name: &str, version: &str) -> u32 {
        let start = self.packer.len();
        let writer = self.packer.writer();
        if !name.is_empty() {
            writer.bytes_field(1, name.as_bytes());
        }
        if !version.is_empty() {
            writer.bytes_field(2, version.as_bytes());
        }
        let body = start..writer.len();
        let (name, version) = (self.intern(name), self.intern(version));
        self.scope(&ScopeDraft { name, version, schema_url: Symbol::EMPTY, body })
    }
}

fn body_of(start: usize, end: usize) -> Option<Body> {
    u32::try_from(end).ok()?;
    Some(Body { chunk: 0, start: start as u32, len: end.checked_sub(start)? as u32 })
}

#[inline]
const fn varint_len(value: usize) -> usize {
    if value < 0x80 { 1 } else { (value.ilog2() as usize) / 7 + 1 }
}

/// `service.name`, behind `service.namespace` and a slash if there is one.
fn service_name(resource: &[u8]) -> String {
    let (mut name, mut namespace) = (String::new(), String::new());
    for (key, value) in Attributes::of_message(resource, field::RESOURCE_ATTRIBUTES) {
        match key {
            "service.name" => name = value.to_string(),
            "service.namespace" => namespace = value.to_string(),
            _ => {}
        }
    }
    match (namespace.as_str(), name.as_str()) {
        (_, "") => UNKNOWN_SERVICE.to_owned(),
        ("", _) => name,
        _ => format!("{namespace}/{name}"),
    }
}
