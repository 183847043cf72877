//! The words of `spandiff.diff/v1`: what programs read. Add freely; rename only with a new version.
//!
//! Durations are integers in nanoseconds, times since 1970 are strings (they exceed 2^53), differences are after minus
//! before, `null` means "not on that side" or "not known". Key order is the order of the fields here.

pub mod gate;
mod population;

pub use population::{Accepted, Effect, FirstSeen, Instance, Shared};

use schemars::JsonSchema;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Name and version of the schema.
pub const SCHEMA: &str = "spandiff.diff/v1";

/// One value for each side.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Sides<T> {
    /// Before the change.
    pub before: T,
    /// After the change.
    pub after: T,
}

/// The difference between two sides.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "spandiff.diff/v1")]
pub struct Document<'a> {
    /// Always `spandiff.diff/v1`.
    pub schema: &'a str,
    /// Who wrote this.
    pub tool: Tool<'a>,
    /// `pair` or `population`.
    pub mode: &'a str,
    /// What each side was made of.
    pub inputs: Sides<Input<'a>>,
    /// SHA-256 of the effective configuration, hex.
    pub config_sha256: &'a str,
    /// Whether the sides can be compared.
    pub comparable: Comparable<'a>,
    /// What part of the before side the after side exercised.
    pub coverage: Coverage,
    /// What moved everywhere alike.
    pub drift: Drift,
    /// How stable the findings are over random halves of the traces; null for a pair.
    pub stability: Option<f64>,
    /// The change of the mean over all requests: traffic that moved between entry points, then their own changes.
    /// Empty for a pair.
    pub overall: Vec<Attribution<'a>>,
    /// Totals.
    pub summary: Summary<'a>,
    /// The entry points, those on both sides first.
    pub entry_points: Vec<EntryPoint<'a>>,
    /// The findings, most important first.
    pub findings: Vec<Finding<'a>>,
    /// What a reader should know that is no finding.
    pub notes: Vec<Note<'a>>,
    /// Services ranked by how much of the change they explain.
    pub suspects: Vec<Suspect<'a>>,
    /// What was left out because of `--max-findings`.
    pub omitted: Omitted,
    /// The merged tree, with `--tree`: every node once, both sides. Several roots stand under one without operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeNode<'a>>,
}

/// The program that wrote the document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tool<'a> {
    /// Always `spandiff`.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// What one side was made of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Input<'a> {
    /// Names of the files or streams, sorted.
    pub sources: &'a [String],
    /// How many traces were compared.
    pub traces: u64,
    /// How many spans were used.
    pub spans: u64,
    /// Ids of the traces compared, hex.
    pub trace_ids: Vec<String>,
    /// Earliest start and latest end; null without spans.
    pub window: Option<Window>,
    /// SHA-256 over the sorted list of the sources' hashes, hex.
    pub sha256: &'a str,
    /// `none`, `consistent`, `mixed` or `unknown`.
    pub sampling: &'a str,
    /// What was not as it should be.
    pub warnings: Vec<Warning<'a>>,
}

/// A span of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Window {
    /// Nanoseconds since 1970.
    pub start_unix_ns: String,
    /// Nanoseconds since 1970.
    pub end_unix_ns: String,
}

/// Something in the data that was not as it should be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Warning<'a> {
    /// Stable code.
    pub code: &'a str,
    /// How often.
    pub count: u64,
    /// What the count counts and, where known, the first example.
    pub message: String,
}

/// A code for programs and a sentence for people.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Note<'a> {
    /// Stable code.
    pub code: &'a str,
    /// One sentence.
    pub message: &'a str,
}

/// Whether the sides can be compared.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Comparable<'a> {
    /// False when the sides share no entry point.
    pub ok: bool,
    /// What stands against it, also when it is still possible.
    pub reasons: Vec<Note<'a>>,
}

/// Shares, 0 to 1.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Coverage {
    /// Call paths of the before side that the after side has too.
    pub paths: f64,
    /// Instances (databases, hosts, queues); null when none are known.
    pub instances: Option<f64>,
}

/// What moved everywhere alike.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drift {
    /// Common ratio after/before of self times; 1.0 for none.
    pub common_ratio: f64,
    /// Robust standard deviation of ln(after/before) between call paths.
    pub between_paths: f64,
}

/// Totals.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary<'a> {
    /// Findings, those left out included.
    pub findings: u64,
    /// Findings of each kind that has any.
    #[schemars(with = "std::collections::BTreeMap<String, u64>")]
    pub by_kind: Kinds<'a>,
    /// Distinct operations without any finding.
    pub unchanged_operations: u64,
    /// Spans on each side, and how many of them have a partner.
    pub spans: Spans,
    /// Spans with status error on each side.
    pub errors: Sides<u64>,
}

/// Counts by kind in the order of the summary.
#[derive(Debug)]
pub struct Kinds<'a>(pub &'a [(crate::diff::FindingKind, u64)]);

impl Serialize for Kinds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (kind, count) in self.0 {
            map.serialize_entry(kind.name(), count)?;
        }
        map.end()
    }
}

/// Spans on each side.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Spans {
    /// Before the change.
    pub before: u64,
    /// After the change.
    pub after: u64,
    /// With a partner on the other side; moved, renamed and split ones included.
    pub matched: u64,
}

/// An operation: spans of one operation are the same thing happening again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Operation<'a> {
    /// The service, with its namespace before a slash if it has one.
    pub service: &'a str,
    /// The normalised name.
    pub name: &'a str,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: &'a str,
}

/// Mean and quantiles, nanoseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Quantiles {
    /// Mean.
    pub mean: i64,
    /// Median.
    pub p50: i64,
    /// 95th percentile.
    pub p95: i64,
    /// 99th percentile; null when there are too few traces.
    pub p99: Option<i64>,
}

/// A mean, nanoseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mean {
    /// Mean; null when it is not on that side.
    pub mean: Option<i64>,
}

/// Durations on both sides and their difference, nanoseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Durations {
    /// Before the change.
    pub before: Option<Quantiles>,
    /// After the change.
    pub after: Option<Quantiles>,
    /// Mean after minus mean before.
    pub delta: Mean,
}

/// One entry point and what its change is made of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntryPoint<'a> {
    /// The operation at the root.
    pub operation: Operation<'a>,
    /// Traces that enter here.
    pub traces: Sides<u64>,
    /// Durations.
    pub duration_ns: Durations,
    /// Share of traces whose root failed.
    pub error_rate: Sides<Option<f64>>,
    /// Rows that sum to `duration_ns.delta.mean` exactly.
    pub attribution: Vec<Attribution<'a>>,
    /// The same for the slowest 5 % of the requests. Empty for a pair.
    pub tail: Vec<Attribution<'a>>,
    /// The tests of the entry point itself. Empty for a pair.
    pub effects: Vec<Effect<'a>>,
    /// The smallest slowdown that would have been found with power 0.8, as a ratio; null for a pair or too few traces.
    pub detectable: Option<f64>,
    /// Traces a side that it takes to find the slowdown that must be detected; null for a pair.
    pub needed_traces: Option<u64>,
}

/// One row of an attribution.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Attribution<'a> {
    /// Id of the finding; null for what no finding covers.
    pub finding: Option<String>,
    /// What the row is, in words.
    pub label: &'a str,
    /// Nanoseconds of the entry point's change.
    pub contribution_ns: i64,
}

/// One change worth a person's attention.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding<'a> {
    /// `F1`, `F2`, …: follows the rank.
    pub id: String,
    /// Kind and paths, stable from run to run.
    pub fingerprint: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// Where; null only for findings about everything.
    pub operation: Option<Operation<'a>>,
    /// Call path, entry point first, the operation itself last.
    pub path: Vec<Operation<'a>>,
    /// Where it was, for what moved or was renamed.
    pub from_path: Option<Vec<Operation<'a>>>,
    /// What changed, in a few words.
    pub title: &'a str,
    /// Spans at this node.
    pub spans: NodeSpans,
    /// Calls in one trace.
    pub calls_per_trace: Sides<f64>,
    /// Durations of single spans, nanoseconds.
    pub duration_ns: Sides<Option<Quantiles>>,
    /// Self time in one trace, nanoseconds.
    pub self_time_ns: Sides<Mean>,
    /// Client minus server time in one trace, nanoseconds.
    pub edge_time_ns: Sides<Mean>,
    /// Share of the spans that failed.
    pub error_rate: Sides<Option<f64>>,
    /// Statistical tests; none for a pair.
    pub effects: Vec<Effect<'a>>,
    /// Nanoseconds of the entry point's change.
    pub contribution_ns: i64,
    /// The same as a share; null when the change is too small to divide by.
    pub share: Option<f64>,
    /// Whether it lies on the critical path.
    pub on_critical_path: Sides<bool>,
    /// `certain`, `likely` or `weak`.
    pub confidence: &'a str,
    /// How the node was matched.
    #[serde(rename = "match")]
    pub matched: Match<'a>,
    /// Attributes that differ.
    pub attributes: Vec<Attribute<'a>>,
    /// Events that came or went.
    pub events: Vec<Event<'a>>,
    /// Instances that came, went or fail; none for a pair.
    pub instances: Vec<Instance<'a>>,
    /// When it was first seen; null for a pair.
    pub first_seen: Option<FirstSeen>,
    /// Why it is accepted; null when it is not.
    pub accepted: Option<Accepted<'a>>,
    /// From the symptom to the cause, one line a level.
    pub because: &'a [String],
    /// Further evidence, a sentence each.
    pub evidence: &'a [String],
    /// Trace ids of examples, hex.
    pub exemplars: Sides<Vec<String>>,
    /// Span ids of the examples, hex, in the order of `exemplars`.
    pub exemplar_spans: Sides<Vec<String>>,
}

/// Spans at a node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeSpans {
    /// Before the change.
    pub before: u64,
    /// After the change.
    pub after: u64,
    /// For what was added or removed: spans in all, those below included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtree: Option<u64>,
}

/// Why two nodes were matched.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Match<'a> {
    /// 0 to 1.
    pub score: f64,
    /// `operation`, `structure`, `renamed`, `moved`, `split`, `layer` or `none`.
    pub reason: &'a str,
}

/// One attribute that differs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Attribute<'a> {
    /// The key, in its current spelling.
    pub key: &'a str,
    /// `changed`, `added` or `removed`.
    pub change: &'a str,
    /// Value before.
    pub before: Option<&'a str>,
    /// Value after.
    pub after: Option<&'a str>,
}

/// Events of one name that came or went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Event<'a> {
    /// Name of the event.
    pub name: &'a str,
    /// `changed`, `added` or `removed`.
    pub change: &'a str,
    /// `exception.type`, if it has one.
    #[serde(rename = "type")]
    pub exception_type: Option<&'a str>,
    /// How many before.
    pub before: u64,
    /// How many after.
    pub after: u64,
}

/// A service and its operations, ranked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Suspect<'a> {
    /// The service.
    pub service: &'a str,
    /// 0 to 1, relative to all evidence.
    pub score: f64,
    /// Its operations, highest score first.
    pub operations: Vec<SuspectOperation<'a>>,
    /// Why, with numbers.
    pub reasons: Vec<Note<'a>>,
}

/// An operation under suspicion.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SuspectOperation<'a> {
    /// The normalised name.
    pub name: &'a str,
    /// Span kind.
    pub kind: &'a str,
    /// 0 to 1.
    pub score: f64,
}

/// What was left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Omitted {
    /// Findings.
    pub findings: u64,
    /// What they contribute together, nanoseconds.
    pub contribution_ns: i64,
}

/// One node of the merged tree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeNode<'a> {
    /// The operation; null for the node above several roots.
    pub operation: Option<Operation<'a>>,
    /// The before side's operation where it differs.
    pub from: Option<Operation<'a>>,
    /// The mark in front of the row: `▲`, `▼`, `+`, `-`, `!`, `o`, `~`, `≈`, `=`.
    pub mark: &'a str,
    /// Whether its change only shows what a descendant did.
    pub inherited: bool,
    /// How it was matched.
    #[serde(rename = "match")]
    pub matched: Match<'a>,
    /// The before side; null for an added node.
    pub before: Option<TreeSide>,
    /// The after side; null for a removed node.
    pub after: Option<TreeSide>,
    /// Id of the most important finding here.
    pub finding: Option<String>,
    /// The nodes below. Written one by one, since a trace may be deeper than a stack.
    pub children: Vec<TreeNode<'a>>,
}

/// One side of a node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TreeSide {
    /// How many spans: 1 for a pair.
    pub spans: u64,
    /// Start relative to the start of the trace, nanoseconds.
    pub start_ns: i64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// Nanoseconds.
    pub self_time_ns: u64,
    /// Nanoseconds of the critical path.
    pub critical_path_ns: u64,
    /// `unset`, `ok` or `error`.
    pub status: String,
    /// Span id, hex.
    pub span_id: String,
}

/// The JSON Schema of the document, as it is kept in `samples/schema/diff.v1.json`.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Document);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
