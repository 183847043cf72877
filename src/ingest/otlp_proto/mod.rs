//! OTLP protobuf: a borrowed wire reader of our own.
//!
//! Why not prost: a span of two wire bytes becomes a structure of 264 bytes there, one string that is not UTF-8 costs
//! the whole request, and building every attribute takes most of the time. Here a span becomes one [`Span`] record;
//! its attributes, events and links stay where they are in the record's bytes, after `check` has looked at every
//! byte of them. What can be mended is mended into a copy behind the bytes (`rewrite`); what cannot be read costs
//! that span alone, counted.
//!
//! Decisions where OTLP leaves room: a parent id of wrong length is read as a number (see `check`); a span without a
//! start time starts at its end, one that ends before it starts ends at its start; times above `i64::MAX` are clamped
//! to it. The old `instrumentationLibrarySpans` (field 1000) are scope spans.

mod check;
mod encode;
mod names;
mod rewrite;
#[cfg(test)]
mod tests;
mod walk;

use super::{Batch, ReadReport};
use crate::model::attributes::{Attributes, Value, field};
use crate::model::wire::{Field, Fields};
use crate::model::{Body, Limits, NO_PARENT, OperationId, Resource, Scope, Span, SpanMarks, Symbol, Symbols, Warning};
use check::{Bounds, Checker, Head};
pub use encode::encode;
use names::NameCache;
use rewrite::{Message, Rewriter};
use std::collections::HashMap;
use std::ops::Range;
use walk::{Step, Walk};

/// Service name of spans whose sender gave none.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// The fewest bytes that a usable span takes on the wire: its tag and length, a trace id and a span id. Shorter ones are not
/// counted when room is reserved, so that a byte on the wire never reserves more than a few in memory.
const SHORTEST_SPAN: usize = 2 + 18 + 10;

/// Field numbers above the span.
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const LIBRARY_SPANS: u32 = 1000;
const SCOPE: u32 = 1;
const SPANS: u32 = 2;
const SCHEMA_URL: u32 = 3;

/// Decodes one whole `TracesData` / `ExportTraceServiceRequest` message. Never fails: what could not be used is
/// counted in `report` (warnings, lost bytes).
pub fn decode(bytes: Vec<u8>, limits: &Limits, symbols: &mut Symbols, report: &mut ReadReport) -> Batch {
    let mut decoder = Decoder::new(&bytes, limits, symbols, report);
    decoder.message(0..bytes.len(), false);
    decoder.finish().into_batch(bytes)
}

/// How many spans of a request are long enough to be usable, counted without looking into them: so many records of 100
/// bytes decoding it may take, whatever the request is.
pub fn count_usable_spans(message: &[u8]) -> u64 {
    let mut count = 0;
    let mut requests = Fields::new(message);
    while let Ok(Some((number, value))) = requests.next_field() {
        let (RESOURCE_SPANS, Field::Bytes(resource_spans)) = (number, value) else { continue };
        let mut resource_spans = Fields::new(resource_spans);
        while let Ok(Some((number, value))) = resource_spans.next_field() {
            let (SCOPE_SPANS | LIBRARY_SPANS, Field::Bytes(scope_spans)) = (number, value) else { continue };
            let mut scope_spans = Fields::new(scope_spans);
            while let Ok(Some((number, value))) = scope_spans.next_field() {
                if let (SPANS, Field::Bytes(span)) = (number, value) {
                    count += u64::from(span.len() + 2 >= SHORTEST_SPAN);
                }
            }
        }
    }
    count
}

/// Decodes several messages that lie in one buffer into one batch.
#[derive(Debug)]
pub(super) struct Decoder<'b, 'c> {
    bytes: &'b [u8],
    limits: &'c Limits,
    symbols: &'c mut Symbols,
    report: &'c mut ReadReport,
    checker: Checker,
    parts: Parts,
    resources: HashMap<&'b [u8], u32, foldhash::fast::RandomState>,
    scopes: HashMap<(&'b [u8], &'b [u8]), u32, foldhash::fast::RandomState>,
    names: NameCache<'b>,
    lost: u64,
}

/// What a decoder makes, without the bytes that it read.
#[derive(Debug, Default)]
pub(super) struct Parts {
    spans: Vec<Span>,
    resources: Vec<Resource>,
    scopes: Vec<Scope>,
    /// Mended messages, which belong behind the bytes.
    mended: Vec<u8>,
}

impl Parts {
    /// The batch, with the bytes that were decoded.
    pub fn into_batch(self, mut bytes: Vec<u8>) -> Batch {
        bytes.extend_from_slice(&self.mended);
        Batch { spans: self.spans, resources: self.resources, scopes: self.scopes, bytes }
    }
}

/// What became of the spans of one `ResourceSpans`.
#[derive(Default)]
struct Tally {
    used: u64,
    invalid: u64,
    foreign: u64,
    example: String,
}

impl<'b, 'c> Decoder<'b, 'c> {
    pub fn new(bytes: &'b [u8], limits: &'c Limits, symbols: &'c mut Symbols, report: &'c mut ReadReport) -> Self {
        Decoder {
            bytes,
            limits,
            symbols,
            report,
            checker: Checker::new(Bounds::new(limits)),
            parts: Parts::default(),
            resources: HashMap::default(),
            scopes: HashMap::default(),
            names: NameCache::new(),
            lost: 0,
        }
    }

    /// What was decoded.
    pub fn finish(self) -> Parts {
        self.parts
    }

    /// Decodes the message at `range`. `cut` says that it is the beginning of a longer one whose rest is missing:
    /// then the spans that are there as a whole are used, and bytes behind them are counted as a cut tail.
    pub fn message(&mut self, range: Range<usize>, cut: bool) {
        self.walk(range, cut);
        self.settle(cut);
    }

    /// Decodes what came of the message at `range` before it broke off, for a caller who counts what was lost.
    pub fn remains(&mut self, range: Range<usize>) {
        self.walk(range, true);
        self.lost = 0;
    }

    fn walk(&mut self, range: Range<usize>, cut: bool) {
        let Some(message) = self.bytes.get(range.clone()) else { return };
        self.reserve(message);
        let mut walk = Walk::new(message, range.start, cut);
        while let Some(step) = walk.next() {
            match step {
                Step::Field(RESOURCE_SPANS, Field::Bytes(payload)) => {
                    self.resource_spans(payload, walk.start_of(payload), false);
                }
                Step::Cut(RESOURCE_SPANS, payload) => {
                    walk.lost = 0;
                    self.resource_spans(payload, walk.end - payload.len(), true);
                }
                _ => {}
            }
        }
        self.lost += walk.lost as u64;
    }

    /// Decodes the `ResourceSpans` at `range`, as [`Decoder::message`] does with a whole message.
    pub fn record(&mut self, range: Range<usize>, cut: bool) {
        let Some(message) = self.bytes.get(range.clone()) else { return };
        self.parts.spans.reserve(count_spans(message));
        self.resource_spans(message, range.start, cut);
        self.settle(cut);
    }

    /// Makes room for the spans of a message in one step.
    fn reserve(&mut self, message: &[u8]) {
        let mut fields = Fields::new(message);
        let mut count = 0;
        while let Ok(Some((number, value))) = fields.next_field() {
            if let (RESOURCE_SPANS, Field::Bytes(payload)) = (number, value) {
                count += count_spans(payload);
            }
        }
        self.parts.spans.reserve(count);
    }

    /// Reports the bytes that were lost since the last time.
    fn settle(&mut self, cut: bool) {
        let lost = std::mem::take(&mut self.lost);
        self.report.bytes_lost += lost;
        if cut {
            self.report.warnings.add(Warning::TruncatedTail, lost);
        } else if lost > 0 {
            self.report.warnings.add_with(Warning::InvalidRecord, || format!("{lost} bytes are not protobuf"));
        }
    }

    fn resource_spans(&mut self, message: &'b [u8], start: usize, cut: bool) {
        // The resource may stand behind the spans: they get its number at the end.
        let first = self.parts.spans.len();
        let mut resource: (&[u8], usize) = (&[], start);
        let mut tally = Tally::default();
        let mut walk = Walk::new(message, start, cut);
        while let Some(step) = walk.next() {
            match step {
                Step::Field(RESOURCE, Field::Bytes(payload)) => resource = (payload, walk.start_of(payload)),
                Step::Field(SCOPE_SPANS | LIBRARY_SPANS, Field::Bytes(payload)) => {
                    self.scope_spans(payload, walk.start_of(payload), false, &mut tally);
                }
                Step::Cut(SCOPE_SPANS | LIBRARY_SPANS, payload) => {
                    walk.lost = 0;
                    self.scope_spans(payload, walk.end - payload.len(), true, &mut tally);
                }
                _ => {}
            }
        }
        self.lost += walk.lost as u64;
        let resource = self.resource(resource.0, resource.1);
        self.parts.spans.iter_mut().skip(first).for_each(|span| span.resource = resource);
        if tally.used == 0 && tally.foreign > 0 && tally.foreign == tally.invalid {
            self.report.warnings.add_with(Warning::NonTraceSignal, || tally.example);
        } else if tally.invalid > 0 {
            self.report.warnings.add_with(Warning::InvalidSpan, || tally.example);
            self.report.warnings.add(Warning::InvalidSpan, tally.invalid - 1);
        }
    }

    fn scope_spans(&mut self, message: &'b [u8], start: usize, cut: bool, tally: &mut Tally) {
        let mut scope: (&[u8], usize) = (&[], start);
        let mut schema_url: &[u8] = &[];
        let first = self.parts.spans.len();
        let mut walk = Walk::new(message, start, cut);
        while let Some(step) = walk.next() {
            match step {
                Step::Field(SPANS, Field::Bytes(payload)) => self.span(payload, walk.start_of(payload), tally),
                Step::Field(SCOPE, Field::Bytes(payload)) => scope = (payload, walk.start_of(payload)),
                Step::Field(SCHEMA_URL, Field::Bytes(payload)) => schema_url = payload,
                _ => {}
            }
        }
        let scope = self.scope(scope.0, scope.1, schema_url);
        self.parts.spans.iter_mut().skip(first).for_each(|span| span.scope = scope);
        self.lost += walk.lost as u64;
    }

    #[inline]
    fn span(&mut self, message: &'b [u8], start: usize, tally: &mut Tally) {
        self.checker.dirty = false;
        let head = match self.checker.span(message) {
            Ok(head) => head,
            Err(fault) => return refuse(message, start, fault, tally),
        };
        let (mut head, name, body) = if self.checker.dirty {
            let Some(mended) = self.mend_span(message, head) else {
                return refuse_large(start, tally);
            };
            mended
        } else {
            let body = Body { chunk: 0, start: start as u32, len: message.len() as u32 };
            (head, self.name(head.name), body)
        };
        self.repair_times(&mut head);
        if head.marks.has(SpanMarks::DROPPED) {
            self.report.warnings.add(Warning::DroppedBySender, 1);
        }
        tally.used += 1;
        self.report.spans += 1;
        self.parts.spans.push(Span {
            trace_id: head.trace_id,
            id: head.id,
            parent_id: head.parent_id,
            start_ns: head.start_ns,
            end_ns: head.end_ns,
            name,
            resource: 0,
            scope: 0,
            body,
            operation: OperationId::NONE,
            parent: NO_PARENT,
            kind: head.kind,
            status: head.status,
            marks: head.marks,
        });
    }

    #[cold]
    fn mend_span(&mut self, message: &'b [u8], mut head: Head<'b>) -> Option<(Head<'b>, Symbol, Body)> {
        let (body, left_out) = self.mend(Message::Span, message)?;
        if left_out {
            head.marks = head.marks.with(SpanMarks::DROPPED);
        }
        // Counted when the body was mended.
        let mut warnings = crate::model::Warnings::default();
        let mut rewriter = self.rewriter(&mut warnings);
        let name = rewriter.mended(head.name).into_owned();
        Some((head, self.intern(&name), body))
    }

    fn rewriter<'r>(&self, warnings: &'r mut crate::model::Warnings) -> Rewriter<'r> {
        Rewriter { bounds: self.checker.bounds, warnings, out: crate::model::wire::Writer::new(), left_out: false }
    }

    /// Puts a mended copy of a message behind the bytes; `None` when offsets would not fit any more.
    fn mend(&mut self, kind: Message, message: &[u8]) -> Option<(Body, bool)> {
        let mut warnings = std::mem::take(&mut self.report.warnings);
        let mut rewriter = self.rewriter(&mut warnings);
        rewriter.message(kind, message, self.checker.bounds.depth);
        let left_out = rewriter.left_out;
        let mended = rewriter.out.into_bytes();
        self.report.warnings = warnings;
        let start = u32::try_from(self.bytes.len() + self.parts.mended.len()).ok()?;
        let len = u32::try_from(mended.len()).ok()?;
        start.checked_add(len)?;
        self.parts.mended.extend_from_slice(&mended);
        Some((Body { chunk: 0, start, len }, left_out))
    }

    #[inline]
    fn repair_times(&mut self, head: &mut Head<'_>) {
        const LATEST: u64 = i64::MAX as u64;
        let no_start = head.start_ns == 0 && head.end_ns != 0;
        if head.start_ns > LATEST || head.end_ns > LATEST || no_start {
            head.end_ns = head.end_ns.min(LATEST);
            head.start_ns = if no_start { head.end_ns } else { head.start_ns.min(LATEST) };
            self.report.warnings.add(Warning::TimeOverflow, 1);
        }
        if head.end_ns < head.start_ns {
            head.end_ns = head.start_ns;
            self.report.warnings.add(Warning::NegativeDuration, 1);
        }
    }

    /// The symbol of a name that was checked.
    #[inline]
    fn name(&mut self, name: &'b [u8]) -> Symbol {
        if let Some(symbol) = self.names.get(name) {
            return symbol;
        }
        let symbol = self.intern(std::str::from_utf8(name).unwrap_or_default());
        self.names.put(name, symbol);
        symbol
    }

    fn intern(&mut self, text: &str) -> Symbol {
        if (self.symbols.len() as u64) < self.limits.symbols {
            return self.symbols.intern(text);
        }
        self.symbols.find(text).unwrap_or_else(|| {
            self.report.warnings.add_with(Warning::LimitReached, || format!("symbols: {text:.60?} is one too many"));
            Symbol::EMPTY
        })
    }

    /// The index of a resource, new or known.
    fn resource(&mut self, message: &'b [u8], start: usize) -> u32 {
        if let Some(&index) = self.resources.get(message) {
            return index;
        }
        let body = self.labelled(Message::Resource, message, start);
        let service = self.service(body);
        let index = self.parts.resources.len() as u32;
        self.parts.resources.push(Resource { service, body });
        self.resources.insert(message, index);
        index
    }

    /// The body of a resource or scope, mended if needed; empty when it cannot be read, which is counted.
    fn labelled(&mut self, kind: Message, message: &[u8], start: usize) -> Body {
        let (attributes, texts): (u32, &[u32]) = match kind {
            Message::Scope => (field::SCOPE_ATTRIBUTES, &[1, 2]),
            _ => (field::RESOURCE_ATTRIBUTES, &[]),
        };
        self.checker.dirty = false;
        if let Err(fault) = self.checker.labelled(message, attributes, texts) {
            self.report
                .warnings
                .add_with(Warning::InvalidRecord, || format!("resource or scope at byte {start}: {fault}"));
            return Body::default();
        }
        if self.checker.dirty {
            return self.mend(kind, message).map(|(body, _)| body).unwrap_or_default();
        }
        Body { chunk: 0, start: start as u32, len: message.len() as u32 }
    }

    /// The bytes of a body made by this decoder.
    fn packed(&self, body: Body) -> &[u8] {
        let (start, len) = (body.start as usize, body.len as usize);
        match start.checked_sub(self.bytes.len()) {
            Some(start) if len > 0 => self.parts.mended.get(start..start + len),
            _ => self.bytes.get(start..start + len),
        }
        .unwrap_or_default()
    }

    fn service(&mut self, body: Body) -> Symbol {
        let name = service_name(Attributes::of_message(self.packed(body), field::RESOURCE_ATTRIBUTES));
        self.intern(&name)
    }

    fn scope(&mut self, message: &'b [u8], start: usize, schema_url: &'b [u8]) -> u32 {
        if let Some(&index) = self.scopes.get(&(message, schema_url)) {
            return index;
        }
        let body = self.labelled(Message::Scope, message, start);
        let (mut name, mut version) = (String::new(), String::new());
        let mut fields = Fields::new(self.packed(body));
        while let Ok(Some((number, value))) = fields.next_field() {
            match (number, value) {
                (1, Field::Bytes(text)) => name = String::from_utf8_lossy(text).into_owned(),
                (2, Field::Bytes(text)) => version = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
        let (name, version) = (self.intern(&name), self.intern(&version));
        let mut warnings = std::mem::take(&mut self.report.warnings);
        let schema_text = self.rewriter(&mut warnings).mended(schema_url);
        self.report.warnings = warnings;
        let schema_url_symbol = self.intern(&schema_text);
        let index = self.parts.scopes.len() as u32;
        self.parts.scopes.push(Scope { name, version, schema_url: schema_url_symbol, body });
        self.scopes.insert((message, schema_url), index);
        index
    }
}

#[cold]
fn refuse(message: &[u8], start: usize, fault: check::Fault, tally: &mut Tally) {
    tally.invalid += 1;
    let signal = check::other_signal(message);
    tally.foreign += u64::from(signal.is_some());
    if tally.invalid == 1 {
        tally.example = match signal {
            Some(check::Signal::Metrics) => "OTLP metrics".to_owned(),
            Some(check::Signal::Logs) => "OTLP logs".to_owned(),
            None => format!("span at byte {start} of its block: {fault}"),
        };
    }
}

#[cold]
fn refuse_large(start: usize, tally: &mut Tally) {
    tally.invalid += 1;
    if tally.invalid == 1 {
        tally.example = format!("span at byte {start} of its block: too large to be mended");
    }
}

/// `service.namespace/service.name`, `service.name` alone, or [`UNKNOWN_SERVICE`]. Empty values count as absent.
pub fn service_name(attributes: Attributes<'_>) -> String {
    let (mut name, mut namespace) = (String::new(), String::new());
    for (key, value) in attributes {
        match key {
            "service.name" => name = plain(&value),
            "service.namespace" => namespace = plain(&value),
            _ => {}
        }
    }
    match (namespace.as_str(), name.as_str()) {
        (_, "") => UNKNOWN_SERVICE.to_owned(),
        ("", _) => name,
        _ => format!("{namespace}/{name}"),
    }
}

fn plain(value: &Value<'_>) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Spans that are counted before the rest is guessed from their length.
const COUNTED: usize = 64;

/// About how many spans of a `ResourceSpans` are long enough to be usable: all are counted if they are few.
fn count_spans(message: &[u8]) -> usize {
    let mut count = 0;
    let mut fields = Fields::new(message);
    while let Ok(Some((number, value))) = fields.next_field() {
        let (SCOPE_SPANS | LIBRARY_SPANS, Field::Bytes(payload)) = (number, value) else { continue };
        let mut inner = Fields::new(payload);
        while let Ok(Some((number, value))) = inner.next_field() {
            if let (SPANS, Field::Bytes(span)) = (number, value) {
                count += usize::from(span.len() + 2 >= SHORTEST_SPAN);
            }
            if count == COUNTED {
                let seen = message.len() - fields.rest().len() - inner.rest().len();
                return (count * message.len() / seen.max(1)).min(message.len() / SHORTEST_SPAN);
            }
        }
    }
    count
}
