//! The verdict for people: the answer, why, what to do next, then the comparison itself.

use super::words::{headline, next, shout};
use crate::diff::{Diff, Outcome, Reason, Verdict};
use crate::report::page::{Page, STRONG};
use crate::report::text::paragraph;
use crate::report::{Options, text as report};
use anstyle::{AnsiColor, Color, Effects, Style};
use std::io::{self, Write};

/// Reasons of each result that are shown.
const REASONS: usize = 12;

/// Writes the report.
pub(super) fn text(diff: &Diff, verdict: &Verdict, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(options);
    let word = page.paint(style(verdict.result), shout(verdict.result));
    writeln!(out, "{word}  {}", page.show(format!("{}   (exit code {})", headline(verdict), verdict.exit_code)))?;
    for (title, result) in [
        ("why it fails", Outcome::Fail),
        ("what could not be judged", Outcome::Inconclusive),
        ("warnings", Outcome::Warn),
    ] {
        reasons(title, verdict, result, &page, out)?;
    }
    lines("what to do next", &next(diff, verdict), &page, out)?;
    let rules: Vec<String> = verdict
        .rules
        .iter()
        .map(|rule| format!("{}: {} {}: {}, {}", rule.result.name(), rule.metric, rule.limit, rule.value, rule.matched))
        .collect();
    lines("limits", &rules, &page, out)?;
    reasons("good to know", verdict, Outcome::Pass, &page, out)?;
    writeln!(out)?;
    report::text(diff, options, out)
}

fn reasons(title: &str, verdict: &Verdict, result: Outcome, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let of: Vec<&Reason> = verdict.reasons.iter().filter(|reason| reason.result == result).collect();
    let mut shown: Vec<String> = of.iter().take(REASONS).map(|reason| line(reason)).collect();
    if of.len() > REASONS {
        shown.push(format!("⋯ {} more", of.len() - REASONS));
    }
    lines(title, &shown, page, out)
}

fn line(reason: &Reason) -> String {
    let finding = reason.finding.map_or(String::new(), |index| format!(" → finding {}", index + 1));
    format!("{}{finding}", reason.message)
}

fn lines(title: &str, lines: &[String], page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, title))?;
    for line in lines {
        paragraph(line, 2, Style::new(), page, out)?;
    }
    Ok(())
}

/// The style of a verdict; the word says the same.
const fn style(outcome: Outcome) -> Style {
    let color = match outcome {
        Outcome::Pass => AnsiColor::Green,
        Outcome::Warn => AnsiColor::Yellow,
        Outcome::Inconclusive => AnsiColor::Magenta,
        Outcome::Fail => AnsiColor::Red,
    };
    Style::new().effects(Effects::BOLD).fg_color(Some(Color::Ansi(color)))
}
