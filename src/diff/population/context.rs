//! Trace context that is not passed on any more, or again: the call survives, what it led to has traces of its own.
//!
//! Looked for before structure is told, since it explains subtrees that went and entry points that came.

use super::counts::{fisher_less, newcombe};
use super::work::{Family, SIDES, Work, plain};
use crate::align::{MatchReason, ROOT};
use crate::diff::draft::{Draft, Drafts};
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::Confidence;
use crate::model::{Kind, OperationId, Pair, Side, units};
use crate::stats::multiple::benjamini_hochberg;
use std::collections::{BTreeMap, BTreeSet};

/// Calls that must have lost their context.
const LOST_AT_LEAST: f64 = 5.0;
/// Their share of all calls of that kind.
const LOST_SHARE: f64 = 0.1;
/// How far the number of new traces may be from that of the lost calls, as a factor either way.
const ABOUT: f64 = 1.6;
/// How alike the operations below must be (Dice).
const ALIKE: f64 = 0.5;
/// Nodes looked at below each of two tops.
const LOOKED_AT: usize = 4_096;
/// Further callers told by name.
const CALLERS: usize = 3;

/// One operation that was called within its callers' traces on one side, and begins traces of its own on the other.
pub(super) struct Severed {
    /// Lost, or joined: the same with the sides exchanged.
    kind: FindingKind,
    /// The callers that lost it, those with most lost calls first.
    callers: Vec<Caller>,
    /// The entry point on the side where it stands alone.
    entry: u32,
    /// Calls that lost their context, and traces that came for them, both as weights of traces.
    lost: f64,
    came: f64,
    effect: Effect,
}

/// A call path that survives, and what hung below it.
#[derive(Clone, Copy)]
struct Caller {
    client: Pair<u32>,
    /// The callee on the side where the context was passed on.
    callee: u32,
    /// Calls without it where it was to be expected.
    lost: f64,
    /// Whether there is nothing of it left on the other side.
    whole: bool,
}

impl Severed {
    /// The side on which the context was passed on.
    fn attached(&self) -> Side {
        if self.kind == FindingKind::ContextLost { Side::Before } else { Side::After }
    }

    /// The tops of what this explains: nothing of it, and nothing below it, is added, removed or moved on its own.
    pub fn tops(&self) -> Vec<(Side, u32)> {
        let attached = self.attached();
        let whole = self.callers.iter().filter(|caller| caller.whole).map(|caller| (attached, caller.callee));
        whole.chain([(attached.other(), self.entry)]).collect()
    }
}

/// All operations that lost their callers' context, or found it again.
pub(super) fn severed(work: &Work<'_>) -> Vec<Severed> {
    let mut all = Vec::new();
    for attached in SIDES {
        let callees = callees(work, attached);
        for (&operation, callers) in &callees {
            all.extend(
                entries(work, attached.other(), operation).and_then(|entry| explained(work, attached, callers, entry)),
            );
        }
    }
    let corrected = benjamini_hochberg(&all.iter().map(|severed| severed.effect.p).collect::<Vec<f64>>());
    for (severed, q) in all.iter_mut().zip(corrected) {
        severed.effect.q = q;
    }
    all.retain(|severed| severed.effect.q <= work.level(Family::Context));
    all
}

/// Adds a finding for each, and charges it with the time of what it explains.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts, severed: &[Severed]) {
    let mut tops: Pair<Vec<(u32, u32)>> = Pair::default();
    for severed in severed {
        let number = drafts.push(draft(work, severed));
        for (side, top) in severed.tops() {
            tops.get_mut(side).push((top, number));
        }
    }
    drafts.own_subtrees(&work.trees, &tops);
}

/// A callee that is called less often than on the other side, though its caller is the same.
struct Missing {
    caller: Caller,
    /// Traces with the caller and with the callee on the attached and on the other side.
    with: Pair<u64>,
    of: Pair<u64>,
}

/// What clients and producers lead to on the attached side and not, or less often, on the other, by operation.
fn callees(work: &Work<'_>, attached: Side) -> BTreeMap<OperationId, Vec<Missing>> {
    let mut callees: BTreeMap<OperationId, Vec<Missing>> = BTreeMap::new();
    for client in work.matched() {
        let kind = work.operation_at(attached, *client.get(attached)).map(|operation| operation.kind);
        if !matches!(kind, Some(Kind::Client | Kind::Producer)) {
            continue;
        }
        for callee in work.children(attached, *client.get(attached)) {
            let served = work.operation_at(attached, callee).map(|operation| operation.kind);
            if !matches!(served, Some(Kind::Server | Kind::Consumer)) {
                continue;
            }
            if let Some(missing) = missing(work, attached, client, callee) {
                callees.entry(work.node(attached, callee).operation).or_default().push(missing);
            }
        }
    }
    callees
}

fn missing(work: &Work<'_>, attached: Side, client: Pair<u32>, callee: u32) -> Option<Missing> {
    let other = attached.other();
    let operation = work.node(attached, callee).operation;
    let same = work.children(other, *client.get(other)).find(|&child| work.node(other, child).operation == operation);
    let left = same.or_else(|| {
        let partner = work.partner(attached, callee)?;
        (work.parent(other, partner) == *client.get(other)).then_some(partner)
    });
    let (led, calls) = (work.sums(attached, callee), work.sums(attached, *client.get(attached)));
    let each = led.calls as f64 / calls.calls.max(1) as f64;
    let expected = each * plain(work.sums(other, *client.get(other)).calls);
    let found = left.map_or(0.0, |left| plain(work.sums(other, left).calls));
    let lost = expected - found;
    if lost < LOST_AT_LEAST || lost < LOST_SHARE * expected {
        return None;
    }
    let of = Pair::new(work.traces(attached, *client.get(attached)), work.traces(other, *client.get(other)));
    let with = Pair::new(work.traces(attached, callee), left.map_or(0, |left| work.traces(other, left)));
    Some(Missing { caller: Caller { client, callee, lost, whole: left.is_none() }, with, of })
}

/// The entry point of an operation.
fn entries(work: &Work<'_>, side: Side, operation: OperationId) -> Option<u32> {
    work.children(side, ROOT).find(|&entry| work.node(side, entry).operation == operation)
}

/// Whether an entry point came in about the number in which callers lost the same operation.
fn explained(work: &Work<'_>, attached: Side, missing: &[Missing], entry: u32) -> Option<Severed> {
    let other = attached.other();
    let lost: f64 = missing.iter().map(|missing| missing.caller.lost).sum();
    let came = came(work, other, entry);
    if came < lost / ABOUT || came > lost * ABOUT {
        return None;
    }
    let mut callers: Vec<&Missing> =
        missing.iter().filter(|missing| alike(work, attached, missing.caller.callee, entry)).collect();
    callers.sort_by(|a, b| {
        b.caller.lost.total_cmp(&a.caller.lost).then(a.caller.client.before.cmp(&b.caller.client.before))
    });
    let first = *callers.first()?;
    let p = fisher_less(first.with, first.of);
    let (with, of) =
        if attached == Side::Before { (first.with, first.of) } else { (first.with.swapped(), first.of.swapped()) };
    let (estimate, low, high) = newcombe(with, of);
    let effect = Effect {
        metric: Metric::Presence,
        estimate,
        low,
        high,
        unit: "share",
        p,
        q: p,
        n: of,
        method: "fisher",
        strength: Strength::Warn,
    };
    let kind = if attached == Side::Before { FindingKind::ContextLost } else { FindingKind::ContextJoined };
    let callers = callers.into_iter().map(|missing| missing.caller).collect();
    Some(Severed { kind, callers, entry, lost, came, effect })
}

/// Requests to an entry point beyond those that the other side's traffic would give.
fn came(work: &Work<'_>, side: Side, entry: u32) -> f64 {
    // A trace may hold several: a callee that lost its context may still be a root of the same trace.
    let requests = |side: Side, entry: u32| plain(work.sums(side, entry).calls);
    let all = |side: Side| work.children(side, ROOT).map(|entry| requests(side, entry)).sum::<f64>();
    let now = requests(side, entry);
    let counterpart = work.partner(side, entry).filter(|_| !work.is_match(side, entry, MatchReason::Moved));
    let known = counterpart.filter(|&partner| work.parent(side.other(), partner) == ROOT);
    let usual = known.map_or(0.0, |known| requests(side.other(), known));
    // The new ones are among all: what the rest grew by is the measure.
    let ratio = (all(side) - now) / (all(side.other()) - usual).max(1.0);
    now - usual * ratio.max(0.0)
}

/// Whether much the same happens below two nodes of the two sides. A look at so many is enough.
fn alike(work: &Work<'_>, attached: Side, callee: u32, entry: u32) -> bool {
    let below = |side: Side, top: u32| -> BTreeSet<OperationId> {
        let end = work.node(side, top).subtree_end;
        (top + 1..end).take(LOOKED_AT).map(|node| work.node(side, node).operation).collect()
    };
    let (one, two) = (below(attached, callee), below(attached.other(), entry));
    let both = one.intersection(&two).count();
    one.len() + two.len() == 0 || 2.0 * both as f64 >= ALIKE * (one.len() + two.len()) as f64
}

fn draft(work: &Work<'_>, severed: &Severed) -> Draft {
    let attached = severed.attached();
    let clients = |side: Side| severed.callers.iter().map(|caller| *caller.client.get(side)).collect::<Vec<u32>>();
    let nodes = Pair::new(clients(Side::Before), clients(Side::After));
    let first = severed.callers.first().map(|caller| caller.client).unwrap_or_default();
    let entry = work.label(attached.other(), severed.entry);
    let (caller, callee) = (work.label(attached, *first.get(attached)), entry.clone());
    let mut evidence = vec![format!(
        "{} calls without the server side below them, {} traces that begin at `{entry}`",
        units::mean_count(severed.lost.round()),
        units::mean_count(severed.came.round())
    )];
    let others: Vec<String> =
        severed.callers.iter().skip(1).map(|caller| format!("`{}`", work.label(attached, caller.callee))).collect();
    if !others.is_empty() {
        let shown = others.get(..others.len().min(CALLERS)).unwrap_or_default().join(", ");
        evidence.push(format!("the same from {} more call paths, for example {shown}", others.len()));
    }
    let subtree: u64 = severed
        .tops()
        .into_iter()
        .filter(|&(side, _)| side == attached)
        .map(|(side, top)| u64::from(work.node(side, top).subtree_end - top))
        .sum();
    let from = work.path(Side::Before, first.before);
    let to = work.path(Side::After, first.after);
    let is_lost = severed.kind == FindingKind::ContextLost;
    let example = severed.callers.first().map(|caller| caller.callee);
    Draft {
        title: if is_lost {
            format!("trace context lost between `{caller}` and `{callee}`: the callee begins traces of its own")
        } else {
            format!("trace context passed on again between `{caller}` and `{callee}`")
        },
        from_path: (!is_lost && from != to).then_some(from),
        evidence,
        subtree: (subtree > 0).then_some(subtree),
        confidence: if severed.effect.q < 0.001 { Confidence::Certain } else { Confidence::Likely },
        matched: work.match_info(Side::Before, first.before),
        effects: vec![severed.effect],
        example: if is_lost {
            Pair::new(example, Some(severed.entry))
        } else {
            Pair::new(Some(severed.entry), example)
        },
        ..Draft::new(severed.kind, if is_lost { from } else { to }, nodes)
    }
}
