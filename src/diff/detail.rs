//! What a screen shows of one node of the merged tree beyond its row.

use super::types::Change;
use crate::model::{Pair, SpanId, TraceId};

/// Everything known about one node of the merged tree. In pair mode it speaks of one span a side, else of all spans of
/// a call path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeDetail {
    /// Attributes of span, scope and resource: those that differ first, then by key.
    pub attributes: Vec<AttributeRow>,
    /// Events by name and exception type, in order of first occurrence.
    pub events: Vec<EventRow>,
    /// Span links on each side.
    pub links: Pair<u64>,
    /// The message of the status, where there is one.
    pub status_message: Pair<Option<String>>,
    /// How durations of its spans are distributed, shortest first. Empty for a pair.
    pub durations: Pair<Vec<Bin>>,
    /// Spans to look at. One a side at most for a pair.
    pub examples: Pair<Vec<Example>>,
}

/// One attribute on both sides. For many spans: the most common value of each side.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeRow {
    /// The key, in its current spelling.
    pub key: String,
    /// Where it stands.
    pub scope: AttributeScope,
    /// How it differs; `None` when it is equal.
    pub change: Option<Change>,
    /// Value before.
    pub before: Option<String>,
    /// Value after.
    pub after: Option<String>,
    /// Share of the spans with this value on each side, 0 to 1; `None` for a pair.
    pub share: Pair<Option<f64>>,
}

/// Whose attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeScope {
    /// The span's own.
    Span,
    /// Its instrumentation scope's.
    Scope,
    /// Its resource's.
    Resource,
}

/// Events of one name and exception type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Name of the event.
    pub name: String,
    /// `exception.type`, if it has one.
    pub exception_type: Option<String>,
    /// `exception.message` of the first one of the after side, else of the before side.
    pub message: Option<String>,
    /// How many on each side.
    pub count: Pair<u64>,
}

/// Spans of similar duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Shortest and longest duration of the bin, nanoseconds.
    pub ns: (f64, f64),
    /// Share of the side's spans, 0 to 1.
    pub share: f64,
}

/// A span worth opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Why it was chosen: `this span`, `fastest`, `typical`, `slowest`, `failed`.
    pub role: &'static str,
    /// Its trace.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// Its duration, nanoseconds.
    pub duration_ns: u64,
}
