//! Did the shape change? A test of location alone misses a new tail, a second mode or more spread.

use super::distribution::{clamp_p, t_for_level};
use super::ecdf::{Sample, mapped_ends, positive_ends};
use super::histogram::{Histogram, ONE, bin_ends};
use super::quantile::is_enough;
use super::random::Random;
use super::rank::placements;

/// The share of each side in each bin that occurs on either: (bin, before, after), in order of bins.
fn shares(before: &Histogram, after: &Histogram) -> Vec<(u16, f64, f64)> {
    let masses = (before.mass() as f64, after.mass() as f64);
    let of = |histogram: &Histogram, share: fn(f64) -> (f64, f64), mass: f64| -> Vec<(u16, f64, f64)> {
        let cell = |cell: &super::Cell| {
            let (left, right) = share(cell.mass as f64 / mass);
            (cell.bin, left, right)
        };
        histogram.cells().iter().map(cell).collect()
    };
    let mut all = of(before, |share| (share, 0.0), masses.0);
    all.extend(of(after, |share| (0.0, share), masses.1));
    all.sort_by_key(|part| part.0);
    all.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
            kept.2 += next.2;
        }
        same
    });
    all
}

/// The middle of a bin in logarithms of nanoseconds; a zero counts as half to one nanosecond.
fn log_middle(bin: u16) -> f64 {
    let (low, high) = positive_ends(bin);
    f64::midpoint(low, high).ln()
}

/// The Wasserstein distance of logarithms: by what factor (as a logarithm) a trace moved on average, up or down. 0 when
/// a side is empty.
pub fn wasserstein_log(before: &Histogram, after: &Histogram) -> f64 {
    if before.is_empty() || after.is_empty() {
        return 0.0;
    }
    let (mut difference, mut sum) = (0.0_f64, 0.0);
    let mut last = None;
    for (bin, left, right) in shares(before, after) {
        let here = log_middle(bin);
        sum += difference.abs() * (here - last.unwrap_or(here));
        difference += right - left;
        last = Some(here);
    }
    sum
}

/// The distance of Anderson and Darling with middle ranks: the statistic of two samples divided by their size less one,
/// which weighs the tails as much as the middle. Sides count by their mass. 0 when a side is empty.
pub fn anderson_darling(before: &Histogram, after: &Histogram) -> f64 {
    if before.is_empty() || after.is_empty() {
        return 0.0;
    }
    let (left_mass, right_mass) = (before.mass() as f64, after.mass() as f64);
    let left_part = left_mass / (left_mass + right_mass);
    let right_part = 1.0 - left_part;
    let (mut left_below, mut right_below, mut sum) = (0.0, 0.0, 0.0);
    for (_, left, right) in shares(before, after) {
        let (left_middle, right_middle) = (left_below + 0.5 * left, right_below + 0.5 * right);
        let pooled = left_part * left + right_part * right;
        let middle = left_part * left_middle + right_part * right_middle;
        let spread = middle * (1.0 - middle) - 0.25 * pooled;
        if spread > 1e-12 {
            let away = |side: f64| (side - middle) * (side - middle);
            sum += pooled * (left_part * away(left_middle) + right_part * away(right_middle)) / spread;
        }
        left_below += left;
        right_below += right;
    }
    sum
}

/// Draws of the null distribution.
const DRAWS: usize = 999;
/// Bins are joined to about so many of equal mass for the Wasserstein distance of the draws.
const GROUPS: f64 = 64.0;
/// The quantile that stands for the tail.
const TAIL: f64 = 0.95;
/// Number of statistics.
const KINDS: usize = 4;

/// The smallest of several p values, corrected for having looked at all of them. No p is below 1/1000.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinP {
    /// The chance of so small a smallest p value if nothing changed.
    pub p: f64,
    /// Two-sided p value of the rank statistic θ: everything slower or faster.
    pub rank: f64,
    /// p value of the Wasserstein distance of logarithms: any change of shape.
    pub wasserstein: f64,
    /// Two-sided p value of the share above the common 95th percentile: the tail. 1 with fewer than 200 traces on a
    /// side: a tail of which nothing was seen has no scatter.
    pub p95: f64,
    /// Two-sided p value of the mean duration: cost. 1 with fewer than 200 traces on a side: few of them decide it.
    pub mean: f64,
}

/// What one shard adds to the difference of the two sides, its expected part removed.
struct Row {
    /// The difference of the distribution functions after each group of bins.
    function: Vec<f64>,
    /// Rank, tail, mean.
    linear: [f64; KINDS - 1],
}

/// Tests for any change of the distribution. `None` when a side has fewer than two shards.
///
/// All four statistics are functions of the difference of the two distribution functions. Its null distribution is
/// drawn by giving the residual of every shard a random sign (a wild bootstrap by clusters). Permuting shards between
/// the sides instead would take shards of both for exchangeable, which they are only with equal traffic: with 2,000
/// traces before and 40 after, a shard before holds fifty times the traces and scatters less. Random signs take each
/// side's scatter as it is; they only assume that shards are independent and their residuals about symmetric. The
/// signs depend on the content alone.
///
/// The comparison of populations does not run this at every call path: with 999 draws no p value is below 1/1000, and
/// the strictest of 200 paths that share a quarter of a false discovery rate of 0.05 must be below 1/16,000; some
/// twenty times as many draws would cost more than all other tests together. There the rank shift, the mean and the 95th
/// percentile stand for it, with p values that have no floor: of a spread that grows by a quarter the percentile sees
/// as much as the Wasserstein distance does (power 0.57 and 0.52 in 300 traces).
pub fn min_p(before: &Histogram, after: &Histogram) -> Option<MinP> {
    let samples = (Sample::new(before)?, Sample::new(after)?);
    let all = shares(before, after);
    let (groups, widths) = groups(&all);
    let has_tail = is_enough(TAIL, fewest_traces(before).min(fewest_traces(after)));
    let (observed, rows) = residuals((&samples.0, &samples.1), &all, &groups, has_tail);
    let size = |row: &Row| {
        let distance: f64 = row.function.iter().zip(&widths).map(|(difference, width)| difference.abs() * width).sum();
        let [rank, tail, mean] = row.linear.map(f64::abs);
        [rank, distance, tail, mean]
    };
    let content = |histogram: &Histogram| {
        let cells = histogram.cells().iter();
        Random::of(cells.flat_map(|cell| [u64::from(cell.shard) << 16 | u64::from(cell.bin), cell.mass])).draw()
    };
    let seeds = (content(before), content(after));
    // Each side has signs of its own, so that swapping the sides changes nothing.
    let both = seeds.0.wrapping_add(seeds.1);
    let mut signs = [seeds.0, seeds.1].map(|seed| Random::of([both, seed].into_iter()));
    let mut draws = vec![size(&observed)];
    let mut sum = Row { function: vec![0.0; widths.len()], linear: [0.0; KINDS - 1] };
    for _ in 0..DRAWS {
        sum.function.fill(0.0);
        sum.linear.fill(0.0);
        for (side, random) in rows.iter().zip(&mut signs) {
            let bits = random.draw();
            for (shard, row) in side.iter().enumerate() {
                let sign = if bits >> (shard & 63) & 1 == 1 { 1.0 } else { -1.0 };
                let pairs = sum.function.iter_mut().zip(&row.function);
                pairs.chain(sum.linear.iter_mut().zip(&row.linear)).for_each(|(sum, part)| *sum += sign * part);
            }
        }
        draws.push(size(&sum));
    }
    Some(smallest(&draws))
}

/// How many traces there are: the mass, unless weights make more of fewer cells.
fn fewest_traces(histogram: &Histogram) -> u64 {
    let traces = (histogram.mass() / u128::from(ONE)) as u64;
    traces.min(2 * histogram.cells().len() as u64)
}

/// The group of each bin in `all`, and by how much each group's middle is below the next one's, in logarithms.
fn groups(all: &[(u16, f64, f64)]) -> (Vec<usize>, Vec<f64>) {
    let mut of_bin = Vec::with_capacity(all.len());
    let mut middles: Vec<(f64, f64)> = Vec::new();
    let mut full = true;
    for &(bin, left, right) in all {
        let share = 0.5 * (left + right);
        if full {
            middles.push((0.0, 0.0));
        }
        if let Some((mass, moment)) = middles.last_mut() {
            *mass += share;
            *moment += share * log_middle(bin);
            full = *mass >= 1.0 / GROUPS;
        }
        of_bin.push(middles.len() - 1);
    }
    let middles: Vec<f64> = middles.iter().map(|(mass, moment)| moment / mass).collect();
    let next = middles.iter().skip(1).chain(middles.last());
    let widths = middles.iter().zip(next).map(|(here, next)| next - here).collect();
    (of_bin, widths)
}

/// The observed difference, and the residual of every shard of both sides.
fn residuals(
    (before, after): (&Sample, &Sample),
    all: &[(u16, f64, f64)],
    groups: &[usize],
    has_tail: bool,
) -> (Row, [Vec<Row>; 2]) {
    let identity = |bin: u16| mapped_ends(bin, &|ns| ns);
    let places = (placements(before, after, identity, identity), placements(after, before, identity, identity));
    let tail = if has_tail { tail_bin(all) } else { u16::MAX };
    let count = groups.last().map_or(0, |last| last + 1);
    let rows = |sample: &Sample, places: &[f64], sign: f64| -> (Row, Vec<Row>) {
        let bins: Vec<Bin> = sample
            .bins()
            .iter()
            .zip(places)
            .map(|(&(bin, share), &place)| {
                let at = all.binary_search_by_key(&bin, |part| part.0).unwrap_or_default();
                let (low, high) = bin_ends(bin);
                let middle = if bin == 0 || !has_tail { 0.0 } else { f64::midpoint(low, high) };
                let beyond = if bin > tail { 1.0 } else { 0.0 };
                Bin { share, group: groups.get(at).copied().unwrap_or_default(), values: [place, beyond, middle] }
            })
            .collect();
        let whole = row(count, bins.iter().map(|bin| (bin, bin.share)), sign);
        // With few shards residuals are too small, and their size uncertain: what t has over the normal quantile.
        let heavier = t_for_level(0.95, sample.df()) / t_for_level(0.95, f64::INFINITY);
        let correction = sign * heavier * (sample.units() / (sample.units() - 1.0)).sqrt();
        let of_shard = |cells: &[(u32, f64)]| {
            let mass: f64 = cells.iter().map(|cell| cell.1).sum();
            let own = cells.iter().filter_map(|&(bin, share)| Some((bins.get(bin as usize)?, share)));
            // What a shard of this mass holds on average is taken away.
            row(count, own.chain(bins.iter().map(|bin| (bin, -mass * bin.share))), correction)
        };
        (whole, sample.shards().map(of_shard).collect())
    };
    let ((left, left_rows), (right, right_rows)) = (rows(before, &places.0, -1.0), rows(after, &places.1, 1.0));
    let mut observed = left;
    observed.function.iter_mut().zip(&right.function).for_each(|(sum, part)| *sum += part);
    observed.linear.iter_mut().zip(&right.linear).for_each(|(sum, part)| *sum += part);
    // Both placements measure the same distance from ½: θ − (1 − θ), of which the residuals are the two halves.
    observed.linear = match observed.linear {
        [rank, tail, mean] => [0.5 * rank, tail, mean],
    };
    (observed, [left_rows, right_rows])
}

/// One bin of one side.
struct Bin {
    share: f64,
    group: usize,
    /// Placement, whether beyond the tail's quantile, nanoseconds.
    values: [f64; KINDS - 1],
}

/// Sums up shares of bins.
fn row<'a>(groups: usize, parts: impl Iterator<Item = (&'a Bin, f64)>, sign: f64) -> Row {
    let mut row = Row { function: vec![0.0; groups], linear: [0.0; KINDS - 1] };
    for (bin, share) in parts {
        if let Some(group) = row.function.get_mut(bin.group) {
            *group += sign * share;
        }
        row.linear.iter_mut().zip(bin.values).for_each(|(sum, value)| *sum += sign * share * value);
    }
    let mut sum = 0.0;
    for group in &mut row.function {
        sum += *group;
        *group = sum;
    }
    row
}

/// The bin of the common tail quantile, both sides counting the same.
fn tail_bin(all: &[(u16, f64, f64)]) -> u16 {
    let mut below = 0.0;
    let found = all.iter().find(|(_, left, right)| {
        below += 0.5 * (left + right);
        below >= TAIL
    });
    found.or(all.last()).map_or(0, |part| part.0)
}

/// p values of the first of the draws, which is the observed one, against all.
fn smallest(draws: &[[f64; KINDS]]) -> MinP {
    let count = draws.len() as f64;
    // Per draw, the smallest of its p values; equal but for rounding is as large.
    let mut smallest = vec![1.0_f64; draws.len()];
    let mut observed = [1.0; KINDS];
    for (kind, p_observed) in observed.iter_mut().enumerate() {
        let value = |draw: &[f64; KINDS]| draw.get(kind).copied().unwrap_or_default();
        let mut order: Vec<f64> = draws.iter().map(value).collect();
        order.sort_unstable_by(f64::total_cmp);
        let p_of = |value: f64| {
            let limit = value * (1.0 - 1e-9);
            (draws.len() - order.partition_point(|other| *other < limit)) as f64 / count
        };
        *p_observed = draws.first().map_or(1.0, |draw| p_of(value(draw)));
        for (smallest, draw) in smallest.iter_mut().zip(draws) {
            *smallest = smallest.min(p_of(value(draw)));
        }
    }
    let limit = smallest.first().copied().unwrap_or(1.0);
    let as_small = smallest.iter().filter(|p| **p <= limit).count();
    let [rank, wasserstein, p95, mean] = observed;
    MinP { p: clamp_p(as_small as f64 / count), rank, wasserstein, p95, mean }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::{Cell, bin_of};

    fn sample(values: impl Iterator<Item = u64>) -> Histogram {
        Histogram::from_cells(values.enumerate().map(|(n, ns)| Cell {
            shard: (n * 13 % 32) as u8,
            bin: bin_of(ns),
            mass: ONE,
        }))
    }

    /// Values between 1 and 2 ms in a scrambled order.
    fn even(count: u64, start: u64) -> impl Iterator<Item = u64> {
        (start..start + count).map(|n| 1_000_000 + n * 7_919 % 1_009 * 1_000)
    }

    #[test]
    fn the_distance_of_a_shift_is_the_shift() {
        let (left, right) = (sample(even(900, 0)), sample(even(900, 0).map(|ns| ns * 2)));
        assert!((wasserstein_log(&left, &right) - 2f64.ln()).abs() < 1e-9);
        assert!((wasserstein_log(&right, &left) - 2f64.ln()).abs() < 1e-9);
        assert!(wasserstein_log(&left, &left).abs() < 1e-15 && anderson_darling(&left, &left).abs() < 1e-15);
        assert!((anderson_darling(&left, &right) - anderson_darling(&right, &left)).abs() < 1e-12);
        assert!(wasserstein_log(&left, &Histogram::default()).abs() < 1e-15);
    }

    #[test]
    fn a_new_tail_is_seen_where_the_rank_is_not() {
        let mut random = Random::of([5].into_iter());
        let mut draw = |count: u64| (0..count).map(|_| 1_000_000 + random.below(1_000_000) as u64).collect::<Vec<_>>();
        let slower = |(n, ns): (usize, u64)| if n % 25 == 0 { ns * 6 } else { ns };
        let (left, right) = (sample(draw(600).into_iter()), sample(draw(600).into_iter().enumerate().map(slower)));
        let found = min_p(&left, &right).unwrap();
        assert!(found.p < 0.02 && found.mean < 0.02 && found.rank > 0.05, "{found:?}");
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let left = sample(even(300, 0));
        let found = min_p(&left, &left).unwrap();
        assert!((found.p - 1.0).abs() < 1e-12, "{found:?}");
        assert!(min_p(&left, &Histogram::default()).is_none());
        let zeros = sample((0..50).map(|_| 0));
        assert!((min_p(&zeros, &zeros).unwrap().p - 1.0).abs() < 1e-12);
    }

    #[test]
    fn swapping_the_sides_changes_nothing() {
        let (left, right) = (sample(even(500, 0)), sample(even(200, 77).map(|ns| ns * 21 / 20)));
        assert_eq!(min_p(&left, &right), min_p(&right, &left));
    }
}
