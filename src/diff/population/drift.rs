//! What the environment does to all call paths alike, and how much they scatter around that.

use super::groups::Groups;
use super::judge::Test;
use super::latency::Timed;
use super::work::Work;
use crate::align::ROOT;
use crate::diff::draft::Drafts;
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::kind::FindingKind;
use crate::diff::types::{Confidence, Drift};
use crate::model::{Pair, Side, units};
use crate::stats::distribution::normal_above;
use crate::stats::drift::{FEWEST_PATHS, empirical_null};

/// Times below this say nothing about an environment, nanoseconds.
const FLOOR_NS: f64 = 50_000.0;
/// So many standard deviations below a normal mean lies the value that four of five exceed.
const FOUR_OF_FIVE: f64 = 0.8416;
/// No path is known better than to 0.1 %.
const LEAST_VARIANCE: f64 = 1e-6;
/// Paths from which a scatter can be estimated.
const ENOUGH: usize = FEWEST_PATHS;

/// Common shift and scatter of ln(after / before).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Environment {
    pub mu: f64,
    pub tau: f64,
}

/// What moved everywhere alike, if anything did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    mu: f64,
    /// Standard error of `mu`.
    se: f64,
    same_way: usize,
    count: usize,
}

/// The environment of every entry point.
pub(super) struct Drifts {
    /// Of all paths together.
    pub overall: Environment,
    common: Option<Common>,
    /// By group; `None` where it is no other than that of all.
    by_group: Vec<Option<Common>>,
}

impl Drifts {
    pub fn new(work: &Work<'_>, groups: &Groups, measured: &[Timed]) -> Drifts {
        let counted = |one: &&Timed| {
            one.metric == Metric::SelfTime && !one.is_tail && one.values.before.max(one.values.after) >= FLOOR_NS
        };
        let usable: Vec<&Timed> = measured.iter().filter(counted).collect();
        let shifts: Vec<(f64, f64)> = usable.iter().map(|one| (one.shift.log_ratio.estimate, one.shift.se)).collect();
        let null = empirical_null(&shifts);
        let common = Common::of(work, &shifts);
        let overall = if shifts.len() >= ENOUGH {
            Environment { mu: null.mu, tau: null.tau }
        } else {
            Environment { mu: common.map_or(0.0, |common| common.mu), tau: 0.0 }
        };
        let by_group = groups
            .list
            .iter()
            .enumerate()
            .map(|(number, _)| {
                let of_group: Vec<(f64, f64)> = usable
                    .iter()
                    .filter(|one| groups.of(Side::After, one.place.after) == Some(number))
                    .map(|one| (one.shift.log_ratio.estimate, one.shift.se))
                    .collect();
                if of_group.len() < ENOUGH || of_group.len() == shifts.len() {
                    return None;
                }
                // An entry point of its own kind: all of its paths moved, and not as the others did.
                Common::of(work, &of_group)
                    .filter(|own| (own.mu - overall.mu).abs() > drift_log(work) + 2.0 * overall.tau)
            })
            .collect();
        Drifts { overall, common, by_group }
    }

    /// What the environment does to the paths of a group.
    pub fn of(&self, group: Option<usize>) -> Environment {
        let own = group.and_then(|group| self.by_group.get(group).copied().flatten());
        Environment { mu: own.map_or(self.overall.mu, |own| own.mu), tau: self.overall.tau }
    }

    /// The numbers for the report.
    pub fn summary(&self) -> Drift {
        Drift { common_ratio: self.overall.mu.exp(), between_paths: self.overall.tau }
    }

    /// Names what moved everything alike and charges all time to it that nothing else explains.
    pub fn add(&self, work: &Work<'_>, groups: &Groups, drafts: &mut Drafts) {
        for (number, group) in groups.list.iter().enumerate() {
            let Some(own) = self.by_group.get(number).copied().flatten() else { continue };
            let draft = own.add(work, drafts, group.place());
            own_nodes(work, drafts, draft, |side, node| groups.of(side, node) == Some(number));
        }
        if let Some(common) = self.common
            && let Some(first) = groups.list.first()
        {
            let draft = common.add(work, drafts, first.place());
            own_nodes(work, drafts, draft, |_, _| true);
        }
    }
}

fn drift_log(work: &Work<'_>) -> f64 {
    work.options.drift_ratio.max(1.0).ln()
}

/// Charges the matched nodes that `is_meant` accepts to a draft.
fn own_nodes(work: &Work<'_>, drafts: &mut Drafts, draft: u32, is_meant: impl Fn(Side, u32) -> bool) {
    for side in super::work::SIDES {
        for node in work.nodes(side).filter(|&node| work.is_matched(side, node) && is_meant(side, node)) {
            drafts.own(side, node, draft);
        }
    }
}

/// The empirical null; of few paths, of which a scatter cannot be told, the middle one.
fn null_of(shifts: &[(f64, f64)]) -> crate::stats::drift::Drift {
    let mut null = empirical_null(shifts);
    if shifts.len() < ENOUGH {
        let mut values: Vec<f64> = shifts.iter().map(|shift| shift.0).collect();
        values.sort_by(f64::total_cmp);
        null.mu = values.get(values.len() / 2).copied().unwrap_or(0.0);
    }
    null
}

impl Common {
    /// What moved at least four of five paths the same way, by more than chance and enough to be named. Where single
    /// paths are known badly their common shift and their own scatter say how many of them really moved that way.
    fn of(work: &Work<'_>, shifts: &[(f64, f64)]) -> Option<Common> {
        let null = null_of(shifts);
        let moved = shifts.iter().filter(|(d, se)| d.abs() > *se);
        let same_way = moved.clone().filter(|(d, _)| d * null.mu > 0.0).count();
        let count = moved.count();
        let precision: f64 =
            shifts.iter().map(|(_, se)| 1.0 / (se * se + null.tau * null.tau).max(LEAST_VARIANCE)).sum();
        // The standard error of a median is 1.2533 times that of a mean; four of those are beyond chance.
        let se = 1.2533 / precision.sqrt();
        let beyond_chance = null.mu.abs() > 4.0 * se;
        let alike = if shifts.len() < ENOUGH {
            count >= 3 && 2 * count >= shifts.len() && 10 * same_way >= 8 * count
        } else {
            null.mu.abs() >= FOUR_OF_FIVE * null.tau
        };
        let is_common = alike && null.mu.abs() > drift_log(work) && beyond_chance;
        is_common.then_some(Common { mu: null.mu, se, same_way, count: shifts.len() })
    }

    fn add(&self, work: &Work<'_>, drafts: &mut Drafts, place: Pair<Option<u32>>) -> u32 {
        let mut draft = work.draft(FindingKind::Drift, place);
        draft.confidence = Confidence::Likely;
        draft.title = format!(
            "everything takes {} as long: {} of {} call paths clearly moved the same way",
            units::ratio(self.mu.exp()),
            self.same_way,
            self.count
        );
        draft.evidence.push("look at load, host or environment first: no single call path explains it".to_owned());
        draft.effects.push(self.effect(work));
        drafts.push(draft)
    }

    /// It is beyond chance, and no more than a warning: nobody knows whose fault it is.
    fn effect(&self, work: &Work<'_>) -> Effect {
        let n = Pair::new(work.traces(Side::Before, ROOT), work.traces(Side::After, ROOT));
        let p = (2.0 * normal_above(self.mu.abs() / self.se)).min(1.0);
        let at = |errors: f64| (self.mu + errors * self.se).exp();
        let test = Test::new(Metric::SelfTime, "ratio", n, "weighted_median_of_paths");
        Effect { estimate: at(0.0), low: at(-1.96), high: at(1.96), p, q: p, strength: Strength::Warn, ..test.effect }
    }
}
