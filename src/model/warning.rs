//! What was not as it should be: values, counted, each code once.

use std::collections::BTreeMap;

/// The codes of the contract. Other programs read these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Warning {
    /// The input ends in the middle of a record.
    TruncatedTail,
    /// A record between readable ones could not be decoded.
    InvalidRecord,
    /// A span without a usable trace or span id, or that could not be decoded.
    InvalidSpan,
    /// Text that is not UTF-8, replaced.
    InvalidUtf8,
    /// The same span twice.
    DuplicateSpan,
    /// A span whose parent is not in the data.
    MissingParent,
    /// A further root of one trace.
    DetachedRoot,
    /// Spans that are their own ancestors.
    Cycle,
    /// Clocks of two services disagree; corrected.
    ClockSkew,
    /// A child outside its parent's interval, cut for time calculations.
    ClippedChild,
    /// A span that ends before it starts.
    NegativeDuration,
    /// A time that does not fit.
    TimeOverflow,
    /// Something was left out because a limit was reached.
    LimitReached,
    /// A trace that meets the conditions of both sides.
    BothSides,
    /// A span that came too late.
    LateSpan,
    /// A trace that was closed too early because memory was short.
    EvictedTrace,
    /// A span that came and was dropped because memory or time was short.
    DroppedSpan,
    /// The source says that the trace is not complete.
    PartialTrace,
    /// How traces were sampled is not known.
    UnknownSampling,
    /// Traces were sampled at different rates.
    MixedSampling,
    /// A span name with too many distinct values.
    HighCardinalityName,
    /// Metrics, logs or profiles among the traces.
    NonTraceSignal,
    /// A body with `snake_case` keys.
    SnakeCaseBody,
    /// The sender says that it dropped attributes, events or links.
    DroppedBySender,
}

impl Warning {
    /// All codes.
    pub const ALL: [Warning; 24] = [
        Warning::TruncatedTail,
        Warning::InvalidRecord,
        Warning::InvalidSpan,
        Warning::InvalidUtf8,
        Warning::DuplicateSpan,
        Warning::MissingParent,
        Warning::DetachedRoot,
        Warning::Cycle,
        Warning::ClockSkew,
        Warning::ClippedChild,
        Warning::NegativeDuration,
        Warning::TimeOverflow,
        Warning::LimitReached,
        Warning::BothSides,
        Warning::LateSpan,
        Warning::EvictedTrace,
        Warning::DroppedSpan,
        Warning::PartialTrace,
        Warning::UnknownSampling,
        Warning::MixedSampling,
        Warning::HighCardinalityName,
        Warning::NonTraceSignal,
        Warning::SnakeCaseBody,
        Warning::DroppedBySender,
    ];

    /// The code as it stands in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Warning::TruncatedTail => "truncated_tail",
            Warning::InvalidRecord => "invalid_record",
            Warning::InvalidSpan => "invalid_span",
            Warning::InvalidUtf8 => "invalid_utf8",
            Warning::DuplicateSpan => "duplicate_span",
            Warning::MissingParent => "missing_parent",
            Warning::DetachedRoot => "detached_root",
            Warning::Cycle => "cycle",
            Warning::ClockSkew => "clock_skew",
            Warning::ClippedChild => "clipped_child",
            Warning::NegativeDuration => "negative_duration",
            Warning::TimeOverflow => "time_overflow",
            Warning::LimitReached => "limit_reached",
            Warning::BothSides => "both_sides",
            Warning::LateSpan => "late_span",
            Warning::EvictedTrace => "evicted_trace",
            Warning::DroppedSpan => "dropped_span",
            Warning::PartialTrace => "partial_trace",
            Warning::UnknownSampling => "unknown_sampling",
            Warning::MixedSampling => "mixed_sampling",
            Warning::HighCardinalityName => "high_cardinality_name",
            Warning::NonTraceSignal => "non_trace_signal",
            Warning::SnakeCaseBody => "snake_case_body",
            Warning::DroppedBySender => "dropped_by_sender",
        }
    }

    /// What the count counts and what it means, in words.
    pub const fn explanation(self) -> &'static str {
        match self {
            Warning::TruncatedTail => "bytes at the end were cut off in the middle of a record",
            Warning::InvalidRecord => "records could not be decoded and were left out",
            Warning::InvalidSpan => "spans without a valid id or structure were left out",
            Warning::InvalidUtf8 => "texts were not UTF-8; bad bytes were replaced",
            Warning::DuplicateSpan => "spans came twice and were used once",
            Warning::MissingParent => "spans whose parent is not in the data",
            Warning::DetachedRoot => "further roots of the trace were hung under the first",
            Warning::Cycle => "cycles of parents were cut at their earliest span",
            Warning::ClockSkew => "spans were shifted because two services' clocks disagree",
            Warning::ClippedChild => "spans reach outside their parent and were cut for time calculations",
            Warning::NegativeDuration => "spans end before they start; counted as zero",
            Warning::TimeOverflow => "times were out of range and were clamped",
            Warning::LimitReached => "items were left out because a limit was reached",
            Warning::BothSides => "traces meet the conditions of both sides and were left out",
            Warning::LateSpan => "spans came after their trace was closed",
            Warning::EvictedTrace => "traces were closed too early because memory was short",
            Warning::DroppedSpan => "spans were dropped because memory or time was short",
            Warning::PartialTrace => "traces are marked as incomplete by their source",
            Warning::UnknownSampling => "traces do not say how they were sampled",
            Warning::MixedSampling => "traces were sampled at different rates",
            Warning::HighCardinalityName => "span names have very many values and were folded",
            Warning::NonTraceSignal => "records of metrics, logs or profiles were skipped",
            Warning::SnakeCaseBody => "records use snake_case keys, which OTLP/JSON does not allow; read anyway",
            Warning::DroppedBySender => "spans had attributes, events or links dropped by their sender",
        }
    }

    /// Whether each count stands for one span that was read and not used.
    pub const fn loses_span(self) -> bool {
        matches!(self, Warning::InvalidSpan | Warning::DuplicateSpan)
    }
}

/// How often a warning came, and the first example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often.
    pub count: u64,
    /// Where or what it was the first time; empty when there is nothing to add.
    pub example: String,
}

/// Warnings by code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    by_code: BTreeMap<Warning, Counted>,
}

impl Warnings {
    /// Counts `count` more; nothing happens for zero.
    pub fn add(&mut self, warning: Warning, count: u64) {
        if count > 0 {
            self.by_code.entry(warning).or_default().count += count;
        }
    }

    /// Counts one more, with an example that is kept if it is the first.
    pub fn add_with(&mut self, warning: Warning, example: impl FnOnce() -> String) {
        let counted = self.by_code.entry(warning).or_default();
        counted.count += 1;
        if counted.example.is_empty() {
            counted.example = example();
        }
    }

    /// How often a warning came.
    pub fn count(&self, warning: Warning) -> u64 {
        self.by_code.get(&warning).map_or(0, |counted| counted.count)
    }

    /// Adds all warnings of `other`.
    pub fn merge(&mut self, other: &Warnings) {
        for (&warning, counted) in &other.by_code {
            let mine = self.by_code.entry(warning).or_default();
            mine.count += counted.count;
            // The smaller text, so that the order of merging does not show.
            if mine.example.is_empty() || (!counted.example.is_empty() && counted.example < mine.example) {
                mine.example.clone_from(&counted.example);
            }
        }
    }

    /// All warnings in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (Warning, &Counted)> {
        self.by_code.iter().map(|(&warning, counted)| (warning, counted))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_code.is_empty()
    }

    /// Spans that were read and not used.
    pub fn spans_lost(&self) -> u64 {
        self.iter().filter(|(warning, _)| warning.loses_span()).map(|(_, counted)| counted.count).sum()
    }
}
