//! What only a comparison of populations can say: empty or null for a pair.

use schemars::JsonSchema;
use serde::Serialize;

/// One statistical test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Effect {
    /// `self_time`, `duration`, `calls`, `error_rate`, `presence` or `edge_time`.
    pub metric: String,
    /// Size of the effect.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// `ratio`, `ns` or `share`.
    pub unit: String,
    /// p value.
    pub p: f64,
    /// p value corrected for the number of tests.
    pub q: f64,
    /// Traces before.
    pub n_before: u64,
    /// Traces after.
    pub n_after: u64,
    /// Name of the test.
    pub method: String,
    /// What the policy makes of it.
    pub rule: String,
}

/// Instances of one key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Instance {
    /// The attribute that names the instance.
    pub key: String,
    /// How many were seen.
    pub observed: u64,
    /// How many chance would give.
    pub expected_by_chance: f64,
    /// Their names, up to a limit.
    pub named: Vec<String>,
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
pub struct Accepted {
    /// Why.
    pub reason: String,
    /// Until which day.
    pub until: Option<String>,
}
