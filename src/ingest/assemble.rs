//! Spans in any order become one repaired trace. Every repair is counted and none shows up as a change.
//!
//! The steps, each linear and without recursion: times are clamped; each span id is kept once; parents are looked up
//! by id; consumers that only have a link go under their producer; cycles are cut; what has no parent in the data is
//! placed; clocks are corrected (`skew`); what still lies outside its parent is marked.
//!
//! Placing spans without a parent in the data:
//! - A span whose parent is in another process (span flags, else a server or consumer) is a *local entry point*. Where
//!   the trace has a real root it hangs there as detached, since the hop between was not recorded. Where it has none
//!   we look from beside one service, and all local entry points stay roots: requests in their own right.
//! - Any other goes below the latest-starting span around it whose operation is seen with such a child elsewhere in
//!   this trace; else below the first root as an orphan.
//! - Of several real roots the earliest names the entry point, the others hang below it as detached.

use super::skew;
use crate::model::{
    Kind, NO_PARENT, Operations, Span, SpanId, SpanMarks, SpanStore, Symbol, Trace, TraceId, Warning, Warnings,
};
use petgraph::unionfind::UnionFind;
use std::collections::{HashMap, HashSet};

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
type Set<K> = HashSet<K, foldhash::fast::RandomState>;

/// Times are kept in this range so that differences fit a signed number: 1970 to 2262.
const MAX_TIME_NS: u64 = i64::MAX as u64;
/// Candidates looked at for the parent of one orphan.
const MAX_CANDIDATES: usize = 64;
/// An operation seen below more different parents than this could be anywhere: no reason to put an orphan there.
const MAX_PARENTS: usize = 64;
/// A child may start so much before its parent without a word: exporters round to microseconds.
const ROUNDING_NS: u64 = 1_000;

/// Puts the spans of one trace together. Spans that come in are in the trace or counted as duplicates.
pub fn assemble(mut store: SpanStore, id: TraceId, warnings: &mut Warnings) -> Trace {
    clamp_times(&mut store.spans, warnings);
    let ids = Ids::new(&mut store, warnings);
    let mut origins = find_parents(&mut store, &ids);
    drop(ids);
    cut_cycles(&mut store.spans, &mut origins, warnings);
    place_rootless(&mut store, &origins, warnings);
    skew::correct(&mut store, warnings);
    mark_clipped(&mut store.spans, warnings);
    Trace::new(id, store, Operations::default())
}

/// Counts spans of one kind of repair; the example is the smallest id, so that the order of input does not show.
#[derive(Default)]
pub(super) struct Tally {
    count: u64,
    example: Option<SpanId>,
}

impl Tally {
    /// Counts a span.
    pub(super) fn add(&mut self, id: SpanId) {
        self.count += 1;
        self.example = Some(self.example.map_or(id, |example| example.min(id)));
    }

    /// Hands over what was counted.
    pub(super) fn report(self, warnings: &mut Warnings, warning: Warning) {
        if let Some(id) = self.example {
            warnings.add(warning, self.count - 1);
            warnings.add_with(warning, || format!("span {id}"));
        }
    }
}

fn clamp_times(spans: &mut [Span], warnings: &mut Warnings) {
    let (mut overflowing, mut negative) = (Tally::default(), Tally::default());
    for span in spans {
        if span.start_ns > MAX_TIME_NS || span.end_ns > MAX_TIME_NS {
            span.start_ns = span.start_ns.min(MAX_TIME_NS);
            span.end_ns = span.end_ns.min(MAX_TIME_NS);
            overflowing.add(span.id);
        }
        if span.end_ns < span.start_ns {
            span.end_ns = span.start_ns;
            negative.add(span.id);
        }
    }
    overflowing.report(warnings, Warning::TimeOverflow);
    negative.report(warnings, Warning::NegativeDuration);
}

/// The spans that carry one id: usually one; two for a call of Zipkin, whose server shares its client's id.
#[derive(Clone, Copy)]
struct Bearers {
    caller: u32,
    callee: u32,
}

/// Spans by their ids.
struct Ids {
    by_id: Map<(TraceId, SpanId), Bearers>,
}

impl Ids {
    /// Indexes spans and takes duplicates out of the store.
    fn new(store: &mut SpanStore, warnings: &mut Warnings) -> Ids {
        let mut ids =
            Ids { by_id: Map::with_capacity_and_hasher(store.spans.len(), foldhash::fast::RandomState::default()) };
        let mut duplicates = Vec::new();
        for index in 0..store.spans.len() as u32 {
            ids.insert(store, index, &mut duplicates);
        }
        ids.drop_false_pairs(store, &mut duplicates);
        if duplicates.is_empty() {
            return ids;
        }
        let mut tally = Tally::default();
        duplicates.iter().filter_map(|&index| store.spans.get(index as usize)).for_each(|span| tally.add(span.id));
        tally.report(warnings, Warning::DuplicateSpan);
        duplicates.sort_unstable();
        let places = remove(&mut store.spans, &duplicates);
        for bearers in ids.by_id.values_mut() {
            for slot in [&mut bearers.caller, &mut bearers.callee] {
                *slot = places.get(*slot as usize).copied().unwrap_or(NO_PARENT);
            }
        }
        ids
    }

    fn insert(&mut self, store: &SpanStore, index: u32, duplicates: &mut Vec<u32>) {
        let Some(span) = store.spans.get(index as usize) else { return };
        let none = Bearers { caller: NO_PARENT, callee: NO_PARENT };
        let bearers = self.by_id.entry((span.trace_id, span.id)).or_insert(none);
        let receives = span.marks.has(SpanMarks::SHARED) || span.kind.is_incoming();
        let slot = if receives { &mut bearers.callee } else { &mut bearers.caller };
        match store.spans.get(*slot as usize) {
            None => *slot = index,
            Some(kept) if better(store, span, kept) => duplicates.push(std::mem::replace(slot, index)),
            Some(_) => duplicates.push(index),
        }
    }

    /// A caller and a callee of one id are two sides of a call only if one of them says so.
    fn drop_false_pairs(&mut self, store: &SpanStore, duplicates: &mut Vec<u32>) {
        for bearers in self.by_id.values_mut() {
            let spans = &store.spans;
            let (Some(caller), Some(callee)) = (spans.get(bearers.caller as usize), spans.get(bearers.callee as usize))
            else {
                continue;
            };
            if caller.kind.is_outgoing() || callee.marks.has(SpanMarks::SHARED) {
                continue;
            }
            let lost = if better(store, caller, callee) { &mut bearers.callee } else { &mut bearers.caller };
            duplicates.push(std::mem::replace(lost, NO_PARENT));
        }
    }

    /// The span that a span of the given service names by this id as its parent.
    fn parent(&self, store: &SpanStore, span: &Span) -> Option<u32> {
        let bearers = self.by_id.get(&(span.trace_id, span.parent_id))?;
        let service = |index: u32| store.spans.get(index as usize).map(|span| store.service_symbol(span));
        let beside_callee = service(bearers.callee) == Some(store.service_symbol(span));
        let parent = match (bearers.caller, bearers.callee) {
            (NO_PARENT, callee) => callee,
            (caller, NO_PARENT) => caller,
            (caller, callee) => {
                if beside_callee {
                    callee
                } else {
                    caller
                }
            }
        };
        (parent != NO_PARENT).then_some(parent)
    }
}

/// Which of two spans with one id is kept: the fuller one, then the longer one; at last their bytes decide, so that
/// the order in which they came does not.
fn better(store: &SpanStore, span: &Span, than: &Span) -> bool {
    let key =
        |span: &Span| (span.body.len, span.end_ns, std::cmp::Reverse(span.start_ns), span.kind, span.status as u8);
    (key(span), store.bytes(span.body)) > (key(than), store.bytes(than.body))
}

/// Removes the spans at sorted indices; says where each of the others is now.
fn remove(spans: &mut Vec<Span>, indices: &[u32]) -> Vec<u32> {
    let mut places = Vec::with_capacity(spans.len());
    let mut next = indices.iter().copied().peekable();
    let mut kept = 0;
    for index in 0..spans.len() as u32 {
        if next.peek() == Some(&index) {
            next.next();
            places.push(NO_PARENT);
        } else {
            places.push(kept);
            kept += 1;
        }
    }
    let mut place = places.iter();
    spans.retain(|_| place.next() != Some(&NO_PARENT));
    places
}

/// Why a span has no parent, if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It has one.
    Parent,
    /// It names none.
    Root,
    /// Its parent is in another process and not in the data.
    LocalEntry,
    /// Its parent is not in the data.
    Missing,
    /// Its parents were a circle, which was cut here.
    Cut,
}

/// Fills `parent` from the ids and says why where there is none.
fn find_parents(store: &mut SpanStore, ids: &Ids) -> Vec<Origin> {
    let mut origins = Vec::with_capacity(store.spans.len());
    for index in 0..store.spans.len() {
        let Some(span) = store.spans.get(index) else { break };
        let (parent, origin, linked) = find_parent(store, ids, span, index as u32);
        origins.push(origin);
        if let Some(span) = store.spans.get_mut(index) {
            span.parent = parent;
            if linked {
                span.marks = span.marks.with(SpanMarks::LINKED);
            }
        }
    }
    origins
}

fn find_parent(store: &SpanStore, ids: &Ids, span: &Span, index: u32) -> (u32, Origin, bool) {
    let caller = ids.by_id.get(&(span.trace_id, span.id)).map_or(NO_PARENT, |bearers| bearers.caller);
    if caller != NO_PARENT && caller != index {
        return (caller, Origin::Parent, false);
    }
    if span.parent_id.is_none() {
        let producer = linked_producer(store, ids, span, index);
        return producer.map_or((NO_PARENT, Origin::Root, false), |producer| (producer, Origin::Parent, true));
    }
    if let Some(parent) = ids.parent(store, span) {
        return (parent, Origin::Parent, false);
    }
    let remote = span.marks.has(SpanMarks::REMOTE_PARENT)
        || (span.kind.is_incoming() && !span.marks.has(SpanMarks::LOCAL_PARENT));
    (NO_PARENT, if remote { Origin::LocalEntry } else { Origin::Missing }, false)
}

/// The span of this trace that a consumer without a parent links to: the first link that leads somewhere.
fn linked_producer(store: &SpanStore, ids: &Ids, span: &Span, index: u32) -> Option<u32> {
    if span.kind != Kind::Consumer {
        return None;
    }
    store.links(span).find_map(|link| {
        let bearers = ids.by_id.get(&(link.trace_id?, link.span_id?))?;
        [bearers.caller, bearers.callee].into_iter().find(|&to| to != NO_PARENT && to != index)
    })
}

/// Cuts each circle of parents at its earliest span, preferring one that only a link put there.
///
/// A span has one parent at most, so the link to a parent closes a circle exactly if the two hang together already.
fn cut_cycles(spans: &mut [Span], origins: &mut [Origin], warnings: &mut Warnings) {
    let mut together = UnionFind::<u32>::new(spans.len());
    let mut cycles = Tally::default();
    for at in 0..spans.len() as u32 {
        let parent = spans.get(at as usize).map_or(NO_PARENT, |span| span.parent);
        // An error is a parent that is not there: a root.
        if together.try_union(at, parent) != Ok(false) {
            continue;
        }
        let cut = earliest_of_circle(spans, at);
        if let (Some(span), Some(origin)) = (spans.get_mut(cut as usize), origins.get_mut(cut as usize)) {
            span.parent = NO_PARENT;
            if span.marks.has(SpanMarks::LINKED) {
                span.marks = SpanMarks(span.marks.0 & !SpanMarks::LINKED.0);
                *origin = Origin::Root;
            } else {
                *origin = Origin::Cut;
                cycles.add(span.id);
            }
        }
    }
    cycles.report(warnings, Warning::Cycle);
}

fn earliest_of_circle(spans: &[Span], from: u32) -> u32 {
    let key = |index: u32| spans.get(index as usize).map(|span| (!span.marks.has(SpanMarks::LINKED), age(span)));
    let (mut best, mut at) = (from, from);
    loop {
        at = spans.get(at as usize).map_or(from, |span| span.parent);
        if at == from {
            return best;
        }
        if key(at) < key(best) {
            best = at;
        }
    }
}

/// What makes a span earlier than another: start, then the longer one, then the id; of the two that may share an id the
/// caller.
fn age(span: &Span) -> (u64, std::cmp::Reverse<u64>, SpanId, Kind, bool) {
    (span.start_ns, std::cmp::Reverse(span.end_ns), span.id, span.kind, span.marks.has(SpanMarks::SHARED))
}

/// Gives spans without a parent in the data their place.
fn place_rootless(store: &mut SpanStore, origins: &[Origin], warnings: &mut Warnings) {
    let rootless: Vec<u32> =
        (0u32..).zip(store.spans.iter()).filter(|(_, span)| span.parent == NO_PARENT).map(|(index, _)| index).collect();
    let Some(root) = main_root(&store.spans, origins, &rootless) else { return };
    let origin_of = |index: u32| origins.get(index as usize).copied().unwrap_or(Origin::Root);
    let peers = origin_of(root) == Origin::LocalEntry;
    let orphans: Vec<u32> = rootless.iter().copied().filter(|&index| origin_of(index) == Origin::Missing).collect();
    let places = Adoption::new(store, &rootless, &orphans).places(store);
    let (mut missing, mut detached) = (Tally::default(), Tally::default());
    for &index in &rootless {
        let origin = origin_of(index);
        let adopted = places.get(&index).copied().filter(|_| index != root);
        let Some(span) = store.spans.get_mut(index as usize) else { continue };
        if origin == Origin::Missing {
            missing.add(span.id);
        }
        if index == root || (peers && origin == Origin::LocalEntry) {
            continue;
        }
        span.parent = adopted.unwrap_or(root);
        let mark = match origin {
            Origin::Missing if adopted.is_some() => continue,
            Origin::Missing => SpanMarks::ORPHAN,
            Origin::Cut => SpanMarks::DETACHED,
            Origin::Parent | Origin::Root | Origin::LocalEntry => {
                detached.add(span.id);
                SpanMarks::DETACHED
            }
        };
        span.marks = span.marks.with(mark);
    }
    missing.report(warnings, Warning::MissingParent);
    detached.report(warnings, Warning::DetachedRoot);
}

/// The span that names the entry point: the earliest real root, else the earliest local entry point, else the
/// earliest of what is there.
fn main_root(spans: &[Span], origins: &[Origin], rootless: &[u32]) -> Option<u32> {
    let rank = |index: u32| match origins.get(index as usize) {
        Some(Origin::Root) => 0,
        Some(Origin::LocalEntry) => 1,
        Some(Origin::Cut) => 2,
        _ => 3,
    };
    rootless.iter().copied().min_by_key(|&index| (rank(index), spans.get(index as usize).map(age)))
}

/// Service and display name: what stands for an operation before identity is known.
type Likeness = (Symbol, Symbol);

fn likeness(store: &SpanStore, span: &Span) -> Likeness {
    (store.service_symbol(span), span.name)
}

/// Looks for parents of orphans among spans whose own parents are intact.
struct Adoption<'a> {
    orphans: &'a [u32],
    /// Which operations are seen as parents of which, for the orphans' operations.
    parents_of: Map<Likeness, Set<Likeness>>,
    /// The intact spans of each such parent operation, by start.
    by_operation: Map<Likeness, Vec<u32>>,
}

impl<'a> Adoption<'a> {
    fn new(store: &SpanStore, rootless: &[u32], orphans: &'a [u32]) -> Self {
        let mut adoption = Adoption { orphans, parents_of: Map::default(), by_operation: Map::default() };
        if orphans.is_empty() || orphans.len() == rootless.len() {
            return adoption;
        }
        let span_of = |index: u32| store.spans.get(index as usize);
        adoption.parents_of =
            orphans.iter().filter_map(|&index| span_of(index)).map(|s| (likeness(store, s), Set::default())).collect();
        for span in &store.spans {
            let parent = span_of(span.parent).filter(|_| !span.marks.has(SpanMarks::LINKED));
            if let (Some(parent), Some(seen)) = (parent, adoption.parents_of.get_mut(&likeness(store, span))) {
                seen.insert(likeness(store, parent));
            }
        }
        for likeness in adoption.parents_of.values().flatten() {
            adoption.by_operation.entry(*likeness).or_default();
        }
        let below_orphan = below(&store.spans, orphans);
        for (index, span) in (0u32..).zip(&store.spans) {
            if below_orphan.get(index as usize) == Some(&false)
                && let Some(list) = adoption.by_operation.get_mut(&likeness(store, span))
            {
                list.push(index);
            }
        }
        for list in adoption.by_operation.values_mut() {
            list.sort_unstable_by_key(|&index| span_of(index).map(age));
        }
        adoption
    }

    /// The parents that were found.
    fn places(&self, store: &SpanStore) -> Map<u32, u32> {
        let mut places = Map::default();
        for &orphan in self.orphans {
            let Some(span) = store.spans.get(orphan as usize) else { continue };
            let parents = self.parents_of.get(&likeness(store, span)).filter(|parents| parents.len() <= MAX_PARENTS);
            let Some(parents) = parents else { continue };
            let found = parents
                .iter()
                .filter_map(|parent| self.around(store, span, *parent))
                .max_by_key(|&index| store.spans.get(index as usize).map(age));
            if let Some(found) = found {
                places.insert(orphan, found);
            }
        }
        places
    }

    /// The latest-starting span of an operation that encloses a span.
    fn around(&self, store: &SpanStore, span: &Span, operation: Likeness) -> Option<u32> {
        let list = self.by_operation.get(&operation)?;
        let start_of = |index: u32| store.spans.get(index as usize).map_or(0, |span| span.start_ns);
        let end_of = |index: u32| store.spans.get(index as usize).map_or(0, |span| span.end_ns);
        let behind = list.partition_point(|&index| start_of(index) <= span.start_ns);
        let candidates = list.get(..behind)?.iter().rev().take(MAX_CANDIDATES).copied();
        candidates.into_iter().find(|&index| end_of(index) >= span.end_ns)
    }
}

/// For each span whether it is one of `tops` or lies below one.
fn below(spans: &[Span], tops: &[u32]) -> Vec<bool> {
    let mut known: Vec<Option<bool>> = spans.iter().map(|span| (span.parent == NO_PARENT).then_some(false)).collect();
    for &top in tops {
        if let Some(slot) = known.get_mut(top as usize) {
            *slot = Some(true);
        }
    }
    let mut path = Vec::new();
    for start in 0..spans.len() as u32 {
        let mut at = start;
        while let Some(None) = known.get(at as usize) {
            path.push(at);
            at = spans.get(at as usize).map_or(NO_PARENT, |span| span.parent);
        }
        let answer = known.get(at as usize).copied().flatten().unwrap_or(false);
        for index in path.drain(..) {
            if let Some(slot) = known.get_mut(index as usize) {
                *slot = Some(answer);
            }
        }
    }
    known.into_iter().map(|below| below == Some(true)).collect()
}

/// Marks children that cannot be where they are: that start before their parent, or after its end. A child that
/// merely outlives its parent is asynchronous work, and so is every message.
fn mark_clipped(spans: &mut [Span], warnings: &mut Warnings) {
    let mut clipped = Tally::default();
    for index in 0..spans.len() {
        let Some(span) = spans.get(index) else { break };
        let Some(parent) = spans.get(span.parent as usize) else { continue };
        let timed = Trace::is_timed_child(span) && span.kind != Kind::Consumer;
        let early = span.start_ns.saturating_add(ROUNDING_NS) < parent.start_ns;
        let late = span.start_ns > parent.end_ns.saturating_add(ROUNDING_NS);
        if timed
            && (early || late)
            && let Some(span) = spans.get_mut(index)
        {
            span.marks = span.marks.with(SpanMarks::CLIPPED);
            clipped.add(span.id);
        }
    }
    clipped.report(warnings, Warning::ClippedChild);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attributes::{Packer, SpanHead, field};
    use crate::model::{Body, Resource, Scope, Status, Value};
    use proptest::prelude::*;
    use std::sync::Arc;

    const MS: u64 = 1_000_000;
    const T: u64 = 1_700_000_000_000 * MS;
    const TRACE: TraceId = TraceId(7);

    /// A span: id, parent id, service, name, start and end in ms after `T`, kind.
    #[derive(Clone, Debug)]
    struct Made {
        id: u64,
        parent: u64,
        service: String,
        name: String,
        ms: (u64, u64),
        kind: Kind,
        marks: SpanMarks,
        links: Vec<u64>,
        status: Status,
    }

    fn made(id: u64, parent: u64, service: &str, name: &str, ms: (u64, u64), kind: Kind) -> Made {
        let (service, name) = (service.to_owned(), name.to_owned());
        Made { id, parent, service, name, ms, kind, marks: SpanMarks::default(), links: vec![], status: Status::Unset }
    }

    impl Made {
        fn marked(self, marks: SpanMarks) -> Made {
            Made { marks, ..self }
        }

        fn linked(self, links: &[u64]) -> Made {
            Made { links: links.to_vec(), ..self }
        }
    }

    fn store(spans: &[Made]) -> SpanStore {
        let mut store = SpanStore::default();
        let mut packer = Packer::new();
        for made in spans {
            let service = store.symbols.intern(&made.service);
            let resource = store.resources.iter().position(|resource| resource.service == service);
            let resource = resource.unwrap_or_else(|| {
                store.resources.push(Resource { service, body: Body::default() });
                store.resources.len() - 1
            });
            let head = SpanHead {
                trace_id: TRACE,
                id: SpanId(made.id),
                parent_id: SpanId(made.parent),
                name: &made.name,
                kind: made.kind,
                start_ns: T + made.ms.0 * MS,
                end_ns: T + made.ms.1 * MS,
                status: made.status,
                ..SpanHead::default()
            };
            let start = packer.len() as u32;
            packer.span_head(&head);
            packer.attribute(field::SPAN_ATTRIBUTES, "a", &Value::Int(1));
            for &link in &made.links {
                let open = packer.begin_link(TRACE, SpanId(link));
                packer.end(open);
            }
            store.spans.push(Span {
                trace_id: TRACE,
                id: head.id,
                parent_id: head.parent_id,
                start_ns: head.start_ns,
                end_ns: head.end_ns,
                name: store.symbols.intern(&made.name),
                resource: resource as u32,
                scope: 0,
                body: Body { chunk: 0, start, len: packer.len() as u32 - start },
                operation: crate::model::OperationId::NONE,
                parent: NO_PARENT,
                kind: made.kind,
                status: made.status,
                marks: made.marks,
            });
        }
        let empty = Symbol::EMPTY;
        store.scopes.push(Scope { name: empty, version: empty, schema_url: empty, body: Body::default() });
        store.chunks.push(Arc::from(packer.into_bytes()));
        store
    }

    fn shown(trace: &Trace) -> Vec<String> {
        let mut depth = vec![0usize; trace.len()];
        let mut lines = Vec::new();
        for (index, span) in trace.spans().iter().enumerate() {
            if let Some(parent) = depth.get(span.parent as usize).copied() {
                depth[index] = parent + 1;
            }
            let marks = [
                (SpanMarks::CLIPPED, "clipped"),
                (SpanMarks::DETACHED, "detached"),
                (SpanMarks::ORPHAN, "orphan"),
                (SpanMarks::LINKED, "linked"),
            ];
            let marks: Vec<&str> = marks.iter().filter(|(mark, _)| span.marks.has(*mark)).map(|(_, n)| *n).collect();
            let (start, end) = (span.start_ns as i64 - T as i64, span.end_ns as i64 - T as i64);
            let times = format!("{}-{}", start / MS as i64, end / MS as i64);
            let line = format!("{}{} {times} {}", "  ".repeat(depth[index]), trace.store.name(span), marks.join(" "));
            lines.push(line.trim_end().to_owned());
        }
        lines
    }

    /// Assembles, in the given order and backwards, and compares tree and warnings.
    fn check(spans: &[Made], tree: &[&str], expected: &[(Warning, u64)]) {
        let backwards: Vec<Made> = spans.iter().rev().cloned().collect();
        let mut first = None;
        for spans in [spans, &backwards] {
            let mut warnings = Warnings::default();
            let trace = assemble(store(spans), TRACE, &mut warnings);
            assert_eq!(shown(&trace), tree);
            let counts: Vec<_> = warnings.iter().map(|(warning, counted)| (warning, counted.count)).collect();
            assert_eq!(counts, expected);
            assert_eq!(spans.len() as u64, trace.len() as u64 + warnings.spans_lost());
            assert_eq!(*first.get_or_insert(warnings.clone()), warnings, "examples do not depend on the order");
        }
    }

    use Kind::{Client, Consumer, Internal, Producer, Server};

    #[test]
    fn an_intact_trace_is_left_alone() {
        check(
            &[
                made(3, 2, "b", "work", (12, 28), Internal),
                made(1, 0, "a", "GET", (0, 50), Server),
                made(4, 1, "b", "POST", (10, 30), Client),
                made(2, 4, "b", "serve", (11, 29), Server),
            ],
            &["GET 0-50", "  POST 10-30", "    serve 11-29", "      work 12-28"],
            &[],
        );
    }

    #[test]
    fn the_same_span_twice_is_kept_once_the_fuller_one() {
        check(
            &[
                made(1, 0, "a", "r", (0, 50), Server),
                made(2, 1, "a", "short", (1, 2), Internal),
                made(2, 1, "a", "longer name", (1, 3), Internal),
                made(2, 1, "a", "short", (1, 2), Internal),
            ],
            &["r 0-50", "  longer name 1-3"],
            &[(Warning::DuplicateSpan, 2)],
        );
    }

    #[test]
    fn a_client_and_a_server_of_one_id_are_the_two_sides_of_a_call() {
        for marks in [SpanMarks::SHARED, SpanMarks::default()] {
            check(
                &[
                    made(1, 0, "a", "get", (0, 90), Server),
                    made(2, 1, "a", "post", (10, 80), Client),
                    made(2, 1, "b", "serve", (11, 79), Server).marked(marks),
                    made(3, 2, "b", "in b", (12, 20), Internal),
                    made(4, 2, "a", "in a", (13, 20), Internal),
                ],
                &["get 0-90", "  post 10-80", "    serve 11-79", "      in b 12-20", "    in a 13-20"],
                &[],
            );
        }
    }

    #[test]
    fn two_spans_of_one_id_that_do_not_call_are_duplicates() {
        check(
            &[
                made(1, 0, "a", "r", (0, 50), Internal),
                made(2, 1, "a", "x", (1, 5), Internal),
                made(2, 1, "a", "x", (1, 4), Server),
            ],
            &["r 0-50", "  x 1-5"],
            &[(Warning::DuplicateSpan, 1)],
        );
    }

    #[test]
    fn a_view_from_beside_one_service_has_many_local_entry_points() {
        check(
            &[
                made(1, 90, "a", "GET 1", (0, 10), Server),
                made(2, 91, "a", "GET 2", (5, 20), Server),
                made(3, 92, "a", "job", (30, 40), Internal).marked(SpanMarks::REMOTE_PARENT),
                made(4, 2, "a", "work", (6, 7), Internal),
            ],
            &["GET 1 0-10", "GET 2 5-20", "  work 6-7", "job 30-40"],
            &[],
        );
    }

    #[test]
    fn a_local_entry_point_hangs_under_the_real_root_of_its_trace() {
        check(
            &[made(1, 0, "a", "r", (10, 50), Server), made(2, 99, "b", "s", (5, 20), Server)],
            &["r 10-50", "  s 5-20 detached"],
            &[(Warning::DetachedRoot, 1)],
        );
    }

    #[test]
    fn an_orphan_goes_where_its_like_is_seen_else_under_the_root() {
        check(
            &[
                made(1, 0, "a", "r", (0, 100), Server),
                made(2, 1, "a", "load", (10, 30), Internal),
                made(3, 2, "a", "query", (11, 20), Client),
                made(4, 1, "a", "load", (40, 60), Internal),
                made(5, 99, "a", "query", (45, 50), Client),
                made(6, 99, "a", "other", (46, 47), Internal),
                made(7, 6, "a", "query", (46, 47), Client),
                made(8, 99, "a", "query", (70, 75), Client),
                made(9, 99, "b", "s", (20, 30), Server).marked(SpanMarks::LOCAL_PARENT),
            ],
            &[
                "r 0-100",
                "  load 10-30",
                "    query 11-20",
                "  s 20-30 orphan",
                "  load 40-60",
                "    query 45-50",
                "  other 46-47 orphan",
                "    query 46-47",
                "  query 70-75 orphan",
            ],
            &[(Warning::MissingParent, 4)],
        );
    }

    #[test]
    fn without_any_root_the_earliest_span_is_it() {
        check(
            &[
                made(1, 99, "a", "late", (10, 20), Internal),
                made(2, 98, "a", "early", (0, 50), Client),
                made(3, 2, "a", "child", (1, 2), Internal),
            ],
            &["early 0-50", "  child 1-2", "  late 10-20 orphan"],
            &[(Warning::MissingParent, 2)],
        );
    }

    #[test]
    fn the_earliest_of_several_roots_names_the_entry_point() {
        check(
            &[
                made(2, 0, "a", "second", (5, 90), Server),
                made(1, 0, "a", "first", (0, 50), Server),
                made(3, 0, "a", "third", (6, 7), Internal),
            ],
            &["first 0-50", "  second 5-90 detached", "  third 6-7 detached"],
            &[(Warning::DetachedRoot, 2)],
        );
    }

    #[test]
    fn circles_and_spans_that_are_their_own_parents_are_cut_at_the_earliest() {
        check(
            &[
                made(1, 3, "a", "x", (0, 50), Internal),
                made(2, 1, "a", "y", (1, 40), Internal),
                made(3, 2, "a", "z", (2, 30), Internal),
                made(4, 3, "a", "leaf", (3, 20), Internal),
            ],
            &["x 0-50", "  y 1-40", "    z 2-30", "      leaf 3-20"],
            &[(Warning::Cycle, 1)],
        );
        check(
            &[made(1, 0, "a", "r", (0, 50), Server), made(2, 2, "a", "self", (5, 9), Internal)],
            &["r 0-50", "  self 5-9 detached"],
            &[(Warning::Cycle, 1)],
        );
    }

    #[test]
    fn times_are_clamped() {
        let mut spans = store(&[made(1, 0, "a", "r", (10, 5), Server), made(2, 1, "a", "c", (11, 12), Internal)]);
        spans.spans[1].end_ns = u64::MAX;
        let mut warnings = Warnings::default();
        let trace = assemble(spans, TRACE, &mut warnings);
        assert_eq!(warnings.count(Warning::NegativeDuration), 1);
        assert_eq!(warnings.count(Warning::TimeOverflow), 1);
        assert!(trace.spans().iter().all(|span| span.start_ns <= span.end_ns && span.end_ns <= MAX_TIME_NS));
    }

    #[test]
    fn a_consumer_with_only_a_link_goes_under_its_producer() {
        check(
            &[
                made(1, 0, "a", "r", (0, 50), Server),
                made(2, 1, "a", "send", (5, 6), Producer),
                made(3, 0, "b", "process", (80, 90), Consumer).linked(&[77, 2]),
                made(4, 0, "b", "elsewhere", (85, 90), Consumer).linked(&[78]),
            ],
            &["r 0-50", "  send 5-6", "    process 80-90 linked", "  elsewhere 85-90 detached"],
            &[(Warning::DetachedRoot, 1)],
        );
    }

    #[test]
    fn a_link_to_ones_own_descendant_makes_no_circle() {
        check(
            &[made(1, 0, "a", "process", (0, 50), Consumer).linked(&[2]), made(2, 1, "a", "send", (5, 6), Producer)],
            &["process 0-50", "  send 5-6"],
            &[],
        );
    }

    #[test]
    fn a_clock_that_is_behind_is_corrected_with_all_its_spans() {
        // As in a trace that Zipkin tests with, in ms: the server's clock is 66 ms behind.
        check(
            &[
                made(1, 0, "a", "get", (62, 161), Server),
                made(2, 1, "a", "post", (65, 159), Client),
                made(2, 1, "b", "serve", (0, 92), Server).marked(SpanMarks::SHARED),
                made(3, 2, "b", "async", (1, 66), Internal),
            ],
            &["get 62-161", "  post 65-159", "    serve 66-158 clipped", "      async 67-132 clipped"],
            &[(Warning::ClockSkew, 2)],
        );
    }

    #[test]
    fn shifts_add_up_along_the_calls_and_right_clocks_stay() {
        check(
            &[
                made(1, 0, "a", "r", (0, 100), Server),
                made(2, 1, "a", "to b", (10, 90), Client),
                made(3, 2, "b", "b", (1010, 1080), Server),
                made(4, 3, "b", "to c", (1020, 1060), Client),
                made(5, 4, "c", "c", (1025, 1055), Server),
                made(6, 1, "a", "to d", (92, 98), Client),
                made(7, 6, "d", "d", (93, 97), Server),
            ],
            &[
                "r 0-100",
                "  to b 10-90",
                "    b 15-85 clipped",
                "      to c 25-65 clipped",
                "        c 30-60 clipped",
                "  to d 92-98",
                "    d 93-97",
            ],
            &[(Warning::ClockSkew, 3)],
        );
    }

    #[test]
    fn a_server_that_works_on_after_its_answer_or_after_a_timeout_has_no_skewed_clock() {
        let mut timed_out = made(4, 1, "a", "timeout", (40, 60), Client);
        timed_out.status = Status::Error;
        check(
            &[
                made(1, 0, "a", "r", (0, 100), Server),
                made(2, 1, "a", "ok", (10, 30), Client),
                made(3, 2, "b", "flushes", (12, 55), Server),
                timed_out,
                made(5, 4, "b", "queued", (55, 65), Server),
            ],
            &["r 0-100", "  ok 10-30", "    flushes 12-55", "  timeout 40-60", "    queued 55-65"],
            &[],
        );
    }

    #[test]
    fn children_that_start_outside_are_marked_and_asynchronous_ones_are_not() {
        check(
            &[
                made(1, 0, "a", "r", (10, 50), Server),
                made(2, 1, "a", "early", (5, 20), Internal),
                made(3, 1, "a", "outlives", (40, 90), Internal),
                made(4, 1, "a", "late", (60, 70), Internal),
                made(5, 1, "a", "send", (20, 21), Producer),
                made(6, 5, "b", "process", (100, 110), Consumer),
            ],
            &[
                "r 10-50",
                "  early 5-20 clipped",
                "  send 20-21",
                "    process 100-110",
                "  outlives 40-90",
                "  late 60-70 clipped",
            ],
            &[(Warning::ClippedChild, 2)],
        );
    }

    #[test]
    fn deep_and_wide_traces_finish() {
        let deep: Vec<Made> = (1..=100_000).map(|id| made(id, id - 1, "a", "x", (0, 9), Internal)).collect();
        let mut wide: Vec<Made> = (2..=100_000).map(|id| made(id, 1, "a", "x", (0, 9), Internal)).collect();
        wide.push(made(1, 0, "a", "r", (0, 9), Server));
        let circle: Vec<Made> =
            (1..=100_000).map(|id| made(id, id % 100_000 + 1, "a", "x", (0, 9), Internal)).collect();
        let orphans: Vec<Made> =
            (1..=100_000).map(|id| made(id, u64::from(id % 3 == 0) + 100_000, "a", "x", (0, 9), Internal)).collect();
        // Orphans that could belong below any of very many parents.
        let crowd: Vec<Made> = (1..=100_000)
            .map(|id| match id {
                1 => made(1, 0, "a", "r", (0, 9), Server),
                _ if id <= 34_000 => made(id, 1, "a", &format!("p{id}"), (0, 9), Internal),
                _ if id <= 67_000 => made(id, id - 33_000, "a", "x", (0, 9), Internal),
                _ => made(id, 999_999, "a", "x", (0, 9), Internal),
            })
            .collect();
        for (spans, cycles) in [(deep, 0), (wide, 0), (circle, 1), (orphans, 1), (crowd, 0)] {
            let mut warnings = Warnings::default();
            let trace = assemble(store(&spans), TRACE, &mut warnings);
            assert_eq!((trace.len(), warnings.count(Warning::Cycle)), (100_000, cycles));
        }
    }

    #[test]
    fn of_two_in_a_circle_that_share_their_id_the_caller_is_the_earlier_one() {
        let root = made(1, 0, "a", "x", (0, 0), Internal);
        let caller = made(7, 7, "a", "x", (29, 0), Client);
        let callee = made(7, 0, "a", "y", (29, 0), Client).marked(SpanMarks::SHARED);
        for spans in [[root.clone(), caller.clone(), callee.clone()], [root, callee, caller]] {
            let trace = assemble(store(&spans), TRACE, &mut Warnings::default());
            assert_eq!(shown(&trace), ["x 0-0", "  x 29-29 detached", "    y 29-29"]);
        }
    }

    fn any_span() -> impl Strategy<Value = Made> {
        let kind = prop_oneof![Just(Internal), Just(Server), Just(Client), Just(Producer), Just(Consumer)];
        let marks = prop_oneof![
            3 => Just(SpanMarks::default()),
            1 => Just(SpanMarks::SHARED),
            1 => Just(SpanMarks::REMOTE_PARENT),
            1 => Just(SpanMarks::LOCAL_PARENT)
        ];
        (1u64..12, 0u64..14, "[ab]", "[xy]", (0u64..30, 0u64..30), kind, marks, 0u64..14).prop_map(
            |(id, parent, service, name, ms, kind, marks, link)| {
                made(id, parent, &service, &name, ms, kind).marked(marks).linked(&[link])
            },
        )
    }

    proptest! {
        #[test]
        fn every_span_is_used_or_counted_in_any_order(
            spans in proptest::collection::vec(any_span(), 0..24),
            turn in 0usize..24,
        ) {
            let mut warnings = Warnings::default();
            let trace = assemble(store(&spans), TRACE, &mut warnings);
            prop_assert_eq!(spans.len() as u64, trace.len() as u64 + warnings.spans_lost());
            prop_assert!(trace.spans().iter().all(|span| span.start_ns <= span.end_ns));

            let mut turned = spans.clone();
            turned.rotate_left(turn % spans.len().max(1));
            let mut warnings_turned = Warnings::default();
            let trace_turned = assemble(store(&turned), TRACE, &mut warnings_turned);
            prop_assert_eq!(shown(&trace), shown(&trace_turned));
            prop_assert_eq!(warnings, warnings_turned);
        }
    }
}
