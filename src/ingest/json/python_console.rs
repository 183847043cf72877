//! The JSON that OpenTelemetry Python's `ConsoleSpanExporter` prints: one object a span, mostly over many lines.

use super::ids;
use super::otlp::kind_of;
use super::reader::{Reader, status_of};
use super::record::Draft;
use super::tokens::Read;
use crate::model::attributes::field;
use crate::model::{SpanId, Status, TraceId};
use std::borrow::Cow;

impl<'a> Reader<'a, '_> {
    /// One span or an array of spans.
    pub(super) fn python_console(&mut self) -> Read<()> {
        if self.cursor.peek() == b'[' { self.each(Self::python_span) } else { self.python_span() }
    }

    fn python_span(&mut self) -> Read<()> {
        self.guarded(Self::python_draft, |reader, resource_at| {
            let start = reader.record.packer.len();
            if let Some(at) = resource_at {
                reader.cursor.go(at);
                reader.python_resource()?;
            }
            let resource = reader.record.resource(start);
            let scope = reader.record.named_scope("", "");
            reader.record.assign(resource, scope);
            Ok(())
        })
    }

    fn python_draft(&mut self) -> Read<(Draft<'a>, Option<usize>)> {
        let mut draft = Draft { start: self.record.packer.len(), ..Draft::default() };
        let mut resource_at = None;
        self.fields(|reader, key| {
            match key {
                "name" => draft.name = reader.cursor.string()?,
                "context" => (draft.trace_id, draft.id) = reader.python_context()?,
                "kind" => draft.kind = kind_of(&reader.lenient_text()?),
                "parent_id" => {
                    let text = reader.cursor.string()?;
                    let digits = ids::without_prefix(&text);
                    draft.parent_id = ids::parent(digits, ids::short_span_id(digits));
                }
                "start_time" => draft.start_ns = reader.date()?,
                "end_time" => draft.end_ns = reader.date()?,
                "status" => (draft.status, draft.status_message) = reader.python_status()?,
                "attributes" => reader.python_attributes(field::SPAN_ATTRIBUTES)?,
                "events" => reader.python_events()?,
                "links" => reader.python_links()?,
                "resource" => {
                    resource_at = Some(reader.cursor.at());
                    reader.cursor.skip()?;
                }
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((draft, resource_at))
    }

    fn python_attributes(&mut self, number: u32) -> Read<()> {
        let limits = self.record.limits;
        self.plain_members(number, limits.attributes, limits.value_depth)
    }

    /// `{"attributes":{…},"schema_url":…}`, in older versions the attributes alone.
    fn python_resource(&mut self) -> Read<()> {
        self.cursor.peek();
        let mut at = self.cursor.at();
        let all = at;
        self.fields(|reader, key| {
            if key == "attributes" && reader.cursor.peek() == b'{' {
                at = reader.cursor.at();
            }
            reader.cursor.skip()
        })?;
        self.cursor.go(if at == all { all } else { at });
        self.python_attributes(field::RESOURCE_ATTRIBUTES)
    }

    fn python_context(&mut self) -> Read<(Option<TraceId>, Option<SpanId>)> {
        let (mut trace_id, mut span_id) = (None, None);
        self.fields(|reader, key| {
            match key {
                "trace_id" => {
                    trace_id = ids::short_trace_id(ids::without_prefix(&reader.cursor.string()?)).valid();
                }
                "span_id" => span_id = ids::short_span_id(ids::without_prefix(&reader.cursor.string()?)).valid(),
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((trace_id, span_id))
    }

    fn python_status(&mut self) -> Read<(Status, Cow<'a, str>)> {
        let (mut status, mut message) = (Status::Unset, Cow::Borrowed(""));
        self.fields(|reader, key| {
            match key {
                "status_code" => status = status_of(&reader.lenient_text()?),
                "description" => message = reader.text()?,
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((status, message))
    }

    fn python_events(&mut self) -> Read<()> {
        self.each_within(self.record.limits.events, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_EVENTS);
            let (mut time, mut name) = (0, Cow::Borrowed(""));
            reader.fields(|reader, key| {
                match key {
                    "name" => name = reader.text()?,
                    "timestamp" => time = reader.date()?,
                    "attributes" => reader.python_attributes(field::EVENT_ATTRIBUTES)?,
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            reader.record.end_event(open, time, &name, 0);
            Ok(())
        })
    }

    fn python_links(&mut self) -> Read<()> {
        self.each_within(self.record.limits.links, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_LINKS);
            let mut target = (None, None);
            reader.fields(|reader, key| {
                match key {
                    "context" => target = reader.python_context()?,
                    "attributes" => reader.python_attributes(field::LINK_ATTRIBUTES)?,
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            reader.record.end_link(open, target.0, target.1);
            Ok(())
        })
    }
}
