//! What a reader should know that is no finding: versions, instrumentation, one trace on each side.

use super::draft::Drafts;
use super::types::Note;
use super::work::Work;
use crate::model::semconv::{self, KeyClass};
use crate::model::{Pair, Side, masking};
use std::collections::{BTreeMap, BTreeSet};

/// Values listed for one key.
const LISTED: usize = 3;

/// All notes of a pair.
pub(super) fn notes(work: &Work<'_>, drafts: &Drafts) -> Vec<Note> {
    let mut notes =
        vec![Note { code: "one_trace_each", message: "one trace each: a difference, not a regression".to_owned() }];
    for side in [Side::Before, Side::After] {
        let count = *drafts.unrecorded.get(side);
        if count > 0 {
            notes.push(Note {
                code: "not_recorded",
                message: format!(
                    "{} not recorded on the {} side, where only spans that name it as their parent are: no change, but its time \
                     stands at its callers",
                    if count == 1 { "1 span was".to_owned() } else { format!("{count} spans were") },
                    side.name()
                ),
            });
        }
    }
    notes.extend(versions(work));
    notes.extend(display_names(work));
    notes.extend(conventions(work));
    notes
}

/// Version-like resource attributes that differ, by service.
fn versions(work: &Work<'_>) -> Vec<Note> {
    let mut values: BTreeMap<(String, String), Pair<BTreeSet<String>>> = BTreeMap::new();
    for side in [Side::Before, Side::After] {
        let store = &work.traces.get(side).store;
        let mut seen = BTreeSet::new();
        for span in &store.spans {
            if !seen.insert(span.resource) {
                continue;
            }
            for (key, value) in store.resource_attributes(span) {
                let key = semconv::canonical_key(key);
                if semconv::class(key) == KeyClass::Context {
                    let entry = values.entry((store.service(span).to_owned(), key.to_owned())).or_default();
                    entry.get_mut(side).insert(value.to_string());
                }
            }
        }
    }
    let list = |values: &BTreeSet<String>| {
        let mut text: Vec<&str> = values.iter().take(LISTED).map(String::as_str).collect();
        if values.len() > LISTED {
            text.push("…");
        }
        text.join(", ")
    };
    let mut by_change: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for ((service, key), values) in values {
        if !values.before.is_empty() && !values.after.is_empty() && values.before != values.after {
            by_change.entry((key, list(&values.before), list(&values.after))).or_default().push(service);
        }
    }
    by_change
        .into_iter()
        .map(|((key, before, after), services)| Note {
            code: "version",
            message: format!("{key} of {}: {before} → {after}", services.join(", ")),
        })
        .collect()
}

/// Matched operations whose display names changed: instrumentation, not behaviour.
fn display_names(work: &Work<'_>) -> Option<Note> {
    let mut changed = 0;
    let mut example = None;
    for class in &work.classes {
        let Some(&(a, b)) = class.members.first() else { continue };
        if work.node(Side::Before, a).operation != work.node(Side::After, b).operation {
            continue;
        }
        let name = |side: Side, node: u32| {
            work.span(side, node).map(|span| work.traces.get(side).store.name(span)).unwrap_or_default()
        };
        let (before, after) = (name(Side::Before, a), name(Side::After, b));
        if before != after && masking::mask(before) != masking::mask(after) {
            changed += class.members.len();
            example.get_or_insert_with(|| format!("`{before}` → `{after}`"));
        }
    }
    example.map(|example| Note {
        code: "instrumentation_changed",
        message: format!("{changed} spans have another display name for the same operation, for example {example}"),
    })
}

/// Sides that follow different versions of the semantic conventions.
fn conventions(work: &Work<'_>) -> Option<Note> {
    let old_keys = |side: Side| -> BTreeSet<String> {
        let store = &work.traces.get(side).store;
        let keys = store.spans.iter().take(LISTED * 1000).flat_map(|span| store.attributes(span)).map(|(key, _)| key);
        let keys: BTreeSet<&str> = keys.collect();
        keys.into_iter().filter(|key| semconv::canonical_key(key) != *key).map(str::to_owned).collect()
    };
    let (before, after) = (old_keys(Side::Before), old_keys(Side::After));
    let only: Vec<&String> = before.symmetric_difference(&after).collect();
    let first = only.first()?;
    Some(Note {
        code: "semconv",
        message: format!(
            "the sides use different semantic conventions ({} keys such as `{first}`, now `{}`); compared under the current names",
            only.len(),
            semconv::canonical_key(first)
        ),
    })
}
