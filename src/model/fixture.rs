//! Traces written as indented text, for tests of every room.
//!
//! ```text
//! gateway GET /cart           120ms
//!   cart Load                  90ms @10ms
//!     db SELECT items  ×20      3ms !error {db.namespace=carts}
//! ```
//! Indentation is parenthood. A line is: service, operation name (may have spaces), duration, then optionally `×n`
//! (before or after the duration), `@start` (relative to the parent; by default siblings run one after another),
//! `!error`, `[kind]` and `{key=value, …}`. A service may be written `service/kind` too.

use super::attributes::{Packer, SpanHead, field};
use super::{
    Body, Kind, NO_PARENT, Operation, Operations, Resource, Scope, Span, SpanId, SpanMarks, SpanStore, Status, Trace,
    TraceId, Value,
};
use std::sync::Arc;

const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

struct Line<'a> {
    indent: usize,
    service: &'a str,
    name: String,
    duration_ns: u64,
    start_ns: Option<u64>,
    count: usize,
    error: bool,
    kind: Kind,
    attributes: Vec<(&'a str, &'a str)>,
}

/// Builds a trace from indented text. Operations are taken from the text as they stand, without normalisation.
///
/// # Panics
/// On text that is not in this form: it is for tests.
pub fn trace(text: &str) -> Trace {
    let mut builder = Builder::default();
    let lines: Vec<Line<'_>> = text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect();
    let mut at = 0;
    while at < lines.len() {
        at = builder.add(&lines, at, NO_PARENT, EPOCH_NS);
    }
    builder.finish()
}

fn parse(line: &str) -> Line<'_> {
    let indent = line.len() - line.trim_start().len();
    let (head, braces) = line.split_once('{').unwrap_or((line, ""));
    let attributes = braces
        .trim_end()
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let mut result = Line {
        indent,
        service: "",
        name: String::new(),
        duration_ns: 0,
        start_ns: None,
        count: 1,
        error: false,
        kind: Kind::Internal,
        attributes,
    };
    for (index, word) in head.split_whitespace().enumerate() {
        if index == 0 {
            result.service = word;
        } else if let Some(count) = word.strip_prefix('×').and_then(|count| count.parse().ok()) {
            result.count = count;
        } else if let Some(start) = word.strip_prefix('@').and_then(nanoseconds) {
            result.start_ns = Some(start);
        } else if word == "!error" {
            result.error = true;
        } else if let Some(kind) = word.strip_prefix('[').and_then(|word| kind(word.trim_end_matches(']'))) {
            result.kind = kind;
        } else if let Some(duration) = nanoseconds(word) {
            result.duration_ns = duration;
        } else {
            if !result.name.is_empty() {
                result.name.push(' ');
            }
            result.name.push_str(word);
        }
    }
    result
}

fn kind(word: &str) -> Option<Kind> {
    [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]
        .into_iter()
        .find(|kind| kind.name() == word)
}

fn nanoseconds(word: &str) -> Option<u64> {
    let split = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = word.split_at(split);
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some((number * factor).round() as u64)
}

#[derive(Default)]
struct Builder {
    store: SpanStore,
    packer: Packer,
    operations: Operations,
}

impl Builder {
    /// Adds the line at `at` and all below it, as often as it says; returns the index behind them.
    fn add(&mut self, lines: &[Line<'_>], at: usize, parent: u32, mut cursor_ns: u64) -> usize {
        let Some(line) = lines.get(at) else { return at };
        let end =
            lines.iter().skip(at + 1).position(|other| other.indent <= line.indent).map_or(lines.len(), |n| at + 1 + n);
        let from = self.store.spans.get(parent as usize).map_or(EPOCH_NS, |span| span.start_ns);
        for _ in 0..line.count {
            let start = line.start_ns.map_or(cursor_ns, |start| from + start);
            let index = self.span(line, parent, start);
            cursor_ns = start + line.duration_ns;
            let (mut child, mut child_cursor) = (at + 1, start);
            while child < end {
                let next = self.add(lines, child, index, child_cursor);
                child_cursor =
                    self.store.spans.iter().rev().find(|span| span.parent == index).map_or(start, |span| span.end_ns);
                child = next;
            }
        }
        end
    }

    fn span(&mut self, line: &Line<'_>, parent: u32, start_ns: u64) -> u32 {
        let index = self.store.spans.len() as u32;
        let service = self.store.symbols.intern(line.service);
        let resource =
            self.store.resources.iter().position(|resource| resource.service == service).unwrap_or_else(|| {
                self.store.resources.push(Resource { service, body: Body::default() });
                self.store.resources.len() - 1
            });
        let head = SpanHead {
            trace_id: TraceId(1),
            id: SpanId(u64::from(index) + 1),
            parent_id: SpanId(if parent == NO_PARENT { 0 } else { u64::from(parent) + 1 }),
            name: &line.name,
            kind: line.kind,
            start_ns,
            end_ns: start_ns + line.duration_ns,
            status: if line.error { Status::Error } else { Status::Unset },
            ..SpanHead::default()
        };
        let start = self.packer.len() as u32;
        self.packer.span_head(&head);
        for (key, value) in &line.attributes {
            let value = value.parse().map_or(Value::Str(value), Value::Int);
            self.packer.attribute(field::SPAN_ATTRIBUTES, key, &value);
        }
        let body = Body { chunk: 0, start, len: self.packer.len() as u32 - start };
        let operation = Operation { service: line.service.into(), kind: line.kind, name: line.name.as_str().into() };
        self.store.spans.push(Span {
            trace_id: head.trace_id,
            id: head.id,
            parent_id: head.parent_id,
            start_ns,
            end_ns: head.end_ns,
            name: self.store.symbols.intern(&line.name),
            resource: resource as u32,
            scope: 0,
            body,
            operation: self.operations.intern(operation),
            parent,
            kind: line.kind,
            status: head.status,
            marks: SpanMarks::default(),
        });
        index
    }

    fn finish(mut self) -> Trace {
        self.store.scopes.push(Scope {
            name: super::Symbol::EMPTY,
            version: super::Symbol::EMPTY,
            schema_url: super::Symbol::EMPTY,
            body: Body::default(),
        });
        self.store.chunks.push(Arc::new(self.packer.into_bytes()));
        Trace::new(TraceId(1), self.store, self.operations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_text_becomes_a_trace_in_preorder() {
        let trace = trace(
            "gateway GET /cart 120ms [server]
               cart Load 90ms @10ms
                 db SELECT items ×3 3ms !error {db.namespace=carts}
               cart Render 5ms",
        );
        let shown: Vec<_> = trace
            .spans()
            .iter()
            .map(|span| {
                (trace.store.service(span), trace.store.name(span), span.start_ns - EPOCH_NS, span.duration_ns())
            })
            .collect();
        let ms = 1_000_000;
        assert_eq!(
            shown,
            [
                ("gateway", "GET /cart", 0, 120 * ms),
                ("cart", "Load", 10 * ms, 90 * ms),
                ("db", "SELECT items", 10 * ms, 3 * ms),
                ("db", "SELECT items", 13 * ms, 3 * ms),
                ("db", "SELECT items", 16 * ms, 3 * ms),
                ("cart", "Render", 100 * ms, 5 * ms),
            ]
        );
        assert_eq!(trace.subtree_end, [6, 5, 3, 4, 5, 6]);
        assert_eq!(trace.children(0).collect::<Vec<_>>(), [1, 5]);
        assert!(trace.spans().get(2).is_some_and(|span| span.status == Status::Error));
        let namespace = trace.spans().get(2).and_then(|span| trace.store.attributes(span).find("db.namespace"));
        assert_eq!(namespace, Some(Value::Str("carts")));
    }
}
