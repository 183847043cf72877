//! Zipkin v2: arrays of spans, arrays of such arrays, or one span a line.
//!
//! A server span that `shared` marks has its client's id; assembly gives it a place of its own below the client.

use super::ids;
use super::otlp::kind_of;
use super::reader::{Leaf, Reader, status_of};
use super::record::Draft;
use super::tokens::Read;
use crate::model::attributes::field;
use crate::model::{SpanMarks, Status};
use std::borrow::Cow;

const NS_PER_US: i128 = 1_000;

/// Service and instrumentation library of a span.
#[derive(Default)]
struct Origin<'a> {
    service: Cow<'a, str>,
    scope: Cow<'a, str>,
    version: Cow<'a, str>,
    /// Attributes of the span so far: tags and endpoints together keep the limit, however often their keys come.
    attributes: u64,
}

impl<'a> Reader<'a, '_> {
    /// Spans in up to two levels of arrays.
    pub(super) fn zipkin(&mut self) -> Read<()> {
        if self.cursor.peek() != b'[' {
            return self.zipkin_span();
        }
        self.each(
            |reader| {
                if reader.cursor.peek() == b'[' { reader.each(Self::zipkin_span) } else { reader.zipkin_span() }
            },
        )
    }

    fn zipkin_span(&mut self) -> Read<()> {
        self.guarded(Self::zipkin_draft, |reader, origin| {
            let start = reader.record.packer.len();
            if !origin.service.is_empty() {
                let value = Leaf::Text(origin.service);
                reader.record.leaf(field::RESOURCE_ATTRIBUTES, "service.name", &value.value());
            }
            let resource = reader.record.resource(start);
            let scope = reader.record.named_scope(&origin.scope, &origin.version);
            reader.record.assign(resource, scope);
            Ok(())
        })
    }

    fn zipkin_draft(&mut self) -> Read<(Draft<'a>, Origin<'a>)> {
        let mut draft = Draft { start: self.record.packer.len(), ..Draft::default() };
        let mut origin = Origin::default();
        let mut duration = 0;
        self.fields(|reader, key| {
            match key {
                "traceId" => draft.trace_id = ids::short_trace_id(&reader.cursor.string()?).valid(),
                "id" => draft.id = ids::short_span_id(&reader.cursor.string()?).valid(),
                "parentId" => {
                    let text = reader.cursor.string()?;
                    draft.parent_id = ids::parent(&text, ids::short_span_id(&text));
                }
                "name" => draft.name = reader.cursor.string()?,
                "kind" => draft.kind = kind_of(&reader.cursor.string()?),
                "timestamp" => draft.start_ns = reader.cursor.integer()?.saturating_mul(NS_PER_US),
                "duration" => duration = reader.cursor.integer()?.saturating_mul(NS_PER_US),
                "localEndpoint" => {
                    origin.service = reader.endpoint("network.local.address", "network.local.port", &mut origin)?;
                }
                "remoteEndpoint" => {
                    let service = reader.endpoint("network.peer.address", "network.peer.port", &mut origin)?;
                    reader.text_attribute("service.peer.name", service, &mut origin);
                }
                "annotations" => reader.annotations()?,
                "tags" => reader.zipkin_tags(&mut draft, &mut origin)?,
                "shared" if reader.plain_leaf()? == Leaf::Bool(true) => {
                    draft.marks = draft.marks.with(SpanMarks::SHARED);
                }
                "shared" => {}
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        draft.end_ns = draft.start_ns.saturating_add(duration);
        Ok((draft, origin))
    }

    /// Counts one more attribute; false, which is counted too, when it is one too many.
    fn has_room(&mut self, origin: &mut Origin<'a>) -> bool {
        origin.attributes += 1;
        let has_room = origin.attributes <= self.record.limits.attributes;
        if !has_room {
            self.record.over_limit();
        }
        has_room
    }

    fn text_attribute(&mut self, key: &str, text: Cow<'a, str>, origin: &mut Origin<'a>) {
        if !text.is_empty() && self.has_room(origin) {
            self.record.leaf(field::SPAN_ATTRIBUTES, key, &Leaf::Text(text).value());
        }
    }

    /// Writes address and port of an endpoint as span attributes and gives its service name.
    fn endpoint(&mut self, address_key: &str, port_key: &str, origin: &mut Origin<'a>) -> Read<Cow<'a, str>> {
        let (mut service, mut address, mut port) = (Cow::Borrowed(""), Cow::Borrowed(""), 0);
        self.fields(|reader, key| {
            match key {
                "serviceName" => service = reader.text()?,
                "ipv4" => address = reader.text()?,
                "ipv6" if address.is_empty() => address = reader.text()?,
                "port" => port = reader.count()?,
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        self.text_attribute(address_key, address, origin);
        if port > 0 && self.has_room(origin) {
            self.record.leaf(field::SPAN_ATTRIBUTES, port_key, &Leaf::Int(i64::from(port)).value());
        }
        Ok(service)
    }

    fn annotations(&mut self) -> Read<()> {
        self.each_within(self.record.limits.events, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_EVENTS);
            let (mut time, mut name) = (0i128, Cow::Borrowed(""));
            reader.fields(|reader, key| {
                match key {
                    "timestamp" => time = reader.cursor.integer()?.saturating_mul(NS_PER_US),
                    "value" => name = reader.lenient_text()?,
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            reader.record.end_event(open, time, &name, 0);
            Ok(())
        })
    }

    /// Tags. A tag `error` means that the span failed, whatever it says; its text is the status message.
    fn zipkin_tags(&mut self, draft: &mut Draft<'a>, origin: &mut Origin<'a>) -> Read<()> {
        let mut first = true;
        self.cursor.enter_object()?;
        while let Some(key) = self.cursor.next_member(&mut first)? {
            match &*key {
                "error" => {
                    draft.status = Status::Error;
                    let text = self.lenient_text()?;
                    if !matches!(&*text, "true" | "false") {
                        draft.status_message = text;
                    }
                    continue;
                }
                "otel.status_code" => {
                    let status = status_of(&self.lenient_text()?);
                    if draft.status != Status::Error {
                        draft.status = status;
                    }
                    continue;
                }
                "otel.status_description" => {
                    draft.status_message = self.lenient_text()?;
                    continue;
                }
                "otel.scope.name" | "otel.library.name" => {
                    origin.scope = self.lenient_text()?;
                    continue;
                }
                "otel.scope.version" | "otel.library.version" => {
                    origin.version = self.lenient_text()?;
                    continue;
                }
                _ => {}
            }
            if !self.has_room(origin) {
                self.cursor.skip()?;
                continue;
            }
            let key = self.record.bounded(key);
            let leaf = self.plain_leaf()?;
            self.record.leaf(field::SPAN_ATTRIBUTES, &key, &leaf.value());
        }
        Ok(())
    }
}
