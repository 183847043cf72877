//! The verdict of a deploy gate: pass, warn, fail or inconclusive, and why.
//!
//! The order is pass < warn < inconclusive < fail, and the worst reason decides. So a warning never opens a gate that
//! would have stayed closed without it: what is too little data for `pass` is too little for `warn`.
//!
//! | found | result | because |
//! |---|---|---|
//! | entry point shown to be slower than the minimum effect | fail | it is what users wait for |
//! | entry point shown to fail more often, beyond the margin | fail | users see it |
//! | entry point slower, but not shown beyond the minimum effect | warn | may be harmless |
//! | slower call path below an entry point that fails for latency | explains it | one cause is one failure |
//! | slower call path anywhere else | warn | nobody waits for it (yet) |
//! | new errors beyond the margin, at any call path | fail | a caller that hides them still pays for them |
//! | at least one more call and more than 1.5 times as many, shown | fail | grows with the data: N+1, retries |
//! | instances failing or gone beyond chance | fail | a small share of the traffic, but all of it |
//! | added, removed, serialized, fewer links, fewer or more calls than that | warn | mostly what the change was for |
//! | context lost | warn | users do not notice, but what lies behind is not compared any more |
//! | everything moved together, for the worse | warn | the environment, or a change that touches everything |
//! | faster, recovered, renamed, moved, layers, attributes, new instances, traffic | nothing | told, not judged |
//!
//! `critical = true` makes every shown harm of a rule's call paths fail; `critical = false` keeps latency there from
//! failing; `mode = "warn"` keeps everything there from failing. A pass takes more than silence: see `entries`.

mod accept;
mod comparable;
mod entries;
mod findings;
mod limits;
mod numbers;

use super::policy::{Day, FailOn, OnInconclusive, Policy};
use super::types::Diff;
use crate::model::Pair;

/// What a verdict, or a part of it, can be; the worst is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Judged, and nothing is wrong.
    #[default]
    Pass,
    /// Something that a person should look at.
    Warn,
    /// Not enough, or not the right data to judge.
    Inconclusive,
    /// Something is wrong.
    Fail,
}

impl Outcome {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Fail => "fail",
        }
    }
}

/// What a reason rests on: not all data can carry everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// Times, which the environment disturbs.
    Latency,
    /// Error rates, which sampling disturbs.
    Errors,
    /// Calls, instances, call paths.
    Structure,
    /// A limit of the policy.
    Limit,
    /// How much and what data there is.
    Data,
}

/// One reason of a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable code, for example `entry_slower`, `too_few_traces`.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Index into `Diff::findings`.
    pub finding: Option<usize>,
    /// Index into `Diff::entry_points`.
    pub entry: Option<usize>,
    /// What it leads to; `Pass` for what is only good to know.
    pub result: Outcome,
    /// What it rests on.
    pub grounds: Grounds,
}

impl Reason {
    fn about_data(code: &'static str, result: Outcome, message: String) -> Reason {
        Reason { code, message, finding: None, entry: None, result, grounds: Grounds::Data }
    }
}

/// What became of one limit of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// What the rule speaks of.
    pub matched: String,
    /// `p95`, `error_rate` or `calls_per_trace`.
    pub metric: &'static str,
    /// The limit in words.
    pub limit: String,
    /// The value in words, of the worst place.
    pub value: String,
    /// What it leads to.
    pub result: Outcome,
}

/// What a finding does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Makes it fail.
    Fails,
    /// Makes it warn.
    Warns,
    /// Would make it fail, but the data cannot carry that.
    Unproven,
    /// Explains an entry point that is slower beyond the minimum effect.
    Explains,
    /// The policy accepts it.
    Accepted,
    /// Nothing.
    Told,
}

impl Role {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Fails => "fail",
            Role::Warns => "warn",
            Role::Unproven => "inconclusive",
            Role::Explains => "explains",
            Role::Accepted => "accepted",
            Role::Told => "none",
        }
    }
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: Outcome,
    /// What the process ends with.
    pub exit_code: u8,
    /// Why: what decided first, then the rest; those with `Pass` at the end.
    pub reasons: Vec<Reason>,
    /// Every limit of every rule that was looked at.
    pub rules: Vec<RuleResult>,
    /// Traces in all that each side needs to be judged with this mix of traffic; zeros when there are enough or more
    /// would not help.
    pub needs: Pair<u64>,
    /// For each of `Diff::findings` what it does.
    pub findings: Vec<Role>,
    /// For each of `Diff::entry_points` what was found there; `Inconclusive` for one that could not be judged.
    pub entries: Vec<Outcome>,
    /// Whether anything was compared.
    pub compared: bool,
}

/// Judges a comparison and marks the findings that the policy accepts.
///
/// The comparison must have been made with [`Policy::population`], and with its tree when [`Policy::needs_tree`].
pub fn judge(diff: &mut Diff, policy: &Policy, today: Day) -> Verdict {
    let mut reasons = accept::apply(diff, policy, today);
    if let Some(reason) = comparable::nothing(diff) {
        reasons.push(reason);
        return nothing_compared(diff, policy, reasons);
    }
    let data = comparable::look(diff, policy);
    let entries = entries::judge(diff, policy, today);
    let mut found = findings::judge(diff, policy, &entries);
    let (rules, broken) = limits::judge(diff, policy);
    reasons.extend(entries.reasons);
    reasons.append(&mut found.reasons);
    reasons.extend(broken);
    for reason in &mut reasons {
        data.weaken(reason);
    }
    reasons.extend(data.reasons);
    not_reproducible(diff, &mut reasons);
    found.settle(diff, &reasons);
    let result = reasons.iter().map(|reason| reason.result).max().unwrap_or_default();
    // What a pass rests on comes first.
    reasons.splice(0..0, entries.silence.filter(|_| result == Outcome::Pass));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.result));
    let too_little = reasons.iter().any(|reason| reason.code == entries::TOO_FEW);
    Verdict {
        result,
        exit_code: exit_code(result, policy, true),
        entries: (0..diff.entry_points.len()).map(|entry| entries::outcome(&reasons, entry)).collect(),
        reasons,
        rules,
        needs: if too_little { entries.needs } else { Pair::default() },
        findings: found.roles,
        compared: true,
    }
}

/// Takes back a pass or a warning that came too early for a reason that the comparison does not show.
pub fn hold(verdict: &mut Verdict, policy: &Policy, code: &'static str, message: String) {
    let reason = Reason::about_data(code, Outcome::Inconclusive, message);
    let at = verdict.reasons.partition_point(|other| other.result >= Outcome::Inconclusive);
    verdict.reasons.insert(at, reason);
    verdict.result = verdict.result.max(Outcome::Inconclusive);
    verdict.exit_code = exit_code(verdict.result, policy, verdict.compared);
}

fn nothing_compared(diff: &Diff, policy: &Policy, mut reasons: Vec<Reason>) -> Verdict {
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.result));
    let least = if policy.latency { policy.min_traces } else { entries::LEAST };
    let role = |accepted: bool| if accepted { Role::Accepted } else { Role::Told };
    Verdict {
        result: Outcome::Inconclusive,
        exit_code: exit_code(Outcome::Inconclusive, policy, false),
        reasons,
        rules: Vec::new(),
        needs: diff.inputs.as_ref().map(|side| if side.traces < least { least } else { 0 }),
        findings: diff.findings.iter().map(|finding| role(finding.accepted.is_some())).collect(),
        entries: vec![Outcome::Inconclusive; diff.entry_points.len()],
        compared: false,
    }
}

/// Findings that two halves of the after side do not share are noise, when latency is all there is.
fn not_reproducible(diff: &Diff, reasons: &mut Vec<Reason>) {
    let failing = || reasons.iter().filter(|reason| reason.result == Outcome::Fail);
    let by_latency_alone = failing().count() > 0 && failing().all(|reason| reason.grounds == Grounds::Latency);
    let Some(stability) = diff.stability.filter(|&stability| by_latency_alone && stability < 0.3) else { return };
    for reason in reasons.iter_mut().filter(|reason| reason.result == Outcome::Fail) {
        reason.result = Outcome::Warn;
    }
    let message = format!(
        "not reproducible within the window: the findings of two halves of the after side agree by {stability:.2} of 1 \
         (0.30 needed to fail on latency alone)"
    );
    reasons.push(Reason::about_data("not_reproducible", Outcome::Warn, message));
}

/// Traces of a side that some traffic brings together in the time that a gate has.
const IN_REACH: u64 = 100_000;

/// Whether so many traces of a side are more than realistic traffic brings, where so many were given: more than
/// 100,000, and more than ten times as many.
pub const fn is_out_of_reach(needed: u64, given: u64) -> bool {
    needed > IN_REACH && needed / 10 > given
}

/// What the process ends with. Never 0 when nothing was compared.
fn exit_code(result: Outcome, policy: &Policy, compared: bool) -> u8 {
    match (result, policy.fail_on, policy.on_inconclusive) {
        (Outcome::Inconclusive, _, _) if !compared => 3,
        (Outcome::Inconclusive, _, OnInconclusive::Exit3) => 3,
        (Outcome::Inconclusive, _, OnInconclusive::Fail)
        | (Outcome::Fail, FailOn::Fail | FailOn::Warn, _)
        | (Outcome::Warn, FailOn::Warn, _) => 1,
        (Outcome::Inconclusive, _, OnInconclusive::Pass) | (Outcome::Pass | Outcome::Warn | Outcome::Fail, _, _) => 0,
    }
}
