//! What the slowest requests are made of: the slowest 5 % of each side, by the bins of their durations.
//!
//! Quantiles do not add up, means over the slowest do. The bin at the boundary counts in part, so that the mass is
//! exactly 5 %.

use super::attribution::{Owners, Part, Requests, attribute, means};
use super::entry_points::durations;
use super::groups::{Group, Groups};
use super::work::Work;
use crate::diff::attribution::Attribution;
use crate::model::{Pair, Side};
use std::collections::BTreeMap;

/// One of so many requests is slow.
const PART: u128 = 20;

/// The slowest requests of a side: all above a bin, and so many of so many within it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Slowest {
    bin: u16,
    some: u128,
    of: u128,
    weight: u128,
}

impl Slowest {
    fn new(work: &Work<'_>, group: &Group, side: Side) -> Slowest {
        let mut bins: BTreeMap<u16, u128> = BTreeMap::new();
        for cell in durations(work, group, side).cells() {
            *bins.entry(cell.bin).or_default() += u128::from(cell.mass);
        }
        Slowest::of_bins(&bins)
    }

    fn of_bins(bins: &BTreeMap<u16, u128>) -> Slowest {
        let weight = bins.values().sum::<u128>() / PART;
        let mut left = weight;
        for (&bin, &mass) in bins.iter().rev() {
            if mass >= left {
                return Slowest { bin, some: left, of: mass.max(1), weight };
            }
            left -= mass;
        }
        Slowest::default()
    }

    /// The part of a sum over the boundary bin that counts, rounded down.
    fn some(&self, sum: u128) -> u128 {
        sum / self.of * self.some + sum % self.of * self.some / self.of
    }

    fn part(&self, work: &Work<'_>, side: Side, node: u32) -> Part {
        let Some(state) = work.state(side, node) else { return Part::default() };
        let from = state.tail.partition_point(|cell| cell.bin < self.bin);
        let mut part = Part::default();
        for cell in state.tail.iter().skip(from) {
            let share = |sum: u128| if cell.bin == self.bin { self.some(sum) } else { sum };
            part.ns += share(cell.critical_ns);
            part.calls += share(cell.critical_calls);
        }
        part
    }
}

/// The change of the mean of a group's slowest requests; `None` when a side has none.
pub(super) fn attribute_tail(
    work: &Work<'_>,
    owners: &Owners<'_>,
    groups: &Groups,
    number: usize,
) -> Option<Attribution> {
    let group = groups.list.get(number)?;
    let slowest = Pair::new(Slowest::new(work, group, Side::Before), Slowest::new(work, group, Side::After));
    let part = |side: Side, node: u32| slowest.get(side).part(work, side, node);
    // The bins count traces, the parts requests: a trace may make several.
    let weight = |side: Side| {
        let slowest = slowest.get(side).weight as f64;
        let traces: u128 = group.entries.get(side).iter().map(|&entry| work.sums(side, entry).weight).sum();
        (slowest * (group.requests(work, side) as f64 / traces.max(1) as f64)).round() as u128
    };
    let requests = Requests { weight: Pair::new(weight(Side::Before), weight(Side::After)), part: &part };
    let means = means(work, groups, number, &requests);
    let delta = means.after?.checked_sub(means.before?)?;
    (means.after? > 0 || means.before? > 0).then(|| attribute(work, owners, groups, number, &requests, delta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_bin_counts_in_part() {
        let bins = BTreeMap::from([(10, 900), (20, 80), (30, 20)]);
        // 50 of 1000: all 20 of bin 30 and 30 of the 80 in bin 20.
        let slowest = Slowest::of_bins(&bins);
        assert_eq!(slowest, Slowest { bin: 20, some: 30, of: 80, weight: 50 });
        assert_eq!(slowest.some(800), 300);
        assert_eq!(slowest.some(u128::MAX / 64), (u128::MAX / 64) / 80 * 30 + (u128::MAX / 64) % 80 * 30 / 80);
        assert_eq!(Slowest::of_bins(&BTreeMap::new()), Slowest::default());
    }
}
