//! Own errors that came or went: an error whose child failed too is inherited and is no finding.

use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::types::{Change, EventChange};
use super::work::Work;
use crate::model::{Pair, Side};
use std::collections::BTreeMap;

/// Judges every class; an error on both sides is normal (timeouts happen) unless there are clearly more.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    for class in &work.classes {
        let failed = |side: Side| -> Vec<u32> {
            let node = |pair: &(u32, u32)| if side == Side::Before { pair.0 } else { pair.1 };
            class.members.iter().map(node).filter(|&node| work.own_error(side, node)).collect()
        };
        let failed = Pair::new(failed(Side::Before), failed(Side::After));
        let count = failed.as_ref().map(Vec::len);
        let kind = if is_more(count.before, count.after) {
            FindingKind::Failing
        } else if is_more(count.after, count.before) {
            FindingKind::Recovered
        } else {
            continue;
        };
        let nodes = Pair::new(class.members.iter().map(|p| p.0).collect(), class.members.iter().map(|p| p.1).collect());
        let mut draft = Draft::of_class(kind, class, nodes);
        let worse = if kind == FindingKind::Failing { Side::After } else { Side::Before };
        let first = failed.get(worse).first().copied();
        draft.title = format!("own errors {} → {} of {}", count.before, count.after, class.members.len());
        if let Some(message) = first.and_then(|node| error_text(work, worse, node)) {
            draft.title = format!("{}: {message}", draft.title);
        }
        if let Some(node) = first {
            *draft.example.get_mut(worse) = Some(node);
            *draft.example.get_mut(worse.other()) = Some(work.alignment.partner(worse, node));
        }
        draft.events = exceptions(work, &failed);
        let number = drafts.push(draft);
        for &(a, b) in &class.members {
            drafts.own(Side::Before, a, number);
            drafts.own(Side::After, b, number);
        }
    }
}

/// From none to some, or three times as many and at least three more.
const fn is_more(few: usize, many: usize) -> bool {
    (few == 0 && many > 0) || (many >= few + 3 && many >= 3 * few)
}

/// Exception type or status message of a failed span.
fn error_text(work: &Work<'_>, side: Side, node: u32) -> Option<String> {
    let store = &work.traces.get(side).store;
    let span = work.span(side, node)?;
    let exception = store.events(span).find(|event| event.name == "exception");
    let kind = exception.and_then(|event| event.attributes.find("exception.type")).map(|value| value.to_string());
    let message = store.status_message(span);
    let error_type = || store.attributes(span).find("error.type").map(|value| value.to_string());
    match (kind.or_else(error_type), message) {
        (Some(kind), "") => Some(kind),
        (Some(kind), message) => Some(format!("{kind}: {message}")),
        (None, "") => None,
        (None, message) => Some(message.to_owned()),
    }
}

/// Exception events by type, where their number differs.
fn exceptions(work: &Work<'_>, failed: &Pair<Vec<u32>>) -> Vec<EventChange> {
    let mut by_type: BTreeMap<String, Pair<u64>> = BTreeMap::new();
    for side in [Side::Before, Side::After] {
        for &node in failed.get(side) {
            let Some(span) = work.span(side, node) else { continue };
            for event in work.traces.get(side).store.events(span).filter(|event| event.name == "exception") {
                let kind = event.attributes.find("exception.type").map_or_else(String::new, |value| value.to_string());
                *by_type.entry(kind).or_default().get_mut(side) += 1;
            }
        }
    }
    by_type
        .into_iter()
        .filter(|(_, count)| count.before != count.after)
        .map(|(kind, count)| EventChange {
            name: "exception".to_owned(),
            change: match (count.before, count.after) {
                (0, _) => Change::Added,
                (_, 0) => Change::Removed,
                _ => Change::Changed,
            },
            exception_type: (!kind.is_empty()).then_some(kind),
            count,
        })
        .collect()
}
