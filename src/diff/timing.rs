//! Slower and faster: self time and edge time of every class, against the jitter that the pair itself shows.
//!
//! One trace on each side cannot tell a regression from luck. What it can tell is how much its spans scatter: the
//! robust spread of ln(after / before) over all classes. A change counts when it passes the fixed limits (ratio and
//! absolute time) *and* stands out of that spread; otherwise every pair of a noisy system would be twenty findings.
//! Everything is symmetric in the sides.

use super::draft::{Draft, Drafts, NOBODY};
use super::kind::FindingKind;
use super::types::{Confidence, Drift};
use super::work::{Class, Work};
use crate::model::times::child_intervals;
use crate::model::units;
use crate::model::{Pair, Side, SpanMarks};

/// Self or edge times below this say nothing about jitter, nanoseconds.
const FLOOR_NS: u64 = 50_000;
/// Times are compared as if they were at least this long, nanoseconds: the logarithm of nothing has no meaning.
const LEAST_NS: f64 = 1_000.0;
/// Classes from which a spread can be estimated.
const ENOUGH: usize = 8;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Metric {
    SelfTime,
    /// The client's self time, charged to the server.
    EdgeTime,
}

/// The total of one metric over the members of one class.
struct Measured {
    class: usize,
    metric: Metric,
    ns: Pair<u64>,
}

impl Measured {
    fn log_ratio(&self) -> f64 {
        let log = |ns: u64| (ns as f64).max(LEAST_NS).ln();
        log(self.ns.after) - log(self.ns.before)
    }
}

/// Finds what takes more or less time; returns what the pair's jitter is.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) -> Scatter {
    let measured: Vec<Measured> =
        work.classes.iter().enumerate().flat_map(|(number, class)| measure(work, number, class)).collect();
    let scatter = Scatter::new(work, &measured);
    for one in &measured {
        if let Some(class) = work.classes.get(one.class)
            && scatter.stands_out(one.log_ratio(), one.ns)
        {
            add(work, drafts, class, one);
        }
    }
    scatter
}

fn measure(work: &Work<'_>, number: usize, class: &Class) -> Vec<Measured> {
    let mut own: Pair<u64> = Pair::default();
    let mut edge: Pair<u64> = Pair::default();
    for &(a, b) in &class.members {
        own.before += work.own_ns(Side::Before, a);
        own.after += work.own_ns(Side::After, b);
        if let (Some(before), Some(after)) = (work.edge_ns(Side::Before, a), work.edge_ns(Side::After, b)) {
            edge.before += before;
            edge.after += after;
        }
    }
    // An edge on one side only is a change of structure (the server span came or went), not of time.
    let one_sided_edge = class.members.iter().any(|&(a, b)| {
        let is_edge = |side: Side, node: u32| work.own_ns(side, node) == 0 && work.self_ns(side, node) > 0;
        is_edge(Side::Before, a) != is_edge(Side::After, b)
    });
    let mut measured = Vec::new();
    if !one_sided_edge && own != Pair::default() {
        measured.push(Measured { class: number, metric: Metric::SelfTime, ns: own });
    }
    if edge != Pair::default() {
        measured.push(Measured { class: number, metric: Metric::EdgeTime, ns: edge });
    }
    measured
}

/// Center and spread of the log ratios, and the limits that follow.
pub(super) struct Scatter {
    /// Common log ratio; 0 unless it is drift.
    center: f64,
    /// Robust standard deviation around it.
    spread: f64,
    /// Smallest |log ratio - center| that stands out.
    limit: f64,
    min_log: f64,
    min_ns: u64,
    is_drift: bool,
    same_way: usize,
    count: usize,
}

impl Scatter {
    fn new(work: &Work<'_>, measured: &[Measured]) -> Scatter {
        let mut ratios: Vec<f64> = measured
            .iter()
            .filter(|one| one.ns.before.max(one.ns.after) >= FLOOR_NS)
            .map(Measured::log_ratio)
            .collect();
        let count = ratios.len();
        let middle = median(&mut ratios);
        let distance = |one: &Measured| (one.log_ratio() - middle).abs();
        let counted = |one: &&Measured| one.ns.before.max(one.ns.after) >= FLOOR_NS;
        let mut distances: Vec<f64> = measured.iter().filter(counted).map(distance).collect();
        // Sums over many spans scatter less than a single span does: where there are enough of those, they count.
        let alone = |one: &&Measured| work.classes.get(one.class).is_some_and(|class| class.members.len() == 1);
        let mut single: Vec<f64> = measured.iter().filter(counted).filter(alone).map(distance).collect();
        let of_single = if single.len() >= ENOUGH { median(&mut single) } else { 0.0 };
        // 1.4826 makes the median distance a standard deviation for normal data.
        let spread = 1.4826 * median(&mut distances).max(of_single);
        let same_way = ratios.iter().filter(|&&ratio| ratio * middle > 0.0).count();
        // The median of n values scatters by 1.2533 sigma / sqrt(n); four of those are beyond chance.
        let beyond_chance = middle.abs() > 4.0 * 1.2533 * spread / (count.max(1) as f64).sqrt();
        let is_drift =
            count >= 3 && 10 * same_way >= 8 * count && middle.abs() > work.options.drift_ratio.ln() && beyond_chance;
        // A spread from few classes is itself uncertain: widen the limit.
        let sigmas = work.options.jitter_sigmas * (1.0 + 4.0 / count.max(1) as f64);
        let limit = if count >= ENOUGH { sigmas * spread } else { 0.0 };
        Scatter {
            center: if is_drift { middle } else { 0.0 },
            spread: if count >= ENOUGH { spread } else { 0.0 },
            limit,
            min_log: work.options.min_ratio.ln(),
            min_ns: work.options.min_time_ns,
            is_drift,
            same_way,
            count,
        }
    }

    fn stands_out(&self, log_ratio: f64, ns: Pair<u64>) -> bool {
        let away = (log_ratio - self.center).abs();
        log_ratio.abs() > self.min_log
            && away > self.min_log
            && away > self.limit
            && ns.before.abs_diff(ns.after) > self.min_ns
    }
}

/// The middle value; of an even number the mean of the two; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => at(n / 2),
        n => f64::midpoint(at(n / 2 - 1), at(n / 2)),
    }
}

fn add(work: &Work<'_>, drafts: &mut Drafts, class: &Class, one: &Measured) {
    let kind_of_owner = class
        .members
        .first()
        .and_then(|&(_, b)| drafts.list.get(drafts.owner(Side::After, b) as usize))
        .map(|d| d.kind);
    let failing = matches!(kind_of_owner, Some(FindingKind::Failing | FindingKind::Recovered));
    let change = format!("{} → {}{}", units::duration(one.ns.before), units::duration(one.ns.after), ratio(one.ns));
    if failing && let Some(&(_, b)) = class.members.first() {
        let owner = drafts.owner(Side::After, b) as usize;
        if let Some(draft) = drafts.list.get_mut(owner) {
            draft.evidence.push(format!("self time {change}: part of the same change"));
        }
        return;
    }
    if one.metric == Metric::SelfTime
        && let Some(number) = absorbed(work, drafts, class, one.ns)
    {
        for &(a, b) in &class.members {
            drafts.own(Side::Before, a, number);
            drafts.own(Side::After, b, number);
        }
        return;
    }
    let kind = if one.ns.after > one.ns.before { FindingKind::Slower } else { FindingKind::Faster };
    let nodes = Pair::new(class.members.iter().map(|p| p.0).collect(), class.members.iter().map(|p| p.1).collect());
    let mut draft = Draft::of_class(kind, class, nodes);
    draft.confidence = Confidence::Weak;
    let what = if one.metric == Metric::SelfTime { "self time" } else { "edge time (network and queue to it)" };
    draft.title = format!("{what} {change}");
    let clipped = |side: Side, node: u32| work.span(side, node).is_some_and(|span| span.marks.has(SpanMarks::CLIPPED));
    if class.members.iter().any(|&(a, b)| clipped(Side::Before, a) || clipped(Side::After, b)) {
        draft.evidence.push("rests on times that were corrected for clock skew".to_owned());
    }
    let number = drafts.push(draft);
    for &(a, b) in &class.members {
        let charged =
            |side: Side, node: u32| if one.metric == Metric::EdgeTime { work.node(side, node).parent } else { node };
        drafts.own(Side::Before, charged(Side::Before, a), number);
        drafts.own(Side::After, charged(Side::After, b), number);
    }
}

/// ` (×1.5)`, or nothing when one side is zero.
fn ratio(ns: Pair<u64>) -> String {
    if ns.before == 0 || ns.after == 0 {
        return String::new();
    }
    format!(" ({})", units::ratio(ns.after as f64 / ns.before as f64))
}

/// A span's self time shrinks when a child is instrumented that was not before, and grows when one is not any more:
/// then nothing runs longer. The finding that the child belongs to, when such children took over at least half of
/// what the self time lost, or gave it back.
fn absorbed(work: &Work<'_>, drafts: &Drafts, class: &Class, ns: Pair<u64>) -> Option<u32> {
    let mut covered: Pair<u64> = Pair::default();
    let mut largest = (0, NOBODY);
    for &(a, b) in &class.members {
        for (side, node) in [(Side::Before, a), (Side::After, b)] {
            let (time, owner) = unmatched_children(work, drafts, side, node);
            *covered.get_mut(side) += time;
            if time > largest.0 && owner != NOBODY {
                largest = (time, owner);
            }
        }
    }
    let lost = ns.before as i64 - ns.after as i64;
    let taken_over = covered.after as i64 - covered.before as i64;
    let explained = lost.signum() == taken_over.signum() && 2 * taken_over.unsigned_abs() >= lost.unsigned_abs();
    (largest.1 != NOBODY && explained).then_some(largest.1)
}

/// Time that a node's unmatched children cover, and the finding of the longest of them.
fn unmatched_children(work: &Work<'_>, drafts: &Drafts, side: Side, node: u32) -> (u64, u32) {
    let trace = work.traces.get(side);
    let Some(span) = work.span(side, node) else { return (0, NOBODY) };
    let (mut covered, mut until, mut longest) = (0, 0, (0, NOBODY));
    for (child, start, end) in child_intervals(trace, node - 1, span.start_ns, span.end_ns) {
        let child = child + 1;
        if work.is_matched(side, child) {
            continue;
        }
        // What goes on below a layer is not the layer's own.
        covered += layer_ns(work, side, child).unwrap_or_else(|| end.saturating_sub(start.max(until)));
        until = until.max(end);
        if end - start > longest.0 {
            longest = (end - start, drafts.owner(side, child));
        }
    }
    (covered, longest.1)
}

impl Scatter {
    /// The numbers for the report.
    pub fn summary(&self) -> Drift {
        Drift { common_ratio: self.center.exp(), between_paths: self.spread }
    }
}

/// Self time of an unmatched node and the unmatched ones below it, when something matched follows below them; `None`
/// when nothing does, so that it is no layer.
fn layer_ns(work: &Work<'_>, side: Side, top: u32) -> Option<u64> {
    let end = work.node(side, top).subtree_end;
    let (mut total, mut passes, mut node) = (0, false, top);
    while node < end {
        if work.is_matched(side, node) {
            passes = true;
            node = work.node(side, node).subtree_end.max(node + 1);
        } else {
            total += work.self_ns(side, node);
            node += 1;
        }
    }
    passes.then_some(total)
}

/// Names what moved everything alike, and charges all time to it that no other finding explains.
pub(super) fn drift(work: &Work<'_>, drafts: &mut Drafts, scatter: &Scatter) {
    if !scatter.is_drift {
        return;
    }
    let mut draft = Draft::new(FindingKind::Drift, work.path(Side::After, 1), Pair::new(vec![1], vec![1]));
    draft.confidence = Confidence::Weak;
    draft.title = format!(
        "everything takes {} as long: {} of {} call paths moved the same way",
        units::ratio(scatter.center.exp()),
        scatter.same_way,
        scatter.count
    );
    draft.evidence.push("look at load, host or environment first: no single span explains it".to_owned());
    let number = drafts.push(draft);
    for side in [Side::Before, Side::After] {
        for node in 1..work.trees.get(side).len() as u32 {
            if work.is_matched(side, node) {
                drafts.own(side, node, number);
            }
        }
    }
}
