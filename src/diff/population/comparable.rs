//! Whether the sides can be compared, what the after side exercised, and what a reader should know besides.

use super::drift::Drifts;
use super::entry_points::Tested;
use super::groups::Groups;
use super::work::{SIDES, Work};
use super::{instances, services};
use crate::align::ROOT;
use crate::diff::types::{Comparable, Coverage, InputSide, Note, Sampling};
use crate::model::{Pair, Side, Warning, units};

/// Share of spans or bytes that may be lost.
const LOST: f64 = 0.01;
/// Ratio of the requests in a second from which load is another.
const LOAD: f64 = 1.5;
/// Share of partial traces from which they matter.
const PARTIAL: f64 = 0.1;
/// A day: sides further apart than this were not the same time of day or week.
const DAY_NS: u64 = 86_400_000_000_000;

/// What stands against a comparison.
pub(super) fn comparable(
    work: &Work<'_>,
    groups: &Groups,
    tested: &[Tested],
    drifts: &Drifts,
    inputs: &Pair<InputSide>,
) -> Comparable {
    let ok = groups.list.iter().any(super::groups::Group::is_matched);
    let mut reasons = Vec::new();
    let mut add = |code: &'static str, message: String| reasons.push(Note { code, message });
    if !ok {
        add("entry_points", "the sides share no entry point: everything is added or removed".to_owned());
    } else if tested.iter().any(|tested| tested.traffic.as_ref().is_some_and(super::judge::Test::is_found)) {
        add("entry_points", "the shares of the entry points differ: compare within them".to_owned());
    }
    for (code, message) in few(work).into_iter().chain(sampling(inputs)).chain(lost(work, inputs)).chain(load(work)) {
        add(code, message);
    }
    let most = work.options.population.max_environment_drift;
    if drifts.overall.tau > most.max(0.0).ln_1p() {
        add(
            "environment_drift",
            format!(
                "call paths scatter by {} between the sides whatever changed, more than {}: too noisy for a verdict on latency",
                units::percent(drifts.overall.tau.exp_m1()),
                units::percent(most)
            ),
        );
    }
    Comparable { ok, reasons }
}

type Reason = (&'static str, String);

fn few(work: &Work<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let options = &work.options.population;
    for side in SIDES {
        let totals = &work.profiles.get(side).totals;
        let traces = totals.traces;
        if options.latency && traces < options.min_traces {
            let count = units::counted(traces, "trace", "traces");
            let message = format!(
                "{count} on the {} side, latency needs {}: only structure and errors are judged",
                side.name(),
                units::count(options.min_traces)
            );
            reasons.push(("few_traces", message));
        }
        if traces > 0 && totals.partial as f64 > PARTIAL * traces as f64 {
            let share = units::percent(totals.partial as f64 / traces as f64);
            reasons.push((
                "partial_traces",
                format!("{share} of the traces on the {} side are not complete", side.name()),
            ));
        }
    }
    reasons
}

fn sampling(inputs: &Pair<InputSide>) -> Vec<Reason> {
    let sampling = inputs.as_ref().map(|input| input.sampling);
    let mut reasons = Vec::new();
    if sampling.before != sampling.after {
        let message = format!("sampling differs: {} before, {} after", sampling.before.name(), sampling.after.name());
        reasons.push(("sampling", message));
    } else if sampling.before == Sampling::Unknown {
        let message = "how the traces were sampled is not known: tail sampling would favour slow and failed ones";
        reasons.push(("sampling", message.to_owned()));
    }
    reasons
}

fn lost(work: &Work<'_>, inputs: &Pair<InputSide>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for side in SIDES {
        let (totals, input) = (&work.profiles.get(side).totals, inputs.get(side));
        let (read, unused) = totals.bytes;
        if unused as f64 > LOST * read as f64 {
            let share = units::percent(unused as f64 / read as f64);
            reasons.push(("lost_bytes", format!("{share} of the bytes on the {} side could not be used", side.name())));
        }
        let warnings = &input.warnings;
        let dropped = warnings.count(Warning::InvalidSpan) + warnings.count(Warning::LateSpan);
        if dropped as f64 > LOST * (totals.spans + dropped) as f64 {
            let share = units::percent(dropped as f64 / (totals.spans + dropped) as f64);
            reasons.push(("dropped_spans", format!("{share} of the spans on the {} side were lost", side.name())));
        }
    }
    reasons
}

fn load(work: &Work<'_>) -> Vec<Reason> {
    let window = |side: Side| work.profiles.get(side).totals.window_ns;
    let (Some(before), Some(after)) = (window(Side::Before), window(Side::After)) else { return Vec::new() };
    let mut reasons = Vec::new();
    let rate = |side: Side, window: (u64, u64)| {
        work.traces(side, ROOT) as f64 / (window.1.saturating_sub(window.0) as f64 / 1e9).max(1.0)
    };
    let (first, second) = (rate(Side::Before, before), rate(Side::After, after));
    if first > 0.0 && second > 0.0 && (second / first).ln().abs() > LOAD.ln() {
        let message = format!("load differs: {} as many requests a second after", units::ratio(second / first));
        reasons.push(("load", message));
    }
    let (earlier, later) = if before.0 <= after.0 { (before, after) } else { (after, before) };
    let gap = later.0.saturating_sub(earlier.1);
    if gap > DAY_NS {
        reasons.push(("windows", format!("the sides are {} apart: another time of day or week", units::duration(gap))));
    }
    reasons
}

/// Share of the before side's call paths and instances that the after side has, too.
pub(super) fn coverage(work: &Work<'_>) -> Coverage {
    let all = work.nodes(Side::Before).len();
    let paths = if all == 0 { 0.0 } else { work.matched().count() as f64 / all as f64 };
    Coverage { paths, instances: instances::coverage(&instances::exercised(work)) }
}

/// What a reader should know that is no finding.
pub(super) fn notes(work: &Work<'_>) -> Vec<Note> {
    let mut notes = services::versions(work);
    if !work.options.population.latency {
        let message =
            "latency was not judged, as asked: structure and errors from three traces on each side".to_owned();
        notes.push(Note { code: "latency_ignored", message });
    }
    notes
}
