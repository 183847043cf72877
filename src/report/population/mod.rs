//! The text report of two populations: what stands against the comparison, the entry points, the findings with their
//! tests, instances, where the time went on average and for the slowest requests, suspects.

mod attribution;
pub mod entries;
pub mod words;

use super::page::{DIM, Page, STRONG};
use super::units::{count, counted, duration, percent, ratio};
use super::{Options, clock, details, text, tree};
use crate::diff::{Diff, FindingKind, InputSide};
use crate::model::{Pair, Side};
use anstyle::Style;
use std::io::{self, Write};

/// Findings whose evidence is shown.
const DETAILED: usize = 3;
/// Instance groups that are shown.
const GROUPS: usize = 12;

/// Writes the text report.
pub fn text(diff: &Diff, options: &Options, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    headline(diff, page, out)?;
    entries::table(diff, options, page, out)?;
    if diff.findings.is_empty() {
        writeln!(out)?;
        text::paragraph(&format!("= {}", words::nothing_found(diff)), 0, Style::new(), page, out)?;
    } else {
        text::findings(diff, options, page, out)?;
        for (index, finding) in diff.findings.iter().enumerate().take(DETAILED.min(options.list)) {
            details::write(index, finding, page, out)?;
        }
        instances(diff, page, out)?;
    }
    attribution::tables(diff, options, page, out)?;
    text::suspects(diff, page, out)?;
    text::notes(diff, page, out)?;
    tree::section(diff, options, page, out)?;
    text::more(diff, options, page, out)
}

fn headline(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    text::parts(&words::totals(diff), 0, STRONG, page, out)?;
    for side in [Side::Before, Side::After] {
        text::parts(&side_line(side, diff.inputs.get(side)), 0, DIM, page, out)?;
    }
    let title = if diff.comparable.ok { "mind" } else { "not comparable" };
    text::sentences(title, diff.comparable.reasons.iter(), page, out)?;
    for line in [mix(diff), drift(diff), coverage(diff)].into_iter().flatten() {
        text::paragraph(&line, 0, Style::new(), page, out)?;
    }
    Ok(())
}

/// Where a side comes from, when it was and how busy.
fn side_line(side: Side, input: &InputSide) -> Vec<String> {
    let first = input.sources.first().map_or("?", |name| name.trim_end());
    let others = input.sources.len().saturating_sub(1);
    let others = if others > 0 { format!(" and {} more", count(others as u64)) } else { String::new() };
    let mut parts = vec![format!("{}: {first}{others}", side.name())];
    if let Some((start, end)) = input.window_ns {
        let length = end.saturating_sub(start);
        parts.push(format!("{}, {}", clock::utc(start), duration(length)));
        let rate = input.traces as f64 * 1e9 / length as f64;
        if rate.is_finite() && input.traces > 1 {
            parts.push(format!("{rate:.1} traces/s"));
        }
    }
    parts
}

/// What traffic between entry points did to the mean over all requests.
fn mix(diff: &Diff) -> Option<String> {
    let finding = diff.findings.iter().find(|finding| finding.kind == FindingKind::Mix)?;
    Some(finding.title.clone())
}

/// What moved everywhere alike, and the noise of the environment.
fn drift(diff: &Diff) -> Option<String> {
    let (common, spread) = (diff.drift.common_ratio, diff.drift.between_paths);
    let moved = common.is_finite() && common > 0.0 && common.ln().abs() > 0.01;
    let scatter = spread.is_finite() && spread > 0.005;
    let moved = moved.then(|| format!("everything moved together by {}", ratio(common)));
    let scatter = scatter.then(|| format!("unchanged call paths scatter by ±{}", percent(spread.exp() - 1.0)));
    let parts: Vec<String> = [moved, scatter].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("environment: {}", parts.join(", ")))
}

fn coverage(diff: &Diff) -> Option<String> {
    let instances = diff.coverage.instances.map(|share| format!(", {} of its instances", percent(share)));
    let part = diff.coverage.paths < 0.995 || diff.coverage.instances.is_some_and(|share| share < 0.995);
    part.then(|| {
        let paths = percent(diff.coverage.paths);
        format!(
            "coverage: the after side exercised {paths} of the before side's call paths{}",
            instances.unwrap_or_default()
        )
    })
}

fn instances(diff: &Diff, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let groups = || {
        diff.findings
            .iter()
            .enumerate()
            .flat_map(|(index, it)| it.instances.iter().map(move |group| (index, it.kind, group)))
    };
    let all = groups().count();
    if all == 0 {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, "instances"))?;
    for (index, kind, group) in groups().take(GROUPS) {
        let lines = page.wrap(&page.show(words::instances(kind, group)), page.width.saturating_sub(6));
        for (number, line) in lines.iter().enumerate() {
            let head = if number == 0 { format!("{:>3}   ", index + 1) } else { " ".repeat(6) };
            writeln!(out, "{head}{line}")?;
        }
        for shared in words::shared(group) {
            text::paragraph(&shared, 6, DIM, page, out)?;
        }
    }
    let hidden = all.saturating_sub(GROUPS) as u64;
    if hidden > 0 {
        let line = format!("⋯ {}", counted(hidden, "more group", "more groups"));
        text::paragraph(&line, 4, DIM, page, out)?;
    }
    Ok(())
}

/// Both sides of a number as they are shown: `1,204 → 1,187`.
fn both(pair: Pair<u64>) -> String {
    format!("{} → {}", count(pair.before), count(pair.after))
}
