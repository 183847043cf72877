//! Tests that wait for their family: p values are corrected together, then each gets its verdict.

use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::types::Confidence;
use crate::model::Pair;
use crate::stats::multiple::benjamini_hochberg;

/// A test before its verdict.
#[derive(Clone, Debug)]
pub(super) struct Test {
    /// What was measured; `p`, `q` and `strength` are filled in by [`judge`].
    pub effect: Effect,
    /// p value against "nothing changed beyond what the environment does".
    pub p_differs: f64,
    /// p value against "changed by no more than what matters".
    pub p_exceeds: f64,
    /// Whether the estimate itself is large enough to matter.
    pub is_large: bool,
    /// The most that may come of it.
    pub most: Strength,
}

impl Test {
    /// A test of `metric` whose numbers are still to come.
    pub fn new(metric: Metric, unit: &'static str, n: Pair<u64>, method: &'static str) -> Test {
        let effect = Effect {
            metric,
            estimate: 0.0,
            low: 0.0,
            high: 0.0,
            unit,
            p: 1.0,
            q: 1.0,
            n,
            method,
            strength: Strength::None,
        };
        Test { effect, p_differs: 1.0, p_exceeds: 1.0, is_large: false, most: Strength::Fail }
    }

    /// Whether something was found.
    pub fn is_found(&self) -> bool {
        self.effect.strength > Strength::None
    }

    /// What the test says of how sure a finding is: certain where the minimum effect is exceeded beyond doubt.
    pub fn confidence(&self) -> Confidence {
        if self.effect.strength == Strength::Fail && self.effect.q < 0.001 {
            Confidence::Certain
        } else if self.is_found() {
            Confidence::Likely
        } else {
            Confidence::Weak
        }
    }
}

/// Corrects the p values of one family and decides each test at `level`.
pub(super) fn judge<'a>(tests: impl Iterator<Item = &'a mut Test>, level: f64) {
    let mut tests: Vec<&mut Test> = tests.collect();
    let differs = benjamini_hochberg(&tests.iter().map(|test| test.p_differs).collect::<Vec<_>>());
    let exceeds = benjamini_hochberg(&tests.iter().map(|test| test.p_exceeds).collect::<Vec<_>>());
    for (test, (differs, exceeds)) in tests.iter_mut().zip(differs.into_iter().zip(exceeds)) {
        let fails = test.is_large && exceeds <= level && test.most == Strength::Fail;
        let warns = test.is_large && differs <= level && test.most >= Strength::Warn;
        let (p, q) = if fails { (test.p_exceeds, exceeds) } else { (test.p_differs, differs) };
        (test.effect.p, test.effect.q) = (p, q);
        test.effect.strength = match (fails, warns) {
            (true, _) => Strength::Fail,
            (false, true) => Strength::Warn,
            (false, false) => Strength::None,
        };
    }
}
