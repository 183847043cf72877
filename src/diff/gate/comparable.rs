//! Whether the data can carry a verdict: both sides there, sampled alike, nothing lost, a quiet environment, coverage.

use super::{Grounds, Outcome, Reason};
use crate::diff::policy::Policy;
use crate::diff::types::{Diff, InputSide, Mode, Sampling};
use crate::model::units::{count, percent, rate};
use crate::model::{Side, Warning};

/// Largest share of a side's bytes, spans or traces that may be lost.
const MAX_LOSS: f64 = 0.01;

/// What stands against the data.
#[derive(Default)]
pub(super) struct Data {
    pub(super) reasons: Vec<Reason>,
    /// Why latency proves nothing.
    latency: Option<&'static str>,
    /// Why error rates prove nothing.
    errors: Option<&'static str>,
    /// Why neither calls nor call paths prove anything.
    structure: Option<&'static str>,
}

impl Data {
    /// Takes the force from a failure that the data cannot carry.
    pub(super) fn weaken(&self, reason: &mut Reason) {
        let against = match reason.grounds {
            Grounds::Latency => self.latency,
            Grounds::Errors => self.errors,
            Grounds::Structure | Grounds::Limit => self.structure,
            Grounds::Data => None,
        };
        if let Some(against) = against.filter(|_| reason.result == Outcome::Fail) {
            reason.result = Outcome::Inconclusive;
            reason.message = format!("{}; proves nothing here: {against}", reason.message);
        }
    }
}

/// The reason why nothing at all was compared, if so.
pub(super) fn nothing(diff: &Diff) -> Option<Reason> {
    let empty = [Side::Before, Side::After].into_iter().find(|&side| diff.inputs.get(side).traces == 0);
    let shared = diff.entry_points.iter().any(|entry| entry.traces.before > 0 && entry.traces.after > 0);
    let message = match empty {
        Some(side) => format!("nothing was compared: the {} side has no trace", side.name()),
        None if !diff.comparable.ok || !shared => "nothing was compared: the sides share no entry point".into(),
        None => return None,
    };
    Some(Reason::about_data("nothing_compared", Outcome::Inconclusive, message))
}

/// Looks at everything else.
pub(super) fn look(diff: &Diff, policy: &Policy) -> Data {
    let mut data = Data::default();
    sampling(diff, &mut data);
    for side in [Side::Before, Side::After] {
        data.reasons.extend(loss(side, diff.inputs.get(side)));
        shed(side, diff.inputs.get(side), &mut data);
    }
    drift(diff, policy, &mut data);
    data.reasons.extend(coverage(diff, policy));
    data.reasons.extend(notes(diff, policy));
    data
}

fn sampling(diff: &Diff, data: &mut Data) {
    let (before, after) = (diff.inputs.before.sampling, diff.inputs.after.sampling);
    let differs = "the sides were not sampled alike";
    let message = match (before, after) {
        (Sampling::Unknown, Sampling::Unknown) => {
            // What plain SDKs send. Blocking every such gate would help nobody.
            let message = "no side says how it was sampled; taken as sampled alike".into();
            return data.reasons.push(Reason::about_data("sampling_unknown", Outcome::Pass, message));
        }
        (Sampling::Mixed, _) | (_, Sampling::Mixed) => "traces of one side were sampled at different rates",
        (before, after) if before != after => differs,
        _ if diff.comparable.reasons.iter().any(|reason| reason.code == "sampling") => differs,
        _ => return,
    };
    data.latency = Some(differs);
    data.errors = Some(differs);
    let message =
        format!("{message} (before: {}, after: {}): what differs may come from that", before.name(), after.name());
    data.reasons.push(Reason::about_data("sampling_differs", Outcome::Inconclusive, message));
}

fn loss(side: Side, input: &InputSide) -> Option<Reason> {
    let of = |lost: u64, all: u64| if all == 0 { 0.0 } else { lost as f64 / all as f64 };
    let count_of = |warning: Warning| input.warnings.count(warning);
    let (bytes, bytes_lost) = input.bytes;
    let spans = count_of(Warning::InvalidSpan).saturating_add(count_of(Warning::LateSpan));
    let partial = count_of(Warning::PartialTrace);
    let lost = [
        ("bytes", of(bytes_lost, bytes)),
        ("spans", of(spans, input.spans.saturating_add(spans))),
        ("traces are incomplete", of(partial, input.traces)),
    ];
    let (what, share_lost) =
        lost.into_iter().filter(|(_, lost)| *lost > MAX_LOSS).max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (side, shown) = (side.name(), percent(share_lost));
    let message = match what {
        "traces are incomplete" => format!("{shown} of the {side} side's traces are incomplete"),
        what => format!("{shown} of the {side} side's {what} were lost"),
    };
    let message = format!("{message}: more than {} is too much to pass", percent(MAX_LOSS));
    Some(Reason::about_data("data_lost", Outcome::Inconclusive, message))
}

/// What a receiver could not keep. It is no random part: large traces are the first to go, and slow ones come late. So
/// what is left proves nothing, either way.
fn shed(side: Side, input: &InputSide, data: &mut Data) {
    let count_of = |warning: Warning| input.warnings.count(warning);
    let spans = count_of(Warning::DroppedSpan).saturating_add(count_of(Warning::LateSpan));
    let evicted = count_of(Warning::EvictedTrace);
    let of = |lost: u64, all: u64| if lost == 0 { 0.0 } else { lost as f64 / all.max(1) as f64 };
    let (share_spans, share_traces) = (of(spans, input.spans.saturating_add(spans)), of(evicted, input.traces));
    let told = count_of(Warning::DroppedSpan) == 0 && evicted == 0;
    if told || share_spans.max(share_traces) <= MAX_LOSS {
        return;
    }
    let why = "the receiver lost data";
    (data.latency, data.errors, data.structure) = (Some(why), Some(why), Some(why));
    let message = format!(
        "{} of the {} side's spans were dropped or late and {} of its traces evicted: more than {} is too much to judge",
        percent(share_spans),
        side.name(),
        percent(share_traces.min(1.0)),
        percent(MAX_LOSS)
    );
    data.reasons.push(Reason::about_data("data_shed", Outcome::Inconclusive, message));
}

fn drift(diff: &Diff, policy: &Policy, data: &mut Data) {
    let spread = diff.drift.between_paths.exp() - 1.0;
    if !policy.latency || diff.mode == Mode::Pair || spread <= policy.max_environment_drift {
        return;
    }
    data.latency = Some("the environment is too noisy");
    let message = format!(
        "the environment is too noisy to judge latency: unchanged call paths scatter by {} (at most {}); measure both \
         sides at the same time, in the same place",
        percent(spread),
        percent(policy.max_environment_drift)
    );
    data.reasons.push(Reason::about_data("environment_drift", Outcome::Inconclusive, message));
}

fn coverage(diff: &Diff, policy: &Policy) -> Vec<Reason> {
    let Some(least) = policy.min_coverage else { return Vec::new() };
    let parts = [("call paths", Some(diff.coverage.paths)), ("instances", diff.coverage.instances)];
    let missing = parts.into_iter().filter_map(|(what, covered)| Some((what, covered?)));
    missing
        .filter(|(_, covered)| *covered < least)
        .map(|(what, covered)| {
            let (covered, least) = (rate(covered), percent(least));
            let message =
                format!("the after side exercised {covered} of the before side's {what}: {least} needed to pass");
            Reason::about_data("coverage", Outcome::Inconclusive, message)
        })
        .collect()
}

fn notes(diff: &Diff, policy: &Policy) -> Vec<Reason> {
    let mut notes = Vec::new();
    let mut note = |code, message| notes.push(Reason::about_data(code, Outcome::Pass, message));
    if let Some(look) = policy.look {
        note("look", format!("{look}: the error allowed for all looks is spent over them"));
    }
    if !policy.latency {
        note("latency_ignored", "latency was not judged (latency = \"ignore\"): structure and errors only".into());
    }
    if diff.omitted.findings > 0 {
        let number = count(diff.omitted.findings);
        note("findings_omitted", format!("{number} findings beyond --max-findings were not judged one by one"));
    }
    notes
}
