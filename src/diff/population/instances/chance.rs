//! What chance would do to instances: which are gone, new or failing beyond it.

use super::pool::{Member, Pool, Seen};
use super::reach::Reach;
use crate::diff::population::counts::more_than;
use crate::diff::population::work::{Family, Work};
use crate::model::{Pair, Side};
use crate::stats::absence::p_vanished;
use crate::stats::multiple::benjamini_hochberg;
use std::collections::{BTreeMap, BTreeSet};

/// How much more often an instance must fail than before, and than the others, to be called failing.
const FAILING_MARGIN: f64 = 0.25;
/// Calls of an instance that must have failed.
const FAILED_AT_LEAST: f64 = 3.0;
/// p value of an instance against its own past above which the past speaks against a change.
const AGAINST_ITSELF: f64 = 0.05;
/// Instances that tell how much traffic scatters beyond chance; with fewer nothing is known about that.
const SCATTER_FROM: usize = 20;
/// Those of least traffic are asked: where chance decides.
const SCATTER_OF: usize = 200;
/// Calls on both sides together from which on an instance tells it.
const SCATTER_CALLS: f64 = 16.0;
/// Part of the window that calls must spread over to count as independent of each other.
const SPREAD: f64 = 0.25;

/// What is beyond chance in one pool. Numbers are places in [`Pool::members`].
#[derive(Debug, Default)]
pub(super) struct Beyond {
    /// Called before and not any more, from the start of the after side or from some time on.
    pub gone: Vec<Named>,
    /// Called now and not before.
    pub new: Vec<Named>,
    /// Most calls fail, more than before and more than those of others.
    pub failing: Vec<Named>,
    /// Instances called on that side and not at all on the other.
    pub absent: Pair<u64>,
    /// How many of these chance would give.
    pub expected: Pair<f64>,
    /// All instances that were called on each side.
    pub of: Pair<u64>,
    /// Instances called before by callers of which none runs there any more, by that place. They are no absent ones.
    pub out_of_reach: BTreeMap<(String, String), u64>,
}

/// An instance that is named, with its p value and the corrected one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Named {
    pub member: usize,
    pub p: f64,
    pub q: f64,
}

/// One test of one instance.
struct Test {
    pool: usize,
    member: usize,
    fate: Fate,
    p: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Gone,
    New,
    Failing,
}

/// Judges all pools as one family of tests: `windows` are the lengths of the sides in nanoseconds.
pub(super) fn judge<'a>(work: &Work<'_>, pools: &[Pool<'a>], windows: Pair<u64>, reach: &Reach<'a>) -> Vec<Beyond> {
    let mut results: Vec<Beyond> = Vec::with_capacity(pools.len());
    let mut tests = Vec::new();
    for (number, pool) in pools.iter().enumerate() {
        let mut result = Beyond::default();
        let scatter = scatter(pool);
        let mut test = |member, fate, p| tests.push(Test { pool: number, member, fate, p });
        for (place, member) in pool.members.iter().enumerate() {
            for (side, fate) in [(Side::Before, Fate::Gone), (Side::After, Fate::New)] {
                if member.seen.get(side).spans == 0 {
                    continue;
                }
                *result.of.get_mut(side) += 1;
                let absent = member.seen.get(side.other()).spans == 0;
                if let Some((key, value)) = reach.beyond(work, pool, member, side).filter(|_| absent) {
                    if side == Side::Before {
                        *result.out_of_reach.entry((key.to_owned(), value.to_owned())).or_default() += 1;
                    }
                    continue;
                }
                let chance = absence(pool, member, side, scatter, *windows.get(side));
                *result.absent.get_mut(side) += u64::from(absent);
                *result.expected.get_mut(side) += chance.never;
                let began_later = fate == Fate::New && !absent;
                test(place, fate, if began_later { 1.0 } else { chance.since_last });
            }
        }
        for (place, p) in failing(pool) {
            test(place, Fate::Failing, p);
        }
        results.push(result);
    }
    let corrected = benjamini_hochberg(&tests.iter().map(|test| test.p).collect::<Vec<f64>>());
    for (test, q) in tests.iter().zip(corrected) {
        if q > work.level(Family::Instances) {
            continue;
        }
        if let Some(result) = results.get_mut(test.pool) {
            let list = match test.fate {
                Fate::Gone => &mut result.gone,
                Fate::New => &mut result.new,
                Fate::Failing => &mut result.failing,
            };
            list.push(Named { member: test.member, p: test.p, q });
        }
    }
    results
}

/// Probabilities that the other side does not call an instance although nothing changed.
struct Absence {
    /// Not at all.
    never: f64,
    /// Not after the last call that was seen there: the same when there was none.
    since_last: f64,
}

fn absence(pool: &Pool<'_>, member: &Member<'_>, from: Side, scatter: f64, window_ns: u64) -> Absence {
    let last_ns = member.seen.get(from.other()).last_ns;
    let (mut traces, mut could, mut could_since) = (0.0, 0.0, 0.0);
    for &(caller, count) in member.ways.get(from).values() {
        let ratio = pool.ratio(from, caller);
        traces += count;
        could += count * ratio;
        could_since += count * ratio * share_after(pool, caller, from.other(), last_ns);
    }
    if traces <= 0.0 {
        return Absence { never: 1.0, since_last: 1.0 };
    }
    let independent = independent(member.seen.get(from), traces, window_ns) / scatter;
    Absence {
        never: p_vanished(independent, could / traces),
        since_last: p_vanished(independent, could_since / traces),
    }
}

/// Probability that none of these members is called after the last call to any of them, though nothing changed: what
/// says little of each of them may say a lot of all together.
pub(super) fn silent_together(pool: &Pool<'_>, members: &BTreeSet<usize>) -> f64 {
    let members: Vec<&Member<'_>> = members.iter().filter_map(|&place| pool.members.get(place)).collect();
    let last_ns = members.iter().map(|member| member.seen.after.last_ns).max().unwrap_or(0);
    let (mut traces, mut could) = (0.0, 0.0);
    for &(caller, count) in members.iter().flat_map(|member| member.ways.before.values()) {
        traces += count;
        could += count * pool.ratio(Side::Before, caller) * share_after(pool, caller, Side::After, last_ns);
    }
    if traces > 0.0 { p_vanished(traces / scatter(pool), could / traces) } else { 1.0 }
}

/// Share of a caller's traffic that came in the parts of the window behind a time; all of it for time 0.
fn share_after(pool: &Pool<'_>, caller: usize, side: Side, at_ns: u64) -> f64 {
    let Some(caller) = pool.callers.get(caller).filter(|_| at_ns > 0) else { return 1.0 };
    let (mut all, mut behind) = (0, 0);
    for (start_ns, bucket) in caller.states.get(side).timeline.iter() {
        all += bucket.weight;
        behind += if start_ns > at_ns { bucket.weight } else { 0 };
    }
    if all == 0 { 0.0 } else { behind as f64 / all as f64 }
}

/// Calls that say something each: those of a short time, of one session or one nightly job, belong together.
fn independent(seen: &Seen<'_>, traces: f64, window_ns: u64) -> f64 {
    if window_ns == 0 || traces <= 1.0 {
        return traces;
    }
    let spread = seen.last_ns.saturating_sub(seen.first_ns) as f64 / window_ns as f64;
    1.0 + (traces - 1.0) * (spread / SPREAD).min(1.0)
}

/// How much more the instances' traffic differs between the sides than that of independent calls would: the factor by
/// which their calls come in groups, at least 1. Medians over instances, so that vanished ones do not show.
fn scatter(pool: &Pool<'_>) -> f64 {
    let mut known: Vec<(f64, f64)> = pool
        .members
        .iter()
        .map(|member| &member.seen)
        // Those on one side alone are what is asked about: they must not answer.
        .filter(|seen| seen.before.spans > 0 && seen.after.spans > 0)
        .map(|seen| (seen.before.traces + seen.after.traces, seen.after.traces))
        .filter(|(all, _)| *all >= SCATTER_CALLS)
        .collect();
    if known.len() < SCATTER_FROM {
        return 1.0;
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    known.truncate(SCATTER_OF);
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let part = median(known.iter().map(|(all, after)| after / all).collect());
    let z = |&(all, after): &(f64, f64)| (after - all * part).abs() / (all * part * (1.0 - part)).sqrt();
    if part * (1.0 - part) * SCATTER_CALLS < 1.0 {
        // The sides are so unequal that the rare calls of the smaller one say nothing about groups.
        return 1.0;
    }
    // The median of |z| of a normal variable is 0.6745.
    let median = median(known.iter().map(z).collect()) / 0.6745;
    (median * median).max(1.0)
}

/// Failed calls among calls, both as traces.
#[derive(Clone, Copy)]
struct Failed {
    failed: f64,
    calls: f64,
}

impl Failed {
    const NONE: Failed = Failed { failed: 0.0, calls: 0.0 };

    fn sum(all: impl Iterator<Item = Failed>) -> Failed {
        all.fold(Failed::NONE, |sum, one| Failed { failed: sum.failed + one.failed, calls: sum.calls + one.calls })
    }

    fn of(seen: &Seen<'_>) -> Failed {
        let each = if seen.spans == 0 { 0.0 } else { seen.traces / seen.spans as f64 };
        Failed { failed: seen.failed as f64 * each, calls: seen.traces }
    }

    fn rate(self) -> f64 {
        if self.calls > 0.0 { self.failed / self.calls } else { 0.0 }
    }

    /// p value of failing more often than another.
    fn more_than(self, other: Failed) -> f64 {
        let whole = |number: f64| number.round().max(0.0) as u64;
        more_than((whole(self.failed), whole(self.calls)), (whole(other.failed), whole(other.calls)))
    }
}

/// p values of failing more often than instances did before and than the quieter half does now. One instance alone has
/// no others: its failures are those of its callers. What an instance itself did before must not speak against it; it
/// is too little to decide alone, where most calls go to a few of very many instances.
fn failing(pool: &Pool<'_>) -> Vec<(usize, f64)> {
    let mut now: Vec<(usize, Failed)> = pool
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.seen.after.spans > 0)
        .map(|(place, member)| (place, Failed::of(&member.seen.after)))
        .collect();
    now.sort_by(|a, b| a.1.rate().total_cmp(&b.1.rate()).then(a.0.cmp(&b.0)));
    let quiet = Failed::sum(now.iter().take(now.len() / 2).map(|one| one.1));
    if quiet.calls <= 0.0 {
        return Vec::new();
    }
    let all_before = Failed::sum(pool.members.iter().map(|member| Failed::of(&member.seen.before)));
    let mut tests: Vec<(usize, f64)> = now
        .iter()
        .map(|&(place, after)| {
            let before = pool.members.get(place).map_or(Failed::NONE, |member| Failed::of(&member.seen.before));
            let usual = before.rate().max(quiet.rate()).max(all_before.rate());
            if after.failed < FAILED_AT_LEAST || after.rate() < usual + FAILING_MARGIN {
                return (place, 1.0);
            }
            let own = if before.calls > 0.0 { after.more_than(before) } else { 0.0 };
            let others = after.more_than(quiet).max(after.more_than(all_before));
            (place, if own > AGAINST_ITSELF { own.max(others) } else { others })
        })
        .collect();
    tests.sort_unstable_by_key(|test| test.0);
    tests
}
