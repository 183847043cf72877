//! `JUnit` XML: a test suite for each entry point, a test case for each call path with a finding, one suite for the
//! verdict and the limits.
//!
//! Fail is a failure with its message in the body too (some readers drop the attribute), inconclusive is skipped, warn
//! passes with what there is to say in `system-out`. When nothing was compared, the verdict is an error.

use super::words::{headline, next, shout};
use crate::diff::{Diff, Finding, Outcome, Role, Verdict};
use crate::report::escape::visible;
use crate::report::{details, text};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};

/// Writes the test report.
pub(super) fn junit(diff: &Diff, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("spandiff gate");
    report.add_test_suite(gate(diff, verdict));
    for (index, entry) in diff.entry_points.iter().enumerate() {
        let name = shown(&text::place(&entry.operation));
        let mut suite = TestSuite::new(name.clone());
        let outcome = verdict.entries.get(index).copied().unwrap_or_default();
        let of_entry = verdict.reasons.iter().filter(|it| it.entry == Some(index) && it.code.starts_with("entry_"));
        let of_entry =
            of_entry.chain(verdict.reasons.iter().filter(|it| it.entry == Some(index) && it.code == "too_few_traces"));
        let messages: Vec<&str> = of_entry.map(|reason| reason.message.as_str()).collect();
        suite.add_test_case(case("entry point", &name, outcome, &messages.join("\n"), None));
        for (at, finding) in
            diff.findings.iter().enumerate().filter(|(_, it)| it.path.first() == Some(&entry.operation))
        {
            suite.add_test_case(of_finding(at, finding, &name, verdict));
        }
        report.add_test_suite(suite);
    }
    let elsewhere =
        |finding: &Finding| !diff.entry_points.iter().any(|entry| finding.path.first() == Some(&entry.operation));
    let mut others = TestSuite::new("everything");
    for (at, finding) in diff.findings.iter().enumerate().filter(|(_, finding)| elsewhere(finding)) {
        others.add_test_case(of_finding(at, finding, "everything", verdict));
    }
    if others.tests > 0 {
        report.add_test_suite(others);
    }
    report.serialize(out).map_err(io::Error::other)
}

fn gate(diff: &Diff, verdict: &Verdict) -> TestSuite {
    let mut suite = TestSuite::new("gate");
    let reasons: Vec<String> = verdict
        .reasons
        .iter()
        .map(|reason| format!("{}: {}", reason.result.name(), reason.message))
        .chain(next(diff, verdict).into_iter().map(|line| format!("next: {line}")))
        .collect();
    let message = format!("{}: {}", shout(verdict.result), headline(verdict));
    let broken = (!verdict.compared).then_some(NonSuccessKind::Error);
    let mut whole = case("verdict", "gate", verdict.result, &format!("{message}\n{}", reasons.join("\n")), broken);
    if verdict.result == Outcome::Pass {
        whole.set_system_out(shown(&reasons.join("\n")));
    }
    suite.add_test_case(whole);
    for rule in &verdict.rules {
        let name = format!("{}: {} {}", rule.matched, rule.metric, rule.limit);
        suite.add_test_case(case(&name, "gate", rule.result, &rule.value, None));
    }
    suite
}

fn of_finding(index: usize, finding: &Finding, class: &str, verdict: &Verdict) -> TestCase {
    let name = format!("{} {}", finding.kind.name(), details::path(&finding.path));
    let role = verdict.findings.get(index).copied().unwrap_or(Role::Told);
    let reason =
        verdict.reasons.iter().find(|reason| reason.finding == Some(index) && reason.code == finding.kind.name());
    let message = reason.map_or_else(|| text::why(finding), |reason| reason.message.clone());
    let (outcome, said) = match role {
        Role::Fails => (Outcome::Fail, message),
        Role::Unproven => (Outcome::Inconclusive, message),
        Role::Warns | Role::Told => (Outcome::Warn, message),
        Role::Explains => (Outcome::Warn, format!("explains the entry point: {message}")),
        Role::Accepted => (Outcome::Warn, format!("accepted: {message}")),
    };
    case(&name, class, outcome, &said, None)
}

fn case(name: &str, class: &str, outcome: Outcome, message: &str, kind: Option<NonSuccessKind>) -> TestCase {
    let first = shown(message.lines().next().unwrap_or_default());
    let body = message.lines().map(shown).collect::<Vec<_>>().join("\n");
    let status = match (kind, outcome) {
        (Some(kind), _) => TestCaseStatus::non_success(kind),
        (None, Outcome::Fail) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (None, Outcome::Inconclusive) => TestCaseStatus::skipped(),
        (None, Outcome::Pass | Outcome::Warn) => TestCaseStatus::success(),
    };
    let mut status = status;
    let passes = matches!(status, TestCaseStatus::Success { .. });
    if !passes {
        status.set_message(first).set_description(body.clone());
    }
    let mut case = TestCase::new(shown(name), status);
    case.set_classname(shown(class));
    if passes && outcome == Outcome::Warn {
        case.set_system_out(body);
    }
    case
}

/// XML takes care of its own characters; what is unseen is made visible.
fn shown(text: &str) -> String {
    text.split('\n').map(|line| visible(line).into_owned()).collect::<Vec<_>>().join("\n")
}
