//! Where the time went: on average and for the slowest 5 % of the requests, side by side. Both columns add up as
//! printed.

use crate::diff::{AttributionRow, Diff, EntryPoint, Finding, Mark};
use crate::report::Options;
use crate::report::page::{DIM, Page, STRONG, mark_of, style_of};
use crate::report::text::{paragraph, place};
use crate::report::units::{adding_up, counted, percent, signed_duration};
use std::io::{self, Write};

/// Entry points of which the table is shown.
const ENTRY_POINTS: usize = 5;
/// Columns of a number and of a share.
const NUMBER: usize = 13;
const SHARE: usize = 8;
/// Shares of the change from here on are not shown.
const LARGEST_SHARE: f64 = 10.0;

/// A row: what it is, and its part of the mean's and the tail's change.
struct Row<'a> {
    part: &'a AttributionRow,
    mean_ns: i64,
    tail_ns: i64,
}

/// Writes the tables: all requests first, when traffic moved, then the entry points.
pub(super) fn tables(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if diff.overall.len() > 1 {
        table(diff, "where the time went: all requests", &diff.overall, &[], options, page, out)?;
    }
    let changed = diff.entry_points.iter().filter(|entry| entry.delta_ns.is_some() && entry.attribution.len() > 1);
    for entry in changed.take(ENTRY_POINTS) {
        let title = format!("where the time went: {}", place(&entry.operation));
        table(diff, &title, &entry.attribution, &entry.tail, options, page, out)?;
        if let Some(line) = not_explained(entry) {
            paragraph(&line, 4, DIM, page, out)?;
        }
    }
    Ok(())
}

/// What no finding explains, in one line.
fn not_explained(entry: &EntryPoint) -> Option<String> {
    let total = sum(entry.attribution.iter());
    let rest = sum(entry.attribution.iter().filter(|row| row.finding.is_none()));
    let share = rest as f64 / total as f64;
    let share =
        if total != 0 && share.abs() < LARGEST_SHARE { format!(" ({})", percent(share)) } else { String::new() };
    (rest != 0).then(|| {
        format!("not explained by any finding: {} of {}{share}", signed_duration(rest), signed_duration(total))
    })
}

fn sum<'a>(rows: impl Iterator<Item = &'a AttributionRow>) -> i64 {
    rows.map(|row| row.contribution_ns).fold(0, i64::saturating_add)
}

/// Rows of both attributions: those of the mean in their order, then those that only the tail has; what no finding
/// covers last.
fn joined<'a>(mean: &'a [AttributionRow], tail: &'a [AttributionRow]) -> Vec<Row<'a>> {
    let same =
        |a: &AttributionRow, b: &AttributionRow| a.finding == b.finding && (a.finding.is_some() || a.label == b.label);
    let mut rows: Vec<Row<'a>> =
        mean.iter().map(|row| Row { part: row, mean_ns: row.contribution_ns, tail_ns: 0 }).collect();
    for part in tail {
        match rows.iter_mut().find(|row| same(row.part, part)) {
            Some(row) => row.tail_ns = row.tail_ns.saturating_add(part.contribution_ns),
            None => rows.push(Row { part, mean_ns: 0, tail_ns: part.contribution_ns }),
        }
    }
    rows.sort_by_key(|row| row.part.finding.is_none());
    rows
}

fn table(
    diff: &Diff,
    title: &str,
    mean: &[AttributionRow],
    tail: &[AttributionRow],
    options: &Options,
    page: &Page,
    out: &mut dyn Write,
) -> io::Result<()> {
    let rows = joined(mean, tail);
    let rest = rows.iter().filter(|row| row.part.finding.is_none()).count();
    let listed = rows.len() - rest;
    let shown = listed.min(options.list);
    let (first, others) = rows.split_at(shown);
    let (folded, last) = others.split_at(listed - shown);
    let lines: Vec<&Row<'_>> = first.iter().chain(last).collect();
    let fold = |of: fn(&Row<'_>) -> i64| folded.iter().map(of).fold(0, i64::saturating_add);
    let column = |of: fn(&Row<'_>) -> i64, all: &[AttributionRow]| {
        let mut values: Vec<i64> = lines.iter().map(|row| of(row)).collect();
        values.push(fold(of));
        adding_up(&values, sum(all.iter()))
    };
    let (means, mean_total) = column(|row| row.mean_ns, mean);
    let (tails, tail_total) = column(|row| row.tail_ns, tail);
    let table = Table { page, has_tail: !tail.is_empty(), total_ns: sum(mean.iter()) };
    table.head(title, out)?;
    let mut numbers = means.iter().zip(&tails);
    for row in &lines {
        let finding = row.part.finding.and_then(|finding| diff.findings.get(finding));
        let label = finding.and_then(Finding::operation).map_or_else(|| row.part.label.clone(), place);
        let rank = row.part.finding.map_or(String::new(), |finding| (finding + 1).to_string());
        let head = format!("{rank:>3} {}", paint(finding.map_or(Mark::Equal, mark_of), page));
        table.row(&head, &label, numbers.next(), row.mean_ns, out)?;
    }
    if !folded.is_empty() {
        let label = format!("⋯ {}, together", counted(folded.len() as u64, "more row", "more rows"));
        let head = format!("    {}", paint(Mark::Equal, page));
        table.row(&head, &label, numbers.next(), fold(|row| row.mean_ns), out)?;
    }
    table.total(&mean_total, &tail_total, out)
}

fn paint(mark: Mark, page: &Page) -> String {
    page.paint(style_of(mark), page.mark(mark))
}

/// Of a change that is small beside its parts a share says nothing.
fn share(ns: i64, total: i64) -> String {
    let share = ns as f64 / total as f64;
    if share.is_finite() && share.abs() < LARGEST_SHARE { percent(share) } else { "-".into() }
}

struct Table<'a> {
    page: &'a Page,
    has_tail: bool,
    /// The change of the mean.
    total_ns: i64,
}

impl Table<'_> {
    /// Columns of a label.
    fn room(&self) -> usize {
        let tail = if self.has_tail { NUMBER } else { 0 };
        self.page.width.saturating_sub(6 + NUMBER + SHARE + tail)
    }

    fn head(&self, title: &str, out: &mut dyn Write) -> io::Result<()> {
        let page = self.page;
        let title = page.left(&page.show(title), self.room() + 6);
        let line = format!("{title}{}", self.numbers("mean", "share", "slowest 5 %"));
        writeln!(out, "\n{}", page.paint(STRONG, &line))
    }

    fn numbers(&self, mean: &str, share: &str, tail: &str) -> String {
        let page = self.page;
        let tail = if self.has_tail { page.right(&page.show(tail), NUMBER) } else { String::new() };
        format!("{}{}{tail}", page.right(&page.show(mean), NUMBER), page.right(share, SHARE))
    }

    fn row(
        &self,
        head: &str,
        label: &str,
        numbers: Option<(&String, &String)>,
        mean_ns: i64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let label = self.page.left(&self.page.show(label), self.room());
        let (mean, tail) = numbers.map_or(("", ""), |(mean, tail)| (mean, tail));
        writeln!(out, "{head} {label}{}", self.numbers(mean, &share(mean_ns, self.total_ns), tail))
    }

    fn total(&self, mean: &str, tail: &str, out: &mut dyn Write) -> io::Result<()> {
        let share = if self.total_ns == 0 { "-".into() } else { percent(1.0) };
        let line = format!("{}{}", self.page.left("total", self.room() + 6), self.numbers(mean, &share, tail));
        writeln!(out, "{}", self.page.paint(STRONG, &line))
    }
}
