//! Attributes of matched spans, compared under their current names, without what differs on every run.
//!
//! With one trace on each side a value that is a number or an identifier is a parameter of the request, not a change:
//! texts are compared with identifiers masked, numbers only where they are codes.

use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::types::{AttributeChange, Change};
use super::work::{Class, Work};
use crate::align::MatchReason;
use crate::model::canonical::{self, CanonicalValue};
use crate::model::semconv::{self, KeyClass};
use crate::model::{Pair, Side, Value, masking};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Attributes shown for one finding.
const SHOWN: usize = 12;
/// Longest value kept for display, in characters.
const SHOWN_CHARS: usize = 400;
/// Members of a class that are looked at.
const MEMBERS: usize = 256;
/// Noise that says what a call did: shown, though never a finding.
const TELLING: [&str; 6] =
    ["db.query.text", "url.full", "url.path", "url.query", "exception.message", "exception.type"];

/// Values of one key over the members of a class.
#[derive(Default)]
struct Values {
    /// Masked values, with one value as it was sent.
    seen: Pair<BTreeMap<String, String>>,
    /// Members that have the key.
    present: Pair<usize>,
}

/// Key, value before and value after: what makes two changes the same change.
type ChangeKey = (String, Option<String>, Option<String>);

/// Finds changed values. The same change at many places is one finding.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    let mut changes: BTreeMap<ChangeKey, Vec<usize>> = BTreeMap::new();
    let mut known = KeyClasses::default();
    for (number, class) in work.classes.iter().enumerate() {
        for change in class_changes(work, &mut known, class) {
            changes.entry(change).or_default().push(number);
        }
    }
    for ((key, before, after), classes) in changes {
        let members = |side: Side| -> Vec<u32> {
            let pairs = classes.iter().filter_map(|&number| work.classes.get(number)).flat_map(|class| &class.members);
            pairs.map(|pair| if side == Side::Before { pair.0 } else { pair.1 }).collect()
        };
        let Some(first) = classes.first().and_then(|&number| work.classes.get(number)) else { continue };
        let nodes = Pair::new(members(Side::Before), members(Side::After));
        let mut draft = Draft::of_class(FindingKind::Attributes, first, nodes);
        let change = match (&before, &after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        };
        let show = |value: &Option<String>| {
            value.as_deref().map_or_else(|| "(absent)".to_owned(), |value| format!("`{value}`"))
        };
        draft.title = format!("{key}: {} → {}", show(&before), show(&after));
        if classes.len() > 1 {
            draft.evidence.push(format!("the same at {} call paths", classes.len()));
        }
        draft.attributes = vec![AttributeChange { key, change, before, after }];
        drafts.push(draft);
    }
}

/// Keys whose values have nothing in common on the two sides.
fn class_changes<'a>(work: &'a Work<'_>, classes: &mut KeyClasses<'a>, class: &Class) -> Vec<ChangeKey> {
    if matches!(class.reason, MatchReason::Renamed | MatchReason::Split) {
        // Another name or service says other things about itself; they stand with that finding.
        return Vec::new();
    }
    // One pair of spans that agree in everything speaks for its class, and spares the look at all others.
    if class.members.iter().take(MEMBERS).any(|&(a, b)| agree(work, classes, a, b)) {
        return Vec::new();
    }
    let mut keys: BTreeMap<String, Values> = BTreeMap::new();
    let mut same_status = true;
    let mut dropped = false;
    let members = class.members.get(..class.members.len().min(MEMBERS)).unwrap_or_default();
    for &(a, b) in members {
        same_status &= work.node(Side::Before, a).failed == work.node(Side::After, b).failed;
        for (side, node) in [(Side::Before, a), (Side::After, b)] {
            dropped |= work.span(side, node).is_some_and(|span| span.marks.has(crate::model::SpanMarks::DROPPED));
            for (key, value) in plain(work, side, node) {
                let values = keys.entry(key.to_owned()).or_default();
                *values.present.get_mut(side) += 1;
                if let Some((masked, shown)) = comparable(&value.as_value()) {
                    values.seen.get_mut(side).entry(masked).or_insert(shown);
                }
            }
        }
    }
    let one_instrumentation = same_scope(work, class);
    keys.into_iter()
        .filter(|(key, _)| same_status || !tells_status(key))
        .filter_map(|(key, values)| {
            let first = |side: Side| values.seen.get(side).values().next().cloned();
            let gone =
                |side: Side| values.present.get(side) == &members.len() && values.present.get(side.other()) == &0;
            if gone(Side::Before) || gone(Side::After) {
                // A convention's key that comes or goes is instrumentation; so is one that a new library version sets.
                let own = !semconv::is_convention(&key) && one_instrumentation && !dropped;
                return own
                    .then(|| (key, first(Side::Before), first(Side::After)))
                    .filter(|c| c.1.is_some() || c.2.is_some());
            }
            let shared = values.seen.before.keys().any(|value| values.seen.after.contains_key(value));
            let both = !values.seen.before.is_empty() && !values.seen.after.is_empty();
            (both && !shared).then(|| (key, first(Side::Before), first(Side::After)))
        })
        .collect()
}

/// What is known about keys as they were sent: looked up once each.
type KeyClasses<'a> = HashMap<&'a str, KeyClass, foldhash::fast::RandomState>;

/// Whether two spans carry the same keys in the same order, with equal values wherever values are compared. Cheap:
/// false says nothing.
fn agree<'a>(work: &'a Work<'_>, classes: &mut KeyClasses<'a>, a: u32, b: u32) -> bool {
    let (Some(before), Some(after)) = (work.span(Side::Before, a), work.span(Side::After, b)) else { return false };
    let mut theirs = work.traces.after.store.attributes(after);
    for (key, value) in work.traces.before.store.attributes(before) {
        let Some((other_key, other)) = theirs.next() else { return false };
        if key != other_key {
            return false;
        }
        if value == other || *classes.entry(key).or_insert_with(|| semconv::class(key)) != KeyClass::Plain {
            continue;
        }
        match (comparable(&value), comparable(&other)) {
            (None, None) => {}
            (Some((mine, _)), Some((theirs, _))) if mine == theirs => {}
            _ => return false,
        }
    }
    theirs.next().is_none()
}

/// Keys that only repeat the status of the span.
fn tells_status(key: &str) -> bool {
    key.ends_with("status_code")
        || key.starts_with("error.")
        || key.starts_with("exception.")
        || key.starts_with("otel.status")
}

/// Whether the same version of the same library recorded both sides.
fn same_scope(work: &Work<'_>, class: &Class) -> bool {
    let scope = |side: Side, node: u32| {
        let store = &work.traces.get(side).store;
        work.span(side, node)
            .and_then(|span| store.scope(span))
            .map(|scope| (store.symbols.get(scope.name), store.symbols.get(scope.version)))
    };
    class.members.first().is_none_or(|&(a, b)| scope(Side::Before, a) == scope(Side::After, b))
}

/// The comparable attributes of a span under their current names.
fn plain<'a>(work: &'a Work<'_>, side: Side, node: u32) -> Vec<(&'a str, CanonicalValue<'a>)> {
    let Some(span) = work.span(side, node) else { return Vec::new() };
    canonical::canonical(work.traces.get(side).store.attributes(span), span.kind)
        .into_iter()
        .filter(|(key, _)| semconv::class(key) == KeyClass::Plain)
        .collect()
}

/// A value as it is compared and as it is shown; `None` for numbers and for text that is nothing but an identifier.
fn comparable(value: &Value<'_>) -> Option<(String, String)> {
    match value {
        Value::Bool(flag) => Some((flag.to_string(), flag.to_string())),
        Value::Str(text) => masking::mask_value(text).map(|masked| (masked, shorten(text))),
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The attributes to show with a finding: of a span that only one side has all that matter, of a matched pair those
/// that differ.
pub(super) fn of_draft(work: &Work<'_>, draft: &Draft) -> Vec<AttributeChange> {
    let shown = |side: Side| -> BTreeMap<String, String> {
        let Some(span) = draft.example.get(side).and_then(|node| work.span(side, node)) else {
            return BTreeMap::new();
        };
        canonical::canonical(work.traces.get(side).store.attributes(span), span.kind)
            .into_iter()
            .filter(|(key, _)| TELLING.contains(key) || semconv::class(key) != KeyClass::Noise)
            .map(|(key, value)| (key.to_owned(), shorten(&value.as_value().to_string())))
            .collect()
    };
    let (mut before, mut after) = (shown(Side::Before), shown(Side::After));
    match draft.kind {
        // The extra call against some other call: what differs is by chance, what it is matters.
        FindingKind::CallsUp => before.clear(),
        FindingKind::CallsDown => after.clear(),
        _ => {}
    }
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (old, new) = (before.get(key), after.get(key));
            let change = match (old, new) {
                (Some(old), Some(new)) if old == new => return None,
                (Some(_), Some(_)) => Change::Changed,
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
            };
            Some(AttributeChange { key: key.clone(), change, before: old.cloned(), after: new.cloned() })
        })
        .take(SHOWN)
        .collect()
}
