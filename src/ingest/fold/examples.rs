//! Keeps whole traces as examples: a trace is written when it is among those of an entry point, once however many entry
//! points it has. That happens seldom, since of random traces only every n-th is faster than all before it.

use crate::model::profile::{Exemplar, Exemplars, MAX_EXAMPLE_BYTES, MAX_EXAMPLE_SPANS};
use crate::model::wire::{Fields, Writer};
use crate::model::{Body, Span, Trace};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

/// `TracesData.resource_spans`.
const RESOURCE_SPANS: u32 = 1;
/// `ResourceSpans.resource`.
const RESOURCE: u32 = 1;
/// `ResourceSpans.scope_spans`, `ScopeSpans.spans`.
const MEMBERS: u32 = 2;

/// A span as an example.
pub(super) const fn exemplar(trace: &Trace, span: &Span) -> Exemplar {
    Exemplar { trace_id: trace.id, span_id: span.id, start_ns: span.start_ns, duration_ns: span.duration_ns() }
}

/// The trace at hand as a message, once it is asked for.
pub(super) struct Message<'a> {
    trace: &'a Trace,
    /// `None` for a trace that is too large.
    written: OnceCell<Option<Arc<[u8]>>>,
}

impl<'a> Message<'a> {
    pub fn new(trace: &'a Trace) -> Message<'a> {
        Message { trace, written: OnceCell::new() }
    }

    /// Gives the trace to the examples of an entry point whose spans of the trace these are, if it is among them. How
    /// many bytes that took.
    pub fn offer(&self, members: &[u32], exemplars: &mut Exemplars) -> usize {
        let mut bytes = 0;
        for span in members.iter().filter_map(|&index| self.trace.spans().get(index as usize)) {
            let example = exemplar(self.trace, span);
            if exemplars.keeps_trace_of(&example)
                && let Some(written) = self.written.get_or_init(|| write(self.trace))
            {
                exemplars.add_trace(&example, written);
                bytes += written.len();
            }
        }
        bytes
    }
}

/// The trace as it came as an OTLP `TracesData` message; `None` when it is too large.
///
/// Resources stand there by their content: neither their numbers nor the order of spans in the input show. Zipkin's mark
/// on servers that share their client's id has no place in OTLP; being servers says the same.
fn write(trace: &Trace) -> Option<Arc<[u8]>> {
    let spans = || trace.spans().iter().chain(&trace.taken_out);
    let bytes = |span: &Span| span.body.len as usize;
    if trace.len() + trace.taken_out.len() > MAX_EXAMPLE_SPANS || spans().map(bytes).sum::<usize>() > MAX_EXAMPLE_BYTES
    {
        return None;
    }
    let mut numbers: HashMap<&[u8], usize, foldhash::fast::RandomState> = HashMap::default();
    let mut by_resource: Vec<(&[u8], Vec<Body>)> = Vec::new();
    for span in spans() {
        let body = trace.store.resources.get(span.resource as usize).map(|resource| resource.body).unwrap_or_default();
        let resource = trace.store.bytes(body);
        let number = *numbers.entry(resource).or_insert(by_resource.len());
        match by_resource.get_mut(number) {
            Some((_, bodies)) => bodies.push(span.body),
            None => by_resource.push((resource, vec![span.body])),
        }
    }
    let mut writer = Writer::new();
    for (resource, bodies) in by_resource {
        let resource_spans = writer.begin(RESOURCE_SPANS);
        message(RESOURCE, resource, &mut writer);
        let scope_spans = writer.begin(MEMBERS);
        for body in bodies {
            message(MEMBERS, trace.store.bytes(body), &mut writer);
        }
        writer.end(scope_spans);
        writer.end(resource_spans);
    }
    (writer.len() <= MAX_EXAMPLE_BYTES).then(|| writer.into_bytes().into())
}

/// Writes a message as field `number`, its fields in order of their numbers: senders order them differently, and the same
/// trace is to become the same bytes. Fields of one number stay as they stand.
fn message(number: u32, message: &[u8], writer: &mut Writer) {
    let mut parts: Vec<(u32, &[u8])> = Vec::new();
    let (mut fields, mut rest) = (Fields::new(message), message);
    // Readers checked every byte: there is no error behind which something would be left out.
    while let Ok(Some((number, _))) = fields.next_field() {
        let (part, behind) = rest.split_at_checked(rest.len() - fields.rest().len()).unwrap_or_default();
        parts.push((number, part));
        rest = behind;
    }
    parts.sort_by_key(|(number, _)| *number);
    let all = writer.begin(number);
    for (_, part) in parts {
        writer.raw(part);
    }
    writer.end(all);
}
