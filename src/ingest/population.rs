//! All traces of a side, one at a time: assembled, identified and handed to a sink as soon as they are complete.
//!
//! Inputs are read in two passes where they can be read twice. A [`Census`] counts the spans of each trace over all
//! sources of the side; then an [`Assembler`] takes the same sources again and closes a trace when its last span came.
//! Traces whose spans lie in one batch are put together where they are; the spans of others are copied out and wait.
//! Without a census (a pipe) traces stay open to the end.
//!
//! What waits is bounded by `limits.open_bytes`: beyond it the traces that were idle longest are closed, and spans that
//! come later count as late.
//!
//! ```text
//! let mut census = Census::new(&limits);            // for each source: read(source, …, sink: &mut census)
//! let mut folder = Folder::new(&limits);
//! let mut assembler = Assembler::new(Some(census), &rules, &limits, &mut folder);
//! // for each source: read(source, …, sink: &mut assembler), all with one table of symbols
//! let summary = assembler.finish(&symbols);
//! let profile = folder.finish();
//! ```

use super::assemble::assemble;
use super::fold::Folder;
use super::gather::{Open, Run, Split, spans_of};
use super::identity::{Identifier, Ruled};
use super::{Batch, Rules, Sink};
use crate::model::{Limits, Span, SpanStore, Symbols, Trace, TraceId, Warning, Warnings};
use std::collections::HashMap;
use std::sync::Arc;

pub use super::census::Census;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Takes complete traces.
pub trait TraceSink {
    /// Takes one trace, assembled and identified. The numbers of its operations mean the same from trace to trace,
    /// unless the table was begun anew. Its symbols are those of `symbols` (its own table is empty), `warnings` what
    /// assembling it counted.
    fn trace(&mut self, trace: &Trace, symbols: &Symbols, warnings: &Warnings);
}

impl TraceSink for Folder {
    fn trace(&mut self, trace: &Trace, _symbols: &Symbols, warnings: &Warnings) {
        self.add(trace, warnings);
    }
}

/// What an assembler did besides handing on traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Traces that were handed on.
    pub traces: u64,
    /// Spans in them.
    pub spans: u64,
    /// What rules took out.
    pub ruled: Ruled,
    /// Spans that came too late or were over a limit. What assembling traces counted went with them.
    pub warnings: Warnings,
}

/// Puts the spans of a side together to traces.
pub struct Assembler<'a> {
    sink: &'a mut dyn TraceSink,
    identifier: Identifier<'a>,
    limits: Limits,
    counted: bool,
    /// Spans that are still to come, by trace; [`UNKNOWN`] for an open trace that nobody counted, 0 for a closed one.
    left: Map<TraceId, u32>,
    open: Map<TraceId, Waiting>,
    /// Bytes that open traces take, roughly.
    open_bytes: u64,
    batches: u64,
    split: Split,
    /// Memory for the spans of the next trace.
    spans: Vec<Span>,
    summary: Summary,
}

const UNKNOWN: u32 = u32::MAX;
/// What an open trace takes besides its spans, roughly, in bytes.
const OPEN_TRACE_BYTES: u64 = 512;

/// A trace of which more spans are to come, and the batch that brought its last ones.
#[derive(Default)]
struct Waiting {
    open: Open,
    touched: u64,
}

impl<'a> Assembler<'a> {
    /// Begins the second pass after a census of the same sources; or the only one.
    pub fn new(census: Option<Census>, rules: &'a Rules, limits: &Limits, sink: &'a mut dyn TraceSink) -> Self {
        Assembler {
            sink,
            identifier: Identifier::new(rules),
            limits: *limits,
            counted: census.is_some(),
            left: census.map(Census::finish).unwrap_or_default(),
            open: Map::default(),
            open_bytes: 0,
            batches: 0,
            split: Split::default(),
            spans: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Closes what is still open; `symbols` is the table of the sources.
    pub fn finish(mut self, symbols: &Symbols) -> Summary {
        let mut ids: Vec<TraceId> = self.open.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.close(id, symbols);
        }
        self.summary
    }

    /// How many spans of a trace may come; `None` with a warning when none may.
    fn expected(&mut self, id: TraceId, came: u32) -> Option<u32> {
        let has_room = (self.left.len() as u64) < self.limits.traces;
        let warning = match self.left.get(&id) {
            Some(0) => Warning::LateSpan,
            Some(&left) => return Some(left),
            None if !self.counted && has_room => {
                self.left.insert(id, UNKNOWN);
                return Some(UNKNOWN);
            }
            // Not in the census: over its limit, or the source has grown since.
            None if has_room => Warning::LateSpan,
            None => Warning::LimitReached,
        };
        self.summary.warnings.add(warning, u64::from(came));
        None
    }

    /// Takes the spans of one trace of a batch.
    fn part(&mut self, number: u32, runs: &[Run], batch: &Batch, bytes: &Arc<Vec<u8>>, symbols: &Symbols) {
        let Some(&id) = self.split.ids.get(number as usize) else { return };
        let came: u32 = runs.iter().map(|(_, begin, end)| end - begin).sum();
        let Some(left) = self.expected(id, came) else { return };
        let spans = spans_of(runs, batch);
        if left == came && !self.open.contains_key(&id) && u64::from(came) <= self.limits.trace_spans {
            self.left.insert(id, 0);
            let mut store = SpanStore { spans: std::mem::take(&mut self.spans), ..SpanStore::default() };
            for span in spans {
                let resource = self.split.resource(number, span.resource, || {
                    store.resources.extend(batch.resources.get(span.resource as usize));
                    store.resources.len() as u32 - 1
                });
                store.spans.push(Span { resource, scope: u32::MAX, ..*span });
            }
            store.chunks.push(Arc::clone(bytes));
            self.hand_on(id, store, symbols);
            return;
        }
        let Waiting { open, touched } = self.open.entry(id).or_insert_with(|| {
            self.open_bytes += OPEN_TRACE_BYTES;
            Waiting::default()
        });
        *touched = self.batches;
        for span in spans {
            let before = open.size();
            if !open.add(number, span, (batch, bytes), &mut self.split, &self.limits) {
                self.summary.warnings.add(Warning::LimitReached, 1);
            }
            self.open_bytes += open.size() - before;
        }
        if left != UNKNOWN {
            self.left.insert(id, left.saturating_sub(came));
        }
        if left <= came {
            self.close(id, symbols);
        }
    }

    /// Closes an open trace.
    fn close(&mut self, id: TraceId, symbols: &Symbols) {
        let Some(Waiting { open, .. }) = self.open.remove(&id) else { return };
        self.left.insert(id, 0);
        self.open_bytes = self.open_bytes.saturating_sub(open.size() + OPEN_TRACE_BYTES);
        self.hand_on(id, open.into_store(), symbols);
    }

    fn hand_on(&mut self, id: TraceId, store: SpanStore, symbols: &Symbols) {
        let mut warnings = Warnings::default();
        let mut trace = assemble(store, id, &mut warnings);
        let ruled = self.identifier.identify(&mut trace, symbols);
        self.summary.ruled.ignored += ruled.ignored;
        self.summary.ruled.folded += ruled.folded;
        self.summary.traces += 1;
        self.summary.spans += trace.len() as u64;
        self.sink.trace(&trace, symbols, &warnings);
        self.identifier.take_back(&mut trace);
        self.spans = std::mem::take(&mut trace.store.spans);
        self.spans.clear();
    }

    /// Closes the traces that were idle longest, until half of what may be open is left.
    fn close_idle(&mut self, symbols: &Symbols) {
        let mut idle: Vec<(u64, TraceId)> = self.open.iter().map(|(&id, waiting)| (waiting.touched, id)).collect();
        idle.sort_unstable();
        for (_, id) in idle {
            if self.open_bytes <= self.limits.open_bytes / 2 {
                return;
            }
            self.close(id, symbols);
        }
    }
}

impl Sink for Assembler<'_> {
    fn batch(&mut self, mut batch: Batch, symbols: &Symbols) {
        self.batches += 1;
        self.split.divide(&batch);
        let bytes = Arc::new(std::mem::take(&mut batch.bytes));
        let runs = std::mem::take(&mut self.split.runs);
        for runs in runs.chunk_by(|a, b| a.0 == b.0) {
            if let Some(&(number, ..)) = runs.first() {
                self.part(number, runs, &batch, &bytes, symbols);
            }
        }
        self.split.runs = runs;
        if self.open_bytes > self.limits.open_bytes {
            self.close_idle(symbols);
        }
    }
}
