//! What every form of a verdict says in the same words.

use crate::diff::gate::is_out_of_reach;
use crate::diff::{Diff, Outcome, Reason, Verdict};
use crate::model::units::{count, counted};
use crate::model::{Pair, Side};
use crate::report::text::place;

/// The verdict in capitals, as people call it.
pub(super) const fn shout(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Warn => "WARN",
        Outcome::Inconclusive => "INCONCLUSIVE",
        Outcome::Fail => "FAIL",
    }
}

/// `FAIL: 2 reasons` in words: what decided, in one line.
pub(super) fn headline(verdict: &Verdict) -> String {
    let deciding = deciding(verdict).count() as u64;
    let warnings = verdict.reasons.iter().filter(|reason| reason.result == Outcome::Warn).count() as u64;
    let warned = if warnings > 0 { format!(", {}", counted(warnings, "warning", "warnings")) } else { String::new() };
    match verdict.result {
        Outcome::Pass => "nothing that matters was found".into(),
        Outcome::Warn => format!("{}, nothing that fails", counted(deciding, "warning", "warnings")),
        Outcome::Inconclusive if !verdict.compared => "nothing was compared".into(),
        Outcome::Inconclusive => format!("not enough, or not the right data for a verdict{warned}"),
        Outcome::Fail => format!("{}{warned}", counted(deciding, "regression", "regressions")),
    }
}

/// The reasons that made the verdict what it is.
pub(super) fn deciding(verdict: &Verdict) -> impl Iterator<Item = &Reason> {
    verdict.reasons.iter().filter(|reason| reason.result == verdict.result && reason.result > Outcome::Pass)
}

/// The traces and spans that were compared: `2,000 → 1,980 traces, 20,000 → 19,800 spans`.
pub(super) fn compared(diff: &Diff) -> String {
    let pair = |of: Pair<u64>| format!("{} → {}", count(of.before), count(of.after));
    let traces = Pair::new(diff.inputs.before.traces, diff.inputs.after.traces);
    let spans = Pair::new(diff.inputs.before.spans, diff.inputs.after.spans);
    format!("{} traces, {} spans", pair(traces), pair(spans))
}

/// What to do next, a sentence each.
pub(super) fn next(diff: &Diff, verdict: &Verdict) -> Vec<String> {
    let first = deciding(verdict).find_map(|reason| reason.finding);
    let finding = first.and_then(|index| Some((index, diff.findings.get(index)?)));
    let look = finding.map(|(index, finding)| {
        let name = finding.operation().map_or_else(|| "everything".into(), place);
        format!("look at finding {} first: {name}", index + 1)
    });
    match verdict.result {
        Outcome::Pass => Vec::new(),
        Outcome::Warn => look.into_iter().collect(),
        Outcome::Fail => {
            let accept = finding.map(|(_, finding)| {
                format!(
                    "if it is meant to be so, accept it in the policy: [[accept]] fingerprint = \"{}\", reason = \"…\", \
                     until = \"…\"",
                    finding.fingerprint
                )
            });
            std::iter::once("stop here: do not roll on".to_owned()).chain(look).chain(accept).collect()
        }
        Outcome::Inconclusive if !verdict.compared => {
            vec!["see with `spandiff inspect` what each side holds, and check filters and the split".into()]
        }
        Outcome::Inconclusive => {
            let more = more(diff, verdict);
            if more.is_empty() { vec!["remove what stands against the data, then compare again".into()] } else { more }
        }
    }
}

/// How much more data it takes: `collect about 5,000 traces before (now 2,000)`; where that is beyond all traffic, what
/// else can be done.
fn more(diff: &Diff, verdict: &Verdict) -> Vec<String> {
    let out_of_reach = |side: Side| is_out_of_reach(*verdict.needs.get(side), diff.inputs.get(side).traces);
    if out_of_reach(Side::Before) || out_of_reach(Side::After) {
        let ways = "latency cannot be judged here with realistic traffic: take a much longer window, ask for less (a \
                    larger `must_detect`, no `prove`), or leave latency out (`latency = \"ignore\"`) and judge \
                    structure and errors alone";
        return vec![ways.to_owned()];
    }
    [Side::Before, Side::After]
        .into_iter()
        .filter(|&side| *verdict.needs.get(side) > 0)
        .map(|side| {
            let (needed, now) = (*verdict.needs.get(side), diff.inputs.get(side).traces);
            format!("collect about {} traces {} (now {})", count(needed), side.name(), count(now))
        })
        .collect()
}
