//! What a user can set about judging.

/// Sizes below which a change is no finding. All are symmetric, so that swapping the sides mirrors the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiffOptions {
    /// Smallest ratio of self or edge times that counts, as |ln(after / before)| > ln `min_ratio`.
    pub min_ratio: f64,
    /// Smallest difference of self or edge times that counts, nanoseconds.
    pub min_time_ns: u64,
    /// Robust standard deviations of the pair's own jitter that a change of time must exceed; 0 turns this off.
    pub jitter_sigmas: f64,
    /// Smallest common ratio that is named as drift.
    pub drift_ratio: f64,
    /// Findings to keep; the rest is counted as omitted.
    pub max_findings: usize,
    /// Whether to build the merged tree, which costs as much memory as the spans.
    pub tree: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        DiffOptions {
            min_ratio: 1.10,
            min_time_ns: 1_000_000,
            jitter_sigmas: 3.5,
            drift_ratio: 1.02,
            max_findings: 1_000,
            tree: false,
        }
    }
}
