//! Looking more than once: bounds that keep the false alarms of all looks together at alpha.

use super::distribution::{normal_above, normal_quantile_above};
use super::root::root;

/// Looks at most: more are treated as so many.
pub const MOST_LOOKS: u32 = 100;
/// No bound is higher: early looks have practically nothing to spend.
const HIGHEST_BOUND: f64 = 37.0;
/// Steps of the integration in each standard deviation between two looks.
const STEPS_PER_SD: f64 = 12.0;

/// The false alarms (one-sided) that may be spent up to `look` of `looks` equal ones, of `alpha` in all: the function
/// of Lan and `DeMets` that is like the bounds of O'Brien and Fleming. Little early, nearly all at the last look.
pub fn spent(alpha: f64, look: u32, looks: u32) -> f64 {
    let time = f64::from(look.min(looks)) / f64::from(looks.max(1));
    if time <= 0.0 { 0.0 } else { 2.0 * normal_above(normal_quantile_above(alpha / 2.0) / time.sqrt()) }
}

/// The bounds for the z statistic (positive means slower) at each of `looks` equal looks, one-sided.
pub fn boundaries(alpha: f64, looks: u32) -> Vec<f64> {
    let looks = looks.clamp(1, MOST_LOOKS);
    let step = 1.0 / f64::from(looks);
    let mut bounds = Vec::with_capacity(looks as usize);
    // The chance to be at each place without having crossed a bound, for sums with variance 1 after all looks.
    let mut places = vec![Place { at: 0.0, chance: 1.0 }];
    for look in 1..=looks {
        let budget = spent(alpha, look, looks) - spent(alpha, look - 1, looks);
        let time = f64::from(look) * step;
        let crossing = |z: f64| -> f64 {
            let bound = z * time.sqrt();
            places.iter().map(|place| place.chance * normal_above((bound - place.at) / step.sqrt())).sum()
        };
        let highest = HIGHEST_BOUND * (time / step).sqrt().min(1.0);
        let bound = if crossing(highest) >= budget {
            highest
        } else {
            root(0.0, highest, |z| crossing(z).max(1e-300).ln() - budget.max(1e-300).ln())
        };
        bounds.push(bound);
        places = advance(&places, bound * time.sqrt(), time, step);
    }
    bounds
}

/// The significance (one-sided) that a test needs at `look` (from 1) of `looks`, given that earlier ones found nothing.
pub fn nominal_alpha(alpha: f64, look: u32, looks: u32) -> f64 {
    let at = look.clamp(1, looks.clamp(1, MOST_LOOKS)) - 1;
    boundaries(alpha, looks).get(at as usize).map_or(0.0, |&bound| normal_above(bound))
}

/// A node of the integration.
#[derive(Clone, Copy)]
struct Place {
    at: f64,
    chance: f64,
}

/// The next look's distribution below its bound, by Simpson's rule.
fn advance(places: &[Place], bound: f64, time: f64, step: f64) -> Vec<Place> {
    let sd = step.sqrt();
    let low = -8.0 * time.sqrt();
    let high = bound.min(8.0 * time.sqrt());
    let count = 2 * ((high - low) / sd * STEPS_PER_SD / 2.0).ceil().max(1.0) as usize;
    let width = (high - low) / count as f64;
    let scale = width / 3.0 / (std::f64::consts::TAU.sqrt() * sd);
    let node = |n: usize| {
        let at = low + width * n as f64;
        let weight = if n == 0 || n == count {
            1.0
        } else if n % 2 == 1 {
            4.0
        } else {
            2.0
        };
        // Nothing further than 9 standard deviations away arrives.
        let from = places.partition_point(|place| place.at < at - 9.0 * sd);
        let to = places.partition_point(|place| place.at <= at + 9.0 * sd);
        let near = places.get(from..to).unwrap_or_default();
        let density: f64 = near.iter().map(|place| place.chance * (-0.5 * ((at - place.at) / sd).powi(2)).exp()).sum();
        Place { at, chance: density * weight * scale }
    };
    (0..=count).map(node).collect()
}

/// Half of the width of an interval for a mean that holds at all times at once with probability 1 − `alpha` (the
/// asymptotic confidence sequence): `sigma` is the standard deviation of one of `n` observations.
///
/// `best_at` is the number of observations at which it should be narrowest.
pub fn confidence_sequence(sigma: f64, n: f64, best_at: f64, alpha: f64) -> f64 {
    // The ρ that makes the width smallest at `best_at`, to first order.
    let log = -2.0 * alpha.ln();
    let rho_squared = (log + log.max(1.0).ln() + 1.0) / best_at.max(1.0);
    let grown = n * rho_squared + 1.0;
    sigma * (2.0 * grown / (n * n * rho_squared) * (grown.sqrt() / alpha).ln()).sqrt()
}

/// The significance (two-sided) that a test of `n` observations needs for its interval to be that of
/// [`confidence_sequence`]: tests that reject at it, at however many looks, are wrong with probability `alpha` together.
pub fn open_alpha(alpha: f64, n: f64, best_at: f64) -> f64 {
    if n < 1.0 {
        return 0.0;
    }
    2.0 * normal_above(confidence_sequence(1.0, n, best_at, alpha) * n.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_is_a_plain_test() {
        let bounds = boundaries(0.025, 1);
        assert!((bounds[0] - 1.959_964).abs() < 1e-5, "{bounds:?}");
        assert!((nominal_alpha(0.05, 1, 1) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn published_bounds() {
        // Lan-DeMets O'Brien-Fleming spending, one-sided 0.025, five equal looks (e.g. gsDesign, ldbounds).
        for (found, expected) in boundaries(0.025, 5).into_iter().zip([4.8769, 3.3569, 2.6803, 2.2898, 2.0310]) {
            assert!((found - expected).abs() < 2e-3, "{found} {expected}");
        }
    }

    #[test]
    fn bounds_fall_and_all_is_spent() {
        for looks in [2, 20, 100, 5_000] {
            let bounds = boundaries(0.05, looks);
            assert_eq!(bounds.len(), looks.min(MOST_LOOKS) as usize);
            assert!(bounds.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{bounds:?}");
            assert!(bounds[bounds.len() - 1] > 1.644);
        }
        assert!((spent(0.05, 7, 7) - 0.05).abs() < 1e-12 && spent(0.05, 0, 7) == 0.0);
    }

    #[test]
    fn walks_cross_as_often_as_promised() {
        // 20 looks, no change: the share of walks that ever cross a 5 % bound.
        let bounds = boundaries(0.05, 20);
        let mut random = super::super::random::Random::of([7].into_iter());
        let mut normal = || {
            let uniform = (random.draw() >> 11) as f64 / (1u64 << 53) as f64;
            normal_quantile_above(uniform.max(1e-17))
        };
        let walks = 20_000;
        let mut crossed = 0;
        for _ in 0..walks {
            let mut sum = 0.0;
            let found = (1u32..).zip(&bounds).fold(false, |found, (look, bound)| {
                sum += normal();
                found || sum / f64::from(look).sqrt() > *bound
            });
            crossed += usize::from(found);
        }
        let share = f64::from(crossed as u32) / f64::from(walks);
        assert!((share - 0.05).abs() < 0.006, "{share}");
    }

    #[test]
    fn walks_that_are_watched_all_the_time_seldom_cross() {
        let mut random = super::super::random::Random::of([11].into_iter());
        let mut normal = || normal_quantile_above(((random.draw() >> 11) as f64 / (1u64 << 53) as f64).max(1e-17));
        // The bounds of z at every tenth observation up to 4,000, narrowest at 1,000.
        let bounds: Vec<f64> = (1..=400)
            .map(|look| normal_quantile_above(open_alpha(0.05, 10.0 * f64::from(look), 1_000.0) / 2.0))
            .collect();
        let walks = 4_000;
        let crossed = (0..walks).filter(|_| {
            let mut sum = 0.0;
            (1u32..).zip(&bounds).fold(false, |crossed, (look, bound)| {
                sum += normal();
                crossed || (sum / f64::from(look).sqrt()).abs() > *bound
            })
        });
        let share = crossed.count() as f64 / f64::from(walks);
        assert!((0.005..0.05).contains(&share), "{share}");
        assert!(open_alpha(0.05, 0.0, 1_000.0) == 0.0 && open_alpha(0.05, 1e9, 1_000.0) < 0.05);
    }

    #[test]
    fn the_sequence_narrows() {
        let width = |n: f64| confidence_sequence(1.0, n, 1_000.0, 0.05);
        assert!(width(100.0) > width(1_000.0) && width(1_000.0) > width(10_000.0));
        // Wider than an interval for one look, but not by much where it was tuned for.
        let once = 1.96 / 1_000f64.sqrt();
        assert!(width(1_000.0) > once && width(1_000.0) < 2.0 * once, "{}", width(1_000.0) / once);
    }
}
