//! When did it change? One change in a series of buckets.

use super::random::Random;

/// Buckets on each side of a change at least.
const FEWEST_BUCKETS: usize = 3;
/// Orders that the series is compared with.
const PERMUTATIONS: usize = 999;
/// So many of them may show as large a change: one in a hundred, the observed order included.
const MOST_AS_LARGE: usize = 9;
/// Longer series are not looked at: a timeline has fewer buckets.
const MOST_BUCKETS: usize = 100_000;

/// The first bucket after the one change of a series of (weight, mean), or `None` where the order of the buckets says
/// nothing (more than 1 % of random orders show as large a change). By ranks, so that one wild bucket decides nothing.
/// Buckets without weight are skipped. The draws depend on the content alone.
pub fn change_point(series: &[(f64, f64)]) -> Option<usize> {
    let used: Vec<usize> = (0..series.len().min(MOST_BUCKETS))
        .filter(|&at| series.get(at).is_some_and(|bucket| bucket.0 > 0.0 && bucket.0.is_finite() && !bucket.1.is_nan()))
        .collect();
    if used.len() < 2 * FEWEST_BUCKETS {
        return None;
    }
    let buckets: Vec<(f64, f64)> = used.iter().filter_map(|&at| series.get(at).copied()).collect();
    let mut scores = centred_ranks(&buckets);
    let (observed, at) = largest_step(&scores);
    if observed <= 0.0 {
        return None;
    }
    let mut random = Random::of(buckets.iter().flat_map(|bucket| [bucket.0.to_bits(), bucket.1.to_bits()]));
    let mut as_large = 0;
    for _ in 0..PERMUTATIONS {
        for end in (2..=scores.len()).rev() {
            scores.swap(end - 1, random.below(end));
        }
        as_large += usize::from(largest_step(&scores).0 >= observed * (1.0 - 1e-12));
        if as_large > MOST_AS_LARGE {
            return None;
        }
    }
    used.get(at).copied()
}

/// Each bucket's weight and the weighted middle rank of its value, less one half.
fn centred_ranks(buckets: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let total: f64 = buckets.iter().map(|bucket| bucket.0).sum();
    let mut order: Vec<(usize, (f64, f64))> = buckets.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
    let mut scores = vec![(0.0, 0.0); buckets.len()];
    let mut below = 0.0;
    for ties in order.chunk_by(|a, b| a.1.1.total_cmp(&b.1.1).is_eq()) {
        let weight: f64 = ties.iter().map(|tie| tie.1.0).sum();
        for tie in ties {
            if let Some(score) = scores.get_mut(tie.0) {
                *score = (tie.1.0, (below + 0.5 * weight) / total - 0.5);
            }
        }
        below += weight;
    }
    scores
}

/// The largest standardised difference between the buckets before and from a place, and the place.
fn largest_step(scores: &[(f64, f64)]) -> (f64, usize) {
    let total: f64 = scores.iter().map(|score| score.0).sum();
    let (mut weight, mut sum) = (0.0, 0.0);
    let mut best = (0.0, 0);
    for (before, score) in scores.iter().enumerate() {
        if before >= FEWEST_BUCKETS && scores.len() - before >= FEWEST_BUCKETS {
            let size = f64::abs(sum) / (weight * (total - weight)).sqrt();
            if size > best.0 {
                best = (size, before);
            }
        }
        weight += score.0;
        sum += score.0 * score.1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that wobble by up to a tenth.
    fn wobble(n: usize) -> f64 {
        1.0 + 0.1 * ((n * 7919) % 97) as f64 / 97.0
    }

    #[test]
    fn a_step_is_found() {
        let series: Vec<(f64, f64)> = (0..40).map(|n| (10.0, wobble(n) + if n >= 23 { 0.3 } else { 0.0 })).collect();
        assert_eq!(change_point(&series), Some(23));
        // An empty bucket keeps its place.
        let mut holes = series;
        holes[5].0 = 0.0;
        holes[30].1 = f64::NAN;
        assert_eq!(change_point(&holes), Some(23));
    }

    #[test]
    fn noise_and_a_wild_bucket_are_none() {
        let mut series: Vec<(f64, f64)> = (0..40).map(|n| (1.0, wobble(n))).collect();
        assert_eq!(change_point(&series), None);
        series[39].1 = 1e9;
        assert_eq!(change_point(&series), None);
        assert_eq!(change_point(&[(1.0, 5.0); 40]), None);
        assert_eq!(change_point(&[(1.0, 5.0), (1.0, 9.0)]), None);
        assert_eq!(change_point(&[]), None);
    }

    #[test]
    fn false_alarms_are_rare() {
        let mut random = Random::of([1].into_iter());
        let noise = |random: &mut Random| (0..24).map(|_| (1.0, random.below(1_000) as f64)).collect::<Vec<_>>();
        let alarms = (0..300).filter(|_| change_point(&noise(&mut random)).is_some()).count();
        assert!(alarms <= 10, "{alarms} of 300 at 1 %");
    }
}
