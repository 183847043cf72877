//! Sinks that decide what of a stream is kept: an overview of all traces, or the spans of one.

mod catalog;
mod keeper;

pub use catalog::{Catalog, EntryTotals, ServiceTotals, TraceSummary};

use super::{Batch, Sink};
use crate::model::{Limits, SpanStore, Symbols, TraceId, Warnings};
use keeper::Keeper;
use std::fmt;

/// A trace id or the beginning of one, in hex of either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracePrefix {
    digits: u32,
    value: u128,
}

impl TracePrefix {
    /// From 1 to 32 hex digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<TracePrefix> {
        let valid = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = valid.then(|| u128::from_str_radix(text, 16).ok())??;
        Some(TracePrefix { digits: text.len() as u32, value })
    }

    /// Whether `id` begins with this. Ids of 64 bits match in their short form too (16 digits instead of 32), as
    /// Jaeger and Zipkin print them.
    pub fn matches(self, id: TraceId) -> bool {
        let begins = |width: u32| self.digits <= width && id.0 >> (4 * (width - self.digits)) == self.value;
        begins(32) || (id.0 >> 64 == 0 && begins(16))
    }
}

impl fmt::Display for TracePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.value, width = self.digits as usize)
    }
}

/// Keeps the spans of exactly one trace of an input, in one pass.
///
/// Everything is catalogued. Spans are kept as long as one trace alone matches what is wanted; when a second one
/// turns up, the answer can only be the list of them, so what was kept is dropped and memory stays bounded.
#[derive(Debug)]
pub struct Selection {
    wanted: Option<TracePrefix>,
    limits: Limits,
    catalog: Catalog,
    kept: Keeper,
    chosen: Choice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Nothing,
    One(TraceId),
    Several,
}

/// One trace, and what else was in its input.
#[derive(Debug)]
pub struct Selected {
    /// Its id.
    pub trace_id: TraceId,
    /// Its spans with all that they refer to, and the symbols of the whole input.
    pub store: SpanStore,
    /// All traces of the input.
    pub catalog: Catalog,
    /// Limits that were reached while selecting.
    pub warnings: Warnings,
}

/// Why there is not exactly one trace.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// No span in the input.
    #[error("no trace in the input")]
    Empty,
    /// Several traces, and nothing says which one.
    #[error("{} traces in the input", .0.catalog.len())]
    Several(Box<Choices>),
    /// Several traces begin with what was wanted.
    #[error("{} traces begin with {prefix}", .choices.ids.len())]
    Ambiguous {
        /// What was wanted.
        prefix: TracePrefix,
        /// The traces that match.
        choices: Box<Choices>,
    },
    /// No trace begins with what was wanted.
    #[error("no trace begins with {prefix}")]
    Absent {
        /// What was wanted.
        prefix: TracePrefix,
        /// The traces that there are.
        choices: Box<Choices>,
    },
    /// The trace has more spans than the limit `trace_spans`.
    #[error("trace {trace_id} has {spans} spans, over the limit of {limit} (trace_spans)")]
    TooLarge {
        /// The trace.
        trace_id: TraceId,
        /// How many spans it has.
        spans: u64,
        /// The limit.
        limit: u64,
    },
}

/// The traces that can be chosen from.
#[derive(Debug)]
pub struct Choices {
    /// Their ids: those that match, or all of them; in the order of their first spans.
    pub ids: Vec<TraceId>,
    /// What is known about them.
    pub catalog: Catalog,
    /// The strings that the catalog's symbols stand for.
    pub symbols: Symbols,
}

impl Selection {
    /// Selects the trace that begins with `wanted`, or the only one.
    pub fn new(wanted: Option<TracePrefix>, limits: &Limits) -> Self {
        Selection {
            wanted,
            limits: *limits,
            catalog: Catalog::new(limits),
            kept: Keeper::default(),
            chosen: Choice::Nothing,
        }
    }

    /// What was seen so far.
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The one trace, with the symbols of the reader that filled this.
    ///
    /// # Errors
    /// When there is no such trace or more than one, with the candidates; when it is larger than its limit.
    pub fn finish(self, symbols: Symbols) -> Result<Selected, SelectError> {
        let Selection { wanted, limits, catalog, kept, chosen } = self;
        match (chosen, wanted) {
            (Choice::One(trace_id), _) => {
                if kept.over_limit > 0 {
                    let spans = limits.trace_spans + kept.over_limit;
                    return Err(SelectError::TooLarge { trace_id, spans, limit: limits.trace_spans });
                }
                let mut warnings = catalog.warnings();
                warnings.merge(&kept.warnings);
                Ok(Selected { trace_id, store: kept.finish(symbols), catalog, warnings })
            }
            _ if catalog.is_empty() => Err(SelectError::Empty),
            (_, None) => Err(SelectError::Several(choices(catalog, symbols, |_| true))),
            (Choice::Several, Some(prefix)) => {
                let choices = choices(catalog, symbols, |id| prefix.matches(id));
                Err(SelectError::Ambiguous { prefix, choices })
            }
            (Choice::Nothing, Some(prefix)) => {
                Err(SelectError::Absent { prefix, choices: choices(catalog, symbols, |_| true) })
            }
        }
    }

    fn choose(&mut self, id: TraceId) {
        let matches = self.wanted.is_none_or(|wanted| wanted.matches(id));
        match self.chosen {
            Choice::Nothing if matches => self.chosen = Choice::One(id),
            Choice::One(one) if matches && one != id => {
                self.chosen = Choice::Several;
                self.kept = Keeper::default();
            }
            _ => {}
        }
    }
}

fn choices(catalog: Catalog, symbols: Symbols, filter: impl Fn(TraceId) -> bool) -> Box<Choices> {
    let ids = catalog.traces().map(|summary| summary.id).filter(|id| filter(*id)).collect();
    Box::new(Choices { ids, catalog, symbols })
}

impl Sink for Selection {
    fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
        let mut last = None;
        for span in &batch.spans {
            if last != Some(span.trace_id) {
                last = Some(span.trace_id);
                self.choose(span.trace_id);
            }
        }
        self.catalog.add(&batch);
        if let Choice::One(id) = self.chosen {
            self.kept.keep(batch, id, &self.limits);
        }
    }
}

#[cfg(test)]
mod tests;
