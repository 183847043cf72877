//! What only a comparison of populations can say: empty or null for a pair.

use schemars::JsonSchema;
use serde::Serialize;

/// One statistical test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Effect<'a> {
    /// `self_time`, `duration`, `p95`, `calls`, `error_rate`, `presence`, `edge_time` or `traffic`.
    pub metric: &'a str,
    /// Size of the effect.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// `ratio`, `ns` or `share`.
    pub unit: &'a str,
    /// p value.
    pub p: f64,
    /// p value corrected for the number of tests.
    pub q: f64,
    /// Traces before.
    pub n_before: u64,
    /// Traces after.
    pub n_after: u64,
    /// Name of the test.
    pub method: &'a str,
    /// What it amounts to: `none`, `warn` or `fail`.
    pub rule: &'a str,
}

/// Instances of one key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Instance<'a> {
    /// The attribute that names the instance; several joined by `/`.
    pub key: &'a str,
    /// How many there are on the before side (for new ones: the after side).
    pub of: u64,
    /// How many were seen.
    pub observed: u64,
    /// How many chance would give.
    pub expected_by_chance: f64,
    /// Those beyond chance, by name, up to a limit.
    pub named: &'a [String],
    /// How many beyond chance there are in all.
    pub named_total: u64,
    /// What they have in common.
    pub shared: Vec<Shared<'a>>,
}

/// An attribute that instances have in common.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shared<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Instances of the group with it.
    pub inside: u64,
    /// All instances with it.
    pub all: u64,
    /// p value of the enrichment, corrected.
    pub q: f64,
}

/// When a finding was first seen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FirstSeen {
    /// Nanoseconds since 1970.
    pub unix_ns: String,
    /// In which trace.
    pub trace_id: String,
}

/// An accepted finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Accepted<'a> {
    /// Why.
    pub reason: &'a str,
    /// Until which day.
    pub until: Option<&'a str>,
}
