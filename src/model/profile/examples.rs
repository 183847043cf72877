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

    /// The whole trace of this id, an OTLP `TracesData` message, if it is an example of an entry point.
    pub fn example_of(&self, id: TraceId) -> Option<Arc<[u8]>> {
        let of_path = |exemplars: &Exemplars| {
            let single = [&exemplars.fastest, &exemplars.slowest, &exemplars.failed];
            let mut spans = exemplars.sample.iter().chain(single.into_iter().flatten());
            spans.find(|span| span.trace_id == id).and_then(|span| exemplars.trace_of(span)).cloned()
        };
        self.paths.iter().find_map(|path| of_path(&path.state.exemplars))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::{ENTRY_SHARDS, ONE, Sums};
    use crate::model::{Kind, SpanId};

    /// A trace with one entry point.
    #[derive(Clone, Copy)]
    struct Made {
        name: u32,
        id: u64,
        duration_ns: u64,
        bytes: usize,
    }

    fn example(made: &Made) -> Exemplar {
        let trace_id = TraceId(u128::from(made.id) + 1);
        Exemplar {
            trace_id,
            span_id: SpanId(made.id + 1),
            start_ns: made.id * 7 % 1_000,
            duration_ns: made.duration_ns,
        }
    }

    /// Bytes that tell the trace.
    fn bytes(made: &Made) -> Arc<[u8]> {
        let mut bytes = made.id.to_be_bytes().to_vec();
        bytes.resize(made.bytes.max(8), 0);
        bytes.into()
    }

    fn entry(profile: &mut Profile, name: &str) -> u32 {
        let operation = Operation { service: "shop".into(), kind: Kind::Server, name: name.into() };
        let operation = profile.operations.intern(operation);
        profile.path(NO_PARENT, operation)
    }

    fn add(profile: &mut Profile, made: &Made) {
        let path = entry(profile, &format!("GET /{}", made.name));
        let state = profile.state_mut(path).unwrap();
        let shard = (made.id % u64::from(ENTRY_SHARDS)) as u8;
        state.shards.shard_mut(shard).add(&Sums { traces: 1, ..Sums::default() });
        state.duration.add(shard, bin_of(made.duration_ns), ONE);
        let example = example(made);
        state.exemplars.add(&example, made.id.is_multiple_of(3));
        if state.exemplars.keeps_trace_of(&example) {
            state.exemplars.add_trace(&example, &bytes(made));
        }
    }

    fn profile<'a>(all: impl IntoIterator<Item = &'a Made>) -> Profile {
        let mut profile = Profile::default();
        for made in all {
            add(&mut profile, made);
        }
        profile.into_canonical()
    }

    /// So many traces of so many entry points, of about so many bytes.
    fn many(traces: u64, names: u32, bytes: usize) -> Vec<Made> {
        let random = |number: u64| stable_hash(&number.to_le_bytes());
        let made = |id| Made {
            name: (random(id) % u64::from(names)) as u32,
            id,
            duration_ns: random(id + traces) % 1_000_000,
            bytes: bytes / 2 + random(id + 2 * traces) as usize % bytes,
        };
        (0..traces).map(made).collect()
    }

    fn held(profile: &Profile) -> usize {
        profile.paths.iter().flat_map(|path| path.state.exemplars.whole.traces.values()).map(|trace| trace.len()).sum()
    }

    #[test]
    fn neither_order_nor_division_shows_where_there_is_no_room() {
        // Few entry points with large traces; more than have examples; more names than are told apart.
        for (traces, names, size) in [(60, 6, share(4)), (900, 300, share(MAX_ENTRIES)), (2_600, 1_500, 16)] {
            let all = many(traces, names, size);
            let whole = profile(&all);
            assert!(held(&whole) > 0 && held(&whole) <= EXAMPLES_BYTES, "{names}: {}", held(&whole));
            assert_eq!(profile(all.iter().rev()), whole, "{names}");
            for parts in [2, 7] {
                let mut merged = Profile::default();
                for part in (0..parts).rev() {
                    merged.merge(&profile(all.iter().skip(part).step_by(parts)));
                }
                assert_eq!(merged.into_canonical(), whole, "{names} in {parts}");
            }
            // Taking out what has no room on the way changes nothing.
            let mut often = Profile::default();
            for made in &all {
                add(&mut often, made);
                if made.id % 16 == 0 {
                    often.bound_examples();
                }
            }
            assert_eq!(often.into_canonical(), whole, "{names}");
        }
    }

    #[test]
    fn entry_points_share_the_room() {
        assert_eq!((share(0), share(1), share(2)), (MAX_EXAMPLE_BYTES, MAX_EXAMPLE_BYTES, MAX_EXAMPLE_BYTES));
        assert!((1..1_000).all(|entries| share(entries) >= share(entries + 1)));
        assert!((1..=MAX_ENTRIES).all(|entries| share(entries) * MAX_EXAMPLES * entries <= EXAMPLES_BYTES));
        let with_examples = |profile: &Profile| {
            profile.paths.iter().filter(|path| !path.state.exemplars.whole.traces.is_empty()).count()
        };
        assert_eq!(with_examples(&profile(&many(900, 300, 16))), MAX_ENTRIES);
        assert_eq!(with_examples(&profile(&many(900, 100, 16))), 100);
    }

    #[test]
    fn the_examples_of_an_entry_point_are_what_they_say() {
        let all = many(500, 1, 64);
        let profile = profile(&all);
        let mut durations: Vec<u64> = all.iter().map(|made| made.duration_ns).collect();
        durations.sort_unstable();
        let examples = profile.examples(0);
        let [fastest, typical, slowest, failed] =
            [examples.fastest, examples.typical, examples.slowest, examples.failed].map(Option::unwrap);
        assert_eq!((fastest.duration_ns, slowest.duration_ns), (durations[0], durations[499]));
        let sample = &profile.paths[0].state.exemplars.sample;
        let nearest = sample.iter().map(|span| bin_of(span.duration_ns).abs_diff(bin_of(durations[250]))).min();
        assert_eq!(Some(bin_of(typical.duration_ns).abs_diff(bin_of(durations[250]))), nearest);
        for example in [fastest, typical, slowest, failed] {
            let made = all[example.trace_id.0 as usize - 1];
            assert_eq!((example.duration_ns, example.otlp), (made.duration_ns, &*bytes(&made)));
        }
        let first_failed = all.iter().filter(|made| made.id % 3 == 0).map(|made| example(made).start_ns).min();
        assert_eq!(Some(example(&all[failed.trace_id.0 as usize - 1]).start_ns), first_failed);
        assert_eq!(profile.examples(1), Examples::default());

        let mut without = profile.clone();
        without.drop_examples();
        assert_eq!((without.examples(0), without.example_traces().len()), (Examples::default(), 0));
        assert!((4..=MAX_EXAMPLES).contains(&profile.example_traces().len()));
        without.merge(&profile);
        assert_eq!(without.examples(0), examples);
    }

    #[test]
    fn what_is_too_large_is_not_replaced_and_of_two_parts_the_shorter_stays() {
        let made = |id, duration_ns, bytes| Made { name: 1, id, duration_ns, bytes };
        let too_large = profile(&[made(1, 10, 100), made(2, 90, MAX_EXAMPLE_BYTES + 1), made(3, 50, 100)]);
        let examples = too_large.examples(0);
        assert_eq!((examples.slowest, examples.fastest.map(|example| example.duration_ns)), (None, Some(10)));
        let parts = [made(1, 10, 300), made(1, 10, 200)];
        for order in [[0, 1], [1, 0]] {
            let profile = profile(order.map(|at| &parts[at]));
            assert_eq!(profile.examples(0).fastest.map(|example| example.otlp.len()), Some(200));
        }
    }

    #[test]
    fn many_operations_together_have_no_example() {
        let mut profile = Profile::default();
        let path = entry(&mut profile, MASK);
        let made = Made { name: 0, id: 1, duration_ns: 5, bytes: 9 };
        let exemplars = &mut profile.state_mut(path).unwrap().exemplars;
        exemplars.add(&example(&made), false);
        exemplars.add_trace(&example(&made), &bytes(&made));
        assert_eq!(held(&profile), 9);
        assert_eq!(held(&profile.into_canonical()), 0);
    }
}
