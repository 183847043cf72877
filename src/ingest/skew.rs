//! Clocks that disagree, corrected before anything is measured.
//!
//! A server span lies inside its client span. Where it does not, the callee's clock differs from the caller's, and
//! the shift that puts server spans into the middle of their client spans (the median over all calls between the two
//! resources) is the best guess at the difference, as in NTP. A whole resource is shifted, not single spans, so that
//! work inside a service keeps its order; shifts add up along the calls. A few servers that answer before they
//! are done are no skew: only where most calls do not fit does anything move.

use super::assemble::Tally;
use crate::model::{Kind, NO_PARENT, Span, SpanMarks, SpanStore, Status, Warning, Warnings};
use std::collections::{BTreeMap, VecDeque};

/// A server span may reach out of its client span by so much before clocks are suspected.
const TOLERANCE_NS: i64 = 100_000;

/// Shifts spans of resources whose clock differs from that of their callers; counts and marks each shifted span.
pub(super) fn correct(store: &mut SpanStore, warnings: &mut Warnings) {
    // Most traces are fine: one look without tables.
    let suspicious = store.spans.iter().any(|span| call(store, span).is_some_and(|call| call.misfit() != 0));
    if !suspicious {
        return;
    }
    let clocks = Clocks::new(store);
    let offsets = offsets(store, &clocks);
    let shifts = shifts(store, &clocks, &offsets);
    let mut skewed = Tally::default();
    for span in &mut store.spans {
        let shift = clocks.of(span.resource).and_then(|clock| shifts.get(clock)).copied().unwrap_or(0);
        if shift != 0 {
            span.start_ns = span.start_ns.saturating_add_signed(shift).min(i64::MAX as u64);
            span.end_ns = span.end_ns.saturating_add_signed(shift).min(i64::MAX as u64);
            span.marks = span.marks.with(SpanMarks::CLIPPED);
            skewed.add(span.id);
        }
    }
    skewed.report(warnings, Warning::ClockSkew);
}

/// A client span and its server span on different resources. Times fit a signed number (`assemble` clamps them).
#[derive(Clone, Copy)]
struct Call {
    client: (i64, i64),
    server: (i64, i64),
    failed: bool,
}

fn call(store: &SpanStore, server: &Span) -> Option<Call> {
    let client = store.spans.get(server.parent as usize)?;
    let is_call = server.kind == Kind::Server && client.kind == Kind::Client && server.resource != client.resource;
    let interval = |span: &Span| (span.start_ns as i64, span.end_ns as i64);
    is_call.then(|| Call { client: interval(client), server: interval(server), failed: client.status == Status::Error })
}

impl Call {
    /// The smallest shift that would put the server span where it belongs; 0 when it is fine.
    fn misfit(&self) -> i64 {
        let starts_early = self.client.0 - self.server.0;
        let ends_late = self.server.1 - self.client.1;
        let fits = ends_late + starts_early <= 0;
        if starts_early > TOLERANCE_NS {
            return starts_early;
        }
        // A caller that gave up, or a server that works on after its answer, says nothing about clocks, unless the
        // server span begins after all is over.
        let begins_after = self.server.0 - self.client.1 > TOLERANCE_NS;
        if ends_late > TOLERANCE_NS && ((fits && !self.failed) || begins_after) { -ends_late } else { 0 }
    }

    /// The shift that centres the server span; one that is longer than its client span starts with it.
    fn centring(&self) -> i64 {
        let lead = self.client.0 - self.server.0;
        let room = (self.client.1 - self.client.0) - (self.server.1 - self.server.0);
        lead + room.max(0) / 2
    }
}

/// Resources as clocks: exporters repeat one resource in every batch. Numbered in the order of their contents, so
/// that the order of the input does not show.
struct Clocks {
    by_resource: Vec<usize>,
    count: usize,
}

impl Clocks {
    fn new(store: &SpanStore) -> Clocks {
        let keys: Vec<(&str, &[u8])> = store
            .resources
            .iter()
            .map(|resource| (store.symbols.get(resource.service), store.bytes(resource.body)))
            .collect();
        let mut distinct = keys.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let by_resource = keys.iter().map(|key| distinct.binary_search(key).unwrap_or_default()).collect();
        Clocks { by_resource, count: distinct.len() }
    }

    fn of(&self, resource: u32) -> Option<usize> {
        self.by_resource.get(resource as usize).copied()
    }

    fn of_call(&self, store: &SpanStore, server: &Span) -> Option<(usize, usize)> {
        let client = store.spans.get(server.parent as usize)?;
        let (caller, callee) = (self.of(client.resource)?, self.of(server.resource)?);
        (caller != callee).then_some((caller, callee))
    }
}

/// What the calls from one clock to another say.
#[derive(Clone, Copy)]
struct Offset {
    callee: usize,
    /// The shift of the callee against the caller: 0 unless most calls do not fit.
    shift: i64,
    calls: usize,
}

/// For each calling clock the clocks that it calls, most calls first.
fn offsets(store: &SpanStore, clocks: &Clocks) -> Vec<Vec<Offset>> {
    let mut calls: BTreeMap<(usize, usize), Vec<(i64, i64)>> = BTreeMap::new();
    for span in &store.spans {
        if let (Some(call), Some(pair)) = (call(store, span), clocks.of_call(store, span)) {
            calls.entry(pair).or_default().push((call.misfit(), call.centring()));
        }
    }
    let mut offsets = vec![Vec::new(); clocks.count];
    for ((caller, callee), mut calls) in calls {
        let misfit = median(&mut calls, |&(misfit, _)| misfit);
        let shift = if misfit == 0 { 0 } else { median(&mut calls, |&(_, centring)| centring) };
        if let Some(list) = offsets.get_mut(caller) {
            list.push(Offset { callee, shift, calls: calls.len() });
        }
    }
    for list in &mut offsets {
        list.sort_by_key(|offset| std::cmp::Reverse(offset.calls));
    }
    offsets
}

/// The middle value, the one nearer to zero of two.
fn median(calls: &mut [(i64, i64)], key: impl Fn(&(i64, i64)) -> i64) -> i64 {
    calls.sort_unstable_by_key(&key);
    let last = calls.len().saturating_sub(1);
    let at = |index: usize| calls.get(index).map_or(0, &key);
    let (low, high) = (at(last / 2), at(last - last / 2));
    if low.unsigned_abs() <= high.unsigned_abs() { low } else { high }
}

/// The shift of each clock against the one at the root: shifts add up from caller to callee, and the shortest way
/// to a clock decides. Clocks that no call leads to are right.
fn shifts(store: &SpanStore, clocks: &Clocks, offsets: &[Vec<Offset>]) -> Vec<i64> {
    let mut roots: Vec<usize> = store
        .spans
        .iter()
        .filter(|span| span.parent == NO_PARENT)
        .filter_map(|span| clocks.of(span.resource))
        .collect();
    roots.sort_unstable();
    roots.dedup();
    let mut is_called = vec![false; clocks.count];
    for offset in offsets.iter().flatten() {
        if let Some(slot) = is_called.get_mut(offset.callee) {
            *slot = true;
        }
    }
    let uncalled = (0..clocks.count).filter(|&clock| is_called.get(clock) == Some(&false));
    let mut shifts: Vec<Option<i64>> = vec![None; clocks.count];
    let mut queue: VecDeque<usize> = VecDeque::new();
    for start in roots.into_iter().chain(uncalled).chain(0..clocks.count) {
        let Some(slot @ None) = shifts.get_mut(start) else { continue };
        *slot = Some(0);
        queue.push_back(start);
        while let Some(caller) = queue.pop_front() {
            let base = shifts.get(caller).copied().flatten().unwrap_or(0);
            for offset in offsets.get(caller).into_iter().flatten() {
                if let Some(slot @ None) = shifts.get_mut(offset.callee) {
                    *slot = Some(base.saturating_add(offset.shift));
                    queue.push_back(offset.callee);
                }
            }
        }
    }
    shifts.into_iter().map(Option::unwrap_or_default).collect()
}
