//! Requests that take another time although nothing that was found explains most of it: many small changes, each too
//! small to be shown by itself. That is told at the entry point, so that it does not go unsaid.

use super::judged::Judged;
use super::work::{SIDES, Work};
use crate::diff::attribution::Attribution;
use crate::diff::draft::Drafts;
use crate::diff::kind::FindingKind;
use crate::model::{Pair, units};

/// Share of the change that findings must explain.
const MOST: f64 = 0.5;

/// Adds a draft for each such entry point; `groups` are change and attribution by group. True when there was any.
pub(super) fn add<'a>(
    work: &Work<'_>,
    judged: &mut Judged,
    groups: impl Iterator<Item = (Option<i64>, Option<&'a Attribution>)>,
) -> bool {
    let mut any = false;
    for (number, (delta, attribution)) in groups.enumerate() {
        let (Some(group), Some(tested)) = (judged.groups.list.get(number), judged.tested.get(number)) else { continue };
        let test = tested.duration.iter().chain(&tested.p95).find(|test| test.is_found());
        let (Some(delta), Some(attribution), Some(test)) = (delta, attribution, test) else { continue };
        let explained: i64 = attribution.by_draft.iter().sum();
        if (delta - explained).unsigned_abs() as f64 <= MOST * delta.unsigned_abs() as f64 {
            continue;
        }
        let effect = test.effect;
        let kind = if effect.estimate > 1.0 { FindingKind::Slower } else { FindingKind::Faster };
        let mut draft = work.draft(kind, group.place());
        draft.title = format!(
            "the requests take {} as long ({} to {}), and no single call path explains it",
            units::ratio(effect.estimate),
            units::ratio(effect.low),
            units::ratio(effect.high)
        );
        draft.confidence = test.confidence();
        draft.effects.push(effect);
        let entries = group.entries.clone();
        let draft = judged.drafts.push(draft);
        own_rest(work, &mut judged.drafts, &entries, draft);
        any = true;
    }
    any
}

/// Charges what nobody owns below these entry points.
fn own_rest(work: &Work<'_>, drafts: &mut Drafts, entries: &Pair<Vec<u32>>, draft: u32) {
    for side in SIDES {
        for &entry in entries.get(side) {
            for node in entry..work.node(side, entry).subtree_end {
                drafts.own(side, node, draft);
            }
        }
    }
}
