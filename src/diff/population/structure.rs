//! What only one side has although its parent is there, and what is the same work elsewhere or under another name.
//!
//! A path that is rare may be missing by chance. What counts is how often it would have been seen among the other
//! side's traces with the same parent, so that a missing subtree is one finding, at its top, and a change of traffic
//! is none.

use super::judge::Test;
use super::work::{SIDES, Work, share};
use crate::align::{MatchReason, ROOT};
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::structure::{TakenOver, taken_over};
use crate::diff::types::{Confidence, MatchInfo, Note};
use crate::diff::units::{Role, Units};
use crate::model::{Pair, Side, Warning, units};
use crate::stats::absence::{needed_for_absence, p_absent};
use crate::stats::counts;

/// Shards in which a path must occur before its absence says anything: a burst stays in a few.
const LEAST_SHARDS: usize = 5;
/// Traces on each side from which "in all of them" and "in none" count without a test, when latency is not judged.
const FEW: u64 = 3;

/// What a candidate would be.
enum What {
    Alone,
    Layer,
    Relocated(FindingKind),
    TakenOver(TakenOver),
}

/// Something that may have changed.
pub(super) struct Candidate {
    what: What,
    place: Pair<Option<u32>>,
    pub test: Test,
    seen: Seen,
}

/// How often a path occurs, and how often it could.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The side that has it.
    side: Side,
    /// Traces with it.
    traces: u64,
    /// Traces of the same side with its parent.
    of: u64,
    /// Traces of the other side with the parent's partner.
    others: u64,
    /// Shards in which it occurs.
    shards: usize,
    /// The parent.
    parent: u32,
}

impl Seen {
    fn new(work: &Work<'_>, side: Side, node: u32) -> Seen {
        let mut parent = work.parent(side, node);
        while parent != ROOT && !work.is_matched(side, parent) {
            parent = work.parent(side, parent);
        }
        let partner = work.partner(side, parent).unwrap_or(ROOT);
        Seen {
            side,
            traces: work.traces(side, node),
            of: work.traces(side, parent).max(work.traces(side, node)),
            others: work.traces(side.other(), partner),
            shards: work.state(side, node).map_or(0, |state| state.shards.iter().count()),
            parent,
        }
    }

    /// In every trace of one side, in none of the other.
    fn is_total(&self) -> bool {
        self.traces == self.of && self.traces > 0 && self.others > 0
    }

    fn test(&self) -> Test {
        let other = (0, self.others);
        let (before, after) = match self.side {
            Side::Before => ((self.traces, self.of), other),
            Side::After => (other, (self.traces, self.of)),
        };
        let mut test = Test::new(Metric::Presence, "share", Pair::new(before.1, after.1), "jeffreys_absence");
        let interval = counts::newcombe(before.0, before.1, after.0, after.1, 0.95);
        (test.effect.estimate, test.effect.low, test.effect.high) = (interval.estimate, interval.low, interval.high);
        test.p_differs = p_absent(self.traces, self.of, self.others);
        test.p_exceeds = test.p_differs;
        // A burst in a few shards may be one event; with few traces there are few shards.
        test.is_large = self.shards >= LEAST_SHARDS.min(self.of as usize);
        test
    }
}

/// The unmatched parts of both trees.
pub(super) fn units_of(work: &Work<'_>) -> Pair<Units> {
    let of = |side: Side| Units::new(work.trees.get(side), &work.alignment, side, |node| work.spans(side, node));
    Pair::new(of(Side::Before), of(Side::After))
}

/// Nodes that other findings explain, with all below them, by side.
pub(super) fn explained(work: &Work<'_>, tops: &[(Side, u32)]) -> Pair<Vec<bool>> {
    let mut explained = work.trees.as_ref().map(|tree| vec![false; tree.len()]);
    for &(side, top) in tops {
        let end = work.node(side, top).subtree_end;
        for slot in explained.get_mut(side).get_mut(top as usize..end as usize).unwrap_or_default() {
            *slot = true;
        }
    }
    explained
}

/// Everything that may have come, gone or moved, with its test; nothing of what is explained otherwise.
pub(super) fn candidates(work: &Work<'_>, units: &Pair<Units>, explained: &Pair<Vec<bool>>) -> Vec<Candidate> {
    let mut found = all_candidates(work, units);
    let is_explained = |side: Side, place: Pair<Option<u32>>| {
        place.get(side).is_some_and(|node| explained.get(side).get(node as usize) == Some(&true))
    };
    found.retain(|one| !SIDES.into_iter().any(|side| is_explained(side, one.place)));
    found.retain(|one| !is_orphaned(work, one));
    found
}

/// Whether a path that only one side has is one of the other side's whose parent was not recorded here: what hangs
/// below the entry point for want of its parent, or what is missing between the two, says nothing about the program.
fn is_orphaned(work: &Work<'_>, candidate: &Candidate) -> bool {
    let Seen { side, parent, .. } = candidate.seen;
    let orphans = |side: Side| work.profiles.get(side).totals.warnings.count(Warning::MissingParent) > 0;
    if !matches!(candidate.what, What::Alone) || !orphans(side) || work.parent(side, parent) != ROOT {
        return false;
    }
    let Some(top) = *candidate.place.get(side) else { return false };
    let operation = work.node(side, top).operation;
    work.nodes(side.other()).any(|node| work.node(side.other(), node).operation == operation)
}

fn all_candidates(work: &Work<'_>, units: &Pair<Units>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for side in SIDES {
        for role in [Role::Layer, Role::Plain] {
            for top in units.get(side).tops(role) {
                let seen = Seen::new(work, side, top);
                let what = if role == Role::Layer { What::Layer } else { What::Alone };
                let place = match side {
                    Side::Before => Pair::new(Some(top), None),
                    Side::After => Pair::new(None, Some(top)),
                };
                found.push(Candidate { what, place, test: seen.test(), seen });
            }
        }
    }
    for pair in work.matched() {
        let kind = match work.alignment.reason(Side::Before, pair.before) {
            Some((MatchReason::Renamed, _)) => FindingKind::Renamed,
            Some((MatchReason::Moved, _)) => FindingKind::Moved,
            _ => continue,
        };
        found.push(both_ways(work, What::Relocated(kind), pair));
    }
    for taken in taken_over(&work.trees, &work.alignment, work.operations()) {
        let often = |&&(_, b): &&(u32, u32)| (work.traces(Side::After, b), std::cmp::Reverse(b));
        let Some(&(a, b)) = taken.pairs.iter().max_by_key(often) else { continue };
        found.push(both_ways(work, What::TakenOver(taken), Pair::new(a, b)));
    }
    found
}

/// Gone in one place and new in another: both must be more than chance.
fn both_ways(work: &Work<'_>, what: What, pair: Pair<u32>) -> Candidate {
    let gone = Seen::new(work, Side::Before, pair.before);
    let new = Seen::new(work, Side::After, pair.after);
    let (mut test, other) = (gone.test(), new.test());
    test.p_differs = test.p_differs.max(other.p_differs);
    test.p_exceeds = test.p_differs;
    test.is_large &= other.is_large;
    Candidate { what, place: Pair::new(Some(pair.before), Some(pair.after)), test, seen: gone }
}

/// Turns what was found into drafts.
pub(super) fn add(work: &Work<'_>, drafts: &mut Drafts, units: &Pair<Units>, candidates: Vec<Candidate>) -> Vec<Note> {
    let mut unseen: Vec<Seen> = Vec::new();
    for mut candidate in candidates {
        let Some(confidence) = verdict(work, &mut candidate) else {
            unseen.extend(matches!(candidate.what, What::Alone).then_some(candidate.seen));
            continue;
        };
        let mut draft = match &candidate.what {
            What::Alone => alone(work, units, &candidate),
            What::Layer => layer(work, units, &candidate),
            What::Relocated(kind) => relocated(work, *kind, candidate.place),
            What::TakenOver(taken) => service(work, taken),
        };
        draft.confidence = confidence;
        draft.effects.push(candidate.test.effect);
        let number = drafts.push(draft);
        if matches!(candidate.what, What::Alone | What::Layer) {
            for side in SIDES {
                if let Some(top) = *candidate.place.get(side) {
                    drafts.own(side, top, number);
                }
            }
        }
    }
    for side in SIDES {
        units.get(side).own_below(drafts, side);
    }
    not_seen(work, &unseen)
}

/// How sure a candidate is; `None` when it may be chance.
fn verdict(work: &Work<'_>, candidate: &mut Candidate) -> Option<Confidence> {
    let seen = candidate.seen;
    let effect = &mut candidate.test.effect;
    if effect.strength > Strength::None {
        return Some(if seen.is_total() || effect.q < 0.001 { Confidence::Certain } else { Confidence::Likely });
    }
    let few = seen.of.min(seen.others);
    if !seen.is_total() || few >= LEAST_SHARDS as u64 {
        return None;
    }
    // With a handful of traces no test can say anything, but what is in all of one side and in none of the other is
    // still worth a look; where only structure is asked for, three traces settle it.
    if !work.options.population.latency && few >= FEW {
        effect.strength = Strength::Fail;
        return Some(Confidence::Certain);
    }
    Some(Confidence::Weak)
}

fn alone(work: &Work<'_>, units: &Pair<Units>, candidate: &Candidate) -> Draft {
    let seen = candidate.seen;
    let kind = if seen.side == Side::After { FindingKind::Added } else { FindingKind::Removed };
    let mut draft = work.draft(kind, candidate.place);
    let tops: Vec<u32> = draft.nodes.get(seen.side).clone();
    let subtree = units.get(seen.side).size(&tops);
    let spans = tops.iter().map(|&top| work.spans(seen.side, top)).sum::<u64>();
    draft.subtree = Some(subtree);
    let below = if subtree == spans {
        String::new()
    } else {
        format!(", {} with those below", units::counted(subtree, "span", "spans"))
    };
    let often = share(seen.traces, seen.of);
    draft.title = if seen.parent == ROOT {
        format!("an entry point of its own: {often} of the traces{below}")
    } else {
        let verb = if kind == FindingKind::Added { "is" } else { "was" };
        format!("{verb} in {often} of the traces with `{}`{below}", work.label(seen.side, seen.parent))
    };
    let failed = work.per_trace(seen.side, tops.first().copied().unwrap_or(ROOT), |sums| sums.errors);
    if failed > 0.0 {
        draft.evidence.push(format!("fails in {} of them", units::percent(failed)));
    }
    draft
}

fn layer(work: &Work<'_>, units: &Pair<Units>, candidate: &Candidate) -> Draft {
    let side = candidate.seen.side;
    let (kind, verb) = match side {
        Side::Before => (FindingKind::LayerRemoved, "left"),
        Side::After => (FindingKind::LayerAdded, "entered"),
    };
    let mut draft = work.draft(kind, candidate.place);
    let tops = draft.nodes.get(side).clone();
    let top = tops.first().copied().unwrap_or(ROOT);
    let below = (top..work.node(side, top).subtree_end).find(|&node| work.is_matched(side, node));
    let below = below.map_or_else(String::new, |node| format!(" above `{}`", work.label(side, node)));
    draft.subtree = Some(units.get(side).size(&tops));
    draft.title = format!(
        "a layer {verb} the path{below} in {} of the traces; what lies below it is the same",
        share(candidate.seen.traces, candidate.seen.of)
    );
    draft.matched = MatchInfo { score: 1.0, reason: MatchReason::Layer.name() };
    draft
}

fn relocated(work: &Work<'_>, kind: FindingKind, place: Pair<Option<u32>>) -> Draft {
    let mut draft = work.draft(kind, place);
    let node = place.map(|node| node.unwrap_or(ROOT));
    draft.title = if kind == FindingKind::Renamed {
        format!("was `{}`, same place, same work below", work.label(Side::Before, node.before))
    } else {
        let parent = |side: Side| work.label(side, work.parent(side, *node.get(side)));
        format!("moved from `{}` to `{}`", parent(Side::Before), parent(Side::After))
    };
    draft
}

fn service(work: &Work<'_>, taken: &TakenOver) -> Draft {
    let first = taken.pairs.first().copied();
    let mut draft = work.draft(taken.kind, Pair::new(first.map(|pair| pair.0), first.map(|pair| pair.1)));
    draft.nodes =
        Pair::new(taken.pairs.iter().map(|pair| pair.0).collect(), taken.pairs.iter().map(|pair| pair.1).collect());
    let paths = units::counted(taken.pairs.len() as u64, "call path", "call paths");
    draft.title = format!("{} ({paths})", taken.title);
    draft
}

/// What was not seen on the after side, although there are too few traces to say that it is gone.
fn not_seen(work: &Work<'_>, unseen: &[Seen]) -> Vec<Note> {
    let level = work.level(super::work::Family::Structure);
    let missing = unseen.iter().filter(|seen| seen.side == Side::Before);
    let needed = |seen: &Seen| needed_for_absence(seen.traces, seen.of, level);
    let Some(most) = missing.clone().max_by_key(|seen| (seen.traces, std::cmp::Reverse(seen.parent))) else {
        return Vec::new();
    };
    let needs = needed(most);
    if needs <= most.others {
        return Vec::new();
    }
    let count = missing.count() as u64;
    let (paths, was) = (units::counted(count, "call path", "call paths"), if count == 1 { "was" } else { "were" });
    vec![Note {
        code: "not_seen",
        message: format!(
            "{paths} {was} not seen after, which may be chance: the most frequent, under `{}`, needs {} traces with that \
             caller and there are {}",
            work.label(Side::Before, most.parent),
            units::count(needs),
            units::count(most.others)
        ),
    }]
}
