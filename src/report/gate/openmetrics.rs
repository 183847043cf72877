//! `OpenMetrics` text: for the text-file collector of Prometheus' node exporter and for GitLab's metrics report.

use crate::diff::{Diff, Effect, Metric, Outcome, Verdict};
use crate::model::{Operation, Side};
use crate::report::exposition::{Exposition, Kind, number};
use std::io::{self, Write};

/// Entry points, and findings, with series of their own: each series costs whoever stores them.
const SERIES: usize = 50;

/// Writes the metrics.
pub(super) fn openmetrics(diff: &Diff, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Metrics(Exposition::default());
    text.family("spandiff_gate_verdict", "1 for the verdict that holds, 0 for the others.");
    for outcome in [Outcome::Pass, Outcome::Warn, Outcome::Inconclusive, Outcome::Fail] {
        let holds = if outcome == verdict.result { "1" } else { "0" };
        text.sample("spandiff_gate_verdict", &[("verdict", outcome.name().into())], holds);
    }
    text.family("spandiff_gate_exit_code", "What the process ends with.");
    text.sample("spandiff_gate_exit_code", &[], &verdict.exit_code.to_string());
    text.sides("spandiff_gate_traces", "Traces that were compared.", |side| diff.inputs.get(side).traces);
    text.sides(
        "spandiff_gate_needed_traces",
        "Traces in all that it takes for a verdict; 0 when there are enough.",
        |side| *verdict.needs.get(side),
    );
    text.family("spandiff_gate_findings", "Findings by what they do to the verdict.");
    for result in ["fail", "warn", "inconclusive", "explains", "accepted", "none"] {
        let number = verdict.findings.iter().filter(|role| role.name() == result).count();
        text.sample("spandiff_gate_findings", &[("result", result.into())], &number.to_string());
    }
    text.entries(diff);
    text.paths(diff);
    out.write_all(text.0.finish().as_bytes())
}

struct Metrics(Exposition);

impl Metrics {
    fn family(&mut self, name: &str, help: &str) {
        self.0.family(name, Kind::Gauge, help);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, String)], value: &str) {
        self.0.sample(name, labels, value);
    }

    fn sides(&mut self, name: &str, help: &str, of: impl Fn(Side) -> u64) {
        self.family(name, help);
        for side in [Side::Before, Side::After] {
            self.sample(name, &[("side", side.name().into())], &of(side).to_string());
        }
    }

    fn entries(&mut self, diff: &Diff) {
        self.family("spandiff_entry_duration_ratio", "Duration after to before, with the ends of its 95 % interval.");
        for entry in diff.entry_points.iter().take(SERIES) {
            let effect = entry.effects.iter().find(|effect| effect.metric == Metric::Duration);
            self.bounds("spandiff_entry_duration_ratio", effect, &operation(&entry.operation));
        }
        self.family("spandiff_entry_error_rate", "Share of the traces whose root failed.");
        for entry in diff.entry_points.iter().take(SERIES) {
            for side in [Side::Before, Side::After] {
                if let Some(rate) = entry.error_rate.get(side) {
                    let mut labels = operation(&entry.operation);
                    labels.push(("side", side.name().into()));
                    self.sample("spandiff_entry_error_rate", &labels, &number(*rate));
                }
            }
        }
    }

    fn paths(&mut self, diff: &Diff) {
        self.family(
            "spandiff_path_shift_ratio",
            "After to before of what changed at a call path, with its 95 % interval.",
        );
        for finding in diff.findings.iter().take(SERIES) {
            let Some(last) = finding.operation() else { continue };
            let mut labels = operation(last);
            let names: Vec<&str> = finding.path.iter().map(|operation| &*operation.name).collect();
            labels.push(("path", names.join(" > ")));
            labels.push(("finding", finding.kind.name().into()));
            for effect in finding.effects.iter().filter(|effect| effect.unit == "ratio") {
                let mut labels = labels.clone();
                labels.push(("metric", effect.metric.name().into()));
                self.bounds("spandiff_path_shift_ratio", Some(effect), &labels);
            }
        }
    }

    fn bounds(&mut self, name: &str, effect: Option<&Effect>, labels: &[(&str, String)]) {
        let Some(effect) = effect else { return };
        for (bound, value) in [("estimate", effect.estimate), ("low", effect.low), ("high", effect.high)] {
            let mut labels = labels.to_vec();
            labels.push(("bound", bound.into()));
            self.sample(name, &labels, &number(value));
        }
    }
}

fn operation(operation: &Operation) -> Vec<(&'static str, String)> {
    vec![
        ("service", operation.service.to_string()),
        ("operation", operation.name.to_string()),
        ("kind", operation.kind.name().into()),
    ]
}
