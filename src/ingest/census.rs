//! The first of two passes over the inputs of a side: how many spans each trace has.
//!
//! With the numbers known, the second pass can close a trace the moment its last span came, so that memory is that of
//! the ids and of the traces that are open, wherever in the inputs their spans lie.

use super::{Batch, Sink};
use crate::model::wire::{Field, Fields};
use crate::model::{Limits, Symbols, TraceId};
use std::collections::HashMap;

/// Spans by trace, over all sources of a side.
#[derive(Clone, Debug, Default)]
pub struct Census {
    pub(super) spans: HashMap<TraceId, u32, foldhash::fast::RandomState>,
    most: usize,
    last: Option<(TraceId, u32)>,
}

impl Census {
    /// Nothing is counted yet; `limits.traces` are told apart at most.
    pub fn new(limits: &Limits) -> Census {
        Census { most: limits.traces as usize, ..Census::default() }
    }

    /// Counts a span.
    #[inline]
    pub fn add(&mut self, id: TraceId) {
        match &mut self.last {
            Some((last, count)) if *last == id => *count = count.saturating_add(1),
            last => {
                let before = last.replace((id, 1));
                self.settle(before);
            }
        }
    }

    /// How many distinct traces were counted.
    pub fn traces(&self) -> usize {
        self.spans.len() + self.last.map_or(0, |(id, _)| usize::from(!self.spans.contains_key(&id)))
    }

    fn settle(&mut self, run: Option<(TraceId, u32)>) {
        let Some((id, count)) = run else { return };
        let has_room = self.spans.len() < self.most;
        match self.spans.get_mut(&id) {
            Some(spans) => *spans = spans.saturating_add(count),
            None if has_room => _ = self.spans.insert(id, count),
            None => {}
        }
    }

    /// Spans by trace.
    pub(super) fn finish(mut self) -> HashMap<TraceId, u32, foldhash::fast::RandomState> {
        let last = self.last.take();
        self.settle(last);
        self.spans
    }

    /// Counts the spans of one OTLP message without looking at more of them than their trace ids; how many there were.
    pub(super) fn skim(&mut self, message: &[u8]) -> u64 {
        const RESOURCE_SPANS: u32 = 1;
        let mut spans = 0;
        each(message, |number, payload| {
            if number == RESOURCE_SPANS {
                spans += self.skim_record(payload);
            }
        });
        spans
    }

    /// The same of one `ResourceSpans`.
    pub(super) fn skim_record(&mut self, message: &[u8]) -> u64 {
        const SCOPE_SPANS: u32 = 2;
        const LIBRARY_SPANS: u32 = 1000;
        const SPANS: u32 = 2;
        let mut spans = 0;
        each(message, |number, payload| {
            if number == SCOPE_SPANS || number == LIBRARY_SPANS {
                each(payload, |number, span| {
                    if number == SPANS
                        && let Some(id) = trace_id(span)
                    {
                        self.add(id);
                        spans += 1;
                    }
                });
            }
        });
        spans
    }
}

/// Calls `visit` with the fields of a message that hold bytes. Of one that is cut off its last field counts with what
/// is there of it.
fn each<'a>(message: &'a [u8], mut visit: impl FnMut(u32, &'a [u8])) {
    let mut fields = Fields::new(message);
    loop {
        let rest = fields.rest();
        match fields.next_field() {
            Ok(Some((number, Field::Bytes(payload)))) => visit(number, payload),
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(_) => {
                if let Some((number, payload)) = Fields::new(rest).cut_bytes() {
                    visit(number, payload);
                }
                return;
            }
        }
    }
}

/// The id of a span's trace: nearly always its first field.
#[inline]
fn trace_id(span: &[u8]) -> Option<TraceId> {
    if let [0x0a, 0x10, rest @ ..] = span
        && let Some(id) = rest.first_chunk::<16>()
    {
        return TraceId::from_bytes(id);
    }
    let mut fields = Fields::new(span);
    std::iter::from_fn(|| fields.next_bytes(1)).last().and_then(TraceId::from_bytes)
}

impl Sink for Census {
    fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
        batch.spans.iter().for_each(|span| self.add(span.trace_id));
    }

    fn census(&mut self) -> Option<&mut Census> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SpanId;
    use crate::model::attributes::{Packer, SpanHead};

    fn request(ids: &[u128]) -> Vec<u8> {
        let mut packer = Packer::new();
        let record = packer.writer().begin(1);
        let scope = packer.writer().begin(2);
        for &id in ids {
            let span = packer.writer().begin(2);
            packer.span_head(&SpanHead { trace_id: TraceId(id), id: SpanId(7), ..SpanHead::default() });
            packer.writer().end(span);
        }
        packer.writer().end(scope);
        packer.writer().end(record);
        packer.into_bytes()
    }

    #[test]
    fn spans_are_counted_by_trace_within_the_limit() {
        let mut census = Census::new(&Limits { traces: 2, ..Limits::default() });
        assert_eq!(census.skim(&request(&[1, 1, 2, 1, 3, 2])), 6);
        assert_eq!(census.traces(), 2);
        let counted = census.finish();
        assert_eq!((counted.get(&TraceId(1)), counted.get(&TraceId(2)), counted.len()), (Some(&3), Some(&2), 2));
    }

    #[test]
    fn what_was_cut_off_is_counted_as_far_as_it_goes() {
        let whole = request(&[1; 100]);
        let mut last = 0;
        for end in 0..=whole.len() {
            let counted = Census::new(&Limits::default()).skim(whole.get(..end).unwrap());
            assert!(counted >= last && counted <= 100);
            last = counted;
        }
        assert_eq!(last, 100);
    }
}
