//! What moves without a reason: two windows differ a little on every path, and the gate must know by how much.

use super::root::root;

/// The shift that all paths share and the spread of shifts beyond their standard errors (Efron's empirical null).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// The common shift, in log units.
    pub mu: f64,
    /// Standard deviation of the paths' own harmless shifts.
    pub tau: f64,
}

/// With fewer paths a spread cannot be told from changes.
pub const FEWEST_PATHS: usize = 8;
/// The median of |z| under the normal distribution.
const MEDIAN_OF_NORMAL: f64 = 0.674_489_750_196_081_7;
/// A standard error is taken for no smaller than this, so that no single path decides.
const SMALLEST_SE: f64 = 1e-4;

/// Estimates the drift from shifts and their standard errors, most of which are taken to be harmless.
///
/// `mu` is the median weighted by precision. `tau` makes the median of |d − mu|/√(se² + tau²) that of a normal
/// variable over the most precise half of the paths. Both are 0 with fewer than [`FEWEST_PATHS`] paths.
pub fn empirical_null(shifts: &[(f64, f64)]) -> Drift {
    let known: Vec<(f64, f64)> = shifts
        .iter()
        .filter(|(d, se)| d.is_finite() && se.is_finite() && *se >= 0.0)
        .map(|&(d, se)| (d, se.max(SMALLEST_SE)))
        .collect();
    if known.len() < FEWEST_PATHS {
        return Drift::default();
    }
    // By the standard error alone, so that mirrored shifts have the same half.
    let mut errors: Vec<f64> = known.iter().map(|shift| shift.1).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let limit = errors.get(known.len().div_ceil(2).max(FEWEST_PATHS) - 1).copied().unwrap_or(f64::INFINITY);
    let precise: Vec<(f64, f64)> = known.iter().copied().filter(|shift| shift.1 <= limit).collect();
    let mut drift = Drift::default();
    // Precision depends on the spread and the spread on the centre: a second round settles both.
    for _ in 0..2 {
        drift.mu = weighted_median(known.iter().map(|&(d, se)| (d, 1.0 / (se * se + drift.tau * drift.tau))));
        drift.tau = spread(&precise, drift.mu);
    }
    drift
}

/// How many standard deviations of the drift and of its own error a shift is away from the common one.
pub fn z(d: f64, se: f64, drift: &Drift) -> f64 {
    (d - drift.mu) / se.max(SMALLEST_SE).hypot(drift.tau)
}

/// The value with half of the weight on each side; the middle of two when it lies exactly between them.
fn weighted_median(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut values: Vec<(f64, f64)> = values.collect();
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let half = 0.5 * values.iter().map(|value| value.1).sum::<f64>();
    let rounding = 1e-12 * half;
    let mut sum = 0.0;
    let mut lower = None;
    for (value, weight) in values {
        sum += weight;
        if let Some(lower) = lower {
            return f64::midpoint(lower, value);
        }
        if (sum - half).abs() <= rounding {
            lower = Some(value);
        } else if sum > half {
            return value;
        }
    }
    lower.unwrap_or(0.0)
}

fn spread(shifts: &[(f64, f64)], mu: f64) -> f64 {
    let excess = |tau: f64| {
        weighted_median(shifts.iter().map(|&(d, se)| ((d - mu).abs() / se.hypot(tau), 1.0))) - MEDIAN_OF_NORMAL
    };
    if excess(0.0) <= 0.0 {
        return 0.0;
    }
    let widest = shifts.iter().map(|(d, _)| (d - mu).abs()).fold(0.0, f64::max);
    root(0.0, 2.0 * widest, excess)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::distribution::normal_quantile_above;

    /// Shifts that lie where `count` draws of a normal distribution would lie on average.
    fn shifts(count: usize, mu: f64, sd: f64, se: f64) -> Vec<(f64, f64)> {
        (0..count).map(|n| (mu + sd * normal_quantile_above((n as f64 + 0.5) / count as f64), se)).collect()
    }

    #[test]
    fn noise_alone_is_no_drift() {
        let drift = empirical_null(&shifts(100, 0.0, 0.03, 0.03));
        assert!(drift.mu.abs() < 1e-9 && drift.tau < 0.005, "{drift:?}");
    }

    #[test]
    fn drift_is_found_beside_changes() {
        // 2 % of drift, 1 % of error; a twentieth is 50 % slower.
        let mut found = shifts(190, 0.03, 0.01_f64.hypot(0.02), 0.01);
        found.extend([(0.4, 0.01); 10]);
        let drift = empirical_null(&found);
        assert!((drift.mu - 0.03).abs() < 0.003 && (drift.tau - 0.02).abs() < 0.004, "{drift:?}");
        assert!(z(0.4, 0.01, &drift) > 10.0 && z(0.05, 0.01, &drift).abs() < 1.5);
        found.reverse();
        assert_eq!(drift, empirical_null(&found));
        let mirrored: Vec<(f64, f64)> = found.iter().map(|&(d, se)| (-d, se)).collect();
        let back = empirical_null(&mirrored);
        assert!((back.mu + drift.mu).abs() < 1e-12 && (back.tau - drift.tau).abs() < 1e-9);
    }

    #[test]
    fn few_paths_say_nothing() {
        assert_eq!(empirical_null(&shifts(7, 0.5, 0.1, 0.01)), Drift::default());
        assert_eq!(empirical_null(&[(f64::NAN, 0.1); 50]), Drift::default());
        assert!((empirical_null(&[(0.25, 0.0); 50]).mu - 0.25).abs() < 1e-12);
    }
}
