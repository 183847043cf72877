//! What a screen shows of one node of the merged tree beyond its row.

use super::types::Change;
use crate::model::{Pair, SpanId, TraceId, units};
use std::fmt::{self, Display, Write};

/// Longest text kept of one value, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

/// Everything known about one node of the merged tree. In pair mode it speaks of one span a side, else of all spans of
/// a call path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeDetail {
    /// Attributes of span, scope and resource: the changed, the added, the removed, the equal ones; within those the
    /// span's before the scope's before the resource's, then by key. Identifiers and equal ones are there too.
    pub attributes: Vec<AttributeRow>,
    /// Events by name and exception type, in order of first occurrence, the before side's first. Over many traces: own
    /// errors by type, most frequent first, counted in traces.
    pub events: Vec<EventRow>,
    /// Span links on each side; over many traces sampled ones by their weights.
    pub links: Pair<u64>,
    /// The message of the status, where there is one. None over many traces.
    pub status_message: Pair<Option<String>>,
    /// How durations of its spans are distributed, shortest first. Empty for a pair.
    pub durations: Pair<Vec<Bin>>,
    /// Spans to look at, one a side at most for a pair. A span stands here once for each of its roles.
    pub examples: Pair<Vec<Example>>,
}

/// One attribute on both sides. For many spans: the most common value of each side, or where that may have moved by
/// chance the one that is most common on both.
///
/// Values are as they were sent, control characters included, cut at [`MAX_TEXT`] with a remark.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeRow {
    /// The key, in its current spelling.
    pub key: String,
    /// Where it stands.
    pub scope: AttributeScope,
    /// How it differs; `None` when it is equal. For many spans `None` also stands by a key with too many values to
    /// compare: then one value of each side is shown.
    pub change: Option<Change>,
    /// Value before.
    pub before: Option<String>,
    /// Value after.
    pub after: Option<String>,
    /// Share of each side's spans that have the value shown for that side, 0 to 1, where all spans of a trace count as
    /// one together; `None` for a pair, or without a value.
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
    /// Shortest duration of the bin and the one at which the next would begin, nanoseconds.
    pub ns: (f64, f64),
    /// Share of the side's spans, 0 to 1.
    pub share: f64,
}

/// A span worth opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// Why it was chosen: `this span`; `typical` (of the sampled ones the nearest to the median), `fastest`, `slowest`,
    /// `failed` (by itself), `sampled` (at random).
    pub role: &'static str,
    /// Its trace.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// Its duration, nanoseconds.
    pub duration_ns: u64,
}

/// A value as text, at most [`MAX_TEXT`] bytes of it and a remark on what is missing; whether it is whole.
pub(super) fn bounded(value: &dyn Display) -> (String, bool) {
    let mut cut = Cut { text: String::new(), more: 0 };
    // Neither text nor numbers fail to be written.
    let _ = write!(cut, "{value}");
    if cut.more > 0 {
        let more = units::counted(cut.more, "more byte", "more bytes");
        cut.text.push_str("… ");
        cut.text.push_str(&more);
    }
    (cut.text, cut.more == 0)
}

/// Text up to [`MAX_TEXT`] bytes, and how many bytes were not kept.
struct Cut {
    text: String,
    more: u64,
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = if self.more == 0 { MAX_TEXT.saturating_sub(self.text.len()) } else { 0 };
        let end = (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        let (kept, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        self.text.push_str(kept);
        self.more += rest.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_text_stays_as_it_is() {
        for text in ["", "a\u{1b}[31m\n\u{202e}b", &"x".repeat(MAX_TEXT)] {
            assert_eq!(bounded(&text), (text.to_owned(), true));
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        // The last byte that has room would split an `é`.
        let text = format!("{}é{}", "x".repeat(MAX_TEXT - 1), "y".repeat(1_234));
        let (cut, whole) = bounded(&text);
        assert_eq!(cut, format!("{}… 1,236 more bytes", "x".repeat(MAX_TEXT - 1)));
        assert!(!whole);
        assert!(bounded(&"x".repeat(MAX_TEXT + 1)).0.ends_with("x… 1 more byte"));
    }

    #[test]
    fn what_comes_after_the_cut_is_not_kept_though_it_had_room() {
        let value = format_args!("{}é{}", "x".repeat(MAX_TEXT - 1), "y").to_string();
        let pieces = ["x".repeat(MAX_TEXT - 1), "é".to_owned(), "y".to_owned()];
        let mut cut = Cut { text: String::new(), more: 0 };
        for piece in &pieces {
            cut.write_str(piece).unwrap();
        }
        assert_eq!((cut.text.len(), cut.more), (MAX_TEXT - 1, 3));
        assert!(bounded(&value).0.ends_with("x… 3 more bytes"));
    }
}
