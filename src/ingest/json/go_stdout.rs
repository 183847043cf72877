//! The JSON that OpenTelemetry Go's `stdouttrace` prints: one object a span, or an array of them.

use super::ids;
use super::otlp::kind_of;
use super::reader::{Leaf, Reader};
use super::record::Draft;
use super::tokens::Read;
use crate::model::attributes::field;
use crate::model::{Kind, SpanId, SpanMarks, Status, TraceId};
use std::borrow::Cow;

/// Where resource and scope stand in the span.
#[derive(Default)]
struct Origin {
    resource_at: Option<usize>,
    scope_at: Option<usize>,
}

/// Ids of a span context.
#[derive(Default)]
struct Context<'a> {
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
    trace_state: Cow<'a, str>,
    remote: bool,
}

impl<'a> Reader<'a, '_> {
    /// One span or an array of spans.
    pub(super) fn go_stdout(&mut self) -> Read<()> {
        if self.cursor.peek() == b'[' { self.each(Self::go_span) } else { self.go_span() }
    }

    fn go_span(&mut self) -> Read<()> {
        self.guarded(Self::go_draft, |reader, origin| {
            let start = reader.record.packer.len();
            if let Some(at) = origin.resource_at {
                reader.cursor.go(at);
                reader.go_attributes(field::RESOURCE_ATTRIBUTES)?;
            }
            let resource = reader.record.resource(start);
            let (mut name, mut version) = (Cow::Borrowed(""), Cow::Borrowed(""));
            if let Some(at) = origin.scope_at {
                reader.cursor.go(at);
                reader.fields(|reader, key| match key {
                    "Name" => reader.text().map(|text| name = text),
                    "Version" => reader.text().map(|text| version = text),
                    _ => reader.cursor.skip(),
                })?;
            }
            let scope = reader.record.named_scope(&name, &version);
            reader.record.assign(resource, scope);
            Ok(())
        })
    }

    fn go_draft(&mut self) -> Read<(Draft<'a>, Origin)> {
        let mut draft = Draft { start: self.record.packer.len(), ..Draft::default() };
        let mut origin = Origin::default();
        self.fields(|reader, key| {
            match key {
                "Name" => draft.name = reader.cursor.string()?,
                "SpanContext" => {
                    let context = reader.go_context()?;
                    (draft.trace_id, draft.id) = (context.trace_id, context.span_id);
                    draft.trace_state = context.trace_state;
                }
                "Parent" => {
                    let context = reader.go_context()?;
                    draft.parent_id = context.span_id.unwrap_or(SpanId::NONE);
                    if context.span_id.is_some() {
                        let mark = if context.remote { SpanMarks::REMOTE_PARENT } else { SpanMarks::LOCAL_PARENT };
                        draft.marks = draft.marks.with(mark);
                    }
                }
                "SpanKind" => draft.kind = reader.go_kind()?,
                "StartTime" => draft.start_ns = reader.date()?,
                "EndTime" => draft.end_ns = reader.date()?,
                "Attributes" => reader.go_attributes(field::SPAN_ATTRIBUTES)?,
                "Events" => reader.go_events()?,
                "Links" => reader.go_links()?,
                "Status" => (draft.status, draft.status_message) = reader.go_status()?,
                "DroppedAttributes" => draft.dropped[0] = reader.count()?,
                "DroppedEvents" => draft.dropped[1] = reader.count()?,
                "DroppedLinks" => draft.dropped[2] = reader.count()?,
                "Resource" => {
                    origin.resource_at = Some(reader.cursor.at());
                    reader.cursor.skip()?;
                }
                "InstrumentationScope" | "InstrumentationLibrary" => {
                    // Newer versions print both, and they say the same.
                    origin.scope_at = Some(reader.cursor.at());
                    reader.cursor.skip()?;
                }
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((draft, origin))
    }

    fn go_context(&mut self) -> Read<Context<'a>> {
        let mut context = Context::default();
        self.fields(|reader, key| {
            match key {
                "TraceID" => context.trace_id = ids::otlp_trace_id(&reader.cursor.string()?).valid(),
                "SpanID" => context.span_id = ids::otlp_span_id(&reader.cursor.string()?).valid(),
                "TraceState" => context.trace_state = reader.text()?,
                "Remote" => context.remote = reader.plain_leaf()? == Leaf::Bool(true),
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok(context)
    }

    fn go_kind(&mut self) -> Read<Kind> {
        Ok(kind_of(&self.lenient_text()?))
    }

    /// A date of RFC 3339 in nanoseconds since 1970.
    pub(super) fn date(&mut self) -> Read<i128> {
        let text = self.cursor.string()?;
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(time.as_nanosecond()),
            Err(_) => self.cursor.fail("expected a date of RFC 3339"),
        }
    }

    /// `{"Code":"Error","Description":"…"}`. As numbers Go has error before ok, other than OTLP.
    fn go_status(&mut self) -> Read<(Status, Cow<'a, str>)> {
        let (mut status, mut message) = (Status::Unset, Cow::Borrowed(""));
        self.fields(|reader, key| {
            match key {
                "Code" => {
                    status = match &*reader.lenient_text()? {
                        "Error" | "1" => Status::Error,
                        "Ok" | "2" => Status::Ok,
                        _ => Status::Unset,
                    }
                }
                "Description" => message = reader.text()?,
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((status, message))
    }

    fn go_events(&mut self) -> Read<()> {
        self.each_within(self.record.limits.events, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_EVENTS);
            let (mut time, mut name, mut dropped) = (0, Cow::Borrowed(""), 0);
            reader.fields(|reader, key| {
                match key {
                    "Name" => name = reader.text()?,
                    "Time" => time = reader.date()?,
                    "Attributes" => reader.go_attributes(field::EVENT_ATTRIBUTES)?,
                    "DroppedAttributeCount" => dropped = reader.count()?,
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            reader.record.end_event(open, time, &name, dropped);
            Ok(())
        })
    }

    fn go_links(&mut self) -> Read<()> {
        self.each_within(self.record.limits.links, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_LINKS);
            let mut context = Context::default();
            reader.fields(|reader, key| {
                match key {
                    "SpanContext" => context = reader.go_context()?,
                    "Attributes" => reader.go_attributes(field::LINK_ATTRIBUTES)?,
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            reader.record.end_link(open, context.trace_id, context.span_id);
            Ok(())
        })
    }

    /// `[{"Key":"…","Value":{"Type":"STRING","Value":"…"}}]`
    fn go_attributes(&mut self, number: u32) -> Read<()> {
        self.each_within(self.record.limits.attributes, |reader| {
            let outer = reader.record.packer.writer().begin(number);
            let start = reader.record.packer.len();
            let mut name = Cow::Borrowed("");
            reader.fields(|reader, key| match key {
                "Key" => reader.text().map(|text| name = text),
                "Value" => {
                    reader.record.packer.writer().truncate(start);
                    let inner = reader.record.packer.writer().begin(2);
                    reader.go_value()?;
                    reader.record.packer.writer().end(inner);
                    Ok(())
                }
                _ => reader.cursor.skip(),
            })?;
            let writer = reader.record.packer.writer();
            writer.bytes_field(1, name.as_bytes());
            writer.end(outer);
            Ok(())
        })
    }

    fn go_value(&mut self) -> Read<()> {
        let (mut doubles, mut value_at) = (false, None);
        self.fields(|reader, key| match key {
            "Type" => {
                doubles = reader.cursor.string()?.starts_with("FLOAT64");
                Ok(())
            }
            "Value" => {
                value_at = Some(reader.cursor.at());
                reader.cursor.skip()
            }
            _ => reader.cursor.skip(),
        })?;
        let end = self.cursor.at();
        if let Some(at) = value_at {
            self.cursor.go(at);
            self.plain_value(self.record.limits.value_depth, doubles)?;
        }
        self.cursor.go(end);
        Ok(())
    }
}
