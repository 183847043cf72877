//! What a user can set about judging.

use super::pattern::Matcher;
use crate::model::{Operation, Pair};
use crate::stats::sequential::{nominal_alpha, open_alpha};
use std::fmt;

/// Sizes below which a change is no finding. All are symmetric, so that swapping the sides mirrors the result.
#[derive(Clone, Debug, PartialEq)]
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
    /// How populations are judged.
    pub population: PopulationOptions,
}

/// Which of many looks at the same question a comparison is: together they may raise as many false alarms as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Number `look` (from 1) of `looks` planned ones at data that grows: a group-sequential bound.
    Planned {
        /// Which.
        look: u32,
        /// Of how many.
        looks: u32,
    },
    /// Data that grows is looked at as often as one likes: the bound of a confidence sequence, narrowest where each side
    /// has `best_at` traces.
    Open {
        /// Traces of each side.
        best_at: u64,
    },
    /// One of `looks` looks at data of their own: the error is shared equally.
    Apart {
        /// How many.
        looks: u32,
    },
}

impl Look {
    /// The part of the error `q`, two-sided, that a comparison of so many traces may use.
    pub fn level(self, q: f64, traces: Pair<u64>) -> f64 {
        match self {
            // Both directions are looked at.
            Look::Planned { look, looks } => 2.0 * nominal_alpha(q / 2.0, look, looks),
            Look::Open { best_at } => {
                let of = |traces: Pair<f64>| traces.before * traces.after / (traces.before + traces.after).max(1.0);
                let best = best_at as f64;
                open_alpha(q, of(traces.map(|traces| traces as f64)), of(Pair::new(best, best)))
            }
            Look::Apart { looks } => q / f64::from(looks.max(1)),
        }
    }
}

/// In words, as in `look 3 of 10`.
impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Look::Planned { look, looks } => write!(f, "look {look} of {looks}"),
            Look::Open { .. } => f.write_str("one of any number of looks"),
            Look::Apart { looks } => write!(f, "one of {looks} looks"),
        }
    }
}

/// How populations are judged. The defaults need no file.
#[derive(Clone, Debug, PartialEq)]
pub struct PopulationOptions {
    /// False discovery rate of the whole comparison; split over the families of tests.
    pub q: f64,
    /// Smallest change that matters, as a share: 0.05 is 5 %, either way by the same logarithm.
    pub min_effect: f64,
    /// The same for some call paths; of those that match the last one counts. See [`PopulationOptions::min_effect_at`].
    pub min_effects: Vec<(Matcher, f64)>,
    /// Smallest change that matters, nanoseconds. Both must be passed.
    pub min_effect_ns: u64,
    /// Traces a side below which no latency is judged.
    pub min_traces: u64,
    /// Slowdown that must have been found, had it been there, before anything is called passed, as a share.
    pub must_detect: f64,
    /// Spread between call paths, as a share, beyond which the environment is too noisy for a verdict.
    pub max_environment_drift: f64,
    /// Which of many looks at the same question this is, for sequential gates.
    pub look: Option<Look>,
    /// Whether latency is judged; without it structure and errors are judged from three traces on.
    pub latency: bool,
}

impl Default for PopulationOptions {
    fn default() -> Self {
        PopulationOptions {
            q: 0.05,
            min_effect: 0.05,
            min_effects: Vec::new(),
            min_effect_ns: 2_000_000,
            min_traces: 20,
            must_detect: 0.25,
            max_environment_drift: 0.10,
            look: None,
            latency: true,
        }
    }
}

impl PopulationOptions {
    /// The smallest change that matters at a call path (entry point first), as a share.
    pub fn min_effect_at(&self, path: &[Operation]) -> f64 {
        let of_rule = self.min_effects.iter().rev().find(|(matcher, _)| matcher.matches(path));
        of_rule.map_or(self.min_effect, |(_, min_effect)| *min_effect)
    }
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
            population: PopulationOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_looks_share_the_error_of_one() {
        let traces = Pair::new(6_000, 300);
        let level = |look: Look| look.level(0.05, traces);
        assert!((level(Look::Planned { look: 1, looks: 1 }) - 0.05).abs() < 1e-9);
        let planned: Vec<f64> = (1..=5).map(|look| level(Look::Planned { look, looks: 5 })).collect();
        // Little at first, nearly all of it at the end.
        assert!(planned.is_sorted() && planned[0] < 1e-5 && planned[4] > 0.04, "{planned:?}");
        assert!((level(Look::Apart { looks: 1_440 }) - 0.05 / 1_440.0).abs() < 1e-12);
        let open = |after: u64| Look::Open { best_at: 1_000 }.level(0.05, Pair::new(6_000, after));
        assert!(open(100) < open(1_000) && open(1_000) < 0.01 && open(10) > 0.0);
        assert!(Look::Open { best_at: 1_000 }.level(0.05, Pair::new(0, 0)) == 0.0);
        assert_eq!(Look::Planned { look: 3, looks: 10 }.to_string(), "look 3 of 10");
    }
}
