//! Where a monotone function is zero.

/// Steps at most; bisection alone narrows any bracket of doubles to rounding in about this many.
const STEPS: usize = 120;

/// Where to stop, relative to the zero where that is above 1.
const TOLERANCE: f64 = 1e-11;

/// The zero of a monotone function between `low` and `high`: regula falsi, halved where that stands still.
///
/// Where the function has no zero within, the end at which it is nearest to zero.
pub fn root(low: f64, high: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut b) = (low, high);
    let (mut at_a, mut at_b) = (function(a), function(b));
    if at_a * at_b > 0.0 {
        return if at_a.abs() <= at_b.abs() { a } else { b };
    }
    let mut third_last = (b - a).abs();
    for step in 0..STEPS {
        let width = (b - a).abs();
        if at_a == 0.0 {
            return a;
        }
        if at_b == 0.0 || width <= TOLERANCE * (1.0 + a.abs()) {
            return b;
        }
        // A bracket that is not halved in three steps is cut in half, so that it shrinks however the function is bent.
        let mut halve = false;
        if step % 3 == 2 {
            halve = width > 0.5 * third_last;
            third_last = width;
        }
        let secant = b - at_b * (b - a) / (at_b - at_a);
        let inside = secant.is_finite() && (secant - a) * (secant - b) < 0.0;
        let middle = if halve || !inside { a.midpoint(b) } else { secant };
        let at_middle = function(middle);
        if at_middle * at_b < 0.0 {
            (a, at_a) = (b, at_b);
        } else {
            // The end that stays is worth less each time, or it would stay for ever.
            at_a *= 0.5;
        }
        (b, at_b) = (middle, at_middle);
    }
    b
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn zeros_are_found() {
        assert!((root(0.0, 2.0, |x| x * x - 2.0) - 2f64.sqrt()).abs() < 1e-10);
        assert!((root(-50.0, 50.0, |x| 1.0 - (x - 3.0).exp()) - 3.0).abs() < 1e-10);
        assert!((root(-1e3, 1e9, |x| if x < 17.25 { 1.0 } else { -1.0 }) - 17.25).abs() < 1e-9);
        assert!((root(5.0, 9.0, |x| x) - 5.0).abs() < 1e-15);
        assert!(root(0.0, 1.0, |_| f64::NAN).is_finite());
    }
}
