//! Counts of traces on both sides, as tests take them.

use crate::model::Pair;
use crate::stats::counts;

/// p value of the shares being different, either way (Fisher).
pub(super) fn fisher(with: Pair<u64>, of: Pair<u64>) -> f64 {
    counts::fisher_two_sided(with.before, of.before, with.after, of.after)
}

/// p value of the after side's share being smaller (Fisher).
pub(super) fn fisher_less(with: Pair<u64>, of: Pair<u64>) -> f64 {
    counts::fisher_less(with.before, of.before, with.after, of.after)
}

/// p value of `with` of `of` being a larger share than the other's (Fisher).
pub(super) fn more_than((with, of): (u64, u64), (other_with, other_of): (u64, u64)) -> f64 {
    counts::fisher_greater(other_with, other_of, with, of)
}

/// After minus before of the shares, with its 95 % interval (Newcombe): estimate, lower and upper end.
pub(super) fn newcombe(with: Pair<u64>, of: Pair<u64>) -> (f64, f64, f64) {
    let interval = counts::newcombe(with.before, of.before, with.after, of.after, 0.95);
    (interval.estimate, interval.low, interval.high)
}
