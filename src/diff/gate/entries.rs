//! Entry points: what users wait for. They fail by themselves, and only their silence, when it means something, passes.
//!
//! A pass needs at every entry point with at least 5 % of the traffic, and at every critical one, that a slowdown of
//! `must_detect` would have been found (with `prove`, that a slowdown of the minimum effect is ruled out), or that
//! something was found. An entry point that the after side never exercised was not judged.

use super::numbers::{change, is_latency, place, worst};
use super::{Grounds, Outcome, Reason, accept, is_out_of_reach};
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::policy::{Day, Policy, Settings};
use crate::diff::types::{Diff, EntryPoint, Finding};
use crate::diff::{AttributionRow, FindingKind};
use crate::model::Pair;
use crate::model::units::{count, percent, rate, signed_duration};

/// Code of the reason that more traces would help.
pub(super) const TOO_FEW: &str = "too_few_traces";
/// Traces a side that structure and errors take when latency is not judged.
pub(super) const LEAST: u64 = 3;
/// Share of the traffic from which on an entry point must be judged before anything passes.
const TRAFFIC: f64 = 0.05;

/// What became of the entry points.
pub(super) struct Entries {
    pub(super) reasons: Vec<Reason>,
    /// For each entry point whether it fails for latency.
    pub(super) rejected: Vec<bool>,
    /// What to say when nothing else is said.
    pub(super) silence: Option<Reason>,
    /// Traces that each side needs in all.
    pub(super) needs: Pair<u64>,
}

/// Judges all entry points.
pub(super) fn judge(diff: &Diff, policy: &Policy, today: Day) -> Entries {
    let mut entries = Entries { reasons: Vec::new(), rejected: Vec::new(), silence: None, needs: Pair::default() };
    let mut weakest: Option<(usize, f64)> = None;
    for index in 0..diff.entry_points.len() {
        let Some(entry) = diff.entry_points.get(index) else { break };
        let one = One {
            diff,
            policy,
            today,
            index,
            entry,
            settings: policy.settings(std::slice::from_ref(&entry.operation)),
        };
        let mut reasons: Vec<Reason> = one.latency().into_iter().chain(one.errors()).collect();
        let decided = reasons.iter().any(|reason| reason.result > Outcome::Pass);
        if !decided && one.must_be_judged() {
            reasons.extend(one.too_few(&mut entries.needs));
        }
        entries
            .rejected
            .push(reasons.iter().any(|reason| reason.result == Outcome::Fail && reason.grounds == Grounds::Latency));
        if let Some(detectable) = entry.detectable.filter(|_| one.must_be_judged())
            && weakest.is_none_or(|(_, least)| detectable > least)
        {
            weakest = Some((index, detectable));
        }
        entries.reasons.extend(reasons);
    }
    entries.silence = Some(silence(diff, policy, weakest));
    entries
}

/// What became of an entry point itself, once the data and the window had their say about the reasons.
pub(super) fn outcome(reasons: &[Reason], entry: usize) -> Outcome {
    let own = reasons.iter().filter(|reason| reason.entry == Some(entry) && is_own(reason));
    own.map(|reason| reason.result).max().unwrap_or_default()
}

/// Whether a reason is about the entry point as a whole, and not about a finding below it.
fn is_own(reason: &Reason) -> bool {
    reason.code.starts_with("entry_") || reason.code == TOO_FEW
}

/// What a pass rests on.
fn silence(diff: &Diff, policy: &Policy, weakest: Option<(usize, f64)>) -> Reason {
    let judged = diff.entry_points.iter().filter(|entry| entry.traces.before > 0 && entry.traces.after > 0).count();
    let points = if judged == 1 { "entry point".into() } else { format!("{} entry points", count(judged as u64)) };
    let entry = weakest.and_then(|(index, _)| diff.entry_points.get(index));
    let message = match (policy.latency, weakest, entry) {
        (true, Some((_, detectable)), Some(entry)) => format!(
            "nothing is slower, failing or lost at {points}; a slowdown of {} would have been found everywhere that \
             counts (least sharp: {})",
            percent(detectable - 1.0),
            place(&entry.operation)
        ),
        _ => format!("nothing fails or is lost at {points}"),
    };
    let index = weakest.map(|(index, _)| index);
    Reason { entry: index, ..Reason::about_data("nothing_found", Outcome::Pass, message) }
}

/// The finding that explains most of an entry point's change: findings are in order of that.
fn main_finding(diff: &Diff, entry: &EntryPoint, of: impl Fn(&Finding) -> bool) -> Option<usize> {
    diff.findings.iter().position(|finding| {
        belongs(finding, entry) && finding.accepted.is_none() && finding.kind != FindingKind::Drift && of(finding)
    })
}

/// Whether a finding stands below an entry point.
pub(super) fn belongs(finding: &Finding, entry: &EntryPoint) -> bool {
    let from = finding.from_path.as_ref().and_then(|path| path.first());
    finding.path.first() == Some(&entry.operation) || from == Some(&entry.operation)
}

/// One entry point and what the policy says about it.
struct One<'a> {
    diff: &'a Diff,
    policy: &'a Policy,
    today: Day,
    index: usize,
    entry: &'a EntryPoint,
    settings: Settings,
}

impl One<'_> {
    fn reason(&self, code: &'static str, result: Outcome, grounds: Grounds, message: String) -> Reason {
        Reason { code, message, finding: None, entry: Some(self.index), result, grounds }
    }

    fn min_effect(&self) -> f64 {
        self.settings.min_effect.unwrap_or(self.policy.min_effect)
    }

    /// What a shown effect does here.
    fn outcome(&self, effect: &Effect, can_fail: bool) -> Outcome {
        let fails = effect.strength == Strength::Fail && can_fail && self.settings.warn_only != Some(true);
        if fails { Outcome::Fail } else { Outcome::Warn }
    }

    fn latency(&self) -> Option<Reason> {
        let effect = worst(&self.entry.effects, is_latency).filter(|_| self.policy.latency)?;
        let name = place(&self.entry.operation);
        let what = match effect.metric {
            Metric::P95 => format!("the slow requests of {name} are slower: p95 "),
            _ => format!("{name} is slower: "),
        };
        let least = percent(self.min_effect());
        let shown = match effect.strength {
            Strength::Fail => format!("shown to be more than {least}"),
            Strength::Warn | Strength::None => format!("not shown to be more than {least}"),
        };
        let outcome = self.outcome(effect, self.settings.critical != Some(false));
        let message = format!("{what}{}; {shown}", effect.words());
        let finding = main_finding(self.diff, self.entry, |finding| finding.contribution_ns > 0);
        let reason = Reason { finding, ..self.reason("entry_slower", outcome, Grounds::Latency, message) };
        Some(match self.accepted_latency(effect) {
            Some(why) => Reason { result: Outcome::Pass, message: format!("{}; {why}", reason.message), ..reason },
            None => reason,
        })
    }

    /// What the accepted findings leave of the slowdown, when that is too little to matter.
    fn accepted_latency(&self, effect: &Effect) -> Option<String> {
        if self.is_accepted(FindingKind::Slower) {
            return Some("accepted".into());
        }
        let rows = if effect.metric == Metric::P95 { &self.entry.tail } else { &self.entry.attribution };
        let sum = |rows: &mut dyn Iterator<Item = &AttributionRow>| {
            rows.map(|row| row.contribution_ns).fold(0i64, i64::saturating_add)
        };
        let is_accepted = |row: &&AttributionRow| {
            row.finding.and_then(|index| self.diff.findings.get(index)).is_some_and(|it| it.accepted.is_some())
        };
        let accepted = sum(&mut rows.iter().filter(is_accepted));
        if accepted <= 0 {
            return None;
        }
        let left = sum(&mut rows.iter()).saturating_sub(accepted);
        let before = self.entry.duration_ns.before?;
        let base = if effect.metric == Metric::P95 { before.p95 } else { before.mean };
        let is_small = left < self.policy.min_effect_ns as i64 || (left as f64) < self.min_effect() * base as f64;
        is_small.then(|| format!("accepted changes explain it but for {}", signed_duration(left)))
    }

    /// Whether somebody let through just this at the entry point itself.
    fn is_accepted(&self, kind: FindingKind) -> bool {
        accept::in_force(self.policy, self.today).any(|acceptance| {
            acceptance.fingerprint.is_none()
                && acceptance.kind.is_none_or(|accepted| accepted == kind)
                && acceptance.path.is_some()
                && acceptance.matches_path(std::slice::from_ref(&self.entry.operation))
        })
    }

    fn errors(&self) -> Option<Reason> {
        let effect = worst(&self.entry.effects, |effect| effect.metric == Metric::ErrorRate)?;
        let rates = self.entry.error_rate.map(|share| share.map_or("?".into(), rate));
        let name = place(&self.entry.operation);
        let message = format!("{name} fails more often: {} → {} ({})", rates.before, rates.after, effect.words());
        let outcome = self.outcome(effect, true);
        let fails = |finding: &Finding| matches!(finding.kind, FindingKind::Failing | FindingKind::InstanceFailing);
        let finding = main_finding(self.diff, self.entry, fails);
        let reason = Reason { finding, ..self.reason("entry_failing", outcome, Grounds::Errors, message) };
        // Accepted errors: there are some, and no others.
        let below = || self.diff.findings.iter().filter(|it| belongs(it, self.entry) && fails(it));
        let explained = below().next().is_some() && below().all(|finding| finding.accepted.is_some());
        if explained || self.is_accepted(FindingKind::Failing) {
            return Some(Reason { result: Outcome::Pass, message: format!("{}; accepted", reason.message), ..reason });
        }
        Some(reason)
    }

    fn must_be_judged(&self) -> bool {
        let all = self.diff.entry_points.iter().fold(Pair::<u64>::default(), |all, entry| {
            Pair::new(all.before.saturating_add(entry.traces.before), all.after.saturating_add(entry.traces.after))
        });
        let of = |traces: u64, all: u64| all > 0 && traces as f64 >= TRAFFIC * all as f64;
        let has_traffic = of(self.entry.traces.before, all.before) || of(self.entry.traces.after, all.after);
        has_traffic || self.settings.critical == Some(true) || self.settings.prove == Some(true)
    }

    /// What is missing for a pass.
    fn too_few(&self, needs: &mut Pair<u64>) -> Option<Reason> {
        let traces = self.entry.traces;
        let name = place(&self.entry.operation);
        if traces.before == 0 {
            let message = format!("{name} is new: there is nothing to compare it with");
            return Some(self.reason("entry_new", Outcome::Pass, Grounds::Data, message));
        }
        if traces.after == 0 {
            let told = |it: &Finding| it.accepted.is_some() && it.path.len() == 1 && belongs(it, self.entry);
            if self.diff.findings.iter().any(told) || self.is_accepted(FindingKind::Removed) {
                return None;
            }
            let message = format!("{name} was not exercised on the after side");
            return Some(self.reason("entry_not_exercised", Outcome::Inconclusive, Grounds::Data, message));
        }
        let (needed, message) = if self.policy.latency { self.blunt()? } else { self.scarce()? };
        let message = match needed {
            0 => message,
            _ if is_out_of_reach(needed, traces.before.min(traces.after)) => {
                format!("{message}; latency here cannot be judged with realistic traffic")
            }
            _ => format!("{message}; needs about {} a side", count(needed)),
        };
        self.need(needed, needs);
        Some(self.reason(TOO_FEW, Outcome::Inconclusive, Grounds::Data, message))
    }

    /// Too few traces for structure and errors: how many it takes, and what to say.
    fn scarce(&self) -> Option<(u64, String)> {
        let traces = self.entry.traces;
        let scarce = traces.before.min(traces.after) < LEAST;
        scarce.then(|| (LEAST, format!("{}: {} is too little to judge", place(&self.entry.operation), self.n())))
    }

    fn n(&self) -> String {
        format!("n {} + {}", count(self.entry.traces.before), count(self.entry.traces.after))
    }

    /// Too few traces for latency: how many it takes (0: more would not help), and what to say.
    fn blunt(&self) -> Option<(u64, String)> {
        let (name, n) = (place(&self.entry.operation), self.n());
        if self.settings.prove == Some(true) {
            return self.unproven();
        }
        let goal = 1.0 + self.policy.must_detect;
        let advised = self.entry.needed_traces.unwrap_or(0).max(self.policy.min_traces);
        match self.entry.detectable {
            Some(detectable) if detectable <= goal => None,
            Some(detectable) => Some((
                advised,
                format!(
                    "{name}: a slowdown of {} might have gone unnoticed (smallest that would have been found: {}; {n})",
                    percent(self.policy.must_detect),
                    percent(detectable - 1.0)
                ),
            )),
            None => Some((advised, format!("{name}: too few traces to judge latency ({n})"))),
        }
    }

    /// What keeps a slowdown of the minimum effect from being ruled out.
    fn unproven(&self) -> Option<(u64, String)> {
        let name = place(&self.entry.operation);
        let limit = 1.0 + self.min_effect();
        let Some(effect) = self.entry.effects.iter().find(|effect| effect.metric == Metric::Duration) else {
            let advised = self.entry.needed_traces.unwrap_or(0).max(self.policy.min_traces);
            return Some((advised, format!("{name}: too few traces to prove anything ({})", self.n())));
        };
        if effect.high <= limit {
            return None;
        }
        // The interval shrinks with the root of n: by how much must it, for its upper end to reach the limit?
        let (room, width) = ((limit / effect.estimate).ln(), (effect.high / effect.estimate).ln());
        let n = self.entry.traces.before.min(self.entry.traces.after) as f64;
        let factor = if room > 0.0 && width.is_finite() { (width / room).powi(2) } else { 0.0 };
        let message = format!(
            "{name}: not proven to be less than {} slower: {} to {} ({})",
            percent(self.min_effect()),
            change(effect.low),
            change(effect.high),
            self.n()
        );
        Some(((n * factor).ceil().min(1e15) as u64, message))
    }

    /// Adds to what each side needs in all, with this mix of traffic.
    fn need(&self, needed: u64, needs: &mut Pair<u64>) {
        let total = |side: u64, own: u64| {
            let scaled = needed as f64 * side as f64 / own.max(1) as f64;
            if own >= needed { 0 } else { scaled.ceil().min(1e15) as u64 }
        };
        let (sides, own) = (&self.diff.inputs, self.entry.traces);
        needs.before = needs.before.max(total(sides.before.traces, own.before));
        needs.after = needs.after.max(total(sides.after.traces, own.after));
    }
}
