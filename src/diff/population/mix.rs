//! The change over all requests: traffic that moved between entry points, and what each entry point changed by itself.
//!
//! A mean over everything may fall although every entry point got slower, when traffic moves to a cheap one. So the
//! share of the traffic is told first and nothing is ever judged by that mean.

use super::entry_points::Tested;
use super::groups::Groups;
use super::judge::Test;
use super::numbers;
use super::work::{Work, plain};
use crate::align::ROOT;
use crate::diff::draft::Drafts;
use crate::diff::kind::FindingKind;
use crate::diff::types::AttributionRow;
use crate::model::{Pair, Side, units};

/// Entry points that are listed.
const LISTED: usize = 4;

/// The rows, which sum to the change of the mean over all requests; none when a side is empty.
pub(super) fn overall(work: &Work<'_>, groups: &Groups) -> Vec<AttributionRow> {
    let requests = Pair::new(work.sums(Side::Before, ROOT), work.sums(Side::After, ROOT));
    let mean = |side: Side| numbers::rounded(requests.get(side).duration_ns, requests.get(side).calls);
    let (Some(before), Some(after)) = (mean(Side::Before), mean(Side::After)) else { return Vec::new() };
    let mut rows = Vec::new();
    let mut own = 0;
    for group in groups.list.iter().filter(|group| group.is_matched()) {
        let means = [Side::Before, Side::After].map(|side| numbers::mean_of_group(work, group, side));
        let [Some(first), Some(second)] = means else { continue };
        let share = |side: Side| plain(group.requests(work, side)) / plain(requests.get(side).calls);
        let change = f64::midpoint(share(Side::Before), share(Side::After)) * (second - first) as f64;
        let contribution_ns = change.round() as i64;
        own += contribution_ns;
        let label = group.operation(work).map_or_else(String::new, ToString::to_string);
        rows.push(AttributionRow { finding: None, label, contribution_ns });
    }
    rows.sort_by(|x, y| {
        y.contribution_ns.unsigned_abs().cmp(&x.contribution_ns.unsigned_abs()).then_with(|| x.label.cmp(&y.label))
    });
    let moved = AttributionRow {
        finding: None,
        label: "traffic between entry points".to_owned(),
        contribution_ns: after - before - own,
    };
    rows.insert(0, moved);
    rows
}

/// One finding when traffic moved.
pub(super) fn add(work: &Work<'_>, groups: &Groups, tested: &[Tested], drafts: &mut Drafts) {
    let mut moved: Vec<(&Test, usize)> = Vec::new();
    for (number, (tested, group)) in tested.iter().zip(&groups.list).enumerate() {
        // What came or went is told as such.
        if let Some(test) = tested.traffic.as_ref().filter(|test| test.is_found() && group.is_matched()) {
            moved.push((test, number));
        }
    }
    moved.sort_by(|x, y| y.0.effect.estimate.abs().total_cmp(&x.0.effect.estimate.abs()).then(x.1.cmp(&y.1)));
    let Some(&(first, number)) = moved.first() else { return };
    let Some(group) = groups.list.get(number) else { return };
    let mut draft = work.draft(FindingKind::Mix, group.place());
    draft.confidence = first.confidence();
    let listed: Vec<String> = moved
        .iter()
        .take(LISTED)
        .filter_map(|(test, number)| {
            let group = groups.list.get(*number)?;
            let traces = group.traces(work);
            let share = |traces: u64, of: u64| units::percent(traces as f64 / of.max(1) as f64);
            let (before, after) =
                (share(traces.before, test.effect.n.before), share(traces.after, test.effect.n.after));
            Some(format!("`{}` {before} → {after}", group.operation(work)?))
        })
        .collect();
    let more = if moved.len() > LISTED { format!(" and {} more", moved.len() - LISTED) } else { String::new() };
    draft.title = format!("traffic moved between entry points: {}{more}", listed.join(", "));
    draft.evidence.push("compare within the entry points: the mean over all requests mixes them".to_owned());
    draft.effects.extend(moved.iter().map(|(test, _)| test.effect));
    drafts.push(draft);
}
