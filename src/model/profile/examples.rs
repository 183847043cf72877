//! Whole traces as examples, so that a population can be opened where it is fastest, usual or slowest.
//!
//! A trace is kept for each entry point that it has among the [`Exemplars`] by rank, the fastest, the slowest and the
//! failed one: sums of profiles keep those whatever their order, and the traces go with them. The usual one is, of those
//! by rank (a random sample), the one nearest to the median of the entry point: a median itself cannot be kept by state
//! that is added.
//!
//! What a trace takes is bounded by rules that only become stricter when something is added, so that bounding parts and
//! adding them gives what bounding the whole gives:
//! - A trace of more than [`MAX_EXAMPLE_BYTES`] is not kept, and no other one stands for it.
//! - Of too many entry points the [`MAX_ENTRIES`] with the smallest hashes of their names have examples: of names that
//!   are folded later, because there are too many, none is among them.
//! - The entry points share [`EXAMPLES_BYTES`] equally: a trace that is larger than its share is not kept.
//! - `{}` stands for many operations, and has no example.
//!
//! A trace is kept as it came, before repair and rules, as an OTLP `TracesData` message: reading it gives the trace that
//! was folded, under the same rules. Scopes are not in it, since nothing compares them.

use super::canonical::MAX_NAMES;
use super::{Exemplar, Exemplars, PathState, Profile, bin_of, stable_hash};
use crate::model::masking::MASK;
use crate::model::wire::Fields;
use crate::model::{NO_PARENT, Operation, TraceId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Spans of a trace that is kept as an example, at most.
pub const MAX_EXAMPLE_SPANS: usize = 5_000;
/// Bytes of a trace that is kept as an example, at most.
pub const MAX_EXAMPLE_BYTES: usize = 1 << 20;
/// Bytes of all examples of a profile, at most.
pub const EXAMPLES_BYTES: usize = 16 << 20;
/// Entry points that have examples, at most.
pub const MAX_ENTRIES: usize = 128;
/// Traces that one entry point keeps at most: three by rank, the fastest, the slowest, the failed one.
pub const MAX_EXAMPLES: usize = 6;

// An entry point that is kept must not make room for one whose name is folded later.
const _: () = assert!(MAX_ENTRIES <= MAX_NAMES);

/// Bytes that a trace of a profile with so many entry points may take.
fn share(entries: usize) -> usize {
    (EXAMPLES_BYTES / (MAX_EXAMPLES * entries.clamp(1, MAX_ENTRIES))).min(MAX_EXAMPLE_BYTES)
}

/// The kept traces of one path by the example that they belong to; empty below entry points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    traces: BTreeMap<Exemplar, Arc<[u8]>>,
}

impl Whole {
    /// Adds a trace. Of two traces for one example (the same span came in two parts of its trace) the shorter one is
    /// kept, then the one with the smaller bytes: neither order nor limits show.
    fn add(&mut self, of: &Exemplar, trace: &Arc<[u8]>) {
        let held = self.traces.entry(*of).or_insert_with(|| Arc::clone(trace));
        if (trace.len(), trace) < (held.len(), held) {
            held.clone_from(trace);
        }
    }
}

impl Exemplars {
    /// Whether the whole trace of an example is to be kept. For entry points only.
    pub fn keeps_trace_of(&self, span: &Exemplar) -> bool {
        let extremes = [&self.slowest, &self.fastest, &self.failed];
        extremes.into_iter().flatten().chain(&self.sample).any(|held| held == span)
    }

    /// Adds the whole trace of an example, an OTLP `TracesData` message; nothing happens for one that is not to be kept
    /// or too large.
    pub fn add_trace(&mut self, of: &Exemplar, trace: &Arc<[u8]>) {
        if trace.len() <= MAX_EXAMPLE_BYTES && self.keeps_trace_of(of) {
            self.whole.add(of, trace);
            self.bound_traces(MAX_EXAMPLE_BYTES);
        }
    }

    /// The whole trace of an example, an OTLP `TracesData` message.
    pub fn trace_of(&self, span: &Exemplar) -> Option<&Arc<[u8]>> {
        self.whole.traces.get(span)
    }

    pub(super) fn merge_traces(&mut self, other: &Exemplars) {
        if self.whole.traces.is_empty() && other.whole.traces.is_empty() {
            return;
        }
        for (of, trace) in &other.whole.traces {
            self.whole.add(of, trace);
        }
        self.bound_traces(MAX_EXAMPLE_BYTES);
    }

    /// Takes out traces whose examples were replaced, and those of more bytes.
    fn bound_traces(&mut self, most: usize) {
        let mut whole = std::mem::take(&mut self.whole);
        whole.traces.retain(|of, trace| trace.len() <= most && self.keeps_trace_of(of));
        self.whole = whole;
    }
}

/// A whole trace that stands for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example<'a> {
    /// Its id.
    pub trace_id: TraceId,
    /// How long its request took at the entry point, nanoseconds.
    pub duration_ns: u64,
    /// An OTLP `TracesData` message with the trace as it came.
    pub otlp: &'a [u8],
}

impl Example<'_> {
    /// How many spans there are, by a walk over the message.
    pub fn spans(&self) -> usize {
        let messages = |bytes, number| {
            let mut fields = Fields::new(bytes);
            std::iter::from_fn(move || fields.next_bytes(number))
        };
        messages(self.otlp, 1).flat_map(|resource| messages(resource, 2)).flat_map(|scope| messages(scope, 2)).count()
    }
}

/// The examples of an entry point; what was too large, or was left out when the profile was recorded, is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Examples<'a> {
    /// The one that took the shortest.
    pub fastest: Option<Example<'a>>,
    /// One near the median.
    pub typical: Option<Example<'a>>,
    /// The one that took the longest.
    pub slowest: Option<Example<'a>>,
    /// The earliest that failed by itself: at the entry point, and nothing below it had failed.
    pub failed: Option<Example<'a>>,
}

impl PathState {
    fn example(&self, span: &Exemplar) -> Option<Example<'_>> {
        let otlp = self.exemplars.trace_of(span)?;
        Some(Example { trace_id: span.trace_id, duration_ns: span.duration_ns, otlp })
    }

    /// Of the sample the example whose duration is nearest to the median.
    fn typical(&self) -> Option<Example<'_>> {
        let median = self.median_bin();
        let near = |example: &Example<'_>| bin_of(example.duration_ns).abs_diff(median);
        self.exemplars.sample.iter().filter_map(|span| self.example(span)).min_by_key(near)
    }

    /// The bin in which the median of the durations lies.
    fn median_bin(&self) -> u16 {
        let mut bins: BTreeMap<u16, u128> = BTreeMap::new();
        for cell in self.duration.cells() {
            *bins.entry(cell.bin).or_default() += u128::from(cell.mass);
        }
        let mut left = self.duration.mass() / 2;
        for (&bin, &mass) in &bins {
            match left.checked_sub(mass) {
                Some(rest) if rest > 0 => left = rest,
                _ => return bin,
            }
        }
        0
    }
}

impl Profile {
    /// The whole traces that stand for an entry point; none for a path that is not one.
    pub fn examples(&self, path: u32) -> Examples<'_> {
        let Some(path) = self.paths.get(path as usize) else { return Examples::default() };
        let (state, exemplars) = (&path.state, &path.state.exemplars);
        let example = |span: &Option<Exemplar>| span.as_ref().and_then(|span| state.example(span));
        Examples {
            fastest: example(&exemplars.fastest),
            typical: state.typical(),
            slowest: example(&exemplars.slowest),
            failed: example(&exemplars.failed),
        }
    }

    /// The messages of all examples, each once, sorted.
    pub fn example_traces(&self) -> BTreeSet<&[u8]> {
        let of_paths = self.paths.iter().flat_map(|path| path.state.exemplars.whole.traces.values());
        of_paths.map(|trace| &**trace).collect()
    }

    /// Takes the whole traces out: what is left names them by their ids alone.
    pub fn drop_examples(&mut self) {
        for path in &mut self.paths {
            path.state.exemplars.whole = Whole::default();
        }
    }

    /// Takes out the examples that there is no room for.
    pub fn bound_examples(&mut self) {
        let mut entries: Vec<(u64, &Operation, usize)> = Vec::new();
        for (index, path) in self.paths.iter().enumerate().filter(|(_, path)| path.parent == NO_PARENT) {
            let operation = self.operations.get(path.operation).filter(|operation| operation.name.as_ref() != MASK);
            entries.extend(operation.map(|operation| (stable_hash(operation.name.as_bytes()), operation, index)));
        }
        entries.sort_unstable();
        let most = share(entries.len());
        let kept: BTreeSet<usize> = entries.into_iter().take(MAX_ENTRIES).map(|(.., index)| index).collect();
        for (index, path) in self.paths.iter_mut().enumerate() {
            let exemplars = &mut path.state.exemplars;
            if exemplars.whole.traces.is_empty() {
                continue;
            }
            exemplars.bound_traces(if kept.contains(&index) { most } else { 0 });
        }
    }
}
