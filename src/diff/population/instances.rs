//! Databases, hosts, queues and tenants that are gone, new or failing, beyond what chance does, and what they share.
//!
//! `pool` gathers the instances of a key from all aligned call paths, `reach` leaves out those that one side could not
//! have called, `chance` judges the others, `shared` looks for what the
//! named ones have in common, `story` makes one finding of what belongs together.

mod chance;
mod pool;
mod reach;
mod shared;
mod story;
#[cfg(test)]
mod tests;

use super::work::{SIDES, Work};
use crate::diff::draft::Drafts;
use crate::diff::types::Note;
use crate::model::{Pair, Side};
use std::collections::{BTreeMap, BTreeSet};

/// Adds the findings about instances; returns what is only to be noted: replaced processes, peers that this kind of
/// traffic does not reach.
pub(super) fn find(work: &Work<'_>, drafts: &mut Drafts) -> Vec<Note> {
    let pools = pool::gather(work);
    let windows = work
        .profiles
        .as_ref()
        .map(|profile| profile.totals.window_ns.map_or(0, |(start, end)| end.saturating_sub(start)));
    let judged = chance::judge(work, &pools, windows, &reach::Reach::new(work));
    let mut notes = Vec::new();
    let stories = pools.iter().zip(&judged).flat_map(|(pool, beyond)| story::of_pool(work, pool, beyond, &mut notes));
    for draft in story::drafts(work, stories.collect()) {
        drafts.push(draft);
    }
    notes
}

/// How many of the before side's instances of one key the after side called too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exercised {
    /// The key, its attributes joined by `/`.
    pub key: String,
    /// Instances that both sides called.
    pub both: u64,
    /// Instances that the before side called.
    pub of: u64,
    /// Whether there were more than a profile keeps, so that both are counts of a part.
    pub more: bool,
}

/// What the after side exercised of the before side's peers, by key in order of their names; processes, which change
/// with every rollout, are left out. All call paths count, whether or not they have a partner.
pub(super) fn exercised(work: &Work<'_>) -> Vec<Exercised> {
    let mut names: BTreeMap<&str, (Pair<BTreeSet<&str>>, bool)> = BTreeMap::new();
    for side in SIDES {
        let profile = work.profiles.get(side);
        for path in profile.paths() {
            for (key, instances) in path.state.instances.iter() {
                let entry = names.entry(profile.strings.get(key)).or_default();
                entry.1 |= instances.more;
                let texts = instances.iter().map(|(_, instance)| profile.strings.get(instance.name));
                entry.0.get_mut(side).extend(texts);
            }
        }
    }
    names
        .into_iter()
        .filter(|(key, (names, _))| !names.before.is_empty() && !pool::is_process_key(key))
        .map(|(key, (names, more))| Exercised {
            key: key.to_owned(),
            both: names.before.intersection(&names.after).count() as u64,
            of: names.before.len() as u64,
            more,
        })
        .collect()
}

/// Share of the before side's instances that the after side called too, over all keys; `None` when none are known.
pub(super) fn coverage(exercised: &[Exercised]) -> Option<f64> {
    let sum = |count: fn(&Exercised) -> u64| exercised.iter().map(count).sum::<u64>();
    let of = sum(|key| key.of);
    (of > 0).then(|| sum(|key| key.both) as f64 / of as f64)
}

/// Words for the instances of a key: one and several.
pub(super) fn noun(key: &str) -> (&'static str, &'static str) {
    let last = key.rsplit('/').next().unwrap_or(key);
    let known: [(&str, (&str, &str)); 10] = [
        ("db.", ("database", "databases")),
        ("messaging.", ("queue", "queues")),
        ("server.", ("host", "hosts")),
        ("tenant", ("tenant", "tenants")),
        ("service.peer", ("service", "services")),
        ("service.instance", ("instance", "instances")),
        ("k8s.pod", ("pod", "pods")),
        ("container.", ("container", "containers")),
        ("host.", ("host", "hosts")),
        ("k8s.cluster", ("cluster", "clusters")),
    ];
    known.into_iter().find(|(prefix, _)| last.starts_with(prefix)).map_or(("instance", "instances"), |(_, noun)| noun)
}

/// The side whose word counts for what instances of a finding share: where all of them were seen.
const fn told_by(new: bool) -> Side {
    if new { Side::After } else { Side::Before }
}
