//! What only a comparison of populations says, as JSON.

use super::{rounded, significant};
use crate::diff;
use crate::report::schema;

/// A test.
pub(super) fn effect(effect: &diff::Effect) -> schema::Effect<'static> {
    schema::Effect {
        metric: effect.metric.name(),
        estimate: rounded(effect.estimate),
        low: rounded(effect.low),
        high: rounded(effect.high),
        unit: effect.unit,
        p: significant(effect.p),
        q: significant(effect.q),
        n_before: effect.n.before,
        n_after: effect.n.after,
        method: effect.method,
        rule: effect.strength.name(),
    }
}

/// Instances of one key.
pub(super) fn instance(group: &diff::InstanceGroup) -> schema::Instance<'_> {
    schema::Instance {
        key: &group.key,
        of: group.of,
        observed: group.observed,
        expected_by_chance: rounded(group.expected_by_chance),
        named: &group.named,
        named_total: group.named_total,
        shared: group
            .shared
            .iter()
            .map(|shared| schema::Shared {
                key: &shared.key,
                value: &shared.value,
                inside: shared.inside,
                all: shared.all,
                q: significant(shared.q),
            })
            .collect(),
    }
}
