//! What is known about a side as a whole.

use crate::model::{Symbol, Warning, Warnings};
use std::collections::{BTreeMap, BTreeSet};

/// Distinct sampling thresholds that are told apart.
const MAX_THRESHOLDS: usize = 64;

/// Numbers about a whole side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Traces that were folded.
    pub traces: u64,
    /// Spans that were used: the sum of the calls of all paths, unweighted.
    pub spans: u64,
    /// Of those, spans with an error status.
    pub failed_spans: u64,
    /// Traces without a root span or with spans whose parent is missing.
    pub partial: u64,
    /// Earliest start and latest end of a trace, nanoseconds since 1970.
    pub window_ns: Option<(u64, u64)>,
    /// Traces by their sampling threshold (`ot=th:`, 56 bits, 0 for "all were kept").
    pub thresholds: BTreeMap<u64, u64>,
    /// Traces that do not say how they were sampled.
    pub unsampled: u64,
    /// Spans of each service and version (`service.version`, empty for none).
    pub versions: BTreeMap<(Symbol, Symbol), u64>,
    /// SHA-256 of every input that went in.
    pub inputs: BTreeSet<[u8; 32]>,
    /// Bytes read, and of those the bytes that could not be used.
    pub bytes: (u64, u64),
    /// What was not as it should be.
    pub warnings: Warnings,
}

impl Totals {
    /// Counts a trace's sampling threshold; `None` when it does not say.
    pub fn sampled(&mut self, threshold: Option<u64>) {
        self.thresholds_add(threshold, 1);
    }

    fn thresholds_add(&mut self, threshold: Option<u64>, traces: u64) {
        match threshold {
            None => self.unsampled += traces,
            Some(threshold) => {
                *self.thresholds.entry(threshold).or_default() += traces;
                // Of too many the smallest are kept, the largest kept one stands for those above it.
                while self.thresholds.len() > MAX_THRESHOLDS {
                    if let Some((_, traces)) = self.thresholds.pop_last()
                        && let Some(mut last) = self.thresholds.last_entry()
                    {
                        *last.get_mut() += traces;
                    }
                }
            }
        }
    }

    /// What there is to say about sampling: traces that do not say how they were sampled, and if there are several
    /// rates, the traces that were not sampled at the most usual one. Derived, so that merging parts gives what the
    /// whole gives.
    pub fn sampling_warnings(&self) -> Warnings {
        let mut warnings = Warnings::default();
        warnings.add(Warning::UnknownSampling, self.unsampled);
        let rates = self.thresholds.values().copied().chain((self.unsampled > 0).then_some(self.unsampled));
        let (all, most) = rates.fold((0, 0), |(all, most), traces| (all + traces, traces.max(most)));
        warnings.add(Warning::MixedSampling, all - most);
        warnings
    }

    /// Widens the window to hold a trace.
    pub fn seen(&mut self, start_ns: u64, end_ns: u64) {
        let (start, end) = self.window_ns.unwrap_or((start_ns, end_ns));
        self.window_ns = Some((start.min(start_ns), end.max(end_ns)));
    }

    /// Adds other totals, whose strings are translated.
    pub fn merge(&mut self, other: &Totals, strings: &impl Fn(Symbol) -> Symbol) {
        self.traces += other.traces;
        self.spans += other.spans;
        self.failed_spans += other.failed_spans;
        self.partial += other.partial;
        if let Some((start, end)) = other.window_ns {
            self.seen(start, end);
        }
        for (&threshold, &traces) in &other.thresholds {
            self.thresholds_add(Some(threshold), traces);
        }
        self.unsampled += other.unsampled;
        for (&(service, version), &spans) in &other.versions {
            *self.versions.entry((strings(service), strings(version))).or_default() += spans;
        }
        self.inputs.extend(&other.inputs);
        self.bytes = (self.bytes.0 + other.bytes.0, self.bytes.1 + other.bytes.1);
        self.warnings.merge(&other.warnings);
    }
}
