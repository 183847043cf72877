//! A profile: all traces of one side folded by call path into state that can be added.
//!
//! Everything is an integer and every cap is by smallest hash, so that folding and merging give the same content in
//! any order. Weights are fixed-point numbers with 32 binary places ([`ONE`] is one trace); sums of them are `u128`.
//! Of the traces a few are kept whole, as examples ([`Profile::examples`]).
//! [`Profile::canonical`] bounds the names, so that memory follows call paths, and sorts the tables, so that equal
//! contents become equal bytes when written.

mod canonical;
mod examples;
mod exemplars;
mod instances;
mod path;
mod timeline;
mod totals;
mod values;

pub use crate::stats::histogram::{Cell, Histogram, ONE, bin_of};
pub use canonical::MAX_NAMES;
pub use examples::{
    EXAMPLES_BYTES, Example, Examples, MAX_ENTRIES, MAX_EXAMPLE_BYTES, MAX_EXAMPLE_SPANS, MAX_EXAMPLES, Whole,
};
pub use exemplars::{Exemplar, Exemplars};
pub use instances::{Instance, InstanceKey, Instances};
pub use path::{PathState, Shards, Sums, TailCell};
pub use timeline::{Bucket, Timeline};
pub use totals::Totals;
pub use values::{KeyCounts, ValueCount, ValueCounts};

use super::{NO_PARENT, OperationId, Operations, Symbol, Symbols};
use std::collections::HashMap;

/// Shards of a call path below an entry point: the low five bits of the trace id.
pub const SHARDS: u8 = 32;
/// Shards of an entry point: the low six bits.
pub const ENTRY_SHARDS: u8 = 64;

/// A hash that is the same in every run, version and language: FNV-1a over the bytes, then a finalizer.
///
/// Caps keep what has the smallest hashes, so it must not depend on a seed.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

/// One call path: an operation below its parent's path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Index of the parent's path, which is smaller; [`NO_PARENT`] for an entry point.
    pub parent: u32,
    /// The operation, in the profile's table. Names are literal: folding similar ones is up to the comparison.
    pub operation: OperationId,
    /// What was measured.
    pub state: PathState,
}

/// All traces of one side, folded.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Attribute keys and values, error types, instances, versions.
    pub strings: Symbols,
    /// The operations that paths count in.
    pub operations: Operations,
    /// Numbers about the whole side.
    pub totals: Totals,
    paths: Vec<Path>,
    known: HashMap<(u32, OperationId), u32, foldhash::fast::RandomState>,
}

impl Profile {
    /// An empty profile whose operations are numbered as in this table.
    pub fn with_operations(operations: Operations) -> Profile {
        Profile { operations, ..Profile::default() }
    }

    /// The paths; parents come before their children.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The index of a path, which is created if it is new. `parent` is an index or [`NO_PARENT`].
    pub fn path(&mut self, parent: u32, operation: OperationId) -> u32 {
        let next = self.paths.len() as u32;
        let index = *self.known.entry((parent, operation)).or_insert(next);
        if index == next {
            let shards = if parent == NO_PARENT { ENTRY_SHARDS } else { SHARDS };
            self.paths.push(Path { parent, operation, state: PathState::new(shards) });
        }
        index
    }

    /// The index of a path that is known.
    pub fn find(&self, parent: u32, operation: OperationId) -> Option<u32> {
        self.known.get(&(parent, operation)).copied()
    }

    /// Takes back the paths from this index on, to which nothing was added yet.
    pub fn forget_paths(&mut self, from: usize) {
        for path in self.paths.drain(from.min(self.paths.len())..) {
            self.known.remove(&(path.parent, path.operation));
        }
    }

    /// The state of a path, to add to.
    pub fn state_mut(&mut self, path: u32) -> Option<&mut PathState> {
        self.paths.get_mut(path as usize).map(|path| &mut path.state)
    }

    /// Sorts what was added; must come before anything is read.
    pub fn seal(&mut self) {
        for path in &mut self.paths {
            path.state.seal();
        }
    }

    /// Adds all of another profile. Both must hold different traces.
    pub fn merge(&mut self, other: &Profile) {
        self.merge_mapped(other, |_, operation| operation);
    }

    /// Adds all of another profile with operations replaced: `replace(index of the other's path, its operation)` gives
    /// the number in **this** profile's table under which it is to stand.
    pub fn merge_mapped(&mut self, other: &Profile, replace: impl Fn(u32, OperationId) -> OperationId) {
        let symbols: Vec<Symbol> = (0..other.strings.len())
            .map(|number| self.strings.intern(other.strings.get(Symbol(number as u32))))
            .collect();
        let strings = |symbol: Symbol| symbols.get(symbol.0 as usize).copied().unwrap_or(Symbol::EMPTY);
        let numbers: Vec<OperationId> =
            other.operations.iter().map(|operation| self.operations.intern(operation.clone())).collect();
        let operations = |id: OperationId| numbers.get(id.0 as usize).copied().unwrap_or(OperationId::NONE);
        let mut places = Vec::with_capacity(other.paths.len());
        for (index, path) in other.paths.iter().enumerate() {
            let parent = places.get(path.parent as usize).copied().unwrap_or(NO_PARENT);
            let place = self.path(parent, replace(index as u32, operations(path.operation)));
            places.push(place);
            if let Some(mine) = self.paths.get_mut(place as usize) {
                mine.state.merge(&path.state, &strings, &operations);
            }
        }
        self.totals.merge(&other.totals, &strings);
    }
}

impl PartialEq for Profile {
    /// Equal content in equal order: two canonical profiles of the same traces are equal.
    fn eq(&self, other: &Profile) -> bool {
        self.strings.iter().eq(other.strings.iter())
            && self.operations.iter().eq(other.operations.iter())
            && self.totals == other.totals
            && self.paths == other.paths
    }
}
