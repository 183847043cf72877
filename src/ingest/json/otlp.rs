//! OTLP/JSON and its relatives: Tempo and Grafana (`batches`, base64 ids, enum names), Jaeger API v3 (`result`).
//!
//! As lenient as protojson asks for and a little more: every key may be missing, `null`, in any order, quoted or
//! not; `snake_case` keys, which the specification forbids, are read and counted, since the alternative would be a
//! file with silently no spans. Of a repeated key the last one wins.

use super::ids::{self, Id};
use super::reader::{Reader, parent_marks, status_of};
use super::record::{Draft, ScopeDraft};
use super::tokens::Read;
use crate::model::attributes::field;
use crate::model::wire::Open;
use crate::model::{Kind, Span, Status, Warning};
use std::borrow::Cow;
use std::ops::Range;

/// What a document held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals {
    /// It had a place for traces.
    pub(super) traces: bool,
    /// It had metrics, logs or profiles.
    pub(super) other: bool,
    /// It used Tempo's name for resource spans.
    pub(super) batches: bool,
}

/// The items of list keys in one object, so that a repeated key replaces what it gave before.
struct Lists<const N: usize>([Option<Range<usize>>; N]);

impl<const N: usize> Lists<N> {
    const fn new() -> Self {
        Lists([const { None }; N])
    }

    /// Forgets the spans that the key gave before.
    fn begin(&mut self, key: usize, spans: &mut Vec<Span>) -> usize {
        if let Some(before) = self.0.get_mut(key).and_then(Option::take)
            && before.end <= spans.len()
        {
            spans.drain(before);
        }
        spans.len()
    }

    fn end(&mut self, key: usize, from: usize, spans: &[Span]) {
        if let Some(slot) = self.0.get_mut(key) {
            *slot = Some(from..spans.len());
        }
    }
}

/// The list fields of a span that was begun: where they lie in the packed bytes.
type Written = [Option<Range<usize>>; 3];

impl<'a> Reader<'a, '_> {
    /// A `TracesData` or one of its wrappings, at the cursor.
    pub(super) fn traces(&mut self, signals: &mut Signals) -> Read<()> {
        self.traces_data(signals, true)
    }

    fn traces_data(&mut self, signals: &mut Signals, may_wrap: bool) -> Read<()> {
        let mut lists = Lists::<3>::new();
        self.fields(|reader, key| {
            let list = match key {
                "resourceSpans" => 0,
                "resource_spans" => 1,
                "batches" => 2,
                "trace" | "result" if may_wrap && reader.cursor.peek() == b'{' => {
                    signals.traces = true;
                    return reader.traces_data(signals, false);
                }
                "status" => return reader.trace_status(),
                _ => {
                    signals.other |= is_other_signal(key);
                    return reader.cursor.skip();
                }
            };
            signals.traces = true;
            signals.batches |= list == 2;
            reader.record.snake_case |= list == 1;
            let from = lists.begin(list, &mut reader.record.spans);
            reader.each(Self::resource_spans)?;
            lists.end(list, from, &reader.record.spans);
            Ok(())
        })
    }

    /// Tempo's `status` beside a trace.
    fn trace_status(&mut self) -> Read<()> {
        if matches!(self.cursor.peek(), b'{' | b'[') {
            return self.cursor.skip();
        }
        if matches!(&*self.lenient_text()?, "PARTIAL" | "1") {
            self.record.warnings.add(Warning::PartialTrace, 1);
        }
        Ok(())
    }

    fn resource_spans(&mut self) -> Read<()> {
        let from = self.record.spans.len();
        let mut resource = None;
        let mut lists = Lists::<4>::new();
        self.fields(|reader, key| {
            let list = match key {
                "scopeSpans" => 0,
                "scope_spans" => 1,
                "instrumentationLibrarySpans" => 2,
                "instrumentation_library_spans" => 3,
                "resource" => {
                    resource = Some(reader.resource()?);
                    return Ok(());
                }
                _ => return reader.cursor.skip(),
            };
            reader.record.snake_case |= list % 2 == 1;
            let start = lists.begin(list, &mut reader.record.spans);
            reader.each(Self::scope_spans)?;
            lists.end(list, start, &reader.record.spans);
            Ok(())
        })?;
        if self.record.spans.len() > from {
            let start = self.record.packer.len();
            let resource = resource.unwrap_or_else(|| self.record.resource(start));
            self.record.assign_resource(from, resource);
        }
        Ok(())
    }

    fn resource(&mut self) -> Read<u32> {
        let start = self.record.packer.len();
        self.fields(|reader, key| match key {
            "attributes" => {
                // A repeated key replaces what stood here before.
                reader.record.packer.writer().truncate(start);
                reader.attributes(field::RESOURCE_ATTRIBUTES)
            }
            "droppedAttributesCount" | "dropped_attributes_count" => {
                let count = reader.count()?;
                reader.dropped(2, count);
                Ok(())
            }
            _ => reader.cursor.skip(),
        })?;
        Ok(self.record.resource(start))
    }

    fn scope_spans(&mut self) -> Read<()> {
        let from = self.record.spans.len();
        let mut scope = ScopeDraft::default();
        let mut spans = Lists::<1>::new();
        self.fields(|reader, key| match key {
            "spans" => {
                let start = spans.begin(0, &mut reader.record.spans);
                reader.each(|reader| reader.guarded(Self::span, |_, ()| Ok(())))?;
                spans.end(0, start, &reader.record.spans);
                Ok(())
            }
            "scope" | "instrumentationLibrary" | "instrumentation_library" => {
                reader.record.snake_case |= key == "instrumentation_library";
                let schema_url = scope.schema_url;
                scope = ScopeDraft { schema_url, ..reader.scope()? };
                Ok(())
            }
            "schemaUrl" | "schema_url" => {
                let url = reader.text()?;
                scope.schema_url = reader.record.intern(&url);
                Ok(())
            }
            _ => reader.cursor.skip(),
        })?;
        if self.record.spans.len() > from {
            let scope = self.record.scope(&scope);
            self.record.assign_scope(from, scope);
        }
        Ok(())
    }

    fn scope(&mut self) -> Read<ScopeDraft> {
        let start = self.record.packer.len();
        let (mut name, mut version) = (Cow::Borrowed(""), Cow::Borrowed(""));
        self.fields(|reader, key| match key {
            "name" => reader.text().map(|text| name = text),
            "version" => reader.text().map(|text| version = text),
            "attributes" => {
                reader.record.packer.writer().truncate(start);
                reader.attributes(field::SCOPE_ATTRIBUTES)
            }
            "droppedAttributesCount" | "dropped_attributes_count" => {
                let count = reader.count()?;
                reader.dropped(4, count);
                Ok(())
            }
            _ => reader.cursor.skip(),
        })?;
        let writer = self.record.packer.writer();
        for (number, text) in [(1, &name), (2, &version)] {
            if !text.is_empty() {
                writer.bytes_field(number, text.as_bytes());
            }
        }
        let body = start..writer.len();
        let (name, version) = (self.record.intern(&name), self.record.intern(&version));
        Ok(ScopeDraft { name, version, body, ..ScopeDraft::default() })
    }

    fn dropped(&mut self, number: u32, count: u32) {
        if count > 0 {
            self.record.packer.writer().varint(number, u64::from(count));
        }
    }

    fn span(&mut self) -> Read<(Draft<'a>, ())> {
        let mut draft = Draft { start: self.record.packer.len(), ..Draft::default() };
        let mut written: Written = [const { None }; 3];
        self.fields(|reader, key| {
            match key {
                "traceId" => draft.trace_id = reader.trace_id()?,
                "spanId" => draft.id = reader.span_id()?,
                "parentSpanId" => draft.parent_id = reader.parent_id()?,
                "name" => draft.name = reader.cursor.string()?,
                "kind" => draft.kind = reader.kind()?,
                "startTimeUnixNano" => draft.start_ns = reader.cursor.integer()?,
                "endTimeUnixNano" => draft.end_ns = reader.cursor.integer()?,
                "attributes" => reader.list(&mut written, 0, |reader| reader.attributes(field::SPAN_ATTRIBUTES))?,
                "status" => (draft.status, draft.status_message) = reader.status()?,
                "events" => reader.list(&mut written, 1, Self::events)?,
                "links" => reader.list(&mut written, 2, Self::links)?,
                "flags" => {
                    draft.flags = reader.count()?;
                    draft.marks = parent_marks(draft.flags);
                }
                "traceState" => draft.trace_state = reader.text()?,
                "droppedAttributesCount" => draft.dropped[0] = reader.count()?,
                "droppedEventsCount" => draft.dropped[1] = reader.count()?,
                "droppedLinksCount" => draft.dropped[2] = reader.count()?,
                _ => return reader.snake_case_field(key, &mut draft),
            }
            Ok(())
        })?;
        Ok((draft, ()))
    }

    /// The keys of a span in the form that OTLP/JSON does not allow. Unknown ones are passed over.
    #[cold]
    fn snake_case_field(&mut self, key: &str, draft: &mut Draft<'a>) -> Read<()> {
        match key {
            "trace_id" => draft.trace_id = self.trace_id()?,
            "span_id" => draft.id = self.span_id()?,
            "parent_span_id" => draft.parent_id = self.parent_id()?,
            "start_time_unix_nano" => draft.start_ns = self.cursor.integer()?,
            "end_time_unix_nano" => draft.end_ns = self.cursor.integer()?,
            "trace_state" => draft.trace_state = self.text()?,
            "dropped_attributes_count" => draft.dropped[0] = self.count()?,
            "dropped_events_count" => draft.dropped[1] = self.count()?,
            "dropped_links_count" => draft.dropped[2] = self.count()?,
            _ => return self.cursor.skip(),
        }
        self.record.snake_case = true;
        Ok(())
    }

    /// Reads a list field of a span; what the same key gave before is taken out.
    #[inline]
    fn list(&mut self, written: &mut Written, index: usize, read: impl FnOnce(&mut Self) -> Read<()>) -> Read<()> {
        if let Some(before) = written.get_mut(index).and_then(Option::take) {
            self.take_out(written, &before);
        }
        let start = self.record.packer.len();
        read(self)?;
        if let Some(slot) = written.get_mut(index) {
            *slot = Some(start..self.record.packer.len());
        }
        Ok(())
    }

    #[cold]
    fn take_out(&mut self, written: &mut Written, before: &Range<usize>) {
        let writer = self.record.packer.writer();
        let tail = writer.bytes().get(before.end..).unwrap_or_default().to_vec();
        writer.truncate(before.start);
        writer.raw(&tail);
        for range in written.iter_mut().flatten().filter(|range| range.start >= before.end) {
            *range = range.start - before.len()..range.end - before.len();
        }
    }

    fn trace_id(&mut self) -> Read<Option<crate::model::TraceId>> {
        let text = self.cursor.string()?;
        let id = ids::otlp_trace_id(&text);
        self.record.base64_ids |= matches!(id, Id::Base64(_));
        Ok(id.valid())
    }

    fn span_id(&mut self) -> Read<Option<crate::model::SpanId>> {
        let text = self.cursor.string()?;
        Ok(ids::otlp_span_id(&text).valid())
    }

    fn parent_id(&mut self) -> Read<crate::model::SpanId> {
        let text = self.cursor.string()?;
        Ok(ids::parent(&text, ids::otlp_span_id(&text)))
    }

    /// A kind as a number, a quoted number or a name.
    fn kind(&mut self) -> Read<Kind> {
        if self.cursor.peek() != b'"' {
            return Ok(Kind::from_otlp(u64::try_from(self.cursor.integer()?).unwrap_or(0)));
        }
        Ok(kind_of(&self.cursor.string()?))
    }

    fn status(&mut self) -> Read<(Status, Cow<'a, str>)> {
        let (mut status, mut message) = (Status::Unset, Cow::Borrowed(""));
        self.fields(|reader, key| match key {
            "code" => reader.lenient_text().map(|text| status = status_of(&text)),
            "message" => reader.text().map(|text| message = text),
            _ => reader.cursor.skip(),
        })?;
        Ok((status, message))
    }

    fn events(&mut self) -> Read<()> {
        self.each_within(self.record.limits.events, Self::event)
    }

    fn event(&mut self) -> Read<()> {
        let open = self.record.packer.writer().begin(field::SPAN_EVENTS);
        let start = self.record.packer.len();
        let (mut time, mut name, mut dropped) = (0, Cow::Borrowed(""), 0);
        self.fields(|reader, key| match key {
            "timeUnixNano" => reader.cursor.integer().map(|ns| time = ns),
            "name" => reader.text().map(|text| name = text),
            "attributes" => {
                reader.record.packer.writer().truncate(start);
                reader.attributes(field::EVENT_ATTRIBUTES)
            }
            "droppedAttributesCount" => reader.count().map(|count| dropped = count),
            "time_unix_nano" => {
                reader.record.snake_case = true;
                reader.cursor.integer().map(|ns| time = ns)
            }
            _ => reader.cursor.skip(),
        })?;
        self.record.end_event(open, time, &name, dropped);
        Ok(())
    }

    fn links(&mut self) -> Read<()> {
        self.each_within(self.record.limits.links, Self::link)
    }

    fn link(&mut self) -> Read<()> {
        let open: Open = self.record.packer.writer().begin(field::SPAN_LINKS);
        let start = self.record.packer.len();
        let (mut trace_id, mut span_id, mut state, mut flags) = (None, None, Cow::Borrowed(""), 0);
        self.fields(|reader, key| {
            match key {
                "traceId" | "trace_id" => trace_id = reader.trace_id()?,
                "spanId" | "span_id" => span_id = reader.span_id()?,
                "traceState" | "trace_state" => state = reader.text()?,
                "flags" => flags = reader.count()?,
                "attributes" => {
                    reader.record.packer.writer().truncate(start);
                    reader.attributes(field::LINK_ATTRIBUTES)?;
                }
                _ => return reader.cursor.skip(),
            }
            reader.record.snake_case |= key.contains('_');
            Ok(())
        })?;
        let writer = self.record.packer.writer();
        if !state.is_empty() {
            writer.bytes_field(3, state.as_bytes());
        }
        if flags != 0 {
            writer.fixed32(6, flags);
        }
        self.record.end_link(open, trace_id, span_id);
        Ok(())
    }
}

/// Whether a key of a document's top level belongs to metrics, logs or profiles.
pub(super) fn is_other_signal(key: &str) -> bool {
    matches!(
        key,
        "resourceMetrics"
            | "resourceLogs"
            | "resourceProfiles"
            | "resource_metrics"
            | "resource_logs"
            | "resource_profiles"
    )
}

/// A span kind by number or by name, with or without its prefix, in any case; internal for anything else.
pub(super) fn kind_of(text: &str) -> Kind {
    let word = text.rsplit(['_', '.']).next().unwrap_or_default();
    if let Ok(number) = word.parse() {
        return Kind::from_otlp(number);
    }
    [Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]
        .into_iter()
        .find(|kind| word.eq_ignore_ascii_case(kind.name()))
        .unwrap_or(Kind::Internal)
}
