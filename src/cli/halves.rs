//! Random halves of a population, and made-up slowdowns, out of its profile alone.
//!
//! A trace's shard is the low bits of its id, which is random: sixteen shards of thirty-two are half of the traces,
//! without reading them again. What is not kept by shard (attributes, instances, links, when things happened) is left
//! out, so that it is the same on both sides.

use super::engine::Profile;
use crate::model::profile::{ENTRY_SHARDS, ONE, PathState, SHARDS, Shards, Sums, stable_hash};
use crate::model::{NO_PARENT, Operation, OperationId, Pair};
use crate::stats::Histogram;
use crate::stats::histogram::{Cell, bin_ends, bin_of};

/// The shards of the first half of a split, as bits.
fn chosen(split: u32) -> u64 {
    let mut shards: Vec<u8> = (0..SHARDS).collect();
    let [a, b, c, d] = split.to_le_bytes();
    shards.sort_by_key(|&shard| (stable_hash(&[a, b, c, d, shard]), shard));
    shards.iter().take(usize::from(SHARDS / 2)).fold(0, |bits, shard| bits | 1 << shard)
}

/// Two random halves, others for every number.
pub fn split(profile: &Profile, split: u32) -> Pair<Profile> {
    let chosen = chosen(split);
    let in_first = |shard: u8| chosen >> (shard % SHARDS) & 1 == 1;
    Pair::new(part(profile, in_first), part(profile, |shard| !in_first(shard)))
}

fn part(profile: &Profile, keep: impl Fn(u8) -> bool) -> Profile {
    let mut part = Profile::with_operations(profile.operations.clone());
    let mut places: Vec<Option<u32>> = Vec::with_capacity(profile.paths().len());
    let mut calls = 0;
    for path in profile.paths() {
        let parent = places.get(path.parent as usize).copied().flatten();
        let is_entry = path.parent == NO_PARENT;
        let state = part_of(&path.state, is_entry, &keep);
        let total = state.shards.total();
        if total.traces == 0 || (parent.is_none() && !is_entry) {
            places.push(None);
            continue;
        }
        calls += total.calls;
        let place = part.path(parent.unwrap_or(NO_PARENT), path.operation);
        if let Some(slot) = part.state_mut(place) {
            *slot = state;
        }
        part.totals.traces += if is_entry { total.traces } else { 0 };
        places.push(Some(place));
    }
    // A trace with several roots enters several times.
    part.totals.traces = part.totals.traces.min(profile.totals.traces);
    part.totals.spans = u64::try_from(calls / u128::from(ONE)).unwrap_or(u64::MAX);
    part.totals.window_ns = profile.totals.window_ns;
    part.totals.thresholds.clone_from(&profile.totals.thresholds);
    part.totals.unsampled = profile.totals.unsampled;
    part
}

fn part_of(state: &PathState, is_entry: bool, keep: &impl Fn(u8) -> bool) -> PathState {
    let mut shards = Shards::new(state.shards.count());
    for (shard, sums) in state.shards.iter().filter(|(shard, _)| keep(*shard)) {
        shards.shard_mut(shard).add(sums);
    }
    // Durations below entry points are not kept by shard: both halves have those of all.
    let duration = if is_entry { state.duration.of_shards(keep) } else { state.duration.clone() };
    PathState {
        self_time: state.self_time.of_shards(keep),
        edge_time: state.edge_time.of_shards(keep),
        duration,
        shards,
        ..PathState::default()
    }
}

/// A call path that a slowdown is made up for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its operations, entry point first.
    pub operations: Vec<Operation>,
    /// Their numbers in the tables of the profile and of its halves.
    ids: Vec<OperationId>,
    /// Mean self time in a trace with the path, nanoseconds.
    pub self_ns: u64,
}

/// The call paths that take most of the critical path, the busiest first.
pub fn busiest(profile: &Profile, most: usize) -> Vec<Target> {
    let mut by_time: Vec<(u128, u32)> = (0..)
        .zip(profile.paths())
        .filter(|(_, path)| path.state.edge_time.is_empty())
        .map(|(index, path)| (path.state.shards.total().critical_ns, index))
        .filter(|(critical_ns, _)| *critical_ns > 0)
        .collect();
    by_time.sort_by_key(|&(critical_ns, index)| (std::cmp::Reverse(critical_ns), index));
    by_time.into_iter().take(most).filter_map(|(_, index)| target(profile, index)).collect()
}

fn target(profile: &Profile, index: u32) -> Option<Target> {
    let mut ids = Vec::new();
    for at in upwards(profile, index) {
        ids.push(profile.paths().get(at as usize)?.operation);
    }
    ids.reverse();
    let operations = ids.iter().map(|id| profile.operations.get(*id).cloned()).collect::<Option<Vec<_>>>()?;
    let total = profile.paths().get(index as usize)?.state.shards.total();
    let self_ns = total.self_ns.checked_div(total.weight).unwrap_or_default();
    Some(Target { ids, operations, self_ns: u64::try_from(self_ns).unwrap_or(u64::MAX) })
}

/// A path and those above it, up to the entry point. Parents have smaller numbers.
fn upwards(profile: &Profile, index: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(index), |&at| {
        profile.paths().get(at as usize).map(|path| path.parent).filter(|&parent| parent != NO_PARENT && parent < at)
    })
}

/// Makes the self time of a target `factor` times as long, and what waits for it longer by as much.
pub fn slow_down(half: &mut Profile, target: &Target, factor: f64) {
    let Some(place) = find(half, &target.ids) else { return };
    let above: Vec<u32> = upwards(half, place).collect();
    let mut longer = [0u128; SHARDS as usize];
    if let Some(state) = half.state_mut(place) {
        state.self_time = mapped(&state.self_time, |_, ns| ns * factor);
        for shard in 0..SHARDS.max(state.shards.count()) {
            let sums = state.shards.shard(shard);
            if sums.traces == 0 {
                continue;
            }
            let more = |ns: u128| (ns as f64 * (factor - 1.0)).round() as u128;
            let critical_ns = more(sums.critical_ns);
            if let Some(slot) = longer.get_mut(usize::from(shard % SHARDS)) {
                *slot += critical_ns;
            }
            let more = Sums { self_ns: more(sums.self_ns), critical_ns, ..Sums::default() };
            state.shards.shard_mut(shard).add(&more);
        }
    }
    for at in above {
        if let Some(state) = half.state_mut(at) {
            lengthen(state, &longer);
        }
    }
}

/// Adds to the durations of a path what a trace of each shard takes longer, on the mean.
fn lengthen(state: &mut PathState, longer: &[u128; SHARDS as usize]) {
    let of_shard = |shard: u8| longer.get(usize::from(shard % SHARDS)).copied().unwrap_or(0);
    let weight: Vec<f64> = (0..SHARDS)
        .map(|shard| {
            let second =
                if state.shards.count() == ENTRY_SHARDS { state.shards.shard(shard + SHARDS).weight } else { 0 };
            (state.shards.shard(shard).weight + second) as f64
        })
        .collect();
    let mean = |shard: u8| {
        let weight = weight.get(usize::from(shard % SHARDS)).copied().unwrap_or(0.0);
        if weight > 0.0 { of_shard(shard) as f64 / weight } else { 0.0 }
    };
    state.duration = mapped(&state.duration, |shard, ns| ns + mean(shard));
    for shard in 0..state.shards.count() {
        let sums = state.shards.shard(shard);
        if sums.traces > 0 {
            let duration_ns = (mean(shard) * sums.weight as f64) as u128;
            state.shards.shard_mut(shard).add(&Sums { duration_ns, ..Sums::default() });
        }
    }
}

/// A histogram with every bin's middle replaced.
fn mapped(histogram: &Histogram, map: impl Fn(u8, f64) -> f64) -> Histogram {
    Histogram::from_cells(histogram.cells().iter().map(|cell| {
        let (low, high) = bin_ends(cell.bin);
        let middle = if cell.bin == 0 { 0.0 } else { f64::midpoint(low, high) };
        Cell { bin: bin_of(map(cell.shard, middle) as u64), ..*cell }
    }))
}

/// The path of these operations.
fn find(profile: &Profile, ids: &[OperationId]) -> Option<u32> {
    let mut at = NO_PARENT;
    for &id in ids {
        at = profile.find(at, id)?;
    }
    (at != NO_PARENT).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Folder;
    use crate::model::{Limits, TraceId, Warnings, fixture};

    /// Traces of 50 ms of which 30 are a call's.
    fn profile(traces: u128) -> Profile {
        let mut folder = Folder::new(&Limits::default());
        for id in 1..=traces {
            let mut trace = fixture::trace("shop GET /cart 50ms [server]\n  shop load 30ms @10ms");
            trace.id = TraceId(id);
            folder.add(&trace, &Warnings::default());
        }
        folder.finish()
    }

    #[test]
    fn halves_are_halves_and_others_every_time() {
        let profile = profile(640);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..50 {
            let halves = split(&profile, number);
            assert_eq!(halves.as_ref().map(|half| half.totals.traces), Pair::new(320, 320));
            assert_eq!(halves.as_ref().map(|half| half.totals.spans), Pair::new(640, 640));
            seen.insert(chosen(number));
        }
        assert_eq!(seen.len(), 50);
        assert_eq!(chosen(7).count_ones(), 16);
    }

    #[test]
    fn a_slowdown_reaches_the_entry_point() {
        let profile = profile(640);
        let targets = busiest(&profile, 5);
        assert_eq!(targets[0].operations.last().unwrap().name.as_ref(), "load");
        assert_eq!(targets[0].self_ns, 30_000_000);
        let mut half = split(&profile, 1).after;
        slow_down(&mut half, &targets[0], 2.0);
        let mean = |place: usize, value: fn(&Sums) -> u128| {
            let total = half.paths()[place].state.shards.total();
            value(&total) / total.weight
        };
        assert_eq!(mean(1, |sums| sums.self_ns), 60_000_000);
        assert_eq!(mean(0, |sums| sums.duration_ns), 80_000_000);
        let bin = half.paths()[0].state.duration.cells()[0].bin;
        assert!(bin.abs_diff(bin_of(80_000_000)) <= 1, "{bin}");
        assert_eq!(half.paths()[1].state.self_time.cells()[0].bin, bin_of(2 * 30_000_000));
    }
}
