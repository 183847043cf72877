//! Spans of batches by trace: what both ways of assembling traces begin with, the one over files that knows how many
//! spans a trace has (`population`) and the one over a stream that does not (`live`).

use super::Batch;
use crate::model::{Body, Limits, Resource, Span, SpanStore, TraceId};
use std::collections::HashMap;
use std::sync::Arc;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A run of spans of one trace in a batch: number of the trace in the batch, first index and the one behind the last.
pub(super) type Run = (u32, u32, u32);

/// Resources of an open trace that are looked at for one that is already there.
const RESOURCES_LOOKED_AT: usize = 16;

/// A trace of which more spans are to come.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub spans: Vec<Span>,
    pub resources: Vec<Resource>,
    pub bytes: Vec<u8>,
}

/// The spans of a batch by trace.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// Runs of all traces, those of one trace together.
    pub runs: Vec<Run>,
    /// By number: the trace.
    pub ids: Vec<TraceId>,
    numbers: Map<TraceId, u32>,
    /// By resource of the batch: the trace that used it last, and its number there.
    resources: Vec<(u32, u32)>,
}

impl Split {
    /// Begins anew with the spans of a batch.
    pub fn divide(&mut self, batch: &Batch) {
        self.runs.clear();
        self.ids.clear();
        self.numbers.clear();
        self.resources.clear();
        self.resources.resize(batch.resources.len(), (u32::MAX, 0));
        let mut last = None;
        for (index, span) in (0u32..).zip(&batch.spans) {
            if last == Some(span.trace_id)
                && let Some((_, _, end)) = self.runs.last_mut()
            {
                *end = index + 1;
                continue;
            }
            last = Some(span.trace_id);
            let next = self.ids.len() as u32;
            let number = *self.numbers.entry(span.trace_id).or_insert(next);
            if number == next {
                self.ids.push(span.trace_id);
            }
            self.runs.push((number, index, index + 1));
        }
        self.runs.sort_unstable();
    }

    /// The number that a resource of the batch has in a trace; `add` gives it one.
    pub fn resource(&mut self, trace: u32, resource: u32, add: impl FnOnce() -> u32) -> u32 {
        let Some((last, number)) = self.resources.get_mut(resource as usize) else { return u32::MAX };
        if *last != trace {
            *last = trace;
            *number = add();
        }
        *number
    }
}

/// The spans of some runs.
pub(super) fn spans_of<'b>(runs: &'b [Run], batch: &'b Batch) -> impl Iterator<Item = &'b Span> {
    runs.iter().filter_map(|&(_, begin, end)| batch.spans.get(begin as usize..end as usize)).flatten()
}

impl Open {
    /// Bytes that its spans take.
    pub fn size(&self) -> u64 {
        (self.bytes.len() + self.spans.len() * size_of::<Span>() + self.resources.len() * size_of::<Resource>()) as u64
    }

    /// Bytes that it holds, those that it does not use yet included.
    pub fn held(&self) -> u64 {
        let (spans, resources) = (self.spans.capacity(), self.resources.capacity());
        (self.bytes.capacity() + spans * size_of::<Span>() + resources * size_of::<Resource>()) as u64
    }

    /// Copies a span of a batch, whose bytes stand beside it; false when there is no room for it.
    pub fn add(
        &mut self,
        number: u32,
        span: &Span,
        (batch, bytes): (&Batch, &[u8]),
        split: &mut Split,
        limits: &Limits,
    ) -> bool {
        if self.spans.len() as u64 >= limits.trace_spans {
            return false;
        }
        let Some(body) = self.copy(slice(bytes, span.body)) else { return false };
        let resource = split.resource(number, span.resource, || self.resource(batch, bytes, span.resource));
        self.spans.push(Span { resource, scope: u32::MAX, body, ..*span });
        true
    }

    /// What was copied, ready to be assembled.
    pub fn into_store(self) -> SpanStore {
        let Open { spans, resources, bytes } = self;
        SpanStore { spans, resources, chunks: vec![Arc::new(bytes)], ..SpanStore::default() }
    }

    /// Takes back what a store that was made of one holds, emptied: the next trace has its memory, which the processor
    /// still has at hand.
    pub fn of_used(store: &mut SpanStore) -> Open {
        let chunk = store.chunks.pop().and_then(|chunk| Arc::try_unwrap(chunk).ok());
        let (spans, resources) = (std::mem::take(&mut store.spans), std::mem::take(&mut store.resources));
        let mut open = Open { spans, resources, bytes: chunk.unwrap_or_default() };
        open.spans.clear();
        open.resources.clear();
        open.bytes.clear();
        open
    }

    fn copy(&mut self, message: &[u8]) -> Option<Body> {
        let body = Body { chunk: 0, start: u32::try_from(self.bytes.len()).ok()?, len: message.len() as u32 };
        body.start.checked_add(body.len)?;
        self.bytes.extend_from_slice(message);
        Some(body)
    }

    /// The number of a resource: one of the last if it is there already.
    fn resource(&mut self, batch: &Batch, bytes: &[u8], resource: u32) -> u32 {
        let Some(resource) = batch.resources.get(resource as usize) else { return u32::MAX };
        let message = slice(bytes, resource.body);
        let known = self.resources.iter().enumerate().rev().take(RESOURCES_LOOKED_AT);
        let same = |known: &Resource| known.service == resource.service && slice(&self.bytes, known.body) == message;
        if let Some((number, _)) = known.into_iter().find(|(_, known)| same(known)) {
            return number as u32;
        }
        let Some(body) = self.copy(message) else { return u32::MAX };
        self.resources.push(Resource { service: resource.service, body });
        self.resources.len() as u32 - 1
    }
}

fn slice(bytes: &[u8], body: Body) -> &[u8] {
    let start = body.start as usize;
    bytes.get(start..start + body.len as usize).unwrap_or_default()
}
