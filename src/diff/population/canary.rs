//! One instance among several, or against one other: the traces of an instance do not say how much instances differ.
//!
//! Where one instance serves a place on one side and five or more on the other, a shift of times must also exceed what
//! one more of those would differ by: the t prediction interval. An instance is what serves everything below it that no
//! other known process serves, so its spread counts for its calls and, by their share of the time, for the entry point
//! above, too. With fewer than five, or with one against another one, nobody knows that spread: latency only warns.

use super::entry_points::Tested;
use super::groups::{Group, Groups};
use super::latency::Timed;
use super::work::{SIDES, Work, plain};
use crate::align::ROOT;
use crate::diff::effects::{Metric, Strength};
use crate::diff::types::Note;
use crate::model::profile::{Instance, InstanceKey, PathState};
use crate::model::{Pair, Side};
use crate::stats::histogram::BINS_PER_OCTAVE;
use crate::stats::prediction::{FEWEST_INSTANCES, OneMore};
use std::collections::BTreeMap;
use std::f64::consts::LN_2;

/// What names a process, best first.
const PROCESS: [&str; 3] = ["service.instance.id", "k8s.pod.name", "host.name"];
/// Share of an entry point's change that must come from places whose spread is known.
const KNOWN: f64 = 0.5;

/// What stands on both sides of a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    /// Several on both sides, the same one, or nobody knows.
    Alike,
    /// One (by the hash of its name) against enough others.
    Known(u64, OneMore),
    /// One against another one, or against too few.
    Unknown,
}

/// What stands on both sides of every place.
pub(super) struct Canaries {
    of: Pair<Vec<Standing>>,
}

impl Canaries {
    pub fn new(work: &Work<'_>) -> Canaries {
        let mut of = work.trees.as_ref().map(|tree| vec![Standing::Alike; tree.len()]);
        // Parents come before their children: who serves them is known.
        for node in work.nodes(Side::After) {
            let own = work.partner(Side::After, node).and_then(|before| here(work, Pair::new(before, node)));
            fill(&mut of.after, node, own, work.parent(Side::After, node));
        }
        for node in work.nodes(Side::Before) {
            let own = work.partner(Side::Before, node).and_then(|after| of.after.get(after as usize).copied());
            fill(&mut of.before, node, own, work.parent(Side::Before, node));
        }
        Canaries { of }
    }

    fn at(&self, side: Side, node: u32) -> Standing {
        self.of.get(side).get(node as usize).copied().unwrap_or(Standing::Alike)
    }

    /// What a time of a path must exceed besides; caps what may come of its test where that is not known.
    pub fn path(&self, work: &Work<'_>, one: &mut Timed) -> OneMore {
        let mut both = vec![self.at(Side::After, one.place.after)];
        if one.metric == Metric::EdgeTime {
            // The caller's machine has its part in the time to the callee.
            both.push(self.at(Side::After, work.parent(Side::After, one.place.after)));
        }
        if both.contains(&Standing::Unknown) {
            one.test.most = one.test.most.min(Strength::Warn);
        }
        let known = both.into_iter().filter_map(|standing| match standing {
            Standing::Known(_, between) => Some(between),
            Standing::Alike | Standing::Unknown => None,
        });
        known.max_by(|a, b| a.variance.total_cmp(&b.variance)).unwrap_or(OneMore::NONE)
    }

    /// What the duration of an entry point must exceed besides: the spread of each single instance counts by the share
    /// of the time that is spent there and in what it calls.
    pub fn entry_point(&self, work: &Work<'_>, groups: &Groups, group: usize) -> OneMore {
        let mut whole = 0.0;
        let mut parts: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for node in work.nodes(Side::After).filter(|&node| groups.of(Side::After, node) == Some(group)) {
            let time = plain(work.sums(Side::After, node).critical_ns);
            whole += time;
            if let Standing::Known(instance, between) = self.at(Side::After, node) {
                // Places of one instance are slow together.
                let part = parts.entry(instance).or_insert((0.0, between.df));
                part.0 += time * between.variance.sqrt();
                part.1 = part.1.min(between.df);
            }
        }
        let parts = || parts.values().map(|(sd, df)| ((sd / f64::max(whole, 1.0)).powi(2), *df));
        let variance: f64 = parts().map(|part| part.0).sum();
        if variance <= 0.0 {
            return OneMore::NONE;
        }
        OneMore { variance, df: variance * variance / parts().map(|(part, df)| part * part / df).sum::<f64>() }
    }

    /// Whether an entry point's change may come from instances of which nobody knows how much they differ.
    fn is_unknown(&self, work: &Work<'_>, groups: &Groups, number: usize, group: &Group) -> bool {
        if group.place().after.is_some_and(|entry| self.at(Side::After, entry) == Standing::Unknown) {
            return true;
        }
        let time = |side: Side, of: &dyn Fn(u32) -> bool| {
            let nodes = work.nodes(side).filter(|&node| groups.of(side, node) == Some(number) && of(node));
            let time: f64 = nodes.map(|node| plain(work.sums(side, node).critical_ns)).sum();
            time / plain(group.requests(work, side)).max(1.0)
        };
        let change = |of: &dyn Fn(Side, u32) -> bool| {
            let [before, after] = SIDES.map(|side| time(side, &|node| of(side, node)));
            after - before
        };
        let unknown = change(&|side, node| self.at(side, node) == Standing::Unknown);
        unknown / change(&|_, _| true) >= KNOWN
    }

    /// Caps what entry points may come to where nobody knows how much instances differ.
    pub fn cap(&self, work: &Work<'_>, groups: &Groups, tested: &mut [Tested]) -> Option<Note> {
        if !self.of.after.contains(&Standing::Unknown) {
            return None;
        }
        let mut is_capped = false;
        for ((number, group), tested) in groups.list.iter().enumerate().zip(tested) {
            if group.is_matched() && self.is_unknown(work, groups, number, group) {
                for test in tested.duration.iter_mut().chain(&mut tested.p95) {
                    test.most = test.most.min(Strength::Warn);
                    is_capped = true;
                }
            }
        }
        let message = format!(
            "one instance stands against another one, or against fewer than {FEWEST_INSTANCES}: how much instances \
             differ is not known, so latency only warns"
        );
        is_capped.then_some(Note { code: "one_instance", message })
    }
}

/// What stands at a node: its own, else that of its caller.
fn fill(of: &mut [Standing], node: u32, own: Option<Standing>, parent: u32) {
    let above = of.get(parent as usize).copied().filter(|_| parent != ROOT);
    if let (Some(slot), Some(standing)) = (of.get_mut(node as usize), own.or(above)) {
        *slot = standing;
    }
}

/// What stands at a place itself; `None` when its processes are not known on both sides.
fn here(work: &Work<'_>, place: Pair<u32>) -> Option<Standing> {
    let states = Pair::new(work.state(Side::Before, place.before)?, work.state(Side::After, place.after)?);
    let keys = PROCESS.iter().find_map(|key| {
        let found =
            |state: &'_ PathState| state.instances.get(key).filter(|found| seen(found).next().is_some()).cloned();
        Some(Pair::new(found(states.before)?, found(states.after)?))
    })?;
    let single = |side: Side| {
        let mut seen = seen(keys.get(side));
        seen.next().map(|(name, _)| name).filter(|_| seen.next().is_none())
    };
    let (one, many) = match (single(Side::Before), single(Side::After)) {
        (None, None) => return Some(Standing::Alike),
        (Some(before), Some(after)) if before == after => return Some(Standing::Alike),
        (Some(_), Some(_)) => return Some(Standing::Unknown),
        (Some(one), None) => (one, Side::After),
        (None, Some(one)) => (one, Side::Before),
    };
    // A mean of logarithms says nothing where some times are zero.
    let has_zeros = states.get(many).self_time.cells().iter().any(|cell| cell.bin == 0);
    let means: Vec<f64> = seen(keys.get(many)).map(|(_, instance)| mean(instance)).collect();
    let between = OneMore::of(&means).filter(|_| !has_zeros);
    Some(between.map_or(Standing::Unknown, |between| Standing::Known(one, between)))
}

/// The instances that traces were seen of.
fn seen(key: &InstanceKey) -> impl Iterator<Item = (u64, &Instance)> {
    key.iter().filter(|(_, instance)| instance.weight > 0)
}

/// The mean logarithm of an instance's self times.
fn mean(instance: &Instance) -> f64 {
    instance.bins as f64 / instance.weight.max(1) as f64 * LN_2 / f64::from(BINS_PER_OCTAVE)
}
