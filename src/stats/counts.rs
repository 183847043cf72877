//! Ratios of sums (calls per parent call, shares with errors, time per trace) and shares of small counts.

use super::discrete::Hypergeometric;
use super::distribution::{clamp_p, normal_quantile_above, t_above, t_for_level, t_two_sided, welch_df};
use super::shift::Interval;

/// How the ratio of two sums changed, for instance calls of a path per call of its parent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioTest {
    /// The ratios before and after.
    pub ratios: (f64, f64),
    /// ln(after / before) with its 95 % interval. When a side has none at all the estimate is infinite and the interval
    /// the whole line; with none on both sides it is 0.
    pub log_ratio: Interval,
    /// Standard error of the logarithm; infinite with the estimate.
    pub log_se: f64,
    /// after − before with its 95 % interval.
    pub difference: Interval,
    /// Standard error of the difference.
    pub difference_se: f64,
    /// One-sided p value for "more after". Never 0.
    pub p_greater: f64,
    /// One-sided p value for "less after". Never 0.
    pub p_less: f64,
    /// Degrees of freedom (Welch–Satterthwaite).
    pub df: f64,
    /// Equally heavy shards of the side that has fewer.
    pub units: f64,
}

impl RatioTest {
    /// One-sided p value for "more than `margin` times as many", for instance 1.5. Never 0.
    pub fn p_above(&self, margin: f64) -> f64 {
        one_sided(self.log_ratio.estimate - margin.ln(), self)
    }

    /// Two-sided p value. Never 0.
    pub fn p_two_sided(&self) -> f64 {
        clamp_p(2.0 * self.p_greater.min(self.p_less))
    }
}

/// p for a log ratio above 0, or for the difference where there is no ratio.
fn one_sided(log_ratio: f64, test: &RatioTest) -> f64 {
    if log_ratio.is_finite() {
        tail(log_ratio, test.log_se, test)
    } else {
        tail(test.difference.estimate, test.difference_se, test)
    }
}

/// The chance of so large an estimate if the truth is 0. Shards that all agree to rounding have no standard error to
/// divide by: each could still have fallen on the other side of 0, which gives 2⁻ⁿ.
fn tail(estimate: f64, se: f64, test: &RatioTest) -> f64 {
    let scale = test.ratios.0.abs().max(test.ratios.1.abs()).max(1.0);
    if se > 1e-12 * scale {
        t_above(estimate / se, test.df)
    } else if estimate > 1e-12 * scale {
        clamp_p((-test.units).exp2())
    } else {
        1.0
    }
}

/// A ratio of sums and the square of its standard error.
struct Ratio {
    value: f64,
    variance: f64,
    units: f64,
    df: f64,
    /// Sum of the denominators.
    size: f64,
}

impl Ratio {
    /// By the delta method over shards, with the correction for uneven ones of [`super::ecdf::Sample::scatter`].
    fn new(sums: &[(f64, f64)]) -> Option<Ratio> {
        let total = |part: fn(&(f64, f64)) -> f64| sums.iter().map(part).sum::<f64>();
        let (numerator, denominator) = (total(|sum| sum.0), total(|sum| sum.1));
        if !(denominator > 0.0 && numerator.is_finite() && denominator.is_finite()) {
            return None;
        }
        let value = numerator / denominator;
        let square = |x: f64| x * x;
        let units = 1.0 / sums.iter().map(|sum| square(sum.1 / denominator)).sum::<f64>();
        let residuals: f64 = sums.iter().map(|sum| square((sum.0 - value * sum.1) / denominator)).sum();
        // One shard with everything has no scatter; a hair above one would divide by nothing.
        (units > 1.0 + 1e-9).then_some(Ratio {
            value,
            variance: residuals * units / (units - 1.0),
            units,
            df: units - 1.0,
            size: denominator,
        })
    }

    /// A side on which nothing was counted has no scatter of its own: 0 of 20 is not known to be 0. If nothing changed
    /// it scatters as the other does, by its own size.
    fn borrow(&mut self, other: &Ratio) {
        if self.value == 0.0 {
            (self.variance, self.df) = (other.variance * other.size / self.size, other.df);
        }
    }
}

/// Compares two ratios of sums, each given by shard as (numerator, denominator). `None` when a side has fewer than two
/// shards with a denominator. Both sides must be in the same units.
pub fn ratio_change(before: &[(f64, f64)], after: &[(f64, f64)]) -> Option<RatioTest> {
    let (mut before, mut after) = (Ratio::new(before)?, Ratio::new(after)?);
    before.borrow(&after);
    after.borrow(&before);
    let relative = |ratio: &Ratio| ratio.variance / (ratio.value * ratio.value);
    let has_ratio = before.value > 0.0 && after.value > 0.0;
    let (a, b) = if has_ratio { (relative(&after), relative(&before)) } else { (after.variance, before.variance) };
    let df = welch_df(a, after.df, b, before.df);
    let t = t_for_level(0.95, df);
    let around = |estimate: f64, se: f64| Interval { estimate, low: estimate - t * se, high: estimate + t * se };
    let difference_se = (after.variance + before.variance).sqrt();
    let difference = around(after.value - before.value, difference_se);
    let (log_ratio, log_se) = if has_ratio {
        let se = (a + b).sqrt();
        (around((after.value / before.value).ln(), se), se)
    } else if difference.estimate == 0.0 {
        (around(0.0, 0.0), 0.0)
    } else {
        let whole = Interval { estimate: f64::INFINITY, low: f64::NEG_INFINITY, high: f64::INFINITY };
        (Interval { estimate: whole.estimate.copysign(difference.estimate), ..whole }, f64::INFINITY)
    };
    let mut test = RatioTest {
        ratios: (before.value, after.value),
        log_ratio,
        log_se,
        difference,
        difference_se,
        p_greater: 1.0,
        p_less: 1.0,
        df,
        units: before.units.min(after.units),
    };
    test.p_greater = one_sided(log_ratio.estimate, &test);
    let mirrored = RatioTest { difference: Interval { estimate: -difference.estimate, ..difference }, ..test };
    test.p_less = one_sided(-log_ratio.estimate, &mirrored);
    Some(test)
}

/// Welch's test of two means given as (mean, variance of the mean, degrees of freedom): its t, df and two-sided p.
pub fn welch(before: (f64, f64, f64), after: (f64, f64, f64)) -> (f64, f64, f64) {
    let df = welch_df(before.1, before.2, after.1, after.2);
    let se = (before.1 + after.1).sqrt();
    let t = if se > 0.0 { (after.0 - before.0) / se } else { 0.0 };
    (t, df, t_two_sided(t, df))
}

/// Wilson's score interval of a share of `x` in `n`; everything when `n` is 0.
pub fn wilson(x: u64, n: u64, level: f64) -> Interval {
    share_interval(if n == 0 { 0.0 } else { x.min(n) as f64 / n as f64 }, n, level)
}

/// Wilson's score interval of a share that `n` traces gave, also one of calls or of weights; everything when `n` is 0.
pub fn share_interval(share: f64, n: u64, level: f64) -> Interval {
    if n == 0 {
        return Interval { estimate: share, low: 0.0, high: 1.0 };
    }
    let n_traces = n as f64;
    let z = normal_quantile_above((1.0 - level) / 2.0);
    let wider = 1.0 + z * z / n_traces;
    let middle = (share + z * z / (2.0 * n_traces)) / wider;
    let half = z * (share * (1.0 - share) / n_traces + z * z / (4.0 * n_traces * n_traces)).sqrt() / wider;
    Interval { estimate: share, low: (middle - half).max(0.0).min(share), high: (middle + half).min(1.0).max(share) }
}

/// Newcombe's hybrid score interval of x2/n2 − x1/n1.
pub fn newcombe(x1: u64, n1: u64, x2: u64, n2: u64, level: f64) -> Interval {
    between(wilson(x1, n1, level), wilson(x2, n2, level))
}

/// The same for shares that so many traces gave: `after` − `before`.
pub fn share_difference(before: (f64, u64), after: (f64, u64), level: f64) -> Interval {
    between(share_interval(before.0, before.1, level), share_interval(after.0, after.1, level))
}

fn between(one: Interval, two: Interval) -> Interval {
    let estimate = two.estimate - one.estimate;
    Interval {
        estimate,
        low: estimate - (two.estimate - two.low).hypot(one.high - one.estimate),
        high: estimate + (two.high - two.estimate).hypot(one.estimate - one.low),
    }
}

fn fisher(x1: u64, n1: u64, x2: u64, n2: u64) -> Hypergeometric {
    Hypergeometric::new(n1.saturating_add(n2), x1.min(n1).saturating_add(x2.min(n2)), n2)
}

/// Fisher's exact p value for "x2 of n2 is a larger share than x1 of n1". Never 0.
pub fn fisher_greater(x1: u64, n1: u64, x2: u64, n2: u64) -> f64 {
    fisher(x1, n1, x2, n2).at_least(x2.min(n2))
}

/// Fisher's exact p value for "x2 of n2 is a smaller share than x1 of n1". Never 0.
pub fn fisher_less(x1: u64, n1: u64, x2: u64, n2: u64) -> f64 {
    fisher(x1, n1, x2, n2).at_most(x2.min(n2))
}

/// Fisher's exact p value for two different shares: all tables that are no likelier than this one. Never 0.
pub fn fisher_two_sided(x1: u64, n1: u64, x2: u64, n2: u64) -> f64 {
    fisher(x1, n1, x2, n2).no_likelier_than(x2.min(n2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} is not {b}");
    }

    #[test]
    fn a_ratio_by_hand() {
        // Before 2, 4, 3, 3 calls of 1 each: mean 3, variance (1+1)/3/4 = 1/6. After twice that.
        let before = [(2.0, 1.0), (4.0, 1.0), (3.0, 1.0), (3.0, 1.0)];
        let after = before.map(|(calls, parents)| (2.0 * calls, parents));
        let test = ratio_change(&before, &after).unwrap();
        close(test.log_ratio.estimate, 2f64.ln());
        close(test.log_se, (2.0_f64 / 6.0 / 9.0).sqrt());
        close(test.difference.estimate, 3.0);
        close(test.difference_se, (1.0_f64 / 6.0 + 4.0 / 6.0).sqrt());
        close(test.df, 6.0);
        close(test.p_greater, t_above(2f64.ln() / (1.0_f64 / 27.0).sqrt(), 6.0));
        close(test.p_greater + test.p_less, 1.0);
        close(test.p_above(2.0), 0.5);
    }

    #[test]
    fn swapping_the_sides_mirrors() {
        let (left, right) = ([(2.0, 1.0), (5.0, 2.0), (3.0, 1.5)], [(8.0, 2.0), (3.0, 1.0), (4.0, 1.0), (0.0, 0.5)]);
        let (there, back) = (ratio_change(&left, &right).unwrap(), ratio_change(&right, &left).unwrap());
        close(there.log_ratio.low, -back.log_ratio.high);
        close(there.difference.estimate, -back.difference.estimate);
        close(there.p_greater, back.p_less);
        close(there.p_two_sided(), back.p_two_sided());
    }

    #[test]
    fn shards_that_agree_are_no_proof_beyond_their_number() {
        let once = [(1.0, 1.0); 8];
        let twice = [(2.0, 1.0); 8];
        let test = ratio_change(&once, &twice).unwrap();
        close(test.p_greater, 1.0 / 256.0);
        close(test.p_less, 1.0);
        close(ratio_change(&once, &once).unwrap().p_two_sided(), 1.0);
    }

    #[test]
    fn none_before_is_a_difference() {
        let none = [(0.0, 10.0); 6];
        let some = [(1.0, 10.0), (2.0, 10.0), (1.0, 10.0), (3.0, 10.0), (2.0, 10.0), (2.0, 10.0)];
        let test = ratio_change(&none, &some).unwrap();
        assert!(test.log_ratio.estimate == f64::INFINITY && test.p_greater < 0.01, "{test:?}");
        assert!(test.difference.low > 0.0 && test.p_above(1.5) < 0.01);
        let back = ratio_change(&some, &none).unwrap();
        assert!(back.log_ratio.estimate == f64::NEG_INFINITY && back.p_less < 0.01 && back.p_greater > 0.99);
        close(ratio_change(&none, &none).unwrap().p_two_sided(), 1.0);
        assert!(ratio_change(&none, &[]).is_none() && ratio_change(&[(1.0, 1.0)], &some).is_none());
    }

    #[test]
    fn none_of_few_is_no_change() {
        // 2 % of 320 before, none of 16 after: 0.3 were expected.
        let before: Vec<(f64, f64)> = (0..32).map(|n| (if n < 6 { 1.0 } else { 0.0 }, 10.0)).collect();
        let after = [(0.0, 1.0); 16];
        let test = ratio_change(&before, &after).unwrap();
        assert!(test.p_less > 0.2 && test.difference.high > 0.0, "{test:?}");
    }

    #[test]
    fn newcombe_as_published() {
        // Newcombe (1998), example (a): 56/70 against 48/80, 0.2 with 0.0524 to 0.3339.
        let found = newcombe(48, 80, 56, 70, 0.95);
        assert!((found.low - 0.0524).abs() < 5e-5 && (found.high - 0.3339).abs() < 5e-5, "{found:?}");
        let shares = share_difference((48.0 / 80.0, 80), (56.0 / 70.0, 70), 0.95);
        close(shares.low, found.low);
        close(shares.high, found.high);
        // Wilson of 0/20: 0 to 0.1611.
        let low = share_interval(0.0, 20, 0.95);
        assert!(low.low.abs() < 1e-12 && (low.high - 0.1611).abs() < 5e-5, "{low:?}");
        let none = newcombe(0, 0, 3, 10, 0.95);
        assert!(none.low < -0.5 && none.high <= 1.0);
    }

    #[test]
    fn tea_and_milk() {
        // 3 of 4 against 1 of 4: 17/70 one-sided, 34/70 two-sided.
        close(fisher_greater(1, 4, 3, 4), 17.0 / 70.0);
        close(fisher_less(3, 4, 1, 4), 17.0 / 70.0);
        close(fisher_two_sided(1, 4, 3, 4), 34.0 / 70.0);
        close(fisher_two_sided(0, 10, 0, 10), 1.0);
        close(fisher_greater(5, 0, 3, 0), 1.0);
    }
}
