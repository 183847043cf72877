//! What is measured about one call path.

use super::{Exemplars, Instances, KeyCounts, Timeline, ValueCounts};
use crate::model::{OperationId, Symbol};
use crate::stats::Histogram;
use std::collections::BTreeMap;

/// The state of one call path. Times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathState {
    /// Self time of the spans; zero for the client of an edge, whose time stands at its server's `edge_time`. Sharded.
    pub self_time: Histogram,
    /// Time of the edge (client minus server: network and queue) that leads to the spans. Sharded; empty without edges.
    pub edge_time: Histogram,
    /// Duration of the spans. Sharded for entry points, all in shard 0 below them.
    pub duration: Histogram,
    /// Exact sums by shard.
    pub shards: Shards,
    /// Critical-path time by the bin of the entry point's duration, in order of bins: what slow requests are made of.
    pub tail: Vec<TailCell>,
    /// Own errors by type (`exception.type`, `error.type`, else the masked status message); mass is one weight a trace.
    pub errors: KeyCounts,
    /// When spans came, how slow they were, how many failed.
    pub timeline: Timeline,
    /// The instances (databases, hosts, queues, tenants) that the spans speak of.
    pub instances: Instances,
    /// Values of the attributes; mass is 1/k of the weight a span.
    pub attributes: ValueCounts,
    /// Links to other spans by the operation at the other end ([`OperationId::NONE`] when it was not recorded); weight
    /// a link.
    pub links: BTreeMap<OperationId, u128>,
    /// Example spans.
    pub exemplars: Exemplars,
}

impl PathState {
    /// An empty state whose sums are kept in so many shards.
    pub fn new(shards: u8) -> PathState {
        PathState { shards: Shards::new(shards), ..PathState::default() }
    }

    /// Sorts what was added.
    pub fn seal(&mut self) {
        self.self_time.seal();
        self.edge_time.seal();
        self.duration.seal();
    }

    /// Adds another state, whose strings and operations are translated.
    pub fn merge(
        &mut self,
        other: &PathState,
        strings: &impl Fn(Symbol) -> Symbol,
        operations: &impl Fn(OperationId) -> OperationId,
    ) {
        self.self_time.merge(&other.self_time);
        self.edge_time.merge(&other.edge_time);
        self.duration.merge(&other.duration);
        self.shards.merge(&other.shards);
        for cell in &other.tail {
            self.add_tail(cell.bin, cell.critical_ns, cell.critical_calls);
        }
        self.errors.merge(&other.errors, strings);
        self.timeline.merge(&other.timeline);
        self.instances.merge(&other.instances, strings);
        self.attributes.merge(&other.attributes, strings);
        for (&target, &weight) in &other.links {
            *self.links.entry(operations(target)).or_default() += weight;
        }
        self.exemplars.merge(&other.exemplars);
    }

    /// All symbols that the state refers to, to look at or to replace.
    pub(super) fn symbols_mut(&mut self, visit: &mut impl FnMut(&mut Symbol)) {
        self.errors.symbols_mut(visit);
        self.instances.symbols_mut(visit);
        self.attributes.symbols_mut(visit);
    }

    /// Adds critical-path time of a request whose entry point's duration fell into `bin`.
    pub fn add_tail(&mut self, bin: u16, critical_ns: u128, critical_calls: u128) {
        match self.tail.binary_search_by_key(&bin, |cell| cell.bin) {
            Ok(at) => {
                if let Some(cell) = self.tail.get_mut(at) {
                    cell.critical_ns = cell.critical_ns.saturating_add(critical_ns);
                    cell.critical_calls = cell.critical_calls.saturating_add(critical_calls);
                }
            }
            Err(at) => self.tail.insert(at, TailCell { bin, critical_ns, critical_calls }),
        }
    }
}

/// What requests of one duration spent at a path. Weighted sums, in units of 2⁻³².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailCell {
    /// Bin of the entry point's duration.
    pub bin: u16,
    /// Weighted nanoseconds of the critical path.
    pub critical_ns: u128,
    /// Weighted calls on the critical path.
    pub critical_calls: u128,
}

macro_rules! sums {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Exact sums over the traces of one shard. All but `traces` are weighted, in units of 2⁻³².
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Sums {
            /// Traces in which the path occurs, each counted once whatever its weight.
            pub traces: u64,
            $($(#[doc = $doc])+ pub $name: u128,)+
        }

        impl Sums {
            /// The names of the weighted sums, in the order of [`Sums::values`].
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Adds other sums.
            pub fn add(&mut self, other: &Sums) {
                self.traces += other.traces;
                $(self.$name = self.$name.saturating_add(other.$name);)+
            }

            /// The weighted sums in the order of [`Sums::NAMES`].
            pub fn values(&self) -> [u128; Sums::NAMES.len()] {
                [$(self.$name),+]
            }

            /// Sums of these values, the reverse of [`Sums::values`].
            pub fn from_values(traces: u64, values: [u128; Sums::NAMES.len()]) -> Sums {
                let [$($name),+] = values;
                Sums { traces, $($name),+ }
            }
        }
    };
}

sums! {
    /// Weight of the traces in which the path occurs.
    weight,
    /// Spans.
    calls,
    /// Spans with time on the critical path.
    critical_calls,
    /// Traces in which a span failed by itself: no child of it failed.
    own_errors,
    /// Traces in which a span failed, for whatever reason.
    errors,
    /// Spans that failed.
    failed_calls,
    /// Nanoseconds of the entry point's critical path.
    critical_ns,
    /// Nanoseconds of self time, zero for the clients of edges.
    self_ns,
    /// Nanoseconds of the edges that lead to the spans.
    edge_ns,
    /// Nanoseconds of duration.
    duration_ns,
    /// Nanoseconds of the children's durations, those that are waited for, cut to the span.
    children_ns,
    /// Nanoseconds of the union of the same: less than `children_ns` when children overlap.
    covered_ns,
}

/// Sums by shard; only shards that occur take memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    count: u8,
    /// Bit n is set when shard n occurs.
    mask: u64,
    sums: Vec<Sums>,
}

impl Shards {
    /// No sums yet; a trace's shard is its id modulo `count`, a power of two up to 64.
    pub fn new(count: u8) -> Shards {
        Shards { count, mask: 0, sums: Vec::new() }
    }

    /// How many shards there can be.
    pub const fn count(&self) -> u8 {
        self.count
    }

    /// The sums of a shard, to add to.
    #[inline]
    pub fn shard_mut(&mut self, shard: u8) -> &mut Sums {
        let bit = 1u64 << (shard & 63);
        let place = (self.mask & (bit - 1)).count_ones() as usize;
        if self.mask & bit == 0 {
            self.mask |= bit;
            self.sums.insert(place, Sums::default());
        }
        #[allow(clippy::indexing_slicing, reason = "there is one entry for every bit of the mask")]
        &mut self.sums[place]
    }

    /// The sums of a shard; zero when it does not occur.
    pub fn shard(&self, shard: u8) -> Sums {
        let bit = 1u64 << (shard & 63);
        let place = (self.mask & (bit - 1)).count_ones() as usize;
        if self.mask & bit == 0 { Sums::default() } else { self.sums.get(place).copied().unwrap_or_default() }
    }

    /// Shards that occur with their sums, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &Sums)> {
        (0..64u8).filter(|shard| self.mask >> shard & 1 == 1).zip(&self.sums)
    }

    /// The sums over all shards.
    pub fn total(&self) -> Sums {
        self.sums.iter().fold(Sums::default(), |mut total, sums| {
            total.add(sums);
            total
        })
    }

    /// Adds other sums. Shards of a finer division fall into the coarser one's.
    pub fn merge(&mut self, other: &Shards) {
        if self.count == 0 {
            self.count = other.count;
        }
        for (shard, sums) in other.iter() {
            let shard = if self.count == 0 { shard } else { shard % self.count };
            self.shard_mut(shard).add(sums);
        }
    }
}
