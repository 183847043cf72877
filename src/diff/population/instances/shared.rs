//! What the named instances have in common and the others have not.

use super::pool::Pool;
use crate::diff::effects::SharedAttribute;
use crate::model::Side;
use crate::stats::absence::hypergeometric_enrichment;
use crate::stats::multiple::benjamini_hochberg;
use std::collections::{BTreeMap, BTreeSet};

/// Corrected p value from which on an attribute may be told.
const LEVEL: f64 = 0.01;
/// Attributes told at most.
const TOLD: usize = 5;
/// An attribute must hold for this share of the named ones, or explain itself by this share of those that have it.
const INSIDE: f64 = 0.5;
const OF_ITS_OWN: f64 = 0.8;

/// One attribute and the members that have it.
struct Candidate<'a> {
    key: &'a str,
    value: &'a str,
    members: BTreeSet<usize>,
    q: f64,
}

/// Attributes that are clearly more frequent among `named` than among all instances of the pool that a side knows,
/// strongest first, without those that another one implies. Only one side's word is taken: what both sides say of an
/// instance differs for those that are on one side alone.
pub(super) fn shared(pool: &Pool<'_>, named: &BTreeSet<usize>, side: Side) -> Vec<SharedAttribute> {
    let all: BTreeSet<usize> = (0..pool.members.len())
        .filter(|place| pool.members.get(*place).is_some_and(|member| member.seen.get(side).spans > 0))
        .collect();
    let mut candidates = candidates(pool, &all, side);
    let p: Vec<f64> = candidates.iter().map(|candidate| enrichment(&candidate.members, named, &all)).collect();
    for (candidate, q) in candidates.iter_mut().zip(benjamini_hochberg(&p)) {
        candidate.q = q;
    }
    candidates.retain(|candidate| candidate.q < LEVEL && says_something(&candidate.members, named, &all));
    // Equally strong ones imply each other: the shorter key is the plainer word.
    candidates
        .sort_by(|a, b| a.q.total_cmp(&b.q).then((a.key.len(), a.key, a.value).cmp(&(b.key.len(), b.key, b.value))));
    let mut told: Vec<Candidate<'_>> = Vec::new();
    for candidate in candidates {
        if told.len() < TOLD && is_news(&candidate, &told, named, &all) {
            told.push(candidate);
        }
    }
    told.into_iter()
        .map(|candidate| SharedAttribute {
            key: candidate.key.to_owned(),
            value: candidate.value.to_owned(),
            inside: candidate.members.intersection(named).count() as u64,
            all: candidate.members.len() as u64,
            q: candidate.q,
        })
        .collect()
}

/// Every attribute that at least two instances have.
fn candidates<'a>(pool: &Pool<'a>, all: &BTreeSet<usize>, side: Side) -> Vec<Candidate<'a>> {
    let mut by_value: BTreeMap<(&'a str, &'a str), BTreeSet<usize>> = BTreeMap::new();
    for &place in all {
        let Some(member) = pool.members.get(place) else { continue };
        for (&key, &value) in &member.seen.get(side).shared {
            if let Some(value) = value.filter(|_| key != pool.key) {
                by_value.entry((key, value)).or_default().insert(place);
            }
        }
    }
    let several = by_value.into_iter().filter(|(_, members)| members.len() > 1);
    several.map(|((key, value), members)| Candidate { key, value, members, q: 1.0 }).collect()
}

/// p value of so many named ones among those with the attribute, all counted within `among`.
fn enrichment(with: &BTreeSet<usize>, named: &BTreeSet<usize>, among: &BTreeSet<usize>) -> f64 {
    let marked = named.intersection(among).count() as u64;
    let drawn: BTreeSet<usize> = with.intersection(among).copied().collect();
    let both = drawn.intersection(named).count() as u64;
    hypergeometric_enrichment(both, drawn.len() as u64, marked, among.len() as u64)
}

fn says_something(with: &BTreeSet<usize>, named: &BTreeSet<usize>, all: &BTreeSet<usize>) -> bool {
    let inside = with.intersection(named).count() as f64;
    let outside = with.difference(named).count() as f64;
    let others = all.difference(named).count() as f64;
    let (share, other_share) = (inside / named.len().max(1) as f64, outside / others.max(1.0));
    let explains = inside / with.len().max(1) as f64;
    share >= 2.0 * other_share && (share >= INSIDE || explains >= OF_ITS_OWN)
}

/// Whether an attribute says more than those told already: within at least one of the groups that these make, it is
/// still enriched.
fn is_news(candidate: &Candidate<'_>, told: &[Candidate<'_>], named: &BTreeSet<usize>, all: &BTreeSet<usize>) -> bool {
    let mut groups: BTreeMap<Vec<bool>, BTreeSet<usize>> = BTreeMap::new();
    for &place in all {
        let group = told.iter().map(|other| other.members.contains(&place)).collect();
        groups.entry(group).or_default().insert(place);
    }
    let tests = groups.len() as f64;
    groups.values().any(|group| enrichment(&candidate.members, named, group) * tests < LEVEL)
}
