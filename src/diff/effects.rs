//! What tests over many traces say about a finding.

use crate::model::Pair;
use crate::model::units::{count, probability, ratio, signed_duration};

/// What an [`Effect`] measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Self time of a span.
    SelfTime,
    /// Duration of a span.
    Duration,
    /// 95th percentile of the duration.
    P95,
    /// Calls for each call of the parent.
    Calls,
    /// Share of the traces in which it failed.
    ErrorRate,
    /// Share of the traces with the parent in which it occurs.
    Presence,
    /// Time of the edge that leads to a span.
    EdgeTime,
    /// Share of the traffic.
    Traffic,
}

impl Metric {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::SelfTime => "self_time",
            Metric::Duration => "duration",
            Metric::P95 => "p95",
            Metric::Calls => "calls",
            Metric::ErrorRate => "error_rate",
            Metric::Presence => "presence",
            Metric::EdgeTime => "edge_time",
            Metric::Traffic => "traffic",
        }
    }
}

/// What an effect would do to a deployment, by the rules for populations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strength {
    /// Not shown.
    None,
    /// Shown to differ from nothing, beyond the environment's own noise, and at least the minimum effect by estimate.
    Warn,
    /// Shown to exceed the minimum effect.
    Fail,
}

impl Strength {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Strength::None => "none",
            Strength::Warn => "warn",
            Strength::Fail => "fail",
        }
    }
}

/// One statistical test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// What is compared.
    pub metric: Metric,
    /// Its size with a 95 % interval: a ratio after/before, a difference of shares, or nanoseconds.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// `ratio`, `ns` or `share`.
    pub unit: &'static str,
    /// p value of the test that decided.
    pub p: f64,
    /// p value corrected within its family (Benjamini and Hochberg).
    pub q: f64,
    /// Traces on each side.
    pub n: Pair<u64>,
    /// Name of the test, for example `clustered_brunner_munzel`.
    pub method: &'static str,
    /// What it amounts to.
    pub strength: Strength,
}

impl Effect {
    /// Its size in words, with the interval: `×1.21 [1.12, 1.31]`, `+2.20 [+1.30, +4.10] points`.
    pub fn size(&self) -> String {
        match self.unit {
            "ratio" => format!("{} [{:.2}, {:.2}]", ratio(self.estimate), self.low, self.high),
            "share" => {
                let points = |share: f64| format!("{:+.2}", 100.0 * share);
                format!("{} [{}, {}] points", points(self.estimate), points(self.low), points(self.high))
            }
            _ => {
                let time = |ns: f64| signed_duration(ns as i64);
                format!("{} [{}, {}]", time(self.estimate), time(self.low), time(self.high))
            }
        }
    }

    /// All of it in words: `×1.21 [1.12, 1.31], q 3e-4, n 1,204 + 1,187`.
    pub fn words(&self) -> String {
        let (before, after) = (count(self.n.before), count(self.n.after));
        format!("{}, q {}, n {before} + {after}", self.size(), probability(self.q))
    }
}

/// Instances of one key that came, went or fail.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceGroup {
    /// The attribute that names an instance; several joined by `/`.
    pub key: String,
    /// How many there are on the before side (for new ones: the after side).
    pub of: u64,
    /// How many are missing (new, failing).
    pub observed: u64,
    /// How many chance would give.
    pub expected_by_chance: f64,
    /// Those beyond chance, by name, up to a limit.
    pub named: Vec<String>,
    /// How many beyond chance there are in all.
    pub named_total: u64,
    /// What they have in common and others have not.
    pub shared: Vec<SharedAttribute>,
}

/// An attribute that the instances of a group share.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedAttribute {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Instances of the group with it.
    pub inside: u64,
    /// All instances with it.
    pub all: u64,
    /// p value of the enrichment, corrected.
    pub q: f64,
}

/// A change that the policy accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Why.
    pub reason: String,
    /// Until which day, ISO; `None` for good.
    pub until: Option<String>,
}
