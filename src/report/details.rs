//! The evidence of one finding in the text report.

use super::page::{DIM, Page, STRONG, mark_of, style_of};
use super::text::place;
use super::units::{count, duration, percent};
use super::{clock, population::words};
use crate::diff::{Change, Finding, Quantiles};
use crate::model::{Operation, Pair};
use std::io::{self, Write};

/// Lists in the evidence are cut here; the rest is counted.
const ITEMS: usize = 8;
/// Columns of the labels.
const LABEL: usize = 11;
/// Columns of the indentation.
const INDENT: usize = 6;

/// Writes the evidence under a line that names the finding.
pub fn write(index: usize, finding: &Finding, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let mark = mark_of(finding);
    let name = page.show(finding.operation().map_or_else(|| "everything".into(), place));
    let name = page.paint(STRONG, &page.shorten(&name, page.width.saturating_sub(6)));
    writeln!(out, "\n{:>3} {} {name}", index + 1, page.paint(style_of(mark), page.mark(mark)))?;
    let block = Block { page };
    block.text("path", &path(&finding.path), out)?;
    if let Some(from) = &finding.from_path {
        block.text("from", &path(from), out)?;
    }
    block.text("time", &times(finding), out)?;
    block.text("spans", &spans(finding), out)?;
    block.list("because", finding.because.iter().cloned(), out)?;
    block.list("evidence", finding.evidence.iter().cloned(), out)?;
    block.list("tests", finding.effects.iter().map(words::effect), out)?;
    block.list("instances", finding.instances.iter().map(|group| words::instances(finding.kind, group)), out)?;
    if let Some(first) = first_seen(finding) {
        block.text("first seen", &first, out)?;
    }
    if let Some(accepted) = accepted(finding) {
        block.text("accepted", &accepted, out)?;
    }
    block.list("attributes", finding.attributes.iter().map(attribute), out)?;
    block.list("events", finding.events.iter().map(event), out)
}

/// `name (service) ▸ name ▸ name (other service)`: the service is named where it changes.
pub fn path(path: &[Operation]) -> String {
    let mut steps = Vec::with_capacity(path.len());
    let mut service = "";
    for operation in path {
        if operation.service.as_ref() == service {
            steps.push(operation.name.to_string());
        } else {
            steps.push(format!("{} ({})", operation.name, operation.service));
        }
        service = &operation.service;
    }
    // A path of a thousand steps is told by its ends.
    if steps.len() > 12 {
        let hidden = format!("⋯ {} steps", count(steps.len() as u64 - 10));
        steps.splice(5..steps.len() - 5, [hidden]);
    }
    steps.join(" ▸ ")
}

/// When a change began within the after side, and in which trace.
pub fn first_seen(finding: &Finding) -> Option<String> {
    finding.first_seen.map(|(ns, trace)| format!("{}, trace {trace}", clock::utc(ns)))
}

/// Why a change is accepted, and until when.
pub fn accepted(finding: &Finding) -> Option<String> {
    finding.accepted.as_ref().map(|accepted| match &accepted.until {
        Some(until) => format!("until {until}: {}", accepted.reason),
        None => accepted.reason.clone(),
    })
}

/// Self, edge and single durations on both sides.
pub fn times(finding: &Finding) -> String {
    let nanoseconds = |ns: i64| duration(ns.max(0).unsigned_abs());
    let both = |pair: Pair<Option<i64>>| {
        let side = |ns: Option<i64>| ns.map_or("—".into(), nanoseconds);
        (pair != Pair::default()).then(|| format!("{} → {}", side(pair.before), side(pair.after)))
    };
    let median = finding.duration_ns.map(|side| side.map(|Quantiles { p50, .. }| p50));
    [("self", both(finding.self_time_ns)), ("edge", both(finding.edge_time_ns)), ("each span", both(median))]
        .into_iter()
        .filter_map(|(name, times)| times.map(|times| format!("{name} {times}")))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Spans, failures and place on the critical path.
pub fn spans(finding: &Finding) -> String {
    let mut parts = vec![format!("{} → {}", count(finding.spans.before), count(finding.spans.after))];
    if let Some(subtree) = finding.subtree {
        parts.push(format!("{} with those below", count(subtree)));
    }
    let rate = |side: Option<f64>| side.map_or("—".into(), percent);
    let failing = |side: Option<f64>| side.is_some_and(|rate| rate > 0.0);
    if failing(finding.error_rate.before) || failing(finding.error_rate.after) {
        parts.push(format!("failed {} → {}", rate(finding.error_rate.before), rate(finding.error_rate.after)));
    }
    parts.push(
        match (finding.on_critical_path.before, finding.on_critical_path.after) {
            (true, true) => "on the critical path",
            (true, false) => "on the critical path only before",
            (false, true) => "on the critical path only after",
            (false, false) => "off the critical path",
        }
        .into(),
    );
    parts.join(", ")
}

/// `key: before → after`, `+ key: value`, `- key: value`.
pub fn attribute(attribute: &crate::diff::AttributeChange) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_default();
    match attribute.change {
        Change::Changed => {
            format!("{}: {} → {}", attribute.key, value(&attribute.before), value(&attribute.after))
        }
        Change::Added => format!("+ {}: {}", attribute.key, value(&attribute.after)),
        Change::Removed => format!("- {}: {}", attribute.key, value(&attribute.before)),
    }
}

/// `exception TimeoutError 0 → 12`.
pub fn event(event: &crate::diff::EventChange) -> String {
    let kind = event.exception_type.as_ref().map_or(String::new(), |kind| format!(" {kind}"));
    format!("{}{kind} {} → {}", event.name, count(event.count.before), count(event.count.after))
}

struct Block<'a> {
    page: &'a Page,
}

impl Block<'_> {
    fn text(&self, label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        self.lines(label, self.page.wrap(&self.page.show(text), self.room()), out)
    }

    /// One item a line, or two when it is long; what is more than a screen needs is counted.
    fn list(&self, label: &str, items: impl ExactSizeIterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
        let hidden = items.len().saturating_sub(ITEMS);
        let mut lines = Vec::new();
        for item in items.take(ITEMS) {
            let room = self.room().saturating_sub(2);
            // Long values differ somewhere in the middle as often as not: two lines of each, then the ellipsis.
            let item = self.page.shorten(&self.page.show(item), room * 2);
            lines.extend(
                self.page
                    .wrap(&item, room)
                    .into_iter()
                    .enumerate()
                    .map(|(index, line)| if index == 0 { line } else { format!("  {line}") }),
            );
        }
        if hidden > 0 {
            lines.push(self.page.show(format!("⋯ {} more", count(hidden as u64))));
        }
        self.lines(label, lines, out)
    }

    fn room(&self) -> usize {
        self.page.width.saturating_sub(INDENT + LABEL)
    }

    fn lines(&self, label: &str, lines: Vec<String>, out: &mut dyn Write) -> io::Result<()> {
        for (index, line) in lines.into_iter().enumerate() {
            let label = if index == 0 { self.page.paint(DIM, &format!("{label:<LABEL$}")) } else { " ".repeat(LABEL) };
            writeln!(out, "{:INDENT$}{label}{line}", "")?;
        }
        Ok(())
    }
}
