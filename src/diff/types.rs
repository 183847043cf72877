//! The one complete result that every report only reads.
//!
//! Durations are integers in nanoseconds, differences are after minus before, `None` means "not on that side".

use super::effects::{Accepted, Effect, InstanceGroup};
use super::kind::FindingKind;
use super::merged::TreeNode;
use crate::model::{Operation, Pair, SpanId, TraceId, Warnings};

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Exactly one trace on each side, every span matched individually.
    #[default]
    Pair,
    /// Anything else, folded by call path.
    Population,
}

/// The complete result of a comparison. The default compares nothing with nothing.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Pair or population.
    pub mode: Mode,
    /// What each side was made of.
    pub inputs: Pair<InputSide>,
    /// SHA-256 of the effective configuration, as hex.
    pub config_sha256: String,
    /// Whether the sides can be compared, and why not.
    pub comparable: Comparable,
    /// What part of the before side the after side exercised.
    pub coverage: Coverage,
    /// What moved everywhere alike.
    pub drift: Drift,
    /// How much the findings of two random halves of the after side agree (Jaccard index, 0 to 1); `None` for a pair or
    /// when neither half has any.
    pub stability: Option<f64>,
    /// The change of the mean over all requests: traffic that moved between entry points, then the entry points' own
    /// changes. Rows sum to it. Empty for a pair.
    pub overall: Vec<AttributionRow>,
    /// Totals.
    pub summary: Summary,
    /// The entry points, those on both sides first.
    pub entry_points: Vec<EntryPoint>,
    /// The findings, most important first.
    pub findings: Vec<Finding>,
    /// What a reader should know that is no finding.
    pub notes: Vec<Note>,
    /// Services ranked by how much of the change they explain.
    pub suspects: Vec<Suspect>,
    /// What was left out because of a limit.
    pub omitted: Omitted,
    /// The merged tree in pre-order: every node of both sides once. Empty unless `DiffOptions::tree` asks for it.
    pub tree: Vec<TreeNode>,
    /// Which service calls which, on both sides.
    pub services: ServiceGraph,
}

/// Services and the calls between them, both sides in one graph. Nodes and edges are sorted by service names.
pub type ServiceGraph = petgraph::graph::DiGraph<ServiceNode, ServiceEdge>;

/// A service of the service graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNode {
    /// The service.
    pub service: String,
    /// Its spans on each side.
    pub spans: Pair<u64>,
    /// Its failed spans on each side.
    pub errors: Pair<u64>,
    /// Its self time on each side, nanoseconds.
    pub self_ns: Pair<u64>,
}

/// Calls or links from one service to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEdge {
    /// Parent-child relations that cross from the one to the other, on each side.
    pub calls: Pair<u64>,
    /// Span links from the one to the other, on each side.
    pub links: Pair<u64>,
    /// Failed calls on each side.
    pub errors: Pair<u64>,
}

/// What one side was made of.
#[derive(Clone, Debug, Default)]
pub struct InputSide {
    /// Names of the files or streams, sorted.
    pub sources: Vec<String>,
    /// How many traces.
    pub traces: u64,
    /// How many spans were used.
    pub spans: u64,
    /// Ids of the traces compared: one in pair mode.
    pub trace_ids: Vec<TraceId>,
    /// Earliest start and latest end, nanoseconds since 1970; `None` without spans.
    pub window_ns: Option<(u64, u64)>,
    /// SHA-256 over the sorted list of the sources' hashes, as hex.
    pub sha256: String,
    /// How the traces were sampled.
    pub sampling: Sampling,
    /// Whether they were read from profiles: of their traces only examples of entry points are left.
    pub of_profiles: bool,
    /// Bytes read, and of those the bytes that could not be used; zeros when that is not known.
    pub bytes: (u64, u64),
    /// What was not as it should be.
    pub warnings: Warnings,
}

/// How traces were sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Every trace was kept.
    None,
    /// A consistent threshold, stated in the trace state.
    Consistent,
    /// Several thresholds.
    Mixed,
    /// The data does not say.
    #[default]
    Unknown,
}

impl Sampling {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Sampling::None => "none",
            Sampling::Consistent => "consistent",
            Sampling::Mixed => "mixed",
            Sampling::Unknown => "unknown",
        }
    }
}

/// A code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Stable code, for example `instrumentation_changed`, `version`, `semconv`, `one_trace_each`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

/// Whether the sides can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparable {
    /// False when the sides share no entry point.
    pub ok: bool,
    /// What stands against it, also when it is still possible.
    pub reasons: Vec<Note>,
}

/// Share of the before side's call paths and instances that the after side exercised, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Call paths.
    pub paths: f64,
    /// Instances (databases, hosts, queues); `None` when none are known.
    pub instances: Option<f64>,
}

/// What moved everywhere alike, and how much single spans scatter around that.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// The common ratio after/before of self times; 1.0 for none.
    pub common_ratio: f64,
    /// Robust standard deviation of ln(after/before) between call paths: the jitter that the pair itself shows.
    pub between_paths: f64,
}

/// Totals.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Findings of each kind, in the order of [`FindingKind::ALL`]; kinds without findings are left out.
    pub by_kind: Vec<(FindingKind, u64)>,
    /// Distinct operations without any finding.
    pub unchanged_operations: u64,
    /// Largest change of self time at a call path without any finding, nanoseconds: the bound of "unchanged".
    pub unchanged_bound_ns: u64,
    /// Spans on each side and how many of them have a partner.
    pub spans: Pair<u64>,
    /// Matched spans: moved, renamed and split ones included.
    pub matched: u64,
    /// Errors (spans with status error) on each side.
    pub errors: Pair<u64>,
}

/// One entry point and what its change is made of.
#[derive(Clone, Debug)]
pub struct EntryPoint {
    /// The operation at the root (after side's, or before side's if it is only there).
    pub operation: Operation,
    /// How many traces enter here.
    pub traces: Pair<u64>,
    /// Duration: in pair mode the one trace's.
    pub duration_ns: Pair<Option<Quantiles>>,
    /// Mean after minus mean before; `None` when it is on one side only.
    pub delta_ns: Option<i64>,
    /// Share of traces whose root failed.
    pub error_rate: Pair<Option<f64>>,
    /// Rows that sum to `delta_ns` exactly, largest first; the unexplained rest is the last row.
    pub attribution: Vec<AttributionRow>,
    /// The same for the slowest 5 % of the requests: rows that sum to the change of their mean. Empty for a pair.
    pub tail: Vec<AttributionRow>,
    /// The tests of the entry point itself: duration, p95, error rate, calls. Empty for a pair.
    pub effects: Vec<Effect>,
    /// The smallest slowdown that would have been found with power 0.8, as a ratio of durations; `None` when too few
    /// traces even for that, or for a pair.
    pub detectable: Option<f64>,
    /// Traces a side that it takes to find a slowdown of `must_detect`; `None` for a pair.
    pub needed_traces: Option<u64>,
}

/// Mean and quantiles in nanoseconds. With one trace all are its duration, except p99, which needs many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Mean.
    pub mean: i64,
    /// Median.
    pub p50: i64,
    /// 95th percentile.
    pub p95: i64,
    /// 99th percentile; `None` when there are too few traces.
    pub p99: Option<i64>,
}

/// One row of an attribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionRow {
    /// Index into `Diff::findings`; `None` for what no finding covers.
    pub finding: Option<usize>,
    /// What the row is, in words.
    pub label: String,
    /// Nanoseconds of the entry point's change.
    pub contribution_ns: i64,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// One trace on each side, or an uncertain match.
    Weak,
    /// Probably real.
    Likely,
    /// Structure seen on every trace, or q < 0.001 with the interval beyond the minimum effect.
    Certain,
}

impl Confidence {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Weak => "weak",
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        }
    }
}

/// One change worth a person's attention.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Stable from run to run: hash of the kind and the paths, as hex.
    pub fingerprint: String,
    /// What happened.
    pub kind: FindingKind,
    /// The after side's call path, entry point first, the operation itself last; the before side's for `removed`.
    pub path: Vec<Operation>,
    /// The before side's call path where it differs.
    pub from_path: Option<Vec<Operation>>,
    /// Spans at this node on each side.
    pub spans: Pair<u64>,
    /// For added, removed and surplus calls: spans in all, those below included.
    pub subtree: Option<u64>,
    /// Calls in one trace.
    pub calls_per_trace: Pair<f64>,
    /// Durations of the single spans.
    pub duration_ns: Pair<Option<Quantiles>>,
    /// Self time in one trace, nanoseconds (sum over the spans of the node).
    pub self_time_ns: Pair<Option<i64>>,
    /// Edge time (client minus server: network and queue) in one trace, nanoseconds.
    pub edge_time_ns: Pair<Option<i64>>,
    /// Share of the spans that failed.
    pub error_rate: Pair<Option<f64>>,
    /// What changed, in a few words: `calls 3 -> 30: N+1, same statement`, `own errors 0 -> 1`.
    pub title: String,
    /// Further evidence, a sentence each: retry, N+1, off the critical path, one trace each.
    pub evidence: Vec<String>,
    /// Nanoseconds of the entry point's change.
    pub contribution_ns: i64,
    /// Contribution as a share of the entry point's change; `None` when that is too small to divide by.
    pub share: Option<f64>,
    /// Whether any span of the node lies on the critical path.
    pub on_critical_path: Pair<bool>,
    /// How sure.
    pub confidence: Confidence,
    /// How the node was matched.
    pub matched: MatchInfo,
    /// Attributes that differ between matched spans, or those of an added or removed span.
    pub attributes: Vec<AttributeChange>,
    /// Events that came or went.
    pub events: Vec<EventChange>,
    /// From the symptom to the cause, one line a level.
    pub because: Vec<String>,
    /// Example spans on each side: the most typical first. One at most for a pair.
    pub exemplars: Pair<Vec<(TraceId, SpanId)>>,
    /// The tests behind it. Empty for a pair.
    pub effects: Vec<Effect>,
    /// The instances it speaks of, by key. Empty for a pair.
    pub instances: Vec<InstanceGroup>,
    /// When it began within the after side, nanoseconds since 1970, and in which trace; `None` when it was so from the
    /// start or that is not known.
    pub first_seen: Option<(u64, TraceId)>,
    /// The policy's acceptance of this change.
    pub accepted: Option<Accepted>,
}

impl Finding {
    /// The operation the finding stands at: the last of its path.
    pub fn operation(&self) -> Option<&Operation> {
        self.path.last()
    }
}

/// Why two nodes were matched, or that they were not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchInfo {
    /// 0 to 1; below 0.7 the match is shown as uncertain.
    pub score: f64,
    /// `operation`, `structure`, `renamed`, `moved`, `split`, `layer`, `none`.
    pub reason: &'static str,
}

/// How an attribute differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Other value.
    Changed,
    /// Only after.
    Added,
    /// Only before.
    Removed,
}

impl Change {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Change::Changed => "changed",
            Change::Added => "added",
            Change::Removed => "removed",
        }
    }
}

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeChange {
    /// The key, in its current spelling.
    pub key: String,
    /// How.
    pub change: Change,
    /// Value before (the most common one, with a count of others in words).
    pub before: Option<String>,
    /// Value after.
    pub after: Option<String>,
}

/// One kind of event that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventChange {
    /// Name of the event.
    pub name: String,
    /// How.
    pub change: Change,
    /// `exception.type`, if it has one.
    pub exception_type: Option<String>,
    /// How many on each side.
    pub count: Pair<u64>,
}

/// A service and its operations, ranked by how much of the change they explain.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// The service.
    pub service: String,
    /// 0 to 1, relative to all evidence.
    pub score: f64,
    /// Its operations, highest score first.
    pub operations: Vec<(Operation, f64)>,
    /// Why, with numbers.
    pub reasons: Vec<Note>,
}

/// What was left out because of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// How many findings.
    pub findings: u64,
    /// What they contribute together.
    pub contribution_ns: i64,
}
