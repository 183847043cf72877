//! What each finding does to the verdict.

use super::entries::{Entries, belongs};
use super::numbers::{is_latency, place, worst};
use super::{Grounds, Outcome, Reason, Role};
use crate::diff::FindingKind;
use crate::diff::effects::{Effect, Metric, Strength};
use crate::diff::policy::{Policy, Settings};
use crate::diff::types::{Confidence, Diff, Finding};
use crate::model::units::{count, mean_count};

/// More calls than this many times as many, and at least one more, fail.
const MAX_CALLS_RATIO: f64 = 1.5;

/// What became of the findings.
pub(super) struct Findings {
    pub(super) reasons: Vec<Reason>,
    /// For each finding what it does.
    pub(super) roles: Vec<Role>,
}

impl Findings {
    /// Makes the roles follow the reasons, once the data and the window had their say about them.
    pub(super) fn settle(&mut self, diff: &Diff, reasons: &[Reason]) {
        for reason in reasons {
            let Some(index) = reason.finding else { continue };
            // An entry point's reason points at the finding that explains it.
            let is_own = diff.findings.get(index).is_some_and(|finding| finding.kind.name() == reason.code);
            let Some(role) = self.roles.get_mut(index).filter(|role| is_own && **role == Role::Fails) else { continue };
            match reason.result {
                Outcome::Fail => {}
                Outcome::Inconclusive => *role = Role::Unproven,
                Outcome::Warn => *role = Role::Warns,
                Outcome::Pass => *role = Role::Told,
            }
        }
    }
}

/// Judges all findings.
pub(super) fn judge(diff: &Diff, policy: &Policy, entries: &Entries) -> Findings {
    let mut found = Findings { reasons: Vec::new(), roles: Vec::new() };
    for (index, finding) in diff.findings.iter().enumerate() {
        let entry = diff.entry_points.iter().position(|entry| belongs(finding, entry));
        let rejected = entry.is_some_and(|entry| entries.rejected.get(entry) == Some(&true));
        let role = role(finding, policy, &policy.settings(&finding.path), rejected);
        let result = match role {
            Role::Fails => Some(Outcome::Fail),
            Role::Warns => Some(Outcome::Warn),
            Role::Accepted => Some(Outcome::Pass),
            Role::Unproven | Role::Explains | Role::Told => None,
        };
        if let Some(result) = result {
            let code = if role == Role::Accepted { "accepted" } else { finding.kind.name() };
            found.reasons.push(Reason {
                code,
                message: message(finding),
                finding: Some(index),
                entry,
                result,
                grounds: grounds(finding.kind),
            });
        }
        found.roles.push(role);
    }
    found
}

fn role(finding: &Finding, policy: &Policy, settings: &Settings, rejected: bool) -> Role {
    if finding.accepted.is_some() {
        return Role::Accepted;
    }
    let by_latency = grounds(finding.kind) == Grounds::Latency;
    if !is_harm(finding.kind) || (by_latency && !policy.latency) {
        return Role::Told;
    }
    let strength = strength(finding);
    let fails = strength == Strength::Fail && can_fail(finding, settings) && settings.warn_only != Some(true);
    let explains = rejected && finding.contribution_ns > 0;
    match strength {
        Strength::None => Role::Told,
        _ if fails && (settings.critical == Some(true) || !(by_latency && explains)) => Role::Fails,
        _ if explains => Role::Explains,
        _ => Role::Warns,
    }
}

/// Whether a kind can mean harm at all.
const fn is_harm(kind: FindingKind) -> bool {
    matches!(
        kind,
        FindingKind::Slower
            | FindingKind::Drift
            | FindingKind::Failing
            | FindingKind::InstanceFailing
            | FindingKind::InstanceGone
            | FindingKind::CallsUp
            | FindingKind::CallsDown
            | FindingKind::Added
            | FindingKind::Removed
            | FindingKind::Serialized
            | FindingKind::LinkRemoved
            | FindingKind::ContextLost
    )
}

const fn grounds(kind: FindingKind) -> Grounds {
    match kind {
        FindingKind::Slower | FindingKind::Faster | FindingKind::Drift => Grounds::Latency,
        FindingKind::Failing | FindingKind::Recovered => Grounds::Errors,
        _ => Grounds::Structure,
    }
}

/// Whether harm of this kind fails once it is shown.
fn can_fail(finding: &Finding, settings: &Settings) -> bool {
    match finding.kind {
        FindingKind::Failing | FindingKind::InstanceFailing | FindingKind::InstanceGone => true,
        FindingKind::CallsUp if many_more_calls(finding) => true,
        FindingKind::Drift => false,
        _ => settings.critical == Some(true),
    }
}

/// At least one more call and more than 1.5 times as many; where a test gives an interval, all of it.
fn many_more_calls(finding: &Finding) -> bool {
    let (before, after) = (finding.calls_per_trace.before, finding.calls_per_trace.after);
    let shown = finding.effects.iter().find(|effect| effect.metric == Metric::Calls && effect.unit == "ratio");
    let ratio = shown.map_or(after / before.max(f64::MIN_POSITIVE), |effect| effect.low);
    // Counts are means of fixed-point sums: a hair less than one is one.
    after - before >= 1.0 - 1e-6 && ratio > MAX_CALLS_RATIO
}

/// How strongly a finding is shown: by its tests, else by its instances beyond chance, else by how sure it is.
fn strength(finding: &Finding) -> Strength {
    let is_instances = matches!(finding.kind, FindingKind::InstanceFailing | FindingKind::InstanceGone);
    if is_instances && finding.instances.iter().any(|group| group.named_total > 0) {
        return Strength::Fail;
    }
    let by_time = grounds(finding.kind) == Grounds::Latency;
    // What is gone or comes less often is not "worse" by its number: every shown effect counts for structure.
    let counts = |effect: &&Effect| if by_time { is_latency(effect) && super::numbers::is_worse(effect) } else { true };
    let tested = finding.effects.iter().filter(counts).map(|effect| effect.strength).max();
    match (tested, finding.confidence) {
        (Some(tested), _) => tested,
        // A test that says nothing about this: nothing is shown.
        (None, _) if by_time => Strength::None,
        (None, Confidence::Certain) => Strength::Fail,
        (None, Confidence::Likely) => Strength::Warn,
        (None, Confidence::Weak) => Strength::None,
    }
}

fn message(finding: &Finding) -> String {
    let name = finding.operation().map_or_else(|| "everything".into(), place);
    let kind = finding.kind.name().replace('_', " ");
    let title = finding.title.as_str();
    let says_so = kind.split(' ').next().is_some_and(|word| title.starts_with(word));
    let mut message = match finding.kind {
        _ if says_so => format!("{name}: {title}"),
        _ if !title.is_empty() => format!("{name}: {kind}: {title}"),
        FindingKind::CallsUp | FindingKind::CallsDown => {
            let calls = finding.calls_per_trace.map(mean_count);
            format!("{name}: {} → {} calls in one trace", calls.before, calls.after)
        }
        _ => format!("{name}: {kind}"),
    };
    let shown = finding.instances.iter().max_by_key(|group| group.named_total);
    if let Some(group) = shown.filter(|_| title.is_empty()) {
        let (some, all) = (count(group.observed), count(group.of));
        let chance = group.expected_by_chance;
        message = format!("{message}: {some} of {all} {} ({chance:.1} expected by chance)", group.key);
    }
    if let Some(effect) = worst(&finding.effects, |_| true) {
        message = format!("{message}; {} {}", effect.metric.name(), effect.words());
    }
    if let Some(accepted) = &finding.accepted {
        let until = accepted.until.as_ref().map_or(String::new(), |until| format!(" until {until}"));
        message = format!("{message}; accepted{until}: {}", accepted.reason);
    }
    message
}
