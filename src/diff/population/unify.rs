//! Both profiles in one numbering: sorted, with one table of operations, and with names that only differ in an
//! identifier folded into one.
//!
//! Profiles hold names as they were sent, so that merging them is exact. What is an identifier and what a vocabulary
//! shows only when both sides are looked at together (`model::drain`), so names are folded here.

use crate::model::profile::{PathState, Profile};
use crate::model::{Kind, NO_PARENT, Operation, OperationId, Operations, Pair, Side, drain};
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::work::SIDES;

/// Names of one service and kind under one parent from which they are looked at.
const MANY_NAMES: usize = 32;
/// A name that so many traces share is a word of a vocabulary, and no identifier.
const COMMON: u64 = 20;
/// Attributes that give a span its name by a convention: such a name holds no identifier.
const NAMING_KEYS: [&str; 10] = [
    "http.route",
    "url.template",
    "db.query.summary",
    "db.collection.name",
    "rpc.method",
    "messaging.destination.name",
    "messaging.destination.template",
    "gen_ai.request.model",
    "faas.invoked_name",
    "graphql.operation.name",
];

/// The new operations of a profile's paths, by path.
type Renamed = HashMap<u32, Operation, foldhash::fast::RandomState>;

/// Brings two profiles into one numbering. Paths that become equal by folding names are merged.
pub(super) fn unify<P: Borrow<Profile>>(profiles: &Pair<P>) -> Pair<Arc<Profile>> {
    let profiles = profiles.as_ref().map(|profile| Borrow::<Profile>::borrow(profile).canonical());
    let renamed = fold_names(&profiles);
    let folded = Pair::new(folded(profiles.before, &renamed.before), folded(profiles.after, &renamed.after));
    let mut operations: Vec<&Operation> =
        folded.before.operations.iter().chain(folded.after.operations.iter()).collect();
    operations.sort_unstable();
    let mut table = Operations::default();
    for operation in operations {
        table.intern(operation.clone());
    }
    folded.map(|profile| Arc::new(numbered(&profile, &table)))
}

/// The profile under its new names, in order.
fn folded(profile: Profile, renamed: &Renamed) -> Profile {
    if renamed.is_empty() {
        return profile;
    }
    let mut folded = Profile::default();
    let numbers: HashMap<u32, OperationId, foldhash::fast::RandomState> =
        renamed.iter().map(|(&path, operation)| (path, folded.operations.intern(operation.clone()))).collect();
    folded.merge_mapped(&profile, |path, operation| numbers.get(&path).copied().unwrap_or(operation));
    folded.into_canonical()
}

/// The profile with its operations numbered as in `table`, which holds them all.
fn numbered(profile: &Profile, table: &Operations) -> Profile {
    let mut numbered = Profile::with_operations(table.clone());
    numbered.merge(profile);
    numbered.seal();
    numbered
}

/// Paths of both sides that are one path under the names found so far.
type Together = Pair<Vec<u32>>;

/// Finds new names from the entry points down: what was folded above is one parent below.
fn fold_names(profiles: &Pair<Profile>) -> Pair<Renamed> {
    let children = profiles.as_ref().map(children);
    let mut renamed: Pair<Renamed> = Pair::default();
    let mut open: Vec<Together> = vec![children.as_ref().map(|lists| lists.first().cloned().unwrap_or_default())];
    while let Some(siblings) = open.pop() {
        for group in merged(profiles, &siblings, &mut renamed) {
            let below = |side: Side| -> Vec<u32> {
                let lists = children.get(side);
                let of = |&path: &u32| lists.get(path as usize + 1).cloned().unwrap_or_default();
                group.get(side).iter().flat_map(of).collect()
            };
            let below = Pair::new(below(Side::Before), below(Side::After));
            if !below.before.is_empty() || !below.after.is_empty() {
                open.push(below);
            }
        }
    }
    renamed
}

/// The children of every path, by path plus one; the entry points come first.
fn children(profile: &Profile) -> Vec<Vec<u32>> {
    let mut children = vec![Vec::new(); profile.paths().len() + 1];
    for (index, path) in profile.paths().iter().enumerate() {
        let slot = if path.parent == NO_PARENT { 0 } else { path.parent as usize + 1 };
        if let Some(list) = children.get_mut(slot) {
            list.push(index as u32);
        }
    }
    children
}

/// Siblings by their operations, after names that hold identifiers were folded.
fn merged(profiles: &Pair<Profile>, siblings: &Together, renamed: &mut Pair<Renamed>) -> Vec<Together> {
    let mut by_operation: BTreeMap<Operation, Together> = BTreeMap::new();
    for side in SIDES {
        let profile = profiles.get(side);
        for &path in siblings.get(side) {
            let operation =
                profile.paths().get(path as usize).and_then(|known| profile.operations.get(known.operation));
            if let Some(operation) = operation {
                by_operation.entry(operation.clone()).or_default().get_mut(side).push(path);
            }
        }
    }
    for (operation, name) in templates(profiles, &by_operation) {
        let Some(paths) = by_operation.remove(&operation) else { continue };
        let folded = Operation { name: name.into(), ..operation };
        for side in SIDES {
            renamed.get_mut(side).extend(paths.get(side).iter().map(|&path| (path, folded.clone())));
            by_operation.entry(folded.clone()).or_default().get_mut(side).extend(paths.get(side));
        }
    }
    by_operation.into_values().collect()
}

/// An operation and the sides on which it stands.
type Name<'a> = (&'a Operation, Pair<bool>);

/// The operations whose names hold identifiers, with their new names.
fn templates(profiles: &Pair<Profile>, siblings: &BTreeMap<Operation, Together>) -> Vec<(Operation, String)> {
    let mut found = Vec::new();
    let mut groups: BTreeMap<(&str, Kind), Vec<Name<'_>>> = BTreeMap::new();
    for (operation, paths) in siblings {
        groups.entry((&operation.service, operation.kind)).or_default().push((operation, seen(profiles, paths)));
    }
    for mut names in groups.into_values().filter(|names| names.len() > MANY_NAMES) {
        names.retain(|(operation, _)| siblings.get(operation).is_some_and(|paths| is_free(profiles, paths)));
        let texts: Vec<(&str, Pair<bool>)> =
            names.iter().map(|(operation, sides)| (&*operation.name, *sides)).collect();
        let templates = drain::templates(&texts);
        let new = names.iter().zip(templates).filter_map(|((operation, _), name)| Some(((*operation).clone(), name?)));
        found.extend(new);
    }
    found
}

/// On which sides a name stands. One that many traces share counts as one of both: it is no identifier.
fn seen(profiles: &Pair<Profile>, paths: &Together) -> Pair<bool> {
    let traces: u64 = states(profiles, paths).map(|state| state.shards.total().traces).sum();
    if traces >= COMMON {
        return Pair::new(true, true);
    }
    paths.as_ref().map(|paths| !paths.is_empty())
}

/// Whether a name was chosen freely, so that it may hold an identifier.
fn is_free(profiles: &Pair<Profile>, paths: &Together) -> bool {
    !states(profiles, paths).any(|state| NAMING_KEYS.iter().any(|key| state.attributes.get(key).is_some()))
}

fn states<'a>(profiles: &'a Pair<Profile>, paths: &'a Together) -> impl Iterator<Item = &'a PathState> {
    SIDES.into_iter().flat_map(move |side| {
        let of = move |&path: &u32| profiles.get(side).paths().get(path as usize).map(|path| &path.state);
        paths.get(side).iter().filter_map(of)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether numbers of operations mean the same on both sides.
    fn same_tables(before: &Operations, after: &Operations) -> bool {
        before.iter().eq(after.iter())
    }

    fn operation(name: &str) -> Operation {
        Operation { service: "shop".into(), kind: Kind::Server, name: name.into() }
    }

    fn word(index: usize) -> String {
        (0..4).map(|place| char::from(b'a' + (index / 7usize.pow(place) % 7) as u8)).collect()
    }

    /// A profile with one trace a name, each with a child of its own operation below.
    fn profile(names: impl Iterator<Item = String>) -> Profile {
        let mut profile = Profile::default();
        for (shard, name) in names.enumerate() {
            let id = profile.operations.intern(operation(&name));
            let child = profile.operations.intern(operation("child"));
            let path = profile.path(NO_PARENT, id);
            let below = profile.path(path, child);
            for path in [path, below] {
                profile.state_mut(path).unwrap().shards.shard_mut(shard as u8 % 32).traces += 1;
            }
        }
        profile.seal();
        profile
    }

    fn names(profile: &Profile) -> Vec<String> {
        let name = |id: OperationId| profile.operations.get(id).unwrap().name.to_string();
        profile.paths().iter().map(|path| name(path.operation)).collect()
    }

    #[test]
    fn both_sides_count_in_one_sorted_table() {
        let profiles = Pair::new(profile(["b", "a"].map(String::from).into_iter()), profile(["c".into()].into_iter()));
        let unified = unify(&profiles);
        assert!(same_tables(&unified.before.operations, &unified.after.operations));
        assert_eq!(names(&unified.before), ["a", "child", "b", "child"]);
        assert_eq!(names(&unified.after), ["c", "child"]);
        let table: Vec<&str> = unified.after.operations.iter().map(|operation| &*operation.name).collect();
        assert_eq!(table, ["a", "b", "c", "child"]);
    }

    #[test]
    fn identifiers_are_folded_and_what_is_below_is_merged() {
        let profiles = Pair::new(
            profile((0..30).map(|index| format!("load user {}", word(index)))),
            profile((30..60).map(|index| format!("load user {}", word(index)))),
        );
        let unified = unify(&profiles);
        for profile in [&unified.before, &unified.after] {
            assert_eq!(names(profile), ["load user {}", "child"]);
            assert!(profile.paths().iter().all(|path| path.state.shards.total().traces == 30));
        }
        assert!(same_tables(&unified.before.operations, &unified.after.operations));
    }

    #[test]
    fn names_that_many_traces_share_are_kept() {
        let often = |range: std::ops::Range<usize>| {
            profile(range.flat_map(|index| (0..COMMON).map(move |_| format!("load user {}", word(index)))))
        };
        let unified = unify(&Pair::new(often(0..40), often(0..5)));
        assert_eq!((unified.before.paths().len(), unified.after.paths().len()), (80, 10));
    }
}
