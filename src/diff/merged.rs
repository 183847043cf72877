//! One row of the merged tree, as reports read it.

use super::detail::NodeDetail;
use super::types::MatchInfo;
use crate::model::{Kind, Operation, Pair, SpanId, Status};

/// The mark of a tree row; it carries the meaning without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// `▲` takes more time.
    Worse,
    /// `▼` takes less time.
    Better,
    /// `+` only after.
    Added,
    /// `-` only before.
    Removed,
    /// `!` newly failing.
    Failing,
    /// `o` no longer failing.
    Recovered,
    /// `~` attributes or shape (serialized, parallelized, links) changed.
    Changed,
    /// `≈` matched under another name, caller or service.
    Similar,
    /// `=` equal within the bounds.
    Equal,
}

impl Mark {
    /// The glyph.
    pub const fn glyph(self) -> &'static str {
        match self {
            Mark::Worse => "▲",
            Mark::Better => "▼",
            Mark::Added => "+",
            Mark::Removed => "-",
            Mark::Failing => "!",
            Mark::Recovered => "o",
            Mark::Changed => "~",
            Mark::Similar => "≈",
            Mark::Equal => "=",
        }
    }

    /// The glyph for terminals without Unicode.
    pub const fn ascii(self) -> &'static str {
        match self {
            Mark::Worse => "^",
            Mark::Better => "v",
            Mark::Similar => "r",
            other => other.glyph(),
        }
    }
}

/// One node of the merged tree. In pair mode a node stands for one span on each side.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// Depth, 0 for an entry point. Removed nodes stand under the partner of their parent.
    pub depth: u32,
    /// The operation (after side's, or before side's if it is only there).
    pub operation: Operation,
    /// The before side's operation where it differs.
    pub from: Option<Operation>,
    /// What to show in front of the row.
    pub mark: Mark,
    /// Each side's numbers.
    pub sides: Pair<Option<NodeSide>>,
    /// Its change only shows what a descendant did.
    pub inherited: bool,
    /// Index into `Diff::findings` of the most important finding here.
    pub finding: Option<usize>,
    /// How it was matched.
    pub matched: MatchInfo,
    /// What is known beyond the row, over many traces; `None` for a pair, whose spans are looked at one by one.
    pub detail: Option<Box<NodeDetail>>,
}

/// One side of a merged node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeSide {
    /// How many spans: 1 in pair mode.
    pub spans: u64,
    /// Start relative to the start of the trace, nanoseconds.
    pub start_ns: i64,
    /// Duration, nanoseconds.
    pub duration_ns: u64,
    /// Self time, nanoseconds.
    pub self_ns: u64,
    /// Nanoseconds of the critical path.
    pub critical_ns: u64,
    /// Status.
    pub status: Status,
    /// Kind.
    pub kind: Kind,
    /// Span id.
    pub span_id: SpanId,
    /// What only many traces have; `None` for a pair.
    pub many: Option<NodeStats>,
}

/// One side of a merged node over many traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeStats {
    /// Calls in one trace of the entry point, the mean.
    pub calls_per_trace: f64,
    /// Share of the traces with the node in which it failed, by itself or not.
    pub error_rate: f64,
    /// Traces with the node.
    pub traces: u64,
    /// 95th percentile of the duration of its spans, nanoseconds.
    pub p95_ns: u64,
}
