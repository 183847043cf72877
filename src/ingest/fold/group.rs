//! Adds the spans that one trace has on one path to the path's state.

use super::attributes::Looked;
use super::examples::exemplar;
use super::instances::Named;
use super::{Group, Memory, Scratch};
use crate::model::profile::{Bucket, ENTRY_SHARDS, Instance, PathState, SHARDS, Sums, bin_of, stable_hash};
use crate::model::{NO_PARENT, Part, Span, Status, Symbol, Symbols, Trace, masking};

/// Stands for errors among the keys of what has the weight of a trace already.
const ERRORS: u64 = 0;
/// An error without type and message.
const UNNAMED_ERROR: &str = "(unnamed)";

/// A trace that is being folded.
pub(super) struct View<'a> {
    pub trace: &'a Trace,
    /// Its weight, in units of 2⁻³².
    pub weight: u64,
    /// The earliest start of a span.
    pub start_ns: u64,
}

/// What the spans of a group come to. Times are not weighted yet.
#[derive(Default)]
struct Tally {
    critical_calls: u64,
    failed: u64,
    own_failed: u64,
    critical_ns: u128,
    self_ns: u128,
    edge_ns: u128,
    duration_ns: u128,
    children_ns: u128,
    covered_ns: u128,
    /// Weighted sum of the bins of self or edge times.
    bins: u128,
    /// Critical nanoseconds and calls of spans below roots of the same bin.
    tail: Option<(u16, u128, u128)>,
}

/// One span, and what is known about it in its trace.
struct Member<'a> {
    span: &'a Span,
    /// Its part of the trace's weight.
    mass: u64,
    /// Bin of its self time; of the edge's for the client of an edge, which has no self time.
    bin: u16,
    own_error: bool,
}

impl View<'_> {
    /// Adds the spans of a group.
    pub fn add_group<'a>(
        &'a self,
        state: &mut PathState,
        group: &Group,
        members: &[u32],
        scratch: &mut Scratch,
        memory: &mut Memory,
        looked: &mut Looked<'a>,
    ) {
        let shards = if group.is_entry { ENTRY_SHARDS } else { SHARDS };
        let shard = (self.trace.id.0 % u128::from(shards)) as u8;
        // Whole units: what is left over goes to the first spans, so that the masses sum to the weight.
        let count = u64::from(group.count.max(1));
        let (share, left) = (self.weight / count, self.weight % count);
        let mut tally = Tally::default();
        scratch.weighed.clear();
        for (place, &index) in (0u64..).zip(members) {
            let Some(span) = self.trace.spans().get(index as usize) else { continue };
            let mass = share + u64::from(place < left);
            let member = self.add_times(state, scratch, &mut tally, (index, span), (shard, mass, group.is_entry));
            if member.own_error {
                let kind = self.error_type(span);
                let hash = stable_hash(kind.as_bytes());
                if scratch.weighed.insert((ERRORS, hash)) {
                    state.errors.add(hash, u128::from(self.weight), || memory.strings.intern(&kind));
                }
            }
            let attributes = self.trace.store.attributes(span);
            memory.lexicon.look(attributes, span.kind, looked, &mut memory.strings);
            for found in &looked.found {
                if let Some(counts) = state.attributes.key_mut(found.key_hash, found.key) {
                    counts.add(found.value.hash, u128::from(mass), || found.value.symbol);
                }
            }
            self.add_instances(state, &member, count > 1, scratch, memory, looked);
        }
        self.add_tally(state, shard, count, &tally);
    }

    /// Adds the times of a span.
    fn add_times<'a>(
        &'a self,
        state: &mut PathState,
        scratch: &Scratch,
        tally: &mut Tally,
        (index, span): (u32, &'a Span),
        (shard, mass, is_entry): (u8, u64, bool),
    ) -> Member<'a> {
        use crate::model::times::at;
        let times = &scratch.times;
        let (own_ns, felt_ns, duration_ns) = (times.own_ns(index), at(&times.self_ns, index), span.duration_ns());
        state.self_time.add(shard, bin_of(own_ns), mass);
        if let Some(edge_ns) = times.edge_to_ns(self.trace, index) {
            state.edge_time.add(shard, bin_of(edge_ns), mass);
            tally.edge_ns += u128::from(edge_ns);
        }
        state.duration.add(if is_entry { shard } else { 0 }, bin_of(duration_ns), mass);
        tally.self_ns += u128::from(own_ns);
        tally.duration_ns += u128::from(duration_ns);
        tally.children_ns += u128::from(at(&times.children_ns, index));
        tally.covered_ns += u128::from(duration_ns.saturating_sub(felt_ns));
        let critical_ns = at(&times.critical_ns, index);
        if critical_ns > 0 {
            tally.critical_calls += 1;
            tally.critical_ns += u128::from(critical_ns);
            let root_bin = scratch.root_bins.get(index as usize).copied().unwrap_or_default();
            match &mut tally.tail {
                Some((bin, ns, calls)) if *bin == root_bin => {
                    *ns += u128::from(critical_ns);
                    *calls += 1;
                }
                tail => {
                    let before = tail.replace((root_bin, u128::from(critical_ns), 1));
                    self.add_tail(state, before);
                }
            }
        }
        let failed = span.status == Status::Error;
        let own_error = failed && scratch.child_failed.get(index as usize) == Some(&false);
        tally.failed += u64::from(failed);
        tally.own_failed += u64::from(own_error);
        let bin = bin_of(felt_ns);
        tally.bins += u128::from(mass) * u128::from(bin);
        state.exemplars.add(&exemplar(self.trace, span), own_error);
        Member { span, mass, bin, own_error }
    }

    fn weighted(&self, sum: u128) -> u128 {
        sum.saturating_mul(u128::from(self.weight))
    }

    fn add_tail(&self, state: &mut PathState, tail: Option<(u16, u128, u128)>) {
        if let Some((bin, ns, calls)) = tail {
            state.add_tail(bin, self.weighted(ns), self.weighted(calls));
        }
    }

    /// Adds the sums over the group.
    fn add_tally(&self, state: &mut PathState, shard: u8, count: u64, tally: &Tally) {
        let weight = u128::from(self.weight);
        let if_any = |count: u64| if count > 0 { weight } else { 0 };
        state.shards.shard_mut(shard).add(&Sums {
            traces: 1,
            weight,
            calls: self.weighted(u128::from(count)),
            critical_calls: self.weighted(u128::from(tally.critical_calls)),
            own_errors: if_any(tally.own_failed),
            errors: if_any(tally.failed),
            failed_calls: self.weighted(u128::from(tally.failed)),
            critical_ns: self.weighted(tally.critical_ns),
            self_ns: self.weighted(tally.self_ns),
            edge_ns: self.weighted(tally.edge_ns),
            duration_ns: self.weighted(tally.duration_ns),
            children_ns: self.weighted(tally.children_ns),
            covered_ns: self.weighted(tally.covered_ns),
        });
        self.add_tail(state, tally.tail);
        let bucket = Bucket { weight, own_errors: if_any(tally.own_failed), bins: tally.bins };
        state.timeline.add(self.start_ns, &bucket);
    }

    /// Type of the exception, else `error.type`, else the masked status message.
    fn error_type(&self, span: &Span) -> String {
        let (mut exception, mut error, mut message) = (None, None, "");
        for part in self.trace.store.parts(span) {
            match part {
                Part::Event(event) if event.name == "exception" && exception.is_none() => {
                    exception = event.attributes.find("exception.type").map(|value| value.to_string());
                }
                Part::Attribute("error.type", value) => error = Some(value.to_string()),
                Part::StatusMessage(text) => message = text,
                _ => {}
            }
        }
        let named = [exception, error].into_iter().flatten().find(|text| !text.is_empty());
        named.unwrap_or_else(|| {
            if message.is_empty() { UNNAMED_ERROR.to_owned() } else { masking::mask(message).into_owned() }
        })
    }

    /// Adds a span to the instances that it speaks of: its process where it received something, and its peers.
    fn add_instances(
        &self,
        state: &mut PathState,
        member: &Member<'_>,
        may_repeat: bool,
        scratch: &mut Scratch,
        memory: &mut Memory,
        looked: &Looked<'_>,
    ) {
        let Memory { strings, homes, peers, .. } = memory;
        let home = scratch.homes.get(member.span.resource as usize).and_then(|&number| homes.get(number));
        let weighed = &mut scratch.weighed;
        let mut weigh = |key: u64, name: u64| if !may_repeat || weighed.insert((key, name)) { self.weight } else { 0 };
        let shared = home.map(|home| home.shared.as_slice()).unwrap_or_default();
        let is_process = member.span.kind.is_incoming() || member.span.parent == NO_PARENT;
        if let Some(Named { key_hash, key, hash, name }) = home.and_then(|home| home.process).filter(|_| is_process)
            && let Some(instance) = state.instances.key_mut(key_hash, || key).instance_mut(hash, || name)
        {
            member.add_to(instance, weigh(key_hash, hash), looked, shared, strings);
        }
        peers.each(looked, member.span.kind, home, strings, |(key_hash, key), name, strings| {
            let hash = stable_hash(name);
            let weight = weigh(key_hash, hash);
            let intern = || strings.intern(std::str::from_utf8(name).unwrap_or_default());
            if let Some(instance) = state.instances.key_mut(key_hash, || key).instance_mut(hash, intern) {
                member.add_to(instance, weight, looked, shared, strings);
            }
        });
    }
}

impl Member<'_> {
    fn add_to(
        &self,
        instance: &mut Instance,
        weight: u64,
        looked: &Looked<'_>,
        shared: &[(u64, Symbol, Symbol)],
        strings: &mut Symbols,
    ) {
        let start_ns = self.span.start_ns;
        instance.spans += 1;
        instance.failed += u64::from(self.own_error);
        instance.weight += u128::from(weight);
        instance.bins += u128::from(self.mass) * u128::from(self.bin);
        instance.first_ns = instance.first_ns.min(start_ns);
        instance.last_ns = instance.last_ns.max(start_ns);
        if self.span.status != Status::Error {
            instance.last_good_ns = instance.last_good_ns.max(start_ns);
        }
        for &(hash, key, value) in shared {
            instance.share(hash, key, Some(value));
        }
        for found in &looked.found {
            if let Some(text) = found.content.shared_text() {
                instance.share_text(found.key_hash, found.key, &text, strings);
            }
        }
    }
}
