//! One trace of a side: from its opened sources to the spans of the trace.

use super::sides::Opening;
use crate::cli::args::Common;
use crate::cli::config::Settings;
use crate::cli::engine::{self, Batch, Choices, SelectError, Selection, SideInput, Sink, TracePrefix};
use crate::cli::error::Problem;
use crate::cli::inputs::Inputs;
use crate::cli::progress::Progress;
use crate::cli::reading::{Reader, hash_of_hashes, total_bytes};
use crate::diff::InputSide;
use crate::model::{Pair, Side, Symbols, TraceId, Warnings};
use crate::report::units::{count, counted, duration};
use std::sync::atomic::{AtomicBool, Ordering};

/// Traces that an error lists.
const LISTED: usize = 20;

/// Reads one trace of each side, both at the same time where threads allow it; `None` as soon as a side turns out to
/// hold several and nobody said which one. What is wrong on either side is told together.
pub fn read_both(
    sides: &Pair<&Opening>,
    wanted: Pair<Option<TracePrefix>>,
    settings: &Settings,
    common: &Common,
) -> Result<Option<Pair<SideInput>>, Vec<Problem>> {
    let inputs = sides.map(|side| &side.inputs);
    let bytes = total_bytes(inputs.before.sources.iter().chain(&inputs.after.sources));
    let progress = Progress::new(common.quiet, settings.gauge.as_ref(), bytes);
    let reader = Reader { settings, said: common.traces_said(), progress: &progress };
    let several = AtomicBool::new(false);
    let read = |side| read(sides, side, *wanted.get(side), reader, &several);
    let Pair { before, after } = engine::both(Pair::new(Side::Before, Side::After), settings.threads, read);
    if several.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match (before, after) {
        (Ok(before), Ok(after)) => Ok(Some(Pair::new(before, after))),
        (before, after) => Err(distinct([before.err(), after.err()])),
    }
}

/// The problems of both sides, which may be the same bad file.
pub fn distinct(problems: [Option<Vec<Problem>>; 2]) -> Vec<Problem> {
    let mut distinct: Vec<Problem> = Vec::new();
    for problem in problems.into_iter().flatten().flatten() {
        if !distinct.contains(&problem) {
            distinct.push(problem);
        }
    }
    distinct
}

/// Reads the trace that begins with `wanted`, or the only one; sets `several` and stops when there is no only one.
pub fn read(
    sides: &Pair<&Opening>,
    side: Side,
    wanted: Option<TracePrefix>,
    reader: Reader<'_>,
    several: &AtomicBool,
) -> Result<SideInput, Vec<Problem>> {
    let mine = sides.get(side);
    let mut sink = OnlyOne {
        selection: Selection::new(wanted, &reader.settings.limits),
        any: wanted.is_none(),
        first: None,
        several,
    };
    let sources: Vec<_> = mine.opened.iter().collect();
    let found = reader.read(&sources, &mut sink, Some(several))?;
    let (warnings, bytes) = (found.warnings(), found.bytes());
    let hashes: Vec<[u8; 32]> = found.sources.iter().map(|source| source.sha256).collect();
    let selected =
        sink.selection.finish(found.symbols).map_err(|error| vec![not_one(sides, side, error, &warnings)])?;
    let sha256 = hash_of_hashes(&hashes);
    let side = InputSide { sources: mine.names(), sha256, bytes, warnings, ..InputSide::default() };
    Ok(SideInput { selected, side, hashes })
}

/// Selects one trace, and notices when any would do and there are several.
struct OnlyOne<'a> {
    selection: Selection,
    any: bool,
    first: Option<TraceId>,
    several: &'a AtomicBool,
}

impl Sink for OnlyOne<'_> {
    fn batch(&mut self, batch: Batch, symbols: &Symbols) {
        if self.any {
            let first = self.first.or_else(|| batch.spans.first().map(|span| span.trace_id));
            self.first = first;
            if batch.spans.iter().any(|span| Some(span.trace_id) != first) {
                self.several.store(true, Ordering::Relaxed);
                return;
            }
        }
        self.selection.batch(batch, symbols);
    }
}

/// Why there is not one trace on a side, and how to choose one.
fn not_one(sides: &Pair<&Opening>, side: Side, error: SelectError, warnings: &Warnings) -> Problem {
    let name = side.name();
    let inputs = &sides.map(|side| &side.inputs);
    match error {
        SelectError::Empty => empty(&inputs.get(side).words, name, warnings),
        SelectError::Several(choices) => {
            let problem =
                Problem::new(format!("the {name} side holds {} traces, not one", count(choices.ids.len() as u64)));
            list(problem, inputs, side, &choices)
        }
        SelectError::Ambiguous { prefix, choices } => {
            let number = counted(choices.ids.len() as u64, "trace", "traces");
            let problem = Problem::new(format!("#{prefix} is not enough: {number} of the {name} side begin with it"));
            list(problem, inputs, side, &choices)
        }
        SelectError::Absent { prefix, choices } => {
            let problem = Problem::new(format!("no trace of the {name} side begins with #{prefix}"));
            list(problem, inputs, side, &choices)
        }
        SelectError::TooLarge { .. } => Problem::new(format!("the {name} side is too large"))
            .cause(error.to_string())
            .hint("if the data is what you expect, raise it: --limit trace_spans=N"),
    }
}

/// Why a side has no trace: what reading it found is the cause that people look for.
pub fn empty(words: &[String], name: &str, warnings: &Warnings) -> Problem {
    let words = words.join(", ");
    let mut problem = Problem::new(format!("the {name} side holds no trace: nothing to compare"))
        .cause(format!("no span that can be used in {words}"));
    for (warning, counted) in warnings.iter() {
        let first = if counted.example.is_empty() { String::new() } else { format!("; first: {}", counted.example) };
        let number = count(counted.count);
        problem = problem.cause(format!("{} {number}: {}{first}", warning.code(), warning.explanation()));
    }
    problem.hint("check that the traces pipeline wrote it; spandiff inspect shows what a file holds")
}

fn list(mut problem: Problem, inputs: &Pair<&Inputs>, side: Side, choices: &Choices) -> Problem {
    let mut traces: Vec<_> = choices.ids.iter().filter_map(|id| choices.catalog.get(*id)).collect();
    traces.sort_unstable_by_key(|trace| (trace.start_ns, trace.id));
    let digits = distinct_digits(&choices.ids);
    let prefix = |id: TraceId| shown_id(id).chars().take(digits).collect::<String>();
    for trace in traces.iter().take(LISTED) {
        problem = problem.item(format!(
            "#{}  {:>8}  {:>13}  {} ▸ {}",
            prefix(trace.id),
            duration(trace.duration_ns()),
            counted(trace.spans, "span", "spans"),
            choices.symbols.get(trace.service),
            choices.symbols.get(trace.name),
        ));
    }
    let more = traces.len().saturating_sub(LISTED);
    if more > 0 {
        problem = problem.item(format!("⋯ {} more: spandiff inspect lists them all", count(more as u64)));
    }
    let example = |which: Side| {
        let word = inputs.get(which).words.first().map_or("…", String::as_str);
        match traces.first() {
            Some(trace) if which == side => quoted(&format!("{}#{}", without_id(word), prefix(trace.id))),
            _ => quoted(word),
        }
    };
    problem.hint(format!("choose one: spandiff {} {}", example(Side::Before), example(Side::After)))
}

fn without_id(word: &str) -> &str {
    word.rsplit_once('#').map_or(word, |(place, _)| place)
}

/// Single quotes, so that no shell takes `#` or a blank for its own.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// An id as people see it elsewhere: ids of 64 bits without their leading zeros, as Jaeger and Zipkin print them.
pub fn shown_id(id: TraceId) -> String {
    let text = id.to_string();
    if id.0 >> 64 == 0 { text.chars().skip(16).collect() } else { text }
}

/// Hex digits that tell all ids apart, at least six.
pub fn distinct_digits(ids: &[TraceId]) -> usize {
    let mut sorted: Vec<String> = ids.iter().map(|id| shown_id(*id)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let shared = sorted.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()),
        _ => None,
    });
    shared.max().map_or(6, |shared| (shared + 1).clamp(6, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_where_they_differ() {
        let ids = |texts: &[&str]| -> Vec<TraceId> {
            texts.iter().map(|text| TraceId(u128::from_str_radix(text, 16).unwrap())).collect()
        };
        assert_eq!(distinct_digits(&[]), 6);
        assert_eq!(distinct_digits(&ids(&["a0000000000000000000000000000000"])), 6);
        let close = ["a0000000f0000000000000000000000a", "a0000000e0000000000000000000000a"];
        assert_eq!(distinct_digits(&ids(&close)), 9);
        assert_eq!(distinct_digits(&ids(&["1", "2"])), 16);
        assert_eq!(distinct_digits(&ids(&["8000000000000001", "a0000000000000000000000000000000"])), 6);
        assert_eq!(shown_id(TraceId(0xab)), "00000000000000ab");
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("a b#c"), "'a b#c'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(without_id("a.json#12"), "a.json");
    }
}
