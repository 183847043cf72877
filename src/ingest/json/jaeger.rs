//! Jaeger's JSON (UI downloads, API v1): `{"data":[trace]}`, `{"data":trace}`, a bare trace, an array of traces.
//!
//! Times are microseconds, ids may lack leading zeros, parents hide among references, and kind, status and scope
//! among tags.

use super::ids;
use super::otlp::kind_of;
use super::reader::{Leaf, Reader, number_leaf, status_of};
use super::record::Draft;
use super::tokens::Read;
use crate::model::attributes::field;
use crate::model::{SpanId, Status, TraceId};
use std::borrow::Cow;
use std::collections::HashMap;

const NS_PER_US: i128 = 1_000;

/// Who recorded a span.
#[derive(Default)]
struct Origin<'a> {
    process_id: Cow<'a, str>,
    /// Where a process stands inside of the span.
    process_at: Option<usize>,
    scope: Cow<'a, str>,
    version: Cow<'a, str>,
}

#[derive(Default)]
struct Reference {
    child_of: bool,
    trace_id: Option<TraceId>,
    span_id: Option<SpanId>,
}

/// Spans by index that wait for the process of this id.
type Waiting<'a> = Vec<(usize, Cow<'a, str>)>;

impl<'a> Reader<'a, '_> {
    /// A whole document in any of its shapes.
    pub(super) fn jaeger(&mut self, in_envelope: bool) -> Read<()> {
        if !in_envelope {
            return self.jaeger_traces();
        }
        self.fields(|reader, key| if key == "data" { reader.jaeger_traces() } else { reader.cursor.skip() })
    }

    fn jaeger_traces(&mut self) -> Read<()> {
        if self.cursor.peek() == b'[' { self.each(Self::jaeger_trace) } else { self.jaeger_trace() }
    }

    fn jaeger_trace(&mut self) -> Read<()> {
        let mut waiting = Waiting::new();
        let mut processes = HashMap::<String, u32, foldhash::fast::RandomState>::default();
        self.fields(|reader, key| match key {
            "spans" => reader.each(|reader| reader.jaeger_span(&mut waiting)),
            "processes" => {
                let mut first = true;
                reader.cursor.enter_object()?;
                while let Some(id) = reader.cursor.next_field(&mut first)? {
                    let resource = reader.process()?;
                    processes.insert(id.into_owned(), resource);
                }
                Ok(())
            }
            _ => reader.cursor.skip(),
        })?;
        let mut nobody = None;
        for (index, id) in waiting {
            let resource = processes.get(&*id).copied().unwrap_or_else(|| {
                *nobody.get_or_insert_with(|| {
                    let start = self.record.packer.len();
                    self.record.resource(start)
                })
            });
            if let Some(span) = self.record.spans.get_mut(index) {
                span.resource = resource;
            }
        }
        Ok(())
    }

    fn process(&mut self) -> Read<u32> {
        let start = self.record.packer.len();
        let most = self.record.limits.attributes;
        self.fields(|reader, key| match key {
            "serviceName" => {
                let name = Leaf::Text(reader.text()?);
                reader.record.leaf(field::RESOURCE_ATTRIBUTES, "service.name", &name.value());
                Ok(())
            }
            "tags" => reader.each_within(most, |reader| {
                let (key, leaf) = reader.tag()?;
                reader.record.leaf(field::RESOURCE_ATTRIBUTES, &key, &leaf.value());
                Ok(())
            }),
            _ => reader.cursor.skip(),
        })?;
        Ok(self.record.resource(start))
    }

    fn jaeger_span(&mut self, waiting: &mut Waiting<'a>) -> Read<()> {
        self.guarded(Self::jaeger_draft, |reader, origin| {
            let scope = reader.record.named_scope(&origin.scope, &origin.version);
            reader.record.assign(0, scope);
            match origin.process_at {
                Some(at) if origin.process_id.is_empty() => {
                    reader.cursor.go(at);
                    let resource = reader.process()?;
                    reader.record.assign(resource, scope);
                }
                _ => waiting.push((reader.record.spans.len() - 1, origin.process_id)),
            }
            Ok(())
        })
    }

    fn jaeger_draft(&mut self) -> Read<(Draft<'a>, Origin<'a>)> {
        let mut draft = Draft { start: self.record.packer.len(), ..Draft::default() };
        let mut origin = Origin::default();
        let (mut duration, mut references) = (0, Vec::new());
        let (mut legacy_parent, mut status) = (SpanId::NONE, None);
        self.fields(|reader, key| {
            match key {
                "traceID" => draft.trace_id = ids::short_trace_id(&reader.cursor.string()?).valid(),
                "spanID" => draft.id = ids::short_span_id(&reader.cursor.string()?).valid(),
                "parentSpanID" => {
                    let text = reader.cursor.string()?;
                    legacy_parent = ids::parent(&text, ids::short_span_id(&text));
                }
                "operationName" => draft.name = reader.cursor.string()?,
                "references" => references = reader.references()?,
                "startTime" => draft.start_ns = reader.cursor.integer()?.saturating_mul(NS_PER_US),
                "duration" => duration = reader.cursor.integer()?.saturating_mul(NS_PER_US),
                "tags" => reader.jaeger_tags(&mut draft, &mut origin, &mut status)?,
                "logs" => reader.jaeger_logs()?,
                "processID" => origin.process_id = reader.cursor.string()?,
                "process" => {
                    origin.process_at = Some(reader.cursor.at());
                    reader.cursor.skip()?;
                }
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        draft.end_ns = draft.start_ns.saturating_add(duration);
        draft.status = status.unwrap_or(draft.status);
        draft.parent_id = self.parent_and_links(draft.trace_id, legacy_parent, &references);
        Ok((draft, origin))
    }

    /// The parent is the first `CHILD_OF` in the same trace, else the first `FOLLOWS_FROM`; the others are links.
    fn parent_and_links(&mut self, trace: Option<TraceId>, legacy: SpanId, references: &[Reference]) -> SpanId {
        let in_trace = |reference: &Reference| reference.span_id.is_some() && reference.trace_id == trace;
        let parent = references
            .iter()
            .position(|reference| reference.child_of && in_trace(reference))
            .or_else(|| references.iter().position(in_trace));
        for (index, reference) in references.iter().enumerate() {
            if Some(index) != parent {
                let open = self.record.packer.writer().begin(field::SPAN_LINKS);
                self.record.end_link(open, reference.trace_id, reference.span_id);
            }
        }
        parent.and_then(|index| references.get(index)).and_then(|reference| reference.span_id).unwrap_or(legacy)
    }

    fn references(&mut self) -> Read<Vec<Reference>> {
        let mut all = Vec::new();
        self.each_within(self.record.limits.links, |reader| {
            let mut reference = Reference::default();
            reader.fields(|reader, key| {
                match key {
                    "refType" => reference.child_of = reader.cursor.string()? == "CHILD_OF",
                    "traceID" => reference.trace_id = ids::short_trace_id(&reader.cursor.string()?).valid(),
                    "spanID" => reference.span_id = ids::short_span_id(&reader.cursor.string()?).valid(),
                    _ => reader.cursor.skip()?,
                }
                Ok(())
            })?;
            all.push(reference);
            Ok(())
        })?;
        Ok(all)
    }

    fn jaeger_tags(&mut self, draft: &mut Draft<'a>, origin: &mut Origin<'a>, status: &mut Option<Status>) -> Read<()> {
        self.each_within(self.record.limits.attributes, |reader| {
            let (key, leaf) = reader.tag()?;
            match (&*key, leaf) {
                ("internal.span.format", _) => {}
                ("span.kind", Leaf::Text(text)) => draft.kind = kind_of(&text),
                ("error", Leaf::Bool(failed)) => draft.status = if failed { Status::Error } else { draft.status },
                ("error", Leaf::Text(text)) if text == "true" || text == "false" => {
                    draft.status = if text == "true" { Status::Error } else { draft.status };
                }
                ("otel.status_code", Leaf::Text(text)) => *status = Some(status_of(&text)),
                ("otel.status_description", Leaf::Text(text)) => draft.status_message = text,
                ("otel.scope.name" | "otel.library.name", Leaf::Text(text)) => origin.scope = text,
                ("otel.scope.version" | "otel.library.version", Leaf::Text(text)) => origin.version = text,
                ("w3c.tracestate", Leaf::Text(text)) => draft.trace_state = text,
                (key, leaf) => reader.record.leaf(field::SPAN_ATTRIBUTES, key, &leaf.value()),
            }
            Ok(())
        })
    }

    fn jaeger_logs(&mut self) -> Read<()> {
        let most = self.record.limits.attributes;
        self.each_within(self.record.limits.events, |reader| {
            let open = reader.record.packer.writer().begin(field::SPAN_EVENTS);
            let (mut time, mut name) = (0i128, Cow::Borrowed("log"));
            reader.fields(|reader, key| match key {
                "timestamp" => {
                    time = reader.cursor.integer()?.saturating_mul(NS_PER_US);
                    Ok(())
                }
                "fields" => reader.each_within(most, |reader| {
                    match reader.tag()? {
                        (key, Leaf::Text(text)) if key == "event" => name = text,
                        (key, leaf) => reader.record.leaf(field::EVENT_ATTRIBUTES, &key, &leaf.value()),
                    }
                    Ok(())
                }),
                _ => reader.cursor.skip(),
            })?;
            reader.record.end_event(open, time, &name, 0);
            Ok(())
        })
    }

    /// `{"key":…,"type":…,"value":…}`
    fn tag(&mut self) -> Read<(Cow<'a, str>, Leaf<'a>)> {
        let (mut name, mut kind, mut value) = (Cow::Borrowed(""), Cow::Borrowed(""), Leaf::Empty);
        self.fields(|reader, key| {
            match key {
                "key" => name = reader.text()?,
                "type" => kind = reader.cursor.string()?,
                "value" => value = reader.plain_leaf()?,
                _ => reader.cursor.skip()?,
            }
            Ok(())
        })?;
        Ok((name, typed(&kind, value)))
    }
}

/// The value as the type that its tag names; as it stands in JSON if it is not of that type.
fn typed<'a>(kind: &str, value: Leaf<'a>) -> Leaf<'a> {
    match (kind, value) {
        ("float64", Leaf::Int(int)) => Leaf::Double(int as f64),
        ("int64" | "float64", Leaf::Text(text)) => match (kind, number_leaf(&text)) {
            ("int64", Leaf::Int(int)) => Leaf::Int(int),
            ("float64", Leaf::Int(int)) => Leaf::Double(int as f64),
            ("float64", Leaf::Double(double)) => Leaf::Double(double),
            _ => Leaf::Text(text),
        },
        ("bool", Leaf::Text(text)) if text == "true" || text == "false" => Leaf::Bool(text == "true"),
        ("binary", Leaf::Text(text)) => ids::base64(&text).map_or(Leaf::Text(text), Leaf::Bytes),
        ("string", Leaf::Int(int)) => Leaf::Text(Cow::Owned(int.to_string())),
        ("string", Leaf::Bool(flag)) => Leaf::Text(Cow::Borrowed(if flag { "true" } else { "false" })),
        (_, value) => value,
    }
}
