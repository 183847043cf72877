//! The words of `spandiff.gate/v1`: the document of a diff, and the verdict on it.

use super::{Document, Operation};
use schemars::JsonSchema;
use serde::Serialize;

/// Name and version of the schema.
pub const SCHEMA: &str = "spandiff.gate/v1";

/// A comparison and the verdict on it. Everything but `schema` and `verdict` is as in `spandiff.diff/v1`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "spandiff.gate/v1")]
pub struct GateDocument<'a> {
    /// The comparison; its `schema` is `spandiff.gate/v1`.
    #[serde(flatten)]
    pub diff: Document<'a>,
    /// The verdict.
    pub verdict: Verdict<'a>,
}

/// What the gate says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verdict<'a> {
    /// `pass`, `warn`, `fail` or `inconclusive`.
    pub result: &'a str,
    /// What the process ends with.
    pub exit_code: u8,
    /// Why: what decided first.
    pub reasons: Vec<Reason<'a>>,
    /// Every limit of every rule that was looked at.
    pub rules: Vec<Rule<'a>>,
    /// Traces in all that each side needs; zeros when there are enough or more would not help.
    pub needs: Needs,
    /// What each finding does to the verdict, in order of the findings.
    pub findings: Vec<Judged<'a>>,
    /// What was found at each entry point, in order of the entry points.
    pub entry_points: Vec<JudgedEntry<'a>>,
}

/// A reason.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reason<'a> {
    /// Stable code.
    pub code: &'a str,
    /// One sentence.
    pub message: &'a str,
    /// Id of the finding it is about or points at; null for none.
    pub finding: Option<String>,
    /// The entry point it is about; null for none.
    pub entry_point: Option<Operation<'a>>,
    /// What it leads to: `pass` for what is only good to know, `warn`, `fail` or `inconclusive`.
    pub result: &'a str,
}

/// A limit of a rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rule<'a> {
    /// What the rule speaks of.
    #[serde(rename = "match")]
    pub matched: &'a str,
    /// `p95`, `error_rate` or `calls_per_trace`.
    pub metric: &'a str,
    /// The limit in words.
    pub limit: &'a str,
    /// The value in words, of the worst place.
    pub value: &'a str,
    /// `pass`, `warn` (only the estimate is beyond the limit), `fail` or `inconclusive`.
    pub result: &'a str,
}

/// Traces in all that each side needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Needs {
    /// Before the change.
    pub before_traces: u64,
    /// After the change.
    pub after_traces: u64,
}

/// What a finding does.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Judged<'a> {
    /// Id of the finding.
    pub finding: String,
    /// `fail`, `warn`, `inconclusive` (would fail, but the data cannot carry that), `explains` (an entry point that is
    /// slower), `accepted` or `none`.
    pub result: &'a str,
}

/// What was found at an entry point.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JudgedEntry<'a> {
    /// The operation.
    pub operation: Operation<'a>,
    /// `pass`, `warn`, `fail`, or `inconclusive` when it could not be judged.
    pub result: &'a str,
}

/// The JSON Schema of the document, as it is kept in `samples/schema/gate.v1.json`.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(GateDocument);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
