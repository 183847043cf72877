//! Would another sample say the same? The findings of two halves of the after side, by even and odd shards.

use super::judged::Judged;
use super::work::Work;
use crate::diff::finish::fingerprint;
use crate::model::profile::{PathState, Profile, Shards};
use crate::model::{NO_PARENT, Pair};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Share of the findings of either half that both have (Jaccard); `None` when neither has any.
pub(super) fn stability(work: &Work<'_>) -> Option<f64> {
    let flagged = |odd: u8| {
        let half = Arc::new(half(&work.profiles.after, odd));
        let profiles = Pair::new(work.profiles.before.clone(), half);
        let work = Work::new(profiles, work.options, work.all_level());
        let judged = Judged::new(&work);
        let hashes = work.paths.fingerprints(work.operations());
        judged.drafts.list.iter().map(|draft| fingerprint(draft, &hashes)).collect::<BTreeSet<String>>()
    };
    let (even, odd) = (flagged(0), flagged(1));
    let either = even.union(&odd).count();
    (either > 0).then(|| even.intersection(&odd).count() as f64 / either as f64)
}

/// The traces of the even or of the odd shards: what is needed to judge them, no more.
fn half(profile: &Profile, odd: u8) -> Profile {
    let mut half = Profile::with_operations(profile.operations.clone());
    let mut places: Vec<Option<u32>> = Vec::with_capacity(profile.paths().len());
    for path in profile.paths() {
        let parent = places.get(path.parent as usize).copied().flatten();
        let is_entry = path.parent == NO_PARENT;
        let state = state_of(&path.state, odd);
        let traces = state.shards.total().traces;
        if traces == 0 || (parent.is_none() && !is_entry) {
            places.push(None);
            continue;
        }
        let place = half.path(parent.unwrap_or(NO_PARENT), path.operation);
        if let Some(slot) = half.state_mut(place) {
            *slot = state;
        }
        half.totals.traces += if is_entry { traces } else { 0 };
        places.push(Some(place));
    }
    half.totals.traces = half.totals.traces.min(profile.totals.traces);
    half
}

fn state_of(state: &PathState, odd: u8) -> PathState {
    let mut shards = Shards::new(state.shards.count());
    for (shard, sums) in state.shards.iter().filter(|(shard, _)| shard & 1 == odd) {
        shards.shard_mut(shard).add(sums);
    }
    let keep = |shard: u8| shard & 1 == odd;
    PathState {
        self_time: state.self_time.of_shards(keep),
        edge_time: state.edge_time.of_shards(keep),
        duration: state.duration.of_shards(keep),
        shards,
        ..PathState::default()
    }
}
