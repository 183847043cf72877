//! Example spans of a path: a few by smallest hash, and those that stand out.

use super::examples::Whole;
use crate::model::{SpanId, TraceId};

/// Examples kept by smallest hash.
const MAX_SAMPLE: usize = 3;

/// One span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its start, nanoseconds since 1970.
    pub start_ns: u64,
    /// Its duration, nanoseconds.
    pub duration_ns: u64,
}

impl Exemplar {
    /// What decides which examples are kept: looks random, and is the same in every run.
    fn rank(&self) -> u64 {
        let mixed = (self.trace_id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.trace_id.0 >> 64) as u64;
        let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }

    fn ids(&self) -> (TraceId, SpanId) {
        (self.trace_id, self.span_id)
    }
}

/// The kept examples of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exemplars {
    /// At most three, one a trace, by smallest hash of the trace id.
    pub sample: Vec<Exemplar>,
    /// The earliest.
    pub first: Option<Exemplar>,
    /// The one with the longest duration.
    pub slowest: Option<Exemplar>,
    /// The one with the shortest duration.
    pub fastest: Option<Exemplar>,
    /// The earliest that failed by itself.
    pub failed: Option<Exemplar>,
    /// The whole traces of some of them.
    pub whole: Whole,
}

/// Replaces what is held when the new one is smaller by its key.
fn keep_least<K: Ord>(held: &mut Option<Exemplar>, new: &Exemplar, key: impl Fn(&Exemplar) -> K) {
    if held.as_ref().is_none_or(|held| key(new) < key(held)) {
        *held = Some(*new);
    }
}

impl Exemplars {
    /// Looks at a span; `failed` when it failed by itself.
    #[inline]
    pub fn add(&mut self, span: &Exemplar, failed: bool) {
        self.keep_in_sample(span);
        keep_least(&mut self.first, span, |span| (span.start_ns, span.ids()));
        keep_least(&mut self.slowest, span, |span| (std::cmp::Reverse(span.duration_ns), span.ids()));
        keep_least(&mut self.fastest, span, |span| (span.duration_ns, span.ids()));
        if failed {
            keep_least(&mut self.failed, span, |span| (span.start_ns, span.ids()));
        }
    }

    fn keep_in_sample(&mut self, span: &Exemplar) {
        let key = |span: &Exemplar| (span.rank(), span.ids(), span.start_ns);
        if self.sample.len() >= MAX_SAMPLE && self.sample.last().is_some_and(|last| key(last) <= key(span)) {
            return;
        }
        if let Some(held) = self.sample.iter_mut().find(|held| held.trace_id == span.trace_id) {
            if key(span) < key(held) {
                *held = *span;
            }
        } else {
            self.sample.push(*span);
        }
        self.sample.sort_unstable_by_key(key);
        self.sample.truncate(MAX_SAMPLE);
    }

    /// Adds other examples.
    pub fn merge(&mut self, other: &Exemplars) {
        for span in &other.sample {
            self.keep_in_sample(span);
        }
        if let Some(span) = &other.first {
            keep_least(&mut self.first, span, |span| (span.start_ns, span.ids()));
        }
        if let Some(span) = &other.slowest {
            keep_least(&mut self.slowest, span, |span| (std::cmp::Reverse(span.duration_ns), span.ids()));
        }
        if let Some(span) = &other.fastest {
            keep_least(&mut self.fastest, span, |span| (span.duration_ns, span.ids()));
        }
        if let Some(span) = &other.failed {
            keep_least(&mut self.failed, span, |span| (span.start_ns, span.ids()));
        }
        self.merge_traces(other);
    }
}
