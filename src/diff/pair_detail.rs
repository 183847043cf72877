//! What a screen shows of one pair of spans: read from the traces when it is asked for.
//!
//! A pair may have a million spans a side and a person looks at twenty of them: nothing is decoded ahead.

use super::detail::{AttributeRow, AttributeScope, EventRow, Example, NodeDetail, bounded};
use super::merged::{NodeSide, TreeNode};
use super::types::Change;
use crate::model::attributes::field;
use crate::model::canonical::{CanonicalValue, canonical};
use crate::model::{Attributes, Event, Kind, Pair, Part, Side, Span, SpanId, Trace, Value};
use std::collections::BTreeMap;

/// Where in the two traces of a comparison each span stands.
pub struct PairDetails {
    sides: Pair<Index>,
}

/// Finds the spans of a trace by their ids.
struct Index {
    /// Span indices in order of the span ids: four bytes a span.
    by_id: Vec<u32>,
    /// Earliest start, from which the rows of the tree count.
    origin_ns: u64,
}

impl PairDetails {
    /// Indexes two traces, the same that were compared.
    pub fn new(traces: &Pair<Trace>) -> PairDetails {
        PairDetails { sides: traces.as_ref().map(Index::new) }
    }

    /// Everything about a node of the merged tree of the traces that were indexed. A side whose span is not in its
    /// trace is empty.
    pub fn of(&self, traces: &Pair<Trace>, node: &TreeNode) -> NodeDetail {
        let span = |side: Side| {
            let trace = traces.get(side);
            let row = node.sides.get(side).as_ref()?;
            self.sides.get(side).find(trace, row).map(|span| (trace, span))
        };
        let spans = Pair::new(span(Side::Before), span(Side::After));
        let parts = spans.map(|found| found.map(|(trace, span)| Unpacked::new(trace, span)).unwrap_or_default());
        NodeDetail {
            attributes: attributes(&spans),
            events: events(&parts),
            links: parts.as_ref().map(|parts| parts.links),
            status_message: parts
                .as_ref()
                .map(|parts| (!parts.status_message.is_empty()).then(|| bounded(&parts.status_message).0)),
            durations: Pair::default(),
            examples: spans.map(|found| found.map(|(_, span)| this_span(span)).into_iter().collect()),
        }
    }
}

impl Index {
    fn new(trace: &Trace) -> Index {
        let id = |index: u32| trace.spans().get(index as usize).map_or(SpanId::NONE, |span| span.id);
        let mut by_id: Vec<u32> = (0..trace.len() as u32).collect();
        by_id.sort_unstable_by_key(|&index| (id(index), index));
        let origin_ns = trace.spans().iter().map(|span| span.start_ns).min().unwrap_or(0);
        Index { by_id, origin_ns }
    }

    /// The span of a row. Where several have its id (Zipkin's client and server share one) the one that is like the row.
    fn find<'a>(&self, trace: &'a Trace, row: &NodeSide) -> Option<&'a Span> {
        let span = |&index: &u32| trace.spans().get(index as usize);
        let from = self.by_id.partition_point(|index| span(index).is_some_and(|span| span.id < row.span_id));
        let same = || self.by_id.iter().skip(from).filter_map(span).take_while(|span| span.id == row.span_id);
        let is_like = |span: &&Span| {
            let start_ns = span.start_ns.saturating_sub(self.origin_ns) as i64;
            (span.kind, span.duration_ns(), start_ns) == (row.kind, row.duration_ns, row.start_ns)
        };
        same().find(is_like).or_else(|| same().next())
    }
}

fn this_span(span: &Span) -> Example {
    Example { role: "this span", trace_id: span.trace_id, span_id: span.id, duration_ns: span.duration_ns() }
}

/// What is packed in a span besides its attributes, from one walk.
#[derive(Default)]
struct Unpacked<'a> {
    events: Vec<Event<'a>>,
    links: u64,
    status_message: &'a str,
}

impl<'a> Unpacked<'a> {
    fn new(trace: &'a Trace, span: &Span) -> Unpacked<'a> {
        let mut parts = Unpacked::default();
        for part in trace.store.parts(span) {
            match part {
                Part::Event(event) => parts.events.push(event),
                Part::Link(_) => parts.links += 1,
                Part::StatusMessage(text) => parts.status_message = text,
                Part::Attribute(..) | Part::TraceState(_) => {}
            }
        }
        parts
    }
}

/// The values of one key on both sides.
type Joined<'a> = BTreeMap<(AttributeScope, &'a str), Pair<Option<CanonicalValue<'a>>>>;

/// All attributes of both spans, joined by their current keys.
fn attributes(spans: &Pair<Option<(&Trace, &Span)>>) -> Vec<AttributeRow> {
    let mut joined = Joined::new();
    for side in [Side::Before, Side::After] {
        let Some((trace, span)) = *spans.get(side) else { continue };
        let own = canonical(trace.store.attributes(span), span.kind).into_iter();
        let resource = canonical(trace.store.resource_attributes(span), Kind::Internal).into_iter();
        let all = (own.map(|(key, value)| (AttributeScope::Span, key, value)))
            .chain(scope_attributes(trace, span).into_iter().map(|(key, value)| (AttributeScope::Scope, key, value)))
            .chain(resource.map(|(key, value)| (AttributeScope::Resource, key, value)));
        for (scope, key, value) in all {
            *joined.entry((scope, key)).or_default().get_mut(side) = Some(value);
        }
    }
    let mut rows: Vec<AttributeRow> =
        joined.into_iter().map(|((scope, key), values)| row(scope, key, &values)).collect();
    // The sort is stable and the map in order: within a kind of change scopes and keys stay sorted.
    rows.sort_by_key(|row| (row.change.is_none(), row.change));
    rows
}

/// Attributes of the instrumentation scope; its name and version go by the names that the specification gives them
/// where they have to be attributes.
fn scope_attributes<'a>(trace: &'a Trace, span: &Span) -> BTreeMap<&'a str, CanonicalValue<'a>> {
    let Some(scope) = trace.store.scope(span) else { return BTreeMap::new() };
    let text = |symbol| Value::Str(trace.store.symbols.get(symbol));
    let named = [("otel.scope.name", scope.name), ("otel.scope.version", scope.version)];
    let named = named.into_iter().filter(|(_, symbol)| !trace.store.symbols.get(*symbol).is_empty());
    let sent = Attributes::of_message(trace.store.bytes(scope.body), field::SCOPE_ATTRIBUTES);
    named
        .map(|(key, symbol)| (key, CanonicalValue::Sent(text(symbol))))
        .chain(canonical(sent, Kind::Internal))
        .collect()
}

fn row(scope: AttributeScope, key: &str, values: &Pair<Option<CanonicalValue<'_>>>) -> AttributeRow {
    let texts = values.as_ref().map(|value| value.as_ref().map(|value| bounded(value)));
    let change = match (&texts.before, &texts.after) {
        (None, _) => Some(Change::Added),
        (_, None) => Some(Change::Removed),
        // A number that was sent as text before looks the same: to a person it is the same.
        (Some((before, true)), Some((after, true))) => (before != after).then_some(Change::Changed),
        _ => (values.before != values.after).then_some(Change::Changed),
    };
    let Pair { before, after } = texts.map(|text| text.map(|(text, _)| text));
    AttributeRow { key: key.to_owned(), scope, change, before, after, share: Pair::default() }
}

/// Events of both spans by name and exception type.
fn events(parts: &Pair<Unpacked<'_>>) -> Vec<EventRow> {
    let mut rows: Vec<EventRow> = Vec::new();
    let mut messages: Vec<Pair<Option<String>>> = Vec::new();
    let mut known: BTreeMap<(&str, Option<String>), usize> = BTreeMap::new();
    for side in [Side::Before, Side::After] {
        for event in &parts.get(side).events {
            let text = |key: &str| event.attributes.find(key).map(|value| bounded(&value).0);
            let exception_type = text("exception.type");
            let number = *known.entry((event.name, exception_type.clone())).or_insert_with(|| {
                let name = bounded(&event.name).0;
                rows.push(EventRow { name, exception_type, message: None, count: Pair::default() });
                messages.push(Pair::default());
                rows.len() - 1
            });
            if let (Some(row), Some(messages)) = (rows.get_mut(number), messages.get_mut(number)) {
                *row.count.get_mut(side) += 1;
                let first = messages.get_mut(side);
                *first = first.take().or_else(|| text("exception.message"));
            }
        }
    }
    for (row, messages) in rows.iter_mut().zip(messages) {
        row.message = messages.after.or(messages.before);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::detail::MAX_TEXT;
    use crate::diff::options::DiffOptions;
    use crate::diff::pair;
    use crate::model::attributes::{Packer, SpanHead};
    use crate::model::{Body, TraceId, fixture};
    use std::sync::Arc;

    /// The detail of the node of this name in the merged tree of two traces.
    fn detail(traces: &Pair<Trace>, name: &str) -> NodeDetail {
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let diff = pair::compare(traces, Pair::default(), &options);
        let node = diff.tree.iter().find(|node| &*node.operation.name == name).unwrap();
        PairDetails::new(traces).of(traces, node)
    }

    /// One row as a line: mark, scope, key, value before and value after.
    fn shown(row: &AttributeRow) -> String {
        let mark = row.change.map_or("equal", Change::name);
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
        format!("{mark} {:?} {} {} → {}", row.scope, row.key, value(&row.before), value(&row.after))
    }

    fn lines(detail: &NodeDetail) -> Vec<String> {
        detail.attributes.iter().map(shown).collect()
    }

    /// Puts a packed message into a new chunk.
    fn store(trace: &mut Trace, bytes: Vec<u8>) -> Body {
        let body = Body { chunk: trace.store.chunks.len() as u32, start: 0, len: bytes.len() as u32 };
        trace.store.chunks.push(Arc::new(bytes));
        body
    }

    /// Gives all spans one resource and one scope with these attributes.
    fn produced_by(trace: &mut Trace, resource: &[(&str, &str)], version: &str, scope: &[(&str, &str)]) {
        let packed = |number: u32, attributes: &[(&str, &str)]| {
            let mut packer = Packer::new();
            for (key, value) in attributes {
                packer.attribute(number, key, &Value::Str(value));
            }
            packer.into_bytes()
        };
        let body = store(trace, packed(field::RESOURCE_ATTRIBUTES, resource));
        trace.store.resources.iter_mut().for_each(|resource| resource.body = body);
        let body = store(trace, packed(field::SCOPE_ATTRIBUTES, scope));
        let (name, version) = (trace.store.symbols.intern("otelsql"), trace.store.symbols.intern(version));
        trace.store.scopes.iter_mut().for_each(|scope| (scope.name, scope.version, scope.body) = (name, version, body));
    }

    /// Adds to the packed form of a span.
    fn add(trace: &mut Trace, index: usize, write: impl FnOnce(&mut Packer)) {
        let mut packer = Packer::new();
        write(&mut packer);
        let mut bytes = trace.store.bytes(trace.spans()[index].body).to_vec();
        bytes.extend(packer.into_bytes());
        trace.store.spans[index].body = store(trace, bytes);
    }

    fn exception(packer: &mut Packer, kind: &str, message: Option<&str>) {
        let event = packer.begin_event(1, "exception");
        packer.attribute(field::EVENT_ATTRIBUTES, "exception.type", &Value::Str(kind));
        if let Some(message) = message {
            packer.attribute(field::EVENT_ATTRIBUTES, "exception.message", &Value::Str(message));
        }
        packer.end(event);
    }

    #[test]
    fn attributes_are_joined_by_their_current_keys() {
        let traces = fixture::pair(
            "db q 5ms [client] {db.system=postgresql, db.name=shop, rows=12, pool=a, thread.id=7}",
            "db q 5ms [client] {db.system.name=postgresql, db.namespace=store, rows=1, batch=yes, thread.id=7}",
        );
        assert_eq!(
            lines(&detail(&traces, "q")),
            [
                "changed Span db.namespace shop → store",
                "changed Span rows 12 → 1",
                "added Span batch — → yes",
                "removed Span pool a → —",
                "equal Span db.system.name postgresql → postgresql",
                "equal Span thread.id 7 → 7",
            ]
        );
    }

    #[test]
    fn scope_and_resource_stand_behind_the_span() {
        let text = "db q 5ms {zone=b}";
        let mut traces = fixture::pair(text, text);
        let resource = |version| [("service.version", version), ("deployment.environment", "prod")];
        produced_by(&mut traces.before, &resource("2.13.4"), "1.0", &[("zone", "x")]);
        let after = [("service.version", "2.14.0"), ("deployment.environment.name", "prod")];
        produced_by(&mut traces.after, &after, "1.1", &[("zone", "y")]);
        assert_eq!(
            lines(&detail(&traces, "q")),
            [
                "changed Scope otel.scope.version 1.0 → 1.1",
                "changed Scope zone x → y",
                "changed Resource service.version 2.13.4 → 2.14.0",
                "equal Span zone b → b",
                "equal Scope otel.scope.name otelsql → otelsql",
                "equal Resource deployment.environment.name prod → prod",
            ]
        );
    }

    #[test]
    fn values_stay_as_they_were_sent() {
        let traces = fixture::pair("a x 1ms {k=\u{1b}[31mred\u{7}}", "a x 1ms {k=\u{1b}[32mgreen}");
        let row = &detail(&traces, "x").attributes[0];
        assert_eq!(
            (row.before.as_deref(), row.after.as_deref()),
            (Some("\u{1b}[31mred\u{7}"), Some("\u{1b}[32mgreen"))
        );
        // A number and the same number as text look the same, and are.
        let mut traces = fixture::pair("a x 1ms {k=7}", "a x 1ms");
        add(&mut traces.after, 0, |packer| packer.attribute(field::SPAN_ATTRIBUTES, "k", &Value::Str("7")));
        assert_eq!(lines(&detail(&traces, "x")), ["equal Span k 7 → 7"]);
    }

    #[test]
    fn long_values_differ_also_behind_the_cut() {
        let long = "x".repeat(MAX_TEXT);
        let set = |end: &'static str| {
            let value = format!("{long}{end}");
            move |packer: &mut Packer| packer.attribute(field::SPAN_ATTRIBUTES, "k", &Value::Str(&value))
        };
        let run = |before, after| {
            let mut traces = fixture::pair("a x 1ms", "a x 1ms");
            add(&mut traces.before, 0, set(before));
            add(&mut traces.after, 0, set(after));
            detail(&traces, "x").attributes.remove(0)
        };
        let row = run("é", "ä");
        assert_eq!((row.change, row.before.as_ref()), (Some(Change::Changed), Some(&format!("{long}… 2 more bytes"))));
        assert_eq!(row.before, row.after);
        assert_eq!(run("é", "é").change, None);
    }

    #[test]
    fn events_are_grouped_with_the_first_message_of_the_after_side() {
        let mut traces = fixture::pair("a x 1ms", "a x 1ms !error");
        add(&mut traces.before, 0, |packer| {
            let event = packer.begin_event(1, "cache miss");
            packer.end(event);
            exception(packer, "Timeout", Some("after 1 s"));
            exception(packer, "Reset", Some("by peer"));
        });
        add(&mut traces.after, 0, |packer| {
            exception(packer, "Timeout", None);
            exception(packer, "Timeout", Some("after 2 s"));
            exception(packer, "Timeout", Some("after 3 s"));
            exception(packer, "Reset", None);
            let link = packer.begin_link(TraceId(9), SpanId(9));
            packer.end(link);
            packer.span_head(&SpanHead { status_message: "gave up", ..SpanHead::default() });
        });
        let detail = detail(&traces, "x");
        let told: Vec<_> = detail
            .events
            .iter()
            .map(|row| {
                let count = (row.count.before, row.count.after);
                (row.name.as_str(), row.exception_type.as_deref(), row.message.as_deref(), count)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("cache miss", None, None, (1, 0)),
                ("exception", Some("Timeout"), Some("after 2 s"), (1, 3)),
                ("exception", Some("Reset"), Some("by peer"), (1, 1)),
            ]
        );
        assert_eq!(detail.links, Pair::new(0, 1));
        assert_eq!(detail.status_message, Pair::new(None, Some("gave up".to_owned())));
        assert_eq!(detail.durations, Pair::default());
        let example = Example { role: "this span", trace_id: TraceId(1), span_id: SpanId(1), duration_ns: 1_000_000 };
        assert_eq!(detail.examples, Pair::new(vec![example], vec![example]));
    }

    #[test]
    fn a_span_of_one_side_has_only_its_own() {
        let detail = detail(&fixture::pair("a x 9ms", "a x 9ms\n  b new 5ms {k=v}"), "new");
        assert_eq!(lines(&detail), ["added Span k — → v"]);
        assert_eq!(detail.examples.as_ref().map(Vec::len), Pair::new(0, 1));
    }

    #[test]
    fn of_spans_with_one_id_the_one_in_the_row_is_meant() {
        let text = "a x 9ms {k=root}\n  a call 5ms [client] {k=client}\n    b call 4ms [server] {k=server}";
        let mut traces = fixture::pair(text, text);
        for trace in [&mut traces.before, &mut traces.after] {
            trace.store.spans[2].id = trace.store.spans[1].id;
        }
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let tree = pair::compare(&traces, Pair::default(), &options).tree;
        let details = PairDetails::new(&traces);
        let values: Vec<_> = tree.iter().map(|node| lines(&details.of(&traces, node)).remove(0)).collect();
        let expected = ["root", "client", "server"].map(|value| format!("equal Span k {value} → {value}"));
        assert_eq!(values, expected);
    }

    #[test]
    fn a_row_of_other_traces_is_empty() {
        let traces = fixture::pair("a x 9ms {k=v}", "a x 9ms {k=v}");
        let options = DiffOptions { tree: true, ..DiffOptions::default() };
        let tree = pair::compare(&traces, Pair::default(), &options).tree;
        let none = fixture::pair("", "");
        let empty = PairDetails::new(&none);
        assert_eq!(empty.of(&none, &tree[0]), NodeDetail::default());
    }
}
