//! Probabilities of counts that stay exact for large numbers: the binomial term by its distance from the mean
//! (Loader 2000) instead of differences of huge logarithms, tails by recurrence from where they begin.

#![allow(clippy::float_cmp, reason = "whole numbers, held in doubles")]

use super::distribution::clamp_p;
use statrs::function::gamma::ln_gamma;

/// Terms below this share of a sum do not show in it.
const NEGLIGIBLE: f64 = 1e-17;
/// Terms of a tail at most: several standard deviations of counts of ten billion.
const MAX_TERMS: u32 = 4_000_000;

/// ln(n!) minus Stirling's formula.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
        return if n > 0.0 { ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - half_ln_tau } else { 0.0 };
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / n
}

/// x·ln(x/mean) + mean − x, without cancellation near x = mean.
fn deviance(x: f64, mean: f64) -> f64 {
    let away = (x - mean) / (x + mean);
    if away.abs() >= 0.1 {
        return x * (x / mean).ln() + mean - x;
    }
    let mut term = 2.0 * x * away;
    let mut sum = (x - mean) * away;
    for odd in 1..1000 {
        term *= away * away;
        let next = sum + term / f64::from(2 * odd + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// ln of the binomial probability of `x` in `n` at `p` in (0, 1).
fn ln_binomial(x: f64, n: f64, p: f64) -> f64 {
    if x <= 0.0 {
        return n * (-p).ln_1p();
    }
    if x >= n {
        return n * p.ln();
    }
    let rest = n - x;
    let errors = stirling_error(n) - stirling_error(x) - stirling_error(rest);
    let fit = deviance(x, n * p) + deviance(rest, n * (1.0 - p));
    errors - fit - 0.5 * (std::f64::consts::TAU * x * (rest / n)).ln()
}

/// ln(Γ(a + y) / Γ(a)) for positive numbers.
pub fn ln_rising(a: f64, y: f64) -> f64 {
    if a < 1e5 {
        return ln_gamma(a + y) - ln_gamma(a);
    }
    let correction = (1.0 / (a + y) - 1.0 / a) / 12.0;
    (a - 0.5) * (y / a).ln_1p() + y * (a + y).ln() - y + correction
}

/// How many of `drawn` things, of all of which some are marked, are marked.
pub struct Hypergeometric {
    all: f64,
    marked: f64,
    drawn: f64,
    lowest: f64,
    highest: f64,
}

impl Hypergeometric {
    /// `marked` and `drawn` count among `all`, and are cut to it.
    pub fn new(all: u64, marked: u64, drawn: u64) -> Hypergeometric {
        let (marked, drawn) = (marked.min(all), drawn.min(all));
        let lowest = marked.saturating_sub(all - drawn) as f64;
        let highest = marked.min(drawn) as f64;
        Hypergeometric { all: all as f64, marked: marked as f64, drawn: drawn as f64, lowest, highest }
    }

    fn ln_term(&self, x: f64) -> f64 {
        if self.lowest >= self.highest {
            return 0.0;
        }
        let p = self.drawn / self.all;
        ln_binomial(x, self.marked, p) + ln_binomial(self.drawn - x, self.all - self.marked, p)
            - ln_binomial(self.drawn, self.all, p)
    }

    fn mode(&self) -> f64 {
        ((self.drawn + 1.0) * ((self.marked + 1.0) / (self.all + 2.0))).floor().clamp(self.lowest, self.highest)
    }

    /// The next term upwards as a factor of that at `x`.
    fn up(&self, x: f64) -> f64 {
        (self.marked - x) * (self.drawn - x) / ((x + 1.0) * (self.all - self.marked - self.drawn + x + 1.0))
    }

    /// Sum of the terms from `x`, at or beyond the mode, away from it.
    fn tail(&self, x: f64, upwards: bool) -> f64 {
        if x < self.lowest || x > self.highest {
            return 0.0;
        }
        let (mut at, mut term, mut sum) = (x, 1.0_f64, 1.0_f64);
        for _ in 0..MAX_TERMS {
            if term < NEGLIGIBLE * sum || at == if upwards { self.highest } else { self.lowest } {
                break;
            }
            if upwards {
                term *= self.up(at);
                at += 1.0;
            } else {
                at -= 1.0;
                term /= self.up(at);
            }
            sum += term;
        }
        (self.ln_term(x) + sum.ln()).exp()
    }

    /// P(X ≥ x). Never 0.
    pub fn at_least(&self, x: u64) -> f64 {
        let x = x as f64;
        if x <= self.lowest {
            return 1.0;
        }
        clamp_p(if x > self.mode() { self.tail(x, true) } else { 1.0 - self.tail(x - 1.0, false) })
    }

    /// P(X ≤ x). Never 0.
    pub fn at_most(&self, x: u64) -> f64 {
        let x = x as f64;
        if x >= self.highest {
            return 1.0;
        }
        clamp_p(if x < self.mode() { self.tail(x, false) } else { 1.0 - self.tail(x + 1.0, true) })
    }

    /// The probability of all counts that are no likelier than `x`. Never 0.
    pub fn no_likelier_than(&self, x: u64) -> f64 {
        let (x, mode) = ((x as f64).clamp(self.lowest, self.highest), self.mode());
        // As others do: terms equal but for rounding count as equal.
        let limit = self.ln_term(x) + 1e-7;
        if x == mode || self.ln_term(mode) <= limit {
            return 1.0;
        }
        let upwards = x < mode;
        let mut near = mode;
        let mut far = if upwards { self.highest } else { self.lowest };
        let mut other = 0.0;
        if self.ln_term(far) <= limit {
            while (far - near).abs() > 1.0 {
                let middle = (0.5 * (near + far)).floor();
                if middle == near || middle == far {
                    // Counts so large that a double has none in between.
                    break;
                }
                *(if self.ln_term(middle) <= limit { &mut far } else { &mut near }) = middle;
            }
            other = self.tail(far, upwards);
        }
        clamp_p(self.tail(x, !upwards) + other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_up_to_one() {
        for (all, marked, drawn) in [(8, 4, 4), (1_000, 30, 700), (90, 89, 45), (5_000, 2_500, 2_400)] {
            let counts = Hypergeometric::new(all, marked, drawn);
            let sum: f64 = (0..=marked.min(drawn))
                .filter(|&x| x as f64 >= counts.lowest)
                .map(|x| counts.ln_term(x as f64).exp())
                .sum();
            assert!((sum - 1.0).abs() < 1e-11, "{all} {marked} {drawn}: {sum}");
        }
    }

    #[test]
    fn tails_meet() {
        for x in 1..=30 {
            let counts = Hypergeometric::new(1_000, 30, 300);
            assert!((counts.at_least(x) + counts.at_most(x - 1) - 1.0).abs() < 1e-11, "{x}");
        }
    }

    #[test]
    fn large_counts_take_no_time() {
        let billion = 1_000_000_000;
        let even = Hypergeometric::new(2 * billion, billion, billion).at_least(billion / 2);
        assert!((even - 0.5).abs() < 1e-4, "{even}");
        let rare = Hypergeometric::new(2 * billion, 6, billion).at_least(6);
        assert!((rare * 64.0 - 1.0).abs() < 1e-6, "{rare}");
        let huge = Hypergeometric::new(u64::MAX, u64::MAX / 2, u64::MAX / 3).no_likelier_than(u64::MAX / 7);
        assert!((0.0..=1.0).contains(&huge));
        assert!((Hypergeometric::new(0, 0, 0).at_least(0) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn rising_powers_agree_where_the_formulas_meet() {
        for y in [0.5, 3.5, 1_000.5] {
            let (below, above) = (ln_rising(99_999.9, y), ln_rising(100_000.1, y));
            assert!((above - below - y * 0.2 / 100_000.0).abs() < 1e-6 * y, "{y}: {below} {above}");
        }
    }
}
