//! Which traces were closed lately, and which spans they had: so that a request that is sent again is told from spans
//! that come too late.
//!
//! Two generations: when the younger one has used its half of the room, it becomes the older one and what was the older
//! one is forgotten. Of a span four bytes are kept: one of a million spans of a trace is taken for a known one by chance
//! once in four thousand times.

use crate::model::{SpanId, TraceId};
use std::collections::HashMap;

/// Spans of one trace that are kept; those of larger traces count as late when they come again.
const MAX_SPANS: usize = 1 << 16;
/// More spans than this are sorted, so that a large trace that is sent again is not looked up by walking.
const MANY_SPANS: usize = 32;
/// What a trace takes in the index, in bytes.
const TRACE_BYTES: u64 = 32;

/// The memory of closed traces.
#[derive(Debug)]
pub struct Memory {
    young: Generation,
    old: Generation,
    most_bytes: u64,
}

#[derive(Debug, Default)]
struct Generation {
    /// First and number of a trace's spans.
    index: HashMap<TraceId, (u32, u32), foldhash::fast::RandomState>,
    spans: Vec<u32>,
}

/// The spans of a closed trace.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'m>(&'m [u32]);

impl Seen<'_> {
    /// Whether the trace had this span.
    pub fn has(&self, id: SpanId) -> bool {
        let print = print_of(id);
        if self.0.len() > MANY_SPANS { self.0.binary_search(&print).is_ok() } else { self.0.contains(&print) }
    }
}

impl Generation {
    fn bytes(&self) -> u64 {
        self.index.len() as u64 * TRACE_BYTES + self.spans.len() as u64 * 4
    }

    fn find(&self, id: TraceId) -> Option<Seen<'_>> {
        let &(first, count) = self.index.get(&id)?;
        let spans = self.spans.get(first as usize..first as usize + count as usize);
        Some(Seen(spans.unwrap_or_default()))
    }
}

fn print_of(id: SpanId) -> u32 {
    (id.0 ^ id.0 >> 32) as u32
}

impl Memory {
    /// An empty memory of so many bytes.
    pub fn new(most_bytes: u64) -> Memory {
        // First spans are numbered in 32 bits.
        Memory { young: Generation::default(), old: Generation::default(), most_bytes: most_bytes.min(8 << 30) }
    }

    /// Bytes that it takes, roughly.
    pub fn bytes(&self) -> u64 {
        self.young.bytes() + self.old.bytes()
    }

    /// Keeps a trace in mind.
    pub fn remember(&mut self, id: TraceId, spans: impl Iterator<Item = SpanId>) {
        if self.young.bytes() > self.most_bytes / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        let first = self.young.spans.len();
        self.young.spans.extend(spans.take(MAX_SPANS).map(print_of));
        let count = self.young.spans.len() - first;
        if count > MANY_SPANS
            && let Some(own) = self.young.spans.get_mut(first..)
        {
            own.sort_unstable();
        }
        self.young.index.insert(id, (first as u32, count as u32));
    }

    /// A trace that was closed and is not forgotten.
    pub fn find(&self, id: TraceId) -> Option<Seen<'_>> {
        self.young.find(id).or_else(|| self.old.find(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_room_is_kept() {
        let mut memory = Memory::new(4_000);
        for trace in 0..10_000u128 {
            memory.remember(TraceId(trace), [SpanId(trace as u64), SpanId(1 << 40)].into_iter());
            assert!(memory.bytes() <= 4_000 + 2 * (TRACE_BYTES + 8));
            assert!(memory.find(TraceId(trace)).is_some_and(|seen| seen.has(SpanId(1 << 40))));
        }
        assert!(memory.find(TraceId(0)).is_none());
        let before = memory.find(TraceId(9_960)).unwrap();
        assert!(before.has(SpanId(9_960)) && !before.has(SpanId(9_961)));
    }

    #[test]
    fn a_large_trace_takes_a_bounded_part() {
        let mut memory = Memory::new(1 << 20);
        memory.remember(TraceId(1), (0..1 << 20).map(SpanId));
        assert!(memory.bytes() < 300_000);
        let seen = memory.find(TraceId(1)).unwrap();
        assert!((0..1 << 16).step_by(1_000).all(|id| seen.has(SpanId(id))) && !seen.has(SpanId(1 << 17)));
    }
}
