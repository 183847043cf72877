//! The overview of an input: every trace in a few words, totals by service and entry point.

use crate::ingest::{Batch, Sink};
use crate::model::{Limits, Span, Status, Symbol, Symbols, TraceId, Warning, Warnings};
use indexmap::IndexMap;
use std::collections::HashMap;

/// One trace in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceSummary {
    /// Its id.
    pub id: TraceId,
    /// Spans.
    pub spans: u64,
    /// Spans with an error status.
    pub errors: u64,
    /// The earliest start, nanoseconds since 1970.
    pub start_ns: u64,
    /// The latest end, nanoseconds since 1970.
    pub end_ns: u64,
    /// Service of the entry point: the earliest root, or the earliest span of a trace without one.
    pub service: Symbol,
    /// Display name of the entry point.
    pub name: Symbol,
    /// Whether the trace has a root.
    pub has_root: bool,
    /// Start of the span that names the entry point.
    entry_start_ns: u64,
}

impl TraceSummary {
    /// From the earliest start to the latest end.
    pub const fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// What a service has in an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTotals {
    /// Spans.
    pub spans: u64,
    /// Spans with an error status.
    pub errors: u64,
}

/// What an entry point has in an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTotals {
    /// Traces that begin there.
    pub traces: u64,
    /// Spans of those traces.
    pub spans: u64,
    /// Of those traces, how many have an error anywhere.
    pub with_errors: u64,
}

/// All traces of an input. Costs about a hundred bytes a trace and nothing a span.
#[derive(Clone, Debug)]
pub struct Catalog {
    most: usize,
    traces: IndexMap<TraceId, TraceSummary, foldhash::fast::RandomState>,
    services: HashMap<Symbol, ServiceTotals, foldhash::fast::RandomState>,
    /// Spans of traces beyond the limit.
    left_out: u64,
}

impl Catalog {
    /// An empty catalog, bounded by `limits.traces`.
    pub fn new(limits: &Limits) -> Self {
        Catalog { most: limits.traces as usize, traces: IndexMap::default(), services: HashMap::default(), left_out: 0 }
    }

    /// How many traces there are.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// The traces in the order of their first spans in the input.
    pub fn traces(&self) -> impl Iterator<Item = &TraceSummary> {
        self.traces.values()
    }

    /// One trace.
    pub fn get(&self, id: TraceId) -> Option<&TraceSummary> {
        self.traces.get(&id)
    }

    /// All spans that were catalogued.
    pub fn spans(&self) -> u64 {
        self.traces.values().map(|summary| summary.spans).sum()
    }

    /// The earliest start and the latest end of all; `None` without spans.
    pub fn time_range(&self) -> Option<(u64, u64)> {
        let start = self.traces.values().map(|summary| summary.start_ns).min()?;
        let end = self.traces.values().map(|summary| summary.end_ns).max()?;
        Some((start, end))
    }

    /// Totals of each service, by name.
    pub fn services<'s>(&self, symbols: &'s Symbols) -> Vec<(&'s str, ServiceTotals)> {
        let mut services: Vec<_> =
            self.services.iter().map(|(&service, &totals)| (symbols.get(service), totals)).collect();
        services.sort_unstable_by_key(|(service, _)| *service);
        services
    }

    /// Totals of each entry point (service, name), by their names.
    pub fn entry_points<'s>(&self, symbols: &'s Symbols) -> Vec<((&'s str, &'s str), EntryTotals)> {
        let mut totals: HashMap<(Symbol, Symbol), EntryTotals, foldhash::fast::RandomState> = HashMap::default();
        for summary in self.traces.values() {
            let entry = totals.entry((summary.service, summary.name)).or_default();
            entry.traces += 1;
            entry.spans += summary.spans;
            entry.with_errors += u64::from(summary.errors > 0);
        }
        let mut entries: Vec<_> = totals
            .into_iter()
            .map(|((service, name), totals)| ((symbols.get(service), symbols.get(name)), totals))
            .collect();
        entries.sort_unstable_by_key(|(names, _)| *names);
        entries
    }

    /// What the limits left out.
    pub fn warnings(&self) -> Warnings {
        let mut warnings = Warnings::default();
        warnings.add(Warning::LimitReached, self.left_out);
        warnings
    }

    /// Adds the spans of a batch. Spans of one trace tend to stand together, which costs one look-up for all of them.
    pub fn add(&mut self, batch: &Batch) {
        let services: Vec<Symbol> = batch.resources.iter().map(|resource| resource.service).collect();
        let mut totals = vec![ServiceTotals::default(); services.len()];
        let mut last: Option<(TraceId, usize)> = None;
        for span in &batch.spans {
            let error = u64::from(span.status == Status::Error);
            if let Some(totals) = totals.get_mut(span.resource as usize) {
                totals.spans += 1;
                totals.errors += error;
            }
            let service = services.get(span.resource as usize).copied().unwrap_or(Symbol::EMPTY);
            let index = match last {
                Some((id, index)) if id == span.trace_id => index,
                _ => {
                    let Some(index) = self.slot(span, service) else {
                        self.left_out += 1;
                        continue;
                    };
                    index
                }
            };
            last = Some((span.trace_id, index));
            if let Some((_, summary)) = self.traces.get_index_mut(index) {
                summary.add(span, service);
            }
        }
        for (service, totals) in services.into_iter().zip(totals) {
            let all = self.services.entry(service).or_default();
            all.spans += totals.spans;
            all.errors += totals.errors;
        }
    }

    fn slot(&mut self, span: &Span, service: Symbol) -> Option<usize> {
        if let Some(index) = self.traces.get_index_of(&span.trace_id) {
            return Some(index);
        }
        if self.traces.len() >= self.most {
            return None;
        }
        Some(self.traces.insert_full(span.trace_id, TraceSummary::begun(span, service)).0)
    }
}

impl TraceSummary {
    fn begun(span: &Span, service: Symbol) -> Self {
        TraceSummary {
            id: span.trace_id,
            spans: 0,
            errors: 0,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            service,
            name: span.name,
            has_root: span.parent_id.is_none(),
            entry_start_ns: span.start_ns,
        }
    }

    fn add(&mut self, span: &Span, service: Symbol) {
        self.spans += 1;
        self.errors += u64::from(span.status == Status::Error);
        self.start_ns = self.start_ns.min(span.start_ns);
        self.end_ns = self.end_ns.max(span.end_ns);
        let is_root = span.parent_id.is_none();
        let better = match (is_root, self.has_root) {
            (true, false) => true,
            (false, true) => false,
            _ => span.start_ns < self.entry_start_ns,
        };
        if better {
            self.has_root = is_root;
            self.entry_start_ns = span.start_ns;
            self.service = service;
            self.name = span.name;
        }
    }
}

impl Sink for Catalog {
    fn batch(&mut self, batch: Batch, _symbols: &Symbols) {
        self.add(&batch);
    }
}
