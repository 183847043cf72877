//! What was seen before and is not seen any more: by chance, or gone?

use super::discrete::{Hypergeometric, ln_rising};
use super::distribution::clamp_p;

/// More traces than anyone has: the answer when no number is enough.
const MOST: u64 = 1 << 60;

/// The chance to see nothing in `n` traces of what was in `x` of `m` before, if nothing changed: beta–binomial with
/// the prior of Jeffreys, B(x+½, m−x+½+n) / B(x+½, m−x+½). Never 0.
pub fn p_absent(x: u64, m: u64, n: u64) -> f64 {
    let seen = x.min(m) as f64 + 0.5;
    let unseen = (m - x.min(m)) as f64 + 0.5;
    // B(a, b) = Γ(a)/(Γ(a + b)/Γ(b)): only the rising powers differ.
    clamp_p((ln_rising(unseen, seen) - ln_rising(unseen + n as f64, seen)).exp())
}

/// The smallest number of traces after which absence of what was in `x` of `m` has at most the probability `alpha`.
pub fn needed_for_absence(x: u64, m: u64, alpha: f64) -> u64 {
    let (mut low, mut high) = (0, 1);
    while p_absent(x, m, high) > alpha && high < MOST {
        (low, high) = (high, high * 2);
    }
    if p_absent(x, m, low) <= alpha {
        return low;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if p_absent(x, m, middle) <= alpha { &mut high } else { &mut low }) = middle;
    }
    high
}

/// The chance that an instance with `count_before` spans has none after, when there is `traffic_ratio` times the
/// traffic: Poisson with a gamma prior, (1 + r)^−(c + ½). Never 0.
pub fn p_vanished(count_before: f64, traffic_ratio: f64) -> f64 {
    clamp_p((-(count_before.max(0.0) + 0.5) * traffic_ratio.max(0.0).ln_1p()).exp())
}

/// How many of the instances with these counts are expected to be missing by chance: mean and standard deviation.
pub fn expected_missing(counts_before: &[f64], traffic_ratio: f64) -> (f64, f64) {
    let (mean, variance) = counts_before.iter().fold((0.0, 0.0), |(mean, variance), &count| {
        let p = p_vanished(count, traffic_ratio);
        (mean + p, variance + p * (1.0 - p))
    });
    (mean, f64::sqrt(variance))
}

/// The chance that `inside` things drawn from `all` hold `inside_with` or more of the `all_with` that have a property.
/// Never 0.
pub fn hypergeometric_enrichment(inside_with: u64, inside: u64, all_with: u64, all: u64) -> f64 {
    Hypergeometric::new(all, all_with, inside).at_least(inside_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_design() {
        // statistics.md §2.5; found there with a search step of 2 %.
        let table: [(u64, u64, [u64; 3]); 5] = [
            (500, 1_000, [5, 7, 11]),
            (100, 1_000, [29, 45, 68]),
            (20, 1_000, [159, 253, 398]),
            (5, 1_000, [727, 1_310, 2_541]),
            (4, 200, [191, 358, 727]),
        ];
        for (x, m, expected) in table {
            for (alpha, expected) in [0.05, 0.01, 0.001].into_iter().zip(expected) {
                let found = needed_for_absence(x, m, alpha);
                assert!(found.abs_diff(expected) <= 1 + expected / 45, "{x}/{m} {alpha}: {found}, table {expected}");
                assert!(p_absent(x, m, found) <= alpha && p_absent(x, m, found - 1) > alpha);
            }
        }
    }

    #[test]
    fn nothing_is_certain() {
        assert!((p_absent(5, 10, 0) - 1.0).abs() < 1e-12);
        assert!(p_absent(u64::MAX, 3, u64::MAX) > 0.0);
        assert!(needed_for_absence(0, 0, 1e-9) > 1_000);
        assert!((p_vanished(4.0, 0.0) - 1.0).abs() < 1e-15);
        assert!((p_vanished(1.5, 1.0) - 0.25).abs() < 1e-15);
    }

    #[test]
    fn expected_numbers_add_up() {
        let (mean, sd) = expected_missing(&[0.5, 1.5, 1e6], 1.0);
        assert!((mean - 0.75).abs() < 1e-12 && (sd * sd - 0.4375).abs() < 1e-12);
    }

    #[test]
    fn all_of_one_kind() {
        // 3 of 3 drawn from 10 with 4: C(4,3)/C(10,3).
        assert!((hypergeometric_enrichment(3, 3, 4, 10) - 4.0 / 120.0).abs() < 1e-12);
        assert!((hypergeometric_enrichment(0, 3, 4, 10) - 1.0).abs() < 1e-12);
    }
}
