//! What a screen shows of one call path: made from its folded state.

use crate::diff::detail::{AttributeRow, AttributeScope, Bin, EventRow, Example, NodeDetail, bounded};
use crate::diff::population::attributes::MARGIN;
use crate::diff::population::counts::fisher;
use crate::diff::population::work::{Family, SIDES, Work, whole};
use crate::diff::types::Change;
use crate::model::profile::{Exemplar, Exemplars, KeyCounts, PathState};
use crate::model::{Pair, Side};
use crate::stats::Histogram;
use crate::stats::histogram::bin_ends;
use crate::stats::quantile::quantile;
use std::collections::{BTreeMap, BTreeSet};

/// Everything about one place of the merged tree.
pub(super) fn of(work: &Work<'_>, place: Pair<Option<u32>>) -> NodeDetail {
    let state = |side: Side| place.get(side).and_then(|node| work.state(side, node));
    let states = Pair::new(state(Side::Before), state(Side::After));
    let links = |state: &PathState| whole(state.links.values().fold(0, |sum: u128, link| sum.saturating_add(*link)));
    NodeDetail {
        attributes: attributes(work, place, &states),
        events: errors(work, &states),
        links: states.map(|state| state.map_or(0, links)),
        status_message: Pair::default(),
        durations: states.map(|state| state.map(|state| bins(&state.duration)).unwrap_or_default()),
        examples: states.map(|state| state.map(examples).unwrap_or_default()),
    }
}

/// The exact bins of all shards together.
fn bins(histogram: &Histogram) -> Vec<Bin> {
    let mut masses: BTreeMap<u16, u128> = BTreeMap::new();
    for cell in histogram.cells() {
        *masses.entry(cell.bin).or_default() += u128::from(cell.mass);
    }
    let all = masses.values().sum::<u128>().max(1) as f64;
    masses.into_iter().map(|(bin, mass)| Bin { ns: bin_ends(bin), share: mass as f64 / all }).collect()
}

/// Example spans by role; of the sampled ones the nearest to the median is the typical one.
fn examples(state: &PathState) -> Vec<Example> {
    let Exemplars { sample, fastest, slowest, failed, .. } = &state.exemplars;
    let median = quantile(&state.duration, 0.5).unwrap_or(0.0);
    let distance = |span: &Exemplar| (span.duration_ns as f64 - median).abs();
    let typical = sample.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let others = sample.iter().filter(|span| Some(*span) != typical);
    let roles = [("typical", typical), ("fastest", fastest.as_ref()), ("slowest", slowest.as_ref())];
    let roles = roles.into_iter().chain([("failed", failed.as_ref())]);
    roles
        .filter_map(|(role, span)| Some((role, span?)))
        .chain(others.map(|span| ("sampled", span)))
        .map(|(role, span)| Example {
            role,
            trace_id: span.trace_id,
            span_id: span.span_id,
            duration_ns: span.duration_ns,
        })
        .collect()
}

/// Own errors by type, most frequent first, counted in traces. They go by the name that findings give them.
fn errors(work: &Work<'_>, states: &Pair<Option<&PathState>>) -> Vec<EventRow> {
    let mut types: BTreeMap<&str, Pair<u128>> = BTreeMap::new();
    for side in SIDES {
        for value in states.get(side).iter().flat_map(|state| state.errors.values()) {
            *types.entry(work.text(side, value.value)).or_default().get_mut(side) += value.mass;
        }
    }
    let mut rows: Vec<EventRow> = types
        .into_iter()
        .map(|(kind, mass)| EventRow {
            name: "exception".to_owned(),
            exception_type: (!kind.is_empty()).then(|| bounded(&kind).0),
            message: None,
            count: mass.map(whole),
        })
        .collect();
    // Stable: among equally frequent ones the types stay in order.
    rows.sort_by_key(|row| std::cmp::Reverse(row.count.before.max(row.count.after)));
    rows
}

/// One key at one place.
struct Key<'a> {
    counts: Pair<Option<&'a KeyCounts>>,
    /// Share of each value on both sides, by text: of too many values only those that are kept.
    shares: BTreeMap<&'a str, Pair<f64>>,
    /// Share of the spans with the key.
    present: Pair<f64>,
    /// Traces with the path.
    traces: Pair<u64>,
}

/// All keys of a place. Of too many keys a side drops some: one that it may have dropped is not said to be missing there.
fn attributes(work: &Work<'_>, place: Pair<Option<u32>>, states: &Pair<Option<&PathState>>) -> Vec<AttributeRow> {
    let of =
        |side: Side| states.get(side).iter().flat_map(|state| state.attributes.iter()).map(move |(key, _)| (side, key));
    let keys: BTreeSet<&str> = SIDES.into_iter().flat_map(of).map(|(side, key)| work.text(side, key)).collect();
    let known = |side: Side, key: &str| {
        states.get(side).is_none_or(|state| !state.attributes.more || state.attributes.get(key).is_some())
    };
    let mut rows: Vec<AttributeRow> = keys
        .into_iter()
        .filter(|key| SIDES.into_iter().all(|side| known(side, key)))
        .map(|key| Key::new(work, place, states, key).row(key, work.level(Family::Attributes)))
        .collect();
    rows.sort_by_key(|row| (row.change.is_none(), row.change));
    rows
}

impl<'a> Key<'a> {
    fn new(work: &'a Work<'_>, place: Pair<Option<u32>>, states: &Pair<Option<&'a PathState>>, key: &str) -> Key<'a> {
        let counts = states.map(|state| state.and_then(|state| state.attributes.get(key)));
        let mut shares: BTreeMap<&str, Pair<f64>> = BTreeMap::new();
        let (mut present, mut traces) = (Pair::default(), Pair::default());
        for side in SIDES {
            let Some(node) = *place.get(side) else { continue };
            let weight = work.sums(side, node).weight.max(1) as f64;
            *traces.get_mut(side) = work.traces(side, node);
            let Some(counts) = *counts.get(side) else { continue };
            *present.get_mut(side) = (counts.mass as f64 / weight).min(1.0);
            for value in counts.values() {
                let share = shares.entry(work.text(side, value.value)).or_default();
                *share.get_mut(side) = (value.mass as f64 / weight).min(1.0);
            }
        }
        Key { counts, shares, present, traces }
    }

    /// The value with the largest number, the first of equals; only values with one.
    fn top(&self, number: impl Fn(&Pair<f64>) -> f64) -> Option<&'a str> {
        let known =
            self.shares.iter().map(|(value, share)| (*value, number(share))).filter(|(_, number)| *number > 0.0);
        known.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(a.0))).map(|(value, _)| value)
    }

    /// Whether a share moved by more than [`MARGIN`] and more than by chance.
    fn moved(&self, share: Pair<f64>, level: f64) -> bool {
        let with = Pair::new(
            (share.before * self.traces.before as f64).round() as u64,
            (share.after * self.traces.after as f64).round() as u64,
        );
        (share.before - share.after).abs() >= MARGIN && fisher(with, self.traces) <= level
    }

    /// Changed is a key when the share of a most common value or of the key itself moved, or when the sides have no
    /// value in common; where there are too many values for that only the key itself counts.
    fn is_changed(&self, top: &Pair<Option<&str>>, level: f64) -> bool {
        if self.moved(self.present, level) {
            return true;
        }
        if SIDES.into_iter().any(|side| self.counts.get(side).is_some_and(|counts| counts.more)) {
            return false;
        }
        let share = |value: &str| self.shares.get(value).copied().unwrap_or_default();
        let nothing_shared = !self.shares.values().any(|share| share.before > 0.0 && share.after > 0.0);
        nothing_shared || [top.before, top.after].into_iter().flatten().any(|value| self.moved(share(value), level))
    }

    /// The row of the key. One that only one side has was added or removed however rare it is: that is no test.
    fn row(&self, key: &str, level: f64) -> AttributeRow {
        let mut top = Pair::new(self.top(|share| share.before), self.top(|share| share.after));
        let change = match (top.before, top.after) {
            (None, _) => Some(Change::Added),
            (_, None) => Some(Change::Removed),
            _ => self.is_changed(&top, level).then_some(Change::Changed),
        };
        if change.is_none() {
            // Of two values that are about as common chance decides which is first: show one for both sides.
            let both = |share: &Pair<f64>| {
                if share.before > 0.0 && share.after > 0.0 { share.before + share.after } else { 0.0 }
            };
            let common = self.top(both);
            top = Pair::new(common.or(top.before), common.or(top.after));
        }
        let share = |side: Side| Some(*self.shares.get((*top.get(side))?)?.get(side));
        AttributeRow {
            key: key.to_owned(),
            scope: AttributeScope::Span,
            change,
            before: top.before.map(|value| bounded(&value).0),
            after: top.after.map(|value| bounded(&value).0),
            share: Pair::new(share(Side::Before), share(Side::After)),
        }
    }
}

#[cfg(test)]
#[path = "../tests/detail.rs"]
mod tests;
