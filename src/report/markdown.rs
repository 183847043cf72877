//! Markdown for a pull-request comment: summary first, a table of findings, evidence folded away.
//!
//! A comment holds 65,536 characters, so the report stays below 60,000 bytes whatever the findings are: blocks are
//! added whole while there is room, and what is left out is counted. Names from the data stand in code spans, where
//! nobody is mentioned and nothing is linked.

use super::Options;
use super::details;
use super::escape::{markdown as sentence, markdown_code as code, visible};
use super::page::{Page, mark_of};
use super::population::{entries, words};
use super::text::{ONE_TRACE_EACH, entry_change, not_listed, nothing_found, place, totals, why};
use super::units::{adding_up, calls, count, counted, duration, percent, signed_duration, signed_percent};
use crate::diff::{AttributionRow, Diff, EntryPoint, Finding, Mode};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Bytes of the whole report.
pub const LIMIT: usize = 60_000;
/// Bytes after which no table row is added, so that evidence has room.
const TABLE_LIMIT: usize = 24_000;
/// Bytes after which no entry point is added.
const ENTRIES_LIMIT: usize = 20_000;
/// Bytes after which no evidence is added, so that attribution and notes have room.
const EVIDENCE_LIMIT: usize = 44_000;
/// Columns after which a name or value is shortened.
const NAME: usize = 160;

/// Writes the report.
pub fn markdown(diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    report(diff, options, String::new(), out)
}

/// Writes the report behind a text that stands in front of it; both together stay below the limit.
pub(super) fn report(diff: &Diff, options: &Options, front: String, out: &mut dyn Write) -> io::Result<()> {
    let mut comment = Comment { text: front, page: Page::new(&Options::default()) };
    match diff.mode {
        Mode::Pair => comment.answer(diff),
        Mode::Population => comment.entries(diff),
    }
    let listed = comment.findings(diff, options.list);
    comment.evidence(diff, listed);
    for entry in &diff.entry_points {
        comment.attribution(diff, entry);
    }
    comment.notes(diff);
    out.write_all(comment.text.as_bytes())
}

/// Why, and for populations the test that says most.
fn what(finding: &Finding) -> String {
    let effect = words::main_effect(&finding.effects).map_or(String::new(), |it| format!("; {}", words::effect(it)));
    format!("{}{effect}", why(finding))
}

struct Comment {
    text: String,
    page: Page,
}

impl Comment {
    /// Adds a block when all of it fits below `limit` bytes.
    fn add(&mut self, block: &str, limit: usize) -> bool {
        let fits = self.text.len() + block.len() <= limit;
        if fits {
            self.text.push_str(block);
        }
        fits
    }

    fn name(&self, name: &str, cell: bool) -> String {
        code(&self.page.shorten(&visible(name), NAME), cell)
    }

    fn sentence(&self, text: &str) -> String {
        sentence(&self.page.shorten(&visible(text), 2 * NAME))
    }

    fn answer(&mut self, diff: &Diff) {
        for (index, entry) in diff.entry_points.iter().enumerate().take(5) {
            let (times, mark, change) = entry_change(entry);
            let name = self.name(&place(&entry.operation), false);
            let level = if index == 0 { "### " } else { "" };
            let block = format!("{level}{name}: {times} {} {change}\n\n", mark.glyph());
            self.add(&block, LIMIT);
        }
        let mut line = totals(diff).replace("   ", " · ");
        if diff.mode == Mode::Pair {
            line.push_str(" · ");
            line.push_str(ONE_TRACE_EACH);
        }
        self.add(&format!("{line}\n\n"), LIMIT);
        let title = if diff.comparable.ok { "Mind" } else { "**Not comparable**" };
        for reason in diff.comparable.reasons.iter().filter(|reason| reason.code != "one_trace_each").take(10) {
            let block = format!("> {title}: {}\n\n", self.sentence(&reason.message));
            self.add(&block, LIMIT);
        }
    }

    /// The first part for populations: what was compared, what stands against it, the entry points.
    fn entries(&mut self, diff: &Diff) {
        self.add(&format!("{}\n\n", words::totals(diff).replace("   ", " · ")), LIMIT);
        let title = if diff.comparable.ok { "Mind" } else { "**Not comparable**" };
        for reason in diff.comparable.reasons.iter().take(10) {
            let block = format!("> {title}: {}\n\n", self.sentence(&reason.message));
            self.add(&block, LIMIT);
        }
        self.add("| entry point | traces | p50 | p95 | duration | errors |\n|---|--:|--:|--:|--:|--:|\n", LIMIT);
        let mut hidden = 0;
        for entry in &diff.entry_points {
            let cells = entries::cells(entry).join(" | ");
            let row = format!(
                "| {} {} | {cells} |\n",
                entries::mark(entry).glyph(),
                self.name(&place(&entry.operation), true)
            );
            if !self.add(&row, ENTRIES_LIMIT) {
                hidden += 1;
            }
        }
        if hidden > 0 {
            self.add(&format!("| ⋯ {hidden} more | | | | | |\n"), LIMIT);
        }
        self.add("\n", LIMIT);
    }

    /// Writes the table and returns how many findings it lists.
    fn findings(&mut self, diff: &Diff, list: usize) -> usize {
        if diff.findings.is_empty() && diff.omitted.findings == 0 {
            let nothing = match diff.mode {
                Mode::Pair => nothing_found(diff),
                Mode::Population => words::nothing_found(diff),
            };
            let block = format!("{}\n\n", self.sentence(&nothing));
            self.add(&block, LIMIT);
            return 0;
        }
        self.add("| # | | where | Δ | share | calls | what |\n|--:|:-:|---|--:|--:|:-:|---|\n", LIMIT);
        let mut listed = 0;
        for finding in diff.findings.iter().take(list) {
            let row = self.finding_row(listed, finding);
            if !self.add(&row, TABLE_LIMIT) {
                break;
            }
            listed += 1;
        }
        self.add("\n", LIMIT);
        if let Some((number, ns)) = not_listed(diff, listed) {
            let findings = counted(number, "more finding", "more findings");
            self.add(&format!("⋯ {findings}, together {}\n\n", signed_duration(ns)), LIMIT);
        }
        if diff.summary.unchanged_operations > 0 {
            let operations = counted(diff.summary.unchanged_operations, "operation", "operations");
            let bound = duration(diff.summary.unchanged_bound_ns);
            self.add(&format!("= {operations} unchanged, each \\|self Δ\\| ≤ {bound}\n\n"), LIMIT);
        }
        listed
    }

    fn finding_row(&self, index: usize, finding: &Finding) -> String {
        let name = finding.operation().map_or_else(|| "everything".into(), |it| self.name(&place(it), true));
        let share = finding.share.map_or("–".into(), signed_percent);
        format!(
            "| {} | {} | {name} | {} | {share} | {} | {} |\n",
            index + 1,
            mark_of(finding).glyph(),
            signed_duration(finding.contribution_ns),
            calls(finding.calls_per_trace.before, finding.calls_per_trace.after),
            self.sentence(&what(finding)),
        )
    }

    fn evidence(&mut self, diff: &Diff, listed: usize) {
        let mut left_out = 0;
        for (index, finding) in diff.findings.iter().enumerate().take(listed) {
            let block = self.evidence_of(index, finding);
            if !self.add(&block, EVIDENCE_LIMIT) {
                left_out += 1;
            }
        }
        if left_out > 0 {
            let findings = counted(left_out, "finding is", "findings are");
            self.add(&format!("⋯ the evidence of {findings} too long for a comment: see `--format json`\n\n"), LIMIT);
        }
    }

    fn evidence_of(&self, index: usize, finding: &Finding) -> String {
        let title = finding.operation().map_or_else(|| "everything".into(), place);
        // A summary line is HTML: the sentence escape keeps it text.
        let title = self.sentence(&title);
        let mut block = format!("<details><summary>{} {} {title}</summary>\n\n", index + 1, mark_of(finding).glyph());
        let mut item = |text: String| {
            let _ = writeln!(block, "- {text}");
        };
        item(format!("path {}", self.name(&details::path(&finding.path), false)));
        if let Some(from) = &finding.from_path {
            item(format!("from {}", self.name(&details::path(from), false)));
        }
        let times = details::times(finding);
        if !times.is_empty() {
            item(times);
        }
        item(format!("spans {}", details::spans(finding)));
        for text in finding.because.iter().take(12) {
            item(format!("because {}", self.sentence(text)));
        }
        for text in finding.evidence.iter().take(12) {
            item(self.sentence(text));
        }
        for attribute in finding.attributes.iter().take(12) {
            item(self.name(&details::attribute(attribute), false));
        }
        for event in finding.events.iter().take(12) {
            item(format!("event {}", self.name(&details::event(event), false)));
        }
        for effect in finding.effects.iter().take(12) {
            item(self.sentence(&words::effect(effect)));
        }
        for group in finding.instances.iter().take(12) {
            item(self.sentence(&words::instances(finding.kind, group)));
            for shared in words::shared(group) {
                item(self.sentence(&shared));
            }
        }
        for (word, text) in [("first seen", details::first_seen(finding)), ("accepted", details::accepted(finding))] {
            if let Some(text) = text {
                item(format!("{word} {}", self.sentence(&text)));
            }
        }
        let hidden: usize =
            [finding.because.len(), finding.evidence.len(), finding.attributes.len(), finding.events.len()]
                .map(|len| len.saturating_sub(12))
                .iter()
                .sum();
        if hidden > 0 {
            item(format!("⋯ {} more", count(hidden as u64)));
        }
        block.push_str("\n</details>\n\n");
        block
    }

    fn attribution(&mut self, diff: &Diff, entry: &EntryPoint) {
        self.attributed(diff, entry, &entry.attribution, "");
        self.attributed(diff, entry, &entry.tail, ", slowest 5 %");
    }

    fn attributed(&mut self, diff: &Diff, entry: &EntryPoint, rows: &[AttributionRow], of: &str) {
        let (Some(_), Some((rest, rows))) = (entry.delta_ns, rows.split_last()) else { return };
        let total = rows.iter().chain([rest]).map(|row| row.contribution_ns).fold(0, i64::saturating_add);
        let (shown, hidden) = rows.split_at(rows.len().min(25));
        let folded = hidden.iter().map(|row| row.contribution_ns).fold(0, i64::saturating_add);
        let mut values: Vec<i64> = shown.iter().map(|row| row.contribution_ns).collect();
        values.extend([folded, rest.contribution_ns]);
        let (numbers, total_number) = adding_up(&values, total);
        let hidden_label = format!("⋯ {}", counted(hidden.len() as u64, "more row", "more rows"));
        let labels = shown
            .iter()
            .map(|row| {
                let finding = row.finding.and_then(|index| diff.findings.get(index));
                let label = finding.and_then(Finding::operation).map_or_else(|| row.label.clone(), place);
                let rank = row.finding.map_or(String::new(), |index| (index + 1).to_string());
                (rank, self.name(&label, true))
            })
            .chain([(String::new(), hidden_label), (String::new(), self.sentence(&rest.label))]);
        let title = self.sentence(&place(&entry.operation));
        let mut block = format!("<details><summary>where the time went{of}: {title}</summary>\n\n");
        block.push_str("| # | what | Δ | share |\n|--:|---|--:|--:|\n");
        for (index, ((rank, label), (number, ns))) in labels.zip(numbers.iter().zip(&values)).enumerate() {
            if index == shown.len() && hidden.is_empty() {
                continue;
            }
            let share = if total == 0 { "–".into() } else { percent(*ns as f64 / total as f64) };
            let _ = writeln!(block, "| {rank} | {label} | {number} | {share} |");
        }
        let _ = writeln!(block, "| | **total** | **{total_number}** | |\n\n</details>\n");
        self.add(&block, LIMIT - 2_000);
    }

    fn notes(&mut self, diff: &Diff) {
        for note in diff.notes.iter().filter(|note| note.code != "one_trace_each").take(20) {
            let block = format!("- {}\n", self.sentence(&note.message));
            self.add(&block, LIMIT - 1_000);
        }
        let warned = [("before", &diff.inputs.before.warnings), ("after", &diff.inputs.after.warnings)];
        for (side, warnings) in warned {
            for (warning, counted) in warnings.iter() {
                let block = format!("- {side}: {} {}\n", count(counted.count), warning.explanation());
                self.add(&block, LIMIT - 500);
            }
        }
    }
}
