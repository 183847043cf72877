//! Folds traces into a profile: every span is counted at its call path, and what is kept of it can be added.
//!
//! Every root of a trace is an entry point, since from beside one service each of its requests is one. A trace is
//! folded path by path: its spans of one path share the weight of the trace, so that traces are what is counted.
//! Nothing depends on the order of traces, and traces folded apart and merged give what all together give: what is
//! kept is sums, extremes and smallest hashes.

mod attributes;
mod examples;
mod group;
mod instances;

use super::sampling;
use crate::model::profile::{EXAMPLES_BYTES, Profile, bin_of};
use crate::model::times::{Roots, Times};
use crate::model::{Limits, NO_PARENT, Operation, OperationId, SpanMarks, Status, Symbols, Trace, Warning, Warnings};
use attributes::{Lexicon, Looked};
use examples::Message;
use group::View;
use instances::{Homes, Peers};
use std::collections::HashSet;
use std::sync::Arc;

/// The profile is put in order when it has grown to twice its size, but not below so many paths or strings.
const LEAST_GROWTH: usize = 1 << 14;

/// Folds the traces of one side.
#[derive(Debug)]
pub struct Folder {
    profile: Profile,
    memory: Memory,
    /// For each operation of the traces' table the profile's number.
    operations: Vec<Option<(Operation, OperationId)>>,
    scratch: Scratch,
    most_paths: usize,
    /// Paths and strings at which the profile is put in order.
    room: (usize, usize),
    /// Bytes of examples that came since those without room were taken out.
    example_bytes: usize,
    warnings: Warnings,
}

/// What makes folding fast: what was seen before.
#[derive(Debug)]
struct Memory {
    /// The profile's strings, while it is being filled.
    strings: Symbols,
    lexicon: Lexicon,
    homes: Homes,
    peers: Peers,
}

impl Memory {
    fn new(mut strings: Symbols) -> Memory {
        let lexicon = Lexicon::new(&mut strings);
        Memory { strings, lexicon, homes: Homes::default(), peers: Peers::default() }
    }
}

/// Lists by span, path or resource of the trace at hand, kept for the next one.
#[derive(Debug, Default)]
struct Scratch {
    times: Times,
    /// By span: its path, whether a child failed, the bin of its root's duration.
    paths: Vec<u32>,
    child_failed: Vec<bool>,
    root_bins: Vec<u16>,
    /// Spans ordered by group.
    order: Vec<u32>,
    groups: Vec<Group>,
    /// By path: its group in this trace.
    group_of: Vec<u32>,
    /// By resource: its number among the homes, and its spans.
    homes: Vec<u32>,
    home_spans: Vec<(u64, u32)>,
    /// Instances and errors of the path that have the weight of this trace already.
    weighed: HashSet<(u64, u64), foldhash::fast::RandomState>,
}

/// The spans of a trace that are on one path.
#[derive(Clone, Copy, Debug)]
struct Group {
    path: u32,
    /// Where they end in the order; while it is being made, where the next one goes.
    end: u32,
    count: u32,
    is_entry: bool,
}

const NONE: u32 = u32::MAX;

impl Folder {
    /// Begins an empty profile of at most `limits.paths` call paths.
    pub fn new(limits: &Limits) -> Folder {
        Folder {
            profile: Profile::default(),
            memory: Memory::new(Symbols::default()),
            operations: Vec::new(),
            scratch: Scratch::default(),
            most_paths: limits.paths as usize,
            room: (LEAST_GROWTH, LEAST_GROWTH),
            example_bytes: 0,
            warnings: Warnings::default(),
        }
    }

    /// Adds a trace that was assembled and identified; `warnings` are those of assembling it.
    pub fn add(&mut self, trace: &Trace, warnings: &Warnings) {
        if trace.is_empty() {
            return;
        }
        self.make_room();
        if !self.find_paths(trace) {
            self.warnings.add_with(Warning::LimitReached, || "paths".to_owned());
            self.warnings.add(Warning::LimitReached, trace.len() as u64 - 1);
            return;
        }
        let root = trace.spans().first().map_or("", |root| trace.store.trace_state(root));
        let threshold = sampling::threshold(root, trace.id);
        self.count(trace, threshold, warnings);
        self.scratch.times.measure(trace, Roots::All);
        self.scratch.look_up_and_down(trace);
        self.scratch.group(self.profile.paths().len(), trace);
        let view = View {
            trace,
            weight: sampling::weight(threshold),
            start_ns: trace.spans().iter().map(|span| span.start_ns).min().unwrap_or(0),
        };
        let mut looked = Looked::default();
        let message = Message::new(trace);
        let (groups, order) = (std::mem::take(&mut self.scratch.groups), std::mem::take(&mut self.scratch.order));
        let mut begin = 0;
        for group in &groups {
            let members = order.get(begin..group.end as usize).unwrap_or_default();
            begin = group.end as usize;
            if let Some(state) = self.profile.state_mut(group.path) {
                view.add_group(state, group, members, &mut self.scratch, &mut self.memory, &mut looked);
                if group.is_entry {
                    self.example_bytes += message.offer(members, &mut state.exemplars);
                }
            }
            if let Some(slot) = self.scratch.group_of.get_mut(group.path as usize) {
                *slot = NONE;
            }
        }
        (self.scratch.groups, self.scratch.order) = (groups, order);
        self.add_links(&view);
        if self.example_bytes > EXAMPLES_BYTES {
            self.profile.bound_examples();
            self.example_bytes = 0;
        }
    }

    /// Adds warnings that belong to no trace of the profile.
    pub fn warn(&mut self, warnings: &Warnings) {
        self.warnings.merge(warnings);
    }

    /// How many call paths there are.
    pub fn paths(&self) -> usize {
        self.profile.paths().len()
    }

    /// From now on there may be so many call paths: for several profiles that share one bound.
    pub const fn bound_paths(&mut self, most: usize) {
        self.most_paths = most;
    }

    /// How many traces were added.
    pub const fn traces(&self) -> u64 {
        self.profile.totals.traces
    }

    /// A copy of the profile of all that was added so far, in canonical order.
    pub fn so_far(&self) -> Profile {
        let mut profile = self.profile.clone();
        profile.strings = self.memory.strings.clone();
        profile.totals.warnings.merge(&self.warnings);
        profile.into_canonical()
    }

    /// The profile of all that was added, in canonical order.
    pub fn finish(mut self) -> Profile {
        self.profile.strings = self.memory.strings;
        self.profile.totals.warnings.merge(&self.warnings);
        self.profile.into_canonical()
    }

    /// Puts the profile in order when it has grown much: bounds names, and forgets strings that nothing refers to.
    fn make_room(&mut self) {
        let (paths, strings) = (self.profile.paths().len(), self.memory.strings.len());
        let is_full = self.memory.lexicon.is_full() || self.memory.homes.is_full();
        if paths < self.room.0 && strings < self.room.1 && !is_full {
            return;
        }
        self.profile.strings = std::mem::take(&mut self.memory.strings);
        self.profile = std::mem::take(&mut self.profile).into_canonical();
        self.memory = Memory::new(std::mem::take(&mut self.profile.strings));
        self.operations.clear();
        let twice = |size: usize| (2 * size).max(LEAST_GROWTH);
        self.room = (twice(self.profile.paths().len()), twice(self.memory.strings.len()));
        self.scratch.group_of.clear();
    }

    /// The path of every span; false when there would be too many.
    fn find_paths(&mut self, trace: &Trace) -> bool {
        let paths = &mut self.scratch.paths;
        paths.clear();
        let before = self.profile.paths().len();
        for span in trace.spans() {
            let parent = paths.get(span.parent as usize).copied().unwrap_or(NO_PARENT);
            let operation = own_number(&mut self.operations, &mut self.profile, trace, span.operation);
            if self.profile.paths().len() >= self.most_paths && self.profile.find(parent, operation).is_none() {
                self.profile.forget_paths(before);
                return false;
            }
            paths.push(self.profile.path(parent, operation));
        }
        true
    }

    /// Counts the trace in the totals.
    fn count(&mut self, trace: &Trace, threshold: Option<u64>, warnings: &Warnings) {
        let totals = &mut self.profile.totals;
        totals.traces += 1;
        totals.sampled(threshold);
        totals.warnings.merge(warnings);
        let mut has_root = false;
        let mut failed = 0;
        let (mut start_ns, mut end_ns) = (u64::MAX, 0);
        self.memory.homes.of_trace(&trace.store, &mut self.memory.strings, &mut self.scratch.homes);
        self.scratch.home_spans.clear();
        self.scratch.home_spans.resize(trace.store.resources.len(), (0, NONE));
        for (index, span) in (0u32..).zip(trace.spans()) {
            has_root |= span.parent_id.is_none() && !span.marks.has(SpanMarks::LINKED);
            failed += u64::from(span.status == Status::Error);
            start_ns = start_ns.min(span.start_ns);
            end_ns = end_ns.max(span.end_ns);
            if let Some((spans, first)) = self.scratch.home_spans.get_mut(span.resource as usize) {
                *spans += 1;
                *first = index.min(*first);
            }
        }
        totals.spans += trace.len() as u64;
        totals.failed_spans += failed;
        totals.partial += u64::from(!has_root || warnings.count(Warning::MissingParent) > 0);
        totals.seen(start_ns, end_ns);
        for (&home, &(spans, first)) in self.scratch.homes.iter().zip(&self.scratch.home_spans) {
            let operation = trace.spans().get(first as usize).and_then(|span| trace.operations.get(span.operation));
            if let (Some(operation), Some(home)) = (operation, self.memory.homes.get(home)) {
                let service = self.memory.strings.intern(&operation.service);
                *totals.versions.entry((service, home.version)).or_default() += spans;
            }
        }
    }

    fn add_links(&mut self, view: &View<'_>) {
        for link in &view.trace.links {
            let target = link.to.and_then(|to| view.trace.spans().get(to as usize)).map_or(OperationId::NONE, |span| {
                own_number(&mut self.operations, &mut self.profile, view.trace, span.operation)
            });
            let path = self.scratch.paths.get(link.from as usize).copied().unwrap_or(NONE);
            if let Some(state) = self.profile.state_mut(path) {
                *state.links.entry(target).or_default() += u128::from(view.weight);
            }
        }
    }
}

/// The profile's number of an operation of the trace's table. Traces tend to share one table, so that looking whether
/// it is still the same operation is all there is to do.
#[inline]
fn own_number(
    known: &mut Vec<Option<(Operation, OperationId)>>,
    profile: &mut Profile,
    trace: &Trace,
    id: OperationId,
) -> OperationId {
    let Some(operation) = trace.operations.get(id) else { return OperationId::NONE };
    if let Some(Some((same, number))) = known.get(id.0 as usize)
        && Arc::ptr_eq(&same.name, &operation.name)
        && Arc::ptr_eq(&same.service, &operation.service)
        && same.kind == operation.kind
    {
        return *number;
    }
    let number = profile.operations.intern(operation.clone());
    if known.len() < trace.operations.len() {
        known.resize(trace.operations.len(), None);
    }
    if let Some(slot) = known.get_mut(id.0 as usize) {
        *slot = Some((operation.clone(), number));
    }
    number
}

impl Scratch {
    /// What spans learn from their children and from their roots.
    fn look_up_and_down(&mut self, trace: &Trace) {
        self.child_failed.clear();
        self.child_failed.resize(trace.len(), false);
        self.root_bins.clear();
        for span in trace.spans() {
            if span.status == Status::Error
                && let Some(slot) = self.child_failed.get_mut(span.parent as usize)
            {
                *slot = true;
            }
            let bin = self.root_bins.get(span.parent as usize).copied();
            self.root_bins.push(bin.unwrap_or_else(|| bin_of(span.duration_ns())));
        }
    }

    /// Puts the spans of each path together, in their order.
    fn group(&mut self, paths: usize, trace: &Trace) {
        self.groups.clear();
        if self.group_of.len() < paths {
            self.group_of.resize(paths, NONE);
        }
        for (&path, span) in self.paths.iter().zip(trace.spans()) {
            let Some(slot) = self.group_of.get_mut(path as usize) else { continue };
            if *slot == NONE {
                *slot = self.groups.len() as u32;
                self.groups.push(Group { path, end: 0, count: 0, is_entry: span.parent == NO_PARENT });
            }
            if let Some(group) = self.groups.get_mut(*slot as usize) {
                group.count += 1;
            }
        }
        let mut next = 0;
        for group in &mut self.groups {
            group.end = next;
            next += group.count;
        }
        self.order.clear();
        self.order.resize(next as usize, 0);
        for (index, path) in (0u32..).zip(&self.paths) {
            let group = self.group_of.get(*path as usize).and_then(|&slot| self.groups.get_mut(slot as usize));
            if let Some(group) = group
                && let Some(place) = self.order.get_mut(group.end as usize)
            {
                *place = index;
                group.end += 1;
            }
        }
    }
}
