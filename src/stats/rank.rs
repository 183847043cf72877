//! Is one side slower? The trace-clustered test of Brunner and Munzel, from bins and shards.
//!
//! θ is the probability that a trace after the change is slower than one before, ties by half; a span of a trace with
//! k of them counts 1/k. Its variance is that of the placements (the share of the other side that a trace is slower
//! than), taken between shards: traces are independent, spans of one trace are not.

use super::distribution::{clamp_p, t_above, welch_df};
use super::ecdf::{Sample, mapped_ends};
use super::histogram::Histogram;

/// What the test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// P(before < after) + ½ P(equal): ½ when nothing moved.
    pub theta: f64,
    /// Standard error of `theta`; 0 when no shard differs from another, such as after complete separation.
    pub se: f64,
    /// Degrees of freedom (Welch–Satterthwaite).
    pub df: f64,
    /// Equally heavy shards of the side that has fewer: so many independent observations there are at least.
    pub units: f64,
}

/// Below it a standard error is rounding.
const NO_SE: f64 = 1e-9;
/// Where θ or 1 − θ is smaller, the logit form would fall although the evidence grows: its maximum over θ = 1 − a/n.
const LOGIT_TURNS: f64 = 0.135;

impl RankTest {
    /// The t statistic: positive when after is slower.
    ///
    /// The logit form logit(θ)·θ(1−θ)/se keeps far tails honest in small samples, but turns around near complete
    /// separation, where its standard error vanishes as √(1−θ): from there on it keeps its value at the turn. Without
    /// any scatter between shards it is the root of what [`RankTest::p_greater`] then bounds the p value by.
    pub fn statistic(&self) -> f64 {
        let away = self.theta - 0.5;
        let logit = |less: f64, se: f64| ((1.0 - less) / less).ln() * less * (1.0 - less) / se;
        let less = self.theta.min(1.0 - self.theta);
        let size = if self.se < NO_SE || less <= 0.0 {
            if away.abs() < NO_SE { 0.0 } else { (2.0 * self.divergence()).sqrt() }
        } else if less >= LOGIT_TURNS {
            logit(less, self.se)
        } else {
            logit(LOGIT_TURNS, self.se * (LOGIT_TURNS / less).sqrt())
        };
        size.copysign(away)
    }

    /// Units times the divergence of θ from ½, from Hoeffding's inequality for U-statistics: whatever the two
    /// distributions, if the true θ is ½ then one as far out has at most the probability e to the minus this. Complete
    /// separation of n units gets 2⁻ⁿ.
    fn divergence(&self) -> f64 {
        let part = |share: f64| if share > 0.0 { share * (2.0 * share).ln() } else { 0.0 };
        self.units * (part(self.theta) + part(1.0 - self.theta))
    }

    /// Whether both sides are one and the same value, of which no test can make more.
    fn is_flat(&self) -> bool {
        self.se < NO_SE && (self.theta - 0.5).abs() < NO_SE
    }

    fn above(&self, t: f64) -> f64 {
        if self.is_flat() {
            return 1.0;
        }
        let p = if self.se < NO_SE && t > 0.0 { 1.0 } else { t_above(t, self.df) };
        if t > 0.0 { clamp_p(p.min((-self.divergence()).exp())) } else { p }
    }

    /// One-sided p value for "after is slower". Never 0.
    pub fn p_greater(&self) -> f64 {
        self.above(self.statistic())
    }

    /// One-sided p value for "after is faster". Never 0.
    pub fn p_less(&self) -> f64 {
        self.above(-self.statistic())
    }

    /// Two-sided p value. Never 0.
    pub fn p_two_sided(&self) -> f64 {
        clamp_p(2.0 * self.above(self.statistic().abs()))
    }
}

/// Tests whether `after` is slower or faster than `before`. `None` when a side has fewer than two shards.
pub fn rank_test(before: &Histogram, after: &Histogram) -> Option<RankTest> {
    rank_test_shifted(before, after, &|ns| ns)
}

/// The same after an increasing map of the values after the change, in nanoseconds: with y ↦ min(y/(1+δ), y − floor)
/// the null hypothesis is "slower by no more than δ or the floor". Mapped bins stay spread evenly between their ends.
pub fn rank_test_shifted(before: &Histogram, after: &Histogram, map: &dyn Fn(f64) -> f64) -> Option<RankTest> {
    let (before, after) = (Sample::new(before)?, Sample::new(after)?);
    Some(compare(&before, &after, |bin| mapped_ends(bin, &|ns| ns), |bin| mapped_ends(bin, map)))
}

/// The test on bins that lie between these ends on the two sides.
pub fn compare(
    before: &Sample,
    after: &Sample,
    ends_before: impl Fn(u16) -> (f64, f64),
    ends_after: impl Fn(u16) -> (f64, f64),
) -> RankTest {
    let above = after.scatter(&placements(after, before, &ends_after, &ends_before));
    let below = before.scatter(&placements(before, after, &ends_before, &ends_after));
    let (a, b) = (above.variance, below.variance);
    RankTest {
        // Both means say the same; their middle is exactly mirrored when the sides are swapped.
        theta: 0.5 * (above.mean + (1.0 - below.mean)),
        se: (a + b).sqrt(),
        df: welch_df(a, after.df(), b, before.df()),
        units: after.units().min(before.units()),
    }
}

/// The share of `other` that is smaller, ties by half, for each bin of a sample.
pub fn placements(
    sample: &Sample,
    other: &Sample,
    ends: impl Fn(u16) -> (f64, f64),
    ends_of_other: impl Fn(u16) -> (f64, f64),
) -> Vec<f64> {
    let ecdf = other.ecdf(ends_of_other);
    let place = |&(bin, _): &(u16, f64)| {
        let (low, high) = ends(bin);
        ecdf.mean(low, high)
    };
    sample.bins().iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{Cell, ONE, bin_of};

    fn one_each(values: &[u64]) -> Histogram {
        let cell = |(shard, &ns): (usize, &u64)| Cell { shard: shard as u8, bin: bin_of(ns), mass: ONE };
        Histogram::from_cells(values.iter().enumerate().map(cell))
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn a_small_example_by_hand() {
        // Before 1 4 9, after 4 16 25: pairs won 1 + ½ + 0, 3, 3 of 3 each: θ = (1.5 + 3 + 3)/9.
        let test = rank_test(&one_each(&[1, 4, 9]), &one_each(&[4, 16, 25])).unwrap();
        close(test.theta, 7.5 / 9.0);
        // Placements after ½ 1 1: variance 1/12 over 3; before (share of after that is smaller) 0 1/6 1/3: 1/36 over 3.
        close(test.se * test.se, (1.0 / 12.0 + 1.0 / 36.0) / 3.0);
        let (a, b) = (1.0 / 36.0, 1.0 / 108.0);
        close(test.df, (a + b) * (a + b) / (a * a / 2.0 + b * b / 2.0));
    }

    #[test]
    fn swapping_the_sides_mirrors() {
        let (left, right) = (one_each(&[0, 3, 70, 900, 1_000]), one_each(&[5, 5, 0, 1_200]));
        let (there, back) = (rank_test(&left, &right).unwrap(), rank_test(&right, &left).unwrap());
        close(there.theta, 1.0 - back.theta);
        close(there.se, back.se);
        close(there.p_greater(), back.p_less());
        close(there.p_two_sided(), back.p_two_sided());
    }

    #[test]
    fn nothing_comes_of_equal_values() {
        let test = rank_test(&one_each(&[7; 20]), &one_each(&[7; 9])).unwrap();
        close(test.theta, 0.5);
        close(test.se, 0.0);
        close(test.p_greater(), 1.0);
        close(test.p_less(), 1.0);
        close(test.p_two_sided(), 1.0);
        // Also where all are zero, such as the self time of clients.
        close(rank_test(&one_each(&[0; 20]), &one_each(&[0; 9])).unwrap().p_two_sided(), 1.0);
    }

    #[test]
    fn separation_is_strong_but_finite_evidence() {
        let test = rank_test(&one_each(&[10; 32]), &one_each(&[1_000; 40])).unwrap();
        close(test.theta, 1.0);
        assert!((test.p_greater() / 2f64.powi(-32) - 1.0).abs() < 1e-6, "{}", test.p_greater());
        assert!(test.p_less() > 0.999);
        let few = rank_test(&one_each(&[10; 2]), &one_each(&[1_000; 2])).unwrap();
        close(few.p_greater(), 0.25);
    }

    #[test]
    fn evidence_grows_with_the_effect() {
        let before = one_each(&(1..=32).map(|n| 1_000 + 10 * n).collect::<Vec<_>>());
        let mut last = 1.0_f64;
        for percent in [102, 105, 110, 115, 120, 125, 130, 140, 200] {
            let after = one_each(&(1..=32).map(|n| (1_000 + 10 * n) * percent / 100).collect::<Vec<_>>());
            let p = rank_test(&before, &after).unwrap().p_greater();
            assert!(p <= last.max(2f64.powi(-31)), "{percent}: {p} after {last}");
            last = p;
        }
    }

    #[test]
    fn a_margin_must_be_exceeded() {
        let values: Vec<u64> = (0..60).map(|n| 1_000_000 + 20_000 * (n * 7 % 60)).collect();
        let slower: Vec<u64> = values.iter().map(|ns| ns * 3 / 2).collect();
        let (before, after) = (one_each(&values), one_each(&slower));
        let test = |delta: f64, floor: f64| {
            rank_test_shifted(&before, &after, &|y| (y / (1.0 + delta)).min(y - floor)).unwrap()
        };
        assert!(test(0.05, 0.0).p_greater() < 1e-6);
        assert!((test(0.5, 0.0).theta - 0.5).abs() < 0.01);
        assert!(test(0.6, 0.0).p_greater() > 0.9);
        assert!(test(0.05, 2e6).p_greater() > 0.999);
        // Zeros stay equal to zeros under a factor, and fall below them under a floor.
        let zeros = one_each(&[0; 40]);
        close(rank_test_shifted(&zeros, &zeros, &|y| y / 1.05).unwrap().theta, 0.5);
        close(rank_test_shifted(&zeros, &zeros, &|y| y - 2e6).unwrap().theta, 0.0);
    }

    #[test]
    fn spans_of_a_trace_count_as_one() {
        // The same traces with each span twice as two halves.
        let halves = |values: &[u64]| {
            let twice = values
                .iter()
                .enumerate()
                .flat_map(|(shard, &ns)| [0, 1].map(|_| Cell { shard: shard as u8, bin: bin_of(ns), mass: ONE / 2 }));
            Histogram::from_cells(twice)
        };
        let (left, right) = ([3, 8, 100, 7, 30], [9, 8, 400, 11]);
        assert_eq!(rank_test(&one_each(&left), &one_each(&right)), rank_test(&halves(&left), &halves(&right)));
    }
}
