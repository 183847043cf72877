//! Many tests at once.

/// The q values of Benjamini and Hochberg, in the order of the p values: a result is rejected at a false discovery
/// rate of q when its value is at most q. What is not a number counts as 1.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> =
        p_values.iter().enumerate().map(|(at, &p)| (if p.is_nan() { 1.0 } else { p }, at)).collect();
    // Ties get one value below, so their order does not matter.
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut values = vec![1.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, &(p, at)) in order.iter().enumerate().rev() {
        smallest = smallest.min(p * p_values.len() as f64 / (rank + 1) as f64);
        if let Some(value) = values.get_mut(at) {
            *value = smallest;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        // Sorted .01 .02 .03 .5: times 4/rank: .04 .04 .04 .5.
        let found = benjamini_hochberg(&[0.03, 0.5, 0.01, 0.02]);
        for (value, expected) in found.iter().zip([0.04, 0.5, 0.04, 0.04]) {
            assert!((value - expected).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn ties_share_a_value() {
        let found = benjamini_hochberg(&[0.2, 0.01, 0.2, f64::NAN]);
        assert!((found[0] - found[2]).abs() < 1e-15);
        assert!((found[3] - 1.0).abs() < 1e-15);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
