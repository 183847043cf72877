//! Accepted changes: they are listed, and do not count.

use super::{Outcome, Reason};
use crate::diff::policy::{Acceptance, Day, Policy};
use crate::diff::types::Diff;

/// Days before its end from which on an acceptance is mentioned.
const NOTICE_DAYS: i64 = 14;

/// Marks the accepted findings, and says which acceptances are over, nearly over, or speak of nothing here.
pub(super) fn apply(diff: &mut Diff, policy: &Policy, today: Day) -> Vec<Reason> {
    for finding in &mut diff.findings {
        let in_force = in_force(policy, today).find(|acceptance| acceptance.matches(finding));
        finding.accepted = in_force.map(Acceptance::note);
    }
    policy.accepted.iter().filter_map(|acceptance| mention(acceptance, today)).collect()
}

/// The acceptances whose time is not over.
pub(super) fn in_force(policy: &Policy, today: Day) -> impl Iterator<Item = &Acceptance> {
    policy.accepted.iter().filter(move |acceptance| !acceptance.is_expired(today))
}

fn mention(acceptance: &Acceptance, today: Day) -> Option<Reason> {
    let (last, text) = acceptance.until.as_ref()?;
    let left = last.0 - today.0;
    let what = acceptance.text();
    let reason = &acceptance.reason;
    if left < 0 {
        let message = format!("the acceptance of {what} ({reason}) ended on {text}: it does not count any more");
        return Some(Reason::about_data("acceptance_expired", Outcome::Pass, message));
    }
    (left <= NOTICE_DAYS).then(|| {
        let days = match left {
            0 => "today".to_owned(),
            1 => "tomorrow".to_owned(),
            _ => format!("in {left} days"),
        };
        let message = format!("the acceptance of {what} ({reason}) ends {days}, on {text}");
        Reason::about_data("acceptance_ends", Outcome::Pass, message)
    })
}
