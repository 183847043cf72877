//! One changed instance against the spread of the instances before: there is no variance after the change, so the t
//! prediction interval says where one more of the others would lie.

use super::distribution::{t_above, t_for_level, welch_df};
use super::shift::Interval;

/// Baseline instances that are needed.
pub const FEWEST_INSTANCES: usize = 5;

/// How far the mean of one more instance would lie from the mean of the others, by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneMore {
    /// Variance of the difference of the two means; of logarithms when they are logarithms.
    pub variance: f64,
    /// Its degrees of freedom.
    pub df: f64,
}

impl OneMore {
    /// Instances play no part.
    pub const NONE: OneMore = OneMore { variance: 0.0, df: f64::INFINITY };

    /// Where one more instance would lie, from the means of at least [`FEWEST_INSTANCES`]: their variance times
    /// 1 + 1/n. `None` with fewer, or where a number is not finite.
    pub fn of(means: &[f64]) -> Option<OneMore> {
        if means.len() < FEWEST_INSTANCES || means.iter().any(|mean| !mean.is_finite()) {
            return None;
        }
        let count = means.len() as f64;
        let (df, mean) = (count - 1.0, means.iter().sum::<f64>() / count);
        let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / df;
        Some(OneMore { variance: variance * (1.0 + 1.0 / count), df })
    }

    /// The standard error and the degrees of freedom of a difference that has this standard error within instances.
    fn with(self, se: f64) -> (f64, f64) {
        let within = se * se;
        ((within + self.variance).sqrt(), welch_df(within, f64::INFINITY, self.variance, self.df))
    }

    /// One-sided p value for a difference that is `away` from what it must exceed, with this standard error within
    /// instances. 0 when instances play no part: then the test within instances is all there is.
    pub fn p_above(self, away: f64, se: f64) -> f64 {
        if self.variance <= 0.0 {
            return 0.0;
        }
        let (se, df) = self.with(se);
        t_above(away / se, df)
    }

    /// The 95 % interval that has room for instances, too.
    pub fn widen(self, interval: Interval, se: f64) -> Interval {
        if self.variance <= 0.0 {
            return interval;
        }
        let (se, df) = self.with(se);
        let half = t_for_level(0.95, df) * se;
        let middle = interval.estimate;
        Interval { estimate: middle, low: interval.low.min(middle - half), high: interval.high.max(middle + half) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        // Mean 3, variance 2.5, times 1.2 is 3; 2·√3 away is t = 2 at 4 degrees of freedom.
        let found = OneMore::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert!((found.variance - 3.0).abs() < 1e-12 && (found.df - 4.0).abs() < 1e-12);
        // R: pt(2, 4, lower.tail = FALSE) and 3 + qt(0.975, 4) * sqrt(3).
        assert!((found.p_above(2.0 * 3f64.sqrt(), 0.0) - 0.058_058_26).abs() < 1e-8);
        let whole = found.widen(Interval { estimate: 3.0, low: 2.9, high: 3.1 }, 0.0);
        assert!(
            (whole.high - 3.0 - 2.776_445_1 * 3f64.sqrt()).abs() < 1e-6 && (whole.low + whole.high - 6.0).abs() < 1e-9
        );
        // The scatter within instances comes on top: √(3 + 1) = 2.
        let both = found.p_above(4.0, 1.0);
        assert!((both - t_above(2.0, 16.0 / (9.0 / 4.0))).abs() < 1e-12);
    }

    #[test]
    fn few_or_equal_instances() {
        assert!(OneMore::of(&[1.0; 4]).is_none());
        assert!(OneMore::of(&[1.0, 1.0, 1.0, 1.0, f64::NAN]).is_none());
        let equal = OneMore::of(&[1.0; 9]).unwrap();
        assert!(equal.p_above(-1.0, 0.1).abs() < 1e-300);
        let shown = Interval { estimate: 0.1, low: 0.0, high: 0.2 };
        assert_eq!(OneMore::NONE.widen(shown, 0.05), shown);
    }
}
