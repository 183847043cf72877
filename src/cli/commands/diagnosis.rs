//! Why no trace is left on a side: which condition none meets, and what values there are instead.

use super::sides::{Origin, Sides};
use crate::cli::engine::{Condition, Division, TraceSink};
use crate::cli::error::Problem;
use crate::model::attributes::Attributes;
use crate::model::{Side, Symbols, Trace, Value, Warnings, semconv};
use crate::report::units::{count, counted};
use std::collections::BTreeMap;

/// Distinct values of a key, and entry points, that are remembered.
const REMEMBERED: usize = 1_000;
/// Of those, how many are shown.
const SHOWN: usize = 5;

/// What all traces of the inputs have.
pub struct Seen<'a> {
    traces: u64,
    conditions: Vec<Looked<'a>>,
    entries: BTreeMap<String, u64>,
    wanted_entries: &'a [String],
    /// Earliest and latest start of a trace, nanoseconds since 1970.
    starts: Option<(u64, u64)>,
}

struct Looked<'a> {
    flag: &'static str,
    condition: &'a Condition,
    key: String,
    met: u64,
    values: BTreeMap<String, u64>,
}

impl<'a> Seen<'a> {
    /// Nothing was looked at yet.
    pub fn new(sides: &'a Sides) -> Seen<'a> {
        let looked = |(flag, condition): &'a (&'static str, Condition)| Looked {
            flag,
            condition,
            key: key(condition),
            met: 0,
            values: BTreeMap::new(),
        };
        Seen {
            traces: 0,
            conditions: sides.flags.iter().map(looked).collect(),
            entries: BTreeMap::new(),
            wanted_entries: &sides.filter.entries,
            starts: None,
        }
    }

    /// Why a side is empty.
    pub fn explain(&self, side: Side, sides: &Sides) -> Problem {
        let name = side.name();
        let mut problem = Problem::new(format!("no trace is left on the {name} side: nothing to compare"));
        if self.traces == 0 {
            return problem.cause("the inputs hold no trace").hint("spandiff inspect shows what a file holds");
        }
        let number = counted(self.traces, "trace", "traces");
        let of_side = |flag: &str| flag == "--where" || flag == format!("--{name}-where");
        for looked in self.conditions.iter().filter(|looked| of_side(looked.flag)) {
            if looked.met > 0 {
                problem = problem.cause(format!("{} of {number} meet {}", count(looked.met), looked.shown()));
                continue;
            }
            problem = problem.cause(format!("none of {number} meets {}", looked.shown())).hint(looked.hint());
        }
        if !self.wanted_entries.is_empty() {
            let wanted = self.wanted_entries.join("` or `");
            problem = problem
                .cause(format!("--entry `{wanted}` was wanted"))
                .hint(format!("traces enter at {}", list(&self.entries)));
        }
        if let (Origin::Divided(_, Division::At { .. }), Some((first, last))) = (&sides.origin, self.starts) {
            let shown = |ns: u64| {
                jiff::Timestamp::from_nanosecond(i128::from(ns))
                    .map_or_else(|_| ns.to_string(), |time| format!("{time:.3}"))
            };
            problem = problem.cause(format!("{number} begin between {} and {}", shown(first), shown(last)));
        }
        problem
    }

    fn entries(&mut self, trace: &Trace) {
        for root in trace.roots() {
            let operation = trace.spans().get(root as usize).and_then(|span| trace.operations.get(span.operation));
            if let Some(operation) = operation {
                remember(&mut self.entries, operation.name.to_string());
            }
        }
    }
}

impl TraceSink for Seen<'_> {
    fn trace(&mut self, trace: &Trace, symbols: &Symbols, _warnings: &Warnings) {
        self.traces += 1;
        let start = trace.spans().iter().map(|span| span.start_ns).min().unwrap_or_default();
        let (first, last) = self.starts.unwrap_or((start, start));
        self.starts = Some((first.min(start), last.max(start)));
        self.entries(trace);
        for looked in &mut self.conditions {
            looked.met += u64::from(looked.condition.holds(trace, symbols));
            let resources = (0..trace.store.resources.len() as u32)
                .filter_map(|resource| trace.spans().iter().find(|span| span.resource == resource));
            for span in resources {
                looked.look(trace.store.resource_attributes(span));
            }
            for span in trace.spans() {
                looked.look(trace.store.attributes(span));
            }
        }
    }
}

impl Looked<'_> {
    fn shown(&self) -> String {
        format!("{} {}", self.flag, self.condition)
    }

    fn hint(&self) -> String {
        if self.values.is_empty() {
            return format!("no span has the attribute {}", self.key);
        }
        format!("values of {} are {}", self.key, list(&self.values))
    }

    fn look(&mut self, attributes: Attributes<'_>) {
        for (key, value) in attributes.undecoded() {
            if std::str::from_utf8(key).is_ok_and(|key| semconv::canonical_key(key) == self.key) {
                remember(&mut self.values, Value::decode(value).to_string());
            }
        }
    }
}

/// The key of a condition, as it is shown.
fn key(condition: &Condition) -> String {
    let text = condition.to_string();
    let left = text.split(['=', '~']).next().unwrap_or_default().trim_end_matches('!');
    left.split_once(':').map_or(left, |(_, key)| key).to_owned()
}

fn remember(seen: &mut BTreeMap<String, u64>, text: String) {
    if let Some(times) = seen.get_mut(&text) {
        *times += 1;
    } else if seen.len() < REMEMBERED {
        seen.insert(text, 1);
    }
}

/// The most frequent ones.
fn list(seen: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<(&String, &u64)> = seen.iter().collect();
    sorted.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    let mut shown: Vec<String> = sorted.iter().take(SHOWN).map(|(text, _)| format!("`{text}`")).collect();
    if sorted.len() > SHOWN {
        shown.push(format!("{} more", count((sorted.len() - SHOWN) as u64)));
    }
    shown.join(", ")
}
