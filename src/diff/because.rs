//! From the symptom to the cause, one line a level.

use super::draft::Draft;
use super::kind::FindingKind;
use super::work::Work;
use crate::model::{Side, units};

/// Callers that are looked at, the nearest ones.
const ANCESTORS: usize = 512;
/// Lines between the first and the last; longer chains lose their middle.
const LEVELS: usize = 6;

/// The chain for one draft: every matched ancestor that goes the same way, in time or in failing, then the finding
/// itself. A finding that moves nothing has no chain.
pub(super) fn chain(work: &Work<'_>, draft: &Draft, contribution_ns: i64) -> Vec<String> {
    let example =
        draft.example.after.map(|node| (Side::After, node)).or(draft.example.before.map(|node| (Side::Before, node)));
    let Some((side, node)) = example else { return Vec::new() };
    let above = std::iter::successors(Some(node), |&at| {
        let parent = work.node(side, at).parent;
        (parent != 0 && parent != u32::MAX).then_some(parent)
    });
    let lines = above.skip(1).map(|at| line(work, side, at, draft.kind, contribution_ns));
    ladder(lines, || format!("{}: {}", work.label(side, node), draft.title))
}

/// A chain from what the callers say, the nearest one first, and the cause, which is told only when somebody says
/// something.
pub(super) fn ladder(callers: impl Iterator<Item = Option<String>>, cause: impl FnOnce() -> String) -> Vec<String> {
    let mut lines: Vec<String> = callers.take(ANCESTORS).flatten().collect();
    lines.reverse();
    if lines.len() > LEVELS {
        let skipped = lines.len() - LEVELS;
        lines.splice(LEVELS / 2..LEVELS / 2 + skipped, [format!("… {skipped} levels …")]);
    }
    if !lines.is_empty() {
        lines.push(cause());
    }
    lines
}

/// What a matched ancestor says: `frontend: GET /dispatch takes 150 ms less`; nothing when its change is too small.
fn line(work: &Work<'_>, side: Side, node: u32, kind: FindingKind, contribution_ns: i64) -> Option<String> {
    if !work.is_matched(side, node) {
        return None;
    }
    let partner = work.alignment.partner(side, node);
    let (before, after) = if side == Side::Before { (node, partner) } else { (partner, node) };
    let (failed_before, failed_after) = (work.node(Side::Before, before).failed, work.node(Side::After, after).failed);
    match kind {
        FindingKind::Failing if failed_after && !failed_before => {
            return Some(format!("{} fails", work.label(Side::After, after)));
        }
        FindingKind::Recovered if failed_before && !failed_after => {
            return Some(format!("{} does not fail any more", work.label(Side::After, after)));
        }
        FindingKind::Failing | FindingKind::Recovered => return None,
        _ => {}
    }
    let delta = work.node(Side::After, after).duration_ns as i64 - work.node(Side::Before, before).duration_ns as i64;
    if delta.unsigned_abs() <= work.options.min_time_ns || delta.signum() != contribution_ns.signum() {
        return None;
    }
    let more = if delta > 0 { "more" } else { "less" };
    Some(format!("{} takes {} {more}", work.label(Side::After, after), units::duration(delta.unsigned_abs())))
}
