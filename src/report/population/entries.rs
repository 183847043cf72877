//! The entry points in columns, or, where the page is too narrow for that, in two lines each.

use super::words::{entry_change, entry_ratio, rate, time};
use crate::diff::{Diff, EntryPoint, Mark, Metric};
use crate::model::Side;
use crate::report::Options;
use crate::report::page::{DIM, Page, STRONG, style_of};
use crate::report::text::{paragraph, parts, place};
use crate::report::units::counted;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Columns that a name has at least.
const NAME: usize = 24;
const TITLES: [&str; 5] = ["traces", "p50", "p95", "duration [95 %]", "errors"];

/// Writes the table.
pub(super) fn table(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let shown = diff.entry_points.len().min(options.list.max(1));
    let rows: Vec<(&EntryPoint, [String; 5])> =
        diff.entry_points.iter().take(shown).map(|entry| (entry, cells(entry).map(|cell| page.show(cell)))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = TITLES.map(UnicodeWidthStr::width);
    for (_, cells) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.width());
        }
    }
    let numbers: usize = widths.iter().map(|width| width + 2).sum();
    let title = counted(diff.entry_points.len() as u64, "entry point", "entry points");
    if page.width >= 4 + NAME + numbers {
        let name = page.width - 4 - numbers;
        let row = |cells: &[&str]| {
            let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| page.right(cell, width)).collect();
            format!("  {}", cells.join("  "))
        };
        let titles = row(&TITLES);
        writeln!(out, "\n{}", page.paint(STRONG, &format!("{}{titles}", page.left(&title, name + 4))))?;
        for (entry, cells) in &rows {
            let cells = row(&cells.each_ref().map(String::as_str));
            let place = page.left(&page.show(place(&entry.operation)), name);
            writeln!(out, "  {} {place}{cells}", paint(entry, page))?;
        }
    } else {
        writeln!(out, "\n{}", page.paint(STRONG, &title))?;
        for (entry, [traces, p50, p95, ratio, errors]) in &rows {
            let place = page.shorten(&page.show(place(&entry.operation)), page.width - 4);
            writeln!(out, "  {} {place}", paint(entry, page))?;
            let numbers = [
                ratio.clone(),
                format!("p50 {p50}"),
                format!("p95 {p95}"),
                format!("errors {errors}"),
                format!("{traces} traces"),
            ];
            parts(&numbers, 4, DIM, page, out)?;
        }
    }
    let hidden = (diff.entry_points.len() - shown) as u64;
    if hidden > 0 {
        paragraph(&format!("⋯ {}", counted(hidden, "more entry point", "more entry points")), 4, DIM, page, out)?;
    }
    Ok(())
}

/// Traces, median, 95th percentile, change of the duration, errors.
pub fn cells(entry: &EntryPoint) -> [String; 5] {
    let quantile =
        |side: Side, of: fn(&crate::diff::Quantiles) -> i64| time(entry.duration_ns.get(side).as_ref().map(of));
    let both = |of: fn(&crate::diff::Quantiles) -> i64| {
        format!("{} → {}", quantile(Side::Before, of), quantile(Side::After, of))
    };
    [
        super::both(entry.traces),
        both(|quantiles| quantiles.p50),
        both(|quantiles| quantiles.p95),
        entry_ratio(entry),
        format!("{} → {}", rate(entry.error_rate.before), rate(entry.error_rate.after)),
    ]
}

/// The mark of an entry point by what is shown, not by what only seems.
pub fn mark(entry: &EntryPoint) -> Mark {
    if entry.traces.before == 0 {
        return Mark::Added;
    }
    if entry.traces.after == 0 {
        return Mark::Removed;
    }
    match entry_change(entry) {
        Some((effect, true)) if effect.metric == Metric::ErrorRate => Mark::Failing,
        Some((effect, false)) if effect.metric == Metric::ErrorRate => Mark::Recovered,
        Some((_, true)) => Mark::Worse,
        Some((_, false)) => Mark::Better,
        None => Mark::Equal,
    }
}

fn paint(entry: &EntryPoint, page: &Page) -> String {
    let mark = mark(entry);
    page.paint(style_of(mark), page.mark(mark))
}
