//! Markdown for a pull-request comment or a step summary.
//!
//! It begins with a hidden marker, by which a job finds its own comment and updates it instead of adding another. The
//! verdict, the reasons and the limits come first; the comparison behind them is cut so that all fits a comment.

use super::words::{compared, headline, next, shout};
use crate::diff::{Diff, Outcome, Verdict};
use crate::report::Options;
use crate::report::escape::{markdown as sentence, markdown_code as code, visible};
use crate::report::markdown::report;
use crate::report::page::Page;
use std::fmt::Write as _;
use std::io::{self, Write};

/// By which a job finds its comment.
const MARKER: &str = "<!-- spandiff-gate -->";
/// Bytes of the part that says why.
const REASONS_LIMIT: usize = 16_000;
/// Columns of a sentence.
const SENTENCE: usize = 500;

/// Writes the comment.
pub(super) fn markdown(diff: &Diff, verdict: &Verdict, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(&Options::default());
    let said = |text: &str| sentence(&page.shorten(&visible(text), SENTENCE));
    let glyph = match verdict.result {
        Outcome::Pass => "✅",
        Outcome::Warn => "⚠️",
        Outcome::Inconclusive => "❔",
        Outcome::Fail => "❌",
    };
    let result = shout(verdict.result);
    let mut text = format!("{MARKER}\n## {glyph} spandiff gate: {result}\n\n");
    let _ = writeln!(text, "{} · {}\n", said(&headline(verdict)), said(&compared(diff)));
    let mut hidden = 0usize;
    for reason in &verdict.reasons {
        let finding = reason.finding.map_or(String::new(), |index| format!(" (finding {})", index + 1));
        let word = if reason.result == Outcome::Pass { "note" } else { reason.result.name() };
        let line = format!("- **{word}**: {}{finding}\n", said(&reason.message));
        if text.len() + line.len() > REASONS_LIMIT {
            hidden += 1;
        } else {
            text.push_str(&line);
        }
    }
    if hidden > 0 {
        let _ = writeln!(text, "- ⋯ {hidden} more");
    }
    for line in next(diff, verdict) {
        let _ = writeln!(text, "\n**Next**: {}", said(&line));
    }
    text.push('\n');
    limits(verdict, &page, &mut text);
    report(diff, options, text, out)
}

fn limits(verdict: &Verdict, page: &Page, text: &mut String) {
    if verdict.rules.is_empty() {
        return;
    }
    text.push_str("| limit | of | value | result |\n|---|---|---|---|\n");
    for rule in verdict.rules.iter().take(40) {
        let cell = |text: &str| code(&page.shorten(&visible(text), 120), true);
        let limit = cell(&format!("{} {}", rule.metric, rule.limit));
        let _ =
            writeln!(text, "| {limit} | {} | {} | {} |", cell(&rule.matched), cell(&rule.value), rule.result.name());
    }
    let hidden = verdict.rules.len().saturating_sub(40);
    if hidden > 0 {
        let _ = writeln!(text, "| ⋯ {hidden} more | | | |");
    }
    text.push('\n');
}
