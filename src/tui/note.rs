//! The incident note: what leaves a session as Markdown, for a ticket or a channel.
//!
//! Values of attributes may name people; unless the user says otherwise they are masked as span names are: identifiers,
//! numbers, addresses and times go, words stay.

use super::app::{App, Note};
use crate::diff::{Change, Diff, Finding, InputSide, Mode};
use crate::model::masking::mask;
use crate::model::{Side, units};
use crate::report::details;
use crate::report::escape::{markdown, markdown_code};
use crate::report::page::mark_of;
use crate::report::population_words;
use crate::report::text::{entry_change, place, totals};
use std::fmt::Write as _;

/// Findings that the note tells in full; the rest is counted.
const FINDINGS: usize = 10;
/// Lines of evidence and attributes of one finding.
const LINES: usize = 6;
/// Files of one side that are named.
const SOURCES: usize = 5;

/// The note.
pub fn incident(app: &App) -> String {
    let diff = &app.model.diff;
    let mut out = String::from("# What changed\n\n");
    answer(diff, &mut out);
    notes(app, &mut out);
    let _ = writeln!(out, "\n## Findings\n");
    if diff.findings.is_empty() {
        out.push_str("None beyond the bounds.\n");
    }
    for (index, finding) in diff.findings.iter().enumerate().take(FINDINGS) {
        told(app, index, finding, &mut out);
    }
    let more = (diff.findings.len().saturating_sub(FINDINGS)) as u64 + diff.omitted.findings;
    if more > 0 {
        let _ = writeln!(out, "\n{} more, not listed here.", units::counted(more, "finding", "findings"));
    }
    unexplained(diff, &mut out);
    inputs(app, &mut out);
    out
}

/// The summary alone: what stays in the shell, and what a chat gets.
pub fn summary(app: &App) -> String {
    let diff = &app.model.diff;
    let mut out = String::new();
    for entry in &diff.entry_points {
        let (times, mark, change) = entry_change(entry);
        let name = crate::report::escape::visible(&entry.operation.name).into_owned();
        let _ = writeln!(out, "{name}  {times}  {} {change}", mark.glyph());
    }
    for (index, finding) in diff.findings.iter().enumerate().take(FINDINGS) {
        let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
        let line = format!("{} {name}: {}", mark_of(finding).glyph(), finding.title);
        let delta = units::signed_duration(finding.contribution_ns);
        let _ = writeln!(out, "{:>3} {}  {delta}", index + 1, crate::report::escape::visible(&line));
    }
    let more = diff.findings.len().saturating_sub(FINDINGS) as u64 + diff.omitted.findings;
    if more > 0 {
        let _ = writeln!(out, "    and {} more", units::count(more));
    }
    if diff.findings.is_empty() {
        out.push_str("no findings\n");
    }
    out
}

fn answer(diff: &Diff, out: &mut String) {
    for entry in &diff.entry_points {
        let (times, mark, change) = entry_change(entry);
        let name = markdown_code(&place(&entry.operation), false);
        let _ = writeln!(out, "- {name}: {times}, {} {change}", mark.glyph());
    }
    let _ = writeln!(out, "- {}", markdown(&totals(diff)));
    if diff.mode == Mode::Pair {
        let _ = writeln!(out, "- {}", crate::report::text::ONE_TRACE_EACH);
    }
    for reason in &diff.comparable.reasons {
        let _ = writeln!(out, "- mind: {}", markdown(&reason.message));
    }
}

fn notes(app: &App, out: &mut String) {
    if app.notes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## Notes\n");
    for note in &app.notes {
        let words = if note.text.is_empty() { "(bookmark)".to_owned() } else { markdown(&note.text) };
        let _ = writeln!(out, "- {}: {words}", markdown_code(&place_of(app, note), false));
    }
}

/// The place of a note in words.
pub fn place_of(app: &App, note: &Note) -> String {
    let node = note.node.and_then(|node| app.model.node(node));
    node.map_or_else(|| "all".to_owned(), |node| place(&node.operation))
}

fn told(app: &App, index: usize, finding: &Finding, out: &mut String) {
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    let _ = writeln!(
        out,
        "{}. {} **{}**: {} ({}, {})",
        index + 1,
        mark_of(finding).glyph(),
        markdown_code(&name, false),
        markdown(&finding.title),
        units::signed_duration(finding.contribution_ns),
        finding.confidence.name()
    );
    let mut line = |label: &str, text: &str| {
        let _ = writeln!(out, "   - {label}: {}", markdown(text));
    };
    line("path", &details::path(&finding.path));
    let times = details::times(finding);
    if !times.is_empty() {
        line("time", &times);
    }
    line("spans", &details::spans(finding));
    finding.because.iter().for_each(|because| line("because", because));
    finding.effects.iter().take(LINES).for_each(|effect| line("test", &population_words::effect(effect)));
    for group in &finding.instances {
        line("instances", &population_words::instances(finding.kind, group));
    }
    finding.evidence.iter().take(LINES).for_each(|evidence| line("evidence", evidence));
    for attribute in finding.attributes.iter().take(LINES) {
        line("attribute", &shown_attribute(app, attribute));
    }
    if let Some(first) = details::first_seen(finding) {
        line("first seen", &first);
    }
    if let Some(accepted) = details::accepted(finding) {
        line("accepted", &accepted);
    }
    for side in [Side::Before, Side::After] {
        if let Some((trace, span)) = finding.exemplars.get(side).first() {
            line(
                if side == Side::Before { "example before" } else { "example after" },
                &format!("trace {trace}, span {span}"),
            );
        }
    }
}

/// An attribute's change, its values masked unless they are wanted.
fn shown_attribute(app: &App, attribute: &crate::diff::AttributeChange) -> String {
    if !app.masked {
        return details::attribute(attribute);
    }
    let masked = |value: &Option<String>| value.as_deref().map(|value| mask(value).into_owned());
    let mut hidden = attribute.clone();
    (hidden.before, hidden.after) = (masked(&attribute.before), masked(&attribute.after));
    if hidden.change == Change::Changed && hidden.before == hidden.after {
        return format!("{}: another value (masked)", hidden.key);
    }
    details::attribute(&hidden)
}

/// What no finding covers.
fn unexplained(diff: &Diff, out: &mut String) {
    let _ = writeln!(out, "\n## Not explained\n");
    for entry in &diff.entry_points {
        for row in entry.attribution.iter().filter(|row| row.finding.is_none()) {
            let name = markdown_code(&entry.operation.name, false);
            let _ =
                writeln!(out, "- {name}: {}, {}", markdown(&row.label), units::signed_duration(row.contribution_ns));
        }
    }
    let _ = writeln!(
        out,
        "- {} unchanged: each self time within {}",
        units::counted(diff.summary.unchanged_operations, "operation", "operations"),
        units::duration(diff.summary.unchanged_bound_ns)
    );
}

fn inputs(app: &App, out: &mut String) {
    let diff = &app.model.diff;
    let _ = writeln!(out, "\n## Inputs\n");
    for (name, side) in [("before", &diff.inputs.before), ("after", &diff.inputs.after)] {
        let _ = writeln!(out, "- {name}: {}", input(side));
    }
    let _ = writeln!(out, "- configuration: SHA-256 `{}`", diff.config_sha256);
    if app.swapped {
        let _ = writeln!(out, "- the sides are swapped: what is called before was given as after");
    }
    let values =
        if app.masked { "values of attributes are masked" } else { "values of attributes are shown as they are" };
    let _ = writeln!(out, "- {values}; made by spandiff {}", env!("CARGO_PKG_VERSION"));
}

fn input(side: &InputSide) -> String {
    let mut names: Vec<String> = side.sources.iter().take(SOURCES).map(|source| markdown_code(source, false)).collect();
    let more = side.sources.len().saturating_sub(SOURCES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    format!(
        "{}; {}, {}; SHA-256 `{}`",
        names.join(", "),
        units::counted(side.traces, "trace", "traces"),
        units::counted(side.spans, "span", "spans"),
        side.sha256
    )
}
