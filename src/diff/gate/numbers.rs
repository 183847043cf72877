//! Small calculations and words that several steps of the gate share.

use crate::diff::effects::{Effect, Metric, Strength};
use crate::model::Operation;
use crate::model::units::signed_percent;

/// Traces that a 95th percentile takes: ten beyond it.
pub(super) const P95_TRACES: u64 = 200;

/// Whether an effect is for the worse. Shares of traffic and presence are neither.
pub(super) fn is_worse(effect: &Effect) -> bool {
    let nothing = if effect.unit == "ratio" { 1.0 } else { 0.0 };
    !matches!(effect.metric, Metric::Traffic | Metric::Presence) && effect.estimate > nothing
}

/// Whether an effect is about time.
pub(super) fn is_latency(effect: &Effect) -> bool {
    matches!(effect.metric, Metric::Duration | Metric::P95 | Metric::SelfTime | Metric::EdgeTime)
}

/// The worsening effect that says most, of those that `of` accepts.
pub(super) fn worst(effects: &[Effect], of: impl Fn(&Effect) -> bool) -> Option<&Effect> {
    let shown = effects.iter().filter(|effect| effect.strength > Strength::None && is_worse(effect) && of(effect));
    shown.max_by(|a, b| a.strength.cmp(&b.strength).then(b.q.total_cmp(&a.q)))
}

/// `service ▸ name`.
pub(super) fn place(operation: &Operation) -> String {
    format!("{} ▸ {}", operation.service, operation.name)
}

/// A ratio as a change: `+12 %`.
pub(super) fn change(ratio: f64) -> String {
    signed_percent(ratio - 1.0)
}

/// Lower and upper end of Wilson's 95 % interval of a share.
pub(super) fn wilson(share: f64, of: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return (0.0, 1.0);
    }
    let n = of as f64;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).max(0.0).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

/// Lower end of Newcombe's 95 % interval of the difference after minus before of two shares.
pub(super) fn difference_low(before: (f64, u64), after: (f64, u64)) -> f64 {
    let (_, before_high) = wilson(before.0, before.1);
    let (after_low, _) = wilson(after.0, after.1);
    after.0 - before.0 - ((after.0 - after_low).powi(2) + (before_high - before.0).powi(2)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_shares() {
        // Newcombe 1998, method 10, first example: 56/70 - 48/80 = 0.2000, 0.0524 to 0.3339.
        assert!((difference_low((48.0 / 80.0, 80), (56.0 / 70.0, 70)) - 0.0524).abs() < 5e-5);
        // Wilson of 0/20: 0 to 0.1611.
        let (low, high) = wilson(0.0, 20);
        assert!(low.abs() < 1e-12 && (high - 0.1611).abs() < 5e-5);
        assert_eq!(wilson(0.5, 0), (0.0, 1.0));
    }
}
