//! The normal and the t distribution, as tests need them: tails that stay exact far out, and never a p value of 0.

use super::root::root;
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::SQRT_2;

/// No p value is smaller: a result is never impossible, and ties this far out are ranked by the effect.
pub const SMALLEST_P: f64 = 1e-300;
/// From here on the t distribution is taken for the normal one.
const NORMAL_FROM: f64 = 1e6;

/// A p value in its range, whatever rounding made of it; 1 for what could not be computed.
pub fn clamp_p(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(SMALLEST_P, 1.0) }
}

/// The probability that a standard normal variable exceeds `z`.
pub fn normal_above(z: f64) -> f64 {
    clamp_p(0.5 * erfc(z / SQRT_2))
}

/// The value that a standard normal variable exceeds with probability `p`, which is kept within (0, 1).
pub fn normal_quantile_above(p: f64) -> f64 {
    let p = p.clamp(SMALLEST_P, 1.0 - f64::EPSILON);
    let z = SQRT_2 * erfc_inv(2.0 * p);
    // One step of Newton for the last digits.
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let better = z + (normal_above(z) - p) / density;
    if better.is_finite() { better } else { z }
}

/// The probability that a t variable with `df` degrees of freedom (at least 1 are taken) exceeds `t`.
pub fn t_above(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() {
        return 1.0;
    }
    if df >= NORMAL_FROM {
        return normal_above(t);
    }
    clamp_p(StudentsT::new(0.0, 1.0, df.max(1.0)).map_or(1.0, |students| students.sf(t)))
}

/// The probability that a t variable is at least this far from 0 on either side.
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    clamp_p(2.0 * t_above(t.abs(), df))
}

/// The value that a t variable with `df` degrees of freedom (at least 1 are taken) exceeds with probability `p` ≤ ½.
pub fn t_quantile_above(p: f64, df: f64) -> f64 {
    let z = normal_quantile_above(p.min(0.5));
    if df.is_nan() || df >= NORMAL_FROM || z <= 0.0 {
        return z.max(0.0);
    }
    // The t quantile is above the normal one; the distance in logs is smooth enough for few steps.
    let target = p.max(SMALLEST_P).ln();
    let mut high = 2.0 * z + 1.0;
    while t_above(high, df).ln() > target && high < 1e150 {
        high *= 4.0;
    }
    root(z, high, |t| t_above(t, df).ln() - target)
}

/// `t` for an interval that holds the truth with probability `level`, such as 0.95.
pub fn t_for_level(level: f64, df: f64) -> f64 {
    t_quantile_above((1.0 - level) / 2.0, df)
}

/// Welch–Satterthwaite degrees of freedom of a sum of two variances, at least 1.
pub fn welch_df(variance_a: f64, df_a: f64, variance_b: f64, df_b: f64) -> f64 {
    let sum = variance_a + variance_b;
    let parts = variance_a * variance_a / df_a + variance_b * variance_b / df_b;
    let df = if parts > 0.0 { sum * sum / parts } else { df_a.min(df_b) };
    if df.is_nan() { 1.0 } else { df.max(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_undo_tails() {
        for df in [1.0, 2.5, 7.0, 61.3, 1e4, f64::INFINITY] {
            for p in [0.49, 0.1, 0.025, 1e-3, 1e-8, 1e-30] {
                let t = t_quantile_above(p, df);
                assert!((t_above(t, df) / p - 1.0).abs() < 1e-8, "{df} {p}: {t} gives {}", t_above(t, df));
            }
        }
    }

    #[test]
    fn tails_have_an_end() {
        assert!((t_above(f64::INFINITY, 5.0) - SMALLEST_P).abs() < 1e-310);
        assert!((normal_above(100.0) - SMALLEST_P).abs() < 1e-310);
        assert!((normal_above(f64::NEG_INFINITY) - 1.0).abs() < 1e-15);
        assert!((t_above(f64::NAN, 5.0) - 1.0).abs() < 1e-15);
        assert!((t_above(0.0, 3.0) - 0.5).abs() < 1e-15);
    }
}
