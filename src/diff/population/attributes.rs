//! Attributes whose values changed beyond noise, at every aligned call path; and what differs at the place of any
//! other finding.
//!
//! A trace counts once: a span says 1/k of what its trace says at a path. Only few-valued keys are compared value by
//! value; of others only whether they are there at all.

use super::counts::{fisher, newcombe};
use super::work::{Family, SIDES, Work};
use crate::align::MatchReason;
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::{AttributeChange, Change, Confidence, EventChange};
use crate::model::profile::{KeyCounts, PathState};
use crate::model::semconv::{self, KeyClass};
use crate::model::{Pair, Side, units};
use crate::stats::multiple::benjamini_hochberg;
use std::collections::{BTreeMap, BTreeSet};

/// Attributes shown for one finding.
const SHOWN: usize = 12;
/// Longest value shown, in characters.
const SHOWN_CHARS: usize = 400;
/// Change of a value's share that counts.
pub(super) const MARGIN: f64 = 0.05;
/// Change of a value's share that is worth showing with another finding.
const TELLING_MARGIN: f64 = 0.2;
/// Call paths listed with a finding that stands for several.
const PLACES: usize = 3;

/// How often each value of a key was seen at one path, as shares of the traces. `None` stands for "no value".
type Shares<'a> = BTreeMap<Option<&'a str>, Pair<f64>>;

/// One value of one key at one path.
struct Test<'a> {
    nodes: Pair<u32>,
    key: &'a str,
    value: Option<&'a str>,
    share: Pair<f64>,
    with: Pair<u64>,
    of: Pair<u64>,
    p: f64,
}

/// One key that changed at one path.
struct KeyChange {
    change: AttributeChange,
    effect: Effect,
    /// `12 % → 40 %`, for the title.
    words: String,
}

/// A path with the keys that changed there.
type Place = (Pair<u32>, Vec<KeyChange>);

/// What makes the changes at two paths the same.
type Signature = Vec<(String, Change, Option<String>, Option<String>)>;

/// Finds keys whose values changed: one finding a path, and one for all paths with the same changes.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let tests: Vec<Test<'_>> = work.matched().flat_map(|nodes| tests(work, nodes)).collect();
    let corrected = benjamini_hochberg(&tests.iter().map(|test| test.p).collect::<Vec<f64>>());
    let level = work.level(Family::Attributes);
    let mut by_path: BTreeMap<(u32, &str), Vec<(&Test<'_>, f64)>> = BTreeMap::new();
    for (test, q) in tests.iter().zip(corrected) {
        if q <= level && (test.share.before - test.share.after).abs() >= MARGIN {
            by_path.entry((test.nodes.before, test.key)).or_default().push((test, q));
        }
    }
    let mut changes: BTreeMap<u32, Place> = BTreeMap::new();
    for ((node, _), tests) in by_path {
        let Some((test, _)) = tests.first() else { continue };
        let entry = changes.entry(node).or_insert_with(|| (test.nodes, Vec::new()));
        entry.1.extend(key_change(work, &tests));
    }
    let mut same: BTreeMap<Signature, Vec<Place>> = BTreeMap::new();
    for (nodes, keys) in changes.into_values() {
        let signature = keys.iter().map(|key| {
            let change = &key.change;
            (change.key.clone(), change.change, change.before.clone(), change.after.clone())
        });
        same.entry(signature.collect()).or_default().push((nodes, keys));
    }
    for places in same.into_values() {
        drafts.list.extend(draft(work, places));
    }
}

/// Whether values of a key are compared: not noise, not versions, nothing that only repeats the status.
fn is_compared(key: &str) -> bool {
    let tells_status = key.ends_with("status_code")
        || ["error.", "exception.", "otel.status"].into_iter().any(|prefix| key.starts_with(prefix));
    !tells_status && semconv::class(key) == KeyClass::Plain
}

fn tests<'a>(work: &'a Work<'_>, nodes: Pair<u32>) -> Vec<Test<'a>> {
    let reason = |reason| work.is_match(Side::Before, nodes.before, reason);
    if reason(MatchReason::Renamed) || reason(MatchReason::Split) {
        // Another name or service says other things about itself; they stand with that finding.
        return Vec::new();
    }
    let of = Pair::new(work.traces(Side::Before, nodes.before), work.traces(Side::After, nodes.after));
    let mut tests = Vec::new();
    let naming = naming_keys(work, nodes);
    for (key, shares) in all_shares(work, nodes) {
        // A convention's key that comes or goes is instrumentation, not behaviour.
        let without = shares.get(&None).copied().unwrap_or_default();
        let came_or_went = (without.before - without.after).abs() >= MARGIN;
        if !is_compared(key) || naming.contains(key) || (came_or_went && semconv::is_convention(key)) {
            continue;
        }
        for (value, share) in shares {
            let count = |side: Side| (share.get(side) * *of.get(side) as f64).round() as u64;
            let with = Pair::new(count(Side::Before), count(Side::After));
            tests.push(Test { nodes, key, value, share, with, of, p: fisher(with, of) });
        }
    }
    tests
}

/// Keys that name the instances a path speaks of: those that came or went are found as such.
fn naming_keys<'a>(work: &'a Work<'_>, nodes: Pair<u32>) -> BTreeSet<&'a str> {
    let states = SIDES.into_iter().filter_map(|side| Some((side, work.state(side, *nodes.get(side))?)));
    let keys = states.flat_map(|(side, state)| state.instances.iter().map(move |(key, _)| work.text(side, key)));
    keys.flat_map(|key| key.split('/')).collect()
}

/// The shares of all values at one path, by key. Of keys with too many values only the share without any is known.
fn all_shares<'a>(work: &'a Work<'_>, nodes: Pair<u32>) -> BTreeMap<&'a str, Shares<'a>> {
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    let mut capped = false;
    for side in SIDES {
        let Some(state) = work.state(side, *nodes.get(side)) else { continue };
        capped |= state.attributes.more;
        keys.extend(state.attributes.iter().map(|(key, _)| work.text(side, key)));
    }
    let counts = |side: Side, key: &str| work.state(side, *nodes.get(side)).and_then(|state| state.attributes.get(key));
    keys.into_iter()
        // Of too many keys a side may have dropped one that the other kept.
        .filter(|key| !capped || (counts(Side::Before, key).is_some() && counts(Side::After, key).is_some()))
        .map(|key| (key, shares(work, nodes, Pair::new(counts(Side::Before, key), counts(Side::After, key)))))
        .collect()
}

fn shares<'a>(work: &'a Work<'_>, nodes: Pair<u32>, counts: Pair<Option<&KeyCounts>>) -> Shares<'a> {
    let mut shares = Shares::new();
    let has_more = SIDES.into_iter().any(|side| counts.get(side).is_some_and(|counts| counts.more));
    for side in SIDES {
        let weight = work.sums(side, *nodes.get(side)).weight.max(1) as f64;
        let mass = counts.get(side).map_or(0, |counts| counts.mass);
        let without = (1.0 - mass as f64 / weight).clamp(0.0, 1.0);
        *shares.entry(None).or_default().get_mut(side) = without;
        for value in counts.get(side).iter().flat_map(|counts| counts.values()).filter(|_| !has_more) {
            let share = (value.mass as f64 / weight).min(1.0);
            *shares.entry(Some(work.text(side, value.value))).or_default().get_mut(side) = share;
        }
    }
    shares
}

/// What happened to one key: its strongest change, told by the values that lost and won most.
fn key_change(work: &Work<'_>, tests: &[(&Test<'_>, f64)]) -> Option<KeyChange> {
    let by = |sign: f64| {
        let moved = |test: &Test<'_>| sign * (test.share.after - test.share.before);
        let best = tests.iter().max_by(|a, b| moved(a.0).total_cmp(&moved(b.0)).then(b.0.value.cmp(&a.0.value)));
        best.filter(|(test, _)| moved(test) > 0.0)
    };
    let (lost, won) = (by(-1.0), by(1.0));
    let strongest = tests.iter().min_by(|a, b| {
        let size = |test: &Test<'_>| (test.share.after - test.share.before).abs();
        a.1.total_cmp(&b.1).then(size(b.0).total_cmp(&size(a.0))).then(a.0.value.cmp(&b.0.value))
    })?;
    let (test, q) = *strongest;
    // A key is there or not: then that is the change, whatever its values are.
    let presence = tests.iter().find(|(test, _)| test.value.is_none()).map(|(test, _)| test.share);
    let all = all_shares(work, test.nodes).remove(test.key).unwrap_or_default();
    let main = |side: Side| {
        let best = all.iter().max_by(|a, b| a.1.get(side).total_cmp(b.1.get(side)).then(b.0.cmp(a.0)));
        best.and_then(|(value, _)| value.map(shorten))
    };
    let value = |found: Option<&(&Test<'_>, f64)>, side: Side| {
        found.and_then(|(test, _)| test.value.map(shorten)).or_else(|| main(side))
    };
    let change = match presence {
        Some(without) if without.after < without.before => Change::Added,
        Some(_) => Change::Removed,
        None => Change::Changed,
    };
    let (before, after) = match change {
        Change::Added => (None, value(won, Side::After)),
        Change::Removed => (value(lost, Side::Before), None),
        Change::Changed => (value(lost, Side::Before), value(won, Side::After)),
    };
    let (estimate, low, high) = newcombe(test.with, test.of);
    let shown = test.value.map_or_else(|| "without it".to_owned(), |value| format!("`{}`", shorten(value)));
    Some(KeyChange {
        words: format!("{shown} {} → {}", units::percent(test.share.before), units::percent(test.share.after)),
        change: AttributeChange { key: test.key.to_owned(), change, before, after },
        effect: Effect {
            metric: Metric::Presence,
            estimate,
            low,
            high,
            unit: "share",
            p: test.p,
            q,
            n: test.of,
            method: "fisher",
            strength: Strength::Warn,
        },
    })
}

/// One finding for all paths with the same changes; it stands at the one with the most traces.
fn draft(work: &Work<'_>, mut places: Vec<Place>) -> Option<Draft> {
    let traces = |nodes: Pair<u32>| work.traces(Side::Before, nodes.before) + work.traces(Side::After, nodes.after);
    places.sort_by_key(|(nodes, _)| (std::cmp::Reverse(traces(*nodes)), nodes.before));
    let others: Vec<Pair<u32>> = places.iter().skip(1).map(|place| place.0).collect();
    let (nodes, mut keys) = places.into_iter().next()?;
    keys.sort_by(|a, b| a.effect.q.total_cmp(&b.effect.q).then(a.change.key.cmp(&b.change.key)));
    let first = keys.first()?;
    let more = keys.len().saturating_sub(1);
    let also = match more {
        0 => String::new(),
        _ => format!(", and {}", units::counted(more as u64, "more attribute", "more attributes")),
    };
    let title = format!("{}: {}{also}", first.change.key, first.words);
    let mut evidence: Vec<String> =
        keys.iter().skip(1).take(SHOWN).map(|key| format!("{}: {}", key.change.key, key.words)).collect();
    if !others.is_empty() {
        let mut labels: Vec<String> =
            others.iter().map(|nodes| format!("`{}`", work.label(Side::After, nodes.after))).collect();
        labels.dedup();
        let shown = labels.get(..labels.len().min(PLACES)).unwrap_or_default().join(", ");
        evidence.push(format!("the same at {} call paths, also {shown}", others.len() + 1));
    }
    let q = first.effect.q;
    let path = Pair::new(work.path(Side::Before, nodes.before), work.path(Side::After, nodes.after));
    let all = |side: Side| std::iter::once(nodes).chain(others.iter().copied()).map(|nodes| *nodes.get(side)).collect();
    Some(Draft {
        title,
        evidence,
        from_path: (path.before != path.after).then_some(path.before),
        confidence: if q < 0.001 { Confidence::Certain } else { Confidence::Likely },
        matched: work.match_info(Side::Before, nodes.before),
        effects: keys.iter().map(|key| key.effect).collect(),
        attributes: keys.into_iter().map(|key| key.change).take(SHOWN).collect(),
        ..Draft::new(FindingKind::Attributes, path.after, Pair::new(all(Side::Before), all(Side::After)))
    })
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The attributes to show with any finding: at an aligned path those whose most frequent value differs clearly, of a
/// path that only one side has all that say what it does.
pub(super) fn differing(work: &Work<'_>, nodes: Pair<Option<u32>>) -> Vec<AttributeChange> {
    match (nodes.before, nodes.after) {
        (Some(before), Some(after)) => of_both(work, Pair::new(before, after)),
        (Some(node), None) => of_one(work, Side::Before, node),
        (None, Some(node)) => of_one(work, Side::After, node),
        (None, None) => Vec::new(),
    }
}

fn is_shown(key: &str) -> bool {
    semconv::class(key) != KeyClass::Noise
}

fn of_both(work: &Work<'_>, nodes: Pair<u32>) -> Vec<AttributeChange> {
    let mut changes: Vec<(f64, AttributeChange)> = Vec::new();
    for (key, shares) in all_shares(work, nodes).into_iter().filter(|(key, _)| is_shown(key)) {
        let main = |side: Side| {
            let best = shares.iter().max_by(|a, b| a.1.get(side).total_cmp(b.1.get(side)).then(b.0.cmp(a.0)));
            best.map(|(value, _)| *value)
        };
        let (Some(before), Some(after)) = (main(Side::Before), main(Side::After)) else { continue };
        let moved = shares.get(&before).map_or(0.0, |share| share.before - share.after);
        let change = match (before, after) {
            (old, new) if old == new || moved < TELLING_MARGIN => continue,
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        let others = shares.keys().flatten().count();
        let words = |value: Option<&str>, side: Side| {
            let value = value?;
            let share = shares.get(&Some(value)).map_or(0.0, |share| *share.get(side));
            Some(if others > 2 { format!("{} ({})", shorten(value), units::percent(share)) } else { shorten(value) })
        };
        let (before, after) = (words(before, Side::Before), words(after, Side::After));
        changes.push((moved, AttributeChange { key: key.to_owned(), change, before, after }));
    }
    changes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.key.cmp(&b.1.key)));
    changes.into_iter().map(|change| change.1).take(SHOWN).collect()
}

fn of_one(work: &Work<'_>, side: Side, node: u32) -> Vec<AttributeChange> {
    let Some(state) = work.state(side, node) else { return Vec::new() };
    let mut changes: Vec<AttributeChange> = state
        .attributes
        .iter()
        .map(|(key, counts)| (work.text(side, key), counts))
        .filter(|(key, _)| is_shown(key))
        .filter_map(|(key, counts)| {
            let text = |value| work.text(side, value);
            let most =
                counts.values().iter().max_by(|a, b| a.mass.cmp(&b.mass).then(text(b.value).cmp(text(a.value))))?;
            let several = counts.more || counts.values().len() > 1;
            let value = shorten(text(most.value));
            let value = if several { format!("{value}, and others") } else { value };
            let (change, before, after) = match side {
                Side::Before => (Change::Removed, Some(value), None),
                Side::After => (Change::Added, None, Some(value)),
            };
            Some(AttributeChange { key: key.to_owned(), change, before, after })
        })
        .collect();
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes.truncate(SHOWN);
    changes
}

/// Types of own errors whose number in traces differs between the sides, most frequent first.
pub(super) fn errors(work: &Work<'_>, nodes: Pair<Option<u32>>) -> Vec<EventChange> {
    let mut types: BTreeMap<&str, Pair<u128>> = BTreeMap::new();
    for side in SIDES {
        let state: Option<&PathState> = nodes.get(side).and_then(|node| work.state(side, node));
        for value in state.into_iter().flat_map(|state| state.errors.values()) {
            *types.entry(work.text(side, value.value)).or_default().get_mut(side) += value.mass;
        }
    }
    let mut changes: Vec<EventChange> = types
        .into_iter()
        .map(|(name, mass)| (name, mass.map(|mass| super::work::plain(mass).round() as u64)))
        .filter(|(_, count)| count.before != count.after)
        .map(|(name, count)| EventChange {
            name: "exception".to_owned(),
            change: match (count.before, count.after) {
                (0, _) => Change::Added,
                (_, 0) => Change::Removed,
                _ => Change::Changed,
            },
            exception_type: (!name.is_empty()).then(|| shorten(name)),
            count,
        })
        .collect();
    changes.sort_by(|a, b| {
        let size = |event: &EventChange| event.count.before.max(event.count.after);
        size(b).cmp(&size(a)).then(a.exception_type.cmp(&b.exception_type))
    });
    changes.truncate(SHOWN);
    changes
}
