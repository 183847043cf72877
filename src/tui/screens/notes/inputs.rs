//! What was compared, and what that is worth: inputs, hashes, comparability, coverage, drift, remarks, limits.

use crate::diff::{Diff, InputSide, Mode};
use crate::model::{Side, units};
use crate::report::clock;

/// Files that are named on each side.
const FILES: usize = 8;

/// A heading and lines with labels.
pub struct Section {
    /// The heading.
    pub title: String,
    /// Labels and sentences; texts of strangers are as they were sent.
    pub lines: Vec<(&'static str, String)>,
}

/// All of it.
pub fn sections(diff: &Diff) -> Vec<Section> {
    let mut sections: Vec<Section> =
        [("A (before)", Side::Before), ("B (after)", Side::After)].map(|(title, side)| input(diff, title, side)).into();
    sections.push(Section { title: "how comparable".to_owned(), lines: comparable(diff) });
    let mut lines: Vec<_> = diff.notes.iter().map(|note| ("", note.message.clone())).collect();
    if lines.is_empty() {
        lines.push(("", "nothing else to say".to_owned()));
    }
    sections.push(Section { title: "good to know".to_owned(), lines });
    sections
}

fn input(diff: &Diff, title: &str, side: Side) -> Section {
    let input = diff.inputs.get(side);
    let mut lines = Vec::new();
    for source in input.sources.iter().take(FILES) {
        lines.push(("file", source.clone()));
    }
    let hidden = input.sources.len().saturating_sub(FILES) as u64;
    if hidden > 0 {
        lines.push(("", format!("⋯ {}", units::counted(hidden, "more file", "more files"))));
    }
    if !input.sha256.is_empty() {
        lines.push(("sha256", input.sha256.clone()));
    }
    let traces = units::counted(input.traces, "trace", "traces");
    lines.push(("holds", format!("{traces}, {}", units::counted(input.spans, "span", "spans"))));
    if diff.mode == Mode::Pair {
        lines.extend(input.trace_ids.iter().map(|id| ("trace", id.to_string())));
    }
    lines.push(("window", window(input)));
    lines.push(("sampling", format!("{}{}", input.sampling.name(), read(input))));
    for (warning, counted) in input.warnings.iter() {
        let example =
            if counted.example.is_empty() { String::new() } else { format!(", for example {}", counted.example) };
        lines.push(("warning", format!("{}: {}{example}", warning.explanation(), units::count(counted.count))));
    }
    Section { title: title.to_owned(), lines }
}

fn window(input: &InputSide) -> String {
    match input.window_ns {
        Some((from, to)) => format!("{}, {}", clock::utc(from), units::duration(to.saturating_sub(from))),
        None => "no spans".to_owned(),
    }
}

fn read(input: &InputSide) -> String {
    let (bytes, unused) = input.bytes;
    let lost =
        if unused > 0 { format!(", of which {} could not be used", units::bytes(unused)) } else { String::new() };
    if bytes > 0 { format!("; {} read{lost}", units::bytes(bytes)) } else { String::new() }
}

fn comparable(diff: &Diff) -> Vec<(&'static str, String)> {
    let verdict = if diff.comparable.ok { "yes" } else { "no: the sides share no entry point" };
    let mut lines = vec![("comparable", verdict.to_owned())];
    lines.extend(diff.comparable.reasons.iter().map(|note| ("mind", note.message.clone())));
    let instances = diff
        .coverage
        .instances
        .map_or_else(String::new, |share| format!(", {} of the instances", units::percent(share)));
    let paths = units::percent(diff.coverage.paths);
    lines.push(("coverage", format!("B saw again {paths} of A's call paths{instances}")));
    let drift = diff.drift;
    if drift.common_ratio > 0.0 {
        let between = units::percent(drift.between_paths.exp_m1());
        let ratio = units::ratio(drift.common_ratio);
        lines.push((
            "drift",
            format!("everything moved together by {ratio}; call paths scatter by {between} around that"),
        ));
    }
    if let Some(stability) = diff.stability {
        lines.push(("stability", format!("two halves of B agree on {} of the findings", units::percent(stability))));
    }
    if diff.omitted.findings > 0 {
        let findings = units::counted(diff.omitted.findings, "finding", "findings");
        let time = units::signed_duration(diff.omitted.contribution_ns);
        lines.push(("left out", format!("{findings} beyond the limit, together {time}")));
    }
    if !diff.config_sha256.is_empty() {
        lines.push(("config", format!("sha256 {}", diff.config_sha256)));
    }
    lines
}
