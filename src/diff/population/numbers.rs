//! Means and quantiles as they are shown.

use super::groups::Group;
use super::work::Work;
use crate::diff::types::Quantiles;
use crate::model::Side;
use crate::stats::histogram::{Histogram, ONE};
use crate::stats::quantile::quantile;

/// Traces from which a 99th percentile is given.
const FOR_P99: u128 = 1_000;

/// Mean and quantiles of a sample, nanoseconds; `None` when it is empty.
pub(super) fn quantiles(sample: &Histogram, mean: i64) -> Option<Quantiles> {
    let at = |q: f64| quantile(sample, q).map(|ns| ns.round() as i64);
    let many = sample.mass() >= FOR_P99 * u128::from(ONE);
    Some(Quantiles { mean, p50: at(0.5)?, p95: at(0.95)?, p99: if many { at(0.99) } else { None } })
}

/// Mean duration of a group's requests, whole nanoseconds; `None` without requests.
pub(super) fn mean_of_group(work: &Work<'_>, group: &Group, side: Side) -> Option<i64> {
    let total: u128 = group.entries.get(side).iter().map(|&entry| work.sums(side, entry).duration_ns).sum();
    rounded(total, group.requests(work, side))
}

/// A quotient of weighted sums, rounded half up; `None` for nothing.
pub(super) fn rounded(total: u128, weight: u128) -> Option<i64> {
    let half = weight / 2;
    i64::try_from(total.checked_add(half)?.checked_div(weight)?).ok()
}
