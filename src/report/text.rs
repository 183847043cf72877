//! The text report: for someone on call at three in the morning.
//!
//! The first lines are the answer, then the findings by rank, the evidence of the first ones, where the time went
//! (rows that add up as printed), suspects, notes, and how to see more. Marks carry the meaning, colour repeats it.

use super::Options;
use super::page::{DIM, Page, STRONG, by_sign, mark_of, style_of};
use super::units::{
    adding_up, calls, count, counted, duration, percent, ratio, relative, signed_duration, signed_percent,
};
use super::{details, population, tree};
use crate::diff::{AttributionRow, Diff, EntryPoint, Finding, FindingKind, Mark, Mode, Note};
use crate::model::{Operation, Side};
use anstyle::Style;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Shares of the change from here on are not shown.
const LARGEST_SHARE: f64 = 10.0;
/// Findings whose evidence is shown.
const DETAILED: usize = 3;
/// Entry points of which the answer and the attribution are shown.
const ENTRY_POINTS: usize = 5;
/// Services that are named as suspects.
const SUSPECTS: usize = 5;
/// Columns of a contribution, a share and the rank.
const DELTA: usize = 10;
const SHARE: usize = 8;

/// Writes the text report.
pub fn text(diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(options);
    if diff.mode == Mode::Population {
        return population::text(diff, options, &page, out);
    }
    answer(diff, &page, out)?;
    if diff.findings.is_empty() {
        nothing(diff, &page, out)?;
    } else {
        findings(diff, options, &page, out)?;
        for (index, finding) in diff.findings.iter().enumerate().take(DETAILED.min(options.list)) {
            details::write(index, finding, &page, out)?;
        }
    }
    for entry in diff.entry_points.iter().take(ENTRY_POINTS) {
        attribution(diff, entry, options, &page, out)?;
    }
    suspects(diff, &page, out)?;
    notes(diff, &page, out)?;
    tree::section(diff, options, &page, out)?;
    more(diff, options, &page, out)
}

/// `service ▸ name`.
pub fn place(operation: &Operation) -> String {
    format!("{} ▸ {}", operation.service, operation.name)
}

/// Mark and change of an entry point: `1.46 s → 1.31 s  ▼ -150 ms (-10 %)`.
pub fn entry_change(entry: &EntryPoint) -> (String, Mark, String) {
    let mean = |side| entry.duration_ns.get(side).map(|quantiles: crate::diff::Quantiles| quantiles.mean);
    let show = |ns: i64| duration(ns.max(0).unsigned_abs());
    match (mean(Side::Before), mean(Side::After)) {
        (Some(before), Some(after)) => {
            let delta = entry.delta_ns.unwrap_or(after.saturating_sub(before));
            let share = relative(delta, before).map_or(String::new(), |share| format!(" ({share})"));
            let change = format!("{}{share}", signed_duration(delta));
            (format!("{} → {}", show(before), show(after)), by_sign(delta), change)
        }
        (Some(before), None) => (show(before), Mark::Removed, "only before".into()),
        (None, Some(after)) => (show(after), Mark::Added, "only after".into()),
        (None, None) => (String::new(), Mark::Equal, String::new()),
    }
}

/// The second line of the answer: spans and errors.
pub fn totals(diff: &Diff) -> String {
    let summary = &diff.summary;
    let side = |pair: crate::model::Pair<u64>| format!("{} → {}", count(pair.before), count(pair.after));
    format!("spans {} ({} matched)   errors {}", side(summary.spans), count(summary.matched), side(summary.errors))
}

/// What every pair must be told.
pub const ONE_TRACE_EACH: &str = "one trace each: a difference, not a regression";

fn answer(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    for entry in diff.entry_points.iter().take(ENTRY_POINTS) {
        let (times, mark, change) = entry_change(entry);
        let rest = page.show(format!("   {times}   "));
        let change = page.show(change);
        let room = page.width.saturating_sub(2 + unicode_width::UnicodeWidthStr::width(&*rest) + change.len());
        let name = page.shorten(&page.show(place(&entry.operation)), room.max(16));
        let change = page.paint(style_of(mark), &format!("{} {change}", page.mark(mark)));
        writeln!(out, "{}{rest}{change}", page.paint(STRONG, &name))?;
    }
    let hidden = diff.entry_points.len().saturating_sub(ENTRY_POINTS);
    if hidden > 0 {
        writeln!(
            out,
            "{}",
            page.show(format!("⋯ {}", counted(hidden as u64, "more entry point", "more entry points")))
        )?;
    }
    paragraph(&totals(diff), 0, Style::new(), page, out)?;
    if diff.mode == Mode::Pair {
        paragraph(ONE_TRACE_EACH, 0, DIM, page, out)?;
    }
    if let Some(drift) = drift(diff) {
        paragraph(&drift, 0, Style::new(), page, out)?;
    }
    let reasons = diff.comparable.reasons.iter().filter(|note| note.code != "one_trace_each");
    let title = if diff.comparable.ok { "mind" } else { "not comparable" };
    sentences(title, reasons, page, out)
}

/// What moved everywhere alike, unless that is a finding already.
fn drift(diff: &Diff) -> Option<String> {
    let named = diff.findings.iter().any(|finding| finding.kind == FindingKind::Drift);
    let common = diff.drift.common_ratio;
    let large = common.is_finite() && common > 0.0 && common.ln().abs() > 0.02;
    (large && !named).then(|| format!("everything moved together by {} (self time, common ratio)", ratio(common)))
}

/// What was compared and found equal, with the bound.
pub fn nothing_found(diff: &Diff) -> String {
    let mut text = format!(
        "no difference beyond the jitter of the pair: {} matched, each self time within {}",
        counted(diff.summary.matched, "span", "spans"),
        duration(diff.summary.unchanged_bound_ns),
    );
    let jitter = diff.drift.between_paths;
    if jitter.is_finite() && jitter > 0.0 {
        let _ = write!(text, " (jitter between operations ±{})", percent(jitter.exp() - 1.0));
    }
    text
}

fn nothing(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    if diff.omitted.findings > 0 {
        let findings = counted(diff.omitted.findings, "finding", "findings");
        return writeln!(out, "{}", page.show(format!("{findings}, none shown (--max-findings)")));
    }
    paragraph(&format!("= {}", nothing_found(diff)), 0, Style::new(), page, out)
}

/// The findings by rank, a line or two each, and what is not listed.
pub(super) fn findings(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let all = diff.findings.len() as u64 + diff.omitted.findings;
    let title = format!("{}, by contribution", counted(all, "finding", "findings"));
    let shown: Vec<_> = diff.findings.iter().take(options.list).collect();
    let calls: Vec<_> = shown.iter().map(|finding| page.show(calls_of(finding))).collect();
    let calls_width =
        calls.iter().map(|text| unicode_width::UnicodeWidthStr::width(&**text)).max().unwrap_or(0).min(16);
    let place_width = page.width.saturating_sub(6 + DELTA + SHARE + 2 + calls_width.max(5));
    let head = format!(
        "{}{}{}  calls",
        page.left(&title, 6 + place_width),
        page.right(&page.show("Δ"), DELTA),
        page.right("share", SHARE)
    );
    writeln!(out, "\n{}", page.paint(STRONG, &head))?;
    for (index, (finding, calls)) in shown.iter().zip(&calls).enumerate() {
        let mark = mark_of(finding);
        let style = style_of(mark);
        let name = finding.operation().map_or_else(|| "everything".into(), place);
        let share = finding.share.map_or("-".into(), signed_percent);
        let weight =
            if finding.share.is_some_and(|share| share.abs() >= 0.1) { style | anstyle::Effects::BOLD } else { style };
        writeln!(
            out,
            "{:>3} {} {}{}{}  {}",
            index + 1,
            page.paint(style, page.mark(mark)),
            page.left(&page.show(name), place_width),
            page.paint(weight, &page.right(&signed_duration_on(page, finding.contribution_ns), DELTA)),
            page.right(&share, SHARE),
            page.shorten(calls, 16),
        )?;
        for line in page.wrap(&page.show(why(finding)), page.width - 6).iter().take(2) {
            writeln!(out, "      {}", page.paint(DIM, line))?;
        }
        if let Some(tested) = tested(finding) {
            for line in page.wrap(&page.show(tested), page.width - 6).iter().take(2) {
                writeln!(out, "      {}", page.paint(DIM, line))?;
            }
        }
    }
    left_out(diff, options, page, out)?;
    unchanged(diff, page, out)
}

/// The test that says most about a finding and its acceptance; `None` for a pair.
fn tested(finding: &Finding) -> Option<String> {
    let effect = population::words::main_effect(&finding.effects).map(population::words::effect);
    let accepted = finding.accepted.as_ref().map(|accepted| format!("accepted: {}", accepted.reason));
    let parts: Vec<String> = [effect, accepted].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn signed_duration_on(page: &Page, ns: i64) -> String {
    page.show(signed_duration(ns))
}

fn calls_of(finding: &Finding) -> String {
    calls(finding.calls_per_trace.before, finding.calls_per_trace.after)
}

/// The one line of why: kind, title, and how sure the match is where it is not.
pub fn why(finding: &Finding) -> String {
    let kind = finding.kind.name().replace('_', " ");
    let says_so = kind.split(' ').next().is_some_and(|word| finding.title.starts_with(word));
    let mut text = if finding.title.is_empty() {
        kind
    } else if says_so {
        finding.title.clone()
    } else {
        format!("{kind}: {}", finding.title)
    };
    if finding.matched.reason != "none" && finding.matched.score < 0.7 {
        let _ = write!(text, " (uncertain match, {:.2})", finding.matched.score);
    }
    text
}

/// The count and the sum of the findings that are not listed.
pub fn not_listed(diff: &Diff, listed: usize) -> Option<(u64, i64)> {
    let hidden = diff.findings.iter().skip(listed);
    let hidden_ns = hidden.clone().map(|finding| finding.contribution_ns).fold(0, i64::saturating_add);
    let number = hidden.count() as u64 + diff.omitted.findings;
    (number > 0).then(|| (number, hidden_ns.saturating_add(diff.omitted.contribution_ns)))
}

fn left_out(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let Some((number, ns)) = not_listed(diff, options.list) else { return Ok(()) };
    let findings = counted(number, "more finding", "more findings");
    let line = format!("⋯ {findings}, together {} (--max-findings)", signed_duration(ns));
    paragraph(&line, 4, DIM, page, out)
}

fn unchanged(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let number = diff.summary.unchanged_operations;
    if number == 0 {
        return Ok(());
    }
    let rest: Vec<i64> = diff
        .entry_points
        .iter()
        .flat_map(|entry| entry.attribution.iter().filter(|row| row.finding.is_none()))
        .map(|row| row.contribution_ns)
        .collect();
    let together = if rest.is_empty() {
        String::new()
    } else {
        format!(", together {}", signed_duration(rest.into_iter().fold(0, i64::saturating_add)))
    };
    let operations = counted(number, "operation", "operations");
    let bound = duration(diff.summary.unchanged_bound_ns);
    let line = format!("= ⋯ {operations} unchanged, each |self Δ| ≤ {bound}{together}");
    paragraph(&line, 4, DIM, page, out)
}

fn attribution(diff: &Diff, entry: &EntryPoint, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let Some(total) = entry.delta_ns else { return Ok(()) };
    // A lone row would only repeat the total.
    if entry.attribution.len() < 2 {
        return Ok(());
    }
    let (listed, folded) = fold(&entry.attribution, options.list);
    let mut values: Vec<i64> = listed.iter().map(|row| row.contribution_ns).collect();
    values.extend(folded.map(|(_, ns)| ns));
    let (numbers, total_number) = adding_up(&values, total);
    // Of a change that is small beside its parts a share says nothing.
    let share = |ns: i64| {
        let share = ns as f64 / total as f64;
        if share.is_finite() && share.abs() < LARGEST_SHARE { percent(share) } else { "-".into() }
    };
    let room = page.width.saturating_sub(6 + DELTA + 2 + SHARE);
    let title = format!("where the time went: {}", place(&entry.operation));
    writeln!(out, "\n{}", page.paint(STRONG, &page.shorten(&page.show(title), page.width)))?;
    let mut row = |rank: &str, mark: Mark, label: &str, number: &str, ns: i64| {
        let (number, share) = (page.right(&page.show(number), DELTA + 2), page.right(&share(ns), SHARE));
        let mark = page.paint(style_of(mark), page.mark(mark));
        writeln!(out, "{rank:>3} {mark} {}{number}{share}", page.left(&page.show(label), room))
    };
    let mut numbers = numbers.iter();
    for part in &listed {
        let number = numbers.next().map_or("", String::as_str);
        let finding = part.finding.and_then(|index| diff.findings.get(index));
        let rank = part.finding.map_or(String::new(), |index| (index + 1).to_string());
        // With a name the row reads like the list above; the label alone is for what no finding covers.
        let label = finding.and_then(Finding::operation).map_or_else(|| part.label.clone(), place);
        row(&rank, finding.map_or(Mark::Equal, mark_of), &label, number, part.contribution_ns)?;
    }
    if let Some((hidden, ns)) = folded {
        let number = numbers.next().map_or("", String::as_str);
        row("", Mark::Equal, &format!("⋯ {}, together", counted(hidden, "more row", "more rows")), number, ns)?;
    }
    let label = page.left("total", room + 6);
    let share = if total == 0 { "-".into() } else { percent(1.0) };
    let total = page.right(&page.show(total_number), DELTA + 2);
    writeln!(out, "{}", page.paint(STRONG, &format!("{label}{total}{}", page.right(&share, SHARE))))
}

/// The rows that are listed, and count and sum of the others. The last row, what is unexplained, always stays.
fn fold(rows: &[AttributionRow], list: usize) -> (Vec<&AttributionRow>, Option<(u64, i64)>) {
    if rows.len() <= list.saturating_add(1) {
        return (rows.iter().collect(), None);
    }
    let middle = rows.get(list..rows.len() - 1).unwrap_or_default();
    let sum = middle.iter().map(|row| row.contribution_ns).fold(0, i64::saturating_add);
    (rows.iter().take(list).chain(rows.last()).collect(), Some((middle.len() as u64, sum)))
}

/// The services that explain most.
pub(super) fn suspects(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if diff.suspects.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, "suspects"))?;
    for (rank, suspect) in diff.suspects.iter().enumerate().take(SUSPECTS) {
        let reasons: Vec<_> = suspect.reasons.iter().map(|note| note.message.as_str()).collect();
        let operation =
            suspect.operations.first().map_or(String::new(), |(operation, _)| format!(" ({})", operation.name));
        let name = page.left(&page.show(format!("{}{operation}", suspect.service)), page.width / 3);
        let score = page.right(&percent(suspect.score), 6);
        let head = format!("{:>3}   {name} {score}  ", rank + 1);
        let indent = page.width / 3 + 15;
        let lines = page.wrap(&page.show(reasons.join("; ")), page.width.saturating_sub(indent));
        writeln!(out, "{}", format!("{head}{}", lines.first().map_or("", String::as_str)).trim_end())?;
        for line in lines.iter().skip(1).take(2) {
            writeln!(out, "{:indent$}{line}", "")?;
        }
    }
    let hidden = diff.suspects.len().saturating_sub(SUSPECTS) as u64;
    if hidden > 0 {
        let line = page.show(format!("    ⋯ {}", counted(hidden, "more service", "more services")));
        writeln!(out, "{}", page.paint(DIM, &line))?;
    }
    Ok(())
}

/// Notes, and the warnings of both sides.
pub(super) fn notes(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let notes: Vec<_> = diff.notes.iter().filter(|note| note.code != "one_trace_each").collect();
    if !notes.is_empty() {
        writeln!(out, "\n{}", page.paint(STRONG, "notes"))?;
        for note in notes {
            paragraph(&note.message, 2, Style::new(), page, out)?;
        }
    }
    if diff.inputs.before.warnings.is_empty() && diff.inputs.after.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, "warnings"))?;
    for side in [Side::Before, Side::After] {
        for (warning, counted) in diff.inputs.get(side).warnings.iter() {
            let first =
                if counted.example.is_empty() { String::new() } else { format!("; first: {}", counted.example) };
            let (count, code) = (count(counted.count), warning.code());
            let text = format!("{}: {code} {count}: {}{first}", side.name(), warning.explanation());
            paragraph(&text, 2, Style::new(), page, out)?;
        }
    }
    Ok(())
}

/// Notes with a title in front of each.
pub(super) fn sentences<'a>(
    title: &str,
    notes: impl Iterator<Item = &'a Note>,
    page: &Page,
    out: &mut dyn Write,
) -> io::Result<()> {
    for note in notes {
        paragraph(&format!("{title}: {}", note.message), 0, Style::new(), page, out)?;
    }
    Ok(())
}

/// Wrapped text with a hanging indent.
pub(super) fn paragraph(text: &str, indent: usize, style: Style, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    // Three blanks hold parts of a line apart: they stay.
    let parts = page.show(text).replace("   ", "\u{a0}\u{a0} ");
    let lines = page.wrap(&parts, page.width.saturating_sub(indent + 2));
    for (index, line) in lines.iter().enumerate() {
        let indent = if index == 0 { indent } else { indent + 2 };
        let line = line.replace('\u{a0}', " ");
        writeln!(out, "{:indent$}{}", "", page.paint(style, line.trim_end()))?;
    }
    Ok(())
}

/// How to see more.
pub(super) fn more(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let tree = match options.tree {
        None => "--tree shows every change in its place",
        Some(super::TreeView::Folded) => "--tree=all shows every span",
        Some(super::TreeView::All) => "",
    };
    let evidence = if diff.findings.is_empty() { "" } else { "--format json has all the evidence" };
    let hints: Vec<_> = [tree, evidence].into_iter().filter(|hint| !hint.is_empty()).collect();
    if hints.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    paragraph(&format!("more: {}", hints.join("; ")), 0, DIM, page, out)
}
