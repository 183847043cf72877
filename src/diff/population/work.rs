//! What all steps of a population diff share: profiles in one numbering, trees, alignment, call paths, entry points.

use crate::align::{self, Alignment, MatchReason, Node, ROOT, Tree, UNMATCHED};
use crate::diff::draft::Draft;
use crate::diff::kind::FindingKind;
use crate::diff::options::DiffOptions;
use crate::diff::paths::{PathId, Paths};
use crate::diff::types::MatchInfo;
use crate::model::profile::{KeyCounts, ONE, PathState, Profile, Sums, stable_hash};
use crate::model::{Kind, NO_PARENT, Operation, OperationId, Operations, Pair, Side, SpanId, Symbol, TraceId, units};
use std::sync::Arc;

/// Both sides, to loop over.
pub(super) const SIDES: [Side; 2] = [Side::Before, Side::After];

/// The tests that share a part of the false discovery rate. A family corrects its own tests (Benjamini and Hochberg)
/// at [`Work::level`], so that the comparison as a whole keeps the rate that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Duration, p95, errors and traffic of the entry points.
    Entry,
    /// Times of the call paths below entry points whose own duration changed.
    Explanation,
    /// Times of all other call paths.
    Others,
    /// Presence, calls and own errors.
    Structure,
    /// Databases, hosts, queues that are gone, new, failing.
    Instances,
    /// Attribute values.
    Attributes,
    /// Trace context that is not passed on any more.
    Context,
    /// Links.
    Links,
    /// Siblings that overlap or do not any more.
    Shape,
}

impl Family {
    /// Its part of the false discovery rate; all parts sum to one.
    const fn share(self) -> f64 {
        match self {
            Family::Entry | Family::Explanation | Family::Others => 0.25,
            Family::Structure => 0.15,
            Family::Instances | Family::Attributes | Family::Context | Family::Links | Family::Shape => 0.02,
        }
    }
}

/// The shared state. Node numbers are those of the trees: path index plus one, 0 is the virtual root, which stands
/// for all traces of a side.
pub(super) struct Work<'a> {
    pub options: &'a DiffOptions,
    /// Both profiles, sorted ([`Profile::canonical`]) and with one table of operations.
    pub profiles: Pair<Arc<Profile>>,
    /// One node a call path.
    pub trees: Pair<Tree>,
    pub alignment: Alignment,
    pub paths: Paths,
    pub path_of: Pair<Vec<PathId>>,
    /// Sums over all shards, by node.
    sums: Pair<Vec<Sums>>,
    /// The entry point above each node, by node.
    entry_of: Pair<Vec<u32>>,
    /// False discovery rate of all families together, after what earlier looks have spent.
    q: f64,
}

impl<'a> Work<'a> {
    /// Aligns two profiles that were unified: see [`super::unify`].
    pub fn new(profiles: Pair<Arc<Profile>>, options: &'a DiffOptions, q: f64) -> Work<'a> {
        let trees = profiles.as_ref().map(|profile| tree_of(profile));
        let alignment = align::align(&trees.before, &trees.after, &profiles.after.operations);
        let mut paths = Paths::default();
        let path_of = trees.as_ref().map(|tree| paths.of_tree(tree));
        let sums = profiles.as_ref().map(|profile| {
            let root = Sums { traces: profile.totals.traces, ..entries_together(profile) };
            std::iter::once(root).chain(profile.paths().iter().map(|path| path.state.shards.total())).collect()
        });
        let entry_of = trees.as_ref().map(entries);
        Work { options, profiles, trees, alignment, paths, path_of, sums, entry_of, q }
    }

    /// The level at which a family's corrected p values count.
    pub fn level(&self, family: Family) -> f64 {
        self.q * family.share()
    }

    /// The level of all families together.
    pub const fn all_level(&self) -> f64 {
        self.q
    }

    /// The state of a node; `None` for the virtual root.
    pub fn state(&self, side: Side, node: u32) -> Option<&PathState> {
        self.profiles.get(side).paths().get((node as usize).checked_sub(1)?).map(|path| &path.state)
    }

    /// A node's sums over all shards. Those of the virtual root are of all entry points; its traces are all traces.
    pub fn sums(&self, side: Side, node: u32) -> Sums {
        self.sums.get(side).get(node as usize).copied().unwrap_or_default()
    }

    /// Traces in which a node occurs, each counted once whatever its weight.
    pub fn traces(&self, side: Side, node: u32) -> u64 {
        self.sums.get(side).get(node as usize).map_or(0, |sums| sums.traces)
    }

    /// Spans at a node, sampled ones by their weights.
    pub fn spans(&self, side: Side, node: u32) -> u64 {
        whole(self.sums(side, node).calls)
    }

    /// Mean of a weighted sum for each trace in which the node occurs; 0 when it occurs in none.
    pub fn per_trace(&self, side: Side, node: u32, sum: fn(&Sums) -> u128) -> f64 {
        let sums = self.sums(side, node);
        if sums.weight == 0 { 0.0 } else { sum(&sums) as f64 / sums.weight as f64 }
    }

    pub fn node(&self, side: Side, node: u32) -> &Node {
        self.trees.get(side).node(node)
    }

    /// The parent's node, [`ROOT`] for an entry point.
    pub fn parent(&self, side: Side, node: u32) -> u32 {
        if node == ROOT { ROOT } else { self.node(side, node).parent }
    }

    pub fn children(&self, side: Side, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.trees.get(side).children(node)
    }

    /// All nodes of a side but the virtual root, parents before children.
    pub fn nodes(&self, side: Side) -> std::ops::Range<u32> {
        1..self.trees.get(side).len() as u32
    }

    /// The node that corresponds to a node of this side. The virtual roots correspond to each other.
    pub fn partner(&self, side: Side, node: u32) -> Option<u32> {
        Some(self.alignment.partner(side, node)).filter(|&partner| partner != UNMATCHED)
    }

    pub fn is_matched(&self, side: Side, node: u32) -> bool {
        self.alignment.is_matched(side, node)
    }

    /// Nodes that correspond to each other, in order of the before side, without the virtual roots.
    pub fn matched(&self) -> impl Iterator<Item = Pair<u32>> + '_ {
        self.alignment.pairs().map(|(before, after)| Pair::new(before, after))
    }

    /// How a node was matched.
    pub fn match_info(&self, side: Side, node: u32) -> MatchInfo {
        match self.alignment.reason(side, node) {
            Some((reason, score)) => MatchInfo { score, reason: reason.name() },
            None => MatchInfo { score: 0.0, reason: "none" },
        }
    }

    /// A draft at one place: a node of each side that correspond to each other, or a node of one side alone.
    pub fn draft(&self, kind: FindingKind, place: Pair<Option<u32>>) -> Draft {
        let (side, node) = match (place.before, place.after) {
            (_, Some(after)) => (Side::After, after),
            (before, None) => (Side::Before, before.unwrap_or(ROOT)),
        };
        let path = self.path(side, node);
        let mut draft = Draft::new(kind, path, place.map(|node| node.into_iter().collect()));
        draft.from_path = place.before.map(|before| self.path(Side::Before, before)).filter(|&from| from != path);
        draft.matched = self.match_info(side, node);
        draft
    }

    /// Whether a node was matched for this reason.
    pub fn is_match(&self, side: Side, node: u32, reason: MatchReason) -> bool {
        self.alignment.reason(side, node).is_some_and(|(why, _)| why == reason)
    }

    /// The entry point above a node (the node itself when it is one).
    pub fn entry(&self, side: Side, node: u32) -> u32 {
        self.entry_of.get(side).get(node as usize).copied().unwrap_or(ROOT)
    }

    pub fn path(&self, side: Side, node: u32) -> PathId {
        self.path_of.get(side).get(node as usize).copied().unwrap_or(PathId::ROOT)
    }

    /// The table that both sides' operations count in.
    pub fn operations(&self) -> &Operations {
        &self.profiles.after.operations
    }

    /// An operation by its number; that of an empty name for one that is not in the table.
    pub fn operation(&self, id: OperationId) -> Operation {
        let nameless = || Operation { service: "".into(), kind: Kind::Internal, name: "".into() };
        self.operations().get(id).cloned().unwrap_or_else(nameless)
    }

    /// The operation of a node; `None` for the virtual root.
    pub fn operation_at(&self, side: Side, node: u32) -> Option<&Operation> {
        self.operations().get(self.node(side, node).operation)
    }

    /// The operation of a node as text, `service: name`.
    pub fn label(&self, side: Side, node: u32) -> String {
        self.operation_at(side, node).map_or_else(|| "the entry point".to_owned(), ToString::to_string)
    }

    /// A text of one side. Symbols of different sides cannot be compared, texts can.
    pub fn text(&self, side: Side, symbol: Symbol) -> &str {
        self.profiles.get(side).strings.get(symbol)
    }

    /// Example spans of a node, best first: one that failed when `failed`, then by smallest hash.
    pub fn exemplars(&self, side: Side, node: u32, failed: bool) -> Vec<(TraceId, SpanId)> {
        let Some(state) = self.state(side, node) else { return Vec::new() };
        let first = state.exemplars.failed.filter(|_| failed);
        let mut ids: Vec<_> = Vec::new();
        for span in first.iter().chain(&state.exemplars.sample) {
            let id = (span.trace_id, span.span_id);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

/// The sums over the entry points.
fn entries_together(profile: &Profile) -> Sums {
    let mut all = Sums::default();
    for path in profile.paths().iter().filter(|path| path.parent == NO_PARENT) {
        all.add(&path.state.shards.total());
    }
    all
}

fn tree_of(profile: &Profile) -> Tree {
    Tree::new(profile.paths().iter().map(|path| {
        let sums = path.state.shards.total();
        Node {
            operation: path.operation,
            parent: if path.parent == NO_PARENT { ROOT } else { path.parent + 1 },
            subtree_end: 0,
            failed: 2 * sums.failed_calls > sums.calls,
            orphan: false,
            start_ns: 0,
            duration_ns: sums.duration_ns.checked_div(sums.calls).and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0),
            likeness: likeness(profile, &path.state),
        }
    }))
}

/// What says what a call does, and stays the same wherever it is called from.
const IDENTITY: [&str; 8] = [
    "db.query.summary",
    "db.query.text",
    "db.collection.name",
    "http.route",
    "url.template",
    "rpc.method",
    "messaging.destination.name",
    "gen_ai.request.model",
];

/// A hash of what all calls of a path have in common of that; 0 when there is nothing.
fn likeness(profile: &Profile, state: &PathState) -> u64 {
    let mut text = String::new();
    for key in IDENTITY {
        if let Some([only]) = state.attributes.get(key).filter(|counts| !counts.more).map(KeyCounts::values) {
            text.push_str(key);
            text.push('=');
            text.push_str(profile.strings.get(only.value));
            text.push('\n');
        }
    }
    if text.is_empty() { 0 } else { stable_hash(text.as_bytes()).max(1) }
}

/// The entry point above every node.
fn entries(tree: &Tree) -> Vec<u32> {
    let mut entries: Vec<u32> = Vec::with_capacity(tree.len());
    for (index, node) in tree.nodes().iter().enumerate() {
        let above = entries.get(node.parent as usize).copied().unwrap_or(ROOT);
        entries.push(if above == ROOT { index as u32 } else { above });
    }
    entries
}

/// A weighted sum as a number of traces, calls or nanoseconds.
pub(super) fn plain(sum: u128) -> f64 {
    sum as f64 / ONE as f64
}

/// A weighted sum as a whole number of traces, calls or nanoseconds, rounded.
pub(super) fn whole(sum: u128) -> u64 {
    u64::try_from((sum + u128::from(ONE / 2)) / u128::from(ONE)).unwrap_or(u64::MAX)
}

/// So many of so many as a share in words.
pub(super) fn share(some: u64, all: u64) -> String {
    units::percent(some as f64 / all.max(1) as f64)
}
