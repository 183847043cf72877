//! `GET /metrics`: `OpenMetrics` text. The number of series is bounded whatever is received: so many cohorts, so many
//! changes of each, and the counters of the receiver.

use super::AdminState;
use super::reply::{Reply, reply};
use crate::diff::{Finding, Outcome};
use crate::model::Side;
use crate::receiver::board::Judged;
use crate::report::exposition::{Exposition, Kind, number};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use std::sync::Arc;

/// Cohorts with series of their own: those that were judged last.
const COHORTS: usize = 20;
/// Changes of a cohort with series of their own: the most important ones.
const SHIFTS: usize = 10;

/// The media type of this text, which Prometheus asks for first.
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Writes all metrics.
pub fn metrics(state: &AdminState) -> Reply {
    let mut out = Exposition::default();
    out.family("spandiff_receiver_build", Kind::Info, "Which version this is.");
    out.sample("spandiff_receiver_build_info", &[("version", env!("CARGO_PKG_VERSION").into())], "1");
    for (name, kind, help, value) in state.counters.all() {
        let (family, help) = (format!("spandiff_receiver_{name}"), help.trim());
        if kind == "counter" {
            out.family(&family, Kind::Counter, help);
            out.sample(&format!("{family}_total"), &[], &value.to_string());
        } else {
            out.family(&family, Kind::Gauge, help);
            out.sample(&family, &[], &value.to_string());
        }
    }
    let one = |out: &mut Exposition, name: &str, help: &str, value: String| {
        out.family(name, Kind::Gauge, help);
        out.sample(name, &[], &value);
    };
    let board = &state.board;
    one(&mut out, "spandiff_receiver_generation", "Number of the newest verdict.", board.generation().to_string());
    one(&mut out, "spandiff_receiver_windows", "Closed windows that are kept.", board.windows().len().to_string());
    one(&mut out, "spandiff_receiver_marks", "Marks that are kept.", board.marks().len().to_string());
    let mut judged = board.all();
    judged.sort_by_key(|judged| std::cmp::Reverse(judged.generation));
    judged.truncate(COHORTS);
    // Series of one family stand together, whatever was judged last.
    judged.sort_by(|a, b| a.cohort.cmp(&b.cohort));
    verdicts(&judged, state, &mut out);
    shifts(&judged, &mut out);
    reply(StatusCode::OK, OPENMETRICS, out.finish())
}

fn verdicts(judged: &[Arc<Judged>], state: &AdminState, out: &mut Exposition) {
    let cohort = |judged: &Judged| ("cohort", judged.cohort.clone());
    let name = "spandiff_receiver_verdict";
    out.family(name, Kind::Gauge, "1 for the verdict that holds of a cohort, 0 for the others.");
    for judged in judged {
        for outcome in [Outcome::Pass, Outcome::Warn, Outcome::Inconclusive, Outcome::Fail] {
            let holds = if outcome == judged.verdict.result { "1" } else { "0" };
            out.sample(name, &[cohort(judged), ("verdict", outcome.name().into())], holds);
        }
    }
    let name = "spandiff_receiver_window_age_seconds";
    out.family(name, Kind::Gauge, "Time since the end of the window that was judged last.");
    for judged in judged {
        out.sample(name, &[cohort(judged)], &number(state.age_s(judged.window_ns.1)));
    }
    let name = "spandiff_receiver_compared_traces";
    out.family(name, Kind::Gauge, "Traces of each side of the last comparison.");
    for judged in judged {
        for side in [Side::Before, Side::After] {
            let traces = judged.diff.inputs.get(side).traces.to_string();
            out.sample(name, &[cohort(judged), ("side", side.name().into())], &traces);
        }
    }
    let name = "spandiff_receiver_needed_traces";
    out.family(name, Kind::Gauge, "Traces in all that each side needs for a verdict; 0 when there are enough.");
    for judged in judged {
        for side in [Side::Before, Side::After] {
            let traces = judged.verdict.needs.get(side).to_string();
            out.sample(name, &[cohort(judged), ("side", side.name().into())], &traces);
        }
    }
    let name = "spandiff_receiver_findings";
    out.family(name, Kind::Gauge, "Findings of the last comparison by what they do to the verdict.");
    for judged in judged {
        for result in ["fail", "warn", "inconclusive", "explains", "accepted", "none"] {
            let found = judged.verdict.findings.iter().filter(|role| role.name() == result).count();
            out.sample(name, &[cohort(judged), ("result", result.into())], &found.to_string());
        }
    }
}

/// The changes that matter most, with what they add to their entry point and by how much they changed.
fn shifts(judged: &[Arc<Judged>], out: &mut Exposition) {
    let name = "spandiff_receiver_shift_contribution_seconds";
    out.family(name, Kind::Gauge, "What a change adds to the mean duration of its entry point.");
    for judged in judged {
        for finding in judged.diff.findings.iter().take(SHIFTS) {
            out.sample(name, &labels(judged, finding), &number(finding.contribution_ns as f64 / 1e9));
        }
    }
    let name = "spandiff_receiver_shift_ratio";
    out.family(name, Kind::Gauge, "After to before of what changed at a call path, with its 95 % interval.");
    for judged in judged {
        for finding in judged.diff.findings.iter().take(SHIFTS) {
            for effect in finding.effects.iter().filter(|effect| effect.unit == "ratio") {
                for (bound, value) in [("estimate", effect.estimate), ("low", effect.low), ("high", effect.high)] {
                    let mut labels = labels(judged, finding);
                    labels.extend([("metric", effect.metric.name().into()), ("bound", bound.into())]);
                    out.sample(name, &labels, &number(value));
                }
            }
        }
    }
}

/// Labels that tell a finding from all others of its cohort: its fingerprint stays the same from window to window.
fn labels(judged: &Judged, finding: &Finding) -> Vec<(&'static str, String)> {
    let operation = finding.operation();
    let of = |part: fn(&crate::model::Operation) -> String| operation.map(part).unwrap_or_default();
    vec![
        ("cohort", judged.cohort.clone()),
        ("service", of(|operation| operation.service.to_string())),
        ("operation", of(|operation| operation.name.to_string())),
        ("finding", finding.kind.name().into()),
        ("fingerprint", finding.fingerprint.clone()),
    ]
}
