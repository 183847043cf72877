//! What the fuzzers and the replay of their corpus run: whatever the bytes, no panic, limits kept, spans accounted
//! for, and every body that was kept can be walked to its end.

use spandiff::ingest::{self, Context, InputFormat, ReadReport, Rules, otlp_proto, read as reading};
use spandiff::model::wire::Writer;
use spandiff::model::{Limits, Pair, SpanStore, Symbols, Trace, Value, Warning, Warnings};
use spandiff::{diff, report};

/// Tight, so that small inputs reach them.
fn limits() -> Limits {
    Limits {
        input_bytes: 1 << 20,
        record_bytes: 1 << 16,
        zstd_window_bytes: 1 << 20,
        symbols: 64,
        attributes: 4,
        events: 3,
        links: 3,
        value_depth: 4,
        json_depth: 16,
        text_bytes: 16,
        ..Limits::default()
    }
}

/// One protobuf message.
pub fn otlp_proto(bytes: &[u8]) {
    let (mut symbols, mut report) = (Symbols::default(), ReadReport::default());
    let batch = otlp_proto::decode(bytes.to_vec(), &limits(), &mut symbols, &mut report);
    assert_eq!(batch.spans.len() as u64, report.spans);
    assert!(report.bytes_lost <= bytes.len() as u64);
    let mut store = SpanStore { symbols, ..SpanStore::default() };
    spandiff::ingest::Sink::batch(&mut store, batch, &Symbols::default());
    walk(&store);
}

/// Any bytes, through the whole pipeline.
pub fn read(bytes: &[u8]) {
    pipeline(bytes, None);
}

/// Any bytes, as the JSON formats.
pub fn json(bytes: &[u8]) {
    for said in [InputFormat::OtlpJson, InputFormat::Jaeger, InputFormat::Zipkin, InputFormat::Tempo] {
        pipeline(bytes, Some(said));
    }
}

fn pipeline(mut bytes: &[u8], said: Option<InputFormat>) {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: limits(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    let result = reading::read(&mut bytes, said, &mut context);
    let report = context.report;
    store.symbols = symbols;
    assert_eq!(store.spans.len() as u64, report.spans);
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
    walk(&store);
}

/// Reads everything of every span, and checks what the model promises.
fn walk(store: &SpanStore) {
    let limits = limits();
    assert!(store.symbols.len() as u64 <= limits.symbols);
    for span in &store.spans {
        assert!(span.trace_id.0 != 0 && !span.id.is_none());
        assert!(span.start_ns <= span.end_ns && i64::try_from(span.end_ns).is_ok());
        assert!(store.resources.len() > span.resource as usize && store.scopes.len() > span.scope as usize);
        assert!(store.attributes(span).count() as u64 <= limits.attributes);
        assert!(store.events(span).count() as u64 <= limits.events);
        assert!(store.links(span).count() as u64 <= limits.links);
        let events = store.events(span).flat_map(|event| event.attributes);
        let links = store.links(span).flat_map(|link| link.attributes);
        for (key, value) in store.attributes(span).chain(store.resource_attributes(span)).chain(events).chain(links) {
            assert!(key.len() as u64 <= limits.text_bytes);
            assert!(depth(value) as u64 <= limits.value_depth);
        }
        let _ = (store.name(span), store.service(span), store.status_message(span), store.trace_state(span));
    }
}

fn depth(value: Value<'_>) -> usize {
    match value {
        Value::Array(values) => 1 + values.map(depth).max().unwrap_or_default(),
        Value::Map(pairs) => 1 + pairs.map(|(_, value)| depth(value)).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Arbitrary bytes, split in two at a length that the first byte gives, compared as far as they can be read.
pub fn diff(bytes: &[u8]) {
    let Some((&share, rest)) = bytes.split_first() else { return };
    let (before, after) = rest.split_at(rest.len() * usize::from(share) / 255);
    let [before, after] = [before, after].map(|mut bytes| {
        let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
        let mut context =
            Context { limits: limits(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
        let _ = reading::read(&mut bytes, None, &mut context);
        store.symbols = symbols;
        store
    });
    compare(before, after);
}

/// Two traces of a few spans each, whose ids, parents, names and times are taken from the bytes: ten bytes a span,
/// so that mutations reach cycles, duplicates, orphans and odd times at once.
pub fn trees(bytes: &[u8]) {
    let mut sides = [Writer::new(), Writer::new()];
    for record in bytes.chunks_exact(10).take(200) {
        let [id, parent, name, kind, start, length, status, attribute, link, side] = *record else { continue };
        let Some(out) = sides.get_mut(usize::from(side & 1)) else { continue };
        let span = out.begin(2);
        out.bytes_field(1, &[7; 16]);
        out.bytes_field(2, &[1, 0, 0, 0, 0, 0, 0, id & 63]);
        if parent > 0 {
            out.bytes_field(4, &[1, 0, 0, 0, 0, 0, 0, parent & 63]);
        }
        out.bytes_field(5, NAMES.get(usize::from(name) % NAMES.len()).unwrap_or(&"").as_bytes());
        out.varint(6, u64::from(kind % 7));
        // The highest values stand for the ends of time.
        let start_ns = if start > 250 { u64::MAX >> (255 - start) } else { EPOCH_NS + u64::from(start) * 1_000_000 };
        let length_ns = if length > 250 { u64::MAX / 3 } else { u64::from(length) * 700_001 };
        out.fixed64(7, start_ns);
        out.fixed64(8, start_ns.wrapping_add(length_ns));
        if attribute > 0 {
            let pair = out.begin(9);
            out.bytes_field(1, KEYS.get(usize::from(attribute) % KEYS.len()).unwrap_or(&"").as_bytes());
            let value = out.begin(2);
            out.bytes_field(1, &[b'a' + (attribute >> 4)]);
            out.end(value);
            out.end(pair);
        }
        if link > 0 {
            let at = out.begin(13);
            out.bytes_field(1, &[7; 16]);
            out.bytes_field(2, &[1, 0, 0, 0, 0, 0, 0, link & 63]);
            out.end(at);
        }
        let at = out.begin(15);
        out.varint(3, u64::from(status % 3));
        out.end(at);
        out.varint(16, u64::from(side >> 1) << 4);
        out.end(span);
    }
    let [before, after] = sides.map(|spans| {
        let (mut symbols, mut report) = (Symbols::default(), ReadReport::default());
        let mut message = Writer::new();
        let resource_spans = message.begin(1);
        message.bytes_field(2, spans.bytes());
        message.end(resource_spans);
        let wide = Limits { text_bytes: 1 << 10, ..limits() };
        let batch = otlp_proto::decode(message.into_bytes(), &wide, &mut symbols, &mut report);
        let mut store = SpanStore { symbols, ..SpanStore::default() };
        spandiff::ingest::Sink::batch(&mut store, batch, &Symbols::default());
        store
    });
    compare(before, after);
}

const EPOCH_NS: u64 = 1_700_000_000_000_000_000;
const NAMES: [&str; 12] = [
    "",
    "GET /a",
    "GET /a/17",
    "GET /a/18",
    "load",
    "SELECT a FROM b",
    "SELECT a FROM b WHERE c = 1",
    "\u{1b}[31mred\u{7}\u{202e}",
    "q1",
    "q2",
    "publish",
    "process",
];
const KEYS: [&str; 8] = [
    "http.request.method",
    "db.query.text",
    "peer.service",
    "messaging.destination.name",
    "k\u{1b}c",
    "rpc.method",
    "url.path",
    "server.address",
];

/// Assembles, identifies and compares the first trace of each side, and writes every report.
fn compare(before: SpanStore, after: SpanStore) {
    let Some(traces) = Pair::new(before, after).map(one_trace).both() else { return };
    let forward = diff_of(&traces);
    let backward = diff_of(&Pair::new(traces.after, traces.before));
    assert_eq!(forward.findings.len(), backward.findings.len(), "swapping the sides mirrors the result");
    for entry in &forward.entry_points {
        let sum: i128 = entry.attribution.iter().map(|row| i128::from(row.contribution_ns)).sum();
        if let Some(delta) = entry.delta_ns {
            assert_eq!(sum, i128::from(delta), "rows sum to the root's change");
        }
    }
    let options = report::Options { tree: Some(report::TreeView::All), ..report::Options::default() };
    for format in report::Format::ALL {
        let mut out = Vec::new();
        report::write(format, &forward, &options, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let raw = text.chars().find(|c| c.is_control() && *c != '\n');
        assert!(raw.is_none(), "{raw:?} in {}", format.name());
        if format == report::Format::Json {
            serde_json::from_str::<serde::de::IgnoredAny>(&text).unwrap();
        }
    }
}

trait Both<T> {
    fn both(self) -> Option<Pair<T>>;
}

impl<T> Both<T> for Pair<Option<T>> {
    fn both(self) -> Option<Pair<T>> {
        Some(Pair::new(self.before?, self.after?))
    }
}

fn one_trace(mut store: SpanStore) -> Option<Trace> {
    let id = store.spans.first()?.trace_id;
    store.spans.retain(|span| span.trace_id == id);
    let came = store.spans.len() as u64;
    let mut warnings = Warnings::default();
    let mut trace = ingest::assemble(store, id, &mut warnings);
    assert_eq!(trace.len() as u64 + warnings.count(Warning::DuplicateSpan), came, "spans in = used + warned");
    ingest::identify(&mut trace, &Rules::default());
    Some(trace)
}

fn diff_of(traces: &Pair<Trace>) -> diff::Diff {
    let mut traces = Pair::new(traces.before.clone(), traces.after.clone());
    ingest::unify(&mut traces, &mut Pair::default());
    let options = diff::DiffOptions { tree: true, ..diff::DiffOptions::default() };
    diff::pair::compare(&traces, Pair::default(), &options)
}
