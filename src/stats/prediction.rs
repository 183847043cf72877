//! One changed instance against the spread of the instances before: there is no variance after the change.

use super::distribution::{clamp_p, t_above, t_for_level};
use super::shift::Interval;

/// Baseline instances that are needed.
pub const FEWEST_INSTANCES: usize = 5;

/// Where one more instance of the baseline would lie, and how far out the changed one is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Mean of the baseline's instances and the 95 % prediction interval for one more.
    pub expected: Interval,
    /// One-sided p value for "more than an instance of the baseline". Never 0.
    pub p_greater: f64,
    /// One-sided p value for "less than an instance of the baseline". Never 0.
    pub p_less: f64,
}

/// Compares one instance's mean with those of at least [`FEWEST_INSTANCES`] others by a t prediction interval; take
/// logarithms of durations. `None` with fewer, or where a number is not finite.
pub fn t_prediction(baseline_means: &[f64], one: f64) -> Option<Prediction> {
    if baseline_means.len() < FEWEST_INSTANCES || !one.is_finite() || baseline_means.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let count = baseline_means.len() as f64;
    let df = count - 1.0;
    let mean = baseline_means.iter().sum::<f64>() / count;
    let variance = baseline_means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / df;
    let spread = (variance * (1.0 + 1.0 / count)).sqrt();
    let half = t_for_level(0.95, df) * spread;
    let p = |away: f64| {
        if spread > 1e-12 * mean.abs().max(1.0) {
            t_above(away / spread, df)
        } else if away > 1e-12 * mean.abs().max(1.0) {
            // Equal instances give no spread; that the new one is the largest of all has this chance.
            clamp_p(1.0 / (count + 1.0))
        } else {
            1.0
        }
    };
    let expected = Interval { estimate: mean, low: mean - half, high: mean + half };
    Some(Prediction { expected, p_greater: p(one - mean), p_less: p(mean - one) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        // Mean 3, variance 2.5, spread √3; 3 + 2·√3 is t = 2 at 4 degrees of freedom.
        let found = t_prediction(&[1.0, 2.0, 3.0, 4.0, 5.0], 3.0 + 2.0 * 3f64.sqrt()).unwrap();
        assert!((found.p_greater - t_above(2.0, 4.0)).abs() < 1e-12);
        assert!((found.p_greater + found.p_less - 1.0).abs() < 1e-12);
        assert!((found.expected.high - 3.0 - 2.776_445_1 * 3f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn few_or_equal_instances() {
        assert!(t_prediction(&[1.0; 4], 2.0).is_none());
        assert!(t_prediction(&[1.0, 1.0, 1.0, 1.0, f64::NAN], 2.0).is_none());
        let equal = t_prediction(&[1.0; 9], 2.0).unwrap();
        assert!((equal.p_greater - 0.1).abs() < 1e-12 && (equal.p_less - 1.0).abs() < 1e-12);
    }
}
