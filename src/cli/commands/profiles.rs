//! What a profile holds, for `spandiff inspect`; and how the traces of other inputs were sampled.

use super::inspect::{section, time};
use crate::cli::config::hex;
use crate::cli::engine::{Batch, Profile, threshold};
use crate::diff::Sampling;
use crate::model::attributes::trace_state;
use crate::model::profile::{ONE, Totals};
use crate::model::{NO_PARENT, Span};
use crate::report::json::warnings;
use crate::report::page::{Page, STRONG};
use crate::report::schema;
use crate::report::units::{bytes, count, counted};
use serde::Serialize;
use std::io::{self, Write};

/// What is shown of a profile, in text and JSON.
#[derive(Serialize)]
pub struct View<'a> {
    name: &'a str,
    traces: u64,
    spans: u64,
    errors: u64,
    partial_traces: u64,
    paths: u64,
    operations: u64,
    window: Option<schema::Window>,
    sampling: &'static str,
    /// Traces by the share that was kept.
    sampled: Vec<SampledView>,
    entry_points: Vec<EntryView>,
    versions: Vec<VersionView<'a>>,
    inputs: Vec<String>,
    bytes: u64,
    bytes_lost: u64,
    /// Whole traces, and their bytes before compression.
    example_traces: u64,
    example_bytes: u64,
    warnings: Vec<schema::Warning<'a>>,
}

#[derive(Serialize)]
struct SampledView {
    /// `ot=th:`, as it stands in the trace state.
    threshold: String,
    traces: u64,
}

#[derive(Serialize)]
struct EntryView {
    service: String,
    name: String,
    traces: u64,
    /// Traces that they stand for, rounded.
    adjusted_traces: u64,
    traces_with_errors: u64,
    mean_duration_ns: u64,
}

#[derive(Serialize)]
struct VersionView<'a> {
    service: &'a str,
    version: &'a str,
    spans: u64,
}

/// Looks at a profile.
pub fn view<'a>(name: &'a str, profile: &'a Profile) -> View<'a> {
    let (totals, examples) = (&profile.totals, profile.example_traces());
    let mut entry_points: Vec<EntryView> = entries(profile).collect();
    entry_points.sort_by(|a, b| (b.traces, &a.service, &a.name).cmp(&(a.traces, &b.service, &b.name)));
    View {
        name,
        traces: totals.traces,
        spans: totals.spans,
        errors: totals.failed_spans,
        partial_traces: totals.partial,
        paths: profile.paths().len() as u64,
        operations: profile.operations.len() as u64,
        window: totals
            .window_ns
            .map(|(start, end)| schema::Window { start_unix_ns: start.to_string(), end_unix_ns: end.to_string() }),
        sampling: Sampling::of(totals).name(),
        sampled: totals.thresholds.iter().map(|(&threshold, &traces)| sampled(threshold, traces)).collect(),
        entry_points,
        versions: totals
            .versions
            .iter()
            .map(|(&(service, version), &spans)| VersionView {
                service: profile.strings.get(service),
                version: profile.strings.get(version),
                spans,
            })
            .collect(),
        inputs: totals.inputs.iter().map(|hash| hex(hash)).collect(),
        bytes: totals.bytes.0,
        bytes_lost: totals.bytes.1,
        example_traces: examples.len() as u64,
        example_bytes: examples.iter().map(|trace| trace.len() as u64).sum(),
        warnings: warnings(&totals.warnings),
    }
}

fn sampled(threshold: u64, traces: u64) -> SampledView {
    let digits = format!("{threshold:014x}");
    let short = digits.trim_end_matches('0');
    SampledView { threshold: if short.is_empty() { "0".into() } else { short.into() }, traces }
}

fn entries(profile: &Profile) -> impl Iterator<Item = EntryView> {
    profile.paths().iter().filter(|path| path.parent == NO_PARENT).filter_map(|path| {
        let operation = profile.operations.get(path.operation)?;
        let total = path.state.shards.total();
        Some(EntryView {
            service: operation.service.to_string(),
            name: operation.name.to_string(),
            traces: total.traces,
            adjusted_traces: rounded(total.weight, u128::from(ONE)),
            traces_with_errors: rounded(total.errors, u128::from(ONE)),
            mean_duration_ns: rounded(total.duration_ns, total.calls),
        })
    })
}

/// A quotient rounded to the nearest; 0 for nothing by nothing.
fn rounded(sum: u128, by: u128) -> u64 {
    let quotient = sum.saturating_add(by / 2).checked_div(by).unwrap_or_default();
    u64::try_from(quotient).unwrap_or(u64::MAX)
}

/// Writes about one profile.
pub fn text(view: &View<'_>, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let head = [
        counted(view.traces, "trace", "traces"),
        counted(view.spans, "span", "spans"),
        counted(view.errors, "error", "errors"),
        counted(view.paths, "call path", "call paths"),
        counted(view.entry_points.len() as u64, "entry point", "entry points"),
    ];
    let title = format!("profile {}: {}", view.name, head.join(", "));
    writeln!(out, "{}", page.paint(STRONG, &page.show(title)))?;
    if let Some(window) = &view.window {
        writeln!(out, "from {} to {}", time(&window.start_unix_ns), time(&window.end_unix_ns))?;
    }
    writeln!(out, "sampling: {}", sampling_in_words(view.sampling))?;
    let inputs = counted(view.inputs.len() as u64, "input", "inputs");
    writeln!(
        out,
        "made of {inputs}; {} without root or with missing parents",
        counted(view.partial_traces, "trace", "traces")
    )?;
    match view.example_traces {
        0 => writeln!(out, "no example traces")?,
        some => {
            let some = counted(some, "example trace", "example traces");
            writeln!(out, "{some} with all attributes, {}", bytes(view.example_bytes))?;
        }
    }
    let entries = view.entry_points.iter().map(|it| {
        let failing = if it.traces_with_errors > 0 {
            format!(", {} with errors", count(it.traces_with_errors))
        } else {
            String::new()
        };
        let mean = crate::report::units::duration(it.mean_duration_ns);
        (
            format!("{} ▸ {}", it.service, it.name),
            format!("{}, mean {mean}{failing}", counted(it.traces, "trace", "traces")),
        )
    });
    section("entry points", entries, page, out)?;
    let versions = view.versions.iter().map(|it| {
        let version = if it.version.is_empty() { "no version" } else { it.version };
        (format!("{} {version}", it.service), counted(it.spans, "span", "spans"))
    });
    section("services", versions, page, out)
}

/// What a word about sampling means.
pub fn sampling_in_words(word: &str) -> &'static str {
    match word {
        "none" => "every trace was kept",
        "consistent" => "consistent: one threshold, which the traces state",
        "mixed" => "mixed: traces were kept at different rates",
        _ => "unknown: the traces do not say how they were sampled",
    }
}

/// How the traces of an input were sampled, by what their roots say.
#[derive(Default)]
pub struct SamplingSeen {
    totals: Totals,
}

impl SamplingSeen {
    /// Looks at the roots of a batch.
    pub fn look(&mut self, batch: &Batch) {
        for root in batch.spans.iter().filter(|span| span.parent_id.is_none()) {
            self.totals.sampled(threshold(trace_state(body(batch, root)), root.trace_id));
        }
    }

    /// The word in JSON.
    pub fn name(&self) -> &'static str {
        Sampling::of(&self.totals).name()
    }
}

fn body<'b>(batch: &'b Batch, span: &Span) -> &'b [u8] {
    let start = span.body.start as usize;
    batch.bytes.get(start..start + span.body.len as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients_are_rounded_and_thresholds_are_as_short_as_in_the_trace_state() {
        assert_eq!((rounded(5, 2), rounded(4, 3), rounded(0, 0), rounded(u128::MAX, 1)), (3, 1, 0, u64::MAX));
        assert_eq!((sampled(0, 1).threshold, sampled(0x8 << 52, 1).threshold), ("0".into(), "8".into()));
    }
}
