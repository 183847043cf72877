//! Puts a profile in order: names bounded, tables sorted and without what nothing refers to.
//!
//! Bounding only ever adds states of paths together, and what it adds is decided by hashes of names among all names
//! that are there. So it does not matter when it is done, nor how often: bounding parts, merging and bounding again
//! gives what bounding the whole gives.

use super::{PathState, Profile, Totals, stable_hash};
use crate::model::masking::MASK;
use crate::model::{Kind, NO_PARENT, Operation, OperationId, Operations, Symbol, Symbols, Warning, Warnings};
use std::collections::BTreeMap;

/// Distinct names of one service and kind that are told apart below one parent; of more, those with the smallest
/// hashes. The others stand together as `{}`.
pub const MAX_NAMES: usize = 1_024;
/// Distinct service versions that are told apart, of all services together.
const MAX_VERSIONS: usize = 4_096;

/// A path of the ordered profile before its states are put together.
struct Place {
    parent: u32,
    operation: Operation,
    /// The paths that it is made of.
    members: Vec<u32>,
}

impl Profile {
    /// The same content in order: names bounded by [`MAX_NAMES`], strings and operations sorted by their texts, paths
    /// in pre-order with siblings by their operations. Equal contents become equal values.
    #[must_use]
    pub fn canonical(&self) -> Profile {
        self.clone().into_canonical()
    }

    /// As [`Profile::canonical`], without a copy.
    #[must_use]
    pub fn into_canonical(mut self) -> Profile {
        let mut folded = Warnings::default();
        let places = self.places(&mut folded);
        self.totals.warnings.merge(&folded);
        bound_versions(&mut self.totals, &mut self.strings);
        let mut sorted = Profile { totals: std::mem::take(&mut self.totals), ..Profile::default() };
        for Place { parent, operation, members } in places {
            let operation = sorted.operations.intern(operation);
            let path = sorted.path(parent, operation);
            for member in members {
                let state = self.paths.get_mut(member as usize).map(|path| std::mem::take(&mut path.state));
                if let (Some(state), Some(mine)) = (state, sorted.state_mut(path)) {
                    add(mine, state);
                }
            }
        }
        sorted.sort_links(&self.operations);
        sorted.sort_operations();
        sorted.sort_strings(&self.strings);
        sorted.bound_examples();
        sorted.seal();
        sorted
    }

    /// The paths of the ordered profile in pre-order. Depth comes from the input: an explicit stack.
    fn places(&self, folded: &mut Warnings) -> Vec<Place> {
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); self.paths.len()];
        let mut roots = Vec::new();
        for (index, path) in self.paths.iter().enumerate() {
            children.get_mut(path.parent as usize).unwrap_or(&mut roots).push(index as u32);
        }
        let mut places = Vec::with_capacity(self.paths.len());
        let mut stack: Vec<Place> = self.siblings(NO_PARENT, &std::mem::take(&mut roots), folded);
        stack.reverse();
        while let Some(place) = stack.pop() {
            let mut below = Vec::new();
            for &member in &place.members {
                below.append(children.get_mut(member as usize).unwrap_or(&mut roots));
            }
            let mut siblings = self.siblings(places.len() as u32, &below, folded);
            places.push(place);
            siblings.reverse();
            stack.append(&mut siblings);
        }
        places
    }

    /// What the paths below one parent become, in order of their operations.
    fn siblings(&self, parent: u32, paths: &[u32], folded: &mut Warnings) -> Vec<Place> {
        let mut by_operation: BTreeMap<&Operation, Vec<u32>> = BTreeMap::new();
        for &index in paths {
            let path = self.paths.get(index as usize);
            if let Some(operation) = path.and_then(|path| self.operations.get(path.operation)) {
                by_operation.entry(operation).or_default().push(index);
            }
        }
        let rest = too_many(by_operation.keys().copied());
        let mut bounded: BTreeMap<Operation, Vec<u32>> = BTreeMap::new();
        for (operation, mut members) in by_operation {
            let kept = match rest.get(&(&operation.service, operation.kind)) {
                Some(&last) if operation.name.as_ref() != MASK && stable_hash(operation.name.as_bytes()) > last => {
                    let together = together(operation);
                    let traces = members.iter().map(|&member| self.traces(member)).sum::<u64>();
                    folded.add_with(Warning::HighCardinalityName, || together.to_string());
                    folded.add(Warning::HighCardinalityName, traces.saturating_sub(1));
                    together
                }
                _ => operation.clone(),
            };
            bounded.entry(kept).or_default().append(&mut members);
        }
        bounded.into_iter().map(|(operation, members)| Place { parent, operation, members }).collect()
    }

    fn traces(&self, path: u32) -> u64 {
        self.paths.get(path as usize).map_or(0, |path| path.state.shards.total().traces)
    }

    /// Links count in the table of the profile that they came from; gives them this one's numbers.
    fn sort_links(&mut self, table: &Operations) {
        for path in &mut self.paths {
            let links = std::mem::take(&mut path.state.links);
            let rest = too_many(links.keys().filter_map(|&target| table.get(target)));
            for (target, weight) in links {
                let target = table.get(target).map_or(OperationId::NONE, |operation| {
                    let last = rest.get(&(&operation.service, operation.kind)).copied().unwrap_or(u64::MAX);
                    let fits = stable_hash(operation.name.as_bytes()) <= last;
                    self.operations.intern(if fits { operation.clone() } else { together(operation) })
                });
                *path.state.links.entry(target).or_default() += weight;
            }
        }
    }

    fn sort_operations(&mut self) {
        let mut order: Vec<(&Operation, usize)> = self.operations.iter().zip(0..).collect();
        order.sort_unstable();
        let mut table = Operations::default();
        let mut numbers = vec![OperationId::NONE; order.len()];
        for (operation, old) in order {
            if let Some(slot) = numbers.get_mut(old) {
                *slot = table.intern(operation.clone());
            }
        }
        let renumber = |id: OperationId| numbers.get(id.0 as usize).copied().unwrap_or(OperationId::NONE);
        for path in &mut self.paths {
            path.operation = renumber(path.operation);
            let links = std::mem::take(&mut path.state.links);
            path.state.links = links.into_iter().map(|(target, weight)| (renumber(target), weight)).collect();
        }
        self.known = self.paths.iter().zip(0..).map(|(path, index)| ((path.parent, path.operation), index)).collect();
        self.operations = table;
    }

    /// Fills this profile's table with those strings of `table` that it refers to, sorted.
    fn sort_strings(&mut self, table: &Symbols) {
        let mut used = vec![false; table.len()];
        self.symbols_mut(&mut |symbol| {
            if let Some(slot) = used.get_mut(symbol.0 as usize) {
                *slot = true;
            }
        });
        let mut texts: Vec<(&str, usize)> = used
            .iter()
            .enumerate()
            .filter(|(_, used)| **used)
            .map(|(number, _)| (table.get(Symbol(number as u32)), number))
            .collect();
        texts.sort_unstable();
        let mut numbers = vec![Symbol::EMPTY; used.len()];
        let mut sorted = Symbols::default();
        for (text, old) in texts {
            if let Some(slot) = numbers.get_mut(old) {
                *slot = sorted.intern(text);
            }
        }
        self.symbols_mut(&mut |symbol| *symbol = numbers.get(symbol.0 as usize).copied().unwrap_or(Symbol::EMPTY));
        self.strings = sorted;
    }

    fn symbols_mut(&mut self, visit: &mut impl FnMut(&mut Symbol)) {
        for path in &mut self.paths {
            path.state.symbols_mut(visit);
        }
        let versions = std::mem::take(&mut self.totals.versions);
        for ((mut service, mut version), spans) in versions {
            visit(&mut service);
            visit(&mut version);
            *self.totals.versions.entry((service, version)).or_default() += spans;
        }
    }
}

/// Adds a state whose strings and operations count in the same tables.
fn add(mine: &mut PathState, state: PathState) {
    if mine.shards.iter().next().is_none() {
        // Nothing was added yet: a fresh path.
        *mine = state;
    } else {
        mine.merge(&state, &|symbol| symbol, &|operation| operation);
    }
}

/// For each service and kind with too many names the largest hash of a name that is kept.
fn too_many<'a>(operations: impl Iterator<Item = &'a Operation>) -> BTreeMap<(&'a str, Kind), u64> {
    let mut hashes: BTreeMap<(&str, Kind), Vec<u64>> = BTreeMap::new();
    for operation in operations.filter(|operation| operation.name.as_ref() != MASK) {
        hashes.entry((&operation.service, operation.kind)).or_default().push(stable_hash(operation.name.as_bytes()));
    }
    let last_kept = |mut hashes: Vec<u64>| {
        hashes.sort_unstable();
        hashes.get(MAX_NAMES).and_then(|_| hashes.get(MAX_NAMES - 1)).copied()
    };
    hashes.into_iter().filter_map(|(key, hashes)| Some((key, last_kept(hashes)?))).collect()
}

/// What stands for the operations of one service and kind that are not told apart.
fn together(operation: &Operation) -> Operation {
    Operation { service: operation.service.clone(), kind: operation.kind, name: MASK.into() }
}

/// Of too many versions those with the smallest hashes are kept, the others stand together as `{}`.
fn bound_versions(totals: &mut Totals, strings: &mut Symbols) {
    let hash = |strings: &Symbols, (service, version): (Symbol, Symbol)| {
        stable_hash(strings.get(service).as_bytes()) ^ stable_hash(strings.get(version).as_bytes()).rotate_left(1)
    };
    let mask = strings.intern(MASK);
    let mut hashes: Vec<u64> =
        totals.versions.keys().filter(|key| key.1 != mask).map(|&key| hash(strings, key)).collect();
    if hashes.len() <= MAX_VERSIONS {
        return;
    }
    hashes.sort_unstable();
    let last = hashes.get(MAX_VERSIONS - 1).copied().unwrap_or(u64::MAX);
    for (key, spans) in std::mem::take(&mut totals.versions) {
        let kept = if hash(strings, key) <= last { key } else { (key.0, mask) };
        *totals.versions.entry(kept).or_default() += spans;
    }
}
