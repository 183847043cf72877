//! The steps that find something by a test of times, structure or errors, in the order in which they explain it.

use super::canary::Canaries;
use super::drift::Drifts;
use super::entry_points::{Tested, tested};
use super::groups::Groups;
use super::judge::judge;
use super::latency::{Timed, bounds, measure};
use super::work::{Family, Work};
use super::{calls, context, errors, shape, structure, times};
use crate::diff::draft::Drafts;
use crate::diff::types::Note;
use crate::diff::units::Units;
use crate::model::{Pair, Side};

/// What was found, and what it was found with.
pub(super) struct Judged {
    pub groups: Groups,
    pub drafts: Drafts,
    pub tested: Vec<Tested>,
    pub drifts: Drifts,
    pub measured: Vec<Timed>,
    pub notes: Vec<Note>,
}

impl Judged {
    pub fn new(work: &Work<'_>) -> Judged {
        let groups = Groups::new(work);
        let mut drafts = Drafts::new(Pair::new(work.trees.before.len(), work.trees.after.len()));
        let units = structure::units_of(work);
        let severed = context::severed(work);
        let tops: Vec<(Side, u32)> = severed.iter().flat_map(context::Severed::tops).collect();
        context::find(work, &mut drafts, &severed);
        let mut notes = find_structure(work, &mut drafts, &units, &structure::explained(work, &tops));
        let mut measured = if work.options.population.latency { measure(work) } else { Vec::new() };
        let drifts = Drifts::new(work, &groups, &measured);
        let canaries = Canaries::new(work);
        let mut tested = tested(work, &groups, drifts.overall, &canaries);
        notes.extend(canaries.cap(work, &groups, &mut tested));
        judge(tested.iter_mut().flat_map(Tested::tests), work.level(Family::Entry));
        judge_times(work, (&groups, &tested), &drifts, &canaries, &mut measured);
        times::add(work, &mut drafts, &measured);
        Judged { groups, drafts, tested, drifts, measured, notes }
    }
}

/// Presence, calls and errors are one family.
fn find_structure(work: &Work<'_>, drafts: &mut Drafts, units: &Pair<Units>, explained: &Pair<Vec<bool>>) -> Vec<Note> {
    let mut structure = structure::candidates(work, units, explained);
    let mut calls = calls::candidates(work);
    let mut errors = errors::candidates(work);
    let tests = structure.iter_mut().map(|candidate| &mut candidate.test);
    let tests = tests.chain(calls.iter_mut().flat_map(calls::Candidate::tests));
    let tests = tests.chain(errors.iter_mut().map(|candidate| &mut candidate.test));
    judge(tests, work.level(Family::Structure));
    let notes = structure::add(work, drafts, units, structure);
    calls::add(work, drafts, calls);
    errors::add(work, drafts, errors);
    shape::find(work, drafts);
    notes
}

/// Paths below an entry point that changed explain it and are a family of their own. What a change is worth elsewhere is
/// up to the gate: a warning, unless the path is critical.
fn judge_times(
    work: &Work<'_>,
    (groups, tested): (&Groups, &[Tested]),
    drifts: &Drifts,
    canaries: &Canaries,
    measured: &mut [Timed],
) {
    let explains = |place: Pair<u32>| {
        let group = groups.of(Side::After, place.after);
        group.and_then(|group| tested.get(group)).is_some_and(Tested::is_shifted)
    };
    for one in measured.iter_mut() {
        let environment = drifts.of(groups.of(Side::After, one.place.after));
        let between = canaries.path(work, one);
        let bounds = bounds(work, one.place, environment, between);
        one.test(work, &bounds);
    }
    for (family, wanted) in [(Family::Explanation, true), (Family::Others, false)] {
        let tests = measured.iter_mut().filter(|one| explains(one.place) == wanted).map(|one| &mut one.test);
        judge(tests, work.level(family));
    }
}
