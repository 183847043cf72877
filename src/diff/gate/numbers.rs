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
