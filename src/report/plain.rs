//! A report to be heard: for screen readers, braille displays and terminals that can only print lines.
//!
//! No columns, no boxes, no glyphs that are letters elsewhere: headings, one finding a paragraph, words for marks and
//! units. Everything stands in reading order and says how many of how many it is.

use super::Options;
use super::details;
use super::escape::visible;
use super::page::mark_of;
use super::population::words;
use super::text::{ONE_TRACE_EACH, entry_change, nothing_found, place, totals};
use super::units::{counted, duration, signed_duration, signed_percent};
use crate::diff::{Diff, Finding, Mark, Mode};
use std::io::{self, Write};

/// Writes the report.
pub fn plain(diff: &Diff, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    what(diff, out)?;
    for entry in &diff.entry_points {
        let (times, mark, change) = entry_change(entry);
        say(out, &format!("Entry point {}: {times}, {}, {change}.", place(&entry.operation), word(mark)))?;
    }
    say(out, &format!("Totals: {}.", totals(diff).replace("   ", ", ")))?;
    for reason in &diff.comparable.reasons {
        let word = if diff.comparable.ok { "Mind" } else { "Not comparable" };
        say(out, &format!("{word}: {}.", reason.message))?;
    }
    writeln!(out)?;
    let all = diff.findings.len() as u64 + diff.omitted.findings;
    if all == 0 {
        let words = if diff.mode == Mode::Pair { nothing_found(diff) } else { words::nothing_found(diff) };
        return say(out, &format!("No findings. {words}."));
    }
    say(out, &format!("{}.", counted(all, "finding", "findings")))?;
    for (index, finding) in diff.findings.iter().enumerate().take(options.list) {
        writeln!(out)?;
        told(index, all, finding, out)?;
    }
    let more = all.saturating_sub(options.list as u64);
    if more > 0 {
        writeln!(out)?;
        say(out, &format!("{} not read out; --max-findings says how many are.", counted(more, "finding", "findings")))?;
    }
    writeln!(out)?;
    rest(diff, out)
}

fn what(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    let (before, after) = (&diff.inputs.before, &diff.inputs.after);
    match diff.mode {
        Mode::Pair => say(out, &format!("Comparison of two traces. {ONE_TRACE_EACH}.")),
        Mode::Population => say(
            out,
            &format!(
                "Comparison of {} before with {} after.",
                counted(before.traces, "trace", "traces"),
                counted(after.traces, "trace", "traces")
            ),
        ),
    }
}

fn told(index: usize, all: u64, finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let name = finding.operation().map_or_else(|| "everything".to_owned(), place);
    let share = finding.share.map_or_else(String::new, |share| format!(", {} of the change", signed_percent(share)));
    say(
        out,
        &format!(
            "Finding {} of {all}. {}: {name}. {}. Contributes {}{share}. {}.",
            index + 1,
            capital(word(mark_of(finding))),
            finding.title,
            signed_duration(finding.contribution_ns),
            capital(finding.confidence.name())
        ),
    )?;
    let mut line = |label: &str, text: &str| say(out, &format!("{label}: {text}."));
    line("Path", &details::path(&finding.path))?;
    let times = details::times(finding);
    if !times.is_empty() {
        line("Time", &times)?;
    }
    line("Spans", &details::spans(finding))?;
    for because in &finding.because {
        line("Because", because)?;
    }
    for evidence in &finding.evidence {
        line("Evidence", evidence)?;
    }
    for effect in &finding.effects {
        line("Test", &words::effect(effect))?;
    }
    for group in &finding.instances {
        line("Instances", &words::instances(finding.kind, group))?;
    }
    for attribute in &finding.attributes {
        line("Attribute", &details::attribute(attribute))?;
    }
    if let Some(first) = details::first_seen(finding) {
        line("First seen", &first)?;
    }
    if let Some(accepted) = details::accepted(finding) {
        line("Accepted", &accepted)?;
    }
    Ok(())
}

fn rest(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    say(
        out,
        &format!(
            "{} unchanged, each within {}.",
            counted(diff.summary.unchanged_operations, "operation", "operations"),
            duration(diff.summary.unchanged_bound_ns)
        ),
    )?;
    for note in &diff.notes {
        say(out, &format!("Note: {}.", note.message))?;
    }
    Ok(())
}

const fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Worse => "takes more time",
        Mark::Better => "takes less time",
        Mark::Added => "only after",
        Mark::Removed => "only before",
        Mark::Failing => "newly failing",
        Mark::Recovered => "no longer failing",
        Mark::Changed => "changed",
        Mark::Similar => "other name or place",
        Mark::Equal => "equal",
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn say(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let line = spoken(&visible(text));
    writeln!(out, "{}", line.strip_suffix("..").map_or(line.clone(), |line| format!("{line}.")))
}

/// Units, signs and marks as words.
fn spoken(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(spoken_word).collect();
    words.join(" ").replace("  ", " ").replace(" ,", ",").replace(" .", ".")
}

fn spoken_word(word: &str) -> String {
    let end = word.len() - word.trim_end_matches([',', '.', ';', ':', ')']).len();
    let (core, tail) = word.split_at(word.len() - end);
    if let Some(inner) = core.strip_prefix(['(', '[']) {
        return format!("{}{}{tail}", core.get(..1).unwrap_or_default(), spoken_word(inner));
    }
    let unit = match core {
        "ns" => "nanoseconds",
        "µs" => "microseconds",
        "ms" => "milliseconds",
        "s" => "seconds",
        "%" => "percent",
        "→" => "to",
        "▸" => ", then",
        "—" => "nothing",
        "▲" => "takes more time",
        "▼" => "takes less time",
        "≤" => "at most",
        _ => {
            let signed = match core.chars().next() {
                Some('+') if core.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => core.replacen('+', "plus ", 1),
                Some('-') if core.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => core.replacen('-', "minus ", 1),
                Some('×') => core.replace("→×", " to ").replace('×', "times "),
                _ => core.to_owned(),
            };
            return format!("{signed}{tail}");
        }
    };
    format!("{unit}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_signs_are_words() {
        assert_eq!(
            spoken("1.46 s → 1.31 s, -145 ms (-10 %)."),
            "1.46 seconds to 1.31 seconds, minus 145 milliseconds (minus 10 percent)."
        );
        assert_eq!(spoken("calls ×1→×12"), "calls times 1 to 12");
        assert_eq!(spoken("shop ▸ GET"), "shop, then GET");
        assert_eq!(spoken("x-1 a+b"), "x-1 a+b");
    }
}
