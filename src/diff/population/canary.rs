//! One changed instance among several: within that instance nothing says how much instances differ.
//!
//! With five or more instances before the one after is compared with where one more of them would lie; with fewer the
//! test within instances stands, but only as a warning.

use super::entry_points::Tested;
use super::groups::Groups;
use super::latency::{Bounds, Timed};
use super::work::Work;
use crate::diff::effects::Strength;
use crate::diff::types::Note;
use crate::model::profile::{Instance, PathState};
use crate::model::{Pair, Side};
use crate::stats::histogram::BINS_PER_OCTAVE;
use crate::stats::prediction::{FEWEST_INSTANCES, t_prediction};
use std::f64::consts::LN_2;

/// What names a process, best first.
const PROCESS: [&str; 3] = ["service.instance.id", "k8s.pod.name", "host.name"];

/// Mean logarithms of the processes' times on each side, when one side has one process and the other has more.
fn one_against_several(work: &Work<'_>, place: Pair<u32>) -> Option<Pair<Vec<f64>>> {
    let of = |side: Side| work.state(side, *place.get(side)).map(means);
    let means = Pair::new(of(Side::Before)?, of(Side::After)?);
    let counts = means.as_ref().map(Vec::len);
    ((counts.before == 1) != (counts.after == 1) && counts.before > 0 && counts.after > 0).then_some(means)
}

/// The mean logarithm of each process' self or edge times.
fn means(state: &PathState) -> Vec<f64> {
    let Some(instances) = PROCESS.iter().find_map(|key| state.instances.get(key)) else { return Vec::new() };
    let mean =
        |instance: &Instance| instance.bins as f64 / instance.weight.max(1) as f64 * LN_2 / f64::from(BINS_PER_OCTAVE);
    instances.iter().filter(|(_, instance)| instance.weight > 0).map(|(_, instance)| mean(instance)).collect()
}

/// Judges a path that one instance serves on one side.
pub(super) fn path(work: &Work<'_>, one: &mut Timed, bounds: &Bounds) {
    let Some(means) = one_against_several(work, one.place) else { return };
    let after_is_one = means.after.len() == 1;
    let (many, single) = if after_is_one { (&means.before, &means.after) } else { (&means.after, &means.before) };
    let Some(&single) = single.first() else { return };
    if many.len() < FEWEST_INSTANCES {
        one.test.most = one.test.most.min(Strength::Warn);
        return;
    }
    let slower = (one.ratio() > 1.0) == after_is_one;
    let p = |margin: f64| {
        let found = t_prediction(many, if slower { single - margin } else { single + margin });
        found.map_or(1.0, |found| (2.0 * if slower { found.p_greater } else { found.p_less }).min(1.0))
    };
    one.test.p_differs = one.test.p_differs.max(p(0.0));
    one.test.p_exceeds = one.test.p_exceeds.max(p(bounds.log));
    one.test.effect.method = "t_prediction_between_instances";
}

/// Caps what entry points may come to where one instance serves them on one side and several on the other.
pub(super) fn entry_points(work: &Work<'_>, groups: &Groups, tested: &mut [Tested]) -> Vec<Note> {
    let mut capped = 0;
    for (group, tested) in groups.list.iter().zip(tested) {
        let place = group.place();
        let (Some(before), Some(after)) = (place.before, place.after) else { continue };
        let Some(means) = one_against_several(work, Pair::new(before, after)) else { continue };
        if means.before.len().max(means.after.len()) < FEWEST_INSTANCES {
            capped += 1;
            for test in tested.duration.iter_mut().chain(&mut tested.p95) {
                test.most = test.most.min(Strength::Warn);
            }
        }
    }
    if capped == 0 {
        return Vec::new();
    }
    vec![Note {
        code: "one_instance",
        message: format!(
            "one instance on one side and fewer than {FEWEST_INSTANCES} on the other: how much instances differ is not \
             known, so latency only warns"
        ),
    }]
}
