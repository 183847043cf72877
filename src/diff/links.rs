//! Span links that came or went: matched by the operation they point to, never by id.

use super::draft::{Draft, Drafts};
use super::kind::FindingKind;
use super::work::Work;
use crate::model::{OperationId, Pair, Side};
use std::collections::BTreeMap;

/// What a link points to; `None` is a span of another trace.
type Target = Option<OperationId>;

/// Compares the links of matched spans, class by class.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) {
    if work.traces.before.links.is_empty() && work.traces.after.links.is_empty() {
        return;
    }
    let mut by_class: BTreeMap<usize, BTreeMap<Target, Pair<u64>>> = BTreeMap::new();
    for side in [Side::Before, Side::After] {
        for link in &work.traces.get(side).links {
            let node = link.from + 1;
            let Some(class) = work.is_matched(side, node).then(|| work.class(side, node)).flatten() else { continue };
            let target = link.to.map(|to| canonical_target(work, side, to + 1));
            *by_class.entry(class).or_default().entry(target).or_default().get_mut(side) += 1;
        }
    }
    for (number, targets) in by_class {
        let Some(class) = work.classes.get(number) else { continue };
        for (target, count) in targets {
            let kind = match (count.before, count.after) {
                (0, _) => FindingKind::LinkAdded,
                (_, 0) => FindingKind::LinkRemoved,
                // A batch consumer links to as many messages as there were.
                _ => continue,
            };
            let nodes =
                Pair::new(class.members.iter().map(|p| p.0).collect(), class.members.iter().map(|p| p.1).collect());
            let mut draft = Draft::of_class(kind, class, nodes);
            let name = target
                .and_then(|id| work.operations().get(id))
                .map_or_else(|| "a span of another trace".to_owned(), |operation| format!("`{operation}`"));
            draft.title = format!("links to {name}: {} → {}", count.before, count.after);
            drafts.push(draft);
        }
    }
}

/// The after side's operation of a link's target, so that a renamed target is no change.
fn canonical_target(work: &Work<'_>, side: Side, node: u32) -> OperationId {
    let partner = work.alignment.partner(side, node);
    if side == Side::Before && work.is_matched(side, node) {
        work.node(Side::After, partner).operation
    } else {
        work.node(side, node).operation
    }
}
